"""What official clients ask about their account and the market's past, on a local exchange over real sockets: price history,
scoring, notifications, rate-limit headers, allowances, and how they read the venue's 425, 429 and 503."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from polymarket import AsyncSecureClient, RateLimitUpdate
from polymarket.errors import RateLimitError, RequestRejectedError
from polymarket.models.clob.notifications import NotificationType
from py_clob_client_v2.client import ClobClient
from py_clob_client_v2.clob_types import (
    BalanceAllowanceParams,
    DropNotificationParams,
    MarketOrderArgs,
    OrderArgs,
    OrderPayload,
    OrderScoringParams,
    OrdersScoringParams,
    PricesHistoryParams,
)
from py_clob_client_v2.exceptions import PolyApiException
from served_polymarket import ROOT, SCENARIO, Names, Served, clob_client, secure_client, serving

KEYS = iter(range(5_000, 6_000))
TERMS = """
[venues.polymarket.allowances]
pUSD = 100

[venues.polymarket.rewards.agents]
pool_per_day = 50
max_spread = 0.05
size_min = 10
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    path: Path = tmp_path_factory.mktemp("scenario") / "terms.toml"
    path.write_text((ROOT / f"{SCENARIO}.toml").read_text() + TERMS)
    with serving(str(path)) as server:
        yield server


@pytest.fixture(scope="module")
def market(served: Served) -> Names:
    return served.market()


@pytest.fixture
def client(served: Served) -> ClobClient:
    return clob_client(served, f"0x{next(KEYS):064x}")


def limit(client: ClobClient, token: str, price: float, size: float = 10) -> Any:
    return client.create_and_post_order(OrderArgs(token_id=token, price=price, size=size, side="BUY"))


def play(served: Served, scene: Callable[[AsyncSecureClient], Awaitable[None]], **options: Any) -> None:
    async def run() -> None:
        async with await secure_client(served, f"0x{next(KEYS):064x}", **options) as client:
            await scene(client)

    asyncio.run(run())


def test_price_history(client: ClobClient, market: Names) -> None:
    past = client.get_prices_history(PricesHistoryParams(market=market.yes, interval="1h", fidelity=1))["history"]
    assert past
    assert all(0 < row["p"] < 1 and abs(row["t"] - time.time()) < 600 for row in past)
    assert [row["t"] for row in past] == sorted(row["t"] for row in past)
    no = client.get_prices_history(PricesHistoryParams(market=market.no, start_ts=0, end_ts=past[-1]["t"]))["history"]
    assert abs(no[-1]["p"] + past[-1]["p"] - 1) < 1e-9
    with pytest.raises(PolyApiException, match="Invalid interval"):
        client.get_prices_history(PricesHistoryParams(market=market.yes, interval="2y"))


def test_scoring_and_notifications(client: ClobClient, market: Names) -> None:
    bid = float(client.get_order_book(market.yes)["bids"][-1]["price"])
    near, far = limit(client, market.yes, round(bid - 0.01, 2))["orderID"], limit(client, market.yes, 0.02)["orderID"]
    assert client.are_orders_scoring(OrdersScoringParams(orderIds=[near, far]))[far] is False
    assert client.is_order_scoring(OrderScoringParams(orderId=far)) == {"scoring": False}
    assert client.get_market(market.condition_id)["rewards"]["max_spread"] == 5
    client.cancel_order(OrderPayload(orderID=far))
    client.create_and_post_market_order(MarketOrderArgs(token_id=market.yes, amount=5, side="BUY"))
    told = [(row["type"], row["payload"]["order_id"]) for row in client.get_notifications()]
    assert (1, far) in told
    assert 2 in [kind for kind, _ in told]
    first = client.get_notifications()[0]["id"]
    assert client.drop_notifications(DropNotificationParams(ids=[str(first)])) == "OK"
    assert first not in [row["id"] for row in client.get_notifications()]


def test_the_unified_client_reads_them(served: Served, market: Names) -> None:
    updates: list[RateLimitUpdate] = []

    async def scene(client: AsyncSecureClient) -> None:
        placed = await client.place_limit_order(asset_id=market.yes, price="0.02", size="10", side="BUY")
        assert await client.get_order_scoring(order_id=placed.order_id) is False
        assert await client.get_orders_scoring(order_ids=[placed.order_id]) == {placed.order_id: False}
        await client.cancel_order(order_id=placed.order_id)
        bought = await client.place_market_order(asset_id=market.yes, amount="5", side="BUY", order_type="FOK")
        rows = await client.get_notifications()
        by_order = {row.payload.order_id: row for row in rows}  # type: ignore[union-attr]  # orders' all
        assert by_order[placed.order_id].type is NotificationType.ORDER_CANCELLATION
        assert by_order[bought.order_id].type is NotificationType.ORDER_FILL
        await client.drop_notifications(ids=[row.id for row in rows])
        assert await client.get_notifications() == ()

    play(served, scene, on_rate_limit_update=updates.append)
    assert len(updates) == 3  # two orders and a cancel
    assert {update.tier for update in updates} == {"Standard"}
    assert [update.remaining for update in updates][:2] == [59, 119]
    assert all(abs((update.reset or 0) - time.time()) < 60 and not update.warning for update in updates)


