"""What ends UNKNOWN: we ask the venue about the order, again and again with growing pauses, until an answer says how it is.

status by id         alive -> FOUND, ended -> its end, with the fills it names
not known there      within the acceptance window: it may still arrive, ask again
                     after it: ask for open orders and fills as well; only if neither has it, it never was -> ABSENT
                     (or, for an order the venue had acknowledged, it is gone)
nobody answers       ask again; there is no attempt after which we guess
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from execsim.core.errors import ExecError, JournalError, OrderNotFound
from execsim.core.order import Fill, OrderId, OrderReport, OrderStatus
from execsim.core.units import NS_PER_MS, NS_PER_S
from execsim.engine.blotter import Blotter
from execsim.engine.reconcile import ALIVE
from execsim.engine.retry import backoff_ns
from execsim.engine.route import Route, Routes
from execsim.engine.track import Entry
from execsim.ports import Rng, Runtime

log = logging.getLogger("execsim.engine")


@dataclass(frozen=True, slots=True)
class InquiryConfig:
    """The first question comes `pause_ns` after the silence, later ones after twice as long each, up to `pause_ns_max`,
    less up to half by chance. `clock_slack_ns`: how far the venue's clock may be behind ours when fills are asked for."""

    pause_ns: int = 200 * NS_PER_MS
    pause_ns_max: int = 10 * NS_PER_S
    clock_slack_ns: int = 60 * NS_PER_S


class Inquiry:
    """`start` asks in a task of its own, one an order; `ask` once. `found` is told of orders that proved to be alive."""

    def __init__(
        self, runtime: Runtime, routes: Routes, blotter: Blotter, config: InquiryConfig, found: Callable[[Entry], None]
    ) -> None:
        self._runtime = runtime
        self._routes = routes
        self._blotter = blotter
        self._config = config
        self._found = found
        self._rngs: dict[str, Rng] = {}
        self.unwanted: Callable[[Entry], None] = lambda entry: None
        """told of an order that was to be cancelled, was called gone, and proved to be alive"""
        self._open: set[OrderId] = set()

    @property
    def open(self) -> int:
        """Orders that are being asked about."""
        return len(self._open)

    def start(self, entry: Entry) -> None:
        """Ask until the order is no longer UNKNOWN. No effect while that is under way."""
        order = entry.order
        if order.id not in self._open:
            self._open.add(order.id)
            self._runtime.spawn(self._pursue(entry), f"fate of {order.id}", daemon=True)

    def verify(self, entry: Entry) -> None:
        """The venue says that an order is gone which is alive with us. News of its end is on its way, or was lost: wait for
        it a little, then ask."""
        order = entry.order
        if order.id not in self._open:
            self._open.add(order.id)
            self._runtime.spawn(self._look(entry), f"end of {order.id}", daemon=True)

    async def _look(self, entry: Entry) -> None:
        order = entry.order
        try:
            await self._runtime.sleep(self._config.pause_ns)
            if order.is_active and order.status is not OrderStatus.UNKNOWN:
                await self.ask(entry)
        except OrderNotFound as error:
            if order.status in ALIVE:
                self._blotter.lost(entry, error)
        except JournalError:
            raise
        except ExecError as error:
            log.warning("%s: the end of order %s is still unknown: %s", order.venue, order.id, error)
        finally:
            self._open.discard(order.id)
        if order.status is OrderStatus.UNKNOWN:
            self.start(entry)
        elif order.status is OrderStatus.WORKING and entry.wants_cancel:
            self.unwanted(entry)

    async def ask(self, entry: Entry) -> OrderReport:
        """Ask once and book what is said. Errors: OrderNotFound (the order stays as it is), what else the venue says."""
        order = entry.order
        route = self._routes[order.instrument.venue]
        before = order.status
        report = await route.ask("get_order_status", lambda: route.adapter.get_order_status(order.id))
        await self._book(route, entry, report)
        if before is OrderStatus.UNKNOWN and order.status is OrderStatus.WORKING:
            self._found(entry)
        return report

    async def _pursue(self, entry: Entry) -> None:
        order, attempt = entry.order, 0
        route = self._routes[order.instrument.venue]
        rng = self._rngs.setdefault(route.venue, self._runtime.rng(f"{route.venue}.inquiries"))
        try:
            while order.status is OrderStatus.UNKNOWN:
                attempt += 1
                await self._runtime.sleep(backoff_ns(rng, self._config.pause_ns, self._config.pause_ns_max, attempt))
                if order.status is not OrderStatus.UNKNOWN:
                    return
                try:
                    await self.ask(entry)
                except OrderNotFound:
                    await self._missing(route, entry)
                except JournalError:
                    raise
                except ExecError as error:
                    level = logging.WARNING if attempt == 1 else logging.DEBUG
                    log.log(level, "%s: the fate of order %s is still unknown: %s", route.venue, order.id, error)
        finally:
            self._open.discard(order.id)

    async def _missing(self, route: Route, entry: Entry) -> None:
        """The venue does not know the order. It never had it only if its time to arrive is over and all answers agree."""
        order = entry.order
        if self._runtime.now_ns() < entry.sent_ns + route.traits.acceptance_ns:
            return
        try:
            reports = await route.ask("get_open_orders", lambda: route.adapter.get_open_orders(order.instrument.market))
            fills = await self._fills(route, entry)
        except JournalError:
            raise
        except ExecError as error:
            log.warning("%s: order %s is missing, but the other sources fail: %s", route.venue, order.id, error)
            return
        report = next((report for report in reports if report.order_id == order.id), None)
        if report is not None:
            await self._book(route, entry, report)
            if order.status is OrderStatus.WORKING:
                self._found(entry)
            return
        self._blotter.recovered(entry, fills)
        if order.status is not OrderStatus.UNKNOWN:
            return
        if entry.acknowledged or entry.fills:
            self._blotter.gone(entry, False, "the venue no longer knows it")
        else:
            self._blotter.absent(entry, "the venue never had it")

    async def _book(self, route: Route, entry: Entry, report: OrderReport) -> None:
        """Book a report; where it counts more lots than the fills we have, ask for the fills first."""
        self._blotter.recovered(entry, report.fills)
        if report.filled_lots > entry.order.filled_lots:
            self._blotter.recovered(entry, await self._fills(route, entry))
        self._blotter.reported(entry, report)

    async def _fills(self, route: Route, entry: Entry) -> list[Fill]:
        """The order's fills as the venue lists them."""
        since_ns = max(0, entry.order.created_ns - self._config.clock_slack_ns)
        fills = await route.ask("get_fills", lambda: route.adapter.get_fills(since_ns))
        return [fill for fill in fills if fill.order_id == entry.order.id]
