"""PolymarketVenue against a scripted venue in virtual time: what is sent, what is made of the answers and of silence."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from decimal import Decimal
from itertools import pairwise
from typing import Any

import polymarket_desk
import pytest
from polymarket_news import CID, NO, SHARE, START_NS, YES
from polymarket_script import SECRET, Lost, ScriptedVenue, said

from execsim.core.errors import (
    AuthenticationError,
    ConfigError,
    ExecError,
    ExecTimeout,
    InvalidResponse,
    NetworkError,
    OrderNotFound,
    RateLimitExceeded,
    Reached,
    ValidationError,
    VenueError,
)
from execsim.core.events import FillSettled, OrderAcked, OrderFilled, OrderGone
from execsim.core.fees import BinaryFee
from execsim.core.instrument import Outcome
from execsim.core.order import FillStatus, Order, OrderId, OrderStatus, OrderType, Side, TimeInForce
from execsim.core.units import NS_PER_S
from execsim.ports import Request, Response
from execsim_polymarket.draft import draft, salt_of
from execsim_polymarket.entry import compose
from execsim_polymarket.wire.trading import POST_ORDER

S = NS_PER_S


class World(polymarket_desk.World):
    """Its adapter tells `events`."""

    def order(self, name: str = "a-1", **more: Any) -> Order:
        instrument = self.venue.instruments()["rain"]
        given: dict[str, Any] = {
            "side": Side.BUY, "type": OrderType.LIMIT, "size_lots": 10 * SHARE, "price_i": 5_200,
            "created_ns": self.runtime.now_ns(), **more,
        }  # fmt: skip
        return Order(OrderId(name), instrument, **given)

    def told(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


def play(script: Callable[[World], Coroutine[Any, Any, None]], **extra: Any) -> World:
    world = World(**extra)

    async def main() -> None:
        await world.venue.start()
        world.venue.events(world.events.append)
        await script(world)
        await world.venue.aclose()

    world.runtime.run(main=main())
    return world


def test_start_logs_in_and_reads_the_markets() -> None:
    async def script(w: World) -> None:
        found = w.venue.instruments()["rain"]
        assert (found.tick_i, found.size_min_lots) == (100, 5 * SHARE)
        assert await w.venue.health_check()
        assert await w.venue.balances() == {"pUSD": 50 * SHARE, "rain:YES": 7 * SHARE, "rain:NO": 3 * SHARE}

    w = play(script)
    assert [r.path.partition("?")[0] for r in w.server.requests][:3] == [
        "/time",
        "/auth/api-key",
        f"/clob-markets/{CID}",
    ]
    assert w.server.sockets["/ws/user"] == []  # closed


def test_a_key_that_exists_is_derived() -> None:
    world = World()
    world.server.refuse["POST /auth/api-key"] = [said(400, {"error": "Could not create api key"})]
    world.runtime.run(main=world.venue.start())
    assert "/auth/derive-api-key" in [r.path for r in world.server.requests]


def test_a_login_that_is_refused_ends_the_start() -> None:
    world = World()
    world.server.refuse["POST /auth/api-key"] = [said(401, {"error": "Invalid L1 Request headers"})]
    world.server.refuse["GET /auth/derive-api-key"] = [said(401, {"error": "Invalid L1 Request headers"})]
    with pytest.raises(AuthenticationError, match="Invalid L1"):
        world.runtime.run(main=world.venue.start())


def test_an_order_is_named_by_its_hash_before_it_is_sent() -> None:
    async def script(w: World) -> None:
        order = w.order()
        item = w.venue.by_name["rain"]
        name = draft(order, item.market, CID, item.terms, w.venue.identity).ticket.venue_order_id
        ack = await w.venue.place_order(order)
        assert ack.venue_order_id == name
        assert name in w.server.orders
        report = await w.venue.get_order_status(order.id)
        assert (report.status, report.filled_lots, report.remaining_lots) == (OrderStatus.WORKING, 0, 10 * SHARE)
        assert report.terms is not None
        assert (report.terms.price_i, report.terms.size_lots, report.terms.market) == (5_200, 10 * SHARE, "rain")
        assert [r.order_id for r in await w.venue.get_open_orders("rain")] == [order.id]

    play(script)


def test_the_draft_equals_what_compose_signs() -> None:
    async def script(w: World) -> None:
        order = w.order(outcome=Outcome.NO, side=Side.SELL)
        item = w.venue.by_name["rain"]
        made = draft(order, item.market, CID, item.terms, w.venue.identity)
        whole = compose(
            order, item.market, item.terms, w.server.account, owner="hidden", salt=salt_of(order.id), now_ns=order.created_ns
        )  # fmt: skip
        assert made.ticket.venue_order_id == whole.signed.order_id_hex
        await w.venue.place_order(order)
        sent = POST_ORDER.from_client(w.server.requests[-1].body)
        assert sent.order == whole.post.order

    play(script)


def test_no_secret_passes_through_the_adapter() -> None:
    async def script(w: World) -> None:
        await w.venue.place_order(w.order())

    w = play(script)
    outside = repr([(r.headers, r.body) for r in w.server.requests])
    assert "the-api-key" in outside  # the script sees what is really sent
    inside = json.dumps({k: repr(v) for k, v in vars(w.venue).items()}) + repr(vars(w.venue.calls))
    for secret in ("the-api-key", "the-passphrase", "c2VjcmV0LXNlY3JldA", SECRET[2:]):
        assert secret not in inside


def test_a_lost_answer_leaves_an_order_that_can_be_asked_for() -> None:
    async def script(w: World) -> None:
        w.server.refuse["POST /order"] = [Lost(True)]
        order = w.order()
        with pytest.raises(NetworkError) as raised:
            await w.venue.place_order(order)
        assert raised.value.reached is Reached.UNKNOWN
        assert (await w.venue.get_order_status(order.id)).status is OrderStatus.WORKING
        again = await w.venue.place_order(order)  # the same order, not a second one
        assert again.venue_order_id in w.server.orders
        assert len(w.server.orders) == 1

    play(script)


def test_an_order_id_names_one_order() -> None:
    async def script(w: World) -> None:
        await w.venue.place_order(w.order())
        with pytest.raises(ValidationError, match="used for another order"):
            await w.venue.place_order(w.order(price_i=5_100))
        assert len(w.server.orders) == 1

    play(script)


def test_an_order_that_never_arrived_is_not_found() -> None:
    async def script(w: World) -> None:
        w.server.refuse["POST /order"] = [Lost(False)]
        order = w.order()
        with pytest.raises(NetworkError) as raised:
            await w.venue.place_order(order)
        assert raised.value.reached is Reached.NO
        with pytest.raises(OrderNotFound):
            await w.venue.get_order_status(order.id)

    play(script)


def test_silence_becomes_a_timeout_of_unknown_reach() -> None:
    async def script(w: World) -> None:
        w.server.deaf = True
        began = w.runtime.now_ns()
        with pytest.raises(ExecTimeout) as raised:
            await w.venue.place_order(w.order())
        assert raised.value.reached is Reached.UNKNOWN
        assert w.runtime.now_ns() - began == 12 * S

    play(script)


def test_refusals_by_the_error_table() -> None:
    async def script(w: World) -> None:
        cases: list[tuple[Any, type[Exception], str]] = [
            (said(400, {"error": "not enough balance / allowance"}), VenueError, "not enough balance"),
            (said(429, {"error": "Too Many Requests"}, {"Retry-After": "3"}), RateLimitExceeded, "Too Many"),
            (said(425, {"error": "restarting"}), RateLimitExceeded, "restarting"),
            (said(500, {"error": "order timed out"}), ExecTimeout, "timed out"),
        ]
        for number, (response, kind, text) in enumerate(cases):
            w.server.refuse["POST /order"] = [response]
            with pytest.raises(kind, match=text):
                await w.venue.place_order(w.order(f"x-{number}"))

    play(script)


def test_a_tick_refusal_reads_the_terms_again() -> None:
    async def script(w: World) -> None:
        w.server.market["mts"] = 0.001
        w.server.refuse["POST /order"] = [
            said(400, {"error": "order 0x is invalid. Price (0.52) breaks minimum tick size rule: 0.1"})
        ]
        with pytest.raises(VenueError):
            await w.venue.place_order(w.order())
        await w.runtime.sleep(S)
        assert w.venue.by_name["rain"].terms.tick_i == 10
        await w.venue.place_order(w.order("b", price_i=5_210))

    play(script)


def test_an_order_off_the_tick_is_never_sent() -> None:
    async def script(w: World) -> None:
        before = len(w.server.requests)
        with pytest.raises(ValidationError, match="multiple of the tick"):
            await w.venue.place_order(w.order(price_i=5_210))
        assert len(w.server.requests) == before

    play(script)


def test_a_size_the_venue_would_cut_is_never_sent() -> None:
    async def script(w: World) -> None:
        with pytest.raises(ValidationError, match="not a multiple of"):
            await w.venue.place_order(w.order(size_lots=5_001_000))
        assert not w.server.orders

    play(script)


def test_cancels_of_every_kind() -> None:
    async def script(w: World) -> None:
        orders = [w.order(f"o-{n}") for n in range(6)]
        for order in orders:
            await w.venue.place_order(order)
        assert (await w.venue.cancel_order(orders[0].id)).cancelled
        late = await w.venue.cancel_order(orders[0].id)
        assert (late.cancelled, late.reason) == (False, "Order not found or already canceled")
        many = await w.venue.cancel_many([orders[0].id, orders[1].id])
        assert [ack.cancelled for ack in many] == [False, True]
        assert w.events == []  # the engine has these answers
        assert await w.venue.cancel_market("rain") == [order.id for order in orders[2:]]
        assert [event.order_id for event in w.told(OrderGone)] == [order.id for order in orders[2:]]
        assert await w.venue.cancel_all() == []
        nobody = await w.venue.cancel_order(OrderId("nobody"))
        assert (nobody.cancelled, "not placed here" in nobody.reason) == (False, True)

    play(script)


def test_a_batch_beyond_the_limit_goes_in_two_and_keeps_its_order() -> None:
    async def script(w: World) -> None:
        orders = [w.order(f"o-{n}", price_i=5_200 if n != 3 else 5_201) for n in range(17)]
        results = await w.venue.place_batch(orders)
        assert isinstance(results[3], ValidationError)
        acks = [result for result in results if not isinstance(result, Exception)]
        assert [ack.order_id for ack in acks] == [order.id for order in orders if order.id != "o-3"]
        assert sum(r.path == "/orders" for r in w.server.requests) == 2
        again = await w.venue.place_batch(orders[:1])
        assert not isinstance(again[0], Exception)  # `Duplicated` is an answer: it is there

    play(script)


def test_fills_as_maker_and_taker_once_each() -> None:
    async def script(w: World) -> None:
        order = w.order()
        name = (await w.venue.place_order(order)).venue_order_id
        first = w.server.fill(name, "4", "t-1")
        w.server.push("/ws/user", {"event_type": "trade", "type": "TRADE", **first})
        w.server.push("/ws/user", {"event_type": "trade", "type": "TRADE", **first, "status": "CONFIRMED"})
        w.server.fill(name, "6", "t-2", maker=False)
        await w.runtime.sleep(S)
        fills = w.told(OrderFilled)
        assert [(event.fill.lots, event.done) for event in fills] == [(4 * SHARE, False), (6 * SHARE, True)]
        assert [event.fill.liquidity.value for event in fills] == ["maker", "taker"]
        assert len(w.told(FillSettled)) == 1
        listed_ = await w.venue.get_fills(START_NS)
        assert sorted(fill.id for fill in listed_) == sorted(event.fill.id for event in fills)
        report = await w.venue.get_order_status(order.id)
        assert (report.status, report.filled_lots, len(report.fills)) == (OrderStatus.FILLED, 10 * SHARE, 2)

    play(script)


def test_a_fill_that_outran_the_answer_finds_its_order() -> None:
    async def script(w: World) -> None:
        w.server.refuse["POST /order"] = [Lost(True)]
        order = w.order()
        with pytest.raises(NetworkError):
            await w.venue.place_order(order)
        (name,) = w.server.orders
        w.server.fill(name, "10", "t-1")
        await w.runtime.sleep(S)
        assert [event.fill.order_id for event in w.told(OrderFilled)] == [order.id]

    play(script)


def placement(w: World, name: str) -> dict[str, Any]:
    row = w.server.orders[name]
    return {"event_type": "order", "type": "PLACEMENT", "timestamp": "1790000003000", **row, "created_at": "1790000003"}


@pytest.mark.parametrize("lost", [False, True])
def test_a_placement_on_the_channel_is_news_only_where_the_answer_is_lost(lost: bool) -> None:
    async def script(w: World) -> None:
        order = w.order()

        async def request(sent: Any, ask: Any = w.server.request) -> Any:
            if sent.path != "/order":
                return await ask(sent)
            response = w.server.answer(sent)
            (name,) = w.server.orders
            w.server.push("/ws/user", placement(w, name))
            w.server.fill(name, "4", "t-1")
            await w.runtime.sleep(S // 10)
            assert w.events == []
            if lost:
                raise NetworkError("scripted", "lost", Reached.UNKNOWN.value)
            return response

        w.server.request = request  # type: ignore[method-assign]
        try:
            await w.venue.place_order(order)
            assert not lost
        except NetworkError:
            assert lost
        assert w.events == []
        await w.runtime.sleep(S // 10)
        kinds = [type(event) for event in w.events]
        assert kinds == ([OrderAcked, OrderFilled] if lost else [OrderFilled])

    play(script)


def test_an_order_the_channel_has_named_is_not_taken_for_one_that_never_arrived() -> None:
    async def script(w: World) -> None:
        order = w.order()

        async def request(sent: Any, ask: Any = w.server.request) -> Any:
            if sent.path != "/order":
                return await ask(sent)
            w.server.answer(sent)
            (name,) = w.server.orders
            w.server.push("/ws/user", placement(w, name))
            await w.runtime.sleep(S // 10)
            return said(500, {"error": "order timed out"})

        w.server.request = request  # type: ignore[method-assign]
        with pytest.raises(InvalidResponse, match="says that it was placed") as raised:
            await w.venue.place_order(order)
        assert raised.value.reached is Reached.UNKNOWN
        await w.runtime.sleep(S // 10)
        assert [type(event) for event in w.events] == [OrderAcked]

    play(script)


def test_a_fill_does_not_wait_for_a_slow_answer() -> None:
    async def script(w: World) -> None:
        w.server.deaf = True
        order = w.order()
        task = w.runtime.spawn(w.venue.place_order(order), "place")
        await w.runtime.sleep(S // 100)
        w.server.answer(w.venue._transport._signed(w.server.requests[-1]))  # type: ignore[attr-defined]
        (name,) = w.server.orders
        w.server.fill(name, "4", "t-1")
        await w.runtime.sleep(S)
        assert [type(event) for event in w.events] == [OrderFilled]
        task.cancel()
        await task.join()

    play(script)


def test_what_a_lost_connection_hid_is_found_out() -> None:
    async def script(w: World) -> None:
        news: list[int] = []
        w.venue.watch_reconnects(lambda: news.append(w.runtime.now_ns()))
        order, other = w.order("a"), w.order("b")
        name = (await w.venue.place_order(order)).venue_order_id
        gone = (await w.venue.place_order(other)).venue_order_id
        w.server.drop("/ws/user")
        w.server.fill(name, "10", "t-1", quiet=True)
        w.server.orders[gone]["status"] = "CANCELED_EXPIRED_ORDER"
        await w.runtime.sleep(5 * S)
        assert [event.fill.lots for event in w.told(OrderFilled)] == [10 * SHARE]
        assert [(event.order_id, event.lapsed) for event in w.told(OrderGone)] == [(other.id, True)]
        assert len(news) == 1

    play(script)


def test_questions_are_asked_again_until_they_are_answered() -> None:
    async def script(w: World) -> None:
        name = (await w.venue.place_order(w.order())).venue_order_id
        w.server.refuse["GET /data/trades"] = [said(503, {"error": "no"}), Lost(True), said(500, {"error": "no"})]
        w.server.drop("/ws/user")
        w.server.fill(name, "10", "t-1", quiet=True)
        await w.runtime.sleep(20 * S)
        assert len(w.told(OrderFilled)) == 1

    play(script)


def test_a_socket_that_goes_silent_is_replaced() -> None:
    async def script(w: World) -> None:
        (first,) = w.server.sockets["/ws/user"]
        await w.runtime.sleep(25 * S)
        assert first.said.count(b"PING") == 2
        first.frames.put_nowait = lambda item: True  # type: ignore[method-assign]  # a half-open socket
        await w.runtime.sleep(60 * S)
        (second,) = w.server.sockets["/ws/user"]
        assert second is not first

    play(script)


def test_an_order_of_the_journal_is_known_without_its_answer() -> None:
    """The process died between the intent and the answer: only the journal's order is left."""
    world = World()

    async def main() -> None:
        await world.venue.start()
        world.server.refuse["POST /order"] = [Lost(True)]
        order = world.order()
        with pytest.raises(NetworkError):
            await world.venue.place_order(order)
        (name,) = world.server.orders
        world.server.fill(name, "4", "t-1", quiet=True)
        await world.venue.aclose()
        world.venue = world.adapter()
        await world.venue.start()
        world.venue.events(world.events.append)
        with pytest.raises(OrderNotFound):
            await world.venue.get_order_status(order.id)
        world.venue.remember([order])
        report = await world.venue.get_order_status(order.id)
        assert (report.venue_order_id, report.filled_lots) == (name, 4 * SHARE)
        assert [fill.order_id for fill in await world.venue.get_fills(START_NS)] == [order.id]
        world.server.fill(name, "6", "t-2")
        await world.runtime.sleep(S)
        assert [event.fill.lots for event in world.told(OrderFilled)] == [6 * SHARE]
        assert len(world.told(OrderAcked)) <= 1
        await world.venue.aclose()

    world.runtime.run(main=main())


