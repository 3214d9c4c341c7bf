"""Paper trading: live market data as rows of the venue's book, a stated hold behind the wall, and the latencies for it.

    MarketSink (as received) ──▶ PaperMarket ──rows, each at its venue time on the exchange's clock──▶ kernel ──▶ Exchange

At wall time T the venue's book at T is not known yet: the messages that tell it are on their way. So the exchange's clock is
`hold_ns` behind the wall, and a row of venue time t is applied when that clock shows t, wall t + hold. An order sent at T
arrives when it shows T + entry latency: it is judged by all rows of venue times up to then that were received within the
hold, and by no later one. Its answer is known to us at the arrival + hold at the earliest.

A row that is received after the exchange's clock has passed its time is late: it is applied at once, at the time the clock
shows then, flagged (Flag.CLOCK_VENUE) and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from execsim.core.errors import DataError
from execsim.core.events import Trade
from execsim.core.instrument import Outcome
from execsim.core.units import NOTIONAL_MAX, NS_PER_S
from execsim.exchange.latency import Latency, LatencyModel, Sampler
from execsim.exchange.market import MarketHandler, tell_venue
from execsim.kernel import Replay, Stop
from execsim.ports import NEVER, Levels, Priority, Rng, Runtime
from execsim.tape.rows import KIND_BITS, WIDTH, Ints
from execsim.tape.schema import FLOOR_NS, Flag, Kind, SideCode

BUCKET_NS: Final = 60 * NS_PER_S
"""Window of the clock estimate, as the importers' (tape/clock.py)."""

Row = tuple[int, int, int, int, int, int]
"""market, kind, flags, side, price_i, lots"""


# -------------------------------------------------------------------- latencies
class MovedSampler:
    """Another sampler, asked for the times `ahead_ns` later; its delays moved by `ns`, never below 0."""

    __slots__ = ("_ahead_ns", "_inner", "_ns")

    def __init__(self, inner: Sampler, ns: int, ahead_ns: int) -> None:
        self._inner, self._ns, self._ahead_ns = inner, ns, ahead_ns

    def next(self, now_ns: int) -> int:
        return max(0, self._inner.next(now_ns + self._ahead_ns) + self._ns)

    def many(self, times_ns: Any) -> Any:
        return np.maximum(0, self._inner.many(times_ns + self._ahead_ns) + self._ns)


@dataclass(frozen=True, slots=True)
class Moved:
    """Another latency, moved by `ns` (which may be negative)."""

    inner: Latency
    ns: int
    ahead_ns: int = 0

    def sampler(self, rng: Rng) -> MovedSampler:
        return MovedSampler(self.inner.sampler(rng), self.ns, self.ahead_ns)

    @property
    def about(self) -> str:
        return self.inner.about


def held(latency: LatencyModel, hold_ns: int) -> LatencyModel:
    """The same ways to and from an exchange whose clock is `hold_ns` behind those who send.

    What is sent at wall T has to arrive when that clock shows T + entry: hold + entry later. An answer given when it shows
    J is due at wall J + response, but is not known before J + hold: max(0, response - hold) later.
    """
    return replace(
        latency,
        entry=Moved(latency.entry, hold_ns, hold_ns),
        kinds={kind: Moved(each, hold_ns, hold_ns) for kind, each in latency.kinds.items()},
        response=Moved(latency.response, -hold_ns),
    )


# -------------------------------------------------------------------- clocks
class VenueClock:
    """What a venue's timestamps are on our clock, as messages come: the rule of tape/clock.py with the past alone.

    The least receive time - venue time of this and the last minute that had messages is the network's least latency. If it
    is below FLOOR_NS the venue's clock is ahead of ours by at least the difference, and venue times are moved back by it. A
    plausible clock is left alone: one that is behind ours cannot be told from a slow network.
    """

    def __init__(self) -> None:
        self._bucket = -1
        self._least = self._least_before = NEVER
        self.shift_ns_max = 0
        """largest correction so far"""

    def ours_ns(self, venue_ns: int, received_ns: int) -> int:
        """The row's venue time on our clock: never after `received_ns` - FLOOR_NS. Receive times do not decrease."""
        bucket = received_ns // BUCKET_NS
        if bucket != self._bucket:
            self._bucket = bucket
            self._least_before, self._least = self._least, NEVER
        self._least = min(self._least, received_ns - venue_ns)
        shift_ns = max(0, FLOOR_NS - min(self._least, self._least_before))
        self.shift_ns_max = max(self.shift_ns_max, shift_ns)
        return venue_ns - shift_ns


