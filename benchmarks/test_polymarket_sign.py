"""Microseconds to build and sign an order for Polymarket, beside both official clients and eth-account in one run.

Price and size in, signed order out; no network, nothing cached by us but the domain separators and the account. All of them
use coincurve (eth-keys finds it by itself). Correctness: a rival's order, signed by us, has its hash and signature.
"""

from __future__ import annotations

from collections.abc import Coroutine
from decimal import Decimal
from typing import Any

import pytest
from eth_account import Account as EthAccount
from polymarket._internal.actions.orders.limit import _compute_limit_order_amounts
from polymarket._internal.actions.orders.orders import create_signed_order, create_unsigned_order
from polymarket._internal.actions.orders.typed_data import build_order_signature, build_order_typed_data
from polymarket._internal.actions.orders.types import BYTES32_ZERO, OrderDraft, UnsignedOrder
from polymarket.models.types import PositionId
from polymarket.types import EvmAddress, HexString
from polymarket_golden import load
from polymarket_news import market as listed
from py_clob_client_v2.clob_types import CreateOrderOptions, OrderArgsV2
from py_clob_client_v2.order_builder.builder import OrderBuilder
from py_clob_client_v2.signer import Signer

from execsim.core.order import Order, OrderId, OrderType, Side
from execsim.ports import Request, Response
from execsim_polymarket.auth import ADDRESS, TIMESTAMP, ApiKey
from execsim_polymarket.curve import EthKeys
from execsim_polymarket.domains import exchange
from execsim_polymarket.draft import draft
from execsim_polymarket.endpoints import Endpoint, request
from execsim_polymarket.entry import Entry, Terms, compose
from execsim_polymarket.fills import Market
from execsim_polymarket.orders import OrderFields, SignatureType
from execsim_polymarket.sign import Account, PrivateKey
from execsim_polymarket.signing import Identity, SigningTransport
from execsim_polymarket.verify import is_signed
from execsim_polymarket.wallets import deposit_wallet
from execsim_polymarket.wire.trading import POST_ORDER

KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
OWNER = PrivateKey(KEY)
TOKEN = load("orders_limit_v2")["cases"][0]["input"]["token_id"]
ASSET = PositionId(TOKEN)
WALLET = deposit_wallet(OWNER.address, beacon=True)
KINDS = {"EOA": (OWNER.address, SignatureType.EOA), "deposit wallet": (WALLET, SignatureType.DEPOSIT)}
NOW_NS = 1_790_000_000 * 10**9
ROUNDS, CALLS = 20, 100
POST_LIKE = Endpoint("POST", "/order")
"""As the adapter asks: the login is the transport's business."""

pytestmark = pytest.mark.benchmark(group="build and sign")
each = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture
def market() -> Market:
    return Market(listed().instrument, TOKEN, "2")


@pytest.fixture
def order(market: Market) -> Order:
    return Order(OrderId("o"), market.instrument, Side.BUY, OrderType.LIMIT, size_lots=21_040_000, price_i=3_700)


def repeat(fn: Any) -> Any:
    """CALLS of them: one is shorter than the clock is good for."""

    def run() -> Any:
        for _ in range(CALLS):
            last = fn()
        return last

    return run


@each
def test_ours(benchmark: Any, rate: Any, market: Market, order: Order, kind: str) -> None:
    """Amounts, hash, signature and ticket from the engine's order: what `place_order` does before it writes the body."""
    wallet, signature_type = KINDS[kind]
    account = Account(OWNER, wallet, signature_type)
    rate(f"build and sign, {kind}", CALLS, "us")
    made: Entry = benchmark.pedantic(repeat(lambda: composed(order, market, account)), rounds=ROUNDS, warmup_rounds=1)
    assert is_signed(made.post.order.fields, made.post.order.signature, exchange(137), OWNER.address)
    assert (made.signed.fields.maker_amount, made.signed.fields.taker_amount) == (7_784_800, 21_040_000)


