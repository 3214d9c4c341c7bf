"""A price-time book of single orders (L3): who stands where in which queue, and who meets whom.

Pure: no money, no accounts, no clock. Prices are price_i of the canonical book, sizes lots, sides +1 (bids, buy) and -1
(asks, sell). Best price first; at one price the order that came first. What a change does to the public book is told to a
`BookListener` as it happens: the new total of a level, a trade with its aggressor. That is how market data is made.

Order ids are the caller's, any hashable; one id names one resting order at a time. An owner's orders meet each other like
anybody's: whether that is allowed is a rule of the venue, checked in front.

    side     keys (sorted, best last)      levels: key -> queue                orders: id -> order
    bids     [.. 0.47 0.48]                0.48 -> {17: order, 23: order}      17, 23, 31, ...
    asks     [.. -0.53 -0.52]              a key is side x price, so that the end of the list is the best of both sides

Sorted lists, because most changes are near the touch and so near the end: an insert moves few elements.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from execsim.core.errors import InternalError


@dataclass(slots=True, eq=False)
class L3Order:
    """One resting order; `lots` is what is left of it."""

    id: Hashable
    owner: str
    side: int
    price_i: int
    lots: int


class Match(NamedTuple):
    """An arriving order met `maker` for `lots` at the maker's price; `maker.lots` is what is left of it."""

    maker: L3Order
    price_i: int
    lots: int


class BookListener(Protocol):
    """Hears every public change. Trades of a price come before the new total of that level, as on the tape."""

    def on_level(self, side: int, price_i: int, lots: int) -> None:
        """The level now shows `lots` (0: it is gone)."""

    def on_trade(self, aggressor: int, price_i: int, lots: int) -> None:
        """`lots` traded at a price; one call a price, however many orders stood there. `aggressor` is a side."""


class _Level:
    __slots__ = ("lots", "queue")

    def __init__(self) -> None:
        self.queue: dict[Hashable, L3Order] = {}
        """a dict keeps insertion order, and lets go of any element in O(1)"""
        self.lots = 0


class _Half:
    """One side of the book."""

    __slots__ = ("keys", "levels", "side")

    def __init__(self, side: int) -> None:
        self.side = side
        self.keys: list[int] = []
        self.levels: dict[int, _Level] = {}

    def level(self, key: int) -> _Level:
        found = self.levels.get(key)
        if found is None:
            found = self.levels[key] = _Level()
            insort(self.keys, key)
        return found

    def drop(self, key: int) -> None:
        del self.levels[key]
        if self.keys[-1] == key:
            self.keys.pop()
        else:
            del self.keys[bisect_left(self.keys, key)]


