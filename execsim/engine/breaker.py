"""A venue that does not answer is left alone for a while: the circuit breaker, and the health checks that close it.

Orders are refused while it is open; cancels and questions always pass, and the answer to one closes it. It counts calls
nobody answered, in a row: a refusal is an answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from execsim.core.errors import ExecError, InternalError, NetworkError, Reached
from execsim.core.units import NS_PER_S
from execsim.ports import Runtime, Task


@dataclass(frozen=True, slots=True)
class BreakerConfig:
    """`failures_max` calls in a row without an answer open it; the venue's health is then asked for after `probe_ns`, and
    after twice as long each time it is not well, up to `probe_ns_max`."""

    failures_max: int = 5
    probe_ns: int = NS_PER_S
    probe_ns_max: int = 30 * NS_PER_S


class BreakerState(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    PROBING = "probing"


class BreakerEvent(StrEnum):
    TRIP = "trip"
    """too many calls in a row without an answer"""
    PROBE = "probe"
    """we ask for its health"""
    ILL = "ill"
    """it is not well"""
    ANSWER = "answer"
    """it has answered something"""


S = BreakerState
E = BreakerEvent

BREAKER: Final[Mapping[S, Mapping[E, S]]] = {
    S.CLOSED: {E.TRIP: S.OPEN, E.ANSWER: S.CLOSED},
    S.OPEN: {E.TRIP: S.OPEN, E.PROBE: S.PROBING, E.ANSWER: S.CLOSED},
    S.PROBING: {E.TRIP: S.PROBING, E.ILL: S.OPEN, E.ANSWER: S.CLOSED},
}


class Breaker:
    """One venue's. `check` is the adapter's health check; `tell(state, reason)` hears each opening and closing."""

    def __init__(
        self,
        runtime: Runtime,
        venue: str,
        check: Callable[[], Awaitable[bool]],
        config: BreakerConfig,
        tell: Callable[[BreakerState, str], None],
    ) -> None:
        self.state = S.CLOSED
        self.failures = 0
        """calls in a row nobody answered"""
        self._runtime = runtime
        self._venue = venue
        self._check = check
        self._config = config
        self._tell = tell
        self._prober: Task | None = None

    @property
    def is_open(self) -> bool:
        """Whether orders are refused."""
        return self.state is not S.CLOSED

    def refusal(self) -> NetworkError:
        """Why an order is not sent."""
        what = f"not sent: the circuit breaker is open after {self.failures} calls without an answer"
        return NetworkError(self._venue, what, Reached.NO)

    def heed(self, error: ExecError) -> None:
        """Count what a call came to: an answer, if only a refusal, or none."""
        if isinstance(error, NetworkError) or error.reached is Reached.UNKNOWN:
            self.failed()
        else:
            self.answered()

    def failed(self) -> None:
        """A call nobody answered, or whose answer nobody can read."""
        self.failures += 1
        if self.failures >= self._config.failures_max and self.state is S.CLOSED:
            self._move(E.TRIP, f"{self.failures} calls in a row without an answer")
            if self._prober is None or self._prober.done:
                self._prober = self._runtime.spawn(self._probe(), f"{self._venue}: health checks", daemon=True)

    def answered(self) -> None:
        self.failures = 0
        if self.state is not S.CLOSED:
            self._move(E.ANSWER, "the venue answers again")

    async def _probe(self) -> None:
        """Ask for the venue's health until it is well or has answered something else."""
        wait_ns = self._config.probe_ns
        while True:
            await self._runtime.sleep(wait_ns)
            if self.state is S.CLOSED:
                return
            self.state = step(self.state, E.PROBE)
            try:
                well = await self._check()
            except ExecError:
                well = False
            if self.state is S.CLOSED:  # something else was answered meanwhile
                return
            if well:
                self.answered()
                return
            if self.state is S.PROBING:  # else it has closed and opened again meanwhile
                self.state = step(self.state, E.ILL)
            wait_ns = min(2 * wait_ns, self._config.probe_ns_max)

    def _move(self, event: BreakerEvent, reason: str) -> None:
        self.state = step(self.state, event)
        self._tell(self.state, reason)


def step(state: BreakerState, event: BreakerEvent) -> BreakerState:
    """Next state by the table. Errors: InternalError: only this file moves a breaker."""
    after = BREAKER[state].get(event)
    if after is None:
        raise InternalError(f"a breaker that is {state} cannot {event}")
    return after
