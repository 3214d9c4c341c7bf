"""State is a fold over the journal: rows in, orders, fills, positions and cash out.

Each row is one fact, and it is applied by what applied it first: the lifecycle table, OrderTracker, Portfolio and the
blotter that moves them, here with a clock that shows each row's time and no journal behind it. What a fact brought about
(an early void that meets its fill, a payout that comes again) has rows of its own in the journal: saying it twice changes
nothing. A pure function: it reads rows and builds new objects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, cast

from execsim.core.errors import ExecError, InvalidOrderState, JournalError
from execsim.core.fees import Liquidity
from execsim.core.instrument import Asset, Instrument, Outcome
from execsim.core.lifecycle import OrderEvent
from execsim.core.order import (
    Cause,
    Evidence,
    Fill,
    FillId,
    FillStatus,
    MatchKind,
    Order,
    OrderId,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
)
from execsim.engine.blotter import SETTLED, Blotter
from execsim.engine.halt import Halts
from execsim.engine.metrics import Metrics
from execsim.engine.notes import Opening
from execsim.engine.portfolio import Portfolio
from execsim.engine.track import Entry, OrderTracker
from execsim.engine.view import LiveView
from execsim.ports import JournalRow, Runtime

E = OrderEvent

KEEP_ALL: Final = 2**62
"""`orders_kept_max` of a fold that wants every order."""

MOVES: Final[Mapping[str, OrderEvent]] = {
    "refuse": E.REFUSE, "silence": E.SILENCE, "cancel": E.ASK_CANCEL, "cancel_refuse": E.REFUSE, "gone": E.GONE,
    "lapse": E.LAPSE, "found": E.FOUND, "done": E.DONE, "absent": E.ABSENT,
}  # fmt: skip
"""Rows that say nothing but what happened to an order."""
ENDS: Final = ("refuse", "silence", "gone", "lapse", "absent")
"""Those whose reason becomes the order's."""
STAGE_OF: Final = {kind: status for status, kind in SETTLED.items()}
NO_STATE: Final = ("invalid", "orphan", "retry", "reconcile", "breaker")
"""Rows that changed nothing when they were written."""


@dataclass(slots=True)
class Folded:
    """What a journal comes to. `tracker` and `portfolio` are as the engine's that wrote it; orders that were still waiting
    for their turn then (PENDING) are not in it: they were never sent. `fills` (order id, fill id) in booking order, empty
    for a fold that does not keep all orders. `ids`: prefix of our own order ids -> highest number used. `foreign`: orders
    refused because no venue of the run trades their market; they are in nothing else."""

    instruments: Mapping[str, Instrument]
    tracker: OrderTracker
    portfolio: Portfolio
    view: LiveView
    closed: dict[str, int]
    resolved: dict[str, int]
    halts: Halts
    opening: Opening = field(default_factory=Opening)
    fills: list[tuple[OrderId, str]] = field(default_factory=list)
    ids: dict[str, int] = field(default_factory=dict)
    rows: int = 0
    last_ns: int = 0
    foreign: int = 0

    @property
    def kill_reason(self) -> str | None:
        return self.halts.kill_reason

    def booked(self) -> list[tuple[Order, Fill]]:
        """Every fill with its order, in booking order, as it stands now."""
        entries = ((self.tracker.entry(order_id), fill_id) for order_id, fill_id in self.fills)
        return [(entry.order, entry.fills[fill_id]) for entry, fill_id in entries]

    def marks(self) -> dict[str, int]:
        """YES price to value each held market by: our last execution, or entry (a journal holds no market data)."""
        found = ((market, self.view.mark_i(market)) for market in self.portfolio.held)
        return {market: mark_i for market, mark_i in found if mark_i is not None}


def fold(
    rows: Iterable[JournalRow],
    instruments: Mapping[str, Instrument],
    opening: Opening | None = None,
    *,
    orders_kept_max: int = KEEP_ALL,
    where: str = "journal",
) -> Folded:
    """Rebuild the state of the engine that wrote `rows`. `instruments` by market id; `where` names the journal in errors.

    Errors: JournalError naming the row that cannot be: of an unknown kind, about an unknown order, or against the table.
    """
    work = _Fold(instruments, opening or Opening(), orders_kept_max)
    for row in rows:
        try:
            work.apply(row)
        except (ExecError, KeyError, TypeError, ValueError) as error:
            what = error.message if isinstance(error, ExecError) else f"{type(error).__name__}: {error}"
            raise JournalError(where, f"row {row.seq} ({row.kind}) cannot be: {what}") from error
    return work.folded


class _Clock:
    """Shows the time of the row that is applied. All of a Runtime that a blotter asks for when nobody waits."""

    ns = 0

    def now_ns(self) -> int:
        return self.ns


