"""Numbers go in exactly or not at all."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execsim.core.errors import ValidationError
from execsim.core.units import Grid, Rounding, ceil_div, decimal_of, divide, exact_div, floor_div, plain, scaled

GRID = Grid(Decimal("0.0001"), Decimal("0.000001"))


def test_a_float_means_what_was_typed() -> None:
    assert GRID.price_i(0.52) == 5200
    assert GRID.price_i("0.52") == GRID.price_i(Decimal("0.52")) == 5200
    assert decimal_of(0.1) == Decimal("0.1")


@pytest.mark.parametrize("value", ["x", "", None, True, float("nan"), float("inf"), "1e", [1]])
def test_what_is_not_a_number_is_refused_by_name(value: object) -> None:
    with pytest.raises(ValidationError, match="rule price"):
        GRID.price_i(value)  # type: ignore[arg-type]


def test_off_the_grid_is_an_error_unless_a_rounding_is_named() -> None:
    with pytest.raises(ValidationError, match=r"0\.52005 is not a multiple of 0\.0001"):
        GRID.price_i("0.52005")
    assert GRID.price_i("0.52005", Rounding.FLOOR) == 5200
    assert GRID.price_i("0.52005", Rounding.CEIL) == 5201
    assert GRID.price_i("0.52005", Rounding.HALF_UP) == 5201
    assert GRID.price_i("-0.52005", Rounding.FLOOR) == -5201


def test_a_grid_needs_positive_units() -> None:
    with pytest.raises(ValidationError, match="lot"):
        Grid(Decimal("0.1"), Decimal(0))


@given(st.integers(-(10**24), 10**24), st.integers(1, 10**12))
def test_named_divisions(a: int, b: int) -> None:
    assert floor_div(a, b) * b <= a < (floor_div(a, b) + 1) * b
    assert (ceil_div(a, b) - 1) * b < a <= ceil_div(a, b) * b
    assert abs(2 * (divide(a, b, Rounding.HALF_UP) * b - a)) <= b
    assert divide(a * b, b, Rounding.EXACT) == exact_div(a * b, b) == a


def test_exact_div_says_what_is_left() -> None:
    with pytest.raises(ValidationError, match="7 is not a multiple of 2"):
        exact_div(7, 2)


@given(st.integers(-(10**18), 10**18))
def test_scaled_is_the_inverse_of_the_unit(n: int) -> None:
    unit = Decimal("0.000001")
    assert scaled(n * unit, unit, "size") == n
    assert GRID.lots(GRID.size(abs(n))) == abs(n)


@pytest.mark.parametrize(
    ("value", "text"), [("0.500", "0.5"), ("100", "100"), ("1E+3", "1000"), ("-0.0", "0"), ("0.10", "0.1")]
)
def test_plain(value: str, text: str) -> None:
    assert plain(Decimal(value)) == text
