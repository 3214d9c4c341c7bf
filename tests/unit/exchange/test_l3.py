"""The L3 book by hand: priority, what keeps a place and what loses it, what it tells its listener."""

from __future__ import annotations

import pytest

from execsim.core.errors import InternalError
from execsim.exchange.l3 import L3Book


class Tape:
    """Every event in order."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, int, int, int]] = []

    def on_level(self, side: int, price_i: int, lots: int) -> None:
        self.rows.append(("level", side, price_i, lots))

    def on_trade(self, aggressor: int, price_i: int, lots: int) -> None:
        self.rows.append(("trade", aggressor, price_i, lots))


def two_bids() -> L3Book:
    book = L3Book()
    book.add("first", "ann", 1, 48, 10)
    book.add("second", "bob", 1, 48, 5)
    return book


def met(book: L3Book, lots: int) -> list[tuple[object, int, int]]:
    return [(match.maker.id, match.price_i, match.lots) for match in book.take(-1, None, lots)]


def test_price_goes_before_time() -> None:
    book = two_bids()
    book.add("third", "cat", 1, 49, 1)
    assert met(book, 12) == [("third", 49, 1), ("first", 48, 10), ("second", 48, 1)]
    assert book.levels(1) == [(48, 4)]


def test_a_smaller_order_keeps_its_place() -> None:
    book = two_bids()
    book.reduce("first", 3)
    assert book.ahead("second") == (3, 1)
    assert met(book, 4) == [("first", 48, 3), ("second", 48, 1)]


@pytest.mark.parametrize(("price", "lots"), [(48, None), (48, 12)])
def test_a_moved_order_goes_to_the_back(price: int, lots: int | None) -> None:
    book = two_bids()
    assert book.reprice("first", price, lots) == []
    assert book.ahead("first") == (5, 1)
    assert book.ahead("second") == (0, 0)


def test_a_moved_order_may_match() -> None:
    book = two_bids()
    book.add("ask", "cat", -1, 50, 12)
    (one, two) = book.reprice("ask", 48)
    assert (one.maker.id, one.lots, two.maker.id, two.lots) == ("first", 10, "second", 2)
    assert book.orders.keys() == {"second"}


def test_a_limit_bounds_what_is_taken() -> None:
    book = two_bids()
    book.add("third", "cat", 1, 47, 7)
    assert book.fillable(-1, 48, 100) == 15
    assert book.fillable(-1, 47, 100) == 22
    assert book.fillable(-1, None, 20) == 20
    assert [order.id for order in book.walk(-1, 48)] == ["first", "second"]
    assert sum(match.lots for match in book.take(-1, 48, 100)) == 15


def test_crossing_is_meeting_somebody() -> None:
    book = two_bids()
    assert book.crosses(-1, 48)
    assert not book.crosses(-1, 49)
    assert not book.crosses(1, 99)


def test_the_listener_hears_a_trade_before_its_level() -> None:
    tape = Tape()
    book = L3Book(tape)
    book.add(1, "ann", -1, 52, 4)
    book.add(2, "bob", -1, 52, 4)
    book.add(3, "cat", -1, 53, 4)
    book.add(4, "dan", 1, 53, 15)
    book.reduce(4, 2)
    book.cancel(4)
    assert tape.rows == [
        ("level", -1, 52, 4),
        ("level", -1, 52, 8),
        ("level", -1, 53, 4),
        ("trade", 1, 52, 8),
        ("level", -1, 52, 0),
        ("trade", 1, 53, 4),
        ("level", -1, 53, 0),
        ("level", 1, 53, 3),
        ("level", 1, 53, 2),
        ("level", 1, 53, 0),
    ]


def test_misuse_is_a_bug() -> None:
    book = two_bids()
    with pytest.raises(InternalError, match="does not rest on this book"):
        book.cancel("third")
    with pytest.raises(InternalError, match="the id is in use"):
        book.rest("first", "ann", 1, 40, 1)
    with pytest.raises(InternalError, match="nothing is left"):
        book.rest("third", "ann", 1, 40, 0)
    for lots in (0, 11):
        with pytest.raises(InternalError, match=f"from 10 to {lots} lots"):
            book.reduce("first", lots)
