"""Waiting for an order to move in its queue: when the kernel stops, and what it says then."""

from __future__ import annotations

import numpy as np
import pytest

from execsim.core.errors import InternalError
from execsim.kernel import VENUE, MarketSpan, Replay, Stop
from execsim.tape.rows import KIND_BITS
from execsim.tape.schema import Flag, Kind

BID, PRICE = 1, 50
FULL = Flag.FIRST | Flag.LAST


def row(ts: int, kind: Kind, side: int, price: int, size: int, flags: int = 0) -> list[int]:
    return [ts, ts, 0, kind | flags << KIND_BITS, side, price, size, ts]


def prints(*sizes: int) -> list[list[int]]:
    """A book of 100 bid at 50, then prints into it at times 1, 2, ..."""
    rows = [row(at + 1, Kind.TRADE, -1, PRICE, size) for at, size in enumerate(sizes)]
    return [row(0, Kind.SNAPSHOT, BID, PRICE, 100, FULL), *rows]


def kernel_on(rows: list[list[int]]) -> Replay:
    kernel = Replay([MarketSpan(1, 1, 1, 100)])
    table = np.array([*rows, row(10**9, Kind.LEVEL, BID, 1, 1)], np.int64)
    kernel.feed(table, table[:0])
    assert kernel.advance(0) is Stop.HORIZON
    return kernel


def stops(kernel: Replay) -> list[tuple[int, Stop, list[tuple[int, int, int]]]]:
    found = []
    while (why := kernel.advance(10**6)) is not Stop.HORIZON:
        found.append((kernel.stop_row().seq, why, [tuple(move) for move in kernel.queue_moves()]))
    return found


def test_every_move_of_one_lot_or_more_is_told_with_its_row() -> None:
    kernel = kernel_on(prints(1, 30, 9))
    order = kernel.rest(0, BID, PRICE, 5)
    kernel.watch_queue(order, 1)
    assert stops(kernel) == [
        (1, Stop.QUEUE, [(order, 100, 99)]),
        (2, Stop.QUEUE, [(order, 99, 69)]),
        (3, Stop.QUEUE, [(order, 69, 60)]),
    ]
    assert kernel.stop_view == VENUE


def test_moves_add_up_to_the_threshold() -> None:
    kernel = kernel_on(prints(10, 10, 10, 10, 10))
    order = kernel.rest(0, BID, PRICE, 5)
    kernel.watch_queue(order, 25)
    assert stops(kernel) == [(3, Stop.QUEUE, [(order, 100, 70)])]


def test_nobody_stops_for_an_order_that_is_not_watched() -> None:
    kernel = kernel_on(prints(10, 10))
    kernel.rest(0, BID, PRICE, 5)
    assert stops(kernel) == []
    assert kernel.queue_moves() == []


def test_watching_ends_with_the_order_or_by_0() -> None:
    for end in (lambda k, o: k.watch_queue(o, 0), lambda k, o: k.drop(o)):
        kernel = kernel_on(prints(10, 10))
        kernel.rest(0, BID, PRICE, 5)
        order = kernel.rest(0, BID, PRICE, 5)
        kernel.watch_queue(order, 1)
        end(kernel, order)
        assert stops(kernel) == []


def test_a_new_order_in_the_place_of_a_watched_one_is_not_watched() -> None:
    kernel = kernel_on(prints(10))
    order = kernel.rest(0, BID, PRICE, 5)
    kernel.watch_queue(order, 1)
    kernel.drop(order)
    assert kernel.rest(0, BID, PRICE, 5) == order
    assert stops(kernel) == []


def test_a_row_that_fills_tells_the_moves_too() -> None:
    """103 printed: 100 ahead of the first order, 3 of its 5 lots; the second order behind it is at the front as well."""
    kernel = kernel_on(prints(103))
    first, second = kernel.rest(0, BID, PRICE, 5), kernel.rest(0, BID, PRICE, 5)
    kernel.watch_queue(first, 1)
    kernel.watch_queue(second, 1)
    assert kernel.advance(10**6) is Stop.FILL
    assert [(fill.order, fill.lots, fill.left) for fill in kernel.own_fills()] == [(first, 3, 2)]
    assert kernel.queue_moves() == [(first, 100, 0), (second, 100, 0)]
    assert kernel.advance(10**6) is Stop.HORIZON
    assert kernel.queue_moves() == []


def test_a_place_lost_in_a_gap_is_told() -> None:
    rows = [*prints(90), row(2, Kind.GAP, 0, 0, 1), row(3, Kind.SNAPSHOT, BID, PRICE, 40, FULL | Flag.RESYNC)]
    kernel = kernel_on([*rows, row(4, Kind.GAP, 0, 0, 0)])
    order = kernel.rest(0, BID, PRICE, 5)
    kernel.watch_queue(order, 50)
    assert stops(kernel) == [(1, Stop.QUEUE, [(order, 100, 10)]), (3, Stop.QUEUE, [(order, 10, 40)])]


def test_orders_of_both_sides_and_several_prices() -> None:
    rows = [row(0, Kind.SNAPSHOT, BID, 50, 10, Flag.FIRST), row(0, Kind.SNAPSHOT, BID, 49, 10)]
    rows += [row(0, Kind.SNAPSHOT, -BID, 60, 10, Flag.LAST), row(1, Kind.SNAPSHOT, BID, 50, 4, Flag.FIRST)]
    kernel = kernel_on([*rows, row(1, Kind.SNAPSHOT, BID, 49, 5), row(1, Kind.SNAPSHOT, -BID, 60, 6, Flag.LAST)])
    orders = [kernel.rest(0, side, price, 1) for side, price in ((-BID, 60), (BID, 49), (BID, 50))]
    for order in orders:
        kernel.watch_queue(order, 1)
    assert kernel.advance(10**6) is Stop.QUEUE
    assert kernel.queue_moves() == [(orders[2], 10, 4), (orders[1], 10, 5), (orders[0], 10, 6)]


def test_a_negative_threshold_is_a_mistake() -> None:
    kernel = kernel_on(prints())
    with pytest.raises(InternalError):
        kernel.watch_queue(kernel.rest(0, BID, PRICE, 1), -1)
