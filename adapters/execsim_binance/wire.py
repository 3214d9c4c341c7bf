"""Binance's market-data messages as a recorder keeps them: `<receive time> <combined-stream JSON>`, one a line.

Bytes in, plain tuples out; nothing here knows about files, books or tapes. Sources: Binance spot and USD-M stream
documentation (streams `depth`, `trade`, `aggTrade`, `bookTicker`), and the recordings in scenarios/data.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any, Final, NamedTuple

from execsim.core.errors import ValidationError

_STREAM_FAST: Final = b'{"stream":"'
_STREAM: Final = re.compile(rb'"stream"\s*:\s*"([^"]*)"')
_NS_PER_DIGITS: Final = {10: 1_000_000_000, 13: 1_000_000, 16: 1_000, 19: 1}
"""Digits of an integer Unix time between 2001 and 2286 -> ns in its unit (s, ms, us, ns)."""
_CACHE_MAX: Final = 500_000
"""Texts a `Scale` remembers; beyond it forgets all and starts again (costs time, never correctness)."""


class Diff(NamedTuple):
    """One depth update. Update ids `first`..`last`; `prev` is the id it continues (futures `pu`; -1 on spot).
    Levels are the venue's texts [price, size]. `place` is its file and line, for messages."""

    first: int
    last: int
    prev: int
    venue_ns: int
    recv_ns: int
    bids: list[list[str]]
    asks: list[list[str]]
    place: str


class Snapshot(NamedTuple):
    """A REST depth answer. `venue_ns` is -1 on spot, which states no time."""

    last: int
    venue_ns: int
    recv_ns: int
    bids: list[list[str]]
    asks: list[list[str]]
    place: str


class Scale(dict[str, int]):
    """Decimal text -> how many units it holds, exactly, by string operations; remembers what it has seen.

    `scale[text]` is a plain dict lookup for a known text. Errors: ValueError when the text is no non-negative decimal
    number, ValidationError(what, ...) when it is not a whole number of units.
    """

    def __init__(self, unit: Decimal, what: str) -> None:
        super().__init__()
        self.unit = unit
        self.what = what
        digits, exponent = unit.as_tuple().digits, int(unit.as_tuple().exponent)
        self._multiple: int = int("".join(map(str, digits))) * 10 ** max(0, exponent)
        self._decimals = max(0, -exponent)

    def __missing__(self, text: str) -> int:
        # JSON numbers are refused too: a float is no longer what the venue said.
        head, _, tail = text.partition(".") if isinstance(text, str) else ("", "", "")
        tail = tail.rstrip("0")
        if not (head + tail).isdecimal() or not head:
            raise ValueError(f"{self.what} {text!r} is not a non-negative decimal number")
        value, rest = divmod(int(head + tail.ljust(self._decimals, "0")), self._multiple)
        if rest or len(tail) > self._decimals:
            raise ValidationError(self.what, f"{self.what} {text} is not a multiple of {self.unit}")
        if len(self) >= _CACHE_MAX:
            self.clear()
        self[text] = value
        return value


def recv_ns(text: bytes) -> int:
    """The receive time at the head of a line as integer ns; its unit (s, ms, us, ns) is told by its magnitude, and
    seconds may have decimals. Errors: ValueError."""
    if b"." in text:
        head, _, tail = text.partition(b".")
        if not (head + tail).isdigit():
            raise ValueError(f"{text!r} is not a time")
        return int(head) * 1_000_000_000 + int(tail[:9].ljust(9, b"0"))
    unit = _NS_PER_DIGITS.get(len(text))
    if unit is None or not text.isdigit():
        raise ValueError(f"{text[:40]!r} is not a Unix time in s, ms, us or ns")
    return int(text) * unit


def stream_of(payload: bytes) -> bytes:
    """Name of the combined stream a payload belongs to, b"" if it is not wrapped (a REST answer)."""
    if payload.startswith(_STREAM_FAST):
        return payload[11 : max(11, payload.find(b'"', 11))]
    found = _STREAM.search(payload)
    return found.group(1) if found else b""


def update_id(payload: bytes) -> int:
    """`u` of a bookTicker message without parsing the rest. Errors: ValueError or KeyError."""
    at = payload.find(b'"u":')
    if at < 0:
        return int(json.loads(payload)["data"]["u"])
    end = payload.find(b",", at)
    return int(payload[at + 4 : end])


def diff_of(data: dict[str, Any], received_ns: int, place: str) -> Diff:
    """A `depthUpdate` event. Venue time: transaction time `T` where present (futures), else event time `E`, both ms."""
    ms = data["T"] if "T" in data else data["E"]
    prev = data.get("pu", -1)
    return Diff(data["U"], data["u"], prev, ms * 1_000_000, received_ns, data["b"], data["a"], place)


def snapshot_of(body: dict[str, Any], received_ns: int, place: str) -> Snapshot:
    """A REST depth answer (`lastUpdateId`, `bids`, `asks`, on futures also `T`)."""
    venue_ns = body["T"] * 1_000_000 if "T" in body else -1
    return Snapshot(body["lastUpdateId"], venue_ns, received_ns, body["bids"], body["asks"], place)
