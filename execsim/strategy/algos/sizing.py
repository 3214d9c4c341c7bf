"""How many lots a child may have: the market's step, minimum and maximum, and what must not be left behind."""

from __future__ import annotations

from execsim.core.instrument import Instrument
from execsim.core.order import Side
from execsim.core.units import ceil_div


def least_lots(instrument: Instrument, side: Side, price_i: int, *, rests: bool) -> int:
    """Smallest order the market takes at `price_i` (the price of the traded outcome), on the size step."""
    step = instrument.size_step_lots
    least = max(1, instrument.size_min_lots, step)
    binds = not instrument.notional_min_taker_buys_only or (not rests and side is Side.BUY)
    if instrument.notional_min and binds and price_i > 0:
        # money is rounded by the instrument: one lot more than the quotient is enough whatever the rounding
        lots = instrument.lots_for(instrument.notional_min, price_i)
        while instrument.cash(price_i, lots) < instrument.notional_min:
            lots += step
        least = max(least, lots)
    return ceil_div(least, step) * step


def fit_lots(want: int, room: int, least: int, instrument: Instrument) -> int:
    """Lots of the next child: about `want`, at most `room`, 0 when the market would take nothing that small.

    What would be left of `room` is never above 0 and below `least`: such a rest is merged into this child, or, where the
    market's maximum forbids it, this child becomes smaller. Off the size step nothing can be traded at all.
    """
    step = instrument.size_step_lots
    room -= room % step
    lots = min(want, room)
    lots -= lots % step
    if lots < least:
        return 0
    most = room if instrument.size_max_lots is None else min(room, instrument.size_max_lots // step * step)
    if 0 < room - lots < least:
        lots = room
    if lots <= most:
        return lots
    rest = room - most
    smaller = most - ceil_div(least - rest, step) * step
    return smaller if 0 < rest < least <= smaller else most
