"""NativeVenue over a loopback in virtual time: errors, deadlines, lost connections, pages, accounts."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from native_worlds import Memory, money_of
from venue_suite import BUY, GTD, IOC, SELL, SHARE, STEP, cents, quiet
from worlds import MS, START_NS, Tape, binary

from execsim.core.errors import (
    AuthenticationError,
    ConfigError,
    ExecError,
    ExecTimeout,
    InvalidResponse,
    NetworkError,
    OrderNotFound,
    Reached,
    VenueError,
)
from execsim.core.events import (
    FillSettled,
    FillVoided,
    MarketResolved,
    OrderFilled,
    OrderGone,
    QueueMoved,
    TickChanged,
    VenueEvent,
)
from execsim.core.instrument import Outcome
from execsim.core.order import (
    Fill,
    FillId,
    FillStatus,
    Liquidity,
    Order,
    OrderId,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
    VenueId,
)
from execsim.exchange.loopback import Loopback
from execsim.ports import Request, Response, VenueConfig
from execsim.tape.schema import Kind
from execsim_native import NativeDialect, NativeVenue, wire
from execsim_native.memory import AccountMemory

SECOND = 1_000 * MS


def world(tape: Tape | None = None, money: int = 1_000, sets: int = 100, **options: Any) -> Memory:
    inst = binary()
    return Memory(tape or quiet(), [inst], money=money_of(inst, {"pUSD": money * SHARE}), sets=sets * SHARE, **options)


def play(w: Memory, script: Callable[[Memory], Coroutine[Any, Any, None]]) -> Memory:
    w.run(script(w))
    return w


def order(
    w: Memory,
    name: str,
    side: Side = BUY,
    size: float = 10,
    price: str = "0.48",
    tif: TimeInForce = TimeInForce.GTC,
    expire_ns: int | None = None,
    type: OrderType = OrderType.LIMIT,
) -> Order:
    inst = w.instruments[0]
    return Order(
        OrderId(name), inst, side, type, tif, int(size * SHARE), price_i=inst.grid.price_i(price), expire_ns=expire_ns
    )


def heard(w: Memory) -> list[VenueEvent]:
    """What the adapter tells from now on: instead of the engine."""
    events: list[VenueEvent] = []
    w.adapter._sink = events.append
    return events


# ---------------------------------------------------------------------------------------------------- connecting
def test_an_adapter_must_be_started_and_only_once() -> None:
    w = world()
    with pytest.raises(ConfigError, match="is not connected"):
        w.adapter.instruments()

    async def script(w: Memory) -> None:
        with pytest.raises(ConfigError, match="started twice"):
            await w.adapter.start()
        assert w.adapter.instruments() == {"rain": w.instruments[0]}
        assert w.adapter.traits == w.exchange.profile.traits
        assert w.adapter.clock.now_ns == START_NS

    play(w, script)


@pytest.mark.parametrize("account", ["", "a b", "street", "x" * 65, "-", "söder"])
def test_an_account_needs_a_name_that_is_free(account: str) -> None:
    async def script(w: Memory) -> None:
        with pytest.raises(AuthenticationError, match="account"):
            await w.client(w.transport, account).start()

    play(world(), script)


def test_the_venue_must_be_the_one_that_is_there() -> None:
    async def script(w: Memory) -> None:
        other = NativeVenue(VenueConfig(VenueId("mars"), extra={"account": "eve"}), w.transport, w.runtime)
        with pytest.raises(ConfigError, match="the venue there is sim"):
            await other.start()

    play(world(), script)


@pytest.mark.parametrize("deadline", [0, -1, "3", 1.5, True])
def test_a_deadline_is_a_positive_number(deadline: Any) -> None:
    w = world()
    with pytest.raises(ConfigError, match="deadline_ms"):
        w.client(w.transport, deadline_ms=deadline)


def test_without_hello_nothing_is_answered() -> None:
    async def script(w: Memory) -> None:
        stranger = w.client(w.transport, "stranger")
        for question in (stranger.balances(), stranger.get_open_orders(), stranger.market_states(), stranger.go()):
            with pytest.raises(AuthenticationError, match="say hello first"):
                await question
        assert not await stranger.health_check()

    play(world(), script)


# ---------------------------------------------------------------------------------------------------- errors
def test_an_error_of_the_venue_is_raised_as_it_was() -> None:
    async def script(w: Memory) -> None:
        with pytest.raises(OrderNotFound) as unknown:
            await w.adapter.get_order_status(OrderId("nobody"))
        assert unknown.value.args == ("nobody", "the venue never booked it")
        with pytest.raises(VenueError) as refused:
            await w.adapter.place_order(order(w, "a", price="0.52", type=OrderType.POST_ONLY))
        assert refused.value.args == ("sim", "POST_ONLY", "post-only order would take liquidity")
        assert refused.value.reached is Reached.YES

    play(world(), script)


class Deaf(Loopback):
    """A venue that never answers what `deaf` names, and answers other things wrongly as `wrong` says."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.deaf: set[str] = set()
        self.wrong: dict[str, bytes] = {}
        self.asked: list[str] = []

    async def request(self, request: Request) -> Response:
        self.asked.append(request.method)
        if request.method in self.deaf:
            await self._runtime.pending("an answer that never comes")
        if request.method in self.wrong:
            return Response(200, {}, self.wrong[request.method])
        return await super().request(request)


