"""Strategies by name or from a user's own file: anything with `async def run(ctx)`."""

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
    if not path.is_file():
        raise ConfigError(f"no strategy file {path}", "give the path of a Python file with `async def run(ctx)`")
    spec = importlib.util.spec_from_file_location(f"execsim_user_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path} is not a Python file", "its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ConfigError(f"{path}: {where(error, path)}", "the file could not be loaded") from error
    run = getattr(module, "run", None)
    if not inspect.iscoroutinefunction(run):
        raise ConfigError(f"{path} has no `async def run(ctx)`", "that is what execsim calls")
    checked: Run = run
    return checked


def where(error: BaseException, path: Path) -> str:
    """One line that names the error and the user's line it came from."""
    line, at = None, error.__traceback__
    while at is not None:
        if Path(at.tb_frame.f_code.co_filename) == path:
            line = at.tb_lineno
        at = at.tb_next
    if isinstance(error, SyntaxError):
        line = error.lineno
    place = f"line {line}: " if line is not None else ""
    return f"{place}{type(error).__name__}: {error}"
