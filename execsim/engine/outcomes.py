"""What the worst outcome of an event costs: a binary market by itself, or several of which exactly one pays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from execsim.core.instrument import Instrument
from execsim.core.order import Order, Side
from execsim.core.position import Position
from execsim.core.units import Rounding


class Stake:
    """What one market loses if its YES pays (`if_yes`), and if it does not (`if_no`), in quote units; negative: gains."""

    __slots__ = ("_buys_i", "_instrument", "_sells_i", "_units_if_no", "_units_if_yes")

    def __init__(self, instrument: Instrument, position: Position | None = None) -> None:
        """Counts what the market has cost so far (fees included) and what its tokens would pay."""
        self._instrument = instrument
        self._units_if_yes = self._units_if_no = 0
        self._buys_i = self._sells_i = 0
        """price units x lots of open orders, kept apart so that money is rounded once"""
        if position is not None:
            self._units_if_yes = -position.cash - instrument.par(position.yes_lots)
            self._units_if_no = -position.cash - instrument.par(position.no_lots)

    def order(self, order: Order, lots: int, raises: bool) -> None:
        """Count an order for `lots` as filled at its price in the outcome where that hurts: when YES does not pay if it
        `raises` the net YES position, when it does if not. An order without a price counts at the worst there is."""
        if order.quote_amount is not None:
            if raises:
                self._units_if_no += order.remaining_quote
            else:
                self._units_if_yes += order.remaining_quote
            return
        one_i, price_i = self._instrument.one_i, order.price_i
        # who buys a token loses its price, who sells it the rest of what it may pay
        per_lot_i = one_i if price_i is None else price_i if order.side is Side.BUY else one_i - price_i
        at_risk_i = per_lot_i * lots
        if raises:
            self._buys_i += at_risk_i
        else:
            self._sells_i += at_risk_i

    @property
    def if_yes(self) -> int:
        return self._units_if_yes + self._instrument.cash(self._sells_i, 1, Rounding.CEIL)

    @property
    def if_no(self) -> int:
        return self._units_if_no + self._instrument.cash(self._buys_i, 1, Rounding.CEIL)


def worst_loss(stakes: Sequence[Stake], payable: Iterable[int], exclusive: bool) -> int:
    """Largest loss over the outcomes, in quote units; negative when every outcome gains.

    `exclusive`: exactly one of the markets pays, one of those at the indices `payable`. Otherwise there is one market and
    its YES pays or does not. An event that pays half to everybody (void) is not among the outcomes.
    """
    losses = [(stake.if_yes, stake.if_no) for stake in stakes]
    if not exclusive:
        return max(losses[0])
    none_pays = sum(if_no for _, if_no in losses)
    return max((none_pays + losses[i][0] - losses[i][1] for i in payable), default=none_pays)
