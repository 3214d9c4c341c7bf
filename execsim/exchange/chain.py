"""Two-phase fills: a match is a promise; the chain mines it, confirms it, or fails it, and then the fill never was.

    matched ──▶ mined ──▶ confirmed          what was bought is usable from `mined` on
        └─────▶ (retried) ──▶ failed         money, tokens and fee go back on both sides; the lots are gone from the order

Source: polymarket.md sections 5.3 (MATCHED, MINED, CONFIRMED, RETRYING, FAILED) and 12 (ghost fills: py-clob-client-v2 #34,
py-clob-client #338: matched, then 10 to 50 s later failed on chain; selling just-bought shares fails meanwhile).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from execsim.core.errors import ConfigError
from execsim.core.events import FillSettled, FillVoided, VenueEvent
from execsim.core.order import Fill, FillStatus, OrderStatus, Side
from execsim.exchange.account import Ledger
from execsim.exchange.latency import Latency, Leg
from execsim.exchange.resting import VenueOrder
from execsim.exchange.trace import NoTrace, Trace
from execsim.ports import Priority, Rng, Runtime, Timer

MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class ChainModel:
    """`mined` from match to block, `confirmed` from block to final, `failed` from match to the news of a failure.
    `fail_per_million` matches fail. Failures are drawn one by one; real ones come in bursts (see the fault voided_fill).
    """

    mined: Latency
    confirmed: Latency
    failed: Latency
    fail_per_million: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.fail_per_million <= MILLION:
            raise ConfigError(f"fail_per_million {self.fail_per_million}", "a share of a million: 0 to 1000000")


@dataclass(slots=True)
class Pending:
    """A fill under way: what it gave and is not usable yet, and how it is going to end."""

    order: VenueOrder
    fill: Fill
    fails: bool
    timer: Timer | None = None
    mined: bool = False


@dataclass(slots=True)
class ChainCounts:
    """How matches ended so far."""

    matched: int = 0
    mined: int = 0
    confirmed: int = 0
    failed: int = 0


class Chain:
    """Settles the matches of one venue. `undo(order, fill)` moves money and tokens back."""

    def __init__(
        self,
        runtime: Runtime,
        ledger: Ledger,
        model: ChainModel,
        venue_id: str,
        tell: Callable[[str, VenueEvent], None],
        undo: Callable[[VenueOrder, Fill], None],
        trace: Trace | None = None,
    ) -> None:
        self._runtime = runtime
        self._ledger = ledger
        self._model = model
        self._tell = tell
        self._undo = undo
        self._trace = trace or NoTrace()
        self._rng: Rng = runtime.rng(f"{venue_id}.chain")
        self._mined = Leg(model.mined, runtime.rng(f"{venue_id}.chain.mined"))
        self._confirmed = Leg(model.confirmed, runtime.rng(f"{venue_id}.chain.confirmed"))
        self._failed = Leg(model.failed, runtime.rng(f"{venue_id}.chain.failed"))
        self._pending: dict[str, Pending] = {}
        self.fail_next: Callable[[], bool] | None = None
        """a fault that decides whether the next match fails"""
        self.counts = ChainCounts()

    @property
    def pending(self) -> list[Pending]:
        """Fills that are neither confirmed nor failed, oldest first."""
        return list(self._pending.values())

    def settle(self, order: VenueOrder, fill: Fill) -> None:
        """Start settling a match: what it gave cannot be used yet."""
        fails = self._rng.below(MILLION) < self._model.fail_per_million
        if self.fail_next is not None and self.fail_next():
            fails = True
        self.counts.matched += 1
        asset, units = self._given(order, fill)
        self._ledger[order.account].unsettled[asset] += units
        one = Pending(order, fill, fails)
        self._pending[fill.id] = one
        leg, then = (self._failed, self._fail) if fails else (self._mined, self._mine)
        at_ns = leg.arrival_ns(self._runtime.now_ns())
        one.timer = self._runtime.call_at(at_ns, then, one, priority=Priority.VENUE)

    def finish(self, market: int) -> None:
        """The market pays out: what is under way in it ends now, as it was going to."""
        for one in [p for p in self._pending.values() if p.order.market == market]:
            if one.timer is not None:
                one.timer.cancel()
            if one.fails:
                self._fail(one)
            else:
                if not one.mined:
                    self._mine(one)
                if one.timer is not None:
                    one.timer.cancel()
                self._confirm(one)

    def _given(self, order: VenueOrder, fill: Fill) -> tuple[str, int]:
        """What the fill gave its owner: tokens of a buy, money of a sell (its fee is paid from it)."""
        inst = order.instrument
        if fill.side is Side.BUY:
            return inst.asset_of(fill.outcome).name, inst.base_amount(fill.lots)
        return inst.quote.name, max(0, fill.cash - fill.fee)

    def _unlock(self, one: Pending) -> None:
        asset, units = self._given(one.order, one.fill)
        self._ledger[one.order.account].unsettled[asset] -= units

    def _mine(self, one: Pending) -> None:
        self._unlock(one)
        one.mined = True
        self.counts.mined += 1
        self._stage(one, FillStatus.MINED)
        at_ns = self._confirmed.arrival_ns(self._runtime.now_ns())
        one.timer = self._runtime.call_at(at_ns, self._confirm, one, priority=Priority.VENUE)

    def _confirm(self, one: Pending) -> None:
        del self._pending[one.fill.id]
        self.counts.confirmed += 1
        self._stage(one, FillStatus.CONFIRMED)

    def _stage(self, one: Pending, status: FillStatus) -> None:
        now_ns = self._runtime.now_ns()
        self._replace(one, status)
        self._trace.order(status.value, one.order, fill_id=one.fill.id)
        self._tell(one.order.account, FillSettled(one.fill.id, one.order.id, status, now_ns))

    def _fail(self, one: Pending) -> None:
        order, fill = one.order, one.fill
        self._unlock(one)
        del self._pending[fill.id]
        self.counts.failed += 1
        self._undo(order, fill)
        order.filled_lots -= fill.lots
        order.voided_lots += fill.lots
        if order.status is OrderStatus.FILLED:
            order.status = OrderStatus.CANCELLED
        self._replace(one, FillStatus.VOIDED)
        self._trace.order("voided", order, fill_id=fill.id)
        self._tell(order.account, FillVoided(fill.id, order.id, self._runtime.now_ns()))

    @staticmethod
    def _replace(one: Pending, status: FillStatus) -> None:
        """The venue's own record of the fill follows."""
        fills = one.order.fills
        at = next(i for i, fill in enumerate(fills) if fill.id == one.fill.id)
        fills[at] = one.fill = replace(fills[at], status=status)
