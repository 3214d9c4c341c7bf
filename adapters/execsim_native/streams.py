"""The two streams of an adapter, over lost connections: subscribe, notice what is missing, make it good, subscribe again."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from execsim.core.errors import AuthenticationError, ExecError, NetworkError, OrderNotFound
from execsim.core.events import VenueEvent
from execsim.core.order import OrderId, OrderReport
from execsim.core.units import NS_PER_MS, NS_PER_S
from execsim.ports import FrameStream, MarketSink, MarketState, Pending, Runtime, Transport
from execsim_native import wire
from execsim_native.codec import BadMessage
from execsim_native.market import publish
from execsim_native.memory import AccountMemory

if TYPE_CHECKING:
    from execsim_native.client import NativeVenue

log = logging.getLogger("execsim.native")

RETRY_NS: Final = 50 * NS_PER_MS
RETRY_NS_MAX: Final = 2 * NS_PER_S
"""Wait before a new attempt to subscribe: doubled from the one to the other, from the start again once one has held."""


class Missing(Exception):
    """(what,): the stream is not whole any more."""


Hear = Callable[[wire.Frame], Awaitable[bool]]
"""Takes one frame; False: nothing more is wanted."""


class Numbered:
    """One subscription after another; frames in order, each checked to be the next."""

    def __init__(self, runtime: Runtime, transport: Transport, url: str) -> None:
        self._runtime = runtime
        self._transport = transport
        self._url = url
        self._retry_ns = RETRY_NS

    async def once(self, hear: Hear) -> str:
        """One subscription; why it ended, "" if `hear` wants no more. Errors: what `hear` raises; what refused it."""
        stream = self._transport.stream(self._url)
        try:
            await self._frames(stream, hear)
        except (Missing, BadMessage, NetworkError) as error:
            return str(error)
        finally:
            await stream.aclose()
        return ""

    async def _frames(self, stream: FrameStream, hear: Hear) -> None:
        expected = 0
        async for raw in stream:
            frame = wire.frame_of(raw)
            if frame.seq != expected:
                raise Missing(f"frame {expected} is missing, {frame.seq} came")
            expected += 1
            if not await hear(frame):
                return
            if frame.seq == 0:
                self._retry_ns = RETRY_NS
        raise Missing("the venue ended the stream")

    async def rest(self) -> None:
        await self._runtime.sleep(self._retry_ns)
        self._retry_ns = min(RETRY_NS_MAX, 2 * self._retry_ns)


class AccountStream:
    """The account's events to `hear`. After a loss it asks for open orders and fills, and tells what was missed."""

    def __init__(
        self, venue: NativeVenue, runtime: Runtime, transport: Transport, hear: Callable[[VenueEvent], None]
    ) -> None:
        self._venue = venue
        self._runtime = runtime
        self._hear = hear
        self._frames = Numbered(runtime, transport, f"{wire.ORDERS}?{_who(venue)}")
        self._memory: AccountMemory | None = None
        self._opened: Pending[None] | None = None
        self._behind = False
        """whether something may have been missed since the last resync"""

    def alive(self, order_id: OrderId) -> None:
        if self._memory is not None:
            self._memory.alive(order_id)

    def ended(self, order_id: OrderId) -> None:
        if self._memory is not None:
            self._memory.ended(order_id)

    async def run(self, opened: Pending[None], welcome: wire.Welcome) -> None:
        """Until cancelled. `opened` is settled once nothing can be missed any more, or fails with what the venue has
        against the first subscription."""
        as_listed = [MarketState(i.market, i.tick_i, True, False) for i in welcome.instruments]
        self._memory = AccountMemory(welcome.clock.now_ns, as_listed)
        self._opened = opened
        while True:
            try:
                why = await self._frames.once(self._frame)
            except ExecError as error:
                why = str(error)
                opened.fail(error)
                if isinstance(error, AuthenticationError):
                    await self._greet()
            self._behind = opened.done
            log.warning("%s: the account's events are interrupted: %s", self._venue.venue_id, why)
            await self._frames.rest()

    async def list_open(self) -> None:
        """Learn of orders from before we listened (a process that was killed left them), so that their end is told too.
        Asked until it is answered; one that ends in an outage before that is left to the engine's reconciliation."""
        retry_ns = RETRY_NS
        while True:
            try:
                await self._venue.get_open_orders()
                return
            except ExecError as error:
                log.warning("%s: no list of open orders yet: %s", self._venue.venue_id, error)
            await self._runtime.sleep(retry_ns)
            retry_ns = min(RETRY_NS_MAX, 2 * retry_ns)

    async def _greet(self) -> None:
        """An exchange that was started anew does not know the account."""
        try:
            await self._venue.hello()
        except ExecError as error:
            log.warning("%s: hello: %s", self._venue.venue_id, error)

    async def _frame(self, frame: wire.Frame) -> bool:
        assert self._memory is not None
        if frame.kind == wire.OPENED:
            await self._catch_up()
            return True
        event = wire.event_of(frame)
        if not self._memory.is_echo(event):
            self._memory.heard(event)
            self._hear(event)
        return True

    async def _catch_up(self) -> None:
        assert self._memory is not None
        assert self._opened is not None
        if self._behind:
            await self._resync(self._memory)
            self._venue.reconnected()
        else:
            states = await self._venue.market_states()
            now_ns = (await self._venue.hello()).clock.now_ns
            for event in self._memory.missed((), {}, (), states, now_ns):
                self._hear(event)
        self._behind = False
        self._opened.set(None)

    async def _resync(self, memory: AccountMemory) -> None:
        """Ask what we missed and tell it. Errors: ExecError: the subscription is given up and tried again.

        An order the venue had booked, does not list and cannot find has ended, that is certain (it forgot it, or was started
        anew). So we say so here: the engine might never ask, its periodic reconciliation is optional."""
        venue = self._venue
        open_orders = await venue.get_open_orders()
        reports: dict[OrderId, OrderReport] = {}
        lost: list[OrderId] = []
        for order_id in memory.suspects(report.order_id for report in open_orders):
            try:
                reports[order_id] = await venue.get_order_status(order_id)
            except OrderNotFound:
                log.warning("%s does not know order %s any more", venue.venue_id, order_id)
                lost.append(order_id)
        fills = await venue.get_fills(memory.since_ns)
        states = await venue.market_states()
        now_ns = (await venue.hello()).clock.now_ns
        found = memory.missed(fills, reports, lost, states, now_ns)
        counts = Counter(type(event).__name__ for event in found)
        what = ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "nothing"
        log.warning("%s: the account's events are back; missed: %s", venue.venue_id, what)
        for event in found:
            self._hear(event)


