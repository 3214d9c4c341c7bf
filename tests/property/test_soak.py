"""The comparisons of the test run on thousands of other seeds: `uv run pytest -m soak`. A failure names its seed."""

from __future__ import annotations

import pytest
from naive_book import QUEUES
from sessions import play
from test_exchange import Watch
from test_faults import replayed
from test_kernel import replay_against_naive
from test_tape_task import compare

pytestmark = pytest.mark.soak

BLOCKS = range(20)
FIRST = 1_000_000
"""seeds from here on: the short run uses others"""


@pytest.mark.parametrize("block", BLOCKS)
def test_the_kernel_equals_the_naive_model(block: int) -> None:
    """Replay one: PYTHONPATH=tests/property .venv/bin/python -c 'import test_kernel as t; t.replay_against_naive(SEED)'"""
    for seed in range(FIRST + block * 100, FIRST + block * 100 + 100):
        try:
            replay_against_naive(
                seed, wide=seed % 2 == 1, queue=QUEUES[seed % len(QUEUES)], inferred=seed % 3, refill=seed % 4
            )
        except AssertionError as error:
            raise AssertionError(f"seed {seed}") from error


@pytest.mark.parametrize("block", BLOCKS)
def test_every_promise_holds_in_random_sessions(block: int) -> None:
    """Replay one: PYTHONPATH=tests/property .venv/bin/python -c
    'from test_exchange import *; play(SEED, None, Watch().check)'"""
    for seed in range(FIRST + block * 50, FIRST + block * 50 + 50):
        try:
            played = play(seed, None, Watch().check)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}") from error
        assert not any(order.is_active for order in played.orders), f"seed {seed}"


@pytest.mark.parametrize("block", range(50))
@pytest.mark.parametrize("half", ["even_seeds", "odd_seeds"])
def test_whatever_goes_wrong_the_books_balance(half: str, block: int) -> None:
    """Ten thousand sessions with random faults, audited. Replay one: PYTHONPATH=tests/property .venv/bin/python -c
    'from test_faults import *; replayed(SEED)'"""
    first = FIRST + block * 200 + (half == "odd_seeds")
    for seed in range(first, first + 200, 2):
        try:
            replayed(seed)
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error}") from error


@pytest.mark.parametrize("block", BLOCKS)
def test_the_tape_task_equals_a_row_by_row_simulation(block: int) -> None:
    """Replay one: PYTHONPATH=tests/property .venv/bin/python -c 'import test_tape_task as t; t.compare(SEED)'"""
    for seed in range(FIRST + block * 50, FIRST + block * 50 + 50):
        try:
            compare(seed)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}") from error
