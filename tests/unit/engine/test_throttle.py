from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execsim.core.errors import ConfigError, RateLimitExceeded
from execsim.engine import RateLimiter, RateLimiterConfig, throttle
from execsim.testing import StepRuntime


def test_presets():
    assert RateLimiterConfig.polymarket() == RateLimiterConfig("10", 20)
    assert RateLimiterConfig.binance() == RateLimiterConfig("20", 50)
    assert RateLimiterConfig.kalshi() == RateLimiterConfig("10", 10, shared=True, cancel_reserve=2)
    assert RateLimiterConfig.preset("polymarket") == RateLimiterConfig.polymarket()
    assert RateLimiterConfig.preset("elsewhere") == RateLimiterConfig.unlimited()


def test_try_check_says_how_long():
    runtime = StepRuntime()
    limiter = RateLimiter(RateLimiterConfig(10, 2), runtime, "test")
    limiter.try_check(2)
    with pytest.raises(RateLimitExceeded) as caught:
        limiter.try_check()
    assert (caught.value.args[0], caught.value.retry_after_ns) == ("ours", 100_000_000)
    with pytest.raises(ConfigError, match="split the batch"):
        limiter.try_check(3)
    RateLimiter(RateLimiterConfig.unlimited(), runtime).try_check(10**9)


@given(
    st.lists(st.tuples(st.integers(0, 400), st.integers(1, 3)), min_size=1, max_size=25),
    st.integers(1, 50),
    st.integers(3, 5),
)
def test_first_in_first_out_and_never_above_the_rate(requests, rate, burst):
    runtime = StepRuntime()
    limiter = RateLimiter(RateLimiterConfig(rate, burst), runtime)
    requests.sort(key=lambda request: request[0])
    granted = []

    async def ask(index, at_ms, tokens):
        await runtime.sleep_until(at_ms * 1_000_000)
        await limiter.check(tokens)
        granted.append((index, runtime.now_ns(), tokens))

    for index, (at_ms, tokens) in enumerate(requests):
        runtime.spawn(ask(index, at_ms, tokens), str(index))
    runtime.drain()
    assert [index for index, _, _ in granted] == list(range(len(requests)))
    for i, (_, start, _) in enumerate(granted):
        taken = 0
        for _, t, tokens in granted[i:]:
            taken += tokens
            # one ns for the wait that is rounded up
            assert (taken - burst) * 10**9 <= rate * (t - start + 1)
    assert limiter.waiting == 0


def test_try_check_does_not_overtake_and_the_dead_spend_nothing():
    runtime = StepRuntime()
    limiter = RateLimiter(RateLimiterConfig(10, 2), runtime)
    limiter.try_check(2)
    order = []

    async def ask(name, tokens=1):
        await limiter.check(tokens)
        order.append((name, runtime.now_ns() // 1_000_000))

    first, second, third = (runtime.spawn(ask(name, 1), name) for name in ("a", "b", "c"))
    runtime.drain(0)
    with pytest.raises(RateLimitExceeded):
        limiter.try_check()
    assert limiter.waiting == 3
    first.cancel()
    second.cancel()
    runtime.drain()
    assert order == [("c", 100)]
    assert (first.done, second.done, third.done) == (True, True, True)


def test_the_queue_is_bounded(monkeypatch):
    monkeypatch.setattr(throttle, "WAITING_MAX", 3)
    runtime = StepRuntime()
    limiter = RateLimiter(RateLimiterConfig(1, 1), runtime, "orders")
    limiter.try_check()
    turns = [limiter.enter() for _ in range(3)]
    with pytest.raises(RateLimitExceeded, match="3 requests already wait in orders"):
        limiter.enter()
    for turn in turns:
        turn.leave()
    assert runtime.next_event_ns() == 2**63 - 1


def test_one_budget_keeps_tokens_for_cancels_and_serves_them_first():
    runtime = StepRuntime()
    limiter = RateLimiter(RateLimiterConfig(10, 5, shared=True, cancel_reserve=2), runtime)
    granted = []

    async def ask(name, urgent, at_ms=0):
        await runtime.sleep_until(at_ms * 1_000_000)
        await limiter.check(urgent=urgent)
        granted.append((name, runtime.now_ns() // 1_000_000))

    for number in range(8):  # a flood of orders takes three tokens at once, then one every 100 ms
        runtime.spawn(ask(f"order {number}", False), "order")
    runtime.spawn(ask("cancel 0", True, 1), "cancel")
    runtime.spawn(ask("cancel 1", True, 1), "cancel")
    runtime.spawn(ask("cancel 2", True, 1), "cancel")
    runtime.drain(2_000_000)
    assert granted == [("order 0", 0), ("order 1", 0), ("order 2", 0), ("cancel 0", 1), ("cancel 1", 1)]
    runtime.drain()
    # the third cancel goes with the first token there is; orders wait until the reserve is whole again
    assert granted[5:8] == [("cancel 2", 100), ("order 3", 400), ("order 4", 500)]
    assert len(granted) == 11


def test_a_hold_stops_orders_and_not_cancels():
    for config in (RateLimiterConfig(10, 5, shared=True, cancel_reserve=1), RateLimiterConfig.unlimited()):
        runtime = StepRuntime()
        limiter = RateLimiter(config, runtime, "orders")
        limiter.hold(700_000_000)
        limiter.hold(300_000_000)  # a shorter one does not end a longer one
        assert limiter.enter(urgent=True) is None
        with pytest.raises(RateLimitExceeded, match="the venue has asked us to wait") as caught:
            limiter.try_check()
        assert caught.value.retry_after_ns == 700_000_000
        granted = []

        async def ask(runtime=runtime, limiter=limiter, granted=granted):
            await limiter.check()
            granted.append(runtime.now_ns())

        runtime.spawn(ask(), "a")
        runtime.drain(650_000_000)
        limiter.hold(900_000_000)  # longer while one waits
        runtime.drain()
        assert granted == [900_000_000]


@pytest.mark.parametrize(
    ("shared", "reserve", "what"),
    [(False, 1, "budget of their own"), (True, 5, "below the burst"), (True, -1, "below")],
)
def test_reserves_that_make_no_sense(shared, reserve, what):
    with pytest.raises(ConfigError, match=what):
        RateLimiterConfig(10, 5, shared=shared, cancel_reserve=reserve)
