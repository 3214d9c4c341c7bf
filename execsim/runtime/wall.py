"""Wall time: asyncio wakes us, we step our own tasks. The order of steps is the same rule as in virtual time.

Everything that comes in (an answer, a frame, a thread's result, a call of a door, a due timer) is an input: it waits in
one inbox and is taken when nothing is ready any more (stepper.py). asyncio holds one handle for all of it: "now", or the
time of the earliest timer.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import FrameType
from typing import Any, Final, NamedTuple, TypeVar

from execsim.core.errors import ConfigError, NetworkError, Reached
from execsim.core.units import NS_PER_S
from execsim.ports import NEVER, Priority, SessionLog, Stream
from execsim.runtime.codec import error_bytes
from execsim.runtime.scheduler import CANCELS_MAX
from execsim.runtime.stepper import Stepper
from execsim.runtime.task import Task
from execsim.runtime.timers import Timer

T = TypeVar("T")

STEPS_PER_TURN: Final = 256
"""Steps before asyncio gets a turn: sockets are read even while tasks are always ready."""

FRAMES_AHEAD_MAX: Final = 1_024
"""Frames of one stream that may wait in the inbox; then it is not read further until they are taken."""

CLEANUP_NS: Final = 5 * NS_PER_S
"""Real time that the cleanup of all tasks together may take at the end of a run (closing connections)."""

CLOSING_S: Final = 1.0
"""Real time the streams that are still open may take to close after the end, in seconds."""

LATE_S: Final = 0.01
"""Real time a late task gets after each further cancel, in seconds."""


class Arrival(NamedTuple):
    """Something that has come in and was not taken yet."""

    kind: str
    key: str
    value: Any


class Reader(NamedTuple):
    """An asyncio task that reads a stream, and the semaphore that lets it run ahead only so far."""

    task: asyncio.Task[None]
    ahead: asyncio.Semaphore


class WallRuntime(Stepper):
    """The port `ports.Runtime` in wall time: the run's clock is at `origin_ns` when the run starts (default: at the real
    time, from the making of this object on) and passes `speed` times as fast as the real clock. With `since_ns` it was at
    origin_ns when the machine's monotonic clock showed that, and has passed since then.

    Without a `log`, awaiting an asyncio future inside a task works. Code that asks asyncio for its current task
    (`asyncio.timeout`, anyio, httpx, websockets) must run in an asyncio task of its own: `outside`, which is recorded, or
    `await asyncio.ensure_future(coro)`; it is cancelled with the wait. With a `log` what is not an input is refused by a
    ConfigError: foreign futures, and tasks, timers and results that are touched from outside the run.
    A wait nobody can settle is not noticed here: a socket might still settle it.
    Errors: ConfigError when speed is not an integer >= 1.
    """

    def __init__(
        self,
        seed: int,
        origin_ns: int | None = None,
        speed: int = 1,
        *,
        cleanup_ns: int = CLEANUP_NS,
        log: SessionLog | None = None,
        since_ns: int | None = None,
    ) -> None:
        self._origin_ns = time.time_ns() if origin_ns is None else origin_ns
        super().__init__(seed, self._origin_ns, log)
        if not isinstance(speed, int) or speed < 1:
            raise ConfigError(f"speed {speed!r}", "speed is an integer >= 1")
        self._started_ns = time.monotonic_ns() if origin_ns is None else since_ns
        self._speed = speed
        self._cleanup_ns = cleanup_ns
        self._loop: asyncio.AbstractEventLoop | None = None
        self._handle: asyncio.Handle | None = None
        self._handle_ns = NEVER
        """run time at which the handle wakes us; NEVER without a handle"""
        self._inside = True
        """whether what happens now is caused by the run itself, not by asyncio's callbacks"""
        self._touched = False
        """somebody outside made a task ready (never with a log): that counts as an input without a number"""
        self._answers: deque[Arrival] = deque()
        self._inbox: deque[Arrival] = deque()
        """what has come in and was not taken yet: answers, which are taken first, and the rest"""
        self._readers: dict[str, Reader] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._signals: dict[int, tuple[str, bytes]] = {}
        self._reached: asyncio.Future[None] | None = None
        self._worker: ThreadPoolExecutor | None = None

    def now_ns(self) -> int:
        """The time of the input being worked on; for callers outside a run without a log: what the clock shows."""
        if self._inside or self.log is not None:
            return self._now
        return max(self._now, self.real_ns())

    def real_ns(self) -> int:
        """What the run's clock would show if an input were taken now; before the start the time at which it would start."""
        if self._started_ns is None:
            return self._origin_ns
        return self._origin_ns + (time.monotonic_ns() - self._started_ns) * self._speed

    def run(self, until_ns: int | None = None, main: Coroutine[Any, Any, T] | None = None) -> T | None:
        """`main_async` in an asyncio loop of its own. Ctrl-C ends the run with cleanup and raises KeyboardInterrupt, unless
        a door hears it (`hear_signal`)."""
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
        if self._started_ns is None:
            self._started_ns = time.monotonic_ns()
        restore = [_hear_signal(number, partial(self.post, *call)) for number, call in self._signals.items()]
        self._take_start(self.real_ns(), self._origin_ns)
        try:
            await self._pump_until(lambda: self._over)
        except asyncio.CancelledError:
            self._take(self.real_ns(), "cancel", "", b"")
            await self._wind_down()
            raise
        else:
            await self._wind_down()
        finally:
            for undo in restore:
                undo()
        return self._close()  # type: ignore[no-any-return]  # main's own result type

    # --- from outside -------------------------------------------------------------------------------------------------

    def post(self, door: str, body: bytes = b"") -> None:
        """Call a door of the run, from any thread or signal handler: it hears of it as an input. Nothing happens when the
        run is over or nobody stands there."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._arrive, "call", door, body)

    def hear_signal(self, number: int, door: str, body: bytes = b"") -> None:
        """Call a door for each signal of that number while the run lasts. Before `run`, which must be in the main thread."""
        self._signals[number] = (door, body)

    def _arrive(self, kind: str, key: str, value: Any) -> None:
        inbox = self._answers if kind in ("answer", "error") else self._inbox
        inbox.append(Arrival(kind, key, value))
        self._wake_at(0)

    def _launch(self, key: str, start: Callable[[], Coroutine[Any, Any, Any]]) -> Callable[[], object]:
        task = self._running_loop().create_task(start(), name=f"execsim call {key}")
        task.add_done_callback(partial(self._ended, key))
        return task.cancel

    def _ended(self, key: str, task: asyncio.Future[Any]) -> None:
        """A call has ended."""
        if task.cancelled():
            self._arrive("error", key, NetworkError("transport", "the call was cancelled", Reached.UNKNOWN))
        elif (error := task.exception()) is not None:
            self._arrive("error", key, error)
        else:
            self._arrive("answer", key, task.result())

    def _work(self, key: str, fn: Callable[[], Any]) -> None:
        if self._worker is None:
            self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="execsim")
        self._running_loop().run_in_executor(self._worker, fn).add_done_callback(partial(self._ended, key))

    def _read(self, key: str, stream: Stream[bytes] | None) -> None:
        if stream is None:
            raise ConfigError("there is no stream to read", "only a replay goes without")
        ahead = asyncio.Semaphore(FRAMES_AHEAD_MAX)
        task = self._running_loop().create_task(self._reading(key, stream, ahead), name=f"execsim stream {key}")
        self._readers[key] = Reader(task, ahead)

    async def _reading(self, key: str, stream: Stream[bytes], ahead: asyncio.Semaphore) -> None:
        """Runs in asyncio."""
        body = b""
        loop = asyncio.get_running_loop()
        try:
            try:
                async for frame in stream:
                    await ahead.acquire()
                    # not at once: a call needs a turn of asyncio more to end, and its answer may have come before this
                    loop.call_soon(self._arrive, "frame", key, frame)
            finally:
                await stream.aclose()
        except Exception as error:
            body = error_bytes(error)
        loop.call_soon(self._arrive, "end", key, body)

    def _stop_reading(self, key: str) -> None:
        reader = self._readers.pop(key, None)
        if reader is not None:
            self._closing.add(reader.task)
            reader.task.add_done_callback(self._closing.discard)
            reader.task.cancel()

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            raise ConfigError("the outside was asked for before the run began or after its end", "ask inside a task")
        return self._loop

    # --- who steps and who moves time ---------------------------------------------------------------------------------

    def make_ready(self, task: Task) -> None:
        self.ready += 1
        self._queue.append(task)
        if not self._inside:
            self._touch(f"task {task.name!r} was woken")
            self._wake_at(0)

    def spawn(self, coro: Coroutine[Any, Any, Any], name: str, *, daemon: bool = False) -> Task:
        """As Scheduler.spawn."""
        task = super().spawn(coro, name, daemon=daemon)
        if not self._inside:
            self._touch(f"task {name!r} was spawned")
            self._wake_at(0)
        return task

    def call_at(self, t_ns: int, fn: Callable[..., None], *args: Any, priority: Priority = Priority.NORMAL) -> Timer:
        """As Scheduler.call_at."""
        if not self._inside:
            self._touch("a timer was set")
        return super().call_at(t_ns, fn, *args, priority=priority)

    def _touch(self, what: str) -> None:
        """Somebody outside reaches in without an input: with a log that ends the run."""
        self._touched = True
        if self.log is not None:
            hint = "reach it by post() and a door, or wait for what happens outside by outside()"
            self._fail(ConfigError(f"{what} from outside a recorded session, which could not be replayed", hint), what)

    def _timer_first(self, t_ns: int) -> None:
        self._wake_at(t_ns)

    def adopt(self, task: Task, awaited: Any) -> ConfigError | None:
        if awaited is None:  # a bare yield, as in asyncio.sleep(0): give way once
            self._timers.add(self._now, Priority.NORMAL, Task.wake, (task,))
            return None
        if getattr(awaited, "_asyncio_future_blocking", None) is None:
            return super().adopt(task, awaited)
        awaited._asyncio_future_blocking = False
        if self.log is not None:
            awaited.cancel()
            what = f"task {task.name!r} awaited an asyncio {type(awaited).__name__} in a recorded session"
            return ConfigError(what, "it could not be replayed: await runtime.outside(...) or runtime.blocking(...)")
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
        if self._loop is None or self._reached is None or t_ns >= self._handle_ns:
            return
        if self._handle is not None:
            self._handle.cancel()
        self._handle_ns = t_ns
        wait_ns = t_ns - self.real_ns()
        if wait_ns <= 0:
            self._handle = self._loop.call_soon(self._pump)
        else:
            self._handle = self._loop.call_later(wait_ns / (self._speed * NS_PER_S), self._pump)

    def _pump(self) -> None:
        """Step what is ready, take the next input when nothing is, and again, until asyncio must have its turn."""
        self._handle, self._handle_ns = None, -1  # nothing that happens meanwhile needs to wake us
        self._inside = True
        busy = True
        try:
            if self._touched:
                self._touched = False
                self._now = max(self._now, self.real_ns())
            for _ in range(STEPS_PER_TURN):
                if self._goal():
                    break
                if not self._step() and not self._take_next():
                    busy = False
                    break
        except BaseException as error:
            self._fail(error, "a timer's function")
        finally:
            self._inside = False
            self._handle_ns = NEVER
        if not busy:
            self._over = self._over or self._idle()
        if self._goal():
            if self._reached is not None and not self._reached.done():
                self._reached.set_result(None)
        else:
            self._wake_at(0 if busy else min(self._timers.earliest_ns(), self._until_ns))

    def _take_next(self) -> bool:
        """Take the next input: an answer that has come in, else what else has, else the time if a timer is due; False if
        there is nothing. News of an order that came together with the answer to it are heard after that."""
        while self._answers or self._inbox:
            arrival = (self._answers or self._inbox).popleft()
            if arrival.kind == "frame" and arrival.key in self._readers:
                self._readers[arrival.key].ahead.release()
            elif arrival.kind == "end":
                self._readers.pop(arrival.key, None)
            hearer = self._hearers.get(arrival.key)
            if hearer is not None:  # else nobody waits for it any more
                self._hear(self.real_ns(), *arrival, hearer)
                return True
        real_ns = self.real_ns()
        if self._timers.earliest_ns() > min(real_ns, self._until_ns):
            return False
        self._take(real_ns, "clock", "", b"")
        return True

    def _idle(self) -> bool:
        """Nothing is ready: is the run over?"""
        if self.real_ns() >= self._until_ns:
            return self._timers.earliest_ns() > self._until_ns
        return self._main is None and not self._regular and self._only_daemons()

    async def _pump_until(self, goal: Callable[[], bool], timeout_s: float | None = None) -> bool:
        """Let the tasks run until the goal is reached; False if that took longer than `timeout_s`."""
        assert self._loop is not None
        self._goal = goal
        self._reached = self._loop.create_future()
        self._inside = False
        self._wake_at(0)
        try:
            await asyncio.wait([self._reached], timeout=timeout_s)
        finally:
            self._inside = True
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
        self._now = max(self._now, self.real_ns())
        if self._handle is not None:
            self._handle.cancel()
        for key in list(self._readers):
            self._stop_reading(key)
        if self._closing:
            await asyncio.wait(self._closing, timeout=CLOSING_S)
        self._loop = None
        if self._worker is not None:
            await asyncio.to_thread(self._worker.shutdown)

    async def _force(self, task: Task) -> None:
        for _ in range(CANCELS_MAX):
            self._take(self.real_ns(), "late", task.name, b"")
            self._late(task)
            task.cancel()
            if await self._pump_until(_done(task), LATE_S):
                return
        self._abandon(task)


def _done(task: Task) -> Callable[[], bool]:
    return lambda: task.done


def _hear_signal(number: int, fn: Callable[[], None]) -> Callable[[], object]:
    """Install a handler; returns what puts the old one back."""

    def heard(_number: int, _frame: FrameType | None) -> None:
        fn()

    before = signal.signal(number, heard) or signal.SIG_DFL
    return lambda: signal.signal(number, before)
