"""Rebates and rewards: the formulas of the venue's pages, by hand."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest

from execsim.core.fees import BinaryFee, DatedFees
from execsim.core.instrument import Asset, Instrument, InstrumentKind, Outcome
from execsim.core.order import Fill, FillId, Liquidity, OrderId, Side
from execsim.core.units import Grid
from execsim.exchange.rewards import (
    DAY_NS,
    MINUTE_NS,
    PARTS,
    RebateAccrual,
    Resting,
    RewardAccrual,
    RewardTerms,
    score,
)

MICRO = Decimal("0.000001")
PUSD = Asset("pUSD", MICRO)
CRYPTO = BinaryFee(Decimal("0.07"), rebate_share=Decimal("0.2"))
MARKET = Instrument(
    "polymarket",
    "up",
    InstrumentKind.BINARY,
    Grid(Decimal("0.0001"), MICRO),
    Asset("up:YES", MICRO),
    PUSD,
    complement=Asset("up:NO", MICRO),
    fees=CRYPTO,
)
SHARE = 1_000_000
TERMS = RewardTerms(pool=100_000_000, spread_max_i=300, size_min_lots=10 * SHARE)
"""100 pUSD a day, 3 cents, 10 shares"""
ONE = MARKET.one_i
HALF_BOOK = [(4_900, 100 * SHARE)], [(5_100, 100 * SHARE)]


def made(shares: int, price_i: int = 5_000, ts_ns: int = DAY_NS, liquidity: Liquidity = Liquidity.MAKER) -> Fill:
    cash = MARKET.cash(price_i, shares * SHARE)
    return Fill(FillId("f"), OrderId("o"), ts_ns, Side.BUY, Outcome.YES, price_i, shares * SHARE, -cash, 0, liquidity)


def bid(price_i: int, shares: int, age_ns: int = 0) -> Resting:
    return Resting(1, price_i, shares * SHARE, age_ns)


def ask(price_i: int, shares: int, age_ns: int = 0) -> Resting:
    return Resting(-1, price_i, shares * SHARE, age_ns)


# ------------------------------------------------------------------ rebates
def test_a_rebate_is_the_share_of_the_fee_equivalent() -> None:
    """1000 shares at 0.5: 1000 x 0.07 x 0.25 = 17.5 of fees, 20 % of them 3.5; at worst half of it."""
    accrual = RebateAccrual(MARKET)
    accrual.add(made(1_000))
    accrual.add(made(1_000, liquidity=Liquidity.TAKER))
    found = accrual.summary()
    assert (found.low, found.estimate, found.high) == (1_750_000, 3_500_000, 3_500_000)
    assert found.counts == {"maker_fills": 1, "days": 1}
    assert found.at_most is None


def test_pro_rata_of_the_pool_is_the_share_whatever_others_trade() -> None:
    """The venue's own formula on a made-up day of three makers: E / sum(E) x 20 % of the taker fees, before rounding."""
    fills = {"us": [(5_000, 40), (3_300, 10)], "b": [(5_000, 500)], "c": [(9_900, 70), (100, 3)]}
    equivalent = {
        name: sum(MARKET.rebate(price, lots * SHARE, 0, DAY_NS) / Fraction(1, 5) for price, lots in own)
        for name, own in fills.items()
    }
    fees = sum(equivalent.values())  # one taker stands against every maker fill
    accrual = RebateAccrual(MARKET)
    for price, lots in fills["us"]:
        accrual.add(made(lots, price))
    theirs = equivalent["us"] / sum(equivalent.values()) * (fees / 5)
    assert 0 <= theirs - accrual.summary().estimate < 1


def test_the_minimum_is_a_matter_of_the_low_and_of_each_utc_day() -> None:
    """2.10 on one day and 1.75 on the next: the low pays 1.05 (half) of the first and nothing of the second."""
    accrual = RebateAccrual(MARKET)
    accrual.add(made(600, ts_ns=2 * DAY_NS - 1))
    accrual.add(made(500, ts_ns=2 * DAY_NS))
    found = accrual.summary()
    assert (found.low, found.estimate, found.high) == (1_050_000, 3_850_000, 3_850_000)
    assert found.counts["days"] == 2


def test_a_voided_fill_earns_nothing() -> None:
    accrual = RebateAccrual(MARKET)
    accrual.add(made(1_000))
    accrual.add(made(40))
    accrual.void(made(1_000))
    assert accrual.summary().estimate == 140_000
    assert accrual.summary().counts["maker_fills"] == 1


def test_rate_and_share_are_those_of_the_fills_date() -> None:
    old, new = BinaryFee(Decimal("0.03"), rebate_share=Decimal("0.25")), CRYPTO
    market = replace(MARKET, fees=DatedFees(((1, old), (2 * DAY_NS, new))))
    accrual = RebateAccrual(market)
    accrual.add(made(100, ts_ns=2 * DAY_NS - 1))
    assert accrual.summary().estimate == 187_500
    accrual.add(made(100, ts_ns=2 * DAY_NS))
    assert accrual.summary().estimate == 187_500 + 350_000


def test_nothing_made_is_nothing() -> None:
    found = RebateAccrual(MARKET).summary()
    assert (found.low, found.estimate, found.high) == (0, 0, 0)


