"""`execsim run` when all is well: what it prints, what it writes, and how it stops."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from execsim.journal import digest_of, read
from execsim.tape.store import load_manifest

TABLES = {"equity.parquet", "fills.parquet", "orders.parquet", "positions.parquet"}
FILES = {*TABLES, "journal.sqlite", "report.html", "trace.sqlite"}
NAMES = ("orders", "fills", "positions", "equity")

INTERRUPTS = """
import os, signal
async def run(ctx):
    await ctx.sleep(2_000_000_000)
    os.kill(os.getpid(), signal.SIGINT)
    await ctx.sleep(2_000_000_000)
"""


def quiet(done: Any) -> list[str]:
    """Lines on stderr besides that of the first compilation on a machine."""
    return [line for line in done.err if "compiling the kernel" not in line]


def test_json_is_all_there_is_on_stdout(execsim: Any, scene: Any, tapes: Path) -> None:
    done = execsim("run", scene.scenario, "--json")
    assert done.code == 0
    assert quiet(done) == []
    summary = json.loads(done.out)
    assert (summary["scenario"], summary["mode"], summary["seed"]) == ("coin", "backtest", 7)


def test_a_table_for_people(execsim: Any, scene: Any, tapes: Path) -> None:
    done = execsim("run", scene.scenario)
    assert done.code == 0
    assert quiet(done) == []
    for words in ("coin · backtest · seed 7", "queue drained", "journal", "sha256"):
        assert words in done.out


def test_out_holds_readable_files(execsim: Any, scene: Any, tapes: Path) -> None:
    done = execsim("run", scene.scenario, "--out", scene.out, "--json")
    assert done.code == 0
    assert quiet(done) == [f"execsim: wrote {scene.out / 'report.html'} and the tables beside it"]
    summary = json.loads(done.out)
    assert {path.name for path in scene.out.iterdir()} == FILES
    assert list(scene.folder.rglob(".execsim-*")) == []
    tables = {name: pq.read_table(scene.out / f"{name}.parquet") for name in NAMES}
    ids = tables["orders"].column("order_id").to_pylist()
    assert len(set(ids)) == len(ids) == summary["orders"]["submitted"]
    assert set(tables["fills"].column("order_id").to_pylist()) <= set(ids)
    assert tables["fills"].num_rows == summary["fills"]["count"]
    assert tables["positions"].num_rows == len(summary["positions"])
    assert tables["equity"].num_rows > 0
    rows = list(read(scene.out / "journal.sqlite"))
    assert {row.order_id for row in rows if row.order_id} == set(ids)
    assert digest_of(rows) == summary["journal_sha256"]
    assert "<html" in (scene.out / "report.html").read_text()


def test_a_second_run_replaces_the_first(execsim: Any, scene: Any, tapes: Path) -> None:
    assert execsim("run", scene.scenario, "--out", scene.out, "-q").code == 0
    before = (scene.out / "fills.parquet").read_bytes()
    (scene.out / "notes.txt").write_text("mine")
    scene.edit("orders.csv", {"0.49,10,": "0.49,9,"})
    done = execsim("run", scene.scenario, "--out", scene.out, "-q", "--json")
    assert done.err == []
    assert digest_of(read(scene.out / "journal.sqlite")) == json.loads(done.out)["journal_sha256"]
    assert (scene.out / "fills.parquet").read_bytes() != before
    assert {path.name for path in scene.out.iterdir()} == {*FILES, "notes.txt"}


def test_a_run_without_a_journal_leaves_none_of_an_earlier_one(execsim: Any, scene: Any, tapes: Path) -> None:
    assert execsim("run", scene.scenario, "--out", scene.out).code == 0
    assert execsim("run", scene.scenario, "--out", scene.out, "--set", "journal.mode=off").code == 0
    assert {path.name for path in scene.out.iterdir()} == FILES - {"journal.sqlite", "trace.sqlite"}


@pytest.mark.parametrize("mode", ["full", "batched", "off"])
def test_journal_modes_give_one_hash(mode: str, execsim: Any, scene: Any, tapes: Path) -> None:
    plain = json.loads(execsim("run", scene.scenario, "--json").out)["journal_sha256"]
    kept = execsim("run", scene.scenario, "--json", "--set", f"journal.mode={mode}", "--out", scene.out)
    assert json.loads(kept.out)["journal_sha256"] == plain


def test_options_reach_the_run(execsim: Any, scene: Any, tapes: Path) -> None:
    done = execsim("run", scene.scenario, "--seed", 11, "--set", "venues.polymarket.entry.ms=60", "--json")
    summary = json.loads(done.out)
    assert summary["seed"] == 11
    assert summary["latency_ns"]["entry"]["p50"] == 60_000_000


def test_a_strategy_of_ones_own(execsim: Any, scene: Any, tapes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fifteen lines anywhere on disk, by option and by scenario, named from where one stands."""
    folder = scene.folder / "my bots"
    folder.mkdir()
    source = '''"""Buys at the best bid, waits, and sells what it got at the best ask."""

SIZE = 10


async def run(ctx):
    market = ctx.markets[0]
    async for top in ctx.top(market):
        if top.bid_i is not None and top.ask_i is not None:
            break
    order = ctx.place_i(market, "buy", top.bid_i, ctx.instrument(market).grid.lots(SIZE))
    async for update in ctx.updates():
        if update.order is order and order.is_terminal:
            break
    ctx.place_i(market, "sell", ctx.best(market).ask_i, order.filled_lots)
'''
    assert len(source.splitlines()) == 15
    (folder / "bot.py").write_text(source)
    monkeypatch.chdir(folder)
    by_option = json.loads(execsim("run", scene.scenario, "--strategy", "bot.py", "--json").out)
    scene.edit("coin.toml", {'orders = "orders.csv"': 'file = "my bots/bot.py"'})
    by_scenario = json.loads(execsim("run", scene.scenario, "--json").out)
    assert by_option["journal_sha256"] == by_scenario["journal_sha256"]
    assert by_option["orders"]["submitted"] >= 1


