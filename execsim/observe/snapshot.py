"""Every metric of a run at one instant, as a value that any thread may read, and the frames it is shown as."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from execsim.core.units import NS_PER_MS
from execsim.engine.metrics import Sample


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`ts_ns` is the run's time. Nothing in it changes once it is published."""

    ts_ns: int
    samples: tuple[Sample, ...]

    def frames(self) -> Iterator[dict[str, Any]]:
        """{"timestamp", "metric_type", "metric_name", "value", "labels"}, a series each; timestamp in ms of the run's
        time."""
        timestamp = self.ts_ns // NS_PER_MS
        for sample in self.samples:
            yield {"timestamp": timestamp, **sample.row()}
