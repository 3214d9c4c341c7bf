"""The append-only record of a run, in SQLite or as its digest only; of a session in wall time, to be replayed; of what came
into a hosted run, to go on from."""

from execsim.journal.canonical import canonical_json, digest_of
from execsim.journal.carry import carry, note_of, recorded
from execsim.journal.digest import HashJournal
from execsim.journal.inputs import InputFile
from execsim.journal.reader import discard, opened, read
from execsim.journal.replay import ENDED, ReplayJournal
from execsim.journal.session import SessionReader, SessionRecord
from execsim.journal.sqlite import BATCH_ROWS, SqliteJournal
from execsim.journal.state import state_of
from execsim.ports import JournalRow

__all__ = [
    "BATCH_ROWS",
    "ENDED",
    "HashJournal",
    "InputFile",
    "JournalRow",
    "ReplayJournal",
    "SessionReader",
    "SessionRecord",
    "SqliteJournal",
    "canonical_json",
    "carry",
    "digest_of",
    "discard",
    "note_of",
    "opened",
    "read",
    "recorded",
    "state_of",
]
