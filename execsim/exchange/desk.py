"""The port `ports.Desk`: one simulated venue with many accounts, as a dialect sees it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from execsim.core.errors import AuthenticationError, ConfigError
from execsim.core.events import Depth, VenueEvent
from execsim.core.instrument import Instrument
from execsim.core.order import OrderId, VenueId
from execsim.core.request import RequestKind
from execsim.core.units import plain
from execsim.exchange.account import Ledger
from execsim.exchange.exchange import Exchange
from execsim.exchange.faults import PACKS
from execsim.exchange.faults.build import build_pack
from execsim.exchange.latency import LatencyModel
from execsim.exchange.publisher import Publisher
from execsim.exchange.rewards import Resting, counts, midpoint_doubled
from execsim.exchange.venue import SimulatedVenue
from execsim.ports import (
    Budget,
    Closing,
    DeskClock,
    EventSink,
    FaultState,
    Hours,
    MarketSink,
    MarketState,
    OrderRecord,
    RewardTerms,
    Runtime,
    VenueProfile,
)
from execsim.tape.schema import MarketInfo

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,63}")
ACCOUNTS_MAX: Final = 10_000
"""Accounts of a desk; one more is refused: they live as long as it does."""


def _described(instrument: Instrument) -> MarketInfo:
    """Of a market without data: what its rules say."""
    grid = instrument.grid
    return MarketInfo(
        instrument.market, instrument.venue, instrument.kind.value, plain(grid.price_unit), plain(grid.lot),
        instrument.base.name, instrument.quote.name, plain(grid.price(instrument.tick_i)),
        plain(grid.size(instrument.size_step_lots)), plain(grid.size(instrument.size_min_lots)),
    )  # fmt: skip


class RunHours:
    """`ports.Hours` of an exchange nobody hosts."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def wall_ns(self) -> int:
        return self._runtime.now_ns()

    def wall_at(self, at_ns: int) -> int:
        return at_ns

    def go(self) -> None:
        """It moves."""

    def hold(self) -> None:
        raise self._refused()

    def pace(self, speed: int) -> None:
        raise self._refused()

    def step(self, to_ns: int, then: Callable[[], None]) -> None:
        raise self._refused()

    def _refused(self) -> ConfigError:
        return ConfigError("the time of this exchange is that of its run", "only `execsim serve` can hold it")


class _Seat:
    """An account: its door, and who hears its events."""

    def __init__(self, venue: SimulatedVenue) -> None:
        self.venue = venue
        self.sinks: list[EventSink] = []
        venue.events(self._hear)

    def _hear(self, event: VenueEvent) -> None:
        for sink in list(self.sinks):
            sink(event)


