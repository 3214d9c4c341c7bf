"""How a parent order is worked: what a user may choose, and the states it goes through."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from execsim.core.errors import ConfigError
from execsim.core.units import NS_PER_S


class Style(StrEnum):
    """How children meet the market."""

    PASSIVE = "passive"
    """post-only at our side's best price, moved after `reprice_ns`"""
    AGGRESSIVE = "aggressive"
    """IOC at the other side's best price"""
    PASSIVE_THEN_CROSS = "passive_then_cross"
    """passive; what was due `patience_ns` ago and is not filled crosses"""
    RESTING = "resting"
    """a limit order at the limit itself, never moved"""


class Voids(StrEnum):
    """What becomes of lots whose fill the venue undoes."""

    REWORK = "rework"
    REPORT = "report"


class State(StrEnum):
    """Of a parent order. The last five are ends."""

    WORKING = "working"
    PAUSED = "paused"
    STOPPING = "stopping"
    DONE = "done"
    """every lot traded"""
    SHORT = "short"
    """ended by itself with lots left: time over, below the market's minimum, or voided and only to be reported"""
    CANCELLED = "cancelled"
    FAILED = "failed"
    """refused again and again"""
    CLOSED = "closed"
    """the market closed, paid out, or its data ended"""

    @property
    def is_end(self) -> bool:
        return self in ENDS


ENDS: Final = frozenset({State.DONE, State.SHORT, State.CANCELLED, State.FAILED, State.CLOSED})

PAUSE_NS_MAX: Final = 30 * NS_PER_S
"""Longest pause between two tries of the same thing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tactics:
    """What a user may choose about the children of any algorithm. Times in ns.

    A refused child is tried again after `retry_ns`, then twice that, and so on up to PAUSE_NS_MAX; after `retries_max`
    refusals in a row the algorithm ends FAILED. `settle_max_ns`: how long after everything is traded (or the time is
    over) voids are waited for, where fills are provisional and `voids` is REWORK.
    Errors: ConfigError naming the field.
    """

    style: Style = Style.PASSIVE_THEN_CROSS
    reprice_ns: int = 5 * NS_PER_S
    patience_ns: int = 10 * NS_PER_S
    cross_every_ns: int = NS_PER_S
    voids: Voids = Voids.REWORK
    retries_max: int = 8
    retry_ns: int = NS_PER_S
    settle_max_ns: int = 600 * NS_PER_S

    def __post_init__(self) -> None:
        for name in ("reprice_ns", "cross_every_ns", "retry_ns"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"tactics: {name} is {getattr(self, name)}", "it must be positive nanoseconds")
        for name in ("patience_ns", "retries_max", "settle_max_ns"):
            if getattr(self, name) < 0:
                raise ConfigError(f"tactics: {name} is {getattr(self, name)}", "it must not be negative")

    def pause_ns(self, tries: int) -> int:
        """Pause after the `tries`-th failure in a row (1 is the first): doubling, bounded."""
        return min(self.retry_ns << min(max(0, tries - 1), 32), max(PAUSE_NS_MAX, self.retry_ns))
