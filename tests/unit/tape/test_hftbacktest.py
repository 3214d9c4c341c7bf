"""The npz importer, judged by hftbacktest's own converter, and on small hand-made event files."""

from __future__ import annotations

import gzip
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hftbacktest.data.utils import binancefutures
from hftbacktest.types import (
    ADD_ORDER_EVENT,
    BUY_EVENT,
    DEPTH_BBO_EVENT,
    DEPTH_CLEAR_EVENT,
    DEPTH_EVENT,
    DEPTH_SNAPSHOT_EVENT,
    EXCH_EVENT,
    LOCAL_EVENT,
    SELL_EVENT,
    TRADE_EVENT,
    event_dtype,
)

from execsim.core.errors import ConfigError, DataError
from execsim.tape.hftbacktest import IMPORTER
from execsim.tape.schema import NO_TIME, Flag, Kind
from execsim_binance.archive import BinanceCapture

CAPTURE = Path(__file__).parents[3] / "scenarios/data/binance_hftbacktest/usdm_btcusdt_20230404.dat.gz"
BOTH = EXCH_EVENT | LOCAL_EVENT
BID, ASK = BUY_EVENT, SELL_EVENT
SNAPSHOT = [
    (BOTH | DEPTH_CLEAR_EVENT | BID, 10, 20, 9.0, 0.0),
    (BOTH | DEPTH_SNAPSHOT_EVENT | BID, 10, 20, 10.0, 1.5),
    (BOTH | DEPTH_CLEAR_EVENT | ASK, 10, 20, 11.0, 0.0),
    (BOTH | DEPTH_SNAPSHOT_EVENT | ASK, 10, 20, 10.1, 0.3),
]


def npz(path: Path, events: Iterable[tuple[float, ...]], name: str = "abc.npz") -> Path:
    data = np.array([(*event, 0, 0, 0) for event in events], event_dtype)
    np.savez(path / name, data=data)
    return path / name


def test_the_packages_own_conversion_gives_the_same_book_and_trades(sink: Any, tmp_path: Path) -> None:
    """The same lines through hftbacktest's converter and this importer, and through our Binance importer: equal books
    after every depth message, equal trades. The converter reads ns, so the us of this capture get three zeros."""
    lines = gzip.decompress(CAPTURE.read_bytes()).splitlines()[:7000]
    capture = tmp_path / "excerpt.gz"
    capture.write_bytes(gzip.compress(b"\n".join(line[:16] + b"000" + line[16:] for line in lines), 1))
    binancefutures.convert(str(capture), str(tmp_path / "excerpt.npz"), buffer_size=200_000)
    theirs, ours = read(IMPORTER, tmp_path / "excerpt.npz", sink), read(BinanceCapture(), capture, type(sink)())

    assert (theirs.markets[0].price_unit, theirs.markets[0].lot) == ("0.1", "0.001")
    prints = [[(r.ts_venue_ns, r.price_i, r.size_i, r.aggressor) for r in s.of(Kind.TRADE)] for s in (theirs, ours)]
    assert prints[0] == sorted(prints[1], key=lambda row: row[0])
    assert len(prints[0]) > 1000

    messages = [by_time(theirs), by_time(ours)]
    books: list[dict[tuple[int, int], int]] = [{}, {}]
    for instant in sorted(set().union(*messages)):
        for book, rows in zip(books, messages, strict=True):
            for row in rows.get(instant, ()):
                apply(book, row)
        assert books[0] == books[1]
    assert len(messages[1]) > 2000
    assert len(books[0]) > 1000
    # Both clocks of an event are in one row: the received time differs from ours by the converter's one offset.
    received = [[r.ts_recv_ns for r in s.of(Kind.LEVEL) if r.size_i] for s in (theirs, ours)]
    assert {a - b for a, b in zip(*received, strict=True)} == {received[0][0] - received[1][0]}


def read(importer: Any, path: Path, sink: Any) -> Any:
    importer.run([path], {}, sink)
    return sink


def by_time(sink: Any) -> dict[int, list[Any]]:
    rows = defaultdict(list)
    for row in sink.of(Kind.SNAPSHOT, Kind.LEVEL):
        rows[row.ts_venue_ns].append(row)
    return rows


def apply(book: dict[tuple[int, int], int], row: Any) -> None:
    if row.kind == Kind.SNAPSHOT and row.flags & Flag.FIRST:
        book.clear()
    if row.size_i:
        book[row.side, row.price_i] = row.size_i
    else:
        book.pop((row.side, row.price_i), None)


