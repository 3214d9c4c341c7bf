"""The stage of a run: kernel, exchanges and market data of a scenario, joined. Who trades on it comes later."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from execsim import plugins
from execsim.core.errors import ConfigError, ValidationError
from execsim.core.instrument import Asset, InstrumentKind
from execsim.core.units import plain
from execsim.exchange import Event, Exchange, KernelBooks, LatencyModel, Sampler, SimulatedVenue, TapeMarket
from execsim.exchange.account import Ledger
from execsim.exchange.agents.market import AgentMarket
from execsim.exchange.claims import Claims
from execsim.exchange.l3_feed import L3Feed
from execsim.exchange.l3_matching import L3Matching
from execsim.exchange.latency import Latency as LatencyKind
from execsim.exchange.latency import LatencyStats
from execsim.exchange.resting import VenueOrder
from execsim.exchange.trace import Trace, Write, WrittenTrace
from execsim.kernel import (
    INFERRED_IGNORE,
    INFERRED_THROUGH,
    INFERRED_USE,
    LOCAL,
    REFILL_DECAY,
    REFILL_NEVER,
    REFILL_OFF,
    REFILL_REFRESH,
    Fifo,
    Logarithmic,
    MarketSpan,
    Power,
    Proportional,
    QueueModel,
    Replay,
    RiskAverse,
)
from execsim.ports import FeedSink, Priority, Rng, Runtime, VenueProfile
from execsim.scenario import model
from execsim.scenario.agents import agent_market
from execsim.scenario.latency import latency_model
from execsim.scenario.limits import limit_rules, tier_name
from execsim.scenario.venue import exchange_model, neg_risk_events, taker_delay
from execsim.tape.merge import TapeStream, merged
from execsim.tape.reader import TapeReader
from execsim.tape.rows import Columns

if TYPE_CHECKING:
    from execsim.scenario.build import Loaded, LoadedMarket

INFERRED: Final = {"ignore": INFERRED_IGNORE, "through": INFERRED_THROUGH, "use": INFERRED_USE}
REFILL: Final = {"never": REFILL_NEVER, "refresh": REFILL_REFRESH, "decay": REFILL_DECAY, "off": REFILL_OFF}


@dataclass(slots=True)
class Stage:
    """Everything of a run but who trades: nothing has moved yet."""

    loaded: Loaded
    runtime: Runtime
    kernel: Replay
    latencies: dict[str, LatencyModel]
    exchanges: dict[str, Exchange]
    reader: KernelBooks
    streams: list[TapeStream]
    feed_drawn: LatencyStats
    feeds: dict[str, Feed]
    agents: AgentMarket | None = None

    def tape(self, sink: FeedSink) -> TapeMarket:
        """What moves the markets, and tells the sink. Once a run."""
        names = [market.id for market in self.loaded.markets]
        handlers = [self.exchanges[market.instrument.venue] for market in self.loaded.markets]
        chunks = merged(self.streams, births=self.kernel.queue == Fifo())
        tape = TapeMarket(self.runtime, self.kernel, chunks, names, sink, handlers, books=self.reader)
        if self.agents is not None:
            self.agents.tell(tape.publish)
        return tape

    def open(self, tape: TapeMarket, sink: FeedSink) -> None:
        """Join the exchanges to the market data, and let their faults begin."""
        for name, exchange in self.exchanges.items():
            # a stream of its own: how the tape is read must not depend on what else reaches us
            ticks = self.latencies[name].feed.sampler(self.runtime.rng(f"{name}.ticks"))
            exchange.mute, exchange.unmute = tape.mute, tape.unmute
            exchange.hear_tick = partial(self._hear_tick, sink, ticks)
            exchange.start()

    def _hear_tick(self, sink: FeedSink, ticks: Sampler, market: str, tick_i: int) -> None:
        """A tick that is not on the tape reaches the strategy a feed latency later."""
        names, now_ns = [m.id for m in self.loaded.markets], self.runtime.now_ns()
        seen_ns = now_ns + ticks.next(now_ns)

        def hear() -> None:
            self.kernel.set_tick(names.index(market), tick_i, views=(LOCAL,))
            sink.on_tick(market, seen_ns, tick_i)

        self.runtime.call_at(seen_ns, hear)

    def schedule_resolutions(self, sink: FeedSink) -> None:
        """Payouts the scenario knows and the tape does not: at the venue at their time, to us a feed latency later."""
        for index, market in enumerate(self.loaded.markets):
            if market.resolve_ns is None or market.payoff_i is None:
                continue
            exchange, feed = self.exchanges[market.instrument.venue], self.feeds[market.instrument.venue]
            seen_ns = market.resolve_ns + feed.one(market.resolve_ns)
            self.runtime.call_at(
                market.resolve_ns, exchange.on_resolve, index, market.payoff_i, priority=Priority.VENUE
            )
            self.runtime.call_at(seen_ns, sink.on_resolve, market.id, seen_ns, market.payoff_i)

    def last_ns(self) -> int:
        """When the last market has paid out; now, if that is over."""
        ends = [self.runtime.now_ns()]
        for market in self.loaded.markets:
            waits_ns = self.exchanges[market.instrument.venue].model.resolution.longest_ns()
            if market.resolve_ns is not None:
                ends.append(market.resolve_ns + waits_ns)
            elif waits_ns:
                ends.append(market.last_ns + waits_ns)
        return max(ends)


def set_stage(
    scenario: model.Scenario,
    loaded: Loaded,
    runtime: Runtime,
    folder: Path,
    trace: Write | None = None,
    latency: LatencyModel | None = None,
) -> Stage:
    """Kernel, exchanges and market data of a scenario; `trace` receives what the venues do to orders. `latency`: that of
    every venue, instead of what the scenario says.

    Errors: ConfigError and DataError naming what in the scenario is wrong."""
    kernel = Replay(
        [span_of(market) for market in loaded.markets],
        queue=_queue(scenario.exchange),
        inferred=INFERRED[scenario.tape.inferred_trades],
        refill=REFILL[scenario.exchange.refill],
        half_life_ns=int(scenario.exchange.refill_half_life_ms * 1_000_000),
    )
    latencies = _latencies(scenario, loaded, folder)
    if latency is not None:
        latencies = dict.fromkeys(latencies, latency)
    drawn = LatencyStats()
    feeds: dict[str, Feed] = {}
    made = None
    if scenario.agents is not None:
        name = loaded.markets[0].instrument.venue
        feeds[name] = Feed(latencies[name].feed, runtime.rng(f"{name}.feed.0"), drawn)
        made = L3Feed(runtime, kernel, 0, feeds[name].message)
    exchanges: dict[str, Exchange] = {}
    tracer = _tracer(loaded, runtime, lambda order: exchanges[order.instrument.venue].ahead(order), trace)
    exchanges |= _exchanges(scenario, loaded, runtime, kernel, list(latencies), tracer, made)
    streams = _streams(loaded, runtime, latencies, drawn, feeds)
    reader = KernelBooks(kernel, [market.id for market in loaded.markets])
    stage = Stage(loaded, runtime, kernel, latencies, exchanges, reader, streams, drawn, feeds)
    if scenario.agents is not None and made is not None:
        instrument = loaded.markets[0].instrument
        exchange = exchanges[instrument.venue]
        stage.agents = agent_market(scenario.agents, runtime, exchange, instrument, made, loaded.end_ns)
    return stage


def _streams(
    loaded: Loaded, runtime: Runtime, latencies: Mapping[str, LatencyModel], drawn: LatencyStats, feeds: dict[str, Feed]
) -> list[TapeStream]:
    """The tapes, each through its feed; `feeds` receives the first feed of each venue."""
    streams = []
    for number, tape in enumerate(loaded.tapes):
        on_tape = {m.index: i for i, m in enumerate(loaded.markets) if m.tape == number}
        if not on_tape:
            continue
        name = next(m.instrument.venue for m in loaded.markets if m.tape == number)
        feed = Feed(latencies[name].feed, runtime.rng(f"{name}.feed.{number}"), drawn)
        feeds.setdefault(name, feed)
        count = len(loaded.manifests[number].markets)
        indices = [on_tape.get(i, -1) for i in range(count)]
        reader_of_tape = TapeReader(tape, markets=sorted(on_tape))
        streams.append(TapeStream(Shifted(reader_of_tape, loaded.shifts_ns[number]), indices, feed))
    return streams


class Shifted:
    """A tape's chunks with both clocks moved by the same amount."""

    def __init__(self, chunks: Iterable[Columns], shift_ns: int) -> None:
        self._chunks = chunks
        self._shift_ns = shift_ns

    def __iter__(self) -> Iterator[Columns]:
        for columns in self._chunks:
            if self._shift_ns:
                moved = {name: columns[name] + self._shift_ns for name in ("ts_venue_ns", "ts_recv_ns")}
                columns = {**columns, **moved}
            yield columns