def deaf_world(tape: Tape | None = None, **extra: Any) -> tuple[Memory, Deaf]:
    w = world(tape)
    transport = Deaf(w.runtime, NativeDialect(), w.desk)
    w._one_trader(transport, **extra)
    return w, transport


@pytest.mark.parametrize(("extra", "after_ns"), [({}, 12 * SECOND), ({"deadline_ms": 250}, 250 * MS)])
def test_silence_ends_at_the_deadline(extra: dict[str, int], after_ns: int) -> None:
    async def script(w: Memory) -> None:
        transport.deaf.add("place")
        asked_ns = w.runtime.now_ns()
        with pytest.raises(ExecTimeout) as late:
            await w.adapter.place_order(order(w, "a"))
        assert w.runtime.now_ns() == asked_ns + after_ns
        assert late.value.args == ("sim", f"place: no answer within {after_ns / SECOND:g} s", Reached.UNKNOWN)
        transport.deaf.add("health")
        assert not await w.adapter.health_check()

    w, transport = deaf_world(**extra)
    play(w, script)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"result":{}}', b'{"ok":true}', b'{"ok":true,"result":{"a":1}}'])
def test_an_answer_that_cannot_be_read_leaves_the_fate_unknown(body: bytes) -> None:
    async def script(w: Memory) -> None:
        transport.wrong["place"] = body
        with pytest.raises(InvalidResponse) as bad:
            await w.adapter.place_order(order(w, "a"))
        assert bad.value.reached is Reached.UNKNOWN

    w, transport = deaf_world()
    play(w, script)


@pytest.mark.parametrize("body", [b'{"ok":true,"result":{"items":[],"left":3}}', b'{"ok":true,"result":[]}'])
def test_a_listing_that_is_not_the_whole_is_no_answer(body: bytes) -> None:
    async def script(w: Memory) -> None:
        transport.wrong["open"] = transport.wrong["fills"] = body
        for question in (w.adapter.get_open_orders(), w.adapter.get_fills(0)):
            with pytest.raises(InvalidResponse):
                await question

    w, transport = deaf_world()
    play(w, script)


