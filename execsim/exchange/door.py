"""The door between a server and an exchange that nobody hosts: everything goes through at once. Its tasks run on the
exchange's own runtime, in wall time. (The door of `execsim serve` is scenario/door.py.)"""

from __future__ import annotations

from collections.abc import Callable

from execsim.core.errors import ExecError
from execsim.exchange import command
from execsim.ports import Desk, Dialect, Request, Response, Runtime


class OpenDoor:
    """`ports.Door`."""

    def __init__(self, runtime: Runtime, dialect: Dialect) -> None:
        self._runtime = runtime
        self._dialect = dialect

    def ask(self, desk: Desk, request: Request, told: Callable[[Response], None]) -> None:
        self._runtime.spawn(answered(self._dialect, desk, request, told), f"ask {request.method[:32]}", daemon=True)

    def command(self, desk: Desk, method: str, name: str, body: bytes, told: Callable[[Response], None]) -> None:
        command.answer(self._dialect, desk, method, name, body, told)

    def enter(self, fn: Callable[[], None]) -> None:
        fn()

    def out(self, tell: Callable[[bytes], None], frame: bytes) -> None:
        tell(frame)


async def answered(dialect: Dialect, desk: Desk, request: Request, told: Callable[[Response], None]) -> None:
    """The task that works on one request. A client that goes away does not call it back."""
    try:
        answer = await dialect.answer(desk, request)
    except ExecError as error:
        answer = dialect.refuse(error)
    told(answer)
