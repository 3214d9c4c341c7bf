"""`execsim data`: import recordings into tapes, describe them, check them."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from execsim import plugins
from execsim.scenario.model import override
from execsim.tape.check import GRADES, Report, check_tape
from execsim.tape.imports import find_importer, import_tape
from execsim.tape.schema import Manifest
from execsim.tape.store import load_manifest

app = typer.Typer(help="Import, describe and check recordings.")

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object")]


@app.command("import")
def import_command(
    sources: Annotated[list[Path], typer.Argument(help="Files of one recording, in order; a directory is its files")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The tape to make (a directory)")],
    format: Annotated[str | None, typer.Option(help="Format name; guessed if not given (see `data formats`)")] = None,
    options: Annotated[
        list[str] | None, typer.Option("--option", metavar="KEY=VALUE", help="Importer option; may be repeated")
    ] = None,
    as_json: Json = False,
) -> None:
    """Turn a recording into a tape."""
    given: dict[str, Any] = {}
    for option in options or []:
        override(given, option, "--option")
    importer = find_importer(format, sources, plugins.importers())
    manifest = import_tape(sources, importer, given, out)
    _describe(manifest, out, as_json)


@app.command("formats")
def formats_command() -> None:
    """List the formats that can be imported, with their options."""
    for importer in sorted(plugins.importers(), key=lambda i: i.name):
        print(f"{importer.name} (version {importer.version})")
        for option, meaning in importer.options.items():
            print(f"    {option}: {meaning}")


@app.command("info")
def info_command(tape: Annotated[Path, typer.Argument(help="A tape")], as_json: Json = False) -> None:
    """What a tape holds, from its manifest."""
    _describe(load_manifest(tape), tape, as_json)


@app.command("check")
def check_command(
    tape: Annotated[Path, typer.Argument(help="A tape made by `data import`")],
    interval_s: Annotated[int, typer.Option(min=1, help="Length of the graded intervals")] = 60,
    as_json: Json = False,
) -> None:
    """Replay a tape's books and grade it. Exit code 1 when an oracle fails or a snapshot is missing."""
    report = check_tape(tape, interval_s)
    if as_json:
        print(json.dumps(report.as_json(), indent=2))
    else:
        _print_report(report, tape)
    if not report.ok:
        raise typer.Exit(1)


def _describe(manifest: Manifest, tape: Path, as_json: bool) -> None:
    if as_json:
        print(json.dumps(asdict(manifest), indent=2))
        return
    print(f"{tape}: {manifest.rows:,} rows of format {manifest.format}")
    table = Table("market", "venue", "rows", "tick", "finest price", "finest size")
    for info in manifest.markets:
        title = Text(str(info.extra.get("slug") or info.market))
        table.add_row(title, info.venue, f"{info.rows:,}", info.tick, info.price_unit, info.lot)
    Console().print(table)
    for name in sorted(manifest.checks):
        if name.endswith("_checked"):
            oracle = name.removesuffix("_checked")
            print(f"oracle {oracle}: {manifest.checks.get(f'{oracle}_ok', 0):,} of {manifest.checks[name]:,}")
    _defects(manifest.defects)
    if manifest.gaps:
        print(f"gaps: {len(manifest.gaps)}")
    for note in manifest.notes:
        print(f"note: {note}")


def _defects(counts: Mapping[str, int]) -> None:
    for name, count in sorted(counts.items()):
        print(f"defects: {name} {count:,}")


def _print_report(report: Report, tape: Path) -> None:
    grades = ", ".join(f"{grade} {count:,}" for grade, count in report.grades.items())
    print(f"{tape}: {report.rows:,} rows, coverage {report.coverage}, intervals by grade: {grades}")
    for name, counts in report.oracles.items():
        mark = "ok" if counts["ok"] == counts["checked"] else "FAILED"
        print(f"oracle {name}: {counts['ok']:,} of {counts['checked']:,} {mark}")
    table = Table("market", "rows", "trades", "gaps", "crossed", "locked", "one-sided", *GRADES, "coverage", box=None)
    for market in report.markets:
        cells = (
            market.rows, market.trades, market.gaps, market.crossed_moments, market.locked_moments,
            market.one_sided_moments, *(market.grades[grade] for grade in GRADES),
        )  # fmt: skip
        table.add_row(Text(market.market[:24]), *(f"{cell:,}" for cell in cells), market.coverage)
    Console().print(table)
    _defects({**report.defects, "duplicate_rows": report.duplicates})
    latency = ", ".join(f"{rank} {ns / 1e6:,.3f} ms" for rank, ns in report.latency_ns.items())
    print(f"latency (receipt - venue): {latency}")
    for name, offset_ns in report.clock_offset_ns.items():
        if offset_ns:
            print(f"clock: {name} shifted by up to {offset_ns / 1e6:.3f} ms")
    for failure in report.failures:
        print(f"execsim: {failure}", file=sys.stderr)
