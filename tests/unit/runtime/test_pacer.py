"""The host of a run in virtual time, with clocks of the test's own; nothing here sleeps."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from execsim.core.errors import ConfigError, JournalError
from execsim.core.units import NS_PER_MS, NS_PER_S
from execsim.ports import HostInput
from execsim.runtime import HostedRuntime, Pacer

START = 10 * NS_PER_S
WALL = 1_000 * NS_PER_S


class Kept:
    """An `InputLog` in memory; `fails`: the disk is full."""

    def __init__(self) -> None:
        self.items: list[HostInput] = []
        self.synced = 0
        self.fails = False

    @property
    def waiting(self) -> bool:
        return self.synced < len(self.items)

    def append(self, item: HostInput) -> None:
        self.items.append(item)

    def flush(self) -> None:
        if self.fails:
            raise JournalError("x.sqlite", "cannot write: disk full")
        self.synced = len(self.items)


sets: list[Set] = []


@pytest.fixture(autouse=True)
def _ended() -> Iterator[None]:
    yield
    while sets:
        sets.pop().runtime.end()


class Set:
    """A run whose main task ticks every 10 ms; `real` is the clock on the wall."""

    def __init__(self, speed: int = 1, kept: Kept | None = None, moving: bool = True, slow_ns: int = 0) -> None:
        self.real = 0
        self.ticks: list[int] = []
        self.told: list[Any] = []
        self.slow_ns = slow_ns
        self.runtime = HostedRuntime(1, START)
        self.pacer = Pacer(self.runtime, speed, kept, lambda: self.real, lambda: WALL + self.real)
        self.runtime.begin(self._main())
        sets.append(self)
        if kept is None or not kept.items:
            self.pacer.begin(moving)

    async def _main(self) -> None:
        while True:
            await self.runtime.sleep(10 * NS_PER_MS)
            self.real += self.slow_ns
            self.ticks.append(self.runtime.now_ns() - START)
            self.pacer.out(self.told.append, ("tick", self.runtime.now_ns() - START))

    def passes(self, ns: int) -> None:
        self.real += ns
        self.pacer.catch_up()

    def ask(self, what: str, act: Callable[[], None] = lambda: None, item: HostInput | None = None) -> None:
        def work(done: Callable[[Any], None]) -> None:
            act()
            done((what, self.runtime.now_ns() - START, self.pacer.wall_ns() - WALL))

        self.pacer.ask(item, work, self.told.append, lambda error: (what, str(error)), alone=True)

    def step(self, ns: int) -> None:
        def work(done: Callable[[Any], None]) -> None:
            self.pacer.step(START + ns, lambda: done("stepped"))

        item = HostInput(0, 0, "command", body=str(ns).encode())
        self.pacer.ask(item, work, self.told.append, lambda error: str(error), alone=True)


ITEM = HostInput(0, 0, "request", "k", "h", b"b")
MS = NS_PER_MS


def test_time_passes_with_the_wall_held_and_at_another_speed() -> None:
    one = Set(speed=2)
    one.passes(11 * MS)
    assert one.ticks == [10 * MS, 20 * MS]
    one.ask("first")
    assert one.told[-1] == ("first", 22 * MS, 11 * MS)
    one.ask("hold", one.pacer.hold)
    one.passes(100 * MS)
    one.ask("held")
    assert one.told[-1] == ("held", 22 * MS, 111 * MS)
    one.ask("speed", lambda: one.pacer.pace(10))
    one.passes(100 * MS)
    assert not one.pacer.moving
    one.ask("go", one.pacer.go)
    one.passes(3 * MS)
    assert one.ticks[-2:] == [40 * MS, 50 * MS]
    assert one.runtime.now_ns() == START + 52 * MS
    assert [one.pacer.wall_at(START + at * MS) - WALL for at in (20, 22, 32, 52)] == [
        10 * MS,
        11 * MS,
        212 * MS,
        214 * MS,
    ]


def test_a_held_market_is_stepped_and_the_rest_waits() -> None:
    one = Set(moving=False)
    one.passes(50 * MS)
    one.step(25 * MS)
    assert one.told == [("tick", 10 * MS), ("tick", 20 * MS), "stepped"]
    assert one.runtime.now_ns() == START + 25 * MS
    assert one.pacer.wall_at(START + 10 * MS) == WALL + 50 * MS
    one.pacer.go()
    with pytest.raises(ConfigError, match="moves by itself"):
        one.pacer.step(START + NS_PER_S, lambda: None)


def test_who_cannot_keep_up_is_behind_and_at_last_forgiven() -> None:
    kept = Kept()
    one = Set(speed=1_000, kept=kept, slow_ns=30 * MS)
    one.passes(MS)  # a second of the exchange's: 100 ticks, and each takes three budgets
    assert one.runtime.now_ns() - START < 200 * MS
    one.ask("late", item=ITEM)
    at = one.told[-1][1]
    assert at < NS_PER_S
    for _ in range(40):
        one.pacer.catch_up()
    assert "lag" in [item.kind for item in kept.items]
    assert one.pacer.wall_ns() >= WALL
    walls = [one.pacer.wall_at(START + ns) for ns in range(0, one.ticks[-1], MS)]
    assert walls == sorted(walls)


def test_a_log_makes_the_same_run_again() -> None:
    kept = Kept()
    one = Set(speed=3, kept=kept)
    for turn in range(40):
        one.passes(turn * MS)
        one.ask(f"asked {turn}", item=ITEM)
        if turn % 7 == 3:
            one.ask("hold", one.pacer.hold, HostInput(0, 0, "command", body=b"hold"))
            one.step(one.runtime.now_ns() - START + turn * MS)
            one.ask("free")
            one.ask("go", one.pacer.go, HostInput(0, 0, "command", body=b"go"))
    one.pacer.close()
    assert not kept.waiting
    two = Set(speed=99, kept=kept)
    seen: list[tuple[int, int]] = []

    def perform(item: HostInput) -> None:
        if item.kind == "request":
            seen.append((two.runtime.now_ns() - START, two.pacer.wall_ns() - WALL))
        elif item.body.isdigit():
            two.pacer.step(START + int(item.body), lambda: None)
        else:
            getattr(two.pacer, item.body.decode())()

    before = list(kept.items)
    assert two.pacer.replay(before, perform) == len(before)
    assert two.ticks == one.ticks
    assert seen == [(at, wall) for what, at, wall in (t for t in one.told if len(t) == 3) if what.startswith("asked")]
    assert two.runtime.now_ns() == one.runtime.now_ns()
    assert all(two.pacer.wall_at(t + START) == one.pacer.wall_at(t + START) for t in one.ticks)
    two.pacer.resume(5, held=False)
    assert (kept.items[-1].kind, kept.items[-1].head) == ("resume", '{"speed": 5, "moving": true}')
    two.passes(2 * MS)
    assert two.runtime.now_ns() - one.runtime.now_ns() == 10 * MS


@pytest.mark.parametrize("killed", [False, True])
def test_a_step_that_takes_its_time_is_gone_to_its_end_again(killed: bool) -> None:
    """Each tick takes longer than the budget, and is told: how far the step is comes into the log before its end."""
    kept = Kept()
    one = Set(kept=kept, moving=False, slow_ns=30 * MS)

    async def main() -> list[HostInput]:
        one.pacer.open()
        one.step(200 * MS)
        one.ask("meanwhile", item=ITEM)
        while len(one.ticks) < 5 if killed else len(one.told) < 22:
            await asyncio.sleep(0)
        found = list(kept.items)
        one.pacer.close()
        return found

    items = asyncio.run(main())
    kinds = [item.kind for item in items]
    assert kinds.count("time") > 2
    assert ("request" in kinds) is not killed
    two = Set(kept=kept)

    def perform(item: HostInput) -> None:
        if item.kind == "command":
            two.pacer.step(START + 200 * MS, lambda: None)

    two.pacer.replay(items, perform)
    assert two.ticks == [10 * MS * n for n in range(1, 21)]
    two.pacer.resume(1, held=False)
    assert not two.pacer.moving


def test_nothing_leaves_before_it_is_on_disk() -> None:
    kept = Kept()
    one = Set(kept=kept)
    broke: list[JournalError] = []
    one.pacer.on_break = broke.append
    one.ask("kept", item=ITEM)
    one.passes(10 * MS)
    assert one.told == [("kept", 0, one.told[0][2]), ("tick", 10 * MS)]
    assert [item.kind for item in kept.items] == ["start", "request", "time"]
    kept.fails = True
    one.ask("lost", item=ITEM)
    one.passes(10 * MS)
    one.ask("refused", item=ITEM)
    one.ask("read")
    text = "disk full"
    assert [(what, text in why) for what, why in one.told[2:]] == [("lost", True), ("refused", True), ("read", True)]
    assert len(broke) == 1


def test_how_far_it_came_is_noted_once_a_second() -> None:
    kept = Kept()
    one = Set(kept=kept)
    one.pacer.out = lambda tell, value: None  # type: ignore[method-assign]  # nothing leaves
    for _ in range(300):
        one.passes(10 * MS)
    assert [item.kind for item in kept.items] == ["start", *["time"] * 3]


def test_a_log_out_of_order_is_refused() -> None:
    one = Set()
    with pytest.raises(JournalError, match="entry 1"):
        one.pacer.replay([HostInput(START, WALL, "request")], lambda item: None)
