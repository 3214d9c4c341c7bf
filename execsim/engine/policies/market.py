"""Whether this is a moment and a price to trade at: guards, which bind orders that reduce too."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import ClassVar

from execsim.core.errors import ConfigError
from execsim.core.units import Number, plain
from execsim.engine.policies.limit import bind, duration_ns, limit, seconds
from execsim.engine.risk import Measure, PolicyTraits, RiskAction, RiskContext, Standing
from execsim.ports import NEVER


@dataclass(frozen=True, slots=True)
class PriceBand:
    """No order may be priced worse than the reference by more than `max_distance` (in price, 0.05) or `max_percent` (of the
    reference price); where both are given, by more than the smaller. Worse: above it for a buy, below it for a sell, in YES
    terms. A price too good is only a trade that does not happen.

    The reference is the mid, else the only side of the book, else our last execution; without any the order is refused. A
    market order is judged at the touch: what it does beyond it is bounded only by giving it a price. Orders of `flatten`
    are bound too.
    """

    max_distance: Decimal | None = None
    max_percent: Decimal | None = None
    market_id: str | None = None
    action: RiskAction = RiskAction.REJECT

    name: ClassVar[str] = "PriceBand"
    traits: ClassVar[PolicyTraits] = PolicyTraits(limit=False, needs=frozenset({Measure.PRICE}), flatten=True)

    def __init__(
        self,
        max_distance: Number | None = None,
        max_percent: Number | None = None,
        market_id: str | None = None,
        action: RiskAction | str = RiskAction.REJECT,
    ) -> None:
        if max_distance is None and max_percent is None:
            raise ConfigError("PriceBand has no width", "give max_distance (a price) or max_percent")
        distance = None if max_distance is None else limit(max_distance, "PriceBand.max_distance")
        percent = None if max_percent is None else limit(max_percent, "PriceBand.max_percent")
        bind(self, market_id, action, max_distance=distance, max_percent=percent)

    def violation(self, ctx: RiskContext) -> str | None:
        price, reference = ctx.price, ctx.reference_price
        if reference is None:
            return f"no price of {ctx.market_id} is known to hold the order against (PriceBand)"
        if price is None:  # a market order that meets nobody
            return None
        worse = price - reference if ctx.proposed_size >= 0 else reference - price
        if worse <= 0:
            return None
        width = self.max_distance
        if self.max_percent is not None:
            share = reference * self.max_percent / 100
            width = share if width is None else min(width, share)
        if width is None or worse <= width:
            return None
        return (
            f"price {plain(price)} is worse by {plain(worse)} than {plain(reference)}, limit {plain(width)} "
            f"(PriceBand of {ctx.market_id}, in YES prices)"
        )


@dataclass(frozen=True, slots=True)
class StaleData:
    """The last row of the market's data reached us at most `max_age_s` seconds ago and (unless `gaps` is false) its feed has
    no gap. Acts without an order where something is held or open; an order that had to wait for its turn is looked at
    again."""

    max_age_s: Decimal
    gaps: bool = True
    market_id: str | None = None
    action: RiskAction = RiskAction.REJECT
    _max_age_ns: int = field(default=0, repr=False, compare=False)

    name: ClassVar[str] = "StaleData"
    traits: ClassVar[PolicyTraits] = PolicyTraits(
        limit=False, needs=frozenset({Measure.DATA}), standing=Standing.MARKET, resends=True
    )

    def __init__(
        self,
        max_age_s: Number,
        gaps: bool = True,
        market_id: str | None = None,
        action: RiskAction | str = RiskAction.REJECT,
    ) -> None:
        bind(
            self,
            market_id,
            action,
            max_age_s=limit(max_age_s, "StaleData.max_age_s"),
            gaps=gaps,
            _max_age_ns=duration_ns(max_age_s, "StaleData.max_age_s"),
        )

    def violation(self, ctx: RiskContext) -> str | None:
        age_ns = ctx.data_age_ns
        if age_ns is None or age_ns == NEVER:
            return f"no data of {ctx.market_id} has reached us (StaleData)"
        if age_ns > self._max_age_ns:
            return (
                f"the last data of {ctx.market_id} is {plain(seconds(age_ns))} s old, "
                f"limit {plain(self.max_age_s)} s (StaleData)"
            )
        if self.gaps and ctx.in_gap:
            return f"the data of {ctx.market_id} has a gap (StaleData)"
        return None


@dataclass(frozen=True, slots=True)
class VenueHealth:
    """The venue answers: its circuit breaker is closed. Acts without an order where something is held or open."""

    market_id: str | None = None
    action: RiskAction = RiskAction.REJECT

    name: ClassVar[str] = "VenueHealth"
    traits: ClassVar[PolicyTraits] = PolicyTraits(
        limit=False, needs=frozenset({Measure.HEALTH}), standing=Standing.MARKET, resends=True
    )

    def __init__(self, market_id: str | None = None, action: RiskAction | str = RiskAction.REJECT) -> None:
        bind(self, market_id, action)

    def violation(self, ctx: RiskContext) -> str | None:
        return None if ctx.healthy else f"the venue of {ctx.market_id} does not answer (VenueHealth)"
