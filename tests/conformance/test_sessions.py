"""A recorded session runs again from its journal: equal to the last byte, or the first difference is shown."""

from __future__ import annotations

import json
import re
import shutil
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from session_bots import Done, Exchange, finished, replay, served, wait_for_rows

from execsim import cli
from execsim.journal import digest_of, read


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with served(tmp_path_factory.mktemp("exchange")) as exchange:
        yield exchange


@pytest.fixture(scope="module")
def session(exchange: Exchange, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one whole session of three seconds."""
    out = tmp_path_factory.mktemp("sessions") / "whole"
    done = exchange.run(out, "--for", 3, "--json", "--quiet")
    assert done.code == 0, done.err
    summary = json.loads(done.out)
    assert summary["ended"] == "time is up"
    assert summary["left"] == []
    assert summary["orders"]["accepted"] > 5
    assert summary["orders"]["rejected"] > 0
    assert summary["fills"]["count"] > 0
    assert summary["journal_sha256"] == digest_of(read(out / "journal.sqlite"))
    return out


@pytest.fixture
def replay_here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """`execsim replay-session` in this process: the same code, without the seconds a new one takes to come up."""

    def call(*args: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["execsim", "replay-session", *map(str, args)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit:
            cli.main()
        held = capsys.readouterr()
        return Done(int(exit.value.code or 0), held.out, held.err)

    return call


@pytest.fixture
def copy(session: Path, tmp_path: Path) -> Path:
    """A journal to spoil."""
    return Path(shutil.copy(session / "journal.sqlite", tmp_path / "journal.sqlite"))


def test_a_session_over_the_native_dialect_replays_with_equal_hash(session: Path) -> None:
    for suffix in ("orders.parquet", "fills.parquet", "report.html"):
        assert (session / suffix).stat().st_size > 0
    done = replay(session)
    rows = list(read(session / "journal.sqlite"))
    told = re.fullmatch(r"equal: (\d+) inputs, (\d+) requests, (\d+) rows, sha256 (\w+) \(.* s\)\n", done.out)
    assert told is not None, done
    assert (done.code, int(told[3]), told[4]) == (0, len(rows), digest_of(rows))
    with closing(sqlite3.connect(session / "journal.sqlite")) as db:
        assert int(told[1]) == db.execute("SELECT count(*) FROM inputs").fetchone()[0]
        assert int(told[2]) == db.execute("SELECT count(*) FROM outputs").fetchone()[0]


@pytest.mark.parametrize(
    ("spoil", "shown"),
    [
        (
            "UPDATE events SET body = replace(body, '4700', '4800') "
            "WHERE seq = (SELECT min(seq) FROM events WHERE kind = 'intent')",
            r"differs at row \d+;.*expected:.*4800.*got:.*4700",
        ),
        ("UPDATE events SET ts_ns = ts_ns + 1 WHERE seq = 6", "differs at row 6;"),
        ("DELETE FROM events WHERE seq = (SELECT max(seq) FROM events)", "expected: no more rows"),
        (
            "UPDATE outputs SET body = CAST(replace(CAST(body AS TEXT), 'hello', 'howdy') AS BLOB) WHERE number = 1",
            "differs at output 1;",
        ),
        ("DELETE FROM inputs WHERE number = (SELECT max(number) FROM inputs)", "the replay waits for more"),
        (
            "INSERT INTO inputs SELECT number + 1, t_ns, 'clock', '', x'' FROM inputs ORDER BY number DESC LIMIT 1",
            "the run has ended",
        ),
        (
            "UPDATE inputs SET t_ns = t_ns + 7 WHERE number = (SELECT input FROM outputs WHERE number = 12)",
            r"differs at (row|output) \d+;",
        ),
    ],
)
def test_a_tampered_journal_shows_the_first_difference(
    copy: Path, spoil: str, shown: str, replay_here: Callable[..., Done]
) -> None:
    with closing(sqlite3.connect(copy)) as db:
        assert db.execute(spoil).rowcount == 1
        db.commit()
    done = replay_here(copy)
    assert done.code == 1, done
    assert re.search(shown, done.out, re.DOTALL), done.out
    assert re.search(r"while working on input \d+ \(\w+.*\) at \d+ ns, 2026-01-05 ", done.out)
    assert "got" in done.out


def test_the_difference_is_there_for_machines_too(copy: Path, replay_here: Callable[..., Done]) -> None:
    with closing(sqlite3.connect(copy)) as db:
        db.execute("UPDATE events SET kind = 'else' WHERE seq = 3")
        db.commit()
    done = replay_here(copy, "--json")
    told = json.loads(done.out)
    assert (done.code, told["equal"], told["rows"]) == (1, False, 2)
    assert told["difference"]["what"] == "row 3"
    assert told["difference"]["expected"]["kind"] == "else"
    assert told["difference"]["got"]["seq"] == 3


def test_a_strategy_that_changed_since_is_named(
    copy: Path, exchange: Exchange, replay_here: Callable[..., Done]
) -> None:
    before = exchange.strategy.read_text()
    try:
        exchange.strategy.write_text(before.replace('"0.47"', '"0.46"'))
        done = replay_here(copy)
    finally:
        exchange.strategy.write_text(before)
    assert done.code == 1
    assert f"{exchange.strategy} has changed since the session" in done.err
    assert "differs at" in done.out


def test_a_killed_session_replays_up_to_its_last_commit(
    exchange: Exchange, tmp_path: Path, replay_here: Callable[..., Done]
) -> None:
    out = tmp_path / "killed"
    process = exchange.begin(out, "--quiet")
    wait_for_rows(out / "journal.sqlite", 30, process)
    process.send_signal(signal.SIGKILL)
    assert finished(process).code == -signal.SIGKILL
    rows = list(read(out / "journal.sqlite"))
    done = replay_here(out)
    assert done.code == 0, done
    assert f"{len(rows)} rows, sha256 {digest_of(rows)}" in done.out
    assert "the session was killed" in done.out


@pytest.mark.parametrize(("number", "environ"), [(signal.SIGINT, {"NAIVE": "1"}), (signal.SIGTERM, {})])
def test_ctrl_c_cancels_all_and_says_what_is_left(
    exchange: Exchange,
    tmp_path: Path,
    number: int,
    environ: dict[str, str],
    replay_here: Callable[..., Done],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / f"interrupted-{number:d}"
    process = exchange.begin(out, "--quiet", "--json", **environ)
    wait_for_rows(out / "journal.sqlite", 20, process)
    process.send_signal(number)
    done = finished(process)
    summary = json.loads(done.out)
    assert (done.code, summary["ended"], summary["left"]) == (0, "interrupted", [])
    kinds = [row.kind for row in read(out / "journal.sqlite")]
    assert "kill" in kinds
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    again = replay_here(out)
    assert again.out.startswith("equal: "), again


def test_a_failing_strategy_leaves_no_orders_and_fails_again(
    exchange: Exchange, tmp_path: Path, replay_here: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "failing"
    done = exchange.run(out, "--quiet", FAIL_AT="4")
    assert done.code == 2
    assert "strategy quoter.py: line 12: RuntimeError: told to" in done.err
    rows = list(read(out / "journal.sqlite"))
    resting = {row.order_id for row in rows if row.kind == "ack"}
    assert resting <= {row.order_id for row in rows if row.kind in ("gone", "fill", "lapse")}
    monkeypatch.setenv("FAIL_AT", "4")
    again = replay_here(out)
    assert again.out.startswith("equal: "), again


@pytest.fixture
def switched(exchange: Exchange, tmp_path: Path) -> Iterator[Path]:
    """A session that is killed by its kill file, and ended by Ctrl-C."""
    out = tmp_path / "switched"
    process = exchange.begin(out, "--quiet", "--json", "--set", "risk.watch_s=0.1")
    wait_for_rows(out / "journal.sqlite", 10, process)
    (out / "kill").write_text("enough\n")
    yield out
    process.send_signal(signal.SIGINT)
    done = finished(process)
    assert done.code == 0, done.err


def test_the_kill_file_of_a_session_is_an_input(switched: Path, replay_here: Callable[..., Done]) -> None:
    for _ in range(600):
        kills = [row for row in read(switched / "journal.sqlite") if row.kind == "kill"]
        if kills:
            break
        time.sleep(0.05)
    assert "enough" in kills[0].body["reason"]
    (switched / "kill").unlink()
    done = replay_here(switched)  # the session still runs: what is on disk replays
    assert done.out.startswith("equal: "), done


def test_a_journal_is_never_overwritten(session: Path, exchange: Exchange) -> None:
    before = (session / "journal.sqlite").read_bytes()
    done = exchange.run(session)
    assert done.code == 2
    assert "holds the record of another session" in done.err
    assert (session / "journal.sqlite").read_bytes() == before
