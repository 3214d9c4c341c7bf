"""What a session takes over from the one before it: the rows of its journal up to where this session's own begin.

Kept as a note of the journal (`carried`), because what else is noted changes while the session runs; a replay reads it
there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from execsim.core.errors import JournalError
from execsim.core.instrument import Instrument
from execsim.engine.fold import Folded, fold
from execsim.engine.losses import NOTE as PROFIT
from execsim.engine.notes import Opening, read_notes
from execsim.journal import SqliteJournal, opened, read

CARRIED: Final = "carried"


@dataclass(frozen=True, slots=True)
class Carried:
    """The first `rows` rows of the journal at `path` are another session's, or several others'."""

    path: str
    rows: int
    opening: Opening
    profit: str

    def fold(self, instruments: Mapping[str, Instrument], orders_kept_max: int) -> Folded:
        """Their state, with the instruments as the venues describe them now. Errors: JournalError."""
        rows = islice(read(Path(self.path)), self.rows)
        return fold(rows, instruments, self.opening, orders_kept_max=orders_kept_max, where=self.path)


def take_over(path: Path, journal: SqliteJournal) -> Carried:
    """What the journal holds now is carried; note it. Errors: JournalError."""
    with opened(path) as (notes, _):
        _, opening = read_notes(notes, str(path))
        carried = Carried(str(path), journal.rows, opening, notes.get(PROFIT, ""))
    journal.note(CARRIED, json.dumps({"rows": carried.rows, "opening": asdict(opening), "profit": carried.profit}))
    journal.flush()
    return carried


def read_carried(path: Path) -> Carried | None:
    """What a session's journal says it took over, None if it began afresh. Errors: JournalError."""
    with opened(path) as (notes, _):
        text = notes.get(CARRIED)
    if text is None:
        return None
    try:
        body = json.loads(text)
        return Carried(str(path), body["rows"], Opening(**body["opening"]), body["profit"])
    except (KeyError, TypeError, ValueError) as error:
        raise JournalError(str(path), f"note {CARRIED!r} cannot be read: {error}") from None
