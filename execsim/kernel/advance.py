"""The pass over the tape: the venue's book by venue time, the strategy's book by local time, up to a horizon.

One merged tape drives both cursors. At one instant the venue moves before the strategy's side; the local cursor cannot
pass the venue cursor because local time is never before venue time. Comes back with a `Stop` as soon as somebody must act.
"""

from __future__ import annotations

from execsim.kernel.ladder import NO_ROOM, NOTHING, Array, clear, forget_gone, get, put
from execsim.kernel.layout import (
    ASKS,
    BEST,
    BIDS,
    BLIND,
    DIRTY,
    FIFO,
    HAS_BOOK,
    IN_GAP,
    IN_SNAPSHOT,
    INFERRED,
    INFERRED_IGNORE,
    LAST_BIRTH,
    LAST_PRICE,
    LAST_SEQ,
    LAST_TS,
    LOCAL,
    LOCAL_AT,
    LOCAL_END,
    LOW,
    N_FILLS,
    N_MOVES,
    NONE,
    NOW,
    OWN_ASKS,
    OWN_BIDS,
    PUB_ASK,
    PUB_ASK_LOTS,
    PUB_BID,
    PUB_BID_LOTS,
    QUEUE,
    REFILL,
    REFILL_REFRESH,
    RESYNCED,
    ROWS,
    SPILL_NEED,
    SPILL_USED,
    SPILLED,
    STATUS,
    STOP_MARKET,
    STOP_ROW,
    STOP_VIEW,
    STRIDE,
    TICK,
    TOP_MOVED,
    VENUE,
    VENUE_AT,
    VENUE_END,
    WATCH,
    WATCH_BOOK,
    WATCH_PRICE,
    WATCH_TOP,
    WATCH_TRADES,
    WATCHING,
    WIDTH,
    Stop,
)  # fmt: skip
from execsim.kernel.queue import note_moves, on_level, on_opposite, on_snapshot, on_trade, sweep
from execsim.kernel.warm import inner, jit, woven
from execsim.tape.rows import BIRTH, KIND, KIND_BITS, MARKET, PRICE, SEQ, SIDE, SIZE, TS_LOCAL, TS_VENUE
from execsim.tape.schema import Flag, Kind

HORIZON, CHUNK, FILL, TOP, TRADE, BOOK = (
    int(s) for s in (Stop.HORIZON, Stop.CHUNK, Stop.FILL, Stop.TOP, Stop.TRADE, Stop.BOOK)
)
ON_TICK, ON_STATUS, ON_RESOLVE, ON_GAP = int(Stop.TICK), int(Stop.STATUS), int(Stop.RESOLVE), int(Stop.GAP)
ALLOCATE, GROW, MOVED_QUEUE = int(Stop.ALLOCATE), int(Stop.GROW), int(Stop.QUEUE)
K_SNAPSHOT, K_LEVEL, K_TRADE, K_BBO = int(Kind.SNAPSHOT), int(Kind.LEVEL), int(Kind.TRADE), int(Kind.BBO)
K_TICK, K_STATUS, K_RESOLVE, K_GAP = int(Kind.TICK), int(Kind.STATUS), int(Kind.RESOLVE), int(Kind.GAP)
F_FIRST, F_LAST, F_INFERRED, F_RESYNC = int(Flag.FIRST), int(Flag.LAST), int(Flag.INFERRED), int(Flag.RESYNC)
KIND_MASK = (1 << KIND_BITS) - 1
FAR = 2**63 - 1