def test_orders_nobody_here_placed_go_by_their_hashes() -> None:
    world = World()

    async def main() -> None:
        await world.venue.start()
        await world.venue.place_order(world.order())
        (name,) = world.server.orders
        world.server.fill(name, "4", "t-1", quiet=True)
        await world.venue.aclose()
        world.venue = world.adapter()
        await world.venue.start()
        (report,) = await world.venue.get_open_orders()
        assert report.order_id == name
        assert [fill.order_id for fill in await world.venue.get_fills(0)] == [name]
        assert (await world.venue.cancel_order(report.order_id)).cancelled
        await world.venue.aclose()

    world.runtime.run(main=main())


def test_every_page_is_read() -> None:
    async def script(w: World) -> None:
        w.server.page = 3
        for number in range(8):
            await w.venue.place_order(w.order(f"o-{number}"))
        assert len(await w.venue.get_open_orders()) == 8

    play(script)


def test_heartbeats_echo_the_last_id() -> None:
    async def script(w: World) -> None:
        await w.runtime.sleep(11 * S)
        beats = [json.loads(r.body)["heartbeat_id"] for r in w.server.requests if r.path == "/v1/heartbeats"]
        assert beats == ["", "1", "11"]

    play(script, heartbeat_ms=5_000)


def test_a_wrong_heartbeat_is_followed_by_the_right_one() -> None:
    async def script(w: World) -> None:
        w.server.refuse["POST /v1/heartbeats"] = [
            said(400, {"error_msg": "Invalid Heartbeat ID", "heartbeat_id": "77"})
        ]
        await w.runtime.sleep(6 * S)
        beats = [json.loads(r.body)["heartbeat_id"] for r in w.server.requests if r.path == "/v1/heartbeats"]
        assert beats == ["", "77", "771"]

    play(script, heartbeat_ms=5_000)


