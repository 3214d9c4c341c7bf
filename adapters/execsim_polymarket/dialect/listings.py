"""A desk's markets under the names the venue gives them: condition ids and token ids.

Recorded names are kept. A market without (agents, hand-written rows) gets stable ones, made of its id: the same in every run
and on every machine.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from execsim.core.instrument import Instrument, InstrumentKind, Outcome
from execsim.core.units import plain
from execsim.ports import Desk
from execsim.tape.schema import MarketInfo
from execsim_polymarket.amounts import DIGITS
from execsim_polymarket.domains import is_position_id

_CONDITION: Final = re.compile(r"0x[0-9a-f]{62,64}")
_TOKEN: Final = re.compile(r"[1-9][0-9]{0,77}")
_UNIT: Final = Decimal("0.000001")
_PRICE_UNIT: Final = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class Listing:
    """One market. Prices of the venue are Decimals or counts of 0.0001, sizes Decimals or counts of 0.000001."""

    instrument: Instrument
    info: MarketInfo
    condition_id: str
    yes_token: str
    no_token: str
    neg_risk: bool

    @property
    def market(self) -> str:
        return self.instrument.market

    @property
    def title(self) -> str:
        return self.info.title or self.market

    @property
    def slug(self) -> str:
        return str(self.info.extra.get("slug") or self.market)

    def outcome(self, token: str) -> Outcome:
        return Outcome.YES if token == self.yes_token else Outcome.NO

    def token(self, outcome: Outcome) -> str:
        return self.yes_token if outcome is Outcome.YES else self.no_token

    def tick(self, tick_i: int) -> Decimal:
        return self.instrument.grid.price(tick_i)

    def fine_tick_i(self, tick_i: int) -> int:
        """A tick of the market's grid in counts of 0.0001, by which amounts are judged."""
        return int(self.tick(tick_i) / _PRICE_UNIT)

    def price_i(self, fine_price_i: int) -> int | None:
        """A price in counts of 0.0001 on the market's grid; None where the grid is coarser."""
        price = fine_price_i * _PRICE_UNIT / self.instrument.grid.price_unit
        return int(price) if price == int(price) else None

    def lots(self, units: int) -> int | None:
        """Base units as lots; None where the lot is coarser."""
        lots = units * _UNIT / self.instrument.grid.lot
        return int(lots) if lots == int(lots) else None

    def cash(self, units: int) -> int | None:
        """Base units of pUSD as units of the instrument's quote."""
        cash = units * _UNIT / self.instrument.quote.unit
        return int(cash) if cash == int(cash) else None

    def price_text(self, price_i: int) -> str:
        return plain(self.instrument.grid.price(price_i))

    def size_text(self, lots: int) -> str:
        return plain(self.instrument.grid.size(lots))


class Listings:
    """The binary markets of a desk whose ticks the venue has; others cannot be spoken of in its protocol."""

    def __init__(self, desk: Desk) -> None:
        self.all: list[Listing] = []
        self.by_market: dict[str, Listing] = {}
        self.by_condition: dict[str, Listing] = {}
        self.by_token: dict[str, Listing] = {}
        for market, instrument in desk.instruments().items():
            tick_i = int(instrument.grid.price(instrument.tick_i) / _PRICE_UNIT)
            if instrument.kind is InstrumentKind.BINARY and tick_i in DIGITS:
                self._add(listing_of(instrument, desk.info(market)))

    def _add(self, listing: Listing) -> None:
        self.all.append(listing)
        self.by_market[listing.market] = listing
        self.by_condition[listing.condition_id] = listing
        self.by_token |= {listing.yes_token: listing, listing.no_token: listing}


def listing_of(instrument: Instrument, info: MarketInfo) -> Listing:
    """The market's recorded names, or made ones."""
    recorded = info.market.lower()
    condition = recorded if _CONDITION.fullmatch(recorded) else "0x" + _digest("condition", instrument.market).hex()
    tokens = [
        known if _TOKEN.fullmatch(known) else _token(outcome, instrument.market)
        for known, outcome in ((info.yes_token, "yes"), (info.no_token, "no"))
    ]
    return Listing(instrument, info, condition, tokens[0], tokens[1], bool(info.extra.get("neg_risk", False)))


def _token(outcome: str, market: str) -> str:
    token = int.from_bytes(_digest(outcome, market), "big")
    return str(token | 1 << 100 if is_position_id(token) else token)  # never a position of Exchange V3 by chance


def _digest(what: str, market: str) -> bytes:
    return hashlib.sha256(f"execsim polymarket {what} {market}".encode()).digest()


def named(parts: Mapping[str, object]) -> str:
    """A name (uuid) made of what it names: the same whenever it is asked for."""
    raw = hashlib.sha256(repr(sorted(parts.items())).encode()).hexdigest()
    return f"{raw[:8]}-{raw[8:12]}-4{raw[13:16]}-8{raw[17:20]}-{raw[20:32]}"
