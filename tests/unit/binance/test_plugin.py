"""Trading rules and refusals of the Binance plugin."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from execsim.core.errors import ConfigError
from execsim.core.fees import Liquidity
from execsim.core.request import RequestKind
from execsim.tape.schema import MarketInfo
from execsim_binance.instruments import assets_of, instrument, market_id
from execsim_binance.plugin import VENUE


def info(**changes: Any) -> MarketInfo:
    terms = {"price_unit": "0.01", "lot": "0.00001", "tick": "0.01", "size_step": "0.00001", **changes}
    return MarketInfo(market="BTCUSDT", venue="binance", instrument_kind="spot", base="BTC", quote="USDT", **terms)


def test_defaults() -> None:
    rules = instrument(info(), {})
    assert (rules.tick_i, rules.size_step_lots, rules.size_min_lots) == (1, 1, 1)
    assert (rules.price_min_i, rules.price_max_i, rules.size_max_lots) == (None, None, None)
    assert rules.quote.decimal(rules.notional_min) == 5
    assert (rules.base.unit, rules.quote.unit) == (Decimal("1e-8"), Decimal("1e-8"))
    cash = rules.cash(6_000_000, 100_000)
    assert rules.quote.decimal(cash) == 60_000
    assert rules.quote.decimal(rules.fee(6_000_000, 100_000, cash, Liquidity.TAKER)) == 60


@pytest.mark.parametrize(
    ("price_unit", "lot"), [("0.01", "0.000001"), ("0.0000001", "0.0001"), ("0.5", "0.25"), ("1", "1")]
)
def test_price_times_lot_is_a_whole_number_of_quote_units(price_unit: str, lot: str) -> None:
    rules = instrument(info(price_unit=price_unit, lot=lot, tick=price_unit, size_step=lot), {})
    assert rules.grid.price_unit * rules.grid.lot % rules.quote.unit == 0
    assert rules.grid.lot % rules.base.unit == 0
    assert rules.quote.decimal(rules.cash(7, 3)) == 21 * Decimal(price_unit) * Decimal(lot)


def test_overrides() -> None:
    rules = instrument(
        info(),
        {"tick": "0.1", "size_step": 0.001, "maker_fee": 0, "taker_fee": "0.00075", "price_min": 1, "price_max": "1e6",
         "notional_min": 10, "size_max": 9},
    )  # fmt: skip
    assert (rules.tick_i, rules.size_step_lots, rules.size_min_lots) == (10, 100, 100)
    assert (rules.price_min_i, rules.price_max_i, rules.size_max_lots) == (100, 100_000_000, 900_000)
    assert rules.fee(100, 100, 10**12, Liquidity.MAKER) == 0
    assert rules.fee(100, 100, 10**12, Liquidity.TAKER) == 75 * 10**7
    assert rules.quote.decimal(rules.notional_min) == 10


def test_a_discount_factor() -> None:
    rules = instrument(info(), {"fee_factor": "0.75"})
    assert rules.fee(100, 100, 10**12, Liquidity.TAKER) == rules.fee(100, 100, 10**12, Liquidity.MAKER) == 75 * 10**7


@pytest.mark.parametrize(
    ("overrides", "match"),
    [
        ({"leverage": 3}, "no setting 'leverage'"),
        ({"tick": "0.001"}, "tick = 0.001"),
        ({"tick": 0}, "tick must be positive"),
        ({"maker_fee": "free"}, "maker_fee"),
        ({"fee_factor": 2}, "fee_factor"),
    ],
)
def test_wrong_overrides(overrides: dict[str, Any], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        instrument(info(), overrides)


def test_names() -> None:
    assert market_id("BTCUSDT", False) == "BTCUSDT"
    assert market_id("BTCUSDT", True) == "BTCUSDT-PERP"
    assert market_id("BTCUSDT_240927", True) == "BTCUSDT_240927"
    assert assets_of("BTCUSDT") == ("BTC", "USDT")
    assert assets_of("ETHBTC") == ("ETH", "BTC")
    assert assets_of("USDCUSDT") == ("USDC", "USDT")
    assert assets_of("FOOBAR") == ("FOO", "BAR")


def test_the_venue_refuses_in_its_own_words() -> None:
    assert VENUE.venue_id == "binance"
    assert [importer.name for importer in VENUE.importers] == ["binance"]
    texts = VENUE.profile.texts
    assert texts["post_only_cross"] == ("-2010", "Order would immediately match and take.")
    assert texts["order_gone"] == ("-2011", "Unknown order sent.")
    assert {texts[key][0] for key in ("tick", "size_min", "size_step", "notional_min")} == {"-1013"}
    assert (VENUE.profile.client_per_s, VENUE.profile.client_burst) == ("20", 50)
    assert not VENUE.profile.shorting


def test_what_the_venue_allows() -> None:
    assert VENUE.profile.unmatched == "expire"
    rules = {rule.name: rule for rule in VENUE.profile.rules()}
    assert {name: str(rule.meter) for name, rule in rules.items()} == {
        "request_weight": "6000 per 60 s of the clock",
        "orders_10s": "50 per 10 s of the clock",
        "orders_1d": "160000 per 86400 s of the clock",
    }
    ban = rules["request_weight"].ban
    assert ban is not None
    lengths = [ban.length_ns(earlier) // 10**9 for earlier in (0, 1, 2, 50)]
    assert lengths == [120, 240, 480, 3 * 86_400]
    assert [rules["request_weight"].tokens(kind, 1) for kind in (RequestKind.PLACE, RequestKind.QUERY)] == [1, 4]
    assert rules["orders_10s"].tokens(RequestKind.CANCEL, 1) == 0
