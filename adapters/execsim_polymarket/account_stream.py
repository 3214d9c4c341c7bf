"""The user channel of an account: its machine (`session`) on a socket, and the questions it asks served.

Questions are asked one after another in a task of their own, so that frames are read meanwhile; one that fails is asked
again after a pause, as long as it takes: nothing is believed missing because an answer was.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from execsim.core.errors import ExecError, NetworkError, Reached
from execsim.core.events import OrderGone, VenueEvent
from execsim.core.order import Fill, Order
from execsim.core.units import NS_PER_MS, NS_PER_S
from execsim.ports import Pending, Runtime, Transport
from execsim_polymarket.auth import ApiKey
from execsim_polymarket.channel import Channel
from execsim_polymarket.fills import Market
from execsim_polymarket.order_news import OrderNews
from execsim_polymarket.session import (
    QUIET_NS,
    AskOrder,
    AskOrders,
    AskTrades,
    Emit,
    Filled,
    Note,
    Ticket,
    UserAction,
    UserSession,
)
from execsim_polymarket.signing import USER_CHANNEL
from execsim_polymarket.wire.trading import OpenOrder
from execsim_polymarket.wire.values import VENUE

if TYPE_CHECKING:
    from execsim_polymarket.client import PolymarketVenue

log = logging.getLogger("execsim.polymarket")

PAUSE_NS: Final = 500 * NS_PER_MS
PAUSE_NS_MAX: Final = 15 * NS_PER_S
Ask = AskOrders | AskTrades | AskOrder


class AccountStream:
    """Events to `hear`."""

    def __init__(
        self, venue: PolymarketVenue, runtime: Runtime, transport: Transport, markets: Mapping[str, Market],
        hear: Callable[[VenueEvent], None],
    ) -> None:  # fmt: skip
        self._venue = venue
        self._runtime = runtime
        self.news = OrderNews(runtime, hear)
        rng = runtime.rng("polymarket.user")
        self.session = UserSession(ApiKey(venue.identity.address, "", "", ""), markets, jitter=rng.below)
        self._channel = Channel(runtime, transport, USER_CHANNEL, self.session, self._do)
        self._asks: dict[Ask, None] = {}
        self._more: Pending[None] = runtime.pending("a question to the venue")
        self._ready: Pending[None] | None = None
        self._opened = 0

    def begin(self, spawn: Callable[[Coroutine[Any, Any, None], str], object], ready: Pending[None]) -> None:
        """`ready` is settled when the first connection's questions are answered."""
        self._ready = ready
        spawn(self._serve(), "questions")
        spawn(self._watch(), "watch of the user channel")
        spawn(self._channel.run(), "user channel")

    # own orders

    def sending(self, ticket: Ticket) -> None:
        """Errors: NetworkError, reached no, while the channel is down (fills of a new order would be heard of late), and
        while a trade of an own order cannot be read (what is held is not known)."""
        for why in self.session.unread.values():
            raise NetworkError(VENUE, f"not sent: {why}", Reached.NO.value)
        down_ns = self.session.down_ns(self._runtime.now_ns())
        if down_ns:
            what = f"not sent: the user channel has been down for {down_ns // NS_PER_S} s"
            raise NetworkError(VENUE, what, Reached.NO.value)
        self.session.track(ticket)
        self.news.sending(ticket.order_id)

    def remember(self, ticket: Ticket, order: Order, fills: Iterable[Fill]) -> None:
        """An order of a journal, and what is booked of it."""
        self.session.track(ticket, fills)
        if order.is_terminal:
            self.session.refused(ticket.venue_order_id)
        elif order.venue_order_id:
            self.session.answered(ticket.venue_order_id, self._runtime.now_ns())

    def answered(self, ticket: Ticket, final_lots: int | None = None, whole: bool = False) -> None:
        """The venue took the order. What was kept back until now, and what follows from the answer, is told after it: the
        engine books the answer first."""
        actions = self.session.answered(ticket.venue_order_id, self._runtime.now_ns(), final_lots, whole)
        filled = any(isinstance(action, Filled) for action in actions)
        marked = self.news.answered(ticket.order_id, filled)
        if filled and not marked:  # its fills were told long ago, as parts: only its end is news
            gone = OrderGone(ticket.order_id, "nothing is left to trade", False, self._runtime.now_ns())
            actions = [Emit(gone)]
        if actions:
            self._runtime.call_at(self._runtime.now_ns(), self._all, actions)

    def refused(self, venue_order_id: str) -> None:
        """Refused, or cancelled by us: the engine knows that it is over."""
        self.session.refused(venue_order_id)

    def cancelled_besides(self, venue_order_id: str) -> None:
        """Cancelled by a call that named no orders: the engine hears of it as of any cancel of the venue."""
        self._all(self.session.cancelled(venue_order_id, self._runtime.now_ns()))

    def told(self, venue_order_id: str, row: OpenOrder) -> None:
        """What the venue said of an order when it was asked."""
        self._all(self.session.told_order(venue_order_id, row, self._runtime.now_ns()))

    # actions

    async def _watch(self) -> None:
        """A channel that says nothing is not believed: while own orders are open, they are asked about."""
        while True:
            await self._runtime.sleep(QUIET_NS)
            self._all(self.session.quiet(self._runtime.now_ns()))

    def _all(self, actions: Iterable[UserAction]) -> None:
        for action in actions:
            self._do(action)

    def _do(self, action: UserAction) -> None:
        if isinstance(action, Emit):
            self.news.take(action.event)
        elif isinstance(action, AskOrders | AskTrades | AskOrder):
            self._count_opened()
            self._asks.setdefault(action)
            self._more.set(None)
        elif isinstance(action, Note):
            log.warning("polymarket: %s", action.what)

    def _count_opened(self) -> None:
        """Each connection begins with questions: tell of those after the first."""
        opened, self._opened = self._opened, self.session.link.opened_count
        if 0 < opened < self._opened:
            log.warning("polymarket: the user channel is back: orders and trades are read again")
            self._venue.reconnected()

    async def _serve(self) -> None:
        pause_ns = PAUSE_NS
        while True:
            if not self._asks:
                if self._ready is not None and self.session.link.opened_count:
                    self._ready.set(None)
                self._more = self._runtime.pending("a question to the venue")
                await self._more
            ask = next(iter(self._asks))
            del self._asks[ask]
            try:
                self._all(await self._answer(ask))
                pause_ns = PAUSE_NS
            except ExecError as error:
                log.warning("polymarket: %s: %s; asked again", type(ask).__name__, error)
                self._asks.setdefault(ask)
                await self._runtime.sleep(pause_ns)
                pause_ns = min(PAUSE_NS_MAX, 2 * pause_ns)

    async def _answer(self, ask: Ask) -> list[UserAction]:
        venue, session, runtime = self._venue, self.session, self._runtime
        if isinstance(ask, AskOrders):
            rows = await venue.open_rows()
            return session.told_orders(rows, runtime.now_ns())
        if isinstance(ask, AskTrades):
            trades = await venue.trade_rows(ask.after_s)
            return session.told_trades(trades, runtime.now_ns())
        row = await venue.order_row(ask.venue_order_id)
        return session.told_order(ask.venue_order_id, row, runtime.now_ns())
