"""Delays: the right distribution, the same numbers one by one or in bulk, messages in order, honest summaries."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from execsim.core.errors import ConfigError
from execsim.exchange.latency import ConstantLatency, LatencyStats, Leg, LognormalLatency
from execsim.runtime import Streams

MS = 1_000_000
MODELS = [
    ConstantLatency(3 * MS),
    LognormalLatency(60 * MS, "0.4"),
    LognormalLatency(1, "0.1"),
    LognormalLatency(5 * MS, "2"),
]


@pytest.mark.parametrize("sigma", ["0.1", "0.4", "1.5"])
def test_the_lognormal_has_its_median_and_spread(sigma: str) -> None:
    draws = LognormalLatency(60 * MS, sigma).draws(Streams(3).stream("a"), 10_000)
    assert np.median(draws) == pytest.approx(60 * MS, rel=0.05)
    assert np.std(np.log(draws)) == pytest.approx(float(sigma), rel=0.05)
    assert draws.min() > 0


@pytest.mark.parametrize("model", MODELS)
def test_draws_in_bulk_are_the_single_draws(model: ConstantLatency | LognormalLatency) -> None:
    one, many = Streams(3).stream("a"), Streams(3).stream("a")
    singles = [model.draw(one) for _ in range(1_000)]
    parts = np.concatenate([model.draws(many, n) for n in (1, 0, 499, 500)])
    assert parts.dtype == np.int64
    assert parts.tolist() == singles
    assert all(type(draw) is int for draw in singles)


def test_a_model_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ConfigError, match="sigma"):
        LognormalLatency(10, "11")
    with pytest.raises(ConfigError, match="median"):
        LognormalLatency(0)


def test_the_model_says_what_it_is() -> None:
    assert ConstantLatency(2_500_000).about == "unrealistic: constant 2.5 ms"
    assert LognormalLatency(20 * MS, "0.4").about == "lognormal, median 20 ms, sigma 0.4"


@given(st.lists(st.integers(0, 100 * MS), min_size=1, max_size=50), st.integers(0, 100))
def test_a_leg_delivers_in_order_and_never_early(gaps_ns: list[int], seed: int) -> None:
    leg = Leg(LognormalLatency(10 * MS, "1.5"), Streams(seed).stream("leg"))
    now_ns, last_ns = 0, 0
    for gap_ns in gaps_ns:
        now_ns += gap_ns
        arrival_ns = leg.arrival_ns(now_ns)
        assert arrival_ns >= max(now_ns, last_ns)
        last_ns = arrival_ns
    assert leg.drawn.count == len(gaps_ns)


def test_a_leg_counts_the_delay_there_really_was() -> None:
    """A message held up behind a slower one took as long as it took, not as long as it drew."""

    class Falling(ConstantLatency):
        def draw(self, rng: object) -> int:
            return next(delays)

    delays = iter([100, 10])
    leg = Leg(Falling(), Streams(1).stream("leg"))
    assert [leg.arrival_ns(0), leg.arrival_ns(20)] == [100, 100]
    assert leg.drawn.summary() == {"p50": 80, "p99": 100, "max": 100}


@given(st.lists(st.integers(0, 2**45), min_size=1, max_size=300), st.integers(1, 1_000))
def test_quantiles_are_within_a_sixty_fourth(values: list[int], per_mille: int) -> None:
    stats = LatencyStats()
    for value in values:
        stats.add(value)
    exact = sorted(values)[-(-len(values) * per_mille // 1000) - 1]
    found = stats.quantile(per_mille)
    assert exact <= found <= exact + exact // 64
    assert stats.max_ns == max(values)


def test_stats_merge_and_count_in_bulk() -> None:
    rng = random.Random(1)
    values = [rng.randrange(10**9) for _ in range(500)]
    whole, parts = LatencyStats(), [LatencyStats(), LatencyStats(), LatencyStats()]
    for i, value in enumerate(values):
        whole.add(value, 2)
        parts[i % 3].add(value)
        parts[i % 3].add(value)
    assert LatencyStats.merged(parts).summary() == whole.summary()
    assert whole.count == 1_000
    assert LatencyStats().summary() == {"p50": 0, "p99": 0, "max": 0}
