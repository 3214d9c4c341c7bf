"""`Books`: what a strategy sees of the markets. A feed tells it what moved; it reads the books itself.

The feed stops only for what somebody reads: each subscription that opens or closes is passed on as the union of what
is read of that market now (`Interest.watch`), so a strategy pays only for what it waits for.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from execsim.core.errors import ConfigError
from execsim.core.events import Depth, Top, Trade
from execsim.market.streams import MarketStream, StateStream, TradeStream
from execsim.ports import NEVER, BookReader, Interest, Runtime

NO_TOP: Final = (None, 0, None, 0)
NO_BOOK: Final[tuple[Any, Any]] = ((), ())


class _Market:
    """Who reads one market, and what is known of it besides its book."""

    __slots__ = ("books", "heard_ns", "in_gap", "name", "payoff_i", "prices", "tops", "trades", "watched")

    def __init__(self, name: str) -> None:
        self.name = name
        self.heard_ns: int | None = None
        self.in_gap = False
        self.payoff_i: int | None = None
        self.tops: list[StateStream[Top]] = []
        self.prices: list[StateStream[Top]] = []
        self.trades: list[TradeStream] = []
        self.books: list[StateStream[Depth]] = []
        self.watched = (False, False, False, False)

    @property
    def streams(self) -> list[MarketStream[Any]]:
        return [*self.tops, *self.prices, *self.trades, *self.books]


class Books:
    """The strategy's market data (`BookView`), fed by a feed (`FeedSink`); the same object in all three modes.

    `reader` reads the strategy-side books directly; `markets` are those of the run: any other name is a ConfigError.
    A resolved market's streams end; all streams end when the feed does (`end`).
    """

    def __init__(self, runtime: Runtime, reader: BookReader, interest: Interest, markets: Sequence[str]) -> None:
        self._runtime = runtime
        self._reader = reader
        self._interest = interest
        self._markets = {name: _Market(name) for name in markets}
        self._ended = False

    # What strategies read (BookView)

    def top(self, market: str) -> Top:
        self._find(market)
        return self._reader.top(market)

    def depth(self, market: str, levels: int = 10) -> Depth:
        self._find(market)
        return self._reader.depth(market, _positive(levels))

    def tick_i(self, market: str) -> int:
        self._find(market)
        return self._reader.tick_i(market)

    def tops(self, market: str, sizes: bool = True) -> StateStream[Top]:
        """Each change of best price or size (`sizes` False: of price only), the present one first; conflated."""
        found = self._find(market)
        read, key = partial(self._reader.top, market), _top_key if sizes else _price_key
        stream = StateStream(
            self._runtime, f"top of {market}", partial(self._leave, found), read, key, NO_TOP[:: 1 if sizes else 2]
        )
        self._open(found, found.tops if sizes else found.prices, stream)
        return stream

    def trades(self, market: str) -> TradeStream:
        """Every print from now on, queued up to `TRADE_QUEUE_MAX`."""
        found = self._find(market)
        stream = TradeStream(self._runtime, market, partial(self._leave, found))
        self._open(found, found.trades, stream)
        return stream

    def books(self, market: str, levels: int = 10) -> StateStream[Depth]:
        """Each change within the best `levels`, the present book first; conflated."""
        found = self._find(market)
        read = partial(self._reader.depth, market, _positive(levels))
        stream = StateStream(self._runtime, f"book of {market}", partial(self._leave, found), read, _book_key, NO_BOOK)
        self._open(found, found.books, stream)
        return stream

    def stale_ns(self, market: str) -> int:
        """Time since the last row we know of: the last one the feed stopped for or the book's own time, whichever is
        later (the feed does not stop for a market nobody reads). NEVER before the first row."""
        found = self._find(market)
        top = self._reader.top(market)
        has_top = top.bid_i is not None or top.ask_i is not None
        times = [top.ts_ns] if has_top else []
        if found.heard_ns is not None:
            times.append(found.heard_ns)
        return max(0, self._runtime.now_ns() - max(times)) if times else NEVER

    def in_gap(self, market: str) -> bool:
        return self._find(market).in_gap

    def resolved(self, market: str) -> bool:
        """Whether the market has paid out."""
        return self._find(market).payoff_i is not None

    def payoff_i(self, market: str) -> int | None:
        """What a YES share paid, in price units; None before the market resolved."""
        return self._find(market).payoff_i

    # What the feed tells (FeedSink)

    def on_top(self, market: str, ts_ns: int) -> None:
        found = self._markets[market]
        found.heard_ns = ts_ns
        for stream in found.tops:
            stream.mark()
        for stream in found.prices:
            stream.mark()

    def on_trade(self, trade: Trade) -> None:
        """Queue a print for each reader. Errors: InternalError when a reader is `TRADE_QUEUE_MAX` behind."""
        found = self._markets[trade.market]
        found.heard_ns = trade.ts_ns
        for stream in found.trades:
            stream.put(trade)

    def on_book(self, market: str, ts_ns: int) -> None:
        found = self._markets[market]
        found.heard_ns = ts_ns
        for stream in found.books:
            stream.mark()

    def on_tick(self, market: str, ts_ns: int, tick_i: int) -> None:
        """The tick itself is read from the books, which already have it."""
        self._markets[market].heard_ns = ts_ns

    def on_gap(self, market: str, ts_ns: int, open_gap: bool) -> None:
        found = self._markets[market]
        found.heard_ns = ts_ns
        found.in_gap = open_gap

    def on_resolve(self, market: str, ts_ns: int, payoff_i: int) -> None:
        """The market paid out: its streams end (queued trades are delivered first) and the feed is released."""
        found = self._markets[market]
        found.heard_ns = ts_ns
        found.payoff_i = payoff_i
        for stream in found.streams:
            stream.resolved()
        self._release(found)

    def end(self) -> None:
        """The feed has ended: what was not delivered yet is delivered, then every stream ends."""
        self._ended = True
        for found in self._markets.values():
            for stream in found.streams:
                stream.finish()
            self._release(found)

    def _find(self, market: str) -> _Market:
        found = self._markets.get(market)
        if found is None:
            known = ", ".join(list(self._markets)[:5]) + (", ..." if len(self._markets) > 5 else "")
            raise ConfigError(f"market {market!r} is not part of this run", f"its markets: {known}")
        return found

    def _open(self, found: _Market, readers: list[Any], stream: MarketStream[Any]) -> None:
        if self._ended or found.payoff_i is not None:
            stream.resolved()
            return
        readers.append(stream)
        self._watch(found)

    def _leave(self, found: _Market, stream: MarketStream[Any]) -> None:
        lists: tuple[list[Any], ...] = (found.tops, found.prices, found.trades, found.books)
        for readers in lists:
            if stream in readers:
                readers.remove(stream)
        self._watch(found)

    def _release(self, found: _Market) -> None:
        found.tops, found.prices, found.trades, found.books = [], [], [], []
        self._watch(found)

    def _watch(self, found: _Market) -> None:
        union = (bool(found.tops or found.prices), bool(found.tops), bool(found.trades), bool(found.books))
        if union != found.watched:
            found.watched = union
            top, sizes, trades, book = union
            self._interest.watch(found.name, top=top, sizes=sizes, trades=trades, book=book)


def _top_key(top: Top) -> tuple[int | None, int, int | None, int]:
    return (top.bid_i, top.bid_lots, top.ask_i, top.ask_lots)


def _price_key(top: Top) -> tuple[int | None, int | None]:
    return (top.bid_i, top.ask_i)


def _book_key(depth: Depth) -> tuple[Any, Any]:
    return (depth.bids, depth.asks)


def _positive(levels: int) -> int:
    if levels < 1:
        raise ConfigError(f"{levels} levels of a book were asked for", "ask for at least one")
    return levels
