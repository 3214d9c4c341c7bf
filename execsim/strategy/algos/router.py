"""Smart order routing: one parent order over several markets that are the same thing on different venues.

Takes from the cheapest book first, all in: price, taker fee, and what a slow venue costs. IOC children only. A venue whose
circuit breaker is open, that refused or did not answer, gets nothing new for a while; its lots go elsewhere once it is sure
that they were not traded there: a child nobody answers for keeps its lots.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import gcd
from typing import TYPE_CHECKING, Final

from execsim.core.errors import ConfigError
from execsim.core.events import OrderUpdate, Trade
from execsim.core.instrument import InstrumentKind, Outcome
from execsim.core.lifecycle import OrderEvent
from execsim.core.order import OrderId, OrderStatus, OrderType, Side, TimeInForce
from execsim.core.units import NS_PER_S, Number, Rounding, decimal_of
from execsim.strategy.algos.execution import Execution
from execsim.strategy.algos.parent import Child
from execsim.strategy.algos.pricing import allowed, bounded, within
from execsim.strategy.algos.sizing import least_lots
from execsim.strategy.algos.tactics import Style, Tactics
from execsim.strategy.algos.taken import Taken
from execsim.strategy.algos.terms import named
from execsim.strategy.algos.walk import Level, Take, levels_of, share_out

if TYPE_CHECKING:
    from execsim.engine.context import Context

LOOK_NS: Final = NS_PER_S
"""How often venues are looked at again while one of them is not well."""
ANSWERS: Final = frozenset({OrderEvent.ACK, OrderEvent.FILL, OrderEvent.DONE, OrderEvent.REFUSE})
TAKING: Final = Tactics(style=Style.AGGRESSIVE)


@dataclass(slots=True)
class Venue:
    """One market of a router. `latency_ns`: order to first answer, a moving average of what was measured; `penalty`: quote
    per unit that is added to its price whatever is measured."""

    market: str
    weight: int
    step: int
    limit_i: int | None
    penalty: Fraction
    latency_ns: int | None = None
    next_ns: int = 0
    silent: int = 0
    """silences in a row"""


class Router:
    """The tactic. `price_per_s`: quote per unit that a second of latency is taken to cost."""

    def __init__(
        self,
        venues: Sequence[Venue],
        side: Side,
        outcome: Outcome,
        price_per_s: Fraction,
        tactics: Tactics,
        depth: int,
    ) -> None:
        self.venues = {venue.market: venue for venue in venues}
        self._side = side
        self._outcome = outcome
        self._price_per_s = price_per_s
        self._tactics = tactics
        self._depth = depth
        self._taken = Taken()
        self._heard: set[OrderId] = set()
        """children whose venue has said something of them"""

    def hear(self, trade: Trade) -> bool:
        return False

    def told(self, update: OrderUpdate, child: Child) -> None:
        """Measure how long an answer takes, count silences, remember what was taken."""
        self._taken.told(update, child, child.shown)
        venue = self.venues[update.order.market]
        if update.event in ANSWERS and update.before is not OrderStatus.PENDING and child.order.id not in self._heard:
            self._heard.add(child.order.id)
            took_ns = update.ts_ns - update.order.created_ns
            known = venue.latency_ns
            venue.latency_ns = took_ns if known is None else known + (took_ns - known) // 8
            venue.silent = 0
        elif update.event is OrderEvent.SILENCE:
            venue.silent += 1
            venue.next_ns = max(venue.next_ns, update.ts_ns + self._tactics.pause_ns(venue.silent))

    def act(self, execution: Execution) -> int | None:
        """As `Tactic.act`: share the room out over what can be reached now."""
        now_ns, room = execution.ctx.now_ns, execution.room_lots
        if not room:
            return None
        levels: list[Level] = []
        wakes: list[int] = []
        for venue in self.venues.values():
            if not self._usable(execution, venue):
                wakes.append(now_ns + LOOK_NS)
            elif now_ns < venue.next_ns:
                wakes.append(venue.next_ns)
            else:
                levels += self._levels(execution, venue)
        takes = share_out(
            room, levels, self._side, execution.weights, {name: v.step for name, v in self.venues.items()},
            {market: self._least(execution, market, levels) for market in self.venues},
        )  # fmt: skip
        for market, take in self._with_the_rest(execution, takes, room).items():
            venue = self.venues[market]
            venue.next_ns = now_ns + self._tactics.cross_every_ns
            wakes.append(venue.next_ns)
            child = execution.place(
                market, take.price_i, take.lots, type=OrderType.LIMIT, tif=TimeInForce.IOC, rests=False
            )
            child.shown |= {
                level.price_i: level.shown
                for level in levels
                if level.market == market and within(level.price_i, take.price_i, self._side)
            }
        return min(wakes, default=now_ns + LOOK_NS)

    def unplaceable(self, execution: Execution) -> str:
        """A rest that is too small for every market."""
        room = execution.room_lots
        leasts = [self._floor(execution, market) for market in self.venues]
        if not room or room >= min(leasts):
            return ""
        return f"{room} lots left are below the minimum of every market"

    # --- pieces -----------------------------------------------------------------------------------------------------

    def _usable(self, execution: Execution, venue: Venue) -> bool:
        """Whether the venue is well, as far as we know, and no order of ours is lost there."""
        ctx, market = execution.ctx, venue.market
        if not execution.is_tradable(market) or not ctx.healthy(ctx.instrument(market).venue):
            return False
        here = (child for child in execution.parent.open.values() if child.order.market == market)
        return not any(child.order.status is OrderStatus.UNKNOWN for child in here)

    def _levels(self, execution: Execution, venue: Venue) -> list[Level]:
        ctx, market = execution.ctx, venue.market
        tick_i, instrument = ctx.tick_i(market), ctx.instrument(market)
        limit_i = None if venue.limit_i is None else bounded(venue.limit_i, venue.limit_i, self._side, tick_i)
        here = (child for child in execution.parent.open.values() if child.order.market == market)
        penalty = venue.penalty + self._price_per_s * (venue.latency_ns or 0) / NS_PER_S
        found = levels_of(
            ctx, market, self._side, self._outcome, limit_i, penalty=penalty, depth=self._depth, taken=self._taken,
            spoken_for=sum(child.order.remaining_lots for child in here),
        )  # fmt: skip
        return [level for level in found if level.price_i % tick_i == 0 and allowed(instrument, level.price_i, tick_i)]

    def _floor(self, execution: Execution, market: str) -> int:
        """The market's minimum whatever the price, in lots of the parent."""
        instrument = execution.ctx.instrument(market)
        return max(1, instrument.size_min_lots, instrument.size_step_lots) * execution.weights[market]

    def _least(self, execution: Execution, market: str, levels: Sequence[Level]) -> int:
        """The market's minimum at its best level, in its own lots."""
        instrument = execution.ctx.instrument(market)
        best = next((level.price_i for level in levels if level.market == market), None)
        if best is None:
            return max(1, instrument.size_min_lots)
        return least_lots(instrument, self._side, best, rests=False)

    def _with_the_rest(self, execution: Execution, takes: dict[str, Take], room: int) -> dict[str, Take]:
        """Where what is left would be too small for every market, the largest child takes it along; and none exceeds its
        market's maximum."""
        left = room - sum(take.lots * execution.weights[market] for market, take in takes.items())
        if takes and 0 < left < min(self._floor(execution, market) for market in self.venues):
            market = max(takes, key=lambda name: takes[name].lots * execution.weights[name])
            step = execution.weights[market] * self.venues[market].step
            more = (left - left % step) // execution.weights[market]
            takes[market] = Take(takes[market].lots + more, takes[market].price_i)
        for market, take in takes.items():
            instrument = execution.ctx.instrument(market)
            if instrument.size_max_lots is not None and take.lots > instrument.size_max_lots:
                most = instrument.size_max_lots - instrument.size_max_lots % instrument.size_step_lots
                takes[market] = Take(most, take.price_i)
        return takes


