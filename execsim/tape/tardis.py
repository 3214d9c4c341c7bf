"""Import Tardis CSV files: `incremental_book_L2`, `trades`, and `quotes` / `book_ticker` (format "tardis").

Which of them a file is, its header says. Book and trades of a symbol are given together: the tape orders their rows by
time, trades before books at equal times (else a queue is reduced twice, by the trade and by the level it left).

A run of `is_snapshot` rows is one new book; `amount` is a level's new total; rows of one `local_timestamp` are one
message; times are us. Source: docs.tardis.dev, downloadable CSV files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import numpy as np

from execsim.core.errors import DataError
from execsim.tape.columns import FinestUnit, TextBlock, TextFile, Where, codes, exact, source_info, times_ns
from execsim.tape.imports import check_options
from execsim.tape.rows import Columns, Ints
from execsim.tape.schema import Flag, Importer, Kind, RowSink, SideCode
from execsim.tape.terms import OPTIONS, Terms

_HEAD: Final = ("exchange", "symbol", "timestamp", "local_timestamp")
_BOOK, _TRADES, _QUOTES = "incremental_book_L2", "trades", "quotes"
_FIELDS: Final = {
    _BOOK: (*_HEAD, "is_snapshot", "side", "price", "amount"),
    _TRADES: (*_HEAD, "id", "side", "price", "amount"),
    _QUOTES: (*_HEAD, "ask_amount", "ask_price", "bid_price", "bid_amount"),
}
_BOOK_SIDES: Final = {"bid": int(SideCode.BID), "ask": int(SideCode.ASK)}
_TRADE_SIDES: Final = {"buy": int(SideCode.BID), "sell": int(SideCode.ASK), "unknown": 0, "": 0}
_TRUE_FALSE: Final = {"true": 1, "false": 0}
_FIRST, _LAST, _RESYNC = int(Flag.FIRST), int(Flag.LAST), int(Flag.RESYNC)


class TardisCsv:
    """Tardis.dev CSV downloads, plain or .gz."""

    name = "tardis"
    version = 1
    options: Mapping[str, str] = OPTIONS

    def sniff(self, path: Path) -> bool:
        """Whether the header begins as every Tardis CSV does."""
        try:
            file = TextFile(path)
        except DataError:
            return False
        return not file.parquet and tuple(file.names[:4]) == _HEAD

    def run(self, sources: Sequence[Path], options: Mapping[str, Any], sink: RowSink) -> None:
        """Read the files into `sink`. Errors: ConfigError for options, DataError naming file and line."""
        check_options(self.name, self.options, options)
        terms = Terms(options)
        files = [_File(Path(path)) for path in sources]
        markets = _Markets(terms, *_units(files, terms), sink)
        rows = sum(file.read(markets, sink) for file in files)
        if not rows:
            raise DataError(", ".join(str(path) for path in sources), "no rows", "the files hold headers only")
        if all(file.type == _TRADES for file in files):
            sink.note("trades only: the tape has no book, so nothing can be traded against it")


def _units(files: Sequence[_File], terms: Terms) -> tuple[Decimal, Decimal]:
    """Units stated, or the finest decimals in the files (one quick pass over their number columns)."""
    prices, sizes = FinestUnit(), FinestUnit()
    if terms.price_unit is None or terms.lot is None:
        for file in files:
            for block in file.text.blocks([name for name in file.fields if name.endswith(("price", "amount"))]):
                for name, column in block.columns.items():
                    (prices if name.endswith("price") else sizes).look(column)
    return terms.price_unit or prices.unit, terms.lot or sizes.unit


class _Markets:
    """Symbols -> market indices, announced when first seen."""

    def __init__(self, terms: Terms, price_unit: Decimal, lot: Decimal, sink: RowSink) -> None:
        self.price_unit = price_unit
        self.lot = lot
        self._terms = terms
        self._sink = sink
        self._known: dict[str, tuple[str, int]] = {}
        self._fed_by: dict[int, tuple[str, Path]] = {}

    def index(self, exchange: str, symbol: str) -> int:
        """Errors: DataError when two exchanges use one symbol."""
        known = self._known.get(symbol)
        if known is None:
            info = self._terms.market(symbol, exchange, self.price_unit, self.lot)
            known = self._known[symbol] = (exchange, self._sink.market(info))
            kind = f"traded as if it were a {info.instrument_kind} market of {info.base} and {info.quote}"
            self._sink.note(f"{symbol}: price unit {info.price_unit}, lot {info.lot}, {kind}")
        if known[0] != exchange:
            what = f"symbol {symbol} comes from {known[0]} and from {exchange}"
            raise DataError(symbol, what, "import the two exchanges as two tapes")
        return known[1]

    def feed(self, market: int, type_: str, path: Path) -> bool:
        """Whether this file is the first to feed the market's book. Errors: DataError if depth and quotes both do."""
        before = self._fed_by.setdefault(market, (type_, path))
        if before[0] != type_:
            what = f"the same book comes from {before[1].name} as {before[0]}"
            raise DataError(str(path), what, "import depth or quotes, not both")
        return before[1] == path


