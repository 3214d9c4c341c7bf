"""`ports.Transport` for venues that speak REST and WebSocket: both joined, closed together.

    transport = WebTransport("https://clob.polymarket.com", "wss://ws-subscriptions-clob.polymarket.com")
    await transport.request(Request("GET", "/time"))
    stream = transport.stream("/ws/market")

Tasks of a WallRuntime may wait here; through `runtime.SessionTransport` the session is recorded.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from execsim.core.errors import ConfigError, NetworkError, Reached
from execsim.net.rest import CONNECT_S, DEADLINE_S, RestClient, is_loopback, require_loopback
from execsim.net.stream import WebSocketStream
from execsim.ports import Request, Response


class WebTransport:
    """`rest` and `ws` are base URLs; `ws` default: that of `rest` with its scheme changed. Unencrypted ones (http, ws) are
    for this machine only. Errors: ConfigError."""

    def __init__(
        self, rest: str, ws: str = "", name: str = "", *, connect_s: float = CONNECT_S, deadline_s: float = DEADLINE_S
    ) -> None:
        self._rest = RestClient(rest, name, connect_s=connect_s, deadline_s=deadline_s)
        self._ws = (ws or _ws_of(str(self._rest.base_url))).rstrip("/")
        parts = urlsplit(self._ws)
        if parts.scheme not in ("ws", "wss") or not parts.hostname:
            raise ConfigError(f"{self._ws[:200]!r} is no URL of a WebSocket server", "it begins with ws:// or wss://")
        if parts.scheme == "ws":
            require_loopback(self._ws, parts.hostname, "wss")
        self._proxied = not is_loopback(parts.hostname)
        self.name = name or self._rest.name
        self._streams: list[WebSocketStream] = []
        self._closed = False

    async def request(self, request: Request) -> Response:
        if self._closed:
            raise NetworkError(self.name, "the transport is closed", Reached.NO.value)
        return await self._rest.request(request)

    def stream(self, url: str) -> WebSocketStream:
        """`url`: a path below `ws`."""
        stream = WebSocketStream(self._ws + url, self.name, proxied=self._proxied)
        self._streams = [each for each in self._streams if not each.closed]
        self._streams.append(stream)
        return stream

    async def aclose(self) -> None:
        self._closed = True
        for stream in self._streams:
            await stream.aclose()
        self._streams.clear()
        await self._rest.aclose()


def is_loopback_url(url: str) -> bool:
    """Whether a URL's host is this machine."""
    return is_loopback(urlsplit(url).hostname or "")


def _ws_of(url: str) -> str:
    return "ws" + url.removeprefix("http")
