"""A served exchange that is killed and taken up from its log is the one that was never killed: ledger, orders, trades,
books, keys; whatever its users did, and however its time was cut into steps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest
from hosted_world import HostedWorld, User

from execsim.core.order import Side
from execsim.journal import InputFile
from execsim.ports import Request
from execsim_polymarket import endpoints as ep
from execsim_polymarket.amounts import limit_amounts, sent_amounts
from execsim_polymarket.wire.trading import POST_ORDER, OrderMessage, PostOrder

ABOUT = {"test": "1"}
USERS = 3
SHARE = 1_000_000
RICH = "venues.polymarket.balances={pUSD=100000}"


class Op(NamedTuple):
    """Something a user does, or the clock; `ms` of real time pass before it."""

    ms: float
    what: str
    user: int
    price: int
    size: int
    buys: bool
    salt: int


def script(seed: int, length: int) -> list[Op]:
    rng = Random(seed)
    kinds = ["GTC"] * 6 + ["FOK", "FAK", "batch", "cancel", "all", "GTD", "orders", "book", "beat", "balance", "trades"]
    kinds += ["hold", "go", "step", "speed", "outage", "calm", "calm", "calm", "nonsense", "key"]
    return [
        Op(
            rng.choice([0, 0, rng.random() * 300]), rng.choice(kinds), rng.randrange(USERS), rng.randint(40, 60),
            rng.randint(5, 60), rng.random() < 0.5, number,
        )
        for number in range(length)
    ]  # fmt: skip


def _clock(world: HostedWorld, what: Any = None) -> Any:
    status, told = world.command("clock", what)
    return status, {**told, "wall_ns": told.get("wall_ns", 0) // 1_000}


def _rows(told: tuple[int, Any]) -> Any:
    """Trades, to the second. Clients' times, here and above, may differ by nanoseconds: a restart begins an era, which
    rounds anew."""
    for row in told[1]["data"]:
        del row["match_time_nano"]
    return told


class Play:
    """Performs a script on a world. `cuts`: how real time is cut into looks at the clock."""

    def __init__(self, world: HostedWorld, cuts: int) -> None:
        self.world = world
        self._rng = Random(cuts)
        self.users = [User(world, number + 1) for number in range(USERS)]
        self.tokens = [t["token_id"] for t in world.send(ep.request(ep.GET_MARKETS))[1]["data"][0]["tokens"]]
        self.mine: list[list[str]] = [[] for _ in range(USERS)]
        self.beats = [""] * USERS
        self.answers: list[Any] = []

    def do(self, op: Op) -> None:
        left_ms = op.ms
        while left_ms > 0:
            ms = min(left_ms, self._rng.choice([0.3, 5, 40, 1_000]))
            self.world.passes(ms)
            left_ms -= ms
        told = self._told(op)
        self.answers.append((op.what, told))
        if op.what in ("GTC", "GTD") and told[0] == 200:
            self.mine[op.user].append(told[1]["orderID"])

    def _told(self, op: Op) -> Any:
        world, user = self.world, self.users[op.user]
        mine = self.mine[op.user]
        match op.what:
            case "GTC" | "GTD" | "FOK" | "FAK":
                return user.ask(ep.POST_ORDER, self._order(op, op.what))
            case "batch":
                bodies = [
                    self._order(op._replace(salt=op.salt + 1_000 * n, price=op.price - n), "GTC") for n in (1, 2, 3)
                ]
                return user.ask(ep.POST_ORDERS, b"[" + b",".join(bodies) + b"]")
            case "cancel":
                name = mine[op.salt % len(mine)] if mine else "0x00"
                return user.ask(ep.CANCEL_ORDER, {"orderID": name})
            case "all":
                return user.ask(ep.CANCEL_ALL) if op.size < 15 else user.ask(ep.GET_ORDERS)
            case "beat":
                status, told = user.ask(ep.HEARTBEAT, {"heartbeat_id": self.beats[op.user]})
                self.beats[op.user] = told["heartbeat_id"]
                return status, told
            case "orders":
                return user.ask(ep.GET_ORDERS)
            case "trades":
                return _rows(user.ask(ep.GET_TRADES))
            case "balance":
                return user.ask(ep.GET_BALANCE, query={"asset_type": "COLLATERAL"})
            case "book":
                return world.send(ep.request(ep.GET_BOOK, query={"token_id": self.tokens[0]}))
            case "key":
                return world.send(ep.request(ep.CREATE_KEY, headers=user.account.login_headers(world.now_s, op.salt)))
            case "nonsense":
                return world.send(Request("POST", "/order", {}, b"{"))
            case "hold" | "go":
                return _clock(world, {op.what: True})
            case "speed":
                return _clock(world, {"speed": 1 + op.size % 5})
            case "step":
                return _clock(world, {"advance_ms": op.size * 10})
            case "outage":
                return world.command("faults", {"pack": "cancel_only", "on": True, "params": {}})
            case _:
                return world.command("faults", {"pack": "cancel_only", "on": False})

    def _order(self, op: Op, kind: Any) -> bytes:
        user, side = self.users[op.user], Side.BUY if op.buys else Side.SELL
        now = kind in ("FOK", "FAK")
        amounts = (sent_amounts if now else limit_amounts)(side, op.price * 100, op.size * SHARE, 100)
        signed = user.account.order(
            side=side, token_id=int(self.tokens[op.salt % 2]), maker_amount=amounts.maker, taker_amount=amounts.taker,
            salt=op.salt + 1, timestamp_ms=1, neg_risk=False,
        )  # fmt: skip
        expiration_s = self.world.now_s + 181 if kind == "GTD" else 0
        return POST_ORDER.to_bytes(PostOrder(OrderMessage.of(signed, expiration_s), user.key.key, kind))

    def state(self) -> dict[str, Any]:
        """Everything that can be asked, and the ledger."""
        world = self.world
        found: dict[str, Any] = {"clock": _clock(world), "faults": world.command("faults")}
        ledger = world.desk.exchange.ledger
        found["ledger"] = {name: dict(ledger[name].balances) for name in sorted(ledger.accounts)}
        for token in self.tokens:
            found[token] = world.send(ep.request(ep.GET_BOOK, query={"token_id": token}))
        for number, user in enumerate(self.users):
            found[f"key {number}"] = world.send(
                ep.request(ep.DERIVE_KEY, headers=user.account.login_headers(world.now_s))
            )
            found[f"orders {number}"] = user.ask(ep.GET_ORDERS)
            found[f"trades {number}"] = _rows(user.ask(ep.GET_TRADES))
        return found


@pytest.fixture
def ends() -> Iterator[list[HostedWorld]]:
    worlds: list[HostedWorld] = []
    yield worlds
    for world in worlds:
        world.end()


def compare(
    scenario: str, seed: int, folder: Path, ends: list[HostedWorld], length: int = 60, latency: bool = False
) -> Play:
    ops = [op for op in script(seed, length) if not latency or op.what not in ("hold", "step", "outage")]
    killed = Random(seed).randrange(5, len(ops) - 5)
    settings = (RICH, "venues.polymarket.limits.enforced=false")
    never = Play(HostedWorld(scenario, *settings, latency=latency), cuts=seed)
    ends.append(never.world)
    for op in ops[:killed]:
        never.do(op)
    first = InputFile(folder, ABOUT)
    one = Play(HostedWorld(scenario, *settings, kept=first, latency=latency), cuts=seed + 1)
    for op in ops[:killed]:
        one.do(op)
    one.users[0].ask(ep.GET_ORDERS)  # what was asked last is on disk, and so is the time at which it was
    never.users[0].ask(ep.GET_ORDERS)
    assert one.answers == never.answers
    assert not first.waiting
    first.close()  # as a kill: nothing more is written
    one.world.runtime.end()
    second = InputFile(folder, ABOUT)
    world = HostedWorld(
        scenario, *settings, latency=latency, log=second.inputs(), kept=second, real_ns=one.world.real_ns
    )
    ends.append(world)
    assert world.replayed > killed // 2
    two = Play.__new__(Play)
    two.__dict__ |= one.__dict__ | {"world": world, "_rng": Random(seed + 2), "answers": list(one.answers)}
    two.users = []
    for user in one.users:
        two.users.append(User.__new__(User))
        two.users[-1].__dict__ |= user.__dict__ | {"world": world}
    assert two.state() == never.state()
    for op in ops[killed:]:
        never.do(op)
        two.do(op)
    assert two.answers == never.answers
    assert two.state() == never.state()
    return two


@pytest.mark.parametrize("seed", range(8))
def test_a_killed_exchange_of_agents_is_the_one_that_was_not(
    seed: int, tmp_path: Path, ends: list[HostedWorld]
) -> None:
    played = compare("scenarios/agents_binary", seed, tmp_path, ends)
    assert len([1 for what, told in played.answers if what == "GTC" and told[0] == 200]) > 5


@pytest.mark.parametrize("seed", range(4))
def test_a_killed_exchange_on_tape_is_the_one_that_was_not(seed: int, tmp_path: Path, ends: list[HostedWorld]) -> None:
    compare("scenarios/polymarket_btc_5m", seed, tmp_path, ends)


@pytest.mark.parametrize("seed", range(20, 23))
def test_with_latencies_too(seed: int, tmp_path: Path, ends: list[HostedWorld]) -> None:
    compare("scenarios/agents_binary", seed, tmp_path, ends, latency=True)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 140))
def test_many_killed_exchanges(seed: int, tmp_path: Path, ends: list[HostedWorld]) -> None:
    scenario = ["scenarios/agents_binary", "scenarios/polymarket_btc_5m"][seed % 2]
    compare(scenario, seed, tmp_path, ends, length=400)
