"""A dialect of JSON lines behind TCP: reads lines, lets the dialect answer, writes lines. Never dies of what a client sends.

What is asked goes through a door (`ports.Door`), frames and answers are written as they come out. A client that sends what
is no message is told so and may go on; one that sends a line too long, or does not read what it gets, is disconnected.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

from execsim.core.errors import ConfigError, ExecError, InvalidResponse, RateLimitExceeded, VenueNotSupported
from execsim.net import framing
from execsim.net.framing import LINE_MAX, BadLine, Line
from execsim.ports import Desk, Dialect, Door, Response, Served

log = logging.getLogger("execsim.serve")

CONNECTIONS_MAX: Final = 1_000
FLYING_MAX: Final = 4_096
"""Requests of one connection that may be worked on at a time; more are refused."""
STREAMS_MAX: Final = 1_000
"""Streams of one connection."""
UNREAD_MAX: Final = 1 << 24
"""Bytes a client may be behind in reading (16 MiB); then it is disconnected, and asks anew."""
BAD_LINES_MAX: Final = 100
"""Lines that are no message: who sends more of them does not speak this protocol."""
LINES_PER_TURN: Final = 64
"""Lines of one client before the others have their turn: who never stops sending must not keep them waiting."""
HELLO: Final = "hello"


class LinesServer:
    """`desks` by venue id; a line that names no venue means the only one. The socket is bound by who makes the server."""

    def __init__(self, door: Door, dialect: Dialect, desks: Mapping[str, Desk], listening: socket.socket) -> None:
        self.door = door
        self.dialect = dialect
        self._desks = dict(desks)
        self._socket = listening
        self._server: asyncio.Server | None = None
        self._clients: set[Client] = set()

    async def start(self) -> None:
        """Accept clients from now on. May be awaited in asyncio, or in a task of a WallRuntime."""
        for desk in self._desks.values():
            self.dialect.begin(desk)
        starting = asyncio.start_server(self._connected, sock=self._socket, limit=LINE_MAX)
        self._server = await asyncio.ensure_future(starting)

    def hang_up(self) -> None:
        """Disconnect every client; what was written still goes out. They may come again."""
        for client in list(self._clients):
            client.close()

    async def aclose(self) -> None:
        """No more clients; those there are, are disconnected."""
        if self._server is not None:
            self._server.close()
        self.hang_up()
        self._socket.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # a client whose machine died says nothing: the system finds out
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        client = Client(self, writer)
        if len(self._clients) >= CONNECTIONS_MAX:
            client.answer(None, self.refusal(f"{CONNECTIONS_MAX} clients are connected already"))
            client.close()
            return
        self._clients.add(client)
        try:
            with suppress(OSError):  # it is gone
                await self._read(client, reader)
        finally:
            self._clients.discard(client)
            client.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _read(self, client: Client, reader: asyncio.StreamReader) -> None:
        for number in itertools.count(1):
            if client.closed:
                return
            try:
                raw = await reader.readline()
            except ValueError:
                client.answer(None, self.refusal(f"a line of more than {LINE_MAX} bytes"))
                return
            if not raw.endswith(b"\n"):
                return  # the end, perhaps in the middle of a line
            if raw.strip():
                client.take(raw)
            if number % LINES_PER_TURN == 0:
                await asyncio.sleep(0)

    def refusal(self, text: str) -> Response:
        """What no message is: said in the dialect's words."""
        return self.dialect.refuse(InvalidResponse("execsim", "BAD_LINE", text))

    def has(self, venue: str) -> bool:
        return not venue or venue in self._desks

    def desk(self, venue: str) -> Desk:
        """Errors: VenueNotSupported; ConfigError where the line has to name one."""
        if venue in self._desks:
            return self._desks[venue]
        if venue:
            raise VenueNotSupported(venue[:64], ", ".join(self._desks))
        if len(self._desks) > 1:
            raise ConfigError("the line names no venue", f"name one: {', '.join(self._desks)}")
        return next(iter(self._desks.values()))


