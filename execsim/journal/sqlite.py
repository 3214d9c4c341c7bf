"""The journal on disk: SQLite in WAL mode, append-only.

mode full      rows are buffered by `write`; `flush` commits and syncs all of them at once, so that everybody who waits for
               the disk at one moment shares one sync (engine/commit.py decides who waits): paper and live
mode batched   rows are committed `BATCH_ROWS` at a time and at close: backtests, where a crash costs only the run
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import metadata, resources
from pathlib import Path
from threading import RLock
from typing import Any, Final, Literal, TypeVar

from execsim.core.errors import ConfigError, JournalError
from execsim.core.order import OrderId
from execsim.journal.canonical import NotCanonical, canonical_json, row_line
from execsim.journal.reader import SCHEMA_VERSION, discard, parsed, raw_rows
from execsim.ports import JournalRow

BATCH_ROWS: Final = 4_096
"""Rows one transaction holds in mode batched, about 1 MB. Measured: 2 to 3 us a row, the same from 512 to 65,536."""

UNSYNCED_ROWS_MAX: Final = 65_536
"""Rows mode full holds for the next sync, about 16 MB. With so many the disk has stood still for long: the next `write`
commits by itself and waits for it, so that memory stays bounded."""

_INSERT: Final = "INSERT INTO events (seq, ts_ns, kind, order_id, body) VALUES (?, ?, ?, ?, ?)"
_NOTE: Final = "INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)"
_INDEX: Final = "CREATE INDEX IF NOT EXISTS events_by_order ON events (order_id) WHERE order_id <> ''"
OF_ORDER: Final = (
    "SELECT seq, ts_ns, kind, order_id, body FROM events WHERE order_id = ? AND order_id <> '' ORDER BY seq"
)

T = TypeVar("T")


class SqliteJournal:
    """Appends rows to the SQLite file `path`, created with its folder. An existing file is refused, unless `append`,
    which continues its numbering and its digest.

    One writer calls `write` and `note`; `flush` may run in another thread meanwhile (`Runtime.blocking`), one lock stands
    around the connection. Rows reach the file in the order of their numbers. After a failed commit nothing more is accepted:
    a gap in the record would be worse than its end. `commits` counts transactions: in mode full, syncs of the disk.
    Errors: JournalError(path, what) for everything SQLite or the system refuses; ConfigError for an unknown mode.
    """

    def __init__(self, path: Path, mode: Literal["full", "batched"] = "batched", *, append: bool = False) -> None:
        if mode not in ("full", "batched"):
            raise ConfigError(f"journal mode {mode!r} is unknown", "modes on disk: full, batched")
        self.path = Path(path)
        self.mode = mode
        self.rows = 0
        self.commits = 0
        self._limit = UNSYNCED_ROWS_MAX if mode == "full" else BATCH_ROWS
        self._state = hashlib.sha256()
        # deques: append and popleft are atomic, so that `write` needs no lock against a `flush` in another thread
        self._rows: deque[tuple[int, int, str, str, str]] = deque()
        self._notes: deque[tuple[str, str]] = deque()
        self._lock = RLock()
        self._refusal = ""
        self._closed = False
        exists = self.path.exists()
        if exists and not append:
            raise JournalError(
                str(path), "exists already; choose another file or remove it (a record is never overwritten)"
            )
        if exists:
            self._fold()
        self._db = self._connect(new=not exists)

    def write(self, kind: str, ts_ns: int, order_id: str, body: Mapping[str, Any]) -> None:
        """Append one row; it is on disk after the next commit. Errors: JournalError."""
        self._check_open()
        seq = self.rows + 1
        try:
            text = canonical_json(body)
            line = row_line(seq, ts_ns, kind, order_id, text)
        except (NotCanonical, UnicodeEncodeError) as error:
            raise JournalError(str(self.path), f"{kind}: {error}") from None
        self._state.update(line)
        self.rows = seq
        self._rows.append((seq, ts_ns, kind, order_id, text))
        if len(self._rows) >= self._limit:
            self.flush()

    @property
    def durable(self) -> bool:
        return self.mode == "full"

    def note(self, key: str, text: str) -> None:
        """Keep a fact about the run beside the rows, from the next commit on. Errors: JournalError."""
        self._check_open()
        self._notes.append((key, text))

    def flush(self) -> None:
        """Commit (in mode full: and sync) everything written so far. May run in another thread than `write`.

        Errors: JournalError, also after an earlier failure."""
        with self._lock:
            if self._closed:
                return
            if self._refusal:
                raise JournalError(str(self.path), self._refusal)
            rows, notes = _taken(self._rows), _taken(self._notes)
            if rows or notes:
                self._store(rows, notes)

    def rows_of(self, order_id: OrderId) -> Sequence[JournalRow]:
        """Every row of one order, in order: what is buffered is committed first. Errors: JournalError."""
        with self._lock:
            if not self._refusal:
                self.flush()
            try:
                found = self._db.execute(OF_ORDER, (order_id,)).fetchall()
            except sqlite3.Error as error:
                raise JournalError(str(self.path), f"cannot read: {error}") from error
        return [parsed(self.path, row) for row in found]

    def digest(self) -> str:
        """sha256 over the canonical rows so far, committed or not."""
        return self._state.hexdigest()

    def close(self) -> None:
        """Commit the rest and close the file; the WAL is folded into it. Harmless if repeated. Errors: JournalError."""
        with self._lock:
            try:
                if not self._refusal:
                    self.flush()
            finally:
                self._closed = True
                self._leave_wal()

    def _check_open(self) -> None:
        if self._refusal or self._closed:
            raise JournalError(str(self.path), self._refusal or "a row was written after close")

    def _leave_wal(self) -> None:
        """Close as one plain file: reading a file in WAL mode would leave -wal and -shm beside it, or fail where the
        folder cannot be written. While somebody reads it stays in WAL mode, which is as safe."""
        try:
            with suppress(sqlite3.OperationalError, sqlite3.ProgrammingError):  # locked by a reader; closed already
                self._db.execute("PRAGMA busy_timeout=0")
                self._db.execute("PRAGMA journal_mode=DELETE")
            self._db.close()
        except sqlite3.Error as error:
            raise JournalError(str(self.path), f"cannot close: {error}") from error

    def _store(self, rows: list[tuple[int, int, str, str, str]], notes: list[tuple[str, str]]) -> None:
        try:
            self._db.execute("BEGIN")
            self._db.executemany(_NOTE, notes)
            self._db.executemany(_INSERT, rows)
            self._db.execute("COMMIT")
        except (sqlite3.Error, OverflowError, OSError) as error:
            with suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            end = f"; the record ends at row {rows[0][0] - 1}" if rows else ""
            self._refusal = f"an earlier write failed ({error}){end}"
            raise JournalError(str(self.path), f"cannot write: {error}") from error
        self.commits += 1

    def _connect(self, new: bool) -> sqlite3.Connection:
        """Errors: JournalError; a file begun here is not left behind half made."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        except (sqlite3.Error, OSError) as error:
            raise JournalError(str(self.path), f"cannot open: {error}") from error
        try:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute(f"PRAGMA synchronous={'FULL' if self.mode == 'full' else 'NORMAL'}")
            if new:
                created_by = f"execsim {metadata.version('execsim')}"
                meta = {"schema_version": str(SCHEMA_VERSION), "created_by": created_by}
                db.executescript(
                    "BEGIN;" + resources.files("execsim.journal").joinpath("schema.sql").read_text("utf-8")
                )
                db.executemany("INSERT INTO meta (key, value) VALUES (?, ?)", meta.items())
                db.execute("COMMIT")
            else:  # a journal of an execsim that had no index yet
                db.execute(_INDEX)
        except (sqlite3.Error, OSError) as error:
            db.close()
            if new:
                discard(self.path)
            raise JournalError(str(self.path), f"cannot create: {error}") from error
        return db

    def _fold(self) -> None:
        """Take up numbering and digest where an existing file ends."""
        for seq, ts_ns, kind, order_id, text in raw_rows(self.path):
            self._state.update(row_line(seq, ts_ns, kind, order_id, text))
            self.rows = seq


def _taken(buffer: deque[T]) -> list[T]:
    """What stands in a buffer now, taken out; what another thread adds meanwhile stays for the next time."""
    return [buffer.popleft() for _ in range(len(buffer))]
