"""The venue's own rate limits, answered as the venue would: orders and cancels have separate buckets."""

from __future__ import annotations

from execsim.core.bucket import TokenBucket
from execsim.core.errors import RateLimitExceeded
from execsim.ports import VenueProfile


class VenueLimits:
    """Counts requests on arrival. A refused request costs nothing."""

    def __init__(self, venue: str, profile: VenueProfile) -> None:
        self._venue = venue
        self._text = profile.texts.get("rate_limit", ("429", "Too Many Requests"))[1]
        self._orders = TokenBucket(profile.orders_per_s, profile.orders_burst)
        self._cancels = TokenBucket(profile.cancels_per_s, profile.cancels_burst)
        self.hits = 0

    def order(self, now_ns: int) -> RateLimitExceeded | None:
        return self._take(self._orders, now_ns)

    def cancel(self, now_ns: int) -> RateLimitExceeded | None:
        return self._take(self._cancels, now_ns)

    def _take(self, bucket: TokenBucket, now_ns: int) -> RateLimitExceeded | None:
        wait_ns = bucket.take(now_ns)
        if not wait_ns:
            return None
        self.hits += 1
        return RateLimitExceeded(self._venue, self._text, wait_ns)
