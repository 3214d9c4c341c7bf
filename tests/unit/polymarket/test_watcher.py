"""Market data without an account, from our own Polymarket in memory: nothing that needs a login, gaps at lost
connections."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from polymarket_worlds import World
from worlds import MS, Tape

from execsim.core.errors import ConfigError
from execsim.core.order import VenueId
from execsim.exchange.loopback import Loopback
from execsim.ports import Request, Response, VenueConfig
from execsim_polymarket.watcher import PolymarketData

SHARE = 1_000_000
BIDS, ASKS = [(4_800, 100 * SHARE)], [(5_200, 80 * SHARE)]


class Heard:
    """A `MarketSink` that writes down what it is told."""

    def __init__(self) -> None:
        self.said: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        def hear(*told: Any) -> None:
            self.said.append((name.removeprefix("on_"), *told))

        return hear


class Counted(Loopback):
    """What is asked for."""

    def __init__(self, *terms: Any) -> None:
        super().__init__(*terms)
        self.asked: list[Request] = []

    async def request(self, request: Request) -> Response:
        self.asked.append(request)
        return await super().request(request)


def test_it_asks_for_the_markets_and_tells_what_they_do() -> None:
    world = World(
        Tape().book(0, BIDS, ASKS).level(300 * MS, -1, 5_200, 30 * SHARE).trade(400 * MS, 1, 5_200, 30 * SHARE)
    )
    transport = Counted(world.virtual, world.dialect, world.desk)
    config = VenueConfig(VenueId("polymarket"), extra={"markets": {"wet": world.listing.condition_id}})
    data, heard = PolymarketData(config, transport, world.virtual), Heard()

    async def scene() -> None:
        await world.virtual.sleep(10 * MS)  # the book is there
        await data.start()
        inst = data.instruments()["wet"]
        assert (inst.venue, inst.market, inst.tick_i) == ("polymarket", "wet", 100)
        data.feed(heard)  # type: ignore[arg-type]  # every method is there
        await world.virtual.sleep(1_000 * MS)
        transport.cut()
        await world.virtual.sleep(60_000 * MS)
        await data.aclose()
        heard.said.append(("closed",))
        await world.virtual.sleep(1_000 * MS)

    world.play(scene)
    kinds = [(said[0], *said[3:]) if said[0] in ("snapshot", "levels", "gap") else said[:1] for said in heard.said]
    after = [(4_800, 100 * SHARE)], [(5_200, 30 * SHARE)]
    assert kinds == [
        ("snapshot", BIDS, ASKS), ("levels", [(-1, 5_200, 30 * SHARE)]), ("trade",), ("gap", True), ("snapshot", *after),
        ("gap", False), ("closed",),
    ]  # fmt: skip
    assert {said[1] for said in heard.said if said[0] not in ("trade", "closed")} == {"wet"}
    assert [request.path for request in transport.asked] == [f"/clob-markets/{world.listing.condition_id}"]
    assert not transport.asked[0].headers


def test_one_market_has_one_name() -> None:
    world = World(Tape().book(0, BIDS, ASKS))
    markets = dict.fromkeys(("wet", "dry"), world.listing.condition_id)
    data = PolymarketData(
        VenueConfig(VenueId("polymarket"), extra={"markets": markets}),
        Loopback(world.virtual, world.dialect, world.desk), world.virtual,
    )  # fmt: skip

    async def scene() -> None:
        with pytest.raises(ConfigError, match="markets 'wet' and 'dry' are the same market there"):
            await data.start()

    world.play(scene)
