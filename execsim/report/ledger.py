"""What a journal comes to, for people, machines and files: `execsim journal fold` and `execsim journal export`.

The tables are those of `execsim run --out DIR` (frames.COLUMNS). A journal holds no market data: positions are valued at our
last execution, and fills have no grade.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from rich.box import ROUNDED
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from execsim.core.units import NS_PER_S, plain
from execsim.engine.fold import Folded
from execsim.report.frames import fills_frame, orders_frame, positions_frame, values, write_tables
from execsim.report.run import RunRecord

OPEN_SHOWN_MAX: Final = 20
"""Open orders listed one by one; the JSON has all."""


def record_of(folded: Folded) -> RunRecord:
    """A fold as the record the tables are made from."""
    held = folded.portfolio.positions
    return RunRecord(
        scenario="", mode="journal", seed=0, start_ns=0, end_ns=folded.last_ns, wall_s=0.0, summary={},
        instruments=folded.instruments, orders=folded.tracker.get_all_orders(), fills=folded.booked(),
        positions={m: p for m, p in held.items() if p.traded_lots or p.yes_lots or p.no_lots}, marks=folded.marks(),
    )  # fmt: skip


def export(folded: Folded, folder: Path, format: str) -> list[Path]:
    """Write orders, fills and positions as parquet or csv. Errors: ConfigError when the folder cannot be written."""
    record = record_of(folded)
    frames = {"orders": orders_frame(record), "fills": fills_frame(record), "positions": positions_frame(record)}
    return write_tables(frames, folder, format)


def as_json(folded: Folded, path: Path) -> dict[str, Any]:
    """Everything, with money and sizes as decimal text (and beside it as integers of the named unit)."""
    record = record_of(folded)
    return {
        "journal": str(path),
        "rows": folded.rows,
        "last_ns": folded.last_ns,
        "kill": folded.kill_reason,
        "closed": _prices(folded, folded.closed),
        "resolved": _prices(folded, folded.resolved),
        "cash": _cash(folded),
        "pnl": _pnl(folded),
        **{table: list(values(table, record)) for table in ("orders", "fills", "positions")},
    }


def as_table(folded: Folded, path: Path) -> RenderableType:
    """The same for people: counts, what is open, positions, cash, profit."""
    record = record_of(folded)
    outer = Table(box=ROUNDED, show_header=False, title=Text(str(path), style="bold"), title_justify="left")
    outer.add_column(style="bold", no_wrap=True)
    outer.add_column(overflow="fold")
    outer.add_row("record", Text(_span(folded)))
    if folded.kill_reason is not None:
        outer.add_row("killed", Text(folded.kill_reason, style="bold red"))
    counts = Counter(order.status.value for order in record.orders)
    outer.add_row("orders", Text(" · ".join(f"{n} {status}" for status, n in sorted(counts.items())) or "none"))
    fills = Counter(fill.status.value for _, fill in record.fills)
    outer.add_row("fills", Text(" · ".join(f"{n} {status}" for status, n in sorted(fills.items())) or "none"))
    active = [row for row in values("orders", record) if row["status"] in ACTIVE]
    if active:
        columns = ("order_id", "market", "side", "outcome", "price", "size", "filled_size", "status")
        outer.add_row("open", _grid(columns, active[:OPEN_SHOWN_MAX], len(active)))
    held = list(values("positions", record))
    if held:
        outer.add_row(
            "positions", _grid(("market", "size", "avg_price", "mark", "realised", "unrealised", "fees"), held)
        )
    outer.add_row("cash", Text(" · ".join(f"{amount} {name}" for name, amount in _cash(folded).items()) or "none"))
    outer.add_row("PnL", _grid(("asset", *PNL), [{"asset": name, **row} for name, row in _pnl(folded).items()]))
    note = "positions are valued at our last execution: a journal holds no market data"
    return Group(outer, Text.assemble(("! ", "bold yellow"), note))


PNL: Final = ("realised", "unrealised", "fees", "rebates", "net")
ACTIVE: Final = ("pending", "submitting", "working", "cancelling", "unknown")


def _span(folded: Folded) -> str:
    if not folded.rows:
        return "no rows yet"
    last = datetime.fromtimestamp(folded.last_ns // NS_PER_S, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return f"{folded.rows:,} rows, the last of {last}"


def _grid(columns: Iterable[str], rows: list[dict[str, Any]], count: int = 0) -> Table:
    grid = Table(box=None, padding=(0, 2, 0, 0), show_edge=False, header_style="dim")
    columns = tuple(columns)
    for name in columns:
        text = name in ("order_id", "market", "asset", "status", "side", "outcome")
        grid.add_column(
            Text(name), justify="left" if text else "right", no_wrap=True, overflow="ellipsis", max_width=44
        )
    for row in rows:
        grid.add_row(*(Text("" if row[name] is None else str(row[name])) for name in columns))
    if count > len(rows):
        grid.add_row(Text(f"… and {count - len(rows)} more", style="dim"))
    return grid


def _cash(folded: Folded) -> dict[str, str]:
    """Decimal text by asset; an asset no market counts money in is given in its smallest unit."""
    assets = {inst.quote.name: inst.quote for inst in folded.instruments.values()}
    cash = folded.portfolio.cash
    return {name: plain(assets[name].decimal(units)) if name in assets else str(units) for name, units in cash.items()}


def _pnl(folded: Folded) -> dict[str, dict[str, str]]:
    totals = folded.portfolio.totals(folded.marks())
    return {name: {key: plain(value) for key, value in total.decimals().items()} for name, total in totals.items()}


def _prices(folded: Folded, prices: dict[str, int]) -> dict[str, str]:
    return {market: plain(folded.instruments[market].grid.price(i)) for market, i in prices.items()}
