"""One tape and one script of orders for us and for a rival: written as hftbacktest's events, replayed through our importer,
merge, kernel, venue and engine. Who compares is test_hftbacktest.py here and benchmarks/peers/nautilus_taker.py.

Prices are whole numbers of `Units.price`, sizes whole numbers of `Units.lot`. A tape's own sizes are multiples of 0.01 and
our orders end in one lot of 0.000001, so that a print never fills an order exactly (hftbacktest cannot take that: see
docs/referees.md).
"""

from __future__ import annotations

import random
from bisect import insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from worlds import MS, World

from execsim.core.errors import ExecError
from execsim.core.events import OrderUpdate
from execsim.core.fees import NoFee
from execsim.core.instrument import Asset, Instrument, InstrumentKind
from execsim.core.order import Cause, Order, OrderType, Side, TimeInForce
from execsim.core.units import Grid
from execsim.exchange import ConstantLatency, LatencyModel
from execsim.kernel import REFILL_OFF, VENUE, MarketSpan, Replay, Stop
from execsim.ports import VenueProfile
from execsim.runtime import VirtualRuntime
from execsim.tape.hftbacktest import IMPORTER
from execsim.tape.imports import import_tape
from execsim.tape.merge import Chunk, TapeStream, merged
from execsim.tape.reader import TapeReader
from execsim.tape.rows import END_NS, TS_VENUE
from execsim.tape.schema import Kind

EVENT: Final = np.dtype(
    {
        "names": ["ev", "exch_ts", "local_ts", "px", "qty", "order_id", "ival", "fval"],
        "formats": ["<u8", "<i8", "<i8", "<f8", "<f8", "<u8", "<i8", "<f8"],
    },
    align=True,
)
DEPTH, TRADE, CLEAR, SNAPSHOT, BBO = 1, 2, 3, 4, 5
AT_VENUE, AT_LOCAL, BUY, SELL = 1 << 31, 1 << 30, 1 << 29, 1 << 28
"""hftbacktest 2.4.4, types.py"""
START_NS: Final = 1_760_000_000_000_000_000
ENTRY_NS, RESPONSE_NS = 5 * MS, 3 * MS
LOTS_A_SHARE: Final = 1_000_000
GTX, GTC, IOC, FOK, MARKET = "GTX", "GTC", "IOC", "FOK", "MARKET"


@dataclass(frozen=True, slots=True)
class Units:
    """The grid of a tape and of the orders on it. `stride`: every price of the tape is a multiple of it."""

    price: Decimal = Decimal("0.01")
    lot: Decimal = Decimal("0.000001")
    price_end_i: int | None = 100


@dataclass(frozen=True, slots=True)
class Sent:
    """One order of a script: sent at `at_ns`, asked to be cancelled at `cancel_ns`. `side` is +1 or -1."""

    at_ns: int
    side: int
    how: str
    price_i: int
    lots: int
    cancel_ns: int | None = None


class Match(NamedTuple):
    """One fill at the venue. `cause` is ours alone: a rival does not say why."""

    ts_ns: int
    lots: int
    price_i: int
    cause: Cause | None = None


@dataclass
class Rows:
    """Events written one by one, `at_ms` after the start, heard `delay_ms` later; prices in ticks of 0.01, sizes in
    shares."""

    delay_ms: float = 2.0
    rows: list[tuple[Any, ...]] = field(default_factory=list)

    def add(self, at_ms: float, code: int, side: int, price: int, shares: float) -> Rows:
        at_ns = START_NS + int(at_ms * MS)
        sides = BUY if side > 0 else SELL if side < 0 else 0
        flags = AT_VENUE | AT_LOCAL | code | sides
        self.rows.append((flags, at_ns, at_ns + int(self.delay_ms * MS), price / 100, shares, 0, 0, 0.0))
        return self

    def book(self, at_ms: float, bids: dict[int, float], asks: dict[int, float]) -> Rows:
        """A full book: clear, then every level."""
        self.add(at_ms, CLEAR, 0, 0, 0)
        for side, levels in ((1, bids), (-1, asks)):
            for price, shares in levels.items():
                self.add(at_ms, SNAPSHOT, side, price, shares)
        return self

    def level(self, at_ms: float, side: int, price: int, shares: float) -> Rows:
        return self.add(at_ms, DEPTH, side, price, shares)

    def trade(self, at_ms: float, aggressor: int, price: int, shares: float) -> Rows:
        return self.add(at_ms, TRADE, aggressor, price, shares)

    def events(self) -> np.ndarray[Any, Any]:
        return np.array(self.rows, EVENT)


