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
    relative: Annotated[
        bool, typer.Option("--relative", help="Leave paths as they are written, for a copy beside the original")
    ] = False,
) -> None:
    """Print a scenario with every default visible. What it prints runs from any folder: its paths are absolute."""
    path = model.locate(scenario)
    checked = model.load(path, None, list(settings or []))
    if not relative:
        checked = model.anchored(checked, path.parent)
    paths = f"relative to {path.parent.resolve()}" if relative else "absolute (--relative leaves them as written)"
    print(f"# {path.name} with every default filled in; paths are {paths}")
    print(tomli_w.dumps(model.as_plain(checked)), end="")
