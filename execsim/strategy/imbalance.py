"""A taker on imbalance, on every market of the run: when one side of the best prices outweighs the other, take.

    imbalance = (bid size - ask size) / (bid size + ask size)      buy at >= threshold, sell at <= -threshold

Each order is IOC at the best price opposite: what is not there at once is not wanted. A signal against the position
closes all of it; the next one, after `cooldown_ns`, may open the other way. The comparison is exact (integers and a
ratio), so a signal never depends on a rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Final

from execsim.core.errors import ConfigError
from execsim.core.events import Top
from execsim.core.order import Order, Side, TimeInForce
from execsim.core.units import NS_PER_S, Rounding
from execsim.strategy.legs import leg
from execsim.strategy.params import above_zero, at_least, describe, params_of

if TYPE_CHECKING:
    from execsim.engine.context import Context


@dataclass(frozen=True, slots=True)
class Params:
    """Parameters of the imbalance taker; sizes in units of the base asset or shares."""

    size: Annotated[Decimal, "size of each opening order"] = Decimal(10)
    threshold: Annotated[Fraction, "imbalance that is a signal, above 0 and at most 1: 4/5 or 0.8"] = Fraction(4, 5)
    cooldown_ns: Annotated[int, "least time between two orders in one market"] = NS_PER_S
    max_position: Annotated[Decimal, "net position, long or short, beyond which no order may take us"] = Decimal(50)
    shorting: Annotated[bool, "spot: sell beyond the position, from base the account starts with"] = False

    def __post_init__(self) -> None:
        above_zero("imbalance", size=self.size, threshold=self.threshold, max_position=self.max_position)
        at_least("imbalance", 0, cooldown_ns=self.cooldown_ns)
        if self.threshold > 1:
            raise ConfigError(f"strategy imbalance: parameter threshold is {self.threshold}", "it must be at most 1")


PARAMS: Final = describe(Params)


async def run(ctx: Context) -> None:
    """Take until every market has resolved or its data has ended. Errors: ConfigError."""
    params = params_of(Params, ctx.params, "imbalance")
    takers = [Taker(ctx, market, params) for market in ctx.markets]
    tasks = [ctx.spawn(taker.follow(), taker.market) for taker in takers]
    for task in tasks:
        await task.join()


def signal(top: Top, threshold: Fraction) -> Side | None:
    """BUY or SELL when the imbalance of a two-sided, uncrossed book reaches the threshold, else None."""
    if top.bid_i is None or top.ask_i is None or top.bid_i >= top.ask_i:
        return None
    difference = (top.bid_lots - top.ask_lots) * threshold.denominator
    limit = (top.bid_lots + top.ask_lots) * threshold.numerator
    if abs(difference) < limit:
        return None
    return Side.BUY if difference > 0 else Side.SELL


class Taker:
    """The taker of one market: one order at a time."""

    def __init__(self, ctx: Context, market: str, params: Params) -> None:
        inst = ctx.instrument(market)
        self.market = market
        self._ctx = ctx
        self._inst = inst
        self._params = params
        self._size = inst.grid.lots(params.size, Rounding.FLOOR)
        self._max = inst.grid.lots(params.max_position, Rounding.FLOOR)
        self._order: Order | None = None
        self._next_ns = 0

    async def follow(self) -> None:
        """Judge each change of the best prices until they end."""
        async for top in self._ctx.top(self.market):
            if (self._order is None or self._order.is_terminal) and self._ctx.now_ns >= self._next_ns:
                self.react(top)

    def react(self, top: Top) -> None:
        """Send the order this top asks for, if any."""
        side = signal(top, self._params.threshold)
        price_i = top.ask_i if side is Side.BUY else top.bid_i
        if side is None or price_i is None:
            return
        position = self._ctx.position(self.market)
        lots = self.wanted_lots(side, position.net_lots)
        if lots <= 0:
            return
        working = self._ctx.open_orders(self.market)
        chosen = leg(self._inst, position, working, side, price_i, lots, shorting=self._params.shorting)
        if chosen is None:
            return
        self._next_ns = self._ctx.now_ns + self._params.cooldown_ns
        self._order = self._ctx.place_i(
            self.market,
            chosen.side,
            chosen.price_i,
            chosen.lots,
            tif=TimeInForce.IOC,
            outcome=chosen.outcome,
            tag="exit" if side.sign * position.net_lots < 0 else "entry",
        )

    def wanted_lots(self, side: Side, net_lots: int) -> int:
        """All of a position the signal is against, else `size` as far as `max_position` allows."""
        if side.sign * net_lots < 0:
            return abs(net_lots)
        return min(self._size, self._max - abs(net_lots))
