"""Metrics over WebSocket: ws://127.0.0.1:PORT, a JSON frame a message, every series at each look.

Threads of the server's own, one a client: they see snapshots and nothing else of the run. A client that reads slowly
misses snapshots, not the newest one; the last of a run reaches everybody who is still there.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
from contextlib import suppress
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

from execsim.core.errors import ConfigError
from execsim.observe.snapshot import Snapshot

HOST: Final = "127.0.0.1"
CLIENTS_MAX: Final = 16
"""One more is turned away (close code 1013, try again later)."""
FAREWELL_S: Final = 2.0
"""How long the end of a run waits for clients to take the last snapshot; who has not is cut off."""
HANDSHAKE_S: Final = 1.0
"""How long a client may take to say that it heard of the end."""
MESSAGE_MAX: Final = 1024
"""Bytes of a message from a client: there is nothing to tell us."""

HERE: Final = ("localhost", "127.0.0.1", "::1")


class FrameServer:
    """Serves from the moment it is made. Port 0 picks a free one. Errors: ConfigError for a port that is taken."""

    def __init__(self, port: int, farewell_s: float = FAREWELL_S) -> None:
        self._farewell_s = farewell_s
        self._changed = threading.Condition()
        self._messages: list[str] | None = None
        """of the newest snapshot, made when the first client wants them"""
        self._newest: Snapshot | None = None
        self._number = 0
        self._over = False
        self._clients: set[ServerConnection] = set()
        quiet = logging.getLogger("websockets.execsim")
        quiet.setLevel(logging.CRITICAL)  # a client that breaks off is no news
        try:
            self._server = serve(
                self._serve, HOST, port, process_request=_local_only, compression=None, close_timeout=HANDSHAKE_S,
                max_size=MESSAGE_MAX, logger=quiet,
            )  # fmt: skip
        except OSError as error:
            why = os.strerror(error.errno or 0)  # the error's own text repeats the address
            raise ConfigError(f"--metrics-ws {port}: {why}", "name another port, or 0 for a free one") from None
        self.url = f"ws://{HOST}:{self._server.socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics-ws", daemon=True)
        self._thread.start()

    def publish(self, snapshot: Snapshot) -> None:
        with self._changed:
            self._newest, self._messages = snapshot, None
            self._number += 1
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._over = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._clients, self._farewell_s)
            left = list(self._clients)
        for client in left:
            with suppress(OSError):
                client.socket.shutdown(socket.SHUT_RDWR)
        self._server.shutdown()
        self._thread.join()

    def _serve(self, client: ServerConnection) -> None:
        """One client, in its thread, until it leaves or the run is over."""
        with self._changed:
            full = len(self._clients) >= CLIENTS_MAX
            if not full:
                self._clients.add(client)
        if full:
            client.close(1013, f"{CLIENTS_MAX} clients are served already")
            return
        try:
            seen = 0
            while (found := self._next(seen)) is not None:
                seen, messages = found
                for message in messages:
                    client.send(message)
        except ConnectionClosed:
            return
        finally:
            with self._changed:
                self._clients.discard(client)
                self._changed.notify_all()

    def _next(self, seen: int) -> tuple[int, list[str]] | None:
        """Wait for a snapshot after number `seen`; None when there will be none."""
        with self._changed:
            self._changed.wait_for(lambda: self._number > seen or self._over)
            if self._number == seen or self._newest is None:
                return None
            if self._messages is None:
                self._messages = [json.dumps(frame, ensure_ascii=False) for frame in self._newest.frames()]
            return self._number, self._messages


def _local_only(client: ServerConnection, request: Request) -> Response | None:
    """A browser says which page asks: pages of other sites must not read what a user trades."""
    origin = request.headers.get("Origin")
    if origin is None or urlsplit(origin).hostname in HERE:
        return None
    return client.respond(HTTPStatus.FORBIDDEN, "pages of other sites may not read this\n")
