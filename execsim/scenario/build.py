"""The composition root: turns a checked scenario into the parts of a run and joins them. Nothing else builds anything."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import numpy as np

from execsim import plugins
from execsim.core.errors import ConfigError, DataError, ValidationError
from execsim.core.instrument import Asset, Instrument, InstrumentKind
from execsim.core.units import NS_PER_S, NS_PER_US, plain
from execsim.engine.risk import RiskEngine
from execsim.engine.session import EngineConfig, ExecutionEngine
from execsim.engine.throttle import RateLimiterConfig
from execsim.engine.validate import ValidatorConfig
from execsim.exchange import (
    TRADER,
    Event,
    Exchange,
    KernelBooks,
    LatencyModel,
    SimulatedVenue,
)
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
from execsim.market import Books
from execsim.ports import Journal, Rng, Runtime, VenueProfile
from execsim.scenario import model
from execsim.scenario.agents import agent_market, agents_manifest
from execsim.scenario.latency import latency_model
from execsim.scenario.limits import limit_rules
from execsim.scenario.policies import load_policies, policies_of
from execsim.scenario.profile import volume_profile
from execsim.scenario.script import load_script
from execsim.scenario.strategies import Run as StrategyRun
from execsim.scenario.strategies import from_file, shipped
from execsim.scenario.venue import exchange_model, neg_risk_events, taker_delay
from execsim.tape.check import coverage
from execsim.tape.imports import cached_tape, find_importer
from execsim.tape.merge import TapeStream
from execsim.tape.reader import TapeReader
from execsim.tape.rows import Columns
from execsim.tape.schema import Manifest, MarketInfo
from execsim.tape.store import load_manifest
from execsim.tape.synth import synthetic_tape

INFERRED: Final = {"ignore": INFERRED_IGNORE, "through": INFERRED_THROUGH, "use": INFERRED_USE}
REFILL: Final = {"never": REFILL_NEVER, "refresh": REFILL_REFRESH, "decay": REFILL_DECAY, "off": REFILL_OFF}


@dataclass(slots=True)
class LoadedMarket:
    """A market of the run: which tape and index it is on, its rules, and how it pays out."""

    id: str
    tape: int
    index: int
    info: MarketInfo
    instrument: Instrument
    resolve_ns: int | None
    payoff_i: int | None
    first_ns: int
    last_ns: int


@dataclass(slots=True)
class Loaded:
    """The data of a scenario: imported, matched with its markets, nothing running yet."""

    tapes: list[Path]
    manifests: list[Manifest]
    shifts_ns: list[int]
    """what is added to both clocks of each tape (Data.start_at)"""
    markets: list[LoadedMarket]
    coverage: dict[str, str]

    @property
    def start_ns(self) -> int:
        return min(market.first_ns for market in self.markets)

    @property
    def end_ns(self) -> int:
        return max(market.last_ns for market in self.markets)

    @property
    def data_sha256(self) -> str:
        hashes = [manifest.data_sha256 for manifest in self.manifests]
        return hashes[0] if len(hashes) == 1 else hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def load_data(scenario: model.Scenario, folder: Path) -> Loaded:
    """Import (or find in the cache) every recording and look the markets up. `folder`: what paths are relative to.

    Errors: VenueNotSupported before anything is imported; DataError and ConfigError naming what does not fit.
    """
    for item in scenario.markets:
        plugins.venue(item.venue)
    tapes = [_tape(item, scenario.seed, folder) for item in scenario.data]
    manifests = [load_manifest(tape) for tape in tapes]
    shifts = [_shift_ns(item, manifest) for item, manifest in zip(scenario.data, manifests, strict=True)]
    if scenario.agents is not None:
        manifests, shifts = [agents_manifest(scenario.agents, scenario.markets[0].market, scenario.seed)], [0]
    markets = [_market(item, manifests, shifts) for item in scenario.markets]
    _check_apart(markets)
    known = {market.id: coverage(manifests[market.tape])[market.info.market] for market in markets}
    return Loaded(tapes, manifests, shifts, markets, known)


def _tape(item: model.Data, seed: int, folder: Path) -> Path:
    if item.tape is not None:
        return folder / item.tape
    if item.synthetic_rows is not None:
        return synthetic_tape(seed, item.synthetic_rows, item.options)
    sources = [folder / source for source in item.sources]
    importer = find_importer(item.format, sources, plugins.importers())
    return cached_tape(sources, importer, item.options)


def _shift_ns(item: model.Data, manifest: Manifest) -> int:
    if item.start_at is None:
        return 0
    since = item.start_at - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * NS_PER_S + since.microseconds * NS_PER_US - manifest.ts_first_ns


def _check_apart(markets: list[LoadedMarket]) -> None:
    """A market has one name (its liquidity exists once), and a tape one venue (its rows come through one feed)."""
    on_tape: dict[tuple[int, int], str] = {}
    of_tape: dict[int, LoadedMarket] = {}
    for market in markets:
        first = on_tape.setdefault((market.tape, market.index), market.id)
        if first != market.id:
            raise ConfigError(f"markets {first!r} and {market.id!r} are the same market of the data", "remove one")
        other = of_tape.setdefault(market.tape, market)
        if other.instrument.venue != market.instrument.venue:
            what = f"markets {other.id!r} and {market.id!r} of different venues are in one recording"
            raise ConfigError(what, "give each venue a recording of its own: its rows share one feed")


def _market(item: model.Market, manifests: list[Manifest], shifts: list[int]) -> LoadedMarket:
    found = [
        (tape, index, info)
        for tape, manifest in enumerate(manifests)
        for index, info in enumerate(manifest.markets)
        if item.market in (info.market, info.title, info.extra.get("slug"))
    ]
    if len(found) != 1:
        names = [info.extra.get("slug") or info.market for manifest in manifests for info in manifest.markets]
        listed = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
        what = "is not in the data" if not found else f"is {len(found)} times in the data"
        raise ConfigError(f"market {item.market!r} of {item.id!r} {what}", f"the data has: {listed}")
    tape, index, info = found[0]
    if info.extra.get("first_snapshot_ns") is None:
        raise DataError(f"market {item.id}", "the recording holds no snapshot of its book", "import it with one")
    instrument = dataclasses.replace(_instrument(item, info), market=item.id, venue=item.venue)
    if instrument.kind is InstrumentKind.BINARY and info.price_max_i > instrument.one_i:
        highest = plain(instrument.grid.price(info.price_max_i))
        what = f"the recording holds a price of {highest}, but no share pays more than 1"
        raise DataError(
            f"market {item.id}", what, f"correct the recording, or trade it on another venue than {item.venue}"
        )
    resolve_ns = payoff_i = None
    first_ns, last_ns = int(info.extra["first_ns"]) + shifts[tape], int(info.extra["last_ns"]) + shifts[tape]
    if item.resolve is not None:
        if instrument.kind is not InstrumentKind.BINARY:
            raise ConfigError(f"market {item.id}: a spot market does not resolve", "remove `resolve`")
        payoff_i = _exactly(instrument.grid.price_i, item.resolve.payoff, f"market {item.id}: resolve.payoff")
        resolve_ns = last_ns + int(item.resolve.after_s * NS_PER_S)
    return LoadedMarket(item.id, tape, index, info, instrument, resolve_ns, payoff_i, first_ns, last_ns)


def _instrument(item: model.Market, info: MarketInfo) -> Instrument:
    try:
        return plugins.venue(item.venue).instrument(info, item.rules)
    except (ConfigError, ValidationError) as error:
        raise ConfigError(f"market {item.id}, rules: {error}", "") from None


def _exactly(convert: Callable[[Decimal], int], number: Decimal, where: str) -> int:
    """A number of the scenario on its grid. Errors: ConfigError naming `where` it stands."""
    try:
        return convert(number)
    except ValidationError as error:
        raise ConfigError(f"{where}: {error.args[1]}", *error.args[2:]) from None


# -------------------------------------------------------------------- parts
@dataclass(slots=True)
class Parts:
    """The joined parts of a run, not yet started."""

    loaded: Loaded
    kernel: Replay
    engine: ExecutionEngine
    risk: RiskEngine
    venues: dict[str, SimulatedVenue]
    books: Books
    reader: KernelBooks
    streams: list[TapeStream]
    feed_drawn: LatencyStats
    feeds: dict[str, Feed]
    strategy: StrategyRun
    params: Mapping[str, Any]
    traded: tuple[str, ...]
    agents: AgentMarket | None = None


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


def join(
    scenario: model.Scenario,
    loaded: Loaded,
    runtime: Runtime,
    journal: Journal,
    folder: Path,
    trace: Write | None = None,
) -> Parts:
    """Make every part and connect them; `trace` receives what the venues do to orders.

    Errors: ConfigError and DataError naming what in the scenario is wrong."""
    kernel = Replay(
        [span_of(market) for market in loaded.markets],
        queue=_queue(scenario.exchange),
        inferred=INFERRED[scenario.tape.inferred_trades],
        refill=REFILL[scenario.exchange.refill],
        half_life_ns=int(scenario.exchange.refill_half_life_ms * 1_000_000),
    )
    engine = ExecutionEngine(_engine_config(scenario.engine), runtime, journal)
    latencies = _latencies(scenario, loaded, folder)
    drawn = LatencyStats()
    feeds: dict[str, Feed] = {}
    made = None
    if scenario.agents is not None:
        name = loaded.markets[0].instrument.venue
        feeds[name] = Feed(latencies[name].feed, runtime.rng(f"{name}.feed.0"), drawn)
        made = L3Feed(runtime, kernel, 0, feeds[name].message)
    venues: dict[str, SimulatedVenue] = {}
    tracer = _tracer(loaded, runtime, lambda order: venues[order.instrument.venue].exchange.ahead(order), trace)
    venues |= _venues(scenario, loaded, runtime, kernel, latencies, tracer, made)
    for venue in venues.values():
        engine.register_adapter(venue)
    for event in scenario.events:
        engine.declare_event(event.markets)
    _fund(scenario, loaded, venues, engine)
    names = [market.id for market in loaded.markets]
    reader = KernelBooks(kernel, names)
    books = Books(runtime, reader, reader, names)
    engine.attach_books(books)
    risk = _risk(scenario.risk, folder, names)
    engine.set_risk_engine(risk)
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
    traded = tuple(scenario.strategy.markets or names)
    strategy, params = _strategy(scenario.strategy, loaded, folder, scenario.seed)
    parts = Parts(loaded, kernel, engine, risk, venues, books, reader, streams, drawn, feeds, strategy, params, traded)
    if scenario.agents is not None and made is not None:
        instrument = loaded.markets[0].instrument
        exchange = venues[instrument.venue].exchange
        parts.agents = agent_market(scenario.agents, runtime, exchange, instrument, made, loaded.end_ns)
    return parts


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


def _venues(
    scenario: model.Scenario,
    loaded: Loaded,
    runtime: Runtime,
    kernel: Replay,
    latencies: Mapping[str, LatencyModel],
    trace: Trace | None,
    made: L3Feed | None,
) -> dict[str, SimulatedVenue]:
    """`made`: market data of an agents' market, None where the tape moves it."""
    venues = {}
    binary = {m.id: m.instrument.venue for m in loaded.markets if m.instrument.complement is not None}
    events: dict[str, list[Event]] = neg_risk_events(scenario.events, binary)
    for name, legs in latencies.items():
        item = _venue(scenario, name)
        markets = {i: m.instrument for i, m in enumerate(loaded.markets) if m.instrument.venue == name}
        faults = [fault for fault in scenario.faults if fault.venue in (None, name)]
        delay = taker_delay(item.taker_delay_ms, item.taker_delay_acks)
        model = exchange_model(item.settlement, item.resolution, delay, events.get(name, ()), faults)
        profile = plugins.venue(name).profile
        rules = limit_rules(item.limits, profile, f"venues.{name}.limits")
        model = dataclasses.replace(
            model, limits=rules, limits_enforced=item.limits.enforced, ended_kept_max=scenario.engine.orders_kept_max
        )
        book = None if made is None else _book(made, profile)
        exchange = Exchange(runtime, kernel, name, markets, profile, model, trace, book)
        for fault in faults:
            exchange.faults.plan(fault.build(), fault.schedule())
        venues[name] = SimulatedVenue(exchange, legs)
    return venues


