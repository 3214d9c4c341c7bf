"""Streams of random integers: the same everywhere, one by one or in bulk, unbiased."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from execsim.core.errors import ConfigError
from execsim.runtime.rng import Stream, Streams


def test_known_numbers() -> None:
    """Numbers that every machine and every later version must give: recordings and golden files depend on them."""
    stream = Stream(7, "latency")
    assert [stream.raw() for _ in range(3)] == [614579234346048718, 4016182154229934104, 17198737911908295823]


def test_a_stream_depends_on_seed_and_name_only() -> None:
    one, other = Streams(7), Streams(7)
    one.stream("a").raw()
    assert one.stream("b").raw() == other.stream("b").raw()
    assert one.stream("b") is one.stream("b")
    assert Stream(7, "a").raw() != Stream(8, "a").raw()
    assert Stream(7, "a").raw() != Stream(7, "b").raw()


@given(st.lists(st.none() | st.integers(0, 600), max_size=12))
def test_bulk_draws_are_the_single_draws(takes: list[int | None]) -> None:
    mixed, single = Stream(3, "x"), Stream(3, "x")
    for take in takes:
        if take is None:
            assert mixed.raw() == single.raw()
        else:
            bulk = mixed.raws(take)
            assert bulk.dtype == np.uint64
            assert bulk.tolist() == [single.raw() for _ in range(take)]


@given(st.integers(1, 2**64))
def test_below_stays_below(n: int) -> None:
    stream = Stream(1, "below")
    assert all(0 <= stream.below(n) < n for _ in range(5))


def test_below_throws_biased_draws_away() -> None:
    n = 2**63 + 1  # nearly half of all raw draws lie past the last whole multiple
    one, other = Stream(5, "x"), Stream(5, "x")
    got = [one.below(n) for _ in range(50)]
    assert got == [raw for raw in (other.raw() for _ in range(400)) if raw < n][:50]
    counts = Counter(Stream(5, "die").below(1) for _ in range(3))
    assert counts == {0: 3}


def test_below_is_even() -> None:
    stream = Stream(5, "die")
    counts = Counter(stream.below(6) for _ in range(6_000))
    assert sorted(counts) == list(range(6))
    assert all(880 <= count <= 1_120 for count in counts.values())  # 4 standard deviations of 29


@pytest.mark.parametrize("n", [0, -1, 2**64 + 1])
def test_below_refuses(n: int) -> None:
    with pytest.raises(ConfigError, match="between 1 and 2"):
        Stream(1, "x").below(n)


@pytest.mark.parametrize("seed", [-1, 1.5, True, "7"])
def test_a_seed_is_an_integer(seed: object) -> None:
    with pytest.raises(ConfigError, match="seed"):
        Streams(seed)  # type: ignore[arg-type]
