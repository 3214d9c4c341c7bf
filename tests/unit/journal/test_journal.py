from __future__ import annotations

import shutil
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from execsim.core.errors import ConfigError, JournalError
from execsim.core.order import OrderId
from execsim.journal import BATCH_ROWS, HashJournal, JournalRow, SqliteJournal, digest_of, discard, opened, read
from execsim.journal.sqlite import OF_ORDER, UNSYNCED_ROWS_MAX
from execsim.ports import Journal, OrderArchive

ROWS: list[tuple[str, int, str, dict[str, Any]]] = [
    ("intent", 100, "o-1", {"side": "buy", "price_i": 4800, "lots": 5_000_000, "tag": None, "post_only": True}),
    ("fill", 101, "o-1", {"fills": [{"lots": 2**70, "cash": "-2.4"}], "text": "ünïcode\n|\x00"}),
    ("gap", 101, "", {}),
]


def fill(journal: Journal) -> str:
    for kind, ts_ns, order_id, body in ROWS:
        journal.write(kind, ts_ns, order_id, body)
    digest = journal.digest()
    journal.close()
    return digest


def test_the_digest_is_the_same_in_every_mode_and_from_the_file(tmp_path: Path) -> None:
    digests = {fill(HashJournal())}
    for mode in ("full", "batched"):
        digests.add(fill(SqliteJournal(tmp_path / mode, mode)))
        digests.add(digest_of(read(tmp_path / mode)))
    assert len(digests) == 1


def test_rows_come_back_as_written(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "journal.sqlite"
    fill(SqliteJournal(path))
    assert list(read(path)) == [JournalRow(n + 1, ts, kind, oid, body) for n, (kind, ts, oid, body) in enumerate(ROWS)]
    assert sorted(p.name for p in path.parent.iterdir()) == ["journal.sqlite"]  # the WAL is folded in


def test_full_is_on_disk_when_flush_returns(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "j", "full")
    for n in range(3):
        journal.write("intent", 2 * n, "", {})
        journal.write("ack", 2 * n + 1, "", {})
        assert len(list(read(tmp_path / "j"))) == 2 * n
        journal.flush()
        assert len(list(read(tmp_path / "j"))) == 2 * n + 2
    journal.flush()
    assert journal.commits == 3  # two rows shared each of them, and nothing needs none
    with closing(sqlite3.connect(tmp_path / "j")) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    journal.close()


def test_batched_commits_by_the_batch_and_at_close(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "j")
    for n in range(BATCH_ROWS - 1):
        journal.write("row", n, "", {"n": n})
    assert list(read(tmp_path / "j")) == []
    journal.write("row", 0, "", {})
    assert sum(1 for _ in read(tmp_path / "j")) == BATCH_ROWS
    journal.write("row", 0, "", {})
    journal.close()
    journal.close()
    assert sum(1 for _ in read(tmp_path / "j")) == BATCH_ROWS + 1 == journal.rows


def test_an_existing_file_is_never_overwritten(tmp_path: Path) -> None:
    fill(SqliteJournal(tmp_path / "j"))
    with pytest.raises(JournalError, match=r"j; exists already; choose another file or remove it"):
        SqliteJournal(tmp_path / "j")
    discard(tmp_path / "j")
    discard(tmp_path / "j")
    fill(SqliteJournal(tmp_path / "j"))


def test_append_continues_numbers_and_digest(tmp_path: Path) -> None:
    whole = HashJournal()
    for kind, ts_ns, order_id, body in ROWS * 2:
        whole.write(kind, ts_ns, order_id, body)
    fill(SqliteJournal(tmp_path / "j"))
    assert fill(SqliteJournal(tmp_path / "j", append=True)) == whole.digest()
    assert [row.seq for row in read(tmp_path / "j")] == [1, 2, 3, 4, 5, 6]
    assert fill(SqliteJournal(tmp_path / "fresh", append=True)) == digest_of(read(tmp_path / "fresh"))


@pytest.mark.parametrize("mode", ["off", "full", "batched"])
def test_a_float_is_refused_by_key_and_leaves_no_trace(tmp_path: Path, mode: str) -> None:
    journal: Any = HashJournal() if mode == "off" else SqliteJournal(tmp_path / "j", mode)  # type: ignore[arg-type]
    before = journal.digest()
    with pytest.raises(JournalError, match=r"fill: price: 0.5 is a float"):
        journal.write("fill", 1, "o-1", {"price": 0.5})
    with pytest.raises(JournalError, match="surrogates"):
        journal.write("fill", 1, "\ud800", {})
    assert (journal.digest(), journal.rows) == (before, 0)
    journal.write("fill", 1, "o-1", {"price": "0.5"})
    assert journal.rows == 1
    journal.close()
    with pytest.raises(JournalError, match="after close"):
        journal.write("fill", 1, "o-1", {})


def test_a_record_that_failed_once_accepts_nothing_more(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "j", "full")
    journal.write("intent", 1, "", {})
    journal.flush()
    with closing(sqlite3.connect(tmp_path / "j")) as db:
        db.execute("DROP TABLE events")
        db.commit()
    journal.write("intent", 2, "", {})
    with pytest.raises(JournalError, match="cannot write: no such table"):
        journal.flush()
    refused = [
        lambda: journal.write("intent", 3, "", {}),
        lambda: journal.note("market", "x"),
        journal.flush,
    ]
    for attempt in refused:
        with pytest.raises(JournalError, match=r"an earlier write failed .* the record ends at row 1"):
            attempt()
    journal.close()


def test_times_beyond_64_bits_are_a_journal_error(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "j", "full")
    journal.write("intent", 2**63, "", {})
    with pytest.raises(JournalError, match="cannot write"):
        journal.flush()
    journal.close()


def test_a_folder_that_cannot_be_made_is_a_journal_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="cannot open"):
        SqliteJournal(tmp_path / "file" / "journal.sqlite")
    with pytest.raises(ConfigError, match="mode 'fast' is unknown; modes on disk: full, batched"):
        SqliteJournal(tmp_path / "j", "fast")  # type: ignore[arg-type]


