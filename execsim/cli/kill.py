"""`execsim kill TARGET`: write the file that kills a running engine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from execsim.core.errors import ConfigError
from execsim.engine.watch import kill_file_of

JOURNALS = "*.sqlite"


def command(
    target: Annotated[
        Path,
        typer.Argument(
            help="The kill file a run looks for (risk.kill_file), the scenario that names it, or the run's directory"
        ),
    ],
    reason: Annotated[str, typer.Option(help="Why; stands in the journal and in every refusal")] = "execsim kill",
) -> None:
    """Kill a running engine: it cancels everything open and lets only cancels and `flatten` pass.

    The engine looks for the file every risk.watch_s seconds. Removing it does not bring a killed engine back; while it is
    there, the next run that looks for it is killed as it starts.
    """
    path = kill_file(target)
    text = " ".join(reason.split())
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(f"{text}\n")
    except FileExistsError:
        print(f"{path} is there already: every engine that looks for it is killed, or will be at its next look")
        return
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}", "name a place you may write to") from None
    print(f"wrote {path}: an engine that looks for it is killed at its next look; remove it before the next run")


def kill_file(target: Path) -> Path:
    """The kill file meant by a path: itself, that of a run's directory, or the one a scenario names. Errors: ConfigError."""
    if target.is_dir():
        if not any(target.glob(JOURNALS)):
            raise ConfigError(f"{target} holds no journal", "name a run's directory, or the kill file itself")
        return kill_file_of(target)
    if target.suffix == ".toml":
        from execsim.scenario import model  # pydantic: a moment no emergency should wait for

        path = model.locate(target)
        named = model.load(path).risk.kill_file
        if named is None:
            raise ConfigError(f"{path} has no risk.kill_file", "add one, and start the run again")
        return path.parent / named
    if not target.parent.is_dir():
        raise ConfigError(f"{target.parent} is no directory", "check the path: an engine looks for one file only")
    return target
