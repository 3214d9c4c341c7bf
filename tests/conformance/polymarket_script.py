"""A Polymarket of a page, scripted by a test: it checks logins and signatures, keeps orders, and says what it is told to.

It never matches: `fill` and `end` say what happens to an order. In memory, on any runtime.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from polymarket_news import CID, NO, YES

from execsim.core.errors import NetworkError, Reached
from execsim.ports import Credentials, Request, Response, Runtime
from execsim.runtime.sync import Overflow, Queue
from execsim_polymarket.auth import ADDRESS, NONCE, ApiKey, check_login
from execsim_polymarket.book import Scale, book_hash
from execsim_polymarket.domains import exchange_for
from execsim_polymarket.endpoints import Login, match
from execsim_polymarket.orders import order_id
from execsim_polymarket.sign import Account
from execsim_polymarket.signing import Identity, SigningTransport, account_of
from execsim_polymarket.verify import is_signed
from execsim_polymarket.wire.trading import POST_ORDER, POST_ORDERS, PostOrder

SECRET = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"  # Anvil's first test key
CREDENTIALS = Credentials({"private_key": SECRET})
MARKET = {
    "c": CID, "t": [{"t": YES, "o": "Yes"}, {"t": NO, "o": "No"}], "mos": 5, "mts": 0.01, "nr": False,
    "fd": {"r": 0.07, "e": 1, "to": True},
}  # fmt: skip


class Lost(Exception):
    """(arrived,): the script loses this request, after the venue took it (True) or before."""


class ScriptedVenue:
    """`ports.Transport`. `refuse` maps "METHOD /path" to answers that are given instead, each once."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.account: Account = account_of(CREDENTIALS)
        self.key = ApiKey(self.account.key.address, "the-api-key", "c2VjcmV0LXNlY3JldA==", "the-passphrase")
        self.market: dict[str, Any] = dict(MARKET)
        self.refuse: dict[str, list[Response | Lost]] = {}
        self.requests: list[Request] = []
        self.orders: dict[str, dict[str, Any]] = {}
        self.trades: list[dict[str, Any]] = []
        self.sockets: dict[str, list[Socket]] = {"/ws/user": [], "/ws/market": []}
        self.bids = {"0.5": "100", "0.51": "40"}
        self.asks = {"0.53": "30", "0.54": "90"}
        self.last = "0.520"
        self.page = 500
        self.key_exists = True
        self.deaf = False
        """nobody answers"""

    def transport(self) -> SigningTransport:
        return SigningTransport(self, self.account)

    def identity(self) -> dict[str, Any]:
        return Identity.of(self.account).plain()

    async def request(self, request: Request) -> Response:
        self.requests.append(request)
        if self.deaf:
            await self.runtime.pending("an answer that never comes")
        script = self.refuse.get(f"{request.method} {urlsplit(request.path).path}", [])
        said = script.pop(0) if script else None
        if isinstance(said, Response):
            return said
        if isinstance(said, Lost) and not said.args[0]:
            raise NetworkError("scripted", "never sent", Reached.NO.value)
        response = self.answer(request)
        if isinstance(said, Lost):
            raise NetworkError("scripted", "lost", Reached.UNKNOWN.value)
        return response

    def stream(self, url: str) -> Socket:
        return Socket(self, url)

    async def aclose(self) -> None:
        pass

    def answer(self, request: Request) -> Response:
        url = urlsplit(request.path)
        found = match(request.method, url.path)
        assert found is not None, f"{request.method} {url.path} is no call of the venue"
        endpoint, name = found
        if endpoint.login is Login.L1:
            assert check_login(request.headers, 137) == self.account.key.address
            assert request.headers[NONCE] == "0"
        if endpoint.login is Login.L2:
            assert request.headers[ADDRESS] == self.account.key.address
            if not self.key.check(request.headers, request.method, url.path, request.body):
                return said(401, {"error": "Unauthorized/Invalid api key"})
        handler = getattr(self, "on_" + "_".join([request.method.lower(), *_words(endpoint.path)]))
        return said(200, handler(name, dict(parse_qsl(url.query)), request.body))  # raises Refused for a 400

    # --- answers

    def on_get_time(self, *_: Any) -> Any:
        return self.runtime.now_ns() // 10**9

    def on_get_ok(self, *_: Any) -> Any:
        return "OK"

    def on_get_auth_derive_api_key(self, *_: Any) -> Any:
        return self.key.subscription()

    def on_post_auth_api_key(self, *_: Any) -> Any:
        return self.key.subscription()

    def on_get_clob_markets(self, name: str, *_: Any) -> Any:
        assert name == CID
        return self.market

    def on_get_markets_by_token(self, name: str, *_: Any) -> Any:
        assert name in (YES, NO)
        return {"condition_id": CID, "primary_token_id": YES, "secondary_token_id": NO}

    def on_post_order(self, _name: str, _query: Mapping[str, str], body: bytes) -> Any:
        return self._placed(POST_ORDER.from_client(body))

    def on_post_orders(self, _name: str, _query: Mapping[str, str], body: bytes) -> Any:
        posts = POST_ORDERS.from_client(body)
        assert len(posts) <= 15
        return [self._placed(post) for post in posts]

    def _placed(self, post: PostOrder) -> Any:
        fields = post.order.fields
        exchange = exchange_for(fields.token_id, neg_risk=bool(self.market["nr"]))
        assert is_signed(fields, post.order.signature, exchange, self.account.key.address)
        assert post.owner == self.key.key
        name = "0x" + order_id(fields.struct_hash(), exchange).hex()
        if name in self.orders:
            return {"success": True, "errorMsg": f"order {name} is invalid. Duplicated.", "orderID": ""}
        cash, shares = fields.maker_amount, fields.taker_amount
        if fields.side.value == "sell":
            cash, shares = shares, cash
        self.orders[name] = {
            "id": name, "status": "LIVE", "owner": self.key.key, "maker_address": fields.maker, "market": CID,
            "asset_id": str(fields.token_id), "side": fields.side.value.upper(), "original_size": f"{shares / 1e6:.6f}",
            "size_matched": "0", "price": f"{cash / shares:.4f}", "outcome": "Yes", "expiration": "0",
            "order_type": post.order_type, "created_at": 1_790_000_000, "associate_trades": [],
        }  # fmt: skip
        return {
            "success": True,
            "errorMsg": "",
            "orderID": name,
            "status": "live",
            "makingAmount": "",
            "takingAmount": "",
        }

    def on_delete_order(self, _name: str, _query: Mapping[str, str], body: bytes) -> Any:
        return self._cancelled([json.loads(body)["orderID"]])

    def on_delete_orders(self, _name: str, _query: Mapping[str, str], body: bytes) -> Any:
        return self._cancelled(json.loads(body))

    def on_delete_cancel_all(self, *_: Any) -> Any:
        return self._cancelled([name for name, row in self.orders.items() if row["status"] == "LIVE"])

    def on_delete_cancel_market_orders(self, _name: str, _query: Mapping[str, str], body: bytes) -> Any:
        assert json.loads(body)["market"] == CID
        return self.on_delete_cancel_all()

    def _cancelled(self, names: list[str]) -> Any:
        gone = [name for name in names if self.orders.get(name, {}).get("status") == "LIVE"]
        for name in gone:
            self.orders[name]["status"] = "CANCELED"
        reason = "Order not found or already canceled"
        return {"canceled": gone, "not_canceled": {name: reason for name in names if name not in gone}}

    def on_get_data_order(self, name: str, *_: Any) -> Any:
        return self.orders.get(name)

    def on_get_data_orders(self, _name: str, query: Mapping[str, str], *_: Any) -> Any:
        return self._paged([row for row in self.orders.values() if row["status"] == "LIVE"], query)

    def on_get_data_trades(self, _name: str, query: Mapping[str, str], *_: Any) -> Any:
        return self._paged([row for row in self.trades if query.get("id") in (None, row["id"])], query)

    def _paged(self, rows: list[Any], query: Mapping[str, str]) -> Any:
        cursor = query.get("next_cursor", "MA==")
        at = 0 if cursor == "MA==" else int(cursor)
        more = at + self.page < len(rows)
        return {
            "data": rows[at : at + self.page],
            "next_cursor": str(at + self.page) if more else "LTE=",
            "limit": self.page,
        }

    def on_get_balance_allowance(self, _name: str, query: Mapping[str, str], *_: Any) -> Any:
        held = {"COLLATERAL": "50000000", YES: "7000000", NO: "3000000"}
        return {"balance": held[query.get("token_id", query["asset_type"])], "allowances": {}}

    def on_post_v1_heartbeats(self, _name: str, _query: Mapping[str, str], body: bytes) -> Any:
        said_id = json.loads(body)["heartbeat_id"]
        return {"heartbeat_id": f"{said_id}1"}

    # --- news

    def book(self, token: str = YES) -> dict[str, Any]:
        """The whole book of a token, with its true hash."""
        bids, asks = self.bids, self.asks
        if token == NO:
            bids, asks = ({f"{1 - float(price):g}": size for price, size in side.items()} for side in (asks, bids))
        message = {
            "event_type": "book", "market": CID, "asset_id": token, "timestamp": str(self.runtime.now_ns() // 10**6),
            "bids": [{"price": price, "size": bids[price]} for price in sorted(bids)],
            "asks": [{"price": price, "size": asks[price]} for price in sorted(asks, reverse=True)],
            "tick_size": str(self.market["mts"]), "last_trade_price": self.last,
        }  # fmt: skip
        return message | {"hash": self._hash(message)}

    def _hash(self, message: dict[str, Any]) -> str:
        scale = Scale(Decimal("0.0001"), Decimal("0.000001"))
        return book_hash(message | {"min_order_size": str(self.market["mos"]), "neg_risk": self.market["nr"]}, scale)

    def level(self, side: str, price: str, size: str, *, wrong: bool = False) -> None:
        """A level of the YES book changes, told on the market channel; with a wrong hash if so asked."""
        held = self.bids if side == "BUY" else self.asks
        held[price] = size
        if size == "0":
            del held[price]
        whole = self.book()
        change = {
            "asset_id": YES,
            "price": price,
            "size": size,
            "side": side,
            "hash": "0" * 40 if wrong else whole["hash"],
        }
        message = {
            "event_type": "price_change",
            "market": CID,
            "timestamp": whole["timestamp"],
            "price_changes": [change],
        }
        self.push("/ws/market", message)

    def push(self, channel: str, message: Any) -> None:
        """Say it on every open socket of the channel."""
        for socket in self.sockets[channel]:
            socket.frames.put_nowait(message if isinstance(message, bytes) else json.dumps(message).encode())

    def drop(self, channel: str) -> None:
        """Every socket of the channel is lost."""
        for socket in self.sockets[channel]:
            socket.frames.close()
        self.sockets[channel].clear()

    def fill(self, name: str, size: str, trade_id: str, *, quiet: bool = False, maker: bool = True) -> dict[str, Any]:
        """A trade of the order, told on the user channel unless `quiet`."""
        row = self.orders[name]
        row["size_matched"] = str(float(row["size_matched"]) + float(size))
        row["associate_trades"].append(trade_id)
        if float(row["size_matched"]) >= float(row["original_size"]):
            row["status"] = "MATCHED"
        other = "SELL" if row["side"] == "BUY" else "BUY"
        mine = {
            "order_id": name, "owner": "", "maker_address": row["maker_address"], "matched_amount": size,
            "price": row["price"], "fee_rate_bps": "0", "asset_id": row["asset_id"], "outcome": "", "side": row["side"],
        }  # fmt: skip
        stranger = mine | {"order_id": "0x" + "ee" * 32, "maker_address": "0x" + "ee" * 20, "side": other}
        trade = {
            "id": trade_id, "taker_order_id": stranger["order_id"] if maker else name, "market": CID,
            "asset_id": row["asset_id"], "side": other if maker else row["side"], "size": size, "price": row["price"],
            "fee_rate_bps": "0", "status": "MATCHED", "match_time": str(self.runtime.now_ns() // 10**9),
            "last_update": "", "outcome": "Yes", "bucket_index": 0, "owner": self.key.key, "maker_address": "0x",
            "transaction_hash": "", "trader_side": "MAKER" if maker else "TAKER",
            "maker_orders": [mine if maker else stranger],
        }  # fmt: skip
        self.trades.append(trade)
        if not quiet:
            self.push("/ws/user", {"event_type": "trade", "type": "TRADE", **trade})
        return trade


class Socket:
    """`ports.FrameStream`."""

    def __init__(self, venue: ScriptedVenue, url: str) -> None:
        self.venue, self.url = venue, url
        self.said: list[bytes] = []
        self.frames: Queue[bytes] = Queue(venue.runtime, url, 10_000, Overflow.ERROR)

    def __aiter__(self) -> Socket:
        return self

    async def __anext__(self) -> bytes:
        return await self.frames.__anext__()

    async def send(self, frame: bytes) -> None:
        if self.venue.deaf:
            raise NetworkError("scripted", "nobody there", Reached.NO.value)
        if not self.said:
            self.venue.sockets[self.url].append(self)
        self.said.append(frame)
        if frame == b"PING":
            self.frames.put_nowait(b"PONG")
        elif self.url == "/ws/market":
            message = json.loads(frame)
            if message.get("operation") != "unsubscribe":
                self.frames.put_nowait(json.dumps([self.venue.book(token) for token in message["assets_ids"]]).encode())
        elif self.url == "/ws/user":
            assert json.loads(frame)["auth"] == self.venue.key.subscription()

    async def aclose(self) -> None:
        self.frames.close()
        if self in self.venue.sockets[self.url]:
            self.venue.sockets[self.url].remove(self)


def said(status: int, value: Any, headers: Mapping[str, str] | None = None) -> Response:
    return Response(status, dict(headers or {}), json.dumps(value).encode())


def _words(path: str) -> list[str]:
    return [word.replace("-", "_") for word in path.split("/") if word and word != "{}"]
