"""Transaction costs on cases small enough to reckon by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import pytest

from execsim.core.fees import Liquidity
from execsim.core.order import Fill, FillStatus, Order, Side
from execsim.core.units import NS_PER_S
from execsim.report.run import PriceSeries, RunRecord
from execsim.report.tca import HORIZONS_NS, tca_rows

S1, S5, S30 = HORIZONS_NS
T0 = 1_776_254_400 * NS_PER_S


def record_of(
    base: RunRecord, pairs: Sequence[tuple[Order, Fill]], prices: PriceSeries, market: str | None = None
) -> RunRecord:
    market = market or next(iter(base.instruments))
    changes = {"fills": pairs, "orders": [order for order, _ in pairs], "prices": {market: prices}}
    return RunRecord(**{name: getattr(base, name) for name in base.__slots__} | changes)


def pair_of(base: RunRecord, side: Side, price: str, size: str, liquidity: Liquidity) -> tuple[Order, Fill]:
    """A YES fill at T0 of an order made two seconds before."""
    order, fill = next(p for p in base.fills if p[1].outcome == "yes")
    inst = order.instrument
    lots, price_i = inst.grid.lots(size), inst.grid.price_i(price)
    cash = inst.cash(price_i, lots)
    order = replace(order, side=side, size_lots=2 * lots, filled_lots=lots, created_ns=T0 - 2 * NS_PER_S)
    fill = replace(
        fill,
        side=side,
        price_i=price_i,
        lots=lots,
        cash=-side.sign * cash,
        ts_ns=T0,
        liquidity=liquidity,
        order_id=order.id,
    )
    return order, fill


def moving(interval_ns: int = NS_PER_S) -> PriceSeries:
    """Mid 0.50 before T0, 0.52 a second later, 0.46 after 5 s, one-sided at 30 s."""
    at = [T0 - 3 * NS_PER_S, T0 + S1, T0 + S5, T0 + S30, T0 + 40 * NS_PER_S]
    return PriceSeries(at, [4900, 5100, 4500, None, 4500], [5100, 5300, 4700, 5000, 4700], interval_ns)


def test_markout_slippage_and_shares_of_a_taker_and_a_maker(demo: RunRecord) -> None:
    taker = pair_of(demo, Side.BUY, "0.51", "10", Liquidity.TAKER)
    maker = pair_of(demo, Side.SELL, "0.51", "30", Liquidity.MAKER)
    (row,) = tca_rows(record_of(demo, [taker, maker], moving()))
    assert (row.fills, row.size, row.turnover, row.avg_price) == (2, "40", "20.4", "0.51")
    assert (row.maker_share, row.taker_share) == (0.75, 0.25)
    # bought 10 and sold 30 at 0.51: (mid - 0.51) * (10 - 30)
    assert row.markout_money[S1] == pytest.approx(-0.2)
    assert row.markout_money[S5] == pytest.approx(1.0)
    assert row.markout[S5] == pytest.approx(1.0 / 40)
    assert row.markout_money[S30] is row.markout[S30] is None
    assert row.slippage == pytest.approx(0.01)
    assert row.slippage_money == pytest.approx(0.1)
    assert row.fill_ratio == 0.5
    assert row.time_to_fill_p50_ns == 2 * NS_PER_S


def test_buying_no_is_judged_on_the_yes_book(demo: RunRecord) -> None:
    order, fill = next(p for p in demo.fills if p[1].outcome == "no" and p[1].side is Side.BUY)
    lots = order.instrument.grid.lots(10)
    fill = replace(fill, ts_ns=T0, price_i=4900, lots=lots)
    (row,) = tca_rows(record_of(demo, [(order, fill)], moving()))
    assert row.avg_price == "0.51"
    assert row.markout[S1] == pytest.approx(-0.01)
    assert row.markout[S5] == pytest.approx(0.05)


def test_samples_too_far_apart_give_no_short_markout(demo: RunRecord) -> None:
    taker = pair_of(demo, Side.BUY, "0.51", "10", Liquidity.TAKER)
    (row,) = tca_rows(record_of(demo, [taker], moving(interval_ns=4 * NS_PER_S)))
    assert row.markout[S1] is None
    assert row.slippage is None
    assert row.markout[S5] == pytest.approx(-0.05)


def test_orders_without_fills_and_voided_fills(demo: RunRecord) -> None:
    order, fill = pair_of(demo, Side.BUY, "0.51", "10", Liquidity.TAKER)
    order = replace(order, filled_lots=0)
    (row,) = tca_rows(record_of(demo, [(order, replace(fill, status=FillStatus.VOIDED))], moving()))
    assert (row.fills, row.size, row.orders, row.fill_ratio) == (0, "0", 1, 0.0)
    assert row.avg_price is row.maker_share is row.time_to_fill_p50_ns is row.slippage is None


def test_a_total_for_each_quote_asset_that_markets_share(several: RunRecord, empty: RunRecord) -> None:
    rows = tca_rows(several)
    assert [(row.market, row.quote) for row in rows][2:] == [("BTCUSDT", "USDT"), ("", "pUSD")]
    assert rows[3].fills == rows[0].fills + rows[1].fills
    assert Decimal(rows[3].turnover) == Decimal(rows[0].turnover) + Decimal(rows[1].turnover)
    first, second, total = (rows[i].markout_money[S5] for i in (0, 1, 3))
    assert first is not None
    assert second is not None
    assert total == pytest.approx(first + second)
    assert rows[3].avg_price is None
    assert tca_rows(empty) == []


def test_markets_are_in_the_order_of_the_run(several: RunRecord) -> None:
    assert [row.market for row in tca_rows(several)][:3] == list(several.instruments)
