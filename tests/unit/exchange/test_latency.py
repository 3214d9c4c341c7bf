"""What every latency model promises, and the legs: the same numbers one by one or in bulk, order kept, honest counts."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from execsim.core.request import RequestKind
from execsim.exchange import (
    BurstLatency,
    ConstantLatency,
    EmpiricalLatency,
    GammaLatency,
    InterpolatedLatency,
    Latency,
    LatencyModel,
    LognormalLatency,
    UniformLatency,
)
from execsim.exchange.latency import LatencyStats, Leg
from execsim.runtime import Streams

MS = 1_000_000
HOUR = 3_600_000_000_000
MODELS: dict[str, Latency] = {
    "constant": ConstantLatency(3 * MS),
    "uniform": UniformLatency(1, 7 * MS),
    "lognormal": LognormalLatency(60 * MS, "0.4"),
    "lognormal of 1 ns": LognormalLatency(1, "0.1"),
    "wide lognormal": LognormalLatency(5 * MS, "2"),
    "gamma": GammaLatency(40 * MS, "2.5", 10 * MS),
    "empirical": EmpiricalLatency((5 * MS, 7 * MS, 7 * MS, 100 * MS)),
    "interpolated": InterpolatedLatency((10 * MS, 50 * MS, 50 * MS, 90 * MS), (1, 9 * MS, 3, 8 * MS)),
    "interpolated over hours": InterpolatedLatency((0, 5 * HOUR), (HOUR, 0)),
    "bursts": BurstLatency(10 * MS, "0.5", "0.95", 20 * MS, 100, 10),
    "bursts without memory": BurstLatency(10 * MS, "0.5", "0", 20 * MS),
}
each = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())
times = st.lists(st.integers(0, 60 * MS), max_size=40).map(lambda gaps: np.cumsum([*gaps, 0])[:-1])


def sampler(model: Latency, seed: int = 3) -> Any:
    return model.sampler(Streams(seed).stream("a"))


@each
@given(st.lists(times, max_size=4), st.integers(0, 9))
def test_many_are_as_many_calls_of_next(model: Latency, parts: list[Any], seed: int) -> None:
    """Whatever the pieces, and whatever was drawn before one by one."""
    one, many = sampler(model, seed), sampler(model, seed)
    start = 0
    for part in parts:
        singles = [one.next(int(now_ns) + start) for now_ns in part]
        bulk = many.many(np.asarray(part, np.int64) + start)
        assert bulk.dtype == np.int64
        assert bulk.tolist() == singles
        assert all(type(delay) is int and delay >= 0 for delay in singles)
        start += int(part[-1]) if len(part) else 0


@each
def test_the_seed_makes_the_numbers(model: Latency) -> None:
    now = np.arange(2_000, dtype=np.int64) * 30 * MS
    drawn = sampler(model).many(now)
    assert drawn.tolist() == sampler(model).many(now).tolist()
    fixed = isinstance(model, ConstantLatency | InterpolatedLatency)
    assert (drawn.tolist() == sampler(model, 4).many(now).tolist()) == fixed or model == MODELS["lognormal of 1 ns"]


@each
def test_samplers_of_one_model_share_nothing(model: Latency) -> None:
    """A model is its parameters: what one sampler has seen is nothing to the next."""
    used, rest = sampler(model), sampler(model)
    used.many(np.arange(100, dtype=np.int64) * 30 * MS)
    again = sampler(model)
    assert [again.next(0), again.next(50 * MS)] == [rest.next(0), rest.next(50 * MS)]


def test_golden() -> None:
    """The same integers on every machine and in every version."""
    now = np.array([0, 20 * MS, 40 * MS, 70 * MS, 5_000 * MS], np.int64)
    assert {name: sampler(model).many(now).tolist() for name, model in MODELS.items()} == GOLDEN


@each
def test_a_model_says_what_it_is_and_whether_anything_is_like_that(model: Latency) -> None:
    doubtful = isinstance(model, ConstantLatency | UniformLatency | EmpiricalLatency)
    assert model.about.startswith("unrealistic: ") == doubtful
    assert "\n" not in model.about


# -------------------------------------------------------------------- legs
@each
@given(st.lists(st.tuples(st.integers(0, 100 * MS), st.sampled_from(RequestKind)), min_size=1, max_size=50))
def test_an_ordered_leg_delivers_in_order_and_never_early(model: Latency, sent: list[tuple[int, RequestKind]]) -> None:
    """All kinds of requests in one order, whatever each kind's latency."""
    legs = LatencyModel(entry=model, kinds={RequestKind.CANCEL: LognormalLatency(MS), RequestKind.AMEND: model})
    leg = legs.entry_leg(Streams(1).stream, "venue")
    now_ns = last_ns = 0
    for gap_ns, kind in sent:
        now_ns += gap_ns
        arrival_ns = leg.arrival_ns(now_ns, kind)
        assert arrival_ns >= max(now_ns, last_ns)
        last_ns = arrival_ns
    assert leg.drawn.count == len(sent)


