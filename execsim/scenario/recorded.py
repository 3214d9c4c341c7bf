"""What a session's journal says of the program that wrote it: enough to build the same program again for a replay.

Notes of the journal: `scenario` (as `execsim show` prints it, with absolute paths) and `session` (JSON, the fields of
`Recorded`). A strategy file is not kept, only its hash: a replay reads the file, and says so when it has changed.
"""

from __future__ import annotations

import json
import platform
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import tomli_w
from pydantic import ValidationError

from execsim.core.errors import JournalError
from execsim.journal import ENDED, SessionReader
from execsim.ports import Journal
from execsim.scenario import model

SCENARIO: Final = "scenario"
SESSION: Final = "session"
MODE: Final = "session.mode"
"""Unlike the other two it is carried over: paper and live never share a file."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """`files` by path: sha256 of what the run read besides the scenario. `for_s`: real seconds it was to last. `kill_file`:
    "" if it looked for none by itself. `metrics_ns`: how often it showed its metrics, None if it did not."""

    name: str
    dialect: str
    account: str
    for_s: int | None
    speed: int
    durable: bool
    kill_file: str
    metrics_ns: int | None
    files: Mapping[str, str]
    execsim: str
    python: str
    venue: Mapping[str, Any] = field(default_factory=dict)
    """what the adapter was told of the account: nothing secret"""
    mode: str = ""
    """how it traded (`session.Door.mode`); "": not said, by an older version"""


def files_of(scenario: model.Scenario) -> dict[str, str]:
    """What a scenario whose paths are absolute reads besides itself and its data: sha256 by path."""
    read = (scenario.strategy.file, scenario.strategy.orders, scenario.risk.file)
    return {path: sha256_of(path) for path in read if path is not None}


def versions() -> dict[str, str]:
    return {"execsim": metadata.version("execsim"), "python": platform.python_version()}


def sha256_of(path: str) -> str:
    """Of a file's bytes; "" when it cannot be read."""
    try:
        return sha256(Path(path).read_bytes()).hexdigest()
    except OSError:
        return ""


def write_notes(journal: Journal, item: Recorded, scenario: model.Scenario) -> None:
    journal.note(MODE, item.mode)
    journal.note(SCENARIO, tomli_w.dumps(model.as_plain(scenario)))
    journal.note(SESSION, json.dumps(asdict(item), sort_keys=True))


def read_notes(session: SessionReader) -> tuple[Recorded, model.Scenario, str]:
    """(what was noted, the scenario, how the session ended: "" if it was killed). Errors: JournalError."""
    held = session.notes()
    try:
        item = Recorded(**json.loads(held[SESSION]))
        scenario = model.Scenario.model_validate(tomllib.loads(held[SCENARIO], parse_float=Decimal))
    except (KeyError, TypeError, ValueError, ValidationError) as error:
        what = f"its notes do not describe a session: {type(error).__name__}: {error}"
        raise JournalError(str(session.path), what.splitlines()[0]) from None
    return item, scenario, held.get(ENDED, "")


def changes(item: Recorded) -> list[str]:
    """What is not as it was: one sentence each."""
    said = []
    for path, before in item.files.items():
        now = sha256_of(path)
        if now != before:
            how = f"sha256 {before[:16]} then, {now[:16]} now" if now else "it cannot be read any more"
            said.append(f"{path} has changed since the session: {how}")
    for name, version in versions().items():
        before = getattr(item, name)
        if version != before:
            said.append(f"{name} was {before} in the session and is {version} now")
    return said
