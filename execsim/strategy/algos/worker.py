"""The tactic of every algorithm on one market: a plan says how many lots are due, the worker gets them traded.

due(t)        lots the plan wants done or in the market by now
overdue       lots that were due `patience_ns` ago and are not done: they cross, where the style crosses
fresh         due and neither done, reserved nor overdue: they rest, where the style rests
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol

from execsim.core.events import OrderUpdate, Trade
from execsim.core.order import OrderStatus, OrderType, TimeInForce
from execsim.strategy.algos.parent import Child, Parent
from execsim.strategy.algos.pricing import Touch, allowed, bounded, crossing_i, resting_i, touch_of
from execsim.strategy.algos.sizing import fit_lots, least_lots
from execsim.strategy.algos.tactics import Style, Tactics
from execsim.strategy.algos.taken import Taken
from execsim.strategy.algos.terms import Terms

if TYPE_CHECKING:
    from execsim.strategy.algos.execution import Execution


class Plan(Protocol):
    """How much should be done by when. Lots of the parent; times since the start, pauses not counted."""

    def due_lots(self, elapsed_ns: int, parent: Parent, least: int) -> int:
        """Lots that should be done or in the market now, at most `parent.lots`; `least`: the smallest order there is."""

    def next_ns(self, elapsed_ns: int) -> int | None:
        """When that grows by itself; None when it does not."""

    def hear(self, trade: Trade) -> bool:
        """A print of the market; True when more may be due for it."""

    def told(self, update: OrderUpdate) -> None:
        """News of a child of ours."""


class Worker:
    """Works one market for one parent. Parent and market count the same lots."""

    def __init__(self, terms: Terms, plan: Plan, tactics: Tactics) -> None:
        self._terms = terms
        self._plan = plan
        self._tactics = tactics
        self._rests = tactics.style is not Style.AGGRESSIVE
        self._crosses = tactics.style in (Style.AGGRESSIVE, Style.PASSIVE_THEN_CROSS)
        self._patience_ns = 0 if tactics.style is Style.AGGRESSIVE else tactics.patience_ns
        self._history: deque[tuple[int, int]] = deque()
        """(when, due) each time more became due, within the patience"""
        self._overdue = 0
        self._cross_ns = 0
        self._taken = Taken()

    def hear(self, trade: Trade) -> bool:
        return self._plan.hear(trade)

    def told(self, update: OrderUpdate, child: Child) -> None:
        self._plan.told(update)
        self._taken.told(update, child, child.shown)

    def act(self, execution: Execution) -> int | None:
        """As `Tactic.act`."""
        now_ns, elapsed_ns = execution.ctx.now_ns, execution.elapsed_ns()
        rest_i, cross_i, shown = self._prices(execution)
        due = self._plan.due_lots(elapsed_ns, execution.parent, self._least(rest_i, cross_i))
        due = min(due, execution.cap_lots)
        self._age(elapsed_ns, due)
        overdue = min(self._overdue, due)
        wakes = [self._plan.next_ns(elapsed_ns), self._history[0][0] + self._patience_ns if self._history else None]
        found = [now_ns + ns - elapsed_ns for ns in wakes if ns is not None and ns > elapsed_ns]
        if cross_i is not None and overdue > execution.parent.done_lots:
            if self._taken.left(self._terms.market, cross_i, shown, now_ns):
                found += self._cross(execution, cross_i, shown, due, overdue)
            else:
                # we have had what it shows: rest meanwhile, and look whether it changes
                overdue = 0
                found.append(now_ns + self._tactics.cross_every_ns)
        else:
            overdue = 0
        found += self._rest(execution, rest_i, due, overdue)
        return min(found, default=None)

    def unplaceable(self, execution: Execution) -> str:
        """A rest smaller than anything the market takes, with everything else done."""
        room, least = execution.room_lots, self._least(*self._prices(execution)[:2])
        due = self._plan.due_lots(execution.elapsed_ns(), execution.parent, least)
        if not room or room >= least or due < execution.parent.done_lots + room:
            return ""
        return f"{room} lots left are below the market's minimum of {least}"

    # --- pieces -----------------------------------------------------------------------------------------------------

    def _age(self, elapsed_ns: int, due: int) -> None:
        """Remember what became due when, and how much of it is overdue by now."""
        last = self._history[-1][1] if self._history else self._overdue
        if due > last:
            self._history.append((elapsed_ns, due))
        while self._history and self._history[0][0] + self._patience_ns <= elapsed_ns:
            self._overdue = self._history.popleft()[1]

    def _prices(self, execution: Execution) -> tuple[int | None, int | None, int]:
        """Where a child would rest and where it would cross now (None where it cannot or the style does not), and how much
        shows there."""
        terms, ctx = self._terms, execution.ctx
        touch, tick_i = touch_of(ctx, terms.market, terms.side, terms.outcome), ctx.tick_i(terms.market)
        cross_i = crossing_i(touch, terms.limit_i, terms.side, tick_i) if self._crosses else None
        if cross_i is not None and not allowed(terms.instrument, cross_i, tick_i):
            cross_i = None
        self._taken.passed(terms.market, touch.far_i, terms.side.sign)
        return self._rest_price(touch, tick_i), cross_i, touch.far_lots

    def _least(self, rest_i: int | None, cross_i: int | None) -> int:
        """The smallest order either price allows; without a price, the market's minimum."""
        inst, side = self._terms.instrument, self._terms.side
        prices = [(rest_i, True), (cross_i, False)]
        leasts = [least_lots(inst, side, price_i, rests=rests) for price_i, rests in prices if price_i is not None]
        return min(leasts, default=max(1, inst.size_min_lots, inst.size_step_lots))

    def _rest_price(self, touch: Touch, tick_i: int) -> int | None:
        if not self._rests:
            return None
        limit_i, side = self._terms.limit_i, self._terms.side
        if self._tactics.style is Style.RESTING and limit_i is not None:
            price_i: int | None = bounded(limit_i, limit_i, side, tick_i)
        else:
            price_i = resting_i(touch, limit_i, side, tick_i)
        return price_i if price_i is not None and allowed(self._terms.instrument, price_i, tick_i) else None

    def _cross(self, execution: Execution, price_i: int, shown: int, due: int, overdue: int) -> list[int]:
        """Make way for what is overdue, then take it from the touch; with all that is due, where it alone is too small.
        Returns when to look again."""
        parent, now_ns, market = execution.parent, execution.ctx.now_ns, self._terms.market
        uncovered = overdue - parent.done_lots - _open(execution, rests=False)
        if uncovered <= 0 or not execution.is_tradable(market):
            return []
        self._make_way(execution, price_i, due - overdue)
        free = due - parent.done_lots - parent.open_lots
        want = min(uncovered, free)
        if want <= 0:
            return []
        if now_ns < self._cross_ns:
            return [self._cross_ns]
        room, inst = execution.room_lots, self._terms.instrument
        least = least_lots(inst, self._terms.side, price_i, rests=False)
        lots = fit_lots(want, room, least, inst) or fit_lots(free, room, least, inst)
        if not lots:
            return []
        self._cross_ns = now_ns + self._tactics.cross_every_ns
        child = execution.place(market, price_i, lots, type=OrderType.LIMIT, tif=TimeInForce.IOC, rests=False)
        child.shown[price_i] = shown
        return [self._cross_ns]

    def _make_way(self, execution: Execution, price_i: int, may_rest: int) -> None:
        """Pull the oldest resting children until no more than `may_rest` lots are left resting."""
        excess, chosen = _open(execution, rests=True) - may_rest, []
        for child in execution.parent.open.values():
            if child.rests and excess > 0:
                chosen.append(child)
                excess -= child.open_lots
        if self._replaceable(execution, chosen, price_i, rests=False):
            for child in chosen:
                execution.pull(child)

    def _rest(self, execution: Execution, price_i: int | None, due: int, overdue: int) -> list[int]:
        """Move what rests at another price than it should, and rest what is fresh."""
        parent, now_ns, market = execution.parent, execution.ctx.now_ns, self._terms.market
        found = self._move(execution, price_i)
        if price_i is None or not execution.is_tradable(market):
            return found
        taken = parent.done_lots + _open(execution, rests=False)
        fresh = due - max(taken, overdue) - _open(execution, rests=True)
        if fresh <= 0:
            return found
        inst = self._terms.instrument
        lots = fit_lots(fresh, execution.room_lots, least_lots(inst, self._terms.side, price_i, rests=True), inst)
        # a child that swallowed what is to cross would have to make way for it at once
        if lots and (lots <= fresh or overdue <= taken):
            kind = OrderType.LIMIT if self._tactics.style is Style.RESTING else OrderType.POST_ONLY
            execution.place(market, price_i, lots, type=kind, tif=TimeInForce.GTC, rests=True)
            found.append(now_ns + self._tactics.reprice_ns)
        return found

    def _move(self, execution: Execution, price_i: int | None) -> list[int]:
        """Cancel what has rested long enough at a price that is not the wanted one; it is placed anew once it is settled."""
        if self._tactics.style is Style.RESTING:
            return []
        now_ns, found = execution.ctx.now_ns, []
        for child in execution.parent.open.values():
            order = child.order
            if not child.rests or order.status is not OrderStatus.WORKING:
                continue
            at_ns = child.placed_ns + self._tactics.reprice_ns
            if now_ns < at_ns:
                found.append(at_ns)
            elif (
                price_i is not None
                and order.price_i != price_i
                and self._replaceable(execution, [child], price_i, rests=True)
            ):
                execution.pull(child)
        return found

    def _replaceable(self, execution: Execution, children: list[Child], price_i: int, *, rests: bool) -> bool:
        """Whether what these children leave could be placed again; if not they are better left where they are."""
        inst = self._terms.instrument
        free = execution.room_lots + sum(child.open_lots for child in children)
        return fit_lots(free, free, least_lots(inst, self._terms.side, price_i, rests=rests), inst) > 0


def _open(execution: Execution, *, rests: bool) -> int:
    """Lots reserved by children that rest, or by those that cross."""
    return sum(child.open_lots for child in execution.parent.open.values() if child.rests is rests)
