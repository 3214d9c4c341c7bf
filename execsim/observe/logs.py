"""Logging to stderr: one line an event, key=value or JSON, secrets masked."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from typing import Any, Final, Literal

from execsim.core.errors import ConfigError

MASK: Final = "***"

SECRET: Final = re.compile(
    r"key|secret|passphrase|password|passwd|token|signature|private|credential|authorization|cookie|mnemonic",
    re.IGNORECASE,
)
"""A field whose name contains one of these is masked, at the cost of hiding some harmless ones (a token id)."""

_PAIR: Final = re.compile(
    rf"(?P<name>[\"']?[\w.-]*(?:{SECRET.pattern})[\w.-]*[\"']?)(?P<between>\s*[=:]\s*)"
    r"(?P<value>\"[^\"]*\"|'[^']*'|(?:(?:bearer|basic)\s+)?[^\s,;&}\])]+)",
    re.IGNORECASE,
)

QUIET: Final = ("numba", "httpx", "httpcore", "websockets", "asyncio", "urllib3", "matplotlib", "PIL")
"""Libraries that only speak from WARNING up: at DEBUG numba alone writes thousands of lines."""

_STANDARD: Final = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {"message", "asctime", "taskName"}


class _Handler(logging.StreamHandler[Any]):
    """Ours, so that a second `init_logging` finds and replaces it."""


def init_logging(level: str | int = "INFO", format: Literal["text", "json"] = "text") -> None:
    """Log to stderr from `level` up. Calling it again changes level and format; handlers of others are left alone.

    `log.info("placed", extra={"order_id": "7"})` gives `... msg=placed order_id=7` or the same as a JSON object. Values
    of fields named like a secret, and such pairs inside messages and tracebacks, are masked. Errors: ConfigError.
    """
    number = _level(level)
    if format not in ("text", "json"):
        raise ConfigError(f"log format {format!r} does not exist", "one of: text, json")
    root = logging.getLogger()
    for handler in list(root.handlers):
        if isinstance(handler, _Handler):
            root.removeHandler(handler)
    handler = _Handler(sys.stderr)
    handler.setFormatter(JsonLines() if format == "json" else KeyValues())
    root.addHandler(handler)
    root.setLevel(number)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))


def mask(text: str) -> str:
    """`text` with the values of secret-looking name=value and "name": value pairs replaced."""
    return _PAIR.sub(lambda m: f"{m['name']}{m['between']}{MASK}", text)


class JsonLines(logging.Formatter):
    """{"ts", "level", "logger", "msg", extra fields, "error" with the traceback}"""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(_fields(record, self), default=str, ensure_ascii=False)


class KeyValues(logging.Formatter):
    """ts=... level=... logger=... msg="..." and the extra fields; the traceback follows on its own lines."""

    def format(self, record: logging.LogRecord) -> str:
        fields = _fields(record, self)
        error = fields.pop("error", None)
        line = " ".join(f"{name}={_quoted(value)}" for name, value in fields.items())
        return line if error is None else f"{line}\n{error}"


def _fields(record: logging.LogRecord, formatter: logging.Formatter) -> dict[str, Any]:
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    fields: dict[str, Any] = {
        "ts": f"{seconds}.{int(record.msecs):03d}Z",
        "level": record.levelname,
        "logger": record.name,
        "msg": mask(record.getMessage()),
    }
    for name, value in vars(record).items():
        if name not in _STANDARD:
            fields[name] = _masked(name, value)
    if record.exc_info:
        fields["error"] = mask(formatter.formatException(record.exc_info))
    return fields


def _masked(name: str, value: Any) -> Any:
    if SECRET.search(name):
        return MASK
    if isinstance(value, dict):
        return {str(key): _masked(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_masked("", inner) for inner in value]
    if isinstance(value, str):
        return mask(value)
    # our own values first, so that a secret inside the repr of an object is masked as well
    return value if value is None or isinstance(value, bool | int | float) else mask(str(value))


def _quoted(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return json.dumps(text, ensure_ascii=False) if not text or re.search(r'[\s"=]', text) else text


def _level(level: str | int) -> int:
    if isinstance(level, int):
        return level
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise ConfigError(f"log level {level!r} does not exist", "one of: DEBUG, INFO, WARNING, ERROR, CRITICAL")
    return number
