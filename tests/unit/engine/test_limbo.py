"""What a fresh pair of eyes found: ways in which an order could have been left behind."""

from __future__ import annotations

import pytest

from execsim.core.errors import ExecTimeout, JournalError, NetworkError, RateLimitExceeded, VenueError
from execsim.core.order import OrderStatus as S
from execsim.core.units import NS_PER_MS, NS_PER_S
from execsim.engine import EngineConfig, RateLimiterConfig, ReconcileConfig
from execsim.engine.halt import Halts
from execsim.engine.reconcile import BookFill
from execsim.engine.risk import RiskAction
from execsim.testing.mock_venue import Ack, Refuse, Silence

GONE = NetworkError("polymarket", "connection refused", "no")


def wait(rig, s):
    rig.runtime.drain(rig.runtime.now_ns() + int(s * NS_PER_S))


def test_a_kill_asks_until_nothing_is_left(rig):
    order = rig.working()
    rig.venue.cancel_answers.extend([Refuse(GONE)] * 5 + [Refuse(VenueError("polymarket", "425", "restarting"))])
    rig.engine.kill("enough")
    wait(rig, 60)
    assert order.status is S.CANCELLED


def test_an_order_whose_ack_comes_after_the_answer_to_its_cancel_is_cancelled_all_the_same(rig):
    rig.venue.answers.append(Ack())
    order = rig.order()
    inner, slow = rig.venue.place_order, 50 * NS_PER_MS

    async def late(asked):
        await rig.runtime.sleep(slow)
        return await inner(asked)

    rig.venue.place_order = late

    async def main():
        rig.engine.begin(order)
        rig.engine.deliver(order)
        await rig.runtime.sleep(1)
        rig.engine.start_cancel(order)

    rig.run(main())
    wait(rig, 5)
    assert order.status is S.CANCELLED
    assert rig.venue._booked[order.id].status is S.CANCELLED


def test_a_dead_disk_does_not_keep_orders_at_the_venue(rig):
    orders = [rig.working() for _ in range(3)]

    def refuse(*_):
        raise JournalError("journal.sqlite", "no space left on device")

    rig.journal.write = refuse
    rig.engine.kill("the disk is full")
    wait(rig, 5)
    assert all(order.status is S.CANCELLED for order in orders)
    with pytest.raises(JournalError):
        rig.run(rig.engine.submit_order(rig.order()))


@pytest.mark.parametrize("answers", [[Silence(10 * NS_PER_S, booked=True)], [Silence(10 * NS_PER_S)]])
def test_an_order_whose_sender_was_cancelled_is_asked_about(rig, answers):
    rig.venue.answers.extend(answers)
    order = rig.order()

    async def main():
        task = rig.runtime.spawn(rig.engine.submit_order(order), "sender")
        await rig.runtime.sleep(5 * NS_PER_MS)
        task.cancel()
        await rig.runtime.sleep(1)

    rig.run(main())
    assert order.status is S.UNKNOWN
    wait(rig, 60)
    assert order.status is (S.WORKING if answers[0].booked else S.REJECTED)


def test_a_cancel_whose_sender_was_cancelled_is_asked_about(rig):
    order = rig.working()
    rig.venue.cancel_answers.append(Silence(10 * NS_PER_S))

    async def main():
        task = rig.runtime.spawn(rig.engine.cancel_order(order.id), "sender")
        await rig.runtime.sleep(5 * NS_PER_MS)
        task.cancel()
        await rig.runtime.sleep(1)

    rig.run(main())
    wait(rig, 60)
    assert order.status is S.CANCELLED


def test_an_amend_whose_sender_was_cancelled_counts_at_its_larger_size_until_it_is_known(rig):
    order = rig.working()
    rig.venue.modify_answers.append(Silence(10 * NS_PER_S))

    async def main():
        task = rig.runtime.spawn(rig.engine.modify_order(order.id, size_lots=20_000_000), "sender")
        await rig.runtime.sleep(5 * NS_PER_MS)
        task.cancel()
        await rig.runtime.sleep(1)

    rig.run(main())
    assert rig.engine.order_tracker.open_lots("rain") == (20_000_000, 0)
    rig.venue._booked[order.id].size_lots = 20_000_000  # it was carried out
    wait(rig, 1)
    rig.venue.fill(order.id, 15_000_000)
    assert rig.engine.get_position("rain").net_lots == 15_000_000


