"""Queue, event, group and timeout, written on the port only: the same code and the same order in both runtimes.

Whoever waits is served in order of arrival. Nothing here names a runtime's own classes: cancellation is seen by
`finally` and `except BaseException`, never by name.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Coroutine, Generator
from enum import StrEnum
from typing import Any, Generic, TypeVar

from execsim.core.errors import ConfigError, ExecTimeout, Reached
from execsim.ports import Pending, Runtime, Task

T = TypeVar("T")


class Overflow(StrEnum):
    """What a full queue does with one item more."""

    ERROR = "error"
    """`put_nowait` raises ConfigError: nothing may be lost"""
    DROP_OLDEST = "drop_oldest"
    """the oldest item goes: the newest state matters"""
    DROP_NEWEST = "drop_newest"
    """the new item is not taken"""


class QueueClosed(Exception):
    """`get` on a closed queue whose items are all taken; `async for` ends instead."""


class Queue(Generic[T]):
    """A bounded first-in first-out queue; also a stream (`async for`, `aclose`).

    `dropped` counts the items lost to overflow. Errors: ConfigError when size_max < 1.
    """

    def __init__(self, runtime: Runtime, name: str, size_max: int, overflow: Overflow = Overflow.ERROR) -> None:
        if size_max < 1:
            raise ConfigError(f"queue {name!r}: size_max {size_max}", "a queue holds at least 1 item")
        self.name = name
        self.size_max = size_max
        self.dropped = 0
        self.closed = False
        self._runtime = runtime
        self._overflow = overflow
        self._items: deque[T] = deque()
        self._getters: deque[_Getter[T]] = deque()

    def __len__(self) -> int:
        return len(self._items)

    def put_nowait(self, item: T) -> bool:
        """Add an item; False if it was not taken (dropped as the newest, or the queue is closed).

        Errors: ConfigError when full and the overflow is ERROR.
        """
        if self.closed:
            return False
        if self._getters:
            self._getters.popleft().give(item)
            return True
        if len(self._items) >= self.size_max:
            if self._overflow is Overflow.ERROR:
                raise ConfigError(
                    f"queue {self.name!r} is full: {self.size_max} items and nobody takes them",
                    "read it faster, close it, or give it a larger size or a rule for dropping",
                )
            self.dropped += 1
            if self._overflow is Overflow.DROP_NEWEST:
                return False
            self._items.popleft()
        self._items.append(item)
        return True

    async def get(self) -> T:
        """The oldest item, when there is one. Errors: QueueClosed when closed and empty."""
        if self._items:
            return self._items.popleft()
        if self.closed:
            raise QueueClosed(self.name)
        getter: _Getter[T] = _Getter(self._runtime.pending(f"item of queue {self.name}"))
        self._getters.append(getter)
        try:
            await getter.pending
        except BaseException:
            self._withdraw(getter)
            raise
        return getter.taken[0]

    def close(self) -> None:
        """No more items: those inside can still be taken, waiting getters learn that there will be none."""
        if not self.closed:
            self.closed = True
            while self._getters:
                self._getters.popleft().pending.fail(QueueClosed(self.name))

    async def aclose(self) -> None:
        """`close`, and forget the items inside."""
        self.close()
        self._items.clear()

    def __aiter__(self) -> Queue[T]:
        return self

    async def __anext__(self) -> T:
        try:
            return await self.get()
        except QueueClosed:
            raise StopAsyncIteration from None

    def _withdraw(self, getter: _Getter[T]) -> None:
        """A getter was cancelled: an item it had been given goes to the next in line, or back to the head."""
        if getter in self._getters:
            self._getters.remove(getter)
        for item in getter.taken:
            if self._getters:
                self._getters.popleft().give(item)
            else:
                self._items.appendleft(item)


class _Getter(Generic[T]):
    """One waiting `get`: items are handed over, so that nobody who comes later can take them first."""

    __slots__ = ("pending", "taken")

    def __init__(self, pending: Pending[None]) -> None:
        self.pending = pending
        self.taken: list[T] = []

    def give(self, item: T) -> None:
        self.taken.append(item)
        self.pending.set(None)


class Event:
    """A flag to wait for."""

    def __init__(self, runtime: Runtime, name: str) -> None:
        self.name = name
        self.is_set = False
        self._runtime = runtime
        self._change: Pending[None] = runtime.pending(f"event {name}")

    def set(self) -> None:
        """Raise the flag and wake everybody who waits."""
        self.is_set = True
        self._change.set(None)

    def clear(self) -> None:
        """Lower the flag; those already woken stay woken."""
        if self.is_set:
            self.is_set = False
            self._change = self._runtime.pending(f"event {self.name}")

    async def wait(self) -> None:
        """Return when the flag is up; at once if it is."""
        await self._change


class Group:
    """Several tasks with one end: `wait` returns all results, or cancels the rest on the first error and raises it.

    async with Group(runtime, "feeds") as group:
        group.spawn(read_a(), "a")
        group.spawn(read_b(), "b")
    """

    def __init__(self, runtime: Runtime, name: str) -> None:
        self.name = name
        self._runtime = runtime
        self._tasks: list[Task] = []
        self._results: list[Any] = []
        self._error: Exception | None = None

    def spawn(self, coro: Coroutine[Any, Any, Any], name: str) -> Task:
        """Start a task of the group; its name in messages is `group.name`."""
        place = len(self._tasks)
        self._results.append(None)

        def ended(value: Any, error: Exception | None) -> bool:
            self._results[place] = value
            if error is None:
                return True
            if self._error is None:
                self._error = error
                self.cancel(but=place)
            else:
                self._error.add_note(f"{self.name}.{name} also failed: {error!r}")
            return True

        task = self._runtime.spawn(Guarded(coro, ended), f"{self.name}.{name}")
        self._tasks.append(task)
        return task

    async def wait(self) -> list[Any]:
        """All results in spawn order (None for a cancelled task), once every task has ended.

        Errors: the first task's error, the same object, after the others have ended. A cancelled wait cancels them all.
        """
        ended = 0
        try:
            while ended < len(self._tasks):
                await self._tasks[ended].join()
                ended += 1
        finally:
            if ended < len(self._tasks):
                self.cancel()
        if self._error is not None:
            raise self._error
        return list(self._results)

    def cancel(self, but: int = -1) -> None:
        """Cancel every task of the group, newest first, except number `but`."""
        for place in reversed(range(len(self._tasks))):
            if place != but:
                self._tasks[place].cancel()

    async def __aenter__(self) -> Group:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if kind is None:
            await self.wait()
        else:
            self.cancel()


async def timeout(runtime: Runtime, ns: int, awaitable: Awaitable[T], what: str = "wait") -> T:
    """The awaitable's result (or error), if it comes within `ns`; else it is cancelled.

    What is ready at the deadline itself still counts. Errors: ExecTimeout("runtime", what, Reached.UNKNOWN).
    """
    result: Pending[T] = runtime.pending(what)

    def ended(value: T, error: Exception | None) -> bool:
        in_time = not result.done
        if error is None:
            result.set(value)
        else:
            result.fail(error)
        return in_time

    coro = awaitable if isinstance(awaitable, Coroutine) else _awaited(awaitable)
    task = runtime.spawn(Guarded(coro, ended), what, daemon=True)
    late = ExecTimeout("runtime", f"{what}: no result within {ns} ns", Reached.UNKNOWN)
    timer = runtime.call_at(runtime.now_ns() + ns, result.fail, late)
    try:
        return await result  # type: ignore[no-any-return]  # a Pending's __await__ is untyped in the port
    finally:
        timer.cancel()
        task.cancel()


async def _awaited(awaitable: Awaitable[T]) -> T:
    return await awaitable


class Guarded(Coroutine[Any, Any, None], Generator[Any, Any, None]):
    """A coroutine whose end is told to `ended(value, error)` instead of ending the run; an error nobody takes (False)
    goes on.

    A class and not an `async def` around `coro`, because a task cancelled before its first step never runs its body: the
    inner coroutine must be closed by that, too.
    """

    def __init__(self, coro: Coroutine[Any, Any, T], ended: Any) -> None:
        self._coro = coro
        self._ended = ended

    def send(self, value: Any) -> Any:
        try:
            return self._coro.send(value)
        except StopIteration as stop:
            self._ended(stop.value, None)
            raise StopIteration(None) from None
        except Exception as error:
            if not self._ended(None, error):
                raise
            raise StopIteration(None) from None

    def throw(self, *error: Any) -> Any:
        try:
            return self._coro.throw(*error)
        except StopIteration as stop:
            self._ended(stop.value, None)
            raise StopIteration(None) from None
        except Exception as raised:
            if not self._ended(None, raised):
                raise
            raise StopIteration(None) from None

    def close(self) -> None:
        self._coro.close()

    def __await__(self) -> Guarded:
        return self
