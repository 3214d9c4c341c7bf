"""A session that takes up another's journal begins a file of its own with all its rows: one file, one session, all history.

    DIR/journal.sqlite   (killed)  ──▶ DIR/journal-1.sqlite   as it was: it can still be replayed
                                   └─▶ DIR/journal.sqlite     its rows and notes, no inputs; the new session appends

Safe at any instant: the new file is complete before the old one is renamed, and a start that finds only the new one goes on.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from execsim.core.errors import JournalError
from execsim.journal.reader import discard

FRESH: Final = ".carried"
"""Suffix of the new file until it takes its place."""


def carry(path: Path, forget: tuple[str, ...] = ()) -> Path:
    """Put the journal at `path` aside and a copy of its rows and notes (but those of `forget`) in its place; returns where
    the old one is now. Errors: JournalError."""
    fresh = Path(f"{path}{FRESH}")
    try:
        if path.exists():
            discard(fresh)
            _copy(path, fresh, forget)
            old = _aside(path)
            path.rename(old)
        elif fresh.exists():  # killed between the two renames
            old = _last(path)
        else:
            raise JournalError(str(path), "no such journal: there is nothing to recover")
        fresh.rename(path)
        _sync(path.parent)
    except (sqlite3.Error, OSError) as error:
        raise JournalError(str(path), f"cannot be carried over: {error}") from error
    return old


def recorded(path: Path) -> bool:
    """Whether a journal is there, or waits to take its place, and holds any row: one whose process was killed at its first
    breath does not. Errors: JournalError."""
    found = path if path.exists() else Path(f"{path}{FRESH}")
    if not found.exists():
        raise JournalError(str(path), "no such journal: there is nothing to recover")
    try:
        with closing(sqlite3.connect(found, isolation_level=None)) as db:
            if not db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
                return False
            return db.execute("SELECT 1 FROM events LIMIT 1").fetchone() is not None
    except sqlite3.Error as error:
        raise JournalError(str(path), f"is no execsim journal: {error}") from error


def note_of(path: Path, key: str) -> str:
    """A note of a journal that may be taken up (`recorded`), "" without one. Errors: JournalError."""
    found = path if path.exists() else Path(f"{path}{FRESH}")
    try:
        with closing(sqlite3.connect(found, isolation_level=None)) as db:
            row = db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    except sqlite3.Error as error:
        raise JournalError(str(path), f"is no execsim journal: {error}") from error
    return "" if row is None else str(row[0])


def _copy(path: Path, fresh: Path, forget: tuple[str, ...]) -> None:
    """Errors: sqlite3.Error."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        db.execute("PRAGMA journal_mode=DELETE")
        db.execute("VACUUM INTO ?", (str(fresh),))
    with closing(sqlite3.connect(fresh, isolation_level=None)) as db:
        for table in ("inputs", "outputs"):
            db.execute(f"DROP TABLE IF EXISTS {table}")
        db.executemany("DELETE FROM meta WHERE key = ?", [(key,) for key in forget])
    with fresh.open("rb") as file:
        os.fsync(file.fileno())


def _numbered(path: Path) -> list[Path]:
    found = path.parent.glob(f"{path.stem}-*{path.suffix}")
    kept = [other for other in found if other.stem.removeprefix(f"{path.stem}-").isdecimal()]
    return sorted(kept, key=lambda other: int(other.stem.removeprefix(f"{path.stem}-")))


def _aside(path: Path) -> Path:
    last = _numbered(path)
    number = int(last[-1].stem.removeprefix(f"{path.stem}-")) + 1 if last else 1
    return path.with_name(f"{path.stem}-{number}{path.suffix}")


def _last(path: Path) -> Path:
    last = _numbered(path)
    return last[-1] if last else path


def _sync(folder: Path) -> None:
    """The renames themselves are on disk. Errors: OSError."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
