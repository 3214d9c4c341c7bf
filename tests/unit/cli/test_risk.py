"""Risk in a run of the simulated exchange: what a strategy sees halted, the way out, and the same run twice."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

OUT = """
async def run(ctx):
    market = ctx.markets[0]
    await ctx.sleep(1_000_000_000)
    await ctx.submit(market, "buy", "0.52", 30, tif="ioc")
    await ctx.submit(market, "buy", "0.40", 10)
    await ctx.split(market, 5)
    await ctx.sleep(1_000_000_000)
    assert (ctx.position(market).yes_lots, ctx.position(market).no_lots) == (35_000_000, 5_000_000)
    big = ctx.place(market, "buy", "0.40", 60)
    assert big.reason.endswith("an order of 60 in coin, limit 50 (MaxOrderSize)"), big.reason
    assert [str(halt.action) for halt in ctx.halted] == ["halt"]
    assert "halted" in ctx.place(market, "sell", "0.48", 10).reason
    [result] = await ctx.flatten()
    assert result.flat, result
    assert not ctx.open_orders()
    assert (ctx.position(market).yes_lots, ctx.position(market).no_lots) == (0, 0)
    [order] = [ctx._engine.get_order(name) for name in result.orders]
    assert (order.size_lots, order.avg_fill_price, order.price) == (30_000_000, order.price, order.price)
"""

STALE = """
async def run(ctx):
    market = ctx.markets[0]
    await ctx.sleep(1_000_000_000)
    order = await ctx.submit(market, "buy", "0.40", 10)
    await ctx.sleep(17_500_000_000)
    assert order.is_terminal and [halt.policy for halt in ctx.halted] == ["StaleData"], ctx.halted
"""


def run(execsim: Any, scene: Any, *args: Any) -> Any:
    done = execsim("run", scene.scenario, "--json", "-q", *args)
    assert (done.code, done.err) == (0, []), done.err
    return json.loads(done.out)


def test_a_halt_and_the_way_out(execsim: Any, scene: Any, tapes: Any) -> None:
    """The YES it bought is sold at the bid of 0.48; the five sets it split merge and cost nothing."""
    scene.strategy(OUT)
    scene.edit(
        "coin.toml",
        {"[strategy]": '[risk]\npolicies = [{type="MaxOrderSize", max_size=50, action="halt"}]\n[strategy]'},
    )
    summary = run(execsim, scene, "--out", scene.out)
    assert any(
        line.startswith("risk: everything was halt by MaxOrderSize since 2026-01-05 12:00:0")
        for line in summary["assumptions"]
    )
    with sqlite3.connect(scene.out / "journal.sqlite") as db:
        kinds = [kind for (kind,) in db.execute("SELECT kind FROM events ORDER BY seq")]
    assert kinds.count("halt") == 1
    assert kinds.index("split") < kinds.index("halt") < kinds.index("merge")
    again = run(execsim, scene)
    assert again["journal_sha256"] == summary["journal_sha256"]


def test_data_that_goes_stale_halts_and_cancels(execsim: Any, scene: Any, tapes: Any) -> None:
    scene.strategy(STALE)
    policies = '[{type="StaleData", max_age_s=5, action="halt_and_cancel"}]'
    scene.edit("coin.toml", {"[strategy]": f"[risk]\npolicies = {policies}\n[strategy]"})
    summary = run(execsim, scene)
    assert any("halt_and_cancel by StaleData" in line for line in summary["assumptions"])
