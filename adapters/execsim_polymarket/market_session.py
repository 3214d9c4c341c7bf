"""The market channel as a machine without I/O: what to subscribe to, when its data can be trusted, and what comes out.

A token's book is known from its `book` message on and unknown again from the moment the link is lost: `Stale` says so, and
`Fresh` that it has come back. Messages go out as they came (`Data`); building books and tapes of them is the feed's work.
Changes of the tick and resolutions come out as core events besides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from execsim.core.errors import ExecError, InvalidResponse
from execsim.core.events import MarketResolved as Resolved
from execsim.core.events import TickChanged
from execsim.core.instrument import Outcome
from execsim.core.order import MarketId
from execsim_polymarket.fills import Market
from execsim_polymarket.link import MARKET_LINK, Link, LinkAction, LinkConfig, Send, State
from execsim_polymarket.session import Emit, Note
from execsim_polymarket.wire.channels import (
    MARKET_SUBSCRIPTION,
    SUBSCRIPTION_CHANGE,
    BookMessage,
    MarketMessage,
    MarketResolved,
    MarketSubscription,
    SubscriptionChange,
    TickSizeChange,
    Unread,
    market_messages,
)
from execsim_polymarket.wire.values import ns_of

TOKENS_MAX: Final = 200
"""Tokens a socket should carry (nautilus_trader's bound; the venue documents none). More belong on a second session."""


@dataclass(frozen=True, slots=True)
class Data:
    """A message of the market channel."""

    message: MarketMessage


@dataclass(frozen=True, slots=True)
class Stale:
    """The books of these tokens are unknown from now on."""

    tokens: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fresh:
    """The book of this token is known again: it follows as `Data`."""

    token: str


MarketAction = LinkAction | Emit | Data | Stale | Fresh | Note


class MarketSession:
    """`markets`: condition id -> market, for the core events; tokens of other markets are passed on as they are."""

    def __init__(
        self, markets: Mapping[str, Market], tokens: Iterable[str] = (), link: LinkConfig = MARKET_LINK,
        jitter: Callable[[int], int] = lambda n: 0,
    ) -> None:  # fmt: skip
        self.link = Link(link, jitter)
        self._markets = markets
        self._tokens = dict.fromkeys(tokens)
        self._fresh: dict[str, None] = {}
        self._ticks: dict[str, str] = {}

    @property
    def wake_ns(self) -> int:
        """When `tick` is due."""
        return self.link.wake_ns

    @property
    def tokens(self) -> tuple[str, ...]:
        return tuple(self._tokens)

    def is_fresh(self, token: str) -> bool:
        """Whether the token's book is known."""
        return token in self._fresh

    def start(self, now_ns: int) -> list[MarketAction]:
        return list(self.link.start(now_ns))

    def stop(self) -> list[MarketAction]:
        return [*self.link.stop(), *self._stale(tuple(self._fresh))]

    def opened(self, now_ns: int) -> list[MarketAction]:
        self.link.opened(now_ns)
        return [Send(MARKET_SUBSCRIPTION.to_bytes(MarketSubscription(self.tokens, custom_feature_enabled=True)))]

    def closed(self, now_ns: int) -> list[MarketAction]:
        self.link.closed(now_ns)
        return self._stale(tuple(self._fresh))

    def tick(self, now_ns: int) -> list[MarketAction]:
        """What the clock says is to be done."""
        actions: list[MarketAction] = list(self.link.tick(now_ns))
        if self.link.state is not State.LIVE:
            actions += self._stale(tuple(self._fresh))
        return actions

    def subscribe(self, tokens: Iterable[str]) -> list[MarketAction]:
        """Add tokens; sent at once while the link is live, else with the next subscription."""
        new = tuple(token for token in dict.fromkeys(tokens) if token not in self._tokens)
        self._tokens.update(dict.fromkeys(new))
        return self._change(SubscriptionChange("subscribe", assets_ids=new, custom_feature_enabled=True)) if new else []

    def unsubscribe(self, tokens: Iterable[str]) -> list[MarketAction]:
        gone = tuple(token for token in dict.fromkeys(tokens) if token in self._tokens)
        for token in gone:
            del self._tokens[token]
        if not gone:
            return []
        return [*self._change(SubscriptionChange("unsubscribe", assets_ids=gone)), *self._stale(gone)]

    def frame(self, frame: bytes, now_ns: int) -> list[MarketAction]:
        """Take one frame as it came; nothing in it raises."""
        if not self.link.heard(frame, now_ns):
            return []
        try:
            messages = market_messages(frame)
        except InvalidResponse as error:
            return [Note(str(error))]
        actions: list[MarketAction] = []
        for message in messages:
            actions += self._message(message, now_ns)
        return actions

    def _message(self, message: MarketMessage | Unread, now_ns: int) -> list[MarketAction]:
        if isinstance(message, Unread):
            return [Note(f"{message.event_type or 'a message'}: {message.why}")]
        actions: list[MarketAction] = []
        if (
            isinstance(message, BookMessage)
            and message.asset_id in self._tokens
            and message.asset_id not in self._fresh
        ):
            self._fresh[message.asset_id] = None
            actions.append(Fresh(message.asset_id))
        actions.append(Data(message))
        try:
            if isinstance(message, TickSizeChange):
                actions += self._tick_changed(message, now_ns)
            elif isinstance(message, MarketResolved):
                actions += self._resolved(message, now_ns)
        except ExecError as error:
            actions.append(Note(str(error)))
        return actions

    def _tick_changed(self, message: TickSizeChange, now_ns: int) -> list[MarketAction]:
        """Both tokens of a market say it; the event is made once."""
        market = self._markets.get(message.market)
        if market is None or self._ticks.get(message.market) == message.new_tick_size:
            return []
        self._ticks[message.market] = message.new_tick_size
        tick_i = market.instrument.grid.price_i(message.new_tick_size)
        return [Emit(TickChanged(MarketId(message.market), tick_i, ns_of(message.timestamp) or now_ns))]

    def _resolved(self, message: MarketResolved, now_ns: int) -> list[MarketAction]:
        """A winner is named: it pays 1, not yet paid. (A 50:50 resolution names none; the settlement then comes by REST.)"""
        market = self._markets.get(message.market)
        if market is None or not message.winning_asset_id:
            return []
        won = market.outcome(message.winning_asset_id) is Outcome.YES
        payoff_i = market.instrument.one_i if won else 0
        return [Emit(Resolved(MarketId(message.market), payoff_i, ns_of(message.timestamp) or now_ns, paid=False))]

    def _change(self, change: SubscriptionChange) -> list[MarketAction]:
        return [Send(SUBSCRIPTION_CHANGE.to_bytes(change))] if self.link.state is State.LIVE else []

    def _stale(self, tokens: tuple[str, ...]) -> list[MarketAction]:
        known = tuple(token for token in tokens if token in self._fresh)
        for token in known:
            del self._fresh[token]
        return [Stale(known)] if known else []
