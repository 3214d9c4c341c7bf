"""From a checked scenario to the parts of a run."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from execsim.core.errors import ConfigError, DataError, VenueNotSupported
from execsim.exchange import TRADER
from execsim.journal import HashJournal
from execsim.kernel import REFILL_DECAY, REFILL_NEVER, Fifo, Logarithmic, Power, Proportional, QueueModel, RiskAverse
from execsim.runtime import VirtualRuntime
from execsim.scenario import build, model

SCENARIOS = Path(__file__).resolve().parents[3] / "scenarios"


def handwritten(*settings: str) -> model.Scenario:
    return model.load(SCENARIOS / "handwritten.toml", None, settings)


def joined(scenario: model.Scenario) -> build.Parts:
    loaded = build.load_data(scenario, SCENARIOS)
    return build.join(scenario, loaded, VirtualRuntime(scenario.seed, loaded.start_ns), HashJournal(), SCENARIOS)


def test_markets_are_known_by_the_names_of_the_scenario() -> None:
    loaded = build.load_data(handwritten("markets.0.id=up", "venues.polymarket.balances.pUSD=1"), SCENARIOS)
    (market,) = loaded.markets
    assert (market.id, market.instrument.market, market.info.market) == ("up", "up", "coin")
    assert market.last_ns - market.first_ns == 20_000_000_000
    assert loaded.coverage == {"up": "1"}


def test_a_recording_can_be_moved_in_time() -> None:
    plain = build.load_data(handwritten(), SCENARIOS)
    moved = build.load_data(handwritten("data.0.start_at=2030-01-01T00:00:00Z"), SCENARIOS)
    assert moved.start_ns == 1_893_456_000 * 10**9
    assert moved.end_ns - moved.start_ns == plain.end_ns - plain.start_ns
    assert moved.data_sha256 == plain.data_sha256


def test_a_payout_is_due_after_the_last_row() -> None:
    settings = ("markets.0.resolve.payoff=0.25", "markets.0.resolve.after_s=1.5")
    (market,) = build.load_data(handwritten(*settings), SCENARIOS).markets
    assert market.resolve_ns == market.last_ns + 1_500_000_000
    assert market.payoff_i == 2_500


def test_money_and_sets_stand_at_the_venue_and_in_the_portfolio() -> None:
    parts = joined(handwritten("venues.polymarket.balances.pUSD=10", "venues.polymarket.sets={coin=4}"))
    account = parts.venues["polymarket"].ledger[TRADER]
    held = {name: amount for name, amount in account.balances.items() if amount}
    assert held == {"pUSD": 6_000_000, "coin:YES": 4_000_000, "coin:NO": 4_000_000}
    assert parts.engine.portfolio.cash == {"pUSD": 6_000_000}
    position = parts.engine.portfolio.position("coin")
    assert (position.yes_lots, position.no_lots, position.unrealised(9_999)) == (4_000_000, 4_000_000, 0)


def test_sets_beyond_the_balance() -> None:
    scenario = handwritten("venues.polymarket.sets={coin=100.5}")
    with pytest.raises(ConfigError, match=r"sets\.coin: 100\.5 sets cost 100\.5 pUSD, the balance left is 100; raise"):
        joined(scenario)


@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        (["markets.0.venue=nyse", "venues={}"], VenueNotSupported, "'nyse' is not supported; known venues: binance, kalshi"),
        (["markets.0.market=dice"], ConfigError, "market 'dice' of 'coin' is not in the data; the data has: coin"),
        (["data.0.format=csv"], ConfigError, "unknown format 'csv'; known formats: binance, generic"),
        (["data.0.sources.0=no.csv"], DataError, r"no\.csv: no such file; check the path \(a scenario's paths"),
        (["markets.0.rules={tick=0.00003}"], ConfigError, "market coin, rules: .*0.00003"),
        (["markets.0.resolve.payoff=0.00001"], ConfigError, "market coin: resolve.payoff: 0.00001 is not a multiple"),
    ],
)  # fmt: skip
def test_data_that_does_not_fit(settings: list[str], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        build.load_data(handwritten(*settings), SCENARIOS)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("venues.polymarket.allowances={USDT=1}", "allowances: no asset 'USDT'; its markets use: coin:NO"),
        ("venues.polymarket.allowances={pUSD=0.0000001}", "venues.polymarket.allowances.pUSD"),
        ("venues.polymarket.balances={USDT=1}", "no asset 'USDT'; its markets use: coin:NO, coin:YES, pUSD"),
        ("venues.polymarket.sets={dice=1}", "'dice' is not a binary market of polymarket; those are: coin"),
        (
            "risk.policies=[{type='PositionLimit', max_size=1, market_id='dice'}]",
            "'dice' is not a market id; known: coin",
        ),
        (
            "risk.policies=[{type='StaleData', max_age_s=1, market_id='dice'}]",
            r"policies\[0\]\.market_id: 'dice' is not a market id; known: coin",
        ),
        ("risk.policies=[{type='InventoryLimit', max_value_usd='much'}]", r"policies\[0\]\.max_value_usd: 'much'"),
        ("risk.file=none.yaml", r"none\.yaml: cannot be read: No such file"),
    ],
)
def test_parts_that_do_not_fit(setting: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        joined(handwritten(setting))


def test_a_price_above_one_is_no_price_of_a_share(tmp_path: Path) -> None:
    text = (SCENARIOS / "data/handwritten/book.csv").read_text()
    (tmp_path / "book.csv").write_text(text.replace("ask,0.53", "ask,1.53"))
    scenario = handwritten("data.0.sources.0=book.csv")
    with pytest.raises(DataError, match=r"market coin: the recording holds a price of 1\.53, but no share pays more"):
        build.load_data(scenario, tmp_path)


def test_a_file_of_policies_may_serve_other_markets_too(tmp_path: Path) -> None:
    (tmp_path / "risk.yaml").write_text("policies: [{type: PositionLimit, max_size: 5, market_id: elsewhere}]\n")
    parts = joined(handwritten(f"risk.file={tmp_path}/risk.yaml"))
    assert [policy.name for policy in parts.risk.policies] == ["PositionLimit"]


def test_the_refill_model_reaches_the_kernel() -> None:
    kernel = joined(handwritten("exchange.refill=decay", "exchange.refill_half_life_ms=0.5")).stage.kernel
    assert (kernel.refill, kernel.half_life_ns) == (REFILL_DECAY, 500_000)
    assert joined(handwritten()).stage.kernel.refill == REFILL_NEVER


@pytest.mark.parametrize(
    ("settings", "model"),
    [
        ((), RiskAverse()),
        (("exchange.queue=proportional",), Proportional()),
        (("exchange.queue=power",), Power(Decimal(3))),
        (("exchange.queue=power2", "exchange.queue_exponent=1.5"), Power(Decimal("1.5"), 2)),
        (("exchange.queue=power3",), Power(Decimal(3), 3)),
        (("exchange.queue=log",), Logarithmic()),
        (("exchange.queue=log2",), Logarithmic(2)),
        (("exchange.queue=fifo",), Fifo()),
    ],
)
def test_the_queue_model_reaches_the_kernel(settings: tuple[str, ...], model: QueueModel) -> None:
    kernel = joined(handwritten(*settings)).stage.kernel
    assert kernel.queue == model
    assert kernel.spans[0].unit_lots == 1_000_000
