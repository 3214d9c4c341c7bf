"""A naive simulator of tape, venue and strategy in plain Python: one event after another, in the order the rules say.

Rows of both views and timers stand in one list sorted by (time, tape first, sequence). Books are dicts (naive_book).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Any

from naive_book import NaiveBook

from execsim.kernel import LOCAL, VENUE, QueueModel
from execsim.ports import Priority
from execsim.tape.schema import Kind

BOOK_KINDS = (Kind.SNAPSHOT, Kind.LEVEL, Kind.BBO)

Heard = tuple[Any, ...]


@dataclass
class Ask:
    """An order as the scripted strategy sends it. `tif` is gtc, gtd or ioc; prices and sizes are of the canonical book."""

    name: str
    market: int
    side: int
    price: int
    lots: int
    tif: str
    post_only: bool
    expire_ns: int


@dataclass
class Kept:
    """An order at the naive venue."""

    ask: Ask
    left: int
    number: int
    open: bool = True
    filled: int = 0
    generation: int = 0
    """rises when a pending expiry no longer counts"""
    price: int = field(default=0)


class NaiveExchange:
    """Rows as kernel rows (lists of WIDTH ints); `hear` gets what the strategy's side hears, at its time."""

    def __init__(
        self,
        venue_rows: list[list[int]],
        local_rows: list[list[int]],
        markets: int,
        entry_ns: int,
        response_ns: int,
        queue: QueueModel,
        inferred: int,
        refill: int,
        half_life_ns: int,
        hear: Callable[[int, Heard], None],
    ) -> None:
        self._rows = {VENUE: venue_rows, LOCAL: local_rows}
        terms = {"refill": refill, "half_life_ns": half_life_ns}
        self.books = {(v, m): NaiveBook(queue, inferred, **terms) for v in (VENUE, LOCAL) for m in range(markets)}
        self._entry_ns, self._response_ns = entry_ns, response_ns
        self._hear = hear
        self.now_ns = 0
        self._timers: list[tuple[int, int, int, Callable[[], None]]] = []
        self._sequence = 0
        self._touch: dict[int, tuple[int | None, int, int | None, int]] = {}
        self._snapshot: dict[int, bool] = {}
        self._orders: dict[str, Kept] = {}
        self._numbers: dict[int, Kept] = {}
        self.fills: list[tuple[Any, ...]] = []

    # --- time -----------------------------------------------------------------------------------------------------
    def at(self, t_ns: int, priority: Priority, fn: Callable[[], None]) -> None:
        self._sequence += 1
        heappush(self._timers, (max(t_ns, self.now_ns), int(priority), self._sequence, fn))

    def run(self) -> None:
        """Until rows and timers are used up. At one instant the venue's rows, then ours, then timers."""
        place = {VENUE: 0, LOCAL: 0}
        while True:
            times = {v: rows[place[v]][v] for v, rows in self._rows.items() if place[v] < len(rows)}
            row_ns = min(times.values(), default=None)
            timer_ns = self._timers[0][0] if self._timers else None
            if row_ns is None and timer_ns is None:
                return
            if row_ns is not None and (timer_ns is None or row_ns <= timer_ns):
                self.now_ns = row_ns
                view = VENUE if times.get(VENUE) == row_ns else LOCAL
                at = place[view]
                place[view] += 1
                self._venue_row(at) if view == VENUE else self._local_row(at)
            else:
                self.now_ns, _, _, fn = heappop(self._timers)
                fn()

    # --- the tape -------------------------------------------------------------------------------------------------
    def _venue_row(self, at: int) -> None:
        row = self._rows[VENUE][at]
        for number, lots, cause, left in self.books[VENUE, row[2]].row(row, True):
            kept = self._numbers[number]
            kept.left, kept.filled = left, kept.filled + lots
            if left == 0:
                self._finish(kept)
            self._filled(kept, kept.price, lots, cause, row[7])

    def _local_row(self, at: int) -> None:
        rows, row = self._rows[LOCAL], self._rows[LOCAL][at]
        kind, flags, m = row[3] & 255, row[3] >> 8, row[2]
        book = self.books[LOCAL, m]
        book.row(row, False)
        if kind == Kind.TRADE:
            self._hear(self.now_ns, ("trade", m, row[5], row[6], row[7]))
        elif kind in BOOK_KINDS:
            if kind == Kind.SNAPSHOT:
                self._snapshot[m] = not flags & 2 and (self._snapshot.get(m, False) or bool(flags & 1))
            following = rows[at + 1] if at + 1 < len(rows) else None
            goes_on = following is not None and (following[1], following[2]) == (row[1], m)
            if self._snapshot.get(m) or (goes_on and following is not None and following[3] & 255 in BOOK_KINDS):
                return
            touch = book.touch()
            if touch != self._touch.get(m, (None, 0, None, 0)):
                self._touch[m] = touch
                self._hear(self.now_ns, ("top", m, *touch))

    # --- the venue ------------------------------------------------------------------------------------------------
    def place(self, ask: Ask) -> None:
        self.at(self.now_ns + self._entry_ns, Priority.VENUE, lambda: self._arrive(ask))

    def cancel(self, name: str) -> None:
        self.at(self.now_ns + self._entry_ns, Priority.VENUE, lambda: self._arrive_cancel(name))

    def amend(self, name: str, price: int, lots: int) -> None:
        self.at(self.now_ns + self._entry_ns, Priority.VENUE, lambda: self._arrive_amend(name, price, lots))

    def _say(self, *heard: Any) -> None:
        self.at(self.now_ns + self._response_ns, Priority.NORMAL, lambda: self._hear(self.now_ns, heard))

    def _arrive(self, ask: Ask) -> None:
        book = self.books[VENUE, ask.market]
        if ask.price % book.tick or (ask.tif == "gtd" and ask.expire_ns <= self.now_ns):
            self._say("refused", ask.name)
            return
        takes = self._walk(ask, ask.price, ask.lots)
        if takes and ask.post_only:
            self._say("refused", ask.name)
            return
        kept = Kept(ask, ask.lots, len(self._numbers), price=ask.price)
        self._orders[ask.name] = self._numbers[kept.number] = kept
        self._say("acked", ask.name)
        self._take(kept, takes)

    def _walk(self, ask: Ask, limit: int, lots: int) -> list[tuple[int, int]]:
        book, takes = self.books[VENUE, ask.market], []
        book.age(self.now_ns)
        if book.gap or not book.known:
            return []
        for price in sorted(book.sides[-ask.side], reverse=ask.side < 0):
            if lots and ask.side * price <= ask.side * limit and (part := min(lots, book.shown(-ask.side, price))):
                takes.append((price, part))
                lots -= part
        return takes

    def _take(self, kept: Kept, takes: list[tuple[int, int]]) -> None:
        ask, book = kept.ask, self.books[VENUE, kept.ask.market]
        for price, lots in takes:
            book.take(-ask.side, price, lots)
            kept.left -= lots
            kept.filled += lots
            if not kept.left:
                kept.open = False
            self._filled(kept, price, lots, "taker_walk", book.last_seq)
        if not kept.left:
            return
        if ask.tif == "ioc":
            kept.open = False
            self._say("gone", ask.name, False)
            return
        book.rest(kept.number, ask.side, kept.price, kept.left)
        if ask.tif == "gtd":
            kept.generation += 1
            generation = kept.generation
            self.at(ask.expire_ns, Priority.VENUE, lambda: self._lapse(kept, generation))

    def _filled(self, kept: Kept, price: int, lots: int, cause: str, seq: int) -> None:
        self.fills.append((self.now_ns, kept.ask.name, price, lots, cause, seq))
        self._say("filled", kept.ask.name, price, lots, not kept.open)

    def _finish(self, kept: Kept) -> None:
        kept.open = False
        kept.generation += 1
        self.books[VENUE, kept.ask.market].drop(kept.number)

    def _lapse(self, kept: Kept, generation: int) -> None:
        if kept.open and kept.generation == generation:
            self._finish(kept)
            self._say("gone", kept.ask.name, True)

    def _arrive_cancel(self, name: str) -> None:
        kept = self._orders.get(name)
        found = kept is not None and kept.open
        if kept is not None and found:
            self._finish(kept)
        self._say("cancelled", name, found)

    def _arrive_amend(self, name: str, price: int, lots: int) -> None:
        kept = self._orders.get(name)
        if kept is None or not kept.open:
            self._say("refused", name)
            return
        book, left = self.books[VENUE, kept.ask.market], lots - kept.filled
        if price == kept.price and 0 < left <= kept.left:
            kept.left = left
            next(own for own in book.own if own.name == kept.number).left = left
            self._say("acked", name)
            return
        if left <= 0 or price % book.tick or (kept.ask.tif == "gtd" and kept.ask.expire_ns <= self.now_ns):
            self._say("refused", name)
            return
        takes = self._walk(kept.ask, price, left)
        if takes and kept.ask.post_only:
            self._say("refused", name)
            return
        self._say("acked", name)
        book.drop(kept.number)
        kept.generation += 1
        kept.price, kept.left = price, left
        self._take(kept, takes)
