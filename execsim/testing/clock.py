"""A Runtime without SimPy or asyncio: a heap of timers and coroutines stepped in order. For fast tests of strategies.

Same-instant order is (time, priority, sequence), as in the real runtimes. The first failure of a task ends `run` with
that error. A run that can go no further although a task it was asked to finish has not ended says which.
"""

from __future__ import annotations

import hashlib
import heapq
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, Final, TypeVar

import numpy as np

from execsim.core.errors import InternalError
from execsim.ports import NEVER, Pending, Priority, Rng, Task, Timer

T = TypeVar("T")

STEPS_MAX: Final = 10_000_000
"""Steps of one `run` at one instant; more is an endless loop and ends in InternalError."""

_MASK: Final = 2**64 - 1


class Cancelled(BaseException):
    """Thrown into a task's current wait by `Task.cancel`; not an Exception, so strategies do not swallow it."""


class _Pending:
    def __init__(self, runtime: StepRuntime, name: str) -> None:
        self._runtime = runtime
        self.name = name
        self.done = False
        self._value: Any = None
        self._error: BaseException | None = None
        self.waiting: list[_Task] = []

    def set(self, value: Any) -> None:
        self._settle(value, None)

    def fail(self, error: BaseException) -> None:
        self._settle(None, error)

    def _settle(self, value: Any, error: BaseException | None) -> None:
        if self.done:
            return
        self.done, self._value, self._error = True, value, error
        for task in self.waiting:
            self._runtime.ready(task)
        self.waiting = []

    def __await__(self) -> Generator[_Pending, None, Any]:
        if not self.done:
            yield self
        if self._error is not None:
            raise self._error
        return self._value


class _Task:
    def __init__(self, runtime: StepRuntime, coro: Coroutine[Any, Any, Any], name: str) -> None:
        self._runtime = runtime
        self._coro = coro
        self.name = name
        self.done = False
        self.result: Any = None
        self._ended = _Pending(runtime, f"end of {name}")
        self._waits_for: _Pending | None = None
        self._thrown: BaseException | None = None

    @property
    def waits_for(self) -> str:
        return self._waits_for.name if self._waits_for is not None else "its turn"

    def cancel(self) -> None:
        if not self.done and not isinstance(self._thrown, Cancelled):
            self._throw(Cancelled())

    def interrupt(self, error: BaseException) -> None:
        """Raise `error` at the current wait, if it still waits."""
        if self._waits_for is not None and not self._waits_for.done:
            self._throw(error)

    def _throw(self, error: BaseException) -> None:
        self._thrown = error
        if self._waits_for is not None and not self._waits_for.done:
            self._waits_for.waiting.remove(self)
            self._waits_for = None
            self._runtime.ready(self)

    async def join(self) -> None:
        await self._ended

    def step(self) -> None:
        self._waits_for = None
        if self.done:
            return
        thrown, self._thrown = self._thrown, None
        self._runtime.current = self
        try:
            wait: _Pending = self._coro.send(None) if thrown is None else self._coro.throw(thrown)
        except StopIteration as stop:
            self._end(stop.value)
        except Cancelled:
            self._end(None)
        except BaseException as error:
            self._end(None)
            self._runtime.failed(error)
        else:
            self._waits_for = wait
            wait.waiting.append(self)

    def _end(self, value: Any) -> None:
        self.done, self.result = True, value
        self._ended.set(None)


class _Timer:
    __slots__ = ("args", "fn")

    def __init__(self, fn: Callable[..., None], args: tuple[Any, ...]) -> None:
        self.fn: Callable[..., None] | None = fn
        self.args = args

    def cancel(self) -> None:
        self.fn = None


class _Rng:
    """SplitMix64 from a hash of (seed, name). Source: Steele, Lea, Flood 2014."""

    def __init__(self, seed: int, name: str) -> None:
        self._state = int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:8], "big")

    def raw(self) -> int:
        self._state = (self._state + 0x9E3779B97F4A7C15) & _MASK
        z = self._state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        return z ^ (z >> 31)

    def below(self, n: int) -> int:
        limit = (_MASK + 1) - (_MASK + 1) % n
        while True:
            draw = self.raw()
            if draw < limit:
                return draw % n

    def raws(self, n: int) -> Any:
        return np.array([self.raw() for _ in range(n)], dtype=np.uint64)


