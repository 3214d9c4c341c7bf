"""First pass over a recording: which markets and tokens it holds, when each spoke, and which token is YES.

Memory: 8 bytes a message. The second pass (replay.py) needs the whole picture: the token with more messages leads, a
quiet spell is judged against the median interval, and NO is used only where YES is silent.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from execsim.core.errors import ConfigError, DataError
from execsim.core.units import NS_PER_MS, NS_PER_S
from execsim.tape.schema import NO_TIME
from execsim_polymarket.catalog import Card, Catalog
from execsim_polymarket.frames import Row, is_keepalive, messages

QUIET_MEDIANS: Final = 20
"""A market is silent, not slow, when it is quiet for more than this many median intervals (and more than gap_s)."""
GAP_NS: Final = 2 * NS_PER_S
"""Default least quiet of a gap: the active book channel sends 15-20 messages a second."""

_EVENT = re.compile(r'"event_type"\s*:\s*"(\w+)"')
_MARKET = re.compile(r'"market"\s*:\s*"(\w+)"')
_ASSET = re.compile(r'"asset_id"\s*:\s*"(\w+)"')
_TIME = re.compile(r'"timestamp"\s*:\s*"?(\d+)')


def event_of(frame: Mapping[str, Any]) -> str:
    """The event type; REST books and some captures lack the field, then the shape tells. "" if it does not."""
    named = frame.get("event_type")
    if isinstance(named, str):
        return named
    shapes = (("price_changes", "price_change"), ("changes", "price_change"), ("new_tick_size", "tick_size_change"))
    for key, event in (*shapes, ("bids", "book"), ("asks", "book"), ("fee_rate_bps", "last_trade_price")):
        if key in frame:
            return event
    return "price_change" if {"asset_id", "price", "side", "size", "hash"} <= frame.keys() else ""


def changes_of(frame: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Entries of a price_change, each with asset_id and (where given) hash: `price_changes[]`, or the forms used before
    2025-09-15, where one frame is one token's: `changes[]` or flat, with a single hash for the book after all of them."""
    entries = frame.get("price_changes")
    if isinstance(entries, list):
        return entries
    old = frame.get("changes")
    if not isinstance(old, list):
        return [frame]
    last = len(old) - 1
    shared = {"asset_id": frame["asset_id"]}
    return [shared | item | ({"hash": frame.get("hash", "")} if at == last else {}) for at, item in enumerate(old)]


def venue_ns(frame: Mapping[str, Any]) -> int:
    """`timestamp` (Unix ms) in ns, NO_TIME if there is none."""
    stamp = frame.get("timestamp")
    return int(stamp) * NS_PER_MS if stamp not in (None, "") else NO_TIME


@dataclass(slots=True)
class Plan:
    """What the second pass needs to know of one market before its first frame."""

    card: Card
    tokens: Mapping[str, int]
    assumed: bool
    """the recording does not say which token is YES: it is the one with more messages (ties: the first seen)"""
    quiet_ns: int
    """a gap opens after more than this without a message; 0: never"""
    silences: Sequence[tuple[int, int]]
    """(from, to): YES has no book messages strictly between; ordered, disjoint"""

    def yes_speaks(self, at_ns: int) -> bool:
        """Whether YES data covers this instant: it is not strictly inside one of YES's silences."""
        index = bisect_left(self.silences, (at_ns, at_ns)) - 1
        return index < 0 or not self.silences[index][0] < at_ns < self.silences[index][1]


@dataclass(slots=True)
class _Heard:
    """Times (ns) of one market's messages: book data by token, and the rest."""

    tokens: dict[str, array[int]] = field(default_factory=dict)
    rest: array[int] = field(default_factory=lambda: array("q"))

    def add(self, asset: str, at_ns: int) -> None:
        if asset not in self.tokens:
            self.tokens[asset] = array("q")
        self.tokens[asset].append(at_ns)


