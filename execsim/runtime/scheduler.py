"""What both runtimes share: tasks, timers, pending results, streams of random integers, and how a run ends.

They differ in who moves time and who steps a ready task: SimPy (virtual.py) or a queue woken by asyncio (wall.py).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, TypeVar

from execsim.core.errors import ConfigError
from execsim.ports import Priority
from execsim.runtime.rng import Stream, Streams
from execsim.runtime.task import Task
from execsim.runtime.timers import ARGS, FN, Timer, Timers
from execsim.runtime.wait import PARK, Pending

T = TypeVar("T")

CANCELS_MAX: Final = 100
"""How often a task that keeps waiting in its cleanup is cancelled at the end of a run before it is closed by force."""

NAMED_MAX: Final = 10
"""How many tasks an error message names."""


class Scheduler(ABC):
    """The port `ports.Runtime` except for `now_ns`, `stopwatch_ns`, `next_event_ns`, `turn` and `blocking`. One object is
    one run."""

    def __init__(self, seed: int) -> None:
        self.ready = 0
        """tasks that were woken or spawned and have not been stepped since"""
        self.current: Task | None = None
        """the task being stepped"""
        self.last: Task | Callable[..., None] | None = None
        """who ran last, task or timer function: for the error about endless loops"""
        self._streams = Streams(seed)
        self._timers = Timers(self._timer_first)
        self._alive: dict[int, Task] = {}
        self._spawned = 0
        self._regular = 0
        self._main: Task | None = None
        self._over = False
        self._closed = False
        self._error: BaseException | None = None

    # --- the port -----------------------------------------------------------------------------------------------------

    @abstractmethod
    def now_ns(self) -> int: ...

    @abstractmethod
    def stopwatch_ns(self) -> int: ...

    async def sleep_until(self, t_ns: int, priority: Priority = Priority.NORMAL) -> None:
        """Return at t_ns; an instant that is not in the future means now, after giving way."""
        task = self.current or self.running()
        now = self.now_ns()
        timer = self._timers.add(t_ns if t_ns > now else now, priority, Task.wake, (task,))
        try:
            task.about_to_wait(timer)
            await PARK
        except BaseException:
            timer.cancel()
            raise

    async def sleep(self, ns: int) -> None:
        await self.sleep_until(self.now_ns() + ns)

    def call_at(self, t_ns: int, fn: Callable[..., None], *args: Any, priority: Priority = Priority.NORMAL) -> Timer:
        """Call fn(*args) at t_ns (never before now). No coroutine is involved: this is the cheap way to wait."""
        now = self.now_ns()
        return self._timers.add(t_ns if t_ns > now else now, priority, fn, args)

    def spawn(self, coro: Coroutine[Any, Any, Any], name: str, *, daemon: bool = False) -> Task:
        """Run a coroutine as a task. Errors: ConfigError when it is no coroutine, or the run is over."""
        if not isinstance(coro, Coroutine):
            raise ConfigError(f"task {name!r}: {coro!r} is not a coroutine", "call the async function: spawn(f(), ...)")
        if self._closed:
            coro.close()
            raise ConfigError(f"task {name!r} was spawned after the run had ended", "a runtime runs once")
        self._spawned += 1
        task = Task(self, coro, name, self._spawned, daemon)
        self._alive[task.number] = task
        self._regular += not daemon
        self.ready += 1
        self._start(task)
        return task

    def pending(self, name: str) -> Pending[Any]:
        return Pending(self, name)

    async def within(self, until_ns: int, work: Awaitable[T], late: BaseException) -> T:
        """Await `work`; if it still waits at until_ns, `late` is raised where it waits."""
        timer = self.call_at(until_ns, self.running().interrupt, late)
        try:
            return await work
        finally:
            timer.cancel()

    def rng(self, name: str) -> Stream:
        return self._streams.stream(name)

    # --- for Task and Pending -----------------------------------------------------------------------------------------

    def running(self) -> Task:
        """The task being stepped. Errors: ConfigError when the caller runs outside every task of this runtime."""
        if self.current is None:
            raise ConfigError(
                "awaited outside a task of this runtime",
                "spawn the coroutine on the runtime; a function given to call_at cannot wait",
            )
        return self.current

    @abstractmethod
    def make_ready(self, task: Task) -> None:
        """Queue a woken task for its next step, after those already queued."""

    @abstractmethod
    def _start(self, task: Task) -> None:
        """Queue a new task for its first step, after those already queued."""

    @abstractmethod
    def _timer_first(self, t_ns: int) -> None:
        """A new timer is the earliest now."""

    def park(self, task: Task) -> Any:
        """The task waits from now on; what its driver needs to resume it."""
        return None

    def adopt(self, task: Task, awaited: Any) -> ConfigError | None:
        """Arrange for something foreign to wake the waiting task, or say why that cannot be."""
        return ConfigError(
            f"task {task.name!r} awaited {type(awaited).__name__}, which nobody can wake",
            "await the runtime's own sleeps and pending results",
        )

    def disown(self, task: Task) -> None:  # noqa: B027  # optional: only wall time adopts anything
        """The task no longer waits for what `adopt` arranged."""

    def ended(self, task: Task, error: BaseException | None) -> None:
        """A task has ended; its failure, or the end of main, ends the run."""
        del self._alive[task.number]
        self._regular -= not task.daemon
        if error is not None:
            self._fail(error, f"task {task.name!r}")
        if task is self._main:
            self._over = True

    # --- the life of a run --------------------------------------------------------------------------------------------

    def _begin(self, main: Coroutine[Any, Any, Any] | None) -> None:
        if self._closed or self._over:
            if main is not None:
                main.close()
            raise ConfigError("this runtime has already run", "make a new one: a runtime runs once")
        if main is not None:
            self._main = self.spawn(main, "main")

    def _fail(self, error: BaseException, who: str) -> None:
        """End the run with this error; a later one becomes a note of the first."""
        self._over = True
        if self._error is None:
            self._error = error
        elif error is not self._error:
            self._error.add_note(f"while the run was ending, {who} raised {error!r}")

    def _only_daemons(self) -> bool:
        """No regular task is left: are the live timers only sleeps of daemons, which keep no run alive?"""
        return all(timer[FN] is Task.wake and timer[ARGS][0].daemon for timer in self._timers.live())

    def _newest(self) -> Task | None:
        return next(reversed(self._alive.values()), None)

    def _late(self, task: Task) -> None:
        self._fail(
            ConfigError(
                f"cleanup of task {task.name!r} still waits for {waited(task)} after the run has ended",
                "a finally block must not wait for time or for other tasks' work at the end of a run",
            ),
            "the runtime",
        )

    def _abandon(self, task: Task) -> None:
        try:
            task.abandon()
        except BaseException as error:
            self._fail(error, f"task {task.name!r}, closed by force,")

    def _close(self) -> Any:
        """The run's result, or its error raised as the same object."""
        self._closed = True
        if self._error is not None:
            raise self._error
        return None if self._main is None else self._main.result


def waited(task: Task) -> str:
    """What a task waits for, in words."""
    what = task.waits_for
    if isinstance(what, Pending):
        return repr(what.name)
    if isinstance(what, Timer):
        return "time to pass"
    return "something outside the runtime"


def tasks_waiting(tasks: list[Task]) -> str:
    """'a' (waits for 'x'), 'b' (waits for 'y'), ... for a message."""
    named = [f"{task.name!r} (waits for {waited(task)})" for task in tasks[:NAMED_MAX]]
    rest = len(tasks) - len(named)
    return ", ".join(named) + (f" and {rest} more" if rest > 0 else "")