def test_events_become_rows(sink: Any, tmp_path: Path) -> None:
    events = [
        *SNAPSHOT,
        (BOTH | DEPTH_EVENT | BID, 30, 40, 10.0, 0.0),
        (BOTH | DEPTH_EVENT | ASK, 30, 40, 10.1, 0.2),
        (BOTH | TRADE_EVENT | BID, 50, 60, 10.1, 0.1),
        (BOTH | TRADE_EVENT, 50, 60, 10.1, 0.1),
        (BOTH | DEPTH_BBO_EVENT | ASK, 70, 80, 10.2, 0.4),
        (BOTH | 103, 90, 95, 1e-7, 0.0),
    ]
    IMPORTER.run([npz(tmp_path, events)], {"venue": "binance", "market": "X"}, sink)
    assert [
        (r.ts_venue_ns, r.ts_recv_ns, r.kind, r.side, r.price_i, r.size_i, r.aggressor, r.flags) for r in sink.data
    ] == [
        (10, 20, Kind.SNAPSHOT, 1, 100, 15, 0, Flag.FIRST),
        (10, 20, Kind.SNAPSHOT, -1, 101, 3, 0, Flag.LAST),
        (30, 40, Kind.LEVEL, 1, 100, 0, 0, 0),
        (30, 40, Kind.LEVEL, -1, 101, 2, 0, Flag.LAST),
        (50, 60, Kind.TRADE, 1, 101, 1, 1, 0),
        (50, 60, Kind.TRADE, 0, 101, 1, 0, 0),
        (70, 80, Kind.BBO, -1, 102, 4, 0, Flag.LAST),
    ]
    assert (sink.markets[0].market, sink.markets[0].venue) == ("X", "binance")
    assert any("1 events of other kinds" in note for note in sink.notes)


def test_halves_are_joined_and_the_exchange_order_kept(sink: Any, tmp_path: Path) -> None:
    """What correct_event_order makes of two rows whose clocks disagree: exchange first, then both, then local."""
    events = [
        *SNAPSHOT,
        (EXCH_EVENT | DEPTH_EVENT | BID, 30, 55, 10.0, 0.7),
        (BOTH | DEPTH_EVENT | ASK, 31, 50, 10.1, 0.8),
        (LOCAL_EVENT | DEPTH_EVENT | BID, 30, 55, 10.0, 0.7),
    ]
    IMPORTER.run([npz(tmp_path, events)], {}, sink)
    assert [(r.ts_venue_ns, r.ts_recv_ns, r.size_i) for r in sink.of(Kind.LEVEL)] == [(30, 55, 7), (31, 50, 8)]
    assert not sink.defects


def test_halves_without_partner_are_counted(sink: Any, tmp_path: Path) -> None:
    events = [
        *SNAPSHOT,
        (EXCH_EVENT | DEPTH_EVENT | BID, 30, 0, 10.0, 0.7),
        (LOCAL_EVENT | DEPTH_EVENT | ASK, 30, 55, 10.1, 0.8),
    ]
    IMPORTER.run([npz(tmp_path, events)], {}, sink)
    assert [(r.ts_recv_ns, r.size_i) for r in sink.of(Kind.LEVEL)] == [(NO_TIME, 7)]
    assert dict(sink.defects) == {"exch_only": 1, "local_only": 1}


def test_a_file_of_local_rows_is_what_was_received(sink: Any, tmp_path: Path) -> None:
    events = [(event[0] & ~EXCH_EVENT, *event[1:]) for event in SNAPSHOT]
    IMPORTER.run([npz(tmp_path, events)], {}, sink)
    assert len(sink.of(Kind.SNAPSHOT)) == 2
    assert any("what was received" in note for note in sink.notes)


def test_depth_before_the_snapshot(sink: Any, tmp_path: Path) -> None:
    early = [(BOTH | DEPTH_EVENT | BID, 1, 2, 9.9, 1.0)]
    IMPORTER.run([npz(tmp_path, early + SNAPSHOT + [(BOTH | DEPTH_EVENT | BID, 30, 40, 9.8, 1.0)])], {}, sink)
    assert sink.defects["depth_before_snapshot"] == 1
    assert len(sink.of(Kind.LEVEL)) == 1
    with pytest.raises(DataError, match="market without a snapshot"):
        IMPORTER.run([npz(tmp_path, early)], {}, sink)


def test_a_book_that_starts_empty_is_known(sink: Any, tmp_path: Path) -> None:
    """An empty full book stands before the first level: without a book the venue matches nothing."""
    rows = [(BOTH | TRADE_EVENT | BID, 1, 2, 9.9, 1.0), (BOTH | DEPTH_EVENT | BID, 3, 4, 9.9, 1.0)]
    IMPORTER.run([npz(tmp_path, rows)], {"start": "empty"}, sink)
    assert [(r.kind, r.side, r.size_i) for r in sink.data if r.kind != Kind.TRADE] == [
        (Kind.SNAPSHOT, 0, 0),
        (Kind.LEVEL, 1, 1),
    ]
    assert sink.of(Kind.SNAPSHOT)[0].flags == Flag.FIRST | Flag.LAST
    again = type(sink)()
    IMPORTER.run([npz(tmp_path, SNAPSHOT)], {"start": "empty"}, again)
    assert [r.kind for r in again.data] == [Kind.SNAPSHOT] * 2


