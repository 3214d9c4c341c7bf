"""The orders of the run and what the open ones may still do: statuses, fills, exposure per market, all O(1) to read.

Memory is bounded: of finished orders the last `orders_kept_max` stay, older ones leave but for their ids (seen.py). They are
answered from the journal where there is one (`archive`), a second order of such an id is refused, and a fill that comes for
one after all is booked once. An order stays while a fill of it may still fail.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from execsim.core.errors import InvalidOrderState, OrderNotFound, ValidationError
from execsim.core.lifecycle import OrderEvent, step
from execsim.core.order import TERMINAL, Fill, FillStatus, Order, OrderId, OrderStatus, Side
from execsim.core.position import OPEN_FILLS
from execsim.engine.seen import SeenIds

ORDERS_KEPT_MAX: Final = 10_000
"""Finished orders in memory unless told otherwise: some 15 MB, and more than a screen of any report."""

STAGES = {FillStatus.PROVISIONAL: 0, FillStatus.MINED: 1, FillStatus.CONFIRMED: 2, FillStatus.VOIDED: 3}
"""How far a fill has come; news of an earlier stage is no news."""


@dataclass(slots=True)
class Exposure:
    """What the active orders of one market may still trade, in lots by effect on the net YES position."""

    buy_lots: int = 0
    sell_lots: int = 0
    active: dict[OrderId, Order] = field(default_factory=dict)


@dataclass(slots=True)
class Entry:
    """One tracked order. `ceiling_lots` is the most it may trade in total (an amend under way counts at its larger
    size); `counted_lots` is what the market's exposure holds for it now."""

    order: Order
    owner: str
    ceiling_lots: int
    raises_position: bool
    labels: tuple[str, str, str]
    counted_lots: int = 0
    intent_written: bool = False
    sent_ns: int = 0
    acknowledged: bool = False
    """the venue has said that it has the order"""
    wants_cancel: bool = False
    """a cancel was asked for: if the order proves to be alive after all, it is asked for again"""
    acked_ns: int | None = None
    """when it was first acked, for the latency of its stages"""
    fills: dict[str, Fill] = field(default_factory=dict)
    early: dict[str, FillStatus] = field(default_factory=dict)
    """what the venue said of fills it has not reported yet: news may overtake one another"""

    @property
    def is_settled(self) -> bool:
        """Whether it has ended and no news of a fill is due: nothing but a surprise can come."""
        if self.order.status not in TERMINAL or self.early:
            return False
        return not any(fill.status in OPEN_FILLS for fill in self.fills.values())


