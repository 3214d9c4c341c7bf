"""The one engine: from an order to the venue and back, the same in backtest, paper and live.

    submit_order = begin (synchronous: validate, risk, track) + send (throttle, recheck, journal the intent, venue)

Orders are named by `new_order_id()`; everything a venue reports comes in through `Inbox`; every change is published as
an OrderUpdate, refusals of ours included.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from execsim.core.errors import (
    ConfigError,
    ExecError,
    ExecResult,
    InternalError,
    JournalError,
    VenueNotSupported,
)
from execsim.core.events import OrderUpdate, QueueMoved
from execsim.core.instrument import Asset, Instrument
from execsim.core.order import CancelAck, Fill, Order, OrderAck, OrderId, OrderReport, OrderStatus, Side
from execsim.core.position import Position
from execsim.core.units import NOTIONAL_MAX
from execsim.engine.amends import Amender
from execsim.engine.archive import JournalledOrders
from execsim.engine.blotter import Blotter
from execsim.engine.cancels import Canceller
from execsim.engine.dispatch import Dispatcher, quietly, together
from execsim.engine.flatten import Exits, Flattened
from execsim.engine.fold import Folded
from execsim.engine.guard import Guard
from execsim.engine.halt import Halt, Halts
from execsim.engine.inbox import Inbox
from execsim.engine.inquiry import Inquiry, InquiryConfig
from execsim.engine.metrics import BREAKER_LEVELS, BREAKER_STATE, RECONNECTS, Metrics
from execsim.engine.notes import MARKET, OPENING, Opening, market_text
from execsim.engine.pipeline import Pipeline
from execsim.engine.portfolio import Portfolio
from execsim.engine.reconcile import Action
from execsim.engine.recover import ReconcileConfig, Reconciler
from execsim.engine.restore import recover, restore
from execsim.engine.risk import RiskAction, RiskEngine
from execsim.engine.route import Route, RouteConfig
from execsim.engine.streams import UpdateStream
from execsim.engine.throttle import RateLimiterConfig
from execsim.engine.tokens import Tokens
from execsim.engine.track import ORDERS_KEPT_MAX, Entry, OrderTracker
from execsim.engine.validate import OrderValidator, ValidatorConfig
from execsim.engine.view import LiveView
from execsim.engine.watch import watch_kill_file, watch_risk
from execsim.ports import (
    BookView,
    Journal,
    OrderArchive,
    OrderMemory,
    QueueWatch,
    ReconnectWatch,
    Runtime,
    SigningWatch,
    VenueAdapter,
)

UNBOOKED: Final = "unbooked fill"
"""What stands for a risk policy in a halt after a fill that cannot be booked"""


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """`rate_limits` by venue id; a venue not listed has its preset (RateLimiterConfig.preset) or none.

    enable_validation False leaves only what would corrupt our own books (ids, foreign instruments) to us and the rest
    to the venue. enable_risk_checks False still obeys `kill`.
    """

    validator: ValidatorConfig = field(default_factory=ValidatorConfig)
    rate_limits: Mapping[str, RateLimiterConfig] = field(default_factory=dict)
    enable_risk_checks: bool = True
    enable_validation: bool = True
    enable_metrics: bool = True
    orders_kept_max: int = ORDERS_KEPT_MAX
    """finished orders in memory; older ones are answered from the journal"""
    calls: RouteConfig = field(default_factory=RouteConfig)
    inquiry: InquiryConfig = field(default_factory=InquiryConfig)
    reconcile: ReconcileConfig = field(default_factory=ReconcileConfig)


class ExecutionEngine:
    """Register adapters first, then trade. One engine may hold several venues; market ids are unique among them."""

    def __init__(self, config: EngineConfig, runtime: Runtime, journal: Journal | None = None) -> None:
        self.config = config
        self.runtime = runtime
        self.metrics = Metrics(config.enable_metrics)
        self.portfolio = Portfolio()
        self.order_tracker = OrderTracker(config.orders_kept_max)
        self.view = LiveView(runtime, self.order_tracker, self.portfolio)
        self.blotter = Blotter(runtime, journal, self.metrics, self.order_tracker, self.portfolio, self.view)
        if isinstance(journal, OrderArchive):
            self.order_tracker.archive = JournalledOrders(journal, self.view).entry
        self.inbox = Inbox(self.blotter, self.order_tracker, self.view)
        self._validator = OrderValidator(config.validator) if config.enable_validation else None
        self.halts = Halts(lambda kind, body: self.blotter.write(kind, "", body), runtime.now_ns)
        self.guard = Guard(
            config.enable_risk_checks, self.view, self.order_tracker, self.portfolio, self.halts, self.blotter.note
        )
        self._pipeline = Pipeline(self._validator, self.guard, self.order_tracker, self.blotter, self.view)
        self._dispatch = Dispatcher(runtime, self.blotter, self._pipeline)
        self._cancels = Canceller(runtime, self.blotter, self._dispatch)
        self.inquiry = Inquiry(runtime, self._dispatch.routes, self.blotter, config.inquiry, self._cancels.found)
        self._amends = Amender(
            runtime, self.order_tracker, self.blotter, self._pipeline, self._dispatch, self._cancels, self.inquiry,
            self.new_order_id,
        )  # fmt: skip
        self.reconciler = Reconciler(
            runtime, self._dispatch.routes, self.order_tracker, self.portfolio, self.blotter, self.view, self.inquiry,
            self._cancels, config.reconcile, self._amends.under_way,
        )  # fmt: skip
        self.blotter.on_unknown = self.inquiry.start
        self._cancels.on_gone = self.blotter.on_doubt = self.inquiry.verify
        self.blotter.on_alive = self._cancels.found
        self.inquiry.unwanted = self._cancels.insist
        self.blotter.on_late_fill = self._amends.late_fill
        self.blotter.on_unbooked = self._unbooked
        self.blotter.on_profit = self.guard.look
        self.guard.cancel = self._cancel_open
        self.view.health, self.view.resolved = self.healthy, self.blotter.resolved
        self.tokens = Tokens(self._dispatch.routes, self.blotter, self.portfolio, self.view, self.marks)
        self._exits = Exits(
            self, runtime, self.view, self.order_tracker, self.portfolio, self.tokens, self.blotter.closed.__contains__,
            self._lots_max,
        )  # fmt: skip
        self._id_prefix = f"{runtime.rng('order-ids').raw() & 0xFFFFFFFF:08x}"
        self._ids = 0
        self.opening = Opening()

    # --- setting up -----------------------------------------------------------------------------------------------

    def register_adapter(self, adapter: VenueAdapter) -> None:
        """Take a venue and its markets. Errors: ConfigError for a venue or market id that is taken, and for a spot
        market without price bounds."""
        venue = adapter.venue_id
        if venue in self._dispatch.routes:
            raise ConfigError(f"venue {venue!r} is registered twice", "one adapter a venue")
        instruments = adapter.instruments()
        for market, instrument in instruments.items():
            if self.view.trades(market):
                other = self.view.instrument(market).venue
                raise ConfigError(f"market {market!r} of {venue} is already traded on {other}", "market ids are unique")
            if self._validator is not None:
                self._validator.register(instrument)
        for instrument in instruments.values():
            self.view.register(instrument)
            self.portfolio.open(instrument)
            self.blotter.note(MARKET + instrument.market, market_text(instrument))
        limits = self.config.rate_limits.get(venue) or RateLimiterConfig.preset(venue)
        self._dispatch.routes[venue] = Route(self.runtime, adapter, limits, self.config.calls, self.blotter.breaker)
        self.view.venues.append(venue)
        adapter.events(partial(self.inbox.hear, venue))
        if isinstance(adapter, SigningWatch):
            adapter.watch_signing(self.blotter.stopwatch.signed)
        if isinstance(adapter, ReconnectWatch):
            adapter.watch_reconnects(partial(self.metrics.count, RECONNECTS, (venue,)))
        self.metrics.gauge(BREAKER_STATE, (venue,), BREAKER_LEVELS[self._dispatch.routes[venue].breaker.state])

    def deposit(self, asset: Asset, units: int) -> None:
        """Money the account begins with (or gets from outside); no PnL. The journal keeps it."""
        self.portfolio.deposit(asset, units)
        self.opening.cash[asset.name] = self.opening.cash.get(asset.name, 0) + units
        self.blotter.note(OPENING, self.opening.text())

    def open_sets(self, market: str, lots: int) -> None:
        """Full sets the account begins with, paid for from its cash. Before the first order; later see `tokens.split`."""
        self.portfolio.split(market, lots)
        self.opening.sets[market] = self.opening.sets.get(market, 0) + lots
        self.blotter.note(OPENING, self.opening.text())

    def restore(self, folded: Folded, profit: str = "") -> None:
        """Take up where a journal ends (`fold` of its rows with this engine's instruments); `profit`: its note of that name.
        Before the first order, after the adapters were registered; `recover` must follow. Errors: ConfigError."""
        restore(self, folded)
        for route in self._dispatch.routes.values():
            if isinstance(route.adapter, OrderMemory):
                orders = [o for o in self.order_tracker.get_all_orders() if o.venue == route.venue]
                route.adapter.remember(orders, [f for o in orders for f in self.order_tracker.get_fills(o.id)])
        self._ids = max(self._ids, folded.ids.get(self._id_prefix, 0))
        self.opening = folded.opening
        if profit:
            self.guard.measures.losses.restore(profit)

    async def recover(self) -> list[Action]:
        """After `restore`: ask every venue about everything, mend our books, ask again for cancels that were under way.
        Returns what was done, in sentences when printed. Errors: JournalError."""
        return await recover(self, self._cancels, list(self._dispatch.routes))

    def attach_books(self, books: BookView) -> None:
        """The strategy-side books: ticks, marks and the size of quote-amount orders are read from them."""
        self.view.books = books

    def set_risk_engine(self, risk: RiskEngine) -> None:
        """Judge orders by `risk` from now on. An enabled KillSwitch among its policies also cancels what is open. What was
        halted stays halted."""
        self.guard.set_risk(risk)

    def declare_event(self, markets: Sequence[str]) -> None:
        """Say that exactly one of these binary markets will pay (a neg-risk event): MaxOutcomeLoss counts them together.
        Errors: ConfigError for a market nobody trades, or that cannot be an outcome of it."""
        self.view.declare_event(markets)

    def new_order_id(self) -> OrderId:
        """Unique in the run, the same in every run of one seed: 8 hex digits of the run and a counter."""
        self._ids += 1
        return OrderId(f"{self._id_prefix}-{self._ids}")

    def subscribe(
        self, fn: Callable[[OrderUpdate], None], *, owner: str | None = None, market: str | None = None
    ) -> Callable[[], None]:
        """As `Blotter.subscribe`: fn must only take note of the update. Returns the unsubscription."""
        return self.blotter.subscribe(fn, owner=owner, market=market)

    def watch_queue(self, order: Order, percent: int) -> UpdateStream[QueueMoved]:
        """What happens to the order's place in its queue, each time the lots ahead have changed by `percent` of what they
        are when it starts to rest. Errors: VenueNotSupported where the venue does not say (every real one)."""
        venue = order.instrument.venue
        adapter = self._dispatch.routes[venue].adapter
        if not isinstance(adapter, QueueWatch):
            raise VenueNotSupported(f"{venue} (queue position)", "")
        stream: UpdateStream[QueueMoved] = UpdateStream(self.runtime, f"queue position of {order.id}")
        watchers = self.inbox.queue_watchers.setdefault(order.id, [])
        watchers.append(stream.push)
        stream.unsubscribe = lambda: watchers.remove(stream.push)
        adapter.watch_queue(order.id, percent)
        return stream

    # --- orders ---------------------------------------------------------------------------------------------------

    def begin(self, order: Order, *, owner: str = "") -> None:
        """The synchronous half: validate, risk, track. On return the order is PENDING and counted as open.

        Errors: as Pipeline.begin; the order is then REJECTED with `reason`, and an OrderUpdate says so.
        """
        self._pipeline.begin(order, owner)

    def reject(self, order: Order, error: ExecError, *, owner: str = "") -> None:
        """Record an order that could not be built as REJECTED because of `error`; raises nothing."""
        self._pipeline.reject(order, error, owner)

    async def send(self, order: Order) -> OrderAck:
        """The asynchronous half: wait for the throttle, recheck, journal the intent, hand over, wait for the answer.

        Errors: what refused it (ExecError). NetworkError and ExecTimeout with `reached` unknown leave it UNKNOWN.
        """
        return await self._dispatch.send(self.order_tracker.entry(order.id))

    async def submit_order(self, order: Order, *, owner: str = "") -> OrderAck:
        """`begin` and `send`. Errors: ExecError, see there."""
        return await self._dispatch.send(self._pipeline.begin(order, owner))

    async def submit_batch(self, orders: Sequence[Order], *, owner: str = "") -> list[ExecResult[OrderAck]]:
        """Submit several, in batches of the size each venue takes, one token an order. Results in the order given: one
        that is refused does not stop the others."""
        results: dict[int, ExecResult[OrderAck]] = {}
        groups: dict[str, list[tuple[int, Entry]]] = {}
        for index, order in enumerate(orders):
            try:
                entry = self._pipeline.begin(order, owner)
                groups.setdefault(order.instrument.venue, []).append((index, entry))
            except ExecError as error:
                results[index] = ExecResult(error=error)
        works = [self._dispatch.send_group(venue, group, results) for venue, group in groups.items()]
        await together(self.runtime, works, "batch")
        return [results[index] for index in range(len(orders))]

    async def modify_order(
        self, order_id: OrderId, *, price_i: int | None = None, size_lots: int | None = None
    ) -> OrderAck:
        """Change price or total size: in place where the venue can (a larger size then counts as open at once), else by
        cancelling it and placing another, whose id the ack and the order's `replaced_by` name.

        Errors: OrderNotFound; InvalidOrderState unless WORKING, or when it ended before it could be replaced; the refusal of
        a check or of the venue (the order is as it was; a refused replacement leaves none); nobody answered: UNKNOWN.
        """
        return await self._amends.amend(self.order_tracker.entry(order_id), price_i, size_lots)

    def reject_modify(self, order: Order, error: ExecError) -> None:
        """Record a modify that could not be built: the order is as it was, an OrderUpdate says why."""
        self.blotter.amend_failed(self.order_tracker.entry(order.id), error)

    async def cancel_order(self, order_id: OrderId) -> CancelAck:
        """Cancel one order: at once if it was not sent yet, else by asking the venue, which decides every race.

        A finished order gives CancelAck(cancelled=False); asking twice waits for the first answer.
        Errors: OrderNotFound; what the venue said; nobody answered: UNKNOWN.
        """
        return await self._cancels.cancel(self.order_tracker.entry(order_id))

    async def cancel_all(
        self, market: str | None = None, venue: str | None = None, side: Side | None = None
    ) -> list[ExecResult[CancelAck]]:
        """Cancel every active order (of a market, a venue, a side), all asked for at once. Errors: VenueNotSupported."""
        if venue is not None and venue not in self._dispatch.routes:
            raise VenueNotSupported(venue, ", ".join(self._dispatch.routes))
        orders = [
            order
            for order in self.get_active_orders(market)
            if venue in (None, order.instrument.venue) and side in (None, order.side)
        ]
        results: dict[int, ExecResult[CancelAck]] = {}

        async def cancel(index: int, entry: Entry) -> None:
            try:
                results[index] = ExecResult(await self._cancels.cancel(entry))
            except (JournalError, InternalError):
                raise
            except ExecError as error:
                results[index] = ExecResult(error=error)

        asking = []
        for index, order in enumerate(orders):
            entry = self.order_tracker.entry(order.id)
            # what was never sent is cancelled before anything else moves
            unsent = self._cancels.ask(entry) if order.status is OrderStatus.PENDING else None
            if unsent is not None:
                results[index] = ExecResult(unsent)
            else:
                asking.append(cancel(index, entry))
        await together(self.runtime, asking, "cancel all")
        return [results[index] for index in range(len(orders))]

    def start_cancel(self, order: Order) -> None:
        """Ask for a cancel without waiting; the outcome comes as an OrderUpdate. No effect on a finished order or one
        whose cancel is under way. Errors: OrderNotFound."""
        if not order.is_terminal:
            self._cancels.start(self.order_tracker.entry(order.id))

    # --- risk -----------------------------------------------------------------------------------------------------

    def kill(self, reason: str) -> None:
        """From now on only cancels and `flatten` pass, and everything open is cancelled. Final for this engine."""
        self.guard.kill(reason)

    @property
    def kill_reason(self) -> str | None:
        return self.halts.kill_reason

    @property
    def halted(self) -> tuple[Halt, ...]:
        """What keeps orders from passing, the strongest first; empty while everything may be traded."""
        return self.halts.all()

    def resume(self, reason: str, market: str | None = None) -> tuple[Halt, ...]:
        """Trade again after a halt (of one market); returns what was ended. `reason` is journalled. Drawdowns count anew.

        Errors: ConfigError without a reason, and while the kill switch is on: that is final.
        """
        return self.guard.resume(reason, market)

    async def flatten(self, market: str | Sequence[str] | None = None, *, owner: str = "") -> list[Flattened]:
        """Cancel what is open and close what is held (of one market, of some), as far as the best prices allow: halted or
        not. Returns a line a market, what could not be closed among it. Errors: ConfigError for an unknown market."""
        return await self._exits.flatten((market,) if isinstance(market, str) else market, owner)

    async def watch_risk(self, period_ns: int) -> None:
        """Let the policies that act by themselves (losses, stale data, ill venues) look again and again; spawn it as a
        daemon. Ends when the engine is killed. Errors: ConfigError unless period_ns > 0."""
        await watch_risk(self.runtime, self.guard.look, self._is_killed, period_ns)

    async def watch_kill_file(self, path: Path, period_ns: int) -> None:
        """Kill the engine once this file exists; spawn it as a daemon. Errors: ConfigError unless period_ns > 0."""
        await watch_kill_file(self.runtime, self.kill, self._is_killed, path, period_ns)

    def begin_exit(self, order: Order, owner: str = "") -> None:
        """As `begin`, for an order of `flatten`: it passes halts, the kill switch and every policy but PriceBand."""
        self.guard.exempt(order.id)
        self._pipeline.begin(order, owner)

    def _is_killed(self) -> bool:
        return self.kill_reason is not None

    def _lots_max(self, market: str) -> int:
        return NOTIONAL_MAX if self._validator is None else self._validator.lots_max(market)

    def _unbooked(self, entry: Entry, fill: Fill) -> None:
        """The venue says that more was traded than we can have: until somebody has looked, nothing is placed there."""
        order = entry.order
        what = f"fill {fill.id} of order {order.id} cannot be booked: position and money are not what the venue has"
        self.halts.impose(RiskAction.HALT, UNBOOKED, order.instrument.market, what)

    def _cancel_open(self, market: str | None) -> None:
        for order in self.get_active_orders(market):
            self._cancels.insist(self.order_tracker.entry(order.id))

    # --- asking ---------------------------------------------------------------------------------------------------

    async def get_status(self, order_id: OrderId) -> OrderStatus:
        """Ask the venue, book what it says, return the status: what ends UNKNOWN. An order the venue cannot have is not
        asked for. Errors: OrderNotFound (ours, or the venue's: the order then stays as it is), NetworkError."""
        entry = self.order_tracker.entry(order_id)
        order = entry.order
        if order.status is OrderStatus.PENDING or order.is_terminal:
            return order.status
        await self.inquiry.ask(entry)
        return order.status

    async def ask(self, order_id: OrderId) -> OrderReport:
        """Ask the venue once about any order, ended ones too, and book what it says. Errors: OrderNotFound, NetworkError."""
        return await self.inquiry.ask(self.order_tracker.entry(order_id))

    async def reconcile(self, venue: str | None = None) -> list[Action]:
        """Compare our books with what a venue (every venue) says, and mend ours; returns what was done, in sentences when
        printed. Errors: VenueNotSupported; JournalError."""
        if venue is not None and venue not in self._dispatch.routes:
            raise VenueNotSupported(venue, ", ".join(self._dispatch.routes))
        done: list[Action] = []
        for name in [venue] if venue is not None else list(self._dispatch.routes):
            done += await self.reconciler.reconcile(name)
        return done

    def healthy(self, venue: str) -> bool:
        """Whether the venue's circuit breaker lets orders through. Errors: VenueNotSupported."""
        route = self._dispatch.routes.get(venue)
        if route is None:
            raise VenueNotSupported(venue, ", ".join(self._dispatch.routes))
        return not route.breaker.is_open

    def record_fill(self, fill: Fill, done: bool = False) -> bool:
        """Book a fill by hand; False when its id is known. Errors: OrderNotFound, InvalidOrderState (not booked)."""
        market = self.order_tracker.evicted_market(fill.order_id)
        if market is not None:
            return self.blotter.filled_late(market, fill, done)
        return self.blotter.filled(self.order_tracker.entry(fill.order_id), fill, done)

    def instrument(self, market: str) -> Instrument:
        """Errors: ConfigError when no registered venue trades it."""
        return self.view.instrument(market)

    def get_position(self, market: str) -> Position:
        """The live position (not a copy). Errors: ConfigError for an unknown market."""
        self.view.instrument(market)
        return self.portfolio.position(market)

    def get_all_positions(self) -> dict[str, Position]:
        """Markets that hold something or have traded."""
        return {
            market: position
            for market, position in self.portfolio.positions.items()
            if position.traded_lots or position.yes_lots or position.no_lots
        }

    def get_active_orders(self, market: str | None = None) -> list[Order]:
        return self.order_tracker.get_active_orders(market)

    def get_order(self, order_id: OrderId) -> Order:
        """Errors: OrderNotFound."""
        return self.order_tracker.get_order(order_id)

    def marks(self) -> dict[str, int]:
        """YES price to value each held market by (mid, our last execution, or entry)."""
        found = ((market, self.view.mark_i(market)) for market in self.portfolio.held)
        return {market: mark_i for market, mark_i in found if mark_i is not None}

    def deliver(self, order: Order) -> None:
        """`send` in a task of its own; refusals are published, not raised."""
        work = self._dispatch.send(self.order_tracker.entry(order.id))
        self.runtime.spawn(quietly(work), f"send {order.id}")
