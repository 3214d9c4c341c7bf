"""The book a recording rebuilds, and its referee: the venue's own bookTicker."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from typing import Final

from execsim.core.errors import ValidationError
from execsim_binance.wire import Scale, update_id

Top = tuple[int, int, int, int]
"""Best bid price, its lots, best ask price, its lots, in units; 0, 0 where a side is empty."""

_WAITING_MAX: Final = 100_000
"""Tickers and books that wait for each other. Beyond it (one of the two streams died) the oldest are dropped, and a book
older than every ticker kept is not judged."""


class BookSide:
    """Price -> size of one side, in units; `best` is kept up to date. `sign` is 1 for bids, -1 for asks."""

    __slots__ = ("_levels", "_sign", "_top")

    def __init__(self, sign: int) -> None:
        self._sign = sign
        self._levels: dict[int, int] = {}
        self._top: int | None = None

    def reset(self, levels: list[list[str]], price: Scale, size: Scale) -> list[tuple[int, int]]:
        """Forget everything and take these levels; returns them as (price_i, lots) without empty ones."""
        self._levels.clear()
        self._top = None
        return [level for level in self.update(levels, price, size)[0] if level[1]]

    def update(self, levels: list[list[str]], price: Scale, size: Scale) -> tuple[list[tuple[int, int]], int]:
        """Set absolute sizes. Returns what changed as (price_i, lots; 0 removes), and how many removals named a level
        that is not there. Errors: ValidationError when a text is off the grid."""
        book, sign, top = self._levels, self._sign, self._top
        changed: list[tuple[int, int]] = []
        unknown = 0
        for price_text, size_text in levels:
            price_i, lots = price[price_text], size[size_text]
            key = sign * price_i
            if lots:
                book[key] = lots
                if top is None or key > top:
                    top = key
            else:
                if book.pop(key, None) is None:
                    unknown += 1
                    continue
                if key == top:
                    top = max(book, default=None)
            changed.append((price_i, lots))
        self._top = top
        return changed, unknown

    @property
    def best(self) -> tuple[int, int]:
        """(price_i, lots) of the best level, (0, 0) when the side is empty."""
        return (0, 0) if self._top is None else (self._sign * self._top, self._levels[self._top])


class DepthBook:
    """Both sides."""

    __slots__ = ("asks", "bids")

    def __init__(self) -> None:
        self.bids = BookSide(1)
        self.asks = BookSide(-1)

    @property
    def top(self) -> Top:
        return *self.bids.best, *self.asks.best

    @property
    def crossed(self) -> bool:
        bid, ask = self.bids.best, self.asks.best
        return bool(bid[1] and ask[1] and bid[0] >= ask[0])


class TickerCheck:
    """After each depth update the best prices and sizes must equal the last bookTicker whose id `u` is not above the
    update's. The two streams are not in step (depth is aggregated, tickers overtake it), so both sides wait in queues:
    a book is judged once a ticker with a higher id has been seen, since only then none can be missing between.

    `verdict(ok)` is called once per judged book. Not judged are books before the first ticker and after the last, and
    (counted in `beyond`) those that differ where the venue's best level lies deeper than the snapshot reached: levels
    there are unknown until they change (binance.md section 9), so the recording does not cover them.
    """

    def __init__(self, price: Scale, size: Scale, verdict: Callable[[bool], None]) -> None:
        self.backwards = 0
        self.beyond = 0
        self._reach = (0, 0)
        self._price = price
        self._size = size
        self._verdict = verdict
        self._books: deque[tuple[int, Top]] = deque()
        self._tickers: deque[tuple[int, bytes]] = deque()
        self._newest = -1
        self._current: tuple[int, bytes] | None = None
        self._top: Top | None = None

    def reaches(self, bid: int, ask: int) -> None:
        """The deepest prices of the snapshot the book started from."""
        self._reach = (bid, ask)

    def book(self, update: int, top: Top) -> None:
        """The rebuilt top after depth update id `update`."""
        if len(self._books) == _WAITING_MAX:
            self._books.popleft()
        self._books.append((update, top))
        self._settle()

    def ticker(self, payload: bytes) -> None:
        """A bookTicker message; parsed only if a book is judged by it. Errors: ValueError or KeyError."""
        update = update_id(payload)
        if update < self._newest:
            self.backwards += 1
            return
        self._newest = update
        self._tickers.append((update, payload))
        if self._books:
            self._settle()
        elif len(self._tickers) > _WAITING_MAX:
            self._advance()

    def _settle(self) -> None:
        books, tickers, newest = self._books, self._tickers, self._newest
        while books and books[0][0] < newest:
            update, top = books.popleft()
            while tickers and tickers[0][0] <= update:
                self._advance()
            if self._current is not None and self._current[0] <= update:
                venue = self._ticker_top(self._current[1])
                deep = venue[0] < self._reach[0] or venue[2] > self._reach[1]
                if deep and venue != top:
                    self.beyond += 1
                else:
                    self._verdict(venue == top)

    def _advance(self) -> None:
        self._current = self._tickers.popleft()
        self._top = None

    def _ticker_top(self, payload: bytes) -> Top:
        if self._top is None:
            data = json.loads(payload)["data"]
            price, size = self._price, self._size
            try:
                self._top = (price[data["b"]], size[data["B"]], price[data["a"]], size[data["A"]])
            except ValidationError:
                # Finer than the tape's grid, so it equals nothing on it.
                self._top = (-1, -1, -1, -1)
        return self._top
