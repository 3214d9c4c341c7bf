"""The TCP transport against a server that does what the test says: answers, lies, hangs up at any moment."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from execsim.core.errors import ConfigError, NetworkError, Reached
from execsim.net import LinesTransport, lines
from execsim.ports import Request

GRACE_S = 20.0


class Peer:
    """A server that hands every line to the test. `say` writes bytes, `hang_up` ends every connection."""

    def __init__(self) -> None:
        self.lines: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.writers: list[asyncio.StreamWriter] = []
        self.connections = 0
        self.port = 0
        self._server: asyncio.Server | None = None

    async def start(self, port: int = 0) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        self.hang_up()
        await asyncio.sleep(0)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        with suppress(OSError):
            while line := await reader.readline():
                self.lines.put_nowait(json.loads(line))
        writer.close()

    async def heard(self) -> dict[str, Any]:
        async with asyncio.timeout(GRACE_S):
            return await self.lines.get()

    def say(self, *messages: Any) -> None:
        for message in messages:
            raw = message if isinstance(message, bytes) else json.dumps(message).encode() + b"\n"
            self.writers[-1].write(raw)

    def hang_up(self) -> None:
        for writer in self.writers:
            writer.transport.abort()


def play(script: Callable[[Peer, LinesTransport], Awaitable[None]]) -> None:
    async def main() -> None:
        peer = Peer()
        await peer.start()
        transport = LinesTransport("127.0.0.1", peer.port)
        try:
            async with asyncio.timeout(GRACE_S):
                await script(peer, transport)
        finally:
            await transport.aclose()
            await peer.stop()
            await asyncio.sleep(0.01)

    asyncio.run(main())


def ask(transport: LinesTransport, op: str = "x") -> asyncio.Task[Any]:
    return asyncio.get_running_loop().create_task(transport.request(Request(op, "", {}, b"{}")))


def test_answers_find_their_requests_in_any_order() -> None:
    async def script(peer: Peer, transport: LinesTransport) -> None:
        tasks = [ask(transport, f"op{i}") for i in range(5)]
        asked = [await peer.heard() for _ in tasks]
        assert [line["op"] for line in asked] == [f"op{i}" for i in range(5)]
        for line in reversed(asked):
            peer.say({"id": 999}, {"id": line["id"], "ok": line["op"] != "op3", "was": line["op"]})
        answers = [await task for task in tasks]
        assert [json.loads(answer.body)["was"] for answer in answers] == [f"op{i}" for i in range(5)]
        assert [answer.status for answer in answers] == [200, 200, 200, 400, 200]
        assert peer.connections == 1

    play(script)


def test_a_wait_that_was_cancelled_forgets_its_answer() -> None:
    async def script(peer: Peer, transport: LinesTransport) -> None:
        gone, stays = ask(transport), ask(transport)
        numbers = [(await peer.heard())["id"] for _ in range(2)]
        gone.cancel()
        await asyncio.sleep(0)
        peer.say(*({"id": number, "ok": True} for number in numbers))
        assert (await stays).status == 200
        assert gone.cancelled()

    play(script)


def test_a_server_that_is_not_there_was_not_reached_and_is_tried_again() -> None:
    async def main() -> None:
        peer = Peer()
        await peer.start()
        await peer.stop()
        transport = LinesTransport("127.0.0.1", peer.port)
        both = await asyncio.gather(ask(transport), ask(transport), return_exceptions=True)
        for error in both:
            assert isinstance(error, NetworkError)
            assert error.reached is Reached.NO
            assert "cannot connect" in error.args[1]
        with pytest.raises(NetworkError, match="the next attempt waits"):  # at once: no storm of attempts
            await ask(transport)
        await peer.start(peer.port)
        answer: asyncio.Task[Any] | None = None
        async with asyncio.timeout(GRACE_S):
            while answer is None:
                task = ask(transport)
                while not task.done() and peer.lines.empty():
                    await asyncio.sleep(0.005)
                if not task.done():
                    answer = task
                else:
                    assert isinstance(task.exception(), NetworkError)
        peer.say({"id": (await peer.heard())["id"], "ok": True})
        assert (await answer).status == 200
        await transport.aclose()
        await peer.stop()
        await asyncio.sleep(0.01)

    asyncio.run(main())


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 6), st.integers(0, 6), st.booleans())
def test_a_connection_lost_at_any_moment(answered: int, said: int, in_a_line: bool) -> None:
    """Of six requests some are answered, then it ends: the others are unknown, streams end, the next request connects."""

    async def script(peer: Peer, transport: LinesTransport) -> None:
        tasks = [ask(transport) for _ in range(6)]
        asked = [await peer.heard() for _ in tasks]
        stream = transport.stream("orders?account=bob")
        first = asyncio.ensure_future(anext(stream))
        number = (await peer.heard())["id"]
        for line in asked[:answered]:
            peer.say({"id": line["id"], "ok": True})
        for seq in range(said):
            peer.say({"stream": number, "seq": seq})
        if in_a_line:
            peer.say(b'{"id":1')
        peer.writers[-1].close()  # what was written still arrives
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert [isinstance(each, NetworkError) for each in found] == [False] * answered + [True] * (6 - answered)
        assert all(each.reached is Reached.UNKNOWN for each in found if isinstance(each, NetworkError))
        with suppress(NetworkError):
            await first
        with pytest.raises(NetworkError):  # whatever it still held
            await anext(stream)
        again = ask(transport)
        line = await peer.heard()
        peer.say({"id": line["id"], "ok": True})
        assert (await again).status == 200
        assert peer.connections == 2

    play(script)


@pytest.mark.parametrize("raw", [b"what?\n", b"[]\n", b"\xff\n", b'{"error":"x"}\n'])
def test_a_server_that_talks_nonsense_is_hung_up_on(raw: bytes) -> None:
    async def script(peer: Peer, transport: LinesTransport) -> None:
        task = ask(transport)
        await peer.heard()
        peer.say(raw)
        with pytest.raises(NetworkError, match="a line that is no message") as lost:
            await task
        assert lost.value.reached is Reached.UNKNOWN

    play(script)


def test_frames_of_two_streams_in_order_and_an_end() -> None:
    async def script(peer: Peer, transport: LinesTransport) -> None:
        streams = [transport.stream(f"{name}?account=bob") for name in "ab"]
        firsts = [asyncio.ensure_future(anext(stream)) for stream in streams]
        numbers = [(await peer.heard())["id"] for _ in streams]
        for seq in range(3):
            peer.say(*({"stream": number, "seq": seq} for number in numbers))
        peer.say({"stream": numbers[0], "end": True, "ok": False})
        frames = [json.loads(await firsts[0])] + [json.loads(frame) async for frame in streams[0]]
        assert [frame.get("seq") for frame in frames] == [0, 1, 2, None]
        assert json.loads(await firsts[1])["seq"] == 0
        await streams[1].send(b'{"say":1}')
        assert (await peer.heard())["say"] == 1
        await streams[1].aclose()
        left = await peer.heard()
        assert (left["op"], left["stream"]) == ("unsubscribe", numbers[1])
        with pytest.raises(StopAsyncIteration):
            await anext(streams[1])

    play(script)


def test_a_refused_subscription_says_why_and_ends() -> None:
    async def script(peer: Peer, transport: LinesTransport) -> None:
        stream = transport.stream("orders?account=nobody")
        first = asyncio.ensure_future(anext(stream))
        peer_line = await peer.heard()
        peer.say({"id": peer_line["id"], "ok": False, "error": {"text": "no"}})
        assert json.loads(await first)["error"] == {"text": "no"}
        with pytest.raises(StopAsyncIteration):
            await anext(stream)

    play(script)


def test_a_stream_closed_while_connecting_does_not_subscribe(monkeypatch: pytest.MonkeyPatch) -> None:
    connects = asyncio.open_connection
    asked, may = asyncio.Event(), asyncio.Event()

    async def slowly(*args: Any, **options: Any) -> Any:
        asked.set()
        await may.wait()
        return await connects(*args, **options)

    monkeypatch.setattr(asyncio, "open_connection", slowly)

    async def script(peer: Peer, transport: LinesTransport) -> None:
        stream = transport.stream("orders?account=bob")
        first = asyncio.ensure_future(anext(stream))
        await asked.wait()
        await stream.aclose()
        may.set()
        with pytest.raises(StopAsyncIteration):
            await first
        task = ask(transport, "balances")
        line = await peer.heard()
        assert line["op"] == "balances"  # the first line there is
        peer.say({"id": line["id"], "ok": True})
        await task

    play(script)


def test_a_stream_closed_before_its_first_frame_does_not_connect() -> None:
    async def script(peer: Peer, transport: LinesTransport) -> None:
        stream = transport.stream("orders?account=bob")
        await stream.aclose()
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
        assert transport._connection is None

    play(script)


def test_what_nobody_reads_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "FRAMES_MAX", 10)
    monkeypatch.setattr(lines, "WAITING_MAX", 3)

    async def script(peer: Peer, transport: LinesTransport) -> None:
        stream = transport.stream("a?account=bob")
        first = asyncio.ensure_future(anext(stream))
        number = (await peer.heard())["id"]
        peer.say({"stream": number, "seq": 0})
        await first
        peer.say(*({"stream": number, "seq": seq} for seq in range(1, 30)))
        assert (await peer.heard())["op"] == "unsubscribe"
        with pytest.raises(NetworkError, match="10 frames were not read"):
            await anext(stream)
        tasks = [ask(transport) for _ in range(4)]
        numbers = [(await peer.heard())["id"] for _ in range(3)]
        with pytest.raises(NetworkError, match="3 requests wait") as full:
            await tasks[3]
        assert full.value.reached is Reached.NO
        peer.say(*({"id": number, "ok": True} for number in numbers))
        assert [(await task).status for task in tasks[:3]] == [200] * 3

    play(script)


def test_a_closed_transport_gives_up_what_waits_and_takes_nothing_more() -> None:
    async def script(peer: Peer, transport: LinesTransport) -> None:
        task = ask(transport)
        await peer.heard()
        await transport.aclose()
        await transport.aclose()
        with pytest.raises(NetworkError, match="closed by us"):
            await task
        with pytest.raises(NetworkError, match="the transport is closed") as closed:
            await ask(transport)
        assert closed.value.reached is Reached.NO

    play(script)


@pytest.mark.parametrize("port", [0, -1, 65_536])
def test_a_port_is_a_port(port: int) -> None:
    with pytest.raises(ConfigError, match="a TCP port is 1 to 65535"):
        LinesTransport("127.0.0.1", port)
