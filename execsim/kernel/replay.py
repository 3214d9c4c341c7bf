"""The kernel as Python sees it: owns the arrays, answers questions about books, runs `advance`.

Everything here is O(1) or O(levels asked for); nothing runs per tape row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from execsim.core.errors import ConfigError, InternalError
from execsim.core.order import Cause
from execsim.kernel import layout as L
from execsim.kernel.advance import advance
from execsim.kernel.ladder import get, next_slot, spill_set, take, taken_at
from execsim.kernel.layout import Stop
from execsim.kernel.models import QueueModel, RiskAverse
from execsim.kernel.queue import ahead_at, insert, remove
from execsim.ports import NEVER
from execsim.tape.rows import BIRTH, KIND, KIND_BITS, MARKET, PRICE, SEQ, SIDE, SIZE, TS_LOCAL, TS_VENUE
from execsim.tape.schema import Kind

Int64 = npt.NDArray[np.int64]

CAUSES: Final = {
    L.CAUSE_QUEUE: Cause.QUEUE_DRAINED,
    L.CAUSE_THROUGH: Cause.TRADE_THROUGH,
    L.CAUSE_CROSSED: Cause.CROSSED_BOOK,
}
RISK_AVERSE: Final = RiskAverse()
WINDOW_SLOTS: Final = 16_384
"""ladder window of a market without price bounds; a binary market gets its whole range"""
WINDOW_SLOTS_L1: Final = 64
SPILL_ROWS: Final = 4_096
EMPTY: Final[Int64] = np.zeros((0, 8), np.int64)


def _view(array: Int64) -> memoryview[int]:
    """A memoryview reads one element in half the time NumPy takes (29 against 53 ns)."""
    return memoryview(array)  # type: ignore[arg-type]  # NumPy arrays support the buffer protocol


@dataclass(frozen=True, slots=True)
class MarketSpan:
    """What the kernel must know of a market: the ladder stride (divides every price of the tape), the rounding quantum of
    queue models (divides every size), the tick at the start, the highest price if there is one (binary: 1.0), and the lots
    of one unit of size (logarithmic queue models)."""

    stride: int
    quantum: int
    tick_i: int
    price_end_i: int | None = None
    unit_lots: int = 1


class OwnFill(NamedTuple):
    """One own order filled by the last row: `left` lots remain of it."""

    order: int
    lots: int
    price_i: int
    cause: Cause
    left: int


class QueueMove(NamedTuple):
    """A watched order's lots ahead of it: `before` when last noted, `ahead` after the last row."""

    order: int
    before: int
    ahead: int


class Row(NamedTuple):
    """One tape row in plain integers; `ts_ns` is the time of the view that stopped."""

    ts_ns: int
    market: int
    kind: int
    flags: int
    side: int
    price_i: int
    size: int
    seq: int
    birth: int = 0


