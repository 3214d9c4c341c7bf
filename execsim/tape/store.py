"""The tape on disk: `TapeWriter` turns what an importer reads into a directory, `load_manifest` opens one.

A tape is written into a temporary directory beside its target and renamed when complete: whoever sees the target sees
all of it, and a failed import leaves nothing behind.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from execsim.core.errors import DataError, InternalError
from execsim.core.units import NOTIONAL_MAX
from execsim.tape.clock import groups, repair
from execsim.tape.rows import Columns
from execsim.tape.schema import (
    COLUMNS,
    ROW_GROUP_ROWS,
    SCHEMA_VERSION,
    Flag,
    GapInfo,
    Kind,
    Manifest,
    MarketInfo,
    SourceInfo,
)

ROWS_FILE: Final = "rows.parquet"
MANIFEST_FILE: Final = "manifest.json"

GROUP_ROWS: Final = min(262_144, ROW_GROUP_ROWS)
"""Rows per parquet row group: what a reader decodes at once, and the grain at which a time range skips."""

BOOK_KINDS: Final = (Kind.SNAPSHOT, Kind.LEVEL, Kind.TRADE, Kind.BBO)
"""Kinds whose price_i and size_i are a price and a size."""

_serial = itertools.count()


Info = TypeVar("Info", Manifest, MarketInfo, SourceInfo, GapInfo)


class TapeWriter:
    """A RowSink that writes a tape; use as a context manager, `manifest` is complete after a clean exit.

    Rows are kept in memory until then (an import may hold the recording; a replay may not). Rows are numbered in the
    order handed in (`seq`), clocks repaired by clock.repair, and sorted by (ts_venue_ns, trades first within an instant
    of a market unless that moved them across a snapshot, seq). Receive times are made monotone per market once more in
    that order. Replaces a tape that stands at `path`.
    Errors: DataError for a recording without rows, a negative price or size, a price x size >= NOTIONAL_MAX.
    """

    def __init__(self, path: Path, format: str, importer_version: int) -> None:
        self.path = Path(path)
        self.manifest = Manifest(format=format, importer_version=importer_version)
        self._chunks: list[Columns] = []
        self._sources: list[npt.NDArray[np.int32]] = []
        self._markets: dict[tuple[str, str], int] = {}
        self._rows = 0
        self._part = self.path.parent / f".{self.path.name}.{os.getpid()}.{next(_serial)}.part"

    def __enter__(self) -> TapeWriter:
        try:
            self._part.mkdir(parents=True)
        except OSError as error:
            raise DataError(str(self.path), f"cannot be written: {error.strerror}", "choose another place") from None
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            if error is None:
                self._finish()
                install(self._part, self.path)
        except OSError as failure:
            raise DataError(
                str(self.path), f"cannot be written: {failure.strerror}", "choose another place"
            ) from failure
        finally:
            shutil.rmtree(self._part, ignore_errors=True)
            self._chunks.clear()

    def source(self, info: SourceInfo) -> int:
        self.manifest.sources.append(info)
        return len(self.manifest.sources) - 1

    def market(self, info: MarketInfo) -> int:
        key = (info.venue, info.market)
        if key not in self._markets:
            self._markets[key] = len(self.manifest.markets)
            self.manifest.markets.append(info)
        return self._markets[key]

    def rows(self, source: int, columns: Mapping[str, Any]) -> None:
        if not 0 <= source < len(self.manifest.sources):
            raise InternalError(f"rows of source {source}, but {len(self.manifest.sources)} sources are announced")
        info = self.manifest.sources[source]
        chunk = {name: _column(name, dtype, columns, info.name) for name, dtype in COLUMNS.items() if name != "seq"}
        lengths = {len(column) for column in chunk.values()}
        if len(lengths) != 1:
            raise InternalError(f"columns of different lengths {sorted(lengths)} from {info.name}")
        n = lengths.pop()
        if n == 0:
            return
        self._check(chunk, info)
        chunk["seq"] = np.arange(self._rows, self._rows + n, dtype=np.int64)
        self._chunks.append(chunk)
        self._sources.append(np.full(n, source, dtype=np.int32))
        self._rows += n
        info.rows += n

    def gap(self, info: GapInfo) -> None:
        self.manifest.gaps.append(info)

    def defect(self, name: str, count: int = 1) -> None:
        self.manifest.defects[name] = self.manifest.defects.get(name, 0) + count

    def check(self, name: str, ok: bool, count: int = 1) -> None:
        for key, added in ((f"{name}_checked", count), (f"{name}_ok", count if ok else 0)):
            self.manifest.checks[key] = self.manifest.checks.get(key, 0) + added

    def note(self, text: str) -> None:
        if text not in self.manifest.notes:
            self.manifest.notes.append(text)

    def _check(self, chunk: Columns, info: SourceInfo) -> None:
        market, price, size = chunk["market"], chunk["price_i"], chunk["size_i"]
        if market.min() < 0 or market.max() >= len(self.manifest.markets):
            raise InternalError(f"a row of {info.name} names a market that was not announced")
        for name, column in (("size", size), ("price", price)):
            if column.min() < 0:
                row = int(np.argmax(column < 0))
                raise DataError(
                    f"{info.name}: row {info.rows + row}",
                    f"{name} {column[row]} of market {self._name(market[row])} is negative",
                    "the recording or its column map is wrong",
                )
        if int(price.max()) * int(size.max()) < NOTIONAL_MAX:
            return
        sized = np.isin(chunk["kind"], BOOK_KINDS) & (size > 0)
        too_big = np.flatnonzero(sized & (price > (NOTIONAL_MAX - 1) // np.maximum(size, 1)))
        if len(too_big):
            row = int(too_big[0])
            raise DataError(
                f"{info.name}: row {info.rows + row}",
                f"price {price[row]} x size {size[row]} of market {self._name(market[row])} reaches 2**62",
                "choose a coarser lot or price_unit for this market",
            )

    def _name(self, market: int) -> str:
        return self.manifest.markets[market].market

    def _finish(self) -> None:
        if not self._rows:
            names = ", ".join(info.name for info in self.manifest.sources) or str(self.path)
            raise DataError(names, "no market data rows", "the recording is empty or of another format")
        manifest = self.manifest
        columns = {name: np.concatenate([chunk[name] for chunk in self._chunks]) for name in COLUMNS}
        self._chunks.clear()
        fixed = repair(columns["ts_venue_ns"], columns["ts_recv_ns"], np.concatenate(self._sources), columns["market"])
        self._explain(fixed.offsets)
        for name, count in fixed.defects.items():
            self.defect(name, count)
        columns["ts_venue_ns"], columns["ts_recv_ns"] = fixed.venue, fixed.recv
        columns["flags"] |= fixed.flags
        order = tape_order(columns)
        columns = {name: column[order] for name, column in columns.items()}
        raised = 0
        for index, rows in groups(columns["market"]):
            recv = columns["ts_recv_ns"][rows]
            steady = np.maximum.accumulate(recv)
            raised += int((steady != recv).sum())
            columns["ts_recv_ns"][rows] = steady
            _describe(manifest.markets[index], columns, rows)
        if raised:
            self.note(f"{raised} receive times raised to that of a row which goes before theirs in venue order")
        tick = np.flatnonzero(columns["kind"] == Kind.TICK)
        manifest.ticks = [
            (int(columns["market"][i]), int(columns["ts_venue_ns"][i]), int(columns["price_i"][i])) for i in tick
        ]
        manifest.rows = self._rows
        manifest.ts_first_ns, manifest.ts_last_ns = int(columns["ts_venue_ns"][0]), int(columns["ts_venue_ns"][-1])
        manifest.data_sha256 = data_hash(manifest.sources, columns)
        _write_rows(self._part / ROWS_FILE, columns)
        save_manifest(self._part, manifest)

    def _explain(self, offsets: Mapping[int, tuple[int, int]]) -> None:
        for index, (least, largest) in offsets.items():
            info = self.manifest.sources[index]
            info.clock_offset_ns = largest
            self.note(
                f"{info.name}: the recorder's clock was behind the venue's; receive times moved later by "
                f"{least / 1e6:.3f} to {largest / 1e6:.3f} ms, so that the least latency of a minute is at least 1 us"
            )


def load_manifest(tape_dir: Path) -> Manifest:
    """The manifest of a tape, after checking that its rows are whole. Errors: DataError naming the fix."""
    path = Path(tape_dir)
    again = "import the recording again (execsim data import)"
    try:
        raw = json.loads((path / MANIFEST_FILE).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        what = "not a tape" if path.exists() else "no such tape"
        raise DataError(str(path), what, "execsim data import RECORDING -o TAPE makes one") from None
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise DataError(str(path / MANIFEST_FILE), "unreadable manifest", again) from None
    version = raw.get("schema_version") if isinstance(raw, dict) else None
    if version != SCHEMA_VERSION:
        raise DataError(str(path), f"schema version {version}, this execsim reads {SCHEMA_VERSION}", again)
    try:
        manifest = _manifest_of(raw)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise DataError(str(path / MANIFEST_FILE), f"wrong manifest ({error})", again) from None
    rows = open_rows(path).metadata.num_rows
    if rows != manifest.rows:
        raise DataError(str(path / ROWS_FILE), f"{rows} rows, the manifest says {manifest.rows}", again)
    return manifest


def save_manifest(tape_dir: Path, manifest: Manifest) -> None:
    """Write manifest.json (sorted keys) into a tape directory."""
    text = json.dumps(asdict(manifest), indent=1, sort_keys=True, ensure_ascii=False)
    (Path(tape_dir) / MANIFEST_FILE).write_text(text + "\n", encoding="utf-8", newline="\n")


def open_rows(tape_dir: Path) -> Any:
    """The tape's pyarrow ParquetFile. Errors: DataError when it is missing, truncated or lacks a column."""
    path = Path(tape_dir) / ROWS_FILE
    again = "import the recording again (execsim data import)"
    try:
        # pre_buffer keeps every byte read until the file is closed: a long tape would end up in memory.
        opened = pq.ParquetFile(path, pre_buffer=False)
    except FileNotFoundError:
        raise DataError(str(path), "no such file", again) from None
    except (pa.ArrowException, OSError) as error:
        raise DataError(str(path), f"truncated or unreadable parquet ({first_line(error)})", again) from None
    schema = opened.schema_arrow
    for name, dtype in COLUMNS.items():
        if name not in schema.names or schema.field(name).type != pa.type_for_alias(dtype):
            opened.close()
            raise DataError(str(path), f"no column {name} of type {dtype}", again)
    return opened


