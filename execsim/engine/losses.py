"""Profit over time, for the policies that look at losses: its highest, and where each UTC day began."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from execsim.core.units import NS_PER_S
from execsim.engine.risk import Pnl

DAY_NS: Final = 86_400 * NS_PER_S

ACCOUNT: Final = ""
"""the scope of the whole account; others are market ids"""

NOTE: Final = "risk.profit"
"""key of the journal's note that holds `state`"""


@dataclass(slots=True)
class _Mark:
    day: int
    """UTC day of `now`, counted from 1970"""
    now: Decimal
    peak: Decimal
    day_start: Decimal


class Losses:
    """Follows the profit of the account and of the markets some policy is bound to.

    `profit(market)` (ACCOUNT: of everything) is net of fees, open positions at their mark, in dollars. It is known at the
    times it is looked at only: what it was before midnight is what it was last seen at.
    """

    def __init__(self, profit: Callable[[str], Decimal], now_ns: int) -> None:
        self._profit = profit
        self._first_day = now_ns // DAY_NS
        self._marks: dict[str, _Mark] = {}
        self._noted = ""

    def start(self, scopes: Iterable[str], now_ns: int) -> None:
        """Begin to follow these. On the engine's first day the day began with its start, at a profit of 0."""
        day = now_ns // DAY_NS
        for scope in scopes:
            if scope not in self._marks:
                now = self._profit(scope)
                self._marks[scope] = _Mark(
                    day, now, max(Decimal(0), now), Decimal(0) if day == self._first_day else now
                )

    def look(self, scope: str, now_ns: int) -> Pnl:
        """Where the profit stands. Follows a scope nobody has started yet."""
        self.start((scope,), now_ns)
        mark, now, day = self._marks[scope], self._profit(scope), now_ns // DAY_NS
        if day != mark.day:
            mark.day, mark.day_start = day, mark.now
        mark.now = now
        mark.peak = max(mark.peak, now)
        return Pnl(now, mark.peak, mark.day_start)

    def forget_peak(self, market: str | None = None) -> None:
        """Count drawdowns (of one market) from where the profit stands now; days are as they were."""
        for scope, mark in self._marks.items():
            if market in (None, scope):
                mark.peak = mark.now = self._profit(scope)

    def state(self) -> str | None:
        """Highest profit and the day's beginning as a text for `restore`; None when it has not changed since last asked."""
        text = json.dumps(
            {scope: [m.day, str(m.peak), str(m.day_start)] for scope, m in self._marks.items()}, sort_keys=True
        )
        if text == self._noted:
            return None
        self._noted = text
        return text

    def restore(self, text: str) -> None:
        """Go on from what another engine left: a restart must not forgive the day's losses. Call it when the portfolio has
        been rebuilt."""
        for scope, (day, peak, day_start) in json.loads(text).items():
            self._marks[scope] = _Mark(day, self._profit(scope), Decimal(peak), Decimal(day_start))
