"""`execsim facts`: a made market beside recorded ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from execsim import cli

SCENARIOS = Path(__file__).resolve().parents[3] / "scenarios"


def told(capsys: Any, monkeypatch: pytest.MonkeyPatch, *args: str) -> str:
    monkeypatch.setattr("sys.argv", ["execsim", "facts", *args])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 0
    out: str = capsys.readouterr().out
    return out


def test_facts_of_several_scenarios(capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    text = told(
        capsys, monkeypatch, "--json", str(SCENARIOS / "agents_binary"), str(SCENARIOS / "polymarket_tick_change"),
        "--set", "seed=7",
    )  # fmt: skip
    found = json.loads(text)
    made, recorded = found["agents_binary: agents"], found["polymarket_tick_change: btc-up"]
    assert made.keys() == recorded.keys()
    assert made["looks"] == 600
    assert 1 <= made["spread_ticks"] < 3
    assert made["return_kurtosis"] > 3
    assert made["sign_autocorrelation"]["1"] > 0.05
    assert made["abs_return_autocorrelation"]["1"] > 0
    assert recorded["trades"] > 500
    written = documented()
    assert figures(made) == [row[0] for row in written]
    assert figures(recorded) == [row[2] for row in written]


def documented() -> list[list[str]]:
    """The rows of the table in docs/agents.md, without their names. Changed on purpose? The command stands above it."""
    text = (SCENARIOS.parent / "docs" / "agents.md").read_text(encoding="utf-8")
    table = text.split("<!-- uv run execsim facts")[1].split("|---|---|---|---|---|\n")[1].split("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")][1:] for line in table.splitlines()]


def figures(held: dict[str, Any]) -> list[str]:
    """In the order and form of that table."""
    names = ("looks", "trades", "spread_ticks", "depth", "return_deviation_ticks", "return_kurtosis")
    lagged = ("sign_autocorrelation", "abs_return_autocorrelation")
    values = [held[name] for name in names] + [held[name][lag] for name in lagged for lag in ("1", "10")]
    return [f"{v:,}" if isinstance(v, int) else f"{v:,.2f}".replace("-", "\N{MINUS SIGN}") for v in values]


def test_facts_as_a_table(capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    text = told(capsys, monkeypatch, str(SCENARIOS / "handwritten"))
    assert "handwritten: " in text.replace("\n", " ") or "handwritt" in text
    assert "spread ticks" in text
    assert "sign autocorrelation, lag 10" in text
