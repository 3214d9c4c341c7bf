"""The generic importer: a CSV written by hand, column maps, parquet, quotes, and every way to get it wrong."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from execsim.core.errors import ConfigError, DataError
from execsim.tape.columns import exact, times_ns
from execsim.tape.generic import IMPORTER
from execsim.tape.schema import NO_TIME, Flag, Kind
from execsim.tape.store import TapeWriter

DATA = Path(__file__).parents[2] / "data/generic"
HEAD = "time,kind,side,price,size"
BOOK = ["1723161255,snapshot,bid,0.51,100", "1723161255,snapshot,ask,0.53,80"]


def table(path: Path, rows: list[str], head: str = HEAD, name: str = "m.csv") -> Path:
    file = path / name
    file.write_text("\n".join([head, *rows]) + "\n")
    return file


def test_the_hand_written_file_needs_no_options(sink: Any) -> None:
    IMPORTER.run([DATA / "hand_written.csv"], {}, sink)
    assert [(r.kind, r.side, r.price_i, r.size_i, r.aggressor, r.flags) for r in sink.data] == [
        (Kind.SNAPSHOT, 1, 51, 100, 0, Flag.FIRST),
        (Kind.SNAPSHOT, 1, 50, 250, 0, 0),
        (Kind.SNAPSHOT, -1, 53, 80, 0, 0),
        (Kind.SNAPSHOT, -1, 54, 300, 0, Flag.LAST),
        (Kind.TRADE, 1, 53, 30, 1, 0),
        (Kind.LEVEL, -1, 53, 50, 0, Flag.LAST),
        (Kind.LEVEL, 1, 52, 40, 0, Flag.LAST),
        (Kind.TRADE, -1, 52, 40, -1, 0),
        (Kind.LEVEL, 1, 52, 0, 0, Flag.LAST),
        (Kind.LEVEL, -1, 53, 0, 0, Flag.LAST),
    ]
    first = int(datetime(2024, 8, 8, 23, 54, 15, tzinfo=UTC).timestamp()) * 10**9
    assert (sink.data[0].ts_venue_ns, sink.data[0].ts_recv_ns) == (first, NO_TIME)
    market = sink.markets[0]
    assert (market.market, market.venue, market.price_unit, market.lot) == ("hand_written", "generic", "0.01", "1")
    assert IMPORTER.sniff(DATA / "hand_written.csv")


def test_the_hand_written_file_becomes_a_tape(tmp_path: Path) -> None:
    with TapeWriter(tmp_path / "tape", IMPORTER.name, IMPORTER.version) as writer:
        IMPORTER.run([DATA / "hand_written.csv"], {}, writer)
    assert writer.manifest.rows == 10


def test_quotes_become_best_prices(sink: Any) -> None:
    IMPORTER.run([DATA / "quotes.csv"], {"market": "Q"}, sink)
    assert [(r.kind, r.side, r.price_i, r.size_i, r.flags) for r in sink.data[:4]] == [
        (Kind.BBO, 1, 51, 100, 0),
        (Kind.BBO, -1, 53, 80, Flag.LAST),
        (Kind.BBO, 1, 51, 100, 0),
        (Kind.BBO, -1, 0, 0, Flag.LAST),
    ]
    assert sink.markets[0].market == "Q"


def test_quotes_without_sizes_need_a_default(sink: Any, tmp_path: Path) -> None:
    file = table(tmp_path, ["1723161255000,0.5,0.6"], "ts,bid,ask")
    with pytest.raises(DataError, match=r"column 'bid_size' is missing; found: ts, bid, ask; .*default_size"):
        IMPORTER.run([file], {}, sink)
    IMPORTER.run([file], {"default_size": 2.5}, sink)
    assert [(r.price_i, r.size_i) for r in sink.data] == [(5, 25), (6, 25)]


def test_a_column_map_for_event_rows(sink: Any, tmp_path: Path) -> None:
    rows = ["l2,A,B,7,1.25,1723161255000001,1723161255000900", "print,A,S,7,1.5,1723161255000002,1723161255000901"]
    file = tmp_path / "m.csv.gz"
    file.write_bytes(gzip.compress("\n".join(["what,sym,s,px,q,ex,me", *rows]).encode()))
    columns = {
        "kind": "what",
        "market": "sym",
        "side": "s",
        "price": "px",
        "size": "q",
        "ts_venue": "ex",
        "ts_recv": "me",
    }
    options = {
        "columns": columns,
        "kinds": {"l2": "snapshot", "print": "trade"},
        "venue": "mine",
        "instrument_kind": "binary",
        "tick": 1,
        "price_unit": "0.5",
        "lot": "0.25",
        "base": "yes",
        "quote": "pUSD",
    }
    IMPORTER.run([file], options, sink)
    shot, trade = sink.data
    assert (shot.price_i, shot.size_i, shot.ts_venue_ns, shot.ts_recv_ns) == (
        14,
        5,
        1723161255000001000,
        1723161255000900000,
    )
    assert (trade.kind, trade.aggressor, trade.size_i) == (Kind.TRADE, -1, 6)
    market = sink.markets[0]
    assert (market.market, market.venue, market.instrument_kind, market.tick) == ("A", "mine", "binary", "1")
    assert (market.base, market.quote) == ("yes", "pUSD")


def test_parquet_floats_and_timestamps(sink: Any, tmp_path: Path) -> None:
    moment = datetime(2024, 8, 8, 23, 54, 15, 250, tzinfo=UTC)
    data = {
        "time": pa.array([moment, moment], pa.timestamp("us", "UTC")),
        "kind": pa.array(["snapshot", "trade"]).dictionary_encode(),
        "side": ["bid", None],
        "price": [0.1 + 0.2 - 0.2, 0.29],
        "size": pa.array([Decimal("1.500000"), Decimal("2")], pa.decimal128(18, 6)),
    }
    pq.write_table(pa.table(data), tmp_path / "m.parquet")
    with pytest.raises(DataError, match=r"m.parquet: row 1 column 'price': 0.10000000000000003 is not a multiple"):
        IMPORTER.run([tmp_path / "m.parquet"], {"price_unit": "0.01"}, sink)
    data["price"] = [0.1, 0.29]
    pq.write_table(pa.table(data), tmp_path / "m.parquet")
    IMPORTER.run([tmp_path / "m.parquet"], {}, sink)
    assert [(r.price_i, r.size_i, r.aggressor) for r in sink.data] == [(10, 15, 0), (29, 20, 0)]
    assert sink.data[0].ts_venue_ns == int(moment.timestamp()) * 10**9 + 250_000
    whole = (tmp_path / "m.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[:-50])
    with pytest.raises(DataError, match="cannot be read"):
        IMPORTER.run([tmp_path / "cut.parquet"], {}, sink)


def test_snapshots_group_by_time_and_resync(sink: Any, tmp_path: Path) -> None:
    later = [row.replace("1723161255", "1723161256.5") for row in BOOK]
    IMPORTER.run([table(tmp_path, BOOK + later)], {"time_unit": "s"}, sink)
    assert [r.flags for r in sink.data] == [Flag.FIRST, Flag.LAST, Flag.FIRST | Flag.RESYNC, Flag.LAST]
    assert sink.data[2].ts_venue_ns == 1_723_161_256_500_000_000


def test_levels_of_one_time_are_one_message(sink: Any, tmp_path: Path) -> None:
    rows = [*BOOK, "1723161256,level,bid,0.50,1", "1723161256,level,bid,0.49,1", "1723161257,level,bid,0.48,1"]
    IMPORTER.run([table(tmp_path, rows)], {}, sink)
    assert [r.flags for r in sink.of(Kind.LEVEL)] == [0, Flag.LAST, Flag.LAST]


def test_a_file_of_trades_needs_no_kind_column(sink: Any, tmp_path: Path) -> None:
    file = table(tmp_path, ["1723161255.5,0.5,10,sell"], "time,price,size,side")
    with pytest.raises(DataError, match=r"no kind column; .*kind = trade"):
        IMPORTER.run([file], {}, sink)
    IMPORTER.run([file], {"kind": "trade"}, sink)
    assert [(r.kind, r.aggressor) for r in sink.data] == [(Kind.TRADE, -1)]


def test_blanks_blank_lines_and_a_byte_order_mark(sink: Any, tmp_path: Path) -> None:
    file = tmp_path / "m.csv"
    text = "\ufefftime, kind, side, price, size\n\n1723161255, Snapshot, BID, 0.50, 1\n\n1723161256, level, bid, .25, 0\n\n"
    file.write_text(text)
    IMPORTER.run([file], {}, sink)
    assert [(r.price_i, r.size_i) for r in sink.data] == [(50, 1), (25, 0)]


def test_time_backwards_is_counted(sink: Any, tmp_path: Path) -> None:
    rows = [*BOOK, "1723161259,level,bid,0.50,1", "1723161258,level,bid,0.50,2", "1723161260,trade,buy,0.53,0"]
    IMPORTER.run([table(tmp_path, rows)], {}, sink)
    assert dict(sink.defects) == {"time_backwards": 1, "trade_empty": 1}
    assert len(sink.data) == 4


def test_levels_need_a_snapshot_unless_the_book_starts_empty(sink: Any, tmp_path: Path) -> None:
    file = table(tmp_path, ["", "1723161255,trade,buy,0.50,1", "1723161256,level,bid,0.50,1"])
    with pytest.raises(DataError, match=r"m.csv:4: market without a snapshot.*start = empty"):
        IMPORTER.run([file], {}, sink)
    IMPORTER.run([file], {"start": "empty"}, sink)
    assert [(r.kind, r.side) for r in sink.data if r.kind != Kind.TRADE][-2:] == [(Kind.SNAPSHOT, 0), (Kind.LEVEL, 1)]


@pytest.mark.parametrize(
    ("rows", "head", "match"),
    [
        ([], HEAD, "no rows"),
        (["x,snapshot,bid,1,1"], HEAD, r"m.csv:2 column 'time': 'x' is not an ISO 8601 time"),
        ([*BOOK, "later,level,bid,1,1"], HEAD, r"m.csv:4 column 'time': 'later' is not a number"),
        ([*BOOK, "1723161256,levle,bid,1,1"], HEAD, r"m.csv:4 column 'kind': 'levle'.*one of level, snapshot, trade"),
        ([*BOOK, "1723161256,level,up,1,1"], HEAD, r"m.csv:4 column 'side': 'up' is not known"),
        ([*BOOK, "1723161256,level,,1,1"], HEAD, r"m.csv:4 column 'side': a level needs a side"),
        ([*BOOK, "1723161256,level,bid,1.0.0,1"], HEAD, r"m.csv:4 column 'price': '1.0.0' is not a number"),
        ([*BOOK, "1723161256,level,bid,,1"], HEAD, r"m.csv:4 column 'price': '' is not a number"),
        ([*BOOK, "1723161256,level,bid,0,1"], HEAD, r"m.csv:4 column 'price': price 0"),
        ([*BOOK, "1723161256,level,bid,nan,1"], HEAD, r"m.csv:4 column 'price': 'nan' is not a number"),
        ([*BOOK, "", "1723161256,level,bid,0.5,-3"], HEAD, r"m.csv:5 column 'size': -3 is negative"),
        ([*BOOK, "1723161256,level,bid,0.5"], HEAD, r"m.csv:4: malformed row: 4 fields, the header has 5"),
        (["1,2"], "price,size", r"no time column; found: price, size"),
        (["1,2"], "time,price", r"column 'size' is missing; found: time, price"),
    ],
)
def test_errors_name_the_place(rows: list[str], head: str, match: str, sink: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=match):
        IMPORTER.run([table(tmp_path, rows, head)], {}, sink)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"price_unit": "0.02"}, DataError, r"m.csv:2 column 'price': 0.51 is not a multiple of 0.02; .*price_unit"),
        ({"columns": {"price": "px"}}, DataError, r"column 'px' is missing; found: time, kind"),
        ({"columns": {"cost": "price"}}, ConfigError, "'cost' is not known"),
        ({"columns": "price"}, ConfigError, "option columns"),
        ({"kinds": {"x": "y"}}, ConfigError, "option kinds"),
        ({"time_unit": "minutes"}, ConfigError, "one of guess, s, ms"),
        ({"default_size": "0"}, ConfigError, "not positive"),
        ({"sep": ";"}, ConfigError, "no option 'sep'"),
    ],
)
def test_wrong_options(options: dict[str, Any], error: type[Exception], match: str, sink: Any, tmp_path: Path) -> None:
    with pytest.raises(error, match=match):
        IMPORTER.run([table(tmp_path, BOOK)], options, sink)


@given(st.integers(0, 2**60), st.integers(0, 9), st.sampled_from([1, 2, 5, 10]), st.booleans())
def test_every_decimal_on_the_grid_is_read_exactly(count: int, decimals: int, multiple: int, exponent: bool) -> None:
    unit = Decimal(multiple).scaleb(-decimals)
    value = count * unit if count * multiple < 10**27 else Decimal(0)
    text = f"{value:e}" if exponent else f"{value:f}"
    assert exact(pa.array([text]), unit, str)[0] == (count if value else 0)


def test_times_in_every_unit() -> None:
    ns = 1_723_161_255_250_000_001
    for text, unit in (
        ("1723161255.250000001", "s"),
        ("1723161255250.000001", "ms"),
        ("1723161255250000.001", "us"),
        (str(ns), "ns"),
        ("2024-08-08T23:54:15.250000001Z", "iso"),
        ("2024-08-09 01:54:15.250000001+02:00", "iso"),
        ("2024-08-08 23:54:15.250000001", "iso"),
    ):
        assert times_ns(pa.array([text]), unit, str)[0] == ns
