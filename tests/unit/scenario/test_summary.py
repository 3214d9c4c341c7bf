"""The one JSON object of a run."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

from execsim.core.instrument import Asset, Instrument, InstrumentKind, Outcome
from execsim.core.order import (
    Cause,
    Evidence,
    Fill,
    FillId,
    Liquidity,
    MarketId,
    Order,
    OrderId,
    OrderType,
    Side,
    TimeInForce,
    VenueId,
)
from execsim.core.units import Grid
from execsim.engine.portfolio import Totals
from execsim.scenario import model
from execsim.scenario.run import run
from execsim.scenario.summary import PNL, earned_units, fills_summary, pnl_summary

SCENARIOS = Path(__file__).resolve().parents[3] / "scenarios"
CENT, MICRO = Decimal("0.01"), Decimal("0.000001")
PUSD, USDT = Asset("pUSD", MICRO), Asset("USDT", CENT)
MARKET = Instrument(
    VenueId("polymarket"), MarketId("up"), InstrumentKind.BINARY, Grid(CENT, CENT), Asset("up:YES", MICRO), PUSD,
    complement=Asset("up:NO", MICRO),
)  # fmt: skip


def summary_of(*settings: str) -> dict[str, Any]:
    return run(model.load(SCENARIOS / "handwritten.toml", None, settings), "handwritten", SCENARIOS).summary


def filled(number: int, side: Side, outcome: Outcome, price_i: int, lots: int, **more: Any) -> tuple[Order, Fill]:
    order_id = OrderId(f"o{number}")
    order = Order(order_id, MARKET, side, OrderType.LIMIT, TimeInForce.GTC, lots, None, price_i, outcome, None, 0, 0)
    cash = -side.sign * MARKET.cash(price_i, lots)
    return order, Fill(
        FillId(f"f{number}"), order_id, 0, side, outcome, price_i, lots, cash, 0, Liquidity.MAKER, **more
    )


def test_profit_over_all_counts_every_quote_asset_as_a_dollar() -> None:
    held = pnl_summary({"pUSD": Totals(PUSD, 1_500_000, -250_000, 10_000, 0), "USDT": Totals(USDT, 100, 0, 25, 5)})
    assert held["pUSD"] == {"realised": "1.5", "unrealised": "-0.25", "fees": "0.01", "rebates": "0", "net": "1.24"}
    assert held["USDT"] == {"realised": "1", "unrealised": "0", "fees": "0.25", "rebates": "0.05", "net": "0.8"}
    assert [held[key] for key in PNL] == ["2.5", "-0.25", "0.26", "0.05", "2.04"]


def test_nothing_traded_is_zero_not_missing() -> None:
    assert pnl_summary({}) == dict.fromkeys(PNL, "0")
    assert fills_summary([], {}) == {"count": 0, "size": "0", "pnl": {}, "by_cause": {}, "by_evidence": {}}


def test_a_fill_is_worth_its_tokens_at_the_end_and_its_money() -> None:
    """10 YES at 0.40 and 10 NO at 0.55 cost 9.50 and pay 10 whatever happens."""
    yes, no = filled(1, Side.BUY, Outcome.YES, 40, 1_000), filled(2, Side.BUY, Outcome.NO, 55, 1_000)
    for final_i in (0, 37, 100):
        earned = [earned_units(MARKET, fill, final_i) for _, fill in (yes, no)]
        assert sum(earned) == 500_000
    assert earned_units(MARKET, yes[1], 100) == 6_000_000
    assert earned_units(MARKET, yes[1], None) == 0


def test_fills_by_cause_and_evidence() -> None:
    fills = [
        filled(1, Side.BUY, Outcome.YES, 40, 1_000, cause=Cause.TAKER_WALK),
        filled(2, Side.SELL, Outcome.YES, 45, 400, cause=Cause.QUEUE_DRAINED, evidence=Evidence.INFERRED),
        filled(3, Side.SELL, Outcome.YES, 50, 600, cause=Cause.QUEUE_DRAINED),
    ]
    held = fills_summary(fills, {"up": 60})
    assert (held["count"], held["size"], held["pnl"]) == (3, "20", {"pUSD": "0.8"})
    assert {name: (row["count"], row["size"]) for name, row in held["by_cause"].items()} == {
        "queue_drained": (2, "10"),
        "taker_walk": (1, "10"),
    }
    assert held["by_evidence"]["inferred"] == {"count": 1, "size": "4", "pnl": {"pUSD": "-0.6"}}
    assert held["by_evidence"]["recorded"]["pnl"] == {"pUSD": "1.4"}


def test_what_a_reader_must_know() -> None:
    said = summary_of("markets.0.resolve={payoff=1, source='a coin toss'}", "notes=['made up']")["assumptions"]
    assert said[0] == "made up"
    assert "coin: payoff 1 is stated by the scenario, not recorded (a coin toss)" in said
    assert "polymarket: entry latency is unrealistic: constant 50 ms" in said
    moved = summary_of("data.0.start_at=2030-01-01T00:00:00Z")["assumptions"]
    assert any("is replayed as if it began at 2030-01-01T00:00:00+00:00" in sentence for sentence in moved)


def test_a_limit_that_limits_nothing_is_pointed_out(tmp_path: Path) -> None:
    (tmp_path / "risk.yaml").write_text("policies: [{type: PositionLimit, max_size: 5, market_id: elsewhere}]\n")
    said = summary_of(f"risk.file={tmp_path}/risk.yaml")["assumptions"]
    assert "risk: a PositionLimit for elsewhere limits nothing: it is no market of this run" in said


def test_orders_refused_by_us_are_submitted_but_not_sent() -> None:
    orders = summary_of("risk.policies=[{type='PositionLimit', max_size=10}]")["orders"]
    assert (orders["submitted"], orders["sent"], orders["rejected"]) == (3, 2, 1)


def test_a_kill_switch_refuses_everything() -> None:
    summary = summary_of("risk.policies=[{type='KillSwitch', enabled=true}]")
    assert summary["orders"]["submitted"] == summary["orders"]["rejected"] == 3
    assert summary["fills"]["count"] == 0
    assert summary["pnl"]["net"] == "0"
