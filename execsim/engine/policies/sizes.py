"""How much may be held, and how much ordered at once. Sizes in human units of the market."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from execsim.core.units import Number, plain
from execsim.engine.policies.limit import bind, limit
from execsim.engine.risk import PolicyTraits, RiskAction, RiskContext


@dataclass(frozen=True, slots=True)
class PositionLimit:
    """|position + open orders of this side + this order| <= max_size, in human units; no market_id = every market by
    itself."""

    max_size: Decimal
    market_id: str | None = None
    action: RiskAction = RiskAction.REJECT

    name: ClassVar[str] = "PositionLimit"
    traits: ClassVar[PolicyTraits] = PolicyTraits(limit=True)

    def __init__(
        self, max_size: Number, market_id: str | None = None, action: RiskAction | str = RiskAction.REJECT
    ) -> None:
        bind(self, market_id, action, max_size=limit(max_size, "PositionLimit.max_size"))

    def violation(self, ctx: RiskContext) -> str | None:
        worst = ctx.worst_position
        if abs(worst) <= self.max_size:
            return None
        return (
            f"position {plain(ctx.current_position)} with open orders and {ctx.proposed_size:+f} would reach "
            f"{plain(worst)}, limit {plain(self.max_size)} (PositionLimit of {ctx.market_id})"
        )


@dataclass(frozen=True, slots=True)
class MaxOrderSize:
    """Size of one order (what it may still trade) <= max_size, in human units."""

    max_size: Decimal
    market_id: str | None = None
    action: RiskAction = RiskAction.REJECT

    name: ClassVar[str] = "MaxOrderSize"
    traits: ClassVar[PolicyTraits] = PolicyTraits(limit=True)

    def __init__(
        self, max_size: Number, market_id: str | None = None, action: RiskAction | str = RiskAction.REJECT
    ) -> None:
        bind(self, market_id, action, max_size=limit(max_size, "MaxOrderSize.max_size"))

    def violation(self, ctx: RiskContext) -> str | None:
        size = abs(ctx.proposed_size)
        if size <= self.max_size:
            return None
        return f"an order of {plain(size)} in {ctx.market_id}, limit {plain(self.max_size)} (MaxOrderSize)"
