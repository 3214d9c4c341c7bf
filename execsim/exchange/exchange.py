"""The simulated exchange: one venue's accounts, rules, orders, settlement and faults, in front of a source of liquidity.

    lines (one an account) ──▶ limits, faults ──▶ order entry ──▶ matching (tape or agents' book)
                                contracts (tokens) · chain (settlement) · resolutions          all on one ledger

The same object stands behind the adapter of a backtest and, later, behind a venue's own protocol. Nothing waits for a tape
row: arrivals, expiries, faults and answers are timers of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from execsim.core.errors import ConfigError, ExecError
from execsim.core.events import MarketClosed, MarketResolved, QueueMoved, TickChanged, VenueEvent
from execsim.core.instrument import Instrument
from execsim.core.limits import LimitRule
from execsim.core.order import Fill, MarketId, OrderId
from execsim.exchange.account import Ledger
from execsim.exchange.chain import Chain, ChainModel
from execsim.exchange.claims import Claims
from execsim.exchange.entry import OrderEntry, TakerDelay
from execsim.exchange.faults.desk import FaultDesk
from execsim.exchange.l3_matching import L3Matching
from execsim.exchange.latency import LatencyModel
from execsim.exchange.limits import VenueLimits
from execsim.exchange.line import Line, Sent
from execsim.exchange.matching import TapeMatching
from execsim.exchange.register import ENDED_KEPT_MAX
from execsim.exchange.resolution import ResolutionModel, Resolutions
from execsim.exchange.resting import OrderKey, VenueOrder
from execsim.exchange.rewards import Levels, Resting
from execsim.exchange.rules import Gate
from execsim.exchange.tokens import Contracts, Event, settle
from execsim.exchange.trace import NoTrace, Trace
from execsim.kernel import VENUE, OwnFill, QueueMove, Replay, Row
from execsim.ports import Priority, Runtime, VenueProfile

TRADER = "trader"


@dataclass(frozen=True, slots=True)
class ExchangeModel:
    """What of an exchange a scenario chooses besides latency and queues; the defaults are a plain one: fills final at
    once, no delay for takers, markets paid when they resolve, the rate limits of the venue's profile."""

    chain: ChainModel | None = None
    taker_delay: TakerDelay = field(default_factory=TakerDelay)
    resolution: ResolutionModel = field(default_factory=ResolutionModel)
    events: Sequence[Event] = ()
    limits: tuple[LimitRule, ...] | None = None
    """the venue's rate limits, instead of its profile's"""
    limits_enforced: bool = True
    limits_tier: str = ""
    """whose limits they are, where the venue has tiers"""
    door: tuple[LimitRule, ...] | None = None
    """what one network address may ask of the served venue, instead of its profile's"""
    ended_kept_max: int = ENDED_KEPT_MAX
    """ended orders the venue can still be asked about; older ones it does not know any more"""


