"""What events about single orders say about levels, prints and births."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hftbacktest.types import (
    ADD_ORDER_EVENT,
    BUY_EVENT,
    CANCEL_ORDER_EVENT,
    DEPTH_CLEAR_EVENT,
    EXCH_EVENT,
    FILL_EVENT,
    LOCAL_EVENT,
    MODIFY_ORDER_EVENT,
    SELL_EVENT,
    TRADE_EVENT,
    event_dtype,
)

from execsim.core.errors import DataError
from execsim.tape.hftbacktest import IMPORTER
from execsim.tape.orders import Orders
from execsim.tape.schema import Flag, Kind

LEVEL, TRADE, SNAPSHOT = Kind.LEVEL, Kind.TRADE, Kind.SNAPSHOT
BOTH = EXCH_EVENT | LOCAL_EVENT
BID, ASK = BUY_EVENT, SELL_EVENT


def two_bids(fills: bool = True) -> Orders:
    """Order 1 with 5 lots at 10, order 2 with 3 lots behind it: births 1 and 2."""
    orders = Orders(fills)
    assert orders.add(1, 1, 10, 5) == [(LEVEL, 1, 10, 5, 1, 0)]
    assert orders.add(2, 1, 10, 3) == [(LEVEL, 1, 10, 8, 2, 0)]
    return orders


def test_a_smaller_order_keeps_its_birth() -> None:
    assert two_bids().modify(1, 10, 2) == [(LEVEL, 1, 10, 5, 1, 0)]
    assert two_bids().modify(1, 10, 5) == []


def test_a_larger_order_is_born_again_at_the_back() -> None:
    assert two_bids().modify(1, 10, 6) == [(LEVEL, 1, 10, 3, 1, 0), (LEVEL, 1, 10, 9, 3, 0)]


def test_a_new_price_is_a_new_birth() -> None:
    orders = two_bids()
    assert orders.modify(1, 9, 5) == [(LEVEL, 1, 10, 3, 1, 0), (LEVEL, 1, 9, 5, 3, 0)]
    assert orders.cancel(2) == [(LEVEL, 1, 10, 0, 2, 0)]


def test_a_fill_is_a_print_and_a_decrease_that_it_has_told() -> None:
    orders = two_bids()
    assert orders.trade(-1, 10, 7) == []
    assert orders.fill(1, 1, 10, 5) == [(TRADE, -1, 10, 5, 1, 0), (LEVEL, 1, 10, 3, -1, 0)]
    assert orders.cancel(1) == []
    assert orders.fill(2, 1, 10, 2) == [(TRADE, -1, 10, 2, 2, 0), (LEVEL, 1, 10, 1, -2, 0)]
    assert orders.modify(2, 10, 1) == []
    assert (orders.unknown, orders.twice) == (0, 0)


def test_a_print_without_names_tells_the_decreases_that_follow() -> None:
    orders = two_bids(fills=False)
    assert orders.trade(-1, 10, 6) == [(TRADE, -1, 10, 6, 0, 0)]
    assert orders.cancel(1) == [(LEVEL, 1, 10, 3, -1, 0)]
    assert orders.cancel(2) == [(LEVEL, 1, 10, 2, -2, 0), (LEVEL, 1, 10, 0, 2, 0)]


def test_orders_nobody_saw_come() -> None:
    orders = two_bids()
    assert orders.cancel(9) == orders.modify(9, 10, 1) == []
    assert orders.fill(9, -1, 11, 4) == [(TRADE, 1, 11, 4, 0, 0)]
    assert orders.unknown == 3


def test_an_order_that_comes_twice_counts_as_the_later() -> None:
    orders = two_bids()
    assert orders.add(1, 1, 9, 4) == [(LEVEL, 1, 10, 3, 1, 0), (LEVEL, 1, 9, 4, 3, 0)]
    assert orders.twice == 1


def npz(folder: Path, events: Iterable[tuple[float, ...]]) -> Path:
    """(code, exchange time, order, price, size), heard 5 later."""
    data = [(BOTH | code, at, at + 5, px, qty, name, 0, 0) for code, at, name, px, qty in events]
    np.savez(folder / "orders.npz", data=np.array(data, event_dtype))
    return folder / "orders.npz"


CLEAR = [
    (DEPTH_CLEAR_EVENT, 10, 0, float("nan"), 0.0),
    (ADD_ORDER_EVENT | BID, 10, 1, 10.0, 0.5),
    (ADD_ORDER_EVENT | BID, 10, 2, 10.0, 0.3),
    (ADD_ORDER_EVENT | ASK, 10, 3, 10.5, 0.2),
]


def test_a_recording_of_single_orders(sink: Any, tmp_path: Path) -> None:
    events = [
        *CLEAR,
        (TRADE_EVENT | ASK, 20, 0, 10.0, 0.6),
        (FILL_EVENT | BID, 20, 1, 10.0, 0.5),
        (FILL_EVENT | BID, 20, 2, 10.0, 0.1),
        (CANCEL_ORDER_EVENT | BID, 20, 1, 0.0, 0.0),
        (MODIFY_ORDER_EVENT | BID, 20, 2, 10.0, 0.2),
        (CANCEL_ORDER_EVENT | ASK, 30, 3, 0.0, 0.0),
        *[(code, 40, *rest) for code, _, *rest in CLEAR[:2]],
    ]
    IMPORTER.run([npz(tmp_path, events)], {"market": "X"}, sink)
    rows = [(r.ts_venue_ns, r.kind, r.side, r.price_i, r.size_i, r.aggressor, r.order_id, r.flags) for r in sink.data]
    assert rows == [
        (10, SNAPSHOT, 1, 100, 8, 0, 3, Flag.FIRST),
        (10, SNAPSHOT, -1, 105, 2, 0, 3, Flag.LAST),
        (20, TRADE, 0, 100, 5, -1, 1, 0),
        (20, LEVEL, 1, 100, 3, 0, -1, 0),
        (20, TRADE, 0, 100, 1, -1, 2, 0),
        (20, LEVEL, 1, 100, 2, 0, -2, Flag.LAST),
        (30, LEVEL, -1, 105, 0, 0, 3, Flag.LAST),
        (40, SNAPSHOT, 1, 100, 5, 0, 4, Flag.FIRST | Flag.LAST | Flag.RESYNC),
    ]
    assert not sink.defects
    assert any("FIFO queues are exact" in note for note in sink.notes)


def test_orders_before_the_first_clear(sink: Any, tmp_path: Path) -> None:
    path = npz(tmp_path, [(ADD_ORDER_EVENT | BID, 5, 7, 10.0, 0.5)])
    with pytest.raises(DataError, match="without a snapshot"):
        IMPORTER.run([path], {}, sink)
    IMPORTER.run([path], {"start": "empty"}, sink)
    assert [(r.kind, r.size_i, r.order_id) for r in sink.data] == [(LEVEL, 5, 1)]


def test_defects_are_counted(sink: Any, tmp_path: Path) -> None:
    unknown, twice = (CANCEL_ORDER_EVENT | BID, 20, 9, 0.0, 0.0), (ADD_ORDER_EVENT | BID, 30, 1, 10.0, 0.5)
    IMPORTER.run([npz(tmp_path, [*CLEAR, unknown, twice])], {}, sink)
    assert sink.defects == {"order_unknown": 1, "order_added_twice": 1}


def test_an_order_without_a_side(sink: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="row 4: an order without a side"):
        IMPORTER.run([npz(tmp_path, [*CLEAR, (ADD_ORDER_EVENT, 20, 9, 10.0, 0.5)])], {}, sink)
