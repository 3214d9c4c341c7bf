"""What the verbs that run a strategy share: progress while it runs, whose fault it was, and the results."""

from __future__ import annotations

import json
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from execsim.scenario import model

if TYPE_CHECKING:
    from execsim.report.run import RunRecord


def blame(error: BaseException, scenario: model.Scenario, path: Path, debug: bool) -> None:
    """Errors: ConfigError that names the line of the user's strategy, if that is where the error came from."""
    from execsim.scenario.strategies import failure

    if debug:
        traceback.print_exception(error)
    file = scenario.strategy.file
    blamed = failure(error, path.parent / file) if file is not None else None
    if blamed is not None:
        raise blamed from None


def bar_of(quiet: bool) -> Progress:
    """Progress for people: nothing where stderr is a file or a pipe."""
    columns = (TextColumn("{task.description}"), BarColumn(24), TextColumn("{task.fields[detail]}"))
    return Progress(*columns, console=Console(stderr=True), transient=True, disable=quiet or not sys.stderr.isatty())


def write_report_of(record: RunRecord, out: Path) -> None:
    from execsim.report.frames import write_frames  # pandas: only where files are wanted
    from execsim.report.html import write_report

    write_frames(record, out)
    write_report(record, out / "report.html")


def print_summary(summary: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(summary, indent=2))
    else:
        from execsim.report.terminal import summary_table

        Console().print(summary_table(summary))