def test_a_heartbeat_that_hangs_is_followed_by_another_in_time() -> None:
    """The venue cancels everything 10 s after the last one."""
    heard_ns: list[int] = []

    async def script(w: World) -> None:
        request, asked = w.server.request, [0]

        async def hanging(r: Request) -> Response:
            if r.path == "/v1/heartbeats":
                asked[0] += 1
                if asked[0] == 3:
                    await w.runtime.pending("an answer that never comes")
                heard_ns.append(w.runtime.now_ns())
                await w.runtime.sleep(S)  # a slow answer moves none of the later times
            return await request(r)

        w.server.request = hanging  # type: ignore[method-assign]
        await w.runtime.sleep(30 * S)

    play(script, heartbeat_ms=5_000)
    silent_ns = [later - before for before, later in pairwise(heard_ns)]
    assert max(silent_ns) < 9 * S
    assert silent_ns.count(5 * S) >= 3


def test_a_heartbeat_that_fails_is_repeated_soon_but_not_without_pause() -> None:
    async def script(w: World) -> None:
        w.server.refuse["POST /v1/heartbeats"] = [said(500, {"error": "x"})] * 40
        await w.runtime.sleep(10 * S)
        beats = [r for r in w.server.requests if r.path == "/v1/heartbeats"]
        assert 8 < len(beats) < 16

    play(script, heartbeat_ms=5_000)


