"""The importer on real recordings, judged by the venue's own hashes, best prices and the YES/NO mirror."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from execsim.tape.schema import Flag, Kind, SideCode

Load = Callable[..., Any]
COVERED = "btc-updown-5m-1776264000"
"""both tokens; 600 messages only on NO, while YES is missing for 11.9 s"""
TICKS = "btc-updown-5m-1776259500"
"""one token, the tick changes, 13 gaps"""


@pytest.fixture(scope="module")
def windows(cronos: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Slug -> a small parquet with that window only, so that each test need not decode 430 MB."""
    found: dict[str, list[Any]] = {COVERED: [], TICKS: []}
    for batch in pq.ParquetFile(cronos).iter_batches(batch_size=4_096):
        slugs = batch.column("slug").to_pylist()
        for slug, parts in found.items():
            if slug in slugs:
                start = slugs.index(slug)
                parts.append(batch.slice(start, slugs.count(slug)))  # sorted by window
    paths = {slug: tmp_path_factory.mktemp("windows") / f"{slug}.parquet" for slug in found}
    for slug, parts in found.items():
        pq.write_table(pa.Table.from_batches(parts), paths[slug])
    return paths


@pytest.fixture(scope="module")
def ticks(windows: dict[str, Path], load: Load) -> Any:
    return load(windows[TICKS])


