"""Fees against what was really charged on chain."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from execsim.core.fees import BinaryFee, Liquidity, NoFee, NotionalFee, Traded

CASES = json.loads((Path(__file__).parents[2] / "data/polymarket/taker_fee_onchain.json").read_text())["cases"]


def traded(price: str, size: str, cash: int = 0) -> Traded:
    return Traded(int(Decimal(price) * 10**6), 10**6, int(Decimal(size) * 10**6), 10**6, cash, 10**6)


def test_there_are_nineteen_cases() -> None:
    assert len(CASES) == 19


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c['side']}-{c['price']}-{c['shares']}")
def test_polymarket_taker_fee_on_chain(case: dict[str, str]) -> None:
    fee = BinaryFee(Decimal(case["fee_rate"])).fee(traded(case["price"], case["shares"]), Liquidity.TAKER)
    assert fee == int(case["fee_base_units"])


def test_makers_pay_nothing_on_polymarket() -> None:
    assert BinaryFee(Decimal("0.07")).fee(traded("0.5", "100"), Liquidity.MAKER) == 0


def test_exponent_two_is_the_regime_of_march_2026() -> None:
    # C * p * 0.25 * (p(1-p))^2 / p: shares x 0.25 x (p(1-p))^2 at p = 0.5, 16 shares
    assert BinaryFee(Decimal("0.25"), exponent=2).fee(traded("0.5", "16"), Liquidity.TAKER) == 250_000


def test_notional_fee_rounds_down_and_knows_both_sides() -> None:
    fee = NotionalFee(maker=Decimal("0.001"), taker=Decimal("0.002"))
    assert fee.fee(traded("1", "1", cash=1999), Liquidity.MAKER) == 1
    assert fee.fee(traded("1", "1", cash=1999), Liquidity.TAKER) == 3
    assert NoFee().fee(traded("1", "1", cash=1999), Liquidity.TAKER) == 0
