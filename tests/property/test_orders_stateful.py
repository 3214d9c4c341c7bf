"""Orders through a broken venue, in any order of events hypothesis can think of: submit, cancel, amend, batches, time, every
fault pack, reconciliation. After each step the books balance and the lifecycle was legal; when everything has quietened
down the engine says what the venue says.
"""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from sessions import random_tape
from worlds import World, coarse

from execsim.core.errors import ExecError
from execsim.core.events import OrderUpdate
from execsim.core.instrument import InstrumentKind, Outcome
from execsim.core.lifecycle import ORDER
from execsim.core.order import Order, OrderStatus, OrderType, Side, TimeInForce
from execsim.exchange import (
    ChainModel,
    ConstantLatency,
    ExchangeModel,
    LatencyModel,
    LognormalLatency,
    TakerDelay,
    UniformLatency,
)
from execsim.exchange.faults import PACKS, Pack
from execsim.exchange.faults.packs import Outage, Throttle
from execsim.ports import Priority, VenueProfile, VenueTraits
from execsim.testing import MemoryJournal, StepRuntime
from execsim.testing.audit import audit
from execsim.testing.refold import refold

MS = 1_000_000
SECOND = 1_000 * MS
TAPE_S = 200
"""what a machine may live through; the tape stops before"""
TICK_NS = 4 * MS
"""Rules act from outside between two events, and the tape may have been read up to the next one: something happens this
often, and nothing that a rule does reaches the venue sooner."""


BROKEN: tuple[Pack, ...] = (
    *(PACKS[name]() for name in sorted(PACKS)),
    Outage(known=True), Outage(fails="query"), Outage(fails="cancel"), Outage(resting="cancel"), Throttle(1_000, True),
)  # fmt: skip


def slow_tape(seed: int) -> Any:
    """A random tape of two markets stretched to some minutes."""
    tape = random_tape(random.Random(seed), 300, 2)
    last = tape.rows[-1]["ts_recv_ns"]
    for row in tape.rows:
        for clock in ("ts_venue_ns", "ts_recv_ns"):
            row[clock] = row[clock] * TAPE_S * SECOND // last
    return tape


