"""The L3 book said again, as plainly as possible: two lists of orders, sorted by price and arrival after every change."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Resting:
    id: int
    side: int
    price: int
    lots: int
    arrived: int


class NaiveL3:
    """The referee of execsim.exchange.l3: same questions, no index, no cache. Sides are +1 and -1."""

    def __init__(self) -> None:
        self.orders: list[Resting] = []
        self.clock = 0

    def side(self, side: int) -> list[Resting]:
        """Orders of a side in priority order."""
        held = [order for order in self.orders if order.side == side]
        return sorted(held, key=lambda order: (-side * order.price, order.arrived))

    def take(self, side: int, limit: int | None, lots: int) -> list[tuple[int, int, int, int]]:
        """[(maker, price, lots, lots left of the maker)]"""
        found = []
        for order in self.side(-side):
            if lots == 0 or (limit is not None and side * order.price > side * limit):
                break
            met = min(lots, order.lots)
            lots -= met
            order.lots -= met
            found.append((order.id, order.price, met, order.lots))
        self.orders = [order for order in self.orders if order.lots > 0]
        return found

    def add(self, id: int, side: int, price: int, lots: int) -> list[tuple[int, int, int, int]]:
        found = self.take(side, price, lots)
        left = lots - sum(met for _, _, met, _ in found)
        if left:
            self.clock += 1
            self.orders.append(Resting(id, side, price, left, self.clock))
        return found

    def find(self, id: int) -> Resting | None:
        return next((order for order in self.orders if order.id == id), None)

    def cancel(self, id: int) -> int:
        order = self.find(id)
        assert order is not None
        self.orders.remove(order)
        return order.lots

    def reduce(self, id: int, lots: int) -> None:
        order = self.find(id)
        assert order is not None
        order.lots = lots

    def reprice(self, id: int, price: int, lots: int | None) -> list[tuple[int, int, int, int]]:
        order = self.find(id)
        assert order is not None
        self.orders.remove(order)
        return self.add(id, order.side, price, order.lots if lots is None else lots)

    def fillable(self, side: int, limit: int | None, lots: int) -> int:
        within = [o for o in self.side(-side) if limit is None or side * o.price <= side * limit]
        return min(lots, sum(order.lots for order in within))

    def levels(self, side: int) -> list[tuple[int, int]]:
        prices = dict.fromkeys(order.price for order in self.side(side))
        return [(p, sum(o.lots for o in self.side(side) if o.price == p)) for p in prices]

    def ahead(self, id: int) -> tuple[int, int]:
        order = self.find(id)
        assert order is not None
        before = [o for o in self.side(order.side) if o.price == order.price and o.arrived < order.arrived]
        return sum(o.lots for o in before), len(before)
