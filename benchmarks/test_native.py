"""The native dialect: a message through the codec, and a placed order over TCP on loopback with no simulated latency.

Client, server and exchange share one process and one core here; a real client has a core of its own.
"""

from __future__ import annotations

from typing import Any

from native_worlds import Sockets, money_of
from venue_session import SHARE, quiet
from worlds import binary

from execsim.core.order import Fill, Order, OrderId, OrderType, Side
from execsim.exchange import LatencyModel
from execsim_native import wire
from execsim_native.codec import build, plain

ORDERS = 400
FILL: dict[str, Any] = {
    "id": "236fd0662ae6526c-0", "order_id": "b-1", "ts_ns": 1767614405000000000, "side": "buy", "outcome": "yes",
    "price_i": 4900, "lots": 10000000, "cash": -4900000, "fee": 0, "liquidity": "maker", "cause": "queue_drained",
    "evidence": "recorded", "row_seq": 5, "status": "confirmed", "match": "swap",
}  # fmt: skip


def test_a_fill_through_the_codec(benchmark: Any) -> None:
    """Read, checked field by field, and written again."""

    def there_and_back() -> bytes:
        return wire.dump(plain(build(Fill, FILL)))

    assert benchmark(there_and_back) == wire.dump(FILL)


def test_orders_over_sockets(benchmark: Any) -> None:
    """`ORDERS` orders placed one after the other, each acknowledged before the next; then all of them are open."""
    inst = binary()

    def play() -> int:
        w = Sockets(quiet(), [inst], money=money_of(inst, {"pUSD": 10_000 * SHARE}), latency=LatencyModel())
        found: list[int] = []

        async def script() -> None:
            for number in range(ORDERS):
                order = Order(OrderId(str(number)), inst, Side.BUY, OrderType.LIMIT, size_lots=5 * SHARE, price_i=1_000)
                await w.adapter.place_order(order)
            found.append(len(await w.adapter.get_open_orders()))

        w.run(script())
        return found[0]

    assert benchmark.pedantic(play, rounds=3, warmup_rounds=1) == ORDERS
    benchmark.extra_info["orders"] = ORDERS
