"""Estimates a run keeps beside its PnL: which markets accrue rebates and rewards, and who feeds them.

Rebates hear every fill the engine hears. Rewards look at the venue's book once a minute, at a random instant of it as the
venue does, drawn from a stream of their own: a run with estimates trades exactly as the run without.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from execsim.core.errors import ConfigError, ValidationError
from execsim.core.events import OrderUpdate
from execsim.core.instrument import Instrument, InstrumentKind
from execsim.core.lifecycle import OrderEvent
from execsim.core.units import NS_PER_S, plain
from execsim.exchange import SimulatedVenue
from execsim.exchange.rewards import MINUTE_NS, Estimate, RebateAccrual, RewardAccrual
from execsim.ports import Priority, RewardTerms, Runtime, Task
from execsim.scenario import model
from execsim.scenario.build import Parts


class Accruals:
    """Errors (on making it): ConfigError naming the key of a market or a number that does not fit."""

    def __init__(self, scenario: model.Scenario, parts: Parts, runtime: Runtime) -> None:
        self._runtime = runtime
        self._venues: list[tuple[SimulatedVenue, dict[str, RewardAccrual]]] = []
        self._rebates: dict[str, RebateAccrual] = {}
        self._rewards: dict[str, RewardAccrual] = {}
        for name, venue in parts.venues.items():
            item = scenario.venues.get(name, model.Venue())
            markets = venue.instruments()
            if item.rebates:
                self._rebates |= {market: RebateAccrual(instrument) for market, instrument in markets.items()}
            rewards = {
                market: RewardAccrual(*reward_terms(markets, market, terms, f"venues.{name}.rewards"))
                for market, terms in item.rewards.items()
            }
            self._rewards |= rewards
            if rewards:
                self._venues.append((venue, rewards))
        if self._rebates:
            parts.engine.subscribe(self._note)

    def start(self) -> list[Task]:
        """The sampling tasks, one a venue with rewards."""
        return [
            self._runtime.spawn(self._sample(venue, rewards), f"{venue.venue_id} rewards", daemon=True)
            for venue, rewards in self._venues
        ]

    def summary(self) -> dict[str, Any]:
        """`rebates_estimate` and `rewards_estimate` by market, money as decimal text; a key that was not asked for is
        absent."""
        found: dict[str, Mapping[str, RebateAccrual | RewardAccrual]] = {
            "rebates_estimate": self._rebates,
            "rewards_estimate": self._rewards,
        }
        return {
            key: {market: _shown(accrual.summary()) for market, accrual in accruals.items()}
            for key, accruals in found.items()
            if accruals
        }

    def _note(self, update: OrderUpdate) -> None:
        accrual = self._rebates.get(update.order.market)
        if accrual is None or update.fill is None:
            return
        if update.event in (OrderEvent.FILL, OrderEvent.DONE):
            accrual.add(update.fill)
        elif update.event is OrderEvent.VOID:
            accrual.void(update.fill)

    async def _sample(self, venue: SimulatedVenue, rewards: Mapping[str, RewardAccrual]) -> None:
        rng = self._runtime.rng(f"{venue.venue_id}.rewards")
        minute_ns = self._runtime.now_ns() // MINUTE_NS * MINUTE_NS
        while True:
            at_ns = minute_ns + rng.below(MINUTE_NS)
            minute_ns += MINUTE_NS
            if at_ns < self._runtime.now_ns():
                continue
            await self._runtime.sleep_until(at_ns, Priority.LAST)
            for market, accrual in rewards.items():
                seen = venue.seen(market)
                if seen is None:
                    accrual.unseen()
                else:
                    accrual.sample(at_ns, *seen)


def reward_terms(
    markets: Mapping[str, Instrument], market: str, item: model.Rewards, where: str
) -> tuple[Instrument, RewardTerms]:
    """The scenario's `rewards` of one market. Errors: ConfigError, `where` it stands."""
    inst = markets.get(market)
    if inst is None or inst.kind is not InstrumentKind.BINARY:
        known = ", ".join(name for name, one in markets.items() if one.kind is InstrumentKind.BINARY)
        hint = f"those are: {known}" if known else "it has none: remove `rewards`"
        raise ConfigError(f"{where}: {market!r} is not a binary market of this venue", hint)

    def exact(convert: Callable[[Decimal], int], name: str) -> int:
        try:
            return convert(getattr(item, name))
        except ValidationError as error:
            raise ConfigError(f"{where}.{market}.{name}: {error.args[1]}", *error.args[2:]) from None

    return inst, RewardTerms(
        pool=exact(inst.quote.amount, "pool_per_day"),
        spread_max_i=exact(inst.grid.price_i, "max_spread"),
        size_min_lots=exact(inst.grid.lots, "size_min"),
        age_min_ns=int(item.age_min_s * NS_PER_S),
        samples_a_day=item.samples_per_day,
    )


def _shown(found: Estimate) -> dict[str, Any]:
    quote = found.instrument.quote
    names = ("low", "estimate", "high", "at_most") if found.at_most is not None else ("low", "estimate", "high")
    money = {name: plain(quote.decimal(getattr(found, name))) for name in names}
    return {**money, "asset": quote.name, **found.counts, "assumes": list(found.assumes)}
