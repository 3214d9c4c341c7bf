"""The one place where an order changes: tracker, portfolio, journal, metrics and subscribers move together, in order.

Each method is one fact. What a venue's message makes impossible goes through `guard`: it becomes InvalidResponse,
counted, journalled and published, and the order stays as it was.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from execsim.core.errors import ExecError, InvalidOrderState, InvalidResponse, JournalError, Reached
from execsim.core.events import OrderUpdate
from execsim.core.instrument import Outcome
from execsim.core.lifecycle import OrderEvent
from execsim.core.order import TERMINAL, Fill, FillStatus, Order, OrderReport, OrderStatus
from execsim.engine.breaker import BreakerState
from execsim.engine.commit import Committer
from execsim.engine.metrics import (
    ACK_FILL,
    BREAKER_LEVELS,
    BREAKER_STATE,
    CANCELLED,
    EXPIRED,
    FILLED,
    FILLS,
    PLACED,
    RATE_LIMIT_HITS,
    REJECTED,
    RETRIES,
    RISK_REJECTIONS,
    SEND_ACK,
    THROTTLE,
    TOTAL,
    Metrics,
    Stopwatch,
)
from execsim.engine.narrate import narrate
from execsim.engine.portfolio import Portfolio
from execsim.engine.records import Row, fill_row, order_row
from execsim.engine.track import Entry, OrderTracker
from execsim.engine.view import LiveView
from execsim.ports import Journal, Runtime

log = logging.getLogger("execsim.engine")

OURS: Final = "ours"
VENUE: Final = "venue"

S = OrderStatus
E = OrderEvent

SETTLED: Final = {FillStatus.MINED: "mined", FillStatus.CONFIRMED: "confirm", FillStatus.VOIDED: "void"}
"""Row kinds of what becomes of a fill."""
RISK_AWAY: Final = frozenset({"cancel", "cancel_refuse", "gone", "lapse", "kill", "halt", "retry"})
"""Rows of what takes risk away: a dead disk must not keep orders at the venue."""
COUNTED_ENDS: Final = {S.FILLED: FILLED, S.CANCELLED: CANCELLED, S.REJECTED: REJECTED, S.EXPIRED: EXPIRED}


@dataclass(frozen=True, slots=True)
class _Subscriber:
    fn: Callable[[OrderUpdate], None]
    owner: str | None
    market: str | None


class Blotter:
    """Applies facts to orders. Times are the runtime's; a venue's own times stay in fills and journal bodies."""

    def __init__(
        self,
        runtime: Runtime,
        journal: Journal | None,
        metrics: Metrics,
        tracker: OrderTracker,
        portfolio: Portfolio,
        view: LiveView,
    ) -> None:
        self._runtime = runtime
        self._journal = journal
        self._metrics = metrics
        self.stopwatch = Stopwatch(metrics, runtime)
        self._tracker = tracker
        self._portfolio = portfolio
        self._view = view
        self._subscribers: tuple[_Subscriber, ...] = ()
        self.broken: JournalError | None = None
        """set when the journal failed: nothing may be sent any more"""
        self.commit = Committer(runtime, journal, self._break)
        self.resolved: dict[str, int] = {}
        """market -> payoff_i of markets that paid out"""
        self.closed: dict[str, int] = {}
        """market -> payoff_i that is proposed or final, of markets that take no more orders"""
        self.invalid_responses = 0
        self.on_unknown: Callable[[Entry], None] = lambda entry: None
        """told when nobody answered about an order: somebody must ask"""
        self.on_alive: Callable[[Entry], None] = lambda entry: None
        """told of an order whose ack came after the answer to its cancel: it is still to be cancelled"""
        self.on_doubt: Callable[[Entry], None] = lambda entry: None
        """told of an order that a venue calls filled and that by our count is not: somebody must ask"""
        self.on_unbooked: Callable[[Entry, Fill], None] = lambda entry, fill: None
        """told of a fill that cannot be booked"""
        self.on_late_fill: Callable[[Entry, Fill], None] = lambda entry, fill: None
        """told of a fill of an order that had ended"""
        self.on_profit: Callable[[], None] = lambda: None
        """told when a fill, the failure of one or a payout has changed what was earned"""

    def subscribe(
        self, fn: Callable[[OrderUpdate], None], *, owner: str | None = None, market: str | None = None
    ) -> Callable[[], None]:
        """Call fn for every update (of one owner's orders, of one market); returns the unsubscription. fn must only
        take note: it runs in the middle of the engine's step."""
        subscriber = _Subscriber(fn, owner, market)
        self._subscribers = (*self._subscribers, subscriber)

        def unsubscribe() -> None:
            self._subscribers = tuple(other for other in self._subscribers if other is not subscriber)

        return unsubscribe

    # --- what the engine does -------------------------------------------------------------------------------------

    def refuse(self, entry: Entry, error: ExecError) -> None:
        """We said no before sending: PENDING -> REJECTED."""
        self._count_refusal(entry, error)
        entry.order.reason = error.message
        self._move(entry, E.REFUSE, "refuse", self._refusal_row(entry, OURS, error), error=error)

    def lapse_unsent(self, entry: Entry) -> None:
        """Its time ran out while it waited for its turn: PENDING -> EXPIRED."""
        self._end(entry, E.LAPSE, OURS, "expired before it was sent")

    def cancel_unsent(self, entry: Entry) -> None:
        """Cancelled before it was sent: PENDING -> CANCELLED, the venue never hears of it."""
        self._end(entry, E.ASK_CANCEL, OURS, "cancelled before it was sent")

    def sending(self, entry: Entry) -> None:
        """Journal the intent, then PENDING -> SUBMITTING. Errors: JournalError, and then the order is REJECTED."""
        try:
            self.write("intent", entry.order.id, order_row(entry))
        except JournalError as error:
            self.unrecorded(entry, error)
            raise
        entry.intent_written = True
        before = self._step(entry, E.SEND)
        entry.sent_ns = entry.order.updated_ns
        if self._metrics.enabled:
            self._metrics.add(PLACED, entry.labels)
            self._metrics.stage(THROTTLE, entry.labels, entry.sent_ns - entry.order.created_ns)
        self._publish(entry, E.SEND, before)

    def unrecorded(self, entry: Entry, error: JournalError) -> None:
        """The intent could not be put on record, so the order is not sent: it ends, and there is nowhere to write that."""
        event = E.GONE if entry.order.status is S.CANCELLING else E.REFUSE
        entry.order.reason = error.message
        self._publish(entry, event, self._step(entry, event), error=error)

    def acked(self, entry: Entry, venue_order_id: str, ts_ns: int) -> None:
        """The venue has the order. A second ack is harmless. Errors: InvalidOrderState for an order never sent."""
        order = entry.order
        first = order.venue_order_id is None
        before = self._step(entry, E.ACK)
        order.venue_order_id = venue_order_id
        entry.acknowledged = True
        self.write("ack", order.id, {"venue_order_id": venue_order_id, "venue_ts_ns": ts_ns})
        if first:
            self._time_ack(entry)
        self._publish(entry, E.ACK, before)
        if entry.wants_cancel and order.status is S.WORKING:
            self.on_alive(entry)

    def place_failed(self, entry: Entry, error: ExecError) -> None:
        """`place_order` raised. Nobody answered -> UNKNOWN, refused -> REJECTED; a cancel asked meanwhile has then
        nothing left to cancel. What the venue reported first (fills, an ack) outweighs a missing answer."""
        status = entry.order.status
        heard = entry.order.venue_order_id is not None or bool(entry.fills)
        # WORKING without a word from the venue: a cancel overtook the order and was refused
        unheard = status in (S.SUBMITTING, S.WORKING, S.CANCELLING) and not heard
        if error.reached is Reached.UNKNOWN:
            if unheard:
                self._silence(entry, "place", error)
            return
        self._count_refusal(entry, error)
        if status is S.SUBMITTING or (status is S.UNKNOWN and not heard):
            entry.order.reason = error.message
            self._move(entry, E.REFUSE, "refuse", self._refusal_row(entry, VENUE, error), error=error)
        elif unheard:
            self._end(entry, E.GONE, VENUE, error.message, error=error)
        elif status not in (S.CANCELLED, S.EXPIRED):
            self.impossible(entry, E.REFUSE, f"refused an order that is {status}: {error.message}")

    def ask_cancel(self, entry: Entry) -> None:
        entry.wants_cancel = True
        row = {"status": entry.order.status.value}
        self._move(entry, E.ASK_CANCEL, "cancel", row)

    def cancel_done(self, entry: Entry, cancelled: bool, reason: str) -> None:
        """The venue answered a cancel."""
        if cancelled:
            self.gone(entry, False, reason or "cancelled")
        else:
            self.cancel_refused(entry, reason or "already gone at the venue")

    def cancel_failed(self, entry: Entry, error: ExecError) -> None:
        """The cancel raised: nobody answered -> UNKNOWN, refused or never sent -> alive as before."""
        if error.is_rate_limit:
            self._metrics.add(RATE_LIMIT_HITS, entry.labels)
        if error.reached is not Reached.UNKNOWN:
            self.cancel_refused(entry, error.message, error)
        elif entry.order.status is S.CANCELLING:
            self._silence(entry, "cancel", error)

    def cancel_refused(self, entry: Entry, reason: str, error: ExecError | None = None) -> None:
        """Only an order that waits for a cancel has one to be refused; a late echo changes nothing."""
        if entry.order.status is S.CANCELLING:
            self._move(entry, E.REFUSE, "cancel_refuse", {"reason": reason}, error=error)

    def gone(self, entry: Entry, lapsed: bool, reason: str) -> None:
        """The order left the venue's book. Idempotent: a finished order stays as it is."""
        if entry.order.status not in TERMINAL:
            self._end(entry, E.LAPSE if lapsed else E.GONE, VENUE, reason)

    def ask_amend(self, entry: Entry, price_i: int | None, size_lots: int | None) -> None:
        self.write("amend_ask", entry.order.id, {"price_i": price_i, "size_lots": size_lots})
        if size_lots is not None:
            self._tracker.propose_size(entry, size_lots)

    def amended(self, entry: Entry, price_i: int | None, size_lots: int | None) -> None:
        """The venue changed the order in place. Idempotent: saying it twice writes one row."""
        order = entry.order
        same = price_i in (None, order.price_i) and size_lots in (None, order.size_lots)
        counted = entry.ceiling_lots
        if price_i is not None:
            order.price_i = price_i
        self._tracker.settle_size(entry, size_lots)
        if same and entry.ceiling_lots == counted:
            return
        order.updated_ns = self._runtime.now_ns()
        self.write("amend", order.id, {"price_i": price_i, "size_lots": size_lots})
        if order.status in (S.WORKING, S.CANCELLING):
            self._publish(entry, E.ACK, order.status)

    def amend_failed(self, entry: Entry, error: ExecError) -> None:
        """Nobody answered: size and price are unknown, the larger size stays counted. Refused, by us or by the venue: the
        order is as it was."""
        self._count_refusal(entry, error)
        if error.reached is Reached.UNKNOWN:
            if entry.order.status is S.WORKING:
                self._silence(entry, "amend", error)
            return
        self._tracker.settle_size(entry, None)
        self.write("amend_refuse", entry.order.id, {"reason": error.message})
        self._publish(entry, E.REFUSE, entry.order.status, error=error)

    def throttled(self, entry: Entry) -> None:
        self._metrics.add(RATE_LIMIT_HITS, entry.labels)

    def heard(self, entry: Entry, fill: Fill, done: bool) -> None:
        """Book a fill the venue tells of. One that cannot be (more than the order had left) is written down and told to
        `on_unbooked`: the venue's position is not ours any more."""
        try:
            self.filled(entry, fill, done)
        except InvalidOrderState as error:
            self.impossible(entry, E.DONE if done else E.FILL, error.message)
            self.on_unbooked(entry, fill)

    def filled(self, entry: Entry, fill: Fill, done: bool) -> bool:
        """Book a fill once; False when it was known. Errors: InvalidOrderState (nothing booked)."""
        order = entry.order
        if self._tracker.find(order.id) is None:  # a copy from the journal: the order has left memory
            return self.filled_late(order.instrument.market, fill, done)
        if fill.id in entry.fills:
            self._known_fill(entry, fill)
            if done and order.is_active and not order.voided_lots:
                # the last part was heard of before anybody said that it was the last
                if order.size_lots is None:
                    self._move(entry, E.DONE, "done", {})
                else:  # our own count says that something is left: only the venue can tell
                    self.on_doubt(entry)
            return False
        if fill.status is FillStatus.VOIDED:
            # heard of for the first time when it has already failed: booked and undone, so that its lots are known as gone
            entry.early[fill.id] = FillStatus.VOIDED
            fill = replace(fill, status=FillStatus.PROVISIONAL)
        before = order.status
        event = self._tracker.record_fill(fill, done)
        if event is None:
            return False
        order.updated_ns = self._runtime.now_ns()
        instrument = order.instrument
        self._portfolio.apply(fill, instrument)
        price_i = fill.price_i if fill.outcome is Outcome.YES else instrument.one_i - fill.price_i
        self._view.saw_fill(instrument.market, price_i)
        self.write("fill", order.id, fill_row(fill, done or event is E.DONE))
        self._metrics.add(FILLS, entry.labels)
        self._count_end(entry, before)
        if len(entry.fills) == 1 and entry.acked_ns is not None:
            self._metrics.stage(ACK_FILL, entry.labels, order.updated_ns - entry.acked_ns)
        self._publish(entry, event, before, fill=fill)
        if before in TERMINAL:
            self.on_late_fill(entry, fill)
        self._pay_again(instrument.market)
        early = entry.early.pop(fill.id, None)
        if early is FillStatus.VOIDED:
            self.voided(entry, fill.id)
        elif early is not None:
            self.settled(entry, fill.id, early)
        self.on_profit()
        if early is not None:
            self._tracker.let_go(entry)
        return True

    def filled_late(self, market: str, fill: Fill, done: bool) -> bool:
        """Book a fill of an order that has left memory, once; False when it was known. What it did to the order stands in
        the journal; subscribers, who follow orders, do not hear of it."""
        failed = fill.status is FillStatus.VOIDED
        if not self._tracker.record_late(replace(fill, status=FillStatus.PROVISIONAL) if failed else fill):
            if fill.status is not FillStatus.PROVISIONAL:
                self.settled_late(market, fill.order_id, fill.id, fill.status)
            return False
        log.warning("fill %s of order %s, which ended long ago and is not in memory any more", fill.id, fill.order_id)
        instrument = self._view.instrument(market)
        if failed:  # as `filled`: booked, and undone below
            fill = replace(fill, status=FillStatus.PROVISIONAL)
        self._portfolio.apply(fill, instrument)
        self._view.saw_fill(market, instrument.canonical_i(fill.price_i, fill.outcome))
        self.write("fill", fill.order_id, {**fill_row(fill, done), "late": True})
        self._pay_again(market)
        self.on_profit()
        if failed:
            self.settled_late(market, fill.order_id, fill.id, FillStatus.VOIDED)
        return True

    def settled_late(self, market: str, order_id: str, fill_id: str, status: FillStatus) -> bool:
        """News of a fill of an order that has left memory. False: it failed, and we cannot undo it or do not know it."""
        fill = self._tracker.settle_late(fill_id, status)
        if fill is None:
            return status is not FillStatus.VOIDED
        instrument = self._view.instrument(market)
        if status is FillStatus.VOIDED:
            self._portfolio.void(fill, instrument)
        elif status is FillStatus.CONFIRMED:
            self._portfolio.confirm(fill, instrument)
        self.write(SETTLED[status], order_id, {"fill_id": fill_id})
        if status is FillStatus.VOIDED:
            self._pay_again(market)
        return True

    def _pay_again(self, market: str) -> None:
        """A change that crossed the settlement on the wire: pay it out (or take it back) like the rest."""
        if market in self.resolved:
            self.resolve(market, self.resolved[market])

    def settled(self, entry: Entry, fill_id: str, status: FillStatus) -> None:
        """A booked fill was mined or became final; no effect when that is known."""
        early = entry.early.get(fill_id)
        before = self._tracker.settle_fill(entry.order.id, fill_id, status)
        if before is None:
            self._note_early(entry, fill_id, early)
            return
        if status is FillStatus.CONFIRMED:
            self._portfolio.confirm(before, entry.order.instrument)
        self.write(SETTLED[status], entry.order.id, {"fill_id": fill_id})

    def voided(self, entry: Entry, fill_id: str) -> None:
        """Undo a booked fill; no effect when it is unknown or undone already. Errors: InvalidOrderState."""
        order = entry.order
        before = order.status
        early = entry.early.get(fill_id)
        fill = self._tracker.void_fill(order.id, fill_id)
        if fill is None:
            self._note_early(entry, fill_id, early)
            return
        order.updated_ns = self._runtime.now_ns()
        self._portfolio.void(fill, order.instrument)
        self.write("void", order.id, {"fill_id": fill_id})
        self._publish(entry, E.VOID, before, fill=entry.fills[fill_id])
        self._pay_again(order.instrument.market)
        self.on_profit()

    def _note_early(self, entry: Entry, fill_id: str, before: FillStatus | None) -> None:
        """News of a fill that was not reported yet: it counts when the fill comes, also after a restart."""
        after = entry.early.get(fill_id)
        if after is not before and after is not None:
            self.write("early", entry.order.id, {"fill_id": fill_id, "status": after.value})

    def recovered(self, entry: Entry, fills: Sequence[Fill]) -> None:
        """Fills the venue named when it was asked: those we have not heard of are booked."""
        for fill in fills:
            self.heard(entry, fill, False)

    def reported(self, entry: Entry, report: OrderReport) -> None:
        """The venue's answer to a question about one order, its fills booked already: end UNKNOWN where the answer does."""
        order = entry.order
        if report.filled_lots > order.filled_lots + order.voided_lots:
            # fills we have not seen: without their prices there is nothing to book, so it stays as it is and is asked again
            return
        if report.status in (S.CANCELLED, S.REJECTED, S.EXPIRED):
            self.gone(entry, report.status is S.EXPIRED, "the venue says it is gone")
        elif report.status is S.FILLED:
            if order.status not in TERMINAL and order.voided_lots:
                self.gone(entry, False, "the venue says it is filled, less what failed on chain")
            elif order.status not in TERMINAL:
                self.guard(entry, E.DONE, lambda: self._move(entry, E.DONE, "done", {}))
        elif order.status is S.UNKNOWN:
            self.found(entry, report)

    def found(self, entry: Entry, report: OrderReport) -> None:
        """The order is alive at the venue: -> WORKING, whatever we took it for."""
        order = entry.order
        order.venue_order_id = report.venue_order_id or order.venue_order_id
        entry.acknowledged = True
        self._move(entry, E.FOUND, "found", {"venue_order_id": report.venue_order_id})
        if report.terms is not None and order.size_lots is not None:
            # an amend nobody answered may have been carried out
            self.amended(entry, report.terms.price_i, report.terms.size_lots)

    def lost(self, entry: Entry, error: ExecError) -> None:
        """The venue does not know an order that it had acknowledged: its fate is unknown."""
        self._silence(entry, "reconcile", error)

    def interrupted(self, entry: Entry, error: ExecError) -> None:
        """The engine was killed between sending the order and hearing of it."""
        self._silence(entry, "restart", error)

    def adopted(self, entry: Entry, report: OrderReport) -> None:
        """An order nobody here placed is ours from now on: PENDING -> WORKING, as if it had been sent and acknowledged."""
        order = entry.order
        order.venue_order_id = report.venue_order_id
        entry.intent_written = entry.acknowledged = True
        self.write("adopt", order.id, {**order_row(entry), "venue_order_id": report.venue_order_id})
        self._step(entry, E.SEND)
        self._publish(entry, E.ACK, self._step(entry, E.ACK))

    def absent(self, entry: Entry, reason: str) -> None:
        """The venue never had the order, and all it says agrees: UNKNOWN -> REJECTED."""
        entry.order.reason = reason
        self._move(entry, E.ABSENT, "absent", {"reason": reason})

    def replaced(self, entry: Entry, by: Order) -> None:
        """The order is gone and `by` takes its place, as its amend asked for."""
        entry.order.replaced_by = by.id
        self.write("replace", entry.order.id, {"by": by.id})

    def breaker(self, venue: str, state: BreakerState, reason: str) -> None:
        """A venue's circuit breaker opened or closed."""
        log.warning("%s: circuit breaker %s: %s", venue, state, reason, extra={"venue": venue})
        self._metrics.gauge(BREAKER_STATE, (venue,), BREAKER_LEVELS[state])
        self.write("breaker", "", {"venue": venue, "state": state.value, "reason": reason})

    def repeated(self, entry: Entry, call: str, attempt: int, error: ExecError) -> None:
        """A call that surely had no effect will be made again."""
        if error.is_rate_limit:
            self._metrics.add(RATE_LIMIT_HITS, entry.labels)
        self._metrics.add(RETRIES, entry.labels)
        self.write("retry", entry.order.id, {"call": call, "attempt": attempt, "reason": error.message})

    def close(self, market: str, payoff_i: int, final: bool) -> None:
        """The market takes no more orders; `payoff_i` is proposed, or `final` and waits to be redeemed."""
        self.closed[market] = payoff_i
        self.write("close", "", {"market": market, "payoff_i": payoff_i, "final": final})

    def tokens(self, kind: str, body: Row) -> None:
        """Tokens changed form: split, merge, convert (the portfolio has it already)."""
        self.write(kind, "", body)

    def resolve(self, market: str, payoff_i: int) -> None:
        """The market paid out: settle what we hold of it, at `payoff_i` per YES share."""
        self.resolved[market] = self.closed[market] = payoff_i
        received = self._portfolio.settle(market, payoff_i)
        self._view.saw_fill(market, payoff_i)
        self.write("resolve", "", {"market": market, "payoff_i": payoff_i, "received_units": received})
        self.on_profit()

    def note(self, key: str, text: str) -> None:
        """Keep a fact beside the journal's rows. Errors: JournalError, as `write`."""
        if self._journal is None:
            return
        try:
            self._journal.note(key, text)
        except JournalError as error:
            self.broken = error
            raise

    def write(self, kind: str, order_id: str, body: Row) -> None:
        """Append one journal row. Errors: JournalError; from then on nothing is sent any more (`broken`) but what takes risk
        away: that is carried out without a record."""
        if self._journal is None:
            return
        try:
            self._journal.write(kind, self._runtime.now_ns(), order_id, body)
        except JournalError as error:
            self._break(error)
            if kind not in RISK_AWAY:
                raise
            log.error("%s of order %r is not on record: %s", kind, order_id, error)
            return
        self.commit.kick()

    # --- pieces ---------------------------------------------------------------------------------------------------

    def _break(self, error: JournalError) -> None:
        self.broken = error

    def guard(self, entry: Entry, event: OrderEvent, apply: Callable[[], object]) -> None:
        try:
            apply()
        except InvalidOrderState as error:
            self.impossible(entry, event, error.message)

    def impossible(self, entry: Entry, event: OrderEvent, text: str) -> None:
        self.invalid_responses += 1
        order = entry.order
        error = InvalidResponse(order.instrument.venue, "state", text)
        self.write("invalid", order.id, {"venue": order.instrument.venue, "reason": text})
        self._publish(entry, event, order.status, error=error)

    def _known_fill(self, entry: Entry, fill: Fill) -> None:
        """The same fill again: nothing, unless it has become final or has failed since."""
        if fill.status is FillStatus.VOIDED:
            self.voided(entry, fill.id)
        elif fill.status is not FillStatus.PROVISIONAL:
            self.settled(entry, fill.id, fill.status)

    def _end(self, entry: Entry, event: OrderEvent, by: str, reason: str, error: ExecError | None = None) -> None:
        entry.order.reason = reason
        row = {"by": by, "reason": reason, **({} if entry.intent_written else order_row(entry))}
        self._move(entry, event, "lapse" if event is E.LAPSE else "gone", row, error=error)

    def _silence(self, entry: Entry, call: str, error: ExecError) -> None:
        entry.order.reason = error.message
        self._move(entry, E.SILENCE, "silence", {"call": call, "reason": error.message}, error=error)
        self.on_unknown(entry)

    def _move(self, entry: Entry, event: OrderEvent, kind: str, row: Row, *, error: ExecError | None = None) -> None:
        before = self._step(entry, event)
        self.write(kind, entry.order.id, row)
        self._publish(entry, event, before, error=error)

    def _step(self, entry: Entry, event: OrderEvent) -> OrderStatus:
        """Apply the table; returns the status before."""
        order = entry.order
        before = order.status
        self._tracker.move(entry, event)
        order.updated_ns = self._runtime.now_ns()
        self._count_end(entry, before)
        return before

    def _count_end(self, entry: Entry, before: OrderStatus) -> None:
        after = entry.order.status
        if after is not before:
            name = COUNTED_ENDS.get(after)
            if name is not None:
                self._metrics.add(name, entry.labels)

    def _time_ack(self, entry: Entry) -> None:
        """The first ack of an order we sent ourselves: a fill that outran it waited 0 ns for its own."""
        metrics, order = self._metrics, entry.order
        if metrics.enabled:
            entry.acked_ns = order.updated_ns
            metrics.stage(SEND_ACK, entry.labels, order.updated_ns - entry.sent_ns)
            metrics.stage(TOTAL, entry.labels, order.updated_ns - order.created_ns)
            if entry.fills:
                metrics.stage(ACK_FILL, entry.labels, 0)

    def _count_refusal(self, entry: Entry, error: ExecError) -> None:
        if error.is_risk_rejection:
            self._metrics.add(RISK_REJECTIONS, entry.labels)
        if error.is_rate_limit:
            self._metrics.add(RATE_LIMIT_HITS, entry.labels)

    @staticmethod
    def _refusal_row(entry: Entry, by: str, error: ExecError) -> Row:
        row: Row = {"by": by, "error": type(error).__name__, "reason": error.message}
        return row if entry.intent_written else {**row, **order_row(entry)}

    def _publish(
        self,
        entry: Entry,
        event: OrderEvent,
        before: OrderStatus,
        *,
        fill: Fill | None = None,
        error: ExecError | None = None,
    ) -> None:
        order = entry.order
        if error is not None or event is E.VOID or log.isEnabledFor(logging.DEBUG):
            narrate(self._runtime.now_ns(), order, event, before, fill, error)
        if not self._subscribers:
            return
        update = OrderUpdate(order, event, before, order.status, self._runtime.now_ns(), fill, error)
        for subscriber in self._subscribers:
            if subscriber.owner is not None and subscriber.owner != entry.owner:
                continue
            if subscriber.market is None or subscriber.market == order.instrument.market:
                subscriber.fn(update)
