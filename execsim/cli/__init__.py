"""The `execsim` command: one small file per verb.

Exit codes: 0 done, 1 a check found faults (data check), 2 wrong input or a failing strategy (one line on stderr).
"""

from __future__ import annotations

import sys

import typer

from execsim.cli import data, run, show
from execsim.core.errors import ExecError

app = typer.Typer(
    name="execsim",
    help="Replay, simulate and trade prediction markets and crypto with one engine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("run")(run.command)
app.command("show")(show.command)
app.add_typer(data.app, name="data")


def main() -> None:
    """Entry point: errors that execsim raises on purpose become one line and exit code 2."""
    try:
        app()
    except ExecError as error:
        print(f"execsim: {type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("execsim: interrupted", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
