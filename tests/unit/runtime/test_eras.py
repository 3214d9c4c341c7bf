"""The exchange's time and its clients' through holds, steps, other speeds and restarts."""

from __future__ import annotations

from random import Random

import pytest

from execsim.runtime import Eras, eras


def test_a_market_that_is_held_released_held_and_stepped() -> None:
    times = Eras(100, 5_000)
    assert (times.speed, times.wall_ns(100), times.wall_ns(50)) == (0, 5_000, 5_000)
    times.begin(100, 6_000, 10)  # go
    assert (times.speed, times.wall_ns(101), times.wall_ns(150)) == (10, 6_000, 6_005)
    assert times.wall_ns(100) == 5_000  # it had come to stand there
    times.begin(200, 6_020, 0)  # hold, a little late
    assert times.wall_ns(200) == 6_010
    times.begin(200, 9_000, 0)  # step to 300: all of it happened when it was asked for
    times.begin(300, 9_500, 0)
    assert (times.wall_ns(201), times.wall_ns(300)) == (9_000, 9_000)
    times.begin(300, 10_000, 2)
    assert (times.wall_ns(300), times.wall_ns(302), times.wall_ns(400)) == (9_000, 10_001, 10_050)


@pytest.mark.parametrize("seed", range(20))
def test_later_there_is_never_earlier_here(seed: int) -> None:
    """Also with a wall clock that jumps back, and an exchange that is ahead of it or behind."""
    rng = Random(seed)
    at, wall = 0, 1_000
    times = Eras(at, wall)
    for _ in range(50):
        at += rng.choice([0, 0, 1, rng.randint(0, 500)])
        wall += rng.randint(-100, 300)
        times.begin(at, wall, rng.choice([0, 1, 7, 1_000]))
    told = [times.wall_ns(ns) for ns in range(at + 100)]
    assert told == sorted(told)


def test_old_eras_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eras, "ERAS_MAX", 10)
    times = Eras(0, 0)
    for number in range(1, 100):
        times.begin(number, 10 * number, 0)
    assert (times.wall_ns(99), times.wall_ns(98)) == (980, 970)
    assert times.wall_ns(5) >= 50
