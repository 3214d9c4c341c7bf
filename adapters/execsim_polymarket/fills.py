"""What a trade of the venue means for our own orders in it, as core fills in exact integers.

A trade names the taker's order and every maker order it met. An own order may stand on either side, on the same token as the
taker or on the other one:

    taker BUY YES  x  maker SELL YES     swap
    taker BUY YES  x  maker BUY NO       mint: the maker paid q for NO, the taker 1 - q for YES
    taker SELL YES x  maker SELL NO      merge

Each own order of a trade is one fill, whatever the number of makers met: its id is the trade's and the order's, so it is the
same from the socket, from REST, and after a restart. Makers pay no fee; a taker's fee is computed by the instrument (the
message's `fee_rate_bps` is a legacy display value). Source: polymarket.md sections 5.3, 8, 9, 12.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from execsim.core.errors import InvalidResponse, ValidationError
from execsim.core.fees import Liquidity, Traded
from execsim.core.instrument import Instrument, Outcome
from execsim.core.order import Fill, FillId, FillStatus, MatchKind, OrderId, Side
from execsim.core.units import NS_PER_S, Rounding
from execsim_polymarket.wire.trading import MakerOrder, TradeRecord
from execsim_polymarket.wire.values import VENUE, ns_of

STAGES: Final[Mapping[str, FillStatus]] = {
    "MATCHED": FillStatus.PROVISIONAL,
    "MATCHED_NOT_BROADCASTED": FillStatus.PROVISIONAL,
    "RETRYING": FillStatus.PROVISIONAL,
    "MINED": FillStatus.MINED,
    "CONFIRMED": FillStatus.CONFIRMED,
    "FAILED": FillStatus.VOIDED,
}
"""How far a trade has settled. Only CONFIRMED and FAILED are final: a hash seen before may be replaced."""

SETTLING: Final[Mapping[FillStatus, frozenset[FillStatus]]] = {
    FillStatus.PROVISIONAL: frozenset({FillStatus.MINED, FillStatus.CONFIRMED, FillStatus.VOIDED}),
    FillStatus.MINED: frozenset(
        {FillStatus.CONFIRMED, FillStatus.VOIDED}
    ),  # RETRYING: in a block no more, not failed yet
    FillStatus.CONFIRMED: frozenset(),
    FillStatus.VOIDED: frozenset(),
}
"""Stage -> what can come after it; anything else is old news."""

Own = Callable[[str], OrderId | None]
"""Venue order id -> our order id; None for orders of others."""


@dataclass(frozen=True, slots=True)
class Market:
    """A market as both the venue and the engine name it."""

    instrument: Instrument
    yes_token: str
    no_token: str

    def outcome(self, token: str) -> Outcome:
        """Errors: InvalidResponse for a token of another market."""
        if token == self.yes_token:
            return Outcome.YES
        if token == self.no_token:
            return Outcome.NO
        raise InvalidResponse(VENUE, "unreadable", f"token {token[:90]} is not of market {self.instrument.market}")

    def token(self, outcome: Outcome) -> str:
        return self.yes_token if outcome is Outcome.YES else self.no_token


def stage_of(trade: TradeRecord) -> FillStatus:
    """Errors: InvalidResponse for a status we do not know: whether the fill stands cannot be told."""
    if trade.state not in STAGES:
        raise InvalidResponse(VENUE, "unreadable", f"trade {trade.id} has the unknown status {trade.status[:40]!r}")
    return STAGES[trade.state]


def fills_of(trade: TradeRecord, market: Market, own: Own) -> list[Fill]:
    """The fills of own orders in a trade, the taker's first. Errors: InvalidResponse."""
    try:
        return list(_fills(trade, market, own))
    except ValidationError as error:
        raise InvalidResponse(VENUE, "unreadable", f"trade {trade.id}: {error}") from None


def fill_id(trade_id: str, venue_order_id: str) -> FillId:
    """Name of an order's part of a trade: the trade's id and the first 64 bits of the order's."""
    return FillId(f"{trade_id}:{venue_order_id.removeprefix('0x')[:16]}")