@woven
def room(state: Array, markets: Array, ladders: Array, spill: Array, record: int, rows: Array, at: int) -> int:
    """Stop reason if a book row cannot be applied yet, else 0."""
    kind = rows[at, KIND] & KIND_MASK
    if kind > K_LEVEL and kind != K_BBO:
        return 0
    if ladders[2 * record, WIDTH] == 0:
        return ALLOCATE
    need = 2
    if kind == K_BBO:  # it drops a level before it puts one: both may move the window
        ladder = 2 * record + (BIDS if rows[at, SIDE] > 0 else ASKS)
        inside = 0 <= rows[at, PRICE] // markets[record, STRIDE] - ladders[ladder, LOW] < ladders[ladder, WIDTH]
        if not inside or ladders[ladder, SPILLED] > 0:
            need += 2 * ladders[ladder, WIDTH]
    if 2 * (state[SPILL_USED] + need) > spill.shape[0]:
        state[SPILL_NEED] = need
        return GROW
    return 0


@inner
def start_snapshot(
    state: Array, markets: Array, ladders: Array, pool: Array, spill: Array, record: int, flags: int
) -> None:
    lost = not markets[record, HAS_BOOK] or flags & F_RESYNC != 0
    for side in range(2):
        clear(ladders, pool, spill, 2 * record + side, lost or state[REFILL] == REFILL_REFRESH)
    markets[record, IN_SNAPSHOT] = 1
    markets[record, RESYNCED] = 1 if lost else 0


@inner
def drop_best(
    state: Array, markets: Array, ladders: Array, pool: Array, spill: Array, record: int, ladder: int, slot: int
) -> None:
    """A best-price row replaces its side: whatever else was best is gone."""
    best = ladders[ladder, BEST]
    if best != NONE and best != slot:
        put(state, ladders, pool, spill, ladder, best, NOTHING)
    markets[record, HAS_BOOK] = 1


@woven
def apply_book(
    state: Array, markets: Array, ladders: Array, pool: Array, spill: Array, record: int, kind: int, flags: int, side: int,
    price: int, lots: int,
) -> int:  # fmt: skip
    """Apply one book row to one view; returns the lots shown at that price before, or NO_ROOM: grow, then apply again."""
    if kind == K_SNAPSHOT and flags & F_FIRST:
        start_snapshot(state, markets, ladders, pool, spill, record, flags)
    before = 0
    if side != 0:
        ladder = 2 * record + (BIDS if side > 0 else ASKS)
        slot = price // markets[record, STRIDE]
        if kind == K_BBO:
            drop_best(state, markets, ladders, pool, spill, record, ladder, slot)
        before = put(state, ladders, pool, spill, ladder, slot, lots)
        if before == NO_ROOM:
            return NO_ROOM
    if kind == K_SNAPSHOT and flags & F_LAST:
        for ladder in range(2 * record, 2 * record + 2):
            forget_gone(state, ladders, pool, spill, ladder)
        markets[record, IN_SNAPSHOT] = 0
        markets[record, HAS_BOOK] = 1
    return before


@woven
def venue_row(
    state: Array, markets: Array, ladders: Array, pool: Array, spill: Array, orders: Array, fills: Array, rows: Array,
    at: int,
) -> int:  # fmt: skip
    """Apply one row at the venue; returns a stop reason or 0."""
    record = 2 * rows[at, MARKET] + VENUE
    kind, flags = rows[at, KIND] & KIND_MASK, rows[at, KIND] >> KIND_BITS
    side, price, lots = rows[at, SIDE], rows[at, PRICE], rows[at, SIZE]
    own = markets[record, OWN_BIDS] != NONE or markets[record, OWN_ASKS] != NONE
    markets[record, LAST_TS], markets[record, LAST_SEQ] = rows[at, TS_VENUE], rows[at, SEQ]
    state[N_FILLS] = 0
    birth = 0
    if state[QUEUE] == FIFO:
        birth = rows[at, BIRTH]
        markets[record, LAST_BIRTH] = max(birth, markets[record, LAST_BIRTH])
    if kind == K_TRADE:
        # without a book nobody knows what stands ahead of us: no fill is invented there either
        if own and markets[record, HAS_BOOK] and not markets[record, IN_GAP] and not markets[record, BLIND]:
            trade_row(state, markets, ladders, orders, fills, record, flags, side, price, lots, birth)
        markets[record, LAST_PRICE] = price
    elif kind <= K_LEVEL or kind == K_BBO:
        before = apply_book(state, markets, ladders, pool, spill, record, kind, flags, side, price, lots)
        if before == NO_ROOM:
            return GROW
        if kind == K_SNAPSHOT:
            if own and flags & F_LAST:
                lost = markets[record, RESYNCED] == 1
                on_snapshot(state, markets, ladders, pool, spill, orders, fills, record, lost)
        elif own and markets[record, HAS_BOOK] and not markets[record, IN_GAP] and not markets[record, BLIND]:
            on_level(state, markets, orders, record, side > 0, price, before, lots, birth)
            if lots > 0:
                on_opposite(state, markets, ladders, pool, spill, orders, fills, record, side < 0, price, lots)
    elif kind == K_TICK:
        markets[record, TICK] = price
    elif kind == K_STATUS:
        markets[record, STATUS] = lots
        return ON_STATUS
    elif kind == K_GAP:
        markets[record, IN_GAP] = lots
    elif kind == K_RESOLVE:
        markets[record, STATUS] = 0
        return ON_RESOLVE
    if own:
        if state[WATCHING] > 0:
            note_moves(state, markets, orders, fills, record)
        if state[N_FILLS] > 0:
            sweep(state, markets, orders, fills)
            return FILL
        if state[N_MOVES] > 0:
            return MOVED_QUEUE
    return 0


