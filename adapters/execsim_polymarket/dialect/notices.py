"""Notifications of an account: GET and DELETE /notifications. Source: polymarket.md section 5.3; the kinds and fields are
those polymarket-client 0.14.0 reads (models/clob/notifications.py).

Told are cancelled orders, fills, and fills that failed on chain. Markets that begin and end, comments, payouts of programmes
and tiers are not: markets are told by the market channel, the rest does not happen here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from decimal import Decimal
from enum import IntEnum
from typing import Any, Final

from execsim.core.instrument import Outcome
from execsim.core.units import NS_PER_S, plain
from execsim_polymarket.dialect.judge import Posted
from execsim_polymarket.wire.trading import TradeRecord

KEPT_MAX: Final = 1_000
"""Notifications an account can still ask for; older ones are forgotten."""


class Notice(IntEnum):
    """The venue's numbers."""

    CANCELLED = 1
    FILLED = 2
    FAILED = 8


class Notices:
    """One account's, oldest first. Ids count from 1."""

    def __init__(self) -> None:
        self._kept: deque[dict[str, Any]] = deque(maxlen=KEPT_MAX)
        self._count = 0

    def add(self, kind: Notice, owner: str, now_ns: int, payload: Mapping[str, Any]) -> None:
        """`owner`: the API key it concerns."""
        self._count += 1
        at_s = now_ns // NS_PER_S
        self._kept.append(
            {"id": self._count, "type": int(kind), "owner": owner, "timestamp": at_s, "payload": dict(payload)}
        )

    def rows(self) -> list[dict[str, Any]]:
        return list(self._kept)

    def drop(self, ids: frozenset[int]) -> None:
        """Forget some; numbers that are none are passed over."""
        self._kept = deque((row for row in self._kept if row["id"] not in ids), KEPT_MAX)


def order_payload(
    posted: Posted, size: Decimal, matched: Decimal, left: Decimal, trade: TradeRecord | None = None
) -> dict[str, Any]:
    """What a notification says of an order: `size` and `left` in shares, or in pUSD for a FOK or FAK BUY; `matched` in
    shares; `trade`: the one it is about."""
    listing, order = posted.listing, posted.order
    found = {
        "order_id": posted.id, "market": listing.condition_id, "asset_id": posted.token, "token_id": posted.token,
        "side": order.side.value.upper(), "type": posted.post.order_type,
        "price": plain(listing.instrument.grid.price(order.price_i or 0)), "original_size": plain(size),
        "matched_size": plain(matched), "remaining_size": plain(left), "outcome": order.outcome.value.capitalize(),
        "outcome_index": int(order.outcome is Outcome.NO), "question": listing.title, "market_slug": listing.slug,
        "icon": "", "image": "", "eventSlug": "", "seriesSlug": "", "trade_id": "", "transaction_hash": "",
    }  # fmt: skip
    if trade is not None:
        found |= {"trade_id": trade.id, "transaction_hash": trade.transaction_hash}
    return found
