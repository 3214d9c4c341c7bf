"""What must hold when a run is over, seen from outside: `audit` compares the engine's books with the venue's.

No order lost, no fill twice, money conserved, nothing still claimed. Faults may delay or hide news; they may not change
what is true at the end. Orders are compared while both sides have them in memory (`EngineConfig.orders_kept_max`,
`ExchangeModel.ended_kept_max`), money always.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from execsim.core.errors import ExecError
from execsim.core.instrument import Instrument
from execsim.core.order import Fill, FillStatus, Order, OrderStatus
from execsim.engine.session import ExecutionEngine
from execsim.exchange.resting import VenueOrder
from execsim.exchange.venue import SimulatedVenue

NEVER_BOOKED = (OrderStatus.REJECTED, OrderStatus.CANCELLED, OrderStatus.EXPIRED)
"""How an order may stand with us that the venue has never booked."""


def audit(
    engine: ExecutionEngine, venues: Mapping[str, SimulatedVenue], given: Mapping[str, int] | None = None
) -> list[str]:
    """Everything that is wrong, in words; empty when all invariants hold. `given`: units of base assets deposited besides
    money (they are in the venue's books and not in the engine's portfolio)."""
    return [
        *_orders(engine, venues),
        *_fills(engine, venues),
        *_money(engine, venues, given or {}),
        *_drained(venues),
    ]


def _pairs(engine: ExecutionEngine, venues: Mapping[str, SimulatedVenue]) -> Iterator[tuple[Order, VenueOrder | None]]:
    for order in engine.order_tracker.get_all_orders():
        venue = venues.get(order.venue)
        booked = None if venue is None else venue.exchange.entry.find(venue.account, order.id)
        if booked is None and venue is not None and venue.exchange.entry.dropped and order.is_terminal:
            continue  # the venue may have had it
        yield order, booked


def _orders(engine: ExecutionEngine, venues: Mapping[str, SimulatedVenue]) -> Iterator[str]:
    """No order lost: what one side knows the other knows, and they agree how it ended."""
    known = engine.order_tracker
    for venue in venues.values():
        mine = [o for o in venue.exchange.entry.booked if o.account == venue.account]
        yield from (f"order {o.id}: booked at the venue, unknown to the engine" for o in mine if o.id not in known)
    for order, booked in _pairs(engine, venues):
        if booked is None:
            if order.status not in NEVER_BOOKED:
                yield f"order {order.id}: {order.status} with us, never booked at the venue"
        elif order.status is not booked.status:
            yield f"order {order.id}: {order.status} with us, {booked.status} at the venue"
        elif booked.is_open:
            yield f"order {order.id}: still open at the venue"


def _fills(engine: ExecutionEngine, venues: Mapping[str, SimulatedVenue]) -> Iterator[str]:
    """No fill twice, none missing, none different."""
    for order, booked in _pairs(engine, venues):
        ours = engine.order_tracker.get_fills(order.id)
        theirs = [] if booked is None else booked.fills
        twice = [name for name, count in Counter(fill.id for fill in ours).items() if count > 1]
        yield from (f"fill {name} of order {order.id} is booked twice" for name in twice)
        if {f.id: _said(f) for f in ours} != {f.id: _said(f) for f in theirs}:
            yield f"order {order.id}: fills {[_said(f) for f in ours]} with us, {[_said(f) for f in theirs]} at the venue"
        lots = sum(fill.lots for fill in ours if fill.status is not FillStatus.VOIDED)
        if lots != order.filled_lots:
            yield f"order {order.id}: {order.filled_lots} lots filled, its fills sum to {lots}"


def _said(fill: Fill) -> tuple[object, ...]:
    """Of a fill, what both sides must agree on. How far its settlement has come may be news under way."""
    voided = fill.status is FillStatus.VOIDED
    return fill.id, fill.price_i, fill.lots, fill.cash, fill.fee, fill.liquidity, voided


def _money(engine: ExecutionEngine, venues: Mapping[str, SimulatedVenue], given: Mapping[str, int]) -> Iterator[str]:
    """Money is conserved at the venue, and the engine's portfolio says what the account holds."""
    quotes: Counter[str] = Counter()
    for venue in venues.values():
        try:
            venue.ledger.check()
        except ExecError as error:
            yield str(error)
        names = {inst.quote.name for inst in venue.instruments().values()}
        quotes.update({name: venue.held.balances[name] for name in names})
        for inst in venue.instruments().values():
            yield from _tokens(engine, venue, inst, given)
    for name, units in quotes.items():
        if engine.portfolio.cash.get(name, 0) != units:
            yield f"{name}: {engine.portfolio.cash.get(name, 0)} units with us, {units} in the account"


def _tokens(
    engine: ExecutionEngine, venue: SimulatedVenue, inst: Instrument, given: Mapping[str, int]
) -> Iterator[str]:
    position, balances = engine.get_position(inst.market), venue.held.balances
    held = balances[inst.base.name] - given.get(inst.base.name, 0)
    if inst.base_amount(position.yes_lots) != held:
        yield f"{inst.market}: {position.yes_lots} lots with us, {held} units of {inst.base.name} in the account"
    if inst.complement is not None and inst.base_amount(position.no_lots) != balances[inst.complement.name]:
        yield f"{inst.market}: {position.no_lots} NO lots with us, {balances[inst.complement.name]} units in the account"


def _drained(venues: Mapping[str, SimulatedVenue]) -> Iterator[str]:
    """Nothing is open, claimed, unsettled or locked any more."""
    for name, venue in venues.items():
        if venue.exchange.entry.open:
            yield f"{name}: orders still open: {', '.join(order.id for order in venue.exchange.entry.open.values())}"
        if venue.exchange.chain is not None and venue.exchange.chain.pending:
            yield f"{name}: {len(venue.exchange.chain.pending)} fills are still on their way to the chain"
        for account, held in venue.ledger.accounts.items():
            for what in ("reserved", "unsettled", "locked"):
                left = {asset: units for asset, units in getattr(held, what).items() if units}
                if left:
                    yield f"{name}: {account} still has {what} {left}"
