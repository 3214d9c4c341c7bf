"""A runtime of fifty lines that steps coroutines by hand, a book to read, and a feed's notebook."""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Coroutine, Iterator
from typing import Any

from execsim.core.events import Depth, Top, Trade
from execsim.core.instrument import Outcome
from execsim.core.order import MarketId, Side


class Cancelled(BaseException):
    """What a cancelled task's wait raises."""


class FakePending:
    def __init__(self, runtime: FakeRuntime, name: str) -> None:
        self.name = name
        self.done = False
        self.waiters: list[FakeTask] = []
        self._runtime = runtime
        self._value: Any = None

    def set(self, value: Any) -> None:
        if not self.done:
            self.done, self._value = True, value
            self._runtime.ready.extend(self.waiters)

    def __await__(self) -> Iterator[FakePending]:
        if not self.done:
            yield self
        return self._value


class FakeTask:
    def __init__(self, runtime: FakeRuntime, coro: Coroutine[Any, Any, Any], name: str) -> None:
        self.name = name
        self.done = False
        self.result: Any = None
        self._coro = coro
        self._ended = FakePending(runtime, f"end of {name}")

    def step(self, error: BaseException | None = None) -> None:
        if self.done:
            return
        try:
            wait = self._coro.throw(error) if error else self._coro.send(None)
        except StopIteration as stop:
            self.result = stop.value
            self._finish()
        except Cancelled:
            self._finish()
        else:
            wait.waiters.append(self)

    def cancel(self) -> None:
        self.step(Cancelled())

    async def join(self) -> None:
        await self._ended

    def _finish(self) -> None:
        self.done = True
        self._ended.set(None)


class FakeRuntime:
    """`run(until_ns)` runs everything that is ready, then timers in order of (time, sequence) up to `until_ns`."""

    def __init__(self, now_ns: int = 0) -> None:
        self.time_ns = now_ns
        self.ready: deque[FakeTask] = deque()
        self.pendings: list[str] = []
        self.tasks: list[FakeTask] = []
        self._sequence = itertools.count()
        self._timers: list[tuple[int, int, FakePending]] = []

    def now_ns(self) -> int:
        return self.time_ns

    def pending(self, name: str) -> FakePending:
        self.pendings.append(name)
        return FakePending(self, name)

    def spawn(self, coro: Coroutine[Any, Any, Any], name: str) -> FakeTask:
        task = FakeTask(self, coro, name)
        self.tasks.append(task)
        self.ready.append(task)
        return task

    async def sleep(self, ns: int) -> None:
        wait = FakePending(self, "sleep")
        heapq.heappush(self._timers, (self.time_ns + ns, next(self._sequence), wait))
        await wait

    def run(self, until_ns: int | None = None) -> None:
        """Errors: AssertionError when the tasks never come to rest at one instant."""
        end_ns = self.time_ns if until_ns is None else until_ns
        while True:
            steps = 0
            while self.ready:
                self.ready.popleft().step()
                steps += 1
                assert steps < 10_000, f"no rest at {self.time_ns}"
            if not self._timers or self._timers[0][0] > end_ns:
                break
            self.time_ns, _, wait = heapq.heappop(self._timers)
            wait.set(None)
        self.time_ns = end_ns


class FakeReader:
    """Books as plain lists; `set` is what the kernel would do before the feed is told."""

    def __init__(self, runtime: FakeRuntime) -> None:
        self._runtime = runtime
        self.bids: dict[str, list[tuple[int, int]]] = {}
        self.asks: dict[str, list[tuple[int, int]]] = {}
        self.times: dict[str, int] = {}
        self.ticks: dict[str, int] = {}
        self.reads = 0

    def set(self, market: str, bids: list[tuple[int, int]], asks: list[tuple[int, int]]) -> None:
        self.bids[market], self.asks[market] = bids, asks
        self.times[market] = self._runtime.time_ns

    def top(self, market: str) -> Top:
        self.reads += 1
        bid = (self.bids.get(market) or [(None, 0)])[0]
        ask = (self.asks.get(market) or [(None, 0)])[0]
        return Top(MarketId(market), self.times.get(market, 0), *bid, *ask)

    def depth(self, market: str, levels: int) -> Depth:
        bids = tuple(self.bids.get(market, [])[:levels])
        return Depth(MarketId(market), self.times.get(market, 0), bids, tuple(self.asks.get(market, [])[:levels]))

    def tick_i(self, market: str) -> int:
        return self.ticks.get(market, 100)


class FakeInterest:
    def __init__(self) -> None:
        self.calls: list[tuple[str, bool, bool, bool]] = []

    def watch(
        self, market: str, *, top: bool = False, sizes: bool = True, trades: bool = False, book: bool = False
    ) -> None:
        self.calls.append((market, top, trades, book))


def trade(market: str, ts_ns: int, price_i: int = 5000, lots: int = 1) -> Trade:
    return Trade(MarketId(market), ts_ns, price_i, lots, Side.BUY, Outcome.YES, inferred=False)
