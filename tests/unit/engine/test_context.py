"""What a strategy can do, seen from the strategy."""

from __future__ import annotations

import pytest

from execsim.core.errors import ConfigError, RiskRejected, ValidationError, VenueError
from execsim.core.order import OrderStatus, Side
from execsim.engine import PositionLimit, RiskEngine, streams
from execsim.testing import Refuse

S = OrderStatus


def test_place_returns_at_once_and_the_rest_is_updates(rig):
    ctx = rig.context()
    stream = ctx.updates("rain")

    async def strategy():
        order = ctx.place("rain", "buy", 0.52, 10, tag="q")
        assert order.status is S.PENDING
        assert (order.price_i, order.size_lots, order.tag) == (5200, 10_000_000, "q")
        assert ctx.open_orders("rain") == [order]
        seen = [await anext(stream), await anext(stream)]
        ctx.cancel(order)
        assert order.status is S.CANCELLING
        seen += [await anext(stream), await anext(stream)]
        return [(update.event.value, update.after.value) for update in seen]

    assert rig.run(strategy()) == [
        ("send", "submitting"),
        ("ack", "working"),
        ("ask_cancel", "cancelling"),
        ("gone", "cancelled"),
    ]
    assert ctx.open_orders() == []


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("rain", "buy", 0.505, 10), "tick"),
        (("rain", "buy", 0.12345, 10), "0.12345 is not a multiple of 0.0001"),
        (("rain", "buy", "a lot", 10), "'a lot' is not a number"),
        (("rain", "sell", 0.5, 0.0000001), "size"),
        (("rain", "sell", 0.5, -1), "size -1 is not positive"),
    ],
)
def test_a_refused_order_comes_back_rejected_and_is_published(rig, arguments, reason):
    ctx = rig.context()
    order = ctx.place(*arguments)
    assert order.status is S.REJECTED
    assert reason in order.reason
    assert [update.after for update in rig.updates] == [S.REJECTED]
    assert rig.engine.get_order(order.id) is order
    assert rig.journal.kinds == ["refuse"]


def test_a_wrong_name_is_the_programs_fault(rig):
    ctx = rig.context()
    for arguments, text in (
        (("snow", "buy", 0.5, 10), "market 'snow' is not traded"),
        (("rain", "hold", 0.5, 10), "side 'hold' does not exist; one of: buy, sell"),
    ):
        with pytest.raises(ConfigError, match=text):
            ctx.place(*arguments)
    with pytest.raises(ConfigError, match="type 'stop'"):
        ctx.place("rain", "buy", 0.5, 10, type="stop")
    with pytest.raises(ConfigError, match="snow"):
        type(ctx)(rig.engine, rig.runtime, rig.books, name="x", params={}, markets=["snow"])
    assert rig.engine.get_active_orders() == []


def test_a_venue_refusal_of_a_placed_order_does_not_end_the_run(rig):
    rig.venue.answers.append(Refuse(VenueError("polymarket", "balance", "not enough")))
    ctx = rig.context()
    order = ctx.place("rain", Side.BUY, 0.5, 10)
    rig.runtime.drain()
    assert order.status is S.REJECTED
    assert isinstance(rig.updates[-1].error, VenueError)


def test_submit_waits_and_raises(rig):
    ctx = rig.context()
    order = rig.run(ctx.submit("rain", "buy", "0.5", 10))
    assert order.status is S.WORKING
    with pytest.raises(ValidationError, match="multiple"):
        rig.run(ctx.submit("rain", "buy", "0.50001", 10))
    assert rig.updates[-1].after is S.REJECTED
    rig.engine.set_risk_engine(RiskEngine([PositionLimit(1)]))
    with pytest.raises(RiskRejected):
        rig.run(ctx.submit("rain", "buy", 0.5, 10))


def test_integers_and_amounts(rig):
    rig.books.set_top("rain", 3900, 4000)
    ctx = rig.context()
    order = ctx.place_i("rain", Side.SELL, 6000, 10_000_000)
    spend = ctx.place("rain", "buy", type="market", tif="fok", amount=12.5)
    no = ctx.place("rain", "buy", 0.3, 10, outcome="no", type="POST_ONLY")
    rig.runtime.drain()
    assert [o.status for o in (order, spend, no)] == [S.WORKING] * 3
    assert (spend.quote_amount, no.book_price_i) == (12_500_000, 7000)


