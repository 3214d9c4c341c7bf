"""What the engine counts and measures, per label set. Bounded memory; switched off, a call costs one test.

Counters and latencies are kept as things happen; gauges are set by whoever looks (engine/gauges.py); a strategy's own
series stand beside them (engine/series.py). Nothing here is journalled and nothing depends on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from execsim.core.order import Order
from execsim.engine.histogram import LATENCY as LATENCY_SCALE
from execsim.engine.histogram import Buckets, Distribution, Histogram
from execsim.engine.series import OwnSeries
from execsim.ports import Runtime

Labels = tuple[str, ...]
"""Values in the order of `Metric.labels`; an empty one is left out."""


class MetricKind(StrEnum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """One name of the catalogue."""

    name: str
    kind: MetricKind
    about: str
    unit: str = "1"
    labels: tuple[str, ...] = ("venue", "market", "side")


PLACED: Final = "exec.orders_placed"
FILLED: Final = "exec.orders_filled"
CANCELLED: Final = "exec.orders_cancelled"
REJECTED: Final = "exec.orders_rejected"
EXPIRED: Final = "exec.orders_expired"
FILLS: Final = "exec.fills"
RISK_REJECTIONS: Final = "exec.risk_rejections"
RATE_LIMIT_HITS: Final = "exec.rate_limit_hits"
RETRIES: Final = "exec.retries"
RECONNECTS: Final = "exec.reconnects"
BREAKER_STATE: Final = "exec.breaker_state"
OPEN_ORDERS: Final = "exec.open_orders"
UNKNOWN_ORDERS: Final = "exec.unknown_orders"
LATENCY: Final = "exec.latency_ms"

VALIDATE: Final = "validate"
RISK: Final = "risk"
THROTTLE: Final = "throttle"
SIGN: Final = "sign"
SEND_ACK: Final = "send_ack"
ACK_FILL: Final = "ack_fill"
TOTAL: Final = "total"
STAGES: Final = (VALIDATE, RISK, THROTTLE, SIGN, SEND_ACK, ACK_FILL, TOTAL)
"""Values of the label `stage` of exec.latency_ms: see docs/metrics.md."""

COUNTERS: Final = (PLACED, FILLED, CANCELLED, REJECTED, RISK_REJECTIONS, RATE_LIMIT_HITS)
"""Those a run's summary prints."""

_COUNTER, _GAUGE, _HISTOGRAM = MetricKind.COUNTER, MetricKind.GAUGE, MetricKind.HISTOGRAM
_VENUE: Final = ("venue",)
_MARKET: Final = ("venue", "market")
_ASSET: Final = ("asset",)

CATALOGUE: Final = {
    metric.name: metric
    for metric in (
        Metric(PLACED, _COUNTER, "orders handed to a venue", "orders"),
        Metric(FILLED, _COUNTER, "orders filled completely", "orders"),
        Metric(CANCELLED, _COUNTER, "orders that ended cancelled", "orders"),
        Metric(REJECTED, _COUNTER, "orders refused, by us or by the venue", "orders"),
        Metric(EXPIRED, _COUNTER, "orders whose time ran out", "orders"),
        Metric(FILLS, _COUNTER, "executions booked, those that failed on chain later included", "fills"),
        Metric(RISK_REJECTIONS, _COUNTER, "orders and amends refused by a risk policy or the kill switch", "requests"),
        Metric(
            RATE_LIMIT_HITS, _COUNTER, "requests that waited for our own limiter, or were refused by anybody's", "requests"
        ),
        Metric(RETRIES, _COUNTER, "calls to a venue that were tried again", "requests"),
        Metric(RECONNECTS, _COUNTER, "connections to a venue that were opened again", "connections", _VENUE),
        Metric(BREAKER_STATE, _GAUGE, "circuit breaker of a venue: 0 closed, 1 half open, 2 open", "state", _VENUE),
        Metric(OPEN_ORDERS, _GAUGE, "orders that may still trade", "orders"),
        Metric(UNKNOWN_ORDERS, _GAUGE, "open orders of which nobody has said what became of them", "orders"),
        Metric(
            LATENCY, _HISTOGRAM, "time an order spent in a stage of its way", "ms", ("stage", "venue", "market", "side")
        ),
        Metric("strategy.pnl", _GAUGE, "net profit: realised + unrealised - fees + rebates", "quote asset", _ASSET),
        Metric("strategy.realised", _GAUGE, "realised profit without fees", "quote asset", _ASSET),
        Metric("strategy.unrealised", _GAUGE, "profit of what is held, at its marks", "quote asset", _ASSET),
        Metric("strategy.fees", _GAUGE, "fees paid less rebates", "quote asset", _ASSET),
        Metric(
            "strategy.drawdown", _GAUGE, "how far strategy.pnl stands below its highest (0 at the start)", "quote asset",
            _ASSET,
        ),
        Metric("position.size", _GAUGE, "net position, NO counted as less YES", "base asset", _MARKET),
        Metric("position.value", _GAUGE, "what the tokens held would fetch at the mark", "quote asset", _MARKET),
        Metric("position.unrealised", _GAUGE, "profit of the net position at the mark", "quote asset", _MARKET),
    )
}  # fmt: skip
"""Every name the engine itself uses. A strategy's own begin with `strategy.` and stand in its series."""

