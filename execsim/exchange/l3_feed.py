"""Market data of an L3 book: its events become tape rows, applied to the venue's view at once and to ours later.

What the book tells in one instant is one message: it goes through the feed with one delay, and messages keep their order.
The kernel, the strategy's books and its callbacks are those of a replay; only the rows are made here instead of read.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

import numpy as np

from execsim.kernel import Replay, Stop
from execsim.ports import NEVER, Priority, Runtime
from execsim.tape.rows import KIND_BITS, TS_LOCAL, WIDTH, Ints
from execsim.tape.schema import FLOOR_NS, Flag, Kind

NO_ROWS: Final[Ints] = np.zeros((0, WIDTH), np.int64)

Row = tuple[int, int, int, int, int, int, int, int]


class L3Feed:
    """The `BookListener` of one market. `delay_ns(now_ns)` draws what the way to the strategy takes."""

    def __init__(self, runtime: Runtime, kernel: Replay, market: int, delay_ns: Callable[[int], int]) -> None:
        self._runtime = runtime
        self._kernel = kernel
        self._market = market
        self._delay_ns = delay_ns
        self._message: list[Row] = []
        self._travelling: deque[Ints] = deque()
        self._seq = 0
        self.last_arrival_ns = 0
        self.publish: Callable[[Stop], None] = lambda why: None
        """tells whom it concerns at a stop of the kernel (TapeMarket.publish)"""
        self.aggressors: list[int] = []
        """side of every trade so far, for statistics"""
        self.muted = False
        """after the end: the book is emptied, and nobody needs to see it"""

    # ---------------------------------------------------------------- BookListener
    def on_level(self, side: int, price_i: int, lots: int) -> None:
        self._add(Kind.LEVEL, side, price_i, lots)

    def on_trade(self, aggressor: int, price_i: int, lots: int) -> None:
        self.aggressors.append(aggressor)
        self._add(Kind.TRADE, aggressor, price_i, lots)

    # ---------------------------------------------------------------- what is not in the book
    def open(self) -> None:
        """The market opens: from here on its book is known, and empty."""
        self._add(Kind.SNAPSHOT, 0, 0, 0, Flag.FIRST | Flag.LAST)

    def resolve(self, payoff_i: int) -> None:
        """The market pays out: a YES share is worth `payoff_i`."""
        self._add(Kind.RESOLVE, 0, payoff_i, 0)

    def _add(self, kind: Kind, side: int, price_i: int, lots: int, flags: int = 0) -> None:
        if self.muted:
            return
        now_ns = self._runtime.now_ns()
        if not self._message:
            self._runtime.call_at(now_ns, self._send, priority=Priority.LAST)
        self._message.append((now_ns, 0, self._market, kind | flags << KIND_BITS, side, price_i, lots, self._seq))
        self._seq += 1

    def _send(self) -> None:
        """The instant is over: the venue's view moves now, ours when the message is there."""
        rows: Ints = np.array(self._message, np.int64)
        self._message.clear()
        now_ns = self._runtime.now_ns()
        self.last_arrival_ns = max(self.last_arrival_ns, now_ns + max(FLOOR_NS, self._delay_ns(now_ns)))
        rows[:, TS_LOCAL] = self.last_arrival_ns
        self._travelling.append(rows)
        self._runtime.call_at(self.last_arrival_ns, self._arrive, priority=Priority.TAPE)
        self._apply(rows, NO_ROWS)

    def _arrive(self) -> None:
        self._apply(NO_ROWS, self._travelling.popleft())

    def _apply(self, venue: Ints, local: Ints) -> None:
        self._kernel.feed(venue, local)
        while (why := self._kernel.advance(NEVER)) is not Stop.CHUNK:
            self.publish(why)
