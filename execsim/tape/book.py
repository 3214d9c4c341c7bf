"""A plain book of one market, rebuilt row by row to look for what is wrong with a tape (never used to simulate)."""

from __future__ import annotations

from heapq import heapify, heappop, heappush

from execsim.tape.schema import Flag, Kind, SideCode

_SNAPSHOT, _LEVEL, _TRADE, _BBO = int(Kind.SNAPSHOT), int(Kind.LEVEL), int(Kind.TRADE), int(Kind.BBO)
_BID, _FIRST, _LAST = int(SideCode.BID), int(Flag.FIRST), int(Flag.LAST)


class _Ladder:
    """Prices of one side, signed so that the best is the least: a set, and a heap that may hold departed prices."""

    __slots__ = ("_heap", "_prices")

    def __init__(self) -> None:
        self._prices: set[int] = set()
        self._heap: list[int] = []

    def put(self, price: int, size: int) -> None:
        if not size:
            self._prices.discard(price)
        elif price not in self._prices:
            self._prices.add(price)
            heappush(self._heap, price)
            if len(self._heap) > 2 * len(self._prices) + 64:
                self._heap = list(self._prices)
                heapify(self._heap)

    def clear(self) -> None:
        self._prices.clear()
        self._heap.clear()

    def best(self) -> int | None:
        heap, prices = self._heap, self._prices
        while heap and heap[0] not in prices:
            heappop(heap)
        return heap[0] if heap else None


class MarketBook:
    """The book of one market and the stretches in which it was crossed, locked or one-sided.

    The state is judged once per venue instant, after its last row, and lasts until the next row: one (start, end) in
    ns in `crossed`, `locked` or `one_sided`. It is not judged before the first snapshot (or best price), inside a gap,
    while a snapshot is incomplete, or after the resolution. `gaps` are those of the
    GAP rows.
    """

    __slots__ = (
        "_asks",
        "_bids",
        "_changed_ns",
        "_gap_ns",
        "_known",
        "_over",
        "_ready",
        "crossed",
        "gaps",
        "locked",
        "one_sided",
        "snapshots",
        "trades",
    )

    def __init__(self) -> None:
        self.crossed: list[tuple[int, int]] = []
        self.locked: list[tuple[int, int]] = []
        self.one_sided: list[tuple[int, int]] = []
        self.gaps: list[tuple[int, int]] = []
        self.snapshots = 0
        self.trades = 0
        self._bids = _Ladder()
        self._asks = _Ladder()
        self._changed_ns = -1
        self._gap_ns: int | None = None
        self._known = False
        self._over = False
        self._ready = False

    def apply(self, ts_ns: int, kind: int, side: int, price_i: int, size_i: int, flags: int) -> None:
        """One row, in tape order."""
        if ts_ns != self._changed_ns:
            if self._known:
                self._judge(ts_ns)
            self._changed_ns = ts_ns
        if kind == _LEVEL:
            if side == _BID:
                self._bids.put(-price_i, size_i)
            else:
                self._asks.put(price_i, size_i)
        elif kind == _TRADE:
            self.trades += 1
        elif kind == _SNAPSHOT:
            if flags & _FIRST:
                self._bids.clear()
                self._asks.clear()
                self._known = False
            if side == _BID:
                self._bids.put(-price_i, size_i)
            else:
                self._asks.put(price_i, size_i)
            if flags & _LAST:
                self.snapshots += 1
                self._ready = True
                self._known = self._gap_ns is None and not self._over
        elif kind == _BBO:
            ladder, price = (self._bids, -price_i) if side == _BID else (self._asks, price_i)
            ladder.clear()
            ladder.put(price, size_i)
            self._ready = True
            self._known = self._gap_ns is None and not self._over
        else:
            self._event(ts_ns, kind, size_i)

    def close(self, end_ns: int) -> None:
        """The tape ends: judge the last instant, end an open gap."""
        if self._known:
            self._judge(end_ns)
        if self._gap_ns is not None:
            self.gaps.append((self._gap_ns, end_ns))

    def _event(self, ts_ns: int, kind: int, size_i: int) -> None:
        if kind == Kind.RESOLVE:
            self._over, self._known = True, False
        elif kind == Kind.GAP and size_i and self._gap_ns is None:
            self._gap_ns, self._known = ts_ns, False
        elif kind == Kind.GAP and not size_i and self._gap_ns is not None:
            self.gaps.append((self._gap_ns, ts_ns))
            self._gap_ns, self._known = None, self._ready and not self._over

    def _judge(self, until_ns: int) -> None:
        bid, ask = self._bids.best(), self._asks.best()
        if bid is None or ask is None:
            self.one_sided.append((self._changed_ns, until_ns))
        elif ask <= -bid:
            (self.locked if ask == -bid else self.crossed).append((self._changed_ns, until_ns))