SERIES_MAX: Final = 20_000
"""Label sets of one metric; what comes with another one is counted under OTHER. Reached only by orders for markets of no
venue of the run, which are refused: those of the run are a few each."""
OTHER: Final = "other"


@dataclass(frozen=True, slots=True)
class Sample:
    """One series at one instant, for exporters. A histogram's value is a Distribution."""

    name: str
    kind: MetricKind
    labels: dict[str, str]
    value: float | Distribution

    def row(self) -> dict[str, Any]:
        """JSON-able: metric_type, metric_name, value (of a histogram {count, sum, p50, p99, max}), labels."""
        value = self.value.summary() if isinstance(self.value, Distribution) else self.value
        return {"metric_type": self.kind.value, "metric_name": self.name, "value": value, "labels": self.labels}


class Metrics:
    """Disabled, every call returns at its first line."""

    def __init__(self, enabled: bool = True) -> None:
        self.enabled = enabled
        self.own = OwnSeries(CATALOGUE)
        self._counters: dict[str, dict[Labels, int]] = _cells(MetricKind.COUNTER)
        self._gauges: dict[str, dict[Labels, float]] = _cells(MetricKind.GAUGE)
        self._stages: dict[str, dict[Labels, Buckets]] = {stage: {} for stage in STAGES}
        self._latency: dict[str, Histogram] = {}
        """total by venue, for percentiles to 1 %"""

    def count(self, name: str, labels: Labels, n: int = 1) -> None:
        """Add `n` to a counter of the catalogue."""
        if self.enabled:
            cells = self._counters[name]
            if labels not in cells and len(cells) >= SERIES_MAX:
                labels = (OTHER,) * len(labels)
            cells[labels] = cells.get(labels, 0) + n

    add = count

    def gauge(self, name: str, labels: Labels, value: float) -> None:
        """Set a gauge of the catalogue."""
        if self.enabled:
            cells = self._gauges[name]
            if labels not in cells and len(cells) >= SERIES_MAX:
                labels = (OTHER,) * len(labels)
            cells[labels] = value

    def stage(self, stage: str, labels: Labels, ns: int) -> None:
        """An order spent `ns` in a stage (STAGES). `labels`: venue, market, side."""
        if self.enabled:
            if ns < 0:  # `created_ns` was set by somebody whose clock is ahead of ours
                ns = 0
            cells = self._stages[stage]
            found = cells.get(labels)
            if found is None:
                found = cells[labels] = Buckets(LATENCY_SCALE)
            found.add(ns)
            if stage == TOTAL:
                whole = self._latency.get(labels[0])
                if whole is None:
                    whole = self._latency[labels[0]] = Histogram()
                whole.add(ns)

    def value(self, name: str) -> int:
        """Total of one counter over all labels."""
        return sum(self._counters[name].values())

    def snapshot(self) -> dict[str, Any]:
        """Totals by metric name, JSON-able: integers, and for exec.latency_ms (the stage `total`) {count, p50, p99, max}
        in ms."""
        overall = Histogram()
        for histogram in self._latency.values():
            overall.merge(histogram)
        return {LATENCY: overall.summary(), **{name: self.value(name) for name in COUNTERS}}

    def samples(self) -> list[Sample]:
        """Every series as it stands, in values of their own: what may be handed to another thread."""
        cells: dict[str, Mapping[Labels, Any]]
        cells = {**self._counters, **self._gauges, LATENCY: self._distributions()}
        found = [
            Sample(name, metric.kind, _named(metric, labels), value)
            for name, metric in CATALOGUE.items()
            for labels, value in cells[name].items()
        ]
        return found + [
            Sample(name, MetricKind(kind), dict(labels), value) for name, kind, labels, value in self.own.now()
        ]

    def _distributions(self) -> dict[Labels, Distribution]:
        return {
            (stage, *labels): found.now() for stage, cells in self._stages.items() for labels, found in cells.items()
        }

    def labelled(self) -> list[dict[str, Any]]:
        """One row a series: {"metric_type", "metric_name", "value", "labels"}."""
        return [sample.row() for sample in self.samples()]


class Stopwatch:
    """Times the stages that take processor time. In virtual time they take none: their counts are right, and 0 ns."""

    __slots__ = ("_metrics", "_runtime")

    def __init__(self, metrics: Metrics, runtime: Runtime) -> None:
        self._metrics = metrics
        self._runtime = runtime

    def start(self) -> int:
        return self._runtime.stopwatch_ns() if self._metrics.enabled else 0

    def stop(self, stage: str, order: Order, started_ns: int) -> None:
        if self._metrics.enabled:
            self._metrics.stage(stage, _labels(order), self._runtime.stopwatch_ns() - started_ns)

    def signed(self, order: Order, ns: int) -> None:
        """An adapter took `ns` to sign the order."""
        if self._metrics.enabled:
            self._metrics.stage(SIGN, _labels(order), ns)


def _labels(order: Order) -> Labels:
    instrument = order.instrument
    return (instrument.venue, instrument.market, order.side._value_)  # `.value` without its property: per order


def _cells(kind: MetricKind) -> dict[str, dict[Labels, Any]]:
    return {name: {} for name, metric in CATALOGUE.items() if metric.kind is kind}


def _named(metric: Metric, labels: Labels) -> dict[str, str]:
    return {name: value for name, value in zip(metric.labels, labels, strict=True) if value}
