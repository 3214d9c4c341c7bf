"""A sink that keeps what an importer says, row by row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest

from execsim.tape.schema import COLUMNS, GapInfo, MarketInfo, SourceInfo


class Row(NamedTuple):
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


class ListSink:
    def __init__(self) -> None:
        self.sources: list[SourceInfo] = []
        self.markets: list[MarketInfo] = []
        self.chunks: list[tuple[int, Mapping[str, Any]]] = []
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
        assert set(columns) == set(COLUMNS) - {"seq"}
        self.chunks.append((source, columns))

    def gap(self, info: GapInfo) -> None:
        self.gaps.append(info)

    def defect(self, name: str, count: int = 1) -> None:
        self.defects[name] += count

    def check(self, name: str, ok: bool, count: int = 1) -> None:
        self.checks[f"{name}_checked"] += count
        self.checks[f"{name}_ok"] += count if ok else 0

    def note(self, text: str) -> None:
        self.notes.append(text)

    @property
    def all(self) -> list[Row]:
        rows = []
        for source, columns in self.chunks:
            named = [[int(value) for value in columns[name]] for name in Row._fields[:-1]]
            rows += [Row(*values, source) for values in zip(*named, strict=True)]
        return rows

    def of(self, *kinds: int) -> list[Row]:
        return [row for row in self.all if row.kind in kinds]

    def count(self, kind: int) -> int:
        return sum(list(columns["kind"]).count(kind) for _, columns in self.chunks)


@pytest.fixture
def sink() -> ListSink:
    return ListSink()
