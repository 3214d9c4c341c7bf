"""Gamma quantiles: against closed forms, published percentage points, and an independent integration."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from itertools import pairwise

import pytest

from execsim.core.errors import ConfigError
from execsim.core.gamma import gamma_quantiles, standard_quantiles
from execsim.core.quantile import QUANTILE_MAX


def levels(k: int) -> list[float]:
    """The probabilities the 2**k + 1 quantiles stand for."""
    return [min(max(i / 2**k, 2.0 ** -(k + 1)), 1 - 2.0 ** -(k + 1)) for i in range(2**k + 1)]


def test_shape_one_is_the_exponential() -> None:
    with localcontext() as context:
        context.prec = 40
        for i, x in enumerate(standard_quantiles(Decimal(1), 5)):
            p = min(max(Decimal(i) / 32, Decimal(1) / 64), Decimal(63) / 64)
            assert abs(x + (1 - p).ln()) < Decimal("1e-18")


@pytest.mark.parametrize("shape", [2, 3, 9, 40])
def test_whole_shapes_are_sums_of_exponentials(shape: int) -> None:
    """P(n, x) = 1 - exp(-x) x sum of x**j / j!, j < n (Erlang), computed here another way than in the module."""
    with localcontext() as context:
        context.prec = 40
        for i, x in enumerate(standard_quantiles(Decimal(shape), 5)):
            p = min(max(Decimal(i) / 32, Decimal(1) / 64), Decimal(63) / 64)
            tail = (-x).exp() * sum((x**j / math.factorial(j) for j in range(shape)), Decimal(0))
            assert abs(1 - tail - p) < Decimal("1e-18")


@pytest.mark.parametrize(
    ("shape", "index", "k", "chi_squared"),
    [("0.5", 2, 2, "0.454936"), ("0.5", 3, 2, "1.32330"), ("1.5", 2, 2, "2.36597"), ("2.5", 1, 2, "2.67460"),
     ("5", 3, 2, "12.5489"), ("15", 2, 2, "29.3360")],
)  # fmt: skip
def test_published_points_of_chi_squared(shape: str, index: int, k: int, chi_squared: str) -> None:
    """Chi squared of v degrees of freedom is twice a gamma of shape v / 2: Abramowitz and Stegun, table 26.8."""
    x = standard_quantiles(Decimal(shape), k)[index]
    assert float(2 * x) == pytest.approx(float(chi_squared), rel=5e-6)


@pytest.mark.parametrize("shape", [0.05, 0.7, 2.5, 333.25])
def test_any_shape_against_numerical_integration(shape: float) -> None:
    """Midpoint rule over u = x**a, which takes the pole at 0 away: P(a, x) = int exp(-u**(1/a)) du / Gamma(a + 1)."""
    quantiles = [float(x) for x in standard_quantiles(Decimal(repr(shape)), 3)]
    if shape > 100:  # the density itself is smooth there
        steps = 200_000
        for x, p in zip(quantiles, levels(3), strict=True):
            width = x / steps
            logs = (
                (shape - 1) * math.log((j + 0.5) * width) - (j + 0.5) * width - math.lgamma(shape)
                for j in range(steps // 2, steps)
            )
            assert width * math.fsum(map(math.exp, logs)) == pytest.approx(p, abs=1e-6)
        return
    steps = 20_000
    for x, p in zip(quantiles, levels(3), strict=True):
        width = x**shape / steps
        area = width * math.fsum(math.exp(-(((j + 0.5) * width) ** (1 / shape))) for j in range(steps))
        assert area / math.gamma(shape + 1) == pytest.approx(p, abs=2e-5)


def test_known_and_free_of_the_callers_arithmetic() -> None:
    """Golden: the same integers on every machine."""
    known = [7153, 7840, 9068, 10309, 11685, 13335, 15521, 19051, 22429]
    with localcontext() as context:
        context.prec = 3
        assert gamma_quantiles(13_000, "1.7", 6_000, k=3) == known
    assert gamma_quantiles(13_000, Decimal("1.7"), 6_000, k=3) == known


def test_mean_floor_and_cap() -> None:
    values = gamma_quantiles(40_000_000, "2", 15_000_000)
    assert values == sorted(values)
    assert values[0] > 15_000_000
    middles = [(low + high) / 2 for low, high in pairwise(values)]
    assert sum(middles) / 1024 == pytest.approx(40_000_000, rel=0.002)
    assert max(gamma_quantiles(1_000, "1", k=4, max_ns=1_500)) == 1_500
    assert max(gamma_quantiles(QUANTILE_MAX, "0.05", k=4)) == QUANTILE_MAX


@pytest.mark.parametrize(
    ("mean_ns", "shape", "floor_ns", "k"),
    [(0, "1", 0, 4), (5, "1", 5, 4), (5, "1", -1, 4), (QUANTILE_MAX + 1, "1", 0, 4), (5, "0.04", 0, 4),
     (5, "1001", 0, 4), (5, "1", 0, 0), (5, "1", 0, 21)],
)  # fmt: skip
def test_a_bad_gamma_is_refused(mean_ns: int, shape: str, floor_ns: int, k: int) -> None:
    with pytest.raises(ConfigError, match="gamma"):
        gamma_quantiles(mean_ns, shape, floor_ns, k)
