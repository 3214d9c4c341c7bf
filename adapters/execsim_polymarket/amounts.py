"""From price and size to the two integers that are signed, and whether a pair of them obeys the venue's accuracy rules.

Integers throughout: `price_i` and `tick_i` count 0.0001 (the finest tick), amounts and lots count 0.000001 of pUSD or share.
A BUY makes pUSD and takes shares, a SELL the reverse; price = pUSD / shares.

    limit_amounts    GTC, GTD: shares to 0.01, pUSD exactly price x shares
    market_amounts   FOK, FAK as the official clients build them: shares by the tick's digits
    sent_amounts     what our adapter sends: market_amounts, but a BUY's shares floored to 0.0001 whatever the tick, without
                     which the venue refuses it (py-clob-client-v2 issue 99)
    fault            what the venue says to a pair it does not take; None for every pair above

Source: polymarket.md section 4; texts from Polymarket/py-clob-client issues 253 and 305, py-clob-client-v2 issue 99.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import Final, NamedTuple

from execsim.core.errors import ValidationError
from execsim.core.order import Side
from execsim.core.units import ceil_div, plain

PRICE_ONE: Final = 10_000
"""price_i of 1.0"""
UNIT: Final = 1_000_000
"""base units of one pUSD or share"""
SIZE_STEP: Final = 10_000
"""0.01: sizes, and the pUSD of a market BUY"""
MARKET_STEP: Final = 100
"""0.0001: the shares of a market BUY"""


class Digits(NamedTuple):
    """Decimals of a market's prices, and of what price x size gives."""

    price: int
    amount: int


DIGITS: Final = {
    1_000: Digits(1, 3), 100: Digits(2, 4), 50: Digits(3, 5), 25: Digits(4, 6), 10: Digits(3, 5), 1: Digits(4, 6),
}  # fmt: skip
"""By tick_i: every tick the venue has."""


class Amounts(NamedTuple):
    """What is signed, in base units."""

    maker: int
    taker: int


def digits_of(tick_i: int) -> Digits:
    """Errors: ValidationError for a tick the venue does not have."""
    if tick_i not in DIGITS:
        ticks = ", ".join(plain(Decimal(tick) / PRICE_ONE) for tick in sorted(DIGITS, reverse=True))
        raise ValidationError("tick", f"{tick_i} x 0.0001 is not a tick of Polymarket", f"its ticks are {ticks}")
    return DIGITS[tick_i]


def limit_amounts(side: Side, price_i: int, lots: int, tick_i: int) -> Amounts:
    """A GTC or GTD order: shares floored to 0.01, and price x shares, which is then exact.

    Errors: ValidationError (tick, price, size) for a price off the tick or outside tick .. 1 - tick, and less than 0.01."""
    _on_tick(price_i, tick_i)
    shares = lots - lots % SIZE_STEP
    if shares <= 0:
        raise ValidationError("size", f"{plain(Decimal(lots) / UNIT)} shares are less than 0.01")
    cash = price_i * shares // PRICE_ONE  # exact: shares are a multiple of PRICE_ONE
    return Amounts(cash, shares) if side is Side.BUY else Amounts(shares, cash)


