"""The simulated exchange as a `VenueAdapter`: one account's door, requests and answers over its own line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from execsim.core.errors import ConfigError, ExecError
from execsim.core.instrument import Instrument
from execsim.core.order import CancelAck, Fill, Order, OrderAck, OrderId, OrderReport, OrderType, VenueId
from execsim.core.request import RequestKind
from execsim.exchange.account import Account, Ledger
from execsim.exchange.entry import Answer
from execsim.exchange.exchange import TRADER, Exchange
from execsim.exchange.latency import LatencyModel
from execsim.exchange.line import Line
from execsim.exchange.resting import VenueOrder
from execsim.exchange.rewards import Levels, Resting
from execsim.ports import EventSink, VenueTraits


class SimulatedVenue:
    """What the engine talks to. Errors a caller sees are the venue's: VenueError, RateLimitExceeded, OrderNotFound; or,
    under faults, NetworkError and ExecTimeout. Ended orders stay known for status questions."""

    def __init__(self, exchange: Exchange, latency: LatencyModel, account: str = TRADER) -> None:
        self.exchange = exchange
        self.account = account
        self.latency = latency
        self.line: Line = exchange.connect(account, latency)

    @property
    def venue_id(self) -> VenueId:
        return VenueId(self.exchange.venue_id)

    @property
    def traits(self) -> VenueTraits:
        return self.exchange.profile.traits

    @property
    def ledger(self) -> Ledger:
        """The exchange's ledger, all accounts."""
        return self.exchange.ledger

    @property
    def held(self) -> Account:
        """This account in the exchange's ledger."""
        return self.exchange.ledger[self.account]

    def instruments(self) -> Mapping[str, Instrument]:
        return self.exchange.instruments

    def events(self, sink: EventSink) -> None:
        if self.line.sink is not None:
            raise ConfigError(
                f"venue {self.venue_id} has an event sink already", "register the adapter with one engine"
            )
        self.line.sink = sink

    # ---------------------------------------------------------------- orders
    def _copy(self, order: Order) -> VenueOrder:
        exchange = self.exchange
        return VenueOrder.of(order, self.account, exchange.index.get(order.market, -1), exchange.new_id())

    async def place_order(self, order: Order) -> OrderAck:
        post_only = order.type is OrderType.POST_ONLY
        ack: OrderAck = await self.line.request(
            RequestKind.PLACE, f"ack of {order.id}", self.exchange.entry.place, self._copy(order), order_id=order.id,
            post_only=post_only,
        )  # fmt: skip
        return ack

    async def place_batch(self, orders: Sequence[Order]) -> list[OrderAck | Exception]:
        """All on one message: they arrive at one instant, in order, and are answered together."""
        if not orders:
            return []
        copies = [self._copy(order) for order in orders]
        answers: list[OrderAck | Exception]
        try:
            answers = await self.line.request(
                RequestKind.BATCH, f"ack of {len(orders)} orders from {orders[0].id}", self._arrive_batch, copies,
                order_id=orders[0].id, orders=len(orders),
                post_only=all(order.type is OrderType.POST_ONLY for order in orders),
            )  # fmt: skip
        except ExecError as error:
            answers = [error] * len(orders)
        return answers

    def _arrive_batch(self, answer: Answer, orders: Sequence[VenueOrder]) -> None:
        """Orders of a batch are judged one by one; the answer goes when the last one is known."""
        found: dict[int, OrderAck | Exception] = {}

        def one(index: int, value: OrderAck | Exception) -> None:
            found[index] = value
            if len(found) == len(orders):
                answer([found[i] for i in range(len(orders))])

        for index, order in enumerate(orders):
            self.exchange.entry.place(lambda value, index=index: one(index, value), order)  # type: ignore[misc]

    async def cancel_order(self, order_id: OrderId) -> CancelAck:
        ack: CancelAck = await self.line.request(
            RequestKind.CANCEL, f"cancel of {order_id}", self.exchange.entry.cancel, self.account, order_id,
            order_id=order_id,
        )  # fmt: skip
        return ack

    async def modify_order(self, order_id: OrderId, price_i: int | None, size_lots: int | None) -> OrderAck:
        ack: OrderAck = await self.line.request(
            RequestKind.AMEND, f"amend of {order_id}", self.exchange.entry.amend, self.account, order_id, price_i,
            size_lots, order_id=order_id,
        )  # fmt: skip
        return ack

    # ---------------------------------------------------------------- questions
    async def get_order_status(self, order_id: OrderId) -> OrderReport:
        report: OrderReport = await self.line.request(
            RequestKind.QUERY, f"status of {order_id}", self.exchange.entry.status, self.account, order_id
        )
        return report

    async def get_open_orders(self, market: str | None = None) -> list[OrderReport]:
        reports: list[OrderReport] = await self.line.request(
            RequestKind.QUERY, "open orders", self.exchange.entry.open_orders, self.account, market
        )
        return reports

    async def get_fills(self, since_ns: int) -> list[Fill]:
        fills: list[Fill] = await self.line.request(
            RequestKind.QUERY, "fills", self.exchange.entry.fills, self.account, since_ns
        )
        return fills

    async def balances(self) -> Mapping[str, int]:
        found: Mapping[str, int] = await self.line.request(
            RequestKind.QUERY, "balances", lambda answer: answer(dict(self.held.balances))
        )
        return found

    async def health_check(self) -> bool:
        """Whether a request gets there and back now. Errors: none: an outage is the answer False."""
        try:
            await self.line.request(RequestKind.QUERY, "health", lambda answer: answer(True))
        except ExecError:
            return False
        return True

    def watch_queue(self, order_id: OrderId, percent: int) -> None:
        """Report when the lots ahead have changed by `percent` of what they are when it rests."""
        self.exchange.watch_queue(self.account, order_id, percent)

    # ---------------------------------------------------------------- tokens
    async def split_tokens(self, market: str, lots: int) -> None:
        """Cash into full sets of a binary market. Errors: the contract's refusal; nobody answered."""
        await self._contract("split", self.exchange.contracts.split, market, lots)

    async def merge_tokens(self, market: str, lots: int) -> None:
        """Full sets into cash."""
        await self._contract("merge", self.exchange.contracts.merge, market, lots)

    async def convert_tokens(self, markets: Sequence[str], lots: int) -> tuple[str, ...]:
        """NO of some outcomes of a neg-risk event into YES of the others and cash; returns every market of the event."""
        await self._contract("convert", self.exchange.contracts.convert, markets, lots)
        event = self.exchange.contracts.event_of(markets[0])
        return () if event is None else event.markets

    async def redeem_tokens(self, market: str) -> int:
        """Tokens of a finished market into cash; returns its payoff (YES, price units)."""
        await self._contract("redeem", self.exchange.contracts.redeem, market)
        return self.exchange.contracts.payoffs[market]

    async def _contract(self, what: str, act: object, *args: object) -> None:
        def arrive(answer: Answer) -> None:
            answer(act(self.account, *args))  # type: ignore[operator]

        await self.line.request(RequestKind.TOKENS, what, arrive)

    # ---------------------------------------------------------------- what the venue itself sees
    def seen(self, market: str) -> tuple[list[Resting], Levels, Levels] | None:
        """As `Exchange.seen`, for this account: for estimates made beside a run, not for strategies."""
        return self.exchange.seen(self.account, market)

    # ---------------------------------------------------------------- money from outside
    def deposit(self, asset: str, amount: int) -> None:
        """Give the account `amount` units of an asset before or during the run."""
        self.exchange.deposit(self.account, asset, amount)

    def split(self, market: str, lots: int) -> None:
        """Full sets at the start of a run, without latency. Errors: ConfigError."""
        error = self.exchange.contracts.split(self.account, market, lots)
        if error is not None:
            raise ConfigError(f"split of {lots} lots of {market}: {error}", "")
