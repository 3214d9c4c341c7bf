"""Matching against the recorded book: what an arriving order takes, where the rest queues, and the money of each fill.

Source of liquidity: the venue's book of the tape through the kernel, less what we took before (consumption ledger).
While the market is in a gap of the recording nothing is matched: no fill is invented there.
"""

from __future__ import annotations

from collections.abc import Iterator

from execsim.core.errors import ExecError
from execsim.core.fees import Liquidity
from execsim.core.order import Cause, Evidence, Fill, FillId, OrderType, Side, TimeInForce
from execsim.core.units import Rounding
from execsim.exchange.account import Account, Ledger
from execsim.exchange.plan import Plan
from execsim.exchange.refusal import refuse
from execsim.exchange.resting import VenueOrder
from execsim.kernel import VENUE, OwnFill, Replay, Row
from execsim.ports import VenueProfile
from execsim.tape.schema import Flag


class TapeMatching:
    """Walks, queues and books for one account of one venue."""

    def __init__(self, kernel: Replay, ledger: Ledger, trader: str, profile: VenueProfile) -> None:
        self._kernel = kernel
        self._ledger = ledger
        self._trader = trader
        self._profile = profile

    @property
    def _account(self) -> Account:
        return self._ledger[self._trader]

    # ---------------------------------------------------------------- arriving
    def plan(self, order: VenueOrder) -> Plan:
        """What it would take now, best level first; nothing changes. A refusal for post-only, FOK and unmatched IOC."""
        plan = Plan()
        for price, lots, cash in self._walk(order):
            if order.type is OrderType.POST_ONLY:
                plan.refusal = self._no(order, "post_only_cross")
                return plan
            outcome_price = order.outcome_price_i(price)
            fee = order.instrument.fee(outcome_price, lots, cash, Liquidity.TAKER)
            plan.levels.append((price, lots, cash, fee))
        plan.complete = self._is_complete(order, plan)
        if order.tif is TimeInForce.FOK and not plan.complete:
            plan.refusal = self._no(order, "fok")
        elif not plan.levels and order.is_immediate and "ioc_no_match" in self._profile.texts:
            plan.refusal = self._no(order, "ioc_no_match")
        return plan

    def _walk(self, order: VenueOrder) -> Iterator[tuple[int, int, int]]:
        kernel, inst = self._kernel, order.instrument
        if kernel.in_gap(VENUE, order.market) or not kernel.has_book(VENUE, order.market):
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

    def _is_complete(self, order: VenueOrder, plan: Plan) -> bool:
        """Size orders: all lots. Quote orders: what is left of the money does not buy one more step at the last price."""
        if order.size_lots is not None:
            return plan.lots == order.left_lots
        if not plan.levels:
            return False
        last = order.outcome_price_i(plan.levels[-1][0])
        return order.instrument.lots_for(order.left_quote - plan.cash, last) == 0

    def _no(self, order: VenueOrder, rule: str) -> ExecError:
        return refuse(order.instrument.venue, self._profile, rule, order_id=order.id, market=order.instrument.market)

    def take(self, order: VenueOrder, plan: Plan, now_ns: int) -> Iterator[tuple[Fill, bool]]:
        """Carry a plan out: (fill, whether the order is done), money moved, ledger noted."""
        seq = self._kernel.last_seq(order.market)
        for at, (price, lots, cash, fee) in enumerate(plan.levels):
            self._kernel.consume(order.market, -order.side_sign, price, lots)
            fill = self._fill(
                order, now_ns, order.outcome_price_i(price), lots, cash, fee, Liquidity.TAKER, Cause.TAKER_WALK,
                Evidence.RECORDED, seq,
            )  # fmt: skip
            yield fill, plan.complete and at == len(plan.levels) - 1

    # ---------------------------------------------------------------- resting
    def rest(self, order: VenueOrder) -> int:
        """Queue what is left at the order's price; returns the kernel's number for it."""
        price = order.book_price_i
        assert price is not None
        return self._kernel.rest(order.market, order.side_sign, price, order.left_lots)

    def make(self, order: VenueOrder, own: OwnFill, row: Row) -> tuple[Fill, bool]:
        """A resting order was filled by a tape row at its own price."""
        price = order.outcome_price_i(own.price_i)
        cash = order.instrument.cash(price, own.lots)
        fee = order.instrument.fee(price, own.lots, cash, Liquidity.MAKER)
        inferred = bool(row.flags & Flag.INFERRED)
        evidence = Evidence.INFERRED if inferred else Evidence.RECORDED
        fill = self._fill(
            order, row.ts_ns, price, own.lots, cash, fee, Liquidity.MAKER, own.cause, evidence, row.seq, claimed=True
        )
        return fill, own.left == 0

    def shrink(self, order: VenueOrder, left_lots: int) -> None:
        """Fewer lots at the same price: the place in the queue is kept."""
        order.size_lots = order.filled_lots + left_lots
        order.left_lots = left_lots
        if order.slot is not None:
            self._kernel.shrink(order.slot, left_lots)
        self._claim_for(order)

    # ---------------------------------------------------------------- claims
    def claim_amount(self, order: VenueOrder, lots: int) -> int:
        """What `lots` of a resting order may cost at most, in the asset it pays."""
        if self._profile.shorting or order.price_i is None:
            return 0
        inst = order.instrument
        if order.side is Side.SELL:
            return inst.base_amount(lots)
        cash = inst.cash(order.price_i, lots, Rounding.CEIL)
        return cash + max(0, inst.fee(order.price_i, lots, cash, Liquidity.MAKER))

    def claim(self, order: VenueOrder, plan: Plan) -> ExecError | None:
        """Check the money for the whole order and reserve that of the part that will rest."""
        inst, account = order.instrument, self._account
        rests = not order.is_immediate
        claim = self.claim_amount(order, max(0, order.left_lots - plan.lots)) if rests else 0
        now = inst.base_amount(plan.lots) if order.side is Side.SELL else plan.cash + plan.fees
        needed = claim + now
        if not self._profile.shorting and needed > account.free(order.pays):
            asset = inst.quote if order.side is Side.BUY else inst.asset_of(order.outcome)
            return refuse(
                inst.venue, self._profile, "balance", asset=asset.name, free=asset.decimal(account.free(asset.name)),
                needed=asset.decimal(needed), order_id=order.id,
            )  # fmt: skip
        account.reserve(order.pays, claim)
        order.reserved_asset, order.reserved = order.pays, claim
        return None

    def release(self, order: VenueOrder) -> None:
        """Give back whatever the order still claims."""
        self._account.release(order.reserved_asset, order.reserved)
        order.reserved = 0

    def reclaim(self, order: VenueOrder) -> None:
        """Claim again what a failed amend gave back (nobody else ran in between, so it is there)."""
        claim = self.claim_amount(order, order.left_lots)
        self._account.reserve(order.pays, claim)
        order.reserved_asset, order.reserved = order.pays, claim

    def _claim_for(self, order: VenueOrder) -> None:
        keep = self.claim_amount(order, order.left_lots)
        self._account.release(order.reserved_asset, order.reserved - keep)
        order.reserved = keep

    # ---------------------------------------------------------------- money
    def _fill(
        self, order: VenueOrder, ts_ns: int, price_i: int, lots: int, cash: int, fee: int, liquidity: Liquidity,
        cause: Cause, evidence: Evidence, seq: int, claimed: bool = False,
    ) -> Fill:  # fmt: skip
        inst, ledger, trader = order.instrument, self._ledger, self._trader
        order.filled_lots += lots
        if order.size_lots is not None:
            order.left_lots -= lots
        else:
            order.left_quote -= cash
        if claimed:
            self._claim_for(order)
        buys = order.side is Side.BUY
        payer, payee = (trader, Ledger.STREET) if buys else (Ledger.STREET, trader)
        ledger.move(payer, payee, inst.quote.name, cash)
        ledger.move(payee, payer, inst.asset_of(order.outcome).name, inst.base_amount(lots))
        ledger.move(trader, Ledger.FEES, inst.quote.name, fee)
        fill_id = FillId(f"{order.venue_order_id}-{len(order.fills)}")
        signed = -cash if buys else cash
        return Fill(
            fill_id,
            order.id,
            ts_ns,
            order.side,
            order.outcome,
            price_i,
            lots,
            signed,
            fee,
            liquidity,
            cause,
            evidence,
            seq,
        )
