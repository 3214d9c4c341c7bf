"""What becomes of our place in the queue: snapshots, gaps, amends, and where an order is placed; FIFO by hand."""

from __future__ import annotations

import numpy as np
import pytest
from naive_book import QUEUES

from execsim.core.errors import InternalError
from execsim.core.order import Cause
from execsim.kernel import Fifo, MarketSpan, QueueModel, Replay, RiskAverse, Stop
from execsim.tape.rows import KIND_BITS
from execsim.tape.schema import Flag, Kind

BID, ASK = 1, -1
FULL = Flag.FIRST | Flag.LAST
MODELS = (*QUEUES, Fifo())
EVERY = pytest.mark.parametrize("model", MODELS, ids=[repr(model) for model in MODELS])


def row(ts: int, kind: Kind, side: int, price: int, size: int, flags: int = 0, birth: int = 0) -> list[int]:
    return [ts, ts, 0, kind | flags << KIND_BITS, side, price, size, ts, birth]


def book(*rows: list[int], model: QueueModel = RiskAverse()) -> Replay:  # noqa: B008  # a frozen value
    """30 bid at 49, 100 at 50 and 80 offered at 55, born 1 to 3, at time 0; then the rows."""
    opening = [
        row(0, Kind.SNAPSHOT, BID, 50, 100, Flag.FIRST, 1), row(0, Kind.SNAPSHOT, BID, 49, 30, 0, 2),
        row(0, Kind.SNAPSHOT, ASK, 55, 80, Flag.LAST, 3),
    ]  # fmt: skip
    kernel = Replay([MarketSpan(1, 1, 1, 100)], queue=model)
    table = np.array([*opening, *rows, row(10**9, Kind.LEVEL, BID, 1, 1)], np.int64)
    kernel.feed(table, table[:0])
    assert kernel.advance(0) is Stop.HORIZON
    return kernel


def snapshot(ts: int, lots: int, flags: int = 0) -> list[list[int]]:
    return [
        row(ts, Kind.SNAPSHOT, BID, 50, lots, Flag.FIRST | flags), row(ts, Kind.SNAPSHOT, ASK, 55, 80, Flag.LAST),
    ]  # fmt: skip


@EVERY
@pytest.mark.parametrize(("lots", "ahead"), [(500, 100), (60, 60)])
def test_a_snapshot_of_a_known_book_caps_our_place(model: QueueModel, lots: int, ahead: int) -> None:
    kernel = book(*snapshot(1, lots), model=model)
    order = kernel.rest(0, BID, 50, 5)
    kernel.advance(1)
    assert kernel.ahead(order) == ahead


@EVERY
def test_a_snapshot_that_resynchronises_puts_us_behind_everything(model: QueueModel) -> None:
    kernel = book(*snapshot(1, 500, Flag.RESYNC), model=model)
    order = kernel.rest(0, BID, 50, 5)
    kernel.advance(1)
    assert kernel.ahead(order) == 500


@EVERY
def test_nothing_moves_us_inside_a_gap(model: QueueModel) -> None:
    rows = [row(1, Kind.GAP, 0, 0, 1), row(2, Kind.TRADE, ASK, 50, 40), row(3, Kind.LEVEL, BID, 50, 20)]
    kernel = book(*rows, row(4, Kind.GAP, 0, 0, 0), row(5, Kind.LEVEL, BID, 50, 20), model=model)
    order = kernel.rest(0, BID, 50, 5)
    assert kernel.advance(4) is Stop.HORIZON
    assert kernel.ahead(order) == 100
    kernel.advance(5)
    assert kernel.ahead(order) == 20


@EVERY
def test_a_place_inside_the_touch_has_nobody_ahead(model: QueueModel) -> None:
    """52 is between the touches: the next print there is ours, and orders that join later stand behind us."""
    kernel = book(row(1, Kind.LEVEL, BID, 52, 70, 0, 4), row(2, Kind.TRADE, ASK, 52, 3), model=model)
    order = kernel.rest(0, BID, 52, 5)
    assert kernel.ahead(order) == 0
    assert kernel.advance(2) is Stop.FILL
    assert [(fill.order, fill.lots, fill.cause) for fill in kernel.own_fills()] == [(order, 3, Cause.QUEUE_DRAINED)]


