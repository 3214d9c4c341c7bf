"""Fees by formula, in exact integers. A schedule *is* its parameters; amounts are units of the quote asset."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from itertools import pairwise
from typing import Final, NamedTuple, Protocol

from execsim.core.errors import ConfigError
from execsim.core.units import Rounding, divide

UNDATED: Final = 0
"""Time of a fill whose time is not told (ns). No venue of ours traded in 1970."""


class Liquidity(StrEnum):
    """Which side of a match an order was on."""

    MAKER = "maker"
    TAKER = "taker"


class Traded(NamedTuple):
    """What a fee is computed from. `one_i` is price 1.0 on the grid; `lots_per_unit` lots are size 1.0 and
    `cash_per_unit` quote units are 1.0 of the quote asset; `cash` is the (unsigned) money of the fill, `ts_ns` its
    time at the venue (UNDATED: not told)."""

    price_i: int
    one_i: int
    lots: int
    lots_per_unit: int
    cash: int
    cash_per_unit: int
    ts_ns: int = UNDATED


class FeeSchedule(Protocol):
    """What a venue charges for one fill, in quote units; negative is paid to us with the fill."""

    def fee(self, traded: Traded, liquidity: Liquidity) -> int: ...

    def rebate(self, traded: Traded) -> Fraction:
        """What the venue's rebate programme pays for a maker fill afterwards, unrounded, in quote units: an estimate
        (exchange/rewards.py says of what), never part of the fee."""


@dataclass(frozen=True, slots=True)
class NoFee:
    """No fee on either side."""

    def fee(self, traded: Traded, liquidity: Liquidity) -> int:
        return 0

    def rebate(self, traded: Traded) -> Fraction:
        return Fraction(0)


@dataclass(frozen=True, slots=True)
class NotionalFee:
    """A share of the traded value: maker and taker rates as exact decimals (0.001 = 10 bp), rounded down.

    `factor` is what a discount leaves of both (Binance paid in BNB: 0.75).
    Source: the base tier spot exchanges publish (Binance: 0.001 both). Here it is taken in the quote asset; Binance takes
    it from the received asset, which is worth the same at the fill's price (docs/fees.md says what differs).
    """

    maker: Decimal = Decimal(0)
    taker: Decimal = Decimal(0)
    factor: Decimal = Decimal(1)

    def fee(self, traded: Traded, liquidity: Liquidity) -> int:
        num, den = (self.taker if liquidity is Liquidity.TAKER else self.maker).as_integer_ratio()
        left, whole = self.factor.as_integer_ratio()
        return traded.cash * num * left // (den * whole)

    def rebate(self, traded: Traded) -> Fraction:
        return Fraction(0)


@dataclass(frozen=True, slots=True)
class BinaryFee:
    """Fee of a binary market: shares x rate x p^price_power x (p(1-p))^exponent, rounded to `decimals` places of the quote.

    Makers pay by `maker` in place of `rate` (0: nothing). `rebate_share` is the part of the taker fees of a market that
    goes back to its makers afterwards.

    Polymarket: down to 5 decimals, takers only; price_power 1 and exponent 2 until March 2026, then 0 and 1. Source:
    docs.polymarket.com trading/fees (copies of 2026-03 and 2026-08); the floor from 19 of 19 on-chain fills of September
    2026 and 15 of 15 clean real fills of March 2026 (tests check all of them).
    Kalshi: up to 4 decimals, then up to the account's precision (2): rounding up twice is rounding up once to the coarser.
    Errors: ConfigError for a negative parameter, or a share outside 0..1.
    """

    rate: Decimal
    exponent: int = 1
    decimals: int = 5
    price_power: int = 0
    maker: Decimal = Decimal(0)
    rounding: Rounding = Rounding.FLOOR
    rebate_share: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        for name in ("rate", "maker", "exponent", "price_power", "decimals"):
            if getattr(self, name) < 0:
                raise ConfigError(f"fee: {name} {getattr(self, name)} is negative", "")
        if not 0 <= self.rebate_share <= 1:
            raise ConfigError(f"fee: rebate_share {self.rebate_share}", "a share lies between 0 and 1")

    def fee(self, traded: Traded, liquidity: Liquidity) -> int:
        rate = self.rate if liquidity is Liquidity.TAKER else self.maker
        if not rate:
            return 0
        (num, den), scale = self._exact(traded, rate), int(10**self.decimals)
        return divide(num * scale, den, self.rounding) * traded.cash_per_unit // scale

    def rebate(self, traded: Traded) -> Fraction:
        return Fraction(*self._exact(traded, self.rate)) * traded.cash_per_unit * Fraction(self.rebate_share)

    def _exact(self, traded: Traded, rate: Decimal) -> tuple[int, int]:
        """The formula before rounding, in whole quote (1.0), as numerator and denominator."""
        num, den = rate.as_integer_ratio()
        one, price = traded.one_i, traded.price_i
        num *= traded.lots * price**self.price_power * (price * (one - price)) ** self.exponent
        den *= traded.lots_per_unit * one ** (self.price_power + 2 * self.exponent)
        return num, den


@dataclass(frozen=True, slots=True)
class DatedFees:
    """Schedules by the time of the fill: `regimes` are (from_ns, schedule), ascending; each holds until the next begins.

    Before the first begins nothing is charged. A fill whose time is not told (UNDATED) pays by the newest.
    Errors: ConfigError when there is none or they are out of order.
    """

    regimes: tuple[tuple[int, FeeSchedule], ...]

    def __post_init__(self) -> None:
        starts = [start for start, _ in self.regimes]
        if not starts:
            raise ConfigError("dated fees without a regime", "name at least one (from_ns, schedule)")
        if any(later <= earlier for earlier, later in pairwise(starts)):
            raise ConfigError(
                "dated fees: the regimes are not in order of time", "each must begin after the one before"
            )

    def at(self, ts_ns: int) -> FeeSchedule:
        """The schedule in force at an instant; at a regime's first instant the new one is."""
        if ts_ns == UNDATED:
            return self.regimes[-1][1]
        found: FeeSchedule = NoFee()
        for start, schedule in self.regimes:
            if ts_ns < start:
                break
            found = schedule
        return found

    def fee(self, traded: Traded, liquidity: Liquidity) -> int:
        return self.at(traded.ts_ns).fee(traded, liquidity)

    def rebate(self, traded: Traded) -> Fraction:
        return self.at(traded.ts_ns).rebate(traded)
