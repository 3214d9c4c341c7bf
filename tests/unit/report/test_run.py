"""The samplers: bounded, deterministic, and the same as if the final interval had been known from the start."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execsim.core.errors import ConfigError
from execsim.report.run import EQUITY_CELLS_MAX, EquitySampler, PriceSampler, PriceSeries, Sampler

STEPS = st.lists(st.integers(0, 10**10), max_size=300)


def times(steps: list[int]) -> list[int]:
    at, result = 1_700_000_000_000_000_000, []
    for step in steps:
        at += step
        result.append(at)
    return result


@given(steps=STEPS, limit=st.integers(2, 40), interval_ns=st.integers(1, 10**9))
def test_it_keeps_the_first_of_each_final_bucket_and_the_newest(steps: list[int], limit: int, interval_ns: int) -> None:
    sampler: Sampler[int] = Sampler(limit, interval_ns)
    stream = list(enumerate(times(steps)))
    for i, ts_ns in stream:
        sampler.push(ts_ns, i)
    expected: dict[int, tuple[int, int]] = {}
    for i, ts_ns in stream:
        expected.setdefault(ts_ns // sampler.interval_ns, (ts_ns, i))
    kept = list(expected.values())
    if stream and kept[-1][1] != stream[-1][0]:
        kept.append((stream[-1][1], stream[-1][0]))
    assert sampler.rows() == kept
    assert len(sampler.rows()) <= limit + 1
    doublings = sampler.interval_ns // interval_ns
    assert sampler.interval_ns == interval_ns * doublings
    assert doublings & (doublings - 1) == 0


@given(steps=STEPS)
def test_due_tells_whether_a_push_opens_a_bucket(steps: list[int]) -> None:
    sampler: Sampler[None] = Sampler(10**6, 10**9)
    buckets = set()
    for ts_ns in times(steps):
        bucket = ts_ns // 10**9
        assert sampler.due(ts_ns) == (bucket not in buckets)
        buckets.add(bucket)
        sampler.push(ts_ns, None)


def test_an_impossible_sampler_is_refused() -> None:
    with pytest.raises(ConfigError, match="limit 1"):
        Sampler(1)
    with pytest.raises(ConfigError, match="interval 0"):
        Sampler(10, 0)


def test_price_series_answers_from_the_newest_sample_not_after() -> None:
    sampler = PriceSampler(limit=100, interval_ns=1)
    for ts_ns, bid, ask in ((10, 50, 52), (20, None, 53), (30, 51, 54)):
        sampler.add(ts_ns, bid, ask)
    series = sampler.series()
    asked = {ts_ns: series.mid_i(ts_ns) for ts_ns in (9, 10, 19, 20, 29, 30, 31)}
    assert asked == {9: None, 10: 51, 19: 51, 20: None, 29: None, 30: 52.5, 31: None}
    assert PriceSeries().mid_i(5) is None


def test_equity_sampler_aligns_its_columns_and_counts_missing_names_as_zero() -> None:
    sampler = EquitySampler(["a", "b"], ["usd"], interval_ns=1)
    sampler.add(1, {"a": 5}, {"usd": -7})
    sampler.add(2, {"b": 3}, {})
    series = sampler.series()
    assert (series.ts_ns, series.net_lots, series.net) == ([1, 2], {"a": [5, 0], "b": [0, 3]}, {"usd": [-7, 0]})


def test_many_markets_share_the_bound_of_cells() -> None:
    markets = [f"m{i}" for i in range(999)]
    sampler = EquitySampler(markets, ["usd"], interval_ns=1)
    for ts_ns in range(3_000):
        sampler.add(ts_ns, {}, {})
    assert len(sampler.series().ts_ns) * 1000 <= EQUITY_CELLS_MAX + 1000
