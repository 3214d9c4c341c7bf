"""What checks may look at: time, ticks, best prices, positions and open exposure. Synchronous, no side effects."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Protocol

from execsim.core.errors import ConfigError
from execsim.core.events import Top
from execsim.core.instrument import Instrument, InstrumentKind, Outcome
from execsim.core.order import Order
from execsim.core.position import Position
from execsim.core.units import Rounding, ceil_div
from execsim.engine.portfolio import Portfolio
from execsim.engine.track import OrderTracker
from execsim.ports import BookView, Runtime


class EngineView(Protocol):
    """The engine as a check sees it. Sizes in lots by their effect on the net YES position, prices in price_i."""

    def now_ns(self) -> int: ...

    def tick_i(self, market: str) -> int:
        """The tick in force, as far as we know."""

    def top(self, market: str) -> Top | None:
        """Best prices of the canonical book; None when the engine has no books."""

    def position(self, market: str) -> Position: ...

    def open_lots(self, market: str) -> tuple[int, int]:
        """(buy, sell) lots that open orders may still trade, in net YES terms."""

    def active_orders(self, market: str | None = None) -> list[Order]: ...

    def healthy(self, venue: str) -> bool:
        """Whether the venue answers, as far as we know."""


class LiveView:
    """The engine's own view: reads tracker, portfolio and books in place."""

    def __init__(self, runtime: Runtime, tracker: OrderTracker, portfolio: Portfolio) -> None:
        self._runtime = runtime
        self._tracker = tracker
        self._portfolio = portfolio
        self._instruments: dict[str, Instrument] = {}
        self._ticks: dict[str, int] = {}
        self._last_i: dict[str, int] = {}
        self._units: dict[str, Decimal] = {}
        self._events: dict[str, tuple[str, ...]] = {}
        self.books: BookView | None = None
        self.venues: list[str] = []
        self.health: Callable[[str], bool] = lambda venue: True
        """venue -> whether it answers; the owner of the circuit breakers sets it"""
        self.resolved: Mapping[str, int] = {}
        """market -> payoff_i of markets that paid out"""

    def register(self, instrument: Instrument) -> None:
        self._instruments[instrument.market] = instrument
        self._ticks[instrument.market] = instrument.tick_i
        self._units[instrument.quote.name] = instrument.quote.unit

    def instrument(self, market: str) -> Instrument:
        """Errors: ConfigError when no registered adapter trades it."""
        found = self._instruments.get(market)
        if found is None:
            known = ", ".join(list(self._instruments)[:5]) or "none"
            raise ConfigError(f"market {market!r} is not traded by any registered venue", f"known markets: {known}")
        return found

    def declare_event(self, markets: Sequence[str]) -> None:
        """Say that exactly one of these binary markets will pay (a neg-risk event). Errors: ConfigError for a market nobody
        trades, that is not binary, is in another event, or has another quote asset."""
        for market in markets:
            instrument = self.instrument(market)
            if instrument.kind is not InstrumentKind.BINARY or instrument.quote != self.instrument(markets[0]).quote:
                raise ConfigError(
                    f"market {market!r} cannot be an outcome of an event", "binary markets of one quote asset"
                )
            if self._events.get(market, tuple(markets)) != tuple(markets):
                raise ConfigError(f"market {market!r} is in two events", "an event lists all its outcomes once")
        self._events |= dict.fromkeys(markets, tuple(markets))

    def event_of(self, market: str) -> tuple[str, ...]:
        """The markets of which exactly one pays, this one among them; itself alone if nothing was declared."""
        return self._events.get(market, (market,))

    def healthy(self, venue: str) -> bool:
        return self.health(venue)

    @property
    def instruments(self) -> Mapping[str, Instrument]:
        """Every market of the registered venues, by id."""
        return self._instruments

    def find(self, market: str) -> Instrument | None:
        return self._instruments.get(market)

    def unit(self, quote: str) -> Decimal:
        """What one unit of a quote asset is worth of it."""
        return self._units[quote]

    def trades(self, market: str) -> bool:
        """Whether a registered venue trades this market."""
        return market in self._instruments

    def now_ns(self) -> int:
        return self._runtime.now_ns()

    def tick_i(self, market: str) -> int:
        """The tick of the strategy-side book where there is one, else what the venue last reported."""
        return self.books.tick_i(market) if self.books is not None else self._ticks[market]

    def set_tick(self, market: str, tick_i: int) -> None:
        self._ticks[market] = tick_i

    def top(self, market: str) -> Top | None:
        return self.books.top(market) if self.books is not None else None

    def position(self, market: str) -> Position:
        return self._portfolio.position(market)

    def open_lots(self, market: str) -> tuple[int, int]:
        return self._tracker.open_lots(market)

    def active_orders(self, market: str | None = None) -> list[Order]:
        return self._tracker.get_active_orders(market)

    def saw_fill(self, market: str, price_i: int) -> None:
        """Remember our last execution (YES price): the mark of a market whose book is empty."""
        self._last_i[market] = price_i

    def last_i(self, market: str) -> int | None:
        """YES price of our last execution."""
        return self._last_i.get(market)

    def mark_i(self, market: str) -> int | None:
        """YES price to value a market by: mid, else our last execution, else our entry price, else None. Rounded up."""
        top = self.top(market)
        if top is not None and top.bid_i is not None and top.ask_i is not None:
            return ceil_div(top.bid_i + top.ask_i, 2)
        if market in self._last_i:
            return self._last_i[market]
        held = self._portfolio.position(market)
        entry = held.avg_price
        return None if entry is None else held.instrument.grid.price_i(entry, Rounding.CEIL)

    def worst_lots(self, order: Order) -> int:
        """Most lots the order can trade.

        A quote-amount order buys at the touch or above, so amount / touch bounds it (a touch that improves while the
        order is under way can exceed this by as much as it improved); without a touch, amount / one tick.
        """
        if order.size_lots is not None:
            return order.size_lots
        instrument = order.instrument
        top = self.top(instrument.market)
        touch: int | None = None
        if top is not None:
            if order.outcome is Outcome.YES:
                touch = top.ask_i
            elif top.bid_i is not None:
                touch = instrument.one_i - top.bid_i
        return instrument.lots_for(order.quote_amount or 0, max(1, touch or self.tick_i(instrument.market)))

    def inventory_value(self, order: Order, lots: int) -> Decimal:
        """Worst-case value of what we hold once open orders and `lots` of this one trade, in quote units of account."""
        return sum(self.inventory_values(order, lots).values(), Decimal(0))

    def inventory_values(self, order: Order, lots: int) -> dict[str, Decimal]:
        """The same, market by market.

        Per market the larger of all-buys-fill and all-sells-fill; a net short of a binary market is a holding of NO and
        is valued at 1 - mark. Quote assets count as one dollar each. A market without any mark is valued at the order's
        own price, else (binary) at 1.0.
        """
        values: dict[str, Decimal] = {}
        market = order.instrument.market
        markets = dict.fromkeys((market, *self._portfolio.held, *self._tracker.open_markets))
        for name in markets:
            instrument = self._instruments[name]
            net = self._portfolio.position(name).net_lots
            buys, sells = self._tracker.open_lots(name)
            mark_i = self.mark_i(name)
            if name == market:
                up = order.book_side.sign > 0
                buys, sells = (buys + lots, sells) if up else (buys, sells + lots)
                mark_i = order.book_price_i if mark_i is None else mark_i
            if mark_i is None:
                mark_i = instrument.one_i
            worst = max(_value(instrument, mark_i, net + buys), _value(instrument, mark_i, net - sells))
            values[name] = instrument.quote.decimal(worst)
        return values


def _value(instrument: Instrument, mark_i: int, net_lots: int) -> int:
    """Units of quote a net position is worth at the YES price `mark_i`, rounded up; never negative."""
    if net_lots < 0 and instrument.kind is InstrumentKind.BINARY:
        mark_i = instrument.one_i - mark_i
    return instrument.cash(mark_i, abs(net_lots), Rounding.CEIL)
