"""A million orders through submit, ack and fill or cancel on the simulated exchange, in virtual time, watching memory.

    uv run python benchmarks/million.py                          a million orders, journal batched to a temporary file
    uv run python benchmarks/million.py --orders 100000 --journal off

Every other order takes the touch (buys and sells in turn) and is filled, the others rest and are cancelled. The engine and
the venue keep 10,000 ended orders each, as an engine does by default. Prints one line every tenth of the way, then one JSON
object. Everything is checked at the end: counts, money on both sides, old orders from the journal, and that
the file folds to the engine's books.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
from inputs import SPAN, binary_instrument

from execsim.core.order import Order, OrderId, OrderStatus, OrderType, Side
from execsim.engine.session import EngineConfig, ExecutionEngine
from execsim.engine.throttle import RateLimiterConfig
from execsim.engine.track import ORDERS_KEPT_MAX
from execsim.exchange import ConstantLatency, Exchange, ExchangeModel, LatencyModel, SimulatedVenue
from execsim.journal import HashJournal, SqliteJournal, state_of
from execsim.kernel import Replay
from execsim.ports import NEVER, VenueProfile
from execsim.runtime import VirtualRuntime
from execsim.tape.merge import TapeStream, merged
from execsim.tape.schema import COLUMNS, Flag, Kind
from execsim.testing.audit import audit
from execsim.testing.refold import differences

KEPT: Final = ORDERS_KEPT_MAX
LOTS: Final = 10_000_000
TAKES: Final = ((Side.BUY, 4_100), (Side.BUY, 1_000), (Side.SELL, 4_000), (Side.BUY, 1_000))
"""Side and price of the orders, in turn: bought, cancelled, sold, cancelled."""
SAMPLES: Final = 10
DEEP: Final = 10**13
"""Lots at each touch: more than a million orders take (10^12)."""
PER_ORDER: Final = 24
"""Bytes an order may leave behind for good: its id with the market (12.6) and that of its fill (8.5), rounded up."""
SLACK_MIB: Final = 8
"""What the allocator may waver by."""


def rss_mib() -> float:
    """Resident memory of this process (Linux), MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def venue_of(runtime: VirtualRuntime, inst: Any) -> SimulatedVenue:
    """A venue whose book is one deep level a side: 0.40 and 0.41."""
    kernel = Replay([SPAN])
    rows = {name: np.zeros(2, dtype) for name, dtype in COLUMNS.items()}
    rows["ts_venue_ns"][:], rows["ts_recv_ns"][:] = 1, 1
    rows["kind"][:], rows["side"][:] = int(Kind.SNAPSHOT), (1, -1)
    rows["price_i"][:], rows["size_i"][:], rows["seq"][:] = (4_000, 4_100), DEEP, (0, 1)
    rows["flags"][:] = (int(Flag.FIRST), int(Flag.LAST))
    for chunk in merged([TapeStream([rows])]):
        kernel.feed(chunk.venue, chunk.local)
        kernel.advance(NEVER - 1)
    model = ExchangeModel(ended_kept_max=KEPT)
    exchange = Exchange(runtime, kernel, inst.venue, {0: inst}, VenueProfile(), model)
    return SimulatedVenue(exchange, LatencyModel(entry=ConstantLatency(1_000), response=ConstantLatency(1_000)))


