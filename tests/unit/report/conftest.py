"""A run that looks like a real one, made from a seed: a quoter on one or several binary markets and a spot market."""

from __future__ import annotations

from decimal import Decimal
from random import Random
from typing import Any

import pytest

from execsim.core.fees import BinaryFee, Liquidity
from execsim.core.instrument import Asset, Instrument, InstrumentKind, Outcome
from execsim.core.order import (
    Cause,
    Evidence,
    Fill,
    FillId,
    Order,
    OrderId,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
)
from execsim.core.position import Position
from execsim.core.units import NS_PER_MS, NS_PER_S, Grid, plain
from execsim.report.run import EquitySampler, PriceSampler, RunRecord

START_NS = 1_776_254_400 * NS_PER_S
MICRO = Decimal("0.000001")
PUSD = Asset("pUSD", MICRO)
USDT = Asset("USDT", Decimal("0.00000001"))


def binary(market: str) -> Instrument:
    return Instrument(
        "polymarket", market, InstrumentKind.BINARY, Grid(Decimal("0.0001"), MICRO), Asset("YES", MICRO), PUSD,
        complement=Asset("NO", MICRO), tick_i=100, fees=BinaryFee(Decimal("0.07")),
    )  # fmt: skip


def spot(market: str = "BTCUSDT") -> Instrument:
    lot = Decimal("0.00001")
    return Instrument("binance", market, InstrumentKind.SPOT, Grid(Decimal("0.01"), lot), Asset("BTC", lot), USDT)


def one_fill(
    inst: Instrument, index: int, side: Side, price_i: int, lots: int, ts_ns: int, maker: bool, outcome: Outcome
) -> tuple[Order, Fill]:
    liquidity = Liquidity.MAKER if maker else Liquidity.TAKER
    cash = inst.cash(price_i, lots)
    fee = inst.fee(price_i, lots, cash, liquidity)
    order = Order(
        OrderId(f"o-{index:05d}"), inst, side, OrderType.POST_ONLY if maker else OrderType.LIMIT,
        TimeInForce.GTC if maker else TimeInForce.IOC, size_lots=lots, price_i=price_i, outcome=outcome,
        created_ns=ts_ns - 1500 * NS_PER_MS, updated_ns=ts_ns, status=OrderStatus.FILLED, venue_order_id=f"v-{index}",
        filled_lots=lots, filled_cash=cash, fees_paid=fee,
    )  # fmt: skip
    cause = Cause.QUEUE_DRAINED if maker else Cause.TAKER_WALK
    fill = Fill(
        FillId(f"f-{index:05d}"), order.id, ts_ns, side, outcome, price_i, lots, -side.sign * cash, fee, liquidity,
        cause if index % 7 else Cause.TRADE_THROUGH, Evidence.RECORDED if index % 9 else Evidence.INFERRED, 9 + index,
    )  # fmt: skip
    return order, fill


