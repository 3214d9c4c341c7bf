"""The `execsim` command: one small file per verb.

Exit codes: 0 done, 1 a check found faults (data check, doctor, replay-session, through) or orders may be open (in wall
time), 2 wrong input or a failing strategy (one line on stderr), 130 interrupted.
"""

from __future__ import annotations

import os
import sys

import typer

from execsim.cli import (
    data,
    doctor,
    explain,
    facts,
    faults,
    journal,
    kill,
    record,
    replay_session,
    run,
    sensitivity,
    serve,
    show,
    through,
)
from execsim.core.errors import ExecError

INTERRUPTED = 130

app = typer.Typer(
    name="execsim",
    help="Replay, simulate and trade prediction markets and crypto with one engine.",
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("run")(run.command)
app.command("show")(show.command)
app.command("facts")(facts.command)
app.command("explain")(explain.command)
app.command("faults")(faults.command)
app.command("doctor")(doctor.command)
app.command("kill")(kill.command)
app.command("record")(record.command)
app.command("serve")(serve.command)
app.command("replay-session")(replay_session.command)
app.command("sensitivity")(sensitivity.command)
app.command("through")(through.command)
app.add_typer(data.app, name="data")
app.add_typer(journal.app, name="journal")


def main() -> None:
    """Entry point: wrong input and errors that execsim raises on purpose become one line and exit code 2."""
    sys.exit(_main())


def _main() -> int:
    try:
        code = app(sys.argv[1:] or ["--help"], prog_name="execsim", standalone_mode=False)
        sys.stdout.flush()
    except ExecError as error:
        return _refuse(f"{type(error).__name__}: {error}")
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except BrokenPipeError:  # whoever read our output has seen enough; Python flushes once more at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        # Wrong options and arguments. Newer versions of typer bring a click of their own, so not by its class.
        told = getattr(error, "format_message", None)
        if told is None:
            raise
        context = getattr(error, "ctx", None)
        return _refuse(f"{told().rstrip('.')} (see `{context.command_path if context else 'execsim'} --help`)")
    if code == INTERRUPTED:
        print("execsim: interrupted, nothing was written", file=sys.stderr)
    return code if isinstance(code, int) else 0


def _refuse(what: str) -> int:
    """Say it in one line, whatever the text was made of."""
    print(f"execsim: {' '.join(what.splitlines())}", file=sys.stderr)
    return 2
