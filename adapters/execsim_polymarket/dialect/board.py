"""The books of a desk's markets in the venue's words: what REST answers and what the market channel tells.

One canonical (YES) book a market is kept; the NO token's is its mirror. Both have the venue's hash, over their own text.
Source: polymarket.md sections 6, 8, 11.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from execsim.core.events import Trade
from execsim.core.instrument import Outcome
from execsim.core.order import Side
from execsim.core.units import plain
from execsim.ports import Desk, Levels
from execsim_polymarket.book import last_text
from execsim_polymarket.dialect.clock import VenueClock
from execsim_polymarket.dialect.history import History
from execsim_polymarket.dialect.listings import Listing, Listings, named
from execsim_polymarket.dialect.trades import transaction_of
from execsim_polymarket.wire.channels import (
    BestBidAsk,
    BookMessage,
    LastTradePrice,
    MarketMessage,
    MarketResolved,
    PriceChange,
    PriceChanges,
    TickSizeChange,
)
from execsim_polymarket.wire.markets import Book, Level

OUTCOMES: Final = (Outcome.YES, Outcome.NO)


@dataclass(slots=True)
class Page:
    """A market as it stands: levels price_i -> lots of the YES book."""

    listing: Listing
    bids: dict[int, int] = field(default_factory=dict)
    asks: dict[int, int] = field(default_factory=dict)
    ts_ns: int = 0
    tick_i: int = 0
    last: str = ""
    """last price, of the token it printed on"""
    last_side: Side | None = None
    last_token: str = ""
    payoff_i: int | None = None
    book_due: bool = False
    """there was a trade: the whole book is told with the next change"""
    history: History = field(default_factory=History)

    def sides(self, outcome: Outcome) -> tuple[dict[int, int], dict[int, int]]:
        """(bids, asks) of a token's book."""
        if outcome is Outcome.YES:
            return self.bids, self.asks
        one_i = self.listing.instrument.one_i
        return {one_i - p: s for p, s in self.asks.items()}, {one_i - p: s for p, s in self.bids.items()}

    def best(self, outcome: Outcome) -> tuple[int | None, int | None]:
        bids, asks = self.sides(outcome)
        return max(bids, default=None), min(asks, default=None)


Watcher = Callable[[Listing, Sequence[MarketMessage]], None]
"""Told of each change of a market, messages of both tokens together."""


