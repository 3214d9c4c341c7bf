"""The data behind the report's panels: a bounded, JSON-ready object that assets/report.js draws.

Times are milliseconds after `t0` (milliseconds since the epoch); prices and sizes are floats for drawing only, exact text
beside them where a reader sees it. A report stays small however long the run was: see the limits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from execsim.core.fees import Liquidity
from execsim.core.instrument import Instrument, Outcome
from execsim.core.order import Fill, FillStatus, Order, Side
from execsim.core.units import NS_PER_MS, plain
from execsim.report.run import PriceSeries, RunRecord, Sampler
from execsim.report.summary import words

POINTS_MAX: Final = 4_000
"""Points of one line."""

POINTS_TOTAL: Final = 30_000
"""Points of all price lines together: with many markets each gets its share, never fewer than 100."""

FILLS_MAX: Final = 4_000
"""Fills drawn; of more, an even selection is drawn and the report says so."""

Json = dict[str, Any]


def chart_data(record: RunRecord) -> Json:
    """The object described in the module. Markets without a price and without a fill are left out; the one with the most
    fills comes first."""
    fills: dict[str, list[tuple[Order, Fill]]] = {}
    drawn = [pair for pair in record.fills if pair[1].status is not FillStatus.VOIDED]
    shown = drawn[:: -(-len(drawn) // FILLS_MAX)] if len(drawn) > FILLS_MAX else drawn
    for order, fill in shown:
        fills.setdefault(order.market, []).append((order, fill))
    names = [m for m in record.instruments if record.prices.get(m, PriceSeries()).ts_ns or m in fills]
    names.sort(key=lambda market: -len(fills.get(market, ())))
    points = min(POINTS_MAX, max(100, POINTS_TOTAL // max(1, len(names))))
    t0 = record.start_ns // NS_PER_MS
    return {
        "t0": t0,
        "end": max(1, record.end_ns // NS_PER_MS - t0),
        "markets": [_market(record, record.instruments[m], fills.get(m, []), t0, points) for m in names],
        "equity": _equity(record, t0),
        "fills_drawn": len(shown),
        "fills_total": len(drawn),
    }


def _market(record: RunRecord, inst: Instrument, fills: Sequence[tuple[Order, Fill]], t0: int, points: int) -> Json:
    series = record.prices.get(inst.market, PriceSeries())
    kept = _thinned(series.ts_ns, points)
    unit = float(inst.grid.price_unit)
    at = [(i, series.ts_ns[i] // NS_PER_MS - t0) for i in kept]
    return {
        "name": inst.market,
        "venue": inst.venue,
        "quote": inst.quote.name,
        "decimals": max(0, -int(inst.grid.price_unit.normalize().as_tuple().exponent)),
        "t": [t for _, t in at],
        "bid": [_scaled(series.bid_i[i], unit) for i in kept],
        "ask": [_scaled(series.ask_i[i], unit) for i in kept],
        "inventory": _inventory(record, inst, t0),
        "fills": _fills(fills, t0),
    }


def _fills(fills: Sequence[tuple[Order, Fill]], t0: int) -> Json:
    """Columns of equal length; `why` indexes `whys`, since there are few reasons and many fills."""
    whys: dict[str, int] = {}
    columns: dict[str, list[Any]] = {name: [] for name in ("t", "p", "buy", "maker", "text", "fee", "id", "why")}
    for order, fill in fills:
        inst = order.instrument
        price_i = inst.canonical_i(fill.price_i, fill.outcome)
        token = f" {fill.outcome.upper()}" if inst.complement else ""
        reason = f"{fill.liquidity} · {words(fill.cause)} · {fill.evidence}"
        columns["t"].append(fill.ts_ns // NS_PER_MS - t0)
        columns["p"].append(_scaled(price_i, float(inst.grid.price_unit)))
        columns["buy"].append(int((fill.side is Side.BUY) == (fill.outcome is Outcome.YES)))
        columns["maker"].append(int(fill.liquidity is Liquidity.MAKER))
        columns["text"].append(
            f"{fill.side} {plain(inst.grid.size(fill.lots))}{token} @ {plain(inst.grid.price(fill.price_i))}"
        )
        columns["fee"].append(plain(inst.quote.decimal(fill.fee)))
        columns["id"].append(str(fill.order_id))
        columns["why"].append(whys.setdefault(reason, len(whys)))
    return {**columns, "whys": list(whys)}


def _inventory(record: RunRecord, inst: Instrument, t0: int) -> Json:
    """Net size where it changed, and at the last sample."""
    lots = record.equity.net_lots.get(inst.market, ())
    ts_ns = record.equity.ts_ns
    last = len(lots) - 1
    changed = [i for i in range(len(lots)) if i in (0, last) or lots[i] != lots[i - 1]]
    lot = float(inst.grid.lot)
    return {"t": [ts_ns[i] // NS_PER_MS - t0 for i in changed], "v": [_scaled(lots[i], lot) for i in changed]}


def _equity(record: RunRecord, t0: int) -> Json:
    kept = _thinned(record.equity.ts_ns, POINTS_MAX)
    assets = record.assets()
    return {
        "t": [record.equity.ts_ns[i] // NS_PER_MS - t0 for i in kept],
        "lines": [
            {"name": name, "v": [_scaled(units[i], float(assets[name].unit)) for i in kept]}
            for name, units in record.equity.net.items()
        ],
    }


def _thinned(ts_ns: Sequence[int], limit: int) -> list[int]:
    """Indices of at most `limit` + 1 points, by the samplers' rule."""
    if len(ts_ns) <= limit:
        return list(range(len(ts_ns)))
    sampler: Sampler[int] = Sampler(limit)
    for i, at in enumerate(ts_ns):
        sampler.push(at, i)
    return [i for _, i in sampler.rows()]


def _scaled(value: int | None, unit: float) -> float | None:
    return None if value is None else round(value * unit, 12)
