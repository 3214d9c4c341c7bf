"""Two clocks: the exchange's, on which the market of the scenario moves, and the one clients have.

To clients everything happens now: an event at exchange time s happened at w0 + (s - s0) / speed of theirs, where (w0, s0) is
when the market began to move. In virtual time, and on a live market, both are the same.
"""

from __future__ import annotations

from execsim.core.units import NS_PER_MS, NS_PER_S
from execsim.ports import Desk


class VenueClock:
    """Times that the protocol names are the clients', ns unless a name says otherwise."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        clock = desk.clock()
        self._moving = clock.moving
        self._speed = clock.speed
        self._wall_0, self._market_0 = desk.wall_ns(), clock.now_ns

    def _anchor(self) -> None:
        if not self._moving and (clock := self._desk.clock()).moving:
            self._moving = True
            self._wall_0, self._market_0 = self._desk.wall_ns(), clock.now_ns

    def now_ns(self) -> int:
        return self._desk.wall_ns()

    def now_s(self) -> int:
        return self._desk.wall_ns() // NS_PER_S

    def at_ns(self, market_ns: int) -> int:
        """When it was, of something the exchange says happened at `market_ns`."""
        self._anchor()
        return self._wall_0 + max(0, market_ns - self._market_0) // self._speed

    def at_ms(self, market_ns: int) -> str:
        return str(self.at_ns(market_ns) // NS_PER_MS)

    def at_s(self, market_ns: int) -> int:
        return self.at_ns(market_ns) // NS_PER_S

    def market_after(self, ns: int) -> int:
        """The exchange's time when `ns` of the clients' will have passed."""
        return self._desk.runtime.now_ns() + ns * self._speed
