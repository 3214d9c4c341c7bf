"""The stepped runtime keeps the promises of the Runtime port that tests of strategies rest on."""

from __future__ import annotations

import pytest

from execsim.core.errors import InternalError
from execsim.ports import NEVER, Priority, Runtime
from execsim.testing import StepRuntime


def test_it_is_a_runtime():
    runtime: Runtime = StepRuntime(start_ns=5)
    assert (runtime.now_ns(), runtime.next_event_ns()) == (5, NEVER)


def test_same_instant_order_is_priority_then_sequence():
    runtime, seen = StepRuntime(), []
    runtime.call_at(10, seen.append, "normal")
    runtime.call_at(10, seen.append, "last", priority=Priority.LAST)
    runtime.call_at(10, seen.append, "tape", priority=Priority.TAPE)
    runtime.call_at(10, seen.append, "normal 2")
    dead = runtime.call_at(5, seen.append, "dead")
    dead.cancel()
    assert runtime.next_event_ns() == 10
    runtime.drain()
    assert seen == ["tape", "normal", "normal 2", "last"]
    assert runtime.now_ns() == 10


def test_a_pending_settles_once_for_every_waiter():
    runtime, seen = StepRuntime(), []
    pending = runtime.pending("answer")

    async def wait(name):
        seen.append((name, await pending))

    for name in "ab":
        runtime.spawn(wait(name), name)
    runtime.call_at(7, pending.set, 1)
    runtime.call_at(8, pending.set, 2)
    runtime.drain()
    assert seen == [("a", 1), ("b", 1)]
    error = ValueError("no")
    failing = runtime.pending("failing")
    failing.fail(error)

    async def main():
        with pytest.raises(ValueError, match="no") as caught:
            await failing
        return caught.value

    assert runtime.run(main()) is error


def test_cancel_runs_finally_and_join_returns():
    runtime, seen = StepRuntime(), []

    async def task():
        try:
            await runtime.sleep(100)
        finally:
            seen.append(runtime.now_ns())

    async def main():
        running = runtime.spawn(task(), "sleeper")
        never_ran = runtime.spawn(task(), "second")
        never_ran.cancel()
        await runtime.sleep(10)
        running.cancel()
        await running.join()
        await never_ran.join()
        return running.done, never_ran.done

    assert runtime.run(main()) == (True, True)
    assert 10 in seen


def test_the_failure_of_a_task_ends_the_run():
    runtime = StepRuntime()

    async def bad():
        raise ValueError("boom")

    async def main():
        runtime.spawn(bad(), "bad")
        await runtime.sleep(10)

    with pytest.raises(ValueError, match="boom"):
        runtime.run(main())
    runtime.close()


def test_a_wait_nobody_can_settle_is_named():
    runtime = StepRuntime()

    async def main():
        await runtime.pending("an answer")

    with pytest.raises(InternalError, match="nothing will ever settle 'an answer'"):
        runtime.run(main())
    runtime.close()


def test_streams_of_numbers_depend_on_seed_and_name_only():
    one, two = StepRuntime(seed=1), StepRuntime(seed=1)
    two.rng("b").raw()
    assert one.rng("a").raws(3).tolist() == [two.rng("a").raw() for _ in range(3)]
    assert one.rng("a") is one.rng("a")
    assert one.rng("a").raw() != StepRuntime(seed=2).rng("a").raw()
    assert sorted({one.rng("c").below(5) for _ in range(200)}) == [0, 1, 2, 3, 4]
