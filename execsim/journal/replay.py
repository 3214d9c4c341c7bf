"""The journal of a replay: it stores nothing and compares what is written, sent and taken with what a session recorded."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

from execsim.core.errors import JournalError
from execsim.core.order import OrderId
from execsim.journal.canonical import NotCanonical, canonical_json, row_line
from execsim.journal.reader import read
from execsim.journal.session import count_inputs, inputs, outputs, rows_of
from execsim.ports import Diverged, Input, JournalRow, Output

ENDED: Final = "session.ended"
"""The note of a session that ended by itself; one that was killed has none, and may have been cut off within an input."""


class ReplayJournal:
    """`Journal` and `SessionLog` of a replay of the session in `path`.

    `durable`: as the session's journal was. `whole`: the session ended by itself, so nothing may be written or sent beyond
    what was recorded; else what the last input caused may not have reached the disk. Errors: Diverged at the first
    difference; JournalError when the file is no journal of a session.
    """

    def __init__(self, path: Path, *, durable: bool, whole: bool, carried: int = 0) -> None:
        self.inputs_total = count_inputs(path)
        self.rows = 0
        self.outputs = 0
        self.present: Input | None = None
        """the input being worked on"""
        self.beyond = 0
        """rows and outputs after the last recorded ones, of a session that was cut off"""
        self._path = path
        self._durable = durable
        self._whole = whole
        self._state = hashlib.sha256()
        self._rows: Iterator[JournalRow] = read(path)
        self._outputs: Iterator[Output] = outputs(path)
        for row in islice(self._rows, carried):
            self._state.update(self._line(row))
            self.rows += 1

    def recorded_inputs(self) -> Iterator[Input]:
        return inputs(self._path)

    # SessionLog

    def take(self, item: Input) -> None:
        self.present = item

    def sent(self, item: Output) -> None:
        expected = next(self._outputs, None)
        if expected is None:
            self._past_the_end("nothing more is sent", item)
        elif item != expected:
            raise Diverged(f"output {item.number}", expected, item)
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
            raise Diverged(f"row {got.seq}", expected, got)
        self._state.update(line)
        self.rows += 1

    def rows_of(self, order_id: OrderId) -> Sequence[JournalRow]:
        """What the session's journal held of the order by then (`ports.OrderArchive`)."""
        return [row for row in rows_of(self._path, order_id) if row.seq <= self.rows]

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
            raise Diverged(f"row {row.seq}", row, "the replay has ended")
        output = next(self._outputs, None)
        if output is not None:
            raise Diverged(f"output {output.number}", output, "the replay has ended")

    def _past_the_end(self, expected: str, got: object) -> None:
        at = 0 if self.present is None else self.present.number
        if self._whole or at < self.inputs_total:
            raise Diverged("the end", expected, got)
        self.beyond += 1

    def _line(self, row: JournalRow) -> bytes:
        try:
            return row_line(row.seq, row.ts_ns, row.kind, row.order_id, canonical_json(row.body))
        except NotCanonical as error:
            raise JournalError(str(self._path), f"{row.kind}: {error}") from None
