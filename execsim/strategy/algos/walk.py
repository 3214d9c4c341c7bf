"""Which lots of which book to take first: the levels of several venues in order of what they cost all in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from execsim.core.fees import Liquidity
from execsim.core.instrument import Instrument, Outcome
from execsim.core.order import Side
from execsim.strategy.algos.pricing import within
from execsim.strategy.algos.taken import Taken

if TYPE_CHECKING:
    from execsim.engine.context import Context


@dataclass(frozen=True, slots=True)
class Level:
    """One price of one book: `lots` to be had of those `shown`. `unit_cost`: quote paid (received, when selling) for size
    1.0, taker fee and penalty in it."""

    market: str
    price_i: int
    lots: int
    shown: int
    unit_cost: Fraction


@dataclass(frozen=True, slots=True)
class Take:
    """What to take from one market: `lots` at `price_i` or better."""

    lots: int
    price_i: int


def levels_of(
    ctx: Context,
    market: str,
    side: Side,
    outcome: Outcome,
    limit_i: int | None,
    *,
    taken: Taken,
    spoken_for: int,
    penalty: Fraction,
    depth: int,
) -> list[Level]:
    """The levels an order of this side would meet within its limit, best first, less what we have `taken` of them and the
    first `spoken_for` lots (orders of ours are on their way to those). `penalty`: quote a unit of size costs more here."""
    instrument = ctx.instrument(market)
    book = ctx.depth(market, depth)
    found = []
    ours = book.asks if (side is Side.BUY) is (outcome is Outcome.YES) else book.bids
    taken.passed(market, instrument.canonical_i(ours[0][0], outcome) if ours else None, side.sign)
    for canonical_i, shown in ours:
        price_i = instrument.canonical_i(canonical_i, outcome)
        if not within(price_i, limit_i, side):
            break
        there = taken.left(market, price_i, shown, ctx.now_ns)
        lots = there - min(spoken_for, there)
        spoken_for -= there - lots
        if lots > 0:
            cost = all_in(instrument, side, price_i, lots, ctx.now_ns) + side.sign * penalty
            found.append(Level(market, price_i, lots, shown, cost))
    return found


def all_in(instrument: Instrument, side: Side, price_i: int, lots: int, now_ns: int) -> Fraction:
    """Quote paid or received per unit of size by a taker of `lots`, by the instrument's own rounding and fee. Exact."""
    cash = instrument.cash(price_i, lots)
    money = cash + side.sign * instrument.fee(price_i, lots, cash, Liquidity.TAKER, ts_ns=now_ns)
    return money * Fraction(instrument.quote.unit) / (lots * Fraction(instrument.grid.lot))


def share_out(
    room: int,
    levels: Iterable[Level],
    side: Side,
    weights: Mapping[str, int],
    steps: Mapping[str, int],
    leasts: Mapping[str, int],
) -> dict[str, Take]:
    """Give `room` (lots of the parent) to the cheapest levels: market -> what to take there, in lots of that market.

    Each share is on its market's step and at least its minimum (`leasts`); what a market would have had too little of goes
    to the others. Equal costs go to the market named first (order of `weights`).
    """
    rank = {market: index for index, market in enumerate(weights)}
    ordered = sorted(levels, key=lambda level: (side.sign * level.unit_cost, rank[level.market]))
    while True:
        takes = _greedy(room, ordered, weights, steps)
        small = [market for market, take in takes.items() if take.lots < leasts[market]]
        if not small:
            return takes
        # the least useful of those that are too small is left out, and the rest looked at again
        worst = max(small, key=lambda market: (-takes[market].lots * weights[market], rank[market]))
        ordered = [level for level in ordered if level.market != worst]


def _greedy(
    room: int, ordered: Sequence[Level], weights: Mapping[str, int], steps: Mapping[str, int]
) -> dict[str, Take]:
    lots: dict[str, int] = {}
    prices: dict[str, int] = {}
    for level in ordered:
        step = weights[level.market] * steps[level.market]
        # whole steps only: what a level holds beyond them is left there
        before = lots.get(level.market, 0)
        wanted = min(room, level.lots * weights[level.market])
        if wanted <= 0:
            continue
        lots[level.market] = before + wanted
        room -= wanted
        over = lots[level.market] % step
        lots[level.market] -= over
        room += over
        if lots[level.market] > before:
            prices[level.market] = level.price_i
    return {market: Take(held // weights[market], prices[market]) for market, held in lots.items() if held}
