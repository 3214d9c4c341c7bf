import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execsim.core.errors import ConfigError, DataError
from execsim.tape.book import MarketBook
from execsim.tape.check import check_tape, coverage
from execsim.tape.schema import COLUMNS, NO_TIME, Flag, GapInfo, Kind, MarketInfo, SourceInfo
from execsim.tape.store import TapeWriter

S = 1_000_000_000
T0 = 1_700_000_000 * S
BID, ASK = 1, -1
NAMES = [name for name in COLUMNS if name != "seq"]


def row(at_s, kind, side=0, price=0, size=0, *, market=0, flags=0, venue=None):
    ts = int(T0 + at_s * S)
    return (ts if venue is None else venue, ts + 10_000_000, market, int(kind), side, price, size, 0, 0, int(flags))


def snapshot(at_s, bid=40, ask=60, market=0):
    return [
        row(at_s, Kind.SNAPSHOT, BID, bid, 5, market=market, flags=Flag.FIRST),
        row(at_s, Kind.SNAPSHOT, ASK, ask, 5, market=market, flags=Flag.LAST),
    ]


def tape(path, rows, gaps=(), checks=(), markets=1):
    with TapeWriter(path, "test", 1) as writer:
        source = writer.source(SourceInfo("f", "", 0))
        for i in range(markets):
            writer.market(MarketInfo(f"m{i}", "v", "binary", "0.01", "0.01", "b", "q", "0.01", "0.01"))
        writer.rows(source, dict(zip(NAMES, zip(*rows, strict=True), strict=True)))
        for start, end in gaps:
            writer.gap(GapInfo(0, T0 + start * S, T0 + end * S, "lost"))
        for check in checks:
            writer.check(*check)
    return path


def grades(report, market=0):
    return "".join(part.grade for part in report.markets[market].intervals)


def test_a_clean_tape_is_ok_and_graded_a(tmp_path):
    rows = [*snapshot(0), row(30, Kind.TRADE, price=60, size=1), row(150, Kind.LEVEL, BID, 41, 3)]
    report = check_tape(tape(tmp_path / "t", rows, checks=[("hash", True, 7)]))
    market = report.markets[0]
    assert report.ok
    assert report.failures == []
    assert report.kinds == {"snapshot": 2, "level": 1, "trade": 1}
    assert report.oracles == {"hash": {"ok": 7, "checked": 7}}
    assert grades(report) == "AAA"
    assert [(part.start_ns - T0, part.end_ns - T0) for part in market.intervals] == [
        (0, 60 * S),
        (60 * S, 120 * S),
        (120 * S, 150 * S),
    ]
    assert (market.snapshots, market.trades, market.clock_repairs) == (1, 1, 0)
    assert (report.coverage, market.coverage, market.known) == ("1", "1", "1")
    assert 9_900_000 < report.latency_ns["p50"] <= 10_000_000
    assert report.latency_ns["p1"] == report.latency_ns["p99"] == report.latency_ns["p50"]
    assert json.loads(json.dumps(report.as_json()))["markets"][0]["market"] == "m0"


def test_each_defect_lowers_the_grade_of_its_interval_only(tmp_path):
    rows = [
        *snapshot(0),
        row(60, Kind.LEVEL, BID, 62, 1),
        row(70, Kind.LEVEL, BID, 62, 0),
        row(125, Kind.LEVEL, ASK, 60, 0),
        row(130, Kind.LEVEL, ASK, 60, 5),
        row(185, Kind.LEVEL, BID, 60, 5),
        row(190, Kind.LEVEL, BID, 60, 0),
        row(250, Kind.LEVEL, BID, 39, 5, venue=NO_TIME),
        row(300, Kind.LEVEL, BID, 39, 6),
        row(330, Kind.LEVEL, BID, 39, 7),
    ]
    report = check_tape(tape(tmp_path / "t", rows))
    market = report.markets[0]
    # The row without a venue time takes that of the row before it, at 190 s: interval 3.
    assert grades(report) == "ACBBAA"
    assert [part.why for part in market.intervals[1:4]] == [["crossed book"], ["one-sided book"], ["clock repaired"]]
    assert (market.crossed_moments, market.locked_moments, market.one_sided_moments) == (1, 1, 1)
    assert market.clock_repairs == 1
    assert report.defects == {"venue_time_missing": 1}
    assert report.grades == {"A": 3, "B": 2, "C": 1, "F": 0}
    assert market.coverage == "0.818181"
    assert report.ok, "defects that were repaired or counted do not fail a tape"


def test_a_crossed_book_lasts_until_the_next_row(tmp_path):
    rows = [*snapshot(0), row(50, Kind.LEVEL, BID, 62, 1), row(130, Kind.LEVEL, BID, 62, 0), row(180, Kind.STATUS)]
    report = check_tape(tape(tmp_path / "t", rows))
    assert grades(report) == "CCC"
    assert report.markets[0].crossed_moments == 1
    assert report.markets[0].coverage == "0"


