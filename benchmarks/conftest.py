"""What the benchmarks share: synthetic tapes from the user's cache, so that only the first run makes them, and the
figures, printed once more at the end as rates, so that ratios can be read off one page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from execsim.kernel import warm_up
from execsim.tape.merge import Chunk, TapeStream, merged
from execsim.tape.reader import TapeReader
from execsim.tape.synth import synthetic_tape

Figure = Callable[..., None]
"""figure(what, value, unit): a line of the closing table."""

FIGURES: pytest.StashKey[list[tuple[str, str]]] = pytest.StashKey()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[FIGURES] = []


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if figures := config.stash[FIGURES]:
        terminalreporter.section("figures (medians)")
        for what, value in figures:
            terminalreporter.write_line(f"{what:<72} {value:>22}")


@pytest.fixture
def figure(pytestconfig: pytest.Config) -> Figure:
    """Add a line to the closing table."""

    def add(what: str, value: float, unit: str) -> None:
        pytestconfig.stash[FIGURES].append((what, f"{_short(value)} {unit}"))

    return add


def _short(value: float) -> str:
    for factor, letter in ((1e6, " M"), (1e3, " k")):
        if value >= 10 * factor or value >= 1e6:
            return f"{value / factor:.1f}{letter}"
    return f"{value:,.3g}" if value < 1000 else f"{value:,.0f}"


@pytest.fixture
def rate(benchmark: Any, figure: Figure) -> Iterator[Callable[[str, int, str], None]]:
    """rate(what, count, "rows/s" or "us"): what the benchmark's median means for one of `count` things."""
    asked: list[tuple[str, int, str]] = []
    yield lambda what, count, unit: asked.append((what, count, unit))
    if benchmark.stats is not None:
        median = benchmark.stats.stats.median
        for what, count, unit in asked:
            figure(what, count / median if unit.endswith("/s") else median / count * 1e6, unit)


@pytest.fixture(scope="session", autouse=True)
def compiled() -> None:
    warm_up()


@pytest.fixture(scope="session")
def million() -> Path:
    return synthetic_tape(7, 1_000_000, {})


@pytest.fixture(scope="session")
def chunks(million: Path) -> list[Chunk]:
    return list(merged([TapeStream(TapeReader(million))]))


@pytest.fixture(scope="session")
def rows(chunks: list[Chunk]) -> Any:
    """The rows of `million` in venue order, (1,000,000, 8) int64."""
    return np.concatenate([chunk.venue for chunk in chunks])
