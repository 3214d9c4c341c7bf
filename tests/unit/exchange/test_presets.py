"""Presets go from best to worst on every leg and for every kind, and the two that nobody has say so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from execsim.core.errors import ConfigError
from execsim.core.request import RequestKind
from execsim.exchange import BurstLatency, LatencyModel, preset
from execsim.exchange import presets as module
from execsim.exchange.presets import DEFAULT, MS, PRESETS

KINDS = (RequestKind.BATCH, RequestKind.CANCEL, RequestKind.AMEND, RequestKind.QUERY)
BURSTS = [name for name in PRESETS if name != "idealized"]


def medians(model: LatencyModel) -> list[int]:
    """ms of feed, place, batch, cancel, amend, query, answer: the columns of the module's table."""
    legs: list[Any] = [model.feed, model.entry, *(model.kinds.get(kind, model.entry) for kind in KINDS), model.response]
    return [leg.median_ns // MS if isinstance(leg, BurstLatency) else leg.ns // MS for leg in legs]


def test_the_table_is_what_the_presets_are() -> None:
    rows = [line.split("|")[1:-1] for line in (module.__doc__ or "").splitlines() if line.startswith("| ")]
    told = {row[0].strip(): [int(cell) for cell in row[1:8]] for row in rows[1:]}
    assert told == {name: medians(preset(name)) for name in PRESETS}


def test_each_is_worse_than_the_one_before_on_orders_and_answers() -> None:
    for better, worse in zip(PRESETS, list(PRESETS)[1:], strict=False):
        for i, (low, high) in enumerate(zip(medians(preset(better)), medians(preset(worse)), strict=True)):
            assert low < high or (i == 0 and worse == "congested"), (better, worse, i)


@pytest.mark.parametrize("name", BURSTS)
def test_the_tail_is_in_the_spikes(name: str) -> None:
    row = next(line for line in (module.__doc__ or "").splitlines() if line.startswith(f"| {name} "))
    model = preset(name)
    for leg in (model.feed, model.entry, model.response, *model.kinds.values()):
        assert isinstance(leg, BurstLatency)
        assert f"{leg.spike_per_mille} of 1000, {leg.spike_factor} times" in row


def test_only_what_nobody_has_is_called_unrealistic() -> None:
    doubtful = [name for name in PRESETS if preset(name).about.startswith("unrealistic: preset " + name)]
    assert doubtful == ["idealized", "adversarial"]
    assert not any(leg.about.startswith("unrealistic") for leg in (preset(DEFAULT).feed, preset(DEFAULT).entry))
    assert [name for name in PRESETS if not preset(name).ordered] == ["adversarial"]


@pytest.mark.parametrize("name", PRESETS)
def test_each_says_what_is_known_and_what_is_assumed(name: str) -> None:
    text = PRESETS[name].__doc__ or ""
    assert name == "idealized" or "Assumed" in text
    page = (Path(__file__).parents[3] / "docs" / "latency.md").read_text(encoding="utf-8")
    assert f"`{name}`" in page


def test_a_preset_there_is_not() -> None:
    with pytest.raises(ConfigError, match="no latency preset 'fast'; known: idealized, colocated, realistic"):
        preset("fast")
