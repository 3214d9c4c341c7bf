"""Our own rate limiter: requests wait their turn, first in, first out, on an exact token bucket."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from execsim.core.bucket import TokenBucket
from execsim.core.errors import RateLimitExceeded
from execsim.core.units import Number
from execsim.ports import Pending, Runtime, Timer

WAITING_MAX: Final = 10_000
"""Requests that may wait in one limiter; the next one is refused with RateLimitExceeded("ours", ...)."""


@dataclass(frozen=True, slots=True)
class RateLimiterConfig:
    """`rate` requests a second, at most `burst` at once; rate None = unlimited."""

    rate: Number | None
    burst: int = 1

    @classmethod
    def polymarket(cls) -> RateLimiterConfig:
        return cls("10", 20)

    @classmethod
    def binance(cls) -> RateLimiterConfig:
        return cls("20", 50)

    @classmethod
    def unlimited(cls) -> RateLimiterConfig:
        return cls(None)

    @classmethod
    def preset(cls, venue: str) -> RateLimiterConfig:
        """The preset of a venue we know, else unlimited."""
        known = {"polymarket": cls.polymarket, "binance": cls.binance}
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
    """`check` waits, `try_check` refuses, `enter` is both without a suspension when tokens are there."""

    def __init__(self, config: RateLimiterConfig, runtime: Runtime, name: str = "limiter") -> None:
        self.config = config
        self.name = name
        self._runtime = runtime
        self._bucket = None if config.rate is None else TokenBucket(config.rate, config.burst)
        self._queue: deque[Turn] = deque()
        self._timer: Timer | None = None

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return sum(not turn.settled for turn in self._queue)

    async def check(self, tokens: int = 1) -> None:
        """Take `tokens`, waiting behind everybody who came earlier. Errors: ConfigError when tokens > burst;
        RateLimitExceeded when WAITING_MAX requests already wait."""
        turn = self.enter(tokens)
        if turn is not None:
            await turn.wait()

    def try_check(self, tokens: int = 1) -> None:
        """Take `tokens` now or raise RateLimitExceeded("ours", what, wait_ns); never overtakes the queue."""
        if self._bucket is None or (not self._queue and self._bucket.take(self._runtime.now_ns(), tokens) == 0):
            return
        wait_ns = self._bucket.wait_ns(self._runtime.now_ns(), tokens)
        raise RateLimitExceeded(
            "ours", f"{self.name} allows {self.config.rate}/s, {self.config.burst} at once", wait_ns
        )

    def enter(self, tokens: int = 1) -> Turn | None:
        """None when `tokens` were taken at once, else a place in the queue to `wait` for. Errors as `check`."""
        bucket = self._bucket
        if bucket is None:
            return None
        now_ns = self._runtime.now_ns()
        if not self._queue and bucket.take(now_ns, tokens) == 0:
            return None
        wait_ns = bucket.wait_ns(now_ns, tokens)
        if len(self._queue) >= WAITING_MAX:
            raise RateLimitExceeded("ours", f"{WAITING_MAX} requests already wait in {self.name}", wait_ns)
        turn = Turn(self, self._runtime.pending(f"{self.name}: rate limit"), tokens)
        self._queue.append(turn)
        self._arm()
        return turn

    def leave(self, turn: Turn) -> None:
        """Give up a place without spending tokens. No effect on a turn that was granted."""
        if turn.settled:
            return
        turn.settle(False)
        # those who left from the middle are skipped when their turn comes
        while self._queue and self._queue[0].settled:
            self._queue.popleft()
        if not self._queue and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        if self._timer is None and self._bucket is not None:
            now_ns = self._runtime.now_ns()
            wait_ns = self._bucket.wait_ns(now_ns, self._queue[0].tokens)
            self._timer = self._runtime.call_at(now_ns + wait_ns, self._release)

    def _release(self) -> None:
        self._timer = None
        bucket = self._bucket
        if bucket is None:
            return
        now_ns = self._runtime.now_ns()
        while self._queue:
            turn = self._queue[0]
            if not turn.settled:
                if bucket.take(now_ns, turn.tokens):
                    break
                turn.settle(True)
            self._queue.popleft()
        if self._queue:
            self._arm()
