"""Rows a second through the kernel, beside hftbacktest and a naive Python book on the same rows in the same run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from inputs import SPAN, hftbacktest, hftbacktest_events

from execsim.kernel import LOCAL, VENUE, WATCH_PRICE, Replay, Stop
from execsim.ports import NEVER
from execsim.tape.merge import Chunk, TapeStream, merged
from execsim.tape.reader import TapeReader
from execsim.tape.rows import KIND, KIND_BITS, PRICE, SIDE, SIZE
from execsim.tape.schema import Kind

NAIVE_ROWS = 50_000


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
def test_kernel(benchmark: Any, chunks: list[Chunk], rate: Any) -> None:
    rate("replay, two books, no stops", 1_000_000, "rows/s")
    kernel, _ = benchmark.pedantic(replay, (chunks,), rounds=7, warmup_rounds=1)
    assert kernel.rows == 1_000_000
    assert kernel.best(VENUE, 0) == kernel.best(LOCAL, 0)


@pytest.mark.benchmark(group="replay 1M rows, both books, no stops")
def test_hftbacktest(benchmark: Any, chunks: list[Chunk], rows: Any, rate: Any) -> None:
    """hftbacktest 2.4.4 (Rust), its exchange and local books, the same rows; conversion and construction left out."""
    events, seen = hftbacktest_events(rows), []

    def run(backtest: Any) -> None:
        while backtest.elapse(10**15) == 0:
            pass
        depth = backtest.depth(0)
        seen.append((depth.best_bid, depth.best_ask))
        backtest.close()

    run(hftbacktest(events))  # numba compiles the calls here
    rate("  hftbacktest 2.4.4", 1_000_000, "rows/s")
    benchmark.pedantic(run, setup=lambda: ((hftbacktest(events),), {}), rounds=7)
    bid, _, ask, _ = replay(chunks)[0].best(VENUE, 0)
    assert seen[-1] == pytest.approx(((bid or 0) / 10_000, (ask or 0) / 10_000))


@pytest.mark.benchmark(group=f"replay {NAIVE_ROWS} rows, one book")
def test_naive_python(benchmark: Any, chunks: list[Chunk], rate: Any) -> None:
    rate("  dicts in plain Python, one book", NAIVE_ROWS, "rows/s")
    rows = chunks[0].venue[:NAIVE_ROWS].tolist()
    best = benchmark.pedantic(naive, (rows,), rounds=3)
    kernel = Replay([SPAN])
    kernel.feed(chunks[0].venue[:NAIVE_ROWS], chunks[0].local[:0])
    kernel.advance(NEVER - 1)
    assert (kernel.best(VENUE, 0)[0], kernel.best(VENUE, 0)[2]) == best


@pytest.mark.benchmark(group="stop at every change of a best price, 1M rows")
def test_stops(benchmark: Any, chunks: list[Chunk], rate: Any) -> None:
    """Back to Python at each change of a best price: what a strategy pays before it does anything."""
    _, stops = replay(chunks, WATCH_PRICE)
    rate("replay with a stop at each change of a best price", 1_000_000, "rows/s")
    rate(f"  the same, by stop ({stops:,} stops, the rows included)", stops, "us")
    _, again = benchmark.pedantic(replay, (chunks, WATCH_PRICE), rounds=3)
    assert again == stops > 10_000


@pytest.mark.benchmark(group="read and merge 1M rows")
def test_read_and_merge(benchmark: Any, million: Path, rate: Any) -> None:
    def run() -> int:
        return sum(len(chunk.venue) for chunk in merged([TapeStream(TapeReader(million))]))

    rate("read parquet and merge, one tape", 1_000_000, "rows/s")
    assert benchmark.pedantic(run, rounds=3, warmup_rounds=1) == 1_000_000
