"""Estimates beside a run: asked for in the scenario, shown in the summary, never in the money."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from execsim.core.errors import ConfigError
from execsim.scenario import model
from execsim.scenario.run import run

SCENARIOS = Path(__file__).resolve().parents[3] / "scenarios"
COIN = "venues.polymarket.rewards.coin"
REWARDS = COIN + "={pool_per_day=100, max_spread=0.05, size_min=5, samples_per_day=2}"


def summary_of(*settings: str) -> dict[str, Any]:
    return run(model.load(SCENARIOS / "handwritten.toml", None, settings), "handwritten", SCENARIOS).summary


def test_they_are_beside_the_run_and_do_not_touch_it() -> None:
    bare, both = summary_of(), summary_of("venues.polymarket.rebates=true", REWARDS)
    assert both["journal_sha256"] == bare["journal_sha256"]
    assert both["pnl"] == bare["pnl"]
    assert {"rebates_estimate", "rewards_estimate"} & set(bare) == set()


def test_the_rebate_of_the_scripts_maker_fill() -> None:
    """10 bought at 0.49 as a maker: 10 x 0.07 x 0.49 x 0.51 x 20 %; a day below the minimum of 1 may pay nothing."""
    found = summary_of("venues.polymarket.rebates=true")["rebates_estimate"]["coin"]
    exact = 10 * Decimal("0.07") * Decimal("0.49") * Decimal("0.51") * Decimal("0.2")
    assert Decimal(found["estimate"]) == exact.quantize(Decimal("0.000001"), rounding="ROUND_FLOOR")
    assert (found["low"], found["asset"], found["maker_fills"], found["days"]) == ("0", "pUSD", 1, 1)
    assert "not in the PnL" in found["assumes"][0]


def test_another_share_is_a_rule_of_the_market() -> None:
    share = ("venues.polymarket.rebates=true", "markets.0.rules.rebate_share=0.4")
    plain, doubled = (summary_of(*share[:n])["rebates_estimate"]["coin"]["high"] for n in (1, 2))
    assert abs(2 * Decimal(plain) - Decimal(doubled)) <= Decimal("0.000001")


def test_five_minutes_are_sampled_five_times() -> None:
    terms = "{pool_per_day=100, max_spread=0.045, size_min=5, samples_per_day=5}"
    scenario = model.load(SCENARIOS / "polymarket_btc_5m.toml", None, [f"venues.polymarket.rewards.btc-up={terms}"])
    found = run(scenario, "polymarket_btc_5m", SCENARIOS).summary["rewards_estimate"]["btc-up"]
    assert found["samples"] + found["unseen"] == 5
    assert 1 <= found["scored"] <= found["samples"]
    assert Decimal(found["low"]) <= Decimal(found["estimate"]) < Decimal(found["high"]) <= Decimal(found["at_most"])
    assert Decimal(found["at_most"]) == 20 * found["scored"]


@pytest.mark.parametrize(
    ("setting", "match"),
    [
        ("venues.polymarket.rewards.dice={pool_per_day=1, max_spread=0.05}", r"'dice' is not a binary market.*coin"),
        (COIN + "={pool_per_day=1, max_spread=0.00005}", r"rewards\.coin\.max_spread"),
        (COIN + "={pool_per_day=0.0000001, max_spread=0.05}", r"rewards\.coin\.pool_per_day"),
        (COIN + "={pool_per_day=1, max_spread=0.05, size_min=0.0000001}", r"rewards\.coin\.size_min"),
        (COIN + "={pool_per_day=0, max_spread=0.05}", "pool_per_day"),
        (COIN + "={pool_per_day=1, max_spread=1}", "max_spread"),
        (COIN + "={pool_per_day=1}", "max_spread is missing"),
        (COIN + "={pool_per_day=1, max_spread=0.05, samples_per_day=0}", "samples_per_day"),
        ("venues.polymarket.rebates=maybe", "rebates"),
    ],
)
def test_what_does_not_fit(setting: str, match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        summary_of(setting)
