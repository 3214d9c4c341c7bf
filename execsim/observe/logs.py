"""Logging to stderr: one line an event, key=value or JSON, secrets masked (execsim/observe/masks.py)."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Literal, TextIO

from execsim.core.errors import ConfigError
from execsim.observe.masks import mask, masked

QUIET: Final = (
    "numba", "httpx", "httpcore", "hpack", "h2", "hyperframe", "websockets", "asyncio", "urllib3", "matplotlib", "PIL",
)  # fmt: skip
"""Libraries that only speak from WARNING up: at DEBUG numba alone writes thousands of lines, and hpack writes the headers
of a request as compressed bytes, in which no secret is found to be masked and each can be read."""

FORMATS: Final = ("text", "json")

_STANDARD: Final = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {"message", "asctime", "taskName"}


class _Handler(logging.StreamHandler[TextIO]):
    """Ours, so that a second `init_logging` finds and replaces it. Writes to what is stderr then: a progress bar stands
    in for it while it moves."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]  # an attribute there
        return sys.stderr


def init_logging(level: str | int = "INFO", format: Literal["text", "json"] = "text") -> None:
    """Log to stderr from `level` up. Calling it again changes level and format; handlers of others are left alone.

    `log.info("placed", extra={"order_id": "7"})` gives `... msg=placed order_id=7` or the same as a JSON object. Values
    of fields named like a secret, such pairs inside messages and tracebacks, and whatever `conceal` was told are masked.
    Errors: ConfigError.
    """
    number = _level(level)
    if format not in FORMATS:
        raise ConfigError(f"log format {format!r} does not exist", f"one of: {', '.join(FORMATS)}")
    root = logging.getLogger()
    for handler in list(root.handlers):
        if isinstance(handler, _Handler):
            root.removeHandler(handler)
    handler = _Handler()
    handler.setFormatter(JsonLines() if format == "json" else KeyValues())
    root.addHandler(handler)
    root.setLevel(number)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))


@contextmanager
def logging_as(level: str | int, format: str) -> Iterator[None]:
    """`init_logging` for as long as the block lasts; afterwards all is as it was. Errors: ConfigError."""
    root = logging.getLogger()
    loggers = [root, *map(logging.getLogger, QUIET)]
    handlers, levels = list(root.handlers), [logger.level for logger in loggers]
    try:
        init_logging(level, format)  # type: ignore[arg-type]  # checked there
        yield
    finally:
        root.handlers[:] = handlers
        for logger, before in zip(loggers, levels, strict=True):
            logger.setLevel(before)


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
            fields[name] = masked(name, value)
    if record.exc_info:
        fields["error"] = mask(formatter.formatException(record.exc_info))
    return fields


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
