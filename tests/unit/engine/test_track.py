from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from execsim.core.errors import InvalidOrderState, OrderNotFound, ValidationError
from execsim.core.fees import Liquidity
from execsim.core.instrument import Outcome
from execsim.core.lifecycle import OrderEvent
from execsim.core.order import Fill, FillId, Order, OrderId, OrderStatus, OrderType, Side
from execsim.engine import OrderTracker

EVENTS = list(OrderEvent)


def order_of(market, n, side=Side.BUY, outcome=Outcome.YES, lots=100):
    return Order(OrderId(f"o{n}"), market, side, OrderType.LIMIT, size_lots=lots, price_i=5000, outcome=outcome)


def fill_of(order, n, lots):
    cash = order.instrument.cash(5000, lots)
    return Fill(FillId(f"f{n}"), order.id, 0, order.side, order.outcome, 5000, lots, -cash, 0, Liquidity.MAKER)


def test_the_register_of_orders(rig):
    tracker = OrderTracker()
    orders = [order_of(rig.market, n) for n in range(3)]
    for order in orders:
        tracker.track_order(order)
    with pytest.raises(ValidationError, match="already in use"):
        tracker.track_order(orders[0])
    tracker.update_status(orders[0].id, OrderEvent.SEND)
    assert tracker.record_fill(fill_of(orders[0], 1, 40)) is OrderEvent.FILL
    assert tracker.record_fill(fill_of(orders[0], 1, 40)) is None
    assert tracker.record_fill(fill_of(orders[0], 2, 60)) is OrderEvent.DONE
    assert [fill.id for fill in tracker.get_fills(orders[0].id)] == ["f1", "f2"]
    assert tracker.get_all_orders() == orders
    assert tracker.get_active_orders() == tracker.get_active_orders("rain") == orders[1:]
    assert tracker.get_active_orders("snow") == []
    assert tracker.get_terminal_orders() == orders[:1]
    with pytest.raises(InvalidOrderState):
        tracker.remove_order(orders[1].id)
    assert tracker.clear_terminal_orders() == 1
    assert tracker.count() == 2
    with pytest.raises(OrderNotFound):
        tracker.get_order(orders[0].id)
    tracker.update_status(orders[1].id, OrderEvent.ASK_CANCEL)
    tracker.remove_order(orders[1].id)
    assert tracker.get_all_orders() == orders[2:]


def test_an_impossible_step_changes_nothing(rig):
    tracker = OrderTracker()
    order = order_of(rig.market, 1)
    tracker.track_order(order)
    for attempt in (
        lambda: tracker.update_status(order.id, OrderEvent.ACK),
        lambda: tracker.record_fill(fill_of(order, 1, 40)),
    ):
        with pytest.raises(InvalidOrderState):
            attempt()
    tracker.update_status(order.id, OrderEvent.SEND)
    with pytest.raises(InvalidOrderState, match="a fill of 101 lots with 100 left"):
        tracker.record_fill(fill_of(order, 1, 101))
    assert (order.status, order.filled_lots, tracker.get_fills(order.id)) == (OrderStatus.SUBMITTING, 0, [])
    assert tracker.open_lots("rain") == (100, 0)


def test_only_so_many_finished_orders_are_kept(rig):
    tracker = OrderTracker(orders_kept_max=2)
    orders = [order_of(rig.market, n) for n in range(5)]
    for order in orders:
        tracker.track_order(order)
        tracker.update_status(order.id, OrderEvent.ASK_CANCEL)
    assert tracker.get_all_orders() == orders[3:]


@settings(max_examples=150)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, len(EVENTS) + 4), st.integers(1, 150)), max_size=80))
def test_exposure_is_what_a_recount_says(rig_market, steps):
    """Any walk of orders through events, fills, voids and amends: the kept sums equal the sums over active orders."""
    tracker = OrderTracker()
    kinds = [(side, outcome) for side in Side for outcome in Outcome]
    fills = 0
    for n, action, lots in steps:
        order_id = OrderId(f"o{n}")
        entry = tracker.find(order_id)
        try:
            if entry is None:
                side, outcome = kinds[n % 4]
                tracker.track_order(order_of(rig_market, n, side, outcome))
            elif action < len(EVENTS):
                tracker.update_status(order_id, EVENTS[action])
            elif action == len(EVENTS):
                tracker.propose_size(entry, lots)
            elif action == len(EVENTS) + 1:
                tracker.settle_size(entry, None)
            elif action == len(EVENTS) + 2 and entry.fills:
                tracker.void_fill(order_id, next(iter(entry.fills)))
            else:
                fills += 1
                tracker.record_fill(fill_of(entry.order, fills, lots))
        except InvalidOrderState:
            pass
        buys = sells = 0
        for order in tracker.get_all_orders():
            tracked = tracker.entry(order.id)
            live = [fill.lots for fill in tracked.fills.values() if fill.status != "voided"]
            assert order.filled_lots == sum(live)
            if order.is_active:
                left = max(0, tracked.ceiling_lots - order.filled_lots)
                buys += left if order.book_side is Side.BUY else 0
                sells += left if order.book_side is Side.SELL else 0
        assert tracker.open_lots("rain") == (buys, sells)
        active = {order.id for order in tracker.get_all_orders() if order.is_active}
        assert {order.id for order in tracker.get_active_orders("rain")} == active


@pytest.fixture(scope="session")
def rig_market(make_binary):
    return make_binary()
