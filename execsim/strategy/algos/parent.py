"""A parent order and its children, counted to the lot. Plain accounting: no waiting, no placing.

    lots = done + reserved + room        (+ given up, where voided lots are reported and not traded again)

A child reserves what it may still trade until it is *settled*: terminal with us, and sure to bring no more fills. Only then
are its unfilled lots room again. An order nobody answers for (UNKNOWN) is not terminal, so it keeps all of its lots.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from execsim.core.order import Order, OrderId


@dataclass(slots=True)
class Child:
    """One child order. `weight`: lots of the parent in one lot of the order. `rests`: it waits in the book (else IOC)."""

    order: Order
    weight: int
    rests: bool
    placed_ns: int
    settled: bool = False
    asking: bool = False
    asks: int = 0
    ask_ns: int = 0
    """not before then is the venue asked (again) how it ended"""
    cancels: int = 0
    cancel_ns: int = 0
    """not before then is a cancel sent (again)"""
    unsent: bool = False
    """it ended before the venue heard of it"""
    shown: dict[int, int] = field(default_factory=dict)
    """what the book showed, when it was placed, at the prices it may take (of the outcome traded)"""
    counted: tuple[int, int] = (0, 0)
    """(filled, voided) of a settled child as they stand in the parent's totals, in lots of the parent"""

    @property
    def open_lots(self) -> int:
        """Lots of the parent this child may still trade, as far as its order says."""
        return self.order.remaining_lots * self.weight

    @property
    def gone_lots(self) -> tuple[int, int]:
        """(filled, voided), in lots of the parent."""
        return self.order.filled_lots * self.weight, self.order.voided_lots * self.weight


class Parent:
    """`lots` to trade, exactly. `rework`: what a venue voids is traded again, else it is given up (and reported)."""

    def __init__(self, lots: int, *, rework: bool = True) -> None:
        self.lots = lots
        self.rework = rework
        self.children: dict[OrderId, Child] = {}
        self.open: dict[OrderId, Child] = {}
        """children that are not settled, in the order they were placed"""
        self._done = 0
        self._voided = 0

    def add(self, order: Order, weight: int, *, rests: bool, now_ns: int) -> Child:
        child = Child(order, weight, rests, now_ns)
        self.children[order.id] = self.open[order.id] = child
        return child

    def settle(self, child: Child) -> None:
        """Its end is sure: what it did not fill is room again."""
        if not child.settled:
            child.settled = True
            del self.open[child.order.id]
            self._count(child)

    def note(self, child: Child) -> None:
        """Something happened to a settled child: a late fill, a void, or a venue that knew it after all."""
        if not child.settled:
            return
        self._count(child)
        if child.order.is_active:
            child.settled = False
            filled, voided = child.counted
            self._done -= filled
            self._voided -= voided
            child.counted = (0, 0)
            child.asks = child.ask_ns = child.cancels = child.cancel_ns = 0
            self.open[child.order.id] = child

    def recount(self) -> None:
        """`note` for every child: after the end nobody listens any more, and a void may still come."""
        for child in self.children.values():
            self.note(child)

    @property
    def done_lots(self) -> int:
        """Filled and not voided."""
        return self._done + sum(child.gone_lots[0] for child in self.open.values())

    @property
    def voided_lots(self) -> int:
        return self._voided + sum(child.gone_lots[1] for child in self.open.values())

    @property
    def open_lots(self) -> int:
        """Reserved: what children may still trade."""
        return sum(child.open_lots for child in self.open.values())

    @property
    def left_lots(self) -> int:
        return max(0, self.lots - self.done_lots)

    @property
    def given_up_lots(self) -> int:
        return 0 if self.rework else self.voided_lots

    @property
    def room_lots(self) -> int:
        """What new children may be sized from."""
        return max(0, self._balance())

    @property
    def excess_lots(self) -> int:
        """By how much done and reserved exceed the parent: only a fill the venue had denied can bring it above 0."""
        return max(0, -self._balance())

    @property
    def size(self) -> Decimal:
        """Filled size in units of the base asset."""
        return sum((c.order.instrument.grid.size(c.order.filled_lots) for c in self.children.values()), Decimal(0))

    @property
    def cash(self) -> Decimal:
        """Money that changed hands, without fees, in units of the quote asset."""
        return _sum(c.order.instrument.quote.decimal(c.order.filled_cash) for c in self.children.values())

    @property
    def fees(self) -> Decimal:
        return _sum(c.order.instrument.quote.decimal(c.order.fees_paid) for c in self.children.values())

    @property
    def avg_price(self) -> Decimal | None:
        size = self.size
        return self.cash / size if size else None

    def _balance(self) -> int:
        return self.lots - self.done_lots - self.open_lots - self.given_up_lots

    def _count(self, child: Child) -> None:
        (filled, voided), (was_filled, was_voided) = child.gone_lots, child.counted
        self._done += filled - was_filled
        self._voided += voided - was_voided
        child.counted = (filled, voided)


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    return sum(amounts, Decimal(0))
