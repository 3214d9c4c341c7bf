"""Delays that somebody measured: resampled from a file of them, or followed through time from recorded requests.

`EmpiricalLatency` keeps the distribution and forgets when each delay happened; `InterpolatedLatency` keeps when and draws
nothing. Files: CSV (plain or gzip) or parquet with named columns, and hftbacktest's order-latency npz.
"""

from __future__ import annotations

import zipfile
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final

import numpy as np

from execsim.core.errors import ConfigError, DataError
from execsim.core.quantile import QUANTILE_MAX, QuantileTable
from execsim.exchange.delays import TableSampler
from execsim.ports import Rng
from execsim.tape.columns import TextFile, Where, time_unit, times_ns
from execsim.tape.rows import Ints

UNIT_NS: Final = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
TIME_UNITS: Final = ("guess", "iso", *UNIT_NS)

SAMPLE_MIN: Final = 100
"""Fewer measured times know nothing of one delay in a hundred: the summary says so."""

TABLE_K_MAX: Final = 16
"""Largest table of a sample: beyond 65 537 values it keeps as many quantiles of them."""

NPZ_FIELDS: Final = ("req_ts", "exch_ts", "resp_ts")
"""hftbacktest 2, order latency: when the request left, reached the matching engine, and was answered; int64 ns."""


@dataclass(frozen=True, slots=True)
class EmpiricalLatency:
    """Drawn from measured times (ns, any order): each quantile of the draws is that of the sample.

    The table holds the sample's own values where it has 2**k + 1 of them, else its quantiles at i / 2**k by linear
    interpolation between neighbours (type 7 of Hyndman and Fan, Sample quantiles in statistical packages, The American
    Statistician 50, 1996), in integers. Nothing shorter or longer than what was measured is ever drawn.
    Errors: ConfigError for an empty sample or a time outside 0 to 2**42 ns (73 minutes).
    """

    sample_ns: tuple[int, ...] = field(repr=False)
    source: str = ""
    table: QuantileTable = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.sample_ns:
            raise ConfigError("an empirical latency without measured times", "give at least one")
        ordered = sorted(self.sample_ns)
        if ordered[0] < 0 or ordered[-1] > QUANTILE_MAX:
            raise ConfigError(
                f"measured times from {ordered[0]} to {ordered[-1]} ns", f"they lie between 0 and {QUANTILE_MAX} ns"
            )
        object.__setattr__(self, "table", QuantileTable(_quantiles(ordered)))

    def sampler(self, rng: Rng) -> TableSampler:
        return TableSampler(self.table, rng)

    @property
    def about(self) -> str:
        origin = f" of {self.source}" if self.source else ""
        count = len(self.sample_ns)
        if count < SAMPLE_MIN:
            return f"unrealistic: only {count} measured times{origin}, too few to know the slow ones"
        return f"resampled from {count} measured times{origin}"


def _quantiles(ordered: Sequence[int]) -> list[int]:
    last = len(ordered) - 1
    k = min(max(1, max(0, last - 1).bit_length()), TABLE_K_MAX)
    found = []
    for i in range(2**k + 1):
        low, rest = divmod(i * last, 2**k)
        high = min(low + 1, last)
        found.append(ordered[low] + ((ordered[high] - ordered[low]) * rest >> k))
    return found


@dataclass(frozen=True, slots=True)
class InterpolatedLatency:
    """The delay recorded at the time a message is sent, linear between recorded times, rounded down.

    Before the first recorded time it is the first delay, after the last the last: nothing is known there. Of several
    delays at one time the last counts. Source: `IntpOrderLatency` of hftbacktest 2.4.4, whose numbers these are up to the
    rounding of one ns (it interpolates in floats and rounds the change towards zero).
    Errors: ConfigError unless times never decrease and each has a delay between 0 and 2**42 ns.
    """

    times_ns: tuple[int, ...] = field(repr=False)
    delays_ns: tuple[int, ...] = field(repr=False)
    source: str = ""
    caveat: str = ""
    """why it is not the whole truth, if it is not; then `about` says unrealistic"""

    def __post_init__(self) -> None:
        if not self.times_ns or len(self.times_ns) != len(self.delays_ns):
            raise ConfigError(
                f"{len(self.times_ns)} times and {len(self.delays_ns)} delays to interpolate", "one delay for each time"
            )
        if any(later < sooner for sooner, later in zip(self.times_ns, self.times_ns[1:], strict=False)):
            raise ConfigError("the times of a recorded latency go back", "sort the rows by time")
        if min(self.delays_ns) < 0 or max(self.delays_ns) > QUANTILE_MAX:
            raise ConfigError(
                f"recorded delays from {min(self.delays_ns)} to {max(self.delays_ns)} ns",
                f"they lie between 0 and {QUANTILE_MAX} ns",
            )

    def sampler(self, rng: Rng) -> InterpolatedSampler:
        return InterpolatedSampler(self)

    @property
    def about(self) -> str:
        origin = f" of {self.source}" if self.source else ""
        told = f"interpolated from {len(self.times_ns)} recorded requests{origin}"
        return f"unrealistic: {told}: {self.caveat}" if self.caveat else told


