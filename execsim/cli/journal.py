"""`execsim journal`: what a journal comes to, also while its run goes on or after it was killed. It is only read."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from execsim.journal import state_of

app = typer.Typer(help="Rebuild and export what a journal tells.")

File = Annotated[Path, typer.Argument(help="A journal (journal.sqlite of a run); it is only read")]


class Format(StrEnum):
    parquet = "parquet"
    csv = "csv"


@app.command("fold")
def fold_command(
    file: File,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object with every order, fill and position")
    ] = False,
) -> None:
    """Rebuild orders, fills, positions, cash and PnL from a journal alone."""
    from execsim.report.ledger import as_json as json_of  # pandas: only where it is wanted
    from execsim.report.ledger import as_table

    folded = state_of(file)
    if as_json:
        print(json.dumps(json_of(folded, file), indent=2))
    else:
        Console().print(as_table(folded, file))


@app.command("export")
def export_command(
    file: File,
    out: Annotated[Path, typer.Option("--out", "-o", help="Directory for the tables orders, fills and positions")],
    format: Annotated[Format, typer.Option(help="File format of the tables")] = Format.parquet,
) -> None:
    """Write the tables orders, fills and positions, with the columns of `execsim run --out`."""
    from execsim.report.ledger import export

    for path in export(state_of(file), out, format.value):
        print(f"execsim: wrote {path}", file=sys.stderr)
