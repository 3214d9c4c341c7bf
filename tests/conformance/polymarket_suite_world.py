"""The small worlds of the exchange tests behind Polymarket's protocol: adapter and server in memory, in virtual time."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any

from native_worlds import Served, Trader
from polymarket_script import CREDENTIALS
from venue_session import RESPONSE_NS, Wire
from worlds import MS, START_NS, VENUE_NAME, Tape

from execsim.core.instrument import Instrument
from execsim.core.order import VenueId
from execsim.core.units import NS_PER_S
from execsim.exchange import ExchangeModel
from execsim.exchange.door import OpenDoor
from execsim.exchange.http_server import HttpServer
from execsim.exchange.loopback import Loopback
from execsim.exchange.resolution import ResolutionModel
from execsim.exchange.server import bind
from execsim.net.web import WebTransport
from execsim.ports import Transport, VenueConfig
from execsim.runtime import SessionTransport, VirtualRuntime, WallRuntime
from execsim_polymarket.client import PolymarketVenue
from execsim_polymarket.dialect import PolymarketDialect
from execsim_polymarket.signing import Identity, SigningTransport, account_of

WIRE = Wire(
    own_checks=frozenset({
        "tick", "price_range", "size_step", "size_zero", "fok_buy",  # cannot be signed, or not for what was asked
        "duplicate", "unknown_market",  # an order's name is the hash of what it says, its token included
    }),
    venue="polymarket",
    codes={"": "400"},  # errors are an HTTP status and a text
    texts={"rate_limit": "Too Many Requests", "expired": "invalid expiration"},
    causes=False, ack_times=False, lapses=False, fok_buys=False,
    pays_out=False,  # tokens are redeemed on chain
    gtd_second_ns=60 * NS_PER_S, gtd_early_ns=60 * NS_PER_S,  # a GTD order is stated for three minutes and lapses after two
    retry_ns=NS_PER_S,
    fill_late_ns=RESPONSE_NS,  # trades have the second, the message that tells of them the ms
)  # fmt: skip
LEAD_NS = 5 * NS_PER_S
"""more than the adapter needs to log in"""
REDEEMED = ExchangeModel(resolution=ResolutionModel(auto_redeem=False))


class SuiteVenue(PolymarketVenue):
    """The adapter with the suite's own instrument: what the venue tells of a market is less than the suite's rules say."""

    suite: Mapping[str, Instrument]

    async def list_market(self, name: str, wanted: str) -> None:
        await super().list_market(name, wanted)
        item = self.by_name[name]
        item.market = replace(item.market, instrument=self.suite[name])


class PolymarketWorld(Served):
    """What venue_suite wants: one trader's engine on the adapter."""

    exact: bool
    wire = WIRE
    wall: WallRuntime | None = None
    """where it runs, if that is in wall time"""

    def _one_trader(self, transport: Transport, **options: Any) -> None:
        """`transport` carries bytes to the dialect; it is signed for here, and tasks of the runtime may wait for it.
        `options` are the Trader's."""
        account = account_of(CREDENTIALS)
        self.transport: Transport = SigningTransport(transport, account)
        if self.wall is not None:
            self.transport = SessionTransport(self.wall, self.transport)
        markets = {instrument.market: instrument.market for instrument in self.instruments}
        extra = {"identity": Identity.of(account).plain(), "markets": markets}
        self.adapter = SuiteVenue(VenueConfig(VenueId(VENUE_NAME), extra=extra), self.transport, self.runtime)
        self.adapter.suite = {instrument.market: instrument for instrument in self.instruments}
        self._trader = Trader(self, self.adapter, **options)  # type: ignore[arg-type]  # a LiveVenue is enough
        self.engine, self.books = self._trader.engine, self._trader.books

    async def _play(self, main: Coroutine[Any, Any, None]) -> None:
        try:
            await self.adapter.start()
            self._trader.join()
            self.runtime.spawn(self.market.run(), "tape", daemon=True)
            if self.wall is not None:  # the clock goes on to where scripts begin, however long that took
                self.wall._origin_ns += START_NS - self.wall.now_ns()
                await self.wall.sleep_until(START_NS)
            await main
        finally:
            main.close()
            await self.adapter.aclose()
            await self.transport.aclose()


class PolymarketMemory(PolymarketWorld):
    """Virtual time, through a loopback."""

    exact = True

    def __init__(self, tape: Tape, instruments: Sequence[Instrument], **options: Any) -> None:
        super().__init__(VirtualRuntime(7, START_NS), tape, instruments, model=REDEEMED, **options)
        self._one_trader(Loopback(self.runtime, PolymarketDialect(), self.desk))

    def run(self, main: Coroutine[Any, Any, None]) -> None:
        self.runtime.run(main=self._play(main))
        self.ledger.check()


class PolymarketSockets(PolymarketWorld):
    """Wall time, HTTP and WebSocket on loopback: client and server in one asyncio loop."""

    exact = False

    def __init__(self, tape: Tape, instruments: Sequence[Instrument], speed: int = 1, **options: Any) -> None:
        self.wall = WallRuntime(7, START_NS - LEAD_NS * speed, speed, cleanup_ns=500 * MS)
        super().__init__(self.wall, tape, instruments, model=REDEEMED, **options)
        listening = bind("127.0.0.1", 0)
        host, port = listening.getsockname()[:2]
        dialect = PolymarketDialect()
        self.server = HttpServer(OpenDoor(self.runtime, dialect), dialect, self.desk, listening)
        self._one_trader(WebTransport(f"http://{host}:{port}"))

    def run(self, main: Coroutine[Any, Any, None]) -> None:
        async def hosted() -> None:
            await self.server.start()
            try:
                await self._play(main)
            finally:
                await self.server.aclose()

        assert self.wall is not None
        self.wall.run(main=hosted())
        self.ledger.check()
