"""NautilusTrader as referee of taker fills: the same tapes, the same IOC, FOK and market orders, level by level.

    uv run --project benchmarks/peers python benchmarks/peers/nautilus_taker.py [--tapes 6] [--rows 6000] [--orders 1500]

Random tapes first: time, price and size of every fill must be equal, with our consumption ledger off. Then one minimal tape
for each difference that is meant (docs/referees.md). Prints what was compared; ends with 1 at any other difference.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

sys.path[:0] = [str(Path(__file__).resolve().parents[2] / "tests" / part) for part in ("property", "conformance")]

from nautilus import VERSION, play  # noqa: E402
from referee import (  # noqa: E402
    AT_LOCAL,
    AT_VENUE,
    BUY,
    DEPTH,
    ENTRY_NS,
    EVENT,
    FOK,
    GTC,
    IOC,
    LOTS_A_SHARE,
    MARKET,
    MS,
    START_NS,
    Match,
    RandomMarket,
    Rows,
    Sent,
    Units,
    import_npz,
    order,
    orders_on,
    replay,
)

from execsim.kernel import REFILL_NEVER, REFILL_OFF  # noqa: E402

GRID = Units()
Told = list[tuple[float, float, int]]
"""fills as (ms, shares, price)"""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tapes", type=int, default=6, help="random tapes, seeds 0, 1, ...")
    parser.add_argument("--rows", type=int, default=6_000, help="rows a tape")
    parser.add_argument("--orders", type=int, default=1_500, help="orders a tape")
    given = parser.parse_args()
    print(f"NautilusTrader {VERSION}, taker fills, execsim with exchange.refill = off")
    with tempfile.TemporaryDirectory() as folder:
        wrong = sum([random_tapes(Path(folder), given.tapes, given.rows, given.orders), differences(Path(folder))])
    print("all equal" if not wrong else f"{wrong} unexplained differences")
    return 1 if wrong else 0


# ---------------------------------------------------------------- random tapes
def random_tapes(folder: Path, tapes: int, rows: int, orders: int) -> int:
    """Compare fill by fill; returns how many orders differ, or 1 if hardly anything was compared."""
    fills, kinds, wrong, taken_twice = 0, Counter[str](), 0, 0
    deepest = 0
    for seed in range(tapes):
        path = folder / f"random-{seed}.npz"
        events = RandomMarket(seed, rows, small=True).events()
        np.savez(path, data=events)
        script = orders_on(
            import_npz(path, GRID), GRID, seed, orders, (LOTS_A_SHARE, 60 * LOTS_A_SHARE), LOTS_A_SHARE // 100, 4,
            takers=1.0, hows=(IOC, FOK, MARKET),
        )  # fmt: skip
        events = with_beats(events, script)
        np.savez(folder / f"beats-{seed}.npz", data=events)
        tape = import_npz(folder / f"beats-{seed}.npz", GRID)
        ours = [bare(of_order) for of_order in replay(tape, script, GRID, REFILL_OFF).fills]
        ledger = [bare(of_order) for of_order in replay(tape, script, GRID, REFILL_NEVER).fills]
        theirs = play(events, script)
        for number, (sent, mine, rival, never) in enumerate(zip(script, ours, theirs, ledger, strict=True)):
            fills += len(rival)
            kinds[sent.how] += bool(rival)
            deepest = max(deepest, len(rival))
            taken_twice += never != rival
            if mine != rival:
                wrong += 1
                print(f"seed {seed} order {number} {sent}\n  ours   {mine}\n  theirs {rival}")
    counts = ", ".join(f"{count:,} {how}" for how, count in sorted(kinds.items()))
    print(f"random tapes: {tapes} x {rows:,} rows, {fills:,} fills of {counts} orders compared, {wrong} orders differ")
    print(f"  most levels of one order: {deepest}; with refill = never {taken_twice:,} orders would differ")
    enough = fills > tapes * orders // 2 and deepest > 3 and taken_twice > 0
    return wrong if enough else wrong + 1


def with_beats(events: np.ndarray[Any, Any], script: Sequence[Sent]) -> np.ndarray[Any, Any]:
    """A row at each instant at which an order arrives, because the rival judges an order only when a row comes."""
    beats = np.zeros(len(script), EVENT)
    beats["ev"] = DEPTH | BUY | AT_VENUE | AT_LOCAL
    beats["exch_ts"] = [sent.at_ns + ENTRY_NS for sent in script]
    beats["local_ts"] = beats["exch_ts"] + MS
    beats["px"], beats["qty"] = 0.01, 7_777.0
    both = np.concatenate((events, beats))
    return both[np.argsort(both["exch_ts"], kind="stable")]


def bare(fills: Sequence[Match]) -> list[Match]:
    return [fill._replace(cause=None) for fill in fills]


# ---------------------------------------------------------------- differences that are meant
def book() -> Rows:
    """Two levels a side: 0.48 and 0.49, 0.51 and 0.52, 100 shares each."""
    return Rows().book(0, {49: 100, 48: 100}, {51: 100, 52: 100})


class Difference(NamedTuple):
    """A tape, orders, our ledger, and what each side makes of it."""

    rows: Rows
    script: list[Sent]
    ours: list[Told]
    theirs: list[Told]
    refill: int = REFILL_OFF


def judged_at_the_next_row() -> Difference:
    """Sent at 10 ms, there at 15: the ask goes at 40, and that is when the rival looks at the order."""
    rows = book().level(40, -1, 51, 0).level(90, 1, 1, 1)
    return Difference(rows, [order(10, 1, IOC, 52, 30)], [[(15, 30, 51)]], [[(40, 30, 52)]])


def judged_at_the_first_of_several_rows() -> Difference:
    """Three rows of the instant of its arrival: the rival judges after the first."""
    rows = book().level(15, 1, 1, 1).level(15, -1, 51, 0).level(15, -1, 52, 40).level(90, 1, 1, 2)
    return Difference(rows, [order(10, 1, IOC, 52, 60)], [[(15, 40, 52)]], [[(15, 60, 51)]])


def never_judged_after_the_last_row() -> Difference:
    rows = book().level(20, 1, 1, 1)
    return Difference(rows, [order(18, 1, IOC, 51, 30)], [[(23, 30, 51)]], [[]])


def the_same_shares_twice() -> Difference:
    """100 shares shown, 80 wanted twice: with our default ledger the second order finds 20."""
    rows = book().level(15, 1, 1, 1).level(16, 1, 1, 2)
    script = [order(10, 1, IOC, 51, 80), order(11, 1, IOC, 51, 80)]
    return Difference(rows, script, [[(15, 80, 51)], [(16, 20, 51)]], [[(15, 80, 51)], [(16, 80, 51)]], REFILL_NEVER)


def the_rest_of_a_marketable_order() -> Difference:
    """What a GTC order does not find rests. At the next row the rival fills it from the levels it has just taken, at its own
    price, and then an IOC order finds nothing."""
    rows = book().level(15, 1, 1, 1).level(20, 1, 1, 2).level(90, 1, 1, 3)
    script = [order(10, 1, GTC, 53, 250), order(15, 1, IOC, 52, 30)]
    ours = [[(15, 100, 51), (15, 100, 52)], [(20, 30, 51)]]
    return Difference(rows, script, ours, [[*ours[0], (20, 50, 53)], []])


DIFFERENCES: tuple[Callable[[], Difference], ...] = (
    judged_at_the_next_row,
    judged_at_the_first_of_several_rows,
    never_judged_after_the_last_row,
    the_same_shares_twice,
    the_rest_of_a_marketable_order,
)


def differences(folder: Path) -> int:
    """Both sides of each must be as stated; returns how many are not."""
    wrong = 0
    for difference in DIFFERENCES:
        rows, script, ours, theirs, refill = difference()
        path = folder / f"{difference.__name__}.npz"
        np.savez(path, data=rows.events())
        found = told(replay(import_npz(path, GRID), script, GRID, refill).fills), told(play(rows.events(), script))
        right = found == (ours, theirs)
        wrong += not right
        print(
            f"{difference.__name__}: ours {found[0]}, theirs {found[1]}{'' if right else f', expected {ours}, {theirs}'}"
        )
    return wrong


def told(fills: Sequence[Sequence[Match]]) -> list[Told]:
    return [[((f.ts_ns - START_NS) / MS, f.lots / LOTS_A_SHARE, f.price_i) for f in of_order] for of_order in fills]


if __name__ == "__main__":
    sys.exit(main())
