"""A dialect of REST and WebSocket behind HTTP: starlette's messages, uvicorn's sockets. Needs the extra `serve`.

Requests go through a door (`ports.Door`), as with JSON lines (server.py). Paths are the venue's own, but for /_execsim/,
which is the host's (command.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterator
from functools import partial
from typing import Final

import uvicorn
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import Response as HttpResponse
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketState

from execsim.core.errors import ConfigError, ExecError
from execsim.exchange.command import JSON, OWN
from execsim.exchange.http_protocol import HEAD_S, patient
from execsim.ports import Desk, Dialect, Door, Request, Response, Served

log = logging.getLogger("execsim.serve")

BODY_MAX: Final = 1 << 20
"""Bytes of a body that are read (1 MiB) and one more: then the dialect sees that it is too long."""
FRAMES_MAX: Final = 65_536
"""Frames a client may be behind on one channel; then it is disconnected, and asks anew."""
FRAME_BYTES_MAX: Final = 1 << 20
"""Bytes of a frame that is read."""
BUSY_MAX: Final = 4_096
"""Connections and requests that are worked on at a time; more are answered 503 by uvicorn."""
SILENT_S: Final = 20.0
"""A client whose machine died is found out by two pings of this distance, in seconds."""
IDLE_S: Final = 75
"""How long an idle connection is kept, in seconds."""
BODY_S: Final = 20.0
"""How long the body of a request may take, in seconds; then it is answered 408."""
GRACE_S: Final = 1
"""How long open requests may take at the end, in seconds."""


class HttpServer:
    """One desk's dialect. The socket is bound by who makes the server (server.bind)."""

    def __init__(
        self, door: Door, dialect: Dialect, desk: Desk, listening: socket.socket, *, head_s: float = HEAD_S,
        body_s: float = BODY_S,
    ) -> None:  # fmt: skip
        self._door = door
        self._dialect = dialect
        self._desk = desk
        self._socket = listening
        self._body_s = body_s
        self._server = _Uvicorn(
            uvicorn.Config(
                self._app, interface="asgi3", http=patient(head_s), ws="websockets-sansio", lifespan="off", log_config=None,
                log_level="error",  # bytes that are no request are their sender's affair: he could fill the log with them
                access_log=False, server_header=False, timeout_keep_alive=IDLE_S, timeout_graceful_shutdown=GRACE_S,
                limit_concurrency=BUSY_MAX, ws_max_size=FRAME_BYTES_MAX, ws_ping_interval=SILENT_S,
                ws_ping_timeout=SILENT_S, ws_per_message_deflate=False,
            )
        )  # fmt: skip
        self._serving: asyncio.Task[None] | None = None
        self._channels: set[Channel] = set()

    async def start(self) -> None:
        """Accept clients from now on. May be awaited in asyncio, or in a task of a WallRuntime."""
        self._dialect.begin(self._desk)
        self._serving = asyncio.ensure_future(self._server.serve(sockets=[self._socket]))
        await asyncio.ensure_future(self._server.wait_started(self._serving))

    def hang_up(self) -> None:
        """End every channel: nothing true would come over it any more. Requests are still answered."""
        for channel in list(self._channels):
            channel.end()

    async def aclose(self) -> None:
        """No more clients; those there are, are disconnected."""
        self.hang_up()
        self._server.should_exit = True
        if self._serving is not None:
            await asyncio.ensure_future(asyncio.wait([self._serving]))
        self._socket.close()

    # ---------------------------------------------------------------- requests
    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._socket_opened(WebSocket(scope, receive, send))
        else:
            with contextlib.suppress(ClientDisconnect):
                try:
                    answer = await self._answer(HttpRequest(scope, receive))
                except asyncio.CancelledError:  # the server stops while somebody waits
                    answer = HttpResponse(b'{"error":"Service is not ready"}', 503, JSON)
                await answer(scope, receive, send)

    async def _answer(self, http: HttpRequest) -> HttpResponse:
        body = bytearray()
        try:
            async with asyncio.timeout(self._body_s):
                async for chunk in http.stream():
                    body += chunk
                    if len(body) > BODY_MAX:
                        break
        except TimeoutError:
            return HttpResponse(b'{"error":"Request Timeout"}', 408, {**JSON, "connection": "close"})
        path, desk, door = _raw_path(http.scope), self._desk, self._door
        done: asyncio.Future[Response] = asyncio.get_running_loop().create_future()

        def told(answer: Response) -> None:
            if not done.done():  # a client that went away does not call its request back
                done.set_result(answer)

        if http.url.path.startswith(OWN):
            if len(body) > BODY_MAX:
                return HttpResponse(b'{"error":"the body is longer than 1 MiB"}', 413, JSON)
            door.command(desk, http.method, http.url.path.removeprefix(OWN), bytes(body), told)
        else:
            headers = dict(http.headers.items())
            peer = http.client.host if http.client is not None else ""
            door.ask(desk, Request(http.method, path, headers, bytes(body[: BODY_MAX + 1]), peer), told)
        found = await done
        return HttpResponse(found.body, found.status, dict(found.headers))

    # ---------------------------------------------------------------- channels
    async def _socket_opened(self, web: WebSocket) -> None:
        channel = Channel(web, self._door)
        opened: asyncio.Future[Served | None] = asyncio.get_running_loop().create_future()

        def enter() -> None:
            served = None
            try:
                served = self._dialect.stream(self._desk, _raw_path(web.scope), channel.tell)
            except ExecError:
                pass  # refused
            except Exception:  # one user's channel must not end the exchange of all
                log.exception("%s cannot be opened", web.scope["path"][:200])
            if not opened.done():
                opened.set_result(served)
            elif served is not None:
                served.close()  # it is gone

        self._door.enter(enter)
        served = await opened
        if served is None:
            await web.close()  # before it is accepted: answered 403
            return
        self._channels.add(channel)
        try:
            await channel.run(served)
        finally:
            self._channels.discard(channel)
            self._door.enter(served.close)


