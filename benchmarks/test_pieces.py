"""Microseconds of the pieces an order passes: risk, the journal's row, a latency draw."""

from __future__ import annotations

import json
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from execsim.engine.policies import InventoryLimit, KillSwitch, PositionLimit
from execsim.engine.risk import RiskContext, RiskEngine
from execsim.exchange import BurstLatency, LognormalLatency
from execsim.journal import HashJournal, SqliteJournal
from execsim.runtime import VirtualRuntime

CALLS = 10_000
SYNCS = 100
DRAWS = 1_000_000
ROW_NS = 1_000_000
"""Between two rows, for delays that depend on time."""
BODY = {
    "market": "btc-up", "outcome": "yes", "price_i": 4800, "side": "buy", "size_lots": 10_000_000, "tag": "bid",
    "tif": "gtc", "type": "post_only", "venue": "polymarket",
}  # fmt: skip


@pytest.mark.benchmark(group="risk")
def test_evaluate(benchmark: Any, rate: Any) -> None:
    """Three policies, the context built each time, as the engine does."""
    engine = RiskEngine([PositionLimit(1_000), InventoryLimit(10_000), KillSwitch(False)])
    position, size, value = Decimal(100), Decimal(10), Decimal(5_000)

    def run() -> int:
        return sum(engine.evaluate(RiskContext("m", position, size, value)).allowed for _ in range(CALLS))

    rate("risk: context and three policies", CALLS, "us")
    assert benchmark.pedantic(run, rounds=5) == CALLS
    assert not engine.evaluate(RiskContext("m", position, Decimal(901), value)).allowed


@pytest.mark.benchmark(group=f"{CALLS} rows of the journal")
def test_journal_hash(benchmark: Any, rate: Any) -> None:
    """Mode off: canonical text and hash."""
    rate("journal row, canonical and hashed (mode off)", CALLS, "us")
    journal = benchmark.pedantic(written, setup=lambda: ((HashJournal(),), {}), rounds=5)
    assert journal.digest() == naive(CALLS)


@pytest.mark.benchmark(group=f"{CALLS} rows of the journal")
def test_journal_on_disk(benchmark: Any, tmp_path: Path, rate: Any) -> None:
    """Mode batched: the same, and into SQLite."""
    paths = iter(tmp_path / f"{number}.sqlite" for number in range(9))
    rate("journal row, on disk too (mode batched)", CALLS, "us")
    journal = benchmark.pedantic(written, setup=lambda: ((SqliteJournal(next(paths)),), {}), rounds=5)
    assert journal.digest() == naive(CALLS)


@pytest.mark.benchmark(group="a synced commit of the journal")
@pytest.mark.parametrize("shared", [1, 32])
def test_journal_synced(benchmark: Any, tmp_path: Path, rate: Any, shared: int) -> None:
    """Mode full: what an order waits for before it is sent, alone or with others that share the sync."""
    paths = iter(tmp_path / f"{number}.sqlite" for number in range(9))
    rate(f"journal row, synced to disk, {shared} to a sync (mode full)", SYNCS * shared, "us")
    journal = benchmark.pedantic(synced, setup=lambda: ((SqliteJournal(next(paths), "full"), shared), {}), rounds=5)
    assert (journal.commits, journal.rows) == (SYNCS, SYNCS * shared)
    journal.close()


@pytest.mark.benchmark(group=f"{CALLS} rows of the journal")
def test_journal_naive(benchmark: Any, rate: Any) -> None:
    rate("  json.dumps with sorted keys, and sha256", CALLS, "us")
    assert benchmark.pedantic(naive, (CALLS,), rounds=5)


@pytest.mark.benchmark(group=f"{DRAWS} latencies")
def test_latency_draws(benchmark: Any, rate: Any) -> None:
    """Feed latency of a chunk of rows: integers from a quantile table, the same on every machine."""
    sampler = LognormalLatency(20_000_000).sampler(VirtualRuntime(7).rng("bench"))
    rate("lognormal latency, drawn for many rows at once", DRAWS, "draws/s")
    drawn = benchmark.pedantic(sampler.many, (np.arange(DRAWS) * ROW_NS,), rounds=5)
    assert np.median(drawn) == pytest.approx(20_000_000, rel=0.01)


@pytest.mark.benchmark(group=f"{DRAWS} latencies")
def test_latency_bursts(benchmark: Any, rate: Any) -> None:
    """The same of the default: one step of the process in a hundred rows."""
    times, latency = np.arange(DRAWS) * ROW_NS, BurstLatency(20_000_000)
    rate("bursts, for many rows at once", DRAWS, "draws/s")

    def run() -> Any:
        return latency.sampler(VirtualRuntime(7).rng("bench")).many(times)

    drawn = benchmark.pedantic(run, rounds=5)
    assert np.median(drawn) == pytest.approx(20_000_000, rel=0.05)


@pytest.mark.benchmark(group=f"{DRAWS} latencies")
def test_latency_numpy(benchmark: Any, rate: Any) -> None:
    rng = np.random.default_rng(7)
    rate("  NumPy's lognormal (floats, another on another machine)", DRAWS, "draws/s")
    drawn = benchmark.pedantic(rng.lognormal, (np.log(20_000_000), 0.4, DRAWS), rounds=5)
    assert np.median(drawn) == pytest.approx(20_000_000, rel=0.01)


@pytest.mark.benchmark(group=f"{CALLS} latencies, one at a time")
def test_latency_draw(benchmark: Any, rate: Any) -> None:
    sampler = LognormalLatency(20_000_000).sampler(VirtualRuntime(7).rng("bench"))

    def run() -> int:
        return min(sampler.next(now_ns) for now_ns in range(CALLS))

    rate("lognormal latency, one message", CALLS, "us")
    assert benchmark.pedantic(run, rounds=5) > 0


def written(journal: Any) -> Any:
    for number in range(CALLS):
        journal.write("intent", number, "a-1", BODY)
    journal.close()
    return journal


def synced(journal: SqliteJournal, shared: int) -> SqliteJournal:
    for number in range(SYNCS):
        for _ in range(shared):
            journal.write("intent", number, "o", BODY)
        journal.flush()
    return journal


def naive(rows: int) -> str:
    """The digest by the standard library alone."""
    state = sha256()
    for number in range(rows):
        body = json.dumps(BODY, sort_keys=True, separators=(",", ":"))
        state.update(f"{number + 1}|{number}|intent|a-1|{body}\n".encode())
    return state.hexdigest()
