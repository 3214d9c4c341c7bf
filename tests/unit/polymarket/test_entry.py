"""An order of the engine as the venue wants it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from polymarket_news import CID, NO, SHARE, START_NS, YES, market

from execsim.core.errors import ValidationError
from execsim.core.instrument import Outcome
from execsim.core.order import Order, OrderId, OrderType, Side, TimeInForce
from execsim_polymarket.amounts import fault, price_of
from execsim_polymarket.domains import exchange
from execsim_polymarket.entry import Entry, Terms, amounts_of, compose, kind_of, rest_is_cancelled
from execsim_polymarket.sign import Account, PrivateKey
from execsim_polymarket.verify import is_signed
from execsim_polymarket.wallets import deposit_wallet
from execsim_polymarket.wire.trading import POST_ORDER

MARKET = market()
KEY = PrivateKey("0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
TERMS = Terms(100, False)


def ordered(
    side: Side = Side.BUY, kind: OrderType = OrderType.LIMIT, tif: TimeInForce = TimeInForce.GTC, **more: Any
) -> Order:
    given_: dict[str, Any] = {"size_lots": 10 * SHARE, "price_i": 5_200} | more
    return Order(OrderId("o"), MARKET.instrument, side, kind, tif, **given_)


def entry(order: Order, terms: Terms = TERMS, account: Account | None = None) -> Entry:
    return compose(order, MARKET, terms, account or Account(KEY), owner="key", salt=7, now_ns=START_NS)


def test_a_limit_order() -> None:
    made = entry(ordered())
    post = made.post
    assert (post.order_type, post.post_only, post.owner, post.order.expiration_s) == ("GTC", False, "key", 0)
    assert (post.order.maker_amount, post.order.taker_amount, post.order.token_id) == (5_200_000, 10_000_000, int(YES))
    assert (post.order.salt, post.order.timestamp_ms) == (7, START_NS // 10**6)
    assert made.ticket.venue_order_id == made.signed.order_id_hex
    assert (made.ticket.order_id, made.ticket.market, made.ticket.size_lots) == ("o", CID, 10 * SHARE)
    assert POST_ORDER.from_client(POST_ORDER.to_bytes(post)) == post
    # 111 and 222 are small numbers: their reserved bits are zero, so they count as positions of Exchange V3
    assert is_signed(post.order.fields, post.order.signature, exchange(137, v3=True), KEY.address)


def test_the_other_token_and_the_other_side() -> None:
    made = entry(ordered(Side.SELL, outcome=Outcome.NO, price_i=4_800))
    assert (made.post.order.token_id, made.post.order.side) == (int(NO), Side.SELL)
    assert (made.post.order.maker_amount, made.post.order.taker_amount) == (10_000_000, 4_800_000)


@pytest.mark.parametrize(("kind", "tif", "sent", "post_only"), [
    (OrderType.LIMIT, TimeInForce.GTC, "GTC", False), (OrderType.LIMIT, TimeInForce.IOC, "FAK", False),
    (OrderType.LIMIT, TimeInForce.FOK, "FOK", False), (OrderType.POST_ONLY, TimeInForce.GTC, "GTC", True),
    (OrderType.MARKET, TimeInForce.GTC, "FAK", False), (OrderType.MARKET, TimeInForce.IOC, "FAK", False),
    (OrderType.MARKET, TimeInForce.FOK, "FOK", False),
])  # fmt: skip
def test_kinds(kind: OrderType, tif: TimeInForce, sent: str, post_only: bool) -> None:
    money = {"size_lots": None, "quote_amount": 10 * SHARE} if sent in ("FAK", "FOK") else {}
    for order in (ordered(kind=kind, tif=tif, **money), ordered(Side.SELL, kind, tif)):
        made = entry(order)
        assert kind_of(order) == made.post.order_type == sent
        assert made.post.post_only is post_only
        assert not rest_is_cancelled(order)
        assert (made.ticket.size_lots is None) is (order.quote_amount is not None)


@pytest.mark.parametrize("kind", [OrderType.LIMIT, OrderType.MARKET])
def test_a_buy_of_shares_never_asks_for_more_than_them(kind: OrderType) -> None:
    """At 0.99 money for 10 shares would buy 99 at 0.10."""
    order = ordered(kind=kind, tif=TimeInForce.IOC, price_i=9_900)
    made = entry(order)
    assert rest_is_cancelled(order)
    assert made.post.order_type == "GTC"
    assert (made.post.order.maker_amount, made.post.order.taker_amount) == (9_900_000, 10 * SHARE)
    assert made.ticket.size_lots == 10 * SHARE


def test_good_till_a_date() -> None:
    made = entry(ordered(tif=TimeInForce.GTD, expire_ns=START_NS + 300 * 10**9 + 999))
    assert (made.post.order_type, made.post.order.expiration_s) == ("GTD", START_NS // 10**9 + 300)
    made = entry(ordered(kind=OrderType.POST_ONLY, tif=TimeInForce.GTD, expire_ns=START_NS))
    assert (made.post.order_type, made.post.post_only) == ("GTD", True)


def test_market_orders() -> None:
    buy = ordered(kind=OrderType.MARKET, size_lots=None, quote_amount=10 * SHARE + 9_999)
    assert amounts_of(buy, 100) == (10_000_000, 19_230_700)
    assert amounts_of(ordered(kind=OrderType.MARKET, size_lots=None, price_i=None, quote_amount=SHARE), 100) == (
        SHARE,
        1_010_100,
    )
    sell = ordered(Side.SELL, OrderType.MARKET, price_i=None)
    assert amounts_of(sell, 100) == (10_000_000, 100_000)
    assert entry(sell).ticket.size_lots == 10 * SHARE


def test_a_deposit_wallet_signs_with_its_envelope() -> None:
    wallet = deposit_wallet(KEY.address, beacon=True)
    made = entry(ordered(), Terms(100, True), Account(KEY, wallet))
    assert (made.post.order.maker, made.post.order.signer) == (wallet, wallet)
    assert len(made.post.order.signature) == 317


@pytest.mark.parametrize(("order", "rule"), [
    (ordered(price_i=5_250), "price"), (ordered(price_i=10_000), "price"), (ordered(size_lots=9_999), "size"),
    (ordered(price_i=None), "limit"), (ordered(size_lots=None, quote_amount=5), "limit"),
    (ordered(tif=TimeInForce.GTD), "expire"), (ordered(kind=OrderType.POST_ONLY, tif=TimeInForce.IOC), "post_only"),
    (ordered(Side.SELL, OrderType.MARKET, size_lots=None, quote_amount=SHARE), "quote_amount"),
    (ordered(kind=OrderType.MARKET, price_i=None), "market_buy"),
    (ordered(tif=TimeInForce.FOK), "fok_buy"), (ordered(kind=OrderType.MARKET, tif=TimeInForce.FOK), "fok_buy"),
    (ordered(tif=TimeInForce.FOK, size_lots=None, quote_amount=9_999), "amount"),
])  # fmt: skip
def test_what_the_venue_would_refuse_is_not_sent(order: Order, rule: str) -> None:
    with pytest.raises(ValidationError) as caught:
        entry(order)
    assert caught.value.rule == rule


@given(
    st.sampled_from(Side),
    st.integers(1, 99),
    st.integers(1, 10**6),
    st.sampled_from([TimeInForce.GTC, TimeInForce.IOC]),
)
def test_every_order_obeys_the_venue_and_asks_for_no_more(
    side: Side, cents: int, hundredths: int, tif: TimeInForce
) -> None:
    order = ordered(side, tif=tif, price_i=cents * 100, size_lots=hundredths * 10_000)
    immediate = kind_of(order) == "FAK"
    amounts = amounts_of(order, 100)
    assert fault(side, amounts, 100, immediate=immediate) is None
    asked = order.size_lots or 0
    shares = amounts.taker if side is Side.BUY else amounts.maker
    assert shares == asked
    assert price_of(side, amounts, 100, immediate=immediate) == cents * 100
