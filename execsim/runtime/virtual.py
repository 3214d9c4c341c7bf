"""Virtual time: SimPy drives the tasks and moves the clock. The order within one instant: see the package docstring."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from heapq import heappop
from typing import Any, Final, TypeVar

from simpy import Environment
from simpy.events import Event, EventPriority

from execsim.core.errors import ConfigError
from execsim.ports import NEVER, Priority
from execsim.runtime.scheduler import CANCELS_MAX, NAMED_MAX, Scheduler, tasks_waiting
from execsim.runtime.task import Task
from execsim.runtime.timers import ARGS, AT, FN

T = TypeVar("T")

STEPS_PER_INSTANT_MAX: Final = 1_000_000
"""Steps of SimPy without time moving before a run is ended as an endless loop."""

LOOP_WATCHED: Final = 1_000
"""Further steps watched to learn who takes part in an endless loop."""

ALARM: Final = EventPriority(2)
"""SimPy's priority of timers: below NORMAL (1), so that everything ready runs before the next timer of the instant."""

NO_LOOP: Final = "no running event loop"
"""What asyncio says when asked to sleep without its loop."""


class Signal(Event):
    """A SimPy event that is settled from birth and processed when it is scheduled, again and again: what a task waits
    for carries its outcome itself (wait.py), so SimPy has nothing to tell but "now"."""

    _ok = True
    _value = None


