"""The tape: what a recorded market looks like once imported. Light: importable by adapters.

A tape is a directory: `rows.parquet` (zstd, row groups of at most 1,000,000 rows) and `manifest.json`. Rows are sorted
by (ts_venue_ns, trades before everything else of that instant and market, seq); per market ts_venue_ns and ts_recv_ns
never decrease and ts_recv_ns >= ts_venue_ns + FLOOR_NS: no strategy can see a row before the venue had it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from pathlib import Path
from typing import Any, Final, Protocol

SCHEMA_VERSION: Final = 1
ROW_GROUP_ROWS: Final = 1_000_000

FLOOR_NS: Final = 1_000
"""Least time between a venue event and its receipt (1 us): recorder clocks drift, light does not."""


class Kind(IntEnum):
    """What a row says. LEVEL and SNAPSHOT carry the level's new total size; size 0 removes it."""

    SNAPSHOT = 0
    """one level of a full book; flags mark its first and last row. One row of size 0 with FIRST|LAST: an empty book"""
    LEVEL = 1
    TRADE = 2
    BBO = 3
    """best price and size of one side from a recording without depth: replaces that side; size 0 empties it"""
    TICK = 4
    """price_i = the new tick, in price units"""
    STATUS = 5
    """size_i: 1 trading, 0 halted"""
    RESOLVE = 6
    """price_i = what a YES share pays"""
    GAP = 7
    """size_i: 1 a gap opens (nothing is known from here), 0 it closes (a snapshot follows, or the book is known)"""


class SideCode(IntEnum):
    """side column: of a level BID/ASK; of a trade the aggressor's (`aggressor` column), NONE where unknown."""

    NONE = 0
    BID = 1
    ASK = -1


class Flag(IntFlag):
    FIRST = 1
    """first row of a snapshot: forget the book"""
    LAST = 2
    """last row of a snapshot or of one venue message: the book is consistent here"""
    INFERRED = 4
    """not in the recording: inferred from consecutive books (trades)"""
    CLOCK_VENUE = 8
    """ts_venue_ns was missing or ran backwards and was repaired"""
    CLOCK_RECV = 16
    """ts_recv_ns was missing, ran backwards or preceded the venue and was repaired"""
    NO_TOKEN = 32
    """a trade printed on the NO token (its price is already 1 - p)"""
    RESYNC = 64
    """first row of a snapshot that closes a gap or replaces a book known to be wrong: queue positions are lost"""


COLUMNS: Final = {
    "ts_venue_ns": "int64",
    "ts_recv_ns": "int64",
    "seq": "int64",
    "market": "int32",
    "kind": "int8",
    "side": "int8",
    "price_i": "int64",
    "size_i": "int64",
    "aggressor": "int8",
    "order_id": "int64",
    "flags": "int32",
}
"""Column -> NumPy dtype. `market` indexes manifest.markets; `order_id` is 0 where orders are not recorded, else
the birth of the order that the row is about: a number that rises with each order that takes a place at the back of a queue
of its market (a new one, or one that lost its place). A LEVEL row that repeats what TRADE rows of its instant or before told
has the negative birth. `aggressor` is a SideCode (BID = buyer) and 0 for other kinds."""


@dataclass(slots=True)
class MarketInfo:
    """One market of a tape: decimals are strings. `outcome` is the payoff (YES) if known, kept from strategies."""

    market: str
    venue: str
    instrument_kind: str
    price_unit: str
    lot: str
    base: str
    quote: str
    tick: str
    size_step: str
    size_min: str = "0"
    notional_min: str = "0"
    yes_token: str = ""
    no_token: str = ""
    title: str = ""
    outcome: str | None = None
    outcome_source: str = ""
    price_gcd_i: int = 1
    """every price_i of this market on this tape is a multiple of it (the ladder's stride)"""
    size_gcd_lots: int = 1
    """every size of this market on this tape is a multiple of it (rounding quantum of queue models)"""
    price_min_i: int = 0
    price_max_i: int = 0
    size_max_lots: int = 0
    rows: int = 0
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class SourceInfo:
    """One imported file. `clock_offset_ns` is what was added to its receive times (rolling minimum of recv - venue)."""

    name: str
    sha256: str
    bytes: int
    rows: int = 0
    clock_offset_ns: int = 0
    licence: str = ""


