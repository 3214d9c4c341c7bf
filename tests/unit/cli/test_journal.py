"""`execsim journal fold` and `export`: the tables of a run, from its journal alone."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from execsim.journal import SqliteJournal

OF_THE_RUN = {
    "orders": [],
    "fills": ["grade"],
    "positions": ["mark", "mark_i", "unrealised", "unrealised_units", "net", "net_units"],
}
"""Columns that need market data, or the recording's grades, by table."""


@pytest.fixture
def played(scene: Any, execsim: Any) -> Path:
    """The folder of a run that traded."""
    assert execsim("run", scene.scenario, "--out", scene.out, "-q").code == 0
    return Path(scene.out)


def table(path: Path) -> pd.DataFrame:
    return pd.read_parquet(path)


def test_the_tables_are_those_of_the_run(played: Path, execsim: Any, tmp_path: Path) -> None:
    done = execsim("journal", "export", played / "journal.sqlite", "--out", tmp_path / "x")
    assert done.code == 0
    assert [line.split("/")[-1] for line in done.err] == ["orders.parquet", "fills.parquet", "positions.parquet"]
    for name, missing in OF_THE_RUN.items():
        ours, theirs = table(tmp_path / "x" / f"{name}.parquet"), table(played / f"{name}.parquet")
        assert len(ours) == len(theirs) > 0
        pd.testing.assert_frame_equal(ours.drop(columns=missing), theirs.drop(columns=missing))
        described = pq.read_schema(tmp_path / "x" / f"{name}.parquet")
        assert described.equals(pq.read_schema(played / f"{name}.parquet"))


def test_csv_has_the_same_columns(played: Path, execsim: Any, tmp_path: Path) -> None:
    execsim("journal", "export", played / "journal.sqlite", "-o", tmp_path / "x", "--format", "csv")
    for name in OF_THE_RUN:
        read = pd.read_csv(tmp_path / "x" / f"{name}.csv", dtype=str)
        assert list(read.columns) == list(table(played / f"{name}.parquet").columns)
        assert len(read) == len(table(played / f"{name}.parquet"))


def test_the_object_says_everything_in_exact_text(played: Path, execsim: Any) -> None:
    told = json.loads(execsim("journal", "fold", played / "journal.sqlite", "--json").out)
    orders, fills, positions = (table(played / f"{name}.parquet") for name in OF_THE_RUN)
    assert [row["order_id"] for row in told["orders"]] == list(orders["order_id"])
    assert [row["cash"] for row in told["fills"]] == list(fills["cash"])
    assert [row["realised"] for row in told["positions"]] == list(positions["realised"])
    assert all(isinstance(value, str) for row in told["pnl"].values() for value in row.values())
    assert all(isinstance(value, str) for value in told["cash"].values())
    assert (told["kill"], told["rows"]) == (None, told["rows"])
    assert "positions" in execsim("journal", "fold", played / "journal.sqlite").out


def test_a_journal_that_is_still_written_and_one_that_was_killed(played: Path, execsim: Any, tmp_path: Path) -> None:
    """What is committed is seen, and the files stay as they are."""
    path = tmp_path / "live.sqlite"
    shutil.copyfile(played / "journal.sqlite", path)
    journal = SqliteJournal(path, "full", append=True)
    journal.write("kill", 7, "", {"reason": "enough"})
    journal.flush()
    journal.write("kill", 8, "", {"reason": "not committed"})
    killed = tmp_path / "killed"
    killed.mkdir()
    for name in ("live.sqlite", "live.sqlite-wal"):
        shutil.copyfile(tmp_path / name, killed / name)
    for file in (path, killed / "live.sqlite"):
        before = {name: Path(f"{file}{name}").read_bytes() for name in ("", "-wal")}
        told = json.loads(execsim("journal", "fold", file, "--json").out)
        assert told["kill"] == "enough"
        assert len(told["orders"]) == len(table(played / "orders.parquet"))
        assert "enough" in execsim("journal", "fold", file).out
        assert {name: Path(f"{file}{name}").read_bytes() for name in before} == before
    journal.close()


def test_an_empty_journal_has_empty_tables(execsim: Any, tmp_path: Path) -> None:
    SqliteJournal(tmp_path / "j").close()
    assert json.loads(execsim("journal", "fold", tmp_path / "j", "--json").out)["orders"] == []
    assert "no rows yet" in execsim("journal", "fold", tmp_path / "j").out
    assert execsim("journal", "export", tmp_path / "j", "-o", tmp_path / "x").code == 0
    assert len(table(tmp_path / "x" / "orders.parquet")) == 0


@pytest.mark.parametrize("verb", [["fold"], ["export", "--out", "x"]])
def test_what_is_no_journal_is_refused_in_one_line(execsim: Any, tmp_path: Path, verb: list[str]) -> None:
    (tmp_path / "text").write_text("hello")
    with closing(sqlite3.connect(tmp_path / "other.sqlite")) as db:
        db.execute("CREATE TABLE events (x)")
    SqliteJournal(tmp_path / "odd").close()
    with closing(sqlite3.connect(tmp_path / "odd")) as db:
        db.execute("INSERT INTO events VALUES (1, 0, 'dance', '', '{}')")
        db.commit()
    for name, said in {
        "none": "no such journal",
        "text": "is no execsim journal",
        "other.sqlite": "is no execsim journal",
        "odd": "row 1 (dance) cannot be: ValueError: this execsim knows no such row",
    }.items():
        done = execsim("journal", verb[0], tmp_path / name, *verb[1:])
        assert (done.code, done.out, len(done.err)) == (2, "", 1)
        assert name in done.err[0]
        assert said in done.err[0]
