"""Amounts: the official clients' vectors, their disagreements, and the venue's accuracy rules."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from polymarket_golden import fields_of, load, order_cases

from execsim.core.errors import ValidationError
from execsim.core.order import Side
from execsim_polymarket.amounts import (
    DIGITS,
    MARKET_STEP,
    PRICE_ONE,
    SIZE_STEP,
    Amounts,
    digits_of,
    fault,
    limit_amounts,
    market_amounts,
    price_of,
    sent_amounts,
    spend_within,
)

BULK = load("amounts_bulk")["cases"]
DIVERGING = load("amounts_float_divergence")["cases"]
MARKET = load("orders_market_v2")["cases"]
FEES = load("fee_adjusted_buy_amount")["cases"]
Case = dict[str, Any]


def integer(text: str, scale: int) -> int:
    value = Decimal(text) * scale
    assert value == int(value)
    return int(value)


def built(case: Case) -> Amounts:
    """By the kind of the case."""
    side, price_i = Side(case["side"].lower()), integer(case["price"], PRICE_ONE)
    tick_i = integer(case["tick_size"], PRICE_ONE)
    if case.get("kind") == "limit" or "size" in case:
        return limit_amounts(side, price_i, integer(case["size"], 10**6), tick_i)
    return market_amounts(side, price_i, integer(case["amount"], 10**6), tick_i)


def golden(case: Case, prefix: str = "") -> Amounts:
    return Amounts(int(case[f"{prefix}maker_amount"]), int(case[f"{prefix}taker_amount"]))


def test_six_hundred_amounts_on_which_both_clients_agree() -> None:
    assert [built(case) for case in BULK] == [golden(case) for case in BULK]
    assert len(BULK) == 600


def test_where_floats_lose_a_digit_ours_are_the_exact_ones_and_the_venue_takes_both() -> None:
    """py-clob-client-v2 loses 0.01 of the size, or of a market order's price (0.29 becomes 0.28) a last digit: what is
    signed is then another price, and that is what the venue must read."""
    assert len(DIVERGING) == 120
    repriced = 0
    for case in DIVERGING:
        exact, lossy = golden(case), golden(case, "float_client_")
        assert built(case) == exact != lossy
        side, tick_i, price_i = (
            Side(case["side"].lower()),
            *(integer(case[k], PRICE_ONE) for k in ("tick_size", "price")),
        )
        immediate = case["kind"] == "market"
        read = []
        for amounts in (exact, lossy):
            floored = Amounts(amounts.maker, amounts.taker - amounts.taker % MARKET_STEP)
            taken = floored if immediate and side is Side.BUY else amounts
            assert fault(side, taken, tick_i, immediate=immediate) is None, case
            read.append(price_of(side, taken, tick_i, immediate=immediate))
        assert read[0] == price_i, case
        assert read[1] is not None
        assert price_i - read[1] in (0, tick_i), case
        repriced += read[1] != price_i
    assert repriced == 9


@pytest.mark.parametrize("case", order_cases(), ids=lambda case: case["id"])
def test_the_amounts_of_every_signed_order(case: Case) -> None:
    given_, fields = case["input"], fields_of(case)
    assert built(given_) == golden(case) == (fields.maker_amount, fields.taker_amount)
    if "decimal_client_amounts" in case:
        assert built(given_) == tuple(map(int, case["decimal_client_amounts"]))


def test_market_buys_the_venue_refuses_are_the_flagged_ones_and_ours_are_not_among_them() -> None:
    refused = 0
    for case in MARKET:
        side, tick_i = Side(case["input"]["side"].lower()), integer(case["input"]["tick_size"], PRICE_ONE)
        told = fault(side, golden(case), tick_i, immediate=True)
        flagged = case["within_reported_market_buy_precision"]
        assert (told is None) is (flagged is not False)
        refused += told is not None
        price_i = integer(case["input"]["price"], PRICE_ONE)
        ours = sent_amounts(side, price_i, integer(case["input"]["amount"], 10**6), tick_i)
        assert fault(side, ours, tick_i, immediate=True) is None
        assert price_of(side, ours, tick_i, immediate=True) == price_i
        assert ours.maker == golden(case).maker
        assert 0 <= golden(case).taker - ours.taker < MARKET_STEP
    assert refused == 6


def test_the_reported_refusals_and_their_texts() -> None:
    """py-clob-client-v2 #99, rs-clob-client-v2 #59, py-clob-client #253 and #305."""
    market = (
        "invalid amounts, the market buy orders maker amount supports a max accuracy of 2 decimals, "
        "taker amount a max of 4 decimals"
    )
    limit = market.replace("market buy", "buy").replace("of 2 decimals, taker", "of 4 decimals, taker")
    limit = limit.replace("max of 4", "max of 2")
    assert fault(Side.BUY, Amounts(9_980_000, 10_131_970), 10, immediate=True) == market
    assert fault(Side.BUY, Amounts(1_999_422, 2_019_600), 100, immediate=True) == market
    assert fault(Side.BUY, Amounts(2_020_000, 3_482_700), 100, immediate=False) == limit
    assert fault(Side.BUY, Amounts(2_020_000, 3_482_700), 100, immediate=True) is None
    assert sent_amounts(Side.BUY, 9_850, 9_980_000, 10) == (9_980_000, 10_131_900)
    sell = fault(Side.SELL, Amounts(1_234_567, 10_000), 100, immediate=False)
    assert sell is not None
    assert sell.startswith("invalid amounts, the sell orders maker amount supports a max accuracy of 2 decimals")