def read(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(path, columns=["exch_ts_ms", "asset_id", "raw"]).to_pylist()
    return rows


def told(raw: str, *, mirror: bool = False) -> Any:
    """A book message as (bids, asks) in integers, by price; NO's mirrored."""
    frame = json.loads(raw)
    sides = []
    for key in ("bids", "asks"):
        levels = [
            (round(float(level["price"]) * 10_000), round(float(level["size"]) * 1_000_000)) for level in frame[key]
        ]
        sides.append(tuple(sorted((10_000 - p if mirror else p, s) for p, s in levels)))
    return (sides[1], sides[0]) if mirror else (sides[0], sides[1])


class History:
    """The book after every instant, from the rows."""

    def __init__(self, sink: Any) -> None:
        self.states = sink.states()
        self.times = sorted(self.states)

    def at(self, ts_ns: int) -> Any:
        return self.states[self.times[bisect_right(self.times, ts_ns) - 1]]


def test_a_window_of_the_whole_recording(cronos: Path, load: Load) -> None:
    sink = load(cronos, markets=[TICKS])
    assert sink.oracle("book_hash") == (2_332, 2_332)
    assert [info.extra["slug"] for info in sink.markets] == [TICKS]
    assert sink.sources[0].rows == 2_332
    assert sink.sources[0].bytes == cronos.stat().st_size


def test_tick_change_and_gaps(ticks: Any) -> None:
    sink = ticks
    assert sink.markets[0].tick == "0.01"
    assert [(r.ts_venue_ns, r.price_i) for r in sink.of(Kind.TICK)] == [(1_776_259_738_277_000_000, 10)]
    assert len(sink.gaps) == 13  # as windows_summary.csv counts
    assert {gap.why for gap in sink.gaps} == {"quiet"}
    assert [r.size_i for r in sink.of(Kind.GAP)] == [1, 0] * 13
    resyncs = [r for r in sink.data if r.flags & Flag.RESYNC]
    assert [r.ts_venue_ns for r in resyncs] == [gap.end_ns for gap in sink.gaps]
    for gap in sink.gaps:
        assert not [r for r in sink.data if gap.start_ns < r.ts_venue_ns < gap.end_ns]


def test_rows_say_what_every_message_said(windows: dict[str, Path], ticks: Any) -> None:
    history = History(ticks)
    last = {int(row["exch_ts_ms"]) * 1_000_000: row["raw"] for row in read(windows[TICKS])}
    assert len(last) > 2_300
    for ts, raw in last.items():
        assert history.at(ts) == told(raw)


def test_inferred_trades_match_their_books(ticks: Any) -> None:
    sink = ticks
    trades = sink.of(Kind.TRADE)
    assert len(trades) == 783
    assert sink.defects == {"trade_uninferable": 352}
    assert all(r.flags & Flag.INFERRED and r.size_i > 0 for r in trades)
    states = sorted(sink.states().items())
    before = {ts: book for (ts, _), (_, book) in zip(states[1:], states[:-1], strict=True)}
    for trade in trades:
        sides = before[trade.ts_venue_ns]
        hit = dict(sides[0] if trade.aggressor == SideCode.ASK else sides[1])
        assert hit[trade.price_i] >= trade.size_i


def test_both_tokens_give_the_book_of_one(windows: dict[str, Path], load: Load, tmp_path: Path) -> None:
    path = windows[COVERED]
    table, rows = pq.read_table(path), read(path)
    both = load(path)
    yes, no = both.markets[0].yes_token, both.markets[0].no_token
    alone = {}
    for token in (yes, no):
        part = tmp_path / f"{token[:6]}.parquet"
        pq.write_table(table.filter(pc.equal(table["asset_id"], token)), part)
        alone[token] = load(part, yes_tokens={COVERED: yes})
    assert both.oracle("book_hash") == (5_721, 5_721)
    assert both.oracle("mirror") == (299, 299)
    assert both.defects["mirror_same_ms"] == 1
    merged, own, mirrored = History(both), History(alone[yes]), History(alone[no])
    only_no = 0
    for row in rows:
        ts = int(row["exch_ts_ms"]) * 1_000_000
        if row["asset_id"] == yes:
            assert merged.at(ts) == own.at(ts) == told(row["raw"])
        else:
            book = told(row["raw"], mirror=True)
            assert mirrored.at(ts) == book
            if ts < 1_776_264_285_922_000_000:  # when YES comes back
                assert merged.at(ts) == book
                only_no += 1
    assert only_no == 599  # NO carried the book while YES was missing,
    assert not both.gaps  # so nothing is unknown,
    assert [gap.why for gap in alone[yes].gaps] == ["quiet"]  # which YES alone could not say


def test_without_the_extra_columns_the_hash_tells_the_terms(
    windows: dict[str, Path], ticks: Any, load: Load, tmp_path: Path
) -> None:
    """The raw messages name tick and last price once; every later value is found by its hash."""
    table = pq.read_table(windows[TICKS]).select(["recv_ts", "slug", "raw"])
    path = tmp_path / "raw.parquet"
    pq.write_table(table.rename_columns(["timestamp", "slug", "raw_data"]), path)
    poor = load(path)
    assert poor.oracle("book_hash") == (2_332, 2_332)
    assert poor.data == ticks.data


def test_pranay_excerpt(pranay: Path, load: Load) -> None:
    sink = load(pranay)
    assert sink.oracle("book_hash") == (4, 4)
    assert sink.oracle("change_hash") == (148, 148)
    assert sink.oracle("best_price") == (148, 148)
    assert sink.oracle("mirror") == (76, 76)  # 74 entries and 2 pairs of books
    assert not sink.defects
    assert not sink.gaps
    assert not sink.notes  # the header names the tokens
    assert [info.title for info in sink.markets] == [
        "Bitcoin Up or Down - August 15, 9:55PM-10:00PM ET",
        "Bitcoin Up or Down - August 15, 10:05PM-10:10PM ET",
    ]
    assert {info.tick for info in sink.markets} == {"0.01"}
    assert all(r.ts_recv_ns > r.ts_venue_ns for r in sink.data)


@pytest.mark.parametrize("kept", ["up", "down"])
def test_pranay_with_one_token_is_exact(pranay: Path, load: Load, tmp_path: Path, kept: str) -> None:
    whole = load(pranay)
    drop = {info.no_token if kept == "up" else info.yes_token for info in whole.markets}
    lines = []
    for line in pranay.read_text().splitlines():
        record = json.loads(line)
        raw = record.get("raw")
        if raw and raw.get("asset_id") in drop:
            continue
        if raw and "price_changes" in raw:
            raw["price_changes"] = [entry for entry in raw["price_changes"] if entry["asset_id"] not in drop]
        lines.append(json.dumps(record))
    path = tmp_path / "one.jsonl"
    path.write_text("\n".join(lines))
    part = load(path)
    assert part.oracle("change_hash") == (74, 74)
    assert part.final() == whole.final()
    for info in part.markets:
        index = [known.market for known in whole.markets].index(info.market)
        assert part.states(part.markets.index(info)) == whole.states(index)


def test_fed_books(fed: Path, load: Load) -> None:
    sink = load(fed / "clob-books.json")
    assert sink.oracle("book_hash") == (10, 10)
    assert sink.oracle("mirror") == (5, 5)
    assert len(sink.markets) == 5
    assert {(info.tick, info.extra["neg_risk"]) for info in sink.markets} == {("0.001", True)}
    assert {r.kind for r in sink.data} == {Kind.SNAPSHOT}
    assert {r.ts_recv_ns for r in sink.data} == {-1}
    assert sum("assumed" in note for note in sink.notes) == 4  # three by name, the rest by number


def test_fed_metadata_beside_the_books(fed: Path, load: Load) -> None:
    sink = load(fed / "clob-books.json", fed / "clob-markets.json", fed / "gamma-event.json")
    assert not sink.notes
    assert [info.extra["fee_rate"] for info in sink.markets] == ["0.05"] * 5
    assert sink.markets[0].title == "Will the Fed decrease interest rates by 25 bps after the June 2026 meeting?"
    named = {m["c"]: m["t"][0]["t"] for m in json.loads((fed / "clob-markets.json").read_text())}
    assert {info.market: info.yes_token for info in sink.markets} == named


def test_one_market_by_slug_or_id(pranay: Path, load: Load) -> None:
    slug = "btc-updown-5m-1786845900"
    by_slug = load(pranay, markets=slug)
    by_id = load(pranay, markets=[by_slug.markets[0].market])
    assert by_slug.data == by_id.data
    assert [info.extra["slug"] for info in by_id.markets] == [slug]


def test_a_recording_too_large_to_keep_is_read_twice(
    windows: dict[str, Path], ticks: Any, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("execsim_polymarket.archive.KEEP_BYTES", 1_000_000)
    again = load(windows[TICKS])
    assert again.data == ticks.data
    assert again.oracle("book_hash") == (2_332, 2_332)