class _Fold:
    def __init__(self, instruments: Mapping[str, Instrument], opening: Opening, orders_kept_max: int) -> None:
        self._clock = _Clock()
        runtime = cast(Runtime, self._clock)
        tracker, portfolio = OrderTracker(orders_kept_max), Portfolio()
        view = LiveView(runtime, tracker, portfolio)
        self._tracker, self._portfolio, self._view = tracker, portfolio, view
        self._blotter = Blotter(runtime, None, Metrics(False), tracker, portfolio, view)
        self._instruments = instruments
        self._keeps_fills = orders_kept_max >= KEEP_ALL
        self._foreign: set[str] = set()
        self._beyond: dict[str, str] = {}
        """late fills that no order had room for -> their market"""
        halts = Halts(lambda kind, body: None, self._clock.now_ns)
        self.folded = Folded(
            instruments, tracker, portfolio, view, self._blotter.closed, self._blotter.resolved, halts, opening
        )
        for instrument in instruments.values():
            view.register(instrument)
            portfolio.open(instrument)
        quotes = {instrument.quote.name: instrument.quote for instrument in instruments.values()}
        for name, units in opening.cash.items():
            portfolio.deposit(quotes.get(name) or Asset(name, next(iter(quotes.values())).unit), units)
        for market, lots in opening.sets.items():
            portfolio.split(market, lots)

    def apply(self, row: JournalRow) -> None:
        self._clock.ns = row.ts_ns
        act = self.ACTS.get(row.kind)
        if act is None:
            raise ValueError("this execsim knows no such row; read it with the version that wrote it")
        act(self, row)
        self.folded.rows, self.folded.last_ns = row.seq, row.ts_ns

    # --- orders ---------------------------------------------------------------------------------------------------

    def _intent(self, row: JournalRow) -> None:
        self._blotter.sending(self._track(row, self._instruments[row.body["market"]]))

    def _move(self, row: JournalRow) -> None:
        entry = self._entry(row)
        if entry is None:
            return
        order, event = entry.order, MOVES[row.kind]
        if row.kind == "gone" and order.status is OrderStatus.PENDING:
            event = E.ASK_CANCEL
        self._tracker.move(entry, event)
        order.updated_ns = row.ts_ns
        if row.kind in ENDS:
            order.reason = row.body["reason"]
        elif row.kind == "found":
            order.venue_order_id = row.body["venue_order_id"] or order.venue_order_id
            entry.acknowledged = True
        elif row.kind == "cancel":
            entry.wants_cancel = True

    def _adopt(self, row: JournalRow) -> None:
        entry = self._track(row, self._instruments[row.body["market"]])
        entry.intent_written = entry.acknowledged = True
        entry.order.venue_order_id = row.body["venue_order_id"]
        for event in (E.SEND, E.ACK):
            self._tracker.move(entry, event)
        entry.order.updated_ns = row.ts_ns

    def _replace(self, row: JournalRow) -> None:
        entry = self._entry(row)
        if entry is not None:
            entry.order.replaced_by = OrderId(row.body["by"])

    def _ack(self, row: JournalRow) -> None:
        entry = self._entry(row)
        if entry is not None:
            self._blotter.acked(entry, row.body["venue_order_id"], row.body["venue_ts_ns"])

    def _amend(self, row: JournalRow) -> None:
        if row.kind == "amend_refuse" and OrderId(row.order_id) not in self._tracker:
            return  # of an order that still waited for its turn
        entry, body = self._entry(row), row.body
        if entry is None:
            return
        if row.kind == "amend_ask":
            self._blotter.ask_amend(entry, body["price_i"], body["size_lots"])
        elif row.kind == "amend":
            self._blotter.amended(entry, body["price_i"], body["size_lots"])
        else:
            self._tracker.settle_size(entry, None)

    # --- fills ----------------------------------------------------------------------------------------------------

    def _fill(self, row: JournalRow) -> None:
        entry, fill, done = self._entry(row), fill_of(row), row.body["done"]
        if entry is None:
            market = self._tracker.evicted_market(fill.order_id)
            if market is not None:
                self._blotter.filled_late(market, fill, done)
            return
        try:
            self._blotter.filled(entry, fill, done)
        except InvalidOrderState:
            if not row.body.get("late"):
                raise
            # more than the order asked for: the engine, which had let go of the order, could not see that either
            self._beyond[fill.id] = entry.order.instrument.market
            self._blotter.filled_late(entry.order.instrument.market, fill, done)
            return
        if self._keeps_fills:
            self.folded.fills.append((entry.order.id, fill.id))

    def _settled(self, row: JournalRow) -> None:
        entry, fill_id = self._entry(row), row.body["fill_id"]
        status = FillStatus(row.body["status"]) if row.kind == "early" else STAGE_OF[row.kind]
        if entry is None or fill_id in self._beyond:
            market = self._beyond.get(fill_id) or self._tracker.evicted_market(OrderId(row.order_id))
            if market is not None:
                self._blotter.settled_late(market, row.order_id, fill_id, status)
        elif status is FillStatus.VOIDED:
            self._blotter.voided(entry, fill_id)
        else:
            self._blotter.settled(entry, fill_id, status)

    # --- markets and the run --------------------------------------------------------------------------------------

    def _close(self, row: JournalRow) -> None:
        self._blotter.close(row.body["market"], row.body["payoff_i"], row.body["final"])

    def _resolve(self, row: JournalRow) -> None:
        self._blotter.resolve(row.body["market"], row.body["payoff_i"])

    def _tokens(self, row: JournalRow) -> None:
        body = row.body
        if row.kind == "split":
            self._portfolio.split(body["market"], body["lots"])
        elif row.kind == "merge":
            self._portfolio.merge(body["market"], body["lots"])
        else:
            self._portfolio.convert(body["markets"], body["event"], body["lots"], body["marks"])

    def _tick(self, row: JournalRow) -> None:
        self._view.set_tick(row.body["market"], row.body["tick_i"])

    def _halt(self, row: JournalRow) -> None:
        self.folded.halts.apply(row.kind, row.ts_ns, row.body)

    # --- pieces ---------------------------------------------------------------------------------------------------

    def _entry(self, row: JournalRow) -> Entry | None:
        """The order of a row, tracked now if this row is the first to tell of it; None for a foreign one."""
        found = self._tracker.find(OrderId(row.order_id))
        if found is not None:
            return found
        if "market" in row.body:
            instrument = self._instruments.get(row.body["market"])
            if instrument is not None and instrument.venue == row.body["venue"]:
                return self._track(row, instrument)
            self._foreign.add(row.order_id)
            self.folded.foreign += 1
        elif row.order_id not in self._foreign and OrderId(row.order_id) not in self._tracker:
            raise ValueError(f"order {row.order_id} has no intent before this row")
        return None

    def _track(self, row: JournalRow, instrument: Instrument) -> Entry:
        order = order_of(row, instrument)
        prefix, _, number = order.id.rpartition("-")
        if prefix and number.isdecimal():
            self.folded.ids[prefix] = max(self.folded.ids.get(prefix, 0), int(number))
        return self._tracker.track_order(order, owner=row.body["owner"], worst_lots=row.body.get("worst_lots"))

    def _nothing(self, row: JournalRow) -> None:
        """A row that changed nothing when it was written."""

    ACTS: ClassVar[Mapping[str, Callable[[_Fold, JournalRow], None]]] = {
        "intent": _intent, "adopt": _adopt, "replace": _replace, "ack": _ack, "fill": _fill, "void": _settled,
        "mined": _settled, "confirm": _settled, "early": _settled, "amend_ask": _amend, "amend": _amend,
        "amend_refuse": _amend, "close": _close, "resolve": _resolve, "split": _tokens, "merge": _tokens,
        "convert": _tokens, "tick": _tick, "kill": _halt, "halt": _halt, "resume": _halt,
        **dict.fromkeys(MOVES, _move), **dict.fromkeys(NO_STATE, _nothing),
    }  # fmt: skip


