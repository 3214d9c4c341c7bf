"""A recording on disk: lines as they come in, and the tape made of them.

    DIR.frames/0001.jsonl   lines of the first start; 0002.jsonl of the next (segments: append only, one writer)
    DIR                     the tape, made by the venue's importer when the recording ends

Each line is handed to the system as it comes: a process that is killed loses nothing but a line it was writing, and a torn
last line is cut off at the next start. A power cut may lose what the system had not yet written. The tape appears whole or
not at all.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from execsim import plugins
from execsim.core.errors import ConfigError, DataError
from execsim.core.units import NS_PER_S
from execsim.net.web import WebTransport
from execsim.ports import LiveDoor
from execsim.runtime import SessionTransport, WallRuntime
from execsim.tape.imports import import_tape
from execsim.tape.schema import Manifest
from execsim.tape.store import MANIFEST_FILE

if sys.platform != "win32":
    import fcntl

FRAMES: Final = ".frames"
LOCK: Final = ".lock"
TAIL_BYTES: Final = 65_536
"""Read at once when looking for the end of the last whole line."""
OPTIONS: Final = {"on_error": "skip"}
"""How the tape is made: a frame nobody can read is counted, and does not cost the recording."""


class Recording:
    """The files of one recording. `lines` and `bytes` count what this process wrote. Errors: DataError, ConfigError."""

    def __init__(self, tape: Path) -> None:
        self.tape = Path(tape)
        self.frames = self.tape.with_name(self.tape.name + FRAMES)
        self.lines = self.bytes = 0
        self.segment: Path | None = None
        self._file: IO[bytes] | None = None

    def segments(self) -> list[Path]:
        return sorted(self.frames.glob("[0-9]*.jsonl"))

    @contextmanager
    def held(self) -> Iterator[None]:
        """Be the only one who writes here; mend what a killed process left."""
        whole = (self.tape / MANIFEST_FILE).is_file()
        if whole and not self.segments():
            raise ConfigError(
                f"{self.tape} is a finished tape without its frames", "name another output; --raw keeps the frames"
            )
        if not whole and self.tape.exists() and (not self.tape.is_dir() or any(self.tape.iterdir())):
            raise ConfigError(f"{self.tape} exists and is not a tape", "name another output, nothing was overwritten")
        try:
            self.frames.mkdir(parents=True, exist_ok=True)
            with (self.frames / LOCK).open("ab") as lock:
                _lock(lock, self.frames)
                try:
                    self._mend()
                    yield
                finally:
                    self.close()
                    self._tidy()
        except OSError as error:
            raise DataError(str(self.frames), f"cannot be written: {error.strerror}", "choose another place") from error

    def begin(self) -> Path:
        """Start the next segment."""
        last = self.segments()[-1:]
        number = int(last[0].stem) + 1 if last else 1
        self.segment = self.frames / f"{number:04}.jsonl"
        self._file = self.segment.open("xb", buffering=0)
        return self.segment

    def write(self, line: bytes) -> None:
        """Errors: OSError."""
        assert self._file is not None
        whole = line + b"\n"
        written = self._file.write(whole)
        while written < len(whole):  # an unbuffered file may take less than it is given
            written += self._file.write(whole[written:])
        self.lines += 1
        self.bytes += len(whole)

    def close(self) -> None:
        """End the segment; harmless if repeated."""
        file, self._file = self._file, None
        if file is not None:
            os.fsync(file.fileno())
            file.close()

    def finish(self, venue: str, keep: bool) -> Manifest | None:
        """The tape of every segment, replacing the one there is; None when there is nothing to make one of. Without `keep`
        the frames go when it stands. Errors: DataError."""
        self.close()
        frames = self.segments()
        if not any(_has_frames(path) for path in frames):
            return None
        manifest = import_tape(frames, plugins.venue(venue).importers[0], OPTIONS, self.tape)
        if not keep:
            # away in one step: half of the frames would look like a recording to go on with
            aside = self.frames.with_name(f".{self.frames.name}.{os.getpid()}.old")
            self.frames.rename(aside)
            shutil.rmtree(aside, ignore_errors=True)
        return manifest

    def _tidy(self) -> None:
        """Leave no folder without a segment."""
        if self.frames.exists() and not self.segments():
            (self.frames / LOCK).unlink(missing_ok=True)
            self.frames.rmdir()

    def _mend(self) -> None:
        """Cut off a torn last line."""
        for path in self.segments():
            with path.open("r+b") as file:
                end = _end_of_lines(file)
                file.truncate(end)
            if not end:
                path.unlink()


def run(
    venue: str, markets: Sequence[str], recording: Recording, rest: str = "", ws: str = "", for_s: float | None = None
) -> None:
    """Record until `for_s` seconds have passed, or KeyboardInterrupt, which is passed on.

    `rest`, `ws`: other servers than the venue's; `rest` alone: both there. A segment without a frame is removed.
    Errors: ConfigError, and what the venue's `record` raises before its first frame.
    """
    door = door_of(venue)
    assert door.record is not None
    runtime = WallRuntime(0)
    sockets = WebTransport(rest or door.rest, ws or ("" if rest else door.ws), venue)
    transport = SessionTransport(runtime, sockets)
    record = door.record

    async def main() -> None:
        try:
            await record(markets, transport, runtime, recording.write)
        finally:
            await transport.aclose()

    until_ns = None if for_s is None else runtime.real_ns() + int(for_s * NS_PER_S)
    segment = recording.begin()
    try:
        runtime.run(until_ns, main())
    finally:
        recording.close()
        if not _has_frames(segment):
            segment.unlink(missing_ok=True)


def door_of(venue: str) -> LiveDoor:
    """Errors: ConfigError for a venue that cannot be recorded."""
    door = plugins.venue(venue).live
    if door is None or door.record is None:
        able = [name for name, plugin in plugins.venues().items() if plugin.live and plugin.live.record]
        raise ConfigError(f"{venue} cannot be recorded", f"these can: {', '.join(able)}")
    return door


def _has_frames(path: Path) -> bool:
    """Whether there is more than what was said at the start."""
    with path.open("rb") as file:
        return any(b'"raw_text":' in line for line in file)


def _end_of_lines(file: IO[bytes]) -> int:
    """Bytes up to and with the last end of a line."""
    end = file.seek(0, os.SEEK_END)
    while end:
        start = max(0, end - TAIL_BYTES)
        file.seek(start)
        at = file.read(end - start).rfind(b"\n")
        if at >= 0:
            return start + at + 1
        end = start
    return 0


def _lock(file: IO[bytes], folder: Path) -> None:
    if sys.platform == "win32":
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ConfigError(f"{folder} is being written by another process", "name another output") from None
