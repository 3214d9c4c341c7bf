"""What the market did while a parent order was worked: the price at its arrival, and the interval's VWAP."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction

from execsim.core.events import Top, Trade
from execsim.core.instrument import Instrument, Outcome


class Benchmark:
    """Mid of the first two-sided book seen, and volume-weighted price of the prints heard, both as prices of `outcome`.

    Over several markets (a router) arrival is the first market's, the VWAP is over all of them.
    """

    def __init__(self, instruments: Mapping[str, Instrument], outcome: Outcome) -> None:
        self._instruments = instruments
        self._outcome = outcome
        self._arrivals: dict[str, Decimal] = {}
        self._value = Decimal(0)
        self._size = Decimal(0)
        self.prints = 0
        self.inferred = 0

    def see(self, top: Top) -> None:
        """Take the first two-sided top of each market."""
        if top.market in self._arrivals or top.bid_i is None or top.ask_i is None:
            return
        grid = self._instruments[top.market].grid
        mid = (grid.price(top.bid_i) + grid.price(top.ask_i)) / 2
        self._arrivals[top.market] = mid if self._outcome is Outcome.YES else 1 - mid

    def hear(self, trade: Trade) -> None:
        instrument = self._instruments[trade.market]
        size = instrument.grid.size(trade.lots)
        price = instrument.grid.price(instrument.canonical_i(trade.price_i, self._outcome))
        self._value += price * size
        self._size += size
        self.prints += 1
        self.inferred += trade.inferred

    @property
    def arrival(self) -> Decimal | None:
        return next((self._arrivals[market] for market in self._instruments if market in self._arrivals), None)

    @property
    def vwap(self) -> Decimal | None:
        """None when nothing printed."""
        return self._value / self._size if self._size else None


def slippage(price: Decimal | None, reference: Decimal | None, sign: int) -> Decimal | None:
    """What was paid per unit beyond `reference` (`sign`: +1 buy, -1 sell); negative is a gain."""
    return None if price is None or reference is None else sign * (price - reference)


def basis_points(cost: Decimal | None, reference: Decimal | None) -> Decimal | None:
    """A slippage as parts of ten thousand of the reference, to two places."""
    if cost is None or not reference:
        return None
    ratio = Fraction(cost) / Fraction(reference) * 1_000_000
    return Decimal(round(ratio)).scaleb(-2)
