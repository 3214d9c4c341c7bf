"""What a session took in and sent out, in the journal's file; and a replay that compares with it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from execsim.core.errors import JournalError
from execsim.core.order import OrderId
from execsim.journal import ENDED, ReplayJournal, SessionReader, SessionRecord, SqliteJournal, digest_of, read
from execsim.journal.session import BUFFER_BYTES
from execsim.ports import Diverged, Input, Output

INPUTS = [Input(1, 10, "start", "", b"{}"), Input(2, 20, "clock"), Input(3, 30, "answer", "1", b"\x00\xff")]
OUTPUTS = [Output(1, 1, 10, "request", "1", b"hello"), Output(2, 3, 30, "open", "2", b"url")]


def record(path: Path) -> str:
    """A whole session: two rows, three inputs, two outputs. Returns the digest."""
    journal = SqliteJournal(path, "full")
    log = SessionRecord(journal)
    log.take(INPUTS[0])
    log.sent(OUTPUTS[0])
    journal.write("intent", 10, "o-1", {"lots": 5})
    log.take(INPUTS[1])
    log.take(INPUTS[2])
    journal.write("ack", 30, "o-1", {"venue_order_id": "x"})
    log.sent(OUTPUTS[1])
    journal.note(ENDED, "feed")
    assert log.bytes == 12
    digest = journal.digest()
    journal.close()
    return digest


def again(path: Path, *, whole: bool = True) -> ReplayJournal:
    return ReplayJournal(SessionReader(path), durable=True, whole=whole)


def inputs_of(path: Path) -> int:
    with closing(SessionReader(path)) as session:
        return session.inputs_total


def test_inputs_and_outputs_come_back_and_are_no_part_of_the_digest(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    digest = record(path)
    with closing(SessionReader(path)) as session:
        assert list(session.inputs()) == INPUTS
        assert list(session.outputs()) == OUTPUTS
        assert session.inputs_total == 3
        assert session.notes()[ENDED] == "feed"
        assert list(session.rows()) == list(read(path)) == list(session.rows_of(OrderId("o-1")))
    assert digest_of(read(path)) == digest


def test_a_row_on_disk_has_its_inputs_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    journal = SqliteJournal(path, "batched")
    log = SessionRecord(journal)
    log.take(INPUTS[0])
    journal.write("intent", 10, "o-1", {})
    journal.flush()
    log.take(INPUTS[1])
    with closing(sqlite3.connect(path)) as db:  # as another process sees it now
        assert db.execute("SELECT count(*) FROM events").fetchone() == (1,)
        assert db.execute("SELECT count(*) FROM inputs").fetchone() == (1,)
    journal.flush()  # inputs without a row are committed, too
    assert inputs_of(path) == 2
    journal.close()


def test_what_is_held_for_the_next_commit_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    journal = SqliteJournal(path, "full")
    log = SessionRecord(journal)
    body = bytes(BUFFER_BYTES // 4)
    for number in range(1, 4):
        log.take(Input(number, number, "frame", "1", body))
    with pytest.raises(JournalError, match="no recorded session"):
        inputs_of(path)
    log.take(Input(4, 4, "frame", "1", body))
    assert inputs_of(path) == 4
    journal.close()


def test_a_journal_holds_one_session(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    record(path)
    journal = SqliteJournal(path, append=True)
    with pytest.raises(JournalError, match="holds a recorded session already"):
        SessionRecord(journal)
    journal.close()


def test_a_backtests_journal_has_no_session(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    journal = SqliteJournal(path)
    journal.write("intent", 1, "o-1", {})
    journal.close()
    with pytest.raises(JournalError, match="only runs in wall time"):
        again(path)


def replay(journal: ReplayJournal, skip: str = "", extra: bool = False, lots: int = 5) -> None:
    journal.take(INPUTS[0])
    journal.sent(OUTPUTS[0])
    journal.write("intent", 10, "o-1", {"lots": lots})
    journal.take(INPUTS[1])
    journal.take(INPUTS[2])
    if skip != "row":
        journal.write("ack", 30, "o-1", {"venue_order_id": "x"})
    if skip != "output":
        journal.sent(OUTPUTS[1])
    if extra:
        journal.write("gone", 30, "o-1", {})
        journal.sent(Output(3, 3, 30, "close", "2"))
    journal.check_end()


def test_an_equal_replay_has_the_digest_of_the_session(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    digest = record(path)
    journal = again(path)
    replay(journal)
    assert (journal.digest(), journal.rows, journal.outputs) == (digest, 2, 2)
    assert journal.durable
    early = again(path)
    early.take(INPUTS[0])
    early.write("intent", 10, "o-1", {"lots": 5})
    assert [row.seq for row in early.rows_of(OrderId("o-1"))] == [1]  # what a session could know by then


@pytest.mark.parametrize("what", ["row", "output"])
def test_what_is_missing_at_the_end_is_a_difference(tmp_path: Path, what: str) -> None:
    record(tmp_path / "journal.sqlite")
    with pytest.raises(Diverged) as caught:
        replay(again(tmp_path / "journal.sqlite"), skip=what)
    assert caught.value.args[0] == f"{what} 2"
    assert caught.value.args[2] == "the replay has ended"


def test_the_first_row_and_the_first_request_that_differ_are_named(tmp_path: Path) -> None:
    record(tmp_path / "journal.sqlite")
    with pytest.raises(Diverged) as caught:
        replay(again(tmp_path / "journal.sqlite"), lots=6)
    what, expected, got = caught.value.args
    assert (what, expected.body, got.body) == ("row 1", {"lots": 5}, {"lots": 6})
    other = again(tmp_path / "journal.sqlite")
    other.take(INPUTS[0])
    with pytest.raises(Diverged) as caught:
        other.sent(Output(1, 1, 10, "request", "1", b"goodbye"))
    assert caught.value.args[:2] == ("output 1", OUTPUTS[0])


def test_only_a_session_that_was_cut_off_may_have_done_more_than_was_recorded(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    record(path)
    with pytest.raises(Diverged, match="the end"):
        replay(again(path), extra=True)
    cut = again(path, whole=False)
    replay(cut, extra=True)
    assert cut.beyond == 2
    early = again(path, whole=False)
    early.take(INPUTS[0])
    early.sent(OUTPUTS[0])
    early.sent(OUTPUTS[1])
    with pytest.raises(Diverged):  # there are inputs left, so all that this one caused was recorded
        early.sent(Output(3, 1, 10, "close", "2"))
