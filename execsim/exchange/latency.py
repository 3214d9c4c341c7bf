"""How long messages take: feed, entry and response apart. A model is its parameters; draws are integers.

Randomness comes from a named stream through a quantile table made with `decimal` (core.quantile), so the same seed gives
the same nanoseconds on every machine.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from execsim.core.errors import ConfigError
from execsim.core.quantile import QuantileTable, lognormal_quantiles
from execsim.ports import Rng


class Latency(Protocol):
    """Delays in ns, >= 0."""

    def draw(self, rng: Rng) -> int: ...

    def draws(self, rng: Rng, n: int) -> Any:
        """n delays as an int64 array: the numbers n calls of `draw` would give."""

    @property
    def about(self) -> str:
        """The model in a few words, for summaries; starts with "unrealistic" where no real path is like that."""


@dataclass(frozen=True, slots=True)
class ConstantLatency:
    """Always `ns`. Real paths vary; use it to compare with other simulators and in tests."""

    ns: int = 0

    def __post_init__(self) -> None:
        if self.ns < 0:
            raise ConfigError(f"latency of {self.ns} ns", "nothing arrives before it is sent: use 0 or more")

    def draw(self, rng: Rng) -> int:
        return self.ns

    def draws(self, rng: Rng, n: int) -> Any:
        return np.full(n, self.ns, np.int64)

    @property
    def about(self) -> str:
        return f"unrealistic: constant {self.ns / 1e6:g} ms"


@dataclass(frozen=True, slots=True)
class LognormalLatency:
    """Lognormal with the given median and sigma of the log, cut at the table's ends (the last of 1025 quantiles).

    Source: latencies of order gateways are right-skewed; the lognormal is the usual first model. Its tail is thinner than
    that of real incidents, which are faults, not latency.
    """

    median_ns: int
    sigma: str = "0.4"
    table: QuantileTable = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "table", QuantileTable(lognormal_quantiles(self.median_ns, self.sigma)))

    def draw(self, rng: Rng) -> int:
        return self.table.draw(rng.raw())

    def draws(self, rng: Rng, n: int) -> Any:
        return self.table.draws(rng.raws(n))

    @property
    def about(self) -> str:
        return f"lognormal, median {self.median_ns / 1e6:g} ms, sigma {self.sigma}"


@dataclass(frozen=True, slots=True)
class LatencyModel:
    """The three legs: market data to us, our requests to the venue, its answers back."""

    feed: Latency = field(default_factory=ConstantLatency)
    entry: Latency = field(default_factory=ConstantLatency)
    response: Latency = field(default_factory=ConstantLatency)


class Leg:
    """One direction of one connection: draws delays, keeps what is sent in order, counts for the summary."""

    def __init__(self, latency: Latency, rng: Rng) -> None:
        self._latency = latency
        self._rng = rng
        self._last_ns = 0
        self.drawn = LatencyStats()

    def arrival_ns(self, now_ns: int) -> int:
        """When a message sent now arrives: never before one sent earlier."""
        self._last_ns = max(self._last_ns, now_ns + self._latency.draw(self._rng))
        self.drawn.add(self._last_ns - now_ns)
        return self._last_ns


class LatencyStats:
    """p50, p99 and max of delays in constant memory: counts in buckets of 1/64 of a power of two (error below 1.6 %)."""

    SUB_BITS = 6

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self.count = 0
        self.max_ns = 0

    def add(self, ns: int, count: int = 1) -> None:
        shift = max(0, ns.bit_length() - self.SUB_BITS - 1)
        bucket = (shift << (self.SUB_BITS + 1)) + (ns >> shift)
        self._counts[bucket] = self._counts.get(bucket, 0) + count
        self.count += count
        self.max_ns = max(self.max_ns, ns)

    @classmethod
    def merged(cls, several: Iterable[LatencyStats]) -> LatencyStats:
        """The counts of several together."""
        total = cls()
        for stats in several:
            for bucket, count in stats._counts.items():
                total._counts[bucket] = total._counts.get(bucket, 0) + count
            total.count += stats.count
            total.max_ns = max(total.max_ns, stats.max_ns)
        return total

    def quantile(self, per_mille: int) -> int:
        """Upper edge of the bucket that holds the quantile (at most the maximum); 0 when nothing was counted."""
        rank, seen = -(-self.count * per_mille // 1000), 0
        for bucket in sorted(self._counts):
            seen += self._counts[bucket]
            if seen >= rank:
                shift, mantissa = bucket >> (self.SUB_BITS + 1), bucket & ((1 << (self.SUB_BITS + 1)) - 1)
                return min(self.max_ns, ((mantissa + 1) << shift) - 1)
        return 0

    def summary(self) -> dict[str, int]:
        return {"p50": self.quantile(500), "p99": self.quantile(990), "max": self.max_ns}
