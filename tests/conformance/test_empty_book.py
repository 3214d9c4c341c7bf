"""An empty book: users who meet only each other, in memory on the dialect and over sockets with the official client."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hosted_world import HostedWorld, User
from py_clob_client_v2.clob_types import BalanceAllowanceParams, MarketOrderArgs, OrderArgs, OrderPayload, OrderType
from served_polymarket import ROOT, Served, clob_client

from execsim.core.order import Side
from execsim.scenario import model
from execsim.scenario.run import run
from execsim_polymarket import endpoints as ep
from execsim_polymarket.amounts import limit_amounts, sent_amounts
from execsim_polymarket.wire.trading import POST_ORDER, OrderMessage, PostOrder

SCENARIO = "scenarios/served/empty_book"
SHARE = 1_000_000


@pytest.fixture
def world() -> Iterator[HostedWorld]:
    world = HostedWorld(SCENARIO, "venues.polymarket.limits.enforced=false")
    yield world
    world.end()


class Trader(User):
    def __init__(self, world: HostedWorld, number: int) -> None:
        super().__init__(world, number)
        row = world.send(ep.request(ep.GET_MARKETS))[1]["data"][0]
        self.tokens = [token["token_id"] for token in row["tokens"]]
        self._salt = 0

    def place(self, side: Side, price: int, shares: int, *, no: bool = False, kind: Any = "GTC") -> tuple[int, Any]:
        """Cents; a market BUY's `shares` are pUSD."""
        self._salt += 1
        amounts = (limit_amounts if kind == "GTC" else sent_amounts)(side, price * 100, shares * SHARE, 100)
        signed = self.account.order(
            side=side, token_id=int(self.tokens[no]), maker_amount=amounts.maker, taker_amount=amounts.taker,
            salt=self._salt, timestamp_ms=1, neg_risk=False,
        )  # fmt: skip
        return self.ask(ep.POST_ORDER, POST_ORDER.to_bytes(PostOrder(OrderMessage.of(signed, 0), self.key.key, kind)))

    def matched(self, placed: tuple[int, Any]) -> str:
        status, row = self.ask(ep.GET_ORDER, name=placed[1]["orderID"])
        assert status == 200, row
        return str(row["size_matched"])

    def holds(self) -> tuple[int, int, int]:
        """Units of (pUSD, YES, NO)."""
        cash = self.ask(ep.GET_BALANCE, query={"asset_type": "COLLATERAL"})[1]["balance"]
        of = [
            self.ask(ep.GET_BALANCE, query={"asset_type": "CONDITIONAL", "token_id": t})[1]["balance"]
            for t in self.tokens
        ]
        return int(cash), int(of[0]), int(of[1])


def test_users_meet_by_price_and_then_by_time(world: HostedWorld) -> None:
    first, second, third, taker = (Trader(world, number) for number in (1, 2, 3, 4))
    assert world.send(ep.request(ep.GET_BOOK, query={"token_id": first.tokens[0]}))[1]["asks"] == []
    early = first.place(Side.SELL, 60, 10)
    late = second.place(Side.SELL, 60, 10)
    cheap = third.place(Side.SELL, 59, 10)
    assert [placed[1]["status"] for placed in (early, late, cheap)] == ["live"] * 3
    status, answer = taker.place(Side.BUY, 60, 25)
    assert (status, answer["status"], answer["takingAmount"], answer["makingAmount"]) == (200, "matched", "25", "14.9")
    assert [who.matched(placed) for who, placed in ((third, cheap), (first, early), (second, late))] == [
        "10",
        "10",
        "5",
    ]
    world.passes(1)
    book = world.send(ep.request(ep.GET_BOOK, query={"token_id": first.tokens[0]}))[1]
    assert (book["asks"], book["bids"]) == ([{"price": "0.6", "size": "5"}], [])
    assert taker.holds()[1] == 225 * SHARE
    assert second.place(Side.BUY, 60, 5)[0] == 400  # his own


