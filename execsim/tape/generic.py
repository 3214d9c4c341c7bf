"""Import any CSV (plain or gzip) or parquet whose columns can be named (format "generic").

Two shapes: event rows (kind, side, price, size) and quote rows (bid, ask and perhaps their sizes), which become BBO
rows. A file with the columns `time,kind,side,price,size` needs no options: kind is snapshot, level or trade; side is
bid or ask (of a trade: buy or sell, the aggressor); time is ISO 8601 or a Unix time in s, ms, us or ns.

    time,kind,side,price,size
    2024-08-08T23:54:15.000Z,snapshot,bid,0.51,100
    2024-08-08T23:54:15.000Z,snapshot,ask,0.53,80
    2024-08-08T23:54:16.200Z,level,ask,0.53,50
    2024-08-08T23:54:16.200Z,trade,buy,0.53,30

Consecutive snapshot rows of one market and time are one snapshot; a level's size is its new total, 0 removes it; level
rows of one time are one message. Several files are one recording in the order given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import numpy as np

from execsim.core.errors import ConfigError, DataError
from execsim.tape.columns import FinestUnit, TextBlock, TextFile, Where, codes, exact, source_info, time_unit, times_ns
from execsim.tape.imports import check_options
from execsim.tape.rows import Columns, Ints
from execsim.tape.schema import COLUMNS, NO_TIME, Flag, Importer, Kind, RowSink, SideCode
from execsim.tape.terms import OPTIONS, Terms, choice, positive

_NAMES: Final = {
    "ts_venue": ("ts_venue", "time", "timestamp", "ts", "datetime", "date"),
    "ts_recv": ("ts_recv", "local_timestamp", "recv_ts", "recv_time", "received_at", "timestamp_received"),
    "kind": ("kind", "type", "event", "event_type"),
    "side": ("side",),
    "price": ("price",),
    "size": ("size", "amount", "qty", "quantity"),
    "bid": ("bid", "best_bid", "bid_price"),
    "ask": ("ask", "best_ask", "ask_price"),
    "bid_size": ("bid_size", "best_bid_size", "bid_amount", "bid_qty"),
    "ask_size": ("ask_size", "best_ask_size", "ask_amount", "ask_qty"),
    "market": ("market", "symbol"),
}
"""What a column means -> the names it is found by when the option `columns` does not name it."""
_WORDS: Final = {"snapshot": Kind.SNAPSHOT, "level": Kind.LEVEL, "trade": Kind.TRADE}
_SIDES: Final = {
    **dict.fromkeys(("bid", "buy", "b"), int(SideCode.BID)),
    **dict.fromkeys(("ask", "sell", "s", "offer"), int(SideCode.ASK)),
    **dict.fromkeys(("", "unknown", "none"), 0),
}
_OPTIONS: Final = {
    **OPTIONS,
    "columns": f"meaning -> column of the file, for those not found by name; meanings: {', '.join(_NAMES)}",
    "time_unit": "guess | s | ms | us | ns | iso; default guess, by the first row",
    "market": "the market's name where the file has no market column; default: the first file's name",
    "venue": "the venue's name; default generic",
    "kinds": "the file's word -> snapshot | level | trade, beyond those three words themselves",
    "kind": "level | trade: what every row is in a file without a kind column",
    "default_size": "size of every quote in a file of quotes without sizes",
    "start": "snapshot | empty: whether level rows need a snapshot before them; default snapshot",
}


class GenericTable:
    """CSV or parquet with a column map."""

    name = "generic"
    version = 2
    options: Mapping[str, str] = _OPTIONS

    def sniff(self, path: Path) -> bool:
        """Whether the default column names are all there."""
        try:
            names = set(TextFile(path).names)
        except (DataError, OSError):
            return False
        return bool(names & {"time", "ts_venue"}) and ({"kind", "price", "size"} <= names or {"bid", "ask"} <= names)

    def run(self, sources: Sequence[Path], options: Mapping[str, Any], sink: RowSink) -> None:
        """Read the files into `sink`. Errors: ConfigError for options, DataError naming file, line and column."""
        check_options(self.name, self.options, options)
        terms = Terms(options)
        paths = [Path(path) for path in sources]
        files = [_File(path, options) for path in paths]
        prices, sizes = FinestUnit(), FinestUnit()
        for file in files:
            file.look(prices, sizes)
        default = positive(options, "default_size")
        if default is not None:
            sizes.look_at(str(default))
        markets = _Markets(terms, terms.price_unit or prices.unit, terms.lot or sizes.unit, options, paths[0], sink)
        if not sum(file.read(markets, sink) for file in files):
            raise DataError(", ".join(str(path) for path in paths), "no rows", "the files hold headers only")
        backwards = sum(file.backwards for file in files)
        if backwards:
            sink.defect("time_backwards", backwards)


class _Markets:
    """Names of markets -> indices, announced when first seen; and whose book is known."""

    def __init__(
        self, terms: Terms, price_unit: Decimal, lot: Decimal, options: Mapping[str, Any], path: Path, sink: RowSink
    ) -> None:
        self.price_unit = price_unit
        self.lot = lot
        self.default = str(options.get("market") or path.name.partition(".")[0])
        default_size = positive(options, "default_size")
        self.default_lots = 0 if default_size is None else _whole_lots(default_size, lot)
        self.start_empty = choice(options, "start", ("snapshot", "empty")) == "empty"
        self.with_book: set[int] = set()
        self._terms = terms
        self._venue = str(options.get("venue") or "generic")
        self._sink = sink
        self._known: dict[str, int] = {}

    def index(self, name: str) -> int:
        if name not in self._known:
            info = self._terms.market(name, self._venue, self.price_unit, self.lot)
            self._known[name] = self._sink.market(info)
            self._sink.note(f"{name}: price unit {info.price_unit}, lot {info.lot}, tick {info.tick}")
        return self._known[name]


class _File:
    """One file: which of its columns mean what, and its rows."""

    def __init__(self, path: Path, options: Mapping[str, Any]) -> None:
        self.backwards = 0
        self._path = path
        self._text = TextFile(path)
        self._column = _meanings(self._text, options)
        self._unit = choice(options, "time_unit", ("guess", "s", "ms", "us", "ns", "iso"))
        self._words = _words(options)
        self._only = choice(options, "kind", ("", "level", "trade"))
        self._default_size = positive(options, "default_size")
        self._units: dict[str, str] = {}
        self._latest: dict[int, int] = {}
        found = f"found: {', '.join(self._text.names)}"
        if not {"ts_venue", "ts_recv"} & set(self._column):
            raise DataError(str(path), f"no time column; {found}", 'name it: columns = {ts_venue = "..."}')
        self._quotes = "bid" in self._column and "ask" in self._column
        if self._quotes:
            if self._default_size is None:
                hint = "name them in columns, or set default_size"
                self._need(("bid_size", "ask_size"), found, hint)
        else:
            self._need(
                ("price", "size", "side") if self._only == "level" else ("price", "size"), found, "name it in columns"
            )
            if "kind" not in self._column and not self._only:
                raise DataError(
                    str(path), f"no kind column; {found}", "name it in columns, or set kind = trade | level"
                )

    def _need(self, meanings: Sequence[str], found: str, hint: str) -> None:
        for meaning in meanings:
            if meaning not in self._column:
                raise DataError(str(self._path), f"column {meaning!r} is missing; {found}", hint)

    def look(self, prices: FinestUnit, sizes: FinestUnit) -> None:
        """Show every price and size text to the two."""
        wanted = [
            self._column[name]
            for name in ("price", "bid", "ask", "size", "bid_size", "ask_size")
            if name in self._column
        ]
        of_price = {self._column[name] for name in ("price", "bid", "ask") if name in self._column}
        for block in self._text.blocks(wanted):
            for name, column in block.columns.items():
                (prices if name in of_price else sizes).look(column)

    def read(self, markets: _Markets, sink: RowSink) -> int:
        """Every row into `sink`; returns how many the file has."""
        source, count = sink.source(source_info(self._path)), 0
        held: Columns | None = None
        for block in self._text.blocks(sorted(set(self._column.values()))):
            if not block.rows:
                continue
            count += block.rows
            rows = self._quote_rows(block, markets) if self._quotes else self._event_rows(block, markets, sink)
            held = rows if held is None else {name: np.concatenate((held[name], rows[name])) for name in rows}
            # The last message of a block is kept until its end is seen.
            ends = np.flatnonzero(_ends(held)[:-1])
            cut = int(ends[-1]) + 1 if len(ends) else 0
            if cut:
                self._emit(source, {name: values[:cut] for name, values in held.items()}, markets, sink)
            held = {name: values[cut:] for name, values in held.items()}
        if held is not None and len(held["kind"]):
            self._emit(source, held, markets, sink)
        return count

    def _emit(self, source: int, rows: Columns, markets: _Markets, sink: RowSink) -> None:
        """Whole messages into the sink, with their flags."""
        kind, market, last = rows["kind"], rows["market"], _ends(rows)
        first = np.concatenate(([True], last[:-1])) & (kind == int(Kind.SNAPSHOT))
        flags = np.where(last & (kind != int(Kind.TRADE)), int(Flag.LAST), 0)
        flags[first] |= int(Flag.FIRST)
        for index in np.unique(market).tolist():
            starts = np.flatnonzero(first & (market == index))
            levels = np.flatnonzero((kind == int(Kind.LEVEL)) & (market == index))
            unknown = index not in markets.with_book and len(levels) and (not len(starts) or levels[0] < starts[0])
            if unknown and markets.start_empty:
                self._start_empty(source, rows, index, sink)
                markets.with_book.add(index)
            elif unknown:
                what = "market without a snapshot: this level changes a book that is not known"
                hint = "put rows of kind snapshot before it, or set option start = empty"
                raise DataError(self._text.where(int(rows["row"][levels[0]])), what, hint)
            flags[starts if index in markets.with_book else starts[1:]] |= int(Flag.RESYNC)
            if len(starts):
                markets.with_book.add(index)
        sink.rows(source, {**{name: values for name, values in rows.items() if name != "row"}, "flags": flags})

    @staticmethod
    def _start_empty(source: int, rows: Columns, market: int, sink: RowSink) -> None:
        """One row for the empty book that a market starts from: nothing is matched on a book that is not known."""
        of_market = int(np.argmax(rows["market"] == market))
        first = {name: values[of_market : of_market + 1] for name, values in rows.items() if name != "row"}
        nothing = dict.fromkeys(("side", "price_i", "size_i", "aggressor"), np.zeros(1, np.int64))
        flags = np.array([int(Flag.FIRST | Flag.LAST)])
        sink.rows(source, {**first, **nothing, "kind": np.array([int(Kind.SNAPSHOT)]), "flags": flags})

    def _where(self, block: TextBlock, meaning: str) -> Where:
        return lambda row: self._text.where(block.start + row, self._column[meaning])

    def _times(self, block: TextBlock, meaning: str) -> Ints:
        if meaning not in self._column:
            return np.full(block.rows, NO_TIME, np.int64)
        column = block.columns[self._column[meaning]]
        if meaning not in self._units:
            self._units[meaning] = time_unit(column) if self._unit == "guess" else self._unit
        return times_ns(column, self._units[meaning], self._where(block, meaning))

    def _common(self, block: TextBlock, markets: _Markets) -> Columns:
        """Clocks, market and row number; the rest zero."""
        venue, recv = self._times(block, "ts_venue"), self._times(block, "ts_recv")
        if "market" in self._column:
            names = block.columns[self._column["market"]].dictionary_encode()
            indices = np.array(
                [markets.index(name or markets.default) for name in names.dictionary.to_pylist()], np.int64
            )
            market = indices[names.indices.to_numpy(zero_copy_only=False)]
        else:
            market = np.full(block.rows, markets.index(markets.default))
        clock = venue if "ts_venue" in self._column else recv
        for index in np.unique(market).tolist():
            times = clock[market == index]
            highest = np.maximum.accumulate(np.concatenate(([self._latest.get(index, times[0])], times)))
            self.backwards += int((times < highest[:-1]).sum())
            self._latest[index] = int(highest[-1])
        rows: Columns = {name: np.zeros(block.rows, np.int64) for name in COLUMNS if name != "seq"}
        rows |= {"ts_venue_ns": venue, "ts_recv_ns": recv, "market": market}
        return {**rows, "row": block.start + np.arange(block.rows)}

    def _number(self, block: TextBlock, meaning: str, unit: Decimal, empty: int | None = None) -> Ints:
        return exact(block.columns[self._column[meaning]], unit, self._where(block, meaning), empty)

    def _event_rows(self, block: TextBlock, markets: _Markets, sink: RowSink) -> Columns:
        rows = self._common(block, markets)
        if "kind" in self._column:
            rows["kind"] = codes(block.columns[self._column["kind"]], self._words, self._where(block, "kind"))
        else:
            rows["kind"][:] = self._words[self._only]
        if "side" in self._column:
            rows["side"] = codes(block.columns[self._column["side"]], _SIDES, self._where(block, "side"))
        rows["price_i"] = self._number(block, "price", markets.price_unit)
        rows["size_i"] = self._number(block, "size", markets.lot)
        trade = rows["kind"] == int(Kind.TRADE)
        rows["aggressor"] = np.where(trade, rows["side"], 0)
        lacking = (rows["size_i"] > 0) & ~trade
        for meaning, bad in (
            ("side", lacking & (rows["side"] == 0)),
            ("price", (lacking | trade) & (rows["price_i"] == 0)),
        ):
            if bad.any():
                row = int(np.argmax(bad))
                place = (
                    self._where(block, meaning)(row) if meaning in self._column else self._text.where(block.start + row)
                )
                raise DataError(
                    place, f"a level needs a {meaning}" if meaning == "side" else "price 0", "correct the row"
                )
        empty = trade & (rows["size_i"] == 0)
        if empty.any():
            sink.defect("trade_empty", int(empty.sum()))
            rows = {name: values[~empty] for name, values in rows.items()}
        return rows

    def _quote_rows(self, block: TextBlock, markets: _Markets) -> Columns:
        """Each quote gives two BBO rows, bid then ask; an empty price is an empty side."""
        rows = {name: np.repeat(values, 2) for name, values in self._common(block, markets).items()}
        rows["kind"][:] = int(Kind.BBO)
        for at, (name, side) in enumerate((("bid", SideCode.BID), ("ask", SideCode.ASK))):
            price = self._number(block, name, markets.price_unit, 0)
            if self._default_size is None:
                size = self._number(block, f"{name}_size", markets.lot, 0)
            else:
                size = np.full(block.rows, markets.default_lots)
            rows["price_i"][at::2], rows["size_i"][at::2] = price, np.where(price > 0, size, 0)
            rows["side"][at::2] = int(side)
        return rows


def _meanings(text: TextFile, options: Mapping[str, Any]) -> dict[str, str]:
    """Meaning -> column: as the user said, else by name. Errors: ConfigError, DataError for a column not there."""
    stated = options.get("columns") or {}
    if not isinstance(stated, Mapping):
        raise ConfigError(f"option columns = {stated!r}", 'write columns = {price = "px", size = "qty"}')
    for meaning, column in stated.items():
        if meaning not in _NAMES:
            raise ConfigError(f"option columns: {meaning!r} is not known", f"known meanings: {', '.join(_NAMES)}")
        text.need([str(column)], f"columns names it as {meaning}")
    found = {meaning: str(column) for meaning, column in stated.items()}
    for meaning, names in _NAMES.items():
        known = [name for name in names if name in text.names and name not in found.values()]
        if meaning not in found and known:
            found[meaning] = known[0]
    return found


def _words(options: Mapping[str, Any]) -> dict[str, int]:
    """The file's words -> Kind. Errors: ConfigError."""
    stated = options.get("kinds") or {}
    if not isinstance(stated, Mapping) or not set(stated.values()) <= set(_WORDS):
        raise ConfigError(
            f"option kinds = {stated!r}", f'write kinds = {{l2update = "level"}}; one of {", ".join(_WORDS)}'
        )
    words = {word: int(kind) for word, kind in _WORDS.items()}
    return words | {str(word).lower(): words[kind] for word, kind in stated.items()}


def _whole_lots(size: Decimal, lot: Decimal) -> int:
    if size % lot:
        raise ConfigError(f"default_size {size} is not a multiple of the lot {lot}", "set lot finer")
    return int(size / lot)


def _ends(rows: Columns) -> Any:
    """Whether a row is the last of its message: the next has another market, time or kind, or is another quote."""
    ends = np.ones(len(rows["kind"]), bool)
    ends[:-1] = (rows["kind"][:-1] == int(Kind.BBO)) & (rows["row"][1:] != rows["row"][:-1])
    for name in ("market", "ts_venue_ns", "ts_recv_ns", "kind"):
        ends[:-1] |= rows[name][1:] != rows[name][:-1]
    return ends


IMPORTER: Final[Importer] = GenericTable()
