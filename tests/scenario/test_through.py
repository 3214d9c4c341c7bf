"""One scenario gives the same fills in the backtest and through Polymarket's adapter and dialect; what differs is reported
and stands on docs/equality.md."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from execsim.cli import _main
from execsim.core.order import Liquidity, OrderStatus, Side, TimeInForce
from execsim.scenario import model
from execsim.scenario.build import load_data
from execsim.scenario.joined import ANY_KEY, Joined, compare, run_joined, steady, told_late_ns
from execsim.scenario.run import Finished, run

SCENARIOS = Path(__file__).resolve().parents[2] / "scenarios"
RESPONSE_NS = 20_000_000


def both(name: str, settings: tuple[str, ...] = ()) -> tuple[Finished, Joined]:
    scenario = steady(model.load(SCENARIOS / f"{name}.toml", None, settings))
    loaded = load_data(scenario, SCENARIOS)
    return run(scenario, name, SCENARIOS, loaded=loaded), run_joined(scenario, SCENARIOS, ANY_KEY, loaded)


@pytest.fixture(scope="module")
def quoted() -> tuple[Finished, Joined]:
    """The first scenario of the README: a market maker on recorded books."""
    return both("polymarket_btc_5m")


def test_a_market_maker_gets_the_same_fills_to_the_nanosecond(quoted: tuple[Finished, Joined]) -> None:
    backtest, joined = quoted
    assert [str(each) for each in compare(backtest, joined)] == []
    assert len(joined.fills) == len(backtest.record.fills) > 200
    assert {fill.liquidity for _, fill in joined.fills} == {Liquidity.MAKER}
    assert {OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.REJECTED} <= {
        order.status for order in joined.engine.order_tracker.get_all_orders()
    }


def test_fills_are_told_by_the_channel_later_than_they_are_listed(quoted: tuple[Finished, Joined]) -> None:
    """To the ms, and when the channel told of them: a response latency after the match at most."""
    least_ns, most_ns = told_late_ns(quoted[1])
    assert least_ns >= 0
    assert most_ns == RESPONSE_NS


def test_tokens_of_a_resolved_market_wait_to_be_redeemed(quoted: tuple[Finished, Joined]) -> None:
    backtest, joined = quoted
    assert joined.payoffs == {"btc-up": 0}
    paid, waiting = backtest.parts.engine.get_position("btc-up"), joined.engine.get_position("btc-up")
    assert (paid.yes_lots, paid.no_lots) == (0, 0)
    assert waiting.yes_lots + waiting.no_lots > 0
    cash, before = backtest.parts.engine.portfolio.cash["pUSD"], joined.engine.portfolio.cash["pUSD"]
    assert cash - before == waiting.no_lots  # a NO share pays 1


def test_a_taker_gets_the_same_fills_until_the_rest_of_an_ioc_buy_is_filled_on_its_way_out() -> None:
    backtest, joined = both("polymarket_tick_change")
    found = compare(backtest, joined)
    assert found, "if nothing differs any more, docs/equality.md says too much"
    name = found[0].what.partition("of order ")[2].partition(",")[0]
    order, fill = next((o, f) for o, f in joined.fills if o.id == name and f.liquidity is Liquidity.MAKER)
    assert (order.side, order.tif, found[0].backtest) == (Side.BUY, TimeInForce.IOC, "")
    same = sum(f.ts_ns < fill.ts_ns for _, f in backtest.record.fills)
    assert same > 15
    orders = [each for each in found if each.what.startswith("order")]
    for each in orders[: [each.what for each in orders].index(f"order {name}")]:  # older ones
        assert "rejected, 0 filled" in each.backtest
        assert "cancelled, 0 filled" in each.joined


def test_what_differs_is_printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(SCENARIOS / "handwritten.toml")
    monkeypatch.setattr("sys.argv", ["execsim", "through", path, "--steady"])
    code, said = _main(), capsys.readouterr().out
    assert "fills: 2 in the backtest, 2 through the protocol" in said
    assert ("no difference" in said) == (code == 0)
    monkeypatch.setattr("sys.argv", ["execsim", "through", path, "--steady", "--json"])
    assert _main() == code
    told = json.loads(capsys.readouterr().out)
    assert told["fills"] == {"backtest": 2, "protocol": 2}
    assert [each["what"] for each in told["differences"]] == [
        line.partition(":")[0] for line in said.splitlines() if line.startswith("order ")
    ]


@pytest.mark.parametrize(("unfit", "what"), [
    ("two_venues", "one venue's protocol carries it"), ("binance_btcusdt", "known venues: polymarket"),
])  # fmt: skip
def test_a_scenario_no_protocol_can_carry(
    unfit: str, what: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["execsim", "through", str(SCENARIOS / f"{unfit}.toml")])
    assert _main() == 2
    assert what in capsys.readouterr().err
