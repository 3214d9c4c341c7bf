"""Stylised facts by their formulae, and of a recording whose facts are known by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from worlds import coarse

from execsim.core.instrument import InstrumentKind
from execsim.report.facts import LEAST, BookWatch, autocorrelation, facts, kurtosis

COIN = coarse("coin", InstrumentKind.SPOT, tick_i=5)


def test_autocorrelation_is_that_of_the_formula() -> None:
    series = np.array([1.0, -1.0] * 50)
    assert autocorrelation(series, 1) == pytest.approx(-0.99)
    assert autocorrelation(series, 10) == pytest.approx(0.9)
    runs = np.array(([1.0] * 10 + [-1.0] * 10) * 50)
    assert autocorrelation(runs, 1) == pytest.approx(0.8, abs=0.01)
    assert autocorrelation(runs, 10) == pytest.approx(-1, abs=0.02)


def test_kurtosis_is_three_of_normal_and_one_of_a_coin() -> None:
    normal = np.random.default_rng(7).normal(size=200_000)
    assert kurtosis(normal) == pytest.approx(3, abs=0.1)
    assert kurtosis(np.array([1.0, -1.0] * 50)) == 1


def test_too_little_says_nothing() -> None:
    assert autocorrelation(np.ones(100), 1) is None
    assert autocorrelation(np.arange(LEAST, dtype=float), 1) is None
    assert kurtosis(np.zeros(100)) is None
    assert kurtosis(np.arange(LEAST - 1, dtype=float)) is None
    nothing = facts(BookWatch(), [], COIN, 1)
    assert (nothing["looks"], nothing["trades"], nothing["spread_ticks"], nothing["depth"]) == (0, 0, None, None)


def test_facts_of_a_known_book() -> None:
    watch = BookWatch()
    for second in range(101):
        up = 10 * (second % 2)
        watch.add((1000 + up, 4, 1010 + up, 8))
    held = facts(watch, [1, 0] * 50, COIN, 1)
    assert held["spread_ticks"] == 2
    assert held["depth"] == 6
    assert held["return_deviation_ticks"] == 2
    assert held["return_kurtosis"] == 1
    assert held["abs_return_autocorrelation"] == {"1": None, "10": None}  # every move is as large
    assert held["sign_autocorrelation"] == {"1": None, "10": None}  # all buyers, where it is known
    assert held["trades"] == 100


def test_an_unknown_book_is_no_move() -> None:
    """The mid before a gap is not compared with the one after it."""
    watch = BookWatch()
    for second in range(100):
        watch.add(None if second == 50 else (1000 + 500 * (second > 50), 1, 1005 + 500 * (second > 50), 1))
    watch.add((1500, 1, None, 0))
    held = facts(watch, [], COIN, 1)
    assert held["looks"] == 99
    assert held["return_deviation_ticks"] == 0
    assert not math.isnan(held["spread_ticks"])
