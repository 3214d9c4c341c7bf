"""The scenarios of the execution algorithms: what they come to, that they repeat, and that faults leave them exact."""

from __future__ import annotations

import io
import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from execsim.core.errors import ConfigError, DataError
from execsim.core.order import Side
from execsim.report.summary import caveats
from execsim.report.terminal import summary_table
from execsim.scenario import model
from execsim.scenario.profile import volume_profile
from execsim.scenario.run import Finished
from execsim.strategy import SHIPPED
from execsim.tape.reader import TapeReader
from execsim.tape.schema import Kind
from execsim.tape.store import load_manifest
from execsim.tape.synth import synthetic_tape
from execsim.testing.audit import audit

FOLDER = Path(__file__).resolve().parents[2] / "scenarios" / "algos"
NAMES = sorted(path.stem for path in FOLDER.glob("*.toml"))
LOST, VOID = (
    '{ pack = "lost_ack", every = 3 }',
    '{ pack = "voided_fill", per_hour = 120, params = { lasts_ms = 20000 } }',
)
FAULTS = {
    "silence": LOST,
    "news out of order": '"shuffled_events", "duplicate_events"',
    "frozen streams": '"stream_freeze", "stream_gap"',
    "voids": VOID,
    "outages": '"outage", "late_ack"',
    "all at once": f'{LOST}, {VOID}, "shuffled_events", "stream_freeze", "outage", "throttle", "balance_lock"',
}


def test_every_algorithm_has_a_scenario(regenerate: Any) -> None:
    assert set(NAMES) == set(regenerate.ALGOS) == set(SHIPPED) - {"quoter", "imbalance", "orders"}


@pytest.mark.parametrize("algo", NAMES)
def test_it_comes_to_what_it_came_to_before(algo: str, regenerate: Any) -> None:
    """Meant to change? `uv run python tests/scenario/regenerate.py`, and read the diff."""
    finished = regenerate.finish_algo(algo)
    expected = json.loads((regenerate.GOLDEN / "algos" / f"{algo}.json").read_text(encoding="utf-8"))
    assert json.loads(json.dumps(regenerate.golden_algo(finished.summary))) == expected
    assert regenerate.finish_algo(algo).summary["journal_sha256"] == expected["journal_sha256"]
    assert not audit(finished.parts.engine, finished.parts.venues, given(finished))
    assert exact(finished)[0]["state"] == "done"


def given(finished: Finished) -> dict[str, int]:
    """Base assets the scenario's accounts start with."""
    found = {}
    for venue in finished.parts.venues.values():
        for inst in venue.instruments().values():
            start = 1 if inst.base.name == "BTC" else 0
            found[inst.base.name] = inst.base.amount(start)
    return found


def exact(finished: Finished) -> list[dict[str, Any]]:
    """Every row adds up with what the engine has; never more than the parent was traded."""
    rows = finished.summary["executions"]
    orders = finished.record.orders
    for row in rows:
        children = [order for order in orders if order.tag == row["algo"]]
        assert len(children) == row["children"]
        done = sum((o.instrument.grid.size(o.filled_lots) for o in children), Decimal(0))
        assert Decimal(row["done"]) == done <= Decimal(row["size"])
        assert row["excess_lots"] == 0
        assert (row["left_lots"] == 0) == (row["state"] == "done")
        limits = model.load(FOLDER / f"{row['algo']}.toml").strategy.params["limit"]
        for order in children:
            prices = [order.price_i, *(f.price_i for f in finished.parts.engine.order_tracker.get_fills(order.id))]
            worst = order.instrument.grid.price_i(limits)
            sign = 1 if order.side is Side.BUY else -1
            assert all(price_i is not None and sign * price_i <= sign * worst for price_i in prices)
    return list(rows)


@pytest.mark.parametrize("faults", FAULTS)
@pytest.mark.parametrize("algo", [name for name in NAMES if name != "router"])
def test_faults_never_make_it_trade_too_much(algo: str, faults: str, regenerate: Any) -> None:
    finished = regenerate.finish_algo(algo, f"faults=[{FAULTS[faults]}]")
    assert not audit(finished.parts.engine, finished.parts.venues, given(finished))
    assert finished.summary.get("faults")
    exact(finished)


