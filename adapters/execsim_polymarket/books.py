"""The YES books of the run's markets as a MarketSink hears them, from the messages of the market channel.

Both tokens of a market are subscribed to, for trades print on the one that traded; the book is the YES token's. Each book
and each change carries the venue's hash of the book after it: where ours differs, the market has a gap from there on and
the owner asks for a new dump (`Mismatch`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Final

from execsim.core.events import Trade
from execsim.core.instrument import Outcome
from execsim.core.order import MarketId, Side
from execsim.core.units import plain
from execsim.ports import Levels, MarketSink
from execsim_polymarket.book import Given, HashTerms, Scale, TokenBook, last_text
from execsim_polymarket.listing import Listed
from execsim_polymarket.wire.channels import (
    BookMessage,
    LastTradePrice,
    MarketMessage,
    MarketResolved,
    PriceChanges,
    TickSizeChange,
)
from execsim_polymarket.wire.markets import Level
from execsim_polymarket.wire.values import ns_of

TRADES_MAX: Final = 4_096
"""Trades remembered, to know the other token's report of one."""


class Mismatch(Exception):
    """(token,): its book does not have the venue's hash."""


class LiveBook:
    """One market."""

    def __init__(self, listed: Listed, sink: MarketSink) -> None:
        grid = listed.instrument.grid
        self.listed = listed
        self.hashes = 0
        """hashes that matched"""
        self._sink = sink
        self._scale = Scale(grid.price_unit, grid.lot)
        self._book = TokenBook(listed.market.yes_token)
        tick = plain(grid.price(listed.terms.tick_i))
        self._terms = HashTerms(tick, None, listed.min_size, listed.neg_risk)
        self._trades: OrderedDict[tuple[str, int, int], str] = OrderedDict()
        self._dark = False

    @property
    def is_lost(self) -> bool:
        """Whether the sink was told that nothing is known."""
        return self._dark

    def lose(self, now_ns: int) -> None:
        """Nothing is known from here on. No effect when that is so already."""
        self._book.known = False
        if not self._dark:
            self._dark = True
            self._sink.on_gap(self.listed.name, now_ns, True)

    def take(self, message: MarketMessage, now_ns: int) -> None:
        """Errors: Mismatch; ValidationError, InvalidResponse, KeyError for what cannot be read."""
        if isinstance(message, BookMessage):
            self._whole(message, now_ns)
        elif isinstance(message, PriceChanges):
            self._changed(message, now_ns)
        elif isinstance(message, LastTradePrice):
            self._traded(message, now_ns)
        elif isinstance(message, TickSizeChange):
            self._ticked(message, now_ns)
        elif isinstance(message, MarketResolved):
            self._resolved(message, now_ns)

    def _whole(self, message: BookMessage, now_ns: int) -> None:
        if message.asset_id != self._book.asset:
            return
        self._book.replace(self._side(message.bids), self._side(message.asks), message.timestamp)
        before = self._terms.tick
        if message.tick_size:
            self._terms.tick = plain(self.listed.instrument.grid.price(self._scale.prices[message.tick_size]))
        if message.last_trade_price is not None:
            self._terms.last = message.last_trade_price
        self._check(message.timestamp, message.hash or "", message.last_trade_price)
        ts_ns = ns_of(message.timestamp) or now_ns
        if message.tick_size and self._terms.tick != before:  # it moved while nobody listened
            self._sink.on_tick(self.listed.name, ts_ns, self._scale.prices[message.tick_size])
        self._sink.on_snapshot(
            self.listed.name, ts_ns, self._levels(self._book.bids, -1), self._levels(self._book.asks, 1)
        )
        if self._dark:
            self._dark = False
            self._sink.on_gap(self.listed.name, ts_ns, False)

    def _changed(self, message: PriceChanges, now_ns: int) -> None:
        mine = [change for change in message.price_changes if change.asset_id == self._book.asset]
        if not mine or not self._book.known:
            return
        rows: list[tuple[int, int, int]] = []
        for change in mine:
            price_i, lots = self._scale.prices[change.price], self._scale.lots(change.size)
            self._book.apply(change.side is Side.BUY, price_i, change.size, lots == 0)
            rows.append((change.side.sign, price_i, lots))
        self._check(message.timestamp, mine[-1].hash, None)
        self._sink.on_levels(self.listed.name, ns_of(message.timestamp) or now_ns, rows)

    def _traded(self, message: LastTradePrice, now_ns: int) -> None:
        outcome = self.listed.market.outcome(message.asset_id)
        on_no = outcome is Outcome.NO
        traded_i, lots = self._scale.prices[message.price], self._scale.lots(message.size)
        price_i = self._scale.one_i - traded_i if on_no else traded_i
        self._terms.last = last_text(message.price)
        name = message.transaction_hash or ""
        first = self._trades.setdefault((name, price_i, lots), message.asset_id)
        if name and first != message.asset_id:
            return  # the other token's report of the same trade
        while len(self._trades) > TRADES_MAX:
            self._trades.popitem(last=False)
        aggressor = message.side.other if on_no else message.side
        ts_ns = ns_of(message.timestamp) or now_ns
        self._sink.on_trade(Trade(MarketId(self.listed.name), ts_ns, price_i, lots, aggressor, outcome, False))

    def _ticked(self, message: TickSizeChange, now_ns: int) -> None:
        tick_i = self._scale.prices[message.new_tick_size]
        tick = plain(self.listed.instrument.grid.price(tick_i))
        if tick != self._terms.tick:
            self._terms.tick = tick
            self._sink.on_tick(self.listed.name, ns_of(message.timestamp) or now_ns, tick_i)

    def _resolved(self, message: MarketResolved, now_ns: int) -> None:
        if message.winning_asset_id:
            won = self.listed.market.outcome(message.winning_asset_id) is Outcome.YES
            payoff_i = self._scale.one_i if won else 0
            self._sink.on_resolve(self.listed.name, ns_of(message.timestamp) or now_ns, payoff_i)

    def _check(self, stamp: str, want: str, last: str | None) -> None:
        """Errors: Mismatch. The last traded price may have moved unheard of: any that fits will do."""
        if not want:
            return
        head = self._book.head(self.listed.condition, stamp, self._scale.heads)
        given = Given(self._terms.tick, last, self.listed.min_size, self.listed.neg_risk)
        right = self._terms.verify(head, want, given)
        if right:
            self.hashes += 1
        elif right is False:
            raise Mismatch(self._book.asset)

    def _side(self, levels: Iterable[Level]) -> dict[int, str]:
        return {self._scale.prices[level.price]: level.size for level in levels if self._scale.lots(level.size)}

    def _levels(self, side: Mapping[int, str], sign: int) -> Levels:
        """(price_i, lots), best first."""
        return [(price_i, self._scale.lots(side[price_i])) for price_i in sorted(side, key=lambda at: sign * at)]
