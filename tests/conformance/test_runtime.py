"""What every runtime must do, asked of both. Wall time uses sleeps of a few milliseconds."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from execsim.core.errors import ConfigError, ExecTimeout, Reached
from execsim.ports import NEVER, Priority
from execsim.runtime import Cancelled, Event, Group, Overflow, Queue, QueueClosed, VirtualRuntime, WallRuntime, timeout
from execsim.runtime.sync import Guarded

MS = 1_000_000
START_NS = 1_000 * MS

SOON = 40 * MS
"""An instant that is still to come when several timers have been set for it, even on a busy machine."""

Runtime = VirtualRuntime | WallRuntime
Make = Callable[[], Runtime]


def virtual() -> VirtualRuntime:
    return VirtualRuntime(7, START_NS)


def wall() -> WallRuntime:
    return WallRuntime(7, START_NS, cleanup_ns=200 * MS)


@pytest.fixture(params=[virtual, wall])
def make(request: pytest.FixtureRequest) -> Make:
    return request.param


def run(make: Make, body: Callable[[Runtime], Any]) -> Any:
    runtime = make()
    return runtime.run(main=body(runtime))


# --- time and order ---------------------------------------------------------------------------------------------------


def test_the_clock_starts_at_the_origin_and_sleeping_moves_it(make: Make) -> None:
    async def main(rt: Runtime) -> tuple[int, int, int]:
        first = rt.now_ns()
        await rt.sleep(2 * MS)
        second = rt.now_ns()
        await rt.sleep_until(second + MS)
        return first, second, rt.now_ns()

    first, second, third = run(make, main)
    assert START_NS <= first < START_NS + 1_000 * MS
    assert second >= first + 2 * MS
    assert third >= second + MS
    assert isinstance(third, int)


def test_the_stopwatch_measures_work_in_wall_time_and_nothing_in_virtual_time(make: Make) -> None:
    async def main(rt: Runtime) -> tuple[int, int]:
        before, watch = rt.now_ns(), rt.stopwatch_ns()
        for _ in range(1_000):
            rt.now_ns()
        work_ns = rt.stopwatch_ns() - watch
        await rt.sleep(2 * MS)
        assert rt.stopwatch_ns() - watch >= 2 * MS
        return work_ns, rt.now_ns() - before

    work_ns, passed_ns = run(make, main)
    assert passed_ns >= 2 * MS
    assert (work_ns == 0) == (make is virtual)


def test_timers_fire_by_time_then_priority_then_sequence(make: Make) -> None:
    async def main(rt: Runtime) -> list[str]:
        seen: list[str] = []
        at = rt.now_ns() + SOON
        rt.call_at(at + 1, seen.append, "later")
        rt.call_at(at, seen.append, "last", priority=Priority.LAST)
        rt.call_at(at, seen.append, "normal 1")
        rt.call_at(at, seen.append, "normal 2")
        rt.call_at(at, seen.append, "venue", priority=Priority.VENUE)
        rt.call_at(at, seen.append, "tape", priority=Priority.TAPE)
        rt.call_at(at - 1, seen.append, "earlier", priority=Priority.LAST)
        await rt.sleep_until(at + 2)
        return seen

    assert run(make, main) == ["earlier", "tape", "venue", "normal 1", "normal 2", "last", "later"]


def test_what_a_timer_causes_runs_before_the_next_timer_of_the_instant(make: Make) -> None:
    async def main(rt: Runtime) -> list[str]:
        seen: list[str] = []
        at = rt.now_ns() + SOON
        go = rt.pending("go")

        async def sleeper() -> None:
            await rt.sleep_until(at, Priority.VENUE)
            seen.append("sleeper")
            go.set(None)

        async def waiter() -> None:
            await go
            seen.append("waiter")
            rt.call_at(at, seen.append, "set meanwhile for the past, as tape", priority=Priority.TAPE)
            rt.call_at(at, seen.append, "set meanwhile for the past")
            await rt.sleep_until(0, Priority.LAST)
            seen.append("waiter, last")

        rt.spawn(sleeper(), "sleeper")
        rt.spawn(waiter(), "waiter")
        rt.call_at(at, seen.append, "normal")
        await rt.sleep_until(at + 5 * MS)
        return seen

    seen = run(make, main)
    assert seen[:2] == ["sleeper", "waiter"]
    assert seen[-1] == "waiter, last"
    if make is virtual:  # the wall clock has moved on, so "the past" is later than `at` there
        assert seen[2:4] == ["set meanwhile for the past, as tape", "normal"]


def test_a_sleep_into_the_past_gives_way(make: Make) -> None:
    async def main(rt: Runtime) -> list[str]:
        seen: list[str] = []

        async def other() -> None:
            seen.append("other")

        rt.spawn(other(), "other")
        await rt.sleep_until(rt.now_ns() - 5 * MS)
        seen.append("main")
        return seen

    assert run(make, main) == ["other", "main"]


def test_spawned_and_woken_tasks_step_in_the_order_in_which_they_became_ready(make: Make) -> None:
    async def main(rt: Runtime) -> list[str]:
        seen: list[str] = []
        go = rt.pending("go")

        async def waits(name: str) -> None:
            await go
            seen.append(name)

        async def starts(name: str) -> None:
            seen.append(name)

        for name in ("a", "b", "c"):
            rt.spawn(waits(name), name)
        await rt.sleep(MS)
        rt.spawn(starts("before"), "before")
        go.set(None)
        rt.spawn(starts("after"), "after")
        await rt.sleep(MS)
        return seen

    assert run(make, main) == ["before", "a", "b", "c", "after"]


def test_a_cancelled_timer_never_fires(make: Make) -> None:
    async def main(rt: Runtime) -> list[str]:
        seen: list[str] = []
        dead = rt.call_at(rt.now_ns() + MS, seen.append, "dead")
        rt.call_at(rt.now_ns() + 2 * MS, seen.append, "live")
        dead.cancel()
        dead.cancel()
        await rt.sleep(4 * MS)
        return seen

    assert run(make, main) == ["live"]


def test_a_timer_cancelled_by_a_timer_of_the_same_instant_never_fires(make: Make) -> None:
    async def main(rt: Runtime) -> list[str]:
        seen: list[str] = []
        at = rt.now_ns() + SOON
        rt.call_at(at, lambda: victim.cancel(), priority=Priority.VENUE)
        victim = rt.call_at(at, seen.append, "victim")
        fired = rt.call_at(at, seen.append, "fired")
        await rt.sleep_until(at + 1)
        fired.cancel()
        return seen

    assert run(make, main) == ["fired"]


def test_a_dead_timer_keeps_no_run_alive(make: Make) -> None:
    rt = make()
    rt.call_at(START_NS + 3_600_000 * MS, print, "an hour later").cancel()
    rt.run()
    assert rt.now_ns() < START_NS + 1_000 * MS


def test_without_main_a_run_ends_when_tasks_and_calls_are_done(make: Make) -> None:
    rt = make()
    seen: list[str] = []

    async def ticker() -> None:
        while True:
            await rt.sleep(MS)

    async def work() -> None:
        await rt.sleep(2 * MS)
        seen.append("work")
        rt.call_at(rt.now_ns() + 2 * MS, seen.append, "call")

    rt.spawn(ticker(), "ticker", daemon=True)
    rt.spawn(work(), "work")
    assert rt.run() is None
    assert seen == ["work", "call"]


def test_until_cuts_a_run_off_after_that_instant(make: Make) -> None:
    rt = make()
    seen: list[str] = []

    async def main() -> str:
        try:
            await rt.sleep_until(START_NS + 60_000 * MS)
        finally:
            seen.append("cleanup")
        return "never"

    rt.call_at(START_NS + 3 * MS, seen.append, "at until")
    rt.call_at(START_NS + 3 * MS + 1, seen.append, "too late")
    assert rt.run(until_ns=START_NS + 3 * MS, main=main()) is None
    assert seen == ["at until", "cleanup"]
    assert rt.now_ns() >= START_NS + 3 * MS


# --- pending ----------------------------------------------------------------------------------------------------------


def test_a_pending_gives_every_waiter_the_same_object_in_order(make: Make) -> None:
    value = object()

    async def main(rt: Runtime) -> list[tuple[int, object]]:
        pending = rt.pending("value")
        seen: list[tuple[int, object]] = []

        async def waiter(i: int) -> None:
            seen.append((i, await pending))

        for i in range(4):
            rt.spawn(waiter(i), f"waiter {i}")
        rt.call_at(rt.now_ns() + MS, pending.set, value)
        await rt.sleep(2 * MS)
        assert pending.done
        pending.set("a second settlement is ignored")
        pending.fail(ValueError("and so is this"))
        seen.append((4, await pending))
        return seen

    seen = run(make, main)
    assert [i for i, _ in seen] == [0, 1, 2, 3, 4]
    assert all(got is value for _, got in seen)


class Odd(Exception):
    """An error that `type(e)(*e.args)` cannot rebuild."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} {two}")


