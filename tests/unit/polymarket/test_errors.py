"""Every text of the sheet has its row and its error, and what nobody knows is never taken for a refusal it may not be."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from polymarket_golden import DATA

from execsim.core.errors import (
    AuthenticationError,
    ExecError,
    ExecTimeout,
    InvalidResponse,
    NetworkError,
    OrderNotFound,
    RateLimitExceeded,
    Reached,
    VenueError,
)
from execsim_polymarket.errors import ROWS, classify, error_of, key_of, refusal
from execsim_polymarket.plugin import TEXTS

ID = "0x" + "ab" * 32
SHEET = [
    (400, "Invalid order payload", "payload", VenueError),
    (400, "the order owner has to be the owner of the API KEY", "owner", VenueError),
    (400, "the order signer address has to be the address of the API KEY", "signer", VenueError),
    (400, "'0x12' address banned", "banned", VenueError),
    (400, "'0x12' address in closed only mode", "closed_only", VenueError),
    (400, "Too many orders in payload: 16, max allowed: 15", "batch", VenueError),
    (400, f"order {ID} is invalid. Price (0.523) breaks minimum tick size rule: 0.01", "tick", VenueError),
    (400, f"order {ID} is invalid. Size (4) lower than the minimum: 5", "size_min", VenueError),
    (400, f"order {ID} is invalid. Duplicated.", "duplicate", VenueError),
    (400, f"order {ID} crosses the book", "post_only_cross", VenueError),
    (400, "invalid post-only order: order crosses book", "post_only_cross", VenueError),
    (400, "invalid expiration", "expired", VenueError),
    (400, "not enough balance / allowance", "balance", VenueError),
    (400, "not enough balance / allowance: the balance is not enough -> balance: 1, sum of matched orders: 0, "
          "order amount (inc. fees): 2", "balance", VenueError),
    (400, "not enough balance / allowance: the allowance is not enough -> spender: 0xE1", "allowance", VenueError),
    (400, "order couldn't be fully filled. FOK orders are fully filled or killed.", "fok", VenueError),
    (400, "no orders found to match with FAK order. FAK orders are partially filled or killed if no match is found.",
     "ioc_no_match", VenueError),
    (400, "invalid amount for a marketable BUY order ($0.9982), min size: $1", "notional_min", VenueError),
    (400, "invalid amounts, the market buy orders maker amount supports a max accuracy of 2 decimals, "
          "taker amount a max of 4 decimals", "accuracy", VenueError),
    (400, "invalid amounts, the taker amount for a $0.22 order of size 19.69 should be '4.3318' but the value submited is "
          "'4.33'.", "accuracy", VenueError),
    (400, "order_version_mismatch", "version", VenueError),
    (400, "order canceled in the CTF exchange contract", "cancelled_on_chain", VenueError),
    (400, "order match delayed due to market conditions", "delayed", InvalidResponse),
    (400, "the market is not yet ready to process new orders", "not_ready", VenueError),
    (400, "maker address not allowed, please use the deposit wallet flow", "wallet", VenueError),
    (401, "Unauthorized/Invalid api key", "login", AuthenticationError),
    (401, "Invalid L1 Request headers", "login_l1", AuthenticationError),
    (404, "No orderbook exists for the requested token id", "unknown_market", VenueError),
    (404, "market not found", "unknown_market", VenueError),
    (425, "", "engine_restart", RateLimitExceeded),
    (429, "Too Many Requests", "rate_limit", RateLimitExceeded),
    (500, "order timed out", "timed_out", ExecTimeout),
    (500, "there are no matching orders", "ioc_no_match", VenueError),
    (500, "the trade contains rounding issues", "rounding", VenueError),
    (500, "could not insert order", "not_stored", InvalidResponse),
    (500, "could not run the execution", "not_run", InvalidResponse),
    (500, "Internal server error", "broken", InvalidResponse),
    (503, "Trading is currently disabled. Check polymarket.com for updates", "disabled", VenueError),
    (503, "Trading is currently cancel-only. New orders are not accepted, but cancels are allowed.", "cancel_only",
     VenueError),
    (503, "post-only mode: only post-only orders and cancels are allowed", "post_only_mode", VenueError),
    (503, "Service is not ready", "starting", NetworkError),
    (400, "INVALID_ORDER_MIN_TICK_SIZE", "tick", VenueError),
    (400, "INVALID_ORDER_MIN_SIZE", "size_min", VenueError),
    (400, "INVALID_ORDER_DUPLICATED", "duplicate", VenueError),
    (400, "INVALID_ORDER_NOT_ENOUGH_BALANCE", "balance", VenueError),
    (400, "INVALID_ORDER_EXPIRATION", "expired", VenueError),
    (400, "INVALID_ORDER_ERROR", "invalid", VenueError),
    (400, "INVALID_POST_ONLY_ORDER_TYPE", "post_only_kind", VenueError),
    (400, "INVALID_POST_ONLY_ORDER", "post_only_cross", VenueError),
    (400, "EXECUTION_ERROR", "not_run", InvalidResponse),
    (400, "ORDER_DELAYED", "delayed", InvalidResponse),
    (400, "DELAYING_ORDER_ERROR", "delayed", InvalidResponse),
    (400, "FOK_ORDER_NOT_FILLED_ERROR", "fok", VenueError),
    (400, "MARKET_NOT_READY", "not_ready", VenueError),
    (400, "Invalid token id", "query", VenueError),
    (400, "Invalid side", "query", VenueError),
    (400, "Invalid payload", "payload", VenueError),
    (400, "Payload exceeds the limit", "payload", VenueError),
    (400, "Invalid orderID", "query", VenueError),
    (400, "invalid order params payload", "payload", VenueError),
    (403, "error code: 1020", "geoblock", VenueError),
    (400, "something new", "unknown", VenueError),
]  # fmt: skip
REACHED = {
    VenueError: Reached.YES, AuthenticationError: Reached.YES, InvalidResponse: Reached.UNKNOWN, NetworkError: Reached.NO,
    ExecTimeout: Reached.NO, RateLimitExceeded: Reached.NO,
}  # fmt: skip


@pytest.mark.parametrize(("status", "text", "key", "kind"), SHEET)
def test_a_text_has_its_error(status: int, text: str, key: str, kind: type[ExecError]) -> None:
    error = refusal(status, {}, json.dumps({"error": text}).encode())
    assert classify(status, text).key == key
    assert type(error) is kind
    assert error.reached is REACHED[kind]
    assert error.retryable is (kind in (NetworkError, ExecTimeout, RateLimitExceeded))
    assert text in str(error)
    assert type(error)(*error.args).args == error.args
    if isinstance(error, VenueError) or key == "rate_limit":
        assert key_of(error) == key


@pytest.mark.parametrize(("headers", "ns"), [({}, 1_500_000_000), ({"Retry-After": "4"}, 4 * 10**9)])
def test_a_restarting_engine_is_left_alone_for_a_while(headers: dict[str, str], ns: int) -> None:
    error = refusal(425, headers, b'{"error":"restarting"}')
    assert isinstance(error, RateLimitExceeded)
    assert error.retry_after_ns == ns


def test_every_row_has_a_text() -> None:
    assert {row.key for row in ROWS} == {key for _, _, key, _ in SHEET} - {"unknown", "broken"}


def test_the_simulated_venue_says_the_same() -> None:
    """The texts of the plugin's profile, which the simulated exchange answers with, have the rows of their names."""
    named = {"price_range": "tick", "size_step": "accuracy", "expiry_min": "expired", "market_closed": "disabled"}
    for name, (code, text) in TEXTS.items():
        if code != "200":
            assert classify(int(code), text.replace("{id}", ID).replace("{order_id}", ID)).key == named.get(name, name)