@pytest.mark.parametrize(
    ("fault", "takes_orders"),
    [
        ('{ pack = "outage", venue = "kalshi", at_s = [0], params = { lasts_ms = 60000 } }', False),
        ('{ pack = "lost_ack", venue = "kalshi", every = 1 }', True),
        ('{ pack = "throttle", venue = "kalshi", at_s = [0], params = { lasts_ms = 60000 } }', False),
    ],
)
def test_a_router_moves_on_to_the_venue_that_answers(fault: str, takes_orders: bool, regenerate: Any) -> None:
    """The cheaper venue is broken from the start: more goes to the other one, and nothing is traded twice. One that takes
    orders and only does not say so has its share all the same."""
    broken, calm = regenerate.finish_algo("router", f"faults=[{fault}]"), regenerate.finish_algo("router")
    assert not audit(broken.parts.engine, broken.parts.venues)
    assert broken.summary["faults"]["kalshi"]
    assert traded(broken, "polymarket") >= traded(calm, "polymarket")
    assert (traded(broken, "kalshi") == traded(calm, "kalshi")) == takes_orders
    exact(broken)


def traded(finished: Finished, venue: str) -> Decimal:
    return sum((o.instrument.grid.size(o.filled_lots) for o in finished.record.orders if o.venue == venue), Decimal(0))


def test_the_table_shows_what_a_parent_cost(regenerate: Any) -> None:
    finished = regenerate.finish_algo("twap")
    console = Console(width=100, file=io.StringIO(), force_terminal=False)
    console.print(summary_table(finished.record))
    text = console.file.getvalue()
    row = finished.summary["executions"][0]
    assert "vs arrival" in text
    assert "twap btc-up buy  100 of 100" in text
    assert f"+{row['slippage_arrival_bp']} bp" in text
    short = regenerate.finish_algo("twap", "strategy.params.limit=0.2").summary
    assert any("twap btc-up ended short with" in sentence for sentence in caveats(short))


def test_the_profile_is_the_volume_of_the_recording(regenerate: Any, tmp_path: Path) -> None:
    finished = regenerate.finish_algo("vwap")
    weights = finished.parts.params["weights"]
    assert len(weights) == 10
    assert any("volume profile is that of btc-updown-5m-1776262800" in said for said in finished.summary["assumptions"])
    tape = synthetic_tape(7, 5_000, {})
    market = load_manifest(tape).markets[0].market
    profile = volume_profile(tape, market, 4)
    whole = volume_profile(tape, market, 1)
    assert sum(profile) == whole[0] > 0
    rows = [row for chunk in TapeReader(tape) for row in chunk["size_i"][chunk["kind"] == int(Kind.TRADE)].tolist()]
    assert whole[0] == sum(rows)
    with pytest.raises(ConfigError, match=r"strategy\.profile: market 'rain' is not in its data"):
        volume_profile(tape, "rain", 4)


def test_a_profile_of_what_is_replayed_is_said_to_know_the_future(regenerate: Any) -> None:
    scenario = model.load(FOLDER / "vwap.toml")
    sources = list(scenario.data[0].sources)
    settings = [f"strategy.profile.sources={json.dumps(sources)}", "strategy.profile.market=btc-updown-5m-1776263100"]
    options = 'strategy.profile.options={ markets = ["btc-updown-5m-1776263100"] }'
    said = regenerate.finish_algo("vwap", *settings, options).summary["assumptions"]
    assert any("it may know the future" in sentence for sentence in said)


def test_a_recording_without_trades_gives_no_profile(regenerate: Any) -> None:
    with pytest.raises(DataError, match="holds no trades of btc-updown-5m-1776262800"):
        regenerate.finish_algo("vwap", "strategy.profile.inferred=false")


@pytest.mark.parametrize(
    ("algo", "setting", "message"),
    [
        ("twap", "strategy.params.side=hold", "strategy twap: parameter side is 'hold'; one of: buy, sell"),
        ("twap", "strategy.params.style=fast", "strategy twap: parameter style is 'fast'; one of: passive"),
        ("twap", "strategy.params.slices=0", "strategy twap: parameter slices is 0; it must be positive"),
        ("twap", "strategy.params.size=3", "cannot be traded to the last lot; the market takes a multiple of"),
        ("twap", "strategy.params.sise=3", "strategy twap has no parameter 'sise'"),
        ("vwap", "strategy.params.weights=[1]", "profile and params.weights are both given"),
        ("pov", "strategy.params.rate=2", "strategy pov: parameter rate is 2; it must be at most 1"),
        ("iceberg", "strategy.params.display=1", "iceberg: display 1.000000 is no order of btc-up"),
        ("iceberg", "strategy.params.jitter_percent=95", "iceberg: jitter_percent is 95; from 0 to 90"),
        ("router", 'strategy.params.penalties=["coin"]', "strategy router: 'coin' in penalties; write market=0.002"),
        ("router", 'strategy.params.penalties=["x=1"]', "router: a penalty for 'x'; its markets are: coin, coin-b"),
        ("router", "strategy.params.outcome=maybe", "strategy router: parameter outcome is 'maybe'"),
    ],
)  # fmt: skip
def test_a_wrong_parameter_is_refused_by_name(algo: str, setting: str, message: str, regenerate: Any) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        regenerate.finish_algo(algo, setting)