def _fund(
    scenario: model.Scenario, loaded: Loaded, venues: Mapping[str, SimulatedVenue], engine: ExecutionEngine
) -> None:
    """Starting balances and split sets, at the venue and in the portfolio."""
    for name, venue in venues.items():
        item = _venue(scenario, name)
        assets = _assets(loaded, name)
        quotes = {m.instrument.quote.name for m in loaded.markets if m.instrument.venue == name}
        for asset_name, amount in item.balances.items():
            if asset_name not in assets:
                known = ", ".join(sorted(assets))
                raise ConfigError(f"venues.{name}.balances: no asset {asset_name!r}", f"its markets use: {known}")
            units = _exactly(assets[asset_name].amount, amount, f"venues.{name}.balances.{asset_name}")
            venue.deposit(asset_name, units)
            if asset_name in quotes:
                engine.deposit(assets[asset_name], units)
        for market_id, size in item.sets.items():
            lots = _set_lots(loaded, venue, market_id, size, f"venues.{name}.sets")
            venue.split(market_id, lots)
            engine.open_sets(market_id, lots)


def _set_lots(loaded: Loaded, venue: SimulatedVenue, market_id: str, size: Decimal, where: str) -> int:
    """Lots of full sets to split at the start. Errors: ConfigError for a market without sets, or too little cash."""
    binary = {
        m.id: m.instrument for m in loaded.markets if m.instrument.venue == venue.venue_id and m.instrument.complement
    }
    inst = binary.get(market_id)
    if inst is None:
        hint = f"those are: {', '.join(binary)}" if binary else "it has none: remove `sets`"
        raise ConfigError(f"{where}: {market_id!r} is not a binary market of {venue.venue_id}", hint)
    lots = _exactly(inst.grid.lots, size, f"{where}.{market_id}")
    cost, held = inst.par(lots), venue.ledger[TRADER].free(inst.quote.name)
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


