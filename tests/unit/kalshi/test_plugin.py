"""Kalshi as execsim finds it: rules of a market, its budgets, and a CSV that runs there."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from execsim import plugins
from execsim.core.errors import ConfigError, RateLimitExceeded, ValidationError
from execsim.core.instrument import InstrumentKind
from execsim.core.request import RequestKind
from execsim.engine.throttle import RateLimiterConfig
from execsim.exchange.limits import VenueLimits
from execsim.scenario import model
from execsim.scenario.run import run
from execsim.tape.schema import MarketInfo
from execsim_kalshi.plugin import VENUE

SECOND = 10**9


def info(**changes: str) -> MarketInfo:
    fields = {"price_unit": "0.0001", "lot": "0.01", "tick": "0.01", "size_step": "0.01", "size_min": "0", **changes}
    return MarketInfo(
        market="KXRAIN-26DEC01", venue="kalshi", instrument_kind="binary", base="KXRAIN-26DEC01:YES", quote="USD",
        notional_min="0", **fields,
    )  # type: ignore[arg-type]  # fmt: skip


def test_it_is_installed() -> None:
    assert plugins.venue("kalshi") is VENUE


def test_a_market() -> None:
    inst = VENUE.instrument(info(), {})
    assert (inst.kind, inst.tick_i, inst.size_step_lots, inst.size_min_lots) == (InstrumentKind.BINARY, 100, 1, 1)
    assert (inst.price_min_i, inst.price_max_i, inst.one_i) == (100, 9_900, 10_000)
    assert inst.quote.decimal(inst.cash(5_600, 1_000)) == Decimal("5.6")  # 10 contracts at 56 cents
    assert inst.quote.unit == Decimal("0.000001")  # 0.0001 dollars x 0.01 contracts, exactly
    cents = VENUE.instrument(info(price_unit="0.01"), {})
    assert cents.quote.unit == Decimal("0.0001")
    fine = VENUE.instrument(info(), {"price_levels": "deci_cent", "size_step": 1, "size_min": 5})
    assert (fine.tick_i, fine.size_step_lots, fine.size_min_lots) == (10, 100, 500)


@pytest.mark.parametrize(
    "wrong",
    [
        {"colour": "red"}, {"price_levels": "tapered_deci_cent"}, {"fee_type": "flat"}, {"fee_multiplier": "much"},
        {"tick": 0}, {"size_step": 0},
    ],
)  # fmt: skip
def test_what_it_has_no_rule_for(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        VENUE.instrument(info(), wrong)


def test_numbers_off_the_grid() -> None:
    with pytest.raises(ValidationError):
        VENUE.instrument(info(), {"tick": "0.00001"})


def test_writes_share_a_budget_of_tokens() -> None:
    venue = VenueLimits("kalshi", VENUE.profile)
    for _ in range(9):
        assert venue.ask(RequestKind.PLACE, 0).error is None
    for _ in range(5):
        assert venue.ask(RequestKind.CANCEL, 0).error is None
    refused = venue.ask(RequestKind.CANCEL, 0).error
    assert isinstance(refused, RateLimitExceeded)
    assert refused.retry_after_ns == 0  # it does not say when
    assert venue.ask(RequestKind.QUERY, 0).error is None
    assert venue.ask(RequestKind.BATCH, SECOND // 2, orders=6).error is not None
    assert venue.ask(RequestKind.BATCH, SECOND // 2, orders=5).error is None
    assert venue.hits == {"read": 0, "write": 2}


def test_our_preset_stays_within_a_basic_budget() -> None:
    """Orders at our rate cost what the venue refills, and the reserve is worth more than as many cancels."""
    ours = RateLimiterConfig.kalshi()
    write = VENUE.profile.rules()[-1]
    assert Decimal(str(ours.rate)) * write.tokens(RequestKind.PLACE, 1) <= Decimal(write.meter.rate)  # type: ignore[union-attr]
    assert ours.burst * write.tokens(RequestKind.PLACE, 1) <= write.meter.most


BOOK = """time,kind,side,price,size
2026-08-08T12:00:00.000Z,snapshot,bid,0.51,100
2026-08-08T12:00:00.000Z,snapshot,ask,0.53,80
2026-08-08T12:00:10.000Z,trade,buy,0.53,30
2026-08-08T12:00:10.000Z,level,ask,0.53,50
2026-08-08T12:00:20.000Z,level,ask,0.54,50
"""
ORDERS = """time,market,side,type,tif,price,size,id,action
+1s,rain,buy,limit,ioc,0.53,10,,
+2s,rain,buy,limit,gtc,0.50,5,rests,
+3s,,,,,,,rests,cancel
"""
SCENARIO = """
[[data]]
sources = ["rain.csv"]
format = "generic"
[data.options]
market = "rain"
venue = "kalshi"
instrument_kind = "binary"
price_unit = "0.0001"
lot = "0.01"
tick = "0.01"
quote = "USD"

[[markets]]
id = "rain"
venue = "kalshi"
market = "rain"

[venues.kalshi]
balances = { USD = 100 }

[strategy]
orders = "orders.csv"
"""


def test_a_csv_runs(tmp_path: Path) -> None:
    for name, text in (("rain.csv", BOOK), ("orders.csv", ORDERS), ("rain.toml", SCENARIO)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    summary = run(model.load(tmp_path / "rain.toml"), "rain", tmp_path).summary
    assert (summary["fills"]["count"], summary["fills"]["size"]) == (1, "10")
    assert summary["positions"]["rain"]["net"] == "10"
    # 0.07 x 10 x 0.53 x 0.47 = 0.174..., rounded up with the cost to the cent
    assert summary["pnl"]["USD"]["fees"] == "0.18"
    assert summary["rate_limited_by_venue"] == {"kalshi": {}}
    tight = ["venues.kalshi.limits.rules=[{name='one', kinds=['place'], n=1, per_s=3600}]"]
    limited = run(model.load(tmp_path / "rain.toml", None, tight), "rain", tmp_path).summary
    assert limited["rate_limited_by_venue"] == {"kalshi": {"one": 1}}
    warned = run(
        model.load(tmp_path / "rain.toml", None, [*tight, "venues.kalshi.limits.enforced=false"]), "rain", tmp_path
    )
    assert warned.summary["rate_limited_by_venue"] == {"kalshi": {"one": 1}}
    assert warned.summary["orders"] == summary["orders"]
