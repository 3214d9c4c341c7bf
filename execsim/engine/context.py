"""What a strategy sees. A strategy is `async def run(ctx: Context) -> None`, the same in backtest, paper and live."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping, Sequence
from enum import StrEnum
from typing import Any, Literal, TypeVar

from execsim.core.errors import ConfigError, ExecError, JournalError, ValidationError
from execsim.core.events import Depth, OrderUpdate, QueueMoved, Top, Trade
from execsim.core.instrument import Instrument, Outcome
from execsim.core.order import CancelAck, Fill, Order, OrderAck, OrderReport, OrderType, Side, TimeInForce
from execsim.core.position import Position
from execsim.core.units import Number
from execsim.engine.dispatch import quietly
from execsim.engine.flatten import Flattened
from execsim.engine.halt import Halt
from execsim.engine.session import ExecutionEngine
from execsim.engine.streams import Beat, UpdateStream
from execsim.ports import BookView, Rng, Runtime, Stream, Task

Name = TypeVar("Name", bound=StrEnum)


class Context:
    """One strategy's door to books, orders and time. Prices and sizes are numbers as people write them (0.52 means 0.52,
    exactly), or integers of the grid in `place_i`; times are integer nanoseconds. `name` owns the orders placed here:
    `updates` and `open_orders` show only those, positions are the account's."""

    def __init__(
        self,
        engine: ExecutionEngine,
        runtime: Runtime,
        books: BookView,
        *,
        name: str,
        params: Mapping[str, Any],
        markets: Sequence[str],
    ) -> None:
        self.name = name
        self.params = params
        self.markets = tuple(markets)
        self._engine = engine
        self._runtime = runtime
        self._books = books
        self.results: list[Mapping[str, Any]] = []
        """rows a strategy wants in the run's summary under `executions` (report of an execution algorithm)"""
        for market in self.markets:
            engine.instrument(market)

    def narrow(self, markets: Sequence[str], params: Mapping[str, Any]) -> Context:
        """A context of the same strategy for some of its markets, with parameters of their own."""
        name = f"{self.name}.{'+'.join(markets)}"
        narrowed = Context(self._engine, self._runtime, self._books, name=name, params=params, markets=markets)
        narrowed.results = self.results
        return narrowed

    # --- reading --------------------------------------------------------------------------------------------------

    @property
    def now_ns(self) -> int:
        return self._runtime.now_ns()

    def instrument(self, market: str) -> Instrument:
        """Errors: ConfigError for a market of no registered venue."""
        return self._engine.instrument(market)

    def best(self, market: str) -> Top:
        """Best bid and ask now, as we see it."""
        return self._books.top(market)

    def depth(self, market: str, levels: int = 10) -> Depth:
        return self._books.depth(market, levels)

    def tick_i(self, market: str) -> int:
        """The tick in force, in price units."""
        return self._books.tick_i(market)

    def top(self, market: str, sizes: bool = True) -> Stream[Top]:
        """Each change of best price or size (`sizes` False: of price only, far cheaper); conflated."""
        return self._books.tops(market, sizes)

    def trades(self, market: str) -> Stream[Trade]:
        """Every print of the market."""
        return self._books.trades(market)

    def book(self, market: str, levels: int = 10) -> Stream[Depth]:
        """Every change of the book; conflated."""
        return self._books.books(market, levels)

    def every(self, ns: int) -> Stream[int]:
        """The time, every `ns` nanoseconds from now. Errors: ConfigError unless ns > 0."""
        return Beat(self._runtime, ns)

    def updates(self, market: str | None = None) -> Stream[OrderUpdate]:
        """Everything that happens to this strategy's orders from now on, queued (at most streams.UPDATES_MAX)."""
        stream: UpdateStream[OrderUpdate] = UpdateStream(self._runtime, f"order updates of {self.name}")
        stream.unsubscribe = self._engine.subscribe(stream.push, owner=self.name, market=market)
        return stream

    def queue(self, order: Order, percent: int = 10) -> Stream[QueueMoved]:
        """The order's place in its queue, each time it has moved by at least `percent` (1 to 100) of what stood ahead when
        it began to rest. Simulated venues only: a real one does not say. Errors: VenueNotSupported; ConfigError."""
        if not 1 <= percent <= 100:
            raise ConfigError(f"queue(percent={percent})", "a whole number from 1 to 100")
        return self._engine.watch_queue(order, percent)

    def healthy(self, venue: str) -> bool:
        """Whether orders reach the venue, as far as we know: its circuit breaker is closed. Errors: VenueNotSupported."""
        return self._engine.healthy(venue)

    @property
    def halted(self) -> tuple[Halt, ...]:
        """What keeps orders from passing, the strongest first; empty while everything may be traded (docs/risk.md)."""
        return self._engine.halted

    def position(self, market: str) -> Position:
        """The account's live position in the market."""
        return self._engine.get_position(market)

    def open_orders(self, market: str | None = None) -> list[Order]:
        """This strategy's orders that may still trade."""
        tracker = self._engine.order_tracker
        return [o for o in tracker.get_active_orders(market) if tracker.entry(o.id).owner == self.name]

    def fills(self, order: Order) -> list[Fill]:
        """Fills of an order as they stand, voided ones included (`Fill.status`). Errors: OrderNotFound."""
        return self._engine.order_tracker.get_fills(order.id)

    def is_open(self, market: str) -> bool:
        """Whether the market takes orders, as far as its venue has told us: not once it is closed or has paid out."""
        return market not in self._engine.blotter.closed

    async def ask(self, order: Order) -> OrderReport:
        """What the venue says of an order now, ended or not; fills it names that were still on their way to us are booked.
        Errors: OrderNotFound (the venue's, or ours), NetworkError."""
        return await self._engine.ask(order.id)

    def rng(self, name: str) -> Rng:
        """A random stream of this strategy's own, the same in every run of one seed."""
        return self._runtime.rng(f"{self.name}.{name}")

    # --- acting ---------------------------------------------------------------------------------------------------

    def place(
        self,
        market: str,
        side: Side | str,
        price: Number | None = None,
        size: Number | None = None,
        *,
        type: OrderType | str = OrderType.LIMIT,
        tif: TimeInForce | str = TimeInForce.GTC,
        outcome: Outcome | str = Outcome.YES,
        amount: Number | None = None,
        expire_ns: int | None = None,
        tag: str = "",
    ) -> Order:
        """Send an order and return at once. `amount` is money to spend (market buy) instead of a size.

        A refused order comes back REJECTED with `reason` and is published as an OrderUpdate; otherwise it is PENDING and
        counted as open. Errors: ConfigError for a market, side, type, tif or outcome that does not exist.
        """
        order, error = self._build(market, side, price, size, type, tif, outcome, amount, expire_ns, tag)
        return self._start(order, error)

    def place_i(
        self,
        market: str,
        side: Side | str,
        price_i: int | None,
        lots: int | None,
        *,
        type: OrderType | str = OrderType.LIMIT,
        tif: TimeInForce | str = TimeInForce.GTC,
        outcome: Outcome | str = Outcome.YES,
        amount: int | None = None,
        expire_ns: int | None = None,
        tag: str = "",
    ) -> Order:
        """As `place`, in integers of the grid (`amount` in units of the quote asset): nothing to convert."""
        engine = self._engine
        instrument = engine.instrument(market)
        order_id = engine.new_order_id()
        now_ns = self._runtime.now_ns()
        order = Order(
            order_id,
            instrument,
            _named(Side, side, "side"),
            _named(OrderType, type, "type"),
            _named(TimeInForce, tif, "tif"),
            lots,
            amount,
            price_i,
            _named(Outcome, outcome, "outcome"),
            expire_ns,
            now_ns,
            now_ns,
            tag=tag,
        )
        return self._start(order, None)

    async def submit(
        self,
        market: str,
        side: Side | str,
        price: Number | None = None,
        size: Number | None = None,
        *,
        type: OrderType | str = OrderType.LIMIT,
        tif: TimeInForce | str = TimeInForce.GTC,
        outcome: Outcome | str = Outcome.YES,
        amount: Number | None = None,
        expire_ns: int | None = None,
        tag: str = "",
    ) -> Order:
        """As `place`, but wait for the venue's ack. Errors: ExecError when anybody refuses it or nobody answers."""
        order, error = self._build(market, side, price, size, type, tif, outcome, amount, expire_ns, tag)
        if error is not None:
            self._engine.reject(order, error, owner=self.name)
            raise error
        await self._engine.submit_order(order, owner=self.name)
        return order

    def cancel(self, order: Order) -> None:
        """Ask for a cancel; how it ends is an OrderUpdate. No effect on a finished order."""
        self._engine.start_cancel(order)

    async def cancel_and_wait(self, order: Order) -> CancelAck:
        """Cancel and wait for the answer. Errors: ExecError."""
        return await self._engine.cancel_order(order.id)

    def modify(self, order: Order, price: Number | None = None, size: Number | None = None) -> None:
        """Ask for a new price or total size; how it ends is an OrderUpdate."""
        work = self.modify_and_wait(order, price, size)
        self._runtime.spawn(quietly(work), f"{self.name}: modify {order.id}")

    async def modify_and_wait(self, order: Order, price: Number | None = None, size: Number | None = None) -> OrderAck:
        """Modify and wait for the answer. Errors: ExecError; the order is then as it was, or UNKNOWN."""
        grid = order.instrument.grid
        try:
            price_i = None if price is None else grid.price_i(price)
            size_lots = None if size is None else grid.lots(size)
        except ValidationError as error:
            self._engine.reject_modify(order, error)
            raise
        return await self._engine.modify_order(order.id, price_i=price_i, size_lots=size_lots)

    async def flatten(self, market: str | None = None) -> list[Flattened]:
        """Cancel what is open in the market (None: in all of this strategy's) and close what the account holds there, halted
        or not; returns what became of each market. Whoever still quotes opens it again: stop that first."""
        return await self._engine.flatten(self.markets if market is None else market, owner=self.name)

    async def split(self, market: str, size: Number) -> None:
        """Turn cash into `size` full sets (YES and NO) of a binary market. Errors: ExecError; nothing happened then."""
        await self._engine.tokens.split(market, self.instrument(market).grid.lots(size))

    async def merge(self, market: str, size: Number) -> None:
        """Turn `size` full sets back into cash."""
        await self._engine.tokens.merge(market, self.instrument(market).grid.lots(size))

    async def convert(self, markets: Sequence[str], size: Number) -> None:
        """Turn `size` NO of each of `markets` (outcomes of one neg-risk event) into YES of the event's others and cash."""
        lots = self.instrument(markets[0]).grid.lots(size) if markets else 0
        await self._engine.tokens.convert(markets, lots)

    async def redeem(self, market: str) -> None:
        """Turn the tokens of a finished market into cash, where the venue does not do it by itself."""
        await self._engine.tokens.redeem(market)

    async def sleep(self, ns: int) -> None:
        await self._runtime.sleep(ns)

    def metric(
        self, name: str, value: Number, kind: Literal["gauge", "counter", "histogram"] = "gauge", **labels: str
    ) -> None:
        """Show a number of this strategy to whoever watches the run: the metric strategy.NAME, labelled `strategy` with this
        context's name and with `labels`. A gauge is set, a counter added to, a histogram counts amounts >= 0.

        Errors: ConfigError for what cannot be exported, and for more than series.OWN_SERIES_MAX label sets in a run.
        """
        metrics = self._engine.metrics
        if metrics.enabled:
            metrics.own.record(name, value, kind, {**labels, "strategy": self.name})

    def spawn(self, coro: Coroutine[Any, Any, Any], name: str) -> Task:
        """Run a coroutine beside this one. Its failure ends the run."""
        return self._runtime.spawn(coro, f"{self.name}: {name}")

    # --- pieces ---------------------------------------------------------------------------------------------------

    def _start(self, order: Order, error: ExecError | None) -> Order:
        engine = self._engine
        if error is not None:
            engine.reject(order, error, owner=self.name)
            return order
        try:
            engine.begin(order, owner=self.name)
        except JournalError:
            raise
        except ExecError:
            return order
        engine.deliver(order)
        return order

    def _build(
        self,
        market: str,
        side: Side | str,
        price: Number | None,
        size: Number | None,
        type: OrderType | str,
        tif: TimeInForce | str,
        outcome: Outcome | str,
        amount: Number | None,
        expire_ns: int | None,
        tag: str,
    ) -> tuple[Order, ExecError | None]:
        """The order, and why its numbers cannot be read on the grid (it then lacks those that cannot)."""
        engine = self._engine
        instrument = engine.instrument(market)
        now_ns = self._runtime.now_ns()
        order = Order(
            engine.new_order_id(),
            instrument,
            _named(Side, side, "side"),
            _named(OrderType, type, "type"),
            _named(TimeInForce, tif, "tif"),
            outcome=_named(Outcome, outcome, "outcome"),
            expire_ns=expire_ns,
            created_ns=now_ns,
            updated_ns=now_ns,
            tag=tag,
        )
        try:
            order.price_i = None if price is None else instrument.grid.price_i(price)
            order.size_lots = None if size is None else instrument.grid.lots(size)
            order.quote_amount = None if amount is None else instrument.quote.amount(amount)
        except ValidationError as error:
            return order, error
        return order, None


def _named(kind: type[Name], value: Name | str, what: str) -> Name:
    """An enum member by itself or by its text in any case."""
    if isinstance(value, kind):
        return value
    try:
        return kind(value.lower())
    except ValueError:
        known = ", ".join(member.value for member in kind)
        raise ConfigError(f"{what} {value!r} does not exist", f"one of: {known}") from None
