"""NativeVenue over a loopback in virtual time: errors, deadlines, pages, accounts."""

from __future__ import annotations

from typing import Any, cast

import pytest
from native_worlds import Memory
from venue_session import BUY, IOC, SELL, SHARE, STEP, cents, quiet
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
    QueueMoved,
    VenueEvent,
)
from execsim.core.order import (
    Order,
    OrderId,
    OrderStatus,
    OrderType,
    VenueId,
)
from execsim.exchange.loopback import Loopback
from execsim.ports import Desk, VenueConfig
from execsim_native import NativeVenue, wire
from execsim_native.dialect import VERBS
from tests.unit.native.clients import SECOND, deaf_world, heard, order, play, world


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
        assert unknown.value.args == ("nobody", "the venue never booked it, or it ended long ago")
        with pytest.raises(VenueError) as refused:
            await w.adapter.place_order(order(w, "a", price="0.52", type=OrderType.POST_ONLY))
        assert refused.value.args == ("sim", "POST_ONLY", "post-only order would take liquidity")
        assert refused.value.reached is Reached.YES

    play(world(), script)


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


def test_a_venue_that_fails_after_it_booked_has_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The order is there: it becomes UNKNOWN, is asked for, and is found."""
    places = VERBS["place"]

    async def books_and_fails(desk: Desk, account: str, asked: Any) -> Any:
        await places(desk, account, asked)
        raise RuntimeError("a bug behind the books")

    monkeypatch.setitem(cast("dict[str, Any]", VERBS), "place", books_and_fails)

    async def script(w: Memory) -> None:
        with pytest.raises(InvalidResponse, match="a bug behind the books") as failed:
            await w.engine.submit_order(order(w, "a"))
        assert failed.value.reached is Reached.UNKNOWN
        mine = w.engine.order_tracker.get_order(OrderId("a"))
        assert mine is not None
        assert mine.status is OrderStatus.UNKNOWN
        await w.runtime.sleep(2 * SECOND)
        assert mine.status is OrderStatus.WORKING

    play(world(), script)


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