class Replay:
    """Books, queue and own orders of every market of a run.

    `queue` is the queue model, `inferred` what inferred prints may do (layout.INFERRED_*), `refill` how what we
    took from a level comes back (layout.REFILL_*; `half_life_ns` for REFILL_DECAY). Errors: ConfigError for a half-life
    that is not positive. Sides are +1 (bids,
    buy) and -1 (asks, sell); views are layout.VENUE and layout.LOCAL; prices are price_i, sizes lots.
    """

    def __init__(
        self,
        spans: Sequence[MarketSpan],
        *,
        queue: QueueModel = RISK_AVERSE,
        inferred: int = L.INFERRED_THROUGH,
        refill: int = L.REFILL_NEVER,
        half_life_ns: int = 0,
    ) -> None:
        if refill == L.REFILL_DECAY and half_life_ns <= 0:
            raise ConfigError(f"a half-life of {half_life_ns} ns", "refill by decay needs a positive one")
        count = len(spans)
        self.spans = tuple(spans)
        self.queue = queue
        self._state: Int64 = np.array([0] * L.STATE_SIZE + list(queue.table()), np.int64)
        self._state[L.QUEUE] = queue.code
        self._state[L.INFERRED] = inferred
        self.refill, self.half_life_ns = refill, half_life_ns
        self._state[L.REFILL], self._state[L.HALF_LIFE] = refill, half_life_ns
        self._markets: Int64 = np.zeros((2 * count, L.MARKET_SIZE), np.int64)
        for column in (L.OWN_BIDS, L.OWN_ASKS, L.PUB_BID, L.PUB_ASK):
            self._markets[:, column] = L.NONE
        self._markets[:, L.STATUS] = 1
        for market, span in enumerate(spans):
            self._markets[2 * market : 2 * market + 2, L.STRIDE] = span.stride
            self._markets[2 * market : 2 * market + 2, L.QUANTUM] = span.quantum
            self._markets[2 * market : 2 * market + 2, L.UNIT] = span.unit_lots
            self._markets[2 * market : 2 * market + 2, L.TICK] = span.tick_i
        self._ladders: Int64 = np.zeros((4 * count, L.LADDER_SIZE), np.int64)
        self._ladders[:, L.BEST] = L.NONE
        self._ladders[:, L.TAKEN] = L.NONE
        self._pool: Int64 = np.zeros(0, np.int64)
        self._spill: Int64 = self._empty_spill(SPILL_ROWS)
        self._orders: Int64 = np.zeros((256, L.ORDER_SIZE), np.int64)
        self._fills: Int64 = np.zeros((256, L.FILL_SIZE), np.int64)
        self._free = list(range(255, -1, -1))
        self._venue_rows: Int64 = EMPTY
        self._local_rows: Int64 = EMPTY
        self._view()

    def _view(self) -> None:
        self._s = _view(self._state)
        self._m = _view(self._markets)
        self._l = _view(self._ladders)
        self._p = _view(self._pool)
        self._o = _view(self._orders)
        self._f = _view(self._fills)

    # ---------------------------------------------------------------- the pass
    def feed(self, venue_rows: Int64, local_rows: Int64) -> None:
        """The next chunk (shapes (n, 8) and (m, 8), or 9 for FIFO queues: see tape.rows). The former one must be used up."""
        if self.queue.code == L.FIFO and len(venue_rows) and venue_rows.shape[1] <= BIRTH:
            raise InternalError("rows without births for FIFO queues: merge them with births=True")
        self._venue_rows, self._local_rows = venue_rows, local_rows
        self._s[L.VENUE_AT] = self._s[L.LOCAL_AT] = 0
        self._s[L.VENUE_END], self._s[L.LOCAL_END] = len(venue_rows), len(local_rows)

    def advance(self, horizon_ns: int) -> Stop:
        """Apply rows up to and including `horizon_ns` or until somebody must act."""
        while True:
            why = advance(
                self._venue_rows, self._local_rows, self._state, self._markets, self._ladders, self._pool, self._spill,
                self._orders, self._fills, horizon_ns,
            )  # fmt: skip
            if why == Stop.ALLOCATE:
                self._allocate()
            elif why == Stop.GROW:
                self._grow_spill()
            else:
                return Stop(why)

    @property
    def now_ns(self) -> int:
        """The kernel's clock: time of the last row applied by the clock of its view, or the horizon reached since."""
        return self._s[L.NOW]

    def pass_time(self, now_ns: int) -> None:
        """The clock shows now_ns: for those who feed rows as they come and do not run to a horizon (refill by decay asks
        how long ago something was taken). Never back."""
        self._s[L.NOW] = max(self._s[L.NOW], now_ns)

    @property
    def rows(self) -> int:
        """Venue rows applied so far."""
        return self._s[L.ROWS]

    @property
    def stop_view(self) -> int:
        return self._s[L.STOP_VIEW]

    @property
    def stop_market(self) -> int:
        return self._s[L.STOP_MARKET]

    @property
    def top_moved(self) -> bool:
        return bool(self._s[L.TOP_MOVED])

    def next_row_ns(self) -> int:
        """Time of the next row at hand of either cursor, NEVER when the chunk is used up."""
        venue_at, local_at = self._s[L.VENUE_AT], self._s[L.LOCAL_AT]
        venue = int(self._venue_rows[venue_at, TS_VENUE]) if venue_at < self._s[L.VENUE_END] else NEVER
        local = int(self._local_rows[local_at, TS_LOCAL]) if local_at < self._s[L.LOCAL_END] else NEVER
        return min(venue, local)

    def stop_row(self) -> Row:
        """The row `advance` stopped at."""
        local = self._s[L.STOP_VIEW] == L.LOCAL
        row = (self._local_rows if local else self._venue_rows)[self._s[L.STOP_ROW]].tolist()
        return Row(
            row[TS_LOCAL] if local else row[TS_VENUE], row[MARKET], row[KIND] & ((1 << KIND_BITS) - 1),
            row[KIND] >> KIND_BITS, row[SIDE], row[PRICE], row[SIZE], row[SEQ],
            row[BIRTH] if len(row) > BIRTH else 0,
        )  # fmt: skip

    def own_fills(self) -> list[OwnFill]:
        """What the last row did to our orders; those with `left` 0 are gone from the book already."""
        found = []
        for i in range(self._s[L.N_FILLS]):
            order, left = self._f[i, L.F_ORDER], self._f[i, L.F_LEFT]
            found.append(
                OwnFill(order, self._f[i, L.F_LOTS], self._f[i, L.F_PRICE], CAUSES[self._f[i, L.F_CAUSE]], left)
            )
        return found

    def queue_moves(self) -> list[QueueMove]:
        """The watched orders that the row `advance` stopped at (QUEUE or FILL) moved: bids, then asks, best price first."""
        f = self._f
        return [QueueMove(f[i, L.MOVED], f[i, L.MOVED_FROM], f[i, L.MOVED_TO]) for i in range(self._s[L.N_MOVES])]

    # ---------------------------------------------------------------- books
    def watch(self, market: int, bits: int) -> None:
        """What to stop for on the strategy's side (layout.WATCH_*)."""
        record = 2 * market + L.LOCAL
        self._m[record, L.WATCH] = bits

    def best(self, view: int, market: int) -> tuple[int | None, int, int | None, int]:
        """(bid, lots, ask, lots); an empty side is None and 0."""
        record = 2 * market + view
        stride = self._m[record, L.STRIDE]
        bid, bid_lots = self._touch(2 * record + L.BIDS)
        ask, ask_lots = self._touch(2 * record + L.ASKS)
        return (
            None if bid == L.NONE else bid * stride, bid_lots,
            None if ask == L.NONE else ask * stride, ask_lots,
        )  # fmt: skip

    def _touch(self, ladder: int) -> tuple[int, int]:
        slot = self._l[ladder, L.BEST]
        if slot == L.NONE:
            return L.NONE, 0
        return slot, self._p[self._l[ladder, L.OFFSET] + slot - self._l[ladder, L.LOW]]

    def levels(self, view: int, market: int, side: int, limit: int) -> list[tuple[int, int]]:
        """Up to `limit` levels (price_i, lots), best first."""
        return [(price, shown) for price, shown, _ in self._walk(view, market, side, limit)]

    def available(self, market: int, side: int) -> Iterator[tuple[int, int]]:
        """Venue levels (price_i, lots) less what we already took, best first, empty ones left out."""
        for price, shown, taken in self._walk(L.VENUE, market, side, None):
            if shown > taken:
                yield price, shown - taken

    def _walk(self, view: int, market: int, side: int, limit: int | None) -> Iterator[tuple[int, int, int]]:
        record = 2 * market + view
        ladder = 2 * record + (L.BIDS if side > 0 else L.ASKS)
        slot, stride, seen = self._l[ladder, L.BEST], self._m[record, L.STRIDE], 0
        while slot != L.NONE and (limit is None or seen < limit):
            shown = int(get(self._ladders, self._pool, self._spill, ladder, slot))
            yield slot * stride, shown, int(taken_at(self._state, self._ladders, self._pool, self._spill, ladder, slot))
            slot = int(next_slot(self._ladders, self._pool, self._spill, ladder, slot))
            seen += 1

    def level(self, view: int, market: int, side: int, price_i: int) -> int:
        """Lots displayed at a price, 0 off the grid of the tape."""
        record = 2 * market + view
        slot, rest = divmod(price_i, self._m[record, L.STRIDE])
        ladder = 2 * record + (L.BIDS if side > 0 else L.ASKS)
        return 0 if rest else int(get(self._ladders, self._pool, self._spill, ladder, slot))

    def consume(self, market: int, side: int, price_i: int, lots: int) -> None:
        """Note in the ledger that we took `lots` from a venue level of `side`."""
        record = 2 * market + L.VENUE
        ladder = 2 * record + (L.BIDS if side > 0 else L.ASKS)
        slot = price_i // self._m[record, L.STRIDE]
        take(self._state, self._ladders, self._pool, self._spill, ladder, slot, lots)

    def has_book(self, view: int, market: int) -> bool:
        return bool(self._m[2 * market + view, L.HAS_BOOK])

    def in_gap(self, view: int, market: int) -> bool:
        return bool(self._m[2 * market + view, L.IN_GAP])

    def trading(self, market: int) -> bool:
        return bool(self._m[2 * market + L.VENUE, L.STATUS])

    def tick_i(self, view: int, market: int) -> int:
        return self._m[2 * market + view, L.TICK]

    def is_blind(self, market: int) -> bool:
        return bool(self._m[2 * market + L.VENUE, L.BLIND])

    def set_blind(self, market: int, blind: bool) -> None:
        """Match nothing at the venue from now on, though rows are applied, or match again. Where our orders stand after
        such a stretch is not known: as after a gap, everything shown counts as ahead of them."""
        record = 2 * market + L.VENUE
        ends = self.is_blind(market) and not blind
        self._m[record, L.BLIND] = int(blind)
        if not ends:
            return
        for side, head in ((1, L.OWN_BIDS), (-1, L.OWN_ASKS)):
            order = self._m[record, head]
            while order != L.NONE:
                price_i = self._o[order, L.PRICE_OF]
                self._o[order, L.AHEAD] = ahead_at(
                    self._state, self._markets, self._ladders, self._pool, self._spill, record, side, price_i
                )
                self._o[order, L.SEEN] = 0
                self._o[order, L.JOINED] = self._m[record, L.LAST_BIRTH]
                order = self._o[order, L.NEXT]

    def set_tick(self, market: int, tick_i: int, views: Sequence[int] = (L.VENUE, L.LOCAL)) -> None:
        for view in views:
            self._m[2 * market + view, L.TICK] = tick_i

    def last_seq(self, market: int) -> int:
        """The venue's last row of this market: evidence of what its book shows now."""
        return self._m[2 * market + L.VENUE, L.LAST_SEQ]

    def last_ns(self, view: int, market: int) -> int:
        """Time of the last row of this market in that view, 0 before the first."""
        return self._m[2 * market + view, L.LAST_TS]

    def last_price(self, view: int, market: int) -> int:
        """Price of the last print, 0 before the first."""
        return self._m[2 * market + view, L.LAST_PRICE]

    # ---------------------------------------------------------------- own orders at the venue
    def rest(self, market: int, side: int, price_i: int, lots: int) -> int:
        """Put an order into the queue behind everything shown at its price; returns its number."""
        if not self._free:
            self._grow_orders()
        order, record = self._free.pop(), 2 * market + L.VENUE
        ahead = ahead_at(self._state, self._markets, self._ladders, self._pool, self._spill, record, side, price_i)
        self._orders[order] = (1, market, side, price_i, lots, ahead, 0, L.NONE, 0, 0, self._m[record, L.LAST_BIRTH])
        insert(self._markets, self._orders, record, order)
        return order

    def drop(self, order: int) -> int:
        """Take an order out of the book and free its number; returns the lots that were left."""
        left = self._o[order, L.LEFT]
        if self._o[order, L.LIVE]:
            remove(self._markets, self._orders, order)
        self.watch_queue(order, 0)
        self._free.append(order)
        return left

    def shrink(self, order: int, lots: int) -> None:
        """Lower an order to `lots` left; it keeps its place."""
        if lots > self._o[order, L.LEFT]:
            raise InternalError(f"shrink to {lots} lots, but {self._o[order, L.LEFT]} are left")
        self._o[order, L.LEFT] = lots

    def left(self, order: int) -> int:
        return self._o[order, L.LEFT]

    def ahead(self, order: int) -> int:
        """Lots ahead of an own order in its queue."""
        return self._o[order, L.AHEAD]

    def watch_queue(self, order: int, lots: int) -> None:
        """Stop (QUEUE) whenever the lots ahead of an own order have fallen by `lots` or more since now or the last such
        stop, or have risen (after a gap); 0 stops watching it. Errors: InternalError below 0."""
        if lots < 0:
            raise InternalError(f"watch_queue by {lots} lots")
        self._s[L.WATCHING] += (lots > 0) - (self._o[order, L.NOTICE] > 0)
        self._o[order, L.NOTICE], self._o[order, L.NOTED] = lots, self._o[order, L.AHEAD]

    def unknown_births(self, market: int) -> int:
        """How often FIFO queues of ours saw a level shrink by an order of unknown birth: there they are estimates."""
        return self._m[2 * market + L.VENUE, L.UNKNOWN]

    # ---------------------------------------------------------------- room
    def _allocate(self) -> None:
        market, view = self._s[L.STOP_MARKET], self._s[L.STOP_VIEW]
        rows = self._local_rows if view == L.LOCAL else self._venue_rows
        row = rows[self._s[L.STOP_ROW]]
        span, kind = self.spans[market], int(row[KIND]) & ((1 << KIND_BITS) - 1)
        slot = int(row[PRICE]) // span.stride
        if span.price_end_i is not None:
            width, low = span.price_end_i // span.stride + 1, 0
        else:
            width = WINDOW_SLOTS_L1 if kind == Kind.BBO else WINDOW_SLOTS
            low = max(0, slot - width // 2)
        ledgers = 2 if view == L.VENUE else 0
        start = len(self._pool)
        self._pool = np.concatenate([self._pool, np.zeros((2 + ledgers) * width, np.int64)])
        for side in range(2):
            ladder = 2 * (2 * market + view) + side
            self._ladders[ladder, L.OFFSET] = start + side * width
            self._ladders[ladder, L.WIDTH], self._ladders[ladder, L.LOW] = width, low
            if ledgers:
                self._ladders[ladder, L.TAKEN] = start + (2 + side) * width
        self._view()

    @staticmethod
    def _empty_spill(rows: int) -> Int64:
        table = np.zeros((rows, 2), np.int64)
        table[:, 0] = L.NONE
        return table

    def _grow_spill(self) -> None:
        old = self._spill
        live = old[(old[:, 0] != L.NONE) & (old[:, 1] > 0)]
        rows = len(old) if 4 * len(live) < len(old) else 2 * len(old)
        while 2 * (len(live) + self._s[L.SPILL_NEED]) > rows:
            rows *= 2
        self._spill = self._empty_spill(rows)
        self._state[L.SPILL_USED] = 0
        self._ladders[:, L.SPILLED] = 0
        mask = (1 << 44) - 1
        for key, lots in live.tolist():
            spill_set(self._state, self._ladders, self._spill, key >> 44, key & mask, lots)

    def _grow_orders(self) -> None:
        old = len(self._orders)
        self._orders = np.concatenate([self._orders, np.zeros_like(self._orders)])
        self._fills = np.zeros((2 * old, L.FILL_SIZE), np.int64)
        self._free = list(range(2 * old - 1, old - 1, -1))
        self._view()


def warm_up() -> None:
    """Load the compiled kernel, or compile it: so that a run's clock does not include it."""
    replay = Replay([MarketSpan(1, 1, 1, 10)])
    row = np.array([[0, 0, 0, int(Kind.LEVEL), 1, 5, 1, 0]], np.int64)
    replay.feed(row, row)
    replay.advance(NEVER - 1)
    replay.drop(replay.rest(0, 1, 4, 1))
    list(replay.available(0, 1))
    replay.consume(0, 1, 5, 0)
