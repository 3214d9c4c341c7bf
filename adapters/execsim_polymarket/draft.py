"""An order of the engine as it leaves the adapter: everything but the signature, and its id.

The engine's OrderId and the venue's order id (the EIP-712 hash) belong together by computation: the salt is made of the
OrderId, the signed time is the order's `created_ns`, and everything else that is signed stands in the engine's order. So
the hash

- is known before anything is sent: an order whose answer is lost is asked for by it;
- is the same when the order is sent again: the venue says `Duplicated`, and there is never a second order;
- can be computed again after a crash from the order in the journal, which was written before the order was sent. No
  table of ids has to survive (`PolymarketVenue.remember`).

Order ids derive from a session's seed, which no two sessions share, so salts differ between sessions too.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final, NamedTuple

from execsim.core.errors import ValidationError
from execsim.core.order import Order, OrderId, OrderType, Side, TimeInForce
from execsim.core.units import NS_PER_MS, NS_PER_S, plain
from execsim_polymarket.amounts import SIZE_STEP
from execsim_polymarket.entry import Terms, amounts_of, kind_of
from execsim_polymarket.fills import Market
from execsim_polymarket.session import Ticket
from execsim_polymarket.signing import BLANK_KEY, Identity
from execsim_polymarket.wire.trading import OrderMessage, PostOrder

SALT_BITS: Final = 53
"""JSON numbers beyond are not exact in every client."""


class Draft(NamedTuple):
    """What to send once it is signed, and how its news are recognised."""

    post: PostOrder
    ticket: Ticket


def salt_of(order_id: OrderId) -> int:
    return int.from_bytes(sha256(order_id.encode()).digest()[:8]) >> (64 - SALT_BITS)


def draft(order: Order, market: Market, condition: str, terms: Terms, identity: Identity) -> Draft:
    """Errors: ValidationError naming the rule the venue would refuse it by."""
    if order.size_lots is not None and order.size_lots % SIZE_STEP:
        what = f"{plain(order.instrument.grid.size(order.size_lots))} shares are not a multiple of 0.01"
        raise ValidationError("size_step", what, "the venue would sign for less")
    kind, amounts = kind_of(order), amounts_of(order, terms.tick_i)
    if kind == "GTD" and order.expire_ns is None:
        raise ValidationError("expire", "a GTD order needs a time")
    post_only = order.type is OrderType.POST_ONLY
    if post_only and order.tif not in (TimeInForce.GTC, TimeInForce.GTD):
        raise ValidationError("post_only", f"a post-only order cannot be {order.tif.value}")
    fields, name = identity.draft(
        side=order.side, token_id=int(market.token(order.outcome)), maker_amount=amounts.maker,
        taker_amount=amounts.taker, salt=salt_of(order.id), timestamp_ms=order.created_ns // NS_PER_MS,
        neg_risk=terms.neg_risk,
    )  # fmt: skip
    expiration_s = order.expire_ns // NS_PER_S if kind == "GTD" and order.expire_ns is not None else 0
    message = OrderMessage(
        fields.salt, fields.maker, fields.signer, fields.token_id, fields.maker_amount, fields.taker_amount, fields.side,
        expiration_s, fields.signature_type, fields.timestamp_ms, fields.metadata, fields.builder, b"",
    )  # fmt: skip
    resting = kind in ("GTC", "GTD") or order.side is Side.SELL
    shares = (amounts.maker if order.side is Side.SELL else amounts.taker) if resting else None
    ticket = Ticket(order.id, name, condition, shares, kind in ("FAK", "FOK"))
    return Draft(PostOrder(message, BLANK_KEY, kind, post_only=post_only), ticket)
