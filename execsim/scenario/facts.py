"""Stylised facts of a scenario's markets: of a recording from its tape, of agents from a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from execsim.core.units import NS_PER_S
from execsim.exchange.l3_feed import NO_ROWS
from execsim.kernel import VENUE, Replay, Stop
from execsim.report.facts import BookWatch, facts
from execsim.scenario import model
from execsim.scenario.build import Loaded, load_data
from execsim.scenario.run import run
from execsim.scenario.stage import Shifted, span_of
from execsim.tape.merge import TapeStream, merged
from execsim.tape.reader import TapeReader
from execsim.tape.rows import KIND, KIND_BITS, MARKET, SIDE
from execsim.tape.schema import Kind

STEP_NS: Final = NS_PER_S
"""How often a book is looked at, at the venue's clock."""


def scenario_facts(scenario: model.Scenario, name: str, folder: Path) -> dict[str, dict[str, Any]]:
    """Facts by market id. A recording is read, not traded; a market of agents is run with the scenario's strategy."""
    loaded = load_data(scenario, folder)
    if scenario.agents is not None:
        found: dict[str, dict[str, Any]] = run(scenario, name, folder, loaded=loaded).summary["facts"]
        return found
    return tape_facts(loaded)


def tape_facts(loaded: Loaded) -> dict[str, dict[str, Any]]:
    """Facts of every market of the recordings, at the venue's clock. A gap counts as an unknown book."""
    markets = loaded.markets
    kernel = Replay([span_of(market) for market in markets])
    watches, signs = [BookWatch() for _ in markets], [list[int]() for _ in markets]
    at_ns = loaded.start_ns + STEP_NS
    for chunk in merged(_streams(loaded)):
        kernel.feed(chunk.venue, NO_ROWS)
        while (why := kernel.advance(at_ns)) is not Stop.CHUNK:
            if why is Stop.HORIZON:
                for index, watch in enumerate(watches):
                    known = kernel.has_book(VENUE, index) and not kernel.in_gap(VENUE, index)
                    watch.add(kernel.best(VENUE, index) if known else None)
                at_ns += STEP_NS
        trades = chunk.venue[(chunk.venue[:, KIND] & ((1 << KIND_BITS) - 1)) == Kind.TRADE]
        for index in range(len(markets)):
            signs[index] += trades[trades[:, MARKET] == index, SIDE].tolist()
    step_s = STEP_NS / NS_PER_S
    return {m.id: facts(watches[i], signs[i], m.instrument, step_s) for i, m in enumerate(markets)}


def _streams(loaded: Loaded) -> list[TapeStream]:
    streams = []
    for number, tape in enumerate(loaded.tapes):
        on_tape = {m.index: i for i, m in enumerate(loaded.markets) if m.tape == number}
        indices = [on_tape.get(i, -1) for i in range(len(loaded.manifests[number].markets))]
        if on_tape:
            rows = Shifted(TapeReader(tape, markets=sorted(on_tape)), loaded.shifts_ns[number])
            streams.append(TapeStream(rows, indices))
    return streams
