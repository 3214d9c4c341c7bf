"""May we take this risk? `RiskEngine.evaluate(RiskContext) -> RiskDecision`, all violations reported together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Protocol

from execsim.core.order import Order
from execsim.core.units import Number, decimal_of


@dataclass(slots=True)
class RiskContext:
    """What a policy judges: one order and the worst case around it.

    Sizes are in human units of the market (contracts, coins), exact decimals (numbers of other types are read as
    written), by their effect on the net YES position: buying NO is selling YES. `proposed_size` is signed, `open_buy`
    and `open_sell` are what open orders may still trade, both >= 0 and without this order. `inventory_value_usd` already
    contains the order and all open ones at their worst.
    """

    market_id: str
    current_position: Decimal
    proposed_size: Decimal
    inventory_value_usd: Decimal = Decimal(0)
    open_buy: Decimal = Decimal(0)
    open_sell: Decimal = Decimal(0)
    now_ns: int = 0
    order: Order | None = None

    def __post_init__(self) -> None:
        for name in ("current_position", "proposed_size", "inventory_value_usd", "open_buy", "open_sell"):
            value: Number = getattr(self, name)
            if not isinstance(value, Decimal):
                setattr(self, name, decimal_of(value, name))

    @property
    def worst_position(self) -> Decimal:
        """Position if this order and every open order of its side fill completely."""
        if self.proposed_size >= 0:
            return self.current_position + self.open_buy + self.proposed_size
        return self.current_position - self.open_sell + self.proposed_size

    @property
    def reducing(self) -> bool:
        """Whether |position + all open reducing orders + this one| shrinks and never crosses zero (design §10)."""
        position, proposed = self.current_position, self.proposed_size
        if position > 0 > proposed:
            return position - self.open_sell + proposed >= 0
        if position < 0 < proposed:
            return position + self.open_buy + proposed <= 0
        return False


class Policy(Protocol):
    """One rule of risk. `exempts_reducing`: an order that reduces risk passes. `uses_inventory`: reads
    inventory_value_usd, which costs a walk over the markets held and is computed only if some policy asks."""

    @property
    def name(self) -> str: ...

    @property
    def exempts_reducing(self) -> bool: ...

    @property
    def uses_inventory(self) -> bool: ...

    def violation(self, ctx: RiskContext) -> str | None:
        """What is violated, with both numbers, or None. Pure."""


@dataclass(frozen=True, slots=True)
class RiskDecision:
    """`violated_policies` are names in policy order, `reasons` the sentences that go with them."""

    allowed: bool
    violated_policies: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()


ALLOWED: Final = RiskDecision(True)


class RiskEngine:
    """Evaluates every policy on every order; an empty list allows everything."""

    def __init__(self, policies: Sequence[Policy] = ()) -> None:
        self.policies: tuple[Policy, ...] = tuple(policies)
        self.uses_inventory = any(policy.uses_inventory for policy in self.policies)

    def evaluate(self, ctx: RiskContext) -> RiskDecision:
        """Judge one order. Pure: the same context gives the same decision."""
        violated: list[tuple[Policy, str]] = []
        for policy in self.policies:
            reason = policy.violation(ctx)
            if reason is not None:
                violated.append((policy, reason))
        if violated and ctx.reducing:
            violated = [(policy, reason) for policy, reason in violated if not policy.exempts_reducing]
        if not violated:
            return ALLOWED
        return RiskDecision(
            False, tuple(policy.name for policy, _ in violated), tuple(reason for _, reason in violated)
        )
