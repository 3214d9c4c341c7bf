"""Clock repair: two clocks per row that a simulation can trust, with every change flagged and counted.

Recorder clocks drift and are often behind the venue's, so that receive times precede venue times (measured on public
recordings: -27 ms in the median of one, -1.27 s in another). `shifts` estimates what each recorder was behind,
`repair` adds it and then makes both clocks monotone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from execsim.core.errors import DataError
from execsim.core.units import NS_PER_MS, NS_PER_S
from execsim.tape.rows import Ints
from execsim.tape.schema import FLOOR_NS, Flag

BUCKET_NS: Final = 60 * NS_PER_S
"""Width of the window whose least latency is taken as the network's least latency. Assumption: one minute holds many
messages, and no clock drifts by more than a fraction of a millisecond within it (100 ppm: 6 ms)."""

BRIDGE_NS: Final = 3_600 * NS_PER_S
"""Longest silence across which a drift is interpolated; over a longer one the larger of the two shifts is used."""

DRIFT_NS: Final = 10 * NS_PER_MS
"""Shifts of one source that stay within this are called constant (the least latency of a minute itself varies)."""

_UNSET: Final = np.iinfo(np.int64).min


@dataclass(slots=True)
class Repair:
    """Repaired clocks of all rows in wire order (int64, ns), their flags, and what was done."""

    venue: Ints
    recv: Ints
    flags: npt.NDArray[np.int32]
    offsets: dict[int, tuple[int, int]] = field(default_factory=dict)
    """source -> (least, largest) ns added to its receive times; sources left alone are absent"""
    defects: dict[str, int] = field(default_factory=dict)


def groups(keys: npt.NDArray[Any]) -> Iterator[tuple[int, npt.NDArray[np.intp]]]:
    """(key, indices of its rows in ascending order) for every distinct key, ascending."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    edges = [0, *(np.flatnonzero(ordered[1:] != ordered[:-1]) + 1).tolist(), len(ordered)]
    for start, stop in pairwise(edges):
        if stop > start:
            yield int(ordered[start]), order[start:stop]