def test_no_heartbeat_unless_asked_for() -> None:
    async def script(w: World) -> None:
        await w.runtime.sleep(60 * S)
        assert not [r for r in w.server.requests if "heartbeat" in r.path]

    play(script)


def test_a_clock_that_is_off_is_allowed_for() -> None:
    world = World()
    world.server.on_get_time = lambda *_: START_NS // S + 100  # type: ignore[method-assign]
    world.runtime.run(main=world.venue.start())
    login = next(r for r in world.server.requests if r.path == "/auth/api-key")
    assert int(login.headers["POLY_TIMESTAMP"]) == START_NS // S + 100


def test_the_fee_of_a_market_has_its_own_exponent() -> None:
    """As announced in 2026-03 for some categories: 0.25 x (p(1-p))^2 a share."""
    world = World()
    world.server.market["fd"] = {"r": 0.25, "e": 2, "to": True}
    world.runtime.run(main=world.venue.start())
    assert world.venue.instruments()["rain"].fees == BinaryFee(Decimal("0.25"), 2, rebate_share=Decimal("0.20"))


@pytest.mark.parametrize("terms", [{"r": 0.07, "e": 1, "to": False}, {"r": 0.07, "e": -1, "to": True}])
def test_a_fee_that_is_not_understood_is_not_traded(terms: dict[str, Any]) -> None:
    world = World()
    world.server.market["fd"] = terms
    with pytest.raises(ConfigError, match="its fee is not understood"):
        world.runtime.run(main=world.venue.start())


