"""[agents] in a scenario: what is refused, in whose words; that a spot market runs too; that runs repeat."""

from __future__ import annotations

from pathlib import Path

import pytest
import tomli_w

from execsim.core.errors import ConfigError
from execsim.scenario import model
from execsim.scenario.build import load_data
from execsim.scenario.run import run

SCENARIO = Path(__file__).resolve().parents[3] / "scenarios" / "agents_binary.toml"

SPOT = """
[[markets]]
id = "coin"
venue = "binance"
market = "COINUSDT"

[agents]
kind = "spot"
duration_s = 30
price_unit = 0.01
tick = 0.01
lot = 0.001
size_step = 0.001
base = "COIN"
quote = "USDT"
start_price = 100
populations = [{ kind = "noise", count = 20, params = { size = 1 } }, { kind = "market_maker", params = { size = 2 } }]

[engine.price_bounds]
coin = [1, 1000]

[venues.binance]
balances = { USDT = 10000, COIN = 100 }

[strategy]
name = "quoter"
params = { size = 1, max_position = 5, shorting = true }
"""


def refused(*settings: str) -> str:
    """What is said of the shipped scenario with these changes."""
    with pytest.raises(ConfigError) as caught:
        run(model.load(SCENARIO, None, list(settings)), "agents", SCENARIO.parent)
    return " ".join(str(arg) for arg in caught.value.args)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("agents.populations.0.kind='whale'", "agents.populations.0.kind is 'whale'"),
        ("agents.populations.0.params.speed=3", "agents.populations[0]: noise has no parameter 'speed'"),
        ("agents.populations.0.params.branching=1", "branching ratio of 1"),
        ("agents.populations.1.name='noise'", "two populations are called 'noise'"),
        ("agents.populations.1.count=0", "agents.populations.1.count"),
        ("agents.start_price=1", "start_price 1 of a binary market"),
        ("agents.start_price=0.505", "not a multiple of the tick"),
        ("agents.duration_s=0", "agents.duration_s"),
        ("agents.kind='spot'", "a spot market does not resolve"),
        ("agents.speed=1", "unknown key agents.speed"),
        ("markets.0.resolve={payoff=1}", "resolves by agents.resolve"),
        ("venues.polymarket.settlement.enabled=true", "final at once"),
        ("data=[{synthetic_rows=1000}]", "name either data"),
        ("agents.cash=0.0000001", "agents.cash"),
    ],
)
def test_what_does_not_fit_is_named(setting: str, said: str) -> None:
    assert said in refused(setting)


def test_neither_recording_nor_agents_is_no_market() -> None:
    live_only = model.Scenario.model_validate(
        {"markets": [{"id": "m", "venue": "binance", "market": "m"}], "strategy": {"name": "quoter"}}
    )
    with pytest.raises(ConfigError, match="name either data"):
        load_data(live_only, Path())


def test_a_spot_market_of_agents(tmp_path: Path) -> None:
    path = tmp_path / "spot.toml"
    path.write_text(SPOT)
    one, two = (run(model.load(path), "spot", tmp_path).summary for _ in range(2))
    assert one["journal_sha256"] == two["journal_sha256"]
    assert one["fills"]["count"] > 0
    assert one["positions"]["coin"]["asset"] == "USDT"
    assert one["latency_ns"]["feed"]["p50"] > 0


@pytest.mark.parametrize(
    "setting",
    [
        "venues.polymarket.taker_delay_ms=250",
        "faults=['engine_restart', 'lost_ack', 'duplicate_events', 'balance_lock']",
        "faults=['tick_change', 'cancel_only', 'clock_skew', 'stream_freeze', 'early_expiry']",
        "venues.polymarket.resolution.delay_s=5",
    ],
)
def test_the_venue_in_front_of_agents_is_the_same(setting: str) -> None:
    """Delays, faults and resolutions act as on a tape; money is conserved and no claim is left."""
    settings = ["agents.duration_s=60", setting]
    done = run(model.load(SCENARIO, None, settings), "agents", SCENARIO.parent)
    exchange = done.parts.venues["polymarket"].exchange
    exchange.ledger.check()
    assert not exchange.entry.open
    assert not any(units for account in exchange.ledger.accounts.values() for units in account.reserved.values())
    assert done.summary["fills"]["count"] > 0
    assert done.summary["facts"]["agents"]["trades"] > 50


def test_it_is_shown_with_every_default(tmp_path: Path) -> None:
    """What `execsim show` prints of it is the same scenario."""
    path = tmp_path / "shown.toml"
    path.write_text(tomli_w.dumps(model.as_plain(model.load(SCENARIO))))
    assert model.load(path) == model.load(SCENARIO)
