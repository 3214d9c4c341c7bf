"""`PolymarketVenue`: trade on Polymarket's CLOB, over any transport that signs.

    sockets = WebTransport("https://clob.polymarket.com", "wss://ws-subscriptions-clob.polymarket.com")
    signing = SigningTransport(sockets, account_of(credentials))         # holds the secrets
    config = VenueConfig(VenueId("polymarket"), extra={
        "identity": Identity.of(account_of(credentials)).plain(), "markets": {"btc-up": "0x..."}})
    venue = PolymarketVenue(config, SessionTransport(runtime, signing), runtime)
    await venue.start()                 # clocks, login, metadata, the user channel
    engine.register_adapter(venue)
    venue.feed(sink)

It waits for its transport and its runtime alone, and sees no secret (`signing`). `extra`:

    identity        who trades (`Identity.plain`)
    markets         the engine's name -> condition id, token id or slug
    rules           the engine's name -> overrides (`instruments.OVERRIDES`)
    deadline_ms     of one call (default 12,000)
    heartbeat_ms    > 0: say so often that we live; the venue cancels everything 10 s after the last time. 0: never begin

An order's id at the venue is its EIP-712 hash, computed from the engine's order before it is sent (`draft` says how and
why); `OrderAck` and `OrderReport` name it as `venue_order_id`. An order that nobody here placed is reported under its hash.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from execsim.core.errors import (
    ConfigError,
    ExecError,
    InvalidResponse,
    OrderNotFound,
    Reached,
    ValidationError,
    VenueError,
)
from execsim.core.events import VenueEvent
from execsim.core.instrument import Instrument
from execsim.core.order import CancelAck, Fill, Order, OrderAck, OrderId, OrderReport, VenueId
from execsim.core.units import NS_PER_MS, NS_PER_S
from execsim.ports import Crew, EventSink, MarketSink, Runtime, Task, Transport, VenueConfig, VenueTraits
from execsim_polymarket import endpoints
from execsim_polymarket.account_stream import PAUSE_NS, PAUSE_NS_MAX, AccountStream
from execsim_polymarket.calls import DEADLINE_NS, Calls
from execsim_polymarket.domains import is_position_id
from execsim_polymarket.draft import Draft, draft
from execsim_polymarket.entry import kind_of, rest_is_cancelled
from execsim_polymarket.errors import error_of, key_of
from execsim_polymarket.fills import Market, fills_of
from execsim_polymarket.heartbeat import keep_alive
from execsim_polymarket.limits import TRAITS
from execsim_polymarket.listing import Listed, condition_of, listed
from execsim_polymarket.market_stream import MarketStream
from execsim_polymarket.reports import ALIVE, final_lots, is_spent, is_whole, own_of, report_of
from execsim_polymarket.session import ENDED_MAX, Ticket
from execsim_polymarket.signing import Identity
from execsim_polymarket.wire.markets import CLOB_MARKET
from execsim_polymarket.wire.trading import (
    BALANCE,
    CANCEL_ANSWER,
    CANCEL_MARKET,
    CANCEL_ORDER,
    IDS,
    OPEN_ORDER,
    OPEN_ORDERS,
    ORDER_ANSWER,
    ORDER_ANSWERS,
    POST_ORDER,
    POST_ORDERS,
    TRADES,
    CancelAnswer,
    CancelMarket,
    CancelOrder,
    OpenOrder,
    OrderAnswer,
    TradeRecord,
)
from execsim_polymarket.wire.values import VENUE, ns_of

log = logging.getLogger("execsim.polymarket")

IDS_MAX: Final = 1_000
"""Order ids of one DELETE /orders."""
NAMES_MAX: Final = 2 * ENDED_MAX
"""Names of own orders that are kept, and those of all that the session knows."""


class PolymarketVenue:
    """`ports.LiveVenue`. Errors of calls: the venue's refusals by `errors.py`; NetworkError; ExecTimeout with `reached`
    unknown when nobody answered before the deadline; InvalidResponse for what cannot be read."""

    def __init__(self, config: VenueConfig, transport: Transport, runtime: Runtime) -> None:
        extra = config.extra
        self._venue_id = config.venue_id
        self.identity = Identity.read(extra.get("identity", {}))
        self._wanted: dict[str, str] = dict(extra.get("markets", {}))
        self._rules: Mapping[str, Mapping[str, Any]] = extra.get("rules", {})
        self._heartbeat_ns = _milliseconds(extra, "heartbeat_ms", 0)
        deadline_ns = _milliseconds(extra, "deadline_ms", DEADLINE_NS // NS_PER_MS)
        self._transport = transport
        self._runtime = runtime
        self.calls = Calls(transport, runtime, self.identity.address, deadline_ns or DEADLINE_NS)
        self.by_name: dict[str, Listed] = {}
        self.by_condition: dict[str, Listed] = {}
        self._hash_of: dict[OrderId, str] = {}
        self._id_of: dict[str, OrderId] = {}
        self._resting: set[str] = set()
        """IOC orders whose rest is being cancelled"""
        self._sink: EventSink | None = None
        self._account: AccountStream | None = None
        self._crew = Crew(runtime, self._venue_id)
        self._started = False
        self.reconnected: Callable[[], None] = lambda: None

    # ---------------------------------------------------------------- connecting
    async def start(self) -> None:
        """Clocks, login, metadata, the user channel; returns when no news of orders can be missed any more.

        Errors: NetworkError; AuthenticationError and VenueError of the login; ConfigError: started twice, no such market."""
        if self._started:
            raise ConfigError(f"{self._venue_id} is started twice", "start an adapter once")
        self._started = True
        await self.calls.measure_skew()
        await self.login()
        for name, wanted in self._wanted.items():
            await self.list_market(name, wanted)
        markets = {condition: item.market for condition, item in self.by_condition.items()}
        account = AccountStream(self, self._runtime, self._transport, markets, self._hear)
        self._account = account
        ready = self._runtime.pending(f"the user channel of {self._venue_id}")
        account.begin(self._crew.spawn, ready)
        late = ConfigError("the user channel does not open", "see the log; is the WebSocket host right?")
        try:
            await self._runtime.within(self._runtime.now_ns() + 3 * DEADLINE_NS, ready, late)
        except BaseException:
            await self.aclose()
            raise
        self._crew.spawn(self.calls.keep_time(), "clock")
        if self._heartbeat_ns:
            self._crew.spawn(keep_alive(self.calls, self._runtime, self._heartbeat_ns), "heartbeat")

    async def login(self) -> None:
        """Create the API credentials, or derive those that exist. The transport keeps them."""
        try:
            await self.calls.ask(endpoints.CREATE_KEY)
        except VenueError as error:
            log.info("polymarket: the API key exists (%s): derived", error)
            await self.calls.ask(endpoints.DERIVE_KEY)

    async def list_market(self, name: str, wanted: str) -> None:
        """Read the terms of a market. Errors: ConfigError for one that is not listed or not understood; as `Calls.get`."""
        condition = await condition_of(self.calls, wanted)
        found = await self.calls.get(CLOB_MARKET, endpoints.GET_CLOB_MARKET, name=condition)
        item = listed(name, found, self._rules.get(name, {}), self._venue_id)
        self.by_name[name] = self.by_condition[item.condition] = item

    async def refresh(self, item: Listed) -> None:
        """Read a market's terms again: after its tick moved, or the venue says ours is wrong."""
        try:
            item.refresh(await self.calls.get(CLOB_MARKET, endpoints.GET_CLOB_MARKET, name=item.condition))
        except ExecError as error:
            log.warning("polymarket: the terms of %s could not be read again: %s", item.name, error)

    def refresh_soon(self, item: Listed) -> None:
        self._crew.spawn(self.refresh(item), f"terms of {item.name}")

    def feed(self, sink: MarketSink) -> Task:
        """Market data of every market to the sink, over reconnects, until the adapter is closed."""
        stream = MarketStream(self, self._runtime, self._transport, sink, self._hear)
        return self._crew.spawn(stream.run(self._crew.spawn), "market data")

    async def aclose(self) -> None:
        """Stop listening. Orders stay as they are; the transport is closed by who made it."""
        await self._crew.aclose()

    # ---------------------------------------------------------------- VenueAdapter
    @property
    def venue_id(self) -> VenueId:
        return self._venue_id

    @property
    def traits(self) -> VenueTraits:
        return TRAITS

    def instruments(self) -> Mapping[str, Instrument]:
        if not self._started:
            raise ConfigError(f"{self._venue_id} is not connected", "await its start() first")
        return {name: item.instrument for name, item in self.by_name.items()}

    def events(self, sink: EventSink) -> None:
        if self._sink is not None:
            raise ConfigError(
                f"venue {self._venue_id} has an event sink already", "register the adapter with one engine"
            )
        self._sink = sink

    def _hear(self, event: VenueEvent) -> None:
        if self._sink is not None:
            self._sink(event)

    def watch_reconnects(self, report: Callable[[], None]) -> None:
        self.reconnected = report

    def remember(self, orders: Sequence[Order], fills: Sequence[Fill] = ()) -> None:
        """`ports.OrderMemory`: orders of a journal. Their hashes are known again, also of those whose answer was lost."""
        booked: dict[OrderId, list[Fill]] = {}
        for fill in fills:
            booked.setdefault(fill.order_id, []).append(fill)
        for order in orders:
            item = self.by_name.get(order.market)
            if item is None:
                continue
            if order.venue_order_id:
                at_once = kind_of(order) in ("FAK", "FOK")
                ticket = Ticket(order.id, order.venue_order_id, item.condition, order.size_lots, at_once)
            else:
                try:
                    ticket = self._draft(order, item).ticket
                except ExecError as error:
                    log.warning("polymarket: the hash of order %s cannot be computed: %s", order.id, error)
                    continue
            self._name(ticket)
            if self._account is not None:
                self._account.remember(ticket, order, booked.get(order.id, ()))
                if rest_is_cancelled(order) and not order.is_terminal:
                    self._cancel_rest(ticket)

    def _name(self, ticket: Ticket) -> None:
        self._hash_of[ticket.order_id] = ticket.venue_order_id
        self._id_of[ticket.venue_order_id] = ticket.order_id
        for _ in range(min(2, len(self._id_of) - NAMES_MAX)):  # one more than comes, for those that stay
            self._let_go()

    def _let_go(self) -> None:
        """Of the oldest name, unless the session still knows the order: then it counts as the youngest."""
        name, order_id = next(iter(self._id_of.items()))
        del self._id_of[name]
        if self._account is not None and self._account.session.knows(name):
            self._id_of[name] = order_id
        else:
            self._hash_of.pop(order_id, None)

    def _draft(self, order: Order, item: Listed) -> Draft:
        return draft(order, item.market, item.condition, item.terms, self.identity)

    def _prepared(self, order: Order) -> Draft:
        """Build the order and be ready for its news. Errors: ValidationError; ConfigError for a foreign market."""
        item = self.by_name.get(order.market)
        if item is None:
            raise ConfigError(f"market {order.market} is not traded here", f"there are: {', '.join(self.by_name)}")
        made = self._draft(order, item)
        if self._hash_of.get(order.id, made.ticket.venue_order_id) != made.ticket.venue_order_id:
            what = f"order id {order.id} was used for another order"
            raise ValidationError("order_id", what, "an order that is sent again must be the same")
        self._listening().sending(made.ticket)
        self._name(made.ticket)
        return made

    def _listening(self) -> AccountStream:
        if self._account is None:
            raise ConfigError(f"{self._venue_id} is not connected", "await its start() first")
        return self._account

    async def place_order(self, order: Order) -> OrderAck:
        made = self._prepared(order)
        try:
            answer = await self.calls.get(ORDER_ANSWER, endpoints.POST_ORDER, body=POST_ORDER.written(made.post))
        except ExecError as error:
            return self._failed(order, made, error)
        return self._answered(order, made, answer)

    async def place_batch(self, orders: Sequence[Order]) -> list[OrderAck | Exception]:
        """Errors: none: what fails as a whole fails each order."""
        results: list[OrderAck | Exception] = []
        for at in range(0, len(orders), TRAITS.batch_max):
            results += await self._post(orders[at : at + TRAITS.batch_max])
        return results

    async def _post(self, orders: Sequence[Order]) -> list[OrderAck | Exception]:
        results: dict[OrderId, OrderAck | Exception] = {}
        made: list[tuple[Order, Draft]] = []
        for order in orders:
            try:
                made.append((order, self._prepared(order)))
            except ExecError as error:
                results[order.id] = error
        if made:
            body = POST_ORDERS.written(tuple(item.post for _, item in made))
            answers: Sequence[OrderAnswer | ExecError]
            try:
                told = await self.calls.get(ORDER_ANSWERS, endpoints.POST_ORDERS, body=body)
                if len(told) != len(made):
                    raise InvalidResponse(VENUE, "unreadable", f"{len(told)} answers to {len(made)} orders")
                answers = told
            except ExecError as error:
                answers = [error] * len(made)
            for (order, item), answer in zip(made, answers, strict=True):
                results[order.id] = self._one(order, item, answer)
        return [results[order.id] for order in orders]

    def _one(self, order: Order, made: Draft, answer: OrderAnswer | ExecError) -> OrderAck | Exception:
        try:
            if isinstance(answer, ExecError):
                return self._failed(order, made, answer)
            return self._answered(order, made, answer)
        except ExecError as error:
            return error

    def _answered(self, order: Order, made: Draft, answer: OrderAnswer) -> OrderAck:
        name = made.ticket.venue_order_id
        if answer.refused:
            return self._failed(order, made, error_of(200, answer.error_msg or "refused without a reason"))
        if answer.order_id.lower() != name:
            what = f"the order is called {answer.order_id[:80]}, and its hash is {name}"
            return self._failed(order, made, InvalidResponse(VENUE, "order_id", what))
        self._listening().answered(made.ticket, final_lots(order, made.post, answer), is_spent(made.post, answer))
        if rest_is_cancelled(order) and not is_whole(order, answer):
            self._cancel_rest(made.ticket)
        return OrderAck(order.id, name, self._runtime.now_ns())

    def _failed(self, order: Order, made: Draft, error: ExecError) -> OrderAck:
        """The ack of an order that had arrived before. Errors: the one given, for all others."""
        name = made.ticket.venue_order_id
        key = key_of(error)
        if rest_is_cancelled(order) and (key == "duplicate" or error.reached is Reached.UNKNOWN):
            self._cancel_rest(made.ticket)
        if key == "duplicate":
            self._listening().answered(made.ticket)
            return OrderAck(order.id, name, self._runtime.now_ns())
        if key == "tick":
            self.refresh_soon(self.by_name[order.market])
        if error.reached is Reached.NO and self._listening().news.is_placed(order.id):
            error = InvalidResponse(VENUE, "placed", f"{error.message}; yet the user channel says that it was placed")
        if error.reached is Reached.UNKNOWN:
            self._listening().news.lost(order.id)
        else:
            self._listening().refused(name)
            self._listening().news.answered(order.id)
        raise error

    def _cancel_rest(self, ticket: Ticket) -> None:
        if ticket.venue_order_id not in self._resting:
            self._resting.add(ticket.venue_order_id)
            self._crew.spawn(self._no_rest(ticket), f"rest of {ticket.order_id}")

    async def _no_rest(self, ticket: Ticket) -> None:
        """Cancel what an IOC order left, until it surely is gone: an order that waits out a delay cannot be cancelled yet,
        and one whose answer was lost may still arrive."""
        name, pause_ns = ticket.venue_order_id, PAUSE_NS
        until_ns = self._runtime.now_ns() + TRAITS.acceptance_ns
        body = CANCEL_ORDER.to_bytes(CancelOrder(name))
        while True:
            try:
                answer = await self.calls.get(CANCEL_ANSWER, endpoints.CANCEL_ORDER, body=body)
                if name in answer.canceled:
                    self._listening().cancelled_besides(name)
                    break
                row = await self.order_row(name)
                if row is None and self._runtime.now_ns() >= until_ns:
                    break
                if row is not None and row.state not in ALIVE:
                    self._listening().told(name, row)
                    break
            except ExecError as error:
                log.warning("polymarket: the rest of order %s is not cancelled yet: %s", ticket.order_id, error)
            await self._runtime.sleep(pause_ns)
            pause_ns = min(PAUSE_NS_MAX, 2 * pause_ns)
        self._resting.discard(name)

    async def cancel_order(self, order_id: OrderId) -> CancelAck:
        try:
            name = self.hash_of(order_id)
        except OrderNotFound as error:
            return CancelAck(order_id, False, self._runtime.now_ns(), str(error))
        body = CANCEL_ORDER.to_bytes(CancelOrder(name))
        answer = await self.calls.get(CANCEL_ANSWER, endpoints.CANCEL_ORDER, body=body)
        return self._cancelled(order_id, name, answer)

    async def cancel_many(self, order_ids: Sequence[OrderId]) -> list[CancelAck]:
        """Cancel several with one request per 1,000."""
        acks: list[CancelAck] = []
        for at in range(0, len(order_ids), IDS_MAX):
            part = [(order_id, self.hash_of(order_id)) for order_id in order_ids[at : at + IDS_MAX]]
            body = IDS.to_bytes(tuple(name for _, name in part))
            answer = await self.calls.get(CANCEL_ANSWER, endpoints.CANCEL_ORDERS, body=body)
            acks += [self._cancelled(order_id, name, answer) for order_id, name in part]
        return acks

    async def cancel_market(self, market: str) -> list[OrderId]:
        """Cancel everything in a market, whoever placed it. Returns what was cancelled."""
        body = CANCEL_MARKET.to_bytes(CancelMarket(self.by_name[market].condition))
        return self._gone(await self.calls.get(CANCEL_ANSWER, endpoints.CANCEL_MARKET, body=body))

    async def cancel_all(self) -> list[OrderId]:
        """Cancel everything of the account, whoever placed it. Returns what was cancelled."""
        return self._gone(await self.calls.get(CANCEL_ANSWER, endpoints.CANCEL_ALL))

    def _gone(self, answer: CancelAnswer) -> list[OrderId]:
        """The cancels of orders that the engine did not name come to it as events."""
        for name in answer.canceled:
            self._listening().cancelled_besides(name)
        return [self._id_of.get(name, OrderId(name)) for name in answer.canceled]

    def _cancelled(self, order_id: OrderId, name: str, answer: CancelAnswer) -> CancelAck:
        now_ns = self._runtime.now_ns()
        if name in answer.canceled:
            self._listening().refused(name)
            return CancelAck(order_id, True, now_ns)
        if name in answer.not_canceled:
            return CancelAck(order_id, False, now_ns, answer.not_canceled[name])
        raise InvalidResponse(VENUE, "unreadable", f"the answer to a cancel does not name {name}")

    async def modify_order(self, order_id: OrderId, price_i: int | None, size_lots: int | None) -> OrderAck:
        """Errors: VenueError, always: the engine cancels and places anew (`traits.amends`)."""
        raise VenueError(VENUE, "", f"order {order_id}: this venue cannot change an order")

    async def get_order_status(self, order_id: OrderId) -> OrderReport:
        name = self.hash_of(order_id)
        row = await self.order_row(name)
        if row is None:
            raise OrderNotFound(order_id, f"the venue does not know {name}")
        fills: list[Fill] = []
        for trade_id in row.associate_trades or ():
            fills += self._fills(await self.calls.pages(TRADES, endpoints.GET_TRADES, {"id": trade_id}))
        own = tuple(fill for fill in fills if fill.order_id == order_id)
        return report_of(row, order_id, self._market(row.market), self._runtime.now_ns(), own)

    async def order_row(self, venue_order_id: str) -> OpenOrder | None:
        """What the venue says of one order; None for one it does not know."""
        try:
            return await self.calls.get(OPEN_ORDER, endpoints.GET_ORDER, name=venue_order_id)
        except VenueError as error:
            if error.args[1] == "404":
                return None
            raise

    async def get_open_orders(self, market: str | None = None) -> list[OrderReport]:
        now_ns = self._runtime.now_ns()
        reports = []
        for row in await self.open_rows():
            item = self.by_condition.get(row.market)
            if item is not None and market in (None, item.name):
                order_id = self._id_of.get(row.id, OrderId(row.id))
                reports.append(report_of(row, order_id, item, now_ns))
        return reports

    async def open_rows(self) -> list[OpenOrder]:
        return await self.calls.pages(OPEN_ORDERS, endpoints.GET_ORDERS)

    async def get_fills(self, since_ns: int) -> list[Fill]:
        rows = await self.trade_rows(max(0, since_ns // NS_PER_S - 1))
        if not rows or ns_of(rows[0].match_time) >= ns_of(rows[-1].match_time):
            rows = rows[::-1]  # newest first; times are whole seconds, so sorting alone would not turn them
        fills = [fill for fill in self._fills(rows) if fill.ts_ns >= since_ns - NS_PER_S]
        return sorted(fills, key=lambda fill: fill.ts_ns)

    async def trade_rows(self, after_s: int) -> list[TradeRecord]:
        """Trades matched after, without a filter by market: it would match the taker's token only."""
        return await self.calls.pages(TRADES, endpoints.GET_TRADES, {"after": after_s})

    def _fills(self, rows: Sequence[TradeRecord]) -> list[Fill]:
        fills: list[Fill] = []
        for row in rows:
            item = self.by_condition.get(row.market)
            if item is not None:
                fills += fills_of(row, item.market, own_of(row, self.identity.funder, self._id_of))
        return fills

    def _market(self, condition: str) -> Listed:
        if condition not in self.by_condition:
            raise InvalidResponse(VENUE, "unreadable", f"market {condition[:80]} is not traded here")
        return self.by_condition[condition]

    async def balances(self) -> Mapping[str, int]:
        found: dict[str, int] = {}
        kind = int(self.identity.kind)
        for item in self.by_name.values():
            quote = item.instrument.quote.name
            if quote not in found:
                found[quote] = await self._balance({"asset_type": "COLLATERAL", "signature_type": kind})
            tokens: Market = item.market
            for asset, token in (
                (item.instrument.base, tokens.yes_token),
                (item.instrument.complement, tokens.no_token),
            ):
                assert asset is not None  # a binary market has both
                what = "CONDITIONAL-V2" if is_position_id(int(token)) else "CONDITIONAL"
                found[asset.name] = await self._balance({"asset_type": what, "token_id": token, "signature_type": kind})
        return found

    async def _balance(self, query: Mapping[str, str | int]) -> int:
        return (await self.calls.get(BALANCE, endpoints.GET_BALANCE, query=query)).balance

    async def health_check(self) -> bool:
        """Errors: none: silence and refusals are the answer False."""
        try:
            await self.calls.ask(endpoints.OK)
        except ExecError:
            return False
        return True

    def hash_of(self, order_id: OrderId) -> str:
        """What the venue calls the order. Errors: OrderNotFound for one that was neither placed nor remembered here."""
        name = self._hash_of.get(order_id)
        if name is None and order_id.startswith("0x"):
            return str(order_id)  # an order nobody here placed goes by its hash
        if name is None:
            raise OrderNotFound(order_id, "it was not placed here")
        return name


def _milliseconds(extra: Mapping[str, Any], name: str, default: int) -> int:
    """In ns. Errors: ConfigError."""
    value = extra.get(name, default)
    if type(value) is not int or value < 0:
        raise ConfigError(f"{name} = {value!r}", "an integer of milliseconds")
    return value * NS_PER_MS
