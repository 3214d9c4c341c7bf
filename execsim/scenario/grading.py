"""What a run does about minutes of its recordings that are graded C or F: it says so, or matches nothing in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from execsim.kernel import Replay
from execsim.ports import Priority, Runtime
from execsim.scenario.build import Loaded
from execsim.tape.grades import UNGRADED, Graded, grades, ungraded

Grades = Mapping[str, Sequence[Graded]]
"""market id -> its graded minutes, in the time of the run"""


def market_grades(loaded: Loaded) -> dict[str, list[Graded]]:
    """The graded minutes of every market, moved with its recording (`start_at`); none for a market of agents.

    Checks each tape that nobody has checked yet. Errors: those of `grades`.
    """
    found: dict[str, list[Graded]] = {}
    for number, (tape, shift_ns) in enumerate(zip(loaded.tapes, loaded.shifts_ns, strict=False)):
        of_tape = grades(tape)
        for market in loaded.markets:
            if market.tape == number:
                held = of_tape[market.index]
                found[market.id] = [(start + shift_ns, end + shift_ns, grade) for start, end, grade in held]
    return found


def schedule_blindness(runtime: Runtime, kernel: Replay, loaded: Loaded, found: Grades) -> None:
    """Blind each market's venue side in its ungraded stretches. One that ends with the recording is not lifted: what comes
    after would rest on the same book. Call before the tape runs."""
    for index, market in enumerate(loaded.markets):
        graded = found.get(market.id, ())
        for start, end in ungraded(graded):
            _at(runtime, start, kernel, index, True)
            if end < graded[-1][1]:
                _at(runtime, end, kernel, index, False)


def _at(runtime: Runtime, ts_ns: int, kernel: Replay, index: int, blind: bool) -> None:
    """Between everything of the instant before and the rows of `ts_ns`, which go before the timers of their instant."""
    if ts_ns <= runtime.now_ns():
        kernel.set_blind(index, blind)
    else:
        runtime.call_at(ts_ns - 1, kernel.set_blind, index, blind, priority=Priority.LAST)


def refusals(found: Grades) -> list[str]:
    """For the summary of a run that refuses: how much of each market it refused."""
    said = []
    for market, graded in found.items():
        count = sum(grade in UNGRADED for _, _, grade in graded)
        if count:
            said.append(f"{market}: nothing is matched in {count} of {len(graded)} minutes, which are graded C or F")
    return said
