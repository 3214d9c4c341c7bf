"""What resting orders claim of their account: money is set aside when an order is booked, and given back when it ends."""

from __future__ import annotations

from execsim.core.errors import ExecError
from execsim.core.fees import Liquidity
from execsim.core.order import Fill, Side
from execsim.core.units import Rounding
from execsim.exchange.account import Account, Ledger
from execsim.exchange.plan import Plan
from execsim.exchange.refusal import refuse
from execsim.exchange.resting import VenueOrder
from execsim.ports import VenueProfile


class Claims:
    """Reservations of every account of a venue. An order holds one claim at a time, in the asset it pays with."""

    def __init__(self, ledger: Ledger, profile: VenueProfile) -> None:
        self._ledger = ledger
        self._profile = profile

    def _account(self, order: VenueOrder) -> Account:
        return self._ledger[order.account]

    def amount(self, order: VenueOrder, lots: int) -> int:
        """What `lots` of a resting order may cost at most, in the asset it pays."""
        if self._profile.shorting or order.price_i is None:
            return 0
        inst = order.instrument
        if order.side is Side.SELL:
            return inst.base_amount(lots)
        price_i = order.price_i if order.hold_price_i is None else order.hold_price_i
        cash = inst.cash(price_i, lots, Rounding.CEIL)
        return cash + max(0, inst.fee(price_i, lots, cash, Liquidity.MAKER, ts_ns=order.booked_ns))

    def needed(self, order: VenueOrder, plan: Plan) -> int:
        """What the order costs now and may cost later: taking by `plan`, then resting with the rest."""
        return self._resting(order, plan) + self._taking(order, plan)

    def _resting(self, order: VenueOrder, plan: Plan) -> int:
        return 0 if order.is_immediate else self.amount(order, max(0, order.left_lots - plan.lots))

    @staticmethod
    def _taking(order: VenueOrder, plan: Plan) -> int:
        return order.instrument.base_amount(plan.lots) if order.side is Side.SELL else plan.cash + plan.fees

    def check(self, order: VenueOrder, plan: Plan) -> ExecError | None:
        """Why the account cannot pay for the order, or None."""
        account = self._account(order)
        needed, free, approved = self.needed(order, plan), account.free(order.pays), account.approved(order.pays)
        if self._profile.shorting or (needed <= free and (approved is None or needed <= approved)):
            return None
        rule = "balance" if needed > free else "allowance"
        free = free if approved is None or needed > free else approved
        inst = order.instrument
        asset = inst.quote if order.side is Side.BUY else inst.asset_of(order.outcome)
        return refuse(
            inst.venue, self._profile, rule, asset=asset.name, free=asset.decimal(free),
            needed=asset.decimal(needed), order_id=order.id,
        )  # fmt: skip

    def spent(self, order: VenueOrder, fill: Fill, sign: int = 1) -> None:
        """A fill of the order uses up what its account allows; sign -1: the fill failed on chain. A fee of a sale is taken
        from its proceeds."""
        buys = order.side is Side.BUY
        amount = abs(fill.cash) + max(0, fill.fee) if buys else order.instrument.base_amount(fill.lots)
        self._account(order).taken(order.pays, sign * amount)

    def hold(self, order: VenueOrder, plan: Plan) -> None:
        """Set the whole cost aside (an order that waits out a delay): `check` has said that it is there."""
        self._reserve(order, 0 if self._profile.shorting else self.needed(order, plan))

    def claim(self, order: VenueOrder, plan: Plan) -> None:
        """Reserve for the part that will rest: `check` has said that it is there."""
        self._reserve(order, self._resting(order, plan))

    def keep(self, order: VenueOrder) -> None:
        """Give back what the order, now smaller, does not need any more."""
        keep = self.amount(order, order.left_lots)
        self._account(order).release(order.reserved_asset, order.reserved - keep)
        order.reserved = keep

    def release(self, order: VenueOrder) -> None:
        """Give back whatever the order still claims."""
        self._account(order).release(order.reserved_asset, order.reserved)
        order.reserved = 0

    def restore(self, order: VenueOrder) -> None:
        """Claim again what a failed amend gave back (nobody else ran in between, so it is there)."""
        self._reserve(order, self.amount(order, order.left_lots))

    def _reserve(self, order: VenueOrder, amount: int) -> None:
        self._account(order).reserve(order.pays, amount)
        order.reserved_asset, order.reserved = order.pays, amount
