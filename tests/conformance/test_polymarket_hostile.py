"""Bad input over real sockets: `execsim serve` answers in the venue's words or hangs up, never with a 500, never with what
is another user's, and goes on answering. The generators are those of the fuzz in memory (polymarket_hostile.py)."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from polymarket_hostile import ASKED, CHANGES, FRAMES, OUTER, RAW, tamper
from polymarket_worlds import SHARE, Bot
from served_polymarket import ROOT, SCENARIO, Served
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from execsim.core.instrument import Outcome
from execsim.core.order import Side
from execsim.ports import Request
from execsim_polymarket import endpoints as ep
from execsim_polymarket.sign import PrivateKey, SignedOrder

GRACE_S = 20.0
UNLIMITED = "\n[venues.polymarket.limits]\noff = true\n"
"""A fuzz asks more often than the venue's front door lets anybody ask."""
KEYS = iter(range(7_000, 8_000))


class _Now:
    def now_ns(self) -> int:
        return time.time_ns()


class _Names:
    """The market's tokens, as `Listing` names them."""

    def __init__(self, yes: str, no: str) -> None:
        self.yes_token, self.no_token = yes, no

    def token(self, outcome: Outcome) -> str:
        return self.yes_token if outcome is Outcome.YES else self.no_token


class RemoteWorld:
    """What `Bot` needs of a world, from a server in another process, over one warm connection."""

    def __init__(self, port: int, yes: str, no: str) -> None:
        self.port = port
        self.virtual = _Now()
        self.listing = _Names(yes, no)
        self._line = http.client.HTTPConnection("127.0.0.1", port, timeout=GRACE_S)

    def bot(self) -> Bot:
        return Bot(self, PrivateKey(next(KEYS).to_bytes(32, "big")))  # type: ignore[arg-type]  # it asks for no more

    def close(self) -> None:
        self._line.close()

    async def send(self, request: Request) -> tuple[int, Any]:
        path = request.path.encode("utf-8", "surrogatepass").decode("latin-1")
        self._line.request(request.method, path, request.body or None, dict(request.headers))
        answer = self._line.getresponse()
        return answer.status, json.loads(answer.read())


class Scene:
    """A served exchange, and a victim with an order, whose secrets nobody may ever see."""

    def __init__(self, path: Path) -> None:
        path.write_text((ROOT / f"{SCENARIO}.toml").read_text() + UNLIMITED)
        self.server = Served(str(path))
        names = self.server.market()
        self.world = RemoteWorld(self.server.port, names.yes, names.no)
        self.victim = asyncio.run(self.world.bot().login())
        self.kept = asyncio.run(self.victim.place(Side.BUY, 200, 10 * SHARE))
        assert self.victim.key is not None
        secrets = list(self.victim.key.subscription().values())
        self.secrets = [self.kept, self.victim.account.key.address, *secrets]

    def is_innocent(self, told: Any) -> bool:
        """Whether an answer has nothing of the victim's."""
        text = told if isinstance(told, str) else json.dumps(told)
        return not any(secret.lower() in text.lower() for secret in self.secrets)

    async def is_well(self) -> bool:
        """Whether the server answers, and the victim's order is as it was."""
        status, row = await self.victim.ask(ep.GET_ORDER, name=self.kept)
        return status == 200 and row["status"] == "LIVE"


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    made = Scene(tmp_path_factory.mktemp("hostile") / "scenario.toml")
    yield made
    made.world.close()
    code, said = made.server.stop()
    assert code == 0, said
    assert "Traceback" not in said, said


