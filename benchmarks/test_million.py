"""Memory stays flat however many orders pass: 100,000 of them, each in a process of its own, with and without a journal.

A million take some minutes: `EXECSIM_BENCH_ORDERS=1000000 uv run pytest benchmarks/test_million.py -n 0
--benchmark-enable`, or `uv run python benchmarks/million.py`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
ORDERS = int(os.environ.get("EXECSIM_BENCH_ORDERS", "100000"))
AS_A_TEST = 24_000
"""Orders when nothing is timed: more than are kept, by as much as shows that old ones leave."""


def measured(orders: int, journal: str) -> dict[str, Any]:
    """What the script prints; it has checked counts, money, memory and the journal."""
    command = [sys.executable, str(HERE / "million.py"), "--orders", str(orders), "--journal", journal]
    done = subprocess.run(command, capture_output=True, text=True, cwd=HERE)
    assert done.returncode == 0, done.stderr[-3_000:]
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="resident memory is read from /proc")
def test_memory_is_flat(figure: Any, pytestconfig: pytest.Config) -> None:
    timed = pytestconfig.getoption("--benchmark-enable")
    orders = ORDERS if timed else AS_A_TEST
    found = {journal: measured(orders, journal) for journal in ("batched", "off")}
    assert found["batched"]["journal_sha256"] == found["off"]["journal_sha256"]
    for journal, one in found.items():
        half_mib = orders / 2 * 24 / 2**20 + 4  # the ids of half the orders and their fills, and what memory wavers by
        assert one["growth_of_second_half_mib"] <= half_mib, one
        name = f"{orders:,} orders to ack and fill or cancel, journal {journal}"
        figure(name, one["orders_per_s"], "orders/s")
        figure("  resident memory at the end", one["rss_mib"][-1], "MiB")
        figure("  of that since the first fifth", one["growth_after_warm_up_mib"], "MiB")
    figure("  fold of that journal", found["batched"]["fold_rows_per_s"], "rows/s")
