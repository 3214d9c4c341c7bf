"""A paper session on the data of `execsim serve --dialect polymarket` in another process, without a key: it trades on the
served market, replays from its journal, and is taken up again when it was killed."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXECSIM = [sys.executable, "-c", "from execsim.cli import main; main()"]
RUN = [*EXECSIM, "run", "scenarios/polymarket_btc_5m", "--paper"]
GRACE_S = 120.0


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    """A served exchange, and the environment that names it and nothing else of Polymarket's."""
    arguments = ["serve", "scenarios/polymarket_btc_5m", "--dialect", "polymarket"]
    process = subprocess.Popen([*EXECSIM, *arguments], stderr=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stderr is not None
    host = next(match[0] for line in process.stderr if (match := re.search(r"http://\S+", line)))
    plain = {name: value for name, value in os.environ.items() if "POLYMARKET" not in name and name != "PK"}
    yield {**plain, "EXECSIM_POLYMARKET_HOST": host}
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=GRACE_S)
    assert process.returncode == 0


def ran(environment: dict[str, str], *command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*map(str, command)], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=GRACE_S, check=False
    )


def replayed(environment: dict[str, str], out: Path) -> dict[str, Any]:
    """Of a session whose venue is not asked again."""
    nowhere = {**environment, "EXECSIM_POLYMARKET_HOST": "http://127.0.0.1:9"}
    again = ran(nowhere, *EXECSIM, "replay-session", out, "--json")
    assert again.returncode == 0, again.stdout + again.stderr
    found: dict[str, Any] = json.loads(again.stdout)
    return found


def wait_for_orders(out: Path) -> None:
    """Until a session's journal is so long that it has traded."""

    async def look() -> None:
        async with asyncio.timeout(GRACE_S):
            while not any(path.stat().st_size > 300_000 for path in out.glob("journal.sqlite*")):
                await asyncio.sleep(0.05)

    asyncio.run(look())


def test_a_session_trades_reports_and_replays(environment: dict[str, str], tmp_path: Path) -> None:
    done = ran(environment, *RUN, "--for", "6", "--json", "-q", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    summary: dict[str, Any] = json.loads(done.stdout)
    assert (summary["mode"], summary["ended"], summary["left"]) == ("paper", "time is up", [])
    assert summary["orders"]["accepted"] > 0
    assert summary["paper"]["rows"] > 100
    assert summary["paper"]["hold_ms"] == "500"
    report = (tmp_path / "report.html").read_text()
    assert "polymarket_btc_5m · paper" in report
    assert "500 ms behind" in report
    found = replayed(environment, tmp_path)
    assert found["journal_sha256"] == summary["journal_sha256"]
    assert found["changed"] == []


def test_ctrl_c_ends_it_clean(environment: dict[str, str], tmp_path: Path) -> None:
    command = [*RUN, "--json", "-q", "--out", str(tmp_path)]
    process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    wait_for_orders(tmp_path)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=GRACE_S)
    assert process.returncode == 0
    summary = json.loads(out)
    assert (summary["ended"], summary["left"]) == ("interrupted", [])


@pytest.mark.soak  # 15 s; tests/unit/cli/test_paper.py takes one up in memory
def test_a_killed_session_is_taken_up_again(environment: dict[str, str], tmp_path: Path) -> None:
    process = subprocess.Popen([*RUN, "-q", "--out", str(tmp_path)], env=environment, cwd=ROOT)
    wait_for_orders(tmp_path)
    process.kill()
    process.wait(GRACE_S)
    done = ran(environment, *RUN, "--for", "3", "--recover", "--json", "-q", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "taken over" in done.stderr
    assert "balance" not in done.stderr
    summary = json.loads(done.stdout)
    assert summary["left"] == []
    assert summary["orders"]["accepted"] > 0
    assert replayed(environment, tmp_path)["journal_sha256"] == summary["journal_sha256"]
