"""What a fault does while it lasts. An effect is its parameters; the desk asks the active ones about every message.

Hooks that an effect does not override leave everything as it is. `begin` and `end` pull the venue's levers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from execsim.core.errors import ExecError, RateLimitExceeded, VenueError
from execsim.core.events import VenueEvent
from execsim.core.request import RequestKind
from execsim.core.units import NS_PER_S
from execsim.ports import Rng

MILLION: Final = 1_000_000
ALL: Final = frozenset(RequestKind)
SUBMIT: Final = frozenset({RequestKind.PLACE, RequestKind.BATCH, RequestKind.AMEND})


class Levers(Protocol):
    """What of a venue a fault can move."""

    @property
    def venue_id(self) -> str: ...

    def drop_resting(self, reason: str, expire: bool) -> None:
        """Cancel (or expire) every resting order."""

    def shift_clock(self, ns: int) -> None:
        """Move the venue's clock by ns, against what it is now."""

    def hurry_expiries(self, ns: int) -> None:
        """Let GTD orders lapse ns earlier than now."""

    def refine_ticks(self, divisor: int) -> None:
        """Make the tick of every market finer by `divisor`, where the market's grid allows it."""

    def mute_feed(self, tell_gap: bool) -> None:
        """Market data stops reaching the trader; `tell_gap`: and the trader is told."""

    def unmute_feed(self) -> None:
        """Market data flows again; what was missed is missed, the book is read anew."""

    def lock_claims(self, ns: int, on: bool) -> None:
        """From now on (`on`), or no longer, what ended orders claimed stays claimed for ns more. The longest counts."""

    def fail_matches(self, per_million: int, on: bool) -> None:
        """From now on (`on`), or no longer, so many of a million matches fail on chain, besides the chain's own rate. The
        largest counts."""


class Effect:
    """Nothing. Subclasses are dataclasses of parameters that override what they change (one step deep: the hooks)."""

    freezes: bool = False
    """whether reports are held back while it lasts"""

    def begin(self, levers: Levers) -> None:
        """It starts."""

    def end(self, levers: Levers) -> None:
        """It is over."""

    def loses(self, kind: RequestKind, rng: Rng) -> str | None:
        """ "refused" or "swallowed" if the request does not get there."""
        return None

    def slow_ns(self, kind: RequestKind) -> int:
        """How much longer the request takes to get there."""
        return 0

    def refusal(self, kind: RequestKind, post_only: bool, venue: str, left_ns: int, rng: Rng) -> ExecError | None:
        """Why the door refuses it; `left_ns` until the effect ends."""
        return None

    def answer(self, kind: RequestKind, rng: Rng) -> tuple[bool, int]:
        """(lost, late by ns)."""
        return False, 0

    def copies(self, event: VenueEvent, rng: Rng) -> Sequence[int]:
        """Extra ns of each copy of a report; (0,) is the report itself."""
        return (0,)


