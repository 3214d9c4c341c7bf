"""The asynchronous half: orders, amends and cancels wait for their turn, are looked at once more, and go to the venue."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, replace
from typing import Any

from execsim.core.errors import (
    ExecError,
    ExecResult,
    ExecTimeout,
    InternalError,
    InvalidOrderState,
    InvalidResponse,
    JournalError,
    RateLimitExceeded,
    ValidationError,
)
from execsim.core.order import CancelAck, Order, OrderAck, OrderId, OrderStatus
from execsim.engine.blotter import Blotter
from execsim.engine.pipeline import Pipeline
from execsim.engine.throttle import RateLimiter, Turn
from execsim.engine.track import Entry, OrderTracker
from execsim.ports import Pending, Runtime, VenueAdapter


@dataclass(frozen=True, slots=True)
class Route:
    """A venue and its two budgets (one where it counts them together): cancels never wait behind orders."""

    adapter: VenueAdapter
    orders: RateLimiter
    cancels: RateLimiter


class Dispatcher:
    """Carries tracked orders to their venues. `routes` by venue id."""

    def __init__(self, runtime: Runtime, tracker: OrderTracker, blotter: Blotter, pipeline: Pipeline) -> None:
        self.routes: dict[str, Route] = {}
        self._runtime = runtime
        self._tracker = tracker
        self._blotter = blotter
        self._pipeline = pipeline
        self._turns: dict[OrderId, Turn] = {}
        self._amending: set[OrderId] = set()
        self._cancels: dict[OrderId, list[Pending[ExecResult[CancelAck]]]] = {}

    async def send(self, entry: Entry) -> OrderAck:
        """Throttle, recheck, journal the intent, hand over, wait for the answer. Errors: as ExecutionEngine.send."""
        order = entry.order
        route = self.routes[order.instrument.venue]
        await self._turn(entry, route)
        self._pipeline.recheck(entry)
        self._blotter.sending(entry)
        if self._blotter.commit.waits:
            (refusal,) = await self._on_record([entry])
            if refusal is not None:
                raise refusal
        try:
            ack = await route.adapter.place_order(order)
        except ExecError as error:
            self._heed(route, error)
            self._blotter.place_failed(entry, error)
            raise
        except Exception as error:
            self._blotter.place_failed(entry, _unread(order, "place_order", error))
            raise _bug(order, "place_order", error) from error
        self._blotter.acked(entry, ack.venue_order_id, ack.ts_ns)
        return ack

    async def send_group(
        self, venue: str, group: list[tuple[int, Entry]], results: dict[int, ExecResult[OrderAck]]
    ) -> None:
        """Send orders of one venue in one call, a token each; fills in `results` by index."""
        route = self.routes[venue]
        ready: list[tuple[int, Entry]] = []
        for index, entry in group:
            try:
                await self._turn(entry, route)
                ready.append((index, entry))
            except ExecError as error:
                results[index] = ExecResult(error=error)
        sent: list[tuple[int, Entry]] = []
        for index, entry in ready:
            try:
                self._pipeline.recheck(entry)
                self._blotter.sending(entry)
                sent.append((index, entry))
            except JournalError:
                raise
            except ExecError as error:
                results[index] = ExecResult(error=error)
        if self._blotter.commit.waits:
            refusals = await self._on_record([entry for _, entry in sent])
            results |= {i: ExecResult(error=e) for (i, _), e in zip(sent, refusals, strict=True) if e is not None}
            sent = [one for one, error in zip(sent, refusals, strict=True) if error is None]
        if not sent:
            return
        answers: list[OrderAck | Exception]
        try:
            answers = await route.adapter.place_batch([entry.order for _, entry in sent])
        except Exception as error:
            answers = [error] * len(sent)
        if len(answers) != len(sent):
            text = f"{len(answers)} answers to a batch of {len(sent)} orders"
            answers = [InvalidResponse(venue, "batch", text)] * len(sent)
        for (index, entry), answer in zip(sent, answers, strict=True):
            if isinstance(answer, OrderAck):
                self._blotter.acked(entry, answer.venue_order_id, answer.ts_ns)
                results[index] = ExecResult(answer)
                continue
            refusal = answer if isinstance(answer, ExecError) else _unread(entry.order, "place_batch", answer)
            self._heed(route, refusal)
            self._blotter.place_failed(entry, refusal)
            results[index] = ExecResult(error=refusal)

    async def amend(self, entry: Entry, price_i: int | None, size_lots: int | None) -> OrderAck:
        """Change price or total size in place. Errors: as ExecutionEngine.modify_order."""
        order = entry.order
        if order.id in self._amending:
            raise InvalidOrderState(order.id, order.status.value, "modify while another modify is under way")
        self._amending.add(order.id)
        finished = False
        try:
            self._check_amend(entry, price_i, size_lots)
            if size_lots is not None:
                self._tracker.propose_size(entry, size_lots)
            route = self.routes[order.instrument.venue]
            await self._turn(entry, route)
            self._check_amend(entry, price_i, size_lots)
            self._blotter.ask_amend(entry, price_i, size_lots)
            if self._blotter.commit.waits:
                await self._blotter.commit.durable()
                self._check_amend(entry, price_i, size_lots)
            ack = await route.adapter.modify_order(order.id, price_i, size_lots)
            finished = True
        except JournalError:
            raise
        except ExecError as error:
            finished = True
            self._heed(self.routes[order.instrument.venue], error)
            self._blotter.amend_failed(entry, error)
            raise
        except Exception as error:
            finished = True
            self._blotter.amend_failed(entry, _unread(order, "modify_order", error))
            raise _bug(order, "modify_order", error) from error
        finally:
            self._amending.discard(order.id)
            if not finished:
                self._tracker.settle_size(entry, None)
        self._blotter.amended(entry, price_i, size_lots)
        return ack

    async def cancel(self, entry: Entry) -> CancelAck:
        """Ask for a cancel, or wait for the answer to the one under way. Errors: as ExecutionEngine.cancel_order."""
        waiters = self._cancels.get(entry.order.id)
        if waiters is not None:
            pending: Pending[ExecResult[CancelAck]] = self._runtime.pending(f"cancel of {entry.order.id}")
            waiters.append(pending)
            result: ExecResult[CancelAck] = await pending
            return result.value
        settled = self.ask_cancel(entry)
        return settled if settled is not None else await self._send_cancel(entry)

    def start_cancel(self, entry: Entry) -> None:
        """As `cancel`, without waiting; a failure is published, not raised."""
        order_id = entry.order.id
        if order_id not in self._cancels and self.ask_cancel(entry) is None:
            self._cancels[order_id] = []
            self._runtime.spawn(quietly(self._send_cancel(entry)), f"cancel {order_id}")

    def ask_cancel(self, entry: Entry) -> CancelAck | None:
        """The synchronous half of a cancel: an answer when no venue is needed, None when it must be asked."""
        order = entry.order
        now_ns = self._runtime.now_ns()
        if order.is_terminal:
            return CancelAck(order.id, False, now_ns, f"already {order.status}")
        if order.status is OrderStatus.PENDING:
            self._blotter.cancel_unsent(entry)
            turn = self._turns.get(order.id)
            if turn is not None:
                turn.leave()
            return CancelAck(order.id, True, now_ns, order.reason)
        self._blotter.ask_cancel(entry)
        return None

    async def _send_cancel(self, entry: Entry) -> CancelAck:
        order = entry.order
        venue = order.instrument.venue
        route = self.routes[venue]
        waiters = self._cancels.setdefault(order.id, [])
        outcome: ExecResult[CancelAck] = ExecResult(
            error=ExecTimeout(venue, "the task that asked for the cancel ended", "unknown")
        )
        try:
            turn = route.cancels.enter(urgent=True)
            if turn is not None:
                self._blotter.throttled(entry)
                await turn.wait()
            if self._blotter.commit.waits:
                await self._blotter.commit.durable()
            if order.is_terminal:
                cancelled = order.status is OrderStatus.CANCELLED
                ack = CancelAck(order.id, cancelled, self._runtime.now_ns(), order.reason or f"already {order.status}")
            else:
                ack = await route.adapter.cancel_order(order.id)
                self._blotter.cancel_done(entry, ack.cancelled, ack.reason)
            outcome = ExecResult(ack)
            return ack
        except ExecError as error:
            outcome = ExecResult(error=error)
            self._blotter.cancel_failed(entry, error)
            raise
        except Exception as error:
            outcome = ExecResult(error=_bug(order, "cancel_order", error))
            self._blotter.cancel_failed(entry, _unread(order, "cancel_order", error))
            raise _bug(order, "cancel_order", error) from error
        finally:
            self._cancels.pop(order.id, None)
            for waiter in waiters:
                waiter.set(outcome)

    async def _on_record(self, entries: Sequence[Entry]) -> list[ExecError | None]:
        """Wait until the intents are on disk, and look at each order once more: what was not sent yet need not be. Returns
        why not. Errors: JournalError, and then all end unsent."""
        try:
            await self._blotter.commit.durable()
        except JournalError as error:
            for entry in entries:
                self._blotter.unrecorded(entry, error)
            raise
        return [self._pipeline.recheck_recorded(entry) for entry in entries]

    def _heed(self, route: Route, error: ExecError) -> None:
        """A venue that says when to come back (Retry-After) gets no new order before; cancels are still tried."""
        if isinstance(error, RateLimitExceeded) and error.args[0] != "ours" and error.retry_after_ns > 0:
            route.orders.hold(self._runtime.now_ns() + error.retry_after_ns)

    async def _turn(self, entry: Entry, route: Route) -> None:
        """Wait for a token. An order cancelled meanwhile leaves the queue without spending one."""
        order = entry.order
        unsent = order.status is OrderStatus.PENDING
        try:
            turn = route.orders.enter()
        except ExecError as error:
            if unsent:
                self._blotter.refuse(entry, error)
            raise
        if turn is None:
            return
        self._blotter.throttled(entry)
        if unsent:
            self._turns[order.id] = turn
        try:
            await turn.wait()
        finally:
            self._turns.pop(order.id, None)

    def _check_amend(self, entry: Entry, price_i: int | None, size_lots: int | None) -> None:
        order = entry.order
        if order.status is not OrderStatus.WORKING or order.quote_amount is not None:
            raise InvalidOrderState(order.id, order.status.value, "modify")
        if price_i is None and size_lots is None:
            raise ValidationError("amend", f"nothing to change in order {order.id}", "give a price or a size")
        gone = order.filled_lots + order.voided_lots
        if size_lots is not None and size_lots <= gone:
            what = f"size {size_lots} lots is not above the {gone} already filled"
            raise ValidationError("amend_size", what, "cancel the order instead")
        size = order.size_lots if size_lots is None else size_lots
        candidate = replace(order, price_i=order.price_i if price_i is None else price_i, size_lots=size)
        self._pipeline.check_amend(entry, candidate)


async def quietly(work: Coroutine[Any, Any, Any]) -> None:
    """Await work whose refusals are published already; what must stop the run (JournalError, InternalError) still does."""
    try:
        await work
    except (JournalError, InternalError):
        raise
    except ExecError:
        return


def _what(order: Order, call: str, error: BaseException) -> str:
    return f"{call} of the {order.instrument.venue} adapter raised {type(error).__name__}: {error}"


def _unread(order: Order, call: str, error: BaseException) -> InvalidResponse:
    """An adapter that fails by itself says nothing of the order: its fate is unknown, not refused."""
    return InvalidResponse(order.instrument.venue, "adapter", _what(order, call, error))


def _bug(order: Order, call: str, error: BaseException) -> InternalError:
    return InternalError(_what(order, call, error))
