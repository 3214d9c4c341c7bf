"""The PMXT importer on a file made from the pranay excerpt by the published schema: no real file was at hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from execsim.core.errors import ConfigError, DataError
from execsim.tape.schema import Flag, Kind, SideCode
from execsim_polymarket.pmxt import PmxtV2

Load = Callable[..., Any]

SCHEMA = pa.schema(
    [
        ("timestamp_received", pa.timestamp("ms", "UTC")),
        ("timestamp", pa.timestamp("ms", "UTC")),
        ("market", pa.binary(66)),
        ("event_type", pa.string()),
        ("asset_id", pa.string()),
        ("bids", pa.string()),
        ("asks", pa.string()),
        ("price", pa.decimal128(9, 4)),
        ("size", pa.decimal128(18, 6)),
        ("side", pa.string()),
        ("best_bid", pa.decimal128(9, 4)),
        ("best_ask", pa.decimal128(9, 4)),
        ("fee_rate_bps", pa.uint16()),
        ("transaction_hash", pa.string()),
        ("old_tick_size", pa.decimal128(9, 4)),
        ("new_tick_size", pa.decimal128(9, 4)),
    ]
)
PLACES = {"price": "0.0001", "size": "0.000001", "best_bid": "0.0001", "best_ask": "0.0001", "new_tick_size": "0.0001"}


def archived(frame: dict[str, Any], recv_ms: int) -> list[dict[str, Any]]:
    """One frame as the rows the archive would hold."""
    head = {
        "timestamp_received": recv_ms,
        "timestamp": int(frame["timestamp"]),
        "market": frame["market"].encode(),
        "event_type": frame["event_type"],
    }
    if frame["event_type"] == "book":
        sides = {k: json.dumps([[lv["price"], lv["size"]] for lv in frame[k]]) for k in ("bids", "asks")}
        return [head | {"asset_id": frame["asset_id"]} | sides]
    rows = []
    for item in frame.get("price_changes", [frame]):
        decimals = {key: Decimal(item[key]).quantize(Decimal(p)) for key, p in PLACES.items() if key in item}
        texts = {key: item[key] for key in ("asset_id", "side", "transaction_hash") if key in item}
        rows.append(head | texts | decimals)
    return rows


def write(path: Path, rows: list[dict[str, Any]], schema: pa.Schema = SCHEMA) -> Path:
    """In the archive's order: by market, asset, time of receipt."""
    ordered = sorted(rows, key=lambda row: (row["market"], row["asset_id"], row["timestamp_received"]))
    pq.write_table(pa.Table.from_pylist(ordered, schema=schema), path)
    return path


def frames_of(pranay: Path) -> list[tuple[dict[str, Any], int]]:
    records = [json.loads(line) for line in pranay.read_text().splitlines()]
    return [(record["raw"], record["recv_ms"]) for record in records if "raw" in record]


def test_the_same_book_as_from_the_frames(pranay: Path, load: Load, tmp_path: Path) -> None:
    rows = [row for frame, recv_ms in frames_of(pranay) for row in archived(frame, recv_ms)]
    path = write(tmp_path / "polymarket_orderbook_2026-08-16T01.parquet", rows)
    assert PmxtV2().sniff(path)
    whole = load(pranay)
    yes = {info.market: info.yes_token for info in whole.markets}
    sink = load(path, importer=PmxtV2(), yes_tokens=yes)
    assert sink.final() == whole.final()
    assert sink.oracle("best_price") == (148, 148)
    assert sink.oracle("mirror") == (76, 76)
    assert sink.oracle("book_hash") == (0, 0)
    assert not sink.gaps
    assert not sink.defects
    assert sink.sources[0].rows == 152
    for market in yes:
        one = [[i.market for i in s.markets].index(market) for s in (sink, whole)]
        assert sink.states(one[0]) == whole.states(one[1])
    assert any("no real file was seen" in note for note in sink.notes)


