"""The two WebSocket channels from the venue's side. Source: polymarket.md section 11.

PING is answered PONG. What cannot be understood is answered INVALID OPERATION [?] and otherwise ignored; a user channel
with wrong credentials is closed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from execsim.core.errors import ValidationError
from execsim.ports import FrameSink
from execsim_polymarket.dialect.board import Board
from execsim_polymarket.dialect.keys import KeyRing
from execsim_polymarket.dialect.listings import Listing, Listings
from execsim_polymarket.dialect.trader import Trader
from execsim_polymarket.wire.channels import (
    MARKET_SUBSCRIPTION,
    PING,
    PONG,
    SUBSCRIPTION_CHANGE,
    USER_SUBSCRIPTION,
    BestBidAsk,
    MarketMessage,
    MarketResolved,
    PriceChanges,
    UserMessage,
    to_frame,
)

INVALID: Final = b"INVALID OPERATION"
CUSTOM: Final = (BestBidAsk, MarketResolved)
"""Told only where `custom_feature_enabled` was asked for."""


class MarketChannel:
    """`ports.Served`: one connection to /ws/market."""

    def __init__(self, board: Board, listings: Listings, sink: FrameSink) -> None:
        self._board = board
        self._listings = listings
        self._sink = sink
        self._tokens: set[str] = set()
        self._custom = False
        self._begun = False

    def hear(self, frame: bytes) -> None:
        if frame.strip() == PING:
            self._sink(PONG)
            return
        try:
            self._change(frame) if self._begun and b'"operation"' in frame else self._begin(frame)
        except ValidationError:
            self._sink(INVALID)

    def _begin(self, frame: bytes) -> None:
        asked = MARKET_SUBSCRIPTION.from_client(frame)
        if not self._begun:
            self._begun = True
            self._board.watchers.append(self._told)
        self._custom = asked.custom_feature_enabled
        self._add(asked.assets_ids, dump=asked.initial_dump is not False)

    def _change(self, frame: bytes) -> None:
        asked = SUBSCRIPTION_CHANGE.from_client(frame)
        if asked.custom_feature_enabled is not None:
            self._custom = asked.custom_feature_enabled
        tokens = asked.assets_ids or ()
        if asked.operation == "unsubscribe":
            self._tokens.difference_update(tokens)
        else:
            self._add([token for token in tokens if token not in self._tokens], dump=True)

    def _add(self, tokens: Iterable[str], *, dump: bool) -> None:
        known = [token for token in dict.fromkeys(tokens) if token in self._listings.by_token]
        self._tokens.update(known)
        if dump:
            books = [self._board.book_message(self._listings.by_token[token], token) for token in known]
            frame = b",".join(to_frame(book) for book in books)
            self._sink(b"[" + frame + b"]\n")

    def _told(self, listing: Listing, messages: Sequence[MarketMessage]) -> None:
        if listing.yes_token not in self._tokens and listing.no_token not in self._tokens:
            return
        for message in messages:
            if isinstance(message, CUSTOM) and not self._custom:
                continue
            if isinstance(message, PriceChanges | MarketResolved) or message.asset_id in self._tokens:  # type: ignore[union-attr]
                self._sink(to_frame(message))

    def close(self) -> None:
        if self._told in self._board.watchers:
            self._board.watchers.remove(self._told)


class UserChannel:
    """`ports.Served`: one connection to /ws/user. `trader_of`: the account of an address."""

    def __init__(self, keys: KeyRing, trader_of: Callable[[str], Trader], sink: FrameSink) -> None:
        self._keys = keys
        self._trader_of = trader_of
        self._sink = sink
        self._trader: Trader | None = None
        self._markets: set[str] | None = None

    def hear(self, frame: bytes) -> None:
        """Errors: Refused for credentials that are none."""
        if frame.strip() == PING:
            self._sink(PONG)
            return
        try:
            self._change(frame) if self._trader is not None else self._begin(frame)
        except ValidationError:
            self._sink(INVALID)

    def _begin(self, frame: bytes) -> None:
        asked = USER_SUBSCRIPTION.from_client(frame)
        self._trader = self._trader_of(self._keys.match(asked.auth).address)
        self._markets = {market.lower() for market in asked.markets} if asked.markets else None
        self._trader.sinks.append(self._told)

    def _change(self, frame: bytes) -> None:
        asked = SUBSCRIPTION_CHANGE.from_client(frame)
        markets = {market.lower() for market in asked.markets or ()}
        if asked.operation == "subscribe":
            self._markets = (self._markets or set()) | markets
        elif self._markets is not None:
            self._markets -= markets

    def _told(self, message: UserMessage) -> None:
        if self._markets is None or message.market.lower() in self._markets:
            self._sink(to_frame(message))

    def close(self) -> None:
        if self._trader is not None and self._told in self._trader.sinks:
            self._trader.sinks.remove(self._told)
