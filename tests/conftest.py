"""What holds for every test: hypothesis looks at results, never at the time an example takes on a busy machine."""

from __future__ import annotations

import pytest
from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

SHARED = ("venue_session", "suite_orders", "suite_trading", "suite_venue", "venue_suite")
"""modules of tests that several files play: their asserts explain themselves too"""
pytest.register_assert_rewrite(*SHARED)
