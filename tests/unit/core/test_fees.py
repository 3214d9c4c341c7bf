"""Fees against what was really charged on chain."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from execsim.core.errors import ConfigError
from execsim.core.fees import UNDATED, BinaryFee, DatedFees, Liquidity, NoFee, NotionalFee, Traded
from execsim.core.units import Rounding

CASES = json.loads((Path(__file__).parents[2] / "data/polymarket/taker_fee_onchain.json").read_text())["cases"]


def traded(price: str, size: str, cash: int = 0, ts_ns: int = UNDATED) -> Traded:
    return Traded(int(Decimal(price) * 10**6), 10**6, int(Decimal(size) * 10**6), 10**6, cash, 10**6, ts_ns)


def test_there_are_nineteen_cases() -> None:
    assert len(CASES) == 19


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c['side']}-{c['price']}-{c['shares']}")
def test_polymarket_taker_fee_on_chain(case: dict[str, str]) -> None:
    fee = BinaryFee(Decimal(case["fee_rate"])).fee(traded(case["price"], case["shares"]), Liquidity.TAKER)
    assert fee == int(case["fee_base_units"])


def test_makers_pay_nothing_on_polymarket() -> None:
    assert BinaryFee(Decimal("0.07")).fee(traded("0.5", "100"), Liquidity.MAKER) == 0


MARCH = BinaryFee(Decimal("0.25"), exponent=2, price_power=1)
"""The crypto regime until 2026-03-29: shares x p x 0.25 x (p(1-p))^2."""


def test_the_regime_of_march_2026() -> None:
    """16 shares at 0.5: 16 x 0.5 x 0.25 x 1/16. Rows of the documentation's table of 2026-03-10 for 100 shares."""
    assert MARCH.fee(traded("0.5", "16"), Liquidity.TAKER) == 125_000
    for price, cents in (("0.20", 13), ("0.50", 78), ("0.60", 86), ("0.90", 18)):
        assert round(MARCH.fee(traded(price, "100"), Liquidity.TAKER) / 10_000) == cents


def test_rounding_up_and_what_a_maker_pays() -> None:
    fee = BinaryFee(Decimal("0.07"), decimals=2, maker=Decimal("0.0175"), rounding=Rounding.CEIL)
    assert fee.fee(traded("0.5", "100"), Liquidity.TAKER) == 1_750_000
    assert fee.fee(traded("0.5", "1"), Liquidity.TAKER) == 20_000
    assert fee.fee(traded("0.5", "100"), Liquidity.MAKER) == 440_000


def test_a_makers_rebate_is_its_share_of_the_fee_its_liquidity_made() -> None:
    fee = BinaryFee(Decimal("0.07"), rebate_share=Decimal("0.2"))
    assert fee.rebate(traded("0.5", "100")) == 350_000
    assert fee.rebate(traded("0.33", "0.01")) == Fraction(7, 100) * 10_000 * Fraction(33, 100) * Fraction(67, 100) / 5
    assert BinaryFee(Decimal("0.07")).rebate(traded("0.5", "100")) == 0
    assert NoFee().rebate(traded("0.5", "100")) == NotionalFee().rebate(traded("0.5", "100")) == 0


def test_dated_fees_change_at_their_instant() -> None:
    old, new = BinaryFee(Decimal("0.1")), BinaryFee(Decimal("0.2"))
    fees = DatedFees(((1_000, old), (2_000, new)))
    for ts_ns, at in ((999, NoFee()), (1_000, old), (1_999, old), (2_000, new), (10**18, new), (UNDATED, new)):
        assert fees.at(ts_ns) == at
        here = traded("0.5", "100", ts_ns=ts_ns)
        assert fees.fee(here, Liquidity.TAKER) == at.fee(here, Liquidity.TAKER)
        assert fees.rebate(here) == at.rebate(here)


@pytest.mark.parametrize("starts", [(), (5, 5), (5, 4)])
def test_regimes_out_of_order(starts: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="regime"):
        DatedFees(tuple((start, NoFee()) for start in starts))


@pytest.mark.parametrize(
    "wrong",
    [
        {"rate": Decimal(-1)},
        {"exponent": -1},
        {"price_power": -1},
        {"decimals": -1},
        {"maker": Decimal("-0.01")},
        {"rebate_share": Decimal("1.01")},
    ],
)
def test_parameters_that_are_no_fee(wrong: dict[str, Any]) -> None:
    (name,) = wrong
    with pytest.raises(ConfigError, match=name):
        BinaryFee(**({"rate": Decimal("0.07")} | wrong))


def test_notional_fee_rounds_down_and_knows_both_sides() -> None:
    fee = NotionalFee(maker=Decimal("0.001"), taker=Decimal("0.002"))
    assert fee.fee(traded("1", "1", cash=1999), Liquidity.MAKER) == 1
    assert fee.fee(traded("1", "1", cash=1999), Liquidity.TAKER) == 3
    assert NoFee().fee(traded("1", "1", cash=1999), Liquidity.TAKER) == 0


def test_a_discount_is_taken_before_rounding() -> None:
    fee = NotionalFee(maker=Decimal("0.001"), taker=Decimal("0.001"), factor=Decimal("0.75"))
    assert fee.fee(traded("1", "1", cash=2_666), Liquidity.TAKER) == 1
    assert fee.fee(traded("1", "1", cash=2_667), Liquidity.MAKER) == 2
