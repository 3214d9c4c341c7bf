"""One account: its orders, what it may ask about them, and the news its user channels get.

The exchange's books are the truth: orders and trades are read from there, over the account's line, so that latency, limits
and faults are between. What is kept here is what the exchange does not know: messages as they were posted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Sequence
from decimal import Decimal
from typing import Any, Final

from execsim.core.errors import ExecError, NetworkError, Reached
from execsim.core.events import FillSettled, FillVoided, OrderFilled, OrderGone, OrderRefused, VenueEvent
from execsim.core.fees import Liquidity
from execsim.core.order import CancelAck, Fill, FillStatus, OrderId, OrderReport, OrderStatus, Side
from execsim.core.units import NS_PER_MS, NS_PER_S
from execsim.ports import Desk, Runtime
from execsim_polymarket.dialect.clock import VenueClock
from execsim_polymarket.dialect.judge import Posted
from execsim_polymarket.dialect.notices import Notice, Notices, order_payload
from execsim_polymarket.dialect.refusals import refused
from execsim_polymarket.dialect.trades import STATES, amounts_of, listed, tidy, told, trade_id, trade_of
from execsim_polymarket.wire.channels import UserMessage, UserOrder
from execsim_polymarket.wire.trading import CancelAnswer, OpenOrder, OrderAnswer, TradeRecord

ENDED_MAX: Final = 10_000
"""Ended orders of an account that can still be asked about (as long as the exchange remembers them)."""
GONE: Final = "Order not found or already canceled"
MATCHED: Final = "Order already matched"
RESOLVED: Final = "market resolved"

UserSink = Callable[[UserMessage], None]


class Trader:
    """`address` is the EOA, whichever of its wallets it trades for. `seen` are the hashes of all orders the venue took."""

    def __init__(self, desk: Desk, address: str, clock: VenueClock, seen: set[str]) -> None:
        desk.open_account(address)
        self.address = address
        self.adapter = desk.adapter(address)
        self._desk = desk
        self._clock = clock
        self._seen = seen
        self._posted: dict[str, Posted] = {}
        self._open: dict[str, None] = {}
        self._ended: deque[str] = deque()
        self._unsettled: dict[str, tuple[Posted, TradeRecord]] = {}
        self.sinks: list[UserSink] = []
        self.notices = Notices()
        desk.listen(address, self._hear)

    # ---------------------------------------------------------------- placing
    def take(self, posted: Posted) -> None:
        """It is on its way to the engine: known from now on."""
        self._seen.add(posted.id)
        self._posted[posted.id] = posted
        self._open[posted.id] = None

    def _refuse(self, posted: Posted, error: ExecError) -> None:
        """It came to nothing, unless nobody knows that."""
        if isinstance(error, NetworkError) and error.reached is not Reached.NO:
            return
        self._seen.discard(posted.id)
        self._posted.pop(posted.id, None)
        self._open.pop(posted.id, None)

    async def place(self, posted: Posted) -> OrderAnswer:
        """Send an order that was taken. Errors: ExecError: the exchange's or a fault's."""
        try:
            await self.adapter.place_order(posted.order)
        except ExecError as error:
            self._refuse(posted, error)
            raise
        return self._placed(posted)

    async def place_batch(self, several: Sequence[Posted]) -> list[OrderAnswer]:
        """As `place`; refusals become entries. Errors: what befell the request as a whole."""
        answers: list[OrderAnswer] = []
        found = await self.adapter.place_batch([posted.order for posted in several])
        whole = found[0]
        if isinstance(whole, ExecError) and refused(whole)[0] not in (400, 404) and all(one is whole for one in found):
            for posted in several:
                self._refuse(posted, whole)
            raise whole
        for posted, one in zip(several, found, strict=True):
            if isinstance(one, ExecError):
                self._refuse(posted, one)
                answers.append(refused_entry(one, posted.id))
            elif isinstance(one, Exception):
                raise one
            else:
                answers.append(self._placed(posted))
        return answers

    def _placed(self, posted: Posted) -> OrderAnswer:
        """What the engine did with it on arrival: what it took then stands in the answer."""
        record = self._desk.record(self.address, posted.order.id)
        fills = [] if record is None else [f for f in record.report.fills if f.liquidity is Liquidity.TAKER]
        status = "matched" if fills else "delayed" if record is not None and record.delayed else "live"
        self._tell(self._news(posted, "PLACEMENT", status.upper() if status != "matched" else "LIVE", 0))
        if not fills:
            return OrderAnswer(True, "", posted.id, status, "", "")
        making, taking = amounts_of(posted, fills)
        names = tuple(dict.fromkeys(trade_id(posted, fill) for fill in fills))
        return OrderAnswer(True, "", posted.id, status, making, taking, (), names)

    # ---------------------------------------------------------------- cancelling
    async def cancel(self, ids: Iterable[str]) -> CancelAnswer:
        """Cancel own orders by hash; those of others are not found, like those there never were."""
        wanted = list(dict.fromkeys(ids))
        mine = [name for name in wanted if name in self._posted]
        acks = await together(self._desk.runtime, [self.adapter.cancel_order(OrderId(name)) for name in mine])
        if len(wanted) == 1 and acks and isinstance(acks[0], ExecError):
            raise acks[0]
        gone, kept = [], {name: GONE for name in wanted if name not in self._posted}
        for name, ack in zip(mine, acks, strict=True):
            if isinstance(ack, CancelAck) and ack.cancelled:
                gone.append(name)
                self._cancelled(name)
            else:
                kept[name] = self._why(name, ack)
        return CancelAnswer(tuple(gone), kept)

    def _why(self, name: str, ack: CancelAck | ExecError) -> str:
        if isinstance(ack, ExecError):
            return refused(ack, name)[1]
        record = self._desk.record(self.address, OrderId(name))
        return MATCHED if record is not None and record.report.status is OrderStatus.FILLED else ack.reason

    async def cancel_where(self, wanted: Callable[[Posted], bool]) -> CancelAnswer:
        """Cancel every open order of a kind; those that turn out to be gone are not spoken of."""
        names = [name for name in self._open if wanted(self._posted[name])]
        if not names:
            return CancelAnswer()
        answer = await self.cancel(names)
        still = {name: why for name, why in answer.not_canceled.items() if why not in (GONE, MATCHED)}
        return CancelAnswer(answer.canceled, still)

    # ---------------------------------------------------------------- questions
    async def order(self, name: str) -> OpenOrder | None:
        """Errors: ExecError."""
        posted = self._posted.get(name)
        if posted is None:
            return None
        return self._row(posted, await self.adapter.get_order_status(posted.order.id))

    def scores(self, name: str) -> bool:
        """Whether an own order earns rewards now; False for any that is not there."""
        posted = self._posted.get(name)
        return posted is not None and self._desk.scores(self.address, posted.order.id)

    async def open_orders(self) -> list[OpenOrder]:
        """Oldest first. Errors: ExecError."""
        reports = await self.adapter.get_open_orders()
        return [self._row(self._posted[r.order_id], r) for r in reports if r.order_id in self._posted]

    async def trades(self) -> list[TradeRecord]:
        """Newest first. Errors: ExecError."""
        fills = await self.adapter.get_fills(0)
        known = [(self._posted[fill.order_id], fill) for fill in fills if fill.order_id in self._posted]
        return [listed(trade_of(posted, fill, self._clock)) for posted, fill in reversed(known)]

    def _row(self, posted: Posted, report: OrderReport) -> OpenOrder:
        grid, listing, order = posted.listing.instrument.grid, posted.listing, posted.order
        status = "LIVE"
        if report.status.is_terminal:
            full = report.status is OrderStatus.FILLED or self._is_spent(posted)
            status = "MATCHED" if full else "CANCELED"
        trades = tuple(dict.fromkeys(trade_id(posted, fill) for fill in report.fills))
        return OpenOrder(
            posted.id, status, posted.post.owner, posted.post.order.maker, listing.condition_id, posted.token, order.side,
            _size(posted), tidy(grid.size(report.filled_lots)), tidy(grid.price(order.price_i or 0)),
            order.outcome.value.capitalize(), str(posted.post.order.expiration_s), posted.post.order_type,
            posted.created_ns // NS_PER_S, trades,
        )  # fmt: skip

    # ---------------------------------------------------------------- news
    def _hear(self, event: VenueEvent) -> None:
        if isinstance(event, OrderFilled):
            self._filled(event.fill, event.done)
        elif isinstance(event, FillSettled):
            self._settled(event.fill_id, event.status)
        elif isinstance(event, FillVoided):
            self._settled(event.fill_id, FillStatus.VOIDED)
        elif isinstance(event, OrderRefused):
            late = self._posted.get(
                event.order_id
            )  # its answer was lost or late: now it is known that it came to nothing
            if late is not None:
                self._refuse(late, event.error)
        elif isinstance(event, OrderGone):
            posted = self._posted.get(event.order_id)
            if posted is not None and self._is_spent(posted):
                self._forget(posted.id)
            elif posted is not None:
                status = "CANCELED_EXPIRED_ORDER" if event.lapsed else f"CANCELED_{event.reason}"
                self._over(posted, "CANCELED_MARKET_RESOLVED" if event.reason == RESOLVED else status)

    def _is_spent(self, posted: Posted) -> bool:
        """A market BUY that spent its money but for the unit that rounding left is matched, whatever the engine calls it."""
        target, record = posted.order.quote_amount, self._desk.record(self.address, posted.order.id)
        spent = 0 if record is None else sum(abs(fill.cash) for fill in record.report.fills)
        return target is not None and spent >= target - 1

    def _filled(self, fill: Fill, done: bool) -> None:
        posted = self._posted.get(fill.order_id)
        if posted is None:
            return
        trade = trade_of(posted, fill, self._clock)
        states = ["MATCHED"]
        if fill.status is FillStatus.CONFIRMED:
            states += ["MINED", "CONFIRMED"]  # no chain in between: all at once
        else:
            self._unsettled[str(fill.id)] = (posted, trade)
        for state in states:
            self._tell(told(trade, state, self._clock.now_ns()))
        self._notify(Notice.FILLED, posted, trade)
        self._tell(self._news(posted, "UPDATE", "MATCHED" if done else "LIVE", self._matched(posted)))
        if done:
            self._forget(posted.id)

    def _settled(self, fill_id: str, status: FillStatus) -> None:
        known = self._unsettled.get(fill_id)
        if known is None:
            return
        posted, trade = known
        if status in (FillStatus.CONFIRMED, FillStatus.VOIDED):
            del self._unsettled[fill_id]
        if status is FillStatus.VOIDED:
            self._notify(Notice.FAILED, posted, trade)
        self._tell(told(trade, STATES[status], self._clock.now_ns()))

    def _cancelled(self, name: str) -> None:
        posted = self._posted.get(name)
        if posted is not None:
            self._over(posted, "CANCELED")

    def _over(self, posted: Posted, status: str) -> None:
        self._tell(self._news(posted, "CANCELLATION", status, self._matched(posted)))
        self._notify(Notice.CANCELLED, posted)
        self._forget(posted.id)

    def _notify(self, kind: Notice, posted: Posted, trade: TradeRecord | None = None) -> None:
        instrument, size = posted.listing.instrument, _size(posted)
        matched = instrument.grid.size(self._matched(posted))
        used = matched
        if posted.order.quote_amount is not None:
            record = self._desk.record(self.address, posted.order.id)
            used = instrument.quote.decimal(sum(abs(fill.cash) for fill in record.report.fills) if record else 0)
        payload = order_payload(posted, size, matched, max(size - used, Decimal(0)), trade)
        self.notices.add(kind, posted.post.owner, self._clock.now_ns(), payload)

    def _forget(self, name: str) -> None:
        if name in self._open:
            del self._open[name]
            self._ended.append(name)
            if len(self._ended) > ENDED_MAX:
                self._posted.pop(self._ended.popleft(), None)

    def _matched(self, posted: Posted) -> int:
        record = self._desk.record(self.address, posted.order.id)
        return 0 if record is None else record.report.filled_lots

    def _news(self, posted: Posted, kind: Any, status: str, matched_lots: int) -> UserOrder:
        grid, order, now_ns = posted.listing.instrument.grid, posted.order, self._clock.now_ns()
        record = self._desk.record(self.address, order.id)
        fills = () if record is None else record.report.fills
        return UserOrder(
            posted.id, posted.listing.condition_id, posted.token, order.side, tidy(grid.price(order.price_i or 0)),
            _size(posted), tidy(grid.size(matched_lots)), kind, str(now_ns // NS_PER_MS), posted.post.owner,
            posted.post.owner, order.outcome.value.capitalize(), posted.post.order_type, status, posted.post.order.maker,
            str(posted.created_ns // NS_PER_S), str(posted.post.order.expiration_s),
            tuple(dict.fromkeys(trade_id(posted, fill) for fill in fills)),
        )  # fmt: skip

    def _tell(self, message: UserMessage) -> None:
        for sink in list(self.sinks):
            sink(message)


def refused_entry(error: ExecError, name: str = "") -> OrderAnswer:
    """A refused entry of a batch."""
    return OrderAnswer(True, refused(error, name)[1], "", "", "", "")


def _size(posted: Posted) -> Any:
    """Shares, or the pUSD of a FOK or FAK BUY."""
    order = posted.order
    if order.quote_amount is not None and order.side is Side.BUY:
        return tidy(order.instrument.quote.decimal(order.quote_amount))
    return tidy(order.instrument.grid.size(order.size_lots or 0))


async def together(runtime: Runtime, works: Sequence[Coroutine[Any, Any, Any]]) -> list[Any]:
    """Do several things at once; results in order, an ExecError in the place of what failed."""
    waits = [runtime.pending("one of several") for _ in works]

    async def one(number: int, work: Coroutine[Any, Any, Any]) -> None:
        try:
            waits[number].set(await work)
        except ExecError as error:
            waits[number].set(error)

    for number, work in enumerate(works):
        runtime.spawn(one(number, work), f"one of several {number}", daemon=True)
    return [await wait for wait in waits]
