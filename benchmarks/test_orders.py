"""Microseconds an order: the engine alone, a quoter through everything, and what plain SimPy costs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import simpy
from inputs import ROOT

from execsim.core.order import Order, OrderStatus, OrderType, Side
from execsim.engine.policies import KillSwitch, PositionLimit
from execsim.engine.risk import RiskEngine
from execsim.engine.session import EngineConfig, ExecutionEngine
from execsim.engine.throttle import RateLimiterConfig
from execsim.journal import HashJournal
from execsim.runtime import VirtualRuntime
from execsim.scenario import model
from execsim.scenario.build import load_data
from execsim.scenario.run import run as run_scenario
from execsim.testing import MockVenue

ORDERS = 2_000


def instrument() -> Any:
    data = load_data(model.load(ROOT / "scenarios/handwritten.toml"), ROOT / "scenarios")
    return data.markets[0].instrument


@pytest.mark.benchmark(group=f"{ORDERS} orders, submit to ack")
def test_engine_to_mock_venue(benchmark: Any) -> None:
    """Validation, two risk policies, throttle, tracking, metrics and the journal hash; the venue answers at once."""
    inst = instrument()

    def submit_all() -> ExecutionEngine:
        runtime = VirtualRuntime(7)
        engine = ExecutionEngine(
            EngineConfig(rate_limits={inst.venue: RateLimiterConfig.unlimited()}), runtime, HashJournal()
        )
        engine.register_adapter(MockVenue(inst.venue, [inst], runtime))
        engine.set_risk_engine(RiskEngine([PositionLimit(10**9), KillSwitch(False)]))

        async def main() -> None:
            for _ in range(ORDERS):
                order = Order(engine.new_order_id(), inst, Side.BUY, OrderType.LIMIT, size_lots=10**7, price_i=4800)
                await engine.submit_order(order)

        runtime.run(main=main())
        return engine

    engine = benchmark.pedantic(submit_all, rounds=5, warmup_rounds=1)
    assert engine.metrics.value("exec.orders_placed") == ORDERS
    assert all(order.status is OrderStatus.WORKING for order in engine.order_tracker.get_all_orders())


@pytest.mark.benchmark(group="a quoter on 200,000 rows")
def test_quoter_through_the_whole_pipeline(benchmark: Any) -> None:
    settings = ["data.0.synthetic_rows=200000"]
    scenario = model.load(ROOT / "scenarios/synthetic_million.toml", settings=settings)
    loaded = load_data(scenario, ROOT / "scenarios")
    finished = benchmark.pedantic(
        run_scenario, (scenario, "bench", ROOT / "scenarios"), {"loaded": loaded}, rounds=3, warmup_rounds=1
    )
    summary = finished.summary
    benchmark.extra_info["orders"] = summary["orders"]["submitted"]
    assert summary["events"] == 200_000
    assert summary["fills"]["count"] > 1_000


@pytest.mark.benchmark(group="a quoter on 200,000 rows")
def test_plain_simpy_event_per_row(benchmark: Any) -> None:
    """The naive version: one SimPy timeout a row and nothing else, no book, no strategy, no orders."""

    def run() -> int:
        env, seen = simpy.Environment(), 0

        def feed() -> Iterator[Any]:
            nonlocal seen
            for _ in range(200_000):
                yield env.timeout(20)
                seen += 1

        env.process(feed())  # type: ignore[arg-type]
        env.run()
        return seen

    assert benchmark.pedantic(run, rounds=3) == 200_000


@pytest.mark.benchmark(group="a scheduled call")
def test_call_at(benchmark: Any) -> None:
    def run() -> int:
        runtime, seen = VirtualRuntime(7), 0

        def tick() -> None:
            nonlocal seen
            seen += 1

        for at in range(20_000):
            runtime.call_at(at, tick)
        runtime.run()
        return seen

    assert benchmark.pedantic(run, rounds=5) == 20_000
