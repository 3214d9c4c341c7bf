"""The Tardis importer on the vendor's own samples and on small hand-made files."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from execsim.core.errors import ConfigError, DataError
from execsim.tape.schema import Flag, Kind
from execsim.tape.tardis import IMPORTER

SAMPLES = Path(__file__).parents[2] / "data/tardis_nautilus"
BOOK = SAMPLES / "deribit_incremental_book_L2_BTC-PERPETUAL.csv"
TRADES = SAMPLES / "bitmex_trades_XBTUSD.csv"
QUOTES = SAMPLES / "huobi-dm-swap_quotes_BTC-USD.csv"

L2 = "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount"
TS = 1_585_699_200_000_000


def book_file(path: Path, rows: list[str], name: str = "book.csv.gz", symbol: str = "ABC-USD") -> Path:
    """Rows are "microsecond,is_snapshot,side,price,amount"; venue time is 100 us before local time."""
    lines = [L2]
    for row in rows:
        at, rest = row.split(",", 1)
        lines.append(f"x,{symbol},{TS + int(at) - 100},{TS + int(at)},{rest}")
    data = ("\n".join(lines) + "\n").encode()
    file = path / name
    file.write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    return file


SMALL = [
    "0,true,bid,10.0,1",
    "0,true,ask,10.5,2.25",
    "500,false,bid,10.0,3",
    "500,false,ask,10.5,0",
    "900,false,bid,9.5,1",
]


def test_book_sample(sink: Any) -> None:
    IMPORTER.run([BOOK], {}, sink)
    rows = sink.data
    assert len(rows) == 15
    assert {row.kind for row in rows} == {Kind.SNAPSHOT}
    assert [row.flags for row in rows] == [Flag.FIRST, *[0] * 13, Flag.LAST]
    assert (rows[0].side, rows[0].price_i, rows[0].size_i) == (-1, 64_215, 18_640)
    assert (rows[0].ts_venue_ns, rows[0].ts_recv_ns) == (1585699200245000 * 1000, 1585699200355684 * 1000)
    market = sink.markets[0]
    assert (market.market, market.venue, market.price_unit, market.lot) == ("BTC-PERPETUAL", "deribit", "0.1", "1")


def test_trades_sample_has_no_book(sink: Any) -> None:
    IMPORTER.run([TRADES], {}, sink)
    assert len(sink.of(Kind.TRADE)) == 10
    assert {(row.aggressor, row.price_i) for row in sink.data} == {(-1, 85_315)}
    assert any("no book" in note for note in sink.notes)


def test_quotes_sample_becomes_best_prices(sink: Any) -> None:
    IMPORTER.run([QUOTES], {}, sink)
    bid, ask = sink.of(Kind.BBO)[:2]
    assert len(sink.data) == 20
    assert (bid.side, bid.price_i, bid.size_i, bid.flags) == (1, 86_292, 806, 0)
    assert (ask.side, ask.price_i, ask.size_i, ask.flags) == (-1, 86_293, 5494, Flag.LAST)


def test_messages_end_with_last(sink: Any, tmp_path: Path) -> None:
    IMPORTER.run([book_file(tmp_path, SMALL)], {}, sink)
    assert [(row.kind, row.side, row.price_i, row.size_i, row.flags) for row in sink.data] == [
        (Kind.SNAPSHOT, 1, 100, 100, Flag.FIRST),
        (Kind.SNAPSHOT, -1, 105, 225, Flag.LAST),
        (Kind.LEVEL, 1, 100, 300, 0),
        (Kind.LEVEL, -1, 105, 0, Flag.LAST),
        (Kind.LEVEL, 1, 95, 100, Flag.LAST),
    ]


def test_a_second_snapshot_run_resyncs(sink: Any, tmp_path: Path) -> None:
    IMPORTER.run([book_file(tmp_path, [*SMALL, "950,true,bid,9.0,1", "960,true,ask,11,1"])], {}, sink)
    assert [row.flags for row in sink.data[-2:]] == [Flag.FIRST | Flag.RESYNC, Flag.LAST]


def test_book_and_trades_of_one_symbol(sink: Any, tmp_path: Path) -> None:
    trades = tmp_path / "trades.csv"
    trades.write_text(
        "exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n"
        f"x,ABC-USD,{TS + 400},{TS + 500},1,buy,10.5,2.25\nx,ABC-USD,{TS + 450},{TS + 600},2,unknown,10.0,1e-3\n"
    )
    IMPORTER.run([book_file(tmp_path, SMALL), trades], {}, sink)
    assert [market.market for market in sink.markets] == ["ABC-USD"]
    assert sink.markets[0].lot == "0.001"
    assert [(row.aggressor, row.size_i, row.source) for row in sink.of(Kind.TRADE)] == [(1, 2250, 1), (0, 1, 1)]
    assert not any("no book" in note for note in sink.notes)


def test_the_second_day_goes_on_without_a_snapshot(sink: Any, tmp_path: Path) -> None:
    first = book_file(tmp_path, SMALL)
    second = book_file(tmp_path, ["2000,false,bid,9.0,4", "3000,true,bid,9.0,4"], "day2.csv")
    IMPORTER.run([first, second], {}, sink)
    assert [(row.kind, row.flags) for row in sink.data[-2:]] == [
        (Kind.LEVEL, Flag.LAST),
        (Kind.SNAPSHOT, Flag.FIRST | Flag.LAST | Flag.RESYNC),
    ]


def test_two_symbols_are_two_markets(sink: Any, tmp_path: Path) -> None:
    paths = [book_file(tmp_path, SMALL, f"{symbol}.csv", symbol) for symbol in ("AUSD", "BUSD")]
    IMPORTER.run(paths, {}, sink)
    assert [(market.market, market.base, market.quote) for market in sink.markets] == [
        ("AUSD", "A", "USD"),
        ("BUSD", "B", "USD"),
    ]
    assert [row.market for row in sink.data] == [0] * 5 + [1] * 5


def test_a_file_larger_than_a_block(sink: Any, tmp_path: Path) -> None:
    """Messages of three rows; no block boundary may lose or split one."""
    rows = ["0,true,bid,1.0,1"] + [f"{1 + at // 3},false,bid,{1 + at % 7}.5,{at % 11}" for at in range(300_000)]
    IMPORTER.run([book_file(tmp_path, rows, "large.csv")], {}, sink)
    assert sink.batches > 1
    flags = [row.flags for row in sink.data]
    assert flags == [Flag.FIRST | Flag.LAST, *[0, 0, int(Flag.LAST)] * 100_000]


@pytest.mark.parametrize(
    ("row", "match"),
    [
        ("900,false,bid,9.5", r"book.csv:6: malformed row: 7 fields, the header has 8"),
        ("900,false,bid,cheap,1", r"book.csv:6 column 'price': 'cheap' is not a number"),
        ("900,false,bid,9.5,-1", r"book.csv:6 column 'amount': -1 is negative"),
        ("900,false,left,9.5,1", r"book.csv:6 column 'side': 'left' is not known here; one of ask, bid"),
        ("900,maybe,bid,9.5,1", r"column 'is_snapshot': 'maybe'"),
        ("900,false,bid,9e99,1", r"too large"),
    ],
)
def test_malformed_rows(row: str, match: str, sink: Any, tmp_path: Path) -> None:
    rows = [*SMALL[:4], row, SMALL[4]]
    with pytest.raises(DataError, match=match):
        IMPORTER.run([book_file(tmp_path, rows, "book.csv")], {}, sink)


def test_a_time_that_is_no_number(sink: Any, tmp_path: Path) -> None:
    path = tmp_path / "book.csv"
    path.write_text(f"{L2}\nx,A,{TS},{TS},true,bid,1,1\nx,A,noon,{TS},false,bid,1,2\n")
    with pytest.raises(DataError, match=r"book.csv:3 column 'timestamp': 'noon' is not a number"):
        IMPORTER.run([path], {}, sink)


def test_a_price_off_the_stated_grid(sink: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"book.csv:3 column 'price': 10.5 is not a multiple of 1; .*price_unit"):
        IMPORTER.run([book_file(tmp_path, SMALL, "book.csv")], {"price_unit": "1"}, sink)


def test_files_that_cannot_be_a_tape(sink: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"book.csv:2: market without a snapshot"):
        IMPORTER.run([book_file(tmp_path, SMALL[2:], "book.csv")], {}, sink)
    lacking = tmp_path / "lacking.csv"
    lacking.write_text("exchange,symbol,timestamp,local_timestamp,side,price,amount\n")
    with pytest.raises(DataError, match=r"column 'is_snapshot' is missing; found: exchange, symbol"):
        IMPORTER.run([lacking], {}, sink)
    lacking.write_text(L2 + "\n")
    with pytest.raises(DataError, match="no rows"):
        IMPORTER.run([lacking], {}, sink)
    lacking.write_text("")
    with pytest.raises(DataError, match="no rows"):
        IMPORTER.run([lacking], {}, sink)
    lacking.write_text("exchange,symbol,timestamp,local_timestamp,funding_rate\nx,A,1,1,0\n")
    with pytest.raises(DataError, match="not a data type this importer reads"):
        IMPORTER.run([lacking], {}, sink)
    cut = tmp_path / "cut.csv.gz"
    cut.write_bytes(book_file(tmp_path, SMALL * 500).read_bytes()[:-20])
    with pytest.raises(DataError, match="cannot be read"):
        IMPORTER.run([cut], {}, sink)


def test_depth_and_quotes_of_one_book_do_not_mix(sink: Any, tmp_path: Path) -> None:
    depth = tmp_path / "depth.csv"
    depth.write_text(f"{L2}\nhuobi-dm-swap,BTC-USD,{TS},{TS},true,bid,1,1\n")
    with pytest.raises(DataError, match="depth or quotes, not both"):
        IMPORTER.run([QUOTES, depth], {}, sink)
    depth.write_text(f"{L2}\nbinance,BTC-USD,{TS},{TS},true,bid,1,1\n")
    with pytest.raises(DataError, match="comes from huobi-dm-swap and from binance"):
        IMPORTER.run([QUOTES, depth], {}, sink)


def test_options_and_sniff(sink: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no option 'delimiter'"):
        IMPORTER.run([BOOK], {"delimiter": ";"}, sink)
    with pytest.raises(ConfigError, match=r"tick 0\.25 is no multiple of 0\.1"):
        IMPORTER.run([BOOK], {"tick": "0.25"}, sink)
    IMPORTER.run([BOOK], {"tick": "0.5", "quote": "BTC", "lot": 10}, sink)
    assert (sink.markets[0].tick, sink.markets[0].quote, sink.markets[0].lot) == ("0.5", "BTC", "10")
    assert all(IMPORTER.sniff(path) for path in (BOOK, TRADES, QUOTES))
    other = tmp_path / "other.csv"
    other.write_text("time,price\n1,2\n")
    assert not IMPORTER.sniff(other)
    assert not IMPORTER.sniff(tmp_path / "missing")
