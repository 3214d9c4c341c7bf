"""The messages of the native dialect: what each request holds, what answers it, and what the account's stream says.

A request is `{"op": ..., fields of its class}`, answered by `{"ok": true, "result": ...}` or `{"ok": false, "error": ...}`.
Prices, sizes, money and times are integers of the market's grid (hello tells the units); see docs/native.md.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from execsim.core.errors import ExecError, InvalidResponse, VenueError
from execsim.core.events import (
    CancelRefused,
    FillSettled,
    FillVoided,
    MarketClosed,
    MarketResolved,
    OrderAcked,
    OrderAmended,
    OrderFilled,
    OrderGone,
    OrderRefused,
    QueueMoved,
    TickChanged,
    VenueEvent,
)
from execsim.core.instrument import Instrument, InstrumentKind, Outcome
from execsim.core.order import Order, OrderAck, OrderId, OrderType, Side, TimeInForce
from execsim.ports import DeskClock, Response, VenueTraits
from execsim_native.codec import BadMessage, build, error_in, error_out, plain

ID_MAX: Final = 128
"""Characters of an order id."""
PAGE: Final = 500
"""Orders or fills of one answer; the rest comes in further ones."""
BATCH_MAX: Final = 1_000
"""Orders of one batch, whatever the venue allows: a bound of the message."""
BAD_REQUEST: Final = "BAD_REQUEST"
"""Code of a VenueError about a request that is not what the protocol says: nothing was done."""
ORDERS, MARKETS = "orders", "markets"
"""The streams: `orders` the account's events, `markets` market data (all of the venue's markets, or `market`)."""


# ---------------------------------------------------------------------------------------------------- requests
@dataclass(frozen=True, slots=True)
class Nothing:
    """A request without fields."""


@dataclass(frozen=True, slots=True)
class NewOrder:
    """One order; the words are those of `core.order.OrderTerms`."""

    order_id: str
    market: str
    side: Side
    type: OrderType = OrderType.LIMIT
    tif: TimeInForce = TimeInForce.GTC
    outcome: Outcome = Outcome.YES
    price_i: int | None = None
    size_lots: int | None = None
    quote_amount: int | None = None
    expire_ns: int | None = None

    @classmethod
    def of(cls, order: Order) -> NewOrder:
        return cls(
            order.id, order.market, order.side, order.type, order.tif, order.outcome, order.price_i, order.size_lots,
            order.quote_amount, order.expire_ns,
        )  # fmt: skip

    def order(self, instrument: Instrument) -> Order:
        """Errors: BadMessage for what no engine would send; whatever breaks a rule of the venue is left to the venue."""
        if not 0 < len(self.order_id) <= ID_MAX:
            raise BadMessage("order_id", f"should have 1 to {ID_MAX} characters")
        _sensible(self, instrument)
        return Order(
            OrderId(self.order_id), instrument, self.side, self.type, self.tif, self.size_lots, self.quote_amount,
            self.price_i, self.outcome, self.expire_ns,
        )  # fmt: skip


def _sensible(order: NewOrder, instrument: Instrument) -> None:
    market = order.type is OrderType.MARKET
    if (order.size_lots is None) == (order.quote_amount is None):
        raise BadMessage("size_lots", "give exactly one of size_lots and quote_amount")
    if order.quote_amount is not None and (not market or order.side is Side.SELL or order.quote_amount <= 0):
        raise BadMessage("quote_amount", "a positive amount of money is for market buys")
    if order.price_i is None and not market:
        raise BadMessage("price_i", f"a {order.type} order has a price")
    if market and order.tif is TimeInForce.GTD:
        raise BadMessage("tif", "a market order never rests: ioc or fok (gtc means ioc)")
    if order.type is OrderType.POST_ONLY and order.tif not in (TimeInForce.GTC, TimeInForce.GTD):
        raise BadMessage("tif", "a post_only order rests: gtc or gtd")
    if (order.tif is TimeInForce.GTD) != (order.expire_ns is not None):
        raise BadMessage("expire_ns", "the time at which a gtd order ends, for gtd orders alone")
    if order.outcome is Outcome.NO and instrument.kind is not InstrumentKind.BINARY:
        raise BadMessage("outcome", "a spot market has no NO side")


@dataclass(frozen=True, slots=True)
class Batch:
    """Several orders, judged one by one."""

    orders: tuple[NewOrder, ...]


@dataclass(frozen=True, slots=True)
class Named:
    """An order of the account."""

    order_id: str


@dataclass(frozen=True, slots=True)
class Amend:
    """A new price, a new total size, or both."""

    order_id: str
    price_i: int | None = None
    size_lots: int | None = None


@dataclass(frozen=True, slots=True)
class AskOpen:
    """Open orders (of a market), `skip` of them left out: those of the pages before."""

    market: str | None = None
    skip: int = 0


@dataclass(frozen=True, slots=True)
class AskFills:
    """Fills at or after `since_ns`, oldest first, `skip` of them left out."""

    since_ns: int = 0
    skip: int = 0


@dataclass(frozen=True, slots=True)
class AskBook:
    """The best `levels` of a market's book."""

    market: str
    levels: int = 10


@dataclass(frozen=True, slots=True)
class Sets:
    """Tokens of a market changing form: split and merge take `lots`, redeem takes all."""

    market: str
    lots: int = 0


