from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from execsim.core.errors import ConfigError
from execsim.core.instrument import Outcome
from execsim.core.order import Order, OrderStatus, OrderType, Side
from execsim.core.units import NS_PER_S
from execsim.strategy import quoter
from tests.unit.strategy.fakes import FakeContext, binary, spot

SIZE = 10_000_000
"""10 shares in lots"""
FAR = 50 * SIZE


def quoting(*, instrument: Any = None, **params: Any) -> FakeContext:
    """A quoter that has its two quotes out, unanswered, on 0.48 / 0.52."""
    ctx = FakeContext({"min_interval_ns": 0, **params}, instrument or binary())
    ctx.start(quoter.run)
    ctx.move((4800, FAR), (5200, FAR))
    return ctx


def said(order: Order) -> tuple[Side, Outcome, int | None, int | None]:
    return order.side, order.outcome, order.price_i, order.size_lots


def test_joins_the_best_prices_post_only_and_asks_without_inventory_by_buying_no() -> None:
    ctx = quoting()
    bid, ask = ctx.orders
    assert said(bid) == (Side.BUY, Outcome.YES, 4800, SIZE)
    assert said(ask) == (Side.BUY, Outcome.NO, 4800, SIZE)  # selling YES at 0.52
    assert (ask.book_side, ask.book_price_i) == (Side.SELL, 5200)
    assert {order.type for order in ctx.orders} == {OrderType.POST_ONLY}


def test_edge_keeps_away_from_the_best_prices() -> None:
    ctx = quoting(edge_ticks=2)
    assert [order.book_price_i for order in ctx.orders] == [4600, 5400]


def test_yes_inventory_is_sold_and_no_inventory_too() -> None:
    ctx = FakeContext({"skew_ticks": 0}, binary())
    ctx.hold(3 * SIZE)
    ctx.start(quoter.run)
    ctx.move((4800, FAR), (5200, FAR))
    assert said(ctx.orders[1]) == (Side.SELL, Outcome.YES, 5200, SIZE)
    ctx = FakeContext({"skew_ticks": 0}, binary())
    ctx.hold(-3 * SIZE)
    ctx.start(quoter.run)
    ctx.move((4800, FAR), (5200, FAR))
    assert said(ctx.orders[0]) == (Side.SELL, Outcome.NO, 5200, SIZE)  # buying YES at 0.48
    assert said(ctx.orders[1]) == (Side.BUY, Outcome.NO, 4800, SIZE)


def test_inventory_below_the_minimum_size_is_not_offered_alone() -> None:
    ctx = FakeContext({"skew_ticks": 0}, binary())
    ctx.hold(4_999_999)
    ctx.start(quoter.run)
    ctx.move((4800, FAR), (5200, FAR))
    assert said(ctx.orders[1]) == (Side.BUY, Outcome.NO, 4800, SIZE)


def test_part_of_the_size_is_sold_where_inventory_is_smaller() -> None:
    ctx = FakeContext({"skew_ticks": 0}, binary())
    ctx.hold(6_005_000)
    ctx.start(quoter.run)
    ctx.move((4800, FAR), (5200, FAR))
    assert said(ctx.orders[1]) == (Side.SELL, Outcome.YES, 5200, 6_000_000)  # floored to the size step


def test_what_other_orders_sell_is_not_offered_again() -> None:
    ctx = FakeContext({"skew_ticks": 0}, binary())
    ctx.hold(2 * SIZE)
    ctx.place_i("m", Side.SELL, 9000, 14_000_000)
    ctx.start(quoter.run)
    ctx.move((4800, FAR), (5200, FAR))
    assert said(ctx.orders[2]) == (Side.SELL, Outcome.YES, 5200, 6_000_000)