# ------------------------------------------------------------------ rewards
def test_the_worked_example_of_the_pages() -> None:
    """v = 3 cents, midpoint 0.50: 100 @ 0.49, 200 @ 0.48, 100 @ 0.49 score 400/9 + 200/9 + 400/9 = 1000/9; against it the
    others' 100 @ 0.49 (400/9), both sides alike: our share is 1000 of 1400."""
    mine = [bid(4_900, 100), bid(4_800, 200), bid(4_900, 100), ask(5_100, 100), ask(5_200, 200), ask(5_100, 100)]
    share = score(TERMS, ONE, mine, *HALF_BOOK)
    assert share.estimate == 1_000 * PARTS // 1_400
    assert share.low == share.estimate  # a balanced book leaves no less: one maker may hold it all
    assert share.high == 1_000 * PARTS // 1_200  # at most: makers of three to one, in both directions, score half


def test_one_side_scores_a_third_inside_the_range_and_nothing_outside() -> None:
    others = [(4_900, 100 * SHARE)], [(5_100, 100 * SHARE)]
    both = score(TERMS, ONE, [bid(4_900, 100), ask(5_100, 100)], *others)
    one = score(TERMS, ONE, [bid(4_900, 100)], *others)
    assert both.estimate == PARTS // 2
    assert one.estimate == PARTS // 4  # a third against one
    low = [(900, 100 * SHARE)], [(1_000, 100 * SHARE)]
    assert score(TERMS, ONE, [bid(900, 100)], *low) == (0, 0, 0)
    assert score(TERMS, ONE, [bid(900, 100), ask(1_000, 100)], *low) == (PARTS // 2, PARTS // 2, PARTS)


@pytest.mark.parametrize(
    ("bid_i", "ask_i", "scores"),
    [(800, 1_200, True), (800, 1_199, False), (8_800, 9_200, True), (8_800, 9_201, False)],
)
def test_the_range_includes_its_ends(bid_i: int, ask_i: int, scores: bool) -> None:
    """Midpoints 0.10 and 0.90 are inside; half a unit further out is not."""
    share = score(TERMS, ONE, [bid(bid_i, 100)], [(bid_i, 100 * SHARE)], [(ask_i, 100 * SHARE)])
    assert (share.estimate > 0) == scores


def test_what_does_not_score() -> None:
    for orders in (
        [bid(4_900, 9), ask(5_100, 9)],  # too small
        [bid(4_700, 100), ask(5_300, 100)],  # v away
        [],
    ):
        assert score(TERMS, ONE, orders, *HALF_BOOK) == (0, 0, 0)
    young = RewardTerms(TERMS.pool, TERMS.spread_max_i, TERMS.size_min_lots, age_min_ns=4)
    assert score(young, ONE, [bid(4_900, 100, 3), ask(5_100, 100, 4)], *HALF_BOOK).estimate == PARTS // 4
    assert score(young, ONE, [bid(4_900, 100, 4), ask(5_100, 100, 4)], *HALF_BOOK).estimate == PARTS // 2


def test_small_levels_do_not_move_the_midpoint_and_do_not_count() -> None:
    """A bid of 9 shares at 0.50 is below the cutoff: the midpoint stays 0.50, and it is nobody's score."""
    bids, asks = HALF_BOOK
    mine = [bid(4_900, 100), ask(5_100, 100)]
    dusty = score(TERMS, ONE, mine, [(5_000, 9 * SHARE), *bids], asks)
    assert dusty == score(TERMS, ONE, mine, bids, asks)


def test_our_own_quote_moves_the_midpoint() -> None:
    """Bidding 0.50 for 100 moves it from 0.50 to 0.505: our ask at 0.51 is then half a cent away."""
    near = score(TERMS, ONE, [bid(5_000, 100), ask(5_100, 100)], *HALF_BOOK)
    assert near.estimate == 25 * PARTS // (25 + 9)  # (2.5/3)^2 twice against (1.5/3)^2 and (2.5/3)^2: min 9


def test_without_a_midpoint_or_without_others() -> None:
    assert score(TERMS, ONE, [bid(4_900, 100)], [], []) == (0, 0, 0)
    assert score(TERMS, ONE, [bid(4_900, 100), ask(5_100, 100)], [], []) == (PARTS, PARTS, PARTS)


def test_a_day_pays_the_mean_share_of_its_samples() -> None:
    accrual = RewardAccrual(MARKET, TERMS)
    for minute in range(720):
        accrual.sample(DAY_NS + minute * MINUTE_NS, [bid(4_900, 100), ask(5_100, 100)], *HALF_BOOK)
    accrual.unseen()
    found = accrual.summary()
    assert (found.low, found.estimate) == (25_000_000, 25_000_000)  # half of the score, half of the day
    assert found.high == 33_333_334  # two to one
    assert found.at_most == 50_000_000
    assert found.counts == {"samples": 720, "scored": 720, "unseen": 1}


def test_a_market_of_five_minutes_shares_its_pool_over_five_samples() -> None:
    accrual = RewardAccrual(MARKET, RewardTerms(TERMS.pool, 300, TERMS.size_min_lots, samples_a_day=5))
    for minute in range(5):
        accrual.sample(DAY_NS + minute * MINUTE_NS, [bid(4_900, 100), ask(5_100, 100)], *HALF_BOOK)
    assert accrual.summary().estimate == 50_000_000


def test_the_payout_minimum_binds_the_low_only() -> None:
    accrual = RewardAccrual(MARKET, TERMS)
    accrual.sample(DAY_NS, [bid(4_900, 100), ask(5_100, 100)], *HALF_BOOK)
    found = accrual.summary()
    assert (found.low, found.estimate) == (0, 34_722)
