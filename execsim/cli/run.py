"""`execsim run SCENARIO`: replay a scenario in virtual time and print what happened."""

from __future__ import annotations

import json
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from execsim.core.errors import ConfigError, ExecError
from execsim.kernel import is_warm, warm_up
from execsim.report.terminal import summary_table
from execsim.scenario import model
from execsim.scenario.build import load_data
from execsim.scenario.run import Progress as Where
from execsim.scenario.run import run
from execsim.scenario.strategies import where

SCENARIO_HELP = "A scenario: a TOML file, with or without .toml, or a folder with scenario.toml"


def command(
    scenario: Annotated[str, typer.Argument(help=SCENARIO_HELP)],
    seed: Annotated[int | None, typer.Option(help="Seed of every random stream; the scenario's if not given")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override one value; may be repeated")
    ] = None,
    strategy: Annotated[
        Path | None, typer.Option(help="Run this Python file (async def run(ctx)) instead of the scenario's strategy")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Directory for journal, parquet tables and report.html")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of the table")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr")] = False,
    debug: Annotated[bool, typer.Option(help="Show the traceback of a failing strategy")] = False,
) -> None:
    """Replay a recorded (or synthetic) market through the engine in virtual time."""
    path = model.locate(scenario)
    settings = list(settings or [])
    if strategy is not None:
        settings += [f"strategy.file={json.dumps(str(strategy.resolve()))}"]
    checked = model.load(path, seed, settings, replace_strategy=strategy is not None)
    if out is not None and out.exists() and not out.is_dir():
        raise ConfigError(f"--out {out} is a file", "name a directory")
    console = Console(stderr=True, quiet=quiet)
    if not is_warm():
        console.print("execsim: compiling the kernel, once on this machine (some seconds) ...", highlight=False)
    warm_up()
    with _bar(console) as bar:
        task = bar.add_task("importing", total=None, detail=path.stem)
        loaded = load_data(checked, path.parent)

        def show(at: Where) -> None:
            rate = at.rows / bar.tasks[0].elapsed if bar.tasks[0].elapsed else 0
            stamp = datetime.fromtimestamp(at.now_ns / 1e9, UTC).strftime("%H:%M:%S")
            detail = f"{at.rows:,} rows, {rate:,.0f}/s, {stamp} UTC, {at.pnl}"
            bar.update(task, completed=at.rows, total=at.rows_total, detail=detail, description="replaying")

        bar.reset(task, description="replaying", total=sum(m.info.rows for m in loaded.markets))
        try:
            finished = run(checked, path.stem, path.parent, out, show, loaded)
        except ExecError:
            if debug:
                traceback.print_exc()
            raise
        except Exception as error:
            if debug or checked.strategy.file is None:
                raise
            source = (path.parent / checked.strategy.file).resolve()
            raise ConfigError(
                f"strategy {source.name}: {where(error, source)}", "--debug shows the traceback"
            ) from None
    if out is not None:
        _write(finished, out)
    _print(finished.summary, as_json)


def _bar(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(24), TextColumn("{task.fields[detail]}"))
    return Progress(*columns, console=console, transient=True, disable=console.quiet or not console.is_terminal)


def _write(finished: Any, out: Path) -> None:
    from execsim.report.frames import write_frames  # pandas: only where files are wanted
    from execsim.report.html import write_report

    write_frames(finished.record, out)
    write_report(finished.record, out / "report.html")
    print(f"execsim: wrote {out / 'report.html'} and the tables beside it", file=sys.stderr)


def _print(summary: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(summary, indent=2))
    else:
        Console().print(summary_table(summary))
