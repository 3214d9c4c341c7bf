"""The journal that stores nothing: mode off, for sweeps. Its digest is that of the same run in any other mode."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from execsim.core.errors import JournalError
from execsim.journal.canonical import NotCanonical, canonical_json, row_line

WHERE: Final = "journal (mode off)"


class HashJournal:
    """Counts and hashes rows. `rows` is how many there are; their seq is 1, 2, 3, ..."""

    __slots__ = ("_closed", "_state", "rows")

    def __init__(self) -> None:
        self._state = hashlib.sha256()
        self._closed = False
        self.rows = 0

    def write(self, kind: str, ts_ns: int, order_id: str, body: Mapping[str, Any]) -> None:
        """Hash one row. Errors: JournalError naming the key of a value the record cannot hold, or after `close`."""
        if self._closed:
            raise JournalError(WHERE, "a row was written after close")
        try:
            self._state.update(row_line(self.rows + 1, ts_ns, kind, order_id, canonical_json(body)))
        except (NotCanonical, UnicodeEncodeError) as error:
            raise JournalError(WHERE, f"{kind}: {error}") from None
        self.rows += 1

    def note(self, key: str, text: str) -> None:
        """Nothing is kept."""

    @property
    def durable(self) -> bool:
        return False

    def flush(self) -> None:
        """There is no disk."""

    def digest(self) -> str:
        """sha256 over the canonical rows so far."""
        return self._state.hexdigest()

    def close(self) -> None:
        self._closed = True
