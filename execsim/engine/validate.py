"""Is this order well formed? Pure rules of one signature: `check(order, view) -> Refusal | None`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from execsim.core.errors import ConfigError, ValidationError
from execsim.core.instrument import Instrument, InstrumentKind, Outcome
from execsim.core.order import Order, OrderType, Side, TimeInForce
from execsim.core.units import NOTIONAL_MAX, Number, Rounding, decimal_of, plain
from execsim.engine.view import EngineView


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a check said no: the rule's name, what happened with its numbers, and what to change."""

    rule: str
    what: str
    hint: str = ""

    def error(self) -> ValidationError:
        return ValidationError(self.rule, self.what, self.hint)


Check = Callable[[Order, EngineView], Refusal | None]


@dataclass(frozen=True, slots=True)
class ValidatorConfig:
    """Bounds in human units. `size_bounds` and `price_bounds` override by market id or, failing that, by venue id.

    The price defaults are for binary outcomes; a spot market needs `price_bounds` or bounds of its instrument. Where both
    the instrument and this config bound the price, the tighter bound counts. `custom` rules run after ours, in order.
    """

    size_min: Number = Decimal("0.01")
    size_max: Number = Decimal(1_000_000)
    binary_price_min: Number = Decimal("0.0001")
    binary_price_max: Number = Decimal(1)
    size_bounds: Mapping[str, tuple[Number, Number]] = field(default_factory=dict)
    price_bounds: Mapping[str, tuple[Number, Number]] = field(default_factory=dict)
    custom: Sequence[Check] = ()


@dataclass(frozen=True, slots=True)
class _Bounds:
    """A market's bounds on its own integer grid."""

    size_min_lots: int
    size_max_lots: int
    price_min_i: int
    price_max_i: int
    quote_max: int
    binary: bool


