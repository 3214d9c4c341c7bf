"""JSON lines: one message a line, in UTF-8, an object each. The envelope of every dialect that is framed so; sans-IO.

    {"id": 7, "op": "place", "venue": "polymarket", "account": "bob", ...}    a request; `id` names its answer
    {"id": 7, "ok": true, ...}                                                its answer
    {"id": 8, "op": "subscribe", "channel": "orders", ...}                    opens stream 8
    {"stream": 8, ...}                                                        a frame of it
    {"id": 9, "op": "tell", "stream": 8, ...}                                 something said on it
    {"id": 10, "op": "unsubscribe", "stream": 8}                              ends it
    {"stream": 8, "end": true, ...}                                           the server ended it

What else an object holds is the dialect's business. `venue` and `account` are a Request's path and its account header.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from execsim.ports import Request, Response

LINE_MAX: Final = 1 << 20
"""Bytes of a line a server reads (1 MiB): a batch of a thousand orders has room; a longer line ends the connection."""
ANSWER_MAX: Final = 1 << 26
"""Bytes of a line a client reads (64 MiB): the instruments of a venue with 100,000 markets have room."""
ID_MAX: Final = 2**53
"""Ids stay exact in languages whose numbers are doubles."""
ENVELOPE: Final = frozenset({"id", "op", "venue", "account", "stream"})
ACCOUNT: Final = "account"
SUBSCRIBE, UNSUBSCRIBE, TELL = "subscribe", "unsubscribe", "tell"


class BadLine(Exception):
    """(what, id): a line that is no message; `id` is that of the request if it could be read, else None."""

    @property
    def what(self) -> str:
        return str(self.args[0])

    @property
    def number(self) -> int | None:
        number: int | None = self.args[1]
        return number


@dataclass(frozen=True, slots=True)
class Line:
    """A request as it came. `venue` and `account` are "" where the line names none."""

    number: int
    op: str
    venue: str
    account: str
    stream: int | None
    body: Mapping[str, Any]

    def request(self) -> Request:
        return Request(self.op, self.venue, {ACCOUNT: self.account}, dump(self.body))

    def url(self) -> str:
        """The stream a subscription asks for. Errors: BadLine."""
        channel = self.body.get("channel")
        if not isinstance(channel, str):
            raise BadLine("subscribe: `channel` should be a string", self.number)
        rest = {name: value for name, value in self.body.items() if name != "channel"}
        if not all(isinstance(value, str) for value in rest.values()):
            raise BadLine("subscribe: every field is a string", self.number)
        return channel + "?" + urlencode({ACCOUNT: self.account, **rest})


def dump(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def load(raw: bytes) -> dict[str, Any]:
    """The object of a line. Errors: BadLine."""
    try:
        value = json.loads(raw.decode())
    except UnicodeDecodeError:
        raise BadLine("not UTF-8", None) from None
    except RecursionError:
        raise BadLine("JSON nested too deeply", None) from None
    except ValueError as error:
        raise BadLine(f"not JSON: {error}", None) from None
    if not isinstance(value, dict):
        raise BadLine(f"a message is a JSON object, not {type(value).__name__}", None)
    return value


def read_request(raw: bytes) -> Line:
    """Errors: BadLine naming what is wrong."""
    fields = load(raw)
    number = fields.get("id")
    if type(number) is not int or not 0 <= number < ID_MAX:
        raise BadLine("`id` should be an integer from 0 to 2**53 - 1", None)
    for name in ("op", "venue", "account"):
        if not isinstance(fields.get(name, ""), str):
            raise BadLine(f"`{name}` should be a string", number)
    if not fields.get("op"):
        raise BadLine("`op` says what is asked", number)
    stream = fields.get("stream")
    if stream is not None and type(stream) is not int:
        raise BadLine("`stream` should be the id of its subscription", number)
    body = {name: value for name, value in fields.items() if name not in ENVELOPE}
    return Line(number, fields["op"], fields.get("venue", ""), fields.get("account", ""), stream, body)


def request_line(number: int, request: Request) -> bytes:
    """A request as a line. Its body is empty or a JSON object."""
    head = {"id": number, "op": request.method, "venue": request.path, "account": request.headers.get(ACCOUNT, "")}
    return _spliced({name: value for name, value in head.items() if value != ""}, request.body)


def subscribe_line(number: int, url: str) -> bytes:
    """Ask for a stream: `channel?name=value&...`."""
    channel, _, query = url.partition("?")
    return dump({"id": number, "op": SUBSCRIBE, "channel": channel, **dict(parse_qsl(query))}) + b"\n"


def unsubscribe_line(number: int, stream: int) -> bytes:
    return dump({"id": number, "op": UNSUBSCRIBE, "stream": stream}) + b"\n"


def tell_line(number: int, stream: int, frame: bytes) -> bytes:
    return _spliced({"id": number, "op": TELL, "stream": stream}, frame)


def answer_line(number: int | None, response: Response) -> bytes:
    """An answer; its body is empty or a JSON object."""
    return _spliced({"id": number}, response.body or b'{"ok":true}')


def frame_line(stream: int, frame: bytes) -> bytes:
    return _spliced({"stream": stream}, frame)


def end_line(stream: int, response: Response) -> bytes:
    """The server ends a stream, and says why."""
    return _spliced({"stream": stream, "end": True}, response.body)


def response_of(fields: Mapping[str, Any], raw: bytes) -> Response:
    """The answer that a line holds: 200, or 400 where it says no."""
    return Response(200 if fields.get("ok") is True else 400, {}, raw)


def _spliced(head: Mapping[str, Any], body: bytes) -> bytes:
    """One object of two, without reading the second."""
    start = dump(head)
    body = body.strip()
    return start + b"\n" if body in (b"", b"{}") else start[:-1] + b"," + body[1:] + b"\n"
