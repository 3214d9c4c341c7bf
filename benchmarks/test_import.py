"""Rows a second from a recording to a tape, beside what reading its text alone costs."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from inputs import ROOT, hftbacktest_events

from execsim.plugins import importers
from execsim.tape.imports import find_importer, import_tape
from execsim.tape.rows import KIND, KIND_BITS, PRICE, SIDE, SIZE, TS_LOCAL, TS_VENUE
from execsim.tape.schema import Kind

DATA = ROOT / "scenarios" / "data"
POLYMARKET = DATA / "polymarket_cronosvirus00/btc-updown-5m_20260415T1200_1500_book_events.parquet"
WINDOW = "btc-updown-5m-1776263100"
BINANCE = DATA / "binance_hftbacktest/usdm_btcusdt_20240808.gz"
MADE_ROWS = 100_000
BINARY = {
    "market": "coin", "venue": "polymarket", "instrument_kind": "binary", "price_unit": "0.0001", "lot": "0.000001",
    "tick": "0.01", "quote": "pUSD",
}  # fmt: skip
KINDS = {Kind.SNAPSHOT: "snapshot", Kind.LEVEL: "level", Kind.TRADE: "trade"}


def bench(benchmark: Any, rate: Any, name: str, source: Path, options: dict[str, Any], out: Path, what: str) -> Any:
    """Import twice (the second replaces the first) and report; returns the manifest."""
    importer = find_importer(name, [source], importers())
    manifest = benchmark.pedantic(import_tape, ([source], importer, options, out), rounds=2)
    rate(f"import {what}", manifest.rows, "rows/s")
    assert all(manifest.checks[f"{k[:-8]}_ok"] == v for k, v in manifest.checks.items() if k.endswith("_checked"))
    return manifest


@pytest.mark.benchmark(group="import Polymarket frames, one five-minute market of 36")
def test_polymarket(benchmark: Any, rate: Any, tmp_path: Path) -> None:
    """Every book proven by the venue's hash of it; the file is read through for the one market."""
    options = {"markets": [WINDOW]}
    manifest = bench(benchmark, rate, "polymarket", POLYMARKET, options, tmp_path / "tape", "Polymarket frames")
    assert manifest.rows == 65_031
    assert manifest.checks["book_hash_checked"] > 5_000


@pytest.mark.benchmark(group="import Polymarket frames, one five-minute market of 36")
def test_polymarket_json_alone(benchmark: Any, rate: Any) -> None:
    frames = pq.read_table(POLYMARKET, columns=["raw"], filters=[("slug", "=", WINDOW)])["raw"].to_pylist()

    def run() -> int:
        return sum(1 for text in frames if json.loads(text) is not None)

    rate(f"  json.loads of its {len(frames):,} frames, by the rows they make", 65_031, "rows/s")
    assert benchmark.pedantic(run, rounds=3) == len(frames) > 5_000


@pytest.mark.benchmark(group="import a Binance capture")
def test_binance(benchmark: Any, rate: Any, tmp_path: Path) -> None:
    manifest = bench(benchmark, rate, "binance", BINANCE, {}, tmp_path / "tape", "Binance USD-M capture")
    assert manifest.rows > 100_000


@pytest.mark.benchmark(group="import a Binance capture")
def test_binance_json_alone(benchmark: Any, rate: Any) -> None:
    lines = gzip.decompress(BINANCE.read_bytes()).splitlines()

    def run() -> int:
        return sum(1 for line in lines if json.loads(line.split(b" ", 1)[1]) is not None)

    rate(f"  json.loads of its {len(lines):,} lines", len(lines), "lines/s")
    assert benchmark.pedantic(run, rounds=2) == len(lines)


@pytest.mark.benchmark(group=f"import {MADE_ROWS} made rows")
def test_hftbacktest(benchmark: Any, rate: Any, rows: Any, tmp_path: Path) -> None:
    source = tmp_path / "events.npz"
    np.savez_compressed(source, data=hftbacktest_events(rows[:MADE_ROWS]))
    options = {**BINARY, "start": "empty"}
    manifest = bench(benchmark, rate, "hftbacktest", source, options, tmp_path / "tape", "hftbacktest npz")
    assert manifest.rows == MADE_ROWS


@pytest.fixture
def table(rows: Any, tmp_path: Path) -> Path:
    """The first rows of the synthetic tape as a CSV file."""
    path = tmp_path / "rows.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("time", "ts_recv", "kind", "side", "price", "size"))
        for row in rows[:MADE_ROWS].tolist():
            kind = row[KIND] & ((1 << KIND_BITS) - 1)
            sides = ("buy", "sell") if kind == Kind.TRADE else ("bid", "ask")
            side = sides[0] if row[SIDE] > 0 else sides[1]
            price, size = f"{row[PRICE] / 10_000:.2f}", f"{row[SIZE] / 10**6:.2f}"
            writer.writerow((row[TS_VENUE], row[TS_LOCAL], KINDS[Kind(kind)], side, price, size))
    return path


@pytest.mark.benchmark(group=f"import {MADE_ROWS} made rows")
def test_csv(benchmark: Any, rate: Any, table: Path, tmp_path: Path) -> None:
    options = {**BINARY, "time_unit": "ns"}
    manifest = bench(benchmark, rate, "generic", table, options, tmp_path / "tape", "a plain CSV")
    assert manifest.rows == MADE_ROWS


@pytest.mark.benchmark(group=f"import {MADE_ROWS} made rows")
def test_csv_alone(benchmark: Any, rate: Any, table: Path) -> None:
    def run() -> int:
        with table.open(newline="") as file:
            return sum(1 for _ in csv.reader(file))

    rate("  csv.reader of its rows", MADE_ROWS, "rows/s")
    assert benchmark.pedantic(run, rounds=3) == MADE_ROWS + 1