def order(at_ms: float, side: int, how: str, price: int, shares: float, cancel_ms: float | None = None) -> Sent:
    """A `Sent` in the terms of `Rows`."""
    cancel_ns = None if cancel_ms is None else START_NS + int(cancel_ms * MS)
    return Sent(START_NS + int(at_ms * MS), side, how, price, round(shares * LOTS_A_SHARE), cancel_ns)


# ---------------------------------------------------------------- random tapes
CENT_LOTS: Final = LOTS_A_SHARE // 100
LEVEL_CENTS, OWN_SHARES = (2_000, 30_000), (1, 19)
"""Strict tapes: no level and no print is smaller than any of our orders."""


class RandomMarket:
    """A random walk of a two-sided book with prints, and orders sent into it: everything from one seed.

    `small`: levels and prints may be smaller than our orders (then hftbacktest fills more than the market showed).
    Never more than one of our orders rests on a side (a print would fill each of them whole at hftbacktest).
    """

    def __init__(self, seed: int, rows: int, small: bool = False) -> None:
        self._rng = random.Random(seed)
        self._small = small
        self._now = START_NS
        self._levels: dict[int, dict[int, int]] = {1: {}, -1: {}}
        self._due: list[tuple[int, int, int, int]] = []
        self._wishes: list[int] = []
        self._busy_until = {1: 0, -1: 0}
        self.rows: list[tuple[int, int, int, int, int]] = []
        """(ts, code, side, price, cents)"""
        self.script: list[Sent] = []
        for side in (1, -1):
            for step in range(5):
                self._put(SNAPSHOT, side, 50 - side * (1 + step), self._cents())
        while len(self.rows) < rows:
            self._step()
        self._now += 1_000 * MS  # what is under way arrives before the tape ends
        self._put(DEPTH, 1, 1, 777_700)

    def _cents(self) -> int:
        low, high = (100, 6_000) if self._small else LEVEL_CENTS
        return low + int((high - low) * self._rng.random() ** 4)

    def best(self, side: int) -> int:
        return max(self._levels[1]) if side > 0 else min(self._levels[-1])

    def _put(self, code: int, side: int, price: int, cents: int) -> None:
        last = self.rows[-1] if self.rows else None
        if code == TRADE and last is not None and last[1] != TRADE and last[0] == self._now:
            self._now += 1  # at one instant our tapes have prints first, whatever the file's order: docs/referees.md
        self.rows.append((self._now, code, side, price, cents))
        if code != TRADE:
            self._levels[side].pop(price, None)
            if cents:
                self._levels[side][price] = cents

    def _step(self) -> None:
        rng = self._rng
        then = self._now + rng.choice((0, 0, 1, 40_000, MS, MS, 3 * MS, 9 * MS))
        while self._wishes and self._wishes[0] <= then:  # a row at the very instant at which a message of ours arrives
            wish = self._wishes.pop(0)
            if wish > self._now:
                then = wish
                break
        self._now = then
        while self._due and self._due[0][0] <= self._now:
            _, side, price, cents = self._due.pop(0)
            self._shrink(side, price, cents)
        what, side = rng.random(), rng.choice((1, -1))
        if what < 0.38:
            self._refresh(side)
        elif what < 0.72:
            self._print(side)
        elif what < 0.90:
            self._shift(side)
        else:
            price = min(99, max(1, self.best(side) + rng.randrange(-2, 3)))
            self._put(TRADE, -side, price, self._cents())
        if rng.random() < 0.22:
            self._send(rng.choice((1, -1)))

    def _refresh(self, side: int) -> None:
        """Set a level near the touch, or take one away."""
        rng = self._rng
        price = self.best(side) - side * rng.randrange(-1, 5)
        levels = self._levels[side]
        if not 0 < price < 100 or side * (self.best(-side) - price) <= 0:
            return
        gone = price in levels and len(levels) > 3 and rng.random() < 0.3
        self._put(DEPTH, side, price, 0 if gone else self._cents())

    def _print(self, side: int) -> None:
        """Somebody takes from the best levels of `side`; the level update comes at once, later, or came before."""
        rng = self._rng
        for _ in range(rng.choice((1, 1, 1, 2))):
            price = self.best(side)
            shown = self._levels[side][price]
            cents = min(shown, self._cents()) if rng.random() < 0.7 else shown
            first = rng.random()
            if first < 0.2 and len(self._levels[side]) > 1:
                self._shrink(side, price, cents)
            self._put(TRADE, -side, price, cents)
            if 0.2 <= first < 0.6:
                self._shrink(side, price, cents)
            elif first >= 0.6:
                insort(self._due, (self._now + rng.choice((1, MS, 20 * MS)), side, price, cents))

    def _shrink(self, side: int, price: int, cents: int) -> None:
        left = self._levels[side].get(price, 0) - cents
        if price not in self._levels[side] or (left < LEVEL_CENTS[0] and not self._small):
            left = 0
        if len(self._levels[side]) == 1 and left <= 0:
            self._put(DEPTH, side, self.best(side) - side, self._cents())
        self._put(DEPTH, side, price, max(0, left))

    def _shift(self, side: int) -> None:
        """The price moves: the best level of a side goes, and sooner or later the other side takes its place."""
        rng = self._rng
        if self.best(1) < 15 or self.best(-1) > 85:
            side = -1 if self.best(1) < 15 else 1
        if len(self._levels[side]) < 3:
            self._put(DEPTH, side, self.best(side) - side * 2, self._cents())
        self._put(DEPTH, side, self.best(side), 0)
        while rng.random() < 0.8 and side * (self.best(-side) - self.best(side)) > 1:
            self._put(DEPTH, -side, self.best(-side) - side, self._cents())

    def _send(self, side: int) -> None:
        rng = self._rng
        at = self._now + rng.choice((0, 0, 1, 777_777))
        shares = rng.randrange(1, 60 if self._small else OWN_SHARES[1])
        lots = shares * LOTS_A_SHARE + 1
        if rng.random() < 0.25:
            how = rng.choice((IOC, FOK, GTC, MARKET) if self._small else (IOC, FOK, MARKET))
            price = self.best(-side) + side * rng.choice((-1, 0, 0, 1, 3))
            if how != GTC:
                self.script.append(Sent(at, side, how, min(99, max(1, price)), lots * rng.choice((1, 1, 30))))
                return
        else:
            how = rng.choice((GTX, GTX, GTX, GTC))
            price = self.best(side) - side * rng.choice((-1, 0, 0, 0, 0, 1, 2))
        if at < self._busy_until[side]:
            return
        life = rng.choice((10, 20, 40, 120)) * MS + rng.randrange(3)
        self.script.append(Sent(at, side, how, min(99, max(1, price)), lots, at + life))
        self._busy_until[side] = at + life + 1
        if rng.random() < 0.5:
            insort(self._wishes, at + ENTRY_NS)
            insort(self._wishes, at + life + ENTRY_NS)

    def events(self, split: bool = False) -> np.ndarray[Any, Any]:
        """The tape with local times: a jittered delay. `split`: prints and levels are heard over two connections, so that
        the two clocks disagree about the order and each event is written as two halves."""
        rng, heard, whole = self._rng, {DEPTH: 0, TRADE: 0}, []
        for at, code, side, price, cents in self.rows:
            lane = TRADE if split and code == TRADE else DEPTH
            jitter = (MS,) if at == START_NS else (MS, 2 * MS, 2 * MS, 30 * MS if split else 7 * MS)  # one message
            heard[lane] = max(heard[lane], at + rng.choice(jitter))
            sides = BUY if side > 0 else SELL
            whole.append((AT_VENUE | AT_LOCAL | code | sides, at, heard[lane], price / 100, cents / 100, 0, 0, 0.0))
        events = np.array(whole, EVENT)
        if not split:
            return events
        venue, local = events.copy(), events[np.argsort(events["local_ts"], kind="stable")]
        venue["ev"] &= ~np.uint64(AT_LOCAL)
        local["ev"] &= ~np.uint64(AT_VENUE)
        both = np.concatenate((venue, local))
        seen = np.concatenate((venue["exch_ts"], local["local_ts"]))
        return both[np.argsort(seen, kind="stable")]


