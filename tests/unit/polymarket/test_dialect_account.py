"""The dialect in memory and virtual time: price history, scoring, notifications, budgets, allowances, limits at the door."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from polymarket_worlds import SHARE, Bot, World, still
from worlds import MS, START_NS

from execsim.core.errors import ConfigError
from execsim.core.instrument import Outcome
from execsim.core.order import Side
from execsim.core.units import NS_PER_S
from execsim.exchange import ChainModel, ConstantLatency, ExchangeModel
from execsim.exchange.host_accounts import change_account
from execsim.ports import Request, RewardTerms
from execsim_polymarket import endpoints as ep
from execsim_polymarket.limits import DOOR, TIERS

MINUTE_NS = 60 * NS_PER_S
START_S = START_NS // NS_PER_S


def test_prices_history_is_what_was_seen() -> None:
    tape = still().level(3 * MINUTE_NS, -1, 5_200, 0).level(5 * MINUTE_NS, 1, 4_800, 0)
    world = World(tape)  # the midpoint: 0.50, then 0.505 (ask 0.53), then 0.50 (bid 0.47)

    async def scene() -> None:
        bot, token = await world.bot(1).login(), world.listing.yes_token

        async def history(**query: Any) -> tuple[int, Any]:
            return await bot.ask(ep.GET_PRICE_HISTORY, query={"market": token, **query})

        await world.virtual.sleep(6 * MINUTE_NS)
        status, answer = await history(interval="1h", fidelity=1)
        rows = [(row["t"] - START_S, row["p"]) for row in answer["history"]]
        assert status == 200
        whole = [(at, 0.505 if 180 <= at < 300 else 0.5) for at in range(-START_S % 60, 360, 60)]
        assert rows == [*whole, (360, 0.5)]  # at whole minutes of the clock, and now
        some = (await history(startTs=START_S + 170, endTs=START_S + 250, fidelity=1))[1]["history"]
        inside = [row for row in whole if 170 <= row[0] < 250]
        assert [(row["t"] - START_S, row["p"]) for row in some] == [*inside, (250, 0.505)]
        no = await bot.ask(ep.GET_PRICE_HISTORY, query={"market": world.listing.no_token, "interval": "1d"})
        assert {row["p"] for row in no[1]["history"]} == {0.5, 0.495}
        assert (await history(startTs=0, endTs=START_S - 1))[1] == {"history": []}
        assert (await history(interval="2h"))[0] == 400
        assert (await history())[0] == 400
        assert (await history(interval="max", fidelity=0))[0] == 400
        assert len((await history(interval="max", fidelity="9" * 15))[1]["history"]) == 1
        assert (await bot.ask(ep.GET_PRICE_HISTORY, query={"market": "5", "interval": "1d"}))[0] == 404

    world.play(scene)


def test_an_order_scores_if_it_is_near_large_and_old_enough() -> None:
    world = World(still())
    terms = RewardTerms(1_000 * SHARE, 300, 20 * SHARE, age_min_ns=5 * NS_PER_S)  # within 0.03 of 0.50

    async def scene() -> None:
        bot, other = await world.bot(1).login(), await world.bot(2).login()
        near = await bot.place(Side.BUY, 4_800, 20 * SHARE)
        far = await bot.place(Side.BUY, 4_700, 20 * SHARE)
        small = await bot.place(Side.BUY, 4_900, 19 * SHARE)
        across = await bot.place(Side.SELL, 4_900, 20 * SHARE, outcome=Outcome.NO)  # bids 0.51 of YES
        names = [near, far, small, across, "0x" + "00" * 32]

        async def scores(by: Bot = bot) -> list[bool]:
            return [(await by.ask(ep.GET_SCORING, query={"order_id": name}))[1]["scoring"] for name in names]

        assert await scores() == [False] * 5  # no rewards in this market
        world.desk._rewards[world.instrument.market] = terms
        assert await scores() == [False] * 5  # too young
        await world.virtual.sleep(5 * NS_PER_S)
        assert await scores() == [False, False, False, True, False]  # our bid moved the midpoint to 0.515
        status, answer = await bot.ask(ep.GET_SCORINGS, names)
        assert (status, answer) == (200, dict(zip(names, [False, False, False, True, False], strict=True)))
        await bot.ask(ep.CANCEL_ORDER, {"orderID": across})
        assert await scores() == [True, False, False, False, False]
        assert await scores(other) == [False] * 5
        assert (await bot.ask(ep.GET_SCORING))[0] == 400
        listed = (await bot.ask(ep.GET_MARKET, name=world.listing.condition_id))[1]["rewards"]
        assert (listed["min_size"], listed["max_spread"], listed["rates"][0]["rewards_daily_rate"]) == (20, 3, 1_000)

    world.play(scene)


@pytest.mark.parametrize("fails", [False, True])
def test_notifications_are_of_the_account_and_can_be_dropped(fails: bool) -> None:
    legs = [ConstantLatency(ms * MS) for ms in (2_000, 5_000, 3_000)]
    world = World(still(), ExchangeModel(chain=ChainModel(*legs, 1_000_000 if fails else 0)))

    async def scene() -> None:
        bot, other = await world.bot(1).login(), await world.bot(2).login()
        resting = await bot.place()
        await bot.ask(ep.CANCEL_ORDER, {"orderID": resting})
        taken = await bot.place(Side.BUY, 5_200, 26 * SHARE, immediate=True, kind="FOK")
        await world.virtual.sleep(10 * NS_PER_S)
        rows = (await bot.ask(ep.GET_NOTIFICATIONS, query={"signature_type": 0}))[1]
        told = [(row["type"], row["payload"]["order_id"]) for row in rows]
        assert told == [(1, resting), (2, taken)] + [(8, taken)] * fails
        cancelled, filled = rows[0]["payload"], rows[1]["payload"]
        assert (cancelled["original_size"], cancelled["matched_size"], cancelled["remaining_size"]) == ("10", "0", "10")
        assert (filled["original_size"], filled["matched_size"], filled["remaining_size"]) == ("26", "50", "0")
        assert bot.key is not None
        assert {row["owner"] for row in rows} == {bot.key.key}
        assert (await other.ask(ep.GET_NOTIFICATIONS))[1] == []
        assert await other.ask(ep.DROP_NOTIFICATIONS, query={"ids": "1,2"}) == (200, "OK")
        assert await bot.ask(ep.DROP_NOTIFICATIONS, query={"ids": "1,999"}) == (200, "OK")
        assert [row["id"] for row in (await bot.ask(ep.GET_NOTIFICATIONS))[1]] == [row["id"] for row in rows[1:]]
        for ids in ("", "x", "1,", "-1", "\u0661"):
            assert (await bot.ask(ep.DROP_NOTIFICATIONS, query={"ids": ids}))[0] == 400

    world.play(scene)


# ---------------------------------------------------------------------------------------------------- limits
async def headers_of(bot: Bot, endpoint: ep.Endpoint, body: Any) -> dict[str, str]:
    answer = await bot.world.dialect.answer(bot.world.desk, bot.request(endpoint, body))
    return {name: value for name, value in answer.headers.items() if name.startswith("Poly-")}


@pytest.mark.parametrize("enforced", [True, False])
def test_answers_to_orders_and_cancels_tell_the_budget(enforced: bool) -> None:
    world = World(
        still(), ExchangeModel(limits=TIERS["standard"], limits_enforced=enforced, limits_tier="standard")
    )  # 40 a second, 60 at once; cancels 80 and 120

    async def scene() -> None:
        bot = await world.bot(1).login()
        told = await headers_of(bot, ep.POST_ORDER, bot.body(bot.sign()))
        assert told["Poly-RateLimit-Remaining"] == "59"
        assert told["Poly-RateLimit-Tier"] == "Standard"
        assert abs(int(told["Poly-RateLimit-Reset"]) - bot.now_s) <= 1
        assert "Poly-RateLimit-Warning" not in told
        assert (await headers_of(bot, ep.CANCEL_ORDER, {"orderID": "0x00"}))["Poly-RateLimit-Remaining"] == "120"
        for _ in range(59):
            await bot.place()
        over = await headers_of(bot, ep.POST_ORDER, bot.body(bot.sign()))
        assert over["Poly-RateLimit-Remaining"] == "0"
        assert over.get("Poly-RateLimit-Warning") == (None if enforced else "true")
        assert await headers_of(bot, ep.GET_ORDERS, None) == {}

    world.play(scene)


def test_market_data_is_limited_by_address() -> None:
    world = World(still(), ExchangeModel(door=DOOR))

    async def scene() -> None:
        def tick(peer: str) -> Request:
            return Request("GET", f"/tick-size?token_id={world.listing.yes_token}", peer=peer)

        async def ask(peer: str) -> tuple[int, dict[str, str]]:
            answer = await world.dialect.answer(world.desk, tick(peer))
            return answer.status, dict(answer.headers)

        start_ns = world.virtual.now_ns()
        assert {(await ask("10.0.0.1"))[0] for _ in range(200)} == {200}
        assert world.virtual.now_ns() == start_ns
        assert (await ask("10.0.0.2"))[0] == 200  # another address is counted by itself
        status, headers = await ask("10.0.0.1")  # too much by one: 10 s to wait, more than the venue lets anybody wait
        assert (status, headers["retry-after"]) == (429, "10")
        book = Request("GET", f"/book?token_id={world.listing.yes_token}", peer="10.0.0.1")
        assert (await world.send(book))[0] == 200  # and so is each call
        await world.virtual.sleep(6 * NS_PER_S)
        before_ns = world.virtual.now_ns()
        assert (await ask("10.0.0.1"))[0] == 200  # 4 s are waited out
        assert world.virtual.now_ns() - before_ns == 4 * NS_PER_S

    world.play(scene)


def test_where_time_stands_still_nobody_is_made_to_wait() -> None:
    world = World(still(), ExchangeModel(door=DOOR))
    moving = world.desk._clock

    async def scene() -> None:
        ask = Request("GET", "/ok", peer="10.0.0.1")
        assert {(await world.send(ask))[0] for _ in range(100)} == {200}
        await world.virtual.sleep(6 * NS_PER_S)
        world.desk._clock = lambda: replace(moving(), moving=False)
        assert (await world.send(ask))[0] == 429

    world.play(scene)


# ---------------------------------------------------------------------------------------------------- allowances
def test_an_order_needs_an_allowance() -> None:
    world = World(still())
    quote = world.instrument.quote.name

    async def scene() -> None:
        bot = await world.bot(1).login()
        address = bot.account.key.address

        async def allowed(kind: str = "COLLATERAL", **query: Any) -> set[str]:
            answer = (await bot.ask(ep.GET_BALANCE, query={"asset_type": kind, **query}))[1]
            return set(answer["allowances"].values())

        async def refused(signed: Any) -> str:
            status, answer = await bot.post(bot.body(signed))
            assert status == 400, answer
            return str(answer["error"])

        assert await allowed() == {str((1 << 256) - 1)}
        world.desk.approve(address, quote, 10 * SHARE)
        assert await allowed() == {"10000000"}
        assert await refused(bot.sign(Side.BUY, 4_000, 26 * SHARE)) == (
            "not enough balance / allowance: the allowance is not enough"
        )
        resting = await bot.place(Side.BUY, 4_000, 25 * SHARE)  # claims all of it
        assert "the allowance is not enough" in await refused(bot.sign(Side.BUY, 4_000))
        assert "the balance is not enough" in await refused(bot.sign(Side.BUY, 9_000, 5_000 * SHARE))
        await bot.ask(ep.CANCEL_ORDER, {"orderID": resting})
        assert await allowed() == {"10000000"}  # a claim is not a use
        await bot.place(Side.BUY, 5_200, 52 * SHARE // 10, immediate=True, kind="FOK")
        assert await allowed() == {"4625280"}  # 5.20 and the fee
        world.desk.approve(address, quote, None)
        await bot.place(Side.BUY, 4_000, 26 * SHARE)
        token = world.instrument.asset_of(Outcome.YES).name
        world.desk.approve(address, token, 0)
        assert "the allowance is not enough" in await refused(bot.sign(Side.SELL, 6_000))
        assert await allowed("CONDITIONAL", token_id=world.listing.yes_token) == {"0"}
        assert await allowed("CONDITIONAL", token_id=world.listing.no_token) == {str((1 << 256) - 1)}

    world.play(scene)


def test_a_trade_that_fails_gives_its_allowance_back() -> None:
    legs = [ConstantLatency(ms * MS) for ms in (2_000, 5_000, 3_000)]
    world = World(still(), ExchangeModel(chain=ChainModel(*legs, 1_000_000)))

    async def scene() -> None:
        bot = await world.bot(1).login()
        quote, address = world.instrument.quote.name, bot.account.key.address
        world.desk.approve(address, quote, 10 * SHARE)
        await bot.place(Side.BUY, 5_200, 52 * SHARE // 10, immediate=True, kind="FOK")
        assert world.desk.allowances(address) == {quote: 4_625_280}
        await world.virtual.sleep(10 * NS_PER_S)
        assert world.desk.allowances(address) == {quote: 10 * SHARE}

    world.play(scene)


def test_the_host_opens_endows_and_approves() -> None:
    world = World(still())

    async def scene() -> None:
        bot = world.bot(1)
        address = bot.account.key.address

        def ask(**asked: Any) -> dict[str, Any]:
            return change_account(world.dialect, world.desk, asked)

        first = ask(address=address.lower(), deposit="0.5", allowance="20")
        assert first == {"address": address, "asset": "pUSD", "balance": "900.5", "allowance": "20"}
        await bot.login()  # the account is there already: nothing is deposited again
        cash = (await bot.ask(ep.GET_BALANCE, query={"asset_type": "COLLATERAL"}))[1]
        assert (cash["balance"], set(cash["allowances"].values())) == ("900500000", {"20000000"})
        assert ask(address=address, allowance="unlimited")["allowance"] == "unlimited"
        bad: list[dict[str, Any]] = [
            {}, {"address": 5}, {"address": "0x12"}, {"address": address[:-1] + "g"}, {"address": address, "gift": "1"},
            *({"address": address, "deposit": told} for told in (5, "x", "-1", "1e40", "NaN", "0.0000001", "", None, [])),
            *({"address": address, "allowance": told} for told in (5, "much", "-1", "9" * 50)),
        ]  # fmt: skip
        for asked in bad:
            with pytest.raises(ConfigError):
                ask(**asked)
        assert ask(address=address)["balance"] == "900.5"

    world.play(scene)


def test_what_is_not_played_says_why() -> None:
    world = World(still())

    async def scene() -> None:
        for path in ("/rewards/markets/current", "/auth/builder-api-key", "/auth/readonly-api-keys", "/rfq/request"):
            status, answer = await world.send(Request("GET", path))
            assert status == 404
            assert answer["error"].startswith("not served by execsim: "), answer
        bot = await world.bot(1).login()
        assert await bot.ask(ep.OLD_HEARTBEAT) == (200, {"status": "ok"})
        fees = await world.send(Request("GET", "/fees/builder-fees/0x12"))
        assert fees == (200, {"builder_maker_fee_rate_bps": 0, "builder_taker_fee_rate_bps": 0})
        assert json.dumps(fees)

    world.play(scene)
