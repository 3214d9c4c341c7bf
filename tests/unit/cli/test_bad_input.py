"""What users get wrong: one line on stderr saying what, where and how to mend it, exit code 2, nothing left behind."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).resolve().parents[3]
BINANCE = ROOT / "scenarios" / "data" / "binance_hftbacktest"
POLYMARKET = ROOT / "scenarios" / "data" / "polymarket_cronosvirus00"

SCENARIO = {
    "unknown key": ({"title": "titel"}, ["coin.toml", "unknown key titel", "known keys:", "title"]),
    "unknown nested key": ({"feed": "feeed"}, ["venues.polymarket.feeed", "known keys: allowances, amend, balances,"]),
    "unknown key in a table": ({"ms = 10": "mss = 10"}, ["venues.polymarket.feed.mss", "known keys: model, ms"]),
    "text for a number": ({"ms = 50": 'ms = "fast"'}, ["venues.polymarket.entry.ms is 'fast'", "valid decimal"]),
    "value for a table": ({"title =": "exchange = 5\ntitle ="}, ["exchange is 5", "table"]),
    "missing key": ({'market = "coin"\n\n': "\n"}, ["coin.toml: markets.0.market is missing"]),
    "not TOML": ({"[[data]]": "[[data]"}, ["coin.toml: not valid TOML", "line 4"]),
    "unknown word": (
        {"[strategy]": '[exchange]\nqueue = "magic"\n[strategy]'},
        ["exchange.queue is 'magic'", "'risk_averse', 'proportional', 'power'"],
    ),
    "negative balance": ({"pUSD = 100": "pUSD = -100"}, ["venues.polymarket.balances.pUSD is -100"]),
    "balance off the grid": ({"pUSD = 100": "pUSD = 0.0000001"}, ["balances.pUSD", "0.000001"]),
    "balance of no number": ({"pUSD = 100": "pUSD = nan"}, ["balances.pUSD is NaN", "finite"]),
    "unknown asset": ({"pUSD = 100": "EUR = 100"}, ["venues.polymarket.balances: no asset 'EUR'", "pUSD"]),
    "negative sets": ({"[strategy]": "sets = {coin = -1}\n[strategy]"}, ["venues.polymarket.sets.coin is -1"]),
    "sets beyond cash": ({"[strategy]": "sets = {coin = 101}\n[strategy]"}, ["sets.coin: 101 sets cost 101 pUSD", "100"]),
    "sets of no market": ({"[strategy]": "sets = {dice = 1}\n[strategy]"}, ["sets: 'dice'", "those are: coin"]),
    "unknown format": ({'"generic"': '"genric"'}, ["unknown format 'genric'", "known formats:", "generic"]),
    "unknown importer option": ({"tick =": "tik ="}, ["no option 'tik'", "known options:"]),
    "unknown market": ({'market = "coin"\n\n': 'market = "koin"\n\n'}, ["market 'koin'", "the data has: coin"]),
    "unknown rule": ({"fee_rate =": "fee ="}, ["market coin, rules", "fee_rate"]),
    "market id twice": (
        {"[venues": '[[markets]]\nid = "coin"\nvenue = "polymarket"\nmarket = "other"\n\n[venues'},
        ["market id 'coin' is used twice"],
    ),
    "one market under two ids": (
        {"[venues": '[[markets]]\nid = "dice"\nvenue = "polymarket"\nmarket = "coin"\n\n[venues'},
        ["'coin' and 'dice' are the same market"],
    ),
    "payoff off the grid": (
        {"[venues": "[markets.resolve]\npayoff = 0.00001\n\n[venues"},
        ["market coin: resolve.payoff", "0.00001", "0.0001"],
    ),
    "payoff above 1": ({"[venues": "[markets.resolve]\npayoff = 2\n\n[venues"}, ["markets.0.resolve.payoff is 2"]),
    "start without a zone": (
        {"[[markets]]": "start_at = 2026-04-15T12:00:00\n[[markets]]"},
        ["start_at needs a time zone"],
    ),
    "start before 1970": (
        {"[[markets]]": "start_at = 1960-04-15T12:00:00Z\n[[markets]]"},
        ["start_at 1960", "between 1970 and 2200"],
    ),
    "bounds of nothing": (
        {"[strategy]": "[engine]\nprice_bounds = {dice = [0.1, 0.9]}\n[strategy]"},
        ["engine.price_bounds: 'dice'", "known: coin, polymarket"],
    ),
    "bounds upside down": (
        {"[strategy]": "[engine]\nsize_bounds = {coin = [5, 2]}\n[strategy]"},
        ["engine.size_bounds.coin", "[smallest, largest]"],
    ),
    "limit of no venue": (
        {"[strategy]": "[engine]\nrate_limits = {nyse = {per_s = 1, burst = 1}}\n[strategy]"},
        ["engine.rate_limits: 'nyse'", "polymarket"],
    ),
    "unknown policy": (
        {"[strategy]": '[risk]\npolicies = [{type = "Luck"}]\n[strategy]'},
        ["policies[0]", "'Luck'", "PositionLimit"],
    ),
    "negative limit": (
        {"[strategy]": '[risk]\npolicies = [{type = "PositionLimit", max_size = -1}]\n[strategy]'},
        ["policies[0].max_size", "cannot be negative"],
    ),
    "limit of no market": (
        {"[strategy]": '[risk]\npolicies = [{type = "PositionLimit", max_size = 1, market_id = "dice"}]\n[strategy]'},
        ["policies[0].market_id: 'dice'", "known: coin"],
    ),
    "no policy file": ({"[strategy]": '[risk]\nfile = "risk.yaml"\n[strategy]'}, ["risk.yaml: cannot be read"]),
    "unknown strategy": ({'orders = "orders.csv"': 'name = "quotr"'}, ["no strategy 'quotr'", "quoter"]),
    "two strategies": ({'orders = "orders.csv"': 'orders = "x"\nname = "quoter"'}, ["one of name, file, orders"]),
    "unknown parameter": (
        {'orders = "orders.csv"': 'name = "quoter"\nparams = {sise = 3}'},
        ["no parameter 'sise'", "size"],
    ),
    "no order script": ({"orders.csv": "order.csv"}, ["order.csv: no such file"]),
    "no data file": ({"book.csv": "books.csv"}, ["books.csv: no such file", "relative to"]),
    "no strategy file": ({'orders = "orders.csv"': 'file = "bot.py"'}, ["no strategy file", "bot.py"]),
    "no tape": ({'format = "generic"': ""} | {'sources = ["book.csv"]': 'tape = "tape"'}, ["tape: no such tape"]),
}  # fmt: skip

BOOK = {
    "wrong column": ({",price,": ",prize,"}, ["book.csv: column 'price' is missing", "prize"]),
    "no number": ({"bid,0.49,50": "bid,o.49,50"}, ["book.csv:6 column 'price'", "'o.49' is not a number"]),
    "missing cell": ({"bid,0.49,50": "bid,0.49"}, ["book.csv:6: malformed row: 4 fields, the header has 5"]),
    "unknown kind": ({"level": "lvl"}, ["book.csv:6 column 'kind'", "'lvl'", "level, snapshot, trade"]),
    "no time": ({"2026-01-05T12:00:02.000Z": "noon"}, ["book.csv:6 column 'time'", "'noon'"]),
    "price off the grid": ({"0.49,50": "0.49001,50"}, ["book.csv:6 column 'price'", "not a multiple of 0.0001"]),
    "price above 1": ({"0.49,50": "1.49,50"}, ["market coin", "1.49", "no share pays more than 1"]),
    "negative size": ({"0.49,50": "0.49,-50"}, ["book.csv:6 column 'size'", "-50 is negative"]),
    "size too large": ({"0.49,50": "0.49,1e30"}, ["book.csv:6 column 'size'", "too large"]),
    "no snapshot": ({"snapshot": "level"} | {f"snapshot,{x}": f"level,{x}" for x in ("bid,0.47", "ask,0.52", "ask,0.53")},
                    ["book.csv:2", "without a snapshot", "start = empty"]),
}  # fmt: skip

SCRIPT = {
    "no number": ("+3s,coin,buy,limit,gtc,0.49,ten,", ["line 2, column size: 'ten' is not a number"]),
    "price off the grid": ("+3s,coin,buy,limit,gtc,0.49001,10,", ["line 2, column price", "0.49001", "0.0001"]),
    "negative size": ("+3s,coin,buy,limit,gtc,0.49,-10,", ["line 2, column size: -10 is not positive"]),
    "unknown market": ("+3s,dice,buy,limit,gtc,0.49,10,", ["line 2, column market", "'dice'", "coin"]),
    "unknown side": ("+3s,coin,long,limit,gtc,0.49,10,", ["line 2, column side: 'long'", "buy, sell"]),
    "after the data": ("+3h,coin,buy,limit,gtc,0.49,10,", ["line 2, column time", "after the data"]),
    "missing cell": ("+3s,coin,buy,limit,gtc,0.49,10", ["line 2: has 7 cells, the header has 8"]),
}

BOT = {
    "does not parse": ("async def run(ctx):\n    x = = 3\n", ["bot.py: line 2: SyntaxError"]),
    "no run": ("x = 1\n", ["bot.py has no `async def run(ctx)`"]),
    "run is not async": ("def run(ctx):\n    pass\n", ["bot.py has no `async def run(ctx)`"]),
    "run takes two": ("async def run(ctx, book):\n    pass\n", ["bot.py: run(ctx) cannot be called", "'book'"]),
    "imports what is not there": (
        "import not_there\nasync def run(ctx):\n    pass\n",
        ["bot.py: line 1: ModuleNotFoundError", "not_there"],
    ),
    "exits when loaded": ("import sys\nsys.exit(3)\n", ["bot.py: line 2: SystemExit: 3"]),
    "raises": ("async def run(ctx):\n    await ctx.sleep(5)\n    1 / 0\n", ["bot.py: line 3: ZeroDivisionError", "--debug"]),
    "raises two lines": (
        "def f():\n    raise ValueError('one\\ntwo')\nasync def run(ctx):\n    f()\n",
        ["bot.py: line 2: ValueError: one two"],
    ),
    "raises in a task": (
        "async def f():\n    {}['x']\nasync def run(ctx):\n    await ctx.spawn(f(), 'f').join()\n",
        ["bot.py: line 2: KeyError: 'x'"],
    ),
    "exits": ("async def run(ctx):\n    raise SystemExit(3)\n", ["bot.py: line 2: SystemExit: 3"]),
    "unknown market": ("async def run(ctx):\n    ctx.best('dice')\n", ["bot.py: line 2", "'dice'", "coin"]),
    "unknown side": ("async def run(ctx):\n\n    ctx.place('coin', 'bye', 0.4, 1)\n", ["bot.py: line 3", "buy, sell"]),
    "awaits asyncio": (
        "import asyncio\nasync def run(ctx):\n    await asyncio.sleep(1)\n",
        ["bot.py: line 3", "asyncio in virtual time"],
    ),
}  # fmt: skip

SETTINGS = {
    "seed": ["--set 'seed' is not KEY=VALUE"],
    "=3": ["is not KEY=VALUE"],
    "seed=x": ["seed is 'x'", "integer"],
    "colour.of=red": ["unknown key colour"],
    "data.3.format=x": ["--set data.3.format: '3' is not one of 0..0"],
    "data.x=1": ["--set data.x", "list items go by number"],
    "data.0.sources.0.x=1": ["--set data.0.sources.0.x: 0 is a value"],
    "strategy=5": ["strategy is 5", "table"],
}


def refused(done: Any, scene: Any, before: set[Path], *said: str) -> None:
    """Exit code 2, one line that says it all, and nothing new on disk."""
    lines = [line for line in done.err if "compiling the kernel" not in line]
    assert done.code == 2, done
    assert len(lines) == 1, lines
    assert lines[0].startswith("execsim: ")
    assert "Traceback" not in lines[0]
    for words in said:
        assert words in lines[0]
    assert done.out == ""
    assert scene.files() == before


@pytest.mark.parametrize(("changes", "said"), SCENARIO.values(), ids=SCENARIO)
def test_scenario(changes: dict[str, str], said: list[str], execsim: Any, scene: Any, tapes: Path) -> None:
    scene.edit("coin.toml", changes)
    before = scene.files()
    refused(execsim("run", scene.scenario, "--out", scene.out), scene, before, *said)


@pytest.mark.parametrize(("changes", "said"), BOOK.values(), ids=BOOK)
def test_recording(changes: dict[str, str], said: list[str], execsim: Any, scene: Any, tapes: Path) -> None:
    scene.edit("book.csv", changes)
    before = scene.files()
    refused(execsim("run", scene.scenario, "--out", scene.out), scene, before, *said)
    assert list(tapes.glob(".*.part")) == []


@pytest.mark.parametrize(("row", "said"), SCRIPT.values(), ids=SCRIPT)
def test_order_script(row: str, said: list[str], execsim: Any, scene: Any, tapes: Path) -> None:
    (scene.folder / "orders.csv").write_text(f"time,market,side,type,tif,price,size,amount\n{row}\n")
    before = scene.files()
    refused(execsim("run", scene.scenario, "--out", scene.out), scene, before, "orders.csv", *said)


@pytest.mark.parametrize(("source", "said"), BOT.values(), ids=BOT)
def test_strategy_file(source: str, said: list[str], execsim: Any, scene: Any, tapes: Path) -> None:
    scene.strategy(source)
    before = scene.files()
    refused(execsim("run", scene.scenario, "--out", scene.out), scene, before, *said)


@pytest.mark.parametrize(("setting", "said"), SETTINGS.items(), ids=SETTINGS)
def test_set(setting: str, said: list[str], execsim: Any, scene: Any, tapes: Path) -> None:
    before = scene.files()
    refused(execsim("run", scene.scenario, "--set", setting), scene, before, *said)


def test_an_unknown_venue_lists_the_known_before_anything_is_imported(execsim: Any, scene: Any, tapes: Path) -> None:
    scene.edit("coin.toml", {'id = "coin"\nvenue = "polymarket"': 'id = "coin"\nvenue = "kalchi"'})
    scene.edit("coin.toml", {"[venues.polymarket]": "[venues.kalchi]"})
    done = execsim("run", scene.scenario)
    assert (done.code, done.err) == (
        2,
        [
            "execsim: VenueNotSupported: venue 'kalchi' is not supported; known venues: binance, kalshi, native, polymarket"
        ],
    )
    assert not tapes.exists()


def test_one_recording_through_two_venues(execsim: Any, scene: Any, tapes: Path) -> None:
    """Its rows come through one feed, so one of the two would get the other's latency."""
    book = (scene.folder / "book.csv").read_text().splitlines()
    rows = [f"{book[0]},market", *(f"{row},{name}" for name in ("coin", "dice") for row in book[1:])]
    (scene.folder / "book.csv").write_text("\n".join(rows) + "\n")
    scene.edit("coin.toml", {'market = "coin", venue': "venue"})
    scene.edit("coin.toml", {"[venues": '[[markets]]\nid = "dice"\nvenue = "binance"\nmarket = "dice"\n\n[venues'})
    done = execsim("run", scene.scenario)
    assert done.code == 2
    assert "markets 'coin' and 'dice' of different venues are in one recording" in done.err[0]


