"""Two clocks: the exchange's, on which the market of the scenario moves, and the one clients have.

To clients everything happens now, whatever day the recording is of, however fast it passes, and whether it is held or
stepped: the host knows when, by their clocks, it was which time at the exchange (`ports.Hours`). In virtual time, and on a
live market, both are the same.
"""

from __future__ import annotations

from execsim.core.units import NS_PER_MS, NS_PER_S
from execsim.ports import Desk


class VenueClock:
    """Times that the protocol names are the clients', ns unless a name says otherwise."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def now_ns(self) -> int:
        return self._desk.hours.wall_ns()

    def now_s(self) -> int:
        return self.now_ns() // NS_PER_S

    def at_ns(self, market_ns: int) -> int:
        """When it was, of something the exchange says happened at `market_ns`."""
        return self._desk.hours.wall_at(market_ns)

    def at_ms(self, market_ns: int) -> str:
        return str(self.at_ns(market_ns) // NS_PER_MS)

    def at_s(self, market_ns: int) -> int:
        return self.at_ns(market_ns) // NS_PER_S

    def market_after(self, ns: int) -> int:
        """The exchange's time when `ns` of the clients' will have passed, if it goes on as it does now: time that it stands
        still, held or down, is no time to orders and heartbeats."""
        return self._desk.runtime.now_ns() + ns * self._desk.clock().speed
