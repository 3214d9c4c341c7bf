"""The way to one venue: its adapter, our budgets of requests, its circuit breaker, and a deadline on every call."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from execsim.core.errors import ExecError, ExecTimeout, InternalError, InvalidResponse, RateLimitExceeded, Reached
from execsim.core.order import Order
from execsim.core.units import NS_PER_S
from execsim.engine.breaker import Breaker, BreakerConfig, BreakerState
from execsim.engine.retry import Retry, RetryConfig
from execsim.engine.throttle import RateLimiter, RateLimiterConfig
from execsim.ports import Runtime, VenueAdapter

T = TypeVar("T")

DEADLINE_NS: Final = 15 * NS_PER_S
"""How long a call may take. Adapters give up earlier by themselves (the simulated line after 10 s); this is for those that
do not."""

QUERIES: Final = RateLimiterConfig("10", 20)
"""Questions about orders whose fate is unknown: an outage must not end in a flood of them."""


@dataclass(frozen=True, slots=True)
class RouteConfig:
    """What holds for every call: the deadline, repeats, and when a venue is left alone."""

    deadline_ns: int = DEADLINE_NS
    retry: RetryConfig = field(default_factory=RetryConfig)
    breaker: BreakerConfig = field(default_factory=BreakerConfig)
    queries: RateLimiterConfig = QUERIES


class Route:
    """One venue. `cancels` is a budget of its own, or `orders` where the venue counts them together."""

    def __init__(
        self,
        runtime: Runtime,
        adapter: VenueAdapter,
        limits: RateLimiterConfig,
        config: RouteConfig,
        tell: Callable[[str, BreakerState, str], None],
    ) -> None:
        venue = adapter.venue_id
        self.venue = venue
        self.adapter = adapter
        self.traits = adapter.traits
        self.orders = RateLimiter(limits, runtime, f"{venue} orders")
        self.cancels = self.orders if limits.shared else RateLimiter(limits, runtime, f"{venue} cancels")
        self.queries = RateLimiter(config.queries, runtime, f"{venue} questions")
        self.retry = Retry(config.retry, runtime, venue)
        self.breaker = Breaker(
            runtime, venue, self._healthy, config.breaker, lambda state, reason: tell(venue, state, reason)
        )
        self._runtime = runtime
        self._deadline_ns = config.deadline_ns

    async def call(self, verb: str, work: Coroutine[Any, Any, T]) -> T:
        """Await one call of the adapter, `_deadline_ns` at most; the breaker learns what it came to.

        Errors: the venue's; ExecTimeout (reached unknown). Another exception (the adapter's own fault) passes through.
        """
        runtime = self._runtime
        deadline_ns = self._deadline_ns
        what = f"{verb}: no answer within {deadline_ns // NS_PER_S} s"
        late = ExecTimeout(self.venue, what, Reached.UNKNOWN)
        try:
            answer = await runtime.within(runtime.now_ns() + deadline_ns, work, late)
        except ExecError as error:
            self.breaker.heed(error)
            if isinstance(error, RateLimitExceeded) and error.retry_after_ns > 0 and error.args[0] != "ours":
                # who says when to come back gets no new order before; cancels are still tried
                self.orders.hold(runtime.now_ns() + error.retry_after_ns)
            raise
        except Exception:
            self.breaker.failed()
            raise
        self.breaker.answered()
        return answer

    async def ask(self, verb: str, question: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """A question that changes nothing, within the budget of questions. Errors: as `call`; an adapter's own fault is an
        InvalidResponse: nothing is known then."""
        turn = self.queries.enter()
        if turn is not None:
            await turn.wait()
        try:
            return await self.call(verb, question())
        except ExecError:
            raise
        except Exception as error:
            raise InvalidResponse(self.venue, "adapter", fault(self.venue, verb, error)) from error

    async def _healthy(self) -> bool:
        """Whether the venue says it is well, asked past the breaker's counting."""
        what = "health_check: no answer in time"
        late = ExecTimeout(self.venue, what, Reached.UNKNOWN)
        work = self.adapter.health_check()
        try:
            return await self._runtime.within(self._runtime.now_ns() + self._deadline_ns, work, late)
        except Exception:  # an adapter that cannot even say so is not well
            return False


Routes = Mapping[str, Route]


def fault(venue: str, verb: str, error: BaseException) -> str:
    """What an adapter that failed by itself did, in words."""
    return f"{verb} of the {venue} adapter raised {type(error).__name__}: {error}"


def unread(order: Order, verb: str, error: BaseException) -> InvalidResponse:
    """An adapter that fails by itself says nothing of the order: its fate is unknown, not refused."""
    venue = order.instrument.venue
    return InvalidResponse(venue, "adapter", fault(venue, verb, error))


def abandoned(order: Order, verb: str) -> ExecTimeout:
    """Who waited for the venue's answer was cancelled: the answer will be heard by nobody."""
    return ExecTimeout(order.instrument.venue, f"{verb}: whoever waited for the answer was cancelled", Reached.UNKNOWN)


def bug(order: Order, verb: str, error: BaseException) -> InternalError:
    return InternalError(fault(order.instrument.venue, verb, error))
