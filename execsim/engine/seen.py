"""Ids that were seen, in few bytes each: what remains in memory of orders and fills it has let go of.

An id is kept as 8 bytes of its BLAKE2b hash, in sorted arrays of at most LEAF_MAX; a full one is cut in two (the leaves of a
B-tree, under one level). Adding and asking take two binary searches, nothing is ever rebuilt as a whole, and memory grows by
the bytes of an id. Measured (docs/performance.md): 9 bytes a fill id, 13 bytes an order id with its market.

Two ids with one hash are taken for the same: with a million ids the chance that any two of them meet is 3 in 10^8
(n^2 / 2^65). A new order would then be refused as a duplicate, or a late fill of an order that is no longer in memory
would be taken for one that is booked (and reconciliation with the venue would find it).
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from hashlib import blake2b
from typing import Final

LEAF_MAX: Final = 1_024
"""Ids in one array. Inserting moves half of it, 4 KB; more would cost more than the search, less more objects."""


class SeenIds:
    """A set of ids, or with `numbered` a map from ids to small integers (0 to 2**32 - 1). Ids are never taken out."""

    def __init__(self, *, numbered: bool = False) -> None:
        self._numbered = numbered
        self._firsts: list[int] = [0]
        """the least hash each leaf may hold"""
        self._leaves: list[array[int]] = [array("Q")]
        self._numbers: list[array[int]] = [array("I")]
        self._count = 0

    def add(self, name: str, number: int = 0) -> None:
        """Remember an id. Adding one that is known changes nothing."""
        key = _hash(name)
        at = bisect_right(self._firsts, key) - 1
        leaf = self._leaves[at]
        place = bisect_left(leaf, key)
        if place < len(leaf) and leaf[place] == key:
            return
        leaf.insert(place, key)
        if self._numbered:
            self._numbers[at].insert(place, number)
        self._count += 1
        if len(leaf) > LEAF_MAX:
            self._split(at)

    def number(self, name: str) -> int | None:
        """The number an id was added with (0 unless `numbered`), None for an unknown id."""
        key = _hash(name)
        at = bisect_right(self._firsts, key) - 1
        leaf = self._leaves[at]
        place = bisect_left(leaf, key)
        if place == len(leaf) or leaf[place] != key:
            return None
        return self._numbers[at][place] if self._numbered else 0

    def __contains__(self, name: str) -> bool:
        return self._count > 0 and self.number(name) is not None

    def __len__(self) -> int:
        return self._count

    def nbytes(self) -> int:
        """Bytes the arrays take, their spare room included."""
        return sum(leaf.__sizeof__() for leaf in (*self._leaves, *self._numbers)) + self._firsts.__sizeof__()

    def _split(self, at: int) -> None:
        leaf, numbers = self._leaves[at], self._numbers[at]
        half = len(leaf) // 2
        self._firsts.insert(at + 1, leaf[half])
        self._leaves[at : at + 1] = [leaf[:half], leaf[half:]]
        self._numbers[at : at + 1] = [numbers[:half], numbers[half:]]


def _hash(name: str) -> int:
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big")