# -------------------------------------------------------------------- rows
@dataclass(slots=True)
class Late:
    """Rows that came after their time. `worst_ns`: by how much the latest; `slowest_ns`: the longest way of any message from
    its venue time to us, late or not: the hold that would have been enough."""

    rows: int = 0
    messages: int = 0
    worst_ns: int = 0
    slowest_ns: int = 0
    fills: int = 0
    """fills of resting orders by such rows"""


@dataclass(slots=True)
class _Market:
    """A market as received. Sides: price_i -> lots."""

    index: int
    bids: dict[int, int] = field(default_factory=dict)
    asks: dict[int, int] = field(default_factory=dict)
    known: bool = False
    """a whole book has come since the beginning or the last gap"""
    in_gap: bool = False
    last_ns: int = 0
    """venue time of its last row"""


class PaperMarket:
    """A `MarketSink` that moves the venue's side of a kernel. `clock` is the exchange's, `now_ns` the wall's; `markets` by
    the kernel's index; `handler` hears what rows do (the exchange)."""

    def __init__(
        self,
        clock: Runtime,
        now_ns: Callable[[], int],
        kernel: Replay,
        markets: Mapping[int, str],
        handler: MarketHandler,
    ) -> None:
        self._clock = clock
        self._now_ns = now_ns
        self._kernel = kernel
        self._handler = handler
        self._markets = {name: _Market(index) for index, name in markets.items()}
        self._due: dict[int, list[Row]] = {}
        """rows by the time of the exchange's clock at which they are applied: each has a timer"""
        self._seq = 0
        self.venue_clock = VenueClock()
        self.late = Late()
        self.gaps = 0

    @property
    def rows(self) -> int:
        """Rows received so far."""
        return self._seq + sum(len(rows) for rows in self._due.values())

    # ---------------------------------------------------------------- what comes (MarketSink)
    def on_snapshot(self, market: str, ts_ns: int, bids: Levels, asks: Levels) -> None:
        """The first book, and one that ends a gap, become a snapshot; any other the levels it changes, as importers do:
        queues keep their places."""
        found = self._markets[market]
        new_bids, new_asks = ({price_i: lots for price_i, lots in side if lots > 0} for side in (bids, asks))
        if found.known:
            changes = [*_changes(1, found.bids, new_bids), *_changes(-1, found.asks, new_asks)]
            changes.sort(key=lambda change: change[2] > 0)  # what is gone goes first: the book never crosses
            self._change(found, ts_ns, changes)
            return
        found.bids, found.asks = new_bids, new_asks
        levels = [(1, *level) for level in new_bids.items()] + [(-1, *level) for level in new_asks.items()]
        rows: list[Row] = []
        if found.in_gap:
            rows.append((found.index, Kind.GAP, 0, SideCode.NONE, 0, 0))
        resync = Flag.RESYNC if found.in_gap else Flag(0)
        found.known, found.in_gap = True, False
        levels = levels or [(0, 0, 0)]
        for number, (side, price_i, lots) in enumerate(levels):
            flags = (Flag.FIRST | resync if number == 0 else 0) | (Flag.LAST if number == len(levels) - 1 else 0)
            rows.append((found.index, Kind.SNAPSHOT, int(flags), side, price_i, lots))
        # an opening book is as old as its last change and has held since: no row of it is late
        self._put(found, self._ours_ns(ts_ns), rows, opens=True)

    def on_levels(self, market: str, ts_ns: int, changes: Sequence[tuple[int, int, int]]) -> None:
        found = self._markets[market]
        if found.known:
            self._change(found, ts_ns, changes)

    def _change(self, found: _Market, ts_ns: int, changes: Sequence[tuple[int, int, int]]) -> None:
        rows: list[Row] = []
        for side, price_i, lots in changes:
            shown = found.bids if side > 0 else found.asks
            if shown.get(price_i, 0) == lots:
                continue
            if lots:
                shown[price_i] = lots
            else:
                del shown[price_i]
            rows.append((found.index, Kind.LEVEL, 0, side, price_i, lots))
        if rows:
            rows[-1] = (*rows[-1][:2], int(Flag.LAST), *rows[-1][3:])
            self._put(found, self._ours_ns(ts_ns), rows)

    def on_trade(self, trade: Trade) -> None:
        flags = (Flag.NO_TOKEN if trade.outcome is Outcome.NO else 0) | (Flag.INFERRED if trade.inferred else 0)
        side = 0 if trade.aggressor is None else trade.aggressor.sign
        found = self._markets[trade.market]
        row = (found.index, Kind.TRADE, int(flags), side, trade.price_i, trade.lots)
        self._put(found, self._ours_ns(trade.ts_ns), [row])

    def on_tick(self, market: str, ts_ns: int, tick_i: int) -> None:
        found = self._markets[market]
        self._put(found, self._ours_ns(ts_ns), [(found.index, Kind.TICK, 0, SideCode.NONE, tick_i, 0)])

    def on_gap(self, market: str, ts_ns: int, open_gap: bool) -> None:
        """A gap begins after the last row that is known, as far as the exchange's clock has not passed that; it ends with
        the next whole book."""
        found = self._markets[market]
        if open_gap and not found.in_gap:
            found.known, found.in_gap = False, True
            self.gaps += 1
            self._put(found, found.last_ns + 1, [(found.index, Kind.GAP, 0, SideCode.NONE, 0, 1)], opens=True)

    def on_resolve(self, market: str, ts_ns: int, payoff_i: int) -> None:
        found = self._markets[market]
        self._put(found, self._ours_ns(ts_ns), [(found.index, Kind.RESOLVE, 0, SideCode.NONE, payoff_i, 0)])

    def on_end(self, ts_ns: int) -> None:
        """The books stand still from here on."""

    # ---------------------------------------------------------------- to the kernel
    def _ours_ns(self, ts_ns: int) -> int:
        return self.venue_clock.ours_ns(ts_ns, self._now_ns())

    def _put(self, found: _Market, ts_ns: int, rows: list[Row], opens: bool = False) -> None:
        """Apply these rows when the exchange's clock shows their time; at once if it has passed. `opens`: they say from
        when on the book is known or unknown, so that they cannot be late.
        Errors: DataError for a level or print that is worth NOTIONAL_MAX or more."""
        for row in rows:
            if row[4] * row[5] >= NOTIONAL_MAX:
                raise DataError("the feed", f"{row[5]} lots at {row[4]} price units", "no such size is worked with")
        now_ns = self._clock.now_ns()
        found.last_ns = at_ns = max(ts_ns, found.last_ns, now_ns)
        late = self.late
        if not opens:
            late.slowest_ns = max(late.slowest_ns, self._now_ns() - ts_ns)
        if ts_ns < now_ns and not opens:
            late.rows += len(rows)
            late.messages += 1
            late.worst_ns = max(late.worst_ns, now_ns - ts_ns)
            rows = [(row[0], row[1], row[2] | int(Flag.CLOCK_VENUE), *row[3:]) for row in rows]
        due = self._due.get(at_ns)
        if due is None:
            self._due[at_ns] = rows
            # one timer an instant, set now: among timers that are overdue together it keeps its place by its time
            self._clock.call_at(at_ns, self._apply, at_ns, priority=Priority.TAPE)
        else:
            due += rows

    def _apply(self, at_ns: int) -> None:
        """Trades before everything else of their instant, as on a tape."""
        rows = sorted(self._due.pop(at_ns), key=lambda row: row[1] != Kind.TRADE)
        matrix: Ints = np.empty((len(rows), WIDTH), np.int64)
        for number, (market, kind, flags, side, price_i, lots) in enumerate(rows):
            matrix[number] = (at_ns, at_ns, market, kind | flags << KIND_BITS, side, price_i, lots, self._seq + number)
        self._seq += len(rows)
        kernel = self._kernel
        kernel.feed(matrix, np.empty((0, WIDTH), np.int64))
        while (why := kernel.advance(NEVER - 1)) is not Stop.CHUNK:
            if why is Stop.FILL and kernel.stop_row().flags & Flag.CLOCK_VENUE:
                self.late.fills += len(kernel.own_fills())
            tell_venue(kernel, self._handler, why)

    # ---------------------------------------------------------------- what is known
    def book(self, market: str) -> tuple[Levels, Levels, bool]:
        """(bids, asks, whether they are known) as received last, best first."""
        found = self._markets[market]
        return sorted(found.bids.items(), reverse=True), sorted(found.asks.items()), found.known


def _changes(side: int, before: Mapping[int, int], after: Mapping[int, int]) -> list[tuple[int, int, int]]:
    """(side, price_i, lots) of every level that differs, those that are gone first."""
    gone = [(side, price_i, 0) for price_i in sorted(before.keys() - after.keys())]
    return gone + [(side, price_i, lots) for price_i, lots in after.items() if before.get(price_i) != lots]
