"""Matching against the recorded book: what an arriving order takes, where the rest queues, and the money of each fill.

Source of liquidity: the venue's book of the tape through the kernel, less what we took before (consumption ledger).
While the market is in a gap of the recording, or blind (its recording is not to be trusted there), nothing is matched: no
fill is invented there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from execsim.core.errors import ExecError
from execsim.core.fees import Liquidity
from execsim.core.instrument import Outcome
from execsim.core.order import Cause, Evidence, Fill, FillId, MatchKind, OrderType, Side
from execsim.exchange.account import Ledger
from execsim.exchange.claims import Claims
from execsim.exchange.plan import Executed, Plan, is_complete, unmatched
from execsim.exchange.refusal import refuse
from execsim.exchange.resting import VenueOrder
from execsim.kernel import VENUE, OwnFill, Replay, Row
from execsim.ports import VenueProfile
from execsim.tape.schema import Flag


class TapeMatching:
    """Walks, queues and books against whoever is on the tape (the ledger's STREET)."""

    def __init__(self, kernel: Replay, ledger: Ledger, claims: Claims, profile: VenueProfile) -> None:
        self._kernel = kernel
        self._ledger = ledger
        self._claims = claims
        self._profile = profile
        self.by_slot: dict[int, VenueOrder] = {}
        """our orders in the kernel's queues, by the kernel's number"""
        self.on_rest: Callable[[VenueOrder], None] = lambda order: None
        """told of every order that joins a queue"""

    # ---------------------------------------------------------------- arriving
    def plan(self, order: VenueOrder, now_ns: int) -> Plan:
        """What it would take now, best level first; nothing changes. A refusal for post-only, and for unmatched FOK and
        IOC where the venue refuses those."""
        plan = Plan()
        self._kernel.pass_time(now_ns)
        for price, lots, cash in self._walk(order):
            if order.type is OrderType.POST_ONLY:
                plan.refusal = self._no(order, "post_only_cross")
                return plan
            outcome_price = order.outcome_price_i(price)
            fee = order.instrument.fee(outcome_price, lots, cash, Liquidity.TAKER, ts_ns=now_ns)
            plan.levels.append((price, lots, cash, fee))
        plan.complete = is_complete(order, plan)
        rule = unmatched(order, plan, self._profile)
        plan.refusal = None if rule is None else self._no(order, rule)
        return plan

    def _walk(self, order: VenueOrder) -> Iterator[tuple[int, int, int]]:
        kernel, inst = self._kernel, order.instrument
        if kernel.in_gap(VENUE, order.market) or not kernel.has_book(VENUE, order.market):
            return
        if kernel.is_blind(order.market):
            return
        sign, limit = order.side_sign, order.book_price_i
        left_lots, left_quote = order.left_lots, order.left_quote
        for price, available in kernel.available(order.market, -sign):
            if limit is not None and sign * price > sign * limit:
                return
            outcome_price = order.outcome_price_i(price)
            if order.size_lots is not None:
                lots = min(left_lots, available)
            elif outcome_price > 0:
                lots = min(inst.lots_for(left_quote, outcome_price), available)
            else:
                lots = 0
            if lots <= 0:
                return
            cash = inst.cash(outcome_price, lots)
            left_lots -= lots
            left_quote -= cash
            yield price, lots, cash
            if lots < available:
                return

    def _no(self, order: VenueOrder, rule: str) -> ExecError:
        return refuse(order.instrument.venue, self._profile, rule, order_id=order.id, market=order.instrument.market)

    def take(self, order: VenueOrder, plan: Plan, now_ns: int) -> Iterator[Executed]:
        """Carry a plan out, money moved, ledger noted."""
        seq = self._kernel.last_seq(order.market)
        for at, (price, lots, cash, fee) in enumerate(plan.levels):
            self._kernel.consume(order.market, -order.side_sign, price, lots)
            fill = self._fill(
                order, now_ns, order.outcome_price_i(price), lots, cash, fee, Liquidity.TAKER, Cause.TAKER_WALK,
                Evidence.RECORDED, seq,
            )  # fmt: skip
            yield Executed(order, fill, plan.complete and at == len(plan.levels) - 1, Ledger.STREET)

    # ---------------------------------------------------------------- resting
    def rest(self, order: VenueOrder) -> None:
        """Queue what is left at the order's price."""
        price = order.book_price_i
        assert price is not None
        order.slot = self._kernel.rest(order.market, order.side_sign, price, order.left_lots)
        self.by_slot[order.slot] = order
        self.on_rest(order)

    def drop(self, order: VenueOrder) -> None:
        """Take it out of the kernel's queue; no effect on one that does not rest."""
        if order.slot is not None:
            self.by_slot.pop(order.slot, None)
            self._kernel.drop(order.slot)
            order.slot = None

    def shrink(self, order: VenueOrder, left_lots: int) -> None:
        """Fewer lots at the same price: the place in the queue is kept."""
        if order.slot is not None:
            self._kernel.shrink(order.slot, left_lots)

    def make(self, own: OwnFill, row: Row) -> Executed:
        """A resting order was filled by a tape row at its own price."""
        order = self.by_slot[own.order]
        price = order.outcome_price_i(own.price_i)
        cash = order.instrument.cash(price, own.lots)
        fee = order.instrument.fee(price, own.lots, cash, Liquidity.MAKER, ts_ns=row.ts_ns)
        inferred = bool(row.flags & Flag.INFERRED)
        evidence = Evidence.INFERRED if inferred else Evidence.RECORDED
        fill = self._fill(order, row.ts_ns, price, own.lots, cash, fee, Liquidity.MAKER, own.cause, evidence, row.seq)
        return Executed(order, fill, own.left == 0, Ledger.STREET)

    # ---------------------------------------------------------------- money
    def _fill(
        self, order: VenueOrder, ts_ns: int, price_i: int, lots: int, cash: int, fee: int, liquidity: Liquidity,
        cause: Cause, evidence: Evidence, seq: int,
    ) -> Fill:  # fmt: skip
        order.filled_lots += lots
        if order.size_lots is not None:
            order.left_lots -= lots
        else:
            order.left_quote -= cash
        if liquidity is Liquidity.MAKER:
            self._claims.keep(order)
        buys = order.side is Side.BUY
        kind = self._exchange(order, lots, cash)
        self._ledger.move(order.account, Ledger.FEES, order.instrument.quote.name, fee)
        return Fill(
            FillId(f"{order.venue_order_id}-{len(order.fills)}"), order.id, ts_ns, order.side, order.outcome, price_i,
            lots, -cash if buys else cash, fee, liquidity, cause, evidence, seq, match=kind,
        )  # fmt: skip

    def undo(self, order: VenueOrder, fill: Fill) -> None:
        """The fill failed on chain: money, tokens and fee go back. The queue it took is not given back."""
        self._exchange(order, -fill.lots, -abs(fill.cash))
        self._ledger.move(order.account, Ledger.FEES, order.instrument.quote.name, -fill.fee)

    def _exchange(self, order: VenueOrder, lots: int, cash: int) -> MatchKind:
        """Move money and tokens. The recorded book is the YES side's: who meets a NO order there trades YES, so buying NO
        mints a set with a YES buyer and selling NO merges one with a YES seller."""
        inst, ledger, trader, street = order.instrument, self._ledger, order.account, Ledger.STREET
        quote, units, buys = inst.quote.name, inst.base_amount(lots), order.side is Side.BUY
        if order.outcome is Outcome.YES:
            payer, payee = (trader, street) if buys else (street, trader)
            ledger.move(payer, payee, quote, cash)
            ledger.move(payee, payer, inst.base.name, units)
            return MatchKind.SWAP
        sign, rest = 1 if buys else -1, inst.par(lots) - cash
        ledger.move(trader, Ledger.MINT, quote, sign * cash)
        ledger.move(street, Ledger.MINT, quote, sign * rest)
        ledger.move(Ledger.MINT, trader, inst.asset_of(Outcome.NO).name, sign * units)
        ledger.move(Ledger.MINT, street, inst.base.name, sign * units)
        return MatchKind.MINT if buys else MatchKind.MERGE