# ---------------------------------------------------------------- our side
class Imported:
    """A tape on disk, as a `World` wants it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def chunks(self, cuts: Sequence[int] = (), feed_ns: int = 0) -> Iterator[Chunk]:
        return merged([TapeStream(TapeReader(self.path))])


@dataclass
class Played:
    """How our side ended: the fills of each order of the script in order of time, the orders, and the world."""

    world: World
    fills: list[list[Match]]
    orders: list[Order]


def import_npz(npz: Path, units: Units) -> Path:
    """The npz through the importer; returns the tape's path beside it."""
    tape = npz.with_suffix(".tape")
    import_tape([npz], IMPORTER, {"price_unit": str(units.price), "lot": str(units.lot)}, tape)
    return tape


def replay(tape: Path, script: Sequence[Sent], units: Units, refill: int = REFILL_OFF) -> Played:
    """Play a script through engine and simulated venue on an imported tape: risk-averse queue, constant latency, no fees."""
    runtime = VirtualRuntime(0)
    name = TapeReader(tape).manifest.markets[0].market
    unit = Decimal("0.000000000001")
    instrument = Instrument(
        "sim", name, InstrumentKind.BINARY if units.price_end_i else InstrumentKind.SPOT, Grid(units.price, units.lot),
        base=Asset("YES", units.lot), complement=Asset("NO", units.lot) if units.price_end_i else None,
        quote=Asset("USD", unit), fees=NoFee(), tick_i=1, size_step_lots=1, size_min_lots=1,
    )  # fmt: skip
    profile = VenueProfile(shorting=True)
    latency = LatencyModel(ConstantLatency(), ConstantLatency(ENTRY_NS), ConstantLatency(RESPONSE_NS))
    world = World(
        runtime, Imported(tape), [instrument], profile=profile, latency=latency,
        spans=[MarketSpan(1, 1, 1, units.price_end_i)], refill=refill,
    )  # fmt: skip
    engine = world.engine
    orders = [_order(engine.new_order_id(), instrument, sent) for sent in script]
    played = Played(world, [[] for _ in script], orders)
    number = {o.id: i for i, o in enumerate(orders)}

    def heard(update: OrderUpdate) -> None:
        if (fill := update.fill) is not None:
            played.fills[number[fill.order_id]].append(Match(fill.ts_ns, fill.lots, fill.price_i, fill.cause))

    engine.subscribe(heard)

    async def place(one: Order) -> None:
        try:
            await engine.submit_order(one)
        except ExecError:
            return

    async def play() -> None:
        for at_ns, index, cancel in actions(script):
            await runtime.sleep_until(at_ns)
            if not cancel:
                runtime.spawn(place(orders[index]), "place")
            elif orders[index].is_active:
                engine.start_cancel(orders[index])

    async def main() -> None:
        player = runtime.spawn(play(), "script")
        await runtime.spawn(world.market.run(), "tape").join()
        await player.join()
        await runtime.sleep(1_000 * MS)

    runtime.run(main=main())
    return played


