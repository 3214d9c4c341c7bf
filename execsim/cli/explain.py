"""`execsim explain RUN ORDER_ID`: one order's life, from the strategy's wish to the last unit of money."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

QUEUE_LINES_MAX = 12
"""Moves of the queue that are shown in a row unless all are asked for."""


def command(
    run: Annotated[Path, typer.Argument(help="A folder written by `execsim run SCENARIO --out DIR`")],
    order_id: Annotated[str, typer.Argument(help="An order of that run (orders.parquet lists them)")],
    every_row: Annotated[bool, typer.Option("--all", help="Show every row that moved the queue")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object")] = False,
) -> None:
    """Tell one order's life: sent, arrived, queue ahead, what drained it, each fill with its evidence, acks, money."""
    from execsim.report.explain import as_text, explain

    life = explain(run, order_id)
    if as_json:
        print(json.dumps(asdict(life), indent=2))
        return
    for line in as_text(life, None if every_row else QUEUE_LINES_MAX):
        print(line)