def test_a_failed_pending_raises_the_very_error_in_every_waiter(make: Make) -> None:
    error = Odd(1, 2)

    async def main(rt: Runtime) -> list[BaseException]:
        pending = rt.pending("value")
        seen: list[BaseException] = []

        async def waiter() -> None:
            try:
                await pending
            except Odd as raised:
                seen.append(raised)

        tasks = [rt.spawn(waiter(), f"waiter {i}") for i in range(3)]
        rt.call_at(rt.now_ns() + MS, pending.fail, error)
        for task in tasks:
            await task.join()
        await waiter()
        return seen

    seen = run(make, main)
    assert len(seen) == 4
    assert all(raised is error for raised in seen)


def test_waiting_outside_a_task_is_refused(make: Make) -> None:
    rt = make()
    coro = rt.sleep(1)
    with pytest.raises(ConfigError, match="outside a task"):
        coro.send(None)
    with pytest.raises(ConfigError, match="not a coroutine"):
        rt.spawn(test_waiting_outside_a_task_is_refused, "f")  # type: ignore[arg-type]


# --- cancelling -------------------------------------------------------------------------------------------------------


def test_cancel_in_a_sleep_runs_finally_and_ends_only_that_task(make: Make) -> None:
    async def main(rt: Runtime) -> list[object]:
        seen: list[object] = []

        async def sleeper() -> None:
            try:
                await rt.sleep_until(NEVER)
                seen.append("woke")
            finally:
                seen.append("finally")

        task = rt.spawn(sleeper(), "sleeper")
        await rt.sleep(MS)
        task.cancel()
        seen.append(task.done)
        await task.join()
        task.cancel()
        seen.append(task.done)
        return seen

    assert run(make, main) == [False, "finally", True]