def test_reading_what_is_no_journal_says_so_at_once(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="no such journal"):
        read(tmp_path / "none")
    (tmp_path / "text").write_text("hello " * 1000)
    with pytest.raises(JournalError, match="is no execsim journal"):
        read(tmp_path / "text")
    with pytest.raises(JournalError, match="is no execsim journal"):
        SqliteJournal(tmp_path / "text", append=True)
    fill(SqliteJournal(tmp_path / "old"))
    with closing(sqlite3.connect(tmp_path / "old")) as db:
        db.execute("UPDATE meta SET value = '99' WHERE key = 'schema_version'")
        db.commit()
    with pytest.raises(JournalError, match="has schema version 99, this execsim reads 1"):
        read(tmp_path / "old")


def test_reading_never_writes(tmp_path: Path) -> None:
    fill(SqliteJournal(tmp_path / "j"))
    before = (tmp_path / "j").read_bytes()
    rows = read(tmp_path / "j")
    next(rows)
    assert sum(1 for _ in rows) == len(ROWS) - 1
    assert (tmp_path / "j").read_bytes() == before


def test_meta_says_who_wrote_it(tmp_path: Path) -> None:
    fill(SqliteJournal(tmp_path / "j"))
    with closing(sqlite3.connect(tmp_path / "j")) as db:
        meta = dict(db.execute("SELECT key, value FROM meta"))
    assert meta["schema_version"] == "1"
    assert meta["created_by"].startswith("execsim ")


def test_rows_written_while_another_thread_commits_stay_in_order(tmp_path: Path) -> None:
    """20,000 rows against a thread that does nothing but flush: none lost, none twice, in the order of their numbers."""
    journal, done, told = SqliteJournal(tmp_path / "j", "full"), threading.Event(), []

    def commit() -> None:
        try:
            while not done.is_set():
                journal.flush()
        except JournalError as error:
            told.append(error)

    thread = threading.Thread(target=commit)
    thread.start()
    for n in range(20_000):
        journal.write("row", n, f"o-{n}", {"n": n})
    done.set()
    thread.join()
    journal.flush()
    assert told == []
    assert [(row.seq, row.body["n"]) for row in read(tmp_path / "j")] == [(n + 1, n) for n in range(20_000)]
    assert digest_of(read(tmp_path / "j")) == journal.digest()
    journal.close()


def test_what_waits_for_a_sync_is_bounded(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "j", "full")
    for n in range(UNSYNCED_ROWS_MAX + 1):
        journal.write("row", n, "", {})
    assert sum(1 for _ in read(tmp_path / "j")) == UNSYNCED_ROWS_MAX
    journal.close()


def test_notes_stand_beside_the_rows(tmp_path: Path) -> None:
    path = tmp_path / "j"
    journal = SqliteJournal(path)
    before = journal.digest()
    journal.note("market rain", "one")
    journal.note("market rain", "two")
    assert journal.digest() == before
    journal.close()
    with opened(path) as (notes, rows):
        assert notes["market rain"] == "two"
        assert list(rows) == []


def test_an_order_is_answered_from_its_rows(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "j")
    for kind, ts_ns, order_id, body in ROWS:
        journal.write(kind, ts_ns, order_id, body)
    assert isinstance(journal, OrderArchive)
    assert not isinstance(HashJournal(), OrderArchive)
    assert [row.kind for row in journal.rows_of(OrderId("o-1"))] == ["intent", "fill"]
    assert journal.rows_of(OrderId("o-2")) == journal.rows_of(OrderId("")) == []
    plan = journal._db.execute(f"EXPLAIN QUERY PLAN {OF_ORDER}", ("o-1",)).fetchall()
    assert "USING INDEX events_by_order" in plan[0][3]
    journal.close()


def test_a_journal_without_the_index_gets_it_when_it_is_continued(tmp_path: Path) -> None:
    fill(SqliteJournal(tmp_path / "j"))
    with closing(sqlite3.connect(tmp_path / "j")) as db:
        db.execute("DROP INDEX events_by_order")
    journal = SqliteJournal(tmp_path / "j", append=True)
    assert "USING INDEX" in journal._db.execute(f"EXPLAIN QUERY PLAN {OF_ORDER}", ("o-1",)).fetchall()[0][3]
    journal.close()


def test_a_journal_whose_folder_cannot_take_a_shm_file_is_read_from_a_copy(tmp_path: Path) -> None:
    """As in a folder that may only be read. A killed process left it: its rows stand in the -wal."""
    journal = SqliteJournal(tmp_path / "j")
    journal.write("row", 1, "", {})
    journal.flush()
    left = tmp_path / "left"
    left.mkdir()
    for name in ("j", "j-wal"):
        shutil.copyfile(tmp_path / name, left / name)
    (left / "j-shm").mkdir()
    with opened(left / "j") as (_, rows):
        assert [row.kind for row in rows] == ["row"]
    journal.close()