class Orders(RuleBasedStateMachine):
    """One account at one simulated venue with two binary markets and a chain that may fail."""

    def __init__(self) -> None:
        super().__init__()
        self.world: World | None = None
        self.updates: list[OrderUpdate] = []
        self.ticking = True
        self.tasks: list[Any] = []

    @precondition(lambda self: self.world is None)
    @rule(seed=st.integers(0, 2**16), amends=st.booleans(), delay_ms=st.sampled_from((0, 0, 300)))
    def begin(self, seed: int, amends: bool, delay_ms: int) -> None:
        self.runtime = StepRuntime(seed=seed)
        self.journal = MemoryJournal()
        markets = [coarse(name, InstrumentKind.BINARY, price_min_i=1, price_max_i=99) for name in ("rain", "snow")]
        chain = ChainModel(*(LognormalLatency(ns * SECOND, "0.5") for ns in (1, 2, 3)), 0)
        profile = VenueProfile(traits=VenueTraits(amends=amends, batch_max=3, acceptance_ns=12 * SECOND))
        self.world = World(
            self.runtime, slow_tape(seed), markets, profile=profile, repeats=True, journal=self.journal,
            latency=LatencyModel(ConstantLatency(), UniformLatency(TICK_NS, 60 * MS), UniformLatency(1, 50 * MS)),
            model=ExchangeModel(chain=chain, taker_delay=TakerDelay(delay_ms * MS, False)),
        )  # fmt: skip
        self.world.fund(markets[0].quote, 50_000)
        for market in markets:
            self.world.split(market.market, 100)
        self.world.engine.subscribe(self.updates.append)
        self._tick()
        self.runtime.spawn(self.world.market.run(), "tape")
        self.pass_ms(1_000)

    # --- what may happen ----------------------------------------------------------------------------------------------

    @precondition(lambda self: self.world is not None)
    @rule(ms=st.sampled_from((0, 5, 30, 400, 3_000, 12_000)))
    def pass_ms(self, ms: int) -> None:
        self.runtime.drain(self.runtime.now_ns() + ms * MS)

    @precondition(lambda self: self.world is not None)
    @rule(data=st.data(), count=st.sampled_from((1, 1, 1, 2, 7)))
    def submit(self, data: st.DataObject, count: int) -> None:
        orders = [self._order(data) for _ in range(count)]
        work = self.engine.submit_order(orders[0]) if count == 1 else self.engine.submit_batch(orders)
        self._start(work)

    @precondition(lambda self: self.world is not None and self.engine.get_active_orders())
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        self.engine.start_cancel(data.draw(st.sampled_from(self.engine.get_active_orders())))

    @precondition(lambda self: self.world is not None and self.engine.get_active_orders())
    @rule(data=st.data(), price=st.one_of(st.none(), st.integers(5, 25)), size=st.one_of(st.none(), st.integers(1, 40)))
    def modify(self, data: st.DataObject, price: int | None, size: int | None) -> None:
        order = data.draw(st.sampled_from(self.engine.get_active_orders()))
        self._start(self.engine.modify_order(order.id, price_i=price, size_lots=size))

    @precondition(lambda self: self.world is not None)
    @rule(side=st.sampled_from((None, Side.BUY, Side.SELL)))
    def cancel_all(self, side: Side | None) -> None:
        self._start(self.engine.cancel_all(side=side))

    @precondition(lambda self: self.world is not None)
    @rule(pack=st.sampled_from(BROKEN))
    def break_something(self, pack: Pack) -> None:
        assert self.world is not None
        at_ns = self.runtime.now_ns() + TICK_NS
        self.runtime.call_at(at_ns, self.world.exchange.faults.begin, pack, priority=Priority.VENUE)

    @precondition(lambda self: self.world is not None and self.tasks)
    @rule(data=st.data())
    def abandon(self, data: st.DataObject) -> None:
        """Whoever waits for an answer is cancelled."""
        data.draw(st.sampled_from(self.tasks)).cancel()

    @precondition(lambda self: self.world is not None)
    @rule(sure=st.sampled_from((False, False, False, True)))
    def kill(self, sure: bool) -> None:
        if sure:
            self.engine.kill("enough")

    @precondition(lambda self: self.world is not None)
    @rule()
    def reconcile(self) -> None:
        self._start(self.engine.reconcile())

    # --- what always holds --------------------------------------------------------------------------------------------

    @invariant()
    def nothing_is_made_or_lost(self) -> None:
        if self.world is not None:
            self.world.ledger.check()

    @invariant()
    def the_lifecycle_was_legal(self) -> None:
        for update in self.updates:
            assert update.before is update.after or update.after in ORDER[update.before].values(), update
        self.updates.clear()
        if self.world is not None:
            assert self.engine.blotter.invalid_responses == 0
            assert self.engine.inbox.orphans == 0

    @invariant()
    def what_is_open_is_counted(self) -> None:
        if self.world is None:
            return
        for market in ("rain", "snow"):
            tracker = self.engine.order_tracker
            buys, sells = tracker.open_lots(market)
            entries = [tracker.entry(order.id) for order in tracker.get_active_orders(market)]
            left = [(entry.raises_position, max(0, entry.ceiling_lots - entry.order.filled_lots)) for entry in entries]
            assert (buys, sells) == (sum(n for up, n in left if up), sum(n for up, n in left if not up))

    def teardown(self) -> None:
        """Everything works again: in the end both sides say the same."""
        if self.world is None:
            return
        self.ticking = False
        self.runtime.run(self._quieten())
        self.the_lifecycle_was_legal()
        assert not self.engine.get_active_orders()
        assert self.engine.inquiry.open == 0
        wrong = audit(self.engine, {"sim": self.world.venue})
        assert not wrong, wrong
        retold = refold(self.engine, self.journal.read())
        assert not retold, retold
        self.runtime.close()

    # --- pieces -------------------------------------------------------------------------------------------------------

    @property
    def engine(self) -> Any:
        assert self.world is not None
        return self.world.engine

    async def _quieten(self) -> None:
        await self.runtime.sleep(TICK_NS)
        self.world.exchange.faults.stop()
        if self.engine.kill_reason is not None:  # a kill needs no help
            await self.runtime.sleep(360 * SECOND)
            return
        for _ in range(4):
            await self.engine.cancel_all()
            await self.runtime.sleep(90 * SECOND)

    def _tick(self) -> None:
        if self.ticking:
            self.runtime.call_at(self.runtime.now_ns() + TICK_NS, self._tick)

    def _start(self, work: Any) -> None:
        async def quiet() -> None:
            try:
                await work
            except ExecError:
                return

        self.tasks = [task for task in self.tasks if not task.done]
        self.tasks.append(self.runtime.spawn(quiet(), "rule"))
        self.runtime.drain(self.runtime.now_ns())  # it begins: a task that never did is nobody's order

    def _order(self, data: st.DataObject) -> Order:
        assert self.world is not None
        inst = data.draw(st.sampled_from(self.world.instruments))
        side, outcome = data.draw(st.sampled_from(list(Side))), data.draw(st.sampled_from(list(Outcome)))
        price = data.draw(st.integers(6, 24))
        type_ = data.draw(st.sampled_from((OrderType.LIMIT, OrderType.LIMIT, OrderType.POST_ONLY)))
        tif = data.draw(st.sampled_from((TimeInForce.GTC, TimeInForce.GTC, *TimeInForce)))
        expire = self.runtime.now_ns() + data.draw(st.integers(1, 20_000)) * MS if tif is TimeInForce.GTD else None
        return Order(
            self.engine.new_order_id(), inst, side, type_, tif, data.draw(st.integers(1, 30)), None,
            price if outcome is Outcome.YES else 100 - price, outcome=outcome, expire_ns=expire,
        )  # fmt: skip


