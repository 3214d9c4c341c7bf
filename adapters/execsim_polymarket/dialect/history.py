"""What a market's price was: GET /prices-history. Source: polymarket.md section 6.

One price a minute is kept, the last of it, in the clients' time: since the server began, at most MINUTES_MAX of them. What
was before is not known and not told. [?] which price the venue lists is not published: here it is the midpoint.
"""

from __future__ import annotations

from collections import deque
from typing import Final

MINUTE_S: Final = 60
MINUTES_MAX: Final = 31 * 24 * 60
"""Minutes remembered: the longest interval the venue has but `max`."""
POINTS_MAX: Final = MINUTES_MAX
DAY_S: Final = 86_400
INTERVALS_S: Final = {"1h": 3_600, "6h": 21_600, "1d": DAY_S, "1w": 7 * DAY_S, "1m": 30 * DAY_S, "max": 1 << 40}
"""What `interval` may be, and how far back each one looks."""


class History:
    """Prices of one market's YES token, doubled so that a midpoint is whole. Times in seconds, not decreasing."""

    __slots__ = ("_minutes",)

    def __init__(self) -> None:
        self._minutes: deque[tuple[int, int, int]] = deque(maxlen=MINUTES_MAX)
        """(minute, second it was noted at last, doubled price)"""

    def add(self, at_s: int, doubled_i: int) -> None:
        minute = at_s // MINUTE_S
        if self._minutes and self._minutes[-1][0] == minute:
            self._minutes.pop()
        self._minutes.append((minute, at_s, doubled_i))

    def points(self, start_s: int, end_s: int, step_s: int) -> list[tuple[int, int]]:
        """(second, doubled price as it stood then), from the first known one on: at every multiple of `step_s` in
        start_s..end_s, and at the end. `step_s` is whole minutes."""
        if not self._minutes or end_s < start_s:
            return []
        first = max(start_s, self._minutes[0][1])
        times = [*range(-(-first // step_s) * step_s, end_s, step_s)][-POINTS_MAX:] if first <= end_s else []
        if first <= end_s:
            times.append(end_s)
        found: list[tuple[int, int]] = []
        known = iter(self._minutes)
        ahead = next(known, None)
        price: int | None = None
        for at_s in times:
            while ahead is not None and ahead[1] <= at_s:
                price, ahead = ahead[2], next(known, None)
            if price is not None:
                found.append((at_s, price))
        return found
