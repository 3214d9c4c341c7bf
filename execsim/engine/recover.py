"""Reconciliation carried out: ask a venue what it holds, plan (`reconcile`), and do what the plan says.

At a start after a crash, and again and again while running. Every plan that is not empty is journalled and can be printed:
each action is one sentence.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from execsim.core.errors import ExecError, InternalError, JournalError, OrderNotFound
from execsim.core.lifecycle import OrderEvent
from execsim.core.order import Fill, Order, OrderId, OrderReport, OrderStatus
from execsim.core.units import NS_PER_S
from execsim.engine.blotter import Blotter
from execsim.engine.cancels import Canceller
from execsim.engine.inquiry import Inquiry
from execsim.engine.portfolio import Portfolio
from execsim.engine.reconcile import (
    ALIVE,
    FINAL,
    Action,
    AdoptOrder,
    AskOrder,
    BookFill,
    CancelStranger,
    ChangeTerms,
    FindOrder,
    Known,
    NoteBalance,
    NoteSilence,
    NoteStranger,
    SettleFill,
    Told,
    UnknownOrders,
    plan,
)
from execsim.engine.route import Route, Routes
from execsim.engine.track import Entry, OrderTracker
from execsim.engine.view import LiveView
from execsim.ports import Runtime

T = TypeVar("T")

log = logging.getLogger("execsim.engine")

NOTES = (NoteBalance, NoteSilence, NoteStranger)
"""Actions that change nothing."""


@dataclass(frozen=True, slots=True)
class ReconcileConfig:
    """`strangers`: what happens to orders of the account that nobody here placed. `slack_ns`: how far back before the last
    certain moment fills are asked for (clocks differ, reports travel)."""

    strangers: UnknownOrders = "leave"
    slack_ns: int = 60 * NS_PER_S


class Reconciler:
    """All venues of one engine."""

    def __init__(
        self,
        runtime: Runtime,
        routes: Routes,
        tracker: OrderTracker,
        portfolio: Portfolio,
        blotter: Blotter,
        view: LiveView,
        inquiry: Inquiry,
        cancels: Canceller,
        config: ReconcileConfig,
        amending: Callable[[OrderId], bool],
    ) -> None:
        self._runtime = runtime
        self._routes = routes
        self._tracker = tracker
        self._portfolio = portfolio
        self._blotter = blotter
        self._view = view
        self._inquiry = inquiry
        self._cancels = cancels
        self._config = config
        self._amending = amending
        self._certain_ns: dict[str, int] = {}
        """venue -> our clock up to which every fill is known"""
        self._noted: dict[str, frozenset[Action]] = {}

    def certain_until(self, ns: int) -> None:
        """What happened before is known (from a journal): fills are asked for from there."""
        for venue in self._routes:
            self._certain_ns[venue] = ns

    async def look(self, venue: str) -> Told:
        """Ask the venue for everything. Errors: none of the venue's: they stand in the answer."""
        route = self._routes[venue]
        adapter, asked_ns = route.adapter, self._runtime.now_ns()
        certain_ns = self._certain_ns.get(venue, asked_ns)
        oldest_ns = min(
            (order.created_ns for order in self._orders(venue).values() if order.is_active), default=asked_ns
        )
        unsettled_ns = min((fill.ts_ns for fill in self._pending(venue).values()), default=asked_ns)
        since_ns = max(0, min(certain_ns, oldest_ns, unsettled_ns) - self._config.slack_ns)
        reports = await self._ask(route, "get_open_orders", adapter.get_open_orders)
        fills = await self._ask(route, "get_fills", lambda: adapter.get_fills(since_ns))
        balances = await self._ask(route, "balances", adapter.balances)
        return Told(venue, asked_ns, since_ns, reports, fills, balances)

    def plan(self, told: Told) -> list[Action]:
        """What would be done. Changes nothing."""
        return plan(self._known(told.venue), told, self._config.strangers)

    async def reconcile(self, venue: str) -> list[Action]:
        """Ask, plan, do; returns what was done, notes included. Errors: JournalError."""
        told = await self.look(venue)
        actions = self.plan(told)
        await self.apply(venue, actions)
        if not isinstance(told.fills, ExecError):
            self._certain_ns[venue] = told.asked_ns
        return actions

    async def watch(self, period_ns: int) -> None:
        """Reconcile every venue again and again, `period_ns` apart. Ends never."""
        while True:
            await self._runtime.sleep(period_ns)
            for venue in list(self._routes):
                await self.reconcile(venue)

    async def apply(self, venue: str, actions: Sequence[Action]) -> None:
        """Do what a plan says, in its order. What the venue refuses is journalled and left to the next plan."""
        notes = frozenset(action for action in actions if isinstance(action, NOTES))
        said, self._noted[venue] = self._noted.get(venue, frozenset()), notes
        for entry in self._unwanted(venue):
            self._cancels.found(entry)
        for action in actions:
            if action in said:
                continue  # a note that was made the last time already
            log.info("%s: %s", venue, action)
            row = {"venue": venue, "action": type(action).__name__, "what": str(action)}
            self._blotter.write("reconcile", _order_of(action), row)
            try:
                await self._do(venue, action)
            except (JournalError, InternalError):
                raise
            except ExecError as error:
                log.warning("%s: %s: %s", venue, action, error)

    async def _do(self, venue: str, action: Action) -> None:
        blotter = self._blotter
        if isinstance(action, SettleFill):
            blotter.recovered(self._tracker.entry(action.fill.order_id), (action.fill,))
        elif isinstance(action, BookFill):
            market = self._tracker.evicted_market(action.fill.order_id)
            if market is not None:
                blotter.filled_late(market, action.fill, False)
            else:
                blotter.recovered(self._tracker.entry(action.fill.order_id), (action.fill,))
        elif isinstance(action, FindOrder):
            entry = self._tracker.entry(action.report.order_id)
            blotter.recovered(entry, action.report.fills)
            blotter.guard(entry, OrderEvent.FOUND, lambda: blotter.found(entry, action.report))
            self._cancels.found(entry)
        elif isinstance(action, ChangeTerms):
            terms = action.report.terms
            assert terms is not None
            blotter.amended(self._tracker.entry(action.report.order_id), terms.price_i, terms.size_lots)
        elif isinstance(action, AskOrder):
            await self._ask_for(action.order_id)
        elif isinstance(action, AdoptOrder):
            self._adopt(action.report)
        elif isinstance(action, CancelStranger):
            route = self._routes[venue]
            await blotter.commit.durable()
            await route.call("cancel_order", route.adapter.cancel_order(action.report.order_id))

    async def _ask_for(self, order_id: OrderId) -> None:
        """A missing order: the venue says how it ended, or does not know it, which makes its fate unknown."""
        entry = self._tracker.entry(order_id)
        try:
            await self._inquiry.ask(entry)
        except OrderNotFound as error:
            if entry.order.status in ALIVE:  # it may have ended while we asked
                self._blotter.lost(entry, error)
        if entry.order.status is OrderStatus.UNKNOWN:
            self._inquiry.start(entry)

    def _adopt(self, report: OrderReport) -> None:
        """Make an order ours that is open at the venue."""
        terms = report.terms
        assert terms is not None
        instrument = self._view.instrument(terms.market)
        now_ns = self._runtime.now_ns()
        order = Order(
            report.order_id, instrument, terms.side, terms.type, terms.tif, terms.size_lots, terms.quote_amount,
            terms.price_i, terms.outcome, terms.expire_ns, now_ns, now_ns,
        )  # fmt: skip
        entry = self._tracker.track_order(order, worst_lots=self._view.worst_lots(order))
        self._blotter.adopted(entry, report)
        self._blotter.recovered(entry, report.fills)

    def _unwanted(self, venue: str) -> list[Entry]:
        """Orders that rest although a cancel was asked for: its answer was wrong, or lost."""
        entries = [self._tracker.entry(order.id) for order in self._orders(venue).values() if order.is_active]
        return [entry for entry in entries if entry.wants_cancel and entry.order.status is OrderStatus.WORKING]

    def _known(self, venue: str) -> Known:
        positions = {
            market: position
            for market, position in self._portfolio.positions.items()
            if position.instrument.venue == venue
        }
        orders = self._orders(venue)
        unsettled = frozenset(
            order_id
            for order_id, order in orders.items()
            if order.size_lots is not None and order.is_active and not self._amending(order_id)
            and self._tracker.entry(order_id).ceiling_lots != order.size_lots - order.voided_lots
        )  # fmt: skip
        has_fill = self._tracker.has_fill
        return Known(orders, positions, self._tracker.knows, has_fill, self._pending(venue), unsettled)

    def _pending(self, venue: str) -> Mapping[str, Fill]:
        """Fills of orders in memory that may still fail on chain: news of it may have been missed."""
        entries = (self._tracker.entry(order_id) for order_id in self._orders(venue))
        return {fill.id: fill for entry in entries for fill in entry.fills.values() if fill.status not in FINAL}

    def _orders(self, venue: str) -> Mapping[OrderId, Order]:
        return {order.id: order for order in self._tracker.get_all_orders() if order.instrument.venue == venue}

    @staticmethod
    async def _ask(route: Route, verb: str, question: Callable[[], Coroutine[Any, Any, T]]) -> T | ExecError:
        try:
            return await route.ask(verb, question)
        except JournalError:
            raise
        except ExecError as error:
            return error


def _order_of(action: Action) -> str:
    if isinstance(action, BookFill | SettleFill):
        return action.fill.order_id
    if isinstance(action, AskOrder):
        return action.order_id
    return "" if isinstance(action, NOTES) else action.report.order_id
