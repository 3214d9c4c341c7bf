"""Quantile tables: exact, the same one by one and vectorised, and close to the distribution they stand for."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from execsim.core.errors import ConfigError
from execsim.core.quantile import (
    QUANTILE_MAX,
    QuantileTable,
    exponential_quantiles,
    lognormal_quantiles,
    normal_quantiles,
)

raws = st.integers(0, 2**64 - 1)


@st.composite
def tables(draw: st.DrawFn) -> QuantileTable:
    size = 2 ** draw(st.integers(1, 5)) + 1
    values = draw(st.lists(st.integers(-QUANTILE_MAX, QUANTILE_MAX), min_size=size, max_size=size))
    return QuantileTable(sorted(values))


@given(tables(), st.lists(raws, max_size=40))
def test_vector_and_scalar_draws_are_equal(table: QuantileTable, drawn: list[int]) -> None:
    ends = [0, 2**64 - 1, *drawn]
    got = table.draws(np.array(ends, np.uint64))
    assert got.dtype == np.int64
    assert got.tolist() == [table.draw(raw) for raw in ends]


@given(tables(), raws, raws)
def test_draws_rise_with_the_raw_number_and_stay_inside(table: QuantileTable, one: int, other: int) -> None:
    low, high = sorted((one, other))
    assert table.values[0] <= table.draw(low) <= table.draw(high) <= table.values[-1]


def test_the_widest_interval_does_not_overflow() -> None:
    table = QuantileTable([-QUANTILE_MAX, QUANTILE_MAX, QUANTILE_MAX])
    raw = 2**63 - 1  # the last place of the first interval
    assert table.draw(raw) == -QUANTILE_MAX + (2 * QUANTILE_MAX * (2**20 - 1) >> 20)
    assert table.draws(np.array([raw], np.uint64)).tolist() == [table.draw(raw)]


def test_draws_interpolate() -> None:
    table = QuantileTable([0, 100, 300])
    assert [table.draw(i * 2**61) for i in range(8)] == [0, 25, 50, 75, 100, 150, 200, 250]


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ([], "2\\*\\*k"),
        ([1, 2], "2\\*\\*k"),
        ([1, 2, 3, 4], "2\\*\\*k"),
        ([1, 3, 2], "decrease"),
        ([0, 1, QUANTILE_MAX + 1], "within"),
        ([-QUANTILE_MAX - 1, 0, 1], "within"),
    ],
)
def test_a_bad_table_is_refused(values: list[int], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        QuantileTable(values)


def test_lognormal_quantiles_are_those_of_the_distribution() -> None:
    got = lognormal_quantiles(50_000_000, "0.5", k=8)
    assert len(got) == 257
    assert got[128] == 50_000_000
    assert got == sorted(got)
    normal = NormalDist()
    for i, value in enumerate(got):
        p = min(max(i / 256, 1 / 512), 1 - 1 / 512)
        assert value == pytest.approx(50e6 * math.exp(0.5 * normal.inv_cdf(p)), abs=0.51)


def test_lognormal_quantiles_known_and_free_of_the_callers_arithmetic() -> None:
    """Golden: the same integers on every machine."""
    known = [4644, 5626, 7137, 8527, 10000, 11727, 14011, 17774, 21534]
    with localcontext() as context:
        context.prec = 3
        assert lognormal_quantiles(10_000, Decimal("0.5"), k=3) == known
    assert lognormal_quantiles(10_000, "0.5", k=3) == known


def test_normal_quantiles_to_thirty_digits() -> None:
    """Against another series (alternating, Abramowitz and Stegun 26.2.10) and another pi (Machin), at 60 digits."""

    def arctan_inverse(x: int) -> Decimal:
        return sum(((-1) ** n / Decimal((2 * n + 1) * x ** (2 * n + 1)) for n in range(50)), Decimal(0))

    with localcontext() as context:
        context.prec = 60
        pi = 16 * arctan_inverse(5) - 4 * arctan_inverse(239)
        for i, z in enumerate(normal_quantiles(5)):
            terms = ((-1) ** n * z ** (2 * n + 1) / (2**n * math.factorial(n) * (2 * n + 1)) for n in range(80))
            area = sum(terms, Decimal(0)) / (2 * pi).sqrt()
            assert abs(area - min(Decimal(i) / 32, Decimal("0.5") - Decimal(1) / 64)) < Decimal("1e-30")


def test_lognormal_is_capped_and_may_be_constant() -> None:
    assert max(lognormal_quantiles(1_000, "2", k=4, max_ns=1_500)) == 1_500
    assert lognormal_quantiles(1_000, "0", k=2) == [1_000] * 5
    assert max(lognormal_quantiles(QUANTILE_MAX, "10", k=2)) == QUANTILE_MAX


def test_the_answer_may_be_changed_by_its_owner() -> None:
    lognormal_quantiles(1_000, "0.1", k=2)[0] = -1
    assert lognormal_quantiles(1_000, "0.1", k=2)[0] > 0


@pytest.mark.parametrize(
    ("median_ns", "sigma", "k", "max_ns"),
    [(0, "1", 4, 10), (11, "1", 4, 10), (5, "-1", 4, 10), (5, "11", 4, 10), (5, "1", 0, 10), (5, "1", 21, 10)],
)
def test_a_bad_lognormal_is_refused(median_ns: int, sigma: str, k: int, max_ns: int) -> None:
    with pytest.raises(ConfigError, match="lognormal"):
        lognormal_quantiles(median_ns, sigma, k, max_ns)


def test_exponential_quantiles_are_those_of_the_formula() -> None:
    values = exponential_quantiles(1_000_000)
    assert len(values) == 1025
    assert values[0] == 0
    assert values[512] == 693_147  # the median is mean x ln 2
    assert values[-1] == 7_624_619  # mean x ln 2048
    table = QuantileTable(values)
    step = 2**64 // 100_000
    assert sum(table.draw(i * step) for i in range(100_000)) / 100_000 == pytest.approx(1_000_000, rel=0.001)


def test_exponential_quantiles_are_bounded() -> None:
    assert exponential_quantiles(1_000, max_ns=2_000)[-1] == 2_000
    for mean, k in ((0, 10), (2**42 + 1, 10), (1, 0), (1, 21)):
        with pytest.raises(ConfigError, match="exponential of mean"):
            exponential_quantiles(mean, k)
