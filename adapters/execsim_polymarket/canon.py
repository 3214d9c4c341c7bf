"""The canonical (YES-side) book of one market, as the rows so far tell it, and those rows.

Rows are written in wire order: while it is undecided whether a quiet spell was a gap, what happens (trades) is held back, so
that the GAP row can stand before it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from execsim.core.units import scaled
from execsim.tape.schema import NO_TIME, Flag, GapInfo, Kind, RowBuffer, RowSink, SideCode
from execsim_polymarket.book import HashTerms, Scale, Side
from execsim_polymarket.inference import Print, infer
from execsim_polymarket.instruments import market_info
from execsim_polymarket.survey import Plan, venue_ns

HELD_MAX: Final = 1_000
"""Rows held back while a quiet spell is undecided; with more it is a gap."""

Level = tuple[SideCode, int, str]
"""side, price_i and new size; "0" removes the level"""


class At(NamedTuple):
    """When a message was: raw clocks (NO_TIME where missing) and the one gaps are judged by (the venue's if it is there)."""

    venue_ns: int
    recv_ns: int
    ns: int

    @classmethod
    def of(cls, frame: Mapping[str, Any], recv_ns: int) -> At:
        venue = venue_ns(frame)
        return cls(venue, recv_ns, recv_ns if venue == NO_TIME else venue)


class Canon:
    """Feed it books and levels that are known to be right. Times are the messages' raw clocks.

    `infer_trades`: make up trades between consecutive books; `inferred` counts them.
    """

    def __init__(self, plan: Plan, scale: Scale, sink: RowSink, terms: HashTerms, *, infer_trades: bool) -> None:
        self.suspected: At | None = None
        """the last message before a quiet spell that is not yet decided to be a gap"""
        self.inferred = 0
        self._plan = plan
        self._scale = scale
        self._sink = sink
        self._terms = terms
        self._infer = infer_trades
        self._index = -1
        self._tick = ""
        self._book: tuple[Side, Side] | None = None
        self._held: list[tuple[int, ...]] = []
        self._gap: tuple[int, str] | None = None
        self._last_price: str | None = None

    @property
    def in_gap(self) -> bool:
        return self._gap is not None

    @property
    def held(self) -> int:
        """Rows held back."""
        return len(self._held)

    def show(self, book: tuple[Side, Side], at: At, rows: RowBuffer) -> None:
        """The whole book: a snapshot if it is the first or closes a gap, else what differs. Keeps the dicts given."""
        resync = self._gap is not None
        if self._gap is not None:
            self._put(rows, at, Kind.GAP, SideCode.NONE, 0, 0)
            self._sink.gap(GapInfo(self._index, self._gap[0], max(self._gap[0], at.ns), self._gap[1]))
            self._gap = None
        if self._terms.tick is not None:
            self.tick(self._terms.tick, at, rows)
        if self._book is None or resync:
            self._snapshot(book, at, rows, Flag.RESYNC if resync else 0)
        else:
            self._infer_trade(self._book, book, at, rows)
            self._levels(_differences(self._book, book), at, rows)
        self._last_price = self._terms.last
        self._book = book

    def set(self, levels: Sequence[Level], at: At, rows: RowBuffer) -> None:
        """New totals of single levels; those that change nothing make no row. Only after `show`."""
        if self._terms.tick is not None:
            self.tick(self._terms.tick, at, rows)
        changed: list[Level] = []
        for level in levels:
            code, price_i, size = level
            side = (self._book or ({}, {}))[0 if code is SideCode.BID else 1]
            if side.get(price_i, "0") != size:
                changed.append(level)
                if size == "0":
                    del side[price_i]
                else:
                    side[price_i] = size
        self._levels(changed, at, rows)

    def trade(self, trade: Print, at: At, rows: RowBuffer, flags: int = 0) -> None:
        flags |= Flag.NO_TOKEN if trade.no_token else 0
        self._put(rows, at, Kind.TRADE, SideCode.NONE, trade.price_i, trade.lots, trade.aggressor, flags)

    def tick(self, tick: str, at: At, rows: RowBuffer) -> None:
        """The tick is `tick`; a row if that is new."""
        self._announce()
        if tick != self._tick:
            self._tick = tick
            self._put(rows, at, Kind.TICK, SideCode.NONE, scaled(tick, self._scale.price_unit, "tick"), 0)

    def resolve(self, payoff: str, at: At, rows: RowBuffer) -> None:
        self._put(rows, at, Kind.RESOLVE, SideCode.NONE, scaled(payoff, self._scale.price_unit, "payoff"), 0)

    def suspect(self, last: At) -> None:
        """It was quiet since `last`: from now on rows are held back until `acquit` or `open_gap`."""
        if self._gap is None and self.suspected is None:
            self.suspected = last

    def acquit(self, rows: RowBuffer) -> None:
        """Nothing was lost in the quiet spell."""
        self.suspected = None
        self._release(rows)

    def open_gap(self, last: At, now: At, why: str, rows: RowBuffer) -> None:
        """From 1 ns after `last` (not later than `now`) nothing is known."""
        self.suspected = None
        start = At(*(min(was + 1, at) if was != NO_TIME else at for was, at in zip(last, now, strict=True)))
        self._put(rows, start, Kind.GAP, SideCode.NONE, 0, 1)
        self._gap = start.ns, why
        self._release(rows)

    def finish(self, last: At, rows: RowBuffer) -> None:
        """End of the recording: an undecided quiet spell is a gap, an open gap ends at the last message."""
        if self.suspected is not None:
            self.open_gap(self.suspected, last, "quiet", rows)
        if self._gap is not None:
            self._sink.gap(GapInfo(self._index, self._gap[0], max(self._gap[0], last.ns), self._gap[1]))
            self._gap = None

    def _snapshot(self, book: tuple[Side, Side], at: At, rows: RowBuffer, flags: int) -> None:
        lots = self._scale.lots
        levels = [(SideCode.BID, price_i, lots(size)) for price_i, size in book[0].items()]
        levels += [(SideCode.ASK, price_i, lots(size)) for price_i, size in book[1].items()]
        levels = levels or [(SideCode.NONE, 0, 0)]
        flags |= Flag.FIRST
        for side, price_i, size in levels[:-1]:
            self._put(rows, at, Kind.SNAPSHOT, side, price_i, size, 0, flags)
            flags = 0
        self._put(rows, at, Kind.SNAPSHOT, *levels[-1], 0, flags | Flag.LAST)

    def _levels(self, changed: Sequence[tuple[SideCode, int, str]], at: At, rows: RowBuffer) -> None:
        sizes, last = self._scale.sizes, len(changed) - 1
        for number, (side, price_i, size) in enumerate(changed):
            self._put(rows, at, Kind.LEVEL, side, price_i, sizes[size], 0, Flag.LAST if number == last else 0)

    def _infer_trade(self, before: tuple[Side, Side], after: tuple[Side, Side], at: At, rows: RowBuffer) -> None:
        last, known = self._terms.last, self._last_price
        if not self._infer or not last or not known or last == known:
            return
        found = infer(self._scale.prices[last], self._scale, before, after)
        if found is None:
            self._sink.defect("trade_uninferable")
            return
        self.inferred += 1
        self.trade(found, at, rows, Flag.INFERRED)

    def _put(
        self,
        rows: RowBuffer,
        at: At,
        kind: Kind,
        side: SideCode,
        price_i: int,
        size_i: int,
        aggressor: int = 0,
        flags: int = 0,
    ) -> None:
        """One row; kept back while a quiet spell is undecided, so that its GAP row can come first."""
        market = self._index if self._index >= 0 else self._announce()
        if self.suspected is None:
            rows.add(at[0], at[1], market, kind, side, price_i, size_i, aggressor, 0, flags)
        else:
            self._held.append((at[0], at[1], market, kind, side, price_i, size_i, aggressor, 0, flags))

    def _release(self, rows: RowBuffer) -> None:
        held, self._held = self._held, []
        for row in held:
            rows.add(*row)

    def _announce(self) -> int:
        """The market's index in the sink, announced with the tick known when its first row is due."""
        if self._index < 0:
            self._tick = self._terms.tick or "0.01"
            self._index = self._sink.market(market_info(self._plan, self._terms, self._scale, self._tick))
        return self._index


def _differences(old: tuple[Side, Side], new: tuple[Side, Side]) -> list[Level]:
    """(side, price_i, new size) of every level that differs; what disappears comes first, so the book never crosses."""
    gone: list[Level] = []
    changed: list[Level] = []
    for code, was, now in ((SideCode.BID, old[0], new[0]), (SideCode.ASK, old[1], new[1])):
        if was != now:
            gone += [(code, price_i, "0") for price_i in sorted(was.keys() - now.keys())]
            changed += [(code, price_i, size) for price_i, size in now.items() if was.get(price_i) != size]
    return gone + changed
