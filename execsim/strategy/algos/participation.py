"""A plan by volume: a share of what others print."""

from __future__ import annotations

from fractions import Fraction

from execsim.core.errors import ConfigError
from execsim.core.events import OrderUpdate, Trade
from execsim.core.lifecycle import OrderEvent
from execsim.core.order import Cause, Evidence
from execsim.strategy.algos.parent import Parent
from execsim.strategy.algos.pricing import within
from execsim.strategy.algos.terms import Terms


class Participation:
    """Due: `rate` of the volume heard since the start, rounded down; our own fills are no market volume.

    A print does not say whose it is. Where our fills are printed too (a real venue, a market of agents) the lots of each are
    taken off the prints at its price; a recording was made without us and holds none of them. Prints beyond the limit are
    not counted: coming back inside must not release a burst. Errors: ConfigError for a rate outside (0, 1].
    """

    def __init__(self, terms: Terms, rate: Fraction) -> None:
        if not 0 < rate <= 1:
            raise ConfigError(f"pov: rate is {rate}", "above 0 and at most 1: 1/10 or 0.1")
        self._terms = terms
        self._rate = rate
        self.volume_lots = 0
        """lots printed by others, within the limit"""
        self._own: dict[int, int] = {}
        """price -> lots of our fills there whose print we have not heard (or took for others')"""

    def due_lots(self, elapsed_ns: int, parent: Parent, least: int) -> int:
        volume = self.volume_lots * self._rate.numerator // self._rate.denominator
        return min(parent.lots, volume)

    def next_ns(self, elapsed_ns: int) -> int | None:
        return None

    def hear(self, trade: Trade) -> bool:
        price_i = self._terms.instrument.canonical_i(trade.price_i, self._terms.outcome)
        if not within(price_i, self._terms.limit_i, self._terms.side):
            return False
        ours = min(trade.lots, self._own.get(price_i, 0))
        if ours:
            self._own[price_i] -= ours
        self.volume_lots += trade.lots - ours
        return trade.lots > ours

    def told(self, update: OrderUpdate) -> None:
        fill = update.fill
        if fill is None or update.event not in (OrderEvent.FILL, OrderEvent.DONE):
            return
        if fill.cause is Cause.REPORTED or fill.evidence is Evidence.MATCHED:
            self._own[fill.price_i] = self._own.get(fill.price_i, 0) + fill.lots