def test_a_fee_that_is_not_understood_may_be_given() -> None:
    world = World(rules={"rain": {"fee_rate": "0.1"}})
    world.server.market["fd"] = {"r": 0.07, "e": 1, "to": False}
    world.runtime.run(main=world.venue.start())
    assert world.venue.instruments()["rain"].fees == BinaryFee(Decimal("0.1"), rebate_share=Decimal("0.20"))


def strict_about_time(w: World) -> None:
    """The venue refuses logins that are more than 10 s off its clock."""
    answer = w.server.answer

    def checked(r: Request) -> Response:
        stamp = r.headers.get("POLY_TIMESTAMP")
        if stamp is not None and abs(int(stamp) - w.server.on_get_time()) > 10:
            return said(401, {"error": "Unauthorized/Invalid api key"})
        return answer(r)

    w.server.answer = checked  # type: ignore[method-assign]


def step_clock(w: World, seconds: int) -> None:
    w.server.on_get_time = lambda *_: w.runtime.now_ns() // S + seconds  # type: ignore[method-assign]


def test_a_clock_that_steps_costs_one_refused_login() -> None:
    async def script(w: World) -> None:
        strict_about_time(w)
        step_clock(w, 45)
        ack = await w.venue.place_order(w.order())
        assert ack.venue_order_id in w.server.orders
        assert await w.venue.get_open_orders()
        paths = [f"{r.method} {r.path.partition('?')[0]}" for r in w.server.requests[-4:]]
        assert paths == ["POST /order", "GET /time", "POST /order", "GET /data/orders"]

    play(script)


