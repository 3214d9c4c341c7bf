from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from execsim.engine import Metrics
from execsim.engine.metrics import FILLED, PLACED, Histogram

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
    metrics.latency("polymarket", 1_500_000)
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