@dataclass(frozen=True, slots=True)
class Refuse(Effect):
    """Requests of `kinds` are refused in the venue's words; `post_only_passes`: but not post-only orders and cancels.
    `limit`: as a rate limit, with Retry-After; `share_per_million` of them."""

    code: str
    text: str
    kinds: frozenset[RequestKind] = ALL
    post_only_passes: bool = False
    limit: bool = False
    share_per_million: int = MILLION

    def refusal(self, kind: RequestKind, post_only: bool, venue: str, left_ns: int, rng: Rng) -> ExecError | None:
        if kind not in self.kinds or (self.post_only_passes and (post_only or kind not in SUBMIT)):
            return None
        if self.share_per_million < MILLION and rng.below(MILLION) >= self.share_per_million:
            return None
        if self.limit:
            return RateLimitExceeded(venue, self.text, left_ns)
        seconds = -(-left_ns // NS_PER_S)
        return VenueError(venue, self.code, self.text.replace("{retry}", str(seconds)))


@dataclass(frozen=True, slots=True)
class LoseRequests(Effect):
    """Requests of `kinds` do not reach the venue: "refused" (connection refused: known) or "swallowed" (unknown)."""

    kinds: frozenset[RequestKind] = ALL
    how: str = "swallowed"

    def loses(self, kind: RequestKind, rng: Rng) -> str | None:
        return self.how if kind in self.kinds else None


@dataclass(frozen=True, slots=True)
class Slow(Effect):
    """Requests of `kinds` take `ns` longer."""

    ns: int
    kinds: frozenset[RequestKind] = ALL

    def slow_ns(self, kind: RequestKind) -> int:
        return self.ns if kind in self.kinds else 0


@dataclass(frozen=True, slots=True)
class LoseAnswers(Effect):
    """The venue does what it was asked and the answer is lost."""

    kinds: frozenset[RequestKind] = frozenset({RequestKind.PLACE, RequestKind.BATCH})
    share_per_million: int = MILLION

    def answer(self, kind: RequestKind, rng: Rng) -> tuple[bool, int]:
        if kind not in self.kinds:
            return False, 0
        return self.share_per_million == MILLION or rng.below(MILLION) < self.share_per_million, 0


@dataclass(frozen=True, slots=True)
class DelayAnswers(Effect):
    """Answers to `kinds` come `ns` late."""

    ns: int
    kinds: frozenset[RequestKind] = frozenset({RequestKind.PLACE, RequestKind.BATCH})

    def answer(self, kind: RequestKind, rng: Rng) -> tuple[bool, int]:
        return False, self.ns if kind in self.kinds else 0


@dataclass(frozen=True, slots=True)
class RepeatReports(Effect):
    """Every report comes `copies` times, `gap_ns` apart."""

    times: int = 2
    gap_ns: int = 50_000_000

    def copies(self, event: VenueEvent, rng: Rng) -> Sequence[int]:
        return tuple(i * self.gap_ns for i in range(self.times))


@dataclass(frozen=True, slots=True)
class ShuffleReports(Effect):
    """Every report takes up to `within_ns` longer, drawn for each: reports overtake one another and the answers."""

    within_ns: int

    def copies(self, event: VenueEvent, rng: Rng) -> Sequence[int]:
        return (rng.below(self.within_ns + 1),)


@dataclass(frozen=True, slots=True)
class Freeze(Effect):
    """Streams go silent: reports are held (`reports`), market data does not come (`feed`), and nobody says so, or, with
    `tell_gap`, the trader is told of a gap."""

    reports: bool = True
    feed: bool = True
    tell_gap: bool = False

    @property
    def freezes(self) -> bool:  # type: ignore[override]  # a parameter here
        return self.reports

    def begin(self, levers: Levers) -> None:
        if self.feed:
            levers.mute_feed(self.tell_gap)

    def end(self, levers: Levers) -> None:
        if self.feed:
            levers.unmute_feed()


@dataclass(frozen=True, slots=True)
class DropResting(Effect):
    """Resting orders are gone at the beginning: cancelled or expired."""

    reason: str
    expire: bool = False

    def begin(self, levers: Levers) -> None:
        levers.drop_resting(self.reason, self.expire)


@dataclass(frozen=True, slots=True)
class FailMatches(Effect):
    """Matches fail on chain."""

    per_million: int = MILLION

    def begin(self, levers: Levers) -> None:
        levers.fail_matches(self.per_million, True)

    def end(self, levers: Levers) -> None:
        levers.fail_matches(self.per_million, False)


@dataclass(frozen=True, slots=True)
class LockClaims(Effect):
    """What ended orders had claimed is not given back for `ns`."""

    ns: int

    def begin(self, levers: Levers) -> None:
        levers.lock_claims(self.ns, True)

    def end(self, levers: Levers) -> None:
        levers.lock_claims(self.ns, False)


@dataclass(frozen=True, slots=True)
class ShiftClock(Effect):
    """The venue's clock is off by `ns`."""

    ns: int

    def begin(self, levers: Levers) -> None:
        levers.shift_clock(self.ns)

    def end(self, levers: Levers) -> None:
        levers.shift_clock(-self.ns)


@dataclass(frozen=True, slots=True)
class HurryExpiries(Effect):
    """GTD orders lapse `ns` earlier than promised."""

    ns: int

    def begin(self, levers: Levers) -> None:
        levers.hurry_expiries(self.ns)

    def end(self, levers: Levers) -> None:
        levers.hurry_expiries(-self.ns)


@dataclass(frozen=True, slots=True)
class RefineTicks(Effect):
    """Ticks become finer by `divisor`, for good: they never get coarser again (polymarket.md section 7)."""

    divisor: int = 10

    def begin(self, levers: Levers) -> None:
        levers.refine_ticks(self.divisor)


@dataclass(slots=True, eq=False)
class Active:
    """An effect at work: `only` an order if the schedule named one, else everything; `until_ns` when it ends."""

    effect: Effect
    only: str | None
    until_ns: int
    pack: str = ""
