"""A trader of chance on Polymarket's protocol while faults are at work: engine and adapter, joined to the dialect in memory,
in virtual time. When everything works again, `wrong` says what engine, journal and venue do not agree on.

    PYTHONPATH=tests/property:tests/conformance uv run python -m polymarket_faults SEED SECONDS PACK...|all

plays one seed again. `cut` is a pack too: the connection is lost.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from native_worlds import money_of
from polymarket_suite_world import PolymarketWorld
from polymarket_worlds import FREE
from worlds import MS, START_NS, Tape, binary

from execsim.core.errors import ExecError
from execsim.core.instrument import Outcome
from execsim.core.order import Fill, FillStatus, Order, OrderStatus, OrderType, Side, TimeInForce
from execsim.core.units import NS_PER_S
from execsim.exchange import (
    ChainModel,
    ConstantLatency,
    ExchangeModel,
    LatencyModel,
    LognormalLatency,
    ResolutionModel,
    UniformLatency,
)
from execsim.exchange.faults import PACKS, Pack
from execsim.exchange.faults.packs import Outage, Throttle
from execsim.exchange.loopback import Loopback
from execsim.exchange.resting import VenueOrder
from execsim.ports import Priority
from execsim.runtime import VirtualRuntime
from execsim.testing import MemoryJournal
from execsim.testing.refold import refold
from execsim_polymarket.dialect import PolymarketDialect

SHARE = 1_000_000
CUT = "cut"
FULL_S = 240
"""how long the trader trades while packs last as long as they do (three minutes at most); in shorter sessions they are
shorter as well"""
SHORT = 6
"""how many times shorter packs are in sessions that are short, or have several: else the venue is down all the time"""
QUIET_S = 60
"""between two rounds of putting things in order: more than an order may stay unknown"""
ROUNDS = 6
MARKETS = ("rain", "snow")
VARIANTS: dict[str, Pack] = {
    "outage_known": Outage(known=True), "outage_query": Outage(fails="query"), "outage_cancel": Outage(fails="cancel"),
    "outage_drops": Outage(resting="cancel"), "outage_expires": Outage(resting="expire"),
    "outage_slow": Outage(fails="slow"), "outage_stale": Outage(fails="stale_book"),
    "throttle_cancels": Throttle(5_000, True),
}  # fmt: skip
BROKEN: dict[str, Pack] = {name: PACKS[name]() for name in sorted(PACKS)} | VARIANTS
NAMES = (*BROKEN, CUT)
TIMES = ("lasts_ms", "down_ms", "post_only_ms", "hold_ms")


def shorter(pack: Pack) -> Pack:
    """The same fault for a part of the time."""
    times = {f.name: getattr(pack, f.name) // SHORT for f in fields(pack) if f.name in TIMES}  # type: ignore[arg-type]
    return replace(pack, **times)  # type: ignore[type-var]


def moving_tape(rng: random.Random, seconds: int) -> Tape:
    """Two books that walk a cent at a time, with prints at the touch."""
    tape, mids = Tape(), [50, 30]
    for step in range(seconds * 2):
        for market in range(2):
            at_ns, mid = step * 500 * MS + rng.randrange(400) * MS, mids[market]
            if step and rng.random() < 0.6:
                side = rng.choice((1, -1))
                tape.trade(at_ns, side, (mid + side) * 100, rng.randrange(1, 120) * SHARE, market=market)
            mids[market] = mid = min(70, max(20, mid + rng.choice((-1, 0, 0, 0, 1))))
            bids, asks = (
                [((mid + sign * away) * 100, rng.randrange(5, 90) * SHARE) for away in (1, 2, 3)] for sign in (-1, 1)
            )
            tape.book(at_ns + 50 * MS, bids, asks, market=market)
    return tape


class Broken(PolymarketWorld):
    """Two markets, a chain between match and money, latencies of chance."""

    exact = True

    def __init__(self, seed: int, seconds: int) -> None:
        chain = ChainModel(*(LognormalLatency(s * NS_PER_S, "0.5") for s in (1, 2, 3)), 0)
        instruments = [binary(name) for name in MARKETS]
        self.journal = MemoryJournal()
        super().__init__(
            VirtualRuntime(seed, START_NS), moving_tape(random.Random(seed), seconds), instruments,
            money_of(instruments[0], {"pUSD": 2_000 * SHARE}), sets=200 * SHARE, profile=FREE,
            latency=LatencyModel(ConstantLatency(), UniformLatency(1 * MS, 60 * MS), UniformLatency(1 * MS, 50 * MS)),
            model=ExchangeModel(chain=chain, resolution=ResolutionModel(auto_redeem=False)),
        )  # fmt: skip
        self.loopback = Loopback(self.runtime, PolymarketDialect(), self.desk)
        self._one_trader(self.loopback, journal=self.journal, repeats=True)

    def run(self, main: Coroutine[Any, Any, None]) -> None:
        self.runtime.run(main=self._play(main))  # type: ignore[attr-defined]  # a runtime's own method, not of the port

    @property
    def account(self) -> Any:
        """The trader's account at the venue."""
        return self.desk.adapter(self.adapter.identity.address)


