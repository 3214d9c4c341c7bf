"""What a venue tells the engine, and what the engine tells strategies. Plain frozen values, one class per fact."""

from __future__ import annotations

from dataclasses import dataclass

from execsim.core.errors import ExecError
from execsim.core.instrument import Outcome
from execsim.core.lifecycle import OrderEvent
from execsim.core.order import Fill, FillStatus, MarketId, Order, OrderId, OrderStatus, Side


@dataclass(frozen=True, slots=True)
class OrderAcked:
    """The venue booked the order under `venue_order_id`."""

    order_id: OrderId
    venue_order_id: str
    ts_ns: int


@dataclass(frozen=True, slots=True)
class OrderRefused:
    """The venue refused the order; it never rested."""

    order_id: OrderId
    error: ExecError
    ts_ns: int


@dataclass(frozen=True, slots=True)
class OrderFilled:
    """A fill; `done` when nothing is left of the order."""

    fill: Fill
    done: bool
    ts_ns: int


@dataclass(frozen=True, slots=True)
class OrderGone:
    """The order left the book unfilled or partly filled: cancelled (`lapsed` False) or expired (True)."""

    order_id: OrderId
    reason: str
    lapsed: bool
    ts_ns: int


@dataclass(frozen=True, slots=True)
class CancelRefused:
    """The venue refused a cancel or amend: the order is as it was."""

    order_id: OrderId
    reason: str
    ts_ns: int


@dataclass(frozen=True, slots=True)
class OrderAmended:
    """The venue changed price or size in place."""

    order_id: OrderId
    price_i: int | None
    size_lots: int | None
    ts_ns: int


@dataclass(frozen=True, slots=True)
class FillVoided:
    """A fill reported earlier failed (on chain) and must be undone."""

    fill_id: str
    order_id: OrderId
    ts_ns: int


@dataclass(frozen=True, slots=True)
class FillSettled:
    """A fill reported earlier reached the next stage of its settlement: MINED or CONFIRMED."""

    fill_id: str
    order_id: OrderId
    status: FillStatus
    ts_ns: int


@dataclass(frozen=True, slots=True)
class QueueMoved:
    """Others' lots ahead of a resting order went from `before_lots` to `ahead_lots` (simulated venues only: a real one
    does not say)."""

    order_id: OrderId
    before_lots: int
    ahead_lots: int
    ts_ns: int


@dataclass(frozen=True, slots=True)
class MarketClosed:
    """The market takes no more orders; `proposed_i` is the payoff (YES, in price units) that is proposed but not paid."""

    market: MarketId
    proposed_i: int
    ts_ns: int


@dataclass(frozen=True, slots=True)
class MarketResolved:
    """The market's payoff is final: a YES share is worth `payoff_i`, a NO share 1 - payoff, in price units. `paid`: the
    tokens have become cash; else they wait to be redeemed."""

    market: MarketId
    payoff_i: int
    ts_ns: int
    paid: bool = True


@dataclass(frozen=True, slots=True)
class TickChanged:
    """The market's tick (in price units) is now `tick_i`."""

    market: MarketId
    tick_i: int
    ts_ns: int


VenueEvent = (
    OrderAcked
    | OrderRefused
    | OrderFilled
    | OrderGone
    | CancelRefused
    | OrderAmended
    | FillVoided
    | FillSettled
    | QueueMoved
    | MarketClosed
    | MarketResolved
    | TickChanged
)


@dataclass(frozen=True, slots=True)
class OrderUpdate:
    """Engine to strategy: `order` went `before` -> `after` because of `event`. `order` is live, not a copy."""

    order: Order
    event: OrderEvent
    before: OrderStatus
    after: OrderStatus
    ts_ns: int
    fill: Fill | None = None
    error: ExecError | None = None


@dataclass(frozen=True, slots=True)
class Top:
    """Best bid and ask of the canonical book as the strategy sees it at `ts_ns`; an empty side is None and 0 lots."""

    market: MarketId
    ts_ns: int
    bid_i: int | None
    bid_lots: int
    ask_i: int | None
    ask_lots: int

    @property
    def two_sided(self) -> bool:
        return self.bid_i is not None and self.ask_i is not None


@dataclass(frozen=True, slots=True)
class Trade:
    """A print of the market. `aggressor` None when the recording does not say; price on the canonical book."""

    market: MarketId
    ts_ns: int
    price_i: int
    lots: int
    aggressor: Side | None
    outcome: Outcome
    inferred: bool


@dataclass(frozen=True, slots=True)
class Depth:
    """The canonical book as the strategy sees it: ((price_i, lots), ...) best first."""

    market: MarketId
    ts_ns: int
    bids: tuple[tuple[int, int], ...]
    asks: tuple[tuple[int, int], ...]
