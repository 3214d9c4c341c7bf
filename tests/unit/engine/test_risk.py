"""Policies, and the rule that an order which reduces risk is never refused by a limit."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execsim.core.errors import ConfigError, RiskRejected
from execsim.core.instrument import Outcome
from execsim.core.order import Order, OrderId, OrderType, Side
from execsim.engine import InventoryLimit, KillSwitch, PositionLimit, RiskContext, RiskEngine

sizes = st.integers(0, 50)


def test_the_four_names_are_enough():
    engine = RiskEngine([PositionLimit(1000.0, market_id="0x123abc"), InventoryLimit(10_000), KillSwitch()])
    ctx = RiskContext(market_id="0x123abc", current_position=600, proposed_size=500.5, inventory_value_usd="10000.01")
    decision = engine.evaluate(ctx)
    assert not decision.allowed
    assert decision.violated_policies == ("PositionLimit", "InventoryLimit")
    assert decision.reasons == (
        "position 600 with open orders and +500.5 would reach 1100.5, limit 1000 (PositionLimit of 0x123abc)",
        "inventory would be worth 10000.01, limit 10000 (InventoryLimit)",
    )
    elsewhere = RiskContext("other", Decimal(600), Decimal(500), Decimal(10_000))
    assert engine.evaluate(elsewhere).allowed


def test_limits_are_inclusive_and_exact():
    engine = RiskEngine([PositionLimit(0.3)])
    assert engine.evaluate(RiskContext("m", 0.1, 0.2)).allowed
    assert not engine.evaluate(RiskContext("m", 0.1, "0.2000001")).allowed
    assert not engine.evaluate(RiskContext("m", 0, -1)).allowed


def test_a_negative_limit_is_a_config_error():
    with pytest.raises(ConfigError, match="cannot be negative"):
        PositionLimit(-1)


def test_an_order_through_zero_is_no_reduction():
    engine = RiskEngine([PositionLimit(5)])
    assert engine.evaluate(RiskContext("m", 20, -20)).allowed
    assert not engine.evaluate(RiskContext("m", 20, -27)).allowed


def test_the_kill_switch_does_not_spare_reductions():
    ctx = RiskContext("m", 20, -5, 10**9)
    assert RiskEngine([InventoryLimit(1), PositionLimit(1)]).evaluate(ctx).allowed
    assert RiskEngine([InventoryLimit(1), KillSwitch(True)]).evaluate(ctx).violated_policies == ("KillSwitch",)


@given(st.integers(-50, 50), st.integers(-50, 50).filter(bool), sizes, sizes, st.integers(0, 60))
def test_what_passes_is_within_the_limit_or_reduces_whatever_else_fills(position, proposed, buys, sells, limit):
    """For every way the open orders of this side may fill: |after| <= max(limit, |position|), and a refusal means that
    the worst case is above the limit and the order does not reduce."""
    ctx = RiskContext("m", position, proposed, 0, buys, sells)
    allowed = RiskEngine([PositionLimit(limit)]).evaluate(ctx).allowed
    same_side = buys if proposed > 0 else sells
    sign = 1 if proposed > 0 else -1
    outcomes = [position + sign * filled + proposed for filled in range(same_side + 1)]
    reduces = position * proposed < 0 and all(after * position >= 0 for after in outcomes)
    if allowed:
        assert all(abs(after) <= max(limit, abs(position)) for after in outcomes)
    else:
        assert abs(outcomes[-1]) > limit
        assert not reduces
    if reduces:
        assert allowed


def test_no_orders_count_by_their_effect_on_yes(rig):
    rig.engine.set_risk_engine(RiskEngine([PositionLimit(10)]))
    rig.engine.begin(rig.order(outcome=Outcome.NO))
    assert rig.engine.order_tracker.open_lots("rain") == (0, 10_000_000)
    with pytest.raises(RiskRejected, match="would reach -15"):
        rig.engine.begin(rig.order(side=Side.SELL, size=5))
    rig.engine.begin(rig.order(outcome=Outcome.NO, side=Side.SELL))


def test_a_position_can_always_be_closed(rig):
    order = rig.working(size=20)
    rig.venue.fill(order.id, 20_000_000)
    rig.engine.set_risk_engine(RiskEngine([PositionLimit(5), InventoryLimit(0)]))
    rig.engine.begin(rig.order(side=Side.SELL, size=15))
    rig.engine.begin(rig.order(outcome=Outcome.NO, size=5))
    with pytest.raises(RiskRejected, match="InventoryLimit"):
        rig.engine.begin(rig.order(side=Side.SELL, size=5))


def test_an_amount_is_judged_by_what_it_buys_at_the_touch(rig):
    rig.books.set_top("rain", 1900, 2000)
    rig.engine.set_risk_engine(RiskEngine([PositionLimit(50)]))

    def spend(units: int, outcome: Outcome = Outcome.YES) -> Order:
        return Order(
            OrderId(f"{units}{outcome}"), rig.market, Side.BUY, OrderType.MARKET, quote_amount=units, outcome=outcome
        )

    with pytest.raises(RiskRejected, match=r"would reach 50\.05"):
        rig.engine.begin(spend(10_010_000))
    rig.engine.begin(spend(10_000_000))
    with pytest.raises(RiskRejected, match=r"would reach -50\.01"):
        rig.engine.begin(spend(40_510_000, Outcome.NO))
    rig.books.set_top("rain", None, None)
    with pytest.raises(RiskRejected):
        rig.engine.begin(spend(1_000_000))


def test_inventory_is_the_worst_case_over_markets(rig):
    value = rig.engine.view.inventory_value
    rig.books.set_top("rain", 3900, 4100)
    order = rig.order(size=100, price="0.40")
    assert value(order, 100_000_000) == Decimal(40)
    # short YES is long NO, worth 1 - mark
    assert value(rig.order(side=Side.SELL, size=100), 100_000_000) == Decimal(60)
    rig.engine.begin(order)
    assert value(rig.order(size=50), 50_000_000) == Decimal(60)
    rig.books.set_top("BTCUSDT", 5_999_000, 6_001_000)
    coin = rig.order(instrument=rig.spot, price=60000, size=1)
    rig.run(rig.engine.submit_order(coin))
    rig.other.fill(coin.id, 50_000)
    assert value(rig.order(size=50), 50_000_000) == Decimal(60_060)


def test_the_mark_falls_back_from_mid_to_last_fill_to_the_order(rig):
    mark = rig.engine.view.mark_i
    assert mark("rain") is None
    assert rig.engine.view.inventory_value(rig.order(price="0.30"), 10_000_000) == Decimal(3)
    order = rig.working()
    rig.venue.fill(order.id, 5_000_000, price_i=4400)
    assert mark("rain") == 4400
    rig.books.set_top("rain", 4900, None)
    assert mark("rain") == 4400
    rig.books.set_top("rain", 4900, 5001)
    assert mark("rain") == 4951