@pytest.mark.parametrize("name", ["nowhere", ".", "", "x" * 5000, "nul\0l"])
def test_no_scenario(name: str, execsim: Any, scene: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    before = scene.files()
    refused(execsim("run", name, "--out", scene.out), scene, before, "no scenario")
    refused(execsim("show", name), scene, before, "no scenario")


def test_a_wrong_name_is_answered_with_those_there_are(execsim: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    for name in ("polymarket_btc", "scenarios/polymarket_btc"):
        assert "scenarios/polymarket_btc_5m, " in execsim("run", name).err[0]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file is empty"),
        (b"time,kind,side,price,size\n", "no rows"),
        (gzip.compress(b"time,kind,side,price,size\n" * 50)[:40], "cannot be read"),
        (b"PAR1 and then nothing", "cannot be read"),
    ],
    ids=["empty", "header only", "cut gzip", "cut parquet"],
)
def test_recording_of_nothing(content: bytes, said: str, execsim: Any, scene: Any, tapes: Path) -> None:
    (scene.folder / "book.csv").write_bytes(content)
    before = scene.files()
    refused(execsim("run", scene.scenario, "--out", scene.out), scene, before, "book.csv", said)
    done = execsim("data", "import", scene.folder / "book.csv", "--format", "generic", "-o", scene.folder / "tape")
    refused(done, scene, before, "book.csv", said)


