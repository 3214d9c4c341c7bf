"""When a fault happens: at stated times, at random with a rate, on the n-th order, or on every k-th."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from execsim.core.errors import ConfigError
from execsim.core.units import NS_PER_S
from execsim.ports import Rng

SECONDS_PER_HOUR: Final = 3_600
RATE_MAX: Final = SECONDS_PER_HOUR
"""a random fault begins at most once a second"""


@dataclass(frozen=True, slots=True)
class Schedule:
    """`at_ns` after the start of the run; `per_hour` at random; `nth` and `every` by the orders sent to the venue (the first
    is number 1). Several may be given; none: never.

    Random times: in each second of the run one begins with probability per_hour / 3600, at a uniform nanosecond of it.
    """

    at_ns: tuple[int, ...] = ()
    per_hour: Decimal = Decimal(0)
    nth: tuple[int, ...] = ()
    every: int = 0

    def __post_init__(self) -> None:
        if any(at < 0 for at in self.at_ns):
            raise ConfigError(f"a fault {min(self.at_ns)} ns after the start", "times are 0 or more")
        if not 0 <= self.per_hour <= RATE_MAX:
            raise ConfigError(f"{self.per_hour} faults an hour", f"between 0 and {RATE_MAX}")
        if any(n < 1 for n in self.nth) or self.every < 0:
            raise ConfigError(f"a fault on orders nth={list(self.nth)}, every={self.every}", "orders count from 1")

    @property
    def by_order(self) -> bool:
        """Whether orders have to be counted."""
        return bool(self.nth or self.every)

    def hits(self, number: int) -> bool:
        """Whether it happens on this order."""
        return number in self.nth or (self.every > 0 and number % self.every == 0)

    def next_random_ns(self, rng: Rng, from_ns: int) -> int | None:
        """The next random beginning after `from_ns` (ns after the start); None without a rate."""
        if not self.per_hour:
            return None
        num, den = self.per_hour.as_integer_ratio()
        second = from_ns // NS_PER_S + 1
        while rng.below(den * SECONDS_PER_HOUR) >= num:
            second += 1
        return second * NS_PER_S + rng.below(NS_PER_S)

    @property
    def about(self) -> str:
        """The schedule in words."""
        said = []
        if self.at_ns:
            said.append("at " + ", ".join(f"{at / NS_PER_S:g} s" for at in self.at_ns))
        if self.per_hour:
            said.append(f"{self.per_hour.normalize():f} an hour at random")
        if self.nth:
            said.append("on order " + ", ".join(map(str, self.nth)))
        if self.every:
            said.append(f"on every {self.every}th order")
        return "; ".join(said) or "never"