@inner
def trade_row(
    state: Array, markets: Array, ladders: Array, orders: Array, fills: Array, record: int, flags: int, side: int,
    price: int, lots: int, birth: int,
) -> None:  # fmt: skip
    """Which of our sides a print meets: the aggressor's opposite; without an aggressor, the touch it printed at."""
    inferred = flags & F_INFERRED != 0
    if inferred and state[INFERRED] == INFERRED_IGNORE:
        return
    hit = -side
    if side == 0:
        bid, ask = ladders[2 * record + BIDS, BEST], ladders[2 * record + ASKS, BEST]
        if bid != NONE and price <= bid * markets[record, STRIDE]:
            hit = 1
        elif ask != NONE and price >= ask * markets[record, STRIDE]:
            hit = -1
    if hit != 0:
        on_trade(state, markets, orders, fills, record, hit > 0, price, lots, inferred, birth)


@woven
def touch_moved(markets: Array, ladders: Array, pool: Array, spill: Array, record: int, sizes: bool) -> bool:
    """Whether the strategy's touch differs from the one last published; remembers the new one."""
    bid, ask = ladders[2 * record + BIDS, BEST], ladders[2 * record + ASKS, BEST]
    moved = bid != markets[record, PUB_BID] or ask != markets[record, PUB_ASK]
    markets[record, PUB_BID], markets[record, PUB_ASK] = bid, ask
    if sizes:
        bid_lots = get(ladders, pool, spill, 2 * record + BIDS, bid) if bid != NONE else 0
        ask_lots = get(ladders, pool, spill, 2 * record + ASKS, ask) if ask != NONE else 0
        moved = moved or bid_lots != markets[record, PUB_BID_LOTS] or ask_lots != markets[record, PUB_ASK_LOTS]
        markets[record, PUB_BID_LOTS], markets[record, PUB_ASK_LOTS] = bid_lots, ask_lots
    return moved