class L3Book:
    """The orders of one market. Errors: InternalError for a misuse (unknown id, id in use, size not above zero)."""

    def __init__(self, listener: BookListener | None = None) -> None:
        self._bids, self._asks = _Half(1), _Half(-1)
        self._listener = listener
        self.orders: dict[Hashable, L3Order] = {}
        """every resting order by id; do not write into it"""

    # ---------------------------------------------------------------- changes
    def add(self, id: Hashable, owner: str, side: int, price_i: int, lots: int) -> list[Match]:
        """A limit order: what crosses is matched, the rest queues. Returns its matches, best price first."""
        matches = self.take(side, price_i, lots)
        left = lots - sum(match.lots for match in matches) if matches else lots
        if left:
            self.rest(id, owner, side, price_i, left)
        return matches

    def take(self, side: int, limit_i: int | None, lots: int) -> list[Match]:
        """Match up to `lots` against the other side, no worse than `limit_i` (None: at any price). Nothing rests."""
        half = self._asks if side > 0 else self._bids
        keys, matches, left = half.keys, list[Match](), lots
        while keys and left:
            key = keys[-1]
            price = half.side * key
            if limit_i is not None and side * price > side * limit_i:
                break
            left -= self._take_level(half, key, price, left, matches)
        return matches

    def _take_level(self, half: _Half, key: int, price_i: int, wanted: int, matches: list[Match]) -> int:
        """Match one level, oldest order first; returns the lots matched."""
        level = half.levels[key]
        traded = min(wanted, level.lots)
        left, gone = traded, list[Hashable]()
        for order in level.queue.values():
            lots = min(left, order.lots)
            order.lots -= lots
            left -= lots
            matches.append(Match(order, price_i, lots))
            if not order.lots:
                gone.append(order.id)
            if not left:
                break
        for id in gone:
            del level.queue[id]
            del self.orders[id]
        level.lots -= traded
        if not level.lots:
            half.drop(key)
        if self._listener is not None:
            self._listener.on_trade(-half.side, price_i, traded)
            self._listener.on_level(half.side, price_i, level.lots)
        return traded

    def rest(self, id: Hashable, owner: str, side: int, price_i: int, lots: int) -> L3Order:
        """Queue an order behind everything at its price. The caller has taken what crosses (`add`, `take`)."""
        if id in self.orders or lots <= 0:
            raise InternalError(f"cannot rest order {id!r} of {lots} lots: the id is in use or nothing is left of it")
        half = self._bids if side > 0 else self._asks
        level = half.level(side * price_i)
        order = level.queue[id] = self.orders[id] = L3Order(id, owner, side, price_i, lots)
        level.lots += lots
        if self._listener is not None:
            self._listener.on_level(side, price_i, level.lots)
        return order

    def cancel(self, id: Hashable) -> L3Order:
        """Take an order off the book; it comes back with the lots it had left."""
        order = self._known(id)
        half = self._bids if order.side > 0 else self._asks
        key = order.side * order.price_i
        level = half.levels[key]
        del level.queue[id], self.orders[id]
        level.lots -= order.lots
        if not level.lots:
            half.drop(key)
        if self._listener is not None:
            self._listener.on_level(order.side, order.price_i, level.lots)
        return order

    def reduce(self, id: Hashable, lots: int) -> None:
        """Lower an order to `lots` left (1 up to what it has); it keeps its place in the queue."""
        order = self._known(id)
        if not 0 < lots <= order.lots:
            raise InternalError(f"cannot reduce order {id!r} from {order.lots} to {lots} lots")
        half = self._bids if order.side > 0 else self._asks
        level = half.levels[order.side * order.price_i]
        level.lots -= order.lots - lots
        order.lots = lots
        if self._listener is not None:
            self._listener.on_level(order.side, order.price_i, level.lots)

    def reprice(self, id: Hashable, price_i: int, lots: int | None = None) -> list[Match]:
        """Move an order to a price (and a size left): same id, a new place at the back, even at the same price.

        It may match like a new order; those matches are returned.
        """
        order = self.cancel(id)
        return self.add(id, order.owner, order.side, price_i, order.lots if lots is None else lots)

    def _known(self, id: Hashable) -> L3Order:
        order = self.orders.get(id)
        if order is None:
            raise InternalError(f"order {id!r} does not rest on this book")
        return order

    # ---------------------------------------------------------------- questions; nothing changes
    def walk(self, side: int, limit_i: int | None) -> Iterator[L3Order]:
        """Orders that one of `side` arriving now would meet, in the order it would meet them."""
        for order in self.queue(-side):
            if limit_i is not None and side * order.price_i > side * limit_i:
                return
            yield order

    def fillable(self, side: int, limit_i: int | None, lots: int) -> int:
        """How many of `lots` an order of `side` would get now: all of them, and a fill-or-kill order passes."""
        half, found = (self._asks if side > 0 else self._bids), 0
        for key in reversed(half.keys):
            if found >= lots or (limit_i is not None and side * half.side * key > side * limit_i):
                break
            found += half.levels[key].lots
        return min(found, lots)

    def crosses(self, side: int, price_i: int) -> bool:
        """Whether an order of `side` at a price would meet anybody: a post-only order must not."""
        best = self.best(-side)
        return best is not None and side * best[0] <= side * price_i

    def best(self, side: int) -> tuple[int, int] | None:
        """(price_i, lots) of the best level, None when the side is empty."""
        half = self._bids if side > 0 else self._asks
        if not half.keys:
            return None
        key = half.keys[-1]
        return side * key, half.levels[key].lots

    def levels(self, side: int, limit: int | None = None) -> list[tuple[int, int]]:
        """Up to `limit` levels (price_i, lots), best first."""
        half = self._bids if side > 0 else self._asks
        keys = half.keys if limit is None else half.keys[-limit:] if limit else []
        return [(side * key, half.levels[key].lots) for key in reversed(keys)]

    def level(self, side: int, price_i: int) -> int:
        """Lots at a price, 0 if nothing stands there."""
        found = (self._bids if side > 0 else self._asks).levels.get(side * price_i)
        return 0 if found is None else found.lots

    def ahead(self, id: Hashable) -> tuple[int, int]:
        """(lots, orders) in front of an order in its queue. O(orders in front)."""
        order = self._known(id)
        half = self._bids if order.side > 0 else self._asks
        lots = count = 0
        for other in half.levels[order.side * order.price_i].queue.values():
            if other is order:
                break
            lots += other.lots
            count += 1
        return lots, count

    def queue(self, side: int) -> Iterator[L3Order]:
        """Every order of a side in priority order. Do not change the book while going through it."""
        half = self._bids if side > 0 else self._asks
        for key in reversed(half.keys):
            yield from half.levels[key].queue.values()
