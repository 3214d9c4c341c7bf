"""The plugin: instruments, fees, and the venue's own way of refusing."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from importlib.metadata import entry_points
from typing import Any

import pytest

from execsim.core.errors import ConfigError, ValidationError
from execsim.core.fees import UNDATED, Liquidity
from execsim.core.instrument import Instrument, InstrumentKind
from execsim.core.units import Rounding
from execsim.tape.schema import MarketInfo
from execsim_polymarket.fees import schedule
from execsim_polymarket.plugin import VENUE


def info(**changes: Any) -> MarketInfo:
    values: dict[str, Any] = {
        "market": "0xabc",
        "venue": "polymarket",
        "instrument_kind": "binary",
        "price_unit": "0.0001",
        "lot": "0.000001",
        "base": "btc-up:YES",
        "quote": "pUSD",
        "tick": "0.01",
        "size_step": "0.01",
        "size_min": "5",
        "notional_min": "1",
    }
    return MarketInfo(**(values | changes))


def test_the_entry_point_finds_it() -> None:
    (point,) = entry_points(group="execsim.venues", name="polymarket")
    assert point.load() is VENUE
    assert VENUE.venue_id == "polymarket"
    assert [(importer.name, importer.version) for importer in VENUE.importers] == [("polymarket", 1), ("pmxt", 1)]


def test_instrument() -> None:
    found = VENUE.instrument(info(), {})
    assert found.kind is InstrumentKind.BINARY
    assert (found.tick_i, found.price_min_i, found.price_max_i, found.one_i) == (100, 1, 9_999, 10_000)
    assert (found.size_step_lots, found.size_min_lots, found.notional_min) == (10_000, 5_000_000, 1_000_000)
    assert found.complement is not None
    assert (found.base.name, found.complement.name, found.quote.name) == ("btc-up:YES", "btc-up:NO", "pUSD")
    assert found.cash_rounding is Rounding.FLOOR
    assert found.fees == schedule("crypto")


def test_worked_fees_of_the_docs() -> None:
    """100 shares at 0.50: crypto 1.75, sports 1.25, politics 1.00 pUSD (polymarket.md section 9)."""
    for category, fee in (("crypto", 1_750_000), ("sports", 1_250_000), ("politics", 1_000_000), ("geopolitics", 0)):
        found = VENUE.instrument(info(), {"fee_category": category})
        assert found.fee(5_000, 100_000_000, 50_000_000, Liquidity.TAKER) == fee
        assert found.fee(5_000, 100_000_000, 50_000_000, Liquidity.MAKER) == 0


APRIL = 1_776_254_400_000_000_000
"""2026-04-15 12:00 UTC"""


def taker_rate(found: Instrument, ts_ns: int) -> Decimal:
    """Fee of one share at 0.5, as a rate of p(1-p)."""
    return Decimal(found.fee(5_000, 1_000_000, 500_000, Liquidity.TAKER, ts_ns=ts_ns)) / 250_000


@pytest.mark.parametrize(
    ("extra", "overrides", "in_april", "newest"),
    [
        ({}, {}, "0.072", "0.07"),
        ({"fee_rate": "0.05"}, {}, "0.05", "0.05"),
        ({}, {"fee_category": "sports"}, "0.03", "0.05"),
        ({"fee_rate": "0.05"}, {"fee_category": "tech"}, "0.04", "0.04"),
        ({"fee_rate": "0.05"}, {"fee_category": "tech", "fee_rate": 0.03}, "0.03", "0.03"),
    ],
)
def test_where_the_fee_rate_comes_from(
    extra: dict[str, Any], overrides: dict[str, Any], in_april: str, newest: str
) -> None:
    found = VENUE.instrument(info(extra=extra), overrides)
    assert taker_rate(found, APRIL) == Decimal(in_april)
    assert taker_rate(found, UNDATED) == Decimal(newest)


def test_a_stated_rate_holds_for_all_dates() -> None:
    found = VENUE.instrument(info(), {"fee_rate": "0.072"})
    assert {taker_rate(found, ts_ns) for ts_ns in (UNDATED, 1, APRIL, 2 * APRIL)} == {Decimal("0.072")}


@pytest.mark.parametrize(
    ("extra", "overrides", "in_april", "newest"),
    [
        ({}, {}, "0.2", "0.2"),
        ({}, {"fee_category": "sports"}, "0.25", "0.15"),
        ({}, {"fee_rate": "0.1", "fee_category": "sports"}, "0.15", "0.15"),
        ({"fee_rate": "0.04"}, {}, "0.2", "0.2"),
        ({}, {"rebate_share": "0.3"}, "0.3", "0.3"),
        ({}, {"rebate_share": "0.3", "fee_rate": "0.1"}, "0.3", "0.3"),
    ],
)
def test_where_the_rebate_share_comes_from(
    extra: dict[str, Any], overrides: dict[str, Any], in_april: str, newest: str
) -> None:
    found = VENUE.instrument(info(extra=extra), overrides)
    for ts_ns, share in ((APRIL, in_april), (UNDATED, newest)):
        fee = found.fee(5_000, 100_000_000, 50_000_000, Liquidity.TAKER, ts_ns=ts_ns)
        assert found.rebate(5_000, 100_000_000, 50_000_000, ts_ns) == fee * Fraction(share)


def test_overrides() -> None:
    found = VENUE.instrument(info(), {"tick": "0.001", "size_min": 15, "notional_min": "2.5"})
    assert (found.tick_i, found.price_max_i, found.size_min_lots, found.notional_min) == (
        10,
        9_999,
        15_000_000,
        2_500_000,
    )


@pytest.mark.parametrize(
    ("overrides", "what"),
    [
        ({"fees": 1}, "fees"),
        ({"fee_category": "cats"}, "cats"),
        ({"fee_rate": 2}, "fee_rate"),
        ({"fee_rate": -1}, "fee_rate"),
        ({"fee_rate": "much"}, "fee_rate"),
        ({"rebate_share": 1.5}, "rebate_share"),
        ({"rebate_share": "all"}, "rebate_share"),
    ],
)
def test_wrong_overrides(overrides: dict[str, Any], what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        VENUE.instrument(info(), overrides)


def test_numbers_off_the_grid() -> None:
    with pytest.raises(ValidationError):
        VENUE.instrument(info(), {"tick": "0.00001"})


def test_profile() -> None:
    profile = VENUE.profile
    keys = "post_only_cross tick size_min size_step notional_min price_range balance allowance duplicate expired"
    keys += " expiry_min fok ioc_no_match market_closed unknown_market rate_limit order_gone"
    assert set(profile.texts) == set(keys.split())
    code, text = profile.texts["tick"]
    assert code == "400"
    assert text.format(id="0x1", price="0.505", tick="0.01") == (
        "order 0x1 is invalid. Price (0.505) breaks minimum tick size rule: 0.01"
    )
    assert [str(rule.meter) for rule in profile.rules()[-2:]] == ["40/s, 60 at once", "80/s, 120 at once"]
    assert [str(rule.meter) for rule in profile.rules("elite")[-2:]] == ["600/s, 900 at once", "1200/s, 1800 at once"]
    assert profile.unmatched == "refuse"
    assert (profile.client_per_s, profile.client_burst) == ("10", 20)
    assert (profile.gtd_early_ns, profile.gtd_min_ns) == (60_000_000_000, 180_000_000_000)
    assert profile.shorting is False
