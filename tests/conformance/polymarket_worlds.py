"""A small world behind the Polymarket dialect, in memory and virtual time, and a client that signs as the venue wants."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from native_worlds import Served, money_of
from worlds import MS, START_NS, Tape, binary

from execsim.core.instrument import Instrument, Outcome
from execsim.core.order import Side
from execsim.core.units import NS_PER_S
from execsim.exchange import ConstantLatency, ExchangeModel, LatencyModel
from execsim.ports import Request
from execsim.runtime import VirtualRuntime
from execsim_polymarket import endpoints as ep
from execsim_polymarket.amounts import limit_amounts, sent_amounts
from execsim_polymarket.auth import ApiKey
from execsim_polymarket.dialect import PolymarketDialect
from execsim_polymarket.dialect.listings import Listing, listing_of
from execsim_polymarket.plugin import PROFILE
from execsim_polymarket.sign import Account, PrivateKey, SignedOrder
from execsim_polymarket.wire.trading import POST_ORDER, OrderKind, OrderMessage, PostOrder

SHARE = 1_000_000
FREE = replace(PROFILE, limits=(), tiers={}, door=())
"""the venue's words, but nobody is limited"""
NO_LATENCY = LatencyModel(ConstantLatency(), ConstantLatency(), ConstantLatency())


def still() -> Tape:
    """A book that does not move: bids 0.48 and 0.47, asks 0.52 and 0.53."""
    bids, asks = [(4_800, 100 * SHARE), (4_700, 250 * SHARE)], [(5_200, 80 * SHARE), (5_300, 300 * SHARE)]
    return Tape().book(0, bids, asks)


class World(Served):
    """`bots` trade on it by the dialect; every account begins with 1000 pUSD and 100 sets."""

    def __init__(self, tape: Tape, model: ExchangeModel | None = None, **rules: Any) -> None:
        self.instrument: Instrument = binary(**rules)
        runtime = VirtualRuntime(7, START_NS)
        money = money_of(self.instrument, {"pUSD": 1_000 * SHARE})
        super().__init__(
            runtime, tape, [self.instrument], money, sets=100 * SHARE, latency=NO_LATENCY, profile=FREE, model=model
        )
        self.virtual = runtime
        self.dialect = PolymarketDialect()
        self.listing: Listing = listing_of(self.instrument, self.desk.info(self.instrument.market))

    def bot(self, number: int = 1) -> Bot:
        return Bot(self, PrivateKey(number.to_bytes(32, "big")))

    def play(self, scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a scene on the moving market; the books balance after it."""

        async def main() -> None:
            self.dialect.begin(self.desk)
            self.virtual.spawn(self.market.run(), "tape", daemon=True)
            await self.virtual.sleep(MS)
            await scene()

        self.virtual.run(main=main())
        self.ledger.check()

    async def send(self, request: Request) -> tuple[int, Any]:
        response = await self.dialect.answer(self.desk, request)
        return response.status, json.loads(response.body)


class Bot:
    """One key and its API key, once it has logged in."""

    def __init__(self, world: World, key: PrivateKey) -> None:
        self.world = world
        self.account = Account(key)
        self.key: ApiKey | None = None
        self._salts = 0

    @property
    def now_s(self) -> int:
        return self.world.virtual.now_ns() // NS_PER_S

    async def login(self) -> Bot:
        headers = self.account.login_headers(self.now_s)
        status, made = await self.world.send(ep.request(ep.CREATE_KEY, headers=headers))
        assert status == 200, made
        self.key = ApiKey(self.account.key.address, made["apiKey"], made["secret"], made["passphrase"])
        return self

    def request(self, endpoint: ep.Endpoint, body: Any = None, **more: Any) -> Request:
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        more = {"now_s": self.now_s, **more}
        return ep.request(endpoint, body=data, key=self.key, **more)

    async def ask(self, endpoint: ep.Endpoint, body: Any = None, **more: Any) -> tuple[int, Any]:
        return await self.world.send(self.request(endpoint, body, **more))

    def sign(
        self, side: Side = Side.BUY, price_i: int = 4_000, lots: int = 10 * SHARE, *, outcome: Outcome = Outcome.YES,
        immediate: bool = False, neg_risk: bool = False, token: int | None = None,
    ) -> SignedOrder:  # fmt: skip
        """`lots` are pUSD for an immediate BUY."""
        self._salts += 1
        amounts = (sent_amounts if immediate else limit_amounts)(side, price_i, lots, 100)
        named = int(self.world.listing.token(outcome)) if token is None else token
        return self.account.order(
            side=side, token_id=named, maker_amount=amounts.maker, taker_amount=amounts.taker, salt=self._salts,
            timestamp_ms=self.world.virtual.now_ns() // MS, neg_risk=neg_risk,
        )  # fmt: skip

    def body(
        self, signed: SignedOrder, kind: OrderKind = "GTC", *, expiration_s: int = 0, post_only: bool = False
    ) -> dict[str, Any]:
        assert self.key is not None
        post = PostOrder(OrderMessage.of(signed, expiration_s), self.key.key, kind, post_only=post_only)
        found: dict[str, Any] = json.loads(POST_ORDER.to_bytes(post))
        return found

    async def post(self, body: dict[str, Any]) -> tuple[int, Any]:
        return await self.ask(ep.POST_ORDER, body)

    async def place(self, *terms: Any, kind: OrderKind = "GTC", **more: Any) -> str:
        """Place an order that is taken; its hash."""
        status, answer = await self.post(self.body(self.sign(*terms, **more), kind))
        assert (status, answer["success"]) == (200, True), answer
        return str(answer["orderID"])
