"""The switch in the file of policies; `engine.kill`, a signal and a file throw the same one (engine/halt.py)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from execsim.engine.risk import PolicyTraits, RiskAction, RiskContext


@dataclass(frozen=True, slots=True)
class KillSwitch:
    """While enabled only cancels (and `flatten`) pass, whatever an order would reduce; setting it also cancels everything
    open. With a market_id, in that market."""

    enabled: bool = False
    market_id: str | None = None

    name: ClassVar[str] = "KillSwitch"
    action: ClassVar[RiskAction] = RiskAction.HALT_AND_CANCEL
    traits: ClassVar[PolicyTraits] = PolicyTraits(limit=False)

    def violation(self, ctx: RiskContext) -> str | None:
        return "the kill switch is on: only cancels and flatten pass" if self.enabled else None
