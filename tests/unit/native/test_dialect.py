"""Whatever a client sends, the dialect answers: in the venue's words, never with a bug of ours."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from native_worlds import Memory, money_of
from venue_session import SHARE, quiet
from worlds import MS, START_NS, binary

from execsim.core.errors import VenueError
from execsim.core.order import OrderType, TimeInForce
from execsim.exchange.faults import PACKS
from execsim.ports import Request
from execsim_native import NativeDialect, wire
from execsim_native.codec import plain
from tests.unit.native.messages import values

OPS = sorted(wire.REQUESTS)


def world() -> Memory:
    inst = binary()
    return Memory(quiet(), [inst], money=money_of(inst, {"pUSD": 1_000 * SHARE}), sets=100 * SHARE)


def answers(w: Memory, requests: list[Request]) -> list[dict[str, Any]]:
    """What the dialect says to each in turn, after a hello."""
    found: list[dict[str, Any]] = []

    async def script() -> None:
        for request in requests:
            response = await NativeDialect().answer(w.desk, request)
            found.append(json.loads(response.body))
            await w.runtime.sleep(MS)

    w.run(script())
    return found


def ask(op: str, account: str = "bob", **fields: Any) -> Request:
    return Request(op, "sim", {"account": account}, json.dumps(fields).encode())


MARKETS = st.sampled_from(["rain"] * 9 + ["snow"])
IDS = st.sampled_from(["a", "b", "c", "d"])
ANY = st.integers(-(2**63) + 1, 2**63 - 1)
SIZES = st.one_of(*[st.integers(1, 30).map(lambda n: 5 * n * SHARE)] * 4, ANY, st.sampled_from([0, -SHARE, 1, 2**62]))
PRICES = st.one_of(*[st.integers(40, 60).map(lambda n: n * 100)] * 4, ANY, st.sampled_from([0, -100, 9_900, 10_000]))
TIMES = st.integers(-1, 50).map(lambda n: START_NS + n * MS)
NEAR = {
    "market": MARKETS, "markets": st.lists(MARKETS, min_size=1, max_size=2), "order_id": IDS, "size_lots": SIZES,
    "price_i": PRICES, "quote_amount": SIZES, "lots": SIZES, "expire_ns": TIMES, "percent": st.integers(0, 101),
    "pack": st.sampled_from(sorted(PACKS)), "params": st.just({}), "levels": st.integers(0, 50), "skip": st.integers(-2, 5),
}  # fmt: skip
OFTEN = [*OPS, *["place"] * 20, *["amend"] * 6, *["cancel"] * 3, *["batch"] * 4]


@st.composite
def orders(draw: st.DrawFn) -> dict[str, Any]:
    """An order that makes sense, with numbers that may not."""
    kind, tif = draw(st.sampled_from(OrderType)), draw(st.sampled_from(TimeInForce))
    if kind is OrderType.POST_ONLY:
        tif = draw(st.sampled_from([TimeInForce.GTC, TimeInForce.GTD]))
    elif kind is OrderType.MARKET and tif is TimeInForce.GTD:
        tif = TimeInForce.IOC
    fields = {"order_id": draw(IDS), "market": draw(MARKETS), "side": "buy", "type": kind, "tif": tif}
    fields["outcome"] = draw(st.sampled_from(["yes", "no"]))
    if kind is OrderType.MARKET and draw(st.booleans()):
        return fields | {"quote_amount": draw(SIZES)}
    fields |= {"size_lots": draw(SIZES), "side": draw(st.sampled_from(["buy", "sell"]))}
    if kind is not OrderType.MARKET or draw(st.booleans()):
        fields["price_i"] = draw(PRICES)
    return fields | ({"expire_ns": draw(TIMES)} if tif is TimeInForce.GTD else {})


@st.composite
def near_requests(draw: st.DrawFn) -> Request:
    """A request of the right shape, mostly with fields that somebody might mean."""
    op = draw(st.sampled_from(OFTEN))
    if op == "place" and draw(st.integers(0, 9)):
        return ask(op, **draw(orders()))
    if op == "batch" and draw(st.integers(0, 9)):
        return ask(op, orders=draw(st.lists(orders(), min_size=1, max_size=4)))
    fields = plain(draw(values(wire.REQUESTS[op])))
    for name in fields:
        if name in NEAR and draw(st.integers(0, 9)):
            fields[name] = draw(NEAR[name])
    return ask(op, **fields)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(near_requests(), min_size=1, max_size=12))
def test_every_request_is_answered_and_nothing_breaks(requests: list[Request]) -> None:
    w = world()
    for answer in answers(w, requests):
        if answer["ok"]:
            assert "result" in answer
        else:
            assert answer["error"]["class"] != "InternalError", answer
    # the exchange is whole: money is conserved (Memory.run checks) and an order still trades
    assert all(order.left_lots >= 0 for order in w.exchange.entry.booked)


WRONG = [
    (Request("place", "sim", {"account": "bob"}, b"not json"), "not a JSON object"),
    (Request("dance", "sim", {"account": "bob"}, b""), "op: 'dance' is none of: hello"),
    (ask("place", order_id="a", market="rain", side="buy", price_i=4800), "exactly one of size_lots and quote_amount"),
    (ask("place", order_id="a", market="rain", side="buy", price_i=48, size_lots=1, quote_amount=1), "exactly one of"),
    (ask("place", order_id="a", market="rain", side="buy", size_lots=1), "price_i: a limit order has a price"),
    (ask("place", order_id="", market="rain", side="buy", price_i=48, size_lots=1), "order_id: should have 1 to 128"),
    (ask("place", order_id="a", market="rain", side="buy", price_i=48, quote_amount=1), "quote_amount: a positive"),
    (ask("place", order_id="a", market="rain", side="sell", type="market", quote_amount=1), "is for market buys"),
    (ask("place", order_id="a", market="rain", side="buy", type="market", tif="gtd", size_lots=1), "never rests"),
    (ask("place", order_id="a", market="rain", side="buy", type="post_only", tif="fok", price_i=1, size_lots=1), "rests"),
    (ask("place", order_id="a", market="rain", side="buy", tif="gtd", price_i=1, size_lots=1), "expire_ns: the time"),
    (ask("place", order_id="a", market="rain", side="buy", price_i=1, size_lots=1, expire_ns=5), "expire_ns: the time"),
    (ask("batch", orders=[]), "orders: a batch has 1 to 1000 orders"),
    (ask("amend", order_id="a"), "price_i: give a price, a size or both"),
    (ask("book", market="rain", levels=0), "levels: should be 1 to 1000"),
    (ask("watch_queue", order_id="a", percent=0), "percent: should be 1 to 100"),
    (ask("convert", markets=[], lots=1), "markets: name at least one"),
]  # fmt: skip


@pytest.mark.parametrize(("request_", "text"), WRONG, ids=[text for _, text in WRONG])
def test_a_request_that_makes_no_sense_is_told_why(request_: Request, text: str) -> None:
    (answer,) = answers(world(), [request_])
    assert answer["error"]["class"] == "VenueError"
    assert answer["error"]["args"][:2] == ["sim", "BAD_REQUEST"]
    assert text in answer["error"]["args"][2]


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("dreams?account=bob", "none of: orders, markets"),
        ("orders?account=bob&market=rain", "market: orders has no such field"),
        ("markets?account=bob&depth=3", "depth: markets has no such field"),
        ("markets?account=bob&market=snow", "sim has no market 'snow'"),
        ("orders?account=eve", "say hello first"),
        ("orders", "say hello first"),
    ],
)
def test_a_stream_there_is_none_of_is_refused(url: str, text: str) -> None:
    async def script() -> None:
        with pytest.raises(VenueError, match=text):
            NativeDialect().stream(w.desk, url, lambda frame: None)

    w = world()
    w.run(script())


def test_a_native_stream_only_speaks() -> None:
    async def script() -> None:
        stream = w.transport.stream("orders?account=bob")
        assert json.loads(await anext(stream))["kind"] == "opened"
        await stream.send(b'{"hello":1}')
        refused = json.loads(await anext(stream))
        assert "this stream only speaks" in refused["error"]["text"]
        with pytest.raises(StopAsyncIteration):
            await anext(stream)

    w = world()
    w.run(script())
