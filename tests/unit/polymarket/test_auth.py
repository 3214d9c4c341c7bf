"""L1 and L2, byte for byte as the official clients do it, and what must not pass."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from eth_account import Account as Referee
from hypothesis import given
from hypothesis import strategies as st
from polymarket_golden import load, order_cases

from execsim.core.errors import ValidationError
from execsim_polymarket.auth import (
    ADDRESS,
    API_KEY,
    ATTESTATION,
    NONCE,
    PASSPHRASE,
    SIGNATURE,
    TIMESTAMP,
    ApiKey,
    check_login,
    login_digest,
    login_hash,
)
from execsim_polymarket.domains import login_separator
from execsim_polymarket.sign import Account, PrivateKey

L1 = load("l1_clob_auth")["cases"]
L2 = load("l2_hmac")
REQUESTS = load("http_requests")
EOA = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
Headers = dict[str, str]


def key_of(secret: str) -> ApiKey:
    return ApiKey(EOA, "key", secret, "pass")


@pytest.mark.parametrize("case", L1, ids=lambda case: f"{case['chain_id']}-{case['timestamp_s']}-{case['nonce']}")
def test_a_login_is_signed_as_the_official_clients_sign_it(case: dict[str, Any]) -> None:
    chain, seconds, nonce = case["chain_id"], case["timestamp_s"], case["nonce"]
    account = Account(PrivateKey(case["private_key"]), chain_id=chain)
    assert "0x" + login_separator(chain).hex() == case["domain_separator"]
    assert "0x" + login_hash(account.key.address, str(seconds), nonce).hex() == case["struct_hash"]
    assert "0x" + login_digest(account.key.address, str(seconds), nonce, chain).hex() == case["digest"]
    assert account.login_headers(seconds, nonce) == case["headers"]
    assert check_login(case["headers"], chain) == case["address"]


@pytest.mark.parametrize("change", [
    {TIMESTAMP: "1790000001"}, {NONCE: "1"}, {ADDRESS: "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"}, {SIGNATURE: "0x"},
    {SIGNATURE: "zz"}, {NONCE: "x"}, {NONCE: "-1"}, {NONCE: str(2**256)}, {ADDRESS: "me"}, {ADDRESS: ""}, {TIMESTAMP: ""},
])  # fmt: skip
def test_a_changed_login_is_refused(change: Headers) -> None:
    good = L1[0]["headers"]
    assert check_login(good, 137) == EOA
    assert check_login(good | change, 137) is None


def test_a_login_of_another_chain_or_without_headers_is_refused() -> None:
    assert check_login(L1[0]["headers"], 80002) is None
    for name in (ADDRESS, SIGNATURE, TIMESTAMP):
        assert check_login({key: value for key, value in L1[0]["headers"].items() if key != name}, 137) is None


def test_every_flipped_bit_of_a_login_is_seen() -> None:
    headers = L1[0]["headers"]
    signature = bytes.fromhex(headers[SIGNATURE][2:])
    for bit in range(len(signature) * 8):
        changed = bytearray(signature)
        changed[bit // 8] ^= 1 << bit % 8
        assert check_login(headers | {SIGNATURE: "0x" + changed.hex()}, 137) is None, bit


@given(st.integers(1, 2**200), st.integers(0, 2**40), st.integers(0, 2**256 - 1), st.sampled_from([137, 80002]))
def test_eth_account_signs_the_same_login(secret: int, seconds: int, nonce: int, chain: int) -> None:
    raw = secret.to_bytes(32, "big")
    kinds = [("address", "address"), ("timestamp", "string"), ("nonce", "uint256"), ("message", "string")]
    domain = [("name", "string"), ("version", "string"), ("chainId", "uint256")]
    referee = Referee.sign_typed_data(raw, full_message={
        "types": {
            "EIP712Domain": [{"name": name, "type": kind} for name, kind in domain],
            "ClobAuth": [{"name": name, "type": kind} for name, kind in kinds],
        },
        "primaryType": "ClobAuth",
        "domain": {"name": "ClobAuthDomain", "version": "1", "chainId": chain},
        "message": {
            "address": Referee.from_key(raw).address, "timestamp": str(seconds), "nonce": nonce, "message": ATTESTATION,
        },
    })  # fmt: skip
    headers = Account(PrivateKey(raw), chain_id=chain).login_headers(seconds, nonce)
    assert headers[SIGNATURE] == "0x" + referee.signature.hex()
    assert check_login(headers, chain) == Referee.from_key(raw).address


@pytest.mark.parametrize(
    "case", L2["cases"], ids=lambda case: f"{case['timestamp_s']}-{case['method']}{case['path'][:20]}"
)
def test_a_request_is_signed_as_the_official_clients_sign_it(case: dict[str, Any]) -> None:
    body = (case["body"] or "").encode()
    key = key_of(case["secret"])
    assert key.sign(case["timestamp_s"], case["method"], case["path"], body) == case["signature"]
    headers = key.headers(case["timestamp_s"], case["method"], case["path"], body)
    assert headers[SIGNATURE] == case["signature"]
    assert key.check(headers, case["method"], case["path"], body)


def test_both_forms_of_a_body_with_a_quote_are_accepted_and_ours_is_signed_as_sent() -> None:
    case = L2["single_quote_difference"]
    key, body = key_of(case["secret"]), case["body"].encode()
    headers = key.headers(case["timestamp_s"], case["method"], case["path"], body)
    assert headers[SIGNATURE] == case["signature_polymarket_client"] != case["signature_py_clob_client_v2"]
    for form in ("signature_py_clob_client_v2", "signature_polymarket_client"):
        assert key.check(headers | {SIGNATURE: case[form]}, case["method"], case["path"], body)
    assert not key.check(headers, case["method"], case["path"], body.replace(b"s", b"z"))


def test_a_secret_without_its_padding_or_in_the_other_alphabet_is_the_same() -> None:
    case = L2["unpadded_secret"]
    for secret in (case["secret"], case["secret"] + "=", case["secret"].replace("-", "+").replace("_", "/")):
        assert key_of(secret).sign(case["timestamp_s"], case["method"], case["path"]) == case["signature"]


def test_the_headers_of_whole_requests() -> None:
    creds = REQUESTS["creds"]
    key = ApiKey(EOA, creds["api_key"], creds["api_secret"], creds["api_passphrase"])
    signed = [request for request in REQUESTS["requests"] if API_KEY in (request["headers"] or {})]
    posts = [case["post"] | {"headers": case["post"]["headers"]} for case in order_cases() if "headers" in case["post"]]
    assert (len(signed), len(posts)) == (17, 108)
    for request in signed:
        headers, body = request["headers"], (request["body"] or "").encode()
        assert key.headers(int(headers[TIMESTAMP]), request["method"], request["path"], body) == headers
        assert key.check(headers, request["method"], request["path"], body)
    for post in posts:
        signer = ApiKey(
            post["headers"][ADDRESS], *(creds[name] for name in ("api_key", "api_secret", "api_passphrase"))
        )
        assert (
            signer.headers(post["timestamp_s"], post["method"], post["path"], post["body"].encode()) == post["headers"]
        )


@pytest.mark.parametrize("change", [
    {ADDRESS: "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"}, {ADDRESS: "no"}, {SIGNATURE: ""}, {SIGNATURE: "\u00e9"},
    {TIMESTAMP: "8"}, {API_KEY: "other"}, {PASSPHRASE: "other"}, {PASSPHRASE: "\u00e9"},
])  # fmt: skip
def test_a_changed_request_is_refused(change: Headers) -> None:
    key = key_of(L2["cases"][0]["secret"])
    headers = key.headers(7, "DELETE", "/order", b'{"orderID":"0x1"}')
    assert key.check(headers, "DELETE", "/order", b'{"orderID":"0x1"}')
    assert key.check(headers | {ADDRESS: EOA.lower()}, "DELETE", "/order", b'{"orderID":"0x1"}')
    assert not key.check(headers | change, "DELETE", "/order", b'{"orderID":"0x1"}')
    for method, path, body in (("POST", "/order", b'{"orderID":"0x1"}'), ("DELETE", "/orders", b'{"orderID":"0x1"}'),
                               ("DELETE", "/order", b'{"orderID":"0x2"}'), ("DELETE", "/order", b"")):  # fmt: skip
        assert not key.check(headers, method, path, body)
    for name in headers:
        assert not key.check({k: v for k, v in headers.items() if k != name}, "DELETE", "/order", b'{"orderID":"0x1"}')


def test_credentials_do_not_show_themselves() -> None:
    key = ApiKey(EOA, "the-key", "c2VjcmV0", "the-pass")
    for text in (repr(key), str(key), f"{key}"):
        assert not any(secret in text for secret in ("the-key", "c2VjcmV0", "the-pass"))
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(key)
    with pytest.raises(ValidationError) as caught:
        ApiKey(EOA, "the-key", "not base64!", "the-pass")
    assert "not base64!" not in str(caught.value)
    assert key.subscription() == {"apiKey": "the-key", "secret": "c2VjcmV0", "passphrase": "the-pass"}
