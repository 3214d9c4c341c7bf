"""The file that kills: looked for in the run's own time, and whatever goes wrong with it kills too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from execsim.core.errors import ConfigError
from execsim.core.order import OrderStatus
from execsim.engine.watch import REASON_MAX, kill_file_of, read_kill_file

SECOND = 1_000_000_000


def test_a_file_that_appears_kills(rig: Any, tmp_path: Path) -> None:
    path = kill_file_of(tmp_path)
    order = rig.working()

    async def scenario() -> None:
        watch = rig.runtime.spawn(rig.engine.watch_kill_file(path, SECOND), "kill file", daemon=True)
        await rig.runtime.sleep(3 * SECOND + 1)
        assert rig.engine.kill_reason is None
        path.write_text("the model is wrong\nsecond line\n")
        await rig.runtime.sleep(SECOND // 2)
        assert rig.engine.kill_reason is None
        await rig.runtime.sleep(SECOND // 2)
        assert rig.engine.kill_reason == f"kill file {path}: the model is wrong"
        path.unlink()
        await rig.runtime.sleep(3 * SECOND)
        assert watch.done

    rig.run(scenario())
    assert order.status is OrderStatus.CANCELLED
    assert rig.engine.kill_reason is not None
    assert rig.journal.kinds.count("kill") == 1


def test_a_file_that_is_there_kills_at_once(rig: Any, tmp_path: Path) -> None:
    (tmp_path / "stop").touch()
    rig.run(rig.engine.watch_kill_file(tmp_path / "stop", SECOND))
    assert rig.engine.kill_reason == f"kill file {tmp_path / 'stop'}"
    with pytest.raises(ConfigError, match="must be positive"):
        rig.run(rig.engine.watch_kill_file(tmp_path / "stop", 0))


def test_what_cannot_be_read_kills(tmp_path: Path) -> None:
    assert read_kill_file(tmp_path / "none") is None
    (tmp_path / "file").write_text("x" * 1000)
    assert read_kill_file(tmp_path / "file" / "below") is None
    assert read_kill_file(tmp_path / "file") == f"kill file {tmp_path / 'file'}: {'x' * REASON_MAX}"
    assert read_kill_file(tmp_path) == f"kill file {tmp_path}"
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\n")
    assert "bytes" in str(read_kill_file(tmp_path / "bytes"))
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    assert "cannot be read" in str(read_kill_file(tmp_path / "circle"))
