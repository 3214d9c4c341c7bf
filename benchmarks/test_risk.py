"""Microseconds of risk: judging an order by twenty policies, and measuring what they look at.

Out of the measurement: what an order costs besides (test_orders.py), and refusals, which also make their sentences.
"""

from __future__ import annotations

from decimal import Decimal
from itertools import product
from typing import Any

import pytest
from inputs import binary_instrument

from execsim.core.order import Order, OrderType, Side
from execsim.engine import (
    DailyLoss,
    EngineConfig,
    ExecutionEngine,
    InventoryLimit,
    KillSwitch,
    MaxDrawdown,
    MaxNotional,
    MaxOpenOrders,
    MaxOrderSize,
    MaxOutcomeLoss,
    OrderRate,
    PositionLimit,
    PriceBand,
    RateLimiterConfig,
    RiskContext,
    RiskEngine,
    StaleData,
    VenueHealth,
)
from execsim.engine.risk import Pnl
from execsim.runtime import VirtualRuntime
from execsim.testing import MockBooks, MockVenue

CALLS = 10_000
OPEN_ORDERS = 10
"""Orders that rest in the market while the next one is measured."""
SECOND = 1_000_000_000


def twenty(market: str) -> list[Any]:
    """All of them apply to the market, and none is violated by a normal order."""
    return [
        PositionLimit(1_000), PositionLimit(500, market), PositionLimit(800, market),
        MaxOrderSize(200), MaxOrderSize(100, market),
        MaxNotional(500), MaxNotional(250, market),
        InventoryLimit(10_000), InventoryLimit(2_000, market),
        MaxOpenOrders(100), MaxOpenOrders(20, market),
        OrderRate(1_000), OrderRate(15, 60, market),
        PriceBand("0.10"),
        MaxDrawdown(500, action="halt_and_cancel"), DailyLoss(300, action="reduce_only"),
        MaxOutcomeLoss(800),
        StaleData(5), VenueHealth(), KillSwitch(False),
    ]  # fmt: skip


def contexts(market: str) -> list[RiskContext]:
    """A grid of situations on both sides of every limit; the first is a normal one."""
    found = []
    for size, position, value, orders, price, loss, age_s in product(
        ("10", "150"), ("100", "900"), ("50", "300"), (3, 20), ("0.48", "0.70"), ("20", "900"), (1, 9)
    ):
        found.append(
            RiskContext(
                market,
                Decimal(position),
                Decimal(size),
                Decimal(value) * 30,
                Decimal(40),
                Decimal(30),
                100 * SECOND,
                market_value_usd=Decimal(value) * 10,
                order_value_usd=Decimal(value),
                open_orders=orders,
                market_open_orders=orders,
                price=Decimal(price),
                reference_price=Decimal("0.5"),
                order_times=[99 * SECOND] * orders,
                market_order_times=[80 * SECOND] * orders,
                pnl=Pnl(-Decimal(loss), Decimal(10), Decimal(5)),
                outcome_loss_usd=Decimal(loss),
                data_age_ns=age_s * SECOND,
                healthy=loss == "20",
            )
        )
    return found


def naive(policies: list[Any], ctx: RiskContext) -> tuple[str, ...]:
    """Names of the violated policies as one would write it first: everything worked out again by every policy."""
    names = []
    position, size = ctx.current_position, ctx.proposed_size
    for policy in policies:
        name = type(policy).__name__
        own = policy.market_id is not None
        if own and policy.market_id != ctx.market_id:
            continue
        buys = size >= 0
        worst = position + ctx.open_buy + size if buys else position - ctx.open_sell + size
        left = position + size - (Decimal(0) if buys else ctx.open_sell)
        reduces = (position > 0 > size and left >= 0) or (position < 0 < size and worst <= 0)
        limit = name not in ("KillSwitch", "OrderRate", "PriceBand", "StaleData", "VenueHealth")
        bad = False
        if name == "PositionLimit":
            bad = abs(worst) > policy.max_size
        elif name == "MaxOrderSize":
            bad = abs(size) > policy.max_size
        elif name == "MaxNotional":
            bad = ctx.order_value_usd is None or ctx.order_value_usd > policy.max_value_usd
        elif name == "InventoryLimit":
            bad = (ctx.market_value_usd if own else ctx.inventory_value_usd) > policy.max_value_usd
        elif name == "MaxOpenOrders":
            bad = (ctx.market_open_orders if own else ctx.open_orders) + 1 > policy.max_orders
        elif name == "OrderRate":
            since = ctx.now_ns - int(policy.per_s * SECOND)
            bad = sum(t > since for t in (ctx.market_order_times if own else ctx.order_times)) + 1 > policy.max_orders
        elif name == "PriceBand":
            away = (ctx.price - ctx.reference_price) * (1 if buys else -1)
            bad = away > policy.max_distance
        elif name == "MaxDrawdown":
            bad = ctx.pnl.peak - ctx.pnl.now > policy.max_loss_usd
        elif name == "DailyLoss":
            bad = ctx.pnl.day_start - ctx.pnl.now > policy.max_loss_usd
        elif name == "MaxOutcomeLoss":
            bad = ctx.outcome_loss_usd is not None and ctx.outcome_loss_usd > policy.max_loss_usd
        elif name == "StaleData":
            bad = ctx.data_age_ns is None or Decimal(ctx.data_age_ns) / SECOND > policy.max_age_s or ctx.in_gap
        elif name == "VenueHealth":
            bad = not ctx.healthy
        elif name == "KillSwitch":
            bad = policy.enabled
        if bad and not (limit and reduces):
            names.append(name)
    return tuple(names)


