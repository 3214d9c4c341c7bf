"""A plan by display: never more in the market than is shown, the next piece when the last one is traded."""

from __future__ import annotations

from execsim.core.errors import ConfigError
from execsim.core.events import OrderUpdate, Trade
from execsim.ports import Rng
from execsim.strategy.algos.parent import Parent
from execsim.strategy.algos.terms import Terms


class Display:
    """Shows `display` lots, each piece drawn anew within `jitter_percent` of it, on the size step.

    Errors: ConfigError for a display the market does not take, or a jitter outside 0 to 90.
    """

    def __init__(self, terms: Terms, display: int, jitter_percent: int, rng: Rng) -> None:
        inst = terms.instrument
        least = max(1, inst.size_min_lots, inst.size_step_lots)
        if display < least or display % inst.size_step_lots:
            step, size_min = inst.grid.size(inst.size_step_lots), inst.grid.size(least)
            raise ConfigError(
                f"iceberg: display {inst.grid.size(display)} is no order of {terms.market}",
                f"a multiple of {step}, at least {size_min}",
            )
        if not 0 <= jitter_percent <= 90:
            raise ConfigError(f"iceberg: jitter_percent is {jitter_percent}", "from 0 to 90")
        self._display = display
        self._step = inst.size_step_lots
        self._reach = display * jitter_percent // 100 // self._step
        self._rng = rng
        self._until = 0
        """done lots at which the piece shown now is traded"""

    def due_lots(self, elapsed_ns: int, parent: Parent, least: int) -> int:
        """A rest of a piece that is too small to be shown again becomes part of the next."""
        done = parent.done_lots
        if not parent.open_lots and self._until - done < least:
            self._until = done + max(least, self._piece())
        return min(parent.lots, self._until)

    def next_ns(self, elapsed_ns: int) -> int | None:
        return None

    def hear(self, trade: Trade) -> bool:
        return False

    def told(self, update: OrderUpdate) -> None:
        return None

    def _piece(self) -> int:
        if not self._reach:
            return self._display
        off = self._rng.below(2 * self._reach + 1) - self._reach
        return self._display + off * self._step
