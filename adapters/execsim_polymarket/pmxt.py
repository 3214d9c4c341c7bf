"""Importer `pmxt`: the hourly parquet of the PMXT archive, version 2.

Built to the published schema (formats.md section 4.2); **no real file was seen**. Rows are sorted by market, asset and
timestamp_received, so file order is not time order: each market's rows are sorted by timestamp_received, then timestamp, and
the rows of one price_change, which the archive splits, are put together again by equal clocks. There are no hashes: best_bid
and best_ask of the changes are the oracle, and the evidence that nothing was lost in a quiet spell.
Memory: one market's rows of one file, and 8 bytes a message between the passes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from execsim.core.errors import DataError, ValidationError
from execsim.core.units import NS_PER_MS, plain
from execsim.tape.schema import NO_TIME, RowBuffer, RowSink, SourceInfo
from execsim_polymarket.archive import COMMON_OPTIONS, Settings, common_notes, play, start_replays, why
from execsim_polymarket.book import Given
from execsim_polymarket.canon import At
from execsim_polymarket.frames import instant_ns, sha256
from execsim_polymarket.survey import Survey

KEYS: Final = ("market", "asset_id", "event_type", "timestamp", "timestamp_received")
COLUMNS: Final = (
    "timestamp_received",
    "timestamp",
    "market",
    "event_type",
    "asset_id",
    "bids",
    "asks",
    "price",
    "size",
    "side",
    "best_bid",
    "best_ask",
    "transaction_hash",
    "new_tick_size",
)
"""The columns used; fee_rate_bps and old_tick_size are in the schema and not needed."""
UNSEEN: Final = "pmxt: built to the published v2 schema; no real file was seen when this importer was written"

_Row = dict[str, Any]


class PmxtV2:
    """Importer of PMXT archive v2 files, one hour each, given in the order of their hours."""

    name: Final = "pmxt"
    version: Final = 1
    options: Mapping[str, str] = COMMON_OPTIONS

    def sniff(self, path: Path) -> bool:
        """Whether the parquet columns are those of the archive."""
        try:
            return {"timestamp_received", "event_type", "asset_id", "bids", "asks"} <= set(pq.read_schema(path).names)
        except (OSError, pa.ArrowInvalid):
            return False

    def run(self, sources: Sequence[Path], options: Mapping[str, Any], sink: RowSink) -> None:
        """Errors: DataError naming file and column or row; ConfigError for an option."""
        settings = Settings.read(options, self.options)
        sink.note(UNSEEN)
        survey = Survey()
        counts = [_survey(path, survey, settings.wanted) for path in sources]
        if not survey.heard:
            raise DataError(", ".join(str(path) for path in sources), "holds no rows of the wanted markets", "")
        replays = start_replays(survey, settings, sink, infer_trades=survey.trades == 0)
        buffer: RowBuffer | None = None
        for path, count in zip(sources, counts, strict=True):
            buffer = RowBuffer(sink, sink.source(SourceInfo(path.name, sha256(path), path.stat().st_size, count)))
            for market, rows in _markets(path, settings.wanted):
                if market not in replays:
                    continue
                for event, at, frame in _messages(path, market, rows):
                    try:
                        play(event, frame, at, Given(), replays[market], buffer, sink)
                    except (KeyError, TypeError, ValueError, ValidationError) as error:
                        raise DataError(f"{path}: {market} {frame['timestamp']}", why(error), "") from None
            buffer.flush()
        if buffer is not None:
            for replay in replays.values():
                replay.finish(buffer)
            buffer.flush()
        common_notes(replays, sink)


def _survey(path: Path, survey: Survey, wanted: frozenset[str]) -> int:
    """First pass over the key columns; returns how many rows the file holds of the wanted markets."""
    before = survey.frames
    for number, row in enumerate(_rows(path, KEYS, wanted), 1):
        market, asset, event = row["market"], row["asset_id"], row["event_type"]
        if not (isinstance(market, str) and isinstance(asset, str)):
            raise DataError(f"{path}: row {number}", "market or asset_id is empty", "")
        at_ns = instant_ns(row["timestamp"])
        at_ns = at_ns if at_ns != NO_TIME else instant_ns(row["timestamp_received"])
        if event in ("book", "price_change"):
            survey.book(market, asset, at_ns)
        else:
            survey.aside(market, asset, at_ns, trade=event == "last_trade_price")
    return survey.frames - before


def _markets(path: Path, wanted: frozenset[str]) -> Iterator[tuple[str, list[_Row]]]:
    """Each market's rows of one file, in order of receipt.

    Frames arrive in bursts of one receive time; the venue's time orders them and brings both tokens of a frame together.
    """
    for market, rows in groupby(_rows(path, COLUMNS, wanted), key=lambda row: row["market"]):
        timed = [((instant_ns(row["timestamp_received"]), instant_ns(row["timestamp"])), row) for row in rows]
        yield market, [row for _, row in sorted(timed, key=lambda item: item[0])]


def _messages(path: Path, market: str, rows: list[_Row]) -> Iterator[tuple[str, At, dict[str, Any]]]:
    """Rows as venue messages: (event, clocks, frame as the market channel has it)."""
    for (event, received, stamp), group in groupby(
        rows, key=lambda row: (row["event_type"], row["timestamp_received"], row["timestamp"])
    ):
        venue_ns, recv_ns = instant_ns(stamp), instant_ns(received)
        at = At(venue_ns, recv_ns, recv_ns if venue_ns == NO_TIME else venue_ns)
        head = {"market": market, "timestamp": "" if venue_ns == NO_TIME else str(venue_ns // NS_PER_MS)}
        members = list(group)
        if event == "price_change":
            yield event, at, head | {"price_changes": [_texts(row) for row in members]}
        elif event == "book":
            for row in members:
                yield event, at, head | {"asset_id": row["asset_id"]} | _levels(path, row)
        elif event in ("last_trade_price", "tick_size_change"):
            for row in members:
                yield event, at, head | _texts(row)
        else:
            raise DataError(f"{path}: {market} {received}", f"unknown event_type {event!r}", "is it a PMXT v2 file?")


def _texts(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row's own fields, decimals as the venue writes them."""
    return {
        key: plain(value) if isinstance(value, Decimal) else value for key, value in row.items() if value is not None
    }


