"""Logging and concealed secrets as they were, after each test."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from execsim.observe.logs import QUIET
from execsim.observe.masks import reveal_all


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    levels = {name: logging.getLogger(name).level for name in QUIET}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)
    reveal_all()
