"""Which minutes of a tape can be trusted: the grades of `check_tape`, kept beside the tape so that a run need not check it.

The file is a cache: it is made when it is missing, of other data, or of an older rule, and nothing is lost without it.
"""

from __future__ import annotations

import itertools
import json
import os
from bisect import bisect_right
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from execsim.tape.check import GRADES, check_tape
from execsim.tape.schema import Manifest
from execsim.tape.store import load_manifest

GRADES_FILE: Final = "grades.json"
VERSION: Final = 1
"""Rises whenever `check_tape` would grade otherwise."""
UNGRADED: Final = "CF"
"""Grades of intervals whose rows are no evidence: the book was crossed, an oracle fails, or too much of it is unknown."""
INTERVAL_S: Final = 60

Graded = tuple[int, int, str]
"""start and end (ns, venue time; the start belongs to it, the end to the next one) and grade"""

_serial = itertools.count()


def grades(tape: Path, interval_s: int = INTERVAL_S) -> list[list[Graded]]:
    """The graded intervals of each market of a tape, in the order of its manifest; they join without holes, from the
    market's first row to its last.

    Reads grades.json of the tape, or checks the tape and writes it (not where the folder cannot be written).
    Errors: those of `check_tape`.
    """
    manifest = load_manifest(tape)
    key = _key(manifest, interval_s)
    held = _read(tape / GRADES_FILE, key, len(manifest.markets))
    if held is None:
        report = check_tape(tape, interval_s)
        held = [[(part.start_ns, part.end_ns, part.grade) for part in market.intervals] for market in report.markets]
        with suppress(OSError):
            _write(tape / GRADES_FILE, {**key, "markets": held})
    return held


def grade_at(graded: Sequence[Graded], ts_ns: int) -> str | None:
    """The grade of the interval that holds an instant, the last row's included; None before the first and after the last."""
    at = bisect_right(graded, ts_ns, key=lambda part: part[0]) - 1
    return graded[at][2] if at >= 0 and ts_ns <= graded[at][1] else None


def ungraded(graded: Sequence[Graded]) -> list[tuple[int, int]]:
    """[start, end) of each stretch of intervals graded C or F."""
    found: list[tuple[int, int]] = []
    for start, end, grade in graded:
        if grade not in UNGRADED:
            continue
        if found and found[-1][1] == start:
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return found


def _key(manifest: Manifest, interval_s: int) -> dict[str, Any]:
    return {
        "version": VERSION,
        "data_sha256": manifest.data_sha256,
        "importer_version": manifest.importer_version,
        "interval_s": interval_s,
    }


def _read(path: Path, key: dict[str, Any], markets: int) -> list[list[Graded]] | None:
    """What the file holds if it is whole and of this key."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        if {name: raw[name] for name in key} != key or len(raw["markets"]) != markets:
            return None
        held = [[(int(start), int(end), str(grade)) for start, end, grade in market] for market in raw["markets"]]
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return held if all(grade in GRADES for market in held for _, _, grade in market) else None


def _write(path: Path, held: dict[str, Any]) -> None:
    """In one step: whoever reads at the same time sees the old file or the new one."""
    part = path.with_name(f".{path.name}.{os.getpid()}.{next(_serial)}.part")
    try:
        part.write_text(json.dumps(held) + "\n", encoding="utf-8", newline="\n")
        part.replace(path)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
