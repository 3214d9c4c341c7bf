"""The tape moves the market: one task runs the kernel up to the next scheduled event, and publishes where it stops."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, Protocol

from execsim.core.events import Depth, Top, Trade
from execsim.core.instrument import Outcome
from execsim.core.order import MarketId, Side
from execsim.kernel import (
    LOCAL,
    VENUE,
    WATCH_BOOK,
    WATCH_PRICE,
    WATCH_TOP,
    WATCH_TRADES,
    OwnFill,
    QueueMove,
    Replay,
    Row,
    Stop,
)
from execsim.ports import FeedSink, Priority, Runtime
from execsim.tape.merge import Chunk
from execsim.tape.schema import Flag

FROZEN_LEVELS: Final = 1_000
"""Levels a side that a strategy whose market data has stopped still sees."""


class MarketHandler(Protocol):
    """The venue side of a market: hears what the tape did there, at venue time."""

    def on_queue(self, market: int, moves: list[QueueMove], row: Row) -> None:
        """Watched orders moved in their queues (Replay.watch_queue). Before the fills of the same row."""

    def on_fills(self, market: int, fills: list[OwnFill], row: Row) -> None: ...

    def on_resolve(self, market: int, payoff_i: int) -> None: ...


def tell_venue(kernel: Replay, handler: MarketHandler, why: Stop) -> None:
    """Tell the venue's side of a market why the kernel stopped at its clock."""
    index = kernel.stop_market
    if why in (Stop.FILL, Stop.QUEUE) and (moves := kernel.queue_moves()):
        handler.on_queue(index, moves, kernel.stop_row())
    if why is Stop.FILL:
        handler.on_fills(index, kernel.own_fills(), kernel.stop_row())
    elif why is Stop.RESOLVE:
        handler.on_resolve(index, kernel.stop_row().price_i)


class KernelBooks:
    """The strategy's books, read from the kernel (a `BookReader`), and what to stop for (an `Interest`)."""

    def __init__(self, kernel: Replay, markets: Sequence[str]) -> None:
        self._kernel = kernel
        self._index = {market: i for i, market in enumerate(markets)}
        self._frozen: dict[str, tuple[Depth, int]] = {}

    def freeze(self, market: str) -> None:
        """From now on the strategy reads the book as it is now: its market data has stopped (a fault)."""
        if market not in self._frozen:
            self._frozen[market] = (self.depth(market, FROZEN_LEVELS), self.tick_i(market))

    def thaw(self, market: str) -> None:
        """Market data flows again."""
        self._frozen.pop(market, None)

    def is_frozen(self, market: str) -> bool:
        return market in self._frozen

    def top(self, market: str) -> Top:
        if market in self._frozen:
            held = self._frozen[market][0]
            bid, ask = (side[0] if side else (None, 0) for side in (held.bids, held.asks))
            return Top(held.market, held.ts_ns, *bid, *ask)
        index = self._index[market]
        return Top(MarketId(market), self._kernel.last_ns(LOCAL, index), *self._kernel.best(LOCAL, index))

    def depth(self, market: str, levels: int) -> Depth:
        if market in self._frozen:
            held = self._frozen[market][0]
            return Depth(held.market, held.ts_ns, held.bids[:levels], held.asks[:levels])
        index, kernel = self._index[market], self._kernel
        bids = tuple(kernel.levels(LOCAL, index, 1, levels))
        asks = tuple(kernel.levels(LOCAL, index, -1, levels))
        return Depth(MarketId(market), kernel.last_ns(LOCAL, index), bids, asks)

    def tick_i(self, market: str) -> int:
        if market in self._frozen:
            return self._frozen[market][1]
        return self._kernel.tick_i(LOCAL, self._index[market])

    def watch(
        self, market: str, *, top: bool = False, sizes: bool = True, trades: bool = False, book: bool = False
    ) -> None:
        touch = WATCH_TOP if sizes else WATCH_PRICE
        bits = (touch if top else 0) | (WATCH_TRADES if trades else 0) | (WATCH_BOOK if book else 0)
        self._kernel.watch(self._index[market], bits)