class MarketStream:
    """Market data of a venue to a sink; while the connection is lost every market has a gap."""

    def __init__(
        self, venue: NativeVenue, runtime: Runtime, transport: Transport, sink: MarketSink, markets: Sequence[str]
    ) -> None:
        self._venue = venue
        self._runtime = runtime
        self._sink = sink
        self._markets = markets
        self._frames = Numbered(runtime, transport, f"{wire.MARKETS}?{_who(venue)}")
        self._dark = False

    async def run(self) -> None:
        """Until the data ends, or cancelled."""
        while True:
            try:
                why = await self._frames.once(self._frame)
            except ExecError as error:
                why = str(error)
            if not why:
                return
            log.warning("%s: market data are interrupted: %s", self._venue.venue_id, why)
            if not self._dark:
                self._dark = True
                for market in self._markets:
                    self._sink.on_gap(market, self._runtime.now_ns(), True)
            await self._frames.rest()

    async def _frame(self, frame: wire.Frame) -> bool:
        if frame.kind == wire.OPENED:
            if self._dark:
                self._dark = False
                self._venue.reconnected()
                for market in self._markets:
                    self._sink.on_gap(market, frame.fields.get("now_ns", 0), False)
            return True
        return publish(frame, self._sink)


def _who(venue: NativeVenue) -> str:
    return urlencode({"account": venue.account, "venue": venue.venue_id})
