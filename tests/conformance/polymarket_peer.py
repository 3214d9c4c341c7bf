"""The scripted Polymarket over real sockets, and the environment that points `--live` at it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from polymarket_news import NO, YES
from polymarket_script import SECRET, ScriptedVenue
from web_peer import serving
from websockets.asyncio.server import ServerConnection

from execsim.ports import Request, Response

STANDARD = "0xE111180000d2663C0091e4f400237545B87B996B"
NEG_RISK = "0xe2222d279d744050d28e00520010520000310F59"
V3 = "0xe3333700cA9d93003F00f0F71f8515005F6c00Aa"


class _Clock:
    """What the script asks of a runtime."""

    def now_ns(self) -> int:
        return time.time_ns()


class PeerVenue(ScriptedVenue):
    """`answer` and `chat` over sockets. Every order rests; `crossing` fills a bought one at once."""

    def __init__(self) -> None:
        super().__init__(_Clock())  # type: ignore[arg-type]  # only its clock is asked
        self.crossing = False
        self.spenders = [STANDARD, NEG_RISK, V3]
        self.heard: list[dict[str, Any]] = []
        self.chats: list[ServerConnection] = []

    def serve(self, request: Request) -> Response | None:
        self.requests.append(request)
        script = self.refuse.get(f"{request.method} {request.path.partition('?')[0]}", [])
        if script:
            said = script.pop(0)
            return said if isinstance(said, Response) else None
        return self.answer(request)

    def on_get_version(self, *_: Any) -> Any:
        return {"version": 2}

    def on_get_auth_ban_status_closed_only(self, *_: Any) -> Any:
        return {"closed_only": False}

    def on_get_balance_allowance(self, *asked: Any) -> Any:
        return super().on_get_balance_allowance(*asked) | {"allowances": dict.fromkeys(self.spenders, "1000000000")}

    async def chat(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        async for frame in socket:
            if frame == "PING":
                await socket.send("PONG")
                continue
            message = json.loads(frame)
            self.heard.append(message)
            if socket.request.path == "/ws/market":
                await socket.send(json.dumps([self.book(token) for token in (YES, NO)]))
            elif message["auth"] != self.key.subscription():
                await socket.close()


@contextmanager
def live_venue() -> Iterator[tuple[PeerVenue, dict[str, str]]]:
    """The venue, and the environment for it."""
    venue = PeerVenue()
    with serving(venue.serve, venue.chat) as peer:
        yield venue, {
            "EXECSIM_POLYMARKET_HOST": peer.rest, "EXECSIM_POLYMARKET_WS": peer.ws, "POLYMARKET_PK": SECRET,
        }  # fmt: skip