@pytest.mark.parametrize("case", FEES, ids=lambda case: f"{case['amount']}-{case['price']}-{case['fee_rate']}")
def test_the_fee_is_left_room_for_as_polymarket_client_does(case: Case) -> None:
    amount, price, most = (Decimal(case[name]) for name in ("amount", "price", "balance_or_max_spend"))
    rate, builder, exponent = Decimal(case["fee_rate"]), Decimal(case["builder_taker_fee_rate"]), case["fee_exponent"]
    ours = spend_within(amount, price, most, rate=rate, exponent=exponent, builder_rate=builder)
    assert str(ours) == case["polymarket_client"]
    # the other client's answer is its formula in floats; it never spends more
    a_share = rate * (price * (1 - price)) ** exponent
    base = min(amount, most)
    fee = base / price * a_share + base * builder
    theirs = most - fee if most <= amount + fee else amount
    assert theirs == pytest.approx(Decimal(case["py_clob_client_v2"]), rel=Decimal("1e-15"))
    assert theirs <= ours
    assert ours + ours / price * a_share + ours * builder <= max(most, amount) + Decimal("1e-24")


ticks = st.sampled_from(sorted(DIGITS))
sides = st.sampled_from(Side)


@st.composite
def on_tick(draw: st.DrawFn) -> tuple[int, int]:
    tick_i = draw(ticks)
    return draw(st.integers(1, PRICE_ONE // tick_i - 1)) * tick_i, tick_i


@given(sides, on_tick(), st.integers(SIZE_STEP, 10**13))
def test_a_limit_order_is_its_price_exactly(side: Side, priced: tuple[int, int], lots: int) -> None:
    price_i, tick_i = priced
    amounts = limit_amounts(side, price_i, lots, tick_i)
    cash, shares = amounts if side is Side.BUY else amounts[::-1]
    assert Fraction(cash, shares) == Fraction(price_i, PRICE_ONE)
    assert 0 <= lots - shares < SIZE_STEP
    assert fault(side, amounts, tick_i, immediate=False) is None
    assert price_of(side, amounts, tick_i, immediate=False) == price_i


@given(sides, on_tick(), st.integers(SIZE_STEP, 10**13))
def test_a_market_order_never_undercuts_its_price(side: Side, priced: tuple[int, int], units: int) -> None:
    price_i, tick_i = priced
    amounts = sent_amounts(side, price_i, units, tick_i)
    clients = market_amounts(side, price_i, units, tick_i)
    cash, shares = amounts if side is Side.BUY else amounts[::-1]
    assert fault(side, amounts, tick_i, immediate=True) is None
    assert 0 <= units - amounts.maker < SIZE_STEP
    exact = Fraction(price_i, PRICE_ONE)
    if side is Side.SELL:
        assert Fraction(cash, shares) == exact
    else:
        assert Fraction(cash, shares) >= exact
        step = max(MARKET_STEP, 10 ** (6 - DIGITS[tick_i].amount))  # 0.001 share on a tick of 0.1
        assert cash * PRICE_ONE < price_i * (shares + step)
    assert 0 <= clients.taker - amounts.taker < MARKET_STEP


@given(on_tick(), st.integers(100, 10**7))
def test_the_price_of_a_market_buy_is_read_back(priced: tuple[int, int], cents: int) -> None:
    """From 1 pUSD on, the least the venue takes, as the clients build it and as we do. On the finest tick the shares' last
    digit can be worth more than a tick: then a neighbour would do as well and the highest is read."""
    price_i, tick_i = priced
    ours = sent_amounts(Side.BUY, price_i, cents * SIZE_STEP, tick_i)
    clients = market_amounts(Side.BUY, price_i, cents * SIZE_STEP, tick_i)
    assume(ours.taker * tick_i > MARKET_STEP * PRICE_ONE)
    assert price_of(Side.BUY, ours, tick_i, immediate=True) == price_i
    assert price_of(Side.BUY, clients, tick_i, immediate=True) == price_i


@given(sides, on_tick(), st.integers(1, 10**6), st.integers(1, 10**4 - 1))
def test_a_price_between_two_ticks_is_none(side: Side, priced: tuple[int, int], hundredths: int, off: int) -> None:
    price_i, tick_i = priced
    assume(tick_i > 1)
    wrong_i = price_i - price_i % tick_i + off % tick_i
    assume(wrong_i % tick_i)
    shares = hundredths * SIZE_STEP
    amounts = Amounts(wrong_i * shares // PRICE_ONE, shares)
    amounts = amounts if side is Side.BUY else Amounts(amounts.taker, amounts.maker)
    assert price_of(side, amounts, tick_i, immediate=False) is None


@pytest.mark.parametrize(("price_i", "lots", "tick_i", "rule"), [
    (5_000, 10**6, 30, "tick"), (5_050, 10**6, 100, "price"), (0, 10**6, 100, "price"), (10_000, 10**6, 100, "price"),
    (50, 10**6, 100, "price"), (5_000, 9_999, 100, "size"), (5_000, 0, 100, "size"), (5_000, -1, 100, "size"),
])  # fmt: skip
def test_what_cannot_be_ordered(price_i: int, lots: int, tick_i: int, rule: str) -> None:
    with pytest.raises(ValidationError) as caught:
        limit_amounts(Side.BUY, price_i, lots, tick_i)
    assert caught.value.rule == rule
    with pytest.raises(ValidationError) as caught:
        sent_amounts(Side.BUY, price_i, lots, tick_i)
    assert caught.value.rule == rule.replace("size", "amount")


def test_nothing_stands_for_no_price() -> None:
    assert price_of(Side.BUY, Amounts(0, 1), 100, immediate=False) is None
    assert price_of(Side.SELL, Amounts(1_000_000, 995_000), 100, immediate=False) is None
    assert fault(Side.BUY, Amounts(0, 10_000), 100, immediate=False) is not None
    assert digits_of(25) == (4, 6)
