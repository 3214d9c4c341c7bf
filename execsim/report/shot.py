"""Look at a report with headless Chromium.

    python -m execsim.report.shot report.html picture.png [--dark] [--size 1280x1600]

Used for the picture in the README and by the browser test. Chromium is started offline, as itself in a throwaway profile.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from execsim.core.errors import ConfigError

FLAGS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)
"""--no-sandbox because CI runs as root; the resolver rule makes every name unknown, so a page that loads something fails."""

TIMEOUT_S: Final = 60


def screenshot(report: Path, picture: Path, width: int = 1280, height: int = 1600, dark: bool = False) -> None:
    """Write a PNG of `report` as a window of that size shows it. Errors: ConfigError without a browser or a picture."""
    _browse(
        report, f"--screenshot={picture.resolve()}", f"--window-size={width},{height}", *(_DARK if dark else _LIGHT)
    )
    if not picture.is_file():
        raise ConfigError(f"chromium made no picture of {report}", "look at the file in a browser")


def dom(report: Path) -> str:
    """The page's HTML after its script ran: `<html data-drawn="N">` says N panels were drawn without an error."""
    return _browse(report, "--dump-dom", "--virtual-time-budget=2000", "--window-size=1280,1600")


_DARK: Final = ("--blink-settings=preferredColorScheme=0",)
_LIGHT: Final = ("--blink-settings=preferredColorScheme=1",)


def _browse(report: Path, *flags: str) -> str:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        raise ConfigError("no chromium found", "install Debian's package chromium")
    with tempfile.TemporaryDirectory(prefix="execsim-shot-", ignore_cleanup_errors=True) as profile:
        command = [browser, *FLAGS, f"--user-data-dir={profile}", *flags, report.resolve().as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    if done.returncode:
        raise ConfigError(f"chromium failed on {report}: {done.stderr.strip()[-300:]}", "")
    return done.stdout


def main(args: list[str]) -> int:
    """The command of the module docstring; returns the exit code."""
    dark = "--dark" in args
    size = args[args.index("--size") + 1] if "--size" in args[:-1] else "1280x1600"
    paths = [Path(a) for a in args if not a.startswith("--") and a != size]
    try:
        width, height = (int(part) for part in size.split("x"))
        report, picture = paths
    except ValueError:
        print(
            "usage: python -m execsim.report.shot REPORT.html PICTURE.png [--dark] [--size 1280x1600]", file=sys.stderr
        )
        return 2
    screenshot(report, picture, width, height, dark)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