def test_an_entry_of_a_batch_has_the_same_errors() -> None:
    assert key_of(error_of(200, f"order {ID} is invalid. Duplicated.")) == "duplicate"
    assert type(error_of(200, "could not run the execution")) is InvalidResponse
    assert type(error_of(200, "new text")) is VenueError


@pytest.mark.parametrize(("headers", "body", "ns"), [
    ({"Retry-After": "2"}, b"Too Many Requests", 2 * 10**9), ({"retry-after": "1.5"}, b"", 15 * 10**8),
    ({}, b'{"error":"slow down","retry_after_seconds":79}', 79 * 10**9), ({"retry-after": "soon"}, b"", 0),
    ({"retry-after": "9" * 30}, b"", 0), ({"retry-after": "-1"}, b"", 0), ({}, b"\xff\xfe", 0),
])  # fmt: skip
def test_how_long_to_wait(headers: dict[str, str], body: bytes, ns: int) -> None:
    error = refusal(429, headers, body)
    assert isinstance(error, RateLimitExceeded)
    assert (error.args[0], error.retry_after_ns) == ("polymarket", ns)


def test_a_wrong_heartbeat_says_error_msg() -> None:
    error = refusal(400, {}, b'{"error_msg":"Invalid heartbeat id","heartbeat_id":"u"}')
    assert isinstance(error, VenueError)
    assert error.args == ("polymarket", "400", "Invalid heartbeat id")


def test_the_recorded_500() -> None:
    body = (DATA / "polymarket_messages/nautilus/http_order_response_error_500.json").read_bytes()
    error = refusal(500, {}, body)
    assert type(error) is InvalidResponse
    assert error.reached is Reached.UNKNOWN


def test_a_page_of_html_is_kept_as_text() -> None:
    error = refusal(502, {}, b"<html>Bad gateway</html>")
    assert error.reached is Reached.UNKNOWN
    assert "<html>Bad gateway" in str(error)
    assert "HTTP 400" in str(refusal(400, {}, b""))


@pytest.mark.parametrize("status", [201, 202, 204, 302, 307, 400, 404, 408, 409])
def test_an_answer_that_is_no_refusal_leaves_the_fate_of_an_order_open(status: int) -> None:
    error = refusal(status, {}, b'{"success":true,"orderID":"0xabc","status":"live"}')
    assert (type(error), error.reached) == (InvalidResponse, Reached.UNKNOWN)


def test_errors_of_others_have_no_key() -> None:
    assert key_of(OrderNotFound("o", "")) == ""
    assert key_of(RateLimitExceeded("ours", "full", 0)) == ""
    assert key_of(InvalidResponse("polymarket", "unreadable", "x")) == ""


@given(st.integers(400, 599), st.binary(max_size=200))
def test_any_answer_has_an_error_and_no_5xx_of_unknown_text_is_a_refusal(status: int, body: bytes) -> None:
    error = refusal(status, {}, body)
    assert isinstance(error, ExecError)
    assert str(error)
    if status >= 500 and classify(status, body.decode(errors="replace")).key == "broken":
        assert error.reached is Reached.UNKNOWN
