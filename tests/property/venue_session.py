"""How `venue_suite` asks: a world under test, what its protocol can carry, and a session to write scripts in.

A world is a runtime, an adapter and a market that moves as a `Tape` says. Scripts are written in steps of 50 ms: long
enough for a busy machine to keep the order in wall time. `exact` says whether times are.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol

from worlds import MS, START_NS, Tape, binary

from execsim.core.errors import ConfigError, ExecError, RateLimitExceeded, ValidationError, VenueError
from execsim.core.events import OrderUpdate
from execsim.core.instrument import Instrument, Outcome
from execsim.core.order import (
    Fill,
    Order,
    OrderAck,
    OrderId,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
)
from execsim.engine import ExecutionEngine
from execsim.exchange.refusal import NEUTRAL
from execsim.ports import Runtime, Task, VenueAdapter, VenueProfile

STEP = 50 * MS
ENTRY_NS = RESPONSE_NS = 4 * MS
ALMOST = ENTRY_NS - 1
"""what an order lives that expires just before it arrives"""
SHARE = 1_000_000
"""lots in a share, and units in a pUSD"""

PROFILE = VenueProfile(
    texts={
        "post_only_cross": ("X1", "would take"),
        "tick": ("X2", "price {price} breaks tick {tick}"),
        "size_min": ("X3", "{size} is less than {min}"),
        "balance": ("X4", "{free} {asset} free, {needed} needed"),
        "order_gone": ("X5", "no order {order_id}"),
        "rate_limit": ("X6", "slow down"),
    },
)
"""Some of the venue's own words; rules it has no text for are refused in neutral ones."""


_ALIAS = {"size_zero": "size_min", "fok_buy": "fok"}
"""what an adapter may check by itself though the venue's rule is wider"""


@dataclass(frozen=True)
class Wire:
    """What a venue's protocol can carry. Where it cannot keep a promise word for word, the suite asks for what is left."""

    own_checks: frozenset[str] = frozenset()
    """rules by which the adapter refuses before anything is sent, as a ValidationError or ConfigError"""
    venue: str = ""
    """who refuses, as errors name it; "": the venue of the instrument"""
    codes: Mapping[str, str] = field(default_factory=dict)
    """rule -> code; "" for all others; a rule that is not here has the profile's"""
    texts: Mapping[str, str] = field(default_factory=dict)
    """rule -> text, where the protocol has its own"""
    causes: bool = True
    """a fill says what caused it"""
    ack_times: bool = True
    """an ack says when the venue took the order; else it has the time it arrived"""
    fill_late_ns: int = 0
    """how long after it a fill says that it was: when the venue told of it"""
    lapses: bool = True
    """an order's status tells an expiry from a cancel"""
    fok_buys: bool = True
    """a FOK BUY may be for a number of shares"""
    pays_out: bool = True
    """the tokens of a resolved market become money by themselves; else they wait to be redeemed"""
    gtd_second_ns: int = 1_000 * MS
    """a GTD order may live three of these"""
    gtd_early_ns: int = 0
    """how long before its stated time a GTD order lapses"""
    retry_ns: int = 0
    """the unit in which a refusal by a limit says when to come back"""

    def code(self, rule: str) -> str:
        rule = _ALIAS.get(rule, rule)
        own = PROFILE.texts.get(rule, NEUTRAL[rule])[0]
        return self.codes.get(rule, self.codes.get("", own))


class World(Protocol):
    """What a suite needs of a venue under test: worlds.World has it for the simulated exchange."""

    runtime: Runtime
    engine: ExecutionEngine
    exact: bool
    wire: Wire

    @property
    def adapter(self) -> VenueAdapter: ...

    def run(self, main: Coroutine[Any, Any, None]) -> None:
        """Start the market, run main to its end, end everything."""


@dataclass
class Sent:
    """A submission under way: what `submit_order` gave in the end."""

    order: Order
    ack: OrderAck | None = None
    error: ExecError | None = None
    answered_ns: int = 0


