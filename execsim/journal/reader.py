"""Reading a journal, and never writing to it: one a run is still writing, one a killed process left, one that is closed.

Everything is read in one transaction, so that notes and rows belong together. A journal left by a killed process keeps its
last rows in the `-wal` file beside it; SQLite reads both and folds them together only when somebody opens it to write.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, Final

from execsim.core.errors import JournalError
from execsim.ports import JournalRow

SCHEMA_VERSION: Final = 1

RawRow = tuple[int, int, str, str, str]
"""seq, ts_ns, kind, order_id, body as canonical JSON"""

ROWS: Final = "SELECT seq, ts_ns, kind, order_id, body FROM events ORDER BY seq"


def read(path: Path) -> Iterator[JournalRow]:
    """The rows of a journal in order, read-only (a run may still be writing it: what is committed is seen).

    Errors: JournalError at once when the file is missing, no journal, or of another schema version.
    """
    with connected(path):
        pass
    return _rows(path)


@contextmanager
def opened(path: Path) -> Iterator[tuple[dict[str, str], Iterator[JournalRow]]]:
    """(notes by key, rows in order) of one moment. Errors: as `read`."""
    with connected(path) as db:
        yield (
            dict(_select(path, db, "SELECT key, value FROM meta")),
            (parsed(path, row) for row in _select(path, db, ROWS)),
        )


def raw_rows(path: Path) -> Iterator[RawRow]:
    """The rows with their bodies as they stand there. Errors: as `read`, at the first row."""
    with connected(path) as db:
        yield from _select(path, db, ROWS)


def parsed(path: Path, row: RawRow) -> JournalRow:
    """Errors: JournalError naming the row whose body is not JSON."""
    try:
        body = json.loads(row[4])
    except ValueError:
        raise JournalError(str(path), f"row {row[0]}: body is not JSON") from None
    return JournalRow(*row[:4], body)


def discard(path: Path) -> None:
    """Remove a journal and the files SQLite keeps beside it; nothing happens if there is none. Errors: JournalError."""
    for suffix in ("", "-wal", "-shm"):
        try:
            Path(f"{path}{suffix}").unlink(missing_ok=True)
        except OSError as error:
            raise JournalError(str(path), f"cannot remove: {error}") from error


def _rows(path: Path) -> Iterator[JournalRow]:
    for row in raw_rows(path):
        yield parsed(path, row)


def _select(path: Path, db: sqlite3.Connection, query: str) -> Iterator[Any]:
    try:
        for row in db.execute(query):  # noqa: UP028 -- abandoned, `yield from` closes its cursor after the connection
            yield row
    except sqlite3.Error as error:
        raise JournalError(str(path), f"cannot read: {error}") from error


@contextmanager
def connected(path: Path) -> Iterator[sqlite3.Connection]:
    """A read-only connection in one transaction, to a file that is found to be a journal.

    A -wal in a folder where SQLite may not make the -shm it needs is read from a copy.
    """
    path = Path(path)
    if not path.is_file():
        raise JournalError(str(path), "no such journal")
    with ExitStack() as stack:
        try:
            db = _connect(path)
        except sqlite3.OperationalError as error:
            if not Path(f"{path}-wal").exists():
                raise JournalError(str(path), f"is no execsim journal: {error}") from error
            db = _connect_copy(path, Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="execsim-journal-"))))
        except sqlite3.Error as error:
            raise JournalError(str(path), f"is no execsim journal: {error}") from error
        stack.enter_context(closing(db))
        _check_version(path, db)
        yield db


def _connect(path: Path) -> sqlite3.Connection:
    """Errors: sqlite3.Error."""
    db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, check_same_thread=False)
    try:
        db.execute("BEGIN")
        db.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # the read that fixes what this transaction sees
    except sqlite3.Error:
        db.close()
        raise
    return db


def _connect_copy(path: Path, folder: Path) -> sqlite3.Connection:
    try:
        for suffix in ("", "-wal"):
            shutil.copyfile(f"{path}{suffix}", folder / f"journal{suffix}")
        return _connect(folder / "journal")
    except (sqlite3.Error, OSError) as error:
        raise JournalError(str(path), f"cannot open: {error}") from error


def _check_version(path: Path, db: sqlite3.Connection) -> None:
    try:
        found = db.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone()
    except sqlite3.Error as error:
        raise JournalError(str(path), f"is no execsim journal: {error}") from error
    if found != (str(SCHEMA_VERSION),):
        version = found[0] if found else "none"
        raise JournalError(str(path), f"has schema version {version}, this execsim reads {SCHEMA_VERSION}")
