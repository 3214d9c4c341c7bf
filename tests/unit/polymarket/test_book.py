"""The venue's hash, and reading its numbers."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execsim.core.errors import ValidationError
from execsim_polymarket.book import Given, HashTerms, Scale, TokenBook, book_hash, last_text


@pytest.fixture
def scale() -> Scale:
    return Scale(Decimal("0.0001"), Decimal("0.000001"))


def cases(golden: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(golden.read_text())["cases"]
    return found


def test_golden_hashes(golden: Path, scale: Scale) -> None:
    for case in cases(golden):
        assert book_hash(case["book"], scale) == case["hash"]


def test_levels_may_come_in_any_order_and_spelling(golden: Path, scale: Scale) -> None:
    case = cases(golden)[0]
    book = case["book"]
    shuffled = book | {
        "bids": [{"price": ".50", "size": "25.5"}, {"price": "0.480", "size": "100"}],
        "asks": book["asks"][::-1],
    }
    assert book_hash(shuffled, scale) == case["hash"]


def test_terms_that_a_message_lacks_are_found_and_kept(golden: Path, scale: Scale) -> None:
    case = cases(golden)[1]
    book = case["book"]  # neg_risk, tick 0.001, last 0.998: nothing a fresh HashTerms knows
    token = TokenBook(book["asset_id"])
    token.replace(scale.side(book["bids"]), scale.side(book["asks"]), book["timestamp"])
    head = token.head(book["market"], book["timestamp"], scale.heads)
    terms = HashTerms()
    assert terms.verify(head, case["hash"], Given(), searches=0) is None
    assert terms.verify(head, case["hash"], Given()) is True
    assert (terms.tick, terms.last, terms.neg_risk, terms.proven) == ("0.001", "0.998", True, True)
    assert terms.verify(head, case["hash"], Given(), searches=0) is True
    assert terms.verify(head.replace("10000.01", "10000.02"), case["hash"], Given()) is False


def test_a_wrong_hash_is_undecided_until_terms_are_proven(golden: Path, scale: Scale) -> None:
    case = cases(golden)[0]
    book = case["book"]
    token = TokenBook(book["asset_id"])
    token.replace(scale.side(book["bids"]), scale.side(book["asks"]), book["timestamp"])
    head = token.head(book["market"], book["timestamp"], scale.heads)
    assert HashTerms().verify(head, "0" * 40, Given()) is None
    assert HashTerms().verify(head, "0xhash001", Given()) is None
    assert HashTerms().verify(head, "0" * 40, Given("0.01", "0.510", "5", False)) is False


@given(st.integers(1, 9_999), st.integers(0, 10**15))
def test_numbers_are_read_exactly(price_i: int, lots: int) -> None:
    scale = Scale(Decimal("0.0001"), Decimal("0.000001"))
    price, size = Decimal(price_i) / 10_000, Decimal(lots) / 1_000_000
    assert scale.prices[format(price, "f")] == price_i
    assert scale.lots(format(size, "f")) == lots
    assert scale.side([{"price": format(price, "f"), "size": float(7)}]) == {price_i: "7"}


@pytest.mark.parametrize("text", ["0", "1", "1.2", "-0.5", "0.00005", "x", ""])
def test_prices_off_the_grid_are_refused(scale: Scale, text: str) -> None:
    with pytest.raises(ValidationError, match="price"):
        scale.side([{"price": text, "size": "1"}])


@pytest.mark.parametrize("text", ["-1", "0.0000001", "1e", "nan", ""])
def test_sizes_off_the_grid_are_refused(scale: Scale, text: str) -> None:
    with pytest.raises(ValidationError, match="size"):
        scale.side([{"price": "0.5", "size": text}])


@pytest.mark.parametrize(
    ("price", "text"), [("0.82", "0.820"), (".5", "0.500"), ("0.9995", "0.9995"), ("0.001", "0.001")]
)
def test_last_price_text(price: str, text: str) -> None:
    assert last_text(price) == text
