"""What we took from a level, and how it comes back: each refill model on a book of one level."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from execsim.core.errors import ConfigError
from execsim.kernel import REFILL_DECAY, REFILL_NEVER, REFILL_OFF, REFILL_REFRESH, VENUE, MarketSpan, Replay, Stop
from execsim.tape.rows import KIND_BITS
from execsim.tape.schema import Flag, Kind

ASK, PRICE = -1, 50


def kernel_at(refill: int, *rows: tuple[int, Kind, int, int], **more: Any) -> Replay:
    """A market that shows 100 lots offered at time 0, then (time, kind, price, size) on the ask side; 60 taken at once."""
    kernel = Replay([MarketSpan(1, 1, 1, 100)], refill=refill, **more)
    shown = Flag.FIRST | Flag.LAST
    lines = [[0, 0, 0, Kind.SNAPSHOT | shown << KIND_BITS, ASK, PRICE, 100, 0]]
    for at, (ts, kind, price, size) in enumerate(rows):
        flags = shown if kind is Kind.SNAPSHOT else 0
        lines.append([ts, ts, 0, kind | flags << KIND_BITS, ASK, price, size, at + 1])
    table = np.array([*lines, [10**12, 10**12, 0, Kind.LEVEL, ASK, 99, 1, 99]], np.int64)
    kernel.feed(table, table[:0])
    assert kernel.advance(0) is Stop.HORIZON
    kernel.consume(0, ASK, PRICE, 60)
    return kernel


def offered(kernel: Replay, now_ns: int) -> int:
    assert kernel.advance(now_ns) is Stop.HORIZON
    return dict(kernel.available(0, ASK)).get(PRICE, 0)


@pytest.mark.parametrize(
    ("refill", "at_once", "untouched", "smaller", "larger", "snapshot"),
    [
        (REFILL_NEVER, 40, 40, 20, 140, 40),
        (REFILL_REFRESH, 40, 40, 80, 200, 100),
        (REFILL_OFF, 100, 100, 80, 200, 100),
    ],
)  # fmt: skip
def test_what_is_offered_after_we_took_60_of_100(
    refill: int, at_once: int, untouched: int, smaller: int, larger: int, snapshot: int
) -> None:
    assert offered(kernel_at(refill), 1) == at_once
    assert offered(kernel_at(refill, (5, Kind.LEVEL, PRICE + 1, 7)), 9) == untouched
    assert offered(kernel_at(refill, (5, Kind.LEVEL, PRICE, 80)), 9) == smaller
    assert offered(kernel_at(refill, (5, Kind.LEVEL, PRICE, 200)), 9) == larger
    assert offered(kernel_at(refill, (5, Kind.SNAPSHOT, PRICE, 100)), 9) == snapshot


def test_decay_halves_what_we_took_every_half_life() -> None:
    kernel = kernel_at(REFILL_DECAY, half_life_ns=10)
    left = [100 - offered(kernel, now) for now in (9, 10, 19, 20, 30, 40, 50, 60, 10**9)]
    assert left == [60, 30, 30, 15, 7, 3, 1, 0, 0]


def test_decay_is_the_same_however_seldom_one_looks() -> None:
    assert 100 - offered(kernel_at(REFILL_DECAY, half_life_ns=10), 30) == 7


def test_decay_comes_before_the_bound_of_a_smaller_level() -> None:
    """60 became 30 before the level fell to 40: 30 of the 40 are taken, not 40 halved."""
    assert offered(kernel_at(REFILL_DECAY, (10, Kind.LEVEL, PRICE, 40), half_life_ns=10), 11) == 10


def test_half_lives_are_counted_from_the_first_lots_taken() -> None:
    kernel = kernel_at(REFILL_DECAY, half_life_ns=10)
    assert offered(kernel, 9) == 40
    kernel.consume(0, ASK, PRICE, 40)
    assert offered(kernel, 10) == 50


def test_an_order_joins_behind_what_has_come_back() -> None:
    kernel = kernel_at(REFILL_DECAY, half_life_ns=10)
    kernel.advance(10)
    assert kernel.ahead(kernel.rest(0, ASK, PRICE, 1)) == 70


def test_without_a_ledger_each_row_that_shows_a_lot_gives_it_again() -> None:
    """Two rows of 10 crossing a resting buy order of 100: 20 are filled, and an arriving order finds all of the second."""
    filled = {}
    for refill in (REFILL_NEVER, REFILL_OFF):
        kernel = kernel_at(refill, (5, Kind.LEVEL, 40, 10), (6, Kind.LEVEL, 40, 10))
        order = kernel.rest(0, 1, 40, 100)
        while kernel.advance(9) is Stop.FILL:
            pass
        filled[refill] = 100 - kernel.left(order), dict(kernel.available(0, ASK)).get(40, 0)
    assert filled == {REFILL_NEVER: (10, 0), REFILL_OFF: (20, 10)}


def test_a_half_life_must_be_positive() -> None:
    with pytest.raises(ConfigError, match="half-life of 0 ns"):
        Replay([MarketSpan(1, 1, 1, 100)], refill=REFILL_DECAY)


def test_the_books_themselves_show_what_the_tape_shows() -> None:
    assert kernel_at(REFILL_NEVER).best(VENUE, 0) == (None, 0, PRICE, 100)
