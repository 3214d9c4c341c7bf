"""`execsim replay-session JOURNAL`: run a recorded session again and compare all it sends and writes."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from execsim.observe.logs import logging_as

if TYPE_CHECKING:
    from execsim.ports import Diverged, Input
    from execsim.scenario.session import Replayed

DIFFERS = 1
"""Exit code when the replay did something else."""

TEXT_MAX = 2_000
"""Characters of a body that are shown."""


def command(
    journal: Annotated[Path, typer.Argument(help="journal.sqlite of a session in wall time, or the folder it is in")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object")] = False,
) -> None:
    """Re-run engine, strategy and adapter on what a session took in; every request and every row must come out again."""
    from execsim.scenario.session import replay_session

    path = journal / "journal.sqlite" if journal.is_dir() else journal
    began_s = time.perf_counter()
    with logging_as("critical", "text"):  # what the session logged it has logged
        replayed = replay_session(path)
    took_s = time.perf_counter() - began_s
    for sentence in replayed.changed:
        print(f"execsim: {sentence}", file=sys.stderr)
    if as_json:
        print(json.dumps(_as_json(replayed, took_s), indent=2))
    else:
        for line in _told(replayed, took_s):
            print(line)
    if replayed.difference is not None:
        raise typer.Exit(DIFFERS)


def _counts(replayed: Replayed) -> str:
    return f"{replayed.inputs} inputs, {replayed.requests} requests, {replayed.rows} rows, sha256 {replayed.sha256}"


def _told(replayed: Replayed, took_s: float) -> list[str]:
    difference = replayed.difference
    if difference is None:
        lines = [f"equal: {_counts(replayed)} ({took_s:.2f} s)"]
        if not replayed.ended:
            lines.append(
                f"the session was killed; {replayed.beyond} rows and requests of its last input were not on disk"
            )
        if replayed.failure is not None:
            lines.append(f"it failed as the session did: {type(replayed.failure).__name__}: {replayed.failure}")
        return lines
    what, expected, got = difference.args
    lines = [f"differs at {what}; equal so far: {_counts(replayed)}", f"  while working on {_input(replayed.present)}"]
    lines += _block("expected", expected) + _block("got", got)
    if replayed.failure is not None:
        lines.append(f"  the replay failed: {type(replayed.failure).__name__}: {replayed.failure}")
    return lines


def _input(item: Input | None) -> str:
    if item is None:
        return "nothing yet"
    stamp = datetime.fromtimestamp(item.t_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
    return f"input {item.number} ({item.kind}{' ' if item.key else ''}{item.key}) at {item.t_ns} ns, {stamp} UTC"


def _block(title: str, value: object) -> list[str]:
    """A row, request or input, a field a line."""
    if isinstance(value, str):
        return [f"  {title}: {value}"]
    return [f"  {title}:", *(f"    {name}: {_text(held)}" for name, held in _fields(value).items())]


def _fields(value: Any) -> dict[str, Any]:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return value._asdict() if hasattr(value, "_asdict") else {"value": value}


def _text(value: Any) -> str:
    text = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value
    if isinstance(text, dict):
        text = json.dumps(text, sort_keys=True)
    shown = str(text).replace("\n", "\n      ")
    return shown if len(shown) <= TEXT_MAX else f"{shown[:TEXT_MAX]} ... ({len(shown)} characters)"


def _as_json(replayed: Replayed, took_s: float) -> dict[str, Any]:
    return {
        "equal": replayed.difference is None,
        "inputs": replayed.inputs,
        "requests": replayed.requests,
        "rows": replayed.rows,
        "journal_sha256": replayed.sha256,
        "ended": replayed.ended,
        "beyond": replayed.beyond,
        "changed": list(replayed.changed),
        "replay_s": round(took_s, 3),
        **({} if replayed.difference is None else {"difference": _difference(replayed.difference, replayed.present)}),
    }


def _difference(difference: Diverged, present: Input | None) -> dict[str, Any]:
    what, expected, got = difference.args
    at = {} if present is None else {"input": present.number, "t_ns": present.t_ns}
    return {"what": what, **at, "expected": _plain(expected), "got": _plain(got)}


def _plain(value: object) -> Any:
    if isinstance(value, str):
        return value
    return {name: _text(held) if isinstance(held, bytes) else held for name, held in _fields(value).items()}
