"""Files of text columns (CSV plain or gzip, parquet) and their exact conversion to integers, block by block.

Vendor files are read as text, because a price that went through a float is no longer what the venue said. Conversion
works on the distinct texts of a block, so it costs little more than reading.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from execsim.core.errors import DataError
from execsim.core.units import plain
from execsim.tape.rows import Ints
from execsim.tape.schema import SourceInfo

_BLOCK_BYTES: Final = 16 << 20
_BLOCK_ROWS: Final = 262_144
_UNIT_NS: Final = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
_DIGITS_UNIT: Final = {10: "s", 13: "ms", 16: "us", 19: "ns"}
"""Digits of an integer Unix time between 2001 and 2286 -> its unit."""
_UNREADABLE: Final = (OSError, EOFError, zlib.error, pa.ArrowInvalid)
INT_MAX: Final = 2**62


@dataclass(slots=True)
class TextBlock:
    """Consecutive data rows. `start` is the number of rows before it; columns are Arrow string arrays (no nulls)."""

    start: int
    rows: int
    columns: dict[str, Any]


def open_bytes(path: Path) -> io.BufferedReader:
    """Bytes of a plain or gzip file, told apart by the first two bytes, whatever it is called."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    if packed:
        return io.BufferedReader(gzip.open(path, "rb"), 1 << 20)
    return path.open("rb")


def source_info(path: Path) -> SourceInfo:
    """A file as a source; its hash is left to the import, which has it anyway."""
    return SourceInfo(path.name, "", path.stat().st_size)


