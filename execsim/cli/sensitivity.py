"""`execsim sensitivity SCENARIO...`: what a result owes to the models: PnL and fills under every queue and refill model."""

from __future__ import annotations

import json
import sys
from functools import partial
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from execsim.cli.run import SCENARIO_HELP
from execsim.core.errors import ConfigError
from execsim.scenario import model


def command(
    scenarios: Annotated[list[str], typer.Argument(help=SCENARIO_HELP)],
    seed: Annotated[int | None, typer.Option(help="Seed of every random stream; the scenario's if not given")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override one value in each of them")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, by scenario")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print sections of a page")] = False,
) -> None:
    """Run each scenario under every queue x refill model, and with inferred trades used and not used."""
    if as_json and as_markdown:
        raise ConfigError("--json and --markdown", "choose one")
    from execsim.kernel import warm_up  # numba: not for every verb
    from execsim.report import sensitivity as show
    from execsim.scenario.sensitivity import RUNS, sensitivity

    checked = [(path, model.load(path, seed, list(settings or []))) for path in map(model.locate, scenarios)]
    warm_up()
    found = []
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        for path, scenario in checked:
            task = bar.add_task(path.stem, total=RUNS + 1)
            found.append(sensitivity(scenario, path.stem, path.parent, partial(bar.advance, task)))
    if as_json:
        print(json.dumps({held["scenario"]: held for held in found}, indent=2))
    elif as_markdown:
        print("\n".join(show.as_markdown(held) for held in found), end="")
    else:
        for held in found:
            Console().print(show.as_terminal(held))
