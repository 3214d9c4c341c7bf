"""The orders of a venue: every one it has booked, those that may still trade, and of the ended ones only the last."""

from __future__ import annotations

from collections import deque
from typing import Final

from execsim.core.position import OPEN_FILLS
from execsim.exchange.resting import OrderKey, VenueOrder

ENDED_KEPT_MAX: Final = 1_000_000
"""Ended orders a simulated venue keeps unless told otherwise, some 0.8 GB: a run that fits a report never meets it."""


class Register:
    """`orders` by account and id, `open` those of them that may still trade, both in order of arrival.

    Of ended orders the last `ended_kept_max` stay; older ones are dropped, oldest ended first, with their fills, and then
    nobody here knows them: a real venue answers questions about old orders so, too. One with a fill that is not settled
    stays until it is. `dropped` counts what has left.
    """

    def __init__(self, ended_kept_max: int = ENDED_KEPT_MAX) -> None:
        self.ended_kept_max = ended_kept_max
        self.orders: dict[OrderKey, VenueOrder] = {}
        self.open: dict[OrderKey, VenueOrder] = {}
        self.filled: dict[str, dict[OrderKey, VenueOrder]] = {}
        """account -> its orders with fills: what is looked through when somebody asks for fills"""
        self.dropped = 0
        self._ended: deque[VenueOrder] = deque()
        self._held: deque[VenueOrder] = deque()
        """ended orders whose time to leave has come, and that have a fill that is not settled"""

    def add(self, order: VenueOrder) -> None:
        self.orders[order.key] = self.open[order.key] = order

    def fill(self, order: VenueOrder) -> None:
        """It has a fill."""
        self.filled.setdefault(order.account, {})[order.key] = order

    def withdraw(self, order: VenueOrder) -> None:
        """It was refused after all: it never was."""
        del self.orders[order.key], self.open[order.key]

    def end(self, order: VenueOrder) -> None:
        """It trades no more."""
        if self.open.pop(order.key, None) is None:
            return
        self._ended.append(order)
        if self._held:  # one out of those that waited for every one that ends: as many go as come
            self._drop(self._held.popleft())
        if len(self._ended) > self.ended_kept_max:
            self._drop(self._ended.popleft())

    def _drop(self, order: VenueOrder) -> None:
        if any(fill.status in OPEN_FILLS for fill in order.fills):
            self._held.append(order)
            return
        del self.orders[order.key]
        if order.fills:
            del self.filled[order.account][order.key]
        self.dropped += 1