def hash_file(path: Path) -> str:
    """sha256 (hex) of a file's bytes. Errors: DataError when it cannot be read."""
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise DataError(str(path), "no such file", "") from None
    except OSError as error:
        raise DataError(str(path), f"cannot be read: {error.strerror}", "") from None


def data_hash(sources: list[SourceInfo], columns: Columns) -> str:
    """sha256 (hex) of what a tape was made from.

    One source file: the file's own hash. Several: sha256 over their hex hashes in the order given, joined by newlines.
    Without source hashes (synthetic): over the columns' little-endian bytes, column after column.
    """
    hashes = [info.sha256 for info in sources]
    if hashes and all(hashes):
        return hashes[0] if len(hashes) == 1 else hashlib.sha256("\n".join(hashes).encode()).hexdigest()
    digest = hashlib.sha256()
    for name in COLUMNS:
        column = np.ascontiguousarray(columns[name])
        digest.update(column.astype(column.dtype.newbyteorder("<"), copy=False).data)
    return digest.hexdigest()


def install(part: Path, target: Path) -> None:
    """Rename a finished directory into place; a tape standing there is moved aside first and then removed."""
    try:
        part.rename(target)
    except OSError:
        if not (target / MANIFEST_FILE).is_file():
            raise
        aside = part.with_suffix(".old")
        target.rename(aside)
        part.rename(target)
        shutil.rmtree(aside, ignore_errors=True)


