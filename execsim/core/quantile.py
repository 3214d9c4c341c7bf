"""Random durations without floats: a table of integer quantiles, drawn from with one 64-bit integer.

A draw takes the high K bits of a raw 64-bit integer as the interval of the table and the next 20 bits as the place in
it. Everything is exact integer arithmetic, so a draw is the same on every machine, one by one or vectorised.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal, DivisionByZero, InvalidOperation, Overflow, localcontext
from functools import lru_cache
from typing import Any, Final

from execsim.core.errors import ConfigError
from execsim.core.units import decimal_of

FRACTION_BITS: Final = 20
"""Resolution of the interpolation: a millionth of an interval."""

K_MAX: Final = 20
"""Largest table: 2**20 intervals."""

QUANTILE_MAX: Final = 2**42
"""Bound of |value| (as ns: 73 minutes). Two values differ by at most 2**43, times a fraction below 2**20: < 2**63."""

PRECISION: Final = 40
"""Decimal digits of the normal quantiles; a quantile has at most 13."""

SIGMA_MAX: Final = 10
"""Largest sigma: one in 20 draws is then more than 10**7 times the median; nothing real is wider."""

PI: Final = Decimal("3.14159265358979323846264338327950288419716939937510582")


class QuantileTable:
    """Quantiles at 0, 1/2**k, ..., 1 of a distribution of integers; draws interpolate linearly, rounding down.

    Errors: ConfigError unless there are 2**k + 1 values, 1 <= k <= 20, that never decrease, each |value| <= 2**42.
    """

    __slots__ = ("_array", "_fraction_shift", "_index_shift", "k", "values")

    def __init__(self, values: Sequence[int]) -> None:
        self.values = tuple(values)
        self.k = (len(self.values) - 1).bit_length() - 1
        if len(self.values) != 2**self.k + 1 or not 1 <= self.k <= K_MAX:
            raise ConfigError(f"a quantile table of {len(self.values)} values", "it needs 2**k + 1, 1 <= k <= 20")
        if any(low > high for low, high in zip(self.values, self.values[1:], strict=False)):
            raise ConfigError("the values of a quantile table decrease", "sort them")
        if max(-self.values[0], self.values[-1]) > QUANTILE_MAX:
            raise ConfigError(
                f"a quantile table from {self.values[0]} to {self.values[-1]}", f"values lie within +-{QUANTILE_MAX}"
            )
        self._index_shift = 64 - self.k
        self._fraction_shift = 64 - self.k - FRACTION_BITS
        self._array: Any = None

    def draw(self, raw: int) -> int:
        """The value for one raw integer in [0, 2**64)."""
        index = raw >> self._index_shift
        low = self.values[index]
        fraction = (raw >> self._fraction_shift) & (2**FRACTION_BITS - 1)
        return low + ((self.values[index + 1] - low) * fraction >> FRACTION_BITS)

    def draws(self, raws: Any) -> Any:
        """The values for an array of raw integers: `[draw(raw) for raw in raws]`.

        Shape: uint64 array in, int64 array of the same shape out. Works on any array of the Python array API standard
        (NumPy >= 2.0), which is why this module needs no import for it.
        """
        space = raws.__array_namespace__()
        if self._array is None:
            self._array = space.asarray(self.values, dtype=space.int64)
        index = (raws >> self._index_shift).astype(space.int64)
        fraction = ((raws >> self._fraction_shift) & (2**FRACTION_BITS - 1)).astype(space.int64)
        low = self._array[index]
        return low + ((self._array[index + 1] - low) * fraction >> FRACTION_BITS)


def lognormal_quantiles(median_ns: int, sigma: str | Decimal, k: int = 10, max_ns: int = QUANTILE_MAX) -> list[int]:
    """Quantiles of median x exp(sigma x normal) at i / 2**k, rounded half to even, never above `max_ns`: 2**k + 1 values.

    The ends would be 0 and infinity: they are taken at 1 / 2**(k+1) and 1 - 1 / 2**(k+1) instead. The distribution so has
    no tail beyond those (k = 10: one in 2048 on each side). Computed in `decimal`, the same integers everywhere.
    Errors: ConfigError unless 1 <= median_ns <= max_ns <= 2**42, 0 <= sigma <= 10 and 1 <= k <= 20.
    """
    spread = decimal_of(sigma, "sigma")
    if not 1 <= median_ns <= max_ns <= QUANTILE_MAX:
        raise ConfigError(
            f"lognormal of median {median_ns} ns, at most {max_ns} ns", f"1 <= median <= max <= {QUANTILE_MAX}"
        )
    if not 0 <= spread <= SIGMA_MAX or not 1 <= k <= K_MAX:
        raise ConfigError(f"lognormal of sigma {sigma}, k {k}", "0 <= sigma <= 10 and 1 <= k <= 20")
    return list(_lognormal(median_ns, spread, k, max_ns))


@lru_cache(maxsize=256)
def _lognormal(median_ns: int, sigma: Decimal, k: int, max_ns: int) -> tuple[int, ...]:
    upper = normal_quantiles(k)
    with localcontext(_context()):
        spread = [(sigma * z).exp() for z in upper]
        below = [_rounded(median_ns / s, max_ns) for s in reversed(spread[1:])]
        return (*below, *(_rounded(median_ns * s, max_ns) for s in spread))


def _rounded(value: Decimal, max_ns: int) -> int:
    return max_ns if value >= max_ns else int(value.to_integral_value(ROUND_HALF_EVEN))


@lru_cache(maxsize=K_MAX)
def normal_quantiles(k: int) -> tuple[Decimal, ...]:
    """Standard normal quantiles at 1/2, 1/2 + 1/2**k, ..., 1 - 1/2**k, and last 1 - 1/2**(k+1). The rest mirrors them."""
    return tuple(_upper_half(k))


def _upper_half(k: int) -> Iterator[Decimal]:
    with localcontext(_context()):
        z = Decimal(0)
        yield z
        half = 2 ** (k - 1)
        for i in range(1, half + 1):
            z = _solve(Decimal(i) / 2**k if i < half else Decimal(half) / 2**k - Decimal(1) / 2 ** (k + 1), z)
            yield z


def _solve(above_half: Decimal, z: Decimal) -> Decimal:
    """The z with Phi(z) - 1/2 = above_half, by Newton's method from a smaller z. Phi is concave there: it ascends."""
    tolerance = Decimal(10) ** (6 - PRECISION)
    while True:
        density = (-z * z / 2).exp() / (2 * PI).sqrt()
        step = (above_half - _area(z, density)) / density
        z += step
        if abs(step) < tolerance:
            return z


