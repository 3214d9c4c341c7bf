"""A market that is blind: its rows are applied, nothing of ours is matched."""

from __future__ import annotations

import numpy as np

from execsim.kernel import VENUE, MarketSpan, Replay, Stop
from execsim.tape.rows import KIND_BITS
from execsim.tape.schema import Flag, Kind

BOOK = [(0, Kind.SNAPSHOT, 1, 48, 10, Flag.FIRST), (0, Kind.SNAPSHOT, -1, 52, 10, Flag.LAST)]
Line = tuple[int, Kind, int, int, int, int]


def kernel_at(*rows: Line) -> Replay:
    kernel = Replay([MarketSpan(1, 1, 1, 100)])
    lines = [
        [ts, ts, 0, kind | flags << KIND_BITS, side, price, size, at]
        for at, (ts, kind, side, price, size, flags) in enumerate([*BOOK, *rows, (10**9, Kind.LEVEL, -1, 99, 1, 0)])
    ]
    table = np.array(lines, np.int64)
    kernel.feed(table, table[:0])
    assert kernel.advance(0) is Stop.HORIZON
    return kernel


def test_nothing_fills_while_blind_and_the_book_goes_on() -> None:
    """A print through our price, one at it, a level and a whole book that cross us."""
    kernel = kernel_at(
        (1, Kind.TRADE, -1, 40, 50, 0),
        (2, Kind.TRADE, -1, 45, 50, 0),
        (3, Kind.LEVEL, -1, 44, 7, 0),
        (4, Kind.SNAPSHOT, 1, 30, 5, Flag.FIRST),
        (4, Kind.SNAPSHOT, -1, 41, 5, Flag.LAST),
    )
    order = kernel.rest(0, 1, 45, 10)
    kernel.set_blind(0, True)
    assert kernel.advance(9) is Stop.HORIZON
    assert kernel.left(order) == 10
    assert kernel.best(VENUE, 0) == (30, 5, 41, 5)
    assert kernel.is_blind(0)


def test_afterwards_everything_shown_is_ahead_and_trades_fill_again() -> None:
    rows = [(2, Kind.LEVEL, 1, 48, 30, 0), (5, Kind.TRADE, -1, 48, 29, 0), (6, Kind.TRADE, -1, 48, 4, 0)]
    kernel = kernel_at(*rows)
    order = kernel.rest(0, 1, 48, 10)
    kernel.set_blind(0, True)
    kernel.advance(3)
    assert kernel.ahead(order) == 10
    kernel.set_blind(0, False)
    assert kernel.ahead(order) == 30
    assert kernel.advance(5) is Stop.HORIZON
    assert kernel.ahead(order) == 1
    assert kernel.advance(9) is Stop.FILL
    assert [(fill.lots, fill.price_i) for fill in kernel.own_fills()] == [(3, 48)]


def test_seeing_again_what_was_never_hidden_changes_nothing() -> None:
    kernel = kernel_at((2, Kind.TRADE, -1, 48, 4, 0))
    order = kernel.rest(0, 1, 48, 10)
    kernel.advance(3)
    kernel.set_blind(0, False)
    assert kernel.ahead(order) == 6


def test_a_blind_market_is_blind_alone() -> None:
    kernel = Replay([MarketSpan(1, 1, 1, 100)] * 2)
    kernel.set_blind(1, True)
    assert (kernel.is_blind(0), kernel.is_blind(1)) == (False, True)
