"""A `Dialect` joined in memory to a `Transport`: client and exchange in one runtime, virtual time included.

Requests and frames take no time here: latency is the exchange's own (its lines), or none. What a test can do besides:
`cut` loses the connection as a socket would, `refusing` lets nobody connect.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from execsim.core.errors import ExecError, NetworkError, Reached
from execsim.ports import Desk, Dialect, Pending, Request, Response, Runtime, Served

FRAMES_MAX: Final = 65_536
"""Frames a reader may be behind; one more and its stream is lost, as on a server."""
NAME: Final = "loopback"


class Loopback:
    """`ports.Transport` to one desk."""

    def __init__(self, runtime: Runtime, dialect: Dialect, desk: Desk) -> None:
        self._runtime = runtime
        self._dialect = dialect
        self._desk = desk
        dialect.begin(desk)
        self._waiting: dict[int, Pending[Response]] = {}
        self._streams: list[LoopbackStream] = []
        self._requests = 0
        self.refusing = False

    async def request(self, request: Request) -> Response:
        """The exchange works on it in a task of its own: a client that stops waiting does not call it back."""
        self._connected()
        self._requests += 1
        number = self._requests
        answer: Pending[Response] = self._runtime.pending(f"{NAME}: answer to {request.method}")
        self._waiting[number] = answer
        self._runtime.spawn(self._answer(request, answer), f"{NAME}.{request.method}", daemon=True)
        try:
            response: Response = await answer
            return response
        finally:
            self._waiting.pop(number, None)

    async def _answer(self, request: Request, answer: Pending[Response]) -> None:
        answer.set(await self._dialect.answer(self._desk, request))

    def stream(self, url: str) -> LoopbackStream:
        return LoopbackStream(self, self._runtime, url)

    def cut(self) -> None:
        """The connection is lost: what waits fails, streams end. The exchange goes on with what it has got."""
        error = NetworkError(NAME, "connection lost", Reached.UNKNOWN)
        waiting, self._waiting = list(self._waiting.values()), {}
        for answer in waiting:
            answer.fail(error)
        for stream in list(self._streams):
            stream.lose(error)

    async def aclose(self) -> None:
        self.refusing = True
        self.cut()

    def _connected(self) -> None:
        if self.refusing:
            raise NetworkError(NAME, "connection refused", Reached.NO)

    def open(self, stream: LoopbackStream, url: str) -> Served | ExecError:
        """Subscribe; what refused it instead. Errors: NetworkError."""
        self._connected()
        try:
            served = self._dialect.stream(self._desk, url, stream.push)
        except ExecError as error:
            return error
        self._streams.append(stream)
        return served

    def refusal(self, error: ExecError) -> bytes:
        return self._dialect.refuse(error).body

    def left(self, stream: LoopbackStream) -> None:
        if stream in self._streams:
            self._streams.remove(stream)


class LoopbackStream:
    """`ports.FrameStream`."""

    def __init__(self, loopback: Loopback, runtime: Runtime, url: str) -> None:
        self._loopback = loopback
        self._runtime = runtime
        self._url = url
        self._frames: deque[bytes] = deque()
        self._served: Served | None = None
        self._begun = False
        self._ended = False
        self._error: ExecError | None = None
        self._more: Pending[None] | None = None

    def __aiter__(self) -> LoopbackStream:
        return self

    async def __anext__(self) -> bytes:
        self._begin()
        while not self._frames:
            if self._error is not None:
                raise self._error
            if self._ended:
                raise StopAsyncIteration
            self._more = self._runtime.pending(f"a frame of {self._url}")
            await self._more
        return self._frames.popleft()

    async def send(self, frame: bytes) -> None:
        """Errors: NetworkError; a dialect that will not hear it ends the stream."""
        self._begin()
        if self._error is not None:
            raise self._error
        if self._served is not None:
            try:
                self._served.hear(frame)
            except ExecError as error:
                self._end(error)

    async def aclose(self) -> None:
        self._ended = True
        self._frames.clear()
        self._leave()

    def push(self, frame: bytes) -> None:
        if len(self._frames) >= FRAMES_MAX:
            self.lose(NetworkError(NAME, f"{FRAMES_MAX} frames were not read", Reached.UNKNOWN))
        if not self._ended:
            self._frames.append(frame)
            self._wake()

    def lose(self, error: NetworkError) -> None:
        """The connection is gone, with what was on it."""
        self._error, self._ended = error, True
        self._frames.clear()
        self._leave()

    def _begin(self) -> None:
        if self._begun:
            return
        self._begun = True
        found = self._loopback.open(self, self._url)
        if isinstance(found, ExecError):
            self._end(found)
        elif self._ended:
            found.close()
        else:
            self._served = found

    def _end(self, error: ExecError) -> None:
        """The exchange ends it, and says why in a last frame."""
        self._frames.append(self._loopback.refusal(error))
        self._ended = True
        self._leave()

    def _leave(self) -> None:
        if self._served is not None:
            self._served.close()
            self._served = None
        self._loopback.left(self)
        self._wake()

    def _wake(self) -> None:
        if self._more is not None:
            self._more.set(None)
