"""`--paper` against a scripted Polymarket over sockets: only public data is asked for, fills are simulated, the journal
replays, is taken up again, and is never that of a live session."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from polymarket_news import CID
from polymarket_peer import PeerVenue, live_venue

from tests.unit.cli.conftest import SCENARIOS, Execsim

NAMES = ("EXECSIM_POLYMARKET_", "POLYMARKET_", "PK", "CLOB_")
PUBLIC = {"GET /time", "GET /clob-markets"}
STRATEGY = """
async def run(ctx):
    market = ctx.markets[0]
    async for top in ctx.top(market):
        if top.two_sided:
            break
    taken = ctx.place_i(market, "buy", top.ask_i, 10_000_000)
    async for update in ctx.updates(market):
        if update.order.id == taken.id and update.after.value == "filled":
            break
    ctx.place_i(market, "buy", top.bid_i - 100, 10_000_000)
    await ctx.sleep(3_600_000_000_000)
"""
SCENARIO = f"""
title = "two orders"
[[markets]]
id = "rain"
venue = "polymarket"
market = "{CID}"
[venues.polymarket]
balances = {{ pUSD = 100 }}
sets = {{ rain = 20 }}
entry = {{ model = "constant", ms = 30 }}
response = {{ model = "constant", ms = 10 }}
[paper]
hold_ms = 150
[strategy]
file = "two.py"
"""


@pytest.fixture
def venue(monkeypatch: pytest.MonkeyPatch) -> Iterator[PeerVenue]:
    """A scripted venue; no key is in the environment."""
    for name in list(os.environ):
        if name.startswith(NAMES):
            monkeypatch.delenv(name)
    with live_venue() as (found, environment):
        for name, value in environment.items():
            if name.startswith("EXECSIM_"):
                monkeypatch.setenv(name, value)
        yield found


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    (tmp_path / "two.py").write_text(STRATEGY)
    path = tmp_path / "two.toml"
    path.write_text(SCENARIO)
    return path


def summary_of(out: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(out[out.index("{") :])
    return found


def asked(venue: PeerVenue) -> set[str]:
    """Methods and first parts of paths of every request."""
    return {f"{request.method} /{request.path.split('?')[0].split('/')[1]}" for request in venue.requests}


def test_a_session_asks_for_public_data_only_and_its_fills_are_simulated(
    venue: PeerVenue, scenario: Path, execsim: Execsim, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = execsim("run", scenario, "--paper", "--for", "2", "--json", "--out", out)
    assert done.code == 0, done.err
    assert "orders stay here; 150 ms behind" in "\n".join(done.err)
    summary = summary_of(done.out)
    assert summary["mode"] == "paper"
    assert summary["ended"] == "time is up"
    assert summary["left"] == []
    assert (summary["orders"]["accepted"], summary["orders"]["filled"], summary["orders"]["cancelled"]) == (2, 1, 1)
    assert summary["positions"]["rain"]["net"] == "10"
    assert (summary["fills"]["count"], list(summary["fills"]["by_cause"])) == (1, ["taker_walk"])
    assert summary["paper"]["hold_ms"] == "150"
    assert summary["paper"]["gaps"] == 0
    assert any("150 ms behind" in sentence for sentence in summary["assumptions"])
    # an answer is never there before the hold: at the venue after 30 ms, known 150 ms later
    assert summary["metrics"]["exec.latency_ms"]["p50"] >= 180

    assert asked(venue) == PUBLIC
    assert not venue.orders
    assert [message.get("type") for message in venue.heard] == ["market"]  # the one channel that was joined
    assert "paper" in (out / "report.html").read_text()

    again = execsim("replay-session", out, "--json")
    assert again.code == 0, again.out
    assert summary_of(again.out)["journal_sha256"] == summary["journal_sha256"]


def test_it_is_taken_up_where_it_ended(venue: PeerVenue, scenario: Path, execsim: Execsim, tmp_path: Path) -> None:
    """As if the first had been killed: its resting order is gone at the simulated venue, its money and tokens are not."""
    out = tmp_path / "out"
    first = execsim("run", scenario, "--paper", "--for", "2", "--json", "--out", out)
    before = summary_of(first.out)
    kill_in_the_record(out / "journal.sqlite")
    idle = tmp_path / "idle.py"
    idle.write_text("async def run(ctx):\n    await ctx.sleep(3_600_000_000_000)\n")
    done = execsim("run", scenario, "--paper", "--for", "2", "--recover", "--json", "--out", out, "--strategy", idle)
    assert done.code == 0, done.err
    assert "taken over" in "\n".join(done.err)
    summary = summary_of(done.out)
    assert summary["positions"]["rain"]["net"] == before["positions"]["rain"]["net"] == "10"
    assert summary["left"] == []
    assert not any("balance" in line for line in done.err), done.err
    again = execsim("replay-session", out, "--json")
    assert again.code == 0, again.out


def kill_in_the_record(path: Path) -> None:
    """Cut a journal off before its orders were cancelled at the end."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        (first,) = db.execute("SELECT min(seq) FROM events WHERE kind = 'kill'").fetchone()
        db.execute("DELETE FROM events WHERE seq >= ?", (first,))
        db.execute("DELETE FROM meta WHERE key = 'session.ended'")


