"""Our books beside the venue's: what it says (`Told`) and what we believe give a plan, a list of typed actions.

Deciding is pure and here; doing is in `recover`. What a venue did not say, or not wholly, proves nothing: no order ends
because it is missing from a list, and no position is flat because a page was empty. An order that is missing is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from execsim.core.errors import ExecError
from execsim.core.instrument import Instrument
from execsim.core.order import Fill, FillStatus, Order, OrderId, OrderReport, OrderStatus
from execsim.core.position import Position

UnknownOrders = Literal["adopt", "cancel", "leave"]
"""What happens to an order of the account that nobody here placed: it becomes ours, is cancelled, or only reported."""

FINAL: Final = (FillStatus.CONFIRMED, FillStatus.VOIDED)
ALIVE: Final = (OrderStatus.WORKING, OrderStatus.CANCELLING)


@dataclass(frozen=True, slots=True)
class Told:
    """What a venue answered, each an error where it did not. `asked_ns`: our clock when we began to ask. `fills` are all
    that it made since `since_ns`, its clock."""

    venue: str
    asked_ns: int
    since_ns: int
    open_orders: Sequence[OrderReport] | ExecError
    fills: Sequence[Fill] | ExecError
    balances: Mapping[str, int] | ExecError


@dataclass(frozen=True, slots=True)
class BookFill:
    """A fill of one of our orders that we have not heard of."""

    fill: Fill

    def __str__(self) -> str:
        fill = self.fill
        return f"book fill {fill.id} of order {fill.order_id}: {fill.side} {fill.lots} lots at {fill.price_i}"


@dataclass(frozen=True, slots=True)
class SettleFill:
    """A fill we know, which has become final or has failed without our hearing of it."""

    fill: Fill

    def __str__(self) -> str:
        return f"fill {self.fill.id} of order {self.fill.order_id} is {self.fill.status} at the venue: take it over"


@dataclass(frozen=True, slots=True)
class FindOrder:
    """The venue has it open; we did not know that it is."""

    report: OrderReport
    status: OrderStatus

    def __str__(self) -> str:
        return f"order {self.report.order_id} is {self.status} with us and open at the venue: take it as alive"


@dataclass(frozen=True, slots=True)
class ChangeTerms:
    """Open on both sides, with another price or size there."""

    report: OrderReport

    def __str__(self) -> str:
        terms = self.report.terms
        assert terms is not None
        what = f"price {terms.price_i}, size {terms.size_lots} lots"
        return f"order {self.report.order_id} has other terms at the venue: take over {what}"


@dataclass(frozen=True, slots=True)
class AskOrder:
    """Alive with us and not in the venue's list, or its fate is unknown."""

    order_id: OrderId
    status: OrderStatus

    def __str__(self) -> str:
        return f"order {self.order_id} is {self.status} with us and not in the venue's list: ask for it"


@dataclass(frozen=True, slots=True)
class AdoptOrder:
    """Open at the venue, placed by nobody here: it becomes ours."""

    report: OrderReport

    def __str__(self) -> str:
        return f"order {self.report.order_id} is open at the venue and unknown here: adopt it"


@dataclass(frozen=True, slots=True)
class CancelStranger:
    """Open at the venue, placed by nobody here: it is cancelled."""

    report: OrderReport

    def __str__(self) -> str:
        return f"order {self.report.order_id} is open at the venue and unknown here: cancel it"


@dataclass(frozen=True, slots=True)
class NoteStranger:
    """Something of the account nobody here did and we leave alone: an order, or a fill."""

    what: str

    def __str__(self) -> str:
        return f"{self.what} is unknown here: left as it is"


@dataclass(frozen=True, slots=True)
class NoteBalance:
    """The venue holds another amount of an asset than our positions say. Units of the asset."""

    asset: str
    ours: int
    theirs: int

    def __str__(self) -> str:
        return f"{self.asset}: {self.theirs} units at the venue, {self.ours} by our positions: left as it is"


@dataclass(frozen=True, slots=True)
class NoteSilence:
    """The venue did not answer a question, or not wholly: nothing is concluded from it."""

    question: str
    reason: str

    def __str__(self) -> str:
        return f"no answer to {self.question} ({self.reason}): nothing is concluded from it"


Action = (
    BookFill
    | SettleFill
    | FindOrder
    | ChangeTerms
    | AskOrder
    | AdoptOrder
    | CancelStranger
    | NoteStranger
    | NoteBalance
    | NoteSilence
)


