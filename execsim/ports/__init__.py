"""The seams of execsim, as protocols. Engine, strategies and the simulated exchange are written on these only.

Runtime       axis 1: what time it is and how to wait (virtual: SimPy, wall: asyncio)
VenueAdapter  axis 2: where orders go (simulated exchange, or a real venue's adapter)
Feed          where market data comes from: drives a `FeedSink`
BookView      the strategy's own books
Journal       the append-only record
Transport     request -> answer, stream -> frames: what lets an adapter run over sockets, in memory or from a recording
LiveVenue     a venue behind a Transport: a VenueAdapter that connects, brings market data (`MarketSink`) and is closed
MarketSource  a venue's public market data alone
Dialect, Desk the simulated exchange behind a venue's own protocol (`execsim serve`)

Everything is imported from here; `runtime` (time and tasks), `feed` (market data), `record` (journal, session log) and
`desk` (what a desk tells) have files of their own, and so has `crew`, the tasks of an adapter.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from execsim.core.errors import ConfigError, ExecError
from execsim.core.events import Depth, VenueEvent
from execsim.core.instrument import Instrument
from execsim.core.limits import LimitRule
from execsim.core.order import CancelAck, Fill, Order, OrderAck, OrderId, OrderReport, VenueId
from execsim.core.request import RequestKind
from execsim.core.units import NS_PER_S
from execsim.ports.crew import Crew as Crew
from execsim.ports.desk import Budget as Budget
from execsim.ports.desk import DeskClock as DeskClock
from execsim.ports.desk import FaultState as FaultState
from execsim.ports.desk import Hours as Hours
from execsim.ports.desk import MarketState as MarketState
from execsim.ports.desk import OrderRecord as OrderRecord
from execsim.ports.desk import RewardTerms as RewardTerms
from execsim.ports.feed import BookReader as BookReader
from execsim.ports.feed import BookView as BookView
from execsim.ports.feed import FeedSink as FeedSink
from execsim.ports.feed import Interest as Interest
from execsim.ports.feed import Levels as Levels
from execsim.ports.feed import MarketSink as MarketSink
from execsim.ports.feed import Stream as Stream
from execsim.ports.record import Diverged as Diverged
from execsim.ports.record import HostInput as HostInput
from execsim.ports.record import Input as Input
from execsim.ports.record import InputLog as InputLog
from execsim.ports.record import Journal as Journal
from execsim.ports.record import JournalRow as JournalRow
from execsim.ports.record import OrderArchive as OrderArchive
from execsim.ports.record import Output as Output
from execsim.ports.record import SessionLog as SessionLog
from execsim.ports.runtime import NEVER as NEVER
from execsim.ports.runtime import Pending as Pending
from execsim.ports.runtime import Priority as Priority
from execsim.ports.runtime import Rng as Rng
from execsim.ports.runtime import Runtime as Runtime
from execsim.ports.runtime import Task as Task
from execsim.ports.runtime import Timer as Timer
from execsim.tape.schema import Importer, MarketInfo


@dataclass(frozen=True, slots=True)
class Credentials:
    """Secrets of a venue account. Never shown by repr. `learned` is told those that the venue gives out at the login, so
    that they can be masked like the others."""

    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    learned: Callable[[Sequence[str]], None] = field(default=lambda secrets: None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class VenueConfig:
    """How to reach a venue. The names are those of the gateway this project replaces."""

    venue_id: VenueId
    api_endpoint: str = ""
    ws_endpoint: str = ""
    credentials: Credentials | None = field(default=None, repr=False)
    extra: Mapping[str, Any] = field(default_factory=dict)


EventSink = Callable[[VenueEvent], None]
Closing = Callable[[], None]
"""Ends what the call that returned it began; harmless if repeated."""


@dataclass(frozen=True, slots=True)
class VenueTraits:
    """What a venue can do, as the engine must know it.

    `amends`: an order can change its price and size in place; else the engine cancels and places anew.
    `batch_max`: orders one `place_batch` may carry. `acceptance_ns`: how long after it was sent the venue may still accept
    an order; one it does not know after that was never there.
    """

    amends: bool = True
    batch_max: int = 15
    acceptance_ns: int = 10 * NS_PER_S


@runtime_checkable
class VenueAdapter(Protocol):
    """A venue, simulated or real. Calls return when the venue's answer has reached us; everything the venue reports
    on its own (fills, expiries, cancels, resolutions) goes to the sink given to `events`, in order of arrival.

    An ack and a refusal are the return and the exception of `place_order`; they are not repeated as events.
    Errors: VenueError and its kin (they said no), NetworkError/ExecTimeout (`reached` tells what is known).
    """

    @property
    def venue_id(self) -> VenueId: ...

    @property
    def traits(self) -> VenueTraits: ...

    def instruments(self) -> Mapping[str, Instrument]:
        """Every market of this venue in this run, by market id."""

    async def place_order(self, order: Order) -> OrderAck: ...

    async def place_batch(self, orders: Sequence[Order]) -> list[OrderAck | Exception]: ...

    async def cancel_order(self, order_id: OrderId) -> CancelAck: ...

    async def modify_order(self, order_id: OrderId, price_i: int | None, size_lots: int | None) -> OrderAck: ...

    async def get_order_status(self, order_id: OrderId) -> OrderReport:
        """Errors: OrderNotFound when the venue does not know it."""

    async def get_open_orders(self, market: str | None = None) -> list[OrderReport]:
        """Every open order of the account, all pages. Errors: InvalidResponse when the answer is not the whole."""

    async def get_fills(self, since_ns: int) -> list[Fill]:
        """Every fill of the account the venue made at or after `since_ns` (its clock), oldest first, all pages.

        Errors: InvalidResponse when the answer is not the whole."""

    async def balances(self) -> Mapping[str, int]:
        """Asset name -> integer units, total (reserved included)."""

    async def health_check(self) -> bool: ...

    def events(self, sink: EventSink) -> None:
        """Register the one sink. Must be called before the first order."""


@runtime_checkable
class TokenDesk(Protocol):
    """What an adapter of a venue with binary markets offers besides: tokens changing form at the contracts.

    Calls return when it is done. Errors: ValidationError or VenueError (refused, nothing happened); NetworkError.
    """

    async def split_tokens(self, market: str, lots: int) -> None:
        """Cash becomes `lots` full sets."""

    async def merge_tokens(self, market: str, lots: int) -> None: ...

    async def convert_tokens(self, markets: Sequence[str], lots: int) -> tuple[str, ...]:
        """NO of some outcomes of a neg-risk event become YES of its others, and cash; returns all its markets."""

    async def redeem_tokens(self, market: str) -> int:
        """Tokens of a finished market become cash; returns the payoff (YES, price units)."""


@runtime_checkable
class SigningWatch(Protocol):
    """What an adapter that signs its orders offers besides: how long each signature took."""

    def watch_signing(self, report: Callable[[Order, int], None]) -> None:
        """Register who hears of each signature: the order, and the nanoseconds it took (of `Runtime.stopwatch_ns`)."""


@runtime_checkable
class ReconnectWatch(Protocol):
    """What an adapter that keeps a connection offers besides: how often it was lost and made again."""

    def watch_reconnects(self, report: Callable[[], None]) -> None:
        """Register who hears that a stream which was lost is back."""


@runtime_checkable
class OrderMemory(Protocol):
    """What an adapter that names orders by itself offers besides: it takes up orders of an earlier session."""

    def remember(self, orders: Sequence[Order], fills: Sequence[Fill] = ()) -> None:
        """Know these orders again, those included whose answer was never heard, and `fills`, all that are booked of them:
        they are not told again. Before anything is asked about them."""


@runtime_checkable
class QueueWatch(Protocol):
    """What a simulated venue offers besides: news of an order's place in its queue (`QueueMoved` events)."""

    def watch_queue(self, order_id: OrderId, percent: int) -> None:
        """Report when the lots ahead have changed by at least `percent` of what they are now (1 to 100)."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request to a venue, as bytes."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    peer: str = ""
    """served requests: the network address it came from, "" in memory"""


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class VenueProfile:
    """How a venue refuses: the texts and codes the simulated exchange answers with. `{name}` fields are filled in.

    Keys of `texts`: post_only_cross, tick, size_min, size_step, notional_min, price_range, balance, allowance, duplicate,
    expired, expiry_min, fok, ioc_no_match, market_closed, unknown_market, rate_limit, order_gone. A missing key uses a
    neutral text. `retry_after_ns` is what a 429 tells the client to wait at least.
    """

    texts: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """refusal -> (code, text)"""
    limits: tuple[LimitRule, ...] = ()
    """what the venue itself allows everybody (simulated); empty: everything"""
    tiers: Mapping[str, tuple[LimitRule, ...]] = field(default_factory=dict)
    """what it allows besides by the account's tier; the first one is a new account's"""
    door: tuple[LimitRule, ...] = ()
    """what a served venue allows one network address, by call (LimitRule.topics), before anybody looks at the request"""
    unmatched: Literal["refuse", "expire"] = "refuse"
    """a FOK order that cannot fill, or an IOC order without a match: refused, or accepted and ended EXPIRED with the text
    of `fok` or `ioc_no_match` as its reason. (An IOC is refused only where `ioc_no_match` has a text.)"""
    client_per_s: str = "10"
    client_burst: int = 20
    """the engine's own preset for this venue"""
    gtd_early_ns: int = 0
    """how long before its stated time the venue drops a GTD order"""
    gtd_min_ns: int = 0
    """shortest time to live the venue accepts in a GTD order"""
    shorting: bool = False
    """whether an account may sell what it does not hold (no, on spot and binary venues)"""
    traits: VenueTraits = VenueTraits()

    def rules(self, tier: str | None = None) -> tuple[LimitRule, ...]:
        """The limits of an account of a tier (None: a new account's). Errors: ConfigError naming the tiers."""
        if tier is None:
            tier = next(iter(self.tiers), None)
        elif tier not in self.tiers:
            raise ConfigError(f"tier {tier!r}", f"there are: {', '.join(self.tiers)}" if self.tiers else "it has none")
        return self.limits + (self.tiers[tier] if tier is not None else ())


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing a preflight looked at. `fix`: what to do about it, "" where nothing is to be done."""

    check: str
    grade: Literal["ok", "warn", "fail"]
    said: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class LiveDoor:
    """How a real venue is reached. Hosts are defaults; EXECSIM_<VENUE>_HOST and _WS replace them.

    `secure` takes the secrets and a transport of bytes: it gives what may be known and recorded of them (for
    `VenueConfig.extra`), and a transport that adds them on the way out. `clock`: (the venue's time in ns, how many times
    faster than ours it passes). `examine`: the preflight, given `VenueConfig.extra`; `local`: the host is this machine.
    """

    rest: str
    ws: str
    variables: Mapping[str, tuple[str, ...]]
    """credential -> environment variables, execsim's own name first, then names other programs use"""
    secure: Callable[[Credentials, Transport], tuple[Mapping[str, Any], Transport]]
    clock: Callable[[Transport], Coroutine[Any, Any, tuple[int, int]]]
    examine: Callable[[Mapping[str, Any], Transport, Runtime, bool], Coroutine[Any, Any, list[Finding]]]
    record: Callable[[Sequence[str], Transport, Runtime, Callable[[bytes], None]], Coroutine[Any, Any, None]] | None = (
        None
    )
    """record these markets' data, a line of text a call, until cancelled; the venue's first importer reads the lines. Each
    start of a recording says so in its lines: what comes after it is a gap away from what stood before"""
    data: Callable[[VenueConfig, Transport, Runtime], MarketSource] | None = None
    """its public market data, for who asks for nothing else: `execsim run --paper`"""


