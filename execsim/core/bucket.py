"""Token bucket by the generic cell rate algorithm (GCRA): one integer of state, exact, no timer.

The same code limits the client and the simulated venue. Source: ITU-T I.371, GCRA(T, tau), virtual scheduling.
"""

from __future__ import annotations

from decimal import Decimal

from execsim.core.errors import ConfigError
from execsim.core.units import NS_PER_S, Number, ceil_div, decimal_of


class TokenBucket:
    """`rate` tokens a second (any decimal), at most `burst` at once. Times are integer ns and must not decrease.

    State is kept in ns x numerator of the rate, so no rate is ever rounded.
    """

    __slots__ = ("_per_token", "_scale", "_tat", "burst", "rate")

    def __init__(self, rate: Number, burst: int) -> None:
        self.rate: Decimal = decimal_of(rate, "rate")
        self.burst = burst
        if self.rate <= 0 or burst < 1:
            raise ConfigError(f"rate {rate}/s burst {burst}", "both must be positive")
        num, den = self.rate.as_integer_ratio()
        self._scale = num
        self._per_token = NS_PER_S * den
        self._tat = 0

    def wait_ns(self, now_ns: int, tokens: int = 1) -> int:
        """How long until `tokens` could be taken; 0 = now. Takes nothing. tokens <= burst or ConfigError."""
        if tokens > self.burst:
            raise ConfigError(f"{tokens} tokens at once exceed the burst of {self.burst}", "split the batch")
        now = now_ns * self._scale
        earliest = max(self._tat, now) + (tokens - self.burst) * self._per_token
        return max(0, ceil_div(earliest - now, self._scale))

    def left(self, now_ns: int) -> int:
        """Whole tokens that are there now; negative in debt."""
        now = now_ns * self._scale
        return self.burst - ceil_div(max(self._tat, now) - now, self._per_token)

    def take(self, now_ns: int, tokens: int = 1) -> int:
        """Take `tokens` if they are there and return 0; else take nothing and return the wait in ns."""
        wait = self.wait_ns(now_ns, tokens)
        if wait == 0:
            self.force(now_ns, tokens)
        return wait

    def force(self, now_ns: int, tokens: int = 1) -> None:
        """Take `tokens` even into debt (a venue that charges for cancels after the fact)."""
        self._tat = max(self._tat, now_ns * self._scale) + tokens * self._per_token

    def credit(self, now_ns: int, tokens: int = 1) -> None:
        """Give `tokens` back, not above the burst."""
        self._tat = max(now_ns * self._scale, self._tat - tokens * self._per_token)
