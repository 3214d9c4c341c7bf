"""`execsim faults`: the fault packs, what each does, whose report it comes from, its parameters and when it happens."""

from __future__ import annotations

import dataclasses
import json
import textwrap
from typing import Annotated, Any

import typer


def command(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object")] = False) -> None:
    """List the fault packs. Switch them on with `--set faults=NAME,NAME` or a scenario's `faults`."""
    from execsim.exchange.faults import PACKS

    packs = [_about(kind) for kind in PACKS.values()]
    if as_json:
        print(json.dumps(packs, indent=2))
        return
    for pack in packs:
        print(pack["name"])
        print(textwrap.fill(pack["about"], 110, initial_indent="    ", subsequent_indent="    "))
        print(f"    source: {pack['report']}")
        print(f"    unless told otherwise: {pack['schedule']}")
        if pack["params"]:
            print(f"    params: {', '.join(f'{name} = {json.dumps(value)}' for name, value in pack['params'].items())}")


def _about(kind: Any) -> dict[str, Any]:
    params = {field.name: field.default for field in dataclasses.fields(kind)}
    about = " ".join(str(kind.__doc__).split())
    return {
        "name": kind.name, "about": about, "report": kind.report, "schedule": kind.schedule.about, "params": params,
    }  # fmt: skip
