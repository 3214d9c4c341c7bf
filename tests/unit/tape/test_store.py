import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from execsim.core.errors import DataError, InternalError
from execsim.core.units import NOTIONAL_MAX
from execsim.tape.reader import TapeReader
from execsim.tape.schema import COLUMNS, NO_TIME, Flag, GapInfo, Kind, MarketInfo, RowBuffer, SideCode, SourceInfo
from execsim.tape.store import MANIFEST_FILE, ROWS_FILE, TapeWriter, hash_file, load_manifest, save_manifest
from execsim.tape.synth import Synth, write_synthetic

T0 = 1_700_000_000_000_000_000
NAMES = [name for name in COLUMNS if name != "seq"]


def info(name="m0"):
    return MarketInfo(name, "v", "binary", "0.0001", "0.01", "yes", "usd", "0.01", "0.01")


def row(ts, kind=Kind.LEVEL, *, market=0, side=SideCode.BID, price=100, size=5, recv=None, aggressor=0, flags=0):
    return (ts, ts + 10_000 if recv is None else recv, market, int(kind), int(side), price, size, aggressor, 0, flags)


def write(path, rows, markets=1, sources=1, **calls):
    with TapeWriter(path, "test", 3) as writer:
        for i in range(sources):
            writer.source(SourceInfo(f"file{i}", "", 0))
        for i in range(markets):
            writer.market(info(f"m{i}"))
        writer.rows(0, dict(zip(NAMES, zip(*rows, strict=True), strict=True)))
        for name, arguments in calls.items():
            getattr(writer, name)(*arguments)
    return writer.manifest


def hand_in(path, source, columns):
    with TapeWriter(path, "test", 1) as writer:
        writer.source(SourceInfo("file0", "", 0))
        writer.market(info())
        writer.rows(source, columns)


def read(path):
    chunks = list(TapeReader(path))
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in COLUMNS}


rows_of_a_recording = st.lists(
    st.builds(
        row,
        st.integers(T0, T0 + 20),
        st.sampled_from([Kind.LEVEL, Kind.TRADE, Kind.BBO]),
        market=st.integers(0, 2),
        side=st.sampled_from(SideCode),
        price=st.integers(0, 10_000),
        size=st.integers(0, 10**6),
        recv=st.integers(T0, T0 + 50_000),
    ),
    min_size=1,
    max_size=40,
)