@woven
def local_row(
    state: Array, markets: Array, ladders: Array, pool: Array, spill: Array, rows: Array, at: int, end: int
) -> int:
    """Apply one row to the strategy's view; returns a stop reason or 0. Books publish at the end of a message."""
    record = 2 * rows[at, MARKET] + LOCAL
    kind, flags = rows[at, KIND] & KIND_MASK, rows[at, KIND] >> KIND_BITS
    price, lots = rows[at, PRICE], rows[at, SIZE]
    watch = markets[record, WATCH]
    markets[record, LAST_TS] = rows[at, TS_LOCAL]
    if kind == K_TRADE:
        markets[record, LAST_PRICE] = price
        return TRADE if watch & WATCH_TRADES else 0
    if kind <= K_LEVEL or kind == K_BBO:
        before = apply_book(state, markets, ladders, pool, spill, record, kind, flags, rows[at, SIDE], price, lots)
        if before == NO_ROOM:
            return GROW
        if watch & (WATCH_TOP | WATCH_BOOK | WATCH_PRICE) == 0 or markets[record, IN_SNAPSHOT]:
            return 0
        if watch & WATCH_BOOK:
            markets[record, DIRTY] = 1
        more = (
            at + 1 < end and rows[at + 1, TS_LOCAL] == rows[at, TS_LOCAL] and rows[at + 1, MARKET] == rows[at, MARKET]
        )
        if more:
            following = rows[at + 1, KIND] & KIND_MASK
            if following <= K_LEVEL or following == K_BBO:
                return 0
        moved = touch_moved(markets, ladders, pool, spill, record, watch & (WATCH_TOP | WATCH_BOOK) != 0)
        state[TOP_MOVED] = 1 if moved else 0
        if watch & WATCH_BOOK and markets[record, DIRTY]:
            markets[record, DIRTY] = 0
            return BOOK
        return TOP if moved and watch & (WATCH_TOP | WATCH_PRICE) else 0
    if kind == K_TICK:
        markets[record, TICK] = price
        return ON_TICK
    if kind == K_GAP:
        markets[record, IN_GAP] = lots
        return ON_GAP
    if kind == K_STATUS:
        markets[record, STATUS] = lots
        return ON_STATUS
    return ON_RESOLVE if kind == K_RESOLVE else 0


@jit
def advance(
    venue_rows: Array, local_rows: Array, state: Array, markets: Array, ladders: Array, pool: Array, spill: Array,
    orders: Array, fills: Array, horizon: int,
) -> int:  # fmt: skip
    """Apply rows until `horizon` (inclusive) or a reason to stop.

    Shape: see layout. Units: ns, grid units, lots. Errors: none; importers have checked the rows.
    Order: feed a chunk first; after ALLOCATE or GROW make room and call again, after CHUNK feed the next.
    """
    venue_at, venue_end = state[VENUE_AT], state[VENUE_END]
    local_at, local_end = state[LOCAL_AT], state[LOCAL_END]
    state[N_MOVES] = 0
    why = CHUNK
    while True:
        venue_ts = venue_rows[venue_at, TS_VENUE] if venue_at < venue_end else FAR
        local_ts = local_rows[local_at, TS_LOCAL] if local_at < local_end else FAR
        if venue_ts <= local_ts:
            if venue_ts > horizon or venue_ts == FAR:
                why = HORIZON if venue_ts != FAR else CHUNK
                break
            record = 2 * venue_rows[venue_at, MARKET] + VENUE
            why = room(state, markets, ladders, spill, record, venue_rows, venue_at)
            state[STOP_ROW], state[STOP_VIEW], state[STOP_MARKET] = venue_at, VENUE, venue_rows[venue_at, MARKET]
            if why:
                break
            state[NOW] = venue_ts
            state[ROWS] += 1
            why = venue_row(state, markets, ladders, pool, spill, orders, fills, venue_rows, venue_at)
            if why == GROW:
                state[ROWS] -= 1
                break
            venue_at += 1
        else:
            if local_ts > horizon:
                why = HORIZON
                break
            record = 2 * local_rows[local_at, MARKET] + LOCAL
            why = room(state, markets, ladders, spill, record, local_rows, local_at)
            state[STOP_ROW], state[STOP_VIEW], state[STOP_MARKET] = local_at, LOCAL, local_rows[local_at, MARKET]
            if why:
                break
            state[NOW] = local_ts
            why = local_row(state, markets, ladders, pool, spill, local_rows, local_at, local_end)
            if why == GROW:
                break
            local_at += 1
        if why:
            break
    if why == HORIZON:
        state[NOW] = max(state[NOW], horizon)
    state[VENUE_AT], state[LOCAL_AT] = venue_at, local_at
    return why
