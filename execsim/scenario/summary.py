"""What a run did, as the one JSON object of `execsim run --json`. Money is decimal strings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from execsim.core.events import OrderUpdate
from execsim.core.instrument import Instrument, Outcome
from execsim.core.lifecycle import OrderEvent
from execsim.core.order import Fill, FillStatus, Order, OrderStatus
from execsim.core.units import NS_PER_S, plain
from execsim.engine.portfolio import Totals
from execsim.engine.session import ExecutionEngine
from execsim.exchange import SimulatedVenue
from execsim.exchange.latency import LatencyStats
from execsim.kernel import Fifo
from execsim.market import Books
from execsim.scenario import model
from execsim.scenario.build import Parts
from execsim.scenario.grading import Grades
from execsim.scenario.latency import unrealistic
from execsim.scenario.profile import profile_told
from execsim.tape.grades import UNGRADED, grade_at

PNL: Final = ("realised", "unrealised", "fees", "rebates", "net")
"""net = realised + unrealised - fees + rebates"""


NO_GRADES: Final[Grades] = {}


class Tally:
    """Counts what happens to orders while the run goes on, and keeps the fills."""

    def __init__(self, engine: ExecutionEngine) -> None:
        self.counts: Counter[str] = Counter()
        self.fills: list[tuple[Order, Fill]] = []
        engine.subscribe(self._note)

    def _note(self, update: OrderUpdate) -> None:
        if update.event is OrderEvent.SEND:
            self.counts["sent"] += 1
        elif update.event is OrderEvent.ACK and update.before is OrderStatus.SUBMITTING:
            self.counts["accepted"] += 1
        if update.fill is not None and update.event in (OrderEvent.FILL, OrderEvent.DONE):
            self.fills.append((update.order, update.fill))
        if update.after is not update.before and update.after in (
            OrderStatus.REJECTED, OrderStatus.CANCELLED, OrderStatus.FILLED, OrderStatus.EXPIRED,
        ):  # fmt: skip
            self.counts[update.after] += 1

    def final(self, engine: ExecutionEngine) -> list[tuple[Order, Fill]]:
        """Every fill as it stands now: confirmed, still under way, or voided."""
        known = ((order, fill, engine.order_tracker.find(order.id)) for order, fill in self.fills)
        return [(order, fill if entry is None else entry.fills[fill.id]) for order, fill, entry in known]

    def orders(self, engine: ExecutionEngine) -> dict[str, int]:
        """`submitted`: given to the engine; `sent`: handed to a venue; `accepted`: booked there; then how they ended."""
        unknown = sum(order.status is OrderStatus.UNKNOWN for order in engine.get_active_orders())
        names = ("sent", "accepted", "rejected", "cancelled", "filled", "expired")
        counts = {name: self.counts[name] for name in names}
        return {"submitted": engine.order_tracker.tracked, **counts, "unknown": unknown}


def summarise(
    scenario: model.Scenario, name: str, parts: Parts, tally: Tally, journal_sha256: str, marks: Mapping[str, int],
    wall_s: float, grades: Grades,
) -> dict[str, Any]:  # fmt: skip
    """The summary object; see README, "What a run prints". `grades`: of the minutes of each market, may be empty without
    fills."""
    loaded, engine = parts.loaded, parts.engine
    rows = parts.stage.kernel.rows
    defects: Counter[str] = Counter()
    for manifest in loaded.manifests:
        defects.update(manifest.defects)
    return {
        "scenario": name,
        "mode": "backtest",
        "seed": scenario.seed,
        "data_sha256": loaded.data_sha256,
        "journal_sha256": journal_sha256,
        "coverage": dict(loaded.coverage),
        "events": rows,
        "events_per_s": round(rows / wall_s) if wall_s else 0,
        "orders": tally.orders(engine),
        "fills": fills_summary(tally.final(engine), finals(parts.books, [m.id for m in loaded.markets], marks), grades),
        "pnl": pnl_summary(engine.portfolio.totals(marks)),
        "positions": {m.id: position_summary(engine, m.id, marks.get(m.id)) for m in loaded.markets},
        "metrics": engine.metrics.snapshot(),
        "latency_ns": _latency(parts),
        "wall_s": round(wall_s, 3),
        "defects": dict(sorted(defects.items())),
        "gaps": sum(len(manifest.gaps) for manifest in loaded.manifests),
        **venues_summary(parts.venues),
        "assumptions": assumptions(scenario, parts),
    }


def venues_summary(venues: Mapping[str, SimulatedVenue]) -> dict[str, Any]:
    """What simulated venues counted: hits of their rate limits, and, where there were any, how often each fault began and
    how the matches of a chain ended."""
    exchanges = {name: venue.exchange for name, venue in venues.items()}
    limited = {name: {rule: hits for rule, hits in x.limits.hits.items() if hits} for name, x in exchanges.items()}
    throttled = {name: {rule: n for rule, n in x.limits.throttled.items() if n} for name, x in exchanges.items()}
    faults = {name: dict(sorted(x.faults.counts.items())) for name, x in exchanges.items() if x.faults.counts}
    ends = ("matched", "mined", "confirmed", "failed")
    chains = {
        name: {end: getattr(exchange.chain.counts, end) for end in ends}
        for name, exchange in exchanges.items()
        if exchange.chain is not None
    }
    return {
        "rate_limited_by_venue": limited,
        "throttled_by_venue": throttled,
        **({"faults": faults} if faults else {}),
        **({"settlement": chains} if chains else {}),
    }


def mishaps_told(venues: Mapping[str, SimulatedVenue]) -> list[str]:
    """Faults and failed matches in words."""
    said = []
    for name, venue in venues.items():
        exchange = venue.exchange
        if exchange.faults.counts:
            happened = ", ".join(f"{pack} {count} times" for pack, count in sorted(exchange.faults.counts.items()))
            said.append(f"{name}: faults were switched on: {happened}")
        if exchange.chain is not None:
            counts = exchange.chain.counts
            said.append(f"{name}: {counts.failed} of {counts.matched} matches failed on chain, as the scenario assumes")
    return said


def _births_told(parts: Parts) -> list[str]:
    """What a FIFO queue could not know."""
    unknown = sum(parts.stage.kernel.unknown_births(i) for i in range(len(parts.loaded.markets)))
    if parts.stage.kernel.queue == Fifo() and unknown:
        return [f"FIFO: {unknown} decreases of our levels name no order: they move no queue, as risk_averse"]
    return []


def pnl_summary(totals: Mapping[str, Totals]) -> dict[str, Any]:
    """realised, unrealised, fees, rebates and net over all quote assets, and the same of each asset under its name.

    Over all, a unit of every quote asset counts as one dollar, as in the risk policies.
    """
    by_asset = {asset: total.decimals() for asset, total in totals.items()}
    overall = {key: sum((amounts[key] for amounts in by_asset.values()), Decimal(0)) for key in PNL}
    return {
        **{key: plain(value) for key, value in overall.items()},
        **{asset: {key: plain(amounts[key]) for key in PNL} for asset, amounts in by_asset.items()},
    }


def finals(books: Books, markets: Iterable[str], marks: Mapping[str, int]) -> dict[str, int]:
    """YES price each market's tokens are worth at the end: the payoff, else the mark."""
    found = dict(marks)
    for market in markets:
        payoff_i = books.payoff_i(market)
        if payoff_i is not None:
            found[market] = payoff_i
    return found