def run(orders: int, mode: str, path: Path) -> dict[str, Any]:
    """Play `orders` orders; returns the figures. AssertionError when anything is wrong."""
    inst, runtime = binary_instrument(), VirtualRuntime(7)
    journal = HashJournal() if mode == "off" else SqliteJournal(path, "batched")
    limits = {inst.venue: RateLimiterConfig.unlimited()}
    engine = ExecutionEngine(EngineConfig(rate_limits=limits, orders_kept_max=KEPT), runtime, journal)
    venue = venue_of(runtime, inst)
    engine.register_adapter(venue)
    venue.deposit(inst.quote.name, 10**13)
    engine.deposit(inst.quote, 10**13)
    samples: list[tuple[int, float, float]] = []
    started = time.perf_counter()

    def sample(done: int) -> None:
        samples.append((done, time.perf_counter() - started, rss_mib()))
        print(f"{done:>9,} orders  {samples[-1][1]:7.1f} s  {samples[-1][2]:7.1f} MiB", file=sys.stderr, flush=True)

    async def main() -> None:
        sample(0)
        for number in range(orders):
            side, price_i = TAKES[number % 4]
            order = Order(engine.new_order_id(), inst, side, OrderType.LIMIT, size_lots=LOTS, price_i=price_i)
            await engine.submit_order(order)
            if number % 2:
                await engine.cancel_order(order.id)
            if (number + 1) % (orders // SAMPLES) == 0:
                sample(number + 1)
        await runtime.sleep(1_000_000)

    runtime.run(main=main())
    return check(engine, venue, journal, samples, orders, mode, path)


def check(
    engine: ExecutionEngine, venue: SimulatedVenue, journal: Any, samples: list[Any], orders: int, mode: str, path: Path
) -> dict[str, Any]:
    """What must hold in the end, and the figures."""
    tracker, entry = engine.order_tracker, venue.exchange.entry
    filled, cancelled = -(-orders // 2), orders // 2
    assert engine.metrics.value("exec.orders_placed") == orders
    assert engine.metrics.value("exec.orders_filled") == filled
    assert engine.metrics.value("exec.orders_cancelled") == cancelled
    assert (tracker.tracked, tracker.count()) == (orders, min(orders, KEPT))
    assert (entry.dropped, len(list(entry.booked))) == (max(0, orders - KEPT), min(orders, KEPT))
    assert journal.rows == 3 * filled + 4 * cancelled
    position = engine.get_position(next(iter(venue.instruments())))
    assert position.traded_lots == filled * LOTS
    wrong = audit(engine, {venue.venue_id: venue})
    assert not wrong, wrong
    seconds, memory = [at for _, at, _ in samples], [mib for _, _, mib in samples]
    growth_mib, half = memory[-1] - memory[2], SAMPLES // 2
    allowed_mib = orders * (SAMPLES - 2) / SAMPLES * PER_ORDER / 2**20 + SLACK_MIB
    assert growth_mib <= allowed_mib, f"{growth_mib:.1f} MiB more after the warm-up, {allowed_mib:.1f} expected"
    slowest = max(later - earlier for earlier, later in pairwise(seconds))
    figures = {
        "orders": orders,
        "journal": mode,
        "orders_per_s": round(orders / seconds[-1]),
        "slowest_tenth_per_s": round(orders / SAMPLES / slowest),
        "rss_mib": [round(mib, 1) for mib in memory],
        "growth_after_warm_up_mib": round(growth_mib, 1),
        "growth_of_second_half_mib": round(memory[-1] - memory[half], 1),
        "ids_mib": round(tracker.seen_bytes() / 2**20, 1),
        "journal_sha256": journal.digest(),
    }
    if mode != "off":
        figures |= _read_back(engine, journal, orders, path)
    return figures


def _read_back(engine: ExecutionEngine, journal: Any, orders: int, path: Path) -> dict[str, Any]:
    """Old orders from the journal, one by one and all together."""
    prefix = engine.order_tracker.get_all_orders()[0].id.rpartition("-")[0]
    for number in range(0, orders, max(1, orders // 100)):
        status = (OrderStatus.FILLED, OrderStatus.CANCELLED)[number % 2]
        order = engine.get_order(OrderId(f"{prefix}-{number + 1}"))
        assert (order.status, order.price_i) == (status, TAKES[number % 4][1])
    journal.close()
    started = time.perf_counter()
    folded = state_of(path, orders_kept_max=KEPT)
    fold_s = time.perf_counter() - started
    wrong = differences(engine, folded)
    assert not wrong, wrong
    return {
        "journal_mib": round(path.stat().st_size / 2**20, 1),
        "fold_rows_per_s": round(folded.rows / fold_s),
        "rss_after_fold_mib": round(rss_mib(), 1),
    }


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=1_000_000, help="at least 20 times what is kept for a fair look")
    parser.add_argument("--journal", choices=("batched", "off"), default="batched")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(run(given.orders, given.journal, Path(folder) / "journal.sqlite")))


if __name__ == "__main__":
    main(sys.argv[1:])
