"""A hosted scenario's clock, told what to do over /_execsim/clock; and what happens to orders meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hosted_world import WALL_0, HostedWorld

from execsim.core.units import NS_PER_MS, NS_PER_S

AGENTS = "scenarios/agents_binary"


@pytest.fixture
def held() -> Iterator[HostedWorld]:
    world = HostedWorld(AGENTS, moving=False)
    yield world
    world.end()


def test_a_held_market_is_stepped(held: HostedWorld) -> None:
    status, clock = held.command("clock")
    assert (status, clock["moving"], clock["speed"], clock["ended"]) == (200, False, 1, False)
    assert (clock["now_ns"], clock["start_ns"], clock["wall_ns"]) == (held.start_ns, held.start_ns, WALL_0)
    held.passes(5_000)
    assert held.command("clock")[1]["now_ns"] == held.start_ns
    status, clock = held.command("clock", {"advance_ms": 1500.25})
    assert (status, clock["now_ns"] - held.start_ns) == (200, 1_500_250_000)
    status, clock = held.command("clock", {"to_ns": held.start_ns + 2 * NS_PER_S})
    assert (status, clock["now_ns"] - held.start_ns, clock["moving"]) == (200, 2 * NS_PER_S, False)
    assert clock["wall_ns"] - WALL_0 < 6 * NS_PER_S
    market = next(iter(held.desk.instruments()))
    assert held.desk.book(market, 5).ts_ns > held.start_ns  # agents have traded


def test_it_goes_holds_and_changes_its_speed(held: HostedWorld) -> None:
    assert held.command("clock", {"go": True})[1]["moving"] is True
    held.passes(100)
    assert held.command("clock", {"speed": 10})[1]["speed"] == 10
    held.passes(100)
    status, clock = held.command("clock", {"hold": True})
    assert (status, clock["moving"], clock["now_ns"] - held.start_ns) == (200, False, 1_100 * NS_PER_MS)
    held.passes(100)
    assert held.command("clock")[1]["now_ns"] - held.start_ns == 1_100 * NS_PER_MS


WRONG: list[tuple[Any, str]] = [
    ({}, "give one of go, hold, speed, advance_ms, to_ns"),
    ({"go": True, "hold": True}, "give one of"),
    ({"go": "yes"}, 'write {"go": true}'),
    ({"hold": False}, 'write {"hold": true}'),
    ({"speed": 0}, "an integer from 1 to 100000"),
    ({"speed": 1.5}, "an integer from 1 to 100000"),
    ({"speed": True}, "an integer from 1 to 100000"),
    ({"advance_ms": -1}, "a number from 0 to"),
    ({"advance_ms": "5"}, "a number from 0 to"),
    ({"advance_ms": True}, "a number from 0 to"),
    ({"advance_ms": 10**13}, "a number from 0 to"),
    (b'{"advance_ms": NaN}', "a number from 0 to"),
    (b'{"advance_ms": Infinity}', "a number from 0 to"),
    ({"to_ns": 5}, "time has no way back"),
    ({"to_ns": 1e18}, "time has no way back"),
    (b"[1]", "the body is not a JSON object"),
    (b"{", "the body is not a JSON object"),
    (b"\xff", "the body is not a JSON object"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "text"), WRONG)
def test_wrong_values_are_named(held: HostedWorld, body: Any, text: str) -> None:
    status, said = held.command("clock", body)
    assert status == 400
    assert text in said["error"]
    assert held.command("clock")[1]["now_ns"] == held.start_ns


def test_a_market_that_moves_is_not_stepped() -> None:
    world = HostedWorld(AGENTS)
    status, said = world.command("clock", {"advance_ms": 1})
    assert (status, 'hold it first: {"hold": true}' in said["error"]) == (400, True)
    assert world.command("nowhere", {})[0] == 400
    assert world.command("faults", {"pack": "outage", "on": 5})[0] == 400
    world.end()


def test_a_step_goes_to_the_end_of_the_data_and_beyond() -> None:
    world = HostedWorld("scenarios/handwritten", moving=False)
    assert world.command("clock", {"advance_ms": 60_000})[1]["ended"] is True
    assert world.command("clock", {"advance_ms": 60_000})[1]["now_ns"] == world.start_ns + 120 * NS_PER_S
    world.end()
