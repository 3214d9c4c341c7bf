"""A scenario's exchange for others to trade on, behind a dialect: in virtual time that its host moves.

The market moves as in a replay; nobody trades but who connects. When the data ends the exchange says so and goes on
answering: accounts and orders live until it is stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final, Protocol

from execsim.core.units import NS_PER_S
from execsim.exchange import TRADER, ConstantLatency, LatencyModel, SimulatedVenue
from execsim.exchange.desk import ServedDesk
from execsim.exchange.publisher import Publisher
from execsim.ports import Desk, DeskClock, Dialect, HostInput, Priority, RewardTerms
from execsim.runtime import HostedRuntime, Pacer
from execsim.scenario import model
from execsim.scenario.accrual import reward_terms
from execsim.scenario.build import Loaded
from execsim.scenario.door import HostedDoor
from execsim.scenario.grading import market_grades, schedule_blindness
from execsim.scenario.stage import endow, set_stage

NO_LATENCY: Final = LatencyModel(ConstantLatency(), ConstantLatency(), ConstantLatency(), about="none but the sockets'")


class Server(Protocol):
    """What carries the dialect: exchange/server.py, or one of an adapter."""

    async def start(self) -> None: ...

    def hang_up(self) -> None: ...

    async def aclose(self) -> None: ...


class Host:
    """A served scenario. `pacer` moves its time. `latency` False: no simulated ways, neither to the venue nor of market
    data: what the sockets take is all there is.

    Make it, `take_up` a log if there is one, then `run` a server on its door."""

    def __init__(
        self,
        scenario: model.Scenario,
        loaded: Loaded,
        pacer: Pacer,
        folder: Path,
        dialect: Dialect,
        *,
        latency: bool = True,
    ) -> None:
        self._scenario = scenario
        self._loaded = loaded
        self.runtime: HostedRuntime = pacer.runtime
        self.pacer = pacer
        self._stage = set_stage(scenario, loaded, self.runtime, folder, latency=None if latency else NO_LATENCY)
        self._publisher = Publisher(self._stage.reader, [market.id for market in loaded.markets])
        self.on_ended: Callable[[], None] = lambda: None
        """called when the market's data is used up"""
        self.ended = False
        self.desks: Mapping[str, Desk] = {name: self._desk(name) for name in self._stage.exchanges}
        for desk in self.desks.values():
            desk.open_account(TRADER)  # balances that do not fit are found now, not by the first client
        self.door = HostedDoor(pacer, dialect, self.desks)
        self._dialect = dialect
        self._begun = False

    def _desk(self, name: str) -> ServedDesk:
        infos = {market.id: market.info for market in self._loaded.markets}
        return ServedDesk(
            self._stage.exchanges[name], self._publisher, self._stage.latencies[name], self._endow, self._clock,
            self.pacer, infos, self._rewards(name),
        )  # fmt: skip

    def _rewards(self, name: str) -> dict[str, RewardTerms]:
        item, markets = self._scenario.venues.get(name, model.Venue()), self._stage.exchanges[name].instruments
        where = f"venues.{name}.rewards"
        return {market: reward_terms(markets, market, terms, where)[1] for market, terms in item.rewards.items()}

    def _endow(self, venue: SimulatedVenue) -> None:
        endow(self._scenario, self._loaded, venue)

    def _clock(self) -> DeskClock:
        start_ns, end_ns = self._loaded.start_ns, self._loaded.end_ns
        pacer = self.pacer
        return DeskClock(self.runtime.now_ns(), start_ns, end_ns, pacer.speed, pacer.moving, self.ended)

    def begin(self) -> None:
        """Everything is in its place from now on; nothing has moved. Harmless if repeated."""
        if not self._begun:
            self._begun = True
            for desk in self.desks.values():
                self._dialect.begin(desk)
            self.runtime.begin(self._market())

    def take_up(self, inputs: Iterable[HostInput]) -> int:
        """Do again what is in the log, as fast as can be; how many inputs that were. Errors: JournalError."""
        self.begin()
        return self.pacer.replay(inputs, self.door.perform)

    async def _market(self) -> None:
        """The run's main task."""
        stage, publisher, runtime = self._stage, self._publisher, self.runtime
        tape = stage.tape(publisher)
        stage.schedule_resolutions(publisher)
        if self._scenario.exchange.ungraded == "refuse":
            schedule_blindness(runtime, stage.kernel, self._loaded, market_grades(self._loaded))
        stage.open(tape, publisher)
        market = runtime.spawn((stage.agents or tape).run(), "tape")
        await market.join()
        await runtime.sleep_until(stage.last_ns() + NS_PER_S, Priority.LAST)
        self.ended = True
        publisher.end(runtime.now_ns())
        self.on_ended()
        await runtime.pending("somebody to stop the exchange")

    async def run(self, server: Server, start: Callable[[], None]) -> None:
        """In asyncio, until cancelled. `start` is called when clients can connect: it begins or resumes the pacer.
        Errors: what ended the run."""
        self.begin()
        self.pacer.open()
        try:
            await server.start()
            start()
            await self.pacer.wait()
        finally:
            await server.aclose()
            self.pacer.close()
            self.runtime.end()
