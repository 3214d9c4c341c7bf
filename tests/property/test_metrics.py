"""Random sessions, with and without faults: the metrics are what the journal says, and labels are those of the markets."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, note, settings
from hypothesis import strategies as st
from naive_metrics import differences
from sessions import Played, Terms, play

from execsim.engine.gauges import Gauges
from execsim.testing import MemoryJournal


def checked(seed: int, faults: bool) -> Played:
    """Play a session and compare its metrics with its journal."""
    journal = MemoryJournal()
    played = play(seed, Terms(faults=faults), journal=journal)
    engine = played.world.engine
    wrong = differences(engine.metrics, journal.rows)
    assert not wrong, "\n".join([f"seed {seed}", *wrong])
    Gauges(engine).look()
    rows = engine.metrics.labelled()
    known = {instrument.market for instrument in played.world.instruments}
    assert {row["labels"]["market"] for row in rows if "market" in row["labels"]} <= known
    still_open = sum(row["value"] for row in rows if row["metric_name"] == "exec.open_orders")
    assert still_open == len(engine.get_active_orders())
    sizes = {row["labels"]["market"]: row["value"] for row in rows if row["metric_name"] == "position.size"}
    for market, size in sizes.items():
        position = engine.portfolio.position(market)
        assert size == float(position.instrument.grid.size(position.net_lots))
    return played


@given(seed=st.integers(0, 2**32), faults=st.booleans())
@settings(max_examples=150, deadline=None, derandomize=True, print_blob=True)
def test_metrics_are_what_the_journal_says(seed: int, faults: bool) -> None:
    note(
        f"replay: PYTHONPATH=tests/property .venv/bin/python -c 'from test_metrics import *; checked({seed}, {faults})'"
    )
    checked(seed, faults)


def test_the_sessions_count_everything() -> None:
    seen: Counter[str] = Counter()
    for seed in range(40):
        played = checked(seed, True)
        for row in played.world.engine.metrics.labelled():
            stage = row["labels"].get("stage")
            value = row["value"]["count"] if stage else abs(row["value"])
            seen[stage or row["metric_name"]] += value > 0
    for name in ("placed", "filled", "cancelled", "rejected", "expired"):
        assert seen[f"exec.orders_{name}"] > 5, name
    for name in ("exec.fills", "send_ack", "ack_fill", "total", "position.size", "strategy.pnl"):
        assert seen[name] > 5, name
