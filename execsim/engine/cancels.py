"""Cancels: at once where the order was not sent yet, else by asking the venue, which decides every race.

A cancel waits for nobody: it has a budget and a queue of its own, is sent while the order's own answer is still out, passes
an open circuit breaker, and is asked for again where that is allowed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from execsim.core.errors import ExecError, ExecResult, ExecTimeout
from execsim.core.order import CancelAck, OrderId, OrderStatus
from execsim.core.units import NS_PER_MS, NS_PER_S
from execsim.engine.blotter import Blotter
from execsim.engine.dispatch import Dispatcher, quietly
from execsim.engine.retry import backoff_ns
from execsim.engine.route import Route, abandoned, bug, unread
from execsim.engine.track import Entry
from execsim.ports import Pending, Runtime

PAUSE_NS: Final = 200 * NS_PER_MS
PAUSE_NS_MAX: Final = 10 * NS_PER_S
"""First and longest pause between two cancels of an order that has to go."""


class Canceller:
    """One cancel an order at a time; who asks for another waits for the answer to the first."""

    def __init__(self, runtime: Runtime, blotter: Blotter, dispatch: Dispatcher) -> None:
        self._runtime = runtime
        self._blotter = blotter
        self._dispatch = dispatch
        self._open: dict[OrderId, list[Pending[ExecResult[CancelAck]]]] = {}
        self._rng = runtime.rng("cancels")
        self._insisted: set[OrderId] = set()
        self.on_gone: Callable[[Entry], None] = lambda entry: None
        """told of an order the venue says is gone, and of whose end we have not heard"""

    async def cancel(self, entry: Entry) -> CancelAck:
        """Ask for a cancel, or wait for the answer to the one under way. Errors: as ExecutionEngine.cancel_order."""
        waiters = self._open.get(entry.order.id)
        if waiters is not None:
            pending: Pending[ExecResult[CancelAck]] = self._runtime.pending(f"cancel of {entry.order.id}")
            waiters.append(pending)
            result: ExecResult[CancelAck] = await pending
            return result.value
        settled = self.ask(entry)
        return settled if settled is not None else await self._send(entry)

    def start(self, entry: Entry) -> None:
        """As `cancel`, without waiting; a failure is published, not raised."""
        order_id = entry.order.id
        if order_id not in self._open and self.ask(entry) is None:
            self._open[order_id] = []
            self._runtime.spawn(quietly(self._send(entry)), f"cancel {order_id}")

    def insist(self, entry: Entry) -> None:
        """Cancel, and ask again with growing pauses until the order has ended: nothing may stay open after a kill."""
        self.start(entry)
        order = entry.order
        if order.is_active and order.id not in self._insisted:
            self._insisted.add(order.id)
            self._runtime.spawn(self._insist(entry), f"end of {order.id}, insisted on", daemon=True)

    async def _insist(self, entry: Entry) -> None:
        order, attempt = entry.order, 0
        try:
            while order.is_active:
                attempt += 1
                await self._runtime.sleep(backoff_ns(self._rng, PAUSE_NS, PAUSE_NS_MAX, attempt))
                if order.is_active:
                    self.start(entry)  # no effect while one is under way
        finally:
            self._insisted.discard(order.id)

    def found(self, entry: Entry) -> None:
        """An order that nobody answered about is alive: if it was to be cancelled, it still is."""
        if entry.wants_cancel:
            self.start(entry)

    def ask(self, entry: Entry) -> CancelAck | None:
        """The synchronous half of a cancel: an answer when no venue is needed, None when it must be asked."""
        order = entry.order
        now_ns = self._runtime.now_ns()
        if order.is_terminal:
            return CancelAck(order.id, False, now_ns, f"already {order.status}")
        if order.status is OrderStatus.PENDING:
            self._blotter.cancel_unsent(entry)
            self._dispatch.leave_turn(order.id)
            return CancelAck(order.id, True, now_ns, order.reason)
        self._blotter.ask_cancel(entry)
        return None

    async def _send(self, entry: Entry) -> CancelAck:
        order = entry.order
        venue = order.instrument.venue
        route = self._dispatch.routes[venue]
        waiters = self._open.setdefault(order.id, [])
        outcome: ExecResult[CancelAck] = ExecResult(
            error=ExecTimeout(venue, "the task that asked for the cancel ended", "unknown")
        )
        try:
            ack = await self._call(entry, route)
            outcome = ExecResult(ack)
            return ack
        except ExecError as error:
            outcome = ExecResult(error=error)
            self._blotter.cancel_failed(entry, error)
            raise
        except Exception as error:
            outcome = ExecResult(error=bug(order, "cancel_order", error))
            self._blotter.cancel_failed(entry, unread(order, "cancel_order", error))
            raise bug(order, "cancel_order", error) from error
        except GeneratorExit:  # the run is dropped, not cancelled: nothing is known or done any more
            raise
        except BaseException:
            self._blotter.cancel_failed(entry, abandoned(order, "cancel_order"))
            raise
        finally:
            self._open.pop(order.id, None)
            for waiter in waiters:
                waiter.set(outcome)

    async def _call(self, entry: Entry, route: Route) -> CancelAck:
        """Call the venue, again where that is allowed, unless the order ends by itself before."""
        order, attempt, first_ns = entry.order, 0, self._runtime.now_ns()
        while True:
            attempt += 1
            turn = route.cancels.enter(urgent=True)
            if turn is not None:
                self._blotter.throttled(entry)
                await turn.wait()
            if self._blotter.commit.waits and not entry.handed_over:
                await self._blotter.commit.durable()  # its intent is being written: the order will not be sent at all
            if order.is_terminal:
                cancelled = order.status is OrderStatus.CANCELLED
                reason = order.reason or f"already {order.status}"
                return CancelAck(order.id, cancelled, self._runtime.now_ns(), reason)
            try:
                ack = await route.call("cancel_order", route.adapter.cancel_order(order.id))
            except ExecError as error:
                pause_ns = route.retry.pause_ns(error, attempt, first_ns)
                if pause_ns is None:
                    raise
                self._blotter.repeated(entry, "cancel", attempt, error)
                await self._runtime.sleep(pause_ns)
                continue
            self._blotter.cancel_done(entry, ack.cancelled, ack.reason)
            if order.is_active:
                self.on_gone(entry)
            return ack
