"""Import hftbacktest event files: npz with the aligned struct array `data` (format "hftbacktest").

Which rows make the tape. Every row states both times, but may be valid for one party only: that package splits an event
into an exchange half and a local half where the two clocks disagree about the order. A tape row has both clocks, so
the rows valid at the exchange, in their order (which is the order the book was built in), are the tape, each with both
its times; a local half is joined back into its exchange half by equal content. A half without its partner is counted
(`exch_only`: kept, received `local_ts`; `local_only`: dropped, the exchange never had it). A file in which no row is
valid at the exchange is read by its local rows.

Codes: 1 depth -> LEVEL, 2 trade -> TRADE, 3 clear then 4 snapshot of one instant -> one SNAPSHOT, 5 best bid/offer -> BBO.
Order by order (L3): 10 add, 11 cancel, 12 modify, 13 fill -> LEVEL and TRADE rows with the births of the orders
(tape.orders); 3 clear and what is added in its instant -> one SNAPSHOT. Where fills are recorded they make the TRADE rows,
and prints (2), which tell the same once more, make none.
Prices and sizes are floats: each must be within 1e-9 (relative) of a multiple of its unit and means that multiple.
Source: hftbacktest 2.4.4, types.py and data/validation.py.
"""

from __future__ import annotations

import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

from execsim.core.errors import DataError
from execsim.core.units import plain
from execsim.tape.columns import Where, source_info
from execsim.tape.imports import check_options
from execsim.tape.orders import Orders, Told
from execsim.tape.rows import Columns, Ints
from execsim.tape.schema import NO_TIME, Flag, Importer, Kind, RowBuffer, RowSink, SideCode
from execsim.tape.terms import OPTIONS, Terms, choice

_DTYPE: Final = np.dtype(
    {
        "names": ["ev", "exch_ts", "local_ts", "px", "qty", "order_id", "ival", "fval"],
        "formats": ["<u8", "<i8", "<i8", "<f8", "<f8", "<u8", "<i8", "<f8"],
    },
    align=True,
)
_EXCH, _LOCAL, _BUY, _SELL = 1 << 31, 1 << 30, 1 << 29, 1 << 28
_CODE_MASK: Final = 0xFF
_DEPTH, _TRADE, _CLEAR, _SNAPSHOT, _BBO = 1, 2, 3, 4, 5
_ADD, _CANCEL, _MODIFY, _FILL = 10, 11, 12, 13
_L3: Final = (_ADD, _CANCEL, _MODIFY, _FILL)
_KINDS: Final = {_DEPTH: Kind.LEVEL, _TRADE: Kind.TRADE, _SNAPSHOT: Kind.SNAPSHOT, _BBO: Kind.BBO}
_HALVES_MAX: Final = 1_000_000
"""Halves waiting for their partner; more means that the file is in no order."""
_CHUNK_ROWS: Final = 250_000
_DECIMALS_MAX: Final = 12
_OFF_GRID: Final = 1e-9
_INT_MAX: Final = 2.0**51
"""Below it a float x 10^n, rounded, is exactly the integer the decimal text meant (error < 2^-52 each step)."""
_OPTIONS: Final = {
    **OPTIONS,
    "market": "the market's name; default: the first file's name",
    "venue": "the venue's name; default generic",
    "start": "snapshot | empty: whether depth needs a snapshot before it; default snapshot",
}

Events = NDArray[Any]


class HftbacktestNpz:
    """Event files of hftbacktest, one market; several files are one recording in the order given (an initial snapshot
    file first)."""

    name = "hftbacktest"
    version = 2
    options: Mapping[str, str] = _OPTIONS

    def sniff(self, path: Path) -> bool:
        """Whether it is a zip with the array `data` of the right fields."""
        try:
            with zipfile.ZipFile(path) as archive, archive.open("data.npy") as file:
                return _header(file)[1].names == _DTYPE.names
        except (OSError, KeyError, ValueError, zipfile.BadZipFile):
            return False

    def run(self, sources: Sequence[Path], options: Mapping[str, Any], sink: RowSink) -> None:
        """Read the files into `sink`. Errors: ConfigError for options, DataError naming file and row."""
        check_options(self.name, self.options, options)
        terms = Terms(options)
        paths = [Path(path) for path in sources]
        found = _survey(paths)
        price_unit = terms.price_unit or _unit_of(found.price_decimals, "price_unit", paths[0])
        lot = terms.lot or _unit_of(found.size_decimals, "lot", paths[0])
        market = str(options.get("market") or paths[0].name.partition(".")[0])
        info = terms.market(market, str(options.get("venue") or "generic"), price_unit, lot)
        index = sink.market(info)
        if found.orders:
            reader: _Reader = _OrderReader(index, price_unit, lot, found.exchange_rows, sink, found.fills)
        else:
            reader = _Reader(index, price_unit, lot, found.exchange_rows, sink)
        reader.ready = reader.starts_empty = choice(options, "start", ("snapshot", "empty")) == "empty"
        for path in paths:
            reader.read(path)
        reader.finish(paths)
        sink.note(
            f"{market}: price unit {plain(price_unit)}, lot {plain(lot)}, traded as a {info.instrument_kind} market"
        )


