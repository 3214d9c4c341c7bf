"""`execsim show SCENARIO`: the scenario with every default filled in, itself a valid scenario file."""

from __future__ import annotations

from typing import Annotated

import tomli_w
import typer

from execsim.cli.run import SCENARIO_HELP
from execsim.scenario import model


def command(
    scenario: Annotated[str, typer.Argument(help=SCENARIO_HELP)],
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override one value; may be repeated")
    ] = None,
) -> None:
    """Print a scenario with every default visible."""
    checked = model.load(model.locate(scenario), None, list(settings or []))
    print(tomli_w.dumps(model.as_plain(checked)), end="")
