"""What is wrong with a tape, and how much of it can be trusted (`execsim data check`).

`check_tape` streams the whole tape once and rebuilds every book. `coverage` reads the manifest only and stands beside
the PnL of a run.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from decimal import ROUND_FLOOR, Decimal
from pathlib import Path
from typing import Any, Final

import numpy as np

from execsim.core.errors import ConfigError
from execsim.core.units import NS_PER_S, plain
from execsim.tape.book import MarketBook
from execsim.tape.reader import TapeReader
from execsim.tape.rows import Columns
from execsim.tape.schema import Flag, Kind, Manifest
from execsim.tape.store import load_manifest

GAP_SHARE_PERCENT: Final = 5
"""An interval of which more than this is unknown is graded F."""

GRADES: Final = "ABCF"
_FINE_BITS: Final = 7
"""Latency histogram: values are kept to this many bits after the leading one, within 1 percent."""

Span = tuple[int, int]
"""[start, end) in ns"""


@dataclass(slots=True)
class Interval:
    """A stretch of one market. `why` says what kept it from an A."""

    start_ns: int
    end_ns: int
    grade: str
    why: list[str]


@dataclass(slots=True)
class MarketReport:
    """What was found in one market. A moment is a venue instant after whose last row the book is in that state.

    `coverage` is the time graded A or B over the market's span, `known` what `coverage()` says from the manifest.
    """

    market: str
    venue: str
    rows: int
    span: Span
    first_snapshot_ns: int | None
    snapshots: int = 0
    trades: int = 0
    inferred_trades: int = 0
    crossed_moments: int = 0
    locked_moments: int = 0
    one_sided_moments: int = 0
    clock_repairs: int = 0
    gaps: int = 0
    gap_ns: int = 0
    missing_snapshot: bool = False
    grades: dict[str, int] = field(default_factory=dict)
    coverage: str = "0"
    known: str = "0"
    intervals: list[Interval] = field(default_factory=list)


@dataclass(slots=True)
class Report:
    """Everything `data check` prints; `as_json` gives plain JSON values. `ok`: no failing oracle, no market without a
    snapshot. `oracles`: name -> {ok, checked}. `latency_ns`: receive - venue time, percentiles within 1 percent.
    """

    path: str
    format: str
    rows: int
    span: Span
    interval_s: int
    ok: bool
    failures: list[str]
    kinds: dict[str, int]
    duplicates: int
    gaps: int
    defects: dict[str, int]
    oracles: dict[str, dict[str, int]]
    latency_ns: dict[str, int]
    clock_offset_ns: dict[str, int]
    grades: dict[str, int]
    coverage: str
    markets: list[MarketReport]
    notes: list[str]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def check_tape(path: Path, interval_s: int = 60) -> Report:
    """Check a tape row by row. Errors: DataError when it is not a whole tape, ConfigError for a non-positive interval.

    Each market is cut into intervals of `interval_s`, counted from the tape's first row, from its own first row to its
    last, and each gets the first grade that applies:
      F  more than GAP_SHARE_PERCENT of it is unknown: inside a gap (manifest or GAP rows) or before the first snapshot
      C  the book was crossed at a moment, or the tape has a failing oracle (oracles count per tape, not per instant)
      B  any of it is unknown, a clock of one of its rows was repaired, or the book was one-sided at a moment
      A  none of these. A locked book and duplicate rows are counted and do not change a grade.
    Nothing counts as crossed or one-sided inside a gap, before the first snapshot, or after the resolution.
    """
    if interval_s < 1:
        raise ConfigError(f"interval of {interval_s} s", "must be at least 1 s")
    reader = TapeReader(path)
    manifest = reader.manifest
    scan = _Scan(manifest, interval_s * NS_PER_S)
    for columns in reader:
        scan.add(columns)
    scan.finish()
    oracles = _oracles(manifest)
    failing = [f"{name}: {n['checked'] - n['ok']} of {n['checked']} failed" for name, n in oracles.items() if _bad(n)]
    markets = [scan.report(index, bool(failing)) for index in range(len(manifest.markets))]
    failures = failing + [f"{m.market}: no snapshot, the book is never known" for m in markets if m.missing_snapshot]
    total = sum(end - start for start, end in (m.span for m in markets))
    good = sum(_good_ns(m) for m in markets)
    return Report(
        path=str(path),
        format=manifest.format,
        rows=manifest.rows,
        span=(manifest.ts_first_ns, manifest.ts_last_ns),
        interval_s=interval_s,
        ok=not failures,
        failures=failures,
        kinds={kind.name.lower(): scan.kinds[kind] for kind in Kind if scan.kinds[kind]},
        duplicates=scan.duplicates,
        gaps=sum(market.gaps for market in markets),
        defects=dict(sorted(manifest.defects.items())),
        oracles=oracles,
        latency_ns=scan.percentiles(),
        clock_offset_ns={source.name: source.clock_offset_ns for source in manifest.sources},
        grades={grade: sum(market.grades[grade] for market in markets) for grade in GRADES},
        coverage=_ratio(good, total, any(m.grades["A"] + m.grades["B"] for m in markets)),
        markets=markets,
        notes=manifest.notes,
    )


def coverage(tape: Path | Manifest) -> dict[str, str]:
    """Market -> known time / span as a decimal string, from the manifest alone.

    Span: the market's first row to its last. Known: from the first snapshot (or best price of a tape without depth) on,
    less the gaps. Rounded down to six decimals; a market without a snapshot has 0. Errors: DataError (not a tape).
    """
    manifest = tape if isinstance(tape, Manifest) else load_manifest(tape)
    result, gaps = {}, _gaps(manifest)
    for index, info in enumerate(manifest.markets):
        start, end = _span(manifest, index)
        unknown = _unknown(manifest, index, gaps[index])
        ready = info.extra.get("first_snapshot_ns") is not None
        result[info.market] = _ratio(end - start - sum(b - a for a, b in unknown), end - start, ready)
    return result


class _Scan:
    """One pass over the rows: books, counts per interval, duplicates, latency."""

    def __init__(self, manifest: Manifest, interval_ns: int) -> None:
        self.manifest = manifest
        self.kinds: Counter[int] = Counter()
        self.duplicates = 0
        self._interval_ns = interval_ns
        self._books = [MarketBook() for _ in manifest.markets]
        self._repaired: Counter[tuple[int, int]] = Counter()
        self._latency: Counter[int] = Counter()
        self._inferred = np.zeros(len(manifest.markets), dtype=np.int64)
        self._repairs = np.zeros(len(manifest.markets), dtype=np.int64)
        self._gaps = _gaps(manifest)
        self._known = coverage(manifest)
        self._previous: Columns = {}

    def add(self, columns: Columns) -> None:
        for kind, count in zip(*np.unique(columns["kind"], return_counts=True), strict=True):
            self.kinds[int(kind)] += int(count)
        market, flags = columns["market"], columns["flags"]
        repaired = flags & (Flag.CLOCK_VENUE | Flag.CLOCK_RECV) != 0
        if repaired.any():
            bins = (columns["ts_venue_ns"][repaired] - self.manifest.ts_first_ns) // self._interval_ns
            pairs, counts = np.unique(np.stack((market[repaired], bins)), axis=1, return_counts=True)
            for (index, interval), count in zip(pairs.T.tolist(), counts.tolist(), strict=True):
                self._repaired[index, interval] += count
        np.add.at(self._repairs, market[repaired], 1)
        np.add.at(self._inferred, market[(columns["kind"] == Kind.TRADE) & (flags & Flag.INFERRED != 0)], 1)
        self._count_duplicates(columns)
        self._count_latency(columns["ts_recv_ns"] - columns["ts_venue_ns"])
        names = ("market", "ts_venue_ns", "kind", "side", "price_i", "size_i", "flags")
        books = self._books
        for index, ts_ns, kind, side, price_i, size_i, flag in zip(
            *(columns[name].tolist() for name in names), strict=True
        ):
            books[index].apply(ts_ns, kind, side, price_i, size_i, flag)

    def finish(self) -> None:
        for index, book in enumerate(self._books):
            book.close(_span(self.manifest, index)[1])

    def report(self, index: int, oracle_failed: bool) -> MarketReport:
        info, book = self.manifest.markets[index], self._books[index]
        span = _span(self.manifest, index)
        gaps = _union(self._gaps[index] + book.gaps, span)
        result = MarketReport(
            market=info.market,
            venue=info.venue,
            rows=info.rows,
            span=span,
            first_snapshot_ns=info.extra.get("first_snapshot_ns"),
            snapshots=book.snapshots,
            trades=book.trades,
            inferred_trades=int(self._inferred[index]),
            crossed_moments=len(book.crossed),
            locked_moments=len(book.locked),
            one_sided_moments=len(book.one_sided),
            clock_repairs=int(self._repairs[index]),
            gaps=len(gaps),
            gap_ns=sum(end - start for start, end in gaps),
            missing_snapshot=info.rows > 0 and info.extra.get("first_snapshot_ns") is None,
            known=self._known[info.market],
        )
        result.intervals = self._intervals(index, span, gaps, oracle_failed) if info.rows else []
        result.grades = {grade: sum(part.grade == grade for part in result.intervals) for grade in GRADES}
        good = result.grades["A"] + result.grades["B"]
        result.coverage = _ratio(_good_ns(result), span[1] - span[0], good > 0)
        return result

    def percentiles(self) -> dict[str, int]:
        """p1, p50, p99 of the latency histogram (lower edge of the bin)."""
        total, seen = sum(self._latency.values()), 0
        ranks = {f"p{percent}": max(1, -(-total * percent // 100)) for percent in (1, 50, 99)}
        result: dict[str, int] = {}
        for edge in sorted(self._latency):
            seen += self._latency[edge]
            for name, rank in ranks.items():
                if name not in result and seen >= rank:
                    result[name] = edge
        return result

    def _intervals(self, index: int, span: Span, gaps: list[Span], oracle_failed: bool) -> list[Interval]:
        book, origin, width = self._books[index], self.manifest.ts_first_ns, self._interval_ns
        crossed = _marked(book.crossed, origin, width)
        one_sided = _marked(book.one_sided, origin, width)
        unknown: Counter[int] = Counter()
        for start, end in _unknown(self.manifest, index, gaps):
            for part in range((start - origin) // width, (end - 1 - origin) // width + 1):
                unknown[part] += min(end, origin + (part + 1) * width) - max(start, origin + part * width)
        never = self.manifest.markets[index].extra.get("first_snapshot_ns") is None
        result = []
        last = max((span[0] - origin) // width, (span[1] - 1 - origin) // width)
        for part in range((span[0] - origin) // width, last + 1):
            start, end = max(span[0], origin + part * width), min(span[1], origin + (part + 1) * width)
            failed = never or unknown[part] * 100 > (end - start) * GAP_SHARE_PERCENT
            reasons = [
                ("F", "no snapshot" if never else "unknown for too long", failed),
                ("C", "crossed book", part in crossed),
                ("C", "an oracle fails", oracle_failed),
                ("B", "partly unknown", unknown[part] > 0 and not failed),
                ("B", "clock repaired", self._repaired[index, part] > 0),
                ("B", "one-sided book", part in one_sided),
            ]
            found = [(grade, why) for grade, why, applies in reasons if applies]
            result.append(Interval(start, end, found[0][0] if found else "A", [why for _, why in found]))
        return result

    def _count_duplicates(self, columns: Columns) -> None:
        """Rows equal to the row before them in all but their number."""
        names = [name for name in columns if name != "seq"]
        same = np.ones(len(columns["seq"]), dtype=bool)
        for name in names:
            column = columns[name]
            before = self._previous.get(name, column[:0])
            if not len(before):
                same[0] = False
                before = column[:1]
            same &= column == np.concatenate((before, column[:-1]))
        self._previous = {name: columns[name][-1:].copy() for name in names}
        self.duplicates += int(same.sum())

    def _count_latency(self, latency: Any) -> None:
        exponent = np.frexp(latency.astype(np.float64))[1].astype(np.int64)
        drop = np.maximum(0, exponent - 1 - _FINE_BITS)
        edges, counts = np.unique(latency >> drop << drop, return_counts=True)
        self._latency.update(dict(zip(edges.tolist(), counts.tolist(), strict=True)))


def _oracles(manifest: Manifest) -> dict[str, dict[str, int]]:
    names = sorted({name.rsplit("_", 1)[0] for name in manifest.checks})
    return {
        name: {"ok": manifest.checks.get(f"{name}_ok", 0), "checked": manifest.checks.get(f"{name}_checked", 0)}
        for name in names
    }


def _bad(counts: dict[str, int]) -> bool:
    return counts["ok"] < counts["checked"]


def _good_ns(market: MarketReport) -> int:
    return sum(part.end_ns - part.start_ns for part in market.intervals if part.grade in "AB")


def _span(manifest: Manifest, index: int) -> Span:
    extra = manifest.markets[index].extra
    first = int(extra.get("first_ns", manifest.ts_first_ns))
    return first, int(extra.get("last_ns", first))


def _gaps(manifest: Manifest) -> list[list[Span]]:
    """The manifest's gaps of each market."""
    result: list[list[Span]] = [[] for _ in manifest.markets]
    for gap in manifest.gaps:
        result[gap.market].append((gap.start_ns, gap.end_ns))
    return result


