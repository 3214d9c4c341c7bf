"""`execsim run SCENARIO --native HOST:PORT`, `--paper` and `--live`: the scenario's strategy in wall time, at an exchange in
another process, at one in this process on a venue's data, or at the venue itself."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from execsim.cli.results import bar_of, blame, print_summary, write_report_of
from execsim.scenario import model

if TYPE_CHECKING:
    from execsim.observe.publish import Publisher
    from execsim.scenario.run import Progress as Where
    from execsim.scenario.session import Door


def at_exchange(native: str, account: str) -> Door:
    """HOST:PORT. Errors: ConfigError."""
    from execsim.scenario.session import Address

    return Address.of(native, account)


LEFT = 1
"""Exit code of a session after which orders may still be open."""


def trade(
    scenario: model.Scenario,
    path: Path,
    where: Callable[[], Door],
    out: Path | None,
    mode: Literal["full", "batched", "off"],
    seed: int | None,
    for_s: int | None,
    watch: Publisher | None,
    *,
    recover: bool,
    as_json: bool,
    quiet: bool,
    debug: bool,
) -> None:
    """Until the data end, the time is up, or Ctrl-C. Errors: ExecError; the strategy's own; typer.Exit: orders are left."""
    from execsim.scenario.session import run_session
    from execsim.scenario.wall import told

    address = where()
    try:
        with bar_of(quiet) as bar:
            task = bar.add_task("trading", total=None, detail=path.stem)

            def show(at: Where) -> None:
                stamp = datetime.fromtimestamp(at.now_ns / 1e9, UTC).strftime("%H:%M:%S")
                bar.update(task, detail=f"{at.rows:,} inputs, {stamp} UTC, {at.pnl}")

            ended = run_session(
                scenario, path.stem, path.parent, address,
                out=out, mode=mode, seed=seed, for_s=for_s, watch=watch, on_progress=show,
                recover=recover, say=lambda sentence: print(f"execsim: recovery: {sentence}", file=sys.stderr),
            )  # fmt: skip
    except KeyboardInterrupt:
        print("execsim: interrupted twice: orders may still be open", file=sys.stderr)
        raise typer.Exit(LEFT) from None
    except (Exception, SystemExit) as error:
        blame(error, scenario, path, debug)
        raise
    left = told(ended.summary["left"])
    if ended.error is not None:
        if left:
            print(f"execsim: {left}", file=sys.stderr)
        blame(ended.error, scenario, path, debug)
        raise ended.error
    if out is not None:
        write_report_of(ended.record, out)
        if not quiet:
            print(f"execsim: wrote {out / 'report.html'} and the tables beside it", file=sys.stderr)
    print_summary(ended.summary, as_json)
    if left:
        print(f"execsim: {left}", file=sys.stderr)
        raise typer.Exit(LEFT)
