"""The metrics of shipped scenarios are what their journals say, and a scenario that is watched is the same scenario."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from naive_metrics import differences

from execsim.engine.metrics import COUNTERS, LATENCY
from execsim.journal import read
from execsim.observe.publish import Publisher
from execsim.observe.snapshot import Snapshot
from execsim.scenario import model
from execsim.scenario.run import run

SCENARIOS = Path(__file__).resolve().parents[2] / "scenarios"


class Shelf:
    def __init__(self) -> None:
        self.kept: list[Snapshot] = []

    def publish(self, snapshot: Snapshot) -> None:
        self.kept.append(snapshot)

    def close(self) -> None: ...


@pytest.mark.parametrize("which", ["handwritten", "polymarket_btc_5m", "two_venues", "faults/everything"])
def test_metrics_are_what_the_journal_says(which: str, tmp_path: Path) -> None:
    path = SCENARIOS / f"{which}.toml"
    shelf = Shelf()
    finished = run(model.load(path), which, path.parent, tmp_path, watch=Publisher([shelf]))
    metrics = finished.parts.engine.metrics
    rows = [(row.kind, row.ts_ns, row.order_id, row.body) for row in read(tmp_path / "journal.sqlite")]
    assert sum(kind == "fill" for kind, *_ in rows) > 1
    assert differences(metrics, rows) == []
    # and what was shown last is what the summary prints
    shown = [row for sample in shelf.kept[-1].samples if (row := sample.row())["metric_name"] in (LATENCY, *COUNTERS)]
    summary = finished.summary["metrics"]
    for name in COUNTERS:
        assert sum(row["value"] for row in shown if row["metric_name"] == name) == summary[name]
    totals = [row["value"] for row in shown if row["labels"].get("stage") == "total"]
    assert sum(value["count"] for value in totals) == summary[LATENCY]["count"]
    assert round(max(value["max"] for value in totals), 3) == summary[LATENCY]["max"]


@pytest.mark.parametrize("which", ["two_venues", "polymarket_btc_5m"])
@pytest.mark.parametrize("period_ns", [None, 37_000_001])
def test_who_watches_changes_no_journal(which: str, period_ns: int | None, regenerate: Any) -> None:
    shelf = Shelf()
    path = SCENARIOS / f"{which}.toml"
    watched = run(model.load(path), which, path.parent, watch=Publisher([shelf], period_ns))
    assert len(shelf.kept) > 100
    expected = json.loads((regenerate.GOLDEN / f"{which}.json").read_text(encoding="utf-8"))
    assert watched.summary["journal_sha256"] == expected["journal_sha256"]
