"""Synthetic tapes: one binary market made on the spot from a seed, the same on every machine.

Randomness is raw 64-bit draws of PCG64 cut into bit fields that index small integer tables (made with `decimal`): no
floating point decides a row. Invariants of every tape: the book is never crossed, locked or one-sided; a trade prints
at the touch and the next row, at the same venue time, is the level update it caused; every level row changes its level.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import numpy as np

from execsim.core.errors import ConfigError
from execsim.core.units import NS_PER_MS
from execsim.tape.imports import cached, check_options
from execsim.tape.rows import Columns
from execsim.tape.schema import Flag, Kind, Manifest, MarketInfo, SideCode, SourceInfo
from execsim.tape.store import TapeWriter

SYNTH_VERSION: Final = 1
"""Rises whenever the same parameters would give other rows."""

START_NS: Final = 1_760_000_000_000_000_000
"""Venue time of the opening snapshot (9 October 2025)."""

TICKS: Final = 100
"""Ticks of 0.01 in a binary market's price range; levels stand at ticks 1 to 99."""
_TICK_I: Final = 100
_LOTS: Final = 10_000
"""Sizes move in steps of 0.01 share = 10,000 lots."""
_OPEN_DEPTH: Final = 40
_WIDEST: Final = 8
"""Ticks of spread above which no touch is cancelled whole."""
_FAIR_SCALE: Final = 64
"""The hidden fair price moves in 1/64 ticks."""

_BUY: Final = 1
"""bit of a packed row: a bid level or a buyer's trade"""
_SAME: Final = 2
"""bit of a packed row: at the instant of the row before it"""
_SNAPSHOT, _LEVEL, _TRADE = (int(kind) << 2 for kind in (Kind.SNAPSHOT, Kind.LEVEL, Kind.TRADE))


@dataclass(frozen=True, slots=True)
class Synth:
    """Parameters of a synthetic market. `rows` counts every row, the opening snapshot included (at least 200).

    `trade_share` and `cancel_share` are of 1,024 events; times are ns: the mean time between events, and the bounds of
    the receive delay (uniform; order is kept). `size` is the mean level size in 0.01 shares.
    """

    seed: int = 7
    rows: int = 1_000_000
    market: str = "synthetic"
    venue: str = "polymarket"
    trade_share: int = 54
    cancel_share: int = 36
    event_gap_ns: int = 20 * NS_PER_MS
    delay_min_ns: int = 2 * NS_PER_MS
    delay_max_ns: int = 10 * NS_PER_MS
    size: int = 30_000

    def __post_init__(self) -> None:
        for ok, what, hint in (
            (self.rows >= 200, f"rows {self.rows}", "a synthetic tape has at least 200 rows"),
            (self.seed >= 0, f"seed {self.seed}", "must not be negative"),
            (self.trade_share >= 0 and self.cancel_share >= 0, "a negative share", "shares are of 1,024 events"),
            (self.trade_share + self.cancel_share <= 512, "trade_share + cancel_share", "must not exceed 512"),
            (0 < self.event_gap_ns <= 10**12, f"event_gap_ns {self.event_gap_ns}", "must be in 1..10**12"),
            (0 < self.delay_min_ns <= self.delay_max_ns <= 10**12, "delay_min_ns, delay_max_ns", "0 < min <= max"),
            (100 <= self.size <= 10**9, f"size {self.size}", "must be in 100..10**9 (0.01 shares)"),
        ):
            if not ok:
                raise ConfigError(f"synthetic tape: {what}", hint)


OPTIONS: Final = {
    "market": "market id (synthetic)",
    "venue": "venue whose rules apply (polymarket)",
    "trade_share": "trades per 1,024 events (54)",
    "cancel_share": "cancels of a whole best level per 1,024 events (36)",
    "event_gap_ns": "mean time between events (20,000,000)",
    "delay_min_ns": "least time from venue to receipt (2,000,000)",
    "delay_max_ns": "largest time from venue to receipt (10,000,000)",
    "size": "mean level size in 0.01 shares (30,000)",
}


def synthetic_tape(seed: int, rows: int, options: Mapping[str, Any], cache_dir: Path | None = None) -> Path:
    """The cached synthetic tape of these parameters, made now if needed. Errors: ConfigError for a wrong option."""
    check_options("synthetic", OPTIONS, options)
    kinds = {field.name: field.type for field in fields(Synth)}
    for name, value in options.items():
        if kinds[name] == "int" and (isinstance(value, bool) or not isinstance(value, int)):
            raise ConfigError(f"synthetic tape: {name} {value!r}", "must be a whole number")
    synth = Synth(seed=seed, rows=rows, **options)
    inputs = {"synthetic": asdict(synth), "version": SYNTH_VERSION}
    return cached(inputs, lambda path: write_synthetic(path, synth), cache_dir)


