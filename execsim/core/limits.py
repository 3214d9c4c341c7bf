"""Rate limits as venues publish them: what is counted, for whom, how, and what happens to who asks for too much.

A rule is data: the simulated venue keeps the count (exchange/limits.py), a profile of an adapter states the figures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, Literal, Protocol

from execsim.core.bucket import TokenBucket
from execsim.core.errors import ConfigError
from execsim.core.request import RequestKind
from execsim.core.units import NS_PER_S, plain
from execsim.core.window import FixedWindow, SlidingWindow

ALL: Final = frozenset(RequestKind)
ORDERS: Final = frozenset({RequestKind.PLACE, RequestKind.BATCH, RequestKind.AMEND})
CANCELS: Final = frozenset({RequestKind.CANCEL})


def _seconds(ns: int) -> str:
    return plain(Decimal(ns) / NS_PER_S)


class Meter(Protocol):
    """What counts: `TokenBucket`, `FixedWindow` or `SlidingWindow`. Times in ns, not decreasing."""

    def wait_ns(self, now_ns: int, tokens: int = 1) -> int: ...

    def left(self, now_ns: int) -> int: ...

    def take(self, now_ns: int, tokens: int = 1) -> int: ...

    def force(self, now_ns: int, tokens: int = 1) -> None: ...

    def credit(self, now_ns: int, tokens: int = 1) -> None: ...


@dataclass(frozen=True, slots=True)
class Bucket:
    """`rate` tokens a second (decimal text), at most `burst` at once."""

    rate: str
    burst: int

    @property
    def most(self) -> int:
        return self.burst

    def meter(self) -> Meter:
        return TokenBucket(self.rate, self.burst)

    def __str__(self) -> str:
        return f"{self.rate}/s, {self.burst} at once"


@dataclass(frozen=True, slots=True)
class Fixed:
    """`n` tokens in windows of `per_ns` that follow the clock."""

    n: int
    per_ns: int

    @property
    def most(self) -> int:
        return self.n

    def meter(self) -> Meter:
        return FixedWindow(self.n, self.per_ns)

    def __str__(self) -> str:
        return f"{self.n} per {_seconds(self.per_ns)} s of the clock"


@dataclass(frozen=True, slots=True)
class Sliding:
    """`n` tokens in any stretch of `per_ns`."""

    n: int
    per_ns: int

    @property
    def most(self) -> int:
        return self.n

    def meter(self) -> Meter:
        return SlidingWindow(self.n, self.per_ns)

    def __str__(self) -> str:
        return f"{self.n} in any {_seconds(self.per_ns)} s"


@dataclass(frozen=True, slots=True)
class Ban:
    """Who is refused `after` times with nothing let through between is shut out altogether, each time twice as long."""

    after: int
    first_ns: int
    max_ns: int
    code: str = "418"
    text: str = "banned for too many requests"

    def __post_init__(self) -> None:
        if self.after < 1 or not 0 < self.first_ns <= self.max_ns:
            raise ConfigError(
                f"ban after {self.after} for {self.first_ns} to {self.max_ns} ns", "all positive, in order"
            )

    def length_ns(self, earlier: int) -> int:
        """How long the next ban is after `earlier` ones."""
        length = self.first_ns
        for _ in range(earlier):
            if length >= self.max_ns:
                break
            length *= 2
        return min(length, self.max_ns)


@dataclass(frozen=True, slots=True)
class Unfilled:
    """The rule counts unfilled orders: tokens an order gives back at its first fill as taker, and its first as maker."""

    taker: int
    maker: int


@dataclass(frozen=True, slots=True)
class LimitRule:
    """One limit. A request of one of `kinds` costs `cost` of its kind (default `cost_default`), times the orders it
    carries if `per_order`; `scope` says whose requests are counted together. `topics` narrows it to calls the venue names
    ("book"); empty: all.

    Who asks for too much is delayed by up to `max_delay_ns` and refused beyond it (0: refused at once), with code `code`.
    `tells_wait`: the refusal says when to come back (Retry-After). `counts_refused`: refused requests cost as well.
    Errors: ConfigError for a rule that could let nothing through.
    """

    name: str
    kinds: frozenset[RequestKind]
    meter: Bucket | Fixed | Sliding
    scope: Literal["signer", "ip"] = "signer"
    cost: Mapping[RequestKind, int] = field(default_factory=dict)
    cost_default: int = 1
    per_order: bool = False
    max_delay_ns: int = 0
    tells_wait: bool = True
    counts_refused: bool = False
    ban: Ban | None = None
    unfilled: Unfilled | None = None
    code: str = "429"
    text: str = ""
    """the venue's words; "": the profile's `rate_limit`"""
    topics: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        where = f"rate limit {self.name!r}"
        if not self.kinds:
            raise ConfigError(f"{where} counts no kind of request", f"kinds: {', '.join(RequestKind)}")
        if min(self.cost_default, *self.cost.values(), self.max_delay_ns) < 0:
            raise ConfigError(f"{where}: a negative cost or delay", "both are 0 or more")
        dearest = max(self.tokens(kind, 1) for kind in self.kinds)
        if dearest > self.meter.most:
            raise ConfigError(
                f"{where}: a request costs {dearest}, it allows {self.meter}", "allow at least one request"
            )
        self.meter.meter()

    def tokens(self, kind: RequestKind, orders: int) -> int:
        """What a request costs; 0 for kinds the rule does not count."""
        if kind not in self.kinds:
            return 0
        cost = self.cost.get(kind, self.cost_default)
        return cost * orders if self.per_order else cost