class InterpolatedSampler:
    """Looks delays up; has no state and draws nothing."""

    __slots__ = ("_delays", "_model", "_times", "_wide")

    def __init__(self, model: InterpolatedLatency) -> None:
        self._model = model
        self._times = np.array(model.times_ns, np.int64)
        self._delays = np.array(model.delays_ns, np.int64)
        spans = zip(np.diff(self._times).tolist(), np.diff(self._delays).tolist(), strict=True)
        self._wide = any(gap * abs(change) >= 2**63 for gap, change in spans)

    def next(self, now_ns: int) -> int:
        times, delays = self._model.times_ns, self._model.delays_ns
        at = bisect_right(times, now_ns) - 1
        if at < 0 or at == len(times) - 1:
            return delays[at if at > 0 else 0]
        gap, change = times[at + 1] - times[at], delays[at + 1] - delays[at]
        return delays[at] + change * (now_ns - times[at]) // gap

    def many(self, times_ns: Any) -> Any:
        last = len(self._times) - 1
        if last == 0:
            return np.full(len(times_ns), self._delays[0], np.int64)
        inside = np.clip(times_ns, self._times[0], self._times[last])
        at = np.minimum(np.searchsorted(self._times, inside, side="right") - 1, last - 1)
        gap, change = self._times[at + 1] - self._times[at], self._delays[at + 1] - self._delays[at]
        done = inside - self._times[at]
        if self._wide:  # hours between rows and large changes: the product needs Python's integers
            change, done = change.astype(object), done.astype(object)
        gap = np.maximum(gap, 1)  # the last two rows may have one time: then `done` is 0 and the last delay counts
        found = self._delays[at] + change * done // gap
        found[inside == self._times[last]] = self._delays[last]
        found[times_ns < self._times[0]] = self._delays[0]
        return found.astype(np.int64)


@dataclass(frozen=True, slots=True)
class RoundTrips:
    """Recorded requests: when each left, reached the venue and was answered (ns), in the order they left.

    `left_out`: rows of the file with no venue or response time (0): requests the venue refused to take, or never
    answered. Those are faults; no latency is made of them.
    """

    request_ns: tuple[int, ...] = field(repr=False)
    venue_ns: tuple[int, ...] = field(repr=False)
    response_ns: tuple[int, ...] = field(repr=False)
    source: str = ""
    left_out: int = 0

    @property
    def first_ns(self) -> int:
        return self.request_ns[0]

    @property
    def last_ns(self) -> int:
        return self.request_ns[-1]

    @property
    def caveat(self) -> str:
        """What the rows that were left out mean for those that were not."""
        return f"{self.left_out} more were never answered and are left out" if self.left_out else ""

    def moved_to(self, first_ns: int) -> RoundTrips:
        """The same recording as if its first request had left at `first_ns`."""
        by_ns = first_ns - self.first_ns
        sides = (self.request_ns, self.venue_ns, self.response_ns)
        request, venue, response = (tuple(t + by_ns for t in side) for side in sides)
        return replace(self, request_ns=request, venue_ns=venue, response_ns=response)

    def entry(self) -> InterpolatedLatency:
        """Request to venue, by the time the request leaves."""
        delays = tuple(there - sent for sent, there in zip(self.request_ns, self.venue_ns, strict=True))
        return InterpolatedLatency(self.request_ns, delays, self.source, self.caveat)

    def response(self) -> InterpolatedLatency:
        """Venue to us, by the time the answer leaves the venue (where requests overtook each other: sorted by it)."""
        answers = sorted(zip(self.venue_ns, self.response_ns, strict=True), key=lambda answer: answer[0])
        delays = tuple(back - there for there, back in answers)
        return InterpolatedLatency(tuple(there for there, _ in answers), delays, self.source, self.caveat)


# -------------------------------------------------------------------- files
def read_sample(path: Path, column: str, unit: str = "ms") -> EmpiricalLatency:
    """The measured times of one column, in `unit` (ns, us, ms, s; decimals allowed, rounded half to even to ns).

    Errors: DataError naming the file, and the row of a time that is missing, no number, negative or above 73 minutes.
    """
    if unit not in UNIT_NS:
        raise ConfigError(f"unit {unit!r} of measured times", f"one of {', '.join(UNIT_NS)}")
    file = TextFile(path)
    file.need([column], "name the column that holds the measured times")
    sample: list[int] = []
    for block in file.blocks([column]):
        for row, text in enumerate(block.columns[column].to_pylist(), block.start):
            ns = _duration_ns(text, UNIT_NS[unit])
            if not isinstance(ns, int):
                raise DataError(file.where(row, column), ns, "correct or remove the row")
            sample.append(ns)
    if not sample:
        raise DataError(str(path), "no rows", "the file holds a header only")
    return EmpiricalLatency(tuple(sample), path.name)


