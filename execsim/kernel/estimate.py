"""Where in the queue a level shrank, as integers: fixed-point shares and logarithms that are the same on every machine.

Bounds: sizes and the lots of one unit are below 2**62, so sums of two of them fit; products go through `mul_div`.
"""

from __future__ import annotations

from execsim.kernel.ladder import Array
from execsim.kernel.layout import (
    LOG_BITS,
    LOGARITHMIC,
    POWER,
    PROPORTIONAL,
    QUEUE,
    RISK_AVERSE,
    SHARE_BITS,
    TABLE,
    TABLE_BITS,
)
from execsim.kernel.warm import inner, jit

FRACTION_BITS = 20
"""place between two points of a table: a millionth"""
ONE = 1 << SHARE_BITS
"""the share 1"""


@jit
def mul_div(a: int, b: int, c: int) -> int:
    """floor(a * b / c) for 0 <= a <= c < 2**62 and 0 <= b < 2**62, exactly, without a 128-bit product."""
    if a == 0 or b == 0:
        return 0
    if b <= 9_223_372_036_854_775_807 // a:
        return a * b // c
    quotient, rest = 0, 0
    for bit in range(62, -1, -1):
        quotient <<= 1
        rest <<= 1
        if rest >= c:
            rest -= c
            quotient += 1
        if (b >> bit) & 1:
            rest += a
            if rest >= c:
                rest -= c
                quotient += 1
    return quotient


@inner
def between(state: Array, place: int) -> int:
    """The model's table at `place` (TABLE_BITS + FRACTION_BITS bits of 0 to 1), interpolated, rounded down."""
    at = TABLE + (place >> FRACTION_BITS)
    low = state[at]
    rest = place & ((1 << FRACTION_BITS) - 1)
    return low if rest == 0 else low + ((state[at + 1] - low) * rest >> FRACTION_BITS)


@inner
def log2(state: Array, number: int) -> int:
    """log2 of 1 <= number < 2**63 in units of 2**-LOG_BITS: its bit length, and the table for what follows the first bit."""
    exponent, step = 0, 32
    while step > 0:
        if number >> (exponent + step) > 0:
            exponent += step
        step >>= 1
    place = ((number << (62 - exponent)) >> (62 - TABLE_BITS - FRACTION_BITS)) & (
        (1 << (TABLE_BITS + FRACTION_BITS)) - 1
    )
    return (exponent << LOG_BITS) + between(state, place)


@inner
def left_ahead(state: Array, unit: int, ahead: int, before: int, gone: int) -> int:
    """How many of `gone` lots that left a level of `before` without a print stood ahead of us, rounded down.

    0 <= ahead <= before, 0 < gone <= before; `unit`: lots of one unit of the market, for logarithms of sizes.
    """
    model = state[QUEUE]
    if model == RISK_AVERSE:
        return 0
    if model == PROPORTIONAL:
        return mul_div(gone, ahead, before)
    if model == POWER:
        share = between(state, mul_div(ahead, ONE, before))
    else:
        zero = log2(state, unit)
        behind = log2(state, before - ahead + unit) - zero
        if model == LOGARITHMIC:
            front = log2(state, ahead + unit) - zero
            whole = front + behind
        else:
            whole = log2(state, before + unit) - zero
            front = whole - behind
        share = mul_div(front, ONE, whole) if whole > 0 else 0
    return mul_div(share, gone, ONE)
