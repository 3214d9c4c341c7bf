"""REST and WebSocket over real sockets: answers, refusals and every way to lose a connection."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import TypeVar

import pytest
from web_peer import WebPeer, serving
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as ws_serve
from websockets.http11 import Request as WsRequest
from websockets.http11 import Response as WsResponse

from execsim.core.errors import ConfigError, ExecTimeout, NetworkError, Reached
from execsim.net.stream import WebSocketStream
from execsim.net.web import WebTransport, is_loopback_url
from execsim.ports import Request, Response
from execsim.runtime import SessionTransport, WallRuntime

T = TypeVar("T")
GRACE_S = 20.0


def echo(request: Request) -> Response | None:
    if request.path == "/hang":
        return None
    kept = {"Retry-After": "3", "Set-Cookie": "secret=1", "Poly-RateLimit-Tier": "gold"}
    return Response(200 if request.path != "/no" else 400, kept, request.method.encode() + b" " + request.body)


async def chat(socket: ServerConnection) -> None:
    async for frame in socket:
        if frame == "close":
            await socket.close()
            return
        if frame == "abort":
            socket.transport.abort()
            return
        await socket.send(frame)


def asked(fn: Callable[[WebTransport, WebPeer], Awaitable[T]]) -> T:
    async def main(peer: WebPeer) -> T:
        transport = WebTransport(peer.rest, peer.ws)
        try:
            async with asyncio.timeout(GRACE_S):
                return await fn(transport, peer)
        finally:
            await transport.aclose()

    with serving(echo, chat) as peer:
        return asyncio.run(main(peer))


def test_requests_share_a_connection_and_hand_on_what_matters() -> None:
    async def ask(transport: WebTransport, peer: WebPeer) -> None:
        for _ in range(3):
            response = await transport.request(Request("POST", "/a?b=c", {"X": "y"}, b"body"))
            assert (response.status, response.body) == (200, b"POST body")
            assert response.headers == {"retry-after": "3", "poly-ratelimit-tier": "gold"}
        assert (await transport.request(Request("GET", "/no"))).status == 400
        assert peer.connections == 1

    asked(ask)


def test_a_delete_may_have_a_body() -> None:
    async def ask(transport: WebTransport, peer: WebPeer) -> None:
        assert (await transport.request(Request("DELETE", "/order", {}, b"{}"))).body == b"DELETE {}"

    asked(ask)


def test_a_connection_that_hangs_up_leaves_the_fate_unknown() -> None:
    async def ask(transport: WebTransport, peer: WebPeer) -> None:
        with pytest.raises(NetworkError) as raised:
            await transport.request(Request("GET", "/hang"))
        assert raised.value.reached is Reached.UNKNOWN
        assert (await transport.request(Request("GET", "/after"))).status == 200

    asked(ask)


def test_nobody_there_means_nothing_was_sent() -> None:
    async def ask() -> None:
        transport = WebTransport("http://127.0.0.1:9", "ws://127.0.0.1:9")  # the discard port: nobody listens
        with pytest.raises(NetworkError) as raised:
            await transport.request(Request("GET", "/"))
        assert raised.value.reached is Reached.NO
        with pytest.raises(NetworkError) as raised:
            await transport.stream("/ws").__anext__()
        assert raised.value.reached is Reached.NO
        await transport.aclose()
        with pytest.raises(NetworkError, match="closed"):
            await transport.request(Request("GET", "/"))

    asyncio.run(ask())


def test_an_answer_that_does_not_come_is_a_timeout() -> None:
    async def hanging(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # until the client gives up
        writer.close()
        await writer.wait_closed()
        ended.set()

    ended = asyncio.Event()

    async def ask() -> None:
        server = await asyncio.start_server(hanging, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        transport = WebTransport(f"http://127.0.0.1:{port}", deadline_s=0.05)
        with pytest.raises(ExecTimeout) as raised:
            await transport.request(Request("GET", "/"))
        assert raised.value.reached is Reached.UNKNOWN
        await transport.aclose()
        async with asyncio.timeout(GRACE_S):
            await ended.wait()
        server.close()

    asyncio.run(ask())


def test_frames_both_ways_and_the_two_ends_of_a_stream() -> None:
    async def ask(transport: WebTransport, peer: WebPeer) -> None:
        stream = transport.stream("/ws")
        await stream.send(b'{"type":"market"}')
        assert await stream.__anext__() == b'{"type":"market"}'
        await stream.send(b"close")
        with pytest.raises(StopAsyncIteration):
            await stream.__anext__()
        lost = transport.stream("/ws")
        await lost.send(b"abort")
        with pytest.raises(NetworkError) as raised:
            await lost.__anext__()
        assert raised.value.reached is Reached.UNKNOWN
        await lost.aclose()
        await lost.aclose()

    asked(ask)


def test_a_reader_and_a_sender_connect_once() -> None:
    async def ask(transport: WebTransport, peer: WebPeer) -> None:
        stream = transport.stream("/ws")
        frame, _ = await asyncio.gather(stream.__anext__(), stream.send(b"x"))
        assert frame == b"x"

    asked(ask)


def test_through_the_recorded_transport_in_a_wall_runtime() -> None:
    with serving(echo, chat) as peer:
        runtime = WallRuntime(1)

        async def main() -> bytes:
            transport = SessionTransport(runtime, WebTransport(peer.rest, peer.ws))
            stream = transport.stream("/ws")
            await stream.send(b"hello")
            frame = await stream.__anext__()
            await stream.aclose()
            answer = await transport.request(Request("GET", "/"))
            await transport.aclose()
            return frame + answer.body

        assert runtime.run(main=main()) == b"helloGET "


@pytest.mark.parametrize("url", ["", "clob.polymarket.com", "ftp://x", "http://"])
def test_a_bad_host(url: str) -> None:
    with pytest.raises(ConfigError, match="URL"):
        WebTransport(url)


@pytest.mark.parametrize(
    ("rest", "ws"),
    [("http://clob.polymarket.com", ""), ("http://localhost.example", ""), ("https://127.0.0.1", "ws://192.0.2.1")],
)
def test_what_is_not_encrypted_stays_on_this_machine(rest: str, ws: str) -> None:
    with pytest.raises(ConfigError, match="not encrypted"):
        WebTransport(rest, ws)


def test_a_stream_that_is_sent_elsewhere_does_not_go_there() -> None:
    heard: list[str | bytes] = []

    async def listen(socket: ServerConnection) -> None:
        async for frame in socket:
            heard.append(frame)

    async def main() -> None:
        async with ws_serve(listen, "127.0.0.1", 0) as other:
            port = next(iter(other.sockets)).getsockname()[1]

            def elsewhere(socket: ServerConnection, request: WsRequest) -> WsResponse:
                answer = socket.respond(HTTPStatus.FOUND, "")
                answer.headers["Location"] = f"ws://localhost:{port}/ws/user"
                return answer

            async with ws_serve(listen, "127.0.0.1", 0, process_request=elsewhere) as first:
                port_first = next(iter(first.sockets)).getsockname()[1]
                stream = WebSocketStream(f"ws://127.0.0.1:{port_first}/ws/user", "x", proxied=False)
                with pytest.raises(NetworkError, match="HTTP 302") as raised:
                    await stream.send(b'{"auth":{"secret":"S"}}')
                assert raised.value.reached is Reached.NO
                await stream.aclose()
        assert heard == []

    asyncio.run(asyncio.wait_for(main(), GRACE_S))


def test_a_bad_socket_host() -> None:
    with pytest.raises(ConfigError, match="WebSocket"):
        WebTransport("http://localhost", "http://localhost")


@pytest.mark.parametrize("url", ["http://127.0.0.1:80", "http://localhost", "http://[::1]:9"])
def test_this_machine(url: str) -> None:
    assert is_loopback_url(url)
    assert not is_loopback_url("https://clob.polymarket.com")
