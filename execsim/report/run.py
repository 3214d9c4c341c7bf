"""What the report is made from: one finished run as plain values, and the bounded samplers that collect its series.

The sampling rule, the same for every sampler here: time is cut into buckets of `interval_ns`, aligned to multiples of it
since the epoch, and the first sample of each bucket is kept; the newest sample is always kept besides. When more than
`limit` points are held the interval doubles and buckets merge. Buckets nest, so the result is what the final interval
would have kept from the start: it depends on what was added and on nothing else, in memory bounded by `limit`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from execsim.core.errors import ConfigError
from execsim.core.instrument import Asset, Instrument
from execsim.core.order import Fill, Order
from execsim.core.position import Position
from execsim.core.units import NS_PER_MS
from execsim.tape.grades import Graded

Row = TypeVar("Row")

SAMPLES_MAX: Final = 4_000
"""Points a sampler holds unless told otherwise: more than a screen is wide."""

EQUITY_CELLS_MAX: Final = 400_000
"""Bound of samples x series of an equity sampler: many markets get fewer samples each, never fewer than 250."""


class Sampler(Generic[Row]):
    """At most `limit` + 1 rows (the newest one more) of a stream in time order. See the module for the rule.

    Units: ns; `interval_ns` is the first interval, > 0. Errors: ConfigError for a limit below 2 or an interval below 1.
    """

    __slots__ = ("_bucket", "_newest", "_rows", "interval_ns", "limit")

    def __init__(self, limit: int = SAMPLES_MAX, interval_ns: int = NS_PER_MS) -> None:
        if limit < 2 or interval_ns < 1:
            raise ConfigError(f"sampler limit {limit}, interval {interval_ns} ns", "need limit >= 2, interval >= 1")
        self.limit = limit
        self.interval_ns = interval_ns
        self._rows: list[tuple[int, Row]] = []
        self._newest: tuple[int, Row] | None = None
        self._bucket = -1

    def due(self, ts_ns: int) -> bool:
        """Whether a sample at `ts_ns` would open a bucket: lets a caller skip computing a value nobody keeps."""
        return ts_ns // self.interval_ns != self._bucket

    def push(self, ts_ns: int, row: Row) -> None:
        """Offer a sample. Times must not decrease."""
        self._newest = (ts_ns, row)
        bucket = ts_ns // self.interval_ns
        if bucket == self._bucket:
            return
        self._bucket = bucket
        self._rows.append(self._newest)
        while len(self._rows) > self.limit:
            self._halve()

    def rows(self) -> list[tuple[int, Row]]:
        """What is held, in time order, ending with the newest sample."""
        if self._newest is None or self._rows[-1] is self._newest:
            return list(self._rows)
        return [*self._rows, self._newest]

    def _halve(self) -> None:
        self.interval_ns *= 2
        kept: list[tuple[int, Row]] = []
        last = -1
        for point in self._rows:
            bucket = point[0] // self.interval_ns
            if bucket != last:
                kept.append(point)
                last = bucket
        self._rows = kept
        self._bucket = last


@dataclass(frozen=True, slots=True)
class PriceSeries:
    """Sampled best prices of one market: equal lengths, times not decreasing, price_i of the canonical (YES) book,
    None for an empty side. `interval_ns` is the spacing of the samples: nothing finer can be read off them."""

    ts_ns: Sequence[int] = ()
    bid_i: Sequence[int | None] = ()
    ask_i: Sequence[int | None] = ()
    interval_ns: int = 0

    def mid_i(self, ts_ns: int) -> float | None:
        """Mid price in price units at `ts_ns`, from the newest sample not after it.

        None before the first sample, after the last, or where a side was empty. A statistic: half units are possible.
        """
        at = bisect_right(self.ts_ns, ts_ns) - 1
        if at < 0 or ts_ns > self.ts_ns[-1]:
            return None
        bid, ask = self.bid_i[at], self.ask_i[at]
        return None if bid is None or ask is None else (bid + ask) / 2


@dataclass(frozen=True, slots=True)
class EquitySeries:
    """Sampled state of the account: per sample time the net position of each market (lots, YES terms) and the net profit
    of each quote asset (realised + unrealised - fees, in its integer units). Every sequence is as long as `ts_ns`."""

    ts_ns: Sequence[int] = ()
    net_lots: Mapping[str, Sequence[int]] = field(default_factory=dict)
    net: Mapping[str, Sequence[int]] = field(default_factory=dict)


class PriceSampler:
    """Best prices of one market, bounded: `add` at any change of the touch, `series` at the end of the run."""

    __slots__ = ("_sampler",)

    def __init__(self, limit: int = SAMPLES_MAX, interval_ns: int = NS_PER_MS) -> None:
        self._sampler: Sampler[tuple[int | None, int | None]] = Sampler(limit, interval_ns)

    def due(self, ts_ns: int) -> bool:
        return self._sampler.due(ts_ns)

    def add(self, ts_ns: int, bid_i: int | None, ask_i: int | None) -> None:
        """Offer the touch at `ts_ns` (price_i, None for an empty side). Times must not decrease."""
        self._sampler.push(ts_ns, (bid_i, ask_i))

    def series(self) -> PriceSeries:
        rows = self._sampler.rows()
        return PriceSeries(
            [ts for ts, _ in rows],
            [bid for _, (bid, _) in rows],
            [ask for _, (_, ask) in rows],
            self._sampler.interval_ns,
        )


class EquitySampler:
    """Inventory and profit of the whole account, bounded. Markets and quote assets are fixed at the start."""

    __slots__ = ("_assets", "_markets", "_sampler")

    def __init__(
        self, markets: Sequence[str], assets: Sequence[str], limit: int = SAMPLES_MAX, interval_ns: int = NS_PER_MS
    ) -> None:
        self._markets = tuple(markets)
        self._assets = tuple(assets)
        series = max(1, len(self._markets) + len(self._assets))
        bounded = min(limit, max(250, EQUITY_CELLS_MAX // series))
        self._sampler: Sampler[tuple[int, ...]] = Sampler(bounded, interval_ns)

    def due(self, ts_ns: int) -> bool:
        return self._sampler.due(ts_ns)

    def add(self, ts_ns: int, net_lots: Mapping[str, int], net: Mapping[str, int]) -> None:
        """Offer the state at `ts_ns`: lots by market and units by quote asset; a missing name counts as 0."""
        lots = (net_lots.get(market, 0) for market in self._markets)
        units = (net.get(asset, 0) for asset in self._assets)
        self._sampler.push(ts_ns, (*lots, *units))

    def series(self) -> EquitySeries:
        rows = self._sampler.rows()
        split = len(self._markets)
        return EquitySeries(
            [ts for ts, _ in rows],
            {market: [row[i] for _, row in rows] for i, market in enumerate(self._markets)},
            {asset: [row[split + i] for _, row in rows] for i, asset in enumerate(self._assets)},
        )


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One finished run. Times in ns since the epoch; `summary` is the exact object of `execsim run --json`.

    `instruments` has every market of the run (also those without an order), `marks` the YES price (price_i) each
    position was valued at, None where there was none. `fills` are in the order they were booked.
    """

    scenario: str
    mode: str
    seed: int
    start_ns: int
    end_ns: int
    wall_s: float
    summary: Mapping[str, Any]
    instruments: Mapping[str, Instrument]
    orders: Sequence[Order] = ()
    fills: Sequence[tuple[Order, Fill]] = ()
    positions: Mapping[str, Position] = field(default_factory=dict)
    marks: Mapping[str, int | None] = field(default_factory=dict)
    equity: EquitySeries = field(default_factory=EquitySeries)
    prices: Mapping[str, PriceSeries] = field(default_factory=dict)
    grades: Mapping[str, Sequence[Graded]] = field(default_factory=dict)
    """graded minutes of each market's recording (tape.grades), empty for markets without one"""

    def assets(self) -> dict[str, Asset]:
        """Quote assets of the run by name, in the order of `instruments`."""
        return {inst.quote.name: inst.quote for inst in self.instruments.values()}
