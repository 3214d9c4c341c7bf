"""Numbers: prices, sizes and money are integers; `Grid` is the only door between them and what people type.

`price_i` counts the finest price unit a market can ever have (Polymarket 0.0001), `lots` the finest size unit
(Polymarket 0.000001 share), money counts the smallest unit of its asset (`Asset.unit`). Floats never decide a price,
a size or an amount; a float the user types (0.52) is read through its shortest repr, so it means 0.52 and not
0.52000000000000001776.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Final, NewType

from execsim.core.errors import ValidationError

Ns = NewType("Ns", int)
"""Integer nanoseconds since the Unix epoch (instants) or a duration, by the name of the field."""

Number = int | float | str | Decimal
"""What the edges accept for a price or a size."""

NS_PER_S: Final = 1_000_000_000
NS_PER_MS: Final = 1_000_000
NS_PER_US: Final = 1_000

NOTIONAL_MAX: Final = 2**62
"""Bound of price_i x lots, checked by importers and by order entry: the product always fits an int64 in the kernel."""


class Rounding(StrEnum):
    """How a division that is not exact is resolved; every rounding in execsim is one of these, by name."""

    EXACT = "exact"
    FLOOR = "floor"
    CEIL = "ceil"
    HALF_UP = "half_up"


def floor_div(numerator: int, denominator: int) -> int:
    """Largest integer not above the quotient. Units: the caller's; denominator > 0."""
    return numerator // denominator


def ceil_div(numerator: int, denominator: int) -> int:
    """Smallest integer not below the quotient; denominator > 0."""
    return -(-numerator // denominator)


def exact_div(numerator: int, denominator: int) -> int:
    """The quotient, or `ValidationError` if there is a remainder."""
    quotient, rest = divmod(numerator, denominator)
    if rest:
        raise ValidationError("exact", f"{numerator} is not a multiple of {denominator}")
    return quotient


def divide(numerator: int, denominator: int, rounding: Rounding) -> int:
    """Divide by the named rounding; denominator > 0."""
    if rounding is Rounding.FLOOR:
        return numerator // denominator
    if rounding is Rounding.CEIL:
        return ceil_div(numerator, denominator)
    if rounding is Rounding.HALF_UP:
        return (2 * numerator + denominator) // (2 * denominator)
    return exact_div(numerator, denominator)


def decimal_of(value: Number, what: str = "number") -> Decimal:
    """Read a number exactly as it was written. Errors: ValidationError naming `what` if it is not a finite number."""
    if isinstance(value, bool):
        raise ValidationError(what, f"{value!r} is not a number")
    try:
        result = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    except (InvalidOperation, TypeError, ValueError):
        raise ValidationError(what, f"{value!r} is not a number") from None
    if not result.is_finite():
        raise ValidationError(what, f"{value!r} is not a finite number")
    return result


def scaled(value: Number, unit: Decimal, what: str, rounding: Rounding = Rounding.EXACT) -> int:
    """How many `unit`s are in `value`. Errors: ValidationError naming `what` when EXACT and off the grid."""
    quotient = decimal_of(value, what) / unit
    whole = int(quotient.to_integral_value(rounding="ROUND_FLOOR"))
    if quotient == whole and whole * unit == decimal_of(value, what):
        return whole
    if rounding is Rounding.EXACT:
        raise ValidationError(what, f"{value} is not a multiple of {unit}", f"the finest {what} is {unit}")
    numerator, denominator = (decimal_of(value, what) / unit).as_integer_ratio()
    return divide(numerator, denominator, rounding)


def plain(value: Decimal) -> str:
    """A decimal as people write it: no exponent, no trailing zeros after the point ("0.5", "100", "0")."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


@dataclass(frozen=True, slots=True)
class Grid:
    """The integer grid of one instrument: `price_unit` and `lot` as exact decimals, both > 0."""

    price_unit: Decimal
    lot: Decimal

    def __post_init__(self) -> None:
        for name, unit in (("price_unit", self.price_unit), ("lot", self.lot)):
            if unit <= 0:
                raise ValidationError(name, f"{unit} is not positive")

    def price_i(self, price: Number, rounding: Rounding = Rounding.EXACT) -> int:
        """Price in grid units. Errors: ValidationError("price", ...) when off the grid and EXACT."""
        return scaled(price, self.price_unit, "price", rounding)

    def lots(self, size: Number, rounding: Rounding = Rounding.EXACT) -> int:
        """Size in lots. Errors: ValidationError("size", ...) when off the grid and EXACT."""
        return scaled(size, self.lot, "size", rounding)

    def price(self, price_i: int) -> Decimal:
        return price_i * self.price_unit

    def size(self, lots: int) -> Decimal:
        return lots * self.lot
