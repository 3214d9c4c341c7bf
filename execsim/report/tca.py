"""Transaction cost analysis: what the fills were worth against the market around them.

All prices are YES prices of the canonical book. The mid comes from the run's sampled prices, so a markout is given only
where the samples are no further apart than the horizon. These are statistics, in floats; money is exact elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from statistics import median
from typing import Final

from execsim.core.fees import Liquidity
from execsim.core.instrument import Instrument, Outcome
from execsim.core.order import Fill, FillStatus, Order
from execsim.core.units import NS_PER_S, plain
from execsim.report.frames import rounded
from execsim.report.run import PriceSeries, RunRecord

HORIZONS_NS: Final = (1 * NS_PER_S, 5 * NS_PER_S, 30 * NS_PER_S)

Pair = tuple[Order, Fill]

_ZERO: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class TcaRow:
    """One market, or all markets of one quote asset (`market` is ""). None: there is nothing to compute it from.

    Per-unit figures (`avg_price`, `markout`, `slippage`) are money of `quote` for size 1.0 and exist for one market only;
    `markout_money` and `slippage_money` are their sums over fills. Markout: what a fill gained (lost: negative) against
    the mid, so many ns later (the keys, `HORIZONS_NS`). Slippage: what takers paid beyond the mid of the moment the order
    was made. Shares are of traded money, 0 to 1.
    """

    market: str
    quote: str
    fills: int
    maker_share: float | None
    taker_share: float | None
    size: str
    turnover: str
    avg_price: str | None
    markout: Mapping[int, float | None]
    markout_money: Mapping[int, float | None]
    slippage: float | None
    slippage_money: float | None
    orders: int
    fill_ratio: float | None
    """filled size / wanted size, over orders that named a size"""
    time_to_fill_p50_ns: int | None
    """median from making an order to its first fill, over orders with a fill"""


def tca_rows(record: RunRecord) -> list[TcaRow]:
    """A row for each market with an order, in the order of `record.instruments`, then one per quote asset that
    several of them share. Voided fills are left out."""
    orders: dict[str, list[Order]] = {}
    for order in record.orders:
        orders.setdefault(order.market, []).append(order)
    fills: dict[str, list[Pair]] = {}
    for order, fill in record.fills:
        if fill.status is not FillStatus.VOIDED:
            fills.setdefault(order.market, []).append((order, fill))
    active = [market for market in record.instruments if market in orders or market in fills]
    rows = [
        _row(
            market, record.instruments[market].quote.name, orders.get(market, []), fills.get(market, []), record.prices
        )
        for market in active
    ]
    for quote in dict.fromkeys(record.instruments[market].quote.name for market in active):
        of_quote = [market for market in active if record.instruments[market].quote.name == quote]
        if len(of_quote) > 1:
            all_orders = [order for market in of_quote for order in orders.get(market, [])]
            all_fills = [pair for market in of_quote for pair in fills.get(market, [])]
            rows.append(_row("", quote, all_orders, all_fills, record.prices))
    return rows


def _row(
    market: str, quote: str, orders: Sequence[Order], pairs: Sequence[Pair], prices: Mapping[str, PriceSeries]
) -> TcaRow:
    turnover = sum(abs(fill.cash) for _, fill in pairs)
    taken = sum(abs(fill.cash) for _, fill in pairs if fill.liquidity is Liquidity.TAKER)
    size = sum((order.instrument.grid.size(fill.lots) for order, fill in pairs), start=_ZERO)
    money = sum((order.instrument.quote.decimal(abs(fill.cash)) for order, fill in pairs), start=_ZERO)
    canonical = sum(
        (_yes_price(order.instrument, fill) * order.instrument.grid.size(fill.lots) for order, fill in pairs),
        start=_ZERO,
    )
    markouts = {h: _gain(((p, p[1].ts_ns + h) for p in pairs), prices, h) for h in HORIZONS_NS}
    takers = [pair for pair in pairs if pair[1].liquidity is Liquidity.TAKER]
    gained = _gain(((pair, pair[0].created_ns) for pair in takers), prices, HORIZONS_NS[0])
    sized = [order for order in orders if order.size_lots]
    wanted = sum((order.size or _ZERO for order in sized), start=_ZERO)
    filled = sum((order.instrument.grid.size(order.filled_lots) for order in sized), start=_ZERO)
    return TcaRow(
        market=market,
        quote=quote,
        fills=len(pairs),
        maker_share=(turnover - taken) / turnover if turnover else None,
        taker_share=taken / turnover if turnover else None,
        size=plain(size),
        turnover=plain(money),
        avg_price=rounded(canonical / size) if market and size else None,
        markout={h: g[0] / g[1] if market and g else None for h, g in markouts.items()},
        markout_money={h: g[0] if g else None for h, g in markouts.items()},
        slippage=-gained[0] / gained[1] if market and gained else None,
        slippage_money=-gained[0] if gained else None,
        orders=len(orders),
        fill_ratio=float(filled / wanted) if wanted else None,
        time_to_fill_p50_ns=_time_to_fill_ns(pairs),
    )


def _yes_price(instrument: Instrument, fill: Fill) -> Decimal:
    return instrument.grid.price(instrument.canonical_i(fill.price_i, fill.outcome))


def _gain(
    moments: Iterable[tuple[Pair, int]], prices: Mapping[str, PriceSeries], resolution_ns: int
) -> tuple[float, float] | None:
    """(money gained against the mid at each fill's moment, size of those fills); None where no mid is known at all."""
    money = size = 0.0
    for (order, fill), ts_ns in moments:
        series = prices.get(order.market)
        if series is None or series.interval_ns > resolution_ns:
            continue
        mid_i = series.mid_i(ts_ns)
        if mid_i is None:
            continue
        inst = order.instrument
        sign = fill.side.sign if fill.outcome is Outcome.YES else -fill.side.sign
        lots = float(inst.grid.size(fill.lots))
        money += sign * (mid_i * float(inst.grid.price_unit) - float(_yes_price(inst, fill))) * lots
        size += lots
    return (money, size) if size else None


def _time_to_fill_ns(pairs: Sequence[Pair]) -> int | None:
    first: dict[str, int] = {}
    for order, fill in pairs:
        waited = fill.ts_ns - order.created_ns
        first[order.id] = min(waited, first.get(order.id, waited))
    return int(median(first.values())) if first else None
