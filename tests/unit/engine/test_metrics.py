from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from execsim.engine import Metrics
from execsim.engine.histogram import AMOUNTS, LATENCY, Buckets, Histogram
from execsim.engine.metrics import (
    CATALOGUE,
    FILLED,
    OTHER,
    PLACED,
    SERIES_MAX,
    STAGES,
    TOTAL,
    MetricKind,
    Stopwatch,
)

MANY = st.lists(st.integers(0, 10**12), min_size=1, max_size=200)


@given(MANY)
def test_percentiles_are_within_one_percent(values):
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    ordered = sorted(values)
    assert (histogram.count, histogram.max_ns) == (len(values), ordered[-1])
    for percent in (1, 50, 99, 100):
        exact = ordered[-(-len(values) * percent // 100) - 1]
        assert exact <= histogram.quantile_ns(percent) <= exact + exact // 100 + 1


@given(MANY, MANY)
def test_merged_is_the_same_as_counted_together(first, second):
    merged, together = Histogram(), Histogram()
    for part in (first, second):
        one = Histogram()
        for value in part:
            one.add(value)
            together.add(value)
        merged.merge(one)
    assert merged.summary() == together.summary()


def test_a_constant_is_reported_exactly():
    histogram = Histogram()
    for _ in range(5):
        histogram.add(50_123_456)
    assert histogram.summary() == {"count": 5, "p50": 50.123, "p99": 50.123, "max": 50.123}
    assert Histogram().summary() == {"count": 0, "p50": 0.0, "p99": 0.0, "max": 0.0}


def test_labels_and_totals():
    metrics = Metrics()
    metrics.add(PLACED, ("polymarket", "rain", "buy"))
    metrics.add(PLACED, ("polymarket", "rain", "sell"))
    metrics.add(PLACED, ("polymarket", "rain", "sell"))
    metrics.add(FILLED, ("polymarket", "rain", "buy"))
    metrics.stage(TOTAL, ("polymarket", "rain", "buy"), 1_500_000)
    snapshot = metrics.snapshot()
    assert list(snapshot) == [
        "exec.latency_ms",
        "exec.orders_placed",
        "exec.orders_filled",
        "exec.orders_cancelled",
        "exec.orders_rejected",
        "exec.risk_rejections",
        "exec.rate_limit_hits",
    ]
    assert (snapshot["exec.orders_placed"], snapshot["exec.orders_filled"]) == (3, 1)
    rows = metrics.labelled()
    assert rows[1]["labels"] == {"venue": "polymarket", "market": "rain", "side": "sell"}
    assert [row["value"] for row in rows[:3]] == [1, 2, 1]
    assert rows[3]["value"]["p50"] == 1.5
    json.dumps([snapshot, rows])


@given(MANY)
def test_buckets_count_what_is_at_most_their_bound(values):
    buckets = Buckets(LATENCY)
    for value in values:
        buckets.add(value)
    found = buckets.now()
    assert (found.count, found.sum) == (len(values), sum(values) / 1e6)
    for bound, count in found.cumulative():
        assert count == sum(value <= round(bound * 1e6) for value in values)
    assert found.summary()["max"] == round(max(values) / 1e6, 6)


@given(st.lists(st.integers(1_000, 10**11), min_size=1, max_size=200), st.integers(1, 100))
def test_a_percentile_of_buckets_is_at_most_a_third_too_high(values, percent):
    buckets = Buckets(LATENCY)
    for value in values:
        buckets.add(value)
    exact = sorted(values)[-(-len(values) * percent // 100) - 1] / 1e6
    assert exact <= buckets.now().quantile(percent) <= exact * 4 / 3


def test_bounds_are_the_numbers_people_write():
    shown = [bound for _, bound in LATENCY.shown]
    assert shown[:4] == [0.001, 0.0025, 0.005, 0.01]
    assert shown[-3:] == [25_000.0, 50_000.0, 100_000.0]
    assert [LATENCY.bounds[at] for at, _ in LATENCY.shown[:3]] == [1_000, 2_500, 5_000]
    assert list(AMOUNTS.bounds) == sorted(set(AMOUNTS.bounds))
    assert [AMOUNTS.bounds[at] for at, _ in AMOUNTS.shown] == [bound for _, bound in AMOUNTS.shown]


def test_what_was_read_does_not_change_with_what_comes():
    metrics = Metrics()
    metrics.stage("risk", ("v", "m", "buy"), 5_000)
    before = metrics.samples()
    metrics.stage("risk", ("v", "m", "buy"), 5_000)
    metrics.count(PLACED, ("v", "m", "buy"))
    assert [(sample.labels, sample.row()["value"]["count"]) for sample in before] == [
        ({"stage": "risk", "venue": "v", "market": "m", "side": "buy"}, 1)
    ]


def test_labels_are_bounded_and_totals_stay_right():
    metrics = Metrics()
    for n in range(SERIES_MAX + 50):
        metrics.count(PLACED, ("v", f"market {n}", "buy"))
        metrics.gauge("position.size", ("v", f"market {n}"), n)
    metrics.count(PLACED, ("v", "market 0", "buy"))
    assert metrics.value(PLACED) == SERIES_MAX + 51
    rows = [row for row in metrics.labelled() if row["metric_name"] == PLACED]
    assert len(rows) == SERIES_MAX + 1
    assert rows[0]["value"] == 2
    assert rows[-1] == {
        "metric_type": "counter",
        "metric_name": PLACED,
        "value": 50,
        "labels": {"venue": OTHER, "market": OTHER, "side": OTHER},
    }


def test_labels_that_do_not_apply_are_left_out():
    metrics = Metrics()
    metrics.count("exec.reconnects", ("polymarket",))
    metrics.count("exec.retries", ("polymarket", "", ""), 3)
    assert [(row["labels"], row["value"]) for row in metrics.labelled()] == [
        ({"venue": "polymarket"}, 3),
        ({"venue": "polymarket"}, 1),
    ]


def test_disabled_keeps_nothing(rig):
    metrics = Metrics(enabled=False)
    stopwatch = Stopwatch(metrics, rig.runtime)
    metrics.count(PLACED, ("v", "m", "buy"))
    metrics.gauge("position.size", ("v", "m"), 1)
    metrics.stage(TOTAL, ("v", "m", "buy"), 1)
    order = rig.order()
    stopwatch.stop("risk", order, stopwatch.start())
    stopwatch.signed(order, 5)
    assert metrics.samples() == []
    assert metrics.value(PLACED) == 0


def test_the_catalogue_is_consistent():
    for name, metric in CATALOGUE.items():
        assert name == metric.name
        assert name.split(".")[0] in ("exec", "strategy", "position")
        assert metric.kind in MetricKind
        assert metric.about
    assert len(set(STAGES)) == 7