def run(examples: int, steps: int) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Orders,
        settings=settings(
            max_examples=examples, stateful_step_count=steps, deadline=None, derandomize=True, print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip


def test_orders_through_a_broken_venue() -> None:
    run(100, 40)


@pytest.mark.soak
def test_orders_through_a_broken_venue_at_length() -> None:
    run(600, 60)


def test_the_machine_reaches_what_it_is_about() -> None:
    """A fixed walk: silence, found, absent, voided fills and a breaker are all met."""
    seen: set[str] = set()
    for seed in range(16):
        rng, machine = random.Random(seed), Orders()
        machine.begin(seed, seed % 2 == 0, 0)
        engine = machine.engine
        for _ in range(60):
            inst = rng.choice(machine.world.instruments)  # type: ignore[union-attr]
            order = Order(
                engine.new_order_id(), inst, rng.choice(list(Side)), OrderType.LIMIT, size_lots=rng.randrange(1, 9),
                price_i=rng.randrange(8, 22),
            )  # fmt: skip
            machine._start(engine.submit_order(order))
            if rng.random() < 0.2:
                machine.break_something(rng.choice(BROKEN))
            working = [order for order in engine.get_active_orders() if order.status is OrderStatus.WORKING]
            if working and rng.random() < 0.5:
                machine._start(engine.modify_order(rng.choice(working).id, price_i=rng.randrange(8, 22)))
            machine.pass_ms(rng.choice((5, 400, 3_000)))
            seen |= {update.event.value for update in machine.updates}
            machine.the_lifecycle_was_legal()
        machine.teardown()
        seen |= {str(order.status) for order in engine.order_tracker.get_all_orders()} | set(machine.journal.kinds)
    assert seen >= {"silence", "found", "absent", "void", "breaker", "retry", "fill", "replace", "rejected"}
