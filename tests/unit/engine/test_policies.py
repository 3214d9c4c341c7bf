"""Each policy on both sides of its limit, bound to a market and not, several at once, and what it asks for."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from execsim.core.errors import ConfigError
from execsim.core.units import NS_PER_S
from execsim.engine import (
    DailyLoss,
    InventoryLimit,
    KillSwitch,
    MaxDrawdown,
    MaxNotional,
    MaxOpenOrders,
    MaxOrderSize,
    MaxOutcomeLoss,
    OrderRate,
    PositionLimit,
    PriceBand,
    RiskAction,
    RiskContext,
    RiskDecision,
    RiskEngine,
    StaleData,
    VenueHealth,
)
from execsim.engine.policies import POLICIES
from execsim.engine.risk import Measure, Pnl, Standing
from execsim.ports import NEVER


def context(market_id: str = "m", position: Any = 0, proposed: Any = 1, **fields: Any) -> RiskContext:
    return RiskContext(market_id, position, proposed, **fields)


def pnl(now: Any, peak: Any = 0, day_start: Any = 0) -> Pnl:
    return Pnl(Decimal(now), Decimal(peak), Decimal(day_start))


def times(*seconds: float) -> list[int]:
    return [int(t * NS_PER_S) for t in seconds]


D = Decimal

SIDES = [
    # policy, a context that is just inside, one that is just outside, what the refusal says
    (PositionLimit(10), {"position": 7, "open_buy": 1, "proposed": 2}, {"position": 7, "open_buy": 1, "proposed": "2.01"},
     "would reach 10.01, limit 10"),
    (PositionLimit(10), {"position": -7, "open_sell": 1, "proposed": -2}, {"position": -8, "open_sell": 1, "proposed": -2},
     "would reach -11"),
    (MaxOrderSize(10), {"proposed": -10}, {"proposed": "-10.5"}, "an order of 10.5 in m, limit 10"),
    (MaxNotional("5.5"), {"order_value_usd": D("5.5")}, {"order_value_usd": D("5.51")}, "worth 5.51 in m, limit 5.5"),
    (MaxNotional(5), {"order_value_usd": D(0)}, {"order_value_usd": None}, "nobody knows what the order in m is worth"),
    (InventoryLimit(100), {"inventory_value_usd": 100}, {"inventory_value_usd": "100.01"}, "worth 100.01, limit 100"),
    (MaxOpenOrders(3), {"open_orders": 2}, {"open_orders": 3}, "3 orders are open already, limit 3"),
    (OrderRate(2, per_s=1), {"order_times": times(3, 4), "now_ns": 4 * NS_PER_S},
     {"order_times": times(3.5, 4), "now_ns": 4 * NS_PER_S}, "2 orders in the last 1 s"),
    (PriceBand(max_distance="0.05"), {"price": D("0.55"), "reference_price": D("0.5")},
     {"price": D("0.56"), "reference_price": D("0.5")}, "price 0.56 is worse by 0.06 than 0.5, limit 0.05"),
    (PriceBand(max_percent=10), {"proposed": -1, "price": D("0.45"), "reference_price": D("0.5")},
     {"proposed": -1, "price": D("0.4499"), "reference_price": D("0.5")}, "limit 0.05"),
    (PriceBand(max_distance=1), {"price": None, "reference_price": D("0.5")}, {"price": D("0.5"), "reference_price": None},
     "no price of m is known"),
    (MaxDrawdown(10), {"pnl": pnl(-4, peak=6)}, {"pnl": pnl("-4.01", peak=6)}, "fell by 10.01 from 6, limit 10"),
    (DailyLoss(10), {"pnl": pnl(-4, day_start=6)}, {"pnl": pnl(-5, day_start=6)}, "11 was lost since the UTC day began"),
    (MaxOutcomeLoss(10), {"outcome_loss_usd": D(10)}, {"outcome_loss_usd": D("10.000001")}, "would lose 10.000001"),
    (MaxOutcomeLoss(10), {"outcome_loss_usd": None}, {"outcome_loss_usd": D(11)}, "limit 10"),
    (StaleData("0.5"), {"data_age_ns": 500_000_000}, {"data_age_ns": 500_000_001}, "is 0.500000001 s old, limit 0.5 s"),
    (StaleData(5), {"data_age_ns": 0}, {"data_age_ns": 0, "in_gap": True}, "the data of m has a gap"),
    (StaleData(5, gaps=False), {"data_age_ns": 0, "in_gap": True}, {"data_age_ns": NEVER}, "no data of m has reached us"),
    (StaleData(5), {"data_age_ns": 1}, {"data_age_ns": None}, "no data of m"),
    (VenueHealth(), {"healthy": True}, {"healthy": False}, "the venue of m does not answer"),
    (KillSwitch(True), None, {}, "the kill switch is on"),
    (KillSwitch(False), {}, None, ""),
]  # fmt: skip


@pytest.mark.parametrize(("policy", "inside", "outside", "said"), SIDES, ids=lambda value: getattr(value, "name", None))
def test_both_sides_of_the_limit(policy: Any, inside: Any, outside: Any, said: str) -> None:
    engine = RiskEngine([policy])
    if inside is not None:
        assert engine.evaluate(context(**inside)) == RiskDecision(True)
    if outside is not None:
        decision = engine.evaluate(context(**outside))
        assert (decision.allowed, decision.violated_policies) == (False, (policy.name,))
        assert said in decision.reasons[0]
        assert policy.name in decision.reasons[0] or isinstance(policy, KillSwitch)
        assert decision.action is policy.action


def test_the_table_has_every_policy() -> None:
    assert {type(policy) for policy, *_ in SIDES} == set(POLICIES)


@pytest.mark.parametrize("kind", POLICIES, ids=lambda kind: kind.__name__)
def test_bound_to_a_market_a_policy_says_nothing_of_others(kind: Any) -> None:
    """Each of these is violated by everything; bound to another market nobody notices."""
    arguments: dict[Any, dict[str, Any]] = {
        PositionLimit: {"max_size": 0},
        InventoryLimit: {"max_value_usd": 0},
        KillSwitch: {"enabled": True},
        MaxOrderSize: {"max_size": 0},
        MaxNotional: {"max_value_usd": 0},
        MaxOpenOrders: {"max_orders": 1},
        OrderRate: {"max_orders": 1},
        PriceBand: {"max_distance": 0},
        MaxDrawdown: {"max_loss_usd": 0},
        DailyLoss: {"max_loss_usd": 0},
        MaxOutcomeLoss: {"max_loss_usd": 0},
        StaleData: {"max_age_s": 1},
        VenueHealth: {},
    }
    policy = kind(**arguments[kind], market_id="bound")
    bad: dict[str, Any] = {
        "market_value_usd": D(1), "order_value_usd": D(1), "market_open_orders": 1, "market_order_times": [0],
        "price": D("0.6"), "reference_price": D("0.5"), "market_pnl": pnl(-1), "outcome_loss_usd": D(1), "healthy": False,
    }  # fmt: skip
    engine = RiskEngine([policy])
    assert engine.evaluate(context("bound", **bad)).violated_policies == (policy.name,)
    assert engine.evaluate(context("other", **bad)).allowed


def test_a_bound_policy_looks_at_its_market_alone() -> None:
    """Busy, rich and losing elsewhere; nothing of it here."""
    elsewhere: dict[str, Any] = {
        "inventory_value_usd": 10**6, "open_orders": 99, "order_times": times(1, 1, 1), "now_ns": NS_PER_S,
        "pnl": pnl(-(10**6)), "market_pnl": pnl(0),
    }  # fmt: skip
    policies = [
        InventoryLimit(1, "m"),
        MaxOpenOrders(1, "m"),
        OrderRate(1, 1, "m"),
        MaxDrawdown(1, "m"),
        DailyLoss(1, "m"),
    ]
    assert RiskEngine(policies).evaluate(context(**elsewhere)).allowed


def test_several_of_a_kind_are_reported_together_in_their_order() -> None:
    engine = RiskEngine([
        MaxOrderSize(5), PositionLimit(20, "m"), PositionLimit(10), MaxOrderSize(50, action="halt"),
        PositionLimit(5, "other"), MaxOrderSize(8, "m", RiskAction.REDUCE_ONLY),
    ])  # fmt: skip
    decision = engine.evaluate(context(proposed=15))
    assert decision.violated_policies == ("MaxOrderSize", "PositionLimit", "MaxOrderSize")
    assert len(decision.reasons) == 3
    assert decision.action is RiskAction.REDUCE_ONLY
    assert [breach.market_id for breach in decision.breaches] == [None, None, "m"]
    assert engine.evaluate(context(proposed=60)).action is RiskAction.HALT
    assert engine.evaluate(context("else", proposed=60)).violated_policies == (
        "MaxOrderSize",
        "PositionLimit",
        "MaxOrderSize",
    )


def test_the_rule_of_reductions() -> None:
    """A limit does not refuse an order that reduces; a guard does; what a standing limit asks for is still reported."""
    closing = {"position": 10, "proposed": -10}
    limits = [
        PositionLimit(0), InventoryLimit(0), MaxOrderSize(0), MaxNotional(0), MaxOpenOrders(1), MaxOutcomeLoss(0),
    ]  # fmt: skip
    bad: dict[str, Any] = {
        "inventory_value_usd": 1, "order_value_usd": D(1), "open_orders": 9, "outcome_loss_usd": D(1),
        "pnl": pnl(-1), "price": D("0.4"), "reference_price": D("0.5"), "order_times": [0], "healthy": False,
    }  # fmt: skip
    assert RiskEngine(limits).evaluate(context(**closing, **bad)) == RiskDecision(True)
    losing = RiskEngine([MaxDrawdown(0, action="halt"), DailyLoss(0)]).evaluate(context(**closing, **bad))
    assert losing.allowed
    assert [(breach.policy, breach.action) for breach in losing.breaches] == [
        ("MaxDrawdown", RiskAction.HALT),
        ("DailyLoss", RiskAction.REJECT),
    ]
    guards = [PriceBand(0), OrderRate(1), StaleData(1), VenueHealth(), KillSwitch(True)]
    refused = RiskEngine(guards).evaluate(context(**closing, **bad))
    assert refused.violated_policies == tuple(policy.name for policy in guards)
    assert [kind.__name__ for kind in POLICIES if not kind.traits.limit] == [
        "KillSwitch", "OrderRate", "PriceBand", "StaleData", "VenueHealth",
    ]  # fmt: skip


def test_a_price_too_good_is_no_danger() -> None:
    band = RiskEngine([PriceBand("0.01")])
    assert band.evaluate(context(price=D("0.1"), reference_price=D("0.5"))).allowed
    assert band.evaluate(context(proposed=-1, price=D("0.9"), reference_price=D("0.5"))).allowed


def test_of_two_widths_the_smaller_binds() -> None:
    both = RiskEngine([PriceBand(max_distance="0.02", max_percent=50)])
    assert not both.evaluate(context(price=D("0.53"), reference_price=D("0.5"))).allowed
    both = RiskEngine([PriceBand(max_distance=1, max_percent=1)])
    assert "limit 0.005" in both.evaluate(context(price=D("0.53"), reference_price=D("0.5"))).reasons[0]


def test_numbers_are_what_was_typed() -> None:
    assert PositionLimit(0.1).max_size == D("0.1")
    assert MaxDrawdown("12.50").max_loss_usd == D("12.5")
    assert OrderRate(3, per_s=0.25)._window_ns == NS_PER_S // 4
    assert MaxOrderSize(1, action="halt_and_cancel").action is RiskAction.HALT_AND_CANCEL
    assert {policy.action for policy, *_ in SIDES if not isinstance(policy, KillSwitch)} == {RiskAction.REJECT}


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: PositionLimit(-1), r"PositionLimit\.max_size is -1"),
        (lambda: MaxNotional("much"), r"MaxNotional\.max_value_usd: 'much' is not a number"),
        (lambda: MaxOrderSize(float("nan")), r"MaxOrderSize\.max_size: nan is not a finite number"),
        (lambda: MaxOpenOrders(0), r"MaxOpenOrders\.max_orders is 0; give a whole number, at least 1"),
        (lambda: MaxOpenOrders(True), r"MaxOpenOrders\.max_orders is True"),
        (lambda: OrderRate(2, per_s=0), r"OrderRate\.per_s is 0; give seconds, more than 0"),
        (lambda: OrderRate(10**6), r"OrderRate\.max_orders is 1000000; at most 100000"),
        (lambda: StaleData(0), r"StaleData\.max_age_s is 0"),
        (lambda: PriceBand(), r"PriceBand has no width"),
        (
            lambda: DailyLoss(1, action="stop"),
            r"DailyLoss\.action is 'stop'; one of: reject, reduce_only, halt, halt_and",
        ),
    ],
)
def test_wrong_numbers_name_the_policy_and_the_field(make: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make()


def test_only_what_some_policy_needs_is_asked_for() -> None:
    engine = RiskEngine([PositionLimit(1), MaxNotional(1), InventoryLimit(5, "rich"), PriceBand(1), PriceBand(2)])
    assert engine.rules("m").needs == (Measure.VALUE, Measure.PRICE)
    assert engine.rules("rich").needs == (Measure.INVENTORY, Measure.VALUE, Measure.PRICE)
    assert RiskEngine([OrderRate(3), OrderRate(9, market_id="m")]).orders_remembered == 9


def test_what_acts_without_an_order() -> None:
    assert not RiskEngine([MaxDrawdown(1), StaleData(1), PositionLimit(1, action="halt")]).acts
    acting = RiskEngine([MaxDrawdown(1, action="halt"), StaleData(1, market_id="m", action="reduce_only")])
    assert acting.acts
    assert [policy.name for policy in acting.account] == ["MaxDrawdown"]
    assert [policy.name for policy in acting.rules("m").standing] == ["StaleData"]
    assert acting.rules("other").standing == ()
    standing = {kind.__name__: kind.traits.standing for kind in POLICIES if kind.traits.standing}
    assert standing == {
        "MaxDrawdown": Standing.ACCOUNT, "DailyLoss": Standing.ACCOUNT,
        "StaleData": Standing.MARKET, "VenueHealth": Standing.MARKET,
    }  # fmt: skip
