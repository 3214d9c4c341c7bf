"""Virtual time moved from outside: however the way is cut, the same happens in the same order."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from execsim.core.errors import ConfigError
from execsim.ports import NEVER, Priority
from execsim.runtime import HostedRuntime, VirtualRuntime

START = 1_000_000
END = START + 2_000


def play(runtime: VirtualRuntime, seed: int) -> tuple[list[tuple[int, str]], Any]:
    """Tasks that sleep, wake each other, set and cancel timers; what they do is told in order."""
    told: list[tuple[int, str]] = []
    rng = Random(seed)

    def tell(what: str) -> None:
        told.append((runtime.now_ns(), what))

    async def worker(name: str, depth: int) -> None:
        for turn in range(rng.randint(1, 6)):
            await runtime.sleep_until(runtime.now_ns() + rng.randint(0, 90), rng.choice(list(Priority)))
            tell(f"{name} {turn}")
            timer = runtime.call_at(runtime.now_ns() + rng.randint(0, 40), tell, f"timer of {name}")
            if rng.random() < 0.3:
                timer.cancel()
            if depth and rng.random() < 0.5:
                child = runtime.spawn(worker(f"{name}.{turn}", depth - 1), name, daemon=True)
                if rng.random() < 0.5:
                    await child.join()

    async def main() -> None:
        for number in range(4):
            runtime.spawn(worker(str(number), 2), str(number), daemon=True)
        await runtime.sleep_until(END, Priority.LAST)
        tell("over")

    return told, main()


@pytest.mark.parametrize("seed", range(40))
def test_cuts_change_nothing(seed: int) -> None:
    whole = VirtualRuntime(1, START)
    expected, main = play(whole, seed)
    whole.run(main=main)
    cut = HostedRuntime(1, START)
    told, main = play(cut, seed)
    cut.begin(main)
    rng = Random(seed + 1_000)
    while cut.now_ns() < END:
        cut.advance(min(END, cut.now_ns() + rng.randint(0, 60)))
    assert told == expected
    assert cut.end() is None
    assert len(expected) > 10


def test_nobody_looks_beyond_what_was_asked_for() -> None:
    runtime = HostedRuntime(1, START)
    seen: list[int] = []

    async def main() -> None:
        while True:
            seen.append(runtime.next_event_ns())
            await runtime.turn(runtime.now_ns() + 10)

    runtime.begin(main())
    runtime.advance(START + 25)
    assert seen == [START + 25] * 3  # at the start, 10 and 20
    assert (runtime.now_ns(), runtime.next_timer_ns(), runtime.next_event_ns()) == (START + 25, START + 30, START + 25)
    runtime.advance(START)
    assert runtime.now_ns() == START + 25
    runtime.end()


def test_what_is_injected_comes_after_everything_of_its_instant() -> None:
    runtime = HostedRuntime(1, START)
    told: list[str] = []

    async def main() -> None:
        runtime.call_at(START + 5, told.append, "last", priority=Priority.LAST)
        runtime.call_at(START + 5, told.append, "normal")
        await runtime.pending("nobody")

    async def asked() -> None:
        told.append("asked")
        await runtime.sleep(0)
        told.append("answered")

    runtime.begin(main())
    runtime.advance(START + 5)
    runtime.inject(
        lambda: runtime.call_at(runtime.now_ns(), told.append, "end of it", priority=Priority.LAST),
        lambda: runtime.spawn(asked(), "asked", daemon=True),
        lambda: told.append("together"),
    )
    assert told == ["normal", "last", "together", "asked", "answered", "end of it"]
    assert runtime.next_timer_ns() == NEVER
    runtime.advance(START + 1_000_000)  # nobody waits for anything, and that is no error
    assert runtime.now_ns() == START + 1_000_000
    runtime.end()


def test_an_error_of_a_task_is_raised_as_it_is_and_ends_the_run() -> None:
    runtime = HostedRuntime(1, START)
    error = ValueError("mine", 1)

    async def main() -> None:
        await runtime.sleep(5)
        raise error

    runtime.begin(main())
    runtime.advance(START + 4)
    with pytest.raises(ValueError, match="mine") as found:
        runtime.advance(START + 10)
    assert found.value is error
    with pytest.raises(ConfigError, match="is over"):
        runtime.inject(lambda: None)
    with pytest.raises(ValueError, match="mine"):
        runtime.end()


def test_an_endless_loop_is_named() -> None:
    runtime = HostedRuntime(1, START)

    async def main() -> None:
        while True:
            await runtime.sleep(0)

    runtime.begin(main())
    with pytest.raises(ConfigError, match=r"endless loop at 1000000 ns.*'main'"):
        runtime.advance(START + 1)
