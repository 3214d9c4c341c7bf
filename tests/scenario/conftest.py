"""The shipped scenarios, each run once in this process and once in another, for every test to look at."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="session")
def regenerate() -> Any:
    """The script beside this file, as a module."""
    spec = importlib.util.spec_from_file_location("scenario_regenerate", HERE / "regenerate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def another_process() -> Iterator[subprocess.Popen[str]]:
    """The same runs in a process whose sets and dicts of text are hashed otherwise; started early, read late."""
    seed = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    process = subprocess.Popen(
        [sys.executable, HERE / "regenerate.py", "--print"],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONHASHSEED": seed},
    )  # fmt: skip
    yield process
    process.kill()
    process.wait()


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where each scenario leaves its files, in a folder of its name."""
    return tmp_path_factory.mktemp("shipped")


@pytest.fixture(scope="session")
def finished(regenerate: Any, another_process: Any, folders: Path) -> dict[str, Any]:
    """Name -> how the scenario ended here."""
    return {name: regenerate.finish(name, out=folders / name) for name in regenerate.SETTINGS}


@pytest.fixture(scope="session")
def elsewhere(finished: Any, another_process: Any) -> dict[str, Any]:
    """Name -> the summary of the other process."""
    printed, _ = another_process.communicate(timeout=300)
    assert another_process.returncode == 0
    summaries: dict[str, Any] = json.loads(printed)
    return summaries


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for `name` is run for every shipped scenario."""
    if "name" in metafunc.fixturenames:
        names = sorted(path.stem for path in (HERE.parents[1] / "scenarios").glob("*.toml"))
        metafunc.parametrize("name", names)