def _levels(path: Path, row: Mapping[str, Any]) -> dict[str, Any]:
    """bids and asks of a book row: JSON text `[["price","size"], ...]`; null is an empty side."""
    try:
        return {side: json.loads(row[side]) if row[side] else [] for side in ("bids", "asks")}
    except ValueError as error:
        where = f"{path}: {row['market']} {row['timestamp_received']}"
        raise DataError(where, f"bids or asks is not JSON: {error}", 'they look like [["0.51","100"]]') from None


def _rows(path: Path, columns: Sequence[str], wanted: frozenset[str]) -> Iterator[_Row]:
    """Rows in file order. Condition ids among `wanted` are filtered by parquet statistics; slugs are not in the file."""
    if not path.exists():
        raise DataError(str(path), "does not exist", "check the path")
    import pyarrow.dataset as ds  # here, because it imports pandas: a second of start-up for everybody else

    try:
        data = ds.dataset(path, format="parquet")
        for name in COLUMNS:
            if name not in data.schema.names:
                raise DataError(str(path), f"has no column {name!r}", f"a PMXT v2 file has {', '.join(COLUMNS)}")
        chosen = None
        if wanted:
            kind = data.schema.field("market").type
            values = [name.encode() if pa.types.is_fixed_size_binary(kind) else name for name in sorted(wanted)]
            fitting = [v for v in values if not pa.types.is_fixed_size_binary(kind) or len(v) == kind.byte_width]
            chosen = ds.field("market").isin(pa.array(fitting, kind))
        for batch in data.to_batches(columns=list(columns), filter=chosen):
            for row in batch.to_pylist():
                market = row["market"]
                row["market"] = market.decode("ascii", "replace") if isinstance(market, bytes) else market
                yield row
    except (pa.ArrowInvalid, OSError) as error:
        reason = str(error).splitlines()[0]
        what = f"is not a readable parquet file: {reason}"
        raise DataError(str(path), what, "it was cut short; fetch it again") from None
