"""Kalshi's fees: the quadratic formula rounded up, and who pays it.

trade fee = rate x contracts x P x (1 - P) x the series' multiplier, rounded up to $0.0001. Then the balance change of the
fill (revenue - trade fee) is rounded down to the account's precision, $0.01 for most: the difference is a rounding fee. A
per-order accumulator gives a cent back each time its rounding fees exceed one.
Source: kalshi.md section 8 (docs getting_started/fee_rounding, OpenAPI 3.30.0 `fee_type`).

Modelled here, per fill: trade fee and rounding to the account's precision in one, for fills whose price x contracts is a
whole number of cents (every fill of whole contracts on the 0.01 grid). Not modelled: the accumulator, because a schedule
sees one fill and not its order: an order filled in n pieces is charged up to n - 1 cents too much, never too little; the
`flat` fee type, whose table is not published; fee waivers and scheduled changes (give DatedFees).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from execsim.core.errors import ConfigError
from execsim.core.fees import BinaryFee
from execsim.core.units import Rounding

TAKER_RATE: Final = Decimal("0.07")
MAKER_PARTS: Final = {
    "quadratic": Decimal(0),
    "quadratic_with_maker_fees": Decimal("0.25"),
    "quadratic_with_combo_maker_fees": Decimal("0.5"),
}
"""`fee_type` of a series -> what a maker pays of the taker's rate."""
CENTS: Final = 2
DIRECT_MEMBER: Final = 4
"""Decimals of a dollar an account is kept in: $0.01, and $0.0001 for direct members of the exchange."""


def schedule(fee_type: str = "quadratic", multiplier: Decimal = Decimal(1), account_decimals: int = CENTS) -> BinaryFee:
    """The fees of a series. `multiplier` is its `fee_multiplier`.

    Errors: ConfigError for a fee type without a formula, a negative multiplier, another precision.
    """
    if fee_type not in MAKER_PARTS:
        raise ConfigError(f"kalshi fee type {fee_type!r}", f"with a formula: {', '.join(MAKER_PARTS)}")
    if multiplier < 0:
        raise ConfigError(f"kalshi fee multiplier {multiplier}", "it is not negative")
    if account_decimals not in (CENTS, DIRECT_MEMBER):
        raise ConfigError(f"kalshi account precision of {account_decimals} decimals", f"{CENTS} or {DIRECT_MEMBER}")
    rate = TAKER_RATE * multiplier
    return BinaryFee(rate, decimals=account_decimals, maker=rate * MAKER_PARTS[fee_type], rounding=Rounding.CEIL)
