"""`ports.Transport` over TCP with JSON lines: requests with ids and streams on one connection, in asyncio.

    request ──▶ one line ──▶ server ──▶ lines ──▶ answer by id, frame by stream

The connection is made when it is first needed, and again after it was lost: not more often than the back-off allows, so
that whoever asks meanwhile is refused at once (`reached` no). Requests of a lost connection fail with `reached` unknown:
nobody knows which of them arrived. Everything awaits plain asyncio futures, so tasks of a WallRuntime may wait here.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from typing import Final

from execsim.core.errors import ConfigError, NetworkError, Reached
from execsim.net import framing
from execsim.net.framing import ANSWER_MAX, BadLine
from execsim.ports import Request, Response

WAITING_MAX: Final = 4_096
"""Requests that may wait for an answer; one more fails at once, unsent."""
FRAMES_MAX: Final = 65_536
"""Frames of a stream that may be unread; one more and the stream is lost (its reader asks anew)."""
UNSENT_MAX: Final = 1 << 24
"""Bytes that may wait for a server that does not read (16 MiB); then the connection is given up."""
CONNECT_S: Final = 5.0
BACKOFF_S: Final = 0.05
BACKOFF_S_MAX: Final = 2.0
"""After a failed attempt to connect the next one waits so long, doubled each time."""


class LinesTransport:
    """One server at `host`:`port`. Errors: NetworkError, see the module."""

    def __init__(self, host: str, port: int, name: str = "") -> None:
        if not 0 < port < 65_536:
            raise ConfigError(f"port {port}", "a TCP port is 1 to 65535")
        self._host, self._port = host, port
        self.name = name or f"{host}:{port}"
        self._ids = itertools.count(1)
        self._connection: Connection | None = None
        self._attempt: asyncio.Task[Connection] | None = None
        self._backoff_s = BACKOFF_S
        self._not_before_s = 0.0
        self._closed = False

    async def request(self, request: Request) -> Response:
        """Send and wait, as long as it takes; a cancelled wait forgets the answer."""
        connection = await self.connected()
        return await connection.request(next(self._ids), request)

    def stream(self, url: str) -> LinesStream:
        return LinesStream(self, url)

    async def aclose(self) -> None:
        self._closed = True
        if self._attempt is not None:
            self._attempt.cancel()
        if self._connection is not None:
            self._connection.lose("closed by us")

    def number(self) -> int:
        return next(self._ids)

    async def connected(self) -> Connection:
        """The connection, made if there is none; whoever comes while it is being made waits for the same attempt.
        Errors: NetworkError."""
        if self._closed:
            raise NetworkError(self.name, "the transport is closed", Reached.NO)
        if self._connection is not None and not self._connection.lost:
            return self._connection
        loop = asyncio.get_running_loop()
        if self._attempt is None:
            if loop.time() < self._not_before_s:
                raise NetworkError(self.name, "not connected; the next attempt waits a moment", Reached.NO)
            self._attempt = loop.create_task(self._connect())
            self._attempt.add_done_callback(self._attempted)
        try:
            return await asyncio.shield(self._attempt)
        except OSError as error:
            raise NetworkError(self.name, f"cannot connect: {error.strerror or error}", Reached.NO) from None
        except TimeoutError:
            raise NetworkError(self.name, f"cannot connect within {CONNECT_S:g} s", Reached.NO) from None

    async def _connect(self) -> Connection:
        async with asyncio.timeout(CONNECT_S):
            reader, writer = await asyncio.open_connection(self._host, self._port, limit=ANSWER_MAX)
        return Connection(self.name, reader, writer)

    def _attempted(self, attempt: asyncio.Task[Connection]) -> None:
        self._attempt = None
        if attempt.cancelled() or attempt.exception() is not None:
            self._not_before_s = asyncio.get_running_loop().time() + self._backoff_s
            self._backoff_s = min(BACKOFF_S_MAX, 2 * self._backoff_s)
            return
        self._backoff_s = BACKOFF_S
        self._connection = attempt.result()
        if self._closed:
            self._connection.lose("closed by us")


class Connection:
    """One connection while it lasts: who waits for which answer, and which stream gets which frame."""

    def __init__(self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._name = name
        self._reader = reader
        self._writer = writer
        self._waiting: dict[int, asyncio.Future[Response]] = {}
        self._streams: dict[int, LinesStream] = {}
        self.lost = False
        self._task = asyncio.get_running_loop().create_task(self._read())

    async def request(self, number: int, request: Request) -> Response:
        if len(self._waiting) >= WAITING_MAX:
            raise NetworkError(self._name, f"{WAITING_MAX} requests wait for an answer already", Reached.NO)
        answer: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            self._write(framing.request_line(number, request))
            return await answer
        finally:
            self._waiting.pop(number, None)

    def subscribe(self, number: int, stream: LinesStream, url: str) -> None:
        self._streams[number] = stream
        stream.number = number
        self._write(framing.subscribe_line(number, url))

    def tell(self, number: int, stream: int, frame: bytes) -> None:
        self._write(framing.tell_line(number, stream, frame))

    def unsubscribe(self, number: int, stream: int) -> None:
        if self._streams.pop(stream, None) is not None and not self.lost:
            self._write(framing.unsubscribe_line(number, stream))

    def _write(self, line: bytes) -> None:
        """Errors: NetworkError: lost before it was written."""
        if self.lost:
            raise NetworkError(self._name, "connection lost", Reached.NO)
        self._writer.write(line)
        if self._writer.transport.get_write_buffer_size() > UNSENT_MAX:
            self.lose("the server does not read")

    def lose(self, why: str) -> None:
        """Give the connection up: every wait fails, every stream ends with an error. Harmless if repeated."""
        if self.lost:
            return
        self.lost = True
        self._task.cancel()
        self._writer.transport.abort()
        for answer in list(self._waiting.values()):
            if not answer.done():
                answer.set_exception(NetworkError(self._name, f"connection lost: {why}", Reached.UNKNOWN))
        for stream in list(self._streams.values()):
            stream.lose(NetworkError(self._name, f"connection lost: {why}", Reached.UNKNOWN))
        self._streams.clear()

    async def _read(self) -> None:
        try:
            while line := await self._reader.readline():
                if not line.endswith(b"\n"):
                    break
                self._take(line)
            why = "the server closed it"
        except OSError as error:
            why = error.strerror or str(error)
        except ValueError:
            why = f"a line of more than {ANSWER_MAX} bytes"
        except BadLine as error:
            why = f"a line that is no message ({error.what})"
        self.lose(why)

    def _take(self, line: bytes) -> None:
        fields = framing.load(line)
        number, stream = fields.get("id"), fields.get("stream")
        if type(stream) is int and stream in self._streams:
            found = self._streams[stream]
            found.push(line)
            if fields.get("end") is True:
                del self._streams[stream]
                found.end()
        elif type(number) is int and number in self._waiting:
            answer = self._waiting[number]
            if not answer.done():
                answer.set_result(framing.response_of(fields, line))
        elif type(number) is int and number in self._streams and fields.get("ok") is not True:
            refused = self._streams.pop(number)
            refused.push(line)
            refused.end()
        elif number is None and stream is None:
            raise BadLine(str(fields.get("error", {}))[:200], None)


class LinesStream:
    """`ports.FrameStream`: frames as lines; a refusal or the server's end is the last of them."""

    def __init__(self, transport: LinesTransport, url: str) -> None:
        self._transport = transport
        self._url = url
        self.number = 0
        self._connection: Connection | None = None
        self._frames: deque[bytes] = deque()
        self._begun = False
        self._ended = False
        self._error: NetworkError | None = None
        self._more: asyncio.Future[None] | None = None

    def __aiter__(self) -> LinesStream:
        return self

    async def __anext__(self) -> bytes:
        await self._begin()
        while not self._frames:
            if self._error is not None:
                raise self._error
            if self._ended:
                raise StopAsyncIteration
            self._more = asyncio.get_running_loop().create_future()
            await self._more
        return self._frames.popleft()

    async def send(self, frame: bytes) -> None:
        await self._begin()
        if self._error is not None:
            raise self._error
        if self._connection is not None and not self._ended:
            self._connection.tell(self._transport.number(), self.number, frame)

    async def aclose(self) -> None:
        self._ended = True
        self._frames.clear()
        if self._connection is not None:
            self._connection.unsubscribe(self._transport.number(), self.number)
        self._wake()

    async def _begin(self) -> None:
        if self._begun or self._ended:
            return
        self._begun = True
        connection = await self._transport.connected()
        if not self._ended:  # closed meanwhile: a subscription made now would never be taken back
            self._connection = connection
            connection.subscribe(self._transport.number(), self, self._url)

    def push(self, line: bytes) -> None:
        if len(self._frames) >= FRAMES_MAX and self._connection is not None:
            self._connection.unsubscribe(self._transport.number(), self.number)
            self.lose(NetworkError(self._transport.name, f"{FRAMES_MAX} frames were not read", Reached.UNKNOWN))
        elif not self._ended:
            self._frames.append(line)
            self._wake()

    def end(self) -> None:
        self._ended = True
        self._wake()

    def lose(self, error: NetworkError) -> None:
        self._error, self._ended = error, True
        self._frames.clear()
        self._wake()

    def _wake(self) -> None:
        if self._more is not None and not self._more.done():
            self._more.set_result(None)
