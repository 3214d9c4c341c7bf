"""The asynchronous half of an order: it waits for its turn, is looked at once more, and goes to its venue."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any

from execsim.core.errors import ExecError, ExecResult, InternalError, InvalidResponse, JournalError, RateLimitExceeded
from execsim.core.order import OrderAck, OrderId, OrderStatus
from execsim.engine.blotter import Blotter
from execsim.engine.pipeline import Pipeline
from execsim.engine.route import Route, abandoned, bug, unread
from execsim.engine.throttle import Turn
from execsim.engine.track import Entry
from execsim.ports import Runtime


class Dispatcher:
    """Carries tracked orders to their venues. `routes` by venue id."""

    def __init__(self, runtime: Runtime, blotter: Blotter, pipeline: Pipeline) -> None:
        self.routes: dict[str, Route] = {}
        self._runtime = runtime
        self._blotter = blotter
        self._pipeline = pipeline
        self._turns: dict[OrderId, Turn] = {}

    async def send(self, entry: Entry) -> OrderAck:
        """Throttle, recheck, journal the intent, hand over, wait for the answer. Errors: as ExecutionEngine.send."""
        route = self.routes[entry.order.instrument.venue]
        await self.turn(entry, route)
        self._recheck(entry, route)
        self._blotter.sending(entry)
        if self._blotter.commit.waits:
            (refusal,) = await self._on_record([entry])
            if refusal is not None:
                raise refusal
        return await self._hand_over(entry, route)

    async def send_group(
        self, venue: str, group: list[tuple[int, Entry]], results: dict[int, ExecResult[OrderAck]]
    ) -> None:
        """Send orders of one venue, a token each, in as many calls as its batches need, which are all under way at once;
        fills in `results` by index."""
        route = self.routes[venue]
        ready: list[tuple[int, Entry]] = []
        for index, entry in group:
            try:
                await self.turn(entry, route)
                ready.append((index, entry))
            except ExecError as error:
                results[index] = ExecResult(error=error)
        sent: list[tuple[int, Entry]] = []
        for index, entry in ready:
            try:
                self._recheck(entry, route)
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
        size = route.traits.batch_max
        parts = [sent[start : start + size] for start in range(0, len(sent), size)]
        works = [self._send_part(route, part, results) for part in parts]
        await together(self._runtime, works, f"{venue} batch")

    def leave_turn(self, order_id: OrderId) -> None:
        """An order that was cancelled before it was sent gives its place up."""
        turn = self._turns.get(order_id)
        if turn is not None:
            turn.leave()

    async def turn(self, entry: Entry, route: Route) -> None:
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

    def _recheck(self, entry: Entry, route: Route) -> None:
        """Last look before sending. Errors: the refusal; the order has then ended."""
        self._pipeline.recheck(entry)
        if route.breaker.is_open:
            error = route.breaker.refusal()
            self._blotter.refuse(entry, error)
            raise error

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

    async def _send_part(
        self, route: Route, part: list[tuple[int, Entry]], results: dict[int, ExecResult[OrderAck]]
    ) -> None:
        """One call of the venue: a batch, or the only order."""
        if len(part) == 1:
            index, entry = part[0]
            results[index] = await self._result(entry, route)
            return
        for _, entry in part:
            entry.handed_over = True
        answers: list[OrderAck | Exception]
        try:
            answers = await route.call("place_batch", route.adapter.place_batch([entry.order for _, entry in part]))
        except Exception as error:
            answers = [error] * len(part)
        except GeneratorExit:  # the run is dropped, not cancelled: nothing is known or done any more
            raise
        except BaseException:
            for _, entry in part:
                self._blotter.place_failed(entry, abandoned(entry.order, "place_batch"))
            raise
        if len(answers) != len(part):
            text = f"{len(answers)} answers to a batch of {len(part)} orders"
            answers = [InvalidResponse(route.venue, "batch", text)] * len(part)
        again: list[tuple[int, Entry, ExecError]] = []
        for (index, entry), answer in zip(part, answers, strict=True):
            if isinstance(answer, OrderAck):
                self._blotter.acked(entry, answer.venue_order_id, answer.ts_ns)
                results[index] = ExecResult(answer)
                continue
            refusal = answer if isinstance(answer, ExecError) else unread(entry.order, "place_batch", answer)
            again.append((index, entry, refusal))

        async def retried(index: int, entry: Entry, refusal: ExecError) -> None:
            results[index] = await self._result(entry, route, refusal)

        await together(self._runtime, [retried(*one) for one in again], f"{route.venue} batch, again")

    async def _result(self, entry: Entry, route: Route, failed: ExecError | None = None) -> ExecResult[OrderAck]:
        try:
            return ExecResult(await self._hand_over(entry, route, failed))
        except (JournalError, InternalError):
            raise
        except ExecError as error:
            return ExecResult(error=error)

    async def _hand_over(self, entry: Entry, route: Route, failed: ExecError | None = None) -> OrderAck:
        """Call the venue, again where that is allowed (`failed`: what a first call came to), and book the answer."""
        order, attempt, error = entry.order, 0, failed
        entry.handed_over = True
        while True:
            attempt += 1
            if error is None:
                try:
                    ack = await route.call("place_order", route.adapter.place_order(order))
                    break
                except ExecError as refusal:
                    error = refusal
                except Exception as fault:
                    self._blotter.place_failed(entry, unread(order, "place_order", fault))
                    raise bug(order, "place_order", fault) from fault
                except GeneratorExit:
                    raise
                except BaseException:
                    self._blotter.place_failed(entry, abandoned(order, "place_order"))
                    raise
            try:
                again = await self._again(entry, route, error, attempt)
            except GeneratorExit:
                raise
            except BaseException:  # while it waited to be sent again
                self._blotter.place_failed(entry, error)
                raise
            if not again:
                self._blotter.place_failed(entry, error)
                raise error
            error = None
        self._blotter.acked(entry, ack.venue_order_id, ack.ts_ns)
        return ack

    async def _again(self, entry: Entry, route: Route, error: ExecError, attempt: int) -> bool:
        """Wait until the call may be made once more; False when it may not, or is no longer wanted."""
        if not self._wanted(entry, route):
            return False
        pause_ns = route.retry.pause_ns(error, attempt, entry.sent_ns)
        if pause_ns is None:
            return False
        self._blotter.repeated(entry, "place", attempt, error)
        await self._runtime.sleep(pause_ns)
        if not self._wanted(entry, route):
            return False
        try:
            await self.turn(entry, route)
        except RateLimitExceeded:  # our own limiter is full
            return False
        return self._wanted(entry, route)

    def _wanted(self, entry: Entry, route: Route) -> bool:
        """Whether an order the venue has not got may still be sent."""
        if entry.order.status is not OrderStatus.SUBMITTING or entry.wants_cancel or route.breaker.is_open:
            return False
        return self._pipeline.objection(entry) is None


async def together(runtime: Runtime, works: list[Coroutine[Any, Any, None]], name: str) -> None:
    """Run several at once; the first runs in this task."""
    tasks = [runtime.spawn(work, f"{name} {index}") for index, work in enumerate(works[1:], 1)]
    if works:
        await works[0]
    for task in tasks:
        await task.join()


async def quietly(work: Coroutine[Any, Any, Any]) -> None:
    """Await work whose refusals are published already; what must stop the run (JournalError, InternalError) still does."""
    try:
        await work
    except (JournalError, InternalError):
        raise
    except ExecError:
        return
