"""A runtime whose clock is behind another one's: the port `ports.Runtime` in front of it, every time moved by as much."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from execsim.ports import Pending, Priority, Rng, Runtime, Task, Timer

T = TypeVar("T")


class BehindRuntime:
    """`back_ns`: by how much. Tasks, results and random streams are the inner one's."""

    def __init__(self, inner: Runtime, back_ns: int) -> None:
        self._inner = inner
        self._back_ns = back_ns

    def now_ns(self) -> int:
        return self._inner.now_ns() - self._back_ns

    def stopwatch_ns(self) -> int:
        return self._inner.stopwatch_ns()

    def next_event_ns(self) -> int:
        return self._inner.next_event_ns() - self._back_ns

    async def sleep_until(self, t_ns: int, priority: Priority = Priority.NORMAL) -> None:
        await self._inner.sleep_until(t_ns + self._back_ns, priority)

    async def sleep(self, ns: int) -> None:
        await self._inner.sleep(ns)

    async def turn(self, until_ns: int) -> None:
        await self._inner.turn(until_ns + self._back_ns)

    def call_at(self, t_ns: int, fn: Callable[..., None], *args: Any, priority: Priority = Priority.NORMAL) -> Timer:
        return self._inner.call_at(t_ns + self._back_ns, fn, *args, priority=priority)

    def spawn(self, coro: Coroutine[Any, Any, Any], name: str, *, daemon: bool = False) -> Task:
        return self._inner.spawn(coro, name, daemon=daemon)

    def pending(self, name: str) -> Pending[Any]:
        return self._inner.pending(name)

    async def within(self, until_ns: int, work: Awaitable[T], late: BaseException) -> T:
        return await self._inner.within(until_ns + self._back_ns, work, late)

    async def blocking(self, fn: Callable[[], T]) -> T:
        return await self._inner.blocking(fn)

    def rng(self, name: str) -> Rng:
        return self._inner.rng(name)
