"""What every shipped scenario promises: it runs, it repeats, its numbers add up, and it comes to what it came to before."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from execsim.exchange import TRADER
from execsim.journal import digest_of, read, state_of
from execsim.scenario import model
from execsim.testing.refold import differences

PNL = ("realised", "unrealised", "fees", "rebates", "net")


def of_asset(summary: Any) -> dict[str, dict[str, Decimal]]:
    """PnL rows by quote asset."""
    rows = {name: row for name, row in summary["pnl"].items() if isinstance(row, dict)}
    return {asset: {key: Decimal(value) for key, value in row.items()} for asset, row in rows.items()}


def test_every_scenario_is_tested(regenerate: Any) -> None:
    assert set(regenerate.SETTINGS) == {path.stem for path in regenerate.SCENARIOS.glob("*.toml")}


def test_it_comes_to_what_it_came_to_before(name: str, finished: Any, regenerate: Any) -> None:
    """Meant to change? `uv run python tests/scenario/regenerate.py`, and read the diff."""
    expected = json.loads((regenerate.GOLDEN / f"{name}.json").read_text(encoding="utf-8"))
    assert regenerate.golden(finished[name].summary) == expected


def test_another_process_gives_the_same_journal(name: str, finished: Any, elsewhere: Any) -> None:
    here, there = finished[name].summary, elsewhere[name]
    for key in ("journal_sha256", "data_sha256"):
        assert here[key] == there[key]
    without = {"wall_s", "events_per_s"}
    assert {key: value for key, value in json.loads(json.dumps(here)).items() if key not in without} == {
        key: value for key, value in there.items() if key not in without
    }


def test_another_seed_gives_another_journal(finished: Any, regenerate: Any) -> None:
    seen = {
        finished["polymarket_btc_5m"].summary["journal_sha256"],
        regenerate.finish("polymarket_btc_5m", seed=8).summary["journal_sha256"],
    }
    assert len(seen) == 2


@pytest.mark.parametrize("mode", ["full", "batched", "off"])
@pytest.mark.parametrize("which", ["polymarket_tick_change", "handwritten"])
def test_journal_modes_agree(mode: str, which: str, finished: Any, regenerate: Any, tmp_path: Path) -> None:
    """In every mode the digest is that of the rows, whether they are kept or not."""
    summary = regenerate.finish(which, f"journal.mode={mode}", out=tmp_path).summary
    assert summary["journal_sha256"] == finished[which].summary["journal_sha256"]
    path = tmp_path / "journal.sqlite"
    assert path.exists() == (mode != "off")
    if mode != "off":
        assert digest_of(read(path)) == summary["journal_sha256"]


def test_the_journal_alone_comes_to_the_same_books(name: str, finished: Any, folders: Path) -> None:
    """State is a fold over the journal: every order, fill, position and unit of cash, from the file and nothing else."""
    folded = state_of(folders / name / "journal.sqlite")
    assert differences(finished[name].parts.engine, folded) == []
    assert len(folded.booked()) == len(finished[name].record.fills)


def test_it_says_all_it_should(name: str, finished: Any) -> None:
    """Every key that `run --json` promises, with its type; money and sizes are decimal text."""
    held = json.loads(json.dumps(finished[name].summary))
    assert held["scenario"] == name
    assert held["mode"] == "backtest"
    assert held["seed"] == 7
    for key in ("data_sha256", "journal_sha256"):
        assert len(bytes.fromhex(held[key])) == 32
    assert all(0 < Decimal(text) <= 1 for text in held["coverage"].values())
    assert set(held["coverage"]) == set(held["positions"])
    assert type(held["events"]) is int
    assert held["events"] > 0
    assert type(held["events_per_s"]) is int
    assert type(held["wall_s"]) is float
    for key in ("submitted", "accepted", "rejected", "cancelled", "filled", "unknown"):
        assert type(held["orders"][key]) is int
    groups = [held["fills"], *held["fills"]["by_cause"].values(), *held["fills"]["by_evidence"].values()]
    for group in groups:
        assert type(group["count"]) is int
        assert is_money(group["size"])
        assert all(is_money(text) for text in group["pnl"].values())
    assert set(held["fills"]["by_evidence"]) <= {"recorded", "inferred", "matched"}
    for row in (held["pnl"], *(row for row in held["pnl"].values() if isinstance(row, dict))):
        assert all(is_money(row[key]) for key in PNL)
    for position in held["positions"].values():
        assert all(is_money(position[key]) for key in ("net", "realised", "unrealised", "fees"))
    for key in (
        "orders_placed",
        "orders_filled",
        "orders_cancelled",
        "orders_rejected",
        "risk_rejections",
        "rate_limit_hits",
    ):
        assert type(held["metrics"][f"exec.{key}"]) is int
    assert "exec.latency_ms" in held["metrics"]
    for leg in ("feed", "entry", "response"):
        p50, p99, most = (held["latency_ns"][leg][key] for key in ("p50", "p99", "max"))
        assert 0 < p50 <= p99 <= most
        assert {type(p50), type(p99), type(most)} == {int}


def is_money(text: object) -> bool:
    """Decimal text without an exponent."""
    return isinstance(text, str) and "E" not in text and Decimal(text).is_finite()


def test_it_trades(name: str, finished: Any) -> None:
    """A scenario that does nothing shows nothing."""
    summary = finished[name].summary
    assert summary["orders"]["submitted"] >= 3
    assert summary["fills"]["count"] >= 2
    assert summary["orders"]["unknown"] == 0
    assert summary["metrics"]["exec.orders_filled"] == summary["orders"]["filled"]


def test_profit_adds_up(name: str, finished: Any) -> None:
    """net = realised + unrealised - fees + rebates, per asset, over all, and over the positions."""
    summary = finished[name].summary
    assets = of_asset(summary)
    overall = {key: Decimal(summary["pnl"][key]) for key in PNL}
    for row in (*assets.values(), overall):
        assert row["net"] == row["realised"] + row["unrealised"] - row["fees"] + row["rebates"]
    for key in PNL:
        assert overall[key] == sum(row[key] for row in assets.values())
    for asset, row in assets.items():
        held = [position for position in summary["positions"].values() if position["asset"] == asset]
        for key in ("realised", "unrealised"):
            assert row[key] == sum(Decimal(position[key]) for position in held)
        assert row["fees"] - row["rebates"] == sum(Decimal(position["fees"]) for position in held)


def test_profit_is_that_of_the_fills(name: str, finished: Any) -> None:
    """By cause and by evidence alike. Full sets are worth their price whatever happens, so they add nothing."""
    summary = finished[name].summary
    fills = summary["fills"]
    for group in ("by_cause", "by_evidence"):
        rows = fills[group].values()
        assert sum(row["count"] for row in rows) == fills["count"]
        assert sum(Decimal(row["size"]) for row in rows) == Decimal(fills["size"])
        for asset, row in of_asset(summary).items():
            assert sum(Decimal(part["pnl"].get(asset, "0")) for part in rows) == Decimal(fills["pnl"].get(asset, "0"))
            assert Decimal(fills["pnl"].get(asset, "0")) == row["net"]


def test_we_hold_what_the_venue_says_we_hold(name: str, finished: Any, regenerate: Any) -> None:
    """Cash and tokens of the portfolio are those of the accounts at the venues, to the unit, and nothing is reserved."""
    parts = finished[name].parts
    scenario = model.load(regenerate.SCENARIOS / f"{name}.toml")
    for venue_id, venue in parts.venues.items():
        account = venue.ledger[TRADER]
        for market, instrument in venue.instruments().items():
            position, unit = parts.engine.portfolio.position(market), instrument.base_amount(1)
            given = instrument.base.amount(scenario.venues[venue_id].balances.get(instrument.base.name, 0))
            assert account.balances[instrument.base.name] == given + unit * position.yes_lots
            if instrument.complement is not None:
                assert account.balances[instrument.complement.name] == unit * position.no_lots
            assert account.balances[instrument.quote.name] == parts.engine.portfolio.cash[instrument.quote.name]
        assert not any(account.reserved.values())


def test_inferred_prints_are_said_to_be_inferred(name: str, finished: Any) -> None:
    """Where a recording holds no trades, no fill claims a recorded print and the summary says so."""
    summary = finished[name].summary
    told = any("holds no trades" in sentence for sentence in summary["assumptions"])
    assert told == ("polymarket" in name or name == "two_venues")
    if told:
        assert "queue_drained" not in summary["fills"]["by_cause"] or name == "two_venues"


def test_a_market_of_agents_has_somebody_on_the_other_side(finished: Any, regenerate: Any) -> None:
    """Every fill of ours is a match; when all is over nobody holds a claim, a token or an order."""
    done = finished["agents_binary"]
    assert set(done.summary["fills"]["by_evidence"]) == {"matched"}
    exchange = done.parts.venues["polymarket"].exchange
    assert not exchange.entry.open
    assert not exchange.matching.book.orders
    for name, account in exchange.ledger.accounts.items():
        assert not any(account.reserved.values()), name
        tokens = [units for asset, units in account.balances.items() if asset != "pUSD"]
        assert not any(tokens), name
        assert all(units >= 0 for units in account.balances.values()), name
    assert exchange.ledger["mint"].balances["pUSD"] == 0
    other = regenerate.finish("agents_binary", seed=8).summary
    assert other["journal_sha256"] != done.summary["journal_sha256"]
    assert other["data_sha256"] != done.summary["data_sha256"]


def test_our_own_impact_is_real(finished: Any, regenerate: Any) -> None:
    """The same market without us is another market: who meets us does not meet somebody else."""
    with_us, without = (
        finished["agents_binary"],
        regenerate.finish("agents_binary", "strategy.params.max_position=0.01"),
    )
    assert without.summary["fills"]["count"] == 0
    traded = [done.parts.stage.agents.feed.aggressors for done in (with_us, without)]
    assert traded[0] != traded[1]
    assert traded[0][:3] == traded[1][:3]


def test_a_stated_payoff_is_paid_and_said_to_be_stated(finished: Any) -> None:
    done = finished["polymarket_btc_5m"]
    position = done.summary["positions"]["btc-up"]
    assert (position["yes"], position["no"]) == ("0", "0")
    assert any("payoff 0 is stated by the scenario, not recorded" in said for said in done.summary["assumptions"])
