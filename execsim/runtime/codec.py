"""How what comes in from outside is written into a session's log, and read from it again.

A recorded run hands out what was read back from the log's bytes, never the original: what a replay sees is then the same
by construction.
"""

from __future__ import annotations

import builtins
import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from hashlib import sha256
from typing import Any, Final, Generic, TypeVar

from execsim.core import errors
from execsim.core.errors import ConfigError, ExecError
from execsim.ports import Request, Response

T = TypeVar("T")

SECRETS: Final = ("auth", "cookie", "key", "passphrase", "secret", "sign", "token")
"""A header whose name holds one of these is logged as a hash of its value: a log is no place for credentials, and a hash
still shows whether a replay would send the same."""


@dataclass(frozen=True, slots=True)
class Codec(Generic[T]):
    """A value to bytes and back: `decode(encode(x))` equals x."""

    encode: Callable[[T], bytes]
    decode: Callable[[bytes], T]


def _raw(body: bytes) -> bytes:
    return body


def _plain(value: Any) -> bytes:
    """Errors: ConfigError for a value the log cannot hold."""
    try:
        text = json.dumps(value, separators=(",", ":"))
    except (TypeError, ValueError):
        text = ""
    if not text or json.loads(text) != value:
        raise ConfigError(
            f"a blocking function returned {type(value).__name__}, which a recorded session cannot keep",
            "return None, a number, a text, or lists and dicts of those",
        )
    return text.encode()


def request_bytes(request: Request) -> bytes:
    """`["METHOD", "path", {headers}]`, a line feed, the body; secret headers as hashes."""
    headers = {name: _masked(name, value) for name, value in request.headers.items()}
    return _head([request.method, request.path, headers]) + request.body


def _masked(name: str, value: str) -> str:
    secret = any(word in name.lower() for word in SECRETS)
    return f"sha256:{sha256(value.encode()).hexdigest()[:16]}" if secret else value


def _response_bytes(response: Response) -> bytes:
    return _head([response.status, dict(response.headers)]) + response.body


def _response(body: bytes) -> Response:
    head, _, rest = body.partition(b"\n")
    status, headers = json.loads(head)
    return Response(status, headers, rest)


def _head(fields: list[Any]) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode() + b"\n"


RAW: Final = Codec(_raw, _raw)
PLAIN: Final[Codec[Any]] = Codec(_plain, json.loads)
RESPONSE: Final = Codec(_response_bytes, _response)


def error_bytes(error: BaseException) -> bytes:
    """Class and args: an ExecError is rebuilt from them exactly, another error as far as its args are plain."""
    args = [arg.value if isinstance(arg, Enum) else arg for arg in error.args]
    try:
        text = json.dumps([type(error).__name__, args], separators=(",", ":"))
    except (TypeError, ValueError):
        text = json.dumps([type(error).__name__, [str(error)]])
    return text.encode()


def error_of(body: bytes) -> BaseException:
    """The error `error_bytes` wrote; one that is neither execsim's nor Python's own comes back as a RuntimeError."""
    name, args = json.loads(body)
    args = [tuple(arg) if isinstance(arg, list) else arg for arg in args]
    kind = getattr(errors, name, None) or getattr(builtins, name, None)
    if isinstance(kind, type) and issubclass(kind, ExecError | Exception):
        try:
            return kind(*args)
        except TypeError:
            pass
    return RuntimeError(f"{name}: {args[0] if args else ''}")