@dataclass(frozen=True, slots=True)
class VenuePlugin:
    """What an adapter package offers; found by entry point group `execsim.venues`, object `<package>.plugin:VENUE`."""

    venue_id: str
    importers: Sequence[Importer]
    instrument: Callable[[MarketInfo, Mapping[str, Any]], Instrument]
    """(market of a tape, overrides from the scenario) -> its rules. Overrides may be empty."""
    profile: VenueProfile
    dialect: Callable[[], Dialect] | None = None
    """its protocol from the venue's side: `execsim serve --dialect NAME`"""
    connect: Callable[[VenueConfig, Transport, Runtime], LiveVenue] | None = None
    """its adapter over a transport, not connected yet"""
    live: LiveDoor | None = None
    """the venue itself: `execsim run --live`, `execsim doctor`"""


class FrameStream(Stream[bytes], Protocol):
    """Frames of one stream. Ends when the other side ended it; NetworkError when the connection is lost."""

    async def send(self, frame: bytes) -> None:
        """Say something on the stream (subscriptions, heartbeats). Errors: NetworkError."""


class Transport(Protocol):
    """Bytes to a venue and back: over sockets, joined in memory to a Dialect, or from a recording.

    An adapter waits for nothing but its transport and its runtime: so a session can be recorded and replayed here.
    """

    async def request(self, request: Request) -> Response:
        """The answer, refusals included; waits as long as it takes (the caller sets the deadline, a cancelled wait is
        forgotten). Errors: NetworkError with `reached`: no (never written) or unknown (the connection was lost)."""

    def stream(self, url: str) -> FrameStream:
        """Opened by the first frame that is asked for. Errors, there: NetworkError; what refused it, as frames' end."""

    async def aclose(self) -> None:
        """Give up every connection: what waits fails with NetworkError, streams end. Harmless if repeated."""


