"""Delays from a formula, each independent of the last: constant, uniform, lognormal, gamma.

Independent draws on a connection that keeps its order have a cost a reader should know: a message waits for the slowest
of those sent just before, so the busier the connection, the longer the median. Where that matters take `bursts`, whose
delays stay the same for as long as a real queue does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from execsim.core.errors import ConfigError
from execsim.core.gamma import gamma_quantiles
from execsim.core.quantile import QUANTILE_MAX, QuantileTable, lognormal_quantiles
from execsim.ports import Rng


class FixedSampler:
    """The same delay each time; draws nothing."""

    __slots__ = ("_ns",)

    def __init__(self, ns: int) -> None:
        self._ns = ns

    def next(self, now_ns: int) -> int:
        return self._ns

    def many(self, times_ns: Any) -> Any:
        return np.full(len(times_ns), self._ns, np.int64)


class TableSampler:
    """Independent draws from a quantile table, one raw integer each."""

    __slots__ = ("_rng", "_table")

    def __init__(self, table: QuantileTable, rng: Rng) -> None:
        self._table = table
        self._rng = rng

    def next(self, now_ns: int) -> int:
        return self._table.draw(self._rng.raw())

    def many(self, times_ns: Any) -> Any:
        return self._table.draws(self._rng.raws(len(times_ns)))


@dataclass(frozen=True, slots=True)
class ConstantLatency:
    """Always `ns`. Real paths vary; use it to compare with other simulators and in tests."""

    ns: int = 0

    def __post_init__(self) -> None:
        if self.ns < 0:
            raise ConfigError(f"latency of {self.ns} ns", "nothing arrives before it is sent: use 0 or more")

    def sampler(self, rng: Rng) -> FixedSampler:
        return FixedSampler(self.ns)

    @property
    def about(self) -> str:
        return f"unrealistic: constant {shown(self.ns)}"


@dataclass(frozen=True, slots=True)
class UniformLatency:
    """Any delay from `ns_min` to `ns_max`, all alike, in 2**21 steps.

    No path is like that: real delays have a mode near their least and a tail to the right, this has neither. It bounds
    what can happen, which is useful in tests and for worst cases.
    """

    ns_min: int
    ns_max: int
    table: QuantileTable = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 0 <= self.ns_min <= self.ns_max <= QUANTILE_MAX:
            raise ConfigError(
                f"uniform latency from {self.ns_min} to {self.ns_max} ns", f"0 <= least <= most <= {QUANTILE_MAX}"
            )
        middle = (self.ns_min + self.ns_max) // 2
        object.__setattr__(self, "table", QuantileTable((self.ns_min, middle, self.ns_max)))

    def sampler(self, rng: Rng) -> TableSampler:
        return TableSampler(self.table, rng)

    @property
    def about(self) -> str:
        return f"unrealistic: uniform from {shown(self.ns_min)} to {shown(self.ns_max)}"


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

    def sampler(self, rng: Rng) -> TableSampler:
        return TableSampler(self.table, rng)

    @property
    def about(self) -> str:
        return f"lognormal, median {shown(self.median_ns)}, sigma {self.sigma}"


@dataclass(frozen=True, slots=True)
class GammaLatency:
    """`floor_ns` plus a gamma of the given shape, `mean_ns` the mean of the whole; cut like the lognormal.

    A path has a least delay (distance, the venue's own work) and on top of it waits in queues; the sum of `shape`
    exponential waits is a gamma. Shape 1 is one queue (exponential), larger shapes are steadier.
    Source: one-way Internet delays fit a gamma above a constant: Bovy, Mertodimedjo, Hooghiemstra, Uijterwaal and
    Van Mieghem, Analysis of end-to-end delay measurements in Internet, PAM 2002; Mukherjee, On the dynamics and
    significance of low frequency components of Internet load, 1994.
    """

    mean_ns: int
    shape: str = "2"
    floor_ns: int = 0
    table: QuantileTable = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "table", QuantileTable(gamma_quantiles(self.mean_ns, self.shape, self.floor_ns)))

    def sampler(self, rng: Rng) -> TableSampler:
        return TableSampler(self.table, rng)

    @property
    def about(self) -> str:
        floor = f" above {shown(self.floor_ns)}" if self.floor_ns else ""
        return f"gamma{floor}, mean {shown(self.mean_ns)}, shape {self.shape}"


def shown(ns: int) -> str:
    """A delay for people."""
    return f"{ns / 1e6:g} ms"
