"""News of an order in the order in which the engine expects them: the answer to the placement first.

The user channel often speaks of an order before the answer to its POST arrives. That it was placed is then no news of its
own: the answer says so. Everything else is kept back until the answer, for HOLD_NS at most: a fill must not wait for a venue
that is slow to answer. Where the answer is lost, all is told, the placement first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from execsim.core.events import FillSettled, FillVoided, OrderAcked, OrderFilled, OrderGone, VenueEvent
from execsim.core.order import OrderId
from execsim.core.units import NS_PER_MS
from execsim.ports import Runtime

HOLD_NS: Final = 250 * NS_PER_MS


@dataclass(slots=True)
class _Flight:
    """An order whose answer is awaited."""

    placed: OrderAcked | None = None
    held: list[VenueEvent] | None = field(default_factory=list)
    """None: kept back for long enough"""


class OrderNews:
    """Between the channel and `hear`."""

    def __init__(self, runtime: Runtime, hear: Callable[[VenueEvent], None]) -> None:
        self._runtime = runtime
        self._hear = hear
        self._flights: dict[OrderId, _Flight] = {}

    def sending(self, order_id: OrderId) -> None:
        """It is about to be sent, and its answer will be `answered` or `lost`."""
        flight = self._flights[order_id] = _Flight()
        self._runtime.call_at(self._runtime.now_ns() + HOLD_NS, self._release, flight)

    def take(self, event: VenueEvent) -> None:
        """Tell it now, or later."""
        flight = self._flights.get(_order_of(event))
        if flight is None:
            self._hear(event)
        elif isinstance(event, OrderAcked):
            flight.placed = event
        elif flight.held is None:
            self._hear(event)
        else:
            flight.held.append(event)

    def answered(self, order_id: OrderId, filled: bool = False) -> bool:
        """The answer came: what was kept back is told right after the engine has booked it. `filled`: its last fill was the
        last there will be; returns whether it could be told so."""
        flight = self._flights.pop(order_id, None)
        if flight is None or not flight.held:
            return False
        self._runtime.call_at(self._runtime.now_ns(), self._release, flight)
        if not filled:
            return False
        for at, event in reversed(list(enumerate(flight.held))):
            if isinstance(event, OrderFilled):
                flight.held[at] = replace(event, done=True)
                return True
        return False

    def is_placed(self, order_id: OrderId) -> bool:
        """Whether the channel named an order whose answer is awaited."""
        flight = self._flights.get(order_id)
        return flight is not None and flight.placed is not None

    def lost(self, order_id: OrderId) -> None:
        """No answer will come: if the channel said that the order was placed, that is news now."""
        flight = self._flights.pop(order_id, None)
        if flight is not None:
            if flight.placed is not None:
                self._runtime.call_at(self._runtime.now_ns(), self._hear, flight.placed)
            self._runtime.call_at(self._runtime.now_ns(), self._release, flight)

    def _release(self, flight: _Flight) -> None:
        held, flight.held = flight.held, None
        for event in held or ():
            self._hear(event)


def _order_of(event: VenueEvent) -> OrderId:
    if isinstance(event, OrderFilled):
        return event.fill.order_id
    if isinstance(event, OrderAcked | OrderGone | FillSettled | FillVoided):
        return event.order_id
    return OrderId("")
