"""Trades as fills: both sides, both tokens, several prices, exact money, and fees really charged."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from polymarket_golden import DATA
from polymarket_news import CID, NO, SHARE, YES, maker, market, record, streamed, trade, vid

from execsim.core.errors import InvalidResponse
from execsim.core.fees import BinaryFee, Liquidity
from execsim.core.instrument import Asset, Instrument, InstrumentKind, Outcome
from execsim.core.order import Fill, FillStatus, MatchKind, OrderId, Side
from execsim.core.units import Grid
from execsim_polymarket.fills import SETTLING, STAGES, Market, fill_id, fills_of
from execsim_polymarket.wire.channels import USER_EVENTS

MARKET = market()


def fills(message: dict[str, Any], *own: int) -> list[Fill]:
    """By socket and by REST: the same."""
    names = {vid(number): OrderId(f"o{number}") for number in own}
    over_socket, by_rest = (fills_of(form(message), MARKET, names.get) for form in (streamed, record))
    assert over_socket == by_rest
    return over_socket


def test_a_taker_swaps_with_a_maker() -> None:
    (fill,) = fills(trade("t", 1, [maker(2, "10", "0.52")], size="10", price="0.52"), 1)
    assert fill == Fill(
        fill_id("t", vid(1)), OrderId("o1"), 1_790_000_001 * 10**9, Side.BUY, Outcome.YES, 5_200, 10 * SHARE, -5_200_000,
        174_720, Liquidity.TAKER, status=FillStatus.PROVISIONAL, match=MatchKind.SWAP,
    )  # fmt: skip
    assert fill.fee == int(10 * Decimal("0.07") * Decimal("0.52") * Decimal("0.48") * 10**5) * 10


def test_a_maker_finds_itself_among_the_makers_and_pays_nothing() -> None:
    makers = [maker(2, "3", "0.52"), maker(3, "4", "0.52"), maker(4, "3", "0.52")]
    (fill,) = fills(trade("t", 1, makers, size="10", price="0.52"), 3)
    assert (fill.order_id, fill.side, fill.outcome, fill.price_i, fill.lots, fill.cash, fill.fee, fill.liquidity) == (
        "o3", Side.SELL, Outcome.YES, 5_200, 4 * SHARE, 2_080_000, 0, Liquidity.MAKER,
    )  # fmt: skip


@pytest.mark.parametrize("named", [True, False])
def test_buyers_of_both_tokens_mint(named: bool) -> None:
    """The maker paid 0.45 for NO, so the taker paid 0.55 for YES; older messages do not name the maker's side."""
    part = maker(2, "10", "0.45", NO, "BUY")
    if not named:
        del part["side"]
    taker, other = fills(trade("t", 1, [part], size="10", price="0.55"), 1, 2)
    assert (taker.side, taker.outcome, taker.price_i, taker.cash) == (Side.BUY, Outcome.YES, 5_500, -5_500_000)
    assert (other.side, other.outcome, other.price_i, other.cash) == (Side.BUY, Outcome.NO, 4_500, -4_500_000)
    assert taker.match is other.match is MatchKind.MINT
    assert taker.cash + other.cash == -10 * SHARE  # a full set costs 1


def test_sellers_of_both_tokens_merge() -> None:
    taker, other = fills(
        trade("t", 1, [maker(2, "10", "0.45", YES, "SELL")], size="10", price="0.55", side="SELL", token=NO), 1, 2
    )
    assert (taker.outcome, taker.price_i, taker.cash, taker.side) == (Outcome.NO, 5_500, 5_500_000, Side.SELL)
    assert (other.outcome, other.price_i, other.cash, other.side) == (Outcome.YES, 4_500, 4_500_000, Side.SELL)
    assert taker.match is other.match is MatchKind.MERGE


def test_a_taker_of_several_makers_is_one_fill_with_exact_money() -> None:
    """2 at 0.50 swapped, 5 at 0.52 minted, 3 at 0.53 swapped: 5.19 pUSD, 0.519 on average."""
    makers = [maker(2, "2", "0.5"), maker(3, "5", "0.48", NO, "BUY"), maker(4, "3", "0.53")]
    (fill,) = fills(trade("t", 1, makers, size="10", price="0.53"), 1)
    assert (fill.cash, fill.price_i, fill.lots, fill.match) == (-5_190_000, 5_190, 10 * SHARE, MatchKind.SWAP)
    average = Decimal("0.519")
    assert fill.fee == int(10 * Decimal("0.07") * average * (1 - average) * 10**5) * 10


