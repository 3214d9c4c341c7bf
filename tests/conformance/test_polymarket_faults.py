"""With every fault pack on, alone and all together, engine, journal and venue end in agreement (Polymarket's protocol)."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence

import pytest
from polymarket_faults import CUT, FULL_S, NAMES, Played, command, play

from execsim.exchange.faults import PACKS

SHORT_S = 40
TOGETHER_S = 90


@pytest.fixture(autouse=True)
def silence() -> Iterator[None]:
    """Thousands of refusals are logged: that is what is tested."""
    logging.disable(logging.ERROR)
    yield
    logging.disable(logging.NOTSET)


def agreed(seed: int, packs: Sequence[str], seconds: int) -> Played:
    played = play(seed, packs, seconds)
    assert not played.wrong, "\n".join([command(seed, packs, seconds), *played.wrong[:20]])
    return played


def test_every_pack_there_is_takes_part() -> None:
    assert set(PACKS) < set(NAMES)


@pytest.mark.parametrize("pack", NAMES)
def test_one_fault(pack: str) -> None:
    played = agreed(NAMES.index(pack), [pack], SHORT_S)
    assert played.cuts or sum(played.world.exchange.faults.counts.values())


@pytest.mark.parametrize("seed", range(4))
def test_all_faults_together(seed: int) -> None:
    played = agreed(seed, NAMES, TOGETHER_S)
    assert played.cuts
    assert set(played.world.exchange.faults.counts) == set(PACKS)


def test_the_sessions_reach_what_they_are_about() -> None:
    """Silence, orders found and absent, voided fills, replacements, cancels too late: and many fills besides."""
    kinds: Counter[str] = Counter()
    for seed, packs in enumerate((["lost_ack", CUT], ["outage"], ["voided_fill"], ["late_ack", "shuffled_events"])):
        kinds.update(row.kind for row in agreed(seed, packs, TOGETHER_S).world.journal.read())
    assert kinds["fill"] > 200
    assert {"silence", "found", "absent", "void", "replace", "cancel_refuse", "gone", "reconcile"} <= set(kinds)


@pytest.mark.soak
@pytest.mark.parametrize("pack", NAMES)
def test_one_fault_at_length(pack: str) -> None:
    for seed in range(100, 104):
        agreed(seed, [pack], FULL_S)


@pytest.mark.soak
@pytest.mark.parametrize("block", range(10))
def test_all_faults_together_at_length(block: int) -> None:
    for seed in range(1_000 + 6 * block, 1_006 + 6 * block):
        agreed(seed, NAMES, FULL_S)
