"""A BookView that shows what a test sets, and a journal that keeps its rows in memory."""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any, Generic, TypeVar

from execsim.core.events import Depth, Top, Trade
from execsim.core.instrument import Instrument
from execsim.core.order import MarketId
from execsim.ports import NEVER, JournalRow, Pending, Runtime

T = TypeVar("T")


class MockStream(Generic[T]):
    """A Stream fed by `push`; conflated streams keep the newest item only."""

    def __init__(self, runtime: Runtime, name: str, conflated: bool) -> None:
        self._runtime = runtime
        self._name = name
        self._items: deque[T] = deque(maxlen=1 if conflated else None)
        self._wake: Pending[None] | None = None
        self._closed = False

    def push(self, item: T) -> None:
        self._items.append(item)
        self._ring()

    def __aiter__(self) -> MockStream[T]:
        return self

    async def __anext__(self) -> T:
        while not self._items:
            if self._closed:
                raise StopAsyncIteration
            if self._wake is None:
                self._wake = self._runtime.pending(self._name)
            await self._wake
        return self._items.popleft()

    async def aclose(self) -> None:
        self._closed = True
        self._ring()

    def _ring(self) -> None:
        if self._wake is not None:
            self._wake.set(None)
            self._wake = None


class MockBooks:
    """`set_top` and `print_trade` move the market; ticks start as the instruments say."""

    def __init__(self, runtime: Runtime, instruments: Iterable[Instrument]) -> None:
        self._runtime = runtime
        self._tops: dict[str, Top] = {}
        self._ticks: dict[str, int] = {}
        self._moved_ns: dict[str, int] = {}
        for instrument in instruments:
            self._tops[instrument.market] = Top(MarketId(instrument.market), runtime.now_ns(), None, 0, None, 0)
            self._ticks[instrument.market] = instrument.tick_i
        self._top_streams: list[tuple[str, MockStream[Top]]] = []
        self._trade_streams: list[tuple[str, MockStream[Trade]]] = []
        self._book_streams: list[tuple[str, MockStream[Depth]]] = []

    def set_top(self, market: str, bid_i: int | None, ask_i: int | None, lots: int = 1_000_000) -> None:
        """New best prices, `lots` on each side that is there."""
        now_ns = self._runtime.now_ns()
        top = Top(MarketId(market), now_ns, bid_i, lots if bid_i else 0, ask_i, lots if ask_i else 0)
        self._tops[market] = top
        self._moved_ns[market] = now_ns
        for name, stream in self._top_streams:
            if name == market:
                stream.push(top)
        for name, book in self._book_streams:
            if name == market:
                book.push(self.depth(market))

    def set_tick(self, market: str, tick_i: int) -> None:
        self._ticks[market] = tick_i

    def print_trade(self, trade: Trade) -> None:
        for name, stream in self._trade_streams:
            if name == trade.market:
                stream.push(trade)

    def top(self, market: str) -> Top:
        return self._tops[market]

    def depth(self, market: str, levels: int = 10) -> Depth:
        top = self._tops[market]
        bids = () if top.bid_i is None else ((top.bid_i, top.bid_lots),)
        asks = () if top.ask_i is None else ((top.ask_i, top.ask_lots),)
        return Depth(top.market, top.ts_ns, bids, asks)

    def tick_i(self, market: str) -> int:
        return self._ticks[market]

    def tops(self, market: str, sizes: bool = True) -> MockStream[Top]:
        stream: MockStream[Top] = MockStream(self._runtime, f"top of {market}", True)
        self._top_streams.append((market, stream))
        return stream

    def trades(self, market: str) -> MockStream[Trade]:
        stream: MockStream[Trade] = MockStream(self._runtime, f"trades of {market}", False)
        self._trade_streams.append((market, stream))
        return stream

    def books(self, market: str, levels: int = 10) -> MockStream[Depth]:
        stream: MockStream[Depth] = MockStream(self._runtime, f"book of {market}", True)
        self._book_streams.append((market, stream))
        return stream

    def stale_ns(self, market: str) -> int:
        return self._runtime.now_ns() - self._moved_ns[market] if market in self._moved_ns else NEVER

    def in_gap(self, market: str) -> bool:
        return False


class MemoryJournal:
    """Rows as (kind, ts_ns, order_id, body), in order."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, int, str, Mapping[str, Any]]] = []
        self.notes: dict[str, str] = {}
        self.durable = False

    def note(self, key: str, text: str) -> None:
        self.notes[key] = text

    def flush(self) -> None:
        return None

    def write(self, kind: str, ts_ns: int, order_id: str, body: Mapping[str, Any]) -> None:
        self.rows.append((kind, ts_ns, order_id, body))

    def digest(self) -> str:
        text = "\n".join(json.dumps(row, sort_keys=True, separators=(",", ":")) for row in self.rows)
        return hashlib.sha256(text.encode()).hexdigest()

    def close(self) -> None:
        return None

    def read(self) -> list[JournalRow]:
        """The rows as they would come back from a file."""
        return [
            JournalRow(seq, ts_ns, kind, order_id, json.loads(json.dumps(body)))
            for seq, (kind, ts_ns, order_id, body) in enumerate(self.rows, 1)
        ]

    @property
    def kinds(self) -> list[str]:
        return [row[0] for row in self.rows]
