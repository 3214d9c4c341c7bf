"""The user channel as a machine without I/O: frames and answers in, core events and things to do out.

The channel has no sequence numbers: news of orders and trades come in any order, some twice, some never. So every fill is
told once by its id (trade and order), its settlement only moves forward, and after each reconnect, or when an order says it
traded more than we heard of, the machine asks for what it may have missed (`AskOrders`, `AskTrades`, `AskOrder`); the owner
does the asking and hands the answers to `told_orders`, `told_trades`, `told_order`.

An order is `track`ed before it is sent: its id is its hash, so a fill that outruns the answer finds it.
Source: polymarket.md section 11, quirks; section 12.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from execsim.core.errors import ExecError, InvalidResponse
from execsim.core.events import FillSettled, FillVoided, OrderAcked, OrderFilled, OrderGone, VenueEvent
from execsim.core.order import Fill, FillStatus, OrderId, Side
from execsim.core.units import NS_PER_S, Rounding
from execsim.ports import NEVER
from execsim_polymarket.auth import ApiKey
from execsim_polymarket.fills import SETTLING, Market, fill_id, fills_of
from execsim_polymarket.link import USER_LINK, Link, LinkAction, LinkConfig, Send
from execsim_polymarket.wire.account import Credentials
from execsim_polymarket.wire.channels import (
    USER_EVENTS,
    USER_SUBSCRIPTION,
    Unread,
    UserOrder,
    UserSubscription,
    UserTrade,
    user_messages,
)
from execsim_polymarket.wire.trading import OpenOrder, TradeRecord
from execsim_polymarket.wire.values import MaybeAmount, ns_of

SLACK_NS: Final = 60 * NS_PER_S
"""How far before the last news trades are asked for: clocks differ, and match times are whole seconds."""
BEHIND_NS: Final = 5 * NS_PER_S
"""How long an order may say that it traded more than we heard of, or one that never rests may be open, before we ask;
after each question twice as long, up to BEHIND_NS << BEHIND_DOUBLED."""
BEHIND_DOUBLED: Final = 6
QUIET_NS: Final = 20 * NS_PER_S
"""How long the channel may say nothing, while own orders are open, before we ask: it has answered pings and sent no news
for hours (py-clob-client issue 292)."""
DOWN_NS: Final = 60 * NS_PER_S
"""After so long without any frame, a PONG included, the channel counts as down."""
ENDED_MAX: Final = 20_000
"""Ended orders and settled fills remembered for late news; the oldest are forgotten. The engine books a fill once by its
id all the same."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """An own order as the session must know it. `market` is the condition id; `size_lots` None where the target is money:
    then only the venue's answer (`answered`) tells when it is filled."""

    order_id: OrderId
    venue_order_id: str
    market: str
    size_lots: int | None
    at_once: bool = False
    """FAK or FOK: it never rests, so it is asked about until its end is known"""


@dataclass(frozen=True, slots=True)
class Emit:
    """Tell the engine."""

    event: VenueEvent


@dataclass(frozen=True, slots=True)
class AskOrders:
    """GET /data/orders, all pages -> `told_orders`."""


@dataclass(frozen=True, slots=True)
class AskTrades:
    """GET /data/trades?after=..., all pages -> `told_trades`. Without market and asset: those filters match the taker's
    token and would miss maker fills on the other one (nautilus_trader issue 3345)."""

    after_s: int


@dataclass(frozen=True, slots=True)
class AskOrder:
    """GET /data/order/{id} -> `told_order`."""

    venue_order_id: str


@dataclass(frozen=True, slots=True)
class Note:
    """Something to log: a message nobody could read, an order of the account that is not ours."""

    what: str


@dataclass(frozen=True, slots=True)
class Filled:
    """An order of money has got all it asked for, with fills that were told before anybody knew that it was all."""

    order_id: OrderId


UserAction = LinkAction | Emit | Filled | AskOrders | AskTrades | AskOrder | Note


