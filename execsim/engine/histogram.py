"""Amounts counted in buckets: `Histogram` for percentiles to 1 %, `Buckets` for exporters, with bounds people know.

Both have bounded memory whatever is added, and both are exact about what they say: a bucket counts the amounts up to and
including its bound.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

SUB_BITS: Final = 7
"""2**7 buckets an octave: a percentile is off by less than 1 %"""

STEPS: Final = (10, 12, 15, 20, 25, 30, 40, 50, 60, 80)
"""Bounds of a decade, in tenths: a percentile read from them is at most a third too high."""

SHOWN: Final = (10, 25, 50)
"""Those of a decade that exporters show."""


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
        shift = ns.bit_length() - SUB_BITS - 1
        bucket = (shift << (SUB_BITS + 1)) + (ns >> shift) if shift > 0 else ns
        self._buckets[bucket] = self._buckets.get(bucket, 0) + 1
        if ns > self._max_ns:
            self._max_ns = ns
        if ns < self._min_ns or not self.count:
            self._min_ns = ns
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


def _ms(ns: int) -> float:
    return round(ns / 1_000_000, 3)


@dataclass(frozen=True, slots=True)
class Scale:
    """Bounds of buckets: `bounds` as amounts are added, `shown` (position in `bounds`, value) as exporters show them."""

    bounds: tuple[float, ...]
    shown: tuple[tuple[int, float], ...]
    unit: int
    """amounts added are this many to one of those shown"""


def scale(first: int, last: int, unit: int) -> Scale:
    """Bounds from 10**first to 10**last as shown, ten a decade; `unit` (a power of ten) amounts are one as shown."""
    bounds: list[float] = []
    shown: list[tuple[int, float]] = []
    for power in range(first, last + 1):
        for step in STEPS if power < last else STEPS[:1]:
            # from text, so that 0.0025 is the float everybody writes as 0.0025
            value = float(f"{step}e{power - 1}")
            if step in SHOWN:
                shown.append((len(bounds), value))
            bounds.append(value if unit == 1 else round(value * unit))
    return Scale(tuple(bounds), tuple(shown), unit)


LATENCY: Final = scale(-3, 5, 1_000_000)
"""1 us to 100 s, added in ns, shown in ms"""
AMOUNTS: Final = scale(-6, 6, 1)
"""0.000001 to 1,000,000 of whatever a strategy measures"""


class Buckets:
    """Amounts >= 0 counted on a scale; the last bucket has no bound."""

    __slots__ = ("_bounds", "_counts", "_least", "_most", "_scale", "_sum")

    def __init__(self, scale: Scale) -> None:
        self._scale = scale
        self._bounds = scale.bounds
        self._counts = [0] * (len(scale.bounds) + 1)
        self._sum: float = 0
        self._least: float = 0
        self._most: float = -1

    def add(self, amount: float) -> None:
        self._counts[bisect_left(self._bounds, amount)] += 1
        self._sum += amount
        if amount > self._most:
            if self._most < 0:
                self._least = amount
            self._most = amount
        elif amount < self._least:
            self._least = amount

    def now(self) -> Distribution:
        """What was counted so far, as a value of its own."""
        return Distribution(self._scale, tuple(self._counts), self._sum, self._least, max(self._most, 0))


@dataclass(frozen=True, slots=True)
class Distribution:
    """What `Buckets` held at one instant. Methods give amounts in the unit that is shown (ms for latency)."""

    scale: Scale
    counts: Sequence[int]
    total: float
    least: float
    most: float

    @property
    def count(self) -> int:
        return sum(self.counts)

    @property
    def sum(self) -> float:
        return self.total / self.scale.unit

    def cumulative(self) -> list[tuple[float, int]]:
        """(bound, how many were at most that), the bound without end left out: there it is `count`."""
        upto = list(accumulate(self.counts))
        return [(bound, upto[index]) for index, bound in self.scale.shown]

    def quantile(self, percent: int) -> float:
        """Nearest-rank percentile: the bound of the bucket that holds it, within what was seen; 0 when empty."""
        return self._quantiles(percent)[0]

    def summary(self) -> dict[str, float]:
        """count, sum, p50, p99 and max, rounded to six decimals."""
        p50, p99 = self._quantiles(50, 99)
        found = {"sum": self.sum, "p50": p50, "p99": p99, "max": self.most / self.scale.unit}
        return {"count": self.count, **{name: round(value, 6) for name, value in found.items()}}

    def _quantiles(self, *percents: int) -> list[float]:
        upto = list(accumulate(self.counts))
        bounds, found = self.scale.bounds, []
        for percent in percents:
            at = bisect_left(upto, -(-upto[-1] * percent // 100))
            bound = bounds[at] if at < len(bounds) else self.most
            found.append(min(max(bound, self.least), self.most) / self.scale.unit)
        return found
