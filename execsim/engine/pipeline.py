"""The synchronous half of sending an order: validate, then risk and track in one step, and the recheck before sending.

    begin: id and market known -> validate -> risk -> tracked (PENDING, counted open at once)
    ... the caller waits for the throttle ...
    recheck: still wanted, not killed, market open, not expired, journal alive

Nothing here awaits, so no other order can slip between the risk check and being counted.
"""

from __future__ import annotations

from decimal import Decimal

from execsim.core.errors import ExecError, InvalidOrderState, RiskRejected, ValidationError, VenueNotSupported
from execsim.core.order import Order, OrderStatus
from execsim.engine.blotter import Blotter
from execsim.engine.policies import KillSwitch
from execsim.engine.risk import RiskContext, RiskDecision, RiskEngine
from execsim.engine.track import Entry, OrderTracker
from execsim.engine.validate import OrderValidator
from execsim.engine.view import LiveView


class Pipeline:
    """Decides; the blotter does. `validator` None and `checks_risk` False switch those steps off; the kill switch and
    what would corrupt the books (duplicate ids, foreign instruments) are checked in any case."""

    def __init__(
        self,
        validator: OrderValidator | None,
        checks_risk: bool,
        tracker: OrderTracker,
        blotter: Blotter,
        view: LiveView,
    ) -> None:
        self._validator = validator
        self._checks_risk = checks_risk
        self._tracker = tracker
        self._blotter = blotter
        self._view = view
        self.risk = RiskEngine()
        self.kill_reason: str | None = None

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
        return entry

    def reject(self, order: Order, error: ExecError, owner: str = "") -> None:
        """Take an order that could not even be built (a price off the grid): REJECTED, journalled, published."""
        self._blotter.refuse(self._tracker.track_order(order, owner=owner, worst_lots=0), error)

    def recheck(self, entry: Entry) -> None:
        """Last look before sending. Errors: the refusal; the order is then REJECTED or EXPIRED, or was CANCELLED."""
        order = entry.order
        if order.status is OrderStatus.CANCELLED:
            raise ValidationError("cancelled", f"order {order.id} was cancelled before it was sent")
        if order.status is not OrderStatus.PENDING:
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
        error = self._objects(order)
        if error is None and order.expire_ns is not None and order.expire_ns <= self._view.now_ns():
            error = ValidationError("expired", f"order {order.id} expired before it was sent", "give it more time")
        return error

    def _objects(self, order: Order) -> ExecError | None:
        if self._blotter.broken is not None:
            return self._blotter.broken
        if self.kill_reason is not None:
            return self._killed()
        return self._closed(order) if order.instrument.market in self._blotter.closed else None

    def check_amend(self, entry: Entry, candidate: Order) -> None:
        """Judge an amend: `candidate` is the order as it would be. Errors: the refusal; the order stays as it is."""
        error: ExecError | None = None
        if self.kill_reason is not None:
            error = self._killed()
        elif self._validator is not None:
            refusal = self._validator.check(candidate, self._view)
            error = None if refusal is None else refusal.error()
        if error is None and self._checks_risk:
            # what the order may still trade is counted as open already: only what is added is judged
            more = (candidate.size_lots or 0) - entry.ceiling_lots
            if more > 0:
                error = self._risk_error(candidate, more)
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
            refusal = self._validator.check(order, self._view)
            if refusal is not None:
                return 0, refusal.error()
        lots = max(0, self._view.worst_lots(order))
        if self._checks_risk:
            return lots, self._risk_error(order, lots)
        return lots, None if self.kill_reason is None else self._killed()

    def _risk_error(self, order: Order, lots: int) -> RiskRejected | None:
        decision = self.decide(order, lots)
        if decision.allowed:
            return None if self.kill_reason is None else self._killed()
        names, reasons = decision.violated_policies, decision.reasons
        if self.kill_reason is not None and KillSwitch.name not in names:
            names, reasons = (*names, KillSwitch.name), (*reasons, self.kill_reason)
        return RiskRejected(names, "; ".join(reasons))

    def decide(self, order: Order, lots: int) -> RiskDecision:
        """What the policies say of `lots` more of this order, everything open counted."""
        if not self.risk.policies:
            return self.risk.evaluate(_NOTHING)
        instrument = order.instrument
        market = instrument.market
        lot = instrument.grid.lot
        buys, sells = self._view.open_lots(market)
        value = self._view.inventory_value(order, lots) if self.risk.uses_inventory else Decimal(0)
        ctx = RiskContext(
            market,
            self._view.position(market).net_lots * lot,
            order.book_side.sign * lots * lot,
            value,
            buys * lot,
            sells * lot,
            self._view.now_ns(),
            order,
        )
        return self.risk.evaluate(ctx)

    def _killed(self) -> RiskRejected:
        return RiskRejected((KillSwitch.name,), f"{self.kill_reason}; only cancels pass")

    @staticmethod
    def _closed(order: Order) -> ValidationError:
        return ValidationError("market_closed", f"market {order.instrument.market} has ended")


_NOTHING = RiskContext("", Decimal(0), Decimal(0))
