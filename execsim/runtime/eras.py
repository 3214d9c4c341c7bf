"""How the exchange's time and that of its clients belong together, while the one is held, stepped, sped up, or down.

To clients everything happens now, by their clocks. An era begins at (exchange time, clients' time) with a speed: how many
times faster the exchange's time passes, 0 while it stands still or is stepped. What happens at the very beginning of an era
belongs to the one before: the market had come to stand there.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

ERAS_MAX: Final = 100_000
"""Eras kept (each step of a held market is one); then the older half is forgotten, and what happened in it is told to have
happened when it ended."""


class Eras:
    """Times are ns. Monotone: what happened later at the exchange never happened earlier to clients."""

    def __init__(self, at_ns: int, wall_ns: int) -> None:
        self._at = [at_ns]
        self._wall = [wall_ns]
        self._speed = [0]

    @property
    def speed(self) -> int:
        """Of the era that lasts; 0: time stands still."""
        return self._speed[-1]

    def begin(self, at_ns: int, wall_ns: int, speed: int) -> None:
        """A new era, at the exchange's present time."""
        wall_ns = max(wall_ns, self._wall[-1], self.wall_ns(at_ns))
        if len(self._at) > 1 and self._at[-1] == at_ns:  # nothing has happened in the last one
            self._wall[-1], self._speed[-1] = wall_ns, speed
            return
        self._at.append(at_ns)
        self._wall.append(wall_ns)
        self._speed.append(speed)
        if len(self._at) > ERAS_MAX:
            half = ERAS_MAX // 2
            del self._at[:half], self._wall[:half], self._speed[:half]

    def wall_ns(self, at_ns: int) -> int:
        """When, to clients, it was that time at the exchange."""
        era = max(0, bisect_left(self._at, at_ns) - 1)
        wall_ns, speed = self._wall[era], self._speed[era]
        if speed:
            wall_ns += max(0, at_ns - self._at[era]) // speed
        return wall_ns if era + 1 == len(self._wall) else min(wall_ns, self._wall[era + 1])
