"""Where compiled code is kept, and whether the first call will compile.

numba's own cache does not notice edits in files a kernel imports, so the directory carries a hash of every kernel source,
of numba's version and of the CPU. If the user cache cannot be written a temporary directory serves this process; if that
fails too the kernel compiles uncached, with one warning. `NUMBA_DISABLE_JIT=1` runs the same functions uncompiled: that is
the reference the property tests compare with.
"""

from __future__ import annotations

import hashlib
import os
import platform
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import llvmlite.binding
import numba

F = TypeVar("F", bound=Callable[..., Any])

config: Any = numba.config


def user_cache() -> Path:
    """The directory this user's caches live in ($EXECSIM_CACHE overrides it)."""
    if named := os.environ.get("EXECSIM_CACHE"):
        return Path(named)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "execsim"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home())) / "execsim"
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "execsim"


def _fingerprint() -> str:
    digest = hashlib.sha256()
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    about = (numba.__version__, platform.python_version(), llvmlite.binding.get_host_cpu_name())
    digest.update(repr(about).encode())
    return digest.hexdigest()[:16]


def _writable(path: Path) -> bool:
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return True
    except OSError:
        return False


def _cache_dir() -> str | None:
    kept = user_cache() / "kernel" / _fingerprint()
    if _writable(kept):
        return str(kept)
    try:
        return tempfile.mkdtemp(prefix="execsim-kernel-")
    except OSError:
        warnings.warn("no writable cache directory: the kernel is compiled in every process", stacklevel=2)
        return None


CACHE_DIR = _cache_dir()


def is_warm() -> bool:
    """Whether the compiled kernel is on disk already (else the first run spends some seconds compiling)."""
    if config.DISABLE_JIT:
        return True
    return CACHE_DIR is not None and any(Path(CACHE_DIR).rglob("advance.*.nbc"))


def jit(fn: F) -> F:
    """numba.njit with our cache directory; fastmath is never on: integers only, the same on every machine."""
    return _compile(fn, False)


def hot(fn: F) -> F:
    """As `jit`, but always inlined into its caller: a call that passes ten arrays costs more than a tape row.

    Measured on 1 M level rows through two books: 5 M rows/s with calls, 28 M inlined. `_nrt=False` in `_compile` leaves
    out reference counting of arrays, which kernels never allocate or keep (without it: 4 M rows/s).
    """
    return _compile(fn, True)


def _compile(fn: F, inline: bool) -> F:
    if config.DISABLE_JIT:
        return fn
    options: dict[str, Any] = {
        "cache": CACHE_DIR is not None, "nogil": True, "boundscheck": False, "error_model": "numpy",
        "forceinline": inline, "_nrt": False,
    }  # fmt: skip
    before = config.CACHE_DIR
    if CACHE_DIR is not None:
        config.CACHE_DIR = CACHE_DIR
    try:
        compiled: Any = numba.njit(**options)(fn)
    finally:
        config.CACHE_DIR = before
    return compiled
