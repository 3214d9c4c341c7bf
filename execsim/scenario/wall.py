"""Run a scenario's strategy in wall time, over adapters that reach a venue through a transport. Recorded, to be replayed.

    transport ──▶ adapter ──events──▶ engine ──▶ journal (rows, inputs, outputs)
                     └──market data──▶ Ladders ──▶ Books ──▶ strategy

`Session.main` is the whole run; a replay runs the same object on a ReplayRuntime.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, runtime_checkable

from execsim.core.errors import ConfigError, ExecError
from execsim.core.instrument import Instrument
from execsim.core.order import Order, OrderStatus
from execsim.core.units import NS_PER_MS, NS_PER_S, plain
from execsim.engine.context import Context
from execsim.engine.portfolio import Portfolio
from execsim.engine.session import ExecutionEngine
from execsim.market import Books, Ladders
from execsim.observe.publish import Publisher
from execsim.ports import Journal, LiveVenue, Pending, Priority, Task
from execsim.report.run import RunRecord
from execsim.runtime import SessionTransport
from execsim.runtime.stepper import Stepper
from execsim.runtime.sync import Guarded
from execsim.scenario import model
from execsim.scenario.build import engine_config, risk_engine, strategy_of
from execsim.scenario.carried import Carried
from execsim.scenario.run import Progress
from execsim.scenario.samples import Samples, pnl_text
from execsim.scenario.summary import Tally, fills_summary, finals, pnl_summary, position_summary
from execsim.scenario.watch import watch_risk

INTERRUPT: Final = "interrupt"
"""The door of Ctrl-C: the first call ends the session, the second one drops it."""

KILL: Final = "kill"
"""The door of the kill switch: its body is the reason."""

METRICS_NS: Final = NS_PER_S
"""How often metrics are published unless the caller says otherwise."""

SAMPLE_NS: Final = NS_PER_S
"""How often profit and prices are sampled."""

DRAIN_NS: Final = 3 * NS_PER_S
"""Time at the end in which answers to the cancels may come; less is taken when nothing is open any more."""

TIME_UP, DATA_ENDED, FAILED = "time is up", "the market data ended", "the strategy failed"
INTERRUPTED, CUT_SHORT = "interrupted", "cut short"
ENDINGS: Final = (TIME_UP, DATA_ENDED, FAILED, INTERRUPTED, CUT_SHORT)
"""Ends of a session. The engine is killed for each of them, so that nothing new is placed while everything is cancelled;
the next session that takes up the journal trades again."""

LOOK_NS: Final = 20 * NS_PER_MS
"""How often it is looked whether anything is still open then."""


@dataclass(frozen=True, slots=True)
class Line:
    """What joins a session to its venues. `speed`: how fast their clock, and so the run's, passes; `mode`: what summaries
    call it; `drain_ns`: how much longer than others they take to answer at the end."""

    transport: SessionTransport
    venues: Sequence[LiveVenue]
    speed: int = 1
    mode: str = "wall"
    drain_ns: int = 0


@runtime_checkable
class Simulated(Protocol):
    """A venue of a session that is simulated in this very process (`paper.PaperVenue`)."""

    def take_over(self, portfolio: Portfolio) -> None:
        """The account holds what the journal of the session before says."""

    def summary(self) -> Mapping[str, Any]:
        """What the session's summary says besides."""

    def told(self) -> Sequence[str]:
        """What a reader must know before believing the numbers."""


@dataclass(slots=True)
class Ended:
    """A session that ended by itself. `left`: orders that may still be open at the venue; `error`: what the strategy died
    of, after everything was cancelled."""

    record: RunRecord
    summary: dict[str, Any]
    left: list[Order]
    error: Exception | None


class Feed(Ladders):
    """Books of every market the venues have, and word of when the market data end."""

    def __init__(self, runtime: Stepper, instruments: Iterable[Instrument], on_ended: Callable[[], None]) -> None:
        ticks = {instrument.market: instrument.tick_i for instrument in instruments}
        super().__init__(ticks)
        self.books = Books(runtime, self, self, list(ticks))
        self.sink = self.books
        self._on_ended = on_ended

    def on_end(self, ts_ns: int) -> None:
        super().on_end(ts_ns)
        self.books.end()
        self._on_ended()


