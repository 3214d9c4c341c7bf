"""A market made by agents: they come, trade with each other and with the strategy, and leave when its time is over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from execsim.core.instrument import Instrument
from execsim.exchange.account import Ledger
from execsim.exchange.agents.kinds import Agent
from execsim.exchange.agents.seat import Entry, Seat
from execsim.exchange.agents.value import Value, ValueModel
from execsim.exchange.l3_feed import L3Feed
from execsim.exchange.l3_matching import L3Matching
from execsim.kernel import Stop
from execsim.ports import Priority, Runtime


@dataclass(frozen=True, slots=True)
class Population:
    """`count` agents of one kind, each with a stream and an account of its own; `name` must be unique in a run."""

    name: str
    agent: Agent
    count: int


@dataclass(frozen=True, slots=True)
class Endowment:
    """What each agent comes with: money in quote units, and lots of the base asset (spot) or of full sets (binary)."""

    cash: int
    lots: int


class AgentMarket:
    """Stands where a tape stands in a replay: `run()` lasts as long as the market does.

    `resolves`: a binary market pays out at its end, 1 with the probability its value stood at, else 0.
    """

    def __init__(
        self,
        runtime: Runtime,
        instrument: Instrument,
        ledger: Ledger,
        entry: Entry,
        matching: L3Matching,
        feed: L3Feed,
        populations: Sequence[Population],
        endowment: Endowment,
        value: ValueModel,
        start_i: int,
        end_ns: int,
        market: int = 0,
        resolves: bool = False,
    ) -> None:
        self._runtime = runtime
        self._instrument = instrument
        self._ledger = ledger
        self._entry = entry
        self._matching = matching
        self.feed = feed
        self._populations = tuple(populations)
        self._endowment = endowment
        self._value_model = value
        self._end_ns = end_ns
        self._start_i = start_i
        self._market = market
        self._resolves = resolves
        tick_i, binary = instrument.tick_i, instrument.complement is not None
        self.value = Value(value, start_i, tick_i, tick_i, instrument.one_i - tick_i if binary else None)
        self.seats: list[Seat] = []
        self.done = False

    def tell(self, publish: Callable[[Stop], None]) -> None:
        """Who is told at a stop of the kernel (TapeMarket.publish); before `run`."""
        self.feed.publish = publish

    async def run(self) -> None:
        """Until the market's time is over and the last of its news has arrived."""
        runtime = self._runtime
        self.feed.open()
        tasks = [runtime.spawn(self.value.run(runtime, runtime.rng("agents.value")), "value", daemon=True)]
        for population in self._populations:
            for number in range(population.count):
                seat = self._seat(f"{population.name}-{number}")
                tasks.append(runtime.spawn(population.agent.trade(seat), seat.account, daemon=True))
        await runtime.sleep_until(self._end_ns, Priority.LAST)
        for task in tasks:
            task.cancel()
        if self._resolves:
            self._resolve()
        await runtime.sleep_until(max(runtime.now_ns(), self.feed.last_arrival_ns), Priority.LAST)
        self.done = True

    def close(self) -> None:
        """Everybody leaves: what agents still have on the book is cancelled, unseen. No claim remains."""
        self.feed.muted = True
        for order in self._matching.resting:
            self._entry.cancel(_ignore, order.account, order.id)

    def _seat(self, account: str) -> Seat:
        inst, ledger = self._instrument, self._ledger
        ledger.deposit(account, inst.quote.name, self._endowment.cash)
        units = inst.base_amount(self._endowment.lots)
        if inst.complement is None:
            ledger.deposit(account, inst.base.name, units)
        else:
            ledger.deposit(account, inst.quote.name, inst.par(self._endowment.lots))
            ledger.move(account, Ledger.MINT, inst.quote.name, inst.par(self._endowment.lots))
            for asset in (inst.base, inst.complement):
                ledger.move(Ledger.MINT, account, asset.name, units)
        seat = Seat(
            account, self._runtime, self._runtime.rng(f"agents.{account}"), self._entry, self._matching.book,
            ledger[account], inst, self.value, self._start_i, self._market,
        )  # fmt: skip
        self.seats.append(seat)
        return seat

    def _resolve(self) -> None:
        one_i = self._instrument.one_i
        drawn = self._runtime.rng("agents.payoff").below(one_i)
        self.feed.resolve(one_i if drawn < self.value.price_i else 0)


def _ignore(answer: object) -> None:
    """Nobody waits for it."""
