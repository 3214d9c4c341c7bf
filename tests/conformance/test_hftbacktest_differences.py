"""Where hftbacktest 2.4.4 and we differ: one minimal tape for each difference, and what both make of it.

docs/referees.md has a paragraph for each, under the same name, that says who is right and why. Times in ms, sizes in shares,
prices in cents; an order sent at 10 ms arrives at 15.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from referee import (
    BBO,
    FOK,
    GTC,
    GTX,
    IOC,
    LOTS_A_SHARE,
    MARKET,
    MS,
    SNAPSHOT,
    START_NS,
    Played,
    Rows,
    Sent,
    Units,
    import_npz,
    order,
    replay,
)
from rival_hftbacktest import END_OF_DATA, INVALID_ORDER_STATUS, Rival, seen

from execsim.core.order import OrderStatus

Told = list[tuple[float, float, int]]
"""fills as (ms, shares, price)"""


@dataclass
class Both:
    """How each ended: fills of each order, instant by instant."""

    ours: list[Told]
    theirs: list[Told]
    played: Played
    rival: Rival


@pytest.fixture
def rows() -> Rows:
    """A book of two levels a side: 0.48 and 0.49, 0.51 and 0.52, 100 shares each."""
    return Rows().book(0, {49: 100, 48: 100}, {51: 100, 52: 100})


def both(path: Path, rows: Rows, script: Sequence[Sent], units: Units | None = None) -> Both:
    """Play the script on the rows and a last one that lets every message arrive."""
    units = units or Units()
    np.savez(path / "tape.npz", data=rows.level(1_000, 1, 1, 1).events())
    played = replay(import_npz(path / "tape.npz", units), script, units)
    rival = Rival(np.load(path / "tape.npz")["data"], script, units)

    def told(fills: list[list]) -> list[Told]:  # type: ignore[type-arg]
        return [
            [((f.ts_ns - START_NS) / MS, round(f.lots / LOTS_A_SHARE, 6), f.price_i) for f in of_order]
            for of_order in fills
        ]

    return Both(told([seen(fills) for fills in played.fills]), told(rival.fills), played, rival)


def test_they_agree_where_nothing_differs(rows: Rows, tmp_path: Path) -> None:
    """The yardstick of this file: a queue that drains, a walk over two levels, a FOK that finds too little, a cancel."""
    rows.trade(100, -1, 49, 60).level(100, 1, 49, 40).trade(110, -1, 49, 45).level(120, 1, 49, 0).trade(130, -1, 49, 30)
    script = [
        order(10, 1, GTX, 49, 20.5), order(20, 1, IOC, 52, 150), order(30, 1, FOK, 52, 201), order(40, -1, GTX, 51, 5, 60),
    ]  # fmt: skip
    end = both(tmp_path, rows, script)
    assert end.rival.code == END_OF_DATA
    assert end.ours == end.theirs == [[(110, 5, 49), (130, 15.5, 49)], [(25, 150, 52)], [], []]


def test_one_print_fills_all_our_orders(rows: Rows, tmp_path: Path) -> None:
    rows.trade(100, -1, 50, 12)
    end = both(tmp_path, rows, [order(10, 1, GTX, 50, 10), order(11, 1, GTX, 50, 10)])
    assert end.ours == [[(100, 10, 50)], [(100, 2, 50)]]
    assert end.theirs == [[(100, 10, 50)], [(100, 10, 50)]]


def test_a_print_through_our_price_fills_more_than_was_printed(rows: Rows, tmp_path: Path) -> None:
    rows.trade(100, -1, 49, 12)
    end = both(tmp_path, rows, [order(10, 1, GTX, 50, 30)])
    assert end.ours == [[(100, 12, 50)]]
    assert end.theirs == [[(100, 30, 50)]]


def test_a_level_that_reaches_our_price_fills_more_than_it_shows(rows: Rows, tmp_path: Path) -> None:
    rows.level(100, -1, 50, 12).level(110, -1, 50, 20)
    end = both(tmp_path, rows, [order(10, 1, GTX, 50, 30)])
    assert end.ours == [[(100, 12, 50), (110, 18, 50)]]
    assert end.theirs == [[(100, 30, 50)]]


def test_the_rest_of_a_marketable_order(rows: Rows, tmp_path: Path) -> None:
    end = both(tmp_path, rows, [order(10, 1, GTC, 51, 150)])
    assert end.ours == [[(15, 100, 51)]]
    assert end.played.orders[0].status is OrderStatus.WORKING
    assert end.theirs == [[(15, 150, 51)]]


def test_a_fill_equal_to_what_is_left(rows: Rows, tmp_path: Path) -> None:
    rows.trade(100, -1, 50, 10).trade(200, -1, 50, 10).level(300, -1, 51, 90)
    end = both(tmp_path, rows, [order(10, 1, GTX, 50, 10), order(210, 1, IOC, 51, 5)])
    assert end.ours == [[(100, 10, 50)], [(215, 5, 51)]]
    assert end.played.orders[0].status is OrderStatus.FILLED
    assert end.theirs == [[(100, 10, 50)], []]
    assert end.rival.code == INVALID_ORDER_STATUS  # the second print ended the run


def test_partial_fills_and_the_local_position(rows: Rows, tmp_path: Path) -> None:
    script = [order(10, 1, GTX, 50, 30)]
    part = both(tmp_path, rows.trade(100, -1, 50, 12), script)
    assert part.ours == part.theirs == [[(100, 12, 50)]]
    assert part.played.world.engine.get_position("tape").yes_lots == 12 * LOTS_A_SHARE
    assert part.rival.position == 0.0
    rows.rows.pop()
    whole = both(tmp_path, rows.trade(110, -1, 50, 30), script)
    assert whole.ours == whole.theirs == [[(100, 12, 50), (110, 18, 50)]]
    assert whole.played.world.engine.get_position("tape").yes_lots == 30 * LOTS_A_SHARE
    assert whole.rival.position == pytest.approx(18)  # the last fill alone


def test_a_print_without_an_aggressor(rows: Rows, tmp_path: Path) -> None:
    rows.trade(100, 0, 49, 12)
    end = both(tmp_path, rows, [order(10, 1, GTX, 50, 10)])
    assert end.ours == [[(100, 10, 50)]]
    assert end.theirs == [[]]


def test_level_before_print_at_one_instant(rows: Rows, tmp_path: Path) -> None:
    rows.level(100, 1, 49, 0).trade(100, -1, 49, 100)
    end = both(tmp_path, rows, [order(10, 1, GTX, 49, 10.5)])
    assert end.ours == [[]]
    assert end.theirs == [[(100, 10.5, 49)]]


def test_a_new_full_book_and_our_place(rows: Rows, tmp_path: Path) -> None:
    rows.trade(100, -1, 49, 60).level(100, 1, 49, 40).book(200, {49: 100, 48: 100}, {51: 100}).trade(300, -1, 49, 50)
    end = both(tmp_path, rows, [order(10, 1, GTX, 49, 20.5)])
    assert end.ours == [[]]
    assert end.theirs == [[(300, 10, 49)]]


def test_a_new_full_book_without_our_level(rows: Rows, tmp_path: Path) -> None:
    rows.book(200, {48: 100}, {51: 100}).trade(300, -1, 49, 12)
    end = both(tmp_path, rows, [order(10, 1, GTX, 49, 10.5)])
    assert end.ours == [[(300, 10.5, 49)]]
    assert end.theirs == [[]]


def test_a_full_book_without_a_clear(rows: Rows, tmp_path: Path) -> None:
    rows.add(100, SNAPSHOT, 1, 49, 80).add(100, SNAPSHOT, -1, 52, 80)
    end = both(tmp_path, rows, [order(110, 1, IOC, 51, 5)])
    assert end.ours == [[]]
    assert end.theirs == [[(115, 5, 51)]]


def test_a_crossed_recording(rows: Rows, tmp_path: Path) -> None:
    rows.level(100, 1, 52, 30)
    end = both(tmp_path, rows, [order(110, 1, IOC, 52, 150)])
    assert end.ours == [[(115, 150, 52)]]
    assert end.theirs == [[]]


def test_best_price_rows(rows: Rows, tmp_path: Path) -> None:
    rows.add(100, BBO, -1, 50, 20)
    end = both(tmp_path, rows, [order(10, 1, GTX, 50, 10.5)])
    assert end.ours == [[(100, 10.5, 50)]]
    assert end.theirs == [[]]


def test_a_market_order_beyond_a_hundred_ticks(tmp_path: Path) -> None:
    rows = Rows().book(0, {49: 100}, {51: 100, 200: 100})
    end = both(tmp_path, rows, [order(10, 1, MARKET, 51, 150)], Units(price_end_i=None))
    assert end.ours == [[(15, 150, 200)]]
    assert end.theirs == [[(15, 100, 51)]]


def test_every_difference_has_a_paragraph() -> None:
    """Both ways: a name in docs/referees.md is a test here or a tape of benchmarks/peers, and no tape goes unexplained."""
    root = Path(__file__).parents[2]
    text = (root / "docs/referees.md").read_text()
    first, second = text.split("\n## ")[1:3]
    named = [
        {re.sub(r"\W+", "_", name.lower()) for name in re.findall(r"\n\*\*(.+?)\.\*\*", part)}
        for part in (first, second)
    ]
    here = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    assert named[0] == here - {"they_agree_where_nothing_differs", "every_difference_has_a_paragraph"}
    peers = (root / "benchmarks/peers/nautilus_taker.py").read_text()
    assert named[1] == set(re.findall(r"def (\w+)\(\) -> Difference:", peers))
