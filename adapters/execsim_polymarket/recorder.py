"""Market data as it comes in, a line a frame, for `archive.PolymarketFrames` to read.

    {"recorder":"execsim","venue":"polymarket",...}     first line of a recording
    {"lifecycle":{"c":...,"t":[...],"mts":...},...}     a market's terms, as the venue wrote them (GET /clob-markets)
    {"raw_text":"{\\"event_type\\":\\"book\\",...}",...}     a frame as it came (keepalives are left out)
    {"gap":"why","of":["0x..."],...}                    these markets are unknown from here to their next dump; no `of`: all

Each line ends with its "recv_ns". Books are kept only to check the venue's hashes while they can still be asked for
anew: a wrong one is a gap, and a new dump is asked for, at most once in RENEW_NS a market.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from execsim.core.errors import ConfigError, ExecError
from execsim.core.events import Trade
from execsim.core.units import NS_PER_S
from execsim.ports import Levels, Runtime, Transport
from execsim_polymarket import endpoints
from execsim_polymarket.books import LiveBook, Mismatch
from execsim_polymarket.calls import Calls
from execsim_polymarket.channel import Channel
from execsim_polymarket.frames import KEEPALIVE
from execsim_polymarket.listing import Listed, condition_of, listed
from execsim_polymarket.market_session import TOKENS_MAX, Data, MarketAction, MarketSession, Stale
from execsim_polymarket.market_stream import MARKET_CHANNEL
from execsim_polymarket.session import Note
from execsim_polymarket.wire.channels import BookMessage, MarketMessage
from execsim_polymarket.wire.markets import CLOB_MARKET

log = logging.getLogger("execsim.polymarket")

RENEW_NS: Final = 10 * NS_PER_S
"""Least time between two requests for a new dump of a market: hashes that never fit must not become a flood."""
MARKETS_MAX: Final = TOKENS_MAX // 2
"""Markets of one socket, both tokens of each."""

Write = Callable[[bytes], None]
"""Keeps one line, given without its end."""


async def record(markets: Sequence[str], transport: Transport, runtime: Runtime, write: Write) -> None:
    """`LiveDoor.record`. Until cancelled.

    Errors: before the first frame: NetworkError, VenueError, InvalidResponse, ConfigError for a market that is not there, or
    too many of them. Later whatever `write` raises: lost connections are gaps and are opened again."""
    if len(markets) > MARKETS_MAX:
        raise ConfigError(f"{len(markets)} markets", f"a recording takes {MARKETS_MAX}: start several")
    calls = Calls(transport, runtime, "")
    found: list[Listed] = []
    notes: list[dict[str, Any]] = [{"recorder": "execsim", "venue": "polymarket"}]
    for wanted in dict.fromkeys(markets):
        condition = await condition_of(calls, wanted)
        terms = await calls.ask(endpoints.GET_CLOB_MARKET, name=condition)
        found.append(listed(condition, CLOB_MARKET.from_venue(terms), {}))
        notes.append({"lifecycle": json.loads(terms)})
        if not wanted.startswith("0x") and not wanted.isdecimal():
            notes.append({"condition_id": condition, "slug": wanted})
    for note in [*notes, {"gap": "recording started"}]:
        write(_line(runtime.now_ns(), note))
    await Recorder(found, transport, runtime, write).run()


class Recorder:
    """One socket's recording. Its books lead nowhere."""

    def __init__(self, markets: Iterable[Listed], transport: Transport, runtime: Runtime, write: Write) -> None:
        self._runtime = runtime
        self._write = write
        self._books = {item.condition: LiveBook(item, _Nobody()) for item in markets}
        known = {condition: book.listed.market for condition, book in self._books.items()}
        tokens = [token for market in known.values() for token in (market.yes_token, market.no_token)]
        self._of_token = {
            token: condition for condition, market in known.items() for token in (market.yes_token, market.no_token)
        }
        self._renewed_ns: dict[str, int] = {}
        self._doubted: dict[str, str] = {}
        """why a book is to be read anew, as soon as that may be asked for again"""
        session = MarketSession(known, tokens, jitter=runtime.rng("polymarket.record").below)
        self._session = session
        self._channel = Channel(runtime, transport, MARKET_CHANNEL, _Tap(session, self._keep), self._do)
        self._why = "connection lost"

    async def run(self) -> None:
        """Until cancelled. Errors: what `write` raises."""
        await self._channel.run()

    def _keep(self, frame: bytes, now_ns: int) -> None:
        text = frame.decode("utf-8", "replace")
        if text.strip() not in KEEPALIVE:
            self._write(_line(now_ns, {"raw_text": text}))

    def _do(self, action: MarketAction) -> None:
        if isinstance(action, Data):
            self._data(action.message)
        elif isinstance(action, Stale):
            self._lose(dict.fromkeys(self._of_token[token] for token in action.tokens), self._why)
        elif isinstance(action, Note):
            log.info("polymarket: %s", action.what)

    def _data(self, message: MarketMessage) -> None:
        book = self._books.get(message.market)
        if book is None:
            return
        try:
            book.take(message, self._runtime.now_ns())
        except Mismatch:
            self._renew(book, "hash")
        except (ExecError, KeyError) as error:
            log.warning("polymarket: a message of %s cannot be read: %s", message.market, error)
            self._renew(book, "unreadable message")
        else:
            if isinstance(message, BookMessage) and message.asset_id == book.listed.market.yes_token:
                self._doubted.pop(message.market, None)
            elif message.market in self._doubted:
                self._renew(book, self._doubted[message.market])

    def _lose(self, conditions: Iterable[str], why: str) -> None:
        """Nothing is known of these markets from here on."""
        now_ns, of = self._runtime.now_ns(), list(conditions)
        for condition in of:
            self._books[condition].lose(now_ns)
        self._write(_line(now_ns, {"gap": why, "of": of}))

    def _renew(self, book: LiveBook, why: str) -> None:
        """A book cannot be believed: ask for a new dump of both tokens."""
        condition, market, now_ns = book.listed.condition, book.listed.market, self._runtime.now_ns()
        book.lose(now_ns)
        asked_ns = self._renewed_ns.get(condition)
        if asked_ns is not None and now_ns - asked_ns < RENEW_NS:
            self._doubted[condition] = why
            return
        self._doubted.pop(condition, None)
        self._renewed_ns[condition] = now_ns
        log.warning("polymarket: the book of %s is read anew: %s", condition, why)
        tokens = [market.yes_token, market.no_token]
        self._why = why
        actions = [*self._session.unsubscribe(tokens), *self._session.subscribe(tokens)]
        self._runtime.spawn(self._tell(actions), "polymarket.a new book", daemon=True)

    async def _tell(self, actions: list[MarketAction]) -> None:
        await self._channel.do(actions)
        self._why = "connection lost"


