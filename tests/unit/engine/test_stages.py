"""Where an order's time goes, by stage, through the engine; and the gauges of who looks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from execsim.core.order import Order, OrderAck, Side
from execsim.engine import EngineConfig, ExecutionEngine
from execsim.engine.gauges import Gauges
from execsim.engine.metrics import LATENCY
from execsim.engine.throttle import RateLimiterConfig
from execsim.testing import MockVenue, StepRuntime
from execsim.testing.mock_venue import Ack, Silence

MS = 1_000_000


def stages(engine: ExecutionEngine, market: str = "rain") -> dict[str, dict[str, Any]]:
    """stage -> its summary, of one market."""
    rows = [row for row in engine.metrics.labelled() if row["metric_name"] == LATENCY]
    return {row["labels"]["stage"]: row["value"] for row in rows if row["labels"]["market"] == market}


def gauges(engine: ExecutionEngine, *names: str) -> dict[tuple[str, ...], float]:
    """(name, label values...) -> value."""
    rows = [row for row in engine.metrics.labelled() if row["metric_type"] == "gauge" and row["metric_name"] in names]
    return {(row["metric_name"], *row["labels"].values()): row["value"] for row in rows}


def test_each_stage_says_how_long_it_took(make_rig: Any) -> None:
    rig = make_rig(EngineConfig(rate_limits={"polymarket": RateLimiterConfig("10", 1)}), latency_ns=3 * MS)
    first, second = rig.order(), rig.order()

    async def main() -> None:
        await rig.engine.submit_order(first)
        await rig.engine.submit_order(second)
        await rig.runtime.sleep(20 * MS)
        rig.venue.fill(second.id, 10**6)
        await rig.runtime.sleep(20 * MS)
        rig.venue.fill(second.id, 9 * 10**6)

    rig.run(main())
    found = stages(rig.engine)
    assert {name: row["count"] for name, row in found.items()} == {
        "validate": 2, "risk": 2, "throttle": 2, "send_ack": 2, "ack_fill": 1, "total": 2,
    }  # fmt: skip
    # one order every 100 ms, and the first took 6: the second waited for the rest
    assert found["throttle"]["sum"] == 94
    assert found["send_ack"]["sum"] == 12
    assert found["total"]["sum"] == 106
    assert found["ack_fill"]["sum"] == 20
    assert found["validate"]["max"] == found["risk"]["max"] == 0


def test_a_fill_that_outran_the_ack_waited_for_nothing(make_rig: Any) -> None:
    rig = make_rig(latency_ns=3 * MS)
    rig.venue.answers.append(Ack(fills=(10**6,), fills_first=True))
    order = rig.working()
    rig.venue.fill(order.id, 10**6)
    assert stages(rig.engine)["ack_fill"] == {"count": 1, "sum": 0, "p50": 0, "p99": 0, "max": 0}


def test_who_is_refused_has_no_stage_he_never_came_to(make_rig: Any) -> None:
    rig = make_rig()
    order = rig.order(size="0.01")
    with pytest.raises(Exception, match="minimum"):
        rig.run(rig.engine.submit_order(order))
    assert set(stages(rig.engine)) == {"validate"}


@dataclass
class Ticking(StepRuntime):
    """A runtime whose stopwatch moves by itself: work takes time, the run's clock stands still."""

    step_ns: int = 7_000
    looked: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        StepRuntime.__init__(self, start_ns=10**9)

    def stopwatch_ns(self) -> int:
        self.looked += 1
        return self.looked * self.step_ns


def test_checks_are_timed_by_the_stopwatch_not_by_the_clock(make_rig: Any) -> None:
    rig = make_rig(runtime=Ticking())
    rig.working()
    found = stages(rig.engine)
    assert found["validate"]["max"] == found["risk"]["max"] == 0.007
    assert found["throttle"]["max"] == 0


def test_disabled_the_stopwatch_is_not_even_read(make_rig: Any) -> None:
    rig = make_rig(EngineConfig(enable_metrics=False), runtime=Ticking())
    order = rig.working()
    rig.venue.fill(order.id, 10**6)
    assert rig.runtime.looked == 0
    assert rig.engine.metrics.samples() == []


class SigningVenue(MockVenue):
    """Takes a while to sign each order."""

    report: Callable[[Order, int], None]

    def watch_signing(self, report: Callable[[Order, int], None]) -> None:
        self.report = report

    async def place_order(self, order: Order) -> OrderAck:
        self.report(order, 45_000)
        return await super().place_order(order)


def test_an_adapter_that_signs_says_how_long_it_took(make_binary: Any, make_rig: Any) -> None:
    rig = make_rig()
    engine = ExecutionEngine(EngineConfig(), rig.runtime)
    engine.register_adapter(SigningVenue("polymarket", [rig.market], rig.runtime))
    rig.run(engine.submit_order(rig.order()))
    assert stages(engine)["sign"] == {"count": 1, "sum": 0.045, "p50": 0.045, "p99": 0.045, "max": 0.045}


def test_gauges_say_what_is_so_now(make_rig: Any) -> None:
    rig = make_rig()
    looker = Gauges(rig.engine)
    looker.look()
    assert gauges(rig.engine, "strategy.pnl", "strategy.drawdown", "exec.open_orders", "position.size") == {
        ("strategy.pnl", "USDC"): 0, ("strategy.drawdown", "USDC"): 0,
        ("strategy.pnl", "USDT"): 0, ("strategy.drawdown", "USDT"): 0,
    }  # fmt: skip
    order = rig.working(price="0.50", size=10)
    lost = rig.order(side=Side.SELL, price="0.90")
    rig.venue.answers.append(Silence())
    with pytest.raises(Exception, match="no answer"):
        rig.run(rig.engine.submit_order(lost))
    rig.venue.fill(order.id, 4 * 10**6)
    rig.books.set_top("rain", 6000, 6200)
    looker.look()
    open_orders = gauges(rig.engine, "exec.open_orders", "exec.unknown_orders")
    assert open_orders[("exec.open_orders", "polymarket", "rain", "buy")] == 1
    assert open_orders[("exec.unknown_orders", "polymarket", "rain", "buy")] == 0
    assert open_orders[("exec.unknown_orders", "polymarket", "rain", "sell")] == 1
    held = gauges(rig.engine, "position.size", "position.value", "position.unrealised", "strategy.unrealised")
    assert held[("position.size", "polymarket", "rain")] == 4
    assert held[("position.value", "polymarket", "rain")] == pytest.approx(2.44)
    assert held[("position.unrealised", "polymarket", "rain")] == pytest.approx(0.44)
    assert held[("strategy.unrealised", "USDC")] == pytest.approx(0.44)
    rig.books.set_top("rain", 4000, 4200)
    rig.venue.expire(order.id)
    looker.look()
    now = gauges(rig.engine, "strategy.pnl", "strategy.drawdown", "exec.open_orders")
    assert now[("strategy.pnl", "USDC")] == pytest.approx(-0.36)
    assert now[("strategy.drawdown", "USDC")] == pytest.approx(0.80)
    assert now[("exec.open_orders", "polymarket", "rain", "buy")] == 0
