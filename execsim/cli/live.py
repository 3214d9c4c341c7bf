"""`execsim run SCENARIO --live`: the limits, the preflight and the consent that stand before the first order; and `--paper`,
which needs none of them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from execsim.core.errors import ConfigError
from execsim.core.units import plain
from execsim.scenario import model

if TYPE_CHECKING:
    from execsim.ports import Finding
    from execsim.scenario.live import LiveAddress
    from execsim.scenario.paper import PaperAddress

CONSENT = "trade live"


def go_live(scenario: model.Scenario, folder: Path, consented: bool, quiet: bool) -> LiveAddress:
    """Errors: ConfigError: no risk limits, missing credentials, a failed check, no consent."""
    from execsim.scenario.live import live_address, require_limits, require_venue

    venue = require_venue(scenario)
    require_limits(scenario, folder)
    address = live_address(venue)
    if not quiet:
        say(f"live at {address.rest} for {address.account}, from {', '.join(address.used)}")
    findings = address.examine({market.id: market.market for market in scenario.markets})
    failed = [finding for finding in findings if finding.grade == "fail"]
    for finding in findings:
        if (finding.grade != "ok" and not quiet) or finding.grade == "fail":
            say(line_of(finding))
    if failed:
        raise ConfigError(
            f"{len(failed)} of {len(findings)} checks failed: {', '.join(finding.check for finding in failed)}",
            f"`execsim doctor {venue}` shows them all",
        )
    if not consented:
        ask_consent(address)
    return address


def on_paper(scenario: model.Scenario, quiet: bool) -> PaperAddress:
    """Nothing is ordered anywhere: no key, no consent. Errors: ConfigError."""
    from execsim.kernel import is_warm, warm_up
    from execsim.scenario.paper import paper_address

    address = paper_address(scenario)
    if not is_warm() and not quiet:
        say("compiling the kernel, once on this machine (some seconds) ...")
    warm_up()
    if not quiet:
        say(f"paper: market data of {address.rest}, orders stay here; {plain(scenario.paper.hold_ms)} ms behind")
    return address


def ask_consent(address: LiveAddress) -> None:
    """Errors: ConfigError when it is not given."""
    if not sys.stdin.isatty():
        raise ConfigError("a live session needs a second consent", "add --yes-live")
    say(f"orders go to {address.rest} with the money of {address.account}.")
    print(f"Type '{CONSENT}' to begin: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip() != CONSENT:
        raise ConfigError("the consent was not given", f"type {CONSENT!r}, or add --yes-live")


def line_of(finding: Finding) -> str:
    """One line: grade, check, what was found, what to do."""
    return f"{finding.grade:<4} {finding.check}: {finding.said}" + (f"; {finding.fix}" if finding.fix else "")


def say(what: str) -> None:
    print(f"execsim: {what}", file=sys.stderr, flush=True)
