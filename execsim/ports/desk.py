"""What a served exchange (`ports.Desk`) tells of itself: its clock, its markets, an account's orders and limits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from execsim.core.order import OrderReport


@dataclass(frozen=True, slots=True)
class DeskClock:
    """Time at a desk, ns of the run: where the market's data begins and ends, how fast it moves against the wall."""

    now_ns: int
    start_ns: int
    end_ns: int
    speed: int
    moving: bool
    """False until the market is started (Desk.go)"""
    ended: bool
    """the data is used up; orders are still answered"""


@dataclass(frozen=True, slots=True)
class MarketState:
    """A market as its venue sees it now. `proposed_i` and `payoff_i` (YES, price units) once known."""

    market: str
    tick_i: int
    open: bool
    in_gap: bool
    proposed_i: int | None = None
    payoff_i: int | None = None
    paid: bool = False
    """the payoff has become cash; else, once known, the tokens wait to be redeemed"""


@dataclass(frozen=True, slots=True)
class FaultState:
    """A fault pack at a venue: whether it is at work, and how often it has begun."""

    pack: str
    active: bool
    count: int


@dataclass(frozen=True, slots=True)
class OrderRecord:
    """An order as the venue's own books have it at this instant. `delayed`: it waits out the venue's delay for takers."""

    report: OrderReport
    delayed: bool


class Hours(Protocol):
    """The time of a served exchange, in the hands of its host. Where nobody hosts it (a test, a run) its time is that of the
    run, which is also its clients', and cannot be held."""

    def wall_ns(self) -> int:
        """The time by the clocks of those who connect: real time where they are other processes, else that of the run."""

    def wall_at(self, at_ns: int) -> int:
        """What time that was, or will be, when the exchange's was `at_ns`; to them events stay in order whatever befalls its
        clock."""

    def go(self) -> None:
        """Let the market move, if it is held."""

    def hold(self) -> None:
        """Let its time stand still. Errors: ConfigError."""

    def pace(self, speed: int) -> None:
        """How many times faster than the wall's its time passes, from now on. Errors: ConfigError."""

    def step(self, to_ns: int, then: Callable[[], None]) -> None:
        """Move a held market up to an instant, and call `then` when everything of it has happened. Errors: ConfigError."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What a signer may still ask of the venue: tokens left now, and ns until one more would pass (0: now)."""

    left: int
    wait_ns: int
    tier: str
    tolerated: bool
    """the last request was too much, and passed because the limits are not enforced"""


@dataclass(frozen=True, slots=True)
class RewardTerms:
    """A market's reward configuration: `pool` quote units a UTC day, orders within `spread_max_i` of the midpoint, of at
    least `size_min_lots` and `age_min_ns` old; `samples_a_day` is how often a day is sampled (a market that lives for five
    minutes: 5)."""

    pool: int
    spread_max_i: int
    size_min_lots: int
    age_min_ns: int = 0
    samples_a_day: int = 1_440
