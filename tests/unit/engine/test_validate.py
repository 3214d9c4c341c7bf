"""Every rule, with the text a user reads."""

from __future__ import annotations

from dataclasses import replace

import pytest

from execsim.core.errors import ConfigError, ValidationError
from execsim.core.instrument import Outcome
from execsim.core.order import OrderType, Side, TimeInForce
from execsim.engine import OrderValidator, ValidatorConfig

MARKET, POST, GTD, IOC = OrderType.MARKET, OrderType.POST_ONLY, TimeInForce.GTD, TimeInForce.IOC

BAD = {
    "blank id": ({"id": "  "}, "the order's id is empty (rule ids); give every order a non-empty id"),
    "no size": ({"size": None}, "neither a size nor a quote amount (rule size_or_amount)"),
    "both": ({"quote_amount": 5_000_000}, "both a size and a quote amount (rule size_or_amount)"),
    "zero": ({"size": 0}, "size 0 is not positive (rule size_positive)"),
    "negative": ({"size": -3}, "size -3 is not positive (rule size_positive)"),
    "zero amount": (
        {"type": MARKET, "price": None, "size": None, "quote_amount": 0},
        "quote amount 0 is not positive (rule amount_positive)",
    ),
    "amount on a limit order": ({"size": None, "quote_amount": 5_000_000}, "(rule amount_market_buy)"),
    "amount on a sell": (
        {"side": Side.SELL, "type": MARKET, "price": None, "size": None, "quote_amount": 5_000_000},
        "a quote amount on a market sell order (rule amount_market_buy)",
    ),
    "market with price": ({"type": MARKET}, "a market order with a price of 0.5 (rule market_price)"),
    "limit without price": ({"price": None}, "a limit order without a price (rule limit_price)"),
    "post-only without price": ({"price": None, "type": POST}, "a post_only order without a price (rule limit_price)"),
    "post-only ioc": ({"type": POST, "tif": IOC}, "a post-only order with IOC (rule post_only_rests)"),
    "expiry on gtc": ({"expire_ns": 10**18}, "an expiry on a GTC order (rule expiry_only_gtd)"),
    "expiry on ioc": ({"tif": IOC, "expire_ns": 10**18}, "an expiry on a IOC order (rule expiry_only_gtd)"),
    "gtd without expiry": ({"tif": GTD}, "a GTD order without expire_ns (rule expiry_missing)"),
    "gtd too late": ({"tif": GTD, "expire_ns": 999_999_990}, "the order expired 10 ns ago (rule expiry_future)"),
    "gtd now": ({"tif": GTD, "expire_ns": 1_000_000_000}, "expired 0 ns ago"),
    "gtd market": ({"type": MARKET, "price": None, "tif": GTD, "expire_ns": 10**18}, "(rule market_rests)"),
    "tiny": ({"size": "0.005"}, "size 0.005 is below the minimum 0.01 (rule size_min); raise the size"),
    "huge": ({"size": 1_000_001}, "size 1000001 is above the maximum 1000000 (rule size_max); split the order"),
    "step": ({"size": "5.005"}, "size 5.005 is not a multiple of 0.01 (rule size_step); round to 5"),
    "venue minimum": (
        {"size": 3},
        "size 3 is below the minimum 5 of polymarket (rule venue_size_min); raise the size to 5",
    ),
    "price zero": ({"price": 0}, "price 0 is outside 0.0001 to 1 (rule price_bounds)"),
    "price above one": ({"price": "1.01"}, "price 1.01 is outside 0.0001 to 1 (rule price_bounds)"),
    "tick": ({"price": "0.505"}, "price 0.505 is not a multiple of the tick 0.01 (rule tick); use 0.5 or 0.51"),
    "notional": ({"price": "0.01", "size": 50}, "value 0.5 is below the minimum 1 USDC (rule notional_min)"),
    "amount notional": (
        {"type": MARKET, "price": None, "size": None, "quote_amount": 900_000},
        "value 0.9 is below the minimum 1 USDC (rule notional_min)",
    ),
}

GOOD = {
    "limit": {},
    "no": {"outcome": Outcome.NO, "side": Side.SELL},
    "post-only": {"type": POST},
    "gtd": {"tif": GTD, "expire_ns": 1_000_000_001},
    "market by size below the venue minimum": {"type": MARKET, "price": None, "size": 1},
    "market by amount": {"type": MARKET, "price": None, "size": None, "quote_amount": 1_000_000},
    "largest": {"size": 1_000_000},
    "price one": {"price": 1},
}


@pytest.mark.parametrize(("changes", "text"), BAD.values(), ids=BAD)
def test_refused(rig, changes, text):
    validator = OrderValidator()
    validator.register(rig.market)
    with pytest.raises(ValidationError) as caught:
        validator.validate(rig.order(**changes), rig.engine.view)
    assert text in str(caught.value)


@pytest.mark.parametrize("changes", GOOD.values(), ids=GOOD)
def test_accepted(rig, changes):
    validator = OrderValidator()
    validator.register(rig.market)
    assert validator.check(rig.order(**changes), rig.engine.view) is None


def test_the_tick_in_force_counts_not_the_first(rig):
    order = rig.order(price="0.505")
    rig.books.set_tick("rain", 10)
    rig.engine.begin(order)


def test_spot_has_no_no_side(rig):
    order = rig.order(instrument=rig.spot, price=60000, size=1, outcome=Outcome.NO)
    with pytest.raises(ValidationError, match="BTCUSDT is a spot market and has no NO side"):
        rig.engine.begin(order)


def test_what_cannot_be_computed_exactly_is_refused(rig, make_spot):
    wide = make_spot(price_max_i=2**50)
    validator = OrderValidator(ValidatorConfig(size_bounds={"binance": (1, 10**12)}))
    validator.register(wide)
    order = rig.order(instrument=wide, price="1000000000", size=10**8)
    assert validator.check(order, rig.engine.view).rule == "notional_bound"


def test_spot_bounds_come_from_the_instrument_or_the_config(make_spot):
    naked = make_spot(price_min_i=None, price_max_i=None)
    with pytest.raises(ConfigError, match=r'ValidatorConfig\(price_bounds=\{"BTCUSDT"'):
        OrderValidator().register(naked)
    OrderValidator(ValidatorConfig(price_bounds={"binance": (1, 10**6)})).register(naked)
    with pytest.raises(ConfigError, match="leave no valid order"):
        OrderValidator(ValidatorConfig(price_bounds={"BTCUSDT": (10, 9)})).register(naked)


def test_market_bounds_override_venue_bounds_and_the_tighter_counts(rig):
    config = ValidatorConfig(
        size_bounds={"polymarket": (1, 2), "rain": (1, 7)}, price_bounds={"rain": ("0.10", "0.90")}
    )
    validator = OrderValidator(config)
    validator.register(replace(rig.market, price_min_i=2000, price_max_i=9500))
    view = rig.engine.view
    assert validator.check(rig.order(size=7), view) is None
    assert validator.check(rig.order(size=8), view).rule == "size_max"
    assert validator.check(rig.order(size=6, price="0.20"), view) is None
    assert "outside 0.2 to 0.9" in validator.check(rig.order(size=6, price="0.19"), view).what
