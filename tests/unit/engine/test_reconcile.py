"""Our books beside the venue's: plans from what it says, and what it does not say proves nothing."""

from __future__ import annotations

import pytest

from execsim.core.errors import ExecTimeout, InvalidResponse
from execsim.core.order import FillStatus, Order, OrderId, OrderType, Side
from execsim.core.order import OrderStatus as S
from execsim.core.units import NS_PER_S
from execsim.engine import EngineConfig, ReconcileConfig
from execsim.engine.reconcile import (
    AdoptOrder,
    AskOrder,
    BookFill,
    CancelStranger,
    ChangeTerms,
    FindOrder,
    NoteBalance,
    NoteSilence,
    NoteStranger,
    SettleFill,
)
from execsim.testing.mock_venue import Silence

RAIN = "polymarket"


def kinds(actions):
    return [type(action) for action in actions if not isinstance(action, NoteBalance)]


def deaf(rig):
    """Whatever the venue reports is lost."""
    sink, rig.venue._sink = rig.venue._sink, lambda event: None
    return sink


async def half(*_):
    raise InvalidResponse(RAIN, "page", "the second page did not come")


def test_agreement_is_an_empty_plan(rig):
    rig.working()
    assert rig.run(rig.engine.reconcile(RAIN)) == []
    assert "reconcile" not in rig.journal.kinds


def test_a_missed_fill_is_booked_once(rig):
    order = rig.working()
    sink = deaf(rig)
    fill = rig.venue.fill(order.id, 4_000_000)
    actions = rig.run(rig.engine.reconcile(RAIN))
    assert kinds(actions) == [BookFill]
    assert fill.id in str(actions[0])
    assert order.filled_lots == 4_000_000
    rig.venue._sink = sink
    rig.engine.record_fill(fill)
    assert rig.engine.get_position("rain").net_lots == 4_000_000
    assert kinds(rig.run(rig.engine.reconcile(RAIN))) == []


def test_a_missed_failure_on_chain_is_taken_over_however_late(rig):
    """Trades are asked for by the time they were made: those that are not final are asked for again."""
    order = rig.working()
    fill = rig.venue.fill(order.id, 4_000_000, status=FillStatus.PROVISIONAL)
    for _ in range(2):
        rig.run(rig.runtime.sleep(600 * NS_PER_S))
        assert kinds(rig.run(rig.engine.reconcile(RAIN))) == []
    deaf(rig)
    rig.venue.void(fill)
    actions = rig.run(rig.engine.reconcile(RAIN))
    assert kinds(actions) == [SettleFill]
    assert "voided" in str(actions[0])
    assert (order.filled_lots, order.voided_lots) == (0, 4_000_000)
    assert rig.engine.get_position("rain").net_lots == 0
    assert kinds(rig.run(rig.engine.reconcile(RAIN))) == []


def test_a_missed_end_is_asked_for_not_guessed(rig):
    order = rig.working()
    deaf(rig)
    rig.venue.drop(order.id)
    actions = rig.run(rig.engine.reconcile(RAIN))
    assert kinds(actions) == [AskOrder]
    assert order.status is S.CANCELLED
    assert [call.verb for call in rig.venue.calls][-4:] == ["open", "fills", "balances", "status"]


def test_half_an_answer_is_no_truth(rig):
    order = rig.working()
    rig.venue.get_open_orders = half
    actions = rig.run(rig.engine.reconcile(RAIN))
    assert kinds(actions) == [NoteSilence]
    assert order.status is S.WORKING


def test_an_empty_list_ends_nothing(rig):
    """The venue answers with an empty page although the order rests: it is asked for, and lives."""
    order = rig.working()

    async def empty(market=None):
        return []

    rig.venue.get_open_orders = empty
    assert kinds(rig.run(rig.engine.reconcile(RAIN))) == [AskOrder]
    assert order.status is S.WORKING


def test_an_order_the_venue_forgot_becomes_unknown_and_then_gone(rig):
    order = rig.working()
    rig.venue._booked.clear()
    assert kinds(rig.run(rig.engine.reconcile(RAIN))) == [AskOrder]
    assert order.status is S.UNKNOWN
    rig.runtime.drain(rig.runtime.now_ns() + 60 * NS_PER_S)
    assert order.status is S.CANCELLED


