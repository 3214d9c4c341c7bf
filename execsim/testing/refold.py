"""The engine's books must be what its journal comes to: `refold` folds the rows anew and says every difference."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from execsim.core.order import OrderStatus
from execsim.engine.fold import Folded, fold
from execsim.engine.notes import market_text
from execsim.engine.session import ExecutionEngine
from execsim.engine.track import Entry, OrderTracker
from execsim.ports import JournalRow


def refold(engine: ExecutionEngine, rows: Iterable[JournalRow]) -> list[str]:
    """Every difference between an engine and the fold of its rows, in words; empty when there is none."""
    instruments = {market: position.instrument for market, position in engine.portfolio.positions.items()}
    return differences(engine, fold(rows, instruments, engine.opening))


def differences(engine: ExecutionEngine, folded: Folded) -> list[str]:
    """As `refold`, of a fold that was made already (of a file, say)."""
    return [*_orders(engine.order_tracker, folded), *_money(engine, folded), *_run(engine, folded)]


def _orders(tracker: OrderTracker, folded: Folded) -> Iterator[str]:
    live = {o.id: o for o in tracker.get_all_orders() if o.status is not OrderStatus.PENDING}
    live = {name: o for name, o in live.items() if o.instrument.market in folded.instruments}
    for order in folded.tracker.get_all_orders():
        if order.id not in live and order.id not in tracker:
            yield f"order {order.id}: in the journal, unknown to the engine"
    for name, order in live.items():
        entry, found = tracker.entry(name), folded.tracker.find(name)
        if found is None:
            yield f"order {name}: {order.status} with the engine, not in the journal"
            continue
        if replace(order, instrument=found.order.instrument) != found.order:
            yield f"order {name}: {order} with the engine, {found.order} by the journal"
        if entry.fills != found.fills or entry.early != found.early:
            yield f"order {name}: {entry.fills} {entry.early} with the engine, {found.fills} {found.early} by the journal"
        if _standing(entry) != _standing(found):
            yield f"order {name}: {entry} with the engine, {found} by the journal"


def _standing(entry: Entry) -> tuple[object, ...]:
    ceiling = entry.ceiling_lots if entry.order.is_active else 0
    return entry.owner, ceiling, entry.intent_written, entry.sent_ns, entry.acknowledged, entry.wants_cancel


def _money(engine: ExecutionEngine, folded: Folded) -> Iterator[str]:
    ours, theirs = engine.portfolio, folded.portfolio
    for market, position in ours.positions.items():
        found = theirs.positions[market]
        if market_text(position.instrument) != market_text(found.instrument):  # a file's has no fees
            yield f"{market}: {position.instrument} with the engine, {found.instrument} by the journal"
        if replace(position, instrument=found.instrument) != found:
            yield f"{market}: {position} with the engine, {found} by the journal"
        waiting = [o for o in engine.get_active_orders(market) if o.status is OrderStatus.PENDING]
        counted, recounted = engine.order_tracker.open_lots(market), folded.tracker.open_lots(market)
        if not waiting and counted != recounted:
            yield f"{market}: open {counted}, by the journal {recounted}"
    marks = engine.marks()
    if (dict(ours.cash), ours.totals(marks), list(ours.held)) != (
        dict(theirs.cash), theirs.totals(marks), [m for m in ours.held if m in theirs.held],
    ):  # fmt: skip
        yield f"cash and totals: {ours.cash} {ours.totals(marks)}, by the journal {theirs.cash} {theirs.totals(marks)}"


def _run(engine: ExecutionEngine, folded: Folded) -> Iterator[str]:
    for what, ours, theirs in (
        ("closed markets", engine.blotter.closed, folded.closed),
        ("resolved markets", engine.blotter.resolved, folded.resolved),
        ("what is halted", engine.halted, folded.halts.all()),
    ):
        if ours != theirs:
            yield f"{what}: {ours} with the engine, {theirs} by the journal"
