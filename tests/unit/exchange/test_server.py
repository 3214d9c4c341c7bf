"""The TCP server of JSON lines: whatever arrives is answered or ends that connection alone; the others go on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from native_worlds import Sockets, money_of
from venue_session import SHARE, quiet
from worlds import START_NS, VENUE_NAME, Tape, binary

from execsim.core.errors import ConfigError
from execsim.exchange import server as served
from execsim.exchange.server import bind
from execsim.net.framing import LINE_MAX

GRACE_S = 20.0
"""Real time after which a test that hears nothing gives up."""


class Raw:
    """A client without any of our code: lines out, lines in."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.frames: list[dict[str, Any]] = []
        self._ids = 0

    def send(self, raw: bytes) -> None:
        self.writer.write(raw)

    async def line(self) -> dict[str, Any] | None:
        """The next line; None at the end."""
        async with asyncio.timeout(GRACE_S):
            raw = await self.reader.readline()
        return json.loads(raw) if raw else None

    async def ask(self, op: str, **fields: Any) -> dict[str, Any]:
        """Ask and wait; frames that come meanwhile are kept."""
        self._ids += 1
        self.send(json.dumps({"id": self._ids, "op": op, **fields}).encode() + b"\n")
        return await self.answer(self._ids)

    async def answer(self, number: int | None) -> dict[str, Any]:
        while True:
            line = await self.line()
            assert line is not None, "the server hung up"
            if "stream" not in line and line.get("id") == number:
                return line
            self.frames.append(line)

    async def frame(self) -> dict[str, Any]:
        if self.frames:
            return self.frames.pop(0)
        line = await self.line()
        assert line is not None
        return line


def serve(
    script: Callable[[Sockets, Callable[[], Awaitable[Raw]]], Awaitable[None]], tape: Tape | None = None
) -> Sockets:
    """Run a plain asyncio script against a served world."""
    inst = binary()
    w = Sockets(tape or quiet(), [inst], money=money_of(inst, {"pUSD": 1_000 * SHARE}), sets=100 * SHARE)
    writers: list[asyncio.StreamWriter] = []

    async def connect() -> Raw:
        reader, writer = await asyncio.open_connection(*w.address, limit=1 << 26)
        writers.append(writer)
        return Raw(reader, writer)

    async def plain() -> None:
        try:
            await script(w, connect)
        finally:
            for writer in writers:
                writer.transport.abort()
            await asyncio.sleep(0)

    async def main() -> None:
        await w.server.start()
        w.runtime.spawn(w.market.run(), "tape", daemon=True)
        try:
            await asyncio.ensure_future(plain())
        finally:
            await w.server.aclose()

    w.runtime.run(main=main())  # type: ignore[attr-defined]  # a runtime's own method, not of the port
    w.ledger.check()
    return w


BAD_LINES: list[tuple[bytes, int | None, str]] = [
    (b"hello", None, "not JSON"),
    (b"[1,2]", None, "a message is a JSON object, not list"),
    (b"\xff\xfe{}", None, "not UTF-8"),
    (b'{"op":"hello"}', None, "`id` should be an integer"),
    (b'{"id":"7","op":"hello"}', None, "`id` should be an integer"),
    (b'{"id":-1,"op":"hello"}', None, "`id` should be an integer"),
    (b'{"id":true,"op":"hello"}', None, "`id` should be an integer"),
    (b'{"id":7}', 7, "`op` says what is asked"),
    (b'{"id":7,"op":5}', 7, "`op` should be a string"),
    (b'{"id":7,"op":"hello","account":{}}', 7, "`account` should be a string"),
    (b'{"id":7,"op":"health","stream":"x"}', 7, "`stream` should be the id"),
    (b'{"id":7,"op":"unsubscribe","stream":3}', 7, "stream 3 is not open"),
    (b'{"id":7,"op":"tell"}', 7, "stream None is not open"),
    (b'{"id":7,"op":"subscribe"}', 7, "`channel` should be a string"),
    (b'{"id":7,"op":"subscribe","channel":"orders","x":1}', 7, "every field is a string"),
    (b'{"id":7,"op":"subscribe","channel":"orders"}', 7, "say hello first"),
    (b'{"id":7,"op":"hello","venue":"mars"}', 7, "known venues: sim"),
    (b'{"id":7,"op":"hello","account":"b","x":1}', 7, "there is no field 'x'"),
    (b'{"id":7,"op":"jump"}', 7, "'jump' is none of"),
    (b"[" * 100_000, None, "nested too deeply"),
    (b'{"id":' + b"9" * 5_000 + b',"op":"x"}', None, "not JSON"),
]


