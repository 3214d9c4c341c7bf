"""A new engine takes up where a journal ends: orders, fills, positions, money, halts, and what was under way.

    fold the journal ──▶ restore ──▶ recover: ask the venue, plan, do (engine/recover.py)

What a killed engine had sent without hearing an answer has an unknown fate and is asked for; what it had not sent is not in
the journal and never happened.
"""

from __future__ import annotations

from typing import Any, Protocol

from execsim.core.errors import ConfigError, ExecTimeout, Reached
from execsim.core.order import OrderStatus
from execsim.engine.blotter import Blotter
from execsim.engine.cancels import Canceller
from execsim.engine.fold import Folded
from execsim.engine.halt import Halts
from execsim.engine.portfolio import Portfolio
from execsim.engine.reconcile import Action
from execsim.engine.recover import Reconciler
from execsim.engine.track import OrderTracker
from execsim.engine.view import LiveView


class Whole(Protocol):
    """The parts of an engine that a restart concerns."""

    order_tracker: OrderTracker
    portfolio: Portfolio
    view: LiveView
    blotter: Blotter
    halts: Halts
    reconciler: Reconciler
    opening: Any


def restore(engine: Whole, folded: Folded) -> None:
    """Take the state of a journal over. Before the first order, after the adapters were registered.

    Errors: ConfigError when the engine has traded already, or does not trade a market of the journal.
    """
    if engine.order_tracker.count():
        raise ConfigError("restore after the first order", "restore before anything is sent")
    for market in folded.instruments:
        engine.view.instrument(market)
    engine.order_tracker.restore(folded.tracker)
    engine.portfolio.restore(folded.portfolio)
    engine.view.restore(folded.view)
    engine.blotter.closed.update(folded.closed)
    engine.blotter.resolved.update(folded.resolved)
    engine.halts.restore(folded.halts.all())
    engine.reconciler.certain_until(folded.last_ns)
    for order in engine.order_tracker.get_active_orders():
        entry = engine.order_tracker.entry(order.id)
        if order.status is OrderStatus.SUBMITTING:
            what = "sent, and then the engine was killed"
            engine.blotter.interrupted(entry, ExecTimeout(order.venue, what, Reached.UNKNOWN))


async def recover(engine: Whole, cancels: Canceller, venues: list[str]) -> list[Action]:
    """Ask the venues about everything and mend our books; cancels that were asked for before the end are asked for again.
    Returns what was done. Errors: JournalError."""
    done: list[Action] = []
    for venue in venues:
        done += await engine.reconciler.reconcile(venue)
    for order in engine.order_tracker.get_active_orders():
        entry = engine.order_tracker.entry(order.id)
        if entry.wants_cancel and order.status is not OrderStatus.UNKNOWN:
            cancels.start(entry)
    return done
