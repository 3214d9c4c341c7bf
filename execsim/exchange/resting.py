"""An order as the venue holds it: its own copy of the numbers, not the trader's object."""

from __future__ import annotations

from dataclasses import dataclass, field

from execsim.core.instrument import Instrument, Outcome
from execsim.core.order import (
    Fill,
    MarketId,
    Order,
    OrderId,
    OrderReport,
    OrderStatus,
    OrderTerms,
    OrderType,
    Side,
    TimeInForce,
)
from execsim.ports import Timer

OrderKey = tuple[str, OrderId]
"""(account, id): traders name their orders, and two of them may choose the same name."""


@dataclass(slots=True)
class VenueOrder:
    """`price_i` and cash are in the traded outcome; `side_sign` and `book_price_i` on the canonical book.

    `slot` is the kernel's number while it rests on a tape. `reserved` is what it still claims of `reserved_asset`.
    `hold_price_i`: the claim is made at this price instead of its own, so that it may move up to it without new money.
    `voided_lots` were filled and failed on chain: they are gone from the order, not traded again.
    """

    account: str
    id: OrderId
    venue_order_id: str
    market: int
    instrument: Instrument
    side: Side
    outcome: Outcome
    type: OrderType
    tif: TimeInForce
    price_i: int | None
    size_lots: int | None
    quote_amount: int | None
    expire_ns: int | None
    left_lots: int = 0
    left_quote: int = 0
    filled_lots: int = 0
    voided_lots: int = 0
    hold_price_i: int | None = None
    delayed: bool = False
    """waits out the venue's delay for orders that take: booked nowhere yet, and not to be cancelled"""
    slot: int | None = None
    reserved_asset: str = ""
    reserved: int = 0
    status: OrderStatus = OrderStatus.WORKING
    booked_ns: int = 0
    timer: Timer | None = None
    fills: list[Fill] = field(default_factory=list)
    watch_lots: int = 0
    """its owner wants to hear when its queue position has moved by so much (0: no)"""
    noted_lots: int = 0

    @classmethod
    def of(cls, order: Order, account: str, market: int, venue_order_id: str) -> VenueOrder:
        """A copy of what the trader sent, as it was when it was sent."""
        return cls(
            account, order.id, venue_order_id, market, order.instrument, order.side, order.outcome, order.type, order.tif,
            order.price_i, order.size_lots, order.quote_amount, order.expire_ns,
            left_lots=order.size_lots or 0, left_quote=order.quote_amount or 0,
        )  # fmt: skip

    @property
    def key(self) -> OrderKey:
        return (self.account, self.id)

    @property
    def side_sign(self) -> int:
        """+1 if it buys YES on the canonical book (buying NO sells YES)."""
        return self.side.sign if self.outcome is Outcome.YES else -self.side.sign

    @property
    def book_price_i(self) -> int | None:
        return None if self.price_i is None else self.instrument.canonical_i(self.price_i, self.outcome)

    def outcome_price_i(self, book_price_i: int) -> int:
        """A price of the canonical book in terms of the traded outcome (the mapping is its own inverse)."""
        return self.instrument.canonical_i(book_price_i, self.outcome)

    @property
    def pays(self) -> str:
        """The asset it spends: the quote when buying, the traded token when selling."""
        inst = self.instrument
        return inst.quote.name if self.side is Side.BUY else inst.asset_of(self.outcome).name

    @property
    def is_immediate(self) -> bool:
        """Whether it never rests: market, IOC and FOK orders."""
        return self.type is OrderType.MARKET or self.tif in (TimeInForce.IOC, TimeInForce.FOK)

    @property
    def is_open(self) -> bool:
        return not self.status.is_terminal

    def report(self, now_ns: int) -> OrderReport:
        terms = OrderTerms(
            MarketId(self.instrument.market), self.side, self.outcome, self.type, self.tif, self.price_i, self.size_lots,
            self.quote_amount, self.expire_ns,
        )  # fmt: skip
        return OrderReport(
            self.id,
            self.venue_order_id,
            self.status,
            self.filled_lots,
            self.left_lots,
            now_ns,
            tuple(self.fills),
            terms,
        )
