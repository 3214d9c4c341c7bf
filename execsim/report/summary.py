"""The summary of a run as sections of text: one reading of the `--json` object, shown by the terminal and the report.

The object's keys are those of `execsim run --json` (see `RunRecord.summary`). Missing keys give no section: a summary of a
run that ended early can be shown too. Where a value may be one thing per name (positions by market, coverage by market,
PnL by quote asset) a mapping of scalars and a mapping of mappings are both understood.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from execsim.core.units import NS_PER_MS, NS_PER_S, NS_PER_US

NOTHING: Final = "\N{EN DASH}"
"""What a cell without a value shows."""

MINUS: Final = "\N{MINUS SIGN}"
"""Stands in front of a negative number: as wide as a plus, and no line breaks at it."""

ESTIMATES: Final = {"rebates_estimate": "rebates", "rewards_estimate": "rewards"}
"""Keys of what a venue's maker programmes would have paid, and how they are called."""

RATIO_KEYS: Final = ("coverage", "ratio", "share", "good")
"""Names a ratio goes by where coverage has several figures a market. Ratios are floats or decimal strings, never ints."""

FACTS: Final = {
    "trades": "trades",
    "spread_ticks": "ticks of spread",
    "depth": "depth at the touch",
    "return_kurtosis": "kurtosis of returns",
}
LAGGED: Final = {
    "sign_autocorrelation": "autocorrelation of signs",
    "abs_return_autocorrelation": "of absolute returns (lags 1 and 10)",
}
"""Stylised facts shown, and their titles; the second by lag."""

PAPER: Final = {
    "hold_ms": "ms of hold",
    "rows": "rows of market data",
    "late_rows": "rows later than the hold",
    "late_ms_max": "ms late at worst",
    "late_fills": "fills by late rows",
    "gaps": "gaps",
}
"""What a paper session's data were like, and titles."""

SIGNED: Final = ("realised", "unrealised", "net")
"""Columns of PnL shown with their sign; fees and rebates are amounts."""


@dataclass(frozen=True, slots=True)
class Section:
    """A titled table of text. The first column names the row; the others are values, aligned right."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def caveats(summary: Mapping[str, Any]) -> list[str]:
    """What a reader must know before believing the numbers: the run's assumptions, and what its counts imply."""
    said = [str(sentence) for sentence in summary.get("assumptions", ())]
    inferred = _count(_of(summary, "fills", "by_evidence").get("inferred", 0))
    total = _count(_of(summary, "fills").get("count", 0))
    if inferred:
        said.append(f"{inferred} of {total} fills rest on trades that were inferred, not recorded")
    ungraded = _count(_of(summary, "fills").get("ungraded", 0))
    if ungraded:
        said.append(
            f"{ungraded} of {total} fills are in minutes of the recording graded C or F (execsim data check says why); "
            'exchange.ungraded = "refuse" matches nothing there'
        )
    worst = worst_coverage(summary)
    if worst is not None and worst < 1:
        said.append(f"the recording is incomplete (coverage down to {percent(worst)}); nothing fills inside a gap")
    if any(summary.get(key) for key in ESTIMATES):
        said.append(
            "rebates and rewards are estimates between low and high, not in the PnL (--json says what they assume)"
        )
    for row in _executions(summary):
        if row.get("state") != "done":
            left = f"{row.get('done')} of {row.get('size')}" if row.get("done") != "0" else "nothing"
            reason = f": {row['reason']}" if row.get("reason") else ""
            said.append(f"{row.get('algo')} {row.get('market')} ended {row.get('state')} with {left} done{reason}")
    unknown = _count(_of(summary, "orders").get("unknown", 0))
    if unknown:
        said.append(f"{unknown} orders ended in an unknown state: nobody answered for them")
    return said