def test_cancel_in_a_pending_leaves_the_other_waiters(make: Make) -> None:
    async def main(rt: Runtime) -> list[str]:
        seen: list[str] = []
        pending = rt.pending("p")

        async def waiter(name: str) -> None:
            try:
                await pending
                seen.append(f"{name} got it")
            finally:
                seen.append(f"{name} ends")

        tasks = [rt.spawn(waiter(name), name) for name in "abc"]
        await rt.sleep(MS)
        tasks[1].cancel()
        await rt.sleep(MS)
        pending.set(1)
        await tasks[2].join()
        return seen

    assert run(make, main) == ["b ends", "a got it", "a ends", "c got it", "c ends"]


def test_a_cancel_wins_over_a_result_of_the_same_instant(make: Make) -> None:
    async def main(rt: Runtime) -> list[str]:
        seen: list[str] = []
        pending = rt.pending("p")

        async def waiter() -> None:
            try:
                await pending
                seen.append("got it")
            finally:
                seen.append("ends")

        task = rt.spawn(waiter(), "waiter")
        await rt.sleep(MS)
        pending.set(1)
        task.cancel()
        await task.join()
        return seen

    assert run(make, main) == ["ends"]


def test_a_task_cancelled_before_its_first_step_never_runs(make: Make) -> None:
    async def main(rt: Runtime) -> tuple[list[str], bool]:
        seen: list[str] = []

        async def body() -> None:
            seen.append("ran")

        task = rt.spawn(body(), "body")
        task.cancel()
        await task.join()
        return seen, task.done

    assert run(make, main) == ([], True)


def test_a_task_that_cancels_itself_learns_it_at_its_next_wait(make: Make) -> None:
    async def main(rt: Runtime) -> list[str]:
        seen: list[str] = []

        async def body() -> None:
            task.cancel()
            seen.append("still here")
            try:
                await rt.sleep(MS)
                seen.append("slept")
            finally:
                seen.append("ends")

        task = rt.spawn(body(), "body")
        await task.join()
        return seen

    assert run(make, main) == ["still here", "ends"]


def test_cleanup_may_wait_while_the_run_goes_on_and_can_be_cancelled_again(make: Make) -> None:
    async def main(rt: Runtime) -> list[str]:
        seen: list[str] = []

        async def body() -> None:
            try:
                await rt.sleep_until(NEVER)
            finally:
                await rt.sleep(MS)
                seen.append("cleaned")
                try:
                    await rt.sleep_until(NEVER)
                finally:
                    seen.append("cancelled again")

        task = rt.spawn(body(), "body")
        await rt.sleep(MS)
        task.cancel()
        await rt.sleep(4 * MS)
        task.cancel()
        await task.join()
        return seen

    assert run(make, main) == ["cleaned", "cancelled again"]


