from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from execsim.core.errors import ConfigError, ValidationError
from execsim.core.fees import Liquidity
from execsim.core.instrument import Outcome
from execsim.core.order import Fill, FillId, OrderId, Side
from execsim.engine import Portfolio

prices = st.integers(1, 9999)
lots = st.integers(1, 50_000_000)
actions = st.one_of(
    st.tuples(st.just("fill"), st.sampled_from(Side), st.sampled_from(Outcome), prices, lots, st.integers(-999, 9999)),
    st.tuples(st.just("split"), lots),
    st.tuples(st.just("merge"), lots),
    st.tuples(st.just("void")),
    st.tuples(st.just("settle"), st.sampled_from([0, 5000, 10_000])),
)


@pytest.fixture(scope="session")
def market(make_binary):
    return make_binary()


def fill_of(market, n, side, outcome, price_i, size, fee):
    cash = market.cash(price_i, size)
    signed = -cash if side is Side.BUY else cash
    return Fill(FillId(f"f{n}"), OrderId("o"), 0, side, outcome, price_i, size, signed, fee, Liquidity.TAKER)


@settings(max_examples=200)
@given(st.lists(actions, max_size=30), st.sampled_from([0, 10_000]))
def test_money_and_shares_are_conserved(market, steps, payoff_i):
    """Cash moved = what fills, sets and the payout moved, to the unit; when all is settled, PnL is the change of cash."""
    portfolio = Portfolio()
    position = portfolio.open(market)
    portfolio.deposit(market.quote, 1_000_000_000)
    cash, tokens, fees, fills = 1_000_000_000, {Outcome.YES: 0, Outcome.NO: 0}, 0, []
    ended, paid = {Outcome.YES: 0, Outcome.NO: 0}, 0  # tokens paid out so far: the contract rounds on all of them
    for n, (kind, *rest) in enumerate(steps):
        if kind == "fill":
            fill = fill_of(market, n, *rest)
            portfolio.apply(fill, market)
            fills.append(fill)
            cash += fill.cash - fill.fee
            fees += fill.fee
            tokens[fill.outcome] += fill.side.sign * fill.lots
        elif kind == "void" and fills:
            fill = fills.pop()
            portfolio.void(fill, market)
            cash -= fill.cash - fill.fee
            fees -= fill.fee
            tokens[fill.outcome] -= fill.side.sign * fill.lots
        elif kind in ("split", "merge"):
            size = rest[0] if kind == "split" else -rest[0]
            if -size > min(tokens.values()) and size < 0:
                with pytest.raises(ValidationError):
                    portfolio.merge("rain", -size)
                continue
            portfolio.split("rain", size) if size > 0 else portfolio.merge("rain", -size)
            cash -= market.par(size) if size > 0 else -market.par(-size)
            tokens = {outcome: held + size for outcome, held in tokens.items()}
        elif kind == "settle":
            fills.clear()
            ended = {outcome: ended[outcome] + held for outcome, held in tokens.items()}
            cash += _payout(market, ended, payoff_i) - paid
            paid = _payout(market, ended, payoff_i)
            portfolio.settle("rain", payoff_i)
            tokens = {Outcome.YES: 0, Outcome.NO: 0}
        assert portfolio.cash["USDC"] == cash
        assert (position.yes_lots, position.no_lots) == (tokens[Outcome.YES], tokens[Outcome.NO])
        assert ("rain" in portfolio.held) == (position.net_lots != 0)
    totals = portfolio.totals({})["USDC"]
    assert totals.fees - totals.rebates == fees
    ended = {outcome: ended[outcome] + held for outcome, held in tokens.items()}
    cash += _payout(market, ended, payoff_i) - paid
    assert portfolio.settle("rain", payoff_i) == _payout(market, ended, payoff_i) - paid
    totals = portfolio.totals({})["USDC"]
    assert totals.unrealised == 0
    assert totals.net == portfolio.cash["USDC"] - 1_000_000_000 == cash - 1_000_000_000


def _payout(market, tokens, payoff_i):
    return market.cash(payoff_i, tokens[Outcome.YES]) + market.cash(10_000 - payoff_i, tokens[Outcome.NO])


def test_totals_by_asset(rig):
    order = rig.working(price="0.40")
    rig.venue.fill(order.id, 10_000_000)
    coin = rig.order(instrument=rig.spot, price=60000, size=1)
    rig.run(rig.engine.submit_order(coin))
    rig.other.fill(coin.id, 100_000)
    totals = rig.engine.portfolio.totals({"rain": 4500, "BTCUSDT": 6_100_000})
    assert totals["USDC"].decimals()["unrealised"] == Decimal("0.5")
    spot = totals["USDT"].decimals()
    assert (spot["unrealised"], spot["rebates"], spot["fees"], spot["net"]) == (1000, 6, 0, 1006)
    assert set(rig.engine.get_all_positions()) == {"rain", "BTCUSDT"}
    # without books a held market is marked at our last execution
    assert rig.engine.marks() == {"rain": 4000, "BTCUSDT": 6_000_000}


def test_starting_inventory_is_no_profit(market):
    portfolio = Portfolio()
    portfolio.open(market)
    portfolio.deposit(market.quote, 10_000_000)
    portfolio.split("rain", 10_000_000)
    assert portfolio.cash == {"USDC": 0}
    assert portfolio.totals({"rain": 1234})["USDC"].net == 0
    assert portfolio.settle("rain", 10_000) == 10_000_000
    assert portfolio.totals({})["USDC"].net == 0


def test_an_unknown_market_is_a_config_error():
    with pytest.raises(ConfigError, match="snow"):
        Portfolio().position("snow")
