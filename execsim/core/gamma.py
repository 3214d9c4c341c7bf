"""Quantiles of the gamma distribution, in `decimal`: the same integers on every machine.

The regularised lower incomplete gamma function P(a, x) is summed as a series of positive terms and inverted by Newton's
method. Source: NIST Digital Library of Mathematical Functions, 8.2.4, 8.7.1 and 5.11.1 (dlmf.nist.gov).
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_HALF_EVEN, Context, Decimal, DivisionByZero, InvalidOperation, Overflow, localcontext
from functools import lru_cache
from typing import Final

from execsim.core.errors import ConfigError
from execsim.core.quantile import K_MAX, PI, QUANTILE_MAX
from execsim.core.units import decimal_of

PRECISION: Final = 26
"""Decimal digits kept; a quantile has at most 13."""

SHAPE_MIN: Final = Decimal("0.05")
SHAPE_MAX: Final = Decimal(1_000)
"""Below, half of the draws are nothing; above, the gamma is a normal distribution and the series becomes long."""

_STEP_MIN: Final = Decimal("1e-10")
"""Newton's method doubles its digits: after a relative step this small the error is near 1e-20."""

_TERM_MIN: Final = Decimal(10) ** -PRECISION

_STIRLING_FROM: Final = 30
_STIRLING: Final = (
    (1, 12),
    (-1, 360),
    (1, 1_260),
    (-1, 1_680),
    (1, 1_188),
    (-691, 360_360),
    (1, 156),
    (-3_617, 122_400),
)
"""B(2k) / (2k (2k - 1)), k = 1..8: from z = 30 on the first term left out is below 1e-24 of the logarithm."""


def gamma_quantiles(
    mean_ns: int, shape: str | Decimal, floor_ns: int = 0, k: int = 10, max_ns: int = QUANTILE_MAX
) -> list[int]:
    """Quantiles of floor_ns + gamma of that shape, with `mean_ns` the mean of the whole, at i / 2**k: 2**k + 1 values.

    Rounded half to even, never above `max_ns`. The ends would be the floor and infinity: they are taken at 1 / 2**(k+1)
    and 1 - 1 / 2**(k+1), as those of `lognormal_quantiles`.
    Errors: ConfigError unless 0 <= floor_ns < mean_ns <= max_ns <= 2**42, 0.05 <= shape <= 1000 and 1 <= k <= 20.
    """
    alpha = decimal_of(shape, "shape")
    if not 0 <= floor_ns < mean_ns <= max_ns <= QUANTILE_MAX:
        raise ConfigError(
            f"gamma of mean {mean_ns} ns above a floor of {floor_ns} ns, at most {max_ns} ns",
            f"0 <= floor < mean <= max <= {QUANTILE_MAX}",
        )
    if not SHAPE_MIN <= alpha <= SHAPE_MAX or not 1 <= k <= K_MAX:
        raise ConfigError(f"gamma of shape {shape}, k {k}", f"{SHAPE_MIN} <= shape <= {SHAPE_MAX} and 1 <= k <= 20")
    with localcontext(_context()):
        scale = (mean_ns - floor_ns) / alpha
        return [_rounded(floor_ns + scale * x, max_ns) for x in standard_quantiles(alpha, k)]


@lru_cache(maxsize=64)
def standard_quantiles(shape: Decimal, k: int) -> tuple[Decimal, ...]:
    """Quantiles of gamma(shape, scale 1) at 1 / 2**(k+1), 1 / 2**k, ..., 1 - 1 / 2**k, 1 - 1 / 2**(k+1)."""
    return tuple(_ascend(shape, k))


def _ascend(shape: Decimal, k: int) -> Iterator[Decimal]:
    with localcontext(_context()):
        log_gamma = _log_gamma(shape + 1)
        last, end = 2**k, 2 ** (k + 1)
        # P(a, x) <= x**a / Gamma(a + 1), so this is not above the first quantile
        x = (((Decimal(1) / end).ln() + log_gamma) / shape).exp()
        for i in range(last + 1):
            p = Decimal(i) / last if 0 < i < last else Decimal(1 if i == 0 else end - 1) / end
            x = _solve(p, x, shape, log_gamma)
            yield x


def _solve(p: Decimal, x: Decimal, shape: Decimal, log_gamma: Decimal) -> Decimal:
    """The x with P(shape, x) = p, from an x that is not above it.

    Newton's method on ln P as a function of ln x. That function is concave (the density of the logarithm of a gamma
    variable is log-concave, and so is its distribution function), so the steps ascend and never pass the solution.
    """
    log_p = p.ln()
    while True:
        density_x = (shape * x.ln() - x - log_gamma).exp() * shape  # density x x: Gamma(a) = Gamma(a + 1) / a
        reached = _regularised(shape, x, density_x)
        step = (log_p - reached.ln()) * reached / density_x
        x *= step.exp()
        if abs(step) < _STEP_MIN:
            return x


def _regularised(shape: Decimal, x: Decimal, density_x: Decimal) -> Decimal:
    """P(shape, x) = density x x times the sum of x**n / (a (a+1) ... (a+n)), all terms positive (DLMF 8.7.1)."""
    term = total = 1 / shape
    bottom = shape
    while term > total * _TERM_MIN:
        bottom += 1
        term = term * x / bottom
        total += term
    return density_x * total


def _log_gamma(z: Decimal) -> Decimal:
    """ln Gamma(z), z > 0: recurrence up to 30, then Stirling's series (DLMF 5.11.1)."""
    product = Decimal(1)
    while z < _STIRLING_FROM:
        product *= z
        z += 1
    series = sum((Decimal(top) / bottom / z ** (2 * i + 1) for i, (top, bottom) in enumerate(_STIRLING)), Decimal(0))
    return (z - Decimal("0.5")) * z.ln() - z + (2 * PI).ln() / 2 + series - product.ln()


def _rounded(value: Decimal, max_ns: int) -> int:
    return max_ns if value >= max_ns else int(value.to_integral_value(ROUND_HALF_EVEN))


def _context() -> Context:
    """Our own arithmetic, whatever the program around has set."""
    return Context(prec=PRECISION, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation, DivisionByZero, Overflow])
