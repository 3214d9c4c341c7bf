"""The strategy's books in plain Python: whole books and changed levels from a wire, read as `Books` reads the kernel.

    adapter ──MarketSink──▶ Ladders ──FeedSink──▶ Books ──▶ strategy          Books ──BookReader, Interest──▶ Ladders

For live markets and served ones. A replay's millions of rows go through the kernel instead.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from execsim.core.errors import ConfigError
from execsim.core.events import Depth, Top, Trade
from execsim.core.order import MarketId
from execsim.ports import FeedSink, Levels


class Ladder:
    """One side of a book: sizes by price, and the prices in order. `side` +1 bids, -1 asks."""

    __slots__ = ("_keys", "_lots", "_side")

    def __init__(self, side: int) -> None:
        self._side = side
        self._keys: list[int] = []
        """-side x price, ascending: the best is the first"""
        self._lots: dict[int, int] = {}

    def replace(self, levels: Levels) -> None:
        """Forget what was known: the side is these levels."""
        self._lots = {price_i: lots for price_i, lots in levels if lots > 0}
        self._keys = sorted(-self._side * price_i for price_i in self._lots)

    def put(self, price_i: int, lots: int) -> None:
        """The level shows `lots` now; 0 removes it."""
        key = -self._side * price_i
        if lots > 0:
            if price_i not in self._lots:
                insort(self._keys, key)
            self._lots[price_i] = lots
        elif self._lots.pop(price_i, None) is not None:
            del self._keys[bisect_left(self._keys, key)]

    def best(self) -> tuple[int | None, int]:
        """(price_i, lots), None and 0 for an empty side."""
        if not self._keys:
            return None, 0
        price_i = -self._side * self._keys[0]
        return price_i, self._lots[price_i]

    def levels(self, limit: int) -> tuple[tuple[int, int], ...]:
        """Up to `limit` levels (price_i, lots), best first."""
        prices = (-self._side * key for key in self._keys[:limit])
        return tuple((price_i, self._lots[price_i]) for price_i in prices)


@dataclass(slots=True)
class _Market:
    tick_i: int
    bids: Ladder = field(default_factory=lambda: Ladder(1))
    asks: Ladder = field(default_factory=lambda: Ladder(-1))
    ts_ns: int = 0
    sizes: bool = True
    """somebody wants to know of sizes at the touch, not of its prices alone"""
    top: bool = False
    trades: bool = False
    book: bool = False

    def touch(self) -> tuple[int | None, int, int | None, int]:
        return (*self.bids.best(), *self.asks.best())


class Ladders:
    """A `MarketSink` that keeps books, a `BookReader` that shows them, and an `Interest`: only what is watched is told to
    `sink`. `ticks` are the markets with their ticks at the start; other markets are a ConfigError.

    `sink` is set before the first row, if it needs this object to be made.
    """

    def __init__(self, ticks: Mapping[str, int], sink: FeedSink | None = None) -> None:
        self.sink = sink
        self.ended_ns: int | None = None
        """when the source said that nothing more will come"""
        self._markets = {market: _Market(tick_i) for market, tick_i in ticks.items()}

    def _find(self, market: str) -> _Market:
        found = self._markets.get(market)
        if found is None:
            known = ", ".join(list(self._markets)[:5]) + (", ..." if len(self._markets) > 5 else "")
            raise ConfigError(f"market {market!r} is not part of this run", f"its markets: {known}")
        return found

    # ---------------------------------------------------------------- what is read (BookReader, Interest)
    def top(self, market: str) -> Top:
        found = self._find(market)
        return Top(MarketId(market), found.ts_ns, *found.touch())

    def depth(self, market: str, levels: int) -> Depth:
        found = self._find(market)
        return Depth(MarketId(market), found.ts_ns, found.bids.levels(levels), found.asks.levels(levels))

    def tick_i(self, market: str) -> int:
        return self._find(market).tick_i

    def watch(
        self, market: str, *, top: bool = False, sizes: bool = True, trades: bool = False, book: bool = False
    ) -> None:
        found = self._find(market)
        found.top, found.sizes, found.trades, found.book = top, sizes, trades, book

    # ---------------------------------------------------------------- what comes (MarketSink)
    def on_snapshot(self, market: str, ts_ns: int, bids: Levels, asks: Levels) -> None:
        found = self._find(market)
        before = found.touch()
        found.bids.replace(bids)
        found.asks.replace(asks)
        self._moved(market, found, ts_ns, before)

    def on_levels(self, market: str, ts_ns: int, changes: Sequence[tuple[int, int, int]]) -> None:
        found = self._find(market)
        before = found.touch()
        for side, price_i, lots in changes:
            (found.bids if side > 0 else found.asks).put(price_i, lots)
        self._moved(market, found, ts_ns, before)

    def _moved(self, market: str, found: _Market, ts_ns: int, before: tuple[int | None, int, int | None, int]) -> None:
        found.ts_ns = ts_ns
        if self.sink is None:
            return
        if found.book:
            self.sink.on_book(market, ts_ns)
        after = found.touch()
        if found.top and (after != before if found.sizes else after[::2] != before[::2]):
            self.sink.on_top(market, ts_ns)

    def on_trade(self, trade: Trade) -> None:
        found = self._find(trade.market)
        found.ts_ns = trade.ts_ns
        if found.trades and self.sink is not None:
            self.sink.on_trade(trade)

    def on_tick(self, market: str, ts_ns: int, tick_i: int) -> None:
        found = self._find(market)
        changed, found.tick_i, found.ts_ns = found.tick_i != tick_i, tick_i, ts_ns
        if changed and self.sink is not None:
            self.sink.on_tick(market, ts_ns, tick_i)

    def on_gap(self, market: str, ts_ns: int, open_gap: bool) -> None:
        self._find(market).ts_ns = ts_ns
        if self.sink is not None:
            self.sink.on_gap(market, ts_ns, open_gap)

    def on_resolve(self, market: str, ts_ns: int, payoff_i: int) -> None:
        self._find(market)
        if self.sink is not None:
            self.sink.on_resolve(market, ts_ns, payoff_i)

    def on_end(self, ts_ns: int) -> None:
        self.ended_ns = ts_ns
