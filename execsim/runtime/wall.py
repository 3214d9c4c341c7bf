"""Wall time: asyncio wakes us, we step our own tasks. The order of steps is the same rule as in virtual time.

Everything that comes in (a frame or a response through an asyncio future, a thread's result, a timer) makes a task ready;
ready tasks stand in one queue in order of arrival and are stepped here, never by asyncio. asyncio holds one handle for
all of it: "now", or the time of the earliest timer.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, Final, TypeVar

from execsim.core.errors import ConfigError
from execsim.core.units import NS_PER_S
from execsim.ports import NEVER, Priority
from execsim.runtime.scheduler import CANCELS_MAX, Scheduler
from execsim.runtime.task import Task
from execsim.runtime.timers import ARGS, FN

T = TypeVar("T")

STEPS_PER_TURN: Final = 256
"""Steps before asyncio gets a turn: sockets are read even while tasks are always ready."""

CLEANUP_NS: Final = 5 * NS_PER_S
"""Real time that the cleanup of all tasks together may take at the end of a run (closing connections)."""

LATE_S: Final = 0.01
"""Real time a late task gets after each further cancel, in seconds."""


class WallRuntime(Scheduler):
    """The port `ports.Runtime` in wall time: the run starts at `origin_ns` (default: the real time then) and passes
    `speed` times as fast as the real clock.

    Awaiting an asyncio future inside a task works. Code that asks asyncio for its current task (`asyncio.timeout`,
    anyio, httpx, websockets) must run in an asyncio task of its own: `await asyncio.ensure_future(coro)`; it is cancelled
    with the wait. A wait nobody can settle is not noticed here: a socket might still settle it.
    Errors: ConfigError when speed is not an integer >= 1.
    """

    def __init__(
        self, seed: int, origin_ns: int | None = None, speed: int = 1, *, cleanup_ns: int = CLEANUP_NS
    ) -> None:
        super().__init__(seed)
        if not isinstance(speed, int) or speed < 1:
            raise ConfigError(f"speed {speed!r}", "speed is an integer >= 1")
        self._origin_ns = origin_ns
        self._speed = speed
        self._cleanup_ns = cleanup_ns
        self._started_ns: int | None = None
        self._until_ns = NEVER
        self._queue: deque[Task] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._handle: asyncio.Handle | None = None
        self._handle_ns = NEVER
        """run time at which the handle wakes us; NEVER without a handle"""
        self._pumping = False
        self._goal: Callable[[], bool] = lambda: False
        self._reached: asyncio.Future[None] | None = None
        self._worker: ThreadPoolExecutor | None = None

    def now_ns(self) -> int:
        """Monotonic time since the start, mapped; before the start the time at which the run would start."""
        if self._started_ns is None:
            return time.time_ns() if self._origin_ns is None else self._origin_ns
        return self._origin_ns + (time.monotonic_ns() - self._started_ns) * self._speed  # type: ignore[operator]

    def stopwatch_ns(self) -> int:
        return time.monotonic_ns()

    def next_event_ns(self) -> int:
        """Now: anything may come at any moment; or the time of a timer that is overdue, for it comes before now."""
        return min(self.now_ns(), self._timers.earliest_ns())

    async def turn(self, until_ns: int) -> None:
        """Come back at until_ns, before everything else of that instant."""
        await self.sleep_until(until_ns, Priority.TAPE)

    async def blocking(self, fn: Callable[[], T]) -> T:
        """Run it in the run's one worker thread: in order of the calls, always the same thread (SQLite wants that).

        A cancelled wait does not stop a function that has begun.
        """
        if self._worker is None:
            self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="execsim")
        return await asyncio.get_running_loop().run_in_executor(self._worker, fn)

    def run(self, until_ns: int | None = None, main: Coroutine[Any, Any, T] | None = None) -> T | None:
        """`main_async` in an asyncio loop of its own. Ctrl-C ends the run with cleanup and raises KeyboardInterrupt."""
        return asyncio.run(self.main_async(main, until_ns))

    async def main_async(self, main: Coroutine[Any, Any, T] | None = None, until_ns: int | None = None) -> T | None:
        """Run until main has ended; without main until every task that is no daemon has ended and no call is due.

        With `until_ns` at the latest until that instant. Then the tasks that are left are cancelled, newest first, and
        may take `cleanup_ns` of real time together. Returns main's result, None if it was cancelled or cut off.
        Errors: what a task or a timer's function raised, as the same object; ConfigError for a cleanup that takes longer.
        """
        self._begin(main)
        self._loop = asyncio.get_running_loop()
        self._until_ns = NEVER if until_ns is None else until_ns
        if self._origin_ns is None:
            self._origin_ns = time.time_ns()
        self._started_ns = time.monotonic_ns()
        try:
            await self._pump_until(lambda: self._over)
        except asyncio.CancelledError:
            await self._wind_down()
            raise
        await self._wind_down()
        return self._close()  # type: ignore[no-any-return]  # main's own result type

    # --- who steps and who moves time ---------------------------------------------------------------------------------

    def make_ready(self, task: Task) -> None:
        self.ready += 1
        self._queue.append(task)
        self._wake_at(0)

    def _start(self, task: Task) -> None:
        self._queue.append(task)
        self._wake_at(0)

    def _timer_first(self, t_ns: int) -> None:
        self._wake_at(t_ns)

    def adopt(self, task: Task, awaited: Any) -> ConfigError | None:
        if awaited is None:  # a bare yield, as in asyncio.sleep(0): give way once
            task.wake()
            return None
        if getattr(awaited, "_asyncio_future_blocking", None) is None:
            return super().adopt(task, awaited)
        awaited._asyncio_future_blocking = False
        task.foreign = awaited
        awaited.add_done_callback(partial(self._arrived, task))
        return None

    def _arrived(self, task: Task, future: asyncio.Future[Any]) -> None:
        """An asyncio future is done; if the task still waits for it, it becomes ready."""
        if task.foreign is future:
            task.foreign = None
            task.wake()

    def disown(self, task: Task) -> None:
        future, task.foreign = task.foreign, None
        if future is not None:
            future.cancel()

    def _wake_at(self, t_ns: int) -> None:
        """Have asyncio call `_pump` at that run time, unless it does so earlier anyway."""
        if self._loop is None or self._pumping or t_ns >= self._handle_ns:
            return
        if self._handle is not None:
            self._handle.cancel()
        self._handle_ns = t_ns
        wait_ns = t_ns - self.now_ns()
        if wait_ns <= 0:
            self._handle = self._loop.call_soon(self._pump)
        else:
            self._handle = self._loop.call_later(wait_ns / (self._speed * NS_PER_S), self._pump)

    def _pump(self) -> None:
        """Step ready tasks; when there are none fire one due timer; and again, until asyncio must have its turn."""
        self._handle, self._handle_ns = None, NEVER
        self._pumping = True
        try:
            for _ in range(STEPS_PER_TURN):
                if self._goal() or not self._step():
                    break
        except BaseException as error:
            self._fail(error, "a timer's function")
        finally:
            self._pumping = False
        if not self._queue:
            self._over = self._over or self._idle()
        if self._goal():
            if self._reached is not None and not self._reached.done():
                self._reached.set_result(None)
        else:
            self._wake_at(0 if self._queue else min(self._timers.earliest_ns(), self._until_ns))

    def _step(self) -> bool:
        """Step the first ready task, else fire the first due timer; False if there is neither."""
        if self._queue:
            with suppress(StopIteration):  # the task has ended
                self._queue.popleft().send(None)
            return True
        timer = self._timers.pop_due(min(self.now_ns(), self._until_ns))
        if timer is None:
            return False
        fn, timer[FN] = timer[FN], None
        fn(*timer[ARGS])
        return True

    def _idle(self) -> bool:
        """Nothing is ready: is the run over?"""
        if self.now_ns() >= self._until_ns:
            return self._timers.earliest_ns() > self._until_ns
        return self._main is None and not self._regular and self._only_daemons()

    async def _pump_until(self, goal: Callable[[], bool], timeout_s: float | None = None) -> bool:
        """Let the tasks run until the goal is reached; False if that took longer than `timeout_s`."""
        assert self._loop is not None
        self._goal = goal
        self._reached = self._loop.create_future()
        self._wake_at(0)
        await asyncio.wait([self._reached], timeout=timeout_s)
        return goal()

    async def _wind_down(self) -> None:
        """Cancel what is left, newest first, and give each its cleanup."""
        assert self._loop is not None
        self._until_ns = NEVER
        deadline_s = self._loop.time() + self._cleanup_ns / NS_PER_S
        while (task := self._newest()) is not None:
            task.cancel()
            if not await self._pump_until(_done(task), max(0.0, deadline_s - self._loop.time())):
                await self._force(task)
        if self._handle is not None:
            self._handle.cancel()
        self._loop = None
        if self._worker is not None:
            await asyncio.to_thread(self._worker.shutdown)

    async def _force(self, task: Task) -> None:
        for _ in range(CANCELS_MAX):
            self._late(task)
            task.cancel()
            if await self._pump_until(_done(task), LATE_S):
                return
        self._abandon(task)


def _done(task: Task) -> Callable[[], bool]:
    return lambda: task.done
