"""Strategies by name or from a user's own file: anything with `async def run(ctx)`. And which line of it went wrong."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from execsim.core.errors import ConfigError
from execsim.engine.context import Context
from execsim.strategy import SHIPPED

Run = Callable[[Context], Coroutine[Any, Any, None]]


def shipped(name: str) -> Run:
    """A strategy that comes with execsim. Errors: ConfigError listing the known names."""
    if name not in SHIPPED:
        raise ConfigError(f"no strategy {name!r}", f"shipped: {', '.join(sorted(SHIPPED))}; or name a `file` of yours")
    run: Run = SHIPPED[name].run
    return run


def from_file(path: Path) -> Run:
    """`run` of a Python file. Errors: ConfigError when it is missing, does not load, or has no `async def run(ctx)`."""
    path = path.resolve()
    if not path.is_file():
        raise ConfigError(f"no strategy file {path}", "give the path of a Python file with `async def run(ctx)`")
    spec = importlib.util.spec_from_file_location(f"execsim_user_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path} is not a Python file", "its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise ConfigError(f"strategy {path}: {where(error, path)}", "the file could not be loaded") from error
    run = getattr(module, "run", None)
    if not inspect.iscoroutinefunction(run):
        raise ConfigError(f"strategy {path} has no `async def run(ctx)`", "that is what execsim calls")
    try:
        inspect.signature(run).bind(None)
    except TypeError as error:
        raise ConfigError(f"strategy {path}: run(ctx) cannot be called: {error}", "its one argument is ctx") from None
    checked: Run = run
    return checked


def failure(error: BaseException, path: Path) -> ConfigError | None:
    """What a run of the strategy in `path` died of, as an error that names the user's line; None if it is not the file's.

    An ExecError that came up through the file is the file's too: a strategy that handles it goes on. What `from_file`
    raises names the file already.
    """
    path = path.resolve()
    if _line(error, path) is None or str(path) in str(error):
        return None
    return ConfigError(f"strategy {path.name}: {where(error, path)}", "--debug shows the traceback")


def where(error: BaseException, path: Path) -> str:
    """One line that names the error and the user's line it came from."""
    path = path.resolve()
    text = str(error)
    if isinstance(error, SyntaxError) and error.filename == str(path):
        line, text = error.lineno, error.msg
    else:
        line = _line(error, path)
    place = f"line {line}: " if line is not None else ""
    return f"{place}{type(error).__name__}: {text}" if text else f"{place}{type(error).__name__}"


def _line(error: BaseException, path: Path) -> int | None:
    """The innermost line of the file that the error, or what caused it, came up through."""
    line: int | None = None
    cause: BaseException | None = error
    while cause is not None and line is None:
        at = cause.__traceback__
        while at is not None:
            if Path(at.tb_frame.f_code.co_filename) == path:
                line = at.tb_lineno
            at = at.tb_next
        cause = cause.__cause__
    return line