def test_parquet_with_other_columns(execsim: Any, scene: Any) -> None:
    path = scene.folder / "book.parquet"
    pq.write_table(pa.table({"time": ["1"], "kind": ["level"], "side": ["bid"], "cost": ["0.5"], "size": ["1"]}), path)
    before = scene.files()
    done = execsim("data", "import", path, "--format", "generic", "-o", scene.folder / "tape")
    refused(done, scene, before, "book.parquet: column 'price' is missing; found: time, kind, side, cost, size")


def test_truncated_polymarket_parquet(execsim: Any, scene: Any) -> None:
    source = next(POLYMARKET.glob("*.parquet"))
    path = scene.folder / "cut.parquet"
    path.write_bytes(source.read_bytes()[:200_000])
    before = scene.files()
    done = execsim("data", "import", path, "--format", "polymarket", "-o", scene.folder / "tape")
    refused(done, scene, before, "cut.parquet", "cut short")


def test_truncated_binance_capture(execsim: Any, scene: Any) -> None:
    path = scene.folder / "cut.gz"
    path.write_bytes((BINANCE / "spot_btcusdt_20240808.gz").read_bytes()[:100_000])
    before = scene.files()
    done = execsim("data", "import", path, "--format", "binance", "-o", scene.folder / "tape")
    refused(done, scene, before, "cut.gz", "damaged or cut off")


