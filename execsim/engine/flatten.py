"""The way out: cancel what is open and close what is held, whatever is halted.

    cancel every open order of the market -> merge full sets where the venue can -> sell what is held, at the best price

What is held is sold as it is held: YES as YES, NO as NO, spot as spot (a short spot position is bought back); nothing is
sold that another order may still sell. Each order is IOC at the best price of its side, so it takes what stands there and no
worse; then the book may fill again, up to ROUNDS_MAX times. What remains is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Protocol

from execsim.core.errors import ExecError, ExecResult, ExecTimeout, InternalError, JournalError, Reached
from execsim.core.events import OrderUpdate, Top
from execsim.core.instrument import Instrument, InstrumentKind, Outcome
from execsim.core.order import CancelAck, Order, OrderAck, OrderId, OrderType, Side, TimeInForce
from execsim.core.units import NS_PER_S, plain
from execsim.engine.dispatch import together
from execsim.engine.portfolio import Portfolio
from execsim.engine.tokens import Tokens
from execsim.engine.track import OrderTracker
from execsim.engine.view import LiveView
from execsim.ports import Pending, Runtime

TAG: Final = "flatten"

ROUNDS_MAX: Final = 5
"""Orders sent for one token, one after another: an exit that needs more is a decision for whoever called."""

PAUSE_NS: Final = NS_PER_S
"""Between two of them: time for the book to fill again and for its news to reach us."""

ANSWER_NS: Final = 10 * NS_PER_S
"""How long to wait for the end of an IOC order the venue has accepted."""


@dataclass(frozen=True, slots=True)
class Flattened:
    """What became of one market. `yes_left` and `no_left` in human units (of a spot market `yes_left` is the position,
    signed); `reason` says why anything is left or may still trade, and is empty when the market is flat."""

    market: str
    orders: tuple[OrderId, ...]
    yes_left: Decimal
    no_left: Decimal
    reason: str = ""

    @property
    def flat(self) -> bool:
        """Nothing is held and nothing may still trade."""
        return not self.reason

    def __str__(self) -> str:
        left = f"{plain(self.yes_left)} left" + (f", {plain(self.no_left)} NO left" if self.no_left else "")
        return f"{self.market}: flat" if self.flat else f"{self.market}: {left}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Exit:
    """One closing order as it should be sent; `price_i` None: a market order."""

    outcome: Outcome
    side: Side
    lots: int
    price_i: int | None


def plan_exit(
    instrument: Instrument, outcome: Outcome, lots: int, top: Top | None, tick_i: int, lots_max: int
) -> Exit | str:
    """How to close `lots` (> 0: sell them, < 0: buy them back) of a token, or why it cannot be done now.

    `top` None: there are no books, the venue finds the price. What is below the venue's minimum (size or value) goes as a
    market order, which the minima of resting orders do not bind: so little cannot move a price far.
    """
    size = min(abs(lots), lots_max)
    size -= size % instrument.size_step_lots
    if size <= 0:
        least = plain(instrument.grid.size(instrument.size_step_lots))
        return f"{plain(instrument.grid.size(abs(lots)))} is less than the least that can be traded, {least}"
    side = Side.SELL if lots > 0 else Side.BUY
    if top is None:
        return Exit(outcome, side, size, None)
    # who sells NO meets those who sell YES: NO is sold at what a YES seller leaves of 1
    takes_bid = (side is Side.SELL) is (outcome is Outcome.YES)
    book_i = top.bid_i if takes_bid else top.ask_i
    if book_i is None:
        return "nobody bids" if side is Side.SELL else "nobody offers"
    price_i = instrument.canonical_i(book_i, outcome)
    # a best price from before a change of tick: rounded so that the order still meets it
    off = price_i % tick_i
    if off:
        price_i += tick_i - off if side is Side.BUY else -off
    price_i = max(price_i, tick_i)
    small = size < instrument.size_min_lots or instrument.cash(price_i, size) < instrument.notional_min
    return Exit(outcome, side, size, None if small else price_i)


class Engine(Protocol):
    """What flattening asks of the engine."""

    async def cancel_all(self, market: str | None = None) -> list[ExecResult[CancelAck]]: ...

    def new_order_id(self) -> OrderId: ...

    def begin_exit(self, order: Order, owner: str = "") -> None: ...

    async def send(self, order: Order) -> OrderAck: ...

    def start_cancel(self, order: Order) -> None: ...

    def subscribe(
        self, fn: Callable[[OrderUpdate], None], *, owner: str | None = None, market: str | None = None
    ) -> Callable[[], None]: ...


class Exits:
    """Flattens markets. `lots_max(market)` is the largest order the validator lets through."""

    def __init__(
        self,
        engine: Engine,
        runtime: Runtime,
        view: LiveView,
        tracker: OrderTracker,
        portfolio: Portfolio,
        tokens: Tokens,
        closed: Callable[[str], bool],
        lots_max: Callable[[str], int],
    ) -> None:
        self._engine = engine
        self._runtime = runtime
        self._view = view
        self._tracker = tracker
        self._portfolio = portfolio
        self._tokens = tokens
        self._closed = closed
        self._lots_max = lots_max

    async def flatten(self, markets: Sequence[str] | None, owner: str) -> list[Flattened]:
        """Markets (None: all with anything held or open), all at once. Errors: ConfigError for one nobody trades."""
        if markets is None:
            held = (m for m, position in self._portfolio.positions.items() if position.yes_lots or position.no_lots)
            markets = tuple(dict.fromkeys((*held, *self._tracker.open_markets)))
        for market in markets:
            self._view.instrument(market)
        found: dict[str, Flattened] = {}

        async def one(market: str) -> None:
            found[market] = await self._market(market, owner)

        works: list[Coroutine[Any, Any, None]] = [one(market) for market in dict.fromkeys(markets)]
        await together(self._runtime, works, "flatten")
        return [found[market] for market in dict.fromkeys(markets)]

    async def _market(self, market: str, owner: str) -> Flattened:
        await self._engine.cancel_all(market)
        sent: list[OrderId] = []
        reasons: dict[str, None] = {}
        if self._closed(market):
            if any(self._free(market)):
                reasons["the market has ended: it pays out, nothing is traded"] = None
        else:
            if self._view.instrument(market).kind is InstrumentKind.BINARY:
                await self._merge(market)
            for outcome in Outcome:
                reason = await self._close(market, outcome, owner, sent)
                if reason:
                    reasons[reason] = None
        for order in self._tracker.get_active_orders(market):
            reasons[f"order {order.id} may still trade ({order.status})"] = None
        position = self._portfolio.position(market)
        size = position.instrument.grid.size
        if (position.yes_lots or position.no_lots) and not reasons:
            reasons["it was traded meanwhile"] = None
        return Flattened(
            market, tuple(sent), size(position.yes_lots), size(position.no_lots), "; ".join(reasons)
        )  # fmt: skip

    async def _merge(self, market: str) -> None:
        """Full sets become cash where the venue's contracts can; elsewhere both tokens are sold."""
        sets = min(self._free(market))
        if sets <= 0 or not self._tokens.offered(market):
            return
        try:
            await self._tokens.merge(market, sets)
        except (JournalError, InternalError):
            raise
        except ExecError:
            return

    async def _close(self, market: str, outcome: Outcome, owner: str, sent: list[OrderId]) -> str:
        """Close what is held of one token; returns why something is left, "" if nothing is."""
        instrument, reason = self._view.instrument(market), ""
        side = 0 if outcome is Outcome.YES else 1
        for number in range(ROUNDS_MAX):
            if number and self._free(market)[side]:
                await self._runtime.sleep(PAUSE_NS)
            lots = self._free(market)[side]
            if not lots:
                return ""
            top, tick_i = self._view.top(market), self._view.tick_i(market)
            planned = plan_exit(instrument, outcome, lots, top, tick_i, self._lots_max(market))
            if isinstance(planned, str):
                reason = planned
                if abs(lots) < instrument.size_step_lots:
                    return reason
                continue
            reason = "the best price had no more to give"
            try:
                await self._trade(instrument, planned, owner, sent)
            except (JournalError, InternalError):
                raise
            except ExecError as error:
                return error.message
        return reason if self._free(market)[side] else ""

    async def _trade(self, instrument: Instrument, planned: Exit, owner: str, sent: list[OrderId]) -> None:
        """Send one closing order and wait for its end. Errors: why it was refused, or ExecTimeout."""
        engine, runtime = self._engine, self._runtime
        kind = OrderType.MARKET if planned.price_i is None else OrderType.LIMIT
        order = Order(
            engine.new_order_id(), instrument, planned.side, kind, TimeInForce.IOC, planned.lots,
            price_i=planned.price_i, outcome=planned.outcome, created_ns=runtime.now_ns(), tag=TAG,
        )  # fmt: skip
        ended: Pending[None] = runtime.pending(f"end of {order.id}")

        def heed(update: OrderUpdate) -> None:
            if update.order is order and order.is_terminal:
                ended.set(None)

        unsubscribe = engine.subscribe(heed, market=instrument.market)
        try:
            engine.begin_exit(order, owner)
            sent.append(order.id)
            await engine.send(order)
            if not order.is_terminal:
                what = f"order {order.id}: accepted, and no word of its end"
                late = ExecTimeout(instrument.venue, what, Reached.YES)
                try:
                    await runtime.within(runtime.now_ns() + ANSWER_NS, ended, late)
                except ExecTimeout:
                    engine.start_cancel(order)
                    raise
        finally:
            unsubscribe()

    def _free(self, market: str) -> tuple[int, int]:
        """(YES, NO) lots held and not spoken for by an order that may still trade; a short spot position is negative."""
        position = self._portfolio.position(market)
        yes, no = position.yes_lots, position.no_lots
        for order in self._tracker.get_active_orders(market):
            lots = self._tracker.entry(order.id).counted_lots
            if order.outcome is Outcome.NO:
                no = max(0, no - lots) if order.side is Side.SELL else no
            elif yes > 0 and order.side is Side.SELL:
                yes = max(0, yes - lots)
            elif yes < 0 and order.side is Side.BUY:
                yes = min(0, yes + lots)
        return yes, no
