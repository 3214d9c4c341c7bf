"""Where the kernel's books met the exchange at their edges: deep books, prices far away, what is taken, what is ahead."""

from __future__ import annotations

import random

import numpy as np
import pytest
from naive_book import NaiveBook

from execsim.kernel import LOCAL, VENUE, WATCH_BOOK, WATCH_TOP, MarketSpan, OwnFill, Replay, Stop
from execsim.kernel.replay import SPILL_ROWS
from execsim.tape.rows import KIND_BITS
from execsim.tape.schema import Flag, Kind

Rows = list[list[int]]


def row(ts: int, kind: Kind, side: int, price: int, size: int, flags: int = 0, seq: int = 0) -> list[int]:
    return [ts, ts + 1, 0, int(kind) | int(flags) << KIND_BITS, side, price, size, seq]


def snapshot(ts: int, levels: list[tuple[int, int, int]], resync: bool = False) -> Rows:
    last = len(levels) - 1
    first = Flag.FIRST | (Flag.RESYNC if resync else 0)
    return [
        row(ts, Kind.SNAPSHOT, s, p, q, (first if i == 0 else 0) | (Flag.LAST if i == last else 0))
        for i, (s, p, q) in enumerate(levels)
    ]


def fed(rows: Rows, span: MarketSpan | None = None, local: bool = False) -> Replay:
    kernel = Replay([span or MarketSpan(1, 1, 1, 10_000)])
    array = np.array(rows, np.int64)
    kernel.feed(array, array if local else array[:0])
    return kernel


def fills(kernel: Replay, until: int) -> list[OwnFill]:
    found = []
    while kernel.advance(until) is Stop.FILL:
        found += kernel.own_fills()
    return found


def test_a_snapshot_that_crosses_more_levels_than_there_are_order_records() -> None:
    """One fill of an order a row, however many levels it met: the fill records are as many as the order records."""
    asks = [(-1, 1_000 + i, 2) for i in range(700)]
    kernel = fed(snapshot(1, [(1, 100, 5), (-1, 9_000, 5)]) + snapshot(10, asks))
    kernel.advance(5)
    best, next_best = kernel.rest(0, 1, 5_000, 900), kernel.rest(0, 1, 4_999, 10_000)
    found = fills(kernel, 20)
    assert [(f.order, f.lots, f.left) for f in found] == [(best, 900, 0), (next_best, 500, 9_500)]


def test_a_deep_book_that_jumps_out_of_its_window() -> None:
    """The levels the window leaves behind fill the spill table several times over."""
    base, depth = 10_000_000, 3 * SPILL_ROWS
    levels = [(1, base - i, i + 1) for i in range(depth)] + [(-1, base + 200_000, 1)]
    rows = snapshot(1, levels)
    jumps = [base + 50_000, base + 100_000]
    rows += [row(10 + i, Kind.LEVEL, 1, price, 5) for i, price in enumerate(jumps)]
    rows += [row(20 + i, Kind.LEVEL, 1, price, 0) for i, price in enumerate(reversed(jumps))]
    kernel = fed(rows, MarketSpan(1, 1, 1))
    kernel.advance(15)
    assert kernel.best(VENUE, 0) == (jumps[1], 5, base + 200_000, 1)
    assert kernel.level(VENUE, 0, 1, base - depth + 1) == depth
    kernel.advance(30)
    assert kernel.levels(VENUE, 0, 1, 3) == [(base, 1), (base - 1, 2), (base - 2, 3)]


@pytest.mark.parametrize("seed", range(8))
def test_deep_books_and_best_prices_anywhere_equal_the_naive_model(seed: int) -> None:
    """Levels, best-price rows and snapshots over a range of many windows; books are compared as a whole."""
    rng = random.Random(seed)
    rows, ts, middle = snapshot(1, [(1, 500_000, 1), (-1, 500_001, 1)]), 1, 500_000
    while len(rows) < 9_000:
        ts += 1
        middle = max(100_000, middle + rng.choice((0, 0, 0, 1, -1, 9_000, -9_000, 40_000, -40_000)))
        what, side = rng.random(), rng.choice((1, -1))
        price = middle - side * rng.randrange(1, 20_000)
        if what < 0.02:
            prices = {middle - s * rng.randrange(1, 20_000): s for s in (1, -1) for _ in range(100)}
            rows += snapshot(ts, [(s, p, rng.randrange(1, 9)) for p, s in prices.items()], rng.random() < 0.5)
        else:
            kind = Kind.BBO if what < 0.1 and seed % 2 else Kind.LEVEL
            rows.append(row(ts, kind, side, price, rng.choice((0, 3, 7))))
    kernel, naive = fed(rows, MarketSpan(1, 1, 1)), NaiveBook()
    done = 0
    for until in range(500, ts + 500, 500):
        kernel.advance(until)
        while done < len(rows) and rows[done][0] <= until:
            naive.row(rows[done], True)
            done += 1
        for side in (1, -1):
            prices = sorted(naive.sides[side], reverse=side > 0)
            assert kernel.levels(VENUE, 0, side, 10**6) == [(p, naive.sides[side][p]) for p in prices]
        assert kernel.best(VENUE, 0)[::2] == (naive.best(1), naive.best(-1))


