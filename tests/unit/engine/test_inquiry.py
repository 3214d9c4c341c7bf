"""Nobody answered: we ask until somebody says how the order is, and never guess."""

from __future__ import annotations

from itertools import pairwise

import pytest

from execsim.core.errors import ExecTimeout, InvalidResponse, NetworkError
from execsim.core.events import OrderAcked, OrderGone
from execsim.core.order import OrderStatus as S
from execsim.core.units import NS_PER_MS, NS_PER_S
from execsim.engine import EngineConfig, RetryConfig, RouteConfig
from execsim.ports import VenueTraits
from execsim.testing.mock_venue import Ack, Refuse, Silence


def silent(rig, **changes):
    """An order nobody answered about."""
    rig.venue.answers.append(Silence(NS_PER_MS, **changes))
    order = rig.order()
    with pytest.raises(ExecTimeout):
        rig.run(rig.engine.submit_order(order))
    assert order.status is S.UNKNOWN
    return order


def wait(rig, s):
    rig.runtime.drain(rig.runtime.now_ns() + int(s * NS_PER_S))


def asked(rig):
    return [call.verb for call in rig.venue.calls if call.verb in ("status", "open", "fills")]


def test_an_order_that_was_booked_is_found(rig):
    order = silent(rig, booked=True)
    wait(rig, 1)
    assert order.status is S.WORKING
    assert order.venue_order_id
    assert rig.events(order.id) == ["send", "silence", "found"]
    assert rig.engine.inquiry.open == 0


def test_fills_made_in_the_silence_are_booked_once(rig):
    order = silent(rig, booked=True)
    rig.venue._sink, sink = (lambda event: None), rig.venue._sink  # its stream is down as well
    fill = rig.venue.fill(order.id, 10_000_000)
    rig.venue._sink = sink
    wait(rig, 1)
    assert order.status is S.FILLED
    rig.engine.record_fill(fill)
    assert rig.engine.get_position("rain").net_lots == 10_000_000


def test_an_order_the_venue_never_had_is_absent_only_after_its_window(rig):
    order = silent(rig)
    window_s = rig.venue.traits.acceptance_ns / NS_PER_S
    wait(rig, window_s - 2)
    assert order.status is S.UNKNOWN
    assert set(asked(rig)) == {"status"}
    wait(rig, 30)
    assert order.status is S.REJECTED
    assert asked(rig)[-3:] == ["status", "open", "fills"]
    assert rig.events(order.id) == ["send", "silence", "absent"]
    assert rig.engine.order_tracker.open_lots("rain") == (0, 0)


def test_absent_needs_every_source_to_answer(rig):
    order = silent(rig)

    async def broken(since_ns):
        raise InvalidResponse("polymarket", "page", "half a page")

    rig.venue.get_fills = broken
    wait(rig, 120)
    assert order.status is S.UNKNOWN
    del rig.venue.get_fills
    wait(rig, 30)
    assert order.status is S.REJECTED


def test_a_late_ack_brings_an_absent_order_back(rig):
    order = silent(rig)
    wait(rig, 60)
    assert order.status is S.REJECTED
    rig.venue.report(OrderAcked(order.id, "venue-7", rig.runtime.now_ns()))
    assert order.status is S.WORKING


def test_an_acknowledged_order_the_venue_forgot_is_gone_not_refused(rig):
    order = rig.working()
    rig.venue.cancel_answers.append(Silence())
    with pytest.raises(ExecTimeout):
        rig.run(rig.engine.cancel_order(order.id))
    rig.venue._booked.clear()
    wait(rig, 60)
    assert order.status is S.CANCELLED
    assert order.reason == "the venue no longer knows it"


def test_a_cancel_nobody_answered_is_asked_for_again_when_the_order_is_found(rig):
    order = rig.working()
    rig.venue.cancel_answers.append(Silence())
    with pytest.raises(ExecTimeout):
        rig.run(rig.engine.cancel_order(order.id))
    assert order.status is S.UNKNOWN
    wait(rig, 5)
    assert order.status is S.CANCELLED
    assert [call.verb for call in rig.venue.calls].count("cancel") == 2


