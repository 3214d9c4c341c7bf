"""An order of the engine as the venue wants it: kind, amounts, signature, and the ticket by which its news are recognised.

    LIMIT, POST_ONLY         GTC or GTD: shares are the target
    IOC, FOK, MARKET  SELL   FAK or FOK: shares are the target
    IOC, FOK, MARKET  BUY    of `quote_amount`: FAK or FOK, which spend that many pUSD
    IOC, MARKET  BUY         of shares: GTC, and what does not trade at once is cancelled (`rest_is_cancelled`)
    FOK  BUY                 of shares: refused here

A FAK or FOK BUY has no number of shares: the venue spends its pUSD, and below its price gives more shares than were asked
for (nautilus_trader issue 3221): ten times as many where the ask is a tenth of the worst price. Who asks for 10 shares never
gets more here. A GTC order may trade in part, so nothing is left that a FOK of shares could be sent as.

A MARKET order without a price may trade up to the last tick. GTD: `expire_ns` is the time the venue is told, and it drops
the order 60 s earlier. Source: polymarket.md sections 4, 5.1, 7.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from execsim.core.errors import ValidationError
from execsim.core.order import Order, OrderType, Side, TimeInForce
from execsim.core.units import NS_PER_S
from execsim_polymarket.amounts import PRICE_ONE, Amounts, limit_amounts, sent_amounts
from execsim_polymarket.fills import Market
from execsim_polymarket.session import Ticket
from execsim_polymarket.sign import Account, SignedOrder
from execsim_polymarket.wire.trading import OrderKind, OrderMessage, PostOrder

_KINDS: Final[dict[TimeInForce, OrderKind]] = {
    TimeInForce.GTC: "GTC",
    TimeInForce.GTD: "GTD",
    TimeInForce.IOC: "FAK",
    TimeInForce.FOK: "FOK",
}


@dataclass(frozen=True, slots=True)
class Terms:
    """What the venue said of a market when it was last asked: its tick (0.0001s) and which exchange settles it."""

    tick_i: int
    neg_risk: bool


class Entry(NamedTuple):
    """What to send, what it will be called, and how its news are recognised."""

    post: PostOrder
    signed: SignedOrder
    ticket: Ticket


def kind_of(order: Order) -> OrderKind:
    """What it is sent as. A MARKET order that says GTC is a FAK: it never rests."""
    kind = _at_once(order)
    return "GTC" if kind == "FAK" and _buys_shares(order) else kind


def rest_is_cancelled(order: Order) -> bool:
    """Whether it is sent as a GTC order whose rest must be cancelled as soon as the venue has it."""
    return _at_once(order) == "FAK" and _buys_shares(order)


def _at_once(order: Order) -> OrderKind:
    kind = _KINDS[order.tif]
    return "FAK" if order.type is OrderType.MARKET and kind in ("GTC", "GTD") else kind


def _buys_shares(order: Order) -> bool:
    return order.side is Side.BUY and order.quote_amount is None


def amounts_of(order: Order, tick_i: int) -> Amounts:
    """The integers to sign. Errors: ValidationError naming the rule."""
    kind = kind_of(order)
    if kind in ("GTC", "GTD"):
        if order.price_i is None and rest_is_cancelled(order):
            what = "a market BUY of so many shares needs a price: the venue spends pUSD"
            raise ValidationError("market_buy", what, "give a worst price, or quote_amount")
        if order.size_lots is None or order.price_i is None:
            raise ValidationError("limit", "a resting order needs a size in shares and a price")
        return limit_amounts(order.side, order.price_i, order.size_lots, tick_i)
    price_i = order.price_i
    if price_i is None:
        price_i = PRICE_ONE - tick_i if order.side is Side.BUY else tick_i
    if order.side is Side.SELL:
        if order.size_lots is None:
            raise ValidationError("quote_amount", "Polymarket sells shares, not an amount of pUSD", "give a size")
        return sent_amounts(order.side, price_i, order.size_lots, tick_i)
    if order.quote_amount is None:
        what = "a FOK BUY spends pUSD: it could bring more shares than were asked for"
        raise ValidationError("fok_buy", what, "give quote_amount, or make it IOC")
    return sent_amounts(order.side, price_i, order.quote_amount, tick_i)


def compose(
    order: Order, market: Market, terms: Terms, account: Account, *, owner: str, salt: int, now_ns: int
) -> Entry:
    """Build and sign. `owner` is the API key, `salt` in [0, 2**53), `now_ns` goes into the order as its time.

    Errors: ValidationError naming the rule the venue would refuse it by."""
    kind, amounts = kind_of(order), amounts_of(order, terms.tick_i)
    if kind == "GTD" and order.expire_ns is None:
        raise ValidationError("expire", "a GTD order needs a time")
    if order.type is OrderType.POST_ONLY and order.tif not in (TimeInForce.GTC, TimeInForce.GTD):
        raise ValidationError("post_only", f"a post-only order cannot be {order.tif.value}")
    signed = account.order(
        side=order.side, token_id=int(market.token(order.outcome)), maker_amount=amounts.maker,
        taker_amount=amounts.taker, salt=salt, timestamp_ms=now_ns // 1_000_000, neg_risk=terms.neg_risk,
    )  # fmt: skip
    expiration_s = order.expire_ns // NS_PER_S if kind == "GTD" and order.expire_ns is not None else 0
    post = PostOrder(
        OrderMessage.of(signed, expiration_s), owner, kind, post_only=order.type is OrderType.POST_ONLY
    )  # fmt: skip
    resting = kind in ("GTC", "GTD") or order.side is Side.SELL
    shares = (amounts.maker if order.side is Side.SELL else amounts.taker) if resting else None
    return Entry(post, signed, Ticket(order.id, signed.order_id_hex, order.market, shares, kind in ("FAK", "FOK")))