def market_amounts(side: Side, price_i: int, units: int, tick_i: int) -> Amounts:
    """A FOK or FAK order as polymarket-client builds it; `units` are pUSD for a BUY, shares for a SELL, `price_i` the worst
    acceptable price, floored to the tick's decimals.

    Errors: ValidationError (tick; amount when nothing is left)."""
    price_digits, amount_digits = digits_of(tick_i)
    price_i -= price_i % 10 ** (4 - price_digits)
    given = units - units % SIZE_STEP
    if given <= 0 or price_i <= 0:
        raise ValidationError(
            "amount", f"{plain(Decimal(units) / UNIT)} at {plain(Decimal(price_i) / PRICE_ONE)} is nothing"
        )
    if side is Side.SELL:
        return Amounts(given, price_i * given // PRICE_ONE)
    # quotient: up to four digits beyond the last, which mends what a periodic fraction lost, then down to the last
    beyond = 10 ** (amount_digits + 4)
    fine = ceil_div(given * PRICE_ONE * beyond, price_i * UNIT)
    return Amounts(given, fine // 10**4 * 10 ** (6 - amount_digits))


def sent_amounts(side: Side, price_i: int, units: int, tick_i: int) -> Amounts:
    """A FOK or FAK order as our adapter sends it. A BUY's shares are floored, so that its price stays at or above `price_i`
    and the resting ask at `price_i` can be taken.

    Errors: ValidationError as `market_amounts`, and (price) for a price off the tick."""
    _on_tick(price_i, tick_i)
    maker, taker = market_amounts(side, price_i, units, tick_i)
    if side is Side.SELL:
        return Amounts(maker, taker)
    taker -= taker % MARKET_STEP
    if taker <= 0:
        raise ValidationError("amount", f"{plain(Decimal(units) / UNIT)} pUSD buy less than 0.0001 share")
    return Amounts(maker, taker)


def fault(side: Side, amounts: Amounts, tick_i: int, *, immediate: bool) -> str | None:
    """The venue's text for amounts with too many decimals; None for amounts it takes. `immediate`: posted as FOK or FAK.

    That a market SELL is held to the same decimals as a limit SELL is assumed: only "2 and 4", on a tick of 0.01, was
    ever reported of either."""
    fine = digits_of(tick_i).amount
    if side is Side.SELL:
        kind, most = "sell orders", (2, fine)
    elif immediate:
        kind, most = "market buy orders", (2, 4)
    else:
        kind, most = "buy orders", (fine, 2)
    if all(amount > 0 and amount % 10 ** (6 - places) == 0 for amount, places in zip(amounts, most, strict=True)):
        return None
    return (
        f"invalid amounts, the {kind} maker amount supports a max accuracy of {most[0]} decimals, "
        f"taker amount a max of {most[1]} decimals"
    )


def price_of(side: Side, amounts: Amounts, tick_i: int, *, immediate: bool) -> int | None:
    """The limit price an order's amounts stand for, or None when they stand for none on the tick.

    A limit order's amounts give it exactly. A market BUY's floored shares make the quotient a little more than its price:
    the price is the highest with the tick's decimals that is not above it and at which the shares come out as they are.
    On ticks of 0.005 and 0.0025 a market order's price may be one last digit under the tick, where py-clob-client-v2's
    floats lose it (0.3475 is signed as 0.3474); it then stands for the next tick on the order's own side of it.
    """
    cash, shares = (amounts.maker, amounts.taker) if side is Side.BUY else (amounts.taker, amounts.maker)
    if cash <= 0 or shares <= 0:
        return None
    digits = digits_of(tick_i)
    last = 10 ** (4 - digits.price)
    price_i = cash * PRICE_ONE // shares
    if immediate and side is Side.BUY:
        price_i -= price_i % last
        missing = max(MARKET_STEP, 10 ** (6 - digits.amount))  # less than this was floored away
        fits = cash * PRICE_ONE < price_i * (shares + missing)
    else:
        fits = cash * PRICE_ONE == price_i * shares and price_i % last == 0
    if immediate and price_i % tick_i and (price_i + last) % tick_i == 0:
        price_i = price_i - price_i % tick_i if side is Side.BUY else price_i + last
    return price_i if fits and price_i % tick_i == 0 and tick_i <= price_i <= PRICE_ONE - tick_i else None


def spend_within(
    amount: Decimal, price: Decimal, max_spend: Decimal, *, rate: Decimal, exponent: int, builder_rate: Decimal
) -> Decimal:
    """What a market BUY of `amount` pUSD at `price` may spend so that it and its fees stay within `max_spend`.

    Solved exactly (28 digits), as polymarket-client does; py-clob-client-v2 subtracts the fee of the whole amount instead
    and spends a little less. Fees: rate x (p(1-p))^exponent a share, and `builder_rate` of the money."""
    with localcontext(prec=28):
        a_share = rate * (price * (1 - price)) ** exponent
        cost = amount + amount / price * a_share + amount * builder_rate
        return max_spend / (1 + a_share / price + builder_rate) if max_spend <= cost else amount


def _on_tick(price_i: int, tick_i: int) -> None:
    digits_of(tick_i)
    price, tick = plain(Decimal(price_i) / PRICE_ONE), plain(Decimal(tick_i) / PRICE_ONE)
    if price_i % tick_i:
        raise ValidationError("price", f"price {price} is not a multiple of the tick {tick}")
    if not tick_i <= price_i <= PRICE_ONE - tick_i:
        raise ValidationError("price", f"price {price} is not between {tick} and 1 - {tick}")
