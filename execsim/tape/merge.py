"""Several tapes as one: rows in venue-time order for the venue's books, and again in local-time order for ours.

    tape 0 ─┐                       ┌─ Chunk.venue   every row, sorted by TS_VENUE
    tape 1 ─┼─ cut at the watermark ┤
    tape 2 ─┘                       └─ Chunk.local   the same rows later, sorted by TS_LOCAL, none past the watermark

The watermark of a chunk is the venue time before which every row of every tape has been delivered. A row reaches the
local order only once the watermark has passed its local time, so a reader that finishes each chunk sees no row locally
before it has seen everything the venue did until then. Memory: a few chunks per tape, plus the rows on their way (feed
latency x row rate).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from execsim.core.errors import ConfigError
from execsim.tape.rows import (
    BIRTH,
    END_NS,
    KIND,
    KIND_BITS,
    MARKET,
    PRICE,
    SEQ,
    SIDE,
    SIZE,
    SOURCE_SHIFT,
    TS_LOCAL,
    TS_VENUE,
    WIDTH,
    Columns,
    Ints,
)
from execsim.tape.schema import Kind

Latency = Callable[[Ints], Ints]
"""Receive times of the next messages -> extra ns of each (int64, (n,), >= 0): n calls for one must give what one call
for n gives."""


@dataclass(slots=True)
class TapeStream:
    """One tape of a merge: its chunks in file order (a TapeReader), the run's index for each of its markets (-1 leaves
    a market out; None keeps the tape's own indices), and what the feed adds to recorded receive times (None: nothing).
    """

    chunks: Iterable[Columns]
    markets: Sequence[int] | None = None
    latency: Latency | None = None


@dataclass(slots=True)
class Chunk:
    """A stretch of the merged tapes; rows are int64 (n, WIDTH or one more), C-contiguous, columns named in tape.rows.

    `venue`: rows with TS_VENUE < watermark_ns not delivered before, sorted by (TS_VENUE, source, tape order).
    `local`: rows delivered in this or an earlier `venue` with TS_LOCAL < watermark_ns, sorted by (TS_LOCAL, venue
    order). They may share memory: do not write into them. The last chunk has `last` set, watermark_ns END_NS and
    everything left in `local`; there is always exactly one.
    """

    venue: Ints
    local: Ints
    watermark_ns: int
    last: bool = False


def merged(sources: Sequence[TapeStream], births: bool = False) -> Iterator[Chunk]:
    """Merge tapes by venue time; ties go to the earlier source. The result does not depend on the chunks' sizes.

    Feed latency is drawn per message: a run of rows of one source with equal ts_recv_ns. TS_LOCAL is the running
    maximum over the source of ts_recv_ns + its message's draw: one connection delivers in order.
    `births`: rows have the column rows.BIRTH too. Errors: DataError from the readers, ConfigError for a negative draw.
    """
    width = WIDTH + births
    heads = [_Head(index, stream, width) for index, stream in enumerate(sources)]
    travelling = _none(width)
    while True:
        for head in heads:
            head.fill()
        watermark = min((head.known_ns for head in heads), default=END_NS)
        last = watermark == END_NS
        venue = _ordered(_joined([head.take(watermark) for head in heads], width), TS_VENUE)
        if len(venue) or last:
            arrived = _ordered(_joined([travelling, venue], width), TS_LOCAL)
            cut = len(arrived) if last else int(np.searchsorted(arrived[:, TS_LOCAL], watermark))
            travelling = arrived[cut:]
            yield Chunk(venue, arrived[:cut], watermark, last)
        if last:
            return


@dataclass(slots=True)
class _Head:
    """The rows of one source that have been read and not yet taken."""

    index: int
    stream: TapeStream
    width: int
    rows: Ints = field(init=False)
    ended: bool = False
    feed: _Feed = field(init=False)
    chunks: Iterator[Columns] = field(init=False)

    def __post_init__(self) -> None:
        self.rows = _none(self.width)
        self.feed = _Feed(self.stream.latency)
        self.chunks = iter(self.stream.chunks)

    @property
    def known_ns(self) -> int:
        """Every row of this source before this instant has been read: more rows of the last instant may follow."""
        return END_NS if self.ended else int(self.rows[-1, TS_VENUE])

    def fill(self) -> None:
        """Read on until the rows span two instants or the tape ends."""
        while not self.ended and (len(self.rows) == 0 or self.rows[0, TS_VENUE] == self.rows[-1, TS_VENUE]):
            columns = next(self.chunks, None)
            if columns is None:
                self.ended = True
            else:
                self._append(columns)

    def take(self, watermark_ns: int) -> Ints:
        """Rows before the watermark, all of them at the end."""
        whole = watermark_ns == END_NS
        cut = len(self.rows) if whole else int(np.searchsorted(self.rows[:, TS_VENUE], watermark_ns))
        taken, self.rows = self.rows[:cut], self.rows[cut:]
        return taken

    def _append(self, columns: Columns) -> None:
        n, kept = len(columns["seq"]), len(self.rows)
        rows: Ints = np.empty((kept + n, self.width), dtype=np.int64)
        rows[:kept] = self.rows
        new = rows[kept:]
        kind, market = columns["kind"], columns["market"]
        new[:, TS_VENUE] = columns["ts_venue_ns"]
        new[:, TS_LOCAL] = self.feed.arrivals(columns["ts_recv_ns"])
        new[:, MARKET] = market if self.stream.markets is None else np.asarray(self.stream.markets)[market]
        new[:, KIND] = kind | columns["flags"] << KIND_BITS
        new[:, SIDE] = np.where(kind == Kind.TRADE, columns["aggressor"], columns["side"])
        new[:, PRICE] = columns["price_i"]
        new[:, SIZE] = columns["size_i"]
        new[:, SEQ] = columns["seq"] | self.index << SOURCE_SHIFT
        if self.width > BIRTH:
            new[:, BIRTH] = columns["order_id"]
        if self.stream.markets is not None and -1 in self.stream.markets:
            rows = np.ascontiguousarray(rows[rows[:, MARKET] >= 0])
        self.rows = rows


class _Feed:
    """When the rows of one source reach us; keeps what a message that spans two chunks needs."""

    __slots__ = ("_draw", "_latency", "_latest", "_recv")

    def __init__(self, latency: Latency | None) -> None:
        self._latency = latency
        self._recv = -1
        self._draw = 0
        self._latest = 0

    def arrivals(self, recv: Ints) -> Ints:
        """Local times of the next rows. Shape: (n,) -> (n,).   Units: ns.   Errors: ConfigError for a negative draw."""
        local = recv
        if self._latency is not None and len(recv):
            opens = np.empty(len(recv), dtype=bool)
            opens[0] = recv[0] != self._recv
            np.not_equal(recv[1:], recv[:-1], out=opens[1:])
            count = int(np.count_nonzero(opens))
            draws = np.empty(count + 1, dtype=np.int64)
            draws[0] = self._draw
            if count:
                draws[1:] = self._latency(recv[opens])
                if draws[1:].min() < 0:
                    raise ConfigError(f"the feed latency drew {draws[1:].min()} ns", "a latency must not be negative")
            local = recv + draws[np.cumsum(opens)]
            self._recv, self._draw = int(recv[-1]), int(draws[-1])
        local = np.maximum.accumulate(local)
        np.maximum(local, self._latest, out=local)
        if len(local):
            self._latest = int(local[-1])
        return local


def _none(width: int) -> Ints:
    return np.empty((0, width), dtype=np.int64)


def _joined(parts: Sequence[Ints], width: int) -> Ints:
    filled = [part for part in parts if len(part)]
    if len(filled) == 1:
        return filled[0]
    return np.concatenate(filled) if filled else _none(width)


def _ordered(rows: Ints, column: int) -> Ints:
    """Rows stably sorted by one column; the same array where they already are."""
    keys = np.ascontiguousarray(rows[:, column])
    if len(keys) < 2 or bool((keys[1:] >= keys[:-1]).all()):
        return rows
    result: Ints = rows[np.argsort(keys, kind="stable")]
    return result
