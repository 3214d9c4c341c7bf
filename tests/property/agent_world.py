"""A market of agents on one L3 book, without latency and rules in front, and what happened there as lists."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from worlds import OPEN_PROFILE, VENUE_NAME, binary, coarse

from execsim.core.fees import NoFee
from execsim.core.instrument import Instrument, InstrumentKind
from execsim.exchange import Exchange, KernelBooks, TapeMarket
from execsim.exchange.account import Ledger
from execsim.exchange.agents import Agent, Seat, ValueModel
from execsim.exchange.agents.market import AgentMarket, Endowment, Population
from execsim.exchange.claims import Claims
from execsim.exchange.l3_feed import L3Feed
from execsim.exchange.l3_matching import L3Matching
from execsim.exchange.plan import Executed, Plan
from execsim.exchange.resting import VenueOrder
from execsim.kernel import MarketSpan, Replay
from execsim.market import Books
from execsim.runtime import VirtualRuntime

START_NS = 1_760_000_000_000_000_000
S = 1_000_000_000
FEED_NS = 5_000_000
SHARE = 1_000_000
"""lots in a share of `RAIN`"""

RAIN = binary(fees=NoFee(), size_min_lots=SHARE)
CORN = coarse("corn", InstrumentKind.SPOT)


class Heard(L3Matching):
    """Keeps every execution, for tests to look at."""

    heard: list[Executed]

    def take(self, order: VenueOrder, plan: Plan, now_ns: int) -> Iterator[Executed]:
        for one in super().take(order, plan, now_ns):
            self.heard.append(one)
            yield one


@dataclass
class AgentWorld:
    """Everything of one run; `executed` and `rows` fill as it goes on."""

    instrument: Instrument = RAIN
    seed: int = 7
    populations: Sequence[Population] = ()
    seconds: int = 60
    start_i: int = 5000
    endowment: Endowment = field(default_factory=lambda: Endowment(10**12, 10**11))
    value: ValueModel = field(default_factory=lambda: ValueModel(Decimal("0.1"), 3))
    resolves: bool = False
    executed: list[Executed] = field(default_factory=list)
    events: list[tuple[int, str, int, int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        inst = self.instrument
        self.runtime = VirtualRuntime(self.seed, START_NS)
        binary = inst.complement is not None
        self.kernel = Replay([MarketSpan(1, 1, inst.tick_i, inst.one_i if binary else None)])
        reader = KernelBooks(self.kernel, [inst.market])
        self.books = Books(self.runtime, reader, reader, [inst.market])
        self.resolved: list[int] = []
        self.exchange = Exchange(self.runtime, self.kernel, VENUE_NAME, {0: inst}, OPEN_PROFILE, book=self._book)
        self.ledger, self.entry = self.exchange.ledger, self.exchange.entry
        publisher = TapeMarket(self.runtime, self.kernel, iter(()), [inst.market], self.books, [self])
        self.feed = L3Feed(self.runtime, self.kernel, 0, lambda now_ns: FEED_NS)
        self.feed.publish = publisher.publish
        self.market = AgentMarket(
            self.runtime, inst, self.ledger, self.entry, self.matching, self.feed, self.populations, self.endowment,
            self.value, self.start_i, START_NS + self.seconds * S, resolves=self.resolves,
        )  # fmt: skip

    def _book(self, ledger: Ledger, claims: Claims) -> L3Matching:
        self.matching = Heard(ledger, claims, OPEN_PROFILE, self)
        self.matching.heard = self.executed
        return self.matching

    def run(self, beside: Callable[[AgentWorld], Coroutine[Any, Any, None]] | None = None) -> AgentWorld:
        """To the end, with every order taken off the book; `beside` runs along with the market."""

        async def main() -> None:
            if beside is not None:
                self.runtime.spawn(beside(self), "beside", daemon=True)
            await self.runtime.spawn(self.market.run(), "market").join()
            self.market.close()

        self.runtime.run(main=main())
        self.ledger.check()
        return self

    def seat(self, account: str) -> Seat:
        """One more place at the exchange, endowed like the agents."""
        return self.market._seat(account)

    def on_level(self, side: int, price_i: int, lots: int) -> None:
        self.events.append((self.runtime.now_ns(), "level", side, price_i, lots))
        self.feed.on_level(side, price_i, lots)

    def on_trade(self, aggressor: int, price_i: int, lots: int) -> None:
        self.events.append((self.runtime.now_ns(), "trade", aggressor, price_i, lots))
        self.feed.on_trade(aggressor, price_i, lots)

    def on_fills(self, market: int, fills: Any, row: Any) -> None:
        raise AssertionError("the kernel holds no orders of ours when the book is real")

    def on_queue(self, market: int, moves: Any, row: Any) -> None:
        raise AssertionError("the kernel holds no orders of ours when the book is real")

    def on_resolve(self, market: int, payoff_i: int) -> None:
        self.resolved.append(payoff_i)
        self.exchange.on_resolve(market, payoff_i)


def agents(name: str, agent: Agent, count: int = 1) -> Population:
    return Population(name, agent, count)
