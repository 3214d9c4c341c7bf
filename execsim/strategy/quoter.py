"""A two-sided quoter with inventory skew, on every market of the run.

On each change of the best prices each side has one wanted quote, and one rule turns "wanted" and "working" into at most
one action (`Quoter._quote`): nothing while the last order is unanswered, cancel what is off by `requote_ticks`, place
when nothing works. The new order follows the confirmed cancel, so no side ever has more than `size` in the market.

    bid = best bid - (edge + skew) x tick        skew = skew_ticks x net position / size, within +- skew_max_ticks
    ask = best ask + (edge - skew) x tick        never across the other side; both move down when we are long

The best prices are taken as they are. In simulation they do not hold our own orders; at a real venue they do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Final

from execsim.core.errors import ConfigError
from execsim.core.events import OrderUpdate, Top
from execsim.core.instrument import InstrumentKind
from execsim.core.order import Order, OrderStatus, OrderType, Side
from execsim.core.position import Position
from execsim.core.units import NS_PER_MS, NS_PER_S, Rounding, plain
from execsim.ports import Stream, Task
from execsim.strategy.legs import leg
from execsim.strategy.params import above_zero, at_least, describe, params_of

if TYPE_CHECKING:
    from execsim.engine.context import Context

REFUSED_PAUSE_NS: Final = NS_PER_S
"""How long a side waits after a refused order: the reason (balance, a crossing book, a halt) rarely passes sooner."""


@dataclass(frozen=True, slots=True)
class Params:
    """Parameters of the quoter; sizes in units of the base asset or shares."""

    size: Annotated[Decimal, "size of each quote; no side ever has more in the market"] = Decimal(10)
    edge_ticks: Annotated[int, "distance from the best price: 0 joins it"] = 0
    skew_ticks: Annotated[int, "how far both quotes move, in ticks, per `size` of net position"] = 1
    skew_max_ticks: Annotated[int, "bound of that move, in ticks"] = 10
    max_position: Annotated[Decimal, "net position, long or short, beyond which no quote may take us"] = Decimal(50)
    requote_ticks: Annotated[int, "a working quote is replaced when the wanted price is this many ticks away"] = 1
    min_interval_ns: Annotated[int, "least time between two orders of one side of one market"] = 500 * NS_PER_MS
    shorting: Annotated[bool, "spot: sell beyond the position, from base the account starts with"] = False

    def __post_init__(self) -> None:
        above_zero("quoter", size=self.size, max_position=self.max_position)
        at_least("quoter", 1, requote_ticks=self.requote_ticks)
        at_least("quoter", 0, edge_ticks=self.edge_ticks, skew_ticks=self.skew_ticks)
        at_least("quoter", 0, skew_max_ticks=self.skew_max_ticks, min_interval_ns=self.min_interval_ns)


PARAMS: Final = describe(Params)


async def run(ctx: Context) -> None:
    """Quote until every market has resolved or its data has ended; then pull what still works. Errors: ConfigError."""
    params = params_of(Params, ctx.params, "quoter")
    quoters = {market: Quoter(ctx, market, params) for market in ctx.markets}
    updates = ctx.updates()
    ctx.spawn(_listen(updates, quoters), "order updates")
    tasks = [ctx.spawn(quoter.follow(), market) for market, quoter in quoters.items()]
    for task in tasks:
        await task.join()
    await updates.aclose()


async def _listen(updates: Stream[OrderUpdate], quoters: Mapping[str, Quoter]) -> None:
    async for update in updates:
        quoter = quoters.get(update.order.market)
        if quoter is not None:
            quoter.react()


class _Side:
    """One side of one market: its order, that order's price on the canonical book, and when it may be replaced."""

    __slots__ = ("next_ns", "order", "price_i", "side", "timer")

    def __init__(self, side: Side) -> None:
        self.side = side
        self.order: Order | None = None
        self.price_i = 0
        self.next_ns = 0
        self.timer: Task | None = None


