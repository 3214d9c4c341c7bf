"""One parent order being worked, whatever the algorithm: its life, its children's ends, pause, cancel, and the report.

    tactic (what to place now) ── place ──▶ ctx ──▶ venue
        ▲                                            │ updates, tops, prints, timers
        └──────────────── step() ◀───────────────────┘

`step` is plain code: it looks at the children, decides, and acts; everything that happens leads to it. What keeps the lots
exact is here: a child that ended is settled only when the venue has been asked and has no fill we do not know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final, Protocol

from execsim.core.errors import ConfigError, ExecError, InternalError, JournalError, OrderNotFound
from execsim.core.events import OrderUpdate, Top, Trade
from execsim.core.instrument import Outcome
from execsim.core.order import FillStatus, Order, OrderStatus, OrderType, Side, TimeInForce
from execsim.core.units import NS_PER_S, plain
from execsim.ports import Stream, Task
from execsim.strategy.algos.benchmark import Benchmark, basis_points, slippage
from execsim.strategy.algos.parent import Child, Parent
from execsim.strategy.algos.tactics import State, Tactics, Voids

if TYPE_CHECKING:
    from execsim.engine.context import Context

SETTLE_LOOK_NS: Final = NS_PER_S
"""How often provisional fills are looked at while nothing else is left to do."""
LAST_ASKS_MAX: Final = 5
"""While stopping, an ended child that cannot be asked about (the venue is silent) is believed after so many tries."""

TIME_OVER: Final = "the time is over"

CANCELLABLE: Final = frozenset({OrderStatus.PENDING, OrderStatus.SUBMITTING, OrderStatus.WORKING, OrderStatus.UNKNOWN})
"""States in which a cancel is worth sending."""


class Tactic(Protocol):
    """What differs from algorithm to algorithm."""

    def act(self, execution: Execution) -> int | None:
        """Place, move or cancel what is due. Returns when to look again at the latest (ns), None: when something happens.

        Must size children from `parent.room_lots` and by no more than `cap_lots` allows."""

    def unplaceable(self, execution: Execution) -> str:
        """Why what is left can never be placed ("" when it can)."""

    def hear(self, trade: Trade) -> bool:
        """A print of one of the markets; True when that may change what is due."""

    def told(self, update: OrderUpdate, child: Child) -> None:
        """News of a child, before `act` is asked."""


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a parent order. Sizes and prices in human units; slippage > 0 cost us money, per unit of size.

    `excess_lots` > 0 means a venue filled what it had called ended, after we had asked.
    """

    algo: str
    markets: tuple[str, ...]
    side: Side
    outcome: Outcome
    state: State
    reason: str
    lots: int
    done_lots: int
    left_lots: int
    voided_lots: int
    excess_lots: int
    size: Decimal
    done: Decimal
    avg_price: Decimal | None
    fees: Decimal
    children: int
    start_ns: int
    end_ns: int
    arrival: Decimal | None
    vwap: Decimal | None
    prints: int
    inferred: int

    @property
    def slippage_arrival(self) -> Decimal | None:
        return slippage(self.avg_price, self.arrival, self.side.sign)

    @property
    def slippage_vwap(self) -> Decimal | None:
        return slippage(self.avg_price, self.vwap, self.side.sign)

    def row(self) -> dict[str, str | int | None]:
        """As one row of the run's summary: decimals as text, None where there is nothing to compare with."""
        prices = {
            "avg_price": self.avg_price, "arrival": self.arrival, "slippage_arrival": self.slippage_arrival,
            "slippage_arrival_bp": basis_points(self.slippage_arrival, self.arrival), "vwap": self.vwap,
            "slippage_vwap": self.slippage_vwap, "slippage_vwap_bp": basis_points(self.slippage_vwap, self.vwap),
        }  # fmt: skip
        return {
            "algo": self.algo, "market": " + ".join(self.markets), "side": str(self.side), "outcome": str(self.outcome),
            "state": str(self.state), "reason": self.reason, "size": plain(self.size), "done": plain(self.done),
            "left_lots": self.left_lots, "voided_lots": self.voided_lots, "excess_lots": self.excess_lots,
            "children": self.children, "fees": plain(self.fees),
            **{name: None if price is None else plain(round(price, 8)) for name, price in prices.items()},
            "prints": self.prints, "inferred_prints": self.inferred, "duration_ns": self.end_ns - self.start_ns,
        }  # fmt: skip