def tape_order(columns: Columns) -> npt.NDArray[np.intp]:
    """The order of rows on tape, as indices into rows in wire order whose clocks are repaired.

    (ts_venue_ns, trades first, seq), where a trade overtakes rows of its own instant only up to the nearest snapshot
    of its market: what stood before a FIRST row or after a LAST row on the wire stays there.
    """
    venue, kind, flags, market = columns["ts_venue_ns"], columns["kind"], columns["flags"], columns["market"]
    rank = (kind != Kind.TRADE).astype(np.int64)
    if not (kind == Kind.SNAPSHOT).any():
        unbroken: npt.NDArray[np.intp] = np.lexsort((rank, venue))
        return unbroken
    rows = np.lexsort((venue, market))
    first, last = ((kind[rows] == Kind.SNAPSHOT) & (flags[rows] & edge != 0) for edge in (Flag.FIRST, Flag.LAST))
    edges = np.cumsum(first.astype(np.int64) + np.concatenate(([False], last[:-1])))
    instant, of = venue[rows], market[rows]
    begins = np.concatenate(([True], (instant[1:] != instant[:-1]) | (of[1:] != of[:-1])))
    begin = np.maximum.accumulate(np.where(begins, np.arange(len(rows)), 0))
    rank[rows] += 2 * (edges - edges[begin])
    order: npt.NDArray[np.intp] = np.lexsort((rank, venue))
    return order