def test_allowances_bound_what_is_bought(served: Served, client: ClobClient, market: Names) -> None:
    def allowances() -> set[str]:
        found = client.get_balance_allowance(BalanceAllowanceParams(asset_type="COLLATERAL"))["allowances"]
        return set(found.values())

    assert allowances() == {"100000000"}
    limit(client, market.yes, 0.02, 4_000)  # 80 of 100
    with pytest.raises(PolyApiException, match="the allowance is not enough"):
        limit(client, market.yes, 0.02, 1_500)
    body = {"address": client.get_address(), "deposit": "250.5", "allowance": "unlimited"}
    status, answer = served.ask("POST", "/_execsim/accounts", body)
    assert (status, answer["balance"], answer["allowance"]) == (200, "1050.5", "unlimited")
    limit(client, market.yes, 0.02, 1_500)
    assert served.ask("POST", "/_execsim/accounts", {**body, "deposit": 5})[0] == 400
    status, answer = served.ask("POST", "/_execsim/accounts", {**body, "address": "0x12"})
    assert (status, answer["error"][:18]) == (400, "accounts: address:")
    assert served.ask("GET", "/_execsim/accounts")[0] == 400


def test_clients_read_425_429_and_503(served: Served, market: Names) -> None:
    def switch(pack: str, on: bool, **params: int) -> None:
        status, answer = served.ask("POST", "/_execsim/faults", {"pack": pack, "on": on, "params": params})
        assert status == 200, answer

    async def scene(client: AsyncSecureClient) -> None:
        async def place() -> Any:
            return await client.place_limit_order(asset_id=market.yes, price="0.02", size="5", side="BUY")

        await place()  # the market's terms are read
        switch("engine_restart", True, down_ms=300_000)
        with pytest.raises(RequestRejectedError) as down:
            await place()
        assert down.value.status == 425
        switch("engine_restart", False)
        switch("engine_restart", True, down_ms=1, post_only_ms=300_000)
        await asyncio.sleep(0.05)
        with pytest.raises(RequestRejectedError, match="post-only mode: only post-only orders and cancels") as quiet:
            await place()
        assert quiet.value.status == 503
        assert quiet.value.retry_after is not None
        assert 290 < quiet.value.retry_after <= 300
        switch("engine_restart", False)
        switch("cancel_only", True)
        with pytest.raises(RequestRejectedError, match="Trading is currently cancel-only") as closed:
            await place()
        assert closed.value.status == 503
        switch("cancel_only", False)

        async def flood() -> None:
            for _ in range(5):
                terms: dict[str, Any] = {"asset_id": market.yes, "price": "0.02", "size": "5", "side": "BUY"}
                await client.post_orders([await client.create_limit_order(**terms) for _ in range(15)])

        with pytest.raises(RateLimitError) as flooded:
            await flood()
        assert flooded.value.retry_after == 1
        assert flooded.value.rate_limit is not None
        assert flooded.value.rate_limit.tier == "Standard"

    play(served, scene)


def test_what_the_host_gave_and_what_was_told_survive_a_restart(tmp_path: Path) -> None:
    state = ("--state", str(tmp_path / "state"))

    def login(server: Served) -> ClobClient:
        return clob_client(server, f"0x{4_999:064x}")

    def told(client: ClobClient) -> tuple[Any, Any, Any]:
        money = client.get_balance_allowance(BalanceAllowanceParams(asset_type="COLLATERAL"))
        notices = [(row["id"], row["type"], row["payload"]["order_id"]) for row in client.get_notifications()]
        return money, notices, [row["id"] for row in client.get_open_orders()]

    first = Served(SCENARIO, *state)
    try:
        market, client = first.market(), login(first)
        body = {"address": client.get_address(), "deposit": "12.5", "allowance": "30"}
        assert first.ask("POST", "/_execsim/accounts", body)[0] == 200
        gone = limit(client, market.yes, 0.02)["orderID"]
        client.cancel_order(OrderPayload(orderID=gone))
        kept = limit(client, market.yes, 0.02)["orderID"]
        before = told(client)
    finally:
        assert first.stop()[0] == 0
    assert (before[0]["balance"], set(before[0]["allowances"].values())) == ("812500000", {"30000000"})
    assert before[1:] == ([(1, 1, gone)], [kept])
    second = Served(SCENARIO, *state)
    try:
        assert told(login(second)) == before
    finally:
        assert second.stop()[0] == 0