def fills_summary(
    fills: list[tuple[Order, Fill]], ends: Mapping[str, int], grades: Grades = NO_GRADES
) -> dict[str, Any]:
    """Count, size and value of fills, by cause and by evidence. `pnl` values each fill at the end price, after fees.
    Fills that failed on chain are counted apart (`voided`) and are in nothing else. `ungraded`, where there are any: those
    of minutes of the recording that are graded C or F."""
    voided = sum(fill.status is FillStatus.VOIDED for _, fill in fills)
    fills = [(order, fill) for order, fill in fills if fill.status is not FillStatus.VOIDED]
    by_cause: dict[str, list[tuple[Order, Fill]]] = {}
    by_evidence: dict[str, list[tuple[Order, Fill]]] = {}
    for order, fill in fills:
        by_cause.setdefault(str(fill.cause), []).append((order, fill))
        by_evidence.setdefault(str(fill.evidence), []).append((order, fill))
    doubtful = [held for held in fills if _grade(grades, *held) in set(UNGRADED)]
    return {
        **_fill_group(fills, ends),
        **({"voided": voided} if voided else {}),
        **({"ungraded": _fill_group(doubtful, ends)} if doubtful else {}),
        "by_cause": {cause: _fill_group(group, ends) for cause, group in sorted(by_cause.items())},
        "by_evidence": {kind: _fill_group(group, ends) for kind, group in sorted(by_evidence.items())},
    }


def _grade(grades: Grades, order: Order, fill: Fill) -> str | None:
    return grade_at(grades.get(order.instrument.market, ()), fill.ts_ns)