class _Tap:
    """A market session whose frames are kept before it sees them."""

    def __init__(self, session: MarketSession, keep: Callable[[bytes, int], None]) -> None:
        self._session = session
        self._keep = keep
        self.start, self.stop, self.tick = session.start, session.stop, session.tick
        self.opened, self.closed = session.opened, session.closed

    @property
    def wake_ns(self) -> int:
        return self._session.wake_ns

    def frame(self, frame: bytes, now_ns: int) -> list[Any]:
        self._keep(frame, now_ns)
        return self._session.frame(frame, now_ns)


class _Nobody:
    """A MarketSink: the books of a recording are made when it is read."""

    def on_snapshot(self, market: str, ts_ns: int, bids: Levels, asks: Levels) -> None:
        pass

    def on_levels(self, market: str, ts_ns: int, changes: Sequence[tuple[int, int, int]]) -> None:
        pass

    def on_trade(self, trade: Trade) -> None:
        pass

    def on_tick(self, market: str, ts_ns: int, tick_i: int) -> None:
        pass

    def on_gap(self, market: str, ts_ns: int, open_gap: bool) -> None:
        pass

    def on_resolve(self, market: str, ts_ns: int, payoff_i: int) -> None:
        pass

    def on_end(self, ts_ns: int) -> None:
        pass


def _line(now_ns: int, what: dict[str, Any]) -> bytes:
    return json.dumps({**what, "recv_ns": now_ns}, separators=(",", ":"), ensure_ascii=False).encode()
