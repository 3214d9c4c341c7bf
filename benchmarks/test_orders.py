"""Microseconds an order, submit to ack: the engine alone, and with the simulated exchange behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import simpy
from inputs import SPAN, binary_instrument

from execsim.core.order import Order, OrderStatus, OrderType, Side
from execsim.engine.policies import KillSwitch, PositionLimit
from execsim.engine.risk import RiskEngine
from execsim.engine.session import EngineConfig, ExecutionEngine
from execsim.engine.throttle import RateLimiterConfig
from execsim.exchange import ConstantLatency, Exchange, LatencyModel, SimulatedVenue
from execsim.journal import HashJournal
from execsim.kernel import Replay
from execsim.ports import NEVER, VenueAdapter, VenueProfile
from execsim.runtime import VirtualRuntime
from execsim.testing import MockVenue

ORDERS = 2_000
GENEROUS = VenueProfile()
LATENCY = LatencyModel(entry=ConstantLatency(40_000_000), response=ConstantLatency(15_000_000))


def submit_all(make_venue: Callable[[Any, VirtualRuntime], VenueAdapter], inst: Any) -> ExecutionEngine:
    """Validation, two risk policies, throttle, tracking, metrics and the journal hash."""
    runtime = VirtualRuntime(7)
    limits = {inst.venue: RateLimiterConfig.unlimited()}
    engine = ExecutionEngine(EngineConfig(rate_limits=limits), runtime, HashJournal())
    engine.register_adapter(make_venue(inst, runtime))
    engine.set_risk_engine(RiskEngine([PositionLimit(10**9), KillSwitch(False)]))

    async def main() -> None:
        for _ in range(ORDERS):
            order = Order(engine.new_order_id(), inst, Side.BUY, OrderType.LIMIT, size_lots=10**7, price_i=4000)
            await engine.submit_order(order)

    runtime.run(main=main())
    return engine


@pytest.mark.benchmark(group=f"{ORDERS} orders, submit to ack")
def test_engine_to_mock_venue(benchmark: Any, rate: Any) -> None:
    """The venue answers at once."""
    inst = binary_instrument()

    def venue(inst: Any, runtime: VirtualRuntime) -> VenueAdapter:
        return MockVenue(inst.venue, [inst], runtime)

    rate("submit to ack through the engine, MockVenue without latency", ORDERS, "us an order")
    engine = benchmark.pedantic(submit_all, (venue, inst), rounds=5, warmup_rounds=1)
    assert engine.metrics.value("exec.orders_placed") == ORDERS
    assert all(order.status is OrderStatus.WORKING for order in engine.order_tracker.get_all_orders())


@pytest.mark.benchmark(group=f"{ORDERS} orders, submit to ack")
def test_engine_to_simulated_venue(benchmark: Any, rows: Any, rate: Any) -> None:
    """Two legs of latency, the venue's rules and balance, and a place in the queue of a book of 80 levels."""
    inst = binary_instrument()

    def venue(inst: Any, runtime: VirtualRuntime) -> VenueAdapter:
        kernel = Replay([SPAN])
        kernel.feed(rows[:80], rows[:0])
        kernel.advance(NEVER - 1)
        found = SimulatedVenue(Exchange(runtime, kernel, inst.venue, {0: inst}, GENEROUS), LATENCY)
        found.deposit(inst.quote.name, 10**12)
        return found

    rate("submit to ack through the engine and the simulated exchange", ORDERS, "us an order")
    engine = benchmark.pedantic(submit_all, (venue, inst), rounds=5, warmup_rounds=1)
    orders = engine.order_tracker.get_all_orders()
    assert len(orders) == ORDERS
    assert all(order.status is OrderStatus.WORKING for order in orders)


@pytest.mark.benchmark(group=f"{ORDERS} orders, submit to ack")
def test_plain_simpy(benchmark: Any, rate: Any) -> None:
    """Two timeouts, a dict and an event an order: no check, no record, no book."""

    def run() -> dict[int, str]:
        env, booked = simpy.Environment(), {}

        def venue(number: int, ack: Any) -> Iterator[Any]:
            yield env.timeout(40_000_000)
            booked[number] = "working"
            yield env.timeout(15_000_000)
            ack.succeed()

        def trader() -> Iterator[Any]:
            for number in range(ORDERS):
                ack = env.event()
                env.process(venue(number, ack))
                yield ack

        env.process(trader())
        env.run()
        return booked

    rate("  plain SimPy, nothing checked or recorded", ORDERS, "us an order")
    assert len(benchmark.pedantic(run, rounds=5)) == ORDERS
