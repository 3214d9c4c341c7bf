"""What `async for` reads: conflated tops and books, queued trades. Classes, no async generators.

        feed ──on_top──▶ stream.mark() ──pending.set──▶ reader wakes ──▶ reads the book itself, at delivery

A wake-up carries no value: the reader runs at the same instant, before the feed moves again, so reading the book then
is exact, and a slow reader skips what it missed at no cost. One pending per waiting reader, no task per subscriber.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

from execsim.core.errors import ConfigError, InternalError
from execsim.core.events import Trade
from execsim.ports import Pending, Runtime

T = TypeVar("T")

TRADE_QUEUE_MAX: Final = 65_536
"""Trades a reader may lag behind; one more and the run ends with an InternalError (a lost print is never hidden)."""


class MarketStream(Generic[T]):
    """One reader's subscription to one market: waiting, closing and ending. `_take` is what differs by kind.

    One task reads a stream; a second one waiting on it is a ConfigError. A subclass adds only its own store.
    """

    __slots__ = ("_closed", "_ended", "_leave", "_name", "_runtime", "_waiting")

    def __init__(self, runtime: Runtime, name: str, leave: Callable[[MarketStream[Any]], None]) -> None:
        self._runtime = runtime
        self._name = name
        self._leave = leave
        self._waiting: Pending[None] | None = None
        self._ended = False
        self._closed = False

    def __aiter__(self) -> MarketStream[T]:
        return self

    async def __anext__(self) -> T:
        if self._waiting is not None:
            raise ConfigError(f"two tasks read one stream ({self._name})", "open a stream for each task")
        while True:
            if self._closed:
                raise StopAsyncIteration
            item = self._take()
            if item is not None:
                return item
            if self._ended:
                raise StopAsyncIteration
            self._waiting = self._runtime.pending(self._name)
            try:
                await self._waiting
            finally:
                self._waiting = None

    async def aclose(self) -> None:
        """Stop the subscription: the feed stops for it no more, a waiting reader's loop ends. Harmless if repeated."""
        if not self._closed:
            self._closed = True
            self._leave(self)
            self._wake()

    def finish(self) -> None:
        """Nothing more will come: what is undelivered is still delivered, then the stream ends."""
        self._ended = True
        self._wake()

    def resolved(self) -> None:
        """The market paid out."""
        self.finish()

    def _wake(self) -> None:
        if self._waiting is not None:
            self._waiting.set(None)

    def _take(self) -> T | None:
        """The next item, or None when there is none yet."""
        raise NotImplementedError


class StateStream(MarketStream[T]):
    """The newest state and only when it differs from what this reader saw last; a slow reader skips what it missed.

    `read` gives the state now, `key` the part of it that counts as a change (not its time); `empty` is the key of a
    state with nothing in it, which is not delivered first.
    """

    __slots__ = ("_dirty", "_key", "_last", "_read")

    def __init__(
        self,
        runtime: Runtime,
        name: str,
        leave: Callable[[MarketStream[Any]], None],
        read: Callable[[], T],
        key: Callable[[T], Any],
        empty: Any,
    ) -> None:
        super().__init__(runtime, name, leave)
        self._read = read
        self._key = key
        self._last = empty
        self._dirty = True  # what is already there is delivered by the first read

    def mark(self) -> None:
        """The state may have changed."""
        self._dirty = True
        if self._waiting is not None:
            self._waiting.set(None)

    def resolved(self) -> None:
        """Ends at once: the last top of a market that has paid out invites an order nobody can fill."""
        self._dirty = False
        self.finish()

    def _take(self) -> T | None:
        if not self._dirty:
            return None
        self._dirty = False
        state = self._read()
        key = self._key(state)
        if key == self._last:
            return None
        self._last = key
        return state


class TradeStream(MarketStream[Trade]):
    """Every print in order, at most `TRADE_QUEUE_MAX` of them waiting."""

    __slots__ = ("_market", "_queue")

    def __init__(self, runtime: Runtime, market: str, leave: Callable[[MarketStream[Any]], None]) -> None:
        super().__init__(runtime, f"trades of {market}", leave)
        self._market = market
        self._queue: deque[Trade] = deque()

    def put(self, trade: Trade) -> None:
        """Queue a print. Errors: InternalError naming the market when the reader is too far behind."""
        if len(self._queue) >= TRADE_QUEUE_MAX:
            raise InternalError(
                f"the trades stream of {self._market} holds {TRADE_QUEUE_MAX} unread trades: "
                "read it, or `await stream.aclose()` when you are done with it"
            )
        self._queue.append(trade)
        if self._waiting is not None:
            self._waiting.set(None)

    def _take(self) -> Trade | None:
        return self._queue.popleft() if self._queue else None
