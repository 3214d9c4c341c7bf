"""Two-phase fills, delayed takers, resolutions, and tokens that change form: what binary markets do besides matching."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest
from worlds import MS, START_NS, Tape, World, binary, coarse

from execsim.core.errors import ValidationError, VenueError
from execsim.core.events import OrderUpdate
from execsim.core.fees import BinaryFee, NoFee
from execsim.core.instrument import Instrument, InstrumentKind, Outcome
from execsim.core.order import FillStatus, MatchKind, Order, OrderId, OrderStatus, OrderType, Side, TimeInForce
from execsim.core.units import NS_PER_S
from execsim.engine.context import Context
from execsim.exchange import ConstantLatency, Event, ExchangeModel, LatencyModel, ResolutionModel, TakerDelay
from execsim.exchange.account import Ledger
from execsim.exchange.chain import ChainModel
from execsim.runtime import VirtualRuntime
from execsim.testing.audit import audit

INSTANT = LatencyModel(ConstantLatency(), ConstantLatency(), ConstantLatency())
RAIN = coarse("rain", InstrumentKind.BINARY, price_min_i=1, price_max_i=99)
Script = Callable[[World], Awaitable[None]]


def book() -> Tape:
    return Tape(delay_ns=MS).book(0, [(48, 100), (47, 100)], [(52, 100), (53, 100)])


def play(
    script: Script, model: ExchangeModel, tape: Tape | None = None, instruments: tuple[Instrument, ...] = (RAIN,),
    usd: int = 10_000, sets: int = 0,
) -> World:  # fmt: skip
    """Run a script at a venue without latency; the books are audited at the end."""
    runtime = VirtualRuntime(1, START_NS)
    world = World(runtime, tape or book(), instruments, latency=INSTANT, model=model)
    world.fund(RAIN.quote, usd)
    for inst in instruments:
        if sets:
            world.split(inst.market, sets)

    async def main() -> None:
        runtime.spawn(world.market.run(), "tape")
        await runtime.sleep(1)
        await script(world)
        await world.engine.cancel_all()
        await runtime.sleep(100_000 * NS_PER_S)

    runtime.run(main=main())
    assert not audit(world.engine, {"sim": world.venue})
    return world


def order(
    name: str, side: Side, lots: int, price_i: int | None, tif: TimeInForce = TimeInForce.GTC, no: bool = False,
    type: OrderType = OrderType.LIMIT,
) -> Order:  # fmt: skip
    outcome = Outcome.NO if no else Outcome.YES
    return Order(OrderId(name), RAIN, side, type, tif, lots, None, price_i, outcome=outcome)


def chain(fail_per_million: int = 0) -> ExchangeModel:
    legs = (ConstantLatency(3 * NS_PER_S), ConstantLatency(5 * NS_PER_S), ConstantLatency(20 * NS_PER_S))
    return ExchangeModel(chain=ChainModel(*legs, fail_per_million))


def test_a_match_is_provisional_then_mined_then_final() -> None:
    """Positions show both views, and the venue the same stages at the same times."""

    async def script(world: World) -> None:
        engine = world.engine
        await engine.submit_order(order("a", Side.BUY, 10, 52))
        await world.runtime.sleep(MS)
        (fill,) = engine.order_tracker.get_fills(OrderId("a"))
        position = engine.get_position("rain")
        assert (fill.status, position.net_lots, position.confirmed_lots) == (FillStatus.PROVISIONAL, 10, 0)
        await world.runtime.sleep(3 * NS_PER_S)
        assert engine.order_tracker.get_fills(OrderId("a"))[0].status is FillStatus.MINED
        assert position.confirmed_lots == 0
        await world.runtime.sleep(5 * NS_PER_S)
        assert engine.order_tracker.get_fills(OrderId("a"))[0].status is FillStatus.CONFIRMED
        assert position.confirmed_lots == 10

    counts = play(script, chain()).exchange.chain.counts  # type: ignore[union-attr]
    assert (counts.matched, counts.mined, counts.confirmed, counts.failed) == (1, 1, 1, 0)


def test_what_was_bought_can_be_sold_when_it_is_mined_not_before() -> None:
    async def script(world: World) -> None:
        await world.engine.submit_order(order("a", Side.BUY, 10, 52))
        with pytest.raises(VenueError, match="not enough balance: 0 rain:YES free, 10 needed"):
            await world.engine.submit_order(order("b", Side.SELL, 10, 48))
        await world.runtime.sleep(3 * NS_PER_S)
        await world.engine.submit_order(order("c", Side.SELL, 10, 48))
        await world.runtime.sleep(MS)
        assert world.engine.get_order(OrderId("c")).status is OrderStatus.FILLED

    play(script, chain())


def test_money_from_a_sale_lags_too() -> None:
    async def script(world: World) -> None:
        await world.engine.submit_order(order("a", Side.SELL, 50, 48))
        with pytest.raises(VenueError, match="not enough balance"):
            await world.engine.submit_order(order("b", Side.BUY, 20, 52))
        await world.runtime.sleep(3 * NS_PER_S)
        await world.engine.submit_order(order("c", Side.BUY, 20, 52))

    play(script, chain(), usd=5_000, sets=50)


def test_a_match_that_fails_on_chain_never_was() -> None:
    """Undone in engine, portfolio and account, 20 s later, to the unit; the order is dead, its lots are not traded again."""
    heard: list[OrderUpdate] = []

    async def script(world: World) -> None:
        world.engine.subscribe(heard.append)
        await world.engine.submit_order(order("whole", Side.BUY, 10, 52))
        await world.engine.submit_order(order("part", Side.BUY, 150, 52))
        await world.runtime.sleep(MS)
        before = world.engine.get_position("rain")
        assert before.net_lots == 100
        await world.runtime.sleep(20 * NS_PER_S)
        whole, part = (world.engine.get_order(OrderId(name)) for name in ("whole", "part"))
        assert (whole.status, whole.filled_lots, whole.voided_lots) == (OrderStatus.CANCELLED, 0, 10)
        assert (part.status, part.filled_lots, part.voided_lots) == (OrderStatus.WORKING, 0, 90)
        assert part.remaining_lots == 60
        assert world.engine.order_tracker.open_lots("rain") == (60, 0)
        assert world.engine.get_position("rain").net_lots == 0
        assert world.engine.portfolio.cash["USD"] == 10_000

    world = play(script, chain(1_000_000))
    assert [u.event.value for u in heard if u.fill is not None] == ["done", "fill", "void", "void"]
    assert world.venue.held.balances["USD"] == 10_000


def test_a_failure_that_is_drawn_happens_that_often() -> None:
    """A hundred matches at 30 %: between 15 and 45 fail (the draw is the seed's, the bound is 3 sigma and more)."""

    async def script(world: World) -> None:
        for i in range(100):
            await world.engine.submit_order(order(f"o{i}", Side.BUY, 1, 52))

    counts = play(script, chain(300_000)).exchange.chain.counts  # type: ignore[union-attr]
    assert counts.matched == 100
    assert 15 <= counts.failed <= 45
    assert counts.confirmed == 100 - counts.failed


# ------------------------------------------------------------------ takers that wait
@pytest.mark.parametrize("acks", [False, True])
def test_an_order_that_would_take_waits_and_cannot_be_cancelled(acks: bool) -> None:
    """What it meets is what stands there then: the best ask has gone meanwhile."""
    tape = book().level(40 * MS, -1, 52, 0)
    seen: list[tuple[str, int]] = []

    async def script(world: World) -> None:
        start = world.runtime.now_ns()
        world.engine.subscribe(lambda u: seen.append((u.event.value, (u.ts_ns - start) // MS)))
        task = world.runtime.spawn(world.engine.submit_order(order("a", Side.BUY, 10, 53)), "a")
        await world.runtime.sleep(20 * MS)
        ack = await world.engine.cancel_order(OrderId("a"))
        assert not ack.cancelled
        assert "waiting to be matched" in ack.reason
        await task.join()
        await world.runtime.sleep(100 * MS)
        (fill,) = world.engine.order_tracker.get_fills(OrderId("a"))
        assert fill.price_i == 53

    play(script, ExchangeModel(taker_delay=TakerDelay(50 * MS, acks)), tape)
    assert ("ack", 0 if acks else 50) in seen
    assert ("done", 50) in seen


def test_an_order_that_rests_does_not_wait() -> None:
    async def script(world: World) -> None:
        start = world.runtime.now_ns()
        await world.engine.submit_order(order("a", Side.BUY, 10, 51))
        assert world.runtime.now_ns() == start

    play(script, ExchangeModel(taker_delay=TakerDelay(50 * MS)))


def test_money_is_held_while_a_taker_waits() -> None:
    async def script(world: World) -> None:
        task = world.runtime.spawn(world.engine.submit_order(order("a", Side.BUY, 90, 52)), "a")
        await world.runtime.sleep(MS)
        with pytest.raises(VenueError, match=r"not enough balance: 3\.20 USD free"):
            await world.engine.submit_order(order("b", Side.BUY, 10, 51))
        await task.join()

    play(script, ExchangeModel(taker_delay=TakerDelay(50 * MS)), usd=5_000)


# ------------------------------------------------------------------ how markets end
def ended(payoff_i: int) -> Tape:
    from execsim.tape.schema import Kind

    return book().add(10 * MS, Kind.RESOLVE, price=payoff_i)


def test_a_resolution_takes_its_time_and_closes_the_market_at_once() -> None:
    async def script(world: World) -> None:
        await world.engine.submit_order(order("rests", Side.BUY, 10, 40))
        await world.runtime.sleep(20 * MS)
        assert world.engine.get_order(OrderId("rests")).status is OrderStatus.CANCELLED
        with pytest.raises(ValidationError, match="market rain has ended"):
            await world.engine.submit_order(order("late", Side.BUY, 10, 40))
        assert world.engine.get_position("rain").yes_lots == 60
        await world.runtime.sleep(NS_PER_S)
        assert world.engine.get_position("rain").yes_lots == 0

    world = play(script, ExchangeModel(resolution=ResolutionModel(delay_ns=NS_PER_S)), ended(100), sets=60)
    assert world.venue.held.balances["USD"] == 10_000


def test_a_disputed_market_may_end_void_and_pays_half_to_either_side() -> None:
    model = ResolutionModel(NS_PER_S, 1_000_000, 10 * NS_PER_S, 1_000_000)

    async def script(world: World) -> None:
        await world.engine.submit_order(order("a", Side.BUY, 10, 52))
        await world.runtime.sleep(5 * NS_PER_S)
        assert world.engine.get_position("rain").yes_lots == 10
        await world.runtime.sleep(10 * NS_PER_S)
        assert world.engine.get_position("rain").yes_lots == 0

    world = play(script, ExchangeModel(resolution=model), ended(100))
    assert world.exchange.resolutions.disputed == world.exchange.resolutions.void == {0}
    assert world.venue.held.balances["USD"] == 10_000 - 520 + 500


def test_tokens_wait_to_be_redeemed_where_the_trader_does_it() -> None:
    async def script(world: World) -> None:
        ctx = context(world)
        with pytest.raises(ValidationError, match="rain has no final payoff yet"):
            await ctx.redeem("rain")
        await world.engine.submit_order(order("a", Side.BUY, 10, 52))
        await world.runtime.sleep(20 * MS)
        assert world.engine.get_position("rain").yes_lots == 10
        await ctx.redeem("rain")
        assert world.engine.get_position("rain").yes_lots == 0

    world = play(script, ExchangeModel(resolution=ResolutionModel(auto_redeem=False)), ended(100))
    assert world.venue.held.balances["USD"] == 10_000 - 520 + 1_000


# ------------------------------------------------------------------ tokens
def context(world: World) -> Context:
    names = [inst.market for inst in world.instruments]
    return Context(world.engine, world.runtime, world.books, name="test", params={}, markets=names)


def test_sets_are_split_and_merged() -> None:
    async def script(world: World) -> None:
        ctx = context(world)
        await ctx.split("rain", 20)
        position = world.engine.get_position("rain")
        assert (position.yes_lots, position.no_lots, world.venue.held.balances["USD"]) == (20, 20, 8_000)
        await ctx.merge("rain", 15)
        assert (position.yes_lots, position.no_lots, world.venue.held.balances["USD"]) == (5, 5, 9_500)
        assert position.realised == 0
        with pytest.raises(ValidationError, match="6 rain:YES are needed, 5 are free"):
            await ctx.merge("rain", 6)
        with pytest.raises(ValidationError, match=r"100\.00 USD are needed, 95\.00 are free"):
            await ctx.split("rain", 100)

    play(script, ExchangeModel())


def test_no_naked_sells() -> None:
    async def script(world: World) -> None:
        for no in (False, True):
            with pytest.raises(VenueError, match="not enough balance: 0 rain"):
                await world.engine.submit_order(order(f"s{no}", Side.SELL, 10, 48, no=no))

    play(script, ExchangeModel())


def test_a_no_order_mints_with_a_yes_buyer_and_merges_with_a_yes_seller() -> None:
    """Buying NO at 52 meets the YES bid of 48; selling NO at 48 the YES ask of 52. Sets are made and unmade for it."""

    async def script(world: World) -> None:
        await world.engine.submit_order(order("mint", Side.BUY, 10, 52, no=True))
        await world.runtime.sleep(1)
        (minted,) = world.engine.order_tracker.get_fills(OrderId("mint"))
        assert (minted.match, minted.cash) == (MatchKind.MINT, -520)
        ledger = world.ledger
        assert ledger[Ledger.MINT].balances["USD"] == 1_000
        assert ledger[Ledger.STREET].balances["rain:YES"] == 10
        await world.engine.submit_order(order("merge", Side.SELL, 10, 48, no=True))
        await world.runtime.sleep(1)
        (merged,) = world.engine.order_tracker.get_fills(OrderId("merge"))
        assert (merged.match, merged.cash) == (MatchKind.MERGE, 480)
        assert ledger[Ledger.MINT].balances["USD"] == 0
        await world.engine.submit_order(order("swap", Side.BUY, 10, 52))
        await world.runtime.sleep(1)
        assert world.engine.order_tracker.get_fills(OrderId("swap"))[0].match is MatchKind.SWAP

    play(script, ExchangeModel())


OUTCOMES = tuple(coarse(name, InstrumentKind.BINARY, price_min_i=1, price_max_i=99) for name in ("ann", "bob", "cy"))


def neg_risk() -> ExchangeModel:
    return ExchangeModel(events=(Event("election", ("ann", "bob", "cy")),))


def test_no_of_some_outcomes_converts_to_yes_of_the_others_and_money() -> None:
    """NO of two of three outcomes: YES of the third, and one unit of money for certain."""
    tape = Tape().book(0, [(48, 100)], [(52, 100)])
    for m in (1, 2):
        tape.book(0, [(20, 100)], [(24, 100)], market=m)

    async def script(world: World) -> None:
        ctx = context(world)
        await world.runtime.sleep(3 * MS)
        before = {name: world.engine.portfolio.totals(world.engine.marks())["USD"].net for name in ("all",)}
        await ctx.convert(["ann", "bob"], 10)
        held = world.venue.held.balances
        assert [held[f"{name}:NO"] for name in ("ann", "bob", "cy")] == [20, 20, 30]
        assert [held[f"{name}:YES"] for name in ("ann", "bob", "cy")] == [30, 30, 40]
        assert held["USD"] == 10_000 - 9_000 + 1_000
        after = world.engine.portfolio.totals(world.engine.marks())["USD"].net
        # by the marks NO of ann and bob were worth 0.5 + 0.78, what came is 1 + 0.22: conversion shows the sum of prices
        assert after - before["all"] == 10 * (100 + 22 - 50 - 78)
        with pytest.raises(ValidationError, match="not distinct outcomes of one neg-risk event"):
            await ctx.convert(["ann", "ann"], 1)
        with pytest.raises(ValidationError, match="21 ann:NO are needed, 20 are free"):
            await ctx.convert(["ann"], 21)

    play(script, neg_risk(), tape, OUTCOMES, sets=30)


@pytest.mark.parametrize("given", [("ann",), ("ann", "bob"), ("ann", "bob", "cy")])
def test_a_conversion_pays_the_same_whoever_wins(given: tuple[str, ...]) -> None:
    """Whoever of the three wins, the tokens after are worth what the tokens before were."""
    for winner in ("ann", "bob", "cy"):
        before = sum(name != winner for name in given)
        after = sum(name == winner for name in ("ann", "bob", "cy") if name not in given) + len(given) - 1
        assert before == after

    async def script(world: World) -> None:
        await context(world).convert(list(given), 7)

    tape = Tape().book(0, [(48, 100)], [(52, 100)])
    world = play(script, neg_risk(), tape, OUTCOMES, sets=10)
    assert world.venue.held.balances["USD"] == 10_000 - 3_000 + 700 * (len(given) - 1)


def test_a_spot_market_has_no_sets() -> None:
    coin = coarse("rain", InstrumentKind.SPOT, price_min_i=1, price_max_i=99)

    async def script(world: World) -> None:
        with pytest.raises(ValidationError, match="rain is not a binary market here"):
            await context(world).split("rain", 1)

    play(script, ExchangeModel(), instruments=(coin,))


def test_fees_come_back_with_a_failed_match() -> None:
    taxed = coarse("rain", InstrumentKind.BINARY, fees=BinaryFee(Decimal("0.07")), price_min_i=1, price_max_i=99)
    assert isinstance(RAIN.fees, NoFee)
    charged: list[int] = []

    async def script(world: World) -> None:
        bought = order("a", Side.BUY, 100, 52)
        bought.instrument = taxed
        await world.engine.submit_order(bought)
        charged.append(world.ledger[Ledger.FEES].balances["USD"])
        await world.runtime.sleep(30 * NS_PER_S)
        assert world.ledger[Ledger.FEES].balances["USD"] == 0

    play(script, chain(1_000_000), instruments=(taxed,))
    assert charged[0] > 0


def test_the_binary_of_the_venue_is_what_these_markets_are() -> None:
    """The coarse market of these tests has the real one's shape: same kind, complement, par."""
    assert binary().kind is RAIN.kind
    assert RAIN.par(10) == 1_000


def test_queue_positions_are_told_in_steps() -> None:
    """`ctx.queue(order, 25)`: told at 75 of 100 ahead or less, then again a quarter of the hundred later."""
    tape = book().trade(5 * MS, -1, 48, 10).trade(6 * MS, -1, 48, 20).trade(7 * MS, -1, 48, 60).trade(8 * MS, -1, 48, 5)
    told: list[Any] = []

    async def script(world: World) -> None:
        ctx = context(world)
        mine = ctx.place_i("rain", "buy", 48, 10)

        async def listen() -> None:
            async for moved in ctx.queue(mine, 25):
                told.append((moved.before_lots, moved.ahead_lots))

        task = world.runtime.spawn(listen(), "listen")
        await world.runtime.sleep(20 * MS)
        task.cancel()

    play(script, ExchangeModel(), tape)
    assert told == [(100, 70), (70, 10)]
