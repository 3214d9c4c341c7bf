"""Fees by formula, in exact integers. A schedule *is* its parameters; amounts are units of the quote asset."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple, Protocol


class Liquidity(StrEnum):
    """Which side of a match an order was on."""

    MAKER = "maker"
    TAKER = "taker"


class Traded(NamedTuple):
    """What a fee is computed from. `one_i` is price 1.0 on the grid; `lots_per_unit` lots are size 1.0 and
    `cash_per_unit` quote units are 1.0 of the quote asset; `cash` is the (unsigned) money of the fill."""

    price_i: int
    one_i: int
    lots: int
    lots_per_unit: int
    cash: int
    cash_per_unit: int


class FeeSchedule(Protocol):
    """What a venue charges for one fill, in quote units; negative is a rebate."""

    def fee(self, traded: Traded, liquidity: Liquidity) -> int: ...


@dataclass(frozen=True, slots=True)
class NoFee:
    """No fee on either side."""

    def fee(self, traded: Traded, liquidity: Liquidity) -> int:
        return 0


@dataclass(frozen=True, slots=True)
class NotionalFee:
    """A share of the traded value: maker and taker rates as exact decimals (0.001 = 10 bp), rounded down.

    Source: the base tier spot exchanges publish (Binance: 0.001 both). Here it is taken in the quote asset; Binance takes
    it from the received asset, which is worth the same at the fill's price.
    """

    maker: Decimal = Decimal(0)
    taker: Decimal = Decimal(0)

    def fee(self, traded: Traded, liquidity: Liquidity) -> int:
        num, den = (self.taker if liquidity is Liquidity.TAKER else self.maker).as_integer_ratio()
        return traded.cash * num // den


@dataclass(frozen=True, slots=True)
class BinaryFee:
    """Polymarket's taker fee: shares x rate x (p(1-p))^exponent, floored to `decimals` places of the quote asset.

    Source: docs.polymarket.com trading/fees (2026-08); the floor to 5 decimals from 19 of 19 on-chain fills of September
    2026 (tests/unit/core/test_fees.py checks all of them). Makers pay nothing.
    """

    rate: Decimal
    exponent: int = 1
    decimals: int = 5

    def fee(self, traded: Traded, liquidity: Liquidity) -> int:
        if liquidity is Liquidity.MAKER:
            return 0
        num, den = self.rate.as_integer_ratio()
        curve, flat = 1, 1
        for _ in range(self.exponent):
            curve *= traded.price_i * (traded.one_i - traded.price_i)
            flat *= traded.one_i * traded.one_i
        scale = int(10**self.decimals)
        steps = traded.lots * num * curve * scale // (traded.lots_per_unit * den * flat)
        return steps * traded.cash_per_unit // scale
