"""A Transport whose requests, answers and frames are numbered: recorded in wall time, played by a replay.

The same object serves both, since what differs is the runtime: in wall time the inner transport works beside the run, in
asyncio, and what it gives becomes inputs; in a replay there is none, and the inputs are the recorded ones.
"""

from __future__ import annotations

from typing import Final

from execsim.core.errors import ConfigError
from execsim.ports import FrameStream, Request, Response, Transport
from execsim.runtime.codec import PLAIN, RESPONSE, error_of, request_bytes
from execsim.runtime.stepper import Stepper
from execsim.runtime.sync import Overflow, Queue

FRAMES_MAX: Final = 65_536
"""Frames of a stream an adapter may leave unread; one more and the run ends with a ConfigError."""


class SessionTransport:
    """The port `ports.Transport` for a run in wall time (`inner`: what really sends), or for its replay (None)."""

    def __init__(self, runtime: Stepper, inner: Transport | None) -> None:
        self._runtime = runtime
        self._inner = inner

    async def request(self, request: Request) -> Response:
        """Send and wait for the answer. Errors: what the inner transport raises."""
        runtime = self._runtime
        number, what = runtime.number(), f"answer to {request.path}"
        runtime.sends("request", number, request_bytes(request))
        return await runtime.outside(lambda: self._open().request(request), RESPONSE, what, number)

    def stream(self, url: str) -> SessionStream:
        """Frames of a subscription, from the first read on; close it with `aclose`."""
        return SessionStream(self._runtime, url, None if self._inner is None else self._inner.stream(url))

    async def aclose(self) -> None:
        """Close the inner transport."""
        await self._runtime.outside(lambda: self._open().aclose(), PLAIN, "closing the transport")

    def _open(self) -> Transport:
        if self._inner is None:
            raise ConfigError("a replay sends nothing", "its answers are in the recording")
        return self._inner


class SessionStream:
    """The port `ports.FrameStream`. Errors: what ended the inner one, at the read after its last frame."""

    def __init__(self, runtime: Stepper, url: str, inner: FrameStream | None) -> None:
        self._runtime = runtime
        self._url = url
        self._inner = inner
        self._number = ""
        self._closed = False
        self._error: BaseException | None = None
        self._frames: Queue[bytes] = Queue(runtime, f"frames of {url}", FRAMES_MAX, Overflow.ERROR)

    def __aiter__(self) -> SessionStream:
        return self

    async def __anext__(self) -> bytes:
        self._begin()
        try:
            return await self._frames.__anext__()
        except StopAsyncIteration:
            error, self._error = self._error, None
            if error is not None:
                raise error from None
            raise

    async def send(self, frame: bytes) -> None:
        """Say something on the stream. Errors: what the inner stream raises."""
        self._begin()
        number = self._runtime.number()
        self._runtime.sends("tell", self._number, frame)
        await self._runtime.outside(lambda: self._sending(frame), PLAIN, f"a message on {self._url}", number)

    async def aclose(self) -> None:
        """Stop reading; the stream ends. Harmless if repeated."""
        if not self._closed:
            self._closed = True
            if self._number:
                self._runtime.sends("close", self._number, b"")
                self._runtime.unlisten(self._number)
            await self._frames.aclose()

    def _begin(self) -> None:
        if not self._number and not self._closed:
            self._number = self._runtime.number()
            self._runtime.sends("open", self._number, self._url.encode())
            self._runtime.listen(self._number, self._inner, self._heard)

    async def _sending(self, frame: bytes) -> None:
        if self._inner is not None:
            await self._inner.send(frame)

    def _heard(self, kind: str, body: bytes) -> None:
        if kind == "frame":
            self._frames.put_nowait(body)
        else:
            self._error = error_of(body) if body else None
            self._frames.close()
