"""Minutes of a recording that are graded C or F: a run counts what fills in them, or matches nothing in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from execsim.report.frames import fills_frame
from execsim.report.summary import caveats
from execsim.scenario import model
from execsim.scenario.run import Finished, run

BOOK = """time,kind,side,price,size
2026-01-05T12:00:00.000Z,snapshot,bid,0.48,100
2026-01-05T12:00:00.000Z,snapshot,ask,0.52,500
2026-01-05T12:00:20.000Z,trade,sell,0.48,120
2026-01-05T12:01:00.000Z,level,bid,0.53,5
2026-01-05T12:01:01.000Z,level,bid,0.53,0
2026-01-05T12:01:20.000Z,trade,sell,0.40,30
2026-01-05T12:01:30.000Z,level,bid,0.48,40
2026-01-05T12:02:00.000Z,level,ask,0.52,499
2026-01-05T12:02:20.000Z,trade,sell,0.48,45
2026-01-05T12:03:00.000Z,level,ask,0.52,498
"""
"""Four minutes of which the second is crossed for a moment; prints that reach a bid at 0.48 in each of the first three.
It has one clock, so no minute is better than B."""

ORDERS = """time,market,side,type,tif,price,size,amount
+1s,coin,buy,limit,gtc,0.48,60,
+70s,coin,buy,market,ioc,,,6
+130s,coin,buy,market,ioc,,,6
"""

SCENARIO = """
[[data]]
sources = ["book.csv"]
format = "generic"

[data.options]
market = "coin"
venue = "polymarket"
instrument_kind = "binary"
price_unit = "0.0001"
lot = "0.000001"
tick = "0.01"
quote = "pUSD"

[[markets]]
id = "coin"
venue = "polymarket"
market = "coin"

[venues.polymarket]
balances = { pUSD = 100 }

[strategy]
orders = "orders.csv"
"""

Result = tuple[str, str, str, str | None]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EXECSIM_CACHE", str(tmp_path / "cache"))
    for name, text in (("book.csv", BOOK), ("orders.csv", ORDERS), ("coin.toml", SCENARIO)):
        (tmp_path / name).write_text(text)
    return tmp_path


def finish(folder: Path, *settings: str) -> Finished:
    return run(model.load(folder / "coin.toml", None, settings), "coin", folder)


def fills_of(done: Finished) -> list[Result]:
    """(minute and second, cause, size, grade) of each fill."""
    frame = fills_frame(done.record)
    columns: Any = zip(frame["at"], frame["cause"], frame["size"], frame["grade"], strict=True)
    return [(f"{at:%M:%S}", cause, size, grade) for at, cause, size, grade in columns]


def test_by_default_they_are_counted_and_told(folder: Path) -> None:
    done = finish(folder)
    assert fills_of(done) == [
        ("00:20", "queue_drained", "20", "B"),
        ("01:10", "taker_walk", "11.538461", "C"),
        ("01:20", "trade_through", "30", "C"),
        ("02:10", "taker_walk", "11.538461", "B"),
        ("02:20", "queue_drained", "10", "B"),
    ]
    held = done.summary["fills"]["ungraded"]
    assert (held["count"], held["size"]) == (2, "41.538461")
    assert any(
        said.startswith("2 of 5 fills are in minutes of the recording graded C or F") for said in caveats(done.summary)
    )
    assert done.summary["coverage"] == {"coin": "1"}


def test_refused_nothing_fills_inside_and_trading_goes_on_afterwards(folder: Path) -> None:
    """After the minute everything shown (40) is ahead of the 40 that are left; the next print reaches 5 of them."""
    done = finish(folder, "exchange.ungraded=refuse")
    assert fills_of(done) == [
        ("00:20", "queue_drained", "20", "B"),
        ("02:10", "taker_walk", "11.538461", "B"),
        ("02:20", "queue_drained", "5", "B"),
    ]
    assert "ungraded" not in done.summary["fills"]
    assert done.summary["coverage"] == {"coin": "1"}
    assert "coin: nothing is matched in 1 of 3 minutes, which are graded C or F" in caveats(done.summary)
    assert done.summary["orders"]["rejected"] == 1


def test_a_moved_recording_is_blind_when_it_plays(folder: Path) -> None:
    moved = "data.0.start_at=2030-06-01T00:00:00Z"
    plain, later = (finish(folder, "exchange.ungraded=refuse", *more) for more in ((), (moved,)))
    assert fills_of(plain) == fills_of(later)
    starts = [done.record.grades["coin"][1][0] for done in (plain, later)]
    assert starts[1] - starts[0] == done_at(later) - done_at(plain)


def done_at(done: Finished) -> int:
    return done.parts.loaded.start_ns


@pytest.mark.parametrize(("first", "last"), [("0.53", "0.40"), ("0.40", "0.53")])
def test_the_first_and_the_last_minute_too(folder: Path, first: str, last: str) -> None:
    """The row that opens a minute belongs to it, and so does the last row of all."""
    (folder / "book.csv").write_text(
        f"""time,kind,side,price,size
2026-01-05T12:00:00.000Z,snapshot,bid,0.48,100
2026-01-05T12:00:00.000Z,snapshot,ask,0.52,500
2026-01-05T12:00:02.000Z,level,bid,{first},5
2026-01-05T12:00:03.000Z,level,bid,{first},0
2026-01-05T12:00:30.000Z,trade,sell,0.30,20
2026-01-05T12:01:00.000Z,trade,sell,0.30,20
2026-01-05T12:01:10.000Z,level,bid,{last},5
2026-01-05T12:01:11.000Z,level,bid,{last},0
2026-01-05T12:01:30.000Z,trade,sell,0.30,20
"""
    )
    (folder / "orders.csv").write_text(
        "time,market,side,type,tif,price,size,amount\n+1s,coin,buy,limit,gtc,0.45,100,\n"
    )
    times = ["00:30"] if first == "0.40" else ["01:00", "01:30"]
    assert [fill[0] for fill in fills_of(finish(folder, "exchange.ungraded=refuse"))] == times
    assert [fill[0] for fill in fills_of(finish(folder))] == ["00:30", "01:00", "01:30"]
