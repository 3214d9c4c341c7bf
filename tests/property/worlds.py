"""Small worlds for exchange tests: a tape written row by row, the simulated venue on it, and an engine in front."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from typing import Any

import numpy as np

from execsim.core.fees import BinaryFee, FeeSchedule, NoFee
from execsim.core.instrument import Asset, Instrument, InstrumentKind
from execsim.core.units import Grid
from execsim.engine import EngineConfig, ExecutionEngine, RetryConfig, RouteConfig
from execsim.engine.throttle import RateLimiterConfig
from execsim.engine.track import ORDERS_KEPT_MAX
from execsim.exchange import (
    ConstantLatency,
    Exchange,
    ExchangeModel,
    KernelBooks,
    LatencyModel,
    SimulatedVenue,
    TapeMarket,
)
from execsim.exchange.faults import Pack, Schedule
from execsim.kernel import INFERRED_THROUGH, REFILL_NEVER, MarketSpan, QueueModel, Replay, RiskAverse
from execsim.market import Books
from execsim.ports import FeedSink, Journal, Runtime, VenueProfile
from execsim.tape.merge import Chunk, TapeStream, merged
from execsim.tape.schema import COLUMNS, Flag, Kind
from execsim.testing import MemoryJournal

MS = 1_000_000
START_NS = 1_000_000_000_000 * MS
"""2001-09-09: venues that tell seconds and milliseconds apart by their size want a time after 1973"""
VENUE_NAME = "sim"
OPEN_PROFILE = VenueProfile()
"""a venue that limits nobody"""

Level = tuple[int, int]


def binary(market: str = "rain", fees: FeeSchedule | None = None, **rules: Any) -> Instrument:
    """A market as on Polymarket: prices in 0.0001 with a tick of 0.01, lots of 0.000001 share, at least 5 shares."""
    given: dict[str, Any] = {"tick_i": 100, "size_step_lots": 10_000, "size_min_lots": 5_000_000, **rules}
    return Instrument(
        VENUE_NAME,
        market,
        InstrumentKind.BINARY,
        Grid(Decimal("0.0001"), Decimal("0.000001")),
        base=Asset(f"{market}:YES", Decimal("0.000001")),
        complement=Asset(f"{market}:NO", Decimal("0.000001")),
        quote=Asset("pUSD", Decimal("0.000001")),
        fees=BinaryFee(Decimal("0.07")) if fees is None else fees,
        **given,
    )


def coarse(
    market: str, kind: InstrumentKind, fees: FeeSchedule | None = None, lot: Decimal = Decimal(1), **rules: Any
) -> Instrument:
    """One price unit is 0.01, and so is one unit of money: with a lot of 1 no money is ever rounded."""
    return Instrument(
        VENUE_NAME,
        market,
        kind,
        Grid(Decimal("0.01"), lot),
        base=Asset(f"{market}:YES", lot),
        complement=Asset(f"{market}:NO", lot) if kind is InstrumentKind.BINARY else None,
        quote=Asset("USD", Decimal("0.01")),
        fees=fees or NoFee(),
        **rules,
    )


@dataclass
class Tape:
    """Rows in the order they happen. Times are ns after `start_ns`; `delay_ns` passes until the strategy's side hears."""

    delay_ns: int = 2 * MS
    start_ns: int = START_NS
    rows: list[dict[str, int]] = field(default_factory=list)

    def add(
        self,
        at_ns: int,
        kind: Kind,
        side: int = 0,
        price: int = 0,
        size: int = 0,
        flags: int = 0,
        market: int = 0,
        delay_ns: int | None = None,
    ) -> Tape:
        venue_ns = self.start_ns + at_ns
        recv_ns = venue_ns + (self.delay_ns if delay_ns is None else delay_ns)
        trade = kind is Kind.TRADE
        row = dict.fromkeys(COLUMNS, 0)
        row |= {"ts_venue_ns": venue_ns, "ts_recv_ns": recv_ns, "seq": len(self.rows), "market": market}
        row |= {"kind": int(kind), "side": 0 if trade else side, "aggressor": side if trade else 0}
        self.rows.append(row | {"price_i": price, "size_i": size, "flags": int(flags)})
        return self

    def book(self, at_ns: int, bids: Iterable[Level], asks: Iterable[Level], resync: bool = False, **at: Any) -> Tape:
        """A full book; an empty one is one row of no side."""
        levels = [(1, p, q) for p, q in bids] + [(-1, p, q) for p, q in asks] or [(0, 0, 0)]
        for i, (side, price, size) in enumerate(levels):
            flags = (Flag.FIRST | (Flag.RESYNC if resync else 0)) if i == 0 else Flag(0)
            flags |= Flag.LAST if i == len(levels) - 1 else 0
            self.add(at_ns, Kind.SNAPSHOT, side, price, size, flags, **at)
        return self

    def level(self, at_ns: int, side: int, price: int, size: int, **at: Any) -> Tape:
        return self.add(at_ns, Kind.LEVEL, side, price, size, Flag.LAST, **at)

    def trade(self, at_ns: int, aggressor: int, price: int, size: int, inferred: bool = False, **at: Any) -> Tape:
        return self.add(at_ns, Kind.TRADE, aggressor, price, size, Flag.INFERRED if inferred else 0, **at)

    def gap(self, at_ns: int, opens: bool, **at: Any) -> Tape:
        return self.add(at_ns, Kind.GAP, size=int(opens), **at)

    def chunks(self, cuts: Sequence[int] = (), feed_ns: int = 0) -> Iterator[Chunk]:
        """The tape through the real merge, read in pieces that end at `cuts`; `feed_ns` more on the way to us."""
        rows = sorted(self.rows, key=lambda row: row["ts_venue_ns"])
        edges = [0, *sorted(set(cuts)), len(rows)]
        pieces = [rows[a:b] for a, b in pairwise(edges) if b > a]
        columns = [{c: np.array([r[c] for r in piece], dtype) for c, dtype in COLUMNS.items()} for piece in pieces]
        latency = (lambda received: np.full(len(received), feed_ns, np.int64)) if feed_ns else None
        return merged([TapeStream(columns, latency=latency)])