class TextFile:
    """A CSV or parquet file as blocks of text columns. `names` are its columns, blanks around them removed.

    Errors: DataError when the file is missing, empty, damaged, or a row has too many or too few fields (with its line).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._header_line = 0
        try:
            with open_bytes(path) as file:
                self.parquet = file.peek(4)[:4] == b"PAR1"
            self.names = pq.read_schema(path).names if self.parquet else self._header()
        except _UNREADABLE as error:
            raise self._unreadable(error) from None
        if not self.names:
            raise DataError(str(path), "no rows", "the file is empty")

    def need(self, names: Sequence[str], hint: str = "") -> None:
        """Errors: DataError naming the first missing column and those found."""
        for name in names:
            if name not in self.names:
                found = ", ".join(self.names)
                raise DataError(str(self.path), f"column {name!r} is missing; found: {found}", hint)

    def blocks(self, wanted: Sequence[str]) -> Iterator[TextBlock]:
        """The wanted columns, in file order, some ten thousand rows at a time."""
        start = 0
        batches = self._parquet_batches(wanted) if self.parquet else self._csv_batches(wanted)
        try:
            for batch in batches:
                columns = {name: _texts(batch.column(name)) for name in wanted}
                yield TextBlock(start, batch.num_rows, columns)
                start += batch.num_rows
        except _UNREADABLE as error:
            raise self._unreadable(error) from None

    def where(self, row: int, column: str = "") -> str:
        """Place of data row `row` (0-based), for messages: file and line, or file and row in parquet."""
        place = f"{self.path}: row {row + 1}" if self.parquet else f"{self.path}:{self._line(row)}"
        return f"{place} column {column!r}" if column else place

    def _header(self) -> list[str]:
        with open_bytes(self.path) as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    self._header_line = number
                    return [name.strip() for name in next(csv.reader([line.decode("utf-8-sig", "replace")]))]
        return []

    def _csv_batches(self, wanted: Sequence[str]) -> Iterator[Any]:
        with open_bytes(self.path) as file:
            reader = pacsv.open_csv(
                file,
                read_options=pacsv.ReadOptions(
                    block_size=_BLOCK_BYTES, column_names=self.names, skip_rows=self._header_line, use_threads=False
                ),
                convert_options=pacsv.ConvertOptions(
                    column_types={name: pa.string() for name in wanted}, include_columns=list(wanted)
                ),
            )
            yield from reader

    def _parquet_batches(self, wanted: Sequence[str]) -> Iterator[Any]:
        with pq.ParquetFile(self.path) as file:
            yield from file.iter_batches(batch_size=_BLOCK_ROWS, columns=list(wanted))

    def _unreadable(self, error: Exception) -> DataError:
        if isinstance(error, pa.ArrowInvalid) and "Empty CSV" in str(error):
            return DataError(str(self.path), "no rows", "the file holds a header only")
        if isinstance(error, pa.ArrowInvalid) and not self.parquet:
            found = self._uneven_line()
            if found is not None:
                line, fields = found
                what = f"malformed row: {fields} fields, the header has {len(self.names)}"
                return DataError(f"{self.path}:{line}", what, "repair or remove the row")
        text = str(error.strerror or error) if isinstance(error, OSError) else str(error)
        return DataError(str(self.path), f"cannot be read ({text})", "check the path, and that it is not cut off")

    def _uneven_line(self) -> tuple[int, int] | None:
        """Line and field count of the first row that does not fit the header."""
        with open_bytes(self.path) as file:
            for number, line in enumerate(file, 1):
                if number > self._header_line and line.strip():
                    fields = len(next(csv.reader([line.decode("utf-8", "replace")])))
                    if fields != len(self.names):
                        return number, fields
        return None

    def _line(self, row: int) -> int:
        """Line of a data row: blank lines do not count as rows."""
        with open_bytes(self.path) as file:
            for number, line in enumerate(file, 1):
                if number > self._header_line and line.strip():
                    if row == 0:
                        return number
                    row -= 1
        return 0


Where = Callable[[int], str]
"""Row of a block -> its place, for messages."""


def exact(column: Any, unit: Decimal, where: Where, empty: int | None = None) -> Ints:
    """Number texts as whole counts of `unit`, exactly. `empty` stands for an empty text (default: an error).

    Errors: DataError naming the row, if a text is no number, negative, off the grid, or too large for the tape.
    """
    decimals = max(0, -int(unit.as_tuple().exponent))
    multiple = int(unit.scaleb(decimals))
    encoded = column.dictionary_encode()
    values = np.zeros(max(1, len(encoded.dictionary)), np.int64)
    for code, text in enumerate(encoded.dictionary.to_pylist()):
        if text == "" and empty is not None:
            values[code] = empty
            continue
        try:
            value, rest = divmod(_scaled(text, decimals), multiple)
        except OverflowError:
            raise _bad(encoded, code, where, f"{text} is too large", "correct the row") from None
        except (InvalidOperation, ValueError):
            raise _bad(encoded, code, where, f"{text!r} is not a number", "write a plain decimal") from None
        except ArithmeticError:
            rest = 1
        if rest:
            what = f"{text} is not a multiple of {plain(unit)}"
            raise _bad(encoded, code, where, what, "correct it, or set a finer price_unit (prices) or lot (sizes)")
        if not 0 <= value < INT_MAX:
            raise _bad(encoded, code, where, f"{text} is {'negative' if value < 0 else 'too large'}", "correct the row")
        values[code] = value
    return _spread(encoded, values)


def _spread(encoded: Any, values: Ints) -> Ints:
    """The value of each row from the value of each distinct text."""
    rows: Ints = values[encoded.indices.to_numpy(zero_copy_only=False)]
    return rows


def _bad(encoded: Any, code: int, where: Where, what: str, hint: str) -> DataError:
    row = int(np.argmax(encoded.indices.to_numpy(zero_copy_only=False) == code))
    return DataError(where(row), what, hint)


def _scaled(text: str, decimals: int) -> int:
    """text x 10^decimals. Errors: InvalidOperation or ValueError (no number), ArithmeticError (finer than that)."""
    head, _, tail = text.partition(".")
    if head.isdecimal() and len(tail) <= decimals and (tail.isdecimal() or not tail):
        return int(head + tail.ljust(decimals, "0"))
    value = Decimal(text)
    if not value.is_finite():
        raise ValueError(text)
    _, digits, exponent = value.as_tuple()
    trimmed = "".join(map(str, digits)).rstrip("0") or "0"
    shift = int(exponent) + len(digits) - len(trimmed) + decimals
    if trimmed == "0":
        return 0
    if shift < 0:
        raise ArithmeticError(text)
    if shift > 40:
        raise OverflowError(text)
    whole: int = int(trimmed) * 10**shift
    return -whole if value < 0 else whole


class FinestUnit:
    """The finest decimal place used in number texts, as a unit: 0.01 for {"1.50", "2.25"}. Texts that are no numbers
    are left for `exact` to complain about."""

    def __init__(self) -> None:
        self._decimals = 0

    def look(self, column: Any) -> None:
        for text in pc.unique(column).to_pylist():
            self.look_at(text)

    def look_at(self, text: str) -> None:
        if "e" in text or "E" in text:
            try:
                exponent = Decimal(text).normalize().as_tuple().exponent
            except InvalidOperation:
                return
            used = -exponent if isinstance(exponent, int) else 0
        else:
            used = len(text.partition(".")[2].rstrip("0"))
        self._decimals = max(self._decimals, used)

    @property
    def unit(self) -> Decimal:
        return Decimal(1).scaleb(-self._decimals)


def time_unit(column: Any) -> str:
    """s, ms, us, ns or iso, by the look of the first text that is not empty."""
    first = next((text for text in column.to_pylist() if text), "")
    whole = first.partition(".")[0]
    return _DIGITS_UNIT.get(len(whole), "s") if whole.isdecimal() else "iso"


def times_ns(column: Any, unit: str, where: Where) -> Ints:
    """Time texts as ns since the epoch; `unit` is s, ms, us, ns (decimals allowed) or iso (no zone means UTC).

    Errors: DataError naming the row.
    """
    if unit == "iso":
        parsed = _iso(column)
        if parsed is None:
            row = next(row for row in range(len(column)) if _iso(column.slice(row, 1)) is None)
            what = f"{column[row].as_py()!r} is not an ISO 8601 time like those before it"
            raise DataError(where(row), what, "write 2024-08-08T23:54:15.03Z")
        return parsed
    try:
        whole: Ints = pc.cast(column, pa.int64()).to_numpy(zero_copy_only=False)
        return whole * _UNIT_NS[unit]
    except pa.ArrowInvalid:
        return exact(column, Decimal(1) / _UNIT_NS[unit], where)


def _iso(column: Any) -> Ints | None:
    """ISO 8601 texts as ns; all with a zone, or all without (UTC); None when some are not."""
    for zone in ("UTC", None):
        try:
            times: Ints = pc.cast(pc.cast(column, pa.timestamp("ns", zone)), pa.int64()).to_numpy(zero_copy_only=False)
            return times
        except pa.ArrowInvalid:
            continue
    return None


def codes(column: Any, words: dict[str, int], where: Where) -> Ints:
    """Words as numbers, whatever their case. Errors: DataError naming the row and the words known."""
    encoded = column.dictionary_encode()
    values = np.zeros(max(1, len(encoded.dictionary)), np.int64)
    for code, word in enumerate(encoded.dictionary.to_pylist()):
        value = words.get(word.lower())
        if value is None:
            known = ", ".join(sorted(filter(None, words)))
            raise _bad(encoded, code, where, f"{word!r} is not known here", f"one of {known}")
        values[code] = value
    return _spread(encoded, values)


def _texts(column: Any) -> Any:
    """Any Arrow column as trimmed text without nulls; times become integer ns."""
    kind = column.type
    if pa.types.is_timestamp(kind):
        column = pc.cast(pc.cast(column, pa.timestamp("ns", kind.tz)), pa.int64())
    elif pa.types.is_dictionary(kind):
        column = column.dictionary_decode()
    if not pa.types.is_string(column.type):
        column = pc.cast(column, pa.string())
    return pc.utf8_trim_whitespace(pc.fill_null(column, ""))
