"""How patient a scenario's engine is with its venues: deadlines, repeats, circuit breaker, reconciliation."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

from pydantic import Field

from execsim.core.units import NS_PER_MS, NS_PER_S
from execsim.engine.breaker import BreakerConfig
from execsim.engine.recover import ReconcileConfig
from execsim.engine.retry import RetryConfig
from execsim.engine.route import RouteConfig
from execsim.scenario.section import Number, Section


class Calls(Section):
    """docs/orders.md says what each is for."""

    deadline_s: Number = Field(Decimal(15), gt=0, le=3_600, description="how long a call of a venue may take")
    attempts: int = Field(3, ge=1, le=20, description="calls in all where one surely had no effect; 1: never again")
    pause_ms: Number = Field(
        Decimal(100), gt=0, le=60_000, description="pause before the second call, doubled each time"
    )
    within_s: Number = Field(Decimal(2), gt=0, le=3_600, description="an order is not sent again later than this")
    breaker_failures: int = Field(5, ge=1, description="calls in a row without an answer that open the circuit breaker")
    breaker_probe_s: Number = Field(Decimal(1), gt=0, le=3_600, description="first health check while it is open")
    reconcile_every_s: Number = Field(Decimal(0), ge=0, description="compare books with the venue this often; 0: never")
    strangers: Literal["adopt", "cancel", "leave"] = Field(
        "leave", description="orders of the account that nobody here placed"
    )

    def engine(self) -> dict[str, Any]:
        """The settings as fields of EngineConfig."""
        retry = RetryConfig(self.attempts, int(self.pause_ms * NS_PER_MS), within_ns=int(self.within_s * NS_PER_S))
        breaker = BreakerConfig(self.breaker_failures, int(self.breaker_probe_s * NS_PER_S))
        calls = RouteConfig(int(self.deadline_s * NS_PER_S), retry, breaker)
        return {"calls": calls, "reconcile": ReconcileConfig(self.strangers)}

    @property
    def reconcile_ns(self) -> int:
        """0: never."""
        return int(self.reconcile_every_s * NS_PER_S)
