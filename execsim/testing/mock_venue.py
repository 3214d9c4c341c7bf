"""A venue that answers by script: for tests of strategies, of the engine, and of what they do when things go wrong.

    venue = MockVenue("polymarket", [instrument], runtime, latency_ns=2_000_000)
    venue.answers.extend([Ack(fills=(5,), fills_first=True), Refuse(VenueError("polymarket", "balance", "not enough"))])

Answers are used up in order, one a request; when there are none left orders are acked (and filled, with fills="full").
Every call is recorded in `calls`. `fill`, `expire`, `drop`, `resolve`, ... make the venue report things on its own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from execsim.core.errors import ExecError, ExecTimeout, OrderNotFound
from execsim.core.events import FillVoided, MarketResolved, OrderFilled, OrderGone, TickChanged, VenueEvent
from execsim.core.fees import Liquidity
from execsim.core.instrument import Instrument
from execsim.core.order import (
    TERMINAL,
    CancelAck,
    Fill,
    FillId,
    FillStatus,
    MarketId,
    Order,
    OrderAck,
    OrderId,
    OrderReport,
    OrderStatus,
    OrderTerms,
    Side,
    TimeInForce,
    VenueId,
)
from execsim.ports import EventSink, Runtime, VenueTraits

TRAITS: Final = VenueTraits()


@dataclass(frozen=True, slots=True)
class Ack:
    """Say yes. `fills` in lots, reported before the answer with `fills_first`, else right after it."""

    fills: tuple[int, ...] = ()
    fills_first: bool = False


@dataclass(frozen=True, slots=True)
class Refuse:
    """Raise `error`."""

    error: ExecError


@dataclass(frozen=True, slots=True)
class Silence:
    """Answer nothing: ExecTimeout (reached unknown) after `ns`. `booked`: the venue has the order all the same."""

    ns: int = 0
    booked: bool = False


Answer = Ack | Refuse | Silence


@dataclass(frozen=True, slots=True)
class Call:
    """One request as it reached the venue: verb place, cancel, modify, status, open, fills or balances."""

    verb: str
    order_id: str
    ts_ns: int


@dataclass(slots=True)
class _Booked:
    order: Order
    venue_order_id: str
    size_lots: int
    filled_lots: int = 0
    status: OrderStatus = OrderStatus.WORKING
    fills: list[Fill] = field(default_factory=list)
    price_i: int | None = None
    """since it was amended"""


class MockVenue:
    """A VenueAdapter. `latency_ns` passes before a request is acted on and again before its answer is back (0: no wait
    at all); what the venue reports on its own arrives at once. `fills`: "none" rests every order, "full" fills it."""

    def __init__(
        self,
        venue_id: str,
        instruments: Iterable[Instrument],
        runtime: Runtime,
        *,
        latency_ns: int = 0,
        fills: Literal["none", "full"] = "none",
        traits: VenueTraits = TRAITS,
    ) -> None:
        self.calls: list[Call] = []
        self.answers: deque[Answer] = deque()
        """for the next orders, in turn"""
        self.cancel_answers: deque[Answer] = deque()
        self.modify_answers: deque[Answer] = deque()
        self.cash: dict[str, int] = {}
        self.healthy = True
        self.traits = traits
        self._venue_id = VenueId(venue_id)
        self._instruments = {instrument.market: instrument for instrument in instruments}
        self._runtime = runtime
        self._latency_ns = latency_ns
        self._fills = fills
        self._sink: EventSink | None = None
        self._booked: dict[OrderId, _Booked] = {}
        self._fill_ids = 0

    # --- VenueAdapter ---------------------------------------------------------------------------------------------

    @property
    def venue_id(self) -> VenueId:
        return self._venue_id

    def instruments(self) -> Mapping[str, Instrument]:
        return self._instruments

    async def place_order(self, order: Order) -> OrderAck:
        await self._travel()
        self._called("place", order.id)
        answer = self.answers.popleft() if self.answers else self._default(order)
        if not isinstance(answer, Refuse) and (isinstance(answer, Ack) or answer.booked):
            size = order.size_lots if order.size_lots is not None else sum(getattr(answer, "fills", ()))
            self._booked[order.id] = _Booked(order, f"{self._venue_id}-{len(self._booked) + 1}", size)
        if not isinstance(answer, Ack):
            await self._say_no(answer)
        booked = self._booked[order.id]
        ack = OrderAck(order.id, booked.venue_order_id, self._runtime.now_ns())
        if isinstance(answer, Ack):
            if answer.fills_first:
                self._fill_all(order.id, answer.fills)
            elif answer.fills:
                self._runtime.call_at(self._runtime.now_ns() + self._latency_ns, self._fill_all, order.id, answer.fills)
        await self._travel()
        return ack

    async def place_batch(self, orders: Sequence[Order]) -> list[OrderAck | Exception]:
        results: list[OrderAck | Exception] = []
        for order in orders:
            try:
                results.append(await self.place_order(order))
            except ExecError as error:
                results.append(error)
        return results

    async def cancel_order(self, order_id: OrderId) -> CancelAck:
        await self._travel()
        self._called("cancel", order_id)
        if self.cancel_answers:
            answer = self.cancel_answers.popleft()
            if not isinstance(answer, Ack):
                await self._say_no(answer)
        booked = self._booked.get(order_id)
        now_ns = self._runtime.now_ns()
        if booked is None:
            ack = CancelAck(order_id, False, now_ns, "the venue does not know the order")
        elif booked.status in TERMINAL:
            ack = CancelAck(order_id, False, now_ns, f"already {booked.status}")
        else:
            booked.status = OrderStatus.CANCELLED
            ack = CancelAck(order_id, True, now_ns, "cancelled on request")
        await self._travel()
        return ack

    async def modify_order(self, order_id: OrderId, price_i: int | None, size_lots: int | None) -> OrderAck:
        await self._travel()
        self._called("modify", order_id)
        if self.modify_answers:
            answer = self.modify_answers.popleft()
            if not isinstance(answer, Ack):
                await self._say_no(answer)
        booked = self._known(order_id)
        if size_lots is not None:
            booked.size_lots = size_lots
        if price_i is not None:
            booked.price_i = price_i
        await self._travel()
        return OrderAck(order_id, booked.venue_order_id, self._runtime.now_ns())

    async def get_order_status(self, order_id: OrderId) -> OrderReport:
        await self._travel()
        self._called("status", order_id)
        report = self._report(self._known(order_id))
        await self._travel()
        return report

    async def get_open_orders(self, market: str | None = None) -> list[OrderReport]:
        await self._travel()
        self._called("open", "")
        reports = [
            self._report(booked)
            for booked in self._booked.values()
            if booked.status not in TERMINAL and market in (None, booked.order.instrument.market)
        ]
        await self._travel()
        return reports

    async def get_fills(self, since_ns: int) -> list[Fill]:
        await self._travel()
        self._called("fills", "")
        fills = [fill for booked in self._booked.values() for fill in booked.fills if fill.ts_ns >= since_ns]
        await self._travel()
        return sorted(fills, key=lambda fill: fill.ts_ns)

    async def balances(self) -> Mapping[str, int]:
        await self._travel()
        self._called("balances", "")
        return dict(self.cash)

    async def health_check(self) -> bool:
        return self.healthy

    def events(self, sink: EventSink) -> None:
        self._sink = sink

    # --- what the venue does on its own ---------------------------------------------------------------------------

    def fill(
        self,
        order_id: OrderId,
        lots: int,
        *,
        price_i: int | None = None,
        liquidity: Liquidity = Liquidity.MAKER,
        status: FillStatus = FillStatus.CONFIRMED,
    ) -> Fill:
        """Report a fill at `price_i` (default: the order's price, 1 for a market order)."""
        booked = self._known(order_id)
        order = booked.order
        instrument = order.instrument
        price_i = price_i if price_i is not None else (order.price_i or 1)
        cash = instrument.cash(price_i, lots)
        self._fill_ids += 1
        now_ns = self._runtime.now_ns()
        fill = Fill(
            FillId(f"{self._venue_id}-fill-{self._fill_ids}"),
            order_id,
            now_ns,
            order.side,
            order.outcome,
            price_i,
            lots,
            -cash if order.side is Side.BUY else cash,
            instrument.fee(price_i, lots, cash, liquidity, ts_ns=now_ns),
            liquidity,
            status=status,
        )
        booked.filled_lots += lots
        booked.fills.append(fill)
        done = booked.filled_lots >= booked.size_lots
        if done:
            booked.status = OrderStatus.FILLED
        self.report(OrderFilled(fill, done, fill.ts_ns))
        return fill

    def drop(self, order_id: OrderId, reason: str = "cancelled by the venue") -> None:
        """The venue cancels a resting order by itself."""
        self._known(order_id).status = OrderStatus.CANCELLED
        self.report(OrderGone(order_id, reason, False, self._runtime.now_ns()))

    def expire(self, order_id: OrderId) -> None:
        self._known(order_id).status = OrderStatus.EXPIRED
        self.report(OrderGone(order_id, "expired", True, self._runtime.now_ns()))

    def void(self, fill: Fill) -> None:
        """A fill failed on chain."""
        booked = self._known(fill.order_id)
        booked.fills = [
            replace(each, status=FillStatus.VOIDED) if each.id == fill.id else each for each in booked.fills
        ]
        self.report(FillVoided(fill.id, fill.order_id, self._runtime.now_ns()))

    def resolve(self, market: str, payoff_i: int) -> None:
        """The market ends: its open orders are dropped, then it pays `payoff_i` per YES share."""
        for order_id, booked in self._booked.items():
            if booked.order.instrument.market == market and booked.status not in TERMINAL:
                self.drop(order_id, "market resolved")
        self.report(MarketResolved(MarketId(market), payoff_i, self._runtime.now_ns()))

    def change_tick(self, market: str, tick_i: int) -> None:
        self.report(TickChanged(MarketId(market), tick_i, self._runtime.now_ns()))

    def report(self, event: VenueEvent) -> None:
        """Hand any event to the engine as it is."""
        if self._sink is not None:
            self._sink(event)

    # --- pieces ---------------------------------------------------------------------------------------------------

    def _default(self, order: Order) -> Ack:
        if self._fills == "full" and order.size_lots is not None:
            return Ack((order.size_lots,))
        return Ack()

    def _fill_all(self, order_id: OrderId, fills: tuple[int, ...]) -> None:
        for lots in fills:
            self.fill(order_id, lots, liquidity=Liquidity.TAKER)
        booked = self._booked[order_id]
        rests = booked.order.tif in (TimeInForce.GTC, TimeInForce.GTD)
        if booked.status not in TERMINAL and not rests:
            self.drop(order_id, f"unfilled rest of {booked.order.tif.upper()}")

    def _known(self, order_id: OrderId) -> _Booked:
        booked = self._booked.get(order_id)
        if booked is None:
            raise OrderNotFound(order_id, f"{self._venue_id} never booked it")
        return booked

    @staticmethod
    def _report(booked: _Booked) -> OrderReport:
        left = max(0, booked.size_lots - booked.filled_lots)
        order = booked.order
        size = None if order.size_lots is None else booked.size_lots
        price = order.price_i if booked.price_i is None else booked.price_i
        terms = OrderTerms(
            order.market, order.side, order.outcome, order.type, order.tif, price, size, order.quote_amount,
            order.expire_ns,
        )  # fmt: skip
        return OrderReport(
            order.id, booked.venue_order_id, booked.status, booked.filled_lots, left, order.updated_ns,
            tuple(booked.fills), terms,
        )  # fmt: skip

    def _called(self, verb: str, order_id: str) -> None:
        self.calls.append(Call(verb, order_id, self._runtime.now_ns()))

    async def _travel(self) -> None:
        if self._latency_ns:
            await self._runtime.sleep(self._latency_ns)

    async def _say_no(self, answer: Refuse | Silence) -> None:
        if isinstance(answer, Refuse):
            await self._travel()
            raise answer.error
        await self._runtime.sleep(answer.ns)
        raise ExecTimeout(self._venue_id, "no answer", "unknown")
