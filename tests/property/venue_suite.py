"""What every `VenueAdapter` must do, asked through the real engine. Subclass `VenueSuite` and say how to make a world.

A world is a runtime, an adapter and a market that moves as a `Tape` says. Scripts are written in steps of 50 ms: long
enough for a busy machine to keep the order in wall time. `exact` says whether times are.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Protocol

import pytest
from worlds import MS, START_NS, Tape, binary

from execsim.core.errors import ExecError, OrderNotFound, RateLimitExceeded, ValidationError, VenueError
from execsim.core.events import OrderUpdate
from execsim.core.instrument import Instrument, Outcome
from execsim.core.limits import CANCELS, ORDERS, Bucket, LimitRule
from execsim.core.order import (
    CancelAck,
    Cause,
    Fill,
    Liquidity,
    Order,
    OrderAck,
    OrderId,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
)
from execsim.engine import ExecutionEngine
from execsim.ports import Runtime, Task, VenueAdapter, VenueProfile
from execsim.tape.schema import Kind

STEP = 50 * MS
ENTRY_NS = RESPONSE_NS = 4 * MS
ALMOST = ENTRY_NS - 1
"""what an order lives that expires just before it arrives"""
SHARE = 1_000_000
"""lots in a share, and units in a pUSD"""

PROFILE = VenueProfile(
    texts={
        "post_only_cross": ("X1", "would take"),
        "tick": ("X2", "price {price} breaks tick {tick}"),
        "size_min": ("X3", "{size} is less than {min}"),
        "balance": ("X4", "{free} {asset} free, {needed} needed"),
        "order_gone": ("X5", "no order {order_id}"),
        "rate_limit": ("X6", "slow down"),
    },
)
"""Some of the venue's own words; rules it has no text for are refused in neutral ones."""


class World(Protocol):
    """What a suite needs of a venue under test: worlds.World has it for the simulated exchange."""

    runtime: Runtime
    engine: ExecutionEngine
    exact: bool

    @property
    def adapter(self) -> VenueAdapter: ...

    def run(self, main: Coroutine[Any, Any, None]) -> None:
        """Start the market, run main to its end, end everything."""


@dataclass
class Sent:
    """A submission under way: what `submit_order` gave in the end."""

    order: Order
    ack: OrderAck | None = None
    error: ExecError | None = None
    answered_ns: int = 0


