"""What a served exchange is, in words that can be compared: its state may be gone on with by the same exchange only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from execsim.scenario import model
from execsim.scenario.build import Loaded


def about(scenario: model.Scenario, loaded: Loaded, folder: Path, dialect: str, *, latency: bool) -> dict[str, str]:
    """All that a hosted run follows from besides its inputs. Another version of execsim may work another way."""
    text = json.dumps(scenario.model_dump(mode="json", exclude={"seed"}), sort_keys=True)
    return {
        "seed": str(scenario.seed),
        "dialect": dialect,
        "latency": "the scenario's" if latency else "none (--no-latency)",
        "scenario": _sha(text.encode()),
        "data": loaded.data_sha256[:16],
        "files": _sha(b"".join(_files(scenario.model_dump(mode="json", include={"venues"}), folder))),
        "execsim": metadata.version("execsim"),
    }


def _files(value: Any, folder: Path) -> Iterator[bytes]:
    """What stands in the files that a part of the scenario names (rows of measured latencies), in order."""
    if isinstance(value, Mapping):
        for item in value.values():
            yield from _files(item, folder)
    elif isinstance(value, list):
        for item in value:
            yield from _files(item, folder)
    elif isinstance(value, str) and value and len(value) < 256 and "\0" not in value and (folder / value).is_file():
        yield (folder / value).read_bytes()


def _sha(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()[:16]
