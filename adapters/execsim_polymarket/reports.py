"""What the venue says of an order, in the engine's words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from execsim.core.errors import InvalidResponse
from execsim.core.order import (
    Fill,
    FillStatus,
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
from execsim.core.units import NS_PER_S, Rounding
from execsim_polymarket.amounts import SIZE_STEP, UNIT
from execsim_polymarket.listing import Listed
from execsim_polymarket.wire.trading import OpenOrder, OrderAnswer, PostOrder, TradeRecord
from execsim_polymarket.wire.values import VENUE, amount

ALIVE: Final = frozenset({"LIVE", "DELAYED", "UNMATCHED"})
EXPIRED: Final = "CANCELED_EXPIRED_ORDER"

_TIFS: Final = {
    "GTC": TimeInForce.GTC, "GTD": TimeInForce.GTD, "FAK": TimeInForce.IOC, "FOK": TimeInForce.FOK,
}  # fmt: skip


def status_of(row: OpenOrder) -> OrderStatus:
    """CANCELED_<why> and INVALID are cancels by the venue. Errors: InvalidResponse for a word nobody knows: it may live."""
    if row.state in ALIVE:
        return OrderStatus.WORKING
    if row.state == "MATCHED":
        return OrderStatus.FILLED
    if row.state.startswith("CANCEL") or row.state == "INVALID":
        return OrderStatus.EXPIRED if row.state == EXPIRED else OrderStatus.CANCELLED
    raise InvalidResponse(VENUE, "unreadable", f"order {row.id[:80]} has the unknown status {row.status[:40]!r}")


def report_of(
    row: OpenOrder, order_id: OrderId, item: Listed, now_ns: int, fills: tuple[Fill, ...] = ()
) -> OrderReport:
    """`fills`: those of the order's trades, as far as they were asked for. What failed on chain counts as never matched, and
    an order that was matched before is then no filled one.

    Errors: InvalidResponse, ValidationError for numbers off the grid or a foreign token."""
    grid = item.instrument.grid
    status, outcome = status_of(row), item.market.outcome(row.asset_id)
    money = row.order_type in ("FOK", "FAK") and row.side is Side.BUY  # its sizes count pUSD
    size = grid.lots(amount(row.original_size), Rounding.FLOOR)
    told = sum(fill.lots for fill in fills)
    stand = sum(fill.lots for fill in fills if fill.status is not FillStatus.VOIDED)
    said = told if money else grid.lots(amount(row.size_matched), Rounding.FLOOR)
    matched = stand + max(0, said - told) if fills else said
    if status is OrderStatus.FILLED and stand < told:
        status = OrderStatus.CANCELLED
    tif = _TIFS.get(row.order_type.upper(), TimeInForce.GTC)
    expire_s = int(row.expiration) if row.expiration.isdecimal() else 0
    terms = OrderTerms(
        MarketId(item.name), row.side, outcome, OrderType.LIMIT, tif, grid.price_i(row.price, Rounding.HALF_UP),
        None if money else size, item.instrument.quote.amount(row.original_size, Rounding.FLOOR) if money else None,
        expire_s * NS_PER_S or None,
    )  # fmt: skip
    left = 0 if money else max(0, size - matched)
    return OrderReport(order_id, row.id, status, matched, left, now_ns, fills, terms)


def own_of(trade: TradeRecord, funder: str, known: Mapping[str, OrderId]) -> Callable[[str], OrderId | None]:
    """Which orders of a trade are the account's: those placed here by their ids, others by the wallet, as their hashes."""
    ours = {maker.order_id for maker in trade.maker_orders if maker.maker_address.lower() == funder.lower()}
    if trade.trader_side == "TAKER":
        ours.add(trade.taker_order_id)
    return lambda name: known.get(name) or (OrderId(name) if name in ours else None)


def final_lots(order: Order, post: PostOrder, answer: OrderAnswer) -> int | None:
    """Of a FOK or FAK order that was matched: the shares it got, which are all it will ever get. None for others."""
    if not post.immediate or answer.status != "matched":
        return None
    got = answer.taking_amount if order.side is Side.BUY else answer.making_amount
    if got == "":
        return None
    return order.instrument.grid.lots(got, Rounding.FLOOR)


def is_whole(order: Order, answer: OrderAnswer) -> bool:
    """Whether a BUY of shares got all of them at once."""
    got = answer.taking_amount
    lots = 0 if got == "" else order.instrument.grid.lots(got, Rounding.FLOOR)
    return answer.status == "matched" and lots >= (order.size_lots or 0)


def is_spent(post: PostOrder, answer: OrderAnswer) -> bool:
    """Whether a FOK or FAK BUY spent all its pUSD, but for less than the venue's smallest size costs."""
    if not post.immediate or post.order.side is not Side.BUY or answer.making_amount == "":
        return False
    return post.order.maker_amount - int(answer.making_amount * UNIT) < SIZE_STEP
