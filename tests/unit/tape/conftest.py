"""The sink of every importer test."""

from __future__ import annotations

import pytest

from execsim.testing import MemorySink


@pytest.fixture
def sink() -> MemorySink:
    return MemorySink()