def test_an_initial_snapshot_file_comes_first(sink: Any, tmp_path: Path) -> None:
    day = npz(tmp_path, [(BOTH | DEPTH_EVENT | BID, 30, 40, 9.8, 1.0)], "day.npz")
    IMPORTER.run([npz(tmp_path, SNAPSHOT), day], {}, sink)
    assert [r.source for r in sink.data] == [0, 0, 1]


def test_later_snapshots_resync_and_a_bare_clear_empties_the_book(sink: Any, tmp_path: Path) -> None:
    again = [(ev, exch + 100, local + 100, px, qty) for ev, exch, local, px, qty in SNAPSHOT]
    clear = (BOTH | DEPTH_CLEAR_EVENT, 300, 310, float("nan"), 0.0)
    IMPORTER.run([npz(tmp_path, [*SNAPSHOT, *again, clear])], {}, sink)
    assert [r.flags for r in sink.data] == [
        Flag.FIRST,
        Flag.LAST,
        Flag.FIRST | Flag.RESYNC,
        Flag.LAST,
        Flag.FIRST | Flag.LAST | Flag.RESYNC,
    ]
    assert (sink.data[-1].side, sink.data[-1].size_i) == (0, 0)
    with pytest.raises(DataError, match="one side is cleared"):
        IMPORTER.run([npz(tmp_path, [*SNAPSHOT, (clear[0] | BID, *clear[1:])])], {}, sink)


def test_no_chunk_boundary_splits_a_message(sink: Any, tmp_path: Path) -> None:
    count = 300_000
    data = np.zeros(count + len(SNAPSHOT), event_dtype)
    data[: len(SNAPSHOT)] = [(*event, 0, 0, 0) for event in SNAPSHOT]
    body = data[len(SNAPSHOT) :]
    body["ev"] = BOTH | DEPTH_EVENT | BID
    body["exch_ts"] = 100 + np.arange(count) // 3
    body["local_ts"] = body["exch_ts"] + 5
    body["px"], body["qty"] = 10.0, np.arange(count) % 9
    np.savez(tmp_path / "large.npz", data=data)
    IMPORTER.run([tmp_path / "large.npz"], {}, sink)
    flags = [row.flags for row in sink.data][2:]
    assert sink.batches > 1
    assert flags == [0, 0, int(Flag.LAST)] * (count // 3)


@pytest.mark.parametrize(
    ("event", "options", "match"),
    [
        (
            (BOTH | ADD_ORDER_EVENT | BID, 30, 40, 10.0, 1.0),
            {},
            "row 1: a level .code 4. in a recording of single orders",
        ),
        (
            (BOTH | DEPTH_EVENT | BID, 30, 40, 10.05, 1.0),
            {"price_unit": "0.1"},
            "row 4: px 10.05 is not a multiple of 0.1",
        ),
        ((BOTH | DEPTH_EVENT | BID, 30, 40, 10.0, -1.0), {}, "row 4: qty -1.0 is negative"),
        ((BOTH | DEPTH_EVENT, 30, 40, 10.0, 1.0), {}, "row 4: depth without a side"),
        ((BOTH | DEPTH_EVENT | BID, 30, 40, 10.0, 1 / 3), {}, "set option lot"),
        ((BOTH | DEPTH_EVENT | BID, 30, 40, float("inf"), 1.0), {}, "px inf is not a multiple"),
    ],
)
def test_bad_events(event: tuple[float, ...], options: dict[str, Any], match: str, sink: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=match):
        IMPORTER.run([npz(tmp_path, [*SNAPSHOT, event])], options, sink)


def test_floats_mean_their_shortest_decimal(sink: Any, tmp_path: Path) -> None:
    events = [*SNAPSHOT, (BOTH | DEPTH_EVENT | BID, 30, 40, 0.1 + 0.2, 1234567.123)]
    IMPORTER.run([npz(tmp_path, events)], {}, sink)
    row = sink.of(Kind.LEVEL)[0]
    assert (sink.markets[0].price_unit, sink.markets[0].lot) == ("0.1", "0.001")
    assert (row.price_i, row.size_i) == (3, 1_234_567_123)


def test_files_that_are_no_events(sink: Any, tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", data=np.zeros(3))
    np.savez(tmp_path / "named.npz", events=np.zeros(3))
    (tmp_path / "text.npz").write_text("hello")
    whole = npz(tmp_path, SNAPSHOT).read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    for name, match in (
        ("other.npz", "fields"),
        ("named.npz", "no array named `data`"),
        ("text.npz", "not a readable npz"),
        ("cut.npz", "not a readable npz"),
        ("missing.npz", "no such file"),
    ):
        with pytest.raises(DataError, match=match):
            IMPORTER.run([tmp_path / name], {}, sink)
        assert not IMPORTER.sniff(tmp_path / name)
    with pytest.raises(DataError, match="no rows"):
        IMPORTER.run([npz(tmp_path, [], "empty.npz")], {}, sink)
    with pytest.raises(ConfigError, match="no option 'speed'"):
        IMPORTER.run([npz(tmp_path, SNAPSHOT)], {"speed": 1}, sink)
    assert IMPORTER.sniff(npz(tmp_path, SNAPSHOT))
