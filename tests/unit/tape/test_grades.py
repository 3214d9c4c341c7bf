"""Grades kept beside a tape: made once, used again, made anew when anything they depend on has changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from execsim.tape import grades as graded
from execsim.tape.check import check_tape
from execsim.tape.grades import GRADES_FILE, grade_at, grades, ungraded
from execsim.tape.schema import COLUMNS, Flag, Kind, MarketInfo, SourceInfo
from execsim.tape.store import TapeWriter

S = 1_000_000_000
T0 = 1_700_000_000 * S
NAMES = [name for name in COLUMNS if name != "seq"]


def tape(path: Path, *, crossed_s: int = 70, sha: str = "") -> Path:
    """Two markets, three minutes; the first is crossed for some seconds from `crossed_s` on."""
    rows = []
    for market in (0, 1):
        rows += [(0, market, Kind.SNAPSHOT, 1, 40, 5, Flag.FIRST), (0, market, Kind.SNAPSHOT, -1, 60, 5, Flag.LAST)]
    rows += [(crossed_s, 0, Kind.LEVEL, 1, 61, 1, 0), (crossed_s + 5, 0, Kind.LEVEL, 1, 61, 0, 0)]
    rows += [(179, market, Kind.LEVEL, 1, 39, 1, 0) for market in (0, 1)]
    table = [
        (T0 + at * S, T0 + at * S + 1_000_000, market, int(kind), side, price, size, 0, 0, int(flags))
        for at, market, kind, side, price, size, flags in rows
    ]
    with TapeWriter(path, "test", 1) as writer:
        source = writer.source(SourceInfo("f", sha, 0))
        for name in ("m0", "m1"):
            writer.market(MarketInfo(name, "v", "binary", "0.01", "0.01", "b", "q", "0.01", "0.01"))
        writer.rows(source, dict(zip(NAMES, zip(*table, strict=True), strict=True)))
    return path


def letters(found: Any) -> list[str]:
    return ["".join(grade for _, _, grade in market) for market in found]


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Every tape that was checked."""
    seen: list[Path] = []

    def check(path: Path, interval_s: int = 60) -> Any:
        seen.append(path)
        return check_tape(path, interval_s)

    monkeypatch.setattr(graded, "check_tape", check)
    return seen


def test_grades_are_those_of_the_check_and_made_once(tmp_path: Path, checks: list[Path]) -> None:
    path = tape(tmp_path / "t")
    first = grades(path)
    assert letters(first) == ["ACA", "AAA"]
    assert first[0] == [(p.start_ns, p.end_ns, p.grade) for p in check_tape(path).markets[0].intervals]
    assert grades(path) == first
    assert len(checks) == 1
    assert [file.name for file in path.iterdir() if file.name.endswith(".part")] == []


def test_another_interval_is_another_question(tmp_path: Path, checks: list[Path]) -> None:
    path = tape(tmp_path / "t")
    assert letters(grades(path, 30))[0] == "AACAAA"
    assert letters(grades(path))[0] == "ACA"
    assert len(checks) == 2


def test_other_data_in_the_same_place_are_graded_again(tmp_path: Path, checks: list[Path]) -> None:
    path = tape(tmp_path / "t", sha="a" * 64)
    grades(path)
    kept = (path / GRADES_FILE).read_text()
    tape(path, crossed_s=10, sha="b" * 64)
    (path / GRADES_FILE).write_text(kept)  # as if somebody had copied the rows into the folder
    assert letters(grades(path))[0] == "CAA"
    assert letters(grades(path))[0] == "CAA"
    assert len(checks) == 2


@pytest.mark.parametrize(
    "spoil",
    [
        lambda held: "no json",
        lambda held: "[]",
        lambda held: json.dumps({**held, "version": 0}),
        lambda held: json.dumps({**held, "markets": held["markets"][:1]}),
        lambda held: json.dumps({**held, "markets": [[[0, 1]], []]}),
        lambda held: json.dumps({**held, "markets": [[[0, 1, "Z"]], []]}),
    ],
)
def test_a_file_that_is_not_whole_is_made_anew(tmp_path: Path, checks: list[Path], spoil: Any) -> None:
    path = tape(tmp_path / "t")
    first = grades(path)
    file = path / GRADES_FILE
    file.write_text(spoil(json.loads(file.read_text())))
    assert grades(path) == first
    assert grades(path) == first
    assert len(checks) == 2


def test_where_nothing_can_be_written_it_is_graded_every_time(tmp_path: Path, checks: list[Path]) -> None:
    """A folder in the file's place refuses it for root too."""
    path = tape(tmp_path / "t")
    (path / GRADES_FILE).mkdir()
    assert letters(grades(path)) == letters(grades(path)) == ["ACA", "AAA"]
    assert len(checks) == 2


def test_the_grade_of_an_instant() -> None:
    held = [(10, 20, "A"), (20, 30, "C"), (30, 35, "F"), (35, 40, "B")]
    assert [grade_at(held, ts) for ts in (9, 10, 19, 20, 30, 40, 41)] == [None, "A", "A", "C", "F", "B", None]
    assert grade_at([], 10) is None
    assert ungraded(held) == [(20, 35)]
    assert ungraded([(0, 1, "F"), (1, 2, "A"), (2, 3, "C")]) == [(0, 1), (2, 3)]
