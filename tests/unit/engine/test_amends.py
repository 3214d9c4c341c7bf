"""Amends where the venue has none: cancel, see what was filled, place the rest; never more than was asked for."""

from __future__ import annotations

import pytest

from execsim.core.errors import ExecTimeout, InvalidOrderState, RiskRejected, VenueError
from execsim.core.order import OrderStatus as S
from execsim.core.order import Side
from execsim.engine import PositionLimit, RiskEngine
from execsim.ports import VenueTraits
from execsim.testing.mock_venue import Refuse, Silence


@pytest.fixture
def rig(make_rig):
    rig = make_rig()
    rig.engine._dispatch.routes["polymarket"].traits = VenueTraits(amends=False)
    return rig


def test_another_order_takes_its_place_with_what_is_left(rig):
    order = rig.working()
    rig.venue.fill(order.id, 4_000_000)
    ack = rig.run(rig.engine.modify_order(order.id, price_i=4_900, size_lots=12_000_000))
    new = rig.engine.get_order(ack.order_id)
    assert (order.status, order.replaced_by, new.replaces) == (S.CANCELLED, new.id, order.id)
    assert (new.status, new.price_i, new.size_lots) == (S.WORKING, 4_900, 8_000_000)
    assert rig.engine.order_tracker.open_lots("rain") == (8_000_000, 0)
    assert "replace" in rig.journal.kinds


def test_a_fill_the_stream_has_not_brought_yet_is_counted_before_the_new_order_is_sized(rig):
    order = rig.working()
    rig.venue._sink, sink = (lambda event: None), rig.venue._sink
    rig.venue.fill(order.id, 4_000_000)
    rig.venue._sink = sink
    ack = rig.run(rig.engine.modify_order(order.id, price_i=4_900))
    assert rig.engine.get_order(ack.order_id).size_lots == 6_000_000
    assert rig.engine.get_position("rain").net_lots == 4_000_000


@pytest.mark.parametrize("native", [True, False])
def test_a_fill_that_comes_after_the_replacement_is_taken_off_it(rig, native):
    order = rig.working()
    ack = rig.run(rig.engine.modify_order(order.id, price_i=4_900))
    new = rig.engine.get_order(ack.order_id)
    rig.engine._dispatch.routes["polymarket"].traits = VenueTraits(amends=native)
    rig.venue.fill(order.id, 3_000_000)  # the cancel and this fill crossed, and nobody knew
    rig.runtime.drain()
    while new.replaced_by is not None:
        new = rig.engine.get_order(new.replaced_by)
    assert new.size_lots == 7_000_000
    assert rig.engine.order_tracker.open_lots("rain") == (7_000_000, 0)


def test_a_fill_as_large_as_the_replacement_cancels_it(rig):
    order = rig.working()
    ack = rig.run(rig.engine.modify_order(order.id, price_i=4_900))
    new = rig.engine.get_order(ack.order_id)
    rig.venue.fill(order.id, 10_000_000)
    rig.runtime.drain()
    assert new.status is S.CANCELLED
    assert rig.engine.get_position("rain").net_lots == 10_000_000


def test_an_order_filled_before_its_cancel_is_not_replaced(rig):
    order = rig.working()
    rig.later(500_000, lambda: rig.venue.fill(order.id, 10_000_000))
    with pytest.raises(InvalidOrderState, match="it ended before it could be replaced"):
        rig.run(rig.engine.modify_order(order.id, price_i=4_900))
    assert order.status is S.FILLED
    assert rig.engine.get_active_orders() == []


def test_without_an_answer_to_the_cancel_nothing_is_placed(rig):
    order = rig.working()
    rig.venue.cancel_answers.append(Silence())
    with pytest.raises(ExecTimeout):
        rig.run(rig.engine.modify_order(order.id, price_i=4_900))
    assert order.status is S.UNKNOWN
    rig.runtime.drain()
    assert order.status is S.CANCELLED
    assert rig.engine.order_tracker.count() == 1


def test_what_risk_forbids_leaves_the_order_as_it_was(rig):
    order = rig.working()
    rig.engine.set_risk_engine(RiskEngine([PositionLimit(15)]))
    with pytest.raises(RiskRejected):
        rig.run(rig.engine.modify_order(order.id, size_lots=20_000_000))
    assert (order.status, order.size_lots) == (S.WORKING, 10_000_000)
    assert [call.verb for call in rig.venue.calls] == ["place"]


def test_a_refused_replacement_leaves_neither(rig):
    order = rig.working()
    rig.venue.answers.append(Refuse(VenueError("polymarket", "400", "not enough balance")))
    with pytest.raises(VenueError):
        rig.run(rig.engine.modify_order(order.id, size_lots=20_000_000))
    assert order.status is S.CANCELLED
    assert rig.engine.order_tracker.open_lots("rain") == (0, 0)


def test_cancel_all_of_one_side(rig):
    buy, sell = rig.working(), rig.working(side=Side.SELL, price="0.60")
    results = rig.run(rig.engine.cancel_all(side=Side.SELL))
    assert [result.value.order_id for result in results] == [sell.id]
    assert (buy.status, sell.status) == (S.WORKING, S.CANCELLED)
