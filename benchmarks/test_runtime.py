"""Microseconds a wait: a timer, a sleep, a task, beside SimPy's own timeout and process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import simpy

from execsim.runtime import VirtualRuntime

WAITS = 20_000


@pytest.mark.benchmark(group=f"{WAITS} waits")
def test_call_at(benchmark: Any, rate: Any) -> None:
    def run() -> int:
        runtime, seen = VirtualRuntime(7), 0

        def tick() -> None:
            nonlocal seen
            seen += 1
            if seen < WAITS:
                runtime.call_at(10 * seen, tick)

        runtime.call_at(0, tick)
        runtime.run()
        return seen

    rate("call_at", WAITS, "us")
    assert benchmark.pedantic(run, rounds=5) == WAITS


@pytest.mark.benchmark(group=f"{WAITS} waits")
def test_sleep_until(benchmark: Any, rate: Any) -> None:
    def run() -> int:
        runtime = VirtualRuntime(7)

        async def main() -> None:
            for at in range(WAITS):
                await runtime.sleep_until(10 * at)

        runtime.run(main=main())
        return runtime.now_ns()

    rate("await sleep_until", WAITS, "us")
    assert benchmark.pedantic(run, rounds=5) == 10 * (WAITS - 1)


@pytest.mark.benchmark(group=f"{WAITS} waits")
def test_simpy_timeout(benchmark: Any, rate: Any) -> None:
    def run() -> float:
        env = simpy.Environment()

        def main() -> Iterator[Any]:
            for _ in range(WAITS):
                yield env.timeout(10)

        env.process(main())
        env.run()
        return env.now

    rate("  SimPy: yield timeout", WAITS, "us")
    assert benchmark.pedantic(run, rounds=5) == 10 * WAITS


@pytest.mark.benchmark(group=f"{WAITS} tasks")
def test_spawn_and_join(benchmark: Any, rate: Any) -> None:
    def run() -> int:
        runtime, seen = VirtualRuntime(7), 0

        async def child() -> None:
            nonlocal seen
            seen += 1

        async def main() -> None:
            for _ in range(WAITS):
                await runtime.spawn(child(), "child").join()

        runtime.run(main=main())
        return seen

    rate("spawn a task and join it", WAITS, "us")
    assert benchmark.pedantic(run, rounds=3) == WAITS


@pytest.mark.benchmark(group=f"{WAITS} tasks")
def test_simpy_process(benchmark: Any, rate: Any) -> None:
    def run() -> int:
        env, seen = simpy.Environment(), 0

        def child() -> Iterator[Any]:
            nonlocal seen
            seen += 1
            return
            yield

        def main() -> Iterator[Any]:
            for _ in range(WAITS):
                yield env.process(child())

        env.process(main())
        env.run()
        return seen

    rate("  SimPy: a process and its end", WAITS, "us")
    assert benchmark.pedantic(run, rounds=3) == WAITS
