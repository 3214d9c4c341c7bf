"""The token bucket against a plain model of tokens."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execsim.core.bucket import TokenBucket
from execsim.core.errors import ConfigError


@given(
    st.sampled_from(["10", "0.3", "7.5", "40"]), st.integers(1, 20),
    st.lists(st.tuples(st.integers(0, 2 * 10**8), st.integers(1, 5)), max_size=60),
)  # fmt: skip
def test_equals_counting_tokens(rate: str, burst: int, steps: list[tuple[int, int]]) -> None:
    bucket = TokenBucket(rate, burst)
    tokens, now = Fraction(burst), 0
    for gap_ns, wanted in steps:
        wanted = min(wanted, burst)
        tokens = min(Fraction(burst), tokens + Fraction(rate) * gap_ns / 10**9)
        now += gap_ns
        assert bucket.left(now) == tokens.numerator // tokens.denominator
        wait = bucket.take(now, wanted)
        if tokens >= wanted:
            assert wait == 0
            tokens -= wanted
        else:
            missing = (wanted - tokens) / Fraction(rate) * 10**9
            assert wait == -(-missing.numerator // missing.denominator)


def test_debt_delays_everybody() -> None:
    bucket = TokenBucket(10, 2)
    bucket.force(0, 12)
    assert bucket.wait_ns(0) == 1_100_000_000
    assert bucket.left(0) == -10


def test_impossible_settings_and_requests() -> None:
    with pytest.raises(ConfigError, match="positive"):
        TokenBucket(0, 1)
    with pytest.raises(ConfigError, match="exceed the burst of 2"):
        TokenBucket(1, 2).take(0, 3)