class Board:
    """`ports.MarketSink` over every listed market."""

    def __init__(self, desk: Desk, listings: Listings, clock: VenueClock) -> None:
        self._clock = clock
        self.pages = {listing.market: Page(listing) for listing in listings.all}
        for page in self.pages.values():
            page.tick_i = page.listing.instrument.tick_i
        self.watchers: list[Watcher] = []
        if self.pages:
            desk.follow(self, tuple(self.pages))

    # ---------------------------------------------------------------- what REST asks
    def book(self, listing: Listing, token: str) -> Book:
        """GET /book."""
        page, outcome = self.pages[listing.market], listing.outcome(token)
        bids, asks = self._levels(page, outcome)
        terms = self._terms(page)
        at = self._at(page)
        text = book_hash(listing.condition_id, token, at, bids, asks, terms)
        return Book(listing.condition_id, token, at, text, bids, asks, terms[0], terms[1], listing.neg_risk, terms[3])

    def _at(self, page: Page) -> str:
        return self._clock.at_ms(page.ts_ns)

    def _levels(self, page: Page, outcome: Outcome) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
        """Best last, as the venue lists them."""
        listing = page.listing
        bids, asks = page.sides(outcome)
        price, size = listing.price_text, listing.size_text
        return (
            tuple(Level(price(p), size(bids[p])) for p in sorted(bids)),
            tuple(Level(price(p), size(asks[p])) for p in sorted(asks, reverse=True)),
        )

    def _terms(self, page: Page) -> tuple[str, str, bool, str]:
        listing = page.listing
        least = listing.size_text(listing.instrument.size_min_lots)
        return least, plain(listing.tick(page.tick_i)), listing.neg_risk, page.last

    # ---------------------------------------------------------------- what the channel tells
    def book_message(self, listing: Listing, token: str) -> BookMessage:
        book = self.book(listing, token)
        return BookMessage(
            book.market, token, book.timestamp, book.bids, book.asks, book.hash, book.tick_size, book.last_trade_price
        )

    def _tell(self, page: Page, *messages: MarketMessage) -> None:
        for watcher in list(self.watchers):
            watcher(page.listing, messages)

    def on_snapshot(self, market: str, ts_ns: int, bids: Levels, asks: Levels) -> None:
        page = self.pages[market]
        page.bids, page.asks, page.ts_ns = dict(bids), dict(asks), ts_ns
        self._note(page)
        if self.watchers:
            self._tell(page, *self._books(page))

    def _note(self, page: Page) -> None:
        """The price of this instant, for the history: the midpoint; one side alone has none."""
        if page.bids and page.asks:
            page.history.add(self._clock.at_s(page.ts_ns), max(page.bids) + min(page.asks))

    def _books(self, page: Page) -> list[MarketMessage]:
        page.book_due = False
        return [self.book_message(page.listing, page.listing.token(outcome)) for outcome in OUTCOMES]

    def on_levels(self, market: str, ts_ns: int, changes: Sequence[tuple[int, int, int]]) -> None:
        page = self.pages[market]
        before = page.best(Outcome.YES)
        for side, price_i, lots in changes:
            levels = page.bids if side > 0 else page.asks
            if lots:
                levels[price_i] = lots
            else:
                levels.pop(price_i, None)
        page.ts_ns = ts_ns
        self._note(page)
        if not self.watchers:
            page.book_due = False
            return
        messages: list[MarketMessage] = [self._changes(page, changes)]
        if page.best(Outcome.YES) != before:
            messages += [self._touch(page, outcome) for outcome in OUTCOMES]
        self._tell(page, *messages, *(self._books(page) if page.book_due else ()))

    def _changes(self, page: Page, changes: Sequence[tuple[int, int, int]]) -> PriceChanges:
        """Each change stands there for both tokens: p and a side, 1 - p and the other."""
        listing, told = page.listing, []
        one_i = listing.instrument.one_i
        for outcome in OUTCOMES:
            token = listing.token(outcome)
            text = self.book(listing, token).hash
            bid, ask = (None if p is None else listing.price_text(p) for p in page.best(outcome))
            for side, price_i, lots in changes:
                price = price_i if outcome is Outcome.YES else one_i - price_i
                buys = (side > 0) == (outcome is Outcome.YES)
                told.append(
                    PriceChange(
                        token, listing.price_text(price), listing.size_text(lots), Side.BUY if buys else Side.SELL, text,
                        bid or "0", ask or "1",
                    )
                )  # fmt: skip
        return PriceChanges(listing.condition_id, self._at(page), tuple(told))

    def _touch(self, page: Page, outcome: Outcome) -> BestBidAsk:
        listing = page.listing
        bid, ask = page.best(outcome)
        low, high = bid or 0, listing.instrument.one_i if ask is None else ask
        price = listing.price_text
        return BestBidAsk(
            listing.condition_id, listing.token(outcome), price(low), price(high), price(high - low), self._at(page)
        )

    def on_trade(self, trade: Trade) -> None:
        page = self.pages[trade.market]
        listing, instrument = page.listing, page.listing.instrument
        buys = trade.aggressor or Side.BUY  # a recording that does not say: the venue always does
        side = buys if trade.outcome is Outcome.YES else buys.other
        price = listing.price_text(instrument.canonical_i(trade.price_i, trade.outcome))
        page.last, page.last_side, page.last_token = last_text(price), side, listing.token(trade.outcome)
        page.book_due, page.ts_ns = True, trade.ts_ns
        if self.watchers:
            at = self._clock.at_ms(trade.ts_ns)
            name = named({"market": listing.market, "ts": trade.ts_ns, "price": price, "lots": trade.lots})
            self._tell(
                page,
                LastTradePrice(
                    listing.condition_id, page.last_token, price, listing.size_text(trade.lots), side, at, "0",
                    transaction_of(name),
                ),
            )  # fmt: skip

    def on_tick(self, market: str, ts_ns: int, tick_i: int) -> None:
        page = self.pages[market]
        old, page.tick_i = page.tick_i, tick_i
        if old == tick_i or not self.watchers:
            return
        listing = page.listing
        was, now, at = plain(listing.tick(old)), plain(listing.tick(tick_i)), self._clock.at_ms(ts_ns)
        tokens = (listing.token(outcome) for outcome in OUTCOMES)
        self._tell(page, *(TickSizeChange(listing.condition_id, token, was, now, at) for token in tokens))

    def on_gap(self, market: str, ts_ns: int, open_gap: bool) -> None:
        """The venue does not tell when its own data are missing: the book stands still."""

    def on_resolve(self, market: str, ts_ns: int, payoff_i: int) -> None:
        page = self.pages[market]
        page.payoff_i = payoff_i
        listing = page.listing
        won = Outcome.YES if payoff_i * 2 >= listing.instrument.one_i else Outcome.NO
        both = (listing.yes_token, listing.no_token)
        self._tell(
            page,
            MarketResolved(
                listing.market, listing.condition_id, both, listing.token(won), won.value.capitalize(),
                self._clock.at_ms(ts_ns),
            ),
        )  # fmt: skip

    def on_end(self, ts_ns: int) -> None:
        """A venue does not end."""


def book_hash(
    market: str, token: str, at: str, bids: Sequence[Level], asks: Sequence[Level], terms: tuple[str, str, bool, str]
) -> str:
    """The venue's hash over a book; terms: least size, tick, neg_risk, last price."""
    least, tick, neg_risk, last = terms

    def side(levels: Sequence[Level]) -> str:
        return ",".join([f'{{"price":"{level.price}","size":"{level.size}"}}' for level in levels])

    text = (
        f'{{"market":"{market}","asset_id":"{token}","timestamp":"{at}","hash":"","bids":[{side(bids)}],'
        f'"asks":[{side(asks)}],"min_order_size":"{least}","tick_size":"{tick}",'
        f'"neg_risk":{"true" if neg_risk else "false"},"last_trade_price":"{last}"}}'
    )
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