def test_each_forgery_has_the_venues_answer(scene: Scene) -> None:
    async def play() -> None:
        world = scene.world
        bot, other = await world.bot().login(), await world.bot().login()

        async def refused(body: Any) -> tuple[int, str]:
            status, answer = await bot.post(body)
            return status, answer["error"]

        def signed(maker: int, taker: int, salt: int) -> SignedOrder:
            return bot.account.order(
                side=Side.BUY, token_id=int(world.listing.yes_token), maker_amount=maker, taker_amount=taker, salt=salt,
                timestamp_ms=1, neg_risk=False,
            )  # fmt: skip

        good = bot.sign(Side.BUY, 200)
        tampered = bot.body(good)
        tampered["order"]["makerAmount"] = "100000"
        assert await refused(tampered) == (400, "invalid signature")
        assert await refused(bot.body(bot.sign(Side.BUY, 200, neg_risk=True))) == (400, "invalid signature")
        assert other.key is not None
        foreign = bot.body(good) | {"owner": other.key.key}
        assert await refused(foreign) == (400, "the order owner has to be the owner of the API KEY")
        assert await refused(bot.body(bot.sign(token=12345))) == (404, "No orderbook exists for the requested token id")
        off = signed(4_050_000, 10 * SHARE, 1)
        assert (await refused(bot.body(off)))[1].endswith("Price (0.405) breaks minimum tick size rule: 0.01")
        for bad in (b"{", b'{"order":' * 5_000, b"\xff" * 100, b"null", b"[]"):
            assert await refused(bad) == (400, "Invalid order payload")
        assert await refused(b" " * ((1 << 20) + 1)) == (413, "Payload exceeds the limit")
        assert await refused(b"[" + b"0," * (1 << 19)) == (413, "Payload exceeds the limit")
        assert (await refused(b'{"order":"' + b"x" * ((1 << 20) - 12) + b'"}'))[0] == 400
        stale = await bot.ask(ep.GET_ORDERS, now_s=bot.now_s - 1_000)
        assert stale == (401, {"error": "Unauthorized/Invalid api key"})
        first, again = signed(200_000, 10 * SHARE, 77), signed(300_000, 10 * SHARE, 77)
        assert (await bot.post(bot.body(first)))[0] == 200
        assert await refused(bot.body(first)) == (400, f"order {first.order_id_hex} is invalid. Duplicated.")
        assert (await bot.post(bot.body(again)))[0] == 200  # a salt may be used twice: it is another order
        request = bot.request(ep.GET_ORDERS)
        stolen = replace(request, headers={**request.headers, "POLY_ADDRESS": scene.victim.account.key.address})
        assert (await world.send(stolen))[0] == 401
        assert (await bot.ask(ep.CANCEL_ORDER, {"orderID": scene.kept}))[1]["canceled"] == []
        assert (await bot.ask(ep.GET_ORDER, name=scene.kept))[1] is None
        await bot.ask(ep.CANCEL_ALL)
        assert await scene.is_well()

    asyncio.run(play())


# ---------------------------------------------------------------------------------------------------- anything at all
def play_requests(scene: Scene, changes: Any, outer: Any, calls: Any) -> None:
    async def play() -> None:
        bot = await scene.world.bot().login()
        signed = bot.sign(Side.BUY, 200)
        for answer, endpoint, body in await tamper(bot, signed, changes, outer, calls):
            assert scene.is_innocent(answer), (endpoint, body)
        await bot.ask(ep.CANCEL_ALL)
        assert await scene.is_well()

    asyncio.run(play())


def play_bytes(scene: Scene, raw: bytes) -> None:
    """Some bytes, then the end of our side: whatever comes back is an answer to bad input, and nobody's data."""
    with socket.create_connection(("127.0.0.1", scene.server.port), timeout=GRACE_S) as one:
        found = b""
        with suppress(OSError):  # it may hang up while we still send
            one.sendall(raw)
            one.shutdown(socket.SHUT_WR)
            while chunk := one.recv(65_536):
                found += chunk
    statuses = [int(line[9:12]) for line in found.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]
    assert all(status < 500 for status in statuses), (raw, found[:500])
    assert scene.is_innocent(found.decode("latin-1")), raw
    assert asyncio.run(scene.is_well())