@pytest.mark.parametrize(("raw", "number", "text"), BAD_LINES, ids=[text for _, _, text in BAD_LINES])
def test_a_bad_line_is_answered_and_the_connection_goes_on(raw: bytes, number: int | None, text: str) -> None:
    async def script(w: Sockets, connect: Callable[[], Awaitable[Raw]]) -> None:
        client = await connect()
        client.send(b"\r\n" + raw + b"\n")
        answer = await client.answer(number)
        assert answer["ok"] is False
        assert text in answer["error"]["text"]
        assert (await client.ask("hello", account="bob"))["ok"]

    serve(script)


def test_a_line_too_long_ends_its_connection_and_no_other() -> None:
    async def script(w: Sockets, connect: Callable[[], Awaitable[Raw]]) -> None:
        other, client = await connect(), await connect()
        await other.ask("hello", account="bob")
        client.send(b'{"id":1,"op":"' + b"x" * (LINE_MAX + 10))
        answer = await client.answer(None)
        assert f"a line of more than {LINE_MAX} bytes" in answer["error"]["text"]
        assert await client.line() is None
        assert (await other.ask("health"))["result"] is True

    serve(script)


def test_who_speaks_another_protocol_is_hung_up_on() -> None:
    async def script(w: Sockets, connect: Callable[[], Awaitable[Raw]]) -> None:
        client = await connect()
        client.send(b"GET / HTTP/1.1\r\n" * (served.BAD_LINES_MAX + 5))
        count = 0
        while await client.line() is not None:
            count += 1
        assert count == served.BAD_LINES_MAX + 1

    serve(script)


def test_the_end_in_the_middle_of_a_line_is_an_end() -> None:
    async def script(w: Sockets, connect: Callable[[], Awaitable[Raw]]) -> None:
        client = await connect()
        await client.ask("hello", account="bob")
        client.send(b'{"id":9,"op":"place","order_id":"a"')
        client.writer.write_eof()
        assert await client.line() is None
        again = await connect()
        assert (await again.ask("open", account="bob"))["result"]["items"] == []

    serve(script)


def test_a_client_that_does_not_read_is_disconnected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served, "UNREAD_MAX", 200_000)

    async def script(w: Sockets, connect: Callable[[], Awaitable[Raw]]) -> None:
        client, other = await connect(), await connect()
        client.reader._transport.pause_reading()  # type: ignore[attr-defined]  # as somebody who never reads
        await other.ask("hello", account="bob")
        number = 0
        with suppress(ConnectionError):
            while len(w.server._clients) > 1:
                number += 1
                client.send(b'{"id":%d,"op":"jump"}\n' % number)
                await client.writer.drain()
                await asyncio.sleep(0)
        assert (await other.ask("health"))["result"] is True

    serve(script)


def test_more_clients_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served, "CONNECTIONS_MAX", 2)

    async def script(w: Sockets, connect: Callable[[], Awaitable[Raw]]) -> None:
        first, second = await connect(), await connect()
        for client in (first, second):
            await client.ask("hello", account="bob")
        third = await connect()
        assert "2 clients are connected already" in (await third.answer(None))["error"]["text"]
        assert await third.line() is None
        first.writer.close()
        while len(w.server._clients) > 1:
            await asyncio.sleep(0.001)
        assert (await (await connect()).ask("health", account="bob"))["result"] is True

    serve(script)


def test_more_requests_than_may_be_worked_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served, "FLYING_MAX", 3)

    async def script(w: Sockets, connect: Callable[[], Awaitable[Raw]]) -> None:
        client = await connect()
        await client.ask("hello", account="bob")
        client.send(b"".join(b'{"id":%d,"op":"health"}\n' % number for number in range(100, 104)))
        found = {line["id"]: line["ok"] for line in [await client.line() for _ in range(4)] if line is not None}
        assert found == {100: True, 101: True, 102: True, 103: False}
        assert (await client.ask("health"))["ok"]

    serve(script)


def test_a_hello_is_meant_by_the_lines_after_it() -> None:
    async def script(w: Sockets, connect: Callable[[], Awaitable[Raw]]) -> None:
        client = await connect()
        assert not (await client.ask("health"))["ok"]
        assert (await client.ask("hello", account="bob", venue=VENUE_NAME))["result"]["account"] == "bob"
        assert (await client.ask("health"))["result"] is True
        assert not (await client.ask("health", account="eve"))["ok"]
        assert (await client.ask("hello", account="eve"))["ok"]
        assert (await client.ask("health"))["result"] is True

    serve(script)


