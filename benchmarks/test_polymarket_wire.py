"""Orders over HTTP to `execsim serve --dialect polymarket` on loopback, in a process of its own, with no simulated latency.

Submit to ack: our adapter and both official Python clients against the same server, one order each in turn, so that
whatever disturbs the machine disturbs all three. Each signs, posts and reads the answer. Then how many orders a second the
server takes from 50 connections, whose requests are signed before the clock starts. Correctness: every order is open there.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import httpx
import pytest
from py_clob_client_v2.clob_types import OrderArgs
from served_polymarket import GRACE_S, Served, clob_client, secure_client

from execsim.core.order import Order, OrderId, OrderType, Side, VenueId
from execsim.net.web import WebTransport
from execsim.ports import Credentials, Request, VenueConfig
from execsim.runtime import SessionTransport, WallRuntime
from execsim_polymarket import endpoints as ep
from execsim_polymarket.amounts import limit_amounts
from execsim_polymarket.auth import ApiKey
from execsim_polymarket.client import PolymarketVenue
from execsim_polymarket.sign import Account, PrivateKey
from execsim_polymarket.signing import Identity, SigningTransport, account_of
from execsim_polymarket.wire.trading import POST_ORDER, OrderMessage, PostOrder

WARM, ORDERS = 20, 200
CONNECTIONS, EACH, ROUNDS = 50, 20, 3
SHARE, NS_PER_S = 1_000_000, 1_000_000_000
PRICE_I, LOTS = 100, 5 * SHARE
"""Far below the market: 5 shares at 0.01, which rest."""
QUIET = ("scenarios/handwritten", "--set", "venues.polymarket.limits={off=true}", "-q")

pytestmark = pytest.mark.benchmark(group="polymarket over HTTP")
Submit = Callable[[int], Awaitable[str]]
"""Place the n-th order; its id at the venue."""


def secret(number: int) -> str:
    return f"0x{number:064x}"


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    server = Served(*QUIET)
    yield server
    assert server.stop()[0] == 0


class Ours:
    """The adapter as a live session has it: a recorded transport that signs, on sockets."""

    def __init__(self, runtime: WallRuntime, host: str, condition: str) -> None:
        account = account_of(Credentials({"private_key": secret(11)}))
        self._transport = SessionTransport(runtime, SigningTransport(WebTransport(host), account))
        extra = {"identity": Identity.of(account).plain(), "markets": {"coin": condition}}
        self.venue = PolymarketVenue(VenueConfig(VenueId("polymarket"), extra=extra), self._transport, runtime)
        self._runtime = runtime

    async def submit(self, number: int) -> str:
        order = Order(
            OrderId(f"bench-{number}"), self.venue.instruments()["coin"], Side.BUY, OrderType.LIMIT, size_lots=LOTS,
            price_i=PRICE_I, created_ns=self._runtime.now_ns(),
        )  # fmt: skip
        return str((await self.venue.place_order(order)).venue_order_id)

    async def aclose(self) -> None:
        await self.venue.aclose()
        await self._transport.aclose()


def test_submit_to_ack(benchmark: Any, figure: Any, served: Served) -> None:
    market = served.market()
    took: dict[str, list[int]] = {}
    found: dict[str, list[str]] = {}
    opened: dict[str, int] = {}
    runtime = WallRuntime(7, time.time_ns())

    async def sitting() -> None:
        ours = Ours(runtime, served.host, market.condition_id)
        await ours.venue.start()
        clob = clob_client(served, secret(12))
        args = OrderArgs(token_id=market.yes, price=0.01, size=5, side="BUY")
        unified = await asyncio.ensure_future(secure_client(served, secret(13)))  # anyio wants a task of asyncio

        async def by_clob(_: int) -> str:
            return str(clob.create_and_post_order(args)["orderID"])

        async def by_unified(_: int) -> str:
            placing = unified.place_limit_order(asset_id=market.yes, price="0.01", size="5", side="BUY")
            placed: Any = await asyncio.ensure_future(placing)
            return str(placed.order_id)

        clients: dict[str, Submit] = {
            "ours": ours.submit, "py-clob-client-v2 1.2.1": by_clob, "polymarket-client 0.14.0": by_unified,
        }  # fmt: skip
        try:
            for number in range(WARM + ORDERS):
                for name, submit in clients.items():
                    began_ns = time.perf_counter_ns()
                    order_id = await submit(number)
                    took.setdefault(name, []).append(time.perf_counter_ns() - began_ns)
                    found.setdefault(name, []).append(order_id)
            opened["ours"] = len(await ours.venue.get_open_orders())
            opened["clob"] = len(clob.get_open_orders())
            opened["unified"] = await asyncio.ensure_future(count_open(unified))
        finally:
            await ours.aclose()
            await asyncio.ensure_future(unified.close())

    benchmark.pedantic(lambda: runtime.run(main=sitting()), rounds=1)
    assert opened == dict.fromkeys(("ours", "clob", "unified"), WARM + ORDERS)
    assert len({order_id for ids in found.values() for order_id in ids}) == 3 * (WARM + ORDERS)
    for name, all_ns in took.items():
        ordered = sorted(all_ns[WARM:])
        p50, p99 = (ordered[len(ordered) * percent // 100] / 1e6 for percent in (50, 99))
        benchmark.extra_info[name] = {"p50_ms": p50, "p99_ms": p99}
        figure(f"submit to ack over loopback, {name}: p50", p50, "ms")
        figure(f"  {name}: p99", p99, "ms")


def test_fifty_connections(benchmark: Any, rate: Any, served: Served) -> None:
    """Orders a second; the clients only write bytes made before and read answers."""
    market = served.market()
    keys = [logged_in(served.host, PrivateKey(secret(100 + number))) for number in range(CONNECTIONS)]
    salts = iter(range(1, 10**9))
    taken: list[str] = []

    def presigned() -> tuple[tuple[list[list[bytes]]], dict[str, Any]]:
        lines = [[order_of(key, market.yes, next(salts)) for _ in range(EACH)] for key in keys]
        return (lines,), {}

    def post_all(lines: list[list[bytes]]) -> None:
        taken.extend(asyncio.run(asyncio.wait_for(flood(served.port, lines), GRACE_S)))

    rate(f"orders of {CONNECTIONS} connections, checked and booked", CONNECTIONS * EACH, "orders/s")
    benchmark.pedantic(post_all, setup=presigned, rounds=ROUNDS)
    rounds = 1 if benchmark.disabled else ROUNDS
    assert len(set(taken)) == len(taken) == rounds * CONNECTIONS * EACH
    found: list[str] = []
    for _, key in keys:
        request = ep.request(ep.GET_ORDERS, key=key, now_s=time.time_ns() // NS_PER_S)
        listed = httpx.get(served.host + request.path, headers=dict(request.headers)).json()
        found += [row["id"] for row in listed["data"]]
    assert sorted(found) == sorted(taken)


async def count_open(client: Any) -> int:
    return len([order async for order in client.list_open_orders().iter_items()])


def logged_in(host: str, secret_key: PrivateKey) -> tuple[Account, ApiKey]:
    account = Account(secret_key)
    request = ep.request(ep.CREATE_KEY, headers=account.login_headers(time.time_ns() // NS_PER_S))
    made = httpx.post(host + request.path, headers=dict(request.headers)).json()
    return account, ApiKey(account.key.address, made["apiKey"], made["secret"], made["passphrase"])


def order_of(who: tuple[Account, ApiKey], token: str, salt: int) -> bytes:
    """One POST /order as bytes."""
    account, key = who
    amounts, now_ns = limit_amounts(Side.BUY, PRICE_I, LOTS, 100), time.time_ns()
    signed = account.order(
        side=Side.BUY, token_id=int(token), maker_amount=amounts.maker, taker_amount=amounts.taker, salt=salt,
        timestamp_ms=now_ns // 10**6, neg_risk=False,
    )  # fmt: skip
    body = POST_ORDER.to_bytes(PostOrder(OrderMessage.of(signed, 0), key.key, "GTC"))
    request: Request = ep.request(ep.POST_ORDER, body=body, key=key, now_s=now_ns // NS_PER_S)
    lines = [f"POST {request.path} HTTP/1.1", "host: 127.0.0.1", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def flood(port: int, lines: list[list[bytes]]) -> list[str]:
    """A connection for each list of requests, all at once, one request after another on each; the ids of the orders."""

    async def one(requests: list[bytes]) -> list[str]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        ids = []
        for request in requests:
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            size = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
            answer = json.loads(await reader.readexactly(size))
            assert head.startswith(b"http/1.1 200"), (head, answer)
            ids.append(answer["orderID"])
        writer.close()
        await writer.wait_closed()
        return ids

    return [order_id for ids in await asyncio.gather(*map(one, lines)) for order_id in ids]
