import numpy as np
import pyarrow as pa
import pytest

from execsim.core.errors import ConfigError, DataError
from execsim.tape import store
from execsim.tape.reader import TapeReader
from execsim.tape.schema import COLUMNS, MarketInfo, SourceInfo
from execsim.tape.store import ROWS_FILE, TapeWriter

T0 = 1_700_000_000_000_000_000
N = 1_000


@pytest.fixture
def tape(tmp_path, monkeypatch):
    """1,000 rows, 10 ns apart, over three markets, in row groups of 100."""
    monkeypatch.setattr(store, "GROUP_ROWS", 100)
    with TapeWriter(tmp_path / "t", "test", 1) as writer:
        source = writer.source(SourceInfo("f", "", 0))
        for i in range(3):
            writer.market(MarketInfo(f"m{i}", "v", "spot", "0.01", "0.01", "b", "q", "0.01", "0.01"))
        ts = T0 + 10 * np.arange(N)
        columns = {name: np.ones(N, dtype=np.int64) for name in COLUMNS if name != "seq"}
        columns |= {"ts_venue_ns": ts, "ts_recv_ns": ts + 5_000, "market": np.arange(N) % 3}
        writer.rows(source, columns)
    return tmp_path / "t"


def seqs(reader):
    return [seq for chunk in reader for seq in chunk["seq"].tolist()]


@pytest.mark.parametrize("chunk_rows", [1, 7, 100, 333, 10**6])
def test_every_row_is_read_once_in_order_whatever_the_chunks(tape, chunk_rows):
    reader = TapeReader(tape, chunk_rows=chunk_rows)
    chunks = list(reader)
    assert max(len(chunk["seq"]) for chunk in chunks) <= chunk_rows
    assert [seq for chunk in chunks for seq in chunk["seq"].tolist()] == list(range(N))
    assert seqs(reader) == list(range(N)), "a reader can be iterated again"


@pytest.mark.parametrize(("start", "end"), [(None, 500), (500, None), (101, 799), (0, 5), (995, 2_000), (300, 300)])
def test_a_time_range_includes_its_start_and_not_its_end(tape, start, end):
    bounds = [None if row is None else T0 + 10 * row for row in (start, end)]
    expected = list(range(N))[slice(start, end)]
    assert seqs(TapeReader(tape, 64, *bounds)) == expected


def test_a_time_outside_the_tape_gives_nothing(tape):
    assert seqs(TapeReader(tape, start_ns=T0 + 10 * N)) == []
    assert seqs(TapeReader(tape, end_ns=T0)) == []


def test_only_the_wanted_markets_are_read(tape):
    assert seqs(TapeReader(tape, 64, markets=[2, 0])) == [i for i in range(N) if i % 3 != 1]
    with pytest.raises(ConfigError, match="no market 3"):
        TapeReader(tape, markets=[3])


def test_chunk_rows_must_be_positive(tape):
    with pytest.raises(ConfigError, match="chunk_rows 0"):
        TapeReader(tape, chunk_rows=0)


def test_a_file_damaged_in_the_middle_is_a_data_error(tape):
    whole = bytearray((tape / ROWS_FILE).read_bytes())
    middle = len(whole) // 2
    whole[middle : middle + 400] = bytes(400)
    (tape / ROWS_FILE).write_bytes(whole)
    with pytest.raises(DataError, match=r"rows\.parquet: truncated or unreadable parquet"):
        seqs(TapeReader(tape))


def test_memory_does_not_grow_with_the_tape(tmp_path, monkeypatch):
    """Arrow holds a row group or two while reading, never the file: 40 groups of rows that do not compress."""
    monkeypatch.setattr(store, "GROUP_ROWS", 10_000)
    rows = 40 * 10_000
    noise = np.random.PCG64(1).random_raw(2 * rows).astype(np.int64) & (2**30 - 1)
    with TapeWriter(tmp_path / "t", "test", 1) as writer:
        source = writer.source(SourceInfo("f", "", 0))
        writer.market(MarketInfo("m", "v", "spot", "0.01", "0.01", "b", "q", "0.01", "0.01"))
        columns = {name: np.zeros(rows, dtype=np.int64) for name in COLUMNS if name != "seq"}
        columns |= {"price_i": noise[:rows], "size_i": noise[rows:]}
        columns |= {"ts_venue_ns": T0 + np.arange(rows), "ts_recv_ns": T0 + 5_000 + np.arange(rows)}
        writer.rows(source, columns)
    before = pa.total_allocated_bytes()
    held = [pa.total_allocated_bytes() - before for _ in TapeReader(tmp_path / "t", chunk_rows=10_000)]
    assert len(held) == 40
    assert max(held) < (tmp_path / "t" / ROWS_FILE).stat().st_size // 2, "bytes held by Arrow at each chunk"
