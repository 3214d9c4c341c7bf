"""Where compiled code is kept, and whether the first call will compile.

numba's own cache does not notice edits in files a kernel imports, so the directory carries a hash of every kernel source,
of numba's version and of the CPU. If the user cache cannot be written a temporary directory serves this process; if that
fails too the kernel compiles uncached, with one warning. `NUMBA_DISABLE_JIT=1` runs the same functions uncompiled: that is
the reference the property tests compare with.
"""

from __future__ import annotations

import hashlib
import platform
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import llvmlite.binding
import numba
from numba.core.registry import CPUDispatcher

from execsim.tape import rows, schema
from execsim.tape.cachedir import cache_root

F = TypeVar("F", bound=Callable[..., Any])

config: Any = numba.config


def _fingerprint() -> str:
    digest = hashlib.sha256()
    constants = [Path(str(module.__file__)) for module in (rows, schema)]
    for source in [*sorted(Path(__file__).parent.glob("*.py")), *constants]:
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
    kept = cache_root() / "kernel" / _fingerprint()
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
    return CACHE_DIR is not None and any(Path(CACHE_DIR).rglob("advance.advance-*.nbc"))


def jit(fn: F) -> F:
    """numba.njit with our cache directory, for functions Python calls; fastmath is never on: integers only, the same on
    every machine.

    Constants given to a compiled function are np.int64 where it has several callers: numba compiles it again for each
    plain integer.
    """
    return _compile(fn)


def inner(fn: F) -> F:
    """As `jit`, for functions only kernels call: without the compiled door for Python, a tenth of all compile time.
    Python may call it all the same, and runs it uncompiled."""
    return _doorless(fn)


def woven(fn: F) -> F:
    """As `inner`, but numba writes its statements into its callers: it is never compiled by itself.

    For long functions with one or two callers. Measured: all of the kernel took 18 s of CPU to compile with them as `hot`,
    each optimised again inside the next larger one, and 14.5 s woven; it ran as fast.
    """
    return _compile(fn, inline="always")


def hot(fn: F) -> F:
    """As `inner`, but LLVM always inlines it into its caller: a call that passes ten arrays costs more than a tape row.

    Measured on 1 M level rows through two books: 5 M rows/s with calls, 28 M inlined. `_nrt=False` in `_compile` leaves
    out reference counting of arrays, which kernels never allocate or keep (without it: 4 M rows/s).
    """
    return _doorless(fn, forceinline=True)


def _doorless(fn: F, **options: Any) -> F:
    compiled: Any = _compile(fn, no_cpython_wrapper=True, **options)
    if compiled is not fn:
        compiled.__class__ = _Inner
    return compiled


class _Inner(CPUDispatcher):
    """A compiled function without a door: called from Python, numba would jump to address 0."""

    def __call__(self, *args: Any) -> Any:
        return self.py_func(*args)


def _compile(fn: F, **options: Any) -> F:
    if config.DISABLE_JIT:
        return fn
    options |= {
        "cache": CACHE_DIR is not None, "nogil": True, "boundscheck": False, "error_model": "numpy", "_nrt": False,
        "no_cfunc_wrapper": True,
    }  # fmt: skip
    before = config.CACHE_DIR
    if CACHE_DIR is not None:
        config.CACHE_DIR = CACHE_DIR
    try:
        compiled: Any = numba.njit(**options)(fn)
    finally:
        config.CACHE_DIR = before
    return compiled
