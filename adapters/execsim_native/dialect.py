"""The venue's side: requests of the native dialect answered from a `Desk`, streams fed from it. Sans-IO."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from itertools import count
from typing import Any, Final, Literal
from urllib.parse import parse_qsl

from execsim.core.errors import ConfigError, ExecError, InternalError, VenueError, VenueNotSupported
from execsim.core.events import VenueEvent
from execsim.core.instrument import Instrument
from execsim.core.order import Order, OrderId
from execsim.ports import Closing, Desk, FrameSink, QueueWatch, Request, Response, TokenDesk, VenueAdapter
from execsim_native import wire
from execsim_native.codec import BadMessage
from execsim_native.market import FrameWriter

log = logging.getLogger("execsim.native")

LEVELS_MAX: Final = 1_000
"""Levels a side one `book` answer may hold."""

NO_MARKET: Final = ("UNKNOWN_MARKET", "no such market: {market}")

Verb = Callable[[Desk, str, Any], Awaitable[Any]]


class NativeDialect:
    """`ports.Dialect`. It keeps nothing: accounts, orders and books are the desk's."""

    framing: Literal["lines", "http"] = "lines"

    def begin(self, desk: Desk) -> None:
        """Nothing is kept."""

    async def answer(self, desk: Desk, request: Request) -> Response:
        """What the venue says to a request; a request that makes no sense is refused with BAD_REQUEST."""
        try:
            asked = wire.request_of(request.method, request.body)
            return wire.success(await VERBS[request.method](desk, request.headers.get("account", ""), asked))
        except BadMessage as error:
            return self.refuse(wire.bad_request(desk.venue_id, error))
        except ExecError as error:
            return self.refuse(error)
        except Exception as error:  # one user's request must not end the exchange of all
            log.exception("%s failed", request.method)
            return self.refuse(InternalError(f"{request.method}: {type(error).__name__}: {error}"))

    def account(self, name: str) -> str:
        return name

    def refuse(self, error: ExecError) -> Response:
        return wire.refusal(error)

    def is_free(self, request: Request) -> bool:
        return False  # whoever asks anything is counted

    def stream(self, desk: Desk, url: str, sink: FrameSink) -> NativeStream:
        """`orders?account=NAME` or `markets?account=NAME&market=ID`."""
        channel, _, query = url.partition("?")
        fields = dict(parse_qsl(query))
        if channel not in (wire.ORDERS, wire.MARKETS):
            raise wire.bad_request(
                desk.venue_id, BadMessage("channel", f"{channel[:64]!r} is none of: orders, markets")
            )
        account, market = fields.pop("account", ""), fields.pop("market", "")
        fields.pop("venue", "")  # said to whoever chose the desk
        if fields or (market and channel == wire.ORDERS):
            unknown = next(iter(fields), "market")
            raise wire.bad_request(desk.venue_id, BadMessage(unknown[:64], f"{channel} has no such field"))
        desk.adapter(account)  # refuses who never said hello
        sink(wire.opened_frame(desk.clock().now_ns))
        numbers = count(1)
        if channel == wire.ORDERS:

            def tell(event: VenueEvent) -> None:
                sink(wire.event_frame(next(numbers), event))

            return NativeStream(desk.listen(account, tell), desk.venue_id)
        try:
            writer = FrameWriter(sink, lambda: next(numbers))
            return NativeStream(desk.follow(writer, (market,) if market else ()), desk.venue_id)
        except ConfigError as error:
            raise wire.bad_request(desk.venue_id, BadMessage("market", str(error))) from None


class NativeStream:
    """`ports.Served`: a native stream only speaks."""

    def __init__(self, close: Closing, venue: str) -> None:
        self._close = close
        self._venue = venue

    def hear(self, frame: bytes) -> None:
        raise wire.bad_request(self._venue, BadMessage("tell", "this stream only speaks"))

    def close(self) -> None:
        self._close()


# ---------------------------------------------------------------------------------------------------- verbs
async def _hello(desk: Desk, account: str, asked: wire.Nothing) -> wire.Welcome:
    desk.open_account(account)
    traits = desk.adapter(account).traits
    return wire.Welcome(desk.venue_id, account, traits, desk.clock(), tuple(desk.instruments().values()))


async def _go(desk: Desk, account: str, asked: wire.Nothing) -> Any:
    desk.adapter(account)
    desk.hours.go()
    return desk.clock()


def _order(desk: Desk, asked: wire.NewOrder) -> Order:
    return asked.order(_instrument(desk, asked.market))


def _instrument(desk: Desk, market: str) -> Instrument:
    """Errors: VenueError in the venue's words for a market it does not have."""
    instrument = desk.instruments().get(market)
    if instrument is None:
        code, text = desk.profile.texts.get("unknown_market", NO_MARKET)
        raise VenueError(desk.venue_id, code, text.replace("{market}", market[:64]))
    return instrument


async def _place(desk: Desk, account: str, asked: wire.NewOrder) -> Any:
    return await desk.adapter(account).place_order(_order(desk, asked))