def test_an_order_that_stands_in_a_trade_twice_is_one_fill() -> None:
    makers = [maker(2, "2", "0.5"), maker(3, "1", "0.5"), maker(2, "3.5", "0.5")]
    (fill,) = fills(trade("t", 1, makers, size="6.5", price="0.5"), 2)
    assert (fill.lots, fill.cash) == (5_500_000, 2_750_000)


def test_both_sides_can_be_ours() -> None:
    taker, other = fills(trade("t", 1, [maker(2, "1", "0.5")], size="1", price="0.5"), 1, 2)
    assert taker.id != other.id
    assert taker.cash + other.cash == 0


def test_without_its_makers_a_trade_has_its_own_price() -> None:
    (fill,) = fills(trade("t", 1, [], size="7.042251", price="0.71"), 1)
    assert (fill.price_i, fill.cash, fill.lots) == (7_100, -4_999_998, 7_042_251)
    (odd,) = fills(trade("t", 1, [maker(2, "1", "0.5")], size="2", price="0.51428571"), 1)
    assert (odd.price_i, odd.cash) == (5_143, -1_028_571)


def test_orders_of_others_give_nothing() -> None:
    assert fills(trade("t", 1, [maker(2, "1", "0.5")], size="1", price="0.5")) == []


def test_the_recorded_trades() -> None:
    """nautilus_trader's samples: a taker with makers on both tokens, and a maker."""
    folder = DATA / "polymarket_messages/nautilus"
    one = USER_EVENTS["trade"].from_venue((folder / "it_user_trade1.json").read_bytes()).record
    tokens = {part.asset_id for part in one.maker_orders} | {one.asset_id}
    listed = Market(MARKET.instrument, one.asset_id, next(iter(tokens - {one.asset_id})))
    (taken,) = fills_of(one, listed, {one.taker_order_id: OrderId("me")}.get)
    assert taken.lots == 1_096_870_000
    assert taken.cash == -sum(int(part.matched_amount * SHARE) * 5_180 // 10_000 for part in one.maker_orders)
    assert taken.status is FillStatus.MINED
    (made,) = fills_of(one, listed, {one.maker_orders[0].order_id: OrderId("me")}.get)
    assert (made.outcome, made.side, made.price_i, made.lots) == (Outcome.NO, Side.BUY, 4_820, 10 * SHARE)
    three = USER_EVENTS["trade"].from_venue((folder / "it_user_trade3.json").read_bytes()).record
    (sold,) = fills_of(
        three, Market(MARKET.instrument, three.asset_id, "9"), {three.maker_orders[0].order_id: OrderId("me")}.get
    )
    assert (sold.price_i, sold.lots, sold.status) == (5_130, 5 * SHARE, FillStatus.CONFIRMED)


ON_CHAIN = json.loads((DATA / "polymarket/taker_fee_onchain.json").read_text(encoding="utf-8"))["cases"]


@pytest.mark.parametrize("case", ON_CHAIN, ids=lambda case: f"{case['side']}-{case['price']}-{case['shares']}")
def test_the_fee_and_the_money_of_fills_on_chain(case: dict[str, str]) -> None:
    """19 fills of September 2026: what the contract moved and charged is what the trade's message gives."""
    unit = Decimal("0.000001")
    instrument = Instrument(
        "polymarket", CID, InstrumentKind.BINARY, Grid(Decimal("0.0001"), unit), Asset("Y", unit), Asset("pUSD", unit),
        Asset("N", unit), fees=BinaryFee(Decimal(case["fee_rate"])),
    )  # fmt: skip
    side = case["side"]
    other = "SELL" if side == "BUY" else "BUY"
    message = trade("t", 1, [maker(2, case["shares"], case["price"], YES, other)], size=case["shares"], price=case["price"],
                    side=side)  # fmt: skip
    (fill,) = fills_of(streamed(message), Market(instrument, YES, NO), {vid(1): OrderId("o")}.get)
    assert fill.fee == int(case["fee_base_units"])
    moved = int(case["maker_amount_filled" if side == "BUY" else "taker_amount_filled"])
    assert abs(fill.cash) == moved


def test_stages_are_named_and_only_move_forward() -> None:
    assert {STAGES[name] for name in STAGES} == set(FillStatus) == set(SETTLING)
    for stage, later in SETTLING.items():
        assert stage not in later
        assert all(stage not in SETTLING[after] for after in later)
    for final in (FillStatus.CONFIRMED, FillStatus.VOIDED):
        assert not SETTLING[final]


@pytest.mark.parametrize("change", [
    {"status": "BURNED"}, {"asset_id": "333"}, {"price": "0.00001", "maker_orders": [maker(2, "1", "0.00001")]},
    {"size": "0.0000001"}, {"match_time": "noon"},
])  # fmt: skip
def test_what_cannot_be_told_is_not_guessed(change: dict[str, Any]) -> None:
    message = trade("t", 1, [maker(2, "1", "0.5")], size="1", price="0.5") | change
    with pytest.raises(InvalidResponse):
        fills_of(streamed(message), MARKET, {vid(1): OrderId("o")}.get)


def test_the_time_is_as_fine_as_the_venue_says() -> None:
    message = trade("t", 1, [], size="1", price="0.5")
    told = record(message | {"match_time_nano": "1790000001123456789"})
    (fill,) = fills_of(told, MARKET, {vid(1): OrderId("o")}.get)
    assert fill.ts_ns == 1_790_000_001_123_456_789


@pytest.mark.parametrize(("told_ms", "status", "at_ns"), [
    (1_250, "MATCHED", 1_250_000_000), (3_000, "MATCHED", 1_999_999_999), (90_000, "MATCHED", 1_000_000_000),
    (900, "MATCHED", 1_000_000_000), (1_250, "MINED", 1_000_000_000),
])  # fmt: skip
def test_the_channel_tells_the_second_and_soon_after_it_the_millisecond(told_ms: int, status: str, at_ns: int) -> None:
    """match_time is 1790000001."""
    message = trade("t", 1, [], size="1", price="0.5", status=status)
    (fill,) = fills_of(
        streamed(message | {"timestamp": str(1_790_000_000_000 + told_ms)}), MARKET, {vid(1): OrderId("o")}.get
    )
    assert fill.ts_ns == 1_790_000_000 * 10**9 + at_ns


parts = st.lists(st.tuples(st.integers(1, 9_999), st.integers(1, 10**12), st.booleans()), min_size=1, max_size=6)


@given(parts, st.sampled_from(["BUY", "SELL"]), st.sampled_from([YES, NO]))
def test_money_and_tokens_are_conserved_between_both_sides(
    given_: list[tuple[int, int, bool]], side: str, token: str
) -> None:
    """All orders ours: what takers pay and makers get differ by full sets only, and by less than one unit a maker."""
    other = NO if token == YES else YES
    opposite = "SELL" if side == "BUY" else "BUY"
    makers, minted = [], 0
    for number, (price_i, lots, crossed) in enumerate(given_, 2):
        makers.append(maker(number, format(Decimal(lots).scaleb(-6), "f"), format(Decimal(price_i).scaleb(-4), "f"),
                            other if crossed else token, side if crossed else opposite))  # fmt: skip
        minted += lots * crossed
    size = sum(lots for _, lots, _ in given_)
    message = trade("t", 1, makers, size=format(Decimal(size).scaleb(-6), "f"), price="0.5", side=side, token=token)
    booked = fills(message, *range(1, len(makers) + 2))
    taker, rest = booked[0], booked[1:]
    assert taker.lots == size == sum(fill.lots for fill in rest)
    sign = -1 if side == "BUY" else 1
    gap = taker.cash + sum(fill.cash for fill in rest) - sign * minted
    # floors: a swap moves the same integer on both sides, the two halves of a full set may lose a unit together
    assert abs(gap) <= sum(crossed for _, _, crossed in given_)
    assert taker.fee >= 0
    assert all(fill.fee == 0 for fill in rest)
    assert len({fill.id for fill in booked}) == len(booked)
