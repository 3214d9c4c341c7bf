"""Risk through the whole engine, driven at random: what a limit may not refuse, what a halt lets pass, what is measured."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from execsim.core.errors import ExecError, RiskRejected
from execsim.core.instrument import Outcome
from execsim.core.order import Order, OrderId, OrderType, Side
from execsim.engine import (
    DailyLoss,
    InventoryLimit,
    MaxDrawdown,
    MaxNotional,
    MaxOpenOrders,
    MaxOrderSize,
    MaxOutcomeLoss,
    OrderRate,
    PositionLimit,
    PriceBand,
    RiskEngine,
    StaleData,
    VenueHealth,
)
from execsim.engine.risk import Measure
from execsim.testing import Ack

SHARE = 1_000_000

sides = st.sampled_from(Side)
outcomes = st.sampled_from(Outcome)
orders = st.tuples(sides, outcomes, st.integers(5, 30), st.integers(20, 80))
"""(side, outcome, shares, price in cents)"""
buys = st.tuples(st.just(Side.BUY), outcomes, st.integers(5, 30), st.integers(20, 80))


def place(rig: Any, what: Any, **changes: Any) -> Order:
    side, outcome, shares, cents = what
    order: Order = rig.order(side=side, outcome=outcome, size=shares, price=Decimal(cents) / 100, **changes)
    rig.engine.begin(order)
    return order


def strictest() -> list[Any]:
    """Every limit, so tight that it refuses whatever it may."""
    return [
        PositionLimit(0), InventoryLimit(0), MaxOrderSize(0), MaxNotional(0), MaxOpenOrders(1), MaxDrawdown(0), DailyLoss(0),
        MaxOutcomeLoss(0), PositionLimit(0, "rain"), InventoryLimit(0, "rain"), MaxOpenOrders(1, "rain"),
        MaxDrawdown(0, "rain"), DailyLoss(0, "rain"),
    ]  # fmt: skip


@settings(max_examples=60)
@given(orders, st.lists(orders, max_size=4), orders, st.integers(10, 90))
def test_an_order_that_reduces_is_never_refused_by_a_limit(
    make_rig: Any, first: Any, others: list[Any], last: Any, mid: int
) -> None:
    """A position, open orders, then every limit at its strictest: the last order passes exactly if the position shrinks and
    does not cross zero whatever else of its side fills."""
    rig = make_rig(latency_ns=0)
    order = place(rig, first)
    rig.run(rig.engine.send(order))
    rig.venue.fill(order.id, order.size_lots)
    for other in others:
        place(rig, other)
    rig.books.set_top("rain", mid * 100 - 100, mid * 100 + 100)
    rig.engine.set_risk_engine(RiskEngine(strictest()))

    net = rig.engine.get_position("rain").net_lots
    side, outcome, shares, _ = last
    signed = shares * SHARE * (side.sign if outcome is Outcome.YES else -side.sign)
    same = [other for other in others if (other[0].sign if other[1] is Outcome.YES else -other[0].sign) * signed > 0]
    worst = net + signed + (1 if signed > 0 else -1) * sum(shares for _, _, shares, _ in same) * SHARE
    reduces = net * signed < 0 and worst * net >= 0
    if reduces:
        place(rig, last)
    else:
        with pytest.raises(RiskRejected):
            place(rig, last)
    assert not rig.engine.halted


@settings(max_examples=60)
@given(st.lists(buys, min_size=1, max_size=4), orders, st.sampled_from(["halt", "halt_and_cancel", "kill"]), st.data())
def test_after_a_halt_only_cancels_and_flatten_pass(
    make_rig: Any, before: list[Any], after: Any, how: str, data: Any
) -> None:
    rig = make_rig(latency_ns=0)
    rig.books.set_top("rain", 4900, 5100)
    working = []
    for what in before:
        order = place(rig, what)
        rig.run(rig.engine.send(order))
        filled = data.draw(st.integers(0, what[2]))
        if filled:
            rig.venue.fill(order.id, filled * SHARE)
        working.append(order)
    if how == "kill":
        rig.engine.kill("a test")
    else:
        rig.engine.set_risk_engine(RiskEngine([MaxOrderSize(50, action=how)]))
        with pytest.raises(RiskRejected, match="limit 50"):
            rig.engine.begin(rig.order(size=51))
    with pytest.raises(RiskRejected):
        place(rig, after)
    still = [order for order in working if order.is_active]
    for order in still:
        with pytest.raises(ExecError):
            rig.run(rig.engine.modify_order(order.id, price_i=4000))
    for order in still:
        rig.run(rig.engine.cancel_order(order.id))
    rig.runtime.drain()
    assert not rig.engine.get_active_orders()
    position = rig.engine.get_position("rain")
    rig.venue.answers += [Ack((lots,)) for lots in (position.yes_lots, position.no_lots) if lots]
    [result] = rig.run(rig.engine.flatten("rain"))
    assert result.flat
    assert position.yes_lots == position.no_lots == 0
    with pytest.raises(RiskRejected):
        place(rig, after)


# --- what is measured --------------------------------------------------------------------------------------------------


def measured(rig: Any, order: Order, *needs: Measure) -> Any:
    return rig.engine.guard.measures.of_order(order, rig.engine.view.worst_lots(order), needs)


def test_the_value_of_an_order(rig: Any) -> None:
    def value(**order: Any) -> Any:
        return measured(rig, rig.order(**order), Measure.VALUE).order_value_usd

    assert value(price="0.30", size=10) == 3
    assert value(price="0.30", size=10, outcome=Outcome.NO) == 3
    market: dict[str, Any] = {"price": None, "type": OrderType.MARKET}
    assert value(size=10, **market) == 10
    rig.books.set_top("rain", 1900, 2000)
    assert value(size=10, **market) == 2
    assert value(size=10, side=Side.SELL, **market) == Decimal("1.9")
    assert value(size=10, outcome=Outcome.NO, **market) == Decimal("8.1")
    spend = Order(OrderId("x"), rig.market, Side.BUY, OrderType.MARKET, quote_amount=2_500_000)
    assert measured(rig, spend, Measure.VALUE).order_value_usd == Decimal("2.5")
    coin = {"instrument": rig.spot, "size": 1} | market
    assert value(**coin) is None
    rig.engine.view.saw_fill("BTCUSDT", 6_000_000)
    assert value(**coin) == 60_000


def test_the_price_of_an_order_and_what_it_is_held_against(rig: Any) -> None:
    def prices(**order: Any) -> Any:
        ctx = measured(rig, rig.order(**order), Measure.PRICE)
        return ctx.price, ctx.reference_price

    assert prices(price="0.30") == (Decimal("0.3"), None)
    rig.engine.view.saw_fill("rain", 4400)
    assert prices(price="0.30", outcome=Outcome.NO) == (Decimal("0.7"), Decimal("0.44"))
    rig.books.set_top("rain", 3900, None)
    assert prices() == (Decimal("0.5"), Decimal("0.39"))
    rig.books.set_top("rain", 3900, 4001)
    market: dict[str, Any] = {"price": None, "type": OrderType.MARKET}
    assert prices(**market) == (Decimal("0.4001"), Decimal("0.39505"))
    assert prices(outcome=Outcome.NO, **market) == (Decimal("0.39"), Decimal("0.39505"))


def test_open_orders_are_counted_with_those_that_wait(rig: Any) -> None:
    rig.engine.set_risk_engine(RiskEngine([MaxOpenOrders(3), MaxOpenOrders(2, "rain")]))
    first, second = rig.working(), rig.order()
    rig.engine.begin(second)
    with pytest.raises(RiskRejected, match=r"2 orders are open already, limit 2 \(MaxOpenOrders of rain\)"):
        rig.engine.begin(rig.order())
    rig.engine.begin(rig.order(instrument=rig.spot, price=60000, size=1))
    with pytest.raises(RiskRejected, match=r"3 orders are open already, limit 3 \(MaxOpenOrders\)"):
        rig.engine.begin(rig.order(instrument=rig.spot, price=60000, size=1))
    # an amend takes its own place
    rig.run(rig.engine.modify_order(first.id, price_i=5100))
    rig.run(rig.engine.cancel_order(first.id))
    rig.engine.begin(rig.order())


def test_the_rate_counts_what_passed(rig: Any) -> None:
    rig.engine.set_risk_engine(RiskEngine([OrderRate(2, per_s=1), MaxOrderSize(100)]))

    async def scenario() -> None:
        rig.engine.begin(rig.order())
        with pytest.raises(RiskRejected, match="MaxOrderSize"):
            rig.engine.begin(rig.order(size=200))
        await rig.runtime.sleep(500_000_000)
        rig.engine.begin(rig.order())
        await rig.runtime.sleep(499_999_999)
        with pytest.raises(RiskRejected, match="2 orders in the last 1 s"):
            rig.engine.begin(rig.order())
        await rig.runtime.sleep(1)
        rig.engine.begin(rig.order())

    rig.run(scenario())


def test_the_rate_of_one_market(rig: Any) -> None:
    rig.engine.set_risk_engine(RiskEngine([OrderRate(1, 60, "rain")]))
    for _ in range(3):
        rig.engine.begin(rig.order(instrument=rig.spot, price=60000, size=1))
    rig.engine.begin(rig.order())
    with pytest.raises(RiskRejected, match="OrderRate of rain"):
        rig.engine.begin(rig.order())


def test_inventory_of_one_market(rig: Any) -> None:
    rig.engine.set_risk_engine(RiskEngine([InventoryLimit(5, "rain")]))
    rig.engine.begin(rig.order(instrument=rig.spot, price=60000, size=1))
    with pytest.raises(RiskRejected, match=r"worth 5\.5, limit 5 \(InventoryLimit of rain\)"):
        rig.engine.begin(rig.order(size=11))
    rig.engine.begin(rig.order(size=10))


def test_an_amend_is_judged_by_what_it_adds_and_by_every_guard(rig: Any) -> None:
    rig.books.set_top("rain", 4900, 5100)
    order = rig.working(size=20)
    rig.engine.set_risk_engine(RiskEngine([PositionLimit(10), MaxNotional(8), PriceBand("0.05")]))
    amend = rig.engine.modify_order
    # smaller, or cheaper: no risk, although still above the limit
    rig.run(amend(order.id, size_lots=15 * SHARE))
    rig.run(amend(order.id, price_i=4800))
    with pytest.raises(RiskRejected, match=r"would reach 16.*worth 8\.32"):
        rig.run(amend(order.id, size_lots=16 * SHARE, price_i=5200))
    with pytest.raises(RiskRejected, match="PriceBand"):
        rig.run(amend(order.id, price_i=5600, size_lots=10 * SHARE))
    assert (order.price_i, order.size_lots) == (4800, 15 * SHARE)


def test_data_and_health_of_every_order(rig: Any) -> None:
    rig.engine.set_risk_engine(RiskEngine([StaleData(1), VenueHealth()]))
    with pytest.raises(RiskRejected, match="no data of rain has reached us"):
        rig.engine.begin(rig.order())
    rig.books.set_top("rain", 4900, 5100)
    rig.engine.begin(rig.order())
    rig.books.in_gap = lambda market: market == "rain"
    with pytest.raises(RiskRejected, match="has a gap"):
        rig.engine.begin(rig.order())
    rig.engine.set_risk_engine(RiskEngine([StaleData(1, gaps=False)]))
    rig.engine.begin(rig.order())


def test_a_policy_for_a_market_nobody_trades_is_idle(rig: Any) -> None:
    rig.engine.set_risk_engine(
        RiskEngine([MaxDrawdown(0, "mars", "halt"), StaleData(1, market_id="mars", action="halt")])
    )
    with suppress(RiskRejected):
        rig.engine.begin(rig.order())
    rig.engine.guard.look()
    assert not rig.engine.halted
