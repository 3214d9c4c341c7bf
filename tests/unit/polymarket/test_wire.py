"""Messages in both directions: the samples other projects keep, the bodies of the official clients, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from polymarket_golden import DATA, Case, fields_of, load, order_cases

from execsim.core.errors import InvalidResponse, ValidationError
from execsim.core.order import Side
from execsim_polymarket.orders import SignatureType
from execsim_polymarket.sign import Account, PrivateKey
from execsim_polymarket.wire import account, channels, markets, trading
from execsim_polymarket.wire.values import CURSOR_END, CURSOR_START, Codec, amount, cursor_of, ns_of, offset_of

MESSAGES = DATA / "polymarket_messages"
KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"

BOOK, ORDER, TRADE = (channels.MARKET_EVENTS["book"], *(channels.USER_EVENTS[kind] for kind in ("order", "trade")))
SAMPLES: dict[str, Codec[Any]] = {
    "hugompt/clob_book": markets.BOOK,
    "hugompt/clob_prices_history": markets.PRICE_HISTORY,
    "nautilus/clob_book_response": markets.BOOK,
    "nautilus/clob_fee_rate_response_nonzero": markets.FEE_RATE,
    "nautilus/clob_fee_rate_response_zero": markets.FEE_RATE,
    "nautilus/clob_market_closed_binary_accepting_false": markets.MARKET,
    "nautilus/clob_market_closed_binary_accepting_true": markets.MARKET,
    "nautilus/http_balance_allowance_collateral": trading.BALANCE,
    "nautilus/http_batch_cancel_response": trading.CANCEL_ANSWER,
    "nautilus/http_cancel_response_failed": trading.CANCEL_ANSWER,
    "nautilus/http_cancel_response_ok": trading.CANCEL_ANSWER,
    "nautilus/http_open_order": trading.OPEN_ORDER,
    "nautilus/http_open_order_sell_fok": trading.OPEN_ORDER,
    "nautilus/http_open_orders_page": trading.OPEN_ORDERS,
    "nautilus/http_order_response_error_500": trading.ERROR_BODY,
    "nautilus/http_order_response_failed": trading.ORDER_ANSWER,
    "nautilus/http_order_response_ok": trading.ORDER_ANSWER,
    "nautilus/http_signed_order": Codec(trading.OrderMessage),
    "nautilus/http_trade_report": trading.TRADE,
    "nautilus/http_trades_page": trading.TRADES,
    "nautilus/it_book": BOOK,
    "nautilus/it_last_trade_price": channels.MARKET_EVENTS["last_trade_price"],
    "nautilus/it_order_cancel": ORDER,
    "nautilus/it_order_placement": ORDER,
    "nautilus/it_price_change_v2": channels.MARKET_EVENTS["price_change"],
    "nautilus/it_tick_size_change": channels.MARKET_EVENTS["tick_size_change"],
    "nautilus/it_trades": TRADE,
    **{f"nautilus/it_user_trade{number}": TRADE for number in (1, 2, 3, 4)},
    "nautilus/ws_book_snapshot": BOOK,
    "nautilus/ws_last_trade": channels.MARKET_EVENTS["last_trade_price"],
    "nautilus/ws_market_best_bid_ask_msg": channels.MARKET_EVENTS["best_bid_ask"],
    "nautilus/ws_market_book_msg": BOOK,
    "nautilus/ws_market_last_trade_msg": channels.MARKET_EVENTS["last_trade_price"],
    "nautilus/ws_market_new_market_msg": channels.MARKET_EVENTS["new_market"],
    "nautilus/ws_market_price_change_msg": channels.MARKET_EVENTS["price_change"],
    "nautilus/ws_market_resolved_msg": channels.MARKET_EVENTS["market_resolved"],
    "nautilus/ws_market_tick_size_msg": channels.MARKET_EVENTS["tick_size_change"],
    "nautilus/ws_quotes": channels.MARKET_EVENTS["price_change"],
    "nautilus/ws_tick_size_change": channels.MARKET_EVENTS["tick_size_change"],
    **{f"nautilus/ws_user_order_{kind}": ORDER
       for kind in ("cancellation", "fok_killed", "matched", "msg", "placement", "update", "venue_cancel")},
    "nautilus/ws_user_trade": TRADE,
    "nautilus/ws_user_trade_msg": TRADE,
}  # fmt: skip
REFUSED = {
    "nautilus/it_price_change": "the flat form of price_change, not sent since 2025-09-15",
    "nautilus/http_balance_allowance_no_allowance": "a balance in whole pUSD; the venue sends base units",
}
IGNORED = {
    "http_balance_allowance_collateral": {"allowance"},
    "ws_market_new_market_msg": {"sports_market_type", "line", "game_start_time", "group_item_title"},
    "clob_fee_rate_response_nonzero": {
        "base_fee"
    },  # a number in the documentation, text here: read alike, written as number
    "clob_fee_rate_response_zero": {"base_fee"},
}


def sample(name: str) -> bytes:
    return (MESSAGES / f"{name}.json").read_bytes()


def lost(told: Any, written: Any, path: str = "") -> Iterator[str]:
    """Where `written` does not say what `told` says; null is as good as absent, and "" where a text was null."""
    if isinstance(told, dict) and isinstance(written, dict):
        for key, value in told.items():
            if value is not None:
                yield from lost(value, written.get(key), f"{path}.{key}")
    elif isinstance(told, list) and isinstance(written, list) and len(told) == len(written):
        for number, (one, other) in enumerate(zip(told, written, strict=True)):
            yield from lost(one, other, f"{path}[{number}]")
    elif told != written or (type(told) is not type(written) and {type(told), type(written)} != {int, float}):
        yield f"{path}: {told!r} became {written!r}"


def test_every_sample_has_its_place() -> None:
    there = {str(path.relative_to(MESSAGES).with_suffix("")) for path in MESSAGES.rglob("*.json")}
    assert there == SAMPLES.keys() | REFUSED.keys()


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_is_read_and_written_back(name: str) -> None:
    codec, told = SAMPLES[name], json.loads(sample(name))
    message = codec.from_venue(sample(name))
    data = codec.to_bytes(message)
    ignored = IGNORED.get(name.rpartition("/")[2], set())
    assert [what for what in lost(told, json.loads(data)) if what.split(":")[0].lstrip(".") not in ignored] == []
    assert codec.from_venue(data) == message
    assert codec.from_client(data) == message
    assert codec.from_object(json.loads(data)) == message
    assert b'": ' not in data


@pytest.mark.parametrize("name", REFUSED)
def test_what_must_not_be_read_is_not(name: str) -> None:
    codec = trading.BALANCE if "balance" in name else channels.MARKET_EVENTS["price_change"]
    with pytest.raises(InvalidResponse) as caught:
        codec.from_venue(sample(name))
    assert caught.value.reached == "unknown"


# orders


@pytest.mark.parametrize("case", order_cases(), ids=lambda case: case["id"])
def test_an_order_is_posted_byte_for_byte_as_the_official_client_posts_it(case: Case) -> None:
    body = case["post"]["body"].encode()
    post = trading.POST_ORDER.from_client(body)
    assert post.order.fields == fields_of(case)
    given_ = case["input"]
    assert (post.order_type, post.post_only) == (given_["order_type"], given_["post_only"])
    assert post.order.expiration_s == given_["expiration"]
    assert "0x" + post.order.signature.hex() == case["signature"]
    written = trading.POST_ORDER.to_bytes(post)
    if "wallet_type" in given_:  # polymarket-client sorts its keys and leaves `postOnly` out where it is false
        assert json.loads(written) == {"postOnly": False} | json.loads(body)
    else:
        assert written == body


def test_a_signed_order_becomes_a_message() -> None:
    case = order_cases()[0]
    order = fields_of(case)
    signed = Account(PrivateKey(case["input"]["private_key"]), case["input"]["funder"]).order(
        side=order.side, token_id=order.token_id, maker_amount=order.maker_amount, taker_amount=order.taker_amount,
        salt=order.salt, timestamp_ms=order.timestamp_ms, neg_risk=False,
    )  # fmt: skip
    owner = json.loads(case["post"]["body"])["owner"]
    post = trading.PostOrder(trading.OrderMessage.of(signed), owner, "GTC")
    assert trading.POST_ORDER.to_bytes(post) == case["post"]["body"].encode()
    assert not post.immediate
    assert replace(post, order_type="FAK").immediate


def test_the_bodies_of_every_recorded_request() -> None:
    codecs: dict[str, Codec[Any]] = {
        "/order": trading.POST_ORDER, "/orders": trading.POST_ORDERS, "DELETE/order": trading.CANCEL_ORDER,
        "DELETE/orders": trading.IDS, "/cancel-market-orders": trading.CANCEL_MARKET, "/v1/heartbeats": trading.HEARTBEAT,
        "/books": markets.TOKEN_QUERIES,
    }  # fmt: skip
    seen = 0
    for request in load("http_requests")["requests"]:
        if request["body"]:
            codec = codecs.get(request["method"] + request["path"]) or codecs[request["path"]]
            body = request["body"].encode()
            assert codec.to_bytes(codec.from_client(body)) == body
            seen += 1
    assert seen == 10


@pytest.mark.parametrize("case", load("orders_limit_v1")["cases"][:2], ids=lambda case: case["id"])
def test_an_order_of_version_1_is_known_as_one(case: Case) -> None:
    body = case["post"]["body"]
    with pytest.raises(ValidationError, match="timestamp"):
        trading.POST_ORDER.from_client(body)
    assert trading.LEGACY_POST.from_client(body).order.taker == "0x" + "0" * 40
    with pytest.raises(ValidationError):
        trading.LEGACY_POST.from_client(order_cases()[0]["post"]["body"])


GOOD = json.loads(order_cases()[0]["post"]["body"])


@pytest.mark.parametrize(("where", "wrong"), [
    ("order.salt", "5"), ("order.salt", -1), ("order.salt", 2**256), ("order.salt", 1.5), ("order.salt", True),
    ("order.maker", "0x12"), ("order.maker", 5), ("order.signer", None), ("order.tokenId", 1.5), ("order.tokenId", "-1"),
    ("order.tokenId", "1" * 79), ("order.makerAmount", "1e6"), ("order.makerAmount", " 1"), ("order.takerAmount", ""),
    ("order.takerAmount", "\u0661"), ("order.side", "buy"), ("order.side", 0), ("order.signatureType", 4),
    ("order.signatureType", "EOA"), ("order.timestamp", None), ("order.metadata", "0x"), ("order.builder", "0x" + "0" * 63),
    ("order.signature", "abcd"), ("order.signature", "0xabc"), ("order.signature", None), ("orderType", "IOC"),
    ("owner", None), ("postOnly", "perhaps"), ("order", []), ("order", None),
])  # fmt: skip
def test_what_is_no_order_names_the_field(where: str, wrong: Any) -> None:
    body = json.loads(json.dumps(GOOD))
    *path, last = where.split(".")
    target = body[path[0]] if path else body
    target[last] = wrong
    with pytest.raises(ValidationError) as caught:
        trading.POST_ORDER.from_client(json.dumps(body))
    assert caught.value.rule == "payload"
    assert where in str(caught.value)
    del target[last]
    if last not in ("deferExec", "postOnly"):
        with pytest.raises(ValidationError, match=last):
            trading.POST_ORDER.from_client(json.dumps(body))


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{", b'"x"', b"\xff", b"[" * 5_000, b'{"order":' * 100])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(ValidationError):
        trading.POST_ORDER.from_client(body)
    with pytest.raises(InvalidResponse):
        trading.CANCEL_ANSWER.from_venue(body)


def test_unknown_fields_are_ignored() -> None:
    body = GOOD | {"new": {"a": 1}, "order": GOOD["order"] | {"deadline": 5}}
    assert trading.POST_ORDER.from_client(json.dumps(body)) == trading.POST_ORDER.from_client(json.dumps(GOOD))
    message = json.loads(sample("nautilus/it_user_trade3")) | {"future": [1]}
    assert TRADE.from_object(message) == TRADE.from_venue(sample("nautilus/it_user_trade3"))


def test_what_we_send_is_checked_before_it_leaves() -> None:
    post = trading.POST_ORDER.from_client(json.dumps(GOOD))
    for wrong in (
        replace(post, order_type="IOC"), replace(post, owner=5), replace(post, order=replace(post.order, maker="me")),
        replace(post, order=replace(post.order, salt=-1)), replace(post, order=replace(post.order, metadata=b"1")),
        replace(post, order=replace(post.order, side="BUY")), replace(post, order=replace(post.order, taker_amount=1.5)),
    ):  # fmt: skip
        with pytest.raises(ValidationError) as caught:
            trading.POST_ORDER.to_bytes(wrong)
        assert caught.value.rule == "message"


# answers


def test_an_answer_of_a_batch_that_failed_and_says_success() -> None:
    """rs-clob-client #114: only text and id tell."""
    entry = '{"success":true,"errorMsg":"%s","orderID":"%s","status":"%s","makingAmount":"","takingAmount":""}'
    body = f"[{entry % ('invalid amounts', '', '')},{entry % ('', '0x1', 'live')}]".encode()
    bad, good = trading.ORDER_ANSWERS.from_venue(body)
    assert bad.refused
    assert not good.refused
    assert trading.ORDER_ANSWERS.to_bytes((bad, good)) == body
    assert amount(good.making_amount) == 0
    assert trading.ORDER_ANSWER.from_venue(sample("nautilus/http_order_response_failed")).refused


