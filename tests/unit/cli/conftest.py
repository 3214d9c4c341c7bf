"""The command line as a user calls it, in this process, and a small scenario to misuse."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

import execsim.kernel  # decides where its compiled code is kept before EXECSIM_CACHE is moved below
from execsim import cli

ROOT = Path(__file__).resolve().parents[3]
SCENARIOS = ROOT / "scenarios"
HANDWRITTEN = SCENARIOS / "data" / "handwritten"


@dataclass(frozen=True)
class Done:
    """How a command ended: exit code, standard output, and the lines on standard error."""

    code: int
    out: str
    err: list[str]


Execsim = Callable[..., Done]


@pytest.fixture
def execsim(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Execsim:
    """Run `execsim ARGS...` through its entry point."""

    def call(*args: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["execsim", *map(str, args)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit:
            cli.main()
        held = capsys.readouterr()
        assert isinstance(exit.value.code, int)
        return Done(exit.value.code, held.out, held.err.splitlines())

    return call


@pytest.fixture
def tapes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of tapes (that of the kernel stays where it is)."""
    cache = tmp_path / "cache"
    monkeypatch.setenv("EXECSIM_CACHE", str(cache))
    return cache / "tapes"


@dataclass(frozen=True)
class Scene:
    """The handwritten scenario, copied to where it may be spoiled."""

    folder: Path

    @property
    def scenario(self) -> Path:
        return self.folder / "coin.toml"

    @property
    def out(self) -> Path:
        return self.folder / "results" / "of this run"

    def edit(self, name: str, changes: Mapping[str, str]) -> Scene:
        """Replace each key, which must be there, once."""
        path = self.folder / name
        text = path.read_text()
        for old, new in changes.items():
            assert old in text, f"{old!r} is not in {name}"
            text = text.replace(old, new, 1)
        path.write_text(text)
        return self

    def strategy(self, source: str) -> Scene:
        """Trade by this source instead of the script of orders."""
        (self.folder / "bot.py").write_text(source)
        return self.edit("coin.toml", {'orders = "orders.csv"': 'file = "bot.py"'})

    def files(self) -> set[Path]:
        return set(self.folder.rglob("*"))


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    folder = tmp_path / "scene"
    folder.mkdir()
    for name in ("book.csv", "orders.csv"):
        (folder / name).write_bytes((HANDWRITTEN / name).read_bytes())
    text = (SCENARIOS / "handwritten.toml").read_text()
    (folder / "coin.toml").write_text(text.replace("data/handwritten/", ""))
    return Scene(folder)
