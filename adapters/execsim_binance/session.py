"""The state machine that keeps a local Binance book in sequence: snapshot, buffered diffs, breaks. No I/O.

    WAITING --snapshot that joins the buffered diffs--> LIVE --a diff that does not continue--> WAITING

Source: "How to manage a local order book correctly", Binance spot and USD-M documentation. The same machine serves a
recording and a live connection.
"""

from __future__ import annotations

from collections import deque
from enum import IntEnum
from typing import Final

from execsim_binance.wire import Diff, Snapshot

BUFFER_MAX: Final = 20_000
"""Diffs kept while waiting for a snapshot (over half an hour at 100 ms). The oldest are dropped beyond it: a snapshot
older than what is kept then no longer joins, and we go on waiting for a newer one."""


class Step(IntEnum):
    """What the owner of the book does next."""

    RESET = 0
    """replace the book by the snapshot"""
    APPLY = 1
    """apply the diff"""
    BREAK = 2
    """updates are missing before this diff: the book is unknown from here"""


Action = tuple[Step, Snapshot | Diff]


class DepthSync:
    """Decides which snapshots and diffs make the book. `futures` chooses the rule: USD-M diffs name the update they
    continue (`pu`), spot ids are consecutive. Counters say what was not used."""

    def __init__(self, futures: bool) -> None:
        self.futures = futures
        self.live = False
        self.snapshots = 0
        self.snapshots_unused = 0
        self.stale_diffs = 0
        self._last = 0
        self._held: Snapshot | None = None
        self._buffer: deque[Diff] = deque(maxlen=BUFFER_MAX)

    @property
    def buffered(self) -> int:
        return len(self._buffer)

    def diff(self, diff: Diff) -> list[Action]:
        """Take the next diff of the wire; returns what to do, in order."""
        if not self.live:
            self._buffer.append(diff)
            return self._join()
        if diff.last <= self._last:
            self.stale_diffs += 1
            return []
        if not self._continues(diff):
            self.live = False
            self._buffer.append(diff)
            return [(Step.BREAK, diff)]
        self._last = diff.last
        return [(Step.APPLY, diff)]

    def snapshot(self, snapshot: Snapshot) -> list[Action]:
        """Take a REST snapshot. While LIVE it is not needed: the book is already known."""
        self.snapshots += 1
        if self.live:
            self.snapshots_unused += 1
            return []
        if self._held is not None:
            self.snapshots_unused += 1
        self._held = snapshot
        return self._join()

    def lose(self) -> None:
        """The owner could not apply what it was told to: the book is unknown, wait for a new snapshot."""
        self.live = False
        self._buffer.clear()

    def _continues(self, diff: Diff) -> bool:
        if self.futures:
            return diff.prev == self._last
        return diff.first <= self._last + 1

    def _join(self) -> list[Action]:
        """Join the held snapshot with the buffered diffs if the first one still needed straddles it."""
        held, buffer = self._held, self._buffer
        if held is None:
            return []
        # Spot drops u <= id; futures keep u == id (sizes are absolute, so applying it again is harmless).
        newest_dropped = held.last - 1 if self.futures else held.last
        while buffer and buffer[0].last <= newest_dropped:
            buffer.popleft()
        if not buffer:
            return []
        first = buffer[0]
        # The futures text asks for U <= id <= u; ids between pu and U belong to nobody, so pu <= id loses nothing.
        if (first.prev if self.futures else first.first - 1) > held.last:
            self._held = None
            self.snapshots_unused += 1
            return []
        self._held = None
        self.live = True
        self._last = first.last
        pending = list(buffer)[1:]
        buffer.clear()
        actions: list[Action] = [(Step.RESET, held), (Step.APPLY, first)]
        for diff in pending:
            actions += self.diff(diff)
        return actions
