"""FIFO queues are exact on recordings of single orders: npz file, importer, merge and kernel against lists of orders."""

from __future__ import annotations

import random
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from hftbacktest.types import (
    ADD_ORDER_EVENT,
    BUY_EVENT,
    CANCEL_ORDER_EVENT,
    DEPTH_CLEAR_EVENT,
    EXCH_EVENT,
    FILL_EVENT,
    LOCAL_EVENT,
    MODIFY_ORDER_EVENT,
    SELL_EVENT,
    TRADE_EVENT,
    event_dtype,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_orders import NaiveOrders

from execsim.core.order import Cause
from execsim.kernel import REFILL_OFF, Fifo, MarketSpan, Replay, Stop
from execsim.tape.hftbacktest import IMPORTER
from execsim.tape.merge import TapeStream, merged
from execsim.tape.reader import TapeReader
from execsim.tape.store import TapeWriter

HUGE = 10**9
"""our orders: never filled up, so that their place can be looked at all the time"""


class Recording:
    """Random orders at a price-time exchange, as events, and the lists they make. `fills`: names who was hit."""

    def __init__(self, seed: int, fills: bool) -> None:
        self.rng = random.Random(seed)
        self.fills = fills
        self.truth = NaiveOrders()
        self.events: list[tuple[int, int, int, int, float, float, int]] = []
        self.now = 1_000
        self.names = 0
        self.snapshot()

    def tell(self, code: int, side: int, name: int = 0, price: int = 0, lots: int = 0) -> None:
        flag = BUY_EVENT if side > 0 else SELL_EVENT if side < 0 else 0
        self.events.append((EXCH_EVENT | LOCAL_EVENT | code | flag, self.now, self.now + 5, name, price, lots, 0))

    def snapshot(self) -> None:
        """The recorder starts or starts again: a clear, then every order in the order of its birth."""
        self.tell(DEPTH_CLEAR_EVENT, 0)
        orders = [
            (n, side, p, self.rng.randrange(1, 9))
            for n, (side, p) in self.truth.places.items()
            if isinstance(n, int) and self.rng.random() < 0.7
        ]
        for side in (1, -1):
            self.names += 1
            orders.append((self.names, side, 15 - side, self.rng.randrange(1, 9)))
        for name, side, price, lots in orders:
            self.tell(ADD_ORDER_EVENT, side, name, price, lots)
        self.truth.replace(orders)

    def theirs(self) -> list[int]:
        return [name for name in self.truth.places if isinstance(name, int)]

    def price(self, side: int) -> int:
        """Somewhere that does not cross the other side."""
        best = self.truth.best(-side)
        near = (best if best is not None else 15) - side
        return near - side * self.rng.choice((0, 0, 0, 1, 1, 2))

    def step(self) -> None:
        rng, what = self.rng, self.rng.random()
        if what < 0.35 or not self.theirs():
            self.names += 1
            side = rng.choice((1, -1))
            price, lots = self.price(side), rng.randrange(1, 9)
            self.truth.add(self.names, side, price, lots)
            self.tell(ADD_ORDER_EVENT, side, self.names, price, lots)
        elif what < 0.55:
            self.remove(rng.choice(self.theirs()))
        elif what < 0.75:
            name = rng.choice(self.theirs())
            side, old = self.truth.places[name]
            price = old if rng.random() < 0.7 else self.price(side)
            self.change(name, price, rng.randrange(1, 9))
        else:
            self.aggress(rng.choice((1, -1)), rng.randrange(1, 20))

    def remove(self, name: int) -> None:
        self.tell(CANCEL_ORDER_EVENT, self.truth.places[name][0], name)
        self.truth.cancel(name)

    def change(self, name: int, price: int, lots: int) -> None:
        self.tell(MODIFY_ORDER_EVENT, self.truth.places[name][0], name, price, lots)
        self.truth.modify(name, price, lots)

    def aggress(self, side: int, lots: int) -> None:
        """A market order: best price first, then time."""
        hits: list[tuple[int, int, int]] = []
        for price in sorted({p for s, p in self.truth.places.values() if s == -side}, reverse=side < 0):
            for name, there in self.truth.queues[-side, price]:
                if isinstance(name, int) and lots:
                    hits.append((name, price, min(lots, there)))
                    lots -= hits[-1][2]
        prints: dict[int, int] = defaultdict(int)
        for _, price, part in hits:
            prints[price] += part
        for price, part in prints.items():
            self.tell(TRADE_EVENT, side, 0, price, part)
        for name, price, part in hits:
            if self.fills:
                self.tell(FILL_EVENT, -side, name, price, part)
            left = self.truth.lots(name) - part
            self.truth.hit(name, part)
            if left:
                self.tell(MODIFY_ORDER_EVENT, -side, name, price, left)
            else:
                self.tell(CANCEL_ORDER_EVENT, -side, name)


def compare(seed: int, fills: bool) -> dict[str, int]:
    """Play a recording twice: its events once to the lists, then the file to the kernel, asked after every instant."""
    made, rng = Recording(seed, fills), random.Random(seed)
    ours: list[tuple[int, str, int, int]] = []
    expected: list[tuple[int, dict[str, tuple[int, int]]]] = []
    for _ in range(60):
        if rng.random() < 0.2 and len(ours) < 6:
            side = rng.choice((1, -1))
            ours.append((made.now, f"own{len(ours)}", side, made.price(side)))
            made.truth.add(*ours[-1][1:], 0)
        made.now += rng.choice((1, 1, 10))
        if rng.random() < 0.02:
            made.snapshot()
        else:  # sometimes several in one instant, and a tape puts prints first there: only names tell the order
            for _ in range(rng.choice((1, 1, 1, 3)) if fills else 1):
                made.step()
        expected.append((made.now, {own: (made.truth.ahead(own), made.truth.filled[own]) for _, own, _, _ in ours}))
    with tempfile.TemporaryDirectory() as folder:
        data = np.array(
            [(ev, ts, recv, px, qty, name, iv, 0) for ev, ts, recv, name, px, qty, iv in made.events], event_dtype
        )
        np.savez(Path(folder) / "orders.npz", data=data)
        with TapeWriter(Path(folder) / "tape", "hftbacktest", 1) as writer:
            IMPORTER.run([Path(folder) / "orders.npz"], {"price_unit": "1", "lot": "1"}, writer)
        assert not writer.manifest.defects
        chunks = list(merged([TapeStream(TapeReader(Path(folder) / "tape"))], births=True))
    rows = np.concatenate([chunk.venue for chunk in chunks])
    kernel = Replay([MarketSpan(1, 1, 1)], queue=Fifo(), refill=REFILL_OFF)
    kernel.feed(rows, rows[:0])
    slots: dict[str, int] = {}
    drained: dict[int, int] = defaultdict(int)

    def run(until: int) -> None:
        while kernel.advance(until) is Stop.FILL:
            for fill in kernel.own_fills():
                drained[fill.order] += fill.lots if fill.cause is Cause.QUEUE_DRAINED else 0

    for now, places in expected:
        while len(slots) < len(ours) and ours[len(slots)][0] < now:
            at, own, side, price = ours[len(slots)]
            run(at)
            slots[own] = kernel.rest(0, side, price, HUGE)
        run(now)
        assert {own: (kernel.ahead(slots[own]), drained[slots[own]]) for own in places} == places, (
            f"seed {seed} at {now}"
        )
    assert kernel.unknown_births(0) == 0
    return {"drained": sum(drained.values()), "ahead": sum(ahead for _, p in expected for ahead, _ in p.values())}


@pytest.mark.parametrize("fills", [True, False], ids=["fills", "prints only"])
@given(seed=st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_our_place_is_that_in_the_lists(fills: bool, seed: int) -> None:
    compare(seed, fills)


def test_the_comparison_covers_what_it_is_about() -> None:
    for fills in (True, False):
        total = [compare(seed, fills) for seed in range(10)]
        assert sum(seen["drained"] for seen in total) > 50
        assert sum(seen["ahead"] for seen in total) > 500
