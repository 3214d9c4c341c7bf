"""Risk as the engine applies it: the policies judge an order, what they ask for takes effect, what is halted stays so.

    refusal(order)     before it is tracked: every policy of its market, and what is halted
    objection(entry)   before it is sent (again): what is halted, and the guards that must not have changed meanwhile
    look()             without an order: after fills and payouts, and as often as `ExecutionEngine.watch_risk` says

Nothing here awaits. An order of `flatten` passes everything but the policies that say otherwise (PriceBand).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from execsim.core.errors import RiskRejected
from execsim.core.order import Order, OrderId
from execsim.engine.halt import Halt, Halts
from execsim.engine.losses import ACCOUNT, NOTE
from execsim.engine.measures import Measures
from execsim.engine.policies.switch import KillSwitch
from execsim.engine.portfolio import Portfolio
from execsim.engine.risk import (
    Breach,
    Measure,
    Policy,
    RiskAction,
    RiskContext,
    RiskDecision,
    RiskEngine,
    judge,
    needs,
    reduces,
)
from execsim.engine.track import Entry, OrderTracker
from execsim.engine.view import LiveView


class Guard:
    """`checks` False (EngineConfig.enable_risk_checks) leaves the policies out; what is halted or killed binds in any case.

    `cancel(market)` cancels everything open (of a market), `note(key, text)` keeps a fact beside the journal.
    """

    def __init__(
        self,
        checks: bool,
        view: LiveView,
        tracker: OrderTracker,
        portfolio: Portfolio,
        halts: Halts,
        note: Callable[[str, str], None],
    ) -> None:
        self.halts = halts
        self.risk = RiskEngine()
        self.measures = Measures(view, tracker, portfolio)
        self.cancel: Callable[[str | None], None] = lambda market: None
        self._checks = checks
        self._view = view
        self._tracker = tracker
        self._portfolio = portfolio
        self._note = note
        self._flattening: set[OrderId] = set()

    # --- setting up -----------------------------------------------------------------------------------------------

    def set_risk(self, risk: RiskEngine) -> None:
        """Judge by these policies from now on. What the former ones halted stays so until it is resumed."""
        self.risk = risk
        self.measures.remember(risk.orders_remembered)
        if Measure.PNL in risk.needs:
            bound = [policy.market_id for policy in risk.policies if Measure.PNL in policy.traits.needs]
            followed = [market for market in bound if market is not None and self._view.trades(market)]
            self.measures.followed = frozenset(followed)
            self.measures.losses.start((ACCOUNT, *followed), self._view.now_ns())
        for policy in risk.policies:
            if isinstance(policy, KillSwitch) and policy.enabled:
                self._switch(policy)

    def kill(self, reason: str) -> None:
        """Only cancels and `flatten` pass from now on, and everything open is cancelled. Final for this engine."""
        self.halts.kill(reason)
        self.cancel(None)

    def resume(self, reason: str, market: str | None = None) -> tuple[Halt, ...]:
        """End what is halted; returns it. Drawdowns count anew from here. Errors: as Halts.resume."""
        ended = self.halts.resume(reason, market)
        if ended and Measure.PNL in self.risk.needs:
            self.measures.losses.forget_peak(market)
        return ended

    def exempt(self, order_id: OrderId) -> None:
        """This order belongs to `flatten`."""
        # forget those that are over: what is never sent again needs no exemption
        self._flattening = {known for known in self._flattening if self._alive(known)}
        self._flattening.add(order_id)

    # --- orders ---------------------------------------------------------------------------------------------------

    def refusal(self, order: Order, lots: int, replaced: Entry | None = None) -> RiskRejected | None:
        """Why `lots` of an order may not be sent, everything open counted; None if they may. `replaced`: it takes the place
        of this one. What the policies ask for beyond this order has taken effect when it returns."""
        rules = self.risk.rules(order.instrument.market)
        if order.id in self._flattening:
            if not self._checks or not rules.flatten:
                return None
            ctx = self.measures.of_order(order, lots, needs(rules.flatten), replaced)
            return _error(judge(rules.flatten, ctx), None)
        decision, before = RiskDecision(True), self.halts.of(order.instrument.market)
        if self._checks and rules.policies:
            decision = self.risk.evaluate(self.measures.of_order(order, lots, rules.needs, replaced))
            self._impose(decision.breaches)
        counted = 0 if replaced is None else replaced.counted_lots
        halt = self._binding(order, lots, counted)
        if halt is not before and halt is not None and halt.policy in decision.violated_policies:
            halt = None  # what this order itself has halted is among its reasons
        return _error(decision, halt)

    def amend_refusal(self, candidate: Order, lots: int, entry: Entry) -> RiskRejected | None:
        """As `refusal`, for the order `entry` as it would be after an amend, `lots` of it still to trade. Limits judge it
        only if it grows or pays more: what makes an order smaller or safer takes no risk."""
        market = candidate.instrument.market
        if lots > entry.counted_lots or _costlier(candidate, entry.order):
            return self.refusal(candidate, lots, entry)
        decision = RiskDecision(True)
        guards = [policy for policy in self.risk.rules(market).policies if not policy.traits.limit]
        if self._checks and guards:
            decision = judge(guards, self.measures.of_order(candidate, lots, needs(guards), entry))
            self._impose(decision.breaches)
        return _error(decision, self._binding(candidate, lots, entry.counted_lots))

    def passed(self, order: Order) -> None:
        """The order passed all checks."""
        self.measures.passed(order.instrument.market)

    def objection(self, entry: Entry) -> RiskRejected | None:
        """Why a tracked order must not be sent now."""
        order = entry.order
        if order.id in self._flattening:
            return None
        decision = RiskDecision(True)
        resends = self.risk.rules(order.instrument.market).resends
        if self._checks and resends and self._view.now_ns() != order.created_ns:
            ctx = self.measures.of_order(order, entry.counted_lots, needs(resends), entry)
            decision = judge(resends, ctx)
            self._impose(decision.breaches)
        return _error(decision, self._binding(order, entry.counted_lots, entry.counted_lots))

    # --- without an order -----------------------------------------------------------------------------------------

    def look(self) -> None:
        """Let the policies that act by themselves look at the account and at every market in which something is held or
        open. No effect once killed."""
        if not self.risk.acts or not self._checks or self.halts.kill_reason is not None:
            return
        measures, view = self.measures, self._view
        for policy in self.risk.account:
            scope = policy.market_id or ACCOUNT
            if scope == ACCOUNT or view.trades(scope):
                self._heed(policy, measures.of_state(scope, policy.traits.needs))
        for market in dict.fromkeys((*self._portfolio.held, *self._tracker.open_markets)):
            standing = self.risk.rules(market).standing
            if standing:
                ctx = measures.of_state(market, needs(standing))
                for policy in standing:
                    self._heed(policy, ctx)
        if Measure.PNL in self.risk.needs:
            state = measures.losses.state()
            if state is not None:
                self._note(NOTE, state)

    # --- pieces ---------------------------------------------------------------------------------------------------

    def _heed(self, policy: Policy, ctx: RiskContext) -> None:
        reason = policy.violation(ctx)
        if reason is not None:
            self._impose([Breach(policy.name, policy.action, policy.market_id, reason)])

    def _impose(self, breaches: Iterable[Breach]) -> None:
        """Let breaches take effect, the strongest first."""
        for breach in sorted(breaches, key=lambda breach: -breach.action.rank):
            # an enabled KillSwitch was obeyed when the policies were set: it is no news at every order
            if breach.policy == KillSwitch.name:
                continue
            stricter = self.halts.impose(breach.action, breach.policy, breach.market_id, breach.reason)
            if stricter and breach.action is RiskAction.HALT_AND_CANCEL:
                self.cancel(breach.market_id)

    def _switch(self, policy: KillSwitch) -> None:
        reason = "the kill switch is on in the risk policies"
        if policy.market_id is None:
            self.kill(reason)
        else:
            self.halts.impose(policy.action, policy.name, policy.market_id, reason)
            self.cancel(policy.market_id)

    def _binding(self, order: Order, lots: int, counted: int) -> Halt | None:
        """What is halted, if it stops this order. `counted`: lots of it that open orders hold already."""
        if not self.halts:
            return None
        market = order.instrument.market
        halt = self.halts.of(market)
        if halt is None or not halt.reduces:
            return halt
        buys, sells = self._view.open_lots(market)
        sign = order.book_side.sign
        buys, sells = (buys - counted, sells) if sign > 0 else (buys, sells - counted)
        return None if reduces(self._view.position(market).net_lots, sign * lots, buys, sells) else halt

    def _alive(self, order_id: OrderId) -> bool:
        entry = self._tracker.find(order_id)
        return entry is not None and entry.order.is_active


def _error(decision: RiskDecision, halt: Halt | None) -> RiskRejected | None:
    names, reasons = decision.violated_policies, decision.reasons
    if halt is not None:
        if halt.policy not in names:
            names = (*names, halt.policy)
        elif halt.policy == KillSwitch.name:  # the policy has said so
            return RiskRejected(names, "; ".join(reasons))
        reasons = (*reasons, halt.message)
    return RiskRejected(names, "; ".join(reasons)) if names else None


def _costlier(candidate: Order, order: Order) -> bool:
    """Whether the amended order pays more (or asks less) than before."""
    before, after = order.price_i, candidate.price_i
    if before is None or after is None:
        return before is not after
    return order.side.sign * (after - before) > 0