class ServedDesk:
    """`endow` gives a new account what it starts with; `latency` is the way of each account to the venue and back.

    `clock` and `hours` are the host's: it knows when the data ends, and time is in its hands. `infos`: what the data say of
    the markets.
    """

    def __init__(
        self,
        exchange: Exchange,
        publisher: Publisher,
        latency: LatencyModel,
        endow: Callable[[SimulatedVenue], None],
        clock: Callable[[], DeskClock],
        hours: Hours | None = None,
        infos: Mapping[str, MarketInfo] | None = None,
        rewards: Mapping[str, RewardTerms] | None = None,
    ) -> None:
        self.exchange = exchange
        self._publisher = publisher
        self._latency = latency
        self._endow = endow
        self._clock = clock
        self._hours = hours or RunHours(exchange.runtime)
        self._infos = dict(infos or {})
        self._rewards = dict(rewards or {})
        self._asked_ns = 0
        self._seats: dict[str, _Seat] = {}

    @property
    def venue_id(self) -> VenueId:
        return VenueId(self.exchange.venue_id)

    @property
    def profile(self) -> VenueProfile:
        return self.exchange.profile

    @property
    def runtime(self) -> Runtime:
        return self.exchange.runtime

    @property
    def hours(self) -> Hours:
        return self._hours

    def clock(self) -> DeskClock:
        return self._clock()

    def instruments(self) -> Mapping[str, Instrument]:
        return self.exchange.instruments

    # ---------------------------------------------------------------- accounts
    def open_account(self, account: str) -> None:
        if account in self._seats:
            return
        if not NAME.fullmatch(account):
            raise self._refused(
                f"account {account[:64]!r}: a name has 1 to 64 letters, digits, dots, dashes and underscores"
            )
        if account in Ledger.OWN or account in self.exchange.ledger.accounts:
            raise self._refused(f"account {account!r} is not free")
        if len(self._seats) >= ACCOUNTS_MAX:
            raise self._refused(f"there are {ACCOUNTS_MAX} accounts already")
        venue = SimulatedVenue(self.exchange, self._latency, account)
        self._endow(venue)
        self._seats[account] = _Seat(venue)

    def deposit(self, account: str, asset: str, units: int) -> None:
        self._seat(account).venue.deposit(self._asset(asset), units)

    def approve(self, account: str, asset: str, units: int | None) -> None:
        allowed = self._seat(account).venue.held.allowed
        allowed.pop(self._asset(asset), None)
        if units is not None:
            allowed[asset] = units

    def balance(self, account: str, asset: str) -> int:
        return self._seat(account).venue.held.balances[asset]

    def allowances(self, account: str) -> Mapping[str, int]:
        return {name: max(0, units) for name, units in self._seat(account).venue.held.allowed.items()}

    def _asset(self, name: str) -> str:
        instruments = self.exchange.instruments.values()
        known = {asset.name for one in instruments for asset in (one.quote, one.base, one.complement) if asset}
        if name not in known:
            raise ConfigError(f"{self.venue_id} has no asset {name[:64]!r}", f"it has: {', '.join(sorted(known)[:20])}")
        return name

    def admit(self, topic: str, peer: str) -> int:
        self._asked_ns = max(self._asked_ns, self.hours.wall_ns())  # a wall clock may be set back, a count may not
        verdict = self.exchange.door.ask(RequestKind.QUERY, self._asked_ns, ip=peer, topic=topic)
        if verdict.error is not None:
            raise verdict.error
        return verdict.delay_ns

    def budget(self, account: str, kind: RequestKind) -> Budget | None:
        return self.exchange.limits.budget(kind, self.runtime.now_ns(), account)

    def rewards(self, market: str) -> RewardTerms | None:
        self._known(market)
        return self._rewards.get(market)

    def scores(self, account: str, order_id: OrderId) -> bool:
        order = self.exchange.entry.find(account, order_id)
        terms = None if order is None else self._rewards.get(order.instrument.market)
        if order is None or terms is None or not order.is_open or order.delayed or order.book_price_i is None:
            return False
        seen = self.exchange.seen(account, order.instrument.market)
        if seen is None:
            return False
        mine = [
            Resting(one.side_sign, one.book_price_i, one.left_lots, self.runtime.now_ns() - one.booked_ns)
            for one in self.exchange.entry.open.values()
            if one.account == account and one.market == order.market and one.book_price_i and not one.delayed
        ]
        this = Resting(order.side_sign, order.book_price_i, order.left_lots, self.runtime.now_ns() - order.booked_ns)
        return counts(terms, order.instrument.one_i, this, mine, midpoint_doubled(terms, *seen))

    def adapter(self, account: str) -> SimulatedVenue:
        return self._seat(account).venue

    def record(self, account: str, order_id: OrderId) -> OrderRecord | None:
        order = self.exchange.entry.find(account, order_id)
        return None if order is None else OrderRecord(order.report(self.exchange.runtime.now_ns()), order.delayed)

    def listen(self, account: str, sink: EventSink) -> Closing:
        sinks = self._seat(account).sinks
        sinks.append(sink)

        def close() -> None:
            if sink in sinks:
                sinks.remove(sink)

        return close

    def _seat(self, account: str) -> _Seat:
        seat = self._seats.get(account)
        if seat is None:
            raise self._refused(f"account {account[:64]!r} is not open: say hello first")
        return seat

    def _refused(self, text: str) -> AuthenticationError:
        return AuthenticationError(self.venue_id, "ACCOUNT", text)

    # ---------------------------------------------------------------- markets
    def follow(self, sink: MarketSink, markets: Sequence[str] = ()) -> Closing:
        self._known(*markets)
        return self._publisher.follow(sink, tuple(dict.fromkeys(markets)) or tuple(self.exchange.instruments))

    def book(self, market: str, levels: int) -> Depth:
        self._known(market)
        return self._publisher.book(market, levels)

    def info(self, market: str) -> MarketInfo:
        self._known(market)
        instrument = self.exchange.instruments[market]
        return self._infos.get(market) or _described(instrument)

    def state(self, market: str) -> MarketState:
        self._known(market)
        exchange, index = self.exchange, self.exchange.index[market]
        return MarketState(
            market,
            exchange.tick_i(index),
            exchange.gate.is_open(index),
            self._publisher.in_gap(market),
            exchange.resolutions.proposed.get(index),
            exchange.resolved.get(index),
            exchange.resolved.get(index) is not None and exchange.model.resolution.auto_redeem,
        )

    def _known(self, *markets: str) -> None:
        for market in markets:
            if market not in self.exchange.index:
                known = ", ".join(list(self.exchange.index)[:20])
                raise ConfigError(f"{self.venue_id} has no market {market[:64]!r}", f"it has: {known}")

    # ---------------------------------------------------------------- faults
    def faults(self) -> Sequence[FaultState]:
        desk = self.exchange.faults
        return [FaultState(name, desk.is_active(name), desk.counts.get(name, 0)) for name in PACKS]

    def switch_fault(self, pack: str, on: bool, params: Mapping[str, Any]) -> None:
        desk = self.exchange.faults
        built = build_pack(pack, params)
        if not on:
            desk.end(pack)
        elif pack == "voided_fill" and self.exchange.chain is None:
            raise ConfigError(
                "voided_fill: this venue settles at once", "set settlement.enabled = true in the scenario"
            )
        else:
            desk.begin(built)
