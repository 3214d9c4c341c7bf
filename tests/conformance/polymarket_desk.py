"""An engine that trades at the scripted Polymarket, in virtual time."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from polymarket_news import CID, SHARE, START_NS
from polymarket_script import ScriptedVenue

from execsim.core.events import VenueEvent
from execsim.core.order import Order, OrderType, Side, VenueId
from execsim.engine import EngineConfig, ExecutionEngine
from execsim.journal import HashJournal
from execsim.market import Books, Ladders
from execsim.ports import VenueConfig
from execsim.runtime import VirtualRuntime
from execsim_polymarket.client import PolymarketVenue


class World:
    """A scripted venue, our adapter, and what it told (`events`), if anybody lets it."""

    def __init__(self, **extra: Any) -> None:
        self.runtime = VirtualRuntime(7, START_NS)
        self.server = ScriptedVenue(self.runtime)
        self.extra = {"identity": self.server.identity(), "markets": {"rain": CID}, **extra}
        self.venue = self.adapter()
        self.events: list[VenueEvent] = []

    def adapter(self) -> PolymarketVenue:
        config = VenueConfig(VenueId("polymarket"), extra=self.extra)
        return PolymarketVenue(config, self.server.transport(), self.runtime)


class Desk(World):
    """`engine` is there once the venue has started; `events` are what adapters besides its own have told."""

    engine: ExecutionEngine

    def begin(self) -> None:
        engine = self.engine = ExecutionEngine(EngineConfig(), self.runtime, HashJournal())
        engine.register_adapter(self.venue)
        ladders = Ladders({"rain": self.venue.instruments()["rain"].tick_i})
        ladders.sink = books = Books(self.runtime, ladders, ladders, ["rain"])
        engine.attach_books(books)

    def asked(self, path: str) -> int:
        """How many requests for a path there were."""
        return sum(request.path.startswith(path) for request in self.server.requests)

    def make(self, **more: Any) -> Order:
        given: dict[str, Any] = {
            "side": Side.BUY, "type": OrderType.LIMIT, "size_lots": 10 * SHARE, "price_i": 5_200, **more,
        }  # fmt: skip
        return Order(self.engine.new_order_id(), self.venue.instruments()["rain"], **given)

    async def placed(self, **more: Any) -> Order:
        order = self.make(**more)
        await self.engine.submit_order(order)
        return order

    def row(self, order: Order) -> dict[str, Any]:
        """The order as the venue has it."""
        return self.server.orders[self.venue.hash_of(order.id)]

    def fill(self, order: Order, size: str, trade_id: str, **more: Any) -> dict[str, Any]:
        """A trade of the order, as `ScriptedVenue.fill`."""
        return self.server.fill(self.venue.hash_of(order.id), size, trade_id, **more)

    def say(self, order: Order, kind: str, **more: Any) -> None:
        """News of the order on the user channel: PLACEMENT, UPDATE or CANCELLATION."""
        stamp = str(self.runtime.now_ns() // 10**6)
        self.server.push(
            "/ws/user", {"event_type": "order", "type": kind, **self.row(order), "timestamp": stamp, **more}
        )


def trade_with(script: Callable[[Desk], Coroutine[Any, Any, None]], **extra: Any) -> None:
    """Run the script with a desk whose venue has started."""
    desk = Desk(**extra)

    async def main() -> None:
        await desk.venue.start()
        desk.begin()
        await script(desk)
        await desk.venue.aclose()

    desk.runtime.run(main=main())
