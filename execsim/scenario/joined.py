"""A scenario through the protocol of its venue, on this machine and in virtual time:

    strategy -> engine -> the venue's adapter -> (signed) bytes -> its dialect -> the simulated exchange

It is the same strategy on the same exchange as `run`, with everything of the live path between them but sockets. `compare`
says what came out differently: fills one by one, orders, money.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from execsim import plugins
from execsim.core.errors import ConfigError, VenueNotSupported
from execsim.core.order import Fill, Order, OrderId, VenueId
from execsim.core.units import NS_PER_S, plain
from execsim.engine.context import Context
from execsim.engine.portfolio import Portfolio
from execsim.engine.session import ExecutionEngine
from execsim.exchange import SimulatedVenue
from execsim.exchange.desk import ServedDesk
from execsim.exchange.loopback import Loopback
from execsim.exchange.publisher import Publisher
from execsim.journal import HashJournal
from execsim.market import Books, Ladders
from execsim.ports import Credentials, DeskClock, Priority, VenueConfig
from execsim.runtime import VirtualRuntime
from execsim.scenario import model
from execsim.scenario.build import Loaded, engine_config, load_data, risk_engine, strategy_of
from execsim.scenario.latency import KINDS, LEGS, Constant
from execsim.scenario.run import DRAIN_NS, Finished
from execsim.scenario.stage import Endowment, endow, set_stage
from execsim.scenario.summary import Tally

BEFORE_NS: Final = 10 * NS_PER_S
"""How long before the first row the adapter connects: logins and first questions take the simulated ways."""


STEADY_MS: Final = {"feed": Decimal(20), "entry": Decimal(60), "response": Decimal(20)}
"""Legs of `steady` where the scenario names no milliseconds."""
ANY_KEY: Final = Credentials({"private_key": "0x" + "01" * 32})
"""A key like any other, for venues whose accounts are keys."""


@dataclass(slots=True)
class Joined:
    """What came of it."""

    engine: ExecutionEngine
    fills: list[tuple[Order, Fill]]
    listed: Mapping[str, Fill]
    """the account's fills by id, as the venue lists them at the end: some protocols tell times finer there"""
    held: Mapping[str, int]
    """the account at the venue, units by asset"""
    payoffs: Mapping[str, int]
    """resolved markets: what a YES share is worth, in price units"""


def run_joined(
    scenario: model.Scenario, folder: Path, credentials: Credentials, loaded: Loaded | None = None
) -> Joined:
    """Replay a scenario to its end through the adapter and the dialect of its one venue. `credentials` are the account's:
    any will do, nothing leaves the process.

    Errors: ExecError (scenario, data, credentials); VenueNotSupported: the venue has no adapter or no dialect; an exception
    of the user's strategy passes through."""
    loaded = loaded or load_data(scenario, folder)
    runtime = VirtualRuntime(scenario.seed, loaded.start_ns - BEFORE_NS)
    joined = _Joint(scenario, folder, credentials, loaded, runtime)
    runtime.run(main=joined.main())
    return joined.result()


