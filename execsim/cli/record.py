"""`execsim record VENUE MARKET... -o TAPE`: live market data as a tape."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

EMPTY = 1
"""Exit code when nothing was recorded."""


def command(
    venue: Annotated[str, typer.Argument(help="A venue whose market data can be recorded: polymarket")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The tape to make (a directory); frames go to OUT.frames")],
    markets: Annotated[
        list[str] | None,
        typer.Argument(
            help="Condition ids (0x...), token ids or slugs; none: only finish what a killed recording left"
        ),
    ] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Keep the frames beside the tape")] = False,
    for_s: Annotated[float | None, typer.Option("--for", min=0.001, help="Seconds; default: until Ctrl-C")] = None,
    host: Annotated[str, typer.Option(help="URL of another server's REST, e.g. http://127.0.0.1:8000")] = "",
    ws: Annotated[str, typer.Option(help="URL of its WebSocket; default: the same host")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object at the end")] = False,
) -> None:
    """Record live market data until Ctrl-C; run again after a crash to go on. Needs no key."""
    from execsim.scenario.record import Recording, door_of, run

    door_of(venue)
    recording = Recording(out)
    with recording.held():
        left = len(recording.segments())
        keep = raw or (out / "manifest.json").is_file()
        # as Ctrl-C: asyncio's own way of ending a run
        signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
        if left:
            _say(f"going on with {recording.frames}: {left} segments are there")
        if markets:
            _say(f"recording {len(markets)} markets to {recording.frames}, Ctrl-C ends")
            try:
                run(venue, markets, recording, host, ws, for_s)
            except KeyboardInterrupt:
                _say("ending: making the tape (Ctrl-C again leaves the frames as they are)")
        manifest = recording.finish(venue, keep)
    if manifest is None:
        _say(f"nothing was recorded; {out} was not written")
        raise typer.Exit(EMPTY)
    kept = f"frames in {recording.frames}" if keep else "frames removed (--raw keeps them)"
    if as_json:
        told = {
            "tape": str(out), "rows": manifest.rows, "gaps": len(manifest.gaps), "lines": recording.lines,
            "bytes": recording.bytes, "frames": str(recording.frames) if keep else None, "checks": manifest.checks,
        }  # fmt: skip
        print(json.dumps(told))
        return
    checks = manifest.checks
    hashes = [sum(checks.get(f"{kind}_hash_{end}", 0) for kind in ("book", "change")) for end in ("ok", "checked")]
    print(
        f"{out}: {manifest.rows:,} rows, {len(manifest.gaps)} gaps, {hashes[0]:,} of {hashes[1]:,} hashes right; {kept}"
    )


def _say(what: str) -> None:
    print(f"execsim: {what}", file=sys.stderr, flush=True)
