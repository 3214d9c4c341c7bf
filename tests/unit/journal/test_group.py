"""Mode full with everything real: SQLite, its file, and an engine in wall time."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from execsim.core.instrument import Asset, Instrument, InstrumentKind
from execsim.core.order import Order, OrderAck, OrderId, OrderStatus, OrderType, Side
from execsim.core.units import Grid
from execsim.engine import EngineConfig, ExecutionEngine, RateLimiterConfig
from execsim.journal import SqliteJournal, read, state_of
from execsim.runtime import WallRuntime
from execsim.testing import MockVenue
from execsim.testing.refold import differences

USD = Asset("USD", Decimal("0.01"))
RAIN = Instrument(
    "mock", "rain", InstrumentKind.BINARY, Grid(Decimal("0.01"), Decimal(1)), Asset("YES", Decimal(1)), USD,
    Asset("NO", Decimal(1)),
)  # fmt: skip
ORDERS = 60


class Reader(MockVenue):
    """Looks into the file, as a process that starts after a crash would, whenever a request arrives."""

    path: Path

    def on_disk(self, kind: str, order_id: str) -> bool:
        return any(row.kind == kind and row.order_id == order_id for row in read(self.path))

    async def place_order(self, order: Order) -> OrderAck:
        assert self.on_disk("intent", order.id)
        return await super().place_order(order)

    async def modify_order(self, order_id: OrderId, price_i: int | None, size_lots: int | None) -> OrderAck:
        assert self.on_disk("amend_ask", order_id)
        return await super().modify_order(order_id, price_i, size_lots)


def test_nothing_is_sent_before_it_is_in_the_file_and_syncs_are_shared(tmp_path: Path) -> None:
    runtime, journal = WallRuntime(7), SqliteJournal(tmp_path / "j", "full")
    config = EngineConfig(rate_limits={"mock": RateLimiterConfig.unlimited()}, enable_validation=False)
    engine = ExecutionEngine(config, runtime, journal)
    venue = Reader("mock", [RAIN], runtime)
    venue.path = journal.path
    engine.register_adapter(venue)
    orders = [
        Order(engine.new_order_id(), RAIN, Side.BUY, OrderType.LIMIT, size_lots=5, price_i=50) for _ in range(ORDERS)
    ]
    seen: list[int] = []

    async def one(order: Order) -> None:
        await engine.submit_order(order)
        await engine.modify_order(order.id, size_lots=6)
        venue.fill(order.id, 6)

    async def main() -> None:
        tasks = [runtime.spawn(one(order), order.id) for order in orders]
        for task in tasks:
            await task.join()
        while len(list(read(journal.path))) < journal.rows:  # the fills, for which nobody waits
            await runtime.sleep(1_000_000)
        seen.append(journal.commits)

    runtime.run(main=main())
    journal.close()
    assert all(order.status is OrderStatus.FILLED for order in orders)
    assert [row.kind for row in read(journal.path)].count("intent") == ORDERS
    assert seen[0] < ORDERS  # intents that were written together were synced together
    folded = state_of(journal.path)
    for order in folded.tracker.get_all_orders():
        order.updated_ns = engine.get_order(
            order.id
        ).updated_ns  # in wall time a row is written just after its order moved
        folded.tracker.entry(order.id).sent_ns = engine.order_tracker.entry(order.id).sent_ns
    assert differences(engine, folded) == []
