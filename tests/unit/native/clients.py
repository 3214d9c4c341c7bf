"""A client of the native dialect over a loopback in virtual time: what its tests share."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from native_worlds import Memory, money_of
from venue_session import BUY, SHARE, quiet
from worlds import MS, Tape, binary

from execsim.core.events import (
    VenueEvent,
)
from execsim.core.order import (
    Order,
    OrderId,
    OrderType,
    Side,
    TimeInForce,
)
from execsim.exchange.loopback import Loopback
from execsim.ports import Request, Response
from execsim_native import NativeDialect

SECOND = 1_000 * MS


def world(tape: Tape | None = None, money: int = 1_000, sets: int = 100, **options: Any) -> Memory:
    inst = binary()
    return Memory(tape or quiet(), [inst], money=money_of(inst, {"pUSD": money * SHARE}), sets=sets * SHARE, **options)


def play(w: Memory, script: Callable[[Memory], Coroutine[Any, Any, None]]) -> Memory:
    w.run(script(w))
    return w


def order(
    w: Memory,
    name: str,
    side: Side = BUY,
    size: float = 10,
    price: str = "0.48",
    tif: TimeInForce = TimeInForce.GTC,
    expire_ns: int | None = None,
    type: OrderType = OrderType.LIMIT,
) -> Order:
    inst = w.instruments[0]
    return Order(
        OrderId(name), inst, side, type, tif, int(size * SHARE), price_i=inst.grid.price_i(price), expire_ns=expire_ns
    )


def heard(w: Memory) -> list[VenueEvent]:
    """What the adapter tells from now on: instead of the engine."""
    events: list[VenueEvent] = []
    w.adapter._sink = events.append
    return events


class Deaf(Loopback):
    """A venue that never answers what `deaf` names, and answers other things wrongly as `wrong` says."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.deaf: set[str] = set()
        self.wrong: dict[str, bytes] = {}
        self.asked: list[str] = []

    async def request(self, request: Request) -> Response:
        self.asked.append(request.method)
        if request.method in self.deaf:
            await self._runtime.pending("an answer that never comes")
        if request.method in self.wrong:
            return Response(200, {}, self.wrong[request.method])
        return await super().request(request)


def deaf_world(tape: Tape | None = None, **extra: Any) -> tuple[Memory, Deaf]:
    w = world(tape)
    transport = Deaf(w.runtime, NativeDialect(), w.desk)
    w._one_trader(transport, **extra)
    return w, transport
