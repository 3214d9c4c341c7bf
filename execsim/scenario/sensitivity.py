"""How much of a result is the market and how much the models: one scenario under every queue and refill model.

Nobody outside a venue knows where in a queue an order stood, nor how fast others refilled what it took. A result that
holds under every assumption is worth more than one that needs a certain one. See docs/sensitivity.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from execsim.core.errors import ConfigError
from execsim.core.units import plain
from execsim.scenario import model
from execsim.scenario.build import load_data
from execsim.scenario.run import run
from execsim.scenario.stage import INFERRED, REFILL

QUEUES: Final = ("risk_averse", "proportional", "power", "power2", "power3", "log", "log2")
"""The queue models of recordings that show levels, not single orders."""
USE: Final = "use"
RUNS: Final = len(QUEUES) * len(REFILL) + len(INFERRED)
"""Combinations in `models` and `inferred` of a scenario; one that stands in both is run once."""


@dataclass(frozen=True, slots=True)
class Combination:
    """What is assumed about queues, about refills, and about prints inferred from books: keys of the scenario file."""

    queue: str
    refill: str
    inferred_trades: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to: net PnL, each quote asset counted as one dollar, and the number of fills."""

    under: Combination
    net: Decimal
    fills: int
    journal_sha256: str

    def as_json(self) -> dict[str, Any]:
        return {
            "queue": self.under.queue,
            "refill": self.under.refill,
            "inferred_trades": self.under.inferred_trades,
            "net": plain(self.net),
            "fills": self.fills,
            "journal_sha256": self.journal_sha256,
        }


def sensitivity(
    scenario: model.Scenario, name: str, folder: Path, on_run: Callable[[], None] | None = None
) -> dict[str, Any]:
    """The object of `execsim sensitivity --json`. The data is loaded once; `folder` is what its paths are relative to;
    `on_run` hears of each combination that is known.

    own       as the scenario says
    band      net and fills, each: the outcomes with the least and the most of it, and how many outcomes share that
    models    every queue x refill model, with the scenario's inferred trades
    inferred  the scenario's own models, prints that were inferred from books ignored, used for trade-through, used
    used      every queue x refill model where inferred prints drain queues; null where that changes nothing for the
              scenario's own models (no such prints, or nobody waits) or is what the scenario says;
              `band_used`: its outcomes with the least and the most net

    Errors: ConfigError for a market that agents make; else those of `run`.
    """
    if scenario.agents is not None:
        what = f"{name}: agents make this market: its queues and refills are real, there is nothing to assume"
        raise ConfigError(what, "choose a scenario with recorded or synthetic data")
    loaded = load_data(scenario, folder)
    known: dict[Combination, Outcome] = {}

    def outcome(queue: str, refill: str, inferred: str) -> Outcome:
        under = Combination(queue, refill, inferred)
        if under not in known:
            summary = run(_with(scenario, under), name, folder, loaded=loaded).summary
            net, fills = Decimal(summary["pnl"]["net"]), summary["fills"]["count"]
            known[under] = Outcome(under, net, fills, summary["journal_sha256"])
        if on_run is not None:
            on_run()
        return known[under]

    queue, refill, inferred = scenario.exchange.queue, scenario.exchange.refill, scenario.tape.inferred_trades
    own = outcome(queue, refill, inferred)
    models = [outcome(q, r, inferred) for q in QUEUES for r in REFILL]
    prints = [outcome(queue, refill, i) for i in INFERRED]
    every = [own, *(held for held in models if held.under != own.under)]
    drained = outcome(queue, refill, USE).journal_sha256 != own.journal_sha256
    used = [outcome(q, r, USE) for q in QUEUES for r in REFILL] if drained else None
    return {
        "scenario": name,
        "seed": scenario.seed,
        "data_sha256": loaded.data_sha256,
        "assets": list(dict.fromkeys(market.instrument.quote.name for market in loaded.markets)),
        "own": own.as_json(),
        "band": {"net": _ends(every, lambda held: held.net), "fills": _ends(every, lambda held: Decimal(held.fills))},
        "models": [held.as_json() for held in models],
        "inferred": [held.as_json() for held in prints],
        "used": None if used is None else [held.as_json() for held in used],
        "band_used": None if used is None else _ends(used, lambda held: held.net),
    }


def _ends(every: list[Outcome], of: Callable[[Outcome], Decimal]) -> dict[str, Any]:
    """The first outcome with the least and with the most, and how many there are of each."""
    ends = {"min": min(every, key=of), "max": max(every, key=of)}
    return {
        name: {**end.as_json(), "shared_by": sum(of(held) == of(end) for held in every)} for name, end in ends.items()
    }


def _with(scenario: model.Scenario, under: Combination) -> model.Scenario:
    exchange = scenario.exchange.model_copy(update={"queue": under.queue, "refill": under.refill})
    tape = scenario.tape.model_copy(update={"inferred_trades": under.inferred_trades})
    return scenario.model_copy(update={"exchange": exchange, "tape": tape})
