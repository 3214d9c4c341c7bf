"""What a venue's maker programmes would have paid: maker rebates and liquidity rewards, as estimates with their error.

Neither is ever part of a fill, a balance or the PnL: nobody outside the venue can compute them exactly, so each stands
beside the result as an estimate between a low and a high. Pure and deterministic: integers and fractions, no clock.

Source: docs.polymarket.com market-makers/maker-rebates (copies of 2026-02 to 2026-08), market-makers/liquidity-rewards
(copy of 2026-03-10; epoch of one UTC day: polymarket.md section 9). docs/fees.md derives every formula used here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Final, NamedTuple

from execsim.core.fees import Liquidity
from execsim.core.instrument import Instrument
from execsim.core.order import Fill
from execsim.core.units import NS_PER_S, ceil_div, floor_div
from execsim.ports import RewardTerms

DAY_NS: Final = 86_400 * NS_PER_S
"""Both programmes are settled per UTC day."""
MINUTE_NS: Final = 60 * NS_PER_S
PAYOUT_MIN: Final = Decimal(1)
"""Least amount paid, in whole quote. The pages do not say whether it counts per market or per account."""
TIER_MAX: Final = Fraction(1, 2)
"""The largest part of a taker's fees that the taker-rebate tiers give back (Obsidian, 50 %)."""
SINGLE_SIDED: Final = 3
"""c: what a one-sided quote's score is divided by."""
PARTS: Final = 10**18
"""A share of one sample is kept in whole parts of 10^-18, rounded down."""

REBATE_ASSUMES: Final = (
    "an estimate, not paid in the run and not in the PnL: share of the taker fees x fee-equivalent of our maker fills",
    "low: no market's day below the payout minimum of 1 is paid, and takers of the highest tier get half their fees back "
    "before makers are paid; high: no minimum, the pool is made of whole fees",
    "our fills are simulated: that the same flow would have met our orders is the fill model's assumption, not the venue's",
    "the share is at the venue's discretion",
)
REWARD_ASSUMES: Final = (
    "an estimate, not paid in the run and not in the PnL: pool of the day x mean share of the score over its samples",
    "estimate: every other maker quotes bids and asks in the proportion of the displayed book; low and high: the splits of "
    "it over makers that leave us least and most",
    "low: no market's day below the payout minimum of 1 is paid; estimate and high: no minimum",
    "every displayed level of at least the minimum size counts for others: if it is made of smaller orders we earn more, "
    "at most the share of samples in which we scored (at_most)",
    "minutes outside the recording and in its gaps count as minutes in which others scored and we did not",
)


@dataclass(frozen=True, slots=True)
class Estimate:
    """Money of one market in units of `instrument.quote`: low <= estimate <= high; `at_most` is what cannot be exceeded
    where `high` rests on an assumption. `counts` say what it was computed from."""

    instrument: Instrument
    low: int
    estimate: int
    high: int
    assumes: tuple[str, ...]
    counts: dict[str, int] = field(default_factory=dict)
    at_most: int | None = None


