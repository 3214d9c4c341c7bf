"""How much may be lost. Profit counts fees, and open positions at their mark; both policies also act without an order."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from execsim.core.units import Number, plain
from execsim.engine.policies.limit import bind, limit
from execsim.engine.risk import Measure, PolicyTraits, RiskAction, RiskContext, Standing

LOSS = PolicyTraits(limit=True, needs=frozenset({Measure.PNL}), standing=Standing.ACCOUNT)


@dataclass(frozen=True, slots=True)
class MaxDrawdown:
    """Fall of the profit from its highest <= max_loss_usd: of the account, or of one market. The highest is at least 0, the
    start; `resume` begins anew from where the profit then stands."""

    max_loss_usd: Decimal
    market_id: str | None = None
    action: RiskAction = RiskAction.REJECT

    name: ClassVar[str] = "MaxDrawdown"
    traits: ClassVar[PolicyTraits] = LOSS

    def __init__(
        self, max_loss_usd: Number, market_id: str | None = None, action: RiskAction | str = RiskAction.REJECT
    ) -> None:
        bind(self, market_id, action, max_loss_usd=limit(max_loss_usd, "MaxDrawdown.max_loss_usd"))

    def violation(self, ctx: RiskContext) -> str | None:
        pnl = ctx.pnl if self.market_id is None else ctx.market_pnl
        if pnl is None or pnl.peak - pnl.now <= self.max_loss_usd:
            return None
        where = "" if self.market_id is None else f" of {self.market_id}"
        return (
            f"profit fell by {plain(pnl.peak - pnl.now)} from {plain(pnl.peak)}, "
            f"limit {plain(self.max_loss_usd)} (MaxDrawdown{where})"
        )


@dataclass(frozen=True, slots=True)
class DailyLoss:
    """Loss since the UTC day began <= max_loss_usd: of the account, or of one market. What was last seen of the profit
    before midnight is where the day begins."""

    max_loss_usd: Decimal
    market_id: str | None = None
    action: RiskAction = RiskAction.REJECT

    name: ClassVar[str] = "DailyLoss"
    traits: ClassVar[PolicyTraits] = LOSS

    def __init__(
        self, max_loss_usd: Number, market_id: str | None = None, action: RiskAction | str = RiskAction.REJECT
    ) -> None:
        bind(self, market_id, action, max_loss_usd=limit(max_loss_usd, "DailyLoss.max_loss_usd"))

    def violation(self, ctx: RiskContext) -> str | None:
        pnl = ctx.pnl if self.market_id is None else ctx.market_pnl
        if pnl is None or pnl.day_start - pnl.now <= self.max_loss_usd:
            return None
        where = "" if self.market_id is None else f" of {self.market_id}"
        return (
            f"{plain(pnl.day_start - pnl.now)} was lost since the UTC day began, "
            f"limit {plain(self.max_loss_usd)} (DailyLoss{where})"
        )