class Falling:
    """Delays as given, and a model of itself."""

    about = "falling"

    def __init__(self, *delays: int) -> None:
        self._delays: Iterator[int] = iter(delays)

    def sampler(self, rng: object) -> Any:
        return self

    def next(self, now_ns: int) -> int:
        return next(self._delays)


def test_a_leg_counts_the_delay_there_really_was() -> None:
    """A message held up behind a slower one took as long as it took, not as long as it drew."""
    leg = Leg(Falling(100, 10), Streams(1).stream("leg"))
    assert [leg.arrival_ns(0), leg.arrival_ns(20)] == [100, 100]
    assert leg.drawn.summary() == {"p50": 80, "p99": 100, "max": 100}


def test_on_a_pool_of_connections_messages_overtake_but_a_stream_stays_in_order() -> None:
    leg = Leg(Falling(100, 10, 100, 10, 5), Streams(1).stream("leg"), ordered=False)
    assert [leg.arrival_ns(0), leg.arrival_ns(20)] == [100, 30]
    assert [leg.arrival_ns(40, stream=True), leg.arrival_ns(50, stream=True)] == [140, 140]
    assert leg.arrival_ns(60) == 65


def test_a_kind_takes_its_own_latency_and_the_others_that_of_the_leg() -> None:
    legs = LatencyModel(entry=ConstantLatency(5), kinds={RequestKind.CANCEL: ConstantLatency(9)}, ordered=False)
    leg = legs.entry_leg(Streams(1).stream, "venue")
    arrivals = {kind: leg.arrival_ns(100, kind) for kind in RequestKind}
    assert arrivals.pop(RequestKind.CANCEL) == 109
    assert set(arrivals.values()) == {105}
    assert leg.arrival_ns(100) == 105


def test_the_latency_of_one_kind_does_not_touch_the_draws_of_another() -> None:
    entry = LognormalLatency(10 * MS)
    plain = LatencyModel(entry=entry, ordered=False).entry_leg(Streams(1).stream, "venue")
    kinds = {RequestKind.CANCEL: LognormalLatency(MS)}
    mixed = LatencyModel(entry=entry, kinds=kinds, ordered=False).entry_leg(Streams(1).stream, "venue")
    for now_ns in range(5):
        mixed.arrival_ns(now_ns, RequestKind.CANCEL)
        assert mixed.arrival_ns(now_ns) == plain.arrival_ns(now_ns)


# -------------------------------------------------------------------- counts
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


GOLDEN = {
    "constant": [3000000, 3000000, 3000000, 3000000, 3000000],
    "uniform": [4327255, 3037980, 5537069, 4186627, 3827093],
    "lognormal": [67668845, 56140763, 82956576, 66268008, 62884768],
    "lognormal of 1 ns": [1, 1, 1, 1, 1],
    "wide lognormal": [9123419, 3585967, 25262009, 8217399, 6323267],
    "gamma": [41724455, 33313563, 52961740, 40694908, 38214196],
    "empirical": [17990699, 6867994, 41691829, 16122363, 11345672],
    "interpolated": [1, 2250000, 6750000, 4000001, 8000000],
    "interpolated over hours": [3600000000000, 3599996000000, 3599992000000, 3599986000000, 3599000000000],
    "bursts": [11622473, 13090285, 131541460, 11437278, 7588524],
    "bursts without memory": [11622473, 9202586, 14992539, 11322489, 10604565],
}