class _File:
    """One CSV of one data type."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.text = TextFile(path)
        names = set(self.text.names)
        if "is_snapshot" in names:
            self.type = _BOOK
        elif names & {"ask_price", "bid_price"}:
            self.type = _QUOTES
        elif names & {"side", "price"}:
            self.type = _TRADES if "id" in names else _BOOK
        else:
            what = f"not a data type this importer reads; its columns: {', '.join(self.text.names[:12])}"
            raise DataError(str(path), what, "import incremental_book_L2, trades, quotes or book_ticker files")
        self.fields = _FIELDS[self.type]
        self.text.need(self.fields, f"a Tardis {self.type} file has {','.join(self.fields)}")
        self._in_snapshot = False
        self._market = -1
        self._known: set[int] = set()
        self._tail: Columns | None = None

    def read(self, markets: _Markets, sink: RowSink) -> int:
        """Every row into `sink`; returns how many the file has."""
        source, count = sink.source(source_info(self.path)), 0
        convert = {_BOOK: self._book, _TRADES: self._trades, _QUOTES: self._quotes}[self.type]
        for block in self.text.blocks(self.fields):
            count += block.rows
            if block.rows:
                rows = convert(block, markets)
                if len(rows["kind"]):
                    sink.rows(source, rows)
        if self._tail is not None:
            sink.rows(source, _closed(self._tail))
        return count

    def _where(self, block: TextBlock, column: str) -> Where:
        return lambda row: self.text.where(block.start + row, column)

    def _common(self, block: TextBlock, markets: _Markets) -> Columns:
        """The columns every data type has; the others zero."""
        column, zeros = block.columns, np.zeros(block.rows, np.int64)
        exchange, symbol = column["exchange"].dictionary_encode(), column["symbol"].dictionary_encode()
        pair = _codes_of(exchange) * len(symbol.dictionary) + _codes_of(symbol)
        market = np.zeros(block.rows, np.int32)
        for code in np.unique(pair):
            venue, name = divmod(int(code), len(symbol.dictionary))
            market[pair == code] = markets.index(exchange.dictionary[venue].as_py(), symbol.dictionary[name].as_py())
        return {
            "ts_venue_ns": times_ns(column["timestamp"], "us", self._where(block, "timestamp")),
            "ts_recv_ns": times_ns(column["local_timestamp"], "us", self._where(block, "local_timestamp")),
            "market": market,
            "kind": zeros,
            "side": zeros,
            "price_i": zeros,
            "size_i": zeros,
            "aggressor": zeros,
            "order_id": zeros,
            "flags": zeros,
        }

    def _numbers(
        self, block: TextBlock, markets: _Markets, price: str, size: str, empty: int | None
    ) -> tuple[Ints, Ints]:
        return (
            exact(block.columns[price], markets.price_unit, self._where(block, price), empty),
            exact(block.columns[size], markets.lot, self._where(block, size), empty),
        )

    def _trades(self, block: TextBlock, markets: _Markets) -> Columns:
        rows = self._common(block, markets)
        rows["price_i"], rows["size_i"] = self._numbers(block, markets, "price", "amount", None)
        side = codes(block.columns["side"], _TRADE_SIDES, self._where(block, "side"))
        return {**rows, "kind": np.full(block.rows, int(Kind.TRADE)), "side": side, "aggressor": side}

    def _quotes(self, block: TextBlock, markets: _Markets) -> Columns:
        """Each quote gives two BBO rows, bid then ask; an empty price or amount is an empty side."""
        common = self._common(block, markets)
        for market in np.unique(common["market"]):
            markets.feed(int(market), _QUOTES, self.path)
        rows = {name: np.repeat(values, 2) for name, values in common.items()}
        for at, side in enumerate(("bid", "ask")):
            price, size = self._numbers(block, markets, f"{side}_price", f"{side}_amount", 0)
            rows["price_i"][at::2], rows["size_i"][at::2] = price, np.where(price > 0, size, 0)
            rows["side"][at::2] = _BOOK_SIDES[side]
        rows["kind"][:] = int(Kind.BBO)
        rows["flags"][1::2] = _LAST
        return rows

    def _book(self, block: TextBlock, markets: _Markets) -> Columns:
        """Levels and snapshots. The last message of a block is held back until its end is seen."""
        rows = self._common(block, markets)
        rows["price_i"], rows["size_i"] = self._numbers(block, markets, "price", "amount", None)
        rows["side"] = codes(block.columns["side"], _BOOK_SIDES, self._where(block, "side"))
        shot = codes(block.columns["is_snapshot"], _TRUE_FALSE, self._where(block, "is_snapshot"))
        rows["kind"] = np.where(shot == 1, int(Kind.SNAPSHOT), int(Kind.LEVEL))
        rows["flags"] = self._first_rows(rows, block, markets)
        if self._tail is not None:
            rows = {name: np.concatenate((self._tail[name], values)) for name, values in rows.items()}
        ends = _message_ends(rows)
        rows["flags"][:-1] |= np.where(ends, _LAST, 0)
        cut = int(np.flatnonzero(ends)[-1]) + 1 if ends.any() else 0
        self._tail = {name: values[cut:] for name, values in rows.items()}
        return {name: values[:cut] for name, values in rows.items()}

    def _first_rows(self, rows: Columns, block: TextBlock, markets: _Markets) -> Ints:
        """FIRST (and RESYNC after the market's first) on each row that begins a run of snapshot rows."""
        market, shot = rows["market"], rows["kind"] == int(Kind.SNAPSHOT)
        carried = self._in_snapshot and self._market == int(market[0])
        before = np.concatenate(([carried], shot[:-1] & (market[1:] == market[:-1])))
        first = shot & ~before
        self._in_snapshot, self._market = bool(shot[-1]), int(market[-1])
        flags = np.where(first, _FIRST, 0).astype(np.int64)
        for index in np.unique(market):
            of_market = np.flatnonzero(market == index)
            starts = of_market[first[of_market]]
            if index not in self._known:
                initial = markets.feed(int(index), _BOOK, self.path)
                if initial and (not len(starts) or starts[0] != of_market[0]):
                    raise DataError(
                        self.text.where(block.start + int(of_market[0])),
                        "market without a snapshot: its first row is an update of an unknown book",
                        "import from the start of a Tardis day file, where is_snapshot rows stand",
                    )
                self._known.add(int(index))
                starts = starts[1:] if initial else starts
            flags[starts] |= _RESYNC
        return flags


def _codes_of(encoded: Any) -> Ints:
    return encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)  # type: ignore[no-any-return]


def _message_ends(rows: Columns) -> Any:
    """For each row but the last: whether the next one belongs to another message. A snapshot is one message."""
    shot = rows["kind"] == int(Kind.SNAPSHOT)
    other_market = rows["market"][1:] != rows["market"][:-1]
    other_kind = shot[1:] != shot[:-1]
    other_time = (rows["ts_recv_ns"][1:] != rows["ts_recv_ns"][:-1]) & ~shot[1:]
    return other_market | other_kind | other_time


def _closed(tail: Columns) -> Columns:
    tail["flags"][-1] |= _LAST
    return tail


IMPORTER: Final[Importer] = TardisCsv()