def actions(script: Sequence[Sent]) -> list[tuple[int, int, bool]]:
    """(time, order number, whether it is the cancel) in the order in which they are sent."""
    sends = [(sent.at_ns, i, False) for i, sent in enumerate(script)]
    cancels = [(sent.cancel_ns, i, True) for i, sent in enumerate(script) if sent.cancel_ns is not None]
    return sorted(sends + cancels, key=lambda action: action[0])


def _order(order_id: Any, instrument: Instrument, sent: Sent) -> Order:
    types = {GTX: OrderType.POST_ONLY, MARKET: OrderType.MARKET}
    tifs = {IOC: TimeInForce.IOC, FOK: TimeInForce.FOK, MARKET: TimeInForce.IOC}
    return Order(
        order_id, instrument, Side.BUY if sent.side > 0 else Side.SELL, types.get(sent.how, OrderType.LIMIT),
        tifs.get(sent.how, TimeInForce.GTC), sent.lots, price_i=None if sent.how == MARKET else sent.price_i,
    )  # fmt: skip


# ---------------------------------------------------------------- a real tape, and orders on any tape
def events_of(tape: Path, units: Units, rows: int) -> np.ndarray[Any, Any]:
    """The first rows of a tape of one market as events; one kind of row hftbacktest has no word for ends it."""
    columns = next(iter(TapeReader(tape, chunk_rows=rows)))
    kind = columns["kind"]
    codes = {Kind.SNAPSHOT: SNAPSHOT, Kind.LEVEL: DEPTH, Kind.TRADE: TRADE}
    other = np.flatnonzero(~np.isin(kind, [int(k) for k in codes]))
    size = int(other[0]) if len(other) else len(kind)
    events = np.zeros(size, EVENT)
    side = np.where(kind == Kind.TRADE, columns["aggressor"], columns["side"])[:size]
    for known, code in codes.items():
        events["ev"][kind[:size] == known] = code
    events["ev"] |= np.where(side > 0, BUY, np.where(side < 0, SELL, 0)).astype(np.uint64) | np.uint64(
        AT_VENUE | AT_LOCAL
    )
    events["exch_ts"], events["local_ts"] = columns["ts_venue_ns"][:size], columns["ts_recv_ns"][:size]
    scale, fine = 10 ** -units.price.as_tuple().exponent, 10 ** -units.lot.as_tuple().exponent
    events["px"], events["qty"] = columns["price_i"][:size] / scale, columns["size_i"][:size] / fine
    return events


