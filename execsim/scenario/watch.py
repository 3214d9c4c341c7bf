"""What a run watches besides its strategy: losses, stale data and ill venues, and the file that kills (docs/risk.md)."""

from __future__ import annotations

from pathlib import Path

from execsim.core.units import NS_PER_S
from execsim.engine.session import ExecutionEngine
from execsim.engine.watch import read_kill_file
from execsim.ports import Runtime, Task
from execsim.scenario import model


def watch_risk(
    item: model.Risk, folder: Path, engine: ExecutionEngine, runtime: Runtime, *kill_files: Path
) -> list[Task]:
    """Start what the section asks for, as daemons; nothing where it asks for nothing. A kill file that is there already
    kills before anybody can trade. `folder`: what its paths are relative to; `kill_files`: others a run has by itself."""
    period_ns = max(1, int(item.watch_s * NS_PER_S))
    tasks = []
    if engine.guard.risk.acts:
        tasks.append(runtime.spawn(engine.watch_risk(period_ns), "risk", daemon=True))
    own = [] if item.kill_file is None else [folder / item.kill_file]
    for path in (*own, *kill_files):
        reason = read_kill_file(path)
        if reason is not None:
            engine.kill(reason)
        tasks.append(runtime.spawn(engine.watch_kill_file(path, period_ns), f"kill file {path.name}", daemon=True))
    return tasks
