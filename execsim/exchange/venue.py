"""The simulated exchange as a `VenueAdapter`: requests travel, are judged on arrival, and answers travel back.

    trader ──entry leg──▶ gate (limits, rules, balance) ──▶ match (take, rest) ──response leg──▶ trader
                                                      tape ──▶ fills ──────────response leg──▶ trader

The same object stands in front of every source of liquidity; here it is the recorded tape through the kernel. Nothing
waits for a tape row: arrivals, expiries and answers are timers of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from execsim.core.errors import ConfigError, ExecError, OrderNotFound
from execsim.core.events import MarketResolved, OrderFilled, OrderGone, VenueEvent
from execsim.core.instrument import Instrument
from execsim.core.order import (
    CancelAck,
    Fill,
    MarketId,
    Order,
    OrderAck,
    OrderId,
    OrderReport,
    OrderStatus,
    TimeInForce,
    VenueId,
)
from execsim.core.request import RequestKind
from execsim.exchange.account import Ledger
from execsim.exchange.latency import LatencyModel
from execsim.exchange.limits import VenueLimits
from execsim.exchange.matching import TapeMatching
from execsim.exchange.refusal import refuse
from execsim.exchange.resting import VenueOrder
from execsim.exchange.rules import Gate
from execsim.exchange.settle import settle
from execsim.kernel import OwnFill, Replay, Row
from execsim.ports import EventSink, Pending, Priority, Runtime, VenueProfile

TRADER = "trader"


class SimulatedVenue:
    """One venue of a run. `markets` maps the kernel's market index to its instrument; indices of other venues are absent.

    Balances are given in asset units by `deposit`. Errors a caller sees are the venue's: VenueError, RateLimitExceeded,
    OrderNotFound. Ended orders stay known for status questions.
    """

    def __init__(
        self,
        runtime: Runtime,
        kernel: Replay,
        venue_id: str,
        markets: Mapping[int, Instrument],
        profile: VenueProfile,
        latency: LatencyModel,
    ) -> None:
        self._runtime = runtime
        self._kernel = kernel
        self._venue_id = VenueId(venue_id)
        self._profile = profile
        self._markets = dict(markets)
        self._index = {instrument.market: index for index, instrument in markets.items()}
        self.ledger = Ledger()
        self.limits = VenueLimits(venue_id, profile)
        self.latency = latency
        self.entry = latency.entry_leg(runtime.rng, venue_id)
        self.response = latency.response_leg(runtime.rng, venue_id)
        self._ids = runtime.rng(f"{venue_id}.ids")
        self._gate = Gate(venue_id, profile, kernel)
        self._matching = TapeMatching(kernel, self.ledger, TRADER, profile)
        self._orders: dict[OrderId, VenueOrder] = {}
        self._open: dict[OrderId, VenueOrder] = {}
        self._by_slot: dict[int, VenueOrder] = {}
        self._resolved: dict[int, int] = {}
        self._sink: EventSink | None = None

    # ---------------------------------------------------------------- VenueAdapter
    @property
    def venue_id(self) -> VenueId:
        return self._venue_id

    def instruments(self) -> Mapping[str, Instrument]:
        return {instrument.market: instrument for instrument in self._markets.values()}

    def events(self, sink: EventSink) -> None:
        if self._sink is not None:
            raise ConfigError(
                f"venue {self._venue_id} has an event sink already", "register the adapter with one engine"
            )
        self._sink = sink

    async def place_order(self, order: Order) -> OrderAck:
        ack: OrderAck = await self._request(RequestKind.PLACE, f"ack of {order.id}", self._arrive, self._copy(order))
        return ack

    async def place_batch(self, orders: Sequence[Order]) -> list[OrderAck | Exception]:
        """All on one message: they arrive at one instant, in order."""
        arrival_ns = self.entry.arrival_ns(self._runtime.now_ns(), RequestKind.BATCH)
        waits = [self._request_at(arrival_ns, f"ack of {o.id}", self._arrive, self._copy(o)) for o in orders]
        answers: list[OrderAck | Exception] = []
        for wait in waits:
            try:
                answers.append(await wait)
            except ExecError as error:
                answers.append(error)
        return answers

    async def cancel_order(self, order_id: OrderId) -> CancelAck:
        what = f"cancel of {order_id}"
        ack: CancelAck = await self._request(RequestKind.CANCEL, what, self._arrive_cancel, order_id)
        return ack

    async def modify_order(self, order_id: OrderId, price_i: int | None, size_lots: int | None) -> OrderAck:
        what = f"amend of {order_id}"
        ack: OrderAck = await self._request(RequestKind.AMEND, what, self._arrive_amend, order_id, price_i, size_lots)
        return ack

    async def get_order_status(self, order_id: OrderId) -> OrderReport:
        what = f"status of {order_id}"
        report: OrderReport = await self._request(RequestKind.QUERY, what, self._arrive_status, order_id)
        return report

    async def get_open_orders(self, market: str | None = None) -> list[OrderReport]:
        reports: list[OrderReport] = await self._request(RequestKind.QUERY, "open orders", self._arrive_open, market)
        return reports

    async def balances(self) -> Mapping[str, int]:
        found: Mapping[str, int] = await self._request(
            RequestKind.QUERY, "balances", lambda answer: self._answer(answer, dict(self.ledger[TRADER].balances))
        )
        return found

    async def health_check(self) -> bool:
        return True

    # ---------------------------------------------------------------- money from outside
    def deposit(self, asset: str, amount: int) -> None:
        """Give the trader's account `amount` units of an asset before or during the run."""
        self.ledger.deposit(TRADER, asset, amount)

    def split(self, market: str, lots: int) -> None:
        """Turn the trader's cash into full sets of a binary market, at the contract, without latency (start of a run)."""
        instrument = self._markets[self._index[market]]
        if instrument.complement is None:
            raise ConfigError(f"{market} is not a binary market", "only those have full sets to split")
        cost, units = instrument.par(lots), instrument.base_amount(lots)
        account = self.ledger[TRADER]
        if account.free(instrument.quote.name) < cost:
            held = instrument.quote.decimal(account.free(instrument.quote.name))
            raise ConfigError(f"split of {lots} lots of {market} needs more {instrument.quote.name} than {held}", "")
        self.ledger.move(TRADER, Ledger.MINT, instrument.quote.name, cost)
        self.ledger.move(Ledger.MINT, TRADER, instrument.base.name, units)
        self.ledger.move(Ledger.MINT, TRADER, instrument.complement.name, units)

    # ---------------------------------------------------------------- messages
    def _copy(self, order: Order) -> VenueOrder:
        return VenueOrder.of(order, self._index.get(order.market, -1), f"{self._ids.raw():016x}")

    def _request(self, kind: RequestKind, what: str, arrive: Callable[..., None], *args: Any) -> Pending[Any]:
        """Send a request; `arrive(answer, *args)` runs when it is there and must lead to an answer."""
        return self._request_at(self.entry.arrival_ns(self._runtime.now_ns(), kind), what, arrive, *args)

    def _request_at(self, arrival_ns: int, what: str, arrive: Callable[..., None], *args: Any) -> Pending[Any]:
        answer = self._runtime.pending(f"{what} at {self._venue_id}")
        self._runtime.call_at(arrival_ns, arrive, answer, *args, priority=Priority.VENUE)
        return answer

    def _answer(self, answer: Pending[Any], value: object) -> None:
        at = self.response.arrival_ns(self._runtime.now_ns())
        if isinstance(value, ExecError):
            self._runtime.call_at(at, answer.fail, value)
        else:
            self._runtime.call_at(at, answer.set, value)

    def _report(self, event: VenueEvent) -> None:
        if self._sink is not None:
            self._runtime.call_at(self.response.arrival_ns(self._runtime.now_ns(), stream=True), self._sink, event)

    # ---------------------------------------------------------------- orders arrive
    def _arrive(self, answer: Pending[OrderAck], order: VenueOrder) -> None:
        now_ns = self._runtime.now_ns()
        refusal: ExecError | None = self.limits.order(now_ns)
        if refusal is None and order.id in self._orders:
            refusal = refuse(self._venue_id, self._profile, "duplicate", order_id=order.id)
        if refusal is None:
            refusal = self._gate.check(order, now_ns)
        taken = None
        if refusal is None:
            taken = self._matching.plan(order)
            refusal = taken.refusal
        if refusal is None and taken is not None:
            refusal = self._matching.claim(order, taken)
        if refusal is not None or taken is None:
            self._answer(answer, refusal)
            return
        order.booked_ns = now_ns
        self._orders[order.id] = self._open[order.id] = order
        self._answer(answer, OrderAck(order.id, order.venue_order_id, now_ns))
        for fill, done in self._matching.take(order, taken, now_ns):
            self._filled(order, fill, done)
        if order.is_open:
            self._rest_or_end(order)

    def _rest_or_end(self, order: VenueOrder) -> None:
        if order.tif in (TimeInForce.GTC, TimeInForce.GTD) and order.left_lots and order.price_i is not None:
            order.slot = self._matching.rest(order)
            self._by_slot[order.slot] = order
            if order.tif is TimeInForce.GTD and order.expire_ns is not None:
                gone_ns = max(self._runtime.now_ns(), order.expire_ns - self._profile.gtd_early_ns)
                order.timer = self._runtime.call_at(gone_ns, self._lapse, order, priority=Priority.VENUE)
            return
        filled = "rest" if order.filled_lots else "whole"
        self._end(order, OrderStatus.CANCELLED)
        self._report(OrderGone(order.id, f"{filled} of {order.tif.upper()} order had no match", False, order.booked_ns))

    def _lapse(self, order: VenueOrder) -> None:
        self._end(order, OrderStatus.EXPIRED)
        self._report(OrderGone(order.id, "its time is over", True, self._runtime.now_ns()))

    def _filled(self, order: VenueOrder, fill: Fill, done: bool) -> None:
        order.fills.append(fill)
        if done:
            self._end(order, OrderStatus.FILLED)
        self._report(OrderFilled(fill, done, fill.ts_ns))

    def _end(self, order: VenueOrder, status: OrderStatus) -> None:
        """Take an order off the book and give back what it still claims."""
        order.status = status
        self._open.pop(order.id, None)
        if order.slot is not None:
            self._by_slot.pop(order.slot, None)
            self._kernel.drop(order.slot)
            order.slot = None
        if order.timer is not None:
            order.timer.cancel()
            order.timer = None
        self._matching.release(order)

    # ---------------------------------------------------------------- cancels, amends and questions arrive
    def _arrive_cancel(self, answer: Pending[CancelAck], order_id: OrderId) -> None:
        now_ns = self._runtime.now_ns()
        if (limited := self.limits.cancel(now_ns)) is not None:
            self._answer(answer, limited)
            return
        order = self._open.get(order_id)
        if order is None:
            gone = refuse(self._venue_id, self._profile, "order_gone", order_id=order_id)
            self._answer(answer, CancelAck(order_id, False, now_ns, str(gone.args[2])))
            return
        self._end(order, OrderStatus.CANCELLED)
        self._answer(answer, CancelAck(order_id, True, now_ns))

    def _arrive_amend(
        self, answer: Pending[OrderAck], order_id: OrderId, price_i: int | None, size_lots: int | None
    ) -> None:
        now_ns = self._runtime.now_ns()
        order = self._open.get(order_id)
        refusal: ExecError | None = self.limits.order(now_ns)
        if refusal is None and order is None:
            refusal = refuse(self._venue_id, self._profile, "order_gone", order_id=order_id)
        if refusal is not None or order is None:
            self._answer(answer, refusal)
            return
        total = size_lots if size_lots is not None else order.filled_lots + order.left_lots
        left = total - order.filled_lots
        same_price = price_i is None or price_i == order.price_i
        if same_price and 0 < left <= order.left_lots:
            refusal = self._gate.size(order, total)
            if refusal is None:
                self._matching.shrink(order, left)
            self._answer(answer, refusal or OrderAck(order_id, order.venue_order_id, now_ns))
        else:
            self._amend_by_moving(answer, order, order.price_i if price_i is None else price_i, left, now_ns)

    def _amend_by_moving(
        self, answer: Pending[OrderAck], order: VenueOrder, price_i: int | None, left: int, now_ns: int
    ) -> None:
        """A new price or a larger size: same order, new place at the back of the queue; all or nothing."""
        before = (order.price_i, order.size_lots, order.left_lots)
        order.price_i, order.size_lots, order.left_lots = price_i, order.filled_lots + left, left
        self._matching.release(order)
        refusal = self._gate.left(order) or self._gate.check(order, now_ns)
        plan = self._matching.plan(order) if refusal is None else None
        if plan is not None:
            refusal = plan.refusal or self._matching.claim(order, plan)
        if refusal is not None or plan is None:
            order.price_i, order.size_lots, order.left_lots = before
            self._matching.reclaim(order)
            self._answer(answer, refusal)
            return
        self._answer(answer, OrderAck(order.id, order.venue_order_id, now_ns))
        if order.slot is not None:
            self._by_slot.pop(order.slot, None)
            self._kernel.drop(order.slot)
            order.slot = None
        if order.timer is not None:
            order.timer.cancel()
        for fill, done in self._matching.take(order, plan, now_ns):
            self._filled(order, fill, done)
        if order.is_open:
            self._rest_or_end(order)

    def _arrive_status(self, answer: Pending[OrderReport], order_id: OrderId) -> None:
        order = self._orders.get(order_id)
        now_ns = self._runtime.now_ns()
        self._answer(
            answer, OrderNotFound(order_id, "the venue never booked it") if order is None else order.report(now_ns)
        )

    def _arrive_open(self, answer: Pending[list[OrderReport]], market: str | None) -> None:
        now_ns = self._runtime.now_ns()
        wanted = [o for o in self._open.values() if market is None or o.instrument.market == market]
        self._answer(answer, [order.report(now_ns) for order in wanted])

    # ---------------------------------------------------------------- the tape moves
    def on_fills(self, market: int, fills: list[OwnFill], row: Row) -> None:
        """Resting orders were filled by a tape row, at its venue time."""
        for own in fills:
            order = self._by_slot[own.order]
            self._filled(order, *self._matching.make(order, own, row))

    def on_resolve(self, market: int, payoff_i: int) -> None:
        """The market paid out: open orders end, tokens become cash."""
        if market in self._resolved:
            return
        self._resolved[market] = payoff_i
        self._gate.close(market)
        now_ns = self._runtime.now_ns()
        for order in [o for o in self._open.values() if o.market == market]:
            self._end(order, OrderStatus.CANCELLED)
            self._report(OrderGone(order.id, "market resolved", False, now_ns))
        settle(self.ledger, TRADER, self._markets[market], payoff_i)
        self._report(MarketResolved(MarketId(self._markets[market].market), payoff_i, now_ns))
