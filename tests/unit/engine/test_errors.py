"""Every error class, produced by something a user can do: what it says, whether it may be tried again, what it reached."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import execsim
from execsim.core import errors
from execsim.core.errors import (
    AuthenticationError,
    ConfigError,
    DataError,
    ExecError,
    ExecTimeout,
    InternalError,
    InvalidOrderState,
    InvalidResponse,
    JournalError,
    NetworkError,
    OrderNotFound,
    RateLimitExceeded,
    Reached,
    RiskRejected,
    ValidationError,
    VenueError,
    VenueNotSupported,
)
from execsim.core.order import OrderStatus as S
from execsim.engine import EngineConfig, KillSwitch, RateLimiterConfig, RetryConfig, RiskEngine, RouteConfig
from execsim.journal import SqliteJournal
from execsim.scenario.model import load
from execsim.tape.store import load_manifest
from execsim.testing.mock_venue import Refuse, Silence

ONCE = EngineConfig(calls=RouteConfig(retry=RetryConfig(attempts_max=1)))


def submits(rig: Any, *answers: Any, **changes: Any) -> Any:
    rig.venue.answers.extend(answers)
    order = rig.order(**changes)
    rig.run(rig.engine.submit_order(order))
    return order


def validation(rig: Any, tmp: Path) -> None:
    submits(rig, price="0.505")


def risk(rig: Any, tmp: Path) -> None:
    rig.engine.set_risk_engine(RiskEngine([KillSwitch(True)]))
    submits(rig)


def our_limit(rig: Any, tmp: Path) -> None:
    limiter = execsim.RateLimiter(RateLimiterConfig("1", 1), rig.runtime, "polymarket orders")
    limiter.try_check()
    limiter.try_check()


def their_limit(rig: Any, tmp: Path) -> None:
    submits(rig, Refuse(RateLimitExceeded("polymarket", "Too Many Requests", 5 * 10**9)))


def venue(rig: Any, tmp: Path) -> None:
    submits(rig, Refuse(VenueError("polymarket", "400", "not enough balance / allowance")))


def authentication(rig: Any, tmp: Path) -> None:
    submits(rig, Refuse(AuthenticationError("polymarket", "401", "Unauthorized/Invalid api key")))


def unreadable(rig: Any, tmp: Path) -> None:
    async def odd(order: Any) -> None:
        raise KeyError("orderID")

    async def ask(order: Any) -> Any:
        return await rig.engine.submit_batch([order, rig.order()])

    rig.venue.place_batch = odd
    (first, _) = rig.run(ask(rig.order()))
    assert rig.engine.get_active_orders()[0].status is S.UNKNOWN
    raise first.error


def bug(rig: Any, tmp: Path) -> None:
    async def odd(order: Any) -> None:
        raise KeyError("orderID")

    rig.venue.place_order = odd
    submits(rig)


def network(rig: Any, tmp: Path) -> None:
    submits(rig, Refuse(NetworkError("polymarket", "connection reset", "unknown")))


def refused_connection(rig: Any, tmp: Path) -> None:
    submits(rig, Refuse(NetworkError("polymarket", "connection refused", "no")))


def timed_out(rig: Any, tmp: Path) -> None:
    submits(rig, Silence(10**9))


def not_found(rig: Any, tmp: Path) -> None:
    rig.run(rig.engine.cancel_order(execsim.OrderId("nobody")))


def not_supported(rig: Any, tmp: Path) -> None:
    rig.run(rig.engine.cancel_all(venue="nasdaq"))


def state(rig: Any, tmp: Path) -> None:
    order = rig.working()
    rig.run(rig.engine.cancel_order(order.id))
    rig.run(rig.engine.modify_order(order.id, price_i=4_900))


def config(rig: Any, tmp: Path) -> None:
    (tmp / "s.toml").write_text("sed = 1\n")
    load(tmp / "s.toml")


def data(rig: Any, tmp: Path) -> None:
    load_manifest(tmp / "nowhere")


def journal(rig: Any, tmp: Path) -> None:
    SqliteJournal(tmp / "j.sqlite").close()
    SqliteJournal(tmp / "j.sqlite")


Case = tuple[Callable[[Any, Path], None], type[ExecError], bool, Reached, str]
CASES: list[Case] = [
    (validation, ValidationError, False, Reached.NO, r"0\.505.*tick.*\(rule tick\)"),
    (risk, RiskRejected, False, Reached.NO, r"refused by risk \(KillSwitch\)"),
    (our_limit, RateLimitExceeded, True, Reached.NO, r"rate limit \(ours\): polymarket orders allows 1/s.*in 1\.000 s"),
    (their_limit, RateLimitExceeded, True, Reached.NO, r"rate limit \(polymarket\): Too Many Requests; retry in 5\.000 s"),
    (venue, VenueError, False, Reached.YES, r"polymarket: not enough balance / allowance \[400\]"),
    (authentication, AuthenticationError, False, Reached.YES, r"polymarket: Unauthorized/Invalid api key \[401\]"),
    (unreadable, InvalidResponse, False, Reached.UNKNOWN, r"place_batch of the polymarket adapter raised KeyError"),
    (bug, InternalError, False, Reached.NO, r"place_order of the polymarket adapter raised KeyError: 'orderID'"),
    (network, NetworkError, True, Reached.UNKNOWN, r"polymarket: connection reset \(reached: unknown\)"),
    (refused_connection, NetworkError, True, Reached.NO, r"polymarket: connection refused \(reached: no\)"),
    (timed_out, ExecTimeout, True, Reached.UNKNOWN, r"polymarket: no answer \(reached: unknown\)"),
    (not_found, OrderNotFound, False, Reached.NO, r"order nobody is not known"),
    (not_supported, VenueNotSupported, False, Reached.NO, r"venue 'nasdaq' is not supported; known venues: polymarket"),
    (state, InvalidOrderState, False, Reached.NO, r"modify is impossible in state cancelled"),
    (config, ConfigError, False, Reached.NO, r"s\.toml.*sed"),
    (data, DataError, False, Reached.NO, r"nowhere"),
    (journal, JournalError, False, Reached.NO, r"j\.sqlite.*exists already"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("act", "kind", "retryable", "reached", "says"), CASES, ids=[case[0].__name__ for case in CASES]
)
def test_an_error_says_what_happened_and_what_may_be_done(make_rig, tmp_path, act, kind, retryable, reached, says):
    rig = make_rig(ONCE)
    with pytest.raises(kind, match=says) as caught:
        act(rig, tmp_path)
    error = caught.value
    assert type(error) is kind
    assert (error.retryable, error.reached) == (retryable, reached)
    assert error.is_rate_limit is (kind is RateLimitExceeded)
    assert error.is_risk_rejection is (kind is RiskRejected)
    again = type(error)(*error.args)
    assert (str(again), again.reached) == (str(error), error.reached)
    # what nobody answered is unknown, and only what they refused is rejected
    for order in rig.engine.order_tracker.get_all_orders():
        if kind not in (InvalidOrderState, JournalError):
            unknown = reached is Reached.UNKNOWN or kind is InternalError
            assert order.status is (S.UNKNOWN if unknown else S.REJECTED)


def test_no_class_is_left_out():
    def below(kind: type[ExecError]) -> set[type[ExecError]]:
        return {kind}.union(*(below(child) for child in kind.__subclasses__()))

    ours = {kind for kind in below(ExecError) if kind.__module__ == errors.__name__}
    assert ours - {ExecError} == {case[1] for case in CASES}
