"""A book of single orders in lists, with orders of ours standing between them: where each of ours stands, exactly."""

from __future__ import annotations

from collections import defaultdict

Place = tuple[int, int]
"""side, price"""


class NaiveOrders:
    """Queues are lists of [name, lots] from the front; our orders have a str as name and take up no room."""

    def __init__(self) -> None:
        self.queues: defaultdict[Place, list[list]] = defaultdict(list)  # type: ignore[type-arg]
        self.places: dict[int | str, Place] = {}
        self.filled: defaultdict[str, int] = defaultdict(int)

    def add(self, name: int | str, side: int, price: int, lots: int) -> None:
        self.queues[side, price].append([name, lots])
        self.places[name] = side, price

    def cancel(self, name: int | str) -> None:
        queue = self.queues[self.places.pop(name)]
        queue[:] = [entry for entry in queue if entry[0] != name]

    def lots(self, name: int | str) -> int:
        return next(int(lots) for other, lots in self.queues[self.places[name]] if other == name)

    def modify(self, name: int, price: int, lots: int) -> None:
        side, old = self.places[name]
        if price == old and lots <= self.lots(name):
            next(entry for entry in self.queues[side, old] if entry[0] == name)[1] = lots
        else:
            self.cancel(name)
            self.add(name, side, price, lots)

    def hit(self, name: int, lots: int) -> None:
        """An aggressor took `lots` of an order: the first of ours at a better price or before it would have had them."""
        side, price = self.places[name]
        queue = self.queues[side, price]
        at = next(i for i, entry in enumerate(queue) if entry[0] == name)
        if not any(isinstance(n, str) and s == side and side * p > side * price for n, (s, p) in self.places.items()):
            ours = next((entry[0] for entry in queue[:at] if isinstance(entry[0], str)), None)
            if ours is not None:
                self.filled[ours] += lots
        queue[at][1] -= lots
        if not queue[at][1]:
            self.cancel(name)

    def replace(self, orders: list[tuple[int, int, int, int]]) -> None:
        """A new book of (name, side, price, lots): nobody knows where ours stand, so they go to the back."""
        ours = [(name, place) for name, place in self.places.items() if isinstance(name, str)]
        self.queues.clear()
        self.places.clear()
        for name, side, price, lots in orders:
            self.add(name, side, price, lots)
        for own, (side, price) in ours:
            self.add(own, side, price, 0)

    def ahead(self, name: str) -> int:
        total = 0
        for other, lots in self.queues[self.places[name]]:
            if other == name:
                break
            total += lots
        return total

    def best(self, side: int) -> int | None:
        prices = [p for (s, p), queue in self.queues.items() if s == side and any(lots for _, lots in queue)]
        return side * max(side * p for p in prices) if prices else None
