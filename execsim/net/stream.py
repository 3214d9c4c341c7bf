"""`ports.FrameStream` over a WebSocket: one text frame, one `bytes`. Pings of the protocol are answered and sent by
`websockets`; pings that are text belong to the venue's protocol and are the adapter's to send.

    not connected: refused, no such name, no handshake in time     NetworkError / ExecTimeout, reached no
    sent elsewhere (HTTP 3xx)                                      NetworkError, reached no: nobody goes there
    closed by the other side with 1000 or 1001                     the stream ends
    lost in any other way                                          NetworkError, reached unknown
"""

from __future__ import annotations

import asyncio
from typing import Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedOK, InvalidHandshake, InvalidStatus, InvalidURI

from execsim.core.errors import ConfigError, ExecTimeout, NetworkError, Reached

OPEN_S: Final = 5.0
CLOSE_S: Final = 1.0
PING_S: Final = 20.0
FRAME_MAX: Final = 1 << 24
"""Bytes of one frame (16 MiB): the first dump of many books has room."""


class _Straight(connect):
    """Goes nowhere else: the first frame may hold a secret, and a redirect could name anybody's host."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class WebSocketStream:
    """Connected by the first frame that is asked for or sent; whoever comes first, the other waits."""

    def __init__(self, url: str, name: str, *, proxied: bool = True) -> None:
        self._url = url
        self._name = name
        self._proxied = proxied
        self._connection: ClientConnection | None = None
        self._error: NetworkError | None = None
        self._connecting = asyncio.Lock()
        self.closed = False

    def __aiter__(self) -> WebSocketStream:
        return self

    async def __anext__(self) -> bytes:
        """The next frame. Errors: NetworkError."""
        connection = await self._connected()
        try:
            frame = await connection.recv(decode=False)
        except ConnectionClosed as error:
            if self.closed or isinstance(error, ConnectionClosedOK):
                raise StopAsyncIteration from None
            raise self._lost(error) from None
        return frame if isinstance(frame, bytes) else frame.encode()

    async def send(self, frame: bytes) -> None:
        """Send a text frame. Errors: NetworkError."""
        connection = await self._connected()
        try:
            await connection.send(frame, text=True)
        except ConnectionClosed as error:
            raise self._lost(error) from None

    async def aclose(self) -> None:
        """Say goodbye, for CLOSE_S at most. Harmless if repeated."""
        self.closed = True
        if self._connection is not None:
            await self._connection.close()

    async def _connected(self) -> ClientConnection:
        async with self._connecting:
            if self._error is not None:
                raise self._error
            if self._connection is None:
                if self.closed:
                    raise NetworkError(self._name, "the stream is closed", Reached.NO.value)
                self._connection = await self._connect()
            return self._connection

    async def _connect(self) -> ClientConnection:
        no = Reached.NO.value
        try:
            return await _Straight(
                self._url, open_timeout=OPEN_S, close_timeout=CLOSE_S, ping_interval=PING_S, ping_timeout=PING_S,
                max_size=FRAME_MAX, max_queue=256, proxy=True if self._proxied else None,
            )  # fmt: skip
        except InvalidURI as error:
            raise ConfigError(f"{self._url[:200]!r} is no URL of a WebSocket", str(error)) from None
        except TimeoutError:
            self._error = ExecTimeout(self._name, f"no WebSocket within {OPEN_S:g} s", no)
        except InvalidStatus as error:
            what = f"the WebSocket was refused: HTTP {error.response.status_code}"
            self._error = NetworkError(self._name, what, no)
        except (OSError, InvalidHandshake) as error:
            self._error = NetworkError(self._name, f"cannot connect: {getattr(error, 'strerror', '') or error}", no)
        raise self._error

    def _lost(self, error: ConnectionClosed) -> NetworkError:
        return NetworkError(self._name, f"WebSocket lost: {error}", Reached.UNKNOWN.value)