class RebateAccrual:
    """Maker rebate of one market, fed its fills.

    The venue pays E / sum(E) x pool per market and UTC day, E the fee-equivalent (the taker formula on maker fills). Each
    trade has one taker and makers for the same shares, so sum(E) is the taker fees and the pool is `share` of them: what is
    left is share x E, whatever the others traded.
    """

    def __init__(self, instrument: Instrument) -> None:
        self._instrument = instrument
        self._days: dict[int, Fraction] = defaultdict(Fraction)
        self._fills = 0

    def add(self, fill: Fill) -> None:
        """Count a fill by the rate and share of its date; a taker's earns nothing."""
        self._book(fill, 1)

    def void(self, fill: Fill) -> None:
        """Take a counted fill back: the trade failed on chain, so no fee was paid."""
        self._book(fill, -1)

    def _book(self, fill: Fill, sign: int) -> None:
        if fill.liquidity is not Liquidity.MAKER:
            return
        earned = self._instrument.rebate(fill.price_i, fill.lots, abs(fill.cash), fill.ts_ns)
        self._days[fill.ts_ns // DAY_NS] += sign * earned
        self._fills += sign

    def summary(self) -> Estimate:
        minimum = self._instrument.quote.amount(PAYOUT_MIN)
        worst = [day * (1 - TIER_MAX) for day in self._days.values()]
        total = sum(self._days.values(), Fraction(0))
        return Estimate(
            self._instrument,
            low=sum(_floor(day) for day in worst if day >= minimum),
            estimate=_floor(total),
            high=_ceil(total),
            assumes=REBATE_ASSUMES,
            counts={"maker_fills": self._fills, "days": len(self._days)},
        )


class Resting(NamedTuple):
    """An own order on the canonical book: `side` +1 buys YES (or sells NO), price of YES, lots left, age."""

    side: int
    price_i: int
    lots: int
    age_ns: int


class Share(NamedTuple):
    """Our part of one sample in PARTS: low <= estimate <= high."""

    low: int
    estimate: int
    high: int


Levels = Sequence[tuple[int, int]]
"""(price_i, lots) of one side, best first."""
NOTHING: Final = Share(0, 0, 0)


class RewardAccrual:
    """Liquidity reward of one market, fed one sample a minute."""

    def __init__(self, instrument: Instrument, terms: RewardTerms) -> None:
        self._instrument = instrument
        self._terms = terms
        self._days: dict[int, list[int]] = defaultdict(lambda: [0, 0, 0, 0, 0])
        """day -> samples, samples in which we scored, sums of low, estimate and high"""
        self._unseen = 0

    def unseen(self) -> None:
        """A minute in which the book was not known (a gap of the recording, or before its first row)."""
        self._unseen += 1

    def sample(self, ts_ns: int, orders: Iterable[Resting], bids: Levels, asks: Levels) -> Share:
        """Score one instant. `bids` and `asks` are what others show; our orders are not among them."""
        share = score(self._terms, self._instrument.one_i, list(orders), bids, asks)
        day = self._days[ts_ns // DAY_NS]
        day[0] += 1
        day[1] += share.high > 0
        for at, part in enumerate(share, start=2):
            day[at] += part
        return share

    def summary(self) -> Estimate:
        terms, minimum = self._terms, self._instrument.quote.amount(PAYOUT_MIN)
        low = estimate = high = at_most = 0
        for samples, scored, *sums in self._days.values():
            whole = PARTS * max(terms.samples_a_day, samples)
            worst = floor_div(terms.pool * sums[0], whole)
            low += worst if worst >= minimum else 0
            estimate += floor_div(terms.pool * sums[1], whole)
            high += ceil_div(terms.pool * sums[2], whole)
            at_most += ceil_div(terms.pool * scored * PARTS, whole)
        counts = {
            "samples": sum(day[0] for day in self._days.values()),
            "scored": sum(day[1] for day in self._days.values()),
            "unseen": self._unseen,
        }
        return Estimate(self._instrument, low, estimate, high, REWARD_ASSUMES, counts, at_most)


def score(terms: RewardTerms, one_i: int, orders: list[Resting], bids: Levels, asks: Levels) -> Share:
    """Our share of one sample: Q_ours / (Q_ours + sum of Q over the other makers).

    An order scores ((v - s) / v)^2 x lots at s from the midpoint; Q_one sums the bids of the canonical book (bids on YES and
    asks on NO are the same side of it), Q_two the asks; Q = max(min(Q_one, Q_two), max(Q_one, Q_two) / 3), outside a
    midpoint of 0.10..0.90 min(Q_one, Q_two). The midpoint is that of the levels of at least the minimum size, ours included.
    Only the sums B, A of the others' scores are known, not how makers share them. With q(b, a) = Q, over all splits:
    sum q <= min(B, A) + |B - A| / 3, and >= max((B + A) / 4, B / 3, A / 3); if all quote in one proportion it is q(B, A).
    Outside the range: <= min(B, A) and >= 0.
    Units: prices in grid units, doubled so that the midpoint is whole; scores times v^2, which cancels.
    """
    mid2 = midpoint_doubled(terms, orders, bids, asks)
    if mid2 is None:
        return NOTHING
    ours_one = ours_two = 0
    for order in orders:
        if order.lots >= terms.size_min_lots and order.age_ns >= terms.age_min_ns:
            points = _weight(terms, mid2, order.price_i) * order.lots
            ours_one, ours_two = ours_one + points * (order.side > 0), ours_two + points * (order.side < 0)
    bid, ask = (
        sum(_weight(terms, mid2, price) * lots for price, lots in side if lots >= terms.size_min_lots)
        for side in (bids, asks)
    )
    c = SINGLE_SIDED
    if 2 * one_i <= 10 * mid2 <= 18 * one_i:
        ours = (1 + c) * _q(ours_one, ours_two)
        most, likely = (1 + c) * (c * min(bid, ask) + abs(bid - ask)), (1 + c) * _q(bid, ask)
        least = max(c * (bid + ask), (1 + c) * bid, (1 + c) * ask)
    else:
        ours, most, least = min(ours_one, ours_two), min(bid, ask), 0
        likely = most
    if not ours:
        return NOTHING
    return Share(*(ours * PARTS // (ours + others) for others in (most, likely, least)))


def counts(terms: RewardTerms, one_i: int, order: Resting, mine: list[Resting], mid2: int | None) -> bool:
    """Whether one of our resting orders adds to our score at this instant: near, large and old enough; where the midpoint is
    outside 0.10..0.90, with another of ours on the other side (Q is the smaller sum there). `mid2`: midpoint_doubled."""
    if mid2 is None:
        return False
    middle = mid2

    def near(one: Resting) -> bool:
        whole = one.lots >= max(1, terms.size_min_lots) and one.age_ns >= terms.age_min_ns
        return whole and _weight(terms, middle, one.price_i) > 0

    inside = 2 * one_i <= 10 * middle <= 18 * one_i
    return near(order) and (inside or any(near(other) and other.side != order.side for other in mine))


def _q(one: int, two: int) -> int:
    """c x max(min, max / c): the score of a maker inside the range, in whole numbers."""
    return max(SINGLE_SIDED * min(one, two), one, two)


def _weight(terms: RewardTerms, mid2: int, price_i: int) -> int:
    """(v - s)^2 in doubled units, 0 from v on."""
    room = 2 * terms.spread_max_i - abs(2 * price_i - mid2)
    return room * room if room > 0 else 0


def midpoint_doubled(terms: RewardTerms, orders: list[Resting], bids: Levels, asks: Levels) -> int | None:
    """Best bid + best ask among prices that show at least the minimum size, our orders included; None if a side has none."""
    best: list[int] = []
    for sign, shown in ((1, bids), (-1, asks)):
        at = dict(shown)
        for order in orders:
            if order.side == sign:
                at[order.price_i] = at.get(order.price_i, 0) + order.lots
        prices = [price for price, lots in at.items() if lots >= terms.size_min_lots and lots > 0]
        if not prices:
            return None
        best.append(sign * max(sign * price for price in prices))
    return sum(best)


def _floor(amount: Fraction) -> int:
    return amount.numerator // amount.denominator


def _ceil(amount: Fraction) -> int:
    return -(-amount.numerator // amount.denominator)
