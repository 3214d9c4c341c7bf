"""The clock of a served market over HTTP: stepped while others ask, each step an exact piece of the exchange's time."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from served_polymarket import SCENARIO, Served

CLOCK = "/_execsim/clock"
NS_PER_MS = 1_000_000


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    server = Served(SCENARIO, "--hold")
    yield server
    code, said = server.stop()
    assert code == 0, said
    assert "Traceback" not in said, said


def step(served: Served, body: Any) -> Any:
    status, clock = served.ask("POST", CLOCK, body)
    assert status == 200, clock
    return clock


def test_a_market_is_stepped_while_others_ask(served: Served) -> None:
    start = served.ask("GET", CLOCK)[1]
    assert (start["moving"], start["now_ns"]) == (False, start["start_ns"])
    market = served.market()
    with ThreadPoolExecutor(4) as pool:
        steps = [pool.submit(step, served, {"advance_ms": 20_000}) for _ in range(3)]
        books = [pool.submit(served.ask, "GET", f"/book?token_id={market.yes}") for _ in range(8)]
        ends = sorted(one.result()["now_ns"] for one in steps)
        assert {one.result()[0] for one in books} == {200}
    assert [end - start["now_ns"] for end in ends] == [20_000 * NS_PER_MS * n for n in (1, 2, 3)]
    now = served.ask("GET", CLOCK)[1]
    assert now["now_ns"] == ends[-1]
    book = served.ask("GET", f"/book?token_id={market.yes}")[1]
    assert book["bids"]
    assert abs(int(book["timestamp"]) - now["wall_ns"] // NS_PER_MS) < 60_000  # the clients' time


def test_wrong_values_and_other_ways_of_moving(served: Served) -> None:
    status, said = served.ask("POST", CLOCK, {"advance_ms": -1})
    assert (status, "a number from 0 to" in said["error"]) == (400, True)
    assert served.ask("POST", CLOCK, b"x" * ((1 << 20) + 1))[0] == 413
    assert step(served, {"go": True})["moving"] is True
    status, said = served.ask("POST", CLOCK, {"advance_ms": 1})
    assert (status, "hold it first" in said["error"]) == (400, True)
    assert step(served, {"speed": 7})["speed"] == 7
    held = step(served, {"hold": True})["now_ns"]
    assert served.ask("GET", CLOCK)[1]["now_ns"] == held
    assert step(served, {"to_ns": held + 5})["now_ns"] == held + 5
