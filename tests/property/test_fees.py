"""Fee formulas against plain fractions, whatever the fill."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from execsim.core.fees import BinaryFee, DatedFees, Liquidity, Traded
from execsim.core.units import Rounding

ONE, LOTS, CASH = 10_000, 10**6, 10**6
prices = st.integers(1, ONE - 1)
lots = st.integers(1, 10**13)
rates = st.decimals(0, 1, places=4)
rules = st.builds(
    BinaryFee, rates, st.integers(0, 3), st.integers(0, 6), st.integers(0, 1), rates,
    st.sampled_from([Rounding.FLOOR, Rounding.CEIL]), st.decimals(0, 1, places=2),
)  # fmt: skip


def fill(price_i: int, size: int, ts_ns: int = 1) -> Traded:
    return Traded(price_i, ONE, size, LOTS, price_i * size * CASH // (ONE * LOTS), CASH, ts_ns)


def exact(rule: BinaryFee, rate: Decimal, price_i: int, size: int) -> Fraction:
    p = Fraction(price_i, ONE)
    return Fraction(size, LOTS) * Fraction(rate) * p**rule.price_power * (p * (1 - p)) ** rule.exponent


@given(rules, prices, lots, st.sampled_from(Liquidity))
def test_it_is_the_formula_rounded_once(rule: BinaryFee, price_i: int, size: int, liquidity: Liquidity) -> None:
    rate = rule.rate if liquidity is Liquidity.TAKER else rule.maker
    charged, due = Fraction(rule.fee(fill(price_i, size), liquidity), CASH), exact(rule, rate, price_i, size)
    step = Fraction(1, 10**rule.decimals)
    assert charged % step == 0
    assert charged >= 0
    if rule.rounding is Rounding.FLOOR:
        assert charged <= due < charged + step
    else:
        assert charged - step < due <= charged


@given(rules, prices, lots, lots)
def test_more_shares_never_cost_less(rule: BinaryFee, price_i: int, size: int, more: int) -> None:
    assert rule.fee(fill(price_i, size), Liquidity.TAKER) <= rule.fee(fill(price_i, size + more), Liquidity.TAKER)


@given(rates, st.integers(0, 3), prices, lots)
def test_yes_and_no_pay_alike_without_a_price_power(rate: Decimal, exponent: int, price_i: int, size: int) -> None:
    rule = BinaryFee(rate, exponent)
    assert rule.fee(fill(price_i, size), Liquidity.TAKER) == rule.fee(fill(ONE - price_i, size), Liquidity.TAKER)


@given(rules, prices, lots)
def test_a_rebate_is_a_share_of_the_unrounded_taker_fee(rule: BinaryFee, price_i: int, size: int) -> None:
    due = exact(rule, rule.rate, price_i, size) * CASH * Fraction(rule.rebate_share)
    assert rule.rebate(fill(price_i, size)) == due


@given(st.lists(st.tuples(st.integers(1, 100), rates), min_size=1, max_size=6), prices, lots, st.integers(1, 700))
def test_dated_fees_are_the_newest_begun(steps: list[tuple[int, Decimal]], price_i: int, size: int, ts_ns: int) -> None:
    starts = [sum(step for step, _ in steps[: n + 1]) for n in range(len(steps))]
    regimes = [(start, BinaryFee(rate)) for start, (_, rate) in zip(starts, steps, strict=True)]
    begun = [rule for start, rule in regimes if start <= ts_ns]
    made = fill(price_i, size, ts_ns)
    expected = begun[-1].fee(made, Liquidity.TAKER) if begun else 0
    assert DatedFees(tuple(regimes)).fee(made, Liquidity.TAKER) == expected
