"""Run a scenario in virtual time against the simulated exchange, and say what happened."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from execsim.core.units import NS_PER_S
from execsim.engine.context import Context
from execsim.journal import HashJournal, SqliteJournal, discard
from execsim.kernel import VENUE
from execsim.observe.publish import Publisher
from execsim.ports import Journal, Priority
from execsim.report.explain import JOURNAL, TRACE
from execsim.report.facts import BookWatch, facts
from execsim.report.run import EquitySampler, PriceSampler, RunRecord
from execsim.runtime import VirtualRuntime
from execsim.scenario import model
from execsim.scenario.accrual import Accruals
from execsim.scenario.build import Loaded, Parts, join, load_data
from execsim.scenario.grading import Grades, market_grades, refusals, schedule_blindness
from execsim.scenario.summary import Tally, summarise
from execsim.scenario.watch import watch_risk

DRAIN_NS: Final = 10 * NS_PER_S
"""Virtual time after the last row in which answers on their way still arrive."""
SETTLE_ROUNDS_MAX: Final = 400
"""Rounds of DRAIN_NS that a run's end waits for the chain and for the fate of orders: longer than the slowest settlement a
scenario may ask for."""
LOOK_NS: Final = NS_PER_S
"""How often the book of an agents' market is looked at for its stylised facts."""
LOOKS: Final = 500
"""Looks at the metrics of a run that is watched, unless told otherwise: one a second of the run's time at most."""
SAMPLES: Final = 2_000
"""Equity and price samples of a run."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run is: for people watching; `pnl` by quote asset as text."""

    rows: int
    rows_total: int
    now_ns: int
    pnl: str


@dataclass(slots=True)
class Finished:
    """A run that ended: its record for reports, its summary (`execsim run --json`), and the parts as they stood then."""

    record: RunRecord
    summary: dict[str, Any]
    parts: Parts


def run(
    scenario: model.Scenario,
    name: str,
    folder: Path,
    out: Path | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    loaded: Loaded | None = None,
    watch: Publisher | None = None,
) -> Finished:
    """Replay a scenario to its end. `folder` is what its paths are relative to; `out` receives journal.sqlite;
    `watch` is shown the metrics as they change.

    Errors: ExecError (the scenario or its data is wrong); an exception of the user's strategy passes through.
    """
    loaded = loaded or load_data(scenario, folder)
    runtime = VirtualRuntime(scenario.seed, loaded.start_ns)
    journal = _journal(scenario.journal.mode, out)
    trace = _trace(scenario.journal.mode, out)
    try:
        parts = join(scenario, loaded, runtime, journal, folder, None if trace is None else trace.write)
        session = _Session(scenario, name, folder, parts, runtime, journal, on_progress, watch)
        started = time.perf_counter()
        runtime.run(main=session.main())
        wall_s = time.perf_counter() - started
        return session.finish(wall_s)
    finally:
        journal.close()
        if trace is not None:
            trace.close()


def _trace(mode: Literal["full", "batched", "off"], out: Path | None) -> SqliteJournal | None:
    """The venue's side of the run, for `execsim explain`: beside the journal, not part of it."""
    if out is None or mode == "off":
        return None
    discard(out / TRACE)
    return SqliteJournal(out / TRACE, "batched")


def _journal(mode: Literal["full", "batched", "off"], out: Path | None) -> Journal:
    if out is None or mode == "off":
        return HashJournal()
    out.mkdir(parents=True, exist_ok=True)
    path = out / JOURNAL
    discard(path)
    return SqliteJournal(path, mode)


