"""Time and tasks, as protocols: what shared code may ask of the run it is in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from enum import IntEnum
from typing import Any, Final, Protocol, TypeVar

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)

NEVER: Final = 2**63 - 1
"""An instant that does not come (ns)."""


class Priority(IntEnum):
    """Order among timers of one instant: lower first, then the sequence in which they were set."""

    TAPE = 0
    """the recorded market moves before everybody else"""
    VENUE = 1
    """messages arriving at the venue"""
    NORMAL = 2
    LAST = 3
    """after everything else of this instant, including what that caused at the same instant"""


class Task(Protocol):
    """A running coroutine."""

    name: str

    @property
    def done(self) -> bool: ...

    def cancel(self) -> None:
        """Settle the task's current wait as cancelled. No effect on a finished task. Returns at once."""

    async def join(self) -> None:
        """Wait until it has ended; never raises what the task raised."""


class Pending(Protocol[T_contra]):
    """One result that will come: awaitable once settled or before, by any number of waiters."""

    @property
    def done(self) -> bool: ...

    def set(self, value: T_contra) -> None:
        """Settle with a value. A second settlement is ignored (returns silently)."""

    def fail(self, error: BaseException) -> None:
        """Settle with an error, raised in every waiter as the same object."""

    def __await__(self) -> Any: ...


class Timer(Protocol):
    def cancel(self) -> None:
        """A cancelled timer never fires and is no horizon. No effect once fired."""


class Rng(Protocol):
    """A named stream of integers, the same in every process and on every machine (PCG64, no floats)."""

    def raw(self) -> int:
        """Next unsigned 64-bit integer."""

    def below(self, n: int) -> int:
        """Uniform integer in [0, n), unbiased."""

    def raws(self, n: int) -> Any:
        """The next n draws of `raw` as a NumPy uint64 array: the same numbers n calls of `raw` would give."""


class Runtime(Protocol):
    """Time and tasks. `now_ns` is integer nanoseconds of the run's clock."""

    def now_ns(self) -> int: ...

    def stopwatch_ns(self) -> int:
        """For measuring how long our own work takes, and for nothing else: never journalled, no decision rests on it.
        Wall: the machine's monotonic clock. Virtual: now_ns, so that work takes no time."""

    def next_event_ns(self) -> int:
        """Instant of the earliest thing scheduled besides the caller: now if anything is ready; NEVER if nothing is.

        In wall time: now (anything may come at any moment), or the time of a timer that is overdue.
        """

    async def sleep_until(self, t_ns: int, priority: Priority = Priority.NORMAL) -> None:
        """Return at t_ns (at once, after yielding, if it is not in the future)."""

    async def sleep(self, ns: int) -> None: ...

    async def turn(self, until_ns: int) -> None:
        """For the one tape task: give way and come back at the tape's next turn.

        Virtual: at min(until_ns, next_event_ns()), after everything else of that instant. Wall: at until_ns, first.
        """

    def call_at(self, t_ns: int, fn: Callable[..., None], *args: Any, priority: Priority = Priority.NORMAL) -> Timer:
        """Call fn(*args) at t_ns (never before now). An exception in fn ends the run."""

    def spawn(self, coro: Coroutine[Any, Any, Any], name: str, *, daemon: bool = False) -> Task:
        """Run a coroutine as a task. Its failure ends the run. A daemon does not keep the run alive."""

    def pending(self, name: str) -> Pending[Any]:
        """A fresh unsettled result; `name` appears in the error when the run ends and it can no longer be settled."""

    async def within(self, until_ns: int, work: Awaitable[T], late: BaseException) -> T:
        """Await `work`; if it still waits at until_ns, `late` is raised where it waits."""

    async def blocking(self, fn: Callable[[], T]) -> T:
        """Run a blocking function (journal I/O). Virtual: inline. Wall: in a worker thread."""

    def rng(self, name: str) -> Rng:
        """The stream of that name: derived from the run's seed and the name only. The same object for the same name."""
