"""Measures what the policies look at: builds the `RiskContext` of an order, or of a market without one.

Only what some policy needs is measured (`Rules.needs`). Prices are YES prices, money is in dollars, all exact.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Final

from execsim.core.instrument import InstrumentKind
from execsim.core.order import Order, Side
from execsim.core.units import Rounding
from execsim.engine.losses import ACCOUNT, Losses
from execsim.engine.outcomes import Stake, worst_loss
from execsim.engine.portfolio import Portfolio
from execsim.engine.risk import Measure, RiskContext
from execsim.engine.track import Entry, OrderTracker
from execsim.engine.view import LiveView

ZERO: Final = Decimal(0)

Filler = Callable[[RiskContext, Order, int, Entry | None], None]


class Measures:
    """Reads the engine's view. `losses` follows the profit; the times of orders are kept here."""

    def __init__(self, view: LiveView, tracker: OrderTracker, portfolio: Portfolio) -> None:
        self._view = view
        self._tracker = tracker
        self._portfolio = portfolio
        self.losses = Losses(self.profit, view.now_ns())
        self.followed: frozenset[str] = frozenset()
        """markets whose profit some policy looks at by itself"""
        self._remembered = 0
        self._times: deque[int] = deque(maxlen=0)
        self._market_times: dict[str, deque[int]] = {}
        self._fillers: dict[Measure, Filler] = {
            Measure.INVENTORY: self._inventory,
            Measure.VALUE: self._value,
            Measure.PRICE: self._price,
            Measure.OUTCOMES: self._outcomes,
        }
        self._state: dict[Measure, Callable[[RiskContext], None]] = {
            Measure.ORDERS: self._orders,
            Measure.RATE: self._rate,
            Measure.PNL: self._pnl,
            Measure.DATA: self._data,
            Measure.HEALTH: self._health,
        }

    # --- contexts -------------------------------------------------------------------------------------------------

    def of_order(self, order: Order, lots: int, needs: Iterable[Measure], replaced: Entry | None = None) -> RiskContext:
        """`lots` of an order, everything open counted; `replaced`: an open order that gives way to it."""
        instrument = order.instrument
        market, lot = instrument.market, instrument.grid.lot
        buys, sells = self._view.open_lots(market)
        if replaced is not None:
            if replaced.raises_position:
                buys -= replaced.counted_lots
            else:
                sells -= replaced.counted_lots
        ctx = RiskContext(
            market,
            self._view.position(market).net_lots * lot,
            order.book_side.sign * lots * lot,
            ZERO,
            buys * lot,
            sells * lot,
            self._view.now_ns(),
            order,
        )
        for measure in needs:
            fill = self._fillers.get(measure)
            if fill is not None:
                fill(ctx, order, lots, replaced)
            else:
                self._state[measure](ctx)
        if replaced is not None:
            ctx.open_orders -= 1
            ctx.market_open_orders -= 1
        return ctx

    def of_state(self, market: str, needs: Iterable[Measure]) -> RiskContext:
        """A market without an order (ACCOUNT: none in particular)."""
        ctx = RiskContext(market, ZERO, ZERO, now_ns=self._view.now_ns())
        if market != ACCOUNT:
            lot = self._view.instrument(market).grid.lot
            buys, sells = self._view.open_lots(market)
            ctx.current_position = self._view.position(market).net_lots * lot
            ctx.open_buy, ctx.open_sell = buys * lot, sells * lot
        for measure in needs:
            state = self._state.get(measure)
            if state is not None:
                state(ctx)
        return ctx

    # --- what the engine remembers ----------------------------------------------------------------------------------

    def remember(self, orders: int) -> None:
        """Keep the times of so many orders from now on."""
        self._remembered = orders
        self._times = deque(self._times, maxlen=orders)
        self._market_times = {name: deque(times, maxlen=orders) for name, times in self._market_times.items()}

    def passed(self, market: str) -> None:
        """An order passed the checks now."""
        if self._remembered:
            now_ns = self._view.now_ns()
            self._times.append(now_ns)
            of_market = self._market_times.get(market)
            if of_market is None:
                of_market = self._market_times[market] = deque(maxlen=self._remembered)
            of_market.append(now_ns)

    def profit(self, scope: str) -> Decimal:
        """Net profit of the account or of one market since the start: realised less fees, and what is held at its mark."""
        if scope != ACCOUNT:
            position = self._portfolio.position(scope)
            earned = position.realised - position.fees + self._unrealised(scope)
            return position.instrument.quote.decimal(earned)
        total = ZERO
        for asset, units in self._portfolio.earned.items():
            total += self._view.unit(asset) * units
        for market, position in self._portfolio.held.items():
            total += position.instrument.quote.decimal(self._unrealised(market))
        return total

    def _unrealised(self, market: str) -> int:
        mark_i = self._view.mark_i(market)
        return 0 if mark_i is None else self._portfolio.position(market).unrealised(mark_i)

    # --- measures -------------------------------------------------------------------------------------------------

    def _inventory(self, ctx: RiskContext, order: Order, lots: int, replaced: Entry | None) -> None:
        added = lots if replaced is None else lots - replaced.counted_lots
        values = self._view.inventory_values(order, added)
        ctx.inventory_value_usd = sum(values.values(), ZERO)
        ctx.market_value_usd = values[ctx.market_id]

    def _value(self, ctx: RiskContext, order: Order, lots: int, replaced: Entry | None) -> None:
        instrument = order.instrument
        if order.quote_amount is not None:
            ctx.order_value_usd = instrument.quote.decimal(order.quote_amount)
            return
        price_i = order.price_i
        if price_i is None:
            book_i = self._touch_i(order)
            book_i = self._view.last_i(ctx.market_id) if book_i is None else book_i
            price_i = None if book_i is None else instrument.canonical_i(book_i, order.outcome)
        if price_i is None:
            price_i = instrument.one_i if instrument.kind is InstrumentKind.BINARY else None
        if price_i is None:
            ctx.order_value_usd = None
        else:
            ctx.order_value_usd = instrument.quote.decimal(instrument.cash(price_i, lots, Rounding.CEIL))

    def _price(self, ctx: RiskContext, order: Order, lots: int, replaced: Entry | None) -> None:
        unit = order.instrument.grid.price_unit
        price_i = order.book_price_i
        price_i = self._touch_i(order) if price_i is None else price_i
        ctx.price = None if price_i is None else price_i * unit
        ctx.reference_price = self._reference(ctx.market_id, unit)

    def _reference(self, market: str, unit: Decimal) -> Decimal | None:
        top = self._view.top(market)
        sides = [] if top is None else [side for side in (top.bid_i, top.ask_i) if side is not None]
        if sides:
            return sum(sides) * unit / len(sides)
        last_i = self._view.last_i(market)
        return None if last_i is None else last_i * unit

    def _touch_i(self, order: Order) -> int | None:
        """The YES price an order meets first."""
        top = self._view.top(order.instrument.market)
        if top is None:
            return None
        return top.ask_i if order.book_side is Side.BUY else top.bid_i

    def _outcomes(self, ctx: RiskContext, order: Order, lots: int, replaced: Entry | None) -> None:
        instrument = order.instrument
        if instrument.kind is not InstrumentKind.BINARY:
            return
        event = self._view.event_of(ctx.market_id)
        stakes = [self._stake(name, replaced) for name in event]
        stakes[event.index(ctx.market_id)].order(order, lots, order.book_side is Side.BUY)
        loss = worst_loss(stakes, self._payable(event), exclusive=len(event) > 1)
        ctx.outcome_loss_usd = instrument.quote.decimal(loss)

    def _stake(self, market: str, replaced: Entry | None) -> Stake:
        position, entry_of = self._view.position(market), self._tracker.entry
        stake = Stake(position.instrument, position)
        for open_order in self._view.active_orders(market):
            entry = entry_of(open_order.id)
            if entry is not replaced:
                stake.order(open_order, entry.counted_lots, entry.raises_position)
        return stake

    def _payable(self, event: Sequence[str]) -> list[int]:
        """Indices of the markets that may still be the one that pays."""
        paid = self._view.resolved
        winners = [i for i, name in enumerate(event) if paid.get(name, 0) > 0]
        return winners or [i for i, name in enumerate(event) if name not in paid]

    def _orders(self, ctx: RiskContext) -> None:
        tracker = self._tracker
        ctx.open_orders = tracker.active_count()
        ctx.market_open_orders = tracker.active_count(ctx.market_id)

    def _rate(self, ctx: RiskContext) -> None:
        ctx.order_times = self._times
        ctx.market_order_times = self._market_times.get(ctx.market_id, ())

    def _pnl(self, ctx: RiskContext) -> None:
        now_ns = ctx.now_ns
        ctx.pnl = self.losses.look(ACCOUNT, now_ns)
        if ctx.market_id in self.followed:
            ctx.market_pnl = self.losses.look(ctx.market_id, now_ns)

    def _data(self, ctx: RiskContext) -> None:
        books = self._view.books
        if books is not None:
            ctx.data_age_ns = books.stale_ns(ctx.market_id)
            ctx.in_gap = books.in_gap(ctx.market_id)

    def _health(self, ctx: RiskContext) -> None:
        ctx.healthy = self._view.healthy(self._view.instrument(ctx.market_id).venue)
