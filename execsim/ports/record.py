"""What is kept of a run, as protocols: the journal of what the engine did, and the session log of what came and went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

from execsim.core.order import OrderId


class JournalRow(NamedTuple):
    """One row as read back; `body` holds plain JSON values."""

    seq: int
    ts_ns: int
    kind: str
    order_id: str
    body: dict[str, Any]


class Journal(Protocol):
    """The append-only record of a run."""

    def write(self, kind: str, ts_ns: int, order_id: str, body: Mapping[str, Any]) -> None:
        """Append one row. `body` holds JSON values only (int, str, bool, None): no floats. Errors: JournalError."""

    @property
    def durable(self) -> bool:
        """Whether an intent must be on disk (`flush`) before it is sent: mode full."""

    def note(self, key: str, text: str) -> None:
        """Keep a fact about the run that is no event of it (an instrument, the scenario) beside the rows: it is not part of
        the digest. A key said again replaces its text. Errors: JournalError."""

    def flush(self) -> None:
        """Put everything written so far on disk. May run in another thread while rows are written. Errors: JournalError."""

    def digest(self) -> str:
        """sha256 over the canonical rows so far."""

    def close(self) -> None: ...


@runtime_checkable
class OrderArchive(Protocol):
    """What a journal that can be asked about one order offers besides: where orders live on that memory let go of."""

    def rows_of(self, order_id: OrderId) -> Sequence[JournalRow]:
        """Every row of that order so far, in order, buffered ones included; empty when there is none. Blocks for one
        look-up in an index. Errors: JournalError."""


@dataclass(frozen=True, slots=True)
class Input:
    """One thing that came into a run in wall time from outside, in the order in which it was taken (1, 2, 3, ...). The
    run's clock reads `t_ns` from then until the next input: a run is a function of its seed and its inputs.

    kind    start    the run began (1, and only 1); body: JSON {"origin_ns", "seed"}
            clock    timers were due
            answer   of the call or blocking function number `key`; `error`: it failed (body: JSON)
            frame    of the stream number `key`; `end`: there will be no more (body: JSON of the error, if one ended it)
            call     somebody outside the run called the door `key`
            cancel   the run was cancelled from outside;   late   task `key` was too slow at the end of the run
    """

    number: int
    t_ns: int
    kind: str
    key: str = ""
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class HostInput:
    """One thing that came into a hosted run from outside, at `t_ns` of the exchange and `wall_ns` of its clients.

    kind    start    time began to pass, or was held (the first, and only the first); head: JSON {"speed", "moving"}
            resume   the run was taken up again, as `start`
            time     nothing came, but time has passed up to here;   lag   and the market was allowed to be behind
            request  of the dialect at desk `key`; head: JSON [method, path, headers,
                     peer]
            command  to the host at desk `key`; head: JSON [method, name]
    """

    t_ns: int
    wall_ns: int
    kind: str
    key: str = ""
    head: str = ""
    body: bytes = b""


class InputLog(Protocol):
    """Keeps what came into a hosted run, so that it can be run again."""

    @property
    def waiting(self) -> bool:
        """Whether something is kept that is not on disk."""

    def append(self, item: HostInput) -> None:
        """It is on disk after the next flush."""

    def flush(self) -> None:
        """Have everything appended before this call on disk. May run in another thread than `append`. Errors:
        JournalError, also after an earlier failure."""


@dataclass(frozen=True, slots=True)
class Output:
    """One thing a run in wall time sent out, numbered 1, 2, 3, ...; `input` is the number of the input being worked on.

    kind    request   call number `key`;   open, tell, close   stream number `key`
    """

    number: int
    input: int
    t_ns: int
    kind: str
    key: str
    body: bytes = b""


class Diverged(BaseException):
    """(what, expected, got): a replay does something else than the session did. A BaseException, so that nothing in
    between takes it for an error it can handle."""


class SessionLog(Protocol):
    """Keeps what a run in wall time took in and sent out, so that it can be run again. Errors: JournalError."""

    def take(self, item: Input) -> None:
        """Called before the input has any effect."""

    def sent(self, item: Output) -> None:
        """Called before anything leaves."""