@dataclass(frozen=True, slots=True)
class Known:
    """What we believe of one venue. `has_fill(order id, fill id)`; `has_order(order id)`: also those no longer in memory.
    `moved_ns(order)`: when the order last changed here."""

    orders: Mapping[OrderId, Order]
    positions: Mapping[str, Position]
    has_order: Callable[[OrderId], bool]
    has_fill: Callable[[OrderId, str], bool]
    pending: Mapping[str, Fill] = field(default_factory=dict)
    """fills by id that are not final yet"""
    unsettled: frozenset[OrderId] = frozenset()
    """orders counted at a size an amend asked for, of which nobody has said how it ended"""


def plan(known: Known, told: Told, strangers: UnknownOrders = "leave") -> list[Action]:
    """What to do so that our books say what the venue says. Fills come first: what is left of an order hangs on them."""
    return [
        *_silences(told),
        *_fills(known, told, strangers),
        *_open(known, told, strangers),
        *_missing(known, told),
        *_balances(known, told),
    ]


def _silences(told: Told) -> Iterable[Action]:
    answers = {"open orders": told.open_orders, "fills": told.fills, "balances": told.balances}
    return [
        NoteSilence(question, answer.message) for question, answer in answers.items() if isinstance(answer, ExecError)
    ]


def _fills(known: Known, told: Told, strangers: UnknownOrders) -> Iterable[Action]:
    if isinstance(told.fills, ExecError):
        return
    adopted: set[str] = set()
    if strangers == "adopt" and not isinstance(told.open_orders, ExecError):
        adopted = {report.order_id for report in told.open_orders if report.terms is not None}
    for fill in told.fills:
        if known.has_order(fill.order_id):
            if not known.has_fill(fill.order_id, fill.id):
                yield BookFill(fill)
            elif fill.id in known.pending and fill.status in FINAL:
                yield SettleFill(fill)
        elif fill.order_id not in adopted:  # an adopted order brings its fills with it
            yield NoteStranger(f"fill {fill.id} of order {fill.order_id}")


def _open(known: Known, told: Told, strangers: UnknownOrders) -> Iterable[Action]:
    if isinstance(told.open_orders, ExecError):
        return
    for report in told.open_orders:
        order = known.orders.get(report.order_id)
        if order is None:
            yield _stranger(report, known.has_order(report.order_id), strangers)
        elif order.updated_ns > told.asked_ns:
            continue  # it has changed since we asked: the answer is old
        elif order.status is OrderStatus.UNKNOWN or order.is_terminal:
            yield FindOrder(report, order.status)
        elif order.status is OrderStatus.WORKING and (_changed(report, order) or order.id in known.unsettled):
            yield ChangeTerms(report)


def _changed(report: OrderReport, order: Order) -> bool:
    terms = report.terms
    return terms is not None and (terms.price_i, terms.size_lots) != (order.price_i, order.size_lots)


def _stranger(report: OrderReport, evicted: bool, strangers: UnknownOrders) -> Action:
    if strangers == "cancel":
        return CancelStranger(report)
    if strangers == "adopt" and report.terms is not None and not evicted:
        return AdoptOrder(report)
    return NoteStranger(f"order {report.order_id}")


def _missing(known: Known, told: Told) -> Iterable[Action]:
    silent = isinstance(told.open_orders, ExecError)
    listed = set() if isinstance(told.open_orders, ExecError) else {report.order_id for report in told.open_orders}
    for order in known.orders.values():
        if order.id in listed:
            continue
        missed = order.status in ALIVE and not silent and order.updated_ns <= told.asked_ns
        if order.status is OrderStatus.UNKNOWN or missed:
            yield AskOrder(order.id, order.status)


def _balances(known: Known, told: Told) -> Iterable[Action]:
    """Tokens and coins only: money also moves by deposits, which are no business of ours. Not judged while fills are
    missing, or while anything may just be trading."""
    if isinstance(told.balances, ExecError) or isinstance(told.fills, ExecError):
        return
    new = {fill.id: fill for fill in told.fills if not known.has_fill(fill.order_id, fill.id)}
    settling = any(fill.id in known.pending and fill.status in FINAL for fill in told.fills)
    if new or settling or any(order.updated_ns > told.asked_ns for order in known.orders.values()):
        return
    for position in known.positions.values():
        for asset, ours in _held(position.instrument, position):
            theirs = told.balances.get(asset, 0)
            if theirs != ours:
                yield NoteBalance(asset, ours, theirs)


def _held(instrument: Instrument, position: Position) -> Iterable[tuple[str, int]]:
    yield instrument.base.name, instrument.base_amount(position.yes_lots)
    if instrument.complement is not None:
        yield instrument.complement.name, instrument.base_amount(position.no_lots)
