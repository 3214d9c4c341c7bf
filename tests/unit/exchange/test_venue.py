"""Edges of the simulated venue that no well-behaved engine reaches, and its doors for money."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from worlds import MS, OPEN_PROFILE, START_NS, Tape, World, binary, coarse

from execsim.core.errors import ConfigError, ExecError, VenueError
from execsim.core.fees import DatedFees, Liquidity, NotionalFee
from execsim.core.instrument import Instrument, InstrumentKind
from execsim.core.order import Cause, Order, OrderId, OrderStatus, OrderType, Side, TimeInForce
from execsim.exchange import TRADER, ConstantLatency, LatencyModel
from execsim.exchange.account import Ledger
from execsim.ports import VenueProfile
from execsim.runtime import VirtualRuntime

COIN = coarse("coin", InstrumentKind.SPOT)
INSTANT = LatencyModel(ConstantLatency(), ConstantLatency(), ConstantLatency())


def book() -> Tape:
    return Tape().book(0, [(48, 100)], [(52, 100)])


def play(
    tape: Tape, script: Callable[[World], Coroutine[Any, Any, None]], usd: int, profile: VenueProfile = OPEN_PROFILE,
    instrument: Instrument = COIN,
) -> World:  # fmt: skip
    runtime = VirtualRuntime(1, START_NS)
    world = World(runtime, tape, [instrument], profile=profile, latency=INSTANT)
    world.venue.deposit(instrument.quote.name, usd)

    async def main() -> None:
        runtime.spawn(world.market.run(), "tape", daemon=True)
        await runtime.sleep(MS)
        await script(world)

    runtime.run(main=main())
    world.venue.ledger.check()
    return world


def order(name: str, side: Side, size: int | None, price: int | None, quote: int | None = None, **more: Any) -> Order:
    kind = OrderType.MARKET if price is None else OrderType.LIMIT
    return Order(
        OrderId(name), COIN, side, more.pop("type", kind), size_lots=size, quote_amount=quote, price_i=price, **more
    )


def test_where_short_sales_are_allowed_a_debt_refuses_nothing() -> None:
    async def script(world: World) -> None:
        for name, side, size, price in (("a", Side.BUY, 10, 52), ("b", Side.SELL, 30, 48), ("c", Side.BUY, 20, 40)):
            await world.venue.place_order(order(name, side, size, price))

    account = play(book(), script, usd=0, profile=replace(OPEN_PROFILE, shorting=True)).venue.ledger[TRADER]
    assert (account.balances["USD"], account.balances["coin:YES"]) == (-520 + 1_440, -20)


def test_without_short_sales_nobody_sells_what_he_lacks() -> None:
    async def script(world: World) -> None:
        with pytest.raises(VenueError, match="0 coin:YES free, 1 needed"):
            await world.venue.place_order(order("a", Side.SELL, 1, 48))
        with pytest.raises(VenueError, match=r"10\.00 USD free, 10\.40 needed"):
            await world.venue.place_order(order("b", Side.BUY, 20, 52))

    play(book(), script, usd=1_000)


def test_a_limit_order_sized_by_money_cannot_overdraw() -> None:
    """No engine of ours sends one; the check of the balance must not be fooled by a size it does not have."""

    async def script(world: World) -> None:
        with pytest.raises(VenueError, match="needed"):
            await world.venue.place_order(order("a", Side.BUY, None, 52, 2_000))

    account = play(book(), script, usd=1_000).venue.ledger[TRADER]
    assert account.balances["USD"] == 1_000
    assert not any(account.reserved.values())


@pytest.mark.parametrize("quote", [0, None])
def test_an_order_for_nothing_does_nothing(quote: int | None) -> None:
    async def script(world: World) -> None:
        await world.venue.place_order(order("a", Side.BUY, None, None, quote))
        assert (await world.venue.get_order_status(OrderId("a"))).status is OrderStatus.CANCELLED

    assert play(book(), script, usd=1_000).venue.ledger[TRADER].balances["USD"] == 1_000


def test_a_market_order_where_there_is_no_book() -> None:
    async def script(world: World) -> None:
        await world.venue.place_order(order("a", Side.BUY, 10, None, tif=TimeInForce.IOC))
        await world.venue.place_order(order("b", Side.BUY, None, None, 500, tif=TimeInForce.IOC))
        await world.venue.place_order(order("c", Side.BUY, 10, 52))
        with pytest.raises(VenueError, match="filled at once or killed"):
            await world.venue.place_order(order("d", Side.BUY, 10, 52, tif=TimeInForce.FOK))
        statuses = [(await world.venue.get_order_status(OrderId(name))).status for name in "abc"]
        assert statuses == [OrderStatus.CANCELLED, OrderStatus.CANCELLED, OrderStatus.WORKING]

    play(Tape().book(1_000 * MS, [(48, 1)], [(53, 1)]), script, usd=2_000)


def test_a_crossing_order_that_came_in_a_gap_makes_at_its_own_price_afterwards() -> None:
    """What it would have paid is not known; its own limit is the worst it agreed to."""
    tape = book().gap(2 * MS, True).gap(6 * MS, False).book(6 * MS, [(40, 5)], [(45, 3), (47, 4), (60, 9)], resync=True)

    async def script(world: World) -> None:
        await world.runtime.sleep(3 * MS)
        await world.venue.place_order(order("a", Side.BUY, 10, 50))
        await world.runtime.sleep(6 * MS)
        report = await world.venue.get_order_status(OrderId("a"))
        assert [(f.lots, f.price_i, f.liquidity, f.cause) for f in report.fills] == [
            (7, 50, Liquidity.MAKER, Cause.CROSSED_BOOK)
        ]
        assert report.remaining_lots == 3

    play(tape, script, usd=1_000)


def test_a_venue_that_drops_gtd_orders_early() -> None:
    profile = replace(OPEN_PROFILE, gtd_early_ns=10 * MS, gtd_min_ns=5 * MS)

    async def script(world: World) -> None:
        venue, now_ns = world.venue, world.runtime.now_ns()

        def gtd(name: str, lives_ns: int) -> Order:
            return order(name, Side.BUY, 1, 40, tif=TimeInForce.GTD, expire_ns=now_ns + lives_ns)

        with pytest.raises(VenueError, match="too near"):
            await venue.place_order(gtd("near", 4 * MS))
        await venue.place_order(gtd("short", 8 * MS))
        await venue.place_order(gtd("long", 30 * MS))
        assert [r.order_id for r in await venue.get_open_orders()] == ["long"]
        await world.runtime.sleep_until(now_ns + 20 * MS - 1)
        assert [r.order_id for r in await venue.get_open_orders("coin")] == ["long"]
        assert await venue.get_open_orders("other") == []
        await world.runtime.sleep(1)
        assert await venue.get_open_orders() == []
        assert (await venue.get_order_status(OrderId("long"))).status is OrderStatus.EXPIRED

    play(book(), script, usd=1_000, profile=profile)


def test_an_amended_gtd_order_still_expires_once() -> None:
    async def script(world: World) -> None:
        venue, now_ns = world.venue, world.runtime.now_ns()
        end_ns = now_ns + 5 * MS
        await venue.place_order(order("a", Side.BUY, 10, 40, tif=TimeInForce.GTD, expire_ns=end_ns))
        await venue.modify_order(OrderId("a"), 41, 12)
        await venue.modify_order(OrderId("a"), None, 8)
        assert venue.ledger[TRADER].reserved["USD"] == 8 * 41
        await world.runtime.sleep_until(end_ns)
        await world.runtime.sleep(0)
        assert (await venue.get_order_status(OrderId("a"))).status is OrderStatus.EXPIRED
        assert venue.ledger[TRADER].reserved["USD"] == 0

    play(book(), script, usd=1_000)


def test_full_sets_are_made_from_money_that_is_free() -> None:
    rain = binary()

    async def script(world: World) -> None:
        world.venue.split("rain", 600)
        with pytest.raises(
            ConfigError, match=r"split of 401 lots of rain: 0\.000401 pUSD are needed, 0\.000400 are free"
        ):
            world.venue.split("rain", 401)

    world = play(Tape().book(0, [], []), script, usd=1_000, instrument=rain)
    held = world.venue.ledger[TRADER].balances
    assert (held["pUSD"], held["rain:YES"], held["rain:NO"]) == (400, 600, 600)
    assert world.venue.ledger[Ledger.MINT].balances["pUSD"] == 600


def test_a_spot_market_has_no_sets() -> None:
    async def script(world: World) -> None:
        with pytest.raises(ExecError, match="not a binary market"):
            world.venue.split("coin", 1)

    play(book(), script, usd=0)


def test_a_fill_pays_the_fee_of_its_own_time_not_of_its_orders() -> None:
    """0.1 % until the 5th millisecond, 1 % from then on; the resting order was booked before and fills after."""
    old, new = (NotionalFee(Decimal(rate), Decimal(rate)) for rate in ("0.001", "0.01"))
    coin = coarse("coin", InstrumentKind.SPOT, fees=DatedFees(((1, old), (START_NS + 5 * MS, new))))
    tape = book().trade(5 * MS, -1, 47, 10)

    def placed(name: str, size: int, price: int) -> Order:
        return replace(order(name, Side.BUY, size, price), instrument=coin)

    async def script(world: World) -> None:
        await world.venue.place_order(placed("early", 50, 52))
        await world.venue.place_order(placed("rests", 10, 48))
        await world.runtime.sleep_until(START_NS + 5 * MS - 1)
        await world.venue.place_order(placed("last", 25, 52))
        await world.runtime.sleep(1)
        await world.venue.place_order(placed("late", 25, 52))
        fees = {}
        for name in ("early", "rests", "last", "late"):
            (fill,) = (await world.venue.get_order_status(OrderId(name))).fills
            fees[name] = fill.fee
        assert fees == {"early": 2, "rests": 4, "last": 1, "late": 13}  # of 2600, 480, 1300 and 1300

    account = play(tape, script, usd=10_000, instrument=coin).venue.ledger[TRADER]
    assert not any(account.reserved.values())
    assert account.balances["USD"] == 10_000 - 5_200 - 480 - 20


def test_what_the_venue_sees_for_its_rewards() -> None:
    """Own resting orders with their age, and what others show less what we took; nothing while the book is not known."""
    tape = book().gap(5 * MS, True)

    async def script(world: World) -> None:
        await world.venue.place_order(order("takes", Side.BUY, 30, 52))
        await world.venue.place_order(order("rests", Side.BUY, 10, 47))
        await world.runtime.sleep(2 * MS)
        assert world.venue.seen("coin") == ([(1, 47, 10, 2 * MS)], [(48, 100)], [(52, 70)])
        await world.runtime.sleep(4 * MS)
        assert world.venue.seen("coin") is None

    play(tape, script, usd=10_000)


def test_a_watched_order_is_told_what_moved_its_queue_before_the_fill_of_that_row() -> None:
    """Thirty of the hundred ahead are a tenth and more; the next print takes the rest and five of ours."""
    tape = book().trade(2 * MS, -1, 48, 30).trade(2 * MS, -1, 48, 4).trade(3 * MS, -1, 48, 71)
    heard: list[tuple[Any, ...]] = []

    async def script(world: World) -> None:
        engine = world.engine
        engine.subscribe(lambda update: heard.append(("filled", update.fill.lots)) if update.fill else None)
        mine = order("a", Side.BUY, 20, 48)
        engine.inbox.queue_watchers[mine.id] = [lambda moved: heard.append((moved.before_lots, moved.ahead_lots))]
        world.venue.watch_queue(mine.id, 10)
        await engine.submit_order(mine)
        await world.runtime.sleep(20 * MS)

    play(tape, script, usd=5_000)
    assert heard == [(100, 70), (70, 0), ("filled", 5)]