@given(rows_of_a_recording)
@settings(deadline=None, max_examples=20)
def test_what_is_written_is_read_back_sorted_with_only_the_clocks_changed(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("tape") / "t"
    manifest = write(path, rows, markets=3)
    got = read(path)
    assert {name: str(column.dtype) for name, column in got.items()} == COLUMNS
    assert sorted(got["seq"].tolist()) == list(range(len(rows)))
    for i, seq in enumerate(got["seq"].tolist()):
        same = [got[name][i] for name in NAMES[2:-1]]
        assert same == list(rows[seq][2:-1])
    keys = list(
        zip(got["ts_venue_ns"].tolist(), (got["kind"] != Kind.TRADE).tolist(), got["seq"].tolist(), strict=True)
    )
    assert keys == sorted(keys)
    for market in range(3):
        of = got["market"] == market
        assert (np.diff(got["ts_recv_ns"][of]) >= 0).all()
        assert manifest.markets[market].rows == of.sum()
    assert (got["ts_recv_ns"] >= got["ts_venue_ns"] + 1_000).all()
    assert load_manifest(path) == manifest


def test_a_trade_overtakes_its_instant_but_no_snapshot(tmp_path):
    snap = Kind.SNAPSHOT
    rows = [
        row(T0, Kind.LEVEL, price=1),
        row(T0, Kind.TRADE, price=2),
        row(T0, snap, price=3, flags=Flag.FIRST),
        row(T0, snap, price=4, flags=Flag.LAST),
        row(T0, Kind.LEVEL, price=5),
        row(T0, Kind.TRADE, price=6),
        row(T0, Kind.TRADE, market=1, price=7),
        row(T0 + 1, Kind.LEVEL, price=8),
        row(T0 + 1, Kind.TRADE, price=9),
    ]
    write(tmp_path / "t", rows, markets=2)
    got = read(tmp_path / "t")
    mine = got["market"] == 0
    assert got["price_i"][mine].tolist() == [2, 1, 3, 4, 6, 5, 9, 8]
    assert got["price_i"][0] == 2


def test_rows_from_two_files_of_one_market_are_joined_by_venue_time(tmp_path):
    with TapeWriter(tmp_path / "t", "test", 1) as writer:
        market = writer.market(info())
        for first in (T0, T0 + 5):
            source = writer.source(SourceInfo("f", "", 0))
            buffer = RowBuffer(writer, source, limit=3)
            for i in range(10):
                buffer.add(first + 10 * i, first + 10 * i + 2_000, market, Kind.LEVEL, 1, 100, 1)
            buffer.flush()
    got = read(tmp_path / "t")
    assert got["ts_venue_ns"].tolist() == [T0 + 5 * i for i in range(20)]
    assert writer.manifest.defects == {}
    assert [source.rows for source in writer.manifest.sources] == [10, 10]


def test_the_manifest_describes_each_market(tmp_path):
    rows = [
        row(T0, Kind.SNAPSHOT, price=400, size=30, flags=Flag.FIRST),
        row(T0, Kind.SNAPSHOT, price=600, size=20, side=SideCode.ASK, flags=Flag.LAST),
        row(T0 + 5, Kind.TRADE, price=600, size=10, aggressor=1),
        row(T0 + 6, Kind.LEVEL, price=200, size=0),
        row(T0 + 7, Kind.BBO, price=0, size=0),
        row(T0 + 8, Kind.TICK, price=7, size=0, side=0),
        row(T0 + 9, Kind.GAP, price=0, size=1, side=0),
        row(T0 + 10, Kind.RESOLVE, price=10_001, size=0, side=0),
    ]
    gap = GapInfo(0, T0 + 9, T0 + 10, "lost")
    manifest = write(
        tmp_path / "t", rows, markets=2, gap=(gap,), note=("n",), defect=("odd", 2), check=("hash", True, 4)
    )
    market, unused = manifest.markets
    assert (market.price_gcd_i, market.price_min_i, market.price_max_i) == (200, 200, 600)
    assert (market.size_gcd_lots, market.size_max_lots, market.rows) == (10, 30, 8)
    assert market.extra == {"first_ns": T0, "last_ns": T0 + 10, "first_snapshot_ns": T0}
    assert unused.rows == 0
    assert manifest.ticks == [(0, T0 + 8, 7)]
    assert (manifest.ts_first_ns, manifest.ts_last_ns, manifest.rows) == (T0, T0 + 10, 8)
    assert (manifest.gaps, manifest.notes, manifest.defects) == ([gap], ["n"], {"odd": 2})
    assert manifest.checks == {"hash_checked": 4, "hash_ok": 4}
    assert load_manifest(tmp_path / "t") == manifest


def test_a_recorder_behind_the_venue_is_stated_in_the_manifest(tmp_path):
    rows = [row(T0 + i * 10**6, recv=T0 + i * 10**6 - 27 * 10**6) for i in range(50)]
    manifest = write(tmp_path / "t", rows)
    assert manifest.sources[0].clock_offset_ns == 27 * 10**6 + 1_000
    assert "file0" in manifest.notes[0]
    assert "27.001" in manifest.notes[0]
    assert (read(tmp_path / "t")["flags"] == 0).all()


def test_announcing_a_market_again_returns_its_index(tmp_path):
    with TapeWriter(tmp_path / "t", "test", 1) as writer:
        source = writer.source(SourceInfo("f", "", 0))
        assert [writer.market(info(name)) for name in ("a", "b", "a")] == [0, 1, 0]
        writer.rows(source, dict(zip(NAMES, zip(row(T0), strict=True), strict=True)))
    assert len(writer.manifest.markets) == 2


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (row(T0, size=-5), r"file0: row 1: size -5 of market m0 is negative"),
        (row(T0, price=-1), r"file0: row 1: price -1 of market m0"),
        (row(T0, price=2**32, size=2**30), r"price 4294967296 x size 1073741824 of market m0 reaches 2\*\*62"),
        (row(T0, size=2**63), r"column size_i does not fit int64"),
        (row(NO_TIME, recv=NO_TIME, market=1), r"row 1 of the recording: neither"),
    ],
)
def test_a_bad_row_is_named_and_nothing_is_left_behind(tmp_path, bad, said):
    with pytest.raises(DataError, match=said):
        write(tmp_path / "t", [row(T0), bad], markets=2)
    assert list(tmp_path.iterdir()) == []


def test_the_largest_product_below_the_bound_is_kept(tmp_path):
    write(tmp_path / "t", [row(T0, price=2**31, size=2**31 - 1), row(T0, Kind.RESOLVE, price=2**40, size=2**40)])
    got = read(tmp_path / "t")
    assert int(got["price_i"][0]) * int(got["size_i"][0]) < NOTIONAL_MAX


def test_an_error_of_the_importer_leaves_nothing_and_keeps_the_old_tape(tmp_path):
    old = write(tmp_path / "t", [row(T0)])
    with pytest.raises(RuntimeError, match="boom"), TapeWriter(tmp_path / "t", "test", 1):
        raise RuntimeError("boom")
    assert [path.name for path in tmp_path.iterdir()] == ["t"]
    assert load_manifest(tmp_path / "t") == old