def test_the_queue_ahead_is_never_less_than_nothing() -> None:
    """We took a level, a snapshot no longer shows it, we join it: a print of one lot fills one lot."""
    rows = snapshot(1, [(1, 40, 5), (-1, 50, 10)]) + snapshot(10, [(1, 40, 5), (-1, 60, 5)])
    kernel = fed([*rows, row(20, Kind.TRADE, 1, 50, 1)])
    kernel.advance(5)
    kernel.consume(0, -1, 50, 10)
    kernel.advance(15)
    order = kernel.rest(0, -1, 50, 100)
    assert kernel.ahead(order) == 0
    assert [f.lots for f in fills(kernel, 30)] == [1]


@pytest.mark.parametrize(
    ("sizes", "free"),
    [([12], 2), ([20], 10), ([8, 12], 4), ([0, 12], 12), ([10], 0), ([4], 0)],
    ids=["grows", "doubles", "falls and grows", "goes and comes", "stays", "falls"],
)
def test_no_displayed_lot_is_taken_twice(sizes: list[int], free: int) -> None:
    """All 10 of a level are taken; later sizes give only what is new."""
    rows = snapshot(1, [(1, 40, 5), (-1, 50, 10)])
    rows += [row(10 + i, Kind.LEVEL, -1, 50, size) for i, size in enumerate(sizes)]
    kernel = fed(rows)
    kernel.advance(5)
    kernel.consume(0, -1, 50, 10)
    kernel.advance(30)
    assert dict(kernel.available(0, -1)) == ({50: free} if free else {})


def test_a_resting_order_meets_only_what_is_new() -> None:
    """An ask of 10 meets our bid; it grows to 15 in the recording: 5 more, not 10."""
    rows = snapshot(1, [(1, 40, 5), (-1, 60, 5)])
    rows += [row(10, Kind.LEVEL, -1, 50, 10), row(20, Kind.LEVEL, -1, 50, 15)]
    kernel = fed(rows)
    kernel.advance(5)
    kernel.rest(0, 1, 50, 100)
    assert [f.lots for f in fills(kernel, 30)] == [10, 5]


def test_a_level_gone_in_a_snapshot_is_fresh_when_it_returns() -> None:
    rows = snapshot(1, [(1, 40, 5), (-1, 50, 10)]) + snapshot(10, [(1, 40, 5), (-1, 60, 5)])
    kernel = fed([*rows, row(20, Kind.LEVEL, -1, 50, 8)])
    kernel.advance(5)
    kernel.consume(0, -1, 50, 10)
    kernel.advance(30)
    assert dict(kernel.available(0, -1)) == {50: 8, 60: 5}


def test_nothing_fills_before_the_book_is_known() -> None:
    """An order on a market whose first book is still to come: nobody knows what stands in front of it."""
    rows = [row(5, Kind.TRADE, -1, 50, 100), row(6, Kind.LEVEL, -1, 45, 100)]
    kernel = fed([*rows, *snapshot(10, [(1, 50, 30), (-1, 60, 5)]), row(20, Kind.TRADE, -1, 50, 34)])
    order = kernel.rest(0, 1, 50, 10)
    assert fills(kernel, 8) == []
    kernel.advance(15)
    assert kernel.ahead(order) == 30
    assert [f.lots for f in fills(kernel, 30)] == [4]


@pytest.mark.parametrize("other", [Kind.TICK, Kind.STATUS, Kind.GAP])
@pytest.mark.parametrize(("bits", "reason"), [(WATCH_TOP, Stop.TOP), (WATCH_BOOK, Stop.BOOK)])
def test_a_new_best_price_is_heard_at_once(other: Kind, bits: int, reason: Stop) -> None:
    """A tick change, halt or gap in the same message does not swallow the change of the book before it."""
    rows = snapshot(1, [(1, 40, 5), (-1, 50, 10)])
    kernel = fed(
        [*rows, row(10, Kind.LEVEL, 1, 45, 3), row(10, other, 0, 1, 1), row(500, Kind.TRADE, 1, 50, 1)], local=True
    )
    kernel.watch(0, bits)
    heard = []
    while (why := kernel.advance(400)) is not Stop.HORIZON:
        heard.append((kernel.now_ns, why, kernel.stop_view))
    assert (11, reason, LOCAL) in heard
