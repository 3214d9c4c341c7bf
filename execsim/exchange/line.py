"""One account's connection to the venue: requests travel there, answers and reports travel back, and faults happen to both.

    request ──▶ (lost) ──entry leg──▶ admitted? ──▶ arrive(answer, ...) ──▶ answer ──▶ (lost, late) ──response leg──▶ sender
                                                  report(event) ──▶ (twice, shuffled, held back) ──response leg──▶ sink

A request that nobody answers fails at its deadline with `reached` unknown; an answer that comes after it is delivered as
the report it amounts to (an ack, a cancel), as a venue's user channel would.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from execsim.core.errors import ExecError, ExecTimeout, NetworkError
from execsim.core.events import OrderAcked, OrderGone, OrderRefused, VenueEvent
from execsim.core.order import CancelAck, OrderAck, OrderId
from execsim.core.request import RequestKind
from execsim.core.units import NS_PER_S
from execsim.exchange.faults.desk import FaultDesk
from execsim.exchange.latency import LatencyModel
from execsim.exchange.trace import NoTrace, Trace
from execsim.ports import EventSink, Pending, Priority, Runtime

DEADLINE_NS: Final = 10 * NS_PER_S
"""How long a client waits for an answer (the official Polymarket client: read timeout 10 s, polymarket.md section 13)."""

Admit = Callable[["Sent"], "ExecError | int"]
"""The door of the venue: why a request is refused, or how many ns it has to wait there."""


@dataclass(slots=True)
class Sent:
    """A request on its way. `order_id` names the order it is about ("" for questions), `orders` how many it carries;
    `account` sent it ("": the trader)."""

    kind: RequestKind
    what: str
    order_id: str
    orders: int
    post_only: bool
    answer: Pending[Any]
    arrive: Callable[..., None]
    args: tuple[Any, ...]
    sent_ns: int
    account: str = ""
    settled: bool = False


class Line:
    """Requests, answers and reports of one account. `admit` is asked on arrival; `sink` hears reports."""

    def __init__(
        self,
        runtime: Runtime,
        venue_id: str,
        account: str,
        latency: LatencyModel,
        faults: FaultDesk,
        admit: Admit,
        trace: Trace | None = None,
    ) -> None:
        self._runtime = runtime
        self._venue_id = venue_id
        self._account = account
        self._faults = faults
        self._admit = admit
        self._trace = trace or NoTrace()
        name = f"{venue_id}.{account}" if account else venue_id
        self.entry = latency.entry_leg(runtime.rng, name)
        self.response = latency.response_leg(runtime.rng, name)
        self.sink: EventSink | None = None
        self._held: list[VenueEvent] = []
        faults.on_thaw.append(self._thaw)

    # ---------------------------------------------------------------- requests
    def request(
        self,
        kind: RequestKind,
        what: str,
        arrive: Callable[..., None],
        *args: Any,
        order_id: str = "",
        orders: int = 1,
        post_only: bool = False,
    ) -> Pending[Any]:
        """Send; `arrive(answer, *args)` runs at the venue, where `answer(value)` sends the value (or ExecError) back."""
        now_ns = self._runtime.now_ns()
        pending = self._runtime.pending(f"{what} at {self._venue_id}")
        sent = Sent(kind, what, order_id, orders, post_only, pending, arrive, args, now_ns, self._account)
        faults = self._faults
        slow_ns = 0
        if faults.watching:
            if kind in (RequestKind.PLACE, RequestKind.BATCH):
                faults.count_orders(order_id, orders)
            slow_ns = faults.slow_ns(kind)
            if (lost := faults.loses(kind, order_id)) is not None:
                self._trace.message("request_lost", order_id, request=kind.value, how=lost)
                self._lose(sent, lost)
                return pending
        at_ns = self.entry.arrival_ns(now_ns, kind) + slow_ns
        self._trace.message("sent", order_id, request=kind.value, arrives_ns=at_ns)
        self._runtime.call_at(at_ns, self._arrived, sent, priority=Priority.VENUE)
        return pending

    def _lose(self, sent: Sent, how: str) -> None:
        """The request never gets there: refused at once by the network, or swallowed and found out at the deadline."""
        if how == "refused":
            error: ExecError = NetworkError(self._venue_id, f"{sent.what}: connection refused", "no")
            self._runtime.call_at(sent.sent_ns, self._settle, sent, error)
        else:
            self._expire(sent)

    def _expire(self, sent: Sent) -> None:
        seconds = DEADLINE_NS // NS_PER_S
        error = ExecTimeout(self._venue_id, f"{sent.what}: no answer within {seconds} s", "unknown")
        self._runtime.call_at(sent.sent_ns + DEADLINE_NS, self._settle, sent, error)

    def _arrived(self, sent: Sent, admitted: bool = False) -> None:
        if not admitted:
            refusal = self._faults.refusal(sent.kind, sent.order_id, sent.post_only) if self._faults.watching else None
            verdict = self._admit(sent) if refusal is None else refusal
            if isinstance(verdict, ExecError):
                self._trace.message("refused_at_door", sent.order_id, reason=str(verdict))
                self._answer(sent, verdict)
                return
            if verdict:
                self._trace.message("throttled", sent.order_id, wait_ns=verdict)
                at_ns = self._runtime.now_ns() + verdict
                self._runtime.call_at(at_ns, self._arrived, sent, True, priority=Priority.VENUE)
                return
        sent.arrive(lambda value: self._answer(sent, value), *sent.args)

    # ---------------------------------------------------------------- answers
    def _answer(self, sent: Sent, value: object) -> None:
        late_ns = 0
        if self._faults.watching:
            lost, late_ns = self._faults.answer(sent.kind, sent.order_id)
            if lost:
                self._trace.message("answer_lost", sent.order_id, request=sent.kind.value)
                self._expire(sent)
                return
        at_ns = self.response.arrival_ns(self._runtime.now_ns()) + late_ns
        if late_ns and at_ns > sent.sent_ns + DEADLINE_NS:
            self._trace.message("answer_late", sent.order_id, request=sent.kind.value, late_ns=late_ns)
            self._expire(sent)
            self._runtime.call_at(at_ns, self._too_late, sent, value)
            return
        self._runtime.call_at(at_ns, self._settle, sent, value)

    def _settle(self, sent: Sent, value: object) -> None:
        if sent.settled:
            return
        sent.settled = True
        if isinstance(value, ExecError):
            sent.answer.fail(value)
        else:
            sent.answer.set(value)

    def _too_late(self, sent: Sent, value: object) -> None:
        """Nobody waits for this answer any more: what it says arrives as a report."""
        if self.sink is None:
            return
        if isinstance(value, OrderAck) and sent.kind is RequestKind.PLACE:
            self.sink(OrderAcked(value.order_id, value.venue_order_id, value.ts_ns))
        elif isinstance(value, CancelAck) and value.cancelled:
            self.sink(OrderGone(value.order_id, "cancelled", False, value.ts_ns))
        elif isinstance(value, ExecError) and sent.kind is RequestKind.PLACE:
            self.sink(OrderRefused(OrderId(sent.order_id), value, self._runtime.now_ns()))

    # ---------------------------------------------------------------- reports
    def report(self, event: VenueEvent) -> None:
        """Something the venue says on its own."""
        if self.sink is None:
            return
        faults = self._faults
        if not faults.watching:
            self._runtime.call_at(self.response.arrival_ns(self._runtime.now_ns(), stream=True), self.sink, event)
        elif faults.frozen:
            self._held.append(event)
        else:
            at_ns = self.response.arrival_ns(self._runtime.now_ns(), stream=True)
            for extra_ns in faults.copies(event):
                self._runtime.call_at(at_ns + extra_ns, self.sink, event)

    def _thaw(self) -> None:
        """The stream is back: what was held is delivered, in order (a reconnecting client asks for what it missed)."""
        held, self._held = self._held, []
        for event in held:
            self.report(event)