class World:
    """Runtime, venue on a tape, engine. `venue_runtime`: what the venue runs on, if it is to be watched from outside.
    `repeats`: the engine calls again where it may, instead of showing each refusal."""

    def __init__(
        self,
        runtime: Runtime,
        tape: Tape,
        instruments: Sequence[Instrument],
        *,
        profile: VenueProfile = OPEN_PROFILE,
        latency: LatencyModel | None = None,
        spans: Sequence[MarketSpan] | None = None,
        queue: QueueModel | None = None,
        refill: int = REFILL_NEVER,
        inferred: int = INFERRED_THROUGH,
        validate: bool = False,
        sink: FeedSink | None = None,
        venue_runtime: Runtime | None = None,
        observer: Any = None,
        cuts: Sequence[int] = (),
        model: ExchangeModel | None = None,
        faults: Iterable[tuple[Pack, Schedule]] = (),
        repeats: bool = False,
        journal: Journal | None = None,
        orders_kept_max: int = ORDERS_KEPT_MAX,
    ) -> None:
        self.runtime, self.tape = runtime, tape
        self.rows = MemoryJournal()
        """the journal, where none is given"""
        self.instruments = tuple(instruments)
        self.kernel = Replay(
            spans or [_span(i) for i in instruments], queue=queue or RiskAverse(), inferred=inferred, refill=refill
        )
        self.exchange = Exchange(
            venue_runtime or runtime, self.kernel, VENUE_NAME, dict(enumerate(instruments)), profile, model
        )
        self.venue = SimulatedVenue(
            self.exchange, latency or LatencyModel(ConstantLatency(), ConstantLatency(4 * MS), ConstantLatency(4 * MS))
        )
        self.ledger = self.exchange.ledger
        for pack, schedule in faults:
            self.exchange.faults.plan(pack, schedule)
        self.exchange.start()
        limits = {VENUE_NAME: RateLimiterConfig.unlimited()}
        calls = RouteConfig() if repeats else RouteConfig(retry=RetryConfig(attempts_max=1))
        config = EngineConfig(
            rate_limits=limits, enable_validation=validate, calls=calls, orders_kept_max=orders_kept_max
        )
        self.engine = ExecutionEngine(config, runtime, journal or self.rows)
        self.engine.register_adapter(self.venue)
        names = [i.market for i in instruments]
        reader = KernelBooks(self.kernel, names)
        self.books = Books(runtime, reader, reader, names)
        self.engine.attach_books(self.books)
        handlers = [self.exchange] * len(names)
        self.market = TapeMarket(
            runtime, self.kernel, tape.chunks(cuts), names, sink or self.books, handlers, observer=observer,
            books=reader,
        )  # fmt: skip
        self.exchange.mute, self.exchange.unmute = self.market.mute, self.market.unmute

    def fund(self, asset: Asset, units: int) -> None:
        """Money for the trader, at the venue and in the engine's portfolio."""
        self.venue.deposit(asset.name, units)
        self.engine.deposit(asset, units)

    def split(self, market: str, lots: int) -> None:
        self.venue.split(market, lots)
        self.engine.open_sets(market, lots)


def _span(instrument: Instrument) -> MarketSpan:
    end = instrument.one_i if instrument.kind is InstrumentKind.BINARY else None
    return MarketSpan(1, 1, instrument.tick_i, end)
