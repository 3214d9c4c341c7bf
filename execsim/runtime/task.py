"""A running coroutine. SimPy and the wall clock's own loop both drive it by `send`, so it behaves the same on both."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, NoReturn

from execsim.runtime.wait import PARK, Cancelled, Pending

if TYPE_CHECKING:
    from execsim.runtime.scheduler import Scheduler


class Task:
    """The port `ports.Task`, and a generator as far as `simpy.Environment.process` looks (`send`, `throw`, `__name__`).

    It stands between SimPy and the coroutine for two reasons: an error must end the run as the same object (SimPy
    rebuilds it), and something awaited that nobody here can wake must be refused by name (SimPy's own message for that
    reads `gi_frame`, which coroutines do not have).
    """

    __slots__ = (
        "__name__",
        "_coro",
        "_ended",
        "_parked",
        "_scheduler",
        "_thrown",
        "daemon",
        "done",
        "foreign",
        "name",
        "number",
        "result",
        "signal",
        "waits_for",
    )

    def __init__(
        self, scheduler: Scheduler, coro: Coroutine[Any, Any, Any], name: str, number: int, daemon: bool
    ) -> None:
        self.name = self.__name__ = name
        self.number = number
        """place in spawn order"""
        self.daemon = daemon
        self.done = False
        self.result: Any = None
        """what the coroutine returned; None until then, and when it failed or was cancelled"""
        self.waits_for: object = None
        """the Pending or Timer of the current wait, for error messages"""
        self.signal: Any = None
        """virtual: the SimPy event of the current wait"""
        self.foreign: Any = None
        """wall: the asyncio future of the current wait"""
        self._scheduler = scheduler
        self._coro = coro
        self._thrown: BaseException | None = None
        """raised at the wait by the next step"""
        self._parked = False
        self._ended: Pending[None] | None = None

    def send(self, _value: object) -> Any:
        """One step: run until the next wait and return what the driver needs. Raises StopIteration at the end.

        A cancelled task's step raises Cancelled at the wait, whatever that was settled with meanwhile; before the first
        step that is the top of the body, which therefore never runs.
        """
        scheduler = self._scheduler
        scheduler.ready -= 1
        scheduler.current = scheduler.last = self
        try:
            if self._thrown is not None:
                thrown, self._thrown = self._thrown, None
                yielded = self._coro.throw(thrown)
            else:
                yielded = self._coro.send(None)
            while yielded is not PARK:
                self._parked = True
                self.waits_for = yielded
                refusal = scheduler.adopt(self, yielded)
                if refusal is None:
                    return None
                self._parked = False
                yielded = self._coro.throw(refusal)
        except StopIteration as stop:
            self._end(stop.value, None)
            raise
        except Cancelled:
            self._end(None, None)
            raise StopIteration from None
        except BaseException as error:
            self._end(None, error)
            raise StopIteration from None
        finally:
            scheduler.current = None
        self._parked = True
        return scheduler.park(self)

    def throw(self, error: BaseException) -> NoReturn:
        """SimPy asks for it and calls it for failed events only; ours never fail."""
        raise error

    def wake(self) -> None:
        """Make a waiting task ready; no effect on one that is ready, running or done."""
        if self._parked:
            self._parked = False
            self._scheduler.make_ready(self)

    def unpark(self) -> bool:
        """Was it waiting? Then the caller steps it at once instead of queueing it."""
        parked, self._parked = self._parked, False
        return parked

    def about_to_wait(self, what: object) -> None:
        """Called by every wait before it gives way: a task that cancelled itself learns it here."""
        if self._thrown is not None:
            thrown, self._thrown = self._thrown, None
            raise thrown
        self.waits_for = what

    def cancel(self) -> None:
        """Settle the current wait as cancelled (a running task: its next wait). No effect on a finished task."""
        if not self.done:
            self._thrown = Cancelled()
            self._scheduler.disown(self)
            self.wake()

    def interrupt(self, error: BaseException) -> None:
        """Raise `error` at the current wait. No effect on a task that does not wait any more: what it waited for came
        first."""
        if self._parked and self._thrown is None:
            self._thrown = error
            self._scheduler.disown(self)
            self.wake()

    async def join(self) -> None:
        """Wait until it has ended; never raises what the task raised."""
        if self.done:
            return
        if self._ended is None:
            self._ended = Pending(self._scheduler, f"end of task {self.name}")
        await self._ended

    def abandon(self) -> None:
        """Last resort for a task that does not let itself be cancelled: close it where it stands.

        Errors: whatever its cleanup raises; RuntimeError when it goes on waiting.
        """
        self._parked = False
        self._scheduler.disown(self)
        try:
            self._coro.close()
        finally:
            self._end(None, None)

    def _end(self, result: Any, error: BaseException | None) -> None:
        self.done = True
        self.result = result
        self.waits_for = self.signal = None
        self._scheduler.ended(self, error)
        if self._ended is not None:
            self._ended.set(None)

    def __repr__(self) -> str:
        return f"Task({self.name!r}, done={self.done})"
