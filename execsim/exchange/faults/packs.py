"""The fault packs: what goes wrong together, how long, and whose report it comes from. `execsim faults` lists them.

A pack is its parameters, times in ms; its docstring is what `execsim faults` prints. References: polymarket.md section 5.5
(error texts), section 7 (rules) and section 12 (reported problems, GitHub issues by number) as this project was given them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Final

from execsim.core.errors import ConfigError
from execsim.core.request import RequestKind
from execsim.core.units import NS_PER_MS, NS_PER_S
from execsim.exchange.faults.effects import (
    ALL,
    MILLION,
    SUBMIT,
    DelayAnswers,
    DropResting,
    Effect,
    FailMatches,
    Freeze,
    HurryExpiries,
    LockClaims,
    LoseAnswers,
    LoseRequests,
    RefineTicks,
    Refuse,
    RepeatReports,
    ShiftClock,
    ShuffleReports,
    Slow,
)
from execsim.exchange.faults.schedule import Schedule

ONCE: Final = Schedule(at_ns=(20 * NS_PER_S,))
"""The default of packs that last: once, 20 s into the run."""
SOMETIMES: Final = Schedule(every=10)
"""The default of packs about one order."""


@dataclass(frozen=True, slots=True)
class Part:
    """One effect of a pack: it begins `after_ns` the pack does and lasts `lasts_ns`."""

    effect: Effect
    lasts_ns: int
    after_ns: int = 0


class Pack:
    """A named fault. Subclasses are dataclasses of parameters (one step deep: what they share is the name and this)."""

    name: ClassVar[str]
    report: ClassVar[str]
    """where it was seen, or what it follows from"""
    schedule: ClassVar[Schedule] = ONCE
    per_order: ClassVar[bool] = False
    """whether, on the n-th order, it concerns that order alone"""

    def parts(self) -> Iterable[Part]:
        """What happens, and when."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class EngineRestart(Pack):
    """The matching engine restarts: 425 to everything, then post-only orders and cancels alone. Resting orders stay."""

    name: ClassVar[str] = "engine_restart"
    report: ClassVar[str] = (
        "Polymarket error codes: 425 about a minute, then post-only mode for 2 minutes (section 5.5)"
    )
    down_ms: int = 60_000
    post_only_ms: int = 120_000

    def parts(self) -> Iterable[Part]:
        down = self.down_ms * NS_PER_MS
        yield Part(Refuse("425", "matching engine restarting"), down)
        text = "post-only mode: only post-only orders and cancels are allowed, retry_after_seconds {retry}"
        yield Part(Refuse("post_only_mode", text, post_only_passes=True), self.post_only_ms * NS_PER_MS, down)


@dataclass(frozen=True, slots=True)
class LostAck(Pack):
    """The order is booked and the answer never comes: the client times out and does not know."""

    name: ClassVar[str] = "lost_ack"
    report: ClassVar[str] = "py-clob-client #273, #261; py-clob-client-v2 #84; clob-client #244: timed out, yet matched"
    schedule: ClassVar[Schedule] = SOMETIMES
    per_order: ClassVar[bool] = True
    lasts_ms: int = 30_000

    def parts(self) -> Iterable[Part]:
        yield Part(LoseAnswers(), self.lasts_ms * NS_PER_MS)


@dataclass(frozen=True, slots=True)
class LateAck(Pack):
    """Answers to orders come late, after their fills, or after the client has given up."""

    name: ClassVar[str] = "late_ack"
    report: ClassVar[str] = (
        "polymarket_chihen_livebot, 28 March 2026: place_order calls above 2.4 s, queries up to 9.6 s"
    )
    schedule: ClassVar[Schedule] = SOMETIMES
    per_order: ClassVar[bool] = True
    late_ms: int = 2_500
    lasts_ms: int = 30_000

    def parts(self) -> Iterable[Part]:
        yield Part(DelayAnswers(self.late_ms * NS_PER_MS), self.lasts_ms * NS_PER_MS)


@dataclass(frozen=True, slots=True)
class DuplicateEvents(Pack):
    """Every report comes twice."""

    name: ClassVar[str] = "duplicate_events"
    report: ClassVar[str] = "Polymarket user channel: the same trade id repeats; dedupe on (id, status) (section 11)"
    gap_ms: int = 50
    lasts_ms: int = 120_000

    def parts(self) -> Iterable[Part]:
        yield Part(RepeatReports(2, self.gap_ms * NS_PER_MS), self.lasts_ms * NS_PER_MS)


