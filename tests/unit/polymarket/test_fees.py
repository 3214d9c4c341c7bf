"""The category table, against fees really charged and at its dates."""

from __future__ import annotations

import csv
import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from execsim.core.fees import UNDATED, Liquidity, Traded
from execsim_polymarket.fees import REGIMES, rebate_share, schedule

DATA = Path(__file__).parents[2] / "data"
SELLS = list(
    csv.DictReader((DATA / "polymarket_chihen_livebot/fee_observations.csv").read_text(encoding="utf-8").splitlines())
)
ON_CHAIN = json.loads((DATA / "polymarket/taker_fee_onchain.json").read_text(encoding="utf-8"))["cases"]
MILLION = 10**6


def ns(day: str) -> int:
    return int(datetime.fromisoformat(f"{day}+00:00").timestamp()) * 10**9


def fill(price: Decimal, shares: Decimal, ts_ns: int) -> Traded:
    price_i, lots = int(price * MILLION), int(shares * MILLION)
    return Traded(price_i, MILLION, lots, MILLION, price_i * lots // MILLION, MILLION, ts_ns)


def taker_fee(category: str, price: str, shares: str, ts_ns: int) -> int:
    return schedule(category).fee(fill(Decimal(price), Decimal(shares), ts_ns), Liquidity.TAKER)


def test_sixteen_sells_of_march_2026_paid_what_the_table_of_their_date_says_but_one() -> None:
    """The one is contaminated: 0.999999 left the account in the same second, in another trade."""
    off = {}
    for row in SELLS:
        ts_ns = ns(row["ts_utc"].removesuffix("Z"))
        charged = int(Decimal(row["fee_usdc"]) * MILLION)
        expected = taker_fee("crypto", row["avg_price"], row["shares_sold"], ts_ns)
        if charged != expected:
            off[row["ts_utc"]] = charged - expected
    assert len(SELLS) == 16
    assert off == {"2026-03-28T15:44:50Z": 999_999}


def test_the_linear_formula_of_april_is_none_of_them() -> None:
    """The referee tells regimes apart: at the date of April all sixteen come out wrong."""
    april = ns("2026-04-15T12:00:00")
    for row in SELLS:
        charged = int(Decimal(row["fee_usdc"]) * MILLION)
        assert taker_fee("crypto", row["avg_price"], row["shares_sold"], april) != charged


@pytest.mark.parametrize("case", ON_CHAIN, ids=lambda c: f"{c['side']}-{c['price']}-{c['shares']}")
def test_nineteen_fills_of_september_2026_by_the_table(case: dict[str, str]) -> None:
    """Their categories are inferred from the rate (0.07 crypto, 0.05 sports or other), their day is not recorded."""
    category = {"0.07": "crypto", "0.05": "sports", "0.04": "politics"}[case["fee_rate"]]
    september = ns("2026-09-15T00:00:00")
    assert taker_fee(category, case["price"], case["shares"], september) == int(case["fee_base_units"])


@pytest.mark.parametrize(
    ("category", "before", "day", "after"),
    [
        ("crypto", "0", "2026-01-06", "0.78125"),
        ("crypto", "0.78125", "2026-03-30", "1.8"),
        ("crypto", "1.8", "2026-05-11", "1.75"),
        ("sports", "0", "2026-03-30", "0.75"),
        ("sports", "0.75", "2026-07-10", "1.25"),
        ("politics", "0", "2026-03-30", "1"),
        ("weather", "0", "2026-03-30", "1.25"),
        ("geopolitics", "0", "2026-03-30", "0"),
    ],
)
def test_a_regime_begins_with_its_day(category: str, before: str, day: str, after: str) -> None:
    """Fee of 100 shares at 0.50, as the documentation's tables give it, one nanosecond before and at midnight UTC."""
    midnight = ns(f"{day}T00:00:00")
    for ts_ns, fee in ((midnight - 1, before), (midnight, after)):
        assert Decimal(taker_fee(category, "0.5", "100", ts_ns)) / MILLION == Decimal(fee)


def test_every_category_is_in_order_and_the_newest_is_that_of_the_docs_of_august_2026() -> None:
    rates = {category: regimes[-1].rate for category, regimes in REGIMES.items()}
    assert rates == {
        "crypto": "0.07", "sports": "0.05", "finance": "0.04", "politics": "0.04", "mentions": "0.04", "tech": "0.04",
        "economics": "0.05", "culture": "0.05", "weather": "0.05", "other": "0.05", "geopolitics": "0",
    }  # fmt: skip
    for category in REGIMES:
        newest = schedule(category).at(UNDATED)
        assert (
            newest.fee(fill(Decimal("0.5"), Decimal(4), UNDATED), Liquidity.TAKER) == Decimal(rates[category]) * MILLION
        )
    assert (rebate_share("crypto"), rebate_share("sports"), rebate_share("culture")) == (
        Decimal("0.20"), Decimal("0.15"), Decimal("0.25"),
    )  # fmt: skip


def test_makers_pay_nothing_in_any_regime() -> None:
    for category, regimes in REGIMES.items():
        for regime in regimes:
            made = fill(Decimal("0.5"), Decimal(100), regime.from_ns)
            assert schedule(category).fee(made, Liquidity.MAKER) == 0
