"""Metrics as a file of JSON lines: a frame a line, in order of time."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from execsim.core.errors import ConfigError
from execsim.observe.snapshot import Snapshot


class FrameFile:
    """`path` is begun anew. Errors: ConfigError when it cannot be written."""

    def __init__(self, path: Path) -> None:
        try:
            self._file = path.open("w", encoding="utf-8")
        except OSError as error:
            raise ConfigError(
                f"--metrics-file {path}: {error.strerror}", "name a file in a folder that exists"
            ) from None

    def publish(self, snapshot: Snapshot) -> None:
        """Write and hand to the system, so that `tail -f` sees it. Errors: OSError."""
        self._file.write("".join(f"{json.dumps(frame, ensure_ascii=False)}\n" for frame in snapshot.frames()))
        self._file.flush()

    def close(self) -> None:
        with suppress(OSError):  # closing writes what is left, which has failed before
            self._file.close()