def test_buyers_of_yes_and_no_make_a_set_and_sellers_end_one(world: HostedWorld) -> None:
    one, two = Trader(world, 1), Trader(world, 2)
    resting = one.place(Side.BUY, 40, 50)
    status, answer = two.place(Side.BUY, 60, 50, no=True)
    assert (status, answer["status"]) == (200, "matched")
    assert one.matched(resting) == "50"
    assert one.holds() == (780 * SHARE, 250 * SHARE, 200 * SHARE)
    assert two.holds()[1:] == (200 * SHARE, 250 * SHARE)
    one.place(Side.SELL, 45, 50)
    assert two.place(Side.SELL, 55, 50, no=True)[1]["status"] == "matched"
    assert [who.holds()[1:] for who in (one, two)] == [(200 * SHARE,) * 2] * 2


def test_money_is_conserved_whatever_they_do(world: HostedWorld) -> None:
    rng, users = Random(3), [Trader(world, number) for number in range(1, 5)]
    matched = 0
    for _ in range(150):
        user, side = rng.choice(users), rng.choice(list(Side))
        kind = rng.choice(["GTC", "GTC", "GTC", "FAK"])
        status, answer = user.place(side, rng.randint(45, 55), rng.randint(5, 20), no=rng.random() < 0.5, kind=kind)
        matched += status == 200 and answer["status"] == "matched"
        world.desk.exchange.ledger.check()
        if rng.random() < 0.1:
            user.ask(ep.CANCEL_ALL)
    assert matched > 30
    cash, yes, no = (sum(column) for column in zip(*(user.holds() for user in users), strict=True))
    assert yes == no  # every share belongs to a set
    house = world.desk.exchange.ledger
    fees = sum(row["pUSD"] for name, row in _balances(house).items() if "fee" in name.lower())
    assert cash + yes + fees == 4 * 1_000 * SHARE


def _balances(ledger: Any) -> dict[str, dict[str, int]]:
    return {name: {"pUSD": 0, **ledger[name].balances} for name in ledger.accounts}


def test_a_backtest_of_it_meets_nobody() -> None:
    path = model.locate(ROOT / SCENARIO)
    done = run(model.load(path, None, ["agents.duration_s=5"]), "empty_book", path.parent)
    assert (done.summary["fills"]["count"], done.summary["orders"]["unknown"]) == (0, 0)
    assert "whoever connects meets the others who do" in str(done.summary)


def test_the_official_client_on_both_sides() -> None:
    served = Served(SCENARIO)
    try:
        market = served.market()
        seller, buyer = (clob_client(served, f"0x{number:064x}") for number in (5, 6))
        assert seller.get_order_book(market.yes)["asks"] == []
        ask = seller.create_and_post_order(OrderArgs(token_id=market.yes, price=0.6, size=20, side="SELL"))
        bid = buyer.create_and_post_order(OrderArgs(token_id=market.yes, price=0.4, size=10, side="BUY"))
        assert (ask["status"], bid["status"]) == ("live", "live")
        assert float(buyer.get_midpoint(market.yes)["mid"]) == 0.5
        bought = buyer.create_and_post_market_order(
            MarketOrderArgs(token_id=market.yes, amount=6, side="BUY"), order_type=OrderType.FOK
        )
        assert (bought["status"], bought["takingAmount"]) == ("matched", "10")
        sold, mine = seller.get_trades()[0], buyer.get_trades()[0]
        assert (sold["id"], sold["trader_side"], mine["trader_side"]) == (mine["id"], "MAKER", "TAKER")
        assert sold["maker_orders"][0]["order_id"] == ask["orderID"]
        assert Decimal(seller.get_order(ask["orderID"])["size_matched"]) == 10
        assert buyer.cancel_order(OrderPayload(orderID=bid["orderID"]))["canceled"] == [bid["orderID"]]
        held = buyer.get_balance_allowance(BalanceAllowanceParams(asset_type="CONDITIONAL", token_id=market.yes))
        assert held["balance"] == "210000000"
    finally:
        code, said = served.stop()
    assert (code, "Traceback" in said) == (0, False)