def _fill_group(group: list[tuple[Order, Fill]], ends: Mapping[str, int]) -> dict[str, Any]:
    size = sum((order.instrument.grid.size(fill.lots) for order, fill in group), Decimal(0))
    value: dict[str, Decimal] = {}
    for order, fill in group:
        inst = order.instrument
        earned = inst.quote.decimal(earned_units(inst, fill, ends.get(inst.market)))
        value[inst.quote.name] = value.get(inst.quote.name, Decimal(0)) + earned
    return {"count": len(group), "size": plain(size), "pnl": {name: plain(v) for name, v in value.items()}}


def earned_units(instrument: Instrument, fill: Fill, final_i: int | None) -> int:
    """Cash of a fill less its fee plus what its tokens are worth at the end, in quote units (0 without an end price)."""
    if final_i is None:
        return 0
    price_i = final_i if fill.outcome is Outcome.YES else instrument.one_i - final_i
    return fill.cash - fill.fee + fill.side.sign * instrument.cash(price_i, fill.lots)


def position_summary(engine: ExecutionEngine, market: str, mark_i: int | None) -> dict[str, Any]:
    position = engine.portfolio.position(market)
    inst = position.instrument
    unrealised = 0 if mark_i is None else position.unrealised(mark_i)
    avg = position.avg_price
    return {
        "net": plain(position.size),
        "yes": plain(inst.grid.size(position.yes_lots)),
        "no": plain(inst.grid.size(position.no_lots)),
        "avg_price": None if avg is None else plain(round(avg, 8)),
        "mark": None if mark_i is None else plain(inst.grid.price(mark_i)),
        "realised": plain(inst.quote.decimal(position.realised)),
        "unrealised": plain(inst.quote.decimal(unrealised)),
        "fees": plain(inst.quote.decimal(position.fees)),
        "asset": inst.quote.name,
    }


def _latency(parts: Parts) -> dict[str, dict[str, int]]:
    legs = {"feed": [parts.stage.feed_drawn]}
    legs["entry"] = [venue.line.entry.drawn for venue in parts.venues.values()]
    legs["response"] = [venue.line.response.drawn for venue in parts.venues.values()]
    return {leg: LatencyStats.merged(stats).summary() for leg, stats in legs.items()}


def _halts_told(parts: Parts) -> list[str]:
    """What was still halted at the end of the run."""
    told = []
    for halt in parts.engine.halted:
        since = datetime.fromtimestamp(halt.since_ns // NS_PER_S, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        what = "killed" if halt.kill else f"{halt.action} by {halt.policy}"
        told.append(f"risk: {halt.market or 'everything'} was {what} since {since}: {halt.reason}")
    return told


def assumptions(scenario: model.Scenario, parts: Parts) -> list[str]:
    """What a reader must know before believing the numbers, in plain words."""
    said = [*scenario.notes, *mishaps_told(parts.venues), *_births_told(parts), *_halts_told(parts)]
    for market in scenario.markets:
        if market.resolve is not None:
            source = f" ({market.resolve.source})" if market.resolve.source else ""
            said.append(f"{market.id}: payoff {market.resolve.payoff} is stated by the scenario, not recorded{source}")
    for number, manifest in enumerate(parts.loaded.manifests):
        said += manifest.notes
        if not scenario.data:
            continue  # made by agents
        item = scenario.data[number]
        if item.start_at is not None:
            what = item.tape or ", ".join(item.sources) or "synthetic rows"
            said.append(f"{what} is replayed as if it began at {item.start_at.isoformat()}")
    profile = scenario.strategy.profile
    if profile is not None:
        replayed = [name for item in scenario.data for name in (item.tape, *item.sources) if name]
        files = [name for name in (profile.tape, *profile.sources) if name] or ["synthetic rows"]
        said.append(profile_told(files, replayed, profile.market))
    for policy in parts.risk.policies:
        if policy.market_id is not None and not parts.engine.view.trades(policy.market_id):
            said.append(f"risk: a {policy.name} for {policy.market_id} limits nothing: it is no market of this run")
    quotes = list(dict.fromkeys(market.instrument.quote.name for market in parts.loaded.markets))
    if len(quotes) > 1:
        said.append(f"totals over {' and '.join(quotes)} count each as one dollar")
    tracker = parts.engine.order_tracker
    if tracker.tracked > tracker.count():
        said.append(
            f"tables and report show the last {tracker.count()} of {tracker.tracked} orders (engine.orders_kept_max); "
            "`execsim journal export` has all of them"
        )
    for name, venue in parts.venues.items():
        section = scenario.venues.get(name, model.Venue())
        said += [f"{name}: {sentence}" for sentence in unrealistic(section, venue.latency)]
    return list(dict.fromkeys(said))
