"""`execsim run SCENARIO`: replay a scenario in virtual time and print what happened."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from execsim.cli.live import go_live, on_paper
from execsim.cli.outlets import LogFormat, LogLevel, MetricsEvery, MetricsFile, MetricsPort, MetricsWs, watched
from execsim.cli.results import bar_of, blame, print_summary, write_report_of
from execsim.cli.trade import at_exchange, trade
from execsim.core.errors import ConfigError
from execsim.journal import discard
from execsim.observe.logs import logging_as
from execsim.scenario import model

if TYPE_CHECKING:
    from execsim.observe.publish import Publisher
    from execsim.scenario.run import Finished
    from execsim.scenario.run import Progress as Where
    from execsim.scenario.session import Door

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
    native: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Trade in wall time at an exchange of `execsim serve`")
    ] = None,
    account: Annotated[str, typer.Option(help="--native: the account to trade there")] = "trader",
    for_s: Annotated[
        int | None, typer.Option("--for", metavar="SECONDS", min=1, help="In wall time: end after so many real seconds")
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="Trade at the venue itself, with real money (docs/polymarket_live.md)")
    ] = False,
    paper: Annotated[
        bool, typer.Option("--paper", help="The venue's live data, a simulated exchange, no key (docs/paper.md)")
    ] = False,
    yes_live: Annotated[
        bool, typer.Option("--yes-live", help="--live: do not ask for consent on the terminal")
    ] = False,
    recover: Annotated[
        bool,
        typer.Option(
            "--recover", help="In wall time: take up the journal in --out where it ends, print the plan first"
        ),
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of a failing strategy")] = False,
    metrics_port: MetricsPort = None,
    metrics_ws: MetricsWs = None,
    metrics_file: MetricsFile = None,
    metrics_every: MetricsEvery = None,
    log_level: LogLevel = None,
    log_format: LogFormat = "text",
) -> None:
    """Replay a recorded (or synthetic) market through the engine in virtual time, or trade in wall time (--native, --paper,
    --live)."""
    path = model.locate(scenario)
    settings = list(settings or [])
    if strategy is not None:
        settings += [f"strategy.file={json.dumps(str(strategy.resolve()))}"]
    checked = model.load(path, seed, settings, replace_strategy=strategy is not None)
    given = {"--native": native is not None, "--paper": paper, "--live": live}
    places = [name for name, there in given.items() if there]
    in_wall_time = bool(places)
    if len(places) > 1:
        raise ConfigError(f"{' and '.join(places)} are different places to trade", "name one")
    how = "add --native HOST:PORT, --paper or --live, or leave it out"
    if for_s is not None and not in_wall_time:
        raise ConfigError("--for is for sessions in wall time", how)
    if recover and not in_wall_time:
        raise ConfigError("--recover is for sessions in wall time", how)
    if yes_live and not live:
        raise ConfigError("--yes-live is the consent to --live", "add --live, or leave it out")
    # what a venue's adapter notes is all that tells of a message nobody could read, or of orders of another program
    log_level = log_level or ("warning" if live or paper else "error")
    with logging_as(log_level, log_format), watched(metrics_port, metrics_ws, metrics_file, metrics_every) as watch:
        if in_wall_time:
            where: Callable[[], Door] = partial(go_live, checked, path.parent, yes_live, quiet)
            if native is not None:
                where = partial(at_exchange, native, account)
            elif paper:
                where = partial(on_paper, checked, quiet)
            mode = checked.journal.mode if any(item.startswith("journal") for item in settings) else "full"
            trade(
                checked,
                path,
                where,
                out,
                mode,
                seed,
                for_s,
                watch,
                recover=recover,
                as_json=as_json,
                quiet=quiet,
                debug=debug,
            )
            return
        with nullcontext() if out is None else staged(out) as folder:
            finished = _replay(checked, path, folder, quiet, debug, watch)
            if folder is not None:
                write_report_of(finished.record, folder)
    if out is not None and not quiet:
        print(f"execsim: wrote {out / 'report.html'} and the tables beside it", file=sys.stderr)
    print_summary(finished.summary, as_json)


@contextmanager
def staged(out: Path) -> Iterator[Path]:
    """A hidden folder for results, whose files take their places in `out` at the end; on any failure nothing is left.

    Errors: ConfigError when `out` or something on its way is a file, or cannot be written.
    """
    base = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    with _writing(out):
        folder = Path(tempfile.mkdtemp(prefix=".execsim-", dir=base))
    try:
        yield folder
        with _writing(out):
            out.mkdir(parents=True, exist_ok=True)
            for record in ("journal.sqlite", "trace.sqlite"):
                discard(out / record)  # this run may have none, or an earlier one was killed
            for file in sorted(folder.iterdir()):
                file.replace(out / file.name)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    try:
        yield
    except NotADirectoryError:
        raise ConfigError(f"--out {out} is a file, or lies below one", "name a directory") from None
    except OSError as error:
        raise ConfigError(f"--out {out} cannot be written: {error.strerror}", "name another directory") from None


def _replay(
    scenario: model.Scenario, path: Path, out: Path | None, quiet: bool, debug: bool, watch: Publisher | None
) -> Finished:
    from execsim.kernel import is_warm, warm_up  # numba: a second that no other verb should wait for
    from execsim.scenario.build import load_data
    from execsim.scenario.run import run

    if not is_warm() and not quiet:
        print("execsim: compiling the kernel, once on this machine (some seconds) ...", file=sys.stderr, flush=True)
    warm_up()
    with bar_of(quiet) as bar:
        task = bar.add_task("importing", total=None, detail=path.stem)
        loaded = load_data(scenario, path.parent)

        def show(at: Where) -> None:
            rate = at.rows / bar.tasks[0].elapsed if bar.tasks[0].elapsed else 0
            stamp = datetime.fromtimestamp(at.now_ns / 1e9, UTC).strftime("%H:%M:%S")
            detail = f"{at.rows:,} rows, {rate:,.0f}/s, {stamp} UTC, {at.pnl}"
            bar.update(task, completed=at.rows, total=at.rows_total, detail=detail)

        bar.reset(task, description="replaying", total=sum(m.info.rows for m in loaded.markets))
        try:
            return run(scenario, path.stem, path.parent, out, show, loaded, watch)
        except (Exception, SystemExit) as error:
            blame(error, scenario, path, debug)
            raise