@dataclass(slots=True)
class GapInfo:
    """A stretch of one market in which nothing is known."""

    market: int
    start_ns: int
    end_ns: int
    why: str


@dataclass(slots=True)
class Manifest:
    """Everything about a tape but its rows. `defects` counts what was wrong in the recording, by name."""

    format: str
    importer_version: int
    schema_version: int = SCHEMA_VERSION
    rows: int = 0
    ts_first_ns: int = 0
    ts_last_ns: int = 0
    data_sha256: str = ""
    markets: list[MarketInfo] = field(default_factory=list)
    sources: list[SourceInfo] = field(default_factory=list)
    gaps: list[GapInfo] = field(default_factory=list)
    ticks: list[tuple[int, int, int]] = field(default_factory=list)
    """(market, ts_venue_ns, tick_i) changes"""
    defects: dict[str, int] = field(default_factory=dict)
    checks: dict[str, int] = field(default_factory=dict)
    """oracle counts made while importing, e.g. book_hash_checked, book_hash_ok, best_price_checked, best_price_ok"""
    notes: list[str] = field(default_factory=list)


NO_TIME: Final = -1
"""What an importer passes for a clock the recording does not have."""


class RowSink(Protocol):
    """Where an importer puts what it reads, in wire order. The sink repairs clocks, sorts, counts and writes."""

    def source(self, info: SourceInfo) -> int:
        """Announce a file before its rows; returns its index (clock offsets are estimated per source)."""

    def market(self, info: MarketInfo) -> int:
        """Announce a market before its rows; returns its index. Announcing the same id again returns the same index."""

    def rows(self, source: int, columns: Mapping[str, Any]) -> None:
        """Append rows: every name of COLUMNS but seq (the sink numbers them), equal lengths, raw clocks, NO_TIME where
        missing. Errors: DataError when a price x size reaches NOTIONAL_MAX or a size is negative."""

    def gap(self, info: GapInfo) -> None:
        """Record a gap (the importer also emits its two GAP rows)."""

    def defect(self, name: str, count: int = 1) -> None:
        """Count something wrong in the recording, by a short snake_case name."""

    def check(self, name: str, ok: bool, count: int = 1) -> None:
        """Count an oracle: adds to checks["<name>_checked"] and, if ok, to checks["<name>_ok"]."""

    def note(self, text: str) -> None:
        """A sentence a reader of `data info` must know (assumptions, things inferred)."""


class Importer(Protocol):
    """Reads one format. `version` rises whenever its rows would change (it is part of the cache key)."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> int: ...

    @property
    def options(self) -> Mapping[str, str]:
        """Option name -> one-line meaning with its default; anything else in `run(options)` is a ConfigError."""

    def sniff(self, path: Path) -> bool:
        """Whether the file looks like this format (reads a few KB at most)."""

    def run(self, sources: Sequence[Path], options: Mapping[str, Any], sink: RowSink) -> None:
        """Read the files, in the order given, as one recording. Errors: DataError naming file and row."""


class RowBuffer:
    """Collects single rows cheaply and hands them to a sink in bulk; call `flush` at the end."""

    def __init__(self, sink: RowSink, source: int, limit: int = 65_536) -> None:
        self._sink = sink
        self._source = source
        self._limit = limit
        self._rows: list[tuple[int, int, int, int, int, int, int, int, int, int]] = []

    def add(
        self,
        ts_venue_ns: int,
        ts_recv_ns: int,
        market: int,
        kind: int,
        side: int,
        price_i: int,
        size_i: int,
        aggressor: int = 0,
        order_id: int = 0,
        flags: int = 0,
    ) -> None:
        self._rows.append((ts_venue_ns, ts_recv_ns, market, kind, side, price_i, size_i, aggressor, order_id, flags))
        if len(self._rows) >= self._limit:
            self.flush()

    def flush(self) -> None:
        if self._rows:
            columns = list(zip(*self._rows, strict=True))
            self._rows.clear()
            names = [name for name in COLUMNS if name != "seq"]
            self._sink.rows(self._source, dict(zip(names, columns, strict=True)))
