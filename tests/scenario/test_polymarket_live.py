"""A live session on `execsim serve --dialect polymarket` in another process: it trades, ends clean, agrees with the venue,
and its journal replays without a key. The worked example runs there too."""

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
from polymarket_script import CREDENTIALS, SECRET

from execsim.core.order import VenueId
from execsim.net.web import WebTransport
from execsim.ports import VenueConfig
from execsim.runtime import SessionTransport, WallRuntime
from execsim_polymarket.client import PolymarketVenue
from execsim_polymarket.signing import Identity, SigningTransport, account_of

ROOT = Path(__file__).resolve().parents[2]
EXECSIM = [sys.executable, "-c", "from execsim.cli import main; main()"]
RUN = [*EXECSIM, "run", "scenarios/polymarket_btc_5m", "--live", "--yes-live"]
SLUG = "btc-updown-5m-1776263100"
GRACE_S = 120.0


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    """A served exchange: its address."""
    arguments = ["serve", "scenarios/polymarket_btc_5m", "--dialect", "polymarket"]
    process = subprocess.Popen([*EXECSIM, *arguments], stderr=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stderr is not None
    found = next(match[0] for line in process.stderr if (match := re.search(r"http://\S+", line)))
    yield found
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=GRACE_S)
    assert process.returncode == 0


def ran(host: str, *command: str | Path, key: bool = True) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if "POLYMARKET" not in name}
    environment["EXECSIM_POLYMARKET_HOST"] = host
    if key:
        environment["EXECSIM_POLYMARKET_PRIVATE_KEY"] = SECRET
    return subprocess.run(
        [*map(str, command)], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=GRACE_S, check=False
    )


def held(host: str) -> dict[str, int]:
    """What the account has there now."""
    runtime = WallRuntime(0)

    async def ask() -> dict[str, int]:
        account = account_of(CREDENTIALS)
        transport = SessionTransport(runtime, SigningTransport(WebTransport(host), account))
        extra = {"identity": Identity.of(account).plain(), "markets": {"btc-up": SLUG}}
        venue = PolymarketVenue(VenueConfig(VenueId("polymarket"), extra=extra), transport, runtime)
        await venue.start()
        found = dict(await venue.balances())
        assert await venue.get_open_orders() == []
        await venue.aclose()
        await transport.aclose()
        return found

    found = runtime.run(main=ask())
    assert found is not None
    return found


def wait_for_orders(out: Path) -> None:
    """Until a session's journal is so long that it has traded."""

    async def look() -> None:
        async with asyncio.timeout(GRACE_S):
            while not any(path.stat().st_size > 100_000 for path in out.glob("journal.sqlite*")):
                await asyncio.sleep(0.05)

    asyncio.run(look())


def net_of(held: dict[str, int]) -> int:
    return held["btc-up:YES"] - held["btc-up:NO"]


def test_the_worked_example(host: str) -> None:
    done = ran(host, sys.executable, "scenarios/place_order.py", SLUG, "--price", "0.02", "--size", "6", "--yes-live")
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == [
        "balances", "placed", "status", "position", "open", "not",
    ]  # fmt: skip


def test_doctor_finds_nothing_wrong(host: str) -> None:
    done = ran(host, *EXECSIM, "doctor", "polymarket", "--json")
    assert done.returncode == 0, done.stdout
    assert {item["grade"] for item in json.loads(done.stdout)["checks"]} == {"ok"}


def test_a_session_agrees_with_the_venue_and_replays(host: str, tmp_path: Path) -> None:
    before = held(host)
    done = ran(host, *RUN, "--for", "5", "--json", "-q", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    summary: dict[str, Any] = json.loads(done.stdout)
    assert summary["left"] == []
    assert summary["orders"]["accepted"] > 0
    after = held(host)
    assert net_of(after) - net_of(before) == round(float(summary["positions"]["btc-up"]["net"]) * 1_000_000)
    again = ran(host, *EXECSIM, "replay-session", tmp_path, "--json", key=False)
    assert again.returncode == 0, again.stdout
    replayed = json.loads(again.stdout)
    assert replayed["journal_sha256"] == summary["journal_sha256"]
    assert SECRET[2:].encode() not in (tmp_path / "journal.sqlite").read_bytes()


def test_ctrl_c_cancels_and_says_that_nothing_is_left(host: str, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if "POLYMARKET" not in name}
    environment |= {"EXECSIM_POLYMARKET_HOST": host, "POLYMARKET_PK": SECRET}
    process = subprocess.Popen(
        [*RUN, "--json", "-q", "--out", str(tmp_path)], env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True
    )

    wait_for_orders(tmp_path)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=GRACE_S)
    assert process.returncode == 0
    summary = json.loads(out)
    assert (summary["ended"], summary["left"]) == ("interrupted", [])
    held(host)


@pytest.mark.soak  # 20 s; tests/crash kills sessions of the native dialect in every run
def test_a_killed_session_is_taken_up_again(host: str, tmp_path: Path) -> None:
    """Its orders are known by hashes made anew from the journal; what was filled meanwhile is booked."""
    before = held(host)
    environment = {name: value for name, value in os.environ.items() if "POLYMARKET" not in name}
    environment |= {"EXECSIM_POLYMARKET_HOST": host, "POLYMARKET_PK": SECRET}
    process = subprocess.Popen([*RUN, "-q", "--out", str(tmp_path)], env=environment, cwd=ROOT)
    wait_for_orders(tmp_path)
    process.kill()
    process.wait(GRACE_S)
    done = ran(host, *RUN, "--for", "2", "--recover", "--json", "-q", "--out", tmp_path)
    assert "taken over" in done.stderr
    summary = json.loads(done.stdout)
    # killed between the journal's intent and the sending: the venue has 30 s to accept an order, the session only 2
    assert {order["status"] for order in summary["left"]} <= {"unknown"}
    assert done.returncode == (1 if summary["left"] else 0), done.stderr
    assert net_of(held(host)) - net_of(before) == round(float(summary["positions"]["btc-up"]["net"]) * 1_000_000)
    assert ran(host, *EXECSIM, "replay-session", tmp_path, key=False).returncode == 0