def test_a_batch_whose_sender_was_cancelled_is_asked_about(rig):
    orders = [rig.order() for _ in range(2)]
    rig.venue.answers.extend([Silence(10 * NS_PER_S, booked=True)] * 2)

    async def main():
        task = rig.runtime.spawn(rig.engine.submit_batch(orders), "sender")
        await rig.runtime.sleep(5 * NS_PER_MS)
        task.cancel()
        await rig.runtime.sleep(1)

    rig.run(main())
    assert {order.status for order in orders} == {S.UNKNOWN}
    wait(rig, 60)
    assert all(order.is_terminal or order.status is S.WORKING for order in orders)


def test_a_late_fill_of_an_order_that_left_memory_is_booked_by_reconciliation(make_rig):
    rig = make_rig(EngineConfig(orders_kept_max=1))
    first = rig.working()
    rig.run(rig.engine.cancel_order(first.id))
    for _ in range(3):
        rig.run(rig.engine.cancel_order(rig.working().id))
    rig.venue._sink, sink = (lambda event: None), rig.venue._sink
    rig.venue.fill(first.id, 4_000_000)
    rig.venue._sink = sink
    assert BookFill in [type(action) for action in rig.run(rig.engine.reconcile("polymarket"))]
    assert rig.engine.get_position("rain").net_lots == 4_000_000
    assert BookFill not in [type(action) for action in rig.run(rig.engine.reconcile("polymarket"))]


def test_a_repeat_that_meets_our_own_full_limiter_ends_the_order(make_rig, monkeypatch):
    rig = make_rig(EngineConfig(rate_limits={"polymarket": RateLimiterConfig(1, 1)}))
    rig.venue.answers.append(Refuse(GONE))
    order = rig.order()
    limiter = rig.engine._dispatch.routes["polymarket"].orders
    first = limiter.enter

    def full(*args, **named):
        if order.status is S.SUBMITTING:
            raise RateLimitExceeded("ours", "10000 requests already wait", 1)
        return first(*args, **named)

    limiter.enter = full
    with pytest.raises(NetworkError):
        rig.run(rig.engine.submit_order(order))
    assert order.status is S.REJECTED


def test_an_amend_nobody_heard_of_is_settled_by_reconciliation(make_rig):
    rig = make_rig(EngineConfig(reconcile=ReconcileConfig()))
    order = rig.working()
    rig.engine.order_tracker.propose_size(rig.engine.order_tracker.entry(order.id), 50_000_000)
    assert rig.engine.order_tracker.open_lots("rain") == (50_000_000, 0)
    rig.run(rig.engine.reconcile("polymarket"))
    assert rig.engine.order_tracker.open_lots("rain") == (10_000_000, 0)


def test_the_end_of_a_session_hides_no_halt():
    rows = []
    halts = Halts(lambda kind, body: rows.append((kind, body)), lambda: 1)
    halts.impose(RiskAction.HALT, "MaxDrawdown", None, "lost 7")
    halts.impose(RiskAction.REDUCE_ONLY, "StaleData", "rain", "old")
    halts.kill("time is up")
    assert halts.kill_reason == "time is up"
    again = Halts(lambda kind, body: rows.append((kind, body)), lambda: 2)
    for kind, body in list(rows):
        again.apply(kind, 1, body)
    again.end_kill("the session was taken up again")
    assert again.kill_reason is None
    assert [(halt.policy, halt.market) for halt in again.all()] == [("MaxDrawdown", None), ("StaleData", "rain")]


def test_silence_to_a_cancel_is_still_an_error_for_who_asked(rig):
    order = rig.working()
    rig.venue.cancel_answers.append(Silence())
    with pytest.raises(ExecTimeout):
        rig.run(rig.engine.cancel_order(order.id))
