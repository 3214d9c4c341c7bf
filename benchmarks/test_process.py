"""What a whole process takes: memory by the length of the tape, and the time until it can begin."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from inputs import ROOT

from execsim.tape.synth import synthetic_tape

PYTHON_CACHES = ("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX")

REPLAY = """
import sys
from pathlib import Path
from execsim.kernel import MarketSpan, Replay, Stop, VENUE
from execsim.tape.merge import TapeStream, merged
from execsim.tape.reader import TapeReader
kernel = Replay([MarketSpan(100, 1, 100, 10_000)])
for chunk in merged([TapeStream(TapeReader(Path(sys.argv[1])))]):
    kernel.feed(chunk.venue, chunk.local)
    assert kernel.advance(2**62) is Stop.CHUNK
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(kernel.rows, peak.split()[1])
"""
"""Rows replayed, and the peak in KiB. From /proc: ru_maxrss would begin at the peak of the process that started this."""
IMPORT = "import time; a = time.perf_counter(); import execsim; print(time.perf_counter() - a)"
KERNEL = """
import time
a = time.perf_counter()
from execsim.kernel import is_warm, warm_up
warm, b = is_warm(), time.perf_counter()
warm_up()
print(int(warm), time.perf_counter() - a, time.perf_counter() - b)
"""


def figures(code: str, *args: str, cache: Path | None = None, bytecode: Path | None = None) -> list[float]:
    """The numbers a fresh Python prints. `bytecode`: where it keeps compiled modules, as an installed one would."""
    env = {name: value for name, value in os.environ.items() if name not in PYTHON_CACHES}
    if cache is not None:
        env["EXECSIM_CACHE"] = str(cache)
    env["PYTHONPYCACHEPREFIX" if bytecode else PYTHON_CACHES[0]] = str(bytecode or "1")
    done = subprocess.run(
        [sys.executable, "-c", code, *args], env=env, cwd=ROOT, capture_output=True, text=True, check=True, timeout=300
    )
    return [float(word) for word in done.stdout.split()]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_the_tape(million: Path, figure: Any) -> None:
    """Peak resident memory of reading, merging and replaying, Python and numba included."""
    peaks = {}
    for count, tape in ((1_000_000, million), (5_000_000, synthetic_tape(7, 5_000_000, {}))):
        rows, peak = figures(REPLAY, str(tape))
        peaks[count] = peak / 1024
        figure(f"peak memory, reading and replaying {count / 1e6:.0f} M rows", peaks[count], "MiB")
        assert rows == count
    assert peaks[5_000_000] < 1.3 * peaks[1_000_000]


@pytest.mark.benchmark(group="a cold start")
def test_import_time(benchmark: Any, tmp_path: Path, figure: Any) -> None:
    figures(IMPORT, bytecode=tmp_path)
    seen: list[float] = []
    benchmark.pedantic(lambda: seen.extend(figures(IMPORT, bytecode=tmp_path)), rounds=3)
    figure("import execsim (modules compiled before)", sorted(seen)[len(seen) // 2], "s")
    assert all(0 < took < 30 for took in seen)


@pytest.mark.benchmark(group="a cold start")
def test_kernel_compile_and_load(benchmark: Any, tmp_path: Path, figure: Any) -> None:
    """The first run compiles, the next ones load what it kept."""
    cache, modules = tmp_path / "cache", tmp_path / "modules"
    figures("import execsim.kernel", cache=tmp_path / "other", bytecode=modules)
    cold = benchmark.pedantic(figures, (KERNEL,), {"cache": cache, "bytecode": modules}, rounds=1)
    figures(KERNEL, cache=cache, bytecode=modules)  # compiles the modules only loading needs
    warm = figures(KERNEL, cache=cache, bytecode=modules)
    figure("kernel: compile in an empty cache", cold[2], "s")
    figure("kernel: import numba and load from the cache", warm[1], "s")
    assert (cold[0], warm[0]) == (0, 1)
    assert warm[2] < cold[2] / 3
