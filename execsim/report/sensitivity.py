"""`execsim sensitivity` as text: the object of its --json as tables for a terminal, or as a section of a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from execsim.core.units import plain
from execsim.report.summary import Section, money, number, words

DECIMALS: Final = 4
"""of net PnL shown"""
TIMES: Final = "\N{MULTIPLICATION SIGN}"


def sections(found: Mapping[str, Any]) -> list[Section]:
    """The band around the scenario's own models, every queue x refill model, inferred trades; and where using them changes
    something, every model with them used."""
    made = [_band(found), _models(found["models"], "queue model"), _inferred(found)]
    if found["used"] is not None:
        made.append(_models(found["used"], "inferred trades used"))
    return made


def as_terminal(found: Mapping[str, Any]) -> RenderableType:
    """The tables under the scenario's name."""
    parts: list[RenderableType] = [Text(f"{found['scenario']} · {_about(found)}", style="bold")]
    for section in sections(found):
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
        for at, title in enumerate(section.header):
            words_only = at == 0 or title == "under"
            table.add_column(Text(title), justify="left" if words_only else "right", no_wrap=title != "under")
        for row in section.rows:
            table.add_row(*(Text(cell) for cell in row))
        parts += [table, ""]
    return Group(*parts)


def as_markdown(found: Mapping[str, Any]) -> str:
    """A section of docs/sensitivity.md; ends with a newline."""
    lines = [f"### {found['scenario']}", "", f"{_about(found)[0].upper()}{_about(found)[1:]}.", ""]
    for section in sections(found):
        lines += [
            _row(section.header),
            _row(["---", *("---" if title == "under" else "---:" for title in section.header[1:])]),
        ]
        lines += [*(_row(row) for row in section.rows), ""]
    return "\n".join(lines)


def _about(found: Mapping[str, Any]) -> str:
    return f"net PnL in {' + '.join(found['assets'])} (number of fills), seed {found['seed']}"


def _net(held: Mapping[str, Any]) -> str:
    """Net PnL to the fourth decimal; --json is exact."""
    return money(plain(round(Decimal(held["net"]), DECIMALS)))


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _band(found: Mapping[str, Any]) -> Section:
    own, band = found["own"], found["band"]
    rows = [("as the scenario says", own)]
    for key, least, most in (("net", "least PnL", "most PnL"), ("fills", "fewest fills", "most fills")):
        rows += [(least, band[key]["min"]), (most, band[key]["max"])]
    if found["band_used"] is not None:
        used = ", inferred trades used"
        rows += [(f"least PnL{used}", found["band_used"]["min"]), (f"most PnL{used}", found["band_used"]["max"])]
    body = tuple((title, _net(held), number(held["fills"]), _under(held)) for title, held in rows)
    return Section("Band", (f"over queue {TIMES} refill models", "net PnL", "fills", "under"), body)


def _under(held: Mapping[str, Any]) -> str:
    others = held.get("shared_by", 1) - 1
    more = f", and {others} more" if others else ""
    return f"{words(held['queue'])} {TIMES} {held['refill']}{more}"


def _models(outcomes: Sequence[Mapping[str, Any]], title: str) -> Section:
    """A row a queue model, a column a refill model; `title` heads the rows."""
    refills = list(dict.fromkeys(held["refill"] for held in outcomes))
    by_queue: dict[str, dict[str, str]] = {}
    for held in outcomes:
        cell = f"{_net(held)} ({number(held['fills'])})"
        by_queue.setdefault(held["queue"], {})[held["refill"]] = cell
    rows = tuple((words(queue), *(cells[refill] for refill in refills)) for queue, cells in by_queue.items())
    return Section("Models", (title, *(f"refill {refill}" for refill in refills)), rows)


def _inferred(found: Mapping[str, Any]) -> Section:
    own = found["own"]["inferred_trades"]
    rows = tuple(
        (
            held["inferred_trades"] + (" (the scenario's)" if held["inferred_trades"] == own else ""),
            _net(held),
            number(held["fills"]),
        )
        for held in found["inferred"]
    )
    return Section("Inferred trades", ("inferred trades", "net PnL", "fills"), rows)
