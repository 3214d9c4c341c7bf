"""Measured delays: the sample's own quantiles, interpolation as hftbacktest does it, and files that are not right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from execsim.core.errors import ConfigError, DataError
from execsim.exchange import EmpiricalLatency, InterpolatedLatency, RoundTrips, read_round_trips, read_sample
from execsim.exchange.measured import SAMPLE_MIN
from execsim.runtime import Streams

MS = 1_000_000
NPZ = np.dtype([("req_ts", "i8"), ("exch_ts", "i8"), ("resp_ts", "i8"), ("_padding", "i8")])


# -------------------------------------------------------------------- resampling
@given(st.lists(st.integers(0, 10**10), min_size=1, max_size=200))
def test_the_table_holds_the_quantiles_of_the_sample(sample: list[int]) -> None:
    """NumPy's default quantile is the same definition (type 7), in floats."""
    values = EmpiricalLatency(tuple(sample)).table.values
    exact = np.quantile(np.array(sample, np.float64), np.linspace(0, 1, len(values)))
    assert np.abs(np.array(values) - exact).max() <= 1.001
    assert (values[0], values[-1]) == (min(sample), max(sample))


@pytest.mark.parametrize("k", [1, 4, 10])
def test_a_sample_of_the_tables_size_is_the_table(k: int) -> None:
    sample = [i * i for i in range(2**k + 1)]
    assert EmpiricalLatency(tuple(reversed(sample))).table.values == tuple(sample)


def test_draws_have_the_quantiles_of_the_sample() -> None:
    """Two modes and a tail, as of a path with two routes."""
    source = np.random.PCG64(1).random_raw(3_000) % np.uint64(2_000)
    sample = [int(20 * MS + x * 1_000 + (x % 3 == 0) * 30 * MS + (x < 10) * 900 * MS) for x in source.tolist()]
    draws = EmpiricalLatency(tuple(sample)).sampler(Streams(3).stream("a")).many(np.zeros(100_000, np.int64))
    for q in (0.05, 0.25, 0.5, 0.6, 0.75, 0.95, 0.99):
        assert np.quantile(draws, q) == pytest.approx(np.quantile(sample, q), rel=0.02)
    assert min(sample) <= draws.min() <= draws.max() <= max(sample)


def test_many_times_make_a_table_of_their_quantiles() -> None:
    values = EmpiricalLatency(tuple(range(200_000))).table.values
    assert len(values) == 2**16 + 1
    assert values[2**15] == 99_999
    assert values[-1] == 199_999


def test_few_times_are_called_too_few() -> None:
    assert EmpiricalLatency((5,), "a.csv").about.startswith("unrealistic: only 1 measured times of a.csv")
    assert EmpiricalLatency((5,) * SAMPLE_MIN, "a.csv").about == f"resampled from {SAMPLE_MIN} measured times of a.csv"


@pytest.mark.parametrize("sample", [(), (-1, 5), (5, 2**42 + 1)])
def test_a_sample_that_cannot_be(sample: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="measured times"):
        EmpiricalLatency(sample)


@pytest.mark.parametrize(
    ("unit", "texts", "ns"),
    [
        ("ms", ["1.5", "20", "1e1", "0"], [1_500_000, 20_000_000, 10_000_000, 0]),
        ("ns", ["1.5", "2.5", "7"], [2, 2, 7]),
        ("us", ["1.0005", "3"], [1_000, 3_000]),
        ("s", ["0.0000000014"], [1]),
    ],
)
def test_a_column_of_times_is_read_in_its_unit(unit: str, texts: list[str], ns: list[int], tmp_path: Path) -> None:
    path = tmp_path / "times.csv"
    path.write_text("call,took\n" + "".join(f"place,{text}\n" for text in texts))
    assert read_sample(path, "took", unit) == EmpiricalLatency(tuple(ns), "times.csv")


