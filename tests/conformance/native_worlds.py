"""The small worlds of the exchange tests behind the native dialect: in memory in virtual time, over sockets in wall time."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

from venue_session import Wire
from worlds import MS, START_NS, VENUE_NAME, Tape, World

from execsim.core.instrument import Asset, Instrument
from execsim.core.order import VenueId
from execsim.engine import EngineConfig, ExecutionEngine, RetryConfig, RouteConfig
from execsim.engine.throttle import RateLimiterConfig
from execsim.exchange import ConstantLatency, KernelBooks, LatencyModel, SimulatedVenue
from execsim.exchange.desk import ServedDesk
from execsim.exchange.door import OpenDoor
from execsim.exchange.loopback import Loopback
from execsim.exchange.publisher import Publisher
from execsim.exchange.server import LinesServer, bind
from execsim.market import Books, Ladders
from execsim.net import LinesTransport
from execsim.ports import DeskClock, Journal, Transport, VenueConfig
from execsim.runtime import VirtualRuntime, WallRuntime
from execsim_native import NativeDialect, NativeVenue

LATENCY = LatencyModel(ConstantLatency(), ConstantLatency(4 * MS), ConstantLatency(4 * MS))


class Served(World):
    """A world whose venue is behind a desk: any number of clients, each with an account of its own."""

    def __init__(
        self,
        runtime: Any,
        tape: Tape,
        instruments: Sequence[Instrument],
        money: Mapping[Asset, int] | None = None,
        sets: int = 0,
        latency: LatencyModel = LATENCY,
        **options: Any,
    ) -> None:
        self._money, self._sets = dict(money or {}), sets
        super().__init__(runtime, tape, instruments, sink=_Later(), **options)
        names = [instrument.market for instrument in instruments]
        self.publisher = Publisher(KernelBooks(self.kernel, names), names)
        later: Any = self.market._sink
        later.sink = self.publisher
        self.desk = ServedDesk(self.exchange, self.publisher, latency, self.endow, self.clock)

    def clock(self) -> DeskClock:
        now_ns = self.runtime.now_ns()
        return DeskClock(now_ns, START_NS, START_NS, 1, True, self.market.done)

    def endow(self, venue: SimulatedVenue) -> None:
        for asset, units in self._money.items():
            venue.deposit(asset.name, units)
        if self._sets:
            for instrument in self.instruments:
                venue.split(instrument.market, self._sets)

    def client(self, transport: Transport, account: str = "bob", **extra: Any) -> NativeVenue:
        config = VenueConfig(VenueId(VENUE_NAME), extra={"account": account, **extra})
        return NativeVenue(config, transport, self.runtime)

    def trader(self, venue: NativeVenue) -> Trader:
        """An engine of its own on that client. Call `join` once it is started."""
        return Trader(self, venue)


class _Later:
    """A sink that is chosen after the tape's task was made."""

    def __init__(self) -> None:
        self.sink: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.sink, name)


class Trader:
    """An engine, its books fed by the client. `repeats`: it calls again where it may, instead of showing each refusal."""

    def __init__(
        self, world: Served, venue: NativeVenue, *, journal: Journal | None = None, repeats: bool = False
    ) -> None:
        self.world = world
        self.venue = venue
        limits = {VENUE_NAME: RateLimiterConfig.unlimited()}
        calls = RouteConfig() if repeats else RouteConfig(retry=RetryConfig(attempts_max=1))
        self.engine = ExecutionEngine(
            EngineConfig(rate_limits=limits, enable_validation=False, calls=calls), world.runtime, journal
        )
        names = [instrument.market for instrument in world.instruments]
        self.ladders = Ladders({instrument.market: instrument.tick_i for instrument in world.instruments})
        self.books = Books(world.runtime, self.ladders, self.ladders, names)
        self.ladders.sink = self.books
        self.engine.attach_books(self.books)

    def join(self) -> None:
        self.engine.register_adapter(self.venue)
        for asset, units in self.world._money.items():
            self.engine.deposit(asset, units)
        if self.world._sets:
            for instrument in self.world.instruments:
                self.engine.open_sets(instrument.market, self.world._sets)
        self.venue.feed(self.ladders)


class NativeWorld(Served):
    """What venue_suite wants: one trader's engine and adapter."""

    exact: bool
    wire = Wire()

    def _one_trader(self, transport: Transport, **extra: Any) -> None:
        self.transport = transport
        self.adapter = self.client(transport, **extra)
        one = self.trader(self.adapter)
        self.engine, self.books, self._trader = one.engine, one.books, one

    async def _play(self, main: Coroutine[Any, Any, None]) -> None:
        await self.adapter.start()
        self._trader.join()
        self.runtime.spawn(self.market.run(), "tape", daemon=True)
        await main
        await self.adapter.aclose()
        await self.transport.aclose()


class Memory(NativeWorld):
    """Virtual time, through a loopback."""

    exact = True

    def __init__(self, tape: Tape, instruments: Sequence[Instrument], **options: Any) -> None:
        super().__init__(VirtualRuntime(7, START_NS), tape, instruments, **options)
        self._one_trader(Loopback(self.runtime, NativeDialect(), self.desk))

    def run(self, main: Coroutine[Any, Any, None]) -> None:
        self.runtime.run(main=self._play(main))  # type: ignore[attr-defined]  # a runtime's own method, not of the port
        self.ledger.check()


class Sockets(NativeWorld):
    """Wall time, over TCP on loopback: client and server in one asyncio loop."""

    exact = False

    def __init__(self, tape: Tape, instruments: Sequence[Instrument], speed: int = 1, **options: Any) -> None:
        super().__init__(WallRuntime(7, START_NS, speed, cleanup_ns=500 * MS), tape, instruments, **options)
        listening = bind("127.0.0.1", 0)
        self.address: tuple[str, int] = listening.getsockname()[:2]
        dialect = NativeDialect()
        self.server = LinesServer(OpenDoor(self.runtime, dialect), dialect, {VENUE_NAME: self.desk}, listening)
        self._one_trader(LinesTransport(*self.address))

    def run(self, main: Coroutine[Any, Any, None]) -> None:
        async def hosted() -> None:
            await self.server.start()
            try:
                await self._play(main)
            finally:
                await self.server.aclose()

        self.runtime.run(main=hosted())  # type: ignore[attr-defined]  # a runtime's own method, not of the port
        self.ledger.check()


def money_of(instrument: Instrument, money: Mapping[str, int]) -> dict[Asset, int]:
    return {Asset(name, instrument.quote.unit): units for name, units in money.items()}
