"""Of finished orders only the last few stay in memory. The older ones are answered from the journal, and nothing is booked
twice or lost because they left."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from execsim.core.errors import OrderNotFound, ValidationError
from execsim.core.events import FillSettled, FillVoided, OrderAcked, OrderFilled, OrderGone
from execsim.core.order import FillStatus, OrderStatus
from execsim.engine import EngineConfig
from execsim.engine.fold import fold
from execsim.engine.notes import read_notes
from execsim.journal import HashJournal, SqliteJournal, opened, read
from execsim.testing.refold import differences, refold

S = OrderStatus
KEPT = 3


@pytest.fixture
def small(make_rig: Any, tmp_path: Path) -> Any:
    """An engine that keeps three finished orders, on a real journal."""
    rig = make_rig(EngineConfig(orders_kept_max=KEPT), journal=SqliteJournal(tmp_path / "j"), latency_ns=0)
    yield rig
    rig.journal.close()


def pushed_out(rig: Any, size: Any = 10, fill_lots: int = 0) -> tuple[Any, Any]:
    """An order that was filled for some lots, cancelled, and has left memory; the fill."""
    order = rig.working(size=size)
    fill = rig.venue.fill(order.id, fill_lots) if fill_lots else None
    rig.run(rig.engine.cancel_order(order.id))
    for _ in range(KEPT):
        rig.run(rig.engine.cancel_order(rig.working().id))
    assert rig.engine.order_tracker.find(order.id) is None
    return order, fill


def test_old_orders_are_answered_from_the_journal(small: Any) -> None:
    order, fill = pushed_out(small, fill_lots=4_000_000)
    assert small.engine.order_tracker.count() == KEPT
    assert small.engine.order_tracker.tracked == KEPT + 1
    assert small.engine.get_order(order.id) == order
    assert small.engine.get_order(order.id) is not order
    assert small.engine.order_tracker.get_fills(order.id) == [fill]
    assert small.run(small.engine.get_status(order.id)) is S.CANCELLED
    ack = small.run(small.engine.cancel_order(order.id))
    assert (ack.cancelled, ack.reason) == (False, "already cancelled")
    small.engine.start_cancel(order)
    assert [call.verb for call in small.venue.calls].count("cancel") == KEPT + 1
    with pytest.raises(OrderNotFound, match="never submitted here"):
        small.engine.get_order("nobody")


def test_without_a_journal_an_old_order_is_not_found_and_says_why(make_rig: Any) -> None:
    rig = make_rig(EngineConfig(orders_kept_max=KEPT), journal=HashJournal(), latency_ns=0)
    order, _ = pushed_out(rig)
    with pytest.raises(OrderNotFound, match=r"has left memory \(the last 3 stay\), and no journal can be asked"):
        rig.engine.get_order(order.id)
    rig.engine.start_cancel(order)


def test_an_id_stays_taken(small: Any) -> None:
    order, _ = pushed_out(small)
    with pytest.raises(ValidationError, match="already in use"):
        small.engine.begin(small.order(id=order.id))
    assert order.id in small.engine.order_tracker


@pytest.mark.parametrize("journal", ["batched", "off"])
def test_a_late_fill_is_booked_once(make_rig: Any, tmp_path: Path, journal: str) -> None:
    """In every mode, with the same rows."""
    kept = HashJournal() if journal == "off" else SqliteJournal(tmp_path / "j")
    rig = make_rig(EngineConfig(orders_kept_max=KEPT), journal=kept, latency_ns=0)
    order, known = pushed_out(rig, fill_lots=4_000_000)
    late = replace(known, id="late", lots=1_000_000, cash=-500_000)
    before = rig.engine.get_position("rain").net_lots
    for _ in range(2):
        rig.engine.inbox.hear("polymarket", OrderFilled(late, False, 0))
        rig.engine.inbox.hear("polymarket", OrderFilled(known, False, 0))
        assert not rig.engine.record_fill(late)
    assert rig.engine.get_position("rain").net_lots == before + 1_000_000
    assert rig.engine.inbox.orphans == 0
    reference = make_rig(EngineConfig(orders_kept_max=KEPT), latency_ns=0)
    _, its = pushed_out(reference, fill_lots=4_000_000)
    reference.engine.inbox.hear(
        "polymarket", OrderFilled(replace(its, id="late", lots=1_000_000, cash=-500_000), False, 0)
    )
    assert reference.journal.rows[-1][0] == "fill"
    assert reference.journal.rows[-1][3]["late"] is True
    assert len(reference.journal.rows) == rig.journal.rows
    if journal == "batched":
        assert [fill.id for fill in rig.engine.order_tracker.get_fills(order.id)] == [known.id, "late"]
        assert rig.engine.get_order(order.id).filled_lots == 5_000_000
        rig.journal.flush()
        assert refold(rig.engine, read(tmp_path / "j")) == []
    kept.close()


def test_a_late_fill_may_fail_and_may_exceed_the_order(small: Any, tmp_path: Path) -> None:
    order, known = pushed_out(small, fill_lots=4_000_000)
    hear = small.engine.inbox.hear
    position = small.engine.get_position("rain")
    late = replace(known, id="late", lots=9_000_000, status=FillStatus.PROVISIONAL)
    other = replace(late, id="other", lots=1_000_000)
    for fill in (late, other):
        hear("polymarket", OrderFilled(fill, True, 0))
    assert (position.net_lots, position.confirmed_lots) == (14_000_000, 4_000_000)
    hear("polymarket", FillSettled("late", order.id, FillStatus.MINED, 0))
    hear("polymarket", FillSettled("other", order.id, FillStatus.CONFIRMED, 0))
    hear("polymarket", FillVoided("late", order.id, 0))
    assert (position.net_lots, position.confirmed_lots) == (5_000_000, 5_000_000)
    assert small.engine.inbox.orphans == 0
    hear("polymarket", FillVoided(known.id, order.id, 0))  # final, and gone from memory: we can only say so
    assert small.engine.inbox.orphans == 1
    small.journal.flush()
    rows = list(read(tmp_path / "j"))
    assert [row.kind for row in rows[-6:]] == ["fill", "fill", "mined", "confirm", "void", "orphan"]
    assert refold(small.engine, rows) == []
    instruments, opening = {"rain": small.market, "BTCUSDT": small.spot}, small.engine.opening
    assert differences(small.engine, fold(rows, instruments, opening, orders_kept_max=KEPT)) == []


def test_news_of_the_way_of_an_old_order_is_no_news(small: Any) -> None:
    order, _ = pushed_out(small)
    rows = small.journal.rows
    for event in (OrderAcked(order.id, "x", 0), OrderGone(order.id, "again", False, 0)):
        small.engine.inbox.hear("polymarket", event)
    assert (small.journal.rows, small.engine.inbox.orphans) == (rows, 0)
    small.engine.inbox.hear("binance", OrderGone(order.id, "not theirs", False, 0))
    assert small.engine.inbox.orphans == 1


def test_an_order_stays_while_a_fill_may_still_fail(small: Any) -> None:
    order = small.working()
    fill = small.venue.fill(order.id, 10_000_000, status=FillStatus.PROVISIONAL)
    for _ in range(KEPT + 5):
        small.run(small.engine.cancel_order(small.working().id))
    assert small.engine.order_tracker.find(order.id) is not None
    assert small.engine.order_tracker.count() == KEPT + 1
    small.venue.void(fill)
    assert order.status is S.CANCELLED
    assert small.engine.order_tracker.find(order.id) is None
    assert small.engine.order_tracker.count() == KEPT


def test_news_that_came_before_its_fill_keeps_an_order_too(small: Any) -> None:
    order = small.working()
    small.engine.inbox.hear("polymarket", FillVoided("early", order.id, 0))
    small.run(small.engine.cancel_order(order.id))
    for _ in range(KEPT):
        small.run(small.engine.cancel_order(small.working().id))
    assert small.engine.order_tracker.find(order.id) is not None
    fill = replace(small.venue.fill(small.working().id, 1_000_000), id="early", order_id=order.id)
    small.engine.inbox.hear("polymarket", OrderFilled(fill, False, 0))
    assert [f.status for f in small.engine.order_tracker.get_fills(order.id)] == [FillStatus.VOIDED]
    assert small.engine.order_tracker.find(order.id) is None
    small.journal.flush()
    assert refold(small.engine, read(small.journal.path)) == []


def test_the_file_alone_tells_as_much(small: Any) -> None:
    """Markets and money at the start stand in the notes: nothing of the program that wrote it is needed."""
    small.engine.deposit(small.market.quote, 1_000_000_000)
    small.engine.open_sets("rain", 5_000_000)
    pushed_out(small, fill_lots=4_000_000)
    small.journal.flush()
    with opened(small.journal.path) as (notes, rows):
        instruments, opening = read_notes(notes, "j")
        assert differences(small.engine, fold(rows, instruments, opening)) == []