class Feed:
    """Feed latency of one tape: extra ns a message, drawn from the run's stream, counted for the summary."""

    def __init__(self, latency: LatencyKind, rng: Rng, drawn: LatencyStats) -> None:
        self._latency = latency
        self._rng = rng
        self._sampler = latency.sampler(rng)
        self._drawn = drawn

    def __call__(self, received_ns: Any) -> Any:
        draws = self._sampler.many(received_ns)
        self.count(draws)
        return draws

    def count(self, draws: Any) -> None:
        """Count every sixteenth draw (and the largest): a summary needs no more, and a tape has millions."""
        if len(draws):
            values, counts = np.unique(draws[::16], return_counts=True)
            for value, count in zip(values.tolist(), counts.tolist(), strict=True):
                self._drawn.add(value, count)
            self._drawn.max_ns = max(self._drawn.max_ns, int(draws.max()))

    def one(self, now_ns: int) -> int:
        """One delay at that time, for an event that is not on the tape (and so leaves the tape's state alone)."""
        return self._latency.sampler(self._rng).next(now_ns)

    def message(self, now_ns: int) -> int:
        """One delay of a message sent now that no tape holds (agents), counted."""
        delay_ns = self._sampler.next(now_ns)
        self._drawn.add(delay_ns)
        return delay_ns


