from __future__ import annotations

from decimal import Decimal

import pytest

from execsim.core.errors import ConfigError
from execsim.core.instrument import Outcome
from execsim.core.order import OrderType, Side, TimeInForce
from execsim.strategy import orders
from execsim.strategy.orders import Action, ScriptedOrder
from tests.unit.strategy.fakes import START_NS, FakeContext, binary


def line(after_ns: int, order_id: str, price: str = "0.48", size: str = "10") -> ScriptedOrder:
    return ScriptedOrder(START_NS + after_ns, order_id, "m", price=Decimal(price), size=Decimal(size))


def cancel(after_ns: int, order_id: str) -> ScriptedOrder:
    return ScriptedOrder(START_NS + after_ns, order_id, action=Action.CANCEL)


def test_places_each_line_at_its_time_in_order() -> None:
    ctx = FakeContext({"orders": [line(500, "c"), line(100, "a"), line(500, "d"), line(0, "now")]}, binary())
    task = ctx.start(orders.run)
    assert [order.tag for order in ctx.orders] == ["now"]
    ctx.wait(99)
    assert len(ctx.orders) == 1
    ctx.wait(1_000)
    assert [(order.tag, order.created_ns - START_NS) for order in ctx.orders] == [
        ("now", 0),
        ("a", 100),
        ("c", 500),
        ("d", 500),
    ]
    assert task.done


def test_places_what_the_line_says() -> None:
    item = ScriptedOrder(
        START_NS,
        "x",
        "m",
        side=Side.SELL,
        tif=TimeInForce.GTD,
        price=Decimal("0.61"),
        size=Decimal("12.5"),
        outcome=Outcome.NO,
        expire_ns=START_NS + 7,
    )
    market = ScriptedOrder(START_NS, "y", "m", type=OrderType.MARKET, tif=TimeInForce.FOK, amount=Decimal("3.5"))
    ctx = FakeContext({"orders": (item, market)}, binary())
    ctx.start(orders.run)
    first, second = ctx.orders
    assert (first.side, first.outcome, first.price_i, first.size_lots) == (Side.SELL, Outcome.NO, 6100, 12_500_000)
    assert (first.type, first.tif, first.expire_ns) == (OrderType.LIMIT, TimeInForce.GTD, START_NS + 7)
    assert (second.type, second.tif, second.price_i) == (OrderType.MARKET, TimeInForce.FOK, None)
    assert (second.size_lots, second.quote_amount) == (None, 3_500_000)


def test_cancels_by_id_and_leaves_finished_orders_alone() -> None:
    ctx = FakeContext({"orders": [line(0, "a"), line(0, "b"), cancel(100, "a"), cancel(100, "b")]}, binary())
    ctx.start(orders.run)
    ctx.ack(*ctx.orders)
    ctx.fill(ctx.orders[1])
    ctx.wait(100)
    assert ctx.cancels == [ctx.orders[0]]


def test_a_missed_time_is_placed_at_once_with_a_note() -> None:
    ctx = FakeContext({"orders": [line(-40, "late"), line(10, "on time")]}, binary())
    ctx.start(orders.run)
    assert [order.tag for order in ctx.orders] == ["late (late by 40 ns)"]
    ctx.wait(10)
    assert ctx.orders[1].tag == "on time"


def test_a_refused_line_does_not_stop_the_script() -> None:
    ctx = FakeContext({"orders": [line(0, "a"), cancel(5, "a"), line(10, "b")]}, binary())
    ctx.refusal = "no"
    ctx.start(orders.run)
    ctx.wait(10)
    assert len(ctx.orders) == 2
    assert ctx.cancels == []


def test_a_cancel_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="cancel of 'a', which was not placed"):
        FakeContext({"orders": [cancel(0, "a"), line(5, "a")]}, binary()).start(orders.run)
