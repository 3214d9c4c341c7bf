"""What an order would take now, and what came of it: the two values a source of liquidity answers with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from execsim.core.errors import ExecError
from execsim.core.order import Fill, TimeInForce
from execsim.exchange.resting import VenueOrder
from execsim.ports import VenueProfile


@dataclass(slots=True)
class Plan:
    """What an order would take now: (book price, lots, cash, fee) a level; `complete` if that is all it wanted.

    `refusal`: why the venue will not have the order at all (post-only that would take, FOK that cannot fill).
    """

    levels: list[tuple[int, int, int, int]] = field(default_factory=list)
    complete: bool = False
    refusal: ExecError | None = None

    @property
    def lots(self) -> int:
        return sum(level[1] for level in self.levels)

    @property
    def cash(self) -> int:
        return sum(level[2] for level in self.levels)

    @property
    def fees(self) -> int:
        return sum(level[3] for level in self.levels)


def is_complete(order: VenueOrder, plan: Plan) -> bool:
    """Size orders: all lots. Quote orders: what is left of the money does not buy one more step at the last price."""
    if order.size_lots is not None:
        return plan.lots == order.left_lots
    if not plan.levels:
        return False
    last = order.outcome_price_i(plan.levels[-1][0])
    return order.instrument.lots_for(order.left_quote - plan.cash, last) == 0


def is_dust(order: VenueOrder, plan: Plan) -> bool:
    """Whether all that a quote order leaves is what rounding its money down left: one unit."""
    return order.size_lots is None and bool(plan.levels) and order.left_quote - plan.cash <= 1


def unmatched(order: VenueOrder, plan: Plan, profile: VenueProfile) -> str | None:
    """Why an immediate order that finds too little is refused (a key of the profile's texts), or None.

    Where the venue accepts such orders and ends them, a FOK order's plan is emptied: it takes nothing.
    """
    killed = order.tif is TimeInForce.FOK and not plan.complete and not is_dust(order, plan)
    if profile.unmatched == "expire":
        if killed:
            plan.levels.clear()
        return None
    if killed:
        return "fok"
    if not plan.levels and order.is_immediate and "ioc_no_match" in profile.texts:
        return "ioc_no_match"
    return None


@dataclass(frozen=True, slots=True)
class Executed:
    """One execution of one order; `done` when nothing is left of it. `counter_account`: who was on the other side."""

    order: VenueOrder
    fill: Fill
    done: bool
    counter_account: str


class Matching(Protocol):
    """A source of liquidity behind the order entry: the recorded tape, or a book that agents fill.

    Prices of plans are of the canonical book. The order entry has checked rules and money before `take` and `rest`.
    """

    def plan(self, order: VenueOrder, now_ns: int) -> Plan:
        """What it would take now, best level first, at the fees of now; nothing changes."""

    def take(self, order: VenueOrder, plan: Plan, now_ns: int) -> Iterator[Executed]:
        """Carry the plan out, of either side what happened, money moved. The caller may stop nothing half-way."""

    def rest(self, order: VenueOrder) -> None:
        """Queue what is left at the order's price."""

    def drop(self, order: VenueOrder) -> None:
        """Take a resting order out of the queue; no effect on one that does not rest."""

    def shrink(self, order: VenueOrder, left_lots: int) -> None:
        """Fewer lots at the same price: the place in the queue is kept."""