class Survey:
    """Fill with `see` (or `message`), then ask for a `plan` per market."""

    def __init__(self) -> None:
        self.catalog = Catalog()
        self.heard: dict[str, _Heard] = {}
        self.trades = 0
        """last_trade_price frames in the recording"""
        self.frames = 0

    def see(self, row: Row) -> None:
        """Take in one line. Errors: KeyError, TypeError, ValueError where a frame lacks what every frame must have."""
        if row.note is not None:
            self.catalog.learn(row.note)
            return
        if is_keepalive(row.payload):
            return
        if isinstance(row.payload, str) and self._glance(row.payload, row):
            return
        for frame in messages(row.payload):
            self.message(frame, row.recv_ns)
            if row.slug and isinstance(frame.get("market"), str):
                self._name(frame["market"], row.slug)

    def message(self, frame: Mapping[str, Any], recv_ns: int) -> None:
        """Take in one venue message."""
        event = event_of(frame)
        self.frames += 1
        if event in ("new_market", "market_resolved"):
            self.catalog.learn(frame)
            if event == "market_resolved":
                self.catalog.resolved(frame)
            return
        if event not in ("book", "price_change", "last_trade_price", "tick_size_change"):
            return
        at_ns = venue_ns(frame) if venue_ns(frame) != NO_TIME else recv_ns
        heard = self._heard(frame["market"])
        if event == "price_change":
            for asset in dict.fromkeys(str(entry["asset_id"]) for entry in changes_of(frame)):
                heard.add(asset, at_ns)
        elif event == "book":
            heard.add(str(frame["asset_id"]), at_ns)
        else:
            self._aside(heard, str(frame["asset_id"]), at_ns, trade=event == "last_trade_price")

    def book(self, market: str, asset: str, at_ns: int) -> None:
        """Take in book data by its keys alone."""
        self.frames += 1
        self._heard(market).add(asset, at_ns)

    def aside(self, market: str, asset: str, at_ns: int, *, trade: bool) -> None:
        """Take in a message that says nothing of the book (a trade, a tick) by its keys alone."""
        self.frames += 1
        self._aside(self._heard(market), asset, at_ns, trade=trade)

    def _aside(self, heard: _Heard, asset: str, at_ns: int, *, trade: bool) -> None:
        heard.tokens.setdefault(asset, array("q"))
        heard.rest.append(at_ns)
        self.trades += trade

    def plan(self, market: str, yes_tokens: Mapping[str, str] | frozenset[str], gap_ns: int) -> Plan:
        """Decide for one market. `gap_ns` is the least quiet of a gap, 0 for no gaps.

        Errors: ConfigError when `yes_tokens` names a token this market does not have.
        """
        heard = self.heard[market]
        card = self.catalog.card(market)
        counts = {asset: len(times) for asset, times in heard.tokens.items()}
        assumed = self._choose(card, counts, yes_tokens)
        times = np.unique(np.concatenate([np.asarray(t, np.int64) for t in (*heard.tokens.values(), heard.rest)]))
        median = int(np.median(np.diff(times))) if times.size > 1 else 0
        own = np.unique(np.asarray(heard.tokens.get(card.yes_token, array("q")), np.int64))
        long = max(gap_ns or GAP_NS, QUIET_MEDIANS * median)
        return Plan(card, counts, assumed, long if gap_ns else 0, _silences(own, long))

    def wanted(self, names: frozenset[str]) -> list[str]:
        """Condition ids of the markets asked for by id or slug, all if none is; in the order they were first heard.

        Errors: DataError when the recording has no such market.
        """
        if not names:
            return list(self.heard)
        found = [m for m in self.heard if m in names or self.catalog.card(m).slug in names]
        have = set(found) | {self.catalog.card(m).slug for m in found}
        missing = sorted(names - have)
        if missing:
            known = [self.catalog.card(m).slug or m for m in self.heard]
            raise DataError("option markets", f"{missing[0]} is not in the recording", f"it has {', '.join(known[:5])}")
        return found

    def _choose(self, card: Card, counts: Mapping[str, int], yes_tokens: Mapping[str, str] | frozenset[str]) -> bool:
        """Settle card.yes_token and no_token; True if YES had to be assumed."""
        names = (card.market, card.slug)
        if isinstance(yes_tokens, Mapping):
            chosen = next((yes_tokens[name] for name in names if name in yes_tokens), "")
        else:
            chosen = next((asset for asset in (*counts, card.no_token) if asset and asset in yes_tokens), "")
        both = dict.fromkeys([*counts, *(t for t in (card.yes_token, card.no_token) if t)])
        if chosen and len(both) > 1 and chosen not in both:
            raise ConfigError(f"yes_tokens: {chosen} is no token of {card.market}", f"it has {', '.join(both)}")
        assumed = not chosen and not card.yes_token
        ranked = sorted(counts, key=lambda asset: -counts[asset])
        yes = chosen or card.yes_token or ranked[0]
        card.no_token = next((t for t in (card.no_token, card.yes_token, *ranked) if t and t != yes), "")
        card.yes_token = yes
        return assumed

    def _glance(self, text: str, row: Row) -> bool:
        """Take in a single full book without parsing its levels; False if the text is anything else."""
        event = _EVENT.search(text)
        if event is None or event[1] != "book" or text[:1] != "{":
            return False
        market, asset, stamp = _MARKET.search(text), _ASSET.search(text), _TIME.search(text)
        if market is None or asset is None:
            return False
        self.book(market[1], asset[1], int(stamp[1]) * NS_PER_MS if stamp else row.recv_ns)
        if row.slug:
            self._name(market[1], row.slug)
        return True

    def _heard(self, market: str) -> _Heard:
        heard = self.heard.get(market)
        if heard is None:
            heard = self.heard[market] = _Heard()
        return heard

    def _name(self, market: str, slug: str) -> None:
        card = self.catalog.card(market)
        card.slug = card.slug or slug


def _silences(times: Any, long_ns: int) -> list[tuple[int, int]]:
    """Stretches longer than `long_ns` between consecutive times, and those before the first and after the last."""
    never = -(2**63), 2**63 - 1
    if not times.size:
        return [never]
    inner = np.flatnonzero(np.diff(times) > long_ns)
    spans = [(int(times[at]), int(times[at + 1])) for at in inner]
    return [(never[0], int(times[0])), *spans, (int(times[-1]), never[1])]
