"""A plan by the clock: so many lots due at such a time. TWAP is a straight line of steps, VWAP follows a volume profile."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from execsim.core.errors import ConfigError
from execsim.core.events import OrderUpdate, Trade
from execsim.strategy.algos.parent import Parent


class Curve:
    """`weights` (integers >= 0, not all 0): what part of the parent becomes due at the start of each of as many equal
    pieces of `duration_ns`. Errors: ConfigError."""

    def __init__(self, weights: Sequence[int], duration_ns: int) -> None:
        if not weights or any(weight < 0 for weight in weights) or not any(weights):
            raise ConfigError(f"weights {list(weights)[:8]}", "whole numbers, none negative, at least one above 0")
        count = len(weights)
        self._starts = [index * duration_ns // count for index in range(count)]
        self._sums = list(accumulate(weights))

    def due_lots(self, elapsed_ns: int, parent: Parent, least: int) -> int:
        """Rounded down; all of the parent from the start of the last piece with a weight."""
        at = bisect_right(self._starts, elapsed_ns) - 1
        return 0 if at < 0 else parent.lots * self._sums[at] // self._sums[-1]

    def next_ns(self, elapsed_ns: int) -> int | None:
        at = bisect_right(self._starts, elapsed_ns)
        return self._starts[at] if at < len(self._starts) else None

    def hear(self, trade: Trade) -> bool:
        return False

    def told(self, update: OrderUpdate) -> None:
        return None


def subdivided(weights: Sequence[int], pieces: int) -> list[int]:
    """Each weight as `pieces` equal ones: the same profile in smaller steps."""
    return [weight for weight in weights for _ in range(pieces)]
