"""One token's book in the venue's own strings, and the venue's hash over it.

The hash is SHA-1 over compact JSON of `market, asset_id, timestamp, hash:"", bids, asks, min_order_size, tick_size,
neg_risk, last_trade_price`, in that order; bids ascending, asks descending (best last), prices as minimal decimals, sizes
as the venue wrote them, last_trade_price with three decimals ("" before the first trade). It is the market's last price,
the same in both tokens' books, whichever token it printed on (4,174 of 4,174 pairs of the CronosVirus00 recording).
Source: py-clob-client-v2 1.2.1 (golden vectors in tests/data/polymarket/book_hash.json), 125,116 recorded books.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import product
from typing import Any, Final

from execsim.core.errors import ValidationError
from execsim.core.units import decimal_of, plain, scaled

Side = dict[int, str]
"""price_i -> size as the venue wrote it"""

TICKS: Final = ("0.01", "0.001", "0.1", "0.005", "0.0025", "0.0001")
"""Every tick the venue has, the common ones first (polymarket.md section 7)."""
MIN_SIZES: Final = ("5", "15", "10", "1")
"""Minimum order sizes tried when the recording does not say; 5 is usual."""
LAST_PRICES: Final = ("", *(f"0.{milli:03d}" for milli in range(1, 1000)))
"""Every last trade price with three decimals: few enough to try them all."""
SEARCH_MAX: Final = 16
"""Searches that may fail before a market's first success; then its hashes count as not verifiable (one costs ~20 ms)."""

SIZES_MAX: Final = 100_000
"""Size texts remembered; then the cache starts over."""

_LAST_TAILS: Final = tuple(f'{last}"}}'.encode() for last in LAST_PRICES)
_DIGEST_HEX: Final = 40


class Scale:
    """Venue text <-> integers of one recording. Prices are cached for good (few are distinct), sizes up to a limit.

    Units: `price_unit` and `lot` as Decimals; 1 must be a multiple of `price_unit`.
    Errors: ValidationError naming price or size: off the grid, price outside (0, 1), negative size.
    """

    def __init__(self, price_unit: Decimal, lot: Decimal) -> None:
        self.price_unit = price_unit
        self.lot = lot
        self.one_i = scaled(1, price_unit, "price 1")
        self.prices: dict[Any, int] = _PriceTable(price_unit)
        """price text -> price_i, filled as prices are met"""
        self.heads: dict[int, str] = _LevelHeads(price_unit)
        """price_i -> the JSON of a level up to its size"""
        self.sizes: dict[str, int] = _SizeTable(lot)
        """size text -> lots"""

    def lots(self, text: str) -> int:
        """Size in lots."""
        return self.sizes[text]

    def side(self, levels: Sequence[Any]) -> Side:
        """Read `[{"price","size"}, ...]` or `[["price","size"], ...]`; a price named twice keeps its last size."""
        if not levels:
            return {}
        prices = self.prices
        if isinstance(levels[0], Mapping):
            side = {prices[level["price"]]: level["size"] for level in levels}
        else:
            side = {prices[price]: size for price, size in levels}
        if set(map(type, side.values())) != {str}:
            side = {price_i: size_text(size) for price_i, size in side.items()}
        sizes = self.sizes
        for new in [size for size in side.values() if size not in sizes]:
            sizes[new]  # raises for a bad one before anybody has used the book
        return side


def size_text(size: Any) -> str:
    """A size as the venue writes it; numbers become minimal decimals. Errors: ValidationError."""
    return size if isinstance(size, str) else plain(decimal_of(size, "size"))


class _PriceTable(dict[Any, int]):
    def __init__(self, price_unit: Decimal) -> None:
        super().__init__()
        self._unit = price_unit

    def __missing__(self, text: Any) -> int:
        price = decimal_of(text, "price")
        if not 0 < price < 1:
            raise ValidationError("price", f"{text} is not between 0 and 1")
        self[text] = price_i = scaled(price, self._unit, "price")
        return price_i


class _SizeTable(dict[str, int]):
    def __init__(self, lot: Decimal) -> None:
        super().__init__()
        self._lot = lot
        exponent = lot.normalize().as_tuple().exponent
        power_of_ten = isinstance(exponent, int) and exponent <= 0 and lot == Decimal(1).scaleb(exponent)
        self._digits = -exponent if power_of_ten and isinstance(exponent, int) else -1

    def __missing__(self, text: str) -> int:
        whole, _, part = text.partition(".")
        if len(part) <= self._digits and whole.isdecimal() and (not part or part.isdecimal()):
            lots = int(whole + part.ljust(self._digits, "0"))
        else:
            lots = scaled(text, self._lot, "size")
        if lots < 0:
            raise ValidationError("size", f"{text} is negative")
        if len(self) >= SIZES_MAX:
            self.clear()
        self[text] = lots
        return lots


class _LevelHeads(dict[int, str]):
    def __init__(self, price_unit: Decimal) -> None:
        super().__init__()
        self._unit = price_unit

    def __missing__(self, price_i: int) -> str:
        self[price_i] = head = f'{{"price":"{plain(price_i * self._unit)}","size":"'
        return head