def _duration_ns(text: str, unit_ns: int) -> int | str:
    """ns, or what is wrong with it."""
    try:
        value = Decimal(text) * unit_ns
    except InvalidOperation:
        return f"{text!r} is not a number" if text.strip() else "the time is missing"
    if not value.is_finite():
        return f"{text} is not a finite number"
    if value < 0:
        return f"{text} is negative: nothing arrives before it is sent"
    if value > QUANTILE_MAX:
        return f"{text} is above {QUANTILE_MAX} ns (73 minutes): is the unit right?"
    return int(value.to_integral_value(ROUND_HALF_EVEN))


def read_round_trips(
    path: Path, columns: Sequence[str] = NPZ_FIELDS, unit: str = "guess", venue_shift_ns: int = 0
) -> RoundTrips:
    """Recorded requests from CSV, parquet or hftbacktest's order-latency npz.

    `columns`: names of the request, venue and response times. `unit`: s, ms, us, ns, iso, or a guess by the first row
    (npz: always ns). `venue_shift_ns` is added to venue times, to undo a known difference of the two clocks.
    Errors: DataError naming the file and the row whose times are out of order, or where there are none.
    """
    if len(columns) != 3 or len(set(columns)) != 3:
        raise ConfigError(f"columns {', '.join(columns)}", "name three: request, venue and response time")
    if unit not in TIME_UNITS:
        raise ConfigError(f"unit {unit!r} of recorded times", f"one of {', '.join(TIME_UNITS)}")
    if zipfile.is_zipfile(path):
        sides, where = _npz_times(path)
    else:
        sides, where = _text_times(path, columns, unit)
    answered = (sides[1] != 0) & (sides[2] != 0)
    rows = np.flatnonzero(answered)
    if not len(rows):
        raise DataError(str(path), "no request with a venue and a response time", "record some, or use another model")
    sent, there, back = (side[rows] for side in sides)
    there = there + venue_shift_ns
    _check(rows, sent, there, back, where)
    request, venue, response = (tuple(side.tolist()) for side in (sent, there, back))
    return RoundTrips(request, venue, response, path.name, len(answered) - len(rows))


def _check(rows: Ints, sent: Ints, there: Ints, back: Ints, where: Where) -> None:
    """Errors: DataError for the first row that cannot have been."""
    clocks = "the two clocks disagree: shift the venue's times (venue_shift)"
    faults = (
        (sent < 0, "the request time is negative", "times count from 1970"),
        (np.diff(sent, prepend=sent[0]) < 0, "the request left before that of the row above", "sort the rows by it"),
        (there < sent, "the request reached the venue before it left", clocks),
        (back < there, "the answer came before the venue had the request", clocks),
        (there - sent > QUANTILE_MAX, "the request took more than 73 minutes", "is the unit right?"),
        (back - there > QUANTILE_MAX, "the answer took more than 73 minutes", "is the unit right?"),
    )
    for wrong, what, hint in faults:
        if wrong.any():
            at = int(np.argmax(wrong))
            numbers = f"{sent[at]}, {there[at]}, {back[at]}"
            raise DataError(where(int(rows[at])), f"{what} (ns: {numbers})", hint)


def _text_times(path: Path, columns: Sequence[str], unit: str) -> tuple[list[Ints], Where]:
    file = TextFile(path)
    file.need(columns, "name the three columns with `columns`")
    parts: list[list[Ints]] = [[], [], []]
    for block in file.blocks(columns):
        if unit == "guess":
            unit = time_unit(block.columns[columns[0]])
        for side, name in zip(parts, columns, strict=True):
            side.append(times_ns(block.columns[name], unit, _column(file, block.start, name)))
    if not parts[0]:
        raise DataError(str(path), "no rows", "the file holds a header only")
    return [np.concatenate(side) for side in parts], file.where


def _column(file: TextFile, start: int, name: str) -> Where:
    """Where the rows of a block that begins at `start` stand in their file."""
    return lambda row: file.where(start + row, name)


def _npz_times(path: Path) -> tuple[list[Ints], Where]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            data = archive["data"]
    except KeyError:
        raise DataError(str(path), "no array named `data`", "an hftbacktest npz has the key data") from None
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(str(path), f"cannot be read ({error})", "check that it is not cut off") from None
    if data.ndim != 1 or not set(NPZ_FIELDS) <= set(data.dtype.names or ()):
        what = f"array `data` has fields {data.dtype.names}, not {', '.join(NPZ_FIELDS)}"
        raise DataError(str(path), what, "it is not an order-latency file of hftbacktest 2")
    if not len(data):
        raise DataError(str(path), "no rows", "the array is empty")
    return [data[name].astype(np.int64) for name in NPZ_FIELDS], lambda row: f"{path}: row {row + 1}"