class _Joint:
    """One run."""

    def __init__(
        self, scenario: model.Scenario, folder: Path, credentials: Credentials, loaded: Loaded, runtime: VirtualRuntime
    ) -> None:
        names = dict.fromkeys(market.venue for market in scenario.markets)
        if len(names) != 1:
            raise ConfigError(f"the scenario trades at {', '.join(names)}", "one venue's protocol carries it")
        (self._name,) = names
        plugin = plugins.venue(self._name)
        if plugin.dialect is None or plugin.connect is None or plugin.live is None:
            raise VenueNotSupported(f"{self._name} (adapter and dialect)", "polymarket")
        self._scenario, self._loaded, self._runtime = scenario, loaded, runtime
        self._stage = stage = set_stage(scenario, loaded, runtime, folder)
        self._exchange = stage.exchanges[self._name]
        markets = {market.id: market for market in loaded.markets}
        self._publisher = Publisher(stage.reader, list(markets))
        self._account: SimulatedVenue | None = None
        self._given: Endowment | None = None
        self._listed: Mapping[str, Fill] = {}
        desk = ServedDesk(
            self._exchange, self._publisher, stage.latencies[self._name], self._endow, self._clock,
            infos={name: market.info for name, market in markets.items()},
        )  # fmt: skip
        known, self._transport = plugin.live.secure(credentials, Loopback(runtime, plugin.dialect(), desk))
        extra = {**known, "markets": {name: market.info.market for name, market in markets.items()}}
        self._venue = plugin.connect(VenueConfig(VenueId(self._name), extra=extra), self._transport, runtime)
        self.engine = ExecutionEngine(engine_config(scenario.engine), runtime, HashJournal())
        self._tally = Tally(self.engine)
        self._ladders = Ladders({name: market.instrument.tick_i for name, market in markets.items()})
        self._books = Books(runtime, self._ladders, self._ladders, list(markets))
        self._ladders.sink = self._books
        self.engine.attach_books(self._books)
        for event in scenario.events:
            self.engine.declare_event(event.markets)
        self.engine.set_risk_engine(risk_engine(scenario.risk, folder, list(markets)))
        instruments = {name: market.instrument for name, market in markets.items()}
        span_ns = (loaded.start_ns, loaded.end_ns)
        self._strategy, self._params = strategy_of(scenario.strategy, instruments, span_ns, folder, scenario.seed)
        self._traded = tuple(scenario.strategy.markets or markets)

    def _endow(self, venue: SimulatedVenue) -> None:
        """The account the dialect opens for the key: the only one."""
        self._account, self._given = venue, endow(self._scenario, self._loaded, venue)

    def _fund(self) -> None:
        """What the account was given, in the engine's books."""
        assert self._given is not None, "the adapter has logged in"
        for asset, units in self._given.money:
            self.engine.deposit(asset, units)
        for market, lots in self._given.sets:
            self.engine.open_sets(market, lots)

    def _clock(self) -> DeskClock:
        now_ns = self._runtime.now_ns()
        return DeskClock(now_ns, self._loaded.start_ns, self._loaded.end_ns, 1, True, False)

    async def main(self) -> None:
        """As the backtest's run, in the same order; the adapter connects before the first row."""
        runtime, stage, publisher = self._runtime, self._stage, self._publisher
        tape = stage.tape(publisher)
        stage.schedule_resolutions(publisher)
        await self._venue.start()
        self.engine.register_adapter(self._venue)
        self._fund()
        self._venue.feed(self._ladders)
        await runtime.sleep_until(self._loaded.start_ns)
        stage.open(tape, publisher)
        context = Context(self.engine, runtime, self._books, name="strategy", params=self._params, markets=self._traded)
        strategy = runtime.spawn(self._strategy(context), "strategy", daemon=True)
        await runtime.spawn((stage.agents or tape).run(), "tape").join()
        await runtime.sleep_until(stage.last_ns() + NS_PER_S, Priority.LAST)
        self._books.end()
        self._exchange.faults.stop()
        await self.engine.cancel_all()
        await runtime.sleep(DRAIN_NS)
        strategy.cancel()
        if stage.agents is not None:
            stage.agents.close()
        self._listed = {fill.id: fill for fill in await self._venue.get_fills(0)}
        await self._venue.aclose()
        await self._transport.aclose()
        self._exchange.ledger.check()

    def result(self) -> Joined:
        assert self._account is not None, "the adapter has logged in"
        payoffs = {
            market: self._exchange.resolved[index]
            for market, index in self._exchange.index.items()
            if index in self._exchange.resolved
        }
        held = dict(self._account.held.balances)
        return Joined(self.engine, self._tally.final(self.engine), self._listed, held, payoffs)


def steady(scenario: model.Scenario) -> model.Scenario:
    """The scenario with every latency constant: at the milliseconds it names, or STEADY_MS. What is drawn is drawn anew for
    each request, and through a protocol there are more of them: only so do both runs see the same latencies."""
    venues = {}
    for name in dict.fromkeys(market.venue for market in scenario.markets):
        item = scenario.venues.get(name, model.Venue())
        legs: dict[str, Any] = dict.fromkeys(KINDS)
        for leg in LEGS:
            ms = getattr(getattr(item, leg), "ms", STEADY_MS[leg])
            legs[leg] = Constant(model="constant", ms=ms)
        venues[name] = item.model_copy(update=legs)
    return scenario.model_copy(update={"venues": {**scenario.venues, **venues}})


