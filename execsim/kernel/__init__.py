"""Compiled hot loops: two books per market, queue positions, and the pass over the tape. The only package with numba."""

from execsim.kernel.layout import (
    INFERRED_IGNORE,
    INFERRED_THROUGH,
    INFERRED_USE,
    LOCAL,
    REFILL_DECAY,
    REFILL_NEVER,
    REFILL_OFF,
    REFILL_REFRESH,
    VENUE,
    WATCH_BOOK,
    WATCH_PRICE,
    WATCH_TOP,
    WATCH_TRADES,
    Stop,
)
from execsim.kernel.models import Fifo, Logarithmic, Power, Proportional, QueueModel, RiskAverse
from execsim.kernel.replay import MarketSpan, OwnFill, QueueMove, Replay, Row, warm_up
from execsim.kernel.warm import is_warm

__all__ = [
    "INFERRED_IGNORE", "INFERRED_THROUGH", "INFERRED_USE", "LOCAL", "REFILL_DECAY", "REFILL_NEVER", "REFILL_OFF",
    "REFILL_REFRESH", "VENUE", "WATCH_BOOK", "WATCH_PRICE", "WATCH_TOP", "WATCH_TRADES", "Fifo", "Logarithmic", "MarketSpan",
    "OwnFill", "Power", "Proportional", "QueueModel", "QueueMove", "Replay", "RiskAverse", "Row", "Stop", "is_warm",
    "warm_up",
]  # fmt: skip
