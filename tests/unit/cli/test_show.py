"""`execsim show` prints a scenario that is one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from execsim.scenario import model

ROOT = Path(__file__).resolve().parents[3]
SHIPPED = sorted((ROOT / "scenarios").glob("*.toml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_it_loads_to_an_equal_scenario(path: Path, execsim: Any, tmp_path: Path) -> None:
    shown = tmp_path / "shown.toml"
    shown.write_text(execsim("show", path, "--relative").out)
    assert model.load(shown) == model.load(path)
    shown.write_text(execsim("show", path).out)
    assert model.load(shown) == model.anchored(model.load(path), path.parent)


def test_it_runs_from_any_folder(
    execsim: Any, scene: Any, tapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = json.loads(execsim("run", scene.scenario, "--json").out)
    monkeypatch.chdir(scene.folder)
    (tmp_path / "elsewhere").mkdir()
    copy = tmp_path / "elsewhere" / "copy.toml"
    copy.write_text(execsim("show", "coin").out)
    monkeypatch.chdir(copy.parent)
    assert json.loads(execsim("run", "copy", "--json").out)["journal_sha256"] == original["journal_sha256"]


def test_it_says_what_its_paths_are_relative_to(execsim: Any, scene: Any) -> None:
    assert execsim("show", scene.scenario).out.startswith(
        "# coin.toml with every default filled in; paths are absolute"
    )
    first = execsim("show", scene.scenario, "--relative").out.splitlines()[0]
    assert first.endswith(f"paths are relative to {scene.folder}")


def test_numbers_stay_numbers_with_their_digits(execsim: Any, scene: Any, tmp_path: Path) -> None:
    """A strategy's own parameters must not come back as text."""
    scene.edit(
        "coin.toml", {'orders = "orders.csv"': 'file = "bot.py"\nparams = { a = 0.10, b = 3, c = "0.5", d = [1.5] }'}
    )
    shown = tmp_path / "shown.toml"
    shown.write_text(execsim("show", scene.scenario, "--set", "venues.polymarket.entry.ms=0.25").out)
    held = model.load(shown)
    assert held.strategy.params == model.load(scene.scenario).strategy.params
    assert [type(value).__name__ for value in held.strategy.params.values()] == ["Decimal", "int", "str", "list"]
    assert str(held.strategy.params["a"]) == "0.10"
    assert str(held.venues["polymarket"].entry.ms) == "0.25"
