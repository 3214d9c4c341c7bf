"""Paper trading's rows, hold and late rows, in virtual time: what an order sent at T is judged by, and when we hear of
it."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from worlds import MS, OPEN_PROFILE, START_NS, VENUE_NAME, binary

from execsim.core.errors import DataError, VenueError
from execsim.core.events import OrderFilled, Trade, VenueEvent
from execsim.core.instrument import Outcome
from execsim.core.order import Cause, MarketId, Order, OrderAck, OrderId, OrderStatus, OrderType, Side
from execsim.core.request import RequestKind
from execsim.exchange import ConstantLatency, Exchange, LatencyModel, SimulatedVenue
from execsim.exchange.bursts import BurstLatency
from execsim.exchange.paper import BUCKET_NS, PaperMarket, VenueClock, held
from execsim.kernel import REFILL_DECAY, REFILL_NEVER, VENUE, MarketSpan, Replay
from execsim.ports import Diverged, Input, Output
from execsim.runtime import BehindRuntime, ReplayRuntime, VirtualRuntime
from execsim.tape.schema import FLOOR_NS

HOLD, ENTRY, RESPONSE = 100 * MS, 40 * MS, 20 * MS
SHARE = 1_000_000
RAIN = binary()
BIDS, ASKS = [(4_800, 100 * SHARE), (4_700, 50 * SHARE)], [(5_200, 100 * SHARE), (5_300, 50 * SHARE)]


class Bench:
    """An exchange a hold behind a wall that is virtual. Times are ms after the start; a message is received `late_ms` after
    its venue time."""

    def __init__(
        self, hold_ns: int = HOLD, response_ns: int = RESPONSE, refill: int = REFILL_NEVER, runtime: Any = None
    ) -> None:
        self.runtime = runtime or VirtualRuntime(7, START_NS)
        self.clock = BehindRuntime(self.runtime, hold_ns)
        half_life_ns = 1_000 * MS if refill == REFILL_DECAY else 0
        self.kernel = Replay([MarketSpan(1, 1, RAIN.tick_i, RAIN.one_i)], refill=refill, half_life_ns=half_life_ns)
        self.exchange = Exchange(self.clock, self.kernel, VENUE_NAME, {0: RAIN}, OPEN_PROFILE)
        latency = LatencyModel(ConstantLatency(), ConstantLatency(ENTRY), ConstantLatency(response_ns))
        self.venue = SimulatedVenue(self.exchange, held(latency, hold_ns))
        self.venue.deposit("pUSD", 1_000 * SHARE)
        self.market = PaperMarket(self.clock, self.runtime.now_ns, self.kernel, {0: "rain"}, self.exchange)
        self.heard: list[tuple[int, VenueEvent]] = []
        self.venue.events(lambda event: self.heard.append((self.ms, event)))
        self._orders = 0

    @property
    def ms(self) -> int:
        return (self.runtime.now_ns() - START_NS) // MS

    def at(self, venue_ms: int, tell: Callable[[int], None], late_ms: int = 10) -> None:
        """Have `tell(ts_ns)` received `late_ms` after its venue time."""
        ts_ns = START_NS + venue_ms * MS
        self.runtime.call_at(ts_ns + late_ms * MS, tell, ts_ns)

    def book(self, venue_ms: int, bids: Any = BIDS, asks: Any = ASKS, late_ms: int = 10) -> None:
        self.at(venue_ms, lambda ts_ns: self.market.on_snapshot("rain", ts_ns, bids, asks), late_ms)

    def level(self, venue_ms: int, side: int, price_i: int, lots: int, late_ms: int = 10) -> None:
        self.at(venue_ms, lambda ts_ns: self.market.on_levels("rain", ts_ns, [(side, price_i, lots)]), late_ms)

    def trade(self, venue_ms: int, aggressor: Side, price_i: int, lots: int, late_ms: int = 10) -> None:
        def tell(ts_ns: int) -> None:
            self.market.on_trade(Trade(MarketId("rain"), ts_ns, price_i, lots, aggressor, Outcome.YES, False))

        self.at(venue_ms, tell, late_ms)

    def gap(self, ms: int) -> None:
        """The connection is found lost."""
        self.at(ms, lambda ts_ns: self.market.on_gap("rain", ts_ns, True), 0)

    async def buy(self, price_i: int, shares: int = 10, **more: Any) -> tuple[OrderId, OrderAck, int]:
        """(id, ack, ms when it was known)."""
        self._orders += 1
        name = OrderId(f"o{self._orders}")
        order = Order(name, RAIN, Side.BUY, OrderType.LIMIT, size_lots=shares * SHARE, price_i=price_i, **more)
        ack = await self.venue.place_order(order)
        return name, ack, self.ms

    async def until(self, ms: int) -> None:
        await self.runtime.sleep_until(START_NS + ms * MS)

    async def fills(self, order: OrderId) -> list[tuple[int, int, Cause]]:
        report = await self.venue.get_order_status(order)
        return [(fill.price_i, fill.lots // SHARE, fill.cause) for fill in report.fills]

    def play(self, scene: Callable[[Bench], Coroutine[Any, Any, None]]) -> None:
        self.runtime.run(main=scene(self))
        self.venue.ledger.check()


# -------------------------------------------------------------------- the promise
@pytest.mark.parametrize(("changed_ms", "price_i"), [(1_040, 5_300), (1_041, 5_200)])
def test_an_order_is_judged_by_the_book_of_its_arrival(changed_ms: int, price_i: int) -> None:
    """Sent at 1000, there at 1040. What the venue did up to then counts though we receive it later; what it did 1 ms later
    does not, though we have received it long before the order is judged (1140 on the wall)."""
    bench = Bench()
    bench.book(0)
    bench.level(changed_ms, -1, 5_200, 0, late_ms=50)

    async def scene(bench: Bench) -> None:
        await bench.until(1_000)
        name, ack, _ = await bench.buy(5_300)
        assert (ack.ts_ns - START_NS) // MS == 1_040
        assert await bench.fills(name) == [(price_i, 10, Cause.TAKER_WALK)]

    bench.play(scene)
    assert bench.market.late.rows == 0


@pytest.mark.parametrize(("response_ms", "known_ms"), [(20, 1_140), (100, 1_140), (250, 1_290)])
def test_the_answer_is_known_after_the_hold_or_the_response_whichever_is_longer(
    response_ms: int, known_ms: int
) -> None:
    """At the venue at 1040; known there at 1140 at the earliest; with a slow way back when that is over."""
    bench = Bench(response_ns=response_ms * MS)
    bench.book(0)

    async def scene(bench: Bench) -> None:
        await bench.until(1_000)
        _, _, known = await bench.buy(4_000)
        assert known == known_ms

    bench.play(scene)


def test_a_trade_before_the_order_rests_does_not_fill_it_and_one_after_it_drains_the_queue() -> None:
    """100 shares are ahead at 0.48. The print of 1039 is received when the order is long sent, and is no news to it."""
    bench = Bench()
    bench.book(0)
    bench.trade(1_039, Side.SELL, 4_800, 500 * SHARE, late_ms=90)
    bench.trade(1_200, Side.SELL, 4_800, 100 * SHARE)
    bench.trade(1_300, Side.SELL, 4_800, 4 * SHARE)
    bench.trade(1_400, Side.SELL, 4_800, 50 * SHARE)

    async def scene(bench: Bench) -> None:
        await bench.until(1_000)
        name, _, _ = await bench.buy(4_800)
        await bench.until(2_000)
        assert await bench.fills(name) == [(4_800, 4, Cause.QUEUE_DRAINED), (4_800, 6, Cause.QUEUE_DRAINED)]

    bench.play(scene)
    told = [(ms, (event.fill.ts_ns - START_NS) // MS) for ms, event in bench.heard if isinstance(event, OrderFilled)]
    assert told == [(1_400, 1_300), (1_500, 1_400)]  # each a hold after the print


def test_at_one_instant_the_market_moves_first_and_trades_before_levels() -> None:
    """The level's fall to 20 is the print of 80 itself, which came second over the wire: the queue is drained once."""
    bench = Bench()
    bench.book(0)
    bench.level(1_200, 1, 4_800, 20 * SHARE)
    bench.trade(1_200, Side.SELL, 4_800, 80 * SHARE)
    bench.level(1_040, -1, 5_200, 0)  # at the very instant the second order arrives

    async def scene(bench: Bench) -> None:
        await bench.until(1_000)
        resting, _, _ = await bench.buy(4_800)
        assert await bench.fills(resting) == []
        found = bench.exchange.entry.find("trader", resting)
        assert found is not None
        await bench.until(1_500)
        assert bench.exchange.ahead(found) == 20 * SHARE

    async def taking(bench: Bench) -> None:
        await bench.until(1_000)
        name, _, _ = await bench.buy(5_300)
        assert await bench.fills(name) == [(5_300, 10, Cause.TAKER_WALK)]

    bench.play(scene)
    other = Bench()
    other.book(0)
    other.level(1_040, -1, 5_200, 0)
    other.play(taking)


