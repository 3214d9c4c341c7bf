"""Virtual time moved from outside: the SimPy environment of a served exchange, stepped by whoever hosts it.

    host ──advance(t)──▶ everything up to t has happened, now is t
    host ──inject(fns)──▶ they act at now, and everything that follows from them at this instant has happened

Between two calls nothing moves. So a hosted run is a function of its seed and of what was injected when, however the way
between was cut into steps: it can be run again from a log of those (scenario/state.py). The order within one instant is
that of every run (package docstring); what is injected comes after everything that was due then.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from execsim.core.errors import ConfigError
from execsim.ports import Priority
from execsim.runtime.timers import AT, FN
from execsim.runtime.virtual import ALARM, STEPS_PER_INSTANT_MAX, VirtualRuntime


class HostedRuntime(VirtualRuntime):
    """The port `ports.Runtime` in virtual time, without `run`: `begin`, then `advance` and `inject` again and again, then
    `end`. A wait that nobody inside can settle is no error: somebody outside may."""

    def __init__(self, seed: int, start_ns: int = 0) -> None:
        super().__init__(seed, start_ns)
        self._to_ns = start_ns
        """how far it may move: what lies beyond has not been decided"""

    def next_event_ns(self) -> int:
        """As in virtual time, and never beyond what the host asked for: anything may be injected there."""
        return min(super().next_event_ns(), max(self._to_ns, self._now))

    def next_timer_ns(self) -> int:
        """When something is to happen next; NEVER if nothing is."""
        return self._now if self.ready else self._timers.earliest_ns()

    async def turn(self, until_ns: int) -> None:
        """Come back at until_ns, before everything else of that instant."""
        await self.sleep_until(until_ns, Priority.TAPE)

    def begin(self, main: Coroutine[Any, Any, Any]) -> None:
        """Spawn the run's main task. Nothing happens yet."""
        self._begin(main)

    def advance(self, to_ns: int) -> None:
        """Let everything happen that is due up to `to_ns`, that instant included; nothing if it is in the past.

        Errors: what a task or a timer's function raised, as the same object (call `end` then); ConfigError for an endless
        loop at one instant."""
        self._to_ns = to_ns = max(to_ns, self._now)
        timers, step = self._timers, self._env.step
        heap = timers.heap
        try:
            while not self._over:
                if not self.ready:
                    plain = heap and heap[0][FN] is not None and heap[0][AT] <= to_ns
                    if not plain and timers.earliest_ns() > to_ns:
                        break
                step()
                self._steps += 1
                if self._steps > STEPS_PER_INSTANT_MAX:
                    raise self._endless()
        except BaseException as error:
            self._fail(error, "a timer's function")
        if self._error is not None:
            raise self._error
        self._skip_to(to_ns)

    def inject(self, *fns: Callable[[], object]) -> None:
        """Call them now, one after the other, and let everything happen that follows at this instant. Errors: as
        `advance`, and what they raise; ConfigError once the run is over."""
        if self._over:
            raise ConfigError("the hosted run is over", "")
        self._steps = 0
        for fn in fns:
            fn()
        self.advance(self._now)

    def _skip_to(self, t_ns: int) -> None:
        """Our clock alone: SimPy's stays behind until an alarm rings, which costs nothing at each of many small advances."""
        if t_ns > self._now:
            self._now = t_ns
            self._steps = 0

    def _timer_first(self, t_ns: int) -> None:
        armed = self._armed
        if not armed or t_ns < armed[-1]:
            armed.append(t_ns)
            self._env.schedule(self._alarm, ALARM, t_ns - self._env.now)

    def end(self) -> Any:
        """End the run: what is left is cancelled, newest first. The main task's result; None if it was cut off.
        Errors: what ended it early."""
        self._wind_down()
        return self._close()
