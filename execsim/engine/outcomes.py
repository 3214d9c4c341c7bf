"""What the worst outcome of an event costs: a binary market by itself, or several of which exactly one pays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from execsim.core.instrument import Instrument
from execsim.core.order import Order, Side
from execsim.core.position import Position
from execsim.core.units import Rounding


@dataclass(slots=True)
class Stake:
    """What one market loses if its YES pays, and if it does not, in quote units (negative: gains)."""

    if_yes: int = 0
    if_no: int = 0

    def hold(self, position: Position) -> None:
        """Count what the market has cost so far (fees included) and what its tokens would pay."""
        instrument = position.instrument
        self.if_yes -= position.cash + instrument.par(position.yes_lots)
        self.if_no -= position.cash + instrument.par(position.no_lots)

    def order(self, order: Order, lots: int) -> None:
        """Count an order for `lots` as filled at its price in the outcome where that hurts: a buy when YES does not pay, a
        sell when it does. An order without a price counts at the worst there is."""
        instrument, buys = order.instrument, order.book_side is Side.BUY
        if order.quote_amount is not None:
            at_risk = order.remaining_quote
        else:
            at_risk = _at_risk(instrument, order.book_price_i, lots, buys)
        if buys:
            self.if_no += at_risk
        else:
            self.if_yes += at_risk


def _at_risk(instrument: Instrument, book_price_i: int | None, lots: int, buys: bool) -> int:
    """What `lots` bought at a YES price lose if YES does not pay, or sold lose if it does. Rounded up."""
    if book_price_i is None:
        return instrument.par(lots)
    per_lot_i = book_price_i if buys else instrument.one_i - book_price_i
    return instrument.cash(per_lot_i, lots, Rounding.CEIL)


def worst_loss(stakes: Sequence[Stake], payable: Iterable[int], exclusive: bool) -> int:
    """Largest loss over the outcomes, in quote units; negative when every outcome gains.

    `exclusive`: exactly one of the markets pays, one of those at the indices `payable`. Otherwise there is one market and
    its YES pays or does not. An event that pays half to everybody (void) is not among the outcomes.
    """
    if not exclusive:
        stake = stakes[0]
        return max(stake.if_yes, stake.if_no)
    none_pays = sum(stake.if_no for stake in stakes)
    return max((none_pays + stakes[i].if_yes - stakes[i].if_no for i in payable), default=none_pays)
