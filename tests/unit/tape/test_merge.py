import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from execsim.core.errors import ConfigError
from execsim.tape.merge import TapeStream, merged
from execsim.tape.rows import (
    END_NS,
    KIND,
    KIND_BITS,
    MARKET,
    PRICE,
    SEQ,
    SIDE,
    SIZE,
    SOURCE_SHIFT,
    TS_LOCAL,
    TS_VENUE,
    WIDTH,
)
from execsim.tape.schema import COLUMNS, FLOOR_NS, Flag, Kind

T0 = 1_000_000


def columns_of(rows):
    """A sorted tape from (venue step, receive delay, market) per row."""
    n = len(rows)
    venue = T0 + np.cumsum([step for step, _, _ in rows]) if n else np.empty(0)
    recv = venue + FLOOR_NS + np.array([delay for _, delay, _ in rows])
    result = {name: np.arange(n) + 1 for name in COLUMNS}
    result |= {"ts_venue_ns": venue, "ts_recv_ns": recv, "seq": np.arange(n), "market": [m for _, _, m in rows]}
    result |= {"kind": np.ones(n), "side": np.ones(n), "aggressor": np.zeros(n), "flags": np.arange(n) % 128}
    return {name: np.asarray(result[name], dtype=dtype) for name, dtype in COLUMNS.items()}


def chunked(columns, size):
    n = len(columns["seq"])
    return [{name: column[i : i + size] for name, column in columns.items()} for i in range(0, n, size)]


def draws(seed):
    """A latency of small integers that depend on the message's time and on a stream: n at once are n times one."""
    bits = np.random.PCG64(seed)
    return lambda recv: (bits.random_raw(len(recv)) % np.uint64(5_000)).astype(np.int64) + recv % 7


def naive(tapes, with_latency):
    """The same by sorting everything at once, row by row."""
    rows = []
    for index, columns in enumerate(tapes):
        draw, latest, extra, previous = draws(index), 0, 0, None
        for i in range(len(columns["seq"])):
            recv = int(columns["ts_recv_ns"][i])
            if with_latency and recv != previous:
                extra = int(draw(np.array([recv]))[0])
            previous = recv
            latest = max(latest, recv + extra)
            rows.append((int(columns["ts_venue_ns"][i]), latest, index << SOURCE_SHIFT | i))
    venue = sorted(rows, key=lambda row: (row[0], row[2] >> SOURCE_SHIFT))
    return venue, sorted(venue, key=lambda row: row[1])


def keyed(matrix):
    return [tuple(row) for row in matrix[:, [TS_VENUE, TS_LOCAL, SEQ]].tolist()]


def run(tapes, size, with_latency):
    streams = [
        TapeStream(chunked(tape, size), None, draws(i) if with_latency else None) for i, tape in enumerate(tapes)
    ]
    return list(merged(streams))


tape_rows = st.lists(
    st.tuples(st.sampled_from([0, 0, 1, 900, 6_000]), st.integers(0, 2_000), st.integers(0, 2)), max_size=25
)
tapes_of = st.lists(tape_rows.map(columns_of), max_size=3)


@given(tapes_of, st.booleans())
@settings(deadline=None)
def test_the_merge_is_one_big_sort_whatever_the_chunk_size(tapes, with_latency):
    venue, local = naive(tapes, with_latency)
    for size in (1, 7, 1_000):
        chunks = run(tapes, size, with_latency)
        assert [row for chunk in chunks for row in keyed(chunk.venue)] == venue
        assert [row for chunk in chunks for row in keyed(chunk.local)] == local


@given(tapes_of, st.sampled_from([1, 2, 7]))
@settings(deadline=None)
def test_no_row_is_local_before_the_venue_stream_has_passed_it(tapes, size):
    delivered, before = set(), -1
    chunks = run(tapes, size, True)
    assert [chunk.last for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    for chunk in chunks:
        assert chunk.watermark_ns > before
        assert all(before <= venue_ns < chunk.watermark_ns for venue_ns, _, _ in keyed(chunk.venue))
        delivered |= {seq for _, _, seq in keyed(chunk.venue)}
        for venue_ns, local_ns, seq in keyed(chunk.local):
            assert venue_ns + FLOOR_NS <= local_ns < chunk.watermark_ns
            assert seq in delivered
        before = chunk.watermark_ns
    assert before == END_NS


def test_a_merged_row_has_the_columns_the_kernel_reads():
    columns = columns_of([(1, 10, 0), (1, 20, 1), (1, 30, 2)])
    columns["kind"][1], columns["side"][1], columns["aggressor"][1] = Kind.TRADE, 0, -1
    columns["flags"][1] = Flag.LAST | Flag.NO_TOKEN
    chunks = list(merged([TapeStream([], None), TapeStream([columns], [4, 9, -1])]))
    for matrix in (matrix for chunk in chunks for matrix in (chunk.venue, chunk.local)):
        assert matrix.dtype == np.int64
        assert matrix.flags.c_contiguous
    venue = np.concatenate([chunk.venue for chunk in chunks])
    assert venue.shape == (2, WIDTH)
    trade = venue[1]
    assert trade[MARKET] == 9, "market 2 of the tape is left out, the others are renumbered"
    assert trade[KIND] == Kind.TRADE | (Flag.LAST | Flag.NO_TOKEN) << KIND_BITS
    assert trade[SIDE] == -1
    assert venue[0][SIDE] == 1
    assert (trade[PRICE], trade[SIZE]) == (2, 2)
    assert trade[SEQ] == 1 << SOURCE_SHIFT | 1
    assert (trade[TS_VENUE], trade[TS_LOCAL]) == (T0 + 2, T0 + 2 + FLOOR_NS + 20)


def test_a_tape_of_left_out_markets_ends():
    (chunk,) = merged([TapeStream(chunked(columns_of([(1, 0, 0)] * 9), 2), [-1])])
    assert chunk.last
    assert len(chunk.venue) == len(chunk.local) == 0


def test_a_message_across_chunks_has_one_draw():
    columns = columns_of([(0, 0, 0)] * 6)
    calls = []

    def latency(recv):
        calls.append(recv.tolist())
        return np.full(len(recv), 77, dtype=np.int64)

    chunks = list(merged([TapeStream(chunked(columns, 2), None, latency)]))
    assert calls == [[T0 + FLOOR_NS]]
    assert {row[1] for chunk in chunks for row in keyed(chunk.local)} == {T0 + FLOOR_NS + 77}


def test_a_negative_draw_is_refused():
    stream = TapeStream([columns_of([(1, 0, 0)])], None, lambda recv: np.full(len(recv), -5, dtype=np.int64))
    with pytest.raises(ConfigError, match="drew -5 ns"):
        list(merged([stream]))


def test_memory_is_bounded_by_a_few_chunks_a_tape():
    """A fast tape beside a slow one: it is never read more than a chunk past the watermark."""
    read = 0

    def fast():
        nonlocal read
        for chunk in chunked(columns_of([(1, 0, 0)] * 1_000), 10):
            read += 10
            yield chunk

    slow = chunked(columns_of([(100, 0, 0)] * 10), 1)
    taken = 0
    for chunk in merged([TapeStream(fast()), TapeStream(slow)]):
        taken += int((chunk.venue[:, SEQ] < 1 << SOURCE_SHIFT).sum())
        assert read - taken <= 20
    assert (read, taken) == (1_000, 1_000)