def test_a_connection_that_cannot_be_made_and_one_that_is_lost() -> None:
    async def script(w: Memory) -> None:
        loopback = w.transport
        assert isinstance(loopback, Loopback)
        loopback.refusing = True
        with pytest.raises(NetworkError) as refused:
            await w.adapter.cancel_order(OrderId("a"))
        assert (refused.value.args[0], refused.value.reached) == ("sim", Reached.NO)
        loopback.refusing = False
        w.runtime.call_at(w.runtime.now_ns() + 6 * MS, loopback.cut)
        with pytest.raises(NetworkError) as lost:
            await w.adapter.place_order(order(w, "a"))
        assert lost.value.reached is Reached.UNKNOWN
        assert (await w.adapter.get_order_status(OrderId("a"))).status is OrderStatus.WORKING

    play(world(), script)


# ---------------------------------------------------------------------------------------------------- what is asked
def test_more_than_a_page_of_orders_and_fills() -> None:
    count = wire.PAGE + 7

    async def script(w: Memory) -> None:
        for number in range(count):
            await w.adapter.place_order(order(w, f"b{number}", size=5, price="0.10"))
        names = [report.order_id for report in await w.adapter.get_open_orders()]
        assert names == [f"b{number}" for number in range(count)]
        for number in range(count):
            await w.adapter.place_order(order(w, f"t{number}", size=5, price="0.52", tif=IOC))
        fills = await w.adapter.get_fills(0)
        assert [fill.order_id for fill in fills] == [f"t{number}" for number in range(count)]
        assert await w.adapter.get_fills(fills[-2].ts_ns) == fills[-2:]

    deep = Tape().book(0, cents((48, 100)), cents((52, 100_000)))
    play(world(deep, money=100_000), script)


def test_a_batch_is_answered_order_by_order() -> None:
    async def script(w: Memory) -> None:
        bad = Order(OrderId("x"), binary("snow"), BUY, OrderType.LIMIT, size_lots=5 * SHARE, price_i=4800)
        found = await w.adapter.place_batch([order(w, "a"), bad, order(w, "b", price="0.485")])
        assert not isinstance(found[0], Exception)
        assert [e.args[1] for e in found[1:] if isinstance(e, VenueError)] == ["UNKNOWN_MARKET", "TICK"]
        assert await w.adapter.place_batch([]) == []
        twice = await w.adapter.place_batch([order(w, "c"), order(w, "c")])
        assert [type(error) for error in twice] == [VenueError, VenueError]

    play(world(), script)


def test_tokens_change_form() -> None:
    async def script(w: Memory) -> None:
        await w.adapter.split_tokens("rain", 7 * SHARE)
        await w.adapter.merge_tokens("rain", 2 * SHARE)
        held = await w.adapter.balances()
        assert (held["rain:YES"], held["pUSD"]) == (105 * SHARE, (900 - 5) * SHARE)
        with pytest.raises(ExecError):
            await w.adapter.redeem_tokens("rain")
        with pytest.raises(VenueError, match="lots: should be positive"):
            await w.adapter.split_tokens("rain", 0)
        with pytest.raises(VenueError, match="no such market"):
            await w.adapter.merge_tokens("snow", 1)

    play(world(), script)


def test_the_place_in_a_queue_is_reported() -> None:
    async def script(w: Memory) -> None:
        events = heard(w)
        w.adapter.watch_queue(OrderId("a"), 10)
        await w.adapter.place_order(order(w, "a"))
        await w.runtime.sleep_until(START_NS + 3 * STEP)
        assert [(e.before_lots, e.ahead_lots) for e in events if isinstance(e, QueueMoved)] == [
            (100 * SHARE, 60 * SHARE)
        ]

    play(world(quiet().trade(2 * STEP, -1, 4800, 40 * SHARE)), script)


