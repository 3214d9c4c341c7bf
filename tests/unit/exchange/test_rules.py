"""The venue says no in its own words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest
from worlds import OPEN_PROFILE, VENUE_NAME, binary, coarse

from execsim.core.errors import ExecError
from execsim.core.instrument import Instrument, InstrumentKind, Outcome
from execsim.core.order import Order, OrderId, OrderType, Side, TimeInForce
from execsim.core.units import NOTIONAL_MAX
from execsim.exchange.refusal import NEUTRAL, refuse
from execsim.exchange.resting import VenueOrder
from execsim.exchange.rules import Gate
from execsim.kernel import MarketSpan, Replay
from execsim.ports import VenueProfile


def test_a_refusal_uses_the_venues_text_and_keeps_fields_it_cannot_fill() -> None:
    profile = VenueProfile(texts={"tick": ("E7", "price {price}, tick {tick}, mood {mood}")})
    error = refuse("sim", profile, "tick", price=Decimal("0.5"), tick=Decimal("0.01"), unused=1)
    assert error.args == ("sim", "E7", "price 0.5, tick 0.01, mood {mood}")
    assert refuse("sim", profile, "fok").args[1:] == NEUTRAL["fok"]


@pytest.fixture
def check() -> Callable[..., str]:
    """The code of the first rule an order breaks, "" if none: on a market without a book, at time 0."""

    def judge(order: Order, known: bool = True, profile: VenueProfile = OPEN_PROFILE) -> str:
        gate = Gate(VENUE_NAME, profile, Replay([MarketSpan(1, 1, order.instrument.tick_i)]))
        error: ExecError | None = gate.check(VenueOrder.of(order, "trader", 0 if known else -1, "v"), 0)
        return "" if error is None else str(error.args[1])

    return judge


def order(
    instrument: Instrument, price: int | None, size: int | None, quote: int | None = None, **more: object
) -> Order:
    given = {"type": OrderType.MARKET if price is None else OrderType.LIMIT, "side": Side.BUY, **more}
    return Order(OrderId("a"), instrument, size_lots=size, quote_amount=quote, price_i=price, **given)  # type: ignore[arg-type]


def test_sizes(check: Callable[..., str]) -> None:
    rain = binary()
    assert check(order(rain, 5_000, 5_000_000)) == ""
    assert check(order(rain, 5_000, 4_990_000)) == "SIZE_MIN"
    assert check(order(rain, 5_000, 5_000_001)) == "SIZE_STEP"
    assert check(order(rain, 5_000, 0)) == "SIZE_MIN"
    assert check(order(rain, 5_000, -5_000_000)) == "SIZE_MIN"
    # a market order may sell what is left of a position
    assert check(order(rain, None, 10_000, side=Side.SELL)) == ""
    assert check(order(rain, None, 0, side=Side.SELL)) == "SIZE_MIN"
    assert check(order(rain, 5_000, 5_000_000), known=False) == "UNKNOWN_MARKET"


def test_prices(check: Callable[..., str]) -> None:
    rain, coin = binary(), coarse("coin", InstrumentKind.SPOT, tick_i=5, price_min_i=10, price_max_i=1_000)
    outside = dict.fromkeys((0, 99, 9_950, 10_000, 15_000), "PRICE_RANGE")
    for price, code in {100: "", 9_900: "", 150: "TICK", **outside}.items():
        assert check(order(rain, price, 5_000_000)) == code, price
        assert check(order(rain, price, 5_000_000, outcome=Outcome.NO)) == code, price
    for price, code in ((10, ""), (1_000, ""), (5, "PRICE_RANGE"), (1_005, "PRICE_RANGE"), (12, "TICK")):
        assert check(order(coin, price, 10)) == code, price
    assert check(order(coarse("free", InstrumentKind.SPOT), 10**9, 1)) == ""
    assert check(order(coarse("free", InstrumentKind.SPOT), -1, 1)) == "PRICE_RANGE"


def test_values(check: Callable[..., str]) -> None:
    coin = coarse("coin", InstrumentKind.SPOT, notional_min=500)
    assert check(order(coin, 50, 10)) == ""
    assert check(order(coin, 50, 9)) == "NOTIONAL_MIN"
    assert check(order(coin, None, None, 499)) == "NOTIONAL_MIN"
    assert check(order(coin, None, None, 500)) == ""
    assert check(order(coin, None, 1)) == ""  # no book: nobody knows what it is worth, and nothing fills
    assert check(order(coin, 2**31, 2**31)) == "BOUND"
    assert NOTIONAL_MAX == 2**31 * 2**31


def test_lifetimes(check: Callable[..., str]) -> None:
    rain, early = binary(), replace(OPEN_PROFILE, gtd_min_ns=100)

    def gtd(expire_ns: int | None) -> Order:
        return order(rain, 5_000, 5_000_000, tif=TimeInForce.GTD, expire_ns=expire_ns)

    assert check(gtd(1)) == ""
    assert check(gtd(0)) == "EXPIRED"
    assert check(gtd(-5)) == "EXPIRED"
    assert check(gtd(99), profile=early) == "EXPIRY"
    assert check(gtd(100), profile=early) == ""
