"""Envelopes, receive times, containers, and every way a recording can be broken."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from execsim.core.errors import ConfigError, DataError, ValidationError
from execsim.tape.schema import NO_TIME
from execsim_polymarket.archive import PolymarketFrames
from execsim_polymarket.frames import instant_ns

Load = Callable[..., Any]
CID = "0x" + "ab" * 32
YES = "111111"
T0_MS = 1_776_259_500_000
RECV_NS = 1_776_259_500_020_000_000


@pytest.mark.parametrize(
    ("value", "unit", "ns"),
    [
        (1776254403.957489, "", 1776254403957489000),
        (1776254403.9574893, "", 1776254403957489300),
        ("1776254403.957489", "s", 1776254403957489000),
        (1776254403957, "", 1776254403957000000),
        (1776254403957489, "", 1776254403957489000),
        (1776254403957489123, "", 1776254403957489123),
        ("1776254403957489123", "", 1776254403957489123),
        (5, "ms", 5_000_000),
        ("2026-04-15T12:00:03.957489123Z", "", 1776254403957489123),
        ("2026-04-15 12:00:03.5", "", 1776254403500000000),
        ("2026-04-15T14:00:03+02:00", "", 1776254403000000000),
        (datetime(2026, 4, 15, 12, 0, 3, 957489, UTC), "", 1776254403957489000),
        (None, "", NO_TIME),
        ("", "", NO_TIME),
    ],
)
def test_receive_times(value: Any, unit: str, ns: int) -> None:
    assert instant_ns(value, unit) == ns


@given(st.integers(10**8, 4 * 10**9), st.integers(0, 10**6 - 1))
def test_float_seconds_keep_every_microsecond(whole: int, micros: int) -> None:
    assert instant_ns(float(f"{whole}.{micros:06d}")) == whole * 10**9 + micros * 1_000


@pytest.mark.parametrize("value", ["yesterday", "12:xx", True, float("nan")])
def test_bad_receive_times(value: Any) -> None:
    with pytest.raises(ValidationError, match="receive time"):
        instant_ns(value)


def lines(book: dict[str, Any]) -> dict[str, tuple[str, int]]:
    """Name of an envelope -> (line, expected receive time)."""
    text = json.dumps(book)
    return {
        "object": (json.dumps({"recv_ms": RECV_NS // 10**6, "raw": book}), RECV_NS),
        "text": (json.dumps({"recv_ns": RECV_NS, "raw_text": text}), RECV_NS),
        "array": (json.dumps({"ts": RECV_NS / 10**9, "data": [book]}), RECV_NS),
        "array as text": (json.dumps({"received_at_utc": "2026-04-15T13:25:00.020Z", "frame": f"[{text}]"}), RECV_NS),
        "bare": (text, NO_TIME),
        "bare array": (f"[{text}]", NO_TIME),
        "bare with clock": (json.dumps(book | {"recv_ts": RECV_NS / 10**9}), RECV_NS),
        "bare text": (json.dumps(text), NO_TIME),
        "timestamp beside the frame": (json.dumps({"timestamp": RECV_NS // 10**6, "payload": text}), RECV_NS),
    }


@pytest.mark.parametrize("name", sorted(lines({})))
def test_envelopes_are_guessed(fake: Any, load: Load, tmp_path: Path, name: str) -> None:
    line, recv_ns = lines(fake.book(0))[name]
    path = tmp_path / "x.jsonl"
    path.write_text(f"{line}\n\n")
    sink = load(path)
    assert {row.ts_recv_ns for row in sink.data} == {recv_ns}
    assert sink.oracle("book_hash") == (1, 1)
    assert PolymarketFrames().sniff(path)


def test_keys_can_be_named(fake: Any, load: Load, tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(json.dumps({"when": RECV_NS // 1_000, "ts": 1, "what": fake.book(0), "raw": "{}"}) + "\n")
    sink = load(path, recv_key="when", payload_key="what", recv_unit="us")
    assert {row.ts_recv_ns for row in sink.data} == {RECV_NS}
    with pytest.raises(DataError, match=r"x.jsonl:1: .*recv_key"):
        load(path, recv_key="then", payload_key="what")


def test_keepalives_and_annotations_are_no_frames(fake: Any, load: Load, tmp_path: Path) -> None:
    head = {"markets": [{"condition_id": CID, "slug": "s", "title": "T", "up_token": YES, "down_token": "9"}]}
    rules = {"tick_size": 10, "min_size": 15_000_000}
    head["markets"][0] |= rules  # type: ignore[arg-type]
    path = tmp_path / "x.jsonl"
    rows = [
        head,
        {"comment": "hello"},
        {"ts": 5, "raw": "PONG"},
        {"ts": RECV_NS, "raw": fake.book(0, min_order_size="5")},
    ]
    path.write_text("\n".join(json.dumps(row) for row in rows))
    sink = load(path)
    info = sink.markets[0]
    assert (info.yes_token, info.no_token, info.title, info.extra["slug"]) == (YES, "9", "T", "s")
    assert info.base == "s:YES"
    assert info.size_min == "5"  # the hash proves it; the header is a recorder's word
    assert not sink.defects
    assert len(sink.data) == 4


def test_gzip_and_several_files_are_one_recording(fake: Any, load: Load, tmp_path: Path) -> None:
    first, second = tmp_path / "a.jsonl.gz", tmp_path / "b.jsonl"
    with gzip.open(first, "wt") as file:
        file.write(json.dumps({"recv_ns": RECV_NS, "raw": fake.book(0)}))
    second.write_text(json.dumps({"recv_ns": RECV_NS, "raw": fake.set(5, "BUY", "0.49", "7", (YES,))}))
    sink = load(first, second)
    assert [(s.name, s.rows) for s in sink.sources] == [("a.jsonl.gz", 1), ("b.jsonl", 1)]
    assert sink.oracle("change_hash") == (1, 1)
    assert PolymarketFrames().sniff(first)


def parquet(path: Path, columns: dict[str, list[Any]]) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def test_parquet_columns_are_guessed(fake: Any, load: Load, tmp_path: Path) -> None:
    text = json.dumps(fake.book(0))
    path = parquet(
        tmp_path / "x.parquet", {"timestamp": [RECV_NS / 10**9], "raw_data": [text.encode()], "slug": ["up"]}
    )
    sink = load(path, markets=["up"])
    assert {row.ts_recv_ns for row in sink.data} == {RECV_NS}
    assert sink.markets[0].extra["slug"] == "up"
    assert PolymarketFrames().sniff(path)
    with pytest.raises(DataError, match="option markets: down"):
        load(path, markets=["down"])
    with pytest.raises(DataError, match="option markets: 0xdead"):
        load(path, markets=["0xdead"])


def test_parquet_without_the_payload_column(load: Load, tmp_path: Path) -> None:
    path = parquet(tmp_path / "x.parquet", {"when": [1.0], "what": ["{}"]})
    with pytest.raises(DataError, match=r"x.parquet: no payload column found; columns are when, what; .*payload_key"):
        load(path)
    with pytest.raises(DataError, match="no column 'then'"):
        load(path, payload_key="what", recv_key="then")
    assert not PolymarketFrames().sniff(path)


def test_a_parquet_without_market_columns_can_still_be_filtered(fake: Any, load: Load, tmp_path: Path) -> None:
    other = json.dumps(fake.book(0)).replace(CID, "0x" + "cd" * 32)
    path = parquet(tmp_path / "x.parquet", {"raw": [json.dumps(fake.book(0)), other]})
    assert [info.market for info in load(path, markets=[CID]).markets] == [CID]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('{"recv_ms": 5, "raw": {"event', "is not a frame"),
        ('{"recv_ms": 5, "raw": "{nope"}', "malformed frame"),
        ("7", "JSON object"),
    ],
)
def test_a_malformed_line_is_named(fake: Any, load: Load, tmp_path: Path, text: str, what: str) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text("\n".join([json.dumps(fake.book(0)), text, json.dumps(fake.book(9))]))
    with pytest.raises(DataError, match=f"x.jsonl:2: .*{what}.*on_error"):
        load(path)
    sink = load(path, on_error="skip")
    assert sink.defects == {"malformed_row": 1}
    assert sink.oracle("book_hash") == (2, 2)


def test_a_frame_without_a_field_is_named(fake: Any, load: Load, tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    bad = fake.book(5)
    del bad["asset_id"]
    path.write_text(json.dumps(fake.book(0)) + "\n" + json.dumps(bad))
    with pytest.raises(DataError, match=r"x.jsonl:2: the frame has no 'asset_id'"):
        load(path)
    assert load(path, on_error="skip").defects == {"malformed_row": 1}


def test_cut_files(fake: Any, load: Load, tmp_path: Path) -> None:
    whole = gzip.compress("\n".join(json.dumps(fake.book(ms)) for ms in range(300)).encode())
    (tmp_path / "x.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"x.jsonl.gz:\d+: the gzip stream is damaged or cut short"):
        load(tmp_path / "x.jsonl.gz")
    path = parquet(tmp_path / "x.parquet", {"raw": [json.dumps(fake.book(0))]})
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="is not a readable parquet file"):
        load(path)
    path.write_bytes(b"hello")
    with pytest.raises(DataError, match="is not a parquet file"):
        load(path)
    assert not PolymarketFrames().sniff(path)


def test_documents(fake: Any, load: Load, tmp_path: Path) -> None:
    path = tmp_path / "books.json"
    path.write_text(json.dumps([fake.book(0), fake.book(0, "222222")], indent=1))
    assert load(path).oracle("book_hash") == (2, 2)
    path.write_text("[\n{,}\n]")
    with pytest.raises(DataError, match=r"books.json:2: is not JSON"):
        load(path)


def test_nothing_to_import(load: Load, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent.jsonl: cannot be opened"):
        load(tmp_path / "absent.jsonl")
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(DataError, match="no market-channel frame found"):
        load(tmp_path / "empty.jsonl")
    assert not PolymarketFrames().sniff(tmp_path / "empty.jsonl")
    assert not PolymarketFrames().sniff(tmp_path / "absent.jsonl")


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"recv": "ts"}, "unknown option 'recv'"),
        ({"recv_unit": "h"}, "recv_unit 'h'"),
        ({"on_error": "ignore"}, "on_error"),
        ({"markets": 5}, "option markets"),
        ({"yes_tokens": 5}, "option yes_tokens"),
        ({"gap_s": -1}, "gap_s"),
        ({"gap_s": "soon"}, "gap_s"),
        ({"price_unit": "0.03"}, "price_unit"),
        ({"lot": "0"}, "lot"),
    ],
)
def test_options_are_checked(load: Load, tmp_path: Path, options: dict[str, Any], what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        load(tmp_path / "x.jsonl", **options)
