"""The journal on disk: SQLite in WAL mode, append-only.

mode full      each row is committed and synced before `write` returns: paper and live
mode batched   rows are committed `BATCH_ROWS` at a time and at close: backtests, where a crash costs only the run
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from importlib import metadata, resources
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, Protocol

from execsim.core.errors import ConfigError, JournalError
from execsim.journal.canonical import NotCanonical, canonical_json, row_line

SCHEMA_VERSION: Final = 1

BATCH_ROWS: Final = 4_096
"""Rows one transaction holds in mode batched, about 1 MB. Measured: 2 to 3 us a row, the same from 512 to 65,536."""

_INSERT: Final = "INSERT INTO events (seq, ts_ns, kind, order_id, body) VALUES (?, ?, ?, ?, ?)"
_SELECT: Final = "SELECT seq, ts_ns, kind, order_id, body FROM events ORDER BY seq"


class JournalRow(NamedTuple):
    """One row as read back; `body` holds plain JSON values."""

    seq: int
    ts_ns: int
    kind: str
    order_id: str
    body: dict[str, Any]


class Beside(Protocol):
    """What is kept in the same file and committed together with the rows."""

    @property
    def waiting(self) -> bool:
        """Whether it holds something for the next commit."""

    def create(self, db: sqlite3.Connection) -> None: ...

    def store(self, db: sqlite3.Connection) -> None: ...


class SqliteJournal:
    """Appends rows to the SQLite file `path`, created with its folder. An existing file is refused, unless `append`,
    which continues its numbering and its digest.

    One writer: calls may come from any thread (`Runtime.blocking`), one at a time. After a failed write nothing more
    is accepted: a gap in the record would be worse than its end.
    Errors: JournalError(path, what) for everything SQLite or the system refuses; ConfigError for an unknown mode.
    """

    def __init__(self, path: Path, mode: Literal["full", "batched"] = "batched", *, append: bool = False) -> None:
        if mode not in ("full", "batched"):
            raise ConfigError(f"journal mode {mode!r} is unknown", "modes on disk: full, batched")
        self.path = Path(path)
        self.mode = mode
        self.rows = 0
        self._state = hashlib.sha256()
        self._batch: list[tuple[int, int, str, str, str]] = []
        self._refusal = ""
        self._beside: Beside | None = None
        exists = self.path.exists()
        if exists and not append:
            raise JournalError(
                str(path), "exists already; choose another file or remove it (a record is never overwritten)"
            )
        if exists:
            self._fold()
        self._db = self._connect(new=not exists)

    def write(self, kind: str, ts_ns: int, order_id: str, body: Mapping[str, Any]) -> None:
        """Append one row: on disk when this returns (full), or with its batch. Errors: JournalError."""
        if self._refusal:
            raise JournalError(str(self.path), self._refusal)
        seq = self.rows + 1
        try:
            text = canonical_json(body)
            line = row_line(seq, ts_ns, kind, order_id, text)
        except (NotCanonical, UnicodeEncodeError) as error:
            raise JournalError(str(self.path), f"{kind}: {error}") from None
        row = (seq, ts_ns, kind, order_id, text)
        if self.mode == "full":
            self._store([row])
        else:
            self._batch.append(row)
            if len(self._batch) >= BATCH_ROWS:
                self.flush()
        self._state.update(line)
        self.rows = seq

    @property
    def durable(self) -> bool:
        return self.mode == "full"

    def note(self, key: str, text: str) -> None:
        """Keep a fact about the run beside the rows. Errors: JournalError."""
        try:
            self._db.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (key, text))
        except sqlite3.Error as error:
            raise JournalError(str(self.path), f"cannot write: {error}") from error

    def attach(self, beside: Beside) -> None:
        """Commit what `beside` holds with every commit of rows. Errors: JournalError."""
        try:
            beside.create(self._db)
        except sqlite3.Error as error:
            raise JournalError(str(self.path), f"cannot write: {error}") from error
        self._beside = beside

    def flush(self) -> None:
        """Commit what a batch still holds. Errors: JournalError."""
        if self._batch or (self._beside is not None and self._beside.waiting):
            batch, self._batch = self._batch, []
            self._store(batch)

    def digest(self) -> str:
        """sha256 over the canonical rows so far, committed or not."""
        return self._state.hexdigest()

    def close(self) -> None:
        """Commit the rest and close the file; the WAL is folded into it. Harmless if repeated. Errors: JournalError."""
        try:
            self.flush()
        finally:
            self._refusal = self._refusal or "a row was written after close"
            self._leave_wal()

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

    def _store(self, rows: list[tuple[int, int, str, str, str]]) -> None:
        try:
            self._db.execute("BEGIN")
            self._db.executemany(_INSERT, rows)
            if self._beside is not None:
                self._beside.store(self._db)
            self._db.execute("COMMIT")
        except (sqlite3.Error, OverflowError, OSError) as error:
            self._refusal = (
                f"an earlier write failed ({error}); the record ends at row {rows[0][0] - 1 if rows else self.rows}"
            )
            raise JournalError(str(self.path), f"cannot write: {error}") from error

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
        except (sqlite3.Error, OSError) as error:
            db.close()
            if new:
                discard(self.path)
            raise JournalError(str(self.path), f"cannot create: {error}") from error
        return db

    def _fold(self) -> None:
        """Take up numbering and digest where an existing file ends."""
        with closing(_open_read_only(self.path)) as db:
            for seq, ts_ns, kind, order_id, text in _select(self.path, db):
                self._state.update(row_line(seq, ts_ns, kind, order_id, text))
                self.rows = seq


def read(path: Path) -> Iterator[JournalRow]:
    """The rows of a journal in order, read-only (a run may still be writing it: what is committed is seen).

    Errors: JournalError at once when the file is missing, no journal, or of another schema version.
    """
    _open_read_only(path).close()
    return _rows(path)


def discard(path: Path) -> None:
    """Remove a journal and the files SQLite keeps beside it; nothing happens if there is none. Errors: JournalError."""
    for suffix in ("", "-wal", "-shm"):
        try:
            Path(f"{path}{suffix}").unlink(missing_ok=True)
        except OSError as error:
            raise JournalError(str(path), f"cannot remove: {error}") from error


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """A journal's file, read-only. Errors: as `read`."""
    with closing(_open_read_only(path)) as db:
        yield db


