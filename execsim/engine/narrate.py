"""What happens to orders, in the log `execsim.engine`: events at DEBUG, problems at WARNING and above.

Fields of each line: venue, market, side, order_id, status, event, run_ns. Where nobody listens an
event costs the test whether somebody does.
"""

from __future__ import annotations

import logging

from execsim.core.errors import ExecError, InvalidResponse
from execsim.core.lifecycle import OrderEvent
from execsim.core.order import Fill, Order, OrderStatus

log = logging.getLogger("execsim.engine")


def narrate(
    now_ns: int,
    order: Order,
    event: OrderEvent,
    before: OrderStatus,
    fill: Fill | None = None,
    error: ExecError | None = None,
) -> None:
    """Log one event of an order, after it happened. `now_ns` is the run's time, which in a replay is not that of the log.
    A fill that failed is a problem, and so is whatever has an error."""
    if error is not None or event is OrderEvent.VOID:
        # an answer that cannot be: the venue and we disagree about the order
        level = logging.ERROR if isinstance(error, InvalidResponse) else logging.WARNING
    else:
        level = logging.DEBUG
    if log.isEnabledFor(level):
        log.log(
            level,
            _told(order, event, before, fill, error),
            extra={**about(order), "event": event.value, "run_ns": now_ns},
        )


def about(order: Order) -> dict[str, str]:
    """The fields by which lines about an order are found."""
    instrument = order.instrument
    return {
        "venue": instrument.venue,
        "market": instrument.market,
        "side": order.side.value,
        "order_id": order.id,
        "status": order.status.value,
    }


def _told(order: Order, event: OrderEvent, before: OrderStatus, fill: Fill | None, error: ExecError | None) -> str:
    said = f"order {order.id}: {event.value}"
    if order.status is not before:
        said += f", {before.value} -> {order.status.value}"
    if fill is not None:
        grid = order.instrument.grid
        said += f", {grid.size(fill.lots)} at {grid.price(fill.price_i)}"
    why = error.message if error is not None else order.reason
    return f"{said}: {why}" if why else said
