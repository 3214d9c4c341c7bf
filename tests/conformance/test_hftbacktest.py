"""hftbacktest 2.4.4 as referee: the same npz, the same orders, risk-averse queue, constant latency, our ledger off. Every
fill has the same time, size and price; where the two differ on purpose a minimal tape shows both (docs/referees.md).
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from referee import (
    RandomMarket,
    Sent,
    Units,
    events_of,
    import_npz,
    orders_on,
    replay,
)
from rival_hftbacktest import END_OF_DATA, Rival, as_hftbacktest, seen

from execsim.core.order import Cause
from execsim.tape.imports import import_tape
from execsim_binance.archive import BinanceCapture

CAPTURES = Path(__file__).parents[2] / "scenarios/data/binance_hftbacktest"
ROWS = 12_000
GRID = Units()
CAUSES = (Cause.TAKER_WALK, Cause.QUEUE_DRAINED, Cause.TRADE_THROUGH, Cause.CROSSED_BOOK)


class Compared:
    """What was compared so far, so that no comparison passes by comparing nothing."""

    def __init__(self) -> None:
        self.fills: Counter[Cause | None] = Counter()
        self.instants = 0
        self.enlarged = 0
        """orders that hftbacktest fills for more than the market showed"""

    def check(self, path: Path, script: list[Sent], units: Units, small: bool, replay_hint: str) -> None:
        """Both replay the npz; every order's fills must be equal, once ours are told as a rival without bounds tells them
        (only where `small` allows it)."""
        ours = replay(import_npz(path, units), script, units)
        theirs = Rival(np.load(path)["data"], script, units)
        assert theirs.code == END_OF_DATA
        for number, (sent, mine, rival) in enumerate(zip(script, ours.fills, theirs.fills, strict=True)):
            told = as_hftbacktest(sent, mine)
            self.enlarged += told != mine
            assert small or told == mine, f"order {number} {sent}: more than the market showed\n{replay_hint}"
            assert seen(told) == rival, f"order {number} {sent}\n{replay_hint}"
            self.fills.update(fill.cause for fill in mine)
            self.instants += len(rival)


@pytest.mark.parametrize("small", [False, True], ids=["deep tapes", "tapes thinner than our orders"])
def test_random_tapes(small: bool, tmp_path: Path) -> None:
    """Seeded tapes of every shape: prints before, with and after their level update, sweeps, books that move through our
    price, rows at the instant an order or a cancel arrives, one feed or two that disagree about the order."""
    compared = Compared()
    for seed in range(6 if small else 18):
        market = RandomMarket(seed, ROWS, small)
        path = tmp_path / f"{seed}.npz"
        np.savez(path, data=market.events(split=seed % 2 == 1))
        hint = f"RandomMarket({seed}, {ROWS}, {small}), split {seed % 2 == 1}"
        compared.check(path, market.script, GRID, small, hint)
    makers = compared.fills.total() - compared.fills[Cause.TAKER_WALK]
    print(f"{compared.instants} order-instants equal, {compared.enlarged} enlarged; ours: {dict(compared.fills)}")
    assert compared.instants > (2_000 if small else 6_000)
    assert makers > 1_500
    assert min(compared.fills[cause] for cause in CAUSES) > 150, compared.fills
    assert (compared.enlarged > 300) == small


@pytest.mark.parametrize(
    ("capture", "units", "lots"),
    [
        ("usdm_btcusdt_20230404.dat.gz", Units(Decimal("0.1"), Decimal("0.000001"), None), (1_000, 60_000)),
        ("spot_btcusdt_20240808.gz", Units(Decimal("0.01"), Decimal("0.00000001"), None), (10_000, 3_000_000)),
    ],
    ids=["Binance USD-M", "Binance spot"],
)
def test_a_real_recording(capture: str, units: Units, lots: tuple[int, int], tmp_path: Path) -> None:
    """Its first 60,000 rows through our Binance importer, written as npz: thousands of levels, 0.1 and 0.01 ticks."""
    tape, path = tmp_path / "capture.tape", tmp_path / "capture.npz"
    import_tape([CAPTURES / capture], BinanceCapture(), {"price_unit": str(units.price), "lot": str(units.lot)}, tape)
    np.savez(path, data=events_of(tape, units, 60_000))
    script = orders_on(import_npz(path, units), units, 1, 10_000, lots, step=1_000, reach=5)
    compared = Compared()
    compared.check(path, script, units, small=True, replay_hint=f"{capture}, seed 1")
    print(f"{compared.instants} order-instants equal, {compared.enlarged} enlarged; ours: {dict(compared.fills)}")
    assert compared.instants > 1_000
    assert compared.fills[Cause.QUEUE_DRAINED] > 10
    assert compared.enlarged < 60
