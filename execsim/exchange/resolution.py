"""How a binary market ends: proposed, perhaps disputed, final, paid. Trading stops at the proposal.

    proposed ──delay──▶ final ──▶ paid (or waiting to be redeemed)
        └──▶ disputed ──longer──▶ final, as proposed or void (1/2 each)

Source: polymarket.md section 8: UMA optimistic oracle with a challenge of about 2 h, crypto markets by Chainlink; a 50/50
resolution pays 0.50 to each side. How often disputes happen is the scenario's to say.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from execsim.core.errors import ConfigError
from execsim.ports import Priority, Runtime

MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class ResolutionModel:
    """`delay_ns` from the proposal to the payout, `dispute_ns` more if it is disputed (`dispute_per_million` are), and of
    the disputed `void_per_million` end void. `auto_redeem`: tokens become cash by themselves; else the trader asks.
    """

    delay_ns: int = 0
    dispute_per_million: int = 0
    dispute_ns: int = 0
    void_per_million: int = 0
    auto_redeem: bool = True

    def __post_init__(self) -> None:
        if min(self.delay_ns, self.dispute_ns) < 0:
            raise ConfigError("a resolution that is paid before it is proposed", "delays are 0 or more")
        for name in ("dispute_per_million", "void_per_million"):
            if not 0 <= getattr(self, name) <= MILLION:
                raise ConfigError(f"{name} {getattr(self, name)}", "a share of a million: 0 to 1000000")

    def longest_ns(self) -> int:
        """How long after a proposal its payout may come."""
        return self.delay_ns + (self.dispute_ns if self.dispute_per_million else 0)


class Resolutions:
    """The markets of one venue that have ended. `final(market, payoff_i)` is called when a payoff stands."""

    def __init__(
        self, runtime: Runtime, venue_id: str, model: ResolutionModel, final: Callable[[int, int], None]
    ) -> None:
        self._runtime = runtime
        self._model = model
        self._final = final
        self._rng = runtime.rng(f"{venue_id}.resolution")
        self.proposed: dict[int, int] = {}
        """market -> what was proposed first"""
        self.disputed: set[int] = set()
        self.void: set[int] = set()

    def knows(self, market: int) -> bool:
        """Whether somebody has said how it ended."""
        return market in self.proposed

    def propose(self, market: int, payoff_i: int, one_i: int) -> None:
        """Somebody says how it ended, for the first time. `one_i`: price 1.0 of the market."""
        self.proposed[market] = payoff_i
        model, wait_ns = self._model, self._model.delay_ns
        if self._rng.below(MILLION) < model.dispute_per_million:
            self.disputed.add(market)
            wait_ns += model.dispute_ns
            if self._rng.below(MILLION) < model.void_per_million:
                self.void.add(market)
                payoff_i = one_i // 2
        if wait_ns:
            at_ns = self._runtime.now_ns() + wait_ns
            self._runtime.call_at(at_ns, self._final, market, payoff_i, priority=Priority.VENUE)
        else:
            self._final(market, payoff_i)