def test_a_long_position_moves_both_quotes_down_within_the_bound() -> None:
    for held, shift in ((SIZE, 1), (SIZE + SIZE // 2, 1), (2 * SIZE, 2), (4 * SIZE, 3)):
        ctx = FakeContext({"skew_max_ticks": 3}, binary())
        ctx.hold(held)
        ctx.start(quoter.run)
        ctx.move((4000, FAR), (6000, FAR))
        assert [order.book_price_i for order in ctx.orders] == [4000 - shift * 100, 6000 - shift * 100], held


def test_a_short_position_moves_both_quotes_up() -> None:
    ctx = FakeContext({}, binary())
    ctx.hold(-2 * SIZE)
    ctx.start(quoter.run)
    ctx.move((4000, FAR), (6000, FAR))
    assert [order.book_price_i for order in ctx.orders] == [4200, 6200]


@pytest.mark.parametrize(("held", "quotes"), [(4 * SIZE, [3800, 4900]), (-4 * SIZE, [4900, 6000])])
def test_skew_never_crosses(held: int, quotes: list[int]) -> None:
    ctx = FakeContext({"skew_ticks": 5}, binary())
    ctx.hold(held)
    ctx.start(quoter.run)
    ctx.move((4800, FAR), (5000, FAR))  # 10 ticks of skew would reach across
    assert [order.book_price_i for order in ctx.orders] == quotes


@given(
    st.integers(1, 98),
    st.integers(1, 12) | st.integers(13, 98),
    st.integers(-60_000_000, 60_000_000),
    st.sampled_from([10, 50, 100]),
    st.integers(0, 3),
    st.integers(0, 4),
)
@settings(max_examples=200, deadline=None)
def test_wanted_quotes_lie_on_the_tick_inside_the_market(
    low: int, width: int, net: int, tick_i: int, edge: int, skew: int
) -> None:
    params = quoter.Params(edge_ticks=edge, skew_ticks=skew)
    ctx = FakeContext({}, binary())
    ctx.hold(net)
    bid_i, ask_i = low * 100 - 100 + 10, min(9990, low * 100 - 90 + width * 10)
    ctx.reader.set("m", [(bid_i, 1)], [(ask_i, 1)])
    bid, ask = quoter.Quoter(ctx, "m", params).wanted(ctx.best("m"), ctx.position("m"), tick_i)  # type: ignore[arg-type]
    assert bid is None or (bid % tick_i == 0 and tick_i <= bid < ask_i)
    assert ask is None or (ask % tick_i == 0 and bid_i < ask <= 10_000 - tick_i)
    if bid is not None and ask is not None:
        assert bid < ask


def test_no_quotes_on_a_one_sided_or_crossed_book() -> None:
    ctx = quoting()
    ctx.ack(*ctx.orders)
    ctx.move((4800, FAR), None)
    assert ctx.cancels == ctx.orders
    ctx = quoting()
    ctx.ack(*ctx.orders)
    ctx.move((5200, FAR), (5200, FAR))
    assert ctx.cancels == ctx.orders


def test_nothing_is_done_while_an_order_is_unanswered() -> None:
    ctx = quoting()
    ctx.move((4700, FAR), (5100, FAR))
    assert (len(ctx.orders), ctx.cancels) == (2, [])
    ctx.ack(*ctx.orders)  # answered: now the stale quotes go
    assert ctx.cancels == ctx.orders
    ctx.move((4600, FAR), (5000, FAR))
    assert len(ctx.orders) == 2  # the cancels are not confirmed yet
    ctx.gone(*ctx.orders)
    assert [order.book_price_i for order in ctx.orders[2:]] == [4600, 5000]  # where the market is now


def test_an_unknown_order_blocks_its_side_only() -> None:
    ctx = quoting()
    ctx.orders[0].status = OrderStatus.UNKNOWN
    ctx.ack(ctx.orders[1])
    ctx.move((4700, FAR), (5100, FAR))
    assert ctx.cancels == [ctx.orders[1]]


def test_a_quote_stays_until_it_is_off_by_requote_ticks() -> None:
    ctx = quoting(requote_ticks=2)
    ctx.ack(*ctx.orders)
    ctx.move((4900, FAR), (5100, FAR))
    assert ctx.cancels == []
    ctx.move((5000, FAR), (5100, FAR))
    assert ctx.cancels == [ctx.orders[0]]


def test_a_refused_cancel_is_tried_again() -> None:
    ctx = quoting()
    ctx.ack(*ctx.orders)
    ctx.move((4700, FAR), (5200, FAR))
    bid = ctx.orders[0]
    ctx.move((4800, FAR), (5200, FAR))
    ctx.refuse(bid)
    assert (bid.status, ctx.cancels) == (OrderStatus.WORKING, [bid])  # back where it is wanted: it may stay
    ctx.move((4700, FAR), (5200, FAR))
    assert ctx.cancels == [bid, bid]


def test_a_fill_is_followed_by_a_new_quote_of_the_skewed_price() -> None:
    ctx = quoting()
    ctx.ack(*ctx.orders)
    ctx.fill(ctx.orders[0], SIZE // 2)
    assert len(ctx.orders) == 2  # the rest still works: no top-up beyond it
    ctx.fill(ctx.orders[0])
    bid = ctx.orders[2]
    assert (bid.book_side, bid.book_price_i) == (Side.BUY, 4700)
    assert ctx.cancels == [ctx.orders[1]]  # the ask moves down with the position


def test_the_growing_side_stops_at_max_position() -> None:
    ctx = quoting(max_position=25, skew_ticks=0)
    for expected in (10_000_000, 10_000_000, 5_000_000):
        bid = ctx.open_orders()[-1] if len(ctx.orders) > 2 else ctx.orders[0]
        assert (bid.tag, bid.size_lots) == ("bid", expected)
        ctx.ack(bid)
        ctx.fill(bid)
    assert ctx.position("m").net_lots == 25_000_000
    assert [order.tag for order in ctx.open_orders()] == ["ask"]
    ctx.move((4700, FAR), (5200, FAR))
    assert [order.tag for order in ctx.open_orders()] == ["ask"]


def test_the_interval_between_orders_of_a_side_is_kept_without_another_top() -> None:
    ctx = quoting(min_interval_ns=NS_PER_S)
    ctx.ack(*ctx.orders)
    ctx.wait(NS_PER_S // 4)
    ctx.move((4700, FAR), (5200, FAR))
    assert ctx.cancels == []
    ctx.wait(NS_PER_S // 2)
    assert ctx.cancels == []
    ctx.wait(NS_PER_S // 4)
    assert ctx.cancels == [ctx.orders[0]]  # by its own timer
    ctx.gone(ctx.orders[0])
    assert ctx.orders[2].book_price_i == 4700
    ctx.fill(ctx.orders[2])
    assert len(ctx.orders) == 3
    ctx.wait(NS_PER_S)
    assert len(ctx.orders) == 4


def test_no_pause_outlives_the_data() -> None:
    ctx = quoting(min_interval_ns=NS_PER_S)
    ctx.ack(*ctx.orders)
    ctx.move((4700, FAR), (5200, FAR))
    ctx.books.end()
    ctx.runtime.run()
    assert all(task.done for task in ctx.runtime.tasks)


def test_a_refused_order_pauses_its_side() -> None:
    ctx = quoting()
    ctx.refuse(ctx.orders[0])
    ctx.move((4700, FAR), (5200, FAR))
    assert len(ctx.orders) == 2
    ctx.wait(quoter.REFUSED_PAUSE_NS - 1)
    assert len(ctx.orders) == 2
    ctx.wait(1)
    assert ctx.orders[2].book_price_i == 4700


def test_orders_our_own_checks_refuse_are_not_sent_in_a_loop() -> None:
    ctx = FakeContext({"min_interval_ns": 0}, binary())
    ctx.refusal = "kill switch"
    ctx.start(quoter.run)
    ctx.move((4800, FAR), (5200, FAR))
    assert len(ctx.orders) == 2
    ctx.wait(quoter.REFUSED_PAUSE_NS)
    assert len(ctx.orders) == 4
    ctx.refusal = ""
    ctx.wait(quoter.REFUSED_PAUSE_NS)
    assert len(ctx.open_orders()) == 2


def test_returns_after_resolution_and_pulls_what_works_elsewhere() -> None:
    ctx = FakeContext({"min_interval_ns": 0}, binary("a"), binary("b"))
    task = ctx.start(quoter.run)
    for market in ("a", "b"):
        ctx.move((4800, FAR), (5200, FAR), market)
    ctx.ack(*ctx.orders)
    ctx.cancel(ctx.orders[0])  # on its way already: not cancelled twice
    ctx.runtime.run()
    ctx.books.on_resolve("a", ctx.now_ns, 10_000)
    ctx.runtime.run()
    assert not task.done
    assert [order.market for order in ctx.cancels] == ["a", "a"]
    ctx.gone(*ctx.cancels)
    ctx.wait(NS_PER_S)
    assert len(ctx.orders) == 4  # nothing new on a resolved market
    ctx.books.end()
    ctx.runtime.run()
    assert task.done
    assert [order.market for order in ctx.cancels] == ["a", "a", "b", "b"]


def test_spot_sells_the_position_or_beyond_it_when_told() -> None:
    ctx = quoting(instrument=spot(), size="0.01", max_position="0.05", skew_ticks=0)
    assert [order.tag for order in ctx.orders] == ["bid"]
    ctx.ack(ctx.orders[0])
    ctx.fill(ctx.orders[0])
    assert [(order.tag, order.side, order.price_i) for order in ctx.open_orders()] == [
        ("bid", Side.BUY, 4800),
        ("ask", Side.SELL, 5200),
    ]
    ctx = quoting(instrument=spot(), size="0.01", max_position="0.05", shorting=True)
    assert [(order.tag, order.side, order.outcome) for order in ctx.orders] == [
        ("bid", Side.BUY, Outcome.YES),
        ("ask", Side.SELL, Outcome.YES),
    ]


def test_a_size_below_the_minimum_of_a_market_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"size 1 is below the minimum 5.* of m; raise size"):
        FakeContext({"size": 1}, binary()).start(quoter.run)


class Walk:
    """A market and a venue that do anything allowed, and what must hold whatever they do."""

    def __init__(self) -> None:
        self.ctx = FakeContext({"min_interval_ns": 0, "max_position": 30, "skew_ticks": 1}, binary())
        self.ctx.start(quoter.run)

    def do(self, choice: int, price: int) -> None:
        ctx = self.ctx
        live = ctx.open_orders()
        order = live[price % len(live)] if live else None
        if choice == 0 or order is None:
            ctx.move((price * 100, FAR), (price * 100 + 100 * (1 + choice), FAR))
        elif order.status is OrderStatus.SUBMITTING:
            ctx.ack(order) if choice < 4 else ctx.refuse(order)
        elif order.status is OrderStatus.CANCELLING:
            ctx.gone(order) if choice < 4 else ctx.refuse(order)
        elif choice < 3:
            ctx.fill(order, min(order.remaining_lots, choice * 3_000_000))
        ctx.wait(300_000_000 * (choice == 5))

    def check(self) -> None:
        live = self.ctx.open_orders()
        for side in Side:
            assert sum(order.book_side is side for order in live) <= 1
        assert all(order.remaining_lots <= SIZE for order in live)
        position = self.ctx.position("m")
        assert abs(position.net_lots) <= 3 * SIZE
        for order in live:
            assert abs(position.net_lots + order.signed_remaining_lots) <= 3 * SIZE
            held = position.yes_lots if order.outcome is Outcome.YES else position.no_lots
            assert order.side is Side.BUY or order.remaining_lots <= held


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(2, 90)), max_size=60))
@settings(max_examples=100, deadline=None)
def test_one_order_a_side_within_the_limits_whatever_happens(steps: list[tuple[int, int]]) -> None:
    walk = Walk()
    walk.do(0, 50)
    for choice, price in steps:
        walk.do(choice, price)
        walk.check()
