"""Rows a second through the kernel, beside hftbacktest and a naive Python book on the same rows in the same run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from execsim.kernel import LOCAL, VENUE, WATCH_PRICE, MarketSpan, Replay, Stop
from execsim.ports import NEVER
from execsim.tape.merge import Chunk, TapeStream, merged
from execsim.tape.reader import TapeReader
from execsim.tape.rows import KIND, KIND_BITS, PRICE, SIDE, SIZE, TS_LOCAL, TS_VENUE
from execsim.tape.schema import Kind

NAIVE_ROWS = 50_000
SPAN = MarketSpan(100, 1, 100, 10_000)


def replay(chunks: list[Chunk], watch: int = 0) -> tuple[Replay, int]:
    kernel, stops = Replay([SPAN]), 0
    kernel.watch(0, watch)
    for chunk in chunks:
        kernel.feed(chunk.venue, chunk.local)
        while kernel.advance(NEVER - 1) is not Stop.CHUNK:
            stops += 1
    return kernel, stops


def naive(rows: list[list[int]]) -> tuple[int, int]:
    """The last best prices by dicts, one book: what one writes first."""
    book: dict[int, dict[int, int]] = {1: {}, -1: {}}
    best = (0, 0)
    for row in rows:
        if row[KIND] & ((1 << KIND_BITS) - 1) == Kind.TRADE:
            continue
        side = book[row[SIDE]]
        if row[SIZE]:
            side[row[PRICE]] = row[SIZE]
        else:
            side.pop(row[PRICE], None)
        best = (max(book[1], default=0), min(book[-1], default=0))
    return best


@pytest.mark.benchmark(group="replay 1M rows, both books, no stops")
def test_kernel(benchmark: Any, chunks: list[Chunk]) -> None:
    kernel, _ = benchmark.pedantic(replay, (chunks,), rounds=5, warmup_rounds=1)
    assert kernel.rows == 1_000_000
    assert kernel.best(VENUE, 0) == kernel.best(LOCAL, 0)


@pytest.mark.benchmark(group="replay 1M rows, both books, no stops")
def test_hftbacktest(benchmark: Any, chunks: list[Chunk]) -> None:
    """hftbacktest 2.4.4 (Rust), its exchange and local books, the same rows; conversion and construction left out."""
    import hftbacktest as hb
    from hftbacktest.binding import event_dtype

    rows = np.concatenate([chunk.venue for chunk in chunks])
    events = np.zeros(len(rows), event_dtype)
    kinds = rows[:, KIND] & ((1 << KIND_BITS) - 1)
    codes = {Kind.SNAPSHOT: hb.DEPTH_SNAPSHOT_EVENT, Kind.LEVEL: hb.DEPTH_EVENT, Kind.TRADE: hb.TRADE_EVENT}
    code = np.zeros(len(rows), np.uint64)
    for kind, value in codes.items():
        code[kinds == kind] = value
    sides = np.where(rows[:, SIDE] > 0, np.uint64(hb.BUY_EVENT), np.uint64(hb.SELL_EVENT))
    events["ev"] = code | sides | np.uint64(hb.EXCH_EVENT | hb.LOCAL_EVENT)
    events["exch_ts"], events["local_ts"] = rows[:, TS_VENUE], rows[:, TS_LOCAL]
    events["px"], events["qty"] = rows[:, PRICE] / 10_000, rows[:, SIZE] / 1e6

    def fresh() -> tuple[tuple[Any], dict[str, Any]]:
        asset = hb.BacktestAsset().data(events).linear_asset(1.0).constant_order_latency(0, 0)
        asset = asset.risk_adverse_queue_model().no_partial_fill_exchange().trading_value_fee_model(0.0, 0.0)
        asset = asset.tick_size(0.01).lot_size(0.01).last_trades_capacity(0).roi_lb(0.0).roi_ub(1.0)
        return (hb.ROIVectorMarketDepthBacktest([asset]),), {}

    seen: list[tuple[float, float]] = []

    def run(backtest: Any) -> None:
        while backtest.elapse(10**15) == 0:
            pass
        depth = backtest.depth(0)
        seen.append((depth.best_bid, depth.best_ask))
        backtest.close()

    run(*fresh()[0])  # numba compiles the calls here
    benchmark.pedantic(run, setup=fresh, rounds=5)
    bid, _, ask, _ = replay(chunks)[0].best(VENUE, 0)
    assert seen[-1] == pytest.approx(((bid or 0) / 10_000, (ask or 0) / 10_000))


@pytest.mark.benchmark(group=f"replay {NAIVE_ROWS} rows, one book")
def test_naive_python(benchmark: Any, chunks: list[Chunk]) -> None:
    rows = chunks[0].venue[:NAIVE_ROWS].tolist()
    best = benchmark.pedantic(naive, (rows,), rounds=3)
    kernel = Replay([SPAN])
    kernel.feed(chunks[0].venue[:NAIVE_ROWS], chunks[0].local[:0])
    kernel.advance(NEVER - 1)
    assert (kernel.best(VENUE, 0)[0], kernel.best(VENUE, 0)[2]) == best


@pytest.mark.benchmark(group="stop at every change of a best price, 1M rows")
def test_stops(benchmark: Any, chunks: list[Chunk]) -> None:
    _, stops = benchmark.pedantic(replay, (chunks, WATCH_PRICE), rounds=3)
    benchmark.extra_info["stops"] = stops
    assert stops > 10_000


@pytest.mark.benchmark(group="read and merge 1M rows")
def test_read_and_merge(benchmark: Any, million: Path) -> None:
    def run() -> int:
        return sum(len(chunk.venue) for chunk in merged([TapeStream(TapeReader(million))]))

    assert benchmark.pedantic(run, rounds=3, warmup_rounds=1) == 1_000_000