def test_faults_are_switched_while_it_runs() -> None:
    async def script(w: Memory) -> None:
        await w.adapter.switch_fault("cancel_only", lasts_ms=60_000)
        state = {each.pack: each for each in await w.adapter.fault_states()}["cancel_only"]
        assert (state.active, state.count) == (True, 1)
        with pytest.raises(VenueError, match="cancel-only"):
            await w.adapter.place_order(order(w, "a"))
        await w.adapter.switch_fault("cancel_only", on=False)
        await w.adapter.place_order(order(w, "b"))
        for pack, params in (("dragons", {}), ("cancel_only", {"lasts_ms": "long"}), ("cancel_only", {"x": 1})):
            with pytest.raises(VenueError, match="BAD_REQUEST"):
                await w.adapter.switch_fault(pack, **params)
        with pytest.raises(VenueError, match="settles at once"):
            await w.adapter.switch_fault("voided_fill")

    play(world(), script)


# ---------------------------------------------------------------------------------------------------- accounts
def test_accounts_do_not_see_each_other() -> None:
    async def script(w: Memory) -> None:
        eve = w.client(w.transport, "eve")
        await eve.start()
        told: list[VenueEvent] = []
        eve.events(told.append)
        await w.adapter.place_order(order(w, "a"))
        assert await eve.get_open_orders() == []
        with pytest.raises(OrderNotFound):
            await eve.get_order_status(OrderId("a"))
        assert not (await eve.cancel_order(OrderId("a"))).cancelled
        with pytest.raises(VenueError):
            await eve.modify_order(OrderId("a"), 4700, None)
        ack = await eve.place_order(order(w, "a", SELL, 20, "0.60"))  # the same name is another order
        assert (await eve.get_order_status(OrderId("a"))).terms is not None
        await w.runtime.sleep_until(START_NS + 3 * STEP)
        assert [fill.order_id for fill in await w.adapter.get_fills(0)] == ["a"]
        assert await eve.get_fills(0) == []
        assert told == []
        assert (await eve.balances())["pUSD"] == 900 * SHARE
        mine = await w.adapter.get_order_status(OrderId("a"))
        assert mine.status is OrderStatus.FILLED
        assert ack.venue_order_id != mine.venue_order_id
        await eve.aclose()

    play(world(quiet().trade(2 * STEP, -1, 4800, 200 * SHARE)), script)


def test_an_account_outlives_its_client() -> None:
    """A client that was killed comes back under the same name: orders and money are there."""

    async def script(w: Memory) -> None:
        await w.adapter.place_order(order(w, "a"))
        await w.adapter.aclose()
        again = w.client(w.transport)
        await again.start()
        assert [report.order_id for report in await again.get_open_orders()] == ["a"]
        assert (await again.cancel_order(OrderId("a"))).cancelled
        await again.aclose()

    play(world(), script)


# ---------------------------------------------------------------------------------------------------- lost connections
def away(w: Memory, from_step: float, to_step: float) -> None:
    """No connection between two instants."""
    loopback = w.transport
    assert isinstance(loopback, Loopback)

    def dark(off: bool) -> None:
        loopback.refusing = off
        if off:
            loopback.cut()

    w.runtime.call_at(START_NS + int(from_step * STEP), dark, True)
    w.runtime.call_at(START_NS + int(to_step * STEP), dark, False)


def test_what_happened_while_the_connection_was_lost_is_told_once() -> None:
    tape = quiet().trade(3 * STEP, -1, 4800, 106 * SHARE).level(3 * STEP, 1, 4800, 0)
    tape.add(5 * STEP, Kind.TICK, price=10).trade(40 * STEP, -1, 4800, 4 * SHARE)

    async def script(w: Memory) -> None:
        events = heard(w)
        away(w, 2, 6)
        await w.adapter.place_order(order(w, "fills"))
        expire_ns = START_NS + 4 * STEP
        await w.adapter.place_order(order(w, "dies", price="0.30", tif=GTD, expire_ns=expire_ns))
        await w.adapter.place_order(order(w, "stays", price="0.20"))
        await w.runtime.sleep_until(START_NS + 5 * STEP)
        assert events == []
        await w.runtime.sleep_until(START_NS + 30 * STEP)
        kinds = [type(event).__name__ for event in events]
        assert kinds == ["OrderFilled", "OrderGone", "TickChanged"]
        filled, gone, _ = events
        assert isinstance(filled, OrderFilled)
        assert (filled.fill.order_id, filled.fill.lots, filled.done) == ("fills", 6 * SHARE, False)
        assert isinstance(gone, OrderGone)
        assert (gone.order_id, gone.lapsed) == ("dies", True)
        await w.runtime.sleep_until(START_NS + 42 * STEP)
        last = events[-1]
        assert isinstance(last, OrderFilled)
        assert (last.fill.order_id, last.fill.lots, last.done) == ("fills", 4 * SHARE, True)

    play(world(tape), script)