class Session:
    """One strategy, its engine and its venues, from the first request to the last answer.

    It ends when the market data do, after `for_s` real seconds, when the strategy fails, or by the door INTERRUPT; then
    every order is cancelled, however it ends.
    """

    def __init__(
        self,
        scenario: model.Scenario,
        name: str,
        folder: Path,
        runtime: Stepper,
        journal: Journal,
        line: Line,
        for_s: int | None = None,
        kill_file: Path | None = None,
        watch: Publisher | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        carried: Carried | None = None,
        say: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        self._carried = carried
        self._say = say
        self._kill_files = () if kill_file is None else (kill_file,)
        self._watch = watch
        self._scenario = scenario
        self._name = name
        self._folder = folder
        self._runtime = runtime
        self._journal = journal
        self._line = line
        self._for_s = for_s
        self._on_progress = on_progress
        self._end: Pending[str] = runtime.pending("the end of the session")
        self._error: Exception | None = None
        self._kill_wanted: str | None = None
        self._trading = False
        self._notes: list[str] = []
        self._left: list[Order] = []
        self._began_s = time.perf_counter()
        runtime.door(INTERRUPT, self._interrupted)
        runtime.door(KILL, self._kill)

    def _kill(self, body: bytes) -> None:
        """The kill switch, pulled from outside: at once, or as soon as there is something to kill."""
        self._kill_wanted = body.decode()
        if self._trading:
            self._engine.kill(self._kill_wanted)

    async def main(self) -> Ended:
        """Errors: ExecError when the venue cannot be reached or does not trade the scenario's markets; what a task the
        strategy spawned raised."""
        try:
            ended = await self._trade()
        except GeneratorExit:  # a replay whose inputs are used up drops its tasks: nobody is left to say goodbye to
            raise
        except BaseException:
            await self._hang_up()
            raise
        await self._hang_up()
        return ended

    async def _trade(self) -> Ended:
        runtime, line = self._runtime, self._line
        start_ns = runtime.now_ns()
        for venue in line.venues:
            await venue.start()
        self._join()
        keeper = runtime.spawn(self._keep(), "session")
        for venue in line.venues:
            venue.feed(self._feed)
        for venue in line.venues:
            go = getattr(venue, "go", None)  # an exchange of ours may hold its market until somebody is ready
            if go is not None:
                await go()
        await self._begin()
        besides = await self._start_besides()
        strategy = runtime.spawn(Guarded(self._strategy(self._context), self._strategy_ended), "strategy", daemon=True)
        if self._for_s is not None:
            runtime.call_at(runtime.now_ns() + self._for_s * line.speed * NS_PER_S, self._finish, TIME_UP)
        await keeper.join()
        for task in (strategy, *besides):
            task.cancel()
        await strategy.join()
        return self._ended(start_ns, await self._end)

    async def _hang_up(self) -> None:
        for venue in reversed(self._line.venues):
            await venue.aclose()
        await self._line.transport.aclose()

    @property
    def _simulated(self) -> list[Simulated]:
        return [venue for venue in self._line.venues if isinstance(venue, Simulated)]

    # --- setting up -----------------------------------------------------------------------------------------------

    def _join(self) -> None:
        """Make every part and connect them, now that the venues have told their markets."""
        scenario, runtime = self._scenario, self._runtime
        self._instruments = _instruments(scenario, self._line.venues)
        known = [instrument for venue in self._line.venues for instrument in venue.instruments().values()]
        self._feed = Feed(runtime, known, lambda: self._finish(DATA_ENDED))
        self._engine = engine = ExecutionEngine(engine_config(scenario.engine), runtime, self._journal)
        for venue in self._line.venues:
            engine.register_adapter(venue)
        for event in scenario.events:
            engine.declare_event(event.markets)
        if self._carried is not None:
            folded = self._carried.fold(engine.view.instruments, self._scenario.engine.orders_kept_max)
            engine.restore(folded, self._carried.profit)
            active = engine.get_active_orders()
            self._say(f"taken over: {folded.rows} rows, {folded.tracker.tracked} orders, {len(active)} of them active")
            for simulated in self._simulated:
                simulated.take_over(engine.portfolio)
        engine.attach_books(self._feed.books)
        names = list(self._instruments)
        engine.set_risk_engine(risk_engine(scenario.risk, self._folder, names))
        span_ns = (runtime.now_ns(), None)
        self._strategy, params = strategy_of(scenario.strategy, self._instruments, span_ns, self._folder, scenario.seed)
        traded = tuple(scenario.strategy.markets or names)
        self._context = Context(engine, runtime, self._feed.books, name="strategy", params=params, markets=traded)
        self._tally = Tally(engine)
        self._samples = Samples(engine, self._feed.books, list(self._instruments.values()))

    async def _begin(self) -> None:
        """What the account has: as the venues say, or as the journal of the session before does, compared with them."""
        if self._carried is None:
            for venue in self._line.venues:
                self._fund(venue, await venue.balances())
            return
        engine = self._engine
        for action in await engine.recover():
            self._say(str(action))
        if engine.kill_reason in ENDINGS:
            engine.halts.end_kill("the session was taken up again")

    async def _start_besides(self) -> list[Task]:
        """What runs beside the strategy: samples, metrics, the watch over risk, reconciliation."""
        engine, runtime = self._engine, self._runtime
        self._trading = True
        if self._kill_wanted is not None:
            engine.kill(self._kill_wanted)
        tasks = await watch_risk(self._scenario.risk, self._folder, engine, runtime, *self._kill_files)
        tasks.append(runtime.spawn(self._sample(), "samples", daemon=True))
        if self._watch is not None:
            tasks.append(self._watch.start(engine, runtime, METRICS_NS * self._line.speed))
        period_ns = self._scenario.engine.calls.reconcile_ns
        if period_ns:
            tasks.append(runtime.spawn(engine.reconciler.watch(period_ns), "reconciliation", daemon=True))
        return tasks

    def _fund(self, venue: LiveVenue, balances: Mapping[str, int]) -> None:
        """What the account holds at the start: money, and YES and NO tokens as far as they make full sets."""
        engine, left = self._engine, dict(balances)
        quotes = {instrument.quote.name: instrument.quote for instrument in venue.instruments().values()}
        for instrument in venue.instruments().values():
            if instrument.complement is None:
                continue
            pair = (instrument.base.name, instrument.complement.name)
            lots = min(left.get(name, 0) for name in pair)
            if lots > 0:
                engine.deposit(instrument.quote, instrument.par(lots))
                engine.open_sets(instrument.market, lots)
                for name in pair:
                    left[name] -= lots
        for name, units in sorted(left.items()):
            if name in quotes:
                engine.deposit(quotes[name], units)
            elif units:
                self._notes.append(f"{venue.venue_id}: the account already holds {units} units of {name}, not counted")

    # --- the end --------------------------------------------------------------------------------------------------

    def _finish(self, why: str) -> None:
        self._end.set(why)

    def _interrupted(self, _body: bytes) -> None:
        """Errors: KeyboardInterrupt the second time."""
        if self._end.done:
            raise KeyboardInterrupt
        self._finish(INTERRUPTED)

    def _strategy_ended(self, _value: object, error: Exception | None) -> bool:
        late = self._end.done and isinstance(
            error, ExecError
        )  # after the end its orders are refused: no fault of its own
        if error is not None and not late:
            self._error = error
            self._finish(FAILED)
        return True

    async def _keep(self) -> None:
        """Wait for the end and cancel everything, also when the run is cut short: this task is younger than the adapters'
        and older than the strategy's, so at a run's end the strategy goes first and the adapters still work."""
        try:
            why = await self._end
        except GeneratorExit:
            raise
        except BaseException:
            await self._cancel_all(CUT_SHORT)
            raise
        await self._cancel_all(why)

    async def _cancel_all(self, why: str) -> None:
        engine, runtime = self._engine, self._runtime
        self._feed.books.end()
        engine.kill(why)  # the strategy goes on until everything is cancelled: what it has asked for is answered
        until_ns = runtime.now_ns() + (DRAIN_NS + self._line.drain_ns) * self._line.speed
        await engine.cancel_all()
        while (left := engine.get_active_orders()) and runtime.now_ns() < until_ns:
            for order in left:
                if order.status is OrderStatus.WORKING:  # its cancel was there before it
                    engine.start_cancel(order)
            await runtime.sleep(LOOK_NS * self._line.speed)
        self._left = engine.get_active_orders()

    async def _sample(self) -> None:
        while True:
            now_ns = self._runtime.now_ns()
            self._samples.take(now_ns)
            if self._on_progress is not None:
                self._on_progress(Progress(self._runtime.taken, 0, now_ns, pnl_text(self._engine)))
            await self._runtime.sleep_until(now_ns + SAMPLE_NS * self._line.speed, Priority.LAST)

    def _ended(self, start_ns: int, why: str) -> Ended:
        engine, scenario, now_ns = self._engine, self._scenario, self._runtime.now_ns()
        self._samples.take(now_ns)
        if self._watch is not None:
            self._watch.publish()
        found = ((market, engine.view.mark_i(market)) for market in self._instruments)
        marks = {market: mark_i for market, mark_i in found if mark_i is not None}
        fills = self._tally.final(engine)
        wall_s = time.perf_counter() - self._began_s
        seed = self._runtime.seed
        summary: dict[str, Any] = {
            "scenario": self._name,
            "mode": self._line.mode,
            "seed": seed,
            "journal_sha256": self._journal.digest(),
            "ended": why,
            "events": self._runtime.taken,
            "orders": self._tally.orders(engine),
            "fills": fills_summary(fills, finals(self._feed.books, self._instruments, marks)),
            "pnl": pnl_summary(engine.portfolio.totals(marks)),
            "positions": {m: position_summary(engine, m, marks.get(m)) for m in self._instruments},
            "metrics": engine.metrics.snapshot(),
            "wall_s": round(wall_s, 3),
            "left": [_left(order) for order in self._left],
            "assumptions": [*scenario.notes, *self._notes],
        }
        for venue in self._simulated:
            summary |= venue.summary()
            summary["assumptions"] += venue.told()
        if self._context.results:
            summary["executions"] = [dict(row) for row in self._context.results]
        record = RunRecord(
            scenario=self._name, mode=self._line.mode, seed=seed, start_ns=start_ns, end_ns=now_ns, wall_s=wall_s,
            summary=summary, instruments=self._instruments, orders=engine.order_tracker.get_all_orders(), fills=fills,
            positions=engine.get_all_positions(), marks={m: marks.get(m) for m in self._instruments},
            equity=self._samples.equity.series(),
            prices={name: sampler.series() for name, sampler in self._samples.prices.items()},
        )  # fmt: skip
        return Ended(record, summary, self._left, self._error)


def _instruments(scenario: model.Scenario, venues: Sequence[LiveVenue]) -> dict[str, Instrument]:
    """The scenario's markets as their venues describe them. Errors: ConfigError for one they do not have."""
    found: dict[str, Instrument] = {}
    for item in scenario.markets:
        venue = next((venue for venue in venues if venue.venue_id == item.venue), None)
        known = {} if venue is None else venue.instruments()
        if item.id not in known:
            listed = ", ".join(list(known)[:10])
            raise ConfigError(f"{item.venue} has no market {item.id!r} there", f"it has: {listed or 'none'}")
        found[item.id] = known[item.id]
    return found


def _left(order: Order) -> dict[str, str]:
    """An order that may still be open, in words of people."""
    grid = order.instrument.grid
    return {
        "order_id": order.id,
        "venue_order_id": order.venue_order_id or "",
        "market": order.market,
        "side": order.side.value,
        "status": order.status.value,
        "price": "" if order.price_i is None else plain(grid.price(order.price_i)),
        "remaining": plain(order.remaining_size),
    }


def told(left: Sequence[Mapping[str, str]]) -> str:
    """What is left after a session, in one line; "" if nothing is."""
    lines = [f"{o['order_id']} ({o['side']} {o['remaining']} of {o['market']}, {o['status']})" for o in left]
    return f"{len(lines)} orders may still be open: {', '.join(lines)}" if lines else ""
