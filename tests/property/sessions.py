"""Random sessions: a tape, markets, money and a flow of orders from one seed, played through engine and venue.

Everything is scaled by `k`: sizes of tape and orders, minimum sizes, steps, amounts of money.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, ClassVar

from naive_book import QUEUES
from worlds import OPEN_PROFILE, Tape, World, coarse

from execsim.core.errors import ExecError
from execsim.core.events import OrderUpdate
from execsim.core.fees import BinaryFee, FeeSchedule, NoFee, NotionalFee
from execsim.core.instrument import Instrument, InstrumentKind, Outcome
from execsim.core.order import Fill, Order, OrderStatus, OrderType, Side, TimeInForce
from execsim.core.request import RequestKind
from execsim.exchange import (
    ChainModel,
    ConstantLatency,
    ExchangeModel,
    LatencyModel,
    LognormalLatency,
    ResolutionModel,
    TakerDelay,
)
from execsim.exchange.faults import Pack, Part, Schedule
from execsim.exchange.faults.effects import (
    DelayAnswers,
    DropResting,
    FailMatches,
    Freeze,
    HurryExpiries,
    LockClaims,
    LoseAnswers,
    LoseRequests,
    RefineTicks,
    Refuse,
    RepeatReports,
    ShiftClock,
    ShuffleReports,
    Slow,
)
from execsim.exchange.line import DEADLINE_NS
from execsim.kernel import INFERRED_IGNORE, INFERRED_THROUGH, INFERRED_USE, MarketSpan, QueueModel
from execsim.ports import Journal, Priority, VenueProfile
from execsim.runtime import VirtualRuntime
from execsim.tape.schema import Flag, Kind

PRICES = 30
"""prices of a tape are 1 .. 29 (of 100)"""
ACTIONS = 60
FEES: tuple[FeeSchedule, ...] = (
    NoFee(),
    NotionalFee(Decimal("0.01"), Decimal("0.02")),
    NotionalFee(Decimal("-0.005"), Decimal("0.01")),
    BinaryFee(Decimal("0.07")),
)


def near(rng: random.Random, side: int) -> int:
    """A price where that side mostly is: bids up to 16, asks from 14, sometimes anywhere, so that books cross."""
    if rng.random() < 0.15:
        return rng.randrange(1, PRICES)
    return rng.randrange(8, 17) if side > 0 else rng.randrange(14, 23)


def random_tape(rng: random.Random, rows: int, markets: int, k: int = 1, start_ns: int = 1_000) -> Tape:
    """Levels, prints, snapshots, gaps, ticks and halts in any order, several of them at one instant."""
    tape = Tape(start_ns=0)
    ts, local = [start_ns] * markets, [start_ns] * markets
    clock, opened = start_ns, [False] * markets

    def add(m: int, kind: Kind, side: int = 0, price: int = 0, size: int = 0, flags: int = 0) -> None:
        tape.add(ts[m], kind, side, price, size, flags, market=m, delay_ns=local[m] - ts[m])

    while len(tape.rows) < rows:
        m = rng.randrange(markets)
        clock += rng.choice((0, 0, 1, 5, 50))
        ts[m] = max(ts[m], clock)
        local[m] = max(local[m], ts[m] + rng.choice((1, 1, 3, 40)))
        what = rng.random()
        if not opened[m] or what < 0.04:
            flags = Flag.FIRST | (Flag.RESYNC if rng.random() < 0.5 else 0)
            found = {(s, near(rng, s)): rng.randrange(1, 20) * k for s in (1, -1) for _ in range(3)}
            for i, ((side, price), size) in enumerate(found.items()):
                add(
                    m,
                    Kind.SNAPSHOT,
                    side,
                    price,
                    size,
                    (flags if i == 0 else 0) | (Flag.LAST if i == len(found) - 1 else 0),
                )
            opened[m] = True
        elif what < 0.30:
            flags = Flag.INFERRED if rng.random() < 0.3 else 0
            side, hit = rng.choice((1, -1, 0)), rng.choice((1, -1))
            add(m, Kind.TRADE, side, near(rng, -side or hit), rng.randrange(1, 35) * k, flags)
        elif what < 0.33:
            add(m, Kind.GAP, size=int(rng.random() < 0.35))
        elif what < 0.35:
            add(m, Kind.TICK, price=rng.choice((1, 1, 5)))
        elif what < 0.36:
            add(m, Kind.STATUS, size=int(rng.random() < 0.8))
        else:
            for _ in range(rng.randrange(1, 4)):
                side = rng.choice((1, -1))
                add(m, Kind.LEVEL, side, near(rng, side), rng.choice((0, 0, 3, 8, 15)) * k)
    return tape


@dataclass
class Played:
    """A session that has ended. `fills` in the order the engine heard of them; `before` what an order was at a fill."""

    world: World
    tape: Tape
    shorting: bool
    deposits: dict[str, int]
    fills: list[Fill] = field(default_factory=list)
    updates: list[OrderUpdate] = field(default_factory=list)

    @property
    def orders(self) -> list[Order]:
        return self.world.engine.order_tracker.get_all_orders()


@dataclass(frozen=True)
class Terms:
    """What of a session is not left to its seed. `exact`: no fee and no rounding, as scaling needs."""

    k: int = 1
    exact: bool = False
    faults: bool = False
    """random faults, settlement on a chain, delays for takers, disputed resolutions"""
    queue: QueueModel | None = None


class Watched:
    """A runtime that calls `check` after everything the venue does at a time of its own."""

    def __init__(self, inner: VirtualRuntime, check: Callable[[], None]) -> None:
        self._inner = inner
        self._check = check

    def call_at(self, t_ns: int, fn: Callable[..., None], *args: Any, priority: Priority = Priority.NORMAL) -> Any:
        def fire(*given: Any) -> None:
            fn(*given)
            self._check()

        return self._inner.call_at(t_ns, fire, *args, priority=priority)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def instruments(rng: random.Random, terms: Terms) -> list[Instrument]:
    """One or two markets, spot or binary, with steps, minimum sizes and fees."""
    found = []
    for name in ("rain", "snow")[: rng.choice((1, 1, 2))]:
        kind = rng.choice((InstrumentKind.BINARY, InstrumentKind.SPOT))
        fees = rng.choice(FEES)
        step, least, value = rng.choice((1, 1, 2)), rng.choice((1, 4)), rng.choice((0, 30))
        lot = rng.choice((Decimal(1), Decimal("0.1")))
        if terms.exact:
            fees, lot = NoFee(), Decimal(1)
        inst = coarse(
            name, kind, fees, lot, size_step_lots=step * terms.k, size_min_lots=least * terms.k,
            notional_min=value * terms.k, price_min_i=1, price_max_i=99,
        )  # fmt: skip
        found.append(inst)
    return found


class Flow:
    """Random orders, cancels and amends at random times."""

    def __init__(self, rng: random.Random, played: Played, terms: Terms) -> None:
        self._rng, self._played, self._k = rng, played, terms.k
        self._engine = played.world.engine
        self._runtime = played.world.runtime

    async def run(self) -> None:
        rng, end = self._rng, self._played.tape.rows[-1]["ts_recv_ns"]
        for at in sorted(rng.randrange(990, end + 20) for _ in range(ACTIONS)):
            await self._runtime.sleep_until(at, rng.choice((Priority.NORMAL, Priority.LAST)))
            what = rng.random()
            if what < 0.60:
                self._start(self._engine.submit_order(self.order()))
            elif what < 0.70:
                self._start(self._engine.submit_batch([self.order() for _ in range(rng.randrange(1, 5))]))
            elif what < 0.85:
                self._cancel()
            else:
                self._amend()

    def order(self) -> Order:
        rng, k = self._rng, self._k
        inst = rng.choice(self._played.world.instruments)
        type_ = rng.choice((OrderType.LIMIT, OrderType.LIMIT, OrderType.LIMIT, OrderType.POST_ONLY, OrderType.MARKET))
        tif = rng.choice((TimeInForce.GTC, TimeInForce.GTC, *TimeInForce))
        side = rng.choice((Side.BUY, Side.SELL))
        size: int | None = rng.randrange(0, rng.choice((12, 40))) * k
        if rng.random() < 0.7 and size:
            size -= size % inst.size_step_lots
        quote, price = None, near(rng, side.sign) if rng.random() < 0.8 else rng.randrange(0, 101)
        if type_ is OrderType.MARKET and rng.random() < 0.5:
            size, quote, side = None, rng.randrange(0, 600) * k, Side.BUY if rng.random() < 0.9 else Side.SELL
        no = inst.kind is InstrumentKind.BINARY and rng.random() < 0.4
        if no and rng.random() < 0.9:
            price = 100 - near(rng, -side.sign)
        expire = self._runtime.now_ns() + rng.randrange(-2, 400) if tif is TimeInForce.GTD else None
        return Order(
            self._engine.new_order_id(), inst, side, type_, tif, size, quote,
            None if type_ is OrderType.MARKET else price, outcome=Outcome.NO if no else Outcome.YES, expire_ns=expire,
        )  # fmt: skip

    def _start(self, work: Coroutine[Any, Any, Any]) -> None:
        async def quiet() -> None:
            try:
                await work
            except ExecError:
                return

        self._runtime.spawn(quiet(), "flow")

    def _cancel(self) -> None:
        active = self._engine.get_active_orders()
        if active:
            self._engine.start_cancel(self._rng.choice(active))

    def _amend(self) -> None:
        rng = self._rng
        resting = [o for o in self._engine.get_active_orders() if o.status is OrderStatus.WORKING and o.size_lots]
        if not resting:
            return
        order = rng.choice(resting)
        price = rng.choice((None, order.price_i, near(rng, 1), near(rng, -1)))
        size = rng.choice((None, order.size_lots, (order.size_lots or 0) - self._k, rng.randrange(1, 40) * self._k))
        self._start(self._engine.modify_order(order.id, price_i=price, size_lots=size))


def play(
    seed: int,
    terms: Terms | None = None,
    check: Callable[[Played], None] | None = None,
    journal: Journal | None = None,
) -> Played:
    """One session from a seed; `check` after every event at the venue and every update of the engine."""
    terms = terms or Terms()
    k, rng = terms.k, random.Random(seed)
    insts = instruments(rng, terms)
    tape = random_tape(rng, 150, len(insts), k)
    for m, inst in enumerate(insts):
        if inst.kind is InstrumentKind.BINARY and rng.random() < 0.4:
            tape.add(
                tape.rows[-1]["ts_venue_ns"] + rng.randrange(3),
                Kind.RESOLVE,
                price=rng.choice((0, 100, 50, 33)),
                market=m,
                delay_ns=50,
            )
    queue = rng.choice(QUEUES)
    runtime = VirtualRuntime(seed)
    shorting = rng.random() < 0.2
    delay = rng.choice((ConstantLatency(0), ConstantLatency(7), LognormalLatency(10, "0.8")))
    back = rng.choice((ConstantLatency(0), LognormalLatency(5, "0.5")))
    model, broken = mishaps(rng, tape.rows[-1]["ts_venue_ns"]) if terms.faults else (None, ())
    held: list[Played] = []

    def checked(*_: object) -> None:
        if check is not None and held:
            check(held[0])

    world = World(
        runtime, tape, insts,
        profile=VenueProfile(**{**_fields(OPEN_PROFILE), "shorting": shorting, "gtd_early_ns": rng.choice((0, 5))}),
        latency=LatencyModel(entry=delay, response=back),
        spans=[MarketSpan(1, k, 1, 100 if i.kind is InstrumentKind.BINARY else None) for i in insts],
        queue=terms.queue or queue,
        inferred=rng.choice((INFERRED_IGNORE, INFERRED_THROUGH, INFERRED_USE)),
        validate=rng.random() < 0.3, venue_runtime=Watched(runtime, checked), observer=checked,
        cuts=[rng.randrange(len(tape.rows)) for _ in range(3)],
        model=model, faults=broken, repeats=True, journal=journal,
    )  # fmt: skip
    played = Played(world, tape, shorting, _fund(rng, world, k))
    held.append(played)

    def heard(update: OrderUpdate) -> None:
        played.updates.append(update)
        if update.fill is not None:
            played.fills.append(update.fill)

    world.engine.subscribe(heard)
    if check is not None:
        world.engine.subscribe(checked)

    async def main() -> None:
        flow = runtime.spawn(Flow(rng, played, terms).run(), "flow")
        await runtime.spawn(world.market.run(), "tape").join()
        await flow.join()
        await runtime.sleep(1_000)
        world.exchange.faults.stop()
        for _ in range(3):
            await world.engine.cancel_all()
            await runtime.sleep(1_000)
        if terms.faults:
            await _ask_about_the_rest(world)

    runtime.run(main=main())
    return played


async def _ask_about_the_rest(world: World) -> None:
    """Let deadlines pass and chains settle, and the engine ask about every order of which nobody said how it ended."""
    for _ in range(2):
        await world.runtime.sleep(3 * DEADLINE_NS)
        await world.engine.cancel_all()
    await world.runtime.sleep(3 * DEADLINE_NS)


@dataclass(frozen=True)
class Mishap(Pack):
    """Whatever effects a session drew, each for some nanoseconds."""

    name: ClassVar[str] = "mishap"
    report: ClassVar[str] = "made up"
    several: tuple[Part, ...] = ()
    one: bool = False

    @property
    def per_order(self) -> bool:  # type: ignore[override]  # drawn here
        return self.one

    def parts(self) -> tuple[Part, ...]:
        return self.several


def mishaps(rng: random.Random, end_ns: int) -> tuple[ExchangeModel, list[tuple[Pack, Schedule]]]:
    """How the exchange settles, and up to five faults at random times or orders."""
    chain = ChainModel(
        LognormalLatency(rng.choice((20, 400)), "0.5"), LognormalLatency(60, "0.5"), LognormalLatency(300, "0.9"),
        rng.choice((0, 0, 200_000)),
    )  # fmt: skip
    resolution = ResolutionModel(
        delay_ns=rng.choice((0, 0, 90)), dispute_per_million=rng.choice((0, 500_000)), dispute_ns=200,
        void_per_million=500_000,
    )  # fmt: skip
    model = ExchangeModel(
        chain=chain if rng.random() < 0.6 else None, resolution=resolution,
        taker_delay=TakerDelay(rng.choice((0, 0, 15)), rng.random() < 0.5),
    )  # fmt: skip
    found: list[tuple[Pack, Schedule]] = []
    for _ in range(rng.randrange(6)):
        kinds = frozenset(rng.sample(list(RequestKind), rng.randrange(1, 4)))
        effect = rng.choice((
            Refuse("425", "restarting", kinds), Refuse("503", "post-only", post_only_passes=True),
            Refuse("429", "slow down", kinds, limit=True), Refuse("500", "could not", kinds, share_per_million=500_000),
            LoseRequests(kinds, rng.choice(("refused", "swallowed"))), LoseAnswers(kinds), LoseAnswers(kinds, 300_000),
            DelayAnswers(rng.choice((40, 400, 2 * DEADLINE_NS)), kinds), Slow(rng.choice((10, 150)), kinds),
            RepeatReports(rng.choice((2, 3)), rng.choice((0, 7))), ShuffleReports(rng.choice((5, 80, 600))),
            Freeze(rng.random() < 0.7, rng.random() < 0.7, rng.random() < 0.5), DropResting("gone", rng.random() < 0.5),
            FailMatches(rng.choice((300_000, 1_000_000))), LockClaims(rng.choice((30, 700))),
            ShiftClock(rng.choice((-40, 25))), HurryExpiries(rng.choice((10, 100))), RefineTicks(5),
        ))  # fmt: skip
        part = Part(effect, rng.choice((0, 20, 200, 2_000)), rng.choice((0, 0, 50)))
        at = rng.randrange(end_ns)
        schedule = rng.choice(
            (Schedule(at_ns=(at,)), Schedule(at_ns=(at, at + 300)), Schedule(every=rng.randrange(1, 9)))
        )
        found.append((Mishap((part,), one=rng.random() < 0.5), schedule))
    return model, found


def _fund(rng: random.Random, world: World, k: int) -> dict[str, int]:
    """Money and tokens of the trader; returns what tokens were simply given."""
    given: dict[str, int] = {}
    world.fund(world.instruments[0].quote, rng.choice((500, 3_000, 20_000)) * k)
    for inst in world.instruments:
        if inst.kind is InstrumentKind.SPOT:
            given[inst.base.name] = rng.choice((0, 60)) * k
            world.venue.deposit(inst.base.name, given[inst.base.name])
        elif rng.random() < 0.7:
            world.fund(inst.quote, inst.par(60 * k))
            world.split(inst.market, 60 * k)
    return given


def _fields(profile: VenueProfile) -> dict[str, Any]:
    return {name: getattr(profile, name) for name in profile.__slots__}