def test_frames_come_after_the_answer_to_their_subscription_and_stop_at_its_end() -> None:
    tape = quiet().trade(0, -1, 4800, SHARE)

    async def script(w: Sockets, connect: Callable[[], Awaitable[Raw]]) -> None:
        client = await connect()
        await client.ask("hello", account="bob")
        client.send(b'{"id":50,"op":"subscribe","channel":"markets","market":"rain"}\n')
        assert await client.line() == {"id": 50, "ok": True}
        kinds = [(await client.frame())["kind"] for _ in range(3)]
        assert kinds == ["opened", "tick", "book"]
        client.send(b'{"id":50,"op":"subscribe","channel":"markets"}\n')
        assert "stream 50 is open already" in (await client.answer(50))["error"]["text"]
        answer = await client.ask("tell", stream=50, what=1)
        assert answer["ok"]
        ended = client.frames.pop()
        assert (ended["stream"], ended["end"]) == (50, True)
        assert "this stream only speaks" in ended["error"]["text"]
        assert not (await client.ask("unsubscribe", stream=50))["ok"]
        client.send(b'{"id":51,"op":"subscribe","channel":"orders"}\n')
        assert (await client.answer(51))["ok"]
        assert (await client.ask("unsubscribe", stream=51))["ok"]
        assert not w.desk._seats["bob"].sinks

    serve(script, tape)


def test_two_users_over_sockets_see_their_own_orders_alone() -> None:
    async def script(w: Sockets, connect: Callable[[], Awaitable[Raw]]) -> None:
        bob, eve = await connect(), await connect()
        for client, name in ((bob, "bob"), (eve, "eve")):
            await client.ask("hello", account=name)
            await client.ask("subscribe", channel="orders")
            assert (await client.frame())["kind"] == "opened"
        order = {"order_id": "1", "market": "rain", "side": "buy", "price_i": 5200, "size_lots": 10 * SHARE}
        assert (await bob.ask("place", **order))["result"]["order_id"] == "1"
        filled = await bob.frame()
        assert (filled["kind"], filled["event"]["fill"]["order_id"]) == ("filled", "1")
        assert (await eve.ask("fills"))["result"]["items"] == []
        assert (await eve.ask("place", **order | {"price_i": 4000}))["ok"]
        assert [o["order_id"] for o in (await eve.ask("open"))["result"]["items"]] == ["1"]
        assert (await bob.ask("open"))["result"]["items"] == []
        assert eve.frames == []

    serve(script)


WORDS = st.sampled_from(
    [
        b"{",
        b"}",
        b"[",
        b"]",
        b":",
        b",",
        b'"id"',
        b'"op"',
        b'"hello"',
        b'"place"',
        b"1",
        b"1e9",
        b"NaN",
        b"null",
        b"\x00",
        b"\n",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
OPS = st.sampled_from(["hello", "subscribe", "unsubscribe", "tell", "place", "open", "batch", "status", "go", "x", ""])
FIELDS = st.sampled_from(["account", "venue", "stream", "channel", "market", "orders"])
LINES = st.one_of(
    st.lists(WORDS, max_size=12).map(b"".join),
    st.binary(max_size=60),
    JSON.map(lambda value: json.dumps(value).encode()),
    st.builds(
        lambda number, op, rest: json.dumps({**rest, "id": number, "op": op}).encode(),
        st.integers(-1, 5), OPS, st.dictionaries(FIELDS, JSON),
    ),
)  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(LINES, max_size=20), st.booleans())
def test_no_bytes_at_all_hurt_the_server(lines: list[bytes], cut: bool) -> None:
    async def script(w: Sockets, connect: Callable[[], Awaitable[Raw]]) -> None:
        good, bad = await connect(), await connect()
        assert (await good.ask("hello", account="bob"))["ok"]
        bad.send(b"\n".join(lines))
        if cut:
            bad.writer.transport.abort()
        else:
            bad.send(b'\n{"id":9000,"op":"hello","account":"fuzz"}\n')
            while (line := await bad.line()) is not None and line.get("id") != 9000:
                assert "ok" in line or "stream" in line
        assert (await good.ask("health"))["result"] is True

    serve(script)


def test_an_address_that_cannot_be_listened_on_is_named() -> None:
    with pytest.raises(ConfigError, match=r"cannot listen on 1\.2\.3\.4:0"):
        bind("1.2.3.4", 0)


def test_a_port_that_is_taken_is_named() -> None:
    taken = bind("127.0.0.1", 0)
    taken.listen()
    port = taken.getsockname()[1]
    with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1:{port}: Address already in use"):
        bind("127.0.0.1", port)
    taken.close()


def test_the_world_starts_where_the_tape_does() -> None:
    async def script(w: Sockets, connect: Callable[[], Awaitable[Raw]]) -> None:
        client = await connect()
        clock = (await client.ask("hello", account="bob"))["result"]["clock"]
        assert clock["start_ns"] == START_NS
        assert clock["now_ns"] >= START_NS
        assert (await client.ask("go"))["result"]["moving"] is True

    serve(script)
