"""Limits in front of an exchange: requests really wait, batches are whole, fills give back, waiting as told passes."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from worlds import MS, OPEN_PROFILE, START_NS, Tape, World, coarse

from execsim.core.errors import RateLimitExceeded
from execsim.core.instrument import InstrumentKind
from execsim.core.limits import CANCELS, ORDERS, Bucket, Fixed, LimitRule, Sliding, Unfilled
from execsim.core.order import Order, OrderAck, OrderId, OrderType, Side, TimeInForce
from execsim.core.request import RequestKind
from execsim.exchange import ConstantLatency, LatencyModel
from execsim.exchange.limits import VenueLimits
from execsim.ports import VenueProfile
from execsim.runtime import VirtualRuntime

COIN = coarse("coin", InstrumentKind.SPOT)
SECOND = 1_000 * MS


def play(script: Callable[[World], Coroutine[Any, Any, None]], *rules: LimitRule) -> World:
    runtime = VirtualRuntime(1, START_NS)
    latency = LatencyModel(ConstantLatency(0), ConstantLatency(4 * MS), ConstantLatency(4 * MS))
    tape = Tape().book(0, [(48, 100)], [(52, 100)]).trade(1_500 * MS, -1, 40, 500).level(9 * SECOND, 1, 47, 1)
    world = World(runtime, tape, [COIN], profile=replace(OPEN_PROFILE, limits=rules), latency=latency)
    world.venue.deposit(COIN.quote.name, 10**6)

    async def main() -> None:
        runtime.spawn(world.market.run(), "tape", daemon=True)
        await runtime.sleep(MS)
        await script(world)

    runtime.run(main=main())
    world.venue.ledger.check()
    return world


def bid(name: str, price_i: int = 48, tif: TimeInForce = TimeInForce.GTC) -> Order:
    return Order(OrderId(name), COIN, Side.BUY, OrderType.LIMIT, tif=tif, size_lots=1, price_i=price_i)


def test_what_is_too_much_waits_and_is_then_refused() -> None:
    async def script(world: World) -> None:
        begun = world.runtime.now_ns()
        found: list[tuple[str, int]] = []

        async def place(name: str) -> None:
            try:
                await world.venue.place_order(bid(name))
                found.append((name, (world.runtime.now_ns() - begun) // MS))
            except RateLimitExceeded as error:
                found.append((f"{name} refused", error.retry_after_ns // MS))

        tasks = [world.runtime.spawn(place(name), name) for name in "abcd"]
        await world.runtime.sleep(SECOND)
        assert all(task.done for task in tasks)
        assert found == [("a", 8), ("d refused", 300), ("b", 108), ("c", 208)]

    world = play(script, LimitRule("window", ORDERS, Sliding(1, 100 * MS), scope="ip", max_delay_ns=200 * MS))
    assert world.exchange.limits.hits == {"window": 1}
    assert world.exchange.limits.throttled == {"window": 2}


def test_a_batch_is_refused_whole_and_passes_after_the_stated_wait() -> None:
    async def script(world: World) -> None:
        first = await world.venue.place_batch([bid(name) for name in "ab"])
        assert all(isinstance(answer, OrderAck) for answer in first)
        second = await world.venue.place_batch([bid(name) for name in "cde"])
        assert [type(answer) for answer in second] == [RateLimitExceeded] * 3
        assert len(await world.venue.get_open_orders()) == 2
        error = second[0]
        assert isinstance(error, RateLimitExceeded)
        await world.runtime.sleep(error.retry_after_ns)
        third = await world.venue.place_batch([bid(name) for name in "cde"])
        assert all(isinstance(answer, OrderAck) for answer in third)

    play(script, LimitRule("orders", ORDERS, Bucket("10", 4), per_order=True))


def test_fills_of_the_tape_and_of_the_taker_give_back() -> None:
    rule = LimitRule("unfilled", ORDERS, Fixed(3, 3_600 * SECOND), per_order=True, unfilled=Unfilled(1, 2))

    async def script(world: World) -> None:
        for number in range(5):  # each is filled at once: none counts
            await world.venue.place_order(bid(f"taker {number}", 52, TimeInForce.IOC))
        for name in "abc":
            await world.venue.place_order(bid(name, 45))
        with pytest.raises(RateLimitExceeded):
            await world.venue.place_order(bid("d"))
        assert (await world.venue.cancel_order(OrderId("a"))).cancelled  # a cancel gives nothing back
        with pytest.raises(RateLimitExceeded):
            await world.venue.place_order(bid("d"))
        await world.runtime.sleep_until(START_NS + 2 * SECOND)  # two makers were filled: 2 each, not below nothing
        for name in "efg":
            await world.venue.place_order(bid(name, 45))
        with pytest.raises(RateLimitExceeded):
            await world.venue.place_order(bid("h"))

    play(script, rule)


@given(
    st.integers(1, 5), st.integers(5, 40), st.integers(0, 60), st.sampled_from([Fixed, Sliding]),
    st.lists(st.tuples(st.integers(0, 15), st.integers(1, 3)), max_size=50),
)  # fmt: skip
def test_delays_keep_the_order_and_never_let_more_than_n_through(
    n: int, per_ns: int, delay_ns: int, kind: type[Fixed | Sliding], steps: list[tuple[int, int]]
) -> None:
    rule = LimitRule("r", ORDERS | CANCELS, kind(n, per_ns), per_order=True, max_delay_ns=delay_ns)
    venue = VenueLimits("sim", VenueProfile(), (rule,))
    passed: list[tuple[int, int]] = []
    now = 0
    for gap, orders in steps:
        now += gap
        verdict = venue.ask(RequestKind.BATCH, now, orders=min(n, orders))
        if verdict.error is None:
            assert verdict.delay_ns <= delay_ns
            passed.append((now + verdict.delay_ns, min(n, orders)))
        else:
            wait_ns = verdict.error.args[2]
            assert wait_ns > delay_ns
    assert passed == sorted(passed, key=lambda one: one[0])
    for at, _ in passed:
        if kind is Sliding:
            counted = sum(tokens for then, tokens in passed if at - per_ns < then <= at)
        else:
            counted = sum(tokens for then, tokens in passed if then // per_ns == at // per_ns)
        assert counted <= n
