"""Kalshi's formula, its rounding and who pays."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from execsim.core.errors import ConfigError
from execsim.core.fees import Liquidity, Traded
from execsim_kalshi.fees import schedule


def fill(cents: int, contracts: str) -> Traded:
    """On a grid of cents and hundredths of a contract, money in 1/10000 of a dollar."""
    lots = int(Decimal(contracts) * 100)
    return Traded(cents, 100, lots, 100, cents * lots, 10_000)


@pytest.mark.parametrize(
    ("cents", "contracts", "fee"),
    [(50, "100", 17_500), (50, "1", 200), (10, "1", 100), (99, "1", 100), (35, "10", 1_600)],
)
def test_a_fill_of_whole_contracts_rounds_up_to_the_cent(cents: int, contracts: str, fee: int) -> None:
    """0.07 x 1 x 0.25 = 0.0175 -> 2 cents: the older one-line formula, on a single fill of whole contracts."""
    assert schedule().fee(fill(cents, contracts), Liquidity.TAKER) == fee
    assert schedule().fee(fill(cents, contracts), Liquidity.MAKER) == 0


def test_a_direct_member_is_rounded_to_a_hundredth_of_a_cent() -> None:
    assert schedule(account_decimals=4).fee(fill(33, "1"), Liquidity.TAKER) == 155  # 0.015477 -> 0.0155


def test_maker_kinds_and_the_multiplier() -> None:
    with_makers = schedule("quadratic_with_maker_fees", account_decimals=4)
    assert with_makers.fee(fill(50, "100"), Liquidity.MAKER) == 4_375
    assert (
        schedule("quadratic_with_combo_maker_fees", account_decimals=4).fee(fill(50, "100"), Liquidity.MAKER) == 8_750
    )
    halved = schedule("quadratic_with_maker_fees", Decimal("0.5"), account_decimals=4)
    assert (halved.fee(fill(50, "100"), Liquidity.TAKER), halved.fee(fill(50, "100"), Liquidity.MAKER)) == (
        8_750,
        2_188,
    )


@pytest.mark.parametrize("wrong", [{"fee_type": "flat"}, {"multiplier": Decimal(-1)}, {"account_decimals": 3}])
def test_what_has_no_formula(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="kalshi"):
        schedule(**wrong)