# -------------------------------------------------------------------- late rows
def test_a_late_row_is_applied_at_once_flagged_and_counted() -> None:
    """Of 1000, received at 1250: the exchange's clock shows 1150 then. It changes what comes after, not what was judged."""
    bench = Bench()
    bench.book(0)
    bench.level(1_000, -1, 5_200, 0, late_ms=250)

    async def scene(bench: Bench) -> None:
        await bench.until(1_000)
        before, _, _ = await bench.buy(5_300)
        assert await bench.fills(before) == [(5_200, 10, Cause.TAKER_WALK)]
        await bench.until(1_250)
        assert bench.kernel.level(VENUE, 0, -1, 5_200) == 0
        assert (bench.kernel.last_ns(VENUE, 0) - START_NS) // MS == 1_150
        after, _, _ = await bench.buy(5_300)
        assert await bench.fills(after) == [(5_300, 10, Cause.TAKER_WALK)]

    bench.play(scene)
    late = bench.market.late
    assert (late.rows, late.messages, late.worst_ns, late.fills) == (1, 1, 150 * MS, 0)
    assert late.slowest_ns == 250 * MS

    enough = Bench(hold_ns=late.slowest_ns)
    enough.book(0)
    enough.level(1_000, -1, 5_200, 0, late_ms=250)
    enough.play(lambda bench: bench.until(2_000))
    assert enough.market.late.rows == 0