def test_a_tick_and_a_resolution_that_were_missed() -> None:
    async def script(w: Memory) -> None:
        events = heard(w)
        away(w, 2, 6)
        await w.adapter.place_order(order(w, "ends"))
        w.runtime.call_at(START_NS + 3 * STEP, w.exchange.refine_ticks, 10)
        await w.runtime.sleep_until(START_NS + 12 * STEP)
        assert {type(event) for event in events} == {OrderGone, TickChanged, MarketResolved}
        assert next(e for e in events if isinstance(e, TickChanged)).tick_i == 10
        resolved = next(e for e in events if isinstance(e, MarketResolved))
        assert (resolved.payoff_i, resolved.paid) == (10_000, True)

    play(world(quiet().add(4 * STEP, Kind.RESOLVE, price=10_000)), script)


class Lossy(Loopback):
    """Loses one frame of the account's stream."""

    lose_seq = -1

    def stream(self, url: str) -> Any:
        stream = super().stream(url)
        push = stream.push

        def lossy(frame: bytes) -> None:
            if f'"seq":{self.lose_seq},'.encode() in frame and url.startswith("orders"):
                self.lose_seq = -1
            else:
                push(frame)

        stream.push = lossy  # type: ignore[method-assign]  # in the way of one frame
        return stream