KNOWN_KINDS: Final = frozenset(_Fold.ACTS)
"""Every kind of row there is (records.py)."""


def order_of(row: JournalRow, instrument: Instrument) -> Order:
    """The order as it was before it was sent, from a row that holds its fields (records.order_row)."""
    body: dict[str, Any] = row.body
    return Order(
        OrderId(row.order_id),
        instrument,
        Side(body["side"]),
        OrderType(body["type"]),
        TimeInForce(body["tif"]),
        body["size_lots"],
        body["quote_units"],
        body["price_i"],
        Outcome(body["outcome"]),
        body["expire_ns"],
        body["created_ns"],
        body["created_ns"],
        tag=body["tag"],
        replaces=body.get("replaces"),
    )


def fill_of(row: JournalRow) -> Fill:
    """The fill of a row (records.fill_row), as it was when it was booked."""
    body = row.body
    return Fill(
        FillId(body["fill_id"]),
        OrderId(row.order_id),
        body["venue_ts_ns"],
        Side(body["side"]),
        Outcome(body["outcome"]),
        body["price_i"],
        body["lots"],
        body["cash_units"],
        body["fee_units"],
        Liquidity(body["liquidity"]),
        Cause(body["cause"]),
        Evidence(body["evidence"]),
        body["row_seq"],
        FillStatus(body["status"]),
        MatchKind(body["match"]),
    )