def make_record(
    instruments: tuple[Instrument, ...] = (binary("btc-updown-5m-1776254400"),),
    *,
    seed: int = 7,
    steps: int = 6_000,
    step_ns: int = 50 * NS_PER_MS,
    fill_every: int = 60,
    scenario: str = "polymarket-quoter",
    overlap: bool = True,
) -> RunRecord:
    """`steps` book changes a market, a fill about every `fill_every` of them (0: none). Markets run at the same time,
    or one after the other when `overlap` is False."""
    rng = Random(seed)
    quotes = list(dict.fromkeys(inst.quote.name for inst in instruments))
    equity = EquitySampler([inst.market for inst in instruments], quotes)
    samplers = {inst.market: PriceSampler() for inst in instruments}
    positions = {inst.market: Position(inst) for inst in instruments}
    marks: dict[str, int | None] = {inst.market: None for inst in instruments}
    orders: list[Order] = []
    fills: list[tuple[Order, Fill]] = []
    mids = {i.market: 5200.0 if i.complement else 6_000_000.0 for i in instruments}
    total = steps * (1 if overlap else len(instruments))
    for step in range(total):
        ts_ns = START_NS + step * step_ns
        for inst in instruments if overlap else (instruments[step // steps],):
            unit = 100 if inst.complement else 10
            mid = mids[inst.market] + rng.gauss(0, 28 if inst.complement else 260)
            mids[inst.market] = mid = min(9_700, max(300, mid)) if inst.complement else mid
            bid_i = int(mid // unit) * unit
            ask_i = bid_i + unit * rng.choice((1, 1, 1, 2))
            dark = 0.60 < step / total < 0.625
            samplers[inst.market].add(ts_ns, None if dark else bid_i, None if dark else ask_i)
            marks[inst.market] = (bid_i + ask_i) // 2
            position = positions[inst.market]
            if not fill_every or dark or rng.random() * fill_every > 1:
                continue
            lean = position.net_lots / inst.grid.lots(100 if inst.complement else 1)
            side = Side.BUY if rng.random() > 0.5 + 0.5 * lean else Side.SELL
            maker = rng.random() < 0.8
            price_i = bid_i if (side is Side.BUY) == maker else ask_i
            outcome = Outcome.NO if inst.complement and rng.random() < 0.3 else Outcome.YES
            if outcome is Outcome.NO:
                side, price_i = side.other, inst.one_i - price_i
            lots = inst.grid.lots(rng.randint(5, 25) if inst.complement else Decimal(rng.randint(1, 20)) / 100)
            order, fill = one_fill(inst, len(fills), side, price_i, lots, ts_ns + 7 * NS_PER_MS, maker, outcome)
            orders.append(order)
            fills.append((order, fill))
            position.apply(fill)
        if equity.due(ts_ns) or step == total - 1:
            net = dict.fromkeys(quotes, 0)
            for inst in instruments:
                position, mark_i = positions[inst.market], marks[inst.market]
                unrealised = position.unrealised(mark_i) if mark_i is not None else 0
                net[inst.quote.name] += position.realised + unrealised - position.fees
            equity.add(ts_ns, {m: p.net_lots for m, p in positions.items()}, net)
    end_ns = START_NS + total * step_ns
    record = RunRecord(
        scenario, "backtest", seed, START_NS, end_ns, 2.41, {}, {i.market: i for i in instruments},
        orders, fills, positions, marks, equity.series(), {m: s.series() for m, s in samplers.items()},
    )  # fmt: skip
    return with_summary(record)


def with_summary(record: RunRecord, **changes: Any) -> RunRecord:
    """The record with the summary its content implies, and `changes` to single keys of it."""
    pnl = {}
    for name, asset in record.assets().items():
        held = [p for p in record.positions.values() if p.instrument.quote.name == name]
        realised, fees = sum(p.realised for p in held), sum(p.fees for p in held)
        unrealised = sum(p.unrealised(record.marks[p.instrument.market] or 0) for p in held)
        amounts = {"realised": realised, "unrealised": unrealised, "fees": fees, "rebates": 0}
        amounts["net"] = realised + unrealised - fees
        pnl[name] = {key: plain(asset.decimal(value)) for key, value in amounts.items()}
    causes: dict[str, int] = {}
    evidence: dict[str, int] = {}
    for _, fill in record.fills:
        causes[fill.cause] = causes.get(fill.cause, 0) + 1
        evidence[fill.evidence] = evidence.get(fill.evidence, 0) + 1
    size = sum((o.instrument.grid.size(f.lots) for o, f in record.fills), start=Decimal(0))
    summary: dict[str, Any] = {
        "scenario": record.scenario,
        "mode": record.mode,
        "seed": record.seed,
        "data_sha256": "5f2c9a1e" * 8,
        "journal_sha256": "b07d44e3" * 8,
        "coverage": dict.fromkeys(record.instruments, "0.9748"),
        "events": 1_254_061,
        "events_per_s": 520_357.2,
        "orders": {"submitted": len(record.orders) + 51, "accepted": len(record.orders) + 49, "rejected": 2,
                   "cancelled": 49, "filled": len(record.orders), "unknown": 0},
        "fills": {"count": len(record.fills), "size": plain(size), "by_cause": causes, "by_evidence": evidence},
        "pnl": pnl,
        "positions": {
            m: {"size": plain(p.size), "avg_price": None if p.avg_price is None else f"{p.avg_price:.4f}",
                "mark": plain(p.instrument.grid.price(record.marks[m] or 0))}
            for m, p in record.positions.items()
        },
        "metrics": {"exec.orders_placed": len(record.orders) + 51, "exec.orders_filled": len(record.orders)},
        "latency_ns": {kind: {"p50": p50, "p99": 5 * p50, "max": 9 * p50}
                       for kind, p50 in (("feed", 11_200_000), ("entry", 24_900_000), ("response", 23_100_000))},
        "wall_s": record.wall_s,
        "defects": {"crossed_book": 12, "ts_recv_before_venue": 40_211, "duplicate_row": 0},
        "assumptions": ["the payoff of the market is inferred from its last price, not taken from the venue",
                        "trades were not recorded: they are inferred from consecutive books"],
        **changes,
    }  # fmt: skip
    return RunRecord(**{name: getattr(record, name) for name in record.__slots__} | {"summary": summary})


@pytest.fixture(scope="session")
def demo() -> RunRecord:
    return make_record()


@pytest.fixture(scope="session")
def several() -> RunRecord:
    """Two binary markets and a spot market in one run."""
    return make_record((binary("election"), binary("<script>alert(1)</script>"), spot()), steps=1_500, fill_every=40)


@pytest.fixture(scope="session")
def empty() -> RunRecord:
    """A market without a single price or order."""
    record = make_record(steps=0)
    return RunRecord(**{n: getattr(record, n) for n in record.__slots__} | {"end_ns": START_NS, "prices": {}})
