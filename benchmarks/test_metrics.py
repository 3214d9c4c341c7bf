"""What the metrics cost an order from submit to fill, with and without, and what a look at them costs."""

from __future__ import annotations

from typing import Any

import pytest
from inputs import binary_instrument

from execsim.core.order import Order, OrderType, Side
from execsim.engine.gauges import Gauges
from execsim.engine.metrics import LATENCY
from execsim.engine.session import EngineConfig, ExecutionEngine
from execsim.engine.throttle import RateLimiterConfig
from execsim.observe.snapshot import Snapshot
from execsim.runtime import VirtualRuntime
from execsim.testing import MockVenue

ORDERS = 2_000
SERIES = 1_000


def fill_all(enabled: bool) -> ExecutionEngine:
    """Submit, ack and fill of each: four stages timed, three counters. No journal, no risk policy."""
    inst, runtime = binary_instrument(), VirtualRuntime(7)
    limits = {inst.venue: RateLimiterConfig.unlimited()}
    engine = ExecutionEngine(EngineConfig(rate_limits=limits, enable_metrics=enabled), runtime)
    engine.register_adapter(MockVenue(inst.venue, [inst], runtime, fills="full"))

    async def main() -> None:
        for _ in range(ORDERS):
            order = Order(engine.new_order_id(), inst, Side.BUY, OrderType.LIMIT, size_lots=10**7, price_i=4000)
            await engine.submit_order(order)
        await runtime.sleep(1)  # the fills

    runtime.run(main=main())
    return engine


@pytest.mark.parametrize("enabled", [True, False], ids=["on", "off"])
@pytest.mark.benchmark(group=f"{ORDERS} orders, submit to fill")
def test_an_order(benchmark: Any, rate: Any, enabled: bool) -> None:
    what = "with metrics" if enabled else "metrics switched off"
    rate(f"submit to fill through the engine, MockVenue, {what}", ORDERS, "us an order")
    engine = benchmark.pedantic(fill_all, (enabled,), rounds=15, warmup_rounds=2)
    assert engine.metrics.value("exec.orders_filled") == (ORDERS if enabled else 0)
    timed = [row["value"]["count"] for row in engine.metrics.labelled() if row["metric_name"] == LATENCY]
    assert timed == ([ORDERS] * 6 if enabled else [])


@pytest.mark.benchmark(group="a look")
def test_a_look_and_its_frames(benchmark: Any, rate: Any) -> None:
    """Gauges, snapshot and JSON rows of a run with many series: what one period of an exporter costs the run."""
    engine = fill_all(True)
    for n in range(SERIES):
        engine.metrics.stage("total", ("polymarket", f"market {n}", "buy"), n * 1_000_000)
    gauges = Gauges(engine)

    def look() -> list[dict[str, Any]]:
        gauges.look()
        return list(Snapshot(0, tuple(engine.metrics.samples())).frames())

    rate(f"a look at {SERIES} histograms, frames made", SERIES, "us a series")
    assert len(benchmark.pedantic(look, rounds=10, warmup_rounds=1)) > SERIES