def test_parquet_of_floats_and_integers(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1.25, 0.1], "b": [3, 4]}), tmp_path / "t.parquet")
    assert read_sample(tmp_path / "t.parquet", "a").sample_ns == (1_250_000, 100_000)
    assert read_sample(tmp_path / "t.parquet", "b", "us").sample_ns == (3_000, 4_000)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "t.csv: no rows; the file is empty"),
        ("ms\n", "t.csv: no rows; the file holds a header only"),
        ("took\n1\n", "t.csv: column 'ms' is missing; found: took; name the column"),
        ("ms,x\n1,0\n-0.5,0\n", "t.csv:3 column 'ms': -0.5 is negative"),
        ("ms,x\n1,0\nfast,0\n", "t.csv:3 column 'ms': 'fast' is not a number"),
        ("ms,x\n1,0\n,0\n", "t.csv:3 column 'ms': the time is missing"),
        ("ms,x\n1,0\nnan,0\n", "t.csv:3 column 'ms': nan is not a finite number"),
        (
            "ms\n9999999999\n",
            "t.csv:2 column 'ms': 9999999999 is above 4398046511104 ns (73 minutes): is the unit right?",
        ),
    ],
)
def test_a_file_of_times_that_is_not_right(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError) as error:
        read_sample(tmp_path / "t.csv", "ms")
    assert said in str(error.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no\.csv: cannot be read"):
        read_sample(tmp_path / "no.csv", "ms")
    with pytest.raises(DataError, match=r"no\.csv: cannot be read"):
        read_round_trips(tmp_path / "no.csv")
    with pytest.raises(ConfigError, match="unit 'hours'"):
        read_sample(tmp_path / "no.csv", "ms", "hours")


# -------------------------------------------------------------------- interpolation
def delays(model: InterpolatedLatency, *times_ns: int) -> list[int]:
    return list(map(int, model.sampler(Streams(1).stream("a")).many(np.array(times_ns, np.int64))))


def test_linear_between_recorded_times_and_held_beyond() -> None:
    model = InterpolatedLatency((100, 200, 400), (10, 30, 0))
    assert delays(model, 0, 100, 150, 199, 200, 201, 300, 399, 400, 10**12) == [10, 10, 20, 29, 30, 29, 15, 0, 0, 0]


def test_of_several_at_one_time_the_last_counts() -> None:
    model = InterpolatedLatency((100, 200, 200, 300, 300), (10, 20, 40, 50, 7))
    assert delays(model, 199, 200, 250, 299, 300, 301) == [19, 40, 45, 49, 7, 7]
    assert delays(InterpolatedLatency((100, 100, 200), (1, 9, 5)), 99, 100, 150) == [1, 9, 7]
    assert delays(InterpolatedLatency((5,), (9,)), 0, 5, 6) == [9, 9, 9]


@given(
    st.lists(st.tuples(st.integers(0, 2**60), st.integers(0, 2**42)), min_size=1, max_size=8),
    st.lists(st.integers(0, 2**60), max_size=8),
)
def test_it_is_between_its_neighbours_at_any_size(points: list[tuple[int, int]], at: list[int]) -> None:
    points.sort(key=lambda point: point[0])
    model = InterpolatedLatency(tuple(t for t, _ in points), tuple(d for _, d in points))
    sampler = model.sampler(Streams(1).stream("a"))
    for now_ns, bulk in zip(at, delays(model, *at), strict=True):
        assert bulk == sampler.next(now_ns)
        before = [d for t, d in points if t <= now_ns][-1:] or [points[0][1]]
        after = next((d for t, d in points if t > now_ns), before[0])
        assert min(*before, after) <= bulk <= max(*before, after)


ROWS = [
    (1_000 * MS, 1_010 * MS, 1_015 * MS),
    (2_000 * MS, 2_050 * MS + 3, 2_060 * MS),
    (2_500 * MS, 2_520 * MS, 2_521 * MS),
    (4_000 * MS, 4_300 * MS, 4_700 * MS),
]


def npz(path: Path, rows: list[tuple[int, int, int]]) -> Path:
    np.savez(path / "latency.npz", data=np.array([(*row, 0) for row in rows], NPZ))
    return path / "latency.npz"


def test_hftbacktest_takes_as_long(tmp_path: Path) -> None:
    """The same npz in both: each order's entry and response as `IntpOrderLatency` has them, up to 1 ns of rounding where
    the delay falls (theirs goes towards zero), before, in and after the recorded span."""
    import hftbacktest as hb
    from hftbacktest.binding import event_dtype

    file = npz(tmp_path, ROWS)
    trips = read_round_trips(file)
    entry, response = (leg.sampler(Streams(1).stream("a")) for leg in (trips.entry(), trips.response()))
    both = hb.EXCH_EVENT | hb.LOCAL_EVENT | hb.DEPTH_EVENT
    times = range(1, 8_000 * MS, 100 * MS)
    quotes = ((hb.BUY_EVENT, 0.5), (hb.SELL_EVENT, 0.6))
    rows = [(both | side, t, t, price, 1.0, 0, 0, 0) for t in times for side, price in quotes]
    events = np.array(rows, event_dtype)  # it keeps a pointer: the array must outlive the backtest
    asset = hb.BacktestAsset().data(events).linear_asset(1.0).intp_order_latency(str(file))
    asset = asset.risk_adverse_queue_model().no_partial_fill_exchange().trading_value_fee_model(0.0, 0.0)
    backtest = hb.HashMapMarketDepthBacktest([asset.tick_size(0.01).lot_size(0.01)])
    seen = []
    while len(seen) < 20 and backtest.elapse(173 * MS + 7) == 0:
        assert backtest.submit_buy_order(0, len(seen) + 1, 0.3, 1.0, hb.GTC, hb.LIMIT, True) == 0
        seen.append(backtest.order_latency(0))
    backtest.close()
    assert len(seen) == 20
    assert seen[0][0] < trips.first_ns
    assert seen[-1][0] > trips.last_ns
    for sent_ns, there_ns, back_ns in seen:
        assert 0 <= there_ns - sent_ns - entry.next(sent_ns) <= 1
        assert 0 <= back_ns - there_ns - response.next(there_ns) <= 1


@pytest.mark.parametrize(
    ("times", "held", "why"),
    [
        ((), (), "one delay for each"),
        ((1, 2), (5,), "one delay for each"),
        ((2, 1), (5, 5), "sort"),
        ((1,), (-1,), "0 and"),
    ],
)
def test_points_that_make_no_sense(times: tuple[int, ...], held: tuple[int, ...], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        InterpolatedLatency(times, held)


# -------------------------------------------------------------------- recorded requests
def test_csv_parquet_and_npz_are_one_recording(tmp_path: Path) -> None:
    expected = read_round_trips(npz(tmp_path, ROWS))
    assert expected.entry().delays_ns == (10 * MS, 50 * MS + 3, 20 * MS, 300 * MS)
    assert expected.response().times_ns == tuple(row[1] for row in ROWS)
    names = ["sent", "there", "back"]
    columns = dict(zip(names, map(list, zip(*ROWS, strict=True)), strict=True))
    pq.write_table(pa.table(columns), tmp_path / "r.parquet")
    lines = [",".join(names), *(",".join(f"{t / 1e9:.9f}" for t in row) for row in ROWS)]
    (tmp_path / "r.csv").write_text("\n".join(lines) + "\n")
    for file, unit in (("r.parquet", "ns"), ("r.csv", "s")):
        read = read_round_trips(tmp_path / file, names, unit)
        assert (read.request_ns, read.venue_ns, read.response_ns) == (
            expected.request_ns, expected.venue_ns, expected.response_ns,
        )  # fmt: skip


def test_the_unit_is_guessed_and_dates_are_read(tmp_path: Path) -> None:
    rows = ["1700000000000,1700000000040,1700000000055", "1700000001000,1700000001020,1700000001030"]
    (tmp_path / "r.csv").write_text("\n".join(["req_ts,exch_ts,resp_ts", *rows]) + "\n")
    read = read_round_trips(tmp_path / "r.csv")
    assert (read.first_ns, read.entry().delays_ns) == (1_700_000_000_000 * MS, (40 * MS, 20 * MS))
    text = "req_ts,exch_ts,resp_ts\n2023-11-14T22:13:20.000Z,2023-11-14T22:13:20.040Z,2023-11-14T22:13:20.055Z\n"
    (tmp_path / "iso.csv").write_text(text)
    assert read_round_trips(tmp_path / "iso.csv").response().delays_ns == (15 * MS,)


def test_a_recording_can_be_moved_in_time(tmp_path: Path) -> None:
    read = read_round_trips(npz(tmp_path, ROWS))
    moved = read.moved_to(10**18)
    assert moved.first_ns == 10**18
    assert moved.last_ns - moved.first_ns == read.last_ns - read.first_ns
    assert moved.entry().delays_ns == read.entry().delays_ns
    assert moved.response().delays_ns == read.response().delays_ns


def test_requests_that_overtook_each_other_are_answered_in_the_venues_order() -> None:
    trips = RoundTrips((10, 20), (50, 30), (60, 70))
    assert trips.entry() == InterpolatedLatency((10, 20), (40, 10))
    assert trips.response() == InterpolatedLatency((30, 50), (40, 10))


def test_requests_nobody_answered_are_left_out_and_said_to_be(tmp_path: Path) -> None:
    """hftbacktest records a venue that refused to take a request with an exchange time of 0."""
    read = read_round_trips(npz(tmp_path, [ROWS[0], (1_500 * MS, 0, 1_600 * MS), ROWS[1], (2_200 * MS, 2_300 * MS, 0)]))
    assert (read.left_out, read.request_ns) == (2, (1_000 * MS, 2_000 * MS))
    for model in (read.entry(), read.response()):
        assert model.about == (
            "unrealistic: interpolated from 2 recorded requests of latency.npz: 2 more were never answered and are left out"
        )


def test_a_known_difference_of_the_clocks_can_be_undone(tmp_path: Path) -> None:
    behind = [(sent, there - 30 * MS, back) for sent, there, back in ROWS]
    with pytest.raises(DataError, match=r"latency\.npz: row 1: the request reached the venue before it left .*clocks"):
        read_round_trips(npz(tmp_path, behind))
    assert read_round_trips(npz(tmp_path, behind), venue_shift_ns=30 * MS) == read_round_trips(npz(tmp_path, ROWS))


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("", "r.csv: no rows; the file holds a header only"),
        ("5,6,7\n4,8,9\n", "r.csv:3: the request left before that of the row above (ns: 4, 8, 9); sort the rows by it"),
        ("5,6,7\n8,7,9\n", "r.csv:3: the request reached the venue before it left"),
        ("5,6,7\n\n8,9,8\n", "r.csv:4: the answer came before the venue had the request"),
        ("-5,6,7\n", "r.csv:2: the request time is negative"),
        ("5,6,x\n", "r.csv:2 column 'resp_ts': 'x' is not a number"),
        ("5,,7\n", "r.csv:2 column 'exch_ts': '' is not a number"),
        ("5,6\n", "r.csv:2: malformed row: 2 fields, the header has 3"),
        ("5,0,0\n", "r.csv: no request with a venue and a response time"),
        ("5,9999999999999,9999999999999\n", "r.csv:2: the request took more than 73 minutes"),
    ],
)
def test_a_recording_that_is_not_right(rows: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("req_ts,exch_ts,resp_ts\n" + rows)
    with pytest.raises(DataError) as error:
        read_round_trips(tmp_path / "r.csv", unit="ns")
    assert said in str(error.value)


def test_columns_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("a,b,c\n1,2,3\n")
    with pytest.raises(DataError, match=r"column 'req_ts' is missing; found: a, b, c; name the three columns"):
        read_round_trips(tmp_path / "r.csv")
    assert read_round_trips(tmp_path / "r.csv", ["a", "b", "c"], "ns").entry().delays_ns == (1,)
    for columns, unit in ((["a", "b"], "ns"), (["a", "b", "b"], "ns"), (["a", "b", "c"], "years")):
        with pytest.raises(ConfigError):
            read_round_trips(tmp_path / "r.csv", columns, unit)


def test_an_npz_that_is_not_right(tmp_path: Path) -> None:
    def refused(name: str, **arrays: Any) -> str:
        np.savez(tmp_path / name, **arrays)
        with pytest.raises(DataError) as error:
            read_round_trips(tmp_path / name)
        return str(error.value)

    assert "a.npz: no array named `data`" in refused("a.npz", other=np.zeros(3))
    assert "b.npz: array `data` has fields None" in refused("b.npz", data=np.zeros(3))
    assert "c.npz: no rows" in refused("c.npz", data=np.zeros(0, NPZ))
    assert "d.npz: cannot be read" in refused("d.npz", data=np.array([{}], object))