def test_malformed_binance_line(execsim: Any, scene: Any) -> None:
    with gzip.open(BINANCE / "spot_btcusdt_20240808.gz") as file:
        lines = [next(file) for _ in range(20)]
    path = scene.folder / "capture.txt"
    path.write_bytes(b"".join([*lines[:7], b"not a line of a capture\n", *lines[8:]]))
    before = scene.files()
    done = execsim("data", "import", path, "--format", "binance", "-o", scene.folder / "tape")
    refused(done, scene, before, "capture.txt:8: malformed line", "on_error = skip")


def test_a_binance_day_without_its_snapshot(execsim: Any, scene: Any) -> None:
    path = BINANCE / "spot_btcusdt_20240809.gz"
    before = scene.files()
    done = execsim("data", "import", path, "-o", scene.folder / "tape")
    refused(done, scene, before, str(path), "market BTCUSDT without a snapshot", "import it together with the file")


SPOT = """
[[data]]
sources = ["book.csv"]
format = "generic"
options = {{ market = "BTCUSDT", instrument_kind = "spot", price_unit = "0.01", lot = "0.001", quote = "USDT" }}
[[markets]]
id = "btc"
venue = "binance"
market = "BTCUSDT"
{more}
[engine]
price_bounds = {{ btc = [0.01, 10] }}
[strategy]
name = "quoter"
"""


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("[markets.resolve]\npayoff = 1", "market btc: a spot market does not resolve; remove `resolve`"),
        ("[venues.binance]\nsets = { btc = 1 }", "venues.binance.sets: 'btc' is not a binary market of binance"),
        ("rules = { tick = 0.003 }", "market btc, rules: "),
    ],
)
def test_spot_markets(more: str, said: str, execsim: Any, scene: Any, tapes: Path) -> None:
    scene.scenario.write_text(SPOT.format(more=more))
    before = scene.files()
    refused(execsim("run", scene.scenario, "--out", scene.out), scene, before, said)


