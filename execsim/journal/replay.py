"""The journal of a replay: it stores nothing and compares what is written, sent and taken with what a session recorded."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, Final

from execsim.core.errors import JournalError
from execsim.core.order import OrderId
from execsim.journal.canonical import NotCanonical, canonical_json, row_line
from execsim.journal.session import SessionReader
from execsim.ports import Diverged, Input, JournalRow, Output

ENDED: Final = "session.ended"
"""The note of a session that ended by itself; one that was killed has none, and may have been cut off within an input."""


class ReplayJournal:
    """`Journal` and `SessionLog` of a replay of a recorded session.

    `durable`: as the session's journal was. `whole`: the session ended by itself, so nothing may be written or sent beyond
    what was recorded; else what the last input caused may not have reached the disk. Errors: Diverged at the first
    difference, which `difference` keeps.
    """

    def __init__(self, session: SessionReader, *, durable: bool, whole: bool, carried: int = 0) -> None:
        self.rows = 0
        self.outputs = 0
        self.present: Input | None = None
        """the input being worked on"""
        self.beyond = 0
        """rows and outputs after the last recorded ones, of a session that was cut off"""
        self.difference: Diverged | None = None
        self._session = session
        self._durable = durable
        self._whole = whole
        self._state = hashlib.sha256()
        self._rows = session.rows()
        self._outputs = session.outputs()
        for row in islice(self._rows, carried):
            self._state.update(self._line(row))
            self.rows += 1

    # SessionLog

    def take(self, item: Input) -> None:
        self.present = item

    def sent(self, item: Output) -> None:
        expected = next(self._outputs, None)
        if expected is None:
            self._past_the_end("nothing more is sent", item)
        elif item != expected:
            raise self.differs(f"output {item.number}", expected, item)
        else:
            self.outputs += 1

    # Journal

    def write(self, kind: str, ts_ns: int, order_id: str, body: Mapping[str, Any]) -> None:
        """Compare one row with the recorded one. Errors: Diverged; JournalError as a journal on disk."""
        got = JournalRow(self.rows + 1, ts_ns, kind, order_id, dict(body))
        expected = next(self._rows, None)
        if expected is None:
            self._past_the_end("no more rows", got)
            return
        line = self._line(got)
        if line != self._line(expected):
            raise self.differs(f"row {got.seq}", expected, got)
        self._state.update(line)
        self.rows += 1

    def rows_of(self, order_id: OrderId) -> Sequence[JournalRow]:
        """What the session's journal held of the order by then (`ports.OrderArchive`)."""
        return [row for row in self._session.rows_of(order_id) if row.seq <= self.rows]

    def note(self, key: str, text: str) -> None:
        """Nothing is kept."""

    @property
    def durable(self) -> bool:
        return self._durable

    def flush(self) -> None:
        """There is no disk."""

    def digest(self) -> str:
        """sha256 over the rows that were found equal."""
        return self._state.hexdigest()

    def close(self) -> None:
        """Nothing is held."""

    def check_end(self) -> None:
        """After the run: everything recorded was written and sent again. Errors: Diverged."""
        row = next(self._rows, None)
        if row is not None:
            raise self.differs(f"row {row.seq}", row, "the replay has ended")
        output = next(self._outputs, None)
        if output is not None:
            raise self.differs(f"output {output.number}", output, "the replay has ended")

    def differs(self, what: str, expected: object, got: object) -> Diverged:
        """The first difference; what follows from it is none of its own."""
        if self.difference is None:
            self.difference = Diverged(what, expected, got)
        return self.difference

    def _past_the_end(self, expected: str, got: object) -> None:
        at = 0 if self.present is None else self.present.number
        if self._whole or at < self._session.inputs_total:
            raise self.differs("the end", expected, got)
        self.beyond += 1

    def _line(self, row: JournalRow) -> bytes:
        try:
            return row_line(row.seq, row.ts_ns, row.kind, row.order_id, canonical_json(row.body))
        except NotCanonical as error:
            raise JournalError(str(self._session.path), f"{row.kind}: {error}") from None