class Channel:
    """One WebSocket: what the dialect pushes waits here until the client has read."""

    def __init__(self, web: WebSocket, door: Door) -> None:
        self._web = web
        self._door = door
        self._frames: asyncio.Queue[bytes | None] = asyncio.Queue()

    def tell(self, frame: bytes) -> None:
        self._door.out(self.push, frame)

    def push(self, frame: bytes) -> None:
        if self._frames.qsize() >= FRAMES_MAX:
            log.warning("a client does not read its channel: disconnected")
            self.end()
        else:
            self._frames.put_nowait(frame)

    def end(self) -> None:
        """Close it; what was not read yet is lost."""
        while not self._frames.empty():
            self._frames.get_nowait()
        self._frames.put_nowait(None)

    async def run(self, served: Served) -> None:
        await self._web.accept()
        sending = asyncio.ensure_future(self._send())
        try:
            while True:
                message = await self._web.receive()
                if message["type"] == "websocket.disconnect":
                    return
                text, raw = message.get("text"), message.get("bytes")
                self._door.enter(partial(self._hear, served, text.encode() if text is not None else raw or b""))
        finally:
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sending

    def _hear(self, served: Served, frame: bytes) -> None:
        try:
            served.hear(frame)
        except ExecError:
            self.end()
        except Exception:  # as above
            log.exception("a channel is closed")
            self.end()

    async def _send(self) -> None:
        with contextlib.suppress(RuntimeError, OSError):  # it is gone
            while (frame := await self._frames.get()) is not None:
                await self._web.send_text(frame.decode())
            if self._web.application_state is WebSocketState.CONNECTED:
                await self._web.close(1008)


class _Uvicorn(uvicorn.Server):
    """Signals are the host's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def wait_started(self, serving: asyncio.Task[None]) -> None:
        while not self.started:
            if serving.done():
                serving.result()
                raise ConfigError("the HTTP server ended before it began", "")
            await asyncio.sleep(0.001)


def _raw_path(scope: Scope) -> str:
    """Path and query as they were sent: signatures cover the bytes."""
    path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
    query = scope.get("query_string", b"").decode("latin-1")
    return f"{path}?{query}" if query else path
