"""The door of a hosted exchange: what servers hear becomes inputs of its run, and is performed again from its log."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from execsim.core.errors import JournalError, VenueError
from execsim.exchange import command
from execsim.exchange.door import answered
from execsim.ports import Desk, Dialect, HostInput, Request, Response
from execsim.runtime import Pacer

REFUSAL: Final = "Trading is currently disabled."
"""What everybody is told once the state cannot be kept, as 503 of the venue (polymarket.md section 5.5)."""

UNKEPT: Final = HostInput(0, 0, "request")
"""An input where there is no log."""


class HostedDoor:
    """`ports.Door`. Everything that may change something is logged first; what the dialect says is free, is not."""

    def __init__(self, pacer: Pacer, dialect: Dialect, desks: Mapping[str, Desk]) -> None:
        self._pacer = pacer
        self._dialect = dialect
        self._desks = desks

    def ask(self, desk: Desk, request: Request, told: Callable[[Response], None]) -> None:
        item = None
        if not self._dialect.is_free(request):
            item = UNKEPT
            if self._pacer.keeps:
                told_of = [request.method, request.path, dict(request.headers), request.peer]
                head = json.dumps(told_of, separators=(",", ":"))
                item = HostInput(0, 0, "request", desk.venue_id, head, request.body)
        self._pacer.ask(item, partial(self._request, desk, request), told, partial(self._refusal, desk))

    def _request(self, desk: Desk, request: Request, done: Callable[[Response], None]) -> None:
        work = answered(self._dialect, desk, request, done)
        self._pacer.runtime.spawn(work, f"ask {request.method[:32]}", daemon=True)

    def _refusal(self, desk: Desk, error: JournalError) -> Response:
        return self._dialect.refuse(VenueError(desk.venue_id, "503", REFUSAL))

    def command(self, desk: Desk, method: str, name: str, body: bytes, told: Callable[[Response], None]) -> None:
        item = None
        if method == "POST":
            item = HostInput(0, 0, "command", desk.venue_id, json.dumps([method, name]), body)
        act = partial(command.answer, self._dialect, desk, method, name, body)
        self._pacer.ask(item, act, told, lambda error: command.written(503, {"error": str(error)}), alone=True)

    def enter(self, fn: Callable[[], None]) -> None:
        self._pacer.enter(fn)

    def out(self, tell: Callable[[bytes], None], frame: bytes) -> None:
        self._pacer.out(tell, frame)

    def perform(self, item: HostInput) -> None:
        """An input from the log, again: nobody hears the answer. Errors: JournalError."""
        desk = self._desks.get(item.key)
        try:
            head: Any = json.loads(item.head)
            if desk is not None and item.kind == "request":
                method, path, headers, peer = head
                self._request(desk, Request(method, path, headers, item.body, peer), _unheard)
            elif desk is not None and item.kind == "command":
                method, name = head
                command.answer(self._dialect, desk, method, name, item.body, _unheard)
            else:
                raise ValueError("no such kind or venue")
        except (ValueError, TypeError) as error:
            raise JournalError("the state", f"an entry of kind {item.kind[:32]!r} makes no sense: {error}") from None


def _unheard(answer: Response) -> None:
    """Whoever asked has had it, or never will."""
