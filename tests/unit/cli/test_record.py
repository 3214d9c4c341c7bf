"""`execsim record` against `execsim serve`, processes over sockets: the tape, kill -9, a server that comes back."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from execsim.tape.check import check_tape
from execsim.tape.schema import Manifest
from execsim.tape.store import load_manifest

ROOT = Path(__file__).resolve().parents[3]
EXECSIM = [sys.executable, "-c", "from execsim.cli import main; main()"]
GRACE_S = 100.0
STARTED = '"gap":"recording started"'
BOT = """
async def run(ctx):
    market = ctx.markets[0]
    async for top in ctx.top(market):
        if top.two_sided:
            print("SEEN", top.bid_i)
            return
"""


class Process:
    """Something of execsim, running; `said` is its stderr until it has ended."""

    def __init__(self, *arguments: object) -> None:
        self.said = ""
        self.process = subprocess.Popen(
            [*EXECSIM, *map(str, arguments)], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        )

    def until(self, start: str) -> str:
        """The first line that starts so."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said += line
            if line.startswith(start):
                return line.strip()
        raise AssertionError(f"it ended: {self.said}")

    def end(self, number: signal.Signals = signal.SIGINT) -> tuple[int, str]:
        """(exit code, stdout)."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            out, said = self.process.communicate(timeout=GRACE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        self.said += said
        return self.process.returncode, out


class Server(Process):
    def __init__(self, port: int = 0) -> None:
        super().__init__(
            "serve", "scenarios/agents_binary", "--dialect", "polymarket", "--port", port, "--speed", 4, "--quiet"
        )
        found = re.search(r"http://127\.0\.0\.1:\d+", self.until("execsim: serving"))
        assert found is not None
        self.url = found[0]

    def condition(self) -> str:
        with urllib.request.urlopen(f"{self.url}/markets", timeout=GRACE_S) as answer:
            return str(json.load(answer)["data"][0]["condition_id"])


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    found = Server()
    yield found
    found.end()


Record = Callable[..., Process]


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Record]:
    """Start recording to tmp_path / "tape"."""
    running: list[Process] = []

    def start(server: Server, *more: object) -> Process:
        running.append(Process("record", "polymarket", *more, "-o", tmp_path / "tape", "--host", server.url, "--json"))
        return running[-1]

    yield start
    for process in running:
        process.end(signal.SIGKILL)


def lines(segment: Path, text: str) -> int:
    return segment.read_text().count(text) if segment.exists() else 0


def wait_for(segment: Path, text: str, count: int, process: Process) -> None:
    """Until the segment holds so many lines with that text."""
    end_s = time.monotonic() + GRACE_S
    while lines(segment, text) < count:
        assert process.process.poll() is None, process.end()
        assert time.monotonic() < end_s, f"no {count} times {text} in {segment}"
        time.sleep(0.02)


def is_right(tape: Path) -> Manifest:
    """The manifest of a tape whose every hash and best price is right."""
    report = check_tape(tape, 60)
    assert report.ok, report.failures
    manifest = load_manifest(tape)
    for oracle in ("book_hash", "change_hash", "best_price"):
        assert manifest.checks[f"{oracle}_ok"] == manifest.checks[f"{oracle}_checked"] > 0
    return manifest


def test_a_recording_is_a_tape_and_is_imported_alike(
    server: Server, record: Record, tmp_path: Path, execsim: Any
) -> None:
    frames = tmp_path / "tape.frames"
    process = record(server, "agents", "--raw")
    wait_for(frames / "0001.jsonl", '"raw_text"', 40, process)
    code, out = process.end()
    assert code == 0, process.said
    assert "ending: making the tape" in process.said
    manifest = is_right(tmp_path / "tape")
    told = json.loads(out)
    assert (told["rows"], told["gaps"]) == (manifest.rows, 0)
    assert told["bytes"] == (frames / "0001.jsonl").stat().st_size
    assert manifest.markets[0].market == server.condition()
    assert manifest.markets[0].extra["slug"] == "agents"
    assert not [note for note in manifest.notes if "assumed" in note]

    again = execsim("data", "import", frames, "-o", tmp_path / "again")
    assert again.code == 0, again.err
    for name in ("rows.parquet", "manifest.json"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "tape" / name).read_bytes()

    assert execsim("data", "info", tmp_path / "tape").code == 0
    assert execsim("data", "check", tmp_path / "tape").code == 0
    (tmp_path / "bot.py").write_text(BOT)
    (tmp_path / "run.toml").write_text(
        'title = "a recording"\n[[data]]\ntape = "tape"\n[[markets]]\nid = "rain"\nvenue = "polymarket"\nmarket = "agents"\n'
        '[strategy]\nfile = "bot.py"\n'
    )
    ran = execsim("run", tmp_path / "run.toml", "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    assert "SEEN" in ran.out


def test_killed_and_taken_up_again(server: Server, record: Record, tmp_path: Path, execsim: Any) -> None:
    """kill -9 while it writes, a torn line, two more starts: one tape, a gap for each kill, and no frames are left."""
    frames, market = tmp_path / "tape.frames", server.condition()
    for number in (1, 2):
        process = record(server, market)
        segment = frames / f"{number:04}.jsonl"
        wait_for(segment, '"raw_text"', 25, process)
        assert process.end(signal.SIGKILL)[0] == -signal.SIGKILL
        with segment.open("ab") as file:  # as a kill within a write leaves it
            file.write(b'{"raw_text":"[{\\"event_type\\":\\"price_ch')
    whole = [segment.read_bytes().rpartition(b"\n")[0] + b"\n" for segment in sorted(frames.glob("*.jsonl"))]
    assert not (tmp_path / "tape").exists()
    process = record(server, market)
    wait_for(frames / "0003.jsonl", '"raw_text"', 25, process)
    assert [(frames / f"000{n}.jsonl").read_bytes() for n in (1, 2)] == whole
    code, out = process.end()
    assert code == 0, process.said
    manifest = is_right(tmp_path / "tape")
    assert [source.name for source in manifest.sources] == ["0001.jsonl", "0002.jsonl", "0003.jsonl"]
    assert all(source.rows for source in manifest.sources)
    assert [gap.why for gap in manifest.gaps] == ["recording started"] * 2
    assert all(gap.start_ns < gap.end_ns for gap in manifest.gaps)
    assert "malformed_row" not in manifest.defects
    assert json.loads(out)["frames"] is None
    assert not frames.exists()
    refused = execsim("record", "polymarket", market, "-o", tmp_path / "tape", "--host", server.url)
    assert refused.code == 2
    assert "name another output" in refused.err[0]


def test_only_finish_what_a_killed_recording_left(server: Server, record: Record, tmp_path: Path) -> None:
    process = record(server, "agents")
    wait_for(tmp_path / "tape.frames" / "0001.jsonl", '"raw_text"', 10, process)
    process.end(signal.SIGKILL)
    code, out = record(server, "--raw").end(signal.SIGCONT)
    assert code == 0
    assert json.loads(out)["lines"] == 0
    assert is_right(tmp_path / "tape").gaps == []
    assert (tmp_path / "tape.frames" / "0001.jsonl").exists()


def test_two_cannot_write_one_recording(server: Server, record: Record, tmp_path: Path, execsim: Any) -> None:
    process = record(server, "agents")
    wait_for(tmp_path / "tape.frames" / "0001.jsonl", '"raw_text"', 1, process)
    refused = execsim("record", "polymarket", "agents", "-o", tmp_path / "tape", "--host", server.url)
    assert refused.code == 2
    assert "another process" in refused.err[0]
    assert lines(tmp_path / "tape.frames" / "0001.jsonl", STARTED) == 1


def test_a_server_that_goes_and_comes_back_is_a_gap(record: Record, tmp_path: Path) -> None:
    segment = tmp_path / "tape.frames" / "0001.jsonl"
    first = Server()
    port = int(first.url.rpartition(":")[2])
    process = record(first, first.condition(), "--raw")
    wait_for(segment, '"raw_text"', 25, process)
    first.end(signal.SIGKILL)
    wait_for(segment, '"gap":"connection lost"', 1, process)
    second = Server(port)
    heard = lines(segment, '"raw_text"')
    wait_for(segment, '"raw_text"', heard + 25, process)
    code, _ = process.end()
    second.end()
    assert code == 0, process.said
    manifest = is_right(tmp_path / "tape")
    assert [gap.why for gap in manifest.gaps] == ["connection lost"]
    assert len(manifest.sources) == 1
    assert manifest.ts_first_ns < manifest.gaps[0].start_ns < manifest.gaps[0].end_ns < manifest.ts_last_ns


def test_what_cannot_be_recorded(execsim: Any, tmp_path: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    away = execsim("record", "polymarket", "0x" + "ab" * 32, "-o", tmp_path / "tape", "--host", url)
    assert away.code == 2
    assert "NetworkError" in away.err[-1]
    assert list(tmp_path.iterdir()) == []
    other = execsim("record", "kalshi", "X", "-o", tmp_path / "tape")
    assert other.code == 2
    assert "polymarket" in other.err[0]
    (tmp_path / "tape").mkdir()
    (tmp_path / "tape" / "mine").write_text("mine")
    foreign = execsim("record", "polymarket", "X", "-o", tmp_path / "tape")
    assert foreign.code == 2
    assert "not a tape" in foreign.err[0]
    assert [path.name for path in tmp_path.iterdir()] == ["tape"]
