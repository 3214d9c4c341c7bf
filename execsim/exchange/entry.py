"""Order entry: what happens to a request once it has arrived at the venue. The same for every source of liquidity.

    place ──▶ known? rules? ──▶ plan ──▶ money? ──▶ (taker delay) ──▶ take ──▶ rest or end
    tape, agents ──▶ executed ──▶ reported          resolution ──▶ open orders end

Nothing here knows of latency or connections: requests are answered through the callback they came with, everything the
venue says on its own goes to `tell(account, event)`. Times are the venue's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from execsim.core.errors import ExecError, OrderNotFound
from execsim.core.events import OrderFilled, OrderGone, VenueEvent
from execsim.core.order import (
    CancelAck,
    Fill,
    FillStatus,
    OrderAck,
    OrderId,
    OrderReport,
    OrderStatus,
    TimeInForce,
)
from execsim.exchange.chain import Chain
from execsim.exchange.claims import Claims
from execsim.exchange.plan import Executed, Matching, Plan
from execsim.exchange.refusal import refuse
from execsim.exchange.register import ENDED_KEPT_MAX, Register
from execsim.exchange.resting import OrderKey, VenueOrder
from execsim.exchange.rules import Gate
from execsim.exchange.trace import NoTrace, Trace
from execsim.ports import Priority, Runtime, VenueProfile

Answer = Callable[[Any], None]
"""Called once with the result of a request: a value, or an ExecError to be raised at the sender."""
Tell = Callable[[str, VenueEvent], None]


@dataclass(frozen=True, slots=True)
class TakerDelay:
    """Orders that would take wait `ns` before they are matched and cannot be cancelled meanwhile.

    `acks`: the answer comes at once (Polymarket sports: status `delayed`), else when the wait is over (crypto up/down
    markets: the call simply takes longer). Source: polymarket.md section 7.
    """

    ns: int = 0
    acks: bool = False


class OrderEntry:
    """One venue's orders, of all accounts. `skew_ns` is how far the venue's clock is off (a fault); `early_ns` how much
    earlier than promised GTD orders lapse."""

    def __init__(
        self,
        runtime: Runtime,
        venue_id: str,
        profile: VenueProfile,
        gate: Gate,
        matching: Matching,
        claims: Claims,
        tell: Tell,
        chain: Chain | None = None,
        delay: TakerDelay | None = None,
        trace: Trace | None = None,
        ended_kept_max: int = ENDED_KEPT_MAX,
    ) -> None:
        self._runtime = runtime
        self._venue_id = venue_id
        self._profile = profile
        self._gate = gate
        self._matching = matching
        self._claims = claims
        self._tell = tell
        self._chain = chain
        self._delay = delay or TakerDelay()
        self._trace = trace or NoTrace()
        self._register = Register(ended_kept_max)
        self._waiting: dict[OrderKey, Answer | None] = {}
        """orders that wait out the taker delay, and who still has to be answered"""
        self.skew_ns = 0
        self.early_ns = 0
        self.keep_claims: Callable[[VenueOrder], None] | None = None
        """a fault that holds on to the claim of an order that has ended (phantom balance lock)"""

        self.on_first: Callable[[VenueOrder, Fill], None] | None = None
        """told of an order's first fill as taker, and of its first as maker"""

    @property
    def open(self) -> dict[OrderKey, VenueOrder]:
        """Orders that may still trade, in order of arrival."""
        return self._register.open

    @property
    def booked(self) -> Iterable[VenueOrder]:
        """Every order that was ever booked, but for those that were dropped."""
        return self._register.orders.values()

    @property
    def dropped(self) -> int:
        """Ended orders that are not kept any more (see Register)."""
        return self._register.dropped

    def find(self, account: str, order_id: OrderId) -> VenueOrder | None:
        return self._register.orders.get((account, order_id))

    def _now_ns(self) -> int:
        """The venue's clock."""
        return self._runtime.now_ns() + self.skew_ns

    # ---------------------------------------------------------------- placing
    def place(self, answer: Answer, order: VenueOrder) -> None:
        """Judge an order that has arrived; book it, or answer why not."""
        refusal: ExecError | None = None
        if order.key in self._register.orders:
            refusal = refuse(self._venue_id, self._profile, "duplicate", order_id=order.id)
        refusal = refusal or self._gate.check(order, self._now_ns())
        order.booked_ns = self._now_ns()  # a claim is worked out by the fees of its time; a refused order is forgotten
        plan = self._matching.plan(order, self._runtime.now_ns()) if refusal is None else None
        if plan is not None:
            refusal = plan.refusal or self._claims.check(order, plan)
        if refusal is not None or plan is None:
            self._trace.order("refused", order, reason=str(refusal))
            answer(refusal)
            return
        self._register.add(order)
        if plan.levels and self._delay.ns:
            self._wait(answer, order, plan)
        else:
            self._book(answer, order, plan)

    def _book(self, answer: Answer | None, order: VenueOrder, plan: Plan) -> None:
        self._claims.claim(order, plan)
        self._trace.order("booked", order, takes=plan.lots)
        if answer is not None:
            answer(OrderAck(order.id, order.venue_order_id, self._now_ns()))
        self.executed(self._matching.take(order, plan, self._runtime.now_ns()))
        if order.is_open:
            self._rest_or_end(order)

    def _wait(self, answer: Answer, order: VenueOrder, plan: Plan) -> None:
        """It would take: its money is set aside and it waits. What it meets then is judged then."""
        self._claims.hold(order, plan)
        order.delayed = True
        self._trace.order("delayed", order, wait_ns=self._delay.ns)
        later: Answer | None = answer
        if self._delay.acks:
            answer(OrderAck(order.id, order.venue_order_id, self._now_ns()))
            later = None
        at_ns = self._runtime.now_ns() + self._delay.ns
        self._waiting[order.key] = later
        order.timer = self._runtime.call_at(at_ns, self._waited, order, priority=Priority.VENUE)

    def _waited(self, order: VenueOrder) -> None:
        answer = self._stop_waiting(order)
        plan = self._matching.plan(order, self._runtime.now_ns())
        refusal = plan.refusal or self._claims.check(order, plan)
        if refusal is None:
            self._book(answer, order, plan)
        else:
            self._refuse_late(answer, order, refusal)

    def _stop_waiting(self, order: VenueOrder) -> Answer | None:
        """Its delay is over, one way or another; returns who still waits for an answer."""
        if order.timer is not None:
            order.timer.cancel()
        order.delayed, order.timer = False, None
        self._claims.release(order)
        return self._waiting.pop(order.key)

    def _refuse_late(self, answer: Answer | None, order: VenueOrder, refusal: ExecError) -> None:
        """What waited comes to nothing: refused where it was not acknowledged yet, else gone."""
        if answer is None:
            self._gone(order, str(refusal.args[2]) if len(refusal.args) > 2 else str(refusal))
            return
        self._register.withdraw(order)
        order.status = OrderStatus.REJECTED
        self._trace.order("refused", order, reason=str(refusal))
        answer(refusal)

    def _rest_or_end(self, order: VenueOrder) -> None:
        if not order.is_immediate and order.left_lots and order.price_i is not None:
            self._matching.rest(order)
            self._trace.rests(order)
            if order.tif is TimeInForce.GTD and order.expire_ns is not None:
                self._set_expiry(order)
            return
        if self._profile.unmatched == "expire":
            rule = "fok" if order.tif is TimeInForce.FOK else "ioc_no_match"
            reason = str(refuse(self._venue_id, self._profile, rule).args[2])
            self._gone(order, reason, OrderStatus.EXPIRED, ts_ns=order.booked_ns)
            return
        filled = "rest" if order.filled_lots else "whole"
        self._gone(order, f"{filled} of {order.tif.upper()} order had no match", ts_ns=order.booked_ns)

    # ---------------------------------------------------------------- expiry
    def _set_expiry(self, order: VenueOrder) -> None:
        assert order.expire_ns is not None
        gone_ns = order.expire_ns - self._profile.gtd_early_ns - self.early_ns - self.skew_ns
        gone_ns = max(self._runtime.now_ns(), gone_ns)
        order.timer = self._runtime.call_at(gone_ns, self._lapse, order, priority=Priority.VENUE)

    def rearm_expiries(self) -> None:
        """The venue's clock has moved, or it has become impatient: every GTD order lapses by the new reckoning."""
        for order in list(self._register.open.values()):
            if order.tif is TimeInForce.GTD and order.timer is not None and not order.delayed:
                order.timer.cancel()
                self._set_expiry(order)

    def _lapse(self, order: VenueOrder) -> None:
        self._end(order, OrderStatus.EXPIRED)
        self._tell(order.account, OrderGone(order.id, "its time is over", True, self._now_ns()))

    # ---------------------------------------------------------------- what happened to orders
    def executed(self, several: Iterable[Executed]) -> None:
        """Book executions: reported at once, provisional where a chain has to settle them."""
        for one in several:
            order, fill = one.order, one.fill
            if self.on_first is not None and not any(f.liquidity is fill.liquidity for f in order.fills):
                self.on_first(order, fill)
            if self._chain is not None:
                fill = replace(fill, status=FillStatus.PROVISIONAL)
            order.fills.append(fill)
            self._claims.spent(order, fill)
            self._register.fill(order)
            self._trace.fill(order, fill)
            if one.done:
                self._end(order, OrderStatus.CANCELLED if order.voided_lots else OrderStatus.FILLED)
            self._tell(order.account, OrderFilled(fill, one.done, fill.ts_ns))
            if self._chain is not None:
                self._chain.settle(order, fill)

    def _gone(
        self, order: VenueOrder, reason: str, status: OrderStatus = OrderStatus.CANCELLED, ts_ns: int = 0
    ) -> None:
        self._end(order, status)
        self._tell(order.account, OrderGone(order.id, reason, status is OrderStatus.EXPIRED, ts_ns or self._now_ns()))

    def _end(self, order: VenueOrder, status: OrderStatus) -> None:
        """Take an order off the book and give back what it still claims."""
        order.status = status
        self._register.end(order)
        self._matching.drop(order)
        if order.timer is not None:
            order.timer.cancel()
            order.timer = None
        if self.keep_claims is not None and order.reserved:
            self.keep_claims(order)
        self._claims.release(order)
        self._trace.order("ended", order, status=status.value)

    def drop_all(self, reason: str, *, expire: bool = False, market: int | None = None) -> None:
        """End every open order (of a market) by the venue's will: resolution, an outage, the start of a game."""
        status = OrderStatus.EXPIRED if expire else OrderStatus.CANCELLED
        for order in [o for o in self._register.open.values() if market in (None, o.market)]:
            if order.delayed:
                refusal = refuse(self._venue_id, self._profile, "market_closed", market=order.instrument.market)
                self._refuse_late(self._stop_waiting(order), order, refusal)
            else:
                self._gone(order, reason, status)

    # ---------------------------------------------------------------- cancels and amends
    def cancel(self, answer: Answer, account: str, order_id: OrderId) -> None:
        """Cancel one order of an account; somebody else's order is not found."""
        order = self._register.open.get((account, order_id))
        if order is None or order.delayed:
            rule = "order_gone" if order is None or not order.delayed else "order_delayed"
            gone = refuse(self._venue_id, self._profile, rule, order_id=order_id)
            answer(CancelAck(order_id, False, self._now_ns(), str(gone.args[2])))
            return
        self._end(order, OrderStatus.CANCELLED)
        answer(CancelAck(order_id, True, self._now_ns()))

    def amend(
        self, answer: Answer, account: str, order_id: OrderId, price_i: int | None, size_lots: int | None
    ) -> None:
        """Change price or total size. A smaller size keeps the place in the queue, anything else goes to its end."""
        order = self._register.open.get((account, order_id))
        if order is None or order.delayed:
            rule = "order_gone" if order is None or not order.delayed else "order_delayed"
            answer(refuse(self._venue_id, self._profile, rule, order_id=order_id))
            return
        gone = order.filled_lots + order.voided_lots
        total = size_lots if size_lots is not None else gone + order.left_lots
        left = total - gone
        if price_i in (None, order.price_i) and 0 < left <= order.left_lots:
            refusal = self._gate.size(order, total)
            if refusal is None:
                order.size_lots, order.left_lots = gone + left, left
                self._matching.shrink(order, left)
                self._claims.keep(order)
                self._trace.order("shrunk", order, left=left)
            answer(refusal or OrderAck(order_id, order.venue_order_id, self._now_ns()))
        else:
            self._move(answer, order, order.price_i if price_i is None else price_i, left)

    def _move(self, answer: Answer, order: VenueOrder, price_i: int | None, left: int) -> None:
        """A new price or a larger size: same order, new place at the back of the queue; all or nothing."""
        before = (order.price_i, order.size_lots, order.left_lots)
        gone = order.filled_lots + order.voided_lots
        order.price_i, order.size_lots, order.left_lots = price_i, gone + left, left
        self._claims.release(order)
        refusal = self._gate.left(order) or self._gate.check(order, self._now_ns())
        refusal = refusal or self._gate.hold(order)
        plan = self._matching.plan(order, self._runtime.now_ns()) if refusal is None else None
        if plan is not None:
            refusal = plan.refusal or self._claims.check(order, plan)
        if refusal is not None or plan is None:
            order.price_i, order.size_lots, order.left_lots = before
            self._claims.restore(order)
            answer(refusal)
            return
        self._matching.drop(order)
        if order.timer is not None:
            order.timer.cancel()
            order.timer = None
        self._book(answer, order, plan)

    # ---------------------------------------------------------------- questions
    def status(self, answer: Answer, account: str, order_id: OrderId) -> None:
        order = self._register.orders.get((account, order_id))
        if order is None:
            answer(OrderNotFound(order_id, "the venue never booked it, or it ended long ago"))
        else:
            answer(order.report(self._now_ns()))

    def fills(self, answer: Answer, account: str, since_ns: int) -> None:
        """Every fill of the account from `since_ns` on, oldest first; without those of orders that were dropped."""
        mine = [fill for order in self._register.filled.get(account, {}).values() for fill in order.fills]
        answer(sorted((fill for fill in mine if fill.ts_ns >= since_ns), key=lambda fill: fill.ts_ns))

    def open_orders(self, answer: Answer, account: str, market: str | None) -> None:
        now_ns = self._now_ns()
        mine = [o for o in self._register.open.values() if o.account == account]
        reports: list[OrderReport] = [o.report(now_ns) for o in mine if market in (None, o.instrument.market)]
        answer(reports)
