"""The synchronous half of sending an order: validate, then risk and track in one step, and the recheck before sending.

    begin: id and market known -> validate -> risk (engine/guard.py) -> tracked (PENDING, counted open at once)
    ... the caller waits for the throttle ...
    recheck: still wanted, not killed or halted, data and venue well, market open, not expired, journal alive

Nothing here awaits, so no other order can slip between the risk check and being counted.
"""

from __future__ import annotations

from execsim.core.errors import (
    ExecError,
    InvalidOrderState,
    JournalError,
    ValidationError,
    VenueNotSupported,
)
from execsim.core.order import Order, OrderStatus
from execsim.engine.blotter import Blotter
from execsim.engine.guard import Guard
from execsim.engine.metrics import RISK, VALIDATE
from execsim.engine.track import Entry, OrderTracker
from execsim.engine.validate import OrderValidator
from execsim.engine.view import LiveView


class Pipeline:
    """Decides; the blotter does. `validator` None switches that step off; what is killed or halted, and what would corrupt
    the books (duplicate ids, foreign instruments), is checked in any case."""

    def __init__(
        self,
        validator: OrderValidator | None,
        guard: Guard,
        tracker: OrderTracker,
        blotter: Blotter,
        view: LiveView,
    ) -> None:
        self.guard = guard
        self._validator = validator
        self._tracker = tracker
        self._blotter = blotter
        self._view = view

    def begin(self, order: Order, owner: str = "") -> Entry:
        """Check and track. Errors: an empty or used id and an order that is not PENDING leave it as it is (it cannot be
        named, or is somebody's live order); every other ExecError has made it REJECTED, journalled and published."""
        if not order.id:
            raise ValidationError("ids", "the order's id is empty", "take one from new_order_id()")
        if order.id in self._tracker:
            raise ValidationError("duplicate", f"order id {order.id} is already in use", "give every order its own id")
        if order.status is not OrderStatus.PENDING or order.filled_lots:
            raise InvalidOrderState(order.id, order.status.value, "submit")
        if not order.created_ns:
            order.created_ns = self._view.now_ns()
        order.updated_ns = order.created_ns
        lots, error = self._judge(order)
        entry = self._tracker.track_order(order, owner=owner, worst_lots=lots)
        if error is not None:
            self._blotter.refuse(entry, error)
            raise error
        self.guard.passed(order)
        return entry

    def reject(self, order: Order, error: ExecError, owner: str = "") -> None:
        """Take an order that could not even be built (a price off the grid): REJECTED, journalled, published."""
        self._blotter.refuse(self._tracker.track_order(order, owner=owner, worst_lots=0), error)

    def recheck_recorded(self, entry: Entry) -> ExecError | None:
        """The same look once more, when the disk has the intent and the venue does not: the refusal, or None. Errors:
        JournalError."""
        try:
            if entry.wants_cancel and not entry.order.is_terminal:
                # the venue may have answered the cancel already: of an order it has never heard of
                self._blotter.gone(entry, False, "cancelled before it was sent")
            self.recheck(entry, OrderStatus.SUBMITTING)
        except JournalError:
            raise
        except ExecError as error:
            return error
        return None

    def recheck(self, entry: Entry, due: OrderStatus = OrderStatus.PENDING) -> None:
        """Last look before sending. Errors: the refusal; the order is then REJECTED or EXPIRED, or was CANCELLED."""
        order = entry.order
        if order.status is OrderStatus.CANCELLED:
            raise ValidationError("cancelled", f"order {order.id} was cancelled before it was sent")
        if order.status is not due:
            raise InvalidOrderState(order.id, order.status.value, "send")
        error = self.objection(entry)
        if isinstance(error, ValidationError) and error.rule == "expired":
            self._blotter.lapse_unsent(entry)
            raise error
        if error is not None:
            self._blotter.refuse(entry, error)
            raise error

    def objection(self, entry: Entry) -> ExecError | None:
        """Why a tracked order must not be sent now; None if it may."""
        order = entry.order
        error: ExecError | None = self._blotter.broken or self.guard.objection(entry)
        if error is None and order.instrument.market in self._blotter.closed:
            error = self._closed(order)
        if error is None and order.expire_ns is not None and order.expire_ns <= self._view.now_ns():
            error = ValidationError("expired", f"order {order.id} expired before it was sent", "give it more time")
        return error

    def check_amend(self, entry: Entry, candidate: Order) -> None:
        """Judge an amend: `candidate` is the order as it would be. Errors: the refusal; the order stays as it is."""
        error: ExecError | None = None
        if self._validator is not None:
            refusal = self._validator.check(candidate, self._view)
            error = None if refusal is None else refusal.error()
        if error is None:
            gone = candidate.filled_lots + candidate.voided_lots
            error = self.guard.amend_refusal(candidate, (candidate.size_lots or 0) - gone, entry)
        if error is not None:
            raise error

    def _judge(self, order: Order) -> tuple[int, ExecError | None]:
        """(most lots it can trade, why not)."""
        instrument = order.instrument
        if instrument.venue not in self._view.venues:
            return 0, VenueNotSupported(instrument.venue, ", ".join(self._view.venues))
        market = instrument.market
        known = self._view.find(market)
        if known is not instrument and known != instrument:
            what = f"market {market!r} of the order is not a market of {instrument.venue} in this run"
            return 0, ValidationError("market", what, "take the instrument from the engine or the context")
        if market in self._blotter.closed:
            return 0, self._closed(order)
        if self._validator is not None:
            started_ns = self._blotter.stopwatch.start()
            refusal = self._validator.check(order, self._view)
            self._blotter.stopwatch.stop(VALIDATE, order, started_ns)
            if refusal is not None:
                return 0, refusal.error()
        lots = max(0, self._view.worst_lots(order))
        started_ns = self._blotter.stopwatch.start()
        refused = self.guard.refusal(order, lots)
        self._blotter.stopwatch.stop(RISK, order, started_ns)
        return lots, refused

    @staticmethod
    def _closed(order: Order) -> ValidationError:
        return ValidationError("market_closed", f"market {order.instrument.market} has ended")