async def _batch(desk: Desk, account: str, asked: wire.Batch) -> Any:
    adapter = desk.adapter(account)
    if not 0 < len(asked.orders) <= wire.BATCH_MAX:
        raise BadMessage("orders", f"a batch has 1 to {wire.BATCH_MAX} orders")
    if len({order.order_id for order in asked.orders}) < len(asked.orders):
        raise BadMessage("orders", "two orders of one id")
    items: list[wire.BatchItem] = []
    orders: dict[int, Order] = {}
    for number, new in enumerate(asked.orders):
        items.append(wire.BatchItem())
        try:
            orders[number] = _order(desk, new)
        except VenueError as error:
            items[number] = wire.BatchItem(error=error)
    for number, answer in zip(orders, await adapter.place_batch(list(orders.values())), strict=True):
        items[number] = (
            wire.BatchItem(error=_known(answer)) if isinstance(answer, Exception) else wire.BatchItem(answer)
        )
    return items


def _known(error: Exception) -> ExecError:
    return error if isinstance(error, ExecError) else InternalError(f"{type(error).__name__}: {error}")


async def _cancel(desk: Desk, account: str, asked: wire.Named) -> Any:
    return await desk.adapter(account).cancel_order(OrderId(asked.order_id))


async def _amend(desk: Desk, account: str, asked: wire.Amend) -> Any:
    if asked.price_i is None and asked.size_lots is None:
        raise BadMessage("price_i", "give a price, a size or both")
    return await desk.adapter(account).modify_order(OrderId(asked.order_id), asked.price_i, asked.size_lots)


async def _status(desk: Desk, account: str, asked: wire.Named) -> Any:
    return await desk.adapter(account).get_order_status(OrderId(asked.order_id))


async def _open(desk: Desk, account: str, asked: wire.AskOpen) -> Any:
    reports = await desk.adapter(account).get_open_orders(asked.market)
    return wire.page(reports, max(0, asked.skip))


async def _fills(desk: Desk, account: str, asked: wire.AskFills) -> Any:
    fills = await desk.adapter(account).get_fills(asked.since_ns)
    return wire.page(fills, max(0, asked.skip))


async def _balances(desk: Desk, account: str, asked: wire.Nothing) -> Any:
    return await desk.adapter(account).balances()


async def _health(desk: Desk, account: str, asked: wire.Nothing) -> bool:
    return await desk.adapter(account).health_check()


async def _markets(desk: Desk, account: str, asked: wire.Nothing) -> Any:
    desk.adapter(account)
    return [desk.state(market) for market in desk.instruments()]


async def _book(desk: Desk, account: str, asked: wire.AskBook) -> Any:
    desk.adapter(account)
    if not 0 < asked.levels <= LEVELS_MAX:
        raise BadMessage("levels", f"should be 1 to {LEVELS_MAX}")
    _instrument(desk, asked.market)
    return desk.book(asked.market, asked.levels)


def _tokens(desk: Desk, adapter: VenueAdapter, *markets: str) -> TokenDesk:
    for market in markets:
        _instrument(desk, market)
    if not isinstance(adapter, TokenDesk):
        raise VenueNotSupported(f"{desk.venue_id} (tokens)", "")
    return adapter


def _positive(lots: int) -> int:
    if lots <= 0:
        raise BadMessage("lots", "should be positive")
    return lots


async def _split(desk: Desk, account: str, asked: wire.Sets) -> Any:
    await _tokens(desk, desk.adapter(account), asked.market).split_tokens(asked.market, _positive(asked.lots))


async def _merge(desk: Desk, account: str, asked: wire.Sets) -> Any:
    await _tokens(desk, desk.adapter(account), asked.market).merge_tokens(asked.market, _positive(asked.lots))


async def _redeem(desk: Desk, account: str, asked: wire.Sets) -> Any:
    return await _tokens(desk, desk.adapter(account), asked.market).redeem_tokens(asked.market)


async def _convert(desk: Desk, account: str, asked: wire.Convert) -> Any:
    if not asked.markets:
        raise BadMessage("markets", "name at least one")
    tokens = _tokens(desk, desk.adapter(account), *asked.markets)
    return await tokens.convert_tokens(asked.markets, _positive(asked.lots))


async def _watch_queue(desk: Desk, account: str, asked: wire.WatchQueue) -> Any:
    adapter = desk.adapter(account)
    if not isinstance(adapter, QueueWatch):
        raise VenueNotSupported(f"{desk.venue_id} (queue position)", "")
    if not 0 < asked.percent <= 100:
        raise BadMessage("percent", "should be 1 to 100")
    adapter.watch_queue(OrderId(asked.order_id), asked.percent)


async def _faults(desk: Desk, account: str, asked: wire.Nothing) -> Any:
    desk.adapter(account)
    return list(desk.faults())


async def _fault(desk: Desk, account: str, asked: wire.SwitchFault) -> Any:
    desk.adapter(account)
    try:
        desk.switch_fault(asked.pack, asked.on, asked.params)
    except ConfigError as error:
        raise BadMessage("pack", str(error)) from None
    return [state for state in desk.faults() if state.pack == asked.pack]


VERBS: Final[Mapping[str, Verb]] = {
    "hello": _hello, "go": _go, "place": _place, "batch": _batch, "cancel": _cancel, "amend": _amend, "status": _status,
    "open": _open, "fills": _fills, "balances": _balances, "health": _health, "markets": _markets, "book": _book,
    "split": _split, "merge": _merge, "redeem": _redeem, "convert": _convert, "watch_queue": _watch_queue,
    "faults": _faults, "fault": _fault,
}  # fmt: skip