def write_synthetic(path: Path, synth: Synth) -> Manifest:
    """Write a synthetic tape at `path`. Errors: DataError when it cannot be written."""
    columns = synthetic_rows(synth)
    with TapeWriter(path, "synthetic", SYNTH_VERSION) as writer:
        source = writer.source(SourceInfo(name=f"synthetic seed {synth.seed}", sha256="", bytes=0))
        writer.market(
            MarketInfo(
                market=synth.market,
                venue=synth.venue,
                instrument_kind="binary",
                price_unit="0.0001",
                lot="0.000001",
                base=f"{synth.market}-yes",
                quote="pUSD",
                tick="0.01",
                size_step="0.01",
                yes_token=f"{synth.market}-yes",
                no_token=f"{synth.market}-no",
                title=f"Synthetic market, seed {synth.seed}",
            )
        )
        writer.rows(source, columns)
        writer.note("synthetic: nothing in this tape was ever traded")
    return writer.manifest


def synthetic_rows(synth: Synth) -> Columns:
    """The rows of a synthetic market in wire order, as RowSink.rows takes them."""
    bits = np.random.PCG64(synth.seed)
    rows = _Rows(synth, bits.random_raw(2 * TICKS + synth.rows))
    rows.open_book()
    rows.trade_on()
    n = synth.rows
    packed = np.array(rows.packed[:n], dtype=np.int64)
    kind, tick, size = packed >> 2 & 3, packed >> 4 & 127, packed >> 11
    side = np.where(packed & _BUY, SideCode.BID, SideCode.ASK)
    event = np.cumsum(packed & _SAME == 0) - 1
    draws = bits.random_raw(2 * (int(event[-1]) + 1)).reshape(2, -1)
    gaps = np.array(_exponential(1024, synth.event_gap_ns), dtype=np.int64)[draws[0] >> np.uint64(54)]
    gaps += (draws[0] & np.uint64(1023)).astype(np.int64) + 1
    gaps[0] = 0
    venue = START_NS + np.cumsum(gaps)
    spread = np.uint64(synth.delay_max_ns - synth.delay_min_ns + 1)
    recv = np.maximum.accumulate(venue + synth.delay_min_ns + (draws[1] % spread).astype(np.int64))
    trade = kind == Kind.TRADE
    flags = np.zeros(n, dtype=np.int64)
    flags[np.append(event[1:] != event[:-1], True)] = Flag.LAST
    flags[0] |= Flag.FIRST
    return {
        "ts_venue_ns": venue[event],
        "ts_recv_ns": recv[event],
        "market": np.zeros(n, dtype=np.int64),
        "kind": kind,
        "side": np.where(trade, SideCode.NONE, side),
        "price_i": tick * _TICK_I,
        "size_i": size * _LOTS,
        "aggressor": np.where(trade, side, SideCode.NONE),
        "order_id": np.zeros(n, dtype=np.int64),
        "flags": flags,
    }


