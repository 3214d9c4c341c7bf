"""HTTP/2 where it is offered: our client against a server of it (hypercorn), over TLS on loopback."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import h2.config
import h2.connection
import h2.events
import pytest
import trustme
from hypercorn.asyncio import serve
from hypercorn.config import Config

from execsim.core.errors import NetworkError, Reached
from execsim.net.rest import RestClient
from execsim.ports import Request

GRACE_S = 20.0
TOGETHER = 20
DATA_BEFORE_HEADERS = b"\x00\x00\x05\x00\x01\x00\x00\x00\x01hello"
"""A frame that no answer may begin with."""


class App:
    """Answers with the version of HTTP that was spoken and what was sent; `sources` are the connections that came."""

    def __init__(self) -> None:
        self.sources: set[int] = set()
        self.waiting = 0
        self.most = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":  # lifespan: not spoken
            raise NotImplementedError
        self.sources.add(scope["client"][1])
        body = b""
        while (message := await receive())["type"] == "http.request":
            body += message["body"]
            if not message["more_body"]:
                break
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        if scope["path"] == "/wait":
            while self.most < TOGETHER:
                await asyncio.sleep(0)
        self.waiting -= 1
        headers = [(b"content-type", b"text/plain"), (b"retry-after", b"3"), (b"set-cookie", b"secret=1")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": f"{scope['http_version']} ".encode() + body})


@asynccontextmanager
async def serving(app: App, folder: Path, offered: list[str]) -> AsyncIterator[tuple[str, ssl.SSLContext]]:
    """Its URL, and what a client must believe."""
    authority, config = trustme.CA(), Config()
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    issued.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    config.bind = ["127.0.0.1:0"]
    config.keyfile, config.certfile = str(folder / "key.pem"), str(folder / "cert.pem")
    config.alpn_protocols = offered
    config.accesslog = config.errorlog = None
    sockets = config.create_sockets()
    config.create_sockets = lambda: sockets  # type: ignore[method-assign]  # bound once, so that the port is known
    over = asyncio.Event()
    server = asyncio.create_task(serve(app, config, shutdown_trigger=over.wait))  # type: ignore[arg-type]
    trusted = ssl.create_default_context()
    authority.configure_trust(trusted)
    port = sockets.secure_sockets[0].getsockname()[1]
    try:
        while not await _listens(port):
            await asyncio.sleep(0.01)
        yield f"https://127.0.0.1:{port}", trusted
    finally:
        over.set()
        await server


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


@pytest.mark.parametrize(("offered", "spoken"), [(["h2", "http/1.1"], b"2"), (["http/1.1"], b"1.1")])
def test_the_best_version_offered_is_spoken(tmp_path: Path, offered: list[str], spoken: bytes) -> None:
    async def main() -> None:
        app = App()
        async with serving(app, tmp_path, offered) as (url, trusted):
            client = RestClient(url, trusted=trusted)
            try:
                for number in range(3):
                    answer = await client.request(Request("POST", "/order?a=b", {"X": "y"}, b"%d" % number))
                    assert (answer.status, answer.body) == (200, spoken + b" %d" % number)
                    assert sorted(answer.headers) == ["content-type", "date", "retry-after"]
            finally:
                await client.aclose()
        assert len(app.sources) == 1

    asyncio.run(asyncio.wait_for(main(), GRACE_S))


def test_many_requests_travel_on_one_connection_at_a_time(tmp_path: Path) -> None:
    """None of them is answered before all have come: HTTP/1.1 would need a connection for each."""

    async def main() -> None:
        app = App()
        async with serving(app, tmp_path, ["h2"]) as (url, trusted):
            client = RestClient(url, trusted=trusted)
            try:
                await client.request(Request("GET", "/first"))
                asked = [client.request(Request("POST", "/wait", {}, b"%d" % i)) for i in range(TOGETHER)]
                answers = await asyncio.gather(*asked)
            finally:
                await client.aclose()
        assert [answer.body for answer in answers] == [b"2 %d" % i for i in range(TOGETHER)]
        assert (app.most, len(app.sources)) == (TOGETHER, 1)

    asyncio.run(asyncio.wait_for(main(), GRACE_S))


def test_a_server_nobody_vouches_for_is_not_spoken_to(tmp_path: Path) -> None:
    async def main() -> None:
        app = App()
        async with serving(app, tmp_path, ["h2"]) as (url, _):
            client = RestClient(url)
            try:
                with pytest.raises(NetworkError, match="CERTIFICATE_VERIFY_FAILED") as raised:
                    await client.request(Request("POST", "/order", {}, b"secret"))
            finally:
                await client.aclose()
        assert raised.value.reached is Reached.NO
        assert not app.sources

    asyncio.run(asyncio.wait_for(main(), GRACE_S))


def test_a_server_that_breaks_the_protocol_may_have_taken_the_request(tmp_path: Path) -> None:
    taken: list[bytes] = []

    async def take_and_break(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        connection.initiate_connection()
        writer.write(connection.data_to_send())
        while data := await reader.read(65_536):
            for event in connection.receive_data(data):
                if isinstance(event, h2.events.DataReceived):
                    taken.append(bytes(event.data))
                if isinstance(event, h2.events.StreamEnded):
                    writer.write(connection.data_to_send() + DATA_BEFORE_HEADERS)
            writer.write(connection.data_to_send())

    async def main() -> None:
        authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        context.set_alpn_protocols(["h2"])
        trusted = ssl.create_default_context()
        authority.configure_trust(trusted)
        server = await asyncio.start_server(take_and_break, "127.0.0.1", 0, ssl=context)
        client = RestClient(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}", trusted=trusted)
        try:
            with pytest.raises(NetworkError) as raised:
                await client.request(Request("POST", "/order", {}, b"an order"))
        finally:
            await client.aclose()
            server.close()
        assert b"".join(taken) == b"an order"
        assert raised.value.reached is Reached.UNKNOWN

    asyncio.run(asyncio.wait_for(main(), GRACE_S))