@dataclass(frozen=True, slots=True)
class ShuffledEvents(Pack):
    """Reports overtake one another and the answers."""

    name: ClassVar[str] = "shuffled_events"
    report: ClassVar[str] = "Polymarket user channel: trade, order events and REST answers are unordered (section 11)"
    within_ms: int = 1_000
    lasts_ms: int = 120_000

    def parts(self) -> Iterable[Part]:
        yield Part(ShuffleReports(self.within_ms * NS_PER_MS), self.lasts_ms * NS_PER_MS)


@dataclass(frozen=True, slots=True)
class VoidedFill(Pack):
    """Matches fail on chain some time after they were reported: the fill never was. Needs a chain (it gets a default)."""

    name: ClassVar[str] = "voided_fill"
    report: ClassVar[str] = "py-clob-client-v2 #34, py-clob-client #338, #290: ghost fills, FAILED 10 to 50 s later"
    share_per_million: int = MILLION
    lasts_ms: int = 60_000

    def parts(self) -> Iterable[Part]:
        yield Part(FailMatches(self.share_per_million), self.lasts_ms * NS_PER_MS)


@dataclass(frozen=True, slots=True)
class StreamFreeze(Pack):
    """Market data and reports stop and nobody says so; requests still work. At the end what was held back is delivered."""

    name: ClassVar[str] = "stream_freeze"
    report: ClassVar[str] = "py-clob-client #292: the socket answers PING and delivers nothing, for hours"
    lasts_ms: int = 30_000

    def parts(self) -> Iterable[Part]:
        yield Part(Freeze(), self.lasts_ms * NS_PER_MS)


@dataclass(frozen=True, slots=True)
class StreamGap(Pack):
    """The market data connection breaks and is known to: a gap opens for the strategy, the book is read anew at its end."""

    name: ClassVar[str] = "stream_gap"
    report: ClassVar[str] = "Polymarket streams have no sequence numbers: reconnect, take the new dump (section 11)"
    lasts_ms: int = 10_000

    def parts(self) -> Iterable[Part]:
        yield Part(Freeze(reports=False, tell_gap=True), self.lasts_ms * NS_PER_MS)


@dataclass(frozen=True, slots=True)
class BalanceLock(Pack):
    """What ended orders had claimed stays claimed: `not enough balance` with money in the account."""

    name: ClassVar[str] = "balance_lock"
    report: ClassVar[str] = (
        "py-clob-client-v2 #112, rs-clob-client-v2 #36, py-clob-client #342: a counter that stays up"
    )
    hold_ms: int = 60_000
    lasts_ms: int = 60_000

    def parts(self) -> Iterable[Part]:
        yield Part(LockClaims(self.hold_ms * NS_PER_MS), self.lasts_ms * NS_PER_MS)


@dataclass(frozen=True, slots=True)
class Throttle(Pack):
    """429 with Retry-After to orders, and with `cancels` to cancels too."""

    name: ClassVar[str] = "throttle"
    report: ClassVar[str] = "Polymarket rate limits: 429 Too Many Requests with Retry-After (sections 5.5, 10)"
    lasts_ms: int = 5_000
    cancels: bool = False

    def parts(self) -> Iterable[Part]:
        kinds = SUBMIT | {RequestKind.CANCEL} if self.cancels else SUBMIT
        yield Part(Refuse("429", "Too Many Requests", kinds, limit=True), self.lasts_ms * NS_PER_MS)


@dataclass(frozen=True, slots=True)
class ClockSkew(Pack):
    """The venue's clock is ahead (or, negative, behind): expiries and stamps follow it."""

    name: ClassVar[str] = "clock_skew"
    report: ClassVar[str] = "scenarios/data: recorders' clocks off by up to 1.27 s; Binance -1021 (binary clocks drift)"
    ahead_ms: int = 1_270
    lasts_ms: int = 120_000

    def parts(self) -> Iterable[Part]:
        yield Part(ShiftClock(self.ahead_ms * NS_PER_MS), self.lasts_ms * NS_PER_MS)


@dataclass(frozen=True, slots=True)
class TickChange(Pack):
    """Ticks become finer while orders are under way; the strategy hears of it later than the venue applies it."""

    name: ClassVar[str] = "tick_change"
    report: ClassVar[str] = "py-clob-client #122, #329; clob-client #232, #265: clients with a stale tick are refused"
    divisor: int = 10

    def parts(self) -> Iterable[Part]:
        yield Part(RefineTicks(self.divisor), 0)


