"""Where this user's caches live: imported tapes and compiled kernels. Light, so that anybody may ask."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def cache_root() -> Path:
    """$EXECSIM_CACHE, else the user's cache directory of this system (not created here)."""
    if chosen := os.environ.get("EXECSIM_CACHE"):
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "execsim"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "execsim"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "execsim"
