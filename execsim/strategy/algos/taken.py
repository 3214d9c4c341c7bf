"""What our own takers took from the levels they were shown: a book that lags behind, or a recording, still shows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from execsim.core.events import OrderUpdate
from execsim.core.lifecycle import OrderEvent
from execsim.core.units import NS_PER_S
from execsim.strategy.algos.parent import Child

FORGET_NS: Final = 30 * NS_PER_S
"""A level that shows the same size for so long is believed again: somebody may have refilled it to the lot."""


class Taken:
    """Remembers until a level shows another size, is gone, or FORGET_NS have passed. Prices of the outcome traded."""

    def __init__(self) -> None:
        self._levels: dict[tuple[str, int], tuple[int, int, int]] = {}
        """(market, price) -> (size shown, taken of it, when)"""

    def left(self, market: str, price_i: int, shown: int, now_ns: int) -> int:
        """Lots of a level that are still to be had, of those it shows."""
        size, taken, at_ns = self._levels.get((market, price_i), (0, 0, 0))
        if size != shown or now_ns - at_ns >= FORGET_NS:
            self._levels.pop((market, price_i), None)
            return shown
        return max(0, shown - taken)

    def passed(self, market: str, best_i: int | None, sign: int) -> None:
        """Forget levels better than the best price there is (`sign`: +1 for a buyer): they are gone from the book."""
        for name, price_i in list(self._levels):
            if name == market and (best_i is None or sign * price_i < sign * best_i):
                del self._levels[name, price_i]

    def told(self, update: OrderUpdate, child: Child, shown: Mapping[int, int]) -> None:
        """Take note of a fill; and of an order that ended with lots left: of what it could have met, nothing is left.
        `shown`: the sizes its levels showed when it was placed."""
        market, now_ns = update.order.market, update.ts_ns
        if update.fill is not None and update.event in (OrderEvent.FILL, OrderEvent.DONE):
            price_i = update.fill.price_i
            if price_i in shown:
                size, taken, _ = self._levels.get((market, price_i), (shown[price_i], 0, 0))
                if size != shown[price_i]:
                    size, taken = shown[price_i], 0
                self._levels[market, price_i] = (size, taken + update.fill.lots, now_ns)
        if update.after.is_terminal and update.order.remaining_lots and not child.unsent and update.fill is None:
            for price_i, size in shown.items():
                self._levels[market, price_i] = (size, size, now_ns)