def test_hours_are_one_recording(pranay: Path, load: Load, tmp_path: Path) -> None:
    frames = frames_of(pranay)
    halves = [frames[:40], frames[40:]]
    paths = [
        write(tmp_path / f"{number}.parquet", [row for frame, recv in half for row in archived(frame, recv)])
        for number, half in enumerate(halves)
    ]
    whole = load(pranay)
    market = whole.markets[0].market
    sink = load(*paths, importer=PmxtV2(), markets=[market], yes_tokens=[whole.markets[0].yes_token])
    assert [info.market for info in sink.markets] == [market]
    assert sink.final()[market] == whole.final()[market]
    assert len(sink.sources) == 2


def test_trades_ticks_and_quiet(fake: Any, load: Load, tmp_path: Path) -> None:
    frames = [
        fake.book(0),
        fake.book(0, "222222"),
        fake.set(10, "BUY", "0.49", "7"),
        fake.trade(20, "0.51", "3", "BUY", "222222", "0x1"),
    ]
    frames.append({"event_type": "tick_size_change", "market": frames[0]["market"], "asset_id": "111111"})
    frames[-1] |= {"timestamp": frames[-2]["timestamp"], "old_tick_size": "0.01", "new_tick_size": "0.001"}
    frames.append(fake.set(9_000, "BUY", "0.49", "8"))  # best prices agree: nothing was lost
    path = write(tmp_path / "x.parquet", [row for f in frames for row in archived(f, int(f["timestamp"]) + 30)])
    sink = load(path, importer=PmxtV2(), yes_tokens=["111111"])
    assert not sink.gaps
    (trade,) = sink.of(Kind.TRADE)
    assert (trade.price_i, trade.size_i, trade.aggressor, trade.flags) == (4900, 3_000_000, SideCode.ASK, Flag.NO_TOKEN)
    assert [row.price_i for row in sink.of(Kind.TICK)] == [10]
    assert [row.size_i for row in sink.of(Kind.LEVEL)] == [7_000_000, 8_000_000]

    entries = frames[-1]["price_changes"]
    entries[0]["best_bid"], entries[1]["best_ask"] = "0.5", "0.5"  # they do not: the book is not known
    path = write(tmp_path / "y.parquet", [row for f in frames for row in archived(f, int(f["timestamp"]) + 30)])
    sink = load(path, importer=PmxtV2(), yes_tokens=["111111"])
    assert [gap.why for gap in sink.gaps] == ["quiet"]
    assert sink.oracle("best_price") == (2, 4)


def test_a_missing_column_is_named(fake: Any, load: Load, tmp_path: Path) -> None:
    schema = SCHEMA.remove(SCHEMA.get_field_index("best_ask"))
    path = write(tmp_path / "x.parquet", archived(fake.book(0), 5), schema)
    with pytest.raises(DataError, match=r"x\.parquet: has no column 'best_ask'"):
        load(path, importer=PmxtV2())


def test_bad_files_and_options(fake: Any, load: Load, tmp_path: Path) -> None:
    path = write(tmp_path / "x.parquet", archived(fake.book(0), 5))
    with pytest.raises(ConfigError, match="recv_key"):
        load(path, importer=PmxtV2(), recv_key="ts")
    with pytest.raises(DataError, match="holds no rows"):
        load(path, importer=PmxtV2(), markets=["0x" + "00" * 32])
    with pytest.raises(DataError, match="does not exist"):
        load(tmp_path / "absent.parquet", importer=PmxtV2())
    row = archived(fake.book(0), 5)[0]
    with pytest.raises(DataError, match="bids or asks is not JSON"):
        load(write(tmp_path / "z.parquet", [row | {"bids": "[["}]), importer=PmxtV2())
    with pytest.raises(DataError, match="unknown event_type 'wobble'"):
        load(write(tmp_path / "z.parquet", [row | {"event_type": "wobble"}]), importer=PmxtV2())
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match="is not a readable parquet file"):
        load(path, importer=PmxtV2())
    assert not PmxtV2().sniff(path)
