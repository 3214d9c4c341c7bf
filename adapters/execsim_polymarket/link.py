"""The life of one WebSocket, as a machine without a socket: when to open it, ping it, give it up, and open it again.

    IDLE --start--> OPENING --opened--> LIVE --lost, closed--> WAITING --its time has come--> OPENING
                       '----------------- lost, closed -------------^

The venue answers the text PING with PONG and never sends on its own when nothing happens; a connection that has gone silent
altogether is dead. Worse, it has accepted subscriptions, answered pings and sent nothing for hours (py-clob-client issue
292): `data_ns` is how long a link may live without a message that is not a PONG. Source: polymarket.md sections 11, 12.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from execsim.core.units import NS_PER_MS, NS_PER_S
from execsim.ports import NEVER
from execsim_polymarket.wire.channels import PING, PONG


class State(StrEnum):
    IDLE = "idle"
    OPENING = "opening"
    LIVE = "live"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class LinkConfig:
    """Times in ns. `ping_ns` between PINGs; nothing heard for `silence_ns` ends the link; so does no data for `data_ns`, or
    for `first_data_ns` after it opened (NEVER: not watched). Reopening waits `pause_ns`, twice as long each time up to
    `pause_ns_max`, and starts over once a link has lived for `stable_ns`."""

    ping_ns: int = 10 * NS_PER_S
    silence_ns: int = 30 * NS_PER_S
    first_data_ns: int = NEVER
    data_ns: int = NEVER
    pause_ns: int = 500 * NS_PER_MS
    pause_ns_max: int = 30 * NS_PER_S
    stable_ns: int = 60 * NS_PER_S


@dataclass(frozen=True, slots=True)
class Open:
    """Open the socket now; say `opened` or `closed`."""


@dataclass(frozen=True, slots=True)
class Send:
    """Send this frame as text."""

    frame: bytes


@dataclass(frozen=True, slots=True)
class Close:
    """Close the socket: `why`. The link counts it as closed already."""

    why: str


LinkAction = Open | Send | Close

USER_LINK: Final = LinkConfig()
"""A quiet account hears nothing for hours: its data is not watched."""
MARKET_LINK: Final = LinkConfig(first_data_ns=10 * NS_PER_S, data_ns=300 * NS_PER_S)
"""A subscription is answered with books at once; a market channel without a word for five minutes is read anew."""


class Link:
    """`jitter(n)` gives an integer in [0, n): taken off each pause by up to half, so that many clients do not come back at
    once; the default takes nothing off."""

    def __init__(self, config: LinkConfig, jitter: Callable[[int], int] = lambda n: 0) -> None:
        self.config = config
        self.state = State.IDLE
        self.opened_count = 0
        self._jitter = jitter
        self._failures = 0
        self._opened_ns = self._heard_ns = self._data_ns = self._ping_ns = 0
        self._reopen_ns = NEVER
        self._had_data = False

    @property
    def wake_ns(self) -> int:
        """When `tick` has something to do; NEVER while only the socket can have."""
        if self.state is State.WAITING:
            return self._reopen_ns
        if self.state is not State.LIVE:
            return NEVER
        config = self.config
        return min(self._ping_ns + config.ping_ns, self._heard_ns + config.silence_ns, self._data_due_ns())

    def start(self, now_ns: int) -> list[LinkAction]:
        """Open for the first time. No effect when started."""
        if self.state is not State.IDLE:
            return []
        self.state = State.OPENING
        return [Open()]

    def opened(self, now_ns: int) -> None:
        """The socket is open; the caller sends its subscription."""
        self.state = State.LIVE
        self.opened_count += 1
        self._opened_ns = self._heard_ns = self._data_ns = self._ping_ns = now_ns
        self._had_data = False

    def heard(self, frame: bytes, now_ns: int) -> bool:
        """Take note of a frame; True when it is data, False for a keepalive."""
        self._heard_ns = now_ns
        if frame.strip() in (PONG, PING, b""):
            return False
        self._data_ns = now_ns
        self._had_data = True
        return True

    def closed(self, now_ns: int) -> None:
        """The socket is gone, or could not be opened. No effect when that is known."""
        if self.state not in (State.OPENING, State.LIVE):
            return
        if self.state is State.LIVE and now_ns - self._opened_ns >= self.config.stable_ns:
            self._failures = 0
        pause_ns = min(self.config.pause_ns << min(self._failures, 32), self.config.pause_ns_max)
        self._failures += 1
        self._reopen_ns = now_ns + pause_ns - self._jitter(pause_ns // 2 + 1)
        self.state = State.WAITING

    def stop(self) -> list[LinkAction]:
        """Give the link up for good; `start` begins anew."""
        was, self.state, self._failures = self.state, State.IDLE, 0
        return [Close("stopped")] if was in (State.OPENING, State.LIVE) else []

    def tick(self, now_ns: int) -> list[LinkAction]:
        """What the clock says is to be done: a PING, giving up a silent socket, opening again."""
        if self.state is State.WAITING and now_ns >= self._reopen_ns:
            self.state = State.OPENING
            return [Open()]
        if self.state is not State.LIVE:
            return []
        why = ""
        if now_ns >= self._heard_ns + self.config.silence_ns:
            why = f"nothing heard for {(now_ns - self._heard_ns) / NS_PER_S:.0f} s"
        elif now_ns >= self._data_due_ns():
            why = f"pings are answered, but no data came for {(now_ns - self._data_ns) / NS_PER_S:.0f} s"
        if why:
            self.closed(now_ns)
            return [Close(why)]
        if now_ns >= self._ping_ns + self.config.ping_ns:
            self._ping_ns = now_ns
            return [Send(PING)]
        return []

    def _data_due_ns(self) -> int:
        allowed_ns = self.config.data_ns if self._had_data else min(self.config.first_data_ns, self.config.data_ns)
        return NEVER if allowed_ns == NEVER else self._data_ns + allowed_ns
