"""`execsim facts SCENARIO...`: stylised facts of their markets, side by side."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from execsim.cli.run import SCENARIO_HELP
from execsim.report.summary import number
from execsim.scenario import model


def command(
    scenarios: Annotated[list[str], typer.Argument(help=SCENARIO_HELP)],
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override one value in each of them")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object")] = False,
) -> None:
    """Spread, depth, signs and returns of each market: recorded ones from the tape, made ones from a run."""
    from execsim.scenario.facts import scenario_facts  # numba: not for every verb

    found: dict[str, dict[str, Any]] = {}
    for scenario in scenarios:
        path = model.locate(scenario)
        checked = model.load(path, None, list(settings or []))
        for market, held in scenario_facts(checked, path.stem, path.parent).items():
            found[f"{path.stem}: {market}"] = held
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        Console().print(_table(found))


def _table(found: dict[str, dict[str, Any]]) -> Table:
    """A row a fact, a column a market."""
    flat = {name: _flat(held) for name, held in found.items()}
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("", no_wrap=True)
    for name in flat:
        table.add_column(name, justify="right", overflow="fold")
    for fact in dict.fromkeys(fact for held in flat.values() for fact in held):
        table.add_row(fact, *(number(held.get(fact)) for held in flat.values()))
    return table


def _flat(held: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for fact, value in held.items():
        words = fact.replace("_", " ")
        if isinstance(value, dict):
            flat |= {f"{words}, lag {lag}": at for lag, at in value.items()}
        else:
            flat[words] = value
    return flat
