"""The file of what came into a hosted run: it holds, it belongs to one, and what is no such file is named."""

from __future__ import annotations

import os
import sqlite3
import stat
from pathlib import Path

import pytest

from execsim.core.errors import ConfigError, JournalError
from execsim.journal import InputFile
from execsim.journal.inputs import NAME
from execsim.ports import HostInput

ABOUT = {"seed": "7", "dialect": "polymarket"}
ITEMS = [HostInput(n, 10 * n, "request", "venue", f'["GET","/{n}"]', bytes([n])) for n in range(1, 200)]


def filled(folder: Path, items: list[HostInput] = ITEMS) -> None:
    kept = InputFile(folder, ABOUT)
    for item in items:
        kept.append(item)
    kept.flush()
    kept.close()


def test_what_was_flushed_is_there_again_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "state"
    first = InputFile(folder, ABOUT)
    for item in ITEMS[:100]:
        first.append(item)
    assert first.waiting
    first.flush()
    first.append(ITEMS[100])
    first.close()  # as a kill
    second = InputFile(folder, ABOUT)
    assert (second.count, list(second.inputs())) == (100, ITEMS[:100])
    second.append(ITEMS[100])
    second.flush()
    assert list(second.inputs()) == ITEMS[:101]
    second.close()
    second.close()
    with pytest.raises(JournalError, match="is closed"):
        second.flush()
    assert stat.S_IMODE((folder / NAME).stat().st_mode) == 0o600


def test_how_far_time_has_come_is_one_entry(tmp_path: Path) -> None:
    def at(t_ns: int) -> HostInput:
        return HostInput(t_ns, t_ns, "time")

    first = InputFile(tmp_path, ABOUT)
    for item in (ITEMS[0], at(11), at(12)):
        first.append(item)
    first.flush()
    first.append(at(13))
    first.flush()
    assert (first.count, list(first.inputs())) == (2, [ITEMS[0], at(13)])
    first.close()
    second = InputFile(tmp_path, ABOUT)
    for item in (at(14), ITEMS[1], at(15)):
        second.append(item)
    second.flush()
    assert (second.count, list(second.inputs())) == (4, [ITEMS[0], at(14), ITEMS[1], at(15)])
    second.close()


def test_one_process_at_a_time(tmp_path: Path) -> None:
    first = InputFile(tmp_path, ABOUT)
    with pytest.raises(JournalError, match="is in use: another server has it open"):
        InputFile(tmp_path, ABOUT)
    first.close()
    InputFile(tmp_path, ABOUT).close()


def test_another_run_is_named(tmp_path: Path) -> None:
    filled(tmp_path)
    with pytest.raises(ConfigError, match="its seed was 7, it is 8 now"):
        InputFile(tmp_path, {**ABOUT, "seed": "8"})
    with pytest.raises(ConfigError, match="its fee was nothing, it is 1 now"):
        InputFile(tmp_path, {**ABOUT, "fee": "1"})
    with pytest.raises(ConfigError, match="its dialect was polymarket, it is nothing now"):
        InputFile(tmp_path, {"seed": "7"})


def test_foreign_files_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_bytes(b"not a database at all, " * 100)
    with pytest.raises(JournalError, match="is no state of a server, or damaged: file is not a database"):
        InputFile(tmp_path, ABOUT)
    path.unlink()
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE mine (x)")
    db.close()
    before = path.read_bytes()
    with pytest.raises(JournalError, match="is a database of something else"):
        InputFile(tmp_path, ABOUT)
    assert path.read_bytes() == before
    path.unlink()
    path.mkdir()
    with pytest.raises(JournalError, match="cannot open"):
        InputFile(tmp_path, ABOUT)
    with pytest.raises(JournalError, match="cannot open"):
        InputFile(Path(os.devnull) / "state", ABOUT)


def test_a_file_that_was_begun_and_not_made_is_made(tmp_path: Path) -> None:
    (tmp_path / NAME).touch()
    filled(tmp_path)
    assert len(list(InputFile(tmp_path, ABOUT).inputs())) == len(ITEMS)


def test_torn_and_tampered_files_are_named(tmp_path: Path) -> None:
    filled(tmp_path)
    path = tmp_path / NAME
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(JournalError, match="damaged"):
        InputFile(tmp_path, ABOUT)
    path.write_bytes(whole)
    tamper(path, "UPDATE inputs SET body = x'00' WHERE number = 17")
    kept = InputFile(tmp_path, ABOUT)
    with pytest.raises(JournalError, match="entry 17 is damaged"):
        list(kept.inputs())
    kept.close()
    tamper(path, "DELETE FROM inputs WHERE number = 17")
    with pytest.raises(JournalError, match="1 of 199 entries are missing"):
        InputFile(tmp_path, ABOUT)
    tamper(path, "PRAGMA user_version = 9")
    with pytest.raises(JournalError, match="has version 9, this execsim reads 1"):
        InputFile(tmp_path, ABOUT)


def tamper(path: Path, sql: str) -> None:
    db = sqlite3.connect(path)
    db.execute(sql)
    db.commit()
    db.close()


def test_a_full_disk_ends_it(tmp_path: Path) -> None:
    kept = InputFile(tmp_path, ABOUT)
    kept._db.execute("PRAGMA max_page_count = 16")
    kept.append(ITEMS[0])
    kept.flush()
    kept.append(HostInput(2, 2, "request", body=bytes(1 << 18)))
    with pytest.raises(JournalError, match=r"full.*it ends at entry 1"):
        kept.flush()
    kept.append(ITEMS[1])
    with pytest.raises(JournalError, match="it ends at entry 1"):
        kept.flush()
    kept.close()
    again = InputFile(tmp_path, ABOUT)
    assert list(again.inputs()) == ITEMS[:1]
    again.close()
