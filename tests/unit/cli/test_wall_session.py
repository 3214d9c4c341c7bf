"""What `run --native` and `replay-session` refuse. What they do: tests/conformance/test_sessions.py."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.unit.cli.conftest import SCENARIOS, Execsim

SCENARIO = SCENARIOS / "handwritten.toml"


@pytest.fixture
def nobody() -> str:
    """An address where nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{taken.getsockname()[1]}"


@pytest.mark.parametrize("address", ["7400", "127.0.0.1", ":7400", "host:port", "127.0.0.1:0", "127.0.0.1:99999"])
def test_an_address_that_is_none_is_refused(execsim: Execsim, tmp_path: Path, address: str) -> None:
    done = execsim("run", SCENARIO, "--native", address, "--out", tmp_path)
    assert done.code == 2
    assert done.err == [
        f"execsim: ConfigError: --native {address!r} is not HOST:PORT; e.g. 127.0.0.1:7400, as `execsim serve` prints it"
    ]


def test_a_session_without_a_place_for_its_journal_is_refused(execsim: Execsim, nobody: str) -> None:
    done = execsim("run", SCENARIO, "--native", nobody)
    assert done.code == 2
    assert "a session in wall time keeps a journal; name a directory: --out DIR" in done.err[0]


def test_an_exchange_that_is_not_there_is_told_and_leaves_no_journal(
    execsim: Execsim, tmp_path: Path, nobody: str
) -> None:
    out = tmp_path / "out"
    done = execsim("run", SCENARIO, "--native", nobody, "--out", out)
    assert done.code == 2
    assert "NetworkError: polymarket: cannot connect" in done.err[0]
    assert not out.exists()


def test_seconds_are_for_sessions_only(execsim: Execsim) -> None:
    done = execsim("run", SCENARIO, "--for", "3")
    assert done.code == 2
    assert "--for is for sessions in wall time; add --native HOST:PORT" in done.err[0]


def test_a_backtests_journal_cannot_be_replayed_and_says_why(execsim: Execsim, tmp_path: Path) -> None:
    assert execsim("run", SCENARIO, "--out", tmp_path / "backtest", "--quiet").code == 0
    for journal in (tmp_path / "backtest", tmp_path / "backtest" / "journal.sqlite"):
        done = execsim("replay-session", journal)
        assert done.code == 2
        assert "holds no recorded session: only runs in wall time" in done.err[0]


@pytest.mark.parametrize(("text", "said"), [(None, "no such journal"), ("no journal", "is no execsim journal")])
def test_what_is_no_journal_is_refused(execsim: Execsim, tmp_path: Path, text: str | None, said: str) -> None:
    path = tmp_path / "journal.sqlite"
    if text is not None:
        path.write_text(text)
    done = execsim("replay-session", path)
    assert done.code == 2
    assert said in done.err[0]
