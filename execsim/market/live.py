"""`LiveBooks`: books kept from market data as it comes over a wire, for runs whose market is not in this process.

    adapter ──MarketSink──▶ LiveBooks ──FeedSink──▶ Books ──▶ strategies        reads come back as BookReader

A book is known from its first snapshot on. In a gap it stays as it was (`Books.in_gap` says so) until the next snapshot.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from heapq import nlargest, nsmallest

from execsim.core.events import Depth, Top, Trade
from execsim.core.instrument import Instrument
from execsim.core.order import MarketId
from execsim.market.books import Books
from execsim.ports import Levels, Runtime


class LiveBook:
    """One market's levels: price_i -> lots, and the best prices."""

    __slots__ = ("ask_i", "asks", "bid_i", "bids", "tick_i", "ts_ns")

    def __init__(self, tick_i: int) -> None:
        self.bids: dict[int, int] = {}
        self.asks: dict[int, int] = {}
        self.bid_i: int | None = None
        self.ask_i: int | None = None
        self.ts_ns = 0
        self.tick_i = tick_i

    def replace(self, bids: Levels, asks: Levels) -> None:
        self.bids, self.asks = dict(bids), dict(asks)
        self.bid_i = max(self.bids, default=None)
        self.ask_i = min(self.asks, default=None)

    def change(self, side: int, price_i: int, lots: int) -> None:
        """Set one level; the best price is looked for anew only when it went away."""
        levels = self.bids if side > 0 else self.asks
        if lots:
            levels[price_i] = lots
            if side > 0:
                self.bid_i = price_i if self.bid_i is None else max(self.bid_i, price_i)
            else:
                self.ask_i = price_i if self.ask_i is None else min(self.ask_i, price_i)
        elif levels.pop(price_i, None) is not None:
            if price_i == self.bid_i and side > 0:
                self.bid_i = max(levels, default=None)
            elif price_i == self.ask_i and side < 0:
                self.ask_i = min(levels, default=None)

    @property
    def touch(self) -> tuple[int | None, int, int | None, int]:
        bid_i, ask_i = self.bid_i, self.ask_i
        bid_lots = 0 if bid_i is None else self.bids[bid_i]
        return bid_i, bid_lots, ask_i, 0 if ask_i is None else self.asks[ask_i]


class LiveBooks:
    """A `MarketSink` that is also the `BookReader` and the `Interest` of its `books`. Times that strategies see are the
    run's own: when the news came. Markets that are not among the instruments are not heard.

    `on_ended` is called once, when the venue says that nothing more will come.
    """

    def __init__(
        self, runtime: Runtime, instruments: Mapping[str, Instrument], on_ended: Callable[[], None] = lambda: None
    ) -> None:
        self._runtime = runtime
        self._books = {market: LiveBook(instrument.tick_i) for market, instrument in instruments.items()}
        self._on_ended = on_ended
        self.books = Books(runtime, self, self, list(instruments))
        self.rows = 0
        """messages heard"""

    # BookReader

    def top(self, market: str) -> Top:
        book = self._books[market]
        return Top(MarketId(market), book.ts_ns, *book.touch)

    def depth(self, market: str, levels: int) -> Depth:
        book = self._books[market]
        bids = tuple((price_i, book.bids[price_i]) for price_i in nlargest(levels, book.bids))
        asks = tuple((price_i, book.asks[price_i]) for price_i in nsmallest(levels, book.asks))
        return Depth(MarketId(market), book.ts_ns, bids, asks)

    def tick_i(self, market: str) -> int:
        return self._books[market].tick_i

    # Interest

    def watch(
        self, market: str, *, top: bool = False, sizes: bool = True, trades: bool = False, book: bool = False
    ) -> None:
        """Everything comes anyway: a stream nobody reads costs a call."""

    # MarketSink

    def on_snapshot(self, market: str, ts_ns: int, bids: Levels, asks: Levels) -> None:
        book = self._books.get(market)
        if book is None:
            return
        before = book.touch
        book.replace(bids, asks)
        self._moved(market, book, before)

    def on_levels(self, market: str, ts_ns: int, changes: Sequence[tuple[int, int, int]]) -> None:
        book = self._books.get(market)
        if book is None:
            return
        before = book.touch
        for change in changes:
            book.change(*change)
        self._moved(market, book, before)

    def _moved(self, market: str, book: LiveBook, before: tuple[int | None, int, int | None, int]) -> None:
        self.rows += 1
        book.ts_ns = now_ns = self._runtime.now_ns()
        if book.touch != before:
            self.books.on_top(market, now_ns)
        self.books.on_book(market, now_ns)

    def on_trade(self, trade: Trade) -> None:
        if trade.market in self._books:
            self.rows += 1
            self.books.on_trade(trade)

    def on_tick(self, market: str, ts_ns: int, tick_i: int) -> None:
        book = self._books.get(market)
        if book is not None:
            self.rows += 1
            book.tick_i = tick_i
            self.books.on_tick(market, self._runtime.now_ns(), tick_i)

    def on_gap(self, market: str, ts_ns: int, open_gap: bool) -> None:
        if market in self._books:
            self.rows += 1
            self.books.on_gap(market, self._runtime.now_ns(), open_gap)

    def on_resolve(self, market: str, ts_ns: int, payoff_i: int) -> None:
        if market in self._books:
            self.rows += 1
            self.books.on_resolve(market, self._runtime.now_ns(), payoff_i)

    def on_end(self, ts_ns: int) -> None:
        self.books.end()
        self._on_ended()
