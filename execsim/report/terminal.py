"""What `execsim run` prints when it is done: one compact table, aligned, with the caveats last where the eye rests."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from rich.box import ROUNDED
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from execsim.report import summary as read
from execsim.report.run import RunRecord
from execsim.report.summary import Section

ROWS_MAX: Final = 8
"""Rows of one block shown; the rest is counted in one line (the files of --out have all)."""

COVERAGE_MAX: Final = 3
"""Markets whose coverage is shown one by one."""

HASH_CHARS: Final = 16

LONG_DECIMAL: Final = re.compile(r"(\.\d{4})\d+")

POSITION_COLUMNS: Final = ("net", "avg_price", "mark", "realised", "unrealised")
"""What fits beside each other in 80 columns; the JSON has all."""


def summary_table(run: RunRecord | Mapping[str, Any]) -> RenderableType:
    """The summary of a run (or its `--json` object) as a rich renderable. Text from the run is never read as markup."""
    held = run.summary if isinstance(run, RunRecord) else run
    table = Table(box=ROUNDED, show_header=False, title_justify="left", title=_title(held), padding=(0, 1))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for label, section in (
        ("PnL", read.pnl(held)),
        ("estimates", read.estimates(held)),
        ("orders", read.orders(held)),
        ("fills", read.fills(held)),
        ("latency", read.latency(held)),
        ("positions", read.positions(held, POSITION_COLUMNS)),
        ("coverage", _lowest(held, read.coverage(held))),
        ("market", read.facts(held)),
        ("paper", read.paper(held)),
        ("parents", read.executions(held)),
    ):
        if section is not None:
            table.add_row(label, _line(section) if label in ("orders", "market", "paper") else _grid(section))
    found = read.defects(held)
    if found:
        table.add_row("defects", Text(" · ".join(f"{count} {name}" for name, count in found)))
    for label, key in (("data", "data_sha256"), ("journal", "journal_sha256")):
        if held.get(key):
            table.add_row(label, Text(f"sha256 {str(held[key])[:HASH_CHARS]}", style="dim"))
    if read.speed(held):
        table.add_row("speed", Text(read.speed(held)))
    notes = [Text.assemble(("! ", "bold yellow"), sentence) for sentence in read.caveats(held)]
    return Group(table, *notes)


def _title(held: Mapping[str, Any]) -> Text:
    parts = [str(held[key]) for key in ("scenario", "mode") if held.get(key)]
    if "seed" in held:
        parts.append(f"seed {held['seed']}")
    return Text(" · ".join(parts), style="bold")


def _grid(section: Section) -> Table:
    """A section without borders. A row's name is dropped when there is one row and it is only a stand-in ("all")."""
    nameless = len(section.rows) == 1 and section.rows[0][0] in ("", "all")
    grid = Table(box=None, padding=(0, 2, 0, 0), show_edge=False, header_style="dim")
    if not nameless:
        grid.add_column(Text(section.header[0]), overflow="ellipsis", no_wrap=True, max_width=44)
    for title in section.header[1:]:
        grid.add_column(Text(title), justify="right", no_wrap=True)
    for row in section.rows[:ROWS_MAX]:
        cells = [
            Text(_short(cell), style=_style(section, title, cell))
            for title, cell in zip(section.header, row, strict=True)
        ]
        grid.add_row(*cells[nameless:])
    hidden = len(section.rows) - ROWS_MAX
    if hidden > 0:
        grid.add_row(Text(f"… and {hidden} more", style="dim"))
    return grid


def _short(cell: str) -> str:
    """Decimals beyond the fourth are cut, so that columns fit; the JSON and the files are exact."""
    return LONG_DECIMAL.sub(r"\1", cell)


def _line(section: Section) -> Text:
    """A list of (name, count) as one line that may wrap."""
    return Text(" · ".join(f"{count} {name}" for name, count in section.rows))


def _lowest(held: Mapping[str, Any], coverage: Section | None) -> Section | None:
    """Many markets are one line: the worst of them."""
    worst = read.worst_coverage(held)
    if coverage is None or worst is None or len(coverage.rows) <= COVERAGE_MAX:
        return coverage
    return Section("Coverage", ("", f"lowest of {len(coverage.rows)} markets"), (("all", read.percent(worst)),))


def _style(section: Section, title: str, cell: str) -> str:
    """Profit and loss in green and red; the sign says the same to whoever sees no colour."""
    if section.title != "PnL" or title != "net":
        return ""
    return {"+": "bold green", read.MINUS: "bold red"}.get(cell[:1], "bold")