def test_modify_and_wait_or_not(rig):
    ctx = rig.context()
    order = rig.run(ctx.submit("rain", "buy", 0.5, 10))
    rig.run(ctx.modify_and_wait(order, price=0.51))
    ctx.modify(order, size=12)
    rig.runtime.drain()
    assert (order.price_i, order.size_lots) == (5100, 12_000_000)
    ctx.modify(order, price=0.123456)
    ctx.modify(order, price=0.515)
    rig.runtime.drain()
    errors = [update.error for update in rig.updates if update.error]
    assert [error.rule for error in errors] == ["price", "tick"]
    assert order.price_i == 5100
    assert rig.run(ctx.cancel_and_wait(order)).cancelled


def test_strategies_see_their_own_orders_only(rig):
    one, two = rig.context("one"), rig.context("two")
    stream = two.updates()
    mine, theirs = one.place("rain", "buy", 0.5, 10), two.place("rain", "buy", 0.5, 10)
    rig.runtime.drain()
    assert one.open_orders() == [mine]
    assert two.open_orders("rain") == [theirs]
    assert rig.run(anext(stream)).order is theirs
    assert rig.run(anext(stream)).order is theirs
    rig.run(stream.aclose())
    with pytest.raises(StopAsyncIteration):
        rig.run(_next(stream))


async def _next(stream):
    try:
        return await anext(stream)
    except StopAsyncIteration:
        # a StopAsyncIteration cannot leave a coroutine as itself
        raise _Ended from None


class _Ended(StopAsyncIteration):
    pass


def test_a_stream_nobody_reads_is_bounded_and_says_so(rig):
    stream = streams.UpdateStream(rig.runtime, "order updates of maker", limit=2)
    rig.engine.subscribe(stream.push)
    ctx = rig.context()
    ctx.place("rain", "buy", 0.5, 10)
    ctx.place("rain", "buy", 0.5, 10)
    rig.runtime.drain()
    with pytest.raises(ConfigError, match="order updates of maker: more than 2 unread updates, 2 lost"):
        rig.run(_next(stream))


def test_beats_do_not_drift_and_skip_what_was_missed(rig):
    ctx = rig.context()
    start_ns = ctx.now_ns

    async def strategy():
        beats = []
        async for now_ns in ctx.every(100):
            beats.append(now_ns - start_ns)
            await ctx.sleep(30 if len(beats) < 3 else 250)
            if len(beats) == 5:
                break
        return beats

    assert rig.run(strategy()) == [100, 200, 300, 600, 900]
    with pytest.raises(ConfigError, match="positive"):
        ctx.every(0)


def test_reading_the_market(rig):
    ctx = rig.context()
    rig.books.set_top("rain", 4000, 4100)
    assert (ctx.best("rain").bid_i, ctx.depth("rain").asks, ctx.tick_i("rain")) == (4000, ((4100, 1_000_000),), 100)
    assert ctx.instrument("rain") is rig.market
    assert ctx.position("rain").net_lots == 0
    tops = ctx.top("rain")
    rig.later(10, rig.books.set_top, "rain", 4100, 4200)
    assert rig.run(anext(tops)).bid_i == 4100
    task = ctx.spawn(ctx.sleep(5), "nap")
    rig.runtime.drain()
    assert (task.done, task.name) == (True, "maker: nap")


def test_what_an_algorithm_asks_of_its_context(rig):
    """Fills as they stand, whether the market is open, the venue's word on an ended order, and random streams by name."""
    ctx = rig.context()
    order = rig.run(ctx.submit("rain", "buy", 0.5, 10))
    sink, rig.venue._sink = rig.venue._sink, lambda event: None
    fill = rig.venue.fill(order.id, 4_000_000)
    rig.venue._sink = sink
    rig.run(ctx.cancel_and_wait(order))
    assert (order.status, order.filled_lots) == (S.CANCELLED, 0)
    report = rig.run(ctx.ask(order))
    assert (report.status, report.filled_lots, order.filled_lots) == (S.CANCELLED, 4_000_000, 4_000_000)
    assert ctx.fills(order) == [fill]
    assert ctx.is_open("rain")
    rig.venue.resolve("rain", 10_000)
    assert not ctx.is_open("rain")
    assert ctx.rng("x") is ctx.rng("x")
    assert ctx.rng("x").raw() != rig.context("other").rng("x").raw()
    assert ctx.narrow(["rain"], {}).results is ctx.results
