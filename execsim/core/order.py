"""The order vocabulary: names of the field, integers inside."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import NewType

from execsim.core.fees import Liquidity
from execsim.core.instrument import Instrument, Outcome

OrderId = NewType("OrderId", str)
VenueId = NewType("VenueId", str)
MarketId = NewType("MarketId", str)
FillId = NewType("FillId", str)


class Side(StrEnum):
    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        return 1 if self is Side.BUY else -1

    @property
    def other(self) -> Side:
        return Side.SELL if self is Side.BUY else Side.BUY


class OrderType(StrEnum):
    LIMIT = "limit"
    MARKET = "market"
    POST_ONLY = "post_only"


class TimeInForce(StrEnum):
    GTC = "gtc"
    GTD = "gtd"
    IOC = "ioc"
    FOK = "fok"


class OrderStatus(StrEnum):
    PENDING = "pending"
    SUBMITTING = "submitting"
    WORKING = "working"
    CANCELLING = "cancelling"
    UNKNOWN = "unknown"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    EXPIRED = "expired"

    @property
    def is_terminal(self) -> bool:
        return self in TERMINAL


TERMINAL = frozenset({OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.REJECTED, OrderStatus.EXPIRED})


class Cause(StrEnum):
    """Why the simulated exchange filled an order."""

    TAKER_WALK = "taker_walk"
    QUEUE_DRAINED = "queue_drained"
    TRADE_THROUGH = "trade_through"
    CROSSED_BOOK = "crossed_book"
    REPORTED = "reported"
    """A real venue said so; no model was involved."""


class MatchKind(StrEnum):
    """How a match of a binary market settles; a spot match is always a swap. Source: polymarket.md section 8."""

    SWAP = "swap"
    """tokens of one outcome against cash"""
    MINT = "mint"
    """a YES buyer meets a NO buyer: their money becomes a full set, each gets a token"""
    MERGE = "merge"
    """a YES seller meets a NO seller: a full set becomes the money both get"""


class Evidence(StrEnum):
    """What a fill rests on: the kind of tape row, or another order of the same run."""

    RECORDED = "recorded"
    INFERRED = "inferred"
    MATCHED = "matched"
    """Somebody stood on the other side (agents): nothing was modelled."""


@dataclass(slots=True)
class Order:
    """One order, from intent to its end.

    Exactly one of `size_lots` and `quote_amount` (units of the quote asset) is set at creation. `price_i` is in the
    price of the traded `outcome` (a NO order at 0.48 says 4800), None for a market order without a worst price.
    `filled_cash` is the exact money that changed hands, without fees (`fees_paid`); all money in quote units.
    `voided_lots` were filled and failed on chain: not filled, and not traded again either.
    """

    id: OrderId
    instrument: Instrument
    side: Side
    type: OrderType
    tif: TimeInForce = TimeInForce.GTC
    size_lots: int | None = None
    quote_amount: int | None = None
    price_i: int | None = None
    outcome: Outcome = Outcome.YES
    expire_ns: int | None = None
    created_ns: int = 0
    updated_ns: int = 0
    status: OrderStatus = OrderStatus.PENDING
    venue_order_id: str | None = None
    filled_lots: int = 0
    filled_cash: int = 0
    fees_paid: int = 0
    reason: str = ""
    tag: str = ""
    voided_lots: int = 0
    replaces: OrderId | None = None
    """the order this one was placed for, where the venue cannot change one in place"""
    replaced_by: OrderId | None = None

    @property
    def market(self) -> MarketId:
        return MarketId(self.instrument.market)

    @property
    def venue(self) -> VenueId:
        return VenueId(self.instrument.venue)

    @property
    def remaining_lots(self) -> int:
        """Lots still wanted; 0 for a quote-amount order (its target is money, see `remaining_quote`)."""
        return 0 if self.size_lots is None else max(0, self.size_lots - self.filled_lots - self.voided_lots)

    @property
    def remaining_quote(self) -> int:
        return 0 if self.quote_amount is None else max(0, self.quote_amount - self.filled_cash)

    @property
    def remaining_size(self) -> Decimal:
        return self.instrument.grid.size(self.remaining_lots)

    @property
    def size(self) -> Decimal | None:
        return None if self.size_lots is None else self.instrument.grid.size(self.size_lots)

    @property
    def price(self) -> Decimal | None:
        return None if self.price_i is None else self.instrument.grid.price(self.price_i)

    @property
    def avg_fill_price(self) -> Decimal | None:
        if not self.filled_lots:
            return None
        grid = self.instrument.grid
        return self.instrument.quote.decimal(self.filled_cash) / grid.size(self.filled_lots)

    @property
    def is_active(self) -> bool:
        return self.status not in TERMINAL

    @property
    def is_terminal(self) -> bool:
        return self.status in TERMINAL

    @property
    def book_side(self) -> Side:
        """Side on the canonical book: buying NO is selling YES."""
        return self.side if self.outcome is Outcome.YES else self.side.other

    @property
    def book_price_i(self) -> int | None:
        """Price on the canonical book: NO at p is YES at 1 - p."""
        return None if self.price_i is None else self.instrument.canonical_i(self.price_i, self.outcome)

    @property
    def is_immediate(self) -> bool:
        """Whether it never rests: market, IOC and FOK orders."""
        return self.type is OrderType.MARKET or self.tif in (TimeInForce.IOC, TimeInForce.FOK)

    @property
    def signed_remaining_lots(self) -> int:
        """What is left, signed by its effect on the net YES position."""
        return self.book_side.sign * self.remaining_lots


class FillStatus(StrEnum):
    """A fill is PROVISIONAL until the venue calls it final; VOIDED when it failed on chain. MINED: in a block, not final
    yet, but what it gave can be used."""

    PROVISIONAL = "provisional"
    MINED = "mined"
    CONFIRMED = "confirmed"
    VOIDED = "voided"


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution. `cash` > 0 is money received, < 0 paid, in quote units, without `fee` (also quote units).

    `price_i` is in the price of the traded outcome. `row_seq` is the tape row that is the evidence (the number of the
    match, where it was MATCHED), None where a real venue reported the fill.
    """

    id: FillId
    order_id: OrderId
    ts_ns: int
    side: Side
    outcome: Outcome
    price_i: int
    lots: int
    cash: int
    fee: int
    liquidity: Liquidity
    cause: Cause = Cause.REPORTED
    evidence: Evidence = Evidence.RECORDED
    row_seq: int | None = None
    status: FillStatus = FillStatus.CONFIRMED
    match: MatchKind = MatchKind.SWAP


@dataclass(frozen=True, slots=True)
class OrderAck:
    """The venue has the order. `ts_ns` is when the venue booked it, `venue_order_id` its name there."""

    order_id: OrderId
    venue_order_id: str
    ts_ns: int
    status: OrderStatus = OrderStatus.WORKING


@dataclass(frozen=True, slots=True)
class CancelAck:
    """The venue answered a cancel: `cancelled` False means it was already gone (`reason` says how)."""

    order_id: OrderId
    cancelled: bool
    ts_ns: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class OrderTerms:
    """What an order asks for, in the words of `Order`."""

    market: MarketId
    side: Side
    outcome: Outcome
    type: OrderType
    tif: TimeInForce
    price_i: int | None
    size_lots: int | None
    quote_amount: int | None = None
    expire_ns: int | None = None


@dataclass(frozen=True, slots=True)
class OrderReport:
    """What a venue says of one order when asked (get_order_status, get_open_orders).

    `terms` is what was ordered: what an order that is not known here is adopted from; None where the venue does not say.
    """

    order_id: OrderId
    venue_order_id: str
    status: OrderStatus
    filled_lots: int
    remaining_lots: int
    ts_ns: int
    fills: tuple[Fill, ...] = field(default=())
    terms: OrderTerms | None = None
