"""A scenario's exchange for others to trade on: in wall time, at the tape's pace or faster, behind a dialect.

The market moves as in a replay; nobody trades but who connects. When the data ends the exchange says so and goes on
answering: accounts and orders live until it is stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Protocol

from execsim.core.units import NS_PER_S
from execsim.exchange import TRADER, ConstantLatency, LatencyModel, SimulatedVenue
from execsim.exchange.desk import ServedDesk
from execsim.exchange.publisher import Publisher
from execsim.ports import Desk, DeskClock, Priority, RewardTerms, Runtime
from execsim.runtime.held import HeldRuntime
from execsim.scenario import model
from execsim.scenario.accrual import reward_terms
from execsim.scenario.build import Loaded
from execsim.scenario.grading import market_grades, schedule_blindness
from execsim.scenario.stage import endow, set_stage

NO_LATENCY: Final = LatencyModel(ConstantLatency(), ConstantLatency(), ConstantLatency(), about="none but the sockets'")


class Server(Protocol):
    """What carries the dialect: exchange/server.py, or one of an adapter."""

    async def start(self) -> None: ...

    async def aclose(self) -> None: ...


class Host:
    """A served scenario. `held`: the market waits until a client says go. `latency` False: no simulated ways, neither to
    the venue nor of market data: what the sockets take is all there is. `wall_ns` is the real time, by which clients set
    their clocks (default: they have the exchange's)."""

    def __init__(
        self,
        scenario: model.Scenario,
        loaded: Loaded,
        runtime: Runtime,
        folder: Path,
        *,
        speed: int = 1,
        held: bool = False,
        latency: bool = True,
        wall_ns: Callable[[], int] | None = None,
    ) -> None:
        self._scenario = scenario
        self._loaded = loaded
        self._speed = speed
        self._wall_ns = wall_ns
        self.runtime = HeldRuntime(runtime, loaded.start_ns)
        """the exchange's time: what works on clients' requests runs on it"""
        self._start_held = held
        self._stage = set_stage(scenario, loaded, self.runtime, folder, latency=None if latency else NO_LATENCY)
        self._publisher = Publisher(self._stage.reader, [market.id for market in loaded.markets])
        self._ended = False
        self.desks: Mapping[str, Desk] = {name: self._desk(name) for name in self._stage.exchanges}
        for desk in self.desks.values():
            desk.open_account(TRADER)  # balances that do not fit are found now, not by the first client

    def _desk(self, name: str) -> ServedDesk:
        return ServedDesk(
            self._stage.exchanges[name],
            self._publisher,
            self._stage.latencies[name],
            self._endow,
            self._clock,
            self.runtime.release,
            self._wall_ns,
            {market.id: market.info for market in self._loaded.markets},
            self._rewards(name),
        )

    def _rewards(self, name: str) -> dict[str, RewardTerms]:
        item, markets = self._scenario.venues.get(name, model.Venue()), self._stage.exchanges[name].instruments
        where = f"venues.{name}.rewards"
        return {market: reward_terms(markets, market, terms, where)[1] for market, terms in item.rewards.items()}

    def _endow(self, venue: SimulatedVenue) -> None:
        endow(self._scenario, self._loaded, venue)

    def _clock(self) -> DeskClock:
        start_ns, end_ns = self._loaded.start_ns, self._loaded.end_ns
        return DeskClock(self.runtime.now_ns(), start_ns, end_ns, self._speed, not self.runtime.held, self._ended)

    async def run(self, server: Server, ready: Callable[[], None], ended: Callable[[], None]) -> None:
        """Until cancelled. `ready` is called when clients can connect, `ended` when the market's data is used up."""
        stage, publisher, clock = self._stage, self._publisher, self.runtime
        tape = stage.tape(publisher)
        stage.schedule_resolutions(publisher)
        if self._scenario.exchange.ungraded == "refuse":
            schedule_blindness(clock, stage.kernel, self._loaded, market_grades(self._loaded))
        stage.open(tape, publisher)
        try:
            await server.start()
            market = clock.spawn((stage.agents or tape).run(), "tape")
            if not self._start_held:
                clock.release()
            ready()
            await market.join()
            await clock.sleep_until(stage.last_ns() + NS_PER_S, Priority.LAST)
            self._ended = True
            publisher.end(clock.now_ns())
            ended()
            await clock.pending("somebody to stop the exchange")
        finally:
            await server.aclose()
