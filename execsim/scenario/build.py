"""The composition root: turns a checked scenario into the parts of a run and joins them. Nothing else builds anything."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from execsim import plugins
from execsim.core.errors import ConfigError, DataError, ValidationError
from execsim.core.instrument import Instrument, InstrumentKind
from execsim.core.units import NS_PER_S, NS_PER_US, plain
from execsim.engine.risk import RiskEngine
from execsim.engine.session import EngineConfig, ExecutionEngine
from execsim.engine.throttle import RateLimiterConfig
from execsim.engine.validate import ValidatorConfig
from execsim.exchange import SimulatedVenue
from execsim.exchange.trace import Write
from execsim.market import Books
from execsim.ports import Journal, Runtime
from execsim.scenario import model
from execsim.scenario.agents import agents_manifest
from execsim.scenario.policies import load_policies, policies_of
from execsim.scenario.profile import volume_profile
from execsim.scenario.script import load_script
from execsim.scenario.stage import Stage, endow, exactly, set_stage
from execsim.scenario.strategies import Run as StrategyRun
from execsim.scenario.strategies import from_file, shipped
from execsim.tape.check import coverage
from execsim.tape.imports import cached_tape, find_importer
from execsim.tape.schema import Manifest, MarketInfo
from execsim.tape.store import load_manifest
from execsim.tape.synth import synthetic_tape


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
    if not scenario.data and scenario.agents is None:
        either = "name either data (recordings) or agents (a market they make)"
        hint = f"{either}; without both it can only be run with --live or --paper"
        raise ConfigError("the scenario has no market data", hint)
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
        payoff_i = exactly(instrument.grid.price_i, item.resolve.payoff, f"market {item.id}: resolve.payoff")
        resolve_ns = last_ns + int(item.resolve.after_s * NS_PER_S)
    return LoadedMarket(item.id, tape, index, info, instrument, resolve_ns, payoff_i, first_ns, last_ns)


def _instrument(item: model.Market, info: MarketInfo) -> Instrument:
    try:
        return plugins.venue(item.venue).instrument(info, item.rules)
    except (ConfigError, ValidationError) as error:
        raise ConfigError(f"market {item.id}, rules: {error}", "") from None


# -------------------------------------------------------------------- parts
@dataclass(slots=True)
class Parts:
    """The joined parts of a run, not yet started: the stage, and who trades on it."""

    loaded: Loaded
    stage: Stage
    engine: ExecutionEngine
    risk: RiskEngine
    venues: dict[str, SimulatedVenue]
    books: Books
    strategy: StrategyRun
    params: Mapping[str, Any]
    traded: tuple[str, ...]


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
    stage = set_stage(scenario, loaded, runtime, folder, trace)
    engine = ExecutionEngine(engine_config(scenario.engine), runtime, journal)
    venues = {name: SimulatedVenue(each, stage.latencies[name]) for name, each in stage.exchanges.items()}
    for venue in venues.values():
        engine.register_adapter(venue)
        _fund(scenario, loaded, venue, engine)
    for event in scenario.events:
        engine.declare_event(event.markets)
    names = [market.id for market in loaded.markets]
    books = Books(runtime, stage.reader, stage.reader, names)
    engine.attach_books(books)
    risk = risk_engine(scenario.risk, folder, names)
    engine.set_risk_engine(risk)
    traded = tuple(scenario.strategy.markets or names)
    instruments = {market.id: market.instrument for market in loaded.markets}
    strategy, params = strategy_of(
        scenario.strategy, instruments, (loaded.start_ns, loaded.end_ns), folder, scenario.seed
    )
    return Parts(loaded, stage, engine, risk, venues, books, strategy, params, traded)


def _fund(scenario: model.Scenario, loaded: Loaded, venue: SimulatedVenue, engine: ExecutionEngine) -> None:
    """Starting balances and split sets, at the venue and in the portfolio."""
    given = endow(scenario, loaded, venue)
    for asset, units in given.money:
        engine.deposit(asset, units)
    for market, lots in given.sets:
        engine.open_sets(market, lots)


def engine_config(item: model.Engine) -> EngineConfig:
    limits = {venue: _rate_limit(venue, limit) for venue, limit in item.rate_limits.items()}
    validator = ValidatorConfig(
        size_min=item.size_min, size_max=item.size_max, size_bounds=dict(item.size_bounds),
        price_bounds=dict(item.price_bounds),
    )  # fmt: skip
    return EngineConfig(
        validator=validator, rate_limits=limits, enable_risk_checks=item.enable_risk_checks,
        enable_validation=item.enable_validation, enable_metrics=item.enable_metrics,
        **item.calls.engine(),
        orders_kept_max=item.orders_kept_max,
    )  # fmt: skip


def _rate_limit(venue: str, item: model.RateLimit) -> RateLimiterConfig:
    try:
        return RateLimiterConfig(item.per_s, item.burst, item.shared, item.cancel_reserve)
    except ConfigError as error:
        raise ConfigError(f"engine.rate_limits.{venue}: {error.args[0]}", *error.args[1:]) from None


def risk_engine(item: model.Risk, folder: Path, markets: list[str]) -> RiskEngine:
    """A policy of the scenario itself must name one of its markets; a file may serve many scenarios."""
    policies = policies_of(item.policies, "risk")
    for index, policy in enumerate(policies):
        if policy.market_id not in (None, *markets):
            what = f"risk: policies[{index}].market_id: {policy.market_id!r} is not a market id"
            raise ConfigError(what, f"known: {', '.join(markets)}")
    if item.file is not None:
        policies += load_policies(folder / item.file)
    return RiskEngine(policies)


def strategy_of(
    item: model.Strategy,
    instruments: Mapping[str, Instrument],
    span_ns: tuple[int, int | None],
    folder: Path,
    seed: int,
) -> tuple[StrategyRun, Mapping[str, Any]]:
    """The strategy and its parameters; an order script counts its times from the start of the span."""
    if item.orders is not None:
        script = load_script(folder / item.orders, instruments, *span_ns)
        return shipped("orders"), {**item.params, "orders": script}
    params: Mapping[str, Any] = item.params
    if item.profile is not None:
        tape = _tape(item.profile, seed, folder)
        weights = volume_profile(tape, item.profile.market, item.profile.buckets, inferred=item.profile.inferred)
        params = {**params, "weights": weights}
    if item.file is not None:
        return from_file(folder / item.file), params
    return shipped(item.name or ""), params