# ------------------------------------------------------------------------------------------------------ comparing
@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not the same: in the backtest, and through the protocol ("" where there is none)."""

    what: str
    backtest: str
    joined: str

    def __str__(self) -> str:
        return f"{self.what}: {self.backtest or 'none'} in the backtest, {self.joined or 'none'} through the protocol"


def compare(backtest: Finished, joined: Joined) -> list[Difference]:
    """Every difference: fills (time as listed, side, token, price, size, liquidity, cash, fee) by the engine's order ids,
    how orders ended, positions, and money; tokens to be redeemed count at their payoff, as the backtest pays them."""
    parts = backtest.parts
    final = [(order, replace(fill, ts_ns=joined.listed[fill.id].ts_ns)) for order, fill in joined.fills]
    found = [*_fills(backtest.record.fills, final), *_orders(parts.engine, joined.engine)]
    ours, theirs = _wealth(parts.engine.portfolio, {}), _wealth(joined.engine.portfolio, joined.payoffs)
    for asset in sorted(ours.keys() | theirs.keys()):
        if ours.get(asset, 0) != theirs.get(asset, 0):
            found.append(Difference(f"{asset}, units", str(ours.get(asset, 0)), str(theirs.get(asset, 0))))
    return found


def told_late_ns(joined: Joined) -> tuple[int, int]:
    """By how much the times that fills came with were later than those the venue lists: (least, most)."""
    late = [fill.ts_ns - joined.listed[fill.id].ts_ns for _, fill in joined.fills]
    return (min(late), max(late)) if late else (0, 0)


def _fills(ours: Sequence[tuple[Order, Fill]], theirs: Sequence[tuple[Order, Fill]]) -> list[Difference]:
    """Fills of an order in their order, orders by their first fill. Ids are the venue's, and differ."""
    before, after = _by_order(ours), _by_order(theirs)
    first = {order.id: fill.ts_ns for order, fill in sorted([*ours, *theirs], key=lambda pair: -pair[1].ts_ns)}
    found = []
    for name in sorted(first, key=lambda name: (first[name], name)):
        mine, other = before.get(name, []), after.get(name, [])
        for number in range(max(len(mine), len(other))):
            a = _said(mine[number]) if number < len(mine) else {}
            b = _said(other[number]) if number < len(other) else {}
            found += [
                Difference(f"fill {number + 1} of order {name}, {key}", a.get(key, ""), b.get(key, ""))
                for key in (a or b)
                if a.get(key) != b.get(key)
            ]
    return found


def _by_order(fills: Sequence[tuple[Order, Fill]]) -> dict[OrderId, list[tuple[Order, Fill]]]:
    found: dict[OrderId, list[tuple[Order, Fill]]] = {}
    for order, fill in fills:
        found.setdefault(order.id, []).append((order, fill))
    return found


def _said(pair: tuple[Order, Fill]) -> dict[str, str]:
    order, fill = pair
    grid, quote = order.instrument.grid, order.instrument.quote
    return {
        "time_ns": str(fill.ts_ns), "side": f"{fill.side} {fill.outcome}", "price": plain(grid.price(fill.price_i)),
        "size": plain(grid.size(fill.lots)), "liquidity": str(fill.liquidity), "cash": plain(quote.decimal(fill.cash)),
        "fee": plain(quote.decimal(fill.fee)), "status": str(fill.status),
    }  # fmt: skip


def _orders(ours: ExecutionEngine, theirs: ExecutionEngine) -> list[Difference]:
    """How each order stood in the end."""
    before = {order.id: order for order in ours.order_tracker.get_all_orders()}
    after = {order.id: order for order in theirs.order_tracker.get_all_orders()}
    found = []
    born = {order.id: order.created_ns for order in [*after.values(), *before.values()]}
    for name in sorted(born, key=lambda name: (born[name], name)):
        a, b = _terms(before.get(name)), _terms(after.get(name))
        if a != b:
            found.append(Difference(f"order {name}", a, b))
    return found


def _terms(order: Order | None) -> str:
    if order is None:
        return ""
    size = order.size_lots if order.quote_amount is None else f"{order.quote_amount} units of money"
    return f"{order.side} {order.outcome} {size} at {order.price_i}, {order.status}, {order.filled_lots} filled"


def _wealth(portfolio: Portfolio, payoffs: Mapping[str, int]) -> dict[str, Any]:
    """Cash and tokens; tokens of a market in `payoffs` are cash at their payoff."""
    held: dict[str, Any] = dict(portfolio.cash)
    for market, position in portfolio.positions.items():
        instrument = position.instrument
        tokens = {f"{market}:YES": position.yes_lots, f"{market}:NO": position.no_lots}
        if market in payoffs:
            paid = payoffs[market] * position.yes_lots + (instrument.one_i - payoffs[market]) * position.no_lots
            worth = paid * instrument.grid.price_unit * instrument.grid.lot / instrument.quote.unit
            held[instrument.quote.name] = held.get(instrument.quote.name, 0) + int(worth)
        else:
            held |= {name: lots for name, lots in tokens.items() if lots}
    return held
