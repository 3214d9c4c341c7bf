"""`execsim serve` as a process of its own: the page's examples, killed clients, several venues, the way it ends."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "native.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE, flags=re.DOTALL)
GRACE_S = 60.0
EXECSIM = [sys.executable, "-c", "from execsim.cli import main; main()"]


class Process:
    """A server, started; what it says on stderr is in `said`."""

    def __init__(self, *arguments: str) -> None:
        self.said: list[str] = []
        self._process = subprocess.Popen(
            [*EXECSIM, "serve", *arguments], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, cwd=ROOT
        )
        line = self.until("execsim: serving")
        found = re.fullmatch(r"execsim: serving native on 127\.0\.0\.1:(\d+)", line)
        assert found is not None, line
        self.port = int(found[1])

    def until(self, start: str) -> str:
        """The first line that starts so."""
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.said.append(line.strip())
            if line.startswith(start):
                return line.strip()
        raise AssertionError(f"it ended: {self.said}")

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate(timeout=GRACE_S)

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        if self._process.poll() is None:
            self._process.send_signal(number)
        try:
            _, rest = self._process.communicate(timeout=GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise
        self.said += rest.splitlines()
        return self._process.returncode


Serve = Callable[..., Process]


@pytest.fixture(scope="module")
def ended() -> Iterator[Process]:
    """A server whose recording is over: it serves all tests that need none."""
    process = Process("scenarios/handwritten", "--speed", "100")
    process.until("execsim: the market's data has ended; still answering, Ctrl-C stops")
    yield process
    assert process.stop(signal.SIGTERM) == 0
    assert process.said[-1] == "execsim: stopped"


@pytest.fixture
def serve() -> Iterator[Serve]:
    running: list[Process] = []

    def start(*arguments: str) -> Process:
        running.append(Process(*arguments))
        return running[-1]

    yield start
    for process in running:
        process.stop()


class Bot:
    """A connection that keeps what it hears by id and by stream."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=GRACE_S)
        self._lines = self._socket.makefile("rw", encoding="utf-8")
        self._heard: list[dict[str, Any]] = []
        self._ids = 1000

    def send(self, line: str) -> None:
        self._lines.write(line + "\n")
        self._lines.flush()

    def line(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """The next answer to that id, or frame of that stream."""
        key = "stream" if "stream" in wanted else "id"
        while True:
            for at, line in enumerate(self._heard):
                if ("stream" in line) == (key == "stream") and line.get(key) == wanted[key]:
                    return self._heard.pop(at)
            raw = self._lines.readline()
            assert raw, "the server hung up"
            self._heard.append(json.loads(raw))

    def ask(self, op: str, **fields: Any) -> Any:
        self._ids += 1
        self.send(json.dumps({"id": self._ids, "op": op, **fields}))
        answer = self.line({"id": self._ids})
        assert answer["ok"], answer
        return answer.get("result")

    def close(self) -> None:
        self._lines.close()
        self._socket.close()


Connect = Callable[[int], Bot]


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Connections that are closed whatever happens."""
    bots: list[Bot] = []

    def open(port: int) -> Bot:
        bots.append(Bot(port))
        return bots[-1]

    yield open
    for bot in bots:
        bot.close()


def agrees(shown: Any, found: Any) -> bool:
    """Whether the page shows what came; "..." is left out."""
    if shown == "...":
        return True
    if isinstance(shown, dict) and isinstance(found, dict):
        return shown.keys() == found.keys() and all(agrees(shown[name], found[name]) for name in shown)
    if isinstance(shown, list) and isinstance(found, list):
        return len(shown) == len(found) and all(map(agrees, shown, found))
    return bool(shown == found)


def test_the_page_shows_what_happens(serve: Serve, connect: Connect) -> None:
    server = serve("scenarios/handwritten", "--hold", "--no-latency", "--speed", "20")
    bot = connect(server.port)
    lines = [line for language, text in BLOCKS if language == "jsonl" for line in text.strip().splitlines()]
    assert len(lines) > 40
    for line in lines:
        if line.startswith("> "):
            bot.send(line[2:])
        else:
            shown = json.loads(line[2:])
            found = bot.line(shown)
            assert agrees(shown, found), (
                f"the page says\n{line[2:]}\nand it is\n{json.dumps(found, separators=(',', ':'))}"
            )


def test_the_bot_in_twenty_lines(serve: Serve, tmp_path: Path) -> None:
    source = next(text for language, text in BLOCKS if language == "python")
    code = [line for line in source.splitlines() if line.strip()]
    assert len(code) <= 22
    assert "execsim" not in source
    (tmp_path / "bot.py").write_text(source)
    server = serve("scenarios/handwritten", "--hold", "--no-latency", "--speed", "20")
    command = [sys.executable, "-I", str(tmp_path / "bot.py"), str(server.port)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=GRACE_S, check=False)
    assert done.stderr == ""
    assert done.stdout.split() == ["working", "10000000", "95100000"]


def test_the_adapter_of_the_page_trades(serve: Serve) -> None:
    """The page's last example, run by an engine in wall time: it sees the recording to its end."""
    from execsim.core.order import Order, OrderId, OrderStatus, OrderType, Side
    from execsim.engine import EngineConfig, ExecutionEngine
    from execsim.runtime import WallRuntime

    names: dict[str, Any] = {}
    exec([text for language, text in BLOCKS if language == "python"][1], names)
    server = serve("scenarios/handwritten", "--hold", "--no-latency", "--speed", "20")
    runtime = WallRuntime(1, speed=20)
    engine = ExecutionEngine(EngineConfig(), runtime)

    async def main() -> None:
        trading = runtime.spawn(names["trade"](runtime, engine, server.port), "trade")
        while not engine.view.venues:
            await runtime.sleep(1_000_000)
        coin = engine.view.instrument("coin")
        await engine.submit_order(
            Order(OrderId("a"), coin, Side.BUY, OrderType.LIMIT, size_lots=10_000_000, price_i=4900)
        )
        await trading.join()

    runtime.run(main=main())
    assert engine.get_order(OrderId("a")).status is OrderStatus.FILLED
    assert engine.get_position("coin").yes_lots == 10_000_000


def test_it_says_when_the_data_ends_and_goes_on_answering(ended: Process, connect: Connect) -> None:
    bot = connect(ended.port)
    assert bot.ask("hello", account="late")["clock"]["ended"] is True
    bot.send('{"id":1,"op":"subscribe","channel":"markets"}')
    kinds = []
    while "end" not in kinds:
        kinds.append(bot.line({"stream": 1})["kind"])
    assert kinds == ["opened", "tick", "book", "end"]
    ack = bot.ask("place", order_id="1", market="coin", side="buy", price_i=3000, size_lots=10_000_000)
    assert ack["status"] == "working"


def test_a_killed_client_finds_its_orders_again(ended: Process, tmp_path: Path, connect: Connect) -> None:
    (tmp_path / "victim.py").write_text(
        "import json, socket, sys, time\n"
        "f = socket.create_connection(('127.0.0.1', int(sys.argv[1]))).makefile('rw')\n"
        "f.write(json.dumps({'id': 1, 'op': 'hello', 'account': 'bob'}) + '\\n')\n"
        "f.write(json.dumps({'id': 2, 'op': 'place', 'order_id': 'x', 'market': 'coin', 'side': 'buy',"
        " 'price_i': 3000, 'size_lots': 10000000}) + '\\n')\n"
        "f.flush()\n"
        "print(f.readline(), f.readline(), flush=True)\n"
        "time.sleep(3600)\n"
    )
    victim = subprocess.Popen(
        [sys.executable, str(tmp_path / "victim.py"), str(ended.port)], stdout=subprocess.PIPE, text=True
    )
    assert victim.stdout is not None
    assert '"working"' in victim.stdout.readline() + victim.stdout.readline()
    victim.kill()
    victim.wait(GRACE_S)
    victim.stdout.close()
    bot, other = connect(ended.port), connect(ended.port)
    bot.ask("hello", account="bob")
    other.ask("hello", account="eve")
    assert [order["order_id"] for order in bot.ask("open")["items"]] == ["x"]
    assert other.ask("open")["items"] == []
    assert bot.ask("cancel", order_id="x")["cancelled"] is True


def test_with_state_it_goes_on_after_a_kill(serve: Serve, connect: Connect, tmp_path: Path) -> None:
    arguments = ("scenarios/handwritten", "--no-latency", "--state", str(tmp_path))
    first = serve(*arguments, "--hold")
    bot = connect(first.port)
    bot.ask("hello", account="bob")
    placed = bot.ask("place", order_id="x", market="coin", side="buy", price_i=3000, size_lots=10_000_000)
    bot.ask("place", order_id="y", market="coin", side="buy", type="market", tif="ioc", quote_amount=5_000_000)
    fault = bot.ask("fault", pack="cancel_only", on=True, params={})
    money, fills = bot.ask("balances"), bot.ask("fills")
    first.kill()
    second = serve(*arguments)
    assert any(line.startswith("execsim: running 7 inputs of ") for line in second.said)
    again = connect(second.port)
    hello = again.ask("hello", account="bob")
    assert hello["clock"]["moving"] is False
    (order,) = again.ask("open")["items"]
    assert (order["order_id"], order["venue_order_id"]) == ("x", placed["venue_order_id"])
    assert (again.ask("balances"), again.ask("fills")) == (money, fills)
    assert [state for state in again.ask("faults") if state["pack"] == "cancel_only"] == fault
    assert again.ask("go")["moving"] is True
    assert second.stop() == 0
    third = serve(*arguments, "--speed", "50")  # it moves, as it did
    assert connect(third.port).ask("hello", account="bob")["clock"]["speed"] == 50
    third.until("execsim: the market's data has ended; still answering, Ctrl-C stops")
    third.stop()
    fourth = serve(*arguments)
    fourth.until("execsim: the market's data has ended; still answering, Ctrl-C stops")


def test_state_of_another_exchange_is_one_line(execsim: Any, serve: Serve, tmp_path: Path) -> None:
    serve("scenarios/handwritten", "--state", str(tmp_path)).stop()
    for more, text in (
        (["--seed", "8"], "is the state of another exchange: its seed was 7, it is 8 now; serve it as it was"),
        (["--no-latency"], "its latency was the scenario's, it is none (--no-latency) now"),
        (["--dialect", "polymarket"], "its dialect was native, it is polymarket now"),
        (["--set", "exchange.queue=proportional"], "its scenario was "),
    ):
        done = execsim("serve", ROOT / "scenarios/handwritten", "--state", tmp_path, *more)
        assert done.code == 2
        assert len(done.err) == 1
        assert text in done.err[0]


def test_several_venues_and_one_account_at_each(serve: Serve, connect: Connect) -> None:
    server = serve("scenarios/two_venues", "--hold", "--no-latency")
    bot = connect(server.port)
    bot.send('{"id":1,"op":"hello","account":"bob"}')
    assert bot.line({"id": 1})["error"]["args"] == ["the line names no venue", "name one: polymarket, binance"]
    for venue in ("polymarket", "binance"):
        welcome = bot.ask("hello", account="bob", venue=venue)
        assert {instrument["venue"] for instrument in welcome["instruments"]} == {venue}
        assert bot.ask("open")["items"] == []


def test_agents_are_served_too(serve: Serve, connect: Connect) -> None:
    server = serve("scenarios/agents_binary", "--speed", "20", "--no-latency")
    bot = connect(server.port)
    market = bot.ask("hello", account="bob")["instruments"][0]["market"]
    bot.send('{"id":1,"op":"hello","account":"noise-0"}')
    assert "is not free" in bot.line({"id": 1})["error"]["text"]
    bot.ask("hello", account="bob")
    bot.send('{"id":2,"op":"subscribe","channel":"orders"}')
    assert bot.line({"stream": 2})["kind"] == "opened"
    while not bot.ask("book", market=market)["asks"]:
        pass
    bot.ask("place", order_id="1", market=market, side="buy", type="market", tif="ioc", quote_amount=10_000_000)
    assert bot.line({"stream": 2})["event"]["fill"]["evidence"] == "matched"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["scenarios/handwritten", "--dialect", "klingon"], "ConfigError: there is no dialect 'klingon'; there are: "),
        (["scenarios/handwritten", "--port", "70000"], "execsim: Invalid value for '--port'"),
        (["scenarios/handwritten", "--speed", "0"], "execsim: Invalid value for '--speed'"),
        (["scenarios/handwritten", "--host", "1.2.3.4"], "execsim: ConfigError: cannot listen on 1.2.3.4:0"),
        (["scenarios/nowhere"], "execsim: ConfigError: "),
        (["scenarios/handwritten", "--set", "venues.polymarket.balances={EUR=1}"], "no asset 'EUR'"),
    ],
)  # fmt: skip
def test_wrong_input_is_one_line(execsim: Any, arguments: list[str], text: str) -> None:
    scenario, *rest = arguments
    done = execsim("serve", ROOT / scenario, *rest)
    assert done.code == 2
    assert len(done.err) == 1
    assert text in done.err[0]