def test_the_end_cancels_what_is_left_newest_first(make: Make) -> None:
    seen: list[str] = []

    async def main(rt: Runtime) -> str:
        async def body(name: str) -> None:
            try:
                await rt.sleep_until(NEVER)
            finally:
                await rt.sleep(0)
                seen.append(name)

        async def swallows() -> None:
            try:
                await rt.sleep_until(NEVER)
            except Cancelled:
                seen.append("swallowed")

        rt.spawn(body("a"), "a")
        rt.spawn(body("b"), "b", daemon=True)
        rt.spawn(swallows(), "swallows")
        rt.spawn(body("c"), "c")
        await rt.sleep(MS)
        rt.spawn(body("never started"), "d")
        return "result"

    assert run(make, main) == "result"
    assert seen == ["c", "swallowed", "b", "a"]


def test_a_cleanup_that_wants_time_after_the_end_is_cut_off_by_name(make: Make) -> None:
    seen: list[str] = []

    async def main(rt: Runtime) -> None:
        async def body() -> None:
            try:
                await rt.sleep_until(NEVER)
            finally:
                try:
                    await rt.pending("flush")
                finally:
                    seen.append("cut off")

        rt.spawn(body(), "writer")
        await rt.sleep(MS)

    with pytest.raises(ConfigError, match="cleanup of task 'writer' still waits for 'flush'"):
        run(make, main)
    assert seen == ["cut off"]


