"""What a journal file comes to: its notes and rows, folded. Needs nothing but the file."""

from __future__ import annotations

from pathlib import Path

from execsim.engine.fold import KEEP_ALL, Folded, fold
from execsim.engine.notes import read_notes
from execsim.journal.reader import opened


def state_of(path: Path, *, orders_kept_max: int = KEEP_ALL) -> Folded:
    """Orders, fills, positions and cash as the journal of one moment tells them; of a run that is still writing, what it
    has committed. Market rules come without fees: what was charged stands in each fill.

    Errors: JournalError: no journal, another version, or a row that cannot be.
    """
    with opened(path) as (notes, rows):
        instruments, opening = read_notes(notes, str(path))
        return fold(rows, instruments, opening, orders_kept_max=orders_kept_max, where=str(path))
