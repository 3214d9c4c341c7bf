"""The append-only record of a run, in SQLite or as its digest only."""

from execsim.journal.canonical import canonical_json, digest_of
from execsim.journal.digest import HashJournal
from execsim.journal.reader import discard, opened, read
from execsim.journal.sqlite import BATCH_ROWS, SqliteJournal
from execsim.journal.state import state_of
from execsim.ports import JournalRow

__all__ = [
    "BATCH_ROWS",
    "HashJournal",
    "JournalRow",
    "SqliteJournal",
    "canonical_json",
    "digest_of",
    "discard",
    "opened",
    "read",
    "state_of",
]
