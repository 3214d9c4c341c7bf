"""The one heap of timers of a run, ordered by (time, priority, sequence). Cancelled timers are no horizon."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from heapq import heapify, heappop, heappush
from operator import index
from typing import Any, Final

from execsim.core.errors import ConfigError
from execsim.ports import NEVER

COMPACT_AT: Final = 1024
"""Least size at which the heap is rebuilt without its cancelled entries; afterwards at twice what was left."""

AT: Final = 0
FN: Final = 3
ARGS: Final = 4
"""Fields of a Timer: time, priority, sequence, function (None once fired or cancelled), arguments."""


class Timer(list[Any]):
    """A call that will be made; the port `ports.Timer`. It is its own heap entry [AT, priority, sequence, FN, ARGS].

    A list and not an object with fields because one is made for every simulated message: one allocation instead of two,
    and the heap compares lists in C. Sequences differ, so functions are never compared.
    """

    __slots__ = ()

    def cancel(self) -> None:
        """It never fires and is no horizon. No effect once fired."""
        self[FN] = None
        self[ARGS] = ()


class Timers:
    """The heap. `on_first(t_ns)` is called when a new timer became the earliest."""

    __slots__ = ("_compact_at", "_on_first", "_sequence", "heap")

    def __init__(self, on_first: Callable[[int], None]) -> None:
        self.heap: list[Timer] = []
        self._on_first = on_first
        self._sequence = 0
        self._compact_at = COMPACT_AT

    def add(self, t_ns: int, priority: int, fn: Callable[..., None], args: tuple[Any, ...]) -> Timer:
        """Set fn(*args) for `t_ns`, which the caller has made >= now. At NEVER or later it is not kept at all.

        Errors: ConfigError when the time is no integer (a NumPy integer becomes a plain one).
        """
        if type(t_ns) is not int:
            t_ns = _whole(t_ns)
        self._sequence = sequence = self._sequence + 1
        timer = Timer((t_ns, priority, sequence, fn, args))
        if t_ns >= NEVER:
            return timer
        heap = self.heap
        heappush(heap, timer)
        if heap[0] is timer:
            self._on_first(t_ns)
        if len(heap) > self._compact_at:
            self._compact()
        return timer

    def earliest_ns(self) -> int:
        """Time of the earliest live timer, NEVER if there is none."""
        heap = self.heap
        while heap:
            if heap[0][FN] is not None:
                return heap[0][AT]  # type: ignore[no-any-return]  # an int
            heappop(heap)
        return NEVER

    def pop_due(self, now_ns: int) -> Timer | None:
        """Take the first live timer with time <= now_ns out of the heap; None if there is none. The caller fires it."""
        return heappop(self.heap) if self.earliest_ns() <= now_ns else None

    def live(self) -> Iterator[Timer]:
        """Every timer that will still fire, in no useful order."""
        return (timer for timer in self.heap if timer[FN] is not None)

    def _compact(self) -> None:
        """Forget cancelled timers: orders that end long before their expiry would otherwise fill the heap."""
        self.heap[:] = self.live()
        heapify(self.heap)
        self._compact_at = max(COMPACT_AT, 2 * len(self.heap))


def _whole(t_ns: Any) -> int:
    try:
        return index(t_ns)
    except TypeError:
        raise ConfigError(f"time {t_ns!r} is not an integer", "times and durations are integer nanoseconds") from None
