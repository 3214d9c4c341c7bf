"""The seven exec.* metrics: counted per (venue, market, side), latency in fixed log-spaced buckets. Bounded memory."""

from __future__ import annotations

from typing import Any, Final

Labels = tuple[str, str, str]
"""(venue, market, side)"""

PLACED: Final = "exec.orders_placed"
"""orders handed to a venue"""
FILLED: Final = "exec.orders_filled"
"""orders filled completely"""
CANCELLED: Final = "exec.orders_cancelled"
REJECTED: Final = "exec.orders_rejected"
"""orders refused, by us or by the venue"""
RISK_REJECTIONS: Final = "exec.risk_rejections"
RATE_LIMIT_HITS: Final = "exec.rate_limit_hits"
"""requests that had to wait for our own limiter or were refused by anybody's"""
LATENCY: Final = "exec.latency_ms"
"""submission to the venue's ack, our own waiting included"""

COUNTERS: Final = (PLACED, FILLED, CANCELLED, REJECTED, RISK_REJECTIONS, RATE_LIMIT_HITS)

SUB_BITS: Final = 7
"""2**7 buckets an octave: a percentile is off by less than 1 %"""


class Histogram:
    """Counts of integer nanoseconds in log-spaced buckets, at most 64 x 2**SUB_BITS of them."""

    __slots__ = ("_buckets", "_max_ns", "_min_ns", "count")

    def __init__(self) -> None:
        self._buckets: dict[int, int] = {}
        self.count = 0
        self._min_ns = 0
        self._max_ns = 0

    def add(self, ns: int) -> None:
        """Count one duration, ns >= 0."""
        shift = max(0, ns.bit_length() - SUB_BITS - 1)
        bucket = (shift << (SUB_BITS + 1)) + (ns >> shift)
        self._buckets[bucket] = self._buckets.get(bucket, 0) + 1
        self._max_ns = max(self._max_ns, ns)
        self._min_ns = ns if self.count == 0 else min(self._min_ns, ns)
        self.count += 1

    @property
    def max_ns(self) -> int:
        return self._max_ns

    def quantile_ns(self, percent: int) -> int:
        """Nearest-rank percentile: the largest value of the bucket that holds it, within what was seen; 0 when empty."""
        rank = -(-self.count * percent // 100)
        seen = 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if seen >= rank:
                shift = bucket >> (SUB_BITS + 1)
                upper = (((bucket - (shift << (SUB_BITS + 1))) + 1) << shift) - 1
                return min(max(upper, self._min_ns), self._max_ns)
        return 0

    def merge(self, other: Histogram) -> None:
        for bucket, n in other._buckets.items():
            self._buckets[bucket] = self._buckets.get(bucket, 0) + n
        if other.count:
            self._min_ns = other._min_ns if self.count == 0 else min(self._min_ns, other._min_ns)
        self._max_ns = max(self._max_ns, other._max_ns)
        self.count += other.count

    def summary(self) -> dict[str, int | float]:
        """count, and p50, p99, max in milliseconds (rounded to the microsecond)."""
        return {
            "count": self.count,
            "p50": _ms(self.quantile_ns(50)),
            "p99": _ms(self.quantile_ns(99)),
            "max": _ms(self._max_ns),
        }


class Metrics:
    """Disabled, every call returns at its first line."""

    def __init__(self, enabled: bool = True) -> None:
        self.enabled = enabled
        self._counters: dict[str, dict[Labels, int]] = {name: {} for name in COUNTERS}
        self._latency: dict[str, Histogram] = {}

    def add(self, name: str, labels: Labels) -> None:
        if self.enabled:
            cells = self._counters[name]
            cells[labels] = cells.get(labels, 0) + 1

    def latency(self, venue: str, ns: int) -> None:
        if self.enabled:
            found = self._latency.get(venue)
            if found is None:
                found = self._latency[venue] = Histogram()
            found.add(ns)

    def value(self, name: str) -> int:
        """Total of one counter over all labels."""
        return sum(self._counters[name].values())

    def snapshot(self) -> dict[str, Any]:
        """Totals by metric name, JSON-able: integers, and for exec.latency_ms {count, p50, p99, max} in ms."""
        overall = Histogram()
        for histogram in self._latency.values():
            overall.merge(histogram)
        return {LATENCY: overall.summary(), **{name: self.value(name) for name in COUNTERS}}

    def labelled(self) -> list[dict[str, Any]]:
        """One row a metric and label set, for exporters: {"metric_name", "metric_type", "labels", "value"}."""
        rows: list[dict[str, Any]] = [
            {
                "metric_name": name,
                "metric_type": "counter",
                "labels": dict(zip(("venue", "market", "side"), labels, strict=True)),
                "value": value,
            }
            for name in COUNTERS
            for labels, value in self._counters[name].items()
        ]
        rows += [
            {"metric_name": LATENCY, "metric_type": "histogram", "labels": {"venue": venue}, "value": h.summary()}
            for venue, h in self._latency.items()
        ]
        return rows


def _ms(ns: int) -> float:
    return round(ns / 1_000_000, 3)
