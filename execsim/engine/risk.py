"""May we take this risk? `RiskEngine.evaluate(RiskContext) -> RiskDecision`, all violations reported together.

A policy is a limit or a guard. **An order that reduces risk is never refused by a limit**, whichever limit it is: one of
position, order size, number of orders, value, loss. It is refused by guards (the order's price, rate, market data and venue,
the kill switch) and by what is halted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final, NamedTuple, Protocol, TypeVar

from execsim.core.order import Order
from execsim.core.units import Number, decimal_of

Signed = TypeVar("Signed", int, Decimal)


class RiskAction(StrEnum):
    """What a violation does, from the mildest to the strongest; the last three outlast the order (engine/halt.py)."""

    REJECT = "reject"
    """this order is refused"""
    REDUCE_ONLY = "reduce_only"
    """from now on only orders that reduce a position pass"""
    HALT = "halt"
    """from now on only cancels and `flatten` pass"""
    HALT_AND_CANCEL = "halt_and_cancel"
    """the same, and everything open is cancelled"""

    @property
    def rank(self) -> int:
        return RANKS[self]


RANKS: Final = {action: rank for rank, action in enumerate(RiskAction)}


class Measure(StrEnum):
    """What a policy reads of the context beyond position, size and what is open; measured only if some policy needs it. A
    standing policy has no order to measure: it reads ORDERS, RATE, PNL, DATA and HEALTH."""

    INVENTORY = "inventory"
    """inventory_value_usd, market_value_usd"""
    VALUE = "value"
    """order_value_usd"""
    ORDERS = "orders"
    """open_orders, market_open_orders"""
    PRICE = "price"
    """price, reference_price"""
    RATE = "rate"
    """order_times, market_order_times; the policy says in `orders_remembered` how many it looks back"""
    PNL = "pnl"
    """pnl, market_pnl"""
    OUTCOMES = "outcomes"
    """outcome_loss_usd"""
    DATA = "data"
    """data_age_ns, in_gap"""
    HEALTH = "health"
    """healthy"""


class Standing(StrEnum):
    """What a policy judges without an order: its action then takes effect although nobody trades."""

    ACCOUNT = "account"
    """the account (or the market the policy is bound to)"""
    MARKET = "market"
    """each market in which something is held or open"""


class Pnl(NamedTuple):
    """Net profit since the start in dollars, fees and open positions at their mark included: now, at its highest, and as
    it was last seen before the UTC day began."""

    now: Decimal
    peak: Decimal
    day_start: Decimal


@dataclass(slots=True)
class RiskContext:
    """What a policy judges: one order and the worst case around it.

    Sizes are in human units of the market (contracts, coins), exact decimals (numbers of other types are read as
    written), by their effect on the net YES position: buying NO is selling YES. `proposed_size` is signed, `open_buy`
    and `open_sell` are what open orders may still trade, both >= 0 and without this order. Money is in dollars: a unit of
    every quote asset counts as one. The rest is there when a policy needs it (Measure), None where it cannot be known.
    """

    market_id: str
    current_position: Decimal
    proposed_size: Decimal
    inventory_value_usd: Decimal = Decimal(0)
    """worth of everything held once this order and all open ones have traded at their worst"""
    open_buy: Decimal = Decimal(0)
    open_sell: Decimal = Decimal(0)
    now_ns: int = 0
    order: Order | None = None
    market_value_usd: Decimal = Decimal(0)
    """this market's part of inventory_value_usd"""
    order_value_usd: Decimal | None = Decimal(0)
    """size times price of this order; a market order counts at the touch"""
    open_orders: int = 0
    market_open_orders: int = 0
    """open orders of the account and of the market, without this one"""
    price: Decimal | None = None
    """YES price of this order; of a market order the touch"""
    reference_price: Decimal | None = None
    """YES price its price is held against: the mid, else the only side there is, else our last execution"""
    order_times: Sequence[int] = ()
    market_order_times: Sequence[int] = ()
    """when the last orders passed (ns, ascending), of the account and of the market"""
    pnl: Pnl | None = None
    market_pnl: Pnl | None = None
    outcome_loss_usd: Decimal | None = None
    """loss of the market's event in its worst outcome, this order and open ones filled where that hurts"""
    data_age_ns: int | None = None
    """time since the last row of the market reached us"""
    in_gap: bool = False
    healthy: bool = True
    """whether the venue of the market answers"""

    def __post_init__(self) -> None:
        # one test each, written out: this runs for every order
        if type(self.current_position) is not Decimal:
            self.current_position = _exact(self.current_position, "current_position")
        if type(self.proposed_size) is not Decimal:
            self.proposed_size = _exact(self.proposed_size, "proposed_size")
        if type(self.inventory_value_usd) is not Decimal:
            self.inventory_value_usd = _exact(self.inventory_value_usd, "inventory_value_usd")
        if type(self.open_buy) is not Decimal:
            self.open_buy = _exact(self.open_buy, "open_buy")
        if type(self.open_sell) is not Decimal:
            self.open_sell = _exact(self.open_sell, "open_sell")

    @property
    def worst_position(self) -> Decimal:
        """Position if this order and every open order of its side fill completely."""
        if self.proposed_size >= 0:
            return self.current_position + self.open_buy + self.proposed_size
        return self.current_position - self.open_sell + self.proposed_size

    @property
    def reducing(self) -> bool:
        """Whether |position + all open reducing orders + this one| shrinks and never crosses zero (design §10)."""
        return reduces(self.current_position, self.proposed_size, self.open_buy, self.open_sell)