def test_a_spot_market_needs_bounds(execsim: Any, scene: Any, tapes: Path) -> None:
    scene.scenario.write_text(SPOT.format(more="").replace("price_bounds", "# price_bounds"))
    before = scene.files()
    refused(execsim("run", scene.scenario), scene, before, "spot market btc of binance has no price bounds")


@pytest.mark.parametrize("where", ["file", "file/below"])
def test_out_is_a_file(where: str, execsim: Any, scene: Any) -> None:
    (scene.folder / "file").write_text("mine")
    before = scene.files()
    done = execsim("run", scene.scenario, "--out", scene.folder / where)
    refused(done, scene, before, f"--out {scene.folder / where} is a file, or lies below one; name a directory")
    assert (scene.folder / "file").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_out_cannot_be_written(execsim: Any, scene: Any) -> None:
    closed = scene.folder / "closed"
    closed.mkdir(mode=0o500)
    before = scene.files()
    refused(execsim("run", scene.scenario, "--out", closed / "x"), scene, before, "cannot be written")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["run"], "Missing argument 'scenario' (see `execsim run --help`)"),
        (["run", "x", "--fast"], "No such option: --fast"),
        (["run", "x", "--seed", "seven"], "Invalid value for '--seed'"),
        (["rum"], "No such command 'rum'"),
        (["data"], "(see `execsim data --help`)"),
        (["data", "check", "x", "--interval-s", "0"], "Invalid value for '--interval-s'"),
    ],
)
def test_usage(args: list[str], said: str, execsim: Any, scene: Any) -> None:
    refused(execsim(*args), scene, scene.files(), said)


