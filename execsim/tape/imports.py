"""From recordings to tapes: choose an importer, run it, and keep the result in a cache keyed by what went in.

The cache holds `tapes/<key>/`, one tape per (source hashes, options, importer name and version, schema version). It may
be deleted at any time; nothing in it is the only copy of anything.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from execsim.core.errors import ConfigError, DataError
from execsim.tape.cachedir import cache_root
from execsim.tape.schema import SCHEMA_VERSION, Importer, Manifest, SourceInfo
from execsim.tape.store import MANIFEST_FILE, TapeWriter, hash_file, load_manifest

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


def import_tape(
    sources: Sequence[Path], importer: Importer, options: Mapping[str, Any], out: Path, hashes: Sequence[str] = ()
) -> Manifest:
    """Import recordings into a new tape at `out`, replacing a tape that stands there; returns its manifest.

    A directory among the sources stands for its files (`source_files`). `hashes` are the files' sha256 if the caller
    knows them. An importer may leave SourceInfo.sha256 and bytes empty: they are filled in here.
    Errors: DataError for missing, empty or malformed recordings; ConfigError for an unknown option, or when `out` is
    a file or a directory that is not a tape. Nothing is left at `out` after an error.
    """
    files = source_files(sources)
    check_options(importer.name, importer.options, options)
    target = Path(out)
    if target.exists() and not (target / MANIFEST_FILE).is_file() and (not target.is_dir() or any(target.iterdir())):
        raise ConfigError(f"{target} exists and is not a tape", "name another output, nothing was overwritten")
    with TapeWriter(target, importer.name, importer.version) as writer:
        importer.run(files, options, writer)
        _complete(writer.manifest.sources, files, hashes)
    return writer.manifest


def cached_tape(
    sources: Sequence[Path], importer: Importer, options: Mapping[str, Any], cache_dir: Path | None = None
) -> Path:
    """The tape of these recordings, imported now or before. `cache_dir` None: `cache_root()`.

    Errors: as import_tape.
    """
    files = source_files(sources)
    hashes = [hash_file(file) for file in files]
    inputs = {
        "files": [[file.name, digest] for file, digest in zip(files, hashes, strict=True)],
        "options": dict(options),
        "importer": [importer.name, importer.version],
    }
    return cached(inputs, lambda path: import_tape(files, importer, options, path, hashes), cache_dir)


def cached(inputs: Mapping[str, Any], make: Callable[[Path], object], cache_dir: Path | None = None) -> Path:
    """The tape made from `inputs` (JSON values), by `make(path)` if the cache lacks it or holds a broken one.

    Processes that want the same tape wait for the first to make it, on an operating system lock that ends with its
    holder. Where the file system has no locks both make it and one rename wins, which is equally right.
    """
    text = json.dumps({**inputs, "schema": SCHEMA_VERSION}, sort_keys=True, separators=(",", ":"), default=str)
    key = hashlib.sha256(text.encode()).hexdigest()[:32]
    tapes = (cache_root() if cache_dir is None else Path(cache_dir)) / "tapes"
    path = tapes / key
    if _whole(path):
        return path
    try:
        tapes.mkdir(parents=True, exist_ok=True)
        with _locked(tapes / f".{key}.lock") as alone:
            if not _whole(path):
                if alone:
                    for leftover in tapes.glob(f".{key}.*.part"):
                        shutil.rmtree(leftover, ignore_errors=True)
                make(path)
    except OSError as error:
        hint = "set EXECSIM_CACHE to a directory you may write"
        raise DataError(str(tapes), f"the cache cannot be used: {error.strerror}", hint) from error
    return path


def find_importer(name: str | None, sources: Sequence[Path], importers: Iterable[Importer]) -> Importer:
    """The importer of that name; without a name the only one whose `sniff` knows every file.

    Errors: ConfigError listing the known names for an unknown name, for files no importer or several know.
    """
    by_name = {importer.name: importer for importer in importers}
    known = ", ".join(sorted(by_name))
    if name is not None:
        if name not in by_name:
            raise ConfigError(f"unknown format {name!r}", f"known formats: {known}")
        return by_name[name]
    files = source_files(sources)
    fitting = [importer for importer in by_name.values() if all(importer.sniff(file) for file in files)]
    if len(fitting) == 1:
        return fitting[0]
    listed = ", ".join(str(file) for file in files)
    if fitting:
        names = " or ".join(sorted(importer.name for importer in fitting))
        raise ConfigError(f"{listed} could be {names}", "name the format (--format, or `format` in the scenario)")
    raise ConfigError(f"no importer recognises {listed}", f"name the format (--format); known formats: {known}")


def source_files(sources: Sequence[Path]) -> list[Path]:
    """The files to read, in order. A directory stands for the files directly in it, sorted by name, hidden ones left
    out (recorders name files by time). Errors: DataError for a missing or empty file or directory, a tape.
    """
    if not sources:
        raise DataError("sources", "no recording given", "name at least one file")
    files: list[Path] = []
    for source in (Path(source) for source in sources):
        if not source.exists():
            raise DataError(str(source), "no such file", "check the path (a scenario's paths are relative to its file)")
        if not source.is_dir():
            files.append(source)
            continue
        if (source / MANIFEST_FILE).is_file():
            raise DataError(str(source), "already a tape", "use it as it is, or name the recording it came from")
        inside = sorted(file for file in source.iterdir() if file.is_file() and not file.name.startswith("."))
        if not inside:
            raise DataError(str(source), "no files in this directory", "name the recording's files")
        files += inside
    for file in files:
        if file.stat().st_size == 0:
            raise DataError(str(file), "the file is empty", "fetch or record it again")
    return files


def check_options(name: str, known: Mapping[str, str], options: Mapping[str, Any]) -> None:
    """Errors: ConfigError naming the first option that is not in `known`, and those that are."""
    for option in options:
        if option not in known:
            listed = ", ".join(sorted(known)) or "none"
            raise ConfigError(f"format {name} has no option {option!r}", f"known options: {listed}")


def _complete(infos: Sequence[SourceInfo], files: Sequence[Path], hashes: Sequence[str]) -> None:
    """Fill in hash and size where the importer left them empty: by file name, else by position if the counts agree."""
    by_name = {name: index for index, file in enumerate(files) for name in (str(file), file.name)}
    for position, info in enumerate(infos):
        index = by_name.get(info.name, position if len(infos) == len(files) else None)
        if index is None:
            continue
        info.sha256 = info.sha256 or (hashes[index] if hashes else hash_file(files[index]))
        info.bytes = info.bytes or files[index].stat().st_size


def _whole(path: Path) -> bool:
    try:
        load_manifest(path)
    except DataError:
        return False
    return True


@contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Hold an exclusive lock on a file; yields False where the file system offers none."""
    with path.open("ab") as file:
        held = _lock(file)
        try:
            yield held
        finally:
            if held:
                _unlock(file)


if sys.platform == "win32":

    def _lock(file: IO[bytes]) -> bool:
        file.seek(0)
        while True:
            try:
                msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
            except PermissionError:
                return False
            except OSError:
                continue  # LK_LOCK gives up after ten seconds; an import may take longer
            return True

    def _unlock(file: IO[bytes]) -> None:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)

else:

    def _lock(file: IO[bytes]) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError:
            return False
        return True

    def _unlock(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)