class TapeMarket:
    """Drives the kernel along the merged tape in the runtime's time and tells venue and strategy side what happened.

    `observer`, if given, hears every stop (checks that watch from outside) and must not change anything.
    """

    def __init__(
        self,
        runtime: Runtime,
        kernel: Replay,
        chunks: Iterator[Chunk],
        markets: Sequence[str],
        sink: FeedSink,
        handlers: Sequence[MarketHandler],
        observer: Callable[[int], None] | None = None,
        books: KernelBooks | None = None,
    ) -> None:
        self._runtime = runtime
        self._kernel = kernel
        self._books = books
        self._muted: set[str] = set()
        self._gaps_told: set[str] = set()
        self._missed: dict[str, int] = {}
        """payoffs of markets that ended while their data was muted"""
        self._chunks = chunks
        self._markets = tuple(markets)
        self._sink = sink
        self._handlers = tuple(handlers)
        self._observer = observer
        self.done = False

    async def run(self) -> None:
        """Until the tape ends. The caller spawns this once per run: two tape tasks would be each other's horizon."""
        runtime, kernel = self._runtime, self._kernel
        while True:
            why = kernel.advance(runtime.next_event_ns())
            if why is Stop.HORIZON:
                await runtime.turn(kernel.next_row_ns())
                continue
            if why is Stop.CHUNK:
                chunk = next(self._chunks, None)
                if chunk is None:
                    break
                kernel.feed(chunk.venue, chunk.local)
                if self._observer is not None:
                    self._observer(kernel.now_ns)
                continue
            if kernel.now_ns > runtime.now_ns():
                await runtime.sleep_until(kernel.now_ns, Priority.TAPE)
            self.publish(why)
        self.done = True

    def mute(self, markets: Sequence[str], tell_gap: bool) -> None:
        """Market data of these stops reaching the strategy: it goes on reading the last book it saw. `tell_gap`: and hears
        that a gap has opened."""
        for market in markets:
            self._muted.add(market)
            if self._books is not None:
                self._books.freeze(market)
            if tell_gap and market not in self._gaps_told:
                self._gaps_told.add(market)
                self._sink.on_gap(market, self._runtime.now_ns(), True)

    def unmute(self, markets: Sequence[str]) -> None:
        """Market data flows again: what was missed is missed, the book is the one of now."""
        for market in markets:
            if market not in self._muted:
                continue
            self._muted.discard(market)
            if self._books is not None:
                self._books.thaw(market)
            now_ns, index = self._runtime.now_ns(), self._markets.index(market)
            if market in self._gaps_told:
                self._gaps_told.discard(market)
                self._sink.on_gap(market, now_ns, self._kernel.in_gap(LOCAL, index))
            self._sink.on_tick(market, now_ns, self._kernel.tick_i(LOCAL, index))
            self._sink.on_book(market, now_ns)
            self._sink.on_top(market, now_ns)
            if market in self._missed:
                self._sink.on_resolve(market, now_ns, self._missed.pop(market))

    def publish(self, why: Stop) -> None:
        """Tell venue or strategy side why the kernel stopped."""
        kernel, sink = self._kernel, self._sink
        index = kernel.stop_market
        market, now_ns = self._markets[index], kernel.now_ns
        if self._muted and kernel.stop_view == LOCAL and market in self._muted:
            if why is Stop.RESOLVE:
                self._missed[market] = kernel.stop_row().price_i
            return
        if kernel.stop_view == VENUE:
            tell_venue(kernel, self._handlers[index], why)
        elif why is Stop.TOP:
            sink.on_top(market, now_ns)
        elif why is Stop.BOOK:
            sink.on_book(market, now_ns)
            if kernel.top_moved:
                sink.on_top(market, now_ns)
        elif why is Stop.TRADE:
            sink.on_trade(self._trade(market, kernel.stop_row()))
        elif why is Stop.TICK:
            sink.on_tick(market, now_ns, kernel.tick_i(LOCAL, index))
        elif why is Stop.GAP:
            sink.on_gap(market, now_ns, kernel.in_gap(LOCAL, index))
        elif why is Stop.RESOLVE:
            sink.on_resolve(market, now_ns, kernel.stop_row().price_i)
        if self._observer is not None:
            self._observer(now_ns)

    @staticmethod
    def _trade(market: str, row: Row) -> Trade:
        aggressor = Side.BUY if row.side > 0 else Side.SELL if row.side < 0 else None
        outcome = Outcome.NO if row.flags & Flag.NO_TOKEN else Outcome.YES
        inferred = bool(row.flags & Flag.INFERRED)
        return Trade(MarketId(market), row.ts_ns, row.price_i, row.size, aggressor, outcome, inferred)