class LiveVenue(VenueAdapter, Protocol):
    """A venue behind a transport. Before `start` it knows no instruments; the transport is closed by who made it."""

    async def start(self) -> None:
        """Connect and subscribe to the account's events; returns when none can be missed any more.

        Errors: NetworkError, AuthenticationError, ConfigError (no such venue there)."""

    def feed(self, sink: MarketSink) -> Task:
        """Bring the market data of every instrument to the sink, over reconnects (each one is a gap), until it ends."""

    async def aclose(self) -> None:
        """Stop listening; orders stay as they are."""


class MarketSource(Protocol):
    """The public market data of a venue behind a transport: no account, no login, nothing that orders."""

    async def start(self) -> None:
        """Read what the markets are. Errors: NetworkError, VenueError, ConfigError (no such market there)."""

    def instruments(self) -> Mapping[str, Instrument]:
        """Every market that was asked for, by the engine's name."""

    def feed(self, sink: MarketSink) -> Task:
        """As `LiveVenue.feed`."""

    async def aclose(self) -> None:
        """Stop listening."""


FrameSink = Callable[[bytes], None]


class Served(Protocol):
    """A stream that a dialect serves."""

    def hear(self, frame: bytes) -> None:
        """The client said something on it. Errors: ExecError: the stream is closed."""

    def close(self) -> None:
        """The client is gone. Harmless if repeated."""