@dataclass
class Session:
    """One script: orders by readable ids, and everything the engine published, in order."""

    world: World
    instrument: Instrument
    updates: list[OrderUpdate] = field(default_factory=list)
    log: list[tuple[str, str, int]] = field(default_factory=list)
    """(event, order id, lots of a fill or 0)"""
    fills: list[Fill] = field(default_factory=list)
    flying: list[Task] = field(default_factory=list)
    """tasks whose answers have not been waited for"""

    def __post_init__(self) -> None:
        self.engine, self.adapter, self.runtime = self.world.engine, self.world.adapter, self.world.runtime
        self.engine.subscribe(self._hear)

    def _hear(self, update: OrderUpdate) -> None:
        self.updates.append(update)
        self.log.append((update.event.value, update.order.id, update.fill.lots // SHARE if update.fill else 0))
        if update.fill:
            self.fills.append(update.fill)

    async def at(self, step: float, *, wait: bool = True) -> None:
        """Go on at that step and, with `wait`, not before everything sent has been answered."""
        await self.runtime.sleep_until(START_NS + int(step * STEP))
        if wait:
            await self.answers()

    async def answers(self) -> None:
        """Until everything sent has been answered, and what the venue said right after has arrived."""
        tasks, self.flying = self.flying, []
        for task in tasks:
            await task.join()
        await self.runtime.sleep(MS)

    def order(
        self,
        name: str,
        side: Side,
        size: float | None = None,
        price: str | None = None,
        *,
        type: OrderType = OrderType.LIMIT,
        tif: TimeInForce = TimeInForce.GTC,
        quote: float | None = None,
        outcome: Outcome = Outcome.YES,
        expire_ns: int | None = None,
    ) -> Order:
        """Sizes in shares, money in pUSD."""
        price_i = None if price is None else self.instrument.grid.price_i(price)
        lots = None if size is None else int(size * SHARE)
        amount = None if quote is None else int(quote * SHARE)
        return Order(
            OrderId(name), self.instrument, side, type, tif, lots, amount, price_i, outcome=outcome, expire_ns=expire_ns
        )

    async def place(self, order: Order) -> Sent:
        """Submit and wait for the answer."""
        sent = self.send(order)
        await self.answers()
        return sent

    def send(self, order: Order) -> Sent:
        """Submit in a task of its own."""
        sent = Sent(order)

        async def submit() -> None:
            try:
                sent.ack = await self.engine.submit_order(order)
            except ExecError as error:
                sent.error = error
            sent.answered_ns = self.runtime.now_ns()

        self.flying.append(self.runtime.spawn(submit(), f"submit {order.id}"))
        return sent

    def spawn(self, work: Coroutine[Any, Any, Any]) -> list[Any]:
        """Run in a task; its result or ExecError appears in the list."""
        results: list[Any] = []

        async def wrapped() -> None:
            try:
                results.append(await work)
            except ExecError as error:
                results.append(error)

        self.flying.append(self.runtime.spawn(wrapped(), "work"))
        return results

    async def known(self, name: str) -> tuple[OrderStatus, float, float]:
        """What the venue says of an order: status, shares filled, shares left."""
        report = await self.adapter.get_order_status(OrderId(name))
        return report.status, report.filled_lots / SHARE, report.remaining_lots / SHARE

    async def open(self) -> list[str]:
        return [report.order_id for report in await self.adapter.get_open_orders()]

    async def money(self) -> dict[str, Decimal]:
        """Balances in shares and pUSD, empty ones left out."""
        held = await self.adapter.balances()
        return {name.split(":")[-1]: Decimal(units) / SHARE for name, units in held.items() if units}

    def refused(self, error: BaseException | None, rule: str, text: str = "") -> None:
        """It is the refusal of that rule: the venue's in its words, or the adapter's own."""
        wire = self.world.wire
        if rule in wire.own_checks:
            assert isinstance(error, ValidationError | ConfigError)
            return
        text = wire.texts.get(rule, text)
        if rule == "rate_limit":
            assert isinstance(error, RateLimitExceeded)
            assert error.args[0] == (wire.venue or self.instrument.venue)
            assert text in error.args[1]
            return
        assert isinstance(error, VenueError)
        assert error.args[:2] == (wire.venue or self.instrument.venue, wire.code(rule))
        assert text in error.args[2]

    def filled_at(self, fill: Fill, expected_ns: int) -> None:
        """As `time_is`, as far as a fill says when it was."""
        self.time_is(fill.ts_ns, expected_ns + self.world.wire.fill_late_ns)

    def time_is(self, found_ns: int, expected_ns: int) -> None:
        """Exact in virtual time; in wall time not earlier, and before the next step."""
        if self.world.exact:
            assert found_ns == expected_ns
        else:
            assert expected_ns <= found_ns < expected_ns + STEP


def cents(*levels: tuple[int, float]) -> list[tuple[int, int]]:
    """Levels as (price in cents, shares)."""
    return [(price * 100, int(size * SHARE)) for price, size in levels]


def quiet() -> Tape:
    """A book from the start: 48 x 100, 47 x 50 | 52 x 100, 53 x 50."""
    return Tape().book(0, cents((48, 100), (47, 50)), cents((52, 100), (53, 50)))


BUY, SELL = Side.BUY, Side.SELL
IOC, FOK, GTD = TimeInForce.IOC, TimeInForce.FOK, TimeInForce.GTD
MARKET, POST_ONLY = OrderType.MARKET, OrderType.POST_ONLY
START_MONEY = {"pUSD": Decimal(100), "YES": Decimal(40), "NO": Decimal(40)}


class Stage:
    """Subclasses give `make`; every part of the suite plays here."""

    has_minutes = True
    """the venue's shortest GTD can be waited for"""

    def make(
        self, tape: Tape, instrument: Instrument, profile: VenueProfile, money: Mapping[str, int], sets: int, speed: int
    ) -> World:
        """A world with entry and response latencies of 4 ms whose trader owns `money` and `sets` full sets (lots)."""
        raise NotImplementedError

    def play(
        self,
        tape: Tape,
        script: Callable[[Session], Coroutine[Any, Any, None]],
        *,
        profile: VenueProfile = PROFILE,
        speed: int = 1,
        sets: int = 40,
        **rules: Any,
    ) -> Session:
        """Run a script against the market of `tape`. The trader owns 100 pUSD and `sets` full sets."""
        instrument = binary(notional_min=SHARE, notional_min_taker_buys_only=True, **rules)
        world = self.make(tape, instrument, profile, {"pUSD": (100 + sets) * SHARE}, sets * SHARE, speed)
        session = Session(world, instrument)
        world.run(script(session))
        return session