class _Survey:
    """What a first pass over the numbers found. Decimals are None when no short decimal fits."""

    def __init__(self) -> None:
        self.rows = 0
        self.exchange_rows = False
        self.orders = False
        self.fills = False
        self.price_decimals: int | None = 0
        self.size_decimals: int | None = 0


def _survey(paths: Sequence[Path]) -> _Survey:
    found = _Survey()
    for path in paths:
        for start, events in _chunks(path):
            code = events["ev"] & _CODE_MASK
            found.orders = found.orders or bool(np.isin(code, _L3).any())
            found.fills = found.fills or bool((code == _FILL).any())
            if found.orders and (levels := np.isin(code, (_DEPTH, _SNAPSHOT, _BBO))).any():
                row = int(np.argmax(levels))
                what = f"a level (code {int(code[row])}) in a recording of single orders"
                raise DataError(f"{path}: row {start + row}", what, "import levels and orders as two recordings")
            found.rows += len(events)
            found.exchange_rows = found.exchange_rows or bool((events["ev"] & _EXCH).any())
            used = events[np.isin(code, (_DEPTH, _TRADE, _SNAPSHOT, _BBO, _ADD, _MODIFY, _FILL))]
            found.price_decimals = _finer(found.price_decimals, used["px"])
            found.size_decimals = _finer(found.size_decimals, used["qty"])
    if not found.rows:
        raise DataError(", ".join(str(path) for path in paths), "no rows", "the array `data` is empty")
    return found


def _finer(decimals: int | None, values: NDArray[np.float64]) -> int | None:
    """Fewest decimals, from `decimals` on, with which all values are short decimals."""
    distinct = np.unique(values)
    distinct = distinct[np.isfinite(distinct)]
    while decimals is not None and not _fits(distinct * 10.0**decimals)[1].all():
        decimals = decimals + 1 if decimals < _DECIMALS_MAX else None
    return decimals


