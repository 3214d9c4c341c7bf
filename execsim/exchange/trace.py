"""What happened to each order at the venue, row by row: the record behind `execsim explain`.

It is the venue's side of a run, which no strategy could see, so it is no part of the journal: it is written beside it and
changes nothing (the journal hash is the same with and without it).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from execsim.core.order import Fill
from execsim.exchange.resting import VenueOrder

Write = Callable[[str, int, str, Mapping[str, Any]], None]
"""(kind, ts_ns, order id, body): as `Journal.write`."""


class Trace(Protocol):
    """Hears what the venue does to orders. Kinds are listed in docs/explain.md. `wants_queues`: also every move of a queue
    position, row by row."""

    @property
    def wants_queues(self) -> bool: ...

    def order(self, kind: str, order: VenueOrder, **fields: Any) -> None: ...

    def rests(self, order: VenueOrder) -> None:
        """It has joined a queue."""

    def fill(self, order: VenueOrder, fill: Fill) -> None: ...

    def message(self, kind: str, order_id: str, **fields: Any) -> None:
        """A message about an order left or arrived."""


class NoTrace:
    """Nobody wants to know."""

    wants_queues = False

    def order(self, kind: str, order: VenueOrder, **fields: Any) -> None:
        return

    def rests(self, order: VenueOrder) -> None:
        return

    def fill(self, order: VenueOrder, fill: Fill) -> None:
        return

    def message(self, kind: str, order_id: str, **fields: Any) -> None:
        return


class WrittenTrace:
    """Writes every fact through `write` (a journal of its own). `queue_ahead(order)`: lots ahead of a resting order, None
    where there is no queue."""

    wants_queues = True

    def __init__(
        self, write: Write, now_ns: Callable[[], int], queue_ahead: Callable[[VenueOrder], int | None]
    ) -> None:
        self._write = write
        self._now_ns = now_ns
        self._queue_ahead = queue_ahead

    def order(self, kind: str, order: VenueOrder, **fields: Any) -> None:
        body = {"left": order.left_lots, "filled": order.filled_lots, "status": order.status.value, **fields}
        if kind in ("booked", "delayed", "refused"):
            body |= {
                "market": order.instrument.market, "side": order.side.value, "outcome": order.outcome.value,
                "type": order.type.value, "tif": order.tif.value, "price_i": order.price_i, "size_lots": order.size_lots,
                "venue_order_id": order.venue_order_id,
            }  # fmt: skip
        self._write(kind, self._now_ns(), order.id, body)

    def rests(self, order: VenueOrder) -> None:
        self._write("rests", self._now_ns(), order.id, {"ahead": self._queue_ahead(order), "left": order.left_lots})

    def fill(self, order: VenueOrder, fill: Fill) -> None:
        body = {
            "fill_id": fill.id, "price_i": fill.price_i, "lots": fill.lots, "cash_units": fill.cash, "fee_units": fill.fee,
            "liquidity": fill.liquidity.value, "cause": fill.cause.value, "evidence": fill.evidence.value,
            "row_seq": fill.row_seq, "match": fill.match.value, "left": order.left_lots,
        }  # fmt: skip
        self._write("fill", fill.ts_ns, order.id, body)

    def message(self, kind: str, order_id: str, **fields: Any) -> None:
        if order_id:
            self._write(kind, self._now_ns(), order_id, fields)
