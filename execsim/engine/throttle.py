"""Our own rate limiter: requests wait their turn, first in, first out, on an exact token bucket."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from execsim.core.bucket import TokenBucket
from execsim.core.errors import ConfigError, RateLimitExceeded
from execsim.core.units import Number
from execsim.ports import Pending, Runtime, Timer

WAITING_MAX: Final = 10_000
"""Requests that may wait in one limiter; the next one is refused with RateLimitExceeded("ours", ...)."""


@dataclass(frozen=True, slots=True)
class RateLimiterConfig:
    """`rate` requests a second, at most `burst` at once; rate None = unlimited.

    `shared`: the venue counts orders and cancels together, so one limiter serves both; orders then never take the last
    `cancel_reserve` tokens, and cancels go first. Errors: ConfigError for a reserve nothing can be kept for.
    """

    rate: Number | None
    burst: int = 1
    shared: bool = False
    cancel_reserve: int = 0

    def __post_init__(self) -> None:
        reserve = f"a reserve of {self.cancel_reserve} tokens for cancels"
        if self.cancel_reserve and not self.shared:
            raise ConfigError(reserve, "cancels have a budget of their own unless it is shared")
        if self.cancel_reserve < 0 or (self.cancel_reserve and self.cancel_reserve >= self.burst):
            raise ConfigError(reserve, f"at least 0 and below the burst of {self.burst}")

    @classmethod
    def polymarket(cls) -> RateLimiterConfig:
        return cls("10", 20)

    @classmethod
    def binance(cls) -> RateLimiterConfig:
        return cls("20", 50)

    @classmethod
    def kalshi(cls) -> RateLimiterConfig:
        """Orders and cancels are writes of one budget there: 100 tokens a second for a Basic account, an order costs 10."""
        return cls("10", 10, shared=True, cancel_reserve=2)

    @classmethod
    def unlimited(cls) -> RateLimiterConfig:
        return cls(None)

    @classmethod
    def preset(cls, venue: str) -> RateLimiterConfig:
        """The preset of a venue we know, else unlimited."""
        known = {"polymarket": cls.polymarket, "binance": cls.binance, "kalshi": cls.kalshi}
        return known.get(venue, cls.unlimited)()


class Turn:
    """A place in the queue. `await turn.wait()` gives True when it is ours, False when we left the queue."""

    __slots__ = ("_limiter", "_pending", "settled", "tokens")

    def __init__(self, limiter: RateLimiter, pending: Pending[bool], tokens: int) -> None:
        self._limiter = limiter
        self._pending = pending
        self.tokens = tokens
        self.settled = False

    async def wait(self) -> bool:
        try:
            granted: bool = await self._pending
        finally:
            # a cancelled task gives its place up; without this the tokens of the dead would be spent
            self._limiter.leave(self)
        return granted

    def leave(self) -> None:
        """Give the place up; `wait` then returns False."""
        self._limiter.leave(self)

    def settle(self, granted: bool) -> None:
        self.settled = True
        self._pending.set(granted)


class RateLimiter:
    """`check` waits, `try_check` refuses, `enter` is both without a suspension when tokens are there.

    Urgent requests (cancels) stand in a queue of their own, are served first, may use the reserve and are never held.
    """

    def __init__(self, config: RateLimiterConfig, runtime: Runtime, name: str = "limiter") -> None:
        self.config = config
        self.name = name
        self._runtime = runtime
        self._bucket = None if config.rate is None else TokenBucket(config.rate, config.burst)
        self._urgent: deque[Turn] = deque()
        self._queue: deque[Turn] = deque()
        self._timer: Timer | None = None
        self._held_ns = 0

    @property
    def waiting(self) -> int:
        """Requests in the queues."""
        return sum(not turn.settled for queue in (self._urgent, self._queue) for turn in queue)

    def hold(self, until_ns: int) -> None:
        """Let no request but urgent ones through before `until_ns`: the venue said when to come back."""
        self._held_ns = max(self._held_ns, until_ns)
        self._arm()

    async def check(self, tokens: int = 1, urgent: bool = False) -> None:
        """Take `tokens`, waiting behind everybody who came earlier. Errors: ConfigError when tokens > burst (less the
        reserve); RateLimitExceeded when WAITING_MAX requests already wait."""
        turn = self.enter(tokens, urgent)
        if turn is not None:
            await turn.wait()

    def try_check(self, tokens: int = 1, urgent: bool = False) -> None:
        """Take `tokens` now or raise RateLimitExceeded("ours", what, wait_ns); never overtakes the queue."""
        if self._take_first(tokens, urgent):
            return
        what = f"{self.name} allows {self.config.rate}/s, {self.config.burst} at once"
        if self._runtime.now_ns() < self._held_ns and not urgent:
            what = f"{self.name}: the venue has asked us to wait"
        raise RateLimitExceeded("ours", what, self._wait_ns(tokens, urgent))

    def enter(self, tokens: int = 1, urgent: bool = False) -> Turn | None:
        """None when `tokens` were taken at once, else a place in the queue to `wait` for. Errors as `check`."""
        if self._take_first(tokens, urgent):
            return None
        wait_ns = self._wait_ns(tokens, urgent)
        queue = self._urgent if urgent else self._queue
        if len(queue) >= WAITING_MAX:
            raise RateLimitExceeded("ours", f"{WAITING_MAX} requests already wait in {self.name}", wait_ns)
        turn = Turn(self, self._runtime.pending(f"{self.name}: rate limit"), tokens)
        queue.append(turn)
        self._arm()
        return turn

    def leave(self, turn: Turn) -> None:
        """Give up a place without spending tokens. No effect on a turn that was granted."""
        if turn.settled:
            return
        turn.settle(False)
        # those who left from the middle are skipped when their turn comes
        for queue in (self._urgent, self._queue):
            while queue and queue[0].settled:
                queue.popleft()
        if not self._urgent and not self._queue and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait_ns(self, tokens: int, urgent: bool) -> int:
        """How long until `tokens` could be taken by whoever is first in line; 0 = now. Takes nothing."""
        now_ns = self._runtime.now_ns()
        held_ns = 0 if urgent else max(0, self._held_ns - now_ns)
        if self._bucket is None:
            return held_ns
        reserve = 0 if urgent else self.config.cancel_reserve
        return max(held_ns, self._bucket.wait_ns(now_ns, tokens + reserve))

    def _take_first(self, tokens: int, urgent: bool) -> bool:
        """Take `tokens` now if nobody stands before us: urgent requests pass those that are not."""
        wait_ns = self._wait_ns(tokens, urgent)
        if wait_ns or self._urgent or (self._queue and not urgent):
            return False
        self._spend(tokens)
        return True

    def _spend(self, tokens: int) -> None:
        if self._bucket is not None:
            self._bucket.force(self._runtime.now_ns(), tokens)

    def _arm(self) -> None:
        """Wake when the first of either queue could go; cancels that take the tokens first make an order wait again."""
        waits = [
            self._wait_ns(queue[0].tokens, queue is self._urgent) for queue in (self._urgent, self._queue) if queue
        ]
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if waits:
            self._timer = self._runtime.call_at(self._runtime.now_ns() + min(waits), self._release)

    def _release(self) -> None:
        self._timer = None
        for queue in (self._urgent, self._queue):
            while queue:
                turn = queue[0]
                if not turn.settled:
                    if self._wait_ns(turn.tokens, queue is self._urgent):
                        break
                    self._spend(turn.tokens)
                    turn.settle(True)
                queue.popleft()
            if queue:
                break  # who is less urgent does not take what the first one saves up for
        self._arm()
