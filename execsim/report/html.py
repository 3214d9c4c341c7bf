"""`report.html`: one self-contained file that opens from disk, without a network, in any current browser.

Style and script are the two files in `assets/`, put into the page as they are; the panels are SVG drawn by that script
from embedded JSON (`chart.py`), the tables are plain HTML and need no script. A content security policy in the page forbids
loading anything. Every text that comes from a run is escaped. Look at a report without a screen: `execsim.report.shot`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Any, Final

from execsim.report import summary as read
from execsim.report.chart import FILLS_MAX, chart_data
from execsim.report.files import replacing
from execsim.report.run import RunRecord
from execsim.report.summary import MINUS, NOTHING, Section, duration, money, number, percent
from execsim.report.tca import HORIZONS_NS, TcaRow, tca_rows

_ASSETS: Final = Path(__file__).parent / "assets"

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"

_WIDE: Final = ("PnL", "Positions")
"""Tables with a row of their own: many columns, or long market names beside numbers."""

_LEGEND: Final = (
    ("bid", '<path d="M0 6H14" stroke="var(--bid)" stroke-width="2"/>'),
    ("ask", '<path d="M0 6H14" stroke="var(--ask)" stroke-width="2"/>'),
    ("we bought, as maker", '<circle cx="7" cy="6" r="4.5" fill="var(--buy)"/>'),
    ("as taker", '<path d="M7 1l5 9h-10Z" fill="var(--buy)"/>'),
    ("we sold, as maker", '<circle cx="7" cy="6" r="4.5" fill="var(--sell)"/>'),
    ("as taker", '<path d="M7 11l5 -9h-10Z" fill="var(--sell)"/>'),
)


def write_report(record: RunRecord, path: Path) -> Path:
    """Write the report of a run to `path`, atomically. Errors: ConfigError when it cannot be written."""
    page = render(record)
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def render(record: RunRecord) -> str:
    """The whole page as text."""
    data = chart_data(record)
    title = f"{record.scenario} · {record.mode} · seed {record.seed}"
    body = "".join(
        (
            _header(record),
            _notice(record),
            _tiles(record),
            _panels(data),
            '<div class="tables">',
            _tables(record),
            "</div>",
            _footer(record),
        )
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>\n{_asset('report.css')}</style></head>\n<body><main>{body}</main>\n"
        f'<script type="application/json" id="run-data">{_embedded(data)}</script>\n'
        f"<script>\n{_asset('report.js')}</script></body></html>\n"
    )


def _asset(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")


def _embedded(data: Any) -> str:
    """JSON that cannot end the script element it stands in."""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _header(record: RunRecord) -> str:
    summary = record.summary
    facts = [
        ("mode", record.mode),
        ("seed", str(record.seed)),
        ("market time", f"{read.instant(record.start_ns)} to {read.instant(record.end_ns)}"),
        ("length", _length(record.end_ns - record.start_ns)),
        ("replayed", read.speed({"wall_s": record.wall_s, **summary})),
    ]
    shown = "".join(f"<span>{name} <b>{escape(value)}</b></span>" for name, value in facts)
    hashes = "".join(
        f"<span>{name} sha256 <code title='{escape(full)}'>{escape(full[:16])}</code></span>"
        for name, full in _hashes(record)
    )
    return f'<header><h1>{escape(record.scenario)}</h1><div class="facts">{shown}{hashes}</div></header>'


def _length(ns: int) -> str:
    seconds = max(0, ns) // 1_000_000_000
    hours, minutes = divmod(seconds // 60, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds % 60} s"


def _notice(record: RunRecord) -> str:
    """What bends the result, before the result."""
    said = read.caveats(record.summary)
    found = read.defects(record.summary)
    if not said and not found:
        return ""
    items = "".join(f"<li>{escape(_sentence(text))}</li>" for text in said)
    counted = ", ".join(f"{count} {name}" for name, count in found)
    wrong = f"<p>Defects in the recording, replayed as they are: {escape(counted)}.</p>" if found else ""
    listed = f"<ul>{items}</ul>" if items else ""
    return f'<section class="card notice"><h2>Know this before you believe the numbers</h2>{listed}{wrong}</section>'


def _sentence(text: str) -> str:
    """Begins with a capital, unless its first word is a name (an id, a file, a number)."""
    return text[:1].upper() + text[1:] if text.split(" ", 1)[0].isalpha() else text


def _tiles(record: RunRecord) -> str:
    summary = record.summary
    tiles = []
    for asset, value in read.net(summary):
        css = "good" if value > 0 else "bad" if value < 0 else ""
        tiles.append(_tile(f"Net PnL {asset}".strip(), money(value), f"realised + unrealised {MINUS} fees", css))
    fills = summary.get("fills", {})
    orders = summary.get("orders", {})
    if "count" in fills:
        size = fills.get("size")
        more = f"size {number(size)}" if isinstance(size, str | int | float) else ""
        tiles.append(_tile("Fills", number(fills["count"]), more))
    if "submitted" in orders:
        more = f"{number(orders.get('rejected', 0))} rejected, {number(orders.get('cancelled', 0))} cancelled"
        tiles.append(_tile("Orders", number(orders["submitted"]), more))
    worst = read.worst_coverage(summary)
    if worst is not None:
        tiles.append(_tile("Coverage", percent(worst), "graded-good time of the recording"))
    return f'<section class="tiles">{"".join(tiles)}</section>'


def _tile(name: str, value: str, more: str, css: str = "") -> str:
    return (
        f'<div class="card tile"><div class="name">{escape(name)}</div>'
        f'<div class="value {css}">{escape(value)}</div><div class="more">{escape(more)}</div></div>'
    )


def _panels(data: dict[str, Any]) -> str:
    markets = [market["name"] for market in data["markets"]]
    options = "".join(f"<option>{escape(name)}</option>" for name in markets)
    if len(markets) > 1:
        chosen = f'<select id="market" aria-label="Market">{options}</select>'
    else:
        chosen = f"<h2>{escape(markets[0])}</h2>" if markets else "<h2>No market data</h2>"
    legend = "".join(
        f'<span><svg viewBox="0 0 14 12" aria-hidden="true">{art}</svg>{name}</span>' for name, art in _LEGEND
    )
    buttons = "".join(
        f'<button type="button" id="{name}" title="{hint}" aria-label="{hint}">{sign}</button>'
        for name, hint, sign in (
            ("earlier", "earlier", "←"),
            ("wider", "zoom out", MINUS),
            ("closer", "zoom in", "+"),
            ("later", "later", "→"),
            ("whole", "whole run", "all"),
        )
    )
    drawn = (
        f" {FILLS_MAX:,} fills at most are drawn: an even selection of {data['fills_total']:,}."
        if data["fills_total"] > data["fills_drawn"]
        else ""
    )
    picked = " Picking a market goes to its own time." if len(markets) > 1 else ""
    return (
        f'<section class="card"><div class="bar">{chosen}<div class="legend">{legend}</div>'
        f'<div class="push">{buttons}</div></div>'
        '<div class="stage"><svg id="chart" tabindex="0" role="img" aria-label="Price with our fills, inventory and '
        'net profit over time"></svg><div id="tip"></div></div>'
        "<noscript><p>The panels need JavaScript; the tables below do not.</p></noscript>"
        '<p class="hint">Drag to zoom, double-click for the whole run, point at a fill for its cause and order.'
        f"{picked}{drawn}"
        " Lines are samples; the parquet files beside this report have every fill.</p></section>"
    )


def _tables(record: RunRecord) -> str:
    shown = {section.title: _table(section, wide=section.title in _WIDE) for section in read.sections(record.summary)}
    late = [shown.pop(title, "") for title in ("Positions", "Coverage", "Metrics")]
    return "".join((*shown.values(), _tca(tca_rows(record)), *late))


def _table(section: Section, wide: bool = False) -> str:
    head = "".join(f'<th scope="col">{escape(title)}</th>' for title in section.header)
    rows = "".join(
        f'<tr><th scope="row" title="{escape(row[0])}">{escape(row[0])}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in section.rows
    )
    css = "card wide" if wide else "card"
    return (
        f'<section class="{css}"><h2>{escape(section.title)}</h2><div class="scroll"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></section>"
    )


def _tca(rows: Iterable[TcaRow]) -> str:
    held = list(rows)
    if not held:
        return ""
    after = tuple(f"{duration(h)} later" for h in HORIZONS_NS)
    money_columns = ("size", "turnover", "avg price", *after, "slippage")
    header = ("", "fills", "maker", *money_columns, "filled", "time to fill")
    table = Section("Execution quality", header, tuple(_tca_cells(row) for row in held))
    note = (
        '<p class="hint">"Later": what the fills had gained against the mid that long after, in money (per unit of size '
        "in brackets). Slippage: what our takers paid beyond the mid of the moment the order was made. A dash: the "
        "samples are too far apart, or a side of the book was empty. Filled: of the size wanted. Time to fill is the "
        "median.</p>"
    )
    return _table(table, wide=True).replace("</div></section>", f"</div>{note}</section>")


def _tca_cells(row: TcaRow) -> tuple[str, ...]:
    return (
        row.market or f"all {row.quote}",
        number(row.fills),
        NOTHING if row.maker_share is None else percent(row.maker_share),
        number(row.size),
        f"{number(row.turnover)} {row.quote}",
        NOTHING if row.avg_price is None else number(f"{float(row.avg_price):.5g}"),
        *(_gain(row.markout_money[h], row.markout[h]) for h in HORIZONS_NS),
        _gain(row.slippage_money, row.slippage),
        NOTHING if row.fill_ratio is None else percent(row.fill_ratio),
        NOTHING if row.time_to_fill_p50_ns is None else duration(row.time_to_fill_p50_ns),
    )


def _gain(total: float | None, unit: float | None) -> str:
    if total is None:
        return NOTHING
    shown = money(f"{total:.2f}")
    return shown if unit is None else f"{shown} ({money(f'{unit:.2g}')})"


def _hashes(record: RunRecord) -> list[tuple[str, str]]:
    return [(n, str(record.summary[k])) for n in ("data", "journal") if record.summary.get(k := f"{n}_sha256")]


def _footer(record: RunRecord) -> str:
    hashes = "<br>".join(f"{name} sha256 {escape(full)}" for name, full in _hashes(record))
    return (
        "<footer>Made by execsim. The same scenario and seed give the same journal hash.<br>"
        f"<code>{hashes}</code></footer>"
    )
