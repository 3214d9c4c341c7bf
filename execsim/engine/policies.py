"""The risk policies: one small class each. A policy is its parameters."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from execsim.core.errors import ConfigError
from execsim.core.units import Number, decimal_of, plain
from execsim.engine.risk import RiskContext


@dataclass(frozen=True, slots=True)
class PositionLimit:
    """|position + open orders of this side + this order| <= max_size, in human units; no market_id = every market."""

    max_size: Decimal
    market_id: str | None = None

    name: ClassVar[str] = "PositionLimit"
    exempts_reducing: ClassVar[bool] = True
    uses_inventory: ClassVar[bool] = False

    def __init__(self, max_size: Number, market_id: str | None = None) -> None:
        object.__setattr__(self, "max_size", _limit(max_size, "PositionLimit.max_size"))
        object.__setattr__(self, "market_id", market_id)

    def violation(self, ctx: RiskContext) -> str | None:
        if self.market_id is not None and self.market_id != ctx.market_id:
            return None
        worst = ctx.worst_position
        if abs(worst) <= self.max_size:
            return None
        return (
            f"position {plain(ctx.current_position)} with open orders and {ctx.proposed_size:+f} would reach "
            f"{plain(worst)}, limit {plain(self.max_size)} (PositionLimit of {ctx.market_id})"
        )


@dataclass(frozen=True, slots=True)
class InventoryLimit:
    """Worst-case value of everything held, this order and open orders included, <= max_value_usd."""

    max_value_usd: Decimal

    name: ClassVar[str] = "InventoryLimit"
    exempts_reducing: ClassVar[bool] = True
    uses_inventory: ClassVar[bool] = True

    def __init__(self, max_value_usd: Number) -> None:
        object.__setattr__(self, "max_value_usd", _limit(max_value_usd, "InventoryLimit.max_value_usd"))

    def violation(self, ctx: RiskContext) -> str | None:
        if ctx.inventory_value_usd <= self.max_value_usd:
            return None
        return (
            f"inventory would be worth {plain(ctx.inventory_value_usd)}, "
            f"limit {plain(self.max_value_usd)} (InventoryLimit)"
        )


@dataclass(frozen=True, slots=True)
class KillSwitch:
    """While enabled only cancels pass, whatever an order would reduce."""

    enabled: bool = False

    name: ClassVar[str] = "KillSwitch"
    exempts_reducing: ClassVar[bool] = False
    uses_inventory: ClassVar[bool] = False

    def violation(self, ctx: RiskContext) -> str | None:
        return "the kill switch is on: only cancels pass" if self.enabled else None


def _limit(value: Number, what: str) -> Decimal:
    limit = decimal_of(value, what)
    if limit < 0:
        raise ConfigError(f"{what} is {value}", "a limit cannot be negative")
    return limit