def defects(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(what was wrong in the recording, how often), the most frequent first; zero counts are left out."""
    found = [(str(name), _count(count)) for name, count in _of(summary, "defects").items()]
    found.sort(key=lambda item: (-item[1], item[0]))
    return [(words(name), number(count)) for name, count in found if count]


def pnl(summary: Mapping[str, Any]) -> Section | None:
    """One row a quote asset, or one named "all" when the summary does not split them."""
    section = _grid("PnL", _of(summary, "pnl"), name="all", show=str)
    if section is None:
        return None
    shows = [money if title in SIGNED else number for title in section.header]
    rows = (tuple(show(cell) for show, cell in zip(shows[1:], row[1:], strict=True)) for row in section.rows)
    names = (row[0] for row in section.rows)
    return Section(section.title, section.header, tuple((name, *row) for name, row in zip(names, rows, strict=True)))


def estimates(summary: Mapping[str, Any]) -> Section | None:
    """One row a programme and market: low, estimate and high of what is not in the PnL."""
    columns = ("low", "estimate", "high", "asset")
    rows = {
        f"{name} {market}": {column: row.get(column) for column in columns}
        for key, name in ESTIMATES.items()
        for market, row in _of(summary, key).items()
    }
    return _grid("Estimates, not in the PnL", rows, name="all", show=number)


def orders(summary: Mapping[str, Any]) -> Section | None:
    """How many orders came to what."""
    rows = tuple((words(str(name)), number(value)) for name, value in _of(summary, "orders").items())
    return Section("Orders", ("", "count"), rows) if rows else None


def fills(summary: Mapping[str, Any]) -> Section | None:
    """Rows: all fills, then each cause and each kind of evidence that occurred."""
    held = _of(summary, "fills")
    if not held:
        return None
    size = held.get("size", "")
    rows: dict[str, Any] = {
        "all": {"count": held.get("count", 0), **({} if isinstance(size, Mapping) else {"size": size})}
    }
    if "pnl" in held:
        rows["all"]["pnl"] = _by_asset(held["pnl"])
    for group in ("by_cause", "by_evidence"):
        for name, value in _of(held, group).items():
            row = dict(value) if isinstance(value, Mapping) else {"count": value}
            row = {key: _by_asset(cell) for key, cell in row.items()}
            if _count(row.get("count", 1)):
                rows[words(str(name)) if group == "by_cause" else f"evidence: {words(str(name))}"] = row
    return _grid("Fills", rows, name="all", show=number)


def _by_asset(value: object) -> object:
    """An amount per quote asset as text ("-1.5 pUSD"); anything else unchanged."""
    if not isinstance(value, Mapping):
        return value
    return ", ".join(f"{money(amount)} {asset}" for asset, amount in value.items())


def positions(summary: Mapping[str, Any], columns: Sequence[str] | None = None) -> Section | None:
    """One row a market; `columns` chooses and orders what is shown (all of them if None)."""
    held = _of(summary, "positions")
    if columns is not None:
        held = {
            market: {key: row[key] for key in columns if key in row} if isinstance(row, Mapping) else row
            for market, row in held.items()
        }
    return _grid("Positions", held, name="position", show=number, one="net size")


def coverage(summary: Mapping[str, Any]) -> Section | None:
    """Share of the span that is graded good, per market where the summary says so."""
    held = summary.get("coverage")
    if held is None:
        return None
    return _grid("Coverage", held if isinstance(held, Mapping) else {"all": held}, name="all", show=percent, one="good")


def latency(summary: Mapping[str, Any]) -> Section | None:
    """One row a leg: feed, entry, response."""
    return _grid("Latency", _of(summary, "latency_ns"), name="all", show=duration)


def paper(summary: Mapping[str, Any]) -> Section | None:
    """Of a session on live data with a simulated exchange: its hold, and what came later than that."""
    held = _of(summary, "paper")
    rows = tuple((title, number(held[key])) for key, title in PAPER.items() if key in held)
    return Section("Paper", ("", "value"), rows) if rows else None


def executions(summary: Mapping[str, Any]) -> Section | None:
    """One row a parent order: what was done at which price, and what that cost against the price at its arrival and the
    market's VWAP meanwhile, in basis points (positive: it cost us)."""
    rows = []
    for held in _executions(summary):
        name = " ".join(str(held.get(key, "")) for key in ("algo", "market", "side"))
        done = f"{number(held.get('done'))} of {number(held.get('size'))}"
        costs = (_points(held.get(key)) for key in ("slippage_arrival_bp", "slippage_vwap_bp"))
        rows.append((name, done, number(held.get("avg_price")), *costs))
    return Section("Executions", ("", "done", "avg price", "vs arrival", "vs VWAP"), tuple(rows)) if rows else None


def _executions(summary: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    held = summary.get("executions")
    return [row for row in held if isinstance(row, Mapping)] if isinstance(held, list | tuple) else []


def _points(value: object) -> str:
    return NOTHING if _decimal(value) is None else f"{money(value)} bp"


def facts(summary: Mapping[str, Any]) -> Section | None:
    """Stylised facts of the market that agents made, as names and values; autocorrelations by their lag."""
    rows: list[tuple[str, str]] = []
    for held in _of(summary, "facts").values():
        rows += [(title, number(held[key])) for key, title in FACTS.items() if held.get(key) is not None]
        for key, title in LAGGED.items():
            values = [number(value) for value in _of(held, key).values() if value is not None]
            rows += [(title, " and ".join(values))] if values else []
    return Section("Market", ("", "value"), tuple(rows)) if rows else None


def metrics(summary: Mapping[str, Any]) -> Section | None:
    """Metric names stand as they are exported, e.g. exec.orders_placed."""
    rows = tuple((str(name), number(value)) for name, value in _of(summary, "metrics").items())
    return Section("Metrics", ("", "value"), rows) if rows else None


def sections(summary: Mapping[str, Any]) -> list[Section]:
    """Every section that has something to say, in reading order."""
    made = (
        pnl(summary),
        estimates(summary),
        orders(summary),
        fills(summary),
        latency(summary),
        paper(summary),
        positions(summary),
        coverage(summary),
        facts(summary),
        executions(summary),
        metrics(summary),
    )
    return [section for section in made if section is not None]


def net(summary: Mapping[str, Any]) -> list[tuple[str, Decimal]]:
    """(quote asset or "", net profit), for whoever colours by sign."""
    held = _of(summary, "pnl")
    nested = {name: value for name, value in held.items() if isinstance(value, Mapping)}
    found = [(str(name), _decimal(value.get("net"))) for name, value in nested.items()] or [
        ("", _decimal(held.get("net")))
    ]
    return [(name, value) for name, value in found if value is not None]


def worst_coverage(summary: Mapping[str, Any]) -> Decimal | None:
    """The lowest coverage ratio of any market (0..1), None when the summary has none."""
    return min(_ratios(summary.get("coverage")), default=None)


def words(name: str) -> str:
    """A snake_case name as people say it."""
    return name.replace("_", " ")


def number(value: object) -> str:
    """A count, a decimal string or a float with thousands separators, as exact as it came; other text unchanged."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, bool | Mapping):
        return str(value)
    if isinstance(value, float):
        return f"{value:,.6g}" if abs(value) < 1e15 else str(value)
    decimal = _decimal(value)
    return str(value) if decimal is None else f"{decimal:,f}".replace("-", MINUS)


def money(value: object) -> str:
    """A decimal amount with its sign, as exact as it came."""
    decimal = _decimal(value)
    if decimal is None:
        return number(value)
    return f"+{number(value)}" if decimal > 0 else number(value)


def percent(value: object) -> str:
    """A ratio in 0..1 (float or decimal) as a percentage, never rounded up to 100 %; a count or text as `number`."""
    decimal = None if isinstance(value, int) else _decimal(value)
    if decimal is None or not 0 <= decimal <= 1:
        return number(value)
    shown = (decimal * 100).quantize(Decimal("0.1"), rounding="ROUND_FLOOR")
    return f"{shown.normalize():f} %"


def duration(value: object) -> str:
    """Nanoseconds in a unit that suits them."""
    decimal = _decimal(value)
    if decimal is None:
        return number(value)
    for unit, size in (("s", NS_PER_S), ("ms", NS_PER_MS), ("µs", NS_PER_US)):
        if abs(decimal) >= size:
            return (
                f"{float(decimal) / size:,.3g} {unit}"
                if abs(decimal) < 1000 * size
                else f"{decimal / size:,.0f} {unit}"
            )
    return f"{decimal:f} ns"


def instant(ts_ns: int) -> str:
    """A UTC time to the second."""
    return datetime.fromtimestamp(ts_ns // NS_PER_S, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def speed(summary: Mapping[str, Any]) -> str:
    """Rows, wall time and rows a second, as far as the summary has them."""
    parts = []
    if "events" in summary:
        parts.append(f"{number(summary['events'])} rows")
    if "wall_s" in summary:
        parts.append(f"in {float(summary['wall_s']):,.2f} s")
    if "events_per_s" in summary:
        parts.append(f"({float(summary['events_per_s']):,.0f} rows/s)")
    return " ".join(parts)


def _of(held: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    """The mapping at `path`, empty when it is absent or no mapping."""
    value: Any = held
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def _grid(
    title: str, held: Mapping[str, Any], *, name: str, show: Callable[[object], str], one: str = "value"
) -> Section | None:
    """Rows by name with a column for each key they have; a mapping of scalars only is one row called `name`, or, where
    `one` names its column, a row for each entry."""
    if not held:
        return None
    nested = {key: value for key, value in held.items() if isinstance(value, Mapping)}
    if not nested:
        if one != "value":
            return Section(title, ("", one), tuple((str(key), show(value)) for key, value in held.items()))
        nested = {name: held}
    columns = list(dict.fromkeys(str(key) for row in nested.values() for key in row))
    rows = tuple((str(key), *(show(row.get(column)) for column in columns)) for key, row in nested.items())
    return Section(title, ("", *(words(column) for column in columns)), rows)


def _ratios(held: object) -> list[Decimal]:
    """Coverage ratios, of the whole run or by market; where a market has several figures, those named like a ratio."""
    if isinstance(held, Mapping):
        named = [held[key] for key in RATIO_KEYS if key in held]
        return [ratio for value in named or held.values() for ratio in _ratios(value)]
    decimal = None if isinstance(held, int) else _decimal(held)
    return [decimal] if decimal is not None and 0 <= decimal <= 1 else []


def _decimal(value: object) -> Decimal | None:
    if value is None or isinstance(value, bool | Mapping):
        return None
    try:
        decimal = Decimal(str(value))
    except InvalidOperation:
        return None
    return decimal if decimal.is_finite() else None


def _count(value: object) -> int:
    held = value.get("count", 0) if isinstance(value, Mapping) else value
    decimal = _decimal(held)
    return 0 if decimal is None else int(decimal)