def _fits(counts: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Nearest whole numbers, and whether each is near enough: 1e-9 relative, never more than a hundredth."""
    counts = np.where(np.isfinite(counts), counts, 0.5)
    whole = np.rint(counts)
    near = np.abs(counts - whole) <= np.minimum(np.abs(whole) * _OFF_GRID, 0.01)
    return whole, near & (np.abs(whole) < _INT_MAX)


def _unit_of(decimals: int | None, option: str, path: Path) -> Decimal:
    if decimals is None:
        what = f"no decimal step down to 1e-{_DECIMALS_MAX} fits all values"
        raise DataError(str(path), what, f"set option {option}")
    return Decimal(1).scaleb(-decimals)


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(file)  # type: ignore[no-untyped-call]
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)  # type: ignore[no-untyped-call]
    return shape, dtype


def _chunks(path: Path) -> Iterator[tuple[int, Events]]:
    """(first row, events) piece by piece, so that a long file needs no memory. Errors: DataError."""
    try:
        with zipfile.ZipFile(path) as archive, archive.open("data.npy") as file:
            shape, dtype = _header(file)
            if dtype.names != _DTYPE.names or len(shape) != 1:
                what = f"array `data` has fields {dtype.names}, not {_DTYPE.names}"
                raise DataError(str(path), what, "convert it with the package's own converter (hftbacktest 2)")
            start = 0
            while start < shape[0]:
                rows = min(_CHUNK_ROWS, shape[0] - start)
                data = file.read(rows * dtype.itemsize)
                if len(data) < rows * dtype.itemsize:
                    raise DataError(str(path), f"cut off in row {start + len(data) // dtype.itemsize}", "get it again")
                yield start, np.frombuffer(data, dtype)
                start += rows
    except KeyError:
        raise DataError(str(path), "no array named `data`", "an hftbacktest npz has the key data") from None
    except FileNotFoundError:
        raise DataError(str(path), "no such file", "check the path") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(str(path), f"not a readable npz ({error})", "get it again") from None


class _Reader:
    """Events of one market into rows."""

    def __init__(self, market: int, price_unit: Decimal, lot: Decimal, exchange_rows: bool, sink: RowSink) -> None:
        self.ready = False
        """whether the book is known: a snapshot was seen, or it starts empty"""
        self.starts_empty = False
        self._market = market
        self._price_unit = price_unit
        self._lot = lot
        self._valid = _EXCH if exchange_rows else _LOCAL
        self._sink = sink
        self._halves: Counter[bytes] = Counter()
        self._snapshots = 0
        self._early_depth = 0
        self._other = 0
        self._books = 0

    def read(self, path: Path) -> None:
        """One file into the sink, message by message."""
        source = self._sink.source(source_info(path))
        held: Events = np.empty(0, _DTYPE)
        held_at: Ints = np.empty(0, np.int64)
        for start, events in _chunks(path):
            if self._valid == _EXCH:
                self._pair(path, start, events)
            valid = np.flatnonzero(events["ev"] & self._valid)
            held, held_at = np.concatenate((held, events[valid])), np.concatenate((held_at, start + valid))
            # The last message is kept until its end is seen.
            groups = self._messages(held)
            cut = int(np.searchsorted(groups, groups[-1])) if len(groups) else 0
            if cut:
                self._emit(source, held[:cut], _place(path, held_at))
            held, held_at = held[cut:], held_at[cut:]
        if len(held):
            self._emit(source, held, _place(path, held_at))

    def _messages(self, events: Events) -> Ints:
        return _groups(events)

    def finish(self, paths: Sequence[Path]) -> None:
        sink = self._sink
        if self._early_depth and not self._snapshots:
            names = ", ".join(str(path) for path in paths)
            hint = "name the file with the initial snapshot first, or set option start = empty"
            raise DataError(names, "market without a snapshot: only depth changes of an unknown book", hint)
        alone = {"exch_only": sum(n for n in self._halves.values() if n > 0)}
        alone["local_only"] = -sum(n for n in self._halves.values() if n < 0)
        for name, count in ({"depth_before_snapshot": self._early_depth} | alone).items():
            if count:
                sink.defect(name, count)
        if self._other:
            sink.note(f"{self._other} events of other kinds (custom codes) ignored")
        if self._valid == _LOCAL:
            sink.note("no event is valid at the exchange: the tape is what was received")
        if not self._books:
            sink.note("trades only: the tape has no book, so nothing can be traded against it")

    def _pair(self, path: Path, start: int, events: Events) -> None:
        """Join exchange halves and local halves of equal content."""
        flags = events["ev"] & (_EXCH | _LOCAL)
        single = np.flatnonzero((flags == _EXCH) | (flags == _LOCAL))
        content = events[single]
        content["ev"] &= ~np.uint64(_EXCH | _LOCAL)
        halves, size, data = self._halves, content.dtype.itemsize, content.tobytes()
        for at, flag in enumerate(flags[single].tolist()):
            key = data[at * size : (at + 1) * size]
            halves[key] += 1 if flag == _EXCH else -1
            if not halves[key]:
                del halves[key]
        if len(halves) > _HALVES_MAX:
            what = f"more than {_HALVES_MAX} events up to row {start + len(events)} are valid on one clock only"
            raise DataError(str(path), what, "order the file with hftbacktest's correct_event_order")

    def _emit(self, source: int, events: Events, where: Where) -> None:
        """Whole messages into the sink."""
        code, groups, rows = events["ev"] & _CODE_MASK, _groups(events), np.arange(len(events))
        first, last = self._snapshot_edges(events, code, groups, where)
        kind = np.full(len(events), -1)
        for number, meaning in _KINDS.items():
            kind[code == number] = int(meaning)
        kind[first] = int(Kind.SNAPSHOT)
        flags = np.zeros(len(events), np.int64)
        ends = np.append(groups[1:] != groups[:-1], True)
        flags[ends & np.isin(code, (_DEPTH, _BBO))] = int(Flag.LAST)
        flags[first] |= int(Flag.FIRST | Flag.RESYNC)
        flags[last] |= int(Flag.LAST)
        if len(first) and not self._snapshots:
            flags[first[0]] &= ~int(Flag.RESYNC)
        early = np.zeros(len(events), bool)
        if not self.ready:
            early = (code == _DEPTH) & (rows < (first[0] if len(first) else len(events)))
            self._early_depth += int(early.sum())
            self.ready = bool(len(first))
        self._snapshots += len(first)
        self._other += int(((kind < 0) & (code != _CLEAR)).sum())
        keep = (kind >= 0) & ~early
        book = np.flatnonzero(keep & (code != _TRADE))
        if self.starts_empty and len(book) and not self._books and kind[book[0]] == int(Kind.LEVEL):
            self._start_empty(source, events[keep][:1], where)
        self._books += len(book)
        if keep.any():
            events, rows = events[keep], rows[keep]
            self._sink.rows(source, self._columns(events, kind[keep], flags[keep], lambda row: where(int(rows[row]))))

    def _start_empty(self, source: int, event: Events, where: Where) -> None:
        """One row for the empty book that the file starts from: nothing is matched on a book that is not known."""
        event = event.copy()
        event["ev"] = _CLEAR
        flags = np.array([int(Flag.FIRST | Flag.LAST)])
        self._sink.rows(source, self._columns(event, np.array([int(Kind.SNAPSHOT)]), flags, where))
        self._snapshots += 1

    def _snapshot_edges(self, events: Events, code: Ints, groups: Ints, where: Where) -> tuple[Ints, Ints]:
        """First and last row of each snapshot. A clear before a snapshot says only that the book is replaced, which
        every snapshot does; a clear without one leaves an empty book, and its first row stands for it."""
        shots, clears = np.flatnonzero(code == _SNAPSHOT), np.flatnonzero(code == _CLEAR)
        bare = clears[~np.isin(groups[clears], groups[shots])]
        for group in np.unique(groups[bare]):
            of_group = bare[groups[bare] == group]
            sides = np.bitwise_or.reduce(events["ev"][of_group]) & (_BUY | _SELL)
            if sides in (_BUY, _SELL):
                what = "one side is cleared without a snapshot after it"
                raise DataError(where(int(of_group[0])), what, "such files cannot be read yet: give a full snapshot")
        members = np.sort(np.concatenate((shots, bare)))
        _, starts, counts = np.unique(groups[members], return_index=True, return_counts=True)
        first, last = members[starts], members[starts + counts - 1]
        # Of a bare clear only the first row is kept, so it is also the last.
        return first, np.where(code[last] == _CLEAR, first, last)

    def _columns(self, events: Events, kind: Ints, flags: Ints, where: Where) -> Columns:
        buy, sell = (events["ev"] & _BUY) != 0, (events["ev"] & _SELL) != 0
        side = np.where(buy, int(SideCode.BID), np.where(sell, int(SideCode.ASK), 0))
        empty = (events["ev"] & _CODE_MASK) == _CLEAR
        if (bad := (side == 0) & ~empty & (kind != int(Kind.TRADE))).any():
            raise DataError(where(int(np.argmax(bad))), "depth without a side", "set the BUY or SELL flag of `ev`")
        return {
            "ts_venue_ns": np.where(events["exch_ts"] > 0, events["exch_ts"], NO_TIME),
            "ts_recv_ns": np.where(events["local_ts"] > 0, events["local_ts"], NO_TIME),
            "market": np.full(len(events), self._market),
            "kind": kind,
            "side": np.where(empty, 0, side),
            "price_i": _counts(np.where(empty, 0.0, events["px"]), self._price_unit, "px", "price_unit", where),
            "size_i": _counts(np.where(empty, 0.0, events["qty"]), self._lot, "qty", "lot", where),
            "aggressor": np.where(kind == int(Kind.TRADE), side, 0),
            "order_id": np.zeros(len(events), np.int64),
            "flags": flags,
        }


class _OrderReader(_Reader):
    """Events about single orders into rows; everything of one instant is one message."""

    def __init__(
        self, market: int, price_unit: Decimal, lot: Decimal, exchange_rows: bool, sink: RowSink, fills: bool
    ) -> None:
        super().__init__(market, price_unit, lot, exchange_rows, sink)
        self._orders = Orders(fills)

    def finish(self, paths: Sequence[Path]) -> None:
        super().finish(paths)
        counts = {"order_unknown": self._orders.unknown, "order_added_twice": self._orders.twice}
        for name, count in counts.items():
            if count:
                self._sink.defect(name, count)
        self._sink.note("recorded order by order: FIFO queues are exact")

    def _messages(self, events: Events) -> Ints:
        starts = np.zeros(len(events), np.int64)
        for values in (events["exch_ts"], events["local_ts"]):
            starts[1:] |= values[1:] != values[:-1]
        return np.cumsum(starts)

    def _emit(self, source: int, events: Events, where: Where) -> None:
        code, groups = (events["ev"] & _CODE_MASK).astype(np.int64), self._messages(events)
        priced = np.isin(code, (_TRADE, _ADD, _MODIFY, _FILL))
        self._other += int((~priced & ~np.isin(code, (_CANCEL, _CLEAR))).sum())
        price = _counts(np.where(priced, events["px"], 0.0), self._price_unit, "px", "price_unit", where)
        lots = _counts(np.where(priced, events["qty"], 0.0), self._lot, "qty", "lot", where)
        sides = np.where(events["ev"] & _BUY != 0, 1, np.where(events["ev"] & _SELL != 0, -1, 0))
        if (bad := np.isin(code, (_ADD, _FILL)) & (sides == 0)).any():
            raise DataError(where(int(np.argmax(bad))), "an order without a side", "set the BUY or SELL flag of `ev`")
        buffer = RowBuffer(self._sink, source)
        ends = np.flatnonzero(np.append(groups[1:] != groups[:-1], True)) + 1
        begin = 0
        lines = list(
            zip(code.tolist(), events["order_id"].tolist(), sides.tolist(), price.tolist(), lots.tolist(), strict=True)
        )
        for end in ends.tolist():
            stamps = int(events["exch_ts"][begin]), int(events["local_ts"][begin])
            venue_ns, recv_ns = (stamp if stamp > 0 else NO_TIME for stamp in stamps)
            rows = self._message(lines[begin:end])
            last = max((at for at, row in enumerate(rows) if row.kind is Kind.LEVEL), default=-1)
            for at, row in enumerate(rows):
                trade, flags = row.kind is Kind.TRADE, row.flags | (int(Flag.LAST) if at == last else 0)
                self._books += not trade
                side, aggressor = (0, row.side) if trade else (row.side, 0)
                what = row.kind, side, row.price_i, row.lots, aggressor, row.birth, flags
                buffer.add(venue_ns, recv_ns, self._market, *what)
            begin = end
        buffer.flush()

    def _message(self, lines: list[tuple[int, int, int, int, int]]) -> list[Told]:
        """The rows of one instant: if the book is cleared in it, the prints before, and then the book as it stands after."""
        orders, rows, cleared = self._orders, list[Told](), False
        for code, order_id, side, price, lots in lines:
            if code == _CLEAR:
                orders.clear(side)
                cleared = self.ready = True
            elif code == _TRADE:
                rows += orders.trade(side, price, lots)
            elif not self.ready:
                self._early_depth += code in _L3
            elif code == _ADD:
                rows += orders.add(order_id, side, price, lots)
            elif code == _CANCEL:
                rows += orders.cancel(order_id)
            elif code == _MODIFY:
                rows += orders.modify(order_id, price, lots)
            elif code == _FILL:
                rows += orders.fill(order_id, side, price, lots)
        if not cleared:
            return rows
        snapshot = orders.snapshot()
        if self._snapshots:
            snapshot[0] = snapshot[0]._replace(flags=snapshot[0].flags | int(Flag.RESYNC))
        self._snapshots += 1
        return [row for row in rows if row.kind is Kind.TRADE] + snapshot


def _place(path: Path, rows: Ints) -> Where:
    return lambda row: f"{path}: row {rows[row]}"


def _groups(events: Events) -> Ints:
    """A number per row that rises with each new message: other times, or another kind of event."""
    code = events["ev"] & _CODE_MASK
    family = np.where(code == _CLEAR, _SNAPSHOT, code)
    starts = np.zeros(len(events), np.int64)
    for values in (family, events["exch_ts"], events["local_ts"]):
        starts[1:] |= values[1:] != values[:-1]
    return np.cumsum(starts)


def _counts(values: NDArray[np.float64], unit: Decimal, name: str, option: str, where: Where) -> Ints:
    """Floats as whole counts of `unit`. Errors: DataError naming the row of the first that is off the grid."""
    decimals = max(0, -int(unit.as_tuple().exponent))
    multiple = int(unit.scaleb(decimals))
    whole, near = _fits(values * 10.0**decimals)
    counts, rest = np.divmod(np.where(near, whole, -1.0).astype(np.int64), multiple)
    if (bad := ~near | (rest != 0)).any():
        row = int(np.argmax(bad))
        what = f"{name} {float(values[row])!r} is not a multiple of {plain(unit)}"
        raise DataError(where(row), what, f"set a finer {option}")
    if (counts < 0).any():
        row = int(np.argmax(counts < 0))
        raise DataError(where(row), f"{name} {float(values[row])!r} is negative", "correct the file")
    return counts


IMPORTER: Final[Importer] = HftbacktestNpz()