@dataclass(frozen=True, slots=True)
class Convert:
    """NO tokens of some outcomes of an event."""

    markets: tuple[str, ...]
    lots: int


@dataclass(frozen=True, slots=True)
class WatchQueue:
    """Report when the lots ahead of an order have changed by `percent`."""

    order_id: str
    percent: int


@dataclass(frozen=True, slots=True)
class SwitchFault:
    """Begin a fault pack, with parameters, or end it."""

    pack: str
    on: bool = True
    params: dict[str, Any] = field(default_factory=dict)


REQUESTS: Final[Mapping[str, type]] = {
    "hello": Nothing, "go": Nothing, "place": NewOrder, "batch": Batch, "cancel": Named, "amend": Amend,
    "status": Named, "open": AskOpen, "fills": AskFills, "balances": Nothing, "health": Nothing, "markets": Nothing,
    "book": AskBook, "split": Sets, "merge": Sets, "redeem": Sets, "convert": Convert, "watch_queue": WatchQueue,
    "faults": Nothing, "fault": SwitchFault,
}  # fmt: skip
"""What can be asked, and the class of its fields."""


# ---------------------------------------------------------------------------------------------------- answers
@dataclass(frozen=True, slots=True)
class Welcome:
    """What hello tells: the venue's markets and rules, and its clock."""

    venue: str
    account: str
    traits: VenueTraits
    clock: DeskClock
    instruments: tuple[Instrument, ...]


@dataclass(frozen=True, slots=True)
class BatchItem:
    """What became of one order of a batch."""

    ack: OrderAck | None = None
    error: ExecError | None = None


def success(result: Any) -> Response:
    return Response(200, {}, dump({"ok": True, "result": plain(result)}))


def refusal(error: ExecError) -> Response:
    return Response(400, {}, dump({"ok": False, "error": error_out(error)}))


def page(items: Sequence[Any], skip: int) -> dict[str, Any]:
    """The items behind the first `skip`, as many as one answer holds, and how many are left behind those."""
    return {"items": items[skip : skip + PAGE], "left": max(0, len(items) - skip - PAGE)}


def dump(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def load(raw: bytes) -> dict[str, Any]:
    """Errors: BadMessage."""
    try:
        value = json.loads(raw.decode())
    except (ValueError, RecursionError):
        raise BadMessage("", "not a JSON object") from None
    if not isinstance(value, dict):
        raise BadMessage("", "not a JSON object")
    return value


def request_of(op: str, body: bytes) -> Any:
    """The fields of a request. Errors: BadMessage."""
    kind = REQUESTS.get(op)
    if kind is None:
        raise BadMessage("op", f"{op[:64]!r} is none of: {', '.join(REQUESTS)}, subscribe, unsubscribe")
    return build(kind, load(body or b"{}"))


def bad_request(venue: str, error: BadMessage) -> VenueError:
    return VenueError(venue, BAD_REQUEST, str(error))


def result_of(response: Response, venue: str) -> Any:
    """What an answer says, still plain. Errors: the venue's refusal; InvalidResponse."""
    try:
        answer = load(response.body)
    except BadMessage as error:
        raise InvalidResponse(venue, "bad_message", f"{error}: {response.body[:200]!r}") from None
    if answer.get("ok") is True:
        return answer.get("result")
    if answer.get("ok") is not False:
        raise InvalidResponse(venue, "bad_message", f"neither yes nor no: {response.body[:200]!r}")
    raise error_in(answer.get("error"), venue)


# ---------------------------------------------------------------------------------------------------- the orders stream
EVENTS: Final[Mapping[str, type]] = {
    "acked": OrderAcked, "refused": OrderRefused, "filled": OrderFilled, "gone": OrderGone,
    "cancel_refused": CancelRefused, "amended": OrderAmended, "fill_voided": FillVoided, "fill_settled": FillSettled,
    "queue_moved": QueueMoved, "closed": MarketClosed, "resolved": MarketResolved, "tick": TickChanged,
}  # fmt: skip
EVENT_NAMES: Final = {kind: name for name, kind in EVENTS.items()}
OPENED: Final = "opened"
"""The first frame of every stream: whatever happens from here on is on it."""


def opened_frame(now_ns: int) -> bytes:
    return dump({"seq": 0, "kind": OPENED, "now_ns": now_ns})


def event_frame(seq: int, event: VenueEvent) -> bytes:
    return dump({"seq": seq, "kind": EVENT_NAMES[type(event)], "event": plain(event)})


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame of a stream: `seq` counts them from 0, so that a missing one shows."""

    seq: int
    kind: str
    fields: Mapping[str, Any]


def frame_of(raw: bytes) -> Frame:
    """Errors: BadMessage; the ExecError with which the venue ended the stream."""
    fields = load(raw)
    if fields.get("ok") is False:
        raise error_in(fields.get("error"), "native")
    seq, kind = fields.get("seq"), fields.get("kind")
    if type(seq) is not int or not isinstance(kind, str):
        raise BadMessage("", "a frame has seq and kind")
    return Frame(seq, kind, fields)


def event_of(frame: Frame) -> VenueEvent:
    """Errors: BadMessage."""
    kind = EVENTS.get(frame.kind)
    if kind is None:
        raise BadMessage("kind", f"{frame.kind[:64]!r} is none of: {', '.join(EVENTS)}")
    event: VenueEvent = build(kind, frame.fields.get("event"), "event")
    return event
