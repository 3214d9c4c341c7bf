"""`NativeVenue`: trade on a simulated exchange that speaks the native dialect, over any transport.

    venue = NativeVenue(VenueConfig(VenueId("polymarket"), extra={"account": "bob"}), transport, runtime)
    await venue.start()                 # hello: instruments, traits, the venue's clock; the account's events
    engine.register_adapter(venue)
    venue.feed(sink)                    # market data, until it ends
    await venue.aclose()

It waits for its transport and its runtime alone. `extra`: account (default "trader"), deadline_ms (default 12,000).
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from execsim.core.errors import ConfigError, ExecError, ExecTimeout, InvalidResponse, NetworkError, Reached
from execsim.core.instrument import Instrument
from execsim.core.order import TERMINAL, CancelAck, Fill, Order, OrderAck, OrderId, OrderReport, VenueId
from execsim.core.units import NS_PER_MS, NS_PER_S
from execsim.ports import (
    Crew,
    DeskClock,
    EventSink,
    FaultState,
    MarketSink,
    MarketState,
    Request,
    Response,
    Runtime,
    Task,
    Transport,
    VenueConfig,
    VenueTraits,
)
from execsim_native import wire
from execsim_native.codec import BadMessage, build, plain
from execsim_native.streams import AccountStream, MarketStream

log = logging.getLogger("execsim.native")

T = TypeVar("T")

ACCOUNT: Final = "trader"
DEADLINE_NS: Final = 12 * NS_PER_S
"""Longer than a simulated venue lets a request wait (10 s): its own words arrive first."""
PAGES_MAX: Final = 10_000


class NativeVenue:
    """`ports.LiveVenue`. Errors of calls: what the venue refused with, the same class and args; NetworkError; ExecTimeout
    with `reached` unknown when nobody answered before the deadline; InvalidResponse (`reached` unknown as well) for an
    answer that cannot be read and for a fault of the venue."""

    def __init__(self, config: VenueConfig, transport: Transport, runtime: Runtime) -> None:
        self.account = str(config.extra.get("account", ACCOUNT))
        deadline_ms = config.extra.get("deadline_ms")
        if deadline_ms is not None and (type(deadline_ms) is not int or deadline_ms <= 0):
            raise ConfigError(f"deadline_ms = {deadline_ms!r}", "a positive integer")
        self._deadline_ns = DEADLINE_NS if deadline_ms is None else deadline_ms * NS_PER_MS
        self._venue_id = config.venue_id
        self._transport = transport
        self._runtime = runtime
        self._welcome: wire.Welcome | None = None
        self._instruments: dict[str, Instrument] = {}
        self._sink: EventSink | None = None
        self._stream: AccountStream | None = None
        self._crew = Crew(runtime, self._venue_id)
        self.reconnected: Callable[[], None] = lambda: None
        """called by the streams below: one that was lost is back"""

    # ---------------------------------------------------------------- connecting
    async def start(self) -> None:
        """Say hello and subscribe to the account's events. Errors: NetworkError; AuthenticationError: the account name;
        VenueNotSupported: no such venue there; ConfigError: started twice."""
        if self._welcome is not None:
            raise ConfigError(f"{self._venue_id} is started twice", "start an adapter once")
        self._welcome = await self.hello()
        self._instruments = {instrument.market: instrument for instrument in self._welcome.instruments}
        for instrument in self._instruments.values():
            if instrument.venue != self._venue_id:
                what = f"{self._venue_id}: the venue there is {instrument.venue}"
                raise ConfigError(what, f'name it: VenueConfig(VenueId("{instrument.venue}"), ...)')
        self._stream = AccountStream(self, self._runtime, self._transport, self._hear)
        opened = self._runtime.pending(f"the account stream of {self._venue_id}")
        self._crew.spawn(self._stream.run(opened, self._welcome), "account")
        try:
            await self._within(opened, "the account stream")
        except BaseException:
            await self.aclose()
            raise
        # not awaited: a venue whose market is held answers questions about orders after `go`
        self._crew.spawn(self._stream.list_open(), "open orders")

    async def hello(self) -> wire.Welcome:
        """What the venue says of itself and its clock now."""
        return await self._get(wire.Welcome, "hello")

    async def go(self) -> DeskClock:
        """Let the market move, if the exchange holds it until somebody is ready (`serve --hold`)."""
        return await self._get(DeskClock, "go")

    @property
    def clock(self) -> DeskClock:
        """The venue's clock as hello told it. Errors: ConfigError before `start`."""
        return self._known().clock

    def feed(self, sink: MarketSink) -> Task:
        """Market data of every market to the sink, over reconnects, until the data ends or the adapter is closed."""
        self._known()
        stream = MarketStream(self, self._runtime, self._transport, sink, tuple(self._instruments))
        return self._crew.spawn(stream.run(), "market data")

    async def aclose(self) -> None:
        """Stop listening. Orders stay as they are; the transport is closed by who made it."""
        await self._crew.aclose()

    def _known(self) -> wire.Welcome:
        if self._welcome is None:
            raise ConfigError(f"{self._venue_id} is not connected", "await its start() first")
        return self._welcome

    # ---------------------------------------------------------------- VenueAdapter
    @property
    def venue_id(self) -> VenueId:
        return self._venue_id

    @property
    def traits(self) -> VenueTraits:
        return self._known().traits

    def instruments(self) -> Mapping[str, Instrument]:
        self._known()
        return self._instruments

    def events(self, sink: EventSink) -> None:
        if self._sink is not None:
            raise ConfigError(
                f"venue {self._venue_id} has an event sink already", "register the adapter with one engine"
            )
        self._sink = sink

    def _hear(self, event: Any) -> None:
        if self._sink is not None:
            self._sink(event)

    async def place_order(self, order: Order) -> OrderAck:
        ack = await self._get(OrderAck, "place", wire.NewOrder.of(order))
        self._alive(ack.order_id)
        return ack

    async def place_batch(self, orders: Sequence[Order]) -> list[OrderAck | Exception]:
        """Errors: none: what fails as a whole fails each order."""
        if not orders:
            return []
        asked = wire.Batch(tuple(wire.NewOrder.of(order) for order in orders))
        try:
            items = await self._get(tuple[wire.BatchItem, ...], "batch", asked)
            if len(items) != len(orders):
                raise InvalidResponse(self._venue_id, "bad_message", f"{len(items)} answers to {len(orders)} orders")
        except ExecError as error:
            return [error] * len(orders)
        return [self._item(item) for item in items]

    def _item(self, item: wire.BatchItem) -> OrderAck | Exception:
        if item.ack is not None:
            self._alive(item.ack.order_id)
            return item.ack
        return item.error or InvalidResponse(self._venue_id, "bad_message", "neither an ack nor an error")

    def _alive(self, order_id: OrderId) -> None:
        """The venue says that the order is there, whoever placed it, and when."""
        if self._stream is not None:
            self._stream.alive(order_id)

    async def cancel_order(self, order_id: OrderId) -> CancelAck:
        ack = await self._get(CancelAck, "cancel", wire.Named(order_id))
        if ack.cancelled and self._stream is not None:
            self._stream.ended(order_id)
        return ack

    async def modify_order(self, order_id: OrderId, price_i: int | None, size_lots: int | None) -> OrderAck:
        return await self._get(OrderAck, "amend", wire.Amend(order_id, price_i, size_lots))

    async def get_order_status(self, order_id: OrderId) -> OrderReport:
        report = await self._get(OrderReport, "status", wire.Named(order_id))
        if report.status not in TERMINAL:
            self._alive(report.order_id)
        return report

    async def get_open_orders(self, market: str | None = None) -> list[OrderReport]:
        reports = await self._pages(tuple[OrderReport, ...], "open", lambda skip: wire.AskOpen(market, skip))
        for report in reports:
            self._alive(report.order_id)
        return reports

    async def get_fills(self, since_ns: int) -> list[Fill]:
        return await self._pages(tuple[Fill, ...], "fills", lambda skip: wire.AskFills(since_ns, skip))

    async def balances(self) -> Mapping[str, int]:
        return await self._get(dict, "balances")

    async def health_check(self) -> bool:
        """Errors: none: silence and refusals are the answer False."""
        try:
            return await self._get(bool, "health")
        except ExecError:
            return False

    # ---------------------------------------------------------------- TokenDesk, the Watches, and what a tester asks
    async def split_tokens(self, market: str, lots: int) -> None:
        await self._ask("split", wire.Sets(market, lots))

    async def merge_tokens(self, market: str, lots: int) -> None:
        await self._ask("merge", wire.Sets(market, lots))

    async def convert_tokens(self, markets: Sequence[str], lots: int) -> tuple[str, ...]:
        return await self._get(tuple[str, ...], "convert", wire.Convert(tuple(markets), lots))

    async def redeem_tokens(self, market: str) -> int:
        return await self._get(int, "redeem", wire.Sets(market))

    def watch_queue(self, order_id: OrderId, percent: int) -> None:
        """Ask for QueueMoved events. A request that gets lost costs news, nothing else: it is logged."""
        self._crew.spawn(self._watch(order_id, percent), f"queue of {order_id}")

    async def _watch(self, order_id: OrderId, percent: int) -> None:
        try:
            await self._ask("watch_queue", wire.WatchQueue(order_id, percent))
        except ExecError as error:
            log.warning("%s: no queue positions of %s: %s", self._venue_id, order_id, error)

    def watch_reconnects(self, report: Callable[[], None]) -> None:
        self.reconnected = report

    async def market_states(self) -> tuple[MarketState, ...]:
        """Every market as the venue sees it now."""
        return await self._get(tuple[MarketState, ...], "markets")

    async def fault_states(self) -> tuple[FaultState, ...]:
        """The fault packs of the venue."""
        return await self._get(tuple[FaultState, ...], "faults")

    async def switch_fault(self, pack: str, on: bool = True, **params: Any) -> None:
        """Let a fault begin there now, or end."""
        await self._ask("fault", wire.SwitchFault(pack, on, params))

    # ---------------------------------------------------------------- asking
    async def _get(self, kind: type[T], op: str, asked: object | None = None) -> T:
        return self._read(kind, await self._ask(op, asked))

    def _read(self, kind: type[T], result: Any) -> T:
        try:
            value: T = build(kind, result, "result")
            return value
        except BadMessage as error:
            raise InvalidResponse(self._venue_id, "bad_message", str(error)) from None

    async def _ask(self, op: str, asked: object | None = None) -> Any:
        body = b"" if asked is None else wire.dump(plain(asked))
        request = Request(op, self._venue_id, {"account": self.account}, body)
        try:
            response: Response = await self._within(self._transport.request(request), op)
        except NetworkError as error:
            raise type(error)(self._venue_id, *error.args[1:]) from None
        return wire.result_of(response, self._venue_id)

    async def _within(self, work: Awaitable[T], what: str) -> T:
        """Work that must be done before the deadline."""
        seconds = self._deadline_ns / NS_PER_S
        late = ExecTimeout(self._venue_id, f"{what}: no answer within {seconds:g} s", Reached.UNKNOWN)
        return await self._runtime.within(self._runtime.now_ns() + self._deadline_ns, work, late)

    async def _pages(self, kind: type[tuple[T, ...]], op: str, asked: Callable[[int], object]) -> list[T]:
        """All pages of a listing. Errors: InvalidResponse when they are not the whole."""
        found: list[T] = []
        for _ in range(PAGES_MAX):
            page = await self._ask(op, asked(len(found)))
            if not isinstance(page, dict) or type(page.get("left")) is not int:
                raise InvalidResponse(self._venue_id, "bad_message", f"{op}: not a page: {str(page)[:200]}")
            items = self._read(kind, page.get("items"))
            found += items
            if page["left"] <= 0:
                return found
            if not items:
                break
        raise InvalidResponse(self._venue_id, "incomplete", f"{op}: the listing does not end")
