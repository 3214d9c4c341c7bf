"""A transport that holds the secrets, so that the adapter, and with it a session's record, holds none.

    adapter ──unsigned──▶ SessionTransport (recorded) ──▶ SigningTransport ──signed──▶ sockets

The adapter sends requests with holes, and this fills them on the way out:

    POLY_NONCE in the headers          L1: the login is signed; the answer's secret and passphrase stay here
    POLY_ADDRESS in the headers        L2: POLY_SIGNATURE, POLY_API_KEY, POLY_PASSPHRASE
    an order whose signature is empty  signed, and its `owner` filled in
    the user channel's first frame     its `auth`

So a recorded session can be replayed, byte for byte, by somebody who has no key, and no journal can leak one. An order's id
needs no key: it is the hash of the order (`Identity.draft`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from execsim.core.errors import AuthenticationError, ConfigError, InvalidResponse, ValidationError
from execsim.core.order import Side
from execsim.ports import Credentials, FrameStream, Request, Response, Transport
from execsim_polymarket.auth import ADDRESS, NONCE, TIMESTAMP, ApiKey
from execsim_polymarket.domains import POLYGON, Exchange, exchange_for
from execsim_polymarket.orders import OrderFields, SignatureType, order_id
from execsim_polymarket.sign import Account, PrivateKey
from execsim_polymarket.wire.account import CREDENTIALS
from execsim_polymarket.wire.trading import POST_ORDER, POST_ORDERS, OrderMessage, PostOrder
from execsim_polymarket.wire.values import VENUE

USER_CHANNEL: Final = "/ws/user"
BLANK_KEY: Final = "hidden"
"""What the adapter is told the API key is."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who trades, as all may know it: the key's address, the wallet with the money, how the one signs for the other."""

    address: str
    funder: str
    signer: str
    kind: SignatureType
    chain_id: int = POLYGON

    @classmethod
    def of(cls, account: Account) -> Identity:
        assert account.kind is not None  # set by its __post_init__
        return cls(account.key.address, account.funder, account.signer, account.kind, account.chain_id)

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Identity:
        """From what `plain` gave. Errors: ConfigError."""
        try:
            return cls(
                str(values["address"]), str(values["funder"]), str(values["signer"]), SignatureType(values["kind"]),
                int(values["chain_id"]),
            )  # fmt: skip
        except (KeyError, ValueError, TypeError) as error:
            raise ConfigError(f"the identity lacks or garbles {error}", "make it with Identity.of(account)") from None

    def plain(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "address": self.address, "funder": self.funder, "signer": self.signer, "kind": int(self.kind),
            "chain_id": self.chain_id,
        }  # fmt: skip

    def draft(
        self, *, side: Side, token_id: int, maker_amount: int, taker_amount: int, salt: int, timestamp_ms: int,
        neg_risk: bool,
    ) -> tuple[OrderFields, str]:  # fmt: skip
        """What is to be signed, and the order's id: no key is needed for either."""
        fields = OrderFields(
            salt, self.funder, self.signer, token_id, maker_amount, taker_amount, side, self.kind, timestamp_ms
        )  # fmt: skip
        exchange = exchange_for(token_id, neg_risk=neg_risk, chain_id=self.chain_id)
        return fields, "0x" + order_id(fields.struct_hash(), exchange).hex()


def account_of(credentials: Credentials) -> Account:
    """The account of `private_key`, `funder`, `signature_type` (default: found from the wallet), `chain_id`.

    Errors: ConfigError, ValidationError: neither repeats a secret."""
    values = credentials.values
    if not values.get("private_key"):
        raise ConfigError("there is no private key", "set EXECSIM_POLYMARKET_PRIVATE_KEY")
    kind = values.get("signature_type", "")
    if kind not in ("", "0", "1", "2", "3"):
        raise ConfigError(f"signature type {kind[:20]!r}", "0 EOA, 1 proxy, 2 Safe, 3 deposit wallet; or leave it out")
    chain = values.get("chain_id", "") or str(POLYGON)
    if not chain.isdecimal():
        raise ConfigError(f"chain id {chain[:20]!r}", f"{POLYGON} is Polygon")
    return Account(
        PrivateKey(values["private_key"]), values.get("funder", ""), SignatureType(int(kind)) if kind else None, int(chain)
    )  # fmt: skip


def api_key_of(credentials: Credentials, address: str) -> ApiKey | None:
    """`api_key`, `api_secret` and `api_passphrase`, if they are given: all three or none. Errors: ConfigError."""
    names = ("api_key", "api_secret", "api_passphrase")
    found = [credentials.values.get(name, "") for name in names]
    if not any(found):
        return None
    if not all(found):
        missing = ", ".join(name for name, value in zip(names, found, strict=True) if not value)
        raise ConfigError(f"the API credentials lack {missing}", "give all three, or none: they follow from the key")
    return ApiKey(address, *found)


