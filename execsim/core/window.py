"""Counting windows: at most n tokens in a window that follows the clock, or in any stretch of time of its length.

The same calls as `TokenBucket` (core/bucket.py), exact in integer ns. Source: exchangeInfo `rateLimits` of Binance (fixed
windows aligned to the clock, binance.md section 11); Polymarket's IP windows per 10 s and 10 min (polymarket.md section 10).
"""

from __future__ import annotations

from collections import deque

from execsim.core.errors import ConfigError


def _checked(n: int, per_ns: int) -> None:
    if n < 1 or per_ns < 1:
        raise ConfigError(f"a window of {n} per {per_ns} ns", "both must be positive")


def _fits(tokens: int, n: int) -> None:
    if tokens > n:
        raise ConfigError(f"{tokens} tokens at once exceed the window's {n}", "split the batch")


class FixedWindow:
    """At most `n` tokens in each window [k per_ns, (k + 1) per_ns): all windows begin at multiples since 1970 (UTC).

    Twice `n` may pass around a turn of the window, as at venues that count so. Times must not decrease.
    """

    __slots__ = ("_count", "_window", "n", "per_ns")

    def __init__(self, n: int, per_ns: int) -> None:
        _checked(n, per_ns)
        self.n = n
        self.per_ns = per_ns
        self._window = -1
        self._count = 0

    def _turn(self, now_ns: int) -> None:
        window = now_ns // self.per_ns
        if window != self._window:
            self._window, self._count = window, 0

    def wait_ns(self, now_ns: int, tokens: int = 1) -> int:
        """How long until `tokens` could be taken; 0 = now. Takes nothing. tokens <= n or ConfigError."""
        _fits(tokens, self.n)
        self._turn(now_ns)
        return 0 if self._count + tokens <= self.n else (self._window + 1) * self.per_ns - now_ns

    def left(self, now_ns: int) -> int:
        """Tokens that are there now; negative where more were counted."""
        self._turn(now_ns)
        return self.n - self._count

    def take(self, now_ns: int, tokens: int = 1) -> int:
        """Take `tokens` if they are there and return 0; else take nothing and return the wait in ns."""
        wait = self.wait_ns(now_ns, tokens)
        if wait == 0:
            self._count += tokens
        return wait

    def force(self, now_ns: int, tokens: int = 1) -> None:
        """Count `tokens` even beyond n (a venue that counts what it refuses)."""
        self._turn(now_ns)
        self._count += tokens

    def credit(self, now_ns: int, tokens: int = 1) -> None:
        """Give `tokens` back to the window of now, not below an empty one."""
        self._turn(now_ns)
        self._count = max(0, self._count - tokens)


class SlidingWindow:
    """At most `n` tokens in any (t - per_ns, t]. Times must not decrease.

    Remembers when the last n tokens were taken, at most n entries: older ones can no longer make anybody wait.
    """

    __slots__ = ("_count", "_taken", "n", "per_ns")

    def __init__(self, n: int, per_ns: int) -> None:
        _checked(n, per_ns)
        self.n = n
        self.per_ns = per_ns
        self._taken: deque[tuple[int, int]] = deque()
        self._count = 0

    def wait_ns(self, now_ns: int, tokens: int = 1) -> int:
        """How long until `tokens` could be taken; 0 = now. Takes nothing. tokens <= n or ConfigError."""
        _fits(tokens, self.n)
        self._forget(now_ns)
        missing = self._count + tokens - self.n
        if missing <= 0:
            return 0
        for at_ns, count in self._taken:
            missing -= count
            if missing <= 0:
                return at_ns + self.per_ns - now_ns
        raise AssertionError("tokens <= n: all that was taken leaves room for them")

    def left(self, now_ns: int) -> int:
        """Tokens that are there now."""
        self._forget(now_ns)
        return self.n - self._count

    def take(self, now_ns: int, tokens: int = 1) -> int:
        """Take `tokens` if they are there and return 0; else take nothing and return the wait in ns."""
        wait = self.wait_ns(now_ns, tokens)
        if wait == 0:
            self.force(now_ns, tokens)
        return wait

    def force(self, now_ns: int, tokens: int = 1) -> None:
        """Count `tokens` even beyond n (a venue that counts what it refuses)."""
        self._forget(now_ns)
        self._count += tokens
        if self._taken and self._taken[-1][0] == now_ns:
            tokens += self._taken.pop()[1]
        self._taken.append((now_ns, tokens))
        while self._count > self.n:
            self._drop(0, self._count - self.n)

    def credit(self, now_ns: int, tokens: int = 1) -> None:
        """Give `tokens` back, the youngest first, not below an empty window."""
        self._forget(now_ns)
        left = self._count - min(tokens, self._count)
        while self._count > left:
            self._drop(-1, self._count - left)

    def _drop(self, end: int, tokens: int) -> None:
        """Forget at most `tokens` of the entry at one end."""
        at_ns, count = self._taken[end]
        gone = min(tokens, count)
        self._count -= gone
        if gone < count:
            self._taken[end] = (at_ns, count - gone)
        elif end:
            self._taken.pop()
        else:
            self._taken.popleft()

    def _forget(self, now_ns: int) -> None:
        while self._taken and self._taken[0][0] <= now_ns - self.per_ns:
            self._count -= self._taken.popleft()[1]