def start_router(
    ctx: Context,
    markets: Sequence[str],
    side: Side | str,
    size: Number,
    *,
    limit: Number | None = None,
    outcome: Outcome | str = Outcome.YES,
    duration_ns: int | None = None,
    penalties: Mapping[str, Number] | None = None,
    price_per_s: Number = 0,
    depth: int = 20,
    tactics: Tactics = TAKING,
) -> Execution:
    """Buy or sell `size` over `markets`, which the caller knows to be the same thing. Their quote assets count as equal.

    `limit` is a price without fees. `penalties`: market -> quote per unit that is added to its price; `price_per_s`: what a
    second between order and ack, as measured here, adds. Lots of the parent are the finest that fit every market.
    Errors: ConfigError and ValidationError naming what is wrong, before anything is placed.
    """
    if not markets or len(set(markets)) != len(markets):
        raise ConfigError(f"router: markets {list(markets)}", "name each market once")
    if depth < 1:
        raise ConfigError(f"router: depth is {depth}", "at least 1 level")
    way, token = named(Side, side, "side"), named(Outcome, outcome, "outcome")
    instruments = {market: ctx.instrument(market) for market in markets}
    for market, instrument in instruments.items():
        if token is Outcome.NO and instrument.kind is not InstrumentKind.BINARY:
            raise ConfigError(f"{market} is a spot market and has no NO side", "trade YES")
    for market in penalties or {}:
        if market not in instruments:
            raise ConfigError(f"router: a penalty for {market!r}", f"its markets are: {', '.join(markets)}")
    lot = _common([instrument.grid.lot for instrument in instruments.values()])
    weights = {market: int(instrument.grid.lot / lot) for market, instrument in instruments.items()}
    wanted = Fraction(decimal_of(size, "size")) / Fraction(lot)
    smallest = min(max(1, i.size_min_lots, i.size_step_lots) * weights[m] for m, i in instruments.items())
    pieces = gcd(*(instrument.size_step_lots * weights[market] for market, instrument in instruments.items()))
    if wanted.denominator != 1 or wanted < smallest or int(wanted) % pieces:
        rule = f"a multiple of {pieces * lot}, at least {smallest * lot}"
        raise ConfigError(f"a parent order of {size} cannot be traded to the last lot", f"the markets take {rule}")
    inward = Rounding.FLOOR if way is Side.BUY else Rounding.CEIL
    venues = [
        Venue(
            market,
            weights[market],
            instrument.size_step_lots,
            None if limit is None else instrument.grid.price_i(limit, inward),
            Fraction(decimal_of((penalties or {}).get(market, 0), "penalty")),
        )
        for market, instrument in instruments.items()
    ]
    router = Router(venues, way, token, Fraction(decimal_of(price_per_s, "price_per_s")), tactics, depth)
    return Execution(
        ctx, "router", router, side=way, outcome=token, lots=int(wanted), lot=lot, weights=weights, tactics=tactics,
        duration_ns=duration_ns,
    )  # fmt: skip


def _common(lots: Sequence[Decimal]) -> Decimal:
    """The largest size of which every lot is a whole multiple."""
    places = max(-int(lot.as_tuple().exponent) for lot in lots)
    scale = Decimal(10) ** max(0, places)
    return Decimal(gcd(*(int(lot * scale) for lot in lots))) / scale
