"""The summary read as text, by the terminal and the report alike."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from rich.console import Console

from execsim.report import summary as read
from execsim.report.run import RunRecord
from execsim.report.terminal import summary_table


def printed(run: Any, width: int = 120) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(summary_table(run))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize(
    ("show", "value", "text"),
    [
        (read.number, 1234567, "1,234,567"),
        (read.number, "-1234.50", "\N{MINUS SIGN}1,234.50"),
        (read.number, None, read.NOTHING),
        (read.number, "n/a", "n/a"),
        (read.money, "12.5", "+12.5"),
        (read.money, "0", "0"),
        (read.percent, "0.99999", "99.9 %"),
        (read.percent, 1.0, "100 %"),
        (read.percent, "0", "0 %"),
        (read.percent, 3, "3"),
        (read.duration, 0, "0 ns"),
        (read.duration, 1_500, "1.5 µs"),
        (read.duration, 24_912_345, "24.9 ms"),
        (read.duration, 7_200_000_000_000, "7,200 s"),
        (read.words, "queue_drained", "queue drained"),
        (read.instant, 1_776_254_400_000_000_000, "2026-04-15 12:00:00 UTC"),
    ],
)
def test_how_values_are_shown(show: Any, value: object, text: str) -> None:
    assert show(value) == text


def test_a_flat_pnl_and_one_by_asset_are_both_read() -> None:
    flat = {"pnl": {"realised": "1.5", "fees": "0.25", "net": "-1.25"}}
    section = read.pnl(flat)
    assert section is not None
    assert section.header == ("", "realised", "fees", "net")
    assert section.rows == (("all", "+1.5", "0.25", "\N{MINUS SIGN}1.25"),)
    assert [str(value) for _, value in read.net(flat)] == ["-1.25"]
    nested = {"pnl": {"pUSD": {"net": "2"}, "USDT": {"net": "-3"}}}
    assert [(name, str(value)) for name, value in read.net(nested)] == [("pUSD", "2"), ("USDT", "-3")]


def test_estimates_stand_beside_the_pnl_and_say_so() -> None:
    row = {"low": "0", "estimate": "1.25", "high": "2", "asset": "pUSD", "samples": 5, "assumes": ["much"]}
    summary = {"pnl": {"net": "1"}, "rebates_estimate": {"up": row}, "rewards_estimate": {"up": row, "down": row}}
    section = read.estimates(summary)
    assert section is not None
    assert section.header == ("", "low", "estimate", "high", "asset")
    assert section.rows[0] == ("rebates up", "0", "1.25", "2", "pUSD")
    assert [cells[0] for cells in section.rows] == ["rebates up", "rewards up", "rewards down"]
    assert section in read.sections(summary)
    assert any("not in the PnL" in sentence for sentence in read.caveats(summary))
    assert "rewards down" in printed(summary)
    assert read.estimates({"pnl": {"net": "1"}}) is None
    assert not read.caveats({"pnl": {"net": "1"}})


def test_a_paper_session_says_what_its_data_were_like() -> None:
    summary = {
        "paper": {"hold_ms": "500", "rows": 1234, "late_rows": 2, "late_ms_max": "12.5", "hold_ms_enough": "512.5"}
    }
    section = read.paper(summary)
    assert section is not None
    assert section in read.sections(summary)
    assert section.rows[:2] == (("ms of hold", "500"), ("rows of market data", "1,234"))
    assert "2 rows later than the hold" in printed(summary)
    assert read.paper({}) is None


def test_causes_and_evidence_may_be_counts_or_have_figures_of_their_own() -> None:
    section = read.fills(
        {
            "fills": {
                "count": 3,
                "size": "30",
                "by_cause": {"taker_walk": {"count": 3, "size": "30"}, "trade_through": 0},
                "by_evidence": {"inferred": {"count": 1, "size": "5", "pnl": "0.5"}},
            }
        }
    )
    assert section is not None
    assert section.rows == (
        ("all", "3", "30", read.NOTHING),
        ("taker walk", "3", "30", read.NOTHING),
        ("evidence: inferred", "1", "5", "0.5"),
    )


def test_caveats_come_from_assumptions_and_from_what_the_counts_imply() -> None:
    said = read.caveats(
        {
            "assumptions": ["payoff inferred"],
            "fills": {"count": 9, "by_evidence": {"inferred": 4, "recorded": 5}},
            "coverage": {"a": {"coverage": "0.75", "gaps": 3, "gap_s": 0.5}, "b": "0.9"},
            "orders": {"unknown": 2},
        }
    )
    assert said[0] == "payoff inferred"
    assert "4 of 9 fills" in said[1]
    assert "75 %" in said[2]
    assert "2 orders" in said[3]
    clean = {"fills": {"count": 9, "by_evidence": {"recorded": 9}}, "coverage": "1", "orders": {"unknown": 0}}
    assert read.caveats(clean) == []


def test_defects_are_sorted_and_zeros_left_out() -> None:
    assert read.defects({"defects": {"a_b": 2, "c": 0, "d": 1500}}) == [("d", "1,500"), ("a b", "2")]


def test_the_table_shows_every_block_and_takes_the_json_object_too(demo: RunRecord) -> None:
    text = printed(demo)
    net = read.net(demo.summary)[0][1]
    for part in (
        "polymarket-quoter · backtest · seed 7",
        f"{net:.6f}"[:-2].replace("-", "\N{MINUS SIGN}"),  # four decimals are shown, cut
        "submitted",
        "queue drained",
        "evidence: inferred",
        "btc-updown-5m-1776254400",
        "24.9 ms",
        "97.4 %",
        "40,211 ts recv before venue",
        "5f2c9a1e5f2c9a1e",
        "520,357 rows/s",
        "! the payoff of the market is inferred",
    ):
        assert part in text
    assert printed(json.loads(json.dumps(demo.summary))) == text


def test_every_line_fits_a_narrow_terminal(several: RunRecord) -> None:
    assert max(len(line) for line in printed(several, width=80).splitlines()) <= 80


def test_markup_in_names_is_text() -> None:
    text = printed({"scenario": "[red]x[/red]", "mode": "paper", "seed": 1, "assumptions": ["[bold]y[/bold]"]})
    assert "[red]x[/red] · paper · seed 1" in text
    assert "! [bold]y[/bold]" in text


def test_many_markets_stay_compact() -> None:
    names = [f"m{i}" for i in range(30)]
    text = printed(
        {"coverage": {n: f"0.{50 + i}" for i, n in enumerate(names)}, "positions": dict.fromkeys(names, "1")}
    )
    assert "lowest of 30 markets" in text
    assert "50 %" in text
    assert "… and 22 more" in text


def test_an_empty_summary_prints() -> None:
    assert printed({})


def test_facts_of_a_made_market_are_one_line() -> None:
    held = {
        "trades": 3726, "spread_ticks": 1.25, "depth": None, "return_kurtosis": 8.7,
        "sign_autocorrelation": {"1": 0.19, "10": 0.07}, "abs_return_autocorrelation": {"1": None, "10": None},
    }  # fmt: skip
    section = read.facts({"facts": {"agents": held}})
    assert section is not None
    assert section.rows == (
        ("trades", "3,726"),
        ("ticks of spread", "1.25"),
        ("kurtosis of returns", "8.7"),
        ("autocorrelation of signs", "0.19 and 0.07"),
    )
    assert read.facts({}) is None
    text = printed({"facts": {"agents": held}})
    assert "3,726 trades · 1.25 ticks of spread" in text


def test_parent_orders_show_what_they_cost_and_why_they_ended() -> None:
    row = {
        "algo": "twap", "market": "btc", "side": "buy", "state": "short", "reason": "the time is over", "size": "100",
        "done": "80", "avg_price": "0.52", "slippage_arrival_bp": "12.5", "slippage_vwap_bp": None,
    }  # fmt: skip
    section = read.executions({"executions": [row]})
    assert section is not None
    assert section.rows == (("twap btc buy", "80 of 100", "0.52", "+12.5 bp", read.NOTHING),)
    assert read.caveats({"executions": [row]}) == ["twap btc ended short with 80 of 100 done: the time is over"]
    assert read.caveats({"executions": [row | {"state": "done"}]}) == []
    assert read.executions({}) is None
