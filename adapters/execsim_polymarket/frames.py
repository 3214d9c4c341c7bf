"""Recordings of the market channel as files: JSON lines (plain or gzip), one JSON document, or parquet, one frame a row.

A `Row` is one line: the receive time, what the recorder wrote beside the frame, and the payload. Nothing here knows what a
frame means; `messages` only takes the payload apart into JSON objects.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from execsim.core.errors import ConfigError, DataError, ValidationError
from execsim.core.units import decimal_of
from execsim.tape.schema import NO_TIME

RECV_KEYS: Final = (
    "recv_ns",
    "recv_us",
    "recv_ms",
    "recv_ts",
    "received_at_utc",
    "received_at",
    "timestamp_received",
    "local_timestamp",
    "local_ts",
    "ts_recv",
    "ts",
    "timestamp",
)
"""Names of the receive time, most telling first; `timestamp` only where the frame is not bare (there it is the venue's)."""
PAYLOAD_KEYS: Final = ("raw_text", "raw_data", "raw", "frame", "payload", "message", "data")
UNITS_NS: Final = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
KEEPALIVE: Final = frozenset({"", "PING", "PONG", "ping", "pong"})
BATCH_ROWS: Final = 4_096
_FRAME_KEYS: Final = frozenset({"event_type", "price_changes", "changes", "new_tick_size", "bids"})
_SLUG_KEYS: Final = ("slug", "market_slug")


class Row(NamedTuple):
    """One line of a recording. `payload` is JSON text, an object, a list of objects, or None for an annotation, which is
    then `note`. `recv_ns` is NO_TIME where the recorder kept no clock. `number` counts lines and rows from 1."""

    number: int
    recv_ns: int
    payload: Any
    slug: str | None = None
    tick: str | None = None
    last: str | None = None
    note: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """How to read the lines: names left empty are guessed."""

    recv_key: str = ""
    payload_key: str = ""
    recv_unit: str = ""
    wanted: frozenset[str] = frozenset()
    """slugs and condition ids; filters parquet rows by a slug or market column before anything is parsed"""

    def __post_init__(self) -> None:
        if self.recv_unit and self.recv_unit not in UNITS_NS:
            raise ConfigError(f"recv_unit {self.recv_unit!r}", f"use one of {', '.join(UNITS_NS)}")


class Bad(Protocol):
    """What to do about a malformed line: raise DataError, or count it and go on."""

    def __call__(self, where: str, what: str) -> None: ...


def rows(path: Path, layout: Layout, bad: Bad) -> Iterator[Row]:
    """Every line of one file. `bad(where, what)` is called for a malformed line and raises or counts it.

    Errors: DataError for a file that is missing, truncated or not in any of the three containers.
    """
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise DataError(str(path), f"cannot be opened: {error.strerror}", "check the path") from None
    if magic == b"PAR1":
        yield from _parquet_rows(path, layout, bad)
    elif path.suffix == ".parquet":
        raise DataError(str(path), "is not a parquet file", "it was cut short or renamed; fetch it again")
    else:
        yield from _text_rows(path, layout, bad, zipped=magic[:2] == b"\x1f\x8b")


def messages(payload: Any) -> Sequence[Mapping[str, Any]]:
    """The venue's messages in one payload: JSON text, an object or a list. Errors: ValueError for anything else."""
    value = json.loads(payload) if isinstance(payload, str | bytes) else payload
    if isinstance(value, str):
        value = json.loads(value)
    if isinstance(value, Mapping):
        return (value,)
    if isinstance(value, list) and all(isinstance(item, Mapping) for item in value):
        return value
    raise ValueError(f"a frame must be a JSON object or a list of objects, not {str(value)[:40]!r}")


def is_keepalive(payload: Any) -> bool:
    return isinstance(payload, str) and payload.strip() in KEEPALIVE


def sha256(path: Path) -> str:
    """Of the file's bytes, read in pieces. Errors: DataError if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(str(path), f"cannot be read: {error.strerror}", "check the path") from None


def instant_ns(value: Any, unit: str = "") -> int:
    """A recorder's time in ns since the epoch, or NO_TIME for None.

    Numbers (and numeric text) are read exactly: a float through its shortest repr, digits beyond 1 ns are cut. Without
    `unit` the magnitude tells: below 1e11 s, 1e14 ms, 1e17 us, else ns (each holds for the years 1973 to 5138). Other
    text is ISO 8601, UTC unless it says otherwise. Errors: ValidationError.
    """
    if value is None or value == "":
        return NO_TIME
    if isinstance(value, datetime):
        return _datetime_ns(value, "") + int(getattr(value, "nanosecond", 0))
    if isinstance(value, str) and ("T" in value or ":" in value):
        return _iso_ns(value)
    number = decimal_of(value, "receive time")
    scale = UNITS_NS[unit] if unit else _guess_ns(number)
    if type(value) is int:
        return value * scale
    return int(number * scale)


def _guess_ns(number: Decimal) -> int:
    size = abs(number)
    for limit, unit in ((10**11, "s"), (10**14, "ms"), (10**17, "us")):
        if size < limit:
            return UNITS_NS[unit]
    return 1


def _iso_ns(text: str) -> int:
    head, dot, rest = text.strip().replace(" ", "T", 1).partition(".")
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    try:
        return _datetime_ns(datetime.fromisoformat(head + rest[len(digits) :]), digits if dot else "")
    except ValueError:
        raise ValidationError("receive time", f"{text!r} is neither a number nor ISO 8601") from None


def _datetime_ns(moment: datetime, digits: str) -> int:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    since = aware - datetime(1970, 1, 1, tzinfo=UTC)
    whole = (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1_000
    return whole + int(digits[:9].ljust(9, "0") or 0)


def _text_rows(path: Path, layout: Layout, bad: Bad, *, zipped: bool) -> Iterator[Row]:
    number = 0
    try:
        with gzip.open(path, "rb") if zipped else path.open("rb") as file:
            for number, line in enumerate(file, 1):
                text = line.strip()
                if not text:
                    continue
                if number == 1 and text in (b"[", b"{", b"[{"):
                    file.seek(0)
                    yield from _document_rows(path, file.read(), layout, bad)
                    return
                try:
                    value = json.loads(text)
                    row = _envelope(number, value, layout)
                except (ValueError, ValidationError) as error:
                    bad(f"{path}:{number}", f"is not a frame: {error}")
                    continue
                yield row
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        what = f"the gzip stream is damaged or cut short: {error}"
        raise DataError(f"{path}:{number + 1}", what, "fetch it again") from None
    except OSError as error:
        raise DataError(str(path), f"cannot be read: {error}", "check the path") from None


def _document_rows(path: Path, text: bytes, layout: Layout, bad: Bad) -> Iterator[Row]:
    """One JSON document over several lines: a list of frames (a saved REST answer) or a single one."""
    try:
        value = json.loads(text)
    except ValueError as error:
        line = getattr(error, "lineno", 1)
        raise DataError(f"{path}:{line}", f"is not JSON: {error}", "one frame a line, or one valid document") from None
    for number, item in enumerate(value if isinstance(value, list) else [value], 1):
        try:
            row = _envelope(number, item, layout)
        except (ValueError, ValidationError) as error:
            bad(f"{path}: item {number}", f"is not a frame: {error}")
            continue
        yield row


def _envelope(number: int, value: Any, layout: Layout) -> Row:
    if not isinstance(value, Mapping):
        return Row(number, NO_TIME, value)
    payload_key = layout.payload_key or next((k for k in PAYLOAD_KEYS if _is_payload(value.get(k))), "")
    if layout.payload_key and layout.payload_key not in value:
        return Row(number, NO_TIME, None, note=value)
    bare = not payload_key
    if bare and not _FRAME_KEYS & value.keys() and not {"asset_id", "price", "size"} <= value.keys():
        return Row(number, NO_TIME, None, note=value)
    recv_key = layout.recv_key or next((k for k in RECV_KEYS if k in value and not (bare and k == "timestamp")), "")
    if layout.recv_key and layout.recv_key not in value:
        raise ValueError(f"it has no {layout.recv_key!r} (option recv_key)")
    slug = next((value[k] for k in _SLUG_KEYS if not bare and isinstance(value.get(k), str)), None)
    recv_ns = instant_ns(value[recv_key], layout.recv_unit) if recv_key else NO_TIME
    return Row(number, recv_ns, value if bare else value[payload_key], slug)


def _is_payload(value: Any) -> bool:
    if isinstance(value, str):
        return value[:1] in ("{", "[", '"') or is_keepalive(value)
    return isinstance(value, Mapping | list)


def _parquet_rows(path: Path, layout: Layout, bad: Bad) -> Iterator[Row]:
    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            payload = _column(path, names, layout.payload_key, PAYLOAD_KEYS, "payload_key")
            recv = _column(path, names, layout.recv_key, (*RECV_KEYS, ""), "recv_key")
            slug = next((n for n in _SLUG_KEYS if n in names), "")
            tick, last = (name if name in names else "" for name in ("tick_size", "last_trade_price"))
            keep = _filters(names, slug, layout.wanted)
            columns = list(dict.fromkeys(n for n in (recv, payload, slug, tick, last, *keep) if n))
            start = 1
            for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=columns):
                hits = _hits(batch, keep, layout.wanted)
                if hits:
                    # only the stretch from the first to the last hit becomes Python objects
                    part = batch.slice(hits[0], hits[-1] - hits[0] + 1)
                    cells = {name: part.column(name).to_pylist() for name in columns}
                    cells[""] = [None] * part.num_rows
                    for hit in hits:
                        at = hit - hits[0]
                        try:
                            recv_ns = instant_ns(cells[recv][at], layout.recv_unit)
                        except ValidationError as error:
                            bad(f"{path}: row {start + hit}", str(error))
                            continue
                        text = cells[payload][at]
                        text = text.decode() if isinstance(text, bytes) else text
                        yield Row(start + hit, recv_ns, text, cells[slug][at], cells[tick][at], cells[last][at])
                start += batch.num_rows
    except (pa.ArrowInvalid, OSError) as error:
        reason = str(error).splitlines()[0]
        what = f"is not a readable parquet file: {reason}"
        raise DataError(str(path), what, "it was cut short; fetch it again") from None


def _filters(names: Sequence[str], slug: str, wanted: frozenset[str]) -> list[str]:
    """Columns by which unwanted rows can be dropped unparsed: only where they can find every wanted market."""
    need = {"market" if name.startswith("0x") else slug for name in wanted}
    return sorted(need) if need <= set(names) else []


def _hits(batch: Any, columns: Sequence[str], wanted: frozenset[str]) -> Sequence[int]:
    """Positions of the rows whose slug or market is wanted; all of them where there is nothing to filter by."""
    if not columns:
        return range(batch.num_rows)
    found: set[int] = set()
    for name in columns:
        texts = batch.column(name).to_pylist()
        found.update(
            at for at, text in enumerate(texts) if (text.decode() if isinstance(text, bytes) else text) in wanted
        )
    return sorted(found)


def _column(path: Path, names: Sequence[str], chosen: str, guesses: Sequence[str], option: str) -> str:
    """The chosen column or the first guess there is; a guess of "" means that the column may be absent."""
    name = chosen or next((guess for guess in guesses if guess in names or not guess), None)
    if name is not None and (name in names or not name):
        return name
    hint = f"columns are {', '.join(names)}; name it with the option {option}"
    raise DataError(str(path), f"no column {chosen!r}" if chosen else f"no {option.split('_')[0]} column found", hint)
