"""How many orders: open at once, and within a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import ClassVar, Final

from execsim.core.errors import ConfigError
from execsim.core.units import NS_PER_S, Number, plain
from execsim.engine.policies.limit import bind, count, duration_ns, limit
from execsim.engine.risk import Measure, PolicyTraits, RiskAction, RiskContext

RATE_MAX: Final = 100_000
"""Largest OrderRate.max_orders: so many times of orders are kept in memory."""


@dataclass(frozen=True, slots=True)
class MaxOpenOrders:
    """Open orders, this one included, <= max_orders: of the account, or in one market."""

    max_orders: int
    market_id: str | None = None
    action: RiskAction = RiskAction.REJECT

    name: ClassVar[str] = "MaxOpenOrders"
    traits: ClassVar[PolicyTraits] = PolicyTraits(limit=True, needs=frozenset({Measure.ORDERS}))

    def __init__(
        self, max_orders: int, market_id: str | None = None, action: RiskAction | str = RiskAction.REJECT
    ) -> None:
        bind(self, market_id, action, max_orders=count(max_orders, "MaxOpenOrders.max_orders"))

    def violation(self, ctx: RiskContext) -> str | None:
        others = ctx.open_orders if self.market_id is None else ctx.market_open_orders
        if others < self.max_orders:
            return None
        where = "" if self.market_id is None else f" of {self.market_id}"
        return f"{others} orders are open already, limit {self.max_orders} (MaxOpenOrders{where})"


@dataclass(frozen=True, slots=True)
class OrderRate:
    """Orders that passed the checks within any `per_s` seconds, this one included, <= max_orders: of the account, or in one
    market. A guard against a strategy gone wild: it binds orders that reduce, too. Amends do not count."""

    max_orders: int
    per_s: Decimal = Decimal(1)
    market_id: str | None = None
    action: RiskAction = RiskAction.REJECT
    _window_ns: int = field(default=NS_PER_S, repr=False, compare=False)

    name: ClassVar[str] = "OrderRate"
    traits: ClassVar[PolicyTraits] = PolicyTraits(limit=False, needs=frozenset({Measure.RATE}))

    def __init__(
        self,
        max_orders: int,
        per_s: Number = Decimal(1),
        market_id: str | None = None,
        action: RiskAction | str = RiskAction.REJECT,
    ) -> None:
        if count(max_orders, "OrderRate.max_orders") > RATE_MAX:
            raise ConfigError(f"OrderRate.max_orders is {max_orders}", f"at most {RATE_MAX}")
        bind(
            self,
            market_id,
            action,
            max_orders=max_orders,
            per_s=limit(per_s, "OrderRate.per_s"),
            _window_ns=duration_ns(per_s, "OrderRate.per_s"),
        )

    @property
    def orders_remembered(self) -> int:
        return self.max_orders

    def violation(self, ctx: RiskContext) -> str | None:
        times = ctx.order_times if self.market_id is None else ctx.market_order_times
        # the window is open at its far end: an order exactly per_s ago no longer counts
        if len(times) < self.max_orders or times[-self.max_orders] <= ctx.now_ns - self._window_ns:
            return None
        where = "" if self.market_id is None else f" of {self.market_id}"
        return f"{self.max_orders} orders in the last {plain(self.per_s)} s, which is the limit (OrderRate{where})"
