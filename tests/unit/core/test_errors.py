"""Errors rebuild from their args and answer the three questions."""

from __future__ import annotations

import pickle

import pytest

from execsim.core import errors as e

SAMPLES = [
    e.ConfigError("seed -1", "use 0 or more"), e.InvalidOrderState("o1", "filled", "send"),
    e.VenueNotSupported("mars", "binance, polymarket"), e.OrderNotFound("o1", ""), e.InternalError("bug"),
    e.ValidationError("size_min", "size 3 is below 5", "raise it"), e.RiskRejected(("PositionLimit",), "200 > 150"),
    e.RateLimitExceeded("ours", "10/s", 5_000_000), e.VenueError("polymarket", "400", "no"),
    e.AuthenticationError("polymarket", "401", "key"), e.InvalidResponse("polymarket", "", "<html>"),
    e.NetworkError("binance", "reset"), e.ExecTimeout("binance", "no answer", e.Reached.NO),
    e.DataError("f.csv:3", "size -1 is negative", "fix the row"), e.JournalError("j.sqlite", "disk full"),
]  # fmt: skip


@pytest.mark.parametrize("error", SAMPLES, ids=lambda x: type(x).__name__)
def test_rebuilds_from_args_and_pickles(error: e.ExecError) -> None:
    again = type(error)(*error.args)
    assert (again.args, str(again)) == (error.args, str(error))
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert str(error)
    assert "\n" not in str(error)


def test_every_class_is_sampled() -> None:
    classes = {c for c in vars(e).values() if isinstance(c, type) and issubclass(c, e.ExecError)} - {e.ExecError}
    assert {type(s) for s in SAMPLES} == classes


def test_who_may_retry_and_what_is_known() -> None:
    by = {type(s).__name__: s for s in SAMPLES}
    assert {n for n, s in by.items() if s.retryable} == {"RateLimitExceeded", "NetworkError", "ExecTimeout"}
    assert by["VenueError"].reached is e.Reached.YES
    assert by["InvalidResponse"].reached is e.Reached.UNKNOWN
    assert by["NetworkError"].reached is e.Reached.UNKNOWN
    assert by["ExecTimeout"].reached is e.Reached.NO
    assert by["RiskRejected"].is_risk_rejection
    assert by["RateLimitExceeded"].is_rate_limit
    assert "retry in 0.005 s" in str(by["RateLimitExceeded"])


def test_a_result_is_a_value_or_raises() -> None:
    assert e.ExecResult(3).value == 3
    failed: e.ExecResult[int] = e.ExecResult(error=e.ConfigError("x", ""))
    assert not failed.ok
    with pytest.raises(e.ConfigError):
        _ = failed.value