def test_an_amend_nobody_answered_takes_the_terms_the_venue_has(make_rig):
    rig = make_rig()
    order = rig.working()
    rig.venue.modify_answers.append(Silence())
    with pytest.raises(ExecTimeout):
        rig.run(rig.engine.modify_order(order.id, size_lots=20_000_000))
    assert rig.engine.order_tracker.open_lots("rain") == (20_000_000, 0)
    wait(rig, 5)
    assert order.status is S.WORKING
    assert order.size_lots == 10_000_000
    assert rig.engine.order_tracker.open_lots("rain") == (10_000_000, 0)


def test_it_asks_ever_more_rarely_and_gives_up_never(rig):
    order = silent(rig)

    async def down(order_id):
        rig.venue._called("status", order_id)
        raise NetworkError("polymarket", "no route", "no")

    rig.venue.get_order_status = down
    wait(rig, 600)
    assert order.status is S.UNKNOWN
    times = [call.ts_ns for call in rig.venue.calls if call.verb == "status"]
    assert 60 < len(times) < 140
    gaps = [b - a for a, b in pairwise(times)]
    assert max(gaps) <= 10 * NS_PER_S + NS_PER_MS
    assert min(gaps[10:]) >= 5 * NS_PER_S - NS_PER_MS


def test_news_that_comes_first_ends_the_asking(rig):
    order = silent(rig, booked=True)
    rig.venue.report(OrderGone(order.id, "cancelled", False, rig.runtime.now_ns()))
    wait(rig, 5)
    assert order.status is S.CANCELLED
    assert asked(rig) == []
    assert rig.engine.inquiry.open == 0


def test_an_adapter_that_never_answers_is_given_up_on(make_rig):
    rig = make_rig(EngineConfig(calls=RouteConfig(deadline_ns=2 * NS_PER_S, retry=RetryConfig(attempts_max=1))))
    rig.venue.answers.append(Silence(3_600 * NS_PER_S, booked=True))
    order = rig.order()
    start_ns = rig.runtime.now_ns()
    with pytest.raises(ExecTimeout, match="place_order: no answer within 2 s"):
        rig.run(rig.engine.submit_order(order))
    assert rig.runtime.now_ns() == start_ns + 2 * NS_PER_S
    assert order.status is S.UNKNOWN
    wait(rig, 5)
    assert order.status is S.WORKING


@pytest.mark.parametrize("answer", [Refuse(InvalidResponse("polymarket", "json", "?")), Silence()])
def test_no_unknown_answer_becomes_a_refusal_or_a_fill(rig, answer):
    rig.venue.answers.append(answer)
    order = rig.order()
    with pytest.raises((InvalidResponse, ExecTimeout)):
        rig.run(rig.engine.submit_order(order))
    assert order.status is S.UNKNOWN
    assert rig.engine.order_tracker.open_lots("rain") == (10_000_000, 0)


def test_batches_are_split_at_the_venues_limit(make_rig):
    rig = make_rig(latency_ns=0)
    rig.venue.traits = VenueTraits(batch_max=3)
    rig.engine._dispatch.routes["polymarket"].traits = rig.venue.traits
    sizes = []
    inner = rig.venue.place_batch

    async def counted(orders):
        sizes.append(len(orders))
        return await inner(orders)

    rig.venue.place_batch = counted
    rig.venue.answers.extend([Ack(), Refuse(NetworkError("polymarket", "reset", "no"))])
    orders = [rig.order() for _ in range(7)]
    results = rig.run(rig.engine.submit_batch(orders))
    assert sizes == [3, 3]  # the seventh goes alone
    assert [result.ok for result in results] == [True] * 7  # what never left was sent again, by itself
    assert all(order.status is S.WORKING for order in orders)


def test_an_order_the_venue_calls_gone_is_asked_for_when_its_end_was_lost(rig):
    order = rig.working()
    sink, rig.venue._sink = rig.venue._sink, lambda event: None
    fill = rig.venue.fill(order.id, 10_000_000)
    rig.venue._sink = sink
    ack = rig.run(rig.engine.cancel_order(order.id))
    assert not ack.cancelled
    assert order.status is S.WORKING
    wait(rig, 1)
    assert order.status is S.FILLED
    assert not rig.engine.record_fill(fill)
    assert rig.engine.inquiry.open == 0


def test_an_order_that_is_gone_and_forgotten_is_pursued(rig):
    order = rig.working()
    rig.venue._booked.clear()
    assert not rig.run(rig.engine.cancel_order(order.id)).cancelled
    wait(rig, 60)
    assert order.status is S.CANCELLED
