"""Journal rows of the engine: what each kind holds. Integers, text and booleans only, units in the key names.

kind          body
intent        the order (order_row), before it is handed to the venue
ack           venue_order_id, venue_ts_ns
refuse        by ("ours", "venue"), error (class), reason; with the order's fields when there was no intent
silence       call ("place", "cancel", "amend", "reconcile", "restart"), reason
fill          fill_id, side, outcome, price_i, lots, cash_units, fee_units, liquidity, cause, evidence, row_seq, status,
              match, done, venue_ts_ns
void mined confirm   fill_id
early         fill_id, status: news of a fill that has not been reported yet
cancel        status (when it was asked)
cancel_refuse reason
gone lapse    by, reason; with the order's fields when there was no intent
found         venue_order_id
done          (nothing): the venue says it is filled, and its fills are known
absent        reason: the venue never had it
replace       by: id of the order that takes its place
adopt         the order (order_row), venue_order_id: placed by nobody here, ours from now on
retry         call ("place", "cancel"), attempt, reason: it surely had no effect and is made again
reconcile     venue, action (class), what: our books are made to say what the venue says
breaker       venue, state ("open", "closed"), reason
amend_ask amend   price_i, size_lots (None: unchanged)      amend_refuse   reason
resolve       market, payoff_i, received_units
close         market, payoff_i (proposed), final (true: it waits to be redeemed)
split merge   market, lots
convert       markets (given as NO), lots, event (all its markets), marks (market given -> YES price_i it left at)
tick          market, tick_i
kill          reason: only cancels and `flatten` pass from here on
halt          policy, market ("": everywhere), action (reduce_only, halt, halt_and_cancel), reason
resume        market ("": everything; halt.KILLED: only the kill that ended the session before), reason
invalid       venue, reason: the venue said something impossible
orphan        venue, event, reason: about an order we do not know
"""

from __future__ import annotations

from typing import Any

from execsim.core.order import Fill, Order
from execsim.engine.track import Entry

Row = dict[str, Any]


def order_row(entry: Entry) -> Row:
    """Every field of an order that was decided before it was sent; `worst_lots`, of an order that names money, is what it
    counted as by the book of that moment, `replaces` the order in whose place it is put."""
    order: Order = entry.order
    instrument = order.instrument
    row: Row = {
        "venue": instrument.venue,
        "market": instrument.market,
        "side": order.side.value,
        "type": order.type.value,
        "tif": order.tif.value,
        "outcome": order.outcome.value,
        "size_lots": order.size_lots,
        "quote_units": order.quote_amount,
        "price_i": order.price_i,
        "expire_ns": order.expire_ns,
        "created_ns": order.created_ns,
        "tag": order.tag,
        "owner": entry.owner,
    }
    if order.size_lots is None:
        row["worst_lots"] = entry.ceiling_lots
    if order.replaces is not None:
        row["replaces"] = order.replaces
    return row


def fill_row(fill: Fill, done: bool) -> Row:
    return {
        "fill_id": fill.id,
        "side": fill.side.value,
        "outcome": fill.outcome.value,
        "price_i": fill.price_i,
        "lots": fill.lots,
        "cash_units": fill.cash,
        "fee_units": fill.fee,
        "liquidity": fill.liquidity.value,
        "cause": fill.cause.value,
        "evidence": fill.evidence.value,
        "row_seq": fill.row_seq,
        "status": fill.status.value,
        "match": fill.match.value,
        "done": done,
        "venue_ts_ns": fill.ts_ns,
    }
