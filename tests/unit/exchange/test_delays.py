"""The parametric models have the distributions they name."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from execsim.core.errors import ConfigError
from execsim.exchange import ConstantLatency, GammaLatency, Latency, LognormalLatency, UniformLatency
from execsim.runtime import Streams

MS = 1_000_000


def drawn(model: Latency, n: int = 20_000) -> Any:
    return model.sampler(Streams(3).stream("a")).many(np.zeros(n, np.int64))


def test_constant() -> None:
    assert set(drawn(ConstantLatency(7)).tolist()) == {7}


def test_uniform_covers_its_bounds_evenly() -> None:
    draws = drawn(UniformLatency(10 * MS, 30 * MS))
    counts, _ = np.histogram(draws, bins=10, range=(10 * MS, 30 * MS))
    assert counts.sum() == len(draws)
    assert counts.min() > 1_800
    assert counts.max() < 2_200
    assert set(drawn(UniformLatency(5, 5)).tolist()) == {5}
    assert set(drawn(UniformLatency(0, 2)).tolist()) == {0, 1}, "the upper bound is not reached: draws round down"


@pytest.mark.parametrize("sigma", ["0.1", "0.4", "1.5"])
def test_the_lognormal_has_its_median_and_spread(sigma: str) -> None:
    draws = drawn(LognormalLatency(60 * MS, sigma))
    assert np.median(draws) == pytest.approx(60 * MS, rel=0.05)
    assert np.std(np.log(draws)) == pytest.approx(float(sigma), rel=0.05)
    assert draws.min() > 0


@pytest.mark.parametrize(("shape", "floor"), [("1", 0), ("2.5", 15), ("20", 5)])
def test_the_gamma_has_its_floor_mean_and_spread(shape: str, floor: int) -> None:
    """Deviation of a gamma: its mean over the root of the shape."""
    draws = drawn(GammaLatency(40 * MS, shape, floor * MS))
    assert draws.mean() == pytest.approx(40 * MS, rel=0.02)
    assert draws.std() == pytest.approx((40 - floor) * MS / math.sqrt(float(shape)), rel=0.05)
    assert draws.min() > floor * MS


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: ConstantLatency(-1), "nothing arrives before it is sent"),
        (lambda: UniformLatency(5, 4), "least <= most"),
        (lambda: UniformLatency(-1, 4), "least <= most"),
        (lambda: LognormalLatency(10, "11"), "sigma"),
        (lambda: LognormalLatency(0), "median"),
        (lambda: GammaLatency(10, "2", 10), "floor < mean"),
    ],
)
def test_a_model_that_makes_no_sense_is_refused(make: Any, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        make()


def test_what_a_summary_says() -> None:
    assert ConstantLatency(2_500_000).about == "unrealistic: constant 2.5 ms"
    assert UniformLatency(MS, 2 * MS).about == "unrealistic: uniform from 1 ms to 2 ms"
    assert LognormalLatency(20 * MS, "0.4").about == "lognormal, median 20 ms, sigma 0.4"
    assert GammaLatency(20 * MS, "3", 5 * MS).about == "gamma above 5 ms, mean 20 ms, shape 3"
