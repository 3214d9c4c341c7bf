"""`execsim sensitivity`: what a result owes to the models, and the page that shows it for the shipped recordings."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from execsim.core.errors import ConfigError
from execsim.report.sensitivity import as_markdown, sections
from execsim.scenario import model
from execsim.scenario.run import run
from execsim.scenario.sensitivity import QUEUES, RUNS, sensitivity

ROOT = Path(__file__).resolve().parents[3]
SCENARIOS = ROOT / "scenarios"
PAGE = (ROOT / "docs" / "sensitivity.md").read_text(encoding="utf-8")


def found_in(name: str, *settings: str) -> dict[str, Any]:
    return sensitivity(model.load(SCENARIOS / f"{name}.toml", None, settings), name, SCENARIOS)


@pytest.fixture(scope="module")
def synthetic() -> dict[str, Any]:
    """Where everything matters: a quoter, and prints of which each is recorded."""
    return found_in("synthetic_million", "data.0.synthetic_rows=5000", "strategy.params.min_interval_ns=100000000")


def test_every_combination_is_there_once(synthetic: Any) -> None:
    pairs = [(held["queue"], held["refill"]) for held in synthetic["models"]]
    refills = ["never", "refresh", "decay", "off"]
    assert pairs == [(queue, refill) for queue in QUEUES for refill in refills]
    assert [held["inferred_trades"] for held in synthetic["inferred"]] == ["ignore", "through", "use"]
    assert len(synthetic["models"]) + len(synthetic["inferred"]) == RUNS
    assert len({held["journal_sha256"] for held in synthetic["models"]}) > 2


def test_queue_models_are_those_of_a_scenario() -> None:
    for queue in QUEUES:
        assert model.Exchange.model_validate({"queue": queue}).queue == queue


def test_the_band_holds_every_outcome(synthetic: Any) -> None:
    for key in ("net", "fills"):
        values = [Decimal(held[key]) for held in synthetic["models"]]
        least, most = (synthetic["band"][key][end] for end in ("min", "max"))
        assert (Decimal(least[key]), Decimal(most[key])) == (min(values), max(values))
        assert (least["shared_by"], most["shared_by"]) == (values.count(min(values)), values.count(max(values)))
        assert min(values) <= Decimal(synthetic["own"][key]) <= max(values)


def test_a_combination_comes_to_what_it_comes_to_alone(synthetic: Any) -> None:
    """Runs of the same loaded data leave nothing behind for the next."""
    last = synthetic["models"][-1]
    settings = [
        "data.0.synthetic_rows=5000", "strategy.params.min_interval_ns=100000000",
        f"exchange.queue={last['queue']}", f"exchange.refill={last['refill']}",
    ]  # fmt: skip
    alone = run(model.load(SCENARIOS / "synthetic_million.toml", None, settings), "synthetic_million", SCENARIOS)
    assert alone.summary["journal_sha256"] == last["journal_sha256"]


def test_models_are_run_with_inferred_trades_only_where_these_change_something(synthetic: Any) -> None:
    assert synthetic["used"] is None
    assert synthetic["band_used"] is None
    titles = [section.title for section in sections(synthetic)]
    assert titles == ["Band", "Models", "Inferred trades"]
    used = synthetic["models"]
    with_used = {**synthetic, "used": used, "band_used": synthetic["band"]["net"]}
    assert [section.header[0] for section in sections(with_used)][3:] == ["inferred trades used"]
    assert [row[0] for row in sections(with_used)[0].rows][5:] == [
        "least PnL, inferred trades used",
        "most PnL, inferred trades used",
    ]


def test_a_market_of_agents_has_nothing_to_assume() -> None:
    with pytest.raises(ConfigError, match="there is nothing to assume"):
        found_in("agents_binary")


def test_the_page_holds_what_the_command_prints() -> None:
    """Changed on purpose? The command stands in the page; the other sections are printed by it too."""
    printed = as_markdown(found_in("polymarket_tick_change"))
    section = PAGE.split("### polymarket_tick_change\n")[1].split("\n### ")[0]
    assert printed == f"### polymarket_tick_change\n{section}"


@pytest.mark.parametrize("name", ["polymarket_btc_5m", "polymarket_tick_change", "binance_btcusdt", "two_venues"])
def test_the_page_begins_from_what_the_scenario_comes_to(name: str) -> None:
    """The row above each band is what the golden file of that scenario says."""
    golden = json.loads((ROOT / "tests" / "scenario" / "golden" / f"{name}.json").read_text(encoding="utf-8"))
    row = next(line for line in PAGE.split(f"### {name}\n")[1].splitlines() if "as the scenario says" in line)
    net = sum(Decimal(held["net"]) for held in golden["pnl"].values())
    cells = [cell.strip().replace("\N{MINUS SIGN}", "-").replace(",", "") for cell in row.strip("|").split("|")]
    assert Decimal(cells[1]) == round(net, 4)
    assert int(cells[2]) == golden["fills"]["count"]


def test_on_the_command_line(execsim: Any, scene: Any, tapes: Any) -> None:
    done = execsim("sensitivity", scene.scenario, "--json", "--set", "exchange.refill=off")
    assert done.code == 0
    assert json.loads(done.out)["coin"]["own"]["refill"] == "off"
    text = execsim("sensitivity", scene.scenario).out
    assert "as the scenario says" in text
    assert "refill never" in text
    marked = execsim("sensitivity", scene.scenario, "--markdown").out
    assert marked.startswith("### coin\n")
    assert "| power2 |" in marked
    refused = execsim("sensitivity", scene.scenario, "--markdown", "--json")
    assert (refused.code, len(refused.err)) == (2, 1)
