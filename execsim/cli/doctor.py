"""`execsim doctor VENUE`: look at everything a live session needs, without placing an order."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from execsim.cli.live import line_of

FAULTY = 1
"""Exit code when a check failed."""


def command(
    venue: Annotated[str, typer.Argument(help="A venue that can be traded live: polymarket")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object")] = False,
) -> None:
    """Check key, wallet, login, clock, money and the way to a venue. Nothing is ordered; exit code 1 if a check failed."""
    from execsim.scenario.live import live_address

    address = live_address(venue)
    findings = address.examine()
    failed = any(finding.grade == "fail" for finding in findings)
    if as_json:
        found = [asdict(finding) for finding in findings]
        print(
            json.dumps({"venue": venue, "host": address.rest, "used": address.used, "ok": not failed, "checks": found})
        )
    else:
        print(f"{venue} at {address.rest}; credentials from {', '.join(address.used)}")
        for finding in findings:
            print(line_of(finding))
    if failed:
        raise typer.Exit(FAULTY)