def test_a_task_that_refuses_to_end_is_closed_by_force(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("execsim.runtime.virtual.CANCELS_MAX", 3)
    monkeypatch.setattr("execsim.runtime.wall.CANCELS_MAX", 3)
    refused: list[BaseException] = []

    async def main(rt: Runtime) -> None:
        async def body() -> None:
            while True:
                try:
                    await rt.sleep_until(NEVER)
                except Cancelled as error:
                    refused.append(error)

        rt.spawn(body(), "stubborn")
        await rt.sleep(MS)

    with pytest.raises(ConfigError, match="cleanup of task 'stubborn'"):
        run(make, main)
    assert len(refused) == 4


# --- failing ----------------------------------------------------------------------------------------------------------


def test_a_tasks_failure_ends_the_run_as_the_same_object_with_its_traceback(make: Make) -> None:
    error = Odd(1, 2)
    cleaned: list[str] = []

    async def main(rt: Runtime) -> None:
        async def breaks() -> None:
            await rt.sleep(MS)
            raise error

        rt.spawn(breaks(), "breaks", daemon=True)
        try:
            await rt.sleep_until(NEVER)
        finally:
            cleaned.append("main")
            raise KeyError("second")

    with pytest.raises(Odd) as caught:
        run(make, main)
    assert caught.value is error
    assert traceback.extract_tb(error.__traceback__)[-1].name == "breaks"
    assert cleaned == ["main"]
    assert any("task 'main' raised KeyError('second')" in note for note in error.__notes__)


def test_join_never_raises_what_the_task_raised(make: Make) -> None:
    joined: list[bool] = []

    async def main(rt: Runtime) -> None:
        async def breaks() -> None:
            raise Odd(1, 2)

        task = rt.spawn(breaks(), "breaks")
        try:
            await task.join()
        finally:
            joined.append(task.done)

    with pytest.raises(Odd):
        run(make, main)
    assert joined == [True]


def test_a_timer_functions_failure_ends_the_run(make: Make) -> None:
    async def main(rt: Runtime) -> None:
        rt.call_at(rt.now_ns() + MS, divmod, 1, 0)
        await rt.sleep_until(NEVER)

    with pytest.raises(ZeroDivisionError):
        run(make, main)


def test_times_become_plain_integers_or_are_refused(make: Make) -> None:
    async def main(rt: Runtime) -> type:
        await rt.sleep_until(np.int64(rt.now_ns() + MS))
        with pytest.raises(ConfigError, match=r"time .* is not an integer"):
            await rt.sleep(MS + 0.5)  # type: ignore[arg-type]
        with pytest.raises(ConfigError, match=r"time .* is not an integer"):
            rt.call_at(rt.now_ns() + MS + 0.5, print)  # type: ignore[arg-type]
        return type(rt.now_ns())

    assert run(make, main) is int


def test_a_runtime_runs_once(make: Make) -> None:
    async def main(rt: Runtime) -> int:
        return 1

    rt = make()
    assert rt.run(main=main(rt)) == 1
    with pytest.raises(ConfigError, match="already run"):
        rt.run(main=main(rt))
    with pytest.raises(ConfigError, match="after the run had ended"):
        rt.spawn(main(rt), "late")


def test_blocking_returns_the_value_or_the_error(make: Make) -> None:
    async def main(rt: Runtime) -> tuple[int, BaseException | None]:
        value = await rt.blocking(lambda: 6 * 7)
        try:
            await rt.blocking(lambda: 1 // 0)
        except ZeroDivisionError as error:
            return value, error
        return value, None

    value, error = run(make, main)
    assert value == 42
    assert isinstance(error, ZeroDivisionError)


def test_turn_waits_until_the_given_time(make: Make) -> None:
    async def main(rt: Runtime) -> int:
        until = rt.now_ns() + 2 * MS
        await rt.turn(until)
        return rt.now_ns() - until

    assert run(make, main) >= 0


def test_random_streams_are_the_same_in_both_runtimes() -> None:
    assert [virtual().rng("x").raw() for _ in range(3)] == [wall().rng("x").raw() for _ in range(3)]
    rt = virtual()
    assert rt.rng("x") is rt.rng("x")


# --- sync -------------------------------------------------------------------------------------------------------------


def test_timeout_gives_the_result_the_error_or_exectimeout(make: Make) -> None:
    async def main(rt: Runtime) -> list[object]:
        seen: list[object] = []

        async def after(ns: int, value: str) -> str:
            try:
                await rt.sleep(ns)
            finally:
                seen.append(f"{value} ends")
            return value

        seen.append(await timeout(rt, 500 * MS, after(MS, "quick"), "quick"))
        with pytest.raises(ExecTimeout, match=r"slow: no result within 1000000 ns") as caught:
            await timeout(rt, MS, after(500 * MS, "slow"), "slow")
        assert caught.value.reached is Reached.UNKNOWN
        pending = rt.pending("answer")
        error = Odd(1, 2)
        rt.call_at(rt.now_ns() + MS, pending.fail, error)
        with pytest.raises(Odd) as raised:
            await timeout(rt, 500 * MS, pending)
        assert raised.value is error
        await rt.sleep(MS)
        return seen

    assert run(make, main) == ["quick ends", "quick", "slow ends"]


def test_a_cancelled_timeout_cancels_what_it_waits_for(make: Make) -> None:
    async def main(rt: Runtime) -> list[str]:
        seen: list[str] = []

        async def inner() -> None:
            try:
                await rt.sleep_until(NEVER)
            finally:
                seen.append("inner ends")

        async def outer() -> None:
            await timeout(rt, 500 * MS, inner(), "inner")

        async def ends_before_inner_starts() -> None:
            itself.cancel()
            await timeout(rt, 500 * MS, inner(), "inner")

        started = rt.spawn(outer(), "outer")
        await rt.sleep(MS)
        started.cancel()
        await rt.sleep(MS)
        itself = rt.spawn(ends_before_inner_starts(), "itself")
        await rt.sleep(MS)
        return seen

    assert run(make, main) == ["inner ends"]


def test_queue_hands_items_to_getters_in_order_and_ends_with_close(make: Make) -> None:
    async def main(rt: Runtime) -> list[object]:
        queue: Queue[int] = Queue(rt, "q", 2)
        seen: list[object] = []

        async def reader(name: str) -> None:
            try:
                seen.append((name, await queue.get()))
            except QueueClosed:
                seen.append((name, "closed"))

        for name in "abc":
            rt.spawn(reader(name), name)
        await rt.sleep(MS)
        queue.put_nowait(1)
        queue.put_nowait(2)
        await rt.sleep(MS)
        queue.close()
        await rt.sleep(MS)
        seen.append(queue.put_nowait(3))
        return seen

    assert run(make, main) == [("a", 1), ("b", 2), ("c", "closed"), False]


def test_an_item_given_to_a_cancelled_getter_is_not_lost(make: Make) -> None:
    async def main(rt: Runtime) -> list[object]:
        queue: Queue[int] = Queue(rt, "q", 2)
        seen: list[object] = []

        async def reader(name: str) -> None:
            seen.append((name, await queue.get()))

        first, _ = rt.spawn(reader("a"), "a"), rt.spawn(reader("b"), "b", daemon=True)
        idle = rt.spawn(reader("c"), "c")
        await rt.sleep(MS)
        queue.put_nowait(1)
        first.cancel()
        idle.cancel()
        await rt.sleep(MS)
        alone = rt.spawn(reader("d"), "d")
        await rt.sleep(MS)
        queue.put_nowait(2)
        alone.cancel()
        await rt.sleep(MS)
        seen.append((len(queue), await queue.get()))
        return seen

    assert run(make, main) == [("b", 1), (1, 2)]


@pytest.mark.parametrize(
    ("overflow", "left", "dropped"), [(Overflow.DROP_OLDEST, [2, 3], 1), (Overflow.DROP_NEWEST, [1, 2], 1)]
)
def test_a_full_queue_drops_as_named(make: Make, overflow: Overflow, left: list[int], dropped: int) -> None:
    async def main(rt: Runtime) -> tuple[list[int], int]:
        queue: Queue[int] = Queue(rt, "q", 2, overflow)
        taken = [queue.put_nowait(i) for i in (1, 2, 3)]
        assert taken == [True, True, overflow is Overflow.DROP_OLDEST]
        queue.close()
        return [item async for item in queue], queue.dropped

    assert run(make, main) == (left, dropped)


def test_a_full_queue_that_may_lose_nothing_says_so(make: Make) -> None:
    rt = make()
    queue: Queue[int] = Queue(rt, "prints", 1)
    queue.put_nowait(1)
    with pytest.raises(ConfigError, match="queue 'prints' is full: 1 items"):
        queue.put_nowait(2)
    with pytest.raises(ConfigError, match="at least 1"):
        Queue(rt, "none", 0)


def test_leaving_a_stream_and_closing_it_leaves_nothing_behind(make: Make) -> None:
    async def main(rt: Runtime) -> list[int]:
        queue: Queue[int] = Queue(rt, "q", 10)
        seen: list[int] = []

        async def writer() -> None:
            for i in range(10):
                if not queue.put_nowait(i):
                    return
                await rt.sleep(MS // 10)

        task = rt.spawn(writer(), "writer")
        async for item in queue:
            seen.append(item)
            if item == 2:
                break
        await queue.aclose()
        await task.join()
        return seen

    assert run(make, main) == [0, 1, 2]


def test_event_wakes_all_and_can_be_cleared(make: Make) -> None:
    async def main(rt: Runtime) -> list[str]:
        event = Event(rt, "go")
        seen: list[str] = []

        async def waiter(name: str) -> None:
            await event.wait()
            seen.append(name)

        for name in "ab":
            rt.spawn(waiter(name), name)
        await rt.sleep(MS)
        event.set()
        event.set()
        await event.wait()
        event.clear()
        assert not event.is_set
        rt.spawn(waiter("c"), "c", daemon=True)
        await rt.sleep(MS)
        assert seen == ["a", "b"]
        event.set()
        await rt.sleep(MS)
        return seen

    assert run(make, main) == ["a", "b", "c"]


def test_group_returns_results_in_spawn_order(make: Make) -> None:
    async def main(rt: Runtime) -> list[int]:
        async def after(ms: int) -> int:
            await rt.sleep(ms * MS)
            return ms

        group = Group(rt, "g")
        for ms in (3, 1, 2):
            group.spawn(after(ms), str(ms))
        return await group.wait()

    assert run(make, main) == [3, 1, 2]


def test_the_first_error_of_a_group_cancels_the_rest(make: Make) -> None:
    error = Odd(1, 2)
    seen: list[str] = []

    async def main(rt: Runtime) -> str:
        async def sleeps(name: str) -> None:
            try:
                await rt.sleep_until(NEVER)
            finally:
                seen.append(name)

        async def breaks() -> None:
            await rt.sleep(MS)
            raise error

        with pytest.raises(Odd) as caught:  # noqa: PT012  # the block's end is what raises
            async with Group(rt, "g") as group:
                group.spawn(sleeps("a"), "a")
                group.spawn(breaks(), "breaks")
                group.spawn(sleeps("c"), "c")
        assert caught.value is error
        return "the run goes on"

    assert run(make, main) == "the run goes on"
    assert seen == ["c", "a"]


def test_a_group_ends_its_tasks_when_its_owner_is_cancelled_or_its_block_fails(make: Make) -> None:
    async def main(rt: Runtime) -> list[str]:
        seen: list[str] = []

        async def sleeps(name: str) -> None:
            try:
                await rt.sleep_until(NEVER)
            finally:
                seen.append(name)

        async def owner() -> None:
            async with Group(rt, "g") as group:
                group.spawn(sleeps("a"), "a")

        task = rt.spawn(owner(), "owner")
        await rt.sleep(MS)
        task.cancel()
        await rt.sleep(MS)
        with pytest.raises(KeyError):  # noqa: PT012  # leaving the block early is the point
            async with Group(rt, "h") as group:
                group.spawn(sleeps("b"), "b")
                await rt.sleep(MS)
                group.spawn(sleeps("never started"), "c")
                raise KeyError("body")
        await rt.sleep(MS)
        return seen

    assert run(make, main) == ["a", "b"]


def test_an_error_after_the_deadline_is_not_lost(make: Make) -> None:
    async def main(rt: Runtime) -> None:
        async def breaks_in_cleanup() -> None:
            try:
                await rt.sleep_until(NEVER)
            finally:
                raise Odd(1, 2)

        with pytest.raises(ExecTimeout):
            await timeout(rt, MS, breaks_in_cleanup(), "x")
        await rt.sleep(MS)

    with pytest.raises(Odd):
        run(make, main)


def test_a_guarded_coroutine_tells_its_end_and_passes_the_rest_on(make: Make) -> None:
    async def main(rt: Runtime) -> list[object]:
        told: list[object] = []

        def ended(value: object, error: Exception | None) -> bool:
            told.append(value if error is None else type(error))
            return not isinstance(error, KeyError)

        async def raises(error: Exception) -> None:
            await rt.sleep(0)
            raise error

        async def gives(value: str) -> str:
            try:
                await rt.pending("never")
            except ValueError:
                return value
            return "not thrown"

        await Guarded(raises(Odd(1, 2)), ended)
        with pytest.raises(KeyError):
            await Guarded(raises(KeyError()), ended)
        thrown = Guarded(gives("value"), ended)
        thrown.send(None)
        with pytest.raises(StopIteration):
            thrown.throw(ValueError())
        again = Guarded(raises(Odd(1, 2)), ended)
        with pytest.raises(StopIteration):
            again.throw(ValueError())
        with pytest.raises(KeyError):
            Guarded(raises(Odd(1, 2)), ended).throw(KeyError())
        return told

    assert run(make, main) == [Odd, KeyError, "value", ValueError, KeyError]


def test_something_nobody_can_wake_is_refused_at_its_await(make: Make) -> None:
    class Strange:
        def __await__(self) -> Any:
            yield "strange"

    async def main(rt: Runtime) -> str:
        with pytest.raises(ConfigError, match=r"task 'main' awaited .*str"):
            await Strange()
        await rt.sleep(MS)
        return "goes on"

    assert run(make, main) == "goes on"


# --- virtual only -----------------------------------------------------------------------------------------------------


def test_virtual_an_asyncio_future_is_refused_by_name() -> None:
    loop = asyncio.new_event_loop()
    try:

        async def main() -> None:
            await loop.create_future()

        with pytest.raises(ConfigError, match=r"task 'main' awaited .*Future in virtual time"):
            virtual().run(main=main())
    finally:
        loop.close()


def test_virtual_asyncio_sleep_is_refused_by_name() -> None:
    async def main() -> None:
        await asyncio.sleep(1)

    with pytest.raises(ConfigError, match="task 'main' used asyncio in virtual time"):
        virtual().run(main=main())


def test_virtual_a_stuck_wait_names_task_and_pending() -> None:
    rt = virtual()
    cleaned: list[str] = []

    async def quoter() -> None:
        try:
            await rt.pending("ack of order 3")
        finally:
            cleaned.append("quoter")

    async def main() -> None:
        await rt.spawn(quoter(), "quoter").join()

    rt.call_at(START_NS + MS, print, "").cancel()
    with pytest.raises(ConfigError, match=r"stuck at 1000000000 ns.*'main' .*'quoter' \(waits for 'ack of order 3'\)"):
        rt.run(main=main())
    assert cleaned == ["quoter"]
    forever = virtual()
    forever.spawn(forever.sleep_until(NEVER), "forever")
    with pytest.raises(ConfigError, match=r"'forever' \(waits for time to pass\)"):
        forever.run()


@pytest.mark.parametrize("how", ["sleep", "call"])
def test_virtual_an_endless_loop_names_who_runs(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    monkeypatch.setattr("execsim.runtime.virtual.STEPS_PER_INSTANT_MAX", 1_000)
    rt = virtual()

    async def spinner() -> None:
        while True:
            await rt.sleep(0)

    def again() -> None:
        rt.call_at(rt.now_ns(), again)

    async def main() -> None:
        await rt.sleep(MS)
        if how == "sleep":
            rt.spawn(spinner(), "spinner")
        else:
            rt.call_at(0, again)
        await rt.sleep(MS)

    culprit = "task 'spinner'" if how == "sleep" else r"timer function .*again"
    with pytest.raises(ConfigError, match=rf"endless loop at 1001000000 ns: 1000 steps .*{culprit}"):
        rt.run(main=main())


def test_virtual_an_endless_loop_in_cleanup_ends_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("execsim.runtime.virtual.STEPS_PER_INSTANT_MAX", 1_000)
    rt = virtual()

    async def spins_at_the_end() -> None:
        try:
            await rt.sleep_until(NEVER)
        finally:
            for _ in range(10_000):
                await rt.sleep(0)

    rt.spawn(spins_at_the_end(), "spins at the end", daemon=True)
    with pytest.raises(ConfigError, match=r"endless loop .*'spins at the end'"):
        rt.run(main=rt.sleep(1))


# --- wall only --------------------------------------------------------------------------------------------------------


def test_wall_asyncio_futures_and_tasks_can_be_awaited() -> None:
    rt = wall()
    seen: list[str] = []
    started = rt.pending("started")

    async def in_asyncio(value: str) -> str:
        async with asyncio.timeout(1):
            await asyncio.sleep(0.001)
        return value

    async def forever() -> None:
        try:
            started.set(None)
            await asyncio.sleep(3600)
        finally:
            seen.append("asyncio task cancelled")

    async def holder() -> None:
        await asyncio.ensure_future(forever())

    async def main() -> str:
        await asyncio.sleep(0)
        await asyncio.sleep(0.001)
        task = rt.spawn(holder(), "holder")
        await started
        task.cancel()
        await task.join()
        return await asyncio.ensure_future(in_asyncio("value"))

    assert rt.run(main=main()) == "value"
    assert seen == ["asyncio task cancelled"]


def test_wall_a_future_that_fails_raises_in_the_task() -> None:
    error = Odd(1, 2)

    async def main() -> BaseException:
        future = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(0.001, future.set_exception, error)
        try:
            await future
        except Odd as raised:
            return raised
        raise AssertionError("no error")

    assert wall().run(main=main()) is error


def test_wall_speed_and_the_real_epoch() -> None:
    rt = WallRuntime(1, START_NS, speed=1000)

    async def main() -> int:
        await rt.sleep(2_000 * MS)
        return rt.now_ns()

    assert START_NS + 2_000 * MS <= rt.run(main=main()) < START_NS + 60_000_000 * MS
    assert WallRuntime(1).now_ns() > 1_600_000_000_000_000_000
    with pytest.raises(ConfigError, match="speed"):
        WallRuntime(1, speed=0)


def test_wall_cancelling_the_asyncio_task_cleans_up() -> None:
    rt = wall()
    seen: list[str] = []

    async def main() -> None:
        try:
            await rt.sleep_until(NEVER)
        finally:
            await rt.sleep(MS)
            seen.append("cleaned")

    async def outside() -> None:
        running = asyncio.create_task(rt.main_async(main()))
        await asyncio.sleep(0.002)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(outside())
    assert seen == ["cleaned"]


def test_wall_sockets_are_served_while_tasks_are_always_ready() -> None:
    rt = wall()

    async def spinner() -> None:
        while True:
            await rt.sleep(0)

    async def main() -> str:
        rt.spawn(spinner(), "spinner", daemon=True)
        await asyncio.sleep(0.002)
        return "served"

    assert rt.run(main=main()) == "served"


# --- within -----------------------------------------------------------------------------------------------------------


def test_within_gives_what_came_in_time(make: Make) -> None:
    async def main(rt: Runtime) -> tuple[str, int]:
        async def work() -> str:
            await rt.sleep(MS)
            return "done"

        return await rt.within(rt.now_ns() + 1_000 * MS, work(), ExecTimeout("v", "late", "unknown")), rt.now_ns()

    value, at_ns = run(make, main)
    assert value == "done"
    assert at_ns < START_NS + 900 * MS


def test_within_raises_its_error_where_the_work_waits_and_the_work_may_clean_up(make: Make) -> None:
    late = ExecTimeout("v", "late", "unknown")
    seen: list[object] = []

    async def main(rt: Runtime) -> None:
        never = rt.pending("an answer that never comes")

        async def work() -> None:
            try:
                await never
            finally:
                seen.append("cleaned up")

        try:
            await rt.within(rt.now_ns() + 2 * MS, work(), late)
        except ExecTimeout as error:
            seen.append(error)
        never.set(None)
        await rt.sleep(MS)
        seen.append("and the task goes on")

    run(make, main)
    assert seen == ["cleaned up", late, "and the task goes on"]


def test_an_answer_that_came_first_wins_over_the_deadline() -> None:
    async def main(rt: VirtualRuntime) -> str:
        answer = rt.pending("answer")
        at_ns = rt.now_ns() + MS
        rt.call_at(at_ns, answer.set, "in time", priority=Priority.VENUE)

        async def work() -> str:
            value: str = await answer
            return value

        return await rt.within(at_ns, work(), ExecTimeout("v", "late", "unknown"))

    rt = VirtualRuntime(7, START_NS)
    assert rt.run(main=main(rt)) == "in time"
