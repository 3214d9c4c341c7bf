"""Windows against counting everything that was ever taken."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execsim.core.bucket import TokenBucket
from execsim.core.errors import ConfigError
from execsim.core.window import FixedWindow, SlidingWindow

STEPS = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 4)), max_size=60)


def check(
    window: FixedWindow | SlidingWindow, steps: list[tuple[int, int]], counts: Callable[[int, int], bool]
) -> None:
    """`counts(then, now)`: whether what was taken then still counts now."""
    taken: list[tuple[int, int]] = []
    now = 0
    for gap, tokens in steps:
        now += gap
        tokens = min(tokens, window.n)

        def left(at: int) -> int:
            return window.n - sum(n for then, n in taken if counts(then, at))

        assert window.left(now) == left(now)

        def room(at: int, tokens: int = tokens) -> bool:
            return sum(n for then, n in taken if counts(then, at)) + tokens <= window.n

        wait = window.take(now, tokens)
        assert room(now + wait)
        if wait:
            assert not room(now + wait - 1)  # told to wait no longer than needed
        else:
            taken.append((now, tokens))


@given(st.integers(1, 9), st.integers(1, 50), STEPS)
def test_a_sliding_window_lets_n_pass_in_any_stretch(n: int, per_ns: int, steps: list[tuple[int, int]]) -> None:
    window = SlidingWindow(n, per_ns)
    check(window, steps, lambda then, now: then > now - per_ns)
    assert len(window._taken) <= n


@given(st.integers(1, 9), st.integers(1, 50), STEPS)
def test_a_fixed_window_follows_the_clock(n: int, per_ns: int, steps: list[tuple[int, int]]) -> None:
    check(FixedWindow(n, per_ns), steps, lambda then, now: then // per_ns == now // per_ns)


def test_fixed_windows_begin_at_whole_multiples() -> None:
    window = FixedWindow(2, 10)
    assert [window.take(19), window.take(19), window.take(19)] == [0, 0, 1]
    assert [window.take(20), window.take(20), window.take(20)] == [0, 0, 10]  # twice n within two ns: so venues count


@pytest.mark.parametrize("meter", [FixedWindow(5, 100), SlidingWindow(5, 100), TokenBucket("0.0001", 5)])
def test_credit_gives_back_and_never_more_than_was_taken(meter: FixedWindow | SlidingWindow | TokenBucket) -> None:
    assert meter.take(0, 5) == 0
    meter.credit(1, 2)
    assert meter.take(1, 2) == 0
    assert meter.take(1) > 0
    meter.credit(1, 50)
    assert meter.take(1, 5) == 0
    assert meter.take(1) > 0


def test_what_is_forced_counts_and_stays_bounded() -> None:
    window = SlidingWindow(3, 100)
    for at in range(50):
        window.force(at, 2)
    assert window.wait_ns(50, 3) == 99
    assert window.wait_ns(148, 1) == 0
    fixed = FixedWindow(3, 100)
    fixed.force(0, 9)
    fixed.credit(0, 6)
    assert fixed.wait_ns(0) == 100


def test_impossible_settings_and_requests() -> None:
    for kind in (FixedWindow, SlidingWindow):
        with pytest.raises(ConfigError, match="positive"):
            kind(0, 1)
        with pytest.raises(ConfigError, match="exceed the window's 2"):
            kind(2, 1).take(0, 3)