def shifts(venue: Ints, recv: Ints) -> Ints:
    """What to add to each receive time of one source so that its estimated least latency is not below FLOOR_NS.

    Shape: (n,) each, raw clocks, negative where missing (shift 0).   Units: ns.   Errors: none.
    Formula: m[b] = least recv - venue of the rows of bucket b (BUCKET_NS of receive time; empty buckets are skipped);
    r[b] = min(m[b-1], m[b], m[b+1]); s[b] = max(0, FLOOR_NS - r[b]); a row's shift is s interpolated linearly (floor,
    ms steps) between the centres of the two buckets around it, constant before the first and after the last centre.
    A clock that is plausibly right (r >= FLOOR_NS) is left alone. Since both neighbours of a row's bucket know its
    least latency, every row of a shifted bucket ends at recv >= venue + FLOOR_NS.
    """
    result = np.zeros(len(recv), dtype=np.int64)
    known = (venue >= 0) & (recv >= 0)
    if not known.any():
        return result
    origin = int(recv[recv >= 0].min())
    since = recv - origin
    buckets, inverse = np.unique(since[known] // BUCKET_NS, return_inverse=True)
    least = np.full(len(buckets), np.iinfo(np.int64).max, dtype=np.int64)
    np.minimum.at(least, inverse, recv[known] - venue[known])
    rolling = least.copy()
    rolling[1:] = np.minimum(rolling[1:], least[:-1])
    rolling[:-1] = np.minimum(rolling[:-1], least[1:])
    wanted = np.maximum(0, FLOOR_NS - rolling)
    if not wanted.any():
        return result
    centres = buckets * BUCKET_NS + BUCKET_NS // 2
    rows = np.flatnonzero(recv >= 0)
    result[rows] = _interpolate(since[rows], centres, wanted)
    return result


def _interpolate(at: Ints, centres: Ints, values: Ints) -> Ints:
    """`values` at the times `at` in exact integers: never below the lesser of the two values around a time."""
    right = np.clip(np.searchsorted(centres, at, side="right"), 1, max(1, len(centres) - 1))
    right = np.minimum(right, len(centres) - 1)
    left = np.maximum(right - 1, 0)
    span = np.maximum(centres[right] - centres[left], NS_PER_MS)
    into = np.clip(at - centres[left], 0, span)
    low, high = values[left], values[right]
    # In ms and split into whole and rest, so that no product passes 63 bits: (BRIDGE_NS / 1 ms) ** 2 < 2 ** 44.
    steps, step = np.minimum(span, BRIDGE_NS) // NS_PER_MS, np.minimum(into, BRIDGE_NS) // NS_PER_MS
    rise = high - low
    bridged = low + rise // steps * step + rise % steps * step // steps
    result: Ints = np.where(span > BRIDGE_NS, np.maximum(low, high), bridged)
    return result


def repair(venue: Ints, recv: Ints, source: npt.NDArray[Any], market: npt.NDArray[Any]) -> Repair:
    """Repair both clocks of a recording in wire order.

    Shape: (n,) each.   Units: ns, negative where missing.   Errors: DataError for a row whose market has no time.
    Order: shift each source's receive times (`shifts`); then, per source and market in wire order: a missing venue
    time is the previous row's (the next known one's at the start, receive time - FLOOR_NS where a market has none), a
    missing receive time is venue + FLOOR_NS, both clocks become their running maximum, and recv >= venue + FLOOR_NS.
    Streams of one source are repaired apart from the same market's rows in another source, which may cover the same
    hours (depth in one file, trades in another).
    """
    result = Repair(venue.copy(), recv.copy(), np.zeros(len(venue), dtype=np.int32))
    counts = dict.fromkeys(
        (
            "venue_time_missing",
            "venue_time_backwards",
            "recv_time_missing",
            "recv_time_backwards",
            "recv_before_venue",
        ),
        0,
    )
    for index, rows in groups(source):
        shift = shifts(venue[rows], recv[rows])
        timed = shift[recv[rows] >= 0]
        if timed.any():
            result.recv[rows] += shift
            result.offsets[index] = (int(timed.min()), int(timed.max()))
    streams = source.astype(np.int64) << 32 | market.astype(np.int64)
    for _, rows in groups(streams):
        _repair_stream(result, rows, counts)
    result.defects = {name: count for name, count in counts.items() if count}
    return result


def _repair_stream(result: Repair, rows: npt.NDArray[np.intp], counts: dict[str, int]) -> None:
    venue, recv = result.venue[rows], result.recv[rows]
    no_venue, no_recv = venue < 0, recv < 0
    if no_venue.any():
        if no_venue.all():
            if no_recv.any():
                row = int(rows[np.argmax(no_recv)])
                raise DataError(
                    f"row {row} of the recording", "neither a venue nor a receive time", "name a time column"
                )
            venue = recv - FLOOR_NS
        else:
            lead = int(np.argmin(no_venue))
            venue[no_venue] = _UNSET
            venue[:lead] = venue[lead]
    steady_venue = np.maximum.accumulate(venue)
    back_venue = (steady_venue != venue) & ~no_venue
    earliest = steady_venue + FLOOR_NS
    given = np.where(no_recv, earliest, recv)
    early = (given < earliest) & ~no_recv
    steady_recv = np.maximum.accumulate(np.maximum(given, earliest))
    back_recv = (np.maximum.accumulate(given) != given) & ~no_recv
    result.venue[rows], result.recv[rows] = steady_venue, steady_recv
    result.flags[rows] = np.where(no_venue | back_venue, int(Flag.CLOCK_VENUE), 0) | np.where(
        no_recv | (steady_recv != given), int(Flag.CLOCK_RECV), 0
    )
    for name, mask in (
        ("venue_time_missing", no_venue),
        ("venue_time_backwards", back_venue),
        ("recv_time_missing", no_recv),
        ("recv_time_backwards", back_recv),
        ("recv_before_venue", early),
    ):
        counts[name] += int(mask.sum())
