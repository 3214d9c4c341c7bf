"""docs/algos.md: its example runs, and it names every parameter and style there is."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from execsim.scenario import model
from execsim.scenario.run import run
from execsim.strategy import SHIPPED
from execsim.strategy.algos import Style
from execsim.strategy.algos.tactics import State

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "algos.md").read_text(encoding="utf-8")
EXAMPLE = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)[0]


def test_the_example_runs(tmp_path: Path) -> None:
    code = [line for line in EXAMPLE.splitlines() if line.strip()]
    assert len(code) <= 15
    bot = tmp_path / "my_bot.py"
    bot.write_text(EXAMPLE)
    path = ROOT / "scenarios" / "polymarket_btc_5m.toml"
    scenario = model.load(path, None, [f"strategy.file={json.dumps(str(bot))}"], replace_strategy=True)
    row = run(scenario, "page", path.parent).summary["executions"][0]
    assert (row["algo"], row["state"], row["done"]) == ("twap", "done", "40")


@pytest.mark.parametrize("algo", ["twap", "vwap", "pov", "iceberg", "router"])
def test_every_parameter_stands_on_the_page(algo: str) -> None:
    for parameter in SHIPPED[algo].PARAMS:
        assert f"`{parameter.name}`" in PAGE, parameter.name


def test_every_style_and_state_stands_on_the_page() -> None:
    for word in (*Style, *State):
        assert f"`{word}`" in PAGE, word