def test_the_answer_of_the_sheet() -> None:
    body = (
        b'{"success":true,"errorMsg":"","orderID":"0x0a","status":"matched","makingAmount":"4.999999",'
        b'"takingAmount":"8.19672","transactionsHashes":[],"tradeIDs":["uuid"]}'
    )
    answer = trading.ORDER_ANSWER.from_venue(body)
    assert (amount(answer.making_amount), answer.trade_ids) == (Decimal("4.999999"), ("uuid",))
    assert trading.ORDER_ANSWER.to_bytes(answer) == body


def test_prefixes_of_older_statuses_are_taken_off() -> None:
    order = trading.OPEN_ORDER.from_venue(sample("nautilus/http_open_order"))
    assert order is not None
    assert replace(order, status="ORDER_STATUS_LIVE").state == order.state == "LIVE"
    trade = trading.TRADE.from_venue(sample("nautilus/http_trade_report"))
    assert replace(trade, status="TRADE_STATUS_MINED").state == "MINED"
    assert trading.OPEN_ORDER.from_venue(b"null") is None


@pytest.mark.parametrize(("codec", "body"), [
    (markets.TICK_SIZE, b'{"minimum_tick_size":0.0025}'), (markets.NEG_RISK, b'{"neg_risk":false}'),
    (markets.FEE_RATE, b'{"base_fee":1000}'), (markets.MIDPOINT, b'{"mid":"0.53","mid_price":"0.53"}'),
    (markets.PRICE, b'{"price":"0.52"}'), (markets.SPREAD, b'{"spread":"0.02"}'),
    (markets.LAST_TRADE, b'{"price":"0.5","side":""}'), (markets.AMOUNT_BY_TOKEN, b'{"1":"0.5"}'),
    (markets.PRICES_BY_TOKEN, b'{"1":{"BUY":"0.5","SELL":"0.51"}}'),
    (markets.LAST_TRADES, b'[{"price":"0.5","side":"BUY","token_id":"1"}]'),
    (markets.MARKET_BY_TOKEN, b'{"condition_id":"0x1","primary_token_id":"2","secondary_token_id":"3"}'),
    (markets.TOKEN_QUERIES, b'[{"token_id":"1","side":"BUY"}]'),
    (markets.CLOB_MARKET, b'{"c":"0x1","t":[{"t":"2","o":"Yes"},{"t":"3","o":"No"}],"mos":5,"mts":0.01,"mbf":1000,'
                          b'"tbf":1000,"nr":false,"ao":true,"aot":"2026-01-01T00:00:00Z","itode":false,"rfqe":false,"oas":0,'
                          b'"r":{"mi":1},"fd":{"r":0.07,"e":1,"to":true},"v":"v1"}'),
    (account.CREDENTIALS, b'{"apiKey":"a","secret":"b","passphrase":"c"}'), (account.API_KEYS, b'{"apiKeys":["a","b"]}'),
    (account.CLOSED_ONLY, b'{"closed_only":false}'), (account.VERSION, b'{"version":2}'), (account.TIME, b"1790000000"),
    (account.OK, b'"OK"'), (account.GEOBLOCK, b'{"blocked":false,"ip":"","country":"","region":""}'),
    (trading.SCORING, b'{"scoring":true}'), (trading.SCORINGS, b'{"0x1":true}'), (trading.HEARTBEAT, b'{"heartbeat_id":""}'),
    (trading.BALANCE, b'{"balance":"1000000","allowances":{"0xE1":"5"}}'),
    (trading.BUILDER_FEES, b'{"builder_maker_fee_rate_bps":0,"builder_taker_fee_rate_bps":12.5}'),
    (trading.CANCEL_ANSWER, b'{"canceled":["0x1"],"not_canceled":{"0x2":"Order already matched"}}'),
    (trading.ERROR_BODY, b'{"error":"post-only mode: only post-only orders and cancels are allowed","code":"post_only_mode",'
                         b'"retry_after_seconds":79}'),
    (channels.MARKET_SUBSCRIPTION, b'{"assets_ids":["1"],"custom_feature_enabled":false,"type":"market"}'),
    (channels.USER_SUBSCRIPTION, b'{"auth":{"apiKey":"a","secret":"b","passphrase":"c"},"markets":["0x1"],"type":"user"}'),
    (channels.SUBSCRIPTION_CHANGE, b'{"operation":"subscribe","assets_ids":["1"],"custom_feature_enabled":true}'),
    (channels.SUBSCRIPTION_CHANGE, b'{"operation":"unsubscribe","markets":["0x1"]}'),
])  # fmt: skip
def test_small_answers_byte_for_byte(codec: Codec[Any], body: bytes) -> None:
    assert codec.to_bytes(codec.from_venue(body)) == body


