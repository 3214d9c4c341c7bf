"""A fill of the exchange as a trade of the venue: one trade a fill, seen from the side of the account that asks.

Who stood on the other side is never told: his order, key and wallet are names made of the trade's. Both parties of a match
see the same trade id. Source: polymarket.md sections 5.3, 8, 11.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from decimal import Decimal
from typing import Final

from execsim.core.fees import Liquidity
from execsim.core.order import Evidence, Fill, FillStatus, MatchKind, Side
from execsim.core.units import NS_PER_MS, NS_PER_S, plain
from execsim_polymarket.dialect.clock import VenueClock
from execsim_polymarket.dialect.judge import Posted
from execsim_polymarket.dialect.listings import named
from execsim_polymarket.wire.channels import UserTrade
from execsim_polymarket.wire.trading import MakerOrder, TradeRecord

STATES: Final = {
    FillStatus.PROVISIONAL: "MATCHED",
    FillStatus.MINED: "MINED",
    FillStatus.CONFIRMED: "CONFIRMED",
    FillStatus.VOIDED: "FAILED",
}
NO_FEE: Final = "0"
"""What a trade says of its fee rate: a legacy display value, the fee follows from the market's terms."""


def trade_id(posted: Posted, fill: Fill) -> str:
    """Same for both parties where a match has two."""
    if fill.evidence is Evidence.MATCHED:
        return named({"venue": posted.listing.instrument.venue, "market": posted.listing.market, "match": fill.row_seq})
    return named({"order": posted.id, "fill": str(fill.id)})


def transaction_of(trade: str) -> str:
    """The hash of the transaction that settles a trade."""
    return "0x" + hashlib.sha256(f"transaction {trade}".encode()).hexdigest()


def trade_of(posted: Posted, fill: Fill, clock: VenueClock) -> TradeRecord:
    """As GET /data/trades has it, but for the prefix of its status."""
    listing, name = posted.listing, trade_id(posted, fill)
    grid = listing.instrument.grid
    price, size = tidy(grid.price(fill.price_i)), tidy(grid.size(fill.lots))
    other_price, other_token, other_outcome, other_side = price, posted.token, fill.outcome, fill.side.other
    if fill.match is not MatchKind.SWAP:
        other_price, other_outcome, other_side = 1 - price, fill.outcome.other, fill.side
        other_token = listing.token(other_outcome)
    stranger = _Stranger(name)
    mine = MakerOrder(
        posted.id, posted.post.owner, posted.post.order.maker, size, price, NO_FEE, posted.token,
        _outcome(fill.outcome.value), fill.side,
    )  # fmt: skip
    theirs = MakerOrder(
        stranger.order, stranger.key, stranger.wallet, size, other_price, NO_FEE, other_token, _outcome(other_outcome.value),
        other_side,
    )  # fmt: skip
    takes = fill.liquidity is Liquidity.TAKER
    taker, maker = (mine, theirs) if takes else (theirs, mine)
    at_ns = max(posted.created_ns, clock.at_ns(fill.ts_ns))  # a market that stands still has one time for both
    settled = fill.status in (FillStatus.MINED, FillStatus.CONFIRMED)
    taker_side = fill.side if takes else other_side
    return TradeRecord(
        name, taker.order_id, listing.condition_id, taker.asset_id, taker_side, size, NO_FEE, taker.price,
        STATES[fill.status], str(at_ns // NS_PER_S), str(at_ns // NS_PER_S), taker.outcome, 0, posted.post.owner,
        taker.maker_address, transaction_of(name) if settled else "", (maker,), "TAKER" if takes else "MAKER",
        str(at_ns), "",
    )  # fmt: skip


def listed(trade: TradeRecord) -> TradeRecord:
    """As REST writes it."""
    return replace(trade, status=f"TRADE_STATUS_{trade.status}")


def told(trade: TradeRecord, state: str, now_ns: int) -> UserTrade:
    """As the user channel tells that it has reached a state."""
    mined = state in ("MINED", "CONFIRMED")
    return UserTrade(
        trade.id, trade.taker_order_id, trade.market, trade.asset_id, trade.side, trade.size, trade.price, state,
        trade.owner, trade.owner, trade.maker_address, trade.outcome, trade.match_time, str(now_ns // NS_PER_S),
        str(now_ns // NS_PER_MS), transaction_of(trade.id) if mined else "", trade.bucket_index, trade.trader_side,
        trade.fee_rate_bps, trade.maker_orders,
    )  # fmt: skip


def amounts_of(posted: Posted, fills: list[Fill]) -> tuple[Decimal, Decimal]:
    """(making, taking) of what was matched, in pUSD and shares."""
    instrument = posted.listing.instrument
    shares = instrument.grid.size(sum(fill.lots for fill in fills))
    cash = instrument.quote.decimal(sum(abs(fill.cash) for fill in fills))
    return (tidy(cash), tidy(shares)) if posted.order.side is Side.BUY else (tidy(shares), tidy(cash))


def tidy(value: Decimal) -> Decimal:
    """Without the zeros at its end: as the venue writes numbers."""
    return Decimal(plain(value))


def _outcome(name: str) -> str:
    return name.capitalize()


class _Stranger:
    """Whoever was on the other side."""

    def __init__(self, trade: str) -> None:
        digest = hashlib.sha256(f"other side of {trade}".encode()).hexdigest()
        self.order = f"0x{digest}"
        self.key = named({"key": digest})
        self.wallet = f"0x{digest[:40]}"
