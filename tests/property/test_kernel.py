"""The kernel equals a naive model on random tapes, and its uncompiled self."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_book import QUEUES, NaiveBook, run_rows

from execsim.kernel import (
    LOCAL,
    REFILL_DECAY,
    REFILL_NEVER,
    REFILL_OFF,
    REFILL_REFRESH,
    VENUE,
    WATCH_BOOK,
    Fifo,
    MarketSpan,
    QueueModel,
    Replay,
    RiskAverse,
    Stop,
)
from execsim.tape.rows import KIND_BITS, MARKET, TS_LOCAL, TS_VENUE
from execsim.tape.schema import Flag, Kind

PRICES = 30
MODELS = (*QUEUES, Fifo())
RISK_AVERSE = RiskAverse()
REFILLS = (REFILL_NEVER, REFILL_REFRESH, REFILL_DECAY, REFILL_OFF)


def random_tape(rng: random.Random, count: int, markets: int, wide: bool) -> list[list[int]]:
    """Levels, trades, snapshots, gaps, ticks in any order; wide prices leave the ladder windows."""
    scale = 40_000 if wide else 1
    rows: list[list[int]] = []
    ts, local = [1000] * markets, [1000] * markets
    clock = 1000
    opened = [False] * markets
    while len(rows) < count:
        m = rng.randrange(markets)
        clock += rng.choice((0, 0, 1, 5, 50))
        ts[m] = max(ts[m], clock)
        local[m] = max(local[m], ts[m] + rng.choice((1, 1, 3, 40)))

        def add(kind: int, side: int, price: int, size: int, flags: int = 0, m: int = m) -> None:
            rows.append([ts[m], local[m], m, kind | flags << KIND_BITS, side, price, size, len(rows)])

        what = rng.random()
        if not opened[m] or what < 0.03:
            flags = Flag.FIRST | (Flag.RESYNC if rng.random() < 0.5 else 0)
            levels = [(s, rng.randrange(1, PRICES) * scale, rng.randrange(1, 20)) for s in (1, -1) for _ in range(3)]
            levels = list({(s, p): (s, p, q) for s, p, q in levels}.values())
            for i, (s, p, q) in enumerate(levels):
                last = Flag.LAST if i == len(levels) - 1 else 0
                add(Kind.SNAPSHOT, s, p, q, (flags if i == 0 else 0) | last)
            opened[m] = True
        elif what < 0.30:
            flags = Flag.INFERRED if rng.random() < 0.3 else 0
            add(Kind.TRADE, rng.choice((1, -1, 0)), rng.randrange(1, PRICES) * scale, rng.randrange(1, 25), flags)
        elif what < 0.34:
            add(Kind.GAP, 0, 0, rng.randrange(2))
        elif what < 0.36:
            add(Kind.TICK, 0, rng.choice((1, 10)), 0)
        else:
            for _ in range(rng.randrange(1, 4)):
                add(Kind.LEVEL, rng.choice((1, -1)), rng.randrange(1, PRICES) * scale, rng.choice((0, 0, 3, 8, 15)))
    return rows


def replay_against_naive(
    seed: int, wide: bool = False, queue: QueueModel = RISK_AVERSE, inferred: int = 1, refill: int = REFILL_NEVER
) -> str:
    """Run both on a random tape with random own orders and assert equality throughout; returns a digest of it all."""
    rng = random.Random(seed)
    markets, scale = rng.choice((1, 2)), 40_000 if wide else 1
    rows = random_tape(rng, 120, markets, wide)
    half_life, quantum, unit = rng.choice((1, 7, 100)), rng.choice((1, 1, 3)), rng.choice((1, 1, 5, 1000))
    if isinstance(queue, Fifo):
        rows = [
            [*row, rng.choice((0, rng.randrange(1, at + 2), -rng.randrange(1, at + 2)))] for at, row in enumerate(rows)
        ]
    naive = {
        (v, m): NaiveBook(queue, inferred, quantum, unit, refill=refill, half_life_ns=half_life)
        for v in (VENUE, LOCAL)
        for m in range(markets)
    }
    span = MarketSpan(
        stride=scale if wide and rng.random() < 0.3 else 1,
        quantum=quantum,
        tick_i=1,
        price_end_i=None if wide else 100,
        unit_lots=unit,
    )
    kernel = Replay([span] * markets, queue=queue, inferred=inferred, refill=refill, half_life_ns=half_life)
    for m in range(markets):
        kernel.watch(m, WATCH_BOOK if rng.random() < 0.5 else 0)
    venue = np.array(sorted(rows, key=lambda r: r[TS_VENUE]), np.int64)
    local = np.array(sorted(rows, key=lambda r: r[TS_LOCAL]), np.int64)
    kernel.feed(venue, local)
    actions = sorted(rng.randrange(990, rows[-1][TS_LOCAL] + 20) for _ in range(12))
    events = run_rows(sorted(rows, key=lambda r: r[TS_VENUE]), (TS_VENUE, TS_LOCAL))
    live: dict[int, int] = {}
    log: list[object] = []
    rows_end, done = max(row[TS_LOCAL] for row in rows), 0
    for name, now in enumerate([*actions, 2**60]):
        expected: list[tuple[object, ...]] = []
        while done < len(events) and events[done][0] <= now:
            ts, view, row = events[done]
            book = naive[view, row[MARKET]]
            fills = book.row(row, view == VENUE)
            expected += [(ts, "moved", *move) for move in book.moves]
            expected += [(ts, *fill) for fill in fills]
            done += 1
        got: list[tuple[object, ...]] = []
        while (why := kernel.advance(now)) not in (Stop.HORIZON, Stop.CHUNK):
            if why in (Stop.FILL, Stop.QUEUE):
                names = {slot: n for n, slot in live.items()}
                got += [(kernel.now_ns, "moved", names[m.order], m.before, m.ahead) for m in kernel.queue_moves()]
            if why is Stop.FILL:
                names = {slot: n for n, slot in live.items()}
                for fill in kernel.own_fills():
                    own = names[fill.order]
                    got.append((kernel.now_ns, own, fill.lots, str(fill.cause), fill.left))
                    if fill.left == 0:
                        kernel.drop(live.pop(own))
        assert got == expected
        log += got
        for (view, m), book in naive.items():
            bid, bid_lots, ask, ask_lots = kernel.best(view, m)
            assert (bid, ask) == (book.best(1), book.best(-1))
            for side in (1, -1):
                prices = sorted(book.sides[side], reverse=side > 0)
                assert kernel.levels(view, m, side, 100) == [(p, book.sides[side][p]) for p in prices]
            log.append((view, m, bid, bid_lots, ask, ask_lots))
        for own, slot in live.items():
            model = next(o for b in naive.values() for o in b.own if o.name == own)
            assert (kernel.left(slot), kernel.ahead(slot)) == (model.left, model.ahead)
            log.append((own, kernel.ahead(slot)))
        if now == 2**60:
            break
        if live and rng.random() < 0.3:
            gone = rng.choice(sorted(live))
            kernel.drop(live.pop(gone))
            for book in naive.values():
                book.drop(gone)
        m, side, price, lots = (
            rng.randrange(markets),
            rng.choice((1, -1)),
            rng.randrange(1, PRICES) * scale,
            rng.randrange(1, 30),
        )
        book = naive[VENUE, m]
        book.age(min(now, rows_end))
        offered = list(kernel.available(m, side))
        prices = sorted(book.sides[side], reverse=side > 0)
        assert offered == [(p, book.shown(side, p)) for p in prices if book.shown(side, p)]
        if offered and rng.random() < 0.7:
            at, most = rng.choice(offered)
            amount = rng.randrange(1, most + 1)
            kernel.consume(m, side, at, amount)
            book.take(side, at, amount)
        live[name] = kernel.rest(m, side, price, lots)
        book.rest(name, side, price, lots)
        if rng.random() < 0.5:
            own, notice = book.own[-1], rng.choice((1, 1, 3, 10))
            kernel.watch_queue(live[name], notice)
            own.notice, own.noted = notice, own.ahead
    for m in range(markets):
        log.append(kernel.unknown_births(m))
        assert log[-1] == naive[VENUE, m].unknown
    assert kernel.rows == len(rows)
    return hashlib.sha256(repr(log).encode()).hexdigest()


@given(
    seed=st.integers(0, 2**32),
    wide=st.booleans(),
    queue=st.sampled_from(MODELS),
    inferred=st.sampled_from([0, 1, 2]),
    refill=st.sampled_from(REFILLS),
)
@settings(max_examples=150, deadline=None)
def test_the_kernel_equals_the_naive_model(
    seed: int, wide: bool, queue: QueueModel, inferred: int, refill: int
) -> None:
    replay_against_naive(seed, wide, queue, inferred, refill)


def uncompiled(seeds: range) -> list[str]:
    return [replay_against_naive(s, s % 2 == 1, MODELS[s % len(MODELS)], s % 3, s % 4) for s in seeds]


def test_the_kernel_equals_its_uncompiled_self() -> None:
    code = "import sys; sys.path[:0] = sys.argv[1:]; import test_kernel as t; print(*t.uncompiled(range(14)))"
    here = str(Path(__file__).parent)
    env = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    out = subprocess.run([sys.executable, "-c", code, here], env=env, capture_output=True, text=True, check=True).stdout
    assert out.split() == uncompiled(range(14))


@pytest.mark.parametrize("seed", range(10))
def test_queue_ahead_never_grows_between_snapshots(seed: int) -> None:
    rng = random.Random(seed)
    rows = [r for r in random_tape(rng, 300, 1, False) if r[3] & 255 in (Kind.LEVEL, Kind.TRADE)]
    kernel = Replay([MarketSpan(1, 1, 1, 100)], queue=QUEUES[seed % len(QUEUES)], inferred=2)
    book = np.array(sorted(rows, key=lambda r: r[TS_VENUE]), np.int64)
    kernel.feed(book, book[:0])
    kernel.advance(int(book[20, TS_VENUE]))
    slots = {kernel.rest(0, s, rng.randrange(1, PRICES), 10**6): 10**9 for s in (1, -1) for _ in range(8)}
    for at in range(21, len(book)):
        while kernel.advance(int(book[at, TS_VENUE])) is Stop.FILL:
            pass
        for slot, before in slots.items():
            assert kernel.ahead(slot) <= before
            slots[slot] = kernel.ahead(slot)
