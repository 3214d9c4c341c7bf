"""A served exchange that is killed, over real sockets: with --state every order and trade that was acknowledged is there
again, once; the official client goes on with the key it had."""

from __future__ import annotations

import threading
from collections import deque
from pathlib import Path
from random import Random
from typing import Any

import pytest
from py_clob_client_v2.client import ClobClient
from py_clob_client_v2.clob_types import MarketOrderArgs, OrderArgs, OrderType
from py_clob_client_v2.exceptions import PolyApiException
from served_polymarket import SCENARIO, Served
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

RICH = [
    "--set", "venues.polymarket.balances={pUSD=1000000}", "--set", "venues.polymarket.limits.enforced=false",
]  # fmt: skip
KEYS = ["0x" + f"{number:064x}" for number in (71, 72)]


class Bot:
    """Posts orders until it hears nothing more; what it was told counts."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._secrets: list[Any] = []
        self.resting: list[str] = []
        self.trades: list[str] = []
        self.sent = 0
        self.refusal: PolyApiException | None = None
        """what ended it, if that was not the kill"""

    def client(self, host: str) -> ClobClient:
        made = ClobClient(host, 137, key=self._key)
        secrets = made.create_or_derive_api_key() if not self._secrets else made.derive_api_key()
        made.set_api_creds(secrets)
        self._secrets.append(secrets)
        assert secrets == self._secrets[0]
        return made

    def trade(self, host: str, token: str, enough: threading.Event, count: int) -> None:
        try:
            client = self.client(host)
            while True:
                self.sent += 1
                if self.sent % 5 == 0:
                    self._take(client, token)
                else:
                    order = OrderArgs(token_id=token, price=0.01, size=5 + self.sent % 7, side="BUY")
                    self.resting.append(client.create_and_post_order(order)["orderID"])
                if len(self.resting) >= count:
                    enough.set()
        except PolyApiException as error:
            self.refusal = error if error.status_code is not None else None
        finally:
            enough.set()

    def _take(self, client: ClobClient, token: str) -> None:
        spent = MarketOrderArgs(token_id=token, amount=1, side="BUY")
        try:
            self.trades += client.create_and_post_market_order(spent, order_type=OrderType.FAK)["tradeIDs"]
        except PolyApiException as error:
            if "no orders found to match" not in str(error.error_msg):  # nobody sells just now
                raise

    def look(self, host: str) -> None:
        client = self.client(host)
        there = [row["id"] for row in client.get_open_orders()]
        assert len(there) == len(set(there))
        assert set(self.resting) <= set(there)
        assert len(there) <= self.sent
        trades = [row["id"] for row in client.get_trades()]
        assert len(trades) == len(set(trades))
        assert set(self.trades) <= set(trades)


def killed_again_and_again(folder: Path, kills: int, seed: int) -> None:
    rng = Random(seed)
    bots = [Bot(key) for key in KEYS]
    for round in range(kills):
        server = Served(SCENARIO, *RICH, "--state", str(folder))
        assert any("inputs of" in line for line in server.said) == (round > 0)
        token = server.market().yes
        enough = threading.Event()
        for bot in bots:
            if round:
                bot.look(server.host)
        count = min(len(bot.resting) for bot in bots) + rng.randint(1, 25)
        threads = [threading.Thread(target=bot.trade, args=(server.host, token, enough, count)) for bot in bots]
        for thread in threads:
            thread.start()
        enough.wait()
        server.kill()
        for thread in threads:
            thread.join()
        assert [bot.refusal for bot in bots] == [None, None]
    server = Served(SCENARIO, *RICH, "--state", str(folder))
    for bot in bots:
        bot.look(server.host)
        assert len(bot.resting) >= kills
    status, clock = server.ask("GET", "/_execsim/clock")
    assert (status, clock["moving"]) == (200, True)
    code, said = server.stop()
    assert (code, "Traceback" in said) == (0, False)


def test_no_acknowledged_order_is_lost_and_none_is_there_twice(tmp_path: Path) -> None:
    killed_again_and_again(tmp_path, kills=4, seed=1)


@pytest.mark.soak
def test_many_kills(tmp_path: Path) -> None:
    killed_again_and_again(tmp_path, kills=20, seed=2)


def test_a_full_disk_ends_trading_and_says_so(tmp_path: Path) -> None:
    server = Served(SCENARIO, *RICH, "--state", str(tmp_path), file_bytes=150_000)
    token = server.market().yes
    bot = Bot(KEYS[0])
    client = bot.client(server.host)
    taken: list[str] = []
    channel = connect(f"ws://127.0.0.1:{server.port}/ws/market")
    channel.send(f'{{"type":"market","assets_ids":["{token}"]}}')

    def fill() -> None:
        while len(taken) < 1_000:
            order = OrderArgs(token_id=token, price=0.01, size=5, side="BUY")
            taken.append(client.create_and_post_order(order)["orderID"])

    with pytest.raises(PolyApiException) as refused:
        fill()
    assert (refused.value.status_code, refused.value.error_msg) == (503, {"error": "Trading is currently disabled."})
    assert len(taken) > 5
    with pytest.raises(ConnectionClosed):
        deque(iter(lambda: channel.recv(20), None), 0)
    channel.close()
    assert server.ask("GET", "/time") == (503, {"error": "Trading is currently disabled."})
    code, said = server.stop()
    assert code == 2
    assert "nothing is traded any more" in said
    assert "Traceback" not in said
    server = Served(SCENARIO, *RICH, "--state", str(tmp_path))
    assert {row["id"] for row in bot.client(server.host).get_open_orders()} == set(taken)
    assert server.stop()[0] == 0
