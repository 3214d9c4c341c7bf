"""The Binance importer on real recordings (judged by the venue's own bookTicker) and on small hand-made ones."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from execsim.core.errors import ConfigError, DataError
from execsim.tape.schema import Flag, Kind, SideCode
from execsim_binance.archive import BinanceCapture

DATA = Path(__file__).parents[3] / "scenarios/data/binance_hftbacktest"
IMPORTER = BinanceCapture()
T0 = 1_723_161_255_000


class Lines:
    """A recording written message by message; every line comes 1 ms after the last."""

    def __init__(self, futures: bool = False, symbol: str = "BTCUSDT") -> None:
        self.futures = futures
        self.symbol = symbol
        self.ms = T0
        self.lines: list[str] = []

    def put(self, body: Any) -> None:
        self.ms += 1
        self.lines.append(f"{self.ms * 1_000_000} {json.dumps(body, separators=(',', ':'))}")

    def stream(self, channel: str, data: dict[str, Any]) -> None:
        self.put({"stream": f"{self.symbol.lower()}@{channel}", "data": {"s": self.symbol, **data}})

    def depth(self, first: int, last: int, prev: int, bids: list[list[str]], asks: list[list[str]]) -> None:
        times = {"E": self.ms, "T": self.ms - 3, "pu": prev} if self.futures else {"E": self.ms}
        self.stream("depth@100ms", {"e": "depthUpdate", "U": first, "u": last, **times, "b": bids, "a": asks})

    def snapshot(self, last: int, bids: list[list[str]], asks: list[list[str]]) -> None:
        times = {"E": self.ms, "T": self.ms - 3} if self.futures else {}
        self.put({"lastUpdateId": last, **times, "bids": bids, "asks": asks})

    def trade(self, number: int, price: str, size: str, maker_buys: bool, **more: Any) -> None:
        body = {"e": "trade", "E": self.ms, "T": self.ms - 1, "t": number, "p": price, "q": size, "m": maker_buys}
        self.stream("trade", {**body, **more})

    def ticker(self, update: int, bid: str, bid_size: str, ask: str, ask_size: str) -> None:
        self.stream("bookTicker", {"u": update, "b": bid, "B": bid_size, "a": ask, "A": ask_size})

    def write(self, path: Path, name: str = "capture.gz") -> Path:
        file = path / name
        file.write_bytes(gzip.compress(("\n".join(self.lines) + "\n").encode()))
        return file


def small(futures: bool = False) -> Lines:
    """A book of two levels a side after one joined diff."""
    lines = Lines(futures)
    lines.snapshot(100, [["10.00", "1.0"], ["9.90", "2.0"]], [["10.10", "1.5"], ["10.20", "3.0"]])
    lines.depth(101 if not futures else 99, 105, 98, [["10.00", "1.1"]], [])
    return lines


def test_futures_2024_agrees_with_every_ticker(sink: Any) -> None:
    IMPORTER.run([DATA / "usdm_btcusdt_20240808.gz"], {}, sink)
    assert (sink.checks["book_ticker_checked"], sink.checks["book_ticker_ok"]) == (6545, 6545)
    assert len(sink.of(Kind.TRADE)) == 21_313
    assert len(sink.of(Kind.SNAPSHOT)) == 2000
    assert not sink.gaps
    assert not sink.defects
    market = sink.markets[0]
    assert (market.market, market.price_unit, market.lot) == ("BTCUSDT-PERP", "0.1", "0.001")
    assert any("as if it were a spot pair" in note for note in sink.notes)


def test_futures_2023_in_microseconds_agrees_with_every_ticker(sink: Any) -> None:
    IMPORTER.run([DATA / "usdm_btcusdt_20230404.dat.gz"], {}, sink)
    assert (sink.checks["book_ticker_checked"], sink.checks["book_ticker_ok"]) == (4322, 4322)
    assert 1_680_652_700 * 10**9 < sink.data[0].ts_recv_ns < 1_680_652_800 * 10**9
    assert any("99 markPrice messages ignored" in note for note in sink.notes)


def test_spot_alone_agrees_with_every_ticker(sink: Any) -> None:
    IMPORTER.run([DATA / "spot_btcusdt_20240808.gz"], {}, sink)
    assert (sink.checks["book_ticker_checked"], sink.checks["book_ticker_ok"]) == (3449, 3449)
    assert len(sink.of(Kind.TRADE)) == 9757
    assert (sink.markets[0].market, sink.markets[0].price_unit) == ("BTCUSDT", "0.01")


def test_two_spot_files_are_one_recording(sink: Any) -> None:
    IMPORTER.run([DATA / "spot_btcusdt_20240808.gz", DATA / "spot_btcusdt_20240809.gz"], {}, sink)
    # Twice the ticker's bid rests deeper than the snapshot's 1,000 levels reached (61,631.55): nobody could know it.
    assert sink.oracle("book_ticker") == (6490, 6490)
    assert any("2 books were not judged" in note for note in sink.notes)
    assert len(sink.of(Kind.TRADE)) == 9757 + 10_147
    assert not sink.gaps
    assert not sink.defects
    assert {row.source for row in sink.data} == {0, 1}
    assert len(sink.of(Kind.SNAPSHOT)) == 2000


def test_second_spot_file_alone_has_no_snapshot(sink: Any) -> None:
    with pytest.raises(DataError, match=r"without a snapshot.*import it together with the file that holds"):
        IMPORTER.run([DATA / "spot_btcusdt_20240809.gz"], {}, sink)


def test_snapshot_and_levels_become_rows(sink: Any, tmp_path: Path) -> None:
    lines = small()
    lines.depth(106, 107, 0, [["9.90", "0.0"], ["8.00", "0.0"]], [["10.10", "0.0"], ["10.15", "0.5"]])
    IMPORTER.run([lines.write(tmp_path)], {}, sink)
    shot, levels = sink.of(Kind.SNAPSHOT), sink.of(Kind.LEVEL)
    assert [(r.side, r.price_i, r.size_i) for r in shot] == [
        (1, 1000, 10),
        (1, 990, 20),
        (-1, 1010, 15),
        (-1, 1020, 30),
    ]
    assert [r.flags for r in shot] == [Flag.FIRST, 0, 0, Flag.LAST]
    assert [(r.side, r.price_i, r.size_i, r.flags) for r in levels] == [
        (1, 1000, 11, Flag.LAST),
        (1, 990, 0, 0),
        (-1, 1010, 0, 0),
        (-1, 1015, 5, Flag.LAST),
    ]
    # The spot snapshot states no time: it takes that of the diff that joined it, and is received with it.
    assert {r.ts_venue_ns for r in shot} == {levels[0].ts_venue_ns}
    assert {r.ts_recv_ns for r in shot} == {levels[0].ts_recv_ns}
    assert any("1 removals of levels not in the book" in note for note in sink.notes)


def test_last_flag_when_every_ask_is_left_out(sink: Any, tmp_path: Path) -> None:
    lines = small()
    lines.depth(106, 107, 0, [["9.90", "1.0"]], [["99.00", "0.0"]])
    IMPORTER.run([lines.write(tmp_path)], {}, sink)
    assert sink.of(Kind.LEVEL)[-1].flags == Flag.LAST


@pytest.mark.parametrize("futures", [False, True])
def test_diffs_before_the_snapshot_are_joined_or_dropped(futures: bool, sink: Any, tmp_path: Path) -> None:
    lines = Lines(futures)
    lines.depth(90, 95, 89, [["9.00", "7.0"]], [])
    lines.depth(96, 99, 95, [["9.10", "7.0"]], [])
    lines.depth(100, 103, 99, [["10.00", "2.0"]], [])
    lines.snapshot(101, [["10.00", "1.0"]], [["10.10", "1.0"]])
    lines.depth(104, 104, 103, [["10.00", "3.0"]], [])
    IMPORTER.run([lines.write(tmp_path)], {}, sink)
    assert [(r.price_i, r.size_i) for r in sink.of(Kind.LEVEL)] == [(100, 2), (100, 3)]
    # What waited for the snapshot could not be used before it came.
    assert sink.of(Kind.LEVEL)[0].ts_recv_ns == sink.of(Kind.SNAPSHOT)[0].ts_recv_ns
    assert not sink.gaps


@pytest.mark.parametrize("futures", [False, True])
def test_missing_updates_open_a_gap_until_a_new_snapshot(futures: bool, sink: Any, tmp_path: Path) -> None:
    lines = small(futures)
    lines.trade(1, "10.00", "0.1", True)
    lines.ms += 30_000
    lines.depth(120, 121, 119, [["10.00", "9.0"]], [])
    lines.trade(2, "10.00", "0.1", True)
    lines.snapshot(122, [["10.00", "5.0"]], [["10.10", "5.0"]])
    lines.depth(122, 124, 121, [["10.00", "6.0"]], [])
    IMPORTER.run([lines.write(tmp_path)], {}, sink)
    opened, closed = sink.of(Kind.GAP)
    trades = sink.of(Kind.TRADE)
    assert (opened.size_i, closed.size_i) == (1, 0)
    # The venue's book is unknown from the last row before the break; the break is learned 30 s later.
    assert opened.ts_venue_ns == trades[0].ts_venue_ns
    assert opened.ts_recv_ns > trades[0].ts_recv_ns + 30 * 10**9 - 10**7
    shot = sink.data[sink.data.index(closed) + 1]
    assert shot.kind == Kind.SNAPSHOT
    assert shot.flags == Flag.FIRST | Flag.RESYNC
    assert [(gap.start_ns, gap.end_ns, gap.why) for gap in sink.gaps] == [
        (opened.ts_venue_ns, closed.ts_venue_ns, "sequence")
    ]
    assert sink.defects["sequence_break"] == 1
    # The diff that revealed the break is older than the snapshot and must not be applied after it.
    assert [r.size_i for r in sink.of(Kind.LEVEL)][-1] == 60


def test_a_gap_without_a_new_snapshot_lasts_to_the_end(sink: Any, tmp_path: Path) -> None:
    lines = small()
    lines.depth(120, 121, 0, [["10.00", "9.0"]], [])
    lines.trade(1, "10.00", "0.1", True)
    IMPORTER.run([lines.write(tmp_path)], {}, sink)
    assert [row.size_i for row in sink.of(Kind.GAP)] == [1]
    assert sink.gaps[0].end_ns == sink.data[-1].ts_venue_ns
    assert any("stays unknown to the end" in note for note in sink.notes)


def test_a_snapshot_too_old_for_the_buffered_diffs_does_not_join(sink: Any, tmp_path: Path) -> None:
    lines = Lines()
    lines.depth(200, 205, 0, [["10.00", "1.0"]], [])
    lines.snapshot(100, [["10.00", "1.0"]], [])
    with pytest.raises(DataError, match="no depth snapshot that joins"):
        IMPORTER.run([lines.write(tmp_path)], {}, sink)


def test_an_empty_snapshot_is_an_empty_book(sink: Any, tmp_path: Path) -> None:
    lines = Lines()
    lines.snapshot(100, [], [])
    lines.depth(101, 101, 0, [["10.00", "1.0"]], [])
    IMPORTER.run([lines.write(tmp_path)], {}, sink)
    row = sink.of(Kind.SNAPSHOT)[0]
    assert (row.size_i, row.flags) == (0, Flag.FIRST | Flag.LAST)


def test_trades_say_who_was_the_aggressor(sink: Any, tmp_path: Path) -> None:
    lines = small()
    lines.trade(1, "10.00", "0.1", True)
    lines.trade(2, "10.10", "0.2", False)
    IMPORTER.run([lines.write(tmp_path)], {}, sink)
    assert [(r.aggressor, r.side, r.price_i) for r in sink.of(Kind.TRADE)] == [
        (SideCode.ASK, SideCode.ASK, 100),
        (SideCode.BID, SideCode.BID, 101),
    ]


def test_duplicate_off_book_and_missing_trades_are_counted(sink: Any, tmp_path: Path) -> None:
    lines = small(futures=True)
    lines.trade(1, "10.00", "0.1", True, X="MARKET")
    lines.trade(1, "10.00", "0.1", True, X="MARKET")
    lines.trade(2, "0", "0", True, X="NA")
    lines.trade(3, "10.00", "0", True, X="MARKET")
    lines.trade(7, "10.00", "0.3", True, X="MARKET")
    lines.trade(5, "10.00", "0.4", True, X="MARKET")
    IMPORTER.run([lines.write(tmp_path)], {}, sink)
    assert [r.size_i for r in sink.of(Kind.TRADE)] == [1, 3, 4]
    counted = {"trade_duplicate": 1, "trade_off_book": 1, "trade_empty": 1, "trade_id_gap": 1, "trade_late": 1}
    assert dict(sink.defects) == counted


def test_aggregate_trades_serve_only_without_single_trades(sink: Any, tmp_path: Path) -> None:
    lines = small()
    lines.stream("aggTrade", {"e": "aggTrade", "E": 1, "a": 9, "p": "10.00", "q": "0.1", "T": lines.ms, "m": True})
    IMPORTER.run([lines.write(tmp_path)], {}, sink)
    assert len(sink.of(Kind.TRADE)) == 1
    lines.trade(1, "10.00", "0.2", True)
    before = len(sink.data)
    IMPORTER.run([lines.write(tmp_path)], {}, sink)
    assert [r.size_i for r in sink.data[before:] if r.kind == Kind.TRADE] == [2]


def test_a_wrong_book_fails_the_check(sink: Any, tmp_path: Path) -> None:
    lines = small()
    lines.ticker(106, "10.00", "1.1", "10.10", "1.5")
    lines.depth(106, 107, 0, [["10.00", "1.2"]], [])
    lines.ticker(107, "10.00", "1.3", "10.10", "1.5")
    lines.ticker(108, "10.00", "1.3", "10.10", "1.5")
    IMPORTER.run([lines.write(tmp_path)], {}, sink)
    assert dict(sink.checks) == {"book_ticker_checked": 1, "book_ticker_ok": 0}


def test_units_are_the_finest_digits_or_those_stated(sink: Any, tmp_path: Path) -> None:
    path = small().write(tmp_path)
    IMPORTER.run([path], {}, sink)
    assert (sink.markets[0].price_unit, sink.markets[0].lot) == ("0.1", "0.1")
    with pytest.raises(DataError, match=r"capture.gz:1: price 9.90 is not a multiple of 1; set a finer price_unit"):
        IMPORTER.run([path], {"price_unit": "1"}, sink)


def test_malformed_lines_stop_or_are_counted(sink: Any, tmp_path: Path) -> None:
    lines = small()
    lines.lines.append('1723161256000000000 {"stream":"btcusdt@trade","data":{"t":')
    lines.trade(1, "10.00", "0.1", True)
    path = lines.write(tmp_path)
    with pytest.raises(DataError, match=r"capture.gz:3: malformed line"):
        IMPORTER.run([path], {}, sink)
    IMPORTER.run([path], {"on_error": "skip"}, sink)
    assert sink.defects["bad_line"] == 1
    assert len(sink.of(Kind.TRADE)) == 1


@pytest.mark.parametrize(
    "text",
    [
        '1723161256000000000 {"stream":"btcusdt',
        '1723161256000000000 {"stream":"btcusdt@trade","data":[]}',
        "1723161256000000000 []",
        "1723161256000000000",
        'yesterday {"stream":"btcusdt@trade","data":{"t":1,"E":1,"p":"1","q":"1","m":true}}',
    ],
)
def test_no_line_gets_past_as_a_traceback(text: str, sink: Any, tmp_path: Path) -> None:
    lines = small()
    lines.lines.append(text)
    path = lines.write(tmp_path)
    with pytest.raises(DataError, match=r"capture.gz:3: malformed line"):
        IMPORTER.run([path], {}, sink)
    IMPORTER.run([path], {"on_error": "skip"}, sink)
    assert sink.defects["bad_line"] == 1


@pytest.mark.parametrize("level", [["10.00", "many"], ["10.00"], [10.0, 1], 7])
def test_a_skipped_depth_message_opens_a_gap(level: Any, sink: Any, tmp_path: Path) -> None:
    lines = small()
    lines.depth(106, 107, 0, [level], [])
    lines.depth(108, 108, 0, [["10.00", "4.0"]], [])
    IMPORTER.run([lines.write(tmp_path)], {"on_error": "skip"}, sink)
    assert [row.size_i for row in sink.of(Kind.GAP)] == [1]
    assert [gap.why for gap in sink.gaps] == ["bad_line"]
    assert len(sink.of(Kind.LEVEL)) == 1


@pytest.mark.parametrize(
    ("receive", "ns"),
    [
        ("1723161255", 1_723_161_255_000_000_000),
        ("1723161255.25", 1_723_161_255_250_000_000),
        ("1723161255250", 1_723_161_255_250_000_000),
        ("1723161255250001", 1_723_161_255_250_001_000),
        ("1723161255250000001", 1_723_161_255_250_000_001),
    ],
)
def test_receive_time_by_magnitude(receive: str, ns: int, sink: Any, tmp_path: Path) -> None:
    lines = small()
    lines.trade(1, "10.00", "0.1", True)
    lines.lines[-1] = f"{receive} {lines.lines[-1].partition(' ')[2]}"
    path = tmp_path / "plain.txt"
    path.write_text("\n".join(lines.lines))
    IMPORTER.run([path], {}, sink)
    assert sink.of(Kind.TRADE)[0].ts_recv_ns == ns


def test_several_symbols_need_a_choice(sink: Any, tmp_path: Path) -> None:
    lines = small()
    lines.symbol = "ETHUSDT"
    lines.trade(1, "2000.123", "0.01", True)
    path = lines.write(tmp_path)
    with pytest.raises(ConfigError, match="BTCUSDT, ETHUSDT; choose one"):
        IMPORTER.run([path], {}, sink)
    IMPORTER.run([path], {"symbol": "btcusdt"}, sink)
    assert [(m.market, m.price_unit) for m in sink.markets] == [("BTCUSDT", "0.1")]
    with pytest.raises(DataError, match="no message of SOLUSDT"):
        IMPORTER.run([path], {"symbol": "SOLUSDT"}, sink)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"colour": 1}, "no option 'colour'"),
        ({"contract": "swap"}, "one of guess, spot, usdm"),
        ({"on_error": "ignore"}, "one of stop, skip"),
        ({"lot": "-1"}, "not positive"),
        ({"price_unit": "cheap"}, "not a number"),
    ],
)
def test_wrong_options(options: dict[str, Any], match: str, sink: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=match):
        IMPORTER.run([small().write(tmp_path)], options, sink)


def test_damaged_and_foreign_files(sink: Any, tmp_path: Path) -> None:
    cut = tmp_path / "cut.gz"
    cut.write_bytes((DATA / "spot_btcusdt_20240808.gz").read_bytes()[:200_000])
    with pytest.raises(DataError, match="damaged or cut off"):
        IMPORTER.run([cut], {}, sink)
    foreign = tmp_path / "foreign.csv"
    foreign.write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="no combined-stream message"):
        IMPORTER.run([foreign], {}, sink)
    with pytest.raises(DataError, match="No such file"):
        IMPORTER.run([tmp_path / "missing"], {}, sink)
    assert not IMPORTER.sniff(foreign)
    assert IMPORTER.sniff(cut)
    assert all(IMPORTER.sniff(path) for path in DATA.iterdir())
