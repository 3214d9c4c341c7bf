"""One side of a book: a dense window of sizes around the touch, everything else in a shared hash table.

A slot is price_i // stride, where stride divides every price of the market on this tape. On a binary market the window is
the whole price range and the table stays empty; a spot market may span millions of ticks, so the window follows the touch.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from execsim.kernel.layout import (
    ASKS,
    BEST,
    BIDS,
    HALF_LIFE,
    LOW,
    NONE,
    NOW,
    OFFSET,
    REFILL,
    REFILL_DECAY,
    REFILL_NEVER,
    REFILL_OFF,
    REFILL_REFRESH,
    SPILL_NEED,
    SPILL_USED,
    SPILLED,
    TAKEN,
    TOOK,
    TOOK_NS,
    WIDTH,
)  # fmt: skip
from execsim.kernel.warm import hot, inner, jit

Array = Any
"""numba compiles these functions; mypy sees arrays as Any here and exact types in `replay`."""

KEY_BITS = 44
"""slot bits of a spill key: prices up to 2**44 strides; the ladder's number stands above them"""
LEDGER = 1 << 18
"""added to a ladder's number in a spill key: what we took there, not what is shown"""
NOTHING: Any = np.int64(0)
"""the size that removes a level (np.int64: see warm.jit)"""
NO_ROOM = -1
"""what `put` returns when the spill table must grow first; nothing has changed then"""


@inner
def _find(spill: Array, key: int) -> int:
    """Index of `key` in the table, or of the free place where it belongs. The table is never full (half at most)."""
    mask = spill.shape[0] - 1
    folded = (key ^ (key >> 17) ^ (key >> 31)) & 0x7FFFFFFF
    at = ((folded * 0x9E3779B1) >> 16) & mask
    while spill[at, 0] != NONE and spill[at, 0] != key:
        at = (at + 1) & mask
    return at


@inner
def spill_get(spill: Array, ladder: int, slot: int) -> int:
    at = _find(spill, (ladder << KEY_BITS) | slot)
    return spill[at, 1] if spill[at, 0] != NONE else 0


@jit
def spill_set(state: Array, ladders: Array, spill: Array, ladder: int, slot: int, lots: int) -> None:
    """Size 0 keeps the key (a tombstone); growing the table drops those."""
    key = (ladder << KEY_BITS) | slot
    at = _find(spill, key)
    if spill[at, 0] == NONE:
        if lots == 0:
            return
        spill[at, 0] = key
        state[SPILL_USED] += 1
        ladders[ladder & (LEDGER - 1), SPILLED] += 1
    spill[at, 1] = lots


@jit
def get(ladders: Array, pool: Array, spill: Array, ladder: int, slot: int) -> int:
    """Lots displayed at a slot."""
    at = slot - ladders[ladder, LOW]
    if 0 <= at < ladders[ladder, WIDTH]:
        return pool[ladders[ladder, OFFSET] + at]
    if ladders[ladder, SPILLED] == 0:
        return 0
    return spill_get(spill, ladder, slot)


@inner
def _best_spilled(ladders: Array, spill: Array, ladder: int, bids: bool) -> int:
    best = NONE
    if ladders[ladder, SPILLED] == 0:
        return best
    for i in range(spill.shape[0]):
        key = spill[i, 0]
        if key != NONE and (key >> KEY_BITS) == ladder and spill[i, 1] > 0:
            slot = key & ((1 << KEY_BITS) - 1)
            if best == NONE or (bids and slot > best) or (not bids and slot < best):
                best = slot
    return best


