"""A clock that is behind another one: over both runtimes, with the same order of events."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from execsim.core.errors import ExecTimeout
from execsim.ports import Priority
from execsim.runtime import BehindRuntime, VirtualRuntime, WallRuntime

START = 1_000_000_000
MS = 1_000_000
BACK = 300 * MS


def run(script: Callable[[BehindRuntime, Any], Coroutine[Any, Any, None]], wall: bool) -> None:
    inner = WallRuntime(1, START + BACK) if wall else VirtualRuntime(1, START + BACK)
    inner.run(main=script(BehindRuntime(inner, BACK), inner))


both = pytest.mark.parametrize("wall", [False, True], ids=["virtual", "wall"])


@both
def test_timers_fire_when_its_own_clock_says_so(wall: bool) -> None:
    async def script(behind: BehindRuntime, inner: Any) -> None:
        fired: list[str] = []
        behind.call_at(START + 2 * MS, fired.append, "late")
        behind.call_at(START + MS, fired.append, "soon")
        behind.call_at(START + MS, fired.append, "first", priority=Priority.VENUE)
        behind.call_at(START - BACK, fired.append, "long ago")
        dropped = behind.call_at(START + MS, fired.append, "dropped")
        dropped.cancel()
        await behind.sleep_until(START + 4 * MS)
        assert fired == ["long ago", "first", "soon", "late"]
        assert inner.now_ns() - behind.now_ns() == BACK
        assert behind.now_ns() >= START + 4 * MS
        if not wall:
            assert (behind.now_ns(), inner.now_ns()) == (START + 4 * MS, START + BACK + 4 * MS)
            behind.call_at(START + 9 * MS, fired.append, "x")
            assert behind.next_event_ns() == START + 9 * MS

    run(script, wall)


@both
def test_sleeps_and_turns(wall: bool) -> None:
    async def script(behind: BehindRuntime, inner: Any) -> None:
        woken: list[int] = []

        async def sleeper(ns: int) -> None:
            await behind.sleep(ns)
            woken.append(ns)

        for task in [behind.spawn(sleeper(ns), f"sleeper {ns}") for ns in (2 * MS, MS, 0)]:
            await task.join()
        assert woken == [0, MS, 2 * MS]
        before_ns = behind.now_ns()
        await behind.turn(before_ns)
        await behind.sleep(MS)
        assert behind.now_ns() >= before_ns + MS
        if not wall:
            await behind.turn(before_ns + 3 * MS)
            assert behind.now_ns() == before_ns + 3 * MS

    run(script, wall)


@both
def test_deadlines_and_what_is_the_inner_ones(wall: bool) -> None:
    async def script(behind: BehindRuntime, inner: Any) -> None:
        late = ExecTimeout("x", "nobody came", "unknown")
        with pytest.raises(ExecTimeout):
            await behind.within(START + 2 * MS, behind.pending("nobody"), late)
        assert behind.now_ns() >= START + 2 * MS
        done = behind.pending("somebody")
        behind.call_at(behind.now_ns() + MS, done.set, 5)
        assert await behind.within(behind.now_ns() + 500 * MS, done, late) == 5
        assert await behind.blocking(lambda: 3) == 3
        assert behind.rng("a") is inner.rng("a")

    run(script, wall)
