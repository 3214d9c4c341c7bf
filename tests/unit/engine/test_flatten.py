"""The way out: planned as the market's rules want it, taken whatever is halted, and honest about what is left."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execsim.core.errors import ConfigError, RiskRejected, VenueError
from execsim.core.events import Top
from execsim.core.instrument import Outcome
from execsim.core.order import MarketId, OrderStatus, OrderType, Side, TimeInForce
from execsim.engine import OrderRate, PositionLimit, PriceBand, RiskEngine, StaleData
from execsim.engine.flatten import ROUNDS_MAX, Exit, plan_exit
from execsim.testing import Ack, Refuse, Silence

SHARE = 1_000_000
S = OrderStatus


def top(bid_i: int | None, ask_i: int | None) -> Top:
    return Top(MarketId("rain"), 0, bid_i, 1, ask_i, 1)


# --- the plan ----------------------------------------------------------------------------------------------------------


def test_what_is_held_is_sold_as_it_is_held(make_binary: Any) -> None:
    market = make_binary()
    yes = plan_exit(market, Outcome.YES, 20 * SHARE, top(4800, 5200), 100, 10**12)
    no = plan_exit(market, Outcome.NO, 20 * SHARE, top(4800, 5200), 100, 10**12)
    assert yes == Exit(Outcome.YES, Side.SELL, 20 * SHARE, 4800)
    # the YES ask of 0.52 is a NO bid of 0.48
    assert no == Exit(Outcome.NO, Side.SELL, 20 * SHARE, 4800)


def test_a_short_spot_position_is_bought_back(make_spot: Any) -> None:
    assert plan_exit(make_spot(), Outcome.YES, -5, top(100, 200), 1, 10**12) == Exit(Outcome.YES, Side.BUY, 5, 200)


def test_prices_and_sizes_keep_the_rules(make_binary: Any, make_spot: Any) -> None:
    market = make_binary()
    # a best price from before the tick grew: rounded towards those we want to meet
    assert plan_exit(market, Outcome.YES, 20 * SHARE, top(4810, None), 100, 10**12).price_i == 4800
    assert plan_exit(market, Outcome.NO, 20 * SHARE, top(None, 4810), 100, 10**12).price_i == 5100
    assert plan_exit(market, Outcome.YES, 200 * SHARE, top(40, None), 100, 10**12).price_i == 100
    assert plan_exit(make_spot(), Outcome.YES, -5, top(None, 205), 10, 10**12).price_i == 210
    assert plan_exit(market, Outcome.YES, 20_005_000, top(4800, None), 100, 10**12).lots == 20_000_000
    assert plan_exit(market, Outcome.YES, 20 * SHARE, top(4800, None), 100, 7 * SHARE).lots == 7 * SHARE
    # below the minimum size or value of orders that rest: a market order
    assert plan_exit(market, Outcome.YES, 4 * SHARE, top(4800, None), 100, 10**12).price_i is None
    assert plan_exit(market, Outcome.YES, 20 * SHARE, top(400, None), 100, 10**12).price_i is None
    assert plan_exit(market, Outcome.YES, 20 * SHARE, top(500, None), 100, 10**12).price_i == 500
    assert "0.005 is less than the least that can be traded, 0.01" in plan_exit(
        market, Outcome.YES, 5_000, top(4800, None), 100, 10**12
    )
    assert plan_exit(market, Outcome.YES, 20 * SHARE, top(None, 5200), 100, 10**12) == "nobody bids"
    assert plan_exit(make_spot(), Outcome.YES, -5, top(100, None), 1, 10**12) == "nobody offers"
    assert plan_exit(market, Outcome.YES, 20 * SHARE, None, 100, 10**12).price_i is None


@given(
    st.integers(1, 10**9), st.sampled_from(Outcome), st.integers(1, 99), st.integers(1, 99),
    st.sampled_from([10, 50, 100]), st.integers(1, 10**9),
)  # fmt: skip
def test_an_exit_never_sells_more_than_is_held_and_always_meets_the_best_price(
    make_binary: Any, lots: int, outcome: Outcome, low: int, high: int, tick_i: int, most: int
) -> None:
    market, (bid, ask) = make_binary(), sorted((low * 100, high * 100))
    found = plan_exit(market, outcome, lots, top(bid, ask), tick_i, most)
    if isinstance(found, str):
        assert min(lots, most) < market.size_step_lots
        return
    assert 0 < found.lots <= min(lots, most)
    assert found.lots % market.size_step_lots == 0
    assert found.side is Side.SELL
    if found.price_i is not None:
        assert found.price_i % tick_i == 0
        assert found.price_i <= max(tick_i, bid if outcome is Outcome.YES else 10_000 - ask)


# --- carried out -------------------------------------------------------------------------------------------------------


def held(rig: Any, size: int = 20, outcome: Outcome = Outcome.YES) -> None:
    order = rig.working(size=size, outcome=outcome)
    rig.venue.fill(order.id, size * SHARE)


def test_everything_open_is_cancelled_and_everything_held_is_sold(rig: Any) -> None:
    held(rig)
    resting = rig.working(side=Side.SELL, price="0.60")
    rig.books.set_top("rain", 4800, 5200)
    rig.venue.answers.append(Ack((20 * SHARE,)))
    [result] = rig.run(rig.engine.flatten())
    assert result.flat
    assert str(result) == "rain: flat"
    assert (result.yes_left, result.no_left, len(result.orders)) == (0, 0, 1)
    assert resting.status is S.CANCELLED
    order = rig.engine.get_order(result.orders[0])
    assert (order.side, order.type, order.tif, order.price_i, order.size_lots, order.tag) == (
        Side.SELL, OrderType.LIMIT, TimeInForce.IOC, 4800, 20 * SHARE, "flatten",
    )  # fmt: skip
    assert not rig.engine.get_position("rain").net_lots


def test_both_tokens_are_sold_where_sets_do_not_merge(rig: Any) -> None:
    held(rig)
    held(rig, 12, Outcome.NO)
    rig.books.set_top("rain", 4800, 5200)
    rig.venue.answers += [Ack((20 * SHARE,)), Ack((12 * SHARE,))]
    [result] = rig.run(rig.engine.flatten("rain"))
    sold = [rig.engine.get_order(name) for name in result.orders]
    assert [(order.side, order.outcome, order.size_lots) for order in sold] == [
        (Side.SELL, Outcome.YES, 20 * SHARE),
        (Side.SELL, Outcome.NO, 12 * SHARE),
    ]
    assert result.flat


def test_what_the_touch_does_not_take_is_tried_again_and_then_reported(rig: Any) -> None:
    held(rig)
    rig.books.set_top("rain", 4800, 5200)
    rig.venue.answers += [Ack((6 * SHARE,)), Ack((6 * SHARE,))]
    rig.venue.answers += [Ack()] * (ROUNDS_MAX - 2)
    started = rig.runtime.now_ns()

    async def flatten() -> Any:
        found = rig.runtime.spawn(rig.engine.flatten(), "flatten")
        while not found.done:
            # the mock rests an IOC it does not fill: it drops what is left as a venue would
            for order in rig.engine.get_active_orders():
                if order.status is S.WORKING:
                    rig.venue.drop(order.id, "unfilled rest of IOC")
            await rig.runtime.sleep(1_000_000)
        return found.result

    [result] = rig.run(flatten())
    assert result.yes_left == 8
    assert result.reason == "the best price had no more to give"
    assert str(result) == "rain: 8 left: the best price had no more to give"
    assert len(result.orders) == ROUNDS_MAX
    sizes = [rig.engine.get_order(name).size_lots // SHARE for name in result.orders]
    assert sizes == [20, 14, 8, 8, 8]
    assert rig.runtime.now_ns() - started >= (ROUNDS_MAX - 1) * 10**9


def test_it_passes_halts_and_the_kill_switch(rig: Any) -> None:
    held(rig)
    rig.books.set_top("rain", 4800, 5200)
    rig.engine.set_risk_engine(
        RiskEngine([PositionLimit(0, action="halt"), OrderRate(1, 3600), StaleData("0.000001", action="halt")])
    )
    with pytest.raises(RiskRejected):
        rig.engine.begin(rig.order())
    rig.engine.kill("operator")
    rig.venue.answers.append(Ack((20 * SHARE,)))
    [result] = rig.run(rig.engine.flatten())
    assert result.flat
    with pytest.raises(RiskRejected, match="operator"):
        rig.engine.begin(rig.order(side=Side.SELL))


def test_a_price_band_binds_it_and_it_says_so(rig: Any) -> None:
    held(rig)
    rig.engine.set_risk_engine(RiskEngine([PriceBand("0.10"), PositionLimit(0)]))
    rig.books.set_top("rain", 500, 9500)
    [result] = rig.run(rig.engine.flatten())
    assert result.yes_left == 20
    assert "price 0.05 is worse by 0.45 than 0.5, limit 0.1 (PriceBand" in result.reason
    rig.books.set_top("rain", 4800, 5200)
    rig.venue.answers.append(Ack((20 * SHARE,)))
    assert rig.run(rig.engine.flatten())[0].flat


def test_leftovers_are_reported(rig: Any) -> None:
    held(rig, 20)
    rig.books.set_top("rain", 4800, 5200)
    rig.engine.portfolio.position("rain").yes_lots += 5_000
    rig.venue.answers.append(Ack((20 * SHARE,)))
    [result] = rig.run(rig.engine.flatten())
    assert result.yes_left == Decimal("0.005")
    assert not result.flat
    assert "0.005 is less than the least that can be traded, 0.01" in result.reason


def test_a_venue_that_refuses_is_quoted(rig: Any) -> None:
    held(rig)
    rig.books.set_top("rain", 4800, 5200)
    rig.venue.answers.append(Refuse(VenueError("polymarket", "halted", "trading is paused")))
    [result] = rig.run(rig.engine.flatten())
    assert result.reason == "polymarket: trading is paused [halted]"
    assert result.yes_left == 20


def test_nobody_bids(rig: Any) -> None:
    held(rig)
    rig.books.set_top("rain", None, 5200)
    [result] = rig.run(rig.engine.flatten())
    assert (result.reason, result.orders) == ("nobody bids", ())


def test_what_another_order_may_still_sell_is_not_sold_twice(rig: Any) -> None:
    """Its cancel is not answered: it may have sold 15 of the 20, so only 5 are sold, and the order is named."""
    held(rig)
    rig.books.set_top("rain", 4800, 5200)
    closing = rig.working(side=Side.SELL, size=15, price="0.60")
    rig.venue.cancel_answers += [Silence()] * 3
    rig.venue.answers.append(Ack((5 * SHARE,)))

    async def flatten() -> Any:
        return await rig.engine.flatten()

    [result] = rig.run(flatten())
    assert [rig.engine.get_order(name).size_lots for name in result.orders] in ([5 * SHARE], [5 * SHARE, 15 * SHARE])
    sent = sum(rig.engine.get_order(name).filled_lots for name in result.orders)
    assert sent + closing.filled_lots <= 20 * SHARE
    assert f"order {closing.id} may still trade" in result.reason


def test_a_market_that_has_ended_pays_out(rig: Any) -> None:
    held(rig)
    rig.engine.blotter.close("rain", 10_000, True)
    [result] = rig.run(rig.engine.flatten())
    assert "it pays out" in result.reason
    assert result.orders == ()


def test_only_what_was_asked_for(rig: Any) -> None:
    held(rig)
    coin = rig.order(instrument=rig.spot, price=60000, size=1)
    rig.run(rig.engine.submit_order(coin))
    rig.books.set_top("rain", 4800, 5200)
    rig.venue.answers.append(Ack((20 * SHARE,)))
    [result] = rig.run(rig.engine.flatten("rain"))
    assert (result.market, coin.status) == ("rain", S.WORKING)
    assert rig.run(rig.engine.flatten("rain"))[0].flat
    with pytest.raises(ConfigError, match="'mars' is not traded"):
        rig.run(rig.engine.flatten("mars"))
    assert rig.run(rig.engine.flatten(())) == []


def test_a_strategy_flattens_its_own_markets_and_hears_of_it(rig: Any) -> None:
    held(rig)
    ctx = rig.context()
    rig.books.set_top("rain", 4800, 5200)
    rig.venue.answers.append(Ack((20 * SHARE,)))
    updates = ctx.updates("rain")
    results = rig.run(ctx.flatten())
    assert [result.market for result in results] == ["rain", "BTCUSDT"]
    assert all(result.flat for result in results)

    async def heard() -> list[str]:
        await updates.aclose()
        return [update.event.value async for update in updates]

    assert rig.run(heard()) == ["send", "done", "ack"]
