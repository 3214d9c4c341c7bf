"""A run that steps its own ready queue, one numbered input at a time. What wall time and its replay share.

    outside ──▶ inbox ──take──▶ input: its number, its time ──▶ deliver ──▶ step until nothing is ready ──▶ next input

The clock stands still between two inputs. All that an input makes ready is stepped before the next one is taken, and so
are the timers that are due at its time. Nothing else from outside can be seen by a task, so a run is a function of its
seed and its inputs: written to a log (`SessionLog`), they let it be run again.
"""

from __future__ import annotations

import json
import time
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from execsim.core.errors import ConfigError
from execsim.ports import NEVER, Input, Output, Priority, SessionLog, Stream
from execsim.runtime.codec import PLAIN, RAW, Codec, error_bytes, error_of
from execsim.runtime.scheduler import NAMED_MAX, Scheduler
from execsim.runtime.task import Task
from execsim.runtime.timers import ARGS, FN

T = TypeVar("T")

TIMERS_PER_INPUT: Final = 256
"""Timers that fire at the time of one input; those still due wait for the next, so that tasks that sleep for no time do
not keep everything from outside waiting."""

STEPS_PER_INPUT_MAX: Final = 1_000_000
"""Steps without a next input before a run is ended as an endless loop."""


@dataclass(frozen=True, slots=True)
class Hearer:
    """Who waits for an answer, reads a stream or stands at a door; `fn(kind, value)`."""

    fn: Callable[[str, Any], None]
    codec: Codec[Any]


