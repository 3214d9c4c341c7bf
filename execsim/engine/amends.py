"""Amends: in place where the venue can, else the order is cancelled and another takes its place.

The second way has a race: a fill may cross the cancel. The new order is sized by what the venue says was filled once the
old one is surely gone, and a fill of the old one that comes later still is taken off the new one. The old order's
`replaced_by` names the new one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from execsim.core.errors import ExecError, InvalidOrderState, JournalError, OrderNotFound, ValidationError
from execsim.core.order import Fill, Order, OrderAck, OrderId, OrderStatus
from execsim.engine.blotter import Blotter
from execsim.engine.cancels import Canceller
from execsim.engine.dispatch import Dispatcher, quietly
from execsim.engine.inquiry import Inquiry
from execsim.engine.pipeline import Pipeline
from execsim.engine.route import Route, abandoned, bug, unread
from execsim.engine.track import Entry, OrderTracker
from execsim.ports import Runtime


class Amender:
    """One amend an order at a time."""

    def __init__(
        self,
        runtime: Runtime,
        tracker: OrderTracker,
        blotter: Blotter,
        pipeline: Pipeline,
        dispatch: Dispatcher,
        cancels: Canceller,
        inquiry: Inquiry,
        new_id: Callable[[], OrderId],
    ) -> None:
        self._runtime = runtime
        self._tracker = tracker
        self._blotter = blotter
        self._pipeline = pipeline
        self._dispatch = dispatch
        self._cancels = cancels
        self._inquiry = inquiry
        self._new_id = new_id
        self._open: set[OrderId] = set()

    def under_way(self, order_id: OrderId) -> bool:
        """Whether an amend of the order has not been answered yet."""
        return order_id in self._open

    async def amend(self, entry: Entry, price_i: int | None, size_lots: int | None) -> OrderAck:
        """Change price or total size. Errors: as ExecutionEngine.modify_order."""
        order = entry.order
        if order.id in self._open:
            raise InvalidOrderState(order.id, order.status.value, "modify while another modify is under way")
        self._open.add(order.id)
        route = self._dispatch.routes[order.instrument.venue]
        try:
            if route.traits.amends:
                return await self._in_place(entry, route, price_i, size_lots)
            return await self._replace(entry, route, price_i, size_lots)
        finally:
            self._open.discard(order.id)

    # --- in place -------------------------------------------------------------------------------------------------

    async def _in_place(self, entry: Entry, route: Route, price_i: int | None, size_lots: int | None) -> OrderAck:
        order = entry.order
        asked = finished = False
        try:
            self._check(entry, price_i, size_lots)
            if size_lots is not None:
                self._tracker.propose_size(entry, size_lots)
            await self._dispatch.turn(entry, route)
            self._check(entry, price_i, size_lots)
            if route.breaker.is_open:
                raise route.breaker.refusal()
            self._blotter.ask_amend(entry, price_i, size_lots)
            if self._blotter.commit.waits:
                await self._blotter.commit.durable()
                self._check(entry, price_i, size_lots)
            asked = True
            ack = await route.call("modify_order", route.adapter.modify_order(order.id, price_i, size_lots))
            finished = True
        except JournalError:
            raise
        except ExecError as error:
            finished = True
            self._blotter.amend_failed(entry, error)
            raise
        except Exception as error:
            finished = True
            self._blotter.amend_failed(entry, unread(order, "modify_order", error))
            raise bug(order, "modify_order", error) from error
        except GeneratorExit:  # the run is dropped, not cancelled: nothing is known or done any more
            raise
        except BaseException:
            finished = asked
            if asked:
                self._blotter.amend_failed(entry, abandoned(order, "modify_order"))
            raise
        finally:
            if not finished:
                self._tracker.settle_size(entry, None)
        self._blotter.amended(entry, price_i, size_lots)
        return ack

    # --- cancel and place anew ------------------------------------------------------------------------------------

    async def _replace(self, entry: Entry, route: Route, price_i: int | None, size_lots: int | None) -> OrderAck:
        order = entry.order
        try:
            candidate = self._check(entry, price_i, size_lots)
            if route.breaker.is_open:
                raise route.breaker.refusal()
        except JournalError:
            raise
        except ExecError as error:
            self._blotter.amend_failed(entry, error)
            raise
        total = candidate.size_lots or 0
        await self._cancels.cancel(entry)
        if order.status is OrderStatus.CANCELLED:
            # fills may still be on their way: the venue knows how many there were
            unknown = InvalidOrderState(order.id, order.status.value, "replace: how much of it was filled is unknown")
            try:
                report = await self._inquiry.ask(entry)
            except OrderNotFound:
                raise unknown from None
            if report.filled_lots > order.filled_lots + order.voided_lots:
                raise unknown
        left = total - order.filled_lots - order.voided_lots
        if order.status is not OrderStatus.CANCELLED or left <= 0:
            raise InvalidOrderState(order.id, order.status.value, "modify: it ended before it could be replaced")
        new = Order(
            self._new_id(), order.instrument, order.side, order.type, order.tif, left, None, candidate.price_i,
            order.outcome, order.expire_ns, self._runtime.now_ns(), tag=order.tag, replaces=order.id,
        )  # fmt: skip
        placed = self._pipeline.begin(new, entry.owner)
        self._blotter.replaced(entry, new)
        return await self._dispatch.send(placed)

    def late_fill(self, entry: Entry, fill: Fill) -> None:
        """A fill of an order that had ended: if another took its place, that one has as many lots too many."""
        new_id, new = entry.order.replaced_by, None
        while new_id is not None:
            new = self._tracker.find(new_id)
            new_id = None if new is None else new.order.replaced_by
        if new is not None and new.order.is_active:
            self._runtime.spawn(quietly(self._shrink(new, fill.lots)), f"shrink {new.order.id}")

    async def _shrink(self, entry: Entry, lots: int) -> None:
        """Take lots off an order; where that cannot be, cancel it: too little is traded rather than too much."""
        order = entry.order
        try:
            await self.amend(entry, None, (order.size_lots or 0) - lots)
        except JournalError:
            raise
        except ExecError:
            if order.is_active:
                await self._cancels.cancel(entry)

    def _check(self, entry: Entry, price_i: int | None, size_lots: int | None) -> Order:
        """The order as it would be. Errors: why it may not."""
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
        return candidate
