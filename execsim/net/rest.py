"""HTTP requests to one server through httpx: warm connections, HTTP/2 where it is offered, deadlines, our errors.

    connection refused, not made in time, no free one     NetworkError / ExecTimeout, reached no
    lost or silent after the request began to leave       NetworkError / ExecTimeout, reached unknown

Nothing is sent twice: httpx's retries concern connecting only, and are off.
"""

from __future__ import annotations

import ipaddress
import ssl
from typing import Final

import httpx

from execsim.core.errors import ConfigError, ExecTimeout, NetworkError, Reached
from execsim.ports import Request, Response

CONNECT_S: Final = 5.0
DEADLINE_S: Final = 10.0
"""How long a read or write may make no progress. A caller's own deadline, if shorter, comes first."""
KEEP_S: Final = 120.0
"""How long an idle connection is kept: making a new one costs two or three round trips."""
CONNECTIONS_MAX: Final = 64
KEPT_HEADERS: Final = ("content-type", "date", "retry-after")
"""Of an answer's headers these are handed on, and those that begin with KEPT_PREFIX: cookies and the like are nobody's
business, and a recorded session holds them all."""
KEPT_PREFIX: Final = "poly-ratelimit-"

_UNSENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
"""Not LocalProtocolError: under HTTP/2 it also stands for a bad frame of the server's, after it has taken the request."""


class RestClient:
    """Requests to `base_url`. A path that is a whole URL goes there instead. `trusted`: whose certificates are believed,
    default: those that httpx believes. Errors: ConfigError for a bad URL."""

    def __init__(
        self,
        base_url: str,
        name: str = "",
        *,
        connect_s: float = CONNECT_S,
        deadline_s: float = DEADLINE_S,
        trusted: ssl.SSLContext | None = None,
    ) -> None:
        self.base_url = _url(base_url)
        self.name = name or self.base_url.host
        self._client = httpx.AsyncClient(
            base_url=self.base_url,
            http2=True,
            verify=True if trusted is None else trusted,
            timeout=httpx.Timeout(deadline_s, connect=connect_s),
            limits=httpx.Limits(
                max_connections=CONNECTIONS_MAX, max_keepalive_connections=CONNECTIONS_MAX, keepalive_expiry=KEEP_S
            ),
            headers={"User-Agent": "execsim", "Accept": "application/json"},
            trust_env=not is_loopback(self.base_url.host),  # a proxy does not reach this machine
        )

    async def request(self, request: Request) -> Response:
        """The answer, whatever its status. Errors: NetworkError, ExecTimeout."""
        try:
            found = await self._client.request(
                request.method, request.path, content=request.body or None, headers=dict(request.headers)
            )
        except httpx.InvalidURL as error:
            raise ConfigError(f"{request.path[:200]!r} is no URL", str(error)) from None
        except (httpx.HTTPError, OSError, RuntimeError) as error:
            raise self._error(error) from None
        headers = {name: value for name, value in found.headers.items() if _kept(name)}
        return Response(found.status_code, headers, found.content)

    async def aclose(self) -> None:
        await self._client.aclose()

    def _error(self, error: Exception) -> NetworkError:
        reached = (Reached.NO if isinstance(error, _UNSENT) else Reached.UNKNOWN).value
        what = str(error) or type(error).__name__
        if isinstance(error, httpx.TimeoutException):
            return ExecTimeout(self.name, f"no answer in time ({type(error).__name__})", reached)
        return NetworkError(self.name, what, reached)


def is_loopback(host: str) -> bool:
    """Whether it names this machine."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def require_loopback(url: str, host: str, scheme: str) -> None:
    """For a URL whose traffic is not encrypted. Errors: ConfigError for a host that is not this machine."""
    if not is_loopback(host):
        what = f"{url[:200]!r} is not encrypted: logins and orders could be read on their way"
        raise ConfigError(what, f"use {scheme}://; without it only this machine (127.0.0.1) is reached")


def _kept(name: str) -> bool:
    return name in KEPT_HEADERS or name.startswith(KEPT_PREFIX)


def _url(text: str) -> httpx.URL:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise ConfigError(f"{text[:200]!r} is no URL", str(error)) from None
    if url.scheme not in ("http", "https") or not url.host:
        raise ConfigError(f"{text[:200]!r} is no URL of a server", "e.g. https://clob.polymarket.com")
    if url.scheme == "http":
        require_loopback(text, url.host, "https")
    return url