@dataclass
class Played:
    """What came of a session."""

    world: Broken
    orders: list[Order] = field(default_factory=list)
    cuts: int = 0
    wrong: list[str] = field(default_factory=list)
    ended_otherwise: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(status here, at the venue) of ended orders that agree in every fill: see `ended`"""


def play(seed: int, packs: Sequence[str], seconds: int = FULL_S) -> Played:
    """Trade while these packs come and go, then put everything in order and compare."""
    played = Played(Broken(seed, seconds))
    rng = random.Random(seed)

    async def main() -> None:
        trader = _Trader(played, rng, packs, seconds)
        await trader.trade()
        await trader.put_in_order()

    played.world.run(main())
    played.wrong += wrong(played)
    return played


class _Trader:
    def __init__(self, played: Played, rng: random.Random, packs: Sequence[str], seconds: int) -> None:
        self.played, self.world, self.rng = played, played.world, rng
        self.engine, self.runtime = played.world.engine, played.world.runtime
        self.packs, self.seconds = packs, seconds
        self.faults = played.world.exchange.faults

    async def trade(self) -> None:
        """A bit of everything at times of chance; each pack begins at least twice."""
        end_ns = self.runtime.now_ns() + self.seconds * NS_PER_S
        for name in self.packs:
            for _ in range(4 if name == CUT else 2):
                at_ns = self.runtime.now_ns() + self.rng.randrange(self.seconds * 3 // 4) * NS_PER_S
                self.runtime.call_at(at_ns, self.begin, name, priority=Priority.VENUE)
        while self.runtime.now_ns() < end_ns:
            self.something()
            await self.runtime.sleep(self.rng.choice((20, 200, 900, 3_000)) * MS)

    def begin(self, name: str) -> None:
        if name == CUT:
            self.played.cuts += 1
            self.connected(False)
            self.world.loopback.cut()
            back_ns = self.runtime.now_ns() + self.rng.randrange(8_000) * MS
            self.runtime.call_at(back_ns, self.connected, True)
            return
        long = len(self.packs) == 1 and self.seconds >= FULL_S
        self.faults.begin(BROKEN[name] if long else shorter(BROKEN[name]))

    def connected(self, on: bool) -> None:
        """Whether a lost connection can be made again: until then news are missed."""
        self.world.loopback.refusing = not on

    def something(self) -> None:
        rng, active = self.rng, self.engine.get_active_orders()
        what = rng.random()
        if what < 0.55 or not active:
            self.start(self.engine.submit_order(self.order()))
        elif what < 0.65:
            self.start(self.engine.submit_batch([self.order() for _ in range(rng.choice((2, 3, 17)))]))
        elif what < 0.85:
            self.engine.start_cancel(rng.choice(active))
        elif what < 0.92:
            working = [order for order in active if order.status is OrderStatus.WORKING and order.quote_amount is None]
            if working:
                order = rng.choice(working)
                price_i = rng.choice((None, self.price_i(order.market, order.side, order.outcome)))
                self.start(self.engine.modify_order(order.id, price_i=price_i, size_lots=rng.randrange(5, 40) * SHARE))
        elif what < 0.96:
            self.start(self.engine.reconcile())
        else:
            self.start(self.engine.cancel_all())

    def price_i(self, market: str, side: Side, outcome: Outcome) -> int:
        top = self.world.books.top(market)
        mid_i = 5_000 if top.bid_i is None or top.ask_i is None else (top.bid_i + top.ask_i) // 2
        mid_i = mid_i if outcome is Outcome.YES else 10_000 - mid_i
        return min(9_900, max(100, (mid_i // 100 + self.rng.randrange(-6, 7)) * 100))

    def order(self) -> Order:
        rng = self.rng
        instrument = rng.choice(self.world.instruments)
        side, outcome = rng.choice(list(Side)), rng.choice((Outcome.YES, Outcome.YES, Outcome.NO))
        kind = rng.choice((OrderType.LIMIT, OrderType.LIMIT, OrderType.LIMIT, OrderType.POST_ONLY, OrderType.MARKET))
        tif = rng.choice(
            (TimeInForce.GTC, TimeInForce.GTC, TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK, TimeInForce.GTD)
        )
        if kind is OrderType.POST_ONLY:
            tif = TimeInForce.GTC
        price_i: int | None = self.price_i(instrument.market, side, outcome)
        lots: int | None = rng.randrange(500, 4_000) * SHARE // 100
        money = None
        if side is Side.BUY and (tif is TimeInForce.FOK or kind is OrderType.MARKET):
            lots, money = None, rng.randrange(100, 3_000) * SHARE // 100
            kind = OrderType.MARKET
        if kind is OrderType.MARKET:
            tif = rng.choice((TimeInForce.IOC, TimeInForce.FOK))
            price_i = rng.choice((price_i, None))
        now_ns = self.runtime.now_ns()
        expire_ns = now_ns + rng.randrange(185, 260) * NS_PER_S if tif is TimeInForce.GTD else None
        order = Order(
            self.engine.new_order_id(), instrument, side, kind, tif, lots, money, price_i, outcome, expire_ns, now_ns
        )
        self.played.orders.append(order)
        return order

    def start(self, work: Coroutine[Any, Any, Any]) -> None:
        async def quiet() -> None:
            try:
                await work
            except ExecError:
                return

        self.runtime.spawn(quiet(), "trader")

    async def put_in_order(self) -> None:
        """Everything works again: cancel, ask, and let what is under way arrive."""
        self.faults.stop()
        self.connected(True)
        for _ in range(ROUNDS):
            await self.engine.cancel_all()
            await self.runtime.sleep(QUIET_S * NS_PER_S)
            await self.engine.reconcile()


# ------------------------------------------------------------------------------------------------------ comparing


def wrong(played: Played) -> list[str]:
    """Everything engine, journal and venue do not agree on, in words."""
    engine = played.world.engine
    found = [f"order {order.id} is still {order.status}" for order in engine.get_active_orders()]
    if engine.inquiry.open:
        found.append(f"{engine.inquiry.open} orders are still asked for")
    found += [f"journal: {what}" for what in refold(engine, played.world.journal.read())]
    return [*found, *_orders(played), *_money(played.world), *_drained(played.world)]


def _orders(played: Played) -> Iterator[str]:
    """Tracker and venue: which orders there were, how each ended, and every fill of them."""
    world = played.world
    tracker, entry, address = world.engine.order_tracker, world.exchange.entry, world.account.account
    named: set[str] = set()
    for order in tracker.get_all_orders():
        name = world.adapter._hash_of.get(order.id, "")
        booked = entry.find(address, name) if name else None
        named.add(name)
        ours = Counter(_said(fill) for fill in tracker.get_fills(order.id))
        if booked is None:
            if order.status not in (OrderStatus.REJECTED, OrderStatus.CANCELLED, OrderStatus.EXPIRED) or ours:
                yield f"order {order.id}: {order.status} with us, never booked at the venue"
            continue
        if booked.is_open:
            yield f"order {order.id}: still open at the venue"
        theirs = Counter(_said(fill) for fill in booked.fills)
        if ours != theirs:
            yield f"order {order.id}: fills {sorted(ours)} with us, {sorted(theirs)} at the venue"
        if len({fill.id for fill in tracker.get_fills(order.id)}) != sum(ours.values()):
            yield f"order {order.id}: a fill is booked twice"
        if not ended(order, booked):
            yield f"order {order.id}: {order.status} with us, {booked.status} at the venue"
        elif order.status is not booked.status:
            played.ended_otherwise[str(order.status), str(booked.status)] += 1
    for booked in entry.booked:
        if booked.account == address and booked.id not in named:
            yield f"order {booked.id}: booked at the venue, unknown to the engine"


def ended(order: Order, booked: VenueOrder) -> bool:
    """Whether both say the same of how it ended, as far as the protocol can carry it.

    EXPIRED, CANCELLED   REST calls both CANCELED: an expiry whose news were lost is a cancel
    FILLED, CANCELLED    an order for money that is spent but for less than a size step costs; and the venue's own book of
                         an order whose fill was voided later
    """
    if order.status is booked.status:
        return True
    pair = {order.status, booked.status}
    if pair == {OrderStatus.EXPIRED, OrderStatus.CANCELLED}:
        return True
    return pair == {OrderStatus.FILLED, OrderStatus.CANCELLED} and order.quote_amount is not None


def _said(fill: Fill) -> tuple[Any, ...]:
    return fill.price_i, fill.lots, fill.cash, fill.fee, str(fill.liquidity), fill.status is FillStatus.VOIDED


def _money(world: Broken) -> Iterator[str]:
    """Cash and tokens to the last unit, fees included."""
    world.ledger.check()
    held = world.account.held.balances
    quote = world.instruments[0].quote.name
    if world.engine.portfolio.cash[quote] != held[quote]:
        yield f"{quote}: {world.engine.portfolio.cash[quote]} with us, {held[quote]} in the account"
    for instrument in world.instruments:
        position = world.engine.get_position(instrument.market)
        assert instrument.complement is not None
        for asset, lots in ((instrument.base, position.yes_lots), (instrument.complement, position.no_lots)):
            if held[asset.name] != lots:
                yield f"{asset.name}: {lots} with us, {held[asset.name]} in the account"


def _drained(world: Broken) -> Iterator[str]:
    account = world.account.held
    for what in ("reserved", "unsettled", "locked"):
        left = {asset: units for asset, units in getattr(account, what).items() if units}
        if left:
            yield f"the account still has {what} {left}"


def command(seed: int, packs: Sequence[str], seconds: int = FULL_S) -> str:
    """What plays it again."""
    named = "all" if tuple(packs) == NAMES else " ".join(packs)
    return f"PYTHONPATH=tests/property:tests/conformance uv run python -m polymarket_faults {seed} {seconds} {named}"


def main() -> None:
    names = sys.argv[3:]
    played = play(int(sys.argv[1]), NAMES if names == ["all"] else names, int(sys.argv[2]))
    print(f"{len(played.orders)} orders, {played.cuts} cuts, faults {dict(played.world.exchange.faults.counts)}")
    print("ended otherwise:", dict(played.ended_otherwise))
    print("\n".join(played.wrong) or "everybody agrees")
    sys.exit(bool(played.wrong))


if __name__ == "__main__":
    main()