def span_of(market: LoadedMarket) -> MarketSpan:
    """What the kernel must know of a market."""
    info, inst = market.info, market.instrument
    end = inst.one_i if inst.kind is InstrumentKind.BINARY else None
    return MarketSpan(info.price_gcd_i, info.size_gcd_lots, inst.tick_i, end, max(1, int(1 / inst.grid.lot)))


def _queue(item: model.Exchange) -> QueueModel:
    if item.queue.startswith("power"):
        return Power(item.queue_exponent, int(item.queue.removeprefix("power") or 1))
    if item.queue.startswith("log"):
        return Logarithmic(int(item.queue.removeprefix("log") or 1))
    if item.queue == "fifo":
        return Fifo()
    return Proportional() if item.queue == "proportional" else RiskAverse()


def _book(listener: L3Feed, profile: VenueProfile) -> Callable[[Ledger, Claims], L3Matching]:
    """Makes the book of an agents' market, on the ledger of its exchange."""
    return lambda ledger, claims: L3Matching(ledger, claims, profile, listener)


def _venue(scenario: model.Scenario, name: str) -> model.Venue:
    return scenario.venues.get(name, model.Venue())


def _latencies(scenario: model.Scenario, loaded: Loaded, folder: Path) -> dict[str, LatencyModel]:
    """The latencies of each venue of the run."""
    span_ns = (loaded.start_ns, loaded.end_ns)
    names = dict.fromkeys(market.instrument.venue for market in loaded.markets)
    return {name: latency_model(_venue(scenario, name), f"venues.{name}", folder, span_ns) for name in names}


def _tracer(
    loaded: Loaded, runtime: Runtime, ahead: Callable[[VenueOrder], int | None], write: Write | None
) -> Trace | None:
    """A trace that begins with how the integers of each market read."""
    if write is None:
        return None
    for market in loaded.markets:
        inst = market.instrument
        units = {"price_unit": inst.grid.price_unit, "lot": inst.grid.lot, "quote_unit": inst.quote.unit}
        body = {"market": market.id, "quote": inst.quote.name, **{key: str(unit) for key, unit in units.items()}}
        write("market", loaded.start_ns, "", body)
    return WrittenTrace(write, runtime.now_ns, ahead)


