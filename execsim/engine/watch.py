"""Watching while nobody trades: the policies that act by themselves, and the file that kills.

Both run as tasks of the run, so they work in virtual time as in wall time.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from execsim.core.errors import ConfigError
from execsim.ports import Runtime

KILL_FILE: Final = "kill"
"""Name of the kill file inside a run's directory (`execsim kill DIR`)."""

REASON_MAX: Final = 200
"""Characters of a kill file's first line that are taken as the reason."""


def kill_file_of(directory: Path) -> Path:
    """Where a run that keeps its journal in this directory looks for its kill file."""
    return directory / KILL_FILE


async def watch_risk(runtime: Runtime, look: Callable[[], None], killed: Callable[[], bool], period_ns: int) -> None:
    """Look every `period_ns`, until the engine is killed. Errors: ConfigError unless period_ns > 0."""
    _check(period_ns)
    while not killed():
        await runtime.sleep(period_ns)
        look()


async def watch_kill_file(
    runtime: Runtime, kill: Callable[[str], None], killed: Callable[[], bool], path: Path, period_ns: int
) -> None:
    """Look for the file now and every `period_ns`; once it is there, kill. Errors: ConfigError unless period_ns > 0."""
    _check(period_ns)
    while not killed():
        reason = await runtime.blocking(partial(read_kill_file, path))
        if reason is not None:
            kill(reason)
            return
        await runtime.sleep(period_ns)


def read_kill_file(path: Path) -> str | None:
    """Why to kill, None while the file does not exist. A place that cannot be looked at kills, too: a switch that may have
    been thrown unseen is thrown."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            line = file.readline(REASON_MAX).strip()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except IsADirectoryError:
        line = ""
    except OSError as error:
        return f"kill file {path} cannot be read: {error.strerror}"
    return f"kill file {path}" + (f": {line}" if line else "")


def _check(period_ns: int) -> None:
    if period_ns <= 0:
        raise ConfigError(f"a look every {period_ns} ns", "the time between two looks must be positive")