def _engine_config(item: model.Engine) -> EngineConfig:
    limits = {venue: _rate_limit(venue, limit) for venue, limit in item.rate_limits.items()}
    validator = ValidatorConfig(
        size_min=item.size_min, size_max=item.size_max, size_bounds=dict(item.size_bounds),
        price_bounds=dict(item.price_bounds),
    )  # fmt: skip
    return EngineConfig(
        validator=validator, rate_limits=limits, enable_risk_checks=item.enable_risk_checks,
        enable_validation=item.enable_validation, enable_metrics=item.enable_metrics,
        orders_kept_max=item.orders_kept_max,
        **item.calls.engine(),
    )  # fmt: skip


def _rate_limit(venue: str, item: model.RateLimit) -> RateLimiterConfig:
    try:
        return RateLimiterConfig(item.per_s, item.burst, item.shared, item.cancel_reserve)
    except ConfigError as error:
        raise ConfigError(f"engine.rate_limits.{venue}: {error.args[0]}", *error.args[1:]) from None


def _risk(item: model.Risk, folder: Path, markets: list[str]) -> RiskEngine:
    """A policy of the scenario itself must name one of its markets; a file may serve many scenarios."""
    policies = policies_of(item.policies, "risk")
    for index, policy in enumerate(policies):
        if policy.market_id not in (None, *markets):
            what = f"risk: policies[{index}].market_id: {policy.market_id!r} is not a market id"
            raise ConfigError(what, f"known: {', '.join(markets)}")
    if item.file is not None:
        policies += load_policies(folder / item.file)
    return RiskEngine(policies)


def _strategy(item: model.Strategy, loaded: Loaded, folder: Path, seed: int) -> tuple[StrategyRun, Mapping[str, Any]]:
    if item.orders is not None:
        instruments = {market.id: market.instrument for market in loaded.markets}
        script = load_script(folder / item.orders, instruments, loaded.start_ns, loaded.end_ns)
        return shipped("orders"), {**item.params, "orders": script}
    params: Mapping[str, Any] = item.params
    if item.profile is not None:
        tape = _tape(item.profile, seed, folder)
        weights = volume_profile(tape, item.profile.market, item.profile.buckets, inferred=item.profile.inferred)
        params = {**params, "weights": weights}
    if item.file is not None:
        return from_file(folder / item.file), params
    return shipped(item.name or ""), params
