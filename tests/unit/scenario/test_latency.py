"""Latencies of a scenario: sets by name, single legs, kinds of requests, files, and what the summary says of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import tomli_w

from execsim.core.errors import ConfigError, DataError
from execsim.core.request import RequestKind
from execsim.exchange import (
    BurstLatency,
    ConstantLatency,
    EmpiricalLatency,
    GammaLatency,
    LatencyModel,
    LognormalLatency,
    UniformLatency,
    preset,
)
from execsim.exchange.presets import DEFAULT, PRESETS
from execsim.scenario import model
from execsim.scenario.latency import KINDS, MODELS, Latencies, latency_model, unrealistic
from execsim.scenario.run import run

MS = 1_000_000
SCENARIOS = Path(__file__).resolve().parents[3] / "scenarios"


def built(raw: dict[str, Any], folder: Path = Path(), span_ns: tuple[int, int] = (0, 10**10)) -> LatencyModel:
    return latency_model(Latencies.model_validate(raw), "venues.demo", folder, span_ns)


def said(raw: dict[str, Any], folder: Path = Path(), span_ns: tuple[int, int] = (0, 10**10)) -> list[str]:
    return unrealistic(Latencies.model_validate(raw), built(raw, folder, span_ns))


# -------------------------------------------------------------------- models and sets
@pytest.mark.parametrize(
    ("leg", "latency"),
    [
        ({"ms": 2, "sigma": "0.3"}, LognormalLatency(2 * MS, "0.3")),
        ({"model": "lognormal"}, LognormalLatency(50 * MS, "0.4")),
        ({"ms": 0}, ConstantLatency(0)),
        ({"model": "constant", "ms": "1.5"}, ConstantLatency(1_500_000)),
        ({"model": "uniform", "ms_min": 1, "ms_max": 2}, UniformLatency(MS, 2 * MS)),
        ({"model": "gamma", "ms": 40, "shape": 3, "floor_ms": 10}, GammaLatency(40 * MS, "3", 10 * MS)),
        ({"model": "bursts", "ms": 7}, BurstLatency(7 * MS, "0.4", "0.9", 100 * MS, 0, 10)),
        (
            {
                "model": "bursts",
                "ms": 7,
                "sigma": 1,
                "phi": "0.5",
                "step_ms": 20,
                "spike_per_mille": 3,
                "spike_factor": 4,
            },
            BurstLatency(7 * MS, "1", "0.5", 20 * MS, 3, 4),
        ),
    ],
)
def test_a_leg_is_the_model_it_names(leg: dict[str, Any], latency: Any) -> None:
    model = built({"feed": leg, "entry": leg, "response": leg, "cancel": leg})
    assert model == LatencyModel(latency, latency, latency, {RequestKind.CANCEL: latency})


def test_every_model_can_be_named() -> None:
    assert set(MODELS) == {"constant", "uniform", "lognormal", "gamma", "bursts", "empirical", "interpolated"}
    assert set(get_args(Latencies.model_fields["latency"].annotation)) == set(PRESETS)
    assert Latencies().latency == DEFAULT


def test_a_set_by_name() -> None:
    assert built({}) == preset("realistic")
    for name in PRESETS:
        assert built({"latency": name}) == preset(name)


def test_a_named_leg_replaces_that_of_the_set() -> None:
    model = built({"latency": "retail", "feed": {"ms": 3}, "ordered": False})
    base = preset("retail")
    assert model == LatencyModel(LognormalLatency(3 * MS), base.entry, base.response, base.kinds, ordered=False)


def test_entry_stands_for_every_kind_that_is_not_named() -> None:
    leg, own = {"model": "constant", "ms": 5}, {"model": "constant", "ms": 9}
    assert built({"entry": leg}).kinds == {}
    assert built({"entry": leg, "amend": own}).kinds == {RequestKind.AMEND: ConstantLatency(9 * MS)}
    kinds = built({"cancel": own}).kinds
    assert kinds == {**preset("realistic").kinds, RequestKind.CANCEL: ConstantLatency(9 * MS)}
    assert set(KINDS) == {"batch", "cancel", "amend", "query", "tokens"}


# -------------------------------------------------------------------- files
@pytest.fixture
def files(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "took.csv").write_text("ms\n" + "".join(f"{i}\n" for i in range(200)))
    rows = ["req_ts,exch_ts,resp_ts", f"{10**9},{10**9 + 40 * MS},{10**9 + 50 * MS}"]
    rows.append(f"{10**10},{10**10 + 20 * MS},{10**10 + 50 * MS}")
    (tmp_path / "trips.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


TRIPS = {"model": "interpolated", "file": "trips.csv", "unit": "ns"}


def test_measured_legs_find_their_files_beside_the_scenario(files: Path) -> None:
    took = {"model": "empirical", "file": "took.csv", "column": "ms"}
    model = built({"entry": TRIPS, "response": TRIPS, "query": took}, files, (10**9, 10**10))
    assert model.kinds == {RequestKind.QUERY: EmpiricalLatency(tuple(i * MS for i in range(200)), "took.csv")}
    entry, response = model.entry.sampler(None), model.response.sampler(None)  # type: ignore[arg-type]  # draw nothing
    assert [entry.next(10**9), entry.next(10**10)] == [40 * MS, 20 * MS]
    assert [response.next(0), response.next(2 * 10**10)] == [10 * MS, 30 * MS]


def test_a_recording_of_another_time_is_refused_or_moved(files: Path) -> None:
    later = (10**15, 10**15 + 9 * 10**9)
    with pytest.raises(
        ConfigError, match=r"venues\.demo\.entry: trips\.csv is of another time than the run .*from_start"
    ):
        built({"entry": TRIPS}, files, later)
    assert said({"entry": {**TRIPS, "from_start": True}}, files, later) == []
    longer = (10**15, 10**15 + 18 * 10**9)
    (sentence,) = said({"entry": {**TRIPS, "from_start": True}}, files, longer)
    assert "entry latency is unrealistic: interpolated from 2 recorded requests" in sentence
    assert "it covers 50 % of the run, and its first and last delay hold beyond" in sentence


def test_wrong_files_name_the_key_or_the_row(files: Path) -> None:
    with pytest.raises(DataError, match=r"trips\.csv: column 'ms' is missing; found: req_ts"):
        built({"entry": {"model": "empirical", "file": "trips.csv", "column": "ms"}}, files)
    with pytest.raises(DataError, match=r"none\.csv: cannot be read \(No such file"):
        built({"cancel": {"model": "empirical", "file": "none.csv", "column": "ms"}}, files)
    with pytest.raises(ConfigError, match=r"venues\.demo\.cancel: columns a, a, b; name three"):
        built({"cancel": {**TRIPS, "columns": ["a", "a", "b"]}}, files)
    with pytest.raises(ConfigError, match=r"venues\.demo\.feed: gamma of mean 5000000 ns above a floor of 9000000 ns"):
        built({"feed": {"model": "gamma", "ms": 5, "floor_ms": 9}}, files)


def test_an_npz_of_hftbacktest_drives_a_whole_run(tmp_path: Path) -> None:
    """From the file to the first order's arrival: 80 ms there, 30 ms back, as recorded."""
    dtype = [("req_ts", "i8"), ("exch_ts", "i8"), ("resp_ts", "i8"), ("_padding", "i8")]
    np.savez(tmp_path / "l.npz", data=np.array([(t, t + 80 * MS, t + 110 * MS, 0) for t in (10**9, 60 * 10**9)], dtype))
    leg = f"{{model='interpolated', file='{tmp_path}/l.npz', from_start=true}}"
    legs = [f"venues.polymarket.{name}={leg}" for name in ("entry", "response")]
    done = run(model.load(SCENARIOS / "handwritten.toml", None, legs), "handwritten", SCENARIOS)
    assert done.summary["latency_ns"]["entry"] == {"p50": 80 * MS, "p99": 80 * MS, "max": 80 * MS}
    assert done.summary["latency_ns"]["response"] == {"p50": 30 * MS, "p99": 30 * MS, "max": 30 * MS}
    assert [s for s in done.summary["assumptions"] if "unrealistic" in s] == [
        "polymarket: feed latency is unrealistic: constant 10 ms"
    ]


