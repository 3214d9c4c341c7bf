"""A book of single orders while a recording is read: what its events say about levels, prints and births.

A birth is the number an order gets when it takes a place at the back of a queue: when it comes, and again when it grows or
changes its price (both lose the place). A smaller size keeps the place. Rule: CME and most venues; hftbacktest's
L3FIFOQueueModel assumes the same.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import NamedTuple

from execsim.tape.schema import Flag, Kind


class Told(NamedTuple):
    """A row of the tape but for its times. `side` is the aggressor's for a trade; `birth` is the tape's `order_id`."""

    kind: Kind
    side: int
    price_i: int
    lots: int
    birth: int
    flags: int = 0


@dataclass(slots=True)
class Single:
    """One order of the recording."""

    side: int
    price_i: int
    lots: int
    birth: int


class Orders:
    """Orders by their id. Sides are +1 and -1; each event returns the rows it makes, in order.

    An event about an order nobody saw come makes no row and counts in `unknown`; so does one that comes twice in `twice`
    (the later one counts). `fills`: the recording names the orders that prints hit; else prints are matched with the
    decreases of the level that follow them.
    """

    def __init__(self, fills: bool) -> None:
        self.unknown = 0
        self.twice = 0
        self._fills = fills
        self._orders: dict[int, Single] = {}
        self._levels: dict[tuple[int, int], int] = {}
        self._printed: defaultdict[tuple[int, int], int] = defaultdict(int)
        self._births = 0

    def add(self, order_id: int, side: int, price_i: int, lots: int) -> list[Told]:
        rows: list[Told] = []
        if order_id in self._orders:
            self.twice += 1
            rows = self.cancel(order_id)
        self._births += 1
        self._orders[order_id] = Single(side, price_i, 0, self._births)
        return rows + self._change(self._orders[order_id], lots, self._births)

    def cancel(self, order_id: int) -> list[Told]:
        order = self._orders.pop(order_id, None)
        if order is None:
            self.unknown += 1
            return []
        return self._shrink(order, 0)

    def modify(self, order_id: int, price_i: int, lots: int) -> list[Told]:
        """A new price or a larger size: off the queue, and to the back of that of the new price."""
        order = self._orders.get(order_id)
        if order is None:
            self.unknown += 1
            return []
        if price_i == order.price_i and lots <= order.lots:
            return self._shrink(order, lots)
        rows = self.cancel(order_id)
        return rows + self.add(order_id, order.side, price_i, lots)

    def fill(self, order_id: int, side: int, price_i: int, lots: int) -> list[Told]:
        """An order was hit, and has that much less at once: a change that the recording tells later changes nothing more."""
        order = self._orders.get(order_id)
        if order is None:
            self.unknown += 1
            return [Told(Kind.TRADE, -side, price_i, lots, 0)]
        row = Told(Kind.TRADE, -order.side, price_i, lots, order.birth)
        return [row, *self._change(order, max(0, order.lots - lots), -order.birth)]

    def trade(self, aggressor: int, price_i: int, lots: int) -> list[Told]:
        """A print; nothing where fills tell the same."""
        if self._fills:
            return []
        self._printed[-aggressor, price_i] += lots
        return [Told(Kind.TRADE, aggressor, price_i, lots, 0)]

    def clear(self, side: int) -> None:
        """Forget the orders of one side, or of both (0)."""
        self._orders = {key: order for key, order in self._orders.items() if side not in (0, order.side)}
        self._levels = {key: lots for key, lots in self._levels.items() if side not in (0, key[0])}
        self._printed.clear()

    def snapshot(self) -> list[Told]:
        """The whole book as it stands; everybody in it was born by now."""
        levels = sorted(self._levels.items(), key=lambda item: (-item[0][0], -item[0][0] * item[0][1]))
        rows = [Told(Kind.SNAPSHOT, side, price_i, lots, self._births) for (side, price_i), lots in levels]
        rows = rows or [Told(Kind.SNAPSHOT, 0, 0, 0, self._births)]
        rows[0] = rows[0]._replace(flags=int(Flag.FIRST))
        rows[-1] = rows[-1]._replace(flags=rows[-1].flags | int(Flag.LAST))
        return rows

    def _shrink(self, order: Single, lots: int) -> list[Told]:
        """As far as prints without names were there before, they have told it."""
        place = order.side, order.price_i
        told = min(self._printed[place], order.lots - lots) if self._printed else 0
        if not told:
            return self._change(order, lots, order.birth)
        self._printed[place] -= told
        return self._change(order, order.lots - told, -order.birth) + self._change(order, lots, order.birth)

    def _change(self, order: Single, lots: int, birth: int) -> list[Told]:
        if lots == order.lots:
            return []
        place = order.side, order.price_i
        total = self._levels.get(place, 0) + lots - order.lots
        order.lots = lots
        if total:
            self._levels[place] = total
        else:
            self._levels.pop(place, None)
        return [Told(Kind.LEVEL, order.side, order.price_i, total, birth)]
