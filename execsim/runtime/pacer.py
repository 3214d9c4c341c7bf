"""The host of a `HostedRuntime`: moves it at the wall clock's pace, and lets the outside in and out. Wakes up from asyncio.

    request ──▶ time moves up to now ──▶ logged ──▶ injected ─┐
    timer due ──▶ time moves up to now ───────────────────────┴──▶ answers, frames ──▶ (on disk) ──▶ out

Exchange time passes `speed` times as fast as the wall's, or stands still. Inputs are taken in the order in which they come,
each at an instant of which everything else has happened; while a held market is stepped they wait. If the exchange cannot
keep up with its speed, inputs are taken where it is, and beyond `LAG_NS` the way it is behind is forgiven.

With a log nothing that follows from an input leaves before the input is on disk, and nothing that time brought leaves before
its time is: a restart goes on from there, and what was told stays true. Who must wait at one moment shares one sync, as in
engine/commit.py.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from itertools import groupby
from typing import Any, Final, NamedTuple

from execsim.core.errors import ConfigError, JournalError
from execsim.core.units import NS_PER_MS, NS_PER_S
from execsim.ports import NEVER, HostInput, InputLog
from execsim.runtime.eras import Eras
from execsim.runtime.hosted import HostedRuntime

BUDGET_NS: Final = 20 * NS_PER_MS
"""Real time that the market may move before the sockets get their turn."""
LAG_NS: Final = NS_PER_S
"""Real time the exchange may be behind its speed."""
NOTE_NS: Final = NS_PER_S
"""Real time after which the log is told how far the market is, when nothing else is written: what a kill can take back."""
TOGETHER_MAX: Final = 256
"""Inputs of one moment."""
OWN_KINDS: Final = ("start", "resume", "time", "lag")
"""Entries of the log that nobody asked for."""
OUTPUTS_MAX: Final = 65_536
"""Answers and frames that may wait for the disk; then everything waits for it."""


log = logging.getLogger("execsim.serve")


class Knock(NamedTuple):
    """Something that came from outside and was not taken yet. `answer`: to whom it says what will not be."""

    item: HostInput | None
    act: Callable[[], None]
    answer: Output | None
    alone: bool


class Output(NamedTuple):
    """What may leave once it is on disk; `instead` makes what is told if it never will be, None: nothing."""

    tell: Callable[[Any], None]
    value: Any
    instead: Callable[[JournalError], Any] | None


class Pacer:
    """Before `begin` (or `resume`) inputs wait. Without a running `run` the outside is served at once and the log synced on
    the spot: for tests, with clocks of their own.

    `real_ns` measures how much time passes, `wall_ns` is the time of day, by which clients set their clocks.
    """

    def __init__(
        self,
        runtime: HostedRuntime,
        speed: int = 1,
        log: InputLog | None = None,
        real_ns: Callable[[], int] = time.monotonic_ns,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.runtime = runtime
        self.speed = speed
        self.broken: JournalError | None = None
        """why nothing is taken any more: the log could not be written"""
        self.on_break: Callable[[JournalError], None] = lambda error: None
        self._log = log
        self._real_ns = real_ns
        self._time_of_day_ns = wall_ns
        self._eras = Eras(runtime.now_ns(), wall_ns())
        self._heard_ns = 0
        """clients' time at the last input that is in the log"""
        self._peeked_ns = 0
        """clients' time at the input being worked on that is not"""
        self._latest_ns = 0
        """the latest time of day that was looked at: a clock may be set back, what was told was told"""
        self._at_ns, self._since_ns = runtime.now_ns(), 0
        """exchange time and real time from which on it moves"""
        self._noted_ns, self._noted_real_ns = -1, 0
        """exchange time and real time of the last entry of the log"""
        self._waits = True
        self._inbox: deque[Knock] = deque()
        self._step: tuple[int, Callable[[], None]] | None = None
        self._turn_due = False
        self._outputs: deque[Output] = deque()
        self._of_now = False
        """an output waits that needs the exchange's time on disk"""
        self._released = 0
        self._committing = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over: asyncio.Future[None] | None = None
        self._handle: asyncio.TimerHandle | None = None
        self._handle_ns = NEVER

    # ---------------------------------------------------------------- clocks
    @property
    def moving(self) -> bool:
        return self._eras.speed > 0

    @property
    def keeps(self) -> bool:
        """Whether there is a log."""
        return self._log is not None

    def wall_ns(self) -> int:
        """The clients' time. A function of what is in the log, but for inputs that change nothing."""
        return max(self._heard_ns, self._peeked_ns, self._eras.wall_ns(self.runtime.now_ns()))

    def wall_at(self, at_ns: int) -> int:
        """When, to clients, it was that time at the exchange."""
        return self._eras.wall_ns(at_ns)

    def go(self) -> None:
        """Let time pass. No effect when it does."""
        if not self.moving:
            self._era(self.speed)

    def hold(self) -> None:
        """Let it stand still. No effect when it does."""
        if self.moving:
            self._era(0)

    def pace(self, speed: int) -> None:
        """How fast it passes, from now on or from `go` on."""
        self.speed = speed
        if self.moving:
            self._era(speed)

    def step(self, to_ns: int, then: Callable[[], None]) -> None:
        """Move a held market up to `to_ns`, and call `then`. Called by an input. Errors: ConfigError if it moves."""
        if self.moving:
            raise ConfigError("the market moves by itself", 'hold it first: {"hold": true}')
        self._era(0)
        self._step = (to_ns, then)

    def _era(self, speed: int) -> None:
        self._eras.begin(self.runtime.now_ns(), self.wall_ns(), speed)
        self._anchor()

    def _anchor(self) -> None:
        self._at_ns, self._since_ns = self.runtime.now_ns(), self._real_ns()

    def _target_ns(self) -> int:
        if not self.moving:
            return self.runtime.now_ns()
        return self._at_ns + (self._real_ns() - self._since_ns) * self._eras.speed

    # ---------------------------------------------------------------- beginning
    def begin(self, moving: bool) -> None:
        """The first input: time passes from now on, or is held."""
        self._hear(alone=True)
        self._eras = Eras(self.runtime.now_ns(), self._heard_ns)
        self._write("start", json.dumps({"speed": self.speed, "moving": moving}))
        self._open(moving)

    def replay(self, inputs: Iterable[HostInput], perform: Callable[[HostInput], None]) -> int:
        """Run a log again, as fast as can be; how many inputs it had. `perform` does what is not ours: it may call `go`,
        `hold`, `pace` and `step`. Errors: what the run raised; JournalError for a log that is none."""
        count = 0
        for (t_ns, _, own), group in groupby(inputs, lambda item: (item.t_ns, item.wall_ns, item.kind in OWN_KINDS)):
            self.runtime.advance(t_ns)
            together = list(group)
            within = together[0].kind == "time"  # noted within a step, which has been gone to its end already
            late = t_ns != self.runtime.now_ns() and not within
            if late or (together[0].kind == "start") != (count == 0):
                raise JournalError("the state", f"entry {count + 1} ({together[0].kind}) is out of order")
            count += len(together)
            self._heard_ns = max(self._heard_ns, together[0].wall_ns)
            if own:
                for item in together:
                    self._replay_own(item)
                continue
            self.runtime.inject(*[partial(perform, item) for item in together])
            if self._step is not None:
                (to_ns, then), self._step = self._step, None
                self.runtime.advance(to_ns)
                self.runtime.inject(then)
        self._noted_ns = self.runtime.now_ns()
        return count

    def _replay_own(self, item: HostInput) -> None:
        if item.kind == "lag":
            self._era(self._eras.speed)
        elif item.kind != "time":
            told = json.loads(item.head)
            self.speed = told["speed"]
            if item.kind == "start":
                self._eras = Eras(item.t_ns, item.wall_ns)
            self._era(self.speed if told["moving"] else 0)

    def resume(self, speed: int, held: bool) -> None:
        """Go on after `replay`: no time has passed at the exchange. `held`: it waits, else it moves if it did."""
        moving = self.moving and not held
        self._hear(alone=True)
        self.speed = speed
        self._write("resume", json.dumps({"speed": speed, "moving": moving}))
        self._open(moving)

    def _open(self, moving: bool) -> None:
        self._era(self.speed if moving else 0)
        self._waits = False
        self._turn()

    # ---------------------------------------------------------------- in
    def ask(
        self,
        item: HostInput | None,
        act: Callable[[Callable[[Any], None]], None],
        told: Callable[[Any], None],
        instead: Callable[[JournalError], Any],
        *,
        alone: bool = False,
    ) -> None:
        """Take an input: `act(done)` begins the work, `done(value)` may be called then or later, and `told(value)` hears it
        when it may leave; what `instead` makes, when the log cannot be written. `item` is logged with the time it is taken
        at; None: it changes nothing. `alone`: with no other input at the same moment."""
        of_now = item is not None

        def begin() -> None:
            act(lambda value: self._out(Output(told, value, instead), of_now=of_now))

        self._knock(Knock(item, begin, Output(told, None, instead), alone))

    def enter(self, fn: Callable[[], None]) -> None:
        """Call fn at the exchange's present time. It must not change what the log must know; what it raises is logged."""

        def quiet() -> None:
            try:
                fn()
            except Exception:  # one client's stream must not end the exchange of all
                log.exception("a stream failed")

        self._knock(Knock(None, quiet, None, False))

    def _knock(self, knock: Knock) -> None:
        """It is taken at the next turn of asyncio, with everything else that has come by then."""
        self._inbox.append(knock)
        if not self._waits and self._step is None:
            self._wake()

    def _wake(self) -> None:
        if self._loop is None:
            self._turn()
        elif not self._turn_due:
            self._turn_due = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._turn_due = False
        self._guarded(self._take)
        self._settle()

    def _take(self) -> None:
        """Go on with a step; without one take what has come."""
        while True:
            if self._step is not None:
                to_ns, then = self._step
                if self._advance(to_ns):
                    self._step = None
                    self.runtime.inject(then)
                elif self._loop is not None:
                    return  # the sockets get their turn
            elif self._inbox and not self._waits:
                self._catch_up()
                self._take_together(self._next())
            else:
                return

    def _next(self) -> list[Knock]:
        """What is taken together."""
        inbox = self._inbox
        found = [inbox.popleft()]
        while inbox and not found[-1].alone and not inbox[0].alone and len(found) < TOGETHER_MAX:
            found.append(inbox.popleft())
        return found

    def _take_together(self, knocks: list[Knock]) -> None:
        """Inputs of one moment: the log knows them by their times."""
        if self.broken is not None:
            for knock in knocks:
                if knock.answer is not None:
                    _tell_instead(knock.answer, self.broken)
            return
        logged = [knock.item for knock in knocks if knock.item is not None]
        if logged:
            self._hear()
            for item in logged:
                self._write(item.kind, item.head, item.key, item.body)
        else:
            self._peeked_ns = self._latest_ns = max(self._latest_ns, self._time_of_day_ns())
        try:
            self.runtime.inject(*[knock.act for knock in knocks])
        finally:
            self._peeked_ns = 0

    def _hear(self, *, alone: bool = False) -> None:
        """The clients' time; later than at any input before, for those of one time were taken together. `alone`: of an
        entry of our own."""
        self._latest_ns = max(self._latest_ns, self._time_of_day_ns())
        self._heard_ns = max(self.wall_ns(), self._heard_ns + (not alone), self._latest_ns)

    def _write(self, kind: str, head: str = "", key: str = "", body: bytes = b"") -> None:
        if self._log is not None and self.broken is None:
            self._noted_ns, self._noted_real_ns = self.runtime.now_ns(), self._real_ns()
            self._log.append(HostInput(self._noted_ns, self._heard_ns, kind, key, head, body))

    def _guarded(self, work: Callable[[], None]) -> None:
        """What the run raises ends it, and not whoever knocked."""
        try:
            work()
        except BaseException as error:
            if self._over is None:
                raise
            if not self._over.done():
                self._over.set_exception(error)

    # ---------------------------------------------------------------- time
    def catch_up(self) -> None:
        """Let happen what is due by now."""
        self._guarded(self._catch_up)
        self._settle()

    def _catch_up(self) -> None:
        target_ns = self._target_ns()
        self._advance(target_ns)
        speed = self._eras.speed
        if speed and target_ns - self.runtime.now_ns() > LAG_NS * speed:
            self._hear(alone=True)
            self._write("lag")
            self._era(speed)

    def _advance(self, to_ns: int) -> bool:
        """Towards `to_ns`, as far as the budget goes; whether it is reached."""
        runtime = self.runtime
        end_ns, slice_ns = self._real_ns() + BUDGET_NS, NS_PER_MS
        while (now_ns := runtime.now_ns()) < to_ns:
            runtime.advance(min(to_ns, now_ns + slice_ns))
            if self._real_ns() >= end_ns:
                break
            slice_ns *= 2  # nothing much happens: look at the budget less often
        return runtime.now_ns() >= to_ns

    # ---------------------------------------------------------------- out
    def out(self, tell: Callable[[Any], None], value: Any) -> None:
        """Let something leave that is no answer; lost if the log breaks."""
        self._out(Output(tell, value, None))

    def _out(self, output: Output, *, of_now: bool = True) -> None:
        """`of_now`: the exchange's time must be on disk too, not only the inputs so far."""
        if self._log is None or not (of_now or self._outputs or self._committing or self._log.waiting):
            output.tell(output.value)
        elif self.broken is not None:
            _tell_instead(output, self.broken)
        else:
            self._outputs.append(output)
            self._of_now |= of_now

    def _settle(self) -> None:
        """After anything has happened: go on with a step, have on disk what must be, wake up when something is due."""
        if self._step is not None and self._over is not None and not self._over.done():
            self._wake()
        if self._log is not None and self.broken is None:
            late = self._real_ns() - self._noted_real_ns >= NOTE_NS
            if (self._of_now or late) and self._noted_ns < self.runtime.now_ns():
                self._write("time")
            self._of_now = False
            self._commit(self._log)
        self._schedule()

    def _commit(self, kept: InputLog) -> None:
        if self._loop is None or len(self._outputs) > OUTPUTS_MAX:
            try:
                kept.flush()
            except JournalError as error:
                self._break(error)
            else:
                self._release(self._released + len(self._outputs))
        elif not self._committing and (self._outputs or kept.waiting):
            self._committing = True
            covered = self._released + len(self._outputs)
            committing = self._loop.run_in_executor(None, kept.flush)
            committing.add_done_callback(partial(self._committed, kept, covered))

    def _committed(self, kept: InputLog, covered: int, committing: asyncio.Future[None]) -> None:
        self._committing = False
        error = committing.exception()
        if error is None:
            self._release(covered)
            if self.broken is None:
                self._commit(kept)
        elif isinstance(error, JournalError):
            self._break(error)
        elif self._over is not None and not self._over.done():
            self._over.set_exception(error)

    def _release(self, covered: int) -> None:
        while self._released < covered and self._outputs:
            self._released += 1
            output = self._outputs.popleft()
            output.tell(output.value)

    def _break(self, error: JournalError) -> None:
        """The log cannot be written: what waits for it is refused, and so is everything that comes."""
        first, self.broken = self.broken is None, error
        while self._outputs:
            self._released += 1
            _tell_instead(self._outputs.popleft(), error)
        if first:
            self.on_break(error)

    # ---------------------------------------------------------------- asyncio
    def open(self) -> None:
        """From now on asyncio wakes us. Call `close` at the end."""
        self._loop = asyncio.get_running_loop()
        self._over = self._loop.create_future()

    async def wait(self) -> None:
        """Until cancelled. Errors: what ended the run."""
        assert self._over is not None, "open() comes first"
        await asyncio.wait([self._over])
        self._over.result()

    def close(self) -> None:
        """Nothing is taken any more; how far the market came is kept. The log is closed by who opened it."""
        self._waits = True
        if self._handle is not None:
            self._handle.cancel()
        if self._over is not None and self._over.done() and not self._over.cancelled():
            self._over.exception()  # who waits has had it
        self._loop = self._over = None
        if self._log is not None and self.broken is None:
            if self._noted_ns < self.runtime.now_ns():
                self._write("time")
            self._commit(self._log)

    def _schedule(self) -> None:
        if self._loop is None or not self.moving or self._step is not None or self.broken is not None:
            return
        next_ns, real_ns = self.runtime.next_timer_ns(), self._real_ns()
        due_ns = NEVER if next_ns == NEVER else self._since_ns + (next_ns - self._at_ns) // self._eras.speed
        if self._log is not None:
            due_ns = min(due_ns, real_ns + NOTE_NS)
        if due_ns == NEVER or (self._handle is not None and self._handle_ns <= due_ns):
            return
        if self._handle is not None:
            self._handle.cancel()
        self._handle_ns = due_ns
        self._handle = self._loop.call_later(max(0, due_ns - real_ns) / NS_PER_S, self._tick)

    def _tick(self) -> None:
        self._handle = None
        self.catch_up()


def _tell_instead(output: Output, error: JournalError) -> None:
    if output.instead is not None:
        output.tell(output.instead(error))