@inner
def _recentre(state: Array, ladders: Array, pool: Array, spill: Array, ladder: int, slot: int) -> None:
    """Move the window so that `slot` stands in its middle; sizes and what we took move with their prices."""
    width, offset, low = ladders[ladder, WIDTH], ladders[ladder, OFFSET], ladders[ladder, LOW]
    taken = ladders[ladder, TAKEN]
    new_low = max(0, slot - width // 2)
    shift = new_low - low
    if shift == 0:
        return
    for at in range(width):
        lots = pool[offset + at]
        if not 0 <= at - shift < width:
            if lots > 0:
                spill_set(state, ladders, spill, ladder, low + at, lots)
            if taken != NONE and pool[taken + at] > 0:
                spill_set(state, ladders, spill, ladder + LEDGER, low + at, pool[taken + at])
    step = 1 if shift > 0 else -1
    at = 0 if shift > 0 else width - 1
    for _ in range(width):
        source = at + shift
        inside = 0 <= source < width
        pool[offset + at] = pool[offset + source] if inside else 0
        if taken != NONE:
            pool[taken + at] = pool[taken + source] if inside else 0
        at += step
    ladders[ladder, LOW] = new_low
    if ladders[ladder, SPILLED] > 0:
        for i in range(spill.shape[0]):
            key = spill[i, 0]
            if key != NONE and ((key >> KEY_BITS) & (LEDGER - 1)) == ladder and spill[i, 1] > 0:
                at = (key & ((1 << KEY_BITS) - 1)) - new_low
                if 0 <= at < width:
                    pool[(offset if (key >> KEY_BITS) == ladder else taken) + at] = spill[i, 1]
                    spill[i, 1] = 0


@hot
def _scan(pool: Array, offset: int, at: int, width: int, bids: bool) -> int:
    """First occupied place at or beyond `at`, away from the touch; NONE if the window has no more."""
    if bids:
        while at >= 0 and pool[offset + at] == 0:
            at -= 1
        return at
    while at < width and pool[offset + at] == 0:
        at += 1
    return at if at < width else NONE


@jit
def next_slot(ladders: Array, pool: Array, spill: Array, ladder: int, slot: int) -> int:
    """The next occupied slot behind `slot` (away from the touch), window and spill alike; NONE at the end."""
    bids = ladder % 2 == BIDS
    width, offset, low = ladders[ladder, WIDTH], ladders[ladder, OFFSET], ladders[ladder, LOW]
    at = slot - low + (-1 if bids else 1)
    found = NONE
    if bids:
        at = min(at, width - 1)
        if at >= 0:
            found = _scan(pool, offset, at, width, bids)
    else:
        at = max(at, 0)
        if at < width:
            found = _scan(pool, offset, at, width, bids)
    best = found + low if found != NONE else NONE
    # a level outside the window is never nearer than one inside it
    if best == NONE and ladders[ladder, SPILLED] > 0:
        for i in range(spill.shape[0]):
            key = spill[i, 0]
            if key != NONE and (key >> KEY_BITS) == ladder and spill[i, 1] > 0:
                other = key & ((1 << KEY_BITS) - 1)
                behind = other < slot if bids else other > slot
                nearer = best == NONE or (other > best if bids else other < best)
                if behind and nearer:
                    best = other
    return best


@inner
def refill(state: Array, ladders: Array, pool: Array, spill: Array, ladder: int) -> None:
    """REFILL_DECAY: halve what we took from this side, once for each whole half-life that has passed.

    Lazy: called before what we took is read or changed. The half-lives of a side are counted from the first lots taken
    there, so lots taken later are halved a little early; halves are rounded down.
    """
    if state[REFILL] != REFILL_DECAY or ladders[ladder, TOOK] == 0:
        return
    halvings = (state[NOW] - ladders[ladder, TOOK_NS]) // state[HALF_LIFE]
    if halvings <= 0:
        return
    ladders[ladder, TOOK_NS] += halvings * state[HALF_LIFE]
    halvings = min(halvings, 62)
    taken, width = ladders[ladder, TAKEN], ladders[ladder, WIDTH]
    for at in range(taken, taken + width):
        pool[at] >>= halvings
    if ladders[ladder, SPILLED] > 0:
        for i in range(spill.shape[0]):
            if spill[i, 0] != NONE and (spill[i, 0] >> KEY_BITS) == ladder + LEDGER:
                spill[i, 1] >>= halvings


@jit
def taken_at(state: Array, ladders: Array, pool: Array, spill: Array, ladder: int, slot: int) -> int:
    """Lots we took from a level that the recording still shows and that have not come back."""
    if ladders[ladder, TAKEN] == NONE or ladders[ladder, TOOK] == 0:
        return 0
    refill(state, ladders, pool, spill, ladder)
    at = slot - ladders[ladder, LOW]
    if 0 <= at < ladders[ladder, WIDTH]:
        return pool[ladders[ladder, TAKEN] + at]
    if ladders[ladder, SPILLED] == 0:
        return 0
    return spill_get(spill, ladder + LEDGER, slot)


@inner
def occupied(ladders: Array, pool: Array, ladder: int) -> int:
    """Entries a move of the window may put into the spill table: sizes shown, and what we took of them."""
    offset, width, taken = ladders[ladder, OFFSET], ladders[ladder, WIDTH], ladders[ladder, TAKEN]
    count = 0
    for at in range(width):
        count += pool[offset + at] > 0
        if taken != NONE:
            count += pool[taken + at] > 0
    return count


@hot
def put(state: Array, ladders: Array, pool: Array, spill: Array, ladder: int, slot: int, lots: int) -> int:
    """Set the size at a slot, keep BEST right, and return the size before.

    Consumption ledger: what we took stays taken as long as the level shows it, so that no displayed lot fills us twice
    (`refill` and REFILL_REFRESH forget more). Growth is new liquidity and available at once; a level that falls below
    what we took, or vanishes, is fresh again.
    A better price outside the window moves it, and what it leaves behind goes into the spill table: NO_ROOM (and nothing
    happens) when that might pass half full.
    """
    bids = ladder % 2 == BIDS
    best = ladders[ladder, BEST]
    better = lots > 0 and (best == NONE or (bids and slot > best) or (not bids and slot < best))
    at = slot - ladders[ladder, LOW]
    inside = 0 <= at < ladders[ladder, WIDTH]
    if better and not inside:
        need = 2 + occupied(ladders, pool, ladder)
        if 2 * (state[SPILL_USED] + need) > spill.shape[0]:
            state[SPILL_NEED] = need
            return NO_ROOM
        _recentre(state, ladders, pool, spill, ladder, slot)
        at = slot - ladders[ladder, LOW]
        inside = True
    if inside:
        before = pool[ladders[ladder, OFFSET] + at]
        pool[ladders[ladder, OFFSET] + at] = lots
        taken = ladders[ladder, TAKEN]
        if taken != NONE and pool[taken + at] > 0:
            if state[REFILL] != REFILL_NEVER:
                refill(state, ladders, pool, spill, ladder)
            pool[taken + at] = 0 if state[REFILL] == REFILL_REFRESH else min(pool[taken + at], lots)
    else:
        before = spill_get(spill, ladder, slot) if ladders[ladder, SPILLED] > 0 else 0
        spill_set(state, ladders, spill, ladder, slot, lots)
        taken = taken_at(state, ladders, pool, spill, ladder, slot)
        if taken > 0:
            keep = 0 if state[REFILL] == REFILL_REFRESH else min(taken, lots)
            spill_set(state, ladders, spill, ladder + LEDGER, slot, keep)
    if better:
        ladders[ladder, BEST] = slot
    elif lots == 0 and slot == best:
        width = ladders[ladder, WIDTH]
        found = _scan(pool, ladders[ladder, OFFSET], at, width, bids)
        if found != NONE:
            ladders[ladder, BEST] = found + ladders[ladder, LOW]
        else:
            far = _best_spilled(ladders, spill, ladder, bids)
            ladders[ladder, BEST] = far
            if far != NONE:
                _recentre(state, ladders, pool, spill, ladder, far)
    return before


@inner
def clear(ladders: Array, pool: Array, spill: Array, ladder: int, forget_taken: bool) -> None:
    """Empty the side; with `forget_taken` what we took from it is forgotten too."""
    offset, width, taken = ladders[ladder, OFFSET], ladders[ladder, WIDTH], ladders[ladder, TAKEN]
    pool[offset : offset + width] = 0
    if forget_taken and taken != NONE:
        pool[taken : taken + width] = 0
        ladders[ladder, TOOK] = 0
    if ladders[ladder, SPILLED] > 0:
        for i in range(spill.shape[0]):
            key = spill[i, 0]
            if key != NONE and ((key >> KEY_BITS) == ladder or (forget_taken and (key >> KEY_BITS) == ladder + LEDGER)):
                spill[i, 1] = 0
    ladders[ladder, BEST] = NONE


@inner
def forget_gone(state: Array, ladders: Array, pool: Array, spill: Array, ladder: int) -> None:
    """After a snapshot: of levels that are not shown any more (or show less) we have taken no more than that."""
    if ladders[ladder, TOOK] == 0:
        return
    refill(state, ladders, pool, spill, ladder)
    offset, width, taken = ladders[ladder, OFFSET], ladders[ladder, WIDTH], ladders[ladder, TAKEN]
    for at in range(width):
        if pool[taken + at] > pool[offset + at]:
            pool[taken + at] = pool[offset + at]
    if ladders[ladder, SPILLED] > 0:
        for i in range(spill.shape[0]):
            key = spill[i, 0]
            if key != NONE and (key >> KEY_BITS) == ladder + LEDGER and spill[i, 1] > 0:
                shown = get(ladders, pool, spill, ladder, key & ((1 << KEY_BITS) - 1))
                spill[i, 1] = min(spill[i, 1], shown)


@jit
def take(state: Array, ladders: Array, pool: Array, spill: Array, ladder: int, slot: int, lots: int) -> None:
    """Note that we took `lots` from a level."""
    if state[REFILL] == REFILL_OFF:
        return
    if ladders[ladder, TOOK] == 0:
        ladders[ladder, TOOK], ladders[ladder, TOOK_NS] = 1, state[NOW]
    refill(state, ladders, pool, spill, ladder)
    at = slot - ladders[ladder, LOW]
    if 0 <= at < ladders[ladder, WIDTH]:
        pool[ladders[ladder, TAKEN] + at] += lots
    else:
        before = taken_at(state, ladders, pool, spill, ladder, slot)
        spill_set(state, ladders, spill, ladder + LEDGER, slot, before + lots)


@inner
def other_side(ladder: int) -> int:
    return ladder + 1 if ladder % 2 == BIDS else ladder - ASKS
