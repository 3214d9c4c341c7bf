"""A two-sided quoter on 200,000 rows: ours through the whole pipeline, beside plain SimPy and hftbacktest without one.

All three join the best prices on both sides, replace a quote when the touch moves, and wait a second between two orders
of a side. Ours adds validation, accounts, throttle, tracking, metrics, PnL, drawn latencies and the journal's hash.
"""

from __future__ import annotations

from typing import Any

import pytest
from inputs import ROOT, SPAN, hftbacktest, hftbacktest_events
from naive_quoter import ENTRY_NS, PAUSE_NS, RESPONSE_NS, Simulation

from execsim.kernel import VENUE, Replay
from execsim.ports import NEVER
from execsim.scenario import model
from execsim.scenario.build import load_data
from execsim.scenario.run import run as run_scenario

ROWS = 200_000
FEED, RESPONSE, END_OF_DATA = 2, 3, 1
"""what hftbacktest's wait_next_feed returns"""
NO_REQUEST, POST_ONLY, LIMIT = 0, 1, 0


@pytest.fixture(scope="module")
def touch(rows: Any) -> tuple[int | None, int | None]:
    """The best prices after the last row."""
    kernel = Replay([SPAN])
    kernel.feed(rows[:ROWS], rows[:0])
    kernel.advance(NEVER - 1)
    bid, _, ask, _ = kernel.best(VENUE, 0)
    return bid, ask


@pytest.mark.benchmark(group="a quoter on 200,000 rows")
def test_whole_pipeline(benchmark: Any, rate: Any) -> None:
    scenario = model.load(ROOT / "scenarios/synthetic_million.toml", settings=[f"data.0.synthetic_rows={ROWS}"])
    loaded = load_data(scenario, ROOT / "scenarios")
    finished = benchmark.pedantic(run_scenario, (scenario, "bench", ROOT / "scenarios"), {"loaded": loaded}, rounds=3)
    summary = finished.summary
    orders = summary["orders"]["submitted"]
    rate(f"quoter through the whole pipeline ({orders:,} orders)", ROWS, "rows/s")
    rate("  the same, by order (rows, stops, cancels and fills included)", orders, "us")
    assert summary["events"] == ROWS
    assert summary["fills"]["count"] > 1_000


@pytest.mark.benchmark(group="a quoter on 200,000 rows")
def test_plain_simpy(benchmark: Any, rows: Any, touch: Any, rate: Any) -> None:
    listed = rows[:ROWS].tolist()

    def setup() -> tuple[tuple[Simulation], dict[str, Any]]:
        return (Simulation(listed),), {}

    simulation = Simulation(listed)
    simulation.run()
    rate(f"  plain SimPy, an event a row, bare quoter ({simulation.orders:,} orders)", ROWS, "rows/s")
    benchmark.pedantic(Simulation.run, setup=setup, rounds=3)
    assert (simulation.venue.best[1], simulation.venue.best[-1]) == touch
    assert simulation.fills > 1_000


@pytest.mark.benchmark(group="a quoter on 200,000 rows")
def test_hftbacktest_from_python(benchmark: Any, rows: Any, touch: Any, rate: Any) -> None:
    """Its strategy uncompiled, as ours is: a Python loop woken by every row and every answer."""
    events, seen = hftbacktest_events(rows[:ROWS]), []

    def run(backtest: Any) -> None:
        orders, code = drive(backtest)
        depth = backtest.depth(0)
        ends = round(depth.best_bid * 10_000), round(depth.best_ask * 10_000)
        seen.append((orders, code, ends, backtest.state_values(0).num_trades))
        backtest.close()

    run(hftbacktest(events, ENTRY_NS, RESPONSE_NS))  # numba compiles the calls here
    rate(f"  hftbacktest 2.4.4 driven from Python, bare quoter ({seen[0][0]:,} orders)", ROWS, "rows/s")
    benchmark.pedantic(run, setup=lambda: ((hftbacktest(events, ENTRY_NS, RESPONSE_NS),), {}), rounds=2)
    _, code, ends, fills = seen[-1]
    assert (code, ends) == (END_OF_DATA, touch)
    assert fills > 1_000


def drive(backtest: Any) -> tuple[int, int]:
    """Quote until the data ends; (orders, why it ended)."""
    sent, working, next_ns, touch = 0, [0, 0], [0, 0], (0, 0)
    submit = (backtest.submit_buy_order, backtest.submit_sell_order)
    depth, orders = backtest.depth(0), backtest.orders(0)
    while (code := backtest.wait_next_feed(True, 10**18)) in (FEED, RESPONSE):
        best = (depth.best_bid_tick, depth.best_ask_tick)
        now = backtest.current_timestamp
        if code == FEED and best == touch and now < min(next_ns):
            continue
        touch = best
        for side in (0, 1):
            if now < next_ns[side] or not 0 < best[0] < best[1] < 100:
                continue
            order = orders.get(working[side])
            if order is not None and order.req != NO_REQUEST:
                continue
            if order is not None and order.cancellable:
                if order.price_tick != best[side]:
                    backtest.cancel(0, working[side], False)
                continue
            backtest.clear_inactive_orders(0)
            sent += 1
            working[side], next_ns[side] = sent, now + PAUSE_NS
            submit[side](0, sent, best[side] * 0.01, 10.0, POST_ONLY, LIMIT, False)
    return sent, code