class Quoter:
    """The quotes of one market. `react` is plain code: it looks at the market, decides, and acts at most once a side."""

    def __init__(self, ctx: Context, market: str, params: Params) -> None:
        inst = ctx.instrument(market)
        self._ctx = ctx
        self._market = market
        self._inst = inst
        self._params = params
        self._size = inst.grid.lots(params.size, Rounding.FLOOR) // inst.size_step_lots * inst.size_step_lots
        self._max = inst.grid.lots(params.max_position, Rounding.FLOOR)
        # price 1.0 bounds a binary market's prices; worked out once, as it costs Decimal arithmetic
        self._one_i = inst.one_i if inst.kind is InstrumentKind.BINARY else None
        self._bid = _Side(Side.BUY)
        self._ask = _Side(Side.SELL)
        self._open = True
        least = max(1, inst.size_min_lots, inst.size_step_lots)
        if self._size < least:
            what = (
                f"strategy quoter: size {params.size} is below the minimum {plain(inst.grid.size(least))} of {market}"
            )
            raise ConfigError(what, "raise size")

    async def follow(self) -> None:
        """Quote on each change of the best prices until they end."""
        async for top in self._ctx.top(self._market, sizes=False):
            self._step(top)
        self._open = False
        for side in (self._bid, self._ask):
            if side.timer is not None:
                side.timer.cancel()
            order = side.order
            if order is not None and order.is_active and order.status is not OrderStatus.CANCELLING:
                self._ctx.cancel(order)

    def react(self) -> None:
        """An order of ours changed, or a pause is over."""
        if self._open:
            self._step(self._ctx.best(self._market))

    def wanted(self, top: Top, position: Position, tick_i: int) -> tuple[int | None, int | None]:
        """(bid, ask) in price units of the canonical book, on the tick; None where no quote is wanted.

        No quotes on a one-sided or crossed book: there is no price to lean on.
        """
        if top.bid_i is None or top.ask_i is None or top.bid_i >= top.ask_i:
            return None, None
        params, net = self._params, position.net_lots
        skew = min(params.skew_ticks * abs(net) // self._size, params.skew_max_ticks) * (1 if net > 0 else -1)
        bid_i = min(top.bid_i - (params.edge_ticks + skew) * tick_i, top.ask_i - tick_i)
        ask_i = max(top.ask_i + (params.edge_ticks - skew) * tick_i, top.bid_i + tick_i)
        bid_i -= bid_i % tick_i
        ask_i += -ask_i % tick_i
        low_i, high_i = self._bounds(tick_i)
        return (bid_i if bid_i >= low_i else None), (ask_i if high_i is None or ask_i <= high_i else None)

    def _bounds(self, tick_i: int) -> tuple[int, int | None]:
        """Least and greatest price of an order; a binary price lies at least a tick inside (0, 1)."""
        inst = self._inst
        low_i = max(tick_i, inst.price_min_i or 0)
        if self._one_i is None:
            return low_i, inst.price_max_i
        inside_i = self._one_i - tick_i
        return low_i, inside_i if inst.price_max_i is None else min(inside_i, inst.price_max_i)

    def _step(self, top: Top) -> None:
        position = self._ctx.position(self._market)
        tick_i = self._ctx.tick_i(self._market)
        bid_i, ask_i = self.wanted(top, position, tick_i)
        net = position.net_lots
        self._quote(self._bid, bid_i, min(self._size, self._max - net), position, tick_i)
        self._quote(self._ask, ask_i, min(self._size, self._max + net), position, tick_i)

    def _quote(self, side: _Side, price_i: int | None, lots: int, position: Position, tick_i: int) -> None:
        """Bring one side from what works to what is wanted, by one action at most."""
        now_ns = self._ctx.now_ns
        if lots <= 0:
            price_i = None
        order = side.order
        if order is not None and order.is_terminal:
            if order.status is OrderStatus.REJECTED:
                side.next_ns = max(side.next_ns, now_ns + REFUSED_PAUSE_NS)
            order = side.order = None
        if order is not None:
            self._keep_or_cancel(side, order, price_i, tick_i, now_ns)
        elif price_i is not None:
            if now_ns < side.next_ns:
                self._later(side, now_ns)
            else:
                self._place(side, price_i, lots, position, now_ns)

    def _keep_or_cancel(self, side: _Side, order: Order, price_i: int | None, tick_i: int, now_ns: int) -> None:
        if order.status is not OrderStatus.WORKING:
            return  # in flight: its answer comes as an update and leads here again
        if price_i is None:
            self._ctx.cancel(order)
        elif abs(price_i - side.price_i) >= self._params.requote_ticks * tick_i:
            if now_ns < side.next_ns:
                self._later(side, now_ns)
            else:
                self._ctx.cancel(order)

    def _place(self, side: _Side, price_i: int, lots: int, position: Position, now_ns: int) -> None:
        working = self._ctx.open_orders(self._market)
        chosen = leg(self._inst, position, working, side.side, price_i, lots, shorting=self._params.shorting)
        if chosen is None:
            return
        side.price_i = price_i
        side.next_ns = now_ns + self._params.min_interval_ns
        side.order = self._ctx.place_i(
            self._market,
            chosen.side,
            chosen.price_i,
            chosen.lots,
            type=OrderType.POST_ONLY,
            outcome=chosen.outcome,
            tag="bid" if side.side is Side.BUY else "ask",
        )
        if side.order.status is OrderStatus.REJECTED:  # by a check of ours, at once
            side.order = None
            side.next_ns = max(side.next_ns, now_ns + REFUSED_PAUSE_NS)
            self._later(side, now_ns)

    def _later(self, side: _Side, now_ns: int) -> None:
        """Look again when the side may act, even if the market does not move until then."""
        if side.timer is None:
            side.timer = self._ctx.spawn(self._wake(side, side.next_ns - now_ns), f"{self._market} {side.side} pause")

    async def _wake(self, side: _Side, wait_ns: int) -> None:
        await self._ctx.sleep(wait_ns)
        side.timer = None
        self.react()
