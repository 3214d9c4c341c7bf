"""What the worst outcome costs: against every outcome and every way open orders may fill, and through the engine."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execsim.core.errors import ConfigError, RiskRejected
from execsim.core.instrument import Outcome
from execsim.core.order import Order, OrderId, OrderType, Side
from execsim.core.position import Position
from execsim.engine import MaxOutcomeLoss, RiskEngine
from execsim.engine.outcomes import Stake, worst_loss
from execsim.engine.portfolio import Portfolio
from execsim.testing import MockVenue

LOT = 1_000_000  # lots in a share, and units in a dollar

trades = st.tuples(st.sampled_from(Side), st.sampled_from(Outcome), st.integers(1, 99), st.integers(1, 9))
"""(side, outcome, price in cents, shares)"""
markets = st.tuples(st.integers(0, 5), st.lists(trades, max_size=3), st.lists(trades, max_size=3))
"""(full sets held, trades done, orders open)"""


def pays(trade: Any, wins: bool) -> int:
    """Cents a trade earns once the market has paid (YES `wins` or not)."""
    side, outcome, cents, shares = trade
    worth = 100 if (outcome is Outcome.YES) is wins else 0
    return side.sign * shares * (worth - cents)


def order_of(instrument: Any, trade: Any) -> Order:
    side, outcome, cents, shares = trade
    return Order(
        OrderId("o"), instrument, side, OrderType.LIMIT, size_lots=shares * LOT, price_i=cents * 100, outcome=outcome
    )


@given(st.lists(markets, min_size=1, max_size=3))
def test_the_worst_is_the_worst_of_all_outcomes_and_all_ways_to_fill(make_binary: Any, event: list[Any]) -> None:
    stakes = []
    for number, (sets, done, open_orders) in enumerate(event):
        instrument = make_binary(market=f"m{number}")
        portfolio = Portfolio()
        position = portfolio.open(instrument)
        portfolio.split(f"m{number}", sets * LOT)
        for side, outcome, cents, shares in done:
            position._book(side, outcome, shares * LOT, -side.sign * shares * cents * LOT // 100, 0)
        stake = Stake(instrument, position)
        for trade in open_orders:
            order = order_of(instrument, trade)
            stake.order(order, trade[3] * LOT, order.book_side is Side.BUY)
        stakes.append(stake)
    found = worst_loss(stakes, range(len(stakes)), exclusive=len(stakes) > 1)

    everything = [(number, trade) for number, (_, _, orders) in enumerate(event) for trade in orders]
    # one market by itself pays or does not; of several exactly one pays
    outcomes = [{0}, set()] if len(event) == 1 else [{winner} for winner in range(len(event))]
    losses = [
        -sum(pays(trade, number in winners) for number, (_, done, _) in enumerate(event) for trade in done)
        - sum(pays(trade, number in winners) for number, trade in filled)
        for winners in outcomes
        for count in range(len(everything) + 1)
        for filled in combinations(everything, count)
    ]
    assert found == max(losses) * LOT // 100


def test_an_order_without_a_price_counts_at_the_worst_there_is(make_binary: Any) -> None:
    market = make_binary()
    stake = Stake(market)
    stake.order(Order(OrderId("a"), market, Side.BUY, OrderType.MARKET, size_lots=3 * LOT), 3 * LOT, True)
    stake.order(Order(OrderId("b"), market, Side.SELL, OrderType.MARKET, size_lots=2 * LOT), 2 * LOT, False)
    stake.order(Order(OrderId("c"), market, Side.BUY, OrderType.MARKET, quote_amount=5, outcome=Outcome.NO), LOT, False)
    assert (stake.if_no, stake.if_yes) == (3 * LOT, 2 * LOT + 5)


def test_who_has_paid_can_no_longer_pay(make_binary: Any) -> None:
    stakes = []
    for yes, no in ((10, -1), (50, -1), (7, -1)):
        market = make_binary()
        # tokens that pay 1 against money that was paid for them
        stakes.append(Stake(market, Position(market, yes_lots=-yes - 1, cash=1)))
        assert (stakes[-1].if_yes, stakes[-1].if_no) == (yes, no)
    assert worst_loss(stakes, range(3), exclusive=True) == 48
    assert worst_loss(stakes, [0, 2], exclusive=True) == 8
    assert worst_loss(stakes, [], exclusive=True) == -3


# --- through the engine ------------------------------------------------------------------------------------------------


@pytest.fixture
def event(make_rig: Any, make_binary: Any) -> Any:
    """Three more markets; `sun`, `snow` and `fog` are one event, `rain` stands alone."""
    rig = make_rig()
    rig.days = {name: make_binary(market=name) for name in ("sun", "snow", "fog")}
    rig.days_venue = MockVenue(
        "kalshi", [replace(day, venue="kalshi") for day in rig.days.values()], rig.runtime, latency_ns=0
    )
    rig.days = dict(rig.days_venue.instruments())
    rig.engine.register_adapter(rig.days_venue)
    for day in rig.days.values():
        rig.books._tops[day.market] = rig.books._tops["rain"]
        rig.books._ticks[day.market] = day.tick_i
    rig.engine.declare_event(tuple(rig.days))
    return rig


def test_the_markets_of_an_event_count_together(event: Any) -> None:
    engine = event.engine
    engine.set_risk_engine(RiskEngine([MaxOutcomeLoss(10)]))
    sun, snow = event.days["sun"], event.days["snow"]
    engine.begin(event.order(instrument=sun, size=12, price="0.50"))
    with pytest.raises(RiskRejected, match="worst outcome of snow's event would lose 11, limit 10"):
        engine.begin(event.order(instrument=snow, size=10, price="0.50"))
    # selling snow hurts only if it snows: then sun's 6 are lost too
    engine.begin(event.order(instrument=snow, size=8, price="0.50", side=Side.SELL))
    with pytest.raises(RiskRejected, match="would lose 11"):
        engine.begin(event.order(instrument=snow, size=10, price="0.10", outcome=Outcome.NO))
    # rain is no part of the event
    engine.begin(event.order(size=20, price="0.50"))
    with pytest.raises(RiskRejected, match=r"worst outcome of rain's event would lose 11"):
        engine.begin(event.order(size=100, price="0.01"))


def test_a_hedge_across_the_event_needs_no_room(event: Any) -> None:
    """NO of two of three outcomes: one of them pays at least."""
    engine = event.engine
    engine.set_risk_engine(RiskEngine([MaxOutcomeLoss("2")]))
    for name in ("sun", "snow"):
        order = event.order(instrument=event.days[name], size=10, price="0.10", outcome=Outcome.NO)
        event.run(engine.submit_order(order))
        event.days_venue.fill(order.id, order.size_lots)
    measured = engine.guard.measures.of_order(
        event.order(instrument=event.days["fog"], size=10, price="0.20"), 10_000_000, engine.guard.risk.needs
    )
    # paid 1 + 1; if sun or snow pays 10 come back, if fog pays 20; the order costs 2 unless fog pays
    assert measured.outcome_loss_usd == Decimal(-6)


def test_open_orders_an_amend_and_a_reduction(rig: Any) -> None:
    rig.engine.set_risk_engine(RiskEngine([MaxOutcomeLoss(10)]))
    order = rig.working(size=20, price="0.40")
    with pytest.raises(RiskRejected, match="would lose 12"):
        rig.run(rig.engine.modify_order(order.id, price_i=6000))
    rig.run(rig.engine.modify_order(order.id, price_i=5000))
    rig.venue.fill(order.id, 20_000_000)
    rig.engine.set_risk_engine(RiskEngine([MaxOutcomeLoss(5)]))
    with pytest.raises(RiskRejected, match="would lose 12"):
        rig.engine.begin(rig.order(size=5, price="0.40"))
    rig.engine.begin(rig.order(side=Side.SELL, size=10, price="0.10"))


def test_spot_has_no_outcomes(rig: Any) -> None:
    rig.engine.set_risk_engine(RiskEngine([MaxOutcomeLoss(0)]))
    rig.engine.begin(rig.order(instrument=rig.spot, price=60000, size=100))


def test_an_event_is_of_binary_markets_once(event: Any) -> None:
    with pytest.raises(ConfigError, match="'sun' is in two events"):
        event.engine.declare_event(("sun", "rain"))
    with pytest.raises(ConfigError, match="'BTCUSDT' cannot be an outcome"):
        event.engine.declare_event(("rain", "BTCUSDT"))
    with pytest.raises(ConfigError, match="'mars' is not traded"):
        event.engine.declare_event(("mars",))
    event.engine.declare_event(("sun", "snow", "fog"))
