"""The kinds of agents. Each is its parameters and one coroutine, `trade(seat)`, which runs until the market ends.

Sizes are in units of the base asset or shares, prices in ticks; every draw comes from the agent's own stream, every
decision is integer arithmetic.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Final, Protocol

from execsim.core.errors import ConfigError
from execsim.core.quantile import QuantileTable, exponential_quantiles
from execsim.core.units import NS_PER_S, Rounding
from execsim.exchange.agents.arrivals import arrivals_of, mean_of
from execsim.exchange.agents.seat import Seat
from execsim.exchange.resting import VenueOrder

MILLI: Final = 1_000
"""Beliefs of market makers are kept in thousandths of a price unit."""

PRECISION: Final = 1_024
"""Fixed point of tables of ticks and of sizes as multiples of a mean."""


class Agent(Protocol):
    async def trade(self, seat: Seat) -> None:
        """Trade until cancelled."""


def _above_zero(kind: str, **values: Decimal | int) -> None:
    for name, value in values.items():
        if value <= 0:
            raise ConfigError(f"agents: {kind}: {name} {value}", "it must be positive")


def _share(kind: str, **values: int) -> None:
    for name, value in values.items():
        if not 0 <= value <= 1000:
            raise ConfigError(f"agents: {kind}: {name} {value}", "a share of a thousand: 0 to 1000")


def _lots(seat: Seat, size: Decimal) -> int:
    return seat.instrument.grid.lots(size, Rounding.FLOOR)


@dataclass(frozen=True, slots=True)
class Noise:
    """Zero intelligence: limit orders, market orders and cancels at random, with no view of value.

    Sources: Cont, Stoikov, Talreja 2010, "A stochastic model for order book dynamics" (Poisson limit orders by distance
    from the opposite best price, market orders, cancels in proportion to what rests: here every order has an exponential
    life); Smith, Farmer, Gillemot, Krishnamurthy 2003. `repeat_permille` above 500 splits large orders into runs of one
    side (Lillo, Mike, Farmer 2005), `branching` clusters arrivals (Hawkes).
    """

    per_s: Annotated[Decimal, "orders a second (base rate)"] = Decimal(1)
    branching: Annotated[Decimal, "orders each order brings about; 0: Poisson"] = Decimal(0)
    half_life_ms: Annotated[Decimal, "how long that takes"] = Decimal(500)
    market_permille: Annotated[int, "market orders per thousand orders"] = 250
    repeat_permille: Annotated[int, "chance per thousand to keep the side of the order before"] = 500
    size: Annotated[Decimal, "mean size of an order (exponential)"] = Decimal(20)
    depth_ticks: Annotated[int, "mean distance of limit orders behind the best opposite price (exponential)"] = 4
    life_s: Annotated[Decimal, "mean life of a limit order (exponential)"] = Decimal(20)

    def __post_init__(self) -> None:
        _above_zero("noise", size=self.size, depth_ticks=self.depth_ticks, life_s=self.life_s, per_s=self.per_s)
        _share("noise", market_permille=self.market_permille, repeat_permille=self.repeat_permille)

    async def trade(self, seat: Seat) -> None:
        runtime, rng = seat.runtime, seat.rng
        sizes = QuantileTable(exponential_quantiles(PRECISION))
        depths = QuantileTable(exponential_quantiles(self.depth_ticks * PRECISION))
        lives = QuantileTable(exponential_quantiles(mean_of(1 / self.life_s)))
        mean_lots, side = _lots(seat, self.size), 1
        for wait_ns in arrivals_of(self.per_s, self.branching, self.half_life_ms).waits(rng):
            await runtime.sleep(wait_ns)
            if rng.below(1000) >= self.repeat_permille:
                side = -side
            lots = mean_lots * sizes.draw(rng.raw()) // PRECISION
            if rng.below(1000) < self.market_permille:
                seat.take(side, lots)
                continue
            behind = 1 + (depths.draw(rng.raw()) // PRECISION)
            opposite = seat.book.best(-side) or seat.book.best(side)
            around = seat.start_i if opposite is None else opposite[0]
            order = seat.limit(side, seat.on_tick(around - side * behind * seat.instrument.tick_i), lots)
            if order is not None:
                runtime.call_at(runtime.now_ns() + lives.draw(rng.raw()), seat.cancel, order)


@dataclass(frozen=True, slots=True)
class MarketMaker:
    """Quotes both sides around a belief, leans against its inventory, learns from who trades with it.

    belief: pulled to the mid of the book by `pull_permille` a look, and moved against its own fills by `impact_permille`
    of a tick for each `size` traded: who sells may know something (Glosten and Milgrom 1985; Kyle 1985).
    quotes: belief -+ half_spread_ticks, both lowered by skew_permille of a tick for each `size` of inventory (Ho and
    Stoll 1981; the linear skew of Avellaneda and Stoikov 2008), `levels` deep, post-only.
    """

    per_s: Annotated[Decimal, "looks at the market a second"] = Decimal(4)
    size: Annotated[Decimal, "size of each quote"] = Decimal(50)
    half_spread_ticks: Annotated[int, "distance of the best quotes from the belief"] = 1
    levels: Annotated[int, "quotes a side, a tick apart"] = 3
    skew_permille: Annotated[int, "thousandths of a tick both sides move for each `size` of inventory"] = 300
    impact_permille: Annotated[int, "thousandths of a tick the belief moves for each `size` filled"] = 400
    pull_permille: Annotated[int, "how much of the way to the mid of the book the belief goes a look"] = 100
    max_position: Annotated[Decimal, "net position beyond which it quotes one side only"] = Decimal(1000)

    def __post_init__(self) -> None:
        _above_zero(
            "market_maker", per_s=self.per_s, size=self.size, levels=self.levels, max_position=self.max_position
        )
        _above_zero("market_maker", half_spread_ticks=self.half_spread_ticks)
        _share("market_maker", pull_permille=self.pull_permille)

    async def trade(self, seat: Seat) -> None:
        lots, most = max(1, _lots(seat, self.size)), _lots(seat, self.max_position)
        belief, held = seat.start_i * MILLI, seat.position_lots
        quotes: dict[tuple[int, int], VenueOrder] = {}
        """(side, price_i) -> order"""
        self._quote(seat, quotes, belief, held, lots, most)
        for wait_ns in arrivals_of(self.per_s, Decimal(0), Decimal(0)).waits(seat.rng):
            await seat.runtime.sleep(wait_ns)
            tick_i, now_held = seat.instrument.tick_i, seat.position_lots
            belief -= (now_held - held) * self.impact_permille * tick_i * MILLI // (lots * 1000)
            held = now_held
            mid_2i = seat.mid_2i()
            if mid_2i is not None:
                belief += (mid_2i * MILLI // 2 - belief) * self.pull_permille // 1000
            self._quote(seat, quotes, belief, held, lots, most)

    def _quote(
        self, seat: Seat, quotes: dict[tuple[int, int], VenueOrder], belief: int, held: int, lots: int, most: int
    ) -> None:
        """Bring the book to what is wanted: a quote that still stands where it should, whole, keeps its place."""
        wanted = self._wanted(seat, belief, held, lots, most)
        for key, order in list(quotes.items()):
            if key not in wanted or order.left_lots != lots:
                seat.cancel(order)
                del quotes[key]
        for side, price_i in wanted:
            if (side, price_i) not in quotes:
                order_ = seat.limit(side, price_i, lots, post_only=True)
                if order_ is not None:
                    quotes[side, price_i] = order_

    def _wanted(self, seat: Seat, belief: int, held: int, lots: int, most: int) -> list[tuple[int, int]]:
        tick_i = seat.instrument.tick_i
        skewed = (belief - held * self.skew_permille * tick_i * MILLI // (lots * 1000)) // MILLI
        wanted = []
        for side in (1, -1):
            if side * held >= most:
                continue
            best_i = skewed - side * self.half_spread_ticks * tick_i
            if side < 0:
                best_i += tick_i - 1  # asks round up, bids down
            for level in range(self.levels):
                price_i = seat.on_tick(best_i - side * level * tick_i)
                if (side, price_i) not in wanted:
                    wanted.append((side, price_i))
        return wanted


@dataclass(frozen=True, slots=True)
class Informed:
    """Knows the value and takes what is mispriced, at once, up to the value less its edge.

    Sources: the informed trader of Glosten and Milgrom 1985, who trades whenever the quotes are wrong; of Kyle 1985 is
    the limited size a trade (not the optimal schedule). `delay_ms` is how long it takes to act on what it saw.
    """

    per_s: Annotated[Decimal, "looks at the market a second"] = Decimal("0.5")
    size: Annotated[Decimal, "most it takes at once"] = Decimal(50)
    edge_ticks: Annotated[int, "mispricing it asks for"] = 1
    max_position: Annotated[Decimal, "net position beyond which it only reduces"] = Decimal(2000)
    delay_ms: Annotated[Decimal, "from seeing the value to the order's arrival"] = Decimal(0)

    def __post_init__(self) -> None:
        _above_zero("informed", per_s=self.per_s, size=self.size, max_position=self.max_position)
        if self.edge_ticks < 0 or self.delay_ms < 0:
            raise ConfigError("agents: informed: edge_ticks or delay_ms below 0", "0 or more")

    async def trade(self, seat: Seat) -> None:
        lots, most = _lots(seat, self.size), _lots(seat, self.max_position)
        edge_i, delay_ns = self.edge_ticks * seat.instrument.tick_i, int(self.delay_ms * 1_000_000)
        for wait_ns in arrivals_of(self.per_s, Decimal(0), Decimal(0)).waits(seat.rng):
            await seat.runtime.sleep(wait_ns)
            value_i = seat.value.price_i
            if delay_ns:
                await seat.runtime.sleep(delay_ns)
            for side in (1, -1):
                limit_i = value_i - side * edge_i
                best = seat.book.best(-side)
                if best is not None and side * best[0] <= side * limit_i and side * seat.position_lots < most:
                    # a sell limit is rounded up to the tick: on_tick rounds down
                    price_i = limit_i if side > 0 else limit_i + seat.instrument.tick_i - 1
                    seat.take(side, lots, seat.on_tick(price_i))


@dataclass(frozen=True, slots=True)
class Momentum:
    """Buys what rose and sells what fell over `lookback_s`.

    Source: the chartists of Chiarella and Iori 2002, "A simulation analysis of the microstructure of double auction
    markets"; positive-feedback traders of De Long, Shleifer, Summers, Waldmann 1990.
    """

    per_s: Annotated[Decimal, "looks at the market a second"] = Decimal("0.5")
    lookback_s: Annotated[Decimal, "how far back it compares the mid"] = Decimal(5)
    threshold_ticks: Annotated[int, "move of the mid it acts on"] = 2
    size: Annotated[Decimal, "size of each market order"] = Decimal(20)
    max_position: Annotated[Decimal, "net position beyond which it only reduces"] = Decimal(200)

    def __post_init__(self) -> None:
        _above_zero("momentum", per_s=self.per_s, size=self.size, lookback_s=self.lookback_s)
        _above_zero("momentum", threshold_ticks=self.threshold_ticks, max_position=self.max_position)

    async def trade(self, seat: Seat) -> None:
        lots, most = _lots(seat, self.size), _lots(seat, self.max_position)
        threshold_2i = 2 * self.threshold_ticks * seat.instrument.tick_i
        back_ns = int(self.lookback_s * NS_PER_S)
        seen: deque[tuple[int, int]] = deque()
        for wait_ns in arrivals_of(self.per_s, Decimal(0), Decimal(0)).waits(seat.rng):
            await seat.runtime.sleep(wait_ns)
            now_ns, mid_2i = seat.runtime.now_ns(), seat.mid_2i()
            if mid_2i is None:
                continue
            seen.append((now_ns, mid_2i))
            while len(seen) > 1 and seen[1][0] <= now_ns - back_ns:
                seen.popleft()
            if seen[0][0] > now_ns - back_ns:
                continue  # has not watched for so long yet
            moved = mid_2i - seen[0][1]
            side = 1 if moved > 0 else -1
            if abs(moved) >= threshold_2i and side * seat.position_lots < most:
                seat.take(side, lots)


KINDS: Final[Mapping[str, type[Agent]]] = {
    "noise": Noise,
    "market_maker": MarketMaker,
    "informed": Informed,
    "momentum": Momentum,
}
"""Name in a scenario -> kind."""
