"""Nobody hears of a row before the venue had it: on random tapes, and on every tape the scenarios replay."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_tape_task import planned

from execsim.core.events import Trade
from execsim.exchange import KernelBooks, TapeMarket
from execsim.journal import HashJournal
from execsim.kernel import MarketSpan, OwnFill, QueueMove, Replay, Row
from execsim.runtime import VirtualRuntime
from execsim.scenario import model
from execsim.scenario.build import join, load_data
from execsim.tape.merge import Chunk, merged
from execsim.tape.reader import TapeReader
from execsim.tape.rows import SEQ, TS_LOCAL, TS_VENUE
from execsim.tape.schema import FLOOR_NS

FILES = sorted((Path(__file__).parents[2] / "scenarios").glob("*.toml"))
SCENARIOS = [path for path in FILES if model.load(path).agents is None]
"""Those that replay a tape: the market that agents make is heard a feed latency late, tests/unit/scenario/test_agents.py."""


class Listener:
    """A feed sink that knows the venue time of every row and checks every callback against it."""

    def __init__(self, runtime: VirtualRuntime, kernel: Replay, floor_ns: int) -> None:
        self._runtime, self._kernel, self._floor_ns = runtime, kernel, floor_ns
        self._venue_ns: dict[int, int] = {}
        self.heard = 0

    def watching(self, chunks: Iterator[Chunk], rows_max: int) -> Iterator[Chunk]:
        """Pass on the first `rows_max` rows, and note the clocks of each."""
        for whole in chunks:
            chunk = whole
            if len(whole.venue) > rows_max:
                end_ns = int(whole.venue[rows_max, TS_VENUE])
                local = whole.local[whole.local[:, TS_LOCAL] < end_ns]
                chunk = replace(whole, venue=whole.venue[:rows_max], local=local)
            assert (chunk.local[:, TS_LOCAL] >= chunk.local[:, TS_VENUE] + self._floor_ns).all()
            assert (np.diff(chunk.venue[:, TS_VENUE]) >= 0).all()
            self._venue_ns = dict(zip(chunk.local[:, SEQ].tolist(), chunk.local[:, TS_VENUE].tolist(), strict=True))
            yield chunk
            rows_max -= len(chunk.venue)
            if rows_max <= 0:
                return

    def _check(self, ts_ns: int) -> None:
        now_ns = self._runtime.now_ns()
        assert now_ns == ts_ns
        assert now_ns >= self._venue_ns[self._kernel.stop_row().seq] + self._floor_ns
        self.heard += 1

    def on_trade(self, trade: Trade) -> None:
        self._check(trade.ts_ns)

    def on_top(self, market: str, ts_ns: int) -> None:
        self._check(ts_ns)

    def on_book(self, market: str, ts_ns: int) -> None:
        self._check(ts_ns)

    def on_tick(self, market: str, ts_ns: int, tick_i: int) -> None:
        self._check(ts_ns)

    def on_gap(self, market: str, ts_ns: int, open_gap: bool) -> None:
        self._check(ts_ns)

    def on_resolve(self, market: str, ts_ns: int, payoff_i: int) -> None:
        self._check(ts_ns)


class Deaf:
    """A venue side nobody trades on."""

    def on_queue(self, market: int, moves: list[QueueMove], row: Row) -> None: ...
    def on_fills(self, market: int, fills: list[OwnFill], row: Row) -> None: ...
    def on_resolve(self, market: int, payoff_i: int) -> None: ...


def listened(kernel: Replay, chunks: Iterator[Chunk], names: list[str], start_ns: int, floor_ns: int, rows: int) -> int:
    """Hear everything there is on a tape; returns how many callbacks were checked."""
    runtime = VirtualRuntime(1, start_ns)
    listener = Listener(runtime, kernel, floor_ns)
    reader = KernelBooks(kernel, names)
    for name in names:
        reader.watch(name, top=True, trades=True, book=True)
    handlers = [Deaf()] * len(names)
    market = TapeMarket(runtime, kernel, listener.watching(chunks, rows), names, listener, handlers)
    runtime.run(main=market.run())
    return listener.heard


@pytest.mark.parametrize("seed", range(20))
def test_nothing_is_heard_before_it_happened(seed: int) -> None:
    plan = planned(seed)
    kernel = Replay([MarketSpan(1, 1, 1, 100)] * plan.markets)
    names = [f"m{m}" for m in range(plan.markets)]
    chunks = plan.tape.chunks(plan.cuts, plan.feed_ns)
    assert listened(kernel, chunks, names, 0, 1 + plan.feed_ns, 2**62) > 30


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_nothing_is_heard_before_it_happened_on_a_shipped_tape(path: Path) -> None:
    """Both clocks of every row, and the callbacks for the first 50,000 rows of everything a scenario replays."""
    scenario = model.load(path)
    loaded = load_data(scenario, path.parent)
    for tape in loaded.tapes:
        for columns in TapeReader(tape):
            assert (columns["ts_recv_ns"] >= columns["ts_venue_ns"] + FLOOR_NS).all()
    parts = join(scenario, loaded, VirtualRuntime(scenario.seed, loaded.start_ns), HashJournal(), path.parent)
    names = [market.id for market in loaded.markets]
    assert listened(parts.stage.kernel, merged(parts.stage.streams), names, loaded.start_ns, FLOOR_NS, 50_000) > 5
