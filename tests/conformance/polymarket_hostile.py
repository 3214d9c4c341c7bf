"""Anything a client may send to the venue, for hypothesis: the same generators in memory and over real sockets."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st
from polymarket_worlds import Bot

from execsim_polymarket import endpoints as ep
from execsim_polymarket.sign import SignedOrder

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = ["salt", "maker", "signer", "tokenId", "makerAmount", "takerAmount", "side", "expiration", "signatureType",
          "timestamp", "metadata", "builder", "signature"]  # fmt: skip
CALLS = [endpoint for endpoint in ep.ENDPOINTS if endpoint.login is not ep.Login.L1]
VALUES = JSON | st.sampled_from(["0", "1", "-1", "0x", "0x" + "00" * 20, "9" * 77, "9" * 90, "BUY", "SELL"])
QUERIES = st.dictionaries(
    st.sampled_from(
        ["token_id", "side", "id", "market", "asset_id", "next_cursor", "before", "after", "asset_type", "order_id",
         "ids", "interval", "startTs", "endTs", "fidelity"]
    ),
    st.sampled_from(
        ["", "0", "MA==", "LTE=", "LTI=", "x", "9" * 15, "9" * 90, "COLLATERAL", "CONDITIONAL", "BUY", "1,2", "max",
         "\u0662"]
    ),
    max_size=4,
)  # fmt: skip
"""Of a query; a test adds the names of its own market."""
CHANGES = st.lists(st.tuples(st.sampled_from(FIELDS), VALUES), max_size=12)
"""Fields of a signed order, and what to write there instead."""
OUTER = st.lists(
    st.tuples(st.sampled_from(["owner", "orderType", "deferExec", "postOnly", "order"]), VALUES), max_size=3
)
ASKED = st.lists(
    st.tuples(st.sampled_from(CALLS), st.one_of(st.none(), JSON, st.binary(max_size=20)), QUERIES, st.text(max_size=9)),
    max_size=12,
)
"""(endpoint, body, query, name)"""


def _frame(value: Any) -> bytes:
    return json.dumps(value).encode()


async def tamper(bot: Bot, signed: SignedOrder, changes: Any, outer: Any, calls: Any) -> list[Any]:
    """Post the order with fields changed (CHANGES, OUTER), and ask (ASKED): each is answered, never with an error of the
    server's own; what was said to the questions."""
    for name, value in changes:
        body = bot.body(signed)
        body["order"][name] = value
        status, answer = await bot.post(body)
        same = status == 200 and answer["orderID"] == signed.order_id_hex  # another way to write what was signed
        assert status in (400, 404) or same, (name, value, answer)
    for name, value in outer:
        status, answer = await bot.post({**bot.body(signed), name: value})
        assert status in (200, 400), (name, value, answer)
    told = []
    for endpoint, body, query, name in calls:
        status, answer = await bot.ask(endpoint, body, query=query or None, name=name or "x")
        assert status < 500, (endpoint, body, answer)
        told.append((answer, endpoint, body))
    return told


SUBSCRIPTIONS = st.fixed_dictionaries(
    {"type": st.sampled_from(["market", "user", "x", 5])},
    optional={
        "assets_ids": st.lists(VALUES, max_size=3) | JSON,
        "markets": JSON,
        "auth": st.fixed_dictionaries({}, optional={"apiKey": VALUES, "secret": VALUES, "passphrase": VALUES}) | JSON,
        "operation": st.sampled_from(["subscribe", "unsubscribe", "x"]),
        "custom_feature_enabled": JSON,
        "initial_dump": JSON,
    },
)
FRAMES = st.lists(st.binary(max_size=20) | JSON.map(_frame) | SUBSCRIPTIONS.map(_frame), max_size=6)

# ---------------------------------------------------------------------------------------------------- below HTTP
HEADS = st.sampled_from(
    [b"POST /order HTTP/1.1", b"GET /time HTTP/1.1", b"GET  HTTP/1.1", b"get /time http/1.1", b"GET /time HTTP/9.9",
     b"GET /time", b"GET http://x/time HTTP/1.1", b"GET /\xff HTTP/1.1", b"GET /%00%ff HTTP/1.1", b"DELETE * HTTP/1.1",
     b"GET /" + b"a" * 9_000 + b" HTTP/1.1", b"GET /ws/user HTTP/1.1", b"PRI * HTTP/2.0", b"\x16\x03\x01\x02\x00"]
)  # fmt: skip
LINES = st.sampled_from(
    [b"host: x", b"Content-Length: 5", b"Content-Length: 6", b"Content-Length: -1", b"Content-Length: 5, 5",
     b"Content-Length: 99999999999999999999", b"Content-Length: x", b"Transfer-Encoding: chunked",
     b"Transfer-Encoding: gzip", b"Expect: 100-continue", b"Connection: upgrade", b"Upgrade: websocket",
     b"Sec-WebSocket-Key: x", b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", b"Sec-WebSocket-Version: 13", b"no colon",
     b" folded", b"POLY_ADDRESS: \xff", b"POLY_NONCE: " + b"9" * 5_000, b"X: " + b"y" * 9_000]
)  # fmt: skip
BODIES = st.sampled_from([b"", b"{", b"hello", b"hello!", b"5\r\nhello\r\n0\r\n\r\n", b"fffffffffff\r\n", b"-1\r\n"])
RAW = st.one_of(
    st.binary(min_size=1, max_size=80),
    st.builds(
        lambda head, lines, body: b"\r\n".join([head, *lines]) + b"\r\n\r\n" + body,
        HEADS, st.lists(LINES, max_size=6), BODIES,
    ),
)  # fmt: skip
"""Bytes of one connection, whole requests or not."""