class Client:
    """One connection. Its `hello` says which account and venue its lines mean that name none."""

    def __init__(self, server: LinesServer, writer: asyncio.StreamWriter) -> None:
        self._server = server
        self._door = server.door
        self._writer = writer
        self._streams: dict[int, Served] = {}
        self._account = self._venue = ""
        self._flying = 0
        self._bad = 0
        self.closed = False

    def close(self) -> None:
        """Let go of its streams; what was written still goes out. Harmless if repeated."""
        if not self.closed:
            self.closed = True
            streams, self._streams = list(self._streams.values()), {}
            for served in streams:
                self._door.enter(served.close)
            self._writer.close()

    # ---------------------------------------------------------------- what comes
    def take(self, raw: bytes) -> None:
        """One line of it."""
        try:
            line = self._meant(framing.read_request(raw))
            act = STREAMS.get(line.op)
            if act is None:
                self._ask(line)
            else:
                self._door.enter(lambda: self._of_stream(act, line))
        except BadLine as error:
            self._no_message(error)

    def _of_stream(self, act: Callable[[Client, Line], None], line: Line) -> None:
        try:
            if not self.closed:  # it may be gone before its turn came
                act(self, line)
        except BadLine as error:
            self._no_message(error)

    def _no_message(self, error: BadLine) -> None:
        self._bad += 1
        self.answer(error.number, self._server.refusal(error.what))
        if self._bad > BAD_LINES_MAX:
            self.close()

    def _meant(self, line: Line) -> Line:
        account, venue = line.account or self._account, line.venue or self._venue
        if line.op == HELLO and self._server.has(venue):
            self._account, self._venue = account, venue
        return Line(line.number, line.op, venue, account, line.stream, line.body)

    def _ask(self, line: Line) -> None:
        try:
            desk = self._server.desk(line.venue)
        except ExecError as error:
            self.answer(line.number, self._server.dialect.refuse(error))
            return
        if self._flying >= FLYING_MAX:
            busy = RateLimitExceeded("execsim", f"{FLYING_MAX} requests of this connection are being worked on", 0)
            self.answer(line.number, self._server.dialect.refuse(busy))
            return
        self._flying += 1

        def told(response: Response) -> None:
            self._flying -= 1
            self._put(framing.answer_line(line.number, response))

        self._door.ask(desk, line.request(), told)

    def _subscribe(self, line: Line) -> None:
        """Its answer comes before its frames, those of this moment included."""
        number, url = line.number, line.url()
        if number in self._streams:
            raise BadLine(f"stream {number} is open already", number)
        if len(self._streams) >= STREAMS_MAX:
            raise BadLine(f"{STREAMS_MAX} streams are open already", number)
        held: list[bytes] = []
        answered = False

        def push(frame: bytes) -> None:
            if answered:
                self._write(framing.frame_line(number, frame))
            else:
                held.append(frame)

        try:
            served = self._server.dialect.stream(self._server.desk(line.venue), url, push)
        except ExecError as error:
            self.answer(number, self._server.dialect.refuse(error))
            return
        self._streams[number] = served
        self.answer(number, Response(200, {}, b""))
        answered = True
        for frame in held:
            push(frame)

    def _unsubscribe(self, line: Line) -> None:
        self._stream(line).close()
        del self._streams[line.stream or 0]
        self.answer(line.number, Response(200, {}, b""))

    def _told(self, line: Line) -> None:
        served = self._stream(line)
        try:
            served.hear(framing.dump(line.body))
        except ExecError as error:
            served.close()
            del self._streams[line.stream or 0]
            self._write(framing.end_line(line.stream or 0, self._server.dialect.refuse(error)))
        self.answer(line.number, Response(200, {}, b""))

    def _stream(self, line: Line) -> Served:
        served = self._streams.get(-1 if line.stream is None else line.stream)
        if served is None:
            raise BadLine(f"stream {line.stream} is not open", line.number)
        return served

    # ---------------------------------------------------------------- what goes
    def answer(self, number: int | None, response: Response) -> None:
        self._write(framing.answer_line(number, response))

    def _write(self, line: bytes) -> None:
        self._door.out(self._put, line)

    def _put(self, line: bytes) -> None:
        if self.closed:
            return
        self._writer.write(line)
        if self._writer.transport.get_write_buffer_size() > UNREAD_MAX:
            log.warning("a client does not read: disconnected")
            self._writer.transport.abort()
            self.close()


STREAMS: Final[Mapping[str, Callable[[Client, Line], None]]] = {
    framing.SUBSCRIBE: Client._subscribe, framing.UNSUBSCRIBE: Client._unsubscribe, framing.TELL: Client._told,
}  # fmt: skip
"""What is done at a stream."""


def bind(host: str, port: int) -> socket.socket:
    """A listening place; port 0: any free one. Errors: ConfigError naming the address."""
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, proto)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
        except OSError:
            listening.close()
            raise
    except (OSError, OverflowError) as error:
        what = getattr(error, "strerror", None) or str(error)
        raise ConfigError(
            f"cannot listen on {host}:{port}: {what}", "choose another port, or 0 for any free one"
        ) from None
    return listening