class Execution:
    """Starts when it is made. `lot`: size of one lot of the parent; `weights`: market -> lots of the parent in one lot of
    that market (1 where there is one market). `duration_ns`: time (pauses not counted) after which it ends by itself."""

    def __init__(
        self,
        ctx: Context,
        algo: str,
        tactic: Tactic,
        *,
        side: Side,
        outcome: Outcome,
        lots: int,
        lot: Decimal,
        weights: Mapping[str, int],
        tactics: Tactics,
        duration_ns: int | None,
    ) -> None:
        if duration_ns is not None and duration_ns <= 0:
            raise ConfigError(f"{algo}: duration_ns is {duration_ns}", "it must be positive nanoseconds")
        self.ctx = ctx
        self.algo = algo
        self.side = side
        self.outcome = outcome
        self.tactics = tactics
        self.parent = Parent(lots, rework=tactics.voids is Voids.REWORK)
        self.weights = dict(weights)
        self.state = State.WORKING
        self.reason = ""
        self.duration_ns = duration_ns
        self.refusals = dict.fromkeys(weights, 0)
        """market -> refusals in a row"""
        self.blocked_ns = dict.fromkeys(weights, 0)
        """market -> no new child before then"""
        self.start_ns = ctx.now_ns
        self.end_ns: int | None = None
        self._tactic = tactic
        self._lot = lot
        self._ending: State | None = None
        self._paused_at: int | None = None
        self._paused_ns = 0
        self._late = False
        self._peak = 0
        self._cap = lots
        self._idle_since: int | None = None
        self._open_markets = set(weights)
        self._timer: Task | None = None
        self._timer_ns = 0
        self._benchmark = Benchmark({market: ctx.instrument(market) for market in weights}, outcome)
        self._updates = ctx.updates()
        self._tops = {market: ctx.top(market, sizes=False) for market in weights}
        self._prints = {market: ctx.trades(market) for market in weights}
        for market in weights:
            self._benchmark.see(ctx.best(market))
            ctx.spawn(self._follow(market), f"{algo} {market} top")
            ctx.spawn(self._listen(market), f"{algo} {market} prints")
        self._task = ctx.spawn(self._watch(), f"{algo} updates")
        self._wake_at(self.start_ns)

    # --- what a user does with it -----------------------------------------------------------------------------------

    async def wait(self) -> Report:
        """Until it has ended, by itself or not."""
        await self._task.join()
        return self.report()

    async def cancel(self) -> Report:
        """Pull every child, wait until each has ended, and say what was done. After the end: the report as it stands."""
        self.stop(State.CANCELLED, "cancelled")
        return await self.wait()

    def pause(self) -> None:
        """Pull what rests and place nothing. The algorithm's clock stands still. No effect unless it is working."""
        if self.state is State.WORKING:
            self.state = State.PAUSED
            self._paused_at = self.ctx.now_ns
            self.step()

    def resume(self) -> None:
        """Go on where `pause` stopped the clock. No effect unless it is paused."""
        if self.state is State.PAUSED and self._paused_at is not None:
            self._paused_ns += self.ctx.now_ns - self._paused_at
            self._paused_at = None
            self.state = State.WORKING
            self.step()

    def stop(self, ending: State, reason: str) -> None:
        """As `cancel`, at once and without waiting, ending in `ending`. The first reason stays."""
        if self.state.is_end or self._ending is not None:
            return
        if self._paused_at is not None:
            self._paused_ns += self.ctx.now_ns - self._paused_at
            self._paused_at = None
        self._ending, self.reason, self.state = ending, reason, State.STOPPING
        self.step()

    @property
    def lots(self) -> int:
        return self.parent.lots

    @property
    def done_lots(self) -> int:
        if self.state.is_end:
            self.parent.recount()
        return self.parent.done_lots

    @property
    def left_lots(self) -> int:
        return max(0, self.lots - self.done_lots)

    @property
    def open_lots(self) -> int:
        """What children may still trade, in lots of the parent."""
        return self.parent.open_lots

    @property
    def avg_price(self) -> Decimal | None:
        return self.parent.avg_price

    def report(self) -> Report:
        """How it stands now; what was voided after the end is told."""
        parent, seen = self.parent, self._benchmark
        done, state, reason = self.done_lots, self.state, self.reason
        if state is State.DONE and done < parent.lots:
            state, reason = State.SHORT, f"{parent.lots - done} lots were voided after the end"
        return Report(
            self.algo, tuple(self.weights), self.side, self.outcome, state, reason, parent.lots, done,
            max(0, parent.lots - done), parent.voided_lots, max(0, done - parent.lots), parent.lots * self._lot,
            parent.size, parent.avg_price, parent.fees, len(parent.children), self.start_ns,
            self.ctx.now_ns if self.end_ns is None else self.end_ns, seen.arrival, seen.vwap, seen.prints, seen.inferred,
        )  # fmt: skip

    # --- what a tactic does with it ---------------------------------------------------------------------------------

    def elapsed_ns(self) -> int:
        """Time since the start, pauses not counted."""
        now_ns = self.ctx.now_ns if self._paused_at is None else self._paused_at
        return now_ns - self.start_ns - self._paused_ns

    @property
    def cap_lots(self) -> int:
        """Most that may be done or reserved: the parent, or once its time is over what had been done by then (a void
        leaves room below it)."""
        return self._cap

    @property
    def room_lots(self) -> int:
        """What new children may be sized from, under the cap."""
        parent = self.parent
        return max(0, min(parent.room_lots, self._cap - parent.done_lots - parent.open_lots))

    def place(
        self, market: str, price_i: int, lots: int, *, type: OrderType, tif: TimeInForce, rests: bool, tag: str = ""
    ) -> Child:
        """Send a child of `lots` (of its market). Errors: InternalError when it would exceed the room."""
        weight = self.weights[market]
        if lots * weight > self.room_lots:
            raise InternalError(f"{self.algo}: a child of {lots * weight} lots with room for {self.room_lots}")
        order = self.ctx.place_i(
            market, self.side, price_i, lots, type=type, tif=tif, outcome=self.outcome, tag=tag or self.algo
        )
        return self.parent.add(order, weight, rests=rests, now_ns=self.ctx.now_ns)

    def pull(self, child: Child) -> None:
        """Ask for a child's cancel, unless one is under way; one that failed is sent again after a pause, with a question:
        the order may be gone already, and the news of it lost."""
        now_ns = self.ctx.now_ns
        if child.order.status in CANCELLABLE and now_ns >= child.cancel_ns:
            if child.cancels:
                self._start_asking(child)
            child.cancels += 1
            child.cancel_ns = now_ns + self.tactics.pause_ns(child.cancels)
            child.unsent = child.order.status is OrderStatus.PENDING
            self.ctx.cancel(child.order)

    # --- how it goes on ---------------------------------------------------------------------------------------------

    def step(self) -> None:
        """Look at everything and do what is to be done now."""
        if self.state.is_end:
            return
        self._look()
        wakes: list[int | None] = []
        if self._may_act():
            wakes.append(self._tactic.act(self))
            self._look()
        if not self._may_act():
            for child in list(self.parent.open.values()):
                self.pull(child)
            self._look()
        self._end_if_over(wakes)
        if not self.state.is_end:
            self._wake_at(min((ns for ns in (*wakes, *self._waits()) if ns is not None), default=None))

    def _look(self) -> None:
        """Settle what has surely ended; ask about what has ended and left lots."""
        for child in list(self.parent.open.values()):
            order, market = child.order, child.order.market
            if order.is_active:
                if order.status is OrderStatus.WORKING:
                    self.refusals[market] = 0
                continue
            if order.status is OrderStatus.REJECTED:
                self.parent.settle(child)
                self._refused(market, order)
            elif child.unsent or not order.remaining_lots:
                self.parent.settle(child)
                self.refusals[market] = 0
            else:
                self._start_asking(child)
        self._peak = max(self._peak, self.parent.done_lots)

    def _start_asking(self, child: Child) -> None:
        if not child.asking and self.ctx.now_ns >= child.ask_ns:
            child.asking = True
            self.ctx.spawn(self._ask(child), f"{self.algo} asks about {child.order.id}")

    async def _ask(self, child: Child) -> None:
        """Nobody says with a cancel how much was filled before it: ask, and believe the venue's own count."""
        order, sure = child.order, False
        try:
            report = await self.ctx.ask(order)
            known = order.filled_lots + order.voided_lots
            sure = report.status.is_terminal and known >= report.filled_lots
        except OrderNotFound:
            sure = True
        except (JournalError, InternalError):
            raise
        except ExecError:
            sure = False
        child.asking = False
        child.asks += 1
        child.ask_ns = self.ctx.now_ns + self.tactics.pause_ns(child.asks)
        believed = self.state is State.STOPPING and child.asks >= LAST_ASKS_MAX
        if (sure or believed) and order.is_terminal:
            self.parent.settle(child)
        self.step()

    def _refused(self, market: str, order: Order) -> None:
        """Try again later, or give up."""
        if not self.ctx.is_open(market):
            self._close(market, f"market {market} has closed")
            return
        self.refusals[market] += 1
        self.blocked_ns[market] = self.ctx.now_ns + self.tactics.pause_ns(self.refusals[market])
        if all(self.refusals[name] > self.tactics.retries_max for name in self._open_markets):
            self._end_later(State.FAILED, f"refused {self.refusals[market]} times in a row: {order.reason}")

    def _close(self, market: str, reason: str) -> None:
        self._open_markets.discard(market)
        if not self._open_markets:
            self._end_later(State.CLOSED, reason)

    def _end_later(self, ending: State, reason: str) -> None:
        """As `stop`, from inside a step: the rest of the step pulls the children."""
        if self._ending is None and not self.state.is_end:
            self._ending, self.reason, self.state = ending, reason, State.STOPPING

    def is_tradable(self, market: str) -> bool:
        """Whether a new child may go to this market now."""
        return market in self._open_markets and self.ctx.now_ns >= self.blocked_ns[market]

    def _may_act(self) -> bool:
        """Whether the tactic may place; else what rests is pulled."""
        return self.state is State.WORKING and not self.parent.excess_lots and not self._time_is_over()

    def _time_is_over(self) -> bool:
        """Once the time is over the children are pulled; then the cap is what had been done, for voids to be reworked."""
        if self.duration_ns is None:
            return False
        over_ns = self.elapsed_ns() - self.duration_ns
        if self._late:
            if over_ns >= self.tactics.settle_max_ns:
                self._end_later(State.SHORT, TIME_OVER)
            return False
        if over_ns >= 0 and not self.parent.open:
            self._late, self._cap = True, self._peak
        return over_ns >= 0 and not self._late

    def _end_if_over(self, wakes: list[int | None]) -> None:
        parent = self.parent
        complete = parent.done_lots >= parent.lots
        if parent.open or (self.state is State.PAUSED and not complete):
            self._idle_since = None
            return
        if self.state is State.STOPPING:
            self._end(State.DONE if complete else self._ending or State.CANCELLED, self.reason)
            return
        ending = self._over()
        if ending is not None:
            # news of settled children comes as updates, and one may still be unread
            parent.recount()
            ending = None if parent.open else self._over()
        if ending is None:
            self._idle_since = None
            return
        now_ns = self.ctx.now_ns
        if self._idle_since is None:
            self._idle_since = now_ns
        if parent.rework and self._provisional() and now_ns - self._idle_since < self.tactics.settle_max_ns:
            wakes.append(now_ns + SETTLE_LOOK_NS)
            return
        self._end(*ending)

    def _over(self) -> tuple[State, str] | None:
        """How it would end now, with no child open; None while there is something to do."""
        parent = self.parent
        if parent.done_lots >= parent.lots:
            return State.DONE, ""
        if parent.done_lots + parent.given_up_lots >= parent.lots:
            return State.SHORT, f"{parent.given_up_lots} lots were voided"
        if self._late and parent.done_lots + parent.given_up_lots >= self._cap:
            return State.SHORT, TIME_OVER
        left = self._tactic.unplaceable(self)
        return (State.SHORT, left) if left else None

    def _provisional(self) -> bool:
        """Whether a fill may still be voided."""
        filled = (child.order for child in self.parent.children.values() if child.order.filled_lots)
        unsure = (FillStatus.PROVISIONAL, FillStatus.MINED)
        return any(fill.status in unsure for order in filled for fill in self.ctx.fills(order))

    def _end(self, state: State, reason: str) -> None:
        self.state, self.reason, self.end_ns = state, reason, self.ctx.now_ns
        if self._timer is not None:
            self._timer.cancel()
        self.ctx.spawn(self._leave(), f"{self.algo} ends")

    async def _leave(self) -> None:
        streams: Sequence[Stream[Top] | Stream[Trade]] = [*self._tops.values(), *self._prints.values()]
        for stream in streams:
            await stream.aclose()
        await self._updates.aclose()

    # --- who wakes it -----------------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        async for update in self._updates:
            child = self.parent.children.get(update.order.id)
            if child is None:
                continue
            if update.before is OrderStatus.PENDING and update.after.is_terminal:
                child.unsent = True
            self.parent.note(child)
            self._tactic.told(update, child)
            self.step()

    async def _follow(self, market: str) -> None:
        """Best prices lead to a step; when they end the market has."""
        async for top in self._tops[market]:
            self._benchmark.see(top)
            self.step()
        if not self.state.is_end:
            self._close(market, f"market {market} has ended" if not self.ctx.is_open(market) else "its data has ended")
            self.step()

    async def _listen(self, market: str) -> None:
        async for trade in self._prints[market]:
            self._benchmark.hear(trade)
            if self._tactic.hear(trade):
                self.step()

    def _waits(self) -> list[int]:
        """When questions and cancels may be repeated, blocks end, and the time is over."""
        now_ns = self.ctx.now_ns
        found = [child.ask_ns for child in self.parent.open.values() if child.ask_ns > now_ns and not child.asking]
        found += [child.cancel_ns for child in self.parent.open.values() if child.cancel_ns > now_ns]
        found += [ns for ns in self.blocked_ns.values() if ns > now_ns]
        if self.duration_ns is not None and self._paused_at is None:
            over_ns = self.start_ns + self._paused_ns + self.duration_ns
            over_ns += self.tactics.settle_max_ns if self._late else 0
            found += [over_ns] if over_ns > now_ns else []
        return found

    def _wake_at(self, ns: int | None) -> None:
        """One timer at a time, the earliest."""
        if ns is None or (self._timer is not None and not self._timer.done and self._timer_ns <= ns):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_ns = ns
        self._timer = self.ctx.spawn(self._sleep(max(0, ns - self.ctx.now_ns)), f"{self.algo} timer")

    async def _sleep(self, ns: int) -> None:
        await self.ctx.sleep(ns)
        self._timer = None
        self.step()
