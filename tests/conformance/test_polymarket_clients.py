"""The official Python clients, unmodified, on a local exchange over real sockets: py-clob-client-v2 and polymarket-client.

One server for the file: agents trade on it in wall time, so prices move and tests say only what holds at any price.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from eth_account import Account
from polymarket import AsyncSecureClient
from polymarket.errors import RequestRejectedError
from polymarket.streams import MarketSpec, UserSpec
from py_clob_client_v2.client import ClobClient
from py_clob_client_v2.clob_types import (
    BalanceAllowanceParams,
    BookParams,
    MarketOrderArgs,
    OpenOrderParams,
    OrderArgs,
    OrderMarketCancelParams,
    OrderPayload,
    OrderType,
    PostOrdersV2Args,
    TradeParams,
)
from py_clob_client_v2.exceptions import PolyApiException
from served_polymarket import ROOT, SCENARIO, Names, Served, clob_client, secure_client, serving
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from execsim_polymarket.orders import SignatureType
from execsim_polymarket.wallets import deposit_wallet, proxy_wallet, safe_wallet

GRACE_S = 20.0
_keys = iter(range(1, 1000))


def new_key() -> str:
    """A private key nobody in this file has used: an account of its own."""
    return f"0x{next(_keys):064x}"


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving(SCENARIO) as server:
        yield server


@pytest.fixture(scope="module")
def market(served: Served) -> Names:
    return served.market()


@pytest.fixture
def client(served: Served) -> ClobClient:
    return clob_client(served, new_key())


def why(error: pytest.ExceptionInfo[PolyApiException]) -> str:
    return str(error.value.error_msg["error"])


def limit(client: ClobClient, token: str, price: float, side: str = "BUY", **more: Any) -> Any:
    return client.create_and_post_order(OrderArgs(token_id=token, price=price, size=10, side=side), **more)


# ---------------------------------------------------------------------------------------------------- py-clob-client-v2
def test_keys_are_made_derived_and_deleted(served: Served) -> None:
    key = new_key()
    first = ClobClient(served.host, 137, key=key)
    made = first.create_api_key()
    again = ClobClient(served.host, 137, key=key)
    with pytest.raises(PolyApiException) as known:
        again.create_api_key()
    assert (known.value.status_code, why(known)) == (400, "Could not create api key")
    derived = again.derive_api_key()
    assert (derived.api_key, derived.api_secret) == (made.api_key, made.api_secret)
    second = again.create_api_key(nonce=7)
    assert second.api_key != made.api_key
    first.set_api_creds(made)
    assert sorted(first.get_api_keys()["apiKeys"]) == sorted([made.api_key, second.api_key])
    assert first.get_closed_only_mode() == {"closed_only": False}
    assert first.delete_api_key() == "OK"
    with pytest.raises(PolyApiException) as gone:
        first.get_api_keys()
    assert (gone.value.status_code, why(gone)) == (401, "Unauthorized/Invalid api key")
    with pytest.raises(PolyApiException, match="Could not derive api key!"):
        again.derive_api_key()


def test_markets_books_and_prices(client: ClobClient, market: Names) -> None:
    assert client.get_ok() == "OK"
    assert abs(client.get_server_time() - time.time()) < GRACE_S
    assert client.get_version() == 2
    assert client.get_market(market.condition_id)["condition_id"] == market.condition_id
    assert client.get_simplified_markets()["data"] == client.get_sampling_simplified_markets()["data"]
    info = client.get_clob_market_info(market.condition_id)
    assert (info["mts"], info["mos"], info["fd"]) == (0.01, 5, {"r": 0.04, "e": 1, "to": True})
    for token in (market.yes, market.no):
        book = client.get_order_book(token)
        assert book["bids"]
        assert book["hash"] == client.get_order_book_hash(book)  # the client's own reckoning of the venue's hash
        prices = [Decimal(level["price"]) for level in book["bids"]]
        assert prices == sorted(prices)  # best last
    both = [BookParams(token_id=market.yes), BookParams(token_id=market.no)]
    assert len(client.get_order_books(both)) == 2
    mids = client.get_midpoints(both)
    assert Decimal(mids[market.yes]) + Decimal(mids[market.no]) == 1
    assert set(client.get_prices([BookParams(token_id=market.yes, side="BUY")])[market.yes]) == {"BUY"}
    assert set(client.get_spreads(both)) == {market.yes, market.no}
    assert Decimal(client.get_price(market.yes, "BUY")["price"]) < Decimal(
        client.get_price(market.yes, "SELL")["price"]
    )
    assert client.get_tick_size(market.yes) == "0.01"
    assert client.get_neg_risk(market.yes) is False
    with pytest.raises(PolyApiException, match="No orderbook exists for the requested token id"):
        client.get_order_book("12345")


def test_limit_orders_and_every_cancel(client: ClobClient, market: Names) -> None:
    placed = [limit(client, market.yes, price)["orderID"] for price in (0.02, 0.03)]
    placed.append(limit(client, market.no, 0.02)["orderID"])
    rows = client.get_open_orders()
    assert [(row["id"], row["status"], row["size_matched"]) for row in rows] == [(name, "LIVE", "0") for name in placed]
    assert [row["id"] for row in client.get_open_orders(OpenOrderParams(asset_id=market.no))] == placed[2:]
    one = client.get_order(placed[0])
    assert (one["price"], one["original_size"], one["outcome"], one["market"]) == (
        "0.02", "10", "Yes", market.condition_id,
    )  # fmt: skip
    assert client.cancel_order(OrderPayload(orderID=placed[0])) == {"canceled": placed[:1], "not_canceled": {}}
    gone = client.cancel_order(OrderPayload(orderID=placed[0]))
    assert gone == {"canceled": [], "not_canceled": {placed[0]: "Order not found or already canceled"}}
    by_market = client.cancel_market_orders(OrderMarketCancelParams(asset_id=market.no))
    assert by_market["canceled"] == placed[2:]
    some = client.cancel_orders([placed[1], "0x" + "00" * 32])
    assert (some["canceled"], len(some["not_canceled"])) == (placed[1:2], 1)
    more = [limit(client, market.yes, 0.02)["orderID"] for _ in range(3)]
    assert sorted(client.cancel_all()["canceled"]) == sorted(more)
    assert client.get_open_orders() == []
    assert client.get_order(more[0])["status"] == "CANCELED"
    assert client.get_order("0x" + "11" * 32) is None


def test_market_orders_trades_and_balances(client: ClobClient, market: Names) -> None:
    def held(kind: str, token: str | None = None) -> int:
        return int(client.get_balance_allowance(BalanceAllowanceParams(asset_type=kind, token_id=token))["balance"])

    assert client.update_balance_allowance(BalanceAllowanceParams(asset_type="COLLATERAL")) == {}
    cash, shares = held("COLLATERAL"), held("CONDITIONAL", market.yes)
    assert (cash, shares) == (800_000_000, 200_000_000)  # 1000 deposited, 200 of it made into sets
    bought = client.create_and_post_market_order(MarketOrderArgs(token_id=market.yes, amount=20, side="BUY"))
    assert (bought["success"], bought["status"], bought["errorMsg"]) == (True, "matched", "")
    assert 19 < Decimal(bought["makingAmount"]) <= 20
    assert len(bought["transactionsHashes"]) == len(bought["tradeIDs"])
    assert held("CONDITIONAL", market.yes) == shares + Decimal(bought["takingAmount"]) * 10**6
    assert held("COLLATERAL") < cash - Decimal(bought["makingAmount"]) * 10**6  # and the taker's fee
    sold = client.create_and_post_market_order(
        MarketOrderArgs(token_id=market.no, amount=10, side="SELL", price=0.01), order_type=OrderType.FAK
    )
    assert (sold["status"], sold["makingAmount"]) == ("matched", "10")
    trades = client.get_trades()
    assert {trade["id"] for trade in trades} == {*bought["tradeIDs"], *sold["tradeIDs"]}
    one = client.get_trades(TradeParams(id=bought["tradeIDs"][0]))[0]
    assert (one["taker_order_id"], one["trader_side"], one["status"]) == (
        bought["orderID"], "TAKER", "TRADE_STATUS_CONFIRMED",
    )  # fmt: skip
    assert client.get_order(bought["orderID"])["size_matched"] == bought["takingAmount"]
    assert client.get_trades(TradeParams(market="0x" + "00" * 32)) == []


def test_post_only_gtd_and_what_is_refused(client: ClobClient, market: Names) -> None:
    with pytest.raises(PolyApiException) as crossed:
        limit(client, market.yes, 0.97, post_only=True)
    assert (crossed.value.status_code, why(crossed)) == (400, "invalid post-only order: order crosses book")
    assert limit(client, market.yes, 0.02, post_only=True)["status"] == "live"

    def gtd(seconds: int) -> Any:
        args = OrderArgs(token_id=market.yes, price=0.02, size=10, side="BUY", expiration=int(time.time()) + seconds)
        return client.create_and_post_order(args, order_type=OrderType.GTD)

    row = client.get_order(gtd(300)["orderID"])
    assert (row["order_type"], row["status"]) == ("GTD", "LIVE")
    assert abs(int(row["expiration"]) - time.time() - 300) < GRACE_S
    with pytest.raises(PolyApiException, match="invalid expiration"):
        gtd(100)
    with pytest.raises(PolyApiException) as poor:
        client.create_and_post_order(OrderArgs(token_id=market.yes, price=0.02, size=50_000, side="BUY"))
    assert "the balance is not enough -> balance: 7996" in why(poor)  # base units, less what two orders claim
    with pytest.raises(PolyApiException, match="lower than the minimum: 5"):
        client.create_and_post_order(OrderArgs(token_id=market.yes, price=0.02, size=2, side="BUY"))
    with pytest.raises(PolyApiException, match="FAK orders are partially filled or killed"):
        client.create_and_post_market_order(
            MarketOrderArgs(token_id=market.yes, amount=10, side="BUY", price=0.02), order_type=OrderType.FAK
        )
    with pytest.raises(PolyApiException, match="FOK orders are fully filled or killed"):
        client.create_and_post_market_order(
            MarketOrderArgs(token_id=market.yes, amount=10, side="BUY", price=0.02), order_type=OrderType.FOK
        )
    signed = client.create_order(OrderArgs(token_id=market.yes, price=0.02, size=10, side="BUY"))
    name = client.post_order(signed)["orderID"]
    with pytest.raises(PolyApiException) as twice:
        client.post_order(signed)
    assert why(twice) == f"order {name} is invalid. Duplicated."


@pytest.mark.parametrize("kind", list(SignatureType)[1:])
def test_every_kind_of_wallet_signs(served: Served, market: Names, kind: SignatureType) -> None:
    key = new_key()
    eoa = Account.from_key(key).address
    own = {
        SignatureType.PROXY: proxy_wallet(eoa),
        SignatureType.SAFE: safe_wallet(eoa),
        SignatureType.DEPOSIT: deposit_wallet(eoa, beacon=True),
    }
    client = ClobClient(served.host, 137, key=key, signature_type=int(kind), funder=own[kind])
    client.set_api_creds(client.create_or_derive_api_key())
    row = client.get_order(limit(client, market.yes, 0.02)["orderID"])
    assert (row["status"], row["maker_address"]) == ("LIVE", own[kind])
    stranger = ClobClient(
        served.host, 137, key=key, creds=client.creds, signature_type=int(kind), funder=safe_wallet(own[kind])
    )
    with pytest.raises(PolyApiException, match=r"invalid signature|the order signer address has to be"):
        limit(stranger, market.yes, 0.02)


def test_batches(client: ClobClient, market: Names) -> None:
    def signed(price: float, size: float = 10) -> Any:
        return client.create_order(OrderArgs(token_id=market.yes, price=price, size=size, side="BUY"))

    sent = [PostOrdersV2Args(order=signed(0.02 + at / 100), orderType=OrderType.GTC) for at in range(2)]
    sent.append(PostOrdersV2Args(order=signed(0.02, size=1), orderType=OrderType.GTC))
    answers = client.post_orders(sent)
    assert [answer["status"] for answer in answers] == ["live", "live", ""]
    assert "lower than the minimum" in answers[2]["errorMsg"]
    assert answers[2]["orderID"] == ""
    with pytest.raises(PolyApiException, match="Too many orders in payload: 16, max allowed: 15"):
        client.post_orders([PostOrdersV2Args(order=sent[0].order, orderType=OrderType.GTC)] * 16)
    assert len(client.cancel_market_orders(OrderMarketCancelParams(market=market.condition_id))["canceled"]) == 2


def test_nobody_sees_or_cancels_what_is_anothers(served: Served, client: ClobClient, market: Names) -> None:
    other = ClobClient(served.host, 137, key=new_key())
    other.set_api_creds(other.create_or_derive_api_key())
    name = limit(client, market.yes, 0.02)["orderID"]
    assert other.get_order(name) is None
    assert other.get_open_orders() == other.get_trades() == []
    assert other.cancel_order(OrderPayload(orderID=name))["canceled"] == []
    assert other.cancel_all()["canceled"] == []
    assert client.get_order(name)["status"] == "LIVE"
    other.creds = dataclasses.replace(other.creds, api_key=client.creds.api_key)
    with pytest.raises(PolyApiException, match="Unauthorized/Invalid api key"):
        other.get_open_orders()


def test_faults_are_switched_while_it_runs(served: Served, client: ClobClient, market: Names) -> None:
    pack = {"pack": "engine_restart", "on": True, "params": {"down_ms": 60_000}}
    assert served.ask("POST", "/_execsim/faults", pack)[0] == 200
    with pytest.raises(PolyApiException) as down:
        limit(client, market.yes, 0.02)
    assert down.value.status_code == 425
    status, states = served.ask("POST", "/_execsim/faults", {"pack": "engine_restart", "on": False})
    assert status == 200
    assert {state["pack"]: state["active"] for state in states}["engine_restart"] is False
    assert limit(client, market.yes, 0.02)["status"] == "live"
    assert served.ask("POST", "/_execsim/faults", {"pack": "no such"})[0] == 400
    assert served.ask("GET", "/_execsim/clock")[1]["moving"] is True
    assert served.ask("GET", "/_execsim/other")[0] == 400


# ---------------------------------------------------------------------------------------------------- polymarket-client
Play = Callable[[AsyncSecureClient], Awaitable[None]]


def play(served: Served, scene: Play) -> None:
    """Run a scene with a new account."""

    async def run() -> None:
        async with await secure_client(served, new_key()) as client:
            await scene(client)

    asyncio.run(run())


def test_unified_client_trades(served: Served, market: Names) -> None:
    async def scene(client: AsyncSecureClient) -> None:
        assert await client.fetch_api_keys() == (client.credentials.key,)
        assert await client.get_closed_only_mode() is False
        book = await client.get_order_book(asset_id=market.yes)
        assert book.condition_id == market.condition_id
        mid = await client.get_midpoint(asset_id=market.yes)
        spreads = await client.get_spreads(asset_ids=[market.yes, market.no])
        assert 0 < mid < 1
        assert set(spreads) == {market.yes, market.no}
        resting = await client.place_limit_order(asset_id=market.yes, price="0.02", size="10", side="BUY")
        assert (resting.ok, resting.status) == (True, "live")
        gtd = await client.place_limit_order(
            asset_id=market.yes, price="0.03", size="10", side="BUY", post_only=True, expiration=int(time.time()) + 300
        )
        assert gtd.ok
        row = await client.get_order(order_id=gtd.order_id)
        assert (row.order_type, row.price, row.status) == ("GTD", Decimal("0.03"), "LIVE")
        page = await client.list_open_orders(market=market.condition_id).first_page()
        assert [order.id for order in page.items] == [resting.order_id, gtd.order_id]
        gone = await client.cancel_order(order_id=resting.order_id)
        assert gone.canceled == (resting.order_id,)
        signed = [
            await client.create_limit_order(asset_id=market.yes, price=price, size="10", side="BUY")
            for price in ("0.02", "0.04")
        ]
        both = await client.post_orders(signed)
        assert all(answer.ok for answer in both)
        assert len((await client.cancel_orders(order_ids=[both[0].order_id])).canceled) == 1
        assert len((await client.cancel_market_orders(asset_id=market.yes)).canceled) == 2
        assert (await client.cancel_all()).canceled == ()
        bought = await client.place_market_order(asset_id=market.yes, amount="20", side="BUY", order_type="FOK")
        assert (bought.ok, bought.status) == (True, "matched")
        sold = await client.place_market_order(asset_id=market.yes, shares="5", side="SELL", order_type="FAK")
        assert sold.making_amount == 5
        assert await client.wait_for_order_fill_settlement(bought)
        trades = (await client.list_account_trades().first_page()).items
        assert {trade.id for trade in trades} == {*bought.trade_ids, *sold.trade_ids}
        held = await client.get_balance_allowance(asset_type="CONDITIONAL", asset_id=market.yes)
        assert held.balance == 200_000_000 + (bought.taking_amount - 5) * 10**6
        with pytest.raises(RequestRejectedError, match="order crosses book"):
            await client.place_limit_order(asset_id=market.yes, price="0.97", size="10", side="BUY", post_only=True)
        beat = await client.send_order_heartbeat()
        assert (await client.send_order_heartbeat(heartbeat_id=beat.heartbeat_id)).heartbeat_id != beat.heartbeat_id

    play(served, scene)


def test_unified_client_streams_both_channels(served: Served, market: Names) -> None:
    async def scene(client: AsyncSecureClient) -> None:
        public = await client.subscribe(MarketSpec(token_ids=[market.yes], custom_feature_enabled=True))
        private = await client.subscribe(UserSpec())
        seen: set[str] = set()

        async def until(handle: Any, name: Callable[[Any], str], *wanted: str) -> None:
            async for event in handle:
                seen.add(name(event))
                if seen >= set(wanted):
                    return

        kinds = ("book", "price_change", "last_trade_price", "best_bid_ask")
        await asyncio.wait_for(until(public, lambda event: str(event.type), *kinds), GRACE_S)
        resting = await client.place_limit_order(asset_id=market.yes, price="0.02", size="10", side="BUY")
        await client.cancel_order(order_id=resting.order_id)
        await client.place_market_order(asset_id=market.yes, amount="10", side="BUY", order_type="FOK")

        def news(event: Any) -> str:
            payload = event.payload
            return str(payload.order_event_type if event.type == "order" else payload.status)

        wanted = ("PLACEMENT", "CANCELLATION", "UPDATE", "MATCHED", "MINED", "CONFIRMED")
        await asyncio.wait_for(until(private, news, *wanted), GRACE_S)

    play(served, scene)


# ---------------------------------------------------------------------------------------------------- the page, bad input
PAGE = (ROOT / "docs" / "polymarket_server.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("number", [0, 1])
def test_the_pages_examples_run(served: Served, number: int) -> None:
    code = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)[number].replace("4720", str(served.port))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "LIVE" in done.stdout
    assert ("matched", "PLACEMENT")[number] in done.stdout


def test_the_pages_curls_run(served: Served) -> None:
    lines = re.findall(r"^curl -s (?:-X (POST) )?http://127.0.0.1:4720(\S+)(?: -d '(.*)')?$", PAGE, flags=re.MULTILINE)
    assert len(lines) == 6
    for method, path, body in lines:
        status, answer = served.ask(method or "GET", path, body.encode() or None)
        assert status == 200, answer


def test_clients_that_misbehave_hurt_nobody_else(served: Served, client: ClobClient, market: Names) -> None:
    half = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(20)]
    for number, one in enumerate(half):
        one.sendall(
            [b"POST /order HTTP/1.1\r\n", b"\x00\xff" * 50, b"GET /ws/market HTTP/1.1\r\nUpgrade: websocket\r\n"][
                number % 3
            ]
        )
    assert served.ask("POST", "/books", b"x" * ((1 << 20) + 1)) == (413, {"error": "Payload exceeds the limit"})
    assert served.ask("POST", "/books", b"{" * 100_000) == (400, {"error": "Invalid payload"})
    assert served.ask("POST", "/order", b"{}")[0] == 401
    assert served.ask("PUT", "/order", b"{}") == (404, {"error": "not found"})
    url = served.host.replace("http", "ws")
    with pytest.raises(InvalidStatus, match="403"):
        connect(f"{url}/ws/other")
    with connect(f"{url}/ws/user") as forged:
        forged.send(
            json.dumps({"type": "user", "auth": {"apiKey": client.creds.api_key, "secret": "", "passphrase": ""}})
        )
        with pytest.raises(ConnectionClosed) as closed:
            forged.recv(timeout=GRACE_S)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008
    with connect(f"{url}/ws/market") as odd:
        for frame in ("", "PING", "[]", '{"type":"market","assets_ids":["1"]}', b"\xff"):
            odd.send(frame)
        assert [odd.recv(timeout=GRACE_S) for _ in range(5)] == [
            "INVALID OPERATION", "PONG", "INVALID OPERATION", "[]\n", "INVALID OPERATION",
        ]  # fmt: skip
    assert limit(client, market.yes, 0.02)["status"] == "live"
    for one in half:
        one.close()


def test_a_flood_meets_the_signers_limit(client: ClobClient, market: Names) -> None:
    signed = [client.create_order(OrderArgs(token_id=market.yes, price=0.01, size=5, side="BUY")) for _ in range(75)]
    sent = [PostOrdersV2Args(order=order, orderType=OrderType.GTC) for order in signed]

    def flood() -> None:
        for at in range(0, 75, 15):
            client.post_orders(sent[at : at + 15])

    with pytest.raises(PolyApiException) as flooded:
        flood()
    assert (flooded.value.status_code, why(flooded)) == (
        429,
        "Too Many Requests",
    )  # the batch passes whole or not at all
    assert 60 <= len(client.get_open_orders()) < 75
