"""Every call of the CLOB that a trading gateway makes: method, path and login; requests are made of them and found by them.

Source: polymarket.md sections 5, 6 and 13. The client builds a `Request` by `request`, our server finds the call of one by
`match`: the same table on both sides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import quote, unquote, urlencode

from execsim.ports import Request
from execsim_polymarket.auth import ApiKey

JSON: Final = {"Content-Type": "application/json"}


class Login(StrEnum):
    """What a call must prove: nothing, the key (L1), or the API secret (L2)."""

    NONE = "none"
    L1 = "l1"
    L2 = "l2"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One call. A path that ends in `/{}` takes a name there."""

    method: str
    path: str
    login: Login = Login.NONE


CREATE_KEY: Final = Endpoint("POST", "/auth/api-key", Login.L1)
DERIVE_KEY: Final = Endpoint("GET", "/auth/derive-api-key", Login.L1)
LIST_KEYS: Final = Endpoint("GET", "/auth/api-keys", Login.L2)
DELETE_KEY: Final = Endpoint("DELETE", "/auth/api-key", Login.L2)
CLOSED_ONLY: Final = Endpoint("GET", "/auth/ban-status/closed-only", Login.L2)

POST_ORDER: Final = Endpoint("POST", "/order", Login.L2)
POST_ORDERS: Final = Endpoint("POST", "/orders", Login.L2)
CANCEL_ORDER: Final = Endpoint("DELETE", "/order", Login.L2)
CANCEL_ORDERS: Final = Endpoint("DELETE", "/orders", Login.L2)
CANCEL_ALL: Final = Endpoint("DELETE", "/cancel-all", Login.L2)
CANCEL_MARKET: Final = Endpoint("DELETE", "/cancel-market-orders", Login.L2)
GET_ORDER: Final = Endpoint("GET", "/data/order/{}", Login.L2)
GET_ORDERS: Final = Endpoint("GET", "/data/orders", Login.L2)
GET_TRADES: Final = Endpoint("GET", "/data/trades", Login.L2)
GET_BALANCE: Final = Endpoint("GET", "/balance-allowance", Login.L2)
UPDATE_BALANCE: Final = Endpoint("GET", "/balance-allowance/update", Login.L2)
GET_SCORING: Final = Endpoint("GET", "/order-scoring", Login.L2)
GET_SCORINGS: Final = Endpoint("POST", "/orders-scoring", Login.L2)
GET_NOTIFICATIONS: Final = Endpoint("GET", "/notifications", Login.L2)
DROP_NOTIFICATIONS: Final = Endpoint("DELETE", "/notifications", Login.L2)
HEARTBEAT: Final = Endpoint("POST", "/v1/heartbeats", Login.L2)
OLD_HEARTBEAT: Final = Endpoint("POST", "/heartbeats", Login.L2)
GET_REBATES: Final = Endpoint("GET", "/rebates/current")
GET_BUILDER_FEES: Final = Endpoint("GET", "/fees/builder-fees/{}")

OK: Final = Endpoint("GET", "/ok")
TIME: Final = Endpoint("GET", "/time")
VERSION: Final = Endpoint("GET", "/version")

GET_BOOK: Final = Endpoint("GET", "/book")
GET_BOOKS: Final = Endpoint("POST", "/books")
GET_MIDPOINT: Final = Endpoint("GET", "/midpoint")
GET_MIDPOINTS: Final = Endpoint("POST", "/midpoints")
GET_PRICE: Final = Endpoint("GET", "/price")
GET_PRICES: Final = Endpoint("POST", "/prices")
GET_SPREAD: Final = Endpoint("GET", "/spread")
GET_SPREADS: Final = Endpoint("POST", "/spreads")
GET_LAST_TRADE: Final = Endpoint("GET", "/last-trade-price")
GET_LAST_TRADES: Final = Endpoint("POST", "/last-trades-prices")
GET_TICK_SIZE: Final = Endpoint("GET", "/tick-size")
GET_NEG_RISK: Final = Endpoint("GET", "/neg-risk")
GET_FEE_RATE: Final = Endpoint("GET", "/fee-rate")
GET_MARKET_BY_TOKEN: Final = Endpoint("GET", "/markets-by-token/{}")
GET_CLOB_MARKET: Final = Endpoint("GET", "/clob-markets/{}")
GET_MARKETS: Final = Endpoint("GET", "/markets")
GET_MARKET: Final = Endpoint("GET", "/markets/{}")
GET_SAMPLING_MARKETS: Final = Endpoint("GET", "/sampling-markets")
GET_SIMPLIFIED_MARKETS: Final = Endpoint("GET", "/simplified-markets")
GET_SAMPLING_SIMPLIFIED: Final = Endpoint("GET", "/sampling-simplified-markets")
GET_PRICE_HISTORY: Final = Endpoint("GET", "/prices-history")


def topic(endpoint: Endpoint) -> str:
    """What the venue's limits call it (limits.DOOR): the path, but for logins and cancels that share one with others."""
    name = endpoint.path.strip("/").removesuffix("/{}")
    if name.startswith("auth/"):
        return "auth"
    return "orders/cancel" if endpoint is CANCEL_ORDERS else name


ENDPOINTS: Final = tuple(value for value in list(globals().values()) if isinstance(value, Endpoint))
"""All of them."""
_BY_PATH: Final = {(endpoint.method, endpoint.path): endpoint for endpoint in ENDPOINTS}


def request(
    endpoint: Endpoint, *, name: str = "", query: Mapping[str, str | int] | None = None, body: bytes = b"",
    headers: Mapping[str, str] | None = None, key: ApiKey | None = None, now_s: int = 0,
) -> Request:  # fmt: skip
    """One request. L2 calls need `key` and the time; L1 calls the `headers` of `Account.login_headers`.

    The signature covers path and body, not the query."""
    path = endpoint.path.format(quote(name, safe=""))
    signed: dict[str, str] = dict(headers or {})
    if endpoint.login is Login.L2:
        assert key is not None, f"{endpoint.path} needs the API key"
        signed |= key.headers(now_s, endpoint.method, path, body)
    if body:
        signed |= JSON
    return Request(endpoint.method, f"{path}?{urlencode(query)}" if query else path, signed, body)


def match(method: str, path: str) -> tuple[Endpoint, str] | None:
    """The call a request makes, and the name in its path ("" if it takes none); None for what the venue does not have.
    `path` without host and query."""
    found = _BY_PATH.get((method, path))
    if found is not None and "{}" not in found.path:
        return found, ""
    head, _, name = path.rpartition("/")
    found = _BY_PATH.get((method, f"{head}/{{}}"))
    return (found, unquote(name)) if found is not None and name else None
