"""What venues report, in order of arrival, turned into facts of the blotter. Never raises for what a venue said."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from execsim.core.events import (
    CancelRefused,
    FillSettled,
    FillVoided,
    MarketClosed,
    MarketResolved,
    OrderAcked,
    OrderAmended,
    OrderFilled,
    OrderGone,
    OrderRefused,
    QueueMoved,
    TickChanged,
    VenueEvent,
)
from execsim.core.lifecycle import OrderEvent
from execsim.core.order import FillStatus, OrderId, OrderStatus
from execsim.engine.blotter import Blotter
from execsim.engine.track import Entry, OrderTracker
from execsim.engine.view import LiveView

log = logging.getLogger("execsim.engine")

E = OrderEvent


class Inbox:
    """`hear` is the sink of every adapter. `orphans` counts reports about orders we do not know."""

    def __init__(self, blotter: Blotter, tracker: OrderTracker, view: LiveView) -> None:
        self._blotter = blotter
        self._tracker = tracker
        self._view = view
        self.orphans = 0
        self.queue_watchers: dict[str, list[Callable[[QueueMoved], None]]] = {}
        """order id -> who wants to hear of its queue position"""
        self._hearers: dict[type, Callable[[str, Any], None]] = {
            OrderAcked: self._ack,
            OrderRefused: self._refusal,
            OrderFilled: self._fill,
            OrderGone: self._gone,
            CancelRefused: self._cancel_refused,
            OrderAmended: self._amended,
            FillVoided: self._void,
            FillSettled: self._settled,
            QueueMoved: self._queue,
            MarketClosed: self._closed,
            MarketResolved: self._resolved,
            TickChanged: self._tick,
        }

    def hear(self, venue: str, event: VenueEvent) -> None:
        """Take one event. Errors: JournalError only."""
        self._hearers[type(event)](venue, event)

    def _ack(self, venue: str, event: OrderAcked) -> None:
        entry = self._entry(venue, event.order_id, "an ack")
        if entry is not None:
            self._blotter.guard(entry, E.ACK, lambda: self._blotter.acked(entry, event.venue_order_id, event.ts_ns))

    def _refusal(self, venue: str, event: OrderRefused) -> None:
        entry = self._entry(venue, event.order_id, "a refusal")
        if entry is not None and entry.order.status is not OrderStatus.REJECTED:
            self._blotter.place_failed(entry, event.error)

    def _fill(self, venue: str, event: OrderFilled) -> None:
        fill = event.fill
        market = self._left_memory(venue, fill.order_id)
        if market is not None:
            self._blotter.filled_late(market, fill, event.done)
            return
        entry = self._entry(venue, fill.order_id, f"fill {fill.id}")
        if entry is not None:
            self._blotter.heard(entry, fill, event.done)

    def _gone(self, venue: str, event: OrderGone) -> None:
        entry = self._entry(venue, event.order_id, "the end")
        if entry is not None:
            kind = E.LAPSE if event.lapsed else E.GONE
            if entry.order.status is OrderStatus.PENDING:
                self._blotter.impossible(entry, kind, "reported the end of an order that was never sent")
            else:
                self._blotter.gone(entry, event.lapsed, event.reason)

    def _cancel_refused(self, venue: str, event: CancelRefused) -> None:
        entry = self._entry(venue, event.order_id, "a refused cancel")
        if entry is not None:
            self._blotter.cancel_refused(entry, event.reason)

    def _amended(self, venue: str, event: OrderAmended) -> None:
        entry = self._entry(venue, event.order_id, "an amend")
        if entry is not None:
            self._blotter.amended(entry, event.price_i, event.size_lots)

    def _void(self, venue: str, event: FillVoided) -> None:
        if self._settled_late(venue, event.order_id, event.fill_id, FillStatus.VOIDED):
            return
        entry = self._entry(venue, event.order_id, f"that fill {event.fill_id} failed")
        if entry is not None:
            self._blotter.guard(entry, E.VOID, lambda: self._blotter.voided(entry, event.fill_id))

    def _settled(self, venue: str, event: FillSettled) -> None:
        if self._settled_late(venue, event.order_id, event.fill_id, event.status):
            return
        entry = self._entry(venue, event.order_id, f"that fill {event.fill_id} is {event.status}")
        if entry is not None:
            self._blotter.settled(entry, event.fill_id, event.status)

    def _queue(self, venue: str, event: QueueMoved) -> None:
        for fn in self.queue_watchers.get(event.order_id, ()):
            fn(event)

    def _closed(self, venue: str, event: MarketClosed) -> None:
        if self._view.trades(event.market) and event.market not in self._blotter.closed:
            self._blotter.close(event.market, event.proposed_i, False)

    def _resolved(self, venue: str, event: MarketResolved) -> None:
        if not self._view.trades(event.market) or event.market in self._blotter.resolved:
            return
        if event.paid:
            self._blotter.resolve(event.market, event.payoff_i)
        else:
            self._blotter.close(event.market, event.payoff_i, True)

    def _tick(self, venue: str, event: TickChanged) -> None:
        self._view.set_tick(event.market, event.tick_i)
        self._blotter.write("tick", "", {"market": event.market, "tick_i": event.tick_i})

    def _left_memory(self, venue: str, order_id: OrderId) -> str | None:
        """The market of an order of that venue that has left memory."""
        if self._tracker.find(order_id) is not None:
            return None
        market = self._tracker.evicted_market(order_id)
        return market if market is not None and self._view.instrument(market).venue == venue else None

    def _settled_late(self, venue: str, order_id: OrderId, fill_id: str, status: FillStatus) -> bool:
        """Whether that was news of an order that has left memory, and dealt with. Undoing a fill that was final is not:
        the inventory we believe in may be wrong."""
        market = self._left_memory(venue, order_id)
        if market is None:
            return False
        if self._blotter.settled_late(market, order_id, fill_id, status):
            return True
        what = f"that fill {fill_id} failed"
        self._orphan(venue, order_id, what, "the order has left memory, and the fill was final or is not known")
        return True

    def _entry(self, venue: str, order_id: OrderId, what: str) -> Entry | None:
        """The order a report is about. News of the way of one that has left memory is no news: it has ended."""
        entry = self._tracker.find(order_id)
        if entry is not None and entry.order.instrument.venue == venue:
            return entry
        if self._left_memory(venue, order_id) is not None:
            return None
        self._orphan(
            venue, order_id, what,
            "no such order" if entry is None else f"the order is of venue {entry.order.instrument.venue}",
        )  # fmt: skip
        return None

    def _orphan(self, venue: str, order_id: OrderId, what: str, reason: str) -> None:
        self.orphans += 1
        extra = {"venue": venue, "order_id": order_id}
        log.warning("%s reports %s of order %s: %s", venue, what, order_id, reason, extra=extra)
        self._blotter.write("orphan", order_id, {"venue": venue, "event": what, "reason": reason})