def test_keys_listed_as_objects_are_read_too() -> None:
    assert account.API_KEYS.from_venue(b'{"apiKeys":[{"apiKey":"a"}]}').keys == ("a",)


def test_messages_with_secrets_do_not_show_them() -> None:
    creds = account.CREDENTIALS.from_venue(b'{"apiKey":"aaaa","secret":"bbbb","passphrase":"cccc"}')
    text = repr(channels.UserSubscription(creds)) + repr(account.ApiKeys(("aaaa",)))
    assert not any(secret in text for secret in ("aaaa", "bbbb", "cccc"))


# frames


def test_a_frame_is_one_message_or_several() -> None:
    book, trade = (json.loads(sample(f"nautilus/{name}")) for name in ("it_book", "it_last_trade_price"))
    frame = json.dumps([book, trade]).encode() + b"\n"
    one, two = channels.market_messages(frame)
    assert isinstance(one, channels.BookMessage)
    assert isinstance(two, channels.LastTradePrice)
    assert channels.market_messages(channels.to_frame(one, two)) == [one, two]
    assert channels.market_messages(channels.to_frame(one)) == [one]
    assert channels.market_messages(b"[]") == []


def test_news_of_a_kind_nobody_knows_does_not_end_the_session() -> None:
    known = sample("nautilus/it_user_trade2").decode()
    frame = f'[{{"event_type":"rebate","x":1}}, {known}, 5, {{"event_type":"order","id":7}}]'.encode()
    strange, trade, number, broken = channels.user_messages(frame)
    assert isinstance(strange, channels.Unread)
    assert strange.event_type == "rebate"
    assert isinstance(trade, channels.UserTrade)
    assert isinstance(number, channels.Unread)
    assert isinstance(broken, channels.Unread)
    assert "id" in broken.why
    assert isinstance(channels.market_messages(sample("nautilus/it_price_change"))[0], channels.Unread)
    with pytest.raises(InvalidResponse, match="not JSON"):
        channels.user_messages(b"PONG")


