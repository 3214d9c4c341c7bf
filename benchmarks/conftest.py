"""Inputs shared by the benchmarks: synthetic tapes from the user's cache, so that only the first run makes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from execsim.kernel import warm_up
from execsim.tape.merge import Chunk, TapeStream, merged
from execsim.tape.reader import TapeReader
from execsim.tape.synth import synthetic_tape


@pytest.fixture(scope="session", autouse=True)
def compiled() -> None:
    warm_up()


@pytest.fixture(scope="session")
def million() -> Path:
    return synthetic_tape(7, 1_000_000, {})


@pytest.fixture(scope="session")
def chunks(million: Path) -> list[Chunk]:
    return list(merged([TapeStream(TapeReader(million))]))