# -------------------------------------------------------------------- what a reader is told
def test_each_unrealistic_choice_is_named_once() -> None:
    constant, uniform = {"model": "constant", "ms": 5}, {"model": "uniform", "ms_min": 1, "ms_max": 2}
    assert said({}) == []
    assert said({"latency": "idealized"}) == ["latency is unrealistic: preset idealized, nothing takes time"]
    assert said({"entry": constant, "cancel": uniform}) == [
        "entry latency is unrealistic: constant 5 ms",
        "cancel latency is unrealistic: uniform from 1 ms to 2 ms",
    ]
    some = said({"latency": "idealized", "entry": constant, "feed": {"ms": 3}})
    assert some == [
        "latency is unrealistic: preset idealized, nothing takes time",
        "entry latency is unrealistic: constant 5 ms",
    ]
    assert said({"latency": "idealized", "feed": {"ms": 3}, "entry": {"ms": 3}, "response": {"ms": 3}}) == []


@pytest.mark.parametrize("name", PRESETS)
def test_a_set_on_the_command_line_replaces_the_legs_of_the_file(name: str) -> None:
    scenario = model.load(SCENARIOS / "handwritten.toml", None, [f"venues.polymarket.latency={name}"])
    assert scenario.venues["polymarket"].named == {}
    assert scenario.venues["polymarket"].balances["pUSD"] == 100
    summary = run(scenario, "handwritten", SCENARIOS).summary
    told = [sentence for sentence in summary["assumptions"] if "latency" in sentence]
    assert len(told) == (name in ("idealized", "adversarial"))
    assert all(sentence.startswith(f"polymarket: latency is unrealistic: preset {name}, ") for sentence in told)
    assert summary["orders"]["submitted"] == 3
    assert summary["orders"]["unknown"] == 0


