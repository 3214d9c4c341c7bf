"""What a session in wall time took in and sent out, kept in the journal's own file beside its rows.

Tables `inputs` and `outputs`, written in the same commit as the rows: a row on disk has the inputs it came from on disk with
it. They are not part of the journal's digest.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from execsim.core.errors import JournalError
from execsim.core.order import OrderId
from execsim.journal.reader import ROWS, connected, parsed
from execsim.journal.sqlite import OF_ORDER, SqliteJournal
from execsim.ports import Input, JournalRow, Output

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS inputs (
    number INTEGER PRIMARY KEY,  -- 1, 2, 3, ... in the order in which they were taken
    t_ns   INTEGER NOT NULL,     -- the run's clock from then until the next one, ns
    kind   TEXT    NOT NULL,     -- start clock answer error frame end call cancel late (execsim.ports.Input)
    key    TEXT    NOT NULL,     -- whose: number of the call or stream, name of the door
    body   BLOB    NOT NULL      -- as it came
) STRICT;
CREATE TABLE IF NOT EXISTS outputs (
    number INTEGER PRIMARY KEY,  -- 1, 2, 3, ... in the order in which they were sent
    input  INTEGER NOT NULL,     -- the input that was being worked on
    t_ns   INTEGER NOT NULL,
    kind   TEXT    NOT NULL,     -- request open tell close
    key    TEXT    NOT NULL,
    body   BLOB    NOT NULL      -- as it left, secret headers as hashes
) STRICT;
"""

BUFFER_BYTES: Final = 1 << 20
"""Inputs and outputs held for the next commit (1 MiB); more, and they are committed by themselves."""

ITEM_BYTES: Final = 100
"""What an item counts besides its body."""

_INPUT: Final = "INSERT INTO inputs (number, t_ns, kind, key, body) VALUES (?, ?, ?, ?, ?)"
_OUTPUT: Final = "INSERT INTO outputs (number, input, t_ns, kind, key, body) VALUES (?, ?, ?, ?, ?, ?)"


class SessionRecord:
    """The `SessionLog` of a journal on disk. `bytes` counts what was recorded, bodies only.

    Errors: JournalError, also where the journal holds a session already.
    """

    def __init__(self, journal: SqliteJournal) -> None:
        self.bytes = 0
        self._journal = journal
        self._inputs: deque[Input] = deque()
        self._outputs: deque[Output] = deque()
        self._held = 0
        journal.attach(self)

    def create(self, db: sqlite3.Connection) -> None:
        """Make the tables. Errors: sqlite3.Error; JournalError."""
        db.executescript(SCHEMA)
        if db.execute("SELECT 1 FROM inputs LIMIT 1").fetchone() is not None:
            raise JournalError(str(self._journal.path), "holds a recorded session already")

    def take(self, item: Input) -> None:
        self._inputs.append(item)
        self._grow(len(item.body))

    def sent(self, item: Output) -> None:
        self._outputs.append(item)
        self._grow(len(item.body))

    @property
    def waiting(self) -> bool:
        """Whether something is held for the next commit."""
        return bool(self._inputs or self._outputs)

    def store(self, db: sqlite3.Connection) -> None:
        """Called within a commit, after its rows were taken: so no row is stored without the inputs before it. May run in
        another thread than `take`. Errors: sqlite3.Error."""
        self._held = 0
        outputs = [self._outputs.popleft() for _ in range(len(self._outputs))]
        inputs = [self._inputs.popleft() for _ in range(len(self._inputs))]
        db.executemany(_INPUT, [(i.number, i.t_ns, i.kind, i.key, i.body) for i in inputs])
        db.executemany(_OUTPUT, [(o.number, o.input, o.t_ns, o.kind, o.key, o.body) for o in outputs])

    def _grow(self, size: int) -> None:
        self.bytes += size
        self._held += size + ITEM_BYTES
        if self._held >= BUFFER_BYTES:
            self._held = 0
            self._journal.flush()


class SessionReader:
    """A recorded session as it stood at one moment, also while it goes on: notes, rows, inputs and outputs that belong
    together. Close it after use. Errors: JournalError when the file is no journal, or holds no session."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._stack = ExitStack()
        self._db = self._stack.enter_context(connected(self.path))
        try:
            (self.inputs_total,) = self._db.execute("SELECT count(*) FROM inputs").fetchone()
        except sqlite3.Error:
            self.inputs_total = 0
        if not self.inputs_total:
            self.close()
            how = "only runs in wall time (`execsim run SCENARIO --native HOST:PORT`) are recorded"
            raise JournalError(str(path), f"holds no recorded session: {how}")

    def notes(self) -> dict[str, str]:
        return dict(self._select("SELECT key, value FROM meta"))

    def rows(self) -> Iterator[JournalRow]:
        return (parsed(self.path, row) for row in self._select(ROWS))

    def rows_of(self, order_id: OrderId) -> list[JournalRow]:
        return [parsed(self.path, row) for row in self._select(OF_ORDER, (order_id,))]

    def inputs(self) -> Iterator[Input]:
        return (Input(*row) for row in self._select("SELECT number, t_ns, kind, key, body FROM inputs ORDER BY number"))

    def outputs(self) -> Iterator[Output]:
        query = "SELECT number, input, t_ns, kind, key, body FROM outputs ORDER BY number"
        return (Output(*row) for row in self._select(query))

    def close(self) -> None:
        self._stack.close()

    def _select(self, query: str, bound: tuple[str, ...] = ()) -> Iterator[Any]:
        cursor = self._db.execute(query, bound)
        while True:
            try:
                row = cursor.fetchone()
            except sqlite3.Error as error:
                raise JournalError(str(self.path), f"cannot read: {error}") from error
            if row is None:
                return
            yield row
