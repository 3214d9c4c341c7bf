"""The README shows what really happens: its strategy runs, its tables are printed again, its CSV is the one shipped."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, flags=re.DOTALL)
BOT = next(text for language, text in BLOCKS if language == "python")
TABLES = [text for _, text in BLOCKS if "╭" in text]


def table(*arguments: str) -> list[str]:
    """The summary `execsim run` prints, without the line that tells the speed of this machine."""
    command = [sys.executable, "-c", "from execsim.cli import main; main()", "run", "-q", *arguments]
    env = {**os.environ, "COLUMNS": "82", "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", env=env, check=False)
    assert done.returncode == 0, done.stderr
    return comparable(done.stdout)


def comparable(text: str) -> list[str]:
    lines = [line.rstrip() for line in text.splitlines()]
    start = next(i for i, line in enumerate(lines) if line.startswith("╭"))
    end = next(i for i, line in enumerate(lines) if line.startswith("╰"))
    return [line for line in lines[start - 1 : end] if not line.startswith("│ speed")]


def test_the_first_command_prints_this_table() -> None:
    assert comparable(TABLES[0]) == table(str(ROOT / "scenarios" / "polymarket_btc_5m"))


def test_the_fifteen_lines_run_from_a_file_outside_the_repository(tmp_path: Path) -> None:
    assert len(BOT.strip().splitlines()) == 15
    bot = tmp_path / "my_bot.py"
    bot.write_text(BOT)
    assert comparable(TABLES[1]) == table(str(ROOT / "scenarios" / "polymarket_btc_5m"), "--strategy", str(bot))


def test_the_hand_written_book_is_the_one_that_replays() -> None:
    shipped = (ROOT / "scenarios" / "data" / "handwritten" / "book.csv").read_text().strip()
    assert any(text.strip() == shipped for _, text in BLOCKS)


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\((?!http|#)([^)]+)\)", README))))
def test_links_lead_somewhere(link: str) -> None:
    assert (ROOT / link).exists()


def test_every_scenario_is_listed() -> None:
    for path in (ROOT / "scenarios").glob("*.toml"):
        assert f"`{path.stem}`" in README
