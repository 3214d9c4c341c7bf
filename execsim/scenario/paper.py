"""`execsim run --paper`: a venue's live market data, and an exchange of ours in this process that trades on it in wall time.

    venue ──market data──▶ Tap ──at once──▶ Ladders ──▶ Books ──▶ strategy ──▶ engine
                            └──at venue time, a hold behind──▶ PaperMarket ──▶ Exchange ◀──orders──┘

Only public data is asked for: no key is read, nothing can be ordered there. The exchange is that of a backtest, with the
scenario's models. All of it runs on the session's runtime, so the recorded frames and timers replay it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from execsim import plugins
from execsim.core.errors import ConfigError
from execsim.core.events import Trade
from execsim.core.instrument import Instrument
from execsim.core.order import Fill, Order, OrderId, OrderReport, OrderStatus, VenueId
from execsim.core.units import NS_PER_MS, NS_PER_S, NS_PER_US, plain
from execsim.engine.portfolio import Portfolio
from execsim.exchange import TRADER, SimulatedVenue
from execsim.exchange.latency import UNREALISTIC
from execsim.exchange.paper import PaperMarket, held
from execsim.net.web import WebTransport
from execsim.ports import DeskClock, Levels, LiveDoor, MarketSink, MarketSource, Runtime, Task, Transport, VenueConfig
from execsim.runtime import BehindRuntime
from execsim.scenario import model
from execsim.scenario.build import Loaded, LoadedMarket
from execsim.scenario.live import clock_at, hosts_of, require_venue
from execsim.scenario.stage import endow, set_stage
from execsim.scenario.summary import mishaps_told, venues_summary
from execsim.tape.schema import MarketInfo

PAPER: Final = "paper"

SPAN_NS: Final = 3_600 * NS_PER_S
"""How long a session is taken to last where measured latencies are laid beside it."""


# -------------------------------------------------------------------- where the data come from
@dataclass(frozen=True, slots=True)
class PaperAddress:
    """`session.Door` of a venue whose market data is traded on here."""

    dialect: str
    rest: str
    ws: str
    door: LiveDoor = field(repr=False)
    account: str = TRADER
    mode: str = PAPER

    @property
    def known(self) -> Mapping[str, Any]:
        return {}

    def transport(self) -> Transport:
        return WebTransport(self.rest, self.ws)

    def clock(self, scenario: model.Scenario) -> DeskClock:
        return clock_at(self.door, self.rest, self.ws)


def paper_address(scenario: model.Scenario, environment: Mapping[str, str] | None = None) -> PaperAddress:
    """Where the scenario's venue is: its own hosts, or those of the environment; no credential is looked at.

    Errors: ConfigError: no live data there, agents, no money."""
    venue = require_venue(scenario)
    door = plugins.venue(venue).live
    if door is None or door.data is None:
        raise ConfigError(f"there is no live market data of {venue}", "polymarket has it")
    if scenario.agents is not None:
        raise ConfigError("agents make their own market, --paper takes the venue's", "leave one of the two out")
    item = scenario.venues.get(venue, model.Venue())
    if not any(item.balances.values()):
        raise ConfigError(
            f"a paper account without money buys nothing: venues.{venue}.balances is empty",
            f"e.g. [venues.{venue}] balances = {{ pUSD = 1000 }}",
        )
    rest, ws = hosts_of(venue, door, os.environ if environment is None else environment)
    return PaperAddress(venue, rest, ws, door)


def paper_venue(
    scenario: model.Scenario, folder: Path, transport: Transport, runtime: Runtime, *, fresh: bool
) -> PaperVenue:
    """The one venue of a paper session, not started. Errors: ConfigError."""
    name = require_venue(scenario)
    door = plugins.venue(name).live
    if door is None or door.data is None:
        raise ConfigError(f"there is no live market data of {name}", "polymarket has it")
    markets = {market.id: market.market for market in scenario.markets}
    source = door.data(VenueConfig(VenueId(name), extra={"markets": markets}), transport, runtime)
    return PaperVenue(scenario, folder, source, runtime, fresh=fresh)


# -------------------------------------------------------------------- the venue
class PaperVenue(SimulatedVenue):
    """`ports.LiveVenue` of a paper session. A simulated venue like any other once it is started: its exchange cannot be made
    before the markets are known. `fresh`: the account starts with the scenario's balances and sets, else with what a journal
    holds (`take_over`)."""

    def __init__(
        self, scenario: model.Scenario, folder: Path, source: MarketSource, runtime: Runtime, *, fresh: bool = True
    ) -> None:
        self._scenario = scenario
        self._folder = folder
        self._source = source
        self._runtime = runtime
        self._fresh = fresh
        self._hold_ns = scenario.paper.hold_ns
        self._market: PaperMarket | None = None
        self._gone: dict[OrderId, OrderReport] = {}
        """orders of a journal that went with the exchange they were at"""

    async def start(self) -> None:
        """Ask what the markets are and make the exchange. Errors: as `MarketSource.start`; ConfigError for what in the
        scenario does not fit them."""
        await self._source.start()
        now_ns, scenario = self._runtime.now_ns(), self._scenario
        clock = BehindRuntime(self._runtime, self._hold_ns)
        loaded = live_markets(scenario, self._source.instruments(), now_ns)
        stage = set_stage(scenario, loaded, clock, self._folder)
        (name,) = stage.exchanges
        exchange, self._latency = stage.exchanges[name], stage.latencies[name]
        super().__init__(exchange, held(self._latency, self._hold_ns))
        names = {index: market.id for index, market in enumerate(loaded.markets)}
        self._market = PaperMarket(clock, self._runtime.now_ns, stage.kernel, names, exchange)
        if self._fresh:
            endow(scenario, loaded, self)

    def feed(self, sink: MarketSink) -> Task:
        """Market data to the exchange and to the sink, until the venue is closed."""
        assert self._market is not None
        tap = Tap(self._market, sink, self._runtime.now_ns)
        self.exchange.mute, self.exchange.unmute, self.exchange.hear_tick = tap.mute, tap.unmute, tap.tick
        self.exchange.start()
        return self._source.feed(tap)

    async def aclose(self) -> None:
        await self._source.aclose()
        if self._market is not None:
            self.exchange.faults.stop()

    def take_over(self, portfolio: Portfolio) -> None:
        """`wall.Simulated`: money and tokens as a portfolio has them."""
        for asset, units in portfolio.cash.items():
            self.deposit(asset, units)
        for market, inst in self.instruments().items():
            held_there = portfolio.position(market)
            self.deposit(inst.base.name, inst.base_amount(held_there.yes_lots))
            if inst.complement is not None:
                self.deposit(inst.complement.name, inst.base_amount(held_there.no_lots))

    def remember(self, orders: Sequence[Order], fills: Sequence[Fill] = ()) -> None:
        """`ports.OrderMemory`: what was open at the exchange of the session before is not at this one."""
        now_ns = self._runtime.now_ns()
        for order in orders:
            if order.is_active:
                self._gone[order.id] = OrderReport(
                    order.id, order.venue_order_id or "", OrderStatus.CANCELLED, order.filled_lots, 0, now_ns
                )

    async def get_order_status(self, order_id: OrderId) -> OrderReport:
        return self._gone.get(order_id) or await super().get_order_status(order_id)

    # ---------------------------------------------------------------- what happened
    def summary(self) -> dict[str, Any]:
        """`wall.Simulated`."""
        market = self._market
        assert market is not None
        late = market.late
        about = {
            "hold_ms": plain(self._scenario.paper.hold_ms),
            "rows": market.rows,
            "late_rows": late.rows,
            "late_messages": late.messages,
            "late_ms_max": _ms(late.worst_ns),
            "late_fills": late.fills,
            "hold_ms_enough": _ms(late.slowest_ns),
            "gaps": market.gaps,
            "venue_clock_ahead_ms": _ms(market.venue_clock.shift_ns_max),
        }
        return {PAPER: about, **venues_summary({self.venue_id: self})}

    def told(self) -> list[str]:
        """`wall.Simulated`."""
        market, hold = self._market, plain(self._scenario.paper.hold_ms)
        assert market is not None
        late, said = market.late, []
        said.append(
            f"paper: live data, simulated fills; the exchange is {hold} ms behind (paper.hold_ms), so answers take that long"
        )
        if late.rows:
            worst, enough = _ms(late.worst_ns), _ms(late.slowest_ns)
            said.append(
                f"paper: {late.rows} of {market.rows} rows came later than the hold allows, by {worst} ms at worst, and "
                f"{late.fills} fills rest on them: paper.hold_ms = {enough} would have been enough"
            )
        if market.venue_clock.shift_ns_max:
            shift = _ms(market.venue_clock.shift_ns_max)
            said.append(f"paper: the venue's clock is ahead of ours by {shift} ms or more: its times were moved back")
        if market.gaps:
            said.append(f"paper: {market.gaps} gaps in the market data; nothing fills inside a gap")
        legs = {"entry": self._latency.entry, "response": self._latency.response}
        legs |= {str(kind): each for kind, each in self._latency.kinds.items()}
        if self._latency.about.startswith(UNREALISTIC):
            said.append(f"{self.venue_id}: latency is {self._latency.about}")
        else:
            found = ((leg, each.about) for leg, each in legs.items())
            said += [
                f"{self.venue_id}: {leg} latency is {about}" for leg, about in found if about.startswith(UNREALISTIC)
            ]
        return said + mishaps_told({self.venue_id: self})


def _ms(ns: int) -> str:
    """Milliseconds, rounded up to whole microseconds."""
    return plain(Decimal(-(-ns // NS_PER_US) * NS_PER_US) / NS_PER_MS)


def live_markets(scenario: model.Scenario, instruments: Mapping[str, Instrument], now_ns: int) -> Loaded:
    """Markets that no recording has: they begin now."""
    markets = []
    for item in scenario.markets:
        inst = instruments[item.id]
        grid = inst.grid
        info = MarketInfo(
            item.id, item.venue, inst.kind.value, plain(grid.price_unit), plain(grid.lot), inst.base.name, inst.quote.name,
            plain(grid.price(inst.tick_i)), plain(grid.size(inst.size_step_lots)),
        )  # fmt: skip
        markets.append(LoadedMarket(item.id, -1, -1, info, inst, None, None, now_ns, now_ns + SPAN_NS))
    return Loaded([], [], [], markets, {})


class Tap:
    """A `MarketSink` in front of the exchange's and the strategy's. A fault may mute the second: the strategy goes on with
    the last book it saw, and hears how things stand when it is over."""

    def __init__(self, market: PaperMarket, sink: MarketSink, now_ns: Callable[[], int]) -> None:
        self._market = market
        self._sink = sink
        self._now_ns = now_ns
        self._muted: dict[str, bool] = {}
        """market -> whether a gap was told"""
        self._ticks: dict[str, int] = {}
        self._payoffs: dict[str, int] = {}
        """of markets that ended while they were muted"""

    def on_snapshot(self, market: str, ts_ns: int, bids: Levels, asks: Levels) -> None:
        self._market.on_snapshot(market, ts_ns, bids, asks)
        if market not in self._muted:
            self._sink.on_snapshot(market, ts_ns, bids, asks)

    def on_levels(self, market: str, ts_ns: int, changes: Sequence[tuple[int, int, int]]) -> None:
        self._market.on_levels(market, ts_ns, changes)
        if market not in self._muted:
            self._sink.on_levels(market, ts_ns, changes)

    def on_trade(self, trade: Trade) -> None:
        self._market.on_trade(trade)
        if trade.market not in self._muted:
            self._sink.on_trade(trade)

    def on_tick(self, market: str, ts_ns: int, tick_i: int) -> None:
        self._market.on_tick(market, ts_ns, tick_i)
        self.tick(market, tick_i)

    def on_gap(self, market: str, ts_ns: int, open_gap: bool) -> None:
        self._market.on_gap(market, ts_ns, open_gap)
        if market not in self._muted:
            self._sink.on_gap(market, ts_ns, open_gap)

    def on_resolve(self, market: str, ts_ns: int, payoff_i: int) -> None:
        self._market.on_resolve(market, ts_ns, payoff_i)
        if market in self._muted:
            self._payoffs[market] = payoff_i
        else:
            self._sink.on_resolve(market, ts_ns, payoff_i)

    def on_end(self, ts_ns: int) -> None:
        self._market.on_end(ts_ns)
        self._sink.on_end(ts_ns)

    def tick(self, market: str, tick_i: int) -> None:
        """A tick for the strategy: the feed's, or one that a fault made."""
        self._ticks[market] = tick_i
        if market not in self._muted:
            self._sink.on_tick(market, self._now_ns(), tick_i)

    def mute(self, markets: Sequence[str], tell_gap: bool) -> None:
        for market in markets:
            told = self._muted.get(market, False)
            self._muted[market] = told or tell_gap
            if tell_gap and not told:
                self._sink.on_gap(market, self._now_ns(), True)

    def unmute(self, markets: Sequence[str]) -> None:
        for market in markets:
            told = self._muted.pop(market, None)
            if told is None:
                continue
            now_ns = self._now_ns()
            bids, asks, known = self._market.book(market)
            if market in self._ticks:
                self._sink.on_tick(market, now_ns, self._ticks[market])
            if known:
                self._sink.on_snapshot(market, now_ns, bids, asks)
            if told or not known:
                self._sink.on_gap(market, now_ns, not known)
            if market in self._payoffs:
                self._sink.on_resolve(market, now_ns, self._payoffs.pop(market))