class StepRuntime:
    """`run(coro)` drives a coroutine and everything it spawns in virtual time and returns its result."""

    def __init__(self, *, start_ns: int = 0, seed: int = 0) -> None:
        self._now_ns = start_ns
        self._seed = seed
        self._timers: list[tuple[int, int, int, _Timer]] = []
        self._sequence = 0
        self._ready: deque[_Task] = deque()
        self._tasks: list[_Task] = []
        self._prune_at = 1_000
        self._failure: BaseException | None = None
        self._rngs: dict[str, _Rng] = {}
        self.current: _Task | None = None

    def run(self, coro: Coroutine[Any, Any, T]) -> T:
        """Run until `coro` has ended; other tasks stay where they are. Errors: what any task raised; InternalError when
        nothing can happen any more and it has not ended."""
        main = _Task(self, coro, "main")
        self._tasks.append(main)
        self.ready(main)
        steps, at_ns = 0, self._now_ns
        while not main.done:
            if not self._step():
                raise InternalError(f"nothing will ever settle {main.waits_for!r}, which main waits for")
            steps, at_ns = (steps + 1, at_ns) if at_ns == self._now_ns else (0, self._now_ns)
            if steps > STEPS_MAX:
                raise InternalError(f"endless loop at {self._now_ns} ns")
        result: T = main.result
        return result

    def drain(self, until_ns: int = NEVER) -> None:
        """Let everything happen that is due up to `until_ns`; the clock ends at the last thing that happened."""
        while (self._ready or self.next_event_ns() <= until_ns) and self._step():
            pass

    def close(self) -> None:
        """Cancel every task in reverse order of spawning."""
        for task in reversed(self._tasks):
            task.cancel()
            while self._ready:
                self._step()
        self._tasks.clear()

    def now_ns(self) -> int:
        return self._now_ns

    def stopwatch_ns(self) -> int:
        return self._now_ns

    def next_event_ns(self) -> int:
        if self._ready:
            return self._now_ns
        while self._timers and self._timers[0][3].fn is None:
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else NEVER

    async def sleep_until(self, t_ns: int, priority: Priority = Priority.NORMAL) -> None:
        wait = _Pending(self, f"sleep until {t_ns}")
        self.call_at(t_ns, wait.set, None, priority=priority)
        await wait

    async def sleep(self, ns: int) -> None:
        await self.sleep_until(self._now_ns + ns)

    async def turn(self, until_ns: int) -> None:
        await self.sleep_until(min(until_ns, self.next_event_ns()), Priority.LAST)

    def call_at(self, t_ns: int, fn: Callable[..., None], *args: Any, priority: Priority = Priority.NORMAL) -> Timer:
        timer = _Timer(fn, args)
        self._sequence += 1
        heapq.heappush(self._timers, (max(t_ns, self._now_ns), int(priority), self._sequence, timer))
        return timer

    def spawn(self, coro: Coroutine[Any, Any, Any], name: str, *, daemon: bool = False) -> Task:
        task = _Task(self, coro, name)
        if len(self._tasks) >= self._prune_at:
            self._tasks = [other for other in self._tasks if not other.done]
            self._prune_at = max(1_000, 2 * len(self._tasks))
        self._tasks.append(task)
        self.ready(task)
        return task

    def pending(self, name: str) -> Pending[Any]:
        return _Pending(self, name)

    async def within(self, until_ns: int, work: Awaitable[T], late: BaseException) -> T:
        assert self.current is not None
        timer = self.call_at(until_ns, self.current.interrupt, late)
        try:
            return await work
        finally:
            timer.cancel()

    async def blocking(self, fn: Callable[[], T]) -> T:
        return fn()

    def rng(self, name: str) -> Rng:
        if name not in self._rngs:
            self._rngs[name] = _Rng(self._seed, name)
        return self._rngs[name]

    def ready(self, task: _Task) -> None:
        self._ready.append(task)

    def failed(self, error: BaseException) -> None:
        self._failure = error

    def _step(self) -> bool:
        if self._ready:
            self._ready.popleft().step()
        elif self.next_event_ns() < NEVER:
            t_ns, _, _, timer = heapq.heappop(self._timers)
            self._now_ns = t_ns
            if timer.fn is not None:
                timer.fn(*timer.args)
        else:
            return False
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        return True