def test_a_maker_without_a_side_has_the_one_that_matches() -> None:
    trade = TRADE.from_venue(sample("nautilus/it_user_trade1"))
    sides = [maker.side_against(trade.side, trade.asset_id) for maker in trade.maker_orders]
    assert trade.side is Side.BUY
    assert sides[:2] == [Side.BUY, Side.SELL]  # the other token: both buy (mint); the same: one sells
    given_ = TRADE.from_venue(sample("nautilus/it_user_trade4"))
    assert {maker.side_against(given_.side, given_.asset_id) for maker in given_.maker_orders} == {Side.BUY}


# values


@pytest.mark.parametrize(("text", "ns"), [
    ("", 0), ("1725868885", 1725868885 * 10**9), ("1725868885871", 1725868885871 * 10**6),
    ("2024-01-01T00:01:00Z", 1704067260 * 10**9), ("2024-01-01T00:01:00.5", 1704067260 * 10**9 + 5 * 10**8),
])  # fmt: skip
def test_times(text: str, ns: int) -> None:
    assert ns_of(text) == ns


def test_what_is_no_time() -> None:
    with pytest.raises(InvalidResponse, match="is no time"):
        ns_of("soon")


def test_cursors() -> None:
    assert (cursor_of(0), cursor_of(-1)) == (CURSOR_START, CURSOR_END)
    assert [offset_of(cursor) for cursor in ("", CURSOR_START, CURSOR_END, cursor_of(500))] == [0, 0, -1, 500]
    for wrong in ("5", "zzzz", "MA=", "{}"):
        with pytest.raises(ValidationError, match="no cursor"):
            offset_of(wrong)


@given(st.decimals(min_value=0, max_value=10**12, places=6))
def test_numbers_keep_their_digits(value: Decimal) -> None:
    text = format(value, "f")
    price = markets.PRICE.from_venue(json.dumps({"price": text}))
    assert markets.PRICE.to_bytes(price) == f'{{"price":"{text}"}}'.encode()


@pytest.mark.parametrize("wrong", ["NaN", "Infinity", "", "1" * 81, "0x1", "1,5", True, None, [], {}])
def test_what_is_no_number(wrong: Any) -> None:
    with pytest.raises(InvalidResponse):
        markets.PRICE.from_venue(json.dumps({"price": wrong}))


def test_every_message_is_frozen() -> None:
    for module in (account, channels, markets, trading):
        kinds = [kind for kind in vars(module).values() if isinstance(kind, type) and is_dataclass(kind)]
        assert kinds
        assert all(kind.__dataclass_params__.frozen and fields(kind) for kind in kinds)  # type: ignore[attr-defined]


def test_signature_types_are_numbers_on_the_wire() -> None:
    post = trading.POST_ORDER.from_client(json.dumps(GOOD))
    assert post.order.signature_type is SignatureType(GOOD["order"]["signatureType"])
