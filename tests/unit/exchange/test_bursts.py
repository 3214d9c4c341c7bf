"""Correlated bursts: the autocorrelation of an AR(1), its spread, its spikes, and no memory past a long pause."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from execsim.core.errors import ConfigError
from execsim.core.quantile import QUANTILE_MAX
from execsim.exchange import BurstLatency
from execsim.runtime import Streams

MS = 1_000_000
STEP = 100 * MS


def log_delays(model: BurstLatency, steps: int = 60_000, every: int = 1) -> Any:
    """ln(delay / median), once a step (or `every` so many steps)."""
    sampler = model.sampler(Streams(5).stream("a"))
    return np.log(sampler.many(np.arange(steps, dtype=np.int64) * every * model.step_ns) / model.median_ns)


@pytest.mark.parametrize("phi", ["0", "0.5", "0.9", "0.97"])
def test_the_log_is_an_ar_1(phi: str) -> None:
    """Correlation at lag n is phi**n, the deviation sigma, the mean 0: each within four standard errors and 2 %."""
    value = float(phi)
    x = log_delays(BurstLatency(10 * MS, "0.5", phi))
    error = 4 * np.sqrt((1 + value) / (1 - value) / len(x))
    assert abs(x.mean()) < 0.5 * error + 0.001
    assert x.std() == pytest.approx(0.5, rel=0.02 + error)
    for lag in (1, 2, 10, 30):
        assert np.corrcoef(x[lag:], x[:-lag])[0, 1] == pytest.approx(value**lag, abs=error)
    assert abs(np.mean(x**3)) / 0.5**3 < 0.1 + 4 * error, "symmetric, as a normal is"
    assert np.mean(x**4) / 0.5**4 == pytest.approx(3, rel=0.05 + 4 * error), "and with its tails"


def test_the_process_runs_in_time_not_in_messages() -> None:
    """Looking at every third step sees phi cubed; messages within one step have one delay."""
    model = BurstLatency(10 * MS, "0.5", "0.9")
    x = log_delays(model, every=3)
    assert np.corrcoef(x[1:], x[:-1])[0, 1] == pytest.approx(0.9**3, abs=0.02)
    sampler = model.sampler(Streams(5).stream("a"))
    within = sampler.many(np.arange(0, STEP, MS, dtype=np.int64))
    assert len(set(within.tolist())) == 1
    assert sampler.next(STEP) != within[0]


def test_a_long_pause_is_forgotten_and_costs_one_draw() -> None:
    class Counting:
        def __init__(self) -> None:
            self.count = 0

        def raw(self) -> int:
            self.count += 1
            return 2**63

    model, rng = BurstLatency(10 * MS, "0.5", "0.9"), Counting()
    sampler = model.sampler(rng)  # type: ignore[arg-type]  # draws nothing else
    sampler.next(0)
    assert rng.count == 1
    sampler.next((model.memory_steps - 1) * STEP)
    assert rng.count == model.memory_steps
    sampler.next(10**6 * STEP)
    assert rng.count == model.memory_steps + 1
    assert 0.9**model.memory_steps < 2**-10 <= 0.9 ** (model.memory_steps - 1)


def test_time_that_goes_back_finds_the_last_delay() -> None:
    sampler = BurstLatency(10 * MS).sampler(Streams(5).stream("a"))
    last = sampler.next(7 * STEP)
    assert sampler.next(3 * STEP) == last
    assert sampler.many(np.array([2 * STEP, STEP], np.int64)).tolist() == [last, last]


def test_spikes_are_as_many_and_as_high_as_said() -> None:
    calm, spiked = BurstLatency(10 * MS, "0", "0"), BurstLatency(10 * MS, "0", "0", STEP, 25, 8)
    assert set(np.exp(log_delays(calm, 1_000)).round(9).tolist()) == {1.0}
    ratio = np.exp(log_delays(spiked)).round(9)
    assert set(ratio.tolist()) == {1.0, 8.0}
    assert np.mean(ratio == 8) == pytest.approx(0.025, rel=0.1)
    certain = BurstLatency(QUANTILE_MAX, "0", "0", STEP, 1_000, 10_000).sampler(Streams(1).stream("a"))
    assert certain.next(0) == QUANTILE_MAX, "capped, not overflowing"


def test_the_ends_of_the_state_stay_in_the_table() -> None:
    """Raw integers of all ones or zeros push z as far as it goes."""

    class Extreme:
        def __init__(self, raw: int) -> None:
            self._raw = raw

        def raw(self) -> int:
            return self._raw

    model = BurstLatency(10 * MS, "0.5", "0.99")
    for raw, edge in ((0, model.delays.values[0]), (2**64 - 1, model.delays.values[-1])):
        sampler = model.sampler(Extreme(raw))  # type: ignore[arg-type]  # draws nothing else
        delays = [sampler.next(step * STEP) for step in range(300)]
        assert delays[-1] == pytest.approx(edge, rel=0.01)
        assert model.delays.values[0] <= min(delays) <= max(delays) <= model.delays.values[-1]


@pytest.mark.parametrize(
    "arguments",
    [(0,), (MS, "11"), (MS, "-1"), (MS, "0.4", "1"), (MS, "0.4", "-0.1"), (MS, "0.4", "0.9", 0),
     (MS, "0.4", "0.9", MS, 1_001), (MS, "0.4", "0.9", MS, 5, 0)],
)  # fmt: skip
def test_bursts_that_make_no_sense_are_refused(arguments: Any) -> None:
    with pytest.raises(ConfigError):
        BurstLatency(*arguments)


def test_what_a_summary_says() -> None:
    model = BurstLatency(10 * MS, "0.5", "0.9", STEP, 5, 8)
    assert model.about == "bursts, median 10 ms, sigma 0.5, phi 0.9 every 100 ms, 5 of 1000 steps 8 times as slow"
