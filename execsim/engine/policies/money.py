"""What may be at stake, in dollars: a unit of every quote asset counts as one."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from execsim.core.units import Number, plain
from execsim.engine.policies.limit import bind, limit
from execsim.engine.risk import Measure, PolicyTraits, RiskAction, RiskContext


@dataclass(frozen=True, slots=True)
class InventoryLimit:
    """Worst-case value of everything held, this order and open orders included, <= max_value_usd; with a market_id, of what
    is held in that market."""

    max_value_usd: Decimal
    market_id: str | None = None
    action: RiskAction = RiskAction.REJECT

    name: ClassVar[str] = "InventoryLimit"
    traits: ClassVar[PolicyTraits] = PolicyTraits(limit=True, needs=frozenset({Measure.INVENTORY}))

    def __init__(
        self, max_value_usd: Number, market_id: str | None = None, action: RiskAction | str = RiskAction.REJECT
    ) -> None:
        bind(self, market_id, action, max_value_usd=limit(max_value_usd, "InventoryLimit.max_value_usd"))

    def violation(self, ctx: RiskContext) -> str | None:
        value = ctx.inventory_value_usd if self.market_id is None else ctx.market_value_usd
        if value <= self.max_value_usd:
            return None
        where = "" if self.market_id is None else f" of {self.market_id}"
        return f"inventory would be worth {plain(value)}, limit {plain(self.max_value_usd)} (InventoryLimit{where})"


@dataclass(frozen=True, slots=True)
class MaxNotional:
    """Size times price of one order <= max_value_usd. A market order counts at the touch; one without a touch counts as
    worth 1 a share, or (spot) at our last execution, and is refused where there is none."""

    max_value_usd: Decimal
    market_id: str | None = None
    action: RiskAction = RiskAction.REJECT

    name: ClassVar[str] = "MaxNotional"
    traits: ClassVar[PolicyTraits] = PolicyTraits(limit=True, needs=frozenset({Measure.VALUE}))

    def __init__(
        self, max_value_usd: Number, market_id: str | None = None, action: RiskAction | str = RiskAction.REJECT
    ) -> None:
        bind(self, market_id, action, max_value_usd=limit(max_value_usd, "MaxNotional.max_value_usd"))

    def violation(self, ctx: RiskContext) -> str | None:
        value = ctx.order_value_usd
        if value is None:
            return f"nobody knows what the order in {ctx.market_id} is worth: no price, no book (MaxNotional)"
        if value <= self.max_value_usd:
            return None
        return f"an order worth {plain(value)} in {ctx.market_id}, limit {plain(self.max_value_usd)} (MaxNotional)"


@dataclass(frozen=True, slots=True)
class MaxOutcomeLoss:
    """Loss of a binary market in its worst outcome <= max_loss_usd; the markets of one neg-risk event, of which exactly one
    pays, count together. Each open order, this one too, is taken as filled at its price in the outcomes where that hurts.
    Says nothing of spot markets."""

    max_loss_usd: Decimal
    market_id: str | None = None
    action: RiskAction = RiskAction.REJECT

    name: ClassVar[str] = "MaxOutcomeLoss"
    traits: ClassVar[PolicyTraits] = PolicyTraits(limit=True, needs=frozenset({Measure.OUTCOMES}))

    def __init__(
        self, max_loss_usd: Number, market_id: str | None = None, action: RiskAction | str = RiskAction.REJECT
    ) -> None:
        bind(self, market_id, action, max_loss_usd=limit(max_loss_usd, "MaxOutcomeLoss.max_loss_usd"))

    def violation(self, ctx: RiskContext) -> str | None:
        loss = ctx.outcome_loss_usd
        if loss is None or loss <= self.max_loss_usd:
            return None
        return (
            f"the worst outcome of {ctx.market_id}'s event would lose {plain(loss)}, "
            f"limit {plain(self.max_loss_usd)} (MaxOutcomeLoss)"
        )
