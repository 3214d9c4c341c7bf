"""The two WebSocket channels: what a client says to subscribe, and what comes back. Source: polymarket.md section 11.

A frame is the text PING or PONG, a JSON object, or an array of objects. Messages of a kind we do not know, or that we
cannot read, come out as `Unread`: a new event of the venue must not end a session.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic_core import from_json

from execsim.core.errors import InvalidResponse
from execsim.core.units import NS_PER_S
from execsim_polymarket.wire.account import Credentials
from execsim_polymarket.wire.markets import Level
from execsim_polymarket.wire.trading import MakerOrder, Names, TradeRecord
from execsim_polymarket.wire.values import VENUE, Amount, Codec, MaybeAmount, SideText, Text, ns_of

PING: Final = b"PING"
PONG: Final = b"PONG"


# what clients say


@dataclass(frozen=True, slots=True)
class MarketSubscription:
    """First message on /ws/market. The last two are optional; the venue takes True and 2 for them."""

    assets_ids: tuple[str, ...]
    custom_feature_enabled: bool = False
    initial_dump: bool | None = None
    level: int | None = None
    type: Literal["market"] = "market"


@dataclass(frozen=True, slots=True)
class UserSubscription:
    """First message on /ws/user. Without `markets` (condition ids): all."""

    auth: Credentials
    markets: tuple[str, ...] | None = None
    type: Literal["user"] = "user"


@dataclass(frozen=True, slots=True)
class SubscriptionChange:
    """Later messages on either channel: token ids on the market channel, condition ids on the user channel."""

    operation: Literal["subscribe", "unsubscribe"]
    assets_ids: tuple[str, ...] | None = None
    markets: tuple[str, ...] | None = None
    custom_feature_enabled: bool | None = None


# the market channel


@dataclass(frozen=True, slots=True)
class BookMessage:
    """The whole book of one token, after subscribing and after trades."""

    market: str
    asset_id: str
    timestamp: str
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    hash: str | None = None
    tick_size: str | None = None
    last_trade_price: str | None = None
    min_order_size: str | None = None
    neg_risk: bool | None = None
    event_type: Literal["book"] = "book"


@dataclass(frozen=True, slots=True)
class PriceChange:
    """A level's new total; "0": it is gone. `hash` is that of the book after it."""

    asset_id: str
    price: str
    size: str
    side: SideText
    hash: Text = ""
    best_bid: str | None = None
    best_ask: str | None = None


@dataclass(frozen=True, slots=True)
class PriceChanges:
    """Changes of levels; each stands there for both tokens."""

    market: str
    timestamp: str
    price_changes: tuple[PriceChange, ...]
    event_type: Literal["price_change"] = "price_change"


@dataclass(frozen=True, slots=True)
class LastTradePrice:
    """A trade; `side` is the taker's."""

    market: str
    asset_id: str
    price: str
    size: str
    side: SideText
    timestamp: str
    fee_rate_bps: Text = ""
    transaction_hash: str | None = None
    event_type: Literal["last_trade_price"] = "last_trade_price"


@dataclass(frozen=True, slots=True)
class TickSizeChange:
    """The market's tick became finer."""

    market: str
    asset_id: str
    old_tick_size: str
    new_tick_size: str
    timestamp: str
    event_type: Literal["tick_size_change"] = "tick_size_change"


@dataclass(frozen=True, slots=True)
class BestBidAsk:
    """The touch (custom feature)."""

    market: str
    asset_id: str
    best_bid: str
    best_ask: str
    spread: Text
    timestamp: str
    event_type: Literal["best_bid_ask"] = "best_bid_ask"


@dataclass(frozen=True, slots=True)
class NewMarket:
    """A market has opened (custom feature, sent to everybody)."""

    id: str
    market: str
    question: Text
    slug: Text
    assets_ids: tuple[str, ...]
    outcomes: tuple[str, ...]
    timestamp: Text = ""
    description: str | None = None
    event_message: dict[str, Any] | None = None
    tags: tuple[str, ...] | None = None
    condition_id: str | None = None
    active: bool | None = None
    clob_token_ids: tuple[str, ...] | None = None
    order_price_min_tick_size: str | None = None
    fee_schedule: dict[str, Any] | None = None
    event_type: Literal["new_market"] = "new_market"


@dataclass(frozen=True, slots=True)
class MarketResolved:
    """A market has resolved (custom feature)."""

    id: str
    market: str
    assets_ids: tuple[str, ...]
    winning_asset_id: str
    winning_outcome: Text
    timestamp: str
    tags: tuple[str, ...] | None = None
    event_type: Literal["market_resolved"] = "market_resolved"


# the user channel


