"""The circuit breaker: who opens it, what passes meanwhile, what closes it."""

from __future__ import annotations

import pytest

from execsim.core.errors import InternalError, InvalidResponse, NetworkError, Reached, VenueError
from execsim.core.order import OrderStatus as S
from execsim.core.units import NS_PER_S
from execsim.engine import BreakerConfig, EngineConfig, RetryConfig, RouteConfig
from execsim.engine.breaker import BREAKER, BreakerEvent, BreakerState, step
from execsim.testing.mock_venue import Refuse, Silence

BREAKS = BreakerConfig(failures_max=3, probe_ns=NS_PER_S, probe_ns_max=4 * NS_PER_S)
CONFIG = EngineConfig(calls=RouteConfig(retry=RetryConfig(attempts_max=1), breaker=BREAKS))
GONE = NetworkError("polymarket", "connection refused", "no")


def levels(rig):
    """venue -> the metric exec.breaker_state."""
    rows = [row for row in rig.engine.metrics.labelled() if row["metric_name"] == "exec.breaker_state"]
    return {row["labels"]["venue"]: row["value"] for row in rows}


def fail(rig, error=GONE):
    rig.venue.answers.append(Refuse(error))
    order = rig.order()
    with pytest.raises(type(error)):
        rig.run(rig.engine.submit_order(order))
    return order


def test_calls_in_a_row_without_an_answer_open_it_and_orders_are_refused(make_rig):
    rig = make_rig(CONFIG)
    resting = rig.working()
    rig.venue.healthy = False
    assert levels(rig) == {"polymarket": 0, "binance": 0}
    for _ in range(3):
        assert rig.engine.healthy("polymarket")
        fail(rig)
    assert not rig.engine.healthy("polymarket")
    assert levels(rig) == {"polymarket": 1, "binance": 0}
    assert rig.engine.healthy("binance")
    placed = len(rig.venue.calls)
    order = rig.order()
    with pytest.raises(NetworkError, match=r"circuit breaker is open after 3 calls") as caught:
        rig.run(rig.engine.submit_order(order))
    assert caught.value.reached is Reached.NO
    assert caught.value.retryable
    assert order.status is S.REJECTED
    assert len(rig.venue.calls) == placed
    # a cancel passes, and what it comes to closes the breaker
    assert rig.run(rig.engine.cancel_order(resting.id)).cancelled
    assert rig.engine.healthy("polymarket")
    states = [row[3]["state"] for row in rig.journal.rows if row[0] == "breaker"]
    assert states == ["open", "closed"]
    assert levels(rig) == {"polymarket": 0, "binance": 0}


def test_an_amend_is_refused_while_it_is_open_and_the_order_is_as_it_was(make_rig):
    rig = make_rig(CONFIG)
    resting = rig.working()
    rig.venue.healthy = False
    for _ in range(3):
        fail(rig)
    with pytest.raises(NetworkError, match="circuit breaker"):
        rig.run(rig.engine.modify_order(resting.id, price_i=4_000))
    assert (resting.status, resting.price_i) == (S.WORKING, 5_000)


def test_health_checks_close_it(make_rig):
    rig = make_rig(CONFIG)
    rig.venue.healthy = False
    for _ in range(3):
        fail(rig)
    rig.runtime.drain(rig.runtime.now_ns() + 10 * NS_PER_S)
    assert not rig.engine.healthy("polymarket")
    rig.venue.healthy = True
    rig.runtime.drain(rig.runtime.now_ns() + 4 * NS_PER_S)
    assert rig.engine.healthy("polymarket")
    rig.working()


def test_it_may_open_again_while_a_health_check_of_the_last_time_is_still_due(make_rig):
    rig = make_rig(CONFIG)
    resting = rig.working()
    rig.venue.healthy = False
    for _ in range(3):
        fail(rig)
    assert rig.run(rig.engine.cancel_order(resting.id)).cancelled
    for _ in range(3):
        fail(rig)
    rig.runtime.drain(rig.runtime.now_ns() + 10 * NS_PER_S)
    assert not rig.engine.healthy("polymarket")
    rig.venue.healthy = True
    rig.runtime.drain(rig.runtime.now_ns() + 5 * NS_PER_S)
    assert rig.engine.healthy("polymarket")


def test_a_refusal_is_an_answer_and_starts_the_count_again(make_rig):
    rig = make_rig(CONFIG)
    fail(rig)
    fail(rig)
    fail(rig, VenueError("polymarket", "400", "not enough balance"))
    fail(rig)
    fail(rig)
    assert rig.engine.healthy("polymarket")


def test_silence_and_unreadable_answers_count(make_rig):
    rig = make_rig(CONFIG)
    fail(rig, InvalidResponse("polymarket", "json", "what?"))
    fail(rig, InvalidResponse("polymarket", "json", "what?"))
    rig.venue.answers.append(Silence())
    with pytest.raises(NetworkError):
        rig.run(rig.engine.submit_order(rig.order()))
    assert not rig.engine.healthy("polymarket")


def test_every_state_has_a_row_and_the_rest_is_an_error_of_ours():
    assert set(BREAKER) == set(BreakerState)
    with pytest.raises(InternalError):
        step(BreakerState.CLOSED, BreakerEvent.PROBE)