class Stepper(Scheduler):
    """`Scheduler` with an inbox. `log`: where inputs and outputs are kept; a run without one may also await asyncio's own
    futures."""

    def __init__(self, seed: int, now_ns: int, log: SessionLog | None) -> None:
        super().__init__(seed)
        self.log = log
        self.taken = 0
        """inputs so far: the number of the one being worked on"""
        self._now = now_ns
        self._until_ns = NEVER
        self._queue: deque[Task] = deque()
        self._steps = 0
        self._timers_left = 0
        self._sent = 0
        self._calls = 0
        self._hearers: dict[str, Hearer] = {}
        self._goal: Callable[[], bool] = lambda: False

    @property
    def seed(self) -> int:
        return self._streams.seed

    def now_ns(self) -> int:
        """The time of the input being worked on."""
        return self._now

    def stopwatch_ns(self) -> int:
        return time.monotonic_ns()

    def next_event_ns(self) -> int:
        """Now: anything may come at any moment; or the time of a timer that is overdue, for it comes before now."""
        return min(self._now, self._timers.earliest_ns())

    async def turn(self, until_ns: int) -> None:
        """Come back at until_ns, before everything else of that instant."""
        await self.sleep_until(until_ns, Priority.TAPE)

    # --- to and from outside ------------------------------------------------------------------------------------------

    def door(self, name: str, fn: Callable[[bytes], None]) -> None:
        """`fn(body)` is called for each `post(name, body)`: how signals, other threads and other programs reach the run.
        An exception in fn ends the run. Errors: ConfigError when the door exists."""
        if name in self._hearers:
            raise ConfigError(f"door {name!r} is opened twice", "one function stands at a door")
        self._hearers[name] = Hearer(lambda _, body: fn(body), RAW)

    async def outside(
        self, start: Callable[[], Coroutine[Any, Any, T]], codec: Codec[T], what: str, key: str | None = None
    ) -> T:
        """The result of a coroutine that runs in asyncio, beside the run; its answer is an input. A cancelled wait cancels
        it, and nobody hears of its answer then. `key`: its `number`, if it was taken before. Errors: what it raised."""
        key = key or self.number()
        return await self._answer(key, self._launch(key, start), codec, what)  # type: ignore[no-any-return]  # what the call gave

    async def blocking(self, fn: Callable[[], T]) -> T:
        """Run it in the run's one worker thread: in order of the calls, always the same thread (SQLite wants that).

        A cancelled wait does not stop the function. A replay does not run it: what it returns is an input. Errors: what it
        raised; ConfigError where the session is recorded and the result is neither None, number, text nor made of those.
        """
        key = self.number()
        self._work(key, fn)
        return await self._answer(key, _nothing, PLAIN, "a blocking function")  # type: ignore[no-any-return]  # what the call gave

    def listen(self, number: str, stream: Stream[bytes] | None, fn: Callable[[str, bytes], None]) -> None:
        """Read a stream beside the run: `fn("frame", bytes)` for each frame, `fn("end", error or nothing)` once. A replay
        has none to read."""
        self._hearers[number] = Hearer(fn, RAW)
        self._read(number, stream)

    def unlisten(self, number: str) -> None:
        """Stop reading it. Nothing more is heard of it."""
        if self._hearers.pop(number, None) is not None:
            self._stop_reading(number)

    def number(self) -> str:
        """A number for a call or a stream: the same in every run of the same inputs."""
        self._calls += 1
        return str(self._calls)

    def sends(self, kind: str, key: str, body: bytes) -> None:
        """Say that something is about to leave. Errors: JournalError."""
        if self.log is not None:
            self._sent += 1
            self.log.sent(Output(self._sent, self.taken, self._now, kind, key, body))

    async def _answer(self, key: str, stop: Callable[[], object], codec: Codec[Any], what: str) -> Any:
        pending = self.pending(what)

        def heard(kind: str, value: Any) -> None:
            del self._hearers[key]
            if kind == "answer":
                pending.set(value)
            else:
                pending.fail(value)

        self._hearers[key] = Hearer(heard, codec)
        try:
            return await pending
        finally:
            if self._hearers.pop(key, None) is not None:
                stop()

    @abstractmethod
    def _launch(self, key: str, start: Callable[[], Coroutine[Any, Any, Any]]) -> Callable[[], object]:
        """Begin a call; returns what cancels it."""

    @abstractmethod
    def _work(self, key: str, fn: Callable[[], Any]) -> None:
        """Begin a blocking function."""

    @abstractmethod
    def _read(self, key: str, stream: Stream[bytes] | None) -> None:
        """Begin to read a stream."""

    @abstractmethod
    def _stop_reading(self, key: str) -> None: ...

    # --- inputs and steps ---------------------------------------------------------------------------------------------

    def _take(self, t_ns: int, kind: str, key: str, body: bytes) -> None:
        """Move the clock to the next input and log it. Errors: JournalError."""
        self._now = max(self._now, t_ns)
        self._steps = 0
        self._timers_left = TIMERS_PER_INPUT
        self.taken += 1
        if self.log is not None:
            self.log.take(Input(self.taken, self._now, kind, key, body))

    def _take_start(self, t_ns: int, origin_ns: int) -> None:
        self._take(t_ns, "start", "", json.dumps({"origin_ns": origin_ns, "seed": self._streams.seed}).encode())

    def _hear(self, t_ns: int, kind: str, key: str, value: Any, hearer: Hearer) -> None:
        """Take something for somebody who waits for it, and deliver it. `value`: an error where the kind is error."""
        if self.log is None:
            self._take(t_ns, kind, key, b"")
        else:
            kind, body, value = _written(kind, value, hearer.codec)
            self._take(t_ns, kind, key, body)
        self.last = hearer.fn
        hearer.fn(kind, value)

    def _step(self) -> bool:
        """One step of the input being worked on: the first ready task, else the first timer due at its time. False when
        nothing of it is left. Errors: ConfigError for an endless loop; what a timer's function raised."""
        if self._queue:
            self._count_step()
            with suppress(StopIteration):  # the task has ended
                self._queue.popleft().send(None)
            return True
        if not self._timers_left:
            return False
        timer = self._timers.pop_due(min(self._now, self._until_ns))
        if timer is None:
            return False
        self._timers_left -= 1
        fn, timer[FN] = timer[FN], None
        self.last = fn
        fn(*timer[ARGS])
        return True

    def _count_step(self) -> None:
        self._steps += 1
        if self._steps > STEPS_PER_INPUT_MAX:
            names = dict.fromkeys(task.name for task in list(self._queue)[:NAMED_MAX])
            raise ConfigError(
                f"endless loop at {self._now} ns: {STEPS_PER_INPUT_MAX} steps without an end; running: "
                + ", ".join(repr(name) for name in names),
                "sleep in the loop",
            )

    def _start(self, task: Task) -> None:
        self._queue.append(task)


def _written(kind: str, value: Any, codec: Codec[Any]) -> tuple[str, bytes, Any]:
    """Kind and bytes of an input, and what they read as. A value that cannot be written becomes the error that says so."""
    if kind != "error":
        try:
            body = codec.encode(value)
            return kind, body, codec.decode(body)
        except ConfigError as error:
            value = error
    body = error_bytes(value)
    return "error", body, error_of(body)


def _nothing() -> None:
    """What cannot be stopped."""
