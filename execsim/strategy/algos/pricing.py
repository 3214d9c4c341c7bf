"""Prices of children: on the tick, inside the limit, in the price of the outcome traded."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from execsim.core.instrument import Instrument, InstrumentKind, Outcome
from execsim.core.order import Side

if TYPE_CHECKING:
    from execsim.engine.context import Context


class Touch(NamedTuple):
    """Best prices as an order of one outcome and side meets them: `near_i` is the best of our side, `far_i` of the other."""

    near_i: int | None
    far_i: int | None
    far_lots: int


def touch_of(ctx: Context, market: str, side: Side, outcome: Outcome) -> Touch:
    top = ctx.best(market)
    one_i = ctx.instrument(market).one_i
    bid = (top.bid_i, top.bid_lots)
    ask = (top.ask_i, top.ask_lots)
    if outcome is Outcome.NO:
        bid, ask = (_mirror(one_i, ask[0]), ask[1]), (_mirror(one_i, bid[0]), bid[1])
    near, far = (bid, ask) if side is Side.BUY else (ask, bid)
    return Touch(near[0], far[0], far[1])


def within(price_i: int, limit_i: int | None, side: Side) -> bool:
    """Whether a price is no worse than the limit."""
    return limit_i is None or side.sign * price_i <= side.sign * limit_i


def bounded(price_i: int, limit_i: int | None, side: Side, tick_i: int) -> int:
    """`price_i`, or the limit where that is tighter, moved to the tick away from the market: never beyond the limit."""
    if limit_i is not None and not within(price_i, limit_i, side):
        price_i = limit_i
    return price_i - price_i % tick_i if side is Side.BUY else price_i + -price_i % tick_i


def allowed(instrument: Instrument, price_i: int, tick_i: int) -> bool:
    """Whether the market takes orders at this price: a binary price lies at least a tick inside (0, 1)."""
    low_i, high_i = max(tick_i, instrument.price_min_i or 0), instrument.price_max_i
    if instrument.kind is InstrumentKind.BINARY:
        inside_i = instrument.one_i - tick_i
        high_i = inside_i if high_i is None else min(inside_i, high_i)
    return low_i <= price_i and (high_i is None or price_i <= high_i)


def resting_i(touch: Touch, limit_i: int | None, side: Side, tick_i: int) -> int | None:
    """Where a post-only order joins: our side's best price, a tick inside of the other side's where ours is empty (or
    crossed), always within the limit. None without any price to lean on."""
    price_i = touch.near_i
    if touch.far_i is not None:
        inside_i = touch.far_i - side.sign * tick_i
        if price_i is None or not within(price_i, inside_i, side):
            price_i = inside_i
    return None if price_i is None else bounded(price_i, limit_i, side, tick_i)


def crossing_i(touch: Touch, limit_i: int | None, side: Side, tick_i: int) -> int | None:
    """Price of an IOC order that takes the touch: the other side's best, on the tick towards it. None when it is empty
    or beyond the limit."""
    if touch.far_i is None:
        return None
    # a touch off the tick (it became coarser meanwhile) is met by the tick beyond it
    price_i = touch.far_i + (-touch.far_i % tick_i if side is Side.BUY else -(touch.far_i % tick_i))
    return price_i if within(price_i, limit_i, side) else None


def _mirror(one_i: int, price_i: int | None) -> int | None:
    return None if price_i is None else one_i - price_i
