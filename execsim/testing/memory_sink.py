"""`MemorySink`: a `RowSink` that keeps what an importer says, for testing an importer of your own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from execsim.core.errors import InternalError
from execsim.tape.schema import COLUMNS, GapInfo, MarketInfo, SourceInfo


class SinkRow(NamedTuple):
    """One row as the importer gave it, before the store repairs clocks and sorts. Columns: tape.schema.COLUMNS."""

    ts_venue_ns: int
    ts_recv_ns: int
    market: int
    kind: int
    side: int
    price_i: int
    size_i: int
    aggressor: int
    order_id: int
    flags: int
    source: int


class MemorySink:
    """Everything in lists and counters; `batches` counts the calls of `rows`.

    Errors: InternalError when an importer's columns are not those of the schema.
    """

    def __init__(self) -> None:
        self.data: list[SinkRow] = []
        self.batches = 0
        self.markets: list[MarketInfo] = []
        self.sources: list[SourceInfo] = []
        self.gaps: list[GapInfo] = []
        self.defects: Counter[str] = Counter()
        self.checks: Counter[str] = Counter()
        self.notes: list[str] = []

    def source(self, info: SourceInfo) -> int:
        self.sources.append(info)
        return len(self.sources) - 1

    def market(self, info: MarketInfo) -> int:
        for index, known in enumerate(self.markets):
            if known.market == info.market:
                return index
        self.markets.append(info)
        return len(self.markets) - 1

    def rows(self, source: int, columns: Mapping[str, Any]) -> None:
        if set(columns) != set(COLUMNS) - {"seq"}:
            raise InternalError(f"an importer gave the columns {', '.join(columns)}")
        self.batches += 1
        values = zip(*(map(int, columns[name]) for name in SinkRow._fields[:-1]), strict=True)
        self.data += [SinkRow._make((*row, source)) for row in values]

    def gap(self, info: GapInfo) -> None:
        self.gaps.append(info)

    def defect(self, name: str, count: int = 1) -> None:
        self.defects[name] += count

    def check(self, name: str, ok: bool, count: int = 1) -> None:
        self.checks[f"{name}_checked"] += count
        self.checks[f"{name}_ok"] += count if ok else 0

    def note(self, text: str) -> None:
        self.notes.append(text)

    def of(self, *kinds: int) -> list[SinkRow]:
        """The rows of some kinds, in order."""
        return [row for row in self.data if row.kind in kinds]

    def oracle(self, name: str) -> tuple[int, int]:
        """(ok, checked) of one check."""
        return self.checks[f"{name}_ok"], self.checks[f"{name}_checked"]
