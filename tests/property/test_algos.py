"""Whatever a venue does, a parent order is never overfilled and every lot is accounted for."""

from __future__ import annotations

from collections import Counter

import pytest
from algo_world import AlgoWorld, RouterWorld
from hypothesis import given, note, settings
from hypothesis import strategies as st

from execsim.strategy.algos import Execution, State


def worked(seed: int, kind: type[AlgoWorld] = AlgoWorld) -> tuple[AlgoWorld, Execution]:
    """Play a session and hold it to its word."""
    world = kind(seed)
    algo = world.play()
    assert algo.state.is_end, seed
    children = [child.order for child in algo.parent.children.values()]
    assert all(order.is_terminal for order in children), seed
    # what the engine knows is what is true, and the report says the same
    assert algo.done_lots == world.true_lots, seed
    weights = [algo.weights[order.market] for order in children]
    assert algo.done_lots == sum(o.filled_lots * weight for o, weight in zip(children, weights, strict=True)), seed
    report = algo.report()
    assert (report.done_lots, report.left_lots) == (algo.done_lots, algo.lots - algo.done_lots), seed
    assert report.excess_lots == 0
    assert report.voided_lots == sum(o.voided_lots * weight for o, weight in zip(children, weights, strict=True))
    assert (report.state is State.DONE) == (report.left_lots == 0), seed
    assert report.reason or report.state is State.DONE, seed
    world.check()
    return world, algo


@given(seed=st.integers(0, 2**32))
@settings(max_examples=300, deadline=None, derandomize=True, print_blob=True)
def test_never_overfilled_and_every_lot_accounted_for(seed: int) -> None:
    note(f"replay: PYTHONPATH=tests/property .venv/bin/python -c 'from test_algos import *; worked({seed})'")
    worked(seed)


@given(seed=st.integers(0, 2**32))
@settings(max_examples=200, deadline=None, derandomize=True, print_blob=True)
def test_a_router_never_overfills_whatever_its_venues_do(seed: int) -> None:
    note(
        f"replay: PYTHONPATH=tests/property .venv/bin/python -c 'from test_algos import *; worked({seed}, RouterWorld)'"
    )
    worked(seed, RouterWorld)


@pytest.mark.soak
@pytest.mark.parametrize("block", range(8))
def test_thousands_of_sessions(block: int) -> None:
    """2,000 more, a router in every fourth."""
    for seed in range(block * 250, block * 250 + 250):
        worked(seed, RouterWorld if seed % 4 == 0 else AlgoWorld)


def test_the_sessions_reach_what_they_are_about() -> None:
    seen: Counter[str] = Counter()
    for seed in range(120):
        algo = worked(seed)[1]
        seen[f"ended {algo.state}"] += 1
        seen[algo.algo] += 1
        for child in algo.parent.children.values():
            seen[f"child {child.order.status}"] += 1
            seen["asked"] += child.asks > 0
            seen["asked again"] += child.asks > 1
            seen["voided"] += child.order.voided_lots > 0
            seen["silent"] += "no answer" in child.order.reason
    for state in (State.DONE, State.SHORT, State.CANCELLED, State.FAILED, State.CLOSED):
        assert seen[f"ended {state}"] > 1, seen
    for name in ("twap", "vwap", "pov", "iceberg"):
        assert seen[name] > 10, seen
    for status in ("filled", "cancelled", "rejected"):
        assert seen[f"child {status}"] > 20, seen
    for what in ("asked", "asked again", "voided"):
        assert seen[what] > 10, seen
