"""kill -9 of a process that writes in mode full: every row it was told is on disk is there."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from execsim.journal import SqliteJournal, digest_of, read

WRITER = """
import sys
from pathlib import Path
from execsim.journal import SqliteJournal

journal = SqliteJournal(Path(sys.argv[1]), "full")
for number in range(10**9):
    for part in range(number % 4 + 1):
        journal.write("row", number, f"o-{number}", {"number": number, "part": part, "text": "x" * 200})
    journal.flush()
    sys.stdout.write(f"{journal.rows} {journal.digest()}\\n")
    sys.stdout.flush()
"""


@pytest.mark.parametrize("kill", range(10))
def test_what_was_declared_durable_survives(tmp_path: Path, kill: int) -> None:
    path = tmp_path / "journal.sqlite"
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    told = [process.stdout.readline() for _ in range(random.Random(kill).randrange(1, 60))]
    process.send_signal(signal.SIGKILL)
    told += process.stdout.read().splitlines(keepends=True)  # what it had said before it died
    process.wait()
    process.stdout.close()
    rows, digest = next(line for line in reversed(told) if line.endswith("\n")).split()
    left = {name: (tmp_path / name).read_bytes() for name in ("journal.sqlite", "journal.sqlite-wal")}
    found = list(read(path))
    assert [row.seq for row in found] == list(range(1, len(found) + 1))
    assert len(found) >= int(rows)
    assert digest_of(found[: int(rows)]) == digest
    assert {name: (tmp_path / name).read_bytes() for name in left} == left  # reading wrote nothing
    with_more = SqliteJournal(path, "full", append=True)  # and it can be continued
    with_more.write("row", 0, "", {})
    with_more.close()
    assert len(list(read(path))) == len(found) + 1
