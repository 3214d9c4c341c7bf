"""Heartbeats: a key that has begun to send them and stops loses its orders. Source: polymarket.md section 5.4."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

from execsim.core.units import NS_PER_S
from execsim.ports import Runtime, Timer
from execsim_polymarket.dialect.clock import VenueClock
from execsim_polymarket.dialect.listings import named
from execsim_polymarket.dialect.refusals import Refused

SILENCE_NS: Final = 10 * NS_PER_S
"""After this without a beat everything is cancelled. The venue looks every 5 s and may be that much later: we are not."""


@dataclass(slots=True)
class _Beat:
    id: str
    count: int
    timer: Timer


class Heartbeats:
    """`lost(api key)`: cancel everything of that key."""

    def __init__(self, runtime: Runtime, clock: VenueClock, lost: Callable[[str], Coroutine[Any, Any, Any]]) -> None:
        self._runtime = runtime
        self._clock = clock
        self._lost = lost
        self._beats: dict[str, _Beat] = {}
        self._count = 0

    def beat(self, key: str, told: str) -> str:
        """The id of the next beat. Errors: Refused, with the id that was expected."""
        known = self._beats.get(key)
        expected = known.id if known is not None else ""
        if told != expected:
            raise Refused(400, "Invalid Heartbeat ID", {"error_msg": "Invalid Heartbeat ID", "heartbeat_id": expected})
        if known is not None:
            known.timer.cancel()
        self._count += 1
        name = named({"key": key, "beat": self._count})
        timer = self._runtime.call_at(self._clock.market_after(SILENCE_NS), self._silent, key)
        self._beats[key] = _Beat(name, self._count, timer)
        return name

    def _silent(self, key: str) -> None:
        del self._beats[key]
        self._runtime.spawn(self._lost(key), f"no heartbeat of {key[:8]}", daemon=True)
