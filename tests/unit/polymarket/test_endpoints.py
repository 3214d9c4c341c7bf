"""Calls: built as the official client builds them, and found again by the server."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from polymarket_golden import load

from execsim_polymarket.auth import ADDRESS, TIMESTAMP, ApiKey
from execsim_polymarket.endpoints import (
    CREATE_KEY,
    DELETE_KEY,
    ENDPOINTS,
    GET_CLOB_MARKET,
    GET_MARKET,
    GET_MARKETS,
    GET_ORDER,
    POST_ORDER,
    Login,
    match,
    request,
)

RECORDED = load("http_requests")


@pytest.mark.parametrize(
    "told", RECORDED["requests"], ids=lambda told: f"{told['call']}-{told['method']}{told['path'][:14]}"
)
def test_a_request_is_the_one_the_official_client_makes(told: dict[str, Any]) -> None:
    creds, headers = RECORDED["creds"], told["headers"] or {}
    found = match(told["method"], told["path"])
    assert found is not None
    endpoint, name = found
    assert endpoint.login is (Login.L2 if "POLY_API_KEY" in headers else Login.L1 if headers else Login.NONE)
    key = ApiKey(headers.get(ADDRESS, ""), creds["api_key"], creds["api_secret"], creds["api_passphrase"])
    ours = request(
        endpoint, name=name, query=told["params"], body=(told["body"] or "").encode(), key=key,
        headers=headers if endpoint.login is Login.L1 else None, now_s=int(headers.get(TIMESTAMP, 0)),
    )  # fmt: skip
    split = urlsplit(ours.path)
    assert (ours.method, split.path) == (told["method"], told["path"])
    assert parse_qs(split.query) == {name: [str(value)] for name, value in (told["params"] or {}).items()}
    assert {name: value for name, value in ours.headers.items() if name != "Content-Type"} == headers
    assert ours.body == (told["body"] or "").encode()
    assert ("Content-Type" in ours.headers) is bool(ours.body)


def test_calls_are_told_apart() -> None:
    assert len({(endpoint.method, endpoint.path) for endpoint in ENDPOINTS}) == len(ENDPOINTS) == 48
    assert match("POST", "/auth/api-key") == (CREATE_KEY, "")
    assert match("DELETE", "/auth/api-key") == (DELETE_KEY, "")
    assert match("GET", "/markets") == (GET_MARKETS, "")
    assert match("GET", "/markets/0x1") == (GET_MARKET, "0x1")
    assert match("GET", "/clob-markets/0x1") == (GET_CLOB_MARKET, "0x1")
    nothing = (
        "GET /order, PUT /order, GET /, GET , GET /data/order/, GET /data/order/{}/x, GET /data/order, post /order"
    )
    for method, _, path in (call.partition(" ") for call in f"{nothing}, GET /nothing/at/all".split(", ")):
        assert match(method, path) is None


@given(st.text(min_size=1, max_size=30))
def test_any_name_comes_back(name: str) -> None:
    sent = request(GET_ORDER, name=name, key=ApiKey("0x" + "1" * 40, "k", "c2VjcmV0", "p"), now_s=1)
    assert sent.path.isascii()
    assert "?" not in sent.path
    assert match("GET", sent.path) == (GET_ORDER, name)


def test_an_l2_call_without_a_key_is_a_mistake_of_the_program() -> None:
    with pytest.raises(AssertionError, match="/order needs the API key"):
        request(POST_ORDER, body=b"{}")
