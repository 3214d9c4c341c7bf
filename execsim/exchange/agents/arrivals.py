"""When agents act: arrival processes as waits in whole nanoseconds, the same on every machine.

A process is its parameters; `waits(rng)` is one realisation, endless. Draws come from exact tables (core.quantile) and
integer thinning: no float decides when anybody acts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Context, Decimal, localcontext
from functools import lru_cache
from typing import Final, Protocol

from execsim.core.errors import ConfigError
from execsim.core.quantile import QUANTILE_MAX, QuantileTable, exponential_quantiles
from execsim.core.units import NS_PER_S
from execsim.ports import Rng

ONE: Final = 2**32
"""1.0 in the fixed point of intensities and decays."""

DECAY_STEPS: Final = 1024
"""A half-life is cut into so many steps: the error of a decay is below 0.07 %."""


class Arrivals(Protocol):
    def waits(self, rng: Rng) -> Iterator[int]:
        """Time from each arrival to the next, in ns."""


def mean_of(per_s: Decimal) -> int:
    """Mean wait in ns of a rate. Errors: ConfigError for a rate that is not positive or beyond what a table holds."""
    if per_s <= 0:
        raise ConfigError(f"an arrival rate of {per_s} per second", "it must be positive")
    mean_ns = int(NS_PER_S / per_s)
    if not 1 <= mean_ns <= QUANTILE_MAX:
        raise ConfigError(f"an arrival rate of {per_s} per second", "between one an hour and one a nanosecond")
    return mean_ns


@dataclass(frozen=True, slots=True)
class Poisson:
    """Independent arrivals at a constant rate: exponential waits. Source: any text; it is what zero-intelligence order
    flow assumes (Cont, Stoikov, Talreja 2010, section 2)."""

    per_s: Decimal
    table: QuantileTable = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "table", QuantileTable(exponential_quantiles(mean_of(self.per_s))))

    def waits(self, rng: Rng) -> Iterator[int]:
        while True:
            yield self.table.draw(rng.raw())


@dataclass(frozen=True, slots=True)
class Hawkes:
    """Arrivals that excite each other: rate(t) = base + sum over past arrivals of base_jump x 2**-(age / half-life).

    `per_s` is the base rate, `branching` (0 <= n < 1) the mean number of arrivals each one causes: the mean rate is
    per_s / (1 - branching). The kernel is exponential, so its decay rate is ln 2 / half-life and each arrival raises the
    rate by n x ln 2 / half-life. Simulated by thinning: candidates at the present rate, which only decays until the next
    arrival, are kept with probability rate then / rate now.
    Sources: Hawkes 1971 (the process); Ogata 1981, "On Lewis' simulation method" (thinning); Bacry, Mastromatteo, Muzy
    2015, "Hawkes processes in finance" (order flow; branching ratios of 0.5 to 0.9 are found).
    """

    per_s: Decimal
    branching: Decimal
    half_life_ns: int
    table: QuantileTable = field(init=False, repr=False, compare=False)
    jump: int = field(init=False, repr=False, compare=False)
    """what an arrival adds to the rate, in base rates and fixed point"""

    def __post_init__(self) -> None:
        if not 0 <= self.branching < 1:
            raise ConfigError(f"a Hawkes branching ratio of {self.branching}", "0 <= branching < 1: else it explodes")
        if self.half_life_ns < 1:
            raise ConfigError(f"a Hawkes half-life of {self.half_life_ns} ns", "it must be positive")
        mean_ns = mean_of(self.per_s)
        object.__setattr__(self, "table", QuantileTable(exponential_quantiles(mean_ns)))
        with localcontext(Context(prec=40)):
            jump = self.branching * Decimal(2).ln() * mean_ns / self.half_life_ns
            object.__setattr__(self, "jump", int(jump * ONE))

    def waits(self, rng: Rng) -> Iterator[int]:
        excited, waited = 0, 0  # excited: what the past adds to the base rate, in base rates
        while True:
            rate = ONE + excited
            wait = self.table.draw(rng.raw()) * ONE // rate
            waited += wait
            excited = decayed(excited, wait, self.half_life_ns)
            if rng.below(rate) < ONE + excited:
                yield waited
                waited = 0
                excited += self.jump


def decayed(amount: int, age_ns: int, half_life_ns: int) -> int:
    """amount x 2**-(age / half-life), rounded down; exact integers from a table of 2**-(i / DECAY_STEPS)."""
    halvings, rest = divmod(age_ns, half_life_ns)
    return amount * _decays()[rest * DECAY_STEPS // half_life_ns] >> 32 + min(halvings, 4096)


@lru_cache(maxsize=1)
def _decays() -> tuple[int, ...]:
    with localcontext(Context(prec=40)):
        step = Decimal(2).ln() / DECAY_STEPS
        return tuple(int((-step * i).exp() * ONE) for i in range(DECAY_STEPS))


def arrivals_of(per_s: Decimal, branching: Decimal, half_life_ms: Decimal) -> Arrivals:
    """Hawkes arrivals, or Poisson where nothing excites (`branching` 0)."""
    return Poisson(per_s) if branching == 0 else Hawkes(per_s, branching, int(half_life_ms * 1_000_000))