def _describe(info: MarketInfo, columns: Columns, rows: npt.NDArray[np.intp]) -> None:
    """Fill in what a market's rows say about it. `extra` gets first_ns, last_ns and first_snapshot_ns (None: never)."""
    kind, price, size = (columns[name][rows] for name in ("kind", "price_i", "size_i"))
    venue, flags = columns["ts_venue_ns"][rows], columns["flags"][rows]
    info.rows = len(rows)
    book = np.isin(kind, BOOK_KINDS)
    priced = price[book & ((price > 0) | (size > 0))]
    sized = size[book & (size > 0)]
    if len(priced):
        info.price_min_i, info.price_max_i = int(priced.min()), int(priced.max())
        info.price_gcd_i = max(1, int(np.gcd.reduce(priced)))
    if len(sized):
        info.size_max_lots, info.size_gcd_lots = int(sized.max()), int(np.gcd.reduce(sized))
    known = ((kind == Kind.SNAPSHOT) & (flags & Flag.LAST != 0)) | (kind == Kind.BBO)
    info.extra["first_ns"], info.extra["last_ns"] = int(venue[0]), int(venue[-1])
    info.extra["first_snapshot_ns"] = int(venue[np.argmax(known)]) if known.any() else None


def _column(name: str, dtype: str, columns: Mapping[str, Any], where: str) -> npt.NDArray[Any]:
    if name not in columns:
        raise InternalError(f"rows from {where} lack the column {name}")
    values = np.asarray(columns[name])
    if not values.size:
        return np.empty(0, dtype=dtype)
    limits = np.iinfo(dtype)
    if values.dtype.kind not in "iu":  # Python ints past 64 bits become objects, or floats beside small ones
        fits = isinstance(columns[name], np.ndarray) or not all(isinstance(value, int) for value in columns[name])
        if fits:
            raise InternalError(f"column {name} from {where} is {values.dtype}, not integers")
    else:
        fits = limits.min <= int(values.min()) and int(values.max()) <= limits.max
    if not fits:
        raise DataError(where, f"a number in column {name} does not fit {dtype}", "choose coarser units")
    return np.array(values, dtype=dtype)


def _write_rows(path: Path, columns: Columns) -> None:
    schema = pa.schema([(name, pa.type_for_alias(dtype)) for name, dtype in COLUMNS.items()])
    with pq.ParquetWriter(path, schema, compression="zstd", compression_level=3) as writer:
        for part in _parts(columns, GROUP_ROWS):
            # From buffers: pa.array(ndarray) would import pandas, which costs an import more than all its rows.
            arrays = [
                pa.Array.from_buffers(field.type, len(part["seq"]), [None, pa.py_buffer(part[field.name])])
                for field in schema
            ]
            writer.write_table(pa.table(arrays, schema=schema), row_group_size=GROUP_ROWS)


def _parts(columns: Columns, rows: int) -> Iterator[Columns]:
    for start in range(0, len(columns["seq"]), rows):
        yield {name: column[start : start + rows] for name, column in columns.items()}


def _manifest_of(raw: Mapping[str, Any]) -> Manifest:
    values = dict(raw)
    known = {field.name for field in fields(Manifest)}
    if unknown := sorted(set(values) - known):
        raise ValueError(f"unknown field {unknown[0]}")
    values["markets"] = [_typed(MarketInfo(**market)) for market in values["markets"]]
    values["sources"] = [_typed(SourceInfo(**source)) for source in values["sources"]]
    values["gaps"] = [_typed(GapInfo(**gap)) for gap in values["gaps"]]
    values["ticks"] = [(int(market), int(ts_ns), int(tick_i)) for market, ts_ns, tick_i in values["ticks"]]
    for name in ("defects", "checks"):
        values[name] = {str(key): int(count) for key, count in values[name].items()}
    if values["rows"] and not values["markets"]:
        raise ValueError("rows but no market")
    return _typed(Manifest(**values))


def _typed(info: Info) -> Info:
    """What JSON gave, if its texts are texts and its whole numbers whole numbers. Errors: TypeError naming the field."""
    for field in fields(info):
        kind = {"str": str, "int": int}.get(str(field.type))
        if kind is not None and type(getattr(info, field.name)) is not kind:
            raise TypeError(f"{field.name} is not {'text' if kind is str else 'a whole number'}")
    return info


def first_line(error: BaseException) -> str:
    """The first line of a library's error text: Arrow's run over several."""
    return str(error).split("\n", 1)[0]