def _fills(trade: TradeRecord, market: Market, own: Own) -> Iterator[Fill]:
    taker = own(trade.taker_order_id)
    if taker is not None:
        yield _taker_fill(trade, market, taker)
    makers: dict[str, list[MakerOrder]] = {}
    for maker in trade.maker_orders:
        makers.setdefault(maker.order_id, []).append(maker)
    for venue_order_id, parts in makers.items():
        order_id = own(venue_order_id)
        if order_id is not None:
            yield _maker_fill(trade, market, order_id, parts)


def _maker_fill(trade: TradeRecord, market: Market, order_id: OrderId, parts: Sequence[MakerOrder]) -> Fill:
    """A maker trades at its own price, which stands in its part, in its own token."""
    first = parts[0]
    instrument, outcome = market.instrument, market.outcome(first.asset_id)
    side = first.side_against(trade.side, trade.asset_id)
    price_i = instrument.grid.price_i(first.price)
    lots = sum(instrument.grid.lots(part.matched_amount) for part in parts)
    cash = sum(instrument.cash(price_i, instrument.grid.lots(part.matched_amount)) for part in parts)
    return Fill(
        fill_id(trade.id, first.order_id), order_id, _time_ns(trade), side, outcome, price_i, lots, -side.sign * cash, 0,
        Liquidity.MAKER, status=stage_of(trade), match=_kind(trade, first),
    )  # fmt: skip


def _taker_fill(trade: TradeRecord, market: Market, order_id: OrderId) -> Fill:
    """A taker trades at each maker's price. Where the parts do not make up the trade (older messages leave them out), the
    trade's own price stands for all of it."""
    instrument, grid = market.instrument, market.instrument.grid
    lots = grid.lots(trade.size)
    parts = [(_price_for_taker(trade, market, maker), grid.lots(maker.matched_amount)) for maker in trade.maker_orders]
    if sum(part for _, part in parts) == lots and lots:
        cash = sum(instrument.cash(price_i, part) for price_i, part in parts)
        prices = {price_i for price_i, _ in parts}
    else:
        cash = int(trade.price * trade.size / instrument.quote.unit)
        prices = {grid.price_i(trade.price, Rounding.HALF_UP)}
    ts_ns = _time_ns(trade)
    units_per_lot = grid.lot / instrument.quote.unit
    if len(prices) == 1:
        price_i = prices.pop()
        fee = instrument.fee(price_i, lots, cash, Liquidity.TAKER, ts_ns=ts_ns)
    else:  # several prices: the fee is on their average, exactly
        par = int(lots * units_per_lot)
        price_i = (2 * cash * instrument.one_i + par) // (2 * par)
        per_share, per_pusd = int(1 / grid.lot), int(1 / instrument.quote.unit)
        fee = instrument.fees.fee(Traded(cash, par, lots, per_share, cash, per_pusd, ts_ns), Liquidity.TAKER)
    kinds = {_kind(trade, maker) for maker in trade.maker_orders}
    return Fill(
        fill_id(trade.id, trade.taker_order_id), order_id, ts_ns, trade.side, market.outcome(trade.asset_id), price_i, lots,
        -trade.side.sign * cash, fee, Liquidity.TAKER, status=stage_of(trade),
        match=kinds.pop() if len(kinds) == 1 else MatchKind.SWAP,
    )  # fmt: skip


def _price_for_taker(trade: TradeRecord, market: Market, maker: MakerOrder) -> int:
    price_i = market.instrument.grid.price_i(maker.price)
    return price_i if maker.asset_id == trade.asset_id else market.instrument.one_i - price_i


def _kind(trade: TradeRecord, maker: MakerOrder) -> MatchKind:
    if maker.asset_id == trade.asset_id:
        return MatchKind.SWAP
    return MatchKind.MINT if trade.side is Side.BUY else MatchKind.MERGE


def _time_ns(trade: TradeRecord) -> int:
    """When the venue matched it: to the ns where it says so, else to the second."""
    nano, matched_ns = trade.match_time_nano or "", ns_of(trade.match_time)
    fine_ns = int(nano) if nano.isdecimal() and len(nano) <= 19 else 0
    return fine_ns if 0 <= fine_ns - matched_ns < NS_PER_S else matched_ns
