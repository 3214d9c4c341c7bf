"""Time that stands still until it is released: over both runtimes, with the same order of events."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from execsim.core.errors import ExecTimeout
from execsim.ports import Priority
from execsim.runtime import HeldRuntime, VirtualRuntime, WallRuntime

START = 1_000_000_000
MS = 1_000_000


def run(script: Callable[[HeldRuntime, Any], Coroutine[Any, Any, None]], wall: bool) -> None:
    inner = WallRuntime(1, 7) if wall else VirtualRuntime(1, 7)
    held = HeldRuntime(inner, START)
    inner.run(main=script(held, inner))


both = pytest.mark.parametrize("wall", [False, True], ids=["virtual", "wall"])


@both
def test_no_time_passes_until_the_release(wall: bool) -> None:
    async def script(held: HeldRuntime, inner: Any) -> None:
        fired: list[str] = []
        held.call_at(START + 2 * MS, fired.append, "late")
        held.call_at(START + MS, fired.append, "soon")
        held.call_at(START + MS, fired.append, "first", priority=Priority.VENUE)
        held.call_at(START, fired.append, "now")
        dropped = held.call_at(START + MS, fired.append, "dropped")
        dropped.cancel()
        await inner.sleep(5 * MS)
        assert (held.now_ns(), held.held, fired) == (START, True, ["now"])
        later = held.call_at(START + 3 * MS, fired.append, "cancelled after the release")
        held.release()
        held.release()
        later.cancel()
        assert not held.held
        await held.sleep_until(START + 4 * MS)
        assert fired == ["now", "first", "soon", "late"]
        assert held.now_ns() >= START + 4 * MS
        if not wall:
            assert (held.now_ns(), inner.now_ns()) == (START + 4 * MS, 7 + 5 * MS + 4 * MS)
            held.call_at(START + 9 * MS, fired.append, "x")
            assert held.next_event_ns() == START + 9 * MS

    run(script, wall)


@both
def test_who_sleeps_sleeps_until_time_passes_again(wall: bool) -> None:
    async def script(held: HeldRuntime, inner: Any) -> None:
        woken: list[int] = []

        async def sleeper(ns: int) -> None:
            await held.sleep(ns)
            woken.append(ns)

        tasks = [held.spawn(sleeper(ns), f"sleeper {ns}") for ns in (2 * MS, MS, 0)]
        await inner.sleep(3 * MS)
        assert woken == [0]
        assert held.next_event_ns() == START
        held.release()
        for task in tasks:
            await task.join()
        assert woken == [0, MS, 2 * MS]
        before_ns = held.now_ns()
        await held.turn(before_ns)
        await held.sleep(MS)
        assert held.now_ns() >= before_ns + MS

    run(script, wall)


@both
def test_a_deadline_does_not_wait_for_the_release(wall: bool) -> None:
    async def script(held: HeldRuntime, inner: Any) -> None:
        late = ExecTimeout("x", "nobody came", "unknown")
        with pytest.raises(ExecTimeout):
            await held.within(START + 2 * MS, held.pending("nobody"), late)
        assert held.now_ns() == START
        held.release()
        done = held.pending("somebody")
        held.call_at(held.now_ns() + MS, done.set, 5)
        assert await held.within(held.now_ns() + 500 * MS, done, late) == 5
        assert await held.blocking(lambda: 3) == 3
        assert held.rng("a") is inner.rng("a")

    run(script, wall)


def test_the_tape_task_may_wait_for_ever_while_it_is_held() -> None:
    async def script(held: HeldRuntime, inner: Any) -> None:
        turned: list[int] = []

        async def tape() -> None:
            await held.turn(START + MS)
            turned.append(held.now_ns())

        task = held.spawn(tape(), "tape")
        await inner.sleep(10 * MS)
        assert turned == []
        held.release()
        await task.join()
        assert turned == [START + MS]

    run(script, wall=False)
