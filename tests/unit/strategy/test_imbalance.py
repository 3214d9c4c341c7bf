from __future__ import annotations

from fractions import Fraction

import pytest

from execsim.core.events import Top
from execsim.core.instrument import Outcome
from execsim.core.order import MarketId, Order, OrderType, Side, TimeInForce
from execsim.core.units import NS_PER_S
from execsim.strategy import imbalance
from tests.unit.strategy.fakes import FakeContext, binary, spot

SIZE = 10_000_000


def taking(**params: object) -> FakeContext:
    ctx = FakeContext({"threshold": "3/5", **params}, binary())
    ctx.start(imbalance.run)
    return ctx


def said(order: Order) -> tuple[Side, Outcome, int | None, int | None, str]:
    return order.side, order.outcome, order.price_i, order.size_lots, order.tag


@pytest.mark.parametrize(
    ("bid_lots", "ask_lots", "side"),
    [(80, 20, Side.BUY), (79, 21, None), (20, 80, Side.SELL), (21, 79, None), (50, 50, None), (2**61, 2**59, Side.BUY)],
)
def test_the_threshold_is_exact_and_inclusive(bid_lots: int, ask_lots: int, side: Side | None) -> None:
    top = Top(MarketId("m"), 0, 4800, bid_lots, 5200, ask_lots)
    assert imbalance.signal(top, Fraction(3, 5)) is side


@pytest.mark.parametrize("prices", [(None, 5200), (4800, None), (5200, 5200)])
def test_no_signal_without_two_sides(prices: tuple[int | None, int | None]) -> None:
    assert imbalance.signal(Top(MarketId("m"), 0, prices[0], 90, prices[1], 1), Fraction(1, 5)) is None


def test_buys_yes_at_the_ask_when_bids_outweigh() -> None:
    ctx = taking()
    ctx.move((4800, 90), (5200, 10))
    assert said(ctx.orders[0]) == (Side.BUY, Outcome.YES, 5200, SIZE, "entry")
    assert (ctx.orders[0].type, ctx.orders[0].tif) == (OrderType.LIMIT, TimeInForce.IOC)


def test_goes_short_by_buying_no_at_the_bid() -> None:
    ctx = taking()
    ctx.move((4800, 10), (5200, 90))
    assert said(ctx.orders[0]) == (Side.BUY, Outcome.NO, 5200, SIZE, "entry")
    assert (ctx.orders[0].book_side, ctx.orders[0].book_price_i) == (Side.SELL, 4800)


def test_one_order_at_a_time_and_a_pause_between() -> None:
    ctx = taking(cooldown_ns=NS_PER_S)
    ctx.move((4800, 90), (5200, 10))
    ctx.wait(2 * NS_PER_S)
    ctx.move((4800, 91), (5200, 10))
    assert len(ctx.orders) == 1  # unanswered
    ctx.ack(ctx.orders[0])
    ctx.fill(ctx.orders[0])
    ctx.move((4800, 92), (5200, 10))
    assert len(ctx.orders) == 2
    ctx.fill(ctx.orders[1])
    ctx.wait(NS_PER_S - 1)
    ctx.move((4800, 93), (5200, 10))
    assert len(ctx.orders) == 2  # too soon
    ctx.wait(1)
    ctx.move((4800, 94), (5200, 10))
    assert len(ctx.orders) == 3


def test_an_opposite_signal_closes_the_whole_position_first() -> None:
    for held, tops, exit_order, entry in (
        (3 * SIZE, ((4800, 10), (5200, 90)), (Side.SELL, Outcome.YES, 4800, 3 * SIZE, "exit"), Outcome.NO),
        (-3 * SIZE, ((4800, 90), (5200, 10)), (Side.SELL, Outcome.NO, 4800, 3 * SIZE, "exit"), Outcome.YES),
    ):
        ctx = taking(cooldown_ns=0)
        ctx.hold(held)
        ctx.move(*tops)
        assert said(ctx.orders[0]) == exit_order
        ctx.fill(ctx.orders[0])
        assert ctx.position("m").net_lots == 0
        ctx.move((4700, tops[0][1]), (5300, tops[1][1]))
        assert (ctx.orders[1].side, ctx.orders[1].outcome, ctx.orders[1].tag) == (Side.BUY, entry, "entry")


def test_max_position_bounds_the_entries() -> None:
    ctx = taking(max_position=16)
    ctx.hold(SIZE)
    ctx.move((4800, 90), (5200, 10))
    assert ctx.orders[0].size_lots == 6_000_000
    ctx = taking(max_position=10)
    ctx.hold(-SIZE)
    ctx.move((4800, 10), (5200, 90))
    assert ctx.orders == []


def test_spot_sells_no_more_than_it_bought() -> None:
    ctx = FakeContext({"size": "0.01", "threshold": "0.6"}, spot())
    ctx.start(imbalance.run)
    ctx.move((4800, 10), (5200, 90))
    assert ctx.orders == []
    ctx.move((4800, 90), (5200, 10))
    assert said(ctx.orders[0]) == (Side.BUY, Outcome.YES, 5200, 1000, "entry")


def test_returns_at_the_end_of_every_market() -> None:
    ctx = FakeContext({}, binary("a"), binary("b"))
    task = ctx.start(imbalance.run)
    ctx.books.on_resolve("a", ctx.now_ns, 0)
    ctx.runtime.run()
    assert not task.done
    ctx.books.end()
    ctx.runtime.run()
    assert task.done
