"""The bounds of the reward share hold for every way the displayed liquidity may belong to makers."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from execsim.exchange.rewards import PARTS, Resting, score
from execsim.ports import RewardTerms

ONE, V = 10_000, 300
sizes = st.integers(0, 500)
makers = st.lists(st.tuples(sizes, sizes, st.integers(0, 2), st.integers(0, 2)), max_size=6)
"""(bid lots, ask lots, level of the bid, level of the ask)"""


def q(one: Fraction, two: Fraction, inside: bool) -> Fraction:
    """The page's equation 4, word for word."""
    return max(min(one, two), max(one / 3, two / 3)) if inside else min(one, two)


@given(makers, sizes, sizes, st.sampled_from([600, 3_000, 5_000, 9_500]))
def test_the_true_share_lies_between_low_and_high(
    others: list[tuple[int, int, int, int]], own_bid: int, own_ask: int, mid_i: int
) -> None:
    bid_levels, ask_levels = {mid_i - 100: 1}, {mid_i + 100: 1}
    everybody = [(1, 0, 0, 0), (0, 1, 0, 0), *others]
    for bid, ask, bid_at, ask_at in others:
        bid_levels[mid_i - 100 - 50 * bid_at] = bid_levels.get(mid_i - 100 - 50 * bid_at, 0) + bid
        ask_levels[mid_i + 100 + 50 * ask_at] = ask_levels.get(mid_i + 100 + 50 * ask_at, 0) + ask
    terms = RewardTerms(1, V, 1)
    mine = [Resting(1, mid_i - 100, own_bid, 0), Resting(-1, mid_i + 100, own_ask, 0)]
    share = score(terms, ONE, mine, sorted(bid_levels.items(), reverse=True), sorted(ask_levels.items()))
    inside, points = 1_000 <= mid_i <= 9_000, [Fraction((V - 100 - 50 * at) ** 2, V**2) for at in range(3)]
    ours = q(points[0] * own_bid, points[0] * own_ask, inside)
    theirs = sum(q(points[at] * bid, points[to] * ask, inside) for bid, ask, at, to in everybody)
    assert 0 <= share.low <= share.estimate <= share.high <= PARTS
    true = ours / (ours + theirs) if ours else Fraction(0)
    assert share.low <= true * PARTS < share.high + 1


@given(sizes, sizes, st.lists(st.integers(1, 9), min_size=1, max_size=5), st.integers(1, 300))
def test_the_estimate_is_exact_when_all_quote_in_one_proportion(bid: int, ask: int, parts: list[int], own: int) -> None:
    bids, asks = [(4_900, bid * sum(parts))], [(5_100, ask * sum(parts))]
    mine = [Resting(1, 4_900, own, 0), Resting(-1, 5_100, own, 0)]
    share = score(RewardTerms(1, V, 1), ONE, mine, bids, asks)
    weight = Fraction(200**2, 300**2)
    theirs = sum(q(weight * bid * part, weight * ask * part, True) for part in parts)
    assert share.estimate == weight * own * PARTS // (weight * own + theirs)
