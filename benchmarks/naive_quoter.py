"""What one writes first: a SimPy process that waits for every row, twice (at the venue and at home), lists for books, a
timeout for every message, and a quoter without checks, records or money. Same latencies and pauses as the scenario
`synthetic_million`, constant instead of drawn; queue position risk-averse."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import simpy

from execsim.tape.rows import KIND, KIND_BITS, PRICE, SIDE, SIZE, TS_LOCAL, TS_VENUE
from execsim.tape.schema import Kind

FEED_NS, ENTRY_NS, RESPONSE_NS, PAUSE_NS = 10_000_000, 40_000_000, 15_000_000, 1_000_000_000
SIZE_LOTS = 10_000_000
STEP_I, END_I = 100, 10_000


class Book:
    """Sizes by price step, and the touch."""

    def __init__(self) -> None:
        self.sizes = {1: [0] * (END_I // STEP_I + 1), -1: [0] * (END_I // STEP_I + 1)}
        self.best = {1: 0, -1: END_I}

    def put(self, side: int, price: int, lots: int) -> bool:
        """Set a level; whether the touch moved."""
        sizes, best = self.sizes[side], self.best[side]
        sizes[price // STEP_I] = lots
        if lots and side * price > side * best:
            self.best[side] = price
        elif not lots and price == best:
            while 0 < price < END_I and not sizes[price // STEP_I]:
                price -= side * STEP_I
            self.best[side] = price
        return self.best[side] != best


class Quote:
    """One side's order: `live` at the venue, `known` to be there at home."""

    def __init__(self, side: int) -> None:
        self.side = side
        self.out = self.live = self.known = self.leaving = False
        self.price = self.left = self.ahead = self.next_ns = 0


class Simulation:
    """Two feeds and two quotes. `orders` and `fills` count; `venue.best` is the book at the end."""

    def __init__(self, rows: list[list[int]]) -> None:
        self.env = simpy.Environment(rows[0][TS_VENUE])
        self.rows, self.venue, self.home = rows, Book(), Book()
        self.quotes = [Quote(1), Quote(-1)]
        self.orders = self.fills = 0

    def run(self) -> None:
        self.env.process(self.at_venue())
        self.env.process(self.at_home())
        self.env.run()

    def later(self, ns: int, fn: Callable[..., None], *args: Any) -> None:
        self.env.timeout(ns).callbacks.append(lambda _: fn(*args))

    def at_venue(self) -> Iterator[Any]:
        for row in self.rows:
            yield self.env.timeout(row[TS_VENUE] - self.env.now)
            side, price, lots = row[SIDE], row[PRICE], row[SIZE]
            if row[KIND] & ((1 << KIND_BITS) - 1) == Kind.TRADE:
                self.on_trade(-side, price, lots)
            else:
                self.venue.put(side, price, lots)
                self.on_level(side, price, lots)

    def on_trade(self, hit: int, price: int, lots: int) -> None:
        for quote in self.quotes:
            if quote.live and quote.side == hit and hit * quote.price >= hit * price:
                reach = lots - quote.ahead if quote.price == price else lots
                quote.ahead = max(0, quote.ahead - lots)
                if reach > 0:
                    self.fill(quote, reach)

    def on_level(self, side: int, price: int, lots: int) -> None:
        for quote in self.quotes:
            if quote.live and quote.side == side and quote.price == price:
                quote.ahead = min(quote.ahead, lots)
            elif quote.live and quote.side != side and lots and quote.side * quote.price >= quote.side * price:
                self.fill(quote, lots)

    def fill(self, quote: Quote, lots: int) -> None:
        quote.left -= min(quote.left, lots)
        self.fills += 1
        if not quote.left:
            quote.live = False
            self.later(RESPONSE_NS, self.ended, quote)

    def at_home(self) -> Iterator[Any]:
        for row in self.rows:
            yield self.env.timeout(max(0, row[TS_LOCAL] + FEED_NS - self.env.now))
            if row[KIND] & ((1 << KIND_BITS) - 1) != Kind.TRADE and self.home.put(row[SIDE], row[PRICE], row[SIZE]):
                self.step()

    def step(self) -> None:
        now, (bid, ask) = self.env.now, (self.home.best[1], self.home.best[-1])
        if not 0 < bid < ask < END_I:
            return
        for quote in self.quotes:
            best = bid if quote.side > 0 else ask
            if now < quote.next_ns:
                continue
            if not quote.out:
                quote.out, quote.price, quote.left, quote.next_ns = True, best, SIZE_LOTS, now + PAUSE_NS
                self.orders += 1
                self.later(ENTRY_NS, self.arrived, quote)
            elif quote.known and not quote.leaving and quote.price != best:
                quote.leaving = True
                self.later(ENTRY_NS, self.cancelled, quote)

    def arrived(self, quote: Quote) -> None:
        if quote.side * quote.price >= quote.side * self.venue.best[-quote.side]:
            self.later(RESPONSE_NS, self.ended, quote)
            return
        quote.live, quote.ahead = True, self.venue.sizes[quote.side][quote.price // STEP_I]
        self.later(RESPONSE_NS, self.acked, quote)

    def cancelled(self, quote: Quote) -> None:
        if quote.live:
            quote.live = False
            self.later(RESPONSE_NS, self.ended, quote)

    def acked(self, quote: Quote) -> None:
        quote.known = quote.out
        self.step()

    def ended(self, quote: Quote) -> None:
        quote.out = quote.known = quote.leaving = False
        self.step()