class SigningTransport:
    """`ports.Transport` over another one. `neg_risk` of each token is learned from the metadata that passes through here.
    `learned` is told the secrets a login brings (`Credentials.learned`)."""

    def __init__(
        self, inner: Transport, account: Account, key: ApiKey | None = None,
        learned: Callable[[Sequence[str]], None] = lambda secrets: None,
    ) -> None:  # fmt: skip
        self._inner = inner
        self._learned = learned
        self._account = account
        self._key = key
        self._neg_risk: dict[int, bool] = {}

    async def request(self, request: Request) -> Response:
        """Errors: what the inner transport raises; AuthenticationError: an L2 call before the login."""
        headers = request.headers
        if NONCE in headers:
            return await self._login(request)
        if ADDRESS in headers:
            request = self._signed(request)
        response = await self._inner.request(request)
        if request.method == "GET" and request.path.startswith("/clob-markets/") and response.status == 200:
            self._learn(response.body)
        return response

    def stream(self, url: str) -> FrameStream:
        inner = self._inner.stream(url)
        return SigningStream(inner, self) if url.startswith(USER_CHANNEL) else inner

    async def aclose(self) -> None:
        await self._inner.aclose()

    def subscription(self, frame: bytes) -> bytes:
        """The user channel's first frame with its `auth`; others as they are. Errors: AuthenticationError."""
        try:
            message = json.loads(frame)
        except ValueError:
            return frame
        if not isinstance(message, dict) or "auth" not in message:
            return frame
        return json.dumps(message | {"auth": self._known().subscription()}, separators=(",", ":")).encode()

    def _known(self) -> ApiKey:
        if self._key is None:
            raise AuthenticationError(VENUE, "", "no API credentials yet: log in first (POST /auth/api-key)")
        return self._key

    async def _login(self, request: Request) -> Response:
        """Create or derive. With credentials that were given nothing is sent."""
        if self._key is not None:
            return Response(200, {}, b'{"apiKey":"%s"}' % BLANK_KEY.encode())
        headers = self._account.login_headers(int(request.headers[TIMESTAMP]), int(request.headers[NONCE]))
        response = await self._inner.request(replace(request, headers=dict(request.headers) | headers))
        if response.status != 200:
            return response
        try:
            found = CREDENTIALS.from_venue(response.body)
            self._learned((found.key, found.secret, found.passphrase))
            self._key = ApiKey(self._account.key.address, found.key, found.secret, found.passphrase)
        except (InvalidResponse, ValidationError):
            # the answer may hold secrets: nothing of it is repeated
            raise InvalidResponse(VENUE, "unreadable", "the answer to the login cannot be read") from None
        return Response(200, response.headers, b'{"apiKey":"%s"}' % BLANK_KEY.encode())

    def _signed(self, request: Request) -> Request:
        key, body = self._known(), request.body
        if request.method == "POST" and request.path in ("/order", "/orders"):
            body = self._orders(request.path, body)
        path = request.path.partition("?")[0]
        headers = key.headers(int(request.headers[TIMESTAMP]), request.method, path, body)
        return Request(request.method, request.path, dict(request.headers) | headers, body)

    def _orders(self, path: str, body: bytes) -> bytes:
        if path == "/order":
            return POST_ORDER.written(self._order(POST_ORDER.from_client(body)))
        return POST_ORDERS.written(tuple(self._order(post) for post in POST_ORDERS.from_client(body)))

    def _order(self, post: PostOrder) -> PostOrder:
        if post.order.signature:
            return post
        fields = post.order.fields
        signed = self._account.sign(fields, self._exchange(fields.token_id))
        message = OrderMessage.of(signed, post.order.expiration_s)
        return PostOrder(message, self._known().key, post.order_type, post.defer_exec, post.post_only)

    def _exchange(self, token_id: int) -> Exchange:
        if token_id not in self._neg_risk:
            raise ValidationError(
                "token", f"the market of token {token_id} was never read", "ask for its metadata first"
            )
        return exchange_for(token_id, neg_risk=self._neg_risk[token_id], chain_id=self._account.chain_id)

    def _learn(self, body: bytes) -> None:
        try:
            value = json.loads(body)
            for token in value["t"]:
                self._neg_risk[int(token["t"])] = bool(value.get("nr", False))
        except (ValueError, KeyError, TypeError):
            return  # the adapter says what is wrong with it


class SigningStream:
    """The user channel: the first frame gets its `auth` here."""

    def __init__(self, inner: FrameStream, signer: SigningTransport) -> None:
        self._inner = inner
        self._signer = signer

    def __aiter__(self) -> SigningStream:
        return self

    async def __anext__(self) -> bytes:
        return await self._inner.__anext__()

    async def send(self, frame: bytes) -> None:
        await self._inner.send(self._signer.subscription(frame))

    async def aclose(self) -> None:
        await self._inner.aclose()
