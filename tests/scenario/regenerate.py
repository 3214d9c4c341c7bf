"""What the shipped scenarios come to. After a change that is meant to change it:

    uv run python tests/scenario/regenerate.py

rewrites `golden/*.json`; read the diff before you commit it. `--print` writes the summaries to stdout instead.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from execsim.scenario import model
from execsim.scenario.run import Finished, run

SCENARIOS = Path(__file__).resolve().parents[2] / "scenarios"
GOLDEN = Path(__file__).resolve().parent / "golden"

SETTINGS: dict[str, list[str]] = {
    "polymarket_btc_5m": [],
    "polymarket_tick_change": [],
    "binance_btcusdt": [],
    "two_venues": [],
    "handwritten": [],
    "synthetic_million": ["data.0.synthetic_rows=20000"],
    "agents_binary": ["agents.duration_s=90"],
}
"""Shipped scenario -> what is changed to keep its test short."""

ALGOS = ("twap", "vwap", "pov", "iceberg", "router")
"""Scenarios of scenarios/algos, as they are."""


def finish(name: str, *settings: str, seed: int | None = None, out: Path | None = None) -> Finished:
    """One shipped scenario, run to its end in this process."""
    scenario = model.load(SCENARIOS / f"{name}.toml", seed, [*SETTINGS[name], *settings])
    return run(scenario, name, SCENARIOS, out)


def golden(summary: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a summary that is worth reading in a diff."""
    fills = summary["fills"]
    groups = {
        group: {name: {key: row[key] for key in ("count", "size")} for name, row in fills[group].items()}
        for group in ("by_cause", "by_evidence")
    }
    positions = {
        market: {key: row[key] for key in ("net", "yes", "no")} for market, row in summary["positions"].items()
    }
    return {
        "settings": SETTINGS[summary["scenario"]],
        "events": summary["events"],
        "orders": summary["orders"],
        "fills": {"count": fills["count"], "size": fills["size"], **groups},
        "pnl": {name: row for name, row in summary["pnl"].items() if isinstance(row, Mapping)},
        "positions": positions,
        "coverage": summary["coverage"],
        "defects": summary["defects"],
        "data_sha256": summary["data_sha256"],
        "journal_sha256": summary["journal_sha256"],
    }


def finish_algo(name: str, *settings: str, seed: int | None = None, out: Path | None = None) -> Finished:
    """One scenario of an execution algorithm, run to its end in this process."""
    folder = SCENARIOS / "algos"
    return run(model.load(folder / f"{name}.toml", seed, settings), name, folder, out)


def golden_algo(summary: Mapping[str, Any]) -> dict[str, Any]:
    """What became of the parent order, and of its children."""
    return {
        "executions": summary["executions"],
        "orders": summary["orders"],
        "positions": {market: row["net"] for market, row in summary["positions"].items()},
        "fees": summary["pnl"]["fees"],
        "journal_sha256": summary["journal_sha256"],
    }


def main(arguments: list[str]) -> None:
    summaries = {name: finish(name).summary for name in SETTINGS}
    if arguments == ["--print"]:
        print(json.dumps(summaries))
        return
    GOLDEN.mkdir(exist_ok=True)
    for name, summary in summaries.items():
        _write(GOLDEN / f"{name}.json", golden(summary))
    for name in ALGOS:
        _write(GOLDEN / "algos" / f"{name}.json", golden_algo(finish_algo(name).summary))


def _write(path: Path, content: Mapping[str, Any]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    print(path)


if __name__ == "__main__":
    main(sys.argv[1:])