class VirtualRuntime(Scheduler):
    """The port `ports.Runtime` in virtual time, starting at `start_ns`. Deterministic: same seed and tasks, same run.

    SimPy's queue holds the tasks that are ready, and alarms: one for the earliest live timer, and those it superseded,
    which ring without effect. Nothing else reads SimPy's queue: `next_event_ns` asks the timers.
    """

    def __init__(self, seed: int, start_ns: int = 0) -> None:
        super().__init__(seed)
        if type(start_ns) is not int:
            raise ConfigError(f"start_ns {start_ns!r}", "the start is an integer of nanoseconds")
        self._env = Environment(initial_time=start_ns)
        self._now = start_ns
        self._steps = 0
        self._alarm = Signal(self._env)
        self._ringers: list[Callable[[Any], None]] = [self._ring]
        self._alarm.callbacks = self._ringers
        self._armed: list[int] = []
        """times at which the alarm stands in SimPy's queue, strictly decreasing: the last one rings first"""

    def now_ns(self) -> int:
        return self._now

    def stopwatch_ns(self) -> int:
        return self._now

    def next_event_ns(self) -> int:
        """Now if anything besides the caller is ready or due now; else the earliest live timer; else NEVER."""
        return self._now if self.ready else self._timers.earliest_ns()

    async def turn(self, until_ns: int) -> None:
        """Come back at min(until_ns, next_event_ns()), after everything else of that instant."""
        await self.sleep_until(min(until_ns, self.next_event_ns()), Priority.LAST)

    async def blocking(self, fn: Callable[[], T]) -> T:
        """Run it here and now: no virtual time passes and nobody else runs."""
        return fn()

    def run(self, until_ns: int | None = None, main: Coroutine[Any, Any, T] | None = None) -> T | None:
        """Run until main has ended; without main until every task that is no daemon has ended and no call is due.

        With `until_ns` at the latest until everything of that instant has happened. Then the tasks that are left are
        cancelled, newest first, and their cleanup runs, for which no time passes. Returns main's result, None if it was
        cancelled or cut off. Errors: what a task or a timer's function raised, as the same object; ConfigError for a wait
        nobody can settle, an endless loop at one instant, or a cleanup that wants time.
        """
        self._begin(main)
        try:
            self._advance(until_ns)
        except BaseException as error:
            self._fail(error, "a timer's function")
        self._wind_down()
        return self._close()  # type: ignore[no-any-return]  # main's own result type

    # --- who steps and who moves time ---------------------------------------------------------------------------------

    def make_ready(self, task: Task) -> None:
        self.ready += 1
        self._env.schedule(task.signal)

    def _start(self, task: Task) -> None:
        # SimPy starts processes before anything else that is ready; made only when its turn has come, a new task
        # keeps its place behind those woken earlier.
        task.signal = signal = Signal(self._env)
        signal.callbacks.append(lambda _: self._env.process(task))  # type: ignore[arg-type]  # has send and throw
        self._env.schedule(signal)

    def park(self, task: Task) -> Event:
        signal: Signal = task.signal
        signal.callbacks = []
        return signal

    def adopt(self, task: Task, awaited: Any) -> ConfigError:
        return ConfigError(
            f"task {task.name!r} awaited {type(awaited).__module__}.{type(awaited).__qualname__} in virtual time",
            "asyncio and its libraries work in wall time only; await the runtime's sleeps and pending results",
        )

    def ended(self, task: Task, error: BaseException | None) -> None:
        if isinstance(error, RuntimeError) and error.args == (NO_LOOP,):
            refusal = ConfigError(f"task {task.name!r} used asyncio in virtual time", "use the runtime's own sleep")
            refusal.__cause__ = error
            error = refusal
        super().ended(task, error)

    def _timer_first(self, t_ns: int) -> None:
        armed = self._armed
        if not armed or t_ns < armed[-1]:
            armed.append(t_ns)
            self._env.schedule(self._alarm, ALARM, t_ns - self._now)

    def _ring(self, alarm: Event) -> None:
        """The alarm: fire one timer, then let SimPy run what it made ready before the next."""
        alarm.callbacks = self._ringers  # SimPy has just taken them away
        armed = self._armed
        t_ns = armed.pop()
        if t_ns > self._now:
            self._now = t_ns
            self._steps = 0
        heap = self._timers.heap
        try:
            while heap and heap[0][AT] <= t_ns:
                timer = heappop(heap)
                fn = timer[FN]
                if fn is None:
                    continue  # cancelled
                timer[FN] = None
                if fn is Task.wake:
                    self._resume(timer[ARGS][0])
                else:
                    self.last = fn
                    fn(*timer[ARGS])
                break
        finally:
            if heap and (not armed or heap[0][AT] < armed[-1]):
                self._timer_first(heap[0][AT])

    def _resume(self, task: Task) -> None:
        """Step a task whose sleep is over. Nothing else is ready when an alarm rings, so it would be SimPy's next event:
        its callbacks are run here instead, which saves a way through SimPy's queue."""
        if task.unpark():
            self.ready += 1
            signal: Signal = task.signal
            callbacks, signal.callbacks = signal.callbacks, None  # type: ignore[assignment]  # SimPy's mark of a past event
            for callback in callbacks:
                callback(signal)

    def _advance(self, until_ns: int | None) -> None:
        limit_ns = NEVER if until_ns is None else until_ns
        heap = self._timers.heap
        step = self._env.step
        while not self._over:
            if not self.ready:
                plain = heap and heap[0][FN] is not None and heap[0][AT] <= limit_ns
                if not (plain and (self._regular or self._main)) and self._idle(limit_ns):
                    return
            step()
            self._steps += 1
            if self._steps > STEPS_PER_INSTANT_MAX:
                raise self._endless()

    def _idle(self, limit_ns: int) -> bool:
        """Nothing is ready: is the run over? Errors: ConfigError when somebody waits for what nobody can settle."""
        earliest = self._timers.earliest_ns()
        if self._main is None and not self._regular and self._only_daemons():
            return True
        if earliest == NEVER:
            raise self._stuck()
        if earliest > limit_ns:
            self._skip_to(limit_ns)
            return True
        return False

    def _skip_to(self, t_ns: int) -> None:
        """Move the clock to an instant before the next timer; alarms without a timer ring on the way."""
        if t_ns > self._now:
            self._env.run(until=t_ns)
            self._now = t_ns

    # --- errors and the end -------------------------------------------------------------------------------------------

    def _stuck(self) -> ConfigError:
        waiting = [task for task in self._alive.values() if not task.daemon]
        return ConfigError(
            f"stuck at {self._now} ns: nobody can wake {tasks_waiting(waiting)}",
            "settle what they wait for, cancel them, or spawn them as daemons",
        )

    def _endless(self) -> ConfigError:
        seen: dict[str, None] = {}
        for _ in range(LOOP_WATCHED):
            self._env.step()
            if isinstance(self.last, Task):
                seen[f"task {self.last.name!r}"] = None
            elif self.last is not None:
                seen[f"timer function {getattr(self.last, '__qualname__', self.last)!r}"] = None
            if self._over or not (self.ready or self._timers.earliest_ns() <= self._now):
                break
        return ConfigError(
            f"endless loop at {self._now} ns: {STEPS_PER_INSTANT_MAX} steps and time has not moved; running: "
            + ", ".join(list(seen)[:NAMED_MAX]),
            "sleep for a positive time in the loop",
        )

    def _wind_down(self) -> None:
        """Cancel what is left, newest first, and run everything that can happen at this instant after each."""
        self._steps = 0
        try:
            while (task := self._newest()) is not None:
                task.cancel()
                self._settle()
                for _ in range(CANCELS_MAX):
                    if task.done:
                        break
                    self._late(task)
                    task.cancel()
                    self._settle()
                if not task.done:
                    self._abandon(task)
        except BaseException as error:
            self._fail(error, "the end of the run")
            while (task := self._newest()) is not None:
                self._abandon(task)

    def _settle(self) -> None:
        while self.ready or self._timers.earliest_ns() <= self._now:
            self._env.step()
            self._steps += 1
            if self._steps > STEPS_PER_INSTANT_MAX:
                raise self._endless()