def test_gaps_and_the_time_before_the_first_snapshot_are_unknown(tmp_path):
    rows = [
        row(0, Kind.TRADE, price=50, size=1),
        *snapshot(60),
        row(130, Kind.GAP, size=1),
        row(170, Kind.GAP, size=0),
        *snapshot(170),
        row(241, Kind.GAP, size=1),
        row(242, Kind.GAP, size=0),
        row(300, Kind.LEVEL, BID, 41, 1),
    ]
    path = tape(tmp_path / "t", rows, gaps=[(130, 170), (241, 242)])
    report = check_tape(path)
    assert grades(report) == "FAFAB"
    assert [part.why for part in report.markets[0].intervals] == [
        ["unknown for too long"],
        [],
        ["unknown for too long"],
        [],
        ["partly unknown"],
    ]
    assert (report.gaps, report.markets[0].gap_ns) == (2, 41 * S)
    assert coverage(path) == {"m0": "0.663333"}, "300 s less 60 before the snapshot and 41 in gaps"
    assert report.markets[0].known == "0.663333"
    assert report.markets[0].coverage == "0.6"


def test_a_gap_told_twice_counts_once(tmp_path):
    rows = [*snapshot(0), row(10, Kind.GAP, size=1), row(20, Kind.GAP, size=0), row(40, Kind.LEVEL, BID, 40, 1)]
    path = tape(tmp_path / "t", rows, gaps=[(10, 20), (15, 25)])
    assert coverage(path) == {"m0": "0.625"}
    assert (check_tape(path).gaps, check_tape(path).markets[0].gap_ns) == (1, 15 * S)


def test_a_gap_that_never_closes_lasts_to_the_end(tmp_path):
    rows = [*snapshot(0), row(60, Kind.GAP, size=1), row(120, Kind.LEVEL, BID, 90, 1)]
    report = check_tape(tape(tmp_path / "t", rows))
    assert grades(report) == "AF"
    assert report.markets[0].crossed_moments == 0


def test_a_market_without_a_snapshot_fails_the_tape(tmp_path):
    rows = [*snapshot(0), row(1, Kind.LEVEL, BID, 40, 5, market=1), row(9, Kind.LEVEL, BID, 40, 6, market=1)]
    path = tape(tmp_path / "t", rows, markets=3)
    report = check_tape(path)
    assert not report.ok
    assert report.failures == ["m1: no snapshot, the book is never known"]
    assert grades(report, 1) == "F"
    assert report.markets[2].intervals == [], "a market without rows is neither good nor bad"
    assert coverage(path) == {"m0": "1", "m1": "0", "m2": "0"}


def test_a_failing_oracle_fails_the_tape_and_no_interval_is_good(tmp_path):
    rows = [*snapshot(0), row(30, Kind.LEVEL, BID, 41, 1)]
    report = check_tape(tape(tmp_path / "t", rows, checks=[("best_price", True, 9), ("best_price", False, 2)]))
    assert not report.ok
    assert report.failures == ["best_price: 2 of 11 failed"]
    assert grades(report) == "C"


def test_best_prices_alone_make_a_known_book_and_a_resolution_ends_it(tmp_path):
    rows = [
        row(0, Kind.BBO, BID, 40, 5),
        row(0, Kind.BBO, ASK, 60, 5),
        row(60, Kind.BBO, BID, 61, 5),
        row(60, Kind.BBO, ASK, 63, 5),
        row(90, Kind.RESOLVE, price=100),
        row(95, Kind.BBO, ASK, 0, 0),
        row(99, Kind.STATUS),
    ]
    report = check_tape(tape(tmp_path / "t", rows))
    assert report.ok
    assert grades(report) == "AA", "both sides of an instant are judged together, and nothing after the resolution"


def test_identical_neighbours_are_counted_across_chunks(tmp_path, monkeypatch):
    rows = [*snapshot(0), *[row(5, Kind.LEVEL, BID, 39, 4)] * 3, row(5, Kind.LEVEL, BID, 39, 5)]
    path = tape(tmp_path / "t", rows)
    assert check_tape(path).duplicates == 2
    monkeypatch.setattr("execsim.tape.reader.TapeReader.__init__.__defaults__", (1, None, None, None))
    assert check_tape(path).duplicates == 2


def test_what_cannot_be_checked_says_why(tmp_path):
    with pytest.raises(DataError, match="no such tape"):
        check_tape(tmp_path / "t")
    with pytest.raises(ConfigError, match="interval of 0 s"):
        check_tape(tmp_path / "t", interval_s=0)


@given(st.lists(st.tuples(st.sampled_from([BID, ASK]), st.integers(1, 9), st.integers(0, 2)), max_size=200))
def test_the_book_agrees_with_a_dict_of_levels(levels):
    book, sides = MarketBook(), {BID: {}, ASK: {}}
    for flag, side in ((Flag.FIRST, BID), (Flag.LAST, ASK)):
        book.apply(0, Kind.SNAPSHOT, side, 5, 0, flag)
    crossed = locked = one_sided = 0
    for ts, (side, price, size) in enumerate([*levels, (BID, 1, 0)], 1):
        bid, ask = max(sides[BID], default=None), min(sides[ASK], default=None)
        one_sided += bid is None or ask is None
        crossed += None not in (bid, ask) and bid > ask
        locked += None not in (bid, ask) and bid == ask
        book.apply(ts, Kind.LEVEL, side, price, size, 0)
        sides[side].pop(price, None)
        if size:
            sides[side][price] = size
    assert (len(book.crossed), len(book.locked), len(book.one_sided)) == (crossed, locked, one_sided)
