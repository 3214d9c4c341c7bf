"""A runtime whose time stands still until somebody says go: the port `ports.Runtime` in front of another one.

While it is held, tasks run and results are settled as ever, but no time passes: timers of the future wait for the release.
From then on its clock is the inner one, moved back by as long as it was held.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from execsim.ports import Pending, Priority, Rng, Runtime, Task, Timer

T = TypeVar("T")


class HeldTimer:
    """A timer set while time stood still; the inner one takes over at the release."""

    __slots__ = ("args", "cancelled", "fn", "inner", "priority", "t_ns")

    def __init__(self, t_ns: int, fn: Callable[..., None], args: tuple[Any, ...], priority: Priority) -> None:
        self.t_ns, self.fn, self.args, self.priority = t_ns, fn, args, priority
        self.inner: Timer | None = None
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True
        if self.inner is not None:
            self.inner.cancel()


class HeldRuntime:
    """`at_ns`: what its clock shows until `release`."""

    def __init__(self, inner: Runtime, at_ns: int) -> None:
        self._inner = inner
        self._at_ns = at_ns
        self._back_ns: int | None = None
        self._timers: list[HeldTimer] = []

    @property
    def held(self) -> bool:
        return self._back_ns is None

    def release(self) -> None:
        """Let time pass. No effect when it does."""
        if self._back_ns is None:
            self._back_ns = self._inner.now_ns() - self._at_ns
            timers, self._timers = self._timers, []
            for timer in timers:
                if not timer.cancelled:
                    at_ns = timer.t_ns + self._back_ns
                    timer.inner = self._inner.call_at(at_ns, timer.fn, *timer.args, priority=timer.priority)

    def now_ns(self) -> int:
        return self._at_ns if self._back_ns is None else self._inner.now_ns() - self._back_ns

    def stopwatch_ns(self) -> int:
        return self._inner.stopwatch_ns()

    def next_event_ns(self) -> int:
        return self._at_ns if self._back_ns is None else self._inner.next_event_ns() - self._back_ns

    async def sleep_until(self, t_ns: int, priority: Priority = Priority.NORMAL) -> None:
        if self._back_ns is not None:
            await self._inner.sleep_until(t_ns + self._back_ns, priority)
        elif t_ns <= self._at_ns:
            await self._inner.sleep_until(self._inner.now_ns(), priority)
        else:
            over: Pending[None] = self._inner.pending("time to pass again")
            timer = self.call_at(t_ns, over.set, None, priority=priority)
            try:
                await over
            finally:
                timer.cancel()

    async def sleep(self, ns: int) -> None:
        await self.sleep_until(self.now_ns() + ns)

    async def turn(self, until_ns: int) -> None:
        if self._back_ns is None:
            await self.sleep_until(until_ns, Priority.TAPE)
        else:
            await self._inner.turn(until_ns + self._back_ns)

    def call_at(self, t_ns: int, fn: Callable[..., None], *args: Any, priority: Priority = Priority.NORMAL) -> Timer:
        if self._back_ns is not None:
            return self._inner.call_at(t_ns + self._back_ns, fn, *args, priority=priority)
        if t_ns <= self._at_ns:
            return self._inner.call_at(self._inner.now_ns(), fn, *args, priority=priority)
        timer = HeldTimer(t_ns, fn, args, priority)
        self._timers.append(timer)
        return timer

    def spawn(self, coro: Coroutine[Any, Any, Any], name: str, *, daemon: bool = False) -> Task:
        return self._inner.spawn(coro, name, daemon=daemon)

    def pending(self, name: str) -> Pending[Any]:
        return self._inner.pending(name)

    async def within(self, until_ns: int, work: Awaitable[T], late: BaseException) -> T:
        """A deadline beyond a stop of time is one of the inner clock: what waits must not wait for ever."""
        back_ns = self._inner.now_ns() - self._at_ns if self._back_ns is None else self._back_ns
        return await self._inner.within(until_ns + back_ns, work, late)

    async def blocking(self, fn: Callable[[], T]) -> T:
        return await self._inner.blocking(fn)

    def rng(self, name: str) -> Rng:
        return self._inner.rng(name)
