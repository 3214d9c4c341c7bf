"""Matching against real orders: an L3 book, with the claims and the money of both sides of every match.

Beside `TapeMatching` (matching.py), which meets a recorded book. Here every fill has a counterparty in this run, so there
is no queue model, no consumption ledger and no doubt: FIFO is exact, and what an order takes is gone for everybody.

An order that would meet one of its own account is refused whole, as venues with "cancel taker" self-trade prevention do
(Binance's EXPIRE_TAKER, Kalshi's taker_at_cross): nobody's volume here is his own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from execsim.core.errors import ExecError
from execsim.core.fees import Liquidity
from execsim.core.order import OrderType
from execsim.exchange.account import Ledger
from execsim.exchange.booking import Booking, cash_of
from execsim.exchange.claims import Claims
from execsim.exchange.l3 import BookListener, L3Book
from execsim.exchange.plan import Executed, Plan, is_complete, unmatched
from execsim.exchange.refusal import refuse
from execsim.exchange.resting import VenueOrder
from execsim.ports import VenueProfile


class L3Matching:
    """One market. An order's name on the book is its `venue_order_id`: unique among all accounts of the venue."""

    def __init__(
        self, ledger: Ledger, claims: Claims, profile: VenueProfile, listener: BookListener | None = None
    ) -> None:
        self.book = L3Book(self)
        self._listener = listener
        self._booking = Booking(ledger, claims)
        self.matches = 0
        """how many matches there were: each one's number is the evidence of its two fills"""
        self.on_rest: Callable[[VenueOrder], None] = lambda order: None
        """told of every order that joins a queue"""
        self.on_queue: Callable[[VenueOrder, int], None] = lambda order, ahead_lots: None
        """told when the lots in front of a watched order have moved by what it asked for (`VenueOrder.watch_lots`)"""
        self._watched: dict[str, VenueOrder] = {}
        self._profile = profile
        self._resting: dict[str, VenueOrder] = {}

    # ---------------------------------------------------------------- arriving
    def plan(self, order: VenueOrder, now_ns: int) -> Plan:
        """What it would take now, one entry an order met; nothing changes.

        A refusal for post-only, unmatched FOK and IOC where the venue refuses those, and for meeting oneself.
        """
        plan = Plan()
        left_lots, left_quote = order.left_lots, order.left_quote
        for resting in self.book.walk(order.side_sign, order.book_price_i):
            maker = self._resting[str(resting.id)]
            price_i = order.outcome_price_i(resting.price_i)
            if order.size_lots is not None:
                lots = min(left_lots, resting.lots)
            else:
                lots = min(order.instrument.lots_for(left_quote, price_i), resting.lots) if price_i > 0 else 0
            if lots <= 0:
                break
            if order.type is OrderType.POST_ONLY:
                plan.refusal = self._no(order, "post_only_cross")
                return plan
            if maker.account == order.account:
                plan.refusal = self._no(order, "self_trade")
                return plan
            cash, _ = cash_of(order, maker, resting.price_i, lots)
            fee = order.instrument.fee(price_i, lots, cash, Liquidity.TAKER, ts_ns=now_ns)
            plan.levels.append((resting.price_i, lots, cash, fee))
            left_lots -= lots
            left_quote -= cash
        plan.complete = is_complete(order, plan)
        rule = unmatched(order, plan, self._profile)
        plan.refusal = None if rule is None else self._no(order, rule)
        return plan

    def _no(self, order: VenueOrder, rule: str) -> ExecError:
        return refuse(order.instrument.venue, self._profile, rule, order_id=order.id, market=order.instrument.market)

    def take(self, order: VenueOrder, plan: Plan, now_ns: int) -> Iterator[Executed]:
        """Carry a plan out: two executions a match, the taker's and then the maker's.

        The book has changed before the first of them is given out; the money moves match by match.
        """
        matches = self.book.take(order.side_sign, order.book_price_i, plan.lots) if plan.levels else []
        for at, (resting, price_i, lots) in enumerate(matches, 1):
            maker = self._resting[str(resting.id)]
            self.matches += 1
            taken, made = self._booking.match(order, maker, price_i, lots, now_ns, self.matches)
            if not maker.left_lots:
                del self._resting[maker.venue_order_id]
            yield Executed(order, taken, plan.complete and at == len(matches), maker.account)
            yield Executed(maker, made, not maker.left_lots, order.account)

    # ---------------------------------------------------------------- resting
    def rest(self, order: VenueOrder) -> None:
        """Queue what is left at the order's price."""
        price_i = order.book_price_i
        assert price_i is not None
        self._resting[order.venue_order_id] = order
        self.book.rest(order.venue_order_id, order.account, order.side_sign, price_i, order.left_lots)
        self.on_rest(order)

    def drop(self, order: VenueOrder) -> None:
        """Take an order off the book; no effect on one that does not rest."""
        if self._resting.pop(order.venue_order_id, None) is not None:
            self.book.cancel(order.venue_order_id)

    def shrink(self, order: VenueOrder, left_lots: int) -> None:
        """Fewer lots at the same price: the place in the queue is kept."""
        self.book.reduce(order.venue_order_id, left_lots)

    def ahead(self, order: VenueOrder) -> int | None:
        """Lots in front of a resting order, None where it does not rest."""
        return self.book.ahead(order.venue_order_id)[0] if order.venue_order_id in self._resting else None

    def watch(self, order: VenueOrder) -> None:
        """Tell `on_queue` of this order's place from now on, while it rests."""
        self._watched[order.venue_order_id] = order

    # ---------------------------------------------------------------- the book tells (BookListener)
    def on_level(self, side: int, price_i: int, lots: int) -> None:
        if self._listener is not None:
            self._listener.on_level(side, price_i, lots)
        for name, order in list(self._watched.items()):
            ahead_lots = self.ahead(order) if name in self.book.orders else None
            if ahead_lots is None:
                del self._watched[name]
            elif abs(order.noted_lots - ahead_lots) >= order.watch_lots:
                self.on_queue(order, ahead_lots)

    def on_trade(self, aggressor: int, price_i: int, lots: int) -> None:
        if self._listener is not None:
            self._listener.on_trade(aggressor, price_i, lots)

    @property
    def resting(self) -> list[VenueOrder]:
        """Every order on the book, oldest first."""
        return list(self._resting.values())
