"""The accounting of a parent, and how children are sized and priced."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execsim.core.instrument import Outcome
from execsim.core.order import Order, OrderId, OrderStatus, OrderType, Side
from execsim.strategy.algos.parent import Child, Parent
from execsim.strategy.algos.pricing import Touch, allowed, bounded, crossing_i, resting_i, touch_of, within
from execsim.strategy.algos.sizing import fit_lots, least_lots
from tests.unit.strategy.algos.conftest import Rig, binary

S = OrderStatus


def child(parent: Parent, lots: int, name: str = "1", weight: int = 1) -> Child:
    order = Order(OrderId(name), binary(), Side.BUY, OrderType.LIMIT, size_lots=lots, price_i=50)
    order.status = S.WORKING
    return parent.add(order, weight, rests=True, now_ns=0)


def test_lots_are_done_reserved_or_room() -> None:
    parent = Parent(30)
    one = child(parent, 20)
    assert (parent.done_lots, parent.open_lots, parent.room_lots, parent.left_lots) == (0, 20, 10, 30)
    one.order.filled_lots = 8
    assert (parent.done_lots, parent.open_lots, parent.room_lots, parent.left_lots) == (8, 12, 10, 22)


def test_an_ended_child_keeps_its_lots_until_it_is_settled() -> None:
    parent = Parent(30)
    one = child(parent, 20)
    one.order.status = S.CANCELLED
    assert parent.room_lots == 10
    one.order.filled_lots = 4  # the fill that crossed the cancel
    parent.settle(one)
    assert (parent.done_lots, parent.open_lots, parent.room_lots) == (4, 0, 26)


@pytest.mark.parametrize("status", [S.UNKNOWN, S.SUBMITTING, S.CANCELLING])
def test_an_order_that_may_be_alive_is_open_at_its_full_rest(status: OrderStatus) -> None:
    parent = Parent(20)
    one = child(parent, 20)
    one.order.status = status
    assert parent.room_lots == 0
    assert parent.open_lots == 20


def test_a_void_is_room_again_or_given_up() -> None:
    for rework, room in ((True, 25), (False, 20)):
        parent = Parent(30, rework=rework)
        one = child(parent, 10)
        one.order.filled_lots, one.order.status = 10, S.FILLED
        parent.settle(one)
        one.order.filled_lots, one.order.voided_lots, one.order.status = 5, 5, S.CANCELLED
        parent.note(one)
        assert (parent.done_lots, parent.voided_lots, parent.open_lots) == (5, 5, 0)
        assert parent.room_lots == room
        assert parent.given_up_lots == (0 if rework else 5)


def test_a_venue_that_knew_it_after_all_brings_it_back() -> None:
    parent = Parent(20)
    one = child(parent, 10)
    one.order.status = S.REJECTED
    parent.settle(one)
    two = child(parent, 20, "2")
    assert parent.room_lots == 0
    one.order.status, one.order.filled_lots = S.UNKNOWN, 3
    parent.note(one)
    assert (parent.done_lots, parent.open_lots, parent.excess_lots) == (3, 27, 10)
    one.order.status = S.CANCELLED
    parent.settle(one)
    parent.settle(two)
    assert (parent.done_lots, parent.room_lots, parent.excess_lots) == (3, 17, 0)


def test_money_and_weights() -> None:
    parent = Parent(100)
    one = child(parent, 10, weight=4)
    assert parent.open_lots == 40
    one.order.filled_lots, one.order.filled_cash = 5, 25_000
    assert (parent.done_lots, parent.size, parent.cash) == (20, Decimal(5), Decimal("2.5"))
    assert parent.avg_price == Decimal("0.5")
    assert Parent(5).avg_price is None


# --- sizes --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("want", "room", "lots"),
    [
        (7, 100, 7), (4, 100, 0), (100, 30, 30), (26, 30, 30), (25, 30, 25), (5, 5, 5), (4, 4, 0), (5, 9, 9),
    ],
)  # fmt: skip
def test_a_rest_below_the_minimum_is_merged(want: int, room: int, lots: int) -> None:
    assert fit_lots(want, room, 5, binary()) == lots


def test_steps_and_the_maximum() -> None:
    inst = binary(size_step_lots=10, size_min_lots=30, size_max_lots=105)
    assert fit_lots(47, 200, 30, inst) == 40
    assert fit_lots(200, 200, 30, inst) == 100  # 100 twice
    assert fit_lots(200, 120, 30, inst) == 90  # 100 would leave 20, which nobody takes
    assert fit_lots(300, 107, 30, inst) == 100
    assert fit_lots(39, 39, 30, inst) == 30  # 9 can never be traded


@given(
    want=st.integers(0, 300), room=st.integers(0, 300), least=st.integers(1, 20), step=st.integers(1, 7),
    most=st.one_of(st.none(), st.integers(42, 90)),
)  # fmt: skip
def test_what_fits_never_exceeds_room_and_leaves_nothing_unplaceable(
    want: int, room: int, least: int, step: int, most: int | None
) -> None:
    least = -(-least // step) * step
    inst = binary(size_step_lots=step, size_min_lots=least, size_max_lots=most)
    lots = fit_lots(want, room, least, inst)
    assert 0 <= lots <= room
    assert lots % step == 0
    if not lots:
        assert min(want, room) < least + step
        return
    assert lots >= least
    assert most is None or lots <= most
    rest = (room - lots) - (room - lots) % step
    # below the minimum only where the maximum leaves no way to split it
    assert rest == 0 or rest >= least or (most is not None and room - room % step < 2 * least + step)


def test_the_least_order_is_worth_the_minimum_value() -> None:
    inst = binary(notional_min=10_000, size_min_lots=1)  # one dollar
    assert least_lots(inst, Side.BUY, 30, rests=True) == 4
    assert least_lots(inst, Side.SELL, 50, rests=False) == 2
    takers = binary(notional_min=10_000, size_min_lots=1, notional_min_taker_buys_only=True, size_step_lots=3)
    assert least_lots(takers, Side.BUY, 30, rests=False) == 6
    assert least_lots(takers, Side.BUY, 30, rests=True) == 3
    assert least_lots(takers, Side.SELL, 30, rests=False) == 3


# --- prices -------------------------------------------------------------------------------------------------------------


def test_the_touch_of_no_is_the_mirror() -> None:
    rig = Rig()
    rig.books.set_top("rain", 48, 53, 70)
    assert touch_of(rig.ctx, "rain", Side.BUY, Outcome.YES) == Touch(48, 53, 70)
    assert touch_of(rig.ctx, "rain", Side.SELL, Outcome.YES) == Touch(53, 48, 70)
    assert touch_of(rig.ctx, "rain", Side.BUY, Outcome.NO) == Touch(47, 52, 70)
    assert touch_of(rig.ctx, "rain", Side.SELL, Outcome.NO) == Touch(52, 47, 70)
    rig.books.set_top("rain", None, 53)
    assert touch_of(rig.ctx, "rain", Side.BUY, Outcome.NO).far_i is None


@pytest.mark.parametrize(
    ("touch", "limit", "side", "rest", "cross"),
    [
        (Touch(48, 52, 1), None, Side.BUY, 48, 52),
        (Touch(48, 52, 1), 45, Side.BUY, 45, None),
        (Touch(48, 52, 1), 52, Side.BUY, 48, 52),
        (Touch(52, 48, 1), None, Side.SELL, 52, 48),
        (Touch(52, 48, 1), 55, Side.SELL, 55, None),
        (Touch(None, 52, 1), None, Side.BUY, 51, 52),
        (Touch(48, None, 1), None, Side.BUY, 48, None),
        (Touch(None, None, 0), 50, Side.BUY, None, None),
        (Touch(52, 52, 1), None, Side.BUY, 51, 52),  # crossed: inside of the other side
    ],
)
def test_where_children_rest_and_cross(touch: Any, limit: Any, side: Side, rest: Any, cross: Any) -> None:
    assert resting_i(touch, limit, side, 1) == rest
    assert crossing_i(touch, limit, side, 1) == cross


def test_prices_are_moved_to_the_tick_away_from_the_limit() -> None:
    assert bounded(50, 47, Side.BUY, 5) == 45
    assert bounded(50, 53, Side.SELL, 5) == 55
    assert crossing_i(Touch(40, 52, 1), 53, Side.BUY, 5) is None  # 55 would be beyond the limit
    assert crossing_i(Touch(40, 52, 1), 55, Side.BUY, 5) == 55
    assert within(50, None, Side.BUY)
    assert not allowed(binary(), 100, 1)
    assert not allowed(binary(), 0, 1)
    assert allowed(binary(), 99, 1)
