"""Whether a call is made again: only what the error allows, with growing, jittered pauses, from a budget."""

from __future__ import annotations

from dataclasses import dataclass

from execsim.core.bucket import TokenBucket
from execsim.core.errors import ExecError, RateLimitExceeded, Reached
from execsim.core.units import NS_PER_MS, NS_PER_S, Number
from execsim.ports import Rng, Runtime


@dataclass(frozen=True, slots=True)
class RetryConfig:
    """`attempts_max` calls in all (1: never again). The first pause is `pause_ns`, each later one twice as long up to
    `pause_ns_max`, less up to half by chance; a venue that names a time is waited for. An order is not sent again later
    than `within_ns` after it was first sent: its price was meant for then. A venue gets `budget_per_s` repeats a second,
    `budget_burst` at once.
    """

    attempts_max: int = 3
    pause_ns: int = 100 * NS_PER_MS
    pause_ns_max: int = 2 * NS_PER_S
    within_ns: int = 2 * NS_PER_S
    budget_per_s: Number = "1"
    budget_burst: int = 10


class Retry:
    """Repeats of one venue's calls."""

    def __init__(self, config: RetryConfig, runtime: Runtime, venue: str) -> None:
        self._config = config
        self._runtime = runtime
        self._rng: Rng = runtime.rng(f"{venue}.retries")
        self._budget = TokenBucket(config.budget_per_s, config.budget_burst)

    def pause_ns(self, error: ExecError, attempt: int, first_ns: int) -> int | None:
        """How long to wait before the call is made again, None: not at all. `attempt` calls were made, the first at
        `first_ns`. Only a call that surely had no effect is repeated; a token of the budget is then spent."""
        config = self._config
        if attempt >= config.attempts_max or not error.retryable or error.reached is not Reached.NO:
            return None
        wait_ns = backoff_ns(self._rng, config.pause_ns, config.pause_ns_max, attempt)
        if isinstance(error, RateLimitExceeded):
            if error.args[0] == "ours":
                return None  # our own limiter is full: waiting in it is what we have just been refused
            wait_ns = max(wait_ns, error.retry_after_ns)
        now_ns = self._runtime.now_ns()
        if now_ns + wait_ns > first_ns + config.within_ns or self._budget.take(now_ns, 1):
            return None
        return wait_ns


def backoff_ns(rng: Rng, first_ns: int, most_ns: int, attempt: int) -> int:
    """The pause after the n-th attempt (1, 2, ...): doubled each time up to `most_ns`, less up to half of it by chance, so
    that many callers do not come back at once."""
    whole_ns = min(first_ns << min(attempt - 1, 32), most_ns)
    return whole_ns - rng.below(whole_ns // 2 + 1)
