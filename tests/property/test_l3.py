"""The L3 book against its referee: equal matches, levels and queue positions after every change of a random flow."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given, note, settings
from hypothesis import strategies as st
from naive_l3 import NaiveL3

from execsim.exchange.l3 import L3Book, Match

SEEDS = st.integers(0, 2**32)
EXAMPLES = settings(max_examples=200, deadline=None, derandomize=True, print_blob=True)
CHANGES = 120


class Shown:
    """A book kept from events alone: what somebody knows who hears the market data and nothing else."""

    def __init__(self) -> None:
        self.levels: dict[tuple[int, int], int] = {}
        self.traded: list[tuple[int, int, int]] = []
        self.untold = 0
        """lots of the last trade that no level update has repeated yet"""

    def on_level(self, side: int, price_i: int, lots: int) -> None:
        before = self.levels.pop((side, price_i), 0)
        if lots:
            self.levels[side, price_i] = lots
        if self.untold:
            assert before - lots == self.untold, "a trade is repeated by the next update of its level"
        self.untold = 0

    def on_trade(self, aggressor: int, price_i: int, lots: int) -> None:
        assert not self.untold
        self.traded.append((aggressor, price_i, lots))
        self.untold = lots

    def side(self, side: int) -> list[tuple[int, int]]:
        held = [(price, lots) for (s, price), lots in self.levels.items() if s == side]
        return sorted(held, key=lambda level: -side * level[0])


def plain(matches: list[Match]) -> list[tuple[Any, int, int, int]]:
    return [(match.maker.id, match.price_i, match.lots, match.maker.lots) for match in matches]


def once_each(matches: list[tuple[Any, int, int, int]]) -> bool:
    return len({maker for maker, *_ in matches}) == len(matches)


class Flow:
    """Random changes made to both books at once."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.shown = Shown()
        self.fast, self.naive = L3Book(self.shown), NaiveL3()
        self.ids = 0

    def play(self, changes: int = CHANGES) -> None:
        for _ in range(changes):
            self.change()
            self.compare()

    def change(self) -> None:
        dice = self.dice
        side, price, lots = dice.choice((1, -1)), dice.randint(1, 12), dice.randint(1, 30)
        known = [order.id for order in self.naive.orders]
        what = dice.choice(("add", "add", "add", "add", "market", "ioc", "fok", "post", "cancel", "reduce", "reprice"))
        if what in ("cancel", "reduce", "reprice") and known:
            self._amend(what, dice.choice(known), price, lots)
        elif what in ("market", "ioc"):
            limit = None if what == "market" else price
            assert plain(self.fast.take(side, limit, lots)) == self.naive.take(side, limit, lots)
        elif what == "fok":
            self._fok(side, price, lots)
        elif what == "post" and self.fast.crosses(side, price):
            assert self.naive.fillable(side, price, 1) == 1
        else:
            self.ids += 1
            found = self.naive.add(self.ids, side, price, lots)
            assert plain(self.fast.add(self.ids, f"trader {self.ids % 3}", side, price, lots)) == found
            assert once_each(found)

    def _fok(self, side: int, price: int, lots: int) -> None:
        fillable = self.fast.fillable(side, price, lots)
        assert fillable == self.naive.fillable(side, price, lots)
        walked = list(self.fast.walk(side, price))
        assert min(lots, sum(order.lots for order in walked)) == fillable
        if fillable == lots:
            matches = self.fast.take(side, price, lots)
            assert [match.maker for match in matches] == walked[: len(matches)]
            assert plain(matches) == self.naive.take(side, price, lots)

    def _amend(self, what: str, id: int, price: int, lots: int) -> None:
        held = self.fast.orders[id].lots
        if what == "cancel":
            assert self.fast.cancel(id).lots == self.naive.cancel(id)
        elif what == "reduce":
            self.fast.reduce(id, min(lots, held))
            self.naive.reduce(id, min(lots, held))
        else:
            size = self.dice.choice((None, lots))
            assert plain(self.fast.reprice(id, price, size)) == self.naive.reprice(id, price, size)

    def compare(self) -> None:
        fast, naive = self.fast, self.naive
        assert set(fast.orders) == {order.id for order in naive.orders}
        for side in (1, -1):
            levels = naive.levels(side)
            assert fast.levels(side) == levels == self.shown.side(side)
            assert fast.levels(side, 2) == levels[:2]
            assert fast.levels(side, 0) == []
            assert fast.best(side) == (levels[0] if levels else None)
            assert [order.id for order in fast.queue(side)] == [order.id for order in naive.side(side)]
        for order in naive.orders:
            assert fast.ahead(order.id) == naive.ahead(order.id)
            assert fast.level(order.side, order.price) == dict(naive.levels(order.side))[order.price]
        bid, ask = fast.best(1), fast.best(-1)
        assert bid is None or ask is None or bid[0] < ask[0]
        assert not self.shown.untold


@EXAMPLES
@given(SEEDS)
def test_the_fast_book_is_the_naive_book(seed: int) -> None:
    note(f"replay: PYTHONPATH=tests/property .venv/bin/python -c 'from test_l3 import *; Flow({seed}).play()'")
    Flow(seed).play()
