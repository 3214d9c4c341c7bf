"""Rows a second from a recording to a tape, beside what parsing alone costs."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from inputs import ROOT

from execsim.plugins import importers
from execsim.tape.imports import find_importer, import_tape

DATA = ROOT / "scenarios" / "data"
CASES = {
    "polymarket": (
        "polymarket_cronosvirus00/btc-updown-5m_20260415T1200_1500_book_events.parquet",
        {"markets": ["btc-updown-5m-1776263100"]},
        65_031,
    ),
    "binance": ("binance_hftbacktest/usdm_btcusdt_20230404.dat.gz", {}, None),
}


@pytest.mark.benchmark(group="import a recording into a tape")
@pytest.mark.parametrize("name", CASES)
def test_import(benchmark: Any, name: str, tmp_path: Path) -> None:
    file, options, rows = CASES[name]
    importer = find_importer(name, [DATA / file], importers())
    manifest = benchmark.pedantic(import_tape, ([DATA / file], importer, options, tmp_path / "tape"), rounds=2)
    benchmark.extra_info["rows"] = manifest.rows
    assert rows is None or manifest.rows == rows
    assert all(manifest.checks[f"{k[:-8]}_ok"] == v for k, v in manifest.checks.items() if k.endswith("_checked"))


@pytest.mark.benchmark(group="import a recording into a tape")
def test_json_alone(benchmark: Any) -> None:
    """json.loads of every line of the Binance file: the floor of any importer of it in Python."""
    lines = gzip.decompress((DATA / CASES["binance"][0]).read_bytes()).splitlines()

    def run() -> int:
        return sum(1 for line in lines if json.loads(line.split(b" ", 1)[1]) is not None)

    assert benchmark.pedantic(run, rounds=2) == 13_384