def _rows(path: Path) -> Iterator[JournalRow]:
    with closing(_open_read_only(path)) as db:
        for seq, ts_ns, kind, order_id, text in _select(path, db):
            try:
                body = json.loads(text)
            except ValueError:
                raise JournalError(str(path), f"row {seq}: body is not JSON") from None
            yield JournalRow(seq, ts_ns, kind, order_id, body)


def _select(path: Path, db: sqlite3.Connection) -> Iterator[tuple[int, int, str, str, str]]:
    try:
        yield from db.execute(_SELECT)
    except sqlite3.Error as error:
        raise JournalError(str(path), f"cannot read: {error}") from error


def _open_read_only(path: Path) -> sqlite3.Connection:
    if not Path(path).is_file():
        raise JournalError(str(path), "no such journal")
    try:
        db = sqlite3.connect(f"{Path(path).resolve().as_uri()}?mode=ro", uri=True, check_same_thread=False)
    except sqlite3.Error as error:
        raise JournalError(str(path), f"cannot open: {error}") from error
    try:
        found = db.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone()
    except sqlite3.Error as error:
        db.close()
        raise JournalError(str(path), f"is no execsim journal: {error}") from error
    if found != (str(SCHEMA_VERSION),):
        db.close()
        version = found[0] if found else "none"
        raise JournalError(str(path), f"has schema version {version}, this execsim reads {SCHEMA_VERSION}")
    return db
