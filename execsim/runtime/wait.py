"""How a task waits: `Park` hands control back, `Pending` is one result that will come, `Cancelled` ends a wait early.

A wait is settled with an outcome *value* (here: a value or an error kept in the `Pending`) and the error is raised in
our own `__await__`, never inside SimPy: SimPy would raise `type(e)(*e.args)`, another object with another traceback.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

if TYPE_CHECKING:
    from execsim.runtime.scheduler import Scheduler
    from execsim.runtime.task import Task

T = TypeVar("T")


class Cancelled(BaseException):
    """The outcome of a wait whose task was cancelled.

    A BaseException, so that `except Exception` in a strategy does not swallow it. Shared code never names it: it uses
    `finally`.
    """


class Park:
    """The bridge between `await` and whoever drives the coroutine: a task that yields it sleeps until it is woken."""

    __slots__ = ()

    def __await__(self) -> Generator[Park, None, None]:
        yield self


PARK: Final = Park()


class Pending(Generic[T]):
    """One result that will come; the port `ports.Pending`.

    Awaiting a settled one returns (or raises) at once, without giving way. Waiters are woken in the order in which they
    came. Wall time: settle it on the loop's thread only.
    """

    __slots__ = ("_error", "_scheduler", "_value", "_waiters", "done", "name")

    def __init__(self, scheduler: Scheduler, name: str) -> None:
        self.name = name
        self.done = False
        self._scheduler = scheduler
        self._value: T | None = None
        self._error: BaseException | None = None
        self._waiters: list[Task] = []

    def set(self, value: T) -> None:
        """Settle with a value; ignored when already settled."""
        if not self.done:
            self._value = value
            self._settle()

    def fail(self, error: BaseException) -> None:
        """Settle with an error, raised in every waiter as this very object; ignored when already settled."""
        if not self.done:
            self._error = error
            self._settle()

    def _settle(self) -> None:
        self.done = True
        waiters, self._waiters = self._waiters, []
        for task in waiters:
            task.wake()

    def __await__(self) -> Generator[Any, None, T]:
        if not self.done:
            task = self._scheduler.running()
            task.about_to_wait(self)
            self._waiters.append(task)
            try:
                yield PARK
            except BaseException:
                if not self.done:
                    self._waiters.remove(task)
                raise
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[return-value]  # settled without error: `set` gave it a T

    def __repr__(self) -> str:
        return f"Pending({self.name!r}, done={self.done})"
