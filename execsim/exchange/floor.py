"""The order entry in its plainest form: no distance, no limits, no clock of its own, one market.

Used where somebody stands at the exchange itself (agents) and where the book and its money are judged alone (conformance).
It answers through the callback a request came with, as the venue's order entry does, and has the same methods.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from execsim.core.errors import ExecError
from execsim.core.order import CancelAck, OrderAck, OrderId, OrderStatus, Side
from execsim.exchange.claims import Claims
from execsim.exchange.plan import Executed, Matching
from execsim.exchange.refusal import refuse
from execsim.exchange.resting import VenueOrder
from execsim.ports import VenueProfile

Answer = Callable[[Any], None]


class Floor:
    """Orders of every account of one market. `heard` gets every execution, after the order itself has taken note."""

    def __init__(
        self, now_ns: Callable[[], int], profile: VenueProfile, matching: Matching, claims: Claims,
        heard: Callable[[Executed], None],
    ) -> None:  # fmt: skip
        self._now_ns = now_ns
        self._profile = profile
        self._matching = matching
        self._claims = claims
        self._heard = heard
        self.open: dict[OrderId, VenueOrder] = {}

    def place(self, answer: Answer, order: VenueOrder) -> None:
        """Book an order, or answer why not."""
        if order.id in self.open:
            answer(self._no(order, "duplicate"))
            return
        refusal = self._book(order)
        answer(refusal or OrderAck(order.id, order.venue_order_id, self._now_ns()))

    def cancel(self, answer: Answer, account: str, order_id: OrderId) -> None:
        order = self.open.get(order_id)
        if order is None or order.account != account:
            answer(CancelAck(order_id, False, self._now_ns(), "order not found or already done"))
            return
        self._end(order, OrderStatus.CANCELLED)
        answer(CancelAck(order_id, True, self._now_ns()))

    def amend(
        self, answer: Answer, account: str, order_id: OrderId, price_i: int | None, size_lots: int | None
    ) -> None:
        """A smaller size keeps the place in the queue; a new price or a larger size goes to its end, all or nothing."""
        order = self.open.get(order_id)
        if order is None or order.account != account:
            answer(refuse("", self._profile, "order_gone", order_id=order_id))
            return
        left = order.left_lots if size_lots is None else size_lots - order.filled_lots
        refusal: ExecError | None = None
        if price_i in (None, order.price_i) and 0 < left <= order.left_lots:
            order.size_lots, order.left_lots = order.filled_lots + left, left
            self._matching.shrink(order, left)
            self._claims.keep(order)
        elif left <= 0:
            refusal = self._no(order, "size_min", size=left, min=1)
        else:
            refusal = self._move(order, order.price_i if price_i is None else price_i, left)
        answer(refusal or OrderAck(order_id, order.venue_order_id, self._now_ns()))

    def _move(self, order: VenueOrder, price_i: int | None, left: int) -> ExecError | None:
        hold = order.hold_price_i
        if hold is not None and price_i is not None and order.side is Side.BUY and price_i > hold:
            return self._no(order, "hold_price", price=price_i, hold=hold)
        before = (order.price_i, order.size_lots, order.left_lots)
        order.price_i, order.size_lots, order.left_lots = price_i, order.filled_lots + left, left
        self._claims.release(order)
        plan = self._matching.plan(order)
        refusal = plan.refusal or self._claims.check(order, plan)
        if refusal is not None:
            order.price_i, order.size_lots, order.left_lots = before
            self._claims.restore(order)
            return refusal
        self._matching.drop(order)
        return self._book(order)

    def _book(self, order: VenueOrder) -> ExecError | None:
        plan = self._matching.plan(order)
        refusal = plan.refusal or self._claims.check(order, plan)
        if refusal is not None:
            return refusal
        self.open[order.id] = order
        self._claims.claim(order, plan)
        self._executed(self._matching.take(order, plan, self._now_ns()))
        if order.is_open:
            if order.is_immediate or not order.left_lots:
                self._end(order, OrderStatus.CANCELLED)
            else:
                self._matching.rest(order)
        return None

    def _executed(self, several: Iterable[Executed]) -> None:
        for one in several:
            one.order.fills.append(one.fill)
            if one.done:
                self._end(one.order, OrderStatus.FILLED)
            self._heard(one)

    def _end(self, order: VenueOrder, status: OrderStatus) -> None:
        order.status = status
        self.open.pop(order.id, None)
        self._matching.drop(order)
        self._claims.release(order)

    def _no(self, order: VenueOrder, rule: str, **fields: object) -> ExecError:
        return refuse(order.instrument.venue, self._profile, rule, order_id=order.id, **fields)