@dataclass(frozen=True, slots=True)
class UserOrder:
    """News of an own order. Of a FOK or FAK BUY `original_size` is pUSD; a killed one has `size_matched` "".

    `status`: LIVE, MATCHED, DELAYED, UNMATCHED, CANCELED, CANCELED_<why>, INVALID (also for cancels by the venue), or
    CANCELED_ and a sentence."""

    id: str
    market: str
    asset_id: str
    side: SideText
    price: Amount
    original_size: MaybeAmount
    size_matched: MaybeAmount
    type: Literal["PLACEMENT", "UPDATE", "CANCELLATION"]
    timestamp: Text = ""
    owner: Text = ""
    order_owner: Text = ""
    outcome: Text = ""
    order_type: Text = ""
    status: Text = ""
    maker_address: Text = ""
    created_at: Text = ""
    expiration: Text = ""
    associate_trades: Names | None = None
    event_type: Literal["order"] = "order"


TOLD_NS: Final = 5 * NS_PER_S
"""How soon after its second a trade is told for its message to say more of when it was."""


@dataclass(frozen=True, slots=True)
class UserTrade:
    """News of a trade in which an own order took part; the same id comes again as its status advances."""

    id: str
    taker_order_id: str
    market: str
    asset_id: str
    side: SideText
    size: Amount
    price: Amount
    status: str
    owner: Text = ""
    trade_owner: Text = ""
    maker_address: Text = ""
    outcome: Text = ""
    match_time: Text = ""
    last_update: Text = ""
    timestamp: Text = ""
    transaction_hash: Text = ""
    bucket_index: int | None = None
    trader_side: str | None = None
    fee_rate_bps: Text = ""
    maker_orders: tuple[MakerOrder, ...] = ()
    type: Literal["TRADE"] = "TRADE"
    event_type: Literal["trade"] = "trade"

    @property
    def record(self) -> TradeRecord:
        """The same trade in the words of REST, its time as fine as it can be told."""
        return TradeRecord(
            self.id, self.taker_order_id, self.market, self.asset_id, self.side, self.size, self.fee_rate_bps, self.price,
            self.status, self.match_time or self.timestamp, self.last_update, self.outcome, self.bucket_index or 0,
            self.owner, self.maker_address, self.transaction_hash, self.maker_orders, self.trader_side, self._nano(),
        )  # fmt: skip

    def _nano(self) -> str:
        """The channel says in which second a trade was matched, and to the ms when it told of it first, soon after."""
        if self.status != "MATCHED" or not (self.match_time.isdecimal() and self.timestamp.isdecimal()):
            return ""
        matched_ns, told_ns = ns_of(self.match_time), ns_of(self.timestamp)
        if not 0 <= told_ns - matched_ns < TOLD_NS:
            return ""
        return str(min(told_ns, matched_ns + NS_PER_S - 1))


@dataclass(frozen=True, slots=True)
class Unread:
    """A message nobody understood: its kind, why, and the object."""

    event_type: str
    why: str
    value: Any = None


MarketMessage = BookMessage | PriceChanges | LastTradePrice | TickSizeChange | BestBidAsk | NewMarket | MarketResolved
UserMessage = UserOrder | UserTrade

MARKET_SUBSCRIPTION: Final = Codec[MarketSubscription](MarketSubscription)
USER_SUBSCRIPTION: Final = Codec[UserSubscription](UserSubscription)
SUBSCRIPTION_CHANGE: Final = Codec[SubscriptionChange](SubscriptionChange)

MARKET_EVENTS: Final[dict[str, Codec[Any]]] = {
    "book": Codec(BookMessage),
    "price_change": Codec(PriceChanges),
    "last_trade_price": Codec(LastTradePrice),
    "tick_size_change": Codec(TickSizeChange),
    "best_bid_ask": Codec(BestBidAsk),
    "new_market": Codec(NewMarket),
    "market_resolved": Codec(MarketResolved),
}
USER_EVENTS: Final[dict[str, Codec[Any]]] = {"order": Codec(UserOrder), "trade": Codec(UserTrade)}


def market_messages(frame: bytes) -> list[MarketMessage | Unread]:
    """Every message of a frame of the market channel. Errors: InvalidResponse when it is not JSON at all."""
    return _messages(frame, MARKET_EVENTS)


def user_messages(frame: bytes) -> list[UserMessage | Unread]:
    """Every message of a frame of the user channel. Errors: as above."""
    return _messages(frame, USER_EVENTS)


def _messages(frame: bytes, events: dict[str, Codec[Any]]) -> list[Any]:
    try:
        value = from_json(frame)
    except ValueError as error:
        raise InvalidResponse(VENUE, "unreadable", f"a frame is not JSON: {error}") from None
    return [_message(item, events) for item in (value if isinstance(value, list) else [value])]


def _message(value: Any, events: dict[str, Codec[Any]]) -> Any:
    kind = str(value.get("event_type", "")) if isinstance(value, dict) else ""
    if kind not in events:
        return Unread(kind, "an unknown kind of message", value)
    try:
        return events[kind].from_object(value)
    except InvalidResponse as error:
        return Unread(kind, str(error.args[2]), value)


def to_frame(*messages: MarketMessage | UserMessage) -> bytes:
    """One message as an object, several as an array: as the venue sends them."""
    texts = [(MARKET_EVENTS | USER_EVENTS)[message.event_type].to_bytes(message) for message in messages]
    return texts[0] if len(texts) == 1 else b"[" + b",".join(texts) + b"]"