@dataclass(frozen=True, slots=True)
class EarlyExpiry(Pack):
    """GTD orders lapse earlier than the venue promises."""

    name: ClassVar[str] = "early_expiry"
    report: ClassVar[str] = "Polymarket drops a GTD order 60 s before its stated time; py-sdk #46, #134 (section 7)"
    early_ms: int = 60_000
    lasts_ms: int = 120_000

    def parts(self) -> Iterable[Part]:
        yield Part(HurryExpiries(self.early_ms * NS_PER_MS), self.lasts_ms * NS_PER_MS)


@dataclass(frozen=True, slots=True)
class ExecutionErrors(Pack):
    """A share of orders is answered 500 `could not run the execution` and not booked."""

    name: ClassVar[str] = "execution_errors"
    report: ClassVar[str] = "py-clob-client #331: up to 60 % of orders, for days"
    share_per_million: int = 600_000
    lasts_ms: int = 60_000

    def parts(self) -> Iterable[Part]:
        refuse = Refuse("500", "could not run the execution", SUBMIT, share_per_million=self.share_per_million)
        yield Part(refuse, self.lasts_ms * NS_PER_MS)


@dataclass(frozen=True, slots=True)
class CancelOnly(Pack):
    """Trading is cancel-only: new orders are refused with a 503."""

    name: ClassVar[str] = "cancel_only"
    report: ClassVar[str] = "Polymarket error codes: 503 cancel-only (section 5.5)"
    lasts_ms: int = 60_000

    def parts(self) -> Iterable[Part]:
        text = "Trading is currently cancel-only. New orders are not accepted, but cancels are allowed."
        yield Part(Refuse("503", text, SUBMIT), self.lasts_ms * NS_PER_MS)


FAILS: Final = {
    "all": ALL,
    "submit": SUBMIT,
    "cancel": frozenset({RequestKind.CANCEL}),
    "query": frozenset({RequestKind.QUERY}),
    "amend": frozenset({RequestKind.AMEND}),
}
RESTING: Final = ("hold", "cancel", "expire")


@dataclass(frozen=True, slots=True)
class Outage(Pack):
    """The venue, or a part of it, is away. `fails`: all, submit, cancel, query, amend (one endpoint), slow (all answers
    `slow_ms` late), stale_book (market data alone). `resting`: what becomes of resting orders: hold, cancel, expire.
    `known`: connections are refused at once; else requests vanish and time out."""

    name: ClassVar[str] = "outage"
    report: ClassVar[str] = (
        "py-clob-client #286 (service not ready), #100 to #262 (blocked at the edge), #180 (stale book)"
    )
    fails: str = "all"
    resting: str = "hold"
    known: bool = False
    slow_ms: int = 3_000
    lasts_ms: int = 30_000

    def __post_init__(self) -> None:
        modes = (*FAILS, "slow", "stale_book")
        if self.fails not in modes:
            raise ConfigError(f"outage: fails = {self.fails!r}", f"one of: {', '.join(modes)}")
        if self.resting not in RESTING:
            raise ConfigError(f"outage: resting = {self.resting!r}", f"one of: {', '.join(RESTING)}")

    def parts(self) -> Iterable[Part]:
        lasts = self.lasts_ms * NS_PER_MS
        if self.resting != "hold":
            yield Part(DropResting("the venue is down", expire=self.resting == "expire"), 0)
        if self.fails == "slow":
            yield Part(Slow(self.slow_ms * NS_PER_MS), lasts)
        elif self.fails == "stale_book":
            yield Part(Freeze(reports=False), lasts)
        else:
            yield Part(LoseRequests(FAILS[self.fails], "refused" if self.known else "swallowed"), lasts)
            if self.fails == "all":
                yield Part(Freeze(), lasts)


_KINDS: Final = (
    EngineRestart, LostAck, LateAck, DuplicateEvents, ShuffledEvents, VoidedFill, StreamFreeze, StreamGap, BalanceLock,
    Throttle, ClockSkew, TickChange, EarlyExpiry, ExecutionErrors, CancelOnly, Outage,
)  # fmt: skip
PACKS: Final[dict[str, type[Pack]]] = {kind.name: kind for kind in _KINDS}
"""Every pack by its name."""