@dataclass(slots=True)
class _Order:
    ticket: Ticket
    acked: bool = False
    ended: bool = False
    refused: bool = False
    """ended by an answer to us, not by news"""
    heard_lots: int = 0
    told_lots: int = 0
    final_lots: int | None = None
    whole: bool = False
    """with `final_lots` it has got all it asked for"""
    behind_ns: int = NEVER
    """since when it says it traded more than we heard of, or waits for its end"""
    due_ns: int = NEVER
    asked: int = 0


class UserSession:
    """`markets`: condition id -> market. `now_ns` is the local clock, everywhere the same."""

    def __init__(
        self, key: ApiKey, markets: Mapping[str, Market], link: LinkConfig = USER_LINK,
        jitter: Callable[[int], int] = lambda n: 0,
    ) -> None:  # fmt: skip
        self.link = Link(link, jitter)
        self._key = key
        self._markets = markets
        self._orders: dict[str, _Order] = {}
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._fills: dict[str, FillStatus] = {}
        self._settled: OrderedDict[str, None] = OrderedDict()
        self._unsettled: dict[str, int] = {}
        """fill -> when it was matched: its failure may be told while nobody listens, and trades are asked for by it"""
        self._news_ns = 0
        self._heard_ns = 0
        self.unread: dict[str, str] = {}
        """trades of own orders that cannot be read, and why: they are asked for until they can"""
        self._behind: dict[str, _Order] = {}

    @property
    def wake_ns(self) -> int:
        """When `tick` is due."""
        return min(self.link.wake_ns, min((order.due_ns for order in self._behind.values()), default=NEVER))

    # own orders

    def track(self, ticket: Ticket, fills: Iterable[Fill] = ()) -> None:
        """Know an order, before it is sent; `fills`: all that are booked of it, failed ones included, when it comes from a
        journal: later news of them is of their settlement alone. One that is known is sent again."""
        known = self._orders.get(ticket.venue_order_id)
        if known is not None:
            if known.refused:
                self._revive(known)
            return
        order = self._orders[ticket.venue_order_id] = _Order(ticket)
        for fill in fills:
            order.heard_lots += fill.lots
            self._fills[fill.id] = fill.status
            self._settle(fill)

    def answered(
        self, venue_order_id: str, now_ns: int, final_lots: int | None = None, whole: bool = False
    ) -> list[UserAction]:
        """The venue took the order and the engine has its answer: no ack is made of later news. `final_lots`: of a FOK or
        FAK order, the shares that were matched and all that ever will be; when their fills are heard, it is over: filled
        if it is for money and that is all spent (`whole`), or all its shares are bought; else gone."""
        order = self._orders.get(venue_order_id)
        if order is None:
            return []
        order.acked = True
        order.final_lots, order.whole = final_lots, whole
        if order.ended:
            return []
        if final_lots is None:
            self._await_end(order, now_ns)
            return []
        if order.heard_lots >= final_lots:
            if not whole:
                return self._gone(order, "nothing is left to trade", now_ns)
            self._end(order)
            return [Filled(order.ticket.order_id)]
        self._told(order, final_lots, now_ns)
        return []

    def refused(self, venue_order_id: str) -> None:
        """The venue refused the order, or it did not get there: news of it are late at best."""
        if venue_order_id in self._orders:
            self._orders[venue_order_id].refused = True
            self._end(self._orders[venue_order_id])

    def cancelled(self, venue_order_id: str, now_ns: int) -> list[UserAction]:
        """The venue answered that it cancelled the order, and the engine does not know yet."""
        order = self._orders.get(venue_order_id)
        return [] if order is None else self._gone(order, "CANCELED", now_ns)

    def knows(self, venue_order_id: str) -> bool:
        """Whether it is an own order that is open, or has ended not long ago."""
        return venue_order_id in self._orders

    @property
    def open_count(self) -> int:
        """Orders not ended, as far as is known here."""
        return len(self._orders) - len(self._ended)

    # the socket

    def start(self, now_ns: int) -> list[UserAction]:
        return list(self.link.start(now_ns))

    def stop(self) -> list[UserAction]:
        return list(self.link.stop())

    def opened(self, now_ns: int) -> list[UserAction]:
        """Subscribe; and ask for what may have been missed, also the first time: orders of an earlier run may trade."""
        self.link.opened(now_ns)
        secrets = self._key.subscription()
        auth = Credentials(secrets["apiKey"], secrets["secret"], secrets["passphrase"])
        frame = USER_SUBSCRIPTION.to_bytes(UserSubscription(auth, tuple(self._markets) or None))
        self._news_ns = self._news_ns or now_ns
        self._heard_ns = self._heard_ns or now_ns  # a socket that opens and says nothing is not heard
        since_ns = min([self._news_ns, *self._unsettled.values()])
        return [Send(frame), AskOrders(), AskTrades(_after_s(since_ns))]

    def closed(self, now_ns: int) -> list[UserAction]:
        self.link.closed(now_ns)
        return []

    def frame(self, frame: bytes, now_ns: int) -> list[UserAction]:
        """Take one frame as it came. Nothing in it raises: what cannot be read becomes a Note, and if it was a trade or an
        order, a question."""
        self._heard_ns = now_ns
        if not self.link.heard(frame, now_ns):
            return []
        try:
            messages = user_messages(frame)
        except InvalidResponse as error:
            return [Note(str(error)), AskOrders(), AskTrades(_after_s(self._news_ns))]
        actions: list[UserAction] = []
        for message in messages:
            actions += self._message(message, now_ns)
        self._news_ns = max(self._news_ns, now_ns)
        return actions

    def tick(self, now_ns: int) -> list[UserAction]:
        """What the clock says is to be done."""
        actions: list[UserAction] = list(self.link.tick(now_ns))
        late = [order for order in self._behind.values() if now_ns >= order.due_ns]
        if late:
            since_ns = min(order.behind_ns for order in late)
            actions.append(AskTrades(_after_s(since_ns)))
            for order in late:  # and again, as long as it is behind
                order.asked += 1
                order.due_ns = now_ns + (BEHIND_NS << min(order.asked, BEHIND_DOUBLED))
                if not order.ended:
                    actions.append(AskOrder(order.ticket.venue_order_id))
        return actions

    def quiet(self, now_ns: int) -> list[UserAction]:
        """What to ask when the channel has said nothing for QUIET_NS, up or down, and own orders are open."""
        if not self.open_count or now_ns < self._news_ns + QUIET_NS:
            return []
        return [AskOrders(), AskTrades(_after_s(self._news_ns))]

    def down_ns(self, now_ns: int) -> int:
        """For how long the channel has been down; 0 while it is not, or not for DOWN_NS."""
        silent_ns = now_ns - self._heard_ns
        return silent_ns if silent_ns >= DOWN_NS else 0

    # answers

    def told_trades(self, trades: Iterable[TradeRecord], now_ns: int) -> list[UserAction]:
        """Rows of GET /data/trades, in any order."""
        actions: list[UserAction] = []
        for trade in trades:
            try:
                actions += self._trade(trade, now_ns)
            except InvalidResponse as error:
                actions.append(Note(str(error)))
        return actions

    def told_orders(self, orders: Iterable[OpenOrder], now_ns: int) -> list[UserAction]:
        """All pages of GET /data/orders: every order alive. One of ours that is not there is asked for by its id, unless
        it may not have arrived yet."""
        rows = {row.id: row for row in orders}
        actions: list[UserAction] = []
        for row in rows.values():
            actions += self.told_order(row.id, row, now_ns)
        for name, order in self._orders.items():
            if name not in rows and order.acked and not order.ended:
                actions.append(AskOrder(name))
        return actions

    def told_order(self, venue_order_id: str, row: OpenOrder | None, now_ns: int) -> list[UserAction]:
        """Answer to GET /data/order/{id}. None (the venue does not know it) says nothing here: only the engine may conclude
        from it, with everything else it asks."""
        if row is None:
            return []
        order = self._orders.get(venue_order_id)
        if order is None:
            return [Note(f"order {venue_order_id} of the account was not placed here")]
        self._compare(order, row.size_matched, row.order_type, row.side, now_ns)
        if order.refused and order.ended and row.state == "LIVE":
            self._revive(order)
        actions = self._ack(order, now_ns)
        if row.state.startswith("CANCEL") or row.state == "INVALID":
            actions += self._gone(order, row.state, now_ns)
        elif row.state == "MATCHED" and not order.ended:
            actions += self._matched(order, row, now_ns)
        elif row.state not in ("LIVE", "DELAYED", "UNMATCHED", "MATCHED"):
            actions.append(Note(f"order {venue_order_id} has the unknown status {row.state[:40]!r}"))
        return actions

    def _matched(self, order: _Order, row: OpenOrder, now_ns: int) -> list[UserAction]:
        """The venue has nothing left of the order: it is over when the trades that it names have been told, and make up what
        it says it traded; until then they are asked for."""
        parts = [fill_id(trade_id, order.ticket.venue_order_id) for trade_id in row.associate_trades or ()]
        said = 0 if _in_money(row.order_type, row.side) else self._lots(order, row.size_matched)
        if parts and all(part in self._fills for part in parts) and order.heard_lots >= said:
            self._forget_behind(order)
            return self._gone(order, "nothing is left to trade", now_ns)
        self._wait(order, now_ns)
        return []

    # news

    def _message(self, message: UserOrder | UserTrade | Unread, now_ns: int) -> list[UserAction]:
        if isinstance(message, Unread):
            asks: list[UserAction] = [AskOrders(), AskTrades(_after_s(self._news_ns))]
            known = message.event_type in USER_EVENTS
            return [Note(f"{message.event_type or 'a message'}: {message.why}"), *(asks if known else ())]
        try:
            if isinstance(message, UserTrade):
                actions = self._trade(message.record, now_ns)
                if message.record.id in self.unread:
                    actions += [AskOrders(), AskTrades(_after_s(self._news_ns))]
                return actions
            return self._order_news(message, now_ns)
        except ExecError as error:
            return [Note(str(error)), AskOrders(), AskTrades(_after_s(self._news_ns))]

    def _order_news(self, news: UserOrder, now_ns: int) -> list[UserAction]:
        order = self._orders.get(news.id)
        if order is None:
            return [Note(f"order {news.id} of the account was not placed here")]
        self._compare(order, news.size_matched, news.order_type, news.side, now_ns)
        if news.type == "CANCELLATION":
            return self._gone(order, news.status or "CANCELED", ns_of(news.timestamp) or now_ns)
        actions = self._ack(order, ns_of(news.timestamp) or now_ns)
        if news.status == "MATCHED" and not order.ended:
            self._wait(order, now_ns)
        return actions

    def _ack(self, order: _Order, ts_ns: int) -> list[UserAction]:
        if order.acked or order.ended:
            return []
        order.acked = True
        ticket = order.ticket
        self._await_end(order, ts_ns)
        return [Emit(OrderAcked(ticket.order_id, ticket.venue_order_id, ts_ns))]

    def _gone(self, order: _Order, status: str, ts_ns: int) -> list[UserAction]:
        if order.ended:
            return []
        self._end(order)
        lapsed = status == "CANCELED_EXPIRED_ORDER"
        reason = status.removeprefix("CANCELED").lstrip("_") or "cancelled"
        return [Emit(OrderGone(order.ticket.order_id, reason, lapsed, ts_ns))]

    def _trade(self, trade: TradeRecord, now_ns: int) -> list[UserAction]:
        market = self._markets.get(trade.market)
        if market is None:
            return [Note(f"trade {trade.id} is of market {trade.market}, which is not traded here")]
        actions: list[UserAction] = []
        ours = {trade.taker_order_id, *(maker.order_id for maker in trade.maker_orders)}
        by_id = {order.ticket.order_id: order for name in ours if (order := self._orders.get(name)) is not None}
        try:
            fills = fills_of(trade, market, self._own)
        except InvalidResponse as error:
            if not by_id:
                raise
            self.unread[trade.id] = str(error)
            for order in by_id.values():
                self._wait(order, now_ns)
            return [Note(str(error))]
        self.unread.pop(trade.id, None)
        for fill in fills:
            before = self._fills.get(fill.id)
            if before is None:
                self._fills[fill.id] = fill.status
                actions += self._filled(by_id[fill.order_id], fill, now_ns)
            elif fill.status in SETTLING[before]:
                self._fills[fill.id] = fill.status
                actions.append(Emit(_settled(fill, ns_of(trade.last_update) or now_ns)))
            self._settle(fill)
        return actions if by_id else [Note(f"trade {trade.id} of the account has no order placed here")]

    def _filled(self, order: _Order, fill: Fill, now_ns: int) -> list[UserAction]:
        ticket = order.ticket
        order.heard_lots += fill.lots
        if order.told_lots <= order.heard_lots and not ticket.at_once:
            self._forget_behind(order)
        over = order.final_lots is not None and order.heard_lots >= order.final_lots
        done = over and order.whole if ticket.size_lots is None else order.heard_lots >= ticket.size_lots
        actions: list[UserAction] = [Emit(OrderFilled(fill, done, now_ns))]
        if done:
            self._end(order)
        elif over:
            actions += self._gone(order, "nothing is left to trade", now_ns)
        return actions

    def _compare(self, order: _Order, matched: MaybeAmount, order_type: str, side: Side, now_ns: int) -> None:
        """What the order says it traded, beside the fills heard. A FOK or FAK BUY may count pUSD: left out."""
        if not _in_money(order_type, side):
            self._told(order, self._lots(order, matched), now_ns)

    def _lots(self, order: _Order, amount: MaybeAmount) -> int:
        market = self._markets.get(order.ticket.market)
        return 0 if market is None or amount == "" else market.instrument.grid.lots(amount, Rounding.FLOOR)

    def _told(self, order: _Order, lots: int, now_ns: int) -> None:
        order.told_lots = max(order.told_lots, lots)
        if order.told_lots > order.heard_lots:
            self._wait(order, now_ns)

    def _await_end(self, order: _Order, now_ns: int) -> None:
        if order.ticket.at_once:
            self._wait(order, now_ns)

    def _wait(self, order: _Order, now_ns: int) -> None:
        if order.behind_ns == NEVER:
            order.behind_ns, order.due_ns, order.asked = now_ns, now_ns + BEHIND_NS, 0
            self._behind[order.ticket.venue_order_id] = order

    def _forget_behind(self, order: _Order) -> None:
        order.behind_ns = order.due_ns = NEVER
        self._behind.pop(order.ticket.venue_order_id, None)

    def _own(self, venue_order_id: str) -> OrderId | None:
        order = self._orders.get(venue_order_id)
        return None if order is None else order.ticket.order_id

    def _end(self, order: _Order) -> None:
        """Remember an ended order for late fills, for a while."""
        order.ended = True
        if order.told_lots <= order.heard_lots:
            self._forget_behind(order)
        self._ended[order.ticket.venue_order_id] = None
        while len(self._ended) > ENDED_MAX:
            name, _ = self._ended.popitem(last=False)
            del self._orders[name]
            self._behind.pop(name, None)

    def _revive(self, order: _Order) -> None:
        """It was taken for refused, and it lives, or is sent again."""
        order.ended = order.acked = order.refused = False
        self._ended.pop(order.ticket.venue_order_id, None)

    def _settle(self, fill: Fill) -> None:
        if SETTLING[self._fills[fill.id]]:
            self._unsettled.setdefault(fill.id, fill.ts_ns)
        else:
            self._unsettled.pop(fill.id, None)
            self._settled[fill.id] = None
            while len(self._settled) > ENDED_MAX:
                del self._fills[self._settled.popitem(last=False)[0]]


def _in_money(order_type: str, side: Side) -> bool:
    """Whether the sizes of such an order may count pUSD."""
    return order_type in ("FOK", "FAK") and side is Side.BUY


def _settled(fill: Fill, ts_ns: int) -> VenueEvent:
    if fill.status is FillStatus.VOIDED:
        return FillVoided(fill.id, fill.order_id, ts_ns)
    return FillSettled(fill.id, fill.order_id, fill.status, ts_ns)


def _after_s(since_ns: int) -> int:
    return max(0, since_ns - SLACK_NS) // NS_PER_S