def orders_on(
    tape: Path, units: Units, seed: int, count: int, lots: tuple[int, int], step: int, reach: int, *,
    takers: float = 0.3, hows: Sequence[str] = (IOC, FOK),
) -> list[Sent]:  # fmt: skip
    """`count` orders at random instants of a tape of one market, near the best prices of that instant: sizes between `lots`
    in steps of `step`, plus one; prices up to `reach` units deep or through. `takers` of them are one of `hows`; of the
    others at most one rests on a side.
    """
    rng, kernel = random.Random(seed), Replay([MarketSpan(1, 1, 1, units.price_end_i)])
    chunks = list(merged([TapeStream(TapeReader(tape))]))
    first, last = int(chunks[0].venue[0, TS_VENUE]), int(chunks[-1].venue[-1, TS_VENUE])
    script: list[Sent] = []
    busy_until = {1: 0, -1: 0}
    times = iter(sorted(rng.randrange(first + 1, last - 1_000 * MS) for _ in range(count)))
    at = next(times)
    for chunk in chunks:
        kernel.feed(chunk.venue, chunk.local[:0])
        while at < END_NS and kernel.advance(at) is Stop.HORIZON:
            side = rng.choice((1, -1))
            bid, _, ask, _ = kernel.best(VENUE, 0)
            own, other = (bid, ask) if side > 0 else (ask, bid)
            size = rng.randrange(*lots, step) + 1
            if own is not None and other is not None and rng.random() < takers:
                how = rng.choice(hows)
                script.append(
                    Sent(at, side, how, other + side * rng.randrange(-reach, reach + 1), size * rng.choice((1, 30)))
                )
            elif own is not None and at > busy_until[side]:
                price = own - side * rng.choice((-1, 0, 0, 0, 0, 1, rng.randrange(reach)))
                cancel = at + rng.choice((100, 600, 2_000)) * MS + rng.randrange(1_000)
                script.append(Sent(at, side, rng.choice((GTX, GTX, GTC)), price, size, cancel))
                busy_until[side] = cancel
            at = next(times, END_NS)
    return script
