"""A Transport whose requests, answers and frames are numbered: recorded in wall time, played by a replay.

The same object serves both, since what differs is the runtime: in wall time the inner transport works beside the run, in
asyncio, and what it gives becomes inputs; in a replay there is none, and the inputs are the recorded ones.
"""

from __future__ import annotations

from typing import Final

from execsim.core.errors import ConfigError
from execsim.ports import Request, Response, Transport
from execsim.runtime.codec import RESPONSE, error_of, request_bytes
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

    def stream(self, url: str) -> FrameStream:
        """Frames of a subscription, from the first read on; close it with `aclose`."""
        return FrameStream(self._runtime, self, url)

    def _open(self) -> Transport:
        if self._inner is None:
            raise ConfigError("a replay sends nothing", "its answers are in the recording")
        return self._inner


class FrameStream:
    """One stream of frames: `async for frame in stream`, `await stream.aclose()`. Errors: what ended it, at the read after
    its last frame."""

    def __init__(self, runtime: Stepper, transport: SessionTransport, url: str) -> None:
        self._runtime = runtime
        self._transport = transport
        self._url = url
        self._number: str | None = None
        self._closed = False
        self._error: BaseException | None = None
        self._frames: Queue[bytes] = Queue(runtime, f"frames of {url}", FRAMES_MAX, Overflow.ERROR)

    def __aiter__(self) -> FrameStream:
        return self

    async def __anext__(self) -> bytes:
        if self._number is None and not self._closed:
            self._number = number = self._runtime.number()
            self._runtime.sends("open", number, self._url.encode())
            self._runtime.listen(number, lambda: self._transport._open().stream(self._url), self._heard)
        try:
            return await self._frames.__anext__()
        except StopAsyncIteration:
            error, self._error = self._error, None
            if error is not None:
                raise error from None
            raise

    async def aclose(self) -> None:
        """Stop reading; the stream ends. Harmless if repeated."""
        if not self._closed:
            self._closed = True
            if self._number is not None:
                self._runtime.sends("close", self._number, b"")
                self._runtime.unlisten(self._number)
            await self._frames.aclose()

    def _heard(self, kind: str, body: bytes) -> None:
        if kind == "frame":
            self._frames.put_nowait(body)
        else:
            self._error = error_of(body) if body else None
            self._frames.close()