class OrderValidator:
    """Checks orders against the rules of their market. `register` every instrument before its first order."""

    def __init__(self, config: ValidatorConfig | None = None) -> None:
        self.config = config or ValidatorConfig()
        self._bounds: dict[str, _Bounds] = {}
        self._rules: tuple[Check, ...] = (
            self._ids,
            self._quantity,
            self._kind,
            self._life,
            self._size,
            self._price,
            self._notional,
            *self.config.custom,
        )

    def register(self, instrument: Instrument) -> None:
        """Turn the bounds into integers once. Errors: ConfigError for a spot market without price bounds, or bounds
        that leave nothing."""
        bounds = self._compile(instrument)
        if bounds.size_min_lots > bounds.size_max_lots or bounds.price_min_i > bounds.price_max_i:
            raise ConfigError(
                f"market {instrument.market}: the size or price bounds leave no valid order",
                "check size_bounds and price_bounds of the validator against the instrument",
            )
        self._bounds[instrument.market] = bounds

    def lots_max(self, market: str) -> int:
        """The largest order of a registered market that passes."""
        return self._bounds[market].size_max_lots

    def check(self, order: Order, view: EngineView) -> Refusal | None:
        """The first rule the order breaks, or None. Sends nothing, changes nothing."""
        for rule in self._rules:
            refusal = rule(order, view)
            if refusal is not None:
                return refusal
        return None

    def validate(self, order: Order, view: EngineView) -> None:
        """As `check`, raising ValidationError(rule, what, hint)."""
        refusal = self.check(order, view)
        if refusal is not None:
            raise refusal.error()

    def _compile(self, instrument: Instrument) -> _Bounds:
        config, grid = self.config, instrument.grid
        binary = instrument.kind is InstrumentKind.BINARY
        sizes = _override(config.size_bounds, instrument)
        size_min, size_max = (config.size_min, config.size_max) if sizes is None else sizes
        size_max_lots = grid.lots(size_max, Rounding.FLOOR)
        if instrument.size_max_lots is not None:
            size_max_lots = min(size_max_lots, instrument.size_max_lots)
        prices: tuple[Number, Number] | None = _override(config.price_bounds, instrument)
        if prices is None and binary:
            prices = (config.binary_price_min, config.binary_price_max)
        if prices is None and (instrument.price_min_i is None or instrument.price_max_i is None):
            raise ConfigError(
                f"spot market {instrument.market} of {instrument.venue} has no price bounds",
                "set price_min_i and price_max_i of the instrument, or price_bounds of the validator, e.g. "
                f'ValidatorConfig(price_bounds={{"{instrument.market}": ("1000", "500000")}})',
            )
        lows = [instrument.price_min_i] if instrument.price_min_i is not None else []
        highs = [instrument.price_max_i] if instrument.price_max_i is not None else []
        if prices is not None:
            lows.append(grid.price_i(prices[0], Rounding.CEIL))
            highs.append(grid.price_i(prices[1], Rounding.FLOOR))
        quote_max = instrument.cash(1, NOTIONAL_MAX - 1)
        size_min_lots = max(1, grid.lots(size_min, Rounding.CEIL))
        return _Bounds(size_min_lots, size_max_lots, max(lows), min(highs), quote_max, binary)

    def _ids(self, order: Order, view: EngineView) -> Refusal | None:
        for name, value in (("id", order.id), ("market", order.instrument.market), ("venue", order.instrument.venue)):
            if not value or not value.strip():
                return Refusal("ids", f"the order's {name} is empty", f"give every order a non-empty {name}")
        return None

    def _quantity(self, order: Order, view: EngineView) -> Refusal | None:
        size, amount = order.size_lots, order.quote_amount
        if (size is None) == (amount is None):
            both = "neither a size nor a quote amount" if size is None else "both a size and a quote amount"
            return Refusal("size_or_amount", f"the order has {both}", "give exactly one of the two")
        if size is not None and size <= 0:
            return Refusal("size_positive", f"size {_size(order, size)} is not positive", "the side says buy or sell")
        if amount is None:
            return None
        if amount <= 0:
            return Refusal(
                "amount_positive", f"quote amount {_money(order, amount)} is not positive", "raise the amount"
            )
        if order.type is not OrderType.MARKET or order.side is not Side.BUY:
            return Refusal(
                "amount_market_buy",
                f"a quote amount on a {order.type} {order.side} order",
                "only a market buy is sized by the money it spends; give a size",
            )
        return None

    def _kind(self, order: Order, view: EngineView) -> Refusal | None:
        if order.type is OrderType.MARKET:
            if order.price_i is not None:
                return Refusal(
                    "market_price",
                    f"a market order with a price of {_price(order, order.price_i)}",
                    "leave the price out, or send a limit order with IOC",
                )
        elif order.price_i is None:
            return Refusal(
                "limit_price", f"a {order.type} order without a price", "give a price, or use a market order"
            )
        if order.outcome is Outcome.NO and not self._bounds[order.instrument.market].binary:
            return Refusal("outcome", f"{order.instrument.market} is a spot market and has no NO side", "trade YES")
        return None

    def _life(self, order: Order, view: EngineView) -> Refusal | None:
        tif = order.tif
        if tif is TimeInForce.GTC and order.expire_ns is None:
            return None
        if order.type is OrderType.POST_ONLY and tif in (TimeInForce.IOC, TimeInForce.FOK):
            return Refusal(
                "post_only_rests", f"a post-only order with {tif.upper()}", "post-only rests: use GTC or GTD"
            )
        if tif is not TimeInForce.GTD:
            if order.expire_ns is not None:
                return Refusal("expiry_only_gtd", f"an expiry on a {tif.upper()} order", "use GTD or drop expire_ns")
            return None
        if order.type is OrderType.MARKET:
            return Refusal("market_rests", "a market order with GTD", "a market order never rests: use IOC or FOK")
        if order.expire_ns is None:
            return Refusal("expiry_missing", "a GTD order without expire_ns", "say when it ends, or use GTC")
        now_ns = view.now_ns()
        if order.expire_ns <= now_ns:
            late_ns = now_ns - order.expire_ns
            return Refusal("expiry_future", f"the order expired {late_ns} ns ago", "expire_ns must lie in the future")
        return None

    def _size(self, order: Order, view: EngineView) -> Refusal | None:
        size = order.size_lots
        if size is None:
            return None
        instrument = order.instrument
        bounds = self._bounds[instrument.market]
        low = bounds.size_min_lots
        if size < low:
            return Refusal("size_min", _below("size", _size(order, size), _size(order, low)), "raise the size")
        if size > bounds.size_max_lots:
            high = _size(order, bounds.size_max_lots)
            return Refusal("size_max", f"size {_size(order, size)} is above the maximum {high}", "split the order")
        if size % instrument.size_step_lots:
            step = _size(order, instrument.size_step_lots)
            return Refusal(
                "size_step",
                f"size {_size(order, size)} is not a multiple of {step}",
                f"round to {_size(order, size - size % instrument.size_step_lots)}",
            )
        # venues set their minimum size for resting orders; a market order closes whatever is left
        if size < instrument.size_min_lots and order.type is not OrderType.MARKET:
            venue_min = _size(order, instrument.size_min_lots)
            what = _below("size", _size(order, size), venue_min)
            return Refusal("venue_size_min", f"{what} of {instrument.venue}", f"raise the size to {venue_min}")
        return None

    def _price(self, order: Order, view: EngineView) -> Refusal | None:
        price_i = order.price_i
        if price_i is None:
            return None
        market = order.instrument.market
        bounds = self._bounds[market]
        if not bounds.price_min_i <= price_i <= bounds.price_max_i:
            low, high = _price(order, bounds.price_min_i), _price(order, bounds.price_max_i)
            return Refusal(
                "price_bounds",
                f"price {_price(order, price_i)} is outside {low} to {high}",
                "move the price, or widen price_bounds of the validator",
            )
        tick_i = view.tick_i(market)
        if price_i % tick_i:
            below = price_i - price_i % tick_i
            return Refusal(
                "tick",
                f"price {_price(order, price_i)} is not a multiple of the tick {_price(order, tick_i)}",
                f"use {_price(order, below)} or {_price(order, below + tick_i)}",
            )
        return None

    def _notional(self, order: Order, view: EngineView) -> Refusal | None:
        instrument = order.instrument
        bounds = self._bounds[instrument.market]
        if order.size_lots is None:
            notional = order.quote_amount or 0
            fits = notional <= bounds.quote_max
        else:
            price_i = bounds.price_max_i if order.price_i is None else order.price_i
            fits = price_i * order.size_lots < NOTIONAL_MAX
            notional = instrument.cash(price_i, order.size_lots)
        if not fits:
            return Refusal(
                "notional_bound",
                f"an order worth {_money(order, notional)} {instrument.quote.name} exceeds what can be computed exactly",
                "price_i x lots must stay below 2**62: split the order",
            )
        # a market order by size has no price yet: the venue judges its value
        priced = order.size_lots is None or order.price_i is not None
        taker_buy = order.is_immediate and order.side is Side.BUY
        bound = taker_buy or not instrument.notional_min_taker_buys_only
        if priced and bound and notional < instrument.notional_min:
            low = _money(order, instrument.notional_min)
            what = _below("value", _money(order, notional), low)
            return Refusal("notional_min", f"{what} {instrument.quote.name}", "raise price x size")
        return None


def _override(table: Mapping[str, tuple[Number, Number]], instrument: Instrument) -> tuple[Number, Number] | None:
    found = table.get(instrument.market) or table.get(instrument.venue)
    return None if found is None else (decimal_of(found[0], "bound"), decimal_of(found[1], "bound"))


def _below(what: str, value: str, minimum: str) -> str:
    return f"{what} {value} is below the minimum {minimum}"


def _size(order: Order, lots: int) -> str:
    return plain(order.instrument.grid.size(lots))


def _price(order: Order, price_i: int) -> str:
    return plain(order.instrument.grid.price(price_i))


def _money(order: Order, units: int) -> str:
    return plain(order.instrument.quote.decimal(units))