def test_negative_seed(execsim: Any, scene: Any) -> None:
    refused(
        execsim("run", scene.scenario, "--seed", -1), scene, scene.files(), "seed is -1", "greater than or equal to 0"
    )


@pytest.mark.parametrize("name", ["nowhere.py", "coin.toml", "."])
def test_strategy_option(name: str, execsim: Any, scene: Any, tapes: Path) -> None:
    done = execsim("run", scene.scenario, "--strategy", scene.folder / name)
    refused(done, scene, scene.files(), "ile")


def test_a_failing_run_leaves_earlier_results_alone(execsim: Any, scene: Any, tapes: Path) -> None:
    assert execsim("run", scene.scenario, "--out", scene.out).code == 0
    held = {path: path.read_bytes() for path in scene.out.iterdir()}
    (scene.folder / "bot.py").write_text("async def run(ctx):\n    await ctx.sleep(10**9)\n    1 / 0\n")
    assert execsim("run", scene.scenario, "--strategy", scene.folder / "bot.py", "--out", scene.out).code == 2
    assert {path: path.read_bytes() for path in scene.out.iterdir()} == held


def test_debug_shows_where_a_strategy_failed(execsim: Any, scene: Any, tapes: Path) -> None:
    scene.strategy("async def run(ctx):\n    1 / 0\n")
    done = execsim("run", scene.scenario, "--debug")
    assert done.code == 2
    assert done.err[0] == "Traceback (most recent call last):"
    assert done.err[-1].startswith("execsim: ConfigError: strategy bot.py: line 2: ZeroDivisionError")


def test_as_a_process(scene: Any) -> None:
    """The same through the installed command."""
    scene.edit("coin.toml", {"title": "titel"})
    done = subprocess.run(
        [Path(sys.executable).parent / "execsim", "run", scene.scenario, "--out", scene.out],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"execsim: ConfigError: {scene.scenario}: unknown key titel; known keys: agents,")
    assert done.stderr.count("\n") == 1
    assert not scene.out.parent.exists()