class Dialect(Protocol):
    """A venue's own protocol spoken by the simulated exchange. It moves no bytes itself: a server (or a loopback) does.

    `framing` says which server carries it: "lines" (JSON lines over TCP) or "http" (REST and WebSocket).
    """

    @property
    def framing(self) -> Literal["lines", "http"]: ...

    def begin(self, desk: Desk) -> None:
        """The desk will be served: from now on nothing its market does may be missed. Harmless if repeated."""

    async def answer(self, desk: Desk, request: Request) -> Response:
        """What the venue answers, refusals and bad requests included: never raises for what a client sent."""

    def stream(self, desk: Desk, url: str, sink: FrameSink) -> Served:
        """Push a stream's frames to the sink from now on. Errors: ExecError: no such stream, or not for this client."""

    def account(self, name: str) -> str:
        """The desk's account that clients call by this name. Errors: ValidationError: no name of this protocol."""

    def refuse(self, error: ExecError) -> Response:
        """An error in the words of the protocol: for what a server finds wrong before anybody is asked."""

    def is_free(self, request: Request) -> bool:
        """Whether answering it changes nothing at all: no order or account, no limit that counts it, no random stream."""


class Door(Protocol):
    """How what a server hears gets to the exchange, and how what the exchange says gets out. Answers and frames leave in the
    order in which they were made."""

    def ask(self, desk: Desk, request: Request, told: Callable[[Response], None]) -> None:
        """Let the dialect answer; `told` hears it when it may leave."""

    def command(self, desk: Desk, method: str, name: str, body: bytes, told: Callable[[Response], None]) -> None:
        """Something for the host itself (/_execsim/)."""

    def enter(self, fn: Callable[[], None]) -> None:
        """Call fn at the exchange's present time: streams are opened, heard and closed so."""

    def out(self, tell: Callable[[bytes], None], frame: bytes) -> None:
        """Let something of a stream leave."""


