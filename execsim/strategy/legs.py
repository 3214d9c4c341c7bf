"""Which token to trade. On a binary market the same risk can be had in two ways: selling YES or buying NO.

An order on the canonical book (side, price, lots) becomes an order for a token: what is held is sold, otherwise the
other token is bought at 1 - p. So nobody sells what he does not have, and money is not locked in full sets.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from execsim.core.instrument import Instrument, InstrumentKind, Outcome
from execsim.core.order import Order, Side
from execsim.core.position import Position


class Leg(NamedTuple):
    """An order for one token: `price_i` is the price of `outcome`."""

    side: Side
    outcome: Outcome
    price_i: int
    lots: int


def leg(
    instrument: Instrument,
    position: Position,
    open_orders: Iterable[Order],
    side: Side,
    price_i: int,
    lots: int,
    *,
    shorting: bool,
) -> Leg | None:
    """How to trade up to `lots` on `side` of the canonical book at `price_i`; None when it cannot be done.

    Held and unreserved tokens are sold first, as many as there are (the rest is for the next order); with fewer than
    the minimum size free, the other token is bought. `open_orders` of this market reserve what they sell.
    Spot: `shorting` says whether a sell may exceed the position (the account holds base from the start).
    Units: lots and price units; the result is on the size step, never above `lots`.
    """
    if instrument.kind is InstrumentKind.SPOT:
        if side is Side.SELL and not shorting:
            lots = min(lots, _free(position.yes_lots, Outcome.YES, open_orders))
        return _sized(instrument, side, Outcome.YES, price_i, lots)
    held = Outcome.YES if side is Side.SELL else Outcome.NO
    free = _free(position.yes_lots if held is Outcome.YES else position.no_lots, held, open_orders)
    sale = _sized(instrument, Side.SELL, held, instrument.canonical_i(price_i, held), min(lots, free))
    if sale is not None:
        return sale
    return _sized(instrument, Side.BUY, held.other, instrument.canonical_i(price_i, held.other), lots)


def _free(held_lots: int, outcome: Outcome, open_orders: Iterable[Order]) -> int:
    reserved = sum(
        order.remaining_lots
        for order in open_orders
        if order.is_active and order.side is Side.SELL and order.outcome is outcome
    )
    return max(0, held_lots - reserved)


def _sized(instrument: Instrument, side: Side, outcome: Outcome, price_i: int, lots: int) -> Leg | None:
    lots -= lots % instrument.size_step_lots
    return Leg(side, outcome, price_i, lots) if lots >= max(1, instrument.size_min_lots) else None