def _exact(value: Number, what: str) -> Decimal:
    return decimal_of(value, what)


def reduces(position: Signed, proposed: Signed, open_buy: Signed, open_sell: Signed) -> bool:
    """Whether trading `proposed` (signed) shrinks the position and, with all open orders of its side, never crosses zero."""
    if position > 0 > proposed:
        return position - open_sell + proposed >= 0
    if position < 0 < proposed:
        return position + open_buy + proposed <= 0
    return False


@dataclass(frozen=True, slots=True)
class PolicyTraits:
    """What kind of rule a policy is.

    `limit`: an order that reduces risk passes it, whatever it says. `needs`: what it reads of the context. `standing`: what
    it judges without an order, if anything. `resends`: it looks once more at an order that had to wait for its turn.
    `flatten`: it binds the orders of `flatten` too.
    """

    limit: bool
    needs: frozenset[Measure] = frozenset()
    standing: Standing | None = None
    resends: bool = False
    flatten: bool = False


class Policy(Protocol):
    """One rule of risk. `market_id` None: every market; it is asked about orders of its own market only."""

    @property
    def name(self) -> str: ...

    @property
    def traits(self) -> PolicyTraits: ...

    @property
    def action(self) -> RiskAction: ...

    @property
    def market_id(self) -> str | None: ...

    def violation(self, ctx: RiskContext) -> str | None:
        """What is violated, with both numbers, or None. Pure. A standing policy must not read the order."""


@dataclass(frozen=True, slots=True)
class Breach:
    """A policy that was violated, and what it asks for (in `market_id` only, if the policy is bound to one)."""

    policy: str
    action: RiskAction
    market_id: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class RiskDecision:
    """`violated_policies` are the names of those that refuse the order, in policy order, `reasons` the sentences that go
    with them, `action` the strongest thing any of `breaches` asks for. Breaches of standing policies are there even where
    the order itself passes because it reduces risk."""

    allowed: bool
    violated_policies: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    breaches: tuple[Breach, ...] = ()

    @property
    def action(self) -> RiskAction | None:
        """None when nothing is violated."""
        return max((breach.action for breach in self.breaches), key=RANKS.__getitem__, default=None)


ALLOWED: Final = RiskDecision(True)


class Rules:
    """The policies that apply to one market, and what they need to know."""

    __slots__ = ("checks", "flatten", "needs", "policies", "resends", "standing")

    def __init__(self, policies: Iterable[Policy]) -> None:
        self.policies = tuple(policies)
        self.checks = tuple(policy.violation for policy in self.policies)
        self.needs = needs(self.policies)
        self.resends = tuple(policy for policy in self.policies if policy.traits.resends)
        self.flatten = tuple(policy for policy in self.policies if policy.traits.flatten)
        self.standing = tuple(
            policy for policy in self.policies if policy.traits.standing is Standing.MARKET and lasts(policy.action)
        )
        """what acts by itself on the state of a market"""


def needs(policies: Iterable[Policy]) -> tuple[Measure, ...]:
    """Everything the policies read, once each."""
    read = {measure for policy in policies for measure in policy.traits.needs}
    return tuple(measure for measure in Measure if measure in read)


def lasts(action: RiskAction) -> bool:
    """Whether an action outlasts the order that caused it."""
    return action is not RiskAction.REJECT


class RiskEngine:
    """Evaluates every policy that applies to an order's market; an empty list allows everything."""

    def __init__(self, policies: Sequence[Policy] = ()) -> None:
        self.policies: tuple[Policy, ...] = tuple(policies)
        named = dict.fromkeys(policy.market_id for policy in self.policies if policy.market_id is not None)
        self._bound = {
            market: Rules(policy for policy in self.policies if policy.market_id in (None, market)) for market in named
        }
        self._anywhere = Rules(policy for policy in self.policies if policy.market_id is None)
        self.needs = needs(self.policies)
        self.account = tuple(
            policy for policy in self.policies if policy.traits.standing is Standing.ACCOUNT and lasts(policy.action)
        )
        """what acts by itself on the state of the account, or of its own market"""
        self.acts = bool(self.account) or any(rules.standing for rules in (*self._bound.values(), self._anywhere))
        """whether anything acts without an order"""
        self.orders_remembered = max((getattr(policy, "orders_remembered", 0) for policy in self.policies), default=0)
        """how many earlier orders some policy looks back on"""

    def rules(self, market: str) -> Rules:
        """What applies to a market."""
        return self._bound.get(market, self._anywhere)

    def evaluate(self, ctx: RiskContext) -> RiskDecision:
        """Judge one order. Pure: the same context gives the same decision."""
        rules = self._bound.get(ctx.market_id, self._anywhere)
        for check in rules.checks:
            if check(ctx) is not None:
                return judge(rules.policies, ctx)
        return ALLOWED


def judge(policies: Iterable[Policy], ctx: RiskContext) -> RiskDecision:
    """Judge one order by these policies, each of which applies to its market."""
    reducing = ctx.reducing
    refused: list[Breach] = []
    breaches: list[Breach] = []
    for policy in policies:
        reason = policy.violation(ctx)
        if reason is None:
            continue
        breach = Breach(policy.name, policy.action, policy.market_id, reason)
        spared = reducing and policy.traits.limit
        if not spared:
            refused.append(breach)
        if not spared or policy.traits.standing is not None:
            breaches.append(breach)
    if not breaches:
        return ALLOWED
    names, reasons = tuple(breach.policy for breach in refused), tuple(breach.reason for breach in refused)
    return RiskDecision(not refused, names, reasons, tuple(breaches))