class _Rows:
    """The market being made: two ladders of sizes by tick, the touch, a hidden fair price, and the rows so far."""

    def __init__(self, synth: Synth, raw: Any) -> None:
        self.synth = synth
        self.packed: list[int] = []
        """a row: size << 11 | tick << 4 | kind << 2 | _SAME | _BUY (one append a row is most of the speed)"""
        self._raw: list[int] = raw.tolist()
        self._bid = [0] * (TICKS + 1)
        self._ask = [0] * (TICKS + 1)
        self._best_bid = TICKS // 2 - 1
        self._best_ask = TICKS // 2 + 1
        self._sizes = [100 + size for size in _exponential(256, synth.size)]
        self._trades = [100 + size for size in _exponential(256, synth.size // 4)]

    def open_book(self) -> None:
        """The snapshot: `_OPEN_DEPTH` levels a side, at one instant."""
        for depth in range(_OPEN_DEPTH):
            for side, tick in ((1, self._best_bid - depth), (-1, self._best_ask + depth)):
                ladder = self._bid if side > 0 else self._ask
                ladder[tick] = self._sizes[self._raw[TICKS + side * (depth + 1)] & 255]
                self._row(_SNAPSHOT | (_SAME if self.packed else 0), side, tick, ladder[tick])

    def trade_on(self) -> None:
        """Events until there are enough rows. One raw draw each: 10 bits what, 8 side, 8 size, 8 depth, 8 fair."""
        synth, raw, sizes = self.synth, self._raw, self._sizes
        bid, ask = self._bid, self._ask
        depths = _exponential(256, 4)
        trades_until = synth.trade_share
        cancels_until = trades_until + synth.cancel_share
        low, high = 8 * _FAIR_SCALE, (TICKS - 8) * _FAIR_SCALE
        fair = TICKS // 2 * _FAIR_SCALE
        packed, at, wanted = self.packed, 2 * TICKS, synth.rows
        while len(packed) < wanted:
            draw = raw[at]
            at += 1
            fair += (draw >> 34 & 7) - (draw >> 37 & 7)
            fair = low if fair < low else high if fair > high else fair
            best_bid, best_ask = self._best_bid, self._best_ask
            pull = (2 * fair - (best_bid + best_ask) * _FAIR_SCALE) // 8
            buyer = (draw >> 10 & 255) < 128 + (40 if pull > 40 else -40 if pull < -40 else pull)
            what, size = draw & 1023, sizes[draw >> 18 & 255]
            if what < trades_until and len(packed) + 2 <= wanted:
                self._trade(buyer, self._trades[draw >> 18 & 255])
                continue
            if what < cancels_until and self._cancel_touch(buyer):
                continue
            spread = best_ask - best_bid
            if spread > 1 and what < cancels_until + 36 * min(spread - 1, 4):
                self._improve(buyer, size)
                continue
            depth = depths[draw >> 26 & 255]
            if draw >> 40 & 1:
                side, tick, ladder = 1, max(1, best_bid - depth), bid
            else:
                side, tick, ladder = -1, min(TICKS - 1, best_ask + depth), ask
            touch = tick in (best_bid, best_ask)
            if ladder[tick] and not touch and not draw >> 41 & 3:
                size = 0
            elif size == ladder[tick]:
                size += 1
            ladder[tick] = size
            packed.append(size << 11 | tick << 4 | _LEVEL | (side > 0))

    def _trade(self, buyer: bool, size: int) -> None:
        """A trade at the touch and its level update; the last level of a side is never taken whole (nor a size of 1)."""
        ladder, tick, away = (self._ask, self._best_ask, 1) if buyer else (self._bid, self._best_bid, -1)
        following = self._next(ladder, tick, away)
        if size >= ladder[tick]:
            size = ladder[tick] if following else ladder[tick] // 2
        if not size:
            return
        ladder[tick] -= size
        self._row(_TRADE, away, tick, size)
        self._row(_LEVEL | _SAME, -away, tick, ladder[tick])
        if not ladder[tick]:
            self._move(buyer, following)

    def _cancel_touch(self, asks: bool) -> bool:
        """Remove a best level, if another stands behind it and the spread stays within `_WIDEST`."""
        ladder, tick, away = (self._ask, self._best_ask, 1) if asks else (self._bid, self._best_bid, -1)
        following = self._next(ladder, tick, away)
        other = self._best_bid if asks else self._best_ask
        if not following or abs(following - other) > _WIDEST:
            return False
        ladder[tick] = 0
        self._row(_LEVEL, -away, tick, 0)
        self._move(asks, following)
        return True

    def _improve(self, bids: bool, size: int) -> None:
        """A new best level one tick inside the spread."""
        tick = self._best_bid + 1 if bids else self._best_ask - 1
        (self._bid if bids else self._ask)[tick] = size
        self._row(_LEVEL, 1 if bids else -1, tick, size)
        self._move(not bids, tick)

    def _move(self, asks: bool, tick: int) -> None:
        if asks:
            self._best_ask = tick
        else:
            self._best_bid = tick

    @staticmethod
    def _next(ladder: list[int], tick: int, away: int) -> int:
        """The next level behind `tick`, 0 if there is none."""
        tick += away
        while 0 < tick < TICKS:
            if ladder[tick]:
                return tick
            tick += away
        return 0

    def _row(self, code: int, side: int, tick: int, size: int) -> None:
        self.packed.append(size << 11 | tick << 4 | code | (side > 0))


def _exponential(entries: int, mean: int) -> list[int]:
    """Quantiles of the exponential distribution at the middles of `entries` equal shares, floored."""
    return [int(-(1 - (Decimal(2 * i + 1) / (2 * entries))).ln() * mean) for i in range(entries)]