def test_fills_by_late_rows_are_counted() -> None:
    bench = Bench()
    bench.book(0)
    bench.trade(1_300, Side.SELL, 4_700, 50 * SHARE, late_ms=200)

    async def scene(bench: Bench) -> None:
        await bench.until(1_000)
        name, _, _ = await bench.buy(4_800)
        await bench.until(1_600)
        assert await bench.fills(name) == [(4_800, 10, Cause.TRADE_THROUGH)]

    bench.play(scene)
    assert (bench.market.late.rows, bench.market.late.fills) == (1, 1)


class Played:
    """A `ReplayLog` that compares nothing."""

    difference: Diverged | None = None

    def take(self, item: Input) -> None: ...

    def sent(self, item: Output) -> None: ...


def test_what_is_overdue_together_happens_in_the_order_of_its_time() -> None:
    """A wall that stands still from 1060 to 3000 (a busy machine): a row of 1039, an arrival at 1040 and a row of 1041 fall
    due at one input, each still at its own time. 40 shares are there when the order arrives, 7 a millisecond later."""
    start = json.dumps({"origin_ns": START_NS, "seed": 7}).encode()
    said = [
        (0, "start", "", start),
        (10, "call", "book", b""),
        (1_000, "call", "order", b""),
        (1_060, "call", "rows", b""),
    ]
    said += [(3_000, "clock", "", b""), (3_500, "clock", "", b"")]
    inputs = [Input(n, START_NS + ms * MS, *rest) for n, (ms, *rest) in enumerate(said, 1)]
    runtime = ReplayRuntime(inputs, Played())
    bench = Bench(runtime=runtime)

    def order(_: bytes) -> None:
        terms = Order(OrderId("o"), RAIN, Side.BUY, OrderType.LIMIT, size_lots=60 * SHARE, price_i=5_200)
        runtime.spawn(bench.venue.place_order(terms), "order")

    def rows(_: bytes) -> None:
        for ms, shares in ((1_039, 40), (1_041, 7)):
            bench.market.on_levels("rain", START_NS + ms * MS, [(-1, 5_200, shares * SHARE)])

    async def main() -> list[tuple[int, int, Cause]]:
        runtime.door("book", lambda _: bench.market.on_snapshot("rain", START_NS, BIDS, ASKS))
        runtime.door("order", order)
        runtime.door("rows", rows)
        await bench.until(2_500)
        found = bench.exchange.entry.find("trader", OrderId("o"))
        assert found is not None
        return [(fill.price_i, fill.lots // SHARE, fill.cause) for fill in found.fills]

    assert runtime.run(main()) == [(5_200, 40, Cause.TAKER_WALK)]
    assert bench.kernel.level(VENUE, 0, -1, 5_200) == 7 * SHARE
    assert bench.market.late.rows == 0


# -------------------------------------------------------------------- gaps and books
def test_nothing_fills_in_a_gap_and_queues_are_lost_in_it() -> None:
    """The last row before the gap is of 1000; it is found at 1100, when the exchange's clock shows 1000."""
    bench = Bench()
    bench.book(0)
    bench.level(1_000, 1, 4_700, 60 * SHARE)
    bench.gap(1_100)
    bench.trade(1_400, Side.SELL, 4_700, 500 * SHARE)
    bench.book(1_600, bids=[(4_800, 30 * SHARE)], late_ms=150)
    bench.trade(1_700, Side.SELL, 4_800, 35 * SHARE, late_ms=80)

    async def scene(bench: Bench) -> None:
        await bench.until(500)
        resting, _, _ = await bench.buy(4_800)
        await bench.until(1_150)
        taking, _, _ = await bench.buy(5_300)
        assert await bench.fills(taking) == []
        await bench.until(1_650)
        assert await bench.fills(resting) == []
        await bench.until(3_000)
        assert await bench.fills(taking) == [(5_300, 10, Cause.CROSSED_BOOK)]
        assert await bench.fills(resting) == [(4_800, 5, Cause.QUEUE_DRAINED)]

    bench.play(scene)
    assert bench.market.gaps == 1
    # the resync book was received 50 ms after the exchange's clock had passed its time: it opens, it is not late
    assert bench.market.late.rows == 0


def test_an_opening_book_may_be_as_old_as_it_likes() -> None:
    bench = Bench()
    bench.book(0, late_ms=10_000)
    bench.play(lambda bench: bench.until(11_000))
    assert bench.market.late.rows == 0
    assert bench.kernel.best(VENUE, 0) == (4_800, 100 * SHARE, 5_200, 100 * SHARE)


def test_a_book_said_again_is_what_it_changes() -> None:
    """Our place in the queue stands: 60 of 100 ahead are gone by the print, the book that follows says the same."""
    bench = Bench()
    bench.book(0)
    bench.trade(1_200, Side.SELL, 4_800, 60 * SHARE)
    bench.book(1_200, bids=[(4_800, 40 * SHARE), (4_600, 5 * SHARE)])

    async def scene(bench: Bench) -> None:
        await bench.until(500)
        name, _, _ = await bench.buy(4_800)
        await bench.until(2_000)
        found = bench.exchange.entry.find("trader", name)
        assert found is not None
        assert bench.exchange.ahead(found) == 40 * SHARE
        assert bench.kernel.levels(VENUE, 0, 1, 9) == [(4_800, 40 * SHARE), (4_600, 5 * SHARE)]

    bench.play(scene)
    assert bench.market.rows == 4 + 1 + 3  # a snapshot, a trade, three levels


def test_levels_before_the_first_book_say_nothing() -> None:
    bench = Bench()
    bench.level(0, 1, 4_800, SHARE)
    bench.play(lambda bench: bench.until(1_000))
    assert bench.market.rows == 0


def test_a_resolved_market_takes_no_order_and_pays() -> None:
    bench = Bench()
    bench.book(0)
    bench.at(1_030, lambda ts_ns: bench.market.on_resolve("rain", ts_ns, RAIN.one_i), 300)

    async def scene(bench: Bench) -> None:
        await bench.until(500)
        name, _, _ = await bench.buy(5_200)
        assert await bench.fills(name) == [(5_200, 10, Cause.TAKER_WALK)]
        await bench.until(1_400)
        with pytest.raises(VenueError):
            await bench.buy(4_000)
        held_now = await bench.venue.balances()
        assert held_now["rain:YES"] == 0

    bench.play(scene)


def test_a_tick_holds_from_its_time_on() -> None:
    bench = Bench()
    bench.book(0)
    bench.at(1_041, lambda ts_ns: bench.market.on_tick("rain", ts_ns, 10), 5)

    async def scene(bench: Bench) -> None:
        await bench.until(1_000)
        with pytest.raises(VenueError):
            await bench.buy(4_010)
        await bench.until(1_200)
        assert (await bench.buy(4_010))[1].order_id == "o2"

    bench.play(scene)


def test_a_size_nobody_can_work_with_is_refused() -> None:
    bench = Bench()
    with pytest.raises(DataError, match="no such size"):
        bench.market.on_snapshot("rain", START_NS, [(4_800, 2**60)], [])


def test_what_was_taken_comes_back_with_time_though_no_row_comes() -> None:
    """Refill by decay, half-life 1 s: of 100 taken, half is there a second later."""
    bench = Bench(refill=REFILL_DECAY)
    bench.book(0)

    async def scene(bench: Bench) -> None:
        await bench.until(1_000)
        await bench.buy(5_200, shares=100)
        await bench.until(2_000)
        name, _, _ = await bench.buy(5_200, shares=100)
        assert await bench.fills(name) == [(5_200, 50, Cause.TAKER_WALK)]
        assert (await bench.venue.get_order_status(name)).status is OrderStatus.WORKING

    bench.play(scene)


# -------------------------------------------------------------------- clocks and latencies
def test_a_venue_clock_that_is_ahead_is_moved_back() -> None:
    clock = VenueClock()
    assert clock.ours_ns(1_000 * MS, 1_030 * MS) == 1_000 * MS  # plausible: left alone
    assert clock.ours_ns(2_000 * MS, 1_990 * MS) == 1_990 * MS - FLOOR_NS
    assert clock.ours_ns(2_100 * MS, 2_100 * MS) == 2_090 * MS - FLOOR_NS
    assert clock.shift_ns_max == 10 * MS + FLOOR_NS
    # a minute later it still counts, two minutes later it does not
    assert clock.ours_ns(BUCKET_NS, BUCKET_NS + 20 * MS) == BUCKET_NS - 10 * MS - FLOOR_NS
    assert clock.ours_ns(2 * BUCKET_NS, 2 * BUCKET_NS + 20 * MS) == 2 * BUCKET_NS


def test_latencies_behind_a_hold() -> None:
    """Kinds of request too; a model that depends on time is asked for the time of the sender."""
    latency = LatencyModel(
        ConstantLatency(),
        BurstLatency(40 * MS),
        ConstantLatency(150 * MS),
        {RequestKind.CANCEL: ConstantLatency(5 * MS)},
    )
    behind = held(latency, HOLD)
    plain, moved = (each.entry_leg(VirtualRuntime(3, 0).rng, "x") for each in (latency, behind))
    sent = range(START_NS, START_NS + 4_000 * MS, 250 * MS)
    assert [moved.arrival_ns(t - HOLD) for t in sent] == [plain.arrival_ns(t) for t in sent]
    last = sent[-1] + 10_000 * MS
    assert moved.arrival_ns(last - HOLD, RequestKind.CANCEL) == last + 5 * MS
    assert behind.response_leg(VirtualRuntime(3, 0).rng, "x").arrival_ns(START_NS) == START_NS + 50 * MS
    assert behind.entry.about == latency.entry.about
