"""The HTTP server and clients that are slow, silent, or stop in the middle. A dialect that echoes stands behind it."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable
from typing import Any, Literal, cast

import pytest

from execsim.core.errors import ExecError
from execsim.exchange.door import OpenDoor
from execsim.exchange.http_server import HttpServer
from execsim.exchange.server import bind
from execsim.ports import Desk, Request, Response, Runtime
from execsim.runtime import WallRuntime

HEAD_S = 0.3
BODY_S = 0.6
GRACE_S = 10.0


class Echo:
    """`ports.Dialect`: tells how many bytes a body had."""

    framing: Literal["http"] = "http"

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    def begin(self, desk: Desk) -> None: ...

    async def answer(self, desk: Desk, request: Request) -> Response:
        if request.path == "/wait":
            await self.runtime.pending("nobody")
        return Response(200, {}, f"{request.peer} {len(request.body)}".encode())

    def stream(self, desk: Desk, url: str, sink: Any) -> Any:
        raise NotImplementedError

    def account(self, name: str) -> str:
        return name

    def refuse(self, error: ExecError) -> Response:
        return Response(400, {}, str(error).encode())


def serve(scene: Callable[[int], None]) -> None:
    """Run a client (in a thread of its own) against the server."""
    runtime = WallRuntime(7)
    listening = bind("127.0.0.1", 0)
    echo = Echo(runtime)
    server = HttpServer(OpenDoor(runtime, echo), echo, cast(Desk, None), listening, head_s=HEAD_S, body_s=BODY_S)
    port = listening.getsockname()[1]

    async def main() -> None:
        await server.start()
        try:
            await asyncio.ensure_future(asyncio.to_thread(scene, port))
        finally:
            await server.aclose()

    runtime.run(main=main())


def joined(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=GRACE_S)


def answered(port: int) -> bytes:
    with joined(port) as other:
        other.sendall(b"POST /x HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhello")
        return whole(other)


def whole(one: socket.socket) -> bytes:
    """Everything until the other side closes."""
    found = b""
    while chunk := one.recv(65_536):
        found += chunk
    return found


def is_silent(one: socket.socket) -> bool:
    """Whether nothing more comes and the connection is open: False where the other side has closed it."""
    one.settimeout(0.01)
    try:
        while one.recv(65_536):  # the rest of an answer, if it came by itself
            continue
    except TimeoutError:
        return True
    finally:
        one.settimeout(GRACE_S)
    return False


@pytest.mark.parametrize("said", [b"", b"\x00", b"GET /x HT", b"GET /x HTTP/1.1\r\nhost: x\r\nx-slow: "])
def test_who_does_not_finish_a_head_is_disconnected(said: bytes) -> None:
    def scene(port: int) -> None:
        with joined(port) as slow:
            start = time.monotonic()
            for byte in said:
                slow.sendall(bytes([byte]))
            assert answered(port).endswith(b"127.0.0.1 5")  # meanwhile others are answered
            found = whole(slow)
            assert found == b"" or found.startswith(b"HTTP/1.1 400")
            assert time.monotonic() - start < GRACE_S

    serve(scene)


def test_a_head_in_drips_has_no_more_time_than_one_that_stops() -> None:
    def scene(port: int) -> None:
        with joined(port) as slow:
            slow.sendall(b"GET /x HTTP/1.1\r\n")
            ended = 0.0
            start = time.monotonic()
            while not ended and time.monotonic() - start < GRACE_S:
                try:
                    slow.sendall(b"x: y\r\n")
                    slow.settimeout(0.05)
                    ended = time.monotonic() - start if slow.recv(1) == b"" else 0.0
                except TimeoutError:
                    continue
                except OSError:
                    ended = time.monotonic() - start
            assert HEAD_S / 2 < ended < GRACE_S

    serve(scene)


@pytest.mark.parametrize("chunked", [False, True])
def test_who_does_not_finish_a_body_is_answered_408(chunked: bool) -> None:
    def scene(port: int) -> None:
        with joined(port) as slow:
            how = b"transfer-encoding: chunked\r\n\r\n5\r\nhe" if chunked else b"content-length: 50\r\n\r\nhello"
            slow.sendall(b"POST /x HTTP/1.1\r\nhost: x\r\n" + how)
            assert answered(port).endswith(b"127.0.0.1 5")
            assert whole(slow).startswith(b"HTTP/1.1 408")

    serve(scene)


def test_a_warm_connection_is_kept_between_requests_and_not_within_one() -> None:
    def scene(port: int) -> None:
        with joined(port) as warm:
            for _ in range(2):
                warm.sendall(b"GET /x HTTP/1.1\r\nhost: x\r\n\r\n")
                assert warm.recv(65_536).startswith(b"HTTP/1.1 200")
                time.sleep(2 * HEAD_S)  # idle for longer than a head may take
                assert is_silent(warm)
            warm.sendall(b"GET /x HT")
            assert whole(warm) == b""

    serve(scene)


def test_many_slow_clients_do_not_keep_others_out() -> None:
    def scene(port: int) -> None:
        slow = [joined(port) for _ in range(100)]
        for number, one in enumerate(slow):
            one.sendall(
                (b"GET /x HTTP/1.1\r\n", b"POST /x HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nx")[number % 2]
            )
        assert answered(port).endswith(b"127.0.0.1 5")
        for number, one in enumerate(slow):
            assert whole(one)[:12] == (b"", b"HTTP/1.1 408")[number % 2]
            one.close()
        assert answered(port).endswith(b"127.0.0.1 5")

    serve(scene)


def test_bytes_that_are_no_request_do_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    def scene(port: int) -> None:
        for raw in (
            b"\x16\x03\x01\r\n\r\n",
            b"GET /x HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: y\r\n\r\n",
        ):
            with joined(port) as odd:
                odd.sendall(raw)
                assert odd.recv(12) in (b"HTTP/1.1 400", b"HTTP/1.1 200")

    serve(scene)
    assert caplog.records == []


def test_a_stop_answers_who_still_waits(caplog: pytest.LogCaptureFixture) -> None:
    waiting: list[socket.socket] = []

    def scene(port: int) -> None:
        waiting.append(joined(port))
        waiting[0].sendall(b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n")
        assert answered(port).endswith(b"127.0.0.1 5")

    serve(scene)
    with waiting[0] as one:
        assert whole(one).startswith(b"HTTP/1.1 503")
    assert all(record.exc_info is None for record in caplog.records if record.levelno >= logging.ERROR)
