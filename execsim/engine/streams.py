"""Streams of the engine: order updates (queued, bounded) and the beat of a clock."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from execsim.core.errors import ConfigError
from execsim.ports import Pending, Runtime

Item = TypeVar("Item")

UPDATES_MAX: Final = 65_536
"""Unread updates a stream holds. The next one is lost, and the reader's next read raises ConfigError: reading on would
miss a fill without knowing it."""


class UpdateStream(Generic[Item]):
    """Every item (an OrderUpdate, a QueueMoved) since it was opened, in order. One reader at a time is the rule; several
    share the items."""

    def __init__(self, runtime: Runtime, name: str, limit: int = UPDATES_MAX) -> None:
        self._runtime = runtime
        self._name = name
        self._limit = limit
        self._queue: deque[Item] = deque()
        self._wake: Pending[None] | None = None
        self._lost = 0
        self._closed = False
        self.unsubscribe: Callable[[], None] | None = None

    def push(self, update: Item) -> None:
        if self._closed:
            return
        if len(self._queue) >= self._limit:
            self._lost += 1
            return
        self._queue.append(update)
        self._ring()

    def __aiter__(self) -> UpdateStream[Item]:
        return self

    async def __anext__(self) -> Item:
        while True:
            if self._lost:
                what = f"{self._name}: more than {self._limit} unread updates, {self._lost} lost"
                raise ConfigError(what, "read the stream faster, or close it with aclose()")
            if self._queue:
                return self._queue.popleft()
            if self._closed:
                raise StopAsyncIteration
            if self._wake is None:
                self._wake = self._runtime.pending(self._name)
            await self._wake

    async def aclose(self) -> None:
        """End the stream; a waiting reader stops. Updates already queued can still be read."""
        self._closed = True
        if self.unsubscribe is not None:
            self.unsubscribe()
        self._ring()

    def _ring(self) -> None:
        if self._wake is not None:
            self._wake.set(None)
            self._wake = None


class Beat:
    """Now-times a fixed distance apart, counted from when it was opened. Beats missed by a slow reader are skipped."""

    def __init__(self, runtime: Runtime, ns: int) -> None:
        if ns <= 0:
            raise ConfigError(f"every({ns})", "the distance between beats must be positive nanoseconds")
        self._runtime = runtime
        self._ns = ns
        self._start_ns = runtime.now_ns()
        self._closed = False

    def __aiter__(self) -> Beat:
        return self

    async def __anext__(self) -> int:
        if self._closed:
            raise StopAsyncIteration
        beats = (self._runtime.now_ns() - self._start_ns) // self._ns + 1
        await self._runtime.sleep_until(self._start_ns + beats * self._ns)
        if self._closed:
            raise StopAsyncIteration
        return self._runtime.now_ns()

    async def aclose(self) -> None:
        self._closed = True