def test_an_order_we_thought_dead_is_found(rig):
    order = rig.working()
    rig.run(rig.engine.cancel_order(order.id))
    rig.venue._booked[order.id].status = S.WORKING
    actions = rig.run(rig.engine.reconcile(RAIN))
    assert kinds(actions) == [FindOrder]
    rig.runtime.drain(rig.runtime.now_ns() + NS_PER_S)
    # it was to be cancelled, and still is
    assert order.status is S.CANCELLED
    assert rig.venue._booked[order.id].status is S.CANCELLED


def test_other_terms_at_the_venue_are_taken_over(rig):
    order = rig.working()
    booked = rig.venue._booked[order.id]
    booked.size_lots, booked.price_i = 20_000_000, 4_900
    assert kinds(rig.run(rig.engine.reconcile(RAIN))) == [ChangeTerms]
    assert (order.price_i, order.size_lots) == (4_900, 20_000_000)
    assert rig.engine.order_tracker.open_lots("rain") == (20_000_000, 0)


def stranger(rig):
    order = Order(OrderId("theirs"), rig.market, Side.SELL, OrderType.LIMIT, size_lots=8_000_000, price_i=6_000)
    rig.run(rig.venue.place_order(order))
    fill = rig.venue.fill(order.id, 3_000_000)
    return order, fill


def test_strangers_are_left_by_default(make_rig):
    rig = make_rig()
    stranger(rig)
    actions = rig.run(rig.engine.reconcile(RAIN))
    assert kinds(actions) == [NoteStranger, NoteStranger]
    assert rig.engine.order_tracker.count() == 0
    rows = rig.journal.kinds.count("reconcile")
    rig.run(rig.engine.reconcile(RAIN))
    assert rig.journal.kinds.count("reconcile") == rows  # said once


def test_strangers_are_adopted_with_their_fills(make_rig):
    rig = make_rig(EngineConfig(reconcile=ReconcileConfig(strangers="adopt")))
    stranger(rig)
    assert kinds(rig.run(rig.engine.reconcile(RAIN))) == [AdoptOrder]
    order = rig.engine.get_order(OrderId("theirs"))
    assert (order.status, order.filled_lots) == (S.WORKING, 3_000_000)
    assert rig.engine.get_position("rain").net_lots == -3_000_000
    assert rig.engine.order_tracker.open_lots("rain") == (0, 5_000_000)
    assert rig.run(rig.engine.cancel_order(order.id)).cancelled
    assert kinds(rig.run(rig.engine.reconcile(RAIN))) == []


def test_strangers_are_cancelled(make_rig):
    rig = make_rig(EngineConfig(reconcile=ReconcileConfig(strangers="cancel")))
    stranger(rig)
    assert CancelStranger in kinds(rig.run(rig.engine.reconcile(RAIN)))
    assert rig.venue._booked[OrderId("theirs")].status is S.CANCELLED


def test_an_unknown_order_that_is_listed_is_found_at_once(rig):
    rig.venue.answers.append(Silence(booked=True))
    order = rig.order()
    with pytest.raises(ExecTimeout):
        rig.run(rig.engine.submit_order(order))
    assert kinds(rig.run(rig.engine.reconcile(RAIN))) == [FindOrder]
    assert order.status is S.WORKING


def test_balances_that_differ_are_said_and_nothing_is_concluded(rig):
    rig.venue.cash["YES"] = 7
    actions = rig.run(rig.engine.reconcile(RAIN))
    assert actions == [NoteBalance("YES", 0, 7)]
    assert rig.engine.get_position("rain").yes_lots == 0


def test_it_goes_on_while_running(rig):
    order = rig.working()
    deaf(rig)
    rig.venue.fill(order.id, 10_000_000)
    rig.runtime.spawn(rig.engine.reconciler.watch(5 * NS_PER_S), "reconcile", daemon=True)
    rig.runtime.drain(rig.runtime.now_ns() + 6 * NS_PER_S)
    assert order.status is S.FILLED


def test_the_plan_reads_as_sentences(make_rig):
    rig = make_rig(EngineConfig(reconcile=ReconcileConfig(strangers="adopt")))
    stranger(rig)
    (adopt,) = (a for a in rig.run(rig.engine.reconcile(RAIN)) if isinstance(a, AdoptOrder))
    assert str(adopt) == "order theirs is open at the venue and unknown here: adopt it"