def test_a_leg_set_after_a_set_stays() -> None:
    settings = ["venues.polymarket.latency=retail", "venues.polymarket.entry={ms=3}"]
    assert list(model.load(SCENARIOS / "handwritten.toml", None, settings).venues["polymarket"].named) == ["entry"]
    assert model.load(SCENARIOS / "handwritten.toml", None, settings[::-1]).venues["polymarket"].named == {}


@pytest.mark.parametrize("ordered", [True, False])
def test_requests_that_overtake_each_other_end_in_known_states(ordered: bool) -> None:
    settings = [f"venues.polymarket.{leg}={{ms=300, sigma=1.5}}" for leg in ("entry", "response", "cancel")]
    settings += [f"venues.polymarket.ordered={str(ordered).lower()}"]
    done = run(model.load(SCENARIOS / "polymarket_btc_5m.toml", None, settings), "polymarket_btc_5m", SCENARIOS)
    orders = done.summary["orders"]
    assert orders["submitted"] == sum(orders[end] for end in ("rejected", "cancelled", "filled", "expired"))
    assert orders["submitted"] > 50
    assert orders["unknown"] == 0


# -------------------------------------------------------------------- the file
@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("latency=fast", "venues.polymarket.latency is 'fast', should be 'idealized', 'colocated', 'realistic'"),
        (
            "entry={model='gama'}",
            "venues.polymarket.entry: no latency model 'gama'; known: constant, uniform, lognormal",
        ),
        ("entry={model=5}", "venues.polymarket.entry: no latency model 5"),
        ("entry=5", "venues.polymarket.entry: a latency is a table, e.g. { model"),
        (
            "cancel={model='gamma', ms=3, shap=2}",
            "unknown key venues.polymarket.cancel.shap; known keys: floor_ms, model",
        ),
        ("cancel={model='gamma'}", "venues.polymarket.cancel.ms is missing"),
        ("entry={sigma=9}", "venues.polymarket.entry.sigma is 9, should be less than or equal to 3"),
        ("entry={model='constant', ms=-1}", "venues.polymarket.entry.ms is -1, should be greater than or equal to 0"),
        (
            "delay={ms=1}",
            "unknown key venues.polymarket.delay; known keys: allowances, amend, balances, batch, cancel, entry, feed",
        ),
        (
            "feed={model='interpolated', file='x'}",
            "venues.polymarket: feed: a recording of requests holds no market data",
        ),
    ],
)
def test_what_is_wrong_is_named(setting: str, told: str) -> None:
    with pytest.raises(ConfigError) as error:
        model.load(SCENARIOS / "handwritten.toml", None, [f"venues.polymarket.{setting}"])
    assert told in str(error.value)


def test_paths_become_absolute_and_the_file_reads_back(tmp_path: Path) -> None:
    settings = [
        "venues.polymarket.cancel={model='empirical', file='a.csv', column='x', unit='us'}",
        "venues.polymarket.entry={model='interpolated', file='b.npz'}",
    ]
    scenario = model.anchored(model.load(SCENARIOS / "handwritten.toml", None, settings), tmp_path)
    plain = model.as_plain(scenario)["venues"]["polymarket"]
    assert (plain["cancel"]["file"], plain["entry"]["file"]) == (str(tmp_path / "a.csv"), str(tmp_path / "b.npz"))
    assert model.anchored(scenario, Path("/elsewhere")) == scenario
    (tmp_path / "s.toml").write_text(tomli_w.dumps(model.as_plain(scenario)))
    assert model.load(tmp_path / "s.toml") == scenario
