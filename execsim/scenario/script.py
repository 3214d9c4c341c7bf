"""Order scripts: read a CSV or parquet of orders, check every cell, and give the strategy `orders` ready values.

    time,market,side,type,tif,price,size
    +1.5s,btc-up,buy,limit,gtc,0.48,100
    2026-04-15T12:01:00Z,btc-up,sell,post_only,gtc,0.55,100

Columns: time, market, side (buy sell), type (limit market post_only), tif (gtc gtd ioc fok), price, size; and, where
wanted, amount (money instead of a size, market orders only), outcome (yes no), expire (gtd only), id, action (place
cancel). A cancel row names by `id` an order placed in another row and needs nothing else but its time. Empty cells take
the default: type limit, tif gtc (ioc for market), outcome yes, action place.

Times are ISO 8601 (UTC unless it says otherwise), unix numbers (s, ms, us or ns, told apart by their size, or with the
unit written: `1700000000123ms`), or `+1.5s` after the first row of the run's markets; in `expire`, `+30s` counts from
the order's own time. All are exact to the nanosecond.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Final, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from execsim.core.errors import DataError, ValidationError
from execsim.core.instrument import Instrument, InstrumentKind, Outcome
from execsim.core.order import OrderType, Side, TimeInForce
from execsim.core.units import NS_PER_MS, NS_PER_S, NS_PER_US, decimal_of
from execsim.ports import NEVER
from execsim.strategy.orders import Action, ScriptedOrder

E = TypeVar("E", bound=StrEnum)

REQUIRED: Final = ("time", "market", "side", "type", "tif", "price", "size")
OPTIONAL: Final = ("amount", "outcome", "expire", "id", "action")

SCRIPT_ROWS_MAX: Final = 1_000_000
"""Rows of one script; a longer one is refused (it is held in memory whole)."""

_UNITS_NS: Final = {"ns": 1, "us": NS_PER_US, "ms": NS_PER_MS, "s": NS_PER_S, "m": 60 * NS_PER_S, "h": 3600 * NS_PER_S}
_UNIX_LIMITS: Final = ((10**11, "s"), (10**14, "ms"), (10**17, "us"), (2**63, "ns"))
"""A unix number below the limit counts in the unit: each reads 1973 to 5138, as no two units overlap there."""

_NUMBER: Final = re.compile(r"(\+?)(\d+(?:\.\d*)?|\.\d+)\s*(ns|us|ms|s|m|h)?")
_ISO: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?)(?:(?<=:\d\d:\d\d)\.(\d{1,9}))?(Z|[+-]\d\d:?\d\d)?)?"
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def load_script(
    path: Path, instruments: Mapping[str, Instrument], start_ns: int, end_ns: int | None = None
) -> tuple[ScriptedOrder, ...]:
    """The orders of a script, by time (equal times in file order).

    `instruments` are the markets of the run, `start_ns` the first row of their data and `end_ns` the last, if known: an
    order outside is refused here rather than never placed. Prices, sizes and amounts must lie on the market's grid.
    Errors: DataError naming file, line, column and the fix.
    """
    read: list[tuple[int, ScriptedOrder]] = []
    for row in _rows(Path(path)):
        if len(read) >= SCRIPT_ROWS_MAX:
            raise DataError(str(path), f"has more than {SCRIPT_ROWS_MAX} rows", "split the script")
        read.append((row.line, _line(row, instruments, start_ns, end_ns)))
    if not read:
        raise DataError(str(path), "holds no orders", "a script has at least one row below its header")
    read.sort(key=lambda pair: pair[1].at_ns)
    _check_ids(Path(path), read)
    return tuple(order for _, order in read)


@dataclass(frozen=True, slots=True)
class _Row:
    """One row as text, by column; an empty cell is ''. `line` is the line of a CSV, the row of a parquet file."""

    path: Path
    line: int
    cells: Mapping[str, str]

    def get(self, column: str) -> str:
        return self.cells.get(column, "")

    def fault(self, column: str, what: str, hint: str) -> DataError:
        return DataError(f"{_where(self.path, self.line)}, column {column}", what, hint)

    def word(self, column: str, kind: type[E], default: E | None) -> E:
        text = self.get(column).lower().replace("-", "_")
        if not text and default is not None:
            return default
        for member in kind:
            if member.value == text:
                return member
        raise self.fault(column, f"{self.get(column)!r} is unknown", f"write one of: {', '.join(kind)}")

    def positive(self, column: str) -> Decimal | None:
        text = self.get(column)
        if not text:
            return None
        try:
            number = decimal_of(text)
        except ValidationError:
            raise self.fault(column, f"{text!r} is not a number", "write a decimal like 0.48") from None
        if number <= 0:
            raise self.fault(
                column, f"{text} is not positive", "sizes and prices are positive; `side` says the direction"
            )
        return number


# One row


def _line(row: _Row, instruments: Mapping[str, Instrument], start_ns: int, end_ns: int | None) -> ScriptedOrder:
    at_ns = _instant(row, "time", start_ns)
    if at_ns < start_ns:
        raise row.fault(
            "time", f"{row.get('time')} is before the data, which starts at {utc(start_ns)}", "e.g. +1s after it"
        )
    if end_ns is not None and at_ns > end_ns:
        raise row.fault("time", f"{row.get('time')} is after the data, which ends at {utc(end_ns)}", "remove the row")
    action = row.word("action", Action, Action.PLACE)
    if action is Action.CANCEL:
        if not row.get("id"):
            raise row.fault("id", "a cancel row names no order", "write the id of the row that places it")
        return ScriptedOrder(at_ns=at_ns, id=row.get("id"), action=action)
    instrument = instruments.get(row.get("market"))
    if instrument is None:
        names = ", ".join(list(instruments)[:5]) + (", ..." if len(instruments) > 5 else "")
        raise row.fault("market", f"{row.get('market')!r} is not a market of this run", f"its markets: {names}")
    kind = row.word("type", OrderType, OrderType.LIMIT)
    price, size, amount = _quantities(row, instrument, kind)
    tif = row.word("tif", TimeInForce, TimeInForce.IOC if kind is OrderType.MARKET else TimeInForce.GTC)
    outcome = row.word("outcome", Outcome, Outcome.YES)
    if outcome is Outcome.NO and instrument.kind is InstrumentKind.SPOT:
        raise row.fault("outcome", f"{instrument.market} is a spot market and has no outcomes", "leave the cell empty")
    return ScriptedOrder(
        at_ns=at_ns,
        id=row.get("id") or f"row-{row.line}",
        market=instrument.market,
        action=action,
        side=row.word("side", Side, None),
        type=kind,
        tif=tif,
        price=price,
        size=size,
        amount=amount,
        outcome=outcome,
        expire_ns=_expiry(row, tif, at_ns),
    )


def _quantities(
    row: _Row, instrument: Instrument, kind: OrderType
) -> tuple[Decimal | None, Decimal | None, Decimal | None]:
    """(price, size, amount), complete for the order type and on the grid."""
    price, size, amount = row.positive("price"), row.positive("size"), row.positive("amount")
    if kind is OrderType.MARKET and price is not None:
        raise row.fault("price", "a market order has no price", "leave the cell empty, or write type limit and tif ioc")
    if kind is not OrderType.MARKET and price is None:
        raise row.fault("price", f"a {kind} order needs a price", "write one, or type market")
    if amount is not None and kind is not OrderType.MARKET:
        raise row.fault("amount", f"a {kind} order has no amount", "write a size; amounts are for market orders")
    if (size is None) == (amount is None):
        raise row.fault("size", "exactly one of size and amount must be given", "size in units, or amount in money")
    for column, value, scale in (
        ("price", price, instrument.grid.price_i),
        ("size", size, instrument.grid.lots),
        ("amount", amount, instrument.quote.amount),
    ):
        if value is not None:
            try:
                scale(value)
            except ValidationError as error:
                raise row.fault(column, str(error.args[1]), error.args[2] if len(error.args) > 2 else "") from None
    return price, size, amount


def _expiry(row: _Row, tif: TimeInForce, at_ns: int) -> int | None:
    if not row.get("expire"):
        if tif is TimeInForce.GTD:
            raise row.fault("expire", "a gtd order needs its expiry", "write an instant, or +30s after the order")
        return None
    if tif is not TimeInForce.GTD:
        raise row.fault("expire", f"a {tif} order has no expiry", "leave the cell empty, or write tif gtd")
    expire_ns = _instant(row, "expire", at_ns)
    if expire_ns <= at_ns:
        raise row.fault("expire", f"{row.get('expire')} is not after the order's time", "write a later instant")
    return expire_ns


def _check_ids(path: Path, read: Sequence[tuple[int, ScriptedOrder]]) -> None:
    """Ids are unique, and a cancel comes after what it cancels. `read` is sorted by time."""
    placed: dict[str, int] = {}
    for line, order in read:
        where = f"{_where(path, line)}, column id"
        if order.action is Action.PLACE:
            if order.id in placed:
                first = _where(path, placed[order.id])
                raise DataError(where, f"{order.id!r} is also the id of {first}", "give each order its own id")
            placed[order.id] = line
        elif order.id not in placed:
            raise DataError(where, f"no order {order.id!r} is placed before this cancel", "check the id and both times")


# Times


def utc(t_ns: int) -> str:
    """An instant as people write it: 2026-04-15T12:00:00.5Z, to the nanosecond."""
    seconds, rest = divmod(t_ns, NS_PER_S)
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    return f"{_EPOCH + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}{fraction}Z"


def _instant(row: _Row, column: str, origin_ns: int) -> int:
    """Integer ns of a cell; `origin_ns` is what a leading + counts from."""
    text = row.get(column)
    number = _NUMBER.fullmatch(text)
    if number is not None:
        sign, digits, unit = number.groups()
        if sign and unit is None:
            raise row.fault(column, f"{text!r} has no unit", "write +1.5s, +200ms, +2m ...")
        value = Decimal(digits)
        unit = unit or next((name for limit, name in _UNIX_LIMITS if value < limit), None)
        t_ns = value * _UNITS_NS[unit] + (origin_ns if sign else 0) if unit else Decimal(NEVER)
        if t_ns < NEVER and t_ns == int(t_ns):
            return int(t_ns)
        raise row.fault(
            column, f"{text!r} is finer than a nanosecond or out of range", "write at most 9 decimals of a second"
        )
    iso = _ISO.fullmatch(text)
    if iso is not None:
        try:
            return _iso_ns(*iso.groups())
        except ValueError:
            raise row.fault(column, f"{text!r} is no date and time", "check month, day and hour") from None
    raise row.fault(column, f"{text!r} is no time", "write ISO 8601, a unix number, or +1.5s after the first row")


def _iso_ns(day: str, clock: str | None, fraction: str | None, zone: str | None) -> int:
    """datetime keeps microseconds only, so the fraction is added by hand. Errors: ValueError for an impossible date."""
    instant = datetime.fromisoformat(f"{day}T{clock or '00:00'}{zone or 'Z'}")
    return (instant - _EPOCH) // timedelta(seconds=1) * NS_PER_S + int((fraction or "").ljust(9, "0"))


# Files


def _rows(path: Path) -> Iterator[_Row]:
    """Errors: DataError for a file that is missing, unreadable, of another kind, or without the columns."""
    if path.suffix.lower() not in (".csv", ".parquet"):
        raise DataError(str(path), "is neither .csv nor .parquet", "order scripts are one of the two")
    if not path.is_file():
        raise DataError(str(path), "no such file", "check the path of the order script (relative to the scenario file)")
    try:
        yield from _csv_rows(path) if path.suffix.lower() == ".csv" else _parquet_rows(path)
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(str(path), f"is not a CSV in UTF-8: {error}", "save it as one") from None
    except (pa.ArrowException, OSError) as error:
        raise DataError(str(path), f"cannot be read: {error}", "write it again") from None


def _csv_rows(path: Path) -> Iterator[_Row]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file, strict=True)
        header = [name.strip().lower() for name in next(reader, [])]
        _check_columns(path, header)
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue  # a blank line
            if len(cells) != len(header):
                what = f"has {len(cells)} cells, the header has {len(header)}"
                raise DataError(_where(path, reader.line_num), what, "check its commas")
            yield _Row(path, reader.line_num, dict(zip(header, (cell.strip() for cell in cells), strict=True)))


def _parquet_rows(path: Path) -> Iterator[_Row]:
    with pq.ParquetFile(path) as file:
        header = [name.lower() for name in file.schema_arrow.names]
        _check_columns(path, header)
        line = 0
        for batch in file.iter_batches():
            for cells in zip(*(_texts(column) for column in batch.columns), strict=True):
                line += 1
                yield _Row(path, line, dict(zip(header, cells, strict=True)))


def _texts(column: pa.Array) -> list[str]:
    """A column's cells as a CSV would have them; timestamps as unix ns."""
    if pa.types.is_timestamp(column.type):
        instants = column.cast(pa.timestamp("ns")).cast(pa.int64()).to_pylist()
        return ["" if t is None else f"{t}ns" for t in instants]
    return [_text(value) for value in column.to_pylist()]


def _text(value: object) -> str:
    if value is None or value != value:  # pandas writes a missing number as NaN
        return ""
    return repr(value) if isinstance(value, float) else str(value).strip()


def _where(path: Path, line: int) -> str:
    return f"{path}, {'line' if path.suffix.lower() == '.csv' else 'row'} {line}"


def _check_columns(path: Path, header: Sequence[str]) -> None:
    known = (*REQUIRED, *OPTIONAL)
    missing = [name for name in REQUIRED if name not in header]
    if missing:
        raise DataError(str(path), f"has no column {', '.join(missing)}", f"a script needs {', '.join(REQUIRED)}")
    for name in header:
        if name not in known:
            raise DataError(str(path), f"column {name!r} is unknown", f"columns may be {', '.join(known)}")
        if header.count(name) > 1:
            raise DataError(str(path), f"column {name!r} appears twice", "remove one")
