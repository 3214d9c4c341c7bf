from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from execsim.core.errors import ConfigError
from execsim.scenario import model

LEAST = """
[[data]]
sources = ["a.csv", "b.csv"]
[[markets]]
id = "up"
venue = "polymarket"
market = "m"
[strategy]
name = "quoter"
params = { size = 0.10 }
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "least.toml"
    path.write_text(LEAST)
    return path


def refusal(path: Path, *settings: str) -> str:
    with pytest.raises(ConfigError) as error:
        model.load(path, None, settings)
    return str(error.value)


def test_the_least_scenario_and_its_defaults(path: Path) -> None:
    held = model.load(path)
    assert (held.seed, held.exchange.queue, held.tape.inferred_trades) == (7, "risk_averse", "through")
    assert (held.engine.size_min, held.engine.size_max) == (Decimal("0.01"), Decimal(1_000_000))
    assert held.venues == {}
    assert str(held.strategy.params["size"]) == "0.10"


def test_a_seed_given_counts_more_than_that_of_the_file(path: Path) -> None:
    assert model.load(path, 3, ["seed=5"]).seed == 3
    assert model.load(path, None, ["seed=5"]).seed == 5


@pytest.mark.parametrize(
    ("setting", "read"),
    [
        ("exchange.queue=proportional", lambda s: s.exchange.queue == "proportional"),
        ("exchange.queue = 'proportional'", lambda s: s.exchange.queue == "proportional"),
        ("exchange.refill=decay", lambda s: s.exchange.refill == "decay"),
        ("exchange.refill_half_life_ms=2.5", lambda s: s.exchange.refill_half_life_ms == Decimal("2.5")),
        ("data.0.sources.1=c.csv", lambda s: s.data[0].sources == ["a.csv", "c.csv"]),
        ("markets.0.resolve.payoff=1", lambda s: s.markets[0].resolve.payoff == 1),
        ("venues.polymarket.entry.ms=0.1", lambda s: s.venues["polymarket"].entry.ms == Decimal("0.1")),
        ("strategy.params.size=0.52", lambda s: s.strategy.params["size"] == Decimal("0.52")),
        ("strategy.params.note=a b", lambda s: s.strategy.params["note"] == "a b"),
        ("title=", lambda s: s.title == ""),
        ("data.0.start_at=2026-04-15T12:00:00Z", lambda s: s.data[0].start_at == datetime(2026, 4, 15, 12, tzinfo=UTC)),
    ],
)
def test_settings(setting: str, read: Any, path: Path) -> None:
    assert read(model.load(path, None, [setting]))


KEYS = st.lists(
    st.sampled_from(["data", "markets", "seed", "0", "9", "sources", "strategy", "params", "", "é"]), max_size=4
)
VALUES = st.text(max_size=12) | st.sampled_from(
    ["{}", "[]", "[{}]", "1", "nan", "1e999", "2026-01-01", "true", '"', "0x"]
)


@given(st.builds(lambda keys, value: f"{'.'.join(keys)}={value}", KEYS, VALUES) | st.text(max_size=20))
def test_whatever_is_set_it_is_taken_or_refused_by_name(setting: str) -> None:
    raw = {"data": [{"sources": ["a"]}], "strategy": {"name": "quoter", "params": {}}, "seed": 7}
    told = "--set"
    try:
        model.override(raw, setting, "--set")
    except ConfigError as error:
        told = str(error)
    assert told.startswith("--set")


@given(st.dictionaries(st.sampled_from(["title", "seed", "data", "markets", "engine", "venues"]),
                       st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5),
                                    lambda x: st.lists(x, max_size=2) | st.dictionaries(st.text(max_size=5), x, max_size=2),
                                    max_leaves=5)))  # fmt: skip
def test_whatever_is_written_is_taken_or_refused_in_one_line(raw: dict[str, Any]) -> None:
    try:
        model.Scenario.model_validate(raw)
    except model.ValidationError as error:
        what, hint = model._explain(Path("s.toml"), error)
        assert what.startswith("s.toml: ")
        assert len(what.splitlines()) == 1
        assert len(what) < 400
        assert not hint or "more" in hint or "known keys" in hint


def test_the_strategy_can_be_replaced_but_not_its_markets(path: Path) -> None:
    path.write_text(LEAST + 'markets = ["up"]\n')
    held = model.load(path, None, ["strategy.file=bot.py"], replace_strategy=True)
    assert held.strategy == model.Strategy(file="bot.py", markets=["up"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("name =", "nome ="), "unknown key strategy.nome; known keys: file, markets, name, orders, params"),
        (
            ("[strategy]", "[risk]\npolicy = []\n[strategy]"),
            "unknown key risk.policy; known keys: file, kill_file,",
        ),
        (
            ('id = "up"', 'id = "up"\nresolve = { payof = 1 }'),
            "unknown key markets.0.resolve.payof; known keys: after_s, payoff, source; and 1 more",
        ),
        (("[[data]]", "[data]"), "data is a table, should be a list"),
        (("[strategy]", "[venues.kalshi]\n[strategy]"), "venues.kalshi has no market; markets are on: polymarket"),
        (
            ('name = "quoter"', 'name = "quoter"\nmarkets = ["down"]'),
            "strategy.markets: 'down' is not a market id; known: up",
        ),
        (("sources =", "tape = 'x'\nsources ="), "name exactly one of sources, tape, synthetic_rows"),
        (('sources = ["a.csv", "b.csv"]', "synthetic_rows = 3"), "data.0.synthetic_rows is 3, should be greater than"),
        (('venue = "polymarket"', ""), "markets.0.venue is missing"),
    ],
)
def test_what_is_wrong_is_named(change: tuple[str, str], said: str, path: Path) -> None:
    assert change[0] in LEAST
    path.write_text(LEAST.replace(*change, 1))
    told = refusal(path)
    assert told.startswith(f"{path}: ")
    assert said in told


def test_more_faults_than_one_are_counted(path: Path) -> None:
    assert refusal(path, "title=3", "notes=3", "seed=-1").endswith("and 2 more")


def test_a_scenario_is_found_by_its_short_name_or_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "v1.2.toml").touch()
    (tmp_path / "folder" / "scenario.toml").touch()
    monkeypatch.chdir(tmp_path)
    assert model.locate("v1.2") == Path("v1.2.toml")
    assert model.locate("v1.2.toml") == Path("v1.2.toml")
    assert model.locate("folder") == Path("folder/scenario.toml")
    monkeypatch.chdir(tmp_path / "folder")
    assert model.locate(".") == Path("scenario.toml")


def test_no_scenario_names_those_nearby(tmp_path: Path) -> None:
    (tmp_path / "scenarios").mkdir()
    for name in ("pyproject.toml", "one.toml", "scenarios/two.toml"):
        (tmp_path / name).touch()
    with pytest.raises(ConfigError) as error:
        model.locate(tmp_path / "three")
    told = str(error.value)
    assert str(tmp_path / "one") in told
    assert str(tmp_path / "scenarios" / "two") in told
    assert "pyproject" not in told


def test_absolute_paths_and_the_way_back_through_toml(path: Path) -> None:
    held = model.load(path, None, ["risk.file=r.yaml", "strategy.file=bot.py"], replace_strategy=True)
    fixed = model.anchored(held, path.parent)
    assert fixed.data[0].sources == [str(path.parent / "a.csv"), str(path.parent / "b.csv")]
    assert (fixed.risk.file, fixed.strategy.file) == (str(path.parent / "r.yaml"), str(path.parent / "bot.py"))
    assert model.anchored(fixed, Path("/elsewhere")) == fixed
    path.write_text(tomli_w.dumps(model.as_plain(fixed)))
    assert model.load(path) == fixed
