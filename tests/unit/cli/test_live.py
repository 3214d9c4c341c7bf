"""`--live` and `doctor` against a scripted Polymarket over sockets: what must stand before an order, a session, and its
replay without any key."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from polymarket_news import CID, YES
from polymarket_peer import PeerVenue, live_venue
from polymarket_script import SECRET, said

from execsim.cli import live as live_cli
from execsim.observe.masks import mask, reveal_all

ADDRESS = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
NAMES = ("EXECSIM_POLYMARKET_", "POLYMARKET_", "PK", "CLOB_")
STRATEGY = """
async def run(ctx):
    market = ctx.markets[0]
    async for top in ctx.top(market):
        if top.two_sided:
            break
    order = ctx.place(market, "buy", size=10, price="0.50")
    async for update in ctx.updates(market):
        if update.after.value == "working":
            break
    print("PLACED", order.status.value, top.bid_i)
"""
SCENARIO = f"""
title = "one order"
[[markets]]
id = "rain"
venue = "polymarket"
market = "{CID}"
[strategy]
file = "one.py"
[risk]
policies = [{{ type = "PositionLimit", max_size = 100 }}]
"""


@pytest.fixture
def venue(monkeypatch: pytest.MonkeyPatch) -> Iterator[PeerVenue]:
    """A scripted venue, and no other name of Polymarket's in the environment."""
    import os

    for name in list(os.environ):
        if name.startswith(NAMES):
            monkeypatch.delenv(name)
    with live_venue() as (found, environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        yield found
    reveal_all()


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    (tmp_path / "one.py").write_text(STRATEGY)
    path = tmp_path / "one.toml"
    path.write_text(SCENARIO)
    return path


def test_doctor_says_what_it_found(venue: PeerVenue, execsim: Any) -> None:
    done = execsim("doctor", "polymarket")
    assert done.code == 0, done.out
    grades = {line.split(":")[0].split(None, 1)[1]: line[:4].strip() for line in done.out.splitlines()[1:]}
    checks = "key funder host clock version geoblock login account balance allowances open orders limits user channel"
    assert set(grades) >= {"key", "clock", "version", "login", "allowances", "open orders", "user channel"}
    assert set(grades.values()) == {"ok"}, done.out
    assert len(grades) == len(checks.split()) - 2
    assert ADDRESS in done.out
    assert "POLYMARKET_PK" in done.out
    assert SECRET[2:] not in done.out + "".join(done.err)
    assert not venue.orders


@pytest.mark.parametrize(
    ("call", "answer", "check"),
    [
        ("GET /version", said(200, {"version": 3}), "version"),
        ("GET /ok", said(503, {"error": "Service is not ready"}), "host"),
        ("GET /auth/ban-status/closed-only", said(200, {"closed_only": True}), "account"),
        ("GET /balance-allowance", said(200, {"balance": "5", "allowances": {}}), "allowances"),
        ("GET /time", said(500, {"error": "x"}), "clock"),
    ],
)
def test_doctor_fails_by_name(venue: PeerVenue, execsim: Any, call: str, answer: Any, check: str) -> None:
    venue.refuse[call] = [answer]
    done = execsim("doctor", "polymarket", "--json")
    assert done.code == 1
    found = json.loads(done.out)
    assert not found["ok"]
    assert [item["check"] for item in found["checks"] if item["grade"] == "fail"] == [check]


def test_what_a_login_gives_out_is_masked_from_then_on(venue: PeerVenue, execsim: Any) -> None:
    assert execsim("doctor", "polymarket").code == 0
    said_by_a_library = "headers the-api-key c2VjcmV0LXNlY3JldA== the-passphrase"
    assert mask(said_by_a_library) == "headers *** *** ***"


def test_doctor_without_a_key(venue: PeerVenue, execsim: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POLYMARKET_PK")
    done = execsim("doctor", "polymarket")
    assert done.code == 2
    assert "EXECSIM_POLYMARKET_PRIVATE_KEY" in done.err[0]


def test_a_bad_key_is_not_repeated(venue: PeerVenue, execsim: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POLYMARKET_PK", "0xdeadbeefdeadbeef")
    done = execsim("doctor", "polymarket")
    assert done.code == 2
    assert "deadbeef" not in "".join(done.err)


def test_no_consent_no_session(venue: PeerVenue, scenario: Path, execsim: Any, tmp_path: Path) -> None:
    done = execsim("run", scenario, "--live", "--out", tmp_path / "out")
    assert done.code == 2
    assert "--yes-live" in done.err[-1]
    assert not venue.orders


def test_no_limits_no_session(venue: PeerVenue, scenario: Path, execsim: Any, tmp_path: Path) -> None:
    done = execsim("run", scenario, "--live", "--yes-live", "--out", tmp_path / "out", "--set", "risk.policies=[]")
    assert done.code == 2
    assert "risk limits" in done.err[-1]
    assert not venue.requests


@pytest.mark.parametrize(
    "policy",
    [
        "{ type = 'KillSwitch', enabled = false }",
        "{ type = 'StaleData', max_age_s = 5 }",
        "{ type = 'OrderRate', max_orders = 5, per_s = 1 }",
    ],
)
def test_a_policy_that_limits_nothing_is_no_limit(
    venue: PeerVenue, scenario: Path, execsim: Any, tmp_path: Path, policy: str
) -> None:
    done = execsim("run", scenario, "--live", "--yes-live", "--set", f"risk.policies=[{policy}]")
    assert done.code == 2
    assert "nothing limits what may be lost in rain" in done.err[-1]
    assert not venue.requests


def test_the_limit_of_one_market_is_none_of_another(venue: PeerVenue, tmp_path: Path, execsim: Any) -> None:
    two = SCENARIO.replace(
        "[strategy]", f'[[markets]]\nid = "snow"\nvenue = "polymarket"\nmarket = "{CID}"\n[strategy]'
    )
    (tmp_path / "one.py").write_text(STRATEGY)
    path = tmp_path / "two.toml"
    path.write_text(two.replace("max_size = 100", 'max_size = 100, market_id = "rain"'))
    done = execsim("run", path, "--live", "--yes-live")
    assert done.code == 2
    assert "may be lost in snow;" in done.err[-1]
    assert not venue.requests


def test_a_failed_check_is_no_session(venue: PeerVenue, scenario: Path, execsim: Any, tmp_path: Path) -> None:
    venue.refuse["GET /version"] = [said(200, {"version": 3})]
    done = execsim("run", scenario, "--live", "--yes-live", "--out", tmp_path / "out")
    assert done.code == 2
    assert "checks failed: version" in done.err[-1]


@pytest.mark.parametrize("option", ["--yes-live", "--for=1"])
def test_options_of_live_need_it(scenario: Path, execsim: Any, option: str) -> None:
    done = execsim("run", scenario, option)
    assert done.code == 2
    assert "--live" in done.err[-1]


def test_without_live_such_a_scenario_does_not_run(scenario: Path, execsim: Any, venue: PeerVenue) -> None:
    done = execsim("run", scenario)
    assert done.code == 2
    assert "no market data" in done.err[-1]
    assert not venue.requests


def test_a_session_and_its_replay_without_a_key(
    venue: PeerVenue, scenario: Path, execsim: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    done = execsim("run", scenario, "--live", "--yes-live", "--for", "1", "--json", "--out", out)
    assert done.code == 0, done.err
    assert "PLACED working 5100" in done.out
    summary = json.loads(done.out[done.out.index("{") :])
    assert summary["left"] == []
    (row,) = venue.orders.values()
    assert (row["price"], row["status"]) == ("0.5000", "CANCELED")
    held = (out / "journal.sqlite").read_bytes()
    for secret in (SECRET[2:], "the-api-key", "the-passphrase", "c2VjcmV0LXNlY3JldA"):
        assert secret.encode() not in held
    monkeypatch.delenv("POLYMARKET_PK")
    again = execsim("replay-session", out, "--json")
    assert again.code == 0, again.out
    replayed = json.loads(again.out[again.out.index("{") :])
    assert replayed["equal"]
    assert replayed["journal_sha256"] == summary["journal_sha256"]


@pytest.mark.parametrize(("level", "told"), [((), True), (("--log-level", "error"), False)])
def test_notes_to_be_watched_are_told_unless_asked_otherwise(
    venue: PeerVenue, scenario: Path, execsim: Any, tmp_path: Path, level: tuple[str, ...], told: bool
) -> None:
    stranger = "0x" + "cc" * 32
    venue.orders[stranger] = {
        "id": stranger, "status": "LIVE", "owner": "", "maker_address": ADDRESS, "market": CID, "asset_id": YES,
        "side": "BUY", "original_size": "5", "size_matched": "0", "price": "0.1", "outcome": "Yes", "expiration": "0",
        "order_type": "GTC", "created_at": 1_790_000_000, "associate_trades": [],
    }  # fmt: skip
    done = execsim("run", scenario, "--live", "--yes-live", "--for", "1", "--out", tmp_path / "out", *level)
    assert any(f"order {stranger} of the account was not placed here" in line for line in done.err) == told, done.err


def test_the_journal_names_the_hash(venue: PeerVenue, scenario: Path, execsim: Any, tmp_path: Path) -> None:
    execsim("run", scenario, "--live", "--yes-live", "--for", "1", "--quiet", "--out", tmp_path / "out")
    with sqlite3.connect(tmp_path / "out" / "journal.sqlite") as db:
        text = "\n".join(str(row) for row in db.iterdump())
    db.close()
    (name,) = venue.orders
    assert name in text


def test_consent_is_typed_on_a_terminal(
    venue: PeerVenue, scenario: Path, execsim: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal:
        def isatty(self) -> bool:
            return True

        def readline(self) -> str:
            return "yes\n"

    monkeypatch.setattr(live_cli.sys, "stdin", Terminal())  # type: ignore[attr-defined]
    done = execsim("run", scenario, "--live", "--out", tmp_path / "out")
    assert done.code == 2
    assert "consent was not given" in done.err[-1]
    assert not venue.orders