def _exchanges(
    scenario: model.Scenario,
    loaded: Loaded,
    runtime: Runtime,
    kernel: Replay,
    names: Sequence[str],
    trace: Trace | None,
    made: L3Feed | None,
) -> dict[str, Exchange]:
    """`made`: market data of an agents' market, None where the tape moves it."""
    found = {}
    binary = {m.id: m.instrument.venue for m in loaded.markets if m.instrument.complement is not None}
    events: dict[str, list[Event]] = neg_risk_events(scenario.events, binary)
    for name in names:
        item = _venue(scenario, name)
        markets = {i: m.instrument for i, m in enumerate(loaded.markets) if m.instrument.venue == name}
        faults = [fault for fault in scenario.faults if fault.venue in (None, name)]
        delay = taker_delay(item.taker_delay_ms, item.taker_delay_acks)
        model = exchange_model(item.settlement, item.resolution, delay, events.get(name, ()), faults)
        profile = plugins.venue(name).profile
        rules = limit_rules(item.limits, profile, f"venues.{name}.limits")
        model = dataclasses.replace(
            model,
            limits=rules,
            limits_enforced=item.limits.enforced,
            limits_tier=tier_name(item.limits, profile),
            door=() if item.limits.off else None,
            ended_kept_max=scenario.engine.orders_kept_max,
        )
        book = None if made is None else _book(made, profile)
        exchange = Exchange(runtime, kernel, name, markets, profile, model, trace, book)
        for fault in faults:
            exchange.faults.plan(fault.build(), fault.schedule())
        found[name] = exchange
    return found


@dataclass(frozen=True, slots=True)
class Endowment:
    """What an account was given: money by quote asset, and full sets (market, lots)."""

    money: list[tuple[Asset, int]]
    sets: list[tuple[str, int]]


def endow(scenario: model.Scenario, loaded: Loaded, venue: SimulatedVenue) -> Endowment:
    """Give an account the scenario's balances and sets. Errors: ConfigError naming what does not fit."""
    name, given = venue.venue_id, Endowment([], [])
    item = _venue(scenario, name)
    assets = _assets(loaded, name)
    quotes = {m.instrument.quote.name for m in loaded.markets if m.instrument.venue == name}
    for asset_name, amount in item.balances.items():
        if asset_name not in assets:
            known = ", ".join(sorted(assets))
            raise ConfigError(f"venues.{name}.balances: no asset {asset_name!r}", f"its markets use: {known}")
        units = exactly(assets[asset_name].amount, amount, f"venues.{name}.balances.{asset_name}")
        venue.deposit(asset_name, units)
        if asset_name in quotes:
            given.money.append((assets[asset_name], units))
    for market_id, size in item.sets.items():
        lots = _set_lots(loaded, venue, market_id, size, f"venues.{name}.sets")
        venue.split(market_id, lots)
        given.sets.append((market_id, lots))
    for asset_name, amount in item.allowances.items():
        if asset_name not in assets:
            raise ConfigError(
                f"venues.{name}.allowances: no asset {asset_name!r}", f"its markets use: {', '.join(sorted(assets))}"
            )
        units = exactly(assets[asset_name].amount, amount, f"venues.{name}.allowances.{asset_name}")
        venue.held.allowed[asset_name] = units
    return given


def _set_lots(loaded: Loaded, venue: SimulatedVenue, market_id: str, size: Decimal, where: str) -> int:
    """Lots of full sets to split at the start. Errors: ConfigError for a market without sets, or too little cash."""
    binary = {
        m.id: m.instrument for m in loaded.markets if m.instrument.venue == venue.venue_id and m.instrument.complement
    }
    inst = binary.get(market_id)
    if inst is None:
        hint = f"those are: {', '.join(binary)}" if binary else "it has none: remove `sets`"
        raise ConfigError(f"{where}: {market_id!r} is not a binary market of {venue.venue_id}", hint)
    lots = exactly(inst.grid.lots, size, f"{where}.{market_id}")
    cost, held = inst.par(lots), venue.held.free(inst.quote.name)
    if cost > held:
        cost_text, held_text = plain(inst.quote.decimal(cost)), plain(inst.quote.decimal(held))
        what = f"{where}.{market_id}: {plain(size)} sets cost {cost_text} {inst.quote.name}, the balance left is {held_text}"
        raise ConfigError(what, "raise the balance or split fewer")
    return lots


def _assets(loaded: Loaded, venue: str) -> dict[str, Asset]:
    found: dict[str, Asset] = {}
    for market in loaded.markets:
        inst = market.instrument
        if inst.venue == venue:
            for asset in (inst.quote, inst.base, *([inst.complement] if inst.complement else [])):
                found[asset.name] = asset
    return found


def exactly(convert: Callable[[Decimal], int], number: Decimal, where: str) -> int:
    """A number of the scenario on its grid. Errors: ConfigError naming `where` it stands."""
    try:
        return convert(number)
    except ValidationError as error:
        raise ConfigError(f"{where}: {error.args[1]}", *error.args[2:]) from None
