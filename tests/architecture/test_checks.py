"""Format, lint, types and imports are part of the test run: one command, the same here and in CI."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = Path(sys.executable).parent

CHECKS = {
    "format": ["ruff", "format", "--check", "."],
    "lint": ["ruff", "check", "."],
    "types": ["mypy"],
    "imports": ["lint-imports", "--no-cache"],
}


@pytest.mark.parametrize("name", CHECKS)
def test_check(name: str) -> None:
    tool, *args = CHECKS[name]
    done = subprocess.run([TOOLS / tool, *args], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{tool} {' '.join(args)}\n{done.stdout[-6000:]}{done.stderr[-2000:]}"


REPRODUCIBLE = ("core", "engine", "strategy", "exchange", "kernel", "market", "tape")
BANNED = {
    ("time", "time"), ("time", "time_ns"), ("time", "monotonic"), ("time", "monotonic_ns"), ("time", "perf_counter"),
    ("datetime", "now"), ("datetime", "utcnow"), ("random", "random"), ("random", "choice"), ("uuid", "uuid4"),
    ("os", "urandom"), ("secrets", "token_hex"), ("random", "seed"), ("random", "rand"),
}  # fmt: skip


@pytest.mark.parametrize("package", REPRODUCIBLE)
def test_no_wall_clock_or_global_randomness_where_a_run_must_repeat(package: str) -> None:
    found = []
    for path in sorted((ROOT / "execsim" / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            owner = node.func.value
            name = owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else ""
            if (name, node.func.attr) in BANNED:
                found.append(f"{path.relative_to(ROOT)}:{node.lineno} {name}.{node.func.attr}")
    assert not found, "\n".join(found)


def test_files_have_a_pleasant_size() -> None:
    long = [
        f"{path.relative_to(ROOT)}: {lines} lines"
        for top in ("execsim", "adapters")
        for path in sorted((ROOT / top).rglob("*.py"))
        if (lines := len(path.read_text().splitlines())) > 600
    ]
    assert not long, "look for the second noun inside:\n" + "\n".join(long)


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for top in ("execsim", "adapters")
        for path in sorted((ROOT / top).rglob("*.py"))
        if path.read_text().strip() and ast.get_docstring(ast.parse(path.read_text())) is None
    ]
    assert not silent, "no module docstring:\n" + "\n".join(silent)


def test_no_registry_host_or_machine_path_is_tracked() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert "uv.lock" not in tracked
    needles = ("/wo" + "rk/", "/ro" + "ot/", "index-u" + "rl")
    texts = [name for name in tracked if name.endswith((".py", ".toml", ".md", ".css", ".js", ".sql", ".yaml"))]
    found = [n for n in texts if (ROOT / n).is_file() and any(x in (ROOT / n).read_text() for x in needles)]
    assert not found, found
