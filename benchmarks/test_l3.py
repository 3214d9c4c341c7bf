"""Operations a second of the L3 book, beside the lists of its referee; both must end with the same book. And a whole market
of agents on it: their decisions, order entry, money, market data, kernel."""

from __future__ import annotations

import random
from typing import Any

import pytest
from agent_world import AgentWorld, agents
from naive_l3 import NaiveL3

from execsim.exchange.agents import Informed, MarketMaker, Momentum, Noise
from execsim.exchange.l3 import L3Book

OPERATIONS = 200_000
NAIVE_OPERATIONS = 20_000

Operation = tuple[str, int, int, int, int]
"""what, id, side, price, lots"""


def flow(operations: int) -> list[Operation]:
    """Limit orders around a moving price, cancels, reductions, moves and market orders, as a busy market has them.

    Every tenth operation is a market order of a few orders' size; seven tenths are new orders and their cancels.
    """
    dice, made, live = random.Random(7), list[Operation](), list[int]()
    middle = 500
    for id in range(operations):
        middle += dice.choice((-1, 0, 0, 0, 1))
        side, lots, what = dice.choice((1, -1)), dice.randint(1, 50), dice.random()
        if what < 0.45 or len(live) < 200:
            made.append(("add", id, side, middle - side * dice.randint(0, 20), lots))
            live.append(id)
        elif what < 0.55:
            made.append(("take", id, side, 0, 4 * lots))
        else:
            at = dice.randrange(len(live))
            live[at], live[-1] = live[-1], live[at]
            known = live[-1]
            if what < 0.85:
                made.append(("cancel", live.pop(), 0, 0, 0))
            elif what < 0.95:
                made.append(("reduce", known, 0, 0, lots))
            else:
                made.append(("move", known, 0, middle - side * 5, 0))
    return made


def play_fast(made: list[Operation]) -> L3Book:
    book = L3Book()
    orders = book.orders
    for what, id, side, price, lots in made:
        if what == "add":
            book.add(id, "trader", side, price, lots)
        elif what == "take":
            book.take(side, None, lots)
        elif id not in orders:
            continue
        elif what == "cancel":
            book.cancel(id)
        elif what == "reduce":
            book.reduce(id, min(lots, orders[id].lots))
        else:
            book.reprice(id, price)
    return book


def play_naive(made: list[Operation]) -> NaiveL3:
    book = NaiveL3()
    for what, id, side, price, lots in made:
        if what == "add":
            book.add(id, side, price, lots)
        elif what == "take":
            book.take(side, None, lots)
        elif (order := book.find(id)) is None:
            continue
        elif what == "cancel":
            book.cancel(id)
        elif what == "reduce":
            book.reduce(id, min(lots, order.lots))
        else:
            book.reprice(id, price, None)
    return book


@pytest.mark.benchmark(group="L3 book")
def test_fast(benchmark: Any, rate: Any) -> None:
    rate("L3 book: orders, cancels, moves, market orders", OPERATIONS, "ops/s")
    made = flow(OPERATIONS)
    book = benchmark.pedantic(play_fast, (made,), rounds=5)
    assert len(book.orders) > 100
    fast, naive = play_fast(made[:NAIVE_OPERATIONS]), play_naive(made[:NAIVE_OPERATIONS])
    for side in (1, -1):
        assert fast.levels(side) == naive.levels(side)
        assert [order.id for order in fast.queue(side)] == [order.id for order in naive.side(side)]


@pytest.mark.benchmark(group="L3 book")
def test_naive(benchmark: Any, rate: Any) -> None:
    """Fewer operations of the same flow: a market order sorts the whole side, a cancel looks through it."""
    rate("  the same on sorted lists", NAIVE_OPERATIONS, "ops/s")
    assert benchmark.pedantic(play_naive, (flow(NAIVE_OPERATIONS),), rounds=1).orders


CROWD = [("noise", Noise(), 20), ("maker", MarketMaker(), 3), ("informed", Informed(), 3), ("momentum", Momentum(), 4)]


@pytest.mark.benchmark(group="market of agents")
def test_market_of_agents(benchmark: Any, figure: Any) -> None:
    """Five minutes of thirty agents, nobody else."""

    def run() -> AgentWorld:
        return AgentWorld(populations=[agents(*kind) for kind in CROWD], seconds=300).run()

    world = benchmark.pedantic(run, rounds=3)
    orders = sum(seat._orders for seat in world.market.seats)
    assert orders > 3_000
    assert world.kernel.rows > orders
    if benchmark.stats is not None:
        median = benchmark.stats.stats.median
        figure("agents: orders through book, entry, money and market data", orders / median, "orders/s")
        figure("  rows of market data they make", world.kernel.rows / median, "rows/s")
