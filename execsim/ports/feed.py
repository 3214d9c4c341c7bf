"""Market data, as protocols: who hears it from a wire, who tells the strategy's side of it, and how a strategy reads it."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Protocol, TypeVar, runtime_checkable

from execsim.core.events import Depth, Top, Trade

T_co = TypeVar("T_co", covariant=True)

Levels = Sequence[tuple[int, int]]


@runtime_checkable
class FeedSink(Protocol):
    """Who hears market data as the strategy's side sees it (market/)."""

    def on_top(self, market: str, ts_ns: int) -> None: ...

    def on_trade(self, trade: Trade) -> None: ...

    def on_book(self, market: str, ts_ns: int) -> None: ...

    def on_tick(self, market: str, ts_ns: int, tick_i: int) -> None: ...

    def on_gap(self, market: str, ts_ns: int, open_gap: bool) -> None: ...

    def on_resolve(self, market: str, ts_ns: int, payoff_i: int) -> None: ...


@runtime_checkable
class Interest(Protocol):
    """Which markets somebody is listening to: the feed stops only for those."""

    def watch(
        self, market: str, *, top: bool = False, sizes: bool = True, trades: bool = False, book: bool = False
    ) -> None:
        """`top` without `sizes`: only changes of a best price, not of the size there."""


@runtime_checkable
class MarketSink(Protocol):
    """Who hears market data as it comes over a wire, in order: whole books, the levels that changed, prints.

    Levels are (price_i, lots) best first; a change is (side, price_i, lots): side +1 bid, -1 ask, 0 lots: gone. Times are
    those of the source. Errors of a sink end whoever calls it.
    """

    def on_snapshot(self, market: str, ts_ns: int, bids: Levels, asks: Levels) -> None:
        """The whole book: what was known of it before is void."""

    def on_levels(self, market: str, ts_ns: int, changes: Sequence[tuple[int, int, int]]) -> None: ...

    def on_trade(self, trade: Trade) -> None: ...

    def on_tick(self, market: str, ts_ns: int, tick_i: int) -> None: ...

    def on_gap(self, market: str, ts_ns: int, open_gap: bool) -> None:
        """From here nothing is known of the market (True), or it is again (False; a snapshot comes before or after)."""

    def on_resolve(self, market: str, ts_ns: int, payoff_i: int) -> None: ...

    def on_end(self, ts_ns: int) -> None:
        """Nothing more will come: the recording is over."""


class BookReader(Protocol):
    """Direct reads of the strategy-side books (kernel arrays in simulation)."""

    def top(self, market: str) -> Top: ...

    def depth(self, market: str, levels: int) -> Depth: ...

    def tick_i(self, market: str) -> int: ...


class Stream(Protocol[T_co]):
    """An async iterator that is a class: `async for x in stream`, `await stream.aclose()`. Ends when the feed ends."""

    def __aiter__(self) -> Stream[T_co]: ...

    def __anext__(self) -> Awaitable[T_co]: ...

    async def aclose(self) -> None: ...


class BookView(Protocol):
    """The strategy's market data, the same in all three modes."""

    def top(self, market: str) -> Top: ...

    def depth(self, market: str, levels: int = 10) -> Depth: ...

    def tick_i(self, market: str) -> int: ...

    def tops(self, market: str, sizes: bool = True) -> Stream[Top]:
        """Each change of best price or size (`sizes` False: price only); conflated: a slow reader gets the newest."""

    def trades(self, market: str) -> Stream[Trade]:
        """Every print, queued (bounded; overflow is an error naming the strategy's market)."""

    def books(self, market: str, levels: int = 10) -> Stream[Depth]:
        """Every change of the book, conflated."""

    def stale_ns(self, market: str) -> int:
        """Time since the last row of this market reached us; NEVER before the first."""

    def in_gap(self, market: str) -> bool: ...