@pytest.mark.benchmark(group=f"{CALLS} orders judged by 20 policies")
def test_twenty_policies(benchmark: Any, rate: Any) -> None:
    """RiskEngine.evaluate alone, the order allowed: every policy is asked."""
    policies = twenty("m")
    engine, (normal, *others) = RiskEngine(policies), contexts("m")
    assert len(policies) == 20
    evaluate = engine.evaluate

    def run() -> int:
        return sum(evaluate(normal).allowed for _ in range(CALLS))

    rate("risk: evaluate with 20 policies", CALLS, "us")
    assert benchmark.pedantic(run, rounds=10) == CALLS
    decided = [engine.evaluate(ctx).violated_policies for ctx in (normal, *others)]
    assert decided == [naive(policies, ctx) for ctx in (normal, *others)]
    assert decided[0] == ()
    assert {name for names in decided for name in names} == {policy.name for policy in policies} - {"KillSwitch"}


@pytest.mark.benchmark(group=f"{CALLS} orders judged by 20 policies")
def test_twenty_policies_naive(benchmark: Any, rate: Any) -> None:
    policies, normal = twenty("m"), contexts("m")[0]
    rate("  one loop of if and elif", CALLS, "us")

    def run() -> int:
        return sum(not naive(policies, normal) for _ in range(CALLS))

    assert benchmark.pedantic(run, rounds=5) == CALLS


@pytest.mark.benchmark(group=f"{CALLS} orders measured")
@pytest.mark.parametrize("some", ["position only", "all 20"])
def test_context(benchmark: Any, rate: Any, some: str) -> None:
    """Building the context from the engine's own books: one market held, OPEN_ORDERS resting in it."""
    inst = binary_instrument()
    runtime = VirtualRuntime(7)
    engine = ExecutionEngine(EngineConfig(rate_limits={inst.venue: RateLimiterConfig.unlimited()}), runtime)
    venue = MockVenue(inst.venue, [inst], runtime)
    engine.register_adapter(venue)
    books = MockBooks(runtime, [inst])
    engine.attach_books(books)
    books.set_top(inst.market, 4900, 5100)

    def order(price_i: int) -> Order:
        return Order(engine.new_order_id(), inst, Side.BUY, OrderType.LIMIT, size_lots=10**7, price_i=price_i)

    async def main() -> None:
        first = order(4800)
        await engine.submit_order(first)
        venue.fill(first.id, 10**7)
        for number in range(OPEN_ORDERS):
            await engine.submit_order(order(4700 - 100 * number))

    runtime.run(main=main())
    policies = twenty(inst.market) if some == "all 20" else [PositionLimit(1_000)]
    risk = RiskEngine(policies)
    engine.set_risk_engine(risk)
    candidate, needs = order(4800), risk.rules(inst.market).needs
    of_order = engine.guard.measures.of_order

    def run() -> RiskContext:
        for _ in range(CALLS):
            ctx = of_order(candidate, 10**7, needs)
        return ctx

    rate(f"risk: measuring an order's context, {some}", CALLS, "us")
    ctx = benchmark.pedantic(run, rounds=5)
    assert risk.evaluate(ctx).allowed
    assert (ctx.current_position, ctx.open_buy, ctx.proposed_size) == (10, 10 * OPEN_ORDERS, 10)
    if some == "all 20":
        worst = (
            Decimal("4.8")
            + sum((Decimal(4700 - 100 * n) / 1000 for n in range(OPEN_ORDERS)), Decimal(0))
            + Decimal("4.8")
        )
        assert ctx.outcome_loss_usd == worst
        assert ctx.inventory_value_usd == Decimal("0.5") * 10 * (OPEN_ORDERS + 2)
        assert ctx.market_open_orders == OPEN_ORDERS
