"""Virtual time against a naive model, the tape's turn, and the same trace in every process."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execsim.core.errors import ConfigError
from execsim.ports import NEVER, Priority
from execsim.runtime import Timer, VirtualRuntime

priorities = st.sampled_from(list(Priority))


@dataclass
class Node:
    """A timer of a random program: fires `delay` after its parent, cancels `cancels`, sets its children."""

    delay: int
    priority: Priority
    as_task: bool
    cancels: int | None
    children: list[Node] = field(default_factory=list)


nodes = st.recursive(
    st.builds(Node, st.integers(-1, 3), priorities, st.booleans(), st.none() | st.integers(0, 20)),
    lambda inner: st.builds(
        Node,
        st.integers(-1, 3),
        priorities,
        st.booleans(),
        st.none() | st.integers(0, 20),
        st.lists(inner, max_size=4),
    ),
    max_leaves=12,
)


def modelled(program: list[Node]) -> list[tuple[int, int]]:
    """(time, number) of every firing: always the smallest (time, priority, sequence) of a plain list."""
    pending: list[tuple[int, int, int, Node]] = []
    fired: list[tuple[int, int]] = []
    sequence = now = 0

    def set_all(children: list[Node]) -> None:
        nonlocal sequence
        for node in children:
            pending.append((max(now, now + node.delay), node.priority, sequence, node))
            sequence += 1

    set_all(program)
    while pending:
        entry = min(pending, key=lambda e: e[:3])
        pending.remove(entry)
        now = entry[0]
        fired.append((now, entry[2]))
        pending[:] = [e for e in pending if e[2] != entry[3].cancels]
        set_all(entry[3].children)
    return fired


class Played:
    """The same program on the runtime; a node `as_task` waits in a task of its own and is cancelled through it."""

    def __init__(self, rt: VirtualRuntime) -> None:
        self.rt = rt
        self.fired: list[tuple[int, int]] = []
        self.handles: list[object] = []

    def set_all(self, children: list[Node]) -> None:
        for node in children:
            number = len(self.handles)
            at = self.rt.now_ns() + node.delay
            if node.as_task:
                go = self.rt.pending(str(number))
                self.handles.append(self.rt.call_at(at, go.set, None, priority=node.priority))
                self.rt.spawn(self.in_task(go, number, node), str(number), daemon=True)
            else:
                self.handles.append(self.rt.call_at(at, self.fire, number, node, priority=node.priority))

    async def in_task(self, go: object, number: int, node: Node) -> None:
        await go  # type: ignore[misc]
        self.fire(number, node)

    def fire(self, number: int, node: Node) -> None:
        self.fired.append((self.rt.now_ns(), number))
        if node.cancels is not None and node.cancels < len(self.handles):
            handle = self.handles[node.cancels]
            assert isinstance(handle, Timer)
            handle.cancel()
        self.set_all(node.children)


@given(st.lists(nodes, max_size=6))
def test_random_programs_fire_as_in_a_naive_model(program: list[Node]) -> None:
    rt = VirtualRuntime(1)
    played = Played(rt)
    played.set_all(program)
    rt.run()
    assert played.fired == modelled(program)


@given(st.lists(nodes, max_size=6), st.lists(st.integers(0, 3), min_size=1, max_size=12))
def test_turn_comes_back_at_the_horizon_after_everything_else(program: list[Node], gaps: list[int]) -> None:
    """A turn that came back at the horizon has seen everything of that instant that is no LAST timer set after it."""
    rt = VirtualRuntime(1)
    played = Played(rt)

    async def tape() -> None:
        for gap in gaps:
            until = rt.now_ns() + gap
            horizon = rt.next_event_ns()
            assert horizon >= rt.now_ns()
            await rt.turn(until)
            assert rt.now_ns() == max(min(until, horizon), rt.now_ns())
            assert rt.now_ns() <= until
            assert all(at <= rt.now_ns() for at, _ in played.fired)
            due = [timer for timer in rt._timers.live() if timer[0] <= rt.now_ns()]
            assert all(timer[1] == Priority.LAST for timer in due)
            assert rt.ready == 0

    played.set_all(program)
    rt.run(main=tape())


def test_next_event_is_now_the_earliest_timer_or_never() -> None:
    rt = VirtualRuntime(1, start_ns=100)

    async def nothing() -> None:
        pass

    async def main() -> list[int]:
        seen = [rt.next_event_ns()]
        far = rt.call_at(500, int)
        near = rt.call_at(300, int)
        seen.append(rt.next_event_ns())
        near.cancel()
        seen.append(rt.next_event_ns())
        rt.spawn(nothing(), "nothing")
        seen.append(rt.next_event_ns())
        await rt.turn(NEVER)
        seen.append(rt.now_ns())
        rt.call_at(50, int)
        seen.append(rt.next_event_ns())
        await rt.turn(400)
        await rt.turn(400)
        seen.append(rt.now_ns())
        far.cancel()
        seen.append(rt.next_event_ns())
        return seen

    assert rt.run(main=main()) == [NEVER, 300, 500, 100, 100, 100, 400, NEVER]


def test_a_superseded_alarm_is_no_horizon_and_moves_no_clock() -> None:
    rt = VirtualRuntime(1)
    seen: list[int] = []

    async def main() -> None:
        rt.call_at(1_000_000, seen.append, 0)
        await rt.sleep(10)
        for at in range(900, 100, -100):
            rt.call_at(at, seen.append, at).cancel()
        assert rt.next_event_ns() == 1_000_000
        await rt.sleep(5)
        assert rt.now_ns() == 15
        await rt.sleep_until(700)
        assert rt.now_ns() == 700

    rt.run(main=main())
    assert rt.now_ns() == 700
    assert seen == []


def test_cancelled_timers_do_not_fill_the_heap() -> None:
    rt = VirtualRuntime(1)

    async def main() -> int:
        most = 0
        for _ in range(10_000):
            rt.call_at(NEVER - 1, print).cancel()
            most = max(most, len(rt._timers.heap))
        await rt.sleep(1)
        return most

    assert rt.run(main=main()) <= 1_025


def test_until_moves_the_clock_there_and_times_stay_integers() -> None:
    rt = VirtualRuntime(1, start_ns=1_700_000_000_123_456_789)
    rt.call_at(1_700_000_000_123_456_790, int)
    rt.call_at(1_800_000_000_000_000_000, print, "too late")
    rt.run(until_ns=1_700_000_000_123_456_999)
    assert rt.now_ns() == 1_700_000_000_123_456_999
    assert type(rt.now_ns()) is int


def test_a_main_that_is_cancelled_ends_the_run_without_a_result() -> None:
    rt = VirtualRuntime(1)

    async def main() -> int:
        await rt.sleep_until(NEVER)
        return 1

    main_task = rt.spawn(main(), "main of its own")
    rt.call_at(5, main_task.cancel)
    assert rt.run() is None
    assert rt.now_ns() == 5


def test_a_stuck_run_names_ten_tasks_and_counts_the_rest() -> None:
    rt = VirtualRuntime(1)

    async def waits(i: int) -> None:
        await rt.pending(f"p{i}")

    for i in range(13):
        rt.spawn(waits(i), f"t{i}")
    with pytest.raises(ConfigError, match=r"'t9' \(waits for 'p9'\) and 3 more"):
        rt.run()


TRACE = """
from execsim.runtime import *
rt = VirtualRuntime(11, 1_000)
trace = []

async def trader(name):
    dice, queue = rt.rng(name), queues[name]
    for _ in range(50):
        await rt.sleep(dice.below(40))
        other = sorted(queues)[dice.below(len(queues))]
        rt.call_at(rt.now_ns() + dice.below(20), queues[other].put_nowait, (name, dice.raw()))
        try:
            trace.append((rt.now_ns(), name, await timeout(rt, dice.below(30), queue.get(), "item")))
        except Exception as error:
            trace.append((rt.now_ns(), name, str(error)))

queues = {name: Queue(rt, name, 100, Overflow.DROP_OLDEST) for name in {"anna", "bert", "cleo", "dora"}}
async def main():
    group = Group(rt, "traders")
    for name in sorted(queues):
        group.spawn(trader(name), name)
    await group.wait()
rt.run(main=main())
import hashlib
print(len(trace), hashlib.sha256(repr(trace).encode()).hexdigest())
"""


def test_the_same_seed_gives_the_same_trace_in_every_process() -> None:
    outputs = [
        subprocess.run(
            [sys.executable, "-c", TRACE], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    ]
    assert outputs[0] == outputs[1]
    assert outputs[0].startswith("200 ")
