from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from execsim.core.instrument import Outcome
from execsim.core.order import Order, OrderId, OrderStatus, OrderType, Side
from execsim.core.position import Position
from execsim.strategy.legs import leg
from tests.unit.strategy.fakes import binary, spot

MARKET = binary()
SHARE = 1_000_000


def selling(outcome: Outcome, lots: int, status: OrderStatus = OrderStatus.WORKING) -> Order:
    order = Order(OrderId("x"), MARKET, Side.SELL, OrderType.LIMIT, size_lots=lots, price_i=9000, outcome=outcome)
    order.status = status
    return order


def test_open_sells_reserve_what_is_held() -> None:
    held = Position(MARKET, yes_lots=20 * SHARE)
    working = [selling(Outcome.YES, 12 * SHARE), selling(Outcome.NO, 9 * SHARE)]
    working.append(selling(Outcome.YES, 9 * SHARE, OrderStatus.CANCELLED))
    assert leg(MARKET, held, working, Side.SELL, 5200, 10 * SHARE, shorting=False) == (
        Side.SELL,
        Outcome.YES,
        5200,
        8 * SHARE,
    )
    working.append(selling(Outcome.YES, 7 * SHARE))
    assert leg(MARKET, held, working, Side.SELL, 5200, 10 * SHARE, shorting=False) == (
        Side.BUY,
        Outcome.NO,
        4800,
        10 * SHARE,
    )


def test_less_than_the_minimum_is_no_order() -> None:
    assert leg(MARKET, Position(MARKET), [], Side.BUY, 4800, 5 * SHARE - 1, shorting=False) is None


def test_spot_shorts_only_when_told() -> None:
    coin = spot()
    assert leg(coin, Position(coin, yes_lots=3), [], Side.SELL, 5200, 10, shorting=False) == (
        Side.SELL,
        Outcome.YES,
        5200,
        3,
    )
    assert leg(coin, Position(coin), [], Side.SELL, 5200, 10, shorting=False) is None
    assert leg(coin, Position(coin), [], Side.SELL, 5200, 10, shorting=True) == (Side.SELL, Outcome.YES, 5200, 10)
    assert leg(coin, Position(coin), [], Side.BUY, 5200, 10, shorting=False) == (Side.BUY, Outcome.YES, 5200, 10)


@given(
    st.integers(0, 30 * SHARE),
    st.integers(0, 30 * SHARE),
    st.integers(0, 30 * SHARE),
    st.sampled_from(Side),
    st.integers(1, 9999),
    st.integers(1, 50 * SHARE),
)
def test_a_leg_is_the_wanted_risk_and_never_a_naked_sell(
    yes: int, no: int, reserved: int, side: Side, price_i: int, lots: int
) -> None:
    working = [selling(Outcome.YES, reserved), selling(Outcome.NO, reserved)]
    chosen = leg(MARKET, Position(MARKET, yes_lots=yes, no_lots=no), working, side, price_i, lots, shorting=False)
    if chosen is None:
        assert lots < MARKET.size_min_lots
        return
    order = Order(OrderId("y"), MARKET, chosen.side, OrderType.LIMIT, price_i=chosen.price_i, outcome=chosen.outcome)
    assert (order.book_side, order.book_price_i) == (side, price_i)
    assert MARKET.size_min_lots <= chosen.lots <= lots
    assert chosen.lots % MARKET.size_step_lots == 0
    if chosen.side is Side.SELL:
        assert chosen.lots <= (yes if chosen.outcome is Outcome.YES else no) - reserved