class _Session:
    """One run from first row to last answer."""

    def __init__(
        self,
        scenario: model.Scenario,
        name: str,
        folder: Path,
        parts: Parts,
        runtime: VirtualRuntime,
        journal: Journal,
        on_progress: Callable[[Progress], None] | None,
        watch: Publisher | None,
    ) -> None:
        self._scenario = scenario
        self._name = name
        self._folder = folder
        self._parts = parts
        self._runtime = runtime
        self._journal = journal
        self._on_progress = on_progress
        self._publisher = watch
        self._rows_total = sum(market.info.rows for market in parts.loaded.markets)
        self._tally = Tally(parts.engine)
        self._accruals = Accruals(scenario, parts, runtime)
        quotes = list(dict.fromkeys(m.instrument.quote.name for m in parts.loaded.markets))
        self._equity = EquitySampler([m.id for m in parts.loaded.markets], quotes)
        self._prices = {m.id: PriceSampler() for m in parts.loaded.markets}
        self._refuses = scenario.exchange.ungraded == "refuse"
        self._watch = BookWatch()
        """the book of an agents' market, for its stylised facts"""
        self._context = Context(
            parts.engine, runtime, parts.books, name="strategy", params=parts.params, markets=parts.traded
        )

    async def main(self) -> None:
        parts, runtime, loaded = self._parts, self._runtime, self._parts.loaded
        stage = parts.stage
        tape = stage.tape(parts.books)
        stage.schedule_resolutions(parts.books)
        if self._refuses:
            schedule_blindness(runtime, stage.kernel, loaded, market_grades(loaded))
        stage.open(tape, parts.books)
        watching = watch_risk(self._scenario.risk, self._folder, parts.engine, runtime)
        strategy = runtime.spawn(parts.strategy(self._context), "strategy", daemon=True)
        sampler = runtime.spawn(self._sample(), "samples", daemon=True)
        if self._publisher is not None:
            self._publisher.start(parts.engine, runtime, max(NS_PER_S, (loaded.end_ns - loaded.start_ns) // LOOKS))
        if stage.agents is not None:
            runtime.spawn(self._look(), "facts", daemon=True)
        accruing = self._accruals.start()
        period_ns = self._scenario.engine.calls.reconcile_ns
        if period_ns:
            runtime.spawn(parts.engine.reconciler.watch(period_ns), "reconciliation", daemon=True)
        await runtime.spawn((stage.agents or tape).run(), "tape").join()
        await runtime.sleep_until(stage.last_ns() + NS_PER_S, Priority.LAST)
        for task in (sampler, *accruing, *watching):
            task.cancel()
        parts.books.end()
        for venue in parts.venues.values():
            venue.exchange.faults.stop()
        await parts.engine.cancel_all()
        await runtime.sleep(DRAIN_NS)
        await self._settle()
        strategy.cancel()
        if stage.agents is not None:
            stage.agents.close()
        for venue in parts.venues.values():
            venue.ledger.check()

    async def _settle(self) -> None:
        """Let what is on its way to the chain end, and the engine find out how orders ended of which nobody said so."""
        engine, runtime = self._parts.engine, self._runtime
        for _ in range(SETTLE_ROUNDS_MAX):
            chains = [venue.exchange.chain for venue in self._parts.venues.values()]
            if not engine.inquiry.open and not any(chain is not None and chain.pending for chain in chains):
                break
            await runtime.sleep(DRAIN_NS)

    def _tell_progress(self, now_ns: int) -> None:
        if self._on_progress is not None:
            self._on_progress(Progress(self._parts.stage.kernel.rows, self._rows_total, now_ns, self._pnl_text()))

    def _pnl_text(self) -> str:
        totals = self._parts.engine.portfolio.totals(self._parts.engine.marks())
        return ", ".join(f"{total.asset.decimal(total.net):+.2f} {name}" for name, total in totals.items())

    async def _sample(self) -> None:
        loaded = self._parts.loaded
        step = max(1, (loaded.end_ns - loaded.start_ns) // SAMPLES)
        while True:
            self._take_sample()
            await self._runtime.sleep_until(self._runtime.now_ns() + step, Priority.LAST)

    async def _look(self) -> None:
        """Once a second, while the market is open."""
        while self._runtime.now_ns() < self._parts.loaded.end_ns:
            await self._runtime.sleep_until(self._runtime.now_ns() + LOOK_NS, Priority.LAST)
            self._watch.add(self._parts.stage.kernel.best(VENUE, 0))

    def _facts(self) -> dict[str, Any]:
        parts = self._parts
        if parts.stage.agents is None:
            return {}
        market = parts.loaded.markets[0]
        found = facts(self._watch, parts.stage.agents.feed.aggressors, market.instrument, LOOK_NS / NS_PER_S)
        return {"facts": {market.id: found}}

    def _take_sample(self) -> None:
        now_ns, engine, books = self._runtime.now_ns(), self._parts.engine, self._parts.books
        for market, sampler in self._prices.items():
            top = books.top(market)
            if top.bid_i is not None or top.ask_i is not None:
                sampler.add(now_ns, top.bid_i, top.ask_i)
        totals = engine.portfolio.totals(engine.marks())
        lots = {market: position.net_lots for market, position in engine.portfolio.positions.items()}
        self._equity.add(now_ns, lots, {name: total.net for name, total in totals.items()})
        self._tell_progress(now_ns)

    def finish(self, wall_s: float) -> Finished:
        """The record and the summary, after the run."""
        self._take_sample()
        if self._publisher is not None:
            self._publisher.publish()
        parts, loaded = self._parts, self._parts.loaded
        found = ((market.id, parts.engine.view.mark_i(market.id)) for market in loaded.markets)
        marks = {name: mark_i for name, mark_i in found if mark_i is not None}
        graded: Grades = market_grades(loaded) if self._tally.fills or self._refuses else {}
        summary = summarise(
            self._scenario, self._name, parts, self._tally, self._journal.digest(), marks, wall_s, graded
        )
        if self._refuses:
            summary["assumptions"] += refusals(graded)
        summary |= self._facts()
        summary |= self._accruals.summary()
        if self._context.results:
            summary["executions"] = [dict(row) for row in self._context.results]
        record = RunRecord(
            scenario=self._name,
            mode="backtest",
            seed=self._scenario.seed,
            start_ns=loaded.start_ns,
            end_ns=self._runtime.now_ns(),
            wall_s=wall_s,
            summary=summary,
            instruments={market.id: market.instrument for market in loaded.markets},
            orders=parts.engine.order_tracker.get_all_orders(),
            fills=self._tally.final(parts.engine),
            positions=parts.engine.get_all_positions(),
            marks={market.id: marks.get(market.id) for market in loaded.markets},
            equity=self._equity.series(),
            prices={name: sampler.series() for name, sampler in self._prices.items()},
            grades=graded,
        )
        return Finished(record, summary, parts)
