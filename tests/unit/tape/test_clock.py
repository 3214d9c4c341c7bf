import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from execsim.core.errors import DataError
from execsim.tape.clock import BRIDGE_NS, BUCKET_NS, groups, repair, shifts
from execsim.tape.schema import FLOOR_NS, NO_TIME, Flag

T0 = 1_700_000_000_000_000_000
MS = 1_000_000
NAMES = {"venue_time_missing", "venue_time_backwards", "recv_time_missing", "recv_time_backwards", "recv_before_venue"}

times = st.one_of(st.just(NO_TIME), st.integers(T0, T0 + 5 * BUCKET_NS))
raw_rows = st.lists(st.tuples(times, times, st.integers(0, 1), st.integers(0, 2)), min_size=1, max_size=60)


def array(values):
    return np.array(values, dtype=np.int64)


def repaired(rows):
    return repair(*(array(column) for column in zip(*rows, strict=True)))


@given(raw_rows)
@settings(deadline=None)
def test_repaired_clocks_never_decrease_and_keep_the_floor(rows):
    timeless = {
        (source, market)
        for _, _, source, market in rows
        if all(v == NO_TIME for v, _, s, m in rows if (s, m) == (source, market))
    }
    if any(recv == NO_TIME and (s, m) in timeless for _, recv, s, m in rows):
        with pytest.raises(DataError, match="neither a venue nor a receive time"):
            repaired(rows)
        return
    fixed = repaired(rows)
    assert set(fixed.defects) <= NAMES
    assert (fixed.recv >= fixed.venue + FLOOR_NS).all()
    for stream in {row[2:] for row in rows}:
        mine = [i for i, row in enumerate(rows) if row[2:] == stream]
        assert (np.diff(fixed.venue[mine]) >= 0).all()
        assert (np.diff(fixed.recv[mine]) >= 0).all()


@given(raw_rows)
@settings(deadline=None)
def test_a_row_without_the_venue_flag_keeps_its_venue_time(rows):
    rows = [(venue if venue >= 0 else T0, recv, s, m) for venue, recv, s, m in rows]
    fixed = repaired(rows)
    for i, (venue, _, _, _) in enumerate(rows):
        assert (fixed.venue[i] == venue) != bool(fixed.flags[i] & Flag.CLOCK_VENUE)


@given(
    st.lists(st.tuples(st.integers(0, 3 * 10**9), st.integers(FLOOR_NS, 10**9)), min_size=1, max_size=80),
    st.integers(-(10**10), 10**10),
    st.integers(-200_000, 200_000),
)
@settings(deadline=None)
def test_a_drifting_recorder_is_moved_so_that_no_receipt_precedes_its_event(steps, behind_ns, ppb):
    venue = T0 + np.cumsum(array([step for step, _ in steps]))
    recv = np.maximum.accumulate(venue + array([latency for _, latency in steps]))
    recorded = recv - behind_ns + (recv - T0) * ppb // 10**9
    shift = shifts(venue, recorded)
    assert (shift >= 0).all()
    moved = shift > 0
    assert (recorded + shift >= venue + FLOOR_NS).all()
    if not moved.any():
        assert (recorded >= venue + FLOOR_NS).all()


def test_a_clock_behind_by_a_constant_is_put_right_without_touching_any_row_alone():
    venue = T0 + np.arange(3_000) * 100 * MS
    recv = venue - 1_270 * MS + (np.arange(3_000) % 30) * MS
    fixed = repair(venue, np.maximum.accumulate(recv), np.zeros(3_000, int), np.zeros(3_000, int))
    assert fixed.offsets == {0: (1_270 * MS + FLOOR_NS, 1_270 * MS + FLOOR_NS)}
    assert not fixed.flags.any()
    assert fixed.defects == {}
    assert int((fixed.recv - fixed.venue).min()) == FLOOR_NS


def test_a_positive_latency_is_left_alone():
    venue = T0 + np.arange(100) * MS
    fixed = repair(venue, venue + 40 * MS, np.zeros(100, int), np.zeros(100, int))
    assert fixed.offsets == {}
    assert (fixed.recv == venue + 40 * MS).all()
    assert not fixed.flags.any()


def test_each_source_has_its_own_recorder():
    venue = np.tile(T0 + np.arange(50) * MS, 2)
    recv = venue + np.repeat([5 * MS, -5 * MS], 50)
    fixed = repair(venue, recv, np.repeat([0, 1], 50), np.zeros(100, int))
    assert fixed.offsets == {1: (5 * MS + FLOOR_NS, 5 * MS + FLOOR_NS)}


def test_a_drift_is_followed_between_minutes():
    venue = T0 + np.arange(600) * 1_000 * MS
    behind = np.arange(600) * MS // 5
    shift = shifts(venue, venue + 5 * MS - behind)
    assert shift[0] < 20 * MS
    assert 100 * MS < shift[-1] <= 116 * MS
    assert (np.diff(shift) >= 0).all()
    assert int(np.diff(shift).max()) < 2 * MS, "a shift does not jump from minute to minute"


def test_no_drift_is_interpolated_across_a_long_silence():
    venue = array([T0, T0 + 3 * BRIDGE_NS])
    recv = venue + array([-10 * MS, -500 * MS])
    assert shifts(venue, recv).tolist() == [500 * MS + FLOOR_NS, 500 * MS + FLOOR_NS]


def test_missing_times_come_from_neighbours_and_are_flagged_and_counted():
    venue = array([NO_TIME, T0 + 5, NO_TIME, T0 + 3, T0 + 9])
    recv = array([T0 + 10**6, T0 + 10**6 + 1, NO_TIME, T0 + 10**6 + 2, T0 + 10**6 + 1])
    fixed = repair(venue, recv, np.zeros(5, int), np.zeros(5, int))
    assert fixed.venue.tolist() == [T0 + 5, T0 + 5, T0 + 5, T0 + 5, T0 + 9]
    assert fixed.recv.tolist() == [T0 + 10**6, T0 + 10**6 + 1, T0 + 10**6 + 1, T0 + 10**6 + 2, T0 + 10**6 + 2]
    both, of_venue, of_recv = Flag.CLOCK_VENUE | Flag.CLOCK_RECV, Flag.CLOCK_VENUE, Flag.CLOCK_RECV
    assert fixed.flags.tolist() == [of_venue, 0, both, of_venue, of_recv]
    assert fixed.defects == {
        "venue_time_missing": 2,
        "venue_time_backwards": 1,
        "recv_time_missing": 1,
        "recv_time_backwards": 1,
    }


def test_a_market_without_venue_times_is_placed_by_its_receive_times():
    fixed = repair(array([NO_TIME] * 2), array([T0, T0 + 7]), np.zeros(2, int), np.zeros(2, int))
    assert fixed.venue.tolist() == [T0 - FLOOR_NS, T0 + 7 - FLOOR_NS]
    assert fixed.recv.tolist() == [T0, T0 + 7]


@given(st.lists(st.integers(-5, 5)))
def test_groups_part_the_indices_by_key(keys):
    found = {key: rows.tolist() for key, rows in groups(array(keys))}
    assert found == {key: [i for i, k in enumerate(keys) if k == key] for key in sorted(set(keys))}
    assert list(found) == sorted(set(keys))
