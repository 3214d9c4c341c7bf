"""A strategy's own metrics through `ctx.metric`: what is kept, and what is refused."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execsim.core.errors import ConfigError
from execsim.engine import EngineConfig
from execsim.engine.metrics import CATALOGUE
from execsim.engine.series import OWN_AMOUNT_MAX, OWN_LABELS_MAX, OWN_SERIES_MAX, OwnSeries


def own(rig: Any) -> list[tuple[str, str, dict[str, str], Any]]:
    rows = rig.engine.metrics.labelled()
    return [(r["metric_name"], r["metric_type"], r["labels"], r["value"]) for r in rows if "strategy" in r["labels"]]


def test_a_gauge_a_counter_and_a_histogram(rig: Any) -> None:
    ctx = rig.context("maker")
    ctx.metric("spread", "0.02", market="rain")
    ctx.metric("strategy.spread", Decimal("0.03"), market="rain")
    for _ in range(3):
        ctx.metric("requotes", 1, kind="counter", side="buy", market="rain")
    ctx.metric("requotes", 2, "counter", market="rain", side="buy")
    ctx.metric("hold_s", 1.5, "histogram")
    ctx.metric("hold_s", 4, "histogram")
    held = {"count": 2, "sum": 5.5, "p50": 1.5, "p99": 4.0, "max": 4.0}
    assert own(rig) == [
        ("strategy.spread", "gauge", {"market": "rain", "strategy": "maker"}, 0.03),
        ("strategy.requotes", "counter", {"market": "rain", "side": "buy", "strategy": "maker"}, 5),
        ("strategy.hold_s", "histogram", {"strategy": "maker"}, held),
    ]  # fmt: skip


def test_contexts_do_not_write_over_one_another(rig: Any) -> None:
    for name in ("a", "b"):
        rig.context(name).metric("edge", len(name))
    rig.context("a").narrow(["rain"], {}).metric("edge", 7)
    assert [(labels["strategy"], value) for _, _, labels, value in own(rig)] == [("a", 1), ("b", 1), ("a.rain", 7)]


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda ctx: ctx.metric("Spread", 1), "metric name 'strategy.Spread'.*small letters"),
        (lambda ctx: ctx.metric("a.b", 1), "metric name"),
        (lambda ctx: ctx.metric("", 1), "metric name"),
        (lambda ctx: ctx.metric("pnl", 1), "strategy.pnl is kept by the engine"),
        (lambda ctx: ctx.metric("x", 1, "summary"), "kind 'summary' does not exist.*gauge, counter, histogram"),
        (lambda ctx: ctx.metric("x", float("nan")), "nan"),
        (lambda ctx: ctx.metric("x", "-inf"), "-inf"),
        (lambda ctx: ctx.metric("x", Decimal("sNaN")), "sNaN"),
        (lambda ctx: ctx.metric("x", 10**400), "a number between"),
        (lambda ctx: ctx.metric("x", None), "None"),
        (lambda ctx: ctx.metric("x", "much"), "'much'"),
        (lambda ctx: ctx.metric("x", -1, "counter"), "below 0"),
        (lambda ctx: ctx.metric("x", -0.1, "histogram"), "below 0"),
        (lambda ctx: ctx.metric("x", 1, le="5"), "label 'le'"),
        (lambda ctx: ctx.metric("x", 1, Market="rain"), "label 'Market'"),
        (lambda ctx: ctx.metric("x", 1, market=5), "label market=5"),
        (lambda ctx: ctx.metric("x", 1, market=""), "label market=''"),
        (lambda ctx: ctx.metric("x", 1, market="x" * 121), "120 characters"),
        (lambda ctx: ctx.metric("x", 1, **{f"l{n}": "v" for n in range(OWN_LABELS_MAX)}), "9 labels"),
    ],
)
def test_what_cannot_be_exported_is_refused(rig: Any, call: Any, match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        call(rig.context())
    assert own(rig) == []


def test_a_name_is_one_kind_and_one_series_of_prometheus(rig: Any) -> None:
    ctx = rig.context()
    ctx.metric("fills", 1, "counter")
    ctx.metric("size", 1, "histogram")
    with pytest.raises(ConfigError, match=r"strategy.fills is a counter, not a gauge"):
        ctx.metric("fills", 1)
    with pytest.raises(ConfigError, match=r"strategy.fills_total and strategy.fills are both strategy_fills_total"):
        ctx.metric("fills_total", 1)
    with pytest.raises(ConfigError, match=r"both strategy_size_count"):
        ctx.metric("size_count", 1)
    ctx.metric("size_counter", 1)


def test_series_are_bounded(rig: Any) -> None:
    ctx = rig.context()
    for n in range(OWN_SERIES_MAX):
        ctx.metric("last", n, market=f"m{n}")
    with pytest.raises(ConfigError, match=r"1000 series already.*never ids"):
        ctx.metric("last", 1, order=str(rig.engine.new_order_id()))
    ctx.metric("last", 7, market="m0")
    assert len(own(rig)) == OWN_SERIES_MAX


def test_switched_off_nothing_is_looked_at(make_rig: Any) -> None:
    rig = make_rig(EngineConfig(enable_metrics=False))
    rig.context().metric("not a name", object())  # type: ignore[arg-type]
    assert own(rig) == []


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b"]), st.integers(0, OWN_AMOUNT_MAX), st.sampled_from(["", "x", "y"])),
        max_size=50,
    )
)
def test_counters_add_up_per_label_set(calls: list[tuple[str, int, str]]) -> None:
    series = OwnSeries(CATALOGUE)
    expected: dict[tuple[str, str], int] = {}
    for name, value, market in calls:
        series.record(name, value, "counter", {"market": market} if market else {})
        expected[(name, market)] = expected.get((name, market), 0) + value
    found = {(name.removeprefix("strategy."), dict(labels).get("market", "")): v for name, _, labels, v in series.now()}
    assert found == expected