def test_a_lost_frame_is_noticed_and_made_good() -> None:
    tape = quiet().trade(2 * STEP, -1, 4800, 104 * SHARE).trade(4 * STEP, -1, 4800, 6 * SHARE)

    async def script(w: Memory) -> None:
        events = heard(w)
        await w.adapter.place_order(order(w, "a"))
        await w.runtime.sleep_until(START_NS + 20 * STEP)
        lots = [(e.fill.lots // SHARE, e.done) for e in events if isinstance(e, OrderFilled)]
        assert lots == [(4, False), (6, True)]

    w = world(tape)
    transport = Lossy(w.runtime, NativeDialect(), w.desk)
    transport.lose_seq = 1
    w._one_trader(transport)
    play(w, script)


def test_market_data_have_a_gap_while_the_connection_is_lost() -> None:
    tape = quiet().level(3 * STEP, 1, 4900, 5 * SHARE).level(20 * STEP, -1, 5200, 0)

    async def script(w: Memory) -> None:
        seen: list[tuple[int, bool, int | None]] = []
        away(w, 2, 6)
        for step in (1, 4, 10, 22):
            await w.runtime.sleep_until(START_NS + step * STEP)
            seen.append((step, w.books.in_gap("rain"), w.books.top("rain").bid_i))
        assert seen == [(1, False, 4800), (4, True, 4800), (10, False, 4900), (22, False, 4900)]
        assert w.books.top("rain").ask_i == 5300

    play(world(tape), script)


STEPS = st.floats(0.1, 9.9)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(STEPS, st.floats(0, 3)), max_size=4))
def test_engine_and_venue_agree_whenever_the_connection_is_lost(cuts: list[tuple[float, float]]) -> None:
    """Orders that rest, take, expire and are cancelled, through any outages: in the end both sides say the same."""
    tape = quiet().trade(3 * STEP, -1, 4800, 103 * SHARE).level(3 * STEP, 1, 4800, 5 * SHARE)
    tape.trade(5 * STEP, 1, 5300, 4 * SHARE).trade(7 * STEP, -1, 4700, 30 * SHARE).level(7 * STEP, 1, 4800, 0)

    async def script(w: Memory) -> None:
        for at, lasts in cuts:
            away(w, at, at + lasts)
        engine, rt = w.engine, w.runtime

        async def quietly(work: Coroutine[Any, Any, Any]) -> None:
            with suppress(ExecError):
                await work

        for step in range(1, 9):
            await rt.sleep_until(START_NS + step * STEP)
            expire_ns = START_NS + (step + 2) * STEP
            sent = [
                order(w, f"bid{step}", size=5 + step, price="0.48"),
                order(w, f"take{step}", size=5, price="0.53", tif=IOC),
                order(w, f"gtd{step}", size=5, price="0.40", tif=GTD, expire_ns=expire_ns),
                order(w, f"ask{step}", SELL, 5, "0.53"),
            ]
            for each in sent:
                rt.spawn(quietly(engine.submit_order(each)), each.id)
            if step % 3 == 0:
                rt.spawn(quietly(engine.cancel_order(OrderId(f"bid{step - 1}"))), "cancel")
        await rt.sleep(120 * SECOND)
        booked = {o.id: o for o in w.exchange.entry.booked if o.account == "bob"}
        for known in engine.order_tracker.get_all_orders():
            venues = booked.pop(known.id, None)
            if venues is None:
                assert known.status is OrderStatus.REJECTED, (known.id, known.status)
            else:
                assert (known.status, known.filled_lots) == (venues.status, venues.filled_lots), known.id
        assert not booked
        assert engine.portfolio.cash["pUSD"] == w.desk.adapter("bob").held.balances["pUSD"]

    play(world(tape), script)


# ---------------------------------------------------------------------------------------------------- memory
def test_a_fill_that_failed_while_we_were_away_is_voided_once() -> None:
    memory = AccountMemory(0, ())
    fill = Fill(
        FillId("f"), OrderId("a"), 5, BUY, Outcome.YES, 4800, 10, -48, 0, Liquidity.MAKER, status=FillStatus.PROVISIONAL
    )
    memory.heard(OrderFilled(fill, False, 5))
    failed = replace(fill, status=FillStatus.VOIDED)
    assert memory.missed([failed], {}, (), 9) == [FillVoided("f", OrderId("a"), 9)]
    assert memory.missed([failed], {}, (), 10) == []
    other = replace(failed, id=FillId("g"))
    told = memory.missed([failed, other], {}, (), 11)
    assert told == [
        OrderFilled(replace(other, status=FillStatus.PROVISIONAL), False, 11),
        FillVoided("g", other.order_id, 11),
    ]
    assert memory.is_echo(told[0])
    assert not memory.is_echo(OrderFilled(replace(other, id=FillId("h")), False, 11))
    assert not memory.is_echo(replace(told[0], ts_ns=12))  # type: ignore[type-var]  # an event is a dataclass


def test_unsettled_fills_are_asked_for_however_old() -> None:
    memory = AccountMemory(0, ())
    for number, status in enumerate([FillStatus.PROVISIONAL, FillStatus.CONFIRMED, FillStatus.CONFIRMED]):
        at_ns = (1 + number * 1_000) * SECOND
        fill = Fill(
            FillId(str(number)), OrderId("a"), at_ns, BUY, Outcome.YES, 1, 1, -1, 0, Liquidity.TAKER, status=status
        )
        memory.heard(OrderFilled(fill, False, at_ns))
    assert memory.since_ns == SECOND
    memory.heard(FillSettled("0", OrderId("a"), FillStatus.CONFIRMED, 0))
    assert memory.since_ns == (2_001 - 60) * SECOND