def play_frames(scene: Scene, frames: list[bytes]) -> None:
    for url in ("/ws/market", "/ws/user"):
        with connect(f"ws://127.0.0.1:{scene.server.port}{url}", open_timeout=GRACE_S) as channel:
            try:
                for number, frame in enumerate(frames):
                    channel.send(frame, text=bool(number % 2) and is_text(frame))
                channel.send("PING")
                while (told := channel.recv(timeout=GRACE_S)) != "PONG":
                    assert scene.is_innocent(told if isinstance(told, str) else told.decode("latin-1"))
            except ConnectionClosed:  # credentials that are none
                assert url == "/ws/user"
    assert asyncio.run(scene.is_well())


def is_text(frame: bytes) -> bool:
    try:
        frame.decode()
    except UnicodeDecodeError:
        return False
    return True


SHORT = settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
LONG = settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))


@SHORT
@given(changes=CHANGES, outer=OUTER, calls=ASKED)
def test_whatever_is_asked_is_answered(scene: Scene, changes: Any, outer: Any, calls: Any) -> None:
    play_requests(scene, changes, outer, calls)


@settings(SHORT, max_examples=300)
@given(raw=RAW)
def test_whatever_bytes_come_the_next_client_is_answered(scene: Scene, raw: bytes) -> None:
    play_bytes(scene, raw)


@SHORT
@given(frames=FRAMES)
def test_whatever_frames_come_a_channel_answers_or_closes(scene: Scene, frames: list[bytes]) -> None:
    play_frames(scene, frames)


@pytest.mark.soak
@LONG
@given(changes=CHANGES, outer=OUTER, calls=ASKED)
def test_whatever_is_asked_is_answered_for_long(scene: Scene, changes: Any, outer: Any, calls: Any) -> None:
    play_requests(scene, changes, outer, calls)


@pytest.mark.soak
@settings(LONG, max_examples=3_000)
@given(raw=RAW)
def test_whatever_bytes_come_for_long(scene: Scene, raw: bytes) -> None:
    play_bytes(scene, raw)


@pytest.mark.soak
@LONG
@given(frames=FRAMES)
def test_whatever_frames_come_for_long(scene: Scene, frames: list[bytes]) -> None:
    play_frames(scene, frames)


def test_half_open_and_slow_clients_beside_others(scene: Scene) -> None:
    """They are ended in time (tests/unit/exchange/test_http_server.py); until then they are in nobody's way."""
    starts = (b"", b"POST /order HTTP/1.1\r\n", b"POST /order HTTP/1.1\r\nhost: x\r\ncontent-length: 400\r\n\r\n{",
              b"GET /ws/market HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\n", b"\x00\xff" * 50)  # fmt: skip
    half = [socket.create_connection(("127.0.0.1", scene.server.port)) for _ in range(200)]
    for number, one in enumerate(half):
        one.sendall(starts[number % len(starts)])
    for number, one in enumerate(half):
        assert asyncio.run(scene.is_well())
        if number % 3 == 0:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")  # a reset instead of an end
        one.close()
    assert asyncio.run(scene.is_well())


def test_a_flood_of_market_data_is_answered_429_and_orders_go_on() -> None:
    """With the venue's own limits: 100 a window for GET /ok, then 5 s of waiting at most, then 429."""
    server = Served(SCENARIO)
    try:
        statuses = flood(server.port)
        assert statuses[:100] == [200] * 100
        assert set(statuses[100:]) == {429}  # 10 s to wait, and nobody is let wait for so long
        names = server.market()
        world = RemoteWorld(server.port, names.yes, names.no)
        with closing(world):
            bot = asyncio.run(world.bot().login())
            assert asyncio.run(bot.place(Side.BUY, 200))
    finally:
        code, said = server.stop()
    assert (code, "Traceback" in said) == (0, False), said


def flood(port: int) -> list[int]:
    """Statuses of 150 GET /ok over one connection."""
    found = []
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=GRACE_S)) as line:
        for _ in range(150):
            line.request("GET", "/ok")
            answer = line.getresponse()
            body = json.loads(answer.read())
            if answer.status == 429:
                assert body == {"error": "Too Many Requests"}
                assert 1 <= int(answer.headers["retry-after"]) <= 10
            found.append(answer.status)
    return found
