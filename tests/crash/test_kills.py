"""An engine killed at any moment loses no order and books no fill twice (kills.py says how; 1,000 by its own command)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

KILLS = Path(__file__).with_name("kills.py")


def killed(kills: int, seed: int) -> dict[str, int]:
    """Run kills.py. Its last line is what it saw; anything wrong is in the error."""
    command = [sys.executable, str(KILLS), "--kills", str(kills), "--seed", str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout[-3000:]}{done.stderr[-3000:]}"
    told: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return told


def test_ten_kills_lose_nothing() -> None:
    told = killed(10, 1)
    assert (told["kills"], told["lost"], told["twice"]) == (10, 0, 0)
    assert told["orders"] > 50


@pytest.mark.soak
@pytest.mark.parametrize("seed", [2, 3])
def test_a_hundred_kills_twice_lose_nothing(seed: int) -> None:
    told = killed(100, seed)
    assert (told["kills"], told["lost"], told["twice"]) == (100, 0, 0)
    assert told["orders"] > 500