@dataclass
class Session:
    """One script: orders by readable ids, and everything the engine published, in order."""

    world: World
    instrument: Instrument
    updates: list[OrderUpdate] = field(default_factory=list)
    log: list[tuple[str, str, int]] = field(default_factory=list)
    """(event, order id, lots of a fill or 0)"""
    fills: list[Fill] = field(default_factory=list)
    flying: list[Task] = field(default_factory=list)
    """tasks whose answers have not been waited for"""

    def __post_init__(self) -> None:
        self.engine, self.adapter, self.runtime = self.world.engine, self.world.adapter, self.world.runtime
        self.engine.subscribe(self._hear)

    def _hear(self, update: OrderUpdate) -> None:
        self.updates.append(update)
        self.log.append((update.event.value, update.order.id, update.fill.lots // SHARE if update.fill else 0))
        if update.fill:
            self.fills.append(update.fill)

    async def at(self, step: float, *, wait: bool = True) -> None:
        """Go on at that step and, with `wait`, not before everything sent has been answered."""
        await self.runtime.sleep_until(START_NS + int(step * STEP))
        if wait:
            await self.answers()

    async def answers(self) -> None:
        """Until everything sent has been answered, and what the venue said right after has arrived."""
        tasks, self.flying = self.flying, []
        for task in tasks:
            await task.join()
        await self.runtime.sleep(MS)

    def order(
        self,
        name: str,
        side: Side,
        size: float | None = None,
        price: str | None = None,
        *,
        type: OrderType = OrderType.LIMIT,
        tif: TimeInForce = TimeInForce.GTC,
        quote: float | None = None,
        outcome: Outcome = Outcome.YES,
        expire_ns: int | None = None,
    ) -> Order:
        """Sizes in shares, money in pUSD."""
        price_i = None if price is None else self.instrument.grid.price_i(price)
        lots = None if size is None else int(size * SHARE)
        amount = None if quote is None else int(quote * SHARE)
        return Order(
            OrderId(name), self.instrument, side, type, tif, lots, amount, price_i, outcome=outcome, expire_ns=expire_ns
        )

    async def place(self, order: Order) -> Sent:
        """Submit and wait for the answer."""
        sent = self.send(order)
        await self.answers()
        return sent

    def send(self, order: Order) -> Sent:
        """Submit in a task of its own."""
        sent = Sent(order)

        async def submit() -> None:
            try:
                sent.ack = await self.engine.submit_order(order)
            except ExecError as error:
                sent.error = error
            sent.answered_ns = self.runtime.now_ns()

        self.flying.append(self.runtime.spawn(submit(), f"submit {order.id}"))
        return sent

    def spawn(self, work: Coroutine[Any, Any, Any]) -> list[Any]:
        """Run in a task; its result or ExecError appears in the list."""
        results: list[Any] = []

        async def wrapped() -> None:
            try:
                results.append(await work)
            except ExecError as error:
                results.append(error)

        self.flying.append(self.runtime.spawn(wrapped(), "work"))
        return results

    async def known(self, name: str) -> tuple[OrderStatus, float, float]:
        """What the venue says of an order: status, shares filled, shares left."""
        report = await self.adapter.get_order_status(OrderId(name))
        return report.status, report.filled_lots / SHARE, report.remaining_lots / SHARE

    async def open(self) -> list[str]:
        return [report.order_id for report in await self.adapter.get_open_orders()]

    async def money(self) -> dict[str, Decimal]:
        """Balances in shares and pUSD, empty ones left out."""
        held = await self.adapter.balances()
        return {name.split(":")[-1]: Decimal(units) / SHARE for name, units in held.items() if units}

    def time_is(self, found_ns: int, expected_ns: int) -> None:
        """Exact in virtual time; in wall time not earlier, and before the next step."""
        if self.world.exact:
            assert found_ns == expected_ns
        else:
            assert expected_ns <= found_ns < expected_ns + STEP


def cents(*levels: tuple[int, float]) -> list[tuple[int, int]]:
    """Levels as (price in cents, shares)."""
    return [(price * 100, int(size * SHARE)) for price, size in levels]


def quiet() -> Tape:
    """A book from the start: 48 x 100, 47 x 50 | 52 x 100, 53 x 50."""
    return Tape().book(0, cents((48, 100), (47, 50)), cents((52, 100), (53, 50)))


BUY, SELL = Side.BUY, Side.SELL
IOC, FOK, GTD = TimeInForce.IOC, TimeInForce.FOK, TimeInForce.GTD
MARKET, POST_ONLY = OrderType.MARKET, OrderType.POST_ONLY
START_MONEY = {"pUSD": Decimal(100), "YES": Decimal(40), "NO": Decimal(40)}

REFUSALS: list[tuple[str, dict[str, Any], str, str]] = [
    ("post-only that crosses", {"side": BUY, "size": 10, "price": "0.52", "type": POST_ONLY}, "X1", "would take"),
    ("off the tick", {"side": BUY, "size": 10, "price": "0.485"}, "X2", "price 0.4850 breaks tick 0.0100"),
    ("too small", {"side": BUY, "size": 4, "price": "0.48"}, "X3", "4.000000 is less than 5.000000"),
    ("off the size step", {"side": BUY, "size": 5.001, "price": "0.48"}, "SIZE_STEP", "5.001000 is not a multiple"),
    ("no size", {"side": BUY, "size": 0, "price": "0.48"}, "X3", "0.000000 is less than 5.000000"),
    ("price of one", {"side": BUY, "size": 10, "price": "1"}, "PRICE_RANGE", "1.0000 is outside 0.0100 to 0.9900"),
    ("price above one", {"side": SELL, "size": 10, "price": "1.5"}, "PRICE_RANGE", "1.5000 is outside"),
    ("too dear", {"side": BUY, "size": 300, "price": "0.48"}, "X4", "100.000000 pUSD free, 144.000000 needed"),
    ("more than held", {"side": SELL, "size": 41, "price": "0.60"}, "X4", "40.000000 rain:YES free, 41.000000 needed"),
    # 150 taken for 78.50, 37 resting for 19.61: only the taker fee of 2.62 makes it too much
    ("the fee is too much", {"side": BUY, "size": 187, "price": "0.53"}, "X4", "100.729050 needed"),
    ("expired on the way", {"side": BUY, "size": 10, "price": "0.48", "tif": GTD, "lives_ns": ALMOST}, "EXPIRED", "over"),
    ("not all at once", {"side": BUY, "size": 101, "price": "0.52", "tif": FOK}, "FOK", "filled at once or killed"),
    ("too little money", {"side": BUY, "quote": 0.5, "type": MARKET}, "NOTIONAL_MIN", "0.500000 is below the minimum 1"),
]  # fmt: skip


class VenueSuite:
    """Subclasses give `make`; everything else is asked here."""

    def make(
        self, tape: Tape, instrument: Instrument, profile: VenueProfile, money: Mapping[str, int], sets: int, speed: int
    ) -> World:
        """A world with entry and response latencies of 4 ms whose trader owns `money` and `sets` full sets (lots)."""
        raise NotImplementedError

    def play(
        self,
        tape: Tape,
        script: Callable[[Session], Coroutine[Any, Any, None]],
        *,
        profile: VenueProfile = PROFILE,
        speed: int = 1,
        **rules: Any,
    ) -> Session:
        """Run a script against the market of `tape`. The trader owns 100 pUSD and 40 full sets."""
        instrument = binary(notional_min=SHARE, notional_min_taker_buys_only=True, **rules)
        world = self.make(tape, instrument, profile, {"pUSD": 140 * SHARE}, 40 * SHARE, speed)
        session = Session(world, instrument)
        world.run(script(session))
        return session

    # --- placing --------------------------------------------------------------------------------------------------

    def test_an_order_rests_and_is_acknowledged(self) -> None:
        async def script(s: Session) -> None:
            await s.at(1)
            asked_ns = s.runtime.now_ns()
            sent = await s.place(s.order("a", BUY, 10, "0.48"))
            assert sent.ack is not None
            assert sent.ack.venue_order_id
            s.time_is(sent.ack.ts_ns, asked_ns + ENTRY_NS)
            s.time_is(sent.answered_ns, asked_ns + ENTRY_NS + RESPONSE_NS)
            assert s.engine.get_order(OrderId("a")).venue_order_id == sent.ack.venue_order_id
            assert await s.known("a") == (OrderStatus.WORKING, 0, 10)
            assert await s.open() == ["a"]
            assert await s.money() == START_MONEY

        s = self.play(quiet(), script)
        assert s.log == [("send", "a", 0), ("ack", "a", 0)]
        assert s.engine.get_order(OrderId("a")).status is OrderStatus.WORKING

    @pytest.mark.parametrize(("what", "order", "code", "text"), REFUSALS, ids=[r[0] for r in REFUSALS])
    def test_a_refusal_is_an_exception_and_an_update(
        self, what: str, order: dict[str, Any], code: str, text: str
    ) -> None:
        asked = dict(order)

        async def script(s: Session) -> None:
            lives_ns = asked.pop("lives_ns", None)
            expire_ns = None if lives_ns is None else s.runtime.now_ns() + lives_ns
            sent = await s.place(s.order("a", **asked, expire_ns=expire_ns))
            assert sent.ack is None
            assert isinstance(sent.error, VenueError)
            assert (sent.error.args[0], sent.error.args[1]) == (s.instrument.venue, code)
            assert text in sent.error.args[2]
            assert s.updates[-1].error is sent.error
            assert s.engine.get_order(OrderId("a")).status is OrderStatus.REJECTED
            assert await s.open() == []
            with pytest.raises(OrderNotFound):
                await s.adapter.get_order_status(OrderId("a"))
            assert await s.money() == START_MONEY

        assert self.play(quiet(), script).log == [("send", "a", 0), ("refuse", "a", 0)]

    def test_a_used_id_is_refused_by_engine_and_venue(self) -> None:
        async def script(s: Session) -> None:
            await s.place(s.order("a", BUY, 10, "0.48"))
            again = await s.place(s.order("a", BUY, 10, "0.47"))
            assert isinstance(again.error, ValidationError)
            with pytest.raises(VenueError, match="known already"):
                await s.adapter.place_order(s.order("a", BUY, 10, "0.47"))
            assert await s.open() == ["a"]

        assert self.play(quiet(), script).log == [("send", "a", 0), ("ack", "a", 0)]

    def test_an_unknown_market_is_refused(self) -> None:
        async def script(s: Session) -> None:
            order = s.order("a", BUY, 10, "0.48")
            foreign = replace(order, instrument=binary("snow"))
            with pytest.raises(VenueError, match="no such market: snow"):
                await s.adapter.place_order(foreign)
            assert await s.open() == []

        self.play(quiet(), script)

    def test_a_batch_arrives_at_one_instant_in_order(self) -> None:
        async def script(s: Session) -> None:
            orders = [
                s.order("a", BUY, 60, "0.52", tif=IOC),
                s.order("b", BUY, 10, "0.485"),
                s.order("c", BUY, 60, "0.53", tif=IOC),
                s.order("d", BUY, 10, "0.40"),
            ]
            results = await s.engine.submit_batch(orders)
            assert [r.ok for r in results] == [True, False, True, True]
            assert len({r.value.ts_ns for r in results if r.ok}) == 1
            await s.answers()
            assert await s.open() == ["d"]

        s = self.play(quiet(), script)
        # a takes 60 of the 100 at 0.52, so c gets the 40 left there and 20 at 0.53
        assert [(f.order_id, f.price_i, f.lots // SHARE) for f in s.fills] == [
            ("a", 5200, 60),
            ("c", 5200, 40),
            ("c", 5300, 20),
        ]
        assert {("ack", name, 0) for name in "acd"} | {("refuse", "b", 0)} <= set(s.log)

    # --- cancelling -----------------------------------------------------------------------------------------------

    def test_a_cancel_takes_the_order_off_and_frees_its_money(self) -> None:
        async def script(s: Session) -> None:
            s.send(s.order("a", BUY, 200, "0.48"))
            late = await s.place(s.order("b", BUY, 10, "0.47"))
            assert isinstance(late.error, VenueError)
            assert late.error.args[1:] == ("X4", "4.000000 pUSD free, 4.700000 needed")
            ack = await s.engine.cancel_order(OrderId("a"))
            assert ack.cancelled
            assert await s.known("a") == (OrderStatus.CANCELLED, 0, 200)
            again = await s.place(s.order("c", BUY, 200, "0.48"))
            assert again.ack is not None
            assert await s.open() == ["c"]

        s = self.play(quiet(), script)
        assert [e for e in s.log if e[1] == "a"] == [(k, "a", 0) for k in ("send", "ack", "ask_cancel", "gone")]

    def test_a_cancel_before_the_ack(self) -> None:
        async def script(s: Session) -> None:
            s.send(s.order("a", BUY, 10, "0.48"))
            await s.runtime.sleep(0)
            assert s.engine.get_order(OrderId("a")).status is OrderStatus.SUBMITTING
            ack = await s.engine.cancel_order(OrderId("a"))
            assert ack.cancelled
            assert await s.known("a") == (OrderStatus.CANCELLED, 0, 10)

        s = self.play(quiet(), script)
        assert s.log == [(kind, "a", 0) for kind in ("send", "ask_cancel", "ack", "gone")]
        assert s.engine.get_order(OrderId("a")).status is OrderStatus.CANCELLED

    def test_a_cancel_of_an_unknown_or_finished_order(self) -> None:
        async def script(s: Session) -> None:
            with pytest.raises(OrderNotFound):
                await s.engine.cancel_order(OrderId("ghost"))
            ack = await s.adapter.cancel_order(OrderId("ghost"))
            assert (ack.cancelled, ack.reason) == (False, "no order ghost")
            await s.place(s.order("a", BUY, 10, "0.52", tif=IOC))
            assert not (await s.engine.cancel_order(OrderId("a"))).cancelled
            assert not (await s.adapter.cancel_order(OrderId("a"))).cancelled
            with pytest.raises(VenueError, match="no order a"):
                await s.adapter.modify_order(OrderId("a"), None, 20 * SHARE)

        self.play(quiet(), script)

    def test_a_fill_that_beats_the_cancel(self) -> None:
        tape = quiet().trade(3 * STEP, -1, 4800, 110 * SHARE)

        async def script(s: Session) -> None:
            await s.at(1)
            s.send(s.order("a", BUY, 10, "0.48"))
            # reaches the venue 2 ms after the print that fills the order, which we have not heard of
            await s.runtime.sleep_until(START_NS + 3 * STEP - ENTRY_NS + 2 * MS)
            answers = s.spawn(s.engine.cancel_order(OrderId("a")))
            await s.at(4)
            assert isinstance(answers[0], CancelAck)
            assert not answers[0].cancelled
            assert await s.known("a") == (OrderStatus.FILLED, 10, 0)

        s = self.play(tape, script)
        assert s.log[-1] == ("done", "a", 10)
        if s.world.exact:  # a busy machine may send the cancel too late to race
            assert s.log == [("send", "a", 0), ("ack", "a", 0), ("ask_cancel", "a", 0), ("done", "a", 10)]
        assert s.engine.get_order(OrderId("a")).status is OrderStatus.FILLED

    def test_a_cancel_that_beats_the_fill(self) -> None:
        tape = quiet().trade(4 * STEP, -1, 4800, 110 * SHARE)

        async def script(s: Session) -> None:
            await s.at(1)
            s.send(s.order("a", BUY, 10, "0.48"))
            await s.at(3)
            assert (await s.engine.cancel_order(OrderId("a"))).cancelled
            await s.at(5)
            assert await s.known("a") == (OrderStatus.CANCELLED, 0, 10)
            assert await s.money() == START_MONEY

        assert self.play(tape, script).fills == []

    def test_partial_fills_and_then_a_cancel(self) -> None:
        tape = quiet().trade(2 * STEP, -1, 4800, 103 * SHARE).level(2 * STEP, 1, 4800, 0)
        tape.trade(3 * STEP, -1, 4800, 4 * SHARE)

        async def script(s: Session) -> None:
            await s.at(1)
            s.send(s.order("a", BUY, 10, "0.48"))
            await s.at(4)
            assert await s.known("a") == (OrderStatus.WORKING, 7, 3)
            assert (await s.engine.cancel_order(OrderId("a"))).cancelled
            assert await s.known("a") == (OrderStatus.CANCELLED, 7, 3)
            assert await s.money() == START_MONEY | {"pUSD": Decimal("96.64"), "YES": Decimal(47)}

        s = self.play(tape, script)
        assert [e for e in s.log if e[0] in ("fill", "gone")] == [("fill", "a", 3), ("fill", "a", 4), ("gone", "a", 0)]
        assert [(f.liquidity, f.cause, f.fee) for f in s.fills] == [(Liquidity.MAKER, Cause.QUEUE_DRAINED, 0)] * 2
        s.time_is(s.fills[0].ts_ns, START_NS + 2 * STEP)
        position = s.engine.get_position("rain")
        assert (position.yes_lots, position.no_lots) == (47 * SHARE, 40 * SHARE)

    # --- amending -------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        ("price", "size", "filled"),
        [(None, 8, 8), ("0.47", None, 0), (None, 12, 0), ("0.48", 12, 0), ("0.48", 8, 8)],
        ids=["down keeps", "price loses", "up loses", "up at the same price loses", "down at the same price keeps"],
    )
    def test_an_amend_keeps_or_loses_the_place(self, price: str | None, size: int | None, filled: float) -> None:
        # 100 are ahead of us; 60 trade; 60 join behind us; 50 trade: that reaches us only if we kept our place
        tape = quiet().trade(2 * STEP, -1, 4800, 60 * SHARE).level(2 * STEP, 1, 4800, 40 * SHARE)
        tape.level(3 * STEP, 1, 4800, 100 * SHARE).trade(5 * STEP, -1, 4800, 50 * SHARE)

        async def script(s: Session) -> None:
            await s.at(1)
            s.send(s.order("a", BUY, 10, "0.48"))
            await s.at(4)
            price_i = None if price is None else s.instrument.grid.price_i(price)
            size_lots = None if size is None else size * SHARE
            ack = await s.engine.modify_order(OrderId("a"), price_i=price_i, size_lots=size_lots)
            assert ack.order_id == "a"
            await s.at(6)
            total = size or 10
            status = OrderStatus.FILLED if filled == total else OrderStatus.WORKING
            assert await s.known("a") == (status, filled, total - filled)
            assert s.engine.get_order(OrderId("a")).price_i == (price_i or 4800)
            assert s.engine.get_order(OrderId("a")).size_lots == total * SHARE

        self.play(tape, script)

    def test_a_refused_amend_leaves_the_order_as_it_was(self) -> None:
        async def script(s: Session) -> None:
            await s.place(s.order("a", BUY, 10, "0.48", type=POST_ONLY))
            asked: list[dict[str, Any]] = [
                {"price_i": 5200},
                {"price_i": 4850},
                {"size_lots": 300 * SHARE},
                {"size_lots": 4 * SHARE},
                {"size_lots": 9 * SHARE + 1},
            ]
            codes = []
            for change in asked:
                with pytest.raises(VenueError) as refused:
                    await s.engine.modify_order(OrderId("a"), **change)
                codes.append(refused.value.args[1])
            assert codes == ["X1", "X2", "X4", "X3", "SIZE_STEP"]
            assert await s.known("a") == (OrderStatus.WORKING, 0, 10)
            order = s.engine.get_order(OrderId("a"))
            assert (order.price_i, order.size_lots) == (4800, 10 * SHARE)
            await s.engine.cancel_order(OrderId("a"))
            whole = await s.place(s.order("b", BUY, 208, "0.48"))
            assert whole.ack is not None  # every claim of the refused amends was given back

        self.play(quiet(), script)

    def test_an_amend_to_a_crossing_price_takes(self) -> None:
        async def script(s: Session) -> None:
            await s.place(s.order("a", BUY, 120, "0.48"))
            await s.engine.modify_order(OrderId("a"), price_i=5200, size_lots=110 * SHARE)
            await s.answers()
            assert await s.known("a") == (OrderStatus.WORKING, 100, 10)

        s = self.play(quiet(), script)
        assert [(f.price_i, f.lots // SHARE, f.liquidity) for f in s.fills] == [(5200, 100, Liquidity.TAKER)]
        # the ack comes first: nobody sees a fill above the limit he knows of
        assert s.log == [("send", "a", 0), ("ack", "a", 0), ("ack", "a", 0), ("fill", "a", 100)]

    def test_an_amend_of_a_partly_filled_order(self) -> None:
        tape = quiet().trade(2 * STEP, -1, 4800, 106 * SHARE).level(2 * STEP, 1, 4800, 0)
        tape.trade(5 * STEP, -1, 4800, 50 * SHARE)

        async def script(s: Session) -> None:
            await s.at(1)
            s.send(s.order("a", BUY, 10, "0.48"))
            await s.at(3)
            with pytest.raises(VenueError, match=r"6\.000000 is less than 6\.010000"):
                await s.adapter.modify_order(OrderId("a"), None, 6 * SHARE)
            await s.engine.modify_order(OrderId("a"), size_lots=8 * SHARE)
            assert await s.known("a") == (OrderStatus.WORKING, 6, 2)
            await s.at(6)
            assert await s.known("a") == (OrderStatus.FILLED, 8, 0)

        assert [f.lots // SHARE for f in self.play(tape, script).fills] == [6, 2]

    # --- orders that take -----------------------------------------------------------------------------------------

    def test_the_rest_of_an_ioc_order_is_gone(self) -> None:
        async def script(s: Session) -> None:
            await s.place(s.order("a", BUY, 120, "0.52", tif=IOC))
            assert await s.known("a") == (OrderStatus.CANCELLED, 100, 20)
            s.time_is(s.fills[0].ts_ns, START_NS + ENTRY_NS)
            fee = Decimal("1.74720")  # 100 x 0.07 x 0.52 x 0.48
            assert await s.money() == START_MONEY | {"pUSD": 48 - fee, "YES": Decimal(140)}

        s = self.play(quiet(), script)
        assert s.log == [("send", "a", 0), ("ack", "a", 0), ("fill", "a", 100), ("gone", "a", 0)]
        assert s.fills[0].cause is Cause.TAKER_WALK

    def test_an_ioc_order_without_a_match(self) -> None:
        async def script(s: Session) -> None:
            await s.place(s.order("a", BUY, 10, "0.51", tif=IOC))
            assert await s.known("a") == (OrderStatus.CANCELLED, 0, 10)

        assert self.play(quiet(), script).log == [("send", "a", 0), ("ack", "a", 0), ("gone", "a", 0)]

    def test_a_fok_order_fills_at_once(self) -> None:
        async def script(s: Session) -> None:
            await s.place(s.order("a", BUY, 110, "0.53", tif=FOK))
            assert await s.known("a") == (OrderStatus.FILLED, 110, 0)

        s = self.play(quiet(), script)
        assert s.log == [("send", "a", 0), ("ack", "a", 0), ("fill", "a", 100), ("done", "a", 10)]

    def test_a_market_order_by_size(self) -> None:
        async def script(s: Session) -> None:
            await s.place(s.order("a", SELL, 40, type=MARKET, tif=IOC))
            assert await s.known("a") == (OrderStatus.FILLED, 40, 0)
            fee = Decimal("0.69888")
            assert await s.money() == {"pUSD": 100 + Decimal("19.2") - fee, "NO": Decimal(40)}

        s = self.play(quiet(), script)
        assert s.log == [("send", "a", 0), ("ack", "a", 0), ("done", "a", 40)]
        assert s.engine.get_position("rain").net_lots == -40 * SHARE

    def test_a_market_order_by_money(self) -> None:
        async def script(s: Session) -> None:
            await s.place(s.order("a", BUY, quote=60, type=MARKET, tif=FOK))
            status, filled, _ = await s.known("a")
            assert (status, filled) == (OrderStatus.FILLED, 115.09)  # 100 at 0.52; 8 buy 15.09 at 0.53
            order = s.engine.get_order(OrderId("a"))
            assert order.filled_cash == 59_997_700
            assert order.quote_amount is not None
            assert order.filled_cash <= order.quote_amount

        s = self.play(quiet(), script)
        assert s.log == [("send", "a", 0), ("ack", "a", 0), ("fill", "a", 100), ("done", "a", 15)]

    def test_what_we_took_is_gone_until_the_market_brings_more(self) -> None:
        tape = quiet().level(3 * STEP, -1, 5200, 110 * SHARE)

        async def script(s: Session) -> None:
            for step, name in ((1, "a"), (2, "b"), (4, "c"), (5, "d")):
                await s.at(step)
                s.send(s.order(name, BUY, 50 if name == "a" else 80, "0.52", tif=IOC))
            await s.at(6)

        # 100 shown: 50, then the 50 left; the level grows by 10: those 10, and then nothing
        assert [(f.order_id, f.lots // SHARE) for f in self.play(tape, script).fills] == [
            ("a", 50),
            ("b", 50),
            ("c", 10),
        ]

    def test_orders_on_the_other_token(self) -> None:
        async def script(s: Session) -> None:
            await s.at(1)
            s.send(s.order("a", BUY, 10, "0.53", outcome=Outcome.NO, tif=IOC))  # sells YES at 0.48: NO costs 0.52
            s.send(s.order("b", SELL, 10, "0.50", outcome=Outcome.NO))  # rests as a bid for YES at 0.50
            await s.at(3)
            assert await s.known("b") == (OrderStatus.FILLED, 10, 0)
            fee = Decimal("0.17472")
            assert await s.money() == {"pUSD": 100 - Decimal("5.2") - fee + 5, "YES": Decimal(40), "NO": Decimal(40)}

        s = self.play(quiet().trade(2 * STEP, -1, 5000, 10 * SHARE), script)
        assert [(f.order_id, f.price_i, f.cash) for f in s.fills] == [("a", 5200, -5_200_000), ("b", 5000, 5_000_000)]

    # --- time -----------------------------------------------------------------------------------------------------

    def test_nothing_waits_for_a_row(self) -> None:
        """No row for ten seconds: acks, fills, expiries and refusals come at their own times."""
        second = 1_000 * MS
        tape = quiet().trade(10 * second, -1, 4800, 200 * SHARE)
        expire_ns = START_NS + 3 * second

        async def script(s: Session) -> None:
            rt = s.runtime
            await rt.sleep_until(START_NS + second)
            dies = s.send(s.order("dies", BUY, 10, "0.48", tif=GTD, expire_ns=expire_ns))
            takes = s.send(s.order("takes", BUY, 10, "0.52", tif=IOC))
            await rt.sleep_until(START_NS + 2 * second)
            assert dies.ack is not None
            assert takes.ack is not None
            assert [e for e in s.log if e[1] == "takes"][2:] == [("done", "takes", 10)]
            assert await s.open() == ["dies"]
            await rt.sleep_until(START_NS + 5 * second)
            assert s.engine.get_order(OrderId("dies")).status is OrderStatus.EXPIRED
            assert await s.known("dies") == (OrderStatus.EXPIRED, 0, 10)
            late = s.send(s.order("late", BUY, 10, "0.48", tif=GTD, expire_ns=expire_ns))
            whole = s.send(s.order("whole", BUY, 190, "0.48"))
            await rt.sleep_until(START_NS + 6 * second)
            assert isinstance(late.error, ExecError)
            assert whole.ack is not None  # the expired order's claim was given back

        s = self.play(tape, script, speed=20)
        lapse = next(u for u in s.updates if u.event.value == "lapse")
        if s.world.exact:
            assert lapse.ts_ns == expire_ns + RESPONSE_NS
            assert s.fills[0].ts_ns == START_NS + second + ENTRY_NS
        assert expire_ns <= lapse.ts_ns < START_NS + 5 * second
        assert START_NS + second <= s.fills[0].ts_ns < START_NS + 2 * second

    # --- the venue's state ----------------------------------------------------------------------------------------

    def test_the_rate_limit_says_when_to_come_back(self) -> None:
        orders = LimitRule("orders", ORDERS, Bucket("10", 2), per_order=True)
        profile = replace(PROFILE, limits=(orders, LimitRule("cancels", CANCELS, Bucket("10", 1))))

        async def script(s: Session) -> None:
            sent = [s.send(s.order(name, BUY, 10, "0.48")) for name in "abc"]
            await s.answers()
            assert [x.ack is not None for x in sent] == [True, True, False]
            error = sent[2].error
            assert isinstance(error, RateLimitExceeded)
            assert (error.args[0], error.args[1]) == (s.instrument.venue, "slow down")
            assert 0 < error.retry_after_ns <= 100 * MS
            assert (await s.engine.cancel_order(OrderId("a"))).cancelled
            with pytest.raises(RateLimitExceeded):
                await s.engine.cancel_order(OrderId("b"))
            assert s.engine.get_order(OrderId("b")).status is OrderStatus.WORKING
            assert await s.open() == ["b"]
            await s.runtime.sleep(error.retry_after_ns)
            again = await s.place(s.order("d", BUY, 10, "0.48"))
            assert again.ack is not None

        self.play(quiet(), script, profile=profile)

    def test_a_resolution_pays_out_and_ends_everything(self) -> None:
        tape = quiet()
        tape.add(3 * STEP, Kind.RESOLVE, price=10_000)

        async def script(s: Session) -> None:
            await s.at(1)
            s.send(s.order("rests", BUY, 10, "0.48"))
            s.send(s.order("takes", BUY, 10, "0.52", tif=IOC))
            await s.runtime.sleep_until(START_NS + 3 * STEP - ENTRY_NS + 2 * MS)
            flying = s.send(s.order("flying", BUY, 10, "0.48"))
            await s.at(4)
            assert isinstance(flying.error, VenueError if s.world.exact else ExecError)
            late = await s.place(s.order("late", BUY, 10, "0.48"))
            assert isinstance(late.error, ExecError)
            with pytest.raises(VenueError, match="does not accept orders"):
                await s.adapter.place_order(s.order("direct", BUY, 10, "0.48"))
            assert await s.known("rests") == (OrderStatus.CANCELLED, 0, 10)
            assert await s.open() == []
            spent = Decimal("5.2") + Decimal("0.17472")
            assert await s.money() == {"pUSD": 100 - spent + 50}

        s = self.play(tape, script)
        assert [e for e in s.log if e[1] == "rests"] == [
            ("send", "rests", 0),
            ("ack", "rests", 0),
            ("gone", "rests", 0),
        ]
        position = s.engine.get_position("rain")
        assert (position.yes_lots, position.no_lots) == (0, 0)
        assert s.engine.portfolio.cash["pUSD"] == 144_625_280

    def test_nothing_is_filled_inside_a_gap(self) -> None:
        tape = quiet().gap(2 * STEP, True).trade(4 * STEP, -1, 4800, 500 * SHARE).level(4 * STEP, -1, 4700, 50 * SHARE)
        tape.gap(6 * STEP, False).book(6 * STEP, cents((40, 10)), cents((46, 8)), resync=True)

        async def script(s: Session) -> None:
            await s.at(1)
            s.send(s.order("rests", BUY, 10, "0.48"))
            await s.at(3)
            s.send(s.order("market", BUY, 10, type=MARKET, tif=IOC))
            s.send(s.order("crosses", BUY, 10, "0.53", tif=IOC))
            await s.at(5)
            assert s.fills == []
            assert await s.known("market") == (OrderStatus.CANCELLED, 0, 10)
            await s.at(7)
            assert await s.known("rests") == (OrderStatus.WORKING, 8, 2)

        s = self.play(tape, script)
        # what the book after the gap shows at a better price would have met us
        assert [(f.order_id, f.cause, f.price_i) for f in s.fills] == [("rests", Cause.CROSSED_BOOK, 4800)]

    def test_a_halted_market_takes_cancels_only(self) -> None:
        tape = quiet().add(2 * STEP, Kind.STATUS, size=0).add(4 * STEP, Kind.STATUS, size=1)

        async def script(s: Session) -> None:
            await s.at(1)
            s.send(s.order("a", BUY, 10, "0.48"))
            await s.at(3)
            halted = s.send(s.order("b", BUY, 10, "0.48"))
            assert (await s.engine.cancel_order(OrderId("a"))).cancelled
            await s.at(5)
            assert isinstance(halted.error, VenueError)
            assert halted.error.args[1] == "CLOSED"
            again = await s.place(s.order("c", BUY, 10, "0.48"))
            assert again.ack is not None

        self.play(tape, script)

    def test_the_tick_of_the_venue_counts(self) -> None:
        tape = quiet().add(2 * STEP, Kind.TICK, price=10)

        async def script(s: Session) -> None:
            early = await s.place(s.order("a", BUY, 10, "0.481"))
            await s.at(3)
            late = await s.place(s.order("b", BUY, 10, "0.481"))
            assert isinstance(early.error, VenueError)
            assert late.ack is not None

        self.play(tape, script)

    def test_events_have_one_sink(self) -> None:
        async def script(s: Session) -> None:
            with pytest.raises(ExecError):
                s.adapter.events(lambda event: None)
            assert await s.adapter.health_check()
            assert list(s.adapter.instruments()) == ["rain"]

        self.play(quiet(), script)


async def busy_session(s: Session) -> None:
    """A bit of everything, for comparing what two runtimes publish. Needs `busy_tape`."""
    await s.at(1)
    s.send(s.order("bid", BUY, 10, "0.48"))
    s.send(s.order("ask", SELL, 10, "0.52", type=POST_ONLY))
    await s.at(2)
    s.send(s.order("cross", BUY, 10, "0.52", type=POST_ONLY))
    s.send(s.order("take", BUY, 120, "0.52", tif=IOC))
    await s.at(4)
    s.spawn(s.engine.modify_order(OrderId("bid"), size_lots=8 * SHARE))
    s.send(s.order("gtd", BUY, 10, "0.40", tif=GTD, expire_ns=START_NS + int(5.5 * STEP)))
    await s.at(6)
    s.send(s.order("gone", BUY, 5, "0.30"))
    s.spawn(s.engine.cancel_order(OrderId("gone")))
    await s.at(8)
    s.spawn(s.engine.submit_batch([s.order("x", SELL, 20, "0.45"), s.order("y", BUY, 1, "0.45")]))
    await s.at(11)


def busy_tape() -> Tape:
    tape = quiet().trade(3 * STEP, -1, 4800, 103 * SHARE).level(3 * STEP, 1, 4800, 5 * SHARE)
    tape.trade(5 * STEP, 1, 5300, 4 * SHARE).trade(7 * STEP, -1, 4700, 30 * SHARE)
    return tape.level(7 * STEP, 1, 4800, 0).add(10 * STEP, Kind.RESOLVE, price=2_500)
