"""An HTTP and a WebSocket server for tests, in a thread of their own: `answer` and `chat` say what they do."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress

from websockets.asyncio.server import ServerConnection, serve

from execsim.ports import Request, Response

Answer = Callable[[Request], Response | None]
"""None: hang up without a word"""
TURNS = 5
"""Turns of the loop in which aborted connections are closed."""
Chat = Callable[[ServerConnection], Awaitable[None]]


class WebPeer:
    """Both servers on loopback. `connections` counts those of HTTP; `hang_up` ends them."""

    def __init__(self, answer: Answer, chat: Chat) -> None:
        self.answer, self.chat = answer, chat
        self.connections = 0
        self.rest = self.ws = ""
        self.loop = asyncio.new_event_loop()
        self._writers: list[asyncio.StreamWriter] = []

    def hang_up(self) -> None:
        self.loop.call_soon_threadsafe(lambda: [writer.transport.abort() for writer in self._writers])

    async def start(self) -> None:
        self._http = server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.rest = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._chats = chats = await serve(self.chat, "127.0.0.1", 0)
        self.ws = f"ws://127.0.0.1:{next(iter(chats.sockets)).getsockname()[1]}"

    async def stop(self) -> None:
        self._http.close()
        for writer in self._writers:
            writer.transport.abort()
        self._chats.close()
        await self._chats.wait_closed()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        await asyncio.gather(*tasks, return_exceptions=True)
        for _ in range(TURNS):
            await asyncio.sleep(0)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        with suppress(OSError, asyncio.IncompleteReadError):
            while (head := await reader.readuntil(b"\r\n\r\n")) and await self._one(head.decode(), reader, writer):
                pass
        writer.close()

    async def _one(self, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        first, *lines = head.strip().split("\r\n")
        method, path, _ = first.split(" ")
        headers = {name.upper(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("CONTENT-LENGTH", "0")))
        response = self.answer(Request(method, path, headers, body))
        if response is None:
            return False
        told = "".join(f"{name}: {value}\r\n" for name, value in response.headers.items())
        writer.write(f"HTTP/1.1 {response.status} x\r\nContent-Length: {len(response.body)}\r\n{told}\r\n".encode())
        writer.write(response.body)
        await writer.drain()
        return True


@contextmanager
def serving(answer: Answer, chat: Chat) -> Iterator[WebPeer]:
    peer = WebPeer(answer, chat)
    thread = threading.Thread(target=peer.loop.run_forever, daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(peer.start(), peer.loop).result(20)
        yield peer
    finally:
        asyncio.run_coroutine_threadsafe(peer.stop(), peer.loop).result(20)
        peer.loop.call_soon_threadsafe(peer.loop.stop)
        thread.join(20)
        peer.loop.close()
