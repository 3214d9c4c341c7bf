"""The market channel: its machine on a socket, books to a sink, ticks and resolutions to the engine."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from execsim.core.errors import ExecError
from execsim.core.events import MarketResolved, TickChanged, VenueEvent
from execsim.core.order import MarketId
from execsim.core.units import NS_PER_S
from execsim.ports import MarketSink, Runtime, Timer, Transport
from execsim_polymarket.books import LiveBook, Mismatch
from execsim_polymarket.channel import Channel
from execsim_polymarket.entry import Terms
from execsim_polymarket.listing import Listed
from execsim_polymarket.market_session import Data, MarketAction, MarketSession, Stale
from execsim_polymarket.session import Emit, Note
from execsim_polymarket.wire.channels import MarketMessage

log = logging.getLogger("execsim.polymarket")

MARKET_CHANNEL: Final = "/ws/market"
RENEW_NS: Final = 2 * NS_PER_S
"""Least time between two requests for a new dump of a market, twice as long after each that did not help."""
RENEW_NS_MAX: Final = 300 * NS_PER_S
TRUSTED_NS: Final = 60 * NS_PER_S
"""A book that was believed for as long is given the least time again."""


@dataclass(slots=True)
class _Doubt:
    """What was done about a book that could not be believed. Times are ns."""

    pause_ns: int = RENEW_NS
    asked_ns: int | None = None
    later: Timer | None = None
    """the next request, while it is set for later"""


class Markets(Protocol):
    """What is listed, and who reads its terms again: the adapter that trades, or the one that only watches."""

    by_condition: dict[str, Listed]

    def refresh_soon(self, item: Listed) -> None: ...


class MarketStream:
    """All markets of a venue on one socket."""

    def __init__(
        self, venue: Markets, runtime: Runtime, transport: Transport, sink: MarketSink,
        hear: Callable[[VenueEvent], None],
    ) -> None:  # fmt: skip
        self._venue = venue
        self._runtime = runtime
        self._hear = hear
        self.books = {condition: LiveBook(item, sink) for condition, item in venue.by_condition.items()}
        markets = {condition: item.market for condition, item in venue.by_condition.items()}
        tokens = [token for market in markets.values() for token in (market.yes_token, market.no_token)]
        self._by_token = {
            token: condition for condition, market in markets.items() for token in (market.yes_token, market.no_token)
        }
        self._doubts = {condition: _Doubt() for condition in self.books}
        rng = runtime.rng("polymarket.market")
        self._session = MarketSession(markets, tokens, jitter=rng.below)
        self._channel = Channel(runtime, transport, MARKET_CHANNEL, self._session, self._do)
        self._spawn: Callable[[Coroutine[Any, Any, None], str], object] = lambda coro, name: coro.close()

    async def run(self, spawn: Callable[[Coroutine[Any, Any, None], str], object]) -> None:
        """Until cancelled."""
        self._spawn = spawn
        try:
            await self._channel.run()
        finally:
            for doubt in self._doubts.values():
                if doubt.later is not None:
                    doubt.later.cancel()

    def _do(self, action: MarketAction) -> None:
        if isinstance(action, Data):
            self._data(action.message)
        elif isinstance(action, Stale):
            for token in action.tokens:
                self._lose(token)
        elif isinstance(action, Emit):
            self._event(action.event)
        elif isinstance(action, Note):
            log.info("polymarket: %s", action.what)

    def _data(self, message: MarketMessage) -> None:
        book = self.books.get(message.market)
        if book is None:
            return
        try:
            book.take(message, self._runtime.now_ns())
        except Mismatch:
            self._renew(message.market, "its hash is not the venue's")
        except (ExecError, KeyError) as error:
            self._renew(message.market, f"a message cannot be read: {error}")

    def _renew(self, condition: str, why: str) -> None:
        """Distrust a book and ask for a new dump: hashes that never fit must not become a flood of requests."""
        doubt, now_ns, book = self._doubts[condition], self._runtime.now_ns(), self.books[condition]
        book.lose(now_ns)
        if doubt.later is not None:
            return
        if doubt.asked_ns is not None and now_ns - doubt.asked_ns >= doubt.pause_ns + TRUSTED_NS:
            doubt.pause_ns, doubt.asked_ns = RENEW_NS, None
        log.warning("polymarket: the book of %s is read anew: %s", book.listed.name, why)
        if doubt.asked_ns is not None and now_ns < doubt.asked_ns + doubt.pause_ns:
            doubt.later = self._runtime.call_at(doubt.asked_ns + doubt.pause_ns, self._ask_later, condition)
        else:
            self._ask(condition)

    def _ask_later(self, condition: str) -> None:
        self._doubts[condition].later = None
        if self.books[condition].is_lost:  # else a new connection brought its dump meanwhile
            self._ask(condition)

    def _ask(self, condition: str) -> None:
        doubt, token = self._doubts[condition], self.books[condition].listed.market.yes_token
        if doubt.asked_ns is not None:
            doubt.pause_ns = min(RENEW_NS_MAX, 2 * doubt.pause_ns)
        doubt.asked_ns = self._runtime.now_ns()
        actions = [*self._session.unsubscribe([token]), *self._session.subscribe([token])]
        self._spawn(self._channel.do(actions), "a new book")

    def _lose(self, token: str) -> None:
        book = self.books[self._by_token[token]]
        if token == book.listed.market.yes_token:
            book.lose(self._runtime.now_ns())

    def _event(self, event: VenueEvent) -> None:
        """An event of the channel under the engine's name of the market."""
        if not isinstance(event, TickChanged | MarketResolved):
            return
        item = self._venue.by_condition[event.market]
        if isinstance(event, TickChanged):
            item.terms = Terms(event.tick_i, item.terms.neg_risk)
            self._venue.refresh_soon(item)
        self._hear(replace(event, market=MarketId(item.name)))
