"""A channel's machine (`session`, `market_session`) joined to a transport and a clock.

    machine ──Open, Send, Close──▶ stream          stream ──frame, end──▶ machine          clock ──wake_ns──▶ machine

Everything else a machine wants is the owner's to do: `perform(action)`, which must not wait.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from execsim.core.errors import ExecError, NetworkError
from execsim.ports import FrameStream, Runtime, Transport
from execsim_polymarket.link import Close, Open, Send

log = logging.getLogger("execsim.polymarket")


class Machine(Protocol):
    """What both sessions have in common."""

    @property
    def wake_ns(self) -> int: ...

    def start(self, now_ns: int) -> list[Any]: ...

    def stop(self) -> list[Any]: ...

    def opened(self, now_ns: int) -> list[Any]: ...

    def closed(self, now_ns: int) -> list[Any]: ...

    def frame(self, frame: bytes, now_ns: int) -> list[Any]: ...

    def tick(self, now_ns: int) -> list[Any]: ...


class _Due(Exception):
    """The machine's clock."""


class Channel:
    """One socket after another, until the task that runs it is cancelled."""

    def __init__(
        self, runtime: Runtime, transport: Transport, url: str, machine: Machine, perform: Callable[[Any], None],
    ) -> None:  # fmt: skip
        self._runtime = runtime
        self._transport = transport
        self._url = url
        self._machine = machine
        self._perform = perform
        self._stream: FrameStream | None = None

    async def run(self) -> None:
        """Ends never by itself."""
        machine, runtime = self._machine, self._runtime
        try:
            await self.do(machine.start(runtime.now_ns()))
            while True:
                await self.do(await self._next())
        finally:
            stream, self._stream = self._stream, None
            if stream is not None:
                await stream.aclose()

    async def do(self, actions: Iterable[Any]) -> None:
        """Carry out what a machine said, in order; also for machines that were asked from elsewhere (subscribe)."""
        for action in actions:
            if isinstance(action, Open):
                await self._open()
            elif isinstance(action, Send):
                await self._send(action.frame)
            elif isinstance(action, Close):
                await self._close(action.why)
            else:
                self._perform(action)

    async def _next(self) -> list[Any]:
        """What is to be done after the next frame, the next tick of the clock, or the end of the socket."""
        machine, runtime, stream = self._machine, self._runtime, self._stream
        due_ns = machine.wake_ns
        if stream is None:
            await runtime.sleep_until(due_ns)
            return machine.tick(runtime.now_ns())
        try:
            frame = await runtime.within(due_ns, stream.__anext__(), _Due())
        except _Due:
            return machine.tick(runtime.now_ns())
        except StopAsyncIteration:
            return await self._ended("the venue closed it")
        except ExecError as error:
            return await self._ended(str(error))
        return machine.frame(frame, runtime.now_ns())

    async def _open(self) -> None:
        """Open by sending the subscription: no frame comes before it."""
        self._stream = self._transport.stream(self._url)
        actions = self._machine.opened(self._runtime.now_ns())
        for number, action in enumerate(actions):
            if isinstance(action, Send):
                if not await self._send(action.frame):
                    return
            else:
                await self.do(actions[number:])
                return

    async def _send(self, frame: bytes) -> bool:
        if self._stream is None:
            return False
        try:
            await self._stream.send(frame)
            return True
        except (NetworkError, StopAsyncIteration) as error:
            await self.do(await self._ended(str(error) or "closed"))
            return False

    async def _ended(self, why: str) -> list[Any]:
        await self._close(why)
        return self._machine.closed(self._runtime.now_ns())

    async def _close(self, why: str) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            log.warning("polymarket: %s is interrupted: %s", self._url, why)
            await stream.aclose()
