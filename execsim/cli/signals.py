"""Signals of a run in wall time: SIGUSR1 throws the kill switch."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from execsim.core.errors import ConfigError


@contextmanager
def kill_on_signal(kill: Callable[[str], None], name: str = "SIGUSR1") -> Iterator[None]:
    """While this is open, a signal of that name (`kill -USR1 PID`) calls `kill` (ExecutionEngine.kill) between two steps of
    the run. Enter it inside the running asyncio loop of the main thread. Errors: ConfigError where that cannot be."""
    number = getattr(signal, name, None)
    loop = asyncio.get_running_loop()
    try:
        if number is None:
            raise NotImplementedError
        loop.add_signal_handler(number, kill, f"signal {name}")
    except (NotImplementedError, RuntimeError, ValueError):
        what = f"signal {name} cannot be listened to here"
        raise ConfigError(what, "use a kill file (risk.kill_file), or run in the main thread") from None
    try:
        yield
    finally:
        loop.remove_signal_handler(number)
