"""Arrival processes: mean rates, clustering, exactness."""

from __future__ import annotations

from decimal import Decimal
from itertools import islice

import pytest

from execsim.core.errors import ConfigError
from execsim.exchange.agents import Arrivals, Hawkes, Poisson, arrivals_of
from execsim.exchange.agents.arrivals import ONE, decayed
from execsim.runtime import VirtualRuntime

S = 1_000_000_000


def waits(arrivals: Arrivals, count: int, seed: int = 7) -> list[int]:
    return list(islice(arrivals.waits(VirtualRuntime(seed).rng("arrivals")), count))


def dispersion(arrivals: Arrivals, window_ns: int) -> float:
    """Variance over mean of the number of arrivals a window: 1 for a Poisson process."""
    now, counts = 0, dict[int, int]()
    for wait in waits(arrivals, 40_000):
        now += wait
        counts[now // window_ns] = counts.get(now // window_ns, 0) + 1
    windows = [counts.get(i, 0) for i in range(now // window_ns)]
    mean = sum(windows) / len(windows)
    return sum((n - mean) ** 2 for n in windows) / len(windows) / mean


def test_poisson_arrivals_come_at_their_rate() -> None:
    found = waits(Poisson(Decimal(4)), 40_000)
    assert sum(found) / len(found) == pytest.approx(S / 4, rel=0.02)
    assert dispersion(Poisson(Decimal(4)), 5 * S) == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("branching", ["0.3", "0.6"])
def test_hawkes_arrivals_come_at_base_over_one_less_branching(branching: str) -> None:
    n = Decimal(branching)
    found = waits(Hawkes(Decimal(2), n, S // 2), 40_000)
    assert len(found) / (sum(found) / S) == pytest.approx(2 / (1 - float(n)), rel=0.05)


def test_hawkes_arrivals_cluster() -> None:
    """Over long windows the index of dispersion tends to 1 / (1 - n)**2 (Hawkes 1971): 4 for n = 0.5."""
    assert dispersion(Hawkes(Decimal(4), Decimal("0.5"), S // 10), 20 * S) == pytest.approx(4, rel=0.2)


def test_without_branching_it_is_poisson() -> None:
    assert arrivals_of(Decimal(4), Decimal(0), Decimal(500)) == Poisson(Decimal(4))
    assert waits(Hawkes(Decimal(4), Decimal(0), S), 1000) != waits(Poisson(Decimal(4)), 1000)  # one draw more each
    assert dispersion(Hawkes(Decimal(4), Decimal(0), S), 5 * S) == pytest.approx(1, abs=0.15)


def test_the_same_stream_gives_the_same_arrivals() -> None:
    hawkes = Hawkes(Decimal(4), Decimal("0.5"), S)
    assert waits(hawkes, 100) == waits(hawkes, 100)
    assert waits(hawkes, 100) != waits(hawkes, 100, seed=8)
    assert waits(hawkes, 5) == [200_023_867, 336_699_989, 353_914_654, 549_604_714, 352_664_346]


def test_decay_halves_at_each_half_life() -> None:
    assert decayed(8 * ONE, 3 * S, S) == ONE
    assert decayed(ONE, S // 2, S) / ONE == pytest.approx(0.5**0.5, rel=1e-6)
    assert decayed(ONE, 10**15, S) == 0
    assert decayed(ONE, 0, S) == ONE


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: Poisson(Decimal(0)), "it must be positive"),
        (lambda: Poisson(Decimal("1e-9")), "between one an hour"),
        (lambda: Hawkes(Decimal(1), Decimal(1), S), "else it explodes"),
        (lambda: Hawkes(Decimal(1), Decimal("0.5"), 0), "half-life of 0 ns"),
    ],
)
def test_nonsense_is_refused(make: object, what: str) -> None:
    assert callable(make)
    with pytest.raises(ConfigError, match=what):
        make()