class Exchange:
    """One venue. `markets` maps the kernel's market index to its instrument; indices of other venues are absent.

    Liquidity is the tape's, unless `book` makes one of orders that meet each other (agents), on this ledger. Accounts get a
    connection by `connect`; who stands at the exchange itself (agents) uses `entry`. The ledger's books balance at any
    moment (`ledger.check`).
    """

    def __init__(
        self,
        runtime: Runtime,
        kernel: Replay,
        venue_id: str,
        markets: Mapping[int, Instrument],
        profile: VenueProfile,
        model: ExchangeModel | None = None,
        trace: Trace | None = None,
        book: Callable[[Ledger, Claims], L3Matching] | None = None,
    ) -> None:
        model = model or ExchangeModel()
        if book is not None and model.chain is not None:
            what = f"venue {venue_id}: settlement on chain of orders that meet each other"
            raise ConfigError(what, "a match of agents is final at once: set settlement.enabled = false")
        self.runtime = runtime
        self.venue_id = venue_id
        self.profile = profile
        self.model = model
        self.instruments = {instrument.market: instrument for instrument in markets.values()}
        self.index = {instrument.market: index for index, instrument in markets.items()}
        self._kernel = kernel
        self._markets = dict(markets)
        self.trace = trace or NoTrace()
        self.ledger = Ledger()
        self.claims = Claims(self.ledger, profile)
        self.limits = VenueLimits(venue_id, profile, model.limits, model.limits_enforced, model.limits_tier)
        door = profile.door if model.door is None else model.door
        self.door = VenueLimits(venue_id, profile, door, model.limits_enforced)
        self.faults = FaultDesk(runtime, venue_id)
        self.gate = Gate(venue_id, profile, kernel)
        self.matching: TapeMatching | L3Matching = (
            TapeMatching(kernel, self.ledger, self.claims, profile) if book is None else book(self.ledger, self.claims)
        )
        self.chain = None
        if model.chain is not None:
            self.chain = Chain(runtime, self.ledger, model.chain, venue_id, self.tell, self._undo, self.trace)
        self.entry = OrderEntry(
            runtime, venue_id, profile, self.gate, self.matching, self.claims, self.tell, self.chain, model.taker_delay,
            self.trace, model.ended_kept_max,
        )  # fmt: skip
        if self.limits.counts_unfilled:
            self.entry.on_first = self._first_fill
        self.contracts = Contracts(self.ledger, self.instruments, model.events)
        self.resolutions = Resolutions(runtime, venue_id, model.resolution, self._final)
        self.resolved: dict[int, int] = {}
        self._ids = runtime.rng(f"{venue_id}.ids")
        self._lines: dict[str, Line] = {}
        self._mutes = 0
        self._locks: list[int] = []
        self._fails: list[int] = []
        self._watches: dict[OrderKey, int] = {}
        self.matching.on_rest = self._rests
        if isinstance(self.matching, L3Matching):
            self.matching.on_queue = self._moved
        self.mute: Callable[[Sequence[str], bool], None] = lambda markets, tell_gap: None
        """stops the trader's market data (the tape task sets it)"""
        self.unmute: Callable[[Sequence[str]], None] = lambda markets: None
        self.hear_tick: Callable[[str, int], None] = lambda market, tick_i: None
        """tells the strategy's side of a tick that is not on the tape"""

    # ---------------------------------------------------------------- accounts
    def connect(self, account: str, latency: LatencyModel) -> Line:
        """A connection for an account. Errors: ConfigError when it has one already."""
        if account in self._lines:
            raise ConfigError(f"account {account!r} is connected to {self.venue_id} twice", "use its connection")
        name = "" if account == TRADER else account
        line = Line(self.runtime, self.venue_id, name, latency, self.faults, self._admit, self.trace)
        self._lines[account] = line
        return line

    def new_id(self) -> str:
        """The venue's name for an order."""
        return f"{self._ids.raw():016x}"

    def tell(self, account: str, event: VenueEvent) -> None:
        """Report to an account, if it is connected."""
        line = self._lines.get(account)
        if line is not None:
            line.report(event)

    def tell_all(self, event: VenueEvent) -> None:
        for line in self._lines.values():
            line.report(event)

    def _admit(self, sent: Sent) -> ExecError | int:
        """The venue's own rate limits, on arrival. An account has one key and one address."""
        who = sent.account or TRADER
        verdict = self.limits.ask(sent.kind, self.runtime.now_ns(), signer=who, ip=who, orders=sent.orders)
        return verdict.error or verdict.delay_ns

    def _first_fill(self, order: VenueOrder, fill: Fill) -> None:
        self.limits.credit(order.account, self.runtime.now_ns(), fill.liquidity)

    def deposit(self, account: str, asset: str, amount: int) -> None:
        """Money from outside, in units of the asset."""
        self.ledger.deposit(account, asset, amount)

    def _undo(self, order: VenueOrder, fill: Fill) -> None:
        assert isinstance(self.matching, TapeMatching)
        self.matching.undo(order, fill)
        self.claims.spent(order, fill, -1)

    def seen(self, account: str, market: str) -> tuple[list[Resting], Levels, Levels] | None:
        """What the venue sees of a market: the account's resting orders, and bids and asks of others (less what was taken),
        best first; None while the book is not known or after the market has ended."""
        index, kernel = self.index[market], self._kernel
        if self.resolutions.knows(index) or kernel.in_gap(VENUE, index) or not kernel.has_book(VENUE, index):
            return None
        now_ns = self.runtime.now_ns()
        resting = [
            Resting(order.side_sign, order.book_price_i, order.left_lots, now_ns - order.booked_ns)
            for order in self.entry.open.values()
            if order.account == account and order.market == index and order.slot is not None and order.book_price_i
        ]
        return resting, list(kernel.available(index, 1)), list(kernel.available(index, -1))

    def tick_i(self, market: int) -> int:
        """The tick the venue judges orders by now."""
        return self._kernel.tick_i(VENUE, market)

    # ---------------------------------------------------------------- queue positions
    def ahead(self, order: VenueOrder) -> int | None:
        """Lots in front of a resting order, None where it does not rest."""
        if isinstance(self.matching, L3Matching):
            return self.matching.ahead(order)
        return None if order.slot is None else self._kernel.ahead(order.slot)

    def watch_queue(self, account: str, order_id: OrderId, percent: int) -> None:
        """Tell the account when its order's place has moved by `percent` of the lots ahead, from when it rests."""
        order = self.entry.find(account, order_id)
        if order is not None and self.ahead(order) is not None:
            self._watch(order, percent)
        elif order is None or order.is_open:
            self._watches[(account, order_id)] = percent

    def _rests(self, order: VenueOrder) -> None:
        """An order has joined a queue: whoever asked hears of it from now on."""
        percent = self._watches.pop(order.key, None)
        if percent is not None:
            self._watch(order, percent)
        if order.slot is not None and self.trace.wants_queues:
            self._kernel.watch_queue(order.slot, 1)

    def _watch(self, order: VenueOrder, percent: int) -> None:
        order.noted_lots = self.ahead(order) or 0
        order.watch_lots = max(1, -(-order.noted_lots * percent // 100))
        if isinstance(self.matching, L3Matching):
            self.matching.watch(order)
        elif order.slot is not None:
            self._kernel.watch_queue(order.slot, 1 if self.trace.wants_queues else order.watch_lots)

    def _moved(self, order: VenueOrder, ahead: int) -> None:
        """A watched queue moved by what its order asked for."""
        noted, order.noted_lots = order.noted_lots, ahead
        self.tell(order.account, QueueMoved(order.id, noted, ahead, self.runtime.now_ns()))

    # ---------------------------------------------------------------- the tape moves
    def on_fills(self, market: int, fills: list[OwnFill], row: Row) -> None:
        """Resting orders were filled by a tape row, at its venue time."""
        assert isinstance(self.matching, TapeMatching)
        for own in fills:
            self.entry.executed([self.matching.make(own, row)])

    def on_queue(self, market: int, moves: list[QueueMove], row: Row) -> None:
        """Queues that somebody watches moved."""
        assert isinstance(self.matching, TapeMatching)
        for slot, before, ahead in moves:
            order = self.matching.by_slot.get(slot)
            if order is None:
                continue
            self.trace.order(
                "queue", order, before=before, ahead=ahead, row_seq=row.seq, row_kind=row.kind, row_size=row.size,
                row_price_i=row.price_i,
            )  # fmt: skip
            if order.watch_lots and abs(order.noted_lots - ahead) >= order.watch_lots:
                self._moved(order, ahead)

    def on_resolve(self, market: int, payoff_i: int) -> None:
        """The market is said to have ended: trading stops, the payoff follows by the resolution's rules."""
        instrument = self._markets[market]
        if self.resolutions.knows(market):
            return
        self.gate.close(market)
        if self.model.resolution.longest_ns() > 0:
            self.entry.drop_all("market resolved", market=market)
            self.tell_all(MarketClosed(MarketId(instrument.market), payoff_i, self.runtime.now_ns()))
        self.resolutions.propose(market, payoff_i, instrument.one_i)

    def _final(self, market: int, payoff_i: int) -> None:
        """The payoff stands: what is open ends, what is under way settles, tokens become cash (or wait to be redeemed)."""
        if market in self.resolved:
            return
        self.resolved[market] = payoff_i
        instrument = self._markets[market]
        self.entry.drop_all("market resolved", market=market)
        if self.chain is not None:
            self.chain.finish(market)
        self.contracts.payoffs[instrument.market] = payoff_i
        paid = self.model.resolution.auto_redeem
        if paid:
            for account in [name for name in self.ledger.accounts if name not in Ledger.OWN]:
                settle(self.ledger, account, instrument, payoff_i)
        self.tell_all(MarketResolved(MarketId(instrument.market), payoff_i, self.runtime.now_ns(), paid))

    # ---------------------------------------------------------------- levers of the faults
    def start(self) -> None:
        """The run begins: faults are timed from now."""
        self.faults.start(self)

    def drop_resting(self, reason: str, expire: bool) -> None:
        self.entry.drop_all(reason, expire=expire)

    def shift_clock(self, ns: int) -> None:
        self.entry.skew_ns += ns
        self.entry.rearm_expiries()

    def hurry_expiries(self, ns: int) -> None:
        self.entry.early_ns += ns
        self.entry.rearm_expiries()

    def refine_ticks(self, divisor: int) -> None:
        now_ns = self.runtime.now_ns()
        for index, instrument in self._markets.items():
            tick_i = self._kernel.tick_i(VENUE, index)
            if tick_i % divisor:
                continue  # the market's grid knows no finer price
            self._kernel.set_tick(index, tick_i // divisor, views=(VENUE,))
            self.hear_tick(instrument.market, tick_i // divisor)
            self.tell_all(TickChanged(MarketId(instrument.market), tick_i // divisor, now_ns))

    def mute_feed(self, tell_gap: bool) -> None:
        self._mutes += 1
        self.mute(tuple(self.instruments), tell_gap)

    def unmute_feed(self) -> None:
        self._mutes -= 1
        if self._mutes == 0:
            self.unmute(tuple(self.instruments))

    def lock_claims(self, ns: int, on: bool) -> None:
        self._locks.append(ns) if on else self._locks.remove(ns)
        longest = max(self._locks, default=0)
        self.entry.keep_claims = None if longest == 0 else lambda order: self._lock(order, longest)

    def _lock(self, order: VenueOrder, ns: int) -> None:
        """Keep what an ended order claimed for ns more: released from its claim, locked in the account."""
        account, asset, units = self.ledger[order.account], order.reserved_asset, order.reserved
        account.locked[asset] += units

        def unlock() -> None:
            account.locked[asset] -= units

        self.runtime.call_at(self.runtime.now_ns() + ns, unlock, priority=Priority.VENUE)

    def fail_matches(self, per_million: int, on: bool) -> None:
        self._fails.append(per_million) if on else self._fails.remove(per_million)
        if self.chain is not None:
            rng, most = self.runtime.rng(f"{self.venue_id}.faults.chain"), max(self._fails, default=0)
            self.chain.fail_next = None if most == 0 else lambda: rng.below(1_000_000) < most
