"""Market data of a served exchange: what the tape moves on the strategy's side of the kernel, told to any number of sinks.

    TapeMarket ──FeedSink──▶ Publisher ──▶ MarketSink, MarketSink, ...      whole book first, then what changed

It is the strategy's view that is published, so a client reads of the market what a strategy in the same process would, a
feed latency after the venue. Books are published to `LEVELS` a side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from execsim.core.errors import ConfigError
from execsim.core.events import Depth, Trade
from execsim.ports import BookReader, Closing, Interest, MarketSink

LEVELS: Final = 500
"""Levels a side that are published: a binary market of 0.001 ticks has 999 prices in all. A change costs the walk over
them, about 1 us a level."""


class Books(BookReader, Interest, Protocol):
    """The strategy-side books, and what the tape stops for."""


@dataclass(slots=True)
class _Told:
    """A market as its followers know it."""

    bids: dict[int, int] = field(default_factory=dict)
    asks: dict[int, int] = field(default_factory=dict)
    ts_ns: int = 0
    has_book: bool = False
    gap_ns: int | None = None
    payoff: tuple[int, int] | None = None
    """(ts_ns, payoff_i)"""
    sinks: list[MarketSink] = field(default_factory=list)

    def take(self, depth: Depth) -> None:
        self.bids, self.asks = dict(depth.bids), dict(depth.asks)
        self.ts_ns = depth.ts_ns
        self.has_book = self.has_book or bool(depth.bids or depth.asks)


class Publisher:
    """The `FeedSink` of a run whose markets are served. Nobody listens to a market: the tape does not stop for it."""

    def __init__(self, books: Books, markets: Iterable[str]) -> None:
        self._books = books
        self._markets = {market: _Told() for market in markets}
        self._ended_ns: int | None = None

    # ---------------------------------------------------------------- followers
    def follow(self, sink: MarketSink, markets: Sequence[str]) -> Closing:
        """Tell the sink how each market stands, and what happens from now on. Errors: ConfigError: unknown market."""
        for market in markets:
            self._find(market)
        for market in markets:
            self._begin(market, sink)
        if self._ended_ns is not None:
            sink.on_end(self._ended_ns)

        def close() -> None:
            for market in markets:
                told = self._markets[market]
                if sink in told.sinks:
                    told.sinks.remove(sink)
                    if not told.sinks:
                        self._books.watch(market)

        return close

    def _begin(self, market: str, sink: MarketSink) -> None:
        told = self._markets[market]
        if not told.sinks:
            self._books.watch(market, trades=True, book=True)
            told.take(self._books.depth(market, LEVELS))
        sink.on_tick(market, told.ts_ns, self._books.tick_i(market))
        if told.has_book:
            sink.on_snapshot(market, told.ts_ns, list(told.bids.items()), list(told.asks.items()))
        if told.gap_ns is not None:
            sink.on_gap(market, told.gap_ns, True)
        if told.payoff is not None:
            sink.on_resolve(market, *told.payoff)
        told.sinks.append(sink)

    def book(self, market: str, levels: int) -> Depth:
        """The best levels as the feed shows them now. Errors: ConfigError: unknown market."""
        self._find(market)
        return self._books.depth(market, levels)

    def in_gap(self, market: str) -> bool:
        return self._find(market).gap_ns is not None

    def _find(self, market: str) -> _Told:
        if market not in self._markets:
            raise ConfigError(f"no such market: {market[:64]!r}", f"there are: {', '.join(list(self._markets)[:20])}")
        return self._markets[market]

    # ---------------------------------------------------------------- the feed tells (FeedSink)
    def on_top(self, market: str, ts_ns: int) -> None:
        """The book says it all."""

    def on_book(self, market: str, ts_ns: int) -> None:
        told = self._markets[market]
        bids, asks, fresh = told.bids, told.asks, not told.has_book
        told.take(self._books.depth(market, LEVELS))
        if fresh:
            self._tell(
                told, lambda sink: sink.on_snapshot(market, ts_ns, list(told.bids.items()), list(told.asks.items()))
            )
            return
        changes = [*_changes(1, bids, told.bids), *_changes(-1, asks, told.asks)]
        if changes:
            self._tell(told, lambda sink: sink.on_levels(market, ts_ns, changes))

    def on_trade(self, trade: Trade) -> None:
        self._tell(self._markets[trade.market], lambda sink: sink.on_trade(trade))

    def on_tick(self, market: str, ts_ns: int, tick_i: int) -> None:
        self._tell(self._markets[market], lambda sink: sink.on_tick(market, ts_ns, tick_i))

    def on_gap(self, market: str, ts_ns: int, open_gap: bool) -> None:
        told = self._markets[market]
        told.gap_ns = ts_ns if open_gap else None
        self._tell(told, lambda sink: sink.on_gap(market, ts_ns, open_gap))

    def on_resolve(self, market: str, ts_ns: int, payoff_i: int) -> None:
        told = self._markets[market]
        told.payoff = (ts_ns, payoff_i)
        self._tell(told, lambda sink: sink.on_resolve(market, ts_ns, payoff_i))

    def end(self, ts_ns: int) -> None:
        """The data is used up: every follower hears it once."""
        self._ended_ns = ts_ns
        sinks: list[MarketSink] = []
        for told in self._markets.values():
            sinks += [sink for sink in told.sinks if sink not in sinks]
        for sink in sinks:
            sink.on_end(ts_ns)

    @staticmethod
    def _tell(told: _Told, tell: Callable[[MarketSink], None]) -> None:
        for sink in list(told.sinks):
            tell(sink)


def _changes(side: int, before: dict[int, int], after: dict[int, int]) -> Iterable[tuple[int, int, int]]:
    """(side, price_i, lots) of every level that is not what it was."""
    yield from ((side, price_i, 0) for price_i in before if price_i not in after)
    yield from ((side, price_i, lots) for price_i, lots in after.items() if before.get(price_i) != lots)
