"""The tasks of an adapter, on the port alone: named after the venue, ended together."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from execsim.ports.runtime import Runtime, Task


class Crew:
    """Daemons whose names begin with `name`."""

    def __init__(self, runtime: Runtime, name: str) -> None:
        self._runtime = runtime
        self._name = name
        self._tasks: list[Task] = []

    def spawn(self, coro: Coroutine[Any, Any, None], name: str) -> Task:
        task = self._runtime.spawn(coro, f"{self._name}.{name}", daemon=True)
        self._tasks = [each for each in self._tasks if not each.done] + [task]
        return task

    async def aclose(self) -> None:
        """Cancel all, newest first, and wait for their ends. Harmless if repeated."""
        for task in reversed(self._tasks):
            task.cancel()
        for task in reversed(self._tasks):
            await task.join()
        self._tasks.clear()