def test_ours_to_the_wire(benchmark: Any, rate: Any, market: Market, order: Order) -> None:
    """The body and the five headers besides: everything before the socket."""
    account, key = Account(OWNER), ApiKey(OWNER.address, "key", "yMnKy8zNzs_Q0dLT1NXW19jZ2tvc3d7f4OHi4-Tl5uc=", "pass")

    def written() -> tuple[bytes, dict[str, str]]:
        body = POST_ORDER.to_bytes(composed(order, market, account).post)
        return body, key.headers(NOW_NS // 10**9, "POST", "/order", body)

    rate("  the same with body and headers", CALLS, "us")
    body, headers = benchmark.pedantic(repeat(written), rounds=ROUNDS, warmup_rounds=1)
    assert POST_ORDER.from_client(body) == composed(order, market, account).post
    assert key.check(headers, "POST", "/order", body)


class Wire:
    """A transport that keeps what it is given last."""

    def __init__(self) -> None:
        self.sent = Request("", "")

    async def request(self, request: Request) -> Response:
        self.sent = request
        return Response(200, {}, b'{"t":[{"t":"%s"}],"nr":false}' % TOKEN.encode())


def test_the_adapters_path_to_the_wire(benchmark: Any, rate: Any, market: Market, order: Order) -> None:
    """What `place_order` does before the socket: the order's hash and body, then the transport that signs, which reads the
    body, signs, writes it and adds the headers."""
    account = Account(OWNER)
    key = ApiKey(OWNER.address, "key", "yMnKy8zNzs_Q0dLT1NXW19jZ2tvc3d7f4OHi4-Tl5uc=", "pass")
    wire: Any = Wire()
    transport, identity, terms = SigningTransport(wire, account, key), Identity.of(account), Terms(100, False)
    finished(transport.request(Request("GET", "/clob-markets/0x1")))  # it learns which exchange the token is of
    holes = {ADDRESS: OWNER.address, TIMESTAMP: str(NOW_NS // 10**9)}

    def placed() -> Request:
        body = POST_ORDER.written(draft(order, market, "0x1", terms, identity).post)
        finished(transport.request(request(POST_LIKE, body=body, headers=holes)))
        return wire.sent  # type: ignore[no-any-return]

    rate("  the adapter's whole path, draft to signed request", CALLS, "us")
    sent: Request = benchmark.pedantic(repeat(placed), rounds=ROUNDS, warmup_rounds=1)
    post = POST_ORDER.from_client(sent.body)
    assert is_signed(post.order.fields, post.order.signature, exchange(137), OWNER.address)
    assert key.check({name.upper(): value for name, value in sent.headers.items()}, "POST", "/order", sent.body)


def finished(work: Coroutine[Any, Any, Any]) -> None:
    """Run what waits for nothing."""
    try:
        work.send(None)
    except StopIteration:
        return
    raise AssertionError("it waits")


@each
def test_checking(benchmark: Any, rate: Any, market: Market, order: Order, kind: str) -> None:
    """What our server does with an order: read the body, recover the signer."""
    account = Account(OWNER, *KINDS[kind])
    body = POST_ORDER.to_bytes(composed(order, market, account).post)

    def checked() -> bool:
        post = POST_ORDER.from_client(body)
        return is_signed(post.order.fields, post.order.signature, exchange(137), OWNER.address)

    rate(f"  read and check it, {kind}", CALLS, "us")
    assert benchmark.pedantic(repeat(checked), rounds=ROUNDS, warmup_rounds=1)


@each
def test_py_clob_client(benchmark: Any, rate: Any, kind: str) -> None:
    wallet, signature_type = KINDS[kind]
    builder = OrderBuilder(Signer(KEY, 137), int(signature_type), wallet)
    args, options = OrderArgsV2(TOKEN, 0.37, 21.04, "BUY"), CreateOrderOptions("0.01", False)
    rate(f"  py-clob-client-v2 1.2.1, {kind}", CALLS, "us")
    theirs = benchmark.pedantic(repeat(lambda: builder.build_order(args, options)), rounds=ROUNDS, warmup_rounds=1)
    fields = OrderFields(
        int(theirs.salt), theirs.maker, theirs.signer, int(theirs.tokenId), int(theirs.makerAmount), int(theirs.takerAmount),
        Side.BUY, signature_type, int(theirs.timestamp),
    )  # fmt: skip
    assert Account(OWNER, wallet, signature_type).sign(fields, exchange(137)).signature_hex == theirs.signature
    assert (fields.maker_amount, fields.taker_amount) == (7_784_800, 21_040_000)


@each
def test_polymarket_client(benchmark: Any, rate: Any, kind: str) -> None:
    """Its public door goes through the network; these are the functions behind it."""
    wallet, signature_type = KINDS[kind]
    signer: Any = EthAccount.from_key(KEY)

    def theirs() -> Any:
        maker, taker = _compute_limit_order_amounts(
            price=Decimal("0.37"), size=Decimal("21.04"), side="BUY", tick_size=Decimal("0.01")
        )
        draft = OrderDraft(
            chain_id=137, exchange_address=EvmAddress(exchange(137).contract), expiration=0, requested_amount=taker,
            funder_address=EvmAddress(wallet), offered_amount=maker, order_type="GTC", side="BUY", asset_id=ASSET,
            signer=EvmAddress(signer.address),
        )  # fmt: skip
        way: Any = "EOA" if signature_type is SignatureType.EOA else "DEPOSIT_WALLET"
        unsigned = create_unsigned_order(draft, wallet=EvmAddress(wallet), wallet_type=way)
        signature = signer.sign_typed_data(full_message=build_order_typed_data(unsigned)).signature.hex()
        return unsigned, create_signed_order(unsigned, build_order_signature(unsigned, HexString("0x" + signature)))

    rate(f"  polymarket-client 0.14.0, {kind}", CALLS, "us")
    unsigned, signed = benchmark.pedantic(repeat(theirs), rounds=ROUNDS, warmup_rounds=1)
    fields = OrderFields(
        unsigned.salt, unsigned.maker, unsigned.signer, int(unsigned.token_id), unsigned.maker_amount, unsigned.taker_amount,
        Side.BUY, signature_type, unsigned.timestamp,
    )  # fmt: skip
    assert Account(OWNER, wallet, signature_type).sign(fields, exchange(137)).signature_hex == signed.signature


def test_eth_account(benchmark: Any, rate: Any) -> None:
    """The typed data of a built order, encoded and signed: what polymarket-client spends most of its time on."""
    fields = OrderFields(
        7, OWNER.address, OWNER.address, int(TOKEN), 7_784_800, 21_040_000, Side.BUY, SignatureType.EOA, 1
    )
    unsigned = UnsignedOrder(
        builder=BYTES32_ZERO, chain_id=137, exchange_address=EvmAddress(exchange(137).contract), expiration=0,
        maker=EvmAddress(OWNER.address), maker_amount=7_784_800, metadata=BYTES32_ZERO, order_type="GTC", salt=7, side="BUY",
        signature_type=0, signer=EvmAddress(OWNER.address), taker_amount=21_040_000, timestamp=1, token_id=ASSET,
    )  # fmt: skip
    typed, signer = build_order_typed_data(unsigned), EthAccount.from_key(KEY)
    rate("  eth-account, typed data of one order", CALLS, "us")
    theirs = benchmark.pedantic(
        repeat(lambda: signer.sign_typed_data(full_message=typed)), rounds=ROUNDS, warmup_rounds=1
    )
    ours = Account(OWNER).sign(fields, exchange(137))
    assert (ours.signature, ours.order_id) == (theirs.signature, theirs.message_hash)


def test_without_a_c_library(benchmark: Any, rate: Any, market: Market, order: Order) -> None:
    """Where coincurve has no wheel: eth-keys in pure Python."""
    account = Account(PrivateKey(KEY, EthKeys()))
    rate("  ours without coincurve", 1, "us")
    made = benchmark.pedantic(lambda: composed(order, market, account), rounds=5, warmup_rounds=1)
    assert made == composed(order, market, Account(OWNER))


def composed(order: Order, market: Market, account: Account) -> Entry:
    return compose(order, market, Terms(100, False), account, owner="key", salt=7, now_ns=NOW_NS)