def test_a_tape_is_replaced_whole(tmp_path):
    write(tmp_path / "t", [row(T0)])
    new = write(tmp_path / "t", [row(T0), row(T0 + 1)])
    assert load_manifest(tmp_path / "t") == new
    assert [path.name for path in tmp_path.iterdir()] == ["t"]


def test_a_target_that_is_something_else_is_refused(tmp_path):
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "thesis.tex").write_text("x")
    with pytest.raises(DataError, match="cannot be written"):
        write(tmp_path / "t", [row(T0)])
    assert (tmp_path / "t" / "thesis.tex").read_text() == "x"
    assert [path.name for path in tmp_path.iterdir()] == ["t"]


def test_a_recording_without_rows_is_an_error(tmp_path):
    with pytest.raises(DataError, match="file0: no market data rows"):
        hand_in(tmp_path / "t", 0, {name: [] for name in NAMES})
    assert list(tmp_path.iterdir()) == []


def test_an_importer_that_breaks_the_contract_is_told(tmp_path):
    good = dict(zip(NAMES, zip(row(T0), strict=True), strict=True))
    for source, columns, said in (
        (1, good, "1 sources are announced"),
        (0, {**good, "price_i": [0.5]}, "not integers"),
        (0, {**good, "price_i": [1, 2]}, "different lengths"),
        (0, {**good, "market": [4]}, "not announced"),
        (0, {name: good[name] for name in NAMES[1:]}, "lack the column ts_venue_ns"),
    ):
        with pytest.raises(InternalError, match=said):
            hand_in(tmp_path / "t", source, columns)


def test_data_sha256_is_the_files_own_or_over_all_of_them(tmp_path):
    (tmp_path / "a").write_bytes(b"alpha")
    a, b = hash_file(tmp_path / "a"), "b" * 64
    assert a == hashlib.sha256(b"alpha").hexdigest()
    for hashes, expected in (([a], a), ([a, b], hashlib.sha256(f"{a}\n{b}".encode()).hexdigest())):
        with TapeWriter(tmp_path / "t", "test", 1) as writer:
            for sha256 in hashes:
                writer.source(SourceInfo("f", sha256, 5))
            writer.market(info())
            writer.rows(0, dict(zip(NAMES, zip(row(T0), strict=True), strict=True)))
        assert writer.manifest.data_sha256 == expected
    plain, other = (write(tmp_path / "t", [row(T0, size=size)]).data_sha256 for size in (5, 6))
    assert plain != other
    with pytest.raises(DataError, match="no such file"):
        hash_file(tmp_path / "missing")


def test_a_tape_that_is_not_whole_says_what_to_do(tmp_path):
    path = tmp_path / "t"
    with pytest.raises(DataError, match="no such tape; execsim data import"):
        load_manifest(path)
    with pytest.raises(DataError, match="not a tape"):
        load_manifest(tmp_path)
    manifest = write(path, [row(T0 + i) for i in range(9)])
    whole = (path / ROWS_FILE).read_bytes()
    manifest_text = (path / MANIFEST_FILE).read_text()

    (path / ROWS_FILE).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"rows\.parquet: truncated or unreadable parquet .*import the recording again"):
        load_manifest(path)
    (path / ROWS_FILE).unlink()
    with pytest.raises(DataError, match=r"rows\.parquet: no such file"):
        load_manifest(path)
    (path / ROWS_FILE).write_bytes(whole)

    manifest.rows = 8
    save_manifest(path, manifest)
    with pytest.raises(DataError, match="9 rows, the manifest says 8"):
        load_manifest(path)
    for text, said in (
        ("{", "unreadable manifest"),
        (json.dumps({**json.loads(manifest_text), "schema_version": 99}), "schema version 99, this execsim reads 1"),
        (json.dumps({**json.loads(manifest_text), "surprise": 1}), "unknown field surprise"),
    ):
        (path / MANIFEST_FILE).write_text(text)
        with pytest.raises(DataError, match=said):
            load_manifest(path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rows": "12"}, "rows is not a whole number"),
        ({"markets": []}, "rows but no market"),
        ({"markets": {"a": 1}}, "wrong manifest"),
        ({"gaps": [{"market": "x", "start_ns": 1, "end_ns": 2, "why": "y"}]}, "market is not a whole number"),
        ({"defects": [1]}, "wrong manifest"),
        ({"sources": None}, "wrong manifest"),
        ({"format": 3}, "format is not text"),
    ],
)
def test_a_damaged_manifest_says_what_is_wrong(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    tape = tmp_path / "t"
    write_synthetic(tape, Synth(rows=200))
    manifest = json.loads((tape / "manifest.json").read_text())
    (tape / "manifest.json").write_text(json.dumps({**manifest, **change}))
    with pytest.raises(DataError, match=said):
        load_manifest(tape)
