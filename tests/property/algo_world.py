"""A venue that is rude but honest, and a parent order worked on it: refusals, silence, news late and out of order, fills
before, during and after cancels, voids. What it says when asked is true; everything else may be lost or late.

Truth is kept here, apart from the engine: `Rude.true_lots` is what has really been traded and not been undone.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

from worlds import coarse

from execsim.core.errors import ExecTimeout, NetworkError, OrderNotFound, VenueError
from execsim.core.events import (
    FillSettled,
    FillVoided,
    MarketClosed,
    MarketResolved,
    OrderFilled,
    OrderGone,
    Trade,
    VenueEvent,
)
from execsim.core.fees import Liquidity, NotionalFee
from execsim.core.instrument import Instrument, InstrumentKind, Outcome
from execsim.core.order import (
    TERMINAL,
    CancelAck,
    Fill,
    FillId,
    FillStatus,
    MarketId,
    Order,
    OrderAck,
    OrderId,
    OrderReport,
    OrderStatus,
    Side,
    TimeInForce,
    VenueId,
)
from execsim.core.units import NS_PER_MS, NS_PER_S
from execsim.engine import Context, EngineConfig, ExecutionEngine
from execsim.engine.throttle import RateLimiterConfig
from execsim.ports import EventSink, VenueTraits
from execsim.strategy.algos import (
    Execution,
    Style,
    Tactics,
    Voids,
    start_iceberg,
    start_pov,
    start_router,
    start_twap,
    start_vwap,
)
from execsim.testing import MockBooks, StepRuntime

ACCEPTANCE_NS = 10 * NS_PER_S
HORIZON_NS = 240 * NS_PER_S


@dataclass
class Booked:
    """An order as the venue has it."""

    order: Order
    size: int
    status: OrderStatus = OrderStatus.WORKING
    fills: dict[str, Fill] = field(default_factory=dict)

    @property
    def left(self) -> int:
        return self.size - sum(fill.lots for fill in self.fills.values())


class Rude:
    """A VenueAdapter. `calm`: from now on it behaves. `check` is called after everything that is true."""

    def __init__(self, name: str, insts: Sequence[Instrument], runtime: StepRuntime, rng: random.Random) -> None:
        self.traits = VenueTraits(acceptance_ns=ACCEPTANCE_NS)
        self.calm = False
        self.check: Callable[[], None] = lambda: None
        self.booked: dict[OrderId, Booked] = {}
        self.closed = False
        self.down = False
        """an outage: nothing gets there and nobody answers"""
        self._name = VenueId(name)
        self._insts = {inst.market: inst for inst in insts}
        self._runtime, self._rng = runtime, rng
        self._sink: EventSink | None = None
        self._fills = 0
        self._rude = rng.choice((0.0, 0.1, 0.3, 0.8))
        self._slow = rng.choice((0, 50, 3_000, 8_000)) * NS_PER_MS
        self._voids = rng.choice((0.0, 0.0, 0.3))
        self._chain = self._voids > 0 or rng.random() < 0.2

    @property
    def true_lots(self) -> int:
        return sum(
            fill.lots
            for booked in self.booked.values()
            for fill in booked.fills.values()
            if fill.status is not FillStatus.VOIDED
        )

    # --- VenueAdapter -------------------------------------------------------------------------------------------------

    @property
    def venue_id(self) -> VenueId:
        return self._name

    def instruments(self) -> Mapping[str, Instrument]:
        return self._insts

    async def place_order(self, order: Order) -> OrderAck:
        await self._travel()
        await self._outage()
        if self.closed:
            raise VenueError(self._name, "closed", "the market is closed")
        if self._chance(self._rude):
            what = self._rng.randrange(4)
            if what == 0:
                raise VenueError(self._name, "no", "refused")
            if what == 1:
                raise NetworkError(self._name, "refused connection", "no")
            if what == 2:  # it gets there, perhaps late; nobody answers
                later = self._rng.choice((0, 500, 4_000)) * NS_PER_MS
                self._runtime.call_at(self._runtime.now_ns() + later, self._book, order)
            await self._runtime.sleep(self._rng.randrange(1, 3_000) * NS_PER_MS)
            raise ExecTimeout(self._name, "no answer", "unknown")
        self._book(order)
        await self._travel()
        return OrderAck(order.id, f"v{order.id}", self._runtime.now_ns())

    async def place_batch(self, orders: Sequence[Order]) -> list[OrderAck | Exception]:
        raise NotImplementedError

    async def cancel_order(self, order_id: OrderId) -> CancelAck:
        await self._travel()
        await self._outage()
        what = self._rng.randrange(3) if self._chance(self._rude) else -1
        if what == 0:
            raise VenueError(self._name, "no", "try again")
        booked = self.booked.get(order_id)
        now_ns = self._runtime.now_ns()
        if what == 1:
            await self._runtime.sleep(2 * NS_PER_S)
            raise ExecTimeout(self._name, "no answer", "unknown")
        if booked is None:
            ack = CancelAck(order_id, False, now_ns, "not known")
        elif booked.status in TERMINAL:
            ack = CancelAck(order_id, False, now_ns, "already gone")
        else:
            booked.status = OrderStatus.CANCELLED
            ack = CancelAck(order_id, True, now_ns, "cancelled")
        if what == 2:
            await self._runtime.sleep(2 * NS_PER_S)
            raise ExecTimeout(self._name, "no answer", "unknown")
        await self._travel()
        return ack

    async def modify_order(self, order_id: OrderId, price_i: int | None, size_lots: int | None) -> OrderAck:
        raise NotImplementedError

    async def get_order_status(self, order_id: OrderId) -> OrderReport:
        await self._travel()
        await self._outage()
        if self._chance(self._rude):
            raise NetworkError(self._name, "no answer", "unknown")
        booked = self.booked.get(order_id)
        if booked is None:
            raise OrderNotFound(order_id, "")
        filled = booked.size - booked.left
        # some venues name the fills, some only count them
        fills = tuple(booked.fills.values()) if self._rng.random() < 0.5 else ()
        report = OrderReport(
            order_id, f"v{order_id}", booked.status, filled, booked.left, self._runtime.now_ns(), fills
        )
        await self._travel()
        return report

    async def get_open_orders(self, market: str | None = None) -> list[OrderReport]:
        await self._travel()
        now_ns = self._runtime.now_ns()
        alive = [(name, booked) for name, booked in self.booked.items() if booked.status not in TERMINAL]
        return [OrderReport(o, f"v{o}", b.status, b.size - b.left, b.left, now_ns) for o, b in alive]

    async def get_fills(self, since_ns: int) -> list[Fill]:
        await self._travel()
        return [fill for booked in self.booked.values() for fill in booked.fills.values() if fill.ts_ns >= since_ns]

    async def balances(self) -> Mapping[str, int]:
        return {}

    async def health_check(self) -> bool:
        return not self.down

    def events(self, sink: EventSink) -> None:
        self._sink = sink

    # --- what happens there -------------------------------------------------------------------------------------------

    def _book(self, order: Order) -> None:
        if self.closed:
            return
        assert order.size_lots is not None
        booked = self.booked[order.id] = Booked(order, order.size_lots)
        if order.tif is TimeInForce.IOC:
            if self._rng.random() < 0.7:
                self._fill(booked, self._rng.randrange(1, order.size_lots + 1))
            if booked.status not in TERMINAL:
                self._drop(booked, "unfilled rest of IOC")
            return
        now_ns = self._runtime.now_ns()
        for _ in range(self._rng.randrange(3)):
            at = now_ns + self._rng.randrange(20_000) * NS_PER_MS
            self._runtime.call_at(at, self._meet, booked, self._rng.randrange(1, order.size_lots + 1))
        if self._chance(self._rude / 3):
            at = now_ns + self._rng.randrange(20_000) * NS_PER_MS
            self._runtime.call_at(at, self._drop, booked, "the venue says so")

    def _meet(self, booked: Booked, lots: int) -> None:
        if booked.status not in TERMINAL and not self.closed:
            self._fill(booked, min(lots, booked.left))

    def _fill(self, booked: Booked, lots: int) -> None:
        order, now_ns = booked.order, self._runtime.now_ns()
        assert order.price_i is not None
        price_i, inst = order.price_i, order.instrument
        if self._rng.random() < 0.3:  # better than asked
            price_i = max(1, min(98, price_i - order.side.sign))
        self._fills += 1
        cash = inst.cash(price_i, lots)
        fill = Fill(
            FillId(f"{self._name}-{self._fills}"), order.id, now_ns, order.side, order.outcome, price_i, lots,
            -cash if order.side is Side.BUY else cash, 0, Liquidity.MAKER,
            status=FillStatus.PROVISIONAL if self._chain else FillStatus.CONFIRMED,
        )  # fmt: skip
        booked.fills[fill.id] = fill
        done = booked.left == 0
        if done:
            booked.status = OrderStatus.FILLED
        self._tell(OrderFilled(fill, done, now_ns))
        if self._chain:
            voided = self._rng.random() < self._voids
            at = now_ns + self._rng.randrange(1, 30_000) * NS_PER_MS
            self._runtime.call_at(at, self._settle, booked, fill.id, voided)
        self.check()

    def _settle(self, booked: Booked, fill_id: str, voided: bool) -> None:
        status = FillStatus.VOIDED if voided else FillStatus.CONFIRMED
        booked.fills[fill_id] = replace(booked.fills[fill_id], status=status)
        if voided and booked.status is OrderStatus.FILLED:
            booked.status = OrderStatus.CANCELLED
        now_ns, order_id = self._runtime.now_ns(), booked.order.id
        self._tell(FillVoided(fill_id, order_id, now_ns) if voided else FillSettled(fill_id, order_id, status, now_ns))

    def _drop(self, booked: Booked, reason: str) -> None:
        if booked.status not in TERMINAL:
            booked.status = OrderStatus.CANCELLED
            self._tell(OrderGone(booked.order.id, reason, False, self._runtime.now_ns()))

    def close(self, market: str) -> None:
        """The market takes no more orders, and then pays."""
        self.closed = True
        now_ns = self._runtime.now_ns()
        self._tell(MarketClosed(MarketId(market), 50, now_ns))
        for booked in self.booked.values():
            self._drop(booked, "market closed")
        self._runtime.call_at(now_ns + 5 * NS_PER_S, self._tell, MarketResolved(MarketId(market), 50, now_ns))

    def _tell(self, event: VenueEvent) -> None:
        """Each piece of news takes its own time, and may overtake another."""
        delay = self._rng.randrange(self._slow + 1) if not self.calm else 0
        self._runtime.call_at(self._runtime.now_ns() + delay, self._hand_over, event)

    def _hand_over(self, event: VenueEvent) -> None:
        assert self._sink is not None
        self._sink(event)

    def _chance(self, share: float) -> bool:
        return not self.calm and self._rng.random() < share

    async def _outage(self) -> None:
        if self.down:
            await self._runtime.sleep(2 * NS_PER_S)
            raise ExecTimeout(self._name, "no answer", "unknown")

    async def _travel(self) -> None:
        await self._runtime.sleep(self._rng.choice((0, 1, 20, 200)) * NS_PER_MS)


class AlgoWorld:
    """One session: engine, rude venue, random market, and the execution of one parent with somebody playing with it."""

    def __init__(self, seed: int) -> None:
        self.rng = rng = random.Random(seed)
        self.runtime = StepRuntime(seed=seed, start_ns=NS_PER_S)
        kind = rng.choice((InstrumentKind.BINARY, InstrumentKind.SPOT))
        self.step = rng.choice((1, 1, 2))
        self.inst = coarse(
            "rain", kind, size_step_lots=self.step, size_min_lots=rng.choice((1, 1, 4, 6)),
            notional_min=rng.choice((0, 0, 150)), price_min_i=1, price_max_i=99,
            size_max_lots=rng.choice((None, None, 20)),
        )  # fmt: skip
        self.join([self.inst])
        self.algo: Execution | None = None
        self.limit_i: int | None = None
        self.side = Side.BUY
        self.outcome = Outcome.YES
        self.mid = 50

    def join(self, insts: Sequence[Instrument]) -> None:
        """A rude venue for each market, the engine and a context on them."""
        self.insts = list(insts)
        self.venues = [Rude(inst.venue, [inst], self.runtime, self.rng) for inst in insts]
        self.books = MockBooks(self.runtime, insts)
        limits = {inst.venue: RateLimiterConfig.unlimited() for inst in insts}
        self.engine = ExecutionEngine(EngineConfig(rate_limits=limits), self.runtime)
        for venue in self.venues:
            self.engine.register_adapter(venue)
            venue.check = self.check
        self.engine.attach_books(self.books)
        markets = [inst.market for inst in insts]
        self.ctx = Context(self.engine, self.runtime, self.books, name="algo", params={}, markets=markets)

    @property
    def true_lots(self) -> int:
        """What has really been traded, in lots of the parent."""
        weights = [1] if self.algo is None else list(self.algo.weights.values())
        return sum(venue.true_lots * weight for venue, weight in zip(self.venues, weights, strict=True))

    # --- invariants ---------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Never overfilled in truth; children never exceed the room; the limit holds."""
        algo = self.algo
        if algo is None:
            return
        assert self.true_lots <= algo.lots, f"{self.true_lots} traded of {algo.lots}"
        parent = algo.parent
        assert parent.excess_lots == 0
        assert parent.done_lots + parent.open_lots <= algo.lots
        if self.limit_i is not None:
            every = [booked for venue in self.venues for booked in venue.booked.values()]
            for booked in every:
                prices = [booked.order.price_i, *(fill.price_i for fill in booked.fills.values())]
                for price_i in prices:
                    assert price_i is not None
                    assert self.side.sign * price_i <= self.side.sign * self.limit_i

    # --- the session --------------------------------------------------------------------------------------------------

    def start(self) -> Execution:
        rng = self.rng
        self.side = rng.choice((Side.BUY, Side.SELL))
        if self.inst.complement is not None:
            self.outcome = rng.choice((Outcome.YES, Outcome.NO))
        least = -(-self.inst.size_min_lots // self.step) * self.step
        size = least + rng.randrange(0, 60) * self.step
        self.limit_i = rng.choice((None, 30 + rng.randrange(40)))
        style = rng.choice((Style.PASSIVE, Style.AGGRESSIVE, Style.PASSIVE_THEN_CROSS, Style.PASSIVE_THEN_CROSS))
        tactics = Tactics(
            style=style, reprice_ns=rng.choice((1, 4)) * NS_PER_S, patience_ns=rng.choice((0, 2, 9)) * NS_PER_S,
            voids=rng.choice((Voids.REWORK, Voids.REWORK, Voids.REPORT)), retries_max=rng.choice((2, 8)),
            settle_max_ns=rng.choice((0, 90)) * NS_PER_S,
        )  # fmt: skip
        terms: dict[str, Any] = {"outcome": self.outcome, "tactics": tactics}
        terms["limit"] = None if self.limit_i is None else self.inst.grid.price(self.limit_i)
        seconds = rng.choice((20, 60, 120)) * NS_PER_S
        what, size_text = rng.randrange(4), Decimal(size)
        if what == 0:
            slices = rng.randrange(1, 15)
            return start_twap(self.ctx, "rain", self.side, size_text, duration_ns=seconds, slices=slices, **terms)
        if what == 1:
            weights = [rng.randrange(4) for _ in range(rng.randrange(1, 8))] + [1]
            return start_vwap(self.ctx, "rain", self.side, size_text, duration_ns=seconds, weights=weights, **terms)
        ends = rng.choice((None, seconds))
        if what == 2:
            rate = Fraction(rng.randrange(1, 10), 10)
            return start_pov(self.ctx, "rain", self.side, size_text, duration_ns=ends, rate=rate, **terms)
        display = least + rng.randrange(0, 10) * self.step
        if self.limit_i is not None and rng.random() < 0.5:
            terms["tactics"] = replace(tactics, style=Style.RESTING)
        return start_iceberg(
            self.ctx, "rain", self.side, size_text, display=display, duration_ns=ends,
            jitter_percent=rng.choice((0, 30)), **terms,
        )  # fmt: skip

    def play(self) -> Execution:
        """Run the session to its end; returns the ended execution."""
        self.move()
        return self.runtime.run(self._main())

    async def _main(self) -> Execution:
        rng, runtime = self.rng, self.runtime
        self.algo = algo = self.start()
        runtime.spawn(self._market(), "market")
        moments = sorted(rng.randrange(HORIZON_NS) for _ in range(rng.choice((0, 2, 6))))
        start_ns = runtime.now_ns()
        for at in moments:
            await runtime.sleep_until(start_ns + at)
            rng.choice((algo.pause, algo.resume))()
            self.check()
        await runtime.sleep_until(start_ns + rng.randrange(HORIZON_NS))
        if rng.random() < 0.2:
            for inst, venue in zip(self.insts, self.venues, strict=True):
                venue.close(inst.market)
            await runtime.sleep(2 * NS_PER_S)
            for stream in (*self.books._top_streams, *self.books._trade_streams):
                await stream[1].aclose()
        algo.resume()
        if rng.random() < 0.3:
            await runtime.sleep_until(start_ns + HORIZON_NS)
        for venue in self.venues:
            venue.calm, venue.down = True, False
        if rng.random() < 0.3 or algo.duration_ns is None:
            await algo.cancel()
        else:
            await algo.wait()
        self.ended_ns = runtime.now_ns()
        await runtime.sleep(60 * NS_PER_S)
        return algo

    async def _market(self) -> None:
        rng = self.rng
        while True:
            await self.runtime.sleep(rng.choice((50, 400, 2_000)) * NS_PER_MS)
            if rng.random() < 0.4:
                self.mid = min(70, max(30, self.mid + rng.choice((-2, -1, 1, 2))))
                self.move()
            else:
                price = self.mid + rng.choice((-1, 1))
                trade = Trade(
                    MarketId(self.insts[0].market),
                    self.runtime.now_ns(),
                    price,
                    rng.randrange(1, 30),
                    None,
                    Outcome.YES,
                    False,
                )
                self.books.print_trade(trade)

    def move(self) -> None:
        for inst in self.insts:
            bid = None if self.rng.random() < 0.1 else self.mid - self.rng.choice((1, 1, 2))
            ask = None if self.rng.random() < 0.1 else self.mid + self.rng.choice((0, 1, 1, 3))
            self.books.set_top(inst.market, bid, ask, self.rng.choice((7, 30, 500)))


class RouterWorld(AlgoWorld):
    """A parent over two or three venues with fees, minimums and grids of their own, and outages."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        rng = self.rng
        insts = []
        for number in range(rng.choice((2, 3))):
            lot = rng.choice((Decimal(1), Decimal(1), Decimal("0.5")))
            fee = NotionalFee(Decimal(0), Decimal(rng.randrange(0, 300)) / 10_000)
            made = coarse(
                f"rain-{number}", InstrumentKind.BINARY, fee, lot, size_min_lots=rng.choice((1, 4)),
                size_step_lots=rng.choice((1, 1, 2)), size_max_lots=rng.choice((None, 20)),
            )  # fmt: skip
            insts.append(replace(made, venue=f"venue-{number}"))
        self.join(insts)

    def start(self) -> Execution:
        rng = self.rng
        self.side, self.outcome = rng.choice((Side.BUY, Side.SELL)), rng.choice((Outcome.YES, Outcome.NO))
        self.limit_i = rng.choice((None, 35 + rng.randrange(30)))
        for venue in self.venues:
            for _ in range(rng.randrange(3)):
                at = NS_PER_S + rng.randrange(60) * NS_PER_S
                self.runtime.call_at(at, setattr, venue, "down", True)
                self.runtime.call_at(at + rng.randrange(1, 40) * NS_PER_S, setattr, venue, "down", False)
        return start_router(
            self.ctx, [inst.market for inst in self.insts], self.side, 8 + 2 * rng.randrange(60),
            limit=None if self.limit_i is None else Decimal(self.limit_i) / 100, outcome=self.outcome,
            duration_ns=rng.choice((None, 90 * NS_PER_S)), price_per_s=rng.choice((0, Decimal("0.1"))),
            penalties={self.insts[0].market: Decimal("0.005")} if rng.random() < 0.5 else None,
            tactics=Tactics(
                style=Style.AGGRESSIVE, voids=rng.choice((Voids.REWORK, Voids.REPORT)),
                settle_max_ns=rng.choice((0, 90)) * NS_PER_S,
            ),
        )  # fmt: skip
