"""A Context that records what a strategy does, on the real `Books` and a hand-stepped runtime.

Orders stay where the strategy left them (SUBMITTING, CANCELLING) until the test plays the venue: `ack`, `fill`, `gone`,
`refuse`. Each goes through the real lifecycle table, moves the position and reaches `updates`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Coroutine, Mapping
from decimal import Decimal
from typing import Any

from execsim.core.events import Depth, OrderUpdate, Top
from execsim.core.fees import Liquidity
from execsim.core.instrument import Asset, Instrument, InstrumentKind, Outcome
from execsim.core.lifecycle import OrderEvent, step
from execsim.core.order import Fill, FillId, Order, OrderId, OrderStatus, OrderType, Side, TimeInForce
from execsim.core.position import Position
from execsim.core.units import Grid
from execsim.market import Books
from tests.unit.market.fakes import FakeInterest, FakePending, FakeReader, FakeRuntime, FakeTask

START_NS = 1_000_000_000
TICK_I = 100
"""0.01 on a grid of 0.0001"""


def binary(market: str = "m") -> Instrument:
    micro = Decimal("0.000001")
    return Instrument(
        "polymarket",
        market,
        InstrumentKind.BINARY,
        Grid(Decimal("0.0001"), micro),
        Asset("YES", micro),
        Asset("pUSD", micro),
        complement=Asset("NO", micro),
        tick_i=TICK_I,
        size_step_lots=10_000,
        size_min_lots=5_000_000,
    )


def spot(market: str = "m") -> Instrument:
    grid = Grid(Decimal("0.01"), Decimal("0.00001"))
    return Instrument(
        "binance",
        market,
        InstrumentKind.SPOT,
        grid,
        Asset("BTC", grid.lot),
        Asset("USDT", Decimal("0.00000001")),
        price_min_i=1,
        price_max_i=10**10,
    )


class FakeUpdates:
    def __init__(self, runtime: FakeRuntime) -> None:
        self._runtime = runtime
        self._queue: deque[OrderUpdate] = deque()
        self._waiting: FakePending | None = None
        self.closed = False

    def push(self, update: OrderUpdate) -> None:
        self._queue.append(update)
        self._wake()

    def __aiter__(self) -> FakeUpdates:
        return self

    async def __anext__(self) -> OrderUpdate:
        while not self._queue:
            if self.closed:
                raise StopAsyncIteration
            self._waiting = self._runtime.pending("updates")
            await self._waiting
        return self._queue.popleft()

    async def aclose(self) -> None:
        self.closed = True
        self._wake()

    def _wake(self) -> None:
        if self._waiting is not None:
            self._waiting.set(None)


class FakeContext:
    name = "test"

    def __init__(self, params: Mapping[str, Any], *instruments: Instrument) -> None:
        self.runtime = FakeRuntime(START_NS)
        self.reader = FakeReader(self.runtime)
        self.instruments = {instrument.market: instrument for instrument in instruments or (binary(),)}
        self.markets = tuple(self.instruments)
        self.books = Books(self.runtime, self.reader, FakeInterest(), self.markets)
        self.params = params
        self.positions = {market: Position(instrument) for market, instrument in self.instruments.items()}
        self.orders: list[Order] = []
        self.cancels: list[Order] = []
        self.refusal = ""
        self._updates: list[FakeUpdates] = []

    # What strategies use

    @property
    def now_ns(self) -> int:
        return self.runtime.time_ns

    def instrument(self, market: str) -> Instrument:
        return self.instruments[market]

    def top(self, market: str, sizes: bool = True) -> Any:
        return self.books.tops(market, sizes)

    def best(self, market: str) -> Top:
        return self.books.top(market)

    def depth(self, market: str, levels: int = 10) -> Depth:
        return self.books.depth(market, levels)

    def tick_i(self, market: str) -> int:
        return self.books.tick_i(market)

    def updates(self, market: str | None = None) -> FakeUpdates:
        self._updates.append(FakeUpdates(self.runtime))
        return self._updates[-1]

    async def sleep(self, ns: int) -> None:
        await self.runtime.sleep(ns)

    def spawn(self, coro: Coroutine[Any, Any, Any], name: str) -> FakeTask:
        return self.runtime.spawn(coro, name)

    def position(self, market: str) -> Position:
        return self.positions[market]

    def open_orders(self, market: str | None = None) -> list[Order]:
        return [order for order in self.orders if order.is_active and market in (None, order.market)]

    def place(self, market: str, side: Side, price: Any = None, size: Any = None, **options: Any) -> Order:
        instrument = self.instruments[market]
        price_i = None if price is None else instrument.grid.price_i(price)
        lots = None if size is None else instrument.grid.lots(size)
        money = options.pop("amount", None)
        amount = None if money is None else instrument.quote.amount(money)
        return self.place_i(market, side, price_i, lots, amount=amount, **options)

    def place_i(
        self,
        market: str,
        side: Side,
        price_i: int | None,
        lots: int | None,
        *,
        type: OrderType = OrderType.LIMIT,
        tif: TimeInForce = TimeInForce.GTC,
        outcome: Outcome = Outcome.YES,
        amount: int | None = None,
        expire_ns: int | None = None,
        tag: str = "",
    ) -> Order:
        order = Order(
            OrderId(f"o{len(self.orders) + 1}"),
            self.instruments[market],
            side,
            type,
            tif,
            lots,
            amount,
            price_i,
            outcome,
            expire_ns,
            created_ns=self.now_ns,
            tag=tag,
        )
        self.orders.append(order)
        assert len(self.orders) < 1_000, "orders without end"
        if self.refusal:
            order.reason = self.refusal
            self._happen(order, OrderEvent.REFUSE)
        else:
            order.status = OrderStatus.SUBMITTING
        return order

    def cancel(self, order: Order) -> None:
        self.cancels.append(order)
        assert len(self.cancels) < 1_000, "cancels without end"
        self._happen(order, OrderEvent.ASK_CANCEL)

    # What the test plays

    def start(self, run: Any) -> FakeTask:
        task = self.spawn(run(self), "strategy")
        self.runtime.run()
        return task

    def move(self, bid: tuple[int, int] | None, ask: tuple[int, int] | None, market: str = "m") -> None:
        """Set the best (price_i, lots) and tell the strategy."""
        self.reader.set(market, [bid] if bid else [], [ask] if ask else [])
        self.books.on_top(market, self.now_ns)
        self.runtime.run()

    def wait(self, ns: int) -> None:
        self.runtime.run(self.now_ns + ns)

    def ack(self, *orders: Order) -> None:
        for order in orders:
            self._happen(order, OrderEvent.ACK)
        self.runtime.run()

    def gone(self, *orders: Order) -> None:
        for order in orders:
            self._happen(order, OrderEvent.GONE)
        self.runtime.run()

    def refuse(self, order: Order) -> None:
        self._happen(order, OrderEvent.REFUSE)
        self.runtime.run()

    def fill(self, order: Order, lots: int | None = None) -> None:
        lots = order.remaining_lots if lots is None else lots
        order.filled_lots += lots
        price_i = order.price_i or 0
        cash = -order.side.sign * order.instrument.cash(price_i, lots)
        fill = Fill(
            FillId(f"f{self.now_ns}"),
            order.id,
            self.now_ns,
            order.side,
            order.outcome,
            price_i,
            lots,
            cash,
            0,
            Liquidity.MAKER,
        )
        self.positions[order.market].apply(fill)
        self._happen(order, OrderEvent.FILL if order.remaining_lots else OrderEvent.DONE, fill)
        self.runtime.run()

    def hold(self, net_lots: int, market: str = "m") -> None:
        """Give the strategy a position it did not trade for: YES when positive, NO when negative."""
        self.positions[market].yes_lots, self.positions[market].no_lots = max(0, net_lots), max(0, -net_lots)

    def _happen(self, order: Order, event: OrderEvent, fill: Fill | None = None) -> None:
        before = order.status
        order.status = step(order.id, before, event)
        for updates in self._updates:
            updates.push(OrderUpdate(order, event, before, order.status, self.now_ns, fill))
