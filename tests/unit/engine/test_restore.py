"""An engine is killed; another takes up its journal and asks the venue."""

from __future__ import annotations

import pytest

from execsim.core.errors import ConfigError, ExecTimeout
from execsim.core.order import FillStatus, OrderId
from execsim.core.order import OrderStatus as S
from execsim.core.units import NS_PER_S
from execsim.engine import EngineConfig, ExecutionEngine
from execsim.engine.fold import fold
from execsim.engine.notes import read_notes
from execsim.engine.reconcile import BookFill, FindOrder
from execsim.ports import JournalRow
from execsim.testing.mock_venue import Silence
from execsim.testing.refold import differences


def folded(rig, rows=None):
    kept = rig.journal.rows if rows is None else rig.journal.rows[:rows]
    instruments, opening = read_notes(rig.journal.notes, "memory")
    instruments |= {"rain": rig.market, "BTCUSDT": rig.spot}
    lines = [
        JournalRow(n, ts_ns, kind, order_id, dict(body)) for n, (kind, ts_ns, order_id, body) in enumerate(kept, 1)
    ]
    return fold(lines, instruments, opening)


def again(rig, rows=None):
    """The same world with a new engine, which has read the first `rows` of the journal."""
    state = folded(rig, rows)
    rig.engine = ExecutionEngine(EngineConfig(), rig.runtime, rig.journal)
    rig.engine.register_adapter(rig.venue)
    rig.engine.register_adapter(rig.other)
    rig.engine.attach_books(rig.books)
    rig.engine.restore(state)
    rig.updates.clear()
    rig.engine.subscribe(rig.updates.append)
    return rig.engine


def wait(rig, s):
    rig.runtime.drain(rig.runtime.now_ns() + int(s * NS_PER_S))


def test_what_rests_goes_on_and_agrees(rig):
    order = rig.working()
    rig.venue.fill(order.id, 4_000_000)
    rig.venue.cash["YES"] = 4_000_000
    engine = again(rig)
    assert rig.run(engine.recover()) == []
    found = engine.get_order(order.id)
    assert (found.status, found.filled_lots) == (S.WORKING, 4_000_000)
    assert engine.get_position("rain").net_lots == 4_000_000
    assert engine.order_tracker.open_lots("rain") == (6_000_000, 0)
    rig.venue.fill(order.id, 6_000_000)
    assert found.status is S.FILLED
    assert engine.new_order_id() != order.id
    assert differences(engine, folded(rig)) == []


def test_a_fill_while_nobody_listened_is_booked_once(rig):
    order = rig.working()
    rows = len(rig.journal.rows)
    fill = rig.venue.fill(order.id, 4_000_000)  # heard, and the row never reached the disk
    engine = again(rig, rows)
    assert [type(action) for action in rig.run(engine.recover())] == [BookFill]
    assert not engine.record_fill(fill)
    assert engine.get_position("rain").net_lots == 4_000_000


def test_killed_between_the_intent_and_the_send(rig):
    order = rig.working()
    rows = rig.journal.kinds.index("intent") + 1
    rig.venue._booked.clear()  # it was never sent
    engine = again(rig, rows)
    assert engine.get_order(order.id).status is S.UNKNOWN
    rig.run(engine.recover())
    wait(rig, 60)
    assert engine.get_order(order.id).status is S.REJECTED


def test_killed_between_the_ack_and_its_row(rig):
    order = rig.working()
    engine = again(rig, rig.journal.kinds.index("intent") + 1)
    assert [type(action) for action in rig.run(engine.recover())] == [FindOrder]
    assert engine.get_order(order.id).status is S.WORKING
    assert engine.get_order(order.id).venue_order_id


def test_a_cancel_that_was_under_way_is_asked_for_again(rig):
    order = rig.working()
    rig.venue.cancel_answers.append(Silence(10 * NS_PER_S))
    rig.engine.start_cancel(order)
    rig.run(rig.runtime.sleep(1))
    engine = again(rig)
    rig.run(engine.recover())
    wait(rig, 5)
    assert engine.get_order(order.id).status is S.CANCELLED


def test_an_unknown_order_is_still_asked_about(rig):
    rig.venue.answers.append(Silence(booked=True))
    order = rig.order()
    with pytest.raises(ExecTimeout):
        rig.run(rig.engine.submit_order(order))
    engine = again(rig)
    rig.run(engine.recover())
    wait(rig, 5)
    assert engine.get_order(order.id).status is S.WORKING


def test_provisional_fills_still_settle(rig):
    order = rig.working()
    fill = rig.venue.fill(order.id, 10_000_000, status=FillStatus.PROVISIONAL)
    engine = again(rig)
    assert engine.get_position("rain").provisional_lots == 10_000_000
    rig.venue.void(fill)
    assert engine.get_position("rain").net_lots == 0
    assert engine.get_order(order.id).status is S.CANCELLED


def test_halts_outlive_the_engine(rig):
    rig.engine.kill("enough")
    engine = again(rig)
    assert engine.kill_reason == "enough"
    with pytest.raises(Exception, match="enough"):
        rig.run(engine.submit_order(rig.order(id=engine.new_order_id())))
    engine.resume("checked by hand")
    rig.run(engine.submit_order(rig.order(id=engine.new_order_id())))


def test_ids_go_on_where_they_ended(make_rig):
    rig = make_rig()
    first = rig.working()
    rig.runtime._rngs.clear()  # the next engine has the same seed
    engine = again(rig)
    prefix, _, number = first.id.rpartition("-")
    assert engine.new_order_id() == OrderId(f"{prefix}-{int(number) + 1}")


def test_only_a_fresh_engine_takes_a_journal_up(rig):
    rig.working()
    state = folded(rig)
    with pytest.raises(ConfigError, match="restore after the first order"):
        rig.engine.restore(state)
