"""A session over a dialect, recorded; and its replay. What joins scenario/wall.py to sockets, a journal and a clock."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, Protocol

from execsim import plugins
from execsim.core.errors import ConfigError, JournalError, VenueNotSupported
from execsim.core.order import VenueId
from execsim.engine.watch import kill_file_of
from execsim.journal import (
    ENDED,
    HashJournal,
    ReplayJournal,
    SessionReader,
    SessionRecord,
    SqliteJournal,
    carry,
    discard,
    note_of,
    recorded,
)
from execsim.net import LinesTransport
from execsim.observe.publish import Publisher
from execsim.ports import DeskClock, Diverged, Input, Journal, LiveVenue, Runtime, SessionLog, Transport, VenueConfig
from execsim.report.explain import JOURNAL
from execsim.runtime import ReplayRuntime, SessionTransport, WallRuntime
from execsim.scenario import model
from execsim.scenario.carried import Carried, read_carried, take_over
from execsim.scenario.paper import PAPER, paper_venue
from execsim.scenario.recorded import (
    MODE,
    SCENARIO,
    SESSION,
    Recorded,
    changes,
    files_of,
    read_notes,
    versions,
    write_notes,
)
from execsim.scenario.run import Progress
from execsim.scenario.wall import INTERRUPT, KILL, METRICS_NS, Ended, Line, Session

ACCOUNT: Final = "trader"
DIALECT: Final = "native"
SEED_BITS: Final = 48
"""Seeds of sessions: order ids derive from them, so no two sessions of an account may share one."""


@dataclass(frozen=True, slots=True)
class Address:
    """An exchange that speaks a dialect over JSON lines, and the account to trade there."""

    host: str
    port: int
    account: str = ACCOUNT
    dialect: str = DIALECT

    @staticmethod
    def of(text: str, account: str) -> Address:
        """HOST:PORT. Errors: ConfigError."""
        host, colon, port = text.rpartition(":")
        if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65_536:
            raise ConfigError(
                f"--native {text!r} is not HOST:PORT", "e.g. 127.0.0.1:7400, as `execsim serve` prints it"
            )
        return Address(host.strip("[]"), int(port), account)

    @property
    def mode(self) -> str:
        return "native"

    @property
    def known(self) -> Mapping[str, Any]:
        return {}

    def transport(self) -> LinesTransport:
        return LinesTransport(self.host, self.port)

    def clock(self, scenario: model.Scenario) -> DeskClock:
        return ask_clock(scenario, self)


class Door(Protocol):
    """Where a session trades: an exchange of ours (`Address`), a venue (`live.LiveAddress`), or in this process on a
    venue's data (`paper.PaperAddress`)."""

    @property
    def mode(self) -> str:
        """native, live or paper: a journal is of one."""

    @property
    def dialect(self) -> str: ...

    @property
    def account(self) -> str: ...

    @property
    def known(self) -> Mapping[str, Any]:
        """What its adapter is told besides, and a record may hold."""

    def transport(self) -> Transport:
        """A new one."""

    def clock(self, scenario: model.Scenario) -> DeskClock:
        """What time it is there. Errors: ExecError."""


def connect(
    scenario: model.Scenario,
    dialect: str,
    account: str,
    transport: Transport,
    runtime: Runtime,
    known: Mapping[str, Any] = MappingProxyType({}),
) -> list[LiveVenue]:
    """An adapter for each venue of the scenario, not started. Errors: VenueNotSupported: no adapter of that name."""
    make = plugins.venue(dialect).connect
    if make is None:
        raise VenueNotSupported(f"{dialect} (adapter)", DIALECT)
    names = dict.fromkeys(market.venue for market in scenario.markets)
    made = []
    for name in names:
        markets = {market.id: market.market for market in scenario.markets if market.venue == name}
        extra = {"account": account, "markets": markets, **known}
        made.append(make(VenueConfig(VenueId(name), extra=extra), transport, runtime))
    return made


