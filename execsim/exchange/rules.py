"""What the venue checks before it matches: market open, tick, size, price range, value, expiry. In the venue's words."""

from __future__ import annotations

from collections.abc import Callable

from execsim.core.errors import ExecError
from execsim.core.instrument import InstrumentKind
from execsim.core.order import OrderType, Side, TimeInForce
from execsim.core.units import NOTIONAL_MAX
from execsim.exchange.refusal import refuse
from execsim.exchange.resting import VenueOrder
from execsim.kernel import VENUE, Replay
from execsim.ports import VenueProfile


class Gate:
    """The venue's own rules, on arrival, at the venue's clock and the venue's tick."""

    def __init__(self, venue: str, profile: VenueProfile, kernel: Replay) -> None:
        self._venue = venue
        self._profile = profile
        self._kernel = kernel
        self._closed: set[int] = set()
        self._rules: tuple[Callable[[VenueOrder, int], ExecError | None], ...] = (
            self._market, self._price, self._size, self._value, self._expiry,
        )  # fmt: skip

    def close(self, market: int) -> None:
        """The market has resolved: it takes no more orders."""
        self._closed.add(market)

    def is_open(self, market: int) -> bool:
        """Whether it takes orders: it has not ended and is not halted."""
        return market not in self._closed and self._kernel.trading(market)

    def check(self, order: VenueOrder, now_ns: int) -> ExecError | None:
        """The first rule the order breaks, or None."""
        for rule in self._rules:
            if (refusal := rule(order, now_ns)) is not None:
                return refusal
        return None

    def size(self, order: VenueOrder, size_lots: int) -> ExecError | None:
        """The size rule an amend of the whole order to `size_lots` breaks, or None."""
        inst, grid = order.instrument, order.instrument.grid
        size = grid.size(size_lots)
        if size_lots <= 0 or (order.type is not OrderType.MARKET and size_lots < inst.size_min_lots):
            return self._no("size_min", order, size=size, min=grid.size(inst.size_min_lots))
        if size_lots % inst.size_step_lots:
            return self._no("size_step", order, size=size, step=grid.size(inst.size_step_lots))
        return None

    def left(self, order: VenueOrder) -> ExecError | None:
        """An amend must leave something to trade above what is filled."""
        if order.left_lots > 0:
            return None
        grid = order.instrument.grid
        least = grid.size(order.filled_lots + order.instrument.size_step_lots)
        return self._no("size_min", order, size=grid.size(order.filled_lots + order.left_lots), min=least)

    def hold(self, order: VenueOrder) -> ExecError | None:
        """An order whose money was set aside at a stated price does not move above it."""
        if order.hold_price_i is None or order.side is Side.SELL or (order.price_i or 0) <= order.hold_price_i:
            return None
        grid = order.instrument.grid
        return self._no("hold", order, price=grid.price(order.price_i or 0), hold=grid.price(order.hold_price_i))

    def _no(self, rule: str, order: VenueOrder, **fields: object) -> ExecError:
        return refuse(self._venue, self._profile, rule, order_id=order.id, id=order.venue_order_id, **fields)

    def _market(self, order: VenueOrder, now_ns: int) -> ExecError | None:
        if order.market < 0:
            return self._no("unknown_market", order, market=order.instrument.market)
        if not self.is_open(order.market):
            return self._no("market_closed", order, market=order.instrument.market)
        return None

    def _price(self, order: VenueOrder, now_ns: int) -> ExecError | None:
        if order.price_i is None:
            return None
        inst, grid = order.instrument, order.instrument.grid
        tick_i = self._kernel.tick_i(VENUE, order.market)
        low = tick_i if inst.kind is InstrumentKind.BINARY else (inst.price_min_i or 1)
        high = inst.one_i - tick_i if inst.kind is InstrumentKind.BINARY else inst.price_max_i
        price = grid.price(order.price_i)
        if order.price_i < low or (high is not None and order.price_i > high):
            ends = {"low": grid.price(low), "high": "" if high is None else grid.price(high)}
            return self._no("price_range", order, price=price, **ends)
        if order.price_i % tick_i:
            return self._no("tick", order, price=price, tick=grid.price(tick_i))
        return None

    def _size(self, order: VenueOrder, now_ns: int) -> ExecError | None:
        return None if order.size_lots is None else self.size(order, order.size_lots)

    def _value(self, order: VenueOrder, now_ns: int) -> ExecError | None:
        inst = order.instrument
        price_i = order.price_i if order.price_i is not None else self._touch(order)
        if order.size_lots is None:
            value = order.quote_amount or 0
        elif price_i is None:
            return None
        else:
            if price_i * order.size_lots >= NOTIONAL_MAX:
                return self._no("bound", order, value=price_i * order.size_lots)
            value = inst.cash(price_i, order.size_lots)
        taker_buy = order.is_immediate and order.side is Side.BUY
        applies = taker_buy or not inst.notional_min_taker_buys_only
        if applies and value < inst.notional_min:
            value_min = inst.quote.decimal(inst.notional_min)
            return self._no("notional_min", order, value=inst.quote.decimal(value), min=value_min)
        return None

    def _touch(self, order: VenueOrder) -> int | None:
        bid, _, ask, _ = self._kernel.best(VENUE, order.market)
        touch = ask if order.side_sign > 0 else bid
        return None if touch is None else order.outcome_price_i(touch)

    def _expiry(self, order: VenueOrder, now_ns: int) -> ExecError | None:
        if order.tif is not TimeInForce.GTD or order.expire_ns is None:
            return None
        if order.expire_ns <= now_ns:
            return self._no("expired", order)
        if order.expire_ns - now_ns < self._profile.gtd_min_ns:
            return self._no("expiry_min", order)
        return None