def _unknown(manifest: Manifest, index: int, gaps: list[Span]) -> list[Span]:
    """Stretches of a market's span in which its book is not known: gaps, and all before the first snapshot."""
    span = _span(manifest, index)
    first = manifest.markets[index].extra.get("first_snapshot_ns")
    return _union([*gaps, (span[0], span[1] if first is None else int(first))], span)


def _union(spans: list[Span], within: Span) -> list[Span]:
    """Sorted, disjoint and non-empty: the spans cut to `within`, overlapping ones joined."""
    result: list[Span] = []
    for start, end in sorted((max(start, within[0]), min(end, within[1])) for start, end in spans):
        if end <= start:
            continue
        if result and start <= result[-1][1]:
            result[-1] = (result[-1][0], max(end, result[-1][1]))
        else:
            result.append((start, end))
    return result


def _marked(spans: list[Span], origin: int, width: int) -> set[int]:
    """Numbers of the intervals that a span touches."""
    marked: set[int] = set()
    for start, end in spans:
        marked.update(range((start - origin) // width, (max(start, end - 1) - origin) // width + 1))
    return marked


def _ratio(part: int, whole: int, at_an_instant: bool) -> str:
    """part / whole, rounded down to six decimals; a span of no length is 1 or 0."""
    if whole <= 0:
        return "1" if at_an_instant else "0"
    return plain((Decimal(part) / Decimal(whole)).quantize(Decimal("0.000001"), rounding=ROUND_FLOOR))
