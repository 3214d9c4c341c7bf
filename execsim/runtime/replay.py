"""A session of wall time, run again: inputs come from its log instead of from asyncio, as fast as they can be worked on."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Iterable, Iterator
from typing import Any, Protocol, TypeVar

from execsim.core.errors import ConfigError
from execsim.ports import Diverged, Input, SessionLog, Stream
from execsim.runtime.codec import error_of
from execsim.runtime.stepper import Stepper

T = TypeVar("T")


class ReplayLog(SessionLog, Protocol):
    """Compares what is taken and sent; `difference`: the first one, after which nothing more is run."""

    difference: Diverged | None


class ReplayRuntime(Stepper):
    """The port `ports.Runtime` on the inputs of a recorded session. Nothing outside is asked: calls, streams and blocking
    functions are not begun, their answers are the recorded ones.

    `log` sees what is taken and sent, as in the session; it may raise Diverged. Errors: ConfigError when the inputs do not
    begin with a start.
    """

    def __init__(self, inputs: Iterable[Input], log: ReplayLog) -> None:
        self._inputs: Iterator[Input] = iter(inputs)
        first = next(self._inputs, None)
        if first is None or first.kind != "start":
            raise ConfigError("the recording has no beginning", "it must begin with the input `start`")
        start = json.loads(first.body)
        super().__init__(start["seed"], start["origin_ns"], log)
        self._first = first
        self._compared = log
        self.cut = False
        """the inputs ended before the run did: the session was killed"""

    def run(self, main: Coroutine[Any, Any, T]) -> T | None:
        """Run again to the last input. Returns main's result, None if the session was cut off before.

        Errors: Diverged; what a task of the session raised.
        """
        self._begin(main)
        self._take_start(self._first.t_ns, self._now)
        try:
            self._play(lambda: self._over)
            self._wind_down()
        except BaseException as error:
            self._fail(error, "the replay")
        if self.cut or isinstance(self._error, Diverged):
            self._drop_all()
        return self._close()  # type: ignore[no-any-return]  # main's own result type

    def next_input(self) -> Input | None:
        """After the run: the first recorded input it did not get to, None when there is none."""
        return next(self._inputs, None)

    def _play(self, goal: Callable[[], bool]) -> None:
        """Work on inputs until the goal is reached, or there are no more (`cut`)."""
        while not goal():
            if self._compared.difference is not None:
                raise self._compared.difference
            try:
                stepped = self._step()
            except Diverged:
                raise
            except BaseException as error:
                self._fail(error, "a timer's function")
                continue
            if stepped:
                continue
            item = next(self._inputs, None)
            if item is None:
                self.cut = True
                return
            if item.kind == "cancel":
                self._take(item.t_ns, item.kind, item.key, item.body)
                return
            self._deliver(item)

    def _deliver(self, item: Input) -> None:
        if item.kind == "clock":
            self._take(item.t_ns, item.kind, item.key, item.body)
            return
        if item.kind == "late":
            self._take(item.t_ns, item.kind, item.key, item.body)
            task = self._newest()
            if task is None or task.name != item.key:
                raise Diverged(f"input {item.number}", f"task {item.key!r} is still running", "it has ended")
            self._late(task)
            task.cancel()
            return
        hearer = self._hearers.get(item.key)
        if hearer is None:
            raise Diverged(f"input {item.number}", f"somebody waits for {item.kind} {item.key}", "nobody does")
        value = error_of(item.body) if item.kind == "error" else hearer.codec.decode(item.body)
        try:
            self._hear(item.t_ns, item.kind, item.key, value, hearer)
        except Diverged:
            raise
        except BaseException as error:
            self._fail(error, "a timer's function")

    def _wind_down(self) -> None:
        """As in wall time: cancel what is left, newest first."""
        while not self.cut and (task := self._newest()) is not None:
            task.cancel()
            self._play(lambda task=task: task.done)  # type: ignore[misc]

    def _drop_all(self) -> None:
        """Close every task where it stands: what their cleanup does is no part of the session any more."""
        error, self.log = self._error, None
        while (task := self._newest()) is not None:
            self._abandon(task)
        self._error = error

    # --- nothing outside is asked -------------------------------------------------------------------------------------

    def make_ready(self, task: Any) -> None:
        self.ready += 1
        self._queue.append(task)

    def _timer_first(self, t_ns: int) -> None:
        """Time moves by inputs only."""

    def _launch(self, key: str, start: Callable[[], Coroutine[Any, Any, Any]]) -> Callable[[], object]:
        return lambda: None

    def _work(self, key: str, fn: Callable[[], Any]) -> None:
        """Its answer is in the log."""

    def _read(self, key: str, stream: Stream[bytes] | None) -> None:
        """Its frames are in the log."""

    def _stop_reading(self, key: str) -> None:
        """Nothing is read."""