def test_defects_of_a_recording_are_counted_not_fatal(execsim: Any, scene: Any, tapes: Path) -> None:
    scene.edit("book.csv", {"05.000Z,trade,sell,0.49,30": "01.500Z,trade,sell,0.49,30", "buy,0.51,25": "buy,0.51,0"})
    done = execsim("run", scene.scenario, "--json")
    defects = json.loads(done.out)["defects"]
    assert (defects["time_backwards"], defects["trade_empty"]) == (1, 1)
    assert "trade empty" in execsim("run", scene.scenario).out


def test_paths_with_brackets_are_paths(execsim: Any, scene: Any, tapes: Path) -> None:
    """rich would read [bold] as markup."""
    tape = scene.folder / "[bold]tape"
    done = execsim("data", "import", scene.folder / "book.csv", "-o", tape)
    assert f"{tape}: 12 rows of format generic" in done.out
    assert f"{tape}: 12 rows, coverage 1" in execsim("data", "check", tape).out


def test_data_verbs(execsim: Any, scene: Any) -> None:
    tape = scene.folder / "tape"
    assert execsim("data", "import", scene.folder / "book.csv", "-o", tape, "--option", "tick=0.01").code == 0
    info = json.loads(execsim("data", "info", tape, "--json").out)
    assert (info["rows"], info["markets"][0]["tick"]) == (12, "0.01") == (12, load_manifest(tape).markets[0].tick)
    assert json.loads(execsim("data", "check", tape, "--json").out)["ok"] is True
    assert "generic (version" in execsim("data", "formats").out