@pytest.mark.parametrize(("first", "second"), [("paper", "live"), ("live", "paper")])
def test_paper_and_live_never_share_a_file(
    venue: PeerVenue, scenario: Path, execsim: Execsim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str,
    second: str,
) -> None:  # fmt: skip
    from polymarket_script import SECRET

    monkeypatch.setenv("POLYMARKET_PK", SECRET)
    out = tmp_path / "out"
    limits = "risk.policies=[{type='DailyLoss',max_loss_usd=5}]"
    options = {"paper": ["--paper"], "live": ["--live", "--yes-live", "--set", limits]}
    assert execsim("run", scenario, *options[first], "--for", "1", "-q", "--out", out).code == 0
    held = (out / "journal.sqlite").read_bytes()
    done = execsim("run", scenario, *options[second], "--for", "1", "-q", "--recover", "--out", out)
    assert done.code == 2
    assert f"is the record of a session of mode {first}, this one is of mode {second}" in done.err[-1]
    assert (out / "journal.sqlite").read_bytes() == held


def test_an_older_journal_is_none_of_paper(venue: PeerVenue, scenario: Path, execsim: Execsim, tmp_path: Path) -> None:
    """Before there was paper trading, journals did not say their mode."""
    out = tmp_path / "out"
    assert execsim("run", scenario, "--paper", "--for", "1", "-q", "--out", out).code == 0
    with closing(sqlite3.connect(out / "journal.sqlite", isolation_level=None)) as db:
        db.execute("DELETE FROM meta WHERE key = 'session.mode'")
    done = execsim("run", scenario, "--paper", "-q", "--recover", "--out", out)
    assert done.code == 2
    assert "a session not of mode paper" in done.err[-1]


def test_what_does_not_go_together(scenario: Path, execsim: Execsim) -> None:
    for other in ("--live", "--native=127.0.0.1:7400"):
        done = execsim("run", scenario, "--paper", other)
        assert done.code == 2
        assert "--paper" in done.err[-1]
        assert "are different places to trade; name one" in done.err[-1]
    done = execsim("run", scenario, "--paper", "--yes-live")
    assert "--yes-live is the consent to --live" in done.err[-1]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["venues.polymarket.balances={}", "venues.polymarket.sets={}"], "venues.polymarket.balances is empty"),
        (["venues.polymarket.balances={ gold = 3 }"], "no asset 'gold'"),
        (["venues.polymarket.sets={ rain = 500 }"], "500 sets cost 500 pUSD"),
        (["paper.hold_ms=-1"], "paper.hold_ms is"),
        (["paper.hold_ms=6000"], "paper.hold_ms is"),
        (["paper.hold_ms=soon"], "paper.hold_ms is"),
    ],
)
def test_what_is_wrong_is_said(
    venue: PeerVenue, scenario: Path, execsim: Execsim, tmp_path: Path, settings: list[str], said: str
) -> None:
    given = [part for setting in settings for part in ("--set", setting)]
    done = execsim("run", scenario, "--paper", "--for", "1", "--out", tmp_path / "out", *given)
    assert done.code == 2
    assert said in done.err[-1]
    assert "Traceback" not in "\n".join(done.err)


def test_venues_without_live_data_and_markets_of_agents(execsim: Execsim, tmp_path: Path) -> None:
    done = execsim("run", SCENARIOS / "binance_btcusdt.toml", "--paper", "--out", tmp_path / "a")
    assert done.code == 2
    assert "there is no live market data of binance" in done.err[-1]
    done = execsim("run", SCENARIOS / "agents_binary.toml", "--paper", "--out", tmp_path / "b")
    assert done.code == 2
    assert "agents make their own market" in done.err[-1]
    done = execsim("run", SCENARIOS / "two_venues.toml", "--paper", "--out", tmp_path / "c")
    assert done.code == 2
    assert "a session at a venue has one" in done.err[-1]


def test_nobody_there(scenario: Path, execsim: Execsim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXECSIM_POLYMARKET_HOST", "http://127.0.0.1:9")
    done = execsim("run", scenario, "--paper", "--for", "1", "--out", tmp_path / "out")
    assert done.code == 2
    assert "NetworkError" in done.err[-1]
    assert not (tmp_path / "out").exists()


def test_show_names_the_hold(scenario: Path, execsim: Execsim) -> None:
    for name, hold_ms in ((scenario, 150), (SCENARIOS / "handwritten", 500)):
        assert Decimal(execsim("show", name).out.split("[paper]\nhold_ms = ")[1].split()[0]) == hold_ms
