"""Reading a tape in constant memory: chunks of columns in file order, however long the tape is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from execsim.core.errors import ConfigError, DataError
from execsim.tape.rows import Columns
from execsim.tape.schema import COLUMNS, Manifest
from execsim.tape.store import ROWS_FILE, first_line, load_manifest, open_rows

CHUNK_ROWS = 262_144


class TapeReader:
    """Iterates a tape as dicts of NumPy columns (schema.COLUMNS), at most `chunk_rows` rows each; may be iterated again.

    `start_ns` and `end_ns` bound ts_venue_ns (start included, end not; None: open); `markets` keeps the rows of those
    tape market indices. A reader that starts inside a tape gives no book to start from: that is the caller's matter.
    Errors: DataError for what is not a whole tape, ConfigError for a market index the tape does not have.
    """

    def __init__(
        self,
        path: Path,
        chunk_rows: int = CHUNK_ROWS,
        start_ns: int | None = None,
        end_ns: int | None = None,
        markets: Iterable[int] | None = None,
    ) -> None:
        if chunk_rows < 1:
            raise ConfigError(f"chunk_rows {chunk_rows}", "must be at least 1")
        self.path = Path(path)
        self.manifest: Manifest = load_manifest(self.path)
        self._chunk_rows = chunk_rows
        self._start_ns, self._end_ns = start_ns, end_ns
        self._markets = None if markets is None else sorted(set(markets))
        for index in self._markets or ():
            if not 0 <= index < len(self.manifest.markets):
                raise ConfigError(f"{self.path} has no market {index}", f"it has {len(self.manifest.markets)}")

    def __iter__(self) -> Iterator[Columns]:
        opened = open_rows(self.path)
        try:
            groups = self._row_groups(opened.metadata)
            if not groups:
                return
            for batch in opened.iter_batches(self._chunk_rows, row_groups=groups, columns=list(COLUMNS)):
                # from_dlpack shares the buffer; Arrow's own to_numpy would import pandas, slower than a million rows.
                columns = self._keep({name: np.from_dlpack(batch.column(name)) for name in COLUMNS})
                if len(columns["seq"]):
                    yield columns
        except (pa.ArrowException, OSError) as error:
            where, what = str(self.path / ROWS_FILE), f"truncated or unreadable parquet ({first_line(error)})"
            raise DataError(where, what, "import the recording again (execsim data import)") from None
        finally:
            opened.close()

    def _row_groups(self, metadata: Any) -> list[int]:
        """Row groups that can hold a row of the wanted time range: rows are sorted by ts_venue_ns."""
        column = metadata.schema.names.index("ts_venue_ns")
        chosen = []
        for index in range(metadata.num_row_groups):
            times = metadata.row_group(index).column(column).statistics
            before = self._start_ns is not None and times is not None and times.max < self._start_ns
            after = self._end_ns is not None and times is not None and times.min >= self._end_ns
            if not (before or after):
                chosen.append(index)
        return chosen

    def _keep(self, columns: Columns) -> Columns:
        venue = columns["ts_venue_ns"]
        start = 0 if self._start_ns is None else int(np.searchsorted(venue, self._start_ns))
        end = len(venue) if self._end_ns is None else int(np.searchsorted(venue, self._end_ns))
        if (start, end) != (0, len(venue)):
            columns = {name: column[start:end] for name, column in columns.items()}
        if self._markets is not None:
            wanted = np.isin(columns["market"], self._markets)
            columns = {name: column[wanted] for name, column in columns.items()}
        return columns