class OrderTracker:
    """`archive` finds the entry of an order that has left memory (None: it cannot); `tracked` counts all there ever were."""

    def __init__(self, orders_kept_max: int = ORDERS_KEPT_MAX) -> None:
        self.orders_kept_max = orders_kept_max
        self.archive: Callable[[OrderId], Entry | None] | None = None
        self.tracked = 0
        self._entries: dict[OrderId, Entry] = {}
        self._exposures: dict[str, Exposure] = {}
        self._finished: deque[OrderId] = deque()
        self._held: dict[OrderId, None] = {}
        """orders whose time to leave has come, and that wait for news of a fill"""
        self._evicted = SeenIds(numbered=True)
        self._markets: dict[str, int] = {}
        self._names: list[str] = []
        """market -> its number in `_evicted`, and back"""
        self._booked = SeenIds()
        """fills of evicted orders"""
        self._late: dict[str, Fill] = {}
        """fills that came for evicted orders and may still fail"""

    def __contains__(self, order_id: object) -> bool:
        """Whether the id is taken, in memory or not."""
        return order_id in self._entries or (isinstance(order_id, str) and order_id in self._evicted)

    def track_order(self, order: Order, *, owner: str = "", worst_lots: int | None = None) -> Entry:
        """Count the order at once. `worst_lots`: most it can trade (a quote-amount order); default its size.

        Errors: ValidationError("duplicate") when the id is known.
        """
        if order.id in self:
            raise ValidationError("duplicate", f"order id {order.id} is already in use", "give every order its own id")
        lots = worst_lots if worst_lots is not None else (order.size_lots or 0)
        instrument = order.instrument
        labels = (instrument.venue, instrument.market, order.side.value)
        entry = Entry(order, owner, lots, order.book_side is Side.BUY, labels)
        self._entries[order.id] = entry
        self.tracked += 1
        self._recount(entry)
        return entry

    def knows(self, order_id: OrderId) -> bool:
        """Whether an order of this id was ever tracked here."""
        return order_id in self

    def has_fill(self, order_id: OrderId, fill_id: str) -> bool:
        """Whether this fill of an order was booked."""
        entry = self._entries.get(order_id)
        return fill_id in entry.fills if entry is not None else order_id in self._evicted and fill_id in self._booked

    def find(self, order_id: OrderId) -> Entry | None:
        """An order in memory."""
        return self._entries.get(order_id)

    def entry(self, order_id: OrderId) -> Entry:
        """An order in memory, or as the journal tells of it (then a copy: changing it changes nothing here).

        Errors: OrderNotFound; JournalError."""
        found = self._entries.get(order_id)
        if found is None and order_id in self._evicted:
            found = None if self.archive is None else self.archive(order_id)
            if found is None:
                what = (
                    f"it ended and has left memory (the last {self.orders_kept_max} stay), and no journal can be asked"
                )
                raise OrderNotFound(order_id, f"{what}: use journal mode full or batched, or raise orders_kept_max")
        if found is None:
            raise OrderNotFound(order_id, "it was never submitted here")
        return found

    def evicted_market(self, order_id: OrderId) -> str | None:
        """The market of an order that has left memory; None for any other."""
        number = self._evicted.number(order_id)
        return None if number is None else self._names[number]

    def record_late(self, fill: Fill) -> bool:
        """Remember a fill of an order that has left memory; False when it is known."""
        if fill.id in self._booked:
            return False
        self._booked.add(fill.id)
        if fill.status in OPEN_FILLS:
            self._late[fill.id] = fill
        return True

    def settle_late(self, fill_id: str, status: FillStatus) -> Fill | None:
        """News of a fill of an order that has left memory: the fill as it was, None when that is no news, or (VOIDED) of a
        fill that was final already."""
        fill = self._late.get(fill_id)
        if fill is None or STAGES[status] <= STAGES[fill.status]:
            return None
        if status in OPEN_FILLS:
            self._late[fill_id] = replace(fill, status=status)
        else:
            del self._late[fill_id]
        return fill

    def get_order(self, order_id: OrderId) -> Order:
        """Errors: OrderNotFound."""
        return self.entry(order_id).order

    def update_status(self, order_id: OrderId, event: OrderEvent) -> OrderStatus:
        """Apply one event by the lifecycle table. Errors: OrderNotFound, InvalidOrderState (order untouched)."""
        return self.move(self.entry(order_id), event)

    def move(self, entry: Entry, event: OrderEvent) -> OrderStatus:
        order = entry.order
        order.status = step(order.id, order.status, event)
        self._recount(entry)
        return order.status

    def record_fill(self, fill: Fill, done: bool = False) -> OrderEvent | None:
        """Book a fill on its order; None when this fill id is known (nothing changes).

        Errors: OrderNotFound; InvalidOrderState when the table has no such step or the fill exceeds what the order
        may still trade (order untouched).
        """
        entry = self.entry(fill.order_id)
        if fill.id in entry.fills:
            return None
        order = entry.order
        self._check_room(entry, fill)
        filled = order.filled_lots + fill.lots
        complete = done or (order.size_lots is not None and filled >= entry.ceiling_lots)
        # an order of which a part failed on chain is never FILLED, whichever of the two news came first
        event = OrderEvent.DONE if complete and not order.voided_lots else OrderEvent.FILL
        after = step(order.id, order.status, event)
        if complete and order.voided_lots and after not in TERMINAL:
            after = step(order.id, after, OrderEvent.GONE)
        order.status = after
        entry.fills[fill.id] = fill
        self._book(order, fill, 1)
        self._recount(entry)
        return event

    def void_fill(self, order_id: OrderId, fill_id: str) -> Fill | None:
        """Undo a fill; returns it, or None when it is not known (yet) or already undone. Its lots are gone from the order:
        the venue does not trade them again. Errors as record_fill."""
        entry = self.entry(order_id)
        fill = entry.fills.get(fill_id)
        if fill is None:
            entry.early[fill_id] = FillStatus.VOIDED
        if fill is None or fill.status is FillStatus.VOIDED:
            return None
        order = entry.order
        order.status = step(order_id, order.status, OrderEvent.VOID)
        entry.fills[fill_id] = replace(fill, status=FillStatus.VOIDED)
        self._book(order, fill, -1)
        if order.size_lots is not None:
            order.voided_lots += fill.lots
            entry.ceiling_lots -= fill.lots
        self._recount(entry)
        self.let_go(entry)
        return fill

    def settle_fill(self, order_id: OrderId, fill_id: str, status: FillStatus) -> Fill | None:
        """A fill reached MINED or CONFIRMED; returns it as it was, or None when that is no news (or it is not known yet)."""
        entry = self.entry(order_id)
        fill = entry.fills.get(fill_id)
        if fill is None:
            known = entry.early.get(fill_id)
            if known is None or STAGES[status] > STAGES[known]:
                entry.early[fill_id] = status
        if fill is None or STAGES[status] <= STAGES[fill.status]:
            return None
        entry.fills[fill_id] = replace(fill, status=status)
        self.let_go(entry)
        return fill

    def propose_size(self, entry: Entry, size_lots: int) -> None:
        """An amend to `size_lots` is under way: count the larger of both sizes until it is settled."""
        entry.ceiling_lots = max(entry.ceiling_lots, size_lots - entry.order.voided_lots)
        self._recount(entry)

    def settle_size(self, entry: Entry, size_lots: int | None) -> None:
        """The amend is over: the order's size is `size_lots` (None: as it was)."""
        order = entry.order
        if size_lots is not None:
            order.size_lots = size_lots
        if order.size_lots is not None:
            entry.ceiling_lots = order.size_lots - order.voided_lots
        self._recount(entry)

    def get_fills(self, order_id: OrderId) -> list[Fill]:
        """Fills in order of arrival, voided ones included (see Fill.status). Errors: OrderNotFound."""
        return list(self.entry(order_id).fills.values())

    def get_all_orders(self) -> list[Order]:
        """Orders in memory, in the order they were tracked."""
        return [entry.order for entry in self._entries.values()]

    def get_active_orders(self, market: str | None = None) -> list[Order]:
        """Active orders in the order they became active: O(active), not O(all)."""
        if market is not None:
            exposure = self._exposures.get(market)
            return [] if exposure is None else list(exposure.active.values())
        return [order for exposure in self._exposures.values() for order in exposure.active.values()]

    def active_count(self, market: str | None = None) -> int:
        """How many orders are active: O(markets), O(1) for one."""
        if market is not None:
            exposure = self._exposures.get(market)
            return 0 if exposure is None else len(exposure.active)
        return sum(len(exposure.active) for exposure in self._exposures.values())

    def get_terminal_orders(self) -> list[Order]:
        return [entry.order for entry in self._entries.values() if entry.order.status in TERMINAL]

    def remove_order(self, order_id: OrderId) -> None:
        """Let go of a finished order; its id stays taken. Errors: OrderNotFound; InvalidOrderState while it is active."""
        entry = self.entry(order_id)
        if entry.order.status not in TERMINAL:
            raise InvalidOrderState(order_id, entry.order.status.value, "remove")
        if order_id in self._entries:
            self._evict(entry)

    def clear_terminal_orders(self) -> int:
        """Let go of every finished order; returns how many."""
        finished = [entry for entry in self._entries.values() if entry.order.status in TERMINAL]
        for entry in finished:
            self._evict(entry)
        self._finished.clear()
        return len(finished)

    def count(self) -> int:
        """Orders in memory, finished ones included."""
        return len(self._entries)

    def open_lots(self, market: str) -> tuple[int, int]:
        """(buy, sell) lots active orders of the market may still trade, by effect on the net YES position."""
        exposure = self._exposures.get(market)
        return (0, 0) if exposure is None else (exposure.buy_lots, exposure.sell_lots)

    @property
    def open_markets(self) -> list[str]:
        """Markets with active orders, in the order of their first one."""
        return [market for market, exposure in self._exposures.items() if exposure.active]

    def _check_room(self, entry: Entry, fill: Fill) -> None:
        order = entry.order
        if order.quote_amount is not None:
            if abs(fill.cash) > order.remaining_quote:
                what = f"a fill for {abs(fill.cash)} units with {order.remaining_quote} left to spend"
                raise InvalidOrderState(order.id, order.status.value, what)
        elif fill.lots > entry.ceiling_lots - order.filled_lots:
            what = f"a fill of {fill.lots} lots with {entry.ceiling_lots - order.filled_lots} left"
            raise InvalidOrderState(order.id, order.status.value, what)

    @staticmethod
    def _book(order: Order, fill: Fill, sign: int) -> None:
        order.filled_lots += sign * fill.lots
        order.filled_cash += sign * abs(fill.cash)
        order.fees_paid += sign * fill.fee

    def _recount(self, entry: Entry) -> None:
        order = entry.order
        market = order.instrument.market
        exposure = self._exposures.get(market)
        if exposure is None:
            exposure = self._exposures[market] = Exposure()
        if order.status in TERMINAL:
            lots = 0
            if exposure.active.pop(order.id, None) is not None:
                self._finish(order.id)
        else:
            lots = max(0, entry.ceiling_lots - order.filled_lots)
            exposure.active[order.id] = order
        change = lots - entry.counted_lots
        if change:
            entry.counted_lots = lots
            if entry.raises_position:
                exposure.buy_lots += change
            else:
                exposure.sell_lots += change

    def let_go(self, entry: Entry) -> None:
        """An order whose time to leave had come, and that waited for news, leaves if there is none due any more."""
        if entry.order.id in self._held and entry.is_settled:
            self._evict(entry)

    def _finish(self, order_id: OrderId) -> None:
        self._finished.append(order_id)
        while len(self._finished) > self.orders_kept_max:
            oldest = self._finished.popleft()
            entry = self._entries.get(oldest)
            # a late fill may have brought it back to life: it then returns to the queue when it ends again
            if entry is None or entry.order.status not in TERMINAL:
                continue
            if entry.is_settled:
                self._evict(entry)
            else:
                self._held[oldest] = None

    def _evict(self, entry: Entry) -> None:
        order = entry.order
        del self._entries[order.id]
        self._held.pop(order.id, None)
        market = order.instrument.market
        if market not in self._markets:
            self._markets[market] = len(self._names)
            self._names.append(market)
        self._evicted.add(order.id, self._markets[market])
        for fill in entry.fills.values():
            self._booked.add(fill.id)
            if fill.status in OPEN_FILLS:
                self._late[fill.id] = fill