@EVERY
def test_a_place_behind_the_touch_waits_for_its_own_level(model: QueueModel) -> None:
    """Prints at 50 do not move an order at 49; a print below it fills it past the queue (trade-through)."""
    kernel = book(row(1, Kind.TRADE, ASK, 50, 100), row(2, Kind.TRADE, ASK, 48, 4), model=model)
    order = kernel.rest(0, BID, 49, 5)
    assert kernel.advance(1) is Stop.HORIZON
    assert kernel.ahead(order) == 30
    assert kernel.advance(2) is Stop.FILL
    assert [(fill.lots, fill.cause) for fill in kernel.own_fills()] == [(4, Cause.TRADE_THROUGH)]


@EVERY
def test_a_place_behind_the_whole_book_has_nobody_ahead_until_a_level_appears(model: QueueModel) -> None:
    kernel = book(row(1, Kind.LEVEL, BID, 40, 70, 0, 4), model=model)
    order = kernel.rest(0, BID, 40, 5)
    kernel.advance(1)
    assert kernel.ahead(order) == 0


@EVERY
def test_an_amend_down_keeps_the_place(model: QueueModel) -> None:
    kernel = book(row(1, Kind.TRADE, ASK, 50, 60), model=model)
    order = kernel.rest(0, BID, 50, 9)
    kernel.advance(1)
    kernel.shrink(order, 4)
    assert (kernel.ahead(order), kernel.left(order)) == (40, 4)


@EVERY
def test_an_amend_up_is_a_new_place_behind_what_is_shown(model: QueueModel) -> None:
    """The venue drops the order and rests it again (venue_suite has the whole way)."""
    kernel = book(row(1, Kind.TRADE, ASK, 50, 60), row(1, Kind.LEVEL, BID, 50, 40), model=model)
    order = kernel.rest(0, BID, 50, 9)
    kernel.advance(1)
    kernel.drop(order)
    assert kernel.ahead(kernel.rest(0, BID, 50, 12)) == 40


def fifo(*rows: list[int]) -> tuple[Replay, int]:
    """Behind order 1 (100 lots at 50); whoever is born later than 3 joins behind us."""
    kernel = book(*rows, model=Fifo())
    return kernel, kernel.rest(0, BID, 50, 10)


@pytest.mark.parametrize(("birth", "ahead", "unknown"), [(1, 70, 0), (4, 100, 0), (-1, 100, 0), (0, 100, 1)])
def test_who_leaves_decides(birth: int, ahead: int, unknown: int) -> None:
    kernel, order = fifo(row(1, Kind.LEVEL, BID, 50, 170, 0, 4), row(2, Kind.LEVEL, BID, 50, 140, 0, birth))
    kernel.advance(2)
    assert (kernel.ahead(order), kernel.unknown_births(0)) == (ahead, unknown)


def test_who_is_hit_decides() -> None:
    kernel, order = fifo(row(1, Kind.TRADE, ASK, 50, 60, 0, 1), row(2, Kind.TRADE, ASK, 50, 7, 0, 4))
    assert kernel.advance(1) is Stop.HORIZON
    assert kernel.ahead(order) == 40
    assert kernel.advance(2) is Stop.FILL
    assert (kernel.ahead(order), kernel.left(order)) == (0, 3)


def test_a_print_that_names_nobody_takes_from_the_front() -> None:
    kernel, order = fifo(row(1, Kind.TRADE, ASK, 50, 103))
    assert kernel.advance(1) is Stop.FILL
    assert (kernel.ahead(order), kernel.left(order)) == (0, 7)


def test_after_a_resynchronised_snapshot_all_that_is_shown_was_there_before_us() -> None:
    kernel, order = fifo(
        row(1, Kind.SNAPSHOT, BID, 50, 90, FULL | Flag.RESYNC, 9), row(2, Kind.LEVEL, BID, 50, 80, 0, 8)
    )
    kernel.advance(2)
    assert kernel.ahead(order) == 80


def test_the_row_tells_the_birth() -> None:
    kernel, order = fifo(row(1, Kind.LEVEL, BID, 50, 90, 0, 1))
    kernel.watch_queue(order, 1)
    assert kernel.advance(1) is Stop.QUEUE
    assert (kernel.stop_row().birth, kernel.queue_moves()) == (1, [(order, 100, 90)])


def test_fifo_needs_rows_with_births() -> None:
    kernel = Replay([MarketSpan(1, 1, 1, 100)], queue=Fifo())
    short = np.zeros((1, 8), np.int64)
    with pytest.raises(InternalError, match="births"):
        kernel.feed(short, short)
