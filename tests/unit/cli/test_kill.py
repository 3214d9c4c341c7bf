"""`execsim kill`, the kill file of a scenario, and the signal of a run in wall time."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from execsim.cli.signals import kill_on_signal
from execsim.core.errors import ConfigError
from execsim.engine import EngineConfig, ExecutionEngine
from execsim.engine.context import Context
from execsim.runtime import WallRuntime
from execsim.testing import MockBooks, MockVenue

RISK = '[risk]\nkill_file = "stop"\nwatch_s = 0.5\n[strategy]'
BOT = """
from pathlib import Path

async def run(ctx):
    market = ctx.markets[0]
    order = ctx.place(market, "buy", "0.40", 10)
    await ctx.sleep(100_000_000)
    Path(__file__).with_name("stop").write_text("seen enough")
    await ctx.sleep(1_000_000_000)
    late = ctx.place(market, "buy", "0.40", 10)
    assert order.is_terminal and not ctx.open_orders(), order
    assert "seen enough" in late.reason, late
    assert ctx.halted[0].kill
    Path(__file__).with_name("ran").touch()
"""


def test_it_writes_the_file_a_run_looks_for(execsim: Any, tmp_path: Path) -> None:
    done = execsim("kill", tmp_path / "stop", "--reason", "the model\n is wrong")
    assert done.code == 0
    assert f"wrote {tmp_path / 'stop'}" in done.out
    assert (tmp_path / "stop").read_text() == "the model is wrong\n"
    done = execsim("kill", tmp_path / "stop")
    assert (done.code, (tmp_path / "stop").read_text()) == (0, "the model is wrong\n")
    assert "is there already" in done.out


def test_a_run_is_named_by_its_directory(execsim: Any, tmp_path: Path) -> None:
    done = execsim("kill", tmp_path)
    assert (done.code, done.err) == (
        2,
        [f"execsim: ConfigError: {tmp_path} holds no journal; name a run's directory, or the kill file itself"],
    )
    (tmp_path / "journal.sqlite").touch()
    assert execsim("kill", tmp_path).code == 0
    assert (tmp_path / "kill").read_text() == "execsim kill\n"


def test_a_scenario_names_its_own(execsim: Any, scene: Any) -> None:
    done = execsim("kill", scene.scenario)
    assert done.code == 2
    assert "has no risk.kill_file" in done.err[0]
    scene.edit("coin.toml", {"[strategy]": RISK})
    assert execsim("kill", scene.scenario).code == 0
    assert (scene.folder / "stop").is_file()
    assert "no scenario" in execsim("kill", scene.folder / "other.toml").err[0]


def test_a_place_that_is_none(execsim: Any, tmp_path: Path) -> None:
    done = execsim("kill", tmp_path / "nowhere" / "stop")
    assert (done.code, "is no directory" in done.err[0]) == (2, True)
    assert not (tmp_path / "nowhere").exists()


def test_a_scenario_is_killed_by_its_file_in_virtual_time(execsim: Any, scene: Any, tapes: Path) -> None:
    scene.strategy(BOT)
    scene.edit("coin.toml", {"[strategy]": RISK})
    done = execsim("run", scene.scenario, "--json", "-q")
    assert (done.code, done.err) == (0, [])
    assert (scene.folder / "ran").exists()
    said = json.loads(done.out)["assumptions"]
    assert any("risk: everything was killed since " in line and line.endswith("seen enough") for line in said)
    # it is still there: the next run is killed as it starts
    (scene.folder / "bot.py").write_text("async def run(ctx):\n    assert ctx.halted\n")
    done = execsim("run", scene.scenario, "--json", "-q")
    assert (done.code, done.err) == (0, [])


@pytest.mark.parametrize("value", ["0", "-1", "'soon'"])
def test_how_often_to_look_is_positive(value: str, execsim: Any, scene: Any) -> None:
    done = execsim("run", scene.scenario, "--set", f"risk.watch_s={value}")
    assert (done.code, "risk.watch_s" in done.err[0]) == (2, True)


@pytest.fixture
def market() -> Any:
    from decimal import Decimal

    from execsim.core.instrument import Asset, Instrument, InstrumentKind
    from execsim.core.units import Grid

    unit = Decimal("0.000001")
    return Instrument(
        "polymarket", "rain", InstrumentKind.BINARY, Grid(Decimal("0.0001"), unit), Asset("YES", unit),
        Asset("USDC", unit), Asset("NO", unit),
    )  # fmt: skip


def test_a_signal_kills_a_run_in_wall_time(market: Any) -> None:
    """The handler runs between two steps of the run; what is open is cancelled, and the strategy hears of it."""
    runtime = WallRuntime(7)
    engine = ExecutionEngine(EngineConfig(), runtime)
    engine.register_adapter(MockVenue("polymarket", [market], runtime))
    books = MockBooks(runtime, [market])
    engine.attach_books(books)
    context = Context(engine, runtime, books, name="maker", params={}, markets=["rain"])

    async def main() -> list[str]:
        updates = context.updates()
        order = await context.submit("rain", "buy", "0.40", 10)
        os.kill(os.getpid(), signal.SIGUSR1)
        heard = []
        async for update in updates:
            heard.append(update.event.value)
            if order.is_terminal:
                return heard
        return heard

    async def run() -> list[str] | None:
        with kill_on_signal(engine.kill):
            return await runtime.main_async(main())

    before = signal.getsignal(signal.SIGUSR1)
    assert asyncio.run(run()) == ["send", "ack", "ask_cancel", "gone"]
    assert engine.kill_reason == "signal SIGUSR1"
    assert signal.getsignal(signal.SIGUSR1) == before


def test_a_signal_that_does_not_exist() -> None:
    async def run() -> None:
        with kill_on_signal(print, "SIGNONE"):
            raise AssertionError

    with pytest.raises(ConfigError, match="signal SIGNONE cannot be listened to here; use a kill file"):
        asyncio.run(run())
