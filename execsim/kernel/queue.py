"""Our orders in the venue's queue: how trades and level changes move and fill them.

Queue position is lots of other people's orders ahead of ours. Prints at our price take from the front. A level that shrank
by more than was printed lost lots ahead of us or behind: that is the queue model's to say (`models`, `estimate`). No more
can be ahead than the level shows.

Bounds: sizes and remainders are below 2**62 (importers and order entry check price x size < 2**62), sums of two of them
fit; products are `estimate.mul_div`, which never overflows.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from execsim.kernel.estimate import left_ahead
from execsim.kernel.ladder import Array, get, next_slot, other_side, take, taken_at
from execsim.kernel.layout import (
    AHEAD,
    ASKS,
    BEST,
    BIDS,
    BLIND,
    CAUSE_CROSSED,
    CAUSE_QUEUE,
    CAUSE_THROUGH,
    F_CAUSE,
    F_LEFT,
    F_LOTS,
    F_ORDER,
    F_PRICE,
    FIFO,
    IN_GAP,
    INFERRED,
    INFERRED_USE,
    JOINED,
    LAST_BIRTH,
    LEFT,
    LIVE,
    MARKET_OF,
    MOVED,
    MOVED_FROM,
    MOVED_TO,
    N_FILLS,
    N_MOVES,
    NEXT,
    NONE,
    NOTED,
    NOTICE,
    OWN_ASKS,
    OWN_BIDS,
    PRICE_OF,
    QUANTUM,
    QUEUE,
    RISK_AVERSE,
    SEEN,
    SIDE_OF,
    STRIDE,
    UNIT,
    UNKNOWN,
)  # fmt: skip
from execsim.kernel.warm import inner, jit

BY_QUEUE: Any = np.int64(CAUSE_QUEUE)
BY_THROUGH: Any = np.int64(CAUSE_THROUGH)
BY_CROSSING: Any = np.int64(CAUSE_CROSSED)
"""what `fill` is told (np.int64: see warm.jit)"""


@inner
def fill(state: Array, orders: Array, fills: Array, order: int, lots: int, cause: int) -> None:
    """Take `lots` off an own order and note it. A filled order stays in the list until `sweep`.

    One row makes one fill of an order at most: levels of a snapshot that fill it one after another are added up (they
    come one after another, at the order's own price). So `fills` needs no more room than `orders`.
    """
    orders[order, LEFT] -= lots
    at = state[N_FILLS]
    if at > 0 and fills[at - 1, F_ORDER] == order:
        fills[at - 1, F_LOTS] += lots
        fills[at - 1, F_LEFT] = orders[order, LEFT]
        return
    fills[at, F_ORDER], fills[at, F_LOTS], fills[at, F_CAUSE] = order, lots, cause
    fills[at, F_PRICE], fills[at, F_LEFT] = orders[order, PRICE_OF], orders[order, LEFT]
    state[N_FILLS] = at + 1


@jit
def insert(markets: Array, orders: Array, record: int, order: int) -> None:
    """Put an order into its market's list: best price first, then arrival."""
    bid = orders[order, SIDE_OF] > 0
    head = OWN_BIDS if bid else OWN_ASKS
    price = orders[order, PRICE_OF]
    before, at = NONE, markets[record, head]
    while at != NONE and (orders[at, PRICE_OF] >= price if bid else orders[at, PRICE_OF] <= price):
        before, at = at, orders[at, NEXT]
    orders[order, NEXT] = at
    if before == NONE:
        markets[record, head] = order
    else:
        orders[before, NEXT] = order


@jit
def remove(markets: Array, orders: Array, order: int) -> None:
    """Take an order out of its list and free its place."""
    record = 2 * orders[order, MARKET_OF]
    head = OWN_BIDS if orders[order, SIDE_OF] > 0 else OWN_ASKS
    before, at = NONE, markets[record, head]
    while at != order:
        before, at = at, orders[at, NEXT]
    if before == NONE:
        markets[record, head] = orders[order, NEXT]
    else:
        orders[before, NEXT] = orders[order, NEXT]
    orders[order, LIVE] = 0


@inner
def sweep(state: Array, markets: Array, orders: Array, fills: Array) -> None:
    """Free the orders that the last row filled completely."""
    for i in range(state[N_FILLS]):
        order = fills[i, F_ORDER]
        if orders[order, LEFT] == 0 and orders[order, LIVE] == 1:
            remove(markets, orders, order)


@jit
def ahead_at(
    state: Array, markets: Array, ladders: Array, pool: Array, spill: Array, record: int, side: int, price: int
) -> int:
    """Lots ahead of an order that joins `price` now: what is displayed there, less what we took from it, never below 0."""
    if price % markets[record, STRIDE]:
        return 0
    ladder = 2 * record + (BIDS if side > 0 else ASKS)
    slot = price // markets[record, STRIDE]
    return max(0, get(ladders, pool, spill, ladder, slot) - taken_at(state, ladders, pool, spill, ladder, slot))


@inner
def on_trade(
    state: Array, markets: Array, orders: Array, fills: Array, record: int, hits_bids: bool, price: int, lots: int,
    inferred: bool, birth: int,
) -> None:  # fmt: skip
    """A print of `lots` at `price` against one side: our better-priced orders of that side would have been hit first
    (trade-through, bounded by the print), then those at its price as far as it reaches past the queue ahead.

    What one of our orders takes is not there for the next: `left` goes down with every fill. `birth` (FIFO): of the order
    that was hit, 0 unknown. One from ahead of us leaves the queue; one from behind us says that we would have been hit.
    """
    drains = not inferred or state[INFERRED] == INFERRED_USE
    fifo = state[QUEUE] == FIFO
    left = lots
    order = markets[record, OWN_BIDS if hits_bids else OWN_ASKS]
    while order != NONE and (left > 0 or fifo):
        own = orders[order, PRICE_OF]
        if (own > price) if hits_bids else (own < price):
            amount = min(orders[order, LEFT], left)
            if amount > 0:
                fill(state, orders, fills, order, amount, BY_THROUGH)
                left -= amount
        elif own == price and drains:
            orders[order, SEEN] += lots
            ahead = orders[order, AHEAD]
            # in a FIFO queue the recorded orders were hit, whatever ours would have taken of the print
            gone, reach = lots if fifo else left, left - ahead
            if fifo and birth > orders[order, JOINED]:
                gone, reach = ahead, left
            elif fifo and birth > 0:
                reach = 0
            orders[order, AHEAD] = max(0, ahead - gone)
            amount = min(orders[order, LEFT], reach)
            if amount > 0:
                fill(state, orders, fills, order, amount, BY_QUEUE)
                left -= amount
        else:
            break
        order = orders[order, NEXT]


@inner
def on_level(
    state: Array, markets: Array, orders: Array, record: int, bid: bool, price: int, before: int, lots: int, birth: int
) -> None:
    """The level our orders stand in was set from `before` to `lots`; what was printed since it was set last explains part
    of a decrease. `birth` (FIFO): of the order that grew or shrank, negative if prints have told it, 0 unknown.

    hftbacktest's estimate is front - (1 - p) x gone + min(0, back - p x gone), at most `lots`. Where the last term is not
    0 that is `lots` plus what was printed, so it never counts here.
    """
    order = markets[record, OWN_BIDS if bid else OWN_ASKS]
    while order != NONE:
        own = orders[order, PRICE_OF]
        if own == price:
            gone = before - lots - orders[order, SEEN]
            orders[order, SEEN] = 0
            ahead = orders[order, AHEAD]
            if state[QUEUE] == FIFO:
                if birth == 0 and before > lots:
                    markets[record, UNKNOWN] += 1
                elif 0 < birth <= orders[order, JOINED]:
                    ahead -= max(0, before - lots)
            elif gone > 0 and state[QUEUE] != RISK_AVERSE:
                part = left_ahead(state, markets[record, UNIT], min(ahead, before), before, gone)
                ahead -= part - part % markets[record, QUANTUM]
            orders[order, AHEAD] = max(0, min(ahead, lots))
        elif (own < price) if bid else (own > price):
            break
        order = orders[order, NEXT]


@inner
def on_opposite(
    state: Array, markets: Array, ladders: Array, pool: Array, spill: Array, orders: Array, fills: Array, record: int,
    bid: bool, price: int, lots: int,
) -> None:  # fmt: skip
    """The other side shows `lots` at `price`: where that reaches our order's price, whoever it was would have met us.

    `bid` is our side. Bounded by what is shown and not yet taken; what we fill goes into the ledger.
    """
    order = markets[record, OWN_BIDS if bid else OWN_ASKS]
    if order == NONE:
        return
    ladder = 2 * record + (ASKS if bid else BIDS)
    slot = price // markets[record, STRIDE]
    left = lots - taken_at(state, ladders, pool, spill, ladder, slot)
    while order != NONE and left > 0:
        own = orders[order, PRICE_OF]
        if (own < price) if bid else (own > price):
            break
        amount = min(orders[order, LEFT], left)
        if amount > 0:
            fill(state, orders, fills, order, amount, BY_CROSSING)
            take(state, ladders, pool, spill, ladder, slot, amount)
            left -= amount
        order = orders[order, NEXT]


@inner
def on_snapshot(
    state: Array, markets: Array, ladders: Array, pool: Array, spill: Array, orders: Array, fills: Array, record: int,
    lost: bool,
) -> None:  # fmt: skip
    """A full book has been read: re-anchor every queue position, then match what the new book crosses.

    `lost` (after a gap, or the first book): where we stood is not known, so everything shown counts as ahead of us.
    """
    for side in range(2):
        bid = side == BIDS
        order = markets[record, OWN_BIDS if bid else OWN_ASKS]
        while order != NONE:
            shown = ahead_at(state, markets, ladders, pool, spill, record, 1 if bid else -1, orders[order, PRICE_OF])
            if lost or orders[order, AHEAD] > shown:
                orders[order, AHEAD] = shown
            orders[order, SEEN] = 0
            if lost:
                orders[order, JOINED] = markets[record, LAST_BIRTH]
            order = orders[order, NEXT]
    if markets[record, IN_GAP] or markets[record, BLIND]:
        return
    for side in range(2):
        bid = side == BIDS
        order = markets[record, OWN_BIDS if bid else OWN_ASKS]
        if order == NONE:
            continue
        limit = orders[order, PRICE_OF]
        ladder = other_side(2 * record + side)
        slot = ladders[ladder, BEST]
        while slot != NONE:
            price = slot * markets[record, STRIDE]
            if (price > limit) if bid else (price < limit):
                break
            shown = get(ladders, pool, spill, ladder, slot)
            on_opposite(state, markets, ladders, pool, spill, orders, fills, record, bid, price, shown)
            slot = next_slot(ladders, pool, spill, ladder, slot)


@inner
def note_moves(state: Array, markets: Array, orders: Array, fills: Array, record: int) -> None:
    """Note the watched orders of a market that have moved far enough forward since they were noted last, or back at all."""
    found = 0
    for head in (OWN_BIDS, OWN_ASKS):
        order = markets[record, head]
        while order != NONE:
            moved = orders[order, NOTED] - orders[order, AHEAD]
            if orders[order, NOTICE] > 0 and (moved >= orders[order, NOTICE] or moved < 0):
                fills[found, MOVED] = order
                fills[found, MOVED_FROM], fills[found, MOVED_TO] = orders[order, NOTED], orders[order, AHEAD]
                orders[order, NOTED] = orders[order, AHEAD]
                found += 1
            order = orders[order, NEXT]
    state[N_MOVES] = found
