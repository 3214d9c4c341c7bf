"""A venue forgets ended orders, oldest first, but none whose fills are not settled."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import MS, Tape, World, binary

from execsim.core.errors import OrderNotFound
from execsim.core.order import Order, OrderId, OrderStatus, OrderType, Side
from execsim.exchange import ChainModel, ConstantLatency, ExchangeModel
from execsim.runtime import VirtualRuntime
from execsim.testing.audit import audit

RAIN = binary()


def order_of(name: str, price: int, lots: int = 5_000_000) -> Order:
    return Order(OrderId(name), RAIN, Side.BUY, OrderType.LIMIT, size_lots=lots, price_i=price)


def world_of(kept: int, chain: ChainModel | None = None) -> World:
    tape = Tape().book(0, [(4_000, 10**9)], [(5_000, 10**9)])
    world = World(VirtualRuntime(7), tape, [RAIN], model=ExchangeModel(chain=chain, ended_kept_max=kept))
    world.fund(RAIN.quote, 10**12)
    return world


def play(world: World, script: Any) -> None:
    async def main() -> None:
        world.runtime.spawn(world.market.run(), "tape", daemon=True)
        await world.runtime.sleep_until(world.tape.start_ns + 10 * MS)
        await script

    world.runtime.run(main=main())  # type: ignore[attr-defined]


def test_the_oldest_ended_orders_leave_and_are_not_found() -> None:
    world = world_of(kept=2)
    entry, engine = world.exchange.entry, world.engine

    async def script() -> None:
        await engine.submit_order(order_of("open", 3_000))
        for n in range(5):
            await engine.submit_order(order_of(f"o{n}", 3_000 if n % 2 else 5_000))
            await engine.cancel_order(OrderId(f"o{n}"))
        assert [order.id for order in entry.booked] == ["open", "o3", "o4"]
        assert entry.dropped == 3
        assert list(entry.open) == ["open"]
        for name in ("o0", "never"):
            with pytest.raises(OrderNotFound, match="it ended long ago"):
                await world.venue.get_order_status(OrderId(name))
        report = await world.venue.get_order_status(OrderId("o4"))
        assert report.status is OrderStatus.FILLED
        assert {fill.order_id for fill in await world.venue.get_fills(0)} == {"o4"}
        await engine.cancel_order(OrderId("open"))

    play(world, script())
    assert audit(engine, {"sim": world.venue}) == []


def test_an_order_with_an_unsettled_fill_stays_until_it_is_settled() -> None:
    chain = ChainModel(ConstantLatency(50 * MS), ConstantLatency(1_000 * MS), ConstantLatency(50 * MS))
    world = world_of(kept=1, chain=chain)
    entry, engine = world.exchange.entry, world.engine

    async def script() -> None:
        await engine.submit_order(order_of("bought", 5_000))
        for n in range(4):
            await engine.submit_order(order_of(f"o{n}", 3_000))
            await engine.cancel_order(OrderId(f"o{n}"))
        assert {order.id for order in entry.booked} == {"bought", "o3"}
        await world.runtime.sleep(2_000 * MS)
        for n in range(4, 6):
            await engine.submit_order(order_of(f"o{n}", 3_000))
            await engine.cancel_order(OrderId(f"o{n}"))
        assert {order.id for order in entry.booked} == {"o5"}

    play(world, script())
    assert audit(engine, {"sim": world.venue}) == []


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 3), st.lists(st.booleans(), min_size=1, max_size=12))
def test_never_more_than_said(kept: int, fills: list[bool]) -> None:
    world = world_of(kept=kept)

    async def script() -> None:
        for n, filled in enumerate(fills):
            await world.engine.submit_order(order_of(f"o{n}", 5_000 if filled else 3_000))
            await world.engine.cancel_order(OrderId(f"o{n}"))

    play(world, script())
    entry = world.exchange.entry
    assert [order.id for order in entry.booked] == [f"o{n}" for n in range(len(fills))][max(0, len(fills) - kept) :]
    assert entry.dropped == max(0, len(fills) - kept)
