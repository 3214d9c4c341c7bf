"""What came into a hosted run from outside, on disk: its state, for the run follows from it (`execsim serve --state DIR`).

SQLite in WAL mode, append-only but for how far time has come, every commit synced. It holds requests and never answers:
keys and secrets that were given out follow from the seed. Only its owner may read it, and one process at a time has it open.
"""

from __future__ import annotations

import os
import sqlite3
import zlib
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any, Final

from execsim.core.errors import ConfigError, JournalError
from execsim.ports import HostInput

NAME: Final = "state.sqlite"
APPLICATION: Final = 0x65786563
"""Says in the file's header whose it is: "exec"."""
VERSION: Final = 1

SCHEMA: Final = f"""
BEGIN;
CREATE TABLE about (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE inputs (
    number  INTEGER PRIMARY KEY,  -- 1, 2, 3, ... in the order in which they were taken
    t_ns    INTEGER NOT NULL,     -- the exchange's time, ns
    wall_ns INTEGER NOT NULL,     -- its clients', ns since 1970; inputs of one pair of times were taken together
    kind    TEXT    NOT NULL,     -- start resume time lag request command (execsim.ports.HostInput)
    key     TEXT    NOT NULL,     -- the venue's id
    head    TEXT    NOT NULL,     -- JSON
    body    BLOB    NOT NULL,     -- as it came
    crc     INTEGER NOT NULL      -- CRC-32 of the rest
) STRICT;
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {VERSION};
"""
TIME: Final = "time"
"""The kind of an entry that says only how far time has come: the next one takes its place, or a market that is watched for
days would fill the disk."""
_INSERT: Final = "INSERT OR REPLACE INTO inputs VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_SELECT: Final = "SELECT number, t_ns, wall_ns, kind, key, head, body, crc FROM inputs ORDER BY number"


class InputFile:
    """The `InputLog` in a folder, which is made if there is none. `about` says what run it is of: an existing one must be of
    the same. `flush` may run in another thread than `append`; after a failed one nothing more is accepted.

    Errors: ConfigError naming in what the run differs; JournalError for a file that is broken, foreign, in use or cannot be
    written.
    """

    def __init__(self, folder: Path, about: Mapping[str, str]) -> None:
        self.path = folder / NAME
        self._refusal = ""
        self._last = ""
        """kind of the last entry on disk"""
        self._kept: deque[HostInput] = deque()
        self._lock = Lock()
        _made(folder, self.path)
        try:
            self._db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=0)
        except sqlite3.Error as error:
            raise JournalError(str(self.path), f"cannot open: {error}") from error
        try:
            self.count = self._open(about)
        except (sqlite3.Error, OSError) as error:
            self._db.close()
            raise JournalError(str(self.path), _why(error)) from error
        except BaseException:
            self._db.close()
            raise

    def _open(self, about: Mapping[str, str]) -> int:
        db = self._db
        db.execute("PRAGMA locking_mode=EXCLUSIVE")
        whose, version = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version"))
        empty = not whose and db.execute("SELECT 1 FROM sqlite_schema").fetchone() is None
        if not empty and whose != APPLICATION:
            raise JournalError(str(self.path), "is a database of something else; choose another folder")
        if not empty and version != VERSION:
            raise JournalError(str(self.path), f"has version {version}, this execsim reads {VERSION}")
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        if empty:  # new, or killed before it was made
            db.executescript(SCHEMA)
            db.executemany("INSERT INTO about VALUES (?, ?)", about.items())
            db.execute("COMMIT")
        db.execute("BEGIN IMMEDIATE")  # take the lock now
        db.execute("COMMIT")
        self._compare(dict(db.execute("SELECT key, value FROM about")), about)
        if (said := db.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise JournalError(str(self.path), f"is damaged: {said}")
        count, last = db.execute("SELECT count(*), coalesce(max(number), 0) FROM inputs").fetchone()
        if count != last:
            raise JournalError(str(self.path), f"is damaged: {last - count} of {last} entries are missing")
        found = db.execute("SELECT kind FROM inputs WHERE number = ?", (last,)).fetchone()
        self._last = "" if found is None else str(found[0])
        return int(count)

    def _compare(self, kept: Mapping[str, str], about: Mapping[str, str]) -> None:
        for name in [*about, *(name for name in kept if name not in about)]:
            was, now = kept.get(name, "nothing"), about.get(name, "nothing")
            if was != now:
                raise ConfigError(
                    f"{self.path} is the state of another exchange: its {name} was {was}, it is {now} now",
                    "serve it as it was, or choose another folder",
                )

    def inputs(self) -> Iterator[HostInput]:
        """Every entry, in order. Errors: JournalError naming the one that is damaged."""
        try:
            for number, *fields, crc in self._db.execute(_SELECT):
                if crc != _crc(number, fields):
                    raise JournalError(str(self.path), f"entry {number} is damaged")
                yield HostInput(*fields)
        except sqlite3.Error as error:
            raise JournalError(str(self.path), _why(error)) from error

    @property
    def waiting(self) -> bool:
        return bool(self._kept)

    def append(self, item: HostInput) -> None:
        self._kept.append(item)

    def flush(self) -> None:
        with self._lock:
            if self._refusal:
                raise JournalError(str(self.path), self._refusal)
            rows: dict[int, tuple[Any, ...]] = {}
            number, last = self.count, self._last
            for _ in range(len(self._kept)):
                item = self._kept.popleft()
                number += not (last == item.kind == TIME)
                last = item.kind
                fields = (item.t_ns, item.wall_ns, item.kind, item.key, item.head, item.body)
                rows[number] = (number, *fields, _crc(number, fields))
            if not rows:
                return
            try:
                self._db.execute("BEGIN")
                self._db.executemany(_INSERT, rows.values())
                self._db.execute("COMMIT")
            except (sqlite3.Error, OverflowError, UnicodeEncodeError) as error:
                with suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                self._refusal = f"cannot write: {error}; it ends at entry {self.count}"
                raise JournalError(str(self.path), self._refusal) from error
            self.count, self._last = number, last

    def close(self) -> None:
        """Let go of the file. Harmless if repeated; what was not flushed is lost."""
        with self._lock, suppress(sqlite3.Error):
            self._refusal = self._refusal or "is closed"
            self._db.close()


def _made(folder: Path, path: Path) -> None:
    """Errors: JournalError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise JournalError(str(path), f"cannot open: {error.strerror}") from error


def _crc(number: int, fields: Any) -> int:
    t_ns, wall_ns, kind, key, head, body = fields
    line = f"{number} {t_ns} {wall_ns} {kind} {key} {head}".encode("utf-8", "surrogatepass")
    return zlib.crc32(body, zlib.crc32(line))


def _why(error: Exception) -> str:
    text = str(error)
    if "locked" in text:
        return "is in use: another server has it open"
    return f"is no state of a server, or damaged: {text}"
