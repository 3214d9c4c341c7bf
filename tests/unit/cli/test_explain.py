"""`execsim explain` and `execsim faults` on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def handwritten(execsim: Any, tmp_path: Path) -> tuple[Path, list[str]]:
    """A finished run of the hand-written book, and the ids of its three orders."""
    from execsim.journal import read

    out = tmp_path / "run"
    assert execsim("run", "scenarios/handwritten", "--out", str(out), "-q").code == 0
    ids = list(dict.fromkeys(row.order_id for row in read(out / "journal.sqlite") if row.order_id))
    return out, ids


def test_the_life_of_an_order_that_waited_in_the_queue(execsim: Any, handwritten: Any) -> None:
    """Fifty ahead at arrival, thirty and twenty drained by prints, ten filled by the second print: each with its row."""
    out, ids = handwritten
    said = execsim("explain", str(out), ids[0]).out
    steps = [
        "buy 10 YES · at 0.49", "made, checked and sent", "place request under way, 50.000 ms", "arrived and booked",
        "joins the queue with 10 behind 50", "heard that the venue booked it",
        "queue ahead 50 → 20: a trade printed (30 at 0.49", "because of queue drained, recorded row", "ended: filled",
        "heard of fill", "money: 10 traded, 0.49 on average: paid 4.9 pUSD",
    ]  # fmt: skip
    at = [said.find(step) for step in steps]
    assert -1 not in at, [step for step, found in zip(steps, at, strict=True) if found < 0]
    assert at == sorted(at)


def test_the_same_as_json(execsim: Any, handwritten: Any) -> None:
    out, ids = handwritten
    life = json.loads(execsim("explain", str(out), ids[1], "--json").out)
    assert life["order_id"] == ids[1]
    assert any("taker walk" in line["text"] for line in life["lines"])
    assert [line["ts_ns"] for line in life["lines"]] == sorted(line["ts_ns"] for line in life["lines"])


def test_what_is_not_there_is_said(execsim: Any, handwritten: Any, tmp_path: Path) -> None:
    out, ids = handwritten
    unknown = execsim("explain", str(out), "nope")
    assert unknown.code == 2
    assert f"order nope is not known; the run has 3 orders: {ids[0]}" in "".join(unknown.err)
    nothing = execsim("explain", str(tmp_path / "empty"), ids[0])
    assert nothing.code == 2
    assert "has no journal.sqlite; name a folder written by `execsim run SCENARIO --out DIR`" in "".join(nothing.err)


def test_every_pack_is_listed_with_its_source(execsim: Any) -> None:
    from execsim.exchange.faults import PACKS

    packs = {pack["name"]: pack for pack in json.loads(execsim("faults", "--json").out)}
    assert set(packs) == set(PACKS)
    assert all(pack["about"] and pack["report"] and pack["schedule"] for pack in packs.values())
    text = execsim("faults").out
    assert all(f"\n{name}\n" in f"\n{text}" for name in packs)


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("faults=meteor", "there is no fault pack 'meteor'; there are: engine_restart, lost_ack"),
        ('faults=[{pack="outage", params={fails="maybe"}}]', "outage: fails = 'maybe'; one of: all, submit, cancel"),
        (
            'faults=[{pack="outage", params={lasts=3}}]',
            "outage has no parameter 'lasts'; it has: fails, resting, known",
        ),
        ('faults=[{pack="lost_ack", params={lasts_ms="3"}}]', "lost_ack.lasts_ms = '3'; it should be int"),
        ('faults=[{pack="lost_ack", nth=[0]}]', "orders count from 1"),
        ('faults=[{pack="lost_ack", venue="kraken"}]', "faults: 'kraken' is no venue; known: polymarket"),
        ("faults=[3]", "faults.0 is 3, should be a table"),
    ],
)
def test_a_fault_that_cannot_be_is_refused_in_one_line(execsim: Any, setting: str, told: str) -> None:
    refused = execsim("run", "scenarios/handwritten", "--set", setting, "-q")
    assert refused.code == 2
    assert len(refused.err) == 1
    assert told in refused.err[0]