def _area(z: Decimal, density: Decimal) -> Decimal:
    """Phi(z) - 1/2 for z >= 0: density(z) x sum of z**(2n+1) / (1 x 3 x ... x (2n+1)), all terms positive.

    Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.2.11.
    """
    term, total, odd = z, Decimal(0), 1
    square = z * z
    smallest = Decimal(10) ** -PRECISION
    while term > smallest:
        total += term
        odd += 2
        term = term * square / odd
    return density * total


def _context() -> Context:
    """Our own arithmetic, whatever the program around has set."""
    return Context(prec=PRECISION, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation, DivisionByZero, Overflow])


def exponential_quantiles(mean_ns: int, k: int = 10, max_ns: int = QUANTILE_MAX) -> list[int]:
    """Quantiles -mean x ln(1 - u) of the exponential distribution at i / 2**k, rounded half to even: 2**k + 1 values.

    Waits between the arrivals of a Poisson process. The last one would be infinity: it is taken at 1 - 1 / 2**(k+1), and
    none is above `max_ns`. A draw's mean is within 0.1 % of `mean_ns` for k = 10 (the tail that is missing).
    Errors: ConfigError unless 1 <= mean_ns <= max_ns <= 2**42 and 1 <= k <= 20.
    """
    if not 1 <= mean_ns <= max_ns <= QUANTILE_MAX or not 1 <= k <= K_MAX:
        what = f"exponential of mean {mean_ns} ns, at most {max_ns} ns, k {k}"
        raise ConfigError(what, f"1 <= mean <= max <= {QUANTILE_MAX} and 1 <= k <= {K_MAX}")
    return [_rounded(mean_ns * unit, max_ns) for unit in _exponential_units(k)]


@lru_cache(maxsize=K_MAX)
def _exponential_units(k: int) -> tuple[Decimal, ...]:
    with localcontext(_context()):
        upper = [Decimal(2**k - i) / 2**k for i in range(2**k)]
        return (*(-u.ln() for u in upper), Decimal(2 ** (k + 1)).ln())
