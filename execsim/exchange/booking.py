"""The money of a match of two orders of a venue: cash, tokens and fees change hands, in exact integers.

A binary market has one canonical book, its YES side: buying NO at q is selling YES at 1 - q. Who meets whom decides how
the match settles (`MatchKind`; source: docs.polymarket.com, "Order lifecycle", and polymarket.md section 8):

    buys YES, sells YES     SWAP    tokens against cash (so do buys NO, sells NO; and every spot match)
    buys YES, buys NO       MINT    both pay the contract, together exactly 1.00 a set; each gets a token
    sells YES, sells NO     MERGE   both give the contract a token; together they get exactly 1.00 a set

Both sides are booked from one integer: the maker's cash, its price times the lots by the instrument's rounding. In a swap
the taker's cash is the same number, in a mint or merge what is left of the whole sets' price, so no unit is made or lost.
"""

from __future__ import annotations

from execsim.core.fees import Liquidity
from execsim.core.order import Cause, Evidence, Fill, FillId, MatchKind, Side
from execsim.exchange.account import Ledger
from execsim.exchange.claims import Claims
from execsim.exchange.resting import VenueOrder


def match_kind(taker: VenueOrder, maker: VenueOrder) -> MatchKind:
    """How a match of two orders settles that stand on opposite sides of the canonical book."""
    if taker.outcome is maker.outcome:
        return MatchKind.SWAP
    return MatchKind.MINT if taker.side is Side.BUY else MatchKind.MERGE


def cash_of(taker: VenueOrder, maker: VenueOrder, book_price_i: int, lots: int) -> tuple[int, int]:
    """(taker's, maker's) unsigned money of a match, in quote units.

    The sum of both is the price of whole sets in a mint or merge; both are equal in a swap.
    """
    inst = maker.instrument
    cash = inst.cash(maker.outcome_price_i(book_price_i), lots)
    return (cash if taker.outcome is maker.outcome else inst.par(lots) - cash), cash


class Booking:
    """Matches between accounts of one venue. What a maker claimed for the lots that traded is given back first."""

    def __init__(self, ledger: Ledger, claims: Claims) -> None:
        self._ledger = ledger
        self._claims = claims

    def match(
        self, taker: VenueOrder, maker: VenueOrder, book_price_i: int, lots: int, now_ns: int, number: int
    ) -> tuple[Fill, Fill]:
        """Move the money and tokens of one match, with fees; returns (taker's fill, maker's fill).

        `number` says which match of the book it was: the evidence of both fills.
        """
        kind = match_kind(taker, maker)
        taker_cash, maker_cash = cash_of(taker, maker, book_price_i, lots)
        for order, cash in ((taker, taker_cash), (maker, maker_cash)):
            order.filled_lots += lots
            if order.size_lots is not None:
                order.left_lots -= lots
            else:
                order.left_quote -= cash
        self._claims.keep(maker)
        self._transfer(taker, maker, kind, taker_cash, lots)
        self._transfer(maker, taker, kind, maker_cash, lots)
        return (
            self._fill(taker, book_price_i, lots, taker_cash, Liquidity.TAKER, kind, now_ns, number),
            self._fill(maker, book_price_i, lots, maker_cash, Liquidity.MAKER, kind, now_ns, number),
        )

    def _transfer(self, order: VenueOrder, other: VenueOrder, kind: MatchKind, cash: int, lots: int) -> None:
        """What one order's account gives: a buyer its cash, a seller its tokens; in a mint or merge also what it gets."""
        inst, move = order.instrument, self._ledger.move
        token, units = inst.asset_of(order.outcome).name, inst.base_amount(lots)
        buys = order.side is Side.BUY
        if kind is MatchKind.SWAP:
            if buys:
                move(order.account, other.account, inst.quote.name, cash)
            else:
                move(order.account, other.account, token, units)
            return
        sign = 1 if buys else -1
        move(order.account, Ledger.MINT, inst.quote.name, sign * cash)
        move(Ledger.MINT, order.account, token, sign * units)

    def _fill(
        self, order: VenueOrder, book_price_i: int, lots: int, cash: int, liquidity: Liquidity, kind: MatchKind,
        now_ns: int, number: int,
    ) -> Fill:  # fmt: skip
        inst, price_i = order.instrument, order.outcome_price_i(book_price_i)
        fee = inst.fee(price_i, lots, cash, liquidity, ts_ns=now_ns)
        self._ledger.move(order.account, Ledger.FEES, inst.quote.name, fee)
        return Fill(
            id=FillId(f"{order.venue_order_id}-{number}"),
            order_id=order.id,
            ts_ns=now_ns,
            side=order.side,
            outcome=order.outcome,
            price_i=price_i,
            lots=lots,
            cash=-cash if order.side is Side.BUY else cash,
            fee=fee,
            liquidity=liquidity,
            cause=Cause.TAKER_WALK if liquidity is Liquidity.TAKER else Cause.QUEUE_DRAINED,
            evidence=Evidence.MATCHED,
            row_seq=number,
            match=kind,
        )
