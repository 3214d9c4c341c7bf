"""The one task of a run that looks at its metrics and hands what it saw to the outlets: Prometheus, WebSocket, file.

Outlets with threads of their own read snapshots only. The task reads the engine and changes nothing in it: a run has the
same journal with and without.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Protocol

from execsim.core.errors import ConfigError
from execsim.engine.gauges import Gauges
from execsim.engine.session import ExecutionEngine
from execsim.observe.snapshot import Snapshot
from execsim.ports import Priority, Runtime, Task

log = logging.getLogger("execsim.observe")


class Outlet(Protocol):
    """Where snapshots go."""

    def publish(self, snapshot: Snapshot) -> None:
        """Called in the run's thread, in order of time; must not wait for anybody. Errors: OSError ends the outlet."""

    def close(self) -> None:
        """The run is over: let go of sockets, threads and files."""


class Publisher:
    """One run's. `period_ns`: run time between two looks, None: what `start` is told. Who made the outlets closes them."""

    def __init__(self, outlets: Sequence[Outlet], period_ns: int | None = None) -> None:
        self.period_ns = period_ns
        self._outlets = list(outlets)
        self._engine: ExecutionEngine | None = None
        self._runtime: Runtime | None = None
        self._gauges: Gauges | None = None

    def start(self, engine: ExecutionEngine, runtime: Runtime, default_ns: int) -> Task:
        """Publish now and every `period_ns` (else `default_ns`) of run time, until the returned task is cancelled.

        Errors: ConfigError when the engine keeps no metrics."""
        if not engine.metrics.enabled:
            raise ConfigError(
                "metrics are switched off (engine.enable_metrics = false)", "switch them on to export them"
            )
        self._engine, self._runtime, self._gauges = engine, runtime, Gauges(engine)
        return runtime.spawn(self._run(runtime, self.period_ns or default_ns), "metrics", daemon=True)

    def publish(self) -> None:
        """Look and hand out, once more at the end of a run. No effect before `start`."""
        if self._engine is None or self._runtime is None or self._gauges is None:
            return
        self._gauges.look()
        snapshot = Snapshot(self._runtime.now_ns(), tuple(self._engine.metrics.samples()))
        for outlet in list(self._outlets):
            try:
                outlet.publish(snapshot)
            except OSError as error:
                # a full disk must not end a session that trades
                self._outlets.remove(outlet)
                log.warning("metrics: %s gets no more: %s", type(outlet).__name__, error)

    async def _run(self, runtime: Runtime, period_ns: int) -> None:
        while True:
            self.publish()
            await runtime.sleep_until(runtime.now_ns() + period_ns, Priority.LAST)
