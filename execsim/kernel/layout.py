"""What the kernel's arrays mean. Everything is int64; a row of a 2-D array is a record, a column has a name here.

Few arrays, because each one passed to compiled code costs about 40 ns a call (measured, docs/performance.md); plain int64
ones, because structured arrays cost 3 us a call.

    rows    (n, 8)   one tape row each: execsim.tape.rows; (n, 9) for FIFO queues
    state   (S,)     cursors and counters of the pass, then the queue model's table
    markets (2M, _)  market m as the venue sees it at 2m, as the strategy sees it at 2m + 1
    ladders (4M, _)  one side of one book: 2 * (market record) + (0 bids, 1 asks)
    pool    (P,)     sizes by price slot, for every allocated ladder, and what we took from them
    spill   (C, 2)   levels outside a ladder's window: open addressing, key and size
    orders  (O, _)   our orders resting at the venue
    fills   (O, _)   what happened to them in the last row: fills, and watched queues that moved
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

# state
(
    VENUE_AT, VENUE_END, LOCAL_AT, LOCAL_END, NOW, ROWS, N_FILLS, STOP_ROW, STOP_VIEW, STOP_MARKET, TOP_MOVED,
    QUEUE, INFERRED, SPILL_USED, SPILL_NEED, REFILL, HALF_LIFE,
    WATCHING, N_MOVES,
) = range(19)  # fmt: skip
STATE_SIZE: Final = 19
"""NOW: time of the last row applied, or the horizon reached without one. SPILL_NEED: entries the row that asked for GROW
may add to the spill table. HALF_LIFE in ns (REFILL_DECAY only). WATCHING: orders whose place in the queue is
watched."""
TABLE: Final = STATE_SIZE
"""where the queue model's table begins, if it has one: behind the state, to spare an array"""
TABLE_BITS: Final = 10
SHARE_BITS: Final = 30
LOG_BITS: Final = 40
"""a table has 2**TABLE_BITS + 1 points, shares in units of 2**-SHARE_BITS, logarithms in units of 2**-LOG_BITS"""

# market record; the first block means the same in both views
(
    HAS_BOOK, IN_GAP, IN_SNAPSHOT, TICK, STATUS, LAST_PRICE, LAST_TS, LAST_SEQ, STRIDE, QUANTUM, WATCH,
    PUB_BID, PUB_BID_LOTS, PUB_ASK, PUB_ASK_LOTS, OWN_BIDS, OWN_ASKS, RESYNCED, DIRTY, UNIT,
    LAST_BIRTH, UNKNOWN, BLIND,
) = range(23)  # fmt: skip
MARKET_SIZE: Final = 23
"""OWN_BIDS/OWN_ASKS: first own order of the side, best price first, then arrival; NONE if there is none. UNIT: lots of
one unit of size. LAST_BIRTH: of all rows so far; UNKNOWN: decreases of our levels by orders of unknown birth (FIFO only).
BLIND: nothing is matched, as in a gap, though rows are applied (venue's side)."""

# ladder record
OFFSET, WIDTH, LOW, BEST, TAKEN, SPILLED, TOOK, TOOK_NS = range(8)
LADDER_SIZE: Final = 8
"""OFFSET into pool, WIDTH slots of it (0: not allocated), LOW the slot at OFFSET, BEST slot or NONE, TAKEN offset into
pool of the consumption ledger (NONE on the strategy's side), SPILLED: entries in spill that may belong to it,
TOOK: 1 once anything was taken from it, TOOK_NS: when, moved on by the half-lives that have been applied since."""

# order record
LIVE, MARKET_OF, SIDE_OF, PRICE_OF, LEFT, AHEAD, SEEN, NEXT, NOTICE, NOTED, JOINED = range(11)
ORDER_SIZE: Final = 11
"""SEEN: lots printed at our price since the level was last updated, so that the update does not drain the queue again.
NOTICE: tell when AHEAD has fallen by so many lots since NOTED (0: never). JOINED: the market's LAST_BIRTH when it
joined; who was born later stands behind it."""

# fill record
F_ORDER, F_LOTS, F_PRICE, F_CAUSE, F_LEFT, MOVED, MOVED_FROM, MOVED_TO = range(8)
FILL_SIZE: Final = 8
"""N_FILLS rows have a fill; N_MOVES rows have, in the last three columns, a watched order and its lots ahead before and
now."""
NONE: Final = -1
VENUE, LOCAL = 0, 1
BIDS, ASKS = 0, 1

# WATCH bits
WATCH_TOP, WATCH_TRADES, WATCH_BOOK, WATCH_PRICE = 1, 2, 4, 8

# causes, in the order of core.order.Cause
CAUSE_QUEUE, CAUSE_THROUGH, CAUSE_CROSSED = 1, 2, 3

# queue models
RISK_AVERSE, PROPORTIONAL, POWER, LOGARITHMIC, LOGARITHMIC_2, FIFO = range(6)

# refill models: how what we took from a level comes back
REFILL_NEVER, REFILL_REFRESH, REFILL_DECAY, REFILL_OFF = 0, 1, 2, 3

# what inferred prints may do
INFERRED_IGNORE, INFERRED_THROUGH, INFERRED_USE = 0, 1, 2


class Stop(IntEnum):
    """Why `advance` came back. The kernel's clock stands at the instant of the reason."""

    HORIZON = 0
    """every row up to the horizon has been applied"""
    CHUNK = 1
    """the rows at hand are used up: feed the next chunk"""
    FILL = 2
    """own orders were filled at the venue"""
    TOP = 3
    TRADE = 4
    BOOK = 5
    """the strategy's view changed and somebody watches (TOP_MOVED tells whether the touch moved too)"""
    TICK = 6
    STATUS = 7
    RESOLVE = 8
    GAP = 9
    """a row of that kind passed; STOP_VIEW tells at whose clock"""
    ALLOCATE = 10
    """first book row of STOP_MARKET: give its ladders room, then call again"""
    GROW = 11
    """the spill table may pass half full: make room for SPILL_NEED more, then call again"""
    QUEUE = 12
    """a watched order has moved in its queue (a row that also fills orders says FILL)"""
