"""Stylised facts: what prices, books and trades of a market look like, recorded or made, in a few statistics.

Simulated markets are judged by whether they show what real ones do: a spread and depth of the right size, signs of trades
that persist, quiet and wild times that cluster, returns with fat tails. Source: Cont 2001, "Empirical properties of asset
returns: stylized facts and statistical issues"; signs: Lillo and Farmer 2004, "The long memory of the efficient market".
Statistics are floats; nothing here decides anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from execsim.core.instrument import Instrument

Floats = npt.NDArray[np.float64]

LAGS: Final = (1, 10)
LEAST: Final = 30
"""Observations below which a statistic is not given."""

Best = tuple[int | None, int, int | None, int]
"""(bid, lots, ask, lots); an empty side is None and 0"""


class BookWatch:
    """The touch of one market, looked at in equal steps; None where the book is not known."""

    def __init__(self) -> None:
        self._rows: list[tuple[float, float, float, float]] = []

    def add(self, best: Best | None) -> None:
        bid, bid_lots, ask, ask_lots = best or (None, 0, None, 0)
        if bid is None or ask is None:
            self._rows.append((np.nan, np.nan, np.nan, np.nan))
        else:
            self._rows.append((bid, bid_lots, ask, ask_lots))

    def rows(self) -> Floats:
        """(n, 4): bid, lots, ask, lots; NaN where a side was empty or the book unknown."""
        return np.array(self._rows, np.float64).reshape(-1, 4)


def facts(watch: BookWatch, signs: Sequence[int], instrument: Instrument, step_s: float) -> dict[str, Any]:
    """The facts of one market as JSON values; None where there is too little to say.

    spread_ticks: mean, of the moments with both sides. depth: mean size at a best price. return_*: of the changes of the
    mid a step; kurtosis 3 is normal. sign_autocorrelation: of +1 and -1 for who was the aggressor, by lag in trades;
    abs_return_autocorrelation: by lag in steps, above zero where quiet and wild times cluster.
    """
    rows = watch.rows()
    spread, mid = rows[:, 2] - rows[:, 0], (rows[:, 2] + rows[:, 0]) / 2
    known = rows[~np.isnan(spread)]
    lot = float(instrument.grid.lot)
    moves = np.diff(mid)
    moves = moves[~np.isnan(moves)]
    told = np.array([sign for sign in signs if sign], np.float64)
    return {
        "step_s": step_s,
        "looks": len(known),
        "trades": len(signs),
        "spread_ticks": _mean(spread[~np.isnan(spread)] / instrument.tick_i),
        "depth": _mean((known[:, 1] + known[:, 3]) / 2 * lot),
        "return_deviation_ticks": _number(moves.std() / instrument.tick_i) if len(moves) >= LEAST else None,
        "return_kurtosis": kurtosis(moves),
        "sign_autocorrelation": {str(lag): autocorrelation(told, lag) for lag in LAGS},
        "abs_return_autocorrelation": {str(lag): autocorrelation(np.abs(moves), lag) for lag in LAGS},
    }


def autocorrelation(series: Floats, lag: int) -> float | None:
    """Correlation of a series with itself `lag` later: sum of products of deviations over the sum of squares. None for a
    short or constant one."""
    if len(series) < LEAST + lag:
        return None
    away = series - series.mean()
    squares = float((away * away).sum())
    return None if squares == 0 else _number(float((away[lag:] * away[:-lag]).sum()) / squares)


def kurtosis(series: Floats) -> float | None:
    """Fourth central moment over the squared variance (normal: 3). None for a short or constant one."""
    if len(series) < LEAST:
        return None
    away = series - series.mean()
    variance = float((away**2).mean())
    return None if variance == 0 else _number(float((away**4).mean()) / variance**2)


def _mean(series: Floats) -> float | None:
    return _number(float(series.mean())) if len(series) else None


def _number(value: float) -> float:
    """Four digits after the point: more would only differ from machine to machine."""
    return round(float(value), 4)
