"""The dialect in memory and virtual time: what it refuses and how, what the channels tell, that nothing makes it stumble."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from polymarket_hostile import ASKED, CHANGES, FRAMES, OUTER, tamper
from polymarket_worlds import SHARE, Bot, World, still
from worlds import MS, START_NS

from execsim.core.instrument import Outcome
from execsim.core.order import Side
from execsim.core.units import NS_PER_S
from execsim.exchange import ChainModel, ConstantLatency, ExchangeModel
from execsim.ports import Request, Served
from execsim.tape.schema import Kind
from execsim_polymarket import endpoints as ep
from execsim_polymarket.sign import SignedOrder

START_S = START_NS // NS_PER_S


def test_what_an_order_must_not_be() -> None:
    world = World(still())

    async def scene() -> None:
        bot, other = await world.bot(1).login(), await world.bot(2).login()
        assert other.key is not None

        async def refused(body: Any, by: Bot = bot) -> tuple[int, str]:
            status, answer = await by.post(body)
            return status, answer["error"]

        good = bot.sign()
        tampered = bot.body(good)
        tampered["order"]["makerAmount"] = "3900000"
        assert await refused(tampered) == (400, "invalid signature")
        assert await refused(bot.body(bot.sign(neg_risk=True))) == (
            400,
            "invalid signature",
        )  # another exchange's domain
        foreign = bot.body(good)
        foreign["owner"] = other.key.key
        assert await refused(foreign) == (400, "the order owner has to be the owner of the API KEY")
        stolen = other.body(other.sign())
        stolen["owner"] = bot.key.key if bot.key else ""
        assert await refused(stolen) == (400, "the order signer address has to be the address of the API KEY")
        wallet = bot.body(good)
        wallet["order"] |= {"maker": other.account.funder, "signatureType": 1}
        assert await refused(wallet) == (400, "invalid signature")
        assert await refused(bot.body(bot.sign(token=12345))) == (404, "No orderbook exists for the requested token id")
        assert await refused(bot.body(bot.sign(), expiration_s=START_S + 9_999)) == (400, "invalid expiration")
        assert await refused(bot.body(bot.sign(), "GTD", expiration_s=START_S + 100)) == (400, "invalid expiration")
        old = bot.body(good)
        old["order"] |= {"taker": other.account.funder, "nonce": "0", "feeRateBps": "0"}
        del old["order"]["timestamp"]
        assert await refused(old) == (400, "order_version_mismatch")
        assert await refused(b"{") == (400, "Invalid order payload")
        assert await refused(b'{"order":' * 5_000) == (400, "Invalid order payload")
        assert await refused(b" " * ((1 << 20) + 1)) == (413, "Payload exceeds the limit")
        off = bot.account.order(
            side=Side.BUY, token_id=int(world.listing.yes_token), maker_amount=4_050_000, taker_amount=10 * SHARE, salt=1,
            timestamp_ms=1, neg_risk=False,
        )  # fmt: skip
        assert await refused(bot.body(off)) == (
            400, f"order {off.order_id_hex} is invalid. Price (0.405) breaks minimum tick size rule: 0.01",
        )  # fmt: skip
        fine = replace(off.fields, taker_amount=10 * SHARE + 1)
        assert "max accuracy of 4 decimals" in (await refused(bot.body(bot.account.sign(fine, off.exchange))))[1]
        poor = await refused(bot.body(bot.sign(Side.BUY, 4_000, 5_000 * SHARE)))
        assert poor == (
            400, "not enough balance / allowance: the balance is not enough -> balance: 900000000, "
            "sum of matched orders: 0, order amount (inc. fees): 2000000000",
        )  # fmt: skip
        assert (await bot.post(bot.body(good)))[0] == 200
        assert await refused(bot.body(good)) == (400, f"order {good.order_id_hex} is invalid. Duplicated.")
        status, rows = await bot.ask(ep.GET_ORDERS)
        assert (status, [row["id"] for row in rows["data"]]) == (200, [good.order_id_hex])

    world.play(scene)


def test_logins_that_are_none() -> None:
    world = World(still())

    async def scene() -> None:
        bot = await world.bot(1).login()
        assert await bot.ask(ep.GET_ORDERS, now_s=bot.now_s - 1_000) == (401, {"error": "Unauthorized/Invalid api key"})
        assert (await bot.ask(ep.GET_ORDERS, now_s=bot.now_s - 100))[0] == 200
        request = bot.request(ep.GET_ORDERS)
        for name in request.headers:
            headers = {**request.headers, name: request.headers[name][:-1]}
            assert (await world.send(replace(request, headers=headers)))[0] == 401, name
        moved = Request("GET", "/data/trades", request.headers)
        assert (await world.send(moved))[0] == 401
        headers = world.bot(3).account.login_headers(bot.now_s - 1_000)
        answer = await world.send(ep.request(ep.CREATE_KEY, headers=headers))
        assert answer == (401, {"error": "Invalid L1 Request headers"})
        assert await world.send(Request("GET", "/no/such/path")) == (404, {"error": "not found"})

    world.play(scene)


class Ear:
    """A channel and what came over it."""

    def __init__(self, world: World, url: str) -> None:
        self.frames: list[Any] = []
        self.served: Served = world.dialect.stream(world.desk, url, self.hear)

    def hear(self, frame: bytes) -> None:
        self.frames.append(frame if frame == b"PONG" else json.loads(frame) if frame[:1] in b"[{" else frame)

    def tell(self, message: Any) -> None:
        self.served.hear(json.dumps(message).encode())

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [frame for frame in self.frames if isinstance(frame, dict) and frame["event_type"] == kind]


async def user_ear(bot: Bot) -> Ear:
    ear = Ear(bot.world, "/ws/user")
    assert bot.key is not None
    ear.tell({"type": "user", "auth": bot.key.subscription()})
    return ear


@pytest.mark.parametrize("fails", [False, True])
def test_trades_settle_in_the_venues_stages(fails: bool) -> None:
    legs = [ConstantLatency(ms * MS) for ms in (2_000, 5_000, 3_000)]
    world = World(still(), ExchangeModel(chain=ChainModel(*legs, 1_000_000 if fails else 0)))

    async def scene() -> None:
        bot = await world.bot(1).login()
        ear, other = await user_ear(bot), await user_ear(await world.bot(2).login())
        status, answer = await bot.post(bot.body(bot.sign(Side.BUY, 5_200, 26 * SHARE, immediate=True), "FOK"))
        assert (status, answer["status"], answer["makingAmount"], answer["takingAmount"]) == (
            200,
            "matched",
            "26",
            "50",
        )
        seen = []
        for seconds in (1, 3, 6):
            await world.virtual.sleep(seconds * NS_PER_S)
            row = (await bot.ask(ep.GET_TRADES, query={"id": answer["tradeIDs"][0]}))[1]["data"][0]
            seen.append((row["status"], bool(row["transaction_hash"])))
        states = [trade["status"] for trade in ear.of("trade")]
        if fails:
            assert seen[-1] == ("TRADE_STATUS_FAILED", False)
            assert states == ["MATCHED", "FAILED"]
        else:
            assert seen == [
                ("TRADE_STATUS_MATCHED", False), ("TRADE_STATUS_MINED", True), ("TRADE_STATUS_CONFIRMED", True),
            ]  # fmt: skip
            assert states == ["MATCHED", "MINED", "CONFIRMED"]
        assert {trade["id"] for trade in ear.of("trade")} == set(answer["tradeIDs"])
        assert other.frames == []

    world.play(scene)


def test_a_maker_is_told_its_part_and_gtd_orders_lapse_early() -> None:
    tape = still().trade(NS_PER_S, -1, 4_900, 6 * SHARE)
    world = World(tape)

    async def scene() -> None:
        bot = await world.bot(1).login()
        ear = await user_ear(bot)
        no = await bot.place(Side.SELL, 5_100, 10 * SHARE, outcome=Outcome.NO)  # bids 0.49 on the YES book
        gtd = bot.body(bot.sign(Side.BUY, 1_000), "GTD", expiration_s=bot.now_s + 200)
        assert (await bot.post(gtd))[1]["status"] == "live"
        await world.virtual.sleep(2 * NS_PER_S)
        matched = [trade for trade in ear.of("trade") if trade["status"] == "MATCHED"]
        assert [trade["trader_side"] for trade in matched] == ["MAKER"]
        mine = matched[0]["maker_orders"][0]
        assert (mine["order_id"], mine["price"], mine["matched_amount"], mine["side"]) == (no, "0.51", "6", "SELL")
        assert (matched[0]["asset_id"], matched[0]["side"]) == (world.listing.yes_token, "SELL")  # both sell: a merge
        row = (await bot.ask(ep.GET_ORDER, name=no))[1]
        assert (row["size_matched"], row["status"], row["outcome"]) == ("6", "LIVE", "No")
        await world.virtual.sleep(141 * NS_PER_S)
        assert [(o["type"], o["status"]) for o in ear.of("order")][-1] == ("CANCELLATION", "CANCELED_EXPIRED_ORDER")

    world.play(scene)


def test_the_market_channel_tells_both_tokens_with_the_right_hash() -> None:
    tape = still().level(NS_PER_S, 1, 4_900, 50 * SHARE).trade(2 * NS_PER_S, -1, 4_900, 30 * SHARE)
    world = World(tape.level(2 * NS_PER_S, 1, 4_900, 20 * SHARE))

    async def scene() -> None:
        listing = world.listing
        ear, plain_ear = Ear(world, "/ws/market"), Ear(world, "/ws/market")
        ear.served.hear(b"PING")
        ear.tell({"type": "market", "assets_ids": [listing.yes_token, "99"], "custom_feature_enabled": True})
        plain_ear.tell({"type": "market", "assets_ids": [listing.no_token], "initial_dump": False})
        assert ear.frames[0] == b"PONG"
        assert [book["asset_id"] for book in ear.frames[1]] == [listing.yes_token]
        await world.virtual.sleep(3 * NS_PER_S)
        first, second = ear.of("price_change")
        told = [(c["asset_id"], c["price"], c["size"], c["side"], c["best_bid"]) for c in first["price_changes"]]
        assert told == [
            (listing.yes_token, "0.49", "50", "BUY", "0.49"), (listing.no_token, "0.51", "50", "SELL", "0.48"),
        ]  # fmt: skip
        trade, book = ear.of("last_trade_price")[0], ear.of("book")[-1]
        assert (trade["price"], trade["size"], trade["side"]) == ("0.49", "30", "SELL")
        rest = {"min_order_size": "5", "tick_size": "0.01", "neg_risk": False, "last_trade_price": "0.490"}
        hashed = {
            **{name: book[name] for name in ("market", "asset_id", "timestamp")}, "hash": "", "bids": book["bids"],
            "asks": book["asks"], **rest,
        }  # fmt: skip
        text = json.dumps(hashed, separators=(",", ":")).encode()
        assert hashlib.sha1(text, usedforsecurity=False).hexdigest() == book["hash"]
        assert second["price_changes"][0]["hash"] == book["hash"]
        assert len(ear.of("best_bid_ask")) == 1
        assert plain_ear.of("best_bid_ask") == []
        assert len(plain_ear.of("price_change")) == 2
        ear.tell({"operation": "unsubscribe", "assets_ids": [listing.yes_token]})
        ear.served.hear(b"what?")
        assert ear.frames[-1] == b"INVALID OPERATION"
        ear.served.close()

    world.play(scene)


def test_a_finer_tick_and_the_end_of_a_market() -> None:
    tape = still().add(NS_PER_S, Kind.TICK, price=10).add(4 * NS_PER_S, Kind.RESOLVE, price=10_000)
    world = World(tape)

    async def scene() -> None:
        bot = await world.bot(1).login()
        ear, own = Ear(world, "/ws/market"), await user_ear(bot)
        ear.tell({"type": "market", "assets_ids": [world.listing.no_token], "custom_feature_enabled": True})
        resting = await bot.place()
        token = {"token_id": world.listing.yes_token}
        assert (await bot.ask(ep.GET_TICK_SIZE, query=token))[1] == {"minimum_tick_size": 0.01}
        await world.virtual.sleep(2 * NS_PER_S)
        changed = ear.of("tick_size_change")
        assert [(c["asset_id"], c["old_tick_size"], c["new_tick_size"]) for c in changed] == [
            (world.listing.no_token, "0.01", "0.001")
        ]
        assert (await bot.ask(ep.GET_TICK_SIZE, query=token))[1] == {"minimum_tick_size": 0.001}
        await world.virtual.sleep(3 * NS_PER_S)
        resolved = ear.of("market_resolved")
        assert [(r["winning_asset_id"], r["winning_outcome"]) for r in resolved] == [(world.listing.yes_token, "Yes")]
        assert [(o["id"], o["status"]) for o in own.of("order")][-1] == (resting, "CANCELED_MARKET_RESOLVED")
        status, answer = await bot.post(bot.body(bot.sign()))
        assert (status, answer["error"]) == (503, "Trading is currently disabled. Check polymarket.com for updates")
        listed = (await bot.ask(ep.GET_MARKET, name=world.listing.condition_id))[1]
        assert (listed["closed"], [token["winner"] for token in listed["tokens"]]) == (True, [True, False])

    world.play(scene)


def test_an_order_whose_answer_is_lost_is_found_by_its_hash() -> None:
    world = World(still())

    async def scene() -> None:
        bot = await world.bot(1).login()
        world.desk.switch_fault("lost_ack", True, {})
        signed = bot.sign()
        assert (await bot.post(bot.body(signed)))[0] == 504
        world.desk.switch_fault("lost_ack", False, {})
        row = (await bot.ask(ep.GET_ORDER, name=signed.order_id_hex))[1]
        assert (row["id"], row["status"]) == (signed.order_id_hex, "LIVE")
        again = await bot.post(bot.body(signed))
        assert again == (400, {"error": f"order {signed.order_id_hex} is invalid. Duplicated."})

    world.play(scene)


def test_a_key_that_stops_beating_loses_its_orders() -> None:
    world = World(still())

    async def scene() -> None:
        bot = await world.bot(1).login()
        name = await bot.place()
        _, first = await bot.ask(ep.HEARTBEAT, {"heartbeat_id": ""})
        await world.virtual.sleep(8 * NS_PER_S)
        status, wrong = await bot.ask(ep.HEARTBEAT, {"heartbeat_id": "x"})
        assert (status, wrong["heartbeat_id"], wrong["error_msg"]) == (
            400,
            first["heartbeat_id"],
            "Invalid Heartbeat ID",
        )
        assert (await bot.ask(ep.HEARTBEAT, first))[0] == 200
        await world.virtual.sleep(8 * NS_PER_S)
        assert (await bot.ask(ep.GET_ORDER, name=name))[1]["status"] == "LIVE"
        await world.virtual.sleep(3 * NS_PER_S)
        assert (await bot.ask(ep.GET_ORDER, name=name))[1]["status"] == "CANCELED"

    world.play(scene)


# ---------------------------------------------------------------------------------------------------- anything at all
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(changes=CHANGES, outer=OUTER, calls=ASKED, frames=FRAMES)
def test_whatever_comes_is_answered(changes: Any, outer: Any, calls: Any, frames: list[bytes]) -> None:
    world = World(still())

    async def scene() -> None:
        bot, victim = await world.bot(1).login(), await world.bot(2).login()
        kept = await victim.place()
        signed: SignedOrder = bot.sign()
        for answer, _, _ in await tamper(bot, signed, changes, outer, calls):
            assert kept not in json.dumps(answer)
        for url in ("/ws/market", "/ws/user"):
            ear = Ear(world, url)
            for frame in frames:
                ear.served.hear(frame)
            ear.served.close()
        assert (await victim.ask(ep.GET_ORDER, name=kept))[1]["status"] == "LIVE"

    world.play(scene)
