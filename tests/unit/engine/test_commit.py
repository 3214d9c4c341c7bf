"""Group commit on a disk that takes its time: 5 ms a sync in stepped time, and a real thread in wall time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from execsim.core.errors import ExecError, JournalError, RiskRejected, ValidationError
from execsim.core.order import Order, OrderAck, OrderId, OrderStatus, TimeInForce
from execsim.engine.commit import Committer
from execsim.runtime import VirtualRuntime, WallRuntime
from execsim.testing import MemoryJournal, MockVenue, StepRuntime

T = TypeVar("T")
S = OrderStatus
MS = 1_000_000
SYNC_NS = 5 * MS


class SlowDisk(MemoryJournal):
    """Rows are safe after a `flush`; `full` makes every further one fail."""

    def __init__(self) -> None:
        super().__init__()
        self.durable = True
        self.syncs = 0
        self.safe = 0
        self.full = False

    def flush(self) -> None:
        if self.full:
            raise JournalError("disk", "no space left")
        self.syncs += 1
        self.safe = len(self.rows)

    def has(self, kind: str, order_id: str) -> bool:
        """Whether such a row of the order is safe."""
        return any(row[0] == kind and row[2] == order_id for row in self.rows[: self.safe])


class SlowTime(StepRuntime):
    """A sync takes SYNC_NS: what is written while it goes on is not part of it."""

    async def blocking(self, fn: Callable[[], T]) -> T:
        value = fn()
        await self.sleep(SYNC_NS)
        return value


class Strict(MockVenue):
    """Accepts only what is on record."""

    disk: SlowDisk

    async def place_order(self, order: Order) -> OrderAck:
        assert self.disk.has("intent", order.id)
        return await super().place_order(order)

    async def modify_order(self, order_id: OrderId, price_i: int | None, size_lots: int | None) -> OrderAck:
        assert self.disk.has("amend_ask", order_id)
        return await super().modify_order(order_id, price_i, size_lots)


@pytest.fixture
def slow(make_rig: Any) -> Any:
    rig = make_rig(runtime=SlowTime(start_ns=1_000_000_000), journal=SlowDisk())
    rig.venue.__class__ = Strict
    rig.venue.disk = rig.journal
    yield rig
    rig.runtime.close()


def outcomes(rig: Any, works: list[Any]) -> list[Any]:
    """What each of several calls came to, all begun at one instant."""
    found: list[Any] = [None] * len(works)

    async def one(index: int, work: Any) -> None:
        try:
            found[index] = await work
        except ExecError as error:
            found[index] = error

    async def main() -> None:
        tasks = [rig.runtime.spawn(one(index, work), f"call {index}") for index, work in enumerate(works)]
        for task in tasks:
            await task.join()

    rig.run(main())
    return found


def test_orders_sent_together_share_their_syncs(slow: Any) -> None:
    orders = [slow.order() for _ in range(20)]
    outcomes(slow, [slow.engine.submit_order(order) for order in orders])
    assert all(order.status is S.WORKING for order in orders)
    assert slow.journal.syncs <= 4  # the first to come, all the others, and the acks


def test_a_batch_waits_once(slow: Any) -> None:
    results = slow.run(slow.engine.submit_batch([slow.order() for _ in range(10)]))
    assert all(result.ok for result in results)
    assert slow.journal.syncs <= 2


def test_amends_are_on_record_first_and_a_cancel_waits_for_no_disk(slow: Any) -> None:
    order = slow.working()
    slow.run(slow.engine.modify_order(order.id, size_lots=20_000_000))
    asked_ns = slow.runtime.now_ns()
    slow.run(slow.engine.cancel_order(order.id))
    assert [call.verb for call in slow.venue.calls] == ["place", "modify", "cancel"]
    assert slow.venue.calls[-1].ts_ns == asked_ns + slow.latency_ns
    assert order.status is S.CANCELLED


def test_rows_reach_the_disk_although_nobody_waits(slow: Any) -> None:
    order = slow.working()
    slow.venue.fill(order.id, 10_000_000)
    assert not slow.journal.has("fill", order.id)
    slow.runtime.drain()
    assert slow.journal.has("fill", order.id)
    assert slow.journal.safe == len(slow.journal.rows)


def test_what_is_cancelled_before_its_intent_is_safe_is_never_sent(slow: Any) -> None:
    order = slow.order()
    slow.later(SYNC_NS // 2, slow.engine.start_cancel, order)
    (refusal,) = outcomes(slow, [slow.engine.submit_order(order)])
    assert isinstance(refusal, ValidationError)
    assert refusal.rule == "cancelled"
    slow.runtime.drain()
    assert order.status is S.CANCELLED
    assert slow.venue.calls == []
    assert slow.journal.kinds == ["intent", "cancel", "gone"]
    assert slow.events(order.id) == ["send", "ask_cancel", "gone"]


def test_a_kill_while_the_intent_is_written_stops_it(slow: Any) -> None:
    batch = [slow.order() for _ in range(3)]
    slow.later(SYNC_NS // 2, slow.engine.kill, "enough")
    (results,) = outcomes(slow, [slow.engine.submit_batch(batch)])
    assert [type(result.error) for result in results] == [ValidationError] * 3
    assert all(order.status is S.CANCELLED for order in batch)
    assert slow.venue.calls == []
    (refused,) = outcomes(slow, [slow.engine.submit_order(slow.order())])
    assert isinstance(refused, RiskRejected)


def test_an_order_whose_time_runs_out_meanwhile_expires_unsent(slow: Any) -> None:
    order = slow.order(tif=TimeInForce.GTD, expire_ns=slow.runtime.now_ns() + SYNC_NS // 2)
    (refusal,) = outcomes(slow, [slow.engine.submit_order(order)])
    assert refusal.rule == "expired"
    assert order.status is S.EXPIRED
    assert slow.venue.calls == []


def test_a_full_disk_fails_every_waiter_and_ends_trading(slow: Any) -> None:
    working = slow.working()
    slow.runtime.drain()
    slow.journal.full = True
    orders = [slow.order() for _ in range(3)]
    found = outcomes(slow, [slow.engine.submit_order(order) for order in orders])
    assert [type(error) for error in found] == [JournalError] * 3
    assert all(order.status is S.REJECTED for order in orders)
    assert all("no space left" in order.reason for order in orders)
    assert isinstance(slow.engine.blotter.broken, JournalError)
    slow.journal.full = False  # too late: a record with a gap is none
    (refused,) = outcomes(slow, [slow.engine.submit_order(slow.order())])
    assert isinstance(refused, JournalError)
    assert [call.verb for call in slow.venue.calls] == ["place"]
    # what rests can still be cancelled: that takes risk away
    (ack,) = outcomes(slow, [slow.engine.cancel_order(working.id)])
    assert ack.cancelled


def test_without_durability_nothing_is_ever_awaited(rig: Any) -> None:
    commit = rig.engine.blotter.commit
    assert not commit.waits
    with pytest.raises(StopIteration):  # it ends without having given way
        commit.durable().send(None)
    rig.working()
    assert not any("commit" in task.name for task in rig.runtime._tasks)


def test_in_virtual_time_a_commit_gives_way_to_nobody() -> None:
    runtime, disk, order = VirtualRuntime(7), SlowDisk(), []

    async def writer(name: str, commit: Committer) -> None:
        disk.write("intent", 0, name, {})
        commit.kick()
        order.append(f"{name} before")
        await commit.durable()
        order.append(f"{name} after")

    async def main() -> None:
        commit = Committer(runtime, disk, lambda error: None)
        tasks = [runtime.spawn(writer(name, commit), name) for name in "ab"]
        for task in tasks:
            await task.join()

    runtime.run(main=main())
    assert order == ["a before", "a after", "b before", "b after"]


class Gate(MemoryJournal):
    """A disk in another thread: a sync begins when it is let, and says so."""

    def __init__(self) -> None:
        super().__init__()
        self.durable = True
        self.syncs: list[int] = []
        self.go = threading.Semaphore(0)
        self.begun = threading.Event()

    def flush(self) -> None:
        covered = len(self.rows)
        self.begun.set()
        assert self.go.acquire(timeout=30)
        self.syncs.append(covered)


def test_in_wall_time_waiters_share_a_sync_in_the_worker_thread() -> None:
    runtime, disk = WallRuntime(7), Gate()
    after: list[int] = []

    async def waiter(number: int, commit: Committer) -> None:
        disk.write("intent", 0, str(number), {})
        commit.kick()
        await commit.durable()
        after.append(number)

    async def main() -> None:
        commit = Committer(runtime, disk, lambda error: None)
        first = runtime.spawn(waiter(0, commit), "first")
        while not disk.begun.is_set():
            await runtime.sleep(MS)
        others = [runtime.spawn(waiter(number, commit), f"waiter {number}") for number in range(1, 50)]
        await runtime.sleep(MS)
        assert after == []  # the disk stands still, nobody else does
        disk.go.release(10)
        for task in (first, *others):
            await task.join()

    runtime.run(main=main())
    assert after == list(range(50))
    assert disk.syncs[:2] == [1, 50]
    assert len(disk.syncs) <= 3


def test_a_waiter_that_is_cancelled_takes_nobody_along() -> None:
    runtime, disk = WallRuntime(7), Gate()
    ended: list[str] = []

    async def waiter(name: str, commit: Committer) -> None:
        disk.write("intent", 0, name, {})
        commit.kick()
        await commit.durable()
        ended.append(name)

    async def main() -> None:
        commit = Committer(runtime, disk, lambda error: None)
        leader = runtime.spawn(waiter("leader", commit), "leader")
        while not disk.begun.is_set():
            await runtime.sleep(MS)
        other = runtime.spawn(waiter("other", commit), "other")
        await runtime.sleep(MS)
        leader.cancel()
        disk.go.release(10)
        await other.join()

    runtime.run(main=main())
    assert ended == ["other"]
    assert disk.syncs[-1] == 2


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=1, max_size=40))
def test_durable_returns_only_when_everything_before_it_is_safe(steps: list[tuple[int, bool]]) -> None:
    """Writers at any times, some waiting: on return the writer's row is safe, and no more syncs than rows were made."""
    runtime, disk = SlowTime(), SlowDisk()
    commit = Committer(runtime, disk, lambda error: None)
    unsafe: list[str] = []

    async def writer(number: int, at_ms: int, waits: bool) -> None:
        await runtime.sleep_until(at_ms * MS)
        disk.write("row", 0, str(number), {})
        commit.kick()
        if waits:
            await commit.durable()
            if not disk.has("row", str(number)):
                unsafe.append(str(number))

    async def main() -> None:
        tasks = [runtime.spawn(writer(n, at_ms, waits), str(n)) for n, (at_ms, waits) in enumerate(steps)]
        for task in tasks:
            await task.join()

    runtime.run(main())
    runtime.drain()
    assert unsafe == []
    assert disk.safe == len(disk.rows)
    assert disk.syncs <= len(steps)


def test_a_cancel_goes_out_although_nothing_can_be_recorded_any_more(make_rig: Any) -> None:
    rig = make_rig()
    order = rig.working()

    def refuse(*_: object) -> None:
        raise JournalError("journal.sqlite", "no space left on device")

    rig.journal.write = refuse
    rig.engine.start_cancel(order)
    rig.run(rig.runtime.sleep(10_000_000))
    assert [call.verb for call in rig.venue.calls] == ["place", "cancel"]
    assert order.status is rig.venue._booked[order.id].status is S.CANCELLED