class Desk(Protocol):
    """One simulated venue as a Dialect sees it. Accounts live as long as the desk and never see each other."""

    @property
    def venue_id(self) -> VenueId: ...

    @property
    def runtime(self) -> Runtime:
        """The exchange's: what a dialect does by itself (timers, several requests at once) runs on it."""

    @property
    def hours(self) -> Hours:
        """How the exchange's time passes, and what time it is to those who connect."""

    def info(self, market: str) -> MarketInfo:
        """What the data say of a market: title, token ids. Errors: ConfigError for an unknown market."""

    def record(self, account: str, order_id: OrderId) -> OrderRecord | None:
        """What the venue itself knows of an order, without asking over the account's line; None for one it never booked,
        or let go of."""

    @property
    def profile(self) -> VenueProfile:
        """How the venue refuses, in its own words."""

    def clock(self) -> DeskClock: ...

    def instruments(self) -> Mapping[str, Instrument]: ...

    def open_account(self, account: str) -> None:
        """Make the account if it is new, with the scenario's balances. Errors: AuthenticationError for a name that is
        not allowed or not free."""

    def deposit(self, account: str, asset: str, units: int) -> None:
        """Money or tokens from outside. Errors: AuthenticationError: never opened; ConfigError for an unknown asset."""

    def approve(self, account: str, asset: str, units: int | None) -> None:
        """How much of an asset the venue may take from the account from now on; None: everything. Errors: as `deposit`."""

    def balance(self, account: str, asset: str) -> int:
        """Units the account holds, resting orders' claims included. Errors: AuthenticationError: never opened."""

    def allowances(self, account: str) -> Mapping[str, int]:
        """asset -> units the venue may still take, of those that have a bound. Errors: AuthenticationError."""

    def admit(self, topic: str, peer: str) -> int:
        """Count a call of a network address; ns it has to wait. Errors: RateLimitExceeded."""

    def budget(self, account: str, kind: RequestKind) -> Budget | None:
        """What the limits leave the account for requests of a kind; None where it has none of its own."""

    def rewards(self, market: str) -> RewardTerms | None:
        """How resting orders in a market are rewarded; None where they are not."""

    def scores(self, account: str, order_id: OrderId) -> bool:
        """Whether an order would count if its market's rewards were sampled now."""

    def adapter(self, account: str) -> VenueAdapter:
        """The account's door; latency, limits and faults are behind it. Errors: AuthenticationError: never opened."""

    def listen(self, account: str, sink: EventSink) -> Closing:
        """Hear the account's events, with any number of others. Errors: AuthenticationError: never opened."""

    def follow(self, sink: MarketSink, markets: Sequence[str] = ()) -> Closing:
        """Hear market data (of all markets if none is named) as the venue publishes it, beginning with the books as they
        stand. Errors: ConfigError for an unknown market."""

    def book(self, market: str, levels: int) -> Depth:
        """The best levels as published last. Errors: ConfigError for an unknown market."""

    def state(self, market: str) -> MarketState:
        """Errors: ConfigError for an unknown market."""

    def faults(self) -> Sequence[FaultState]:
        """Every fault pack there is."""

    def switch_fault(self, pack: str, on: bool, params: Mapping[str, Any]) -> None:
        """Let a fault begin now (it ends by itself after its time), or end it. Errors: ConfigError for what it is not."""
