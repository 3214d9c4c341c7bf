"""The mock keeps the VenueAdapter contract, and a user's test reads like this."""

from __future__ import annotations

from decimal import Decimal

import pytest

from execsim.core.errors import ExecTimeout, OrderNotFound, VenueError
from execsim.core.events import MarketResolved, OrderFilled, OrderGone
from execsim.core.instrument import Asset, Instrument, InstrumentKind
from execsim.core.order import Order, OrderId, OrderStatus, OrderType, Side, TimeInForce
from execsim.core.units import Grid
from execsim.engine import Context, EngineConfig, ExecutionEngine
from execsim.ports import BookView, Journal, VenueAdapter
from execsim.testing import Ack, Call, MemoryJournal, MockBooks, MockVenue, Refuse, Silence, StepRuntime

UNIT = Decimal("0.000001")


@pytest.fixture
def market():
    yes, no, usd = Asset("YES", UNIT), Asset("NO", UNIT), Asset("USDC", UNIT)
    return Instrument("demo", "rain", InstrumentKind.BINARY, Grid(Decimal("0.0001"), UNIT), yes, usd, no, tick_i=100)


@pytest.fixture
def runtime():
    return StepRuntime()


def order_of(market, n=1, **changes):
    return Order(OrderId(str(n)), market, Side.BUY, OrderType.LIMIT, **({"size_lots": 100, "price_i": 5000} | changes))


def test_the_fakes_fit_their_ports(market, runtime):
    venue: VenueAdapter = MockVenue("demo", [market], runtime)
    books: BookView = MockBooks(runtime, [market])
    journal: Journal = MemoryJournal()
    assert isinstance(venue, VenueAdapter)
    assert books.top("rain").bid_i is None
    assert journal.digest() == MemoryJournal().digest()


def test_a_strategy_under_test(market, runtime):
    """What README shows: a strategy, a scripted venue, an assertion."""
    venue = MockVenue("demo", [market], runtime, latency_ns=1_000_000, fills="full")
    engine = ExecutionEngine(EngineConfig(), runtime)
    engine.register_adapter(venue)
    books = MockBooks(runtime, [market])
    books.set_top("rain", 4900, 5100)

    async def strategy(ctx):
        top = ctx.best("rain")
        await ctx.submit("rain", "buy", ctx.instrument("rain").grid.price(top.ask_i), 10)
        await ctx.sleep(2_000_000)

    runtime.run(strategy(Context(engine, runtime, books, name="taker", params={}, markets=["rain"])))
    assert engine.get_position("rain").size == 10


def test_answers_are_used_in_turn_and_calls_recorded(market, runtime):
    venue = MockVenue("demo", [market], runtime, latency_ns=10)
    events = []
    venue.events(events.append)
    venue.answers.extend([Ack((30, 70), fills_first=True), Refuse(VenueError("demo", "x", "no")), Silence(500)])
    ack = runtime.run(venue.place_order(order_of(market)))
    assert (ack.venue_order_id, ack.ts_ns, runtime.now_ns()) == ("demo-1", 10, 20)
    assert [(event.fill.lots, event.done) for event in events] == [(30, False), (70, True)]
    with pytest.raises(VenueError):
        runtime.run(venue.place_order(order_of(market, 2)))
    with pytest.raises(ExecTimeout) as caught:
        runtime.run(venue.place_order(order_of(market, 3)))
    assert caught.value.reached == "unknown"
    assert venue.calls == [Call("place", "1", 10), Call("place", "2", 30), Call("place", "3", 50)]
    assert runtime.run(venue.get_order_status(OrderId("1"))).status is OrderStatus.FILLED
    with pytest.raises(OrderNotFound):
        runtime.run(venue.get_order_status(OrderId("3")))


def test_cancels_and_the_rest_of_a_venues_life(market, runtime):
    venue = MockVenue("demo", [market], runtime)
    events = []
    venue.events(events.append)
    for n in range(4):
        runtime.run(venue.place_order(order_of(market, n)))
    assert runtime.run(venue.cancel_order(OrderId("0"))).cancelled
    assert not runtime.run(venue.cancel_order(OrderId("0"))).cancelled
    assert not runtime.run(venue.cancel_order(OrderId("9"))).cancelled
    runtime.run(venue.modify_order(OrderId("1"), None, 50))
    venue.fill(OrderId("1"), 50)
    venue.expire(OrderId("2"))
    assert [report.order_id for report in runtime.run(venue.get_open_orders("rain"))] == ["3"]
    venue.resolve("rain", 10_000)
    kinds = [type(event) for event in events]
    assert kinds == [OrderFilled, OrderGone, OrderGone, MarketResolved]
    assert events[0].done
    assert events[0].fill.cash == -25
    venue.cash["USDC"] = 5
    assert runtime.run(venue.balances()) == {"USDC": 5}
    assert runtime.run(venue.health_check())


def test_the_rest_of_an_ioc_goes(market, runtime):
    venue = MockVenue("demo", [market], runtime)
    events = []
    venue.events(events.append)
    venue.answers.append(Ack((40,)))
    runtime.run(venue.place_order(order_of(market, tif=TimeInForce.IOC)))
    runtime.drain()
    assert [type(event) for event in events] == [OrderFilled, OrderGone]


def test_journal_digest_depends_on_rows_only():
    one, two = MemoryJournal(), MemoryJournal()
    for journal in (one, two):
        journal.write("ack", 1, "7", {"b": 1, "a": "x"})
    assert one.digest() == two.digest()
    two.write("ack", 1, "7", {})
    assert one.digest() != two.digest()