def _line(
    mode: str, scenario: model.Scenario, folder: Path, transport: SessionTransport, runtime: Runtime,
    connected: Callable[[], list[LiveVenue]], speed: int, fresh: bool,
) -> Line:  # fmt: skip
    """`connected`: the adapters of a mode that orders elsewhere. `fresh`: no journal is taken over."""
    if mode != PAPER:
        return Line(transport, connected(), speed)
    venue = paper_venue(scenario, folder, transport, runtime, fresh=fresh)
    return Line(transport, [venue], speed, PAPER, scenario.paper.hold_ns)


def ask_clock(scenario: model.Scenario, address: Address) -> DeskClock:
    """What time it is at the exchange. Errors: as an adapter's `start`."""
    runtime, transport = WallRuntime(0), address.transport()

    async def ask() -> DeskClock:
        first = connect(scenario, address.dialect, address.account, transport, runtime)[0]
        try:
            await first.start()
            clock: DeskClock = first.clock  # type: ignore[attr-defined]  # served exchanges have one
            return clock
        finally:
            await first.aclose()
            await transport.aclose()

    clock = runtime.run(main=ask())
    assert clock is not None
    return clock


def run_session(
    scenario: model.Scenario,
    name: str,
    folder: Path,
    address: Door,
    *,
    out: Path | None,
    mode: Literal["full", "batched", "off"] = "full",
    seed: int | None = None,
    for_s: int | None = None,
    watch: Publisher | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    recover: bool = False,
    say: Callable[[str], None] = lambda sentence: None,
    wrap: Callable[[LiveVenue, Journal], LiveVenue] = lambda venue, journal: venue,
) -> Ended:
    """Trade a scenario's strategy at an exchange until its data end, for `for_s` real seconds, or until Ctrl-C.

    The run's clock is the exchange's. `out` receives journal.sqlite, which must not exist; with `recover` it must, and the
    session takes up where it ends: `say` is told the plan. `seed`: a fresh one if None. `wrap`: what stands between the
    engine and each adapter (for tests that let a session die at a chosen moment).
    Errors: ExecError; an exception of the user's strategy passes through after every order was cancelled.
    """
    scenario = model.anchored(scenario, folder)
    if out is None and mode != "off":
        raise ConfigError("a session in wall time keeps a journal", "name a directory: --out DIR (or journal.mode=off)")
    clock = address.clock(scenario)
    asked_ns = time.monotonic_ns()
    journal, log, carried = _journal(mode, out, recover, say, address.mode)
    try:
        seed = int.from_bytes(os.urandom(SEED_BITS // 8)) if seed is None else seed
        item = Recorded(
            name, address.dialect, address.account, for_s, clock.speed, journal.durable,
            "" if out is None else str(kill_file_of(out.absolute())),
            None if watch is None else watch.period_ns or METRICS_NS * clock.speed,
            files_of(scenario), **versions(), venue=address.known, mode=address.mode,
        )  # fmt: skip
        write_notes(journal, item, scenario)
        since_ns = asked_ns if clock.moving else None  # else it stands still until we say go
        runtime = WallRuntime(seed, clock.now_ns, clock.speed, log=log, since_ns=since_ns)
        for number in (signal.SIGINT, signal.SIGTERM):
            runtime.hear_signal(number, INTERRUPT)
        runtime.hear_signal(signal.SIGUSR1, KILL, b"signal SIGUSR1")
        transport = SessionTransport(runtime, address.transport())
        line = _line(
            address.mode, scenario, folder, transport, runtime,
            lambda: connect(scenario, address.dialect, address.account, transport, runtime, address.known),
            clock.speed, carried is None,
        )  # fmt: skip
        line = replace(line, venues=[wrap(venue, journal) for venue in line.venues])
        kill_file = Path(item.kill_file) if item.kill_file else None
        session = Session(
            scenario, name, folder, runtime, journal, line, for_s, kill_file, watch, on_progress, carried, say
        )  # fmt: skip
        try:
            ended = runtime.run(main=session.main())
        except BaseException as error:
            with suppress(JournalError):
                journal.note(ENDED, f"failed: {type(error).__name__}: {error}")
            raise
        if ended is None:
            raise KeyboardInterrupt
        journal.note(ENDED, str(ended.summary["ended"]))
        return ended
    finally:
        journal.close()


def _journal(
    mode: Literal["full", "batched", "off"],
    out: Path | None,
    recover: bool,
    say: Callable[[str], None],
    trades: str,
) -> tuple[Journal, SessionLog | None, Carried | None]:
    if out is None or mode == "off":
        if recover:
            raise ConfigError("nothing to recover from without a journal", "name its directory: --out DIR --recover")
        return HashJournal(), None, None
    path = out / JOURNAL
    carried = None
    if recover and not recorded(path):
        say("the journal holds nothing: a session that never began is begun anew")
        discard(path)
        recover = False
    if recover:
        _same_mode(path, trades)
        carry(path, (ENDED, SCENARIO, SESSION))
    elif path.exists():
        what = "holds the record of another session, which is never overwritten"
        raise JournalError(str(path), f"{what}; name another directory, or take it up with --recover")
    journal = SqliteJournal(path, mode, append=recover)
    log = SessionRecord(journal)
    if recover:
        carried = take_over(path, journal)
    return journal, log, carried


def _same_mode(path: Path, trades: str) -> None:
    """Errors: JournalError when the journal is of another mode: paper and live never share a file."""
    before = note_of(path, MODE)
    if before != trades and (before or trades == PAPER):  # before there was paper trading no journal named its mode
        was = f"of mode {before}" if before else "not of mode paper"
        raise JournalError(
            str(path), f"is the record of a session {was}, this one is of mode {trades}; name another directory"
        )


@dataclass(frozen=True, slots=True)
class Replayed:
    """A session run again. `difference`: the first one, with the input that was being worked on; None: all is equal.

    `ended`: how the session ended, "" when it was killed. `failure`: what it died of, again. `beyond`: rows and requests
    that the last input of a killed session caused, of which the disk knew nothing.
    """

    inputs: int
    inputs_total: int
    requests: int
    rows: int
    sha256: str
    ended: str
    changed: Sequence[str]
    present: Input | None
    difference: Diverged | None = None
    failure: BaseException | None = None
    beyond: int = 0


def replay_session(path: Path) -> Replayed:
    """Run the session of a journal again, as fast as it goes, and compare everything it sends and writes.

    Errors: JournalError when the journal holds no session; ConfigError when its strategy cannot be loaded.
    """
    with closing(SessionReader(path)) as kept:
        item, scenario, ended = read_notes(kept)
        carried = read_carried(path)
        before = 0 if carried is None else carried.rows
        journal = ReplayJournal(kept, durable=item.durable, whole=bool(ended), carried=before)
        runtime = ReplayRuntime(kept.inputs(), journal)
        transport = SessionTransport(runtime, None)
        line = _line(
            item.mode, scenario, Path(), transport, runtime,
            lambda: connect(scenario, item.dialect, item.account, transport, runtime, item.venue),
            item.speed, carried is None,
        )  # fmt: skip
        kill_file = Path(item.kill_file) if item.kill_file else None
        watch = None if item.metrics_ns is None else Publisher([], item.metrics_ns)  # its timers are among the inputs
        session = Session(
            scenario, item.name, Path(), runtime, journal, line, item.for_s, kill_file, watch, carried=carried
        )  # fmt: skip
        failure: BaseException | None = None
        try:
            failure = _run_again(runtime, session)
            if (left := runtime.next_input()) is not None:
                raise journal.differs(f"input {left.number}", left, "the run has ended")
            if runtime.cut and ended:
                raise journal.differs("the end", f"the session ended: {ended}", "the replay waits for more")
            journal.check_end()
        except Diverged as found:
            journal.difference = journal.difference or found
    present = journal.present
    return Replayed(
        0 if present is None else present.number, kept.inputs_total, journal.outputs, journal.rows, journal.digest(),
        ended, changes(item), present, journal.difference, failure, journal.beyond,
    )  # fmt: skip


def _run_again(runtime: ReplayRuntime, session: Session) -> BaseException | None:
    """What the run died of. Errors: Diverged."""
    try:
        runtime.run(session.main())
    except Diverged:
        raise
    except BaseException as error:
        return error
    return None