def test_a_tape_replays_like_its_recording(execsim: Any, scene: Any, tapes: Path) -> None:
    recorded = json.loads(execsim("run", scene.scenario, "--json").out)
    tape = next(path for path in tapes.iterdir() if path.is_dir())
    scene.edit("coin.toml", {'sources = ["book.csv"]\nformat = "generic"\n': f'tape = "{tape}"\n#'})
    taped = json.loads(execsim("run", scene.scenario, "--json").out)
    assert taped["journal_sha256"] == recorded["journal_sha256"]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda tape: tape.mkdir(), "tape: not a tape; execsim data import"),
        (lambda tape: tape.write_text("rows"), "tape: not a tape"),
        (lambda tape: None, "tape: no such tape"),
        (lambda tape: (tape.mkdir(), (tape / "manifest.json").write_text('{"rows": 1')), "unreadable manifest; import"),
        (lambda tape: (tape.mkdir(), (tape / "manifest.json").write_text("{}")), "schema version None"),
    ],
    ids=["folder", "file", "nothing", "cut manifest", "empty manifest"],
)
@pytest.mark.parametrize("verb", ["check", "info"])
def test_what_is_no_tape(verb: str, make: Any, said: str, execsim: Any, scene: Any) -> None:
    make(scene.folder / "tape")
    done = execsim("data", verb, scene.folder / "tape")
    assert (done.code, len(done.err), done.out) == (2, 1, "")
    assert said in done.err[0]


def test_a_manifest_that_is_not_that_of_its_rows(execsim: Any, scene: Any) -> None:
    tape = scene.folder / "tape"
    execsim("data", "import", scene.folder / "book.csv", "-o", tape)
    manifest = (tape / "manifest.json").read_text()
    (tape / "manifest.json").write_text(manifest.replace('"rows": 12', '"rows": 13'))
    assert "12 rows, the manifest says 13; import the recording again" in execsim("data", "check", tape).err[0]
    (tape / "manifest.json").write_text(manifest)
    rows = (tape / "rows.parquet").read_bytes()
    (tape / "rows.parquet").write_bytes(rows[: len(rows) // 2])
    done = execsim("data", "check", tape)
    assert done.code == 2
    assert "rows.parquet: truncated or unreadable parquet" in done.err[0]


@pytest.mark.parametrize("target", ["folder", "file"])
def test_an_import_overwrites_nothing_but_tapes(target: str, execsim: Any, scene: Any) -> None:
    path = scene.folder / target
    if target == "folder":
        path.mkdir()
        (path / "mine").write_text("mine")
    else:
        path.write_text("mine")
    before = scene.files()
    done = execsim("data", "import", scene.folder / "book.csv", "-o", path)
    assert done.code == 2
    assert done.err == [
        f"execsim: ConfigError: {path} exists and is not a tape; name another output, nothing was overwritten"
    ]
    assert scene.files() == before


def test_import_options(execsim: Any, scene: Any) -> None:
    source, tape = scene.folder / "book.csv", scene.folder / "tape"
    for option, said in (("tick", "--option 'tick' is not KEY=VALUE"), ("tik=1", "no option 'tik'")):
        done = execsim("data", "import", source, "-o", tape, "--option", option)
        assert done.code == 2
        assert said in done.err[0]
        assert not tape.exists()


def test_an_interrupted_run(execsim: Any, scene: Any, tapes: Path) -> None:
    scene.strategy(INTERRUPTS)
    before = scene.files()
    done = execsim("run", scene.scenario, "--out", scene.out)
    assert (done.code, quiet(done), done.out) == (130, ["execsim: interrupted, nothing was written"], "")
    assert scene.files() == before


def test_an_interrupted_process(scene: Any) -> None:
    scene.strategy(INTERRUPTS)
    before = scene.files()
    done = subprocess.run(
        [Path(sys.executable).parent / "execsim", "run", scene.scenario, "--out", scene.out],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert done.returncode == 128 + signal.SIGINT
    lines = [line for line in done.stderr.splitlines() if "compiling" not in line]
    assert lines == ["execsim: interrupted, nothing was written"]
    assert done.stdout == ""
    assert scene.files() == before