def test_a_login_that_is_refused_for_another_reason_is_not_repeated() -> None:
    async def script(w: World) -> None:
        w.server.refuse["POST /order"] = [said(401, {"error": "Unauthorized/Invalid api key"})] * 2
        with pytest.raises(AuthenticationError):
            await w.venue.place_order(w.order())
        assert len([r for r in w.server.requests if r.path == "/order"]) == 1

    play(script)


def test_a_clock_that_moves_is_noticed_without_a_refusal() -> None:
    async def script(w: World) -> None:
        step_clock(w, -45)
        await w.runtime.sleep(61 * S)
        await w.venue.place_order(w.order())
        assert int(w.server.requests[-1].headers["POLY_TIMESTAMP"]) == w.runtime.now_ns() // S - 45

    play(script)


@pytest.mark.parametrize(
    ("extra", "what"),
    [({"identity": {}}, "identity"), ({"deadline_ms": "x"}, "deadline_ms"), ({"heartbeat_ms": -1}, "heartbeat_ms")],
)
def test_a_bad_configuration(extra: dict[str, Any], what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        World(**extra)


def test_a_market_order_reports_what_it_got_at_once() -> None:
    async def script(w: World) -> None:
        order = w.order(side=Side.SELL, tif=TimeInForce.IOC)
        item = w.venue.by_name["rain"]
        name = draft(order, item.market, CID, item.terms, w.venue.identity).ticket.venue_order_id
        w.server.refuse["POST /order"] = [
            said(
                200,
                {"success": True, "orderID": name, "status": "matched", "makingAmount": "6", "takingAmount": "3.12"},
            )
        ]
        await w.venue.place_order(order)
        w.server.orders[name] = {
            "id": name, "market": CID, "asset_id": YES, "side": "SELL", "price": "0.52", "original_size": "10",
            "size_matched": "0", "associate_trades": [], "maker_address": "0x", "status": "LIVE",
        }  # fmt: skip
        w.server.fill(name, "6", "t-1", maker=False)
        await w.runtime.sleep(S)
        assert [event.fill.lots for event in w.told(OrderFilled)] == [6 * SHARE]
        assert [event.order_id for event in w.told(OrderGone)] == [order.id]

    play(script)


def test_the_other_token_too() -> None:
    async def script(w: World) -> None:
        await w.venue.place_order(w.order(outcome=Outcome.NO))
        assert {row["asset_id"] for row in w.server.orders.values()} == {NO}
        (report,) = await w.venue.get_open_orders()
        assert report.terms is not None
        assert report.terms.outcome is Outcome.NO

    play(script)


def test_what_an_ioc_buy_leaves_is_cancelled() -> None:
    """It went as a GTC order, so that it gets no more shares than asked for; nothing of it stays."""

    async def script(w: World) -> None:
        order = w.order(tif=TimeInForce.IOC)
        ack = await w.venue.place_order(order)
        w.server.fill(str(ack.venue_order_id), "4", "t-1", maker=False)
        await w.runtime.sleep(S)
        assert w.server.orders[str(ack.venue_order_id)]["status"] == "CANCELED"
        assert [event.fill.lots for event in w.told(OrderFilled)] == [4 * SHARE]
        assert [(event.order_id, event.lapsed) for event in w.told(OrderGone)] == [(order.id, False)]

    play(script)


@pytest.mark.parametrize("failures", [1, 3])
def test_the_rest_is_cancelled_until_it_is(failures: int) -> None:
    async def script(w: World) -> None:
        w.server.refuse["DELETE /order"] = [said(503, {"error": "no"}), Lost(True), Lost(False)][:failures]
        await w.venue.place_order(w.order(tif=TimeInForce.IOC))
        await w.runtime.sleep(10 * S)
        assert [row["status"] for row in w.server.orders.values()] == ["CANCELED"]
        assert len(w.told(OrderGone)) == 1
        sent = len(w.server.requests)
        await w.runtime.sleep(5 * S)
        assert len([r for r in w.server.requests[sent:] if r.method == "DELETE"]) == 0

    play(script)


@pytest.mark.parametrize("arrived", [True, False])
def test_the_rest_of_an_order_without_an_answer(arrived: bool) -> None:
    async def script(w: World) -> None:
        w.server.refuse["POST /order"] = [said(502, {"error": "no"})] if not arrived else [Lost(True)]
        with pytest.raises(ExecError):
            await w.venue.place_order(w.order(tif=TimeInForce.IOC))
        await w.runtime.sleep(60 * S)
        assert [row["status"] for row in w.server.orders.values()] == ["CANCELED"] * arrived
        sent = len(w.server.requests)
        await w.runtime.sleep(60 * S)
        assert len([r for r in w.server.requests[sent:] if r.method == "DELETE"]) == 0  # not for ever

    play(script)


def test_an_ioc_buy_of_a_journal_is_cancelled_after_a_crash() -> None:
    async def script(w: World) -> None:
        order = w.order(tif=TimeInForce.IOC)
        w.server.refuse["DELETE /order"] = [Lost(False)]
        await w.venue.place_order(order)
        await w.venue.aclose()  # before it was cancelled
        other = World()
        other.server.orders = w.server.orders
        name = next(iter(w.server.orders))
        assert w.server.orders[name]["status"] == "LIVE"

        async def again() -> None:
            await other.venue.start()
            other.venue.remember([order])
            await other.runtime.sleep(S)
            await other.venue.aclose()

        other.runtime.run(main=again())
        assert w.server.orders[name]["status"] == "CANCELED"

    play(script)


def test_one_that_was_filled_at_once_has_no_rest() -> None:
    async def script(w: World) -> None:
        order = w.order(tif=TimeInForce.IOC)
        item = w.venue.by_name["rain"]
        name = draft(order, item.market, CID, item.terms, w.venue.identity).ticket.venue_order_id
        w.server.refuse["POST /order"] = [
            said(
                200, {"success": True, "orderID": name, "status": "matched", "makingAmount": "5", "takingAmount": "10"}
            )
        ]
        await w.venue.place_order(order)
        await w.runtime.sleep(S)
        assert not [r for r in w.server.requests if r.method == "DELETE"]

    play(script)


class Slow(ScriptedVenue):
    """The channel tells of the fills of an order before its POST is answered, `wait_ns` later."""

    wait_ns = 0

    async def request(self, request: Request) -> Response:
        response = await super().request(request)
        if (request.method, request.path) == ("POST", "/order"):
            (name,) = self.orders
            for size, trade in (("4", "t-1"), ("6", "t-2")):
                self.fill(name, size, trade, maker=False)
            await self.runtime.sleep(self.wait_ns)
            answer = json.loads(response.body)
            return said(200, answer | {"status": "matched", "makingAmount": "5.2", "takingAmount": "10"})
        return response


@pytest.mark.parametrize(("wait_ms", "done"), [(1, True), (1_000, False)])
def test_money_spent_before_the_answer_is_a_filled_order(wait_ms: int, done: bool) -> None:
    """Unless its fills had been told by then, as parts: an answer may be slow, and a fill does not wait for it."""
    world = World()
    world.server = Slow(world.runtime)
    world.server.wait_ns = wait_ms * S // 1_000
    world.venue = world.adapter()

    async def main() -> None:
        await world.venue.start()
        world.venue.events(world.events.append)
        await world.venue.place_order(world.order(tif=TimeInForce.FOK, size_lots=None, quote_amount=5_200_000))
        await world.runtime.sleep(S)
        await world.venue.aclose()

    world.runtime.run(main=main())
    assert [(event.fill.lots // SHARE, event.done) for event in world.told(OrderFilled)] == [(4, False), (6, done)]
    assert len(world.told(OrderGone)) == (not done)


@pytest.mark.parametrize("counted", ["10", "0"])
def test_what_failed_on_chain_is_no_part_of_an_order(counted: str) -> None:
    """Whether or not the venue still counts a failed trade as matched: the engine must not wait for it as for a fill."""

    async def script(w: World) -> None:
        ack = await w.venue.place_order(w.order())
        name = str(ack.venue_order_id)
        w.server.fill(name, "10", "t-1")
        w.server.trades[-1]["status"] = "FAILED"
        w.server.orders[name]["size_matched"] = counted
        report = await w.venue.get_order_status(OrderId("a-1"))
        assert (report.status, report.filled_lots) == (OrderStatus.CANCELLED, 0)
        assert [fill.status for fill in report.fills] == [FillStatus.VOIDED]

    play(script)


def test_a_trade_that_is_not_listed_yet_still_counts() -> None:
    async def script(w: World) -> None:
        ack = await w.venue.place_order(w.order())
        name = str(ack.venue_order_id)
        w.server.fill(name, "4", "t-1")
        w.server.orders[name]["size_matched"] = "7"
        report = await w.venue.get_order_status(OrderId("a-1"))
        assert (report.status, report.filled_lots) == (OrderStatus.WORKING, 7 * SHARE)

    play(script)


def test_names_of_orders_long_ended_are_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("execsim_polymarket.client.NAMES_MAX", 8)
    monkeypatch.setattr("execsim_polymarket.session.ENDED_MAX", 4)

    async def script(w: World) -> None:
        await w.venue.place_order(w.order("open"))
        for number in range(30):
            await w.venue.place_order(w.order(f"b-{number}"))
            assert (await w.venue.cancel_order(OrderId(f"b-{number}"))).cancelled
        assert 8 <= len(w.venue._id_of) == len(w.venue._hash_of) <= 10
        assert (await w.venue.get_order_status(OrderId("open"))).status is OrderStatus.WORKING
        assert (await w.venue.get_order_status(OrderId("b-29"))).status is OrderStatus.CANCELLED
        with pytest.raises(OrderNotFound):
            await w.venue.get_order_status(OrderId("b-0"))

    play(script)