class TokenBook:
    """The book of one token, exactly as the venue last told it.

    `known`: a full book has been seen. `trusted`: known, and nothing since says it is wrong. `book_ts`: timestamp text
    of the last message if that was a full book, else "" (two full books of one instant must mirror each other).
    """

    __slots__ = ("asks", "asset", "bids", "book_ts", "known", "proven", "trusted")

    def __init__(self, asset: str) -> None:
        self.asset = asset
        self.bids: Side = {}
        self.asks: Side = {}
        self.known = False
        self.trusted = False
        self.proven = False
        self.book_ts = ""

    def replace(self, bids: Side, asks: Side, ts: str) -> None:
        """Take over a full book."""
        self.bids, self.asks, self.book_ts = bids, asks, ts
        self.known = self.trusted = True

    def apply(self, bid: bool, price_i: int, size: str, gone: bool) -> None:
        """Set one level to its new total."""
        side = self.bids if bid else self.asks
        self.book_ts = ""
        if gone:
            side.pop(price_i, None)
        else:
            side[price_i] = size

    def mirror(self, one_i: int) -> tuple[Side, Side]:
        """(bids, asks) of the complement: bid p of one token is ask 1 - p of the other, with equal size."""
        return {one_i - p: s for p, s in self.asks.items()}, {one_i - p: s for p, s in self.bids.items()}

    def head(self, market: str, ts: str, heads: Mapping[int, str]) -> str:
        """The hashed text up to and with the asks."""
        bids = ",".join([heads[p] + self.bids[p] + '"}' for p in sorted(self.bids)])
        asks = ",".join([heads[p] + self.asks[p] + '"}' for p in sorted(self.asks, reverse=True)])
        keys = f'"market":"{market}","asset_id":"{self.asset}","timestamp":"{ts}","hash":""'
        return f'{{{keys},"bids":[{bids}],"asks":[{asks}]'


@dataclass(slots=True)
class Given:
    """What a message or its row says about the hashed terms; None where it does not."""

    tick: str | None = None
    last: str | None = None
    min_size: str | None = None
    neg_risk: bool | None = None

    @property
    def complete(self) -> bool:
        return None not in (self.tick, self.last, self.min_size, self.neg_risk)


@dataclass(slots=True)
class HashTerms:
    """The hashed terms of one market that a message need not repeat: learned from messages, trades and searches."""

    tick: str | None = None
    last: str | None = None
    min_size: str = "5"
    neg_risk: bool = False
    proven: bool = False
    """some hash of this market verified: min_size and neg_risk are right, so from now on a mismatch is a wrong book"""
    misses: int = 0

    def verify(self, head: str, want: str, given: Given, searches: int = 1) -> bool | None:
        """Whether the book behind `head` has the hash `want`; None where that cannot be told.

        Terms that are not given are tried as known, then by search (the last price changes with trades a recording may
        not hold): if any choice gives `want`, the book is right and the terms are learned, for SHA-1 does not match by
        chance. Nothing found is False where `proven` or all terms are given. `searches=0` tries the known terms only.
        """
        if len(want) != _DIGEST_HEX:
            return None
        state = hashlib.sha1(head.encode(), usedforsecurity=False)
        tick = given.tick if given.tick is not None else self.tick
        last = given.last if given.last is not None else self.last
        min_size = given.min_size if given.min_size is not None else self.min_size
        neg_risk = given.neg_risk if given.neg_risk is not None else self.neg_risk
        if tick is not None and last is not None:
            first = state.copy()
            first.update(f'{_terms(min_size, tick, neg_risk)}{last}"}}'.encode())
            if first.hexdigest() == want:
                return self._learn(tick, last, min_size, neg_risk)
        if not searches:
            return None
        if given.complete:
            return False
        if self.misses >= SEARCH_MAX and not self.proven:
            return None
        return self._search(state, want, given, min_size, neg_risk)

    def _search(self, state: Any, want: str, given: Given, min_size: str, neg_risk: bool) -> bool | None:
        digest = bytes.fromhex(want)
        ticks = [given.tick] if given.tick is not None else sorted(TICKS, key=lambda tick: tick != self.tick)
        sizes = [min_size] if self.proven or given.min_size is not None else MIN_SIZES
        risks = [neg_risk] if self.proven or given.neg_risk is not None else [False, True]
        tails = _LAST_TAILS if given.last is None else (f'{given.last}"}}'.encode(),)
        for size, risk, tick in product(sizes, risks, ticks):
            middle = state.copy()
            middle.update(_terms(size, tick, risk).encode())
            for tail in tails:
                end = middle.copy()
                end.update(tail)
                if end.digest() == digest:
                    return self._learn(tick, tail[:-2].decode(), size, risk)
        self.misses += 1
        return False if self.proven else None

    def _learn(self, tick: str, last: str, min_size: str, neg_risk: bool) -> bool:
        self.tick, self.last, self.min_size, self.neg_risk = tick, last, min_size, neg_risk
        self.proven = True
        return True


def _terms(min_size: str, tick: str, neg_risk: bool) -> str:
    risk = "true" if neg_risk else "false"
    return f',"min_order_size":"{min_size}","tick_size":"{tick}","neg_risk":{risk},"last_trade_price":"'


def last_text(price: str) -> str:
    """A traded price as the hash has it: three decimals, more only where the price has more.

    "0.82" -> "0.820", "0.9995" -> "0.9995" (the latter is an assumption: no such hash was seen).
    """
    whole, _, part = plain(decimal_of(price, "price")).partition(".")
    return f"{whole}.{part.ljust(3, '0')}"


def book_hash(book: Mapping[str, Any], scale: Scale) -> str:
    """Hash of a full book message that carries every hashed term (a REST book). Errors: KeyError naming a missing one."""
    token = TokenBook(book["asset_id"])
    token.replace(scale.side(book["bids"]), scale.side(book["asks"]), book["timestamp"])
    terms = _terms(book["min_order_size"], book["tick_size"], book["neg_risk"])
    text = f'{token.head(book["market"], token.book_ts, scale.heads)}{terms}{book["last_trade_price"]}"}}'
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
