"""Sessions in wall time between real processes: an exchange that serves a small market, and bots that trade there."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

HANDWRITTEN = Path(__file__).resolve().parents[2] / "scenarios" / "handwritten.toml"
EXECSIM = [sys.executable, "-c", "from execsim.cli import main; main()"]

QUOTER = '''
"""Rests a bid, moves it with every beat, takes now and then. NAIVE: dies of a refusal; FAIL_AT: dies at that beat."""
import os

from execsim import ExecError

async def run(ctx):
    bid, beats = None, 0
    async for _ in ctx.every(50_000_000):
        beats += 1
        if beats == int(os.environ.get("FAIL_AT", "0")):
            raise RuntimeError("told to")
        try:
            if bid is not None and bid.is_active:
                await ctx.cancel_and_wait(bid)
            bid = await ctx.submit("coin", "buy", "0.47", 10 + beats % 3, type="post_only")
        except ExecError:
            if "NAIVE" in os.environ:
                raise
        if beats % 3 == 0:
            ctx.place("coin", "buy", "0.53", 1, tif="ioc")
        if beats % 5 == 0:
            ctx.place("coin", "buy", "0.481", 10)  # off the tick: refused here
'''


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Exchange:
    """A server, its address, and a folder with the scenario and a strategy."""

    address: str
    scenario: Path
    strategy: Path

    def command(self, out: Path, *args: object) -> list[str]:
        given = map(str, args)
        trade = ["run", str(self.scenario), "--strategy", str(self.strategy), "--native", self.address]
        return [*EXECSIM, *trade, "--account", out.name, "--out", str(out), *given]

    def run(self, out: Path, *args: object, **environ: str) -> Done:
        return finished(self.begin(out, *args, **environ))

    def begin(self, out: Path, *args: object, **environ: str) -> subprocess.Popen[str]:
        return popen(self.command(out, *args), environ)


def popen(command: list[str], environ: dict[str, str] | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **(environ or {})}
    )


def finished(process: subprocess.Popen[str]) -> Done:
    try:
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
        process.wait()
    return Done(process.returncode, out, err)


def replay(journal: Path, *args: str) -> Done:
    """`execsim replay-session` in a process of its own."""
    return finished(popen([*EXECSIM, "replay-session", str(journal), *args]))


@contextmanager
def served(folder: Path) -> Iterator[Exchange]:
    """The handwritten market, with one row more two hours later: it lasts. Everything is made in `folder`."""
    strategy = folder / "quoter.py"
    strategy.write_text(QUOTER)
    scenario = folder / "market.toml"
    shutil.copy(HANDWRITTEN, scenario)
    data = folder / "data" / "handwritten"
    shutil.copytree(HANDWRITTEN.parent / "data" / "handwritten", data)
    with (data / "book.csv").open("a") as file:
        file.write("2026-01-05T14:00:00.000Z,level,ask,0.51,36\n")
    with serving(scenario, "--no-latency") as address:
        yield Exchange(address, scenario, strategy)


@contextmanager
def serving(scenario: Path, *args: str) -> Iterator[str]:
    """The address of an exchange in another process."""
    server = popen([*EXECSIM, "serve", str(scenario), *args])
    assert server.stderr is not None
    try:
        address, heard = None, ""
        while address is None:
            line = server.stderr.readline()
            assert line, f"the exchange did not come up: {heard}"
            heard += line
            found = re.search(r"serving native on (\S+)", line)
            address = found[1] if found else None
        yield address
    finally:
        server.send_signal(signal.SIGINT)
        server.communicate(timeout=30)


def wait_for_rows(journal: Path, rows: int, process: subprocess.Popen[str]) -> None:
    """Until so many rows are on disk, in a file another process writes."""
    for _ in range(1_200):
        assert process.poll() is None, finished(process)
        if journal.exists():
            with suppress(sqlite3.OperationalError), closing(_read_only(journal)) as db:
                if db.execute("SELECT count(*) FROM events").fetchone()[0] >= rows:
                    return
        time.sleep(0.05)
    raise AssertionError(f"{journal} never held {rows} rows")


def _read_only(journal: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{journal.resolve().as_uri()}?mode=ro", uri=True)
