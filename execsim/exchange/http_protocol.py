"""HTTP/1.1 on one connection as uvicorn speaks it, with an end to patience and one write an answer.

uvicorn waits for a request as long as its sender likes. Here a client that begins a request and does not finish its head in
time is disconnected; one that does not finish its body is answered 408 by the app (http_server.py). An idle connection,
between requests, is kept by uvicorn's own keep-alive.
"""

from __future__ import annotations

from typing import Any, Final

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_S: Final = 10.0
"""How long the head of a request may take from its first byte (of a new connection: from the start), in seconds."""


class Corked:
    """A transport whose writes of one turn of the loop leave as one: head and body of an answer are one packet. Each packet
    costs a system call here and wakes the client; two of them met delayed ACKs (polymarket.md section 13)."""

    def __init__(self, transport: Any, loop: Any) -> None:
        self.bare = transport
        self._loop = loop
        self._waiting: list[bytes] = []

    def write(self, data: bytes) -> None:
        if not self._waiting:
            self._loop.call_soon(self.flush)
        self._waiting.append(data)

    def flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        if waiting and not self.bare.is_closing():
            self.bare.write(b"".join(waiting))

    def close(self) -> None:
        self.flush()
        self.bare.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.bare, name)


class PatientProtocol(H11Protocol):
    """`head_s` is set by a subclass (`patient`): uvicorn makes protocols itself."""

    head_s: float = HEAD_S
    _late: Any = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(Corked(transport, self.loop))  # type: ignore[arg-type]  # all that is called of one
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self, event: Any) -> None:
        corked: Any = self.transport
        corked.flush()
        self.transport = corked.bare
        super().handle_websocket_upgrade(event)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._awaits_head():
            self._arm()
        else:
            self._disarm()

    def _awaits_head(self) -> bool:
        """Whether a request has begun to arrive and what came is not its whole head."""
        if self.transport.get_protocol() is not self or self.transport.is_closing():
            return False  # a WebSocket now, or over
        return self.cycle is None or (self.cycle.response_complete and bool(self.conn.trailing_data[0]))

    def _arm(self) -> None:
        if self._late is None:
            self._late = self.loop.call_later(self.head_s, self._end)

    def _disarm(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _end(self) -> None:
        self._late = None
        if self._awaits_head():
            self.transport.close()


def patient(head_s: float) -> type[PatientProtocol]:
    """The protocol with a patience of its own, in seconds."""
    return type("PatientProtocol", (PatientProtocol,), {"head_s": head_s})
