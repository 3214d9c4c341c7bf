"""The market channel: its machine on a socket, books to a sink, ticks and resolutions to the engine."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, Final, Protocol

from execsim.core.errors import ExecError
from execsim.core.events import MarketResolved, TickChanged, VenueEvent
from execsim.core.order import MarketId
from execsim.ports import MarketSink, Runtime, Transport
from execsim_polymarket.books import LiveBook, Mismatch
from execsim_polymarket.channel import Channel
from execsim_polymarket.entry import Terms
from execsim_polymarket.listing import Listed
from execsim_polymarket.market_session import Data, MarketAction, MarketSession, Stale
from execsim_polymarket.session import Emit, Note
from execsim_polymarket.wire.channels import MarketMessage

log = logging.getLogger("execsim.polymarket")

MARKET_CHANNEL: Final = "/ws/market"


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
        rng = runtime.rng("polymarket.market")
        self._session = MarketSession(markets, tokens, jitter=rng.below)
        self._channel = Channel(runtime, transport, MARKET_CHANNEL, self._session, self._do)
        self._spawn: Callable[[Coroutine[Any, Any, None], str], object] = lambda coro, name: coro.close()

    async def run(self, spawn: Callable[[Coroutine[Any, Any, None], str], object]) -> None:
        """Until cancelled."""
        self._spawn = spawn
        await self._channel.run()

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
        except Mismatch as error:
            self._renew(str(error.args[0]), "its hash is not the venue's")
        except (ExecError, KeyError) as error:
            self._renew(book.listed.market.yes_token, f"a message cannot be read: {error}")

    def _renew(self, token: str, why: str) -> None:
        """Distrust a book and ask for a new dump."""
        log.warning("polymarket: the book of token %s is read anew: %s", token[:20], why)
        self._lose(token)
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
